//! What people say and do, in the JSON dialect: messages, and what is done to them.
//!
//! A message of a person is an [`Item`], wherever it stands. An entry that is no message has a type of its own, and
//! none of them can stand for another.

use serde::{Serialize, Serializer};

use super::json;
use crate::backend::{Body, Entry, Message, Reaction};

/// The conversation that something is about, as the one who hears it names it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Place<'a> {
    Room {
        room_id: &'a str,
    },
    /// Of an entry: the one that its sender speaks to.
    User {
        user_id: &'a str,
    },
}

impl<'a> Place<'a> {
    pub fn room(name: &'a str) -> Self {
        Self::Room { room_id: name }
    }

    pub fn user(name: &'a str) -> Self {
        Self::User { user_id: name }
    }
}

/// A message in a room, or, as `*`, to everybody.
#[derive(Serialize)]
pub(crate) struct Broadcast<'a> {
    pub room_id: &'a str,
    #[serde(flatten)]
    pub item: Item<'a>,
}

/// A message to one user.
#[derive(Serialize)]
pub(crate) struct Direct<'a>(pub(super) Item<'a>);

/// A message has another text.
#[derive(Serialize)]
pub(crate) struct Edited<'a> {
    #[serde(flatten)]
    pub place: Place<'a>,
    pub of: u64,
    pub sender: &'a str,
    /// The text as it stands; absent where the message is deleted since.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "content")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    pub deleted: bool,
    pub seq: u64,
    pub ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
}

/// The people whom a text calls without their names.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mentions {
    /// Everybody in the room.
    Room,
}

impl Mentions {
    pub fn of(calls_room: bool) -> Option<Self> {
        calls_room.then_some(Self::Room)
    }
}

/// A message is deleted.
#[derive(Serialize)]
pub(crate) struct Deleted<'a> {
    #[serde(flatten)]
    pub place: Place<'a>,
    pub of: u64,
    pub sender: &'a str,
    pub seq: u64,
    pub ts: u64,
}

/// A user has reacted to a message, or takes it back.
#[derive(Serialize)]
pub(crate) struct Reacted<'a> {
    #[serde(flatten)]
    pub place: Place<'a>,
    pub of: u64,
    pub sender: &'a str,
    pub emoji: &'a str,
    pub on: bool,
    pub seq: u64,
    pub ts: u64,
}

/// A message of a person, wherever it stands: its place, where it must be named, stands before.
#[derive(Serialize)]
pub(crate) struct Item<'a> {
    pub sender: &'a str,
    /// The receiver, if the place does not name them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<&'a str>,
    /// Absent in a message that is deleted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "content")]
    pub content: Option<&'a str>,
    /// Absent in a message that is neither numbered nor kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    pub ts: u64,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The people whom it calls without their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
    /// When it was last edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub deleted: bool,
    #[serde(skip_serializing_if = "is_empty", serialize_with = "reactions")]
    pub reactions: &'a [Reaction<'a>],
}

impl<'a> Item<'a> {
    /// A message that is neither numbered nor kept.
    pub fn announced(sender: &'a str, content: &'a str, ts: u64) -> Self {
        Self {
            sender,
            user_id: None,
            content: Some(content),
            seq: None,
            ts,
            reply_to: None,
            mentions: None,
            edited: None,
            deleted: false,
            reactions: &[],
        }
    }

    /// Those of these entries that are messages.
    pub fn messages(entries: &'a [Entry<'a>]) -> Vec<Self> {
        let item = |entry: &'a Entry<'a>| match &entry.body {
            Body::Message(message) => Some(Self::of(entry, message)),
            Body::Edited { .. } | Body::Deleted { .. } | Body::Reaction { .. } => None,
        };
        entries.iter().filter_map(item).collect()
    }

    /// The message of an entry.
    pub fn of(entry: &Entry<'a>, message: &'a Message<'a>) -> Self {
        let Message { content, reply_to, calls_room, edited, reactions } = message;
        let (seq, deleted) = (Some(entry.seq), content.is_none());
        Self {
            sender: entry.sender,
            user_id: None,
            content: *content,
            seq,
            ts: entry.ts,
            reply_to: *reply_to,
            mentions: Mentions::of(*calls_room),
            edited: *edited,
            deleted,
            reactions,
        }
    }
}

fn content<S: Serializer>(content: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    json::content(content.unwrap_or_default(), serializer)
}

fn reactions<S: Serializer>(reactions: &[Reaction<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        emoji: &'a str,
        count: u64,
        users: &'a [&'a str],
        me: bool,
    }
    serializer.collect_seq(reactions.iter().map(|reaction| {
        let Reaction { emoji, count, users, me } = reaction;
        Shown { emoji, count: *count, users, me: *me }
    }))
}

pub(super) fn is_empty<T>(list: &&[T]) -> bool {
    list.is_empty()
}

pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}
