//! Tokens of clients, where the server asks for them: signed as the operator's own signer would, by the wall clock.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use crate::server::jwt::{Algorithm, Key, Keys};

/// What a token says.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<String>>,
}

/// A token as its client has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As it is sent.
    pub text: String,
    /// When it ends, in milliseconds since 1970.
    pub ends: u64,
    /// A room that it is not for.
    pub denied: Option<String>,
}

/// A token for a user until then, in seconds since 1970, for these rooms but one, or for all there may be.
pub fn sign(user: &str, exp: u64, rooms: impl Iterator<Item = String>, denied: Option<String>) -> Token {
    let rooms = denied.as_ref().map(|denied| rooms.filter(|room| room != denied).collect());
    let claims = Claims { sub: user, exp, rooms };
    let text = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).expect("plain fields");
    Token { text, ends: exp * 1000, denied }
}

/// The keys of the server.
pub fn keys() -> Keys {
    Keys::new(vec![Key::read(Algorithm::Hs256, SECRET).expect("it is long enough")], None)
}

const SECRET: &[u8] = b"known to the simulation and to nobody else";
