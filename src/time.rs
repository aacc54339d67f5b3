//! Time as the floors below `server` see it: a number that is handed to them.
//!
//! Nothing in here reads a clock. The loop reads it once a turn and passes a [`Moment`] down; so tests of every timeout
//! of the engine and the chat need no waiting.

use std::time::Duration;

pub use salon_engine::Tick;

/// A turn that takes so long takes time from those who are given some in it, which is counted from its beginning: so
/// that is counted from its end. A turn that only has much to do is shorter, but where the machine is too slow for it.
pub const LONG_TURN: Duration = Duration::from_millis(100);

/// One reading of the clock: the tick for timers, and the time for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic clock. Timers use this one; it does not jump.
    pub tick: Tick,
    /// Milliseconds since the Unix epoch. For `ts`, log lines and the times in tokens only; it may jump.
    pub unix_ms: u64,
}
