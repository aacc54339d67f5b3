//! What is set for rooms, by name: words of the chat.

use rusqlite::Row;

use super::tables::{Tables, count};

impl Tables {
    /// Sets it, or takes it away. Returns whether anything has changed.
    pub fn set_room(&self, room: &str, words: Option<&str>) -> rusqlite::Result<bool> {
        let sql = match words {
            None => return Ok(self.execute("DELETE FROM room_setting WHERE room = ?1", [room])? > 0),
            Some(_) => {
                "INSERT INTO room_setting (room, words) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET words = excluded.words"
            }
        };
        Ok(self.execute(sql, [Some(room), words])? > 0)
    }

    /// The rooms for which something is set, so many at most, and what.
    pub fn set_rooms(&self, most: usize) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT room, words FROM room_setting ORDER BY room LIMIT ?1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.connection.prepare_cached(sql)?.query_map([count(most)], row)?.collect()
    }
}
