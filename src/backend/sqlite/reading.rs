//! What people have read: their marks, and how many messages stand behind them.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::marks::{MARKS_TOGETHER, MARKS_WALKED, MAX_MARKS, Marks};
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
        let mut marks = self.marks.take();
        marks.made += 1;
        let walked = match marks.made >= marks.waits {
            true => self.walk_marks(&mut marks),
            false => Ok(()),
        };
        self.marks.replace(marks);
        walked
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

    /// Goes on over the marks of all, a piece for each few that are made.
    fn walk_marks(&self, marks: &mut Marks) -> rusqlite::Result<()> {
        // Those that were made before it are counted as it comes to them.
        let begins = marks.after.is_empty() && marks.takes.is_none();
        marks.all += if begins { 0 } else { marks.made };
        (marks.made, marks.waits) = (0, MARKS_TOGETHER);
        let (users, is_over) = self.users_with_marks(&marks.after)?;
        marks.after = users.last().map_or(String::new(), |(user, _)| user.clone());
        for (user, number) in users {
            match &mut marks.takes {
                None => {
                    marks.all += number;
                    *marks.users.entry(number).or_insert(0) += 1;
                }
                Some(takes) => {
                    let gone = number.saturating_sub(takes.level).min(takes.left);
                    if gone > 0 {
                        let sql = "DELETE FROM mark WHERE user = ?1 AND conversation IN \
                                   (SELECT conversation FROM mark WHERE user = ?1 ORDER BY conversation LIMIT ?2)";
                        self.execute(sql, params![user, count(gone)])?;
                        (takes.left, marks.all) = (takes.left - gone, marks.all.saturating_sub(gone));
                    }
                }
            }
        }
        if is_over {
            marks.turn();
        }
        Ok(())
    }

    /// The users behind one by their names, with how many marks each has; and whether these were the last.
    fn users_with_marks(&self, after: &str) -> rusqlite::Result<(Vec<(String, usize)>, bool)> {
        let sql = "SELECT user FROM mark WHERE user > ?1 ORDER BY user";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([after])?;
        let (mut users, mut seen) = (Vec::<(String, usize)>::new(), 0);
        while let Some(row) = rows.next()? {
            let user = row.get_ref(0)?.as_str()?;
            match users.last_mut().filter(|(last, _)| last == user) {
                Some((_, number)) => *number += 1,
                None if seen >= MARKS_WALKED => return Ok((users, false)),
                None => users.push((user.to_owned(), 1)),
            }
            seen += 1;
        }
        Ok((users, true))
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

/// Entries looked at to count messages that a user has not read: more than are counted, if some are the user's own. To
/// join a room costs a frame, as does a page of a history, which may take three times as many.
pub const MAX_COUNTED: usize = 4096;

/// Entries looked at for all conversations that one user asks about in one go, and for each one behind that.
pub const MAX_COUNTED_TOGETHER: usize = if cfg!(test) { 8192 } else { 32_768 };
pub const MIN_COUNTED: usize = 64;
