//! How a store fares that may fail or take its time: for whoever operates the server.

use std::time::Duration;

/// How a store fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why messages are not taken now, in a few words.
    pub failing: Option<String>,
    /// Whether what fails fails for all nodes alike, so that sending clients to another one helps nobody.
    pub shared: bool,
    /// Batches that could not be kept since the start.
    pub failures: u64,
    /// How long commits took that have changed something.
    pub commits: Times,
    /// Requests that wait, and bytes of their texts.
    pub waiting: u64,
    /// See `waiting`.
    pub waiting_bytes: usize,
    /// Bytes on the disk.
    pub file_bytes: u64,
    /// Bytes that there may be; `None`: any.
    pub file_limit: Option<u64>,
    /// Entries that have gone since the start because they were too old or too many.
    pub dropped: u64,
}

/// Entries that a store has let go of since the start, by the limit that they were over; of a store in memory, where
/// nothing else says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetGo {
    /// They were too many in their conversation.
    pub number: u64,
    /// They were too old.
    pub age: u64,
    /// All together were too large.
    pub bytes: u64,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Up to each of [`BOUNDS`], and longer.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All together.
    pub sum: Duration,
}

impl Times {
    /// Takes note of one.
    pub fn note(&mut self, took: Duration) {
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += took;
    }
}

/// Upper bounds of the buckets of [`Times`].
pub const BOUNDS: [Duration; 11] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_of_the_next_bound() {
        let mut times = Times::default();
        for took in [Duration::ZERO, BOUNDS[0], BOUNDS[0] + Duration::from_nanos(1), BOUNDS[10], BOUNDS[10] * 2] {
            times.note(took);
        }
        assert_eq!(times.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(times.sum, BOUNDS[0] * 2 + BOUNDS[10] * 3 + Duration::from_nanos(1));
    }
}
