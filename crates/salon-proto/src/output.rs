//! What waits to be written, and how much of it has been: no byte is written twice or forgotten, however a stream takes
//! them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::vec::Vec;

/// Bytes for the peer, for a stream that may take some of them, and may hold back what it took until it is flushed.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// A payload that follows them, and is written from where it lies.
    payload: Vec<u8>,
    /// Of both have been written.
    written: usize,
    /// So many bytes have been written and are not here any more, since the beginning.
    gone: u64,
    /// What the peer has caused of the bytes that wait, in their order, by where they stand since the beginning.
    caused: VecDeque<Range<u64>>,
    /// How many those are.
    owed: usize,
    /// The stream has taken bytes since it was flushed.
    unflushed: bool,
    /// The stream has failed: nothing is written any more.
    broken: Option<io::ErrorKind>,
}

/// Without the bytes, which are the peers'.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
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
    fn waiting(&self) -> usize {
        self.bytes.len() + self.payload.len() - self.written
    }

    /// Where the next byte will stand, since the beginning.
    pub(crate) fn end(&self) -> u64 {
        self.gone + (self.bytes.len() + self.payload.len()) as u64
    }

    /// Notes that the peer has caused what was put here since this was the end: answers to what it has sent.
    pub(crate) fn owe(&mut self, since: u64) {
        let end = self.end();
        if since == end {
            return;
        }
        self.owed += (end - since) as usize;
        match self.caused.back_mut() {
            Some(last) if last.end == since => last.end = end,
            _ => self.caused.push_back(since..end),
        }
    }

    /// Whether so much that the peer has caused waits for it that nothing more is read before it has taken some. What
    /// the owner says of its own accord does not count: two sides that both send long messages would wait for each
    /// other.
    pub(crate) fn owes_much(&self) -> bool {
        self.owed > OWED
    }

    /// Forgets of what the peer has caused what has been written.
    fn pay(&mut self) {
        let written = self.gone + self.written as u64;
        while let Some(first) = self.caused.front_mut().filter(|first| first.start < written) {
            let paid = first.end.min(written) - first.start;
            (first.start, self.owed) = (first.start + paid, self.owed - paid as usize);
            if first.is_empty() {
                self.caused.pop_front();
            }
        }
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
        self.pay();
        if self.rest().is_empty() {
            self.gone += self.written as u64;
            self.bytes.clear();
            self.payload = Vec::new();
            self.written = 0;
            self.bytes.shrink_to(KEPT);
        } else if self.written >= WRITE_ABOVE && self.written >= self.bytes.len() / 2 && self.payload.is_empty() {
            self.bytes.drain(..self.written);
            self.gone += self.written as u64;
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
        (self.caused, self.owed) = (VecDeque::new(), 0);
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

/// While more than this waits for the peer that it has caused, nothing is read of it, in bytes.
const OWED: usize = 256 << 10;

/// The room that is kept between messages, in bytes.
pub(crate) const KEPT: usize = 64 << 10;
