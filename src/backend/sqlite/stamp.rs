//! What tells whether somebody has written to a file since it was looked at, or has put another one in its place. What
//! was written it does not tell.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// What tells it from others that were put in its place.
    pub inode: u64,
    bytes: u64,
    /// When it was last written to, or named otherwise: unlike the time of its content nobody can say it otherwise
    /// (`cp -p`, `rsync -t`).
    changed: (i64, i64),
}

impl Stamp {
    /// Of what is at a path.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        fs::metadata(path).map(|found| Self::from(&found))
    }

    /// Whether the file has fewer bytes than it had: moving its log into it has it have more, or as many.
    pub fn is_shorter_than(&self, before: &Self) -> bool {
        self.bytes < before.bytes
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(found: &fs::Metadata) -> Self {
        Self { inode: found.ino(), bytes: found.len(), changed: (found.ctime(), found.ctime_nsec()) }
    }
}
