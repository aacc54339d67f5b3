//! The log beside the file as SQLite reads it: whether all that was committed in it can be read.
//!
//! SQLite reads a log up to the first frame that does not fit to the ones before it, and says nothing: after a process
//! was killed amid a write that is the end of what was committed. If a commit of the same log lies behind it, somebody
//! has damaged what is between, or the machine stopped before that was on the disk. Where each commit is on the disk
//! before the next one begins, the machine can have left one behind, and not two.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::file::beside;

/// A log that cannot be read to its end, though more was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    log: PathBuf,
    /// The first byte that cannot be read.
    at: u64,
    behind: Behind,
}

/// The commits that lie behind that byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// One, which may have been on its way to the disk when the machine stopped.
    One,
    /// More, or nobody knows.
    More,
}

impl Broken {
    /// Whether nobody was told of what is missing: the machine has stopped, and in a mode in which no commit begins
    /// before the last one is on the disk (`power`). `last_boot` is what the file says of that start of it, as far as
    /// it can be read, `boot` is this one.
    pub fn is_untold(&self, power: bool, last_boot: Option<&str>, boot: Option<&str>) -> bool {
        let is_other_boot = boot.is_some() && last_boot.is_some() && last_boot != boot;
        self.behind == Behind::One && power && is_other_boot
    }

    /// What is wrong, in one sentence.
    pub fn sentence(&self, is_untold: bool) -> String {
        let Self { log, at, .. } = self;
        match is_untold {
            true => format!(
                "its log ({}) ends at byte {at}, in what was being written when the machine stopped, of which nobody was \
                 told",
                log.display()
            ),
            false => format!(
                "its log ({}) cannot be read from byte {at} on, and there is more behind that; what was said last is \
                 missing",
                log.display()
            ),
        }
    }
}

/// What is wrong with the log of a file, if anything is.
pub fn fault(path: &Path) -> Option<Broken> {
    let log = beside(path, "-wal");
    let found = File::open(&log).and_then(|file| look(BufReader::with_capacity(1 << 16, file)));
    // That it cannot be opened or read is said by those who open it.
    let (at, behind) = found.ok().flatten()?;
    Some(Broken { log, at, behind })
}

/// The log of a file that is in use, and the index of it that those share who have the file open (`-shm`).
///
/// Locks of SQLite in this process end when any descriptor of the index is closed: this is to be dropped behind the
/// connection.
#[derive(Debug)]
pub struct InUse {
    log: File,
    /// The last one is that which is there; before it those that were.
    indexes: Vec<File>,
}

impl InUse {
    /// Of a file that is open.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self { log: File::open(beside(path, "-wal"))?, indexes: vec![File::open(beside(path, "-shm"))?] })
    }

    /// The same file was opened anew.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn renew(&mut self, path: &Path) -> std::io::Result<()> {
        self.log = File::open(beside(path, "-wal"))?;
        let index = beside(path, "-shm");
        let there = std::fs::metadata(&index)?.ino();
        let held = self.indexes.last().and_then(|index| index.metadata().ok()).map(|index| index.ino());
        if held != Some(there) {
            self.indexes.push(File::open(&index)?);
        }
        Ok(())
    }

    /// What tells the log from others in its place.
    ///
    /// # Errors
    /// That it cannot be looked at.
    pub fn inode(&self) -> std::io::Result<u64> {
        self.log.metadata().map(|found| found.ino())
    }

    /// Whether the last commit that the index knows of is in the log, at its place. Where the index is being written
    /// to, or has nothing to say, it is.
    ///
    /// # Errors
    /// That one of them cannot be read.
    pub fn has_last_commit(&self) -> std::io::Result<bool> {
        for _ in 0..INDEX_TRIES {
            let Some(index) = self.index()? else { continue };
            let [frames, first, second] = [16, 24, 28].map(|at| word(&index, at));
            let page = u16::from_ne_bytes([index[14], index[15]]);
            let page = if page == 1 { 1 << 16 } else { u64::from(page) };
            if index[12] == 0 || frames == 0 {
                return Ok(true);
            }
            let at = HEAD as u64 + u64::from(frames - 1) * (FRAME as u64 + page);
            let mut frame = [0; FRAME];
            let is_there = match self.log.read_exact_at(&mut frame, at) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
                read => read.map(|()| true)?,
            };
            let sums = [first.to_be_bytes(), second.to_be_bytes()].concat();
            if is_there && frame[4..8] != [0; 4] && frame[8..16] == index[32..40] && frame[16..24] == sums {
                return Ok(true);
            }
            // Unless another log was begun meanwhile.
            if self.index()? == Some(index) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How the index begins, in the order of bytes of this machine; `None`: it is being written to.
    fn index(&self) -> std::io::Result<Option<[u8; INDEX_HEAD]>> {
        let mut twice = [[0; INDEX_HEAD]; 2];
        let index = self.indexes.last().ok_or(std::io::ErrorKind::NotFound)?;
        index.read_exact_at(twice.as_flattened_mut(), 0)?;
        Ok(Some(twice[0]).filter(|head| *head == twice[1]))
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_ne_bytes(*word))
}

/// Where it cannot be read any more, if more was committed behind that.
fn look(mut log: impl Read) -> std::io::Result<Option<(u64, Behind)>> {
    let mut head = [0; HEAD];
    if !fills(&mut log, &mut head)? {
        // It was being begun.
        return Ok(None);
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u32, &byte| number << 8 | u32::from(byte));
    let is_big = number(&head[..4]) == MAGIC | 1;
    let page = number(&head[8..12]);
    let mut sum = Sum { is_big, sums: [0, 0] };
    sum.add(&head[..24]);
    let is_log = number(&head[..4]) & !1 == MAGIC && sum.sums == [number(&head[24..28]), number(&head[28..])];
    if !is_log || !PAGES.contains(&page) || !page.is_power_of_two() {
        // It is on the disk before a frame is written, so that what lies behind it was committed once.
        let holds_frame = fills(&mut log, &mut [0; FRAME + *PAGES.start() as usize])?;
        return Ok(holds_frame.then_some((0, Behind::More)));
    }
    let salt = &head[16..24];
    let mut frame = vec![0; FRAME + page as usize];
    let (mut at, mut broken, mut behind) = (HEAD as u64, None, None);
    while fills(&mut log, &mut frame)? {
        let same_log = frame[8..16] == *salt;
        if broken.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME..]);
            let fits = same_log && sum.sums == [number(&frame[16..20]), number(&frame[20..24])];
            broken = (!fits).then_some(at);
        } else if same_log && number(&frame[4..8]) > 0 {
            behind = Some(behind.map_or(Behind::One, |_| Behind::More));
        }
        at += frame.len() as u64;
    }
    Ok(broken.zip(behind))
}

/// Reads so many bytes; `false`: there are not as many.
fn fills(log: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// The sum of all that has come, as SQLite has it.
struct Sum {
    is_big: bool,
    sums: [u32; 2],
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |bytes: [u8; 4]| if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let [mut one, mut other] = self.sums;
        for &[a, b, c, d, e, f, g, h] in bytes.as_chunks().0 {
            one = one.wrapping_add(word([a, b, c, d])).wrapping_add(other);
            other = other.wrapping_add(word([e, f, g, h])).wrapping_add(one);
        }
        self.sums = [one, other];
    }
}

/// How a log begins, but for the last bit, which tells the order of bytes in its sums.
const MAGIC: u32 = 0x377f_0682;

/// Bytes that a page can have.
const PAGES: std::ops::RangeInclusive<u32> = 512..=1 << 16;

/// Bytes before its first frame, and those of a frame before its page.
const HEAD: usize = 32;
const FRAME: usize = 24;

/// Bytes of the head of the index, which is there twice. SQLite documents them (walformat.html): how many frames there
/// are at 16, the sums of the last one at 24, the salt of the log at 32.
const INDEX_HEAD: usize = 48;

/// How often the index is read while somebody writes to it.
const INDEX_TRIES: usize = 8;

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;
    use crate::backend::sqlite::tests::Folder;

    /// A database as it is while the log of so many commits lies beside it; before them the log had others, which are
    /// in the database. Returns the log.
    fn write(path: &Path, page: u32, before: usize, commits: usize) -> Vec<u8> {
        let base = Connection::open(path).unwrap();
        base.execute_batch(&format!(
            "PRAGMA page_size = {page}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x);
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .unwrap();
        let insert = |_| assert_eq!(base.execute("INSERT INTO t VALUES (zeroblob(3 * ?1))", [page]).unwrap(), 1);
        (0..before).for_each(insert);
        if before > 0 {
            base.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        }
        (0..commits).for_each(insert);
        // When it is closed the log is moved into it.
        fs::copy(path, beside(path, "-copy")).unwrap();
        fs::read(beside(path, "-wal")).unwrap()
    }

    /// The same log with sums of the other order of bytes, as a machine of that order writes it.
    fn of_the_other_order(log: &[u8]) -> Vec<u8> {
        let mut log = log.to_vec();
        let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        let is_big = log[3] & 1 == 0;
        let page = word(&log[8..12]) as usize;
        let mut sums = [0_u32; 2];
        let mut add = |bytes: &[u8]| {
            for (n, four) in bytes.chunks_exact(4).enumerate() {
                let four: [u8; 4] = four.try_into().unwrap();
                let number = if is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) };
                sums[n % 2] = sums[n % 2].wrapping_add(number).wrapping_add(sums[(n + 1) % 2]);
            }
            sums.map(u32::to_be_bytes).concat()
        };
        log[3] ^= 1;
        let sum = add(&log[..24]);
        log[24..32].copy_from_slice(&sum);
        for at in (HEAD..log.len()).step_by(FRAME + page) {
            let head = log[at..at + 8].to_vec();
            add(&head);
            let sum = add(&log[at + FRAME..at + FRAME + page]);
            log[at + 16..at + 24].copy_from_slice(&sum);
        }
        log
    }

    /// Logs of any page size and order of bytes, whole and begun anew over old frames, are read as SQLite reads them; a
    /// byte that is another one is found, and how many commits lie behind it.
    #[test]
    fn logs_of_every_shape() {
        for (page, before, other_order) in
            [512, 4096, 65_536].into_iter().flat_map(|page| [(page, 0, false), (page, 0, true), (page, 9, false)])
        {
            let case = format!("page {page}, {before} before, other order {other_order}");
            let folder = Folder::new();
            let path = folder.options().path;
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut log = write(&path, page, before, 4);
            if other_order {
                log = of_the_other_order(&log);
            }
            assert_eq!(look(&*log).unwrap(), None, "{case}");
            // All of it is there for SQLite.
            let copy = beside(&path, "-copy");
            fs::write(beside(&copy, "-wal"), &log).unwrap();
            let count = "SELECT count(*) FROM t";
            let rows: isize = Connection::open(&copy).unwrap().query_row(count, [], |row| row.get(0)).unwrap();
            assert_eq!(rows, before as isize + 4, "{case}");
            // The first frame of each commit of this log.
            let (frame, mut begins, mut firsts) = (FRAME + page as usize, HEAD, Vec::new());
            for at in (HEAD..log.len()).step_by(frame).take_while(|&at| log[at + 8..at + 16] == log[16..24]) {
                if log[at + 4..at + 8] != [0; 4] {
                    assert!(at > begins, "{case}: a commit has several frames");
                    firsts.push(begins);
                    begins = at + frame;
                }
            }
            assert_eq!(firsts.len(), 4, "{case}");
            for (n, &first) in firsts.iter().enumerate() {
                for at in [first, first + 9, first + 17, first + frame - 1] {
                    let mut harmed = log.clone();
                    harmed[at] ^= 0x10;
                    let behind = if n == 3 { Behind::One } else { Behind::More };
                    assert_eq!(look(&*harmed).unwrap(), Some((first as u64, behind)), "{case}, byte {at}");
                }
            }
            // Its head is read before all else; alone it has nothing to lose.
            for at in [0, 8, 16, 24] {
                let mut harmed = log.clone();
                harmed[at] ^= 0x10;
                assert_eq!(look(&*harmed).unwrap(), Some((0, Behind::More)), "{case}, byte {at}");
                assert_eq!(look(&harmed[..HEAD]).unwrap(), None, "{case}, byte {at}");
            }
            // A commit that was not written to its end.
            assert_eq!(look(&log[..log.len() - 1]).unwrap(), None, "{case}");
        }
    }
}
