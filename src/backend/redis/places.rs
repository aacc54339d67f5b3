//! The conversations that this node has to do with: up to which number it has told of each, and, of those that are
//! read, the newest entries, from the oldest that anybody has needed, so that pages are made here and not there.

use std::time::Duration;

use slab::Slab;

use super::super::memory::kept::{Kept, Record};
use super::super::named::Named;
use super::super::{Conversation, Epoch, Head, Query};
use crate::slack;
use crate::time::Tick;

/// A conversation.
///
/// Invariant: `kept` goes up to `heard`, or further: an entry that was edited has its text in the edit, so that of what
/// was missed all is taken before any of it is told. So what is done to an entry that is here is here too.
#[derive(Debug)]
pub(super) struct Place {
    pub kept: Kept,
    /// All that Redis keeps is in `kept`; else the newest entries are, or none.
    pub covers: bool,
    /// The oldest number that Redis kept when it was asked last.
    floor: u64,
    /// The last number that was told.
    pub heard: u64,
    /// Numbers before this one were told before this place was, or are still to be told.
    pub began: u64,
    /// Of these, up to this one they were told: there was a place before.
    pub told: u64,
    /// The life before this one, of which a word may still come.
    pub before: Option<Epoch>,
    /// It was of use since the hand came by.
    used: bool,
    noted: usize,
}

/// What a question takes of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing but its head.
    Head,
    /// All from this number on.
    From(u64),
    /// So many of the newest messages.
    Newest(usize),
    /// All behind a number of that life, or so many of the newest messages.
    Behind(Epoch, u64, usize),
    /// All that is kept.
    All,
}

impl Need {
    /// The same, or less where it is here already. At most so many entries are kept.
    pub fn where_not(self, place: Option<&Place>, limit: usize) -> Self {
        match self {
            // Redis may know of another life, in which another part is needed.
            Self::Behind(..) => self,
            need if place.is_some_and(|place| place.has(need)) => Self::Head,
            Self::Newest(messages) if messages >= limit => Self::All,
            need => need,
        }
    }
}

impl From<Query> for Need {
    fn from(query: Query) -> Self {
        match query {
            Query::Head => Self::Head,
            Query::Newest(bounds) => Self::Newest(bounds.entries),
            // A reader that reads back goes on to do so.
            Query::Before(..) => Self::All,
            Query::After(seq, _) => Self::From(seq.saturating_add(1)),
            Query::Resume { since: None, newest, .. } => Self::Newest(newest),
            Query::Resume { since: Some((epoch, seq)), newest, .. } => Self::Behind(epoch, seq, newest),
        }
    }
}

impl Place {
    /// The state of the conversation, as Redis has it.
    pub fn head(&self) -> Head {
        let head = self.kept.head();
        match self.covers {
            true => head,
            false => Head { kept: (head.seq + 1).saturating_sub(self.floor), ..head },
        }
    }

    /// Whether that is here.
    pub fn has(&self, need: Need) -> bool {
        let (Head { epoch, seq, .. }, oldest) = (self.kept.head(), self.kept.head().oldest());
        self.covers
            || match need {
                Need::Head => true,
                Need::From(first) => oldest <= first.max(self.floor),
                Need::Behind(life, heard, _) if life == epoch && heard <= seq => {
                    oldest <= heard.max(self.floor - 1) + 1
                }
                Need::Newest(messages) | Need::Behind(_, _, messages) => self.kept.has_messages(messages),
                Need::All => oldest <= self.floor,
            }
    }

    /// Takes the next entry of the log. At most so many are kept.
    pub fn take(&mut self, record: &Record<'_>, limit: usize) {
        // What is older than these is not kept there either.
        self.covers |= self.kept.len() >= limit;
        self.kept.take(record, limit);
    }

    /// Drops what is too old; what is older than that is so too.
    pub fn expire(&mut self, now: Tick, age: Duration) {
        let before = self.kept.len();
        self.kept.expire(now, age);
        self.covers |= self.kept.len() < before;
    }

    /// Nothing is here any more of this life, which goes on behind that number.
    pub fn restart(&mut self, epoch: Epoch, seq: u64) {
        if epoch != self.kept.head().epoch {
            self.floor = 1;
        }
        self.kept.restart(epoch, seq);
        self.covers = seq == 0;
    }

    /// This is the oldest number that Redis keeps.
    pub fn note_floor(&mut self, floor: u64) {
        self.floor = floor.max(1);
        self.covers |= self.kept.head().oldest() <= self.floor;
    }
}

/// All of them.
///
/// Invariant: `index` and `all` name the same; `bytes` is the sum of what they keep, as it was noted last.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: Slab<Box<Place>>,
    index: Named<usize>,
    /// Conversations that had a place: their life, of which a word may still come, and the last number of it that was
    /// told. Nothing that has a place is in it.
    gone: Named<(Epoch, u64)>,
    bytes: usize,
    hand: usize,
}

/// How a conversation is named in Redis: `r:` and the room, or `d:` and two names with U+0000 between them.
pub(super) fn write_key(conversation: Conversation<'_>, key: &mut String) {
    key.clear();
    match conversation {
        Conversation::Room(name) => key.extend(["r:", name]),
        Conversation::Direct(one, other) => key.extend(["d:", one.min(other), "\0", one.max(other)]),
    }
}

/// The conversation of that name.
pub(super) fn conversation_of(key: &str) -> Option<Conversation<'_>> {
    match key.split_at_checked(2)? {
        ("r:", name) => Some(Conversation::Room(name)),
        ("d:", names) => names.split_once('\0').map(|(one, other)| Conversation::Direct(one, other)),
        _ => None,
    }
}

impl Places {
    pub fn find(&self, key: &str) -> Option<usize> {
        self.index.get(key).copied()
    }

    pub fn get(&self, at: usize) -> &Place {
        &self.all[at]
    }

    /// The place, which is of use.
    pub fn get_mut(&mut self, at: usize) -> &mut Place {
        let place = &mut self.all[at];
        place.used = true;
        place
    }

    /// The life of a conversation and the last number that was told of it, if that is known.
    pub fn known(&self, key: &str) -> Option<(Epoch, u64)> {
        match self.find(key).map(|at| self.get(at)) {
            Some(place) => Some((place.kept.head().epoch, place.heard)),
            // Nobody waits for what is missing of a room that has no place.
            None => self.gone.get(key).copied().filter(|_| key.starts_with("d:")),
        }
    }

    /// A place for a conversation of which nothing behind that number was told, or behind what was told when it had a
    /// place before.
    pub fn insert(&mut self, key: &str, epoch: Epoch, heard: u64) -> usize {
        while self.all.len() >= MAX_PLACES {
            let (at, mut key) = (self.turn(|place| !place.covers), String::new());
            write_key(self.all[at].kept.conversation(), &mut key);
            self.remove(&key);
        }
        let (before, told) = match self.gone.remove(key) {
            Some((life, told)) if life == epoch => (None, told),
            gone => (gone.map(|(life, _)| life), 0),
        };
        let (direct, heard) = (key.starts_with("d:"), heard.max(told));
        let kept = Kept::behind_number(key.get(2..).unwrap_or_default().into(), direct, epoch, heard);
        // Nothing is all there is.
        let covers = heard == 0;
        let place = Place { kept, covers, floor: 1, heard, began: heard + 1, told, before, used: true, noted: 0 };
        let at = self.all.insert(Box::new(place));
        self.index.insert(key, at);
        at
    }

    pub fn remove(&mut self, key: &str) {
        let Some(at) = self.index.remove(key) else { return };
        let place = self.all.remove(at);
        self.bytes -= place.noted;
        if self.gone.len() >= MAX_GONE {
            self.gone.clear();
        }
        self.gone.insert(key, (place.kept.head().epoch, place.heard));
    }

    /// Takes note of what a place keeps; over [`MAX_BYTES`], others give up what they keep.
    pub fn note(&mut self, at: usize) {
        let place = &mut self.all[at];
        self.bytes = self.bytes - place.noted + place.kept.bytes();
        place.noted = place.kept.bytes();
        while self.bytes > MAX_BYTES {
            let other = self.turn(|_| true);
            if other == at {
                // It is read this very moment.
                let next = self.all.iter().find(|(place, it)| *place != at && it.noted > 0).map(|(place, _)| place);
                let Some(next) = next else { break };
                self.uncover(next);
            } else {
                self.uncover(other);
            }
        }
    }

    /// Gives up what is kept here of a conversation; Redis has it.
    pub fn uncover(&mut self, at: usize) {
        let place = &mut self.all[at];
        self.bytes -= std::mem::take(&mut place.noted);
        place.restart(place.kept.head().epoch, place.heard);
    }

    /// Gives up so many bytes of what is kept here, or all.
    pub fn give_up(&mut self, bytes: usize) {
        let least = self.bytes.saturating_sub(bytes);
        let all: Vec<usize> = self.all.iter().filter(|(_, place)| place.noted > 0).map(|(at, _)| at).collect();
        for at in all {
            if self.bytes <= least {
                break;
            }
            self.uncover(at);
        }
    }

    /// The next one that was of no use lately, if that is so of any.
    fn turn(&mut self, fits: impl Fn(&Place) -> bool) -> usize {
        for _ in 0..=2 * self.all.capacity() {
            self.hand = if self.hand + 1 >= self.all.capacity() { 0 } else { self.hand + 1 };
            if let Some(place) = self.all.get_mut(self.hand)
                && fits(place)
                && !std::mem::take(&mut place.used)
            {
                return self.hand;
            }
        }
        self.all.iter().next().map_or(0, |(at, _)| at)
    }

    /// Names, epochs and heads of all, in an order that is the same for the same nodes.
    pub fn heads(&self) -> impl Iterator<Item = (String, Epoch, u64)> {
        self.all.iter().map(|(_, place)| {
            let mut key = String::new();
            write_key(place.kept.conversation(), &mut key);
            (key, place.kept.head().epoch, place.heard)
        })
    }

    /// The places of all.
    pub fn all(&self) -> Vec<usize> {
        self.all.iter().map(|(at, _)| at).collect()
    }

    /// Whether entries are kept, here or, as far as is known here, there.
    pub fn keep_any(&self) -> bool {
        self.all.iter().any(|(_, place)| !place.covers || !place.kept.is_empty())
    }

    pub fn held_bytes(&self) -> usize {
        let slots = self.all.capacity() * 2 * size_of::<usize>();
        // A place has its name once more.
        let places = self.all.len() * size_of::<Place>() + self.index.name_bytes();
        self.bytes + slots + places + self.index.held_bytes() + self.gone.held_bytes()
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.all);
        self.index.shrink();
        self.gone.shrink();
    }
}

/// Conversations that a node has to do with. Of more, those that were of no use lately are forgotten.
const MAX_PLACES: usize = 1 << 17;

/// Bytes of entries that are kept in the process, of all conversations together.
const MAX_BYTES: usize = 64 << 20;

/// Conversations that had a place of which something may still come; of more, none is remembered.
const MAX_GONE: usize = 1 << 14;
