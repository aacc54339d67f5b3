//! What is kept in bytes: when the file is nearly as large as it may be, the oldest entries of all go.
//!
//! They go in the order of their keys, so that whole pages of the file become free, which what comes next is written
//! to. Each batch makes room for itself and a little more, so the file does not grow; one that is larger than it may
//! be, because the limit was lowered, does not shrink, but no more of it is used.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;

use super::damage::around;
use super::tables::{Tables, count, number, signed};
use super::trouble::Result;
use super::{News, Size, Sqlite};

impl Sqlite {
    /// Makes room in the file for the next batches, if there is little: so many entries go at most, or a piece more.
    /// Returns whether more is to be done.
    pub(super) fn make_room(&mut self, most_deleted: usize) -> Result<bool> {
        if self.options.size == u64::MAX {
            return Ok(false);
        }
        let (page, pages, free) = self.tables()?.pages()?;
        let most = self.options.size / page;
        let used = pages.saturating_sub(free);
        if used >= most / 100 * FULL_PERCENT && !self.full {
            self.full = true;
            let (path, size) = (self.claim.path.display(), Size(self.options.size));
            log::warn!("{path}: {FULL_PERCENT} % of {size} are used; the oldest messages go when all of it is");
        }
        let spare = spare(most);
        let mut over = (used + spare).saturating_sub(most);
        let (mut deleted, mut pieces) = (0, 0);
        while over > 0 && deleted < most_deleted {
            let is_urgent = !self.damaged && self.purge_is_urgent()?;
            if is_urgent && pieces < URGENT_PIECES {
                self.purge_piece()?;
                pieces += 1;
            } else if is_urgent && over <= spare {
                // There is room for a batch still, and will be more behind the next pieces.
                return Ok(true);
            } else {
                match self.whole_or_not(|store| store.drop_oldest_entries(MAX_DROPPED_TOGETHER))? {
                    // The oldest cannot be read.
                    None => return Ok(false),
                    // There is none, and what is left of those that have gone is seen to with the next piece.
                    Some(0) => return Ok(!self.damaged && self.purge_is_urgent()?),
                    Some(some) => deleted += some,
                }
            }
            let (_, pages, free) = self.tables()?.pages()?;
            over = (pages.saturating_sub(free) + spare).saturating_sub(most);
        }
        Ok(over > 0)
    }

    /// The same amid a batch that takes much: it finds as much room as is left for small ones, and would have the file
    /// grow. `bytes` were asked just now.
    pub(super) fn make_room_amid(&mut self, bytes: usize) -> Result<()> {
        if self.options.size == u64::MAX {
            return Ok(());
        }
        self.unweighed += 1 + bytes / WEIGHED_BYTES;
        if self.unweighed < WEIGHED_TOGETHER || !self.wrote || self.damaged {
            return Ok(());
        }
        self.unweighed = 0;
        let (page, pages, free) = self.tables()?.pages()?;
        let most = self.options.size / page;
        if free + most.saturating_sub(pages) < spare(most) / 2 {
            self.make_room(MAX_DROPPED_TOGETHER)?;
        }
        Ok(())
    }

    /// Some of the oldest entries cannot be read or deleted: those behind them go.
    pub(super) fn go_around_oldest(&mut self) -> Result<()> {
        let (from, most) = self.oldest;
        let tables = self.tables()?;
        let read = |from, most| tables.oldest_entries(from, most);
        let oldest = match read(from, most) {
            Ok(oldest) => (oldest.last().map_or(from, |&(last, ..)| last), MAX_DROPPED_TOGETHER),
            Err(_) => around(from, most, read),
        };
        self.oldest = oldest;
        // Or there is nothing behind them.
        self.lacks_room = self.oldest.0 != from || self.oldest.1 != most;
        Ok(())
    }

    /// Drops so many of the oldest entries of all; returns how many there were.
    fn drop_oldest_entries(&mut self, most: usize) -> Result<usize> {
        let (from, most) = (self.oldest.0, most.min(self.oldest.1));
        let oldest = self.tables()?.oldest_entries(from, most)?;
        let Some(&(last, ..)) = oldest.last() else { return Ok(0) };
        // Of each conversation up to which number.
        let mut gone = BTreeMap::new();
        for &(_, conversation, seq) in &oldest {
            gone.insert(conversation, seq);
        }
        let known: HashMap<i64, usize> = self
            .index
            .values()
            .map(|&at| (self.places[at].place.id, at))
            .filter(|(id, _)| gone.contains_key(id))
            .collect();
        for (&id, &seq) in &gone {
            let empty = match known.get(&id) {
                Some(&at) => {
                    let place = &mut self.places[at].place;
                    let moves = place.first <= seq;
                    place.first = place.first.max(seq + 1);
                    let empty = moves && place.kept() == 0;
                    if moves {
                        self.spoil(at);
                    }
                    empty
                }
                None => self.tables()?.drop_before(id, seq + 1)?,
            };
            if empty && let Some(room) = self.tables()?.room_of(id)? {
                self.batch.push(&News::Emptied { room: &room });
            }
            self.tables()?.delete_reactions_before(id, seq + 1, most)?;
        }
        self.tables()?.delete_entries(from, last)?;
        self.oldest.1 = MAX_DROPPED_TOGETHER;
        self.tables()?.note_dead(oldest.iter().map(|&(id, ..)| id))?;
        (self.wrote, self.has_old_text) = (true, true);
        self.health.dropped += oldest.len() as u64;
        Ok(oldest.len())
    }
}

impl Tables {
    /// Bytes of a page, how many there are, and how many of these are free.
    pub fn pages(&self) -> rusqlite::Result<(u64, u64, u64)> {
        let pragma = |sql| self.connection.prepare_cached(sql)?.query_row([], |row| number(row, 0));
        Ok((pragma("PRAGMA page_size")?.max(512), pragma("PRAGMA page_count")?, pragma("PRAGMA freelist_count")?))
    }

    /// The oldest entries of all behind a key: key, conversation and number.
    fn oldest_entries(&self, from: i64, most: usize) -> rusqlite::Result<Vec<(i64, i64, u64)>> {
        let sql = "SELECT id, conversation, seq FROM entry WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_map([from, count(most)], |row| Ok((row.get(0)?, row.get(1)?, number(row, 2)?)))?.collect()
    }

    /// Nothing before that number is kept of a conversation. Returns whether nothing is kept any more by that.
    fn drop_before(&self, id: i64, first: u64) -> rusqlite::Result<bool> {
        let sql = "UPDATE conversation SET first = ?2 WHERE id = ?1 AND first < ?2";
        if self.execute(sql, params![id, signed(first)])? == 0 {
            return Ok(false);
        }
        let sql = "SELECT seq < first FROM conversation WHERE id = ?1";
        self.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))
    }

    /// The name of a room.
    fn room_of(&self, id: i64) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT name FROM conversation WHERE id = ?1 AND other = ''";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([id])?;
        rows.next()?.map(|row| row.get(0)).transpose()
    }

    fn delete_entries(&self, behind: i64, last: i64) -> rusqlite::Result<()> {
        self.execute("DELETE FROM entry WHERE id > ?1 AND id <= ?2", [behind, last]).map(drop)
    }
}

/// Pages of all that are to be free for what comes next.
fn spare(most: u64) -> u64 {
    SPARE_PAGES.min(most / 8)
}

/// So many; an eighth of all if that is less.
const SPARE_PAGES: u64 = 256;

/// Requests of a batch after which it is looked again how much room there is: one counts as several that has as many
/// times so many bytes. Each may need a page more of each of several tables.
const WEIGHED_TOGETHER: usize = 64;
const WEIGHED_BYTES: usize = 1024;

/// Pieces of the index of what is gone that are seen to in a batch, before messages go.
const URGENT_PIECES: usize = 4;

/// Entries that are dropped before it is looked again how much room there is.
pub const MAX_DROPPED_TOGETHER: usize = 256;

/// From where on it is said that the file will be full.
const FULL_PERCENT: u64 = 80;
