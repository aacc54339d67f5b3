//! Names of users and rooms: which are allowed, and how they are kept.
//!
//! A name is kept once and shared: a clone costs a reference count. It is kept in one normal form (NFC), so that two
//! spellings of it are one name, and has no invisible characters. Then it is compared byte by byte: `Bob` and `bob` are
//! two, and so are names that only look alike in two scripts: clients show that they differ.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The name of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

/// The name of a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// How many bytes may be written for a name, whose normal form is shorter than it may be otherwise.
const MAX_WRITTEN_BYTES: usize = 4 * MAX_NAME_BYTES;

/// Why a text is no name.
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
    /// An invisible character, another space than U+0020 and U+3000, or a code point that is no character.
    Unseen(char),
    /// A space at the beginning or the end.
    Space,
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
            Self::Unseen(found) => {
                let code = u32::from(found);
                write!(f, "a name has only characters that are seen, and plain spaces, this one has U+{code:04X}")
            }
            Self::Space => write!(f, "a name has no space at either end, this one has"),
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
        _ => check_characters(name),
    }
}

/// Whether a text has only characters that a name may have, where a name may have them. It is the one rule for all
/// texts of one line: names, notes, titles.
pub(super) fn check_characters(line: &str) -> Result<(), NameError> {
    match (repainting(line), unseen(line)) {
        (Some(c), _) => Err(NameError::Character(c)),
        (None, Some(c)) => Err(NameError::Unseen(c)),
        _ if line.starts_with(char::is_whitespace) || line.ends_with(char::is_whitespace) => Err(NameError::Space),
        _ => Ok(()),
    }
}

/// A text in normal form C. A text that is much too long for a name is left as it is, and refused.
pub(super) fn normal(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || text.len() > MAX_WRITTEN_BYTES || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text;
    }
    text.nfc().collect::<String>().into()
}

/// The first invisible character: Unicode's Default_Ignorable_Code_Point, noncharacters, line and paragraph separators,
/// and spaces other than U+0020 and U+3000. Joiners and variation selectors pass where they change the display.
fn unseen(name: &str) -> Option<char> {
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let ignorable = matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
        let no_character = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
        let space = c.is_whitespace() && !matches!(c, ' ' | '\u{3000}');
        let changes_its_neighbours = match c {
            '\u{200c}' | '\u{200d}' if joins(before, next) => true,
            '\u{200d}' => before.is_some_and(|c| is_picture(c) || c == '\u{fe0f}') && next.is_some_and(is_picture),
            '\u{fe0f}' => before.is_some_and(is_picture) || is_keycap(before, next),
            _ => false,
        };
        if (ignorable || no_character || space) && !changes_its_neighbours {
            return Some(c);
        }
        before = Some(c);
    }
    None
}

/// Between two letters of the Arabic script, or of one of India, a joiner shows.
fn joins(before: Option<char>, next: Option<char>) -> bool {
    let script = |c: char| match c {
        '\u{600}'..='\u{8ff}' => Some(0),
        '\u{900}'..='\u{dff}' => Some(1),
        _ => None,
    };
    let (before, next) = (before.and_then(script), next.and_then(script));
    before.is_some() && before == next
}

/// A character that may be an emoji, whose form U+FE0F and U+200D decide.
pub(super) fn is_picture(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{27ff}'
        | '\u{2900}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether U+FE0F stands between a key and U+20E3.
fn is_keycap(before: Option<char>, next: Option<char>) -> bool {
    matches!(before, Some('0'..='9' | '#' | '*')) && next == Some('\u{20e3}')
}

/// The first character that is a control, or lets a text repaint the line it is shown in (U+202A to U+202E, U+2066 to
/// U+2069).
fn repainting(text: &str) -> Option<char> {
    text.chars().find(|&c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Checks a name and keeps it, in its normal form. There is no other way to make one.
            ///
            /// # Errors
            /// When it breaks a rule of [`NameError`].
            pub fn parse(name: &str) -> Result<Self, NameError> {
                let name = normal(name.into());
                check(&name).map(|()| Self((&*name).into()))
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
#[path = "../../tests/cases/cases.rs"]
mod cases;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The rows of `tests/cases/names.json`, which the page and other clients are held to as well.
    #[test]
    fn names() {
        let rows: Vec<Value> = serde_json::from_str(include_str!("../../tests/cases/names.json")).unwrap();
        for row in &rows {
            let name = cases::text(&row["name"]);
            let kept = if row["kept"].is_null() { name.clone() } else { cases::text(&row["kept"]) };
            let expected = row["refused"].as_str().map_or(Ok(kept), |refused| Err(refused.to_owned()));
            let user = UserName::parse(&name).map(|user| user.as_str().to_owned());
            assert_eq!(user.map_err(|error| error.to_string()), expected, "{name:?}");
            let room = RoomName::parse(&name).map(|room| room.as_str().to_owned());
            assert_eq!(room.map_err(|error| error.to_string()), expected, "{name:?}");
        }
    }

    /// One name, in whatever form it is written; the limit is that of the normal form.
    #[test]
    fn one_normal_form() {
        assert_eq!(RoomName::parse("Zoe\u{308}"), RoomName::parse("Zo\u{eb}"));
        assert_ne!(UserName::parse("Bob"), UserName::parse("bob"));
        assert_ne!(UserName::parse("\u{430}lice"), UserName::parse("alice"));
    }
}
