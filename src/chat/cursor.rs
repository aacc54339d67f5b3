//! Places in a list for those who are not to know what stands there.
//!
//! A page of a list ends where enough was looked at, and that may be at a name that is kept from the one who asks. Its
//! `next` has the name then, and nobody but this server can read it.

use std::borrow::Cow;
use std::fmt::Write;
use std::hash::BuildHasher;

use super::wire::{Code, Refusal};
use crate::random::Keyed;

/// Seals and opens names. Each server has a key of its own, so a cursor ends with it.
#[derive(Debug)]
pub(super) struct Cursors(Keyed);

impl Cursors {
    pub fn new(keyed: Keyed) -> Self {
        Self(keyed)
    }

    /// A cursor behind that name, which does not tell it, nor how long it is to a few bytes.
    pub fn seal(&self, name: &str) -> String {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        let tag = self.0.hash_one((Of::Tag, &bytes));
        self.cover(tag, &mut bytes);
        let mut sealed = format!("{MARK}{tag:016x}");
        for byte in bytes {
            let _ = write!(sealed, "{byte:02x}");
        }
        sealed
    }

    /// The name that a list goes on behind: that of a cursor which is one, or the one that is sealed in it.
    ///
    /// # Errors
    /// It looks like a sealed one, and is none of this server's.
    pub fn open<'a>(&self, cursor: &'a str) -> Result<Cow<'a, str>, Refusal> {
        let Some(sealed) = cursor.strip_prefix(MARK) else { return Ok(cursor.into()) };
        self.unseal(sealed)
            .map(Cow::Owned)
            .ok_or_else(|| Refusal::new(Code::BadRequest, "`cursor`: expected the last `next`, found another text"))
    }

    fn unseal(&self, sealed: &str) -> Option<String> {
        let (tag, covered) = sealed.split_at_checked(2 * size_of::<u64>())?;
        let tag = u64::from_str_radix(tag, 16).ok()?;
        let digits = covered.as_bytes().chunks(2);
        let mut bytes = digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()?;
        self.cover(tag, &mut bytes);
        if self.0.hash_one((Of::Tag, &bytes)) != tag {
            return None;
        }
        // No name has such a byte.
        let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        bytes.truncate(len);
        String::from_utf8(bytes).ok()
    }

    /// Covers what is open, and uncovers what is covered.
    fn cover(&self, tag: u64, bytes: &mut [u8]) {
        for (at, block) in bytes.chunks_mut(size_of::<u64>()).enumerate() {
            let cover = self.0.hash_one((Of::Cover, tag, at)).to_le_bytes();
            block.iter_mut().zip(cover).for_each(|(byte, cover)| *byte ^= cover);
        }
    }
}

/// What is hashed, so that nothing that is seen of one says anything of the other.
#[derive(Hash)]
enum Of {
    Tag,
    Cover,
}

/// No name begins so.
const MARK: char = ' ';

/// Names are filled up to a multiple of this, in bytes.
const BLOCK_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_sealed_is_opened_and_by_nobody_else() {
        let (ours, theirs) = (Cursors::new(Random::secret().keyed()), Cursors::new(Random::secret().keyed()));
        for name in ["x", "den", "caf\u{e9}", &"a".repeat(31), &"a".repeat(32), &"a".repeat(128)] {
            let sealed = ours.seal(name);
            assert_eq!(ours.open(&sealed).unwrap(), name);
            assert_eq!(ours.seal(name), sealed);
            assert!(name.len() == 1 || !sealed.contains(name));
            assert!(theirs.open(&sealed).is_err());
            for at in 1..sealed.len() {
                let mut wrong = sealed.clone().into_bytes();
                wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
                assert!(ours.open(std::str::from_utf8(&wrong).unwrap()).is_err(), "{at}");
            }
        }
        assert_eq!(ours.seal("den").len(), ours.seal("a longer name").len());
    }

    #[test]
    fn what_is_not_sealed_is_a_name() {
        let cursors = Cursors::new(Random::secret().keyed());
        assert_eq!(cursors.open("den").unwrap(), "den");
        assert_eq!(cursors.open("").unwrap(), "");
        for wrong in [" ", " den", " 0123456789abcdef", " 0123456789abcdef0", " 0123456789abcdef\u{e9}\u{e9}"] {
            assert_eq!(cursors.open(wrong).unwrap_err().code, Code::BadRequest, "{wrong}");
        }
    }
}
