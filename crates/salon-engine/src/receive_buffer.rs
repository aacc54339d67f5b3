//! The bytes of one read, and of the rest of a message that it ends in, while they are parsed.
//!
//! There is one buffer for all peers. It is empty whenever another peer is read: what is incomplete by
//! then has been taken into that peer's own state.

use std::io;

use crate::stream::{Got, Stream};

/// What follows the bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// There may be more, which no poller will report.
    Maybe,
    /// Nothing, until the poller reports more.
    Nothing,
    /// The end of the stream.
    End,
    /// The stream has failed.
    Failure,
}

impl Behind {
    /// The poller says meanwhile that there may be more.
    pub fn or_more(self) -> Self {
        if self == Self::Nothing { Self::Maybe } else { self }
    }
}

/// Bytes read but not yet parsed, lent to one peer at a time.
///
/// Invariant: `parsed <= filled <= bytes.len()`, and no read is longer than `read_len`.
#[derive(Debug)]
pub struct ReceiveBuffer {
    bytes: Box<[u8]>,
    read_len: usize,
    parsed: usize,
    filled: usize,
}

impl ReceiveBuffer {
    /// A buffer for reads of up to `read_len` bytes, with room behind one for `room` bytes more.
    pub fn new(read_len: usize, room: usize) -> Self {
        Self { bytes: vec![0; read_len + room].into_boxed_slice(), read_len, parsed: 0, filled: 0 }
    }

    /// Reads once, `len` bytes at most; returns what came, and whether there may be more.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn fill(&mut self, stream: &mut impl Stream, len: usize, to_end: bool) -> io::Result<Got> {
        debug_assert_eq!(self.parsed, self.filled, "the last peer's bytes have been parsed");
        (self.parsed, self.filled) = (0, 0);
        self.receive(stream, len.min(self.read_len), to_end)
    }

    /// Takes the bytes of an earlier read that were set aside: a read at most.
    pub fn resume(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.parsed, self.filled, "the last peer's bytes have been parsed");
        (self.parsed, self.filled) = (0, bytes.len());
        self.bytes[..bytes.len()].copy_from_slice(bytes);
    }

    /// Reads `missing` bytes behind those that are not parsed, if there is room for them; returns how many came, and
    /// what follows them.
    pub fn fill_up(&mut self, stream: &mut impl Stream, missing: u64, to_end: bool) -> (usize, Behind) {
        let before = self.filled;
        if missing > (self.bytes.len() - before) as u64 {
            return (0, Behind::Maybe);
        }
        let whole = before + missing as usize;
        let mut behind = Behind::Maybe;
        while behind == Behind::Maybe && self.filled < whole {
            let wanted = self.read_len.min(whole - self.filled);
            behind = match self.receive(stream, wanted, to_end) {
                // The stream is asked again in the next turn, because it might have nothing for a long time.
                Ok(Got::More(0)) => break,
                Ok(Got::More(_)) => Behind::Maybe,
                Ok(Got::Drained(_)) => Behind::Nothing,
                Ok(Got::Ended) => Behind::End,
                Err(_) => Behind::Failure,
            };
        }
        (self.filled - before, behind)
    }

    fn receive(&mut self, stream: &mut impl Stream, wanted: usize, to_end: bool) -> io::Result<Got> {
        let into = &mut self.bytes[self.filled..self.filled + wanted];
        let got = stream.receive(into, to_end)?;
        if let Got::More(len) | Got::Drained(len) = got {
            assert!(len <= wanted, "a stream brings no more than there is room for");
            self.filled += len;
        }
        Ok(got)
    }

    /// Its size, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What has not been parsed.
    pub fn unparsed(&mut self) -> &mut [u8] {
        &mut self.bytes[self.parsed..self.filled]
    }

    /// Whether everything has been parsed.
    pub fn is_empty(&self) -> bool {
        self.parsed == self.filled
    }

    /// The first `len` bytes of [`ReceiveBuffer::unparsed`] have been parsed.
    pub fn advance(&mut self, len: usize) {
        self.parsed += len;
        debug_assert!(self.parsed <= self.filled);
    }

    /// The rest is not needed.
    pub fn discard(&mut self) {
        self.parsed = self.filled;
    }
}
