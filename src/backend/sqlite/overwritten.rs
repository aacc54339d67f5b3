//! Whether the file and its log are as this process has left them. A backup that is copied over a file in use, or
//! `truncate`, changes what is in it, and not its inode: SQLite goes on as before, and would move the log into
//! something else.
//!
//! The file is written to when the log is moved into it, and never otherwise. So its [`Stamp`] is noted then, and
//! compared before each commit, which costs nothing beside what tells whether it is still there. Another stamp may be
//! harmless (a rename, a second name, somebody who has moved the log by hand): then the number of the batch decides
//! that is in the file without its log. It is the last one that was seen in it, or one between that and the last that
//! was committed.
//!
//! The log has been written over if the last commit is not in it that all who use it know of ([`wal::InUse`]), and both
//! have been if the batch before is not the one before ([`Tables::number_batch`](super::tables::Tables::number_batch)).
//!
//! A move that is not whole, because somebody reads or the disk fails, leaves a file that need not be one without the
//! rest of its log: what is damaged in such a file is not taken for something else, unless it has become shorter. Its
//! head is whole in any case, and says that it is a store.
//!
//! It does not see what is written between its look and the commit: the next batch does. Nor does it see a file that
//! was copied to its end while the log was being moved into it.

use std::fmt::Display;
use std::path::Path;

use rusqlite::ErrorCode;

use super::Sqlite;
use super::file;
use super::opening::{self, Alone};
use super::sentences;
use super::stamp::Stamp;
use super::tables::Tables;
use super::trouble::{Overwritten, Result, Trouble};
use super::wal::InUse;

/// A file as it was when what is in it was known.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    stamp: Stamp,
    /// `None`: it could not be read without its log, which was moved into it in part.
    alone: Option<Alone>,
    /// What the file says in that case of its inode, as long as it is not noted in it that it is used.
    inode_before: u64,
    /// All of the log was in it behind the last move by this process.
    pub(super) is_whole: bool,
}

impl Seen {
    /// Of a file that is open; `is_whole`: all of its log has been moved into it. `inode_before`: that of its last use,
    /// before this one.
    pub fn of(path: &Path, is_whole: bool, inode_before: u64) -> Result<Self> {
        let stamp = Stamp::of(path).map_err(|error| cannot(path, &error))?;
        let alone = match opening::without_log(path) {
            Err(error) if !is_whole && may_be_in_part(&error) => None,
            alone => Some(alone?),
        };
        Ok(Self { stamp, alone, inode_before, is_whole })
    }

    /// The same of a file that somebody else uses, in which this batch is the last one. One whose use is not noted in
    /// itself yet, because its log could not be moved, is for that one to read.
    pub fn in_use(path: &Path, last: i64) -> Result<Self> {
        // The one that writes knows who has moved its log, and how much of that.
        let seen = Self::of(path, false, 0)?;
        match seen.alone {
            Some(alone) if alone.inode == seen.inode() && alone.batch <= last => Ok(seen),
            _ => Err(Trouble::Overwritten(Overwritten::File)),
        }
    }

    /// As it is where it could not be read without its log yet.
    #[cfg(test)]
    pub(super) fn forget_alone(&mut self) {
        self.alone = None;
    }

    /// What tells it from others in its place.
    pub fn inode(&self) -> u64 {
        self.stamp.inode
    }

    /// Looks whether the file has become what it is now by moves of its log, in which this batch is the last one.
    ///
    /// # Errors
    /// Something else was written into it, or it cannot be told.
    pub fn goes_on_as(&mut self, path: &Path, now: Stamp, last: i64) -> Result<()> {
        if now == self.stamp {
            return Ok(());
        }
        let is_shorter = now.is_shorter_than(&self.stamp);
        let found = if is_shorter { opening::without_log_whole(path) } else { opening::without_log(path) };
        let alone = match found {
            Err(error) if is_of_the_system(&error) => return Err(error.into()),
            Err(error) if !is_shorter && !self.is_whole && may_be_in_part(&error) => {
                self.stamp = now;
                return Ok(());
            }
            found => found.map_err(|_| Trouble::Overwritten(Overwritten::File))?,
        };
        let (inode, batch) = self.alone.map_or((self.inode_before, 0), |was| (was.inode, was.batch));
        let is_of_it = alone.inode == inode || alone.inode == now.inode;
        if !is_of_it || !(batch..=last).contains(&alone.batch) {
            return Err(Trouble::Overwritten(Overwritten::File));
        }
        (self.stamp, self.alone) = (now, Some(alone));
        Ok(())
    }
}

/// Whether an error may come of a file into which its log was moved in part: pages do not fit to each other, or are
/// behind its end.
fn may_be_in_part(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) || is_short(error)
}

fn is_short(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

fn cannot(path: &Path, error: &dyn Display) -> Trouble {
    Trouble::Said(sentences::cannot_open(path, error))
}

/// Whether an error says nothing of what is in a file.
fn is_of_the_system(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    !is_short(error)
        && matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory))
}

/// The file and its log as they were opened, and what is known of them since.
#[derive(Debug)]
pub struct Own {
    pub(super) file: Seen,
    log: InUse,
    log_inode: u64,
}

impl Own {
    /// Of what a process has just opened; `is_whole`: it has moved all of the log into the file. `inode_before`: that
    /// of the last use of the file, before this one.
    pub fn of(path: &Path, is_whole: bool, inode_before: u64) -> Result<Self> {
        let log = InUse::of(path).map_err(|error| cannot(path, &error))?;
        let log_inode = log.inode().map_err(|error| cannot(path, &error))?;
        Ok(Self { file: Seen::of(path, is_whole, inode_before)?, log_inode, log })
    }

    /// The same file was opened anew.
    pub fn renew(&mut self, path: &Path, is_whole: bool, inode_before: u64) -> Result<()> {
        self.log.renew(path).map_err(|error| cannot(path, &error))?;
        self.log_inode = self.log.inode().map_err(|error| cannot(path, &error))?;
        self.file = Seen::of(path, is_whole, inode_before)?;
        Ok(())
    }
}

impl Sqlite {
    /// Looks whether the file and its log are where they were, and as this process has left them.
    pub(super) fn look_at_files(&mut self) -> Result<()> {
        let path = &self.claim.path;
        let log = file::beside(path, "-wal");
        let inode = |path| Stamp::of(path).map(|stamp| stamp.inode).ok();
        match Stamp::of(path) {
            Ok(stamp) if stamp.inode == self.own.file.inode() && inode(&log) == Some(self.own.log_inode) => {
                self.look_into_files(stamp)
            }
            _ => Err(Trouble::Away),
        }
    }

    /// The same of what is in the file, as it is now, and of what is in its log.
    fn look_into_files(&mut self, stamp: Stamp) -> Result<()> {
        let last = self.last_batch();
        self.own.file.goes_on_as(&self.claim.path, stamp, last)?;
        // What a disk that cannot be read has is seen to by those who read it.
        match self.own.log.has_last_commit().unwrap_or(true) {
            true => Ok(()),
            false => Err(Trouble::Overwritten(Overwritten::Log)),
        }
    }

    /// The same for whoever ends: what is in files that were taken away is saved.
    pub(super) fn look_into_open_files(&mut self) -> Result<()> {
        match (self.claim.stamp(), self.claim.inode()) {
            (Ok(stamp), Ok(inode)) if inode == stamp.inode => self.look_into_files(stamp),
            _ => Ok(()),
        }
    }

    /// Looks before a file that was given up is opened anew, which writes to it. What its log has lacks nothing that
    /// the batches do not tell, but where it was written over while it was open.
    pub(super) fn look_before_opening(&mut self) -> Result<()> {
        let last = self.last_batch();
        match Stamp::of(&self.claim.path) {
            Ok(stamp) if stamp.inode == self.own.file.inode() => {
                self.own.file.goes_on_as(&self.claim.path, stamp, last)
            }
            _ => Err(Trouble::Away),
        }
    }

    /// The last batch that may be in the file.
    fn last_batch(&self) -> i64 {
        self.doubt.as_ref().map_or(self.batches, |&(batch, _)| batch.max(self.batches))
    }

    /// Moves the log into the file, and notes what is in that then; returns what is told, and whether it was all.
    pub(super) fn move_log<T>(
        &mut self,
        moves: impl FnOnce(&Tables) -> rusqlite::Result<(T, bool)>,
    ) -> Result<(T, bool)> {
        // What fails has moved a part.
        self.own.file.is_whole = false;
        let (told, all) = moves(self.tables()?)?;
        self.note_moved(all)?;
        Ok((told, all))
    }

    /// Notes what is in the file behind a move of its log by this process; `all` of it.
    pub(super) fn note_moved(&mut self, all: bool) -> Result<()> {
        self.own.file.is_whole = all;
        let last = self.last_batch();
        let Ok(stamp) = Stamp::of(&self.claim.path) else { return Ok(()) };
        self.own.file.goes_on_as(&self.claim.path, stamp, last)?;
        if !all {
            // Of that the file may have so much now that it would not be missed.
            self.note_in_log();
        }
        if all
            && let Some(alone) = self.own.file.alone
            && let Err(error) = self.claim.note_moved(Some(alone.batch))
        {
            log::debug!("{}: it is not noted beside it what was moved: {error}", self.claim.path.display());
        }
        Ok(())
    }

    /// Nothing that was read of the file meanwhile is believed when the right one is back. A start knows by what is
    /// noted here that what was said is not in the file that it finds.
    pub(super) fn note_overwritten(&mut self) {
        if let Some(tables) = &self.tables
            && let Err(error) = tables.forget_pages()
        {
            log::debug!("{}: {error}", self.claim.path.display());
        }
        if self.claim.noted != Some(self.batches)
            && let Err(error) = self.claim.note_batch(self.batches)
        {
            log::debug!("{}: it is not noted beside it how much is in it: {error}", self.claim.path.display());
        }
    }

    /// What is wrong if an error has come of a file that was taken away or written over: then nothing is known of the
    /// rest of it.
    pub(super) fn reason(&mut self, trouble: Trouble) -> Trouble {
        match &trouble {
            Trouble::Sql(_) if self.tables.is_some() => match self.look_into_open_files() {
                Err(reason @ Trouble::Overwritten(_)) => reason,
                _ => trouble,
            },
            _ => trouble,
        }
    }
}
