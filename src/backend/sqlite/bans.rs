//! Names that are kept out.

use rusqlite::{Row, params};

use super::tables::{Tables, count, signed};
use crate::backend::Ban;

/// A ban, as it is in the file.
#[derive(Debug)]
pub struct Kept {
    pub user: String,
    pub until: Option<u64>,
    pub note: Option<String>,
}

impl Kept {
    /// The same, lent.
    pub fn ban(&self) -> Ban<'_> {
        Ban { user: &self.user, until: self.until, note: self.note.as_deref() }
    }
}

impl From<Ban<'_>> for Kept {
    fn from(Ban { user, until, note }: Ban<'_>) -> Self {
        Self { user: user.into(), until, note: note.map(Into::into) }
    }
}

impl Tables {
    pub fn ban(&self, ban: Ban<'_>) -> rusqlite::Result<()> {
        let sql = "INSERT INTO ban (user, until, note) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET until = excluded.until, note = excluded.note";
        self.execute(sql, params![ban.user, ban.until.map(signed), ban.note]).map(drop)
    }

    /// Returns whether there was one.
    pub fn unban(&self, user: &str) -> rusqlite::Result<bool> {
        Ok(self.execute("DELETE FROM ban WHERE user = ?1", [user])? > 0)
    }

    /// The next bans by name that have not ended, so many at most. It is the system's clock by which that is told,
    /// because there is no request when a chat begins.
    pub fn bans_after(&self, user: &str, most: usize) -> rusqlite::Result<Vec<Kept>> {
        let sql = "SELECT user, until, note FROM ban \
                   WHERE user > ?1 AND (until IS NULL OR until > unixepoch('subsec') * 1000) ORDER BY user LIMIT ?2";
        let row = |row: &Row<'_>| {
            let until: Option<i64> = row.get(1)?;
            Ok(Kept { user: row.get(0)?, until: until.map(i64::cast_unsigned), note: row.get(2)? })
        };
        self.connection.prepare_cached(sql)?.query_map(params![user, count(most)], row)?.collect()
    }

    /// Deletes bans that have ended, so many at most; returns how many there were.
    pub fn delete_bans(&self, now: u64, most: usize) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM ban WHERE user IN (SELECT user FROM ban WHERE until <= ?1 LIMIT ?2)";
        self.execute(sql, params![signed(now), count(most)])
    }
}
