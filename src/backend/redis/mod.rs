//! A backend on a Redis or Valkey, which several nodes share: it numbers, keeps and tells, and is alone in that.
//!
//! ```text
//!                 one script, one round trip                    channels, a thread
//!   node ── append ──▶  number, id, log, publish  ──────────▶  to:NODE ──▶ each node that has somebody there
//!    │                        │
//!    ├── answer: its number, and what it has not heard yet
//!    └── pull: entries behind a number ◀── the log, which is the truth
//! ```
//!
//! It waits for answers, and so is run by [`Threaded`](super::Threaded): what is asked in one go goes out together, and
//! costs one round trip. A node tells strictly by number, wherever it has an entry from: the answer to its own request,
//! the channel, or the log; what it has told already it drops, and a hole it fills from the log. So a word of the
//! channel that is lost is lost for a few seconds at most: every 5 s the node asks about all its conversations whether
//! they go on behind what it has heard.
//!
//! Pages are made here, as in memory and by the same code ([`memory`](super::memory)): the node has a copy of each
//! conversation that is read, and asks with each question for what is missing in it. What is edited away or deleted is
//! replaced in the log within the script that publishes the edit. Whether an edit may be is judged here, by what this
//! node knows; the script refuses it if anything was done to a message since, and then it is judged anew.
//!
//! Each node has a channel of its own, and there is one for all. An entry goes to the nodes that follow its room, or
//! have one of the two people; a room that keeps nothing yet is told to all with its first entry. The script knows
//! which nodes these are: a node follows a room from its first question about it, which the same script answers, so
//! that nothing is missed between, to [`Request::Unfollow`]; and its people stand on its board (`boards`).
//!
//! # Numbers after Redis has stopped
//!
//! Each request names the run of Redis that the node is connected to, and the number up to which it knows. A
//! conversation whose epoch was begun under another run, or that has less than the asker knows, goes on in another
//! epoch there and then: what was said last may be lost, and no number names two entries. History stays, and its
//! numbers go on.
//!
//! # What it does not do
//!
//! It does not search ([`Why::Unsupported`]).

mod boards;
mod carrying;
mod hearing;
#[cfg(any(test, feature = "sim-nodes"))]
pub(crate) mod imitation;
mod link;
mod listener;
pub(crate) mod outside;
mod places;
#[cfg(test)]
pub(crate) mod tests;
mod texts;

use std::time::Duration;

use redis::{Cmd, Value};

use self::boards::Boards;
use self::link::Socket;
use self::listener::Listener;
use self::outside::{Commands, Link, Notes, Outcome, Outside};
use self::places::Places;
use self::texts::Texts;
use super::carried::{Reports, Requests};
use super::memory::kept::{MAX_COUNTED, Record};
use super::named::Named;
use super::{
    Anew, Audience, Backend, Ban, Conversation, Description, Epoch, Head, Health, MAX_BANS, MAX_UNREAD, Names,
    NewEntry, News, Overloaded, Presence, Query, Reader, Reading, Request, RetryKey, Talk, Ticket, Verdict, Waker, Why,
    judge,
};
use crate::random::Random;
use crate::time::{Moment, Tick};

pub use link::Server;

/// Where a store is, and how much is kept in it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Redis.
    pub server: Server,
    /// What the names of all keys begin with: stores with different ones know nothing of each other.
    pub prefix: String,
    /// Entries of one conversation.
    pub messages: usize,
    /// How long an entry is kept, by the wall clock of the node that took it.
    pub age: Duration,
    /// People who are remembered; of more, those who were noted first are forgotten.
    pub people: usize,
}

/// Looks whether this Redis can be used, as a start would. What it is, in a few words.
///
/// # Errors
/// One sentence that says what is in the way.
pub fn check(options: &Options) -> Result<String, String> {
    Redis::open(options.clone(), Random::secret(), Waker::new(|| ())).map(|store| store.about())
}

/// The backend.
#[derive(Debug)]
pub struct Redis {
    options: Options,
    random: Random,
    /// What tells this node from others.
    node: String,
    /// `None`: Redis is away.
    link: Option<Box<dyn Link>>,
    outside: Box<dyn Outside>,
    places: Places,
    boards: Boards,
    /// Rooms that were unfollowed of late, of which a word may still be on its way.
    unfollowed: Named<()>,
    /// Bans as the chat knows them, by user: until when, and the note, as Redis has them.
    bans: Texts,
    /// Others may have banned or unbanned somebody of which this node has not heard.
    bans_are_stale: bool,
    asked: Requests,
    said: Reports,
    told: usize,
    catalogue: Option<Catalogue>,
    /// The chat has asked for the catalogue, and is told it again when words of others may be missing.
    has_catalogue: bool,
    key: String,
    health: Health,
}

/// A connection, and what comes unasked.
pub(crate) type Connected = (Box<dyn Link>, Box<dyn Outside>);

/// How far the catalogue is told.
#[derive(Debug)]
enum Catalogue {
    Bans,
    Rooms(String),
    Users(String),
}

impl Redis {
    /// Connects to the store. `random` gives epochs and the name of the node; `waker` is called when there is news that
    /// nobody has asked for.
    ///
    /// # Errors
    /// One sentence that says what is in the way.
    pub fn open(options: Options, random: impl Into<Random>, waker: Waker) -> Result<Self, String> {
        let server = options.server.clone();
        Self::open_by(options, random, |channels| {
            let link = Socket::open(&server)?;
            let listener = Listener::start(&server, channels, waker)?;
            Ok((Box::new(link), Box::new(listener)))
        })
    }

    /// The same by a connection, and a way to hear these channels, that the caller opens.
    pub(crate) fn open_by(
        options: Options,
        random: impl Into<Random>,
        open: impl FnOnce([String; 2]) -> Result<Connected, String>,
    ) -> Result<Self, String> {
        let mut random = random.into();
        let node = Epoch(random.draw()).to_string();
        let (link, outside) = open([format!("{}:news", options.prefix), format!("{}:to:{node}", options.prefix)])?;
        let mut store = Self {
            options,
            random,
            node,
            link: Some(link),
            outside,
            places: Places::default(),
            boards: Boards::default(),
            unfollowed: Named::default(),
            bans: Texts::default(),
            bans_are_stale: false,
            asked: Requests::default(),
            said: Reports::default(),
            told: 0,
            catalogue: None,
            has_catalogue: false,
            key: String::new(),
            health: Health { shared: true, ..Health::default() },
        };
        // All that it needs a permission for.
        store.probe()?;
        store.beat().map_err(|why| link::refused(&store.options.server, &why))?;
        Ok(store)
    }

    /// Looks whether the user may do all that is needed.
    ///
    /// # Errors
    /// What they may not do, in one sentence.
    fn probe(&mut self) -> Result<(), String> {
        let scan = format!("{}:probe:h", self.options.prefix);
        let told = self.call(&self.script("probe")).map_err(|why| link::refused(&self.options.server, &why))?;
        let mut refused: Vec<String> =
            carrying::list(told).iter().filter_map(carrying::text).map(str::to_owned).collect();
        for command in [redis::cmd("HSCAN").arg(&scan).arg(0), redis::cmd("HGETALL").arg(&scan)] {
            if let Err(why) = self.call(command) {
                refused.push(why);
            }
        }
        refused.sort_unstable();
        refused.dedup();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(link::refused(&self.options.server, &format!("NOPERM {}", refused.join(", ")))),
        }
    }

    /// A call of the script.
    fn script(&self, op: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        let (run, script) = self.link.as_ref().map_or(("", ""), |link| (link.run(), link.script()));
        command.arg(script).arg(0).arg(&self.options.prefix).arg(run).arg(&self.node).arg(op);
        command
    }

    /// Sends commands and takes their outcomes. Without a connection, and if it is lost, there are none.
    fn exchange(&mut self, commands: &Commands) -> Option<Vec<Outcome>> {
        let link = &mut **self.link.as_mut()?;
        let began = link.clock();
        match outside::exchange(link, commands) {
            Ok(outcomes) => {
                self.health.commits.note(link.clock().saturating_sub(began));
                Some(outcomes)
            }
            Err(why) => {
                self.lose(&why);
                None
            }
        }
    }

    /// One command.
    ///
    /// # Errors
    /// Why it is not carried out.
    fn call(&mut self, command: &Cmd) -> Outcome {
        let mut commands = Commands::default();
        commands.push(command);
        match self.exchange(&commands) {
            Some(mut outcomes) => outcomes.remove(0),
            None => Err("Redis is away".into()),
        }
    }

    /// The connection is of no use any more.
    fn lose(&mut self, why: &str) {
        if self.link.take().is_some() {
            log::warn!("{}: {why}; messages are refused until it answers again", self.options.server);
            self.health.failures += 1;
            self.health.failing = Some(why.to_owned());
            self.outside.want_link();
        }
    }

    /// Takes what has come unasked, but for messages.
    fn take_notes(&mut self) {
        let Notes { link, trouble, missed, tick } = self.outside.look();
        if let Some(link) = link {
            log::info!("{}: it answers again", self.options.server);
            (self.link, self.health.failing) = (Some(link), None);
            self.boards.connected();
        } else if let Some(trouble) = trouble {
            // Once for each reason, however often it is tried: a password that was changed, say.
            if self.health.failing.as_ref() != Some(&trouble) {
                log::warn!("{trouble}");
            }
            self.health.failing = Some(trouble);
        }
        if missed {
            self.boards.missed();
        }
        if tick
            && self.link.is_some()
            && let Err(why) = self.beat()
        {
            log::debug!("{}: {why}", self.options.server);
        }
        if tick || missed {
            self.look_for_missed();
        }
        self.bans_are_stale |= missed;
    }

    /// Does what is to be done, until there is something to say.
    fn work(&mut self) {
        self.take_notes();
        let asked = std::mem::take(&mut self.asked);
        if asked.len() > 0 {
            self.carry_out(&asked);
        }
        self.asked = asked;
        self.asked.clear();
        self.mend_board();
        if self.said.len() == 0 && self.catalogue.is_some() {
            self.tell_some();
        }
        while self.said.len() < TOLD_AT_ONCE
            && let Some(message) = self.outside.next()
        {
            self.hear(&message);
        }
        // Behind what was heard before the cut, so that nothing old comes later: bans, and then what rooms are about,
        // and who and what came to be meanwhile.
        if self.bans_are_stale && self.catalogue.is_none() && self.link.is_some() && self.said.len() < TOLD_AT_ONCE {
            self.look_at_bans();
            self.catalogue = Some(Catalogue::Rooms("0".into())).filter(|_| self.has_catalogue && !self.bans_are_stale);
        }
    }

    fn draw(&mut self) -> Epoch {
        Epoch(self.random.draw())
    }

    /// The time from which on entries are young enough to be kept.
    fn young(&self, now: u64) -> u64 {
        u64::try_from(self.options.age.as_millis()).map_or(0, |age| now.saturating_sub(age))
    }

    fn age_ms(&self) -> String {
        let age = u64::try_from(self.options.age.as_millis()).ok().filter(|age| *age < MAX_AGE_MS);
        age.map_or(String::new(), |age| age.max(1).to_string())
    }
}

impl Backend for Redis {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        if self.asked.len() >= MAX_ASKED || self.asked.bytes() >= MAX_ASKED_BYTES {
            return Err(Overloaded);
        }
        self.asked.push(request);
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        (self.catalogue, self.has_catalogue) = (Some(Catalogue::Bans), true);
    }

    fn poll(&mut self) -> Option<News<'_>> {
        if self.told == self.said.len() {
            self.said.clear();
            self.told = 0;
            self.work();
        }
        let news = self.said.get(self.told)?;
        self.told += 1;
        Some(news)
    }

    fn is_idle(&self) -> bool {
        self.asked.len() == 0 && self.told == self.said.len() && self.catalogue.is_none()
    }

    fn expire(&mut self, now: Moment) -> bool {
        for at in self.places.all() {
            self.expire_one(at, now);
        }
        let pairs = self.sweep(now);
        pairs || self.places.keep_any()
    }

    fn held_bytes(&self) -> usize {
        let known = self.places.held_bytes() + self.unfollowed.held_bytes() + self.bans.held_bytes();
        known + self.boards.held_bytes() + self.asked.held_bytes() + self.said.held_bytes()
    }

    /// What it gives up is in Redis: no entry is lost.
    fn drop_oldest(&mut self, bytes: usize) -> usize {
        self.places.give_up(bytes);
        0
    }

    fn shrink(&mut self) {
        self.places.shrink();
        self.unfollowed.shrink();
    }

    fn health(&self) -> Option<Health> {
        Some(self.health.clone())
    }

    fn keeps(&self) -> bool {
        self.options.messages > 0
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "process"
    }

    fn about(&self) -> String {
        let Options { server, prefix, .. } = &self.options;
        format!("on {server}, under {prefix}:; with other nodes, if there are any (docs/nodes.md)")
    }
}

/// How long a node counts as one that lives, without saying so again.
const LEASE_MS: u64 = 12_000;

/// Requests that wait to be polled, and bytes of their texts, beside one that crosses these.
const MAX_ASKED: usize = 4096;
const MAX_ASKED_BYTES: usize = 4 << 20;

/// Pieces of news that are made of what was heard before they are polled.
const TOLD_AT_ONCE: usize = 256;

/// Pairs of people who have talked; of more, the one that was silent longest is forgotten.
const MAX_PAIRS: usize = 1 << 20;

/// Rooms that were unfollowed of late; of more, none is remembered.
const MAX_UNFOLLOWED: usize = 4096;

/// Marks in one conversation; of more, any one is forgotten.
const MAX_MARKS: usize = 1 << 17;

/// Direct conversations in one page.
const MAX_TALKS: usize = 256;

/// Conversations that are asked about in one go, whether they go on.
const LOOKED_AT_ONCE: usize = 1024;

/// How often an entry is judged anew, because something was done to a message meanwhile.
const JUDGED_AT_MOST: usize = 16;

/// Rooms and people told at once of all there are.
const CATALOGUE_AT_ONCE: usize = 512;

/// An age of more than that is none.
const MAX_AGE_MS: u64 = 1 << 52;
