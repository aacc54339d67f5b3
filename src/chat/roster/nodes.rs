//! The roster of a chat that shares its store: what is to be said to other nodes of those who are here, and what these
//! have said of theirs.
//!
//! A user is present while they are here or on another node, and a member of a room while a session of theirs is inside
//! anywhere, or a grace runs; so who moves from one node to another never left. A status is the user's, not the node's:
//! the one that was set last stands on every node, and each node says it on.

use super::{Fact, Grace, Roster, Shows};
use crate::chat::name::{RoomName, UserName};

/// Somebody who is here, or inside a room here, in another way than other nodes know; or not any more.
pub(in crate::chat) type Moved = (Option<RoomName>, UserName);

/// A user as a node says it.
#[derive(Clone, Debug)]
pub(in crate::chat) struct Stands {
    pub devices: u32,
    pub shows: Shows,
    /// When the status was set, in milliseconds since the Unix epoch; 0: never.
    pub since: u64,
}

impl Roster {
    /// From now on changes are noted for other nodes.
    pub fn share(&mut self) {
        self.shared = true;
        self.rooms.unfollowed = Some(Vec::new());
    }

    /// Those who have moved since this was last asked, users before their rooms.
    pub fn take_moved(&mut self) -> std::collections::BTreeSet<Moved> {
        std::mem::take(&mut self.moved)
    }

    /// The store did not take it; it is to be said again.
    pub fn moves_again(&mut self, moved: Moved) {
        self.moved.insert(moved);
    }

    pub(super) fn note_moved(&mut self, user: u32) {
        if self.shared {
            self.moved.insert((None, self.users.at(user).name.clone()));
        }
    }

    pub(super) fn note_moved_in(&mut self, user: u32, room: u32) {
        if self.shared {
            self.moved.insert((Some(self.rooms.at(room).name.clone()), self.users.at(user).name.clone()));
        }
    }

    /// How a user is here, if they are, or were a moment ago.
    pub fn stands(&self, user: &UserName) -> Option<(bool, Stands)> {
        let key = self.users.find(user.as_str())?;
        self.is_here(key).then(|| {
            let user = self.users.at(key);
            let shows = Shows { status: user.status, note: user.note.clone() };
            (user.guest, Stands { devices: user.devices, shows, since: self.abroad.since(key) })
        })
    }

    /// How many sessions of a user are inside a room here, if they are a member here.
    pub fn sits(&self, user: &UserName, room: &RoomName) -> Option<u32> {
        let (user, room) = (self.users.find(user.as_str())?, self.rooms.find(room.as_str())?);
        let sessions = self.rooms.at(room).members.sessions(user)?;
        (sessions > 0 || self.graces.runs(Grace::Leave { user, room })).then_some(sessions)
    }

    fn is_here(&self, user: u32) -> bool {
        self.users.at(user).devices > 0 || self.graces.runs(Grace::Gone { user })
    }

    /// Whether anybody is inside a room on another node.
    pub fn is_heard_abroad(&self, room: u32) -> bool {
        self.abroad.is_in_use(room)
    }

    /// Sessions of a user inside a room on other nodes.
    pub fn sessions_abroad(&self, user: u32, room: u32) -> u32 {
        self.abroad.sessions(user, room).unwrap_or(0)
    }

    /// A user of another node, who is known from now on. The store bounds how many there are.
    pub fn know_abroad(&mut self, name: &UserName, guest: bool) -> u32 {
        self.users.find_or_note(name, guest)
    }

    /// Sets how the user is seen, at a time by which nodes agree on what was set last.
    pub fn show_from(&mut self, user: u32, shows: Shows, now: u64) -> Fact {
        if self.shared {
            self.abroad.note_since(user, now.max(self.abroad.since(user) + 1));
        }
        self.note_moved(user);
        self.show(user, shows)
    }

    /// A node says that a user is there.
    pub fn stand_abroad(&mut self, node: u64, user: u32, stands: Stands) -> Fact {
        let Stands { devices, shows, since } = stands;
        let before = self.users.at(user).own_view();
        self.abroad.set_user(node, user, devices);
        let (devices, known) = (self.abroad.devices(user), self.abroad.since(user));
        // A node on which alone they are says how they are. What is known here may be of an earlier stay whose end was
        // lost, and its time be one of a clock that was set back since.
        let alone = !self.is_here(user) && self.abroad.is_on_one_node(user);
        let mut adopted = false;
        self.users.change(user, |it| {
            let order = |since: u64, status: super::user::Status, note: &Option<Box<str>>| {
                (since, status.as_str(), note.as_deref().map(str::to_owned))
            };
            // Two that were set in the same moment: one of them, and on every node the same.
            adopted =
                !it.present || alone || order(since, shows.status, &shows.note) > order(known, it.status, &it.note);
            if adopted {
                it.shows(shows);
            }
            (it.abroad, it.present) = (devices, true);
        });
        if adopted {
            self.abroad.note_since(user, since);
            self.note_moved(user);
        }
        Fact::Seen { user, before }
    }

    /// A node says that a user is there no longer.
    pub fn gone_abroad(&mut self, node: u64, user: u32) -> Vec<Fact> {
        let rooms = self.abroad.rooms_of(node, user);
        let mut facts: Vec<Fact> = rooms.into_iter().filter_map(|room| self.left_abroad(node, user, room)).collect();
        if !self.abroad.end_user(node, user) {
            return facts;
        }
        let devices = self.abroad.devices(user);
        self.users.change(user, |user| user.abroad = devices);
        if !self.abroad.has(user) && !self.is_here(user) {
            facts.push(self.part_with(user));
        }
        facts
    }

    /// A node says that a user is inside a room there.
    pub fn sit_abroad(&mut self, node: u64, user: u32, room: u32, sessions: u32) -> Option<Fact> {
        // The room may be one that was made for this, and ends if nobody is in it.
        self.unsettled.push(room);
        if !self.abroad.set_seat(node, user, room, sessions) || self.rooms.at_mut(room).members.note(user) {
            return None;
        }
        self.users.change(user, |user| user.rooms += 1);
        Some(Fact::Joined { room, user })
    }

    /// A node says that a user is inside a room there no longer.
    pub fn left_abroad(&mut self, node: u64, user: u32, room: u32) -> Option<Fact> {
        let is_last = self.abroad.end_seat(node, user, room);
        let waits = self.rooms.at(room).members.sessions(user) == Some(0);
        let here = self.graces.runs(Grace::Leave { user, room });
        (is_last && waits && !here).then(|| self.depart(user, room)).flatten()
    }
}
