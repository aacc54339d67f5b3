//! Farewells: why a session ends, whether its client should come back, and the status code of the Close frame.
//!
//! Each of Salon's own codes (RFC 6455 section 7.4.2) stands here once; `docs/wire.md` says how a client should take
//! it.

use super::auth::TokenError;
use super::wire::answer::EndReason;
use crate::proto::CloseCode;

/// The last words for a session before it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Farewell {
    /// The word in `goodbye`.
    pub why: EndReason,
    /// After how many milliseconds the client may come back; `None`: it must not come back as it came.
    pub back_after_ms: Option<u64>,
    /// When what keeps it out ends by itself, in milliseconds since the Unix epoch.
    pub until: Option<u64>,
    pub code: CloseCode,
    /// The code and the reason of the Close frame.
    pub reason: &'static str,
}

impl Farewell {
    pub const NAME_RESERVED: Self =
        Self::for_good(EndReason::NameReserved, CloseCode::POLICY_VIOLATION, "the name is the operator's");
    pub const TOO_MANY_USERS: Self = Self::for_now(EndReason::Overloaded, CloseCode::TRY_AGAIN_LATER, "too many users");
    pub const TOO_MANY_SESSIONS: Self =
        Self::for_now(EndReason::ConnectionLimit, CONNECTION_LIMIT, "too many sessions of this user");
    pub const TOO_MANY_CONNECTIONS: Self =
        Self::for_now(EndReason::ConnectionLimit, CONNECTION_LIMIT, "too many connections of this address");
    pub const RATE_ABUSE: Self =
        Self::for_now(EndReason::RateAbuse, RATE_ABUSE, "rate limited for ten seconds in a row");
    pub const KICKED: Self = Self::for_good(EndReason::Kicked, KICKED, BY_OPERATOR);
    pub const OUT_OF_THE_ROOM: Self =
        Self::for_good(EndReason::Kicked, CloseCode::POLICY_VIOLATION, "the room cannot be joined");
    pub const TOO_MUCH_BEFORE_A_TOKEN: Self =
        Self::for_good(EndReason::Unauthorized, BAD_TOKEN, "expected a token, found too much else");
    pub const NO_TOKEN_IN_TIME: Self =
        Self::for_good(EndReason::Unauthorized, BAD_TOKEN, "expected a token in time, found none");
    pub const TOKEN_EXPIRED: Self = Self::for_good(EndReason::TokenExpired, BAD_TOKEN, TokenError::Expired.as_str());

    /// To a session whose token is not valid.
    pub const fn bad_token(error: TokenError) -> Self {
        Self::for_good(error.reason(), BAD_TOKEN, error.as_str())
    }

    /// To a session of a user who is banned until then, or until the ban is lifted.
    pub const fn banned(until: Option<u64>) -> Self {
        Self { until, ..Self::for_good(EndReason::Banned, BANNED, "banned by the operator") }
    }

    /// To a session that an operator disconnects, who may choose the code. `None`: that is no code to choose.
    pub fn disconnected(code: Option<u64>) -> Option<Self> {
        let code = match code {
            None => RECONNECT,
            Some(code) => {
                let wanted = |code: &u16| matches!(code, 1001 | 1008 | 1012 | 1013 | 4000..=4999);
                u16::try_from(code).ok().filter(wanted).and_then(CloseCode::new)?
            }
        };
        // `goodbye` says what the code means to a client.
        let back_after_ms = match code.get() {
            1008 | 4000..=4099 => None,
            1013 | 4100..=4199 => Some(BACK_OFF_MS),
            _ => Some(0),
        };
        Some(Self { why: EndReason::Disconnected, back_after_ms, until: None, code, reason: BY_OPERATOR })
    }

    const fn for_good(why: EndReason, code: CloseCode, reason: &'static str) -> Self {
        Self { why, back_after_ms: None, until: None, code, reason }
    }

    const fn for_now(why: EndReason, code: CloseCode, reason: &'static str) -> Self {
        Self { why, back_after_ms: Some(BACK_OFF_MS), until: None, code, reason }
    }
}

const BY_OPERATOR: &str = "removed by the operator";

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident $code:literal,)*) => {
        $($(#[$doc])* pub const $name: CloseCode = CloseCode::new($code).expect("one of the application's");)*

        /// The close codes that are the chat's own.
        pub const CLOSE_CODES: &[CloseCode] = &[$($name),*];
    };
}

close_codes! {
    /// No token, or one that is not valid. The client must not come back with the same.
    BAD_TOKEN 4001,
    /// Banned. The client must not come back.
    BANNED 4003,
    /// Kicked. The client must not come back by itself.
    KICKED 4010,
    /// Too many sessions of one user, or connections of one address. The client is to back off.
    CONNECTION_LIMIT 4100,
    /// Too many messages for too long. The client is to back off.
    RATE_ABUSE 4101,
    /// The client is to reconnect at once, perhaps to another process.
    RECONNECT 4200,
    /// It has answered no ping: it is to reconnect at once. The engine says this for the chat.
    NO_PONG 4201,
}

/// When to come back, for clients that are refused.
const BACK_OFF_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the code that an operator chose, the one the client sees, and when it may come back.
    #[test]
    fn goodbye_says_what_the_code_means() {
        for (chosen, expected) in [
            (None, Some((4200, Some(0)))),
            (Some(1001), Some((1001, Some(0)))),
            (Some(1008), Some((1008, None))),
            (Some(1012), Some((1012, Some(0)))),
            (Some(1013), Some((1013, Some(10_000)))),
            (Some(4000), Some((4000, None))),
            (Some(4099), Some((4099, None))),
            (Some(4100), Some((4100, Some(10_000)))),
            (Some(4199), Some((4199, Some(10_000)))),
            (Some(4200), Some((4200, Some(0)))),
            (Some(4999), Some((4999, Some(0)))),
            (Some(0), None),
            (Some(1000), None),
            (Some(3999), None),
            (Some(5000), None),
            (Some(65_536 + 1001), None),
        ] {
            let found = Farewell::disconnected(chosen).map(|farewell| (farewell.code.get(), farewell.back_after_ms));
            assert_eq!(found, expected, "{chosen:?}");
        }
    }
}
