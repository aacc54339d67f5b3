//! Numbers that nobody can foresee: session ids, epochs, names of guests, the spread of returning clients.
//!
//! Each is a keyed hash of a counter (SipHash, the standard library's), so that a client that sees some of them learns
//! nothing about the others, whatever they are used for. Tests know the key, and so get the same numbers each time.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};

/// A source of numbers.
#[derive(Debug)]
pub struct Random {
    key: Key,
    drawn: u64,
}

#[derive(Debug)]
enum Key {
    /// From the operating system.
    Secret(RandomState),
    Known(u64),
}

impl Random {
    /// With a key that nobody knows.
    pub fn secret() -> Self {
        Self { key: Key::Secret(RandomState::new()), drawn: 0 }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        match &self.key {
            Key::Secret(key) => key.hash_one(self.drawn),
            Key::Known(seed) => BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, self.drawn)),
        }
    }

    /// A number under `end`, or 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }
}

/// The numbers of a seed are always the same: for tests.
impl From<u64> for Random {
    fn from(seed: u64) -> Self {
        Self { key: Key::Known(seed), drawn: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_a_secret_others() {
        let draw = |mut random: Random| [random.draw(), random.draw(), random.draw()];
        assert_eq!(draw(1.into()), draw(1.into()));
        assert_ne!(draw(1.into()), draw(2.into()));
        assert_ne!(draw(Random::secret()), draw(Random::secret()));
        let [first, second, third] = draw(1.into());
        assert!(first != second && second != third && second.wrapping_sub(first) != third.wrapping_sub(second));
        assert_eq!(Random::from(1).below(0), 0);
        assert!((0..100).all(|_| Random::secret().below(3) < 3));
    }
}
