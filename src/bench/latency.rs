//! How long things took: a histogram in fixed memory.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Durations in nanoseconds, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// Microseconds that so many took at most.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// How many were timed.
    pub count: u64,
    /// Half of them.
    pub p50_us: f64,
    /// Nine in ten.
    pub p90_us: f64,
    /// 99 in a hundred.
    pub p99_us: f64,
    /// 999 in a thousand.
    pub p999_us: f64,
    /// All.
    pub max_us: f64,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order"))
    }

    /// Adds one.
    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos.max(1));
    }

    /// What they come to.
    pub fn summary(&self) -> Latency {
        let quantile = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        if self.0.is_empty() {
            return Latency::default();
        }
        Latency {
            count: self.0.len(),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: self.0.max() as f64 / 1000.0,
        }
    }
}

/// An hour: what takes longer counts as that.
const LONGEST: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_to_three_digits() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.summary().count, 0);
        (1..=100_000).for_each(|nanos| latencies.record(nanos * 10));
        let found = latencies.summary();
        for (found, meant) in [
            (found.p50_us, 500.0),
            (found.p90_us, 900.0),
            (found.p99_us, 990.0),
            (found.p999_us, 999.0),
            (found.max_us, 1000.0),
        ] {
            assert!((found / meant - 1.0).abs() < 0.002, "{found} {meant}");
        }
        latencies.record(u64::MAX);
        assert!(latencies.summary().max_us >= 3.6e9);
    }
}
