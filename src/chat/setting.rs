//! Calls of an operator that set what holds in one room, and say what does.
//!
//! What is set by a call comes before the rules of the file, and is kept by the store. It holds from the call on,
//! whatever the store takes to keep it. Nodes that share a store would each know of their own calls alone: there, it is
//! not done.

use super::ask::Ask;
use super::changes::too_many_set;
use super::checks::room_name;
use super::hall::Hall;
use super::name::RoomName;
use super::rules::{Key, Shown, Values, Whom};
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::answer;
use super::wire::{Code, Refusal, set};
use crate::backend::Request;

impl Hall {
    /// Says what holds in the room of a name, which need not be there.
    pub(super) fn tell_what_holds(&self, ask: Ask<'_>, room: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let room = room_name(room)?;
        self.answer_what_holds(ask, &room, turn);
        Ok(())
    }

    pub(super) fn answer_what_holds(&self, ask: Ask<'_>, room: &RoomName, turn: &mut Turn<'_>) {
        let found = Key::ALL.into_iter().filter_map(|key| {
            let (values, rule) = self.ruled.explain(key, room)?;
            let rule = rule.map(|(at, rule)| {
                let patterns = rule.patterns.iter().map(|pattern| pattern.as_str()).collect();
                (at + 1, patterns, rule.line)
            });
            Some((key, values.shown(key)?, rule))
        });
        let settings: Vec<_> = found
            .map(|(key, value, rule)| {
                let (rule, patterns, line) = match rule {
                    None => (None, Vec::new(), None),
                    Some((number, patterns, line)) => (Some(number), patterns, Some(line)),
                };
                let from = if rule.is_some() { "rule" } else { "call" };
                let value = match value {
                    Shown::One(text) => answer::Setting::One(text),
                    Shown::Many(texts) => answer::Setting::Many(texts),
                };
                answer::RoomSetting { key: key.as_str(), value, from, rule, patterns, line }
            })
            .collect();
        turn.out.answer(ask, &answer::RoomSettings { room_id: room.as_str(), settings: &settings });
    }

    /// Sets that for a room, in place of what was set for it before; or takes that away.
    pub(super) fn set_room(
        &mut self,
        ask: Ask<'_>,
        room: &str,
        values: Option<Values>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let room = room_name(room)?;
        if ctx.store.is_shared() {
            let message = "expected a message store of one Salon alone, found one that several share, where rules for \
                           rooms are for the file of each";
            return Err(Refusal::new(Code::Unsupported, message));
        }
        let words = values.as_ref().map(set::words_for_one).transpose()?;
        if let Some(values) = &values {
            if let Some(key) = values.needs_tokens().filter(|_| self.rights.are_everybodys()) {
                let message = format!(
                    "`{}`: expected everybody, named or operator, because nobody has a role, nor a name that is theirs, \
                     without tokens, found a role or names",
                    key.as_str()
                );
                return Err(Refusal::new(Code::BadRequest, message));
            }
            if self.ruled.is_full_for(&room) {
                return Err(Refusal::new(Code::TooManyRooms, too_many_set()));
            }
        }
        let waiting = Waiting { asker: ask.keep(), room: None, what: What::SetRoom { room: room.clone() } };
        let kept = words.as_deref();
        self.ask_store(waiting, |ticket| Request::Set { room: room.as_str(), words: kept, ticket }, ctx)?;
        let is_there = self.roster.rooms().find(room.as_str()).is_some();
        if self.ruled.set(room, values) && is_there {
            self.look_who_may_stay(ctx.now.tick);
        }
        Ok(())
    }

    /// The store has it from before. Where it cannot be read, nobody but the operator may be in the room: it was set to
    /// keep people out, perhaps. That is to be told.
    pub(super) fn told_of_set(&mut self, room: &str, words: &str) {
        let Ok(room) = RoomName::parse(room) else { return };
        let closed = Values { join: Some(Whom::Operator), ..Values::default() };
        let values = set::read_kept(words).unwrap_or_else(|refusal| {
            self.ruled.note_unread(room.clone(), refusal.message.into_owned());
            closed
        });
        self.ruled.learn(room, values);
    }
}
