//! People, rooms, presence, limits and the two wire dialects: text in, deliveries out.
//!
//! The server calls a [`Chat`] for each event of a connection and carries out the [`Deliveries`] it fills. The words of
//! both dialects are described in `docs/wire.md`. Nothing in here knows sockets or frames, or reads a clock: time comes
//! in with every call, and [`Chat::next_deadline`] says when to call again.
//!
//! A *user* has any number of sessions (devices); a *session* is one connection. `membership` has joining and leaving,
//! `replay` the messages that a session has missed, `speech` new messages and `changes` what is done to them, `reading`
//! what users have read, `searching` search, `presence` and `typing` who sees whom, `queries` lists and pages. Requests
//! go through the [`Backend`], and `waiting` keeps their state until it answers, in this turn or a later one.
//!
//! `catalogue` has the rooms and people that the backend knows beside messages.
//!
//! `elsewhere` has what is told to other nodes that share the backend, and what is heard of them.
//!
//! `operator` has the calls of an operator, `moderation` those about people.
//!
//! `rules` has what is set for rooms by name, and which of it wins.
//!
//! `auth` and `access` have the rights of tokens. The chat checks no signatures (a [`Verifier`] does) and does not know
//! addresses, only whether two connections come from the same one.

mod access;
mod allowance;
mod answers;
mod arrival;
mod ask;
mod asking;
pub mod auth;
mod bans;
mod billing;
mod calling;
mod catalogue;
mod changes;
mod checks;
mod counts;
mod cursor;
pub mod delivery;
mod dispatch;
mod door;
mod elsewhere;
mod emoji;
mod farewell;
mod hall;
mod held;
mod left;
mod lists;
mod lives;
#[doc(hidden)]
pub mod measured;
mod membership;
mod moderation;
pub mod name;
mod once;
mod operator;
mod operators;
mod others;
mod owing;
mod presence;
mod queries;
pub mod rate;
mod rate_limit;
mod readers;
mod reading;
mod replay;
mod retry;
mod rights;
mod roster;
mod round;
mod ruled;
pub mod rules;
mod searching;
mod setting;
pub mod settings;
mod speech;
mod staying;
mod tables;
mod tell;
mod timers;
mod tokens;
mod topics;
mod trail;
mod turn;
mod typing;
mod typists;
mod waiting;
mod watches;
mod wire;
mod work;

#[cfg(test)]
mod tests;

pub use auth::{Grant, TokenError, Verifier};
pub use counts::Counts;
pub use delivery::{Deliveries, Delivery, TurnedAway};
pub use door::Door;
pub use farewell::{CLOSE_CODES, NO_PONG};
pub use held::Held;
pub use name::{NameError, RoomName, UserName};
pub use rate_limit::Address;
pub use roster::session::Dialect;
pub use roster::user::Shows;
pub use settings::{Connections, Rate, Settings, Who, remembered_bytes};
pub use wire::Code;
pub use wire::answer::{EndReason, Kind as AnswerKind, Missing};
pub use wire::order::Call;
pub use wire::plain::Kind as PlainKind;
pub use wire::request::Kind as RequestKind;

use std::rc::Rc;
use std::time::Duration;

use hall::Hall;
use roster::session::NOBODY;
use roster::session::Session;
use turn::{Ctx, Turn};

use crate::backend::{Backend, Health, LetGo, Memory, Overloaded, Request, Step, memory};
use crate::id::{ConnId, TopicId};
use crate::random::Random;
use crate::time::{Moment, Tick};

/// One session, as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct SessionInfo<'a> {
    /// Its connection.
    pub conn: ConnId,
    /// Its `welcome.session_id`.
    pub session_id: u64,
    /// Its user.
    pub user: &'a UserName,
    /// Its dialect.
    pub dialect: Dialect,
    /// When it began, in milliseconds since the Unix epoch, to the second.
    pub connected_at: u64,
    /// When it last sent a message, or began.
    pub last_activity: u64,
    /// Messages received.
    pub messages: u32,
    /// How many rooms it is in.
    pub rooms: usize,
}

/// One room, as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct RoomInfo<'a> {
    /// Its name.
    pub name: &'a RoomName,
    /// Users who are in it, also those who lost their connection a moment ago.
    pub members: usize,
    /// Sessions that hear it.
    pub sessions: u32,
    /// Messages said in it in this interval ([`Chat::begin_interval`]).
    pub messages: u32,
    /// The same, each counted once for each session that heard it.
    pub deliveries: u64,
}

/// The chat.
///
/// Events of connections come by `handle_*`; every [`handle_open`](Self::handle_open) is followed by exactly one
/// [`handle_closed`](Self::handle_closed), also for those that the chat itself asked to be closed.
pub struct Chat {
    settings: Settings,
    hall: Hall,
    backend: Box<dyn Backend>,
    /// How much more news of the backend may be carried out before [`handle_backend`](Self::handle_backend) is called.
    news_left: usize,
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Chat {
    /// An empty chat. Rooms and people that the backend announces at once are known from the beginning. `random` makes
    /// session ids and names of guests; use [`Random::secret`] except in tests.
    pub fn new(settings: Settings, backend: Box<dyn Backend>, random: impl Into<Random>) -> Self {
        let mut hall = Hall::new(random.into(), &*backend);
        hall.ruled.begin(settings.rooms.clone());
        let mut chat = Self { settings, hall, backend, news_left: usize::MAX };
        chat.backend.tell_catalogue();
        chat.turn(Moment::default(), &mut Deliveries::new(), |_, _| ());
        chat.news_left = NEWS_AT_ONCE;
        chat
    }

    /// Sets the values of connections that clients hear in `welcome`.
    #[must_use]
    pub fn with_connections(mut self, connections: Connections) -> Self {
        self.hall.connections = connections;
        self
    }

    /// From now on sessions need tokens that `verifier` accepts; a connection without one comes in by
    /// [`Door::Unproven`].
    #[must_use]
    pub fn with_verifier(mut self, verifier: Rc<dyn Verifier>) -> Self {
        self.hall.rights.set_verifier(Some(verifier));
        self
    }

    /// From now on these settings hold, and `verifier` checks tokens. The history and its limits stay as they were; so
    /// do all sessions, also beyond a lower limit, but those whose token is of a key that it does not accept: they have
    /// the grace to show another one. Sessions leave rooms that they may be in no longer, some in each turn.
    pub fn change_settings(&mut self, settings: Settings, verifier: Option<Rc<dyn Verifier>>, now: Moment) {
        if self.hall.ruled.change(settings.rooms.clone()) {
            self.hall.look_who_may_stay(now.tick);
        }
        self.settings = settings;
        self.hall.rights.set_verifier(verifier);
        self.hall.end_grants_without_a_key(now.tick);
    }

    /// A connection is open. `from` is the origin of the connection, if all messages from there have a limit together.
    pub fn handle_open(&mut self, conn: ConnId, door: Door, from: Option<Address>, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.open(conn, door, from, ctx));
    }

    /// A connection is open that is one too many of its address: it hears `goodbye`, and is closed. It never becomes a
    /// session.
    pub fn turn_away(&mut self, conn: ConnId, door: &Door, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |_, ctx| Hall::turn_away(conn, door, ctx));
    }

    /// A text message has come. Nothing happens once the chat has asked for the connection to be closed.
    pub fn handle_text(&mut self, conn: ConnId, text: &str, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.text(conn, text, ctx));
    }

    /// An operator calls, on a connection that is no session, with JSON in `body`. The answer is one [`Delivery::Send`]
    /// or [`Delivery::Refuse`] to that connection, in this turn or, if the backend takes longer, a later one.
    pub fn handle_call(&mut self, conn: ConnId, call: Call, body: &[u8], now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.call(conn, call, body, ctx));
    }

    /// An operator has done something, which the store is to keep in the trail.
    ///
    /// # Errors
    /// When too much waits at the store: then it is not kept.
    pub fn note_step(&mut self, step: Step<'_>) -> Result<(), Overloaded> {
        self.backend.ask(Request::Note { step })
    }

    /// A binary message has come, which neither dialect has: the connection is closed with 1003.
    pub fn handle_binary(&mut self, conn: ConnId, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.binary(conn, ctx));
    }

    /// A ping or pong frame has come. It is answered elsewhere, but costs as much as a message.
    pub fn handle_ping(&mut self, conn: ConnId, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.ping(conn, ctx));
    }

    /// The connection has taken everything up to the last [`Delivery::TellWhenDrained`] about it.
    pub fn handle_drained(&mut self, conn: ConnId, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.drained(conn, ctx));
    }

    /// Connections have left topics, because they take the messages there more slowly than they come; each with the
    /// number of the last one that it was sent. Call it before anything else of the chat.
    pub fn handle_left_behind(
        &mut self,
        behind: impl IntoIterator<Item = (ConnId, TopicId, u64)>,
        now: Moment,
        out: &mut Deliveries,
    ) {
        self.turn(now, out, |hall, ctx| {
            behind.into_iter().for_each(|(conn, topic, heard)| hall.left_behind(conn, topic, heard, ctx));
        });
    }

    /// A connection is closed, and in no topic any more.
    pub fn handle_closed(&mut self, conn: ConnId, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.closed(conn, ctx));
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, Hall::timeout);
    }

    /// The backend has woken the loop, or there [was more](Self::has_more_to_hear) than was heard. Call it once a turn
    /// at most.
    pub fn handle_backend(&mut self, now: Moment, out: &mut Deliveries) {
        self.news_left = NEWS_AT_ONCE;
        self.turn(now, out, |_, _| ());
    }

    /// Rooms for which the store has something set that cannot be read, and why, since this was asked last: nobody but
    /// the operator may be in them.
    pub fn take_unread_settings(&mut self) -> Vec<(RoomName, String)> {
        self.hall.ruled.take_unread()
    }

    /// The turn is over: the backend begins with what it was asked in it.
    pub fn hand_over(&mut self) {
        self.backend.hand_over();
    }

    /// The turn that began at `began` is over, and took so long: what somebody was given in it, to come back, to show a
    /// token or to type on, is counted from its end, if that is long. Without this it is counted from its beginning.
    pub fn turn_took(&mut self, began: Tick, took: Duration) {
        self.hall.turn_took(began, took);
    }

    /// The server stops: says goodbye in JSON. Closing is up to the server.
    pub fn handle_shutdown(&mut self, now: Moment, out: &mut Deliveries) {
        self.turn(now, out, |hall, ctx| hall.shutdown(ctx));
    }

    /// Whether the backend may have more news: then the loop does not sleep, and calls
    /// [`handle_backend`](Self::handle_backend) in its next turn.
    pub fn has_more_to_hear(&self) -> bool {
        self.news_left == 0
    }

    /// Whether no request at the backend waits for its outcome: every request has been answered.
    pub fn is_idle(&self) -> bool {
        self.backend.is_idle()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.hall.next_deadline()
    }

    /// How the store fares; `None` of one that neither fails nor waits.
    pub fn store_health(&self) -> Option<Health> {
        self.backend.health()
    }

    /// What the store has let go of by its own limits, where its health does not say it.
    pub fn let_go(&self) -> LetGo {
        self.backend.let_go()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The counts of what there is, and of what has happened.
    pub fn counts(&self) -> Counts {
        Counts {
            sessions: self.hall.roster.sessions().len(),
            users: self.hall.roster.users().visible(),
            known_users: self.hall.roster.users().len(),
            rooms: self.hall.roster.rooms().len(),
            bans: self.hall.bans.len(),
            ..self.hall.counts
        }
    }

    /// From now on, and until the next call, so many bytes may be taken for new rooms, seats in them, watched users,
    /// names and pairs of users. A request that would take more is answered with `overloaded`; existing ones go on.
    /// `None`: there is no limit.
    pub fn set_memory_left(&mut self, bytes: Option<usize>) {
        self.hall.allowance.set(bytes);
    }

    /// What is kept for sessions and graces, beside them: with none, each is 0; but for that which lasts for a while.
    pub fn left(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        self.hall.left_over().into_iter()
    }

    /// The memory that is held, by purpose.
    pub fn held(&self) -> Held {
        self.hall.held(&*self.backend)
    }

    /// Drops the oldest messages until about so many bytes are freed, a bounded piece of work at a time. Returns how
    /// many messages it dropped.
    pub fn drop_oldest(&mut self, bytes: usize, now: Moment, out: &mut Deliveries) -> usize {
        let mut messages = 0;
        self.turn(now, out, |_, ctx| messages = ctx.store.drop_oldest(bytes));
        self.hall.counts.dropped += messages as u64;
        messages
    }

    /// The session of a connection, if it is one of [`sessions`](Self::sessions).
    pub fn session(&self, conn: ConnId) -> Option<SessionInfo<'_>> {
        let session = self.hall.roster.session(conn).filter(|session| session.user != NOBODY)?;
        Some(self.info(conn, session))
    }

    /// All sessions, except those that were refused at the door or have shown no token yet.
    pub fn sessions(&self) -> impl Iterator<Item = SessionInfo<'_>> {
        self.hall
            .roster
            .sessions()
            .iter()
            .filter(|(_, session)| session.user != NOBODY)
            .map(|(conn, session)| self.info(conn, session))
    }

    /// The rooms that the session of a connection is in.
    pub fn rooms_of(&self, conn: ConnId) -> impl Iterator<Item = &RoomName> {
        let seats = self.hall.roster.session(conn).into_iter().flat_map(|session| session.seats.iter());
        seats.filter(|seat| seat.inside).map(|seat| &self.hall.roster.room(seat.room).name)
    }

    /// All rooms, in no order. Looks at each.
    pub fn rooms(&self) -> impl Iterator<Item = RoomInfo<'_>> {
        self.hall.roster.rooms().traffic().map(|(room, traffic)| RoomInfo {
            name: &room.name,
            members: room.members.len(),
            sessions: room.sessions(),
            messages: traffic.messages,
            deliveries: traffic.deliveries,
        })
    }

    /// From now on messages in [`rooms`](Self::rooms) are counted anew.
    pub fn begin_interval(&mut self) {
        self.hall.roster.begin_interval();
    }

    fn info<'a>(&'a self, conn: ConnId, session: &'a Session) -> SessionInfo<'a> {
        SessionInfo {
            conn,
            session_id: session.id,
            user: &self.hall.roster.user(session.user).name,
            dialect: session.dialect,
            connected_at: u64::from(session.opened) * 1000,
            last_activity: u64::from(session.spoke) * 1000,
            messages: session.frames,
            rooms: session.seats.iter().filter(|seat| seat.inside).count(),
        }
    }

    /// Lets go of a store that nobody else may use meanwhile, so that another process can: this chat is over.
    pub fn let_go_of_store(&mut self) {
        if !self.backend.is_shared() {
            self.backend = Box::new(Memory::new(memory::Limits::default(), 0));
        }
    }

    /// Runs an event, and then all news of the backend about it, as far as they may be heard now.
    fn turn(&mut self, now: Moment, out: &mut Deliveries, what: impl FnOnce(&mut Hall, &mut Ctx<'_>)) {
        let Self { settings, hall, backend, news_left } = self;
        let mut ctx = Ctx { turn: Turn { now, settings, out }, store: &mut **backend };
        if hall.bans.are_untimed() && now != Moment::default() {
            hall.time_bans(&ctx);
        }
        what(hall, &mut ctx);
        while *news_left > 0 {
            if ctx.out.text_bytes() > TEXT_AT_ONCE {
                *news_left = 0;
                break;
            }
            let Some(news) = ctx.store.poll() else {
                *news_left = NEWS_AT_ONCE;
                break;
            };
            *news_left -= 1;
            hall.learn(news, &mut ctx.turn);
        }
        hall.release_ended(&mut ctx);
        hall.tell_of_users(&mut ctx);
        hall.tell_others(&mut ctx);
        hall.post_moved(&mut ctx);
        hall.operators.end_answered(ctx.out);
        hall.tell_owing(ctx.out);
        ctx.out.note_work(hall.ruled.take_compared() / work::MATCHED_BYTES);
    }
}

/// How much news of the backend is carried out before others have their turn, so that a burst from elsewhere holds up
/// no client for longer than a millisecond or two. A backend in memory has that much in
/// rare turns only: if one message makes it let go of the history of a thousand rooms.
const NEWS_AT_ONCE: usize = 1024;

/// How much may be written for connections, in bytes, before news waits for the next turn likewise: it becomes a part
/// of a topic's log, say, which has a bound.
const TEXT_AT_ONCE: usize = 256 << 10;

/// What is set for one room, in the words that a store keeps: an object of JSON, in one form.
///
/// # Errors
/// The expected and the found; also if something else is in it, nothing is set, or it is over
/// [`MAX_SET_BYTES`](crate::backend::MAX_SET_BYTES).
pub fn check_set(words: &str) -> Result<String, String> {
    let words = wire::set::read_kept(words).and_then(|values| wire::set::words_for_one(&values));
    words.map_err(|refusal| refusal.message.into_owned())
}

/// What is to be said of a room for which the store has something set that cannot be read.
pub fn unread_setting(room: &str, why: &str) -> String {
    format!(
        "what is set for the room {room:?} cannot be read ({why}), so nobody but the operator may be in it: set it anew \
         (POST /api/set_room), or take it away (POST /api/unset_room)"
    )
}

/// Holds a text that is shown beside a name (a title, a topic, a note) to the rules for what people send.
///
/// # Errors
/// The expected and the found.
pub fn check_shown(field: &str, text: Option<&str>) -> Result<(), String> {
    checks::check_line(field, text, checks::MAX_SHOWN_BYTES).map_err(|refusal| refusal.message.into_owned())
}

/// The same of an emoji.
///
/// # Errors
/// The expected and the found.
pub fn check_emoji(text: &str) -> Result<(), String> {
    emoji::check_emoji(text).map_err(|refusal| refusal.message.into_owned())
}

/// The `id` of the object of a request, in JSON: a string that is short enough, or a whole number. `None`: there is
/// none, or it is something else.
pub fn id_of(object: &str) -> Option<String> {
    wire::request::parse_id(object).and_then(|id| serde_json::to_string(&id).ok())
}

/// An `error` message for a request that is refused before it reaches the chat, with the `id` of its object, where that
/// has come and has one.
pub fn error_answer(object: &[u8], code: Code, message: impl Into<std::borrow::Cow<'static, str>>) -> Vec<u8> {
    let mut out = Vec::new();
    let id = std::str::from_utf8(object).ok().and_then(wire::request::parse_id);
    wire::answer::write(&mut out, id.as_ref(), &wire::answer::Error::from(&wire::Refusal::new(code, message)));
    out
}
