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
//! request is taken. History stays readable, and its numbers go on. A process that opens the file anew, after an error,
//! knows the number of its last batch: epochs are new if that is not in the file, and the chat is told
//! ([`News::Renewed`]).
//!
//! # What it does not do
//!
//! It does not hide what was said: text is in the file as it was written. What is deleted is overwritten there at once,
//! and in the log beside it with the next sweep. It does not mend a damaged file: `damage` goes around what cannot be
//! read.

mod appending;
mod bans;
mod batch;
mod catalogue;
mod clock;
mod damage;
pub mod dump;
mod entries;
mod file;
mod folding;
mod index;
mod marks;
mod opening;
mod overwritten;
mod people;
mod places;
mod purging;
mod read_only;
mod reading;
mod refolding;
mod requests;
mod retention;
mod retries;
mod room_settings;
mod schema;
mod search;
mod sentences;
mod size;
mod stamp;
mod tables;
mod talks;
#[cfg(test)]
pub(crate) mod tests;
mod trail;
mod trouble;
mod upkeep;
mod wal;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::carried::{Reports, Requests};
use super::named::Named;
use super::room_limits::Limited;
use super::{
    Backend, Body, Conversation, Description, Entry, Epoch, Head, Health, Hit, MAX_BANS, MAX_SET, MAX_UNREAD, Message,
    Names, NewBody, NewEntry, News, Overloaded, Query, Reader, Reading, Request, RetryKey, RoomLimits, Scope, Search,
    Talk, Ticket, Verdict, Waker, Why, judge,
};
use crate::random::Random;
use crate::time::Moment;

use clock::Clock;
use file::{Claim, Found};
pub use file::{boot_id, end_beside};
use index::Gathered;
use opening::Log;
use overwritten::Own;
use purging::{Allowance, Purge};
pub use read_only::ReadOnly;
use reading::{Counted, Many};
use retries::Retries;
use tables::{Last, Place, Tables};
use trouble::{Result, Trouble};
pub use upkeep::{Copied, backup, check, compact, read_through, settings_of_rooms};

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
    /// Of rooms by name, in place of these two.
    pub rooms: RoomLimits,
    /// Bytes of the file; near these the oldest messages of all go.
    pub size: u64,
    /// People who are remembered; of more, those who left longest ago are forgotten, and none who is here.
    pub people: usize,
    /// The budget of memory of the whole server, in bytes, of which what is remembered for retries takes a share;
    /// `None`: there is none.
    pub memory: Option<usize>,
    /// What tells one start of the machine from another ([`boot_id`]); `None`: nobody knows.
    pub boot: Option<String>,
}

/// The backend.
///
/// Invariant: between batches `dirty` is empty, and `places` are as the file has them.
#[derive(Debug)]
pub struct Sqlite {
    options: Options,
    /// `None`: the connection was given up.
    tables: Option<Tables>,
    /// Behind the connection, whose locks end with the descriptor that this has.
    claim: Claim,
    random: Random,
    /// The epoch of what two people said who have said nothing, as it is in the file.
    nothing: Epoch,
    /// Batches committed so far, and the last key that was given to an entry.
    batches: i64,
    entry: i64,
    /// The last key that is in the index, what is being taken in, the part of it that is looked through, and how many
    /// others may be.
    indexed: i64,
    gathered: Option<Gathered>,
    /// Texts are in it by words that were folded in another way.
    refolds: bool,
    purge: Option<Purge>,
    purges: usize,
    allowance: Allowance,
    /// Conversations that have been looked at lately.
    places: Vec<Known>,
    index: Named<usize>,
    dirty: Vec<usize>,
    /// `None`: they are to be read from the file.
    retries: Option<Retries>,
    key: String,
    /// The transaction is open.
    open: bool,
    /// It has changed something.
    wrote: bool,
    /// Rows that it has cost beside those of each request.
    work: usize,
    /// It ends because of that, and more of the same may follow.
    is_cut: bool,
    counted: Counted,
    /// Why nothing of the batch can be.
    error: Option<Trouble>,
    tickets: Vec<Ticket>,
    /// What was asked in it, to be done again without what needs a damaged page.
    asked: Requests,
    batch: Reports,
    /// People who were to be noted in batches that have failed.
    unnoted: BTreeMap<Box<str>, bool>,
    /// A batch that may be in the file though its commit failed, and what is to be told then.
    doubt: Option<(i64, Reports)>,
    said: Reports,
    told: usize,
    catalogue: Option<Catalogue>,
    /// The bans as they were read when the file was opened, until they are told: a page that cannot be read any more
    /// lets nobody in.
    bans: Option<VecDeque<bans::Kept>>,
    /// What is set for rooms, likewise.
    set: Option<Vec<(String, String)>>,
    swept: i64,
    /// By which it tells how old something is.
    clock: Clock,
    /// The conversation that a sweep is at.
    sweeping: Option<retention::At>,
    /// How many conversations it looks at next.
    walks: usize,
    /// What makes room goes on behind this key, so many entries at once.
    oldest: (i64, usize),
    /// A change of a message leaves the index as it is.
    leaves_index: bool,
    /// The walk goes on when nobody waits: it had begun at that time.
    sweeps_on: Option<Moment>,
    ailing: bool,
    /// It has been said that the file will be full.
    full: bool,
    /// The last time that there was nothing to do, more work was left for the next one.
    rests: bool,
    /// The file is too large still.
    lacks_room: bool,
    /// Since it was last looked how much room there is amid a batch.
    unweighed: usize,
    /// It has been said that some of the file cannot be read.
    damaged: bool,
    /// A text has been taken out of the file that its log may have, and that is to be seen to now.
    has_old_text: bool,
    clears_log: bool,
    waker: Waker,
    health: Health,
    /// Its log is long, which has been said.
    held_up: bool,
    /// Behind the connection as well.
    own: Own,
    /// What the last batch has left to the next one: an epoch for those who have said nothing, and the last keys.
    committed: (Epoch, i64, i64),
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
    /// From where on there is much to read, if that has been counted.
    many: Option<Many>,
    /// How much is kept of it, if it is a room.
    limited: Limited,
}

/// The file, opened.
struct Connected {
    tables: Tables,
    last: Last,
    /// None where a process goes on, which has told them.
    bans: VecDeque<bans::Kept>,
    /// Likewise.
    set: Vec<(String, String)>,
    /// Every conversation goes on in another epoch than before.
    renewed: bool,
}

/// Rooms, people and bans up to these have been told.
#[derive(Debug)]
struct Catalogue {
    /// How many are told at once.
    most: usize,
    banned: String,
    bans_told: bool,
    set_told: bool,
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
        opening::is_by_this_name(&options.path)?;
        let mut claim = Claim::take(&options.path)?;
        let opened = Self::connect(&options, &mut claim, &mut random, None);
        let Connected { tables, last, bans, set, .. } = opened.map_err(|trouble| trouble.sentence(&claim.path))?;
        let about = tables.counts().map(|counts| about(&claim.path, counts, &options));
        let about = about.map_err(|error| Trouble::Sql(error).sentence(&claim.path))?;
        let time = claim.time.map_or_else(|| tables.newest_time(), |known| Ok(Some(known)));
        // What cannot be read is said by those who read it.
        let clock = Clock::new(time.unwrap_or_default());
        let own =
            Own::of(&claim.path, claim.moved.is_some(), last.inode).map_err(|trouble| trouble.sentence(&claim.path))?;
        let mut store = Self {
            own,
            committed: (last.nothing, last.entry, last.indexed),
            claim,
            tables: Some(tables),
            random,
            nothing: last.nothing,
            batches: last.batch,
            entry: last.entry,
            indexed: last.indexed,
            gathered: None,
            refolds: false,
            purge: None,
            purges: 0,
            allowance: Allowance::default(),
            places: Vec::new(),
            index: Named::default(),
            dirty: Vec::new(),
            retries: None,
            key: String::new(),
            open: false,
            wrote: false,
            work: 0,
            is_cut: false,
            counted: Counted::default(),
            error: None,
            tickets: Vec::new(),
            asked: Requests::default(),
            batch: Reports::default(),
            unnoted: BTreeMap::new(),
            doubt: None,
            said: Reports::default(),
            told: 0,
            catalogue: None,
            bans: Some(bans),
            set: Some(set),
            swept: 0,
            clock,
            sweeping: None,
            walks: MAX_SWEPT_AT_ONCE,
            oldest: (0, size::MAX_DROPPED_TOGETHER),
            leaves_index: false,
            sweeps_on: None,
            ailing: false,
            full: false,
            rests: false,
            lacks_room: false,
            unweighed: 0,
            damaged: false,
            has_old_text: true,
            clears_log: false,
            waker: Waker::new(|| ()),
            health: Health::default(),
            held_up: false,
            file_bytes: file::bytes(&options.path),
            about,
            options,
        };
        store.begin_refolding();
        Ok(store)
    }

    /// Has it do by and by what is better not done while somebody waits: each time that it has no more to say and work
    /// is left, it calls the waker, and does a piece of it if nothing is asked before it is polled again.
    pub fn with_waker(mut self, waker: Waker) -> Self {
        self.waker = waker;
        self
    }

    /// Opens the file and notes its use: epochs are new if numbers may have been lost. `batches`: a process goes on,
    /// which has committed so many.
    ///
    /// All that a file of an earlier version needs, and new epochs, are one transaction with that note: what ends a
    /// start amid it leaves the file as it was.
    fn connect(options: &Options, claim: &mut Claim, random: &mut Random, batches: Option<i64>) -> Result<Connected> {
        let cannot_open = |path: &Path, error: &dyn fmt::Display| Trouble::Said(sentences::cannot_open(path, error));
        let new = claim.look().map_err(Trouble::Said)? == Found::Nothing;
        if new {
            let nothing = Epoch(random.draw());
            claim.begin_store(|path| Ok::<_, Trouble>(opening::made(path)?.make(nothing)?))?;
        } else if let Err(error) = claim.remove_unfinished() {
            log::warn!("{}: what an upkeep that was killed has left beside it stays: {error}", claim.path.display());
        }
        let inode = claim.inode().map_err(|error| cannot_open(&claim.path, &error))?;
        claim.allow_beside().map_err(Trouble::Said)?;
        let log = match batches {
            // What it knows to be in the file the next start knows too, should this process be ended amid what follows.
            Some(batches) => {
                claim.note_batch(batches).map_err(|error| cannot_open(&claim.path, &error))?;
                Log::of_one_who_goes_on()
            }
            None if new => Log::of_one_who_goes_on(),
            None => Log::of_claimed(claim, options.boot.as_deref())?,
        };
        let tables = log.to_write(&claim.path)?;
        // What is damaged under a process that goes on fails alone.
        if !new
            && batches.is_none()
            && file::bytes(&claim.path) <= CHECKED_BYTES
            && let Some(fault) = tables.fault()?
        {
            return Err(Trouble::Said(sentences::damaged(&claim.path, &fault)));
        }
        let version = tables.version()?;
        if !(1..=schema::VERSION).contains(&version) {
            return Err(Trouble::Said(sentences::newer(&claim.path, version)));
        }
        // In the first one there were none.
        let bans = match batches {
            None if version > 1 => tables
                .bans_after("", MAX_BANS + 1)
                .map_err(|error| Trouble::Said(sentences::without_bans(&claim.path, &error)))?,
            _ => Vec::new(),
        };
        let set = match batches {
            None if version > 6 => {
                let read = tables.set_rooms(MAX_SET + 1);
                let set = read.map_err(|error| Trouble::Said(sentences::without_set(&claim.path, &error)))?;
                room_settings::are_all(&claim.path, set)?
            }
            _ => Vec::new(),
        };
        if !tables.begin_log()? {
            return Err(cannot_open(&claim.path, &"its file system knows no memory that processes share"));
        }
        claim.sync_folder().map_err(|error| cannot_open(&claim.path, &error))?;
        if let Some(sentence) = log.sentence() {
            log::warn!("{}: {sentence}", claim.path.display());
        }
        let is_old = version < schema::VERSION;
        let sorting = is_old.then(|| tables.sort_in(claim.folder())).transpose()?;
        tables.begin_writing()?;
        // With nobody else writing to it.
        claim.write_log_anew().map_err(|error| cannot_open(&claim.path, &error))?;
        if is_old {
            let (path, now) = (claim.path.display(), schema::VERSION);
            log::info!("{path}: its tables are of version {version} and become those of {now}; that takes a while");
            tables.migrate(version)?;
        }
        let mut last = tables.last()?;
        // Each key is one that no entry has, whatever is noted. Where that cannot be read nothing can be added either.
        let newest = tables.newest_key().unwrap_or_default();
        last.entry = last.entry.max(newest.unwrap_or_default());
        // One that was copied into its place has its inode, and has not what is known to have been in it.
        let is_older =
            batches.is_none() && log.is_whole() && claim.noted.max(claim.moved).is_some_and(|noted| last.batch < noted);
        let original = new || last.inode == inode && !is_older;
        let same_boot = last.boot.is_some() && last.boot == options.boot;
        // The machine has not stopped under a process that goes on, so that the batches tell what is missing.
        let whole = original
            && match batches {
                Some(batches) => last.batch >= batches,
                None => log.is_whole() && (last.clean || last.power || same_boot),
            };
        if !whole {
            last.nothing = Epoch(random.draw());
            tables.renew_epochs(last.nothing)?;
        }
        if batches.is_none()
            && let Err(error) = tables.in_part(Tables::all_have_left)
        {
            // People are told, and forgotten, in an order that is older; what else is wrong shows at the commit.
            log::debug!("{}: it is not noted who left last: {error}", claim.path.display());
        }
        // Each use has a number of its own, by which a copy of what the file was before that is known. A process that
        // goes on is in the same one: whether a batch of it is in the file is told by the next number.
        last.batch += i64::from(batches.is_none());
        tables.note_use(options.boot.as_deref(), inode, options.durability.word(), last.batch)?;
        tables.commit()?;
        drop(sorting);
        if is_old {
            log::info!("{}: its tables are of version {} now", claim.path.display(), schema::VERSION);
        }
        let is_noted = tables.checkpoint()?;
        // Somebody reads the file. Were its log lost now, it would be taken for one whose last use was another one;
        // what was said in that has an epoch of its own then.
        let may_be_mistaken = !is_noted
            && log
                .alone
                .is_some_and(|alone| alone.ended_in_order || alone.power && options.durability == Durability::Process);
        if whole && may_be_mistaken {
            last.nothing = Epoch(random.draw());
            tables.begin()?;
            tables.renew_epochs(last.nothing)?;
            tables.commit()?;
        }
        claim.moved = is_noted.then_some(last.batch);
        if let Err(error) = claim.note_batch(last.batch) {
            log::debug!("{}: it is not noted beside it how much is in it: {error}", claim.path.display());
        }
        tables.synchronize(options.durability == Durability::Power)?;
        let renewed = !whole || may_be_mistaken;
        if renewed {
            let why = match original {
                _ if whole => "somebody reads it, so that it does not say yet that it is used",
                false if is_older => "what was used here last had more in it, so that it is a copy from before that",
                false => "it is a copy",
                true if batches.is_none() && log.is_whole() => "the machine has stopped since it was used",
                true => "what was written last is not in it any more",
            };
            log::warn!("{}: {why}, so every conversation goes on in a new epoch", claim.path.display());
        }
        Ok(Connected { tables, last, bans: bans.into(), set, renewed })
    }
}

impl Backend for Sqlite {
    fn ask(&mut self, request: Request<'_>) -> std::result::Result<(), Overloaded> {
        let is_full = self.tickets.len() >= MAX_BATCH || self.batch.bytes() >= MAX_BATCH_BYTES;
        if is_full || self.work >= MAX_BATCH_WORK {
            self.is_cut = true;
            return Err(Overloaded);
        }
        self.rests = false;
        self.tickets.extend(request.ticket());
        self.asked.push(request);
        if self.error.is_none() {
            let before = self.batch.bytes();
            let done = self.carry_out(request);
            self.error = done.and_then(|()| self.make_room_amid(self.batch.bytes().saturating_sub(before))).err();
        }
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        let (room, person, banned) = (0, people::NEVER, String::new());
        let (most, bans_told, set_told, rooms_told) = (TOLD_AT_ONCE, false, false, false);
        self.catalogue = Some(Catalogue { most, banned, bans_told, set_told, room, rooms_told, person });
    }

    fn poll(&mut self) -> Option<News<'_>> {
        if self.told == self.said.len() {
            self.said.clear();
            self.told = 0;
            if self.open || self.error.is_some() {
                self.end_batch();
                if self.lacks_room && self.damaged && !self.ailing {
                    // Apart from what is asked, and not only when nobody asks.
                    self.work_beside(Self::do_piece);
                }
            }
            while self.said.len() == 0
                && let Err(trouble) = self.tell_more()
            {
                let trouble = self.reason(trouble);
                let goes_on = trouble.is_of_a_page() && {
                    self.note_damage(&trouble);
                    self.go_around_in_catalogue()
                };
                if !goes_on {
                    self.fail(&trouble, false);
                    break;
                }
            }
            if self.said.len() == 0 {
                self.rest();
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
        match self.sweep(now).map_err(|trouble| self.reason(trouble)) {
            Ok(more) => more,
            Err(trouble) if trouble.is_of_a_page() && self.asked.len() == 0 => {
                self.give_up_piece(&trouble);
                true
            }
            Err(error) => {
                self.error = Some(error);
                true
            }
        }
    }

    fn held_bytes(&self) -> usize {
        let places = self.places.capacity() * size_of::<Known>() + self.index.held_bytes();
        let lists = self.batch.held_bytes() + self.said.held_bytes() + self.asked.held_bytes();
        let retries = self.retries.as_ref().map_or(0, Retries::held_bytes);
        let pages = self.file_bytes.min(tables::PAGE_CACHE_KIB.unsigned_abs() << 10);
        let gathered = self.gathered.as_ref().map_or(0, Gathered::held_bytes);
        places + lists + retries + gathered + usize::try_from(pages).unwrap_or(usize::MAX)
    }

    fn bounds_itself(&self) -> bool {
        // By number and age. What there is of a room that no chat has in its list costs the disk, and no memory.
        true
    }

    fn health(&self) -> Option<Health> {
        let limit = Some(self.options.size).filter(|&size| size != u64::MAX);
        Some(Health { file_bytes: self.file_bytes, file_limit: limit, ..self.health.clone() })
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
        if self.tables.is_none() && !self.ailing {
            // It has been closed.
            return;
        }
        if let Err(error) = self.end_well() {
            log::warn!("{}: it is not ended well ({error}); the next start sees to it", self.claim.path.display());
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

/// Rows that the requests of a batch may cost which cost many, beside those of one that crosses this.
const MAX_BATCH_WORK: usize = 16_384;

/// Conversations whose heads are remembered, beside those of one batch.
const MAX_PLACES: usize = 4096;

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
