//! How much an adapter reads of a peer from which nothing more is wanted.

use std::io;

use crate::connection::Connection;

/// Bytes that were read behind our own Close, and behind the end.
#[derive(Debug, Default)]
pub(crate) struct ReadOn {
    behind_close: u64,
    drained: usize,
}

impl ReadOn {
    /// So many bytes have come.
    pub(crate) fn note(&mut self, connection: &Connection, len: usize) {
        if !connection.is_open() {
            self.behind_close += len as u64;
        }
    }

    /// Whether the peer's Close may be waited for still: it sends what is under way, and perhaps the rest of a message
    /// (section 5.5.1), before it answers ours.
    pub(crate) fn check(&self, connection: &Connection) -> io::Result<()> {
        match self.behind_close <= BEHIND_CLOSE + u64::from(connection.largest_message()) {
            true => Ok(()),
            false => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "expected the answer to our Close, found none"))
            }
        }
    }

    /// Whether there may be more of what is thrown away behind the end.
    pub(crate) fn may_drain(&self) -> bool {
        self.drained < DRAINED
    }

    /// So many bytes were thrown away.
    pub(crate) fn drained(&mut self, len: usize) {
        self.drained += len;
    }
}

/// What a peer may have under way when it hears our Close, beside one message, in bytes: what the buffers of both
/// sockets hold at most by the usual settings.
const BEHIND_CLOSE: u64 = 16 << 20;

/// What is thrown away behind the end, in bytes.
const DRAINED: usize = 1 << 20;
