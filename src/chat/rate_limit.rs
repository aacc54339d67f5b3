//! How fast a user may talk, and when talking too fast becomes abuse.
//!
//! A token bucket kept as one number: the time at which it will be full again (the "generic cell rate algorithm").
//! It belongs to the user and not to the connection, so that coming back does not fill it.

use std::time::Duration;

use super::settings::Rate;
use crate::time::Tick;

#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When the bucket is full again, in microseconds on the clock of [`Tick`].
    full_at: u64,
    refusals: Option<Box<Refusals>>,
}

/// Who was never refused does not pay for remembering it.
#[derive(Debug)]
struct Refusals {
    /// The last second in which a frame was refused.
    second: u64,
    /// In how many seconds in a row.
    row: u32,
    /// When the last refusal was told that answered no `id`.
    told: Option<Tick>,
}

/// The answer to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Too fast; the next one passes after this time.
    Refused {
        retry_after: Duration,
    },
    /// Too fast for [`ABUSE_SECONDS`] in a row.
    Abuse,
}

impl Bucket {
    /// Pays for one frame.
    pub fn pay(&mut self, rate: Option<Rate>, now: Tick) -> Verdict {
        let Some(rate) = rate else { return Verdict::Pass };
        let now_us = now.0.saturating_mul(1000);
        let price = 1_000_000 / u64::from(rate.per_second.max(1));
        let depth = price * u64::from(rate.burst.max(1));
        let full_at = self.full_at.max(now_us) + price;
        if full_at <= now_us + depth {
            self.full_at = full_at;
            return Verdict::Pass;
        }
        let second = now.0 / 1000;
        let refusals = self.refusals.get_or_insert_with(|| Box::new(Refusals { second, row: 1, told: None }));
        match second - refusals.second {
            0 => {}
            1 => refusals.row += 1,
            _ => refusals.row = 1,
        }
        refusals.second = second;
        if refusals.row >= ABUSE_SECONDS {
            return Verdict::Abuse;
        }
        Verdict::Refused { retry_after: Duration::from_micros(full_at - depth - now_us) }
    }

    /// Whether a refusal that answers no `id` is told: at most one a second.
    pub fn tells(&mut self, now: Tick) -> bool {
        let Some(refusals) = &mut self.refusals else { return false };
        let tells = refusals.told.is_none_or(|told| now.since(told) >= Duration::from_secs(1));
        if tells {
            refusals.told = Some(now);
        }
        tells
    }

    /// What two buckets have paid for, in one: a guest who takes a name takes along what they said.
    pub fn merge(&mut self, other: &Bucket) {
        self.full_at = self.full_at.max(other.full_at);
    }
}

/// Seconds in a row with refused frames, after which the connection is closed.
pub(super) const ABUSE_SECONDS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Option<Rate> = Some(Rate { per_second: 20, burst: 40 });

    #[test]
    fn burst_then_rate() {
        let mut bucket = Bucket::default();
        for _ in 0..40 {
            assert_eq!(bucket.pay(RATE, Tick(0)), Verdict::Pass);
        }
        let refused = Verdict::Refused { retry_after: Duration::from_millis(50) };
        assert_eq!(bucket.pay(RATE, Tick(0)), refused);
        assert_eq!(bucket.pay(RATE, Tick(50)), Verdict::Pass);
        assert_eq!(bucket.pay(RATE, Tick(50)), refused);
        for _ in 0..40 {
            assert_eq!(bucket.pay(RATE, Tick(2_050)), Verdict::Pass);
        }
        assert_eq!(bucket.pay(RATE, Tick(2_050)), refused);
    }

    #[test]
    fn ten_seconds_in_a_row_are_abuse() {
        let rate = Some(Rate { per_second: 1, burst: 1 });
        let mut bucket = Bucket::default();
        let mut flood = |second: u64| {
            bucket.pay(rate, Tick(second * 1000));
            bucket.pay(rate, Tick(second * 1000 + 1))
        };
        for second in 0..9 {
            assert!(matches!(flood(second), Verdict::Refused { .. }), "{second}");
        }
        // A second without refusals starts the count again.
        for second in 10..19 {
            assert!(matches!(flood(second), Verdict::Refused { .. }), "{second}");
        }
        assert_eq!(flood(19), Verdict::Abuse);
    }

    #[test]
    fn refusals_are_told_once_a_second() {
        let mut bucket = Bucket::default();
        while bucket.pay(RATE, Tick(0)) == Verdict::Pass {}
        assert!(bucket.tells(Tick(0)));
        assert!(!bucket.tells(Tick(999)));
        assert!(bucket.tells(Tick(1000)));
    }
}
