//! The claims of a token: the user, until when, which rooms and which roles.
//!
//! A [`Verifier`], which is handed in, knows keys and signatures; here are only the claims and the rights that follow.
//! A claim that is there but cannot be read makes the token invalid: it never counts as absent. Time is an argument.
//! Tokens themselves are neither kept nor shown: no error repeats anything of them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::name::{UserName, normal};
use super::wire::answer::EndReason;

/// Checks tokens.
pub trait Verifier: fmt::Debug {
    /// The grant of the token at that time, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The reason why it grants nothing.
    fn verify(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError>;

    /// Whether tokens that are signed with that key are still accepted.
    fn accepts(&self, key: KeyId) -> bool;
}

/// Which key has signed a token: the same for the same key, also when the keys are read again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub u64);

/// Not shown: it is made from a secret.
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyId(..)")
    }
}

/// The rights of a session with a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user: UserName,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// The key that has signed it.
    pub key: KeyId,
    /// The rooms it may enter; `None`: all.
    rooms: Option<Box<[Pattern]>>,
    roles: Roles,
}

impl Grant {
    /// Whether it may be in a room of that name.
    pub fn may_enter(&self, room: &str) -> bool {
        self.rooms.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(room)))
    }

    /// Whether it names the rooms it may enter.
    pub fn is_confined(&self) -> bool {
        self.rooms.is_some()
    }

    /// Bytes of patterns that a name is compared with, at most: the cost of [`Grant::may_enter`].
    pub fn pattern_bytes(&self) -> usize {
        self.rooms.as_ref().map_or(0, |patterns| patterns.iter().map(|pattern| pattern.0.len() + 1).sum())
    }

    /// Whether it may speak to everybody.
    pub fn may_announce(&self) -> bool {
        self.roles.admin || self.roles.announce
    }

    /// Whether it may delete messages of others.
    pub fn may_moderate(&self) -> bool {
        self.roles.admin || self.roles.moderate
    }

    /// Whether it may call everybody in a room by `@room`.
    pub fn may_call_rooms(&self) -> bool {
        self.may_announce() || self.may_moderate()
    }

    /// Whether it may make rooms where not everybody may.
    pub fn may_create(&self) -> bool {
        self.roles.admin || self.roles.create
    }
}

/// The roles that mean something here; others are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Roles {
    announce: bool,
    create: bool,
    moderate: bool,
    admin: bool,
}

/// The name of a room, in which `*` stands for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(Box<str>);

impl Pattern {
    /// Each byte of the pattern is looked for once, and each of the name looked at once for each star that is still to
    /// be found: nothing is ever tried again.
    fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // Each part between two stars is found as early as it can be, which leaves the most to the later parts.
        for part in parts {
            let found = match part.as_bytes() {
                // Without the searcher that `find` makes anew each time: many stars are many parts.
                [byte] => rest.bytes().position(|other| other == *byte),
                _ => rest.find(part),
            };
            let Some(at) = found else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

/// Why a token grants nothing. It says nothing of the token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// More than [`MAX_TOKEN_BYTES`] bytes.
    TooLong,
    /// No three parts in base64url with a header that can be read; also `alg: none`.
    Malformed,
    /// Extensions that must be understood (`crit`, RFC 7515 section 4.1.11), and none are.
    Critical,
    /// An algorithm that no configured key is for.
    Algorithm,
    /// A signature of none of the configured keys.
    Signature,
    /// A claim that is missing or cannot be read.
    Claims,
    /// `sub` is no name for a user.
    Subject,
    /// Meant for somebody else, or for nobody in particular where that is asked.
    Audience,
    /// `nbf` is still to come.
    NotYet,
    /// `exp` is past.
    Expired,
}

impl TokenError {
    /// The expected and the found, short enough for the reason of a Close frame.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "expected a token of at most 8192 bytes, found a longer one",
            Self::Malformed => "expected a signed token of three parts, found something else",
            Self::Critical => "expected a token without critical extensions, found one with some",
            Self::Algorithm => "expected a token signed with a configured algorithm, found another one",
            Self::Signature => "expected a signature of a configured key, found another one",
            Self::Claims => "expected `sub`, `exp` (a number) and what else docs/wire.md lists, found other claims",
            Self::Subject => "expected a user name in `sub`, found one that breaks the rules for names",
            Self::Audience => "expected a token for this server in `aud`, found one for another",
            Self::NotYet => "expected a token that is valid now, found one that is not valid yet",
            Self::Expired => "expected a token that is valid now, found one that has expired",
        }
    }

    /// The `goodbye.reason` for it.
    pub(super) const fn reason(self) -> EndReason {
        match self {
            Self::Expired => EndReason::TokenExpired,
            _ => EndReason::Unauthorized,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for TokenError {}

/// The claims of a token whose signature is good, as they are written in it.
#[derive(Debug, serde::Deserialize)]
pub struct Claims {
    sub: String,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    rooms: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    roles: Option<Vec<String>>,
    /// Judged by whoever checks the signature; read here, so that one that cannot be read is not taken for none.
    #[serde(default, rename = "aud", deserialize_with = "present")]
    _aud: Option<Audience>,
}

/// A name, or a list of names (RFC 7519 section 4.1.3).
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Audience {
    One(#[allow(dead_code, reason = "its shape is what matters")] String),
    Several(#[allow(dead_code, reason = "its shape is what matters")] Vec<String>),
}

impl Claims {
    /// The grant of the claims, which that key has signed, at that time, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When they grant nothing then.
    pub fn grant(self, key: KeyId, unix_ms: u64) -> Result<Grant, TokenError> {
        let leeway = LEEWAY.as_millis() as u64;
        if self.exp.0.saturating_add(leeway) <= unix_ms {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|NumericDate(from)| from > unix_ms.saturating_add(leeway)) {
            return Err(TokenError::NotYet);
        }
        let user = UserName::parse(&self.sub).map_err(|_| TokenError::Subject)?;
        let patterns = |rooms: Vec<String>| match rooms.len() <= MAX_PATTERNS {
            true if rooms.iter().all(|room| room.len() <= MAX_PATTERN_BYTES) => {
                Ok(rooms.into_iter().map(|room| Pattern(normal(room.into()).into())).collect())
            }
            _ => Err(TokenError::Claims),
        };
        let rooms = self.rooms.map(patterns).transpose()?;
        let mut roles = Roles::default();
        for role in self.roles.iter().flatten() {
            match role.as_str() {
                "announce" => roles.announce = true,
                "create" => roles.create = true,
                "moderate" => roles.moderate = true,
                "admin" => roles.admin = true,
                _ => {}
            }
        }
        Ok(Grant { user, expires_ms: self.exp.0, key, rooms, roles })
    }
}

/// A time as RFC 7519 section 2 writes it, seconds since the Unix epoch; kept in milliseconds.
#[derive(Clone, Copy, Debug)]
struct NumericDate(u64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds since 1970")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<NumericDate, E> {
                Ok(NumericDate(seconds.saturating_mul(1000).min(MAX_MS)))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<NumericDate, E> {
                match seconds.is_finite() && seconds >= 0.0 {
                    true => Ok(NumericDate(((seconds * 1000.0) as u64).min(MAX_MS))),
                    false => Err(E::custom("a negative number of seconds")),
                }
            }
        }

        deserializer.deserialize_any(Seconds)
    }
}

/// The last time there is, in milliseconds: the largest integer that JavaScript has, because clients are told it. A
/// later one is this one.
const MAX_MS: u64 = (1 << 53) - 1;

/// A claim that is there has a value: `null` is none.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The longest token that is looked at, in bytes, by whichever way it comes.
pub const MAX_TOKEN_BYTES: usize = 8 << 10;

/// By how much the signer's clock may differ from ours.
pub const LEEWAY: Duration = Duration::from_secs(10);

/// The roles that mean something.
pub const ROLES: [&str; 4] = ["announce", "create", "moderate", "admin"];

/// Patterns that one token can list.
pub const MAX_PATTERNS: usize = 64;

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn grant(claims: &str) -> Result<Grant, TokenError> {
        serde_json::from_str::<Claims>(claims).map_err(|_| TokenError::Claims)?.grant(KeyId(0), NOW)
    }

    #[test]
    fn claims() {
        for (claims, expected) in [
            (r#"{"sub":"ann","exp":2000}"#, Ok(2_000_000)),
            (r#"{"sub":"ann","exp":2000.5,"iat":1,"iss":"x"}"#, Ok(2_000_500)),
            (r#"{"sub":"ann","exp":2e3,"nbf":1000}"#, Ok(2_000_000)),
            (r#"{"sub":"ann","exp":18446744073709551615}"#, Ok(MAX_MS)),
            (r#"{"sub":"ann","exp":1e18}"#, Ok(MAX_MS)),
            (r#"{"sub":"ann","exp":2000,"aud":"salon"}"#, Ok(2_000_000)),
            (r#"{"sub":"ann","exp":2000,"aud":["a","b"]}"#, Ok(2_000_000)),
            (r#"{"sub":"ann","exp":2000,"aud":null}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"aud":5}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"aud":{}}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"aud":["a",5]}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":991}"#, Ok(991_000)), // within the leeway
            (r#"{"sub":"ann","exp":990}"#, Err(TokenError::Expired)),
            (r#"{"sub":"ann","exp":0}"#, Err(TokenError::Expired)),
            (r#"{"sub":"ann","exp":2000,"nbf":1010}"#, Ok(2_000_000)),
            (r#"{"sub":"ann","exp":2000,"nbf":1010.5}"#, Err(TokenError::NotYet)),
            (r#"{"sub":"ann"}"#, Err(TokenError::Claims)),
            (r#"{"exp":2000}"#, Err(TokenError::Claims)),
            (r#"{"sub":5,"exp":2000}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":"2000"}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":-1}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":-0.5}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":1e400}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":null}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":[2000]}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":1,"exp":2000}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"nbf":"1"}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"nbf":null}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"rooms":"den"}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"rooms":null}"#, Err(TokenError::Claims)),
            (r#"{"sub":"ann","exp":2000,"roles":{"admin":true}}"#, Err(TokenError::Claims)),
            (r#"{"sub":"","exp":2000}"#, Err(TokenError::Subject)),
            (r#"{"sub":"*","exp":2000}"#, Err(TokenError::Subject)),
            (r#"{"sub":"a\u202eb","exp":2000}"#, Err(TokenError::Subject)),
            ("[]", Err(TokenError::Claims)),
        ] {
            assert_eq!(grant(claims).map(|grant| grant.expires_ms), expected, "{claims}");
        }
        let many = |n| format!(r#"{{"sub":"ann","exp":2000,"rooms":[{}"a"]}}"#, r#""b","#.repeat(n));
        assert!(grant(&many(MAX_PATTERNS - 1)).is_ok());
        assert_eq!(grant(&many(MAX_PATTERNS)), Err(TokenError::Claims));
        let long = |n| format!(r#"{{"sub":"ann","exp":2000,"rooms":["{}"]}}"#, "x".repeat(n));
        assert!(grant(&long(MAX_PATTERN_BYTES)).is_ok());
        assert_eq!(grant(&long(MAX_PATTERN_BYTES + 1)), Err(TokenError::Claims));
    }

    #[test]
    fn rooms() {
        for (rooms, room, expected) in [
            ("", "den", false),
            (r#""den""#, "den", true),
            (r#""den""#, "dens", false),
            (r#""den""#, "a den", false),
            (r#""attic","den""#, "den", true),
            (r#""*""#, "anything at all", true),
            (r#""team-*""#, "team-", true),
            (r#""team-*""#, "team-red", true),
            (r#""team-*""#, "tea", false),
            (r#""*-red""#, "team-red", true),
            (r#""*-red""#, "team-redder", false),
            (r#""a*a""#, "a", false),
            (r#""a*a""#, "aa", true),
            (r#""a*b*c""#, "axxbyyc", true),
            (r#""a*b*c""#, "acb", false),
            (r#""a*b*b""#, "ab", false),
            (r#""*ab*ab""#, "ab", false),
            (r#""*ab*ab""#, "xabab", true),
            (r#""**""#, "", true),
            (r#""é*""#, "école", true),
            (r#""Den""#, "den", false),
            (r#""d?n""#, "den", false),
        ] {
            let grant = grant(&format!(r#"{{"sub":"ann","exp":2000,"rooms":[{rooms}]}}"#)).unwrap();
            assert_eq!(grant.may_enter(room), expected, "{rooms} and {room}");
        }
        assert!(grant(r#"{"sub":"ann","exp":2000}"#).unwrap().may_enter("den"));
    }

    /// However many stars: each is found once, and a name that fits none costs no more than one that fits.
    #[test]
    fn many_stars_are_found_once() {
        let stars = "a*".repeat(127) + "b";
        let grant = grant(&format!(r#"{{"sub":"ann","exp":2000,"rooms":["{stars}","*"]}}"#)).unwrap();
        assert_eq!(grant.pattern_bytes(), 255 + 1 + 2);
        let only = Pattern(stars.into());
        for (name, matches) in [("a".repeat(126) + "b", false), ("a".repeat(127) + "b", true), ("a".repeat(128), false)]
        {
            assert_eq!(only.matches(&name), matches, "{name}");
        }
    }

    #[test]
    fn roles() {
        for (roles, announce, create, moderate) in [
            ("", false, false, false),
            (r#""announce""#, true, false, false),
            (r#""create","juggler""#, false, true, false),
            (r#""moderate""#, false, false, true),
            (r#""admin""#, true, true, true),
            (r#""Admin""#, false, false, false),
        ] {
            let grant = grant(&format!(r#"{{"sub":"ann","exp":2000,"roles":[{roles}]}}"#)).unwrap();
            let may = (grant.may_announce(), grant.may_create(), grant.may_moderate());
            assert_eq!(may, (announce, create, moderate), "{roles}");
            assert_eq!(grant.may_call_rooms(), announce || moderate, "{roles}");
        }
    }

    /// The longest reason of a Close frame is 123 bytes.
    #[test]
    fn errors_fit_into_a_close_frame() {
        use TokenError::*;
        for error in [TooLong, Malformed, Critical, Algorithm, Signature, Claims, Subject, Audience, NotYet, Expired] {
            assert!(error.as_str().len() <= 123, "{error}");
        }
        assert!(TooLong.as_str().contains(&MAX_TOKEN_BYTES.to_string()));
    }
}
