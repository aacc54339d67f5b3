//! All that a store keeps as records, to be written down and read in again: what an export has, and an import takes.
//!
//! An export does not hold up the server that uses the file. It takes the heads of all conversations in one reading,
//! and then entries in pieces, by the key that grows with each: a reader who waits between two pieces keeps no old
//! state of the file from being moved out of its log. What is said behind those heads is left out. What is trimmed,
//! edited or deleted meanwhile is read as it stands then. What it so lacks of what the heads say it states, and at its
//! end how many records it had, so that an import can tell one that lost a line from a whole one.
//!
//! Not in it: retries, which are forgotten after minutes, and the index of words, which is made anew.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, params};

use super::entries::maybe;
use super::file::{Claim, Found};
use super::opening::{self, Log};
use super::tables::{Tables, count, number, signed};
use super::trail::Kept;
use super::trouble::{Result, Trouble};
use super::upkeep::open_for_reading;
use super::{CHECKED_BYTES, file, schema};
use crate::backend::{Epoch, MAX_BANS, MAX_EMOJI, Reacted};
use crate::random::Random;

/// One thing that a store keeps, or what an export says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An export begins.
    Export {
        /// Of what shape its records are: [`VERSION`].
        version: u32,
    },
    /// Entries that went while it was exported. It stands where these would.
    Missing {
        /// Where.
        name: Name,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// That was all.
    End {
        /// How many records stand between the first and this one.
        records: u64,
    },
    /// A room, or two people who have said something. It comes before its entries.
    Conversation {
        /// Which.
        name: Name,
        /// What stands of it.
        head: Head,
        /// What the room is.
        about: About,
    },
    /// An entry, in the order in which all of them were made.
    Entry {
        /// Where.
        name: Name,
        /// Its number.
        seq: u64,
        /// Milliseconds since the Unix epoch.
        ts: u64,
        /// Who.
        sender: String,
        /// What.
        body: Body,
    },
    /// Somebody who is known.
    User {
        /// The name.
        name: String,
    },
    /// A user has read a conversation.
    Read {
        /// Who.
        user: String,
        /// What.
        name: Name,
        /// The last entry that they have read.
        seq: u64,
    },
    /// A name that is kept out.
    Ban {
        /// The name.
        user: String,
        /// When it ends, in milliseconds since the Unix epoch; `None`: when it is lifted.
        until: Option<u64>,
        /// Why.
        note: Option<String>,
    },
    /// What an operator has done, the oldest first.
    Step {
        /// When, in milliseconds since the Unix epoch.
        ts: u64,
        /// The operator's name.
        operator: String,
        /// Which call it was.
        call: String,
        /// The room that was named.
        room: Option<String>,
        /// The user that was named.
        user: Option<String>,
        /// The status of the answer.
        status: u16,
    },
}

/// Names a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// A room.
    Room(String),
    /// Two users, the smaller name first; or one twice.
    Direct([String; 2]),
}

/// The head of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which life of it.
    pub epoch: Epoch,
    /// The last number given out.
    pub seq: u64,
    /// The oldest that is kept; one more than `seq` if none is.
    pub oldest: u64,
    /// The number of the newest message; 0: there was none.
    pub message: u64,
    /// When that was said, of two people; 0: it is not known.
    pub said: u64,
}

/// The description of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// What people call it.
    pub title: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// When it was made, in milliseconds since the Unix epoch; `None`: nobody has said.
    pub created_at: Option<u64>,
    /// Whether somebody made it by name.
    pub created: bool,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A message, folded.
    Message {
        /// Its text as it stands; `None`: it is deleted.
        content: Option<String>,
        /// The message that it answers.
        reply_to: Option<u64>,
        /// When it was last edited. An import goes by the edit itself.
        edited: Option<u64>,
        /// The users of each emoji. An import goes by the reactions themselves.
        reactions: Vec<(String, Vec<String>)>,
    },
    /// A message has another text.
    Edited {
        /// The message.
        of: u64,
        /// Its text, if it still stands.
        content: Option<String>,
    },
    /// A message is deleted.
    Deleted {
        /// The message.
        of: u64,
    },
    /// A reaction was added or taken back.
    Reaction {
        /// The message.
        of: u64,
        /// The emoji.
        emoji: String,
        /// Whether it was added.
        on: bool,
    },
}

impl Record {
    /// Its numbers, which clients and the file have to bear. When a ban ends is none: what is too far is for ever.
    fn numbers(&self) -> [(&'static str, u64); 4] {
        const NONE: (&str, u64) = ("", 0);
        match self {
            Self::Conversation { head, about, .. } => [
                ("seq", head.seq),
                ("oldest", head.oldest.saturating_sub(1)),
                ("last_ts", head.said),
                ("created_at", about.created_at.unwrap_or(0)),
            ],
            Self::Entry { seq, ts, body, .. } => match *body {
                Body::Message { reply_to, .. } => {
                    [("seq", *seq), ("ts", *ts), ("reply_to", reply_to.unwrap_or(0)), NONE]
                }
                Body::Edited { of, .. } | Body::Deleted { of } | Body::Reaction { of, .. } => {
                    [("seq", *seq), ("ts", *ts), ("of", of), NONE]
                }
            },
            Self::Read { seq, .. } => [("seq", *seq), NONE, NONE, NONE],
            Self::Missing { from, to, .. } => [("from", *from), ("to", *to), NONE, NONE],
            Self::Ban { until, .. } => [("until", until.unwrap_or(0)), NONE, NONE, NONE],
            Self::Step { ts, .. } => [("ts", *ts), NONE, NONE, NONE],
            Self::User { .. } | Self::Export { .. } | Self::End { .. } => [NONE; 4],
        }
    }
}

impl Name {
    fn of(name: String, other: String) -> Self {
        match &*other {
            "" => Self::Room(name),
            _ => Self::Direct([name, other]),
        }
    }

    /// As the file has it.
    fn columns(&self) -> (&str, &str) {
        match self {
            Self::Room(name) => (name, ""),
            Self::Direct([one, other]) => (one.min(other), one.max(other)),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(name) => write!(f, "the room {name}"),
            Self::Direct([one, other]) => write!(f, "{one} and {other}"),
        }
    }
}

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
                self.stage = if self.room.is_some() { Stage::Heads } else { Stage::Users(0) };
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
                    self.stage = if self.room.is_some() { Stage::End } else { Stage::Reads(String::new(), 0) };
                }
                Ok(piece)
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

    fn bans(&self) -> Result<Vec<Record>> {
        let row = |row: &Row<'_>| Ok(Record::Ban { user: row.get(0)?, until: maybe(row, 1)?, note: row.get(2)? });
        let mut statement = self.tables.connection.prepare("SELECT user, until, note FROM ban ORDER BY user")?;
        Ok(statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?)
    }
}

/// The next entries of all conversations, in the order of their keys.
pub(super) fn entries_of_all() -> String {
    format!("{ENTRIES} entry.id > ?1 AND entry.id <= ?2 AND ?4 IS NULL AND ?5 >= 0 ORDER BY entry.id LIMIT ?3")
}

/// The same of one: by its numbers, which grow as the keys do, so that an index has them in order.
pub(super) fn entries_of_one() -> String {
    format!(
        "{ENTRIES} entry.conversation = ?4 AND entry.seq > ?5 AND entry.id > ?1 AND entry.id <= ?2 \
         ORDER BY entry.seq LIMIT ?3"
    )
}

/// A user, and the key of a conversation: where the marks of an export go on.
type LastMark = (String, i64);

const ENTRIES: &str = "SELECT entry.id, conversation.id, name, other, entry.seq, kind, ts, sender, content, about, \
     latest, reacted FROM entry JOIN conversation ON conversation.id = entry.conversation WHERE entry.seq >= first AND";

fn entry(tables: &Tables, row: &Row<'_>) -> Result<Record> {
    let (conversation, seq): (i64, u64) = (row.get(1)?, number(row, 4)?);
    let of = || maybe(row, 9).map(Option::unwrap_or_default);
    let content = || row.get::<_, String>(8);
    let body = match row.get(5)? {
        schema::EDIT => Body::Edited { of: of()?, content: Some(content()?).filter(|content| !content.is_empty()) },
        schema::DELETION => Body::Deleted { of: of()? },
        schema::REACTION => Body::Reaction { of: of()?, emoji: content()?, on: row.get(11)? },
        schema::MESSAGE => {
            let edit = match maybe(row, 10)? {
                Some(edit) => tables.text_of(conversation, edit)?,
                None => None,
            };
            let (content, edited) = match edit {
                Some((content, ts)) => (content, Some(ts)),
                None => (content()?, None),
            };
            let reactions = match row.get::<_, Option<bool>>(11)? {
                Some(true) => reactions(tables, conversation, seq)?,
                _ => Vec::new(),
            };
            Body::Message { content: Some(content), reply_to: maybe(row, 9)?, edited, reactions }
        }
        _ => Body::Message { content: None, reply_to: maybe(row, 9)?, edited: None, reactions: Vec::new() },
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

/// A store that records are read into: all of them, or none.
///
/// A new one is made beside its place, and brought there when all has come: a process that is killed leaves none. In
/// one that is there all of it is one transaction, the use of the file itself noted with it, so that an import that is
/// refused or killed leaves it as it was.
#[derive(Debug)]
pub struct Import {
    /// `None`: it is closed.
    tables: Option<Tables>,
    /// The file that is being made.
    new: Option<file::New>,
    claim: Claim,
    /// The last batch, key of an entry, and key that is in the index.
    batch: i64,
    entry: i64,
    indexed: i64,
    /// Conversations that have come, and those of the export that is being read.
    begun: HashMap<Name, Begun>,
    of_this: Vec<Name>,
    /// Of the export that is being read, how many records have come since its first; `None`: it has no first.
    since_first: Option<u64>,
    /// An export has ended.
    has_ended: bool,
    /// Something has come that is of no export that says what it has.
    is_unstated: bool,
    /// What is missing without a word of it is no mistake.
    with_holes: bool,
    /// Entries that had a hole behind them, and so are not kept.
    left_out: u64,
    /// The longest content of a message.
    content_bytes: usize,
    /// The user whose mark came last, and how many of theirs since it was looked whether these are more than they may.
    reading: (String, usize),
}

impl Drop for Import {
    fn drop(&mut self) {
        let path = &self.claim.path;
        // What was taken and is not to be kept.
        let undone = match (self.tables.take(), self.new.take()) {
            (tables, Some(_)) => {
                drop(tables);
                self.claim.remove_unfinished().map_err(|error| error.to_string())
            }
            (Some(tables), None) => {
                // What it has written of it lies in the log, which is emptied.
                tables.roll_back().and_then(|()| tables.checkpoint().map(drop)).map_err(|error| error.to_string())
            }
            (None, None) => Ok(()),
        };
        if let Err(error) = undone {
            log::warn!("{}: an import is not undone in order ({error})", path.display());
        }
    }
}

/// What has become of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Entries that are not kept, because others behind them were missing.
    pub left_out: u64,
    /// Not all that was read says of itself that it is whole, as an older Salon's does not.
    pub is_unstated: bool,
}

/// A conversation that is being read in.
#[derive(Clone, Copy, Debug)]
struct Begun {
    id: i64,
    direct: bool,
    head: Head,
    /// The number of the next entry, when one has come.
    next: Option<u64>,
    first: u64,
    /// The newest message that has come, and its key.
    message: u64,
    last: i64,
    said: u64,
}

impl Import {
    /// Begins it, in a store that nobody uses; it is made if there is none.
    ///
    /// `with_holes`: also of an export of which lines are missing; what lies before a hole is left out.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn open(path: &Path, content_bytes: usize, with_holes: bool) -> std::result::Result<Self, String> {
        // Where its log lies beside another name, nothing is done.
        opening::is_by_this_name(path)?;
        let claim = Claim::take(path)?;
        let new = match claim.look()? {
            Found::Nothing => Some(claim.begin_new()?),
            Found::Store => None,
        };
        let mut import = Self {
            tables: None,
            new,
            claim,
            batch: 0,
            entry: 0,
            indexed: 0,
            begun: HashMap::new(),
            of_this: Vec::new(),
            since_first: None,
            has_ended: false,
            is_unstated: false,
            with_holes,
            left_out: 0,
            content_bytes,
            reading: (String::new(), 0),
        };
        import.connect().map_err(|trouble| trouble.sentence(&import.claim.path))?;
        Ok(import)
    }

    /// Opens the file, and begins the one transaction.
    fn connect(&mut self) -> Result<()> {
        let path = &*self.claim.path.clone();
        let tables = match &self.new {
            Some(new) => {
                let tables = opening::made(&new.path)?;
                tables.forgo_journal()?;
                tables.make(Epoch(Random::secret().draw()))?;
                tables
            }
            None => {
                self.claim.allow_beside().map_err(Trouble::Said)?;
                let tables = Log::of_claimed(&mut self.claim, file::boot_id().as_deref())?.to_write(path)?;
                if file::bytes(path) <= CHECKED_BYTES
                    && let Some(fault) = tables.fault()?
                {
                    return Err(Trouble::Said(file::damaged(path, &fault)));
                }
                match tables.version()? {
                    schema::VERSION => {}
                    version => return Err(Trouble::Said(file::older(path, version))),
                }
                if !tables.begin_log()? {
                    let why = "its file system knows no memory that processes share";
                    return Err(Trouble::Said(file::cannot_open(path, &why)));
                }
                tables
            }
        };
        tables.begin_writing()?;
        if self.new.is_none() {
            self.claim.write_log_anew().map_err(|error| Trouble::Said(file::cannot_open(path, &error)))?;
        }
        let last = tables.last()?;
        (self.batch, self.entry, self.indexed) = (last.batch, last.entry, last.indexed);
        self.tables = Some(tables);
        Ok(())
    }

    /// Takes a record.
    ///
    /// # Errors
    /// What was expected and what was found; or why the file cannot be written to.
    pub fn take(&mut self, record: Record) -> std::result::Result<(), String> {
        if let Some((field, number)) = record.numbers().into_iter().find(|&(_, number)| number > MAX_NUMBER) {
            return Err(format!("{field}: expected at most {MAX_NUMBER}, found {number}"));
        }
        if let Record::Entry { body: Body::Message { content: Some(text), .. }, .. }
        | Record::Entry { body: Body::Edited { content: Some(text), .. }, .. } = &record
            && text.len() > self.content_bytes
        {
            let (most, found) = (self.content_bytes, text.len());
            return Err(format!("content: expected at most {most} bytes (--content-bytes), found {found}"));
        }
        match (&mut self.since_first, &record) {
            (_, Record::Export { .. } | Record::End { .. }) => {}
            (Some(since_first), _) => *since_first += 1,
            (None, _) => self.is_unstated = true,
        }
        let taken = match record {
            Record::Export { version } => self.begin_export(version),
            Record::End { records } => self.end_export(records),
            Record::Missing { name, from, to } => self.skip(&name, from, to),
            Record::Conversation { name, head, about } => self.begin(name, head, &about),
            Record::Entry { name, seq, ts, sender, body } => self.append(&name, seq, ts, &sender, &body),
            Record::User { name } => self.tables(|tables| tables.know(&name, usize::MAX).map(drop)),
            Record::Read { user, name, seq } => self.read(&user, &name, seq),
            Record::Ban { user, until, note } => self.tables(|tables| {
                let sql = "INSERT INTO ban (user, until, note) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                tables.execute(sql, params![user, until.map(signed), note]).map(drop)
            }),
            Record::Step { ts, operator, call, room, user, status } => {
                let kept = Kept { ts, operator, call, room, user, status };
                self.tables(|tables| tables.note_step_once(kept.step()))
            }
        };
        taken.map_err(|trouble| match trouble {
            Trouble::Said(sentence) => sentence,
            trouble => trouble.sentence(&self.claim.path),
        })
    }

    /// Keeps all that was taken.
    ///
    /// # Errors
    /// One sentence: nothing is kept.
    pub fn finish(mut self) -> std::result::Result<Imported, String> {
        if self.since_first.is_none() && !self.is_unstated && self.begun.is_empty() && !self.has_ended {
            return Err("expected what `salon store export` wrote, found nothing; nothing is imported".into());
        }
        if self.since_first.is_some() && !self.with_holes {
            return Err(format!("expected a line of the kind `end` at the end, found none: it was cut; {HOW_TO}"));
        }
        self.see_whole().map_err(|error| format!("{error}; nothing is imported"))?;
        let sentence = |trouble: Trouble| trouble.sentence(&self.claim.path);
        // A chat would leave out the others, and those would be let in.
        if self.tables(|tables| tables.bans_after("", MAX_BANS + 1)).map_err(sentence)?.len() > MAX_BANS {
            return Err(format!(
                "expected at most {MAX_BANS} bans with those in the file, found more; nothing is imported"
            ));
        }
        self.keep().map_err(|trouble| trouble.sentence(&self.claim.path))?;
        // It is whole, whatever becomes of its log.
        let tables = self.tables.take();
        match self.new.take() {
            Some(new) => {
                drop(tables);
                self.claim.bring(new).inspect_err(|_| drop(self.claim.remove_unfinished()))?;
            }
            None => {
                let moved = tables.map_or(Ok(true), |tables| tables.checkpoint());
                if let Err(error) = moved {
                    log::warn!("{}: its log is not moved into it yet: {error}", self.claim.path.display());
                }
            }
        }
        Ok(Imported { left_out: self.left_out, is_unstated: self.is_unstated })
    }

    fn begin_export(&mut self, version: u32) -> Result<()> {
        if self.since_first.is_some() && !self.with_holes {
            return Err(Trouble::Said(format!("expected the end of this export, found another one's first; {HOW_TO}")));
        }
        if version != VERSION {
            let why =
                format!("expected an export of version {VERSION}, found {version}, of a newer Salon; take that one");
            return Err(Trouble::Said(why));
        }
        self.since_first = Some(0);
        Ok(())
    }

    fn end_export(&mut self, records: u64) -> Result<()> {
        self.has_ended = true;
        let found = self.since_first.take();
        if self.with_holes {
            return Ok(());
        }
        let Some(found) = found else {
            return Err(Trouble::Said(format!("expected the first line of this export, found none; {HOW_TO}")));
        };
        // By it, and not by a count alone, is it known where something is missing.
        self.see_whole().map_err(Trouble::Said)?;
        match found == records {
            true => Ok(()),
            false => Err(Trouble::Said(format!(
                "expected {records} lines between the first and the last of this export, found {found}; {HOW_TO}"
            ))),
        }
    }

    /// That nothing is missing at the end of the conversations that have come since it was looked last.
    fn see_whole(&mut self) -> std::result::Result<(), String> {
        for name in self.of_this.drain(..) {
            let begun = &self.begun[&name];
            let next = begun.next.unwrap_or(begun.first);
            if next <= begun.head.seq && !self.with_holes {
                return Err(format!("expected the seq {next} of {name}, found none behind it; {HOW_TO}"));
            }
        }
        Ok(())
    }

    /// Entries are said to be missing.
    fn skip(&mut self, name: &Name, from: u64, to: u64) -> Result<()> {
        let Some(begun) = self.begun.get_mut(name) else {
            return Err(Trouble::Said(format!("expected the line of {name} before what is missing of it, found none")));
        };
        let (next, last) = (begun.next.unwrap_or(begun.head.oldest), begun.head.seq);
        if from < next || from > to || to > last || from > next && !self.with_holes {
            let why = format!("expected that from {next} to {last} at most something is missing of {name}");
            return Err(Trouble::Said(format!("{why}, found from {from} to {to}")));
        }
        self.left_out += begun.next.map_or(0, |next| next - begun.first);
        (begun.first, begun.next) = (to + 1, Some(to + 1));
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        for begun in self.begun.values() {
            let Begun { id, head, next, .. } = *begun;
            // All that was kept of a room may have gone while it was exported.
            let whole = next.is_none_or(|next| next == head.seq + 1);
            self.left_out += if whole { 0 } else { next.unwrap_or(1) - begun.first };
            let first = if whole && next.is_some() { begun.first } else { head.seq + 1 };
            let (last, said) = match begun.direct {
                false => (0, 0),
                true if begun.message == head.message => (begun.last, begun.said),
                true => (0, head.said),
            };
            let sql = "UPDATE conversation SET first = ?2, last = ?3, said = ?4 WHERE id = ?1";
            self.tables(|tables| tables.execute(sql, params![id, signed(first), last, signed(said)]).map(drop))?;
        }
        self.bound_marks()?;
        let (batch, entry, indexed) = (self.batch + 1, self.entry, self.indexed);
        self.tables(|tables| {
            tables.number_batch(batch, entry, indexed)?;
            // As of a copy: a server that has gone on where this comes from has given out further numbers.
            tables.execute(schema::AS_A_COPY, [])?;
            tables.commit()
        })
    }

    fn tables<T>(&self, act: impl FnOnce(&Tables) -> rusqlite::Result<T>) -> Result<T> {
        let closed = || Trouble::Said("the file is closed".into());
        Ok(act(self.tables.as_ref().ok_or_else(closed)?)?)
    }

    fn begin(&mut self, name: Name, head: Head, about: &About) -> Result<()> {
        let (one, other) = name.columns();
        if self.tables(|tables| tables.find(one, other))?.is_some() {
            return Err(Trouble::Said(format!("expected a conversation that is not there yet, found {name}")));
        }
        if head.oldest == 0 || head.oldest > head.seq + 1 || head.message > head.seq {
            let Head { seq, oldest, message, .. } = head;
            return Err(Trouble::Said(format!(
                "expected numbers from 1 up to the seq of {name}, which is {seq}; found oldest {oldest}, last_message {message}"
            )));
        }
        let id = self.tables(|tables| {
            let sql = "INSERT INTO conversation \
                       (name, other, epoch, seq, first, message, title, topic, created_at, created) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
            let (seq, first, message) = (signed(head.seq), signed(head.oldest), signed(head.message));
            let About { title, topic, created_at, created } = about;
            let created_at = created_at.map(signed);
            let epoch = head.epoch.0.cast_signed();
            tables.execute(sql, params![one, other, epoch, seq, first, message, title, topic, created_at, created])?;
            Ok(tables.connection.last_insert_rowid())
        })?;
        let direct = matches!(name, Name::Direct(_));
        let first = head.oldest;
        let begun = Begun { id, direct, head, next: None, first, message: 0, last: 0, said: 0 };
        self.of_this.push(name.clone());
        self.begun.insert(name, begun);
        Ok(())
    }

    fn append(&mut self, name: &Name, seq: u64, ts: u64, sender: &str, body: &Body) -> Result<()> {
        let Some(mut begun) = self.begun.get(name).copied() else {
            return Err(Trouble::Said(format!("expected the line of {name} before its entries, found none")));
        };
        let next = begun.next.unwrap_or(begun.head.oldest);
        if seq < next || seq > begun.head.seq {
            return Err(Trouble::Said(format!(
                "expected a seq of {name} from {next} to {}, found {seq}",
                begun.head.seq
            )));
        }
        if let Some(stranger) = stranger(name, sender, body) {
            return Err(Trouble::Said(format!("expected that one of the two says it, found {stranger}")));
        }
        if let Some(of) = body.of().filter(|&of| of == 0 || of >= seq) {
            return Err(Trouble::Said(format!("expected that it is about a seq from 1 to {}, found {of}", seq - 1)));
        }
        if seq > next && !self.with_holes {
            return Err(Trouble::Said(format!("expected the seq {next} of {name}, found {seq}; {HOW_TO}")));
        }
        if let Body::Reaction { of, emoji, on: true } = body
            && let (different, Reacted::No) = self.tables(|tables| tables.reacted(begun.id, *of, emoji, sender))?
            && different >= MAX_EMOJI
        {
            return Err(Trouble::Said(format!(
                "emoji: expected at most {MAX_EMOJI} different ones at the seq {of} of {name}, found one more"
            )));
        }
        if seq > next {
            self.left_out += begun.next.map_or(0, |next| next - begun.first);
            begun.first = seq;
        }
        begun.next = Some(seq + 1);
        self.entry += 1;
        let id = self.entry;
        let before = Some(begun.message).filter(|&message| message > 0).map(signed);
        let (kind, content, about, latest, reacted) = match body {
            Body::Message { content: Some(content), reply_to, .. } => {
                (schema::MESSAGE, &**content, reply_to.map(signed), None, None)
            }
            Body::Message { content: None, reply_to, .. } => (schema::DELETED, "", reply_to.map(signed), None, None),
            Body::Edited { of, content } => {
                (schema::EDIT, content.as_deref().unwrap_or(""), Some(signed(*of)), before, None)
            }
            Body::Deleted { of } => (schema::DELETION, "", Some(signed(*of)), before, None),
            Body::Reaction { of, emoji, on } => (schema::REACTION, &**emoji, Some(signed(*of)), before, Some(*on)),
        };
        if let Body::Message { .. } = body {
            (begun.message, begun.last, begun.said) = (seq, id, ts);
        }
        let place = begun.id;
        self.tables(|tables| {
            let sql = "INSERT INTO entry (id, conversation, seq, kind, ts, sender, content, about, latest, reacted) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
            let row = params![id, place, signed(seq), kind, signed(ts), sender, content, about, latest, reacted];
            tables.execute(sql, row)?;
            change(tables, place, seq, sender, body)
        })?;
        self.begun.insert(name.clone(), begun);
        Ok(())
    }

    fn read(&mut self, user: &str, name: &Name, seq: u64) -> Result<()> {
        let Some(begun) = self.begun.get(name).copied() else {
            return Err(Trouble::Said(format!("expected the line of {name} before who has read it, found none")));
        };
        if let Name::Direct(two) = name
            && !two.iter().any(|one| one == user)
        {
            return Err(Trouble::Said(format!("expected that one of {name} has read it, found {user}")));
        }
        self.tables(|tables| {
            let sql = "INSERT INTO mark (user, conversation, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            tables.execute(sql, params![user, begun.id, signed(seq.min(begun.head.seq))]).map(drop)
        })?;
        // In an export those of one user come together.
        if self.reading.0 != user || self.reading.1 >= MARKS_SEEN_TO {
            self.bound_marks()?;
            self.reading = (user.to_owned(), 0);
        }
        self.reading.1 += 1;
        Ok(())
    }

    /// Of more marks than a user may have, those of the oldest conversations go.
    fn bound_marks(&self) -> Result<()> {
        self.tables(|tables| tables.bound_marks(&self.reading.0))
    }
}

impl Body {
    /// The message that it is about.
    fn of(&self) -> Option<u64> {
        match *self {
            Self::Message { reply_to, .. } => reply_to,
            Self::Edited { of, .. } | Self::Deleted { of } | Self::Reaction { of, .. } => Some(of),
        }
    }
}

/// A sender who is not one of the two in a direct conversation. An operator deletes there, too.
fn stranger<'a>(name: &Name, sender: &'a str, body: &Body) -> Option<&'a str> {
    let Name::Direct(two) = name else { return None };
    let is_one = two.iter().any(|one| one == sender) || matches!(body, Body::Deleted { .. });
    (!is_one).then_some(sender)
}

/// Does to the message what the entry says, if that is there and not deleted. A text that stands is in its edit.
fn change(tables: &Tables, conversation: i64, seq: u64, user: &str, body: &Body) -> rusqlite::Result<()> {
    let kept = |of: u64| {
        let sql = "SELECT 1 FROM entry WHERE conversation = ?1 AND seq = ?2 AND kind = 0";
        let kept = tables.connection.prepare_cached(sql)?.query_row(params![conversation, signed(of)], |_| Ok(()));
        Ok::<_, rusqlite::Error>(kept.optional()?.is_some())
    };
    match body {
        Body::Edited { of, content: Some(_) } if kept(*of)? => tables.move_text(conversation, *of, seq),
        Body::Reaction { of, emoji, on: true } if kept(*of)? => {
            tables.add_reaction(conversation, *of, emoji, seq, user)
        }
        Body::Reaction { of, emoji, on: false } => tables.take_reaction(conversation, *of, emoji, user),
        Body::Message { .. } | Body::Edited { .. } | Body::Deleted { .. } | Body::Reaction { .. } => Ok(()),
    }
}

/// Of what shape the records of an export are.
pub const VERSION: u32 = 1;

/// What to do where lines are missing.
const HOW_TO: &str = "lines are missing: export it again, or say --with-holes to have what stands behind the last hole \
     of each conversation";

/// Marks of one user that are read in before it is looked whether these are more than they may have.
const MARKS_SEEN_TO: usize = if cfg!(test) { 10 } else { 1024 };

/// Records that are read at once.
const PIECE: usize = 512;

/// The largest number that every client can read: JSON has reals of 53 bits in most of them.
const MAX_NUMBER: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sqlite::tests::Folder;

    /// What has been looked at at the end of an export is not looked at again at the end of the next one.
    #[test]
    fn each_conversation_is_looked_at_once() {
        let folder = Folder::new();
        let mut import = Import::open(&folder.options().path, 1000, false).unwrap();
        for export in 0..5 {
            import.take(Record::Export { version: VERSION }).unwrap();
            for room in 0..3 {
                let name = Name::Room(format!("{export}-{room}"));
                let head = Head { epoch: Epoch(1), seq: 0, oldest: 1, message: 0, said: 0 };
                import.take(Record::Conversation { name, head, about: About::default() }).unwrap();
                assert_eq!(import.of_this.len(), room + 1);
            }
            import.take(Record::End { records: 3 }).unwrap();
            assert_eq!((import.of_this.len(), import.begun.len()), (0, 3 * (export + 1)));
        }
    }
}
