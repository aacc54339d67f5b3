//! The people of a room, as a session is told of them: by `online_users`, and by each who comes and goes. What it was
//! told adds up, and is what `members` says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::network::Network;
use super::{Client, message};

/// The people of a room, as far as somebody has heard of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Their names; of a big room some of them.
    pub users: BTreeSet<String>,
    /// How many there are; none: it is not said, as in the plain dialect of a big room.
    pub count: Option<u64>,
    /// All comings and goings have been told by name since the list: nobody else is here.
    certain: bool,
}

impl Crowd {
    /// A list has come. A room of more people than that is big: who comes and goes there is told by lists alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn listed(users: BTreeSet<String>, names: usize, count: Option<u64>, big: usize) -> Result<Self, String> {
        if names != users.len() {
            return Err("a name stands twice among those who are here".into());
        }
        let there = count.unwrap_or(names as u64);
        if names > big || names as u64 > there || (names as u64) < there.min(big as u64) {
            return Err(format!("{names} are named of {there} who are here, and a room is big with more than {big}"));
        }
        Ok(Self { certain: names < big, users, count })
    }

    /// Somebody comes.
    ///
    /// # Errors
    /// That one is here already, or the room is so big that this is not told by name.
    pub fn joins(&mut self, user: &str, big: usize) -> Result<(), String> {
        let comes = self.users.insert(user.to_owned());
        self.count = self.count.map(|count| count + u64::from(comes));
        if self.certain && !comes {
            return Err(format!("{user} comes, and was here"));
        }
        // The next one who comes is not told of.
        self.certain &= self.users.len() < big;
        Ok(())
    }

    /// Somebody goes.
    ///
    /// # Errors
    /// That one was not here.
    pub fn leaves(&mut self, user: &str) -> Result<(), String> {
        let goes = self.users.remove(user);
        self.count = self.count.map(|count| count - u64::from(goes));
        if self.certain && !goes { Err(format!("{user} goes, and was not here")) } else { Ok(()) }
    }

    /// Whether these are the people who are here, as far as is known; `all`: nothing has happened for so long that
    /// whatever changed was told.
    pub fn agrees<'a>(&self, people: impl Iterator<Item = &'a str>, all: bool) -> bool {
        let people: BTreeSet<&str> = people.collect();
        let named = self.users.iter().all(|user| people.contains(user.as_str()));
        let counted = self.count.is_none_or(|count| count == people.len() as u64);
        !(self.certain || all) || named && counted
    }
}

impl Client {
    /// A list of who is in a room.
    pub(super) fn crowd_is_listed(&mut self, net: &Network, message: &Value) -> Result<(), (u8, String)> {
        let name = message::field(message, "room_id")?;
        let big = net.plan.settings.chat.big_room;
        let wrong = |wrong: String| (17, format!("{name}: {wrong}"));
        let list = message["users"].as_array().ok_or((13, "online_users without users".to_owned()))?;
        let users: BTreeSet<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let count = message["count"].as_u64().ok_or((13, "online_users without count".to_owned()))?;
        let crowd = Crowd::listed(users, list.len(), Some(count), big).map_err(wrong)?;
        if crowd.certain && !crowd.users.contains(&self.user) {
            return Err(wrong("who is here is told to somebody who is not among them".into()));
        }
        if let Some(room) = self.rooms.get_mut(name) {
            room.crowd = Some(crowd);
        }
        Ok(())
    }

    /// Somebody comes or goes.
    pub(super) fn crowd_changes(&mut self, net: &Network, kind: &str, message: &Value) -> Result<(), (u8, String)> {
        let (name, user) = (message::field(message, "room_id")?, message::field(message, "user_id")?);
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.inside) else {
            return Err((9, format!("{kind} of {name}, which it is not in")));
        };
        // While a replay comes, who comes and goes is not told.
        let Some(crowd) = room.crowd.as_mut().filter(|_| room.replay_to.is_none()) else {
            return Err((17, format!("{name}: {kind} comes before online_users")));
        };
        let big = net.plan.settings.chat.big_room;
        let added_up = if kind == "user_joined" { crowd.joins(user, big) } else { crowd.leaves(user) };
        added_up.map_err(|wrong| (17, format!("{name}: {wrong}")))
    }

    /// All who are in a room are listed, to a session that hears it live.
    pub(super) fn crowd_is_as_told(&self, net: &Network, message: &Value) -> Result<(), (u8, String)> {
        let name = message::field(message, "room_id")?;
        let members = message["members"].as_array().ok_or((13, "members without members".to_owned()))?;
        let count = message["count"].as_u64().ok_or((13, "members without count".to_owned()))?;
        let whole = message.get("next").is_none();
        if whole && count != members.len() as u64 {
            return Err((17, format!("{name}: {} are listed of {count}, and there is no next page", members.len())));
        }
        let Some(room) = self.rooms.get(name).filter(|_| whole) else { return Ok(()) };
        let live = room.epoch.as_deref().and_then(|epoch| self.hears_live(net, name, epoch)).is_some();
        let people = members.iter().filter_map(|member| member["user_id"].as_str());
        match &room.crowd {
            Some(crowd) if live && !crowd.agrees(people, false) => {
                Err((17, format!("{name}: members are others than those whom it was told of: {:?}", crowd.users)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str], count: u64, big: usize) -> Result<Crowd, String> {
        Crowd::listed(names.iter().map(|&name| name.to_owned()).collect(), names.len(), Some(count), big)
    }

    #[test]
    fn who_comes_and_goes_adds_up() {
        let mut crowd = listed(&["ann"], 1, 3).unwrap();
        crowd.joins("bob", 3).unwrap();
        assert!(crowd.clone().joins("bob", 3).is_err(), "he is here");
        assert!(crowd.clone().leaves("cat").is_err(), "she is not");
        assert!(crowd.agrees(["ann", "bob"].into_iter(), false) && !crowd.agrees(["ann"].into_iter(), false));
        // With a third one more may come of whom nobody is told, until there is a list.
        crowd.joins("cat", 3).unwrap();
        crowd.leaves("dan").unwrap();
        assert!(crowd.agrees(["ann"].into_iter(), false) && !crowd.agrees(["ann"].into_iter(), true));
        assert_eq!(
            listed(&["ann"], 2, 3),
            Err("1 are named of 2 who are here, and a room is big with more than 3".into())
        );
        assert!(listed(&["ann", "bob", "cat"], 4, 3).unwrap().agrees(["ann", "bob", "cat", "dan"].into_iter(), true));
    }
}
