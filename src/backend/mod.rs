//! Where messages are numbered and kept, whatever stands behind it.
//!
//! A [`Backend`] is asked with [`append`](Backend::append) and [`read`](Backend::read) and answers through
//! [`poll`](Backend::poll), at once or in a later turn; who asks may not assume which. What it promises:
//!
//! - Requests about one [`Conversation`] are carried out, and answered, in the order they were made. Whoever wants
//!   to do something "after all that was said before" therefore only has to ask and wait for the answer.
//! - A conversation has an [`Epoch`] and a dense `seq` from 1. (conversation, epoch, seq) never names two messages.
//! - Every accepted request has exactly one [`Outcome`] with its [`Ticket`].
//!
//! It does not know people, permissions or connections, and it reads no clock.

use std::fmt;

use crate::time::{Moment, Tick};

pub mod memory;
mod waker;

pub use memory::Memory;
pub use waker::Waker;

/// A place where messages stand in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation<'a> {
    /// A room, by name.
    Room(&'a str),
    /// Two users, in either order; or one, with oneself.
    Direct(&'a str, &'a str),
}

/// One life of a conversation. While it lasts, `seq` only rises.
///
/// Opaque to clients, who see it as text and bring it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Reads what [`Display`](fmt::Display) wrote; anything else is no epoch of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(digits) {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What connects an answer to its question. The asker chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A message that has no number yet.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Who says it.
    pub sender: &'a str,
    /// What is said.
    pub content: &'a str,
    /// When: the wall clock is shown to people, the tick decides how old it is.
    pub at: Moment,
}

/// A numbered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its place in the conversation, from 1.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub ts: u64,
    /// Who said it.
    pub sender: &'a str,
    /// What was said.
    pub content: &'a str,
}

/// Which messages to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// None; only the head is wanted, or one's turn in the order.
    Head,
    /// The newest ones.
    Newest(Bounds),
    /// The newest of those with a smaller seq.
    Before(u64, Bounds),
    /// The oldest of those with a greater seq.
    After(u64, Bounds),
    /// The oldest of those that a reader is still to hear: all that are kept of those after `since`, the epoch and seq that the
    /// reader has seen, if it is this epoch and not beyond its head; else of the `newest` so many.
    Resume {
        /// Up to where the reader has seen.
        since: Option<(Epoch, u64)>,
        /// How many to hear without a `since` that is good here.
        newest: usize,
        /// How much of them to read at once.
        bounds: Bounds,
    },
}

/// How much to read at most. At least one message is read however long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Number of messages.
    pub messages: usize,
    /// Bytes of senders and contents together.
    pub bytes: usize,
}

/// The state of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which life of it.
    pub epoch: Epoch,
    /// The last number given out; 0 before the first message.
    pub seq: u64,
    /// How many messages are kept: those from `seq - kept + 1` to `seq`.
    pub kept: u64,
}

impl Head {
    /// The number of the oldest message that is kept; the next number if none is.
    pub fn oldest(&self) -> u64 {
        self.seq - self.kept + 1
    }
}

/// An answer.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The message is numbered, and kept as well as this backend keeps.
    Appended {
        /// Which request.
        ticket: Ticket,
        /// The message with its number.
        message: Message<'a>,
    },
    /// What was read.
    Page {
        /// Which request.
        ticket: Ticket,
        /// The conversation when it was read.
        head: Head,
        /// The messages, seq rising.
        messages: Vec<Message<'a>>,
    },
    /// The request was not carried out.
    Failed {
        /// Which request.
        ticket: Ticket,
    },
    /// Nothing is kept of a room any more. Its seq goes on until it is [forgotten](Backend::forget).
    Emptied {
        /// The room.
        room: &'a str,
    },
}

/// The request was not taken: too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many requests wait for the message store")
    }
}

impl std::error::Error for Overloaded {}

/// Numbers and keeps messages.
pub trait Backend {
    /// Asks for a message to be numbered and kept.
    ///
    /// # Errors
    /// When too many requests wait; then there is no outcome.
    fn append(
        &mut self,
        conversation: Conversation<'_>,
        message: NewMessage<'_>,
        ticket: Ticket,
    ) -> Result<(), Overloaded>;

    /// Asks for messages, as they are kept at `now`.
    ///
    /// # Errors
    /// When too many requests wait; then there is no outcome.
    fn read(
        &mut self,
        conversation: Conversation<'_>,
        query: Query,
        now: Tick,
        ticket: Ticket,
    ) -> Result<(), Overloaded>;

    /// The next answer, if there is one by now. One that comes later is announced by a [`Waker`].
    fn poll(&mut self) -> Option<Outcome<'_>>;

    /// Whether nothing that was accepted waits for its outcome, and all outcomes have been polled: a stop waits for that.
    fn is_idle(&self) -> bool;

    /// Ends the life of a room: if it is spoken of again it has a new epoch. No request about it may be waiting.
    fn forget(&mut self, room: &str);

    /// Lets go of what is too old, a bounded piece of work at a time. Says whether anything is kept still.
    fn expire(&mut self, now: Tick) -> bool;

    /// Octets held in this process, for messages and for knowing where they are.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Lets go of the oldest messages until about so many octets are freed, a bounded piece of work at a time. Tells how many
    /// messages it were.
    fn let_go(&mut self, _octets: usize) -> usize {
        0
    }

    /// Gives back the room that is kept for conversations that are no more. Asked once a second at most, after some have ended.
    fn give_back(&mut self) {}

    /// Whether more about this conversation takes no new place in memory: asked while memory is limited, before something is appended.
    fn knows(&mut self, _conversation: Conversation<'_>) -> bool {
        true
    }

    /// Whether what is said can be read later. It is numbered in any case.
    fn keeps(&self) -> bool;

    /// What an acknowledged message survives, in the words of `welcome.durability`.
    fn durability(&self) -> &'static str;

    /// What is kept, where, and how long, in one line for whoever starts the server.
    fn about(&self) -> String;
}
