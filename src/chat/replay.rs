//! Replay: the messages that a joiner has missed, in slices that are sent as the connection takes them, and then the
//! room as it goes on.
//!
//! ```text
//!   join ──▶ joined, slice ──taken──▶ slice ──taken──▶ ... ──▶ the slice with the newest message, topic, online_users
//!            └──── a member from here on, not in the topic ───┘                                └─ hears what is said
//!                                     ▲                                                                          │
//!                                     └──────── taken ──── left behind: more than a slice waits for it ◀─────────┘
//! ```
//!
//! Pages are read through the backend like everything else, and stand in the order in which it publishes, from
//! whichever node a message is. So the page that ends with the newest message is answered before the next message, here
//! or on another node, and a session that is put into the topic in the same step misses nothing and hears nothing
//! twice. Earlier messages, also those of the reader, are in the pages still to come.
//!
//! A session that takes a room more slowly than it goes on has left the topic, and is a reader like any other from
//! there on: it has heard what was queued for it, and the next page is read when it has taken that.
//!
//! The next page for a connection is read when it has taken the last slice: its waiting output is never much more than
//! one slice, for all its rooms together, and a slow reader holds up no other. `readers` has the state of sessions that
//! catch up.

use std::time::Duration;

use super::ask::{Ask, Asker};
use super::hall::Hall;
use super::readers::{CatchingUp, MAX_OWN, Next, Own, Reader};
use super::roster::room::{room_of, topic};
use super::roster::session::Dialect;
use super::settings::Settings;
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::waiting::{Found, Resumed, Waiting, What};
use super::wire::answer::{Ack, Gap, Hole, Joined, Missing, OnlineUsers};
use super::wire::request::{MAX_PAGE, PAGE, Since, Wish};
use super::wire::{Code, Id, Refusal, spliced};
use crate::backend::{Bounds, Conversation, Entry, Epoch, Head, Query, Reading};
use crate::id::{ConnId, TopicId};

/// The past that the joiner wants to hear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    pub since: Option<Resumed>,
    pub history: usize,
}

impl Replay {
    pub fn new(wish: &Wish<'_>) -> Self {
        let resumed = |since: &Since<'_>| Resumed { asked: true, epoch: Epoch::parse(&since.epoch), seq: since.seq };
        Self {
            since: wish.since.as_ref().map(resumed),
            history: usize::try_from(wish.history).unwrap_or(usize::MAX).min(MAX_PAGE),
        }
    }

    /// The first page; the next ones follow it.
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

/// How far a reader has heard a room, and why the next message may not follow on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub seq: u64,
    /// The reason for a hole between that and the oldest message that is kept.
    pub why: Missing,
}

/// A session that is in a room, and what it is told of it.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    pub room: u32,
    pub user: u32,
    pub head: Head,
    pub recovered: bool,
    pub reading: Option<Reading>,
}

/// How much of the past is read at once for each of so many rooms. On the wire it is longer, which counts when it is
/// sent.
pub(super) fn slice_of(rooms: usize, settings: &Settings) -> Bounds {
    let bytes = settings.replay_bytes / rooms.max(1);
    Bounds { entries: (bytes / MIN_MESSAGE).max(1), bytes }
}

impl Hall {
    /// Sends as much of a page, which follows `heard`, as may be on the way, and sees to it that the rest follows. A
    /// session that has heard the newest message hears the room from here on.
    pub(super) fn replay(&mut self, conn: ConnId, room: u32, before: Heard, found: Found<'_>, turn: &mut Turn<'_>) {
        let (Found { head, entries, .. }, first) = (found, found.first());
        let Heard { seq: mut heard, why } = before;
        if first > heard + 1 {
            self.answer_unheard(conn, room, first, turn);
            let hole = Hole { from: heard + 1, to: first - 1, why };
            turn.out.say(conn, &Gap { room_id: self.roster.room(room).name.as_str(), epoch: head.epoch, hole });
            heard = first - 1;
        }
        if heard < head.seq {
            let name = self.roster.room(room).name.as_str();
            let (life, reader) = (head.epoch, self.readers.begin(conn));
            for entry in entries {
                if reader.is_full(turn.settings.replay_bytes) {
                    break;
                }
                let own = reader.take_own(room, entry.seq);
                turn.out.send(conn, |out| {
                    let before = out.len();
                    spliced::in_room(out, own.as_ref().map(|own| &own.id), name, entry);
                    reader.note_sent(out.len() - before);
                });
                heard = entry.seq;
            }
            if heard < head.seq {
                reader.catch_up(CatchingUp { room, life, heard });
            }
            turn.out.tell_when_drained(conn);
        }
        if heard >= head.seq {
            let most = NAMES_PER_MESSAGES * turn.settings.replay_bytes;
            match self.readers.find_mut(conn).filter(|reader| reader.is_full_of_names(most)) {
                Some(reader) => {
                    reader.catch_up(CatchingUp { room, life: head.epoch, heard });
                    turn.out.tell_when_drained(conn);
                }
                None => self.hear(conn, room, turn),
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
        self.tell_topic(conn, room, turn);
        let written = turn.out.text_bytes() - before;
        if self.readers.find_mut(conn).is_some_and(|reader| reader.note_names_sent(written)) {
            turn.out.tell_when_drained(conn);
        }
    }

    /// The connection takes the room more slowly than it goes on, and has left its topic, of which it was sent
    /// everything up to `heard`.
    pub(super) fn left_behind(&mut self, conn: ConnId, topic: TopicId, heard: u64, turn: &mut Turn<'_>) {
        let Some(room) = room_of(topic) else { return };
        let Some(life) = self.roster.life_heard(conn, room) else { return };
        self.roster.fall_behind(conn, room);
        self.readers.begin(conn).fall_behind(CatchingUp { room, life, heard }, turn.settings.replay_bytes);
        turn.out.tell_when_drained(conn);
    }

    /// The connection has taken everything it was sent.
    pub(super) fn drained(&mut self, conn: ConnId, ctx: &mut Ctx<'_>) {
        if let Some(reader) = self.readers.find_mut(conn) {
            reader.note_drained();
            self.read_on(conn, ctx);
        }
    }

    /// Asks for the next page, unless one is being read or on the way.
    pub(super) fn read_on(&mut self, conn: ConnId, ctx: &mut Ctx<'_>) {
        let bounds = slice_of(1, ctx.settings);
        let Some(reader) = self.readers.find_mut(conn) else { return };
        let after = match reader.next() {
            Next::Wait => return,
            Next::Done => return self.readers.end(conn),
            Next::Read(at) => at,
        };
        let CatchingUp { room, life, heard } = after;
        let name = self.roster.room(room).name.clone();
        let waiting = Waiting { asker: Asker::unnamed(conn), room: Some(room), what: What::Slice { after } };
        let query = Query::Resume { since: Some((life, heard)), newest: PAGE, bounds };
        if self.read(waiting, Conversation::Room(name.as_str()), query, ctx).is_err() {
            self.read_later(conn, ctx);
        }
    }

    /// The store is unavailable. That is no reason to report a gap: ask again later.
    pub(super) fn read_later(&mut self, conn: ConnId, turn: &Turn<'_>) {
        if let Some(reader) = self.readers.find_mut(conn) {
            reader.end_reading();
            self.timers.set(Timer::Replay(conn), turn.now.tick + READ_AGAIN_AFTER);
        }
    }

    /// The backend has answered with the messages after `after`; where that is of a life that is over, with the newest
    /// of this one.
    pub(super) fn slice_read(&mut self, conn: ConnId, after: CatchingUp, found: Found<'_>, turn: &mut Turn<'_>) {
        let open = self.roster.session(conn).is_some_and(|session| !session.closing);
        let Some(reader) = self.readers.find_mut(conn).filter(|_| open) else { return };
        reader.end_reading();
        turn.out.tell_when_drained(conn);
        if !reader.take_up(after) {
            return;
        }
        let CatchingUp { room, life, mut heard } = after;
        if life != found.head.epoch {
            self.tell_of_life(conn, room, found, turn);
            heard = found.first() - 1;
        }
        self.replay(conn, room, Heard { seq: heard, why: Missing::Expired }, found, turn);
    }

    /// The session is inside, and does not know this life of the room. What it does not hear of it is named.
    fn tell_of_life(&mut self, conn: ConnId, room: u32, found: Found<'_>, turn: &mut Turn<'_>) {
        let (head, first) = (found.head, found.first());
        self.answer_unheard(conn, room, first, turn);
        if first > 1 {
            let hole = Hole { from: 1, to: first - 1, why: Missing::EpochChanged };
            turn.out.say(conn, &Gap { room_id: self.roster.room(room).name.as_str(), epoch: head.epoch, hole });
        }
        let Some(session) = self.roster.session(conn) else { return };
        let joined = Inside { room, user: session.user, head, recovered: false, reading: found.reading };
        self.send_joined(Ask::unnamed(conn), joined, turn);
    }

    /// The session is inside, and hears in which life of the room.
    pub(super) fn send_joined(&self, ask: Ask<'_>, inside: Inside, turn: &mut Turn<'_>) {
        let Inside { room, user, head, recovered, reading } = inside;
        let (room, user) = (self.roster.room(room), self.roster.user(user));
        let joined = Joined {
            room_id: room.name.as_str(),
            user_id: user.name.as_str(),
            epoch: head.epoch,
            seq: head.seq,
            recovered,
            members: room.members.len(),
            reading: reading.map(Into::into),
        };
        turn.out.answer(ask, &joined);
    }

    /// The session leaves the room before it has heard everything.
    pub(super) fn stop_replay(&mut self, conn: ConnId, room: u32, turn: &mut Turn<'_>) {
        self.answer_unheard(conn, room, u64::MAX, turn);
        if let Some(reader) = self.readers.find_mut(conn) {
            reader.forget_room(room);
        }
    }

    /// Messages of the session in the room before `until` do not come back to it: an `ack` answers each.
    pub(super) fn answer_unheard(&mut self, conn: ConnId, room: u32, until: u64, turn: &mut Turn<'_>) {
        let Some(reader) = self.readers.find_mut(conn) else { return };
        let name = self.roster.room(room).name.as_str();
        while let Some((seq, Own { id, ts })) = reader.take_own_before(room, until) {
            let ack = Ack::Said { room_id: Some(name), user_id: None, seq: Some(seq), ts, dup: false };
            turn.out.answer(Ask::new(conn, Some(&id)), &ack);
        }
    }

    /// Refuses a message that cannot be remembered until the session has caught up.
    pub(super) fn may_wait_for_replay(&self, conn: ConnId, room: u32) -> Result<(), Refusal> {
        let full = self.readers.find(conn).is_some_and(Reader::is_full_of_own);
        if full && !self.roster.session(conn).is_some_and(|session| session.hears(room)) {
            let message = format!("expected at most {MAX_OWN} messages said while catching up, found one more");
            return Err(Refusal::new(Code::Overloaded, message));
        }
        Ok(())
    }

    /// Remembers a message of the session, which comes back to it when it has caught up.
    pub(super) fn note_own(&mut self, conn: ConnId, id: &Id<'_>, room: u32, entry: &Entry<'_>) {
        let own = Own { id: id.clone().into_owned(), ts: entry.ts };
        let noted = self.readers.find_mut(conn).is_some_and(|reader| reader.note_own(room, entry.seq, own));
        debug_assert!(noted, "a session that is inside and does not hear the room catches up");
    }
}

/// The least length of a message on the wire, in bytes: its fields with nothing in them.
const MIN_MESSAGE: usize = 64;

/// How many times as much may be on the way where lists of names are counted with the messages: there is one for each
/// room that is joined, and the joiner gets as many as an outbox takes.
const NAMES_PER_MESSAGES: usize = 2;

/// When a store that did not answer is asked again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
