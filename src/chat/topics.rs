//! What a room is about: a topic, which those inside may change.
//!
//! The store keeps it with the room and tells every node of it. It is no entry of the room's log: it has no number, and
//! nobody hears it twice. A client that comes in asks for it by `room`; one that was inside and did not hear the room
//! for a while is told it as it stands now.

use super::ask::{Ask, Asker};
use super::checks::check_line;
use super::hall::Hall;
use super::queries::MAX_TITLE_BYTES;
use super::rate_limit::Price;
use super::roster::room::topic as hearers;
use super::roster::session::Dialect;
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::answer;
use super::wire::{Code, Refusal};
use crate::backend::{Description, Request};

/// A topic as the store tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed<'a> {
    pub room: &'a str,
    pub topic: Option<&'a str>,
    pub by: &'a str,
    /// Which change of all changes it is; 0 where they are told in order.
    pub changes: u64,
}

impl Hall {
    /// The room is about something else; about nothing, if the text is empty.
    pub(super) fn change_topic(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        topic: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let topic = Some(topic).filter(|topic| !topic.is_empty());
        check_line("topic", topic, MAX_TITLE_BYTES)?;
        let room = self.room_to_use(ask.conn, name)?;
        if !self.may_change_topics(ask.conn, ctx.settings) {
            let message = "expected a session that may change topics, found one that may not";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        self.may_speak(ask.conn, room)?;
        let Some(by) = self.user_of(ask.conn).map(|user| self.roster.user(user).name.clone()) else { return Ok(()) };
        let paid = self.pay_for_more(ask.conn, Price::frames(FRAMES), ctx)?;
        // It is about the room as it is now: the answer may find another one.
        let (name, created_at, created, title) = {
            let room = self.roster.room(room);
            (room.name.clone(), room.created_at, room.created, room.title.clone())
        };
        let about = Description { room: name.as_str(), title: title.as_deref(), topic, created_at, created };
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what: What::Topic { paid } };
        self.ask_store(waiting, |ticket| Request::Topic { about, by: by.as_str(), ticket }, ctx)
    }

    /// The store has it: those inside hear it, and the one who asked is answered.
    pub(super) fn topic_changed(&mut self, changed: Changed<'_>, asked: Option<Asker>, turn: &mut Turn<'_>) {
        let Changed { room, topic, by, changes } = changed;
        let told = answer::Topic { room_id: room, topic: topic.unwrap_or_default(), sender: Some(by) };
        let mut own = None;
        if let Some(asker) = &asked {
            turn.out.answer(asker.ask(), &told);
            own = Some(asker.conn);
        }
        let Some(key) = self.roster.rooms().find(room) else { return };
        if asked.is_some() {
            self.roster.note_described(key);
        }
        if self.roster.change_topic(key, topic, changes) && self.roster.room(key).json > 0 {
            turn.out.say_in(hearers(key, Dialect::Json), own.as_slice(), &told);
        }
    }
}

/// The price of a change, in frames: it is before everybody's eyes, and not there to be talked with.
const FRAMES: u64 = 5;
