//! Where messages are numbered and kept, whatever stands behind it.
//!
//! A [`Backend`] is asked with a [`Request`] and says [`News`] when it is polled: answers, at once or in a later turn,
//! and what has happened elsewhere. Whoever asks may assume neither which, nor that they are the only one who asks:
//! what is said on another node takes the same road as what is said here.
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
//! - Requests about one [`Conversation`] are carried out, and answered, in the order they were made. Whoever wants
//!   to do something "after all that was said before" therefore only has to ask and wait for the answer.
//! - A conversation has an [`Epoch`] and a dense `seq` from 1. (conversation, epoch, seq) never names two messages.
//! - Every accepted request with a [`Ticket`] has exactly one outcome: `Published`, `Page` or `Failed`.
//! - What is said of one conversation is said in one order, that of `seq`, whoever has said it, and *a page stands in
//!   that order*: all that its head counts was published before it, and all that it does not count is published behind
//!   it. So a reader who has heard the page that ends with the newest message, and hears what is published from there
//!   on, misses nothing and hears nothing twice, also of what is said elsewhere. (What was said before the first
//!   question about a conversation need not be published at all.)
//! - A room is told of before what is said in it. What keeps messages is never ended by [`Request::Release`].
//!
//! It does not say who is inside a room elsewhere, nor is it told for which rooms and users somebody listens here: what
//! several nodes need of that will be requests and news of their own.
//!
//! It does not know people, permissions or connections, and it reads no clock. Threads and files are for the
//! implementations, each in a file of its own; [`Threaded`] runs any of them on a thread.

use std::fmt;

use crate::time::{Moment, Tick};

pub(crate) mod carried;
pub mod memory;
pub mod threaded;
mod waker;

pub use memory::Memory;
pub use threaded::Threaded;
pub use waker::Waker;

/// A place where messages stand in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation<'a> {
    /// A room, by name.
    Room(&'a str),
    /// Two users, in either order; or one, with oneself.
    Direct(&'a str, &'a str),
}

/// To whom one of two users speaks.
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
    /// The oldest of those that a reader is still to hear: all that are kept of those after `since`, the epoch and seq
    /// that the reader has seen, if it is this epoch and not beyond its head; else of the `newest` so many.
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

/// What a backend is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// A message is to be numbered and kept. Its outcome is [`News::Published`].
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
    /// Messages are wanted, as they are kept at `now`. The outcome is [`News::Page`].
    Read {
        /// Of which conversation.
        conversation: Conversation<'a>,
        /// Which of them.
        query: Query,
        /// By which clock age is told.
        now: Tick,
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
    /// Whoever asks lets go of a room, which is empty and, as far as they know, keeps nothing. What there is to know of
    /// it may go if that is so, and its life with it; nothing that is kept goes by this. Nothing that was asked about
    /// the room may be waiting.
    Release {
        /// The room.
        room: &'a str,
    },
    /// What is kept of a room goes, and its life ends: if it is spoken of again it has a new epoch. Where others still
    /// use the room, the store does no more than for [`Release`](Self::Release). Nothing that was asked about the room
    /// may be waiting.
    Erase {
        /// The room.
        room: &'a str,
    },
}

impl Request<'_> {
    /// What connects the request to its outcome, if it has one.
    pub fn ticket(&self) -> Option<Ticket> {
        match *self {
            Self::Append { ticket, .. } | Self::Read { ticket, .. } => Some(ticket),
            Self::Know { .. } | Self::Release { .. } | Self::Erase { .. } => None,
        }
    }
}

/// What a room is, beside what is said in it. The first description stands while the room lives; whoever brings another
/// one is told of that one by [`News::Room`].
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
    /// Whether somebody asked for the room itself, and not only came in.
    pub created: bool,
}

/// What a backend has to say.
#[derive(Debug)]
pub enum News<'a> {
    /// A message is numbered, and kept as well as this backend keeps.
    Published {
        /// Where it was said.
        conversation: Conversation<'a>,
        /// The message with its number.
        message: Message<'a>,
        /// Which request it is the outcome of; `None`: it was said elsewhere.
        ticket: Option<Ticket>,
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
    /// Nothing is kept of a room any more. Its seq goes on until its life ends.
    Emptied {
        /// The room.
        room: &'a str,
    },
    /// The life of a room has ended elsewhere, and nothing of what was known of it holds any more. Nobody who asks this
    /// backend is in it.
    Ended {
        /// The room.
        room: &'a str,
    },
    /// There is this room: it was kept before, or has been made or described elsewhere.
    Room {
        /// What stands of it.
        description: Description<'a>,
        /// Whether messages of it are kept.
        keeps: bool,
    },
    /// There is this user: known before, or elsewhere.
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
    /// When too much waits already; then nothing comes of it.
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded>;

    /// From now on all that is kept is told by [`News::Room`] and [`News::User`]. Asked once, when the one who polls
    /// begins; they may be made to wait for it, so that it is known before anybody comes.
    fn tell_catalogue(&mut self);

    /// The next thing it has to say, if there is one by now. One that comes later is announced by a [`Waker`].
    fn poll(&mut self) -> Option<News<'_>>;

    /// Whether nothing that was accepted waits for its outcome, and everything has been polled: a stop waits for that.
    fn is_idle(&self) -> bool;

    /// Lets go of what is too old, a bounded piece of work at a time. Says whether anything is kept still.
    fn expire(&mut self, now: Tick) -> bool;

    /// Bytes held in this process, for messages and for knowing where they are.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Lets go of the oldest messages that are held in this process until about so many bytes are freed, a bounded
    /// piece of work at a time. Returns how many messages are lost by that, or by such a call before it.
    fn let_go(&mut self, _bytes: usize) -> usize {
        0
    }

    /// Gives back the room that is kept for conversations that are no more. Asked once a second at most, after some
    /// have ended.
    fn give_back(&mut self) {}

    /// Whether more about this conversation takes no new place in memory: asked while memory is limited, before
    /// something is appended.
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
