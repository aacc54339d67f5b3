//! The room that lists and tables keep beyond what lies in them, and how it is given back.
//!
//! Whatever peers can grow they can also leave: a table that a crowd has made large is not to be paid for when the
//! crowd has gone.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use slab::Slab;

/// Something that grows by doubling, and of its own accord never shrinks.
pub trait Roomy {
    /// How much lies in it.
    fn filled(&self) -> usize;
    /// For how much there is room.
    fn room(&self) -> usize;
    /// Gives room back, down to that for so much, if it can.
    fn narrow(&mut self, to: usize);
}

/// Gives most of the room back if less than an eighth of it is used; there is then room for twice of what lies in it.
/// For lists and maps that costs next to nothing for each that was taken out. A slab is looked through to find its free
/// places, so it is asked seldom.
pub fn give_back(table: &mut impl Roomy) {
    if table.room() > MIN_KEPT && table.filled() < table.room() / 8 {
        table.narrow(2 * table.filled());
    }
}

/// For how much of each the room is never given back.
pub const MIN_KEPT: usize = 256;

impl<T> Roomy for Vec<T> {
    fn filled(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    fn narrow(&mut self, to: usize) {
        self.shrink_to(to);
    }
}

impl<T> Roomy for VecDeque<T> {
    fn filled(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    fn narrow(&mut self, to: usize) {
        self.shrink_to(to);
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Roomy for HashMap<K, V, S> {
    fn filled(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    fn narrow(&mut self, to: usize) {
        self.shrink_to(to);
    }
}

/// Keys stay, so only the places behind the last one are given back. What is large lies in a box, so that the others
/// are small.
impl<T> Roomy for Slab<T> {
    fn filled(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    fn narrow(&mut self, _: usize) {
        self.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: how many of a thousand stay, and for how many there is room at most.
    #[test]
    fn what_few_lie_in_becomes_small() {
        for (stay, most) in [(0, 0), (1, 16), (100, 500)] {
            let mut list: Vec<usize> = (0..1024).collect();
            let mut queue: VecDeque<usize> = (0..1024).collect();
            let mut map: HashMap<usize, usize> = (0..1024).map(|n| (n, n)).collect();
            let mut slab: Slab<usize> = (0..1024).map(|n| (n, n)).collect();
            list.truncate(stay);
            queue.truncate(stay);
            map.retain(|&n, _| n < stay);
            slab.retain(|n, _| n < stay);
            give_back(&mut list);
            give_back(&mut queue);
            give_back(&mut map);
            give_back(&mut slab);
            for room in [list.capacity(), queue.capacity(), map.capacity(), slab.capacity()] {
                assert!((stay..=most).contains(&room), "{stay} stay: {room}");
            }
        }
    }

    /// Nothing is moved to and fro where there is little to win.
    #[test]
    fn what_is_small_or_used_stays_as_it_is() {
        let mut small: Vec<usize> = Vec::with_capacity(MIN_KEPT);
        give_back(&mut small);
        assert_eq!(small.capacity(), MIN_KEPT);
        let mut used: Vec<usize> = Vec::with_capacity(8 * MIN_KEPT);
        used.extend(0..MIN_KEPT);
        give_back(&mut used);
        assert_eq!(used.capacity(), 8 * MIN_KEPT);
        used.pop();
        give_back(&mut used);
        assert!(used.capacity() < 3 * MIN_KEPT);
    }
}
