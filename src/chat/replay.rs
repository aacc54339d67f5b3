//! Replay: what a joiner has missed, in slices that are sent as the connection takes them, and then the room as it goes on.
//!
//! ```text
//!   join ──▶ joined, slice ──taken──▶ slice ──taken──▶ ... ──▶ the slice with the newest message, topic, online_users
//!            └──── a member from here on, not in the topic ───┘                                └─ hears what is said
//! ```
//!
//! Pages are read through the backend like everything else, and stand in the order of what it publishes, whoever has said it. So the
//! page that ends with the newest message is answered before what is said next, here or on another node, and a session that is put into
//! the topic in the same step misses nothing and hears nothing twice. What is said before that, also by the reader, is in the pages
//! still to come.
//!
//! A connection is read the next page for when it has taken the last slice: what waits for it is never much more than one
//! slice, for all its rooms together, and a slow reader holds up nobody. Sessions are small, so what there is to know of those who
//! catch up lies beside them; only they pay for it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::hall::Hall;
use super::roster::room::topic;
use super::roster::session::Dialect;
use super::settings::Settings;
use super::timers::Timer;
use super::turn::{Ask, Asker, Ctx, Turn};
use super::waiting::{Found, Waiting, What};
use super::wire::answer::{Ack, Gap, Hole, Missing, OnlineUsers};
use super::wire::request::{MAX_PAGE, PAGE, Since, Wish};
use super::wire::{Code, Id, Refusal, json};
use crate::backend::{Bounds, Conversation, Epoch, Message, Query};
use crate::id::ConnId;
use crate::slack;

/// What the joiner wants to hear of the past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    pub since: Option<Resumed>,
    pub history: usize,
}

/// Up to where a joiner has heard before; by default nothing was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resumed {
    pub asked: bool,
    pub epoch: Option<Epoch>,
    pub seq: u64,
}

impl Replay {
    pub fn new(wish: &Wish<'_>) -> Self {
        let resumed = |since: &Since<'_>| Resumed { asked: true, epoch: Epoch::parse(&since.epoch), seq: since.seq };
        Self {
            since: wish.since.as_ref().map(resumed),
            history: usize::try_from(wish.history).unwrap_or(usize::MAX).min(MAX_PAGE),
        }
    }

    /// The first page; the next ones are what comes after.
    pub fn query(self, bounds: Bounds) -> Query {
        match self {
            Self { since: Some(Resumed { epoch, seq, .. }), .. } => {
                Query::Resume { since: epoch.map(|epoch| (epoch, seq)), newest: PAGE, bounds }
            }
            Self { history: 0, .. } => Query::Head,
            Self { history, .. } => Query::Resume { since: None, newest: history, bounds },
        }
    }
}

/// Up to where a reader has heard of a room, and why what comes next may not follow on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub seq: u64,
    /// The reason for a hole between that and the oldest message that is kept.
    pub why: Missing,
}

/// Connections that are told of the past, or have not taken yet what they were told.
#[derive(Debug, Default)]
pub(super) struct Replays {
    readers: HashMap<ConnId, Reader>,
}

/// One of them.
///
/// Invariant: while there is one, the connection is to be told of when it is drained, or a page is being read, or a timer is
/// set to read it. `own` has rooms of `rooms` only.
#[derive(Debug, Default)]
struct Reader {
    /// Octets of replay since the connection was last known to have taken everything.
    on_the_way: usize,
    /// A page is being read.
    reading: bool,
    /// Lists of names count, too: there are many, because the rooms were asked for in one list.
    counts_names: bool,
    /// The rooms it catches up with, which take turns.
    rooms: VecDeque<CatchingUp>,
    /// What the session itself has said there meanwhile: by room and seq, with which `id`, and when.
    own: BTreeMap<(u32, u64), (Id<'static>, u64)>,
}

/// A room and the last seq that the reader has heard of there, or was told that it is missing.
#[derive(Clone, Copy, Debug)]
struct CatchingUp {
    room: u32,
    heard: u64,
}

impl Replays {
    /// A list of rooms is joined: from here on, and until the connection has taken all, lists of names count. Says whether that is new.
    pub fn count_names(&mut self, conn: ConnId) -> bool {
        let reader = self.readers.entry(conn).or_default();
        !std::mem::replace(&mut reader.counts_names, true)
    }

    /// Whether the names of who is in a room are to wait until the connection has taken more.
    fn is_full(&self, conn: ConnId, limit: usize) -> bool {
        self.readers.get(&conn).is_some_and(|reader| reader.counts_names && reader.on_the_way >= limit)
    }

    pub fn remove(&mut self, conn: ConnId) {
        self.readers.remove(&conn);
        // Many who come back at once are not to be paid for when they have caught up.
        slack::give_back(&mut self.readers);
    }
}

#[cfg(test)]
impl Replays {
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Which session catches up with which room.
    pub fn all(&self) -> std::collections::BTreeSet<(ConnId, u32)> {
        self.readers.iter().flat_map(|(conn, reader)| reader.rooms.iter().map(|at| (*conn, at.room))).collect()
    }

    /// Readers of whom neither a page is being read nor something is on the way.
    pub fn idle(&self) -> impl Iterator<Item = ConnId> {
        self.readers.iter().filter(|(_, reader)| !reader.reading && reader.on_the_way == 0).map(|(conn, _)| *conn)
    }
}

/// How much of the past is read at once for each of so many rooms. On the wire it is more, which is counted when it is sent.
pub(super) fn slice_of(rooms: usize, settings: &Settings) -> Bounds {
    let bytes = settings.replay_bytes / rooms.max(1);
    Bounds { messages: (bytes / MIN_MESSAGE).max(1), bytes }
}

impl Hall {
    /// Tells as much of a page, which follows `heard`, as may be on the way, and sees to it that the rest follows. Who has heard the
    /// newest hears the room from here on.
    pub(super) fn replay(&mut self, conn: ConnId, room: u32, before: Heard, found: Found<'_>, turn: &mut Turn<'_>) {
        let (Found { head, messages }, first) = (found, found.first());
        let Heard { seq: mut heard, why } = before;
        if first > heard + 1 {
            self.answer_unheard(conn, room, first, turn);
            let hole = Hole { from: heard + 1, to: first - 1, why };
            turn.out.say(conn, &Gap { room_id: self.roster.room(room).name.as_str(), epoch: head.epoch, hole });
            heard = first - 1;
        }
        if heard < head.seq {
            let name = self.roster.room(room).name.as_str();
            let reader = self.replays.readers.entry(conn).or_default();
            for message in messages {
                if reader.on_the_way >= turn.settings.replay_bytes {
                    break;
                }
                let own = reader.own.remove(&(room, message.seq));
                turn.out.send(conn, |out| {
                    let before = out.len();
                    json::broadcast(out, own.as_ref().map(|(id, _)| id), name, *message);
                    reader.on_the_way += out.len() - before;
                });
                heard = message.seq;
            }
            if heard < head.seq {
                reader.rooms.push_back(CatchingUp { room, heard });
            }
            turn.out.tell_when_drained(conn);
        }
        if heard >= head.seq {
            match self.replays.is_full(conn, NAMES_PER_MESSAGES * turn.settings.replay_bytes) {
                true => {
                    let reader = self.replays.readers.entry(conn).or_default();
                    reader.rooms.push_back(CatchingUp { room, heard });
                    turn.out.tell_when_drained(conn);
                }
                false => self.hear(conn, room, turn),
            }
        }
    }

    /// Nothing is missing any more: from here on the session hears the room.
    pub(super) fn hear(&mut self, conn: ConnId, room: u32, turn: &mut Turn<'_>) {
        if !self.roster.hear(conn, room) {
            return;
        }
        turn.out.subscribe(conn, topic(room, Dialect::Json));
        let name = self.roster.room(room).name.as_str();
        let (users, count) = self.who_is_in(room, turn.settings);
        let before = turn.out.text_bytes();
        turn.out.say(conn, &OnlineUsers { room_id: name, users: &users, count });
        let written = turn.out.text_bytes() - before;
        if let Some(reader) = self.replays.readers.get_mut(&conn).filter(|reader| reader.counts_names) {
            reader.on_the_way += written;
            turn.out.tell_when_drained(conn);
        }
    }

    /// The connection has taken what it was sent.
    pub(super) fn drained(&mut self, conn: ConnId, ctx: &mut Ctx<'_>) {
        if let Some(reader) = self.replays.readers.get_mut(&conn) {
            reader.on_the_way = 0;
            self.read_on(conn, ctx);
        }
    }

    /// Asks for the next page, unless one is being read or on the way.
    pub(super) fn read_on(&mut self, conn: ConnId, ctx: &mut Ctx<'_>) {
        let bounds = slice_of(1, ctx.settings);
        let Some(reader) = self.replays.readers.get_mut(&conn) else { return };
        if reader.reading || reader.on_the_way > 0 {
            return;
        }
        let Some(CatchingUp { room, heard }) = reader.rooms.front().copied() else {
            debug_assert!(reader.own.is_empty());
            return self.replays.remove(conn);
        };
        reader.reading = true;
        let name = self.roster.room(room).name.clone();
        let waiting = Waiting { asker: Asker::unnamed(conn), room: Some(room), what: What::Slice { after: heard } };
        if self.read(waiting, Conversation::Room(name.as_str()), Query::After(heard, bounds), ctx).is_err() {
            self.read_later(conn, ctx);
        }
    }

    /// The store does not answer now. Nobody is given a hole for that: it is asked again.
    pub(super) fn read_later(&mut self, conn: ConnId, turn: &Turn<'_>) {
        if let Some(reader) = self.replays.readers.get_mut(&conn) {
            reader.reading = false;
            self.timers.set(Timer::Replay(conn), turn.now.tick + READ_AGAIN_AFTER);
        }
    }

    /// The backend has answered with the messages after `after`.
    pub(super) fn slice_read(&mut self, conn: ConnId, room: u32, after: u64, found: Found<'_>, turn: &mut Turn<'_>) {
        let open = self.roster.session(conn).is_some_and(|session| !session.closing);
        let Some(reader) = self.replays.readers.get_mut(&conn).filter(|_| open) else { return };
        reader.reading = false;
        turn.out.tell_when_drained(conn);
        // It may have left the room meanwhile, also to come back.
        let place = reader.rooms.iter().position(|at| at.room == room && at.heard == after);
        if let Some(place) = place {
            reader.rooms.remove(place);
            self.replay(conn, room, Heard { seq: after, why: Missing::Expired }, found, turn);
        }
    }

    /// The session leaves the room before it has heard everything.
    pub(super) fn stop_replay(&mut self, conn: ConnId, room: u32, turn: &mut Turn<'_>) {
        self.answer_unheard(conn, room, u64::MAX, turn);
        if let Some(reader) = self.replays.readers.get_mut(&conn) {
            reader.rooms.retain(|at| at.room != room);
        }
    }

    /// What the session has said in the room before `until` does not come back to it: it is told so.
    fn answer_unheard(&mut self, conn: ConnId, room: u32, until: u64, turn: &mut Turn<'_>) {
        let Some(reader) = self.replays.readers.get_mut(&conn) else { return };
        let name = self.roster.room(room).name.as_str();
        while let Some((&(at, seq), _)) = reader.own.range((room, 0)..(room, until)).next() {
            let Some((id, ts)) = reader.own.remove(&(at, seq)) else { break };
            let ack = Ack::Said { room_id: Some(name), user_id: None, seq: Some(seq), ts, dup: false };
            turn.out.answer(Ask::new(conn, Some(&id)), &ack);
        }
    }

    /// Refuses what cannot be remembered until the session has caught up.
    pub(super) fn may_wait_for_replay(&self, conn: ConnId, room: u32) -> Result<(), Refusal> {
        let full = self.replays.readers.get(&conn).is_some_and(|reader| reader.own.len() >= MAX_OWN);
        if full && !self.roster.session(conn).is_some_and(|session| session.hears(room)) {
            let message = format!("expected at most {MAX_OWN} messages said while catching up, found one more");
            return Err(Refusal::new(Code::Overloaded, message));
        }
        Ok(())
    }

    /// The session has said something that comes back to it when it has caught up.
    pub(super) fn note_own(&mut self, conn: ConnId, id: &Id<'_>, room: u32, message: Message<'_>) {
        let reader = self.replays.readers.get_mut(&conn).filter(|reader| reader.rooms.iter().any(|at| at.room == room));
        debug_assert!(reader.is_some(), "who is inside and does not hear the room catches up");
        if let Some(reader) = reader {
            reader.own.insert((room, message.seq), (id.clone().into_owned(), message.ts));
        }
    }
}

/// The least that a message is on the wire, in octets: its fields with nothing in them.
const MIN_MESSAGE: usize = 64;

/// How many times as much may be on the way where lists of names are counted with the messages: there is one for each room that is
/// joined, and the joiner is to be told as many as an outbox takes.
const NAMES_PER_MESSAGES: usize = 2;

/// What one connection may have said in rooms that it catches up with, and not heard yet. Only what has an `id` counts.
const MAX_OWN: usize = 1024;

/// When a store that did not answer is asked again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
