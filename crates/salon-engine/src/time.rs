//! Time as the engine sees it: a number that is handed to it.
//!
//! Nothing in here reads a clock. The loop reads one once a turn and passes the [`Tick`] down; so tests of every
//! timeout need no waiting.

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
