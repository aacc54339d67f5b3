//! Retries: a user who says the same thing twice with the same `id` has said it once.
//!
//! A message, or a change of one, is remembered as a fingerprint of (who, id, where, what) with the number it got. One
//! memory for all, first in first out: past [`MAX_REMEMBERED`] the oldest is forgotten before its time.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::tables::table_bytes;
use super::wire::Id;
use crate::backend::{NewBody, RetryKey};
use crate::random::{Keyed, Table};
use crate::time::Tick;

#[derive(Debug)]
pub(super) struct Said {
    /// With a key nobody knows, so that it is useless to search for two messages with one fingerprint.
    hasher: Keyed,
    /// With its time: a message that failed and was sent again stands in `order` twice, and only the second time
    /// counts.
    answers: Table<u64, (Answer, Tick)>,
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

    pub fn find(&mut self, fingerprint: u64, now: Tick) -> Option<Answer> {
        while self.order.front().is_some_and(|&(at, _)| now.since(at) >= REMEMBERED_FOR) {
            self.forget_oldest();
        }
        self.answers.get(&fingerprint).map(|&(answer, _)| answer)
    }

    pub fn insert(&mut self, fingerprint: u64, answer: Answer, now: Tick) {
        match self.answers.get_mut(&fingerprint) {
            Some((known, _)) => *known = answer,
            None => {
                self.answers.insert(fingerprint, (answer, now));
                self.order.push_back((now, fingerprint));
            }
        }
        while self.order.len() > MAX_REMEMBERED {
            self.forget_oldest();
        }
    }

    /// Sets its outcome, unless it is forgotten already.
    pub fn answer(&mut self, fingerprint: u64, answer: Answer) {
        if let Some((known, _)) = self.answers.get_mut(&fingerprint) {
            *known = answer;
        }
    }

    /// The message was not said after all; sending it again is no retry. Its place in the order goes when its time
    /// comes, so that nothing is searched for it.
    pub fn fail(&mut self, fingerprint: u64) {
        self.answers.remove(&fingerprint);
    }

    /// The store has lost something: whether what was said is there still, only the store knows. What waits for its
    /// outcome waits on.
    pub fn forget_answered(&mut self) {
        self.answers.retain(|_, (answer, _)| *answer == Answer::Waiting);
    }

    pub fn held_bytes(&self) -> usize {
        table_bytes::<(u64, (Answer, Tick))>(self.answers.capacity()) + self.order.capacity() * size_of::<(Tick, u64)>()
    }

    pub fn shrink(&mut self) {
        crate::slack::shrink(&mut self.answers);
        crate::slack::shrink(&mut self.order);
    }

    fn forget_oldest(&mut self) {
        if let Some((at, fingerprint)) = self.order.pop_front()
            && self.answers.get(&fingerprint).is_some_and(|&(_, since)| since == at)
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

/// How long a retry is known as one.
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

/// Messages that are remembered of all users together: some 20 MB when full.
const MAX_REMEMBERED: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    /// A message that failed is forgotten at once; sent again, it is remembered from then on, for the whole time.
    #[test]
    fn what_failed_and_was_said_again() {
        let mut said = Said::new(&crate::random::Random::from(1).keyed());
        said.insert(7, Answer::Waiting, Tick(0));
        said.fail(7);
        assert_eq!(said.find(7, Tick(0)), None);
        said.insert(7, Answer::Waiting, Tick(200_000));
        said.answer(7, Answer::Said { seq: Some(1), ts: 2 });
        let known = Some(Answer::Said { seq: Some(1), ts: 2 });
        for (at, expected) in [(299_999, known), (300_000, known), (499_999, known), (500_000, None)] {
            assert_eq!(said.find(7, Tick(at)), expected, "{at}");
        }
        assert!(said.answers.is_empty() && said.order.is_empty());
    }

    /// However many fail, the order has its bound, and the newest are remembered.
    #[test]
    fn failures_are_bounded() {
        let mut said = Said::new(&crate::random::Random::from(1).keyed());
        for n in 0..2 * MAX_REMEMBERED as u64 {
            said.insert(n, Answer::Waiting, Tick(0));
            if n % 2 == 0 {
                said.fail(n);
            }
        }
        assert_eq!((said.order.len(), said.answers.len()), (MAX_REMEMBERED, MAX_REMEMBERED / 2));
    }
}
