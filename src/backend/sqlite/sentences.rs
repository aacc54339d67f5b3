//! What an operator is told of the file of a store that cannot be used, or not as it is asked for: a sentence each,
//! which says what to do. It looks at no file.

use std::path::Path;

use super::schema;
use crate::backend::MAX_SET;

/// The sentence for a file in use that lacks what those who use it share: who opens it then has that to themselves, and
/// may read what is being written over.
pub fn shared_away(path: &Path) -> String {
    format!(
        "--store {}: it is in use, and what those who use it share (-shm) is not beside it; do this again, and if it \
         is not there then, end that Salon in order (SIGTERM) and start it again",
        path.display()
    )
}

/// The sentence for a file in use into which something else was written.
pub fn overwritten_in_use(path: &Path) -> String {
    format!(
        "--store {}: it is in use, and something else was written into it; the log of that Salon says what to do",
        path.display()
    )
}

/// The sentence for a file into which something else was written, so that the log beside it is not of it.
pub fn not_of_its_log(path: &Path, log: &Path) -> String {
    format!(
        "--store {}: something else was written into the file than what the log beside it ({}) was written for; put \
         that file back, of which the log has what was said last, or move that log away with its -shm to go on with \
         this file",
        path.display(),
        log.display()
    )
}

/// The sentence for a file that is in use, and lacks its log.
pub fn log_away(path: &Path) -> String {
    format!(
        "--store {}: it is in use, and its log (-wal) is not beside it; end that Salon in order (SIGTERM), which moves \
         all of it into the file",
        path.display()
    )
}

/// The sentence for a file without its log that somebody has begun to use while it was read.
pub fn begun_meanwhile(path: &Path) -> String {
    format!("--store {}: somebody has begun to use it while it was read; do this again", path.display())
}

/// The sentence for a file whose log may lie beside another of its names.
pub fn log_elsewhere(path: &Path) -> String {
    format!(
        "--store {}: its last use was not ended in order, its log is not beside it, and the file has another name (a \
         hard link), beside which it may be; use it by that name, or remove the other names if no log is there",
        path.display()
    )
}

/// The sentence for a file of a later version.
pub fn newer(path: &Path, version: u32) -> String {
    format!(
        "--store {}: it is from a newer Salon (its tables have version {version}, this one knows {}); start that \
         one, or choose another path",
        path.display(),
        schema::VERSION
    )
}

/// The sentence for a file of an earlier version, which only a server changes.
pub fn older(path: &Path, version: u32) -> String {
    format!(
        "--store {}: it is from an older Salon (its tables have version {version}, this one needs {}); start Salon \
         with it once, which brings it to that",
        path.display(),
        schema::VERSION
    )
}

/// The sentence for a place where no store is.
pub fn nothing(path: &Path) -> String {
    format!("--store {}: expected a file in which messages are kept, found none; say --store PATH", path.display())
}

/// The sentence for a file in which something is wrong.
pub fn damaged(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!(
        "--store {}: the file is damaged ({why}) and is left as it is; put a backup in its place, or choose another \
         path",
        path.display()
    )
}

/// The sentence for a file of which it cannot be read who is kept out.
pub fn without_bans(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!(
        "--store {}: the names that are kept out cannot be read ({why}), so that these would be let in; put a backup \
         in its place, or choose another path",
        path.display()
    )
}

/// The same where it cannot be read what is set for rooms.
pub fn without_set(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!(
        "--store {}: what is set for rooms cannot be read ({why}), so that these would be open to all; put a backup in \
         its place, or choose another path",
        path.display()
    )
}

/// The same where something is set for more rooms than a chat knows.
pub fn too_many_set(path: &Path) -> String {
    format!(
        "--store {}: something is set for more than {MAX_SET} rooms (table room_setting), so that the others would be \
         open to all; delete the rows of some of them, or put a backup in its place, or choose another path",
        path.display()
    )
}

/// The sentence for a log that SQLite would take for that of a new file.
pub fn without_file(path: &Path, log: &Path) -> String {
    format!(
        "--store {}: it is not there, and its log is ({}), which may have messages that nothing else has; put the two \
         together, or move the log away",
        path.display(),
        log.display()
    )
}

/// The sentence for a file whose log cannot be moved into it.
pub fn being_read(path: &Path) -> String {
    format!(
        "--store {}: expected nobody to read it, found somebody who does (a backup, an export, sqlite3); wait until \
         they have ended, and leave the log beside it where it is",
        path.display()
    )
}

/// The sentence for a file on a disk without room.
pub fn disk_full(path: &Path) -> String {
    format!(
        "--store {}: the disk is full, and to begin takes some room (some 100 KiB); make room there, or choose another \
         path",
        path.display()
    )
}

/// The sentence for a file that cannot be used now.
pub fn cannot_open(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!(
        "--store {}: it cannot be opened ({why}); check who may write there and whether the disk is full, choose \
         another path, or say --store memory",
        path.display()
    )
}
