//! The texts of a client, checked by the rules for names and for texts that are shown beside a name.
//!
//! The rules are in `name`; here they become refusals. It does not check whether there is such a room or user.

use std::borrow::Cow;

use super::name::{NameError, RoomName, UserName, check_characters};
use super::roster::user::{Shows, Status};
use super::wire::{Code, Refusal};

/// Reads a part of a client's text, which touches nothing else; `None`: a mistake of ours.
pub(super) fn read_safely<T>(read: impl FnOnce() -> T + std::panic::UnwindSafe) -> Option<T> {
    std::panic::catch_unwind(read).ok()
}

/// Reads a room name that a client wrote.
pub(super) fn room_name(name: &str) -> Result<RoomName, Refusal> {
    RoomName::parse(name).map_err(|error| Refusal::new(Code::BadRequest, format!("`room_id`: {error}")))
}

/// Reads a user name that a client wrote.
pub(super) fn user_name(name: &str) -> Result<UserName, Refusal> {
    UserName::parse(name).map_err(|error| Refusal::new(Code::BadRequest, format!("`user_id`: {error}")))
}

/// There is no user of the name, and nothing is kept of one.
pub(super) fn unknown_user() -> Refusal {
    Refusal::new(Code::UserNotFound, "expected a user who has been here, found an unknown name")
}

/// The same words whether or not the room exists.
pub(super) fn not_joined() -> Refusal {
    Refusal::new(Code::NotJoined, "expected a room that this session has joined, found another one")
}

impl Shows {
    /// Reads a status and a note of an address.
    ///
    /// # Errors
    /// The expected and the found, if the status is no word for one or the note breaks the rules.
    pub fn parse(status: &str, note: Option<&str>) -> Result<Self, Cow<'static, str>> {
        read_status(status, note).map_err(|refusal| refusal.message)
    }
}

/// Reads a status and a note that a client wrote.
pub(super) fn read_status(status: &str, note: Option<&str>) -> Result<Shows, Refusal> {
    let Some(status) = Status::parse(status) else {
        let message = "`status`: expected online, away, busy or offline, found another word";
        return Err(Refusal::new(Code::BadRequest, message));
    };
    check_line("note", note, MAX_NOTE_BYTES)?;
    Ok(Shows { status, note: note.map(Into::into) })
}

/// Refuses a text to be shown beside a name that is longer than it may be, or has characters that no name may have:
/// notes, titles and topics, of clients and operators.
pub(super) fn check_line(field: &str, text: Option<&str>, limit: usize) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    if text.len() > limit {
        let message = format!("`{field}`: expected at most {limit} bytes, found {}", text.len());
        return Err(Refusal::new(Code::TooLarge, message));
    }
    // An empty text may be one, and so may `*`.
    let Err(error) = check_characters(text) else { return Ok(()) };
    let message = match error {
        NameError::Character(found) | NameError::Unseen(found) => {
            format!("`{field}`: expected characters that a name may have, found U+{:04X}", u32::from(found))
        }
        _ => format!("`{field}`: expected no space at either end, found one"),
    };
    Err(Refusal::new(Code::BadRequest, message))
}

/// The longest text that is shown beside a name, wherever it is from: each of its kinds has as much.
pub(super) const MAX_SHOWN_BYTES: usize = 256;

/// The longest note beside a status, in bytes.
const MAX_NOTE_BYTES: usize = 256;
