//! Requests that wait for several others: a list of joins for its rooms, a message to many for its copies.
//!
//! Each part reports its outcome once; with the last part the list is taken out and answered.

use slab::Slab;

use super::ask::Asker;
use super::name::UserName;
use super::rate_limit::Paid;
use crate::slack;

/// Which list. Of its own type, so that it cannot be taken for a ticket of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListKey(u32);

/// The outcomes of the rooms of a list of joins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joins {
    outstanding: usize,
    pub joined: u64,
    pub refused: u64,
    /// Those of the refused ones that the store did not answer, and how many there were in all.
    pub failed: usize,
    pub rooms: usize,
    pub paid: Paid,
}

/// The outcome of one room of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    Joined,
    Refused,
    /// The store did not answer.
    Failed,
}

/// The outcomes of the copies of a message to many.
#[derive(Debug, Default)]
pub(super) struct Copies {
    outstanding: usize,
    pub delivered: Vec<UserName>,
    pub stored: Vec<UserName>,
    pub unknown: Vec<UserName>,
    /// Not here, and nothing is kept for them.
    pub missed: Vec<UserName>,
    pub failed: Vec<UserName>,
    pub said: Option<u64>,
    pub paid: Paid,
}

impl Copies {
    /// No copy has an outcome yet; `said`: the fingerprint of the message for retries.
    pub fn begin(said: Option<u64>, paid: Paid) -> Self {
        Self { said, paid, ..Self::default() }
    }
}

/// The outcome of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// The recipient, who is seen to be here, has heard it.
    Delivered,
    /// It is kept for the recipient.
    Stored,
    /// It has a number, and is in no history.
    Missed,
    Failed,
}

#[derive(Debug)]
struct List {
    asker: Asker,
    of: Of,
}

#[derive(Debug)]
enum Of {
    Joins(Joins),
    Copies(Box<Copies>),
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Lists(Slab<List>);

impl Lists {
    /// A list of so many rooms begins to wait.
    pub fn begin_joins(&mut self, asker: Asker, rooms: usize, paid: Paid) -> ListKey {
        self.insert(asker, Of::Joins(Joins { outstanding: rooms, joined: 0, refused: 0, failed: 0, rooms, paid }))
    }

    /// One room has its answer. With the last one, returns the connection and the answer.
    pub fn note_join(&mut self, key: ListKey, join: Join) -> Option<(Asker, Joins)> {
        let Some(List { of: Of::Joins(joins), .. }) = self.0.get_mut(key.0 as usize) else { return None };
        match join {
            Join::Joined => joins.joined += 1,
            Join::Refused => joins.refused += 1,
            Join::Failed => (joins.refused, joins.failed) = (joins.refused + 1, joins.failed + 1),
        }
        joins.outstanding -= 1;
        self.end_joins(key)
    }

    /// The list, if none of its rooms is waited for: there may have been none.
    pub fn end_joins(&mut self, key: ListKey) -> Option<(Asker, Joins)> {
        let done = matches!(self.0.get(key.0 as usize)?.of, Of::Joins(Joins { outstanding: 0, .. }));
        match done.then(|| self.0.remove(key.0 as usize))? {
            List { asker, of: Of::Joins(joins) } => Some((asker, joins)),
            List { .. } => None,
        }
    }

    /// A message to many begins to wait; `said` is its fingerprint for retries.
    pub fn begin_copies(&mut self, asker: Asker, said: Option<u64>, paid: Paid) -> ListKey {
        self.insert(asker, Of::Copies(Box::new(Copies::begin(said, paid))))
    }

    /// The sender of the message.
    pub fn asker(&self, key: ListKey) -> Option<&Asker> {
        self.0.get(key.0 as usize).map(|list| &list.asker)
    }

    /// The outcomes of copies so far, and how many are missing. With none missing, returns the connection and the
    /// answer.
    pub fn wait_for_copies(&mut self, key: ListKey, copies: Copies, outstanding: usize) -> Option<(Asker, Copies)> {
        if let Some(List { of: Of::Copies(waiting), .. }) = self.0.get_mut(key.0 as usize) {
            **waiting = Copies { outstanding, ..copies };
        }
        self.end_copies(key)
    }

    /// One copy has its outcome. With the last one, returns the connection and the answer.
    pub fn note_copy(&mut self, key: ListKey, to: UserName, copied: Copied) -> Option<(Asker, Copies)> {
        let Some(List { of: Of::Copies(copies), .. }) = self.0.get_mut(key.0 as usize) else { return None };
        let list = match copied {
            Copied::Delivered => &mut copies.delivered,
            Copied::Stored => &mut copies.stored,
            Copied::Missed => &mut copies.missed,
            Copied::Failed => &mut copies.failed,
        };
        list.push(to);
        copies.outstanding -= 1;
        self.end_copies(key)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.0);
    }

    pub fn held_bytes(&self) -> usize {
        self.0.capacity() * size_of::<List>()
    }

    fn insert(&mut self, asker: Asker, of: Of) -> ListKey {
        ListKey(self.0.insert(List { asker, of }) as u32)
    }

    fn end_copies(&mut self, key: ListKey) -> Option<(Asker, Copies)> {
        let done = matches!(&self.0.get(key.0 as usize)?.of, Of::Copies(copies) if copies.outstanding == 0);
        match done.then(|| self.0.remove(key.0 as usize))? {
            List { asker, of: Of::Copies(copies) } => Some((asker, *copies)),
            List { .. } => None,
        }
    }
}
