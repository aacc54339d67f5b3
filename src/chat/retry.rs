//! Retries: a user who says the same thing twice with the same `id` has said it once.
//!
//! A message, or a change of one, is remembered as a fingerprint of (who, id, where, what) with the number it got. One
//! memory for all, first in first out: past [`most`] the oldest is forgotten before its time. One that the backend has
//! not answered yet is not forgotten, however many there are: the queue of the backend is their bound.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::settings::remembered_bytes;
use super::tables::table_bytes;
use super::wire::Id;
use crate::backend::{NewBody, RetryKey};
use crate::random::{Keyed, Table};
use crate::time::Tick;

#[derive(Debug)]
pub(super) struct Said {
    /// With a key nobody knows, so that it is useless to search for two messages with one fingerprint.
    hasher: Keyed,
    /// With the time since when it is there; of what was said, since when it was.
    answers: Table<u64, (Answer, Tick)>,
    /// What was said, the oldest first. One that has been forgotten by itself may stand here still: only the time that
    /// `answers` has counts.
    order: VecDeque<(Tick, u64)>,
}

/// What is said or done, as a retry must repeat it.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Deed<'a> {
    kind: u8,
    of: Option<u64>,
    text: &'a str,
}

impl<'a> From<NewBody<'a>> for Deed<'a> {
    fn from(body: NewBody<'a>) -> Self {
        let of = body.needs();
        let (kind, text) = match body {
            NewBody::Message { content, .. } => (0, content),
            NewBody::Edit { content, .. } => (1, content),
            NewBody::Delete { .. } => (2, ""),
            NewBody::Reaction { emoji, on: false, .. } => (3, emoji),
            NewBody::Reaction { emoji, on: true, .. } => (4, emoji),
        };
        Self { kind, of, text }
    }
}

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The backend has not answered yet.
    Waiting,
    /// It was said.
    Said {
        /// Its number, if its place has numbers.
        seq: Option<u64>,
        ts: u64,
    },
}

impl Said {
    /// Nothing was said.
    pub fn new(keyed: &Keyed) -> Self {
        Self { hasher: keyed.clone(), answers: keyed.table(), order: VecDeque::new() }
    }

    /// String ids are the user's, on all devices; integers count from 0 on each device.
    pub fn fingerprint(&self, user: &str, session: u64, id: &Id<'_>, target: (&str, &str), deed: Deed<'_>) -> u64 {
        let session = if matches!(id, Id::Text(_)) { None } else { Some(session) };
        self.hasher.hash_one((user, session, id, target, deed))
    }

    /// The same for a store, in which other processes look for it: so it is no secret, and no two texts have the same.
    pub fn key(user: &str, id: &str, target: (&str, &str), deed: Deed<'_>) -> RetryKey {
        let Deed { kind, of, text } = deed;
        let mut hash = Sha1::new();
        for part in [user, id, target.0, target.1, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update([kind, u8::from(of.is_some())]);
        hash.update(of.unwrap_or_default().to_be_bytes());
        shortened(hash)
    }

    /// The key of one copy of a message to many.
    pub fn key_of_copy(RetryKey(all): RetryKey, to: &str) -> RetryKey {
        shortened(Sha1::new_with_prefix(all).chain_update(to))
    }

    pub fn find(&self, fingerprint: u64, now: Tick) -> Option<Answer> {
        let &(answer, since) = self.answers.get(&fingerprint)?;
        (answer == Answer::Waiting || now.since(since) < REMEMBERED_FOR).then_some(answer)
    }

    /// It waits for its outcome from now on; of all, [`most`] are remembered.
    pub fn wait(&mut self, fingerprint: u64, most: usize, now: Tick) {
        for _ in 0..MAX_FORGOTTEN_FOR_ONE {
            if self.is_over(most.saturating_sub(1)) {
                self.forget_oldest();
            }
        }
        self.answers.insert(fingerprint, (Answer::Waiting, now));
    }

    /// It was said, and is remembered for its time.
    pub fn answer(&mut self, fingerprint: u64, (seq, ts): (Option<u64>, u64), now: Tick) {
        if let Some(known @ (Answer::Waiting, _)) = self.answers.get_mut(&fingerprint) {
            *known = (Answer::Said { seq, ts }, now);
            self.order.push_back((now, fingerprint));
        }
    }

    /// Forgets some of those whose time is over, or that are more than [`most`]. Returns when to call it again.
    pub fn forget(&mut self, most: usize, now: Tick) -> Option<Tick> {
        let due = |said: &Self| said.order.front().is_some_and(|&(at, _)| now.since(at) >= REMEMBERED_FOR);
        for _ in 0..MAX_FORGOTTEN_AT_ONCE {
            if !due(self) && !self.is_over(most) {
                break;
            }
            self.forget_oldest();
        }
        self.shrink();
        let &(at, _) = self.order.front()?;
        match due(self) || self.is_over(most) {
            true => Some(now + FORGET_ON_AFTER),
            false => Some((at + REMEMBERED_FOR).max(now + FORGET_EVERY)),
        }
    }

    /// The message was not said after all; sending it again is no retry.
    pub fn fail(&mut self, fingerprint: u64) {
        self.answers.remove(&fingerprint);
    }

    /// The store has lost something: whether what was said is there still, only the store knows. What waits for its
    /// outcome waits on.
    pub fn forget_answered(&mut self) {
        self.answers.retain(|_, (answer, _)| *answer == Answer::Waiting);
        self.order.clear();
    }

    pub fn held_bytes(&self) -> usize {
        table_bytes::<(u64, (Answer, Tick))>(self.answers.capacity()) + self.order.capacity() * size_of::<(Tick, u64)>()
    }

    pub fn shrink(&mut self) {
        crate::slack::shrink(&mut self.answers);
        crate::slack::shrink(&mut self.order);
    }

    /// Whether there are more than so many, and one of them may be forgotten.
    fn is_over(&self, most: usize) -> bool {
        !self.order.is_empty() && self.answers.len().max(self.order.len()) > most
    }

    fn forget_oldest(&mut self) {
        if let Some((at, fingerprint)) = self.order.pop_front()
            && self.answers.get(&fingerprint).is_some_and(|&(answer, since)| answer != Answer::Waiting && since == at)
        {
            self.answers.remove(&fingerprint);
        }
    }
}

fn shortened(hash: Sha1) -> RetryKey {
    let mut key = RetryKey([0; 16]);
    key.0.copy_from_slice(&hash.finalize()[..16]);
    key
}

/// How many messages are remembered of all users together with such a budget of memory: as many as take their share.
pub(super) fn most(budget: Option<usize>) -> usize {
    (remembered_bytes(budget) / BYTES_PER_RETRY).clamp(LEAST_REMEMBERED, MAX_REMEMBERED)
}

/// How long a retry is known as one.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

/// How often those whose time is over are forgotten, at most; while there are more of them, this much sooner.
pub(super) const FORGET_EVERY: Duration = Duration::from_secs(1);
pub(super) const FORGET_ON_AFTER: Duration = Duration::from_millis(20);

/// Messages that are remembered of all users together: some 30 MB when full.
const MAX_REMEMBERED: usize = 1 << 18;

/// And with however little memory.
const LEAST_REMEMBERED: usize = 256;

/// What one takes of the tables at most, which grow by doubling.
const BYTES_PER_RETRY: usize = 128;

/// Those that are forgotten in one go, when their time is over; and for one that is new, when the budget has become
/// smaller.
const MAX_FORGOTTEN_AT_ONCE: usize = 4096;
const MAX_FORGOTTEN_FOR_ONE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said::new(&crate::random::Random::from(1).keyed())
    }

    /// Those that are known of `0..n`.
    fn known(said: &Said, n: u64, now: Tick) -> Vec<u64> {
        (0..n).filter(|&n| said.find(n, now).is_some()).collect()
    }

    /// A message that failed is forgotten at once; sent again, it is remembered from then on, for the whole time.
    #[test]
    fn what_failed_and_was_said_again() {
        let mut said = said();
        said.wait(7, 10, Tick(0));
        said.fail(7);
        assert_eq!(said.find(7, Tick(0)), None);
        said.wait(7, 10, Tick(200_000));
        said.answer(7, (Some(1), 2), Tick(200_000));
        let known = Some(Answer::Said { seq: Some(1), ts: 2 });
        for (at, expected) in [(299_999, known), (300_000, known), (499_999, known), (500_000, None)] {
            assert_eq!(said.find(7, Tick(at)), expected, "{at}");
        }
        assert_eq!(said.forget(10, Tick(499_999)), Some(Tick(500_999)));
        assert_eq!(said.forget(10, Tick(500_000)), None);
        assert!(said.answers.is_empty() && said.order.is_empty());
    }

    /// However many fail, they take no place.
    #[test]
    fn failures_are_bounded() {
        let mut said = said();
        for n in 0..2 * MAX_REMEMBERED as u64 {
            said.wait(n, MAX_REMEMBERED, Tick(0));
            match n % 2 {
                0 => said.fail(n),
                _ => said.answer(n, (None, 0), Tick(0)),
            }
        }
        assert_eq!((said.order.len(), said.answers.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        assert!(said.held_bytes() < 30 << 20, "{}", said.held_bytes());
    }

    /// At the limit all are known; past it the oldest goes, but none that is not answered yet.
    #[test]
    fn the_oldest_that_is_answered_goes_first() {
        let mut said = said();
        said.wait(0, 3, Tick(0));
        for n in 1..3 {
            said.wait(n, 3, Tick(n));
            said.answer(n, (Some(n), 0), Tick(n));
        }
        assert_eq!(known(&said, 9, Tick(3)), [0, 1, 2]);
        said.wait(3, 3, Tick(3));
        assert_eq!(known(&said, 9, Tick(3)), [0, 2, 3]);
        said.wait(4, 3, Tick(4));
        assert_eq!(known(&said, 9, Tick(4)), [0, 3, 4]);
        // All wait: none goes.
        said.wait(5, 3, Tick(5));
        assert_eq!(known(&said, 9, Tick(600_000)), [0, 3, 4, 5]);
        // The place in the order is that of the answer.
        said.answer(4, (None, 0), Tick(6));
        said.answer(0, (None, 0), Tick(7));
        said.wait(6, 4, Tick(8));
        assert_eq!(known(&said, 9, Tick(8)), [0, 3, 5, 6]);
    }

    /// They take an eighth of a budget and no more; and when the budget becomes smaller, what is over goes by and by.
    #[test]
    fn they_take_their_share_of_the_budget() {
        for (budget, expected) in [
            (None, MAX_REMEMBERED),
            (Some(0), LEAST_REMEMBERED),
            (Some(1 << 20), 1024),
            (Some(32 << 20), 32_768),
            (Some(256 << 20), MAX_REMEMBERED),
            (Some(1 << 40), MAX_REMEMBERED),
        ] {
            assert_eq!(most(budget), expected, "{budget:?}");
        }
        let (mut said, budget) = (said(), 32 << 20);
        let mut worst = 0;
        for n in 0..100_000 {
            said.wait(n, most(Some(budget)), Tick(0));
            said.answer(n, (Some(n), n), Tick(0));
            worst = worst.max(said.held_bytes());
        }
        assert!(said.answers.len() == 32_768 && worst <= budget / 8, "{worst}");
        let smaller = most(Some(1 << 20));
        let mut calls = 0;
        while said.answers.len() > smaller {
            assert!(said.forget(smaller, Tick(0)).is_some());
            calls += 1;
        }
        assert_eq!(calls, (32_768usize - smaller).div_ceil(MAX_FORGOTTEN_AT_ONCE));
        assert!(said.held_bytes() <= 4 * (1 << 20) / 8, "{}", said.held_bytes());
        assert_eq!(known(&said, 100_000, Tick(0)).first(), Some(&(100_000 - smaller as u64)));
    }
}
