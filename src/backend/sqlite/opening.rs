//! How the file of a store is opened. Its log is looked at before that: where none is, SQLite makes an empty one, and
//! of a broken one it uses what it can read and writes over the rest, so that afterwards nobody sees that something
//! was lost. Nothing but what is here makes a connection, and to a store that is there only by a [`Log`], which is
//! what that look has found.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Result, Row, ffi};

use super::file::{self, Claim, Found};
use super::sentences;
use super::tables::Tables;
use super::{schema, wal};

/// What was found of the log of a store before it is opened.
#[derive(Debug)]
#[must_use = "what it has lost is to be told"]
pub struct Log {
    loss: Option<Loss>,
    /// It cannot be read to its end, of which nobody was told.
    untold: Option<wal::Broken>,
    /// The file without it, where that was looked at.
    pub alone: Option<Alone>,
}

/// Why what was said last may be missing.
#[derive(Debug)]
enum Loss {
    /// It is not beside the file, though the last use of that was not ended in order.
    Missing,
    Broken(wal::Broken),
    /// It has less than was noted beside the file.
    Cut,
    /// It was so when somebody opened the file, and no start has begun new epochs since.
    Noted,
}

/// What the file says of its last use without its log.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    /// It was ended in order. A copy was used by nobody.
    pub ended_in_order: bool,
    pub power: bool,
    /// That of the file that was used.
    pub inode: u64,
    /// The last one that is in it.
    pub batch: i64,
}

impl Log {
    /// Looks at it for somebody who has claimed the file, and is going to write to it. That something is lost is noted
    /// beside the file, and on the disk, when this returns: whatever becomes of the log, it stays so until a start has
    /// begun new epochs ([`Claim::note_batch`]).
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn of_claimed(claim: &mut Claim, boot: Option<&str>) -> std::result::Result<Self, String> {
        let mut log = Self::look(&claim.path, claim.had_log, (claim.moved, claim.noted), boot)?;
        if log.loss.is_none() && claim.notes_loss() {
            log.loss = Some(Loss::Noted);
        }
        if !file::has_filled_log(&claim.path) {
            let batch = log.alone.map(|alone| alone.batch);
            claim.note_without_log(batch).map_err(|error| sentences::cannot_open(&claim.path, &error))?;
        }
        if log.loss.is_some() {
            claim.note_loss().map_err(|error| sentences::cannot_open(&claim.path, &error))?;
        }
        Ok(log)
    }

    /// The same for somebody who is going to read the file as it is now, whoever uses it; nothing is changed.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn seen(path: &Path) -> std::result::Result<Self, String> {
        if file::look(path)? == Found::Nothing {
            return Err(sentences::nothing(path));
        }
        if let Some(sentence) = file::user_by_another_name(path) {
            return Err(sentence);
        }
        let has_log = file::has_log(path);
        // Before the file is looked at, which has more and more.
        let notes = file::noted_beside(path);
        if file::user(path).is_none() {
            let mut log = Self::look(path, has_log, (notes.moved, notes.noted), file::boot_id().as_deref())?;
            if log.loss.is_none() && notes.lost {
                log.loss = Some(Loss::Noted);
            }
            return Ok(log);
        }
        Self::look_in_use(path, has_log, notes.moved, without_log(path).ok())
    }

    /// The same for another connection of the process that uses it. The file is opened by SQLite alone: a descriptor of
    /// it that is closed in that process ends the locks of all of its connections, and the next program that closes the
    /// file takes itself for the last one and removes the log.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn beside(path: &Path) -> std::result::Result<Self, String> {
        let (has_log, moved) = (file::has_log(path), file::noted_beside(path).moved);
        // What cannot be read without its log is for the other connection to read.
        let alone = without_log(path).map_err(|error| sentences::cannot_open(path, &error))?;
        Self::look_in_use(path, has_log, moved, Some(alone))
    }

    /// Those who use it have looked, and may be writing to it.
    fn look_in_use(
        path: &Path,
        has_log: bool,
        moved: Option<i64>,
        alone: Option<Alone>,
    ) -> std::result::Result<Self, String> {
        if alone.is_some_and(|alone| Some(alone.batch) < moved) {
            return Err(sentences::overwritten_in_use(path));
        }
        if has_log && !file::has_shared(path) {
            return Err(sentences::shared_away(path));
        }
        match has_log || alone.is_none_or(|alone| alone.ended_in_order) {
            true => Ok(Self { loss: None, untold: None, alone }),
            false => Err(sentences::log_away(path)),
        }
    }

    /// Of a process that has opened the file before, and knows by what it has committed whether something is lost.
    pub fn of_one_who_goes_on() -> Self {
        Self { loss: None, untold: None, alone: None }
    }

    /// `moved`: the file is known to have had this batch without its log; `noted`: and this one with it.
    fn look(
        path: &Path,
        has_log: bool,
        (moved, noted): (Option<i64>, Option<i64>),
        boot: Option<&str>,
    ) -> std::result::Result<Self, String> {
        if let Some(sentence) = file::log_of_another(path) {
            return Err(sentence);
        }
        let alone = match file::has_filled_log(path) {
            true => without_log(path).ok(),
            false => without_log_whole(path).ok(),
        };
        let mut log = Self { loss: None, untold: None, alone };
        let mut last = alone.map(|alone| alone.batch);
        if let Some(alone) = alone.filter(|_| file::has_filled_log(path)) {
            // What is in its own log is behind what it had when that was begun.
            last = log.to_read(path).and_then(|tables| tables.batch()).ok();
            if Some(alone.batch) < moved || last.is_some_and(|last| last < alone.batch) {
                return Err(sentences::not_of_its_log(path, &file::beside(path, "-wal")));
            }
        }
        // What is wrong with the file is said when it is opened.
        if !has_log && alone.is_some_and(|alone| !alone.ended_in_order) {
            may_lie_elsewhere(path)?;
            log.loss = Some(Loss::Missing);
        } else if let Some(broken) = wal::fault(path) {
            let last = log.to_read(path).and_then(|tables| tables.last_use());
            match last.is_ok_and(|(power, last_boot)| broken.is_untold(power, last_boot.as_deref(), boot)) {
                true => log.untold = Some(broken),
                false => log.loss = Some(Loss::Broken(broken)),
            }
        } else if last < noted
            && last.is_some()
            && alone.is_some_and(|alone| !alone.ended_in_order && Some(alone.batch) >= moved)
        {
            // One that has less than was moved is a copy from before that.
            log.loss = Some(Loss::Cut);
        }
        Ok(log)
    }

    /// Whether all that was told is in it or in the file.
    pub fn is_whole(&self) -> bool {
        self.loss.is_none()
    }

    /// What is to be said of it, if anything is.
    pub fn sentence(&self) -> Option<String> {
        match &self.loss {
            Some(Loss::Missing) => Some(LACKS_LOG.into()),
            Some(Loss::Broken(broken)) => Some(broken.sentence(false)),
            Some(Loss::Cut) => Some(CUT_LOG.into()),
            Some(Loss::Noted) => Some(HAS_LOST.into()),
            None => self.untold.as_ref().map(|broken| broken.sentence(true)),
        }
    }

    /// Opens the store to write to it.
    pub fn to_write(&self, path: &Path) -> Result<Tables> {
        Tables::of(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
    }

    /// Opens the store to read it. Where its log is missing none is made: what is read is to be
    /// [held](Self::still_holds) against that afterwards.
    pub fn to_read(&self, path: &Path) -> Result<Tables> {
        Tables::of(match self.loss {
            Some(Loss::Missing) => connect_without_log(path)?,
            _ => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        })
    }

    /// Looks whether what was read is the store as it was: where its log is missing nobody was kept from using it.
    ///
    /// # Errors
    /// One sentence: somebody has begun to.
    pub fn still_holds(&self, path: &Path) -> std::result::Result<(), String> {
        match self.loss {
            Some(Loss::Missing) if file::has_log(path) || file::user(path).is_some() => {
                Err(sentences::begun_meanwhile(path))
            }
            _ => Ok(()),
        }
    }
}

/// Opens a file that is being made, and is no store yet.
pub fn made(path: &Path) -> Result<Tables> {
    Tables::of(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// Looks whether the log of a store that lacks it may lie beside another name of the file, before anything is made
/// beside this one.
///
/// # Errors
/// One sentence.
pub fn is_by_this_name(path: &Path) -> std::result::Result<(), String> {
    if file::look(path)? == Found::Nothing || file::has_log(path) {
        return Ok(());
    }
    match without_log_whole(path).is_ok_and(|alone| !alone.ended_in_order) {
        true => may_lie_elsewhere(path),
        false => Ok(()),
    }
}

fn may_lie_elsewhere(path: &Path) -> std::result::Result<(), String> {
    match file::names(path) {
        2.. => Err(file::user_by_another_name(path).unwrap_or_else(|| sentences::log_elsewhere(path))),
        _ => Ok(()),
    }
}

/// What the file says of its last use without its log. Nothing is made or locked beside it for that.
///
/// A log that was moved into it in part (somebody reads, or the disk was full) leaves a first page that names more
/// pages than the file has, which is as it should be beside the rest of the log: then it has as many as it has.
pub fn without_log(path: &Path) -> Result<Alone> {
    let connection = connect_without_log(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    alone(&connection)
}

/// The same of a file that is to have all of its pages.
///
/// # Errors
/// Also that it has not.
pub fn without_log_whole(path: &Path) -> Result<Alone> {
    alone(&connect_without_log(path)?)
}

fn alone(connection: &Connection) -> Result<Alone> {
    // Its head is whole also where the log was moved into it in part, and tells it from what another program has made.
    let head = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u32>(0));
    let is_ours = head("application_id")? == schema::APPLICATION_ID;
    if !is_ours || !(1..=schema::VERSION).contains(&head("user_version")?) {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), None));
    }
    let row = |row: &Row<'_>| {
        let inode = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(Alone { ended_in_order: row.get(0)?, power: row.get(1)?, inode, batch: row.get(3)? })
    };
    let sql = "SELECT clean OR inode = 0, durability = 'power', inode, batch FROM store";
    connection.query_row(sql, [], row)
}

fn connect_without_log(path: &Path) -> Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in std::path::absolute(path).unwrap_or_default().as_os_str().as_encoded_bytes() {
        uri += &format!("%{byte:02x}");
    }
    uri += "?immutable=1";
    connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

/// No mutex, because each connection is of one thread at a time.
fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch(schema::CONNECTION)?;
    Ok(connection)
}

const LACKS_LOG: &str = "its last use was not ended in order, and its log (-wal) is not beside it; if nobody has moved \
     that into the file, what was said last is missing";

const CUT_LOG: &str = "its log (-wal) was emptied or cut off since it was used, so that what was said last is missing";

const HAS_LOST: &str =
    "its log was missing or damaged when it was opened before, so that what was said last is missing";
