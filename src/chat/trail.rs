//! The trail: what operators have done, as the store keeps it. `server` says what that is.

use super::ask::Ask;
use super::hall::Hall;
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::request::Page;
use super::wire::{Refusal, answer};
use crate::backend::{Request, Step};

impl Hall {
    /// What operators have done, the newest first. The store has it.
    pub(super) fn list_trail(&mut self, ask: Ask<'_>, page: Page<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let (cursor, limit) = (page.short_cursor()?, page.limit);
        let waiting = Waiting { asker: ask.keep(), room: None, what: What::Trail };
        self.ask_store(waiting, |ticket| Request::Trail { cursor, limit, ticket }, ctx)
    }

    /// A page of that.
    pub(super) fn answer_trail(&self, ask: Ask<'_>, steps: &[Step<'_>], next: Option<&str>, turn: &mut Turn<'_>) {
        let listed = steps.iter().map(|&Step { ts, operator, call, room, user, status }| answer::ListedStep {
            ts,
            operator,
            call,
            room_id: room,
            user_id: user,
            status,
        });
        let steps: Vec<_> = listed.collect();
        turn.out.answer(ask, &answer::Trail { steps: &steps, next });
    }
}
