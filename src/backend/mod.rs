//! The port to a store, which numbers and keeps messages.
//!
//! A [`Backend`] takes a [`Request`] and returns [`News`] when it is polled: answers, at once or in a later turn, and
//! events from elsewhere. A caller may assume neither when an answer comes, nor that it is the only caller: a message
//! from another node takes the same road as a message from here.
//!
//! ```text
//!             ask(Append, Read, ...)                          ask(Append, Read, ...)
//!   one chat ────────────────────────▶  ┌───────────────┐  ◀──────────────────────── another
//!            ◀────────────────────────  │ conversations │  ────────────────────────▶
//!             poll: Published, Page     └───────────────┘     poll: Published, Page
//!                   with its tickets                                with its own
//!                   Published without: the other's
//! ```
//!
//! What it promises:
//!
//! - Requests about one [`Conversation`] are carried out, and answered, in the order they were made. So a caller that
//!   wants to act "after all earlier messages" only has to ask and wait for the answer.
//! - A conversation has an [`Epoch`] and a dense `seq` from 1. (conversation, epoch, seq) never names two messages.
//! - Every accepted request with a [`Ticket`] has exactly one outcome: `Published`, `Page` or `Failed`.
//! - Messages of one conversation are published in one order, that of `seq`, whichever node they come from, and *a page
//!   stands in that order*: every message that its head counts was published before it, and every other one is
//!   published behind it. So a reader who has heard the page that ends with the newest message, and hears every message
//!   published from there on, misses nothing and hears nothing twice, also from elsewhere. (Messages from before the
//!   first question about a conversation need not be published at all.)
//! - A room is announced before its messages. [`Request::Release`] never ends a room that keeps messages.
//!
//! It does not know who is inside a room elsewhere, nor which rooms and users have listeners here: several nodes will
//! need requests and news of their own for that.
//!
//! It does not know people, permissions or connections, and it reads no clock. Threads and files are for the
//! implementations, each in a file of its own; [`Threaded`] runs any of them on a thread.

use std::fmt;

use crate::time::Moment;

pub(crate) mod carried;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(test)]
mod tests;
pub mod threaded;
mod waker;

pub use memory::Memory;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use threaded::Threaded;
pub use waker::Waker;

/// A conversation: messages in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation<'a> {
    /// A room, by name.
    Room(&'a str),
    /// Two users, in either order; or one, with oneself.
    Direct(&'a str, &'a str),
}

/// The user to whom one of two users speaks.
pub fn other_of<'a>(one: &'a str, other: &'a str, sender: &str) -> &'a str {
    if one == sender { other } else { one }
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

/// Connects an answer to its question. The caller chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A message that has no number yet.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The sender.
    pub sender: &'a str,
    /// What is said.
    pub content: &'a str,
    /// The time: the wall clock is for people, the tick decides its age.
    pub at: Moment,
}

/// A numbered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its place in the conversation, from 1.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub ts: u64,
    /// The sender.
    pub sender: &'a str,
    /// The text.
    pub content: &'a str,
}

/// The messages to read.
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
    /// The oldest of those that a reader has not heard: all that are kept of those after `since`, the epoch and seq
    /// that the reader has seen, if it is this epoch and not beyond its head; else of the `newest` so many.
    Resume {
        /// The position of the reader.
        since: Option<(Epoch, u64)>,
        /// How many to hear without a `since` that is good here.
        newest: usize,
        /// The bounds of one page.
        bounds: Bounds,
    },
}

/// The most to read at once. At least one message is read however long it is.
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

/// A request to a backend.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Numbers and keeps a message. Its outcome is [`News::Published`].
    Append {
        /// Where it is said.
        conversation: Conversation<'a>,
        /// What is said.
        message: NewMessage<'a>,
        /// What the room is, if the backend may not know it: noted with the message, or not at all.
        about: Option<Description<'a>>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// Reads messages, as they are kept at `now`. The outcome is [`News::Page`].
    Read {
        /// Of which conversation.
        conversation: Conversation<'a>,
        /// Which of them.
        query: Query,
        /// By which age is told: by its tick in memory, by the wall clock of what outlives the process.
        now: Moment,
        /// What the room is, if somebody has made it just now: noted before it is read, or the request fails.
        about: Option<Description<'a>>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// A user is known by this name from now on: one can write to them. It has no outcome.
    Know {
        /// The name.
        user: &'a str,
    },
    /// The caller releases a room, which is empty and, as far as it knows, keeps nothing. If that is so, the store may
    /// forget the room, and its life ends; no kept message goes by this. No request about the room may be waiting.
    Release {
        /// The room.
        room: &'a str,
    },
    /// The history of a room goes, and its life ends: if it comes again it has a new epoch. If other nodes still use
    /// the room, the store does no more than for [`Release`](Self::Release). No request about the room may be waiting.
    Erase {
        /// The room.
        room: &'a str,
    },
}

impl Request<'_> {
    /// Connects the request to its outcome, if it has one.
    pub fn ticket(&self) -> Option<Ticket> {
        match *self {
            Self::Append { ticket, .. } | Self::Read { ticket, .. } => Some(ticket),
            Self::Know { .. } | Self::Release { .. } | Self::Erase { .. } => None,
        }
    }
}

/// The description of a room. The first one stands while the room lives; a caller that brings another one gets the
/// first by [`News::Room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// Its name.
    pub room: &'a str,
    /// What people call it.
    pub title: Option<&'a str>,
    /// What it is about.
    pub topic: Option<&'a str>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Whether a user made the room by `create_room`, and not only by coming in.
    pub created: bool,
}

/// News of a backend.
#[derive(Debug)]
pub enum News<'a> {
    /// A message is numbered, and kept as well as this backend keeps.
    Published {
        /// The conversation.
        conversation: Conversation<'a>,
        /// The message with its number.
        message: Message<'a>,
        /// The request whose outcome it is; `None`: the message is from elsewhere.
        ticket: Option<Ticket>,
    },
    /// A page of messages.
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
    /// No message of a room is kept any more. Its seq goes on until its life ends.
    Emptied {
        /// The room.
        room: &'a str,
    },
    /// The life of a room has ended elsewhere, and its description holds no more. No user of this chat is in it.
    Ended {
        /// The room.
        room: &'a str,
    },
    /// A room exists: it was kept before, or has been made or described elsewhere.
    Room {
        /// What stands of it.
        description: Description<'a>,
        /// Whether messages of it are kept.
        keeps: bool,
    },
    /// A user exists: known before, or elsewhere.
    User {
        /// The name.
        name: &'a str,
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

/// Numbers and keeps messages. See the [module](self) for what it promises.
pub trait Backend {
    /// Takes a request. One with a ticket has its outcome later, by [`poll`](Self::poll).
    ///
    /// # Errors
    /// When too much waits already; then the request has no effect.
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded>;

    /// From now on the store announces everything it keeps, by [`News::Room`] and [`News::User`]. Called once, when the
    /// chat begins; the call may wait for it, so that all of it is known before the first client comes.
    fn tell_catalogue(&mut self);

    /// The next news, if there is some by now. A [`Waker`] announces later news.
    fn poll(&mut self) -> Option<News<'_>>;

    /// Whether nothing that was accepted waits for its outcome, and everything has been polled: a stop waits for that.
    fn is_idle(&self) -> bool;

    /// Drops messages that are too old, a bounded piece of work at a time. Returns whether any message is still kept.
    fn expire(&mut self, now: Moment) -> bool;

    /// Bytes held in this process, for messages and for knowing where they are.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Drops the oldest messages that are held in this process until about so many bytes are freed, a bounded piece of
    /// work at a time. Returns how many messages are lost by that, or by such a call before it.
    fn drop_oldest(&mut self, _bytes: usize) -> usize {
        0
    }

    /// Shrinks the tables after conversations have ended. Called once a second at most.
    fn shrink(&mut self) {}

    /// Whether more about this conversation takes no new place in memory: asked while memory is limited, before
    /// something is appended.
    fn knows(&mut self, _conversation: Conversation<'_>) -> bool {
        true
    }

    /// Whether it bounds by itself what it keeps. If not, what it keeps of a room goes when the room makes place for
    /// another one.
    fn bounds_itself(&self) -> bool {
        false
    }

    /// Whether messages can be read later. They are numbered in any case.
    fn keeps(&self) -> bool;

    /// How long an acknowledged message lasts, in the words of `welcome.durability`.
    fn durability(&self) -> &'static str;

    /// The store, its place and how long it keeps messages, in one line for the person who starts the server.
    fn about(&self) -> String;
}
