//! Standstills of the process (SIGSTOP, a machine that slept): which waits and turns were one, and how many count.
//!
//! What peers did meanwhile is heard before anybody is late ([`super::patience`]), so a standstill puts deadlines off.
//! A machine that stops the process again and again is slow, and would put them off without end: of the standstills in
//! [`WITHIN`] only [`COUNTED`] count. It asks no clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::STALL;

/// The standstills that have counted lately.
#[derive(Debug, Default)]
pub struct Standstills {
    /// When each ended, by the time since the process began.
    ended: VecDeque<Duration>,
    /// The last turn was one.
    halted: bool,
}

impl Standstills {
    /// Whether a wait that was to take no longer than `asked` was one that counts. It ended at `now`.
    pub fn is_wait(&mut self, asked: Duration, took: Duration, now: Duration) -> bool {
        stood_still(asked, took) && self.counts(now)
    }

    /// Whether a turn in which so much work was done was one that counts. It ended at `now`. Turns that take so long
    /// one after the other are those of a process that is given little of the processor: it is slow, and did not stand
    /// still.
    pub fn is_turn(&mut self, work: Duration, took: Duration, now: Duration) -> bool {
        let halted = stood_still(work, took);
        !std::mem::replace(&mut self.halted, halted) && halted && self.counts(now)
    }

    fn counts(&mut self, now: Duration) -> bool {
        while self.ended.front().is_some_and(|&at| now.saturating_sub(at) > WITHIN) {
            self.ended.pop_front();
        }
        let counts = self.ended.len() < COUNTED;
        if counts {
            self.ended.push_back(now);
        }
        counts
    }
}

/// Whether the process did not run for a while: a wait took much longer than it was asked to, or a turn much longer
/// than its work. A turn that works for long means load, which peers can cause.
fn stood_still(reason: Duration, took: Duration) -> bool {
    took.saturating_sub(reason) > STALL
}

/// How many standstills count, of those in [`WITHIN`].
pub const COUNTED: usize = 16;

/// For how long a standstill is one of those.
pub const WITHIN: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the wait that was asked for or the work of a turn, and how long it took, in milliseconds.
    #[test]
    fn a_process_that_stood_still() {
        for (reason, took, still) in [
            (0, 0, false),
            (0, 1000, false),
            (0, 1001, true),
            (25_000, 25_900, false),
            (25_000, 26_001, true),
            (25_000, 10, false),
        ] {
            let [of, and] = [reason, took].map(Duration::from_millis);
            assert_eq!(Standstills::default().is_wait(of, and, and), still, "{reason} {took}");
            assert_eq!(Standstills::default().is_turn(of, and, and), still, "{reason} {took}");
        }
    }

    #[test]
    fn turns_that_take_so_long_one_after_the_other_are_slow() {
        let mut standstills = Standstills::default();
        let [long, short] = [2_000, 1].map(Duration::from_millis);
        let turns = [(long, true), (long, false), (long, false), (short, false), (long, true), (short, false)];
        for (n, (took, counts)) in turns.into_iter().enumerate() {
            assert_eq!(standstills.is_turn(short, took, took), counts, "{n}");
        }
    }

    /// A machine that stops the process for two seconds of each three: after [`COUNTED`] standstills nothing is put off
    /// any more, until they are [`WITHIN`] ago.
    #[test]
    fn a_machine_that_stops_the_process_again_and_again_is_slow() {
        let mut standstills = Standstills::default();
        let (asked, took) = (Duration::from_millis(500), Duration::from_millis(2_500));
        let mut now = Duration::ZERO;
        let mut counted = Vec::new();
        for _ in 0..120 {
            now += Duration::from_secs(3);
            if standstills.is_wait(asked, took, now) {
                counted.push(now.as_secs());
            }
        }
        let first: Vec<u64> = (1..=16).map(|n| 3 * n).collect();
        let again: Vec<u64> = (1..=16).map(|n| 3 * n + 303).collect();
        assert_eq!(counted, [first, again].concat());
    }
}
