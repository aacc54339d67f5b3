//! Doors: how a connection comes into the chat, and the status that its client brings.

use super::auth::{Grant, TokenError};
use super::name::{RoomName, UserName};
use super::roster::user::Shows;

/// How a connection comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// `/ws`: speaks JSON.
    Json {
        /// The user; `None` for a guest.
        user: Option<UserName>,
    },
    /// `/ws/{room}`: every text is a chat message.
    Plain {
        /// The one room of the session.
        room: RoomName,
        /// The user. The server refuses names with a comma, because lists of names are joined by commas here.
        user: UserName,
    },
    /// With a valid token.
    Token {
        /// Its grant.
        grant: Grant,
        /// `None` for `/ws`; the one room of `/ws/{room}`.
        room: Option<RoomName>,
    },
    /// `/ws` without a token where one is needed: the first message has to bring it.
    Unproven,
    /// `/ws` with a token that is not valid: a browser cannot read a 401, so it hears `goodbye` and is closed with
    /// 4001.
    Refused(TokenError),
    /// Any of these, by a client that brings the status of its user, so that a user who hides is not seen even for a
    /// moment.
    Showing {
        /// The status, unless the server holds one: the user is here with another device, or was a moment ago.
        shows: Shows,
        /// How the connection comes in.
        door: Box<Door>,
    },
}

impl Door {
    /// The one room of a plain session; `None` for one that speaks JSON.
    pub(super) fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Plain { room, .. } | Self::Token { room: Some(room), .. } => Some(room),
            Self::Json { .. } | Self::Token { room: None, .. } | Self::Unproven | Self::Refused(_) => None,
            Self::Showing { door, .. } => door.room(),
        }
    }
}
