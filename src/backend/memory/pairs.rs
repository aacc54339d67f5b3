//! The pairs of users who talk with each other, by which the user in most pairs is found, and all pairs of one user.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::random::{Keyed, Table};

/// The pairs of users.
///
/// Invariant: `of` has each pair for both of its users, and no user without one; `by_number` has each user of `of`, by
/// how many pairs they are in and then by how long the most silent of these has been silent.
#[derive(Debug)]
pub(super) struct Pairs {
    len: usize,
    of: Table<Rc<str>, BTreeSet<Pair>>,
    by_number: BTreeSet<(usize, Reverse<u64>, Rc<str>)>,
}

/// When something was last said in it, counted in messages, and its place.
pub(super) type Pair = (u64, usize);

impl Pairs {
    /// There is none.
    pub fn new(keyed: &Keyed) -> Self {
        Self { len: 0, of: keyed.table(), by_number: BTreeSet::new() }
    }

    pub fn insert(&mut self, key: &str, pair: Pair) {
        self.len += 1;
        self.change(key, |pairs| pairs.insert(pair));
    }

    pub fn remove(&mut self, key: &str, pair: Pair) {
        self.len -= 1;
        self.change(key, |pairs| pairs.remove(&pair));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All users of pairs.
    pub fn users(&self) -> impl Iterator<Item = &Rc<str>> {
        self.of.keys()
    }

    /// The pairs of the user who is in most, those that were silent longest first.
    pub fn most_silent_of_most(&self) -> impl Iterator<Item = usize> {
        let most = self.by_number.last().and_then(|(_, _, user)| self.of.get(user));
        most.into_iter().flatten().map(|&(_, place)| place)
    }

    /// The pairs of a user in which something was last said before that, the latest first.
    pub fn of(&self, user: &str, before: u64) -> impl Iterator<Item = Pair> {
        let pairs = self.of.get(user).into_iter();
        pairs.flat_map(move |pairs| pairs.range(..(before, 0)).rev().copied())
    }

    fn change(&mut self, key: &str, change: impl Fn(&mut BTreeSet<Pair>) -> bool) {
        let (one, other) = key.split_once('\0').expect("the key of a pair has two names");
        for user in [Some(one), Some(other).filter(|&other| other != one)].into_iter().flatten() {
            let (user, mut pairs) = self.of.remove_entry(user).unwrap_or_else(|| (user.into(), BTreeSet::new()));
            let number = |pairs: &BTreeSet<Pair>| pairs.first().map(|first| (pairs.len(), Reverse(first.0)));
            if let Some((len, silent)) = number(&pairs) {
                self.by_number.remove(&(len, silent, user.clone()));
            }
            change(&mut pairs);
            if let Some((len, silent)) = number(&pairs) {
                self.by_number.insert((len, silent, user.clone()));
                self.of.insert(user, pairs);
            }
        }
        if self.of.len() < self.of.capacity() / 8 {
            self.of.shrink_to(2 * self.of.len());
        }
    }

    #[cfg(test)]
    pub fn has_nothing(&self) -> bool {
        self.of.is_empty() && self.by_number.is_empty() && self.len == 0
    }
}
