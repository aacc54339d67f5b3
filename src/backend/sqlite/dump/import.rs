//! Reads records into a store that nobody uses: all of them, or none.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::super::file::{Claim, Found};
use super::super::opening::{self, Log};
use super::super::tables::{Tables, signed};
use super::super::trail::Kept;
use super::super::trouble::{Result, Trouble};
use super::super::{CHECKED_BYTES, file, schema, sentences};
use super::record::{About, Body, Head, Name, Record, VERSION};
use crate::backend::{Epoch, MAX_BANS, MAX_EMOJI, MAX_SET, Reacted};
use crate::random::Random;

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
                    return Err(Trouble::Said(sentences::damaged(path, &fault)));
                }
                match tables.version()? {
                    schema::VERSION => {}
                    version => return Err(Trouble::Said(sentences::older(path, version))),
                }
                if !tables.begin_log()? {
                    let why = "its file system knows no memory that processes share";
                    return Err(Trouble::Said(sentences::cannot_open(path, &why)));
                }
                tables
            }
        };
        tables.begin_writing()?;
        if self.new.is_none() {
            self.claim.write_log_anew().map_err(|error| Trouble::Said(sentences::cannot_open(path, &error)))?;
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
            Record::User { name } => self.tables(|tables| tables.meet(&name, usize::MAX).map(drop)),
            Record::Read { user, name, seq } => self.read(&user, &name, seq),
            Record::Ban { user, until, note } => self.tables(|tables| {
                let sql = "INSERT INTO ban (user, until, note) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                tables.execute(sql, params![user, until.map(signed), note]).map(drop)
            }),
            Record::Set { room, words } => self.tables(|tables| {
                let sql = "INSERT INTO room_setting (room, words) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                tables.execute(sql, params![room, words]).map(drop)
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
        if self.tables(|tables| tables.set_rooms(MAX_SET + 1)).map_err(sentence)?.len() > MAX_SET {
            return Err(format!(
                "expected at most {MAX_SET} rooms for which something is set, with those in the file, found more; nothing \
                 is imported"
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
            Body::Edited { of, content, .. } => {
                (schema::EDIT, content.as_deref().unwrap_or(""), Some(signed(*of)), before, None)
            }
            Body::Deleted { of } => (schema::DELETION, "", Some(signed(*of)), before, None),
            Body::Reaction { of, emoji, on } => (schema::REACTION, &**emoji, Some(signed(*of)), before, Some(*on)),
        };
        let calls_room = match *body {
            Body::Message { content: Some(_), calls_room, .. } | Body::Edited { content: Some(_), calls_room, .. } => {
                calls_room.then_some(1)
            }
            _ => None,
        };
        if let Body::Message { .. } = body {
            (begun.message, begun.last, begun.said) = (seq, id, ts);
        }
        let place = begun.id;
        self.tables(|tables| {
            let sql = "INSERT INTO entry \
                       (id, conversation, seq, kind, ts, sender, content, about, latest, reacted, calls_room) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            let (at, when) = (signed(seq), signed(ts));
            let row = params![id, place, at, kind, when, sender, content, about, latest, reacted, calls_room];
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
        Body::Edited { of, content: Some(_), .. } if kept(*of)? => tables.move_text(conversation, *of, seq),
        Body::Reaction { of, emoji, on: true } if kept(*of)? => {
            tables.add_reaction(conversation, *of, emoji, seq, user)
        }
        Body::Reaction { of, emoji, on: false } => tables.take_reaction(conversation, *of, emoji, user),
        Body::Message { .. } | Body::Edited { .. } | Body::Deleted { .. } | Body::Reaction { .. } => Ok(()),
    }
}

/// What to do where lines are missing.
const HOW_TO: &str = "lines are missing: export it again, or say --with-holes to have what stands behind the last hole \
     of each conversation";

/// Marks of one user that are read in before it is looked whether these are more than they may have.
const MARKS_SEEN_TO: usize = if cfg!(test) { 10 } else { 1024 };

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
