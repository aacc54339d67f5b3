//! The port to a store, which numbers and keeps what people say and do.
//!
//! A [`Backend`] takes a [`Request`] and returns [`News`] when it is polled: answers, at once or in a later turn, and
//! events from elsewhere. A caller may assume neither when an answer comes, nor that it is the only caller: an entry
//! from another node takes the same road as an entry from here.
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
//!   wants to act "after all earlier entries" only has to ask and wait for the answer.
//! - A conversation has an [`Epoch`] and a dense `seq` from 1. (conversation, epoch, seq) never names two entries.
//! - Every accepted request with a [`Ticket`] has exactly one outcome: the one that it names, or `Failed`.
//! - Entries of one conversation are published in one order, that of `seq`, whichever node they come from, and *a page
//!   stands in that order*: every entry that its head counts was published before it, and every other one is
//!   published behind it. So a reader who has heard the page that ends with the newest entry, and hears every entry
//!   published from there on, misses nothing and hears nothing twice, also from elsewhere. (Entries from before the
//!   first question about a conversation need not be published at all.)
//! - What is edited away or deleted is read by nobody any more, from the moment that the edit is published.
//! - A room is announced before its entries. [`Request::Release`] never ends a room that keeps entries.
//!
//! A store that several nodes share ([`Backend::is_shared`]) also carries words that are neither numbered nor kept
//! ([`Request::Tell`]), and what each node says of who is where ([`Request::Post`]). What these mean is the callers'
//! affair. Other stores are never asked to.
//!
//! It does not know people, permissions or connections, and it reads no clock. Threads and files are for the
//! implementations, each in a file of its own; [`Threaded`] runs any of them on a thread.

use std::fmt;

use crate::time::Moment;

pub(crate) mod carried;
mod elsewhere;
mod entry;
pub mod health;
pub mod memory;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod named;
mod news;
pub mod paired;
mod pattern;
pub mod readers;
#[cfg(feature = "redis")]
pub mod redis;
mod request;
mod room_limits;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(test)]
pub(crate) mod tests;
pub mod threaded;
mod waker;
pub mod words;

#[cfg(feature = "redis")]
pub use self::redis::Redis;
pub use elsewhere::{Audience, MAX_WORD_BYTES, Presence};
pub use entry::{
    Body, Entry, MAX_EMOJI, MAX_REACTING_NAMED, Message, NewBody, NewEntry, Reacted, Reaction, Right, Target, Verdict,
    Why, judge,
};
pub use health::{Health, LetGo};
pub use memory::Memory;
pub use news::{Hit, MAX_UNREAD, News, Reading, Talk};
pub use paired::Paired;
pub use pattern::Pattern;
pub use readers::Readers;
pub use request::{Ban, Names, Reader, Request, RetryKey, Scope, Search, Step};
pub use room_limits::{RoomLimit, RoomLimits};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use threaded::Threaded;
pub use waker::Waker;

/// A conversation: entries in one order.
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

/// The entries to read. A history has messages only; whoever follows a conversation needs entries of every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// None; only the head is wanted, or one's turn in the order.
    Head,
    /// The newest messages.
    Newest(Bounds),
    /// The newest of the messages with a smaller seq.
    Before(u64, Bounds),
    /// The oldest of the messages with a greater seq.
    After(u64, Bounds),
    /// The oldest of the entries that a reader has not heard: all that are kept of those after `since`, the epoch and
    /// seq that the reader has seen, if it is this epoch and not beyond its head; else from the first of the `newest`
    /// so many messages on.
    Resume {
        /// The position of the reader.
        since: Option<(Epoch, u64)>,
        /// How many messages to hear without a `since` that is good here.
        newest: usize,
        /// The bounds of one page.
        bounds: Bounds,
    },
}

/// The most to read at once. At least one entry is read however long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Number of entries.
    pub entries: usize,
    /// Bytes of senders and [bodies](Body::bytes) together.
    pub bytes: usize,
}

/// The state of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which life of it.
    pub epoch: Epoch,
    /// The last number given out; 0 before the first entry.
    pub seq: u64,
    /// How many entries are kept: those from `seq - kept + 1` to `seq`.
    pub kept: u64,
}

impl Head {
    /// The number of the oldest entry that is kept; the next number if none is.
    pub fn oldest(&self) -> u64 {
        self.seq - self.kept + 1
    }
}

/// The description of a room. The first one stands while the room lives, but for its title and its topic, which
/// [`Request::Topic`] changes; a caller that brings another one gets the one that stands by [`News::Room`].
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

impl<'a> Description<'a> {
    /// The same with what is another.
    pub fn with(self, anew: Anew<'a>) -> Self {
        let now = |before: Option<&'a str>, now: Option<&'a str>| match now {
            Some(now) => Some(now).filter(|now| !now.is_empty()),
            None => before,
        };
        Self { title: now(self.title, anew.title), topic: now(self.topic, anew.topic), ..self }
    }

    /// Its title and its topic, whatever they were before.
    pub fn anew(&self) -> Anew<'a> {
        Anew { title: Some(self.title.unwrap_or_default()), topic: Some(self.topic.unwrap_or_default()) }
    }
}

/// What is another in the description of a room. `None`: it is as before; the empty text: there is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anew<'a> {
    /// What people call it.
    pub title: Option<&'a str>,
    /// What it is about.
    pub topic: Option<&'a str>,
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

/// Numbers and keeps entries. See the [module](self) for what it promises.
pub trait Backend {
    /// Takes a request. One with a ticket has its outcome later, by [`poll`](Self::poll).
    ///
    /// # Errors
    /// When too much waits already; then the request has no effect.
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded>;

    /// Nothing more is asked for a moment: a store that does more at less cost together begins with what it was asked.
    /// The loop calls it once a turn.
    fn hand_over(&mut self) {}

    /// From now on the store announces everything it keeps, by [`News::Room`] and [`News::User`]. Called once, when the
    /// chat begins; the call may wait for it, so that all of it is known before the first client comes.
    fn tell_catalogue(&mut self);

    /// The next news, if there is some by now. A [`Waker`] announces later news.
    fn poll(&mut self) -> Option<News<'_>>;

    /// Whether nothing that was accepted waits for its outcome, and everything has been polled: a stop waits for that.
    fn is_idle(&self) -> bool;

    /// Drops entries that are too old, a bounded piece of work at a time. Returns whether any entry is still kept.
    fn expire(&mut self, now: Moment) -> bool;

    /// Bytes held in this process, for entries and for knowing where they are.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Drops the oldest entries that are held in this process until about so many bytes are freed, a bounded piece of
    /// work at a time. Returns how many entries are lost by that, or by such a call before it.
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

    /// Whether other nodes may have the same store: then they are told words, and who is here.
    fn is_shared(&self) -> bool {
        false
    }

    /// How it fares; `None` of a store that neither fails nor waits. It may be asked at any time.
    fn health(&self) -> Option<Health> {
        None
    }

    /// What it has let go of by its own limits, where [`health`](Self::health) does not say it.
    fn let_go(&self) -> LetGo {
        LetGo::default()
    }

    /// Whether entries can be read later. They are numbered in any case.
    fn keeps(&self) -> bool;

    /// How long an acknowledged message lasts, in the words of `welcome.durability`.
    fn durability(&self) -> &'static str;

    /// The store, its place and how long it keeps messages, in one line for the person who starts the server.
    fn about(&self) -> String;
}

/// Rooms for which something is set, at a time, and bytes of the words for one: 8 MiB together.
pub const MAX_SET: usize = 1000;
/// See [`MAX_SET`].
pub const MAX_SET_BYTES: usize = 8 << 10;

/// Bans that have not ended, at a time: some 5 MB in memory when all have notes.
pub const MAX_BANS: usize = 10_000;
