//! All that a store keeps as records, to be written down and read in again: what an export has, and an import takes.
//!
//! An export does not hold up the server that uses the file. It takes the heads of all conversations in one reading,
//! and then entries in pieces, by the key that grows with each: a reader who waits between two pieces keeps no old
//! state of the file from being moved out of its log. What is said behind those heads is left out. What is trimmed,
//! edited or deleted meanwhile is read as it stands then. What it so lacks of what the heads say it states, and at its
//! end how many records it had, so that an import can tell one that lost a line from a whole one.
//!
//! Not in it: retries, which are forgotten after minutes, and the index of words, which is made anew.

mod export;
mod import;
mod record;

pub use export::Export;
#[cfg(test)]
pub(super) use export::{entries_of_all, entries_of_one};
pub use import::{Import, Imported};
pub use record::{About, Body, Head, Name, Record, VERSION};
