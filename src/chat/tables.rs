//! The memory of the tables of the standard library, estimated from the number of entries they have room for.

/// The memory of the standard library's hash table for this capacity: one byte of control for each place.
pub(super) fn table_bytes<T>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() * (size_of::<T>() + 1) }
}

/// The memory of a B-tree for so many entries, with nodes about two thirds full.
pub(super) fn tree_bytes<T>(entries: usize) -> usize {
    entries * (size_of::<T>() * 3 / 2 + 3)
}
