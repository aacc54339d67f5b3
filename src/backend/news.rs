//! News of a store: outcomes of requests, and what has happened elsewhere.

use super::{Anew, Audience, Ban, Conversation, Description, Entry, Epoch, Head, Presence, Step, Ticket, Why};

/// News of a store.
#[derive(Debug)]
pub enum News<'a> {
    /// An entry is numbered, and kept as well as this store keeps.
    Published {
        /// The conversation.
        conversation: Conversation<'a>,
        /// The life of it that the number is of. Where it is another one than was told before, that one is over.
        epoch: Epoch,
        /// The entry with its number.
        entry: Entry<'a>,
        /// The request whose outcome it is; `None`: the entry is from elsewhere.
        ticket: Option<Ticket>,
    },
    /// The entry has been published before, with this number and time.
    Repeated {
        /// Which request.
        ticket: Ticket,
        /// Its number.
        seq: u64,
        /// Its time.
        ts: u64,
    },
    /// A page of entries.
    Page {
        /// Which request.
        ticket: Ticket,
        /// The conversation when it was read.
        head: Head,
        /// The entries, seq rising.
        entries: Vec<Entry<'a>>,
        /// What the reader has read, if that was asked.
        reading: Option<Reading>,
    },
    /// A user has read a conversation up to `seq`.
    Marked {
        /// The request whose outcome it is; `None`: it was on another node.
        ticket: Option<Ticket>,
        /// Who.
        user: &'a str,
        /// What.
        conversation: Conversation<'a>,
        /// The last entry that the user has read.
        seq: u64,
    },
    /// A room is called otherwise, or about something else.
    Topic {
        /// The request whose outcome it is; `None`: it was on another node.
        ticket: Option<Ticket>,
        /// The room.
        room: &'a str,
        /// Its title and its topic now; one is absent where a node of before says nothing of it.
        anew: Anew<'a>,
        /// The user who says so.
        by: &'a str,
        /// Which of all changes of rooms it is: the later of two has the higher number. A store that tells its news in
        /// order says 0.
        changes: u64,
    },
    /// What a user has read of several rooms.
    Readings {
        /// Which request.
        ticket: Ticket,
        /// In the order of the question.
        readings: Vec<Reading>,
    },
    /// A page of direct conversations.
    Conversations {
        /// Which request.
        ticket: Ticket,
        /// Those in which something was said last first.
        items: Vec<Talk<'a>>,
        /// The cursor of the next page, if there is one.
        next: Option<String>,
    },
    /// A page of messages that were looked for.
    Found {
        /// Which request.
        ticket: Ticket,
        /// The newest first. A page may have fewer than were asked for, or none, and another one behind it.
        items: Vec<Hit<'a>>,
        /// The cursor of the next page, if there may be more.
        next: Option<String>,
    },
    /// A page of the operators' trail.
    Trail {
        /// Which request.
        ticket: Ticket,
        /// The newest first.
        steps: Vec<Step<'a>>,
        /// The cursor of the next page, if there is one.
        next: Option<String>,
    },
    /// The request is carried out, and there is nothing to be told of it.
    Noted {
        /// Which request.
        ticket: Ticket,
    },
    /// The request is one that must not be carried out.
    Refused {
        /// Which request.
        ticket: Ticket,
        /// Why.
        why: Why,
    },
    /// The request could not be carried out.
    Failed {
        /// Which request.
        ticket: Ticket,
    },
    /// No entry of a room is kept any more. Its seq goes on until its life ends.
    Emptied {
        /// The room.
        room: &'a str,
    },
    /// The life of a room has ended elsewhere, and its description holds no more. No user of this chat is in it, unless
    /// the store has lost that they are.
    Ended {
        /// The room.
        room: &'a str,
    },
    /// Entries of a room that were published elsewhere, and can be told no more, because they are not kept any longer.
    Missed {
        /// The room.
        room: &'a str,
        /// The life of it.
        epoch: Epoch,
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// Conversations may go on in other lives than was told of them, because the store has lost something. Whoever
    /// follows one asks for its head.
    Renewed,
    /// A room exists: it was kept before, or has been made or described elsewhere.
    Room {
        /// What stands of it.
        description: Description<'a>,
        /// Whether entries of it are kept.
        keeps: bool,
        /// Which of all changes of rooms its last one was, as in [`Topic`](Self::Topic).
        changes: u64,
    },
    /// A user exists: known before, or elsewhere.
    User {
        /// The name.
        name: &'a str,
    },
    /// A name is kept out: since before, or by a call elsewhere.
    Banned(Ban<'a>),
    /// A name is let in again, by a call elsewhere.
    Unbanned {
        /// Who.
        user: &'a str,
    },
    /// Something is set for a room: since before.
    Set {
        /// The room, which need not be there.
        room: &'a str,
        /// What, in the words in which it was set.
        words: &'a str,
    },
    /// Another node says something to people here.
    Told {
        /// To whom.
        to: Audience<'a>,
        /// The word.
        word: &'a str,
    },
    /// A user is on another node, or inside a room there: in this state from now on, or not any more. What is told
    /// first of a user is that they are on the node, and what is told last, that they are not.
    Posted {
        /// The number of the node, which no other one has had.
        node: u64,
        /// Who, and where.
        presence: Presence<'a>,
        /// In which state.
        how: Option<&'a str>,
    },
}

impl News<'_> {
    /// The request whose outcome it is, if it is one.
    pub fn ticket(&self) -> Option<Ticket> {
        match *self {
            Self::Published { ticket, .. } | Self::Marked { ticket, .. } | Self::Topic { ticket, .. } => ticket,
            Self::Repeated { ticket, .. }
            | Self::Page { ticket, .. }
            | Self::Readings { ticket, .. }
            | Self::Conversations { ticket, .. }
            | Self::Found { ticket, .. }
            | Self::Trail { ticket, .. }
            | Self::Noted { ticket }
            | Self::Refused { ticket, .. }
            | Self::Failed { ticket } => Some(ticket),
            Self::Renewed
            | Self::Missed { .. }
            | Self::Emptied { .. }
            | Self::Ended { .. }
            | Self::Room { .. }
            | Self::User { .. }
            | Self::Banned(_)
            | Self::Unbanned { .. }
            | Self::Set { .. }
            | Self::Told { .. }
            | Self::Posted { .. } => None,
        }
    }
}

/// What a user has read of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The last entry that they have read; 0: none.
    pub read: u64,
    /// Messages of others behind it that are not deleted: [`MAX_UNREAD`] if there are as many or more.
    pub unread: u64,
}

/// A direct conversation of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talk<'a> {
    /// The other user; the user themselves, for what they say to themselves.
    pub with: &'a str,
    /// The number of its newest entry.
    pub seq: u64,
    /// When its newest message was said, in milliseconds since the Unix epoch.
    pub ts: u64,
    /// What the user has read of it.
    pub reading: Reading,
}

/// A message that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Where it was said.
    pub conversation: Conversation<'a>,
    /// Its number.
    pub seq: u64,
    /// When it was said, in milliseconds since the Unix epoch.
    pub ts: u64,
    /// Its sender.
    pub sender: &'a str,
    /// Its text as it stands.
    pub content: &'a str,
}

/// Unread messages are counted up to this.
pub const MAX_UNREAD: u64 = 1000;
