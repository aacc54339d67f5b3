//! Requests that the backend has not answered yet: what is needed to go on when it has. What is done then is in `answers`.

use super::ask::Asker;
use super::name::UserName;
use super::wire::answer::EndReason;
use super::wire::request::Bound;
use crate::backend::{Epoch, Head, Message};

/// Why the backend was asked, by whom, and what they called it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub asker: Asker,
    /// The room it is about stays until the answer has come.
    pub room: Option<u32>,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Enter {
        resumed: Resumed,
        /// The [`What::JoinList`] that asked for it.
        of: Option<u32>,
    },
    /// Not asked of the backend itself: waits for its rooms.
    JoinList(Joins),
    /// What follows for who catches up.
    Slice {
        after: u64,
    },
    Leave {
        /// What the session is told if it did not ask.
        why: Option<EndReason>,
    },
    Broadcast {
        said: Option<u64>,
    },
    Direct {
        said: Option<u64>,
    },
    /// One recipient of a [`What::Multicast`].
    Copy {
        of: u32,
        to: UserName,
    },
    /// Not asked of the backend itself: waits for its copies.
    Multicast(Box<Tally>),
    RoomInfo {
        created: Option<bool>,
    },
    History(Excerpt),
}

/// Up to where a joiner has heard before; by default nothing was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resumed {
    pub asked: bool,
    pub epoch: Option<Epoch>,
    pub seq: u64,
}

/// A part of the history of a room or, `with` somebody, of two users.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub with: Option<UserName>,
    pub bound: Bound,
    /// The life of the conversation that the client knows.
    pub epoch: Option<Box<str>>,
}

/// What the backend has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub head: Head,
    pub messages: &'a [Message<'a>],
}

impl Found<'_> {
    /// The seq of the first message, or of the one that would be next.
    pub fn first(&self) -> u64 {
        self.messages.first().map_or(self.head.seq + 1, |message| message.seq)
    }
}

/// What became of the rooms of a list.
#[derive(Debug)]
pub(super) struct Joins {
    pub outstanding: usize,
    pub joined: u64,
    pub refused: u64,
}

/// What became of one copy of a message to many.
#[derive(Clone, Copy)]
pub(super) enum Copied {
    /// It has a number, and the recipient, who is seen to be here, has heard it.
    Delivered,
    /// It has a number.
    Said,
    Failed,
}

/// What became of the copies.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub outstanding: usize,
    pub delivered: Vec<UserName>,
    pub stored: Vec<UserName>,
    pub unknown: Vec<UserName>,
    /// Not here, and nothing is kept for them.
    pub missed: Vec<UserName>,
    pub failed: Vec<UserName>,
    pub said: Option<u64>,
}
