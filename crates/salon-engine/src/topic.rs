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
//!
//! Publications may be numbered. Then the topic knows, for each position in its log, the last number that a member has
//! had who was sent everything up to there: so a member that falls behind can leave, and catch up elsewhere.

use bytes::Bytes;

use crate::ledger::Ledger;
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
/// `members[peer.memberships[m.place].member] == m` (membership is in both directions or in neither); `numbered` is in
/// the order of the log, and nothing in it begins before `base`.
#[derive(Debug, Default)]
pub struct Topic {
    pub members: Vec<Member>,
    pub log: Vec<u8>,
    base: u64,
    /// Members before it have been served in this pass.
    pub cursor: usize,
    pass_end: u64,
    frozen: Option<(u64, Bytes)>,
    /// Where each numbered publication of the log begins, and its number.
    numbered: Vec<(u64, u64)>,
    /// The last number; `None`: nothing numbered has been published since there are members.
    last: Option<u64>,
    /// Whether it is listed for the next flush.
    pub dirty: bool,
    /// Deliveries in the log that no pass has begun with, and when the first of them was caused.
    waiting: (u64, Tick),
    /// The same of those that this pass takes to everybody.
    passing: (u64, Tick),
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

    /// How many topics there are.
    pub fn filled(&self) -> usize {
        self.filled
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

    /// The next publication has this number, one more than the last.
    pub fn number_next(&mut self, number: u64) {
        self.numbered.push((self.end(), number));
        self.last = Some(number);
    }

    /// The number of the last publication before a position, if that is known.
    pub fn number_before(&self, position: u64) -> Option<u64> {
        match self.numbered.get(self.numbered_from(position)) {
            Some((_, next)) => next.checked_sub(1),
            None => self.last,
        }
    }

    /// The part of the log from a numbered publication, or from `sent`, to the next numbered one, or to the end: the
    /// one in which a position is that a member has been sent a part of, and what is behind it without a number.
    pub fn begun_at(&self, sent: u64, position: u64) -> (u64, u64) {
        let next = self.numbered_from(position);
        let from = next.checked_sub(1).map_or(sent, |before| self.numbered[before].0.max(sent));
        (from, self.numbered.get(next).map_or(self.end(), |(start, _)| *start))
    }

    /// Bytes between two positions of the log.
    pub fn bytes_between(&self, from: u64, to: u64) -> &[u8] {
        &self.log[(from - self.base) as usize..(to - self.base) as usize]
    }

    fn numbered_from(&self, position: u64) -> usize {
        self.numbered.partition_point(|(start, _)| *start < position)
    }

    /// Bytes of the log and the lists. The copies that blocked members share are not among them.
    pub fn held_bytes(&self) -> usize {
        self.log.capacity()
            + self.members.capacity() * size_of::<Member>()
            + self.numbered.capacity() * size_of::<(u64, u64)>()
    }

    /// Until when it waits for more messages to send together, if it has so many members. Not amid a pass: some of them
    /// have got the first ones already.
    pub fn held_back(&self, from_members: usize, now: Tick) -> Option<Tick> {
        let waits = self.cursor == 0 && self.members.len() >= from_members;
        (waits && self.flush_at > now).then_some(self.flush_at)
    }

    /// Begins a pass unless one is under way.
    pub fn begin_pass(&mut self) {
        if self.cursor == 0 {
            self.pass_end = self.end();
            self.passing = std::mem::take(&mut self.waiting);
        }
    }

    /// So many deliveries were caused at that time, and are in the log now.
    pub fn note_caused(&mut self, deliveries: u64, at: Tick) {
        let (count, first) = self.waiting;
        self.waiting = (count + deliveries, if count == 0 { at } else { first.min(at) });
    }

    /// The deliveries of the pass that has ended, and when the first of them was caused.
    pub fn passed(&mut self) -> (u64, Tick) {
        std::mem::take(&mut self.passing)
    }

    /// All members have been served: drops the part that all have got. Returns whether something was published
    /// meanwhile.
    pub fn end_pass(&mut self) -> bool {
        self.cursor = 0;
        self.frozen = None;
        let had = (self.pass_end - self.base) as usize;
        self.log.drain(..had);
        self.base = self.pass_end;
        self.numbered.drain(..self.numbered_from(self.base));
        self.numbered.shrink_to(MAX_KEPT_NUMBERS);
        !self.log.is_empty()
    }

    /// The buffer of a log that is empty now, if it is larger than each topic may keep.
    pub fn spare_log(&mut self) -> Option<Vec<u8>> {
        let large = self.log.is_empty() && self.log.capacity() > MAX_KEPT_LOG;
        large.then(|| std::mem::take(&mut self.log))
    }

    /// Gives back what is kept for the next turn, if there is nothing in it.
    pub fn release_unused(&mut self) {
        if self.log.is_empty() {
            (self.log, self.numbered) = (Vec::new(), Vec::new());
        }
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
            (self.numbered, self.last) = (Vec::new(), None);
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

/// The numbered publications for which a topic keeps place between turns.
const MAX_KEPT_NUMBERS: usize = 16;

/// A topic whose log has grown to this is flushed at the [next call](crate::Engine::flush_full) for that, without
/// waiting for the end of the turn.
pub const FULL_LOG: usize = MAX_LOG / 2;

/// The same at once.
pub const MAX_LOG: usize = 1 << 20;

/// When the logs of all topics together have grown to this, all of them are flushed at once: one message may go to
/// thousands of rooms.
pub const MAX_LOGS: usize = 8 << 20;
