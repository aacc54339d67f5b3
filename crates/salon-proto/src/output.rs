//! What waits to be written, and how much of it has been: no byte is written twice or forgotten, however a stream takes
//! them.

use std::io;
use std::vec::Vec;

/// Bytes for the peer, for a stream that may take some of them, and may hold back what it took until it is flushed.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// A payload that follows them, and is written from where it lies.
    payload: Vec<u8>,
    /// Of both have been written.
    written: usize,
    /// The stream has taken bytes since it was flushed.
    unflushed: bool,
    /// The stream has failed: nothing is written any more.
    broken: Option<io::ErrorKind>,
}

impl Output {
    /// The bytes, to put others behind.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        if !self.payload.is_empty() {
            self.bytes.append(&mut self.payload);
        }
        &mut self.bytes
    }

    /// Puts a payload behind the bytes, which have just been asked for, without a copy.
    #[cfg(feature = "tokio")]
    pub(crate) fn follow(&mut self, payload: Vec<u8>) {
        debug_assert!(self.payload.is_empty());
        self.payload = payload;
    }

    /// What is to be written next.
    pub(crate) fn rest(&self) -> &[u8] {
        match self.slices() {
            [[], payload] => payload,
            [bytes, _] => bytes,
        }
    }

    /// All that is to be written.
    pub(crate) fn slices(&self) -> [&[u8]; 2] {
        let of_bytes = self.written.min(self.bytes.len());
        [&self.bytes[of_bytes..], &self.payload[self.written - of_bytes..]]
    }

    /// How many bytes are to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() + self.payload.len() - self.written
    }

    /// Whether there is enough of it to be written at once.
    pub(crate) fn is_much(&self) -> bool {
        self.waiting() >= WRITE_ABOVE
    }

    /// Whether the peer has all of it, as far as the stream can say.
    pub(crate) fn is_done(&self) -> bool {
        self.rest().is_empty() && !self.unflushed
    }

    /// The stream has taken so many bytes.
    pub(crate) fn wrote(&mut self, len: usize) -> io::Result<()> {
        if len == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        (self.written, self.unflushed) = (self.written + len, true);
        if self.rest().is_empty() {
            self.bytes.clear();
            self.payload = Vec::new();
            self.written = 0;
            self.bytes.shrink_to(KEPT);
        } else if self.written >= WRITE_ABOVE && self.written >= self.bytes.len() / 2 && self.payload.is_empty() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// The stream has been flushed.
    pub(crate) fn flushed(&mut self) {
        self.unflushed = false;
    }

    /// The stream has failed: what waits is dropped, and nothing is written any more.
    pub(crate) fn fail(&mut self, kind: io::ErrorKind) {
        (self.bytes, self.payload) = (Vec::new(), Vec::new());
        (self.written, self.unflushed, self.broken) = (0, false, Some(kind));
    }

    /// The error that the stream has failed with.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        match self.broken {
            None => Ok(()),
            Some(kind) => {
                self.bytes.clear();
                Err(kind.into())
            }
        }
    }
}

/// What waits is written when it is this much, in bytes.
const WRITE_ABOVE: usize = 64 << 10;

/// The room that is kept between messages, in bytes.
pub(crate) const KEPT: usize = 64 << 10;
