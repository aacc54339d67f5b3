//! The reasons of refusals, as `/metrics` and the log name them.
//!
//! Every refusal goes through [`AccessLog::refuse`](super::access::AccessLog::refuse), wherever it is decided: before a
//! connection is taken in, by TLS, by the doors, by the chat behind them. The place that refuses words the answer for
//! the client; a reason is for the operator, and contains nothing that a client has sent.

use crate::chat::{TokenError, TurnedAway};
use crate::proto::handshake::RequestError;

use super::entry_error::{CallError, EntryError};

/// Declares the reasons with their names, and the list of all of them, so that none can be missing in it.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        /// Why a client is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// Every reason, in the order of their counters.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$reason),*];

            /// Its name in `/metrics` and in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// The address has as many connections as it may.
    TooMany = "too_many",
    /// The address opens connections too fast: 429.
    TooFast = "too_fast",
    /// The address sends too many requests that open no WebSocket: 429.
    AskedTooFast = "asked_too_fast",
    /// Too many of the address are waiting for such an answer already: dropped.
    Dropped = "dropped",
    /// No header of the PROXY protocol that can be believed, where one must come first.
    NoProxyHeader = "no_proxy_header",
    /// Salon is full: 503.
    Full = "full",
    /// Memory is short: 503.
    Memory = "memory",
    /// The server stops: 503.
    Stopping = "stopping",
    /// A TLS handshake that failed.
    Tls = "tls",
    /// HTTP without TLS at the TLS port.
    PlainHttp = "plain_http",
    /// No request, or one that breaks HTTP or the opening handshake: 400, 415, 501, 505.
    BadRequest = "bad_request",
    /// A name, a room or a token that cannot be read: 400.
    BadName = "bad_name",
    /// A line, a head or a body that is too long: 413, 414, 431.
    TooLong = "too_long",
    /// Nothing lives at the path: 404.
    NotFound = "not_found",
    /// Not by that method: 405.
    Method = "method",
    /// A WebSocket door without an upgrade: 426.
    Upgrade = "upgrade",
    /// A page of another site: 403.
    Origin = "origin",
    /// The page by a name that is not known to be this server's: 421.
    Host = "host",
    /// The token is not for the room: 403.
    Room = "room",
    /// No token where one is needed.
    NoToken = "token_missing",
    /// A token that is too long.
    TokenTooLong = "token_too_long",
    /// Something else than a token.
    TokenMalformed = "token_malformed",
    /// A token with extensions that are not understood.
    TokenCritical = "token_critical",
    /// A token of an algorithm that no key is for.
    TokenAlgorithm = "token_algorithm",
    /// A token that no key of ours has signed.
    TokenSignature = "token_signature",
    /// A token whose claims cannot be read.
    TokenClaims = "token_claims",
    /// A token whose user cannot be.
    TokenSubject = "token_subject",
    /// A token for another server.
    TokenAudience = "token_audience",
    /// A token whose time is still to come.
    TokenNotYet = "token_not_yet",
    /// A token whose time is over.
    TokenExpired = "token_expired",
    /// The user is banned: Close 4003.
    Banned = "banned",
    /// The user has as many sessions as they may: Close 4100.
    Sessions = "sessions",
    /// As many users as there may be: Close 1013.
    Users = "users",
    /// The plain door's room cannot be joined.
    NotJoined = "not_joined",
    /// No key on the admin port: 401.
    NoKey = "key_missing",
    /// Another key than that of the admin port: 401.
    WrongKey = "key_wrong",
    /// The key of an operator who may not do that: 403.
    NoRight = "key_rights",
    /// A connection of the admin port that had shown no key and made room for another one.
    MadeRoom = "made_room",
    /// A request that met a mistake of ours: 500.
    Mistake = "mistake",
    /// A page or a host name on an admin port without a key: 403.
    NotLocal = "not_local",
}

impl From<TokenError> for Reason {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::TooLong => Self::TokenTooLong,
            TokenError::Malformed => Self::TokenMalformed,
            TokenError::Critical => Self::TokenCritical,
            TokenError::Algorithm => Self::TokenAlgorithm,
            TokenError::Signature => Self::TokenSignature,
            TokenError::Claims => Self::TokenClaims,
            TokenError::Subject => Self::TokenSubject,
            TokenError::Audience => Self::TokenAudience,
            TokenError::NotYet => Self::TokenNotYet,
            TokenError::Expired => Self::TokenExpired,
        }
    }
}

impl From<TurnedAway> for Reason {
    fn from(why: TurnedAway) -> Self {
        match why {
            TurnedAway::Token(error) => error.into(),
            TurnedAway::NoToken => Self::NoToken,
            TurnedAway::Banned => Self::Banned,
            TurnedAway::TooManySessions => Self::Sessions,
            TurnedAway::TooManyUsers => Self::Users,
            TurnedAway::Room => Self::NotJoined,
        }
    }
}

impl From<RequestError> for Reason {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::TargetTooLong | RequestError::HeadTooLarge | RequestError::TooManyHeaders => Self::TooLong,
            RequestError::MethodNotAllowed => Self::Method,
            RequestError::UpgradeRequired => Self::Upgrade,
            // The rest is answered with 400 (or 505).
            _ => Self::BadRequest,
        }
    }
}

impl From<CallError> for Reason {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unknown => Self::NotFound,
            CallError::Method => Self::Method,
            CallError::MediaType | CallError::Coding | CallError::Chunks | CallError::Batch | CallError::BadLength => {
                Self::BadRequest
            }
            CallError::TooLarge => Self::TooLong,
            CallError::Origin => Self::NotLocal,
        }
    }
}

impl EntryError {
    /// The reason. `None`: the connection was refused when it came, and is only answered now.
    pub(super) fn reason(&self) -> Option<Reason> {
        Some(match self {
            Self::Full | Self::TooFast => return None,
            Self::AskedTooFast => Reason::AskedTooFast,
            Self::Mistake => Reason::Mistake,
            Self::Request(error) => (*error).into(),
            Self::NotFound => Reason::NotFound,
            Self::Method => Reason::Method,
            Self::Bad(_) => Reason::BadName,
            Self::Unauthorized(None) => Reason::NoToken,
            Self::Unauthorized(Some(error)) => (*error).into(),
            Self::Room => Reason::Room,
            Self::Origin => Reason::Origin,
            Self::Host => Reason::Host,
            Self::Memory => Reason::Memory,
            Self::Stopping => Reason::Stopping,
            Self::Key { shown: false } => Reason::NoKey,
            Self::Key { shown: true } => Reason::WrongKey,
            Self::Right(_) => Reason::NoRight,
            Self::Call(error) => (*error).into(),
            Self::Page => Reason::BadRequest,
            Self::NoSession => Reason::NotFound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::access::{AccessLog, Line};
    use crate::time::Tick;

    #[test]
    fn each_reason_has_a_name_and_a_counter_of_its_own() {
        let mut log = AccessLog::default();
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert!(Reason::ALL[..at].iter().all(|other| other.as_str() != reason.as_str()), "{}", reason.as_str());
            assert!(reason.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            let _ = log.refuse(reason, Line::default(), Tick(0));
            assert_eq!(log.refused(reason), 1);
        }
    }
}
