//! The messages of the server in the JSON dialect: one type for each, with its fields in the order of the wire.
//!
//! [`write()`] alone puts `type` first and the `id` of the request second, so that no message can forget either. The
//! types are listed in [`Kind`] by the macro that also ties each to its struct: a struct that is not listed cannot be
//! sent. Those that are entries of a conversation are in [`entries`]. A name that a person chose is a value, or the key
//! of a map: never the name of a field.
//!
//! One message is not written by its type, because most of the server's work comes down to it: [`spliced`] writes the
//! bytes of [`Broadcast`], faster.
//!
//! [`entries`]: super::entries
//! [`spliced`]: super::spliced

use std::fmt::Display;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::super::name::UserName;
use super::super::roster::user::{Status, View};
use super::entries::{Broadcast, Deleted, Direct, Edited, Item, Place, Reacted, is_empty, is_false};
use super::{Code, Id, Refusal, json};
use crate::backend::{self, Epoch};

/// A message of the JSON dialect, but for its `type` and `id`.
pub(crate) trait Answer: Serialize {
    const KIND: Kind;
}

/// Appends a message; `id`, if it answers a request that has one.
pub(crate) fn write<A: Answer>(out: &mut Vec<u8>, id: Option<&Id<'_>>, answer: &A) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(A::KIND.as_str().as_bytes());
    out.push(b'"');
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        json::write(out, id);
    }
    let fields = out.len();
    json::write(out, answer);
    // The object that has been begun goes on with the fields of the one that was written.
    debug_assert_eq!(out.get(fields), Some(&b'{'), "an answer is a struct");
    match out.get(fields..) {
        Some(b"{}") => drop(out.remove(fields)),
        _ => out[fields] = b',',
    }
}

macro_rules! answers {
    ($($kind:ident $name:literal is $answer:ty,)*) => {
        words! {
            /// The types of messages that the server sends in the JSON dialect.
            pub enum Kind {
                $(#[doc = concat!("`", $name, "`")] $kind $name,)*
            }
        }

        $(impl Answer for $answer {
            const KIND: Kind = Kind::$kind;
        })*
    };
}

answers! {
    Ack "ack" is Ack<'_>,
    Ban "ban" is Ban<'_>,
    Bans "bans" is Bans<'_>,
    Broadcast "broadcast" is Broadcast<'_>,
    Conversations "conversations" is Conversations<'_>,
    Deleted "deleted" is Deleted<'_>,
    Direct "direct" is Direct<'_>,
    Edited "edited" is Edited<'_>,
    Error "error" is Error<'_>,
    Found "found" is Found<'_>,
    Gap "gap" is Gap<'_>,
    Goodbye "goodbye" is Goodbye,
    History "history" is History<'_>,
    Joined "joined" is Joined<'_>,
    Left "left" is Left<'_>,
    Members "members" is Members<'_>,
    Online "online" is Online<'_>,
    OnlineUsers "online_users" is OnlineUsers<'_>,
    Pong "pong" is Pong,
    Presence "presence" is Presence<'_>,
    PresenceState "presence_state" is PresenceState<'_>,
    Reacted "reaction" is Reacted<'_>,
    Read "read" is Read<'_>,
    Room "room" is Room<'_>,
    RoomSettings "room_settings" is RoomSettings<'_>,
    Rooms "rooms" is Rooms<'_>,
    Topic "topic" is Topic<'_>,
    Trail "trail" is Trail<'_>,
    Typing "typing" is Typing<'_>,
    UserJoined "user_joined" is UserJoined<'_>,
    UserLeft "user_left" is UserLeft<'_>,
    Welcome "welcome" is Welcome<'_>,
}

impl Kind {
    /// Whether only operators hear it (`docs/http-api.md`).
    pub fn is_of_operators(self) -> bool {
        matches!(self, Self::Ban | Self::Bans | Self::Trail | Self::RoomSettings)
    }
}

words! {
    /// Why a session will end, or has been put out of one room.
    pub enum EndReason {
        /// The server stops.
        Shutdown "shutdown",
        /// Too many connections of an address, or sessions of a user.
        ConnectionLimit "connection_limit",
        /// Too fast for too long.
        RateAbuse "rate_abuse",
        /// Too many users.
        Overloaded "overloaded",
        /// No token in time, or one that is not valid.
        Unauthorized "unauthorized",
        /// A token that has expired.
        TokenExpired "token_expired",
        /// The operator has kicked the user.
        Kicked "kicked",
        /// The operator has banned the user.
        Banned "banned",
        /// The name is the operator's.
        NameReserved "name_reserved",
        /// The operator has closed the session.
        Disconnected "disconnected",
    }
}

words! {
    /// Why messages are missing.
    pub enum Missing {
        /// They are no longer kept.
        Expired "expired",
        /// They were of another life of the room.
        EpochChanged "epoch_changed",
    }
}

/// The session's user, and the limits here.
#[derive(Serialize)]
pub(crate) struct Welcome<'a> {
    pub user_id: &'a str,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
    #[serde(serialize_with = "hex")]
    pub session_id: u64,
    pub server: &'a str,
    pub limits: Limits,
    pub ping_interval_ms: u64,
    pub durability: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Limits {
    pub message_bytes: usize,
    pub content_bytes: usize,
    pub rooms: usize,
    pub join_rooms: usize,
    /// The members of a room that the session may call together.
    pub mention_room: usize,
    /// `null` if there is none.
    pub rate: Option<Rate>,
}

#[derive(Serialize)]
pub(crate) struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

#[derive(Serialize)]
pub(crate) struct Joined<'a> {
    pub room_id: &'a str,
    pub user_id: &'a str,
    #[serde(serialize_with = "shown")]
    pub epoch: Epoch,
    pub seq: u64,
    pub recovered: bool,
    pub members: usize,
    #[serde(flatten)]
    pub reading: Option<Reading>,
}

/// What the user has read of a conversation.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Reading {
    pub read: u64,
    pub unread: u64,
}

impl From<backend::Reading> for Reading {
    fn from(backend::Reading { read, unread }: backend::Reading) -> Self {
        Self { read, unread }
    }
}

#[derive(Serialize)]
pub(crate) struct Left<'a> {
    pub room_id: &'a str,
    /// Why, if the session did not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

#[derive(Serialize)]
pub(crate) struct UserJoined<'a> {
    pub room_id: &'a str,
    pub user_id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct UserLeft<'a> {
    pub room_id: &'a str,
    pub user_id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct OnlineUsers<'a> {
    pub room_id: &'a str,
    pub users: &'a [&'a str],
    pub count: usize,
}

/// Messages of a room that the session will not hear.
#[derive(Serialize)]
pub(crate) struct Gap<'a> {
    pub room_id: &'a str,
    #[serde(serialize_with = "shown")]
    pub epoch: Epoch,
    #[serde(flatten)]
    pub hole: Hole,
}

/// Messages that are missing, from the first to the last.
#[derive(Serialize)]
pub(crate) struct Hole {
    pub from: u64,
    pub to: u64,
    pub why: Missing,
}

/// One page of the history of a room, or with a user.
#[derive(Serialize)]
pub(crate) struct History<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<&'a str>,
    #[serde(serialize_with = "shown")]
    pub epoch: Epoch,
    pub items: &'a [Item<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Hole>,
}

/// A request that needs no other answer is done, in one of these forms.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Ack<'a> {
    Done {},
    /// Of a `join` with a list of rooms.
    JoinedList {
        joined: u64,
        refused: u64,
    },
    /// The answer to a message: its place, unless it was for several users, and `dup` if it was said before.
    Said {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        ts: u64,
        #[serde(skip_serializing_if = "is_false")]
        dup: bool,
    },
    /// The answer to a `multicast`: its outcome for each user.
    Multicast {
        delivered: &'a [UserName],
        stored: &'a [UserName],
        unknown: &'a [UserName],
        #[serde(skip_serializing_if = "is_empty")]
        missed: &'a [UserName],
        #[serde(skip_serializing_if = "is_empty")]
        failed: &'a [UserName],
    },
    /// Of a token.
    Authorized {
        expires_at: u64,
    },
    /// Of a kick or a disconnect: how many sessions.
    Closed {
        closed: usize,
    },
    /// Of a kick from a room: how many sessions.
    Left {
        left: u64,
    },
    /// Of an unban: whether the user was banned.
    Unbanned {
        banned: bool,
    },
}

#[derive(Serialize)]
pub(crate) struct Pong {
    pub ts: u64,
}

#[derive(Serialize)]
pub(crate) struct Typing<'a> {
    /// The room; `None`, if it is to the one who hears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<&'a str>,
    pub user_id: &'a str,
    pub typing: bool,
}

/// The presence of a user has changed.
#[derive(Serialize)]
pub(crate) struct Presence<'a> {
    pub user_id: &'a str,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
}

/// The presence of users now.
#[derive(Serialize)]
pub(crate) struct PresenceState<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<&'a str>,
    /// By their names.
    #[serde(serialize_with = "map")]
    pub users: &'a [(&'a str, View)],
}

/// The facts about a room.
#[derive(Serialize)]
pub(crate) struct Room<'a> {
    pub room_id: &'a str,
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<&'a str>,
    pub created_at: u64,
    pub members: usize,
    pub messages: u64,
    pub seq: u64,
    #[serde(serialize_with = "shown")]
    pub epoch: Epoch,
    /// Of `create_room`: whether there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<bool>,
}

/// What a room is called and is about: `sender` has just said so, if it is somebody.
#[derive(Serialize)]
pub(crate) struct Topic<'a> {
    pub room_id: &'a str,
    /// Its title; without one, its `room_id`.
    pub name: &'a str,
    /// Empty: about nothing.
    pub topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Rooms<'a> {
    pub rooms: &'a [ListedRoom<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct ListedRoom<'a> {
    pub room_id: &'a str,
    pub name: &'a str,
    pub members: usize,
    pub joined: bool,
    /// Of a room that the session is in, or that the user has read something of.
    #[serde(flatten)]
    pub reading: Option<Reading>,
}

/// A user has read a conversation up to a number; the user's other devices hear it.
#[derive(Serialize)]
pub(crate) struct Read<'a> {
    #[serde(flatten)]
    pub place: Place<'a>,
    pub seq: u64,
}

/// The direct conversations of a user, those in which something was said last first.
#[derive(Serialize)]
pub(crate) struct Conversations<'a> {
    pub conversations: &'a [Talk<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Talk<'a> {
    user_id: &'a str,
    seq: u64,
    ts: u64,
    #[serde(flatten)]
    reading: Reading,
}

impl<'a> From<&backend::Talk<'a>> for Talk<'a> {
    fn from(&backend::Talk { with, seq, ts, reading }: &backend::Talk<'a>) -> Self {
        Self { user_id: with, seq, ts, reading: reading.into() }
    }
}

/// Messages that were looked for, the newest first.
#[derive(Serialize)]
pub(crate) struct Found<'a> {
    pub items: &'a [Hit<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Hit<'a> {
    #[serde(flatten)]
    pub place: Place<'a>,
    pub seq: u64,
    pub sender: &'a str,
    #[serde(serialize_with = "json::content")]
    pub content: &'a str,
    pub ts: u64,
}

#[derive(Serialize)]
pub(crate) struct Members<'a> {
    pub room_id: &'a str,
    pub members: &'a [Member<'a>],
    pub count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Member<'a> {
    user_id: &'a str,
    status: Status,
    devices: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Box<str>>,
}

impl<'a> Member<'a> {
    pub fn new(user_id: &'a str, View { status, devices, note }: View) -> Self {
        Self { user_id, status, devices, note }
    }
}

#[derive(Serialize)]
pub(crate) struct Online<'a> {
    pub users: &'a [&'a str],
    pub count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Error<'a> {
    /// Which room of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    code: Code,
    #[serde(serialize_with = "json::content")]
    message: &'a str,
    retry: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_after_ms: Option<u64>,
}

impl<'a> From<&'a Refusal> for Error<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        // Rounded up: a client that comes back in time passes.
        let millis = |time: Duration| time.as_micros().div_ceil(1000) as u64;
        Self {
            room_id: refusal.room.as_deref(),
            code: refusal.code,
            message: &refusal.message,
            retry: refusal.code.retry(),
            retry_after_ms: refusal.retry_after.map(millis),
            close_after_ms: refusal.close_after.map(millis),
        }
    }
}

/// The session will end.
#[derive(Serialize)]
pub(crate) struct Goodbye {
    pub reason: EndReason,
    pub reconnect: bool,
    pub after_ms: u64,
    /// Of a ban that ends by itself: when, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// A user is banned from now on.
#[derive(Serialize)]
pub(crate) struct Ban<'a> {
    #[serde(flatten)]
    pub ban: ListedBan<'a>,
    /// How many sessions.
    pub closed: usize,
}

#[derive(Serialize)]
pub(crate) struct Bans<'a> {
    pub bans: &'a [ListedBan<'a>],
    pub count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct ListedBan<'a> {
    pub user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
}

/// What operators have done.
#[derive(Serialize)]
pub(crate) struct Trail<'a> {
    pub steps: &'a [ListedStep<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct ListedStep<'a> {
    pub ts: u64,
    pub operator: &'a str,
    pub call: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<&'a str>,
    pub status: u16,
}

/// What is set for a room.
#[derive(Serialize)]
pub(crate) struct RoomSettings<'a> {
    pub room_id: &'a str,
    pub settings: &'a [RoomSetting<'a>],
}

#[derive(Serialize)]
pub(crate) struct RoomSetting<'a> {
    pub key: &'a str,
    pub value: Setting<'a>,
    /// `call`, or `rule`: then its number, patterns and line in the file.
    pub from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Setting<'a> {
    One(String),
    Many(Vec<&'a str>),
}

/// Types that are written as their word or their text.
macro_rules! as_text {
    ($($text:ty,)*) => {$(
        impl Serialize for $text {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}

as_text! { Kind, EndReason, Missing, Code, Status, UserName, super::plain::Kind, }

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:016x}"))
}

fn map<S: Serializer>(entries: &[(&str, View)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}

#[cfg(test)]
mod tests {
    use super::super::entries::Mentions;
    use super::*;
    use crate::backend::{Body, Entry, Message, Reaction};

    const MICROS_1001: Duration = Duration::from_micros(1001);

    fn entry<'a>(body: Body<'a>) -> Entry<'a> {
        Entry { seq: 7, ts: 1_790_000_000_123, sender: "ann", body }
    }

    fn item_of<'a>(message: &'a Message<'a>) -> Item<'a> {
        Item::of(&entry(Body::Deleted { of: 0 }), message)
    }

    const TEXT: &str = "she said \"yes\"\n";

    fn text<A: Answer>(id: Option<&Id<'_>>, answer: &A) -> String {
        let mut out = Vec::new();
        write(&mut out, id, answer);
        String::from_utf8(out).unwrap()
    }

    /// Rows of messages and their bytes, and that each type has one.
    #[test]
    fn each_message_has_these_bytes() {
        let mut said = Vec::new();
        let mut check = |kind: Kind, found: String, expected: &str| {
            assert_eq!(found, expected);
            assert!(expected.starts_with(&format!("{{\"type\":\"{}\"", kind.as_str())), "{expected}");
            said.push(kind);
        };
        fn row<A: Answer>(answer: A) -> (Kind, String) {
            (A::KIND, text(None, &answer))
        }
        macro_rules! rows {
            ($($answer:expr => $expected:expr,)*) => {$({
                let (kind, found) = row($answer);
                check(kind, found, $expected);
            })*};
        }
        let (epoch, name) = (Epoch(0xbeef), |name| UserName::parse(name).unwrap());
        let seen = |devices, note: Option<&str>| View { status: Status::Away, devices, note: note.map(Into::into) };
        let refusal = |code, room: Option<&str>, retry_after, close_after| Refusal {
            room: room.map(Into::into),
            retry_after,
            close_after,
            ..Refusal::new(code, "expected \"a\"")
        };
        let (message, empty, deleted) = (Message::new(TEXT), Message::new(""), Message::default());
        let reactions = vec![Reaction { emoji: "\"", count: 2, users: vec!["bob"], me: true }];
        let folded = Message { reply_to: Some(5), calls_room: true, edited: Some(6), reactions, ..Message::new("") };
        let marks = backend::Reading { read: 3, unread: 4 };
        let reading = Some(marks.into());
        let limits =
            |rate| Limits { message_bytes: 4, content_bytes: 3, rooms: 2, join_rooms: 1, mention_room: 0, rate };
        let welcome = Welcome {
            user_id: "ann",
            status: Status::Online,
            note: None,
            session_id: 0xab,
            server: "salon/1",
            limits: limits(None),
            ping_interval_ms: 25_000,
            durability: "memory",
            expires_at: None,
        };
        let full = Welcome {
            status: Status::Busy,
            note: Some("at\twork"),
            limits: limits(Some(Rate { per_second: 20, burst: 40 })),
            expires_at: Some(1),
            ..welcome
        };
        let edited = |place, content: Option<&'static str>, mentions| {
            let deleted = content.is_none();
            Edited { place, of: 1, sender: "ann", content, deleted, seq: 2, ts: 3, mentions }
        };
        rows! {
            welcome =>
                concat!(
                    r#"{"type":"welcome","user_id":"ann","status":"online","session_id":"00000000000000ab","#,
                    r#""server":"salon/1","limits":{"message_bytes":4,"content_bytes":3,"rooms":2,"join_rooms":1,"#,
                    r#""mention_room":0,"rate":null},"ping_interval_ms":25000,"durability":"memory"}"#,
                ),
            full =>
                concat!(
                    r#"{"type":"welcome","user_id":"ann","status":"busy","note":"at\twork","#,
                    r#""session_id":"00000000000000ab","server":"salon/1","limits":{"message_bytes":4,"#,
                    r#""content_bytes":3,"rooms":2,"join_rooms":1,"mention_room":0,"#,
                    r#""rate":{"per_second":20,"burst":40}},"ping_interval_ms":25000,"durability":"memory","expires_at":1}"#,
                ),
            Joined { room_id: "den", user_id: "ann", epoch, seq: 7, recovered: true, members: 2, reading: None } =>
                concat!(
                    r#"{"type":"joined","room_id":"den","user_id":"ann","epoch":"000000000000beef","seq":7,"#,
                    r#""recovered":true,"members":2}"#,
                ),
            Joined { room_id: "den", user_id: "ann", epoch, seq: 7, recovered: false, members: 2, reading } =>
                concat!(
                    r#"{"type":"joined","room_id":"den","user_id":"ann","epoch":"000000000000beef","seq":7,"#,
                    r#""recovered":false,"members":2,"read":3,"unread":4}"#,
                ),
            Left { room_id: "d\"en", reason: None } => r#"{"type":"left","room_id":"d\"en"}"#,
            Left { room_id: "den", reason: Some(EndReason::Kicked) } => r#"{"type":"left","room_id":"den","reason":"kicked"}"#,
            UserJoined { room_id: "den", user_id: "a\\b" } =>
                r#"{"type":"user_joined","room_id":"den","user_id":"a\\b"}"#,
            UserLeft { room_id: "den", user_id: "ann" } => r#"{"type":"user_left","room_id":"den","user_id":"ann"}"#,
            OnlineUsers { room_id: "den", users: &["ann", "b\"ob"], count: 3 } =>
                r#"{"type":"online_users","room_id":"den","users":["ann","b\"ob"],"count":3}"#,
            OnlineUsers { room_id: "den", users: &[], count: 0 } =>
                r#"{"type":"online_users","room_id":"den","users":[],"count":0}"#,
            Broadcast { room_id: "den", item: item_of(&message) } =>
                concat!(
                    r#"{"type":"broadcast","room_id":"den","sender":"ann","content":"she said \"yes\"\n","seq":7,"#,
                    r#""ts":1790000000123}"#,
                ),
            Broadcast { room_id: "*", item: Item::announced("ann", TEXT, 1_790_000_000_123) } =>
                concat!(
                    r#"{"type":"broadcast","room_id":"*","sender":"ann","content":"she said \"yes\"\n","#,
                    r#""ts":1790000000123}"#,
                ),
            Broadcast { room_id: "den", item: item_of(&folded) } =>
                concat!(
                    r#"{"type":"broadcast","room_id":"den","sender":"ann","content":"","seq":7,"ts":1790000000123,"#,
                    r#""reply_to":5,"mentions":"room","edited":6,"reactions":[{"emoji":"\"","count":2,"users":["bob"],"me":true}]}"#,
                ),
            Broadcast { room_id: "den", item: item_of(&deleted) } =>
                r#"{"type":"broadcast","room_id":"den","sender":"ann","seq":7,"ts":1790000000123,"deleted":true}"#,
            Direct(Item { user_id: Some("bob"), ..item_of(&message) }) =>
                concat!(
                    r#"{"type":"direct","sender":"ann","user_id":"bob","content":"she said \"yes\"\n","seq":7,"#,
                    r#""ts":1790000000123}"#,
                ),
            edited(Place::room("den"), Some(TEXT), None) =>
                concat!(
                    r#"{"type":"edited","room_id":"den","of":1,"sender":"ann","content":"she said \"yes\"\n","#,
                    r#""seq":2,"ts":3}"#,
                ),
            edited(Place::room("den"), Some("@room"), Some(Mentions::Room)) =>
                concat!(
                    r#"{"type":"edited","room_id":"den","of":1,"sender":"ann","content":"@room","seq":2,"ts":3,"#,
                    r#""mentions":"room"}"#,
                ),
            edited(Place::user("bob"), None, None) =>
                r#"{"type":"edited","user_id":"bob","of":1,"sender":"ann","deleted":true,"seq":2,"ts":3}"#,
            Deleted { place: Place::room("den"), of: 1, sender: "ann", seq: 2, ts: 3 } =>
                r#"{"type":"deleted","room_id":"den","of":1,"sender":"ann","seq":2,"ts":3}"#,
            Reacted { place: Place::user("bob"), of: 1, sender: "ann", emoji: "\"", on: false, seq: 2, ts: 3 } =>
                r#"{"type":"reaction","user_id":"bob","of":1,"sender":"ann","emoji":"\"","on":false,"seq":2,"ts":3}"#,
            Read { place: Place::room("den"), seq: 3 } => r#"{"type":"read","room_id":"den","seq":3}"#,
            Read { place: Place::user("bob"), seq: 3 } => r#"{"type":"read","user_id":"bob","seq":3}"#,
            Conversations { conversations: &[], next: None } => r#"{"type":"conversations","conversations":[]}"#,
            Conversations {
                conversations: &[(&backend::Talk { with: "bob", seq: 1, ts: 2, reading: marks }).into()],
                next: Some("n"),
            } =>
                concat!(
                    r#"{"type":"conversations","conversations":[{"user_id":"bob","seq":1,"ts":2,"read":3,"#,
                    r#""unread":4}],"next":"n"}"#,
                ),
            Found { items: &[], next: None } => r#"{"type":"found","items":[]}"#,
            Found {
                items: &[
                    Hit { place: Place::room("den"), seq: 1, sender: "ann", content: TEXT, ts: 2 },
                    Hit { place: Place::user("bob"), seq: 1, sender: "bob", content: "", ts: 2 },
                ],
                next: Some("n"),
            } =>
                concat!(
                    r#"{"type":"found","items":[{"room_id":"den","seq":1,"sender":"ann","#,
                    r#""content":"she said \"yes\"\n","ts":2},{"user_id":"bob","seq":1,"sender":"bob","content":"","#,
                    r#""ts":2}],"next":"n"}"#,
                ),
            Gap { room_id: "den", epoch, hole: Hole { from: 1, to: 3, why: Missing::Expired } } =>
                r#"{"type":"gap","room_id":"den","epoch":"000000000000beef","from":1,"to":3,"why":"expired"}"#,
            History {
                room_id: Some("den"),
                user_id: None,
                epoch,
                items: &[item_of(&message), item_of(&empty)],
                next: None,
                gap: None,
            } =>
                concat!(
                    r#"{"type":"history","room_id":"den","epoch":"000000000000beef","items":[{"sender":"ann","#,
                    r#""content":"she said \"yes\"\n","seq":7,"ts":1790000000123},{"sender":"ann","content":"","#,
                    r#""seq":7,"ts":1790000000123}]}"#,
                ),
            History {
                room_id: None,
                user_id: Some("bob"),
                epoch,
                items: &[],
                next: Some(2),
                gap: Some(Hole { from: 1, to: 3, why: Missing::Expired }),
            } =>
                concat!(
                    r#"{"type":"history","user_id":"bob","epoch":"000000000000beef","items":[],"next":2,"#,
                    r#""gap":{"from":1,"to":3,"why":"expired"}}"#,
                ),
            Ack::Done {} => r#"{"type":"ack"}"#,
            Ack::JoinedList { joined: 2, refused: 1 } => r#"{"type":"ack","joined":2,"refused":1}"#,
            Ack::Said { room_id: Some("den"), user_id: None, seq: Some(7), ts: 1, dup: false } =>
                r#"{"type":"ack","room_id":"den","seq":7,"ts":1}"#,
            Ack::Said { room_id: None, user_id: Some("bob"), seq: Some(7), ts: 1, dup: true } =>
                r#"{"type":"ack","user_id":"bob","seq":7,"ts":1,"dup":true}"#,
            Ack::Said { room_id: None, user_id: None, seq: None, ts: 1, dup: true } =>
                r#"{"type":"ack","ts":1,"dup":true}"#,
            Ack::Multicast {
                delivered: &[name("ann"), name("b\"ob")],
                stored: &[],
                unknown: &[],
                missed: &[],
                failed: &[],
            } =>
                r#"{"type":"ack","delivered":["ann","b\"ob"],"stored":[],"unknown":[]}"#,
            Ack::Multicast {
                delivered: &[],
                stored: &[name("ann")],
                unknown: &[name("bob")],
                missed: &[name("cy")],
                failed: &[name("di")],
            } =>
                r#"{"type":"ack","delivered":[],"stored":["ann"],"unknown":["bob"],"missed":["cy"],"failed":["di"]}"#,
            Ack::Authorized { expires_at: 9 } => r#"{"type":"ack","expires_at":9}"#,
            Ack::Closed { closed: 2 } => r#"{"type":"ack","closed":2}"#,
            Ack::Left { left: 2 } => r#"{"type":"ack","left":2}"#,
            Ack::Unbanned { banned: true } => r#"{"type":"ack","banned":true}"#,
            Pong { ts: 5 } => r#"{"type":"pong","ts":5}"#,
            Typing { room_id: Some("den"), user_id: "ann", typing: true } =>
                r#"{"type":"typing","room_id":"den","user_id":"ann","typing":true}"#,
            Typing { room_id: None, user_id: "ann", typing: false } =>
                r#"{"type":"typing","user_id":"ann","typing":false}"#,
            Presence { user_id: "ann", status: Status::Offline, note: None } =>
                r#"{"type":"presence","user_id":"ann","status":"offline"}"#,
            Presence { user_id: "ann", status: Status::Busy, note: Some("n") } =>
                r#"{"type":"presence","user_id":"ann","status":"busy","note":"n"}"#,
            PresenceState { room_id: None, users: &[] } => r#"{"type":"presence_state","users":{}}"#,
            PresenceState {
                room_id: Some("den"),
                users: &[("\":0},\"type\":\"direct", seen(1, None)), ("bob", seen(0, Some("n")))],
            } =>
                concat!(
                    r#"{"type":"presence_state","room_id":"den","#,
                    r#""users":{"\":0},\"type\":\"direct":{"status":"away","devices":1},"bob":{"status":"away","#,
                    r#""devices":0,"note":"n"}}}"#,
                ),
            Room {
                room_id: "den",
                name: "Den",
                topic: None,
                created_at: 1,
                members: 2,
                messages: 3,
                seq: 4,
                epoch,
                created: None,
            } =>
                concat!(
                    r#"{"type":"room","room_id":"den","name":"Den","created_at":1,"members":2,"messages":3,"#,
                    r#""seq":4,"epoch":"000000000000beef"}"#,
                ),
            Room {
                room_id: "den",
                name: "Den",
                topic: Some("t"),
                created_at: 1,
                members: 2,
                messages: 3,
                seq: 4,
                epoch,
                created: Some(false),
            } =>
                concat!(
                    r#"{"type":"room","room_id":"den","name":"Den","topic":"t","created_at":1,"members":2,"#,
                    r#""messages":3,"seq":4,"epoch":"000000000000beef","created":false}"#,
                ),
            Topic { room_id: "den", name: "den", topic: "", sender: None } =>
                r#"{"type":"topic","room_id":"den","name":"den","topic":""}"#,
            Topic { room_id: "den", name: "Den", topic: "t\"", sender: Some("ann") } =>
                r#"{"type":"topic","room_id":"den","name":"Den","topic":"t\"","sender":"ann"}"#,
            Rooms { rooms: &[], next: None } => r#"{"type":"rooms","rooms":[]}"#,
            Rooms {
                rooms: &[ListedRoom { room_id: "den", name: "Den", members: 2, joined: true, reading: None }],
                next: Some("den"),
            } =>
                r#"{"type":"rooms","rooms":[{"room_id":"den","name":"Den","members":2,"joined":true}],"next":"den"}"#,
            Rooms {
                rooms: &[ListedRoom { room_id: "den", name: "Den", members: 2, joined: true, reading }],
                next: None,
            } =>
                concat!(
                    r#"{"type":"rooms","rooms":[{"room_id":"den","name":"Den","members":2,"joined":true,"read":3,"#,
                    r#""unread":4}]}"#,
                ),
            Members {
                room_id: "den",
                members: &[Member::new("ann", seen(2, Some("n")))],
                count: 3,
                next: Some("17"),
            } =>
                concat!(
                    r#"{"type":"members","room_id":"den","members":[{"user_id":"ann","status":"away","devices":2,"#,
                    r#""note":"n"}],"count":3,"next":"17"}"#,
                ),
            Online { users: &["ann"], count: 1, next: None } => r#"{"type":"online","users":["ann"],"count":1}"#,
            Online { users: &["ann", "bob"], count: 9, next: Some("bob") } =>
                r#"{"type":"online","users":["ann","bob"],"count":9,"next":"bob"}"#,
            Error::from(&refusal(Code::BadRequest, None, None, None)) =>
                r#"{"type":"error","code":"bad_request","message":"expected \"a\"","retry":false}"#,
            Error::from(
                &refusal(Code::RateLimited, Some("den"), Some(MICROS_1001), Some(Duration::from_secs(3))),
            ) =>
                concat!(
                    r#"{"type":"error","room_id":"den","code":"rate_limited","message":"expected \"a\"","#,
                    r#""retry":true,"retry_after_ms":2,"close_after_ms":3000}"#,
                ),
            Goodbye { reason: EndReason::Shutdown, reconnect: true, after_ms: 5, until: None } =>
                r#"{"type":"goodbye","reason":"shutdown","reconnect":true,"after_ms":5}"#,
            Goodbye { reason: EndReason::Banned, reconnect: false, after_ms: 0, until: Some(7) } =>
                r#"{"type":"goodbye","reason":"banned","reconnect":false,"after_ms":0,"until":7}"#,
            Ban { ban: ListedBan { user_id: "ann", until: None, note: None }, closed: 1 } =>
                r#"{"type":"ban","user_id":"ann","closed":1}"#,
            Ban { ban: ListedBan { user_id: "ann", until: Some(3), note: Some("n") }, closed: 0 } =>
                r#"{"type":"ban","user_id":"ann","until":3,"note":"n","closed":0}"#,
            Bans { bans: &[], count: 0, next: None } => r#"{"type":"bans","bans":[],"count":0}"#,
            Bans { bans: &[ListedBan { user_id: "ann", until: Some(3), note: None }], count: 2, next: Some("ann") } =>
                r#"{"type":"bans","bans":[{"user_id":"ann","until":3}],"count":2,"next":"ann"}"#,
            RoomSettings {
                room_id: "den",
                settings: &[
                    RoomSetting {
                        key: "join", value: Setting::One("role".into()), from: "call", rule: None, patterns: Vec::new(), line: None,
                    },
                    RoomSetting {
                        key: "speak", value: Setting::Many(vec!["ann"]), from: "rule", rule: Some(2), patterns: vec!["d*"],
                        line: Some(7),
                    },
                ],
            } => concat!(
                r#"{"type":"room_settings","room_id":"den","settings":[{"key":"join","value":"role","from":"call"},"#,
                r#"{"key":"speak","value":["ann"],"from":"rule","rule":2,"match":["d*"],"line":7}]}"#,
            ),
            Trail { steps: &[], next: None } => r#"{"type":"trail","steps":[]}"#,
            Trail {
                steps: &[
                    ListedStep { ts: 3, operator: "mod", call: "kick", room_id: Some("den"), user_id: Some("ann"), status: 200 },
                    ListedStep { ts: 2, operator: "-", call: "reload", room_id: None, user_id: None, status: 409 },
                ],
                next: Some("7"),
            } => concat!(
                r#"{"type":"trail","steps":[{"ts":3,"operator":"mod","call":"kick","room_id":"den","user_id":"ann","#,
                r#""status":200},{"ts":2,"operator":"-","call":"reload","status":409}],"next":"7"}"#,
            ),
        }
        let forgotten: Vec<_> = Kind::ALL.iter().filter(|kind| !said.contains(kind)).collect();
        assert!(forgotten.is_empty(), "without a row: {forgotten:?}");
    }

    #[test]
    fn the_id_is_second() {
        for (id, written) in [
            (Id::Text("a\"b".into()), r#""a\"b""#),
            (Id::Unsigned(u64::MAX), "18446744073709551615"),
            (Id::Negative(i64::MIN), "-9223372036854775808"),
        ] {
            let expected = format!("{{\"type\":\"pong\",\"id\":{written},\"ts\":1}}");
            assert_eq!(text(Some(&id), &Pong { ts: 1 }), expected);
            assert_eq!(text(Some(&id), &Ack::Done {}), format!("{{\"type\":\"ack\",\"id\":{written}}}"));
        }
    }
}
