//! What is set for rooms, by name: words of the chat.

use std::path::Path;

use rusqlite::{Row, params};

use super::sentences;
use super::tables::{Tables, count};
use crate::backend::MAX_SET;

/// That what was read, up to one more than may be, is what is set for all rooms: one that is left out would be open to
/// those who are kept out of it.
///
/// # Errors
/// One sentence: there are more.
pub fn are_all(path: &Path, set: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    if set.len() > MAX_SET { Err(sentences::too_many_set(path)) } else { Ok(set) }
}

impl Tables {
    /// Sets it, or takes it away. Returns whether anything has changed; `None`: nothing has, because there are as many
    /// others as may be.
    pub fn set_room(&self, room: &str, words: Option<&str>) -> rusqlite::Result<Option<bool>> {
        let Some(words) = words else {
            return Ok(Some(self.execute("DELETE FROM room_setting WHERE room = ?1", [room])? > 0));
        };
        let sql = "INSERT INTO room_setting (room, words) SELECT ?1, ?2 \
                   WHERE (SELECT count(*) FROM room_setting WHERE room <> ?1) < ?3 \
                   ON CONFLICT DO UPDATE SET words = excluded.words";
        Ok((self.execute(sql, params![room, words, count(MAX_SET)])? > 0).then_some(true))
    }

    /// The rooms for which something is set, so many at most, and what.
    pub fn set_rooms(&self, most: usize) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT room, words FROM room_setting ORDER BY room LIMIT ?1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.connection.prepare_cached(sql)?.query_map([count(most)], row)?.collect()
    }
}
