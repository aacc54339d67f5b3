//! Tokens of sessions: the one that a session shows first, the one that renews it, and the end when neither comes in
//! time.
//!
//! `access` knows the rights of a grant; a [`Verifier`](super::Verifier) checks tokens.

use super::ask::Ask;
use super::delivery::TurnedAway;
use super::farewell::Farewell;
use super::hall::Hall;
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::wire::answer::Ack;
use super::wire::request::Request;
use super::wire::{Code, Refusal};
use crate::id::ConnId;

impl Hall {
    /// A text of a session that has shown no token. Only `auth` is answered.
    pub(super) fn unproven_text(&mut self, conn: ConnId, text: &str, ctx: &mut Ctx<'_>) {
        let Some((id, request)) = self.read_request(conn, text, ctx) else { return };
        if let Ok(Request::Auth { token }) = request {
            match self.rights.verify(&token, ctx.now.unix_ms) {
                Ok(grant) => {
                    let user = grant.user.clone();
                    self.take_grant(conn, grant, ctx);
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
        if self.rights.are_everybodys() {
            let message = "expected a type that a server without tokens knows, found \"auth\"";
            return Err(Refusal::new(Code::UnknownType, message));
        }
        let grant = self.rights.verify(token, ctx.now.unix_ms).map_err(|error| {
            ctx.out.turned_away(ask.conn, TurnedAway::Token(error));
            Refusal::new(Code::Unauthorized, error.as_str())
        })?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        if self.roster.user(user).name != grant.user {
            let message = "`token`: expected one of the user of this session, found another user's";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        let expires_at = grant.expires_ms;
        self.take_grant(ask.conn, grant, ctx);
        // By its rooms, and by its roles where these are asked for.
        let closed: Vec<u32> = match self.roster.session(ask.conn) {
            None => return Ok(()),
            Some(session) => {
                let seats = session.seats.iter().map(|seat| seat.room);
                let name = |room| self.roster.room(room).name.as_str();
                seats.filter(|&room| self.may_visit(ask.conn, name(room)).is_err()).collect()
            }
        };
        ctx.out.answer(ask, &Ack::Authorized { expires_at });
        for room in closed {
            self.put_out(ask.conn, room, None, ctx);
        }
        Ok(())
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
}

/// Frames of any kind before `auth`.
const MAX_UNPROVEN_FRAMES: u32 = 10;
