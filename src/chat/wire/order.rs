//! Reads the calls of an operator: objects of the JSON dialect without `type`, which the path of the call has, and some
//! of their own.

use super::super::rules::Values;
use super::request::{Field, Fields, Kind, Page, Request, Text, Words, read};
use super::{Code, Id, Refusal, set};

words! {
    /// The calls of an operator.
    pub enum Call {
        /// Says something in a room.
        Publish "publish",
        /// Says something to every session.
        Broadcast "broadcast",
        /// Says something to a user.
        Direct "direct",
        /// Says something to some users.
        Multicast "multicast",
        /// Deletes a message.
        Delete "delete",
        /// Makes a room.
        Create "create",
        /// Has a room be about something else.
        Topic "topic",
        /// The facts about a room.
        Room "room",
        /// Lists rooms.
        Rooms "rooms",
        /// Lists the members of a room.
        Members "members",
        /// Lists users.
        Online "online",
        /// The history of a room, or of two users.
        History "history",
        /// Removes a user from a room, or from the server, until they come back.
        Kick "kick",
        /// Closes sessions with a code.
        Disconnect "disconnect",
        /// Bans a user.
        Ban "ban",
        /// Lets a user in again.
        Unban "unban",
        /// Lists bans.
        Bans "bans",
        /// Lists what operators have done.
        Trail "trail",
        /// What is set for a room, and by what.
        RoomSettings "room_settings",
        /// Sets something for a room.
        SetRoom "set_room",
        /// Takes that away.
        UnsetRoom "unset_room",
    }
}

/// A call and its arguments.
#[derive(Debug)]
pub(crate) enum Order<'a> {
    /// A request that a session can make as well; in the name of `sender`, if the name matters.
    Ask {
        sender: Option<Text<'a>>,
        request: Request<'a>,
    },
    Kick {
        whom: Whom<'a>,
        room: Option<Text<'a>>,
    },
    Disconnect {
        whom: Whom<'a>,
        code: Option<u64>,
    },
    Ban {
        user: Text<'a>,
        seconds: Option<u64>,
        note: Option<Text<'a>>,
    },
    Unban {
        user: Text<'a>,
    },
    Bans(Page<'a>),
    Trail(Page<'a>),
    RoomSettings {
        room: Text<'a>,
    },
    SetRoom {
        room: Text<'a>,
        values: Option<Values>,
    },
}

impl<'a> Order<'a> {
    /// A request that a session can make as well, in nobody's name.
    fn asked(kind: Kind, fields: &mut Fields<'a>) -> Result<Self, Refusal> {
        Ok(Self::Ask { sender: None, request: fields.request_of(kind)? })
    }

    /// The same in the name of a user.
    fn asked_as(kind: Kind, fields: &mut Fields<'a>) -> Result<Self, Refusal> {
        let sender = fields.maybe_text(Field::Sender)?;
        Ok(Self::Ask { sender, request: fields.request_of(kind)? })
    }
}

/// One session, or all of a user.
#[derive(Debug)]
pub(crate) enum Whom<'a> {
    User(Text<'a>),
    Session(Text<'a>),
}

/// Reads the object of a call, and its `id` even if the rest is wrong.
pub(crate) fn parse(call: Call, text: &str) -> (Option<Id<'_>>, Result<Order<'_>, Refusal>) {
    read(
        text,
        |_| true,
        |fields| {
            let whom = |fields: &mut Fields<'_>| {
                let user = fields.maybe_text(Field::User)?.map(|user| user.into_owned().into());
                let session = fields.maybe_text(Field::Session)?.map(|session| session.into_owned().into());
                match (user, session) {
                    (Some(user), None) => Ok(Whom::User(user)),
                    (None, Some(session)) => Ok(Whom::Session(session)),
                    (user, _) => {
                        let found = if user.is_some() { "both" } else { "neither" };
                        Err(Refusal::new(
                            Code::BadRequest,
                            format!("expected `user_id` or `session_id`, found {found}"),
                        ))
                    }
                }
            };
            Ok(match call {
                Call::Kick => Order::Kick { whom: whom(fields)?, room: fields.maybe_text(Field::Room)? },
                Call::Disconnect => Order::Disconnect { whom: whom(fields)?, code: fields.maybe_number(Field::Code)? },
                Call::Ban => Order::Ban {
                    user: fields.text(Field::User)?,
                    seconds: fields.maybe_number(Field::Seconds)?,
                    note: fields.maybe_text(Field::Note)?,
                },
                Call::Unban => Order::Unban { user: fields.text(Field::User)? },
                Call::Bans => Order::Bans(fields.page()?),
                Call::Trail => Order::Trail(fields.page()?),
                Call::RoomSettings => Order::RoomSettings { room: fields.text(Field::Room)? },
                // Its keys are fields of no other message, and are read by themselves.
                Call::SetRoom => Order::SetRoom { room: fields.text(Field::Room)?, values: Some(set::read(text)?) },
                Call::UnsetRoom => Order::SetRoom { room: fields.text(Field::Room)?, values: None },
                Call::Publish => {
                    let room = fields.text(Field::Room)?;
                    if room == "*" {
                        let message = "`room_id`: expected a room, found \"*\"; `broadcast` is for everybody";
                        return Err(Refusal::new(Code::BadRequest, message));
                    }
                    fields.for_nobody_alone("a room")?;
                    Order::Ask {
                        sender: fields.maybe_text(Field::Sender)?,
                        request: Request::Broadcast { room: Some(room), words: fields.words()? },
                    }
                }
                Call::Broadcast => {
                    fields.for_everybody()?;
                    let sender = fields.maybe_text(Field::Sender)?;
                    let words = Words { content: fields.words_for_several()?, reply_to: None };
                    Order::Ask { sender, request: Request::Broadcast { room: Some("*".into()), words } }
                }
                Call::Direct => Order::asked_as(Kind::Direct, fields)?,
                Call::Multicast => Order::asked_as(Kind::Multicast, fields)?,
                Call::Delete => Order::asked_as(Kind::Delete, fields)?,
                Call::History => Order::asked_as(Kind::History, fields)?,
                Call::Create => Order::asked(Kind::CreateRoom, fields)?,
                Call::Topic => Order::asked_as(Kind::Topic, fields)?,
                Call::Room => Order::asked(Kind::Room, fields)?,
                Call::Rooms => Order::asked(Kind::Rooms, fields)?,
                Call::Members => Order::asked(Kind::Members, fields)?,
                Call::Online => Order::asked(Kind::Online, fields)?,
            })
        },
    )
}
