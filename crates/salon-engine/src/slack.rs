//! The room that lists and tables keep beyond what lies in them, and how it is given back.
//!
//! It is for the engine and the server of the same workspace, and hidden: nobody is promised anything of it.
//!
//! A table that a crowd of peers has made large must not cost memory for ever after the crowd has gone. This module
//! decides when a table shrinks, and to what; it does not know what lies in it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use slab::Slab;

/// Something that grows by doubling, and of its own accord never shrinks.
pub trait Roomy {
    /// How many entries it has.
    fn filled(&self) -> usize;
    /// How many entries it has room for.
    fn room(&self) -> usize;
    /// Gives capacity back, down to room for `to` entries, if it can.
    fn narrow(&mut self, to: usize);
}

/// Gives most of the capacity back if less than an eighth of it is used; then there is room for twice the entries. For
/// lists and maps that costs next to nothing for each entry that was taken out. A slab is searched for its free places,
/// so shrink it seldom.
pub fn shrink(table: &mut impl Roomy) {
    if table.room() > MIN_KEPT && table.filled() < table.room() / 8 {
        table.narrow(2 * table.filled());
    }
}

/// A table with room for so many entries never shrinks.
pub const MIN_KEPT: usize = 256;

/// Tables of the standard library, which can be narrowed to any room.
macro_rules! roomy {
    ($([$($of:tt)*] $table:ty,)*) => {
        $(impl<$($of)*> Roomy for $table {
            fn filled(&self) -> usize {
                self.len()
            }

            fn room(&self) -> usize {
                self.capacity()
            }

            fn narrow(&mut self, to: usize) {
                self.shrink_to(to);
            }
        })*
    };
}

roomy! {
    [T] Vec<T>,
    [T] VecDeque<T>,
    [K: Eq + Hash, V, S: BuildHasher] HashMap<K, V, S>,
}

/// Keys stay, so only the places behind the last one are given back. Large values lie in a box, so that empty places
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
            shrink(&mut list);
            shrink(&mut queue);
            shrink(&mut map);
            shrink(&mut slab);
            for room in [list.capacity(), queue.capacity(), map.capacity(), slab.capacity()] {
                assert!((stay..=most).contains(&room), "{stay} stay: {room}");
            }
        }
    }

    /// A small table is left alone: moving it would gain little.
    #[test]
    fn what_is_small_or_used_stays_as_it_is() {
        let mut small: Vec<usize> = Vec::with_capacity(MIN_KEPT);
        shrink(&mut small);
        assert_eq!(small.capacity(), MIN_KEPT);
        let mut used: Vec<usize> = Vec::with_capacity(8 * MIN_KEPT);
        used.extend(0..MIN_KEPT);
        shrink(&mut used);
        assert_eq!(used.capacity(), 8 * MIN_KEPT);
        used.pop();
        shrink(&mut used);
        assert!(used.capacity() < 3 * MIN_KEPT);
    }
}
