//! Reading: pages of entries, each message with its text as it stands and with the reactions to it.
//!
//! A page is read in a bounded number of rows. Where many entries that are no messages stand between two messages, a
//! history does not read them all: going back, each of them has the number of the message before it (`latest`); going
//! forward, the next message is found by halving, because that number never falls.

use rusqlite::{OptionalExtension, Result, Row, params};

use super::entries::{Text, is_set, maybe};
use super::schema;
use super::tables::{Place, Tables, count, number, signed};
use crate::backend::{Body, Bounds, Entry, MAX_REACTING_NAMED, Message, Query, Reaction};

/// An entry that was read.
#[derive(Debug)]
pub struct Line {
    pub seq: u64,
    pub ts: u64,
    pub sender: String,
    body: Written,
}

/// Its body.
#[derive(Debug)]
enum Written {
    Message {
        content: Option<String>,
        reply_to: Option<u64>,
        calls_room: bool,
        edited: Option<u64>,
        reactions: Vec<Marks>,
    },
    Edited {
        of: u64,
        content: Option<String>,
        calls_room: bool,
    },
    Deleted {
        of: u64,
    },
    Reaction {
        of: u64,
        emoji: String,
        on: bool,
    },
}

/// One emoji under a message.
#[derive(Debug)]
struct Marks {
    emoji: String,
    count: u64,
    users: Vec<String>,
    me: bool,
}

impl Line {
    /// The same, lent.
    pub fn entry(&self) -> Entry<'_> {
        let body = match &self.body {
            Written::Message { content, reply_to, calls_room, edited, reactions } => Body::Message(Message {
                content: content.as_deref(),
                reply_to: *reply_to,
                calls_room: *calls_room,
                edited: *edited,
                reactions: reactions.iter().map(Marks::reaction).collect(),
            }),
            Written::Edited { of, content, calls_room } => {
                Body::Edited { of: *of, content: content.as_deref(), calls_room: *calls_room }
            }
            Written::Deleted { of } => Body::Deleted { of: *of },
            Written::Reaction { of, emoji, on } => Body::Reaction { of: *of, emoji, on: *on },
        };
        Entry { seq: self.seq, ts: self.ts, sender: &self.sender, body }
    }
}

impl Marks {
    fn reaction(&self) -> Reaction<'_> {
        let users = self.users.iter().map(String::as_str).collect();
        Reaction { emoji: &self.emoji, count: self.count, users, me: self.me }
    }
}

/// A page that is being read.
struct Page {
    lines: Vec<Line>,
    bytes: usize,
    bounds: Bounds,
}

impl Page {
    /// Takes a line if the bounds allow it; the first one always, so that a reader comes forward.
    fn take(&mut self, line: Line) -> bool {
        let entry = line.entry();
        self.bytes += entry.sender.len() + entry.body.bytes();
        let fits = self.lines.is_empty() || self.bytes <= self.bounds.bytes;
        if fits {
            self.lines.push(line);
        }
        fits && self.lines.len() < self.bounds.entries
    }
}

impl Tables {
    /// The entries of a query, seq rising. `reader` is the user for whom it is.
    pub fn read(&self, place: &Place, query: Query, reader: Option<&str>) -> Result<Vec<Line>> {
        match query {
            Query::Head => Ok(Vec::new()),
            Query::Newest(bounds) => self.newest(place, u64::MAX, bounds, reader),
            Query::Before(seq, bounds) => self.newest(place, seq, bounds, reader),
            Query::After(seq, bounds) => self.oldest(place, seq.saturating_add(1), bounds, reader, true),
            Query::Resume { since, newest, bounds } => {
                let good = since.filter(|&(epoch, seq)| epoch == place.epoch && seq <= place.seq);
                let from = match good {
                    Some((_, seq)) => seq + 1,
                    None => self.first_of_newest(place, newest)?,
                };
                self.oldest(place, from, bounds, reader, false)
            }
        }
    }

    fn newest(&self, place: &Place, before: u64, bounds: Bounds, reader: Option<&str>) -> Result<Vec<Line>> {
        let mut page = Page { lines: Vec::new(), bytes: 0, bounds };
        let mut to = before.saturating_sub(1).min(place.message);
        let mut goes_on = bounds.entries > 0;
        while goes_on && to >= place.first {
            let sql = format!(
                "SELECT {ROW} FROM entry WHERE conversation = ?1 AND seq >= ?2 AND seq <= ?3 \
                 ORDER BY seq DESC LIMIT ?4"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let most = count(bounds.entries.saturating_add(MAX_RUN));
            let mut rows = statement.query(params![place.id, signed(place.first), signed(to), most])?;
            let mut run = 0;
            to = 0;
            while let Some(row) = rows.next()? {
                let seq = number(row, 0)?;
                to = seq - 1;
                if !is_message(row)? {
                    run += 1;
                    if run == MAX_RUN {
                        to = leap(row, 6, seq)?;
                        break;
                    }
                    continue;
                }
                run = 0;
                goes_on = page.take(self.line(place, row, reader)?);
                if !goes_on {
                    break;
                }
            }
        }
        page.lines.reverse();
        Ok(page.lines)
    }

    fn oldest(
        &self,
        place: &Place,
        from: u64,
        bounds: Bounds,
        reader: Option<&str>,
        messages: bool,
    ) -> Result<Vec<Line>> {
        let mut page = Page { lines: Vec::new(), bytes: 0, bounds };
        let (mut from, last) = (from.max(place.first), if messages { place.message } else { place.seq });
        let mut goes_on = bounds.entries > 0;
        while goes_on && from <= last {
            let sql = format!(
                "SELECT {ROW} FROM entry WHERE conversation = ?1 AND seq >= ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let most = count(bounds.entries.saturating_add(MAX_RUN));
            let mut rows = statement.query(params![place.id, signed(from), signed(last), most])?;
            let (mut run, mut skips) = (0, None);
            from = u64::MAX;
            while let Some(row) = rows.next()? {
                let seq = number(row, 0)?;
                from = seq + 1;
                if messages && !is_message(row)? {
                    run += 1;
                    if run == MAX_RUN {
                        skips = Some(seq);
                        break;
                    }
                    continue;
                }
                run = 0;
                goes_on = page.take(self.line(place, row, reader)?);
                if !goes_on {
                    break;
                }
            }
            if let Some(seq) = skips {
                from = self.message_after(place, seq)?;
            }
        }
        Ok(page.lines)
    }

    /// The number of the first of the newest so many messages; the next number if there is none.
    fn first_of_newest(&self, place: &Place, messages: usize) -> Result<u64> {
        let mut left = u64::try_from(messages).unwrap_or(u64::MAX).min(place.kept());
        let (mut first, mut to) = (place.seq + 1, place.message);
        while left > 0 && to >= place.first {
            let sql = "SELECT seq, kind IN (0, 4), latest FROM entry WHERE conversation = ?1 AND seq >= ?2 \
                       AND seq <= ?3 ORDER BY seq DESC LIMIT ?4";
            let mut statement = self.connection.prepare_cached(sql)?;
            let most = signed(left.saturating_add(MAX_RUN as u64));
            let mut rows = statement.query(params![place.id, signed(place.first), signed(to), most])?;
            let mut run = 0;
            to = 0;
            while left > 0
                && let Some(row) = rows.next()?
            {
                let seq = number(row, 0)?;
                to = seq - 1;
                if row.get(1)? {
                    (first, left, run) = (seq, left - 1, 0);
                    continue;
                }
                run += 1;
                if run == MAX_RUN {
                    to = leap(row, 2, seq)?;
                    break;
                }
            }
        }
        Ok(first)
    }

    /// The number of the first message behind an entry that is none; the one behind the last if there is none.
    fn message_after(&self, place: &Place, seq: u64) -> Result<u64> {
        if place.message <= seq {
            return Ok(place.seq + 1);
        }
        // Up to `none` there is none; up to `some` there is one.
        let (mut none, mut some) = (seq, place.message);
        while some - none > 1 {
            let middle = none + (some - none) / 2;
            let sql = "SELECT CASE WHEN kind IN (0, 4) THEN seq ELSE latest END FROM entry \
                       WHERE conversation = ?1 AND seq = ?2";
            let row = |row: &Row<'_>| maybe(row, 0);
            let newest =
                self.connection.prepare_cached(sql)?.query_row(params![place.id, signed(middle)], row).optional()?;
            match newest.flatten().filter(|&newest| newest > seq && newest <= middle) {
                Some(newest) => some = newest,
                None => none = middle,
            }
        }
        Ok(some)
    }

    fn line(&self, place: &Place, row: &Row<'_>, reader: Option<&str>) -> Result<Line> {
        let (seq, ts, sender): (_, _, String) = (number(row, 0)?, number(row, 1)?, row.get(2)?);
        let of = || maybe(row, 5).map(Option::unwrap_or_default);
        let body = match row.get(3)? {
            schema::EDIT => {
                let (of, text) = (of()?, self.edited(place, of()?)?);
                let calls_room = text.as_ref().is_some_and(|(_, calls_room)| *calls_room);
                Written::Edited { of, content: text.map(|(content, _)| content), calls_room }
            }
            schema::DELETION => Written::Deleted { of: of()? },
            schema::REACTION => Written::Reaction { of: of()?, emoji: row.get(4)?, on: row.get(7)? },
            schema::MESSAGE => {
                let (content, edited, calls_room) = match maybe(row, 6)? {
                    None => (row.get(4)?, None, is_set(row, 8)?),
                    Some(edit) => match self.text_of(place.id, edit)? {
                        Some(Text { content, ts, calls_room }) => (content, Some(ts), calls_room),
                        None => (String::new(), None, false),
                    },
                };
                let reactions = match row.get::<_, Option<bool>>(7)? {
                    Some(true) => self.reactions(place.id, seq, reader)?,
                    _ => Vec::new(),
                };
                Written::Message { content: Some(content), reply_to: maybe(row, 5)?, calls_room, edited, reactions }
            }
            _ => {
                let reply_to = maybe(row, 5)?;
                Written::Message { content: None, reply_to, calls_room: false, edited: None, reactions: Vec::new() }
            }
        };
        Ok(Line { seq, ts, sender, body })
    }

    /// The text of a message of which an edit is read, as it stands, and whether it calls everybody in the room.
    fn edited(&self, place: &Place, of: u64) -> Result<Option<(String, bool)>> {
        let sql = "SELECT kind, content, calls_room FROM entry WHERE conversation = ?1 AND about = ?2 AND kind IN (1, 2) \
                   ORDER BY seq DESC LIMIT 1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, is_set(row, 2)?)));
        let found: Option<(i64, (String, bool))> =
            self.connection.prepare_cached(sql)?.query_row(params![place.id, signed(of)], row).optional()?;
        Ok(found.filter(|(kind, _)| *kind == schema::EDIT).map(|(_, text)| text))
    }

    fn reactions(&self, conversation: i64, message: u64, reader: Option<&str>) -> Result<Vec<Marks>> {
        let message = signed(message);
        let sql = "SELECT emoji, count FROM emoji WHERE conversation = ?1 AND message = ?2 ORDER BY first";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![conversation, message])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (emoji, count): (String, _) = (row.get(0)?, number(row, 1)?);
            let sql = "SELECT user FROM reaction WHERE conversation = ?1 AND message = ?2 AND emoji = ?3 \
                       ORDER BY seq LIMIT ?4";
            let named = params![conversation, message, emoji, MAX_REACTING_NAMED as i64];
            let users: Vec<String> =
                self.connection.prepare_cached(sql)?.query_map(named, |row| row.get(0))?.collect::<Result<_>>()?;
            let me = match reader {
                None => false,
                Some(reader) if users.iter().any(|user| user == reader) => true,
                Some(_) if users.len() as u64 >= count => false,
                Some(reader) => self.reacts(conversation, message, &emoji, reader)?,
            };
            found.push(Marks { emoji, count, users, me });
        }
        Ok(found)
    }
}

/// The number of the newest message before an entry that is none; a smaller one than the entry's in any case, also if
/// somebody has changed the file by hand.
fn leap(row: &Row<'_>, at: usize, seq: u64) -> Result<u64> {
    Ok(maybe(row, at)?.unwrap_or(0).min(seq - 1))
}

fn is_message(row: &Row<'_>) -> Result<bool> {
    let kind: i64 = row.get(3)?;
    Ok(kind == schema::MESSAGE || kind == schema::DELETED)
}

/// What is read of an entry.
const ROW: &str = "seq, ts, sender, kind, content, about, latest, reacted, calls_room";

/// Entries that are no messages which a history reads one after the other; more of them it leaps over.
const MAX_RUN: usize = 64;
