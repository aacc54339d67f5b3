//! Why a request is not served.
//!
//! How the client hears of it is in `refusing`, by which reason it is counted in [`super::refusals`].

use std::borrow::Cow;

use crate::chat::TokenError;
use crate::proto::handshake::RequestError;

use super::operators::Right;

/// Why a request is not served.
#[derive(Debug)]
pub enum EntryError {
    /// It breaks HTTP or the opening handshake.
    Request(RequestError),
    /// Nothing lives at that path.
    NotFound,
    /// The path exists, but not for that method.
    Method,
    /// A parameter that the door needs is missing or wrong: 400 with a sentence.
    Bad(Cow<'static, str>),
    /// A token is needed here, and there is none or one that is not valid: 401.
    Unauthorized(Option<TokenError>),
    /// The token is not for this room: 403.
    Room,
    /// A page of another site opened the connection: 403.
    Origin,
    /// The page is asked for by a name that is not known to be this server's: 421.
    Host,
    /// Salon is full, or memory was short when the connection came: 503.
    Full,
    /// Memory is short: 503.
    Memory,
    /// The address opens connections too fast: 429.
    TooFast,
    /// The address sends too many requests that open no WebSocket: 429.
    AskedTooFast,
    /// The server is about to stop: 503.
    Stopping,
    /// The key of the admin port is missing or wrong: 401.
    Key {
        /// Whether one was shown.
        shown: bool,
    },
    /// The operator whose key is shown may not do that: 403.
    Right(Right),
    /// It is a call with a mistake.
    Call(CallError),
    /// It asks for a page of the sessions that does not exist: 400.
    Page,
    /// It asks for a session that does not exist: 404.
    NoSession,
    /// A mistake of ours: 500.
    Mistake,
}

impl EntryError {
    /// Whether the caller on the admin port is none that may do this there, so that the connection ends.
    pub fn is_about_a_key(&self) -> bool {
        matches!(self, Self::Key { .. } | Self::Right(_) | Self::Call(CallError::Origin))
    }
}

impl From<CallError> for EntryError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Why a call is refused before it reaches the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// There is no such call.
    Unknown,
    /// Not POST.
    Method,
    /// Not JSON.
    MediaType,
    /// A body in another transfer coding than chunks.
    Coding,
    /// A body in chunks that is none.
    Chunks,
    /// A batch that is none, or has too many calls.
    Batch,
    /// A length that is no number, or more than one.
    BadLength,
    /// A body over [`MAX_BODY_BYTES`](super::api::MAX_BODY_BYTES).
    TooLarge,
    /// From a page of a browser.
    Origin,
}
