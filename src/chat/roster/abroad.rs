//! People on other nodes, as these have said it: how many devices of a user are there, and in which rooms.
//!
//! The roster counts them with those who are here; this file only knows which node has said what, so that it can be
//! taken back, line by line or with the node. Where the store is not shared it is empty, and costs nothing.

use std::collections::BTreeMap;

use super::super::tables::{table_bytes, tree_bytes};
use crate::random::{Keyed, Table};
use crate::slack;

#[derive(Debug)]
pub(super) struct Abroad {
    nodes: Table<u64, Node>,
    /// On how many nodes users are, and with how many devices.
    users: Table<u32, Sum>,
    /// The same of seats: a user, and a room.
    seats: Table<(u32, u32), Sum>,
    /// How many seats each room has.
    rooms: Table<u32, u32>,
    /// When the status of a user was set, for those of whom that is known.
    since: Table<u32, u64>,
}

/// What one node has said: devices of users, and sessions of users in rooms.
#[derive(Debug)]
struct Node {
    users: Table<u32, u32>,
    seats: BTreeMap<(u32, u32), u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    nodes: u32,
    number: u32,
}

impl Sum {
    fn add(&mut self, number: u32, before: Option<u32>) {
        self.nodes += u32::from(before.is_none());
        self.number = self.number.saturating_sub(before.unwrap_or(0)).saturating_add(number);
    }

    /// Returns whether nothing is left.
    fn take(&mut self, number: u32) -> bool {
        self.nodes -= 1;
        self.number = self.number.saturating_sub(number);
        self.nodes == 0
    }
}

impl Abroad {
    /// No node has said anything.
    pub fn new(keyed: &Keyed) -> Self {
        Self {
            nodes: keyed.table(),
            users: keyed.table(),
            seats: keyed.table(),
            rooms: keyed.table(),
            since: keyed.table(),
        }
    }

    /// Whether a user is on another node.
    pub fn has(&self, user: u32) -> bool {
        self.users.contains_key(&user)
    }

    /// Whether a user is on one other node, and on no second one.
    pub fn is_on_one_node(&self, user: u32) -> bool {
        self.users.get(&user).is_some_and(|sum| sum.nodes == 1)
    }

    /// How many devices they have there.
    pub fn devices(&self, user: u32) -> u32 {
        self.users.get(&user).map_or(0, |sum| sum.number)
    }

    /// How many sessions of a user are inside a room on other nodes, if they are a member there.
    pub fn sessions(&self, user: u32, room: u32) -> Option<u32> {
        self.seats.get(&(user, room)).map(|sum| sum.number)
    }

    /// Whether anybody is inside a room on another node.
    pub fn is_in_use(&self, room: u32) -> bool {
        self.rooms.contains_key(&room)
    }

    /// When the status of a user was set; 0: it never was, or that is not known.
    pub fn since(&self, user: u32) -> u64 {
        self.since.get(&user).copied().unwrap_or(0)
    }

    pub fn note_since(&mut self, user: u32, since: u64) {
        match since {
            0 => drop(self.since.remove(&user)),
            _ => drop(self.since.insert(user, since)),
        }
    }

    /// A node says that a user is there.
    pub fn set_user(&mut self, node: u64, user: u32, devices: u32) {
        let keyed = self.users.hasher();
        let new = || Node { users: keyed.table(), seats: BTreeMap::new() };
        let before = self.nodes.entry(node).or_insert_with(new).users.insert(user, devices);
        self.users.entry(user).or_default().add(devices, before);
    }

    /// A node says that a user is there no longer. Returns whether it had said that they are.
    pub fn end_user(&mut self, node: u64, user: u32) -> bool {
        let Some(it) = self.nodes.get_mut(&node) else { return false };
        let Some(devices) = it.users.remove(&user) else { return false };
        if it.users.is_empty() {
            self.nodes.remove(&node);
        }
        if self.users.get_mut(&user).is_some_and(|sum| sum.take(devices)) {
            self.users.remove(&user);
        }
        true
    }

    /// A node says that a user is in a room there. Returns whether it has said that they are on the node.
    pub fn set_seat(&mut self, node: u64, user: u32, room: u32, sessions: u32) -> bool {
        let Some(it) = self.nodes.get_mut(&node).filter(|it| it.users.contains_key(&user)) else { return false };
        let before = it.seats.insert((user, room), sessions);
        let sum = self.seats.entry((user, room)).or_default();
        if sum.nodes == 0 {
            *self.rooms.entry(room).or_default() += 1;
        }
        sum.add(sessions, before);
        true
    }

    /// A node says that a user is in a room there no longer. Returns whether they are in it on none any more.
    pub fn end_seat(&mut self, node: u64, user: u32, room: u32) -> bool {
        let seats = self.nodes.get_mut(&node).map(|it| &mut it.seats);
        let Some(sessions) = seats.and_then(|seats| seats.remove(&(user, room))) else { return false };
        let is_last = self.seats.get_mut(&(user, room)).is_some_and(|sum| sum.take(sessions));
        if is_last {
            self.seats.remove(&(user, room));
            if let Some(seats) = self.rooms.get_mut(&room) {
                *seats -= 1;
                if *seats == 0 {
                    self.rooms.remove(&room);
                }
            }
        }
        is_last
    }

    /// The rooms that a user is in on a node.
    pub fn rooms_of(&self, node: u64, user: u32) -> Vec<u32> {
        let seats = self.nodes.get(&node).into_iter().flat_map(|it| it.seats.range((user, 0)..=(user, u32::MAX)));
        seats.map(|(&(_, room), _)| room).collect()
    }

    pub fn held_bytes(&self) -> usize {
        let of = |node: &Node| {
            table_bytes::<(u32, u32)>(node.users.capacity()) + tree_bytes::<((u32, u32), u32)>(node.seats.len())
        };
        self.nodes.values().map(of).sum::<usize>()
            + table_bytes::<(u32, Sum)>(self.users.capacity())
            + table_bytes::<((u32, u32), Sum)>(self.seats.capacity())
            + table_bytes::<(u32, u32)>(self.rooms.capacity())
            + table_bytes::<(u32, u64)>(self.since.capacity())
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.nodes);
        slack::shrink(&mut self.users);
        slack::shrink(&mut self.seats);
        slack::shrink(&mut self.rooms);
        slack::shrink(&mut self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what a node says (of user 1 in room 5), and devices, sessions and whether the room is in use then.
    #[test]
    fn sums_are_of_all_nodes() {
        let mut abroad = Abroad::new(&crate::random::Random::from(1).keyed());
        type Say = fn(&mut Abroad);
        let rows: [(Say, u32, Option<u32>, bool); 8] = [
            (|it| assert!(!it.set_seat(8, 1, 5, 1)), 0, None, false),
            (|it| it.set_user(8, 1, 2), 2, None, false),
            (|it| it.set_user(9, 1, 1), 3, None, false),
            (|it| assert!(it.set_seat(8, 1, 5, 2) && it.set_seat(9, 1, 5, 1)), 3, Some(3), true),
            (|it| assert!(it.set_seat(8, 1, 5, 0)), 3, Some(1), true),
            (|it| assert!(!it.end_seat(8, 1, 5) && !it.end_seat(8, 1, 5)), 3, Some(1), true),
            (|it| assert!(it.end_seat(9, 1, 5) && it.end_user(9, 1) && !it.end_user(9, 1)), 2, None, false),
            (|it| assert!(it.end_user(8, 1) && !it.has(1) && it.nodes.is_empty()), 0, None, false),
        ];
        for (at, (say, devices, sessions, in_use)) in rows.into_iter().enumerate() {
            say(&mut abroad);
            assert_eq!(
                (abroad.devices(1), abroad.sessions(1, 5), abroad.is_in_use(5)),
                (devices, sessions, in_use),
                "{at}"
            );
        }
    }
}
