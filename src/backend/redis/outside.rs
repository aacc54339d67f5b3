//! What a node needs from outside: a Redis that answers, what the channels say, and when it is time. Everything else of
//! a node is beside this file, and asks outside for nothing but by these words.
//!
//! On the one side of this seam stand `link` and `listener`, with sockets, threads and the clock; on the other one a
//! Redis in the same process, for tests.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::ops::Range;
use std::time::Duration;

use redis::{Cmd, Value};

/// A connection to Redis, and what was found out about the other side.
pub(crate) trait Link: fmt::Debug {
    /// What tells one run of Redis from another ([`run_of`]).
    fn run(&self) -> &str;

    /// The name by which the script is called.
    fn script(&self) -> &str;

    /// The time, since any beginning.
    fn clock(&self) -> Duration;

    /// Brings the script once more.
    ///
    /// # Errors
    /// Why not.
    fn load(&mut self) -> Result<(), String>;

    /// Sends some of these, and reads the answer to each. What the server refuses is an error of that one alone.
    ///
    /// # Errors
    /// The connection is of no use any more.
    fn send(&mut self, commands: &Commands, which: Range<usize>) -> Result<Vec<Outcome>, String>;
}

/// What came of a command.
pub(crate) type Outcome = Result<Value, String>;

/// What comes to a node without being asked for.
pub(crate) trait Outside: fmt::Debug {
    /// What there is beside messages. It is there once.
    fn look(&mut self) -> Notes;

    /// The next message of the channels.
    fn next(&mut self) -> Option<Vec<u8>>;

    /// A connection is needed; one comes with the [`Notes`] when Redis answers.
    fn want_link(&mut self);

    /// The messages that wait.
    #[cfg(test)]
    fn unheard(&self) -> Vec<Vec<u8>>;
}

/// What has come beside messages.
#[derive(Debug)]
pub(crate) struct Notes<L = Box<dyn Link>> {
    /// A new connection.
    pub link: Option<L>,
    /// Why there is none.
    pub trouble: Option<String>,
    /// Something may have been said that is not here: the channels were cut, or too much came.
    pub missed: bool,
    /// It is time to look after things.
    pub tick: bool,
}

/// What waits for a node: what it is told beside messages, and messages, which are bounded. Of too many all are thrown
/// away, and the node looks for itself what it has missed, as after a cut.
#[derive(Debug)]
pub(crate) struct Inbox<L> {
    pub notes: Notes<L>,
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl<L> Default for Notes<L> {
    fn default() -> Self {
        Self { link: None, trouble: None, missed: false, tick: false }
    }
}

impl<L> Default for Inbox<L> {
    fn default() -> Self {
        Self { notes: Notes::default(), messages: VecDeque::new(), bytes: 0 }
    }
}

impl<L: Link + 'static> Inbox<L> {
    /// What there is beside messages. It is there once.
    pub fn look(&mut self) -> Notes {
        let Notes { link, trouble, missed, tick } = mem::take(&mut self.notes);
        Notes { link: link.map(|link| Box::new(link) as Box<dyn Link>), trouble, missed, tick }
    }

    /// A message of the channels.
    pub fn hear(&mut self, message: Vec<u8>) {
        if self.messages.len() >= MAX_UNHEARD || self.bytes >= MAX_UNHEARD_BYTES {
            self.messages.clear();
            (self.bytes, self.notes.missed) = (0, true);
        }
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    /// The channels are heard from now on. What was said before is not known.
    pub fn begin_to_hear(&mut self) {
        self.notes.missed = true;
    }

    /// There is another connection.
    pub fn connect(&mut self, link: L) {
        (self.notes.link, self.notes.missed, self.notes.tick) = (Some(link), true, true);
    }

    /// The next message.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    /// The messages that wait.
    #[cfg(test)]
    pub fn unheard(&self) -> Vec<Vec<u8>> {
        self.messages.iter().cloned().collect()
    }
}

/// How long it is waited before something is tried once more: twice as long each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pause {
    /// How long now; the next one is longer.
    pub fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (2 * pause).min(LONGEST_PAUSE);
        pause
    }
}

/// Commands that go out together.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Commands {
    pub fn push(&mut self, command: &Cmd) {
        self.bytes.extend_from_slice(&command.get_packed_command());
        self.ends.push(self.bytes.len());
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Some of them, as they go over a wire.
    pub fn get(&self, which: Range<usize>) -> &[u8] {
        let end = |at: usize| at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[end(which.start)..end(which.end)]
    }
}

/// Sends all of these, and takes what came of each. A Redis that has forgotten the script is brought it.
///
/// # Errors
/// The connection is of no use any more.
pub(super) fn exchange(link: &mut dyn Link, commands: &Commands) -> Result<Vec<Outcome>, String> {
    let mut outcomes = link.send(commands, 0..commands.len())?;
    // The script was flushed: none of these has been carried out.
    let unknown = |outcome: &Outcome| outcome.as_ref().is_err_and(|error| error.starts_with(NO_SCRIPT));
    if outcomes.iter().any(unknown) {
        link.load()?;
        for (at, outcome) in outcomes.iter_mut().enumerate().filter(|(_, outcome)| unknown(outcome)) {
            *outcome = link.send(commands, at..at + 1)?.remove(0);
        }
    }
    Ok(outcomes)
}

/// Looks by what Redis says of itself (`INFO`) whether it can be used. What tells this run of it from others.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn run_of(told: &str) -> Result<String, String> {
    let found =
        |key: &str| told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default().trim();
    let version = found("redis_version");
    if version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major < 7) {
        return Err(format!("expected Redis 7.0 or newer, or Valkey, found version {version:?}"));
    }
    if found("redis_mode") == "cluster" {
        return Err("expected one Redis, found one of a cluster, which Salon does not use".into());
    }
    if found("role") == "slave" {
        return Err("expected a Redis that takes writes, found a replica of another one".into());
    }
    let policy = found("maxmemory_policy");
    if found("maxmemory") != "0" && policy != "noeviction" {
        return Err(format!(
            "its memory policy is {policy}, which drops messages and numbers at will; set maxmemory-policy noeviction"
        ));
    }
    Ok(found("run_id").chars().take(16).collect())
}

/// The one script, which Redis runs.
pub(crate) const SCRIPT: &str = include_str!("script.lua");

const NO_SCRIPT: &str = "NOSCRIPT";

/// How often a node says that it lives, and looks whether it has missed something.
pub(crate) const BEAT_EVERY: Duration = Duration::from_secs(3);

/// How long a channel may be silent in which all nodes beat.
pub(crate) const SILENT_WITHIN: Duration = Duration::from_secs(10);

/// How long it is waited before Redis is connected to once more, after the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Messages of the channels that the store has not heard, and bytes of them.
const MAX_UNHEARD: usize = 65_536;
const MAX_UNHEARD_BYTES: usize = 16 << 20;
