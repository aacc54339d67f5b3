//! What is said or done twice with one `id` is done once: a retry is answered with what became of the first.
//!
//! `retry` remembers. A store that outlives the chat remembers too, by a key that is the same in every process.

use super::ask::Ask;
use super::hall::Hall;
use super::retry::{self, Answer, Deed, REMEMBERED_FOR, Said};
use super::timers::Timer;
use super::turn::Turn;
use super::wire::answer::Ack;
use super::wire::{Code, Id, Refusal};
use crate::backend::{NewBody, RetryKey};

/// Whether something is said or done for the first time.
pub(super) enum First {
    /// Yes.
    Yes(Keys),
    /// No, and the retry has been answered.
    No,
}

/// By what a retry will be known: by nothing without an `id`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keys {
    /// Here.
    pub said: Option<u64>,
    /// In a store that outlives this process, if the `id` means the same there.
    pub retry: Option<RetryKey>,
}

/// The place of a message, as a retry must repeat it.
#[derive(Clone, Copy)]
pub(super) enum To<'a> {
    Room(&'a str),
    User(&'a str),
    Users(&'a str),
}

impl Hall {
    /// Answers a retry; else returns by what one will be known.
    pub(super) fn first_time(
        &mut self,
        ask: Ask<'_>,
        to: To<'_>,
        body: NewBody<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<First, Refusal> {
        let (Some(id), Some(user)) = (ask.id, self.user_of(ask.conn)) else { return Ok(First::Yes(Keys::default())) };
        let session = match self.roster.session(ask.conn) {
            Some(session) => session.id,
            // Integers count in a session, and a call is in none.
            None if !matches!(id, Id::Text(_)) => return Ok(First::Yes(Keys::default())),
            None => 0,
        };
        let user = self.roster.user(user).name.as_str();
        let place = match to {
            To::Room(name) => ("room", name),
            To::User(name) => ("user", name),
            To::Users(names) => ("users", names),
        };
        let deed = Deed::from(body);
        let fingerprint = self.said.fingerprint(user, session, id, place, deed);
        match self.said.find(fingerprint, turn.now.tick) {
            None => {
                let retry = match id {
                    Id::Text(id) => Some(Said::key(user, id, place, deed)),
                    Id::Unsigned(_) | Id::Negative(_) => None,
                };
                Ok(First::Yes(Keys { said: Some(fingerprint), retry }))
            }
            Some(Answer::Waiting) => {
                let message = "expected the first try of this `id` to be answered, found it waiting still";
                Err(Refusal::new(Code::Overloaded, message))
            }
            Some(Answer::Said { seq, ts }) => {
                let (room_id, user_id) = match to {
                    To::Room(name) => (Some(name), None),
                    To::User(name) => (None, Some(name)),
                    To::Users(_) => (None, None),
                };
                turn.out.answer(ask, &Ack::Said { room_id, user_id, seq, ts, dup: true });
                Ok(First::No)
            }
        }
    }

    /// It waits for its outcome from here on.
    pub(super) fn remember(&mut self, said: Option<u64>, turn: &Turn<'_>) {
        if let Some(said) = said {
            self.said.wait(said, retry::most(turn.settings.memory), turn.now.tick);
        }
    }

    /// It has its number.
    pub(super) fn answer_said(&mut self, said: Option<u64>, seq: Option<u64>, ts: u64, turn: &Turn<'_>) {
        if let Some(said) = said {
            self.said.answer(said, (seq, ts), turn.now.tick);
            if !self.timers.is_set(&Timer::Said) {
                self.timers.set(Timer::Said, turn.now.tick + REMEMBERED_FOR);
            }
        }
    }

    /// The time of some that were said may be over; also where nobody says anything any more.
    pub(super) fn forget_old_retries(&mut self, turn: &Turn<'_>) {
        if let Some(again) = self.said.forget(retry::most(turn.settings.memory), turn.now.tick) {
            self.timers.set(Timer::Said, again);
        }
    }

    /// The store has lost something. A retry of what it may have lost is for the store to answer, so that it is said
    /// again if it is not there.
    pub(super) fn forget_answered(&mut self) {
        self.said.forget_answered();
    }

    /// It was not done after all; the same again is no retry.
    pub(super) fn forget_said(&mut self, said: Option<u64>) {
        if let Some(said) = said {
            self.said.fail(said);
        }
    }
}
