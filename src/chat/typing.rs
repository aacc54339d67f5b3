//! Who is typing, told neither too often nor for too long.
//!
//! `true` is relayed at most every [`TRUE_EVERY`] for one user in one place, and ends [`ENDS_AFTER`] the last one;
//! `false` is relayed at once, and only if the last thing relayed was `true`.

use std::collections::HashMap;
use std::time::Duration;

use super::hall::Hall;
use super::held::table_bytes;
use super::name::UserName;
use super::roster::room;
use super::roster::session::Dialect;
use super::timers::Timer;
use super::turn::Turn;
use super::wire::answer;
use super::wire::request::Place;
use super::wire::{Code, Refusal};
use crate::id::ConnId;
use crate::slack;
use crate::time::Tick;

/// Where somebody types. Others by name: whoever is forgotten meanwhile is simply not found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Room(u32),
    User(UserName),
}

/// Those who are typing, or were until a moment ago. Each has a timer.
#[derive(Debug, Default)]
pub(super) struct Typing(HashMap<(UserName, Target), Typist>);

#[derive(Debug)]
struct Typist {
    /// When `true` was last relayed.
    told: Tick,
    /// Whether that was the last thing relayed.
    on: bool,
}

impl Typing {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn give_back(&mut self) {
        slack::give_back(&mut self.0);
    }

    pub fn held_bytes(&self) -> usize {
        table_bytes::<((UserName, Target), Typist)>(self.0.capacity())
    }
}

impl Hall {
    pub(super) fn typing_request(
        &mut self,
        conn: ConnId,
        place: Place<'_>,
        typing: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let target = match place {
            Place::Room(name) => Target::Room(self.wanted_room(conn, &name)?),
            Place::User(name) => Target::User(self.roster.user(self.known_user(&name)?).name.clone()),
        };
        let Some(user) = self.user_of(conn) else { return Ok(()) };
        if let Target::Room(room) = target {
            // Not before it has been let in: whoever never was is never seen to leave, and would type for ever.
            if !self.roster.session(conn).is_some_and(|session| session.is_inside(room)) {
                return Ok(());
            }
        }
        let name = self.roster.user(user).name.clone();
        if !typing {
            self.stop_typing(&name, target, turn);
            return Ok(());
        }
        let key = (name, target);
        let told = Typist { told: turn.now.tick, on: true };
        let extend = match self.typing.0.get(&key) {
            // Too soon to be told again, but it goes on.
            Some(typist) if turn.now.tick.since(typist.told) < TRUE_EVERY => typist.on,
            None if self.typing.0.len() >= MAX_TYPISTS || self.is_short() => false,
            _ => {
                self.relay_typing(&key.0, &key.1, true, turn);
                self.typing.0.insert(key.clone(), told);
                true
            }
        };
        if extend {
            self.timers.set(Timer::Typing(Box::new(key)), turn.now.tick + ENDS_AFTER);
        }
        Ok(())
    }

    /// The user said something, or said to have stopped. What was told stays known for as long as it throttles.
    pub(super) fn stop_typing(&mut self, name: &UserName, target: Target, turn: &mut Turn<'_>) {
        if self.typing.is_empty() {
            return;
        }
        let key = (name.clone(), target);
        let Some(typist) = self.typing.0.get_mut(&key) else { return };
        let was_on = std::mem::take(&mut typist.on);
        if was_on {
            let forget_at = typist.told + TRUE_EVERY;
            self.relay_typing(&key.0, &key.1, false, turn);
            self.timers.set(Timer::Typing(Box::new(key)), forget_at);
        }
    }

    /// The user leaves the place, or the timer has come.
    pub(super) fn end_typing(&mut self, name: &UserName, target: Target, turn: &mut Turn<'_>) {
        if self.typing.is_empty() {
            return;
        }
        let key = (name.clone(), target);
        if let Some(typist) = self.typing.0.remove(&key) {
            if typist.on {
                self.relay_typing(&key.0, &key.1, false, turn);
            }
            self.timers.cancel(Timer::Typing(Box::new(key)));
        }
    }

    fn relay_typing(&self, name: &UserName, target: &Target, typing: bool, turn: &mut Turn<'_>) {
        let own = self.roster.users().find(name.as_str());
        match target {
            Target::Room(key) => {
                let own: Vec<ConnId> = own.into_iter().flat_map(|own| self.roster.json_devices(own)).collect();
                let room = self.roster.room(*key).name.as_str();
                let typing = answer::Typing { room_id: Some(room), user_id: name.as_str(), typing };
                turn.out.say_in(room::topic(*key, Dialect::Json), &own, &typing);
            }
            Target::User(to) => {
                let Some(to) = self.roster.users().find(to.as_str()).filter(|&to| own != Some(to)) else { return };
                let typing = answer::Typing { room_id: None, user_id: name.as_str(), typing };
                turn.out.say_each(self.roster.json_devices(to), &typing);
            }
        }
    }

    /// The room of a name that the session asked to be in; to an operator, any.
    pub(super) fn wanted_room(&self, conn: ConnId, name: &str) -> Result<u32, Refusal> {
        if self.is_operator(conn) {
            return self.known_room(name);
        }
        let session = self.roster.session(conn);
        match self.roster.rooms().find(name).filter(|&room| session.is_some_and(|session| session.wants(room))) {
            Some(room) => Ok(room),
            None => {
                super::hall::room_name(name)?;
                // The same words whether or not the room exists.
                Err(Refusal::new(Code::NotJoined, "expected a room that this session has joined, found another one"))
            }
        }
    }
}

/// `true` is relayed this often at most.
const TRUE_EVERY: Duration = Duration::from_secs(3);

/// Whoever says nothing more has stopped after this time.
const ENDS_AFTER: Duration = Duration::from_secs(6);

/// Pairs of a user and a place. Past this, typing is not relayed; nobody misses a message by it.
const MAX_TYPISTS: usize = 1 << 16;
