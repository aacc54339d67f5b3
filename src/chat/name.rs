//! Names of users and rooms: which are allowed, and how they are kept.
//!
//! A name is kept once and shared: a clone costs a reference count. It is compared byte by byte; there is no
//! folding of case and no normalization.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

/// The name of a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Why a name is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No byte at all.
    Empty,
    /// More than [`MAX_NAME_BYTES`] bytes.
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// A control character, or one that turns the direction of the text around it.
    Character(char),
    /// `*`, which means everybody.
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "a name has 1 to {MAX_NAME_BYTES} bytes, this one is empty"),
            Self::TooLong { bytes } => write!(f, "a name has 1 to {MAX_NAME_BYTES} bytes, this one has {bytes}"),
            Self::Character(found) => {
                let code = u32::from(found);
                write!(f, "a name has no control characters and no bidi overrides, this one has U+{code:04X}")
            }
            Self::Reserved => write!(f, "\"*\" means everybody and is no name"),
        }
    }
}

impl std::error::Error for NameError {}

fn check(name: &str) -> Result<(), NameError> {
    match name {
        "" => Err(NameError::Empty),
        "*" => Err(NameError::Reserved),
        _ if name.len() > MAX_NAME_BYTES => Err(NameError::TooLong { bytes: name.len() }),
        _ => repainting(name).map_or(Ok(()), |c| Err(NameError::Character(c))),
    }
}

/// The first character that is a control, or lets a text repaint the line it is shown in (U+202A to U+202E, U+2066 to U+2069).
pub(super) fn repainting(text: &str) -> Option<char> {
    text.chars().find(|&c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Checks a name and keeps it.
            ///
            /// # Errors
            /// When it breaks a rule of [`NameError`].
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check(name).map(|()| Self(name.into()))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(UserName);
name!(RoomName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "x".repeat(128);
        let too_long = "é".repeat(65);
        let rows: &[(&str, Result<(), NameError>)] = &[
            ("alice", Ok(())),
            (" ", Ok(())),
            ("Zoë, 日本", Ok(())),
            ("<script>", Ok(())),
            (&longest, Ok(())),
            (&too_long, Err(NameError::TooLong { bytes: 130 })),
            ("", Err(NameError::Empty)),
            ("*", Err(NameError::Reserved)),
            ("**", Ok(())),
            ("a\nb", Err(NameError::Character('\n'))),
            ("\u{1b}[31m", Err(NameError::Character('\u{1b}'))),
            ("a\u{85}", Err(NameError::Character('\u{85}'))),
            ("a\u{202e}b", Err(NameError::Character('\u{202e}'))),
            ("a\u{2066}b", Err(NameError::Character('\u{2066}'))),
            ("a\u{200d}b", Ok(())),
        ];
        for (name, expected) in rows {
            assert_eq!(RoomName::parse(name).map(|_| ()), *expected, "{name:?}");
            assert_eq!(UserName::parse(name).map(|_| ()), *expected, "{name:?}");
        }
    }
}
