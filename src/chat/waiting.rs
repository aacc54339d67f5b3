//! Requests that the backend has not answered yet, with the state to go on when it has. `answers` goes on with them.
//!
//! `lists` has the state of a list of joins or a message to many, which waits for several of them.

use slab::Slab;

use super::ask::Asker;
use super::lists::ListKey;
use super::name::{RoomName, UserName};
use super::rate_limit::Paid;
use super::readers::CatchingUp;
use super::wire::answer::EndReason;
use super::wire::request::Bound;
use crate::backend::{Entry, Epoch, Head, Reading, Ticket};
use crate::id::ConnId;
use crate::slack;

/// The reason of a question to the backend, the connection that asks, and its `id`.
#[derive(Debug)]
pub(super) struct Waiting {
    pub asker: Asker,
    /// The room it is about stays until the answer has come.
    pub room: Option<u32>,
    pub what: What,
}

/// All of them, by the tickets that the backend has.
#[derive(Debug, Default)]
pub(super) struct Waitings(Slab<Asked>);

#[derive(Debug)]
struct Asked {
    waiting: Waiting,
    /// Bytes of the answer at most, if the one who asked waits for it.
    owed: u32,
}

impl Waitings {
    pub fn insert(&mut self, waiting: Waiting) -> Ticket {
        Ticket(self.0.insert(Asked { waiting, owed: 0 }) as u64)
    }

    /// Notes how many bytes the answer may have. Returns the connection, if it waits for that.
    pub fn note_owed(&mut self, ticket: Ticket, bytes: u32) -> Option<ConnId> {
        let Asked { waiting, owed } = self.0.get_mut(usize::try_from(ticket.0).ok()?)?;
        waiting.what.is_owed().then(|| {
            *owed = bytes;
            waiting.asker.conn
        })
    }

    /// The request of a ticket, which waits no longer, and the bytes of the answer at most, if that was waited for.
    pub fn take(&mut self, ticket: Ticket) -> Option<(Waiting, u32)> {
        let Asked { waiting, owed } = self.0.try_remove(usize::try_from(ticket.0).ok()?)?;
        Some((waiting, owed))
    }

    /// All of them with the bytes that are owed, in no order.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (&Waiting, u32)> {
        self.0.iter().map(|(_, asked)| (&asked.waiting, asked.owed))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.0);
    }

    pub fn held_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Asked>()
    }
}

/// The request.
#[derive(Debug)]
pub(super) enum What {
    Enter {
        resumed: Resumed,
        /// The list of joins that asked for it.
        of: Option<ListKey>,
    },
    /// The next page for a session that catches up.
    Slice {
        after: CatchingUp,
    },
    /// Which life a room is in.
    Life,
    /// Whether something has been said in a room that the session is not in.
    Recall {
        room: RoomName,
    },
    Leave(Leaving),
    /// Something is said or done in the room.
    InRoom {
        said: Option<u64>,
    },
    /// The same to a user.
    ToUser {
        said: Option<u64>,
        to: UserName,
    },
    /// One recipient of a message to many.
    Copy {
        of: ListKey,
        to: UserName,
    },
    RoomInfo(Info),
    History(Excerpt),
    Mark,
    /// A room is called otherwise or about something else, and what was paid for saying so.
    Topic {
        paid: Paid,
    },
    /// A page of rooms, of which the session is in some.
    Rooms(Box<RoomsAsked>),
    /// A page of direct conversations, and what was paid for it.
    Conversations {
        paid: Paid,
    },
    /// A search, and what was paid for it.
    Search {
        paid: Paid,
    },
    Ban(Box<NewBan>),
    Unban {
        banned: bool,
    },
    /// A page of what operators have done.
    Trail,
    /// Something is set for a room, or not any more.
    SetRoom {
        room: RoomName,
    },
}

/// Why it is asked what a room is.
#[derive(Debug)]
pub(super) enum Info {
    /// A session wants to know.
    Wanted,
    /// A session would have made it, and it is there.
    There,
    /// A session makes it. It has this description when the backend has it, and not before; who is first, made it.
    Made(Box<Described>),
}

/// How a session leaves a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// The session asked for it, and is answered whether or not it was inside.
    pub asked: bool,
    /// The reason that it hears, if it did not ask.
    pub why: Option<EndReason>,
}

/// The name and the topic that a room is made with.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub title: Option<Box<str>>,
    pub topic: Option<Box<str>>,
}

/// A page of rooms, and those on it whose marks the store is asked for: where the session is inside, or all of them.
#[derive(Debug)]
pub(super) struct RoomsAsked {
    pub cursor: Option<Box<str>>,
    pub limit: usize,
    pub marked: Vec<RoomName>,
    /// What was paid for asking.
    pub paid: Paid,
}

impl What {
    /// Whether the one who asked waits for the answer, so that a goodbye waits too. A page for a session that catches
    /// up is none: the next one would follow.
    pub fn is_owed(&self) -> bool {
        !matches!(self, Self::Slice { .. } | Self::Leave(Leaving { why: Some(_), .. }))
    }

    /// What was paid beside the frame, which is given back where the store does not answer.
    pub fn paid(&self) -> Paid {
        match self {
            Self::Rooms(asked) => asked.paid,
            Self::Topic { paid } | Self::Conversations { paid } | Self::Search { paid } => *paid,
            // What was paid for a list is with the list.
            Self::Enter { .. } | Self::Copy { .. } => Paid::default(),
            Self::Slice { .. }
            | Self::Life
            | Self::Recall { .. }
            | Self::Leave(_)
            | Self::InRoom { .. }
            | Self::ToUser { .. }
            | Self::RoomInfo(_)
            | Self::History(_)
            | Self::Mark
            | Self::SetRoom { .. }
            | Self::Ban(_)
            | Self::Unban { .. }
            | Self::Trail => Paid::default(),
        }
    }
}

/// A ban that holds, and is to be kept.
#[derive(Debug)]
pub(super) struct NewBan {
    pub user: UserName,
    pub until: Option<u64>,
    pub note: Option<Box<str>>,
    /// How many sessions it has closed.
    pub closed: usize,
}

/// Up to where a joiner has heard before; by default nothing was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resumed {
    pub asked: bool,
    pub epoch: Option<Epoch>,
    pub seq: u64,
}

/// A part of the history of a room or, `with` a user, of two users.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub with: Option<UserName>,
    pub bound: Bound,
    /// The life of the conversation that the client knows.
    pub epoch: Option<Box<str>>,
}

/// The page of the backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub head: Head,
    pub entries: &'a [Entry<'a>],
    /// What the reader has read, if that was asked.
    pub reading: Option<Reading>,
}

impl Found<'_> {
    /// The seq of the first entry, or of the one that would be next.
    pub fn first(&self) -> u64 {
        self.entries.first().map_or(self.head.seq + 1, |entry| entry.seq)
    }
}
