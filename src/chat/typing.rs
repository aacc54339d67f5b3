//! Typing notices, sent neither too often nor for too long.
//!
//! `true` ends [`ENDS_AFTER`] the last one; `false` is relayed at once, and only if the last thing relayed was `true`.
//! How often `true` is relayed is in `typists`.

use std::time::Duration;

use super::hall::Hall;
use super::name::UserName;
use super::roster::room;
use super::roster::session::Dialect;
use super::timers::Timer;
use super::turn::Turn;
use super::typists::{Begun, TRUE_EVERY, Target};
use super::wire::Refusal;
use super::wire::answer;
use super::wire::request::Place;
use super::wire::word::Word;
use crate::backend::Audience;
use crate::id::ConnId;

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
            // Ignore typing until the session has entered: a session that never entered never leaves, so nothing would
            // end its typing.
            if !self.roster.session(conn).is_some_and(|session| session.is_inside(room)) {
                return Ok(());
            }
            // Nobody is to wait for what will not be heard; that it comes no more, everybody may say.
            if typing && (!self.may_be_in(conn, room) || self.may_speak(conn, room).is_err()) {
                return Ok(());
            }
        }
        let name = self.roster.user(user).name.clone();
        if !typing {
            self.stop_typing(&name, target, turn);
            return Ok(());
        }
        let key = (name, target);
        let begun = self.typists.begin(&key, !self.allowance.is_spent(), false, turn.now.tick);
        if begun == Begun::Relayed {
            self.relay_typing(&key.0, &key.1, true, turn);
            self.tell_of_typing(&key.0, &key.1, true);
        }
        if begun != Begun::Ignored {
            self.timers.set(Timer::Typing(Box::new(key)), turn.now.tick + ENDS_AFTER);
        }
        Ok(())
    }

    /// The user sent a message, or has stopped typing. The last notice stays known for as long as it throttles.
    pub(super) fn stop_typing(&mut self, name: &UserName, target: Target, turn: &mut Turn<'_>) {
        if self.typists.is_empty() {
            return;
        }
        let key = (name.clone(), target);
        if let Some((forget_at, afar)) = self.typists.stop(&key) {
            self.relay_typing(&key.0, &key.1, false, turn);
            if !afar {
                self.tell_of_typing(&key.0, &key.1, false);
            }
            self.timers.set(Timer::Typing(Box::new(key)), forget_at);
        }
    }

    /// The user leaves the place, or the timer has come.
    pub(super) fn end_typing(&mut self, name: &UserName, target: Target, turn: &mut Turn<'_>) {
        if self.typists.is_empty() {
            return;
        }
        let key = (name.clone(), target);
        if let Some((was_on, afar)) = self.typists.end(&key) {
            if was_on {
                self.relay_typing(&key.0, &key.1, false, turn);
            }
            if was_on && !afar {
                self.tell_of_typing(&key.0, &key.1, false);
            }
            self.timers.cancel(Timer::Typing(Box::new(key)));
        }
    }

    /// Somebody on another node types, or has stopped.
    pub(super) fn types_afar(&mut self, name: UserName, target: Target, typing: bool, turn: &mut Turn<'_>) {
        if !typing {
            return self.stop_typing(&name, target, turn);
        }
        let key = (name, target);
        let begun = self.typists.begin(&key, !self.allowance.is_spent(), true, turn.now.tick);
        if begun == Begun::Relayed {
            self.relay_typing(&key.0, &key.1, true, turn);
        }
        if begun != Begun::Ignored {
            // The other node says when it ends, but if it is no more.
            self.timers.set(Timer::Typing(Box::new(key)), turn.now.tick + ENDS_AFTER + TRUE_EVERY);
        }
    }

    /// Other nodes hear of somebody who types here.
    fn tell_of_typing(&mut self, name: &UserName, target: &Target, on: bool) {
        let Self { others, roster, .. } = self;
        let to = match target {
            Target::Room(room) if !roster.is_heard_abroad(*room) => return,
            Target::Room(room) => Audience::Room(roster.room(*room).name.as_str()),
            Target::User(to) => Audience::User(to.as_str()),
        };
        others.tell(to, &Word::Typing { user: name.as_str().into(), on });
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
}

/// A user who sends nothing more has stopped after this time.
const ENDS_AFTER: Duration = Duration::from_secs(6);
