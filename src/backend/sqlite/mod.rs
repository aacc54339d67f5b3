//! A backend that keeps messages in one SQLite file, so that they are there again when the process has ended, however
//! it ended.
//!
//! It may wait for a disk, and so is run by [`Threaded`](super::Threaded). What is asked in one go is one transaction
//! (a *batch*):
//!
//! ```text
//!   ask   the first begins the transaction; each is carried out in it, and what it has to say goes to `batch`
//!   poll  all of `said` is heard ─▶ heads are written, COMMIT ─▶ `batch` becomes `said`, and is heard piece by piece
//! ```
//!
//! So nobody is told of anything that is not committed. When a commit fails, every request of the batch fails, the
//! transaction is rolled back, and what was known of conversations is read again. After any error but a full disk the
//! connection is given up as well: a failed `fsync` may leave the kernel with pages that are not on the disk and count
//! as written. The next batch opens the file anew, which moves all of the log into the file and syncs that. Whether a
//! batch whose commit failed is in the file all the same is told by its number; if so, what was said in it is told as
//! said elsewhere.
//!
//! # Numbers after a machine has stopped
//!
//! With [`Durability::Process`] a commit is handed to the kernel, and the end of the machine may take the last of them
//! back. Numbers that were told may then be given out again, so each conversation must go on in another epoch. That is
//! so at a start if the last use of the file was in that mode and did not end well, and the kernel's boot id is not
//! the one that is noted, or is not known; and if the file has another inode than the one that is noted, so is a copy,
//! of which the original may have gone on. The note (boot id, inode, not ended well) is on the disk before the first
//! request is taken. History stays readable, and its numbers go on.
//!
//! # What it does not do
//!
//! It bounds messages by conversation and by age, not by bytes; the log keeps deleted text until it is moved into the
//! file and written over.

mod file;
mod schema;
mod tables;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

use super::carried::Reports;
use super::{
    Backend, Body, Conversation, Description, Entry, Epoch, Head, Message, NewBody, News, Overloaded, Query, Request,
    Ticket, Why,
};
use crate::random::Random;
use crate::time::Moment;

pub use file::boot_id;
use file::{Claim, Found};
use tables::{Place, Tables};

/// What an answer has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process: it has been handed to the kernel.
    Process,
    /// The end of the machine: it is on the disk.
    Power,
}

impl Durability {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

/// Where a store is, and how much is kept in it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// What an answer has survived.
    pub durability: Durability,
    /// Messages of one conversation.
    pub messages: usize,
    /// How long a message is kept, by the wall clock.
    pub age: Duration,
    /// Bytes of the file; near these the oldest messages of all go.
    pub size: u64,
    /// People who are remembered; of more, those who were noted first are forgotten.
    pub people: usize,
    /// What tells one start of the machine from another ([`boot_id`]); `None`: nobody knows.
    pub boot: Option<String>,
}

/// The backend.
///
/// Invariant: between batches `dirty` is empty, and `places` are as the file has them.
#[derive(Debug)]
pub struct Sqlite {
    options: Options,
    claim: Claim,
    /// `None`: the connection was given up.
    tables: Option<Tables>,
    random: Random,
    /// The epoch of what two people said who have said nothing, as it is in the file.
    nothing: Epoch,
    /// Batches committed so far.
    batches: i64,
    /// Conversations that have been looked at lately.
    places: Vec<Known>,
    index: HashMap<Box<str>, usize>,
    dirty: Vec<usize>,
    key: String,
    /// The transaction is open.
    open: bool,
    /// It has changed something.
    wrote: bool,
    /// Why nothing of the batch can be.
    error: Option<Trouble>,
    tickets: Vec<Ticket>,
    batch: Reports,
    /// A batch that may be in the file though its commit failed, and what is to be told then.
    doubt: Option<(i64, Reports)>,
    said: Reports,
    told: usize,
    catalogue: Option<Catalogue>,
    swept: i64,
    ailing: bool,
    /// When it was last looked.
    file_bytes: u64,
    about: String,
}

/// A conversation, and what is to be done about it before the commit.
#[derive(Debug)]
struct Known {
    place: Place,
    dirty: bool,
    /// How many are not kept any more that are in the file still, since it was last looked.
    untrimmed: u64,
}

/// Rooms and people up to these have been told.
#[derive(Debug, Default)]
struct Catalogue {
    room: i64,
    rooms_told: bool,
    person: i64,
}

impl Sqlite {
    /// Opens the store of a file, and makes it if there is none. `random` gives epochs.
    ///
    /// # Errors
    /// One sentence that says what to do. A file that is no store, or not one that can be used, is left as it is.
    pub fn open(options: Options, random: impl Into<Random>) -> std::result::Result<Self, String> {
        let mut random = random.into();
        let claim = Claim::take(&options.path)?;
        let opened = Self::connect(&options, &claim, &mut random);
        let (tables, nothing, batches) = opened.map_err(|trouble| trouble.sentence(&claim.path))?;
        let about = tables.counts().map(|counts| about(&claim.path, counts, &options));
        let about = about.map_err(|error| Trouble::Sql(error).sentence(&claim.path))?;
        Ok(Self {
            claim,
            tables: Some(tables),
            random,
            nothing,
            batches,
            places: Vec::new(),
            index: HashMap::new(),
            dirty: Vec::new(),
            key: String::new(),
            open: false,
            wrote: false,
            error: None,
            tickets: Vec::new(),
            batch: Reports::default(),
            doubt: None,
            said: Reports::default(),
            told: 0,
            catalogue: None,
            swept: 0,
            ailing: false,
            file_bytes: file::bytes(&options.path),
            about,
            options,
        })
    }

    /// Opens the file and notes its use: epochs are new if numbers may have been lost.
    fn connect(options: &Options, claim: &Claim, random: &mut Random) -> Result<(Tables, Epoch, i64)> {
        let new = file::look(&claim.path).map_err(Trouble::Said)? == Found::Nothing;
        if new {
            let nothing = Epoch(random.draw());
            claim.begin(|path| Ok::<_, Trouble>(Tables::open(path, false)?.make(nothing)?))?;
        }
        let inode = claim.inode().map_err(|error| Trouble::Said(file::cannot_open(&claim.path, &error)))?;
        let tables = Tables::open(&claim.path, false)?;
        if !new
            && file::bytes(&claim.path) <= CHECKED_BYTES
            && let Some(fault) = tables.fault()?
        {
            return Err(Trouble::Said(file::damaged(&claim.path, &fault)));
        }
        match tables.version()? {
            schema::VERSION => {}
            version => return Err(Trouble::Said(file::newer(&claim.path, version))),
        }
        let last = tables.last()?;
        if !tables.begin_log()? {
            let why = "its file system knows no memory that processes share";
            return Err(Trouble::Said(file::cannot_open(&claim.path, &why)));
        }
        let original = new || last.inode == inode;
        let same_boot = last.boot.is_some() && last.boot == options.boot;
        let whole = original && (last.clean || last.power || same_boot);
        tables.begin()?;
        let mut nothing = last.nothing;
        if !whole {
            nothing = Epoch(random.draw());
            tables.renew_epochs(nothing)?;
        }
        tables.note_use(options.boot.as_deref(), inode, options.durability.word())?;
        tables.commit()?;
        tables.checkpoint()?;
        tables.synchronize(options.durability == Durability::Power)?;
        if !whole {
            let why = if original { "the machine has stopped since it was used" } else { "it is a copy" };
            log::warn!("{}: {why}, so every conversation goes on in a new epoch", claim.path.display());
        }
        Ok((tables, nothing, last.batch))
    }

    /// Begins the transaction, if it has not begun.
    fn begin(&mut self) -> Result<()> {
        if self.open {
            return Ok(());
        }
        if self.tables.is_none() {
            self.reopen()?;
        }
        if self.places.len() > MAX_PLACES {
            self.forget_places();
        }
        self.tables()?.begin()?;
        self.open = true;
        Ok(())
    }

    /// Opens the file anew, and tells what turns out to be in it.
    fn reopen(&mut self) -> Result<()> {
        let (tables, nothing, batches) = Self::connect(&self.options, &self.claim, &mut self.random)?;
        (self.tables, self.nothing, self.batches) = (Some(tables), nothing, batches);
        if let Some((batch, said)) = self.doubt.take()
            && batch <= batches
        {
            for news in (0..).map_while(|at| said.get(at)) {
                match news {
                    News::Published { conversation, entry, .. } => {
                        self.said.push(&News::Published { conversation, entry, ticket: None });
                    }
                    News::Marked { user, conversation, seq, .. } => {
                        self.said.push(&News::Marked { ticket: None, user, conversation, seq });
                    }
                    News::Emptied { .. } | News::Room { .. } => self.said.push(&news),
                    // Each has a request that has failed.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn tables(&self) -> Result<&Tables> {
        self.tables.as_ref().ok_or_else(|| Trouble::Said("the file was given up".into()))
    }

    fn carry_out(&mut self, request: Request<'_>) -> Result<()> {
        self.begin()?;
        match request {
            Request::Append { conversation, entry, about, ticket, .. } => {
                let NewBody::Message { content, reply_to: None } = entry.body else {
                    self.batch.push(&News::Refused { ticket, why: Why::Unsupported });
                    return Ok(());
                };
                let at = self.find_or_begin(conversation)?;
                self.describe(at, about)?;
                let keeps = self.options.messages > 0;
                let most = u64::try_from(self.options.messages).unwrap_or(u64::MAX);
                let known = &mut self.places[at];
                let place = &mut known.place;
                place.seq += 1;
                // One more than comes, so that a limit that was lowered is reached, piece by piece.
                let over = place.kept().saturating_sub(most).min(2);
                place.first += over;
                known.untrimmed += over;
                let (id, seq) = (place.id, place.seq);
                if keeps {
                    self.tables()?.append(id, seq, &entry, content)?;
                }
                self.spoil(at);
                let (ts, sender) = (entry.at.unix_ms, entry.sender);
                let entry = Entry { seq, ts, sender, body: Body::Message(Message::new(content)) };
                let conversation = in_order(conversation);
                self.batch.push(&News::Published { conversation, entry, ticket: Some(ticket) });
            }
            Request::Read { conversation, query, now, about, ticket, .. } => {
                let direct = matches!(conversation, Conversation::Direct(..));
                // Asking what two people said does not begin a conversation.
                let at = match self.find(conversation)? {
                    None if direct => {
                        let head = Head { epoch: self.nothing, seq: 0, kept: 0 };
                        self.batch.push(&News::Page { ticket, head, entries: Vec::new(), reading: None });
                        return Ok(());
                    }
                    None => self.find_or_begin(conversation)?,
                    Some(at) => at,
                };
                self.describe(at, about)?;
                self.expire_one(at, conversation, now)?;
                self.read(at, query, ticket)?;
            }
            Request::Mark { ticket, .. }
            | Request::Readings { ticket, .. }
            | Request::Conversations { ticket, .. }
            | Request::Search { ticket, .. }
            | Request::Ban { ticket, .. }
            | Request::Unban { ticket, .. } => self.batch.push(&News::Refused { ticket, why: Why::Unsupported }),
            Request::Know { user } => {
                self.wrote |= self.tables()?.know(user, self.options.people)?;
            }
            Request::Release { room } => {
                if let Some(at) = self.find(Conversation::Room(room))?
                    && self.places[at].place.kept() == 0
                {
                    self.end(at)?;
                }
            }
            Request::Erase { room } => {
                if let Some(at) = self.find(Conversation::Room(room))? {
                    self.end(at)?;
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, at: usize, query: Query, ticket: Ticket) -> Result<()> {
        let place = &self.places[at].place;
        let lines = self.tables()?.read(place, query)?;
        let entries = lines.iter().map(|line| Entry {
            seq: line.seq,
            ts: line.ts,
            sender: &line.sender,
            body: Body::Message(Message::new(&line.content)),
        });
        let head = Head { epoch: place.epoch, seq: place.seq, kept: place.kept() };
        self.batch.push(&News::Page { ticket, head, entries: entries.collect(), reading: None });
        Ok(())
    }

    /// Where the conversation stands in `places`, if there is one.
    fn find(&mut self, conversation: Conversation<'_>) -> Result<Option<usize>> {
        let (name, other) = names(conversation);
        // Names have no control characters, so that U+0000 keeps pairs and rooms apart.
        self.key.clear();
        self.key.extend([name, "\0", other]);
        if let Some(&at) = self.index.get(self.key.as_str()) {
            return Ok(Some(at));
        }
        let found = self.tables()?.find(name, other)?;
        Ok(found.map(|place| self.note(place)))
    }

    fn find_or_begin(&mut self, conversation: Conversation<'_>) -> Result<usize> {
        if let Some(at) = self.find(conversation)? {
            return Ok(at);
        }
        let (name, other) = names(conversation);
        let room = other.is_empty();
        let epoch = if room { Epoch(self.random.draw()) } else { self.nothing };
        let place = self.tables()?.add(name, other, epoch)?;
        self.wrote = true;
        if !room {
            // One can write to them.
            self.tables()?.know(name, self.options.people)?;
            self.tables()?.know(other, self.options.people)?;
        }
        Ok(self.note(place))
    }

    /// Remembers the place that `key` names.
    fn note(&mut self, place: Place) -> usize {
        self.index.insert(self.key.as_str().into(), self.places.len());
        self.places.push(Known { place, dirty: false, untrimmed: 0 });
        self.places.len() - 1
    }

    fn forget_places(&mut self) {
        self.places.clear();
        self.index.clear();
        self.dirty.clear();
    }

    /// The head of this one is to be written.
    fn spoil(&mut self, at: usize) {
        self.wrote = true;
        if !self.places[at].dirty {
            self.places[at].dirty = true;
            self.dirty.push(at);
        }
    }

    /// Notes what a room is; the first time it is told, that stands.
    fn describe(&mut self, at: usize, about: Option<Description<'_>>) -> Result<()> {
        let Some(about) = about else { return Ok(()) };
        let Place { id, described, .. } = self.places[at].place;
        if !described {
            self.tables()?.describe(id, &about)?;
            self.places[at].place.described = true;
            self.wrote = true;
            return Ok(());
        }
        let card = self.tables()?.card(id)?;
        if card.description() != about {
            let keeps = self.places[at].place.kept() > 0;
            self.batch.push(&News::Room { description: card.description(), keeps });
        }
        Ok(())
    }

    /// Ends the life of the conversation that was just looked for.
    fn end(&mut self, at: usize) -> Result<()> {
        let id = self.places[at].place.id;
        self.tables()?.end(id)?;
        self.index.remove(self.key.as_str());
        self.places[at].dirty = false;
        self.dirty.retain(|&other| other != at);
        self.wrote = true;
        Ok(())
    }

    /// Lets go of what is too old in one conversation, a bounded piece of work.
    fn expire_one(&mut self, at: usize, conversation: Conversation<'_>, now: Moment) -> Result<()> {
        let mut place = self.places[at].place.clone();
        let gone = self.age(&mut place, now, MAX_DROPPED_AT_ONCE)?;
        if gone > 0 {
            self.places[at].place = place;
            self.places[at].untrimmed += gone;
            self.spoil(at);
            self.note_emptied(at, conversation);
        }
        Ok(())
    }

    /// Leaves out what is too old or too much; returns how many messages that were.
    fn age(&self, place: &mut Place, now: Moment, most: u64) -> Result<u64> {
        let before = place.first;
        let messages = u64::try_from(self.options.messages).unwrap_or(u64::MAX);
        place.first += place.kept().saturating_sub(messages).min(most);
        while place.kept() > 0 && place.first - before < most {
            let said_at = self.tables()?.said_at(place.id, place.first)?;
            let old = |said_at: u64| Duration::from_millis(now.unix_ms.saturating_sub(said_at)) > self.options.age;
            if !said_at.is_none_or(old) {
                break;
            }
            place.first += 1;
        }
        Ok(place.first - before)
    }

    fn note_emptied(&mut self, at: usize, conversation: Conversation<'_>) {
        if let Conversation::Room(room) = conversation
            && self.places[at].place.kept() == 0
        {
            self.batch.push(&News::Emptied { room });
        }
    }

    /// Writes what has changed of conversations, and deletes some of what is not kept.
    fn write_heads(&mut self, all: bool) -> Result<()> {
        while let Some(at) = self.dirty.pop() {
            let known = &mut self.places[at];
            known.dirty = false;
            let trim = known.untrimmed >= TRIMMED_TOGETHER || all && known.untrimmed > 0;
            if trim {
                known.untrimmed = 0;
            }
            let place = &self.places[at].place;
            let tables = self.tables()?;
            tables.set_head(place)?;
            if trim {
                tables.trim(place, MAX_DELETED_AT_ONCE)?;
            }
        }
        Ok(())
    }

    /// One step of a walk over all conversations: lets go of what is too old. Returns whether anything is kept still.
    fn sweep(&mut self, now: Moment) -> Result<bool> {
        self.begin()?;
        self.file_bytes = file::bytes(&self.claim.path);
        self.write_heads(true)?;
        let mut most = MAX_DROPPED_AT_ONCE;
        let next = self.tables()?.conversations_after(self.swept, MAX_SWEPT_AT_ONCE)?;
        self.swept = if next.len() < MAX_SWEPT_AT_ONCE { 0 } else { next.last().map_or(0, |(place, ..)| place.id) };
        for (place, name, other) in next {
            if most == 0 {
                self.swept = place.id - 1;
                break;
            }
            most -= self.sweep_one(place, &name, &other, now, most)?;
        }
        let mut deleted = MAX_DELETED_AT_ONCE;
        while deleted > 0 {
            match self.tables()?.delete_ended(deleted)? {
                0 => break,
                some => (deleted, self.wrote) = (deleted.saturating_sub(some), true),
            }
        }
        Ok(self.tables()?.holds()?)
    }

    /// Returns how much of the work that may be done it was.
    fn sweep_one(&mut self, place: Place, name: &str, other: &str, now: Moment, most: u64) -> Result<u64> {
        let mut place = place;
        let gone = self.age(&mut place, now, most)?;
        let room = other.is_empty();
        if !room && place.kept() == 0 {
            self.tables()?.end(place.id)?;
            self.nothing = Epoch(self.random.draw());
            self.tables()?.set_nothing(self.nothing)?;
            self.key.clear();
            self.key.extend([name, "\0", other]);
            self.index.remove(self.key.as_str());
            self.wrote = true;
            return Ok(gone + 1);
        }
        let deleted = self.tables()?.trim(&place, usize::try_from(most).unwrap_or(usize::MAX))?;
        self.wrote |= deleted > 0;
        if gone > 0 {
            self.tables()?.set_head(&place)?;
            self.wrote = true;
            self.key.clear();
            self.key.extend([name, "\0", other]);
            if let Some(&at) = self.index.get(self.key.as_str()) {
                self.places[at].place.first = place.first;
            }
            if room && place.kept() == 0 {
                self.batch.push(&News::Emptied { room: name });
            }
        }
        Ok((gone + deleted as u64).min(most))
    }

    /// Commits the batch, and has what it has to say be told; or has all of it fail.
    fn end_batch(&mut self) {
        let ended = match self.error.take() {
            Some(error) => Err((error, false)),
            None if self.open => self.commit(),
            None => Ok(()),
        };
        self.settle(ended);
    }

    /// An error says whether it came of the commit itself.
    fn commit(&mut self) -> std::result::Result<(), (Trouble, bool)> {
        let written = self.write_heads(false).and_then(|()| match self.wrote {
            true => Ok(self.tables()?.number_batch(self.batches + 1)?),
            false => Ok(()),
        });
        written.map_err(|trouble| (trouble, false))?;
        self.tables().and_then(|tables| Ok(tables.commit()?)).map_err(|trouble| (trouble, true))
    }

    /// The batch is over.
    fn settle(&mut self, ended: std::result::Result<(), (Trouble, bool)>) {
        match ended {
            Ok(()) => {
                self.batches += i64::from(self.wrote);
                if self.open && self.ailing {
                    log::info!("{}: messages are kept again", self.claim.path.display());
                    self.ailing = false;
                }
                self.told = 0;
                std::mem::swap(&mut self.said, &mut self.batch);
            }
            Err((trouble, in_commit)) => self.fail(&trouble, in_commit),
        }
        self.batch.clear();
        self.tickets.clear();
        (self.open, self.wrote) = (false, false);
    }

    /// Nothing of the batch has come about, or nobody knows.
    fn fail(&mut self, trouble: &Trouble, in_commit: bool) {
        if !self.ailing {
            log::error!("{}: messages cannot be kept, so that none is taken: {trouble}", self.claim.path.display());
            self.ailing = true;
        }
        let rolled_back = self.tables.as_ref().is_none_or(|tables| tables.roll_back().is_ok());
        let nothing = self.tables.as_ref().and_then(|tables| tables.last().ok()).map(|last| last.nothing);
        self.forget_places();
        match nothing {
            Some(nothing) if rolled_back && trouble.code() == Some(ErrorCode::DiskFull) => {
                self.nothing = nothing;
            }
            _ => {
                self.tables = None;
                if in_commit && self.wrote {
                    self.doubt = Some((self.batches + 1, std::mem::take(&mut self.batch)));
                }
            }
        }
        for &ticket in &self.tickets {
            self.said.push(&News::Failed { ticket });
        }
    }

    /// Has the next rooms and people be told of all there are.
    fn tell_more(&mut self) -> Result<()> {
        let Some(mut catalogue) = self.catalogue.take() else { return Ok(()) };
        let told = self.tell_piece(&mut catalogue);
        // What could not be read is tried again with the next one.
        if self.said.len() > 0 || told.is_err() {
            self.catalogue = Some(catalogue);
        }
        told
    }

    fn tell_piece(&mut self, catalogue: &mut Catalogue) -> Result<()> {
        if self.tables.is_none() {
            self.reopen()?;
        }
        if !catalogue.rooms_told {
            let cards = self.tables()?.rooms_after(catalogue.room, TOLD_AT_ONCE)?;
            catalogue.rooms_told = cards.len() < TOLD_AT_ONCE;
            for card in &cards {
                catalogue.room = card.id;
                self.said.push(&News::Room { description: card.description(), keeps: card.keeps });
            }
        }
        if catalogue.rooms_told {
            for (id, name) in self.tables()?.people_after(catalogue.person, TOLD_AT_ONCE)? {
                catalogue.person = id;
                self.said.push(&News::User { name: &name });
            }
        }
        Ok(())
    }

    /// Notes that all is on the disk, and moves the log into the file.
    fn end_well(&mut self) -> Result<()> {
        self.end_batch();
        let tables = self.tables()?;
        tables.synchronize(true)?;
        tables.note_clean_end()?;
        Ok(tables.checkpoint()?)
    }
}

impl Backend for Sqlite {
    fn ask(&mut self, request: Request<'_>) -> std::result::Result<(), Overloaded> {
        if self.tickets.len() >= MAX_BATCH || self.batch.bytes() >= MAX_BATCH_BYTES {
            return Err(Overloaded);
        }
        self.tickets.extend(request.ticket());
        if self.error.is_none() {
            self.error = self.carry_out(request).err();
        }
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        self.catalogue = Some(Catalogue::default());
    }

    fn poll(&mut self) -> Option<News<'_>> {
        if self.told == self.said.len() {
            self.said.clear();
            self.told = 0;
            if self.open || self.error.is_some() {
                self.end_batch();
            }
            if self.said.len() == 0
                && let Err(error) = self.tell_more()
            {
                self.fail(&error, false);
            }
        }
        let news = self.said.get(self.told)?;
        self.told += 1;
        Some(news)
    }

    fn is_idle(&self) -> bool {
        let waits = self.open || self.error.is_some() || self.catalogue.is_some();
        !waits && self.told == self.said.len()
    }

    fn expire(&mut self, now: Moment) -> bool {
        if self.error.is_some() {
            return true;
        }
        self.sweep(now).unwrap_or_else(|error| {
            self.error = Some(error);
            true
        })
    }

    fn held_bytes(&self) -> usize {
        let places = self.places.capacity() * size_of::<Known>() + self.index.capacity() * PLACE_BYTES;
        let lists = self.batch.held_bytes() + self.said.held_bytes();
        let pages = self.file_bytes.min(tables::PAGE_CACHE_KIB.unsigned_abs() << 10);
        places + lists + usize::try_from(pages).unwrap_or(usize::MAX)
    }

    fn bounds_itself(&self) -> bool {
        // By number and age. What there is of a room that no chat has in its list costs the disk, and no memory.
        true
    }

    fn keeps(&self) -> bool {
        self.options.messages > 0
    }

    fn durability(&self) -> &'static str {
        self.options.durability.word()
    }

    fn about(&self) -> String {
        self.about.clone()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if let Err(error) = self.end_well() {
            log::warn!("{}: it is not ended well ({error}); the next start sees to it", self.claim.path.display());
        }
    }
}

/// Looks whether there is a store, or can be one, and reads it from end to end; changes nothing. Returns what there
/// is, in one line.
///
/// # Errors
/// One sentence that says what to do.
pub fn check(path: &Path) -> std::result::Result<String, String> {
    if file::look(path)? == Found::Nothing {
        file::can_be_made(path)?;
        return Ok(format!("{}: there is none yet; it will be made", path.display()));
    }
    if let Some(sentence) = file::user(path) {
        return Err(sentence);
    }
    let sentence = |error| Trouble::Sql(error).sentence(path);
    let tables = Tables::open(path, true).map_err(sentence)?;
    if let Some(fault) = tables.fault().map_err(sentence)? {
        return Err(file::damaged(path, &fault));
    }
    Ok(contents(path, tables.counts().map_err(sentence)?))
}

/// Why a file cannot be used.
#[derive(Debug)]
enum Trouble {
    Sql(rusqlite::Error),
    /// In one sentence.
    Said(String),
}

type Result<T> = std::result::Result<T, Trouble>;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Said(sentence) => f.write_str(sentence),
        }
    }
}

impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Self::Said(sentence)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Trouble {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::Said(_) => None,
        }
    }

    fn sentence(&self, path: &Path) -> String {
        match self {
            Self::Said(sentence) => sentence.clone(),
            Self::Sql(error) => match self.code() {
                Some(
                    ErrorCode::DiskFull
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::SystemIoFailure,
                ) => file::cannot_open(path, error),
                _ => file::damaged(path, error),
            },
        }
    }
}

/// The names of a conversation as the file has them: of two people the smaller first, of a room with nothing behind
/// it.
fn names(conversation: Conversation<'_>) -> (&str, &str) {
    match conversation {
        Conversation::Room(name) => (name, ""),
        Conversation::Direct(one, other) => (one.min(other), one.max(other)),
    }
}

fn in_order(conversation: Conversation<'_>) -> Conversation<'_> {
    match conversation {
        Conversation::Room(_) => conversation,
        Conversation::Direct(one, other) => Conversation::Direct(one.min(other), one.max(other)),
    }
}

fn contents(path: &Path, counts: tables::Counts) -> String {
    let tables::Counts { messages, rooms, pairs } = counts;
    let bytes = Size(file::bytes(path));
    format!("{}: {messages} messages in {rooms} rooms and {pairs} direct conversations, {bytes}", path.display())
}

fn about(path: &Path, counts: tables::Counts, options: &Options) -> String {
    let size = if options.size == u64::MAX { String::new() } else { format!(" of at most {}", Size(options.size)) };
    let most = match options.messages {
        usize::MAX => String::new(),
        most => format!("; of each {most} are kept"),
    };
    format!("in {}{size}{most}", contents(path, counts))
}

/// Bytes, as people read them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 1 << 20 => write!(f, "{} KiB", bytes.div_ceil(1 << 10)),
            bytes if bytes < 1 << 30 => write!(f, "{} MiB", bytes >> 20),
            bytes => write!(f, "{}.{} GiB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024),
        }
    }
}

/// Requests with outcomes of one batch, and bytes of what it has to say, beside one page that crosses these; then it
/// is committed.
const MAX_BATCH: usize = 4096;
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Conversations whose heads are remembered, beside those of one batch.
const MAX_PLACES: usize = 4096;

/// What the index takes for one, about: its name, and where it is.
const PLACE_BYTES: usize = 64;

/// Rooms and people told at once of all there are.
const TOLD_AT_ONCE: usize = 512;

/// Conversations looked at in one call of [`Backend::expire`], messages found too old in it, and entries deleted.
const MAX_SWEPT_AT_ONCE: usize = 1024;
const MAX_DROPPED_AT_ONCE: u64 = 1024;
const MAX_DELETED_AT_ONCE: usize = 4096;

/// Messages of a conversation that are not kept any more when they are deleted together: one at a time would have each
/// message that comes write the page of one that goes.
const TRIMMED_TOGETHER: u64 = 64;

/// Files of up to this size are read from end to end at the start. Of a larger one `salon check` does that.
const CHECKED_BYTES: u64 = 16 << 20;
