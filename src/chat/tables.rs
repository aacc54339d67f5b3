//! What the tables of the standard library take, estimated from how many entries they have room for.

/// What the standard library's hash table takes for this capacity: one octet of control for each place.
pub(super) fn table_bytes<T>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() * (size_of::<T>() + 1) }
}

/// What a B-tree takes for so many entries, its nodes being about two thirds full.
pub(super) fn tree_bytes<T>(entries: usize) -> usize {
    entries * (size_of::<T>() * 3 / 2 + 3)
}
