//! A sum of the bytes that several outboxes share, outside of the engine's own lists, until the last outbox drops them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// The sum. Clones are the same one.
///
/// Only one thread changes it; it is atomic because [`Bytes`] may be sent to others.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<AtomicUsize>);

impl Ledger {
    /// Bytes held now.
    pub fn total(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces `before`, as it was counted, by `after`.
    pub fn change(&self, before: usize, after: usize) {
        self.0.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Makes bytes that can be shared; they are counted once, until the last part of them is dropped.
    pub fn share(&self, bytes: Vec<u8>) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        let shared = Shared { bytes, ledger: self.clone() };
        self.change(0, shared.held_bytes());
        Bytes::from_owner(shared)
    }
}

struct Shared {
    bytes: Vec<u8>,
    ledger: Ledger,
}

impl Shared {
    /// With the count of holders that [`Bytes`] keeps beside it.
    fn held_bytes(&self) -> usize {
        self.bytes.capacity() + size_of::<Self>() + 2 * size_of::<usize>()
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.ledger.change(self.held_bytes(), 0);
    }
}
