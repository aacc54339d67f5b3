//! Reads the JSON dialect: one text, one request.
//!
//! Every known field is read with any type and checked afterwards, so that the answer can name the wrong field and
//! carry the `id` all the same. Unknown fields are skipped unread, however deep or many. It does not decide whether
//! names exist or are allowed.
//!
//! A struct that derives `Deserialize` would refuse doubles by itself, and was tried. It reads `["ping"]`, an array, as
//! the fields in their order; it decodes the keys of unknown fields, and so refuses half a character in one; its
//! words for a double are those of serde's version. And it hands 27 fields up from call to call: reading a broadcast of
//! 32 bytes took 370 to 500 ns instead of 270 to 310 in the same run.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::super::name::normal;
use super::value::{Depth, MAX_LISTED, Value, read_object};
use super::{Code, Id, MAX_ID_BYTES, Refusal};
use crate::backend::NewBody;

pub(super) type Text<'a> = Cow<'a, str>;

/// A request of a client.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    Join { wish: Wish<'a>, user: Option<Text<'a>> },
    JoinList { wishes: Vec<Wish<'a>>, user: Option<Text<'a>> },
    Leave { room: Text<'a> },
    Broadcast { room: Option<Text<'a>>, words: Words<'a> },
    Direct { to: Text<'a>, words: Words<'a> },
    Multicast { to: Vec<Text<'a>>, content: Text<'a> },
    Change { place: Place<'a>, of: u64, change: Change<'a> },
    Typing { place: Place<'a>, typing: bool },
    Status { status: Text<'a>, note: Option<Text<'a>> },
    PresenceOfRoom { room: Text<'a>, subscribe: Option<bool> },
    PresenceOfUsers { users: Vec<Text<'a>>, subscribe: Option<bool> },
    CreateRoom { room: Text<'a>, name: Option<Text<'a>>, topic: Option<Text<'a>> },
    Topic { room: Text<'a>, name: Option<Text<'a>>, topic: Option<Text<'a>> },
    Room { room: Text<'a> },
    Rooms { page: Page<'a>, read: bool },
    Members { room: Text<'a>, page: Page<'a> },
    Online(Page<'a>),
    History { place: Place<'a>, part: Part<'a> },
    Read { place: Place<'a>, seq: u64 },
    Conversations(Page<'a>),
    Search(Sought<'a>),
    Ping,
    Auth { token: Token<'a> },
}

macro_rules! kinds {
    ($($kind:ident $($word:literal)|+,)*) => {
        /// The types of requests in the JSON dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $(#[doc = concat!($("`", $word, "` "),+)] $kind),* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The words for it on the wire, of which each is as good as the others.
            pub fn words(self) -> &'static [&'static str] {
                match self { $(Self::$kind => &[$($word),+]),* }
            }

            fn named(word: &str) -> Option<Self> {
                match word { $($($word)|+ => Some(Self::$kind),)* _ => None }
            }
        }
    };
}

kinds! {
    Join "join" | "join_room",
    Leave "leave" | "leave_room",
    Broadcast "broadcast" | "chat" | "message",
    Direct "direct" | "unicast",
    Multicast "multicast",
    Edit "edit",
    Delete "delete",
    React "react",
    Typing "typing",
    Status "status" | "status_update",
    Presence "presence",
    CreateRoom "create_room",
    Topic "topic",
    Room "room",
    Rooms "rooms",
    Members "members",
    Online "online",
    History "history",
    Read "read",
    Conversations "conversations",
    Search "search",
    Ping "ping",
    Auth "auth",
}

/// A secret, which must not be shown, not even to us.
pub(crate) struct Token<'a>(Text<'a>);

impl std::ops::Deref for Token<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What is said, and the message that it answers.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    pub content: Text<'a>,
    pub reply_to: Option<u64>,
}

impl<'a> From<&'a Words<'_>> for NewBody<'a> {
    fn from(words: &'a Words<'_>) -> Self {
        Self::Message { content: &words.content, reply_to: words.reply_to, calls_room: false }
    }
}

/// What is done to a message.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    Edit { content: Text<'a> },
    Delete,
    React { emoji: Text<'a>, on: bool },
}

/// Which messages are looked for.
#[derive(Debug)]
pub(crate) struct Sought<'a> {
    pub text: Text<'a>,
    /// Where; `None`: in all that one may read.
    pub place: Option<Place<'a>>,
    pub sender: Option<Text<'a>>,
    pub before: Option<u64>,
    pub page: Page<'a>,
}

/// The place of a message.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    Room(Text<'a>),
    User(Text<'a>),
}

/// A room to join, and how much of its past the client wants.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub room: Text<'a>,
    pub since: Option<Since<'a>>,
    pub history: u64,
}

/// The last message that a returning client has.
#[derive(Debug)]
pub(crate) struct Since<'a> {
    pub epoch: Text<'a>,
    pub seq: u64,
}

/// Which part of a list.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub cursor: Option<Text<'a>>,
    pub limit: usize,
}

impl Page<'_> {
    /// The cursor, if it may be one: all that are given out are short.
    pub fn short_cursor(&self) -> Result<Option<&str>, Refusal> {
        match self.cursor.as_deref() {
            Some(cursor) if cursor.len() > MAX_CURSOR_BYTES => {
                Err(Refusal::new(Code::BadRequest, "`cursor`: expected the last `next`, found a longer text"))
            }
            cursor => Ok(cursor),
        }
    }

    /// The items on the page, of all that follow its cursor, and whether there are more.
    pub fn fill<T>(&self, items: impl Iterator<Item = T>) -> (Vec<T>, bool) {
        let mut page: Vec<T> = items.take(self.limit + 1).collect();
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        (page, more)
    }
}

/// Which part of the history.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub bound: Bound,
    pub limit: usize,
    /// The life of the conversation that the client knows.
    pub epoch: Option<Text<'a>>,
}

/// Where the page begins, and its direction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    Newest,
    Before(u64),
    After(u64),
}

/// Entries of a list unless the request says otherwise.
pub(crate) const PAGE: usize = 50;

/// Entries of a list at most.
pub(crate) const MAX_PAGE: usize = 200;

/// The same of messages that are looked for: each costs more to find than to list.
const FOUND_PAGE: usize = 20;
const MAX_FOUND_PAGE: usize = 50;

/// The longest cursor, in bytes: a name that is sealed has so many at most.
const MAX_CURSOR_BYTES: usize = 512;

/// The result of reading: the `id`, and a request or why it is none.
pub(crate) type Read<'a> = (Option<Id<'a>>, Result<Request<'a>, Refusal>);

/// Reads a request, and its `id` even if the rest is wrong.
pub(crate) fn parse(text: &str) -> Read<'_> {
    read(text, Field::is_of_sessions, Fields::request)
}

/// Reads an object and its `id`, and of its known fields what `make` makes of them.
pub(super) fn read<'a, T>(
    text: &'a str,
    known: fn(Field) -> bool,
    make: impl FnOnce(&mut Fields<'a>) -> Result<T, Refusal>,
) -> (Option<Id<'a>>, Result<T, Refusal>) {
    let mut fields = Fields::default();
    match read_fields(text, known, &mut fields) {
        Ok(()) => match fields.id() {
            Ok(id) => (id, fields.has_one_word_each().and_then(|()| make(&mut fields))),
            Err(refusal) => (None, Err(refusal)),
        },
        Err(error) => match serde_json::from_str::<IgnoredAny>(text) {
            Err(error) => (None, Err(Refusal::new(Code::BadJson, not_json(&error)))),
            Ok(_) => (parse_id(text), Err(Refusal::new(Code::BadRequest, not_read(text, &error)))),
        },
    }
}

/// The error of a text that is not JSON. The words are ours, so that they are the same with every version of serde.
fn not_json(error: &serde_json::Error) -> String {
    let found = if error.is_eof() { "an end too early" } else { "what is not JSON" };
    format!("expected one JSON object, found {found} at line {} column {}", error.line(), error.column())
}

/// The error of a text that is JSON, but no request.
fn not_read(text: &str, error: &serde_json::Error) -> String {
    if !text.trim_start().starts_with('{') {
        return "expected one JSON object, found another value".into();
    }
    let place = format!("at line {} column {}", error.line(), error.column());
    match error.classify() {
        // Our own words, and where.
        Category::Data => format!("a message that cannot be read: {error}"),
        // JSON allows both; there is no text with half a character in it.
        _ if error.to_string().starts_with("number") => {
            format!("expected numbers within reason, found another {place}")
        }
        _ => format!("expected whole characters, found half of one (a lone surrogate) {place}"),
    }
}

/// Reads nothing but the `id`, if there is a good one.
pub(crate) fn parse_id(text: &str) -> Option<Id<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut fields = Fields::default();
    let known = |field| matches!(field, Field::Id);
    FieldsVisitor { fields: &mut fields, known }.deserialize(&mut deserializer).ok()?;
    fields.id().ok().flatten()
}

/// Reads only the beginning of the text: a frame that is refused unread must cost little.
pub(crate) fn parse_id_within(text: &str) -> Option<Id<'_>> {
    if text.len() <= ID_WITHIN {
        return parse_id(text);
    }
    // Cut behind a comma: everything before it is whole, unless the comma is inside a string, which then does not end.
    let end = text.as_bytes()[..ID_WITHIN].iter().rposition(|&byte| byte == b',')?;
    let mut fields = Fields::default();
    let known = |field| matches!(field, Field::Id);
    let mut deserializer = serde_json::Deserializer::from_str(&text[..=end]);
    let cut_off = FieldsVisitor { fields: &mut fields, known }.deserialize(&mut deserializer).err()?;
    if cut_off.is_eof() { fields.id().ok().flatten() } else { None }
}

/// Where an `id` must end to be repeated in the refusal of a frame that came too fast, in bytes.
const ID_WITHIN: usize = 4 << 10;

fn read_fields<'a>(text: &'a str, known: fn(Field) -> bool, fields: &mut Fields<'a>) -> serde_json::Result<()> {
    // Keys are read as bytes, which lets control characters pass that JSON wants escaped (RFC 8259 section 7).
    // Without an early end inside a chunk, so that the compiler can look at many bytes at once.
    let has_control = |chunk: &[u8]| chunk.iter().fold(false, |found, &byte| found | (byte < 0x20));
    if text.as_bytes().chunks(64).any(has_control) {
        serde_json::from_str::<IgnoredAny>(text)?;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    FieldsVisitor { fields, known }.deserialize(&mut deserializer)?;
    deserializer.end()
}

macro_rules! fields {
    ($($variant:ident $name:literal,)*) => {
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Field { $($variant),* }

        impl Field {
            const ALL: &[Self] = &[$(Self::$variant),*];

            fn named(name: &[u8]) -> Option<Self> {
                $(if name == $name.as_bytes() { return Some(Self::$variant); })*
                None
            }

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

fields! {
    Type "type", Id "id", Room "room_id", User "user_id", To "to", Content "content", Users "user_ids",
    UsersToo "users", Typing "typing", Status "status", Note "note", Subscribe "subscribe", Name "name",
    Rooms "rooms", Topic "topic", Cursor "cursor", Limit "limit", Before "before", After "after", Since "since",
    History "history", Epoch "epoch", Token "token",
    ReplyTo "reply_to", Of "of", Emoji "emoji", On "on", Seq "seq", Text "text", Read "read",
    Sender "sender", Session "session_id", Code "code", Seconds "seconds",
}

impl Field {
    /// Whether a name stands there. Names are read in their normal form, so that they are found in whatever form they
    /// are written.
    fn is_name(self) -> bool {
        matches!(self, Self::Room | Self::User | Self::To | Self::Sender)
    }

    /// Whether the field has a meaning in requests of sessions; others have one only in calls.
    fn is_of_sessions(self) -> bool {
        !matches!(self, Self::Session | Self::Code | Self::Seconds)
    }
}

/// The known fields of one message.
#[derive(Debug)]
pub(super) struct Fields<'a>([Value<'a>; Field::ALL.len()]);

impl Default for Fields<'_> {
    fn default() -> Self {
        Self([const { Value::Absent }; Field::ALL.len()])
    }
}

impl<'a> Fields<'a> {
    /// Both names of a field at once count as a field that stands twice, also with one value, and where it means
    /// nothing.
    fn has_one_word_each(&self) -> Result<(), Refusal> {
        let stands = |field: Field| !matches!(self.0[field as usize], Value::Absent | Value::Null);
        for (word, other) in [(Field::User, Field::To), (Field::Users, Field::UsersToo)] {
            if stands(word) && stands(other) {
                let message = format!("expected `{}` or `{}`, found both", word.name(), other.name());
                return Err(Refusal::new(Code::BadRequest, message));
            }
        }
        Ok(())
    }

    fn take(&mut self, field: Field) -> Value<'a> {
        match std::mem::take(&mut self.0[field as usize]) {
            // Many clients write `null` for a missing value.
            Value::Null => Value::Absent,
            value => value,
        }
    }

    pub fn maybe_text(&mut self, field: Field) -> Result<Option<Text<'a>>, Refusal> {
        match self.take(field) {
            Value::Absent => Ok(None),
            Value::Text(text) if field.is_name() => Ok(Some(normal(text))),
            Value::Text(text) => Ok(Some(text)),
            other => Err(wrong(field, "a string", &other)),
        }
    }

    pub fn text(&mut self, field: Field) -> Result<Text<'a>, Refusal> {
        self.maybe_text(field)?.ok_or_else(|| wrong(field, "a string", &Value::Absent))
    }

    pub fn maybe_number(&mut self, field: Field) -> Result<Option<u64>, Refusal> {
        match self.take(field) {
            Value::Absent => Ok(None),
            Value::Unsigned(number) => Ok(Some(number)),
            other => Err(wrong(field, "an integer from 0", &other)),
        }
    }

    fn number(&mut self, field: Field) -> Result<u64, Refusal> {
        self.maybe_number(field)?.ok_or_else(|| wrong(field, "an integer from 0", &Value::Absent))
    }

    fn maybe_flag(&mut self, field: Field) -> Result<Option<bool>, Refusal> {
        match self.take(field) {
            Value::Absent => Ok(None),
            Value::Flag(flag) => Ok(Some(flag)),
            other => Err(wrong(field, "true or false", &other)),
        }
    }

    fn maybe_texts(&mut self, field: Field) -> Result<Option<Vec<Text<'a>>>, Refusal> {
        let list = match self.take(field) {
            Value::Absent => return Ok(None),
            Value::List(list) => list,
            Value::LongList => {
                let message = format!("`{}`: expected at most {MAX_LISTED} names, found more", field.name());
                return Err(Refusal::new(Code::TooLarge, message));
            }
            other => return Err(wrong(field, "an array of strings", &other)),
        };
        let texts = list.into_iter().map(|value| match value {
            Value::Text(text) => Ok(normal(text)),
            other => Err(wrong(field, "an array of strings", &other)),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    fn id(&mut self) -> Result<Option<Id<'a>>, Refusal> {
        match self.take(Field::Id) {
            Value::Absent => Ok(None),
            Value::Unsigned(number) => Ok(Some(Id::Unsigned(number))),
            Value::Negative(number) => Ok(Some(Id::Negative(number))),
            Value::Text(text) if text.len() <= MAX_ID_BYTES => Ok(Some(Id::Text(text))),
            Value::Text(text) => {
                let message =
                    format!("`id`: expected a string of at most {MAX_ID_BYTES} bytes, found {} bytes", text.len());
                Err(Refusal::new(Code::BadRequest, message))
            }
            other => Err(wrong(Field::Id, "a string or an integer", &other)),
        }
    }

    fn place(&mut self) -> Result<Place<'a>, Refusal> {
        let neither = || Refusal::new(Code::BadRequest, "expected `room_id` or `user_id`, found neither");
        self.maybe_place()?.ok_or_else(neither)
    }

    fn maybe_place(&mut self) -> Result<Option<Place<'a>>, Refusal> {
        match (self.maybe_text(Field::Room)?, self.recipient()?) {
            (Some(room), None) => Ok(Some(Place::Room(room))),
            (None, Some(user)) => Ok(Some(Place::User(user))),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Refusal::new(Code::BadRequest, "expected `room_id` or `user_id`, found both")),
        }
    }

    fn recipient(&mut self) -> Result<Option<Text<'a>>, Refusal> {
        Ok(self.maybe_text(Field::User)?.or(self.maybe_text(Field::To)?))
    }

    /// What is said in one place.
    pub fn words(&mut self) -> Result<Words<'a>, Refusal> {
        Ok(Words { content: self.text(Field::Content)?, reply_to: self.maybe_number(Field::ReplyTo)? })
    }

    /// What is said in several places, or in none that keeps it: it answers no message.
    pub fn words_for_several(&mut self) -> Result<Text<'a>, Refusal> {
        let Words { content, reply_to } = self.words()?;
        match reply_to {
            None => Ok(content),
            Some(_) => {
                let message = "`reply_to`: expected none, because a message is answered in one place, found one";
                Err(Refusal::new(Code::BadRequest, message))
            }
        }
    }

    fn change(&mut self, make: impl FnOnce(&mut Self) -> Result<Change<'a>, Refusal>) -> Result<Request<'a>, Refusal> {
        let (place, of) = (self.place()?, self.number(Field::Of)?);
        Ok(Request::Change { place, of, change: make(self)? })
    }

    /// An announcement of an operator is not for one room or user.
    pub fn for_everybody(&mut self) -> Result<(), Refusal> {
        match self.maybe_text(Field::Room)?.as_deref() {
            None | Some("*") => self.for_nobody_alone("everybody"),
            Some(_) => {
                let message =
                    "`room_id`: expected none or \"*\", because this is for everybody; `publish` is for a room";
                Err(Refusal::new(Code::BadRequest, message))
            }
        }
    }

    /// What an operator says to many is not for some users or one session, whatever names them.
    pub fn for_nobody_alone(&mut self, whom: &str) -> Result<(), Refusal> {
        for field in [Field::User, Field::To, Field::Users, Field::UsersToo, Field::Session] {
            if !matches!(self.take(field), Value::Absent) {
                let message = format!(
                    "`{}`: expected none, because this is for {whom}; `direct` is for a user, `multicast` for some",
                    field.name()
                );
                return Err(Refusal::new(Code::BadRequest, message));
            }
        }
        Ok(())
    }

    fn names(&mut self) -> Result<Option<Vec<Text<'a>>>, Refusal> {
        Ok(self.maybe_texts(Field::Users)?.or(self.maybe_texts(Field::UsersToo)?))
    }

    fn limit(&mut self, usual: usize, most: usize) -> Result<usize, Refusal> {
        match self.take(Field::Limit) {
            Value::Absent => Ok(usual),
            Value::Unsigned(limit) if limit > 0 => Ok(usize::try_from(limit).unwrap_or(usize::MAX).min(most)),
            Value::Unsigned(_) => Err(Refusal::new(Code::BadRequest, "`limit`: expected an integer from 1, found 0")),
            other => Err(wrong(Field::Limit, "an integer from 1", &other)),
        }
    }

    pub fn page(&mut self) -> Result<Page<'a>, Refusal> {
        self.page_of(PAGE, MAX_PAGE)
    }

    fn page_of(&mut self, usual: usize, most: usize) -> Result<Page<'a>, Refusal> {
        Ok(Page { cursor: self.maybe_text(Field::Cursor)?, limit: self.limit(usual, most)? })
    }

    /// The rooms of a `join`: one, or a list of them.
    fn join(&mut self) -> Result<Request<'a>, Refusal> {
        let user = self.maybe_text(Field::User)?;
        let list = match self.take(Field::Rooms) {
            Value::Absent => {
                let wish = wish("", [self.take(Field::Room), self.take(Field::Since), self.take(Field::History)])?;
                return Ok(Request::Join { wish, user });
            }
            Value::List(list) => list,
            Value::LongList => {
                let message = format!("`rooms`: expected at most {MAX_LISTED} rooms, found more");
                return Err(Refusal::new(Code::TooLarge, message));
            }
            other => return Err(wrong(Field::Rooms, "an array of objects", &other)),
        };
        if !matches!(self.take(Field::Room), Value::Absent) {
            return Err(Refusal::new(Code::BadRequest, "expected `room_id` or `rooms`, found both"));
        }
        let wishes = list.into_iter().map(|value| match value {
            Value::Listed(fields) => wish("rooms[].", *fields),
            other => Err(wrong(Field::Rooms, "an array of objects", &other)),
        });
        Ok(Request::JoinList { wishes: wishes.collect::<Result<_, _>>()?, user })
    }

    fn request(&mut self) -> Result<Request<'a>, Refusal> {
        let word = self.text(Field::Type)?;
        let kind = Kind::named(&word).ok_or_else(|| {
            let shown = &word[..word.floor_char_boundary(MAX_SHOWN_TYPE)];
            Refusal::new(Code::UnknownType, format!("expected a type of docs/wire.md, found {shown:?}"))
        })?;
        self.request_of(kind)
    }

    /// A request of that type, whatever the object says its type is.
    pub fn request_of(&mut self, kind: Kind) -> Result<Request<'a>, Refusal> {
        Ok(match kind {
            Kind::Join => self.join()?,
            Kind::Leave => Request::Leave { room: self.text(Field::Room)? },
            Kind::Broadcast => {
                let room = self.maybe_text(Field::Room)?;
                let to = if room.is_none() { self.recipient()? } else { None };
                match to {
                    Some(to) => Request::Direct { to, words: self.words()? },
                    None if room.as_deref() == Some("*") => {
                        let words = Words { content: self.words_for_several()?, reply_to: None };
                        Request::Broadcast { room, words }
                    }
                    None => Request::Broadcast { room, words: self.words()? },
                }
            }
            Kind::Direct => {
                let to = self.recipient()?.ok_or_else(|| wrong(Field::User, "a string", &Value::Absent))?;
                Request::Direct { to, words: self.words()? }
            }
            Kind::Multicast => {
                let to = self.names()?.ok_or_else(|| wrong(Field::Users, "an array of strings", &Value::Absent))?;
                Request::Multicast { to, content: self.words_for_several()? }
            }
            Kind::Edit => self.change(|fields| Ok(Change::Edit { content: fields.text(Field::Content)? }))?,
            Kind::Delete => self.change(|_| Ok(Change::Delete))?,
            Kind::React => self.change(|fields| {
                let emoji = fields.text(Field::Emoji)?;
                let on = fields.maybe_flag(Field::On)?;
                let on = on.ok_or_else(|| wrong(Field::On, "true or false", &Value::Absent))?;
                Ok(Change::React { emoji, on })
            })?,
            Kind::Typing => {
                let place = self.place()?;
                let typing = self.maybe_flag(Field::Typing)?;
                let typing = typing.ok_or_else(|| wrong(Field::Typing, "true or false", &Value::Absent))?;
                Request::Typing { place, typing }
            }
            Kind::Status => Request::Status { status: self.text(Field::Status)?, note: self.maybe_text(Field::Note)? },
            Kind::Presence => {
                let subscribe = self.maybe_flag(Field::Subscribe)?;
                match (self.maybe_text(Field::Room)?, self.names()?) {
                    (Some(room), None) => Request::PresenceOfRoom { room, subscribe },
                    (None, Some(users)) => Request::PresenceOfUsers { users, subscribe },
                    (room, _) => {
                        let found = if room.is_some() { "both" } else { "neither" };
                        let message = format!("expected `user_ids` or `room_id`, found {found}");
                        return Err(Refusal::new(Code::BadRequest, message));
                    }
                }
            }
            Kind::CreateRoom => Request::CreateRoom {
                room: self.text(Field::Room)?,
                name: self.maybe_text(Field::Name)?,
                topic: self.maybe_text(Field::Topic)?,
            },
            Kind::Topic => {
                let room = self.text(Field::Room)?;
                let (name, topic) = (self.maybe_text(Field::Name)?, self.maybe_text(Field::Topic)?);
                if name.is_none() && topic.is_none() {
                    let message = "expected `name` or `topic`, found neither";
                    return Err(Refusal::new(Code::BadRequest, message));
                }
                Request::Topic { room, name, topic }
            }
            Kind::Room => Request::Room { room: self.text(Field::Room)? },
            // With `read`, what the user has read of rooms that the session is not in is listed too.
            Kind::Rooms => {
                Request::Rooms { page: self.page()?, read: self.maybe_flag(Field::Read)?.unwrap_or_default() }
            }
            Kind::Members => Request::Members { room: self.text(Field::Room)?, page: self.page()? },
            Kind::Online => Request::Online(self.page()?),
            Kind::History => {
                let place = self.place()?;
                let bound = match (self.maybe_number(Field::Before)?, self.maybe_number(Field::After)?) {
                    (None, None) => Bound::Newest,
                    (Some(seq), None) => Bound::Before(seq),
                    (None, Some(seq)) => Bound::After(seq),
                    (Some(_), Some(_)) => {
                        let message = "expected `before` or `after` or neither, found both";
                        return Err(Refusal::new(Code::BadRequest, message));
                    }
                };
                let (limit, epoch) = (self.limit(PAGE, MAX_PAGE)?, self.maybe_text(Field::Epoch)?);
                Request::History { place, part: Part { bound, limit, epoch } }
            }
            Kind::Read => Request::Read { place: self.place()?, seq: self.number(Field::Seq)? },
            Kind::Conversations => Request::Conversations(self.page()?),
            Kind::Search => Request::Search(Sought {
                text: self.text(Field::Text)?,
                place: self.maybe_place()?,
                sender: self.maybe_text(Field::Sender)?,
                before: self.maybe_number(Field::Before)?,
                page: self.page_of(FOUND_PAGE, MAX_FOUND_PAGE)?,
            }),
            Kind::Ping => Request::Ping,
            Kind::Auth => Request::Auth { token: Token(self.text(Field::Token)?) },
        })
    }
}

/// Bytes of an unknown type that the answer repeats.
const MAX_SHOWN_TYPE: usize = 64;

fn wrong(field: Field, expected: &str, found: &Value<'_>) -> Refusal {
    Refusal::new(Code::BadRequest, format!("`{}`: expected {expected}, found {}", field.name(), found.kind()))
}

/// The entry of one room in a `join`; `path` is its place, for the sentence of an error.
fn wish<'a>(path: &str, [room, since, history]: [Value<'a>; 3]) -> Result<Wish<'a>, Refusal> {
    let wrong = |field: &str, expected: &str, found: &Value<'_>| {
        let found = if matches!(found, Value::Null) { "nothing" } else { found.kind() };
        Refusal::new(Code::BadRequest, format!("`{path}{field}`: expected {expected}, found {found}"))
    };
    let room = match room {
        Value::Text(room) => normal(room),
        other => return Err(wrong("room_id", "a string", &other)),
    };
    let since = match since {
        Value::Absent | Value::Null => None,
        Value::Object(Some(fields)) => match *fields {
            [Value::Text(epoch), Value::Unsigned(seq)] => Some(Since { epoch, seq }),
            [Value::Text(_), seq] => return Err(wrong("since.seq", "an integer from 0", &seq)),
            [epoch, _] => return Err(wrong("since.epoch", "a string", &epoch)),
        },
        other => return Err(wrong("since", "an object {epoch, seq}", &other)),
    };
    let history = match history {
        Value::Absent | Value::Null => 0,
        Value::Unsigned(history) => history,
        other => return Err(wrong("history", "an integer from 0", &other)),
    };
    Ok(Wish { room, since, history })
}

/// Fills the known fields where they are: they are too many to be handed up from call to call.
struct FieldsVisitor<'f, 'de> {
    fields: &'f mut Fields<'de>,
    known: fn(Field) -> bool,
}

impl<'de> DeserializeSeed<'de> for FieldsVisitor<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldsVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let wanted = |field: &Field| (self.known)(*field);
        let place = |key: &[u8]| Field::named(key).filter(wanted).map(|field| (field as usize, field.name()));
        read_object(map, &mut self.fields.0, place, Depth::Field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for a text: the id that was read, and the code and sentence if it is refused.
    fn check(text: &str, id: Option<Id<'_>>, refused: Option<(&str, &str)>) {
        let (found_id, found) = parse(text);
        assert_eq!(found_id, id, "{text}");
        let found = found.err();
        let found = found.as_ref().map(|refusal| (refusal.code.as_str(), &*refusal.message));
        assert_eq!(found, refused, "{text}");
    }

    /// Found by fuzzing: keys of unknown fields were let pass with bytes in them that JSON wants escaped.
    #[test]
    fn control_characters_in_keys() {
        let code = |text: &str| parse(text).1.err().map(|refusal| refusal.code.as_str());
        for raw in ["\u{0}", "\u{6}", "\t", "\n"] {
            assert_eq!(code(&format!("{{\"type\":\"ping\",\"a{raw}b\":1}}")), Some("bad_json"), "{raw:?}");
        }
        assert_eq!(code("\n{\t\"type\":\r\"ping\"}\n"), None, "between tokens it is space");
        assert_eq!(code(r#"{"type":"ping","a\u0006b":1}"#), None, "escaped it is a key");
    }

    #[test]
    fn what_is_no_request() {
        let one = || Some(Id::Unsigned(1));
        let bad = |sentence| Some(("bad_request", sentence));
        check(r#"{"type":"ping"}"#, None, None);
        check(r#" {"type":"ping","id":1,"x":[[{}]]} "#, one(), None);
        check(r#"{"type":"ping","id":-1}"#, Some(Id::Negative(-1)), None);
        check(r#"{"type":"ping","id":null}"#, None, None);
        check(r#"{"id":1}"#, one(), bad("`type`: expected a string, found nothing"));
        check(r#"{"id":1,"type":["ping"]}"#, one(), bad("`type`: expected a string, found an array"));
        check(r#"{"id":1,"type":"leave","room_id":5}"#, one(), bad("`room_id`: expected a string, found a number"));
        check(
            r#"{"id":1.5,"type":"ping"}"#,
            None,
            bad("`id`: expected a string or an integer, found a number that is no 64-bit integer"),
        );
        check(
            r#"{"type":"nope","id":1}"#,
            one(),
            Some(("unknown_type", "expected a type of docs/wire.md, found \"nope\"")),
        );
        check(
            r#"{"type":"ping","type":"ping","id":1}"#,
            one(),
            bad("a message that cannot be read: field `type` stands twice at line 1 column 28"),
        );
        check(
            r#"{"type":"broadcast","content":"a\ud83d","id":1}"#,
            one(),
            bad("expected whole characters, found half of one (a lone surrogate) at line 1 column 39"),
        );
        check(
            r#"{"type":"history","room_id":"a","before":1e400,"id":1}"#,
            one(),
            bad("expected numbers within reason, found another at line 1 column 46"),
        );
        check("[1]", None, bad("expected one JSON object, found another value"));
        check(r#"["ping"]"#, None, bad("expected one JSON object, found another value"));
        check("", None, Some(("bad_json", "expected one JSON object, found an end too early at line 1 column 0")));
        check(
            r#"{"type":"ping"} x"#,
            None,
            Some(("bad_json", "expected one JSON object, found what is not JSON at line 1 column 17")),
        );
    }

    /// Nothing that is JSON, and nothing that is not, makes the reader panic or hang.
    #[test]
    fn strange_json() {
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let code = |text: &str| parse(text).1.err().map(|refusal| refusal.code);
        assert_eq!(code(&format!(r#"{{"type":"ping","x":{}}}"#, deep(200))), None);
        assert_eq!(code(&format!(r#"{{"type":{}}}"#, deep(200))), Some(Code::BadRequest));
        assert_eq!(code(&deep(20_000)), Some(Code::BadRequest));
        assert_eq!(code(&"[".repeat(60_000)), Some(Code::BadJson));
        assert_eq!(code(r#"{"type":"ping","x":1e400}"#), None);
        assert_eq!(code(r#"{"type":"history","room_id":"a","before":1e400}"#), Some(Code::BadRequest));
        assert_eq!(code(r#"{"type":"history","room_id":"a","before":18446744073709551616}"#), Some(Code::BadRequest));
        assert_eq!(code(r#"{"type":"history","room_id":"a","before":18446744073709551615}"#), None);
        assert_eq!(code(r#"{"type":"history","room_id":"a","after":-1}"#), Some(Code::BadRequest));
        assert_eq!(code(r#"{"type":"history","room_id":"a","limit":1000000000}"#), None);
        assert_eq!(code(r#"{"type":"broadcast","content":"\ud800"}"#), Some(Code::BadRequest));
        assert_eq!(parse_id(r#"{"type":"broadcast","content":"\ud800","id":7}"#), Some(Id::Unsigned(7)));
        assert_eq!(code(r#"{"type":"ping","\ud800":1}"#), None);
        let many: String = (0..10_000).map(|n| format!(r#""f{n}":{n},"#)).collect();
        assert_eq!(code(&format!(r#"{{{many}"type":"ping"}}"#)), None);
        let list = |n| format!(r#"{{"type":"multicast","content":"","users":[{}"a"]}}"#, r#""a","#.repeat(n));
        assert_eq!(code(&list(999)), None);
        assert_eq!(code(&list(1000)), Some(Code::TooLarge));
        assert_eq!(code(&format!("{} x", list(1000))), Some(Code::BadJson));
        let elsewhere = list(1000).replace("users", "status").replace("multicast", "status");
        assert_eq!(code(&elsewhere), Some(Code::BadRequest), "no list is expected there");
    }

    /// Of a long text only the beginning is read, and no part of an `id` is taken for one.
    #[test]
    fn ids_of_what_is_refused_unread() {
        let text = |before: usize, id: &str, after: usize| {
            let (before, after) = ("x".repeat(before), "y".repeat(after));
            format!(r#"{{"content":"{before}","id":{id},"type":"a,{after}"}}"#)
        };
        // The `id` ends, with its comma, where `{"content":"","id":,` and all in it end.
        let ends = |before: usize, id: &str| r#"{"content":"","id":,"#.len() + before + id.len();
        for id in ["123456", r#""a,b""#] {
            let whole = (id == "123456").then_some(Id::Unsigned(123_456)).or(Some(Id::Text("a,b".into())));
            let last = ID_WITHIN - ends(0, id);
            assert_eq!(parse_id_within(&text(last, id, 5000)), whole, "{id}");
            for beyond in 1..20 {
                assert_eq!(parse_id_within(&text(last + beyond, id, 5000)), None, "{id} {beyond}");
            }
        }
        assert_eq!(parse_id_within(&text(0, "7", 10)), Some(Id::Unsigned(7)));
        assert_eq!(parse_id_within(&text(3000, "7", 0)), Some(Id::Unsigned(7)));
        assert_eq!(parse_id_within(&text(0, "7", 60_000)), Some(Id::Unsigned(7)));
        assert_eq!(parse_id_within(&text(60_000, "7", 0)), None);
        assert_eq!(parse_id_within(&"[".repeat(60_000)), None);
        assert_eq!(parse_id_within(&format!("{{{}", r#""id":1,"#.repeat(1000))), None, "twice is none");
    }

    #[test]
    fn ids_at_the_limit() {
        let text = |n| format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(n));
        assert!(parse(&text(64)).1.is_ok());
        assert_eq!(parse(&text(65)).1.unwrap_err().code, Code::BadRequest);
    }
}
