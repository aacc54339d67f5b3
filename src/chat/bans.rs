//! Bans: names that are kept out, until when and why.
//!
//! Bans are of names, not of addresses. The store keeps them, if it keeps anything; the timers of those that end are
//! the hall's.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::name::UserName;
pub(super) use crate::backend::MAX_BANS;

/// The banned names.
#[derive(Debug, Default)]
pub(super) struct Bans {
    all: BTreeMap<UserName, Ban>,
    /// Those that the store has told of, while their timers are not set yet: it tells before the time is known.
    untimed: Vec<UserName>,
}

#[derive(Debug)]
pub(super) struct Ban {
    /// Milliseconds since the Unix epoch; `None`: until it is lifted.
    pub until: Option<u64>,
    pub note: Option<Box<str>>,
}

impl Bans {
    /// Bans a name, or changes the end and the note of its ban.
    pub fn begin(&mut self, name: UserName, ban: Ban) {
        self.all.insert(name, ban);
    }

    /// The same for one that the store knows of, if there is a place.
    pub fn learn(&mut self, name: UserName, ban: Ban) {
        if self.is_full() && !self.has(name.as_str()) {
            return;
        }
        self.untimed.push(name.clone());
        self.begin(name, ban);
    }

    /// Whether any that were learnt have no timer yet.
    pub fn are_untimed(&self) -> bool {
        !self.untimed.is_empty()
    }

    /// Those, and when each ends.
    pub fn take_untimed(&mut self) -> Vec<(UserName, Option<u64>)> {
        let until = |name: &UserName| self.all.get(name).map(|ban| ban.until);
        let untimed = std::mem::take(&mut self.untimed);
        untimed.into_iter().filter_map(|name| until(&name).map(|until| (name, until))).collect()
    }

    /// Lets the name in again. Returns whether it was banned.
    pub fn end(&mut self, name: &UserName) -> bool {
        self.all.remove(name).is_some()
    }

    pub fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// When the ban of a name ends by itself, in milliseconds since the Unix epoch.
    pub fn until(&self, name: &str) -> Option<u64> {
        self.all.get(name).and_then(|ban| ban.until)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether no other name can be kept out.
    pub fn is_full(&self) -> bool {
        self.len() >= MAX_BANS
    }

    /// Bans in order of names, after a name.
    pub fn after(&self, name: Option<&str>) -> impl Iterator<Item = (&UserName, &Ban)> {
        let from = name.map_or(Unbounded, Excluded);
        self.all.range::<str, _>((from, Unbounded))
    }
}
