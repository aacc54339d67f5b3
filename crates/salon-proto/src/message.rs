//! What a side may send: values that can be nothing else, and the error of a moment in which they may not be sent.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::close::CloseCode;
use crate::frame::MAX_CONTROL_PAYLOAD;

/// A whole message, or a ping or pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, which is UTF-8 by its type.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
    /// A question whether the peer is still there (section 5.5.2).
    Ping(Control<'a>),
    /// The answer to a ping, with the bytes of that ping, or a sign of life that nobody asked for (section 5.5.3).
    Pong(Control<'a>),
}

/// What a side sends, or a message that it has received, with bytes of its own: for queues, streams and sinks.
///
/// The stream of an adapter brings `Text` and `Binary` alone: pings and a Close have been answered. An owner that is to
/// know why the peer closed reads events (`WebSocket::read`). The sink takes all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedMessage {
    /// Text.
    Text(String),
    /// Any bytes.
    Binary(Vec<u8>),
    /// A question whether the peer is still there (section 5.5.2).
    Ping(OwnedControl),
    /// The answer to a ping, or a sign of life (section 5.5.3).
    Pong(OwnedControl),
    /// The start of the closing handshake, with a code and a reason or without (section 7.1.2).
    Close(Option<(CloseCode, String)>),
}

impl OwnedMessage {
    /// The message, ping or pong, to be sent; `None` if it is a Close, which `Connection::close` sends.
    pub fn message(&self) -> Option<Message<'_>> {
        Some(match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(data) => Message::Binary(data),
            Self::Ping(body) => Message::Ping(body.borrow()),
            Self::Pong(body) => Message::Pong(body.borrow()),
            Self::Close(_) => return None,
        })
    }
}

/// A [`Control`] that owns its bytes: at most 125 of them.
///
/// ```
/// use salon_proto::{Control, OwnedControl};
///
/// let body = Control::new(b"are you there?").expect("it is short");
/// assert_eq!(OwnedControl::from(body).borrow(), body);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedControl(Vec<u8>);

impl OwnedControl {
    /// The body, to be sent.
    pub fn borrow(&self) -> Control<'_> {
        Control(&self.0)
    }
}

impl From<Control<'_>> for OwnedControl {
    fn from(body: Control<'_>) -> Self {
        Self(body.0.into())
    }
}

/// A part of a message that is sent in several frames (section 5.4). All parts of one are of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Of a text. No character is cut by its type.
    Text(&'a str),
    /// Of any bytes.
    Binary(&'a [u8]),
}

/// The body of a control frame: at most 125 bytes (section 5.5).
///
/// ```
/// use salon_proto::Control;
///
/// assert_eq!(Control::new(&[0; 125]).map(|body| body.bytes().len()), Some(125));
/// assert_eq!(Control::new(&[0; 126]), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control<'a>(&'a [u8]);

impl<'a> Control<'a> {
    /// The body, if it is short enough.
    #[must_use = "it is `None` if it is too long"]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.len() <= MAX_CONTROL_PAYLOAD {
            true => Some(Self(bytes)),
            false => None,
        }
    }

    /// The bytes.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Why something may not be sent now. Nothing of it has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A Close has been sent or received, or the connection has ended: nothing may follow (section 5.5.1).
    Closing,
    /// A message that is sent in parts has begun and not ended; only its next part may follow, of its own kind (section
    /// 5.4).
    Interleaved,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "expected an open connection, found one that is closing or closed",
            Self::Interleaved => "expected the next part of the message that has begun, found another message",
        })
    }
}

impl core::error::Error for SendError {}
