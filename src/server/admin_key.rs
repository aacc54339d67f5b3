//! A key of the admin port: a caller that shows it is an operator.
//!
//! It is read at the start and at SIGHUP, compared in constant time, and shown nowhere: neither in errors nor by
//! `Debug`.

use std::fmt;

use subtle::ConstantTimeEq;

/// A key that is long enough.
#[derive(Clone)]
pub struct AdminKey(Box<[u8]>);

/// Why a file or variable holds no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminKeyError {
    /// Less than [`MIN_KEY_BYTES`].
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// More than [`MAX_KEY_BYTES`].
    TooLong,
    /// Something other than printable ASCII without spaces, which is all that can stand in a header.
    Character,
}

impl fmt::Display for AdminKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { bytes } => write!(f, "expected a key of at least {MIN_KEY_BYTES} bytes, found {bytes}"),
            Self::TooLong => write!(f, "expected a key of at most {MAX_KEY_BYTES} bytes, found a longer one"),
            Self::Character => {
                write!(
                    f,
                    "expected a key of printable ASCII without spaces (nor a byte order mark), found another character"
                )
            }
        }
    }
}

impl std::error::Error for AdminKeyError {}

impl AdminKey {
    /// Reads a key; line ends around it are left out.
    ///
    /// # Errors
    /// When the bytes are no key.
    pub fn read(bytes: &[u8]) -> Result<Self, AdminKeyError> {
        let key = bytes.trim_ascii();
        match key.len() {
            _ if !key.iter().all(u8::is_ascii_graphic) => Err(AdminKeyError::Character),
            bytes if bytes < MIN_KEY_BYTES => Err(AdminKeyError::TooShort { bytes }),
            bytes if bytes > MAX_KEY_BYTES => Err(AdminKeyError::TooLong),
            _ => Ok(Self(key.into())),
        }
    }

    /// Whether that is the key. The time it takes reveals only whether the length is the same.
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(shown).into()
    }

    /// Whether both are one key.
    pub fn same(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(..)")
    }
}

/// The shortest key, in bytes.
pub const MIN_KEY_BYTES: usize = 16;

/// The longest key, in bytes: with its header it must fit into a line.
pub const MAX_KEY_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let key = AdminKey::read(b"0123456789abcdef\r\n").unwrap();
        for (shown, expected) in [
            ("0123456789abcdef", true),
            ("0123456789abcdeF", false),
            ("0123456789abcde", false),
            ("0123456789abcdef0", false),
            ("", false),
        ] {
            assert_eq!(key.is(shown.as_bytes()), expected, "{shown}");
        }
        assert!(!format!("{key:?}").contains("0123"));
        for (bytes, error) in [
            (&b"0123456789abcde"[..], AdminKeyError::TooShort { bytes: 15 }),
            (b"", AdminKeyError::TooShort { bytes: 0 }),
            (b"0123456789 abcdef", AdminKeyError::Character),
            (b"0123456789\xffabcdef", AdminKeyError::Character),
            (b"\xef\xbb\xbf0123456789abcdef", AdminKeyError::Character),
            (&[b'x'; 1025], AdminKeyError::TooLong),
        ] {
            assert_eq!(AdminKey::read(bytes).unwrap_err(), error);
        }
    }
}
