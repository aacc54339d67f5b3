//! What people have read: their marks, and how many messages stand behind them.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, params};

use super::schema;
use super::tables::{Place, Tables, count, number, signed};
use super::trouble::Result;
use super::{Conversation, MAX_DROPPED_AT_ONCE, MAX_UNREAD, Moment, Names, News, Reading, Sqlite, Ticket, in_order};

/// From a number on there are [`MAX_UNREAD`] messages of others or more, whoever reads: but for one user.
#[derive(Debug)]
pub struct Many {
    from: u64,
    but_for: Box<str>,
}

/// Rows that one user has cost in one go, to count what is unread.
#[derive(Debug, Default)]
pub struct Counted {
    user: Box<str>,
    rows: usize,
}

impl Counted {
    /// How many more it may be for a conversation. A few in any case, so that it is seen that something is unread.
    fn left(&mut self, user: &str) -> usize {
        if *self.user != *user {
            *self = Self { user: user.into(), rows: 0 };
        }
        MAX_COUNTED_TOGETHER.saturating_sub(self.rows).clamp(MIN_COUNTED, MAX_COUNTED)
    }
}

impl Sqlite {
    pub(super) fn mark(&mut self, user: &str, conversation: Conversation<'_>, seq: u64, ticket: Ticket) -> Result<()> {
        let at = self.find(conversation)?;
        let (id, seq) = match at.map(|at| &self.places[at].place) {
            Some(place) => (place.id, seq.min(place.seq)),
            None => (0, 0),
        };
        let read = self.tables()?.read_of(user, id)?;
        match seq {
            0 if read > 0 => self.tables()?.unmark(user, id)?,
            _ if seq > read => self.tables()?.mark(user, id, seq)?,
            _ => {
                self.batch.push(&News::Noted { ticket });
                return Ok(());
            }
        }
        self.wrote = true;
        let conversation = in_order(conversation);
        self.batch.push(&News::Marked { ticket: Some(ticket), user, conversation, seq });
        Ok(())
    }

    pub(super) fn readings(&mut self, user: &str, rooms: Names<'_>, now: Moment, ticket: Ticket) -> Result<()> {
        let (mut readings, mut most) = (Vec::new(), MAX_DROPPED_AT_ONCE);
        for room in rooms.iter() {
            readings.push(self.reading_of(Conversation::Room(room), user, now, &mut most)?.unwrap_or_default());
        }
        self.batch.push(&News::Readings { ticket, readings });
        Ok(())
    }

    /// What a user has read of a conversation that keeps something. What is too old in it goes first, so much of it at
    /// most as may go for all that is asked in one go.
    pub(super) fn reading_of(
        &mut self,
        conversation: Conversation<'_>,
        user: &str,
        now: Moment,
        most: &mut u64,
    ) -> Result<Option<Reading>> {
        let Some(at) = self.find(conversation)? else { return Ok(None) };
        *most -= self.expire_one(at, conversation, now, *most)?;
        match self.places[at].place.kept() > 0 || matches!(conversation, Conversation::Room(_)) {
            true => self.reading(at, user).map(Some),
            false => Ok(None),
        }
    }

    /// What a user has read of a conversation.
    pub(super) fn reading(&mut self, at: usize, user: &str) -> Result<Reading> {
        let mut many = self.places[at].many.take();
        let mut counted = std::mem::take(&mut self.counted);
        counted.left(user);
        let before = counted.rows;
        let reading = self.tables()?.reading(&self.places[at].place, user, &mut many, &mut counted);
        self.work += counted.rows - before;
        self.counted = counted;
        self.places[at].many = many;
        Ok(reading?)
    }
}

impl Tables {
    /// What a user has read of a conversation. `many` is what was found of it before, as long as no message of it was
    /// deleted, and what is found now.
    pub fn reading(
        &self,
        place: &Place,
        user: &str,
        many: &mut Option<Many>,
        counted: &mut Counted,
    ) -> rusqlite::Result<Reading> {
        let read = self.read_of(user, place.id)?;
        let from = (read + 1).max(place.first);
        if from > place.message {
            return Ok(Reading { read, unread: 0 });
        }
        let holds = |many: &&Many| place.first <= many.from;
        let known = many.as_ref().filter(holds);
        if known.is_some_and(|many| from <= many.from && *many.but_for != *user) {
            return Ok(Reading { read, unread: MAX_UNREAD });
        }
        let (unread, found) = self.unread(place, from, user, known.is_none(), counted)?;
        if found.is_some() {
            *many = found;
        }
        Ok(Reading { read, unread })
    }

    /// Up to where a user has read a conversation.
    pub fn read_of(&self, user: &str, conversation: i64) -> rusqlite::Result<u64> {
        let sql = "SELECT seq FROM mark WHERE user = ?1 AND conversation = ?2";
        let found = self.connection.prepare_cached(sql)?.query_row(params![user, conversation], |row| number(row, 0));
        Ok(found.optional()?.unwrap_or(0))
    }

    /// Notes up to where. Of more marks than a user may have, that of the oldest conversation goes.
    fn mark(&self, user: &str, conversation: i64, seq: u64) -> rusqlite::Result<()> {
        let sql = "UPDATE mark SET seq = ?3 WHERE user = ?1 AND conversation = ?2";
        if self.execute(sql, params![user, conversation, signed(seq)])? > 0 {
            return Ok(());
        }
        let sql = "INSERT INTO mark (user, conversation, seq) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![user, conversation, signed(seq)])?;
        self.bound_marks(user)?;
        match self.marks_left.get() {
            0 => self.make_room_for_marks(),
            left => {
                self.marks_left.set(left - 1);
                Ok(())
            }
        }
    }

    /// Of more marks than a user may have, those of the oldest conversations go.
    pub fn bound_marks(&self, user: &str) -> rusqlite::Result<()> {
        let sql = "DELETE FROM mark WHERE user = ?1 AND conversation <= \
                   (SELECT conversation FROM mark WHERE user = ?1 ORDER BY conversation DESC LIMIT 1 OFFSET ?2)";
        self.execute(sql, params![user, count(MAX_MARKS)]).map(drop)
    }

    /// Nothing is noted any more of what a user has read there.
    fn unmark(&self, user: &str, conversation: i64) -> rusqlite::Result<()> {
        let sql = "DELETE FROM mark WHERE user = ?1 AND conversation = ?2";
        self.execute(sql, params![user, conversation]).map(drop)
    }

    /// Counts the marks of all; if there are as many as there may be, those who have the most of all give some up,
    /// those of the oldest conversations: nobody who has few loses one because others have many.
    fn make_room_for_marks(&self) -> rusqlite::Result<()> {
        let all = self.connection.query_row("SELECT count(*) FROM mark", [], |row| number(row, 0))?;
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        let over = (all + MARKS_TOGETHER).saturating_sub(MAX_MARKS_OF_ALL).min(2 * MARKS_TOGETHER);
        if over > 0 {
            let sql = "SELECT user, count(*) AS marks FROM mark GROUP BY user ORDER BY marks DESC, min(conversation) \
                       LIMIT ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, number(row, 1)?));
            let most: Vec<_> = statement.query_map([count(over)], row)?.collect::<rusqlite::Result<_>>()?;
            let left = level(most.iter().map(|(_, marks)| *marks), over as u64);
            let sql = "DELETE FROM mark WHERE user = ?1 AND conversation IN \
                       (SELECT conversation FROM mark WHERE user = ?1 ORDER BY conversation LIMIT ?2)";
            for (user, marks) in most {
                self.execute(sql, params![user, signed(marks.saturating_sub(left))])?;
            }
        }
        self.marks_left.set((MAX_MARKS_OF_ALL + over).saturating_sub(all).min(MARKS_TOGETHER));
        Ok(())
    }

    /// Counts messages of others from a number on, the newest first; and finds from where on there are many for
    /// everybody, if that is wanted.
    fn unread(
        &self,
        place: &Place,
        from: u64,
        user: &str,
        seek_many: bool,
        counted: &mut Counted,
    ) -> rusqlite::Result<(u64, Option<Many>)> {
        let sql = "SELECT seq, sender, kind FROM entry WHERE conversation = ?1 AND seq >= ?2 \
                   ORDER BY seq DESC LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![place.id, signed(from), count(counted.left(user))])?;
        let (mut unread, mut total, mut by, mut many) = (0, 0, HashMap::<Box<str>, u64>::new(), None);
        while let Some(row) = rows.next()? {
            counted.rows += 1;
            if row.get::<_, i64>(2)? != schema::MESSAGE {
                continue;
            }
            let sender = row.get_ref(1)?.as_str()?;
            unread = (unread + u64::from(sender != user)).min(MAX_UNREAD);
            if !seek_many || many.is_some() {
                if unread == MAX_UNREAD {
                    break;
                }
                continue;
            }
            total += 1;
            match by.get_mut(sender) {
                Some(count) => *count += 1,
                None => drop(by.insert(sender.into(), 1)),
            }
            // Now and then it is looked whether these are enough.
            if total < MAX_UNREAD || total % 64 > 0 {
                continue;
            }
            // The user who said most may have said nearly all of them; none of the others has.
            let mut counts: Vec<_> = by.iter().map(|(sender, &count)| (count, sender)).collect();
            counts.sort_unstable();
            let second = counts.len().checked_sub(2).map_or(0, |second| counts[second].0);
            if total >= MAX_UNREAD + second {
                let but_for = counts.last().map_or("".into(), |(_, sender)| (*sender).clone());
                many = Some(Many { from: number(row, 0)?, but_for });
            }
        }
        Ok((unread, many))
    }
}

/// How many each may keep of these numbers, the largest first, so that together they are so much less, or a little more
/// than that.
fn level(most: impl Iterator<Item = u64>, less: u64) -> u64 {
    let (mut sum, mut level) = (0, 0);
    for (n, number) in (0..).zip(most) {
        // Down to this one, those before it would give up as much as is wanted.
        if n > 0 && sum - n * number >= less {
            break;
        }
        sum += number;
        level = sum.saturating_sub(less) / (n + 1);
    }
    level
}

/// Marks of one user.
pub const MAX_MARKS: usize = if cfg!(test) { 50 } else { 10_000 };

/// Marks of all users, about; and how many are made before it is counted again.
pub const MAX_MARKS_OF_ALL: usize = if cfg!(test) { 200 } else { 1 << 20 };
pub const MARKS_TOGETHER: usize = if cfg!(test) { 10 } else { 4096 };

/// Entries looked at to count messages that a user has not read: more than are counted, if some are the user's own. To
/// join a room costs a frame, as does a page of a history, which may take three times as many.
pub const MAX_COUNTED: usize = 4096;

/// Entries looked at for all conversations that one user asks about in one go, and for each one behind that.
pub const MAX_COUNTED_TOGETHER: usize = if cfg!(test) { 8192 } else { 32_768 };
pub const MIN_COUNTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::level;

    /// Those who have the most give up the same number in the end, and no more than a few too many of all.
    #[test]
    fn those_who_have_the_most_give_up() {
        for (most, less, left) in [
            (&[10, 1, 1][..], 4, 6),
            (&[10, 8, 1], 2, 8),
            (&[10, 8, 1], 3, 7),
            (&[10, 8, 1], 4, 7),
            (&[5, 5, 5], 3, 4),
            (&[5, 5, 5], 4, 3),
            (&[5, 5, 5], 100, 0),
            (&[1, 1, 1, 1], 2, 0),
            (&[], 2, 0),
            (&[7], 0, 7),
        ] {
            let found = level(most.iter().copied(), less);
            assert_eq!(found, left, "{most:?} {less}");
            let gone: u64 = most.iter().map(|number| u64::saturating_sub(*number, found)).sum();
            assert!(gone >= less.min(most.iter().sum()), "{most:?} {less}");
        }
    }
}
