//! Reads what an operator wants: the objects of the JSON dialect without `type`, which the call says, and some of their own.

use super::request::{Field, Page, Request, Text, read};
use super::{Code, Id, Refusal};

macro_rules! calls {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// What an operator can ask the chat to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call { $($(#[$doc])* $variant),* }

        impl Call {
            /// All of them; the place of one is its value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

calls! {
    /// Says something in a room.
    Publish "publish",
    /// Says something to every session.
    Broadcast "broadcast",
    /// Says something to a user.
    Direct "direct",
    /// Says something to some users.
    Multicast "multicast",
    /// Makes a room.
    Create "create",
    /// What is known of a room.
    Room "room",
    /// Lists rooms.
    Rooms "rooms",
    /// Lists the members of a room.
    Members "members",
    /// Lists users.
    Online "online",
    /// What was said in a room, or between two users.
    History "history",
    /// Removes a user from a room, or from the server, until they come back.
    Kick "kick",
    /// Closes sessions with a code.
    Disconnect "disconnect",
    /// Keeps a user out.
    Ban "ban",
    /// Lets a user in again.
    Unban "unban",
    /// Lists who is kept out.
    Bans "bans",
}

/// A call and what it is about.
#[derive(Debug)]
pub(crate) enum Order<'a> {
    /// What a session could ask for as well; by `sender`, if it matters who asks.
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
            let whom = |fields: &mut super::request::Fields<'_>| {
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
                Call::Publish => {
                    let room = fields.text(Field::Room)?;
                    if room == "*" {
                        let message = "`room_id`: expected a room, found \"*\"; `broadcast` is for everybody";
                        return Err(Refusal::new(Code::BadRequest, message));
                    }
                    Order::Ask {
                        sender: fields.maybe_text(Field::Sender)?,
                        request: Request::Broadcast { room: Some(room), content: fields.text(Field::Content)? },
                    }
                }
                Call::Broadcast => {
                    fields.for_everybody()?;
                    Order::Ask {
                        sender: fields.maybe_text(Field::Sender)?,
                        request: Request::Broadcast { room: Some("*".into()), content: fields.text(Field::Content)? },
                    }
                }
                Call::Create => Order::Ask { sender: None, request: fields.request_of("create_room")? },
                Call::Direct | Call::Multicast | Call::History => {
                    let sender = fields.maybe_text(Field::Sender)?;
                    Order::Ask { sender, request: fields.request_of(call.as_str())? }
                }
                Call::Room | Call::Rooms | Call::Members | Call::Online => {
                    Order::Ask { sender: None, request: fields.request_of(call.as_str())? }
                }
            })
        },
    )
}
