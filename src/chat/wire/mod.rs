//! The words on the wire: requests read, answers written.
//!
//! [`request`] reads the JSON dialect (its JSON with `value`), [`order`] the calls of an operator. [`answer`] has the
//! messages of the server ([`entries`] those that are entries), written with [`json`], and [`spliced`] the one that is
//! hot; [`plain`] is the other dialect. Nothing here knows who is where.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::rules::Key;

/// Declares the values of a type with the word on the wire for each.
macro_rules! words {
    ($(#[$of_all:meta])* $vis:vis enum $name:ident { $($(#[$of_one:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$of_one])* $variant),* }

        impl $name {
            /// All of them; the place of one is its value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

pub(super) mod answer;
pub(super) mod entries;
pub(super) mod json;
pub(super) mod order;
pub(super) mod plain;
pub(super) mod request;
pub(super) mod set;
pub(super) mod spliced;
mod value;
pub(super) mod word;

/// The `id` of a request, by which the client knows the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub(super) enum Id<'a> {
    Text(Cow<'a, str>),
    Unsigned(u64),
    Negative(i64),
}

impl Id<'_> {
    pub fn into_owned(self) -> Id<'static> {
        match self {
            Self::Text(text) => Id::Text(text.into_owned().into()),
            Self::Unsigned(number) => Id::Unsigned(number),
            Self::Negative(number) => Id::Negative(number),
        }
    }
}

/// The longest string id, in bytes.
pub(super) const MAX_ID_BYTES: usize = 64;

words! {
    /// The code of an error. `docs/wire.md` has a row for each.
    pub enum Code {
        /// The text is not JSON.
        BadJson "bad_json",
        /// It is JSON, but no request.
        BadRequest "bad_request",
        /// A type that is not known.
        UnknownType "unknown_type",
        /// No token, or one that is not valid.
        Unauthorized "unauthorized",
        /// A token that has expired.
        TokenExpired "token_expired",
        /// The session has no right to it.
        Forbidden "forbidden",
        /// There is no such room.
        RoomNotFound "room_not_found",
        /// No user of that name has been here.
        UserNotFound "user_not_found",
        /// No message that is kept, or one that is deleted.
        NotFound "not_found",
        /// A room that the session is not in.
        NotJoined "not_joined",
        /// Longer than it may be.
        TooLarge "too_large",
        /// One room more than a session can be in.
        TooManyRooms "too_many_rooms",
        /// One user more than a room can hold.
        RoomFull "room_full",
        /// Too fast.
        RateLimited "rate_limited",
        /// Numbers have begun anew.
        EpochChanged "epoch_changed",
        /// No longer kept.
        HistoryGone "history_gone",
        /// Too much of something for the moment.
        Overloaded "overloaded",
        /// The message store did not answer.
        BackendDown "backend_down",
        /// The message store cannot do that.
        Unsupported "unsupported",
        /// A mistake of ours.
        Internal "internal",
    }
}

impl Code {
    /// Whether the same request can succeed later without anything else being changed by the client.
    pub fn retry(self) -> bool {
        matches!(self, Self::RoomFull | Self::RateLimited | Self::Overloaded | Self::BackendDown)
    }
}

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: Code,
    /// The expected and the found.
    pub message: Cow<'static, str>,
    pub retry_after: Option<Duration>,
    /// The time after which the session is closed for it.
    pub close_after: Option<Duration>,
    /// Which room of a list of rooms it is about.
    pub room: Option<Box<str>>,
    /// What is set for the room, if that is why.
    pub ruled: Option<Key>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None, close_after: None, room: None, ruled: None }
    }

    /// For what is set for a room.
    pub fn ruled(key: Key, message: &'static str) -> Self {
        Self { ruled: Some(key), ..Self::new(Code::Forbidden, message) }
    }
}

impl From<crate::backend::Overloaded> for Refusal {
    fn from(error: crate::backend::Overloaded) -> Self {
        Self::new(Code::Overloaded, error.to_string())
    }
}
