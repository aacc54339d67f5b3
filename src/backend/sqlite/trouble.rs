//! Why a file cannot be used, and the sentence for it.

use std::fmt;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use super::file;
use super::sentences;

/// Why a file cannot be used.
#[derive(Debug)]
pub enum Trouble {
    Sql(rusqlite::Error),
    /// In one sentence.
    Said(String),
    /// The file or its log is not where it was, or is another one.
    Away,
    /// Something else was written into one of them, in its place.
    Overwritten(Overwritten),
}

/// What was written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwritten {
    File,
    Log,
}

/// What may be in the way of it.
pub type Result<T> = std::result::Result<T, Trouble>;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Said(sentence) => f.write_str(sentence),
            Self::Away => write!(
                f,
                "the file or its log was taken away or replaced while it is in use; put back what was there. A deleted \
                 file can be copied from /proc/{}/fd. If only the log (-wal) is missing, end Salon in order (SIGTERM), \
                 which moves all of it into the file; kill -9 would lose it",
                std::process::id()
            ),
            Self::Overwritten(Overwritten::File) => f.write_str(
                "something else was written into the file while it is in use (cp over it, truncate), and nothing is \
                 written to that. Start Salon again: it goes on if the file and its log belong together, and refuses \
                 them otherwise. Or put back into its place what was there. Or, to go on with what is there now, end \
                 Salon, move away the log (-wal) and -shm beside it, which have what was said last, and start Salon",
            ),
            Self::Overwritten(Overwritten::Log) => f.write_str(
                "the log beside it (-wal) was truncated or written over while it is in use, so that what was said last \
                 may be lost. Start Salon again: conversations go on in new epochs if anything is missing. Or put back \
                 into its place what was there",
            ),
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
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::Said(_) | Self::Away | Self::Overwritten(_) => None,
        }
    }

    /// Whether a write has failed because no file of this process may become larger: the kernel says no more than that
    /// it has failed.
    fn is_of_size(&self, path: &Path) -> bool {
        let Self::Sql(error) = self else { return false };
        let code = error.sqlite_error().map(|error| error.extended_code);
        matches!(code, Some(ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE)) && file::is_at_limit(path)
    }

    /// All that is known of it, for Salon's log.
    pub fn at(&self, path: &Path) -> String {
        match self.is_of_size(path) {
            true => {
                format!("{self}; no file of this process may become larger (ulimit -f, or LimitFSIZE= of the unit)")
            }
            false => self.to_string(),
        }
    }

    /// In a few words, without what only Salon's log needs.
    pub fn in_short(&self, path: &Path) -> String {
        match self.code() {
            _ if matches!(self, Self::Away) => "the file was taken away".into(),
            _ if matches!(self, Self::Overwritten(_)) => "something else was written into the file".into(),
            Some(ErrorCode::DiskFull) => "the disk is full".into(),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "the file may not be written to".into(),
            Some(ErrorCode::CannotOpen) => "the file cannot be opened".into(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program writes to the file".into(),
            Some(ErrorCode::SystemIoFailure) if self.is_of_size(path) => "no file may become larger (ulimit -f)".into(),
            Some(ErrorCode::SystemIoFailure) => "the disk gives errors".into(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged".into(),
            _ => "the file cannot be used; the log says why".into(),
        }
    }

    /// Whether it is only what was to be read that cannot be: a damaged page, or a value that nothing means.
    pub fn is_of_what_is_read(&self) -> bool {
        match self {
            Self::Sql(error) => matches!(error.sqlite_error_code(), None | Some(ErrorCode::DatabaseCorrupt)),
            Self::Said(_) | Self::Away | Self::Overwritten(_) => false,
        }
    }

    /// Whether it is a value that nothing means.
    pub fn is_of_a_value(&self) -> bool {
        matches!(self, Self::Sql(error) if error.sqlite_error_code().is_none())
    }

    /// Whether it is a damaged page.
    pub fn is_of_a_page(&self) -> bool {
        self.code() == Some(ErrorCode::DatabaseCorrupt)
    }

    /// Whether the connection is as good as before, once it has been rolled back.
    pub fn leaves_file_whole(&self) -> bool {
        let code = self.code();
        matches!(self, Self::Away | Self::Overwritten(_))
            || matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    pub fn sentence(&self, path: &Path) -> String {
        match self {
            Self::Said(sentence) => sentence.clone(),
            Self::Away | Self::Overwritten(_) => sentences::cannot_open(path, self),
            Self::Sql(error) => match self.code() {
                Some(ErrorCode::DiskFull) => sentences::disk_full(path),
                // What readers share cannot be made larger then, which is no more than an error to SQLite.
                Some(ErrorCode::SystemIoFailure) if file::has_no_room(path) => sentences::disk_full(path),
                // No code: a value that nothing means.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => sentences::damaged(path, error),
                Some(_) => sentences::cannot_open(path, &self.at(path)),
            },
        }
    }
}
