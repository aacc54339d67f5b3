//! Timers: at most one time for each thing, kept in order of time.
//!
//! The engine has a wheel for a timer per connection; here only users who are typing, crowds, users whose last session
//! has ended (`roster::graces`), and, with tokens, each session until its token ends have one; so an ordered set is
//! enough.

use std::collections::BTreeSet;
use std::hash::Hash;

use super::name::UserName;
use super::tables::{table_bytes, tree_bytes};
use super::typists::Target;
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;
use crate::time::Tick;

/// The timers of the hall. At the same tick they fire in the order of the variants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A user has stopped typing without a message that says so.
    Typing(Box<(UserName, Target)>),
    /// A big room hears its summary.
    Crowd { room: u32 },
    /// The plain sessions of a room hear its names, which are many bytes.
    Names { room: u32 },
    /// Old messages and rooms are dropped.
    Sweep,
    /// Full buckets are forgotten.
    Buckets,
    /// Tables with little in them shrink.
    Slack,
    /// The store is asked for the lives of the rooms that people are in, of those with these keys: all, or one.
    Lives { from: u32, before: u32 },
    /// A store that did not answer is asked again for sessions that catch up.
    Replay(ConnId),
    /// A session has not shown a token in time.
    Unproven(ConnId),
    /// A session's token ends.
    Expires(ConnId),
    /// A session's token has ended some time ago.
    Expired(ConnId),
    /// A user may come in again.
    Ban(UserName),
    /// The next sessions leave rooms that they may be in no longer.
    Stay,
}

/// Invariant: `order` and `due` hold the same pairs.
#[derive(Debug)]
pub(super) struct Timers<T> {
    order: BTreeSet<(Tick, T)>,
    due: Table<T, Tick>,
}

impl<T: Clone + Ord + Hash> Timers<T> {
    /// None is set.
    pub fn new(keyed: &Keyed) -> Self {
        Self { order: BTreeSet::new(), due: keyed.table() }
    }

    /// Sets a timer, or sets it anew.
    pub fn set(&mut self, timer: T, at: Tick) {
        if let Some(before) = self.due.insert(timer.clone(), at) {
            let entry = (before, timer);
            self.order.remove(&entry);
            self.order.insert((at, entry.1));
        } else {
            self.order.insert((at, timer));
        }
    }

    pub fn cancel(&mut self, timer: T) {
        if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
            self.shrink();
        }
    }

    /// How many of a kind are set.
    pub fn count(&self, is: impl Fn(&T) -> bool) -> usize {
        self.due.keys().filter(|timer| is(timer)).count()
    }

    pub fn is_set(&self, timer: &T) -> bool {
        self.due.contains_key(timer)
    }

    /// The next timer that is due, which is then no longer set.
    pub fn pop(&mut self, now: Tick) -> Option<T> {
        if self.order.first()?.0 > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.due.remove(&timer);
        self.shrink();
        Some(timer)
    }

    pub fn next(&self) -> Option<Tick> {
        self.first().map(|(at, _)| at)
    }

    /// The timer that is due first, and when.
    pub fn first(&self) -> Option<(Tick, &T)> {
        self.order.first().map(|(at, timer)| (*at, timer))
    }

    pub fn held_bytes(&self) -> usize {
        tree_bytes::<(Tick, T)>(self.order.len()) + table_bytes::<(T, Tick)>(self.due.capacity())
    }

    /// Ten thousand users who leave at once must not cost memory when they have left.
    fn shrink(&mut self) {
        slack::shrink(&mut self.due);
    }
}
