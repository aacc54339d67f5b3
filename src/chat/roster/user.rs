//! Users: those who are here, and those who were.
//!
//! A user with a name stays known after the last device has gone, because one can write to them; a guest does not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use slab::Slab;

use super::super::name::UserName;
use super::super::tables::tree_bytes;
use super::session::NO_DEVICE;
use crate::slack;

/// The status that a user sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chat) enum Status {
    Online,
    Away,
    Busy,
    /// Set by a user who is here and hides.
    Offline,
}

impl Status {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Online, Self::Away, Self::Busy, Self::Offline].into_iter().find(|status| status.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }
}

/// A status and a note, as a client brings them along.
///
/// They are kept as long as the user is here, and for the grace after the last device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shows {
    pub(in crate::chat) status: Status,
    pub(in crate::chat) note: Option<Box<str>>,
}

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::chat) struct View {
    pub status: Status,
    pub devices: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
}

/// A name that no user here has, as others see it.
pub(in crate::chat) const NOBODY_THERE: View = View { status: Status::Offline, devices: 0, note: None };

#[derive(Debug)]
pub(in crate::chat) struct User {
    pub name: UserName,
    pub guest: bool,
    /// Has a device, or had one a moment ago.
    pub present: bool,
    pub status: Status,
    pub note: Option<Box<str>>,
    pub devices: u32,
    /// Devices on other nodes.
    pub abroad: u32,
    /// Rooms that the user is a member of, also without a device.
    pub rooms: u32,
    /// The slot of the first device; the sessions lead to the others.
    pub first_device: u32,
    /// The second in which the devices were last asked for a sign of life, because there was no room for another one;
    /// 0: never.
    pub asked: u32,
    /// While not present: their place among those who have gone.
    gone: u64,
}

impl User {
    /// Sets how the user is seen from now on.
    pub fn shows(&mut self, Shows { status, note }: Shows) {
        self.status = status;
        self.note = note;
    }

    pub fn visible(&self) -> bool {
        self.present && self.status != Status::Offline
    }

    /// Whether their devices are all on other nodes.
    fn lodges(&self) -> bool {
        self.abroad > 0 && self.devices == 0
    }

    /// Devices, here and on other nodes.
    pub fn all_devices(&self) -> u32 {
        self.devices.saturating_add(self.abroad)
    }

    /// The user as others see them.
    pub fn view(&self) -> View {
        match self.visible() {
            true => self.own_view(),
            false => NOBODY_THERE,
        }
    }

    /// The user as their own devices see them: a user who hides is not hidden from themselves.
    pub fn own_view(&self) -> View {
        match self.present {
            true => View { status: self.status, devices: self.all_devices(), note: self.note.clone() },
            false => NOBODY_THERE,
        }
    }
}

/// Invariant: `names` leads to every user; `gone` holds exactly those who are not present, in the order in which they
/// are forgotten, and `gone_name_bytes` is the sum of their names; `visible` counts those who are seen.
#[derive(Debug, Default)]
pub(in crate::chat) struct Users {
    users: Slab<User>,
    names: BTreeMap<UserName, u32>,
    gone: BTreeSet<(u64, u32)>,
    /// The place behind all that were given: those who have never been here stand before all who have left.
    next_place: u64,
    gone_name_bytes: usize,
    visible: usize,
    /// Users who have devices on other nodes alone: they take nobody's place.
    lodgers: usize,
    /// Users with names who are new, have come or have gone, and whether they are here; still to be told to the
    /// backend.
    pub met: BTreeMap<UserName, bool>,
    /// The sum of `rooms` over all.
    memberships: usize,
    /// Of all names together.
    name_bytes: usize,
}

impl Users {
    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub fn at(&self, key: u32) -> &User {
        &self.users[key as usize]
    }

    /// How many users there are to see.
    pub fn visible(&self) -> usize {
        self.visible
    }

    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// How many pairs there are of a user and a room they are a member of.
    pub fn memberships(&self) -> usize {
        self.memberships
    }

    pub fn held_bytes(&self) -> usize {
        let names = self.name_bytes + self.users.len() * 2 * size_of::<usize>();
        let trees = tree_bytes::<(UserName, u32)>(self.names.len()) + tree_bytes::<(u64, u32)>(self.gone.len());
        self.users.capacity() * size_of::<User>() + names + trees
    }

    /// Users in order of names, after a name.
    pub fn after(&self, name: Option<&str>) -> impl Iterator<Item = &User> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        self.names.range::<str, _>((from, Unbounded)).map(|(_, &key)| self.at(key))
    }

    /// The user of a name, who is known from now on; `None` if too many are known and all of them are here.
    pub fn find_or_insert(&mut self, name: &UserName, guest: bool, max_users: usize) -> Option<u32> {
        if let Some(key) = self.find(name.as_str()) {
            return Some(key);
        }
        while self.users.len() - self.lodgers >= max_users {
            let &(_, longest_gone) = self.gone.first()?;
            self.remove(longest_gone);
        }
        if !guest {
            self.met.insert(name.clone(), false);
        }
        Some(self.insert(name, guest))
    }

    /// Forgets users who have gone, those who left longest ago first, until what is remembered of them takes so many
    /// bytes at most, or enough have been forgotten for one turn. Returns whether any was.
    pub fn forget_gone(&mut self, most_bytes: usize) -> bool {
        let before = self.users.len();
        while before - self.users.len() < MAX_FORGOTTEN_AT_ONCE && self.gone_bytes() > most_bytes {
            self.forget_longest_gone();
        }
        self.users.len() < before
    }

    /// Forgets the user who left longest ago. Returns whether there is one.
    pub fn forget_longest_gone(&mut self) -> bool {
        let longest_gone = self.gone.first().copied();
        longest_gone.inspect(|&(_, key)| self.remove(key)).is_some()
    }

    /// Bytes for those who have gone, from above.
    fn gone_bytes(&self) -> usize {
        self.gone.len() * BYTES_PER_GONE + self.gone_name_bytes
    }

    /// The user of a name who is on another node.
    pub fn find_or_note(&mut self, name: &UserName, guest: bool) -> u32 {
        self.find(name.as_str()).unwrap_or_else(|| self.insert(name, guest))
    }

    /// A user with a new name is known from now on.
    pub fn know(&mut self, name: &UserName) {
        self.insert(name, false);
    }

    fn insert(&mut self, name: &UserName, guest: bool) -> u32 {
        let gone = self.give_place();
        let key = self.users.insert(User {
            name: name.clone(),
            guest,
            present: false,
            status: Status::Online,
            note: None,
            devices: 0,
            abroad: 0,
            rooms: 0,
            first_device: NO_DEVICE,
            asked: 0,
            gone,
        }) as u32;
        self.name_bytes += name.as_str().len();
        self.names.insert(name.clone(), key);
        self.gone.insert((gone, key));
        self.gone_name_bytes += name.as_str().len();
        key
    }

    /// The user comes, or goes: the backend is to hear of it, unless it is another device of one who is here.
    pub fn note_met(&mut self, key: u32, here: bool) {
        let user = self.at(key);
        if !user.guest && user.present != here {
            let name = user.name.clone();
            self.met.insert(name, here);
        }
    }

    /// Changes a user who stays.
    pub fn change<T>(&mut self, key: u32, change: impl FnOnce(&mut User) -> T) -> T {
        let user = &mut self.users[key as usize];
        let (was_visible, was_present, rooms) = (user.visible(), user.present, user.rooms as usize);
        let lodged = user.lodges();
        let changed = change(user);
        self.lodgers = self.lodgers + usize::from(user.lodges()) - usize::from(lodged);
        self.visible = self.visible + usize::from(user.visible()) - usize::from(was_visible);
        self.memberships = self.memberships + user.rooms as usize - rooms;
        if user.present && !was_present {
            self.gone.remove(&(user.gone, key));
            self.gone_name_bytes -= user.name.as_str().len();
        }
        changed
    }

    /// The user, who has left all rooms and has no device, is no longer present; a guest is forgotten.
    pub fn leave(&mut self, key: u32) {
        let gone = LEFT | self.give_place();
        let guest = self.change(key, |user| {
            assert!(user.all_devices() == 0 && user.rooms == 0, "a user is gone only after leaving");
            user.present = false;
            user.status = Status::Online;
            user.note = None;
            user.gone = gone;
            user.guest
        });
        self.gone.insert((gone, key));
        self.gone_name_bytes += self.users[key as usize].name.as_str().len();
        if guest {
            self.remove(key);
        }
    }

    /// Shrinks the tables after users have gone. Call it seldom.
    pub fn shrink(&mut self) {
        slack::shrink(&mut self.users);
    }

    fn give_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    fn remove(&mut self, key: u32) {
        let user = self.users.remove(key as usize);
        debug_assert!(!user.present && user.devices == 0 && user.rooms == 0, "{} is forgotten while here", user.name);
        self.gone.remove(&(user.gone, key));
        self.gone_name_bytes -= user.name.as_str().len();
        self.name_bytes -= user.name.as_str().len();
        self.names.remove(&user.name);
    }
}

/// The places of those who have left; those below are of people who have never been here.
const LEFT: u64 = 1 << 63;

/// What is held for one who has gone, at most, beside the name: a place in a slab, which grows by doubling, and one in
/// each of two trees.
const BYTES_PER_GONE: usize = 2 * size_of::<User>() + 128;

/// Users who are forgotten in one turn because they take more than their share.
const MAX_FORGOTTEN_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::remembered_bytes;

    fn name(n: usize) -> UserName {
        UserName::parse(&format!("{n:0>128}")).unwrap()
    }

    fn come_and_go(users: &mut Users, n: usize) {
        let key = users.find_or_insert(&name(n), false, 200_000).unwrap();
        users.change(key, |user| user.present = true);
        users.leave(key);
    }

    fn known(users: &Users, all: usize) -> Vec<usize> {
        (0..all).filter(|&n| users.find(name(n).as_str()).is_some()).collect()
    }

    /// At the limit all are known; past it those go who have never been here, in the order in which they were told,
    /// then those who left longest ago; and none who is here.
    #[test]
    fn those_who_left_longest_ago_go_first() {
        let mut users = Users::default();
        come_and_go(&mut users, 0);
        (1..3).for_each(|n| users.know(&name(n)));
        let here = users.find_or_insert(&name(3), false, 200_000).unwrap();
        users.change(here, |user| user.present = true);
        come_and_go(&mut users, 4);
        let one = BYTES_PER_GONE + 128;
        assert_eq!(users.gone_bytes(), 4 * one);
        assert!(!users.forget_gone(4 * one));
        for (most, expected) in
            [(4 * one - 1, &[0, 2, 3, 4][..]), (3 * one - 1, &[0, 3, 4]), (2 * one - 1, &[3, 4]), (one - 1, &[3])]
        {
            assert!(users.forget_gone(most));
            assert_eq!(known(&users, 5), expected, "{most}");
        }
        assert!(!users.forget_gone(0) && !users.forget_longest_gone());
        // Of many that are told the newest stay, whichever slots they take.
        for n in 10..100 {
            users.know(&name(n));
            users.forget_gone(3 * one);
        }
        assert_eq!(known(&users, 100), [3, 97, 98, 99]);
    }

    /// However many come and go, they take their share; one that becomes smaller is kept to by and by.
    #[test]
    fn those_who_have_gone_take_their_share() {
        let (mut users, budget) = (Users::default(), 8 << 20);
        let mut worst = 0;
        for n in 0..20_000 {
            come_and_go(&mut users, n);
            users.forget_gone(remembered_bytes(Some(budget)));
            worst = worst.max(users.held_bytes());
        }
        assert!((budget / 16..=budget / 8).contains(&worst), "{worst}");
        let before = users.len();
        assert!(users.forget_gone(0));
        assert_eq!(users.len(), before - MAX_FORGOTTEN_AT_ONCE);
        assert_eq!(remembered_bytes(None), usize::MAX);
    }
}
