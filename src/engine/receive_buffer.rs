//! The octets of one read, while they are parsed.
//!
//! There is one buffer for all peers. It is empty whenever another peer is read: what is incomplete by
//! then has been taken into that peer's own state.

use std::io::{self, Read};

/// Bytes read but not yet parsed, lent to one peer at a time.
///
/// Invariant: `parsed <= filled <= bytes.len()`.
#[derive(Debug)]
pub struct ReceiveBuffer {
    bytes: Box<[u8]>,
    parsed: usize,
    filled: usize,
}

impl ReceiveBuffer {
    /// A buffer for reads of up to `len` octets.
    pub fn new(len: usize) -> Self {
        Self { bytes: vec![0; len].into_boxed_slice(), parsed: 0, filled: 0 }
    }

    /// Reads once; tells how much came, and whether there may be more (the read filled the buffer).
    ///
    /// # Errors
    /// Those of the stream, `WouldBlock` among them; `Interrupted` is tried again.
    pub fn fill(&mut self, stream: &mut impl Read) -> io::Result<(usize, bool)> {
        debug_assert_eq!(self.parsed, self.filled, "the last peer's bytes have been parsed");
        (self.parsed, self.filled) = (0, 0);
        loop {
            match stream.read(&mut self.bytes) {
                Ok(len) => {
                    self.filled = len;
                    return Ok((len, len == self.bytes.len()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
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
