//! How a session begins and ends: the doors, the user whose device it becomes, and the state that a closed connection
//! leaves behind.
//!
//! `access` checks tokens, and `membership` knows who is in which room.

use super::ask::Ask;
use super::delivery::TurnedAway;
use super::door::Door;
use super::farewell::Farewell;
use super::hall::Hall;
use super::name::{RoomName, UserName};
use super::rate_limit::{Address, Payer};
use super::replay::Replay;
use super::roster::room;
use super::roster::session::Dialect;
use super::settings::Rate;
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::wire::answer;
use crate::id::ConnId;
use crate::proto::CloseCode;

impl Hall {
    pub(super) fn open(&mut self, conn: ConnId, door: Door, from: Option<Address>, ctx: &mut Ctx<'_>) {
        let dialect = if door.room().is_some() { Dialect::Plain } else { Dialect::Json };
        self.roster.open(conn, self.random.draw(), dialect, Payer::nobody(from), ctx.now);
        let door = match door {
            Door::Showing { shows, door } => {
                self.roster.note_shows(conn, shows);
                *door
            }
            door => door,
        };
        match door {
            Door::Json { user } => self.let_in(Ask::unnamed(conn), user, None, ctx),
            Door::Plain { room, user } => self.let_in(Ask::unnamed(conn), Some(user), Some(room), ctx),
            Door::Token { grant, room } => {
                let user = grant.user.clone();
                self.take_grant(conn, grant, ctx);
                self.let_in(Ask::unnamed(conn), Some(user), room, ctx);
            }
            Door::Unproven => self.timers.set(Timer::Unproven(conn), ctx.now.tick + ctx.settings.auth_within),
            Door::Refused(error) => self.turn_back(conn, error, ctx),
            // No connection has two of them.
            Door::Showing { .. } => self.binary(conn, ctx),
        }
    }

    /// The session becomes a device of a user, a guest if there is no name, and is welcomed. A plain one has a room.
    pub(super) fn let_in(&mut self, ask: Ask<'_>, name: Option<UserName>, room: Option<RoomName>, ctx: &mut Ctx<'_>) {
        if let Some(banned) = name.as_ref().filter(|name| self.bans.has(name.as_str())) {
            return self.turn_out(ask.conn, banned.as_str(), ctx);
        }
        if name.as_ref().is_some_and(|name| self.is_kept_for_the_operator(name)) {
            return self.dismiss(ask.conn, Farewell::NAME_RESERVED, ctx);
        }
        let guest = name.is_none();
        let name = name.unwrap_or_else(|| self.guest_name());
        let Some(user) = self.roster.know(&name, guest, ctx.settings.max_users) else {
            ctx.out.turned_away(ask.conn, TurnedAway::TooManyUsers);
            self.dismiss(ask.conn, Farewell::TOO_MANY_USERS, ctx);
            return;
        };
        if self.roster.user(user).all_devices() as usize >= ctx.settings.sessions_per_user {
            ctx.out.turned_away(ask.conn, TurnedAway::TooManySessions);
            self.ask_devices(user, ctx);
            self.dismiss(ask.conn, Farewell::TOO_MANY_SESSIONS, ctx);
            return;
        }
        let Some(payer) = self.payer_as(ask.conn, &name) else { return };
        let seen = self.roster.sign_in(ask.conn, user, payer);
        self.tell(seen, ctx);
        match room {
            None => {
                self.welcome(ask, user, ctx.store.durability(), ctx);
                ctx.out.subscribe(ask.conn, room::EVERYBODY);
            }
            Some(room) => {
                let replay = Replay { since: None, history: 0 };
                if let Err(refusal) = self.enter(Ask::unnamed(ask.conn), room.as_str(), replay, None, ctx) {
                    self.refuse(Ask::unnamed(ask.conn), &refusal, ctx);
                    self.close_at_the_door(ask.conn, refusal.code, ctx);
                }
            }
        }
    }

    /// A binary message has come, which neither dialect has.
    pub(super) fn binary(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        self.close(conn, CloseCode::UNSUPPORTED_DATA, "expected text, found a binary message", turn);
    }

    /// The engine has already taken the connection out of all topics.
    pub(super) fn closed(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        let grace = turn.settings.leave_grace;
        if self.roster.close(conn, turn.now.tick, grace).is_none() {
            return;
        }
        self.slacken(turn);
        self.drop_grant(conn);
        self.readers.end(conn);
        self.timers.cancel(Timer::Replay(conn));
        self.watches.end_all(conn);
    }

    fn welcome(&self, ask: Ask<'_>, user: u32, durability: &str, turn: &mut Turn<'_>) {
        let Some(session) = self.roster.session(ask.conn) else { return };
        let user = self.roster.user(user);
        let settings = &turn.settings;
        let limits = answer::Limits {
            message_bytes: self.connections.message_bytes,
            content_bytes: settings.content_bytes,
            rooms: settings.rooms_per_session,
            join_rooms: settings.rooms_per_join(),
            mention_room: self.may_call_up_to(ask.conn, settings),
            rate: settings.rate.map(|Rate { per_second, burst }| answer::Rate { per_second, burst }),
        };
        let welcome = answer::Welcome {
            user_id: user.name.as_str(),
            status: user.status,
            note: user.note.as_deref(),
            session_id: session.id,
            server: &settings.server,
            limits,
            ping_interval_ms: self.connections.ping_after.as_millis() as u64,
            durability,
            expires_at: self.rights.grant(ask.conn).map(|grant| grant.expires_ms),
        };
        turn.out.answer(ask, &welcome);
    }

    /// A name that no guest has had: what an earlier one has said is kept, and is the next one's by its name.
    fn guest_name(&mut self) -> UserName {
        loop {
            let name = format!("guest-{:012x}", self.random.draw() >> 16);
            if self.roster.users().find(&name).is_none() {
                return UserName::parse(&name).expect("a guest's name is a good one");
            }
        }
    }
}
