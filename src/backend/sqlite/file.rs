//! The file of a store: whether it is one of Salon's, and that nobody else uses it.
//!
//! There are two locks. One is a file beside it (`salon.db-lock`), which holds the number of the process and is locked
//! as long as that lives; but that belongs to the path, as the log does, and a file may have several (hard links, a
//! file that is mounted in two containers). So the file itself is locked too, by `flock`, of which SQLite's own locks
//! know nothing on Linux. Those end when any descriptor of the file is closed in the process, so the one that has this
//! lock stays open, and what is to be known of the file while it is used is read by it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation, flock};

use super::clock::{Known, Side};
use super::schema;
use super::sentences::{being_read, cannot_open, disk_full, newer, without_file};
use super::stamp::Stamp;

/// A file that is ours alone until this is dropped.
#[derive(Debug)]
pub struct Claim {
    /// Where it is, without symbolic links.
    pub path: PathBuf,
    /// Those of its files that were not there when it was claimed.
    pub lacked: Vec<PathBuf>,
    /// The number of the last batch that is known to have been in the file that was used here last.
    pub noted: Option<i64>,
    /// The same without its log, when all of that had been moved into the file the last time.
    pub moved: Option<i64>,
    /// What was known of the time when it was used last.
    pub time: Option<Known>,
    /// Its log was there before it was claimed: from then on a reader may make an empty one.
    pub had_log: bool,
    /// It is noted that what was said last in it is missing.
    lost: bool,
    lock: File,
    /// The file, locked itself; behind those whose place it has taken, which SQLite may have open still.
    held: Vec<File>,
}

impl Claim {
    /// Claims the file; makes it, and the folder it lies in, if there is none. A file that is none of Salon's is not
    /// touched.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn take(path: &Path) -> Result<Self, String> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| cannot_open(path, &format!("{} cannot be made: {error}", folder.display())))?;
        }
        for _ in 0..CLAIM_TRIES {
            if let Some(claim) = Self::try_take(path, || ())? {
                return Ok(claim);
            }
        }
        Err(cannot_open(path, &"other processes make and remove it all the time"))
    }

    /// `None`: one of the files was removed or replaced when it had been opened and was not locked yet, so that others
    /// lock another one. `opened` is called between the two.
    pub(super) fn try_take(path: &Path, opened: impl FnOnce()) -> Result<Option<Self>, String> {
        look(path)?;
        let path = resolve(path)?;
        let had_log = beside(&path, "-wal").exists();
        let cannot = |error: std::io::Error| cannot(&path, &error);
        let held = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(cannot)?),
        };
        let lock_path = lock_of(&path);
        let mut made_lock = false;
        let lock = match private().create_new(true).read(true).open(&lock_path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                match private().read(true).open(&lock_path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    lock => lock.map_err(cannot)?,
                }
            }
            made => {
                let lock = made.map_err(cannot)?;
                made_lock = true;
                lock
            }
        };
        opened();
        let unmade = |sentence| {
            let is_ours = || flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if made_lock && is_ours() && is_at(&lock, &lock_path) {
                let _ = remove(&lock_path);
            }
            sentence
        };
        if let Some(file) = &held
            && !is_locked_by_us(file)
        {
            let sentence = user(&path).unwrap_or_else(|| cannot_open(&path, &"another program has it locked"));
            return Err(unmade(sentence));
        }
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(in_use(&path, &lock_path));
        }
        let is_same = held.as_ref().map_or(!path.exists(), |file| is_at(file, &path));
        if !is_same || !is_at(&lock, &lock_path) {
            return Ok(None);
        }
        if made_lock {
            hand_over(&lock, &path).map_err(unmade)?;
        }
        // From here on nobody else makes one of them.
        let lacked =
            files_of(&path).into_iter().filter(|file| if *file == lock_path { made_lock } else { !file.exists() });
        let Notes { noted, lost, moved, time } = notes(&lock_path);
        let held = Vec::from_iter(held);
        let claim = Self { lacked: lacked.collect(), noted, moved, time, had_log, lost, lock, held, path };
        claim.write_lock().map_err(|error| self::cannot(&claim.path, &error))?;
        Ok(Some(claim))
    }

    /// What there is, and that without a descriptor of its own.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn look(&self) -> Result<Found, String> {
        self.held.last().map_or_else(|| look(&self.path), |file| look_into(file, &self.path))
    }

    /// Has a file be made, beside its place and then brought there whole, so that one that was half made, because the
    /// machine stopped, is never taken for somebody else's. All of it is on the disk then, with the folders it lies in.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn begin<E: From<String>>(&mut self, make: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        let new = self.begin_new().map_err(E::from)?;
        let made = make(&new.path).and_then(|()| Ok(self.bring(new)?));
        if made.is_err() {
            // The disk may be full, and this is of no use to anybody.
            let _ = self.remove_unfinished();
        }
        made
    }

    /// The same of a store in which nothing is yet. What is noted beside its place is of that one when it comes there,
    /// and not of one that was removed: that it has batch 0, and all of it without a log.
    ///
    /// # Errors
    /// That it cannot be done; then what was noted is noted still.
    pub fn begin_store<E: From<String>>(&mut self, make: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        let new = self.begin_new().map_err(E::from)?;
        let before = (self.noted, self.moved, self.lost);
        let made = make(&new.path).and_then(|()| {
            (self.noted, self.moved, self.lost) = (Some(0), Some(0), false);
            self.write_lock().and_then(|()| self.sync_lock()).map_err(|error| cannot(&self.path, &error))?;
            Ok(self.bring(new)?)
        });
        if made.is_err() {
            let _ = self.remove_unfinished();
            if self.look() == Ok(Found::Nothing) {
                (self.noted, self.moved, self.lost) = before;
                let _ = self.write_lock();
            }
        }
        made
    }

    /// Makes an empty file beside the place, to be filled and then [brought](Self::bring) there. One that is not goes
    /// with the next claim that looks for [what is unfinished](Self::remove_unfinished).
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn begin_new(&self) -> Result<New, String> {
        let cannot = |error: std::io::Error| cannot(&self.path, &error);
        let log = beside(&self.path, "-wal");
        if fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
            return Err(match look(&self.path)? {
                Found::Nothing => without_file(&self.path, &log),
                // Messages are in it that the file has not, and one that takes its place would not have either.
                Found::Store => being_read(&self.path),
            });
        }
        self.remove_unfinished().map_err(cannot)?;
        remove(&beside(&self.path, "-journal")).map_err(cannot)?;
        let path = beside(&self.path, "-new");
        let file = private().create_new(true).read(true).open(&path).map_err(cannot)?;
        is_locked_by_us(&file);
        match hand_over(&file, &self.path) {
            Ok(()) => Ok(New { path, file }),
            Err(error) => {
                let _ = self.remove_unfinished();
                Err(error)
            }
        }
    }

    /// Brings such a file to its place, with nothing open that was opened by its first name.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn bring(&mut self, new: New) -> Result<(), String> {
        let path = self.path.clone();
        let cannot = |error: std::io::Error| cannot(&path, &error);
        // That the log is empty is on the disk before another file is beside it: what was in it is of no other.
        match File::open(beside(&path, "-wal")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            opened => opened.and_then(|log| log.sync_all()).map_err(cannot)?,
        }
        new.file.sync_all().and_then(|()| fs::rename(&new.path, &path)).map_err(cannot)?;
        self.held.push(new.file);
        // Folders that this or an earlier start has made, which may have ended amid it.
        path.ancestors().skip(1).try_for_each(sync_folder).map_err(cannot)
    }

    /// Notes beside the file, and on the disk, that this batch is in it, and that nothing of what it has given out can
    /// be given out again. A file that has fewer has been copied here from an earlier time, whatever inode it has.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn note_batch(&mut self, batch: i64) -> std::io::Result<()> {
        (self.noted, self.lost) = (Some(batch), false);
        self.write_lock().and_then(|()| self.sync_lock())
    }

    /// Notes beside the file that this batch is in it without its log, and on the disk: a file beside a log that has
    /// fewer is not the one that the log is of. `None`: nobody knows. It is not awaited that this is on the disk.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn note_moved(&mut self, batch: Option<i64>) -> std::io::Result<()> {
        match std::mem::replace(&mut self.moved, batch) == batch {
            true => Ok(()),
            false => self.write_lock(),
        }
    }

    /// Notes beside the file, and on the disk, that it has this batch and no log, before one is begun: a start that is
    /// killed behind that leaves a log of this file. What the file used here last is known to have had stays known.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn note_without_log(&mut self, batch: Option<i64>) -> std::io::Result<()> {
        if self.moved == batch {
            return Ok(());
        }
        self.noted = self.noted.max(self.moved);
        self.moved = batch;
        self.write_lock().and_then(|()| self.sync_lock())
    }

    /// Notes beside the file that this batch is in it or in its log, if no later one is noted: a file that has less
    /// with its log has lost something. It is not awaited that this is on the disk, where the batch may not be either.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn note_in_log(&mut self, batch: i64) -> std::io::Result<()> {
        match self.noted.replace(self.noted.map_or(batch, |noted| noted.max(batch))) == self.noted {
            true => Ok(()),
            false => self.write_lock(),
        }
    }

    /// Notes beside the file what is known of the time, to a minute. It is not awaited that this is on the disk.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn note_time(&mut self, known: Option<Known>) -> std::io::Result<()> {
        let minutes =
            |known: Option<Known>| known.map(|known| (known.time / 60_000, known.waited / 60_000, known.side));
        match minutes(std::mem::replace(&mut self.time, known)) == minutes(known) {
            true => Ok(()),
            false => self.write_lock(),
        }
    }

    /// The file that was claimed, wherever it is now.
    ///
    /// # Errors
    /// That it cannot be looked at.
    pub fn stamp(&self) -> std::io::Result<Stamp> {
        let held = self.held.last().ok_or(std::io::ErrorKind::NotFound)?;
        held.metadata().map(|found| Stamp::from(&found))
    }

    /// Notes beside the file, and on the disk, that what was said last in it is missing.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn note_loss(&mut self) -> std::io::Result<()> {
        self.lost = true;
        self.write_lock().and_then(|()| self.sync_lock())
    }

    /// Whether that is noted.
    pub fn notes_loss(&self) -> bool {
        self.lost
    }

    /// Writes the number of this process into the lock, and behind it what is noted: in place, in lines of fixed width,
    /// so that a process that ends amid it loses nothing of what was noted. What was moved stands beside the batch that
    /// is noted: a Salon that knows less notes that alone, perhaps of another file, and what was moved counts no more.
    fn write_lock(&self) -> std::io::Result<()> {
        let batch = self.noted.map_or(String::new(), |batch| batch.to_string());
        let moved = self.moved.map_or(String::new(), |moved| format!("{moved} {batch}"));
        let lost = if self.lost { LOST } else { "" };
        let time = self.time.map_or(String::new(), |it| it.time.to_string());
        let waited = self.time.map_or(String::new(), |it| match it.side {
            Side::Ahead => it.waited.to_string(),
            Side::Behind => format!("-{}", it.waited),
        });
        let process = std::process::id();
        let text = format!("{process:<10}\n{batch:<20}\n{lost:<4}\n{moved:<40}\n{time:<20}\n{waited:<20}\n");
        self.lock.write_all_at(text.as_bytes(), 0)
    }

    /// Has the names in its folder be on the disk.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn sync_folder(&self) -> std::io::Result<()> {
        sync_folder(self.folder())
    }

    fn sync_lock(&self) -> std::io::Result<()> {
        self.lock.sync_data()?;
        self.sync_folder()
    }

    /// Removes what is left of a file that was being made by a process that was killed: all that was said may be in
    /// it. Nobody else makes one as long as this is claimed.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn remove_unfinished(&self) -> std::io::Result<()> {
        let new = beside(&self.path, "-new");
        remove(&new).and_then(|()| remove(&beside(&new, "-journal")))
    }

    /// Writes the log again as it is, and syncs it: after a sync that failed the kernel counts as written what is not
    /// on the disk, and none that comes later would see to it.
    ///
    /// # Errors
    /// That it cannot be done.
    pub fn write_log_anew(&self) -> std::io::Result<()> {
        let log = match OpenOptions::new().read(true).write(true).open(beside(&self.path, "-wal")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let mut piece = vec![0; 64 << 10];
        let mut at = 0;
        loop {
            let len = log.read_at(&mut piece, at)?;
            if len == 0 {
                return log.sync_all();
            }
            log.write_all_at(&piece[..len], at)?;
            at += len as u64;
        }
    }

    /// Has what lies beside the file be readable and writable for those who may use it. What was made beside a file
    /// that could not be written to stays as it was made.
    ///
    /// # Errors
    /// One sentence that names what may not be used.
    pub fn allow_beside(&self) -> Result<(), String> {
        let Ok(file) = fs::metadata(&self.path) else { return Ok(()) };
        for beside in [beside(&self.path, "-wal"), beside(&self.path, "-shm")] {
            let Ok(found) = fs::metadata(&beside) else { continue };
            if found.mode() & 0o777 != file.mode() & 0o777 {
                let mode = fs::Permissions::from_mode(file.mode() & 0o777);
                if let Err(error) = fs::set_permissions(&beside, mode) {
                    log::debug!("{}: its mode stays: {error}", beside.display());
                }
            }
            usable(&self.path, &beside)?;
        }
        Ok(())
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// What tells the file from a copy of it.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn inode(&self) -> std::io::Result<u64> {
        inode(&self.path)
    }
}

/// A file that is being made beside the place of a store, and locked.
#[derive(Debug)]
pub struct New {
    /// Where it is until it is brought to its place.
    pub path: PathBuf,
    file: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A lock of nothing is of no use. A process that comes meanwhile does not get it: it is held still.
        let lock = lock_of(&self.path);
        if self.lacked.contains(&lock) && !self.path.exists() {
            let _ = remove(&lock);
        }
        // Not by the closing of the descriptors: a process that another thread has just begun has copies of them until
        // it becomes another program.
        for locked in self.held.iter().chain([&self.lock]) {
            let _ = flock(locked, FlockOperation::Unlock);
        }
    }
}

/// Whether an open file is what is there by this name.
fn is_at(file: &File, path: &Path) -> bool {
    let of = |found: std::io::Result<fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
    of(fs::metadata(path)).is_some_and(|there| Some(there) == of(file.metadata()))
}

/// Locks the file itself as long as this descriptor is open. `false`: somebody else has. Where locks may be those of
/// another machine, or of a system on which `flock` and SQLite's locks are one, there is only the lock beside it.
fn is_locked_by_us(file: &File) -> bool {
    if cfg!(not(target_os = "linux")) || is_elsewhere(file) {
        return true;
    }
    flock(file, FlockOperation::NonBlockingLockExclusive) != Err(rustix::io::Errno::WOULDBLOCK)
}

/// Whether the file lies on another machine, whose `flock` is one of bytes.
fn is_elsewhere(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::fstatfs(file).is_ok_and(|found| ON_THE_NETWORK.contains(&(found.f_type as u64 & 0xffff_ffff)));
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = file;
        false
    };
}

/// What tells a file from a copy of it.
///
/// # Errors
/// It is not there.
pub fn inode(path: &Path) -> std::io::Result<u64> {
    fs::metadata(path).map(|found| found.ino())
}

/// Has a file be made where there is none, which only its owner can read: beside its place first, so that what is
/// there is whole. Returns its bytes.
///
/// # Errors
/// One sentence that says what to do, and there is no file; also if there was one.
pub fn copy_to(path: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<u64, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{}: expected a path where nothing is, found a file; choose another path", path.display())
        }
        _ => format!("{}: it cannot be written ({error}); choose another path", path.display()),
    };
    if let Some(end) = end_beside(path) {
        return Err(format!(
            "{}: expected a name that does not end in {end}, found one by which a store knows a file of its own, and \
             may remove it; choose another path",
            path.display()
        ));
    }
    if path.symlink_metadata().is_ok() {
        return Err(cannot(std::io::ErrorKind::AlreadyExists.into()));
    }
    let new = beside(path, "-new");
    // Locked as long as it is being made.
    let _file = begin_copy(&new, cannot)?;
    let made = make(&new).and_then(|()| {
        File::open(&new).and_then(|file| file.sync_all()).map_err(cannot)?;
        // Unlike a rename it takes the place of no file.
        match fs::hard_link(&new, path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => fs::rename(&new, path).map_err(cannot),
            linked => linked.map_err(cannot),
        }
    });
    let _ = fs::remove_file(&new);
    made?;
    std::path::absolute(path).and_then(|path| path.parent().map_or(Ok(()), sync_folder)).map_err(cannot)?;
    Ok(fs::metadata(path).map_or(0, |found| found.len()))
}

/// Makes an empty file that nobody else makes a copy in, in the place of one that a process has begun and not ended.
fn begin_copy(new: &Path, cannot: impl Fn(std::io::Error) -> String) -> Result<File, String> {
    let begun = || {
        format!(
            "{}: expected a path where nothing is, found what another backup has begun, or another file; remove it if \
             nobody writes to it",
            new.display()
        )
    };
    let left = match File::open(new) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        opened => Some(opened.map_err(|_| begun())?),
    };
    // Where locks tell nothing, nobody knows whether somebody writes to it.
    if let Some(left) = left.filter(|left| cfg!(target_os = "linux") && !is_elsewhere(left) && is_copy(left)) {
        if !is_locked_by_us(&left) || !is_at(&left, new) {
            return Err(begun());
        }
        remove(&beside(new, "-journal")).and_then(|()| remove(new)).map_err(&cannot)?;
    }
    let file = private().create_new(true).read(true).open(new).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => begun(),
        _ => cannot(error),
    })?;
    // Somebody who came between the two takes it for one that is left, and has it.
    match is_locked_by_us(&file) && is_at(&file, new) {
        true => Ok(file),
        false => Err(begun()),
    }
}

/// Whether a file is what a copy that has not ended looks like: its first page comes last.
fn is_copy(file: &File) -> bool {
    let mut head = [0; 16];
    let read = file.metadata().is_ok_and(|found| found.is_file()).then(|| file.read_at(&mut head, 0));
    matches!(read, Some(Ok(_))) && (head == [0; 16] || head == *b"SQLite format 3\0")
}

/// Has the names in a folder be on the disk. One that may not be read was there before.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    match File::open(folder).map(|folder| folder.sync_all()) {
        // Not all file systems know it; those that do not have the name on the disk with the file.
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Gives a file that was just made for a store to those who may use the store: owner, group and mode are those of the
/// file that is there. Where none is, root gives a new one to the owner of the folder it lies in.
fn hand_over(made: &File, store: &Path) -> Result<(), String> {
    let own = made.metadata().map_err(|error| cannot_open(store, &error))?;
    let Ok(old) = fs::metadata(store) else {
        let folder = store.parent().and_then(|folder| fs::metadata(folder).ok());
        if let Some(folder) = folder.filter(|_| rustix::process::geteuid().is_root())
            && folder.uid() != own.uid()
        {
            // Root that may not do it has the file for itself.
            let _ = fchown(made, Some(folder.uid()), Some(folder.gid()));
        }
        return Ok(());
    };
    let (uid, gid) = (old.uid(), old.gid());
    let differs = |is: u32, was: u32| Some(was).filter(|_| is != was);
    fchown(made, differs(own.uid(), uid), differs(own.gid(), gid))
        .and_then(|()| made.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777)))
        .map_err(|error| not_to_be_given(store, (uid, gid), &error))
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or an empty file: a store can be made there.
    Nothing,
    /// A store, as far as its first page tells.
    Store,
}

/// Looks whether a store can be there, and changes nothing.
///
/// # Errors
/// One sentence that says what to do.
pub fn look(path: &Path) -> Result<Found, String> {
    match fs::metadata(path) {
        // That what should be its folder is a file is said by those who make it.
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        // A pipe would be waited for, and a device may do anything when it is opened.
        Ok(found) if !found.is_file() => {
            return Err(format!(
                "--store {}: expected a file, found something else; choose another path",
                path.display()
            ));
        }
        found => found.and_then(|_| File::open(path)),
    }
    .map_err(|error| cannot_open(path, &error))
    .and_then(|file| look_into(&file, path))
}

fn look_into(file: &File, path: &Path) -> Result<Found, String> {
    let mut head = [0; 100];
    let found = file.metadata().map_err(|error| cannot_open(path, &error))?;
    if found.len() == 0 {
        return Ok(Found::Nothing);
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u32, &byte| number << 8 | u32::from(byte));
    let read = file.read_exact_at(&mut head, 0).is_ok();
    let version = number(&head[60..64]);
    let is_ours = read && head.starts_with(b"SQLite format 3\0") && number(&head[68..72]) == schema::APPLICATION_ID;
    if !is_ours || version == 0 {
        return Err(format!(
            "--store {}: expected a database of Salon, found another file, which is left as it is; choose another path",
            path.display()
        ));
    }
    if version > schema::VERSION {
        return Err(newer(path, version));
    }
    Ok(Found::Store)
}

/// Looks whether a file can be made there, and the folders it lies in, and makes nothing.
///
/// # Errors
/// One sentence that says what to do.
pub fn can_be_made(path: &Path) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| cannot_open(path, &error))?;
    let nearest = path.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(&path);
    // By the dot a file in the place of a folder is told from a folder that may not be written.
    rustix::fs::access(nearest.join("."), Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| cannot_open(&path, &format!("{}: {error}", nearest.display())))
}

/// Looks whether a store that is there can be used, and changes nothing.
///
/// # Errors
/// One sentence that says what to do.
pub fn can_be_used(path: &Path) -> Result<(), String> {
    let path = resolve(path)?;
    can_be_made(&path)?;
    usable(&path, &path)?;
    let lock = lock_of(&path);
    for beside in [beside(&path, "-wal"), beside(&path, "-shm")].into_iter().filter(|beside| beside.exists()) {
        // Its mode is set right by whoever owns it.
        let is_own = fs::metadata(&beside).is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw());
        if !is_own {
            usable(&path, &beside)?;
        }
    }
    if lock.exists() {
        return usable(&path, &lock);
    }
    // It is made, and given to the owner of the file.
    let (Ok(old), user) = (fs::metadata(&path), rustix::process::geteuid()) else { return Ok(()) };
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    let inherited = folder.filter(|folder| folder.mode() & 0o2000 != 0).map(|folder| folder.gid());
    let group = inherited.unwrap_or(rustix::process::getegid().as_raw());
    let groups = rustix::process::getgroups().unwrap_or_default();
    let in_group = old.gid() == group || groups.iter().any(|group| group.as_raw() == old.gid());
    match user.is_root() || old.uid() == user.as_raw() && in_group {
        true => Ok(()),
        false => Err(not_to_be_given(&path, (old.uid(), old.gid()), &rustix::io::Errno::PERM)),
    }
}

/// That a file of a store can be read and written.
fn usable(store: &Path, file: &Path) -> Result<(), String> {
    rustix::fs::access(file, Access::READ_OK | Access::WRITE_OK)
        .map_err(|error| cannot_open(store, &format!("{}: {error}", file.display())))
}

fn not_to_be_given(store: &Path, (uid, gid): (u32, u32), why: &dyn std::fmt::Display) -> String {
    format!(
        "--store {}: what is made anew cannot be given to the user and group that have it now, {uid} and {gid} ({why}); \
         do this as the user that Salon runs as",
        store.display()
    )
}

/// The sentence for a file that is in use.
pub fn user(path: &Path) -> Option<String> {
    let path = resolve(path).ok()?;
    let lock_path = lock_of(&path);
    match File::open(&lock_path).is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err()) {
        true => Some(in_use(&path, &lock_path)),
        false => user_by_another_name(&path),
    }
}

/// The sentence for a file that is in use by another of its names: what was said last is in the log beside that one.
pub fn user_by_another_name(path: &Path) -> Option<String> {
    let path = resolve(path).ok()?;
    let file = File::open(&path).ok().filter(|file| !is_elsewhere(file))?;
    let is_free = flock(&file, FlockOperation::NonBlockingLockShared).is_ok();
    let lock = File::open(lock_of(&path));
    let is_ours = lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err());
    if cfg!(not(target_os = "linux")) || is_free || is_ours {
        return None;
    }
    let process = holder(&file).map_or("another process".into(), |number| format!("another Salon, process {number}"));
    Some(format!(
        "--store {}: it is in use by {process}, by another name of the file (a hard link, or a mount); use it by that \
         name, or stop that one and choose another path",
        path.display()
    ))
}

/// The process that has the file locked, if the kernel says so.
fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino();
    // 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF
    fs::read_to_string("/proc/locks").ok()?.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields.get(1) == Some(&"FLOCK") && fields.get(5)?.rsplit(':').next()?.parse() == Ok(inode);
        is_it.then(|| fields.get(4)?.parse().ok().filter(|&number| number > 0)).flatten()
    })
}

/// How many names a file has, as far as its file system knows.
pub fn names(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.nlink())
}

/// Whether a log lies beside a file.
pub fn has_log(path: &Path) -> bool {
    resolve(path).is_ok_and(|path| beside(&path, "-wal").exists())
}

/// What is noted in a lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// The number of the last batch that is known to have been in the file.
    pub noted: Option<i64>,
    /// What was said last in it is missing.
    pub lost: bool,
    /// The last batch that is known to have been in it without its log.
    pub moved: Option<i64>,
    /// What was known of the time.
    pub time: Option<Known>,
}

fn notes(lock: &Path) -> Notes {
    let text = fs::read_to_string(lock).unwrap_or_default();
    let mut lines = text.lines().skip(1).map(str::trim_end);
    let noted = lines.next().and_then(|batch| batch.parse().ok());
    let lost = lines.next() == Some(LOST);
    let moved = lines.next().and_then(|line| line.split_once(' ')).filter(|(_, of)| of.parse().ok() == noted);
    let moved = moved.and_then(|(batch, _)| batch.parse().ok());
    let mut ms = || lines.next().and_then(|ms| ms.parse::<i64>().ok());
    let time = ms().zip(ms()).map(|(time, waited)| Known {
        time: time.unsigned_abs(),
        waited: waited.unsigned_abs(),
        side: if waited < 0 { Side::Behind } else { Side::Ahead },
    });
    Notes { noted, lost, moved, time }
}

/// What is noted beside a file.
pub fn noted_beside(path: &Path) -> Notes {
    resolve(path).map_or_else(|_| Notes::default(), |path| notes(&lock_of(&path)))
}

/// Whether a log with anything in it lies beside a file.
pub fn has_filled_log(path: &Path) -> bool {
    resolve(path).is_ok_and(|path| fs::metadata(beside(&path, "-wal")).is_ok_and(|found| found.len() > 0))
}

/// Whether what those who use a file share lies beside it.
pub fn has_shared(path: &Path) -> bool {
    resolve(path).is_ok_and(|path| beside(&path, "-shm").exists())
}

/// The sentence for a file that has a log of another one beside it: as long as it keeps none itself, which a backup
/// does not until a server is started with it, no log can be its own.
pub fn log_of_another(path: &Path) -> Option<String> {
    let path = resolve(path).ok()?;
    let log = beside(&path, "-wal");
    // In this order, because a start has the file keep one before it writes to it.
    let is_empty = fs::metadata(&log).map_or(0, |found| found.len()) == 0;
    let mut keeps = [0; 2];
    File::open(&path).and_then(|file| file.read_exact_at(&mut keeps, 18)).ok()?;
    (!is_empty && keeps == [1, 1]).then(|| {
        format!(
            "--store {}: it is a backup or was just made, and the log beside it ({}) is of a file that was there \
             before; put that file back, of which the log has what was said last, or move that log away with its \
             -shm to go on with this file",
            path.display(),
            log.display()
        )
    })
}

/// Whether there is next to no room where a file lies: then an error of its disk is that.
pub fn has_no_room(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE_ROOM)
}

/// The sentence for an error of the system.
fn cannot(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => disk_full(path),
        _ => cannot_open(path, error),
    }
}

/// What the kernel calls the time since the machine has been started, if it tells.
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Whether one of its files cannot grow by a write, because files of this process may have only so many bytes.
pub fn is_at_limit(path: &Path) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    let nears = |limit: u64| {
        let len = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        let files = files_of(path).into_iter().chain([beside(path, "-new")]);
        files.map(|path| len(&path)).any(|len| len.saturating_add(LARGEST_WRITE) > limit)
    };
    limit.is_some_and(nears)
}

/// Bytes of the file and of what lies beside it.
pub fn bytes(path: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    len(path) + len(&beside(path, "-wal"))
}

fn in_use(path: &Path, lock: &Path) -> String {
    let process = fs::read_to_string(lock).ok().and_then(|text| text.lines().next().map(|line| line.trim().to_owned()));
    let process = process.map_or("another process".into(), |number| format!("another Salon, process {number}"));
    format!("--store {}: it is in use by {process}; stop that one, or choose another path", path.display())
}

/// The path without symbolic links and from the root, so that one file has one lock, and no name means something else
/// to SQLite.
pub fn resolve(path: &Path) -> Result<PathBuf, String> {
    let cannot = |error: std::io::Error| cannot_open(path, &error);
    if let Ok(path) = fs::canonicalize(path) {
        return Ok(path);
    }
    let path = std::path::absolute(path).map_err(cannot)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("--store {}: expected the path of a file", path.display()));
    };
    fs::canonicalize(folder).map(|folder| folder.join(name)).map_err(cannot)
}

/// What a start may need beside the file, in bytes: its log, and what readers share.
const LITTLE_ROOM: u64 = 128 << 10;

/// What SQLite writes at once, at most: a page, or a piece of what readers share.
const LARGEST_WRITE: u64 = 64 << 10;

/// The word in a lock for a file in which what was said last is missing.
const LOST: &str = "lost";

/// How often a claim is tried whose files others make and remove meanwhile.
const CLAIM_TRIES: usize = 16;

/// File systems of other machines, by the number that Linux has for them: NFS, CIFS, SMB.
#[cfg(target_os = "linux")]
const ON_THE_NETWORK: [u64; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42];

fn lock_of(path: &Path) -> PathBuf {
    beside(path, "-lock")
}

pub fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The end of a name, if it has one by which a store knows what lies beside its file: the store of the name before it
/// would take such a file for its own, and remove it when it is opened.
pub fn end_beside(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.as_encoded_bytes();
    ENDS_BESIDE.into_iter().find(|end| name.len() > end.len() && name.ends_with(end.as_bytes()))
}

/// What lies beside a store while it is in use, is made, or was not made whole.
const ENDS_BESIDE: [&str; 5] = ["-wal", "-shm", "-lock", "-new", "-journal"];

/// The files of a store: its own, and those that lie beside it while it is in use.
pub fn files_of(path: &Path) -> [PathBuf; 4] {
    [path.to_owned(), beside(path, "-wal"), beside(path, "-shm"), lock_of(path)]
}

/// Only its owner may read and write what is made.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that is begun has copies of all descriptors for a moment; they hold no claim that is given up.
    #[test]
    fn a_claim_ends_however_many_have_its_descriptors() {
        let folder = std::env::temp_dir().join(format!("salon-claim-{}", std::process::id()));
        let path = folder.join("salon.db");
        fs::create_dir_all(&folder).unwrap();
        for there in [false, true] {
            if there {
                fs::write(&path, "").unwrap();
            }
            let claim = Claim::take(&path).unwrap();
            let copies: Vec<File> =
                claim.held.iter().chain([&claim.lock]).map(|file| file.try_clone().unwrap()).collect();
            assert_eq!(copies.len(), 1 + usize::from(there));
            assert!(Claim::take(&path).unwrap_err().contains("in use by another Salon"));
            drop(claim);
            drop(Claim::take(&path).unwrap());
            drop(copies);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
