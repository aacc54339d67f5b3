//! What is known of all that was heard, put together from what clients say of it: the model that is no part of the
//! product. It knows the rules of `docs/wire.md`, and never looks into the server to understand what it hears.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use super::judging::operators::Told;
use super::trace::Time;

/// One life of a room.
pub type Life = (String, String);

/// What two people say to each other in a life of the server.
type Talk = (String, String, u32);

/// What stands behind a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `broadcast`, `edited`, `deleted` or `reaction`.
    pub kind: String,
    /// Who.
    pub sender: String,
    /// To which entry it is done; 0: to none.
    pub of: u64,
    /// When, by the server's wall clock.
    pub ts: u64,
    /// The content of a message, if it was heard as it was said.
    pub said: Option<String>,
}

/// What an operator has called for: each is the cause of what a user hears then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Put {
    /// Out of the server, by a kick.
    Kicked,
    /// Out of a room.
    OutOfRoom,
    /// Out of the server, and kept out.
    Banned,
    /// Out of the server, to come back at once.
    Disconnected,
}

/// What somebody has heard in a room who speaks the plain dialect.
#[derive(Debug)]
pub struct Plain {
    /// Where.
    pub room: String,
    /// Messages may have been said a second time by then: where they stand is not known.
    pub lost: bool,
    /// In which life of the server.
    pub life: u32,
    /// The contents of messages.
    pub heard: Vec<String>,
}

/// What was heard, by all.
#[derive(Debug, Default)]
pub struct Judge {
    entries: BTreeMap<Life, BTreeMap<u64, Entry>>,
    /// In which life of the server a life of a room was first heard of.
    first: BTreeMap<Life, u32>,
    /// Which life of the server it is.
    pub life: u32,
    /// Where each message was said: by its content, which no two have in common.
    said: BTreeMap<String, Vec<(String, String, u64)>>,
    /// What was acknowledged.
    acknowledged: BTreeMap<Life, BTreeMap<u64, String>>,
    /// Numbers that others than the first life of the server gave out.
    direct: BTreeMap<Talk, BTreeMap<u64, (String, String)>>,
    /// What was said to one user: not before when.
    direct_said: BTreeMap<Talk, BTreeMap<u64, Time>>,
    /// How far a user has said that they have read, in a room or with another one.
    marks: BTreeMap<(String, String), u64>,
    /// When the server has answered the pings of a user at an address, in a life of the server: the last ones, in
    /// order.
    passed: BTreeMap<(String, IpAddr, u32), VecDeque<u64>>,
    /// What was heard over connections that speak the plain dialect, from the first to the last.
    pub plain: Vec<Plain>,
    /// Whether what was acknowledged may have been lost, so that a message may be said a second time.
    pub lost: bool,
    /// Whether numbers may have begun anew while people were inside: a room keeps what it has in another life, under
    /// the same numbers, and nobody can tell in which life a number was given.
    pub renumbered: bool,
    /// Names that the operator has banned.
    pub banned: BTreeSet<String>,
    /// Messages of rooms that were heard, each by each who hears it.
    pub heard: u64,
    /// What operators were told is done.
    pub told: Told,
    /// What operators have called for, of whom.
    put: BTreeSet<(Put, String)>,
    /// In which life of the server each user was welcomed first of late, and when that was heard.
    met: BTreeMap<String, (u32, Time)>,
}

impl Judge {
    /// Somebody hears an entry of a room.
    ///
    /// # Errors
    /// The invariant that does not hold, and why.
    pub fn hear(&mut self, room: &str, epoch: &str, seq: u64, entry: Entry) -> Result<(), (u8, String)> {
        self.heard += 1;
        if seq == 0 {
            return Err((1, format!("an entry of {room} with the number 0")));
        }
        let life = (room.to_owned(), epoch.to_owned());
        self.first.entry(life.clone()).or_insert(self.life);
        let log = self.entries.entry(life).or_default();
        if let Some(message) = log.get(&entry.of).filter(|_| matches!(entry.kind.as_str(), "edited" | "deleted"))
            && (message.sender != entry.sender || message.kind != "broadcast")
        {
            let text = format!("{room}/{epoch}/{seq}: {} by {} of {message:?}", entry.kind, entry.sender);
            return Err((9, text));
        }
        match log.get_mut(&seq) {
            Some(known) => {
                let same = known.kind == entry.kind
                    && known.sender == entry.sender
                    && known.of == entry.of
                    && known.ts == entry.ts
                    && (known.said.is_none() || entry.said.is_none() || known.said == entry.said);
                if !same {
                    return Err((15, format!("{room}/{epoch}/{seq} is {known:?} and {entry:?}")));
                }
                if known.said.is_none() {
                    known.said = entry.said;
                }
            }
            None => {
                if let Some(content) = &entry.said {
                    let places = self.said.entry(content.clone()).or_default();
                    let here = (room.to_owned(), epoch.to_owned(), seq);
                    let stays = |other: &(String, String, u64)| self.renumbered && other.0 == room && other.2 == seq;
                    if let Some(other) = places.first().filter(|other| !stays(other))
                        && !self.lost
                    {
                        return Err((1, format!("{content:.20} is said twice: at {other:?} and at {here:?}")));
                    }
                    places.push(here);
                }
                log.insert(seq, entry);
            }
        }
        Ok(())
    }

    /// An operator calls for somebody to be put out.
    pub fn put(&mut self, put: Put, user: &str) {
        self.put.insert((put, user.to_owned()));
    }

    /// Whether an operator has ever called for that.
    pub fn was_put(&self, put: Put, user: &str) -> bool {
        self.put.contains(&(put, user.to_owned()))
    }

    /// A user is welcomed.
    pub fn meet(&mut self, user: &str, life: u32, now: Time) {
        let met = self.met.entry(user.to_owned()).or_insert((life, now));
        if met.0 != life {
            *met = (life, now);
        }
    }

    /// Whether a life of the server knows this name, and did before then.
    pub fn has_met(&self, user: &str, life: u32, before: Time) -> bool {
        self.met.get(user).is_some_and(|(when, at)| *when == life && *at < before)
    }

    /// The sender of what stands behind a number, if anybody has heard of it.
    pub fn sender(&self, room: &str, epoch: &str, seq: u64) -> Option<&str> {
        let log = self.entries.get(&(room.to_owned(), epoch.to_owned()))?;
        log.get(&seq).map(|entry| entry.sender.as_str())
    }

    /// Somebody hears that their message stands there.
    pub fn acknowledge(&mut self, room: &str, epoch: &str, seq: u64, content: &str) {
        let life = (room.to_owned(), epoch.to_owned());
        self.acknowledged.entry(life).or_default().insert(seq, content.to_owned());
    }

    /// Where a message was heard.
    pub fn places_of(&self, content: &str) -> &[(String, String, u64)] {
        self.said.get(content).map_or(&[], Vec::as_slice)
    }

    /// What was acknowledged is what stands there, for those who have heard it.
    ///
    /// # Errors
    /// The invariant that does not hold, and why.
    pub fn look_at_acknowledged(&self) -> Result<(), (u8, String)> {
        for (life, acknowledged) in &self.acknowledged {
            let Some(log) = self.entries.get(life) else { continue };
            for (seq, content) in acknowledged {
                let Some(entry) = log.get(seq) else { continue };
                if entry.kind != "broadcast" || entry.said.as_ref().is_some_and(|said| said != content) {
                    let (room, epoch) = life;
                    let text = format!("{room}/{epoch}/{seq} is {entry:?}, and was acknowledged as {content:.40}");
                    return Err((1, text));
                }
            }
        }
        Ok(())
    }

    /// A ping of a user at an address was answered at that time: the bucket had enough in it.
    ///
    /// # Errors
    /// More have passed than a bucket holds, with what comes into it meanwhile.
    pub fn pass(
        &mut self,
        (user, address, life): (&str, IpAddr, u32),
        ts: u64,
        per_second: u64,
        burst: u64,
    ) -> Result<(), (u8, String)> {
        let passed = self.passed.entry((user.to_owned(), address, life)).or_default();
        let place = passed.partition_point(|&other| other <= ts);
        passed.insert(place, ts);
        for (first, &from) in passed.iter().take(place + 1).enumerate() {
            for (last, &to) in passed.iter().enumerate().skip(place) {
                let (count, within) = ((last - first + 1) as u64, to - from);
                // A time says the millisecond in which it was.
                let most = burst + ((within + 1) * per_second).div_ceil(1000);
                if count > most {
                    return Err((7, format!("{count} pings of {user} pass in {within} ms, of which {most} may")));
                }
            }
        }
        if passed.len() > LOOKED_BACK {
            passed.pop_front();
        }
        Ok(())
    }

    /// What was heard in the plain dialect is a stretch of what was said: in order, each once, without holes.
    ///
    /// # Errors
    /// The invariant that does not hold, and why.
    pub fn look_at_plain(&self) -> Result<(), (u8, String)> {
        for Plain { room, heard, life: when, .. } in self.plain.iter().filter(|plain| !plain.lost) {
            // What was heard before a loss, and was said again behind it, stands elsewhere now.
            let was =
                |epoch: &String| self.first.get(&(room.clone(), epoch.clone())).is_some_and(|first| first <= when);
            let place = |content: &String| match self.said.get(content).map(Vec::as_slice) {
                Some([(of, epoch, seq)]) if of == room && was(epoch) => Some((epoch.as_str(), *seq)),
                _ => None,
            };
            let places: Vec<(&str, u64)> = heard.iter().filter_map(place).collect();
            let all: BTreeSet<&str> = heard.iter().map(String::as_str).collect();
            for pair in places.windows(2) {
                let [(life, one), (other_life, other)] = *pair else { continue };
                if life != other_life {
                    continue;
                }
                if other <= one {
                    return Err((3, format!("{room}: a plain session hears {other} after {one}")));
                }
                let log = self.entries.get(&(room.clone(), life.to_owned())).expect("it has what was said in it");
                let missed = log.range(one + 1..other).find(|(_, entry)| {
                    entry.said.as_ref().is_some_and(|said| entry.kind == "broadcast" && !all.contains(said.as_str()))
                });
                if let Some((missed, _)) = missed {
                    return Err((2, format!("{room}: a plain session hears {one} and {other}, and {missed} never")));
                }
            }
        }
        Ok(())
    }

    /// Somebody hears a message between two people, over a connection of this life of the server.
    ///
    /// # Errors
    /// The invariant that does not hold, and why.
    pub fn hear_direct(
        &mut self,
        (sender, user): (&str, &str),
        life: u32,
        seq: u64,
        content: &str,
    ) -> Result<(), (u8, String)> {
        if self.renumbered {
            return Ok(());
        }
        let pair = talk(sender, user, life);
        let entry = (sender.to_owned(), content.to_owned());
        let known = self.direct.entry(pair).or_default().entry(seq).or_insert_with(|| entry.clone());
        if *known != entry {
            return Err((1, format!("{sender} to {user}: {seq} is {known:?} and {entry:?}")));
        }
        Ok(())
    }

    /// What somebody has said to another one was said at that time, or later.
    pub fn note_said(&mut self, sender: &str, user: &str, life: u32, seq: u64, at: Time) {
        self.direct_said.entry(talk(sender, user, life)).or_default().insert(seq, at);
    }

    /// What was said between a user and others since then: the other one, and the number.
    pub fn said_since(&self, user: &str, life: u32, since: Time) -> impl Iterator<Item = (&str, u64)> {
        let said = self.direct_said.iter().filter_map(move |(talk, said)| Some((other(talk, user, life)?, said)));
        said.flat_map(move |(other, said)| {
            said.iter().filter(move |(_, at)| **at > since).map(move |(seq, _)| (other, *seq))
        })
    }

    /// With whom a user has spoken in a life of the server, and the last number that anybody has heard of it.
    pub fn talks_of(&self, user: &str, life: u32) -> impl Iterator<Item = (&str, u64)> {
        let talks = self.direct.iter().filter_map(move |(talk, said)| Some((other(talk, user, life)?, said)));
        talks.filter_map(|(other, said)| Some((other, *said.keys().next_back()?)))
    }

    /// The numbers of messages that anybody has heard, of two people in a life of the server.
    pub fn numbers_of(&self, one: &str, other: &str, life: u32) -> impl Iterator<Item = u64> {
        self.direct.get(&talk(one, other, life)).into_iter().flat_map(|said| said.keys().copied())
    }

    /// A device says that its user has read up to there.
    pub fn mark(&mut self, user: &str, place: &str, seq: u64) {
        let most = self.marks.entry((user.to_owned(), place.to_owned())).or_insert(seq);
        *most = seq.max(*most);
    }

    /// How far the devices of a user have said that it has read.
    pub fn marked(&self, user: &str, place: &str) -> Option<u64> {
        self.marks.get(&(user.to_owned(), place.to_owned())).copied()
    }

    /// The last number that anybody has heard of a life of a room.
    pub fn newest(&self, room: &str, epoch: &str) -> u64 {
        let life = (room.to_owned(), epoch.to_owned());
        let heard = self.entries.get(&life).and_then(|log| log.keys().next_back());
        let acknowledged = self.acknowledged.get(&life).and_then(|log| log.keys().next_back());
        heard.max(acknowledged).copied().unwrap_or(0)
    }

    /// The numbers of the messages of a stretch of a room that anybody has heard.
    pub fn message_numbers(&self, room: &str, epoch: &str, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let log = self.entries.get(&(room.to_owned(), epoch.to_owned())).filter(|_| from <= to);
        let entries = log.into_iter().flat_map(move |log| log.range(from..=to));
        entries.filter(|(_, entry)| entry.kind == "broadcast").map(|(seq, _)| *seq)
    }

    /// How many messages of a stretch of a room anybody has heard.
    pub fn messages(&self, room: &str, epoch: &str, from: u64, to: u64) -> u64 {
        let log = self.entries.get(&(room.to_owned(), epoch.to_owned()));
        let entries = log.into_iter().flat_map(|log| log.range(from..=to.max(from)));
        entries.filter(|(_, entry)| entry.kind == "broadcast").count() as u64
    }

    /// The rooms of which anything was acknowledged.
    pub fn rooms(&self) -> BTreeSet<String> {
        self.acknowledged.keys().map(|(room, _)| room.clone()).collect()
    }

    /// What was acknowledged in a life of a room from a number on: numbers and contents.
    pub fn acknowledged(&self, room: &str, epoch: &str, from: u64) -> Vec<(u64, String)> {
        let life = (room.to_owned(), epoch.to_owned());
        let log = self.acknowledged.get(&life);
        log.into_iter().flat_map(|log| log.range(from..)).map(|(&seq, content)| (seq, content.clone())).collect()
    }
}

fn talk(one: &str, other: &str, life: u32) -> Talk {
    (one.min(other).to_owned(), one.max(other).to_owned(), life)
}

/// The other one of two, if it is a talk of this user in this life of the server.
fn other<'a>((one, other, when): &'a Talk, user: &str, life: u32) -> Option<&'a str> {
    match (one == user, other == user) {
        _ if *when != life => None,
        (true, _) => Some(other),
        (_, true) => Some(one),
        _ => None,
    }
}

/// So many pings are looked at together.
const LOOKED_BACK: usize = 128;
