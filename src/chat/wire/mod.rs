//! The words on the wire: requests read, answers written.
//!
//! [`request`] reads the JSON dialect (its JSON with `value`), [`order`] what an operator writes in it, [`json`] and [`plain`] write
//! the two. Nothing here knows who is where.

use std::borrow::Cow;
use std::time::Duration;

pub(super) mod json;
pub(super) mod order;
pub(super) mod plain;
pub(super) mod request;
mod value;

/// What a client calls a request, to know the answer by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// What kind of mistake it was. `docs/wire.md` has a row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The text is not JSON.
    BadJson,
    /// It is, but no request.
    BadRequest,
    /// A type that is not known.
    UnknownType,
    /// No token, or one that does not hold.
    Unauthorized,
    /// A token that holds no more.
    TokenExpired,
    /// Not for who asks.
    Forbidden,
    /// There is no such room.
    RoomNotFound,
    /// Nobody of that name has been here.
    UserNotFound,
    /// A room that the session is not in.
    NotJoined,
    /// Longer than it may be.
    TooLarge,
    /// One room more than a session can be in.
    TooManyRooms,
    /// One user more than a room can hold.
    RoomFull,
    /// Too fast.
    RateLimited,
    /// Numbers have begun anew.
    EpochChanged,
    /// No longer kept.
    HistoryGone,
    /// Too much of something for the moment.
    Overloaded,
    /// The message store did not answer.
    BackendDown,
    /// A mistake of ours.
    Internal,
}

impl Code {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadRequest => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::RoomNotFound => "room_not_found",
            Self::UserNotFound => "user_not_found",
            Self::NotJoined => "not_joined",
            Self::TooLarge => "too_large",
            Self::TooManyRooms => "too_many_rooms",
            Self::RoomFull => "room_full",
            Self::RateLimited => "rate_limited",
            Self::EpochChanged => "epoch_changed",
            Self::HistoryGone => "history_gone",
            Self::Overloaded => "overloaded",
            Self::BackendDown => "backend_down",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request can succeed later without anything else being changed by the client.
    pub fn retry(self) -> bool {
        matches!(self, Self::RoomFull | Self::RateLimited | Self::Overloaded | Self::BackendDown)
    }
}

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: Code,
    /// What was expected and what was found.
    pub message: Cow<'static, str>,
    pub retry_after: Option<Duration>,
    /// After what time the session is closed for it.
    pub close_after: Option<Duration>,
    /// Which room of a list of rooms it is about.
    pub room: Option<Box<str>>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None, close_after: None, room: None }
    }
}

impl From<crate::backend::Overloaded> for Refusal {
    fn from(error: crate::backend::Overloaded) -> Self {
        Self::new(Code::Overloaded, error.to_string())
    }
}
