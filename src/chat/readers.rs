//! Readers: connections that catch up with rooms, and their state meanwhile.
//!
//! Sessions are small, so this lies beside them, and takes memory only for those that catch up. `replay` decides what
//! they are sent, and when.

use std::collections::{BTreeMap, VecDeque};

use super::wire::Id;
use crate::backend::Epoch;
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;

/// Connections that are sent a replay, or have not taken all of it yet, or have not taken what was said live.
#[derive(Debug)]
pub(super) struct Readers(Table<ConnId, Reader>);

/// One reader.
///
/// Invariant: while there is one, the chat has asked for the drain of the connection, or a page is being read, or a
/// timer is set to read it. `own` has rooms of `rooms` only.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Bytes of replay, or of live messages that wait, since the connection was last known to have taken everything.
    on_the_way: usize,
    /// A page is being read.
    reading: bool,
    /// Lists of names count, too: there are many, because the rooms were asked for in one list.
    counts_names: bool,
    /// The rooms it catches up with, which take turns.
    rooms: VecDeque<CatchingUp>,
    /// The session's own messages there meanwhile: by room and seq.
    own: BTreeMap<(u32, u64), Own>,
}

/// A room, and the last seq that the reader has heard in that life of it, or that a `gap` has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CatchingUp {
    pub room: u32,
    pub life: Epoch,
    pub heard: u64,
}

/// A message of the session: its `id`, and its time.
#[derive(Debug)]
pub(super) struct Own {
    pub id: Id<'static>,
    pub ts: u64,
}

/// The next step of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for a page, or until what is on the way is taken.
    Wait,
    /// Read the page behind that.
    Read(CatchingUp),
    /// It has caught up everywhere.
    Done,
}

impl Readers {
    /// Nobody catches up.
    pub fn new(keyed: &Keyed) -> Self {
        Self(keyed.table())
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn find(&self, conn: ConnId) -> Option<&Reader> {
        self.0.get(&conn)
    }

    pub fn find_mut(&mut self, conn: ConnId) -> Option<&mut Reader> {
        self.0.get_mut(&conn)
    }

    /// The reader of a connection, which is one from now on.
    pub fn begin(&mut self, conn: ConnId) -> &mut Reader {
        self.0.entry(conn).or_default()
    }

    pub fn end(&mut self, conn: ConnId) {
        self.0.remove(&conn);
        // Many readers at once must not cost memory when they have caught up.
        slack::shrink(&mut self.0);
    }
}

impl Reader {
    /// A list of rooms is joined: from here on, and until the connection has taken all, lists of names count. Returns
    /// whether that is new.
    pub fn count_names(&mut self) -> bool {
        !std::mem::replace(&mut self.counts_names, true)
    }

    /// So many bytes of replay have been sent.
    pub fn note_sent(&mut self, bytes: usize) {
        self.on_the_way += bytes;
    }

    /// A list of names has been sent. Returns whether it counts.
    pub fn note_names_sent(&mut self, bytes: usize) -> bool {
        if self.counts_names {
            self.on_the_way += bytes;
        }
        self.counts_names
    }

    /// The connection has taken everything.
    pub fn note_drained(&mut self) {
        self.on_the_way = 0;
    }

    /// Whether as much is on the way as may be.
    pub fn is_full(&self, limit: usize) -> bool {
        self.on_the_way >= limit
    }

    /// Whether the list of a room's names must wait until the connection has taken more.
    pub fn is_full_of_names(&self, limit: usize) -> bool {
        self.counts_names && self.is_full(limit)
    }

    /// There is more to hear in the room than has been sent. It has its turn after the others.
    pub fn catch_up(&mut self, from: CatchingUp) {
        self.rooms.push_back(from);
    }

    /// The connection is behind in a room that it has heard until now. As much is on the way as may be.
    pub fn fall_behind(&mut self, from: CatchingUp, limit: usize) {
        self.on_the_way = self.on_the_way.max(limit);
        self.catch_up(from);
    }

    /// The next step. If it is to read, a page is being read from here on.
    pub fn next(&mut self) -> Next {
        if self.reading || self.on_the_way > 0 {
            return Next::Wait;
        }
        match self.rooms.front() {
            Some(at) => {
                self.reading = true;
                Next::Read(*at)
            }
            None => {
                debug_assert!(self.own.is_empty());
                Next::Done
            }
        }
    }

    /// No page is being read any more.
    pub fn end_reading(&mut self) {
        self.reading = false;
    }

    /// The page behind that has come. `false`: the session has left the room meanwhile, also to come back.
    pub fn take_up(&mut self, at: CatchingUp) -> bool {
        let place = self.rooms.iter().position(|other| *other == at);
        place.is_some_and(|place| self.rooms.remove(place).is_some())
    }

    /// The session has left the room.
    pub fn forget_room(&mut self, room: u32) {
        self.rooms.retain(|at| at.room != room);
    }

    /// Whether no further message of the session can be remembered until it has caught up.
    pub fn is_full_of_own(&self) -> bool {
        self.own.len() >= MAX_OWN
    }

    /// Remembers a message of the session in a room that it catches up with; `false`: it does not catch up there.
    pub fn note_own(&mut self, room: u32, seq: u64, own: Own) -> bool {
        let catches_up = self.rooms.iter().any(|at| at.room == room);
        if catches_up {
            self.own.insert((room, seq), own);
        }
        catches_up
    }

    /// A message of the session comes back to it.
    pub fn take_own(&mut self, room: u32, seq: u64) -> Option<Own> {
        self.own.remove(&(room, seq))
    }

    /// The first message of the session in the room before `until`.
    pub fn take_own_before(&mut self, room: u32, until: u64) -> Option<(u64, Own)> {
        let key = *self.own.range((room, 0)..(room, until)).next()?.0;
        Some((key.1, self.own.remove(&key)?))
    }
}

#[cfg(test)]
impl Readers {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which session catches up with which room.
    pub fn all(&self) -> std::collections::BTreeSet<(ConnId, u32)> {
        self.0.iter().flat_map(|(conn, reader)| reader.rooms.iter().map(|at| (*conn, at.room))).collect()
    }

    /// Readers of whom neither a page is being read nor something is on the way.
    pub fn idle(&self) -> impl Iterator<Item = ConnId> {
        self.0.iter().filter(|(_, reader)| !reader.reading && reader.on_the_way == 0).map(|(conn, _)| *conn)
    }
}

/// Messages that one connection may have sent to rooms that it catches up with, and not heard yet. Only those with an
/// `id` count.
pub(super) const MAX_OWN: usize = 1024;
