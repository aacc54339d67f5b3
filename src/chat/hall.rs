//! The hall: all that the chat knows, and the way in and out of it.
//!
//! Requests come in here and are handed to the file of their subject; what the backend answers goes through
//! [`Hall::learn`]. The hall never asks the backend while it listens to it.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use super::auth::{Grant, Verifier};
use super::delivery::TurnedAway;
use super::farewell::Farewell;
use super::moderation::Bans;
use super::name::{RoomName, UserName};
use super::rate_limit::{ANNOUNCE_RATE, Address, Buckets, Payer, SWEEP_EVERY, Verdict};
use super::replay::{Replay, Replays};
use super::retry::Said;
use super::roster::Roster;
use super::roster::room;
use super::roster::session::{Dialect, NOBODY};
use super::settings::{Connections, Rate, Settings};
use super::timers::{Timer, Timers};
use super::turn::{Ask, Ctx, Turn};
use super::typing::Typing;
use super::waiting::{Found, Waiting};
use super::watches::Watches;
use super::wire::answer::{self, Ack};
use super::wire::request::{self, Request};
use super::wire::{Code, Id, Refusal, plain};
use super::{Counts, Door, Shows};
use crate::backend::News;
use crate::id::ConnId;
use crate::proto::CloseCode;
use crate::random::Random;
use crate::slack;
use crate::time::Tick;

#[derive(Debug)]
pub(super) struct Hall {
    pub random: Random,
    pub roster: Roster,
    pub timers: Timers<Timer>,
    pub typing: Typing,
    pub said: Said,
    pub buckets: Buckets,
    pub watches: Watches,
    pub waiting: Slab<Waiting>,
    pub counts: Counts,
    pub replays: Replays,
    /// Knows tokens; `None`: everybody is let in.
    pub verifier: Option<Rc<dyn Verifier>>,
    /// What tokens grant. Not in the sessions, which are small and mostly without.
    pub grants: HashMap<ConnId, Grant>,
    pub bans: Bans,
    /// Calls that wait for their answer, by connection, and in whose name they are made. By name and not by key: whoever is forgotten
    /// before the answer comes is simply not found.
    pub operators: HashMap<ConnId, Option<UserName>>,
    /// What sessions show that have come in, and are nobody's yet.
    pub showing: HashMap<ConnId, Shows>,
    /// What connections hold to.
    pub connections: Connections,
    /// Whether the backend keeps what is said.
    pub keeps: bool,
    /// Bytes that may be taken for more of everything until the next word about it; `None`: as many as there are.
    pub memory_left: Option<usize>,
}

impl Hall {
    pub fn new(random: Random, keeps: bool) -> Self {
        Self {
            random,
            roster: Roster::default(),
            timers: Timers::default(),
            typing: Typing::default(),
            said: Said::default(),
            buckets: Buckets::new(),
            watches: Watches::default(),
            waiting: Slab::new(),
            counts: Counts::default(),
            replays: Replays::default(),
            verifier: None,
            grants: HashMap::new(),
            bans: Bans::default(),
            operators: HashMap::new(),
            showing: HashMap::new(),
            connections: Connections::default(),
            keeps,
            memory_left: None,
        }
    }

    pub fn open(&mut self, conn: ConnId, door: Door, from: Option<Address>, ctx: &mut Ctx<'_>) {
        let dialect = if door.room().is_some() { Dialect::Plain } else { Dialect::Json };
        self.roster.open(conn, self.random.draw(), dialect, Payer::nobody(from), ctx.now);
        let door = match door {
            Door::Showing { shows, door } => {
                self.showing.insert(conn, shows);
                *door
            }
            door => door,
        };
        match door {
            Door::Json { user } => self.let_in(Ask::unnamed(conn), user, None, ctx),
            Door::Plain { room, user } => self.let_in(Ask::unnamed(conn), Some(user), Some(room), ctx),
            Door::Token { grant, room } => {
                let user = grant.user.clone();
                self.hold(conn, grant, ctx);
                self.let_in(Ask::unnamed(conn), Some(user), room, ctx);
            }
            Door::Unproven => self.timers.set(Timer::Unproven(conn), ctx.now.tick + ctx.settings.auth_within),
            Door::Refused(error) => self.turn_back(conn, error, ctx),
            // Nobody shows two things.
            Door::Showing { .. } => self.binary(conn, ctx),
        }
    }

    /// The session becomes a device of a user, a guest if there is no name, and is welcomed. A plain one has a room.
    pub fn let_in(&mut self, ask: Ask<'_>, name: Option<UserName>, room: Option<RoomName>, ctx: &mut Ctx<'_>) {
        if name.as_ref().is_some_and(|name| self.is_banned(name.as_str())) {
            return self.turn_out(ask.conn, ctx);
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
        if self.roster.user(user).devices as usize >= ctx.settings.sessions_per_user {
            ctx.out.turned_away(ask.conn, TurnedAway::TooManySessions);
            self.ask_devices(user, ctx);
            self.dismiss(ask.conn, Farewell::TOO_MANY_SESSIONS, ctx);
            return;
        }
        let shows = self.showing.remove(&ask.conn);
        let Some(payer) = self.payer_as(ask.conn, &name) else { return };
        let seen = self.roster.sign_in(ask.conn, user, payer, shows);
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
                    ctx.out.turned_away(ask.conn, TurnedAway::Room);
                    // It has no other room to try: a refusal that stays is the end.
                    let (code, reason) = match refusal.code.retry() {
                        true => (CloseCode::TRY_AGAIN_LATER, "the room cannot be joined now"),
                        false => (CloseCode::POLICY_VIOLATION, "the room cannot be joined"),
                    };
                    self.close(ask.conn, code, reason, ctx);
                }
            }
        }
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
            expires_at: self.grant(ask.conn).map(|grant| grant.expires_ms),
        };
        turn.out.answer(ask, &welcome);
    }

    fn guest_name(&mut self) -> UserName {
        loop {
            let name = format!("guest-{:04x}", self.random.below(0x1_0000));
            // Past some thousand guests, four digits are too few.
            let name = if self.roster.users().find(&name).is_none() {
                name
            } else {
                format!("guest-{:012x}", self.random.draw() >> 16)
            };
            if self.roster.users().find(&name).is_none() {
                return UserName::parse(&name).expect("a guest's name is a good one");
            }
        }
    }

    /// Who pays for what the session does, once it is a device of the user of this name.
    pub fn payer_as(&mut self, conn: ConnId, name: &UserName) -> Option<Payer> {
        let address = self.roster.session(conn)?.payer.address;
        Some(self.buckets.payer(name.as_str(), address))
    }

    pub fn text(&mut self, conn: ConnId, text: &str, ctx: &mut Ctx<'_>) {
        let Some(session) = self.roster.note_text(conn, ctx.now) else { return };
        if session.user == NOBODY {
            return self.unproven_text(conn, text, ctx);
        }
        match session.dialect {
            Dialect::Json => {
                if !self.pay(conn, ctx, || read_safely(|| request::parse_id_within(text)).flatten()) {
                    return;
                }
                let Some((id, request)) = self.read_request(conn, text, ctx) else { return };
                let done = request.and_then(|request| self.request(Ask::new(conn, id.as_ref()), request, ctx));
                if let Err(refusal) = done {
                    self.refuse(Ask::new(conn, id.as_ref()), &refusal, ctx);
                }
            }
            Dialect::Plain => {
                let Some(seat) = session.seats.first().copied() else { return };
                if !self.pay(conn, ctx, || None) {
                    return;
                }
                if let Err(refusal) = self.say_in(Ask::unnamed(conn), seat.room, text, ctx) {
                    self.refuse(Ask::unnamed(conn), &refusal, ctx);
                }
            }
        }
    }

    /// Reads a request. A mistake of ours in that costs this session alone.
    pub fn read_request<'t>(&mut self, conn: ConnId, text: &'t str, turn: &mut Turn<'_>) -> Option<request::Read<'t>> {
        turn.out.note_json(text);
        let read = read_safely(|| request::parse(text));
        if read.is_none() {
            self.counts.panics += 1;
            self.close(conn, CloseCode::INTERNAL_ERROR, "internal error", turn);
        }
        read
    }

    pub fn binary(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        self.close(conn, CloseCode::UNSUPPORTED_DATA, "expected text, found a binary message", turn);
    }

    pub fn ping(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        let Some(session) = self.roster.open_session(conn) else { return };
        if session.user == NOBODY {
            self.roster.note_frame(conn);
            return self.bear_unproven(conn, turn);
        }
        self.pay(conn, turn, || None);
    }

    /// Pays for one frame; if that cannot be paid says so, or closes.
    fn pay<'t>(&mut self, conn: ConnId, turn: &mut Turn<'_>, id: impl FnOnce() -> Option<Id<'t>>) -> bool {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return false };
        let now = turn.now.tick;
        let verdict = self.buckets.pay(payer, turn.settings.rate, turn.settings.full_speed_per_address, now);
        if self.buckets.wants_sweep() {
            self.timers.set(Timer::Buckets, now + SWEEP_EVERY);
        }
        match verdict {
            Verdict::Pass => return true,
            Verdict::Refused { retry_after, crowded } => {
                self.counts.rate_limited += 1;
                let id = id();
                if id.is_some() || self.buckets.tells(payer, now) {
                    let refusal = self.too_fast(payer, retry_after, crowded, turn);
                    self.refuse(Ask::new(conn, id.as_ref()), &refusal, turn);
                }
            }
            Verdict::Abuse => {
                self.counts.rate_limited += 1;
                self.dismiss(conn, Farewell::RATE_ABUSE, turn);
            }
        }
        false
    }

    /// Pays for a list of joins what the frame has not paid for.
    pub fn pay_for_list(&mut self, conn: ConnId, rooms: usize, turn: &Turn<'_>) -> Result<(), Refusal> {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return Ok(()) };
        let Settings { rate, full_speed_per_address: people, .. } = *turn.settings;
        match self.buckets.pay_for_list(payer, rooms, rate, people, turn.now.tick) {
            Verdict::Refused { retry_after, crowded } => {
                self.counts.rate_limited += 1;
                Err(self.too_fast(payer, retry_after, crowded, turn))
            }
            Verdict::Pass | Verdict::Abuse => Ok(()),
        }
    }

    /// Pays for speaking to everybody, which operators and a house without a limit on the rate do not.
    pub fn pay_to_announce(&mut self, conn: ConnId, turn: &Turn<'_>) -> Result<(), Refusal> {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return Ok(()) };
        if turn.settings.rate.is_none() {
            return Ok(());
        }
        self.buckets.pay_to_announce(payer, turn.now.tick).map_err(|retry_after| {
            self.counts.rate_limited += 1;
            let Rate { per_second, burst } = ANNOUNCE_RATE;
            let message = format!(
                "`*`: expected at most {per_second} message a second to everybody, and {burst} at once, found more"
            );
            let mut refusal = Refusal::new(Code::RateLimited, message);
            refusal.retry_after = Some(retry_after);
            refusal
        })
    }

    fn too_fast(&mut self, payer: Payer, retry_after: Duration, crowded: bool, turn: &Turn<'_>) -> Refusal {
        let message = match crowded {
            false => "expected messages at the rate of welcome.limits.rate, found more",
            true => "expected messages at the rate that all at this address have together, found more",
        };
        let mut refusal = Refusal::new(Code::RateLimited, message);
        let people = turn.settings.full_speed_per_address;
        let again = |rate| self.buckets.promise(payer, (retry_after, crowded), rate, people, turn.now.tick);
        refusal.retry_after = Some(turn.settings.rate.map_or(retry_after, again));
        refusal
    }

    pub fn request(&mut self, ask: Ask<'_>, request: Request<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        match request {
            Request::Join { wish, user } => self.join(ask, &wish, user.as_deref(), ctx),
            Request::JoinList { wishes, user } => self.join_list(ask, &wishes, user.as_deref(), ctx),
            Request::Leave { room } => self.leave(ask, &room, ctx),
            Request::Broadcast { room, content } => self.broadcast(ask, room.as_deref(), &content, ctx),
            Request::Direct { to, content } => self.direct(ask, &to, &content, ctx),
            Request::Multicast { to, content } => self.multicast(ask, &to, &content, ctx),
            Request::Typing { place, typing } => {
                self.typing_request(ask.conn, place, typing, ctx)?;
                // The one request that is not answered unless it asks for it.
                if ask.id.is_some() {
                    ctx.out.answer(ask, &Ack::Done {});
                }
                Ok(())
            }
            Request::Status { status, note } => self.set_status(ask, &status, note.as_deref(), ctx),
            Request::PresenceOfRoom { room, subscribe } => self.presence_of_room(ask, &room, subscribe, ctx),
            Request::PresenceOfUsers { users, subscribe } => self.presence_of_users(ask, &users, subscribe, ctx),
            Request::CreateRoom { room, name, topic } => {
                self.create_room(ask, &room, name.as_deref(), topic.as_deref(), ctx)
            }
            Request::Room { room } => self.room_info(ask, &room, ctx),
            Request::Rooms(page) => self.list_rooms(ask, page, ctx),
            Request::Members { room, page } => self.list_members(ask, &room, page, ctx),
            Request::Online(page) => self.list_online(ask, page, ctx),
            Request::History { place, part } => self.history(ask, place, &part, ctx),
            Request::Auth { token } => self.refresh(ask, &token, ctx),
            Request::Ping => {
                let ts = ctx.now.unix_ms;
                ctx.out.answer(ask, &answer::Pong { ts });
                Ok(())
            }
        }
    }

    /// The engine has already taken the connection out of all topics.
    pub fn closed(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        let grace = turn.settings.leave_grace;
        if self.roster.close(conn, turn.now.tick, grace).is_none() {
            return;
        }
        self.slacken(turn);
        self.release(conn);
        self.replays.remove(conn);
        self.timers.cancel(Timer::Replay(conn));
        self.showing.remove(&conn);
        self.watches.end_all(conn);
    }

    pub fn timeout(&mut self, ctx: &mut Ctx<'_>) {
        // The rest is due still, and has the next turns.
        for _ in 0..TIMERS_AT_ONCE {
            if self.is_grace_first() {
                match self.roster.tick(ctx.now.tick) {
                    Some(facts) => self.tell(facts, ctx),
                    None => break,
                }
                continue;
            }
            let Some(timer) = self.timers.pop(ctx.now.tick) else { break };
            match timer {
                Timer::Typing(key) => self.end_typing(&key.0, key.1, ctx),
                Timer::Crowd { room } => self.tell_crowd(room, ctx),
                Timer::Replay(conn) => self.read_on(conn, ctx),
                Timer::Unproven(conn) => self.end_unproven(conn, ctx),
                Timer::Expires(conn) => self.warn_of_expiry(conn, ctx),
                Timer::Expired(conn) => self.end_expired(conn, ctx),
                Timer::Buckets => {
                    self.buckets.sweep(ctx.now.tick);
                    if self.buckets.wants_sweep() {
                        self.timers.set(Timer::Buckets, ctx.now.tick + SWEEP_EVERY);
                    }
                }
                Timer::Slack => {
                    self.give_back();
                    ctx.store.give_back();
                }
                Timer::Ban(name) => self.bans.end(&name),
                Timer::Sweep => {
                    let more = ctx.store.expire(ctx.now.tick);
                    let age = ctx.settings.empty_room_age.as_millis() as u64;
                    let empty_before = ctx.now.tick.0.checked_sub(age).map(Tick);
                    if self.roster.expire_rooms(empty_before, ctx.now.tick) || more {
                        self.sweep_later(ctx);
                    }
                }
            }
        }
    }

    /// Whether a grace is over before anything else is due. At the same tick a user stops typing, then leaves, then is gone, and then comes
    /// the rest.
    fn is_grace_first(&self) -> bool {
        let Some(grace) = self.roster.next_grace() else { return false };
        match self.timers.first() {
            None => true,
            Some((at, Timer::Typing(_))) => grace < at,
            Some((at, _)) => grace <= at,
        }
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub fn next_deadline(&self) -> Option<Tick> {
        [self.timers.next(), self.roster.next_grace()].into_iter().flatten().min()
    }

    /// Something is over, so that its table may be too large: that is seen to in a moment, for all that is over by then.
    pub fn slacken(&mut self, turn: &Turn<'_>) {
        if !self.timers.is_set(&Timer::Slack) {
            self.timers.set(Timer::Slack, turn.now.tick + SLACK_EVERY);
        }
    }

    /// Every table that those who were here have made large gives its room back. Sessions, timers, watches and buckets do so on their own.
    fn give_back(&mut self) {
        self.roster.give_back();
        self.typing.give_back();
        self.said.give_back();
        self.watches.give_back();
        slack::give_back(&mut self.waiting);
        slack::give_back(&mut self.grants);
        slack::give_back(&mut self.operators);
        slack::give_back(&mut self.showing);
    }

    /// Takes so many bytes for something new, if there are as many.
    pub fn take_memory(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Some(left) = &mut self.memory_left else { return Ok(()) };
        *left = left.checked_sub(bytes).ok_or_else(|| {
            Refusal::new(Code::Overloaded, "expected memory for one thing more, found none; what there is goes on")
        })?;
        Ok(())
    }

    /// Whether nothing new is taken on.
    pub fn is_short(&self) -> bool {
        self.memory_left == Some(0)
    }

    pub fn sweep_later(&mut self, turn: &Turn<'_>) {
        if !self.timers.is_set(&Timer::Sweep) {
            let every = (turn.settings.empty_room_age / 8).clamp(MIN_SWEEP, MAX_SWEEP);
            self.timers.set(Timer::Sweep, turn.now.tick + every);
        }
    }

    pub fn shutdown(&mut self, turn: &mut Turn<'_>) {
        let within = turn.settings.return_within.as_millis() as u64;
        for (conn, session) in self.roster.sessions().iter() {
            if session.dialect == Dialect::Json && !session.closing {
                // Each at another time, so that they do not all come back at once.
                let after_ms = self.random.below(within + 1);
                turn.out.say(conn, &answer::Goodbye { reason: answer::EndReason::Shutdown, reconnect: true, after_ms });
            }
        }
    }

    /// The backend has something to say.
    pub fn learn(&mut self, news: News<'_>, turn: &mut Turn<'_>) {
        match news {
            News::Published { conversation, message, ticket } => {
                let asked = ticket.and_then(|ticket| self.answered(ticket));
                self.published(conversation, message, asked, turn);
            }
            News::Page { ticket, head, messages } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.page_read(waiting, Found { head, messages: &messages }, turn);
                }
            }
            News::Failed { ticket } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.failed(waiting, turn);
                }
            }
            News::Emptied { room } => {
                if let Some(key) = self.roster.rooms().find(room) {
                    self.roster.note_emptied(key);
                }
            }
            News::Room { description, keeps } => self.told_of_room(description, keeps, turn),
            News::User { name } => self.told_of_user(name, turn),
        }
    }

    /// Tells a session why its request is not carried out.
    pub fn refuse(&mut self, ask: Ask<'_>, refusal: &Refusal, turn: &mut Turn<'_>) {
        self.counts.errors += 1;
        if self.is_operator(ask.conn) {
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

    /// Says goodbye, where there is a word for it, and closes.
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
        let Farewell { why, back_after_ms, reason, .. } = farewell;
        match dialect {
            Dialect::Json => {
                let after_ms = back_after_ms.unwrap_or(0);
                turn.out.say(conn, &answer::Goodbye { reason: why, reconnect: back_after_ms.is_some(), after_ms });
            }
            Dialect::Plain => turn.out.send(conn, |out| plain::error(out, reason, room)),
        }
    }

    /// Has the connection closed. The rest is done when that has happened.
    pub fn close(&mut self, conn: ConnId, code: CloseCode, reason: &'static str, turn: &mut Turn<'_>) {
        if self.roster.begin_close(conn) {
            turn.out.close(conn, code, reason);
        }
    }

    /// Whose session it is, or in whose name a call is made.
    pub fn user_of(&self, conn: ConnId) -> Option<u32> {
        let session = self.roster.session(conn).map(|session| session.user);
        let caller = || self.roster.users().find(self.operators.get(&conn)?.as_ref()?.as_str());
        session.or_else(caller).filter(|&user| user != NOBODY)
    }

    /// There is no room for another device of the user. Some may be dead and nobody has noticed yet: all are asked at once, so that there is
    /// room when the one that was turned away comes back. Seldom, because each answer costs a frame.
    pub fn ask_devices(&mut self, user: u32, turn: &mut Turn<'_>) {
        if self.roster.may_ask_devices(user, ASK_EVERY_SECONDS, turn.now.tick) {
            self.roster.open_devices(user).for_each(|device| turn.out.ask(device));
        }
    }

    /// The user of a name, if there was ever one.
    pub fn known_user(&self, name: &str) -> Result<u32, Refusal> {
        match self.roster.users().find(name) {
            Some(user) => Ok(user),
            None => {
                user_name(name)?;
                Err(Refusal::new(Code::UserNotFound, "expected a user who has been here, found an unknown name"))
            }
        }
    }
}

/// Reads something of what somebody wrote, which touches nothing else; `None`: a mistake of ours.
pub(super) fn read_safely<T>(read: impl FnOnce() -> T + std::panic::UnwindSafe) -> Option<T> {
    std::panic::catch_unwind(read).ok()
}

/// Reads a room name that a client wrote.
pub(super) fn room_name(name: &str) -> Result<RoomName, Refusal> {
    RoomName::parse(name).map_err(|error| Refusal::new(Code::BadRequest, format!("`room_id`: {error}")))
}

/// Reads a user name that a client wrote.
pub(super) fn user_name(name: &str) -> Result<UserName, Refusal> {
    UserName::parse(name).map_err(|error| Refusal::new(Code::BadRequest, format!("`user_id`: {error}")))
}

/// How often tables give room back, at most.
const SLACK_EVERY: Duration = Duration::from_secs(1);

/// What something new takes in memory at most, about, with its part of all tables as they grow: a room that nobody is in, a user in a room with
/// one session, a user who is known, a watched user, two users who write to each other. Names are counted beside.
pub(super) const ROOM_BYTES: usize = 1536;
pub(super) const SEAT_BYTES: usize = 512;
pub(super) const USER_BYTES: usize = 512;
pub(super) const WATCH_BYTES: usize = 256;
pub(super) const PAIR_BYTES: usize = 1024;

/// How often the devices of one user are asked whether they are there, at most.
const ASK_EVERY_SECONDS: u32 = 10;

/// Timers that are carried out in one turn: a thousand who left a hundred rooms each have as many graces, which end together.
const TIMERS_AT_ONCE: usize = 1024;

/// Old messages are looked for at least and at most this often, or eight times in their life.
const MIN_SWEEP: Duration = Duration::from_secs(1);
const MAX_SWEEP: Duration = Duration::from_secs(60);
