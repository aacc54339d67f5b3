//! The octets of one read, and of the rest of a message that it ends in, while they are parsed.
//!
//! There is one buffer for all peers. It is empty whenever another peer is read: what is incomplete by
//! then has been taken into that peer's own state.

use std::io::{self, Read};

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
    /// A buffer for reads of up to `read_len` octets, with room behind one for `room` octets more.
    pub fn new(read_len: usize, room: usize) -> Self {
        Self { bytes: vec![0; read_len + room].into_boxed_slice(), read_len, parsed: 0, filled: 0 }
    }

    /// Reads once, `len` octets at most; tells how much came, and whether there may be more (so many came).
    ///
    /// # Errors
    /// Those of the stream, `WouldBlock` among them; `Interrupted` is tried again.
    pub fn fill(&mut self, stream: &mut impl Read, len: usize) -> io::Result<(usize, bool)> {
        debug_assert_eq!(self.parsed, self.filled, "the last peer's bytes have been parsed");
        (self.parsed, self.filled) = (0, 0);
        let wanted = len.min(self.read_len);
        let len = self.read(stream, wanted)?;
        Ok((len, len == wanted))
    }

    /// Takes what has been read before, a read at most, and was set aside.
    pub fn resume(&mut self, octets: &[u8]) {
        debug_assert_eq!(self.parsed, self.filled, "the last peer's bytes have been parsed");
        (self.parsed, self.filled) = (0, octets.len());
        self.bytes[..octets.len()].copy_from_slice(octets);
    }

    /// Reads `missing` octets behind those that are not parsed, if there is room for them; tells how many came, and whether there may be
    /// more. An end or an error is left for the next read to tell.
    pub fn fill_up(&mut self, stream: &mut impl Read, missing: u64) -> (usize, bool) {
        let before = self.filled;
        if missing > (self.bytes.len() - before) as u64 {
            return (0, true);
        }
        let whole = before + missing as usize;
        let mut more = true;
        while more && self.filled < whole {
            let wanted = self.read_len.min(whole - self.filled);
            match self.read(stream, wanted) {
                Ok(0) => break,
                Ok(len) => more = len == wanted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => more = false,
                Err(_) => break,
            }
        }
        (self.filled - before, more)
    }

    fn read(&mut self, stream: &mut impl Read, len: usize) -> io::Result<usize> {
        loop {
            match stream.read(&mut self.bytes[self.filled..self.filled + len]) {
                Ok(len) => {
                    self.filled += len;
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Its size, in octets.
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

    /// The first `len` octets of [`ReceiveBuffer::unparsed`] have been parsed.
    pub fn advance(&mut self, len: usize) {
        self.parsed += len;
        debug_assert!(self.parsed <= self.filled);
    }

    /// Nobody wants the rest.
    pub fn discard(&mut self) {
        self.parsed = self.filled;
    }
}
