//! Timers: at most one time for each thing, kept in order of time.
//!
//! The engine has a wheel for a timer per connection; here only users who are typing, crowds, users whose last session
//! has ended (`roster::graces`), and, with tokens, each session until its token ends have one; so an ordered set is
//! enough.
//!
//! A time is counted from the beginning of the turn in which it is set. Where that turn takes long, what somebody is
//! given moves by its length ([`Timers::turn_took`]), once.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Duration;

use super::name::UserName;
use super::tables::{table_bytes, tree_bytes};
use super::typists::Target;
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;
use crate::time::{LONG_TURN, Tick};

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
    /// Messages whose retries are known no longer are forgotten.
    Said,
    /// Tables with little in them shrink.
    Slack,
    /// The store is asked for the lives of the rooms that people are in, from this key on.
    Lives { from: u32 },
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

impl Timer {
    /// Whether it ends a time that somebody is given, and not one that somebody has named by the clock on the wall, or
    /// until the server does something of its own.
    pub fn is_given(&self) -> bool {
        match self {
            Self::Typing(_) | Self::Unproven(_) | Self::Expired(_) => true,
            Self::Expires(_) | Self::Ban(_) => false,
            Self::Crowd { .. } | Self::Names { .. } | Self::Sweep | Self::Buckets | Self::Said | Self::Slack => false,
            Self::Lives { .. } | Self::Replay(_) | Self::Stay => false,
        }
    }
}

/// Invariant: `order` and `due` hold the same timers, each with the same time.
#[derive(Debug)]
pub(super) struct Timers<T> {
    order: BTreeSet<(Tick, T)>,
    due: Table<T, Due>,
    /// Counts turns.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Tick,
    /// The turn in which it was set.
    set_in: u64,
}

impl<T: Clone + Ord + Hash> Timers<T> {
    /// None is set.
    pub fn new(keyed: &Keyed) -> Self {
        Self { order: BTreeSet::new(), due: keyed.table(), turn: 0 }
    }

    /// Sets a timer, or sets it anew.
    pub fn set(&mut self, timer: T, at: Tick) {
        if let Some(before) = self.due.insert(timer.clone(), Due { at, set_in: self.turn }) {
            let entry = (before.at, timer);
            self.order.remove(&entry);
            self.order.insert((at, entry.1));
        } else {
            self.order.insert((at, timer));
        }
    }

    pub fn cancel(&mut self, timer: T) {
        if let Some(due) = self.due.remove(&timer) {
            self.order.remove(&(due.at, timer));
            self.shrink();
        }
    }

    /// The turn that began then is over, and took so long: of those that were set in it and were not due when it began,
    /// those that are `given` move by its length, if that is [long](LONG_TURN). Then it looks at all timers, which takes
    /// less time than has passed; else at none.
    pub fn turn_took(&mut self, began: Tick, took: Duration, given: impl Fn(&T) -> bool) {
        if took >= LONG_TURN {
            for (timer, due) in &mut self.due {
                if due.set_in == self.turn && due.at > began && given(timer) {
                    let mut entry = (due.at, timer.clone());
                    self.order.remove(&entry);
                    due.at = due.at + took;
                    entry.0 = due.at;
                    self.order.insert(entry);
                }
            }
        }
        self.turn += 1;
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
        tree_bytes::<(Tick, T)>(self.order.len()) + table_bytes::<(T, Due)>(self.due.capacity())
    }

    /// Ten thousand users who leave at once must not cost memory when they have left.
    fn shrink(&mut self) {
        slack::shrink(&mut self.due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// What is set in a turn that begins at second 10: each row has the length of that turn, and when the timer is due
    /// that was to be due then.
    #[test]
    fn what_is_set_in_a_long_turn_has_its_time_from_the_end_of_it() {
        for (took, at, due) in [
            (0, 13_000, 13_000),
            (99, 13_000, 13_000),
            (100, 13_000, 13_100),
            (2_000, 13_000, 15_000),
            // It would be over when the turn is.
            (2_000, 10_001, 12_001),
            (2_000, 12_000, 14_000),
            // It was due when the turn began.
            (2_000, 10_000, 10_000),
            (2_000, 9_000, 9_000),
        ] {
            let mut timers = Timers::new(&Random::from(1).keyed());
            timers.set(1, Tick(at));
            timers.set(2, Tick(at));
            timers.turn_took(Tick(10_000), Duration::from_millis(took), |timer| *timer == 1);
            let mut expected = [(Tick(at), 2), (Tick(due), 1)];
            expected.sort_unstable();
            assert!(timers.order.iter().eq(&expected), "{took} {at}: {:?}", timers.order);
            // Not once more, though the next turn begins at once and takes as long.
            timers.turn_took(Tick(10_000 + took), Duration::from_millis(took), |_| true);
            assert!(timers.order.iter().eq(&expected), "{took} {at}: {:?}", timers.order);
            for (at, timer) in expected {
                assert_eq!(timers.pop(Tick(at.0 - 1)), None);
                assert_eq!(timers.pop(at), Some(timer));
            }
            assert_eq!((timers.next(), timers.count(|_| true)), (None, 0));
        }
    }

    /// One that was set before, and is set anew in a long turn, is one of that turn; one that is left alone is not.
    #[test]
    fn what_was_set_before_does_not_move() {
        let mut timers = Timers::new(&Random::from(1).keyed());
        let [short, long] = [1, 2_000].map(Duration::from_millis);
        timers.set("left alone", Tick(5_000));
        timers.set("set anew", Tick(5_000));
        timers.set("cancelled", Tick(5_000));
        timers.turn_took(Tick(1_000), short, |_| true);
        timers.set("set anew", Tick(6_000));
        timers.cancel("cancelled");
        timers.turn_took(Tick(2_000), long, |_| true);
        let expected = [(Tick(5_000), "left alone"), (Tick(8_000), "set anew")];
        assert!(timers.order.iter().eq(&expected), "{:?}", timers.order);
    }
}
