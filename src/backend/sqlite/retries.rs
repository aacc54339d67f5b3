//! Entries that may be asked for once more: each is remembered by its key for five minutes at least, and ten at most.
//!
//! In the file they stand in the order in which they came, so that what is new is written to few pages and what is old
//! is deleted from few. In memory a part of each key leads to its row, in two halves: when the younger one is full, or
//! five minutes old, the older one is forgotten whole. Their age is told by the tick: the wall clock may jump, and an
//! entry that it makes old is asked for once more all the same. What the file has at the start counts as new.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params};

use super::tables::{Tables, count, number, signed};
use super::trouble::Result;
use super::{Conversation, RetryKey, Sqlite};
use crate::time::{Moment, Tick};

/// Where entries with a key are.
#[derive(Debug)]
pub struct Retries {
    /// How many are remembered.
    most: usize,
    young: HashMap<u64, i64>,
    old: HashMap<u64, i64>,
    /// The row of the first of each half.
    young_from: i64,
    old_from: i64,
    /// When the younger half was begun; of what the file had, when it was first looked at.
    young_since: Option<Tick>,
    /// There may be rows before those in the file.
    stale: bool,
}

/// An entry that was asked for with a key.
struct Found {
    key: [u8; 16],
    conversation: i64,
    seq: u64,
    ts: u64,
}

impl Retries {
    fn new(most: usize) -> Self {
        let (young, old) = Default::default();
        Self { most, young, old, young_from: i64::MAX, old_from: 0, young_since: None, stale: true }
    }

    /// The older half is forgotten, if the younger one is full or old.
    fn turn(&mut self, now: Tick) {
        if self.young.is_empty() && self.old.is_empty() {
            self.young_since = Some(now);
            return;
        }
        let age = now.since(*self.young_since.get_or_insert(now));
        if self.is_full() || age >= REMEMBERED_FOR {
            self.forget_older();
            self.young_since = Some(now);
        }
    }

    fn is_full(&self) -> bool {
        self.young.len() >= self.most / 2
    }

    fn forget_older(&mut self) {
        self.old = std::mem::take(&mut self.young);
        (self.old_from, self.young_from, self.stale) = (self.young_from, i64::MAX, true);
    }

    fn insert(&mut self, key: RetryKey, row: i64) {
        if self.young.is_empty() {
            self.young_from = row;
        }
        self.young.insert(part(key), row);
    }

    fn row(&self, key: RetryKey) -> Option<i64> {
        let part = part(key);
        self.young.get(&part).or_else(|| self.old.get(&part)).copied()
    }

    /// Bytes of it, about.
    pub fn held_bytes(&self) -> usize {
        (self.young.capacity() + self.old.capacity()) * (size_of::<(u64, i64)>() + 1)
    }
}

impl Sqlite {
    /// The number and time of an entry that has been published with this key.
    pub(super) fn repeated(&mut self, conversation: Conversation<'_>, key: RetryKey) -> Result<Option<(u64, u64)>> {
        let Some(row) = self.retries()?.row(key) else { return Ok(None) };
        let Some(found) = self.tables()?.retry(row)? else { return Ok(None) };
        // In another life of the room it is another message.
        let same = self.find(conversation)?.is_some_and(|at| self.places[at].place.id == found.conversation);
        Ok((found.key == key.0 && same).then_some((found.seq, found.ts)))
    }

    /// Remembers an entry by its key.
    pub(super) fn remember(&mut self, key: RetryKey, conversation: i64, seq: u64, at: Moment) -> Result<()> {
        self.retries()?.turn(at.tick);
        let row = self.tables()?.add_retry(key, conversation, seq, at.unix_ms)?;
        self.retries()?.insert(key, row);
        Ok(())
    }

    /// Deletes some of those that are forgotten.
    pub(super) fn forget_retries(&mut self, now: Option<Tick>) -> Result<()> {
        if let Some(now) = now {
            self.retries()?.turn(now);
        }
        let Some(retries) = self.retries.as_ref().filter(|retries| retries.stale) else { return Ok(()) };
        let before = if retries.old.is_empty() { retries.young_from } else { retries.old_from };
        let deleted = self.tables()?.delete_retries(before, MAX_FORGOTTEN_AT_ONCE)?;
        self.wrote |= deleted > 0;
        if deleted < MAX_FORGOTTEN_AT_ONCE
            && let Some(retries) = &mut self.retries
        {
            retries.stale = false;
        }
        Ok(())
    }

    fn retries(&mut self) -> Result<&mut Retries> {
        let retries = match self.retries.take() {
            Some(retries) => retries,
            None => {
                let most = most_in(self.options.memory, most_of(self.options.size, MAX_REMEMBERED));
                self.tables()?.retries(most)?
            }
        };
        Ok(self.retries.insert(retries))
    }
}

impl Tables {
    fn retry(&self, row: i64) -> rusqlite::Result<Option<Found>> {
        let sql = "SELECT key, conversation, seq, ts FROM retry WHERE id = ?1";
        let row_of = |row: &Row<'_>| {
            Ok(Found { key: row.get(0)?, conversation: row.get(1)?, seq: number(row, 2)?, ts: number(row, 3)? })
        };
        self.connection.prepare_cached(sql)?.query_row([row], row_of).optional()
    }

    fn add_retry(&self, key: RetryKey, conversation: i64, seq: u64, ts: u64) -> rusqlite::Result<i64> {
        let sql = "INSERT INTO retry (key, conversation, seq, ts) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![key.0, conversation, signed(seq), signed(ts)])?;
        Ok(self.connection.last_insert_rowid())
    }

    fn delete_retries(&self, before: i64, most: usize) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM retry WHERE id IN (SELECT id FROM retry WHERE id < ?1 ORDER BY id LIMIT ?2)";
        self.execute(sql, params![before, count(most)])
    }

    /// Those that the file has: of more than may be, the newest.
    fn retries(&self, most: usize) -> rusqlite::Result<Retries> {
        let mut retries = Retries::new(most);
        let sql = "SELECT id, key FROM retry \
                   WHERE id > (SELECT coalesce(max(id), 0) FROM retry) - ?1 ORDER BY id";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([count(most)])?;
        while let Some(row) = rows.next()? {
            if retries.is_full() {
                retries.forget_older();
            }
            retries.insert(RetryKey(row.get(1)?), row.get(0)?);
        }
        Ok(retries)
    }
}

/// A part of a key, which is a hash itself.
fn part(key: RetryKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// How many are remembered in a file of that size: of a small one they take an eighth at most, so that they push out no
/// messages.
fn most_of(size: u64, most: usize) -> usize {
    usize::try_from(size / 8 / ROW_BYTES).unwrap_or(usize::MAX).max(LEAST_REMEMBERED).min(most)
}

/// And with such a budget of memory.
fn most_in(memory: Option<usize>, most: usize) -> usize {
    memory.map_or(most, |bytes| (bytes / SHARE_OF_BUDGET / BYTES_IN_MEMORY).max(LEAST_REMEMBERED).min(most))
}

/// They take one part of so many of that, and one takes at most so many bytes in a table that grows by doubling.
const SHARE_OF_BUDGET: usize = 32;
const BYTES_IN_MEMORY: usize = 40;

/// How long an entry is remembered by its key, at least; twice as long at most.
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

/// Entries that are.
const MAX_REMEMBERED: usize = if cfg!(test) { 16 } else { 1 << 18 };

/// What one takes in the file, about; and how many are remembered in any.
const ROW_BYTES: u64 = 40;
const LEAST_REMEMBERED: usize = 1024;

/// Rows of those that are forgotten, deleted with one batch.
const MAX_FORGOTTEN_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::{most_in, most_of};

    #[test]
    fn a_small_file_remembers_fewer() {
        for (size, remembered) in
            [(1, 1024), (1 << 20, 3276), (12 << 20, 39_321), (80 << 20, 262_144), (u64::MAX, 262_144)]
        {
            assert_eq!(most_of(size, 1 << 18), remembered, "{size}");
        }
        assert_eq!(most_of(1 << 20, 16), 16);
        for (memory, remembered) in
            [(None, 262_144), (Some(1), 1024), (Some(32 << 20), 26_214), (Some(1 << 40), 262_144)]
        {
            assert_eq!(most_in(memory, 1 << 18), remembered, "{memory:?}");
        }
    }
}
