//! How a store that works elsewhere says that it has something to say.

use std::fmt;
use std::sync::Arc;

/// Wakes the loop that polls a [`Backend`](super::Backend). It may be called from any thread, as often as one likes:
/// calls that come before the poll are one.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// One that calls `wake`, which must not wait for anything.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// There is something to poll.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
