//! Empty buffers, for what is queued for one peer in one turn, and for compressed frames.

use super::peer::Pending;

/// Buffers that were used and will be used again.
///
/// Invariant: `octets` is the sum of their capacities.
#[derive(Debug, Default)]
pub struct Spares {
    #[allow(clippy::vec_box, reason = "the boxes are what is used again")]
    buffers: Vec<Box<Pending>>,
    octets: usize,
}

impl Spares {
    /// An empty buffer, new if there is none.
    pub fn take(&mut self) -> Box<Pending> {
        let Some(buffer) = self.buffers.pop() else { return Box::default() };
        self.octets -= buffer.octets.capacity();
        buffer
    }

    /// Keeps a buffer that is no longer needed, unless there are enough or it is too large.
    pub fn keep(&mut self, mut buffer: Box<Pending>) {
        let capacity = buffer.octets.capacity();
        if capacity > 0 && self.octets + capacity <= MAX_SPARE_OCTETS && self.buffers.len() < MAX_SPARES {
            buffer.octets.clear();
            buffer.response_len = 0;
            self.octets += capacity;
            self.buffers.push(buffer);
        }
    }

    /// Keeps none.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Octets they take.
    pub fn held_bytes(&self) -> usize {
        self.buffers.capacity() * size_of::<Box<Pending>>() + self.buffers.len() * size_of::<Pending>() + self.octets
    }
}

/// How many empty buffers are kept for peers that will be sent something.
const MAX_SPARES: usize = 64;

/// How large they are together, in octets. One of them may have been all that was answered to one read.
const MAX_SPARE_OCTETS: usize = 4 << 20;
