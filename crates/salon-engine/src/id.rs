//! The names of connections, which the engine gives out, and of fan-out groups, which its owner does.

use std::fmt;

/// One connection, for as long as it lives.
///
/// Slots are used again, so the id carries the slot's `generation`: an id that is kept too long finds nothing, never
/// another connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// The slot.
    pub index: u32,
    /// How often a connection had been put into any slot when this one was.
    pub generation: u32,
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One fan-out group, such as all sessions that hear a room in one dialect.
///
/// The numbers are small and dense, because the engine keeps topics in an array, with two places for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(u32);

impl TopicId {
    /// The topic of that number, of which there are 2^31.
    pub const fn new(number: u32) -> Option<Self> {
        if number < 1 << 31 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}
