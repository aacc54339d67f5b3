//! Sessions with tokens: their grants, for how long they hold, and what they allow.
//!
//! A session with a token holds a [`Grant`]; where everybody is let in there is none. At the end of the grant the
//! session is warned, goes on for a grace, and is closed unless `auth` has brought another token of the same user.

use std::rc::Rc;
use std::time::Duration;

use super::ask::Ask;
use super::auth::{Grant, TokenError};
use super::delivery::TurnedAway;
use super::farewell::Farewell;
use super::hall::Hall;
use super::settings::Settings;
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::wire::answer::{Ack, EndReason};
use super::wire::request::Request;
use super::wire::{Code, Refusal};
use crate::id::ConnId;

impl Hall {
    /// The session holds this grant from now on.
    pub(super) fn hold(&mut self, conn: ConnId, grant: Grant, turn: &Turn<'_>) {
        // Timers do not follow the wall clock when it jumps; its reading when the token was shown counts.
        let left = Duration::from_millis(grant.expires_ms.saturating_sub(turn.now.unix_ms));
        self.timers.cancel(Timer::Unproven(conn));
        self.timers.cancel(Timer::Expired(conn));
        self.timers.set(Timer::Expires(conn), turn.now.tick + left);
        self.grants.insert(conn, grant);
    }

    /// The connection has ended.
    pub(super) fn release(&mut self, conn: ConnId) {
        if self.verifier.is_some() {
            self.grants.remove(&conn);
            for timer in [Timer::Unproven(conn), Timer::Expires(conn), Timer::Expired(conn)] {
                self.timers.cancel(timer);
            }
        }
    }

    /// A text of a session that has shown no token. Only `auth` is answered.
    pub(super) fn unproven_text(&mut self, conn: ConnId, text: &str, ctx: &mut Ctx<'_>) {
        let Some((id, request)) = self.read_request(conn, text, ctx) else { return };
        if let Ok(Request::Auth { token }) = request {
            match self.verify(&token, ctx) {
                Ok(grant) => {
                    let user = grant.user.clone();
                    self.hold(conn, grant, ctx);
                    self.let_in(Ask::new(conn, id.as_ref()), Some(user), None, ctx);
                }
                Err(error) => self.turn_back(conn, error, ctx),
            }
            return;
        }
        let message = "expected `auth` with a token as the first message, found another one";
        self.refuse(Ask::new(conn, id.as_ref()), &Refusal::new(Code::Unauthorized, message), ctx);
        self.bear_unproven(conn, ctx);
    }

    /// A frame of a session that has shown no token: there is no user to bill for it, and so only few are allowed.
    pub(super) fn bear_unproven(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        if self.roster.session(conn).is_some_and(|session| session.frames >= MAX_UNPROVEN_FRAMES) {
            turn.out.turned_away(conn, TurnedAway::NoToken);
            self.dismiss(conn, Farewell::TOO_MUCH_BEFORE_A_TOKEN, turn);
        }
    }

    /// Another token for a session that came with one.
    pub(super) fn refresh(&mut self, ask: Ask<'_>, token: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        if self.verifier.is_none() {
            let message = "expected a type that a server without tokens knows, found \"auth\"";
            return Err(Refusal::new(Code::UnknownType, message));
        }
        let grant = self.verify(token, ctx).map_err(|error| {
            ctx.out.turned_away(ask.conn, TurnedAway::Token(error));
            Refusal::new(Code::Unauthorized, error.as_str())
        })?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        if self.roster.user(user).name != grant.user {
            let message = "`token`: expected one of the user of this session, found another user's";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        let expires_at = grant.expires_ms;
        let closed: Vec<u32> = match self.roster.session(ask.conn) {
            None => return Ok(()),
            Some(session) => {
                let seats = session.seats.iter().map(|seat| seat.room);
                seats.filter(|&room| !grant.may_enter(self.roster.room(room).name.as_str())).collect()
            }
        };
        self.hold(ask.conn, grant, ctx);
        ctx.out.answer(ask, &Ack::Authorized { expires_at });
        for room in closed {
            self.put_out(ask.conn, room, None, ctx);
        }
        Ok(())
    }

    /// The session leaves a room that it may be in no longer; `why`, if it hears a reason.
    pub(super) fn put_out(&mut self, conn: ConnId, room: u32, why: Option<EndReason>, ctx: &mut Ctx<'_>) {
        let name = self.roster.room(room).name.clone();
        // Refused also where it is leaving already.
        if self.leave_because(Ask::unnamed(conn), name.as_str(), why, ctx).is_err() && self.roster.ask_out(conn, room) {
            // The store takes no questions now, and this cannot wait.
            self.left(Ask::unnamed(conn), room, why, ctx);
        }
    }

    /// The token has expired: sends an error that says how long there is for another one.
    pub(super) fn warn_of_expiry(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        let grace = turn.settings.token_grace;
        let message = "expected a token that is valid, found one that has expired; send `auth` with a new one";
        let mut refusal = Refusal::new(Code::TokenExpired, message);
        refusal.close_after = Some(grace);
        self.refuse(Ask::unnamed(conn), &refusal, turn);
        self.timers.set(Timer::Expired(conn), turn.now.tick + grace);
    }

    /// The grace is over.
    pub(super) fn end_expired(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        self.dismiss(conn, Farewell::TOKEN_EXPIRED, turn);
    }

    /// No token has come in time.
    pub(super) fn end_unproven(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        turn.out.turned_away(conn, TurnedAway::NoToken);
        self.dismiss(conn, Farewell::NO_TOKEN_IN_TIME, turn);
    }

    /// The token is not valid.
    pub(super) fn turn_back(&mut self, conn: ConnId, error: TokenError, turn: &mut Turn<'_>) {
        turn.out.turned_away(conn, TurnedAway::Token(error));
        self.dismiss(conn, Farewell::bad_token(error), turn);
    }

    /// Checks that the token is for that room. The error has the same words whether or not the room exists.
    pub(super) fn may_visit(&self, conn: ConnId, room: &str) -> Result<(), Refusal> {
        match self.grant(conn).is_none_or(|grant| grant.may_enter(room)) {
            true => Ok(()),
            false => {
                let message = "`room_id`: expected a room that the token is for, found another one";
                Err(Refusal::new(Code::Forbidden, message))
            }
        }
    }

    pub(super) fn may_announce(&self, conn: ConnId, settings: &Settings) -> bool {
        settings.anybody_may_announce || self.is_operator(conn) || self.grant(conn).is_some_and(Grant::may_announce)
    }

    pub(super) fn may_create(&self, conn: ConnId, settings: &Settings) -> bool {
        settings.anybody_may_create || self.is_operator(conn) || self.grant(conn).is_some_and(Grant::may_create)
    }

    /// The grant of the session's token, if it has one.
    pub(super) fn grant(&self, conn: ConnId) -> Option<&Grant> {
        self.grants.get(&conn)
    }

    fn verify(&self, token: &str, turn: &Turn<'_>) -> Result<Grant, TokenError> {
        let verifier = self.verifier.as_ref().map(Rc::clone).ok_or(TokenError::Malformed)?;
        verifier.verify(token, turn.now.unix_ms)
    }
}

/// Frames of any kind before `auth`.
const MAX_UNPROVEN_FRAMES: u32 = 10;
