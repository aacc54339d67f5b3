//! Typists: users who are typing somewhere, or were until a moment ago, and the last notice about each.
//!
//! Each has a timer, which is the hall's. `typing` decides who hears of it, and by which message.

use std::time::Duration;

use super::name::UserName;
use super::tables::table_bytes;
use crate::random::{Keyed, Table};
use crate::slack;
use crate::time::Tick;

/// Where a user types. Other users by name: a user who is forgotten meanwhile is simply not found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Room(u32),
    User(UserName),
}

/// A user, and the place where they type.
pub(super) type Place = (UserName, Target);

/// All of them.
#[derive(Debug)]
pub(super) struct Typists(Table<Place, Typist>);

#[derive(Debug)]
struct Typist {
    /// When `true` was last relayed.
    told: Tick,
    /// Whether that was the last thing relayed.
    on: bool,
    /// They type on another node, which tells the others.
    afar: bool,
}

/// What comes of somebody's typing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is relayed.
    Relayed,
    /// It is too soon to relay it again, but it goes on.
    GoesOn,
    /// Nothing.
    Ignored,
}

impl Typists {
    /// Nobody types.
    pub fn new(keyed: &Keyed) -> Self {
        Self(keyed.table())
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Somebody types, or types on, here or `afar`. `takes_more`: typists may be remembered who are not yet.
    pub fn begin(&mut self, place: &Place, takes_more: bool, afar: bool, now: Tick) -> Begun {
        let remembered = self.0.len();
        match self.0.get_mut(place) {
            Some(typist) if now.since(typist.told) < TRUE_EVERY => {
                typist.afar &= afar;
                match typist.on {
                    true => return Begun::GoesOn,
                    false => return Begun::Ignored,
                }
            }
            Some(typist) => *typist = Typist { told: now, on: true, afar: afar && typist.afar },
            None if remembered >= MAX_TYPISTS || !takes_more => return Begun::Ignored,
            None => drop(self.0.insert(place.clone(), Typist { told: now, on: true, afar })),
        }
        Begun::Relayed
    }

    /// A user has stopped. If that must be relayed, returns until when the user is remembered, because that throttles
    /// them, and whether they typed afar.
    pub fn stop(&mut self, place: &Place) -> Option<(Tick, bool)> {
        let typist = self.0.get_mut(place)?;
        std::mem::take(&mut typist.on).then_some((typist.told + TRUE_EVERY, typist.afar))
    }

    /// Forgets a typist. Returns whether they were known, and if so, whether to relay that they have stopped, and
    /// whether they typed afar.
    pub fn end(&mut self, place: &Place) -> Option<(bool, bool)> {
        self.0.remove(place).map(|typist| (typist.on, typist.afar))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.0);
    }

    pub fn held_bytes(&self) -> usize {
        table_bytes::<(Place, Typist)>(self.0.capacity())
    }
}

/// `true` is relayed this often at most.
pub(super) const TRUE_EVERY: Duration = Duration::from_secs(3);

/// Pairs of a user and a place. Past this, typing is not relayed; nobody misses a message by it.
const MAX_TYPISTS: usize = 1 << 16;
