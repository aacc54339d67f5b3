//! How much is kept of rooms by their names, where that is another number or time than for all.

use std::sync::Arc;
use std::time::Duration;

use super::Pattern;

/// The limits of rooms by name, in order: for each of the two, the first that is for a room and says it wins.
#[derive(Clone, Debug, Default)]
pub struct RoomLimits(Arc<[RoomLimit]>);

/// How much is kept of rooms of some names.
#[derive(Clone, Debug)]
pub struct RoomLimit {
    /// For rooms of which names.
    pub patterns: Box<[Pattern]>,
    /// Entries of a room, 1 at least; `usize::MAX`: all.
    pub messages: Option<usize>,
    /// How long they are kept; `Duration::MAX`: for ever.
    pub age: Option<Duration>,
}

/// Which of them hold for a room: its places in the list, one more than that, or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    messages: u8,
    age: u8,
}

impl RoomLimits {
    /// Takes at most 255.
    pub fn new(limits: Vec<RoomLimit>) -> Self {
        debug_assert!(limits.len() <= usize::from(u8::MAX));
        Self(limits.into())
    }

    /// Which hold for the room of a name. It compares the name with all patterns.
    pub fn of(&self, room: &str) -> Limited {
        let first = |says: fn(&RoomLimit) -> bool| {
            let is_for = |limit: &RoomLimit| says(limit) && limit.patterns.iter().any(|pattern| pattern.matches(room));
            self.0.iter().position(is_for).map_or(0, |at| at as u8 + 1)
        };
        match self.0.is_empty() {
            true => Limited::default(),
            false => {
                Limited { messages: first(|limit| limit.messages.is_some()), age: first(|limit| limit.age.is_some()) }
            }
        }
    }

    /// How many entries are kept there, if that is so many otherwise.
    pub fn messages(&self, of: Limited, otherwise: usize) -> usize {
        self.at(of.messages).and_then(|limit| limit.messages).unwrap_or(otherwise)
    }

    /// How long, likewise.
    pub fn age(&self, of: Limited, otherwise: Duration) -> Duration {
        self.at(of.age).and_then(|limit| limit.age).unwrap_or(otherwise)
    }

    /// Whether what is said becomes too old in some rooms.
    pub fn have_age(&self) -> bool {
        self.0.iter().any(|limit| limit.age.is_some_and(|age| age < Duration::MAX))
    }

    fn at(&self, place: u8) -> Option<&RoomLimit> {
        self.0.get(usize::from(place).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_says_it_wins() {
        let limit = |pattern: &str, messages, seconds: Option<u64>| RoomLimit {
            patterns: [Pattern::new(pattern)].into(),
            messages,
            age: seconds.map(Duration::from_secs),
        };
        let limits =
            RoomLimits::new(vec![limit("a*", Some(1), None), limit("ab", Some(2), Some(2)), limit("*", None, Some(3))]);
        for (room, messages, seconds) in [("ab", 1, 2), ("a", 1, 3), ("b", 9, 3)] {
            let of = limits.of(room);
            let found = (limits.messages(of, 9), limits.age(of, Duration::from_secs(9)));
            assert_eq!(found, (messages, Duration::from_secs(seconds)), "{room}");
        }
        let none = RoomLimits::default();
        assert_eq!(none.messages(none.of("ab"), 9), 9);
    }
}
