//! What is done to the file of a store beside serving from it: it is read through, copied, and made smaller.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::params;

use super::file::{self, Claim, Found};
use super::opening::{self, Log};
use super::sentences;
use super::tables::Tables;
use super::trouble::Trouble;
use super::{contents, room_settings, schema};
use crate::backend::{MAX_BANS, MAX_SET};

/// A store that was copied, into another file or into a smaller one in its place.
#[derive(Debug)]
#[must_use = "what is missing is to be told"]
pub struct Copied {
    /// Bytes of the file before.
    pub before: u64,
    /// Bytes of the file or the copy now.
    pub bytes: u64,
    /// What is to be said of the log of the store, if anything is: then what was said last may be missing.
    pub log: Option<String>,
}

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
    let (tables, log) = open(path)?;
    if let Some(fault) = tables.fault().map_err(sentence)? {
        return Err(sentences::damaged(path, &fault));
    }
    // What a start is refused for.
    let version = tables.version().map_err(sentence)?;
    if version > 1 {
        tables.bans_after("", MAX_BANS + 1).map_err(|error| sentences::without_bans(path, &error))?;
    }
    if version > 6 {
        let set = tables.set_rooms(MAX_SET + 1).map_err(|error| sentences::without_set(path, &error))?;
        room_settings::are_all(path, set)?;
    }
    let found = contents(path, tables.counts().map_err(sentence)?);
    log.still_holds(path)?;
    Ok(found + &log.sentence().map_or(String::new(), |sentence| format!("; {sentence}")))
}

/// What is set for rooms in a store, by name: words of the chat.
///
/// # Errors
/// One sentence that says what to do.
pub fn settings_of_rooms(path: &Path) -> Result<Vec<(String, String)>, String> {
    let (tables, _) = open(path)?;
    match tables.version().map_err(|error| Trouble::Sql(error).sentence(path))? {
        ..=6 => Ok(Vec::new()),
        _ => tables.set_rooms(MAX_SET).map_err(|error| sentences::without_set(path, &error)),
    }
}

/// Copies a store into a new file, also while somebody uses it: as it is at this moment, whole. A server that is
/// started from the copy begins new epochs, whatever way it came to its place. `progress` is told how many pages are
/// left, of how many.
///
/// # Errors
/// One sentence that says what to do; there is no copy then.
pub fn backup(path: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Copied, String> {
    let (tables, log) = open(path)?;
    let bytes = file::copy_to(to, |new| {
        // As long as this is open the copy is of one state, and begins anew for nothing that is said meanwhile. The
        // writer does not wait for it; its log grows.
        tables.begin().and_then(|()| tables.version()).map_err(|error| Trouble::Sql(error).sentence(path))?;
        let cannot = |error| Trouble::Sql(error).sentence(to);
        let mut copy = opening::made(new).map_err(cannot)?.connection;
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(cannot)?;
        let pages = Backup::new(&tables.connection, &mut copy).map_err(cannot)?;
        while pages.step(PAGES_AT_ONCE).map_err(cannot)? != StepResult::Done {
            let left = pages.progress();
            progress(left.remaining.unsigned_abs().into(), left.pagecount.unsigned_abs().into());
        }
        drop(pages);
        // One file, with no log that could be left behind.
        let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        copy.query_row("PRAGMA journal_mode = DELETE", [], mode).map_err(cannot)?;
        copy.execute(schema::AS_A_COPY, []).map_err(cannot)?;
        log.still_holds(path)
    })?;
    Ok(Copied { before: file::bytes(path), bytes, log: log.sentence() })
}

/// Makes the file of a store that nobody uses as small as what is in it.
///
/// # Errors
/// One sentence that says what to do; the file is as it was then.
pub fn compact(path: &Path) -> Result<Copied, String> {
    // Also that it is of this version: only a server changes that.
    drop(open_for_reading(path)?);
    let mut claim = Claim::take(path)?;
    let path = &*claim.path.clone();
    let log = Log::of_claimed(&mut claim, file::boot_id().as_deref())?;
    let inode = claim.inode().map_err(|error| sentences::cannot_open(path, &error))?;
    let before = file::bytes(path);
    let sentence = |error| Trouble::Sql(error).sentence(path);
    let tables = log.to_write(path).map_err(sentence)?;
    if let Some(fault) = tables.fault().map_err(sentence)? {
        return Err(sentences::damaged(path, &fault));
    }
    if !tables.checkpoint().map_err(sentence)? {
        return Err(sentences::being_read(path));
    }
    // Beside it, and not by a VACUUM in its place, which needs as much again for its log, and that for temporary files.
    claim.begin(|new| {
        let target = new.to_str().ok_or_else(|| sentences::cannot_open(path, &"its path is not UTF-8"))?;
        tables.execute("VACUUM INTO ?1", params![target]).map_err(sentence)?;
        let small = opening::made(new).map_err(sentence)?;
        // The file is the same one in another shape: its conversations go on in their epochs.
        if log.is_whole() && tables.last().map_err(sentence)?.inode == inode {
            let inode = file::inode(new).map_err(|error| sentences::cannot_open(path, &error))?;
            small.execute("UPDATE store SET inode = ?1", params![inode.cast_signed()]).map_err(sentence)?;
        } else {
            small.execute(schema::AS_A_COPY, []).map_err(sentence)?;
        }
        Ok::<_, String>(())
    })?;
    Ok(Copied { before, bytes: file::bytes(path), log: log.sentence() })
}

/// Opens a store to read it as it is now, whoever uses it.
fn open(path: &Path) -> Result<(Tables, Log), String> {
    let log = Log::seen(path)?;
    let tables = log.to_read(path).map_err(|error| Trouble::Sql(error).sentence(path))?;
    Ok((tables, log))
}

/// The same.
///
/// # Errors
/// One sentence that says what to do, also for tables of an earlier version.
pub(super) fn open_for_reading(path: &Path) -> Result<(Tables, Log), String> {
    let (tables, log) = open(path)?;
    match tables.version().map_err(|error| Trouble::Sql(error).sentence(path))? {
        schema::VERSION => Ok((tables, log)),
        version => Err(sentences::older(path, version)),
    }
}

/// Pages that are copied at once.
const PAGES_AT_ONCE: i32 = 256;
