//! Words of entries that are not kept any more leave the index.
//!
//! They are looked for part by part, in pieces: the lists of so many words at a time. At rest that is done of whatever
//! part has much that is gone. Where somebody waits all the time it is done in each batch, as much of it as the batch
//! has written to the index and let go of entries, so that the work of a batch stays in proportion to what it was
//! asked, and what is gone takes no room from what is kept. It begins there with
//!
//! - a part in which nothing is kept any more: its words go as they lie in the file, without a look at them;
//! - a part of which half is gone, or in a small store as much as half of what all keeps;
//! - but not, if all keeps more than two parts, with the part that has the oldest entry of all. Where entries go
//!   because there is no room, that one soon has none.

use rusqlite::{OptionalExtension, Row, params};

use super::Sqlite;
use super::schema::{PART_LEN, part_of};
use super::tables::{Tables, count};
use super::trouble::Result;

/// A part from which entries that are not kept any more are taken away, word by word.
#[derive(Debug)]
pub struct Purge {
    part: i64,
    /// The word that was seen to last.
    after: String,
    /// A bit for each place whose entry is there, or came later; `None`: no entry of it is there, and none will come.
    live: Option<Vec<u64>>,
    /// How many were known to be gone when it began.
    dead: i64,
    /// So much is gone beside what is kept that it is to be seen to before anything else goes.
    is_urgent: bool,
}

/// How much of what is gone may be seen to in batches.
#[derive(Debug)]
pub struct Allowance {
    /// Lists of words.
    lists: usize,
    /// Entries that have gone since it was looked whether a part is worth it, and how many are waited for.
    gone: usize,
    enough: usize,
}

impl Default for Allowance {
    /// What the process before has left is seen to at once.
    fn default() -> Self {
        Self { lists: PURGED_TOGETHER, gone: 0, enough: 0 }
    }
}

impl Sqlite {
    /// Some parts may be looked through for what is gone, also where that is little.
    pub(super) fn allow_purges(&mut self) -> Result<()> {
        self.purges = if self.tables()?.part_to_purge(None)?.is_some() { PURGED_PARTS } else { 0 };
        Ok(())
    }

    /// So many lists were written, for which others may be looked through.
    pub(super) fn note_lists(&mut self, written: usize) {
        self.allowance.lists += LISTS_FOR_A_LIST * written;
    }

    /// Looks through as many lists as the batch allows, if there is much that is gone.
    pub(super) fn purge_in_turn(&mut self) -> Result<()> {
        while self.purge_is_due()? && self.allowance.lists >= PURGED_TOGETHER {
            self.allowance.lists -= PURGED_TOGETHER;
            self.purge_piece()?;
        }
        // No more than that is kept for later: a batch is to do little beside what it was asked.
        self.allowance.lists = self.allowance.lists.min(2 * PURGED_TOGETHER);
        Ok(())
    }

    /// Whether what is gone takes so much room that no message is to go before it.
    pub(super) fn purge_is_urgent(&mut self) -> Result<bool> {
        Ok(self.purge_is_due()? && self.purge.as_ref().is_some_and(|purge| purge.is_urgent))
    }

    /// Whether a part is being looked through, or begins to be because so much of it is gone.
    pub(super) fn purge_is_due(&mut self) -> Result<bool> {
        let gone = self.tables()?.gone.take();
        self.allowance.lists += LISTS_FOR_AN_ENTRY * gone;
        self.allowance.gone += gone;
        if self.purge.is_some() {
            return Ok(true);
        }
        if self.allowance.gone < self.allowance.enough {
            return Ok(false);
        }
        let tables = self.tables()?;
        let oldest = tables.oldest_key()?.unwrap_or(self.entry + 1);
        // Or fewer, where others have gone from between them.
        let kept = self.entry + 1 - oldest;
        let front = part_of(oldest);
        let much = |most: i64| move |(_, dead): &(i64, i64)| *dead > 0 && *dead >= (kept / 2).min(most);
        let due = match tables.first_part()? {
            Some((part, dead)) if part < front.min(part_of(self.indexed + 1)) => Some((part, dead)),
            Some((part, dead)) if part == front && much(i64::MAX)(&(part, dead)) => Some((part, dead)),
            _ => tables.part_to_purge(Some(front))?.filter(much(PART_LEN / 2)),
        };
        let Some((part, dead)) = due else {
            (self.allowance.gone, self.allowance.enough) = (0, usize::try_from(kept / 64).unwrap_or(0).clamp(16, 1024));
            return Ok(false);
        };
        self.allowance.enough = 0;
        self.purge = Some(self.begin_purge(part, dead, dead > 2 * kept)?);
        Ok(true)
    }

    pub(super) fn purge_piece(&mut self) -> Result<()> {
        let purge = match self.purge.take() {
            Some(purge) => Some(purge),
            // The part of which most is gone.
            None => match self.tables()?.part_to_purge(None)? {
                Some((part, dead)) => {
                    self.purges = self.purges.saturating_sub(1);
                    Some(self.begin_purge(part, dead, false)?)
                }
                None => None,
            },
        };
        let Some(mut purge) = purge else {
            self.purges = 0;
            return Ok(());
        };
        let (tables, part) = (self.tables()?, purge.part);
        let done = match &purge.live {
            None => tables.delete_lists(part, PURGED_TOGETHER)?,
            Some(live) => {
                let lists = tables.lists_after(part, &purge.after, PURGED_TOGETHER)?;
                let done = lists.len() < PURGED_TOGETHER;
                for (word, list) in lists {
                    let (places, _) = list.as_chunks::<2>();
                    let is_live = |place: &[u8; 2]| {
                        let place = usize::from(u16::from_be_bytes(*place));
                        live.get(place / 64).is_none_or(|bits| bits >> (place % 64) & 1 == 1)
                    };
                    let left: Vec<u8> = places.iter().filter(|place| is_live(place)).flatten().copied().collect();
                    if left.len() < list.len() {
                        tables.set_list(part, &word, &left)?;
                    }
                    purge.after = word;
                }
                done
            }
        };
        match (done, &purge.live) {
            (false, _) => self.purge = Some(purge),
            (true, None) => drop(tables.execute("DELETE FROM part WHERE part = ?1", [part])?),
            (true, Some(_)) => {
                tables.execute("UPDATE part SET dead = dead - ?2 WHERE part = ?1", [part, purge.dead])?;
                // The last of what was there may have gone meanwhile, and its words are there still.
                if self.is_over(part)? {
                    self.purge = Some(Purge { live: None, ..purge });
                }
            }
        }
        self.wrote = true;
        Ok(())
    }

    fn begin_purge(&self, part: i64, dead: i64, is_urgent: bool) -> Result<Purge> {
        let after = String::new();
        if self.is_over(part)? {
            return Ok(Purge { part, after, live: None, dead, is_urgent });
        }
        let (first, last) = (part * PART_LEN, part * PART_LEN + PART_LEN - 1);
        let mut live = vec![0; PART_LEN as usize / 64];
        let mut set = |place: i64| live[place as usize / 64] |= 1 << (place % 64);
        self.tables()?.keys_between(first, last, |id| set(id - first))?;
        // What is taken in meanwhile is there.
        (first.max(self.indexed + 1)..=last).for_each(|id| set(id - first));
        Ok(Purge { part, after, live: Some(live), dead, is_urgent })
    }

    /// Whether nothing is kept of a part, and nothing more comes into it.
    fn is_over(&self, part: i64) -> Result<bool> {
        let first = part * PART_LEN;
        Ok(part < part_of(self.indexed + 1) && !self.tables()?.holds_between(first, first + PART_LEN - 1)?)
    }
}

impl Tables {
    fn lists_after(&self, part: i64, word: &str, most: usize) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        let sql = "SELECT word, entries FROM word WHERE part = ?1 AND word > ?2 ORDER BY word LIMIT ?3";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.connection.prepare_cached(sql)?.query_map(params![part, word, count(most)], row)?.collect()
    }

    /// Deletes the first lists of a part, so many at most; whether these were all.
    pub(super) fn delete_lists(&self, part: i64, most: usize) -> rusqlite::Result<bool> {
        let sql = "SELECT word FROM word WHERE part = ?1 ORDER BY word LIMIT 1 OFFSET ?2";
        let row = |row: &Row<'_>| row.get(0);
        let behind: Option<String> =
            self.connection.prepare_cached(sql)?.query_row(params![part, count(most)], row).optional()?;
        match &behind {
            Some(behind) => self.execute("DELETE FROM word WHERE part = ?1 AND word < ?2", params![part, behind])?,
            None => self.execute("DELETE FROM word WHERE part = ?1", [part])?,
        };
        Ok(behind.is_none())
    }

    /// The part of which most is gone, and how much is; another one than this.
    fn part_to_purge(&self, but: Option<i64>) -> rusqlite::Result<Option<(i64, i64)>> {
        let sql = "SELECT part, dead FROM part WHERE dead > 0 AND part IS NOT ?1 ORDER BY dead DESC LIMIT 1";
        self.connection.prepare_cached(sql)?.query_row([but], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// The oldest part, and how much of it is gone.
    fn first_part(&self) -> rusqlite::Result<Option<(i64, i64)>> {
        let sql = "SELECT part, dead FROM part ORDER BY part LIMIT 1";
        self.connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// The key of the oldest entry of all.
    pub(super) fn oldest_key(&self) -> rusqlite::Result<Option<i64>> {
        self.connection.prepare_cached("SELECT min(id) FROM entry")?.query_row([], |row| row.get(0))
    }

    fn holds_between(&self, from: i64, to: i64) -> rusqlite::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM entry WHERE id >= ?1 AND id <= ?2)";
        self.connection.prepare_cached(sql)?.query_row([from, to], |row| row.get(0))
    }

    fn keys_between(&self, from: i64, to: i64, mut each: impl FnMut(i64)) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM entry WHERE id >= ?1 AND id <= ?2")?;
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            each(row.get(0)?);
        }
        Ok(())
    }
}

/// Words of a part that are seen to together, and parts that are looked through after a sweep for whatever is gone.
const PURGED_TOGETHER: usize = if cfg!(test) { 256 } else { 2048 };
const PURGED_PARTS: usize = 4;

/// Lists that may be looked through for each that is written, and for each entry that has gone. A part that has all of
/// a small store is looked through when half as much is gone as is kept, and so has three times as many words as were
/// written meanwhile, if all words are new.
const LISTS_FOR_A_LIST: usize = 4;
const LISTS_FOR_AN_ENTRY: usize = 8;
