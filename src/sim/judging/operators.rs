//! Invariant 18: what an operator is told is done, is done: those who were sent away are gone, those who are kept out
//! are not let in, and what was published stands where the answer says, if anybody has heard it.

use std::collections::BTreeMap;

use super::super::network::{Network, SECOND, Time};
use super::super::plan::Fault;

/// What operators were told.
#[derive(Debug, Default)]
pub struct Told {
    sent_away: Vec<SentAway>,
    /// Names that are kept out for sure.
    bans: BTreeMap<String, Ban>,
    /// Messages: room, number, content.
    published: Vec<(String, u64, String)>,
}

/// All sessions of a user were ended.
#[derive(Debug)]
struct SentAway {
    user: String,
    /// When that was asked for, and when it was answered.
    asked: Time,
    told: Time,
}

#[derive(Debug)]
struct Ban {
    life: u32,
    from: Time,
    until: Time,
}

impl Told {
    /// All sessions of a user, that were there when it was asked for, are ended.
    pub fn sent_away(&mut self, user: &str, asked: Time, told: Time) {
        self.sent_away.push(SentAway { user: user.into(), asked, told });
    }

    /// A user is kept out for so many seconds from when it was asked for, in this life of the server.
    pub fn banned(&mut self, user: &str, life: u32, (asked, from): (Time, Time), seconds: u64) {
        self.bans.insert(user.into(), Ban { life, from, until: asked + seconds * SECOND });
    }

    /// It is asked for something else: whether they are kept out is not known.
    pub fn perhaps_let_in(&mut self, user: &str) {
        self.bans.remove(user);
    }

    /// A message was said.
    pub fn published(&mut self, room: &str, seq: u64, content: &str) {
        self.published.push((room.into(), seq, content.into()));
    }

    /// Somebody is welcomed.
    ///
    /// # Errors
    /// They are kept out.
    pub fn welcome(&self, user: &str, link: usize, net: &Network) -> Result<(), (u8, String)> {
        let link = &net.links[link];
        // A ban ends by a clock of people.
        let holds = |ban: &&Ban| {
            ban.life == link.life && ban.from < link.accepted_at && net.now < ban.until && !net.plan.has(Fault::Wall)
        };
        match self.bans.get(user).filter(holds) {
            Some(ban) => {
                Err((18, format!("{user} is kept out from {} us to {}, and is welcomed", ban.from, ban.until)))
            }
            None => Ok(()),
        }
    }

    /// Once a second: whether those who were sent away are gone. `here` are the users who show that they are here, each
    /// with their link and since when. One to whom nothing is on the way has heard all that the server has said.
    pub fn look(&mut self, net: &mut Network, here: &[(&str, usize, Time)]) {
        let (now, turn, thawed) = (net.now, net.plan.turn, net.hosts[0].thawed);
        if !net.hosts[0].up || net.hosts[0].frozen_until >= now {
            return;
        }
        // Its answers come first, which a store may bring late.
        let late = if net.plan.has(Fault::Late) { LATE } else { 0 };
        let due = |away: &SentAway| now > away.told.max(thawed) + 2 * SECOND + 4 * turn + late;
        for away in self.sent_away.iter().filter(|away| due(away)) {
            let stays = |&(user, link, since): &(&str, usize, Time)| {
                let heard_all = net.takes_all(link) && !net.links[link].owed_much && net.is_served(link);
                user == away.user && since < away.asked && heard_all
            };
            if here.iter().any(stays) {
                let text = format!("{} was sent away at {} us, and is still here", away.user, away.asked);
                net.trace.fail(18, now, || text);
            }
        }
        self.sent_away.retain(|away| !due(away));
    }

    /// What was published stands where the answer says, wherever anybody has heard it: by the places of a content.
    ///
    /// # Errors
    /// It is not.
    pub fn look_at_published<'a>(
        &self,
        places_of: impl Fn(&str) -> &'a [(String, String, u64)],
    ) -> Result<(), (u8, String)> {
        for (room, seq, content) in &self.published {
            let places = places_of(content);
            if places.iter().any(|(at, _, number)| at != room || number != seq) {
                return Err((18, format!("{content:?} was published as {room}/{seq}, and stands at {places:?}")));
            }
        }
        Ok(())
    }
}

/// By then a store has brought what somebody is owed.
const LATE: Time = 60 * SECOND;
