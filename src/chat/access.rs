//! What a session may do, by the grant of its token and by the settings.
//!
//! A session with a token holds a [`Grant`]; where everybody is let in there is none. At the end of the grant the
//! session is warned, goes on for a grace, and is closed unless `auth` has brought another token of the same user.

use std::time::Duration;

use super::auth::{Grant, TokenError};
use super::delivery::TurnedAway;
use super::farewell::Farewell;
use super::hall::Hall;
use super::name::UserName;
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

    /// Checks that the token is for that room. The error has the same words whether or not the room exists.
    pub(super) fn may_visit(&self, conn: ConnId, room: &str) -> Result<(), Refusal> {
        match self.rights.grant(conn).is_none_or(|grant| grant.may_enter(room)) {
            true => Ok(()),
            false => {
                let message = "`room_id`: expected a room that the token is for, found another one";
                Err(Refusal::new(Code::Forbidden, message))
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

    /// Whether the session may change the topics of the rooms that it is in. A guest may not: nobody would know whom to
    /// ask about it.
    pub(super) fn may_change_topics(&self, conn: ConnId, settings: &Settings) -> bool {
        let is_guest = || self.user_of(conn).is_none_or(|user| self.roster.user(user).guest);
        match settings.topics {
            _ if self.operators.has(conn) => true,
            Who::Members => !is_guest(),
            Who::Moderators => self.may_moderate(conn),
            Who::Operator => false,
        }
    }

    pub(super) fn may_create(&self, conn: ConnId, settings: &Settings) -> bool {
        settings.anybody_may_create
            || self.operators.has(conn)
            || self.rights.grant(conn).is_some_and(Grant::may_create)
    }

    /// Whether the name is reserved: where anybody may take any name, nobody may take the one in which calls speak.
    /// With tokens, their signer decides.
    pub(super) fn is_kept_for_the_operator(&self, name: &UserName) -> bool {
        self.rights.are_everybodys() && name.as_str().eq_ignore_ascii_case(DEFAULT_SENDER)
    }
}

/// The name in which a call speaks if it names nobody.
pub(super) const DEFAULT_SENDER: &str = "server";
