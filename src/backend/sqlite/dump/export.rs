//! Writes down all that a store keeps, while others may use it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Row, params};

use super::super::entries::{Text, is_set, maybe};
use super::super::opening::Log;
use super::super::people::NEVER;
use super::super::schema;
use super::super::tables::{Tables, count, number, signed};
use super::super::trail::Kept;
use super::super::trouble::Result;
use super::super::upkeep::open_for_reading;
use super::record::{About, Body, Head, Name, Record, VERSION};
use crate::backend::Epoch;

/// A store that is written down.
#[derive(Debug)]
pub struct Export {
    tables: Tables,
    /// What was found of its log before it was opened.
    log: Log,
    path: PathBuf,
    /// Heads that are still to be told, the next one last.
    heads: Vec<Record>,
    /// Where each conversation stands, until all that is kept of it has been told.
    going: BTreeMap<i64, Going>,
    /// Records told between the first and the last.
    records: u64,
    /// The one room that is wanted.
    room: Option<i64>,
    /// Entries up to this key are in it; those up to that have been told.
    upto: i64,
    told: i64,
    /// The number of the last entry that has been told.
    read: u64,
    /// Conversations up to this one have a head.
    newest: i64,
    stage: Stage,
}

/// How far a conversation has been told.
#[derive(Debug)]
struct Going {
    name: Name,
    /// The number of the next entry.
    next: u64,
    /// The last one that its head counts.
    last: u64,
}

/// What is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Users(i64),
    Heads,
    Entries,
    Missing,
    Set,
    /// Of users behind this one, and of this one of conversations behind that.
    Reads(String, i64),
    Bans,
    Steps(i64),
    End,
    Over,
}

impl Export {
    /// Begins it; of one room, if that is all that is wanted.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn open(path: &Path, room: Option<&str>) -> std::result::Result<Self, String> {
        let (tables, log) = open_for_reading(path)?;
        let mut export = Self {
            tables,
            log,
            path: path.to_owned(),
            heads: Vec::new(),
            going: BTreeMap::new(),
            records: 0,
            room: None,
            upto: 0,
            newest: 0,
            told: 0,
            read: 0,
            stage: Stage::Begin,
        };
        let found = export.read_heads(room).map_err(|trouble| trouble.sentence(path))?;
        match room {
            Some(room) if !found => {
                Err(format!("--room {room}: expected a room that is kept, found none of that name"))
            }
            _ => Ok(export),
        }
    }

    /// About how many entries there are, and how many have been told.
    pub fn progress(&self) -> (u64, u64) {
        (self.upto.unsigned_abs(), self.told.unsigned_abs())
    }

    /// What is to be said of the log of the store, if anything is: then what was said last may be missing.
    pub fn log(&self) -> Option<String> {
        self.log.sentence()
    }

    /// The next records; none: that was all.
    ///
    /// # Errors
    /// One sentence.
    pub fn next_piece(&mut self) -> std::result::Result<Vec<Record>, String> {
        while self.stage != Stage::Over {
            let piece = self.piece().map_err(|trouble| trouble.sentence(&self.path))?;
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
        Ok(Vec::new())
    }

    fn read_heads(&mut self, room: Option<&str>) -> Result<bool> {
        // One reading, so that every entry up to `upto` has a number that its head counts.
        self.tables.begin()?;
        self.upto = self.tables.last()?.entry;
        let sql = "SELECT id, name, other, epoch, seq, first, message, said, title, topic, created_at, created \
                   FROM conversation WHERE ?1 IS NULL OR name = ?1 AND other = '' ORDER BY id DESC";
        let mut statement = self.tables.connection.prepare(sql)?;
        let mut rows = statement.query([room])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            self.newest = self.newest.max(id);
            self.room = room.map(|_| id);
            let seq = number(row, 4)?;
            let head = Head {
                epoch: Epoch(row.get::<_, i64>(3)?.cast_unsigned()),
                seq,
                oldest: number(row, 5)?.clamp(1, seq + 1),
                message: number(row, 6)?.min(seq),
                said: number(row, 7)?,
            };
            let about =
                About { title: row.get(8)?, topic: row.get(9)?, created_at: maybe(row, 10)?, created: row.get(11)? };
            let name = Name::of(row.get(1)?, row.get(2)?);
            if head.oldest <= seq {
                self.going.insert(id, Going { name: name.clone(), next: head.oldest, last: seq });
            }
            self.heads.push(Record::Conversation { name, head, about });
        }
        drop(rows);
        drop(statement);
        self.tables.commit()?;
        Ok(!self.heads.is_empty())
    }

    fn piece(&mut self) -> Result<Vec<Record>> {
        let piece = self.piece_of_stage()?;
        let of_itself = |record: &&Record| matches!(record, Record::Export { .. } | Record::End { .. });
        self.records += (piece.len() - piece.iter().filter(of_itself).count()) as u64;
        Ok(piece)
    }

    fn piece_of_stage(&mut self) -> Result<Vec<Record>> {
        match self.stage {
            Stage::Begin => {
                self.stage = if self.room.is_some() { Stage::Heads } else { Stage::Users(NEVER) };
                Ok(vec![Record::Export { version: VERSION }])
            }
            Stage::Users(after) => {
                let people = self.tables.people_after(after, PIECE)?;
                self.stage = people.last().map_or(Stage::Heads, |(id, _)| Stage::Users(*id));
                Ok(people.into_iter().map(|(_, name)| Record::User { name }).collect())
            }
            Stage::Heads => {
                let left = self.heads.len().saturating_sub(PIECE);
                let piece: Vec<_> = self.heads.drain(left..).rev().collect();
                if piece.is_empty() {
                    self.stage = Stage::Entries;
                }
                Ok(piece)
            }
            Stage::Entries => {
                let piece = self.entries()?;
                if piece.is_empty() {
                    self.told = self.upto;
                    self.stage = Stage::Missing;
                }
                Ok(piece)
            }
            Stage::Missing => {
                let missing = std::iter::from_fn(|| self.going.pop_first()).take(PIECE);
                let piece: Vec<_> = missing
                    .map(|(_, Going { name, next, last })| Record::Missing { name, from: next, to: last })
                    .collect();
                if piece.is_empty() {
                    self.stage = Stage::Set;
                }
                Ok(piece)
            }
            Stage::Set => {
                self.stage = if self.room.is_some() { Stage::End } else { Stage::Reads(String::new(), 0) };
                self.set()
            }
            Stage::Reads(ref user, conversation) => {
                let (piece, last) = self.reads(user, conversation)?;
                self.stage = last.map_or(Stage::Bans, |(user, conversation)| Stage::Reads(user, conversation));
                Ok(piece)
            }
            Stage::Bans => {
                self.stage = Stage::Steps(0);
                self.bans()
            }
            Stage::Steps(after) => {
                let steps = self.tables.steps_after(after, PIECE)?;
                self.stage = steps.last().map_or(Stage::End, |(id, _)| Stage::Steps(*id));
                let record = |(_, Kept { ts, operator, call, room, user, status })| Record::Step {
                    ts,
                    operator,
                    call,
                    room,
                    user,
                    status,
                };
                Ok(steps.into_iter().map(record).collect())
            }
            Stage::End => {
                self.log.still_holds(&self.path)?;
                self.stage = Stage::Over;
                Ok(vec![Record::End { records: self.records }])
            }
            Stage::Over => Ok(Vec::new()),
        }
    }

    fn entries(&mut self) -> Result<Vec<Record>> {
        let sql = if self.room.is_some() { entries_of_one() } else { entries_of_all() };
        let mut statement = self.tables.connection.prepare_cached(&sql)?;
        let piece = params![self.told, self.upto, count(PIECE), self.room, signed(self.read)];
        let mut rows = statement.query(piece)?;
        let mut piece = Vec::new();
        while let Some(row) = rows.next()? {
            (self.told, self.read) = (row.get(0)?, number(row, 4)?);
            // One that was begun when the heads had been read has no head here.
            let (conversation, seq): (i64, u64) = (row.get(1)?, number(row, 4)?);
            let Some(going) = self.going.get_mut(&conversation) else { continue };
            if going.next < seq {
                piece.push(Record::Missing { name: going.name.clone(), from: going.next, to: seq - 1 });
            }
            going.next = seq + 1;
            if seq == going.last {
                self.going.remove(&conversation);
            }
            piece.push(entry(&self.tables, row)?);
        }
        Ok(piece)
    }

    /// The next marks, behind that of a user in a conversation; and which was the last of them, if more may follow.
    fn reads(&self, user: &str, conversation: i64) -> Result<(Vec<Record>, Option<LastMark>)> {
        // As they lie in the file. A conversation that has begun since the heads were read has none here.
        let sql = "SELECT user, name, other, mark.seq, conversation.id \
                   FROM mark CROSS JOIN conversation ON conversation.id = conversation \
                   WHERE (user, conversation) > (?1, ?2) AND conversation.id <= ?3 ORDER BY user, conversation LIMIT ?4";
        let mut statement = self.tables.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![user, conversation, self.newest, count(PIECE)])?;
        let (mut piece, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            let (user, seq): (String, u64) = (row.get(0)?, number(row, 3)?);
            last = Some((user.clone(), row.get(4)?));
            piece.push(Record::Read { user, name: Name::of(row.get(1)?, row.get(2)?), seq });
        }
        Ok((piece, last))
    }

    /// What is set for rooms, or for the one.
    fn set(&self) -> Result<Vec<Record>> {
        let sql = "SELECT room, words FROM room_setting \
                   WHERE ?1 IS NULL OR room = (SELECT name FROM conversation WHERE id = ?1) ORDER BY room";
        let row = |row: &Row<'_>| Ok(Record::Set { room: row.get(0)?, words: row.get(1)? });
        let mut statement = self.tables.connection.prepare(sql)?;
        Ok(statement.query_map([self.room], row)?.collect::<rusqlite::Result<_>>()?)
    }

    fn bans(&self) -> Result<Vec<Record>> {
        let row = |row: &Row<'_>| Ok(Record::Ban { user: row.get(0)?, until: maybe(row, 1)?, note: row.get(2)? });
        let mut statement = self.tables.connection.prepare("SELECT user, until, note FROM ban ORDER BY user")?;
        Ok(statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?)
    }
}

/// The next entries of all conversations, in the order of their keys.
pub(in crate::backend::sqlite) fn entries_of_all() -> String {
    format!("{ENTRIES} entry.id > ?1 AND entry.id <= ?2 AND ?4 IS NULL AND ?5 >= 0 ORDER BY entry.id LIMIT ?3")
}

/// The same of one: by its numbers, which grow as the keys do, so that an index has them in order.
pub(in crate::backend::sqlite) fn entries_of_one() -> String {
    format!(
        "{ENTRIES} entry.conversation = ?4 AND entry.seq > ?5 AND entry.id > ?1 AND entry.id <= ?2 \
         ORDER BY entry.seq LIMIT ?3"
    )
}

/// A user, and the key of a conversation: where the marks of an export go on.
type LastMark = (String, i64);

const ENTRIES: &str = "SELECT entry.id, conversation.id, name, other, entry.seq, kind, ts, sender, content, about, \
     latest, reacted, calls_room FROM entry JOIN conversation ON conversation.id = entry.conversation WHERE entry.seq >= first AND";

fn entry(tables: &Tables, row: &Row<'_>) -> Result<Record> {
    let (conversation, seq): (i64, u64) = (row.get(1)?, number(row, 4)?);
    let of = || maybe(row, 9).map(Option::unwrap_or_default);
    let content = || row.get::<_, String>(8);
    let body = match row.get(5)? {
        schema::EDIT => {
            let content = Some(content()?).filter(|content| !content.is_empty());
            Body::Edited { of: of()?, content, calls_room: is_set(row, 12)? }
        }
        schema::DELETION => Body::Deleted { of: of()? },
        schema::REACTION => Body::Reaction { of: of()?, emoji: content()?, on: row.get(11)? },
        schema::MESSAGE => {
            let edit = match maybe(row, 10)? {
                Some(edit) => tables.text_of(conversation, edit)?,
                None => None,
            };
            let (content, edited, calls_room) = match edit {
                Some(Text { content, ts, calls_room }) => (content, Some(ts), calls_room),
                None => (content()?, None, is_set(row, 12)?),
            };
            let reactions = match row.get::<_, Option<bool>>(11)? {
                Some(true) => reactions(tables, conversation, seq)?,
                _ => Vec::new(),
            };
            Body::Message { content: Some(content), reply_to: maybe(row, 9)?, calls_room, edited, reactions }
        }
        _ => {
            let reply_to = maybe(row, 9)?;
            Body::Message { content: None, reply_to, calls_room: false, edited: None, reactions: Vec::new() }
        }
    };
    let name = Name::of(row.get(2)?, row.get(3)?);
    Ok(Record::Entry { name, seq, ts: number(row, 6)?, sender: row.get(7)?, body })
}

fn reactions(tables: &Tables, conversation: i64, message: u64) -> Result<Vec<(String, Vec<String>)>> {
    let sql = "SELECT emoji, user FROM emoji JOIN reaction USING (conversation, message, emoji) \
               WHERE conversation = ?1 AND message = ?2 ORDER BY emoji.first, reaction.seq";
    let mut statement = tables.connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![conversation, signed(message)])?;
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (emoji, user): (String, String) = (row.get(0)?, row.get(1)?);
        match found.last_mut() {
            Some((last, users)) if *last == emoji => users.push(user),
            _ => found.push((emoji, vec![user])),
        }
    }
    Ok(found)
}

/// Records that are read at once.
const PIECE: usize = 512;
