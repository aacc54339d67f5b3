//! Time as the floors below `server` see it: a number that is handed to them.
//!
//! Nothing in here reads a clock. The loop reads it once a turn and passes a [`Moment`] down; so tests of every timeout
//! of the engine and the chat need no waiting.

use std::ops::Add;
use std::time::Duration;

/// Milliseconds on a clock that only goes forward, counted from the start of the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    /// The time that has passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Tick;

    /// The tick `duration` later, rounded up: a deadline may come late by less than a millisecond, never early.
    fn add(self, duration: Duration) -> Tick {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Tick(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// One reading of the clock: the tick for timers, and the time for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic clock. Timers use this one; it does not jump.
    pub tick: Tick,
    /// Milliseconds since the Unix epoch. For `ts`, log lines and the times in tokens only; it may jump.
    pub unix_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up() {
        assert_eq!(Tick(5) + Duration::from_micros(1), Tick(6));
        assert_eq!(Tick(5) + Duration::from_millis(2), Tick(7));
        assert_eq!(Tick(u64::MAX) + Duration::MAX, Tick(u64::MAX));
    }

    #[test]
    fn time_does_not_run_backwards() {
        assert_eq!(Tick(3).since(Tick(9)), Duration::ZERO);
        assert_eq!(Tick(9).since(Tick(3)), Duration::from_millis(6));
    }
}
