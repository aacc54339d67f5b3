//! What is kept beside the entries of a conversation, so that its messages can be read folded, and histories without
//! walking over what is no message. A conversation in which people only talk has none of it.

use std::collections::{BTreeMap, VecDeque};

/// What people have done with messages, and where there are none.
///
/// Invariant: `bytes` is the cost of both; no fold is empty; the runs are apart, in order.
#[derive(Debug, Default)]
pub(super) struct Beside {
    folds: BTreeMap<u64, Folded>,
    /// The first and the last number of entries in a row that are no messages.
    runs: VecDeque<(u64, u64)>,
    bytes: usize,
}

/// What has been done with a message.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// The number of its last edit, which has its text.
    pub edit: Option<u64>,
    /// The users who react, in the order in which they came, by emoji, in the order in which each of these came.
    pub reactions: Vec<Vec<Reacted>>,
}

/// A reaction that stands. Its entry names user and emoji, and is kept as long as the message, which is older.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reacted {
    /// How far its entry stands behind the message.
    pub ahead: u32,
    /// A hash of the name, so that few entries are looked at.
    pub hash: u32,
}

impl Folded {
    fn cost(&self) -> usize {
        let users: usize = self.reactions.iter().map(Vec::len).sum();
        FOLDED_BYTES + self.reactions.len() * EMOJI_BYTES + users * REACTED_BYTES
    }

    fn is_empty(&self) -> bool {
        self.edit.is_none() && self.reactions.is_empty()
    }
}

impl Beside {
    pub fn of(&self, message: u64) -> Option<&Folded> {
        self.folds.get(&message)
    }

    /// Changes what has been done with a message.
    pub fn change<R>(&mut self, message: u64, change: impl FnOnce(&mut Folded) -> R) -> R {
        let folded = self.folds.entry(message).or_default();
        let before = if folded.is_empty() { 0 } else { folded.cost() };
        let result = change(folded);
        let after = if folded.is_empty() { 0 } else { folded.cost() };
        if after == 0 {
            self.folds.remove(&message);
        }
        self.bytes = self.bytes - before + after;
        result
    }

    /// The newest entry is no message.
    pub fn note_other(&mut self, seq: u64) {
        match self.runs.back_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => {
                self.runs.push_back((seq, seq));
                self.bytes += RUN_BYTES;
            }
        }
    }

    /// Entries before this one are no longer kept.
    pub fn forget_others(&mut self, before: u64) {
        while self.runs.front().is_some_and(|&(_, last)| last < before) {
            self.runs.pop_front();
            self.bytes -= RUN_BYTES;
        }
    }

    /// Where messages stand in `from..to`, one row of them after the other; some may be empty.
    pub fn gaps(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        let first = self.runs.partition_point(|&(_, last)| last < from);
        let end = self.runs.partition_point(|&(first, _)| first < to).max(first);
        (first..end + 1).map(move |run| {
            let begin = if run == first { from } else { self.runs[run - 1].1 + 1 };
            (begin, if run == end { to.max(begin) } else { self.runs[run].0.max(begin) })
        })
    }

    pub fn is_empty(&self) -> bool {
        self.folds.is_empty() && self.runs.is_empty()
    }

    /// Bytes of it, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The memory of a message's place in the list, about.
const FOLDED_BYTES: usize = 80;

/// The memory of one emoji, without users, about.
const EMOJI_BYTES: usize = 64;

/// The memory of a user who reacts, and of the room for another one.
const REACTED_BYTES: usize = 2 * size_of::<Reacted>();

/// The memory of a run, and of the room for another one.
const RUN_BYTES: usize = 2 * size_of::<(u64, u64)>();

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: numbers that are no messages, a range, and the numbers in it that are.
    #[test]
    fn gaps_are_what_is_between() {
        let rows = [
            (&[][..], (1, 4), &[1, 2, 3][..]),
            (&[], (4, 4), &[]),
            (&[1, 2, 3], (1, 4), &[]),
            (&[2], (1, 4), &[1, 3]),
            (&[1, 3, 5], (1, 6), &[2, 4]),
            (&[3, 4, 7], (1, 9), &[1, 2, 5, 6, 8]),
            (&[3, 4, 7], (4, 7), &[5, 6]),
            (&[3, 4, 7], (5, 6), &[5]),
            (&[3, 4, 7], (4, 5), &[]),
        ];
        for (others, (from, to), expected) in rows {
            let mut beside = Beside::default();
            others.iter().for_each(|&seq| beside.note_other(seq));
            let found: Vec<u64> = beside.gaps(from, to).flat_map(|(from, to)| from..to).collect();
            assert_eq!(found, expected, "{others:?} {from}..{to}");
            let mut back: Vec<u64> = beside.gaps(from, to).rev().flat_map(|(from, to)| (from..to).rev()).collect();
            back.reverse();
            assert_eq!(back, expected, "{others:?} {from}..{to}");
        }
    }

    #[test]
    fn nothing_is_left_of_what_is_forgotten() {
        let mut beside = Beside::default();
        for seq in [2, 3, 5] {
            beside.note_other(seq);
        }
        beside.change(1, |folded| folded.reactions.push(vec![Reacted { ahead: 1, hash: 7 }]));
        beside.change(1, |folded| folded.edit = Some(3));
        assert_eq!(beside.bytes(), 2 * RUN_BYTES + FOLDED_BYTES + EMOJI_BYTES + REACTED_BYTES);
        beside.forget_others(3);
        assert_eq!(beside.runs, [(2, 3), (5, 5)]);
        beside.forget_others(6);
        beside.change(1, |folded| *folded = Folded::default());
        beside.change(9, |_| ());
        assert!(beside.is_empty());
        assert_eq!(beside.bytes(), 0);
    }
}
