//! The bytes that have come and have not been taken: a buffer that knows its position.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::ProtocolError;
use crate::frame::{Kind, Opcode};

/// Bytes of the peer, for [`Connection::receive`](crate::Connection::receive), which takes from its front.
///
/// Reads are put behind what is there ([`Input::extend`]; [`Input::space`] and [`Input::fill`] without a copy). Nobody
/// has to know what has been taken; an event borrows the input and not the connection.
///
/// It holds what it is given and not taken yet, and one message that came in pieces. Its owner bounds it by receiving
/// all events before the next read: then it is empty.
#[derive(Default)]
pub struct Input {
    /// Room that has been used before is kept; `bytes[at..end]` have come and have not been taken.
    bytes: Vec<u8>,
    at: usize,
    end: usize,
    /// An event that has been found and not been passed on.
    pub(crate) found: Option<Ready>,
    /// The message of the last event, if it did not lie in `bytes` as it is.
    pub(crate) whole: Whole,
}

/// An event that is there, and where its bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    /// In the input, from and to.
    Here(Opcode, usize, usize),
    /// In [`Input::whole`].
    Whole(Opcode),
    /// A part of a message, in the input, from and to.
    Piece { kind: Kind, start: usize, end: usize, first: bool, last: bool },
    /// The peer has broken the protocol.
    Failed(ProtocolError),
}

/// A message that was put together or inflated, or nothing.
#[derive(Debug, Default)]
pub(crate) enum Whole {
    #[default]
    Nothing,
    Text(String),
    Bytes(Vec<u8>),
}

impl Input {
    /// One without room yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), at: 0, end: 0, found: None, whole: Whole::Nothing }
    }

    /// Puts a copy of these bytes behind those that are there.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Room for at least `least` bytes behind those that are there, to be read into. How many were read is told to
    /// [`Input::fill`].
    pub fn space(&mut self, least: usize) -> &mut [u8] {
        if self.found.is_none() {
            if self.at == self.end {
                (self.at, self.end) = (0, 0);
            } else if self.at > 0 && self.bytes.len() - self.end < least {
                self.bytes.copy_within(self.at..self.end, 0);
                (self.at, self.end) = (0, self.end - self.at);
            }
        }
        if self.bytes.len() - self.end < least {
            self.bytes.resize(self.end + least, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Notes that the first `len` bytes of [`Input::space`] have been written.
    ///
    /// # Panics
    /// If that are more than there was room for.
    pub fn fill(&mut self, len: usize) {
        assert!(len <= self.bytes.len() - self.end, "expected at most the room there is, found {len} bytes");
        self.end += len;
    }

    /// Takes bytes that are no frames from the front: a head.
    ///
    /// # Panics
    /// If that are more than there are, or an event has been found and not been received.
    pub fn take(&mut self, len: usize) {
        assert!(self.found.is_none() && len <= self.end - self.at, "expected at most what is there, found {len} bytes");
        self.at += len;
    }

    /// The bytes that have not been taken: behind the last event, the next ones; of another protocol, where the
    /// connection goes on in one.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    /// Whether all bytes have been taken.
    pub fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// Gives back room that is not needed beyond so many bytes, and the message of the last event; nothing while an
    /// event has been found and not been received.
    pub fn shrink(&mut self, keep: usize) {
        if self.found.is_some() {
            return;
        }
        self.whole = Whole::Nothing;
        if self.is_empty() {
            (self.at, self.end) = (0, 0);
            self.bytes.truncate(keep);
            self.bytes.shrink_to(keep);
        }
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        let whole = match &self.whole {
            Whole::Nothing => 0,
            Whole::Text(text) => text.capacity(),
            Whole::Bytes(bytes) => bytes.capacity(),
        };
        self.bytes.capacity() + whole
    }

    /// All bytes up to the end of what has come, and where those begin that have not been taken.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut usize, &mut Whole) {
        (&mut self.bytes[..self.end], &mut self.at, &mut self.whole)
    }

    /// Bytes that an event lies in.
    pub(crate) fn between(&self, start: usize, end: usize) -> &[u8] {
        &self.bytes[start..end]
    }

    /// Forgets all bytes, because nothing is decoded any more.
    pub(crate) fn discard(&mut self) {
        (self.at, self.found) = (self.end, None);
    }

    /// The bytes of an event.
    pub(crate) fn payload(&self, ready: Ready) -> Result<(Opcode, Lent<'_>), ProtocolError> {
        match (ready, &self.whole) {
            (Ready::Failed(error), _) => Err(error),
            (Ready::Piece { kind, start, end, .. }, _) => Ok((kind.into(), Lent::Bytes(&self.bytes[start..end]))),
            (Ready::Here(opcode, start, end), _) => Ok((opcode, Lent::Bytes(&self.bytes[start..end]))),
            (Ready::Whole(opcode), Whole::Text(text)) => Ok((opcode, Lent::Text(text))),
            (Ready::Whole(opcode), Whole::Bytes(bytes)) => Ok((opcode, Lent::Bytes(bytes))),
            (Ready::Whole(opcode), Whole::Nothing) => Ok((opcode, Lent::Bytes(&[]))),
        }
    }
}

/// The bytes of an event, or its text, which has been validated.
pub(crate) enum Lent<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Without the bytes, which are the peer's.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("rest", &self.rest().len()).finish_non_exhaustive()
    }
}
