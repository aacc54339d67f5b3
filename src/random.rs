//! Numbers that nobody can foresee: session ids, epochs, names of guests, the spread of returning clients.
//!
//! Each is a keyed hash of a counter (SipHash, the standard library's), so that a client that sees some of them learns
//! nothing about the others, whatever they are used for. Tests know the key, and so get the same numbers each time.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher, RandomState};

/// A source of numbers.
#[derive(Debug)]
pub struct Random {
    key: Key,
    drawn: u64,
}

#[derive(Clone, Debug)]
enum Key {
    /// From the operating system.
    Secret(RandomState),
    Known(u64),
}

/// A table of those that tell what memory they take. How much that is depends on where its entries lie, and so on the
/// key: with one of its own, as a table of the standard library has it, a simulated server would decide otherwise each
/// time that it runs. So such a table is made with the key of a [`Random`], and has no `Default`.
pub type Table<K, V> = HashMap<K, V, Keyed>;

/// The hash of a [`Table`], by the key of a [`Random`].
#[derive(Clone, Debug)]
pub struct Keyed(Key);

impl Keyed {
    /// A table without entries.
    pub fn table<K, V>(&self) -> Table<K, V> {
        Table::with_hasher(self.clone())
    }
}

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        match &self.0 {
            Key::Secret(key) => key.build_hasher(),
            Key::Known(seed) => {
                let mut hasher = DefaultHasher::new();
                hasher.write_u64(*seed);
                hasher
            }
        }
    }
}

impl Random {
    /// With a key that nobody knows.
    pub fn secret() -> Self {
        Self { key: Key::Secret(RandomState::new()), drawn: 0 }
    }

    /// The hash of tables: with a key that nobody knows, or the one that is known.
    pub fn keyed(&self) -> Keyed {
        Keyed(match self.key {
            Key::Secret(_) => Key::Secret(RandomState::new()),
            Key::Known(seed) => Key::Known(seed),
        })
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

    /// What a table takes is the same each time, however much was taken out of it meanwhile: in seed 465 a budget of
    /// memory decided by it, and six runs had five traces.
    #[test]
    fn a_seed_gives_the_same_tables() {
        let rooms = |random: Random| {
            let mut table = random.keyed().table::<u64, ()>();
            let mut rooms = Vec::new();
            for step in 0..20_000_u64 {
                table.insert(step, ());
                if step % 9 > 0 {
                    table.remove(&(step * 7919 % (step + 1)));
                    table.remove(&(step / 2));
                }
                rooms.push(table.capacity());
            }
            rooms
        };
        assert_eq!(rooms(1.into()), rooms(1.into()));
        assert_ne!(rooms(1.into()), rooms(Random::secret()));
    }

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
