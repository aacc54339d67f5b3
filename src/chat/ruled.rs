//! What holds in each room: the rules of the file of settings, and what was set for rooms by calls.
//!
//! A room remembers which rules win in it, until any of them changes: a message compares no name with a pattern.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::name::RoomName;
use super::rules::{Key, Rule, Rules, Values, Winner, Won};
use super::tables::tree_bytes;
use crate::backend::MAX_SET;

/// The rules, and what was set for single rooms.
#[derive(Debug, Default)]
pub(super) struct Ruled {
    rules: Rules,
    /// Those of the start, which the store has.
    of_store: Rules,
    own: BTreeMap<RoomName, Values>,
    /// How often either has changed: what a room remembers is of one state of them.
    changes: u32,
    /// What it takes to compare a name with the patterns of all rules.
    cost: usize,
    /// That of the comparisons of this turn.
    compared: Cell<usize>,
    /// Memory of the lists of names in `own`.
    names_bytes: usize,
    /// Rooms for which the store has what cannot be read, and why, until it is told.
    unread: Vec<(RoomName, String)>,
}

/// What a room remembers: the winners, and of which state.
#[derive(Debug)]
pub(super) struct Memo(Cell<Option<(u32, Won)>>);

impl Memo {
    /// Of a room that nobody has asked about.
    pub const fn none() -> Self {
        Self(Cell::new(None))
    }
}

impl Ruled {
    /// These are the rules of the start.
    pub fn begin(&mut self, rules: Rules) {
        self.of_store = rules.clone();
        self.change(rules);
    }

    /// From now on these are the rules, but for the keys of the store. Returns whether that may keep anybody out of a
    /// room.
    pub fn change(&mut self, rules: Rules) -> bool {
        if self.rules == rules {
            return false;
        }
        self.cost = rules.cost();
        self.rules = rules;
        self.changes = self.changes.wrapping_add(1);
        self.any(Key::Join)
    }

    /// Sets that for a room by its name, or takes it away. Returns whether it may keep anybody out of it.
    pub fn set(&mut self, room: RoomName, values: Option<Values>) -> bool {
        self.changes = self.changes.wrapping_add(1);
        self.names_bytes += values.as_ref().map_or(0, Values::names_bytes);
        let keeps = |values: &Option<Values>| values.as_ref().is_some_and(|values| values.name(Key::Join));
        let keeps_now = keeps(&values);
        let before = match values {
            Some(values) => self.own.insert(room, values),
            None => self.own.remove(&room),
        };
        self.names_bytes -= before.as_ref().map_or(0, Values::names_bytes);
        keeps(&before) || keeps_now
    }

    /// The same at the start: the store has no more of them than can be set, and one that was left out would be open.
    pub fn learn(&mut self, room: RoomName, values: Values) {
        self.set(room, Some(values));
    }

    /// What the store has for that room cannot be read.
    pub fn note_unread(&mut self, room: RoomName, why: String) {
        self.unread.push((room, why));
    }

    /// What of what the store has cannot be read, and was not told yet.
    pub fn take_unread(&mut self) -> Vec<(RoomName, String)> {
        std::mem::take(&mut self.unread)
    }

    /// Whether anything is set for a room by its name.
    pub fn has_own(&self, room: &RoomName) -> bool {
        self.own.contains_key(room)
    }

    /// Whether nothing can be set for another room.
    pub fn is_full_for(&self, room: &RoomName) -> bool {
        self.own.len() >= MAX_SET && !self.has_own(room)
    }

    /// What wins for a key in a room of that name, and the rule that it is of, if it is one, with its place.
    pub fn explain(&self, key: Key, room: &RoomName) -> Option<(&Values, Option<(usize, &Rule)>)> {
        match self.own.get(room).filter(|values| values.name(key)) {
            Some(values) => Some((values, None)),
            None => self.rules_for(key).first(key, room.as_str()).map(|(at, rule)| (&rule.values, Some((at, rule)))),
        }
    }

    /// The memory of what was set.
    pub fn held_bytes(&self) -> usize {
        tree_bytes::<(RoomName, Values)>(self.own.len()) + self.names_bytes
    }

    /// Whether nothing is set for any room.
    pub fn is_empty(&self) -> bool {
        self.rules.all().is_empty() && self.own.is_empty()
    }

    /// Whether anything is set for that key.
    fn any(&self, key: Key) -> bool {
        let rules = self.rules.all().iter().map(|rule| &rule.values);
        rules.chain(self.own.values()).any(|values| values.name(key))
    }

    /// The values that win for a key in a room: it is there, and has this memo, or it is not.
    pub fn find(&self, key: Key, room: &RoomName, memo: Option<&Memo>) -> Option<&Values> {
        if self.is_empty() {
            return None;
        }
        let Some(memo) = memo else {
            self.note_compared();
            return self.explain(key, room).map(|(values, _)| values);
        };
        match self.won(room, memo).of(key)? {
            Winner::Own => self.own.get(room),
            Winner::Rule(at) => self.rules.all().get(at).map(|rule| &rule.values),
        }
    }

    /// What names were compared with so far in this turn, in bytes that were looked at.
    pub fn compared(&self) -> usize {
        self.compared.get()
    }

    /// The same, at the end of the turn.
    pub fn take_compared(&self) -> usize {
        self.compared.take()
    }

    fn rules_for(&self, key: Key) -> &Rules {
        if key.is_of_store() { &self.of_store } else { &self.rules }
    }

    fn note_compared(&self) {
        self.compared.set(self.compared.get() + self.cost);
    }

    fn won(&self, room: &RoomName, memo: &Memo) -> Won {
        if let Some((changes, won)) = memo.0.get()
            && changes == self.changes
        {
            return won;
        }
        self.note_compared();
        let won = Won::find(&self.rules, self.own.get(room), room);
        memo.0.set(Some((self.changes, won)));
        won
    }
}

#[cfg(test)]
mod tests {
    use super::super::name::UserName;
    use super::super::rules::{Rule, Whom, Written};
    use super::*;

    fn rules(pattern: &str, whom: &str) -> Rules {
        let mut values = Values::default();
        values.set(Key::Join, &Written::One(whom)).unwrap();
        Rules::of(vec![Rule { patterns: Rule::patterns(&[pattern]).unwrap(), values, line: 1 }]).unwrap()
    }

    /// A room remembers what wins until something changes, and not beyond.
    #[test]
    fn a_room_remembers_of_one_state() {
        let room = RoomName::parse("den").unwrap();
        let memo = Memo::none();
        let mut ruled = Ruled::default();
        assert!(ruled.find(Key::Join, &room, Some(&memo)).is_none() && ruled.take_compared() == 0);
        for (pattern, whom, expected) in [
            ("d*", "operator", Some(Whom::Operator)),
            ("d*", "named", Some(Whom::Named)),
            ("e*", "named", None),
            ("den", "role", Some(Whom::Role)),
        ] {
            assert!(ruled.change(rules(pattern, whom)));
            for compared in [pattern.len(), 0] {
                let found = ruled.find(Key::Join, &room, Some(&memo)).and_then(|values| values.join.clone());
                assert_eq!(found, expected, "{pattern} {whom}");
                assert_eq!(ruled.take_compared(), compared);
            }
        }
        assert!(!ruled.change(rules("den", "role")));
        assert!(ruled.find(Key::Join, &room, Some(&memo)).is_some() && ruled.take_compared() == 0);
        assert!(!ruled.change(Rules::default()) && ruled.find(Key::Join, &room, Some(&memo)).is_none());
    }

    /// The memory of lists of names comes and goes with them.
    #[test]
    fn what_is_set_has_its_memory_counted() {
        let mut ruled = Ruled::default();
        let these = |names: &[&str]| {
            let mut values = Values::default();
            values.set(Key::Speak, &Written::Many(names.to_vec())).unwrap();
            Some(values)
        };
        let long = "x".repeat(128);
        for (room, values, bytes) in [
            ("den", these(&["ann"]), 3),
            ("den", these(&["ann", &long]), 131),
            ("tea", these(&["bob"]), 134),
            ("den", None, 3),
            ("den", None, 3),
            ("tea", Some(Values::default()), 0),
        ] {
            ruled.set(RoomName::parse(room).unwrap(), values);
            let listed = ruled.own.values().map(|values| match &values.speak {
                Some(Whom::These(names)) => names.len(),
                _ => 0,
            });
            let listed: usize = listed.sum();
            assert_eq!(ruled.names_bytes, bytes + listed * size_of::<UserName>(), "{room}");
        }
    }
}
