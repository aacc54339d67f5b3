//! The memory that the chat holds, by purpose: estimates that are cheap to ask for, however many there are of
//! everything.
//!
//! Slots and tables are counted by their capacity; trees, names and lists that hang on them by their number, times the
//! usual size of one. `tests/allocations.rs` compares the sums with the allocator. Things that few have (notes, titles)
//! are left out, or rounded.

use super::hall::Hall;
use crate::backend::Backend;

/// Bytes held, by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Sessions, what their tokens grant, and their timers.
    pub sessions: usize,
    /// Users who are known, here or not, and their watchers.
    pub users: usize,
    /// Rooms and their members.
    pub rooms: usize,
    /// The memory of limits: buckets, bans, messages that would be retries.
    pub limits: usize,
    /// Messages that are kept.
    pub history: usize,
}

impl Hall {
    pub(super) fn held(&self, store: &dyn Backend) -> Held {
        let sessions = self.roster.sessions().len();
        let seats_in_lists = self.roster.users().memberships().saturating_sub(sessions) * BYTES_PER_SEAT;
        let grants = self.rights.held_bytes() + self.operators.held_bytes();
        let waiting = self.waiting.held_bytes() + self.lists.held_bytes();
        Held {
            sessions: self.roster.sessions().held_bytes()
                + seats_in_lists
                + grants
                + waiting
                + self.timers.held_bytes()
                + self.roster.held_bytes_beside(),
            users: self.roster.users().held_bytes() + self.watches.held_bytes() + self.typists.held_bytes(),
            rooms: self.roster.rooms().held_bytes(self.roster.users().memberships()),
            limits: self.buckets.held_bytes()
                + self.said.held_bytes()
                + self.bans.len() * BYTES_PER_BAN
                + self.ruled.held_bytes(),
            history: store.held_bytes(),
        }
    }
}

/// A seat in the list of a session with several rooms, as lists grow.
const BYTES_PER_SEAT: usize = 27;

/// A ban with its name, its timer and a short note.
const BYTES_PER_BAN: usize = 384;
