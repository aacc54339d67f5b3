//! How long deliveries take: from when the loop took up what caused them until their frames were handed to the kernel.
//!
//! One reading of the clock behind a flush is for all deliveries of it, so each is told a little longer than it took. A
//! delivery that the store had to be asked about counts from the time of its message, to the millisecond; one of a
//! topic that was sent in slices, or held back, from the first message that left with it.

use std::time::Duration;

use crate::time::Tick;

/// Deliveries by how long they took.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Up to each of [`BOUNDS`], and longer.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// The sum of all.
    pub total: Duration,
}

impl Latency {
    /// So many deliveries, of which the first was caused at `caused`, were handed over at `at`, in a turn that began at
    /// `began`; the last two by the clock whose milliseconds ticks are.
    pub fn note(&mut self, (deliveries, caused): (u64, Tick), began: Duration, at: Duration) {
        let this_turn = caused.0 >= began.as_millis() as u64;
        let since = if this_turn { began } else { Duration::from_millis(caused.0) };
        let took = at.saturating_sub(since);
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += deliveries;
        let nanos = (took.as_nanos() as u64).saturating_mul(deliveries);
        self.total = self.total.saturating_add(Duration::from_nanos(nanos));
    }
}

/// Upper bounds of the buckets of [`Latency::buckets`].
pub const BOUNDS: [Duration; 13] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: when it was caused, by the tick; the beginning of the turn and the end of the flush in microseconds;
    /// and the bucket.
    #[test]
    fn from_the_cause_to_the_flush() {
        for (caused, began, at, bound) in [
            (7, 7_900, 7_950, Some(50)),
            (7, 7_900, 7_951, Some(100)),
            (7, 7_000, 9_500, Some(2500)),
            // Of a turn before.
            (6, 7_900, 7_950, Some(2500)),
            (0, 7_900, 1_007_900, None),
            (0, 1_000, 1_000_000, Some(1_000_000)),
        ] {
            let mut latency = Latency::default();
            latency.note((3, Tick(caused)), Duration::from_micros(began), Duration::from_micros(at));
            let place = bound.map_or(BOUNDS.len(), |bound| {
                BOUNDS.iter().position(|known| *known == Duration::from_micros(bound)).unwrap()
            });
            assert_eq!(latency.buckets[place], 3, "{caused} {began} {at}: {:?}", latency.buckets);
            assert_eq!(latency.buckets.iter().sum::<u64>(), 3);
        }
    }
}
