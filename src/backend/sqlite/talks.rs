//! The list of a user's direct conversations.

use rusqlite::{Row, params};

use super::tables::{Tables, count, number};
use super::trouble::Result;
use super::{Conversation, MAX_DROPPED_AT_ONCE, Moment, News, Sqlite, Talk, Ticket, Why};

/// A direct conversation: with whom, and where it stands.
struct Line {
    with: String,
    seq: u64,
    last: u64,
    said: u64,
}

impl Sqlite {
    /// Tells a page of them. A cursor is the key of the newest message of the last one, in sixteen digits.
    pub(super) fn conversations(
        &mut self,
        user: &str,
        cursor: Option<&str>,
        limit: usize,
        now: Moment,
        ticket: Ticket,
    ) -> Result<()> {
        let before = match cursor {
            None => i64::MAX,
            Some(cursor) => match super::Epoch::parse(cursor).map(|key| key.0.cast_signed()) {
                Some(key) if (1..=self.entry).contains(&key) => key,
                _ => {
                    self.batch.push(&News::Refused { ticket, why: Why::BadCursor });
                    return Ok(());
                }
            },
        };
        let limit = limit.min(MAX_TALKS);
        let mut lines = self.tables()?.talks(user, before, limit + 1)?;
        let more = lines.len() > limit;
        lines.truncate(limit);
        let (mut items, mut most) = (Vec::new(), MAX_DROPPED_AT_ONCE);
        for line in &lines {
            let conversation = Conversation::Direct(user, &line.with);
            // All of it may have become too old.
            if let Some(reading) = self.reading_of(conversation, user, now, &mut most)? {
                items.push(Talk { with: &line.with, seq: line.seq, ts: line.said, reading });
            }
        }
        let next = lines.last().filter(|_| more).map(|line| super::Epoch(line.last).to_string());
        self.batch.push(&News::Conversations { ticket, items, next });
        Ok(())
    }
}

impl Tables {
    /// Conversations of a user in which something is kept, and was said before that key; the last ones first.
    fn talks(&self, user: &str, before: i64, most: usize) -> rusqlite::Result<Vec<Line>> {
        let row = |row: &Row<'_>| {
            Ok(Line { with: row.get(0)?, seq: number(row, 1)?, last: number(row, 2)?, said: number(row, 3)? })
        };
        let mut lines = Vec::new();
        for sql in [
            "SELECT other, seq, last, said FROM conversation \
             WHERE name = ?1 AND last < ?2 AND other <> '' AND seq >= first ORDER BY last DESC LIMIT ?3",
            "SELECT name, seq, last, said FROM conversation \
             WHERE other = ?1 AND last < ?2 AND other <> '' AND name <> ?1 AND seq >= first \
             ORDER BY last DESC LIMIT ?3",
        ] {
            let mut statement = self.connection.prepare_cached(sql)?;
            for line in statement.query_map(params![user, before, count(most)], row)? {
                lines.push(line?);
            }
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.last));
        lines.truncate(most);
        Ok(lines)
    }
}

/// Direct conversations in one page.
const MAX_TALKS: usize = 1000;
