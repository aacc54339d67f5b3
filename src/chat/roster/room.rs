//! Rooms: their members, and how long they stay without any.

use std::collections::{BTreeMap, BTreeSet};

use slab::Slab;

use super::super::name::RoomName;
use super::super::ruled::Memo;
use super::super::tables::tree_bytes;
use super::members::Members;
use super::session::Dialect;
use crate::backend::Epoch;
use crate::id::TopicId;
use crate::slack;
use crate::time::Tick;

#[derive(Debug)]
pub(in crate::chat) struct Room {
    pub name: RoomName,
    /// Its title and its topic.
    pub title: Option<Box<str>>,
    pub topic: Option<Box<str>>,
    /// Which of all changes of rooms these are of, where the store says it; else 0.
    pub changes: u64,
    /// One of them was changed while somebody was inside, who may have missed that.
    pub retold: bool,
    /// Milliseconds since the Unix epoch.
    pub created_at: u64,
    pub members: Members,
    /// Sessions inside, by dialect.
    pub json: u32,
    pub plain: u32,
    /// Requests about the room that the backend has not answered.
    pub waiting: u32,
    /// Whether the backend keeps messages of it.
    pub holds: bool,
    /// Whether a user made the room by `create_room`, and not only by coming in.
    pub created: bool,
    /// Whether the backend knows its description.
    pub described: bool,
    /// Something was asked about it since it was last unfollowed.
    pub followed: bool,
    /// The life that it is in, as the backend told of it last.
    pub life: Option<Epoch>,
    /// When the crowd last heard its summary.
    pub crowd_told: Option<Tick>,
    /// When its plain sessions last heard all names.
    pub names_told: Option<Tick>,
    /// While it is empty: whether it kept messages when that was noted, and since when.
    empty: Option<(bool, Tick)>,
    traffic: Traffic,
    /// Of which interval `traffic` is.
    interval: u32,
    /// Which of the rules for rooms win here.
    pub ruled: Memo,
}

/// The messages in a room over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::chat) struct Traffic {
    pub messages: u32,
    /// Times the sessions that heard it.
    pub deliveries: u64,
}

impl Room {
    pub fn count(&mut self, dialect: Dialect) -> &mut u32 {
        match dialect {
            Dialect::Json => &mut self.json,
            Dialect::Plain => &mut self.plain,
        }
    }

    /// Sessions inside, of either dialect.
    pub fn sessions(&self) -> u32 {
        self.json + self.plain
    }

    pub fn is_unused(&self) -> bool {
        self.members.is_empty() && self.waiting == 0
    }
}

/// Invariant: `names` leads to every room; `empty` holds exactly the unused rooms. Those that keep nothing come first
/// in it: making rooms without messages pushes out no room with a history.
#[derive(Debug, Default)]
pub(in crate::chat) struct Rooms {
    /// In boxes, so that an empty place below one that is in use is small.
    rooms: Slab<Box<Room>>,
    names: BTreeMap<RoomName, u32>,
    empty: BTreeSet<(bool, Tick, u32)>,
    /// Rooms that have ended, and are still to be released at the backend.
    pub ended: Vec<RoomName>,
    /// Where the store is shared: rooms that nobody here hears any more.
    pub unfollowed: Option<Vec<RoomName>>,
    /// Messages in a room are counted by intervals, of which this is the present one.
    interval: u32,
    /// Of all names together.
    name_bytes: usize,
}

impl Rooms {
    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub fn at(&self, key: u32) -> &Room {
        &self.rooms[key as usize]
    }

    pub fn at_mut(&mut self, key: u32) -> &mut Room {
        &mut self.rooms[key as usize]
    }

    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// With the memory of so many members in all rooms together.
    pub fn held_bytes(&self, memberships: usize) -> usize {
        let rooms = self.rooms.len();
        let names = self.name_bytes + rooms * 2 * size_of::<usize>();
        let trees = tree_bytes::<(RoomName, u32)>(rooms) + tree_bytes::<(bool, Tick, u32)>(self.empty.len());
        // A room of a few members has one node, whatever its content.
        let members = rooms * NODE_OF_MEMBERS + tree_bytes::<(u32, u32)>(memberships.saturating_sub(6 * rooms));
        self.rooms.capacity() * SLOT + rooms * size_of::<Room>() + names + trees + members
    }

    /// Rooms in order of names, after a name.
    pub fn after(&self, name: Option<&str>) -> impl Iterator<Item = (u32, &Room)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        self.names.range::<str, _>((from, Unbounded)).map(|(_, &key)| (key, self.at(key)))
    }

    /// Those that sessions are in of the next rooms by key, so many at most, and the key to go on from.
    pub fn with_sessions(&self, from: u32, most: u32) -> (Vec<u32>, Option<u32>) {
        let to = from.saturating_add(most);
        let is = |key: &u32| self.rooms.get(*key as usize).is_some_and(|room| room.sessions() > 0);
        ((from..to).filter(is).collect(), Some(to).filter(|&to| (to as usize) < self.rooms.capacity()))
    }

    /// The room that makes room for another one, if any is empty: the longest empty of those that keep nothing, else of
    /// the others.
    pub fn longest_empty(&self) -> Option<u32> {
        self.empty.first().map(|&(_, _, key)| key)
    }

    /// A new room.
    pub fn insert(&mut self, name: RoomName, created_at: u64) -> u32 {
        let key = self.rooms.insert(Box::new(Room {
            name: name.clone(),
            title: None,
            topic: None,
            changes: 0,
            retold: false,
            created_at,
            members: Members::default(),
            json: 0,
            plain: 0,
            waiting: 0,
            holds: false,
            created: false,
            described: false,
            followed: false,
            life: None,
            crowd_told: None,
            names_told: None,
            empty: None,
            traffic: Traffic::default(),
            interval: self.interval,
            ruled: Memo::none(),
        })) as u32;
        self.name_bytes += name.as_str().len();
        self.names.insert(name, key);
        key
    }

    /// Ends an empty room that keeps nothing; notes since when others are empty.
    ///
    /// Call it whenever one of these may have changed; the room may have ended since.
    pub fn settle(&mut self, key: u32, now: Tick) {
        let Some(room) = self.rooms.get_mut(key as usize) else { return };
        if let Some((held, since)) = room.empty {
            self.empty.remove(&(held, since, key));
        }
        if let Some(unfollowed) = &mut self.unfollowed
            && room.waiting + room.sessions() == 0
            && std::mem::take(&mut room.followed)
        {
            unfollowed.push(room.name.clone());
        }
        if !room.is_unused() {
            // A room that only waits for an answer has been empty all the time.
            room.empty.take_if(|_| !room.members.is_empty());
        } else if !room.holds && !room.created {
            self.end(key);
        } else {
            let since = room.empty.map_or(now, |(_, since)| since);
            room.empty = Some((room.holds, since));
            self.empty.insert((room.holds, since, key));
        }
    }

    /// The backend is asked about the room, which stays until it has answered: it makes room for no other one.
    pub fn hold(&mut self, key: u32) {
        let room = &mut self.rooms[key as usize];
        room.waiting += 1;
        room.followed = true;
        if let Some((held, since)) = room.empty {
            self.empty.remove(&(held, since, key));
        }
    }

    /// Ends rooms that were created, hold nothing, and have been empty for too long.
    pub fn expire(&mut self, empty_before: Tick) {
        let long_empty = self.empty.range(..(false, empty_before, 0)).take(MAX_ENDED_AT_ONCE);
        let ended: Vec<u32> = long_empty.map(|&(_, _, key)| key).collect();
        for key in ended {
            self.end(key);
        }
    }

    /// Counts a message in a room.
    pub fn note_said(&mut self, key: u32) {
        let room = &mut self.rooms[key as usize];
        if room.interval != self.interval {
            (room.traffic, room.interval) = (Traffic::default(), self.interval);
        }
        room.traffic.messages = room.traffic.messages.saturating_add(1);
        room.traffic.deliveries += u64::from(room.sessions());
    }

    /// All rooms, in no order, and their messages in this interval.
    pub fn traffic(&self) -> impl Iterator<Item = (&Room, Traffic)> {
        self.rooms.iter().map(|(_, room)| match room.interval == self.interval {
            true => (&**room, room.traffic),
            false => (&**room, Traffic::default()),
        })
    }

    /// Begins to count messages anew.
    pub fn begin_interval(&mut self) {
        self.interval = self.interval.wrapping_add(1);
    }

    pub fn any_empty(&self) -> bool {
        !self.empty.is_empty()
    }

    /// Shrinks the tables after rooms have ended. Call it seldom.
    pub fn shrink(&mut self) {
        slack::shrink(&mut self.rooms);
        slack::shrink(&mut self.ended);
    }

    /// Ends an empty room.
    pub fn end(&mut self, key: u32) {
        let name = self.remove(key);
        self.ended.push(name);
    }

    /// Forgets an empty room; the backend does not hear of it.
    pub fn remove(&mut self, key: u32) -> RoomName {
        let room = self.rooms.remove(key as usize);
        debug_assert!(room.is_unused() && room.sessions() == 0, "{} ends while used", room.name);
        if let Some((held, since)) = room.empty {
            self.empty.remove(&(held, since, key));
        }
        self.name_bytes -= room.name.as_str().len();
        self.names.remove(&room.name);
        room.name
    }
}

#[cfg(test)]
impl Rooms {
    /// Every room that is empty, and no other one, can make room.
    pub fn check(&self) {
        let empty: BTreeSet<(bool, Tick, u32)> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.is_unused())
            .map(|(key, room)| {
                let (held, since) = room.empty.expect("an empty room knows since when");
                assert_eq!(held, room.holds, "{}", room.name);
                (held, since, key as u32)
            })
            .collect();
        assert_eq!(self.empty, empty);
        assert_eq!(self.names.len(), self.rooms.len());
        assert!(self.names.iter().all(|(name, &key)| self.at(key).name == *name));
    }
}

/// The sessions that hear a room in one dialect. Topic 0 is [`EVERYBODY`].
pub(in crate::chat) fn topic(room: u32, dialect: Dialect) -> TopicId {
    TopicId::new(match dialect {
        Dialect::Json => 1 + 2 * room,
        Dialect::Plain => 2 + 2 * room,
    })
    .expect("memory does not last for 2^30 rooms")
}

/// The room of a topic that JSON sessions hear.
pub(in crate::chat) fn room_of(topic: TopicId) -> Option<u32> {
    (topic.number() % 2 == 1).then_some(topic.number() / 2)
}

/// Every JSON session.
pub(in crate::chat) const EVERYBODY: TopicId = TopicId::new(0).expect("a small number");

/// A place for a room.
const SLOT: usize = 2 * size_of::<usize>();

/// The memory of the smallest tree of members.
const NODE_OF_MEMBERS: usize = 104;

/// Rooms looked at in one [`Rooms::expire`].
const MAX_ENDED_AT_ONCE: usize = 1024;
