//! Numbers of a seed: the world's own, of which the server knows nothing.

use std::collections::VecDeque;

/// A source of numbers (SplitMix64): small, fast, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
    /// Bytes that are numbers before those of the seed, two for each.
    tape: VecDeque<u8>,
}

impl Chance {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, tape: VecDeque::new() }
    }

    /// The numbers that these bytes are, and behind them those of a seed: somebody who changes a byte changes one thing
    /// that happens.
    pub fn of_tape(tape: &[u8], seed: u64) -> Self {
        Self { state: seed, tape: tape.iter().copied().collect() }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        if let Some(low) = self.tape.pop_front() {
            let high = self.tape.pop_front().unwrap_or(0);
            return u64::from(u16::from_le_bytes([low, high]));
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number under `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// A number of this range, its end included.
    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// A number of this range, small ones more often: each power of two alike.
    pub fn skewed(&mut self, from: u64, to: u64) -> u64 {
        let span = (to - from).max(1);
        let bits = self.below(u64::from(64 - span.leading_zeros()) + 1);
        from + self.below(1 << bits.min(63)).min(to - from)
    }

    /// Whether something happens that happens once in `times`; never, if that is 0.
    pub fn one_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}
