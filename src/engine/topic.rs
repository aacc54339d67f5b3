//! A fan-out group: its members, and one contiguous log of the frames published in this turn.
//!
//! Publishing appends to the log, whatever the number of members. At the flush each member is sent the part that it has
//! not got, in one write. A very large topic is flushed in passes that stop for other work; messages published
//! meanwhile go to the same log:
//!
//! ```text
//!            base          pass_end            end
//!   log       |###############|----------------|
//!   members   [ had all of it | sent up to base... ]
//!                             ^ cursor
//! ```
//!
//! When the cursor reaches the last member everybody has had `..pass_end`, which is then dropped.

use bytes::Bytes;

use super::ledger::Ledger;
use crate::slack;
use crate::time::Tick;

/// The place of a topic in the engine's list. Without compression each [`crate::id::TopicId`] has one; with it, it has
/// two: one for the members that take messages as they are, one for those that share them compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The place in the list.
    pub fn place(self) -> usize {
        self.0 as usize
    }
}

/// Members and log. Positions in the log are absolute: bytes ever published.
///
/// Invariants: `base <= member.sent <= end()` for each member; without members the log is empty;
/// `members[peer.memberships[m.place].member] == m` (membership is in both directions or in neither).
#[derive(Debug, Default)]
pub struct Topic {
    pub members: Vec<Member>,
    pub log: Vec<u8>,
    base: u64,
    /// Members before it have been served in this pass.
    pub cursor: usize,
    pass_end: u64,
    frozen: Option<(u64, Bytes)>,
    /// Whether it is listed for the next flush.
    pub dirty: bool,
    /// When the log is sent at the latest, if the topic is large.
    pub flush_at: Tick,
    /// The part of [`Topic::held_bytes`] that is in the engine's sum.
    pub noted: usize,
}

/// The topics by their places. A topic without members takes a pointer; behind the last topic with members there is
/// nothing.
#[derive(Debug, Default)]
pub struct Topics {
    places: Vec<Option<Box<Topic>>>,
    /// How many of them there are.
    filled: usize,
}

impl Topics {
    /// How many places there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The topic at a place, if there is one.
    pub fn get(&self, place: usize) -> Option<&Topic> {
        self.places.get(place)?.as_deref()
    }

    /// The topic at a place, which is made if there is none.
    pub fn find_or_begin(&mut self, place: usize) -> &mut Topic {
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        let topic = &mut self.places[place];
        self.filled += usize::from(topic.is_none());
        topic.get_or_insert_default()
    }

    /// Ends a topic that has no members and nothing to send. Returns whether it has ended, now or before.
    pub fn end_unused(&mut self, place: usize) -> bool {
        let Some(topic) = self.get(place) else { return true };
        if !topic.members.is_empty() || topic.dirty {
            return false;
        }
        debug_assert_eq!(topic.noted, 0, "who is without members holds nothing");
        self.places[place] = None;
        self.filled -= 1;
        while self.places.pop_if(|topic| topic.is_none()).is_some() {}
        slack::shrink(&mut self.places);
        true
    }

    /// Bytes of the topics, without [what each holds](Topic::held_bytes).
    pub fn held_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Option<Box<Topic>>>() + self.filled * size_of::<Topic>()
    }
}

impl std::ops::Index<usize> for Topics {
    type Output = Topic;

    fn index(&self, place: usize) -> &Topic {
        self.get(place).expect("a topic with members or something to send is there")
    }
}

impl std::ops::IndexMut<usize> for Topics {
    fn index_mut(&mut self, place: usize) -> &mut Topic {
        self.places[place].as_deref_mut().expect("a topic with members or something to send is there")
    }
}

/// One membership, seen from the topic.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub peer: u32,
    /// Where the peer keeps its side of the membership.
    pub place: u32,
    /// The position in the log up to which it has been sent, or has queued, everything.
    pub sent: u64,
}

impl Topic {
    /// The position behind the last byte published.
    pub fn end(&self) -> u64 {
        self.base + self.log.len() as u64
    }

    /// The part of the log behind `sent`.
    pub fn unsent(&self, sent: u64) -> &[u8] {
        &self.log[(sent - self.base) as usize..]
    }

    /// The same as a shared slice: the first call after a publish copies the log, the others share that copy.
    pub fn share_unsent(&mut self, sent: u64, ledger: &Ledger) -> Bytes {
        if self.frozen.as_ref().is_none_or(|(base, log)| *base != self.base || log.len() != self.log.len()) {
            self.frozen = Some((self.base, ledger.share(self.log.clone())));
        }
        let (_, frozen) = self.frozen.as_ref().expect("just made");
        frozen.slice((sent - self.base) as usize..)
    }

    /// Bytes of the log and the list of members. The copies that blocked members share are not among them.
    pub fn held_bytes(&self) -> usize {
        self.log.capacity() + self.members.capacity() * size_of::<Member>()
    }

    /// Begins a pass unless one is under way.
    pub fn begin_pass(&mut self) {
        if self.cursor == 0 {
            self.pass_end = self.end();
        }
    }

    /// All members have been served: drops the part that all have got. Returns whether something was published
    /// meanwhile.
    pub fn end_pass(&mut self) -> bool {
        self.cursor = 0;
        self.frozen = None;
        let had = (self.pass_end - self.base) as usize;
        self.log.drain(..had);
        self.base = self.pass_end;
        !self.log.is_empty()
    }

    /// The buffer of a log that is empty now, if it is larger than each topic may keep.
    pub fn spare_log(&mut self) -> Option<Vec<u8>> {
        let large = self.log.is_empty() && self.log.capacity() > MAX_KEPT_LOG;
        large.then(|| std::mem::take(&mut self.log))
    }

    /// Adds a member that gets everything published from now on; returns its index.
    pub fn add(&mut self, peer: u32, place: u32) -> u32 {
        self.members.push(Member { peer, place, sent: self.end() });
        (self.members.len() - 1) as u32
    }

    /// Removes a member, and returns those that moved to another index: `(peer, place, new index)`.
    ///
    /// During a pass the order "served, then not yet served" is kept.
    pub fn remove(&mut self, index: u32) -> [Option<(u32, u32, u32)>; 2] {
        let mut hole = index as usize;
        let mut moved = [None, None];
        if hole < self.cursor {
            self.cursor -= 1;
            moved[0] = self.fill(hole, self.cursor);
            hole = self.cursor;
        }
        let last = self.members.len() - 1;
        moved[1] = self.fill(hole, last);
        self.members.pop();
        if self.members.is_empty() {
            self.base = self.end();
            self.pass_end = self.base;
            self.log = Vec::new();
            self.members = Vec::new();
            self.frozen = None;
            self.cursor = 0;
        } else if self.members.capacity() > 4 * self.members.len() {
            self.members.shrink_to(2 * self.members.len());
        }
        moved
    }

    fn fill(&mut self, hole: usize, from: usize) -> Option<(u32, u32, u32)> {
        if hole == from {
            return None;
        }
        self.members[hole] = self.members[from];
        let member = self.members[hole];
        Some((member.peer, member.place, hole as u32))
    }
}

/// The capacity that a topic keeps between turns, in bytes: there may be very many topics. All topics share larger
/// buffers.
pub const MAX_KEPT_LOG: usize = 4 << 10;

/// A topic whose log has grown to this is flushed at once, without waiting for the end of the turn.
pub const MAX_LOG: usize = 1 << 20;

/// When the logs of all topics together have grown to this, all of them are flushed at once: one message may go to
/// thousands of rooms.
pub const MAX_LOGS: usize = 8 << 20;
