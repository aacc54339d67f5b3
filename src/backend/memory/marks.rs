//! Read marks: up to where users have read conversations.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::backend::Epoch;
use crate::random::{Keyed, Table};

/// The marks of all users.
///
/// A mark holds for one life of a conversation. That of an ended life lies here until it is the oldest, or until the
/// user marks what has come to its place.
///
/// Invariant: `order` has each mark of `of` once, by its number, in the order in which they were made; no user in `of`
/// is without one; `names` is the sum of the lengths of their names.
#[derive(Debug)]
pub(super) struct Marks {
    of: Table<Rc<str>, BTreeMap<usize, Mark>>,
    order: BTreeMap<u64, (Rc<str>, usize)>,
    /// How many were made.
    made: u64,
    names: usize,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    epoch: Epoch,
    read: u64,
    /// Which of all that were made.
    made: u64,
}

impl Marks {
    /// Nothing is marked.
    pub fn new(keyed: &Keyed) -> Self {
        Self { of: keyed.table(), order: BTreeMap::new(), made: 0, names: 0 }
    }

    /// Up to where a user has read the conversation at a place; 0: nothing of it.
    pub fn read(&self, user: &str, place: usize, epoch: Epoch) -> u64 {
        let mark = self.of.get(user).and_then(|marks| marks.get(&place));
        mark.filter(|mark| mark.epoch == epoch).map_or(0, |mark| mark.read)
    }

    /// Notes up to where a user has read. Over so many bytes the marks that were made first make room; of more than
    /// [`MAX_MARKS_OF_ONE`] of one user, the first of these.
    pub fn set(&mut self, user: &str, place: usize, epoch: Epoch, read: u64, bytes: usize) {
        if let Some(known) = self.of.get_mut(user).and_then(|marks| marks.get_mut(&place)) {
            (known.epoch, known.read) = (epoch, read);
            return;
        }
        let own = self.of.get(user).filter(|marks| marks.len() >= MAX_MARKS_OF_ONE);
        if let Some(first) = own.and_then(|marks| marks.values().map(|mark| mark.made).min()) {
            self.forget(first);
        }
        while self.order.len() >= MAX_MARKS || self.bytes() >= bytes {
            if !self.forget_oldest() {
                break;
            }
        }
        let user = match self.of.get_key_value(user) {
            Some((user, _)) => user.clone(),
            None => user.into(),
        };
        let marks = self.of.entry(user.clone()).or_default();
        self.names += if marks.is_empty() { user.len() } else { 0 };
        self.made += 1;
        marks.insert(place, Mark { epoch, read, made: self.made });
        self.order.insert(self.made, (user, place));
    }

    /// Forgets the mark that was made first; `false`: there is none.
    pub fn forget_oldest(&mut self) -> bool {
        let Some((&first, _)) = self.order.first_key_value() else { return false };
        self.forget(first);
        true
    }

    fn forget(&mut self, made: u64) {
        let Some((user, place)) = self.order.remove(&made) else { return };
        if let Some(marks) = self.of.get_mut(&user) {
            marks.remove(&place);
            if marks.is_empty() {
                self.of.remove(&user);
                self.names -= user.len();
            }
        }
    }

    pub fn shrink(&mut self) {
        crate::slack::shrink(&mut self.of);
    }

    /// The name of a user who has marks, as it lies here.
    pub fn name(&self, user: &str) -> Option<&str> {
        self.of.get_key_value(user).map(|(user, _)| &**user)
    }

    /// Bytes of it, about.
    pub fn bytes(&self) -> usize {
        self.of.len() * USER_BYTES + self.names + self.order.len() * MARK_BYTES
    }
}

/// Marks of all users together.
pub(super) const MAX_MARKS: usize = 1 << 18;

/// Marks of one user.
const MAX_MARKS_OF_ONE: usize = if cfg!(test) { 50 } else { 10_000 };

/// The memory of a user who has marks, without the name, about.
const USER_BYTES: usize = 128;

/// The memory of a mark, with the room for another one, about.
const MARK_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Epoch = Epoch(7);

    #[test]
    fn the_marks_made_first_make_room() {
        let mut marks = Marks::new(&crate::random::Random::from(1).keyed());
        let two = USER_BYTES + 3 + 2 * MARK_BYTES;
        // Moving a mark makes it no younger.
        for (place, read) in [(1, 1), (2, 2), (1, 3)] {
            marks.set("ann", place, LIFE, read, two);
        }
        assert_eq!((marks.bytes(), marks.read("ann", 1, LIFE), marks.read("ann", 2, LIFE)), (two, 3, 2));
        assert_eq!(marks.read("ann", 1, Epoch(8)), 0);
        marks.set("ann", 3, LIFE, 4, two);
        let read = [1, 2, 3].map(|place| marks.read("ann", place, LIFE));
        assert_eq!((marks.bytes(), read), (two, [0, 2, 4]));
        // One is kept in any case.
        marks.set("bob", 1, LIFE, 5, 0);
        assert_eq!((marks.name("ann"), marks.read("bob", 1, LIFE)), (None, 5));
        assert!(marks.forget_oldest() && !marks.forget_oldest());
        assert_eq!((marks.bytes(), marks.name("bob")), (0, None));
    }

    #[test]
    fn there_are_no_more_than_there_may_be() {
        let mut marks = Marks::new(&crate::random::Random::from(1).keyed());
        let user = |place: usize| format!("user {}", place / MAX_MARKS_OF_ONE);
        for place in 0..MAX_MARKS + 10 {
            marks.set(&user(place), place, LIFE, 1, usize::MAX);
        }
        assert_eq!(marks.order.len(), MAX_MARKS);
        let read = [8, 9, 10, 11].map(|place| marks.read(&user(place), place, LIFE));
        assert_eq!(read, [0, 0, 1, 1]);
    }

    /// Of more marks than a user may have, the one that was made first goes, and none of another user.
    #[test]
    fn marks_of_one_user_are_bounded() {
        let mut marks = Marks::new(&crate::random::Random::from(1).keyed());
        marks.set("bob", 0, LIFE, 1, usize::MAX);
        for place in 0..MAX_MARKS_OF_ONE + 3 {
            marks.set("ann", place, LIFE, 1, usize::MAX);
            // Another place of one that is there makes nothing older or younger.
            marks.set("ann", place, LIFE, 2, usize::MAX);
        }
        assert_eq!([0, 1, 2, 3, 4].map(|place| marks.read("ann", place, LIFE)), [0, 0, 0, 2, 2]);
        assert_eq!((marks.order.len(), marks.read("bob", 0, LIFE)), (MAX_MARKS_OF_ONE + 1, 1));
    }
}
