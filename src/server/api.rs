//! The operator's API: which request is a call, and the status of its answer.
//!
//! `POST /api/CALL` with a JSON object, and JSON back; the chat reads and writes them. This module checks a request
//! before its body is read: key, path, method, media type, length. One table gives each refusal of the chat its status.

use std::sync::Arc;

use crate::chat::{Call, Code};
use crate::proto::handshake::{Request, RequestError};

use super::entry_error::{CallError, EntryError};
use super::operators::{Operators, Right, Rights};
use super::pages::is_address;

/// A call whose body may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallHead {
    /// Which call.
    pub named: Named,
    /// Its body.
    pub body: Body,
    /// Whether the client waits for 100 (Continue).
    pub expects_continue: bool,
}

/// What a path below `/api/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A call.
    Call(Call),
    /// Several of them, in the body.
    Batch,
    /// What is refused for that, once its body has come: so the refusal has the `id` of it. With the name of the call,
    /// or `?` where there is none of that name.
    Refused(CallError, &'static str),
}

impl Named {
    /// Its name in the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call(call) => call.as_str(),
            Self::Batch => "batch",
            Self::Refused(_, name) => name,
        }
    }

    /// Its method; `-` where that is not known any more when its body has come.
    pub fn method(self) -> &'static str {
        match self {
            Self::Refused(CallError::Unknown | CallError::Method, _) => "-",
            Self::Call(_) | Self::Batch | Self::Refused(..) => "POST",
        }
    }
}

/// How the end of a body is known. It has [`MAX_BODY_BYTES`] at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It has so many bytes.
    Length(u32),
    /// It comes in chunks.
    Chunks,
}

impl CallHead {
    /// The interim response before the client sends the body.
    pub fn interim(&self) -> &'static [u8] {
        if self.expects_continue { b"HTTP/1.1 100 Continue\r\n\r\n" } else { b"" }
    }
}

/// The status of an answer that refuses: every code has one.
pub const fn status(code: Code) -> u16 {
    match code {
        Code::BadJson | Code::BadRequest => 400,
        Code::Unauthorized | Code::TokenExpired => 401,
        Code::Forbidden => 403,
        Code::UnknownType | Code::RoomNotFound | Code::UserNotFound | Code::NotFound => 404,
        Code::NotJoined | Code::TooManyRooms | Code::RoomFull | Code::EpochChanged => 409,
        Code::HistoryGone => 410,
        Code::TooLarge => 413,
        Code::RateLimited => 429,
        Code::Overloaded | Code::BackendDown => 503,
        Code::Internal => 500,
        Code::Unsupported => 501,
    }
}

/// The right that a call needs.
pub(super) const fn right_of(call: Call) -> Right {
    match call {
        Call::Room | Call::Rooms | Call::Members | Call::Online | Call::History | Call::RoomSettings => Right::Read,
        Call::Publish | Call::Broadcast | Call::Direct | Call::Multicast | Call::Create | Call::Topic => Right::Speak,
        Call::Delete
        | Call::Kick
        | Call::Disconnect
        | Call::Ban
        | Call::Unban
        | Call::Bans
        | Call::Trail
        | Call::SetRoom
        | Call::UnsetRoom => Right::Moderate,
    }
}

/// A caller on the admin port.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The operator's name; `-` where no key is asked for.
    pub name: Arc<str>,
    rights: Rights,
}

impl Caller {
    /// Goes on if the caller may do that.
    pub(super) fn may(self, right: Right) -> Result<Self, EntryError> {
        if self.rights.have(right) { Ok(self) } else { Err(EntryError::Right(right)) }
    }
}

/// The caller: an operator who shows a key, or where there are none any program on this machine.
pub(super) fn admit(request: &Request<'_>, operators: &Operators) -> Result<Caller, EntryError> {
    if operators.is_empty() {
        // A page can send requests to this machine, and a host name of its choice can lead here (DNS rebinding).
        let by_address = request.host().is_none_or(is_address);
        return match by_address && !request.has_header("origin") {
            true => Ok(Caller { name: "-".into(), rights: Rights::ALL }),
            false => Err(CallError::Origin.into()),
        };
    }
    if request.headers("authorization").count() > 1 {
        return Err(EntryError::Request(RequestError::RepeatedHeader("Authorization")));
    }
    let credentials = request.headers("authorization").next().unwrap_or_default();
    let shown = credentials.split_at_checked(BEARER.len());
    let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(BEARER)).map(|(_, key)| key.trim_ascii());
    let Some(shown) = shown else { return Err(EntryError::Key { shown: false }) };
    let operator = operators.who(shown).ok_or(EntryError::Key { shown: true })?;
    Ok(Caller { name: operator.name.clone(), rights: operator.rights })
}

/// The call of a request for `/api/NAME`, of any caller.
pub(super) fn head(request: &Request<'_>, name: &str) -> Result<CallHead, CallError> {
    let call = || Call::ALL.iter().copied().find(|call| call.as_str() == name).map(Named::Call);
    let named = if name == Named::Batch.as_str() { Some(Named::Batch) } else { call() };
    let wrong = match named {
        None => Some(CallError::Unknown),
        Some(_) if request.method() != "POST" => Some(CallError::Method),
        Some(_) => is_json(request).err(),
    };
    let body = match (body_of(request), wrong) {
        (Ok(body), _) => body,
        (Err(_), Some(error @ (CallError::Unknown | CallError::Method))) | (Err(error), _) => return Err(error),
    };
    let expects_continue = request.expects_continue();
    let named = match (named, wrong) {
        (Some(named), None) => named,
        (named, wrong) => {
            let error = wrong.unwrap_or(CallError::Unknown);
            // There is no body, or none that anybody has to send; or the answer to it has none.
            if body == Body::Length(0) || expects_continue || request.method() == "HEAD" {
                return Err(error);
            }
            Named::Refused(error, named.map_or(NO_CALL, Named::as_str))
        }
    };
    Ok(CallHead { named, body, expects_continue })
}

/// How the end of the body of a call is known.
fn body_of(request: &Request<'_>) -> Result<Body, CallError> {
    if request.is_chunked().map_err(|_| CallError::Coding)? {
        return Ok(Body::Chunks);
    }
    let len = request.content_length().map_err(|_| CallError::BadLength)?;
    let len = u32::try_from(len).ok().filter(|&len| len <= MAX_BODY_BYTES);
    len.map(Body::Length).ok_or(CallError::TooLarge)
}

/// A request for the settings to be read again, of any caller: as a call, and without a body.
pub(super) fn reload(request: &Request<'_>) -> Result<(), EntryError> {
    if request.method() != "POST" {
        return Err(CallError::Method.into());
    }
    match request.content_length().map_err(EntryError::Request)? {
        0 => Ok(is_json(request)?),
        _ => Err(EntryError::Request(RequestError::BadBody)),
    }
}

/// Checks that it says that it brings JSON. That is required also where it would not be needed: a page cannot send it
/// to another site without a preflight.
fn is_json(request: &Request<'_>) -> Result<(), CallError> {
    let media_type = request.header("content-type").and_then(|value| value.split(';').next());
    match media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json")) {
        true => Ok(()),
        false => Err(CallError::MediaType),
    }
}

/// The longest body of a call, in bytes: as long as a message on a socket.
pub const MAX_BODY_BYTES: u32 = 64 << 10;

/// Stands where the name of a call would, in the log, for a call that does not exist.
pub const NO_CALL: &str = "?";

const BEARER: &[u8] = b"bearer ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin_key::AdminKey;
    use crate::server::operators::Operator;

    fn with<T>(line: &str, headers: &str, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let head = format!("{line} HTTP/1.1\r\n{headers}\r\n");
        look(&Request::parse(head.as_bytes()).expect("a good head"))
    }

    const JSON: &str = "Host: h\r\nContent-Type: application/json\r\n";

    #[test]
    fn heads() {
        let call = |named, body, expects_continue| Ok(CallHead { named, body, expects_continue });
        let good = |one, len, expects| call(Named::Call(one), Body::Length(len), expects);
        let chunks = |expects| call(Named::Call(Call::Publish), Body::Chunks, expects);
        for (line, name, more, expected) in [
            ("POST /", "online", "", good(Call::Online, 0, false)),
            ("POST /", "publish", "Content-Length: 65536\r\n", good(Call::Publish, 65_536, false)),
            ("POST /", "publish", "Content-Length: 5\r\nExpect: 100-continue\r\n", good(Call::Publish, 5, true)),
            ("POST /", "publish", "Content-Length: 65537\r\n", Err(CallError::TooLarge)),
            ("POST /", "publish", "Content-Length: 4294967297\r\n", Err(CallError::TooLarge)),
            ("POST /", "publish", "Content-Length: 99999999999999999999\r\n", Err(CallError::TooLarge)),
            ("POST /", "publish", "Content-Length: x\r\n", Err(CallError::BadLength)),
            ("POST /", "publish", "Content-Length: -1\r\n", Err(CallError::BadLength)),
            ("POST /", "publish", "Content-Length: \r\n", Err(CallError::BadLength)),
            ("POST /", "publish", "Content-Length: 2, 2\r\n", Err(CallError::BadLength)),
            ("POST /", "publish", "Content-Length: 2\r\nContent-Length: 2\r\n", Err(CallError::BadLength)),
            ("POST /", "batch", "Content-Length: 5\r\n", call(Named::Batch, Body::Length(5), false)),
            ("POST /", "publish", "Transfer-Encoding: chunked\r\n", chunks(false)),
            ("POST /", "publish", "transfer-encoding:\t Chunked \r\nExpect: 100-continue\r\n", chunks(true)),
            ("POST /", "publish", "Transfer-Encoding: gzip, chunked\r\n", Err(CallError::Coding)),
            ("POST /", "publish", "Transfer-Encoding: chunked, chunked\r\n", Err(CallError::Coding)),
            ("POST /", "publish", "Transfer-Encoding: chunked, identity\r\n", Err(CallError::Coding)),
            ("POST /", "publish", "Transfer-Encoding: \r\n", Err(CallError::Coding)),
            ("POST /", "publish", "Transfer-Encoding: xchunked\r\n", Err(CallError::Coding)),
            ("POST /", "publish", "Transfer-Encoding: chunked;q=1\r\n", Err(CallError::Coding)),
            (
                "POST /",
                "publish",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(CallError::Coding),
            ),
            ("GET /", "publish", "", Err(CallError::Method)),
            ("post /", "publish", "", Err(CallError::Method)),
            ("POST /", "Publish", "", Err(CallError::Unknown)),
            ("POST /", "", "", Err(CallError::Unknown)),
        ] {
            let found = with(line, &format!("{JSON}{more}"), |request| head(request, name));
            assert_eq!(found, expected, "{line} {name} {more}");
        }
        let refused = |error, name, len| call(Named::Refused(error, name), Body::Length(len), false);
        for (line, headers, name, expected) in [
            ("PUT /", JSON, "online", refused(CallError::Method, "online", 5)),
            ("POST /", "Host: h\r\n", "batch", refused(CallError::MediaType, "batch", 5)),
            ("POST /", JSON, "nothing", refused(CallError::Unknown, NO_CALL, 5)),
            ("HEAD /", JSON, "online", Err(CallError::Method)),
            ("PUT /", "Host: h\r\nExpect: 100-continue\r\n", "online", Err(CallError::Method)),
        ] {
            let found = with(line, &format!("{headers}Content-Length: 5\r\n"), |request| head(request, name));
            assert_eq!(found, expected, "{line} {headers} {name}");
        }
        for (media_type, expected) in [
            ("", false),
            ("Content-Type: text/plain\r\n", false),
            ("Content-Type: application/jsonx\r\n", false),
            ("Content-Type: application/x-www-form-urlencoded\r\n", false),
            ("Content-Type: Application/JSON; charset=utf-8\r\n", true),
        ] {
            let found = with("POST /", &format!("Host: h\r\n{media_type}"), |request| head(request, "online"));
            assert_eq!(found.is_ok(), expected, "{media_type}");
            assert!(expected || found == Err(CallError::MediaType), "{media_type}");
        }
    }

    #[test]
    fn who_is_admitted() {
        let key = AdminKey::read(b"0123456789abcdef").unwrap();
        let some = Operators::of(vec![Operator { name: "admin".into(), rights: Rights::ALL, key }]).unwrap();
        let word = |headers: &str, operators: &Operators| {
            with("GET /", headers, |request| match admit(request, operators) {
                Ok(Caller { name, .. }) => {
                    if operators.is_empty() == (&*name == "-") {
                        "in"
                    } else {
                        "misnamed"
                    }
                }
                Err(EntryError::Key { shown: true }) => "wrong",
                Err(EntryError::Key { shown: false }) => "none",
                Err(EntryError::Call(CallError::Origin)) => "browser",
                Err(_) => "bad",
            })
        };
        for (headers, expected) in [
            ("Host: h\r\nAuthorization: Bearer 0123456789abcdef\r\n", "in"),
            ("Host: h\r\nauthorization: bearer  0123456789abcdef \r\n", "in"),
            ("Host: h\r\nAuthorization: Bearer 0123456789abcdeg\r\n", "wrong"),
            ("Host: h\r\nAuthorization: Bearer \r\n", "none"),
            ("Host: h\r\nAuthorization: Basic 0123456789abcdef\r\n", "none"),
            ("Host: h\r\n", "none"),
            ("Host: h\r\nAuthorization: Bearer 0123456789abcdef\r\nAuthorization: x\r\n", "bad"),
        ] {
            assert_eq!(word(headers, &some), expected, "{headers}");
        }
        for (headers, expected) in [
            ("Host: 127.0.0.1:8081\r\n", "in"),
            ("Host: [::1]:8081\r\n", "in"),
            ("Host: [::1]\r\n", "in"),
            ("Host: localhost\r\n", "in"),
            ("Host: LocalHost:8081\r\n", "in"),
            ("Host: salon.localhost.:8081\r\n", "in"),
            ("Host: evil.example:8081\r\n", "browser"),
            ("Host: localhost.evil.example\r\n", "browser"),
            ("Host: 127.0.0.1:8081\r\nOrigin: http://127.0.0.1:8081\r\n", "browser"),
            ("Host: 127.0.0.1:8081\r\nOrigin: null\r\n", "browser"),
        ] {
            assert_eq!(word(headers, &Operators::default()), expected, "{headers}");
        }
    }
}
