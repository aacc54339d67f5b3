//! Graces: users whose last session has ended, and who may come back as if they had not been away.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::tables::tree_bytes;
use super::super::timers::Timers;
use crate::random::Keyed;
use crate::time::Tick;

/// The kinds of graces. At the same tick they end in the order of the variants: a user leaves, then is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::chat) enum Grace {
    /// No session of the user has come back to the room.
    Leave { user: u32, room: u32 },
    /// No session of the user has come back at all.
    Gone { user: u32 },
}

/// Invariant: `leaving` has the user and room of each [`Grace::Leave`] that runs.
#[derive(Debug)]
pub(super) struct Graces {
    timers: Timers<Grace>,
    leaving: BTreeSet<(u32, u32)>,
}

impl Graces {
    /// None runs.
    pub fn new(keyed: &Keyed) -> Self {
        Self { timers: Timers::new(keyed), leaving: BTreeSet::new() }
    }

    /// Lets a grace run until then, also if it runs already.
    pub fn set(&mut self, grace: Grace, until: Tick) {
        if let Grace::Leave { user, room } = grace {
            self.leaving.insert((user, room));
        }
        self.timers.set(grace, until);
    }

    pub fn cancel(&mut self, grace: Grace) {
        self.forget_leaving(grace);
        self.timers.cancel(grace);
    }

    /// The next grace that is over, which then runs no longer.
    pub fn pop(&mut self, now: Tick) -> Option<Grace> {
        let grace = self.timers.pop(now)?;
        self.forget_leaving(grace);
        Some(grace)
    }

    /// The turn that began then took so long: graces that were set in it run as much longer, if that is long.
    pub fn turn_took(&mut self, began: Tick, took: Duration) {
        self.timers.turn_took(began, took, |_| true);
    }

    /// The rooms that wait for a session of this user, of which there may be a hundred among a hundred thousand.
    pub fn leaving(&self, user: u32) -> Vec<u32> {
        self.leaving.range((user, 0)..=(user, u32::MAX)).map(|&(_, room)| room).collect()
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.timers.count(|_| true)
    }

    pub fn next(&self) -> Option<Tick> {
        self.timers.next()
    }

    pub fn held_bytes(&self) -> usize {
        tree_bytes::<(u32, u32)>(self.leaving.len()) + self.timers.held_bytes()
    }

    pub fn runs(&self, grace: Grace) -> bool {
        self.timers.is_set(&grace)
    }

    fn forget_leaving(&mut self, grace: Grace) {
        if let Grace::Leave { user, room } = grace {
            self.leaving.remove(&(user, room));
        }
    }
}
