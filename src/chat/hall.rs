//! The hall: the state of the chat, each part with fields of its own, and the functions that every subject needs.
//!
//! The files of the subjects do the work, each in an `impl Hall`; `dispatch` hands them the input. They import this
//! file, and it imports none of them.

use std::time::Duration;

use super::allowance::Allowance;
use super::ask::Ask;
use super::bans::Bans;
use super::checks::{not_joined, read_safely, room_name, unknown_user, user_name};
use super::counts::Counts;
use super::cursor::Cursors;
use super::delivery::TurnedAway;
use super::door::Door;
use super::farewell::Farewell;
use super::lists::Lists;
use super::name::UserName;
use super::operators::Operators;
use super::others::Others;
use super::rate_limit::Buckets;
use super::readers::Readers;
use super::retry::Said;
use super::rights::Rights;
use super::roster::Roster;
use super::roster::session::{Dialect, NOBODY};
use super::round::Round;
use super::ruled::Ruled;
use super::settings::Connections;
use super::timers::{Timer, Timers};
use super::turn::Turn;
use super::typists::Typists;
use super::waiting::Waitings;
use super::watches::Watches;
use super::wire::answer;
use super::wire::plain;
use super::wire::request;
use super::wire::{Code, Refusal};
use crate::backend::Backend;
use crate::id::ConnId;
use crate::proto::CloseCode;
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Hall {
    pub random: Random,
    pub roster: Roster,
    pub timers: Timers<Timer>,
    pub typists: Typists,
    pub said: Said,
    pub buckets: Buckets,
    pub watches: Watches,
    pub waiting: Waitings,
    /// Connections to which the first answer is owed since the last turn, or no more.
    pub owing: Vec<ConnId>,
    pub lists: Lists,
    pub counts: Counts,
    pub readers: Readers,
    pub rights: Rights,
    pub ruled: Ruled,
    /// Of sessions, which leave the rooms that they may be in no longer.
    pub staying: Round,
    pub bans: Bans,
    pub cursors: Cursors,
    /// Calls that wait for their answer, by connection, and the names in which they speak. By name and not by key: a
    /// user who is forgotten before the answer comes is simply not found.
    pub operators: Operators,
    /// The values of connections for `welcome`.
    pub connections: Connections,
    /// Whether the backend keeps messages.
    pub keeps: bool,
    pub others: Others,
    pub allowance: Allowance,
}

impl Hall {
    pub fn new(mut random: Random, store: &dyn Backend) -> Self {
        let strewing = Random::from(random.draw());
        let keyed = &random.keyed();
        let mut roster = Roster::new(keyed);
        if store.is_shared() {
            roster.share();
        }
        Self {
            roster,
            timers: Timers::new(keyed),
            typists: Typists::new(keyed),
            said: Said::new(keyed),
            buckets: Buckets::new(strewing, keyed),
            watches: Watches::new(keyed),
            waiting: Waitings::default(),
            owing: Vec::new(),
            lists: Lists::default(),
            counts: Counts::default(),
            readers: Readers::new(keyed),
            rights: Rights::new(keyed),
            ruled: Ruled::default(),
            staying: Round::default(),
            bans: Bans::default(),
            cursors: Cursors::new(random.keyed()),
            operators: Operators::new(keyed),
            connections: Connections::default(),
            keeps: store.keeps(),
            others: Others::new(store.is_shared()),
            allowance: Allowance::default(),
            random,
        }
    }

    /// Something has ended, so its table may be too large: all tables shrink in a moment.
    pub fn slacken(&mut self, turn: &Turn<'_>) {
        if !self.timers.is_set(&Timer::Slack) {
            self.timers.set(Timer::Slack, turn.now.tick + SLACK_EVERY);
        }
    }

    pub fn sweep_later(&mut self, turn: &Turn<'_>) {
        if !self.timers.is_set(&Timer::Sweep) {
            let every = (turn.settings.empty_room_age / 8).clamp(MIN_SWEEP, MAX_SWEEP);
            self.timers.set(Timer::Sweep, turn.now.tick + every);
        }
    }

    /// Refuses a request of a session with an error.
    pub fn refuse(&mut self, ask: Ask<'_>, refusal: &Refusal, turn: &mut Turn<'_>) {
        self.counts.errors += 1;
        if let Some(key) = refusal.ruled {
            self.counts.ruled_out[key as usize] += 1;
        }
        if self.operators.has(ask.conn) {
            return turn.out.refuse(ask, refusal);
        }
        let Some(session) = self.roster.open_session(ask.conn) else { return };
        match session.dialect {
            Dialect::Json => turn.out.answer(ask, &answer::Error::from(refusal)),
            Dialect::Plain => {
                let room = session.seats.first().map_or("", |seat| self.roster.room(seat.room).name.as_str());
                turn.out.send(ask.conn, |out| plain::error(out, &refusal.message, room));
            }
        }
    }

    /// Says goodbye, where the dialect has a word for it, and closes.
    pub fn dismiss(&mut self, conn: ConnId, farewell: Farewell, turn: &mut Turn<'_>) {
        let Some(session) = self.roster.open_session(conn) else { return };
        let room = session.seats.first().map_or("", |seat| self.roster.room(seat.room).name.as_str());
        Self::say_farewell(conn, session.dialect, room, farewell, turn);
        self.close(conn, farewell.code, farewell.reason, turn);
    }

    /// Says goodbye to a connection that will not be a session, and closes it.
    pub fn turn_away(conn: ConnId, door: &Door, turn: &mut Turn<'_>) {
        let (dialect, room) = match door.room() {
            None => (Dialect::Json, ""),
            Some(room) => (Dialect::Plain, room.as_str()),
        };
        let farewell = Farewell::TOO_MANY_CONNECTIONS;
        Self::say_farewell(conn, dialect, room, farewell, turn);
        turn.out.close(conn, farewell.code, farewell.reason);
    }

    fn say_farewell(conn: ConnId, dialect: Dialect, room: &str, farewell: Farewell, turn: &mut Turn<'_>) {
        let Farewell { why, back_after_ms, until, reason, .. } = farewell;
        match dialect {
            Dialect::Json => {
                let after_ms = back_after_ms.unwrap_or(0);
                let reconnect = back_after_ms.is_some();
                turn.out.say(conn, &answer::Goodbye { reason: why, reconnect, after_ms, until });
            }
            Dialect::Plain => turn.out.send(conn, |out| plain::error(out, reason, room)),
        }
    }

    /// Says goodbye to a session of a name that is banned.
    pub(super) fn turn_out(&mut self, conn: ConnId, name: &str, turn: &mut Turn<'_>) {
        turn.out.turned_away(conn, TurnedAway::Banned);
        self.dismiss(conn, Farewell::banned(self.bans.until(name)), turn);
    }

    /// Reads a request. A mistake of ours in that costs this session alone.
    pub(super) fn read_request<'t>(
        &mut self,
        conn: ConnId,
        text: &'t str,
        turn: &mut Turn<'_>,
    ) -> Option<request::Read<'t>> {
        turn.out.note_json(text);
        let read = read_safely(|| request::parse(text));
        if read.is_none() {
            self.counts.panics += 1;
            self.close(conn, CloseCode::INTERNAL_ERROR, "internal error", turn);
        }
        read
    }

    /// Asks for the connection to be closed. The rest is done when it is closed.
    pub fn close(&mut self, conn: ConnId, code: CloseCode, reason: &'static str, turn: &mut Turn<'_>) {
        if self.roster.begin_close(conn) {
            turn.out.close(conn, code, reason);
        }
    }

    /// The user of the session, or the user in whose name a call speaks.
    pub fn user_of(&self, conn: ConnId) -> Option<u32> {
        let session = self.roster.session(conn).map(|session| session.user);
        let caller = || self.roster.users().find(self.operators.name(conn)?.as_str());
        session.or_else(caller).filter(|&user| user != NOBODY)
    }

    /// The user of the session, if what they have read is known: a guest has no marks, and a plain session no word for
    /// them.
    pub fn marking_user(&self, conn: ConnId) -> Option<&UserName> {
        let session = self.roster.session(conn)?;
        let user = Some(session.user).filter(|&user| user != NOBODY && session.dialect == Dialect::Json)?;
        Some(self.roster.user(user)).filter(|user| !user.guest).map(|user| &user.name)
    }

    /// There is no room for another device of the user. Some may be dead without a sign: all are asked at once, so that
    /// there is room when the refused one comes back. This happens seldom, because each answer costs a frame.
    pub fn ask_devices(&mut self, user: u32, turn: &mut Turn<'_>) {
        if self.roster.may_ask_devices(user, ASK_EVERY_SECONDS, turn.now.tick) {
            self.roster.open_devices(user).for_each(|device| turn.out.ask(device));
        }
    }

    /// The room of a name, if there is one.
    pub(super) fn known_room(&self, name: &str) -> Result<u32, Refusal> {
        match self.roster.rooms().find(name) {
            Some(room) => Ok(room),
            None => {
                room_name(name)?;
                Err(Refusal::new(Code::RoomNotFound, "expected the name of a room, found an unknown name"))
            }
        }
    }

    /// The room of a name, if the session has asked to be in it; for an operator, any. Whether it may be in it still,
    /// `access` says.
    pub(super) fn wanted_room(&self, conn: ConnId, name: &str) -> Result<u32, Refusal> {
        if self.operators.has(conn) {
            return self.known_room(name);
        }
        let session = self.roster.session(conn);
        match self.roster.rooms().find(name).filter(|&room| session.is_some_and(|session| session.wants(room))) {
            Some(room) => Ok(room),
            None => {
                room_name(name)?;
                Err(not_joined())
            }
        }
    }

    /// The user of a name, if there was ever one.
    pub fn known_user(&self, name: &str) -> Result<u32, Refusal> {
        match self.roster.users().find(name) {
            Some(user) => Ok(user),
            None => user_name(name).and_then(|_| Err(unknown_user())),
        }
    }

    /// The name of somebody with whom one may have spoken: a guest who has gone is forgotten, and what was said is not.
    pub fn partner(&self, name: &str) -> Result<UserName, Refusal> {
        match self.roster.users().find(name) {
            Some(user) => Ok(self.roster.user(user).name.clone()),
            None => user_name(name),
        }
    }
}

/// How often tables shrink, at most.
const SLACK_EVERY: Duration = Duration::from_secs(1);

/// The most memory that something new takes, about, with its part of all growing tables: an empty room, a user in a
/// room with one session, a user who is known, a watched user, two users who write to each other. Names are counted
/// beside.
pub(super) const ROOM_BYTES: usize = 1536;
pub(super) const SEAT_BYTES: usize = 512;
pub(super) const USER_BYTES: usize = 512;
pub(super) const WATCH_BYTES: usize = 256;
pub(super) const PAIR_BYTES: usize = 1024;

/// How often the devices of one user are asked whether they are there, at most.
const ASK_EVERY_SECONDS: u32 = 10;

/// Old messages are looked for at least and at most this often, or eight times in their life.
const MIN_SWEEP: Duration = Duration::from_secs(1);
const MAX_SWEEP: Duration = Duration::from_secs(60);
