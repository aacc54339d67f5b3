//! Looking for messages: what is not in the index yet is read through, from the newest on; then the index is asked,
//! part by part. All that it finds is read before it is believed. One question costs a bounded number of looks; what is
//! left is for the next page, which may be empty and have another one behind it.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Row, params};

use super::entries::maybe;
use super::index::{MARK_OF_LONG, mark_of_place, mark_of_sender, mark_of_user};
use super::schema::{self, PART_LEN, part_of};
use super::tables::{Tables, number, signed};
use super::trouble::Result;
use super::{Conversation, Epoch, Hit, News, Scope, Search, Sqlite, Ticket, Why, names};
use crate::backend::words::Wanted;

/// A message that may be one.
struct Line {
    seq: u64,
    ts: u64,
    sender: String,
    content: String,
    name: String,
    other: String,
}

/// What is looked for, and where.
struct Sought<'a> {
    wanted: Wanted,
    /// Words of which a message has each, or it is a long one; and marks of which it has each.
    words: Vec<String>,
    marks: Vec<String>,
    /// Marks of which it has one; not asked if that is known otherwise.
    one_of: Vec<String>,
    place: Place<'a>,
    sender: Option<&'a str>,
    before: u64,
}

enum Place<'a> {
    One(i64),
    All { rooms: HashSet<&'a str>, user: &'a str },
}

/// What has been found, and what it has cost so far.
struct Page {
    lines: Vec<(i64, Line)>,
    limit: usize,
    bytes: usize,
    /// Entries that were read, and what it cost to read their texts.
    looks: usize,
    read: usize,
    /// Lists of the index that were asked for, and their bytes.
    lists: usize,
    list_bytes: usize,
    /// Where the next page begins, if this one ended before the end.
    next: Option<i64>,
}

/// A page of what was found.
pub struct Hits {
    lines: Vec<(i64, Line)>,
    next: Option<i64>,
    /// Rows that it cost.
    pub work: usize,
}

impl Sqlite {
    pub(super) fn search(&mut self, search: Search<'_>, ticket: Ticket) -> Result<()> {
        let Some(hits) = self.tables()?.search(&search, self.entry, self.indexed)? else {
            self.batch.push(&News::Refused { ticket, why: Why::BadCursor });
            return Ok(());
        };
        self.work += hits.work;
        self.batch.push(&hits.news(ticket));
        Ok(())
    }
}

impl Hits {
    pub fn news(&self, ticket: Ticket) -> News<'_> {
        let items = self.lines.iter().map(|(_, line)| line.hit()).collect();
        let next = self.next.map(|key| Epoch(key.cast_unsigned()).to_string());
        News::Found { ticket, items, next }
    }
}

impl Tables {
    /// A page of what is found where heads are as the file has them: `entry` is the last key of one, `indexed` that of
    /// the last one in the index. `None`: the cursor is none.
    pub fn search(&self, search: &Search<'_>, entry: i64, indexed: i64) -> rusqlite::Result<Option<Hits>> {
        let cursor = match search.cursor.map(|cursor| Epoch::parse(cursor).map(|key| key.0.cast_signed())) {
            None => i64::MAX,
            Some(Some(key)) if (1..=entry + 1).contains(&key) => key,
            Some(_) => return Ok(None),
        };
        let mut page = Page::new(search.limit.min(MAX_HITS));
        if let Some(sought) = self.sought(search)? {
            let before = match search.before {
                Some(before) => cursor.min(self.key_at(before, entry)?),
                None => cursor.min(entry + 1),
            };
            self.look_through(&sought, indexed, before, &mut page)?;
            if page.next.is_none() {
                let unlisted = self.refolded_part(indexed)?;
                self.look_up(&sought, before.min(indexed + 1), unlisted, &mut page)?;
            }
        }
        Ok(Some(Hits { work: page.looks + page.lists, next: page.next, lines: page.lines }))
    }

    /// `None`: nothing can be found.
    fn sought<'a>(&self, search: &Search<'a>) -> rusqlite::Result<Option<Sought<'a>>> {
        let wanted = Wanted::parse(search.text);
        if wanted.is_empty() {
            return Ok(None);
        }
        let id_of = |conversation| {
            let (name, other) = names(conversation);
            Ok::<_, rusqlite::Error>(self.find(name, other)?.map(|place| place.id))
        };
        let mut words: Vec<String> = wanted.phrases().concat().into_iter().map(String::from).collect();
        words.sort_unstable();
        words.dedup();
        let mut marks: Vec<String> = search.sender.map(mark_of_sender).into_iter().collect();
        let (mut one_of, place) = match search.scope {
            Scope::One(conversation) => {
                let Some(id) = id_of(conversation)? else { return Ok(None) };
                marks.push(mark_of_place(id));
                (Vec::new(), Place::One(id))
            }
            Scope::All { rooms, user } => {
                let mut one_of = vec![mark_of_user(user)];
                for room in rooms.iter() {
                    one_of.extend(id_of(Conversation::Room(room))?.map(mark_of_place));
                }
                (one_of, Place::All { rooms: rooms.iter().collect(), user })
            }
        };
        one_of.sort_unstable();
        let (sender, before) = (search.sender, search.before.unwrap_or(u64::MAX));
        Ok(Some(Sought { wanted, words, marks, one_of, place, sender, before }))
    }
}

impl Line {
    fn hit(&self) -> Hit<'_> {
        let conversation = match self.other.as_str() {
            "" => Conversation::Room(&self.name),
            other => Conversation::Direct(&self.name, other),
        };
        Hit { conversation, seq: self.seq, ts: self.ts, sender: &self.sender, content: &self.content }
    }
}

impl Place<'_> {
    /// Whether a conversation with that key may be meant, as far as the key alone tells.
    fn may_be(&self, conversation: i64) -> bool {
        match self {
            Place::One(id) => *id == conversation,
            Place::All { .. } => true,
        }
    }

    /// Whether the conversation with these names is meant, which may be.
    fn is(&self, name: &str, other: &str) -> bool {
        match self {
            Place::One(_) => true,
            Place::All { rooms, .. } if other.is_empty() => rooms.contains(name),
            Place::All { user, .. } => name == *user || other == *user,
        }
    }
}

impl Page {
    fn new(limit: usize) -> Self {
        Self { lines: Vec::new(), limit, bytes: 0, looks: 0, read: 0, lists: 0, list_bytes: 0, next: None }
    }

    /// Whether so many lists more may be asked for.
    fn affords(&self, lists: usize) -> bool {
        self.lists + lists <= MAX_LISTS && self.list_bytes < MAX_LIST_BYTES
    }

    /// Takes what was looked at; `false`: no more is to be looked at, and the next page begins before this key.
    fn take(&mut self, id: i64, line: Option<Line>) -> bool {
        self.looks += 1;
        if let Some(line) = line {
            self.bytes += line.content.len();
            self.lines.push((id, line));
        }
        if self.lines.len() > self.limit {
            // One more than fits: there is another page.
            self.lines.pop();
            self.next = Some(self.lines.last().map_or(id + 1, |(id, _)| *id));
        } else if self.looks == MAX_LOOKS || self.bytes >= MAX_BYTES || self.read >= MAX_READ {
            self.next = Some(id);
        }
        self.next.is_none()
    }
}

impl Tables {
    /// Reads what is not in the index, behind one key and before another, the newest first.
    fn look_through(&self, sought: &Sought<'_>, behind: i64, before: i64, page: &mut Page) -> rusqlite::Result<()> {
        let sql = format!("{LINE} FROM entry WHERE entry.id > ?1 AND entry.id < ?2 ORDER BY entry.id DESC");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([behind, before])?;
        while let Some(row) = rows.next()? {
            let (id, line) = (row.get(0)?, self.found_line(row, sought, page)?);
            if !page.take(id, line) {
                break;
            }
        }
        Ok(())
    }

    /// Asks the index, the newest part first. A page has one part in any case, so that whoever asks comes forward. The
    /// part that is `unlisted` is read through.
    fn look_up(
        &self,
        sought: &Sought<'_>,
        before: i64,
        unlisted: Option<i64>,
        page: &mut Page,
    ) -> rusqlite::Result<()> {
        let parts = self.parts_to(part_of(before - 1), MAX_PARTS + 1)?;
        for (turn, part) in parts.iter().enumerate() {
            let end = (part * PART_LEN + PART_LEN).min(before);
            if turn == MAX_PARTS || turn > 0 && !page.affords(sought.words.len() + 1 + sought.marks.len()) {
                page.next = Some(end);
                break;
            }
            if unlisted == Some(*part) {
                self.look_through(sought, part * PART_LEN - 1, end, page)?;
                if page.next.is_some() {
                    return Ok(());
                }
                continue;
            }
            let mut places = self.places_of_all(*part, sought, page)?;
            places.retain(|&place| part * PART_LEN + i64::from(place) < end);
            // It costs as much to ask for a list as to read an entry.
            let asks = (1..MAX_LISTS.min(places.len())).contains(&sought.one_of.len()) && places.len() > FEW_PLACES;
            if asks && turn > 0 && !page.affords(sought.one_of.len()) {
                page.next = Some(end);
                break;
            }
            if asks && page.affords(sought.one_of.len()) {
                let mut here = HashSet::new();
                for mark in &sought.one_of {
                    here.extend(self.places_of(*part, mark, page)?);
                }
                places.retain(|place| here.contains(place));
            }
            let sql = format!("{LINE} FROM entry WHERE entry.id = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            for place in places.into_iter().rev() {
                let id = part * PART_LEN + i64::from(place);
                let line = statement.query_row([id], |row| self.found_line(row, sought, page)).optional()?.flatten();
                if !page.take(id, line) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The places of a part that have all of what is looked for, or may have it.
    fn places_of_all(&self, part: i64, sought: &Sought<'_>, page: &mut Page) -> rusqlite::Result<Vec<u16>> {
        let long = self.places_of(part, MARK_OF_LONG, page)?;
        let mut places: Option<Vec<u16>> = None;
        for word in &sought.words {
            let list = self.places_of(part, word, page)?;
            places = Some(match places {
                None => list,
                Some(places) => common(places, &list),
            });
            if places.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        let mut places = places.unwrap_or_default();
        places.extend(long);
        places.sort_unstable();
        places.dedup();
        for mark in &sought.marks {
            if places.is_empty() {
                break;
            }
            places = common(places, &self.places_of(part, mark, page)?);
        }
        Ok(places)
    }

    fn places_of(&self, part: i64, word: &str, page: &mut Page) -> rusqlite::Result<Vec<u16>> {
        let list = self.list(part, word)?.unwrap_or_default();
        page.lists += 1;
        page.list_bytes += list.len();
        Ok(list.as_chunks::<2>().0.iter().map(|place| u16::from_be_bytes(*place)).collect())
    }

    /// A row of [`LINE`], if it is a message that is looked for, and kept. Most rows are none, so the text is looked at
    /// where SQLite has it, and where it was said is asked last.
    fn found_line(&self, row: &Row<'_>, sought: &Sought<'_>, page: &mut Page) -> rusqlite::Result<Option<Line>> {
        let (conversation, seq, ts) = (row.get(1)?, number(row, 2)?, number(row, 3)?);
        let sender = row.get_ref(4)?.as_str()?;
        let may_be = row.get::<_, i64>(5)? == schema::MESSAGE
            && sought.place.may_be(conversation)
            && ts < sought.before
            && sought.sender.is_none_or(|wanted| wanted == sender);
        if !may_be {
            return Ok(None);
        }
        let edited = match maybe(row, 7)? {
            None => None,
            Some(edit) => Some(self.text_of(conversation, edit)?.unwrap_or_default().content),
        };
        let content = match &edited {
            None => row.get_ref(6)?.as_str()?,
            Some(edited) => edited,
        };
        let (is_there, cost) = sought.wanted.look(content);
        page.read += cost;
        if !is_there {
            return Ok(None);
        }
        let sql = "SELECT name, other FROM conversation WHERE id = ?1 AND first <= ?2";
        let names = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found: Option<(String, String)> =
            self.connection.prepare_cached(sql)?.query_row(params![conversation, signed(seq)], names).optional()?;
        let Some((name, other)) = found.filter(|(name, other)| sought.place.is(name, other)) else { return Ok(None) };
        let (sender, content) = (String::from(sender), String::from(content));
        Ok(Some(Line { seq, ts, sender, content, name, other }))
    }

    /// The key from which on entries are not older than that, a little behind it: by halving, because times rise with
    /// the keys, but for a clock that was set back.
    fn key_at(&self, ts: u64, last: i64) -> rusqlite::Result<i64> {
        let (mut from, mut to) = (0, last + 1);
        while from < to {
            let middle = from + (to - from) / 2;
            let sql = "SELECT id, ts FROM entry WHERE id >= ?1 ORDER BY id LIMIT 1";
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, number(row, 1)?));
            match self.connection.prepare_cached(sql)?.query_row([middle], row).optional()? {
                Some((id, found)) if found < ts => from = id + 1,
                _ => to = middle,
            }
        }
        Ok((from + MAX_OUT_OF_ORDER).min(last + 1))
    }
}

/// Places that both have.
fn common(mut places: Vec<u16>, other: &[u16]) -> Vec<u16> {
    places.retain(|place| other.binary_search(place).is_ok());
    places
}

/// What is read of an entry.
const LINE: &str = "SELECT entry.id, conversation, seq, ts, sender, kind, content, latest";

/// Entries that are read for one page, bytes of the texts that are found, beside one that crosses these, and messages.
const MAX_LOOKS: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

/// What it may cost to read the texts of those, beside one that crosses this, as [`Wanted::look`] counts.
const MAX_READ: usize = 8 << 20;

/// Lists of the index that are asked for one page, and their bytes, beside those of the part that crosses this.
const MAX_LISTS: usize = if cfg!(test) { 16 } else { 2048 };
const MAX_LIST_BYTES: usize = 4 << 20;
const MAX_HITS: usize = 1000;

/// Parts of the index that are asked for one page.
const MAX_PARTS: usize = 1024;

/// Places that are read one by one, rather than to ask the index where they are.
const FEW_PLACES: usize = 32;

/// Entries that may stand behind one with a later time, and are found by time all the same.
const MAX_OUT_OF_ORDER: i64 = 256;
