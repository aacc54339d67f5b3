//! The operators' trail: the newest of their steps.

use rusqlite::{Row, params};

use super::entries::maybe;
use super::tables::{Tables, count, number, signed};
use super::trouble::Result;
use super::{News, Sqlite, Ticket, Why};
use crate::backend::Step;

/// A step, as it is in the file.
#[derive(Clone, Debug)]
pub struct Kept {
    pub ts: u64,
    pub operator: String,
    pub call: String,
    pub room: Option<String>,
    pub user: Option<String>,
    pub status: u16,
}

impl Kept {
    /// The same, lent.
    pub fn step(&self) -> Step<'_> {
        let Self { ts, operator, call, room, user, status } = self;
        Step { ts: *ts, operator, call, room: room.as_deref(), user: user.as_deref(), status: *status }
    }

    /// Of a row of `id`, `ts`, `operator`, `call`, `room`, `user` and `status`.
    fn of(row: &Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let (operator, call, room, user) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        let status = maybe(row, 6)?.and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
        Ok((row.get(0)?, Self { ts: number(row, 1)?, operator, call, room, user, status }))
    }
}

impl Tables {
    /// Notes a step; the oldest goes if there are [`MAX_STEPS`].
    pub fn note_step(&self, step: Step<'_>) -> rusqlite::Result<()> {
        let Step { ts, operator, call, room, user, status } = step;
        let sql = "INSERT INTO trail (ts, operator, call, room, user, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.execute(sql, params![signed(ts), operator, call, room, user, status])?;
        // The newest stays always, so that no id is given out twice.
        let gone = self.connection.last_insert_rowid().saturating_sub(MAX_STEPS);
        self.execute("DELETE FROM trail WHERE id <= ?1", [gone]).map(drop)
    }

    /// The same, unless it is there.
    pub fn note_step_once(&self, step: Step<'_>) -> rusqlite::Result<()> {
        let sql = "SELECT 1 FROM trail WHERE ts = ?1 AND operator = ?2 AND call = ?3 AND room IS ?4 AND user IS ?5";
        let Step { ts, operator, call, room, user, .. } = step;
        let is_there = self.connection.prepare_cached(sql)?.exists(params![signed(ts), operator, call, room, user])?;
        if is_there { Ok(()) } else { self.note_step(step) }
    }

    /// The steps before that one, the newest first.
    pub fn steps_before(&self, before: i64, most: usize) -> rusqlite::Result<Vec<(i64, Kept)>> {
        let sql =
            "SELECT id, ts, operator, call, room, user, status FROM trail WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        self.connection.prepare_cached(sql)?.query_map(params![before, count(most)], Kept::of)?.collect()
    }

    /// The steps behind that one, the oldest first.
    pub fn steps_after(&self, after: i64, most: usize) -> rusqlite::Result<Vec<(i64, Kept)>> {
        let sql = "SELECT id, ts, operator, call, room, user, status FROM trail WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.connection.prepare_cached(sql)?.query_map(params![after, count(most)], Kept::of)?.collect()
    }
}

impl Sqlite {
    /// A page of the trail. A cursor is the id of the last step of the page before.
    pub(super) fn trail(&mut self, cursor: Option<&str>, limit: usize, ticket: Ticket) -> Result<()> {
        let newest = self.tables()?.steps_before(i64::MAX, 1)?.first().map_or(0, |(id, _)| *id);
        let before = cursor.map_or(Some(i64::MAX), |cursor| {
            cursor.parse::<i64>().ok().filter(|before| (0..=newest.saturating_add(1)).contains(before))
        });
        let Some(before) = before else {
            self.batch.push(&News::Refused { ticket, why: Why::BadCursor });
            return Ok(());
        };
        let mut kept = self.tables()?.steps_before(before, limit.saturating_add(1))?;
        let more = kept.len() > limit;
        kept.truncate(limit);
        let next = kept.last().filter(|_| more).map(|(id, _)| id.to_string());
        let steps = kept.iter().map(|(_, kept)| kept.step()).collect();
        self.batch.push(&News::Trail { ticket, steps, next });
        Ok(())
    }
}

/// Steps that are kept in a file.
pub const MAX_STEPS: i64 = if cfg!(test) { 2000 } else { 10_000 };
