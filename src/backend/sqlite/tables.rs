//! The statements of a store in one file: a connection, and a verb for each thing that is done to its tables. What
//! they mean to each other, and when a transaction ends, is for [`super::Sqlite`].

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::backend::{Description, Epoch};

use super::clock::Known;
use super::marks::Marks;
use super::schema;

/// A connection. It ends without a checkpoint, so that a file that is looked at is left as it was.
#[derive(Debug)]
pub struct Tables {
    pub(super) connection: Connection,
    /// Pages of the log, as of the last commit.
    log_pages: Arc<AtomicI64>,
    /// So much is gone of a part of the index that it is to be seen to.
    pub(super) is_worn: Cell<bool>,
    /// Entries that have gone and that nobody has counted yet.
    pub(super) gone: Cell<usize>,
    /// What is known of how many marks there are.
    pub(super) marks: RefCell<Marks>,
    /// How many people there are, if that was counted.
    pub(super) people: Cell<Option<usize>>,
}

/// What the file says of its last use.
#[derive(Debug)]
pub struct Last {
    pub boot: Option<String>,
    pub inode: u64,
    pub clean: bool,
    pub power: bool,
    pub nothing: Epoch,
    pub batch: i64,
    /// The last key of an entry, and the last one in the index.
    pub entry: i64,
    pub indexed: i64,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Place {
    pub id: i64,
    pub epoch: Epoch,
    /// The last number given out, and the smallest that is kept: one more if nothing is.
    pub seq: u64,
    pub first: u64,
    /// The number of the newest message, also if it is not kept any more; 0: there was none.
    pub message: u64,
    /// Of two people: the key of that message, and when it was said.
    pub last: i64,
    pub said: u64,
    /// Whether two people are in it.
    pub direct: bool,
    /// Whether it is noted what the room is.
    pub described: bool,
}

/// What a room is.
#[derive(Debug, Default, PartialEq)]
pub struct Card {
    pub id: i64,
    pub room: String,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub created_at: u64,
    pub created: bool,
    pub keeps: bool,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub messages: u64,
    pub rooms: u64,
    pub pairs: u64,
}

impl Place {
    /// How many messages are kept.
    pub fn kept(&self) -> u64 {
        self.seq + 1 - self.first
    }
}

impl Card {
    /// The same, lent.
    pub fn description(&self) -> Description<'_> {
        Description {
            room: &self.room,
            title: self.title.as_deref(),
            topic: self.topic.as_deref(),
            created_at: self.created_at,
            created: self.created,
        }
    }
}

/// Until it is dropped, what is sorted lies in files.
#[derive(Debug)]
pub struct Sorting<'a> {
    tables: &'a Tables,
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl Drop for Sorting<'_> {
    fn drop(&mut self) {
        let tables = self.tables;
        // If one is open still, it has failed.
        let ended = tables.roll_back().and_then(|()| tables.connection.execute_batch(schema::CONNECTION));
        let ended = ended.and_then(|()| tables.connection.pragma_update(None, "temp_store_directory", ""));
        if let Err(error) = ended {
            log::debug!("temporary files lie where they lay: {error}");
        }
    }
}

impl Tables {
    /// Of a connection to a file that is there.
    pub fn of(mut connection: Connection) -> Result<Self> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.busy_timeout(BUSY_WITHIN)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
        let log_pages = Arc::new(AtomicI64::new(0));
        let noted = log_pages.clone();
        // Instead of SQLite's own, which moves the log into the file too, and says nothing if that fails.
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            noted.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            connection,
            log_pages,
            is_worn: Cell::new(false),
            gone: Cell::new(0),
            marks: RefCell::default(),
            people: Cell::default(),
        })
    }

    /// Less of it in memory than usual.
    pub fn limit_cache(&self, kib: i64) -> Result<()> {
        self.connection.pragma_update(None, "cache_size", -kib)
    }

    /// Makes the tables in an empty file. Until that is done the file is empty.
    pub fn make(&self, nothing: Epoch) -> Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.connection.execute_batch(schema::TABLES)?;
        self.connection.execute_batch(schema::SINCE_2)?;
        self.connection.execute_batch(schema::SINCE_3)?;
        self.connection.execute_batch(schema::SINCE_4)?;
        self.connection.execute_batch(schema::SINCE_5)?;
        self.connection.execute_batch(schema::SINCE_7)?;
        self.note_refolds(None)?;
        self.connection.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        self.connection.pragma_update(None, "user_version", schema::VERSION)?;
        self.connection.execute(
            "INSERT INTO store (one, boot, inode, clean, durability, unsaid, batch) \
             VALUES (1, NULL, 0, 1, 'power', ?1, 0)",
            [nothing.0.cast_signed()],
        )?;
        self.connection.execute_batch("COMMIT")
    }

    /// Nothing is taken back or outlives the end of the process until all of it is on the disk: for a file that is of
    /// no use before.
    pub fn forgo_journal(&self) -> Result<()> {
        self.connection.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
        self.connection.pragma_update(None, "synchronous", "OFF")
    }

    /// Has what is sorted lie in temporary files in this folder, which have no name there, until what this returns is
    /// dropped: it may be much more than memory should have. Both are done between two transactions.
    pub fn sort_in(&self, folder: &Path) -> Result<Sorting<'_>> {
        // The folder for such files is one for all of the process, and nothing else in it makes any.
        static FOLDER: Mutex<()> = Mutex::new(());
        let _one_at_a_time = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
        let sorting = Sorting { tables: self, _one_at_a_time };
        // Where SQLite cannot name it, memory has it.
        if let Some(folder) = folder.to_str() {
            self.connection.pragma_update(None, "temp_store_directory", folder)?;
            self.connection.pragma_update(None, "temp_store", "FILE")?;
        }
        Ok(sorting)
    }

    /// Brings tables of an earlier version to this one, in the transaction that is open.
    pub fn migrate(&self, version: u32) -> Result<()> {
        if version < 2 {
            self.connection.execute_batch(schema::FROM_1)?;
            self.connection.execute_batch(schema::SINCE_2)?;
        }
        if version < 3 {
            self.connection.execute_batch(schema::FROM_2)?;
            self.connection.execute_batch(schema::SINCE_3)?;
        }
        if version < 4 {
            self.connection.execute_batch(schema::FROM_3)?;
            self.connection.execute_batch(schema::SINCE_4)?;
        }
        if version < 5 {
            self.connection.execute_batch(schema::SINCE_5)?;
        }
        if version < 6 {
            self.connection.execute_batch(schema::FROM_5)?;
        }
        self.connection.execute_batch(schema::SINCE_7)?;
        self.connection.pragma_update(None, "user_version", schema::VERSION)
    }

    /// Has commits go to a log beside the file (WAL), and each be on the disk when it is done. `false`: that cannot be
    /// had there.
    pub fn begin_log(&self) -> Result<bool> {
        let mode: String = self.connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        self.connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        self.synchronize(true)?;
        Ok(mode == "wal")
    }

    /// Whether a commit is on the disk when it is done, or has been handed to the kernel.
    pub fn synchronize(&self, each_commit: bool) -> Result<()> {
        self.connection.pragma_update(None, "synchronous", if each_commit { "FULL" } else { "NORMAL" })
    }

    /// Moves all of the log into the file, and both to the disk. `false`: somebody who reads holds it up, and a part is
    /// left.
    pub fn checkpoint(&self) -> Result<bool> {
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        self.log_pages.store(0, Ordering::Relaxed);
        Ok(busy == 0)
    }

    /// The same, and waits for nobody.
    pub fn clear_log(&self) -> Result<bool> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let cleared = self.checkpoint();
        self.connection.busy_timeout(BUSY_WITHIN)?;
        cleared
    }

    /// Whether the log has become so long that it is to be moved, and how many pages it had at the last commit behind
    /// that.
    pub fn is_log_long(&self) -> (bool, i64) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        (pages >= LOG_PAGES, pages)
    }

    /// Moves into the file what may be moved of a long log, between two transactions; returns how many pages it has,
    /// and whether all of them are in the file. Where somebody else is moving it nothing is moved.
    pub fn shorten_log(&self) -> Result<(i64, bool)> {
        // The next commit says how long it is then.
        let before = self.log_pages.swap(0, Ordering::Relaxed);
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let (busy, pages, moved): (i64, i64, i64) =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], row)?;
        // One that could not begin says -1 of both.
        Ok(if pages < 0 { (before, false) } else { (pages, busy == 0 && pages == moved) })
    }

    /// Forgets what it has read of the file, between two transactions.
    pub fn forget_pages(&self) -> Result<()> {
        self.connection.execute_batch("PRAGMA shrink_memory")
    }

    pub fn version(&self) -> Result<u32> {
        self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))
    }

    /// What is wrong with the file, if anything is: it is read from end to end.
    pub fn fault(&self) -> Result<Option<String>> {
        let found: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        // Behind a line that names the database.
        if let Some(fault) = found.lines().last().filter(|&found| found != "ok") {
            return Ok(Some(fault.into()));
        }
        let sql = "SELECT seq FROM entry GROUP BY conversation, seq HAVING count(*) > 1 LIMIT 1";
        let twice: Option<i64> = self.connection.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(twice.map(|seq| format!("two entries of one conversation have the number {seq}")))
    }

    pub fn last(&self) -> Result<Last> {
        let sql = "SELECT boot, inode, clean, durability, unsaid, batch, last, indexed FROM store";
        self.connection.query_row(sql, [], |row| {
            Ok(Last {
                boot: row.get(0)?,
                inode: number(row, 1)?,
                clean: row.get(2)?,
                power: row.get::<_, String>(3)? == "power",
                nothing: Epoch(row.get::<_, i64>(4)?.cast_unsigned()),
                batch: row.get(5)?,
                entry: row.get(6)?,
                indexed: row.get(7)?,
            })
        })
    }

    /// The largest key of an entry, if there is one.
    pub fn newest_key(&self) -> Result<Option<i64>> {
        self.connection.query_row("SELECT max(id) FROM entry", [], |row| row.get(0))
    }

    /// Of the last use: whether a commit was on the disk when it was done, and in which start of the machine that was.
    /// In tables of any version.
    pub fn last_use(&self) -> Result<(bool, Option<String>)> {
        let sql = "SELECT durability = 'power', boot FROM store";
        self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The last batch. In tables of any version.
    pub fn batch(&self) -> Result<i64> {
        self.connection.prepare_cached("SELECT batch FROM store")?.query_row([], |row| row.get(0))
    }

    pub fn note_use(&self, boot: Option<&str>, inode: u64, durability: &str, batch: i64) -> Result<()> {
        let sql = "UPDATE store SET boot = ?1, inode = ?2, clean = 0, durability = ?3, batch = ?4";
        self.connection.execute(sql, params![boot, inode.cast_signed(), durability, batch]).map(drop)
    }

    pub fn note_clean_end(&self) -> Result<()> {
        self.connection.execute("UPDATE store SET clean = 1", []).map(drop)
    }

    /// Begins another life of every conversation, in which its numbers go on. In pieces, because SQLite holds what a
    /// statement has overwritten until that has ended.
    pub fn renew_epochs(&self, nothing: Epoch) -> Result<()> {
        let mut from = 0;
        let sql = "SELECT max(id) FROM (SELECT id FROM conversation WHERE id > ?1 ORDER BY id LIMIT ?2)";
        while let Some(last) = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![from, count(RENEWED_TOGETHER)], |row| row.get::<_, Option<i64>>(0))?
        {
            self.execute("UPDATE conversation SET epoch = random() WHERE id > ?1 AND id <= ?2", [from, last])?;
            from = last;
        }
        self.set_nothing(nothing)
    }

    pub fn set_nothing(&self, nothing: Epoch) -> Result<()> {
        self.execute("UPDATE store SET unsaid = ?1", [nothing.0.cast_signed()]).map(drop)
    }

    pub fn begin(&self) -> Result<()> {
        self.execute("BEGIN", []).map(drop)
    }

    /// Begins a transaction, and has nobody else write from here on.
    pub fn begin_writing(&self) -> Result<()> {
        self.execute("BEGIN IMMEDIATE", []).map(drop)
    }

    /// Notes which batch it is that is committed, the last key of an entry, which never goes back, and the last one in
    /// the index. `false`: the one before is not in the file.
    pub fn number_batch(&self, batch: i64, entry: i64, indexed: i64) -> Result<bool> {
        let sql = "UPDATE store SET batch = ?1, last = max(last, ?2), indexed = ?3 WHERE batch = ?1 - 1";
        self.execute(sql, [batch, entry, indexed]).map(|rows| rows > 0)
    }

    pub fn commit(&self) -> Result<()> {
        self.execute("COMMIT", []).map(drop)
    }

    /// Begins a part of a transaction, which can be taken back alone.
    pub fn begin_part(&self) -> Result<()> {
        self.execute("SAVEPOINT part", []).map(drop)
    }

    /// Does it whole, or not at all.
    pub fn in_part(&self, work: fn(&Self) -> Result<()>) -> Result<()> {
        self.begin_part()?;
        match work(self) {
            Ok(()) => self.end_part(),
            Err(error) => self.take_back_part().and(Err(error)),
        }
    }

    pub fn end_part(&self) -> Result<()> {
        self.execute("RELEASE part", []).map(drop)
    }

    pub fn take_back_part(&self) -> Result<()> {
        self.people.set(None);
        self.execute("ROLLBACK TO part", [])?;
        self.end_part()
    }

    pub fn roll_back(&self) -> Result<()> {
        self.people.set(None);
        match self.connection.is_autocommit() {
            true => Ok(()),
            false => self.connection.execute_batch("ROLLBACK"),
        }
    }

    /// The conversation of these; `other` is empty for a room.
    pub fn find(&self, name: &str, other: &str) -> Result<Option<Place>> {
        let sql = format!("SELECT {PLACE} FROM conversation WHERE name = ?1 AND other = ?2");
        self.connection.prepare_cached(&sql)?.query_row([name, other], place).optional()
    }

    pub fn add(&self, name: &str, other: &str, epoch: Epoch) -> Result<Place> {
        let sql = "INSERT INTO conversation (name, other, epoch, seq, first) VALUES (?1, ?2, ?3, 0, 1)";
        self.execute(sql, params![name, other, epoch.0.cast_signed()])?;
        let (id, direct) = (self.connection.last_insert_rowid(), !other.is_empty());
        Ok(Place { id, epoch, seq: 0, first: 1, message: 0, last: 0, said: 0, direct, described: false })
    }

    /// Ends a conversation. What was said in it is deleted in pieces (`delete_ended`).
    pub fn end(&self, id: i64) -> Result<()> {
        self.execute("DELETE FROM conversation WHERE id = ?1", [id])?;
        self.execute(
            "INSERT INTO ended (conversation) SELECT ?1 WHERE EXISTS (SELECT 1 FROM entry WHERE conversation = ?1) \
             OR EXISTS (SELECT 1 FROM mark WHERE conversation = ?1)",
            [id],
        )
        .map(drop)
    }

    pub fn describe(&self, id: i64, about: &Description<'_>) -> Result<()> {
        let sql = "UPDATE conversation SET title = ?2, topic = ?3, created_at = ?4, created = ?5 WHERE id = ?1";
        self.execute(sql, params![id, about.title, about.topic, signed(about.created_at), about.created]).map(drop)
    }

    /// What stands of a room.
    pub fn card(&self, id: i64) -> Result<Card> {
        let sql = format!("{CARDS} WHERE id = ?1");
        self.connection.prepare_cached(&sql)?.query_row([id], card)
    }

    /// The next rooms by id, so many at most.
    pub fn rooms_after(&self, id: i64, most: usize) -> Result<Vec<Card>> {
        let sql = format!("{CARDS} WHERE id > ?1 AND other = '' ORDER BY id LIMIT ?2");
        self.connection.prepare_cached(&sql)?.query_map(params![id, count(most)], card)?.collect()
    }

    pub fn set_head(&self, place: &Place) -> Result<()> {
        let (seq, first, message) = (signed(place.seq), signed(place.first), signed(place.message));
        if place.direct {
            let sql = "UPDATE conversation SET seq = ?2, first = ?3, message = ?4, last = ?5, said = ?6 WHERE id = ?1";
            return self.execute(sql, params![place.id, seq, first, message, place.last, signed(place.said)]).map(drop);
        }
        let sql = "UPDATE conversation SET seq = ?2, first = ?3, message = ?4 WHERE id = ?1";
        self.execute(sql, params![place.id, seq, first, message]).map(drop)
    }

    /// When that was said; `None`: it is not there.
    pub fn said_at(&self, id: i64, seq: u64) -> Result<Option<u64>> {
        let sql = "SELECT ts FROM entry WHERE conversation = ?1 AND seq = ?2";
        self.connection.prepare_cached(sql)?.query_row(params![id, signed(seq)], |row| number(row, 0)).optional()
    }

    /// When the newest entry of all was said.
    pub fn newest_time(&self) -> Result<Option<Known>> {
        let sql = "SELECT ts FROM entry ORDER BY id DESC LIMIT 1";
        self.connection.query_row(sql, [], |row| Ok(Known { time: number(row, 0)?, ..Known::default() })).optional()
    }

    /// The next conversations by id, so many at most, with their names.
    pub fn conversations_after(&self, id: i64, most: usize) -> Result<Vec<(Place, String, String)>> {
        let sql = format!("SELECT {PLACE}, name, other FROM conversation WHERE id > ?1 ORDER BY id LIMIT ?2");
        let row = |row: &Row<'_>| Ok((place(row)?, row.get(9)?, row.get(10)?));
        self.connection.prepare_cached(&sql)?.query_map(params![id, count(most)], row)?.collect()
    }

    /// Whether anything is kept that can become too old.
    pub fn holds(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM entry) OR EXISTS (SELECT 1 FROM conversation WHERE other <> '')";
        self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    pub fn counts(&self) -> Result<Counts> {
        // Added as reals, which no number in a file can make too large.
        let sql = "SELECT CAST(total(max(seq + 1.0 - first, 0)) AS INTEGER), count(*) FILTER (WHERE other = ''), \
                   count(*) FILTER (WHERE other <> '') FROM conversation";
        let row =
            |row: &Row<'_>| Ok(Counts { messages: number(row, 0)?, rooms: number(row, 1)?, pairs: number(row, 2)? });
        self.connection.query_row(sql, [], row)
    }

    /// Allows the file so many pages.
    #[cfg(test)]
    pub fn allow_pages(&self, pages: i64) -> Result<()> {
        self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    }

    pub(super) fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize> {
        self.connection.prepare_cached(sql)?.execute(parameters)
    }
}

const CARDS: &str = "SELECT id, name, title, topic, \
     coalesce(created_at, (SELECT ts FROM entry WHERE conversation = conversation.id AND entry.seq = first), 0), \
     created, seq >= first FROM conversation";

fn card(row: &Row<'_>) -> Result<Card> {
    Ok(Card {
        id: row.get(0)?,
        room: row.get(1)?,
        title: row.get(2)?,
        topic: row.get(3)?,
        created_at: number(row, 4)?,
        created: row.get(5)?,
        keeps: row.get(6)?,
    })
}

const PLACE: &str = "id, epoch, seq, first, message, last, said, other <> '', created_at IS NOT NULL";

fn place(row: &Row<'_>) -> Result<Place> {
    let epoch = Epoch(row.get::<_, i64>(1)?.cast_unsigned());
    let (seq, first): (u64, u64) = (number(row, 2)?, number(row, 3)?);
    Ok(Place {
        id: row.get(0)?,
        epoch,
        seq,
        // A file in which that is otherwise is damaged; numbers go on all the same.
        first: first.clamp(1, seq + 1),
        message: number(row, 4)?.min(seq),
        last: row.get(5)?,
        said: number(row, 6)?,
        direct: row.get(7)?,
        described: row.get(8)?,
    })
}

pub(super) fn number(row: &Row<'_>, at: usize) -> Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Conversations whose epochs are renewed by one statement.
const RENEWED_TOGETHER: usize = 4096;

/// What SQLite keeps of the file in memory.
pub const PAGE_CACHE_KIB: i64 = 8 << 10;

/// Pages of the log (of 4 KiB) from which on they are moved into the file, as long as nobody reads an old state of it.
const LOG_PAGES: i64 = 1000;

/// What the log is cut to when all of it has been moved.
const LOG_BYTES: i64 = 16 << 20;

/// How long somebody else who writes to the file, by hand, is waited for.
const BUSY_WITHIN: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(5) };

/// Statements that are kept ready: all.
const STATEMENTS: usize = 64;
