//! Time as the floors below `server` see it: a number that is handed to them.
//!
//! Nothing in here reads a clock. The loop reads it once a turn and passes a [`Moment`] down; so tests of every timeout
//! of the engine and the chat need no waiting.

pub use salon_engine::Tick;

/// One reading of the clock: the tick for timers, and the time for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic clock. Timers use this one; it does not jump.
    pub tick: Tick,
    /// Milliseconds since the Unix epoch. For `ts`, log lines and the times in tokens only; it may jump.
    pub unix_ms: u64,
}
