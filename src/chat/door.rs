//! Doors: how a connection comes into the chat, and what its client says of its user at once.

use super::auth::{Grant, TokenError};
use super::name::{RoomName, UserName};
use super::roster::user::Shows;

/// How a connection comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// `/ws`: speaks JSON.
    Json {
        /// Who it is; `None` for a guest.
        user: Option<UserName>,
    },
    /// `/ws/{room}`: every text is a chat message.
    Plain {
        /// The one room of the session.
        room: RoomName,
        /// Who it is. The server refuses names with a comma, because lists of names are joined by commas here.
        user: UserName,
    },
    /// With a token that holds.
    Token {
        /// What it says.
        grant: Grant,
        /// `None` for `/ws`; the one room of `/ws/{room}`.
        room: Option<RoomName>,
    },
    /// `/ws` without a token where one is needed: the first message has to bring it.
    Unproven,
    /// `/ws` with a token that does not hold: a browser cannot read a 401, so it is told here and closed with 4001.
    Refused(TokenError),
    /// Any of these, by a client that says at once how its user is to be seen, so that one who hides is not seen for a moment.
    Showing {
        /// How, unless the server knows: the user is here with another device, or was a moment ago.
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
