//! What a room is called and is about: a title and a topic, which those inside may change.
//!
//! The store keeps them with the room and tells every node of them. They are no entries of the room's log: they have no
//! number, and nobody hears them twice. A client that comes in asks for them by `room`; one that was inside and did not
//! hear the room for a while is told them as they stand now.

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
use crate::backend::{Anew, Description, Request};

/// A title and a topic as the store tells of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed<'a> {
    pub room: &'a str,
    pub anew: Anew<'a>,
    pub by: &'a str,
    /// Which change of all changes it is; 0 where they are told in order.
    pub changes: u64,
}

impl Hall {
    /// The room is called otherwise, or is about something else: by its name, or about nothing, if the text is empty.
    pub(super) fn change_topic(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        anew: Anew<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        check_line("name", anew.title, MAX_TITLE_BYTES)?;
        check_line("topic", anew.topic, MAX_TITLE_BYTES)?;
        let room = self.room_to_use(ask.conn, name)?;
        if !self.may_change_topics(ask.conn, ctx.settings) {
            let message = "expected a session that may change titles and topics, found one that may not";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        self.may_speak(ask.conn, room)?;
        let Some(by) = self.user_of(ask.conn).map(|user| self.roster.user(user).name.clone()) else { return Ok(()) };
        let paid = self.pay_for_more(ask.conn, Price::frames(FRAMES), ctx)?;
        // It is about the room as it is now: the answer may find another one.
        let (name, title, topic) = {
            let room = self.roster.room(room);
            (room.name.clone(), room.title.clone(), room.topic.clone())
        };
        let (title, topic) = (title.as_deref(), topic.as_deref());
        let about = Description { room: name.as_str(), title, topic, ..self.roster.description_of(room) };
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what: What::Topic { paid } };
        self.ask_store(waiting, |ticket| Request::Topic { about, anew, by: by.as_str(), ticket }, ctx)
    }

    /// The store has it: those inside hear it, and the one who asked is answered.
    pub(super) fn topic_changed(&mut self, changed: Changed<'_>, asked: Option<Asker>, turn: &mut Turn<'_>) {
        let Changed { room, anew, by, changes } = changed;
        let key = self.roster.rooms().find(room);
        let before = key.map(|key| self.roster.room(key)).map(|room| (room.title.clone(), room.topic.clone()));
        let (title, topic) = before.unwrap_or_default();
        let name = anew.title.or(title.as_deref()).filter(|title| !title.is_empty()).unwrap_or(room);
        let topic = anew.topic.or(topic.as_deref()).unwrap_or_default();
        let told = answer::Topic { room_id: room, name, topic, sender: Some(by) };
        let mut own = None;
        if let Some(asker) = &asked {
            turn.out.answer(asker.ask(), &told);
            own = Some(asker.conn);
        }
        let Some(key) = key else { return };
        if asked.is_some() {
            self.roster.note_described(key);
        }
        if self.roster.change_topic(key, anew, changes) && self.roster.room(key).json > 0 {
            turn.out.say_in(hearers(key, Dialect::Json), own.as_slice(), &told);
        }
    }
}

/// The price of a change, in frames: it is before everybody's eyes, and not there to be talked with.
const FRAMES: u64 = 5;
