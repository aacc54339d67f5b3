//! What is to happen later: at most one time for each thing, kept in order of time.
//!
//! The engine has a wheel for a timer per connection; here only those have one who are about to leave, typing, or in
//! a crowd, and, with tokens, each session until its token ends; so that an ordered set is enough.

use std::collections::{BTreeSet, HashMap};

use super::held::{table_bytes, tree_bytes};
use super::name::UserName;
use super::typing::Target;
use crate::id::ConnId;
use crate::slack;
use crate::time::Tick;

/// What happens. At the same tick, in the order of the variants: one stops typing, then leaves, then is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Somebody has stopped typing without saying so.
    Typing(Box<(UserName, Target)>),
    /// Nobody came back to the room for this user.
    Leave { user: u32, room: u32 },
    /// Nobody came back for this user.
    Gone { user: u32 },
    /// A big room hears who is there.
    Crowd { room: u32 },
    /// Old messages and rooms are let go.
    Sweep,
    /// Full buckets are forgotten.
    Buckets,
    /// Tables that little lies in give their room back.
    Slack,
    /// A store that did not answer is asked again for who catches up.
    Replay(ConnId),
    /// A session has not said who it is.
    Unproven(ConnId),
    /// A session's token ends.
    Expires(ConnId),
    /// A session's token has ended some time ago.
    Expired(ConnId),
    /// A user may come in again.
    Ban(UserName),
}

/// Invariant: `order` and `due` hold the same pairs; `leaving` has the user and room of each [`Timer::Leave`].
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Tick, Timer)>,
    due: HashMap<Timer, Tick>,
    leaving: BTreeSet<(u32, u32)>,
}

impl Timers {
    /// Sets a timer, or sets it anew.
    pub fn set(&mut self, timer: Timer, at: Tick) {
        if let Timer::Leave { user, room } = timer {
            self.leaving.insert((user, room));
        }
        if let Some(before) = self.due.insert(timer.clone(), at) {
            let entry = (before, timer);
            self.order.remove(&entry);
            self.order.insert((at, entry.1));
        } else {
            self.order.insert((at, timer));
        }
    }

    pub fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.due.remove(&timer) {
            self.forget_leaving(&timer);
            self.order.remove(&(at, timer));
            self.let_go();
        }
    }

    pub fn is_set(&self, timer: &Timer) -> bool {
        self.due.contains_key(timer)
    }

    /// The next timer that is due, which is then no longer set.
    pub fn pop(&mut self, now: Tick) -> Option<Timer> {
        if self.order.first()?.0 > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.due.remove(&timer);
        self.forget_leaving(&timer);
        self.let_go();
        Some(timer)
    }

    /// The rooms that wait for a device of this user, of which there may be a hundred among a hundred thousand.
    pub fn leaving(&self, user: u32) -> Vec<u32> {
        self.leaving.range((user, 0)..=(user, u32::MAX)).map(|&(_, room)| room).collect()
    }

    fn forget_leaving(&mut self, timer: &Timer) {
        if let Timer::Leave { user, room } = *timer {
            self.leaving.remove(&(user, room));
        }
    }

    pub fn next(&self) -> Option<Tick> {
        self.order.first().map(|&(at, _)| at)
    }

    pub fn held_bytes(&self) -> usize {
        tree_bytes::<(u32, u32)>(self.leaving.len())
            + tree_bytes::<(Tick, Timer)>(self.order.len())
            + table_bytes::<(Timer, Tick)>(self.due.capacity())
    }

    /// Ten thousand who leave at once are not to be paid for when they have left.
    fn let_go(&mut self) {
        slack::give_back(&mut self.due);
    }
}
