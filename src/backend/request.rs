//! Requests to a store. [`Backend`](super::Backend) says what they mean to each other.

use super::{Anew, Audience, Conversation, Description, NewEntry, Presence, Query, Ticket};
use crate::time::Moment;

/// A request to a store.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Numbers and keeps an entry. Its outcome is [`Published`](super::News::Published),
    /// [`Repeated`](super::News::Repeated), [`Noted`](super::News::Noted) if it changes nothing, or
    /// [`Refused`](super::News::Refused).
    Append {
        /// Where.
        conversation: Conversation<'a>,
        /// What is said or done.
        entry: NewEntry<'a>,
        /// What is the same if it is asked again: a store that outlives its chat, or has several, does it once.
        retry: Option<RetryKey>,
        /// What the room is, if the store may not know it: noted with the entry, or not at all.
        about: Option<Description<'a>>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// Whether an entry has been published with this key. The outcome is [`Repeated`](super::News::Repeated), or
    /// [`Refused`](super::News::Refused) if nobody knows of one.
    Recall {
        /// Where.
        conversation: Conversation<'a>,
        /// The key.
        retry: RetryKey,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// Reads entries, as they are kept at `now`. The outcome is [`Page`](super::News::Page).
    Read {
        /// Of which conversation.
        conversation: Conversation<'a>,
        /// Which of them.
        query: Query,
        /// For whom.
        reader: Option<Reader<'a>>,
        /// By which age is told: by its tick in memory, by the wall clock of what outlives the process.
        now: Moment,
        /// What the room is, if somebody has made it just now: noted before it is read, or the request fails.
        about: Option<Description<'a>>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// A user has read a conversation up to `seq`. A mark never moves back, nor beyond the newest entry; but 0 takes
    /// it away, as if the user had never read anything there. The outcome is [`Marked`](super::News::Marked), or
    /// [`Noted`](super::News::Noted) if nothing changes.
    Mark {
        /// Who.
        user: &'a str,
        /// What.
        conversation: Conversation<'a>,
        /// The last entry that the user has read; 0: none, and no mark is kept.
        seq: u64,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// A room is called otherwise from now on, or is about something else. The outcome is
    /// [`Topic`](super::News::Topic), or [`Noted`](super::News::Noted) if nothing changes.
    Topic {
        /// What the room is, as it is known: that stands only where nothing was known of the room.
        about: Description<'a>,
        /// What is another.
        anew: Anew<'a>,
        /// The user who says so.
        by: &'a str,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// What a user has read of several rooms. The outcome is [`Readings`](super::News::Readings).
    Readings {
        /// Who.
        user: &'a str,
        /// Of which rooms.
        rooms: Names<'a>,
        /// The time, because entries have an age.
        now: Moment,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// The direct conversations of a user, those in which something was said last first. The outcome is
    /// [`Conversations`](super::News::Conversations), or [`Refused`](super::News::Refused) for a bad cursor.
    Conversations {
        /// Whose.
        user: &'a str,
        /// Where the page before it ended: its `next`.
        cursor: Option<&'a str>,
        /// How many at most.
        limit: usize,
        /// The time, because entries have an age.
        now: Moment,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// Looks for messages. The outcome is [`Found`](super::News::Found), or [`Refused`](super::News::Refused).
    Search {
        /// What is looked for.
        search: Search<'a>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// A name is kept out, or its ban has another end or note. The outcome is [`Noted`](super::News::Noted).
    Ban {
        /// Who, until when and why.
        ban: Ban<'a>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// A name is let in again. The outcome is [`Noted`](super::News::Noted).
    Unban {
        /// Who.
        user: &'a str,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// Something is set for a room, in words that are the caller's affair; or nothing is any more. It is told again by
    /// [`Set`](super::News::Set) when a chat begins. The outcome is [`Noted`](super::News::Noted), or
    /// [`Refused`](super::News::Refused) by a store that several nodes share, and where something is kept for as many
    /// other rooms as can be ([`MAX_SET`](super::MAX_SET)).
    Set {
        /// The room, which need not be there.
        room: &'a str,
        /// What.
        words: Option<&'a str>,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// An operator has done something: it is noted in the trail, of which the newest steps are kept. It has no outcome.
    Note {
        /// What.
        step: Step<'a>,
    },
    /// The trail, the newest step first. The outcome is [`Trail`](super::News::Trail), or
    /// [`Refused`](super::News::Refused) for a bad cursor, or by a store that keeps no trail.
    Trail {
        /// Where the page before it ended: its `next`.
        cursor: Option<&'a str>,
        /// How many at most.
        limit: usize,
        /// What its outcome has.
        ticket: Ticket,
    },
    /// A user is known by this name from now on: one can write to them. Of more than the store remembers, those who
    /// left longest ago are forgotten first. It has no outcome.
    Know {
        /// The name.
        user: &'a str,
        /// Whether they have come, and are here until it is said that they are not; a start of the caller ends that.
        here: bool,
    },
    /// The caller releases a room, which is empty and, as far as it knows, keeps nothing. If that is so, the store may
    /// forget the room, and its life ends; no kept entry goes by this. No request about the room may be waiting.
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
    /// Nobody here hears a room any more: until something is asked about it again, its entries need not be published
    /// here. It has no outcome, and no request about the room may be waiting.
    Unfollow {
        /// The room.
        room: &'a str,
    },
    /// The store tells once more which users are inside a room on other nodes, and how these stand there
    /// ([`Posted`](super::News::Posted)): the caller had no place for the room when it was told of them. It has no
    /// outcome.
    Seats {
        /// The room.
        room: &'a str,
    },
    /// A word that is neither numbered nor kept, for people on other nodes. It has no outcome, and is lost while the
    /// store is away.
    Tell {
        /// For whom.
        to: Audience<'a>,
        /// The word, of at most [`MAX_WORD_BYTES`](super::MAX_WORD_BYTES), without U+000A.
        word: &'a str,
    },
    /// A user is on this node, or inside a room here: other nodes are told that, and again when they come or have
    /// missed it, until it is taken back or this node is no more. It has no outcome.
    ///
    /// A user is posted before their rooms, and these are taken back before the user is.
    Post {
        /// Who, and where.
        presence: Presence<'a>,
        /// In which state, without U+000A; `None`: not any more.
        how: Option<&'a str>,
    },
}

impl Request<'_> {
    /// Connects the request to its outcome, if it has one.
    pub fn ticket(&self) -> Option<Ticket> {
        match *self {
            Self::Append { ticket, .. }
            | Self::Recall { ticket, .. }
            | Self::Read { ticket, .. }
            | Self::Mark { ticket, .. }
            | Self::Topic { ticket, .. }
            | Self::Readings { ticket, .. }
            | Self::Conversations { ticket, .. }
            | Self::Search { ticket, .. }
            | Self::Ban { ticket, .. }
            | Self::Unban { ticket, .. }
            | Self::Set { ticket, .. }
            | Self::Trail { ticket, .. } => Some(ticket),
            Self::Note { .. }
            | Self::Know { .. }
            | Self::Release { .. }
            | Self::Erase { .. }
            | Self::Unfollow { .. }
            | Self::Seats { .. }
            | Self::Tell { .. }
            | Self::Post { .. } => None,
        }
    }
}

impl<'a> Request<'a> {
    /// The conversation that it is about, if it is about one.
    pub fn conversation(&self) -> Option<Conversation<'a>> {
        match *self {
            Self::Append { conversation, .. }
            | Self::Recall { conversation, .. }
            | Self::Read { conversation, .. }
            | Self::Mark { conversation, .. } => Some(conversation),
            Self::Search { search: Search { scope: Scope::One(conversation), .. }, .. } => Some(conversation),
            Self::Topic { about: Description { room, .. }, .. }
            | Self::Release { room }
            | Self::Erase { room }
            | Self::Unfollow { room }
            | Self::Seats { room } => Some(Conversation::Room(room)),
            Self::Search { .. }
            | Self::Readings { .. }
            | Self::Conversations { .. }
            | Self::Ban { .. }
            | Self::Unban { .. }
            | Self::Set { .. }
            | Self::Note { .. }
            | Self::Trail { .. }
            | Self::Know { .. }
            | Self::Tell { .. }
            | Self::Post { .. } => None,
        }
    }
}

/// What makes two entries the same: who says what, where, and with which `id`. It is the same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryKey(pub [u8; 16]);

/// For whom a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader<'a> {
    /// The name, by which [`Reaction::me`](super::Reaction::me) is told.
    pub user: &'a str,
    /// Whether the page has what they have read.
    pub reading: bool,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Where.
    pub scope: Scope<'a>,
    /// Words that a message must have, all of them; in quotation marks, one after the other.
    pub text: &'a str,
    /// Only messages of this user.
    pub sender: Option<&'a str>,
    /// Only messages before this, in milliseconds since the Unix epoch.
    pub before: Option<u64>,
    /// Where the page before it ended: its `next`.
    pub cursor: Option<&'a str>,
    /// How many at most.
    pub limit: usize,
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// In one conversation.
    One(Conversation<'a>),
    /// In these rooms, and in all direct conversations of the user.
    All {
        /// The rooms.
        rooms: Names<'a>,
        /// The user.
        user: &'a str,
    },
}

/// A name that is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban<'a> {
    /// The name.
    pub user: &'a str,
    /// When it ends, in milliseconds since the Unix epoch; `None`: when it is lifted.
    pub until: Option<u64>,
    /// Why.
    pub note: Option<&'a str>,
}

/// A step of the operators' trail: what one of them has done, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// When, in milliseconds since the Unix epoch.
    pub ts: u64,
    /// The operator's name.
    pub operator: &'a str,
    /// Which call it was.
    pub call: &'a str,
    /// The room that was named.
    pub room: Option<&'a str>,
    /// The user that was named.
    pub user: Option<&'a str>,
    /// The status of the answer, as HTTP has them.
    pub status: u16,
}

/// Several names, in one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a>(&'a str);

impl<'a> Names<'a> {
    /// Puts names into `text`, which has none of its own. Names have no control characters, so U+0000 stands between
    /// them.
    pub fn join<'n>(names: impl IntoIterator<Item = &'n str>, text: &'a mut String) -> Self {
        text.clear();
        for name in names {
            debug_assert!(!name.is_empty() && !name.contains('\0'));
            text.extend([name, "\0"]);
        }
        Self(text)
    }

    /// Takes what [`as_str`](Self::as_str) gave.
    pub fn from_text(text: &'a str) -> Self {
        Self(text)
    }

    /// All of it as one text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The names, in their order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split_terminator('\0')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_as_they_went_in() {
        for names in [&[][..], &["den"], &["den", "bär", "a b"]] {
            let mut text = "left over".to_owned();
            let joined = Names::join(names.iter().copied(), &mut text);
            assert_eq!(Names::from_text(joined.as_str()).iter().collect::<Vec<_>>(), names);
        }
    }
}
