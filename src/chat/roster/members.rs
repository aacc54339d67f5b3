//! The members of a room.

use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The users in a room, each with the number of their sessions inside; 0 for a user who may come back in a moment, or
/// is inside on another node.
#[derive(Debug, Default)]
pub(in crate::chat) struct Members {
    sessions: BTreeMap<u32, u32>,
    /// The last sample of a crowd: it is the same for many users who come into it in turn. Less than four bytes a
    /// member.
    sample: OnceCell<Sample>,
}

/// Some of a crowd.
///
/// Invariant: there are more members than `most`, and these are so many of them, those with the least keys.
#[derive(Debug)]
struct Sample {
    most: usize,
    last: u32,
    /// In order of their names.
    users: Box<[u32]>,
}

impl Members {
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many sessions of a user are inside, if they are a member.
    pub fn sessions(&self, user: u32) -> Option<u32> {
        self.sessions.get(&user).copied()
    }

    /// One session of the user more is inside. Returns whether the user was a member before.
    pub fn begin_session(&mut self, user: u32) -> bool {
        if let Some(sessions) = self.sessions.get_mut(&user) {
            *sessions += 1;
            return true;
        }
        self.sessions.insert(user, 1);
        self.forget_sample_with(user);
        false
    }

    /// The user is a member without a session here. Returns whether they were one before.
    pub fn note(&mut self, user: u32) -> bool {
        if self.sessions.contains_key(&user) {
            return true;
        }
        self.sessions.insert(user, 0);
        self.forget_sample_with(user);
        false
    }

    /// One session of the user less is inside. Returns how many are left; with none, the user stays a member.
    pub fn end_session(&mut self, user: u32) -> u32 {
        let sessions = self.sessions.get_mut(&user).expect("a user with a session inside is a member");
        *sessions -= 1;
        *sessions
    }

    pub fn remove(&mut self, user: u32) {
        self.sessions.remove(&user);
        self.forget_sample_with(user);
    }

    /// All of them from one key on, in the order of their keys.
    pub fn users_from(&self, user: u32) -> impl Iterator<Item = u32> {
        self.sessions.range(user..).map(|(&user, _)| user)
    }

    /// The names of all of them, or of as many as `most` (at least one), in order.
    pub fn names<'a>(&self, most: usize, name: impl Fn(u32) -> &'a str) -> Vec<&'a str> {
        let most = most.max(1);
        if let Some(sample) = self.sample.get().filter(|sample| sample.most == most) {
            return sample.users.iter().map(|&user| name(user)).collect();
        }
        let mut users: Vec<(&str, u32)> = self.users_from(0).take(most).map(|user| (name(user), user)).collect();
        let last = users.last().map_or(0, |&(_, user)| user);
        users.sort_unstable();
        if self.len() > most {
            // A sample that was made for another number stays: that is rare, and ends when a member in it goes.
            let _ = self.sample.set(Sample { most, last, users: users.iter().map(|&(_, user)| user).collect() });
        }
        users.into_iter().map(|(name, _)| name).collect()
    }

    /// A member that comes or goes behind the sample leaves it as it is, as long as there are more members than it has.
    fn forget_sample_with(&mut self, user: u32) {
        let is_as_before = |sample: &Sample| user > sample.last && self.sessions.len() > sample.most;
        if !self.sample.get().is_none_or(is_as_before) {
            self.sample.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names fall while keys rise.
    const NAMES: [&str; 8] = ["h", "g", "f", "e", "d", "c", "b", "a"];

    /// Each row: a member that comes (or goes, with a minus), and the names in a sample of three then.
    #[test]
    fn a_sample_is_of_the_first_and_in_order() {
        let mut members = Members::default();
        for (change, expected) in [
            (3_i32, "e"),
            (4, "de"),
            (6, "bde"),
            (7, "bde"),
            (2, "def"),
            (5, "def"),
            (-5, "def"),
            (-4, "bef"),
            (-7, "bef"),
            (-2, "be"),
            (1, "beg"),
        ] {
            match change {
                1.. => assert!(!members.begin_session(change as u32)),
                gone => members.remove(gone.unsigned_abs()),
            }
            for _ in 0..2 {
                assert_eq!(members.names(3, |user| NAMES[user as usize]).concat(), expected, "{change}");
            }
        }
    }

    #[test]
    fn each_number_has_its_sample() {
        let mut members = Members::default();
        (0..8).for_each(|user| assert!(!members.begin_session(user)));
        for (most, expected) in [(3, "fgh"), (2, "gh"), (3, "fgh"), (0, "h"), (8, "abcdefgh"), (9, "abcdefgh")] {
            assert_eq!(members.names(most, |user| NAMES[user as usize]).concat(), expected, "{most}");
        }
    }
}
