//! Bans: names that are kept out, until when and why.
//!
//! Bans are of names, not of addresses, and are forgotten when the server stops. The timers of those that end are the
//! hall's.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::name::UserName;

/// The banned names.
#[derive(Debug, Default)]
pub(super) struct Bans(BTreeMap<UserName, Ban>);

#[derive(Debug)]
pub(super) struct Ban {
    /// Milliseconds since the Unix epoch; `None`: until it is lifted.
    pub until: Option<u64>,
    pub note: Option<Box<str>>,
}

impl Bans {
    /// Bans a name, or changes the end and the note of its ban.
    pub fn begin(&mut self, name: UserName, ban: Ban) {
        self.0.insert(name, ban);
    }

    /// Lets the name in again. Returns whether it was banned.
    pub fn end(&mut self, name: &UserName) -> bool {
        self.0.remove(name).is_some()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no other name can be kept out.
    pub fn is_full(&self) -> bool {
        self.len() >= MAX_BANS
    }

    /// Bans in order of names, after a name.
    pub fn after(&self, name: Option<&str>) -> impl Iterator<Item = (&UserName, &Ban)> {
        let from = name.map_or(Unbounded, Excluded);
        self.0.range::<str, _>((from, Unbounded))
    }
}

/// Bans at a time: some 5 MB when all have notes.
pub(super) const MAX_BANS: usize = 10_000;
