//! Empty buffers, for what is queued for one peer in one turn, for compressed frames, and for the logs of busy topics.

use crate::peer::Pending;

/// Buffers that were used and will be used again.
///
/// Invariant: `bytes` is the sum of their capacities.
#[derive(Debug, Default)]
pub struct Spares {
    #[allow(clippy::vec_box, reason = "the boxes are what is used again")]
    buffers: Vec<Box<Pending>>,
    logs: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spares {
    /// An empty buffer, new if there is none.
    pub fn take(&mut self) -> Box<Pending> {
        let Some(buffer) = self.buffers.pop() else { return Box::default() };
        self.bytes -= buffer.bytes.capacity();
        buffer
    }

    /// Keeps a buffer that is no longer needed, unless there are enough or it is too large.
    pub fn keep(&mut self, mut buffer: Box<Pending>) {
        let capacity = buffer.bytes.capacity();
        if capacity > 0 && self.bytes + capacity <= MAX_SPARE_BYTES && self.buffers.len() < MAX_SPARES {
            buffer.bytes.clear();
            buffer.response_len = 0;
            self.bytes += capacity;
            self.buffers.push(buffer);
        }
    }

    /// An empty log, with room if there is some.
    pub fn take_log(&mut self) -> Vec<u8> {
        let log = self.logs.pop().unwrap_or_default();
        self.bytes -= log.capacity();
        log
    }

    /// Keeps the room of a log, unless there is enough or it is too large.
    pub fn keep_log(&mut self, mut log: Vec<u8>) {
        let capacity = log.capacity();
        if self.bytes + capacity <= MAX_SPARE_BYTES && self.logs.len() < MAX_SPARES {
            log.clear();
            self.bytes += capacity;
            self.logs.push(log);
        }
    }

    /// Drops all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes they take.
    pub fn held_bytes(&self) -> usize {
        let logs = self.logs.capacity() * size_of::<Vec<u8>>();
        let buffers = self.buffers.capacity() * size_of::<Box<Pending>>() + self.buffers.len() * size_of::<Pending>();
        logs + buffers + self.bytes
    }
}

/// How many empty buffers are kept for peers that will be sent something, and how many for topics.
const MAX_SPARES: usize = 64;

/// How large they are together, in bytes. One of them may have been all that was answered to one read.
const MAX_SPARE_BYTES: usize = 4 << 20;
