//! The records of an export: what they are, and what they say of themselves.

use crate::backend::Epoch;

/// One thing that a store keeps, or what an export says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An export begins.
    Export {
        /// Of what shape its records are: [`VERSION`].
        version: u32,
    },
    /// Entries that went while it was exported. It stands where these would.
    Missing {
        /// Where.
        name: Name,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// That was all.
    End {
        /// How many records stand between the first and this one.
        records: u64,
    },
    /// A room, or two people who have said something. It comes before its entries.
    Conversation {
        /// Which.
        name: Name,
        /// What stands of it.
        head: Head,
        /// What the room is.
        about: About,
    },
    /// An entry, in the order in which all of them were made.
    Entry {
        /// Where.
        name: Name,
        /// Its number.
        seq: u64,
        /// Milliseconds since the Unix epoch.
        ts: u64,
        /// Who.
        sender: String,
        /// What.
        body: Body,
    },
    /// Somebody who is known.
    User {
        /// The name.
        name: String,
    },
    /// A user has read a conversation.
    Read {
        /// Who.
        user: String,
        /// What.
        name: Name,
        /// The last entry that they have read.
        seq: u64,
    },
    /// A name that is kept out.
    Ban {
        /// The name.
        user: String,
        /// When it ends, in milliseconds since the Unix epoch; `None`: when it is lifted.
        until: Option<u64>,
        /// Why.
        note: Option<String>,
    },
    /// What was set for a room, which need not be there.
    Set {
        /// Its name.
        room: String,
        /// What, in the words of the chat.
        words: String,
    },
    /// What an operator has done, the oldest first.
    Step {
        /// When, in milliseconds since the Unix epoch.
        ts: u64,
        /// The operator's name.
        operator: String,
        /// Which call it was.
        call: String,
        /// The room that was named.
        room: Option<String>,
        /// The user that was named.
        user: Option<String>,
        /// The status of the answer.
        status: u16,
    },
}

/// Names a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// A room.
    Room(String),
    /// Two users, the smaller name first; or one twice.
    Direct([String; 2]),
}

/// The head of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which life of it.
    pub epoch: Epoch,
    /// The last number given out.
    pub seq: u64,
    /// The oldest that is kept; one more than `seq` if none is.
    pub oldest: u64,
    /// The number of the newest message; 0: there was none.
    pub message: u64,
    /// When that was said, of two people; 0: it is not known.
    pub said: u64,
}

/// The description of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// What people call it.
    pub title: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// When it was made, in milliseconds since the Unix epoch; `None`: nobody has said.
    pub created_at: Option<u64>,
    /// Whether somebody made it by name.
    pub created: bool,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A message, folded.
    Message {
        /// Its text as it stands; `None`: it is deleted.
        content: Option<String>,
        /// The message that it answers.
        reply_to: Option<u64>,
        /// Whether it calls everybody in the room, as it stands.
        calls_room: bool,
        /// When it was last edited. An import goes by the edit itself.
        edited: Option<u64>,
        /// The users of each emoji. An import goes by the reactions themselves.
        reactions: Vec<(String, Vec<String>)>,
    },
    /// A message has another text.
    Edited {
        /// The message.
        of: u64,
        /// Its text, if it still stands.
        content: Option<String>,
        /// Whether that calls everybody in the room.
        calls_room: bool,
    },
    /// A message is deleted.
    Deleted {
        /// The message.
        of: u64,
    },
    /// A reaction was added or taken back.
    Reaction {
        /// The message.
        of: u64,
        /// The emoji.
        emoji: String,
        /// Whether it was added.
        on: bool,
    },
}

impl Record {
    /// Its numbers, which clients and the file have to bear. When a ban ends is none: what is too far is for ever.
    pub(super) fn numbers(&self) -> [(&'static str, u64); 4] {
        const NONE: (&str, u64) = ("", 0);
        match self {
            Self::Conversation { head, about, .. } => [
                ("seq", head.seq),
                ("oldest", head.oldest.saturating_sub(1)),
                ("last_ts", head.said),
                ("created_at", about.created_at.unwrap_or(0)),
            ],
            Self::Entry { seq, ts, body, .. } => match *body {
                Body::Message { reply_to, .. } => {
                    [("seq", *seq), ("ts", *ts), ("reply_to", reply_to.unwrap_or(0)), NONE]
                }
                Body::Edited { of, .. } | Body::Deleted { of } | Body::Reaction { of, .. } => {
                    [("seq", *seq), ("ts", *ts), ("of", of), NONE]
                }
            },
            Self::Read { seq, .. } => [("seq", *seq), NONE, NONE, NONE],
            Self::Missing { from, to, .. } => [("from", *from), ("to", *to), NONE, NONE],
            Self::Ban { until, .. } => [("until", until.unwrap_or(0)), NONE, NONE, NONE],
            Self::Step { ts, .. } => [("ts", *ts), NONE, NONE, NONE],
            Self::User { .. } | Self::Set { .. } | Self::Export { .. } | Self::End { .. } => [NONE; 4],
        }
    }
}

impl Name {
    pub(super) fn of(name: String, other: String) -> Self {
        match &*other {
            "" => Self::Room(name),
            _ => Self::Direct([name, other]),
        }
    }

    /// As the file has it.
    pub(super) fn columns(&self) -> (&str, &str) {
        match self {
            Self::Room(name) => (name, ""),
            Self::Direct([one, other]) => (one.min(other), one.max(other)),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(name) => write!(f, "the room {name}"),
            Self::Direct([one, other]) => write!(f, "{one} and {other}"),
        }
    }
}

/// Of what shape the records of an export are.
pub const VERSION: u32 = 1;
