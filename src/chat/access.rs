//! What a session may do, by the grant of its token and by the settings.
//!
//! A session with a token holds a [`Grant`]; where everybody is let in there is none. At the end of the grant the
//! session is warned, goes on for a grace, and is closed unless `auth` has brought another token of the same user.

use std::time::Duration;

use super::auth::{Grant, TokenError};
use super::delivery::TurnedAway;
use super::farewell::Farewell;
use super::hall::Hall;
use super::name::{RoomName, UserName};
use super::rules::{Key, Values, Whom};
use super::settings::{Settings, Who};
use super::timers::Timer;
use super::turn::Turn;
use super::wire::{Code, Refusal};
use crate::id::ConnId;
use crate::time::Tick;

impl Hall {
    /// The session holds this grant from now on.
    pub(super) fn take_grant(&mut self, conn: ConnId, grant: Grant, turn: &Turn<'_>) {
        // Timers do not follow the wall clock when it jumps; its reading when the token was shown counts.
        let left = Duration::from_millis(grant.expires_ms.saturating_sub(turn.now.unix_ms));
        self.timers.cancel(Timer::Unproven(conn));
        self.timers.cancel(Timer::Expired(conn));
        self.timers.set(Timer::Expires(conn), turn.now.tick + left);
        self.rights.begin(conn, grant);
    }

    /// The keys were read again: a grant of one that is gone ends now, as by its time. It is warned, and has the grace.
    pub(super) fn end_grants_without_a_key(&mut self, now: Tick) {
        for conn in self.rights.without_a_key() {
            if self.timers.is_set(&Timer::Expires(conn)) {
                self.timers.cancel(Timer::Expires(conn));
                self.timers.set(Timer::Expires(conn), now);
            }
        }
    }

    /// The connection has ended.
    pub(super) fn drop_grant(&mut self, conn: ConnId) {
        if !self.rights.are_everybodys() {
            self.rights.end(conn);
            for timer in [Timer::Unproven(conn), Timer::Expires(conn), Timer::Expired(conn)] {
                self.timers.cancel(timer);
            }
        }
    }

    /// The token is not valid.
    pub(super) fn turn_back(&mut self, conn: ConnId, error: TokenError, turn: &mut Turn<'_>) {
        turn.out.turned_away(conn, TurnedAway::Token(error));
        self.dismiss(conn, Farewell::bad_token(error), turn);
    }

    /// Checks that the token is for that room, and that nothing that is set for it keeps the session out. The error has
    /// the same words whether or not the room exists.
    pub(super) fn may_visit(&self, conn: ConnId, room: &str) -> Result<(), Refusal> {
        self.may_visit_as(conn, room, false)
    }

    /// The same of a session that takes a name first, if `named`.
    pub(super) fn may_visit_as(&self, conn: ConnId, room: &str, named: bool) -> Result<(), Refusal> {
        if self.rights.grant(conn).is_some_and(|grant| !grant.may_enter(room)) {
            let message = "`room_id`: expected a room that the token is for, found another one";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        match self.set_for(Key::Join, room).and_then(|values| values.join.as_ref()) {
            Some(whom) if !self.is_one_of(conn, whom, Grant::may_moderate, named) => {
                let message = "`room_id`: expected a room that the session may be in, found another one";
                Err(Refusal::ruled(Key::Join, message))
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing that is set for the room keeps the session out.
    pub(super) fn may_be_in(&self, conn: ConnId, room: u32) -> bool {
        let room = self.roster.room(room);
        let set = self.ruled.find(Key::Join, &room.name, Some(&room.ruled));
        let whom = set.and_then(|values| values.join.as_ref());
        whom.is_none_or(|whom| self.is_one_of(conn, whom, Grant::may_moderate, false))
    }

    /// Checks that nothing that is set for the room by now keeps out a session that has come in: until it has left, it
    /// can do nothing there.
    pub(super) fn may_stay_in(&self, conn: ConnId, room: u32) -> Result<(), Refusal> {
        match self.may_be_in(conn, room) {
            true => Ok(()),
            false => {
                let message = "expected a room that the session may be in, found one that it may be in no longer";
                Err(Refusal::ruled(Key::Join, message))
            }
        }
    }

    /// The room of a name, if the session has asked to be in it and may be in it still; for an operator, any.
    pub(super) fn room_to_use(&self, conn: ConnId, name: &str) -> Result<u32, Refusal> {
        let room = self.wanted_room(conn, name)?;
        self.may_stay_in(conn, room)?;
        Ok(room)
    }

    /// Whether a session may still be shown what was read for it in a room: a late store may bring that behind a kick,
    /// or behind what was set since.
    pub(super) fn may_still_read(&self, conn: ConnId, room: u32) -> bool {
        let is_there = || self.roster.session(conn).is_some_and(|session| session.may_read(room));
        self.operators.has(conn) || is_there() && self.may_be_in(conn, room)
    }

    /// Checks that nothing that is set for the room keeps the session from being heard there.
    pub(super) fn may_speak(&self, conn: ConnId, room: u32) -> Result<(), Refusal> {
        let room = self.roster.room(room);
        self.may_speak_where(conn, self.ruled.find(Key::Speak, &room.name, Some(&room.ruled)))
    }

    /// The same of the room of a name, whether or not there is one.
    pub(super) fn may_speak_in_named(&self, conn: ConnId, room: &str) -> Result<(), Refusal> {
        self.may_speak_where(conn, self.set_for(Key::Speak, room))
    }

    fn may_speak_where(&self, conn: ConnId, set: Option<&Values>) -> Result<(), Refusal> {
        match set.and_then(|values| values.speak.as_ref()) {
            Some(whom) if !self.is_one_of(conn, whom, Grant::may_moderate, false) => {
                let message = "expected a session that may speak in the room, found one that may not";
                Err(Refusal::ruled(Key::Speak, message))
            }
            _ => Ok(()),
        }
    }

    /// Whether anybody who is let in may speak in the room, as far as it is set.
    pub(super) fn is_for_everybody_to_speak(&self, room: u32) -> bool {
        let room = self.roster.room(room);
        let set = self.ruled.find(Key::Speak, &room.name, Some(&room.ruled)).and_then(|values| values.speak.as_ref());
        set.is_none_or(|whom| *whom == Whom::Everybody)
    }

    /// What is set for a key in the room of a name, whether or not there is one.
    pub(super) fn set_for(&self, key: Key, room: &str) -> Option<&Values> {
        if self.ruled.is_empty() {
            return None;
        }
        match self.roster.rooms().find(room) {
            Some(room) => {
                let room = self.roster.room(room);
                self.ruled.find(key, &room.name, Some(&room.ruled))
            }
            // What is no name is refused for that.
            None => self.ruled.find(key, &RoomName::parse(room).ok()?, None),
        }
    }

    /// Whether the session is one of those; `role` says what a token must have, and `named` that it has a name, or is
    /// taking one.
    fn is_one_of(&self, conn: ConnId, whom: &Whom, role: fn(&Grant) -> bool, named: bool) -> bool {
        if self.operators.has(conn) {
            return true;
        }
        let user = || self.user_of(conn).map(|user| self.roster.user(user));
        match whom {
            Whom::Everybody => true,
            Whom::Named => named || user().is_some_and(|user| !user.guest),
            Whom::Role => self.rights.grant(conn).is_some_and(role),
            Whom::Operator => false,
            // A name is somebody's only where there are tokens.
            Whom::These(names) => {
                self.rights.grant(conn).is_some() && user().is_some_and(|user| names.binary_search(&user.name).is_ok())
            }
        }
    }

    pub(super) fn may_announce(&self, conn: ConnId, settings: &Settings) -> bool {
        settings.anybody_may_announce
            || self.operators.has(conn)
            || self.rights.grant(conn).is_some_and(Grant::may_announce)
    }

    /// Whether the session may delete messages of others.
    pub(super) fn may_moderate(&self, conn: ConnId) -> bool {
        self.operators.has(conn) || self.rights.grant(conn).is_some_and(Grant::may_moderate)
    }

    /// Whether the session may change the titles and the topics of the rooms that it is in. A guest may not: nobody
    /// would know whom to ask about it.
    pub(super) fn may_change_topics(&self, conn: ConnId, settings: &Settings) -> bool {
        let is_guest = || self.user_of(conn).is_none_or(|user| self.roster.user(user).guest);
        match settings.topics {
            _ if self.operators.has(conn) => true,
            Who::Members => !is_guest(),
            Who::Moderators => self.may_moderate(conn),
            Who::Operator => false,
        }
    }

    /// Checks that the session, which takes a name first if `named`, may make the room of that name. What is set for
    /// the room comes before the setting for all.
    pub(super) fn may_create(
        &self,
        conn: ConnId,
        room: &str,
        named: bool,
        settings: &Settings,
    ) -> Result<(), Option<Key>> {
        let set = self.set_for(Key::Make, room).and_then(|values| values.make.as_ref());
        let may = match set {
            Some(whom) => self.is_one_of(conn, whom, Grant::may_create, named),
            None => {
                settings.anybody_may_create
                    || self.operators.has(conn)
                    || self.rights.grant(conn).is_some_and(Grant::may_create)
            }
        };
        if may { Ok(()) } else { Err(set.map(|_| Key::Make)) }
    }

    /// Whether the name is reserved: where anybody may take any name, nobody may take the one in which calls speak.
    /// With tokens, their signer decides.
    pub(super) fn is_kept_for_the_operator(&self, name: &UserName) -> bool {
        self.rights.are_everybodys() && name.as_str().eq_ignore_ascii_case(DEFAULT_SENDER)
    }
}

/// The name in which a call speaks if it names nobody.
pub(super) const DEFAULT_SENDER: &str = "server";
