//! The log beside the file as SQLite reads it: whether all that was committed in it can be read.
//!
//! SQLite reads a log up to the first frame that does not fit to the ones before it, and says nothing: after a process
//! was killed amid a write that is the end of what was committed. If a commit of the same log lies behind it, somebody
//! has damaged what is between, or the machine stopped before that was on the disk.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::file::beside;

/// What is wrong with the log of a file, in one sentence.
pub fn fault(path: &Path) -> Option<String> {
    let log = beside(path, "-wal");
    let found = File::open(&log).and_then(|file| look(BufReader::with_capacity(1 << 16, file)));
    let at = match found {
        // It is said by those who open it.
        Err(_) | Ok(None) => return None,
        Ok(Some(at)) => at,
    };
    Some(format!(
        "its log ({}) cannot be read from byte {at} on, and there is more behind that; what was said last is missing",
        log.display()
    ))
}

/// Where it cannot be read any more, if more was committed behind that.
fn look(mut log: impl Read) -> std::io::Result<Option<u64>> {
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
    if !is_log || !(512..=1 << 16).contains(&page) || !page.is_power_of_two() {
        return Ok(Some(0));
    }
    let salt = &head[16..24];
    let mut frame = vec![0; FRAME + page as usize];
    let (mut at, mut broken) = (HEAD as u64, None);
    while fills(&mut log, &mut frame)? {
        let same_log = frame[8..16] == *salt;
        if broken.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME..]);
            let fits = same_log && sum.sums == [number(&frame[16..20]), number(&frame[20..24])];
            broken = (!fits).then_some(at);
        } else if same_log && number(&frame[4..8]) > 0 {
            return Ok(broken);
        }
        at += frame.len() as u64;
    }
    Ok(None)
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

/// Bytes before its first frame, and those of a frame before its page.
const HEAD: usize = 32;
const FRAME: usize = 24;
