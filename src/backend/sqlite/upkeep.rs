//! What is done to the file of a store beside serving from it: it is read through, copied, and made smaller.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{OpenFlags, params};

use super::file::{self, Claim, Found};
use super::tables::{self, Tables};
use super::trouble::Trouble;
use super::{contents, schema, wal};
use crate::backend::MAX_BANS;

/// Looks whether there is a store, or can be one, and reads it from end to end; changes nothing. Returns what there
/// is, in one line.
///
/// # Errors
/// One sentence that says what to do, also if somebody uses it.
pub fn check(path: &Path) -> Result<String, String> {
    if file::look(path)? == Found::Nothing {
        file::can_be_made(path)?;
        return Ok(format!("{}: there is none yet; it will be made", path.display()));
    }
    match file::user(path) {
        Some(sentence) => Err(sentence),
        None => file::can_be_used(path).and_then(|()| read_through(path)),
    }
}

/// Reads a store from end to end, also while somebody uses it. Returns what there is, in one line.
///
/// # Errors
/// One sentence that says what to do.
pub fn read_through(path: &Path) -> Result<String, String> {
    let sentence = |error| Trouble::Sql(error).sentence(path);
    let lacks_log = lacks_log(path)?;
    let broken = match file::user(path) {
        // Somebody who uses it may be writing to it.
        Some(_) => None,
        None => file::resolve(path).ok().and_then(|path| wal::fault(&path)),
    };
    let tables = open(path, true)?;
    if let Some(fault) = tables.fault().map_err(sentence)? {
        return Err(file::damaged(path, &fault));
    }
    if tables.version().map_err(sentence)? > 1 {
        tables.bans_after("", MAX_BANS + 1).map_err(|error| file::without_bans(path, &error))?;
    }
    let lost = match broken {
        _ if lacks_log => format!("; {LACKS_LOG}"),
        None => String::new(),
        Some(broken) => {
            let is_untold = tables.last().is_ok_and(|last| broken.is_untold(&last, file::boot_id().as_deref()));
            format!("; {}", broken.sentence(is_untold))
        }
    };
    Ok(contents(path, tables.counts().map_err(sentence)?) + &lost)
}

/// Whether the last use of a store was not ended in order, and no log lies beside it, in which may be what was said
/// last.
///
/// # Errors
/// One sentence: it may lie beside another name of the file.
pub(super) fn lacks_log(path: &Path) -> Result<bool, String> {
    if file::look(path)? == Found::Nothing {
        return Ok(false);
    }
    // What is wrong otherwise is said by those who open the file to use it.
    match file::names_and_log(path) {
        (_, true) => Ok(false),
        _ if Tables::without_log(path).map_or(true, |alone| alone.ended_in_order) => Ok(false),
        (2.., false) => Err(file::user_by_another_name(path).unwrap_or_else(|| file::log_elsewhere(path))),
        (_, false) => Ok(true),
    }
}

/// What is said then.
pub(super) const LACKS_LOG: &str = "its last use was not ended in order, and its log (-wal) is not beside it; if \
     nobody has moved that into the file, what was said last is missing";

/// Copies a store into a new file, also while somebody uses it: as it is at this moment, whole. A server that is
/// started from the copy begins new epochs, whatever way it came to its place. `progress` is told how many pages are
/// left, of how many. Returns the bytes of the copy.
///
/// # Errors
/// One sentence that says what to do; there is no copy then.
pub fn backup(path: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, String> {
    let tables = open(path, true)?;
    file::copy_to(to, |new| {
        // As long as this is open the copy is of one state, and begins anew for nothing that is said meanwhile. The
        // writer does not wait for it; its log grows.
        tables.begin().and_then(|()| tables.version()).map_err(|error| Trouble::Sql(error).sentence(path))?;
        let cannot = |error| Trouble::Sql(error).sentence(to);
        let mut copy = tables::connect(new, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(cannot)?;
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(cannot)?;
        let pages = Backup::new(&tables.connection, &mut copy).map_err(cannot)?;
        while pages.step(PAGES_AT_ONCE).map_err(cannot)? != StepResult::Done {
            let left = pages.progress();
            progress(left.remaining.unsigned_abs().into(), left.pagecount.unsigned_abs().into());
        }
        drop(pages);
        // One file, with no log that could be left behind.
        let log = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        copy.query_row("PRAGMA journal_mode = DELETE", [], log).map_err(cannot)?;
        copy.execute(schema::AS_A_COPY, []).map_err(cannot)?;
        Ok(())
    })
}

/// Makes the file of a store that nobody uses as small as what is in it. Returns its bytes before and after.
///
/// # Errors
/// One sentence that says what to do; the file is as it was then.
pub fn compact(path: &Path) -> Result<(u64, u64), String> {
    drop(open(path, true)?);
    let mut claim = Claim::take(path)?;
    let path = &*claim.path.clone();
    let inode = claim.inode().map_err(|error| file::cannot_open(path, &error))?;
    let before = file::bytes(path);
    let sentence = |error| Trouble::Sql(error).sentence(path);
    let tables = Tables::open(path, false).map_err(sentence)?;
    if let Some(fault) = tables.fault().map_err(sentence)? {
        return Err(file::damaged(path, &fault));
    }
    if !tables.checkpoint().map_err(sentence)? {
        return Err(file::being_read(path));
    }
    // Beside it, and not by a VACUUM in its place, which needs as much again for its log, and that for temporary files.
    claim.begin(|new| {
        let target = new.to_str().ok_or_else(|| file::cannot_open(path, &"its path is not UTF-8"))?;
        tables.execute("VACUUM INTO ?1", params![target]).map_err(sentence)?;
        // The file is the same one in another shape: its conversations go on in their epochs.
        if tables.last().map_err(sentence)?.inode == inode {
            let inode = file::inode(new).map_err(|error| file::cannot_open(path, &error))?;
            let small = Tables::open(new, false).map_err(sentence)?;
            small.execute("UPDATE store SET inode = ?1", params![inode.cast_signed()]).map_err(sentence)?;
        }
        Ok::<_, String>(())
    })?;
    Ok((before, file::bytes(path)))
}

/// Opens a store that is there, and has its log beside it.
fn open(path: &Path, for_reading: bool) -> Result<Tables, String> {
    if file::look(path)? == Found::Nothing {
        return Err(file::nothing(path));
    }
    if let Some(sentence) = file::user_by_another_name(path) {
        return Err(sentence);
    }
    lacks_log(path)?;
    Tables::open(path, for_reading).map_err(|error| Trouble::Sql(error).sentence(path))
}

/// Opens a store to read it as it is now, whoever uses it.
///
/// # Errors
/// One sentence that says what to do, also for tables of an earlier version.
pub(super) fn open_for_reading(path: &Path) -> Result<Tables, String> {
    let tables = open(path, true)?;
    match tables.version().map_err(|error| Trouble::Sql(error).sentence(path))? {
        schema::VERSION => Ok(tables),
        version => Err(file::older(path, version)),
    }
}

/// Pages that are copied at once.
const PAGES_AT_ONCE: i32 = 256;
