//! The door of a request: the page, a report, a chat dialect, or none.
//!
//! Files come from a table made at compile time ([`super::site`]). The order of checks is that of HTTP: path, method,
//! what the door needs, upgrade, origin. It writes nothing: [`super::http`] does.

use std::borrow::Cow;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::chat::{Door, NameError, RoomName, Shows, UserName, Verifier};
use crate::proto::handshake::{Request, RequestError, Upgrade};

use super::Port;
use super::api::{self, CallHead};
use super::entry_error::EntryError;
use super::operators::{Operators, Right};
use super::pages::Pages;
use super::query::field;
use super::reports::{Look, Report};
use super::site::{self, Asset};

/// Where a request leads.
#[derive(Debug)]
pub enum Entry<'a> {
    /// Into the chat.
    Chat {
        /// The answer, with our sub-protocol if the client offers it.
        upgrade: Upgrade<'a>,
        /// The dialect, and the client's name or token.
        door: Door,
    },
    /// To a file.
    Asset(&'static Asset),
    /// To a report that is worded anew each time.
    Report(Report),
    /// To a report for which the engine must be asked.
    Look(Look),
    /// To the reading of the settings, once more, for that operator.
    Reload(Arc<str>),
    /// To the settings in force.
    Settings,
    /// To the list of methods (`OPTIONS`). Balancers ask for it to know whether a server is there.
    Options,
    /// To a call of that operator, whose body may follow.
    Call(CallHead, Arc<str>),
    /// To a refusal.
    Refused(EntryError),
}

impl Entry<'_> {
    /// Whether its caller was let in as an operator.
    pub fn is_an_operators(&self) -> bool {
        match self {
            Self::Look(_) | Self::Reload(_) | Self::Settings | Self::Call(..) => true,
            Self::Report(report) => match report {
                Report::Counters | Report::Metrics | Report::Connections => true,
                Report::Health | Report::Live | Report::Ready | Report::PublicReady => false,
            },
            Self::Chat { .. } | Self::Asset(_) | Self::Options | Self::Refused(_) => false,
        }
    }
}

/// Where tokens are needed: their verifier, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// Checks tokens.
    pub verifier: &'a dyn Verifier,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

/// Decides about a request that came in by `port`. `pages` says which may connect in a browser; without a guard
/// anybody may come in under any name, and without an operator every program on this machine has all rights.
pub fn enter<'a>(
    request: &Request<'a>,
    port: Port,
    pages: &Pages,
    guard: Option<Guard<'_>>,
    operators: &Operators,
) -> Entry<'a> {
    decide(request, port, pages, guard, operators).unwrap_or_else(Entry::Refused)
}

fn decide<'a>(
    request: &Request<'a>,
    port: Port,
    pages: &Pages,
    guard: Option<Guard<'_>>,
    operators: &Operators,
) -> Result<Entry<'a>, EntryError> {
    let port = match port {
        Port::Refused => return Err(EntryError::Full),
        Port::TooFast => return Err(EntryError::TooFast),
        // Over the address limit: routed as usual, but a chat door upgrades it only to say goodbye.
        Port::Crowded | Port::Public | Port::Secure => Port::Public,
        // `responder` has sent it elsewhere.
        Port::Redirect => return Err(EntryError::NotFound),
        Port::Admin => Port::Admin,
    };
    let path = request.path();
    if let (Port::Admin, Some(call)) = (port, path.strip_prefix(CALLS)) {
        let caller = api::admit(request, operators)?;
        // Whether the caller may is judged when the call is whole: so its refusal has its `id`, and names the operator.
        if call == "reload" {
            return api::reload(request).map(|()| Entry::Reload(caller.name));
        }
        return Ok(Entry::Call(api::head(request, call)?, caller.name));
    }
    if request.content_length().map_err(EntryError::Request)? != 0 {
        return Err(EntryError::Request(RequestError::BadBody));
    }
    if port == Port::Public {
        if path == "/ws" {
            return match guard {
                None => chat_entry(request, pages, || showing(request, json_door(request)?)),
                Some(guard) => guarded_entry(request, pages, || showing(request, guarded_json_door(request, guard)?)),
            };
        }
        if let Some(room) = path.strip_prefix("/ws/").filter(|room| !room.contains('/')) {
            return match guard {
                None => chat_entry(request, pages, || showing(request, plain_door(request, room)?)),
                Some(guard) => {
                    guarded_entry(request, pages, || showing(request, guarded_plain_door(request, room, guard)?))
                }
            };
        }
    }
    // RFC 9110 section 9.3.7: the server as a whole.
    if (port, path, request.method()) == (Port::Public, "*", "OPTIONS") {
        return Ok(Entry::Options);
    }
    let entry = match (port, path) {
        (Port::Public, "/health") => Entry::Report(Report::Health),
        (Port::Public, READY) => Entry::Report(Report::PublicReady),
        (Port::Public, _) => {
            let path = if path == "/favicon.ico" { "/icon.svg" } else { path };
            Entry::Asset(site::find(path).ok_or(EntryError::NotFound)?)
        }
        // A supervisor may ask whether the process is well, without a key and by any name: the answer is a word, and
        // not a secret.
        (_, LIVE) => Entry::Report(Report::Live),
        (_, READY) => Entry::Report(Report::Ready),
        _ => {
            let caller = api::admit(request, operators)?;
            let session = path.strip_prefix("/connections/").and_then(session_id);
            let (entry, right) = match (path, session) {
                ("/health", _) => (Entry::Report(Report::Counters), Right::Metrics),
                ("/metrics", _) => (Entry::Report(Report::Metrics), Right::Metrics),
                ("/connections", _) => (Entry::Report(Report::Connections), Right::Read),
                ("/top", _) => (Entry::Look(Look::Top), Right::Read),
                ("/settings", _) => (Entry::Settings, Right::Read),
                (_, Some(id)) => (Entry::Look(Look::Session(id)), Right::Read),
                _ => return Err(EntryError::NotFound),
            };
            caller.may(right)?;
            entry
        }
    };
    match request.method() {
        // It could not connect: this tells its reader why.
        "GET" | "HEAD" if (port, path) == (Port::Public, "/") && !pages.may_be_shown(request) => Err(EntryError::Host),
        "GET" | "HEAD" => Ok(entry),
        "OPTIONS" => Ok(Entry::Options),
        _ => Err(EntryError::Method),
    }
}

/// Sixteen hexadecimal digits, as sessions are shown.
fn session_id(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn chat_entry<'a>(
    request: &Request<'a>,
    pages: &Pages,
    door: impl FnOnce() -> Result<Door, EntryError>,
) -> Result<Entry<'a>, EntryError> {
    if request.method() != "GET" {
        return Err(EntryError::Request(RequestError::MethodNotAllowed));
    }
    let door = door()?;
    let upgrade = request.upgrade().map_err(EntryError::Request)?;
    if !pages.may_connect(request) {
        return Err(EntryError::Origin);
    }
    Ok(Entry::Chat { upgrade: upgrade.choose(&[PROTOCOL]), door })
}

/// The same where tokens are needed: the signature is checked last, because that costs the most.
fn guarded_entry<'a>(
    request: &Request<'a>,
    pages: &Pages,
    door: impl FnOnce() -> Result<Door, EntryError>,
) -> Result<Entry<'a>, EntryError> {
    // Replaced at once: no client comes in by it.
    match chat_entry(request, pages, || Ok(Door::Unproven))? {
        Entry::Chat { upgrade, .. } => Ok(Entry::Chat { upgrade, door: door()? }),
        other => Ok(other),
    }
}

/// A browser cannot read the status of an upgrade that is refused, so the JSON door opens and says it inside.
fn guarded_json_door(request: &Request<'_>, guard: Guard<'_>) -> Result<Door, EntryError> {
    let Some(token) = token_of(request)? else { return Ok(Door::Unproven) };
    Ok(match guard.verifier.verify(&token, guard.unix_ms) {
        Ok(grant) => Door::Token { grant, room: None },
        Err(error) => Door::Refused(error),
    })
}

/// The plain dialect has no words for it: a client without a valid token gets a status.
fn guarded_plain_door(request: &Request<'_>, room: &str, guard: Guard<'_>) -> Result<Door, EntryError> {
    let room = parse(&decode(room, "room")?, "room", RoomName::parse)?;
    let token = token_of(request)?.ok_or(EntryError::Unauthorized(None))?;
    let grant = guard.verifier.verify(&token, guard.unix_ms).map_err(|error| EntryError::Unauthorized(Some(error)))?;
    no_comma(grant.user.as_str())?;
    match grant.may_enter(room.as_str()) {
        true => Ok(Door::Token { grant, room: Some(room) }),
        false => Err(EntryError::Room),
    }
}

/// The token that a request brings: in `Authorization`, else in the query, else among the sub-protocols.
fn token_of<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, str>>, EntryError> {
    if request.headers("authorization").count() > 1 {
        return Err(EntryError::Request(RequestError::RepeatedHeader("Authorization")));
    }
    // A scheme other than Bearer is for a proxy in front of us.
    let credentials = request.header("authorization").and_then(|value| value.split_once(' '));
    if let Some((scheme, token)) = credentials
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Ok(Some(token.trim_matches(' ').into()));
    }
    if let Some(token) = field(request, "token") {
        return decode(token, "token").map(Some);
    }
    let offered = request.tokens("sec-websocket-protocol").find_map(|protocol| protocol.strip_prefix(TOKEN_PROTOCOL));
    Ok(offered.map(Cow::from))
}

fn json_door(request: &Request<'_>) -> Result<Door, EntryError> {
    let user = name_of_user(request)?.map(|name| parse(&name, "user", UserName::parse)).transpose()?;
    Ok(Door::Json { user })
}

fn plain_door(request: &Request<'_>, room: &str) -> Result<Door, EntryError> {
    let missing = || EntryError::Bad("room and username are required".into());
    let room = decode(room, "room")?;
    let user = name_of_user(request)?.filter(|user| !user.is_empty()).ok_or_else(missing)?;
    if room.is_empty() {
        return Err(missing());
    }
    no_comma(&user)?;
    let room = parse(&room, "room", RoomName::parse)?;
    let user = parse(&user, "username", UserName::parse)?;
    Ok(Door::Plain { room, user })
}

/// The status and the note in the query, which a client can set before it is let in.
fn showing(request: &Request<'_>, door: Door) -> Result<Door, EntryError> {
    let field = |name: &str| match field(request, name) {
        None => Ok(None),
        Some(value) => decode(&value.replace('+', "%20"), name).map(|value| Some(value.into_owned())),
    };
    match (field("status")?, field("note")?) {
        (None, None) => Ok(door),
        (None, Some(_)) => Err(EntryError::Bad("note: expected a status beside it, found none".into())),
        (Some(status), note) => {
            let shows = Shows::parse(&status, note.as_deref()).map_err(EntryError::Bad)?;
            Ok(Door::Showing { shows, door: Box::new(door) })
        }
    }
}

/// `online_users` joins names by commas.
fn no_comma(user: &str) -> Result<(), EntryError> {
    match user.contains(',') {
        true => Err(EntryError::Bad("username: a comma is not allowed in the plain dialect".into())),
        false => Ok(()),
    }
}

/// The first of `user`, `username` and `user_id` in the query.
fn name_of_user<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, str>>, EntryError> {
    let found = ["user", "username", "user_id"].iter().find_map(|name| field(request, name));
    let Some(value) = found else { return Ok(None) };
    match value.contains('+') {
        // In a query, `+` is how forms write a space.
        true => Ok(Some(decode(&value.replace('+', "%20"), "user")?.into_owned().into())),
        false => decode(value, "user").map(Some),
    }
}

fn decode<'a>(encoded: &'a str, what: &str) -> Result<Cow<'a, str>, EntryError> {
    // The decoder lets a `%` pass without two digits behind it (RFC 3986 section 2.1); two readers could take that for
    // two names.
    let whole = |rest: &[u8]| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    let stands_for_one = encoded.split('%').skip(1).all(|rest| whole(rest.as_bytes()));
    let decoded = percent_decode_str(encoded).decode_utf8().ok().filter(|_| stands_for_one);
    decoded.ok_or_else(|| EntryError::Bad(format!("{what}: percent-encoded UTF-8 was expected").into()))
}

fn parse<T>(name: &str, what: &str, parse: impl FnOnce(&str) -> Result<T, NameError>) -> Result<T, EntryError> {
    parse(name).map_err(|error| EntryError::Bad(format!("{what}: {error}").into()))
}

/// The beginning of the paths of calls.
pub(super) const CALLS: &str = "/api/";

/// The path that says that the loop turns, whatever else may be wrong.
pub(super) const LIVE: &str = "/livez";

/// The path that says whether clients may come.
const READY: &str = "/readyz";

/// The methods of files and reports.
pub(super) const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// The sub-protocol of the JSON dialect.
const PROTOCOL: &str = "salon.v1";

/// The prefix of the sub-protocol in which a browser shows a token, because it can send neither headers nor, safely, a
/// query. It is never selected: that would send the token back.
const TOKEN_PROTOCOL: &str = "token.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::auth::{Claims, KeyId};
    use crate::chat::{Grant, TokenError};
    use crate::server::admin_key::AdminKey;
    use crate::server::operators::Operator;

    /// Knows tokens that say `NAME@ROOMS`, or `NAME!ROOMS`, which can stand among sub-protocols.
    #[derive(Debug)]
    struct Parrot;

    impl Verifier for Parrot {
        fn verify(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError> {
            let (name, rooms) = token.split_once(['@', '!']).ok_or(TokenError::Malformed)?;
            let claims = format!(r#"{{"sub":"{name}","exp":2,"rooms":["{rooms}"]}}"#);
            serde_json::from_str::<Claims>(&claims).map_err(|_| TokenError::Claims)?.grant(KeyId(0), unix_ms)
        }

        fn accepts(&self, _key: KeyId) -> bool {
            true
        }
    }

    /// Where a request leads, in a word.
    fn lead(line: &str, headers: &str, port: Port) -> String {
        lead_past(line, headers, port, None)
    }

    fn describe(door: Door, protocol: &str) -> String {
        match door {
            Door::Json { user } => format!("json {} {protocol}", user.map_or("-".into(), |user| user.to_string())),
            Door::Plain { room, user } => format!("plain {room} {user}"),
            Door::Token { grant, room: None } => format!("token {} {protocol}", grant.user),
            Door::Token { grant, room: Some(room) } => format!("plain token {room} {}", grant.user),
            Door::Unproven => format!("unproven {protocol}"),
            Door::Refused(error) => format!("refused {error:?}"),
            Door::Showing { shows, door } => {
                let parsed = |status, note| Shows::parse(status, note).unwrap() == shows;
                let seen = [("offline", None), ("away", Some("at lunch"))].iter().find(|row| parsed(row.0, row.1));
                format!("{} {}", seen.expect("a row for it").0, describe(*door, protocol))
            }
        }
    }

    fn lead_past(line: &str, headers: &str, port: Port, guard: Option<Guard<'_>>) -> String {
        let head = format!("{line}\r\nHost: chat.example:8080\r\n{headers}\r\n");
        let request = match Request::parse(head.as_bytes()) {
            Ok(request) => request,
            Err(error) => return error.status().to_string(),
        };
        let operator = |name: &str, rights: &str, key: &str| Operator {
            name: name.into(),
            rights: rights.parse().unwrap(),
            key: AdminKey::read(key.as_bytes()).unwrap(),
        };
        let operators = match port == Port::Admin && headers.contains("Authorization") {
            true => vec![
                operator("admin", "everything", KEY),
                operator("scraper", "metrics", SCRAPER),
                operator("mod", "read+moderate", MODERATOR),
            ],
            false => Vec::new(),
        };
        let operators = Operators::of(operators).unwrap();
        let pages = Pages { origins: vec!["https://other.example".parse().unwrap()], by_any_name: true };
        match enter(&request, port, &pages, guard, &operators) {
            Entry::Chat { upgrade, door } => describe(door, upgrade.encode(&mut Vec::new()).protocol().unwrap_or("-")),
            Entry::Asset(asset) => format!("file {}", asset.path),
            Entry::Report(report) => format!("{report:?}"),
            Entry::Look(look) => format!("{look:?}"),
            Entry::Options => "options".into(),
            Entry::Settings => "settings".into(),
            Entry::Reload(_) => "reload".into(),
            Entry::Refused(EntryError::Request(error)) => error.status().to_string(),
            Entry::Refused(EntryError::NotFound) => "404".into(),
            Entry::Refused(EntryError::Method) => "405".into(),
            Entry::Refused(EntryError::Bad(sentence)) => format!("400 {sentence}"),
            Entry::Refused(EntryError::Unauthorized(error)) => format!("401 {error:?}"),
            Entry::Refused(EntryError::Room | EntryError::Origin) => "403".into(),
            Entry::Refused(EntryError::Host) => "421".into(),
            Entry::Refused(EntryError::TooFast | EntryError::AskedTooFast) => "429".into(),
            Entry::Refused(EntryError::Page) => "400".into(),
            Entry::Refused(EntryError::NoSession) => "404".into(),
            Entry::Refused(EntryError::Mistake) => "500".into(),
            Entry::Refused(EntryError::Full | EntryError::Memory | EntryError::Stopping) => "503".into(),
            Entry::Call(head, who) if &*who == "mod" => format!("call {} of mod", head.named.as_str()),
            Entry::Call(head, _) => format!("call {}", head.named.as_str()),
            Entry::Refused(EntryError::Key { .. }) => "401".into(),
            Entry::Refused(EntryError::Right(right)) => format!("403 {right:?}"),
            Entry::Refused(EntryError::Call(error)) => error.words().0.to_string(),
        }
    }

    const KEY: &str = "0123456789abcdef";
    const SCRAPER: &str = "the-key-of-the-scraper";
    const MODERATOR: &str = "the-key-of-a-moderator";

    const STATUS: &str = "400 `status`: expected online, away, busy or offline, found another word";

    #[test]
    fn the_operators_doors() {
        let json = "Content-Type: application/json\r\n";
        let shown = format!("{json}Authorization: Bearer {KEY}\r\n");
        let wrong = "Content-Type: application/json\r\nAuthorization: Bearer x\r\n";
        let scraper = format!("{json}Authorization: Bearer {SCRAPER}\r\n");
        let moderator = format!("{json}Authorization: Bearer {MODERATOR}\r\n");
        for (line, headers, port, expected) in [
            ("POST /api/publish", &*shown, Port::Admin, "call publish"),
            ("GET /metrics", &scraper, Port::Admin, "Metrics"),
            ("GET /health", &scraper, Port::Admin, "Counters"),
            ("GET /top", &scraper, Port::Admin, "403 Read"),
            ("GET /settings", &scraper, Port::Admin, "403 Read"),
            ("GET /settings", &moderator, Port::Admin, "settings"),
            ("GET /settings", &shown, Port::Public, "404"),
            ("GET /settings", "", Port::Admin, "403"),
            ("GET /connections", &scraper, Port::Admin, "403 Read"),
            ("GET /connections/910a2dec89025cc1", &scraper, Port::Admin, "403 Read"),
            ("GET /nowhere", &scraper, Port::Admin, "404"),
            ("POST /api/history", &scraper, Port::Admin, "call history"),
            ("POST /api/ban", &moderator, Port::Admin, "call ban of mod"),
            ("POST /api/history", &moderator, Port::Admin, "call history of mod"),
            ("POST /api/direct", &moderator, Port::Admin, "call direct of mod"),
            ("POST /api/reload", &moderator, Port::Admin, "reload"),
            ("GET /metrics", &moderator, Port::Admin, "403 Metrics"),
            ("GET /readyz", &scraper, Port::Admin, "Ready"),
            ("GET /readyz", "", Port::Public, "PublicReady"),
            ("GET /livez", "", Port::Public, "404"),
            ("POST /api/publish", wrong, Port::Admin, "401"),
            ("POST /api/nothing", wrong, Port::Admin, "401"),
            ("POST /api/nothing", &shown, Port::Admin, "404"),
            ("POST /api/", &shown, Port::Admin, "404"),
            ("POST /api", &shown, Port::Admin, "404"),
            ("GET /api/publish", &shown, Port::Admin, "405"),
            ("POST /api/reload", &shown, Port::Admin, "reload"),
            ("GET /api/reload", &shown, Port::Admin, "405"),
            ("POST /api/reload", &format!("Authorization: Bearer {KEY}\r\n"), Port::Admin, "415"),
            ("POST /api/reload", wrong, Port::Admin, "401"),
            ("POST /api/reload", &shown, Port::Public, "404"),
            ("POST /api/publish", &shown, Port::Public, "404"),
            ("POST /api/publish", &shown, Port::Crowded, "404"),
            // The host of these requests is a name, not an address.
            ("POST /api/publish", json, Port::Admin, "403"),
            ("GET /connections", "", Port::Admin, "403"),
            ("GET /connections/910a2dec89025cc1", "", Port::Admin, "403"),
            ("GET /connections/910a2dec89025cc1", &shown, Port::Admin, "Session(10451216379200822465)"),
            ("GET /top", "", Port::Admin, "403"),
            ("GET /health", "", Port::Admin, "403"),
            ("GET /metrics", "", Port::Admin, "403"),
            ("GET /nowhere", "", Port::Admin, "403"),
            ("GET /livez", "Origin: http://evil.example\r\n", Port::Admin, "Live"),
            // The host of an absolute target counts.
            ("GET http://127.0.0.1:8081/health", "", Port::Admin, "Counters"),
            ("GET http://evil.example/health", "", Port::Admin, "403"),
            ("GET /health", &shown, Port::Admin, "Counters"),
            ("GET /metrics", &shown, Port::Admin, "Metrics"),
            ("GET /nowhere", &shown, Port::Admin, "404"),
            ("GET /top", &shown, Port::Admin, "Top"),
            ("GET /", &shown, Port::Admin, "404"),
            ("GET /ws", &shown, Port::Admin, "404"),
            ("POST /top", &shown, Port::Admin, "405"),
            ("GET /connections/ff", &shown, Port::Admin, "404"),
            ("GET /connections/+10a2dec89025cc1", &shown, Port::Admin, "404"),
            ("GET /connections", &shown, Port::Admin, "Connections"),
            ("POST /connections", &shown, Port::Admin, "405"),
            ("GET /connections", wrong, Port::Admin, "401"),
            ("GET /connections", &shown, Port::Public, "404"),
            ("GET /metrics", wrong, Port::Admin, "401"),
            ("GET /health", wrong, Port::Admin, "401"),
            ("GET /nowhere", wrong, Port::Admin, "401"),
            ("GET /livez", wrong, Port::Admin, "Live"),
            ("GET /readyz", wrong, Port::Admin, "Ready"),
        ] {
            assert_eq!(lead(&format!("{line} HTTP/1.1"), headers, port), expected, "{line} {headers}");
        }
    }

    #[test]
    fn guarded_doors() {
        let guard = Guard { verifier: &Parrot, unix_ms: 1000 };
        for (target, headers, expected) in [
            ("/ws", "", "unproven -"),
            ("/ws?user=alice", "", "unproven -"),
            ("/ws?status=offline", "", "offline unproven -"),
            ("/ws?token=ann@*&status=away&note=at+lunch", "", "away token ann -"),
            ("/ws?token=ann@*&status=hidden", "", STATUS),
            ("/ws", "Sec-WebSocket-Protocol: salon.v1\r\n", "unproven salon.v1"),
            ("/ws", "Authorization: Basic YTpi\r\n", "unproven -"),
            ("/ws?token=ann@*", "", "token ann -"),
            ("/ws?user=bob&token=ann%40*", "", "token ann -"),
            ("/ws?token=", "", "refused Malformed"),
            ("/ws?token=nobody", "", "refused Malformed"),
            ("/ws?token=%ff", "", "400 token: percent-encoded UTF-8 was expected"),
            ("/ws?token=ann@%", "", "400 token: percent-encoded UTF-8 was expected"),
            ("/ws/%zz?token=ann@*", "", "400 room: percent-encoded UTF-8 was expected"),
            ("/ws", "Authorization: Bearer ann@*\r\n", "token ann -"),
            ("/ws", "authorization: bearer  ann@* \r\n", "token ann -"),
            ("/ws?token=bob@*", "Authorization: Bearer ann@*\r\n", "token ann -"),
            ("/ws", "Authorization: Bearer\r\n", "unproven -"),
            ("/ws", "Authorization: Bearer x\r\n", "refused Malformed"),
            ("/ws", "Authorization: Bearer ann@*\r\nAuthorization: Bearer ann@*\r\n", "400"),
            ("/ws", "Sec-WebSocket-Protocol: salon.v1, token.ann!*\r\n", "token ann salon.v1"),
            ("/ws", "Sec-WebSocket-Protocol: token.ann!*\r\n", "token ann -"),
            ("/ws", "Sec-WebSocket-Protocol: salon.v1, token.x\r\n", "refused Malformed"),
            ("/ws?token=ann@*", "Origin: http://evil.example\r\n", "403"),
            ("/ws/den?username=ann", "", "401 None"),
            ("/ws/den?token=x", "", "401 Some(Malformed)"),
            ("/ws/den?token=ann@*", "", "plain token den ann"),
            ("/ws/den?username=bob&token=ann@d*", "", "plain token den ann"),
            ("/ws/den?token=ann@attic", "", "403"),
            ("/ws/den", "Authorization: Bearer ann@den\r\n", "plain token den ann"),
            ("/ws/den?token=a,b@*", "", "400 username: a comma is not allowed in the plain dialect"),
        ] {
            let line = format!("GET {target} HTTP/1.1");
            let found = lead_past(&line, &format!("{UPGRADE}{headers}"), Port::Public, Some(guard));
            assert_eq!(found, expected, "{target} {headers}");
        }
        let late = Guard { unix_ms: 12_000, ..guard };
        let headers = format!("{UPGRADE}Authorization: Bearer ann@*\r\n");
        assert_eq!(lead_past("GET /ws HTTP/1.1", &headers, Port::Public, Some(late)), "refused Expired");
        assert_eq!(lead_past("GET /ws/den HTTP/1.1", &headers, Port::Public, Some(late)), "401 Some(Expired)");
        assert_eq!(lead_past("GET /ws HTTP/1.1", "", Port::Public, Some(guard)), "426");
        assert_eq!(lead_past("GET / HTTP/1.1", "", Port::Public, Some(guard)), "file /");
        assert_eq!(upgrade("/ws?token=ann@*", ""), "json - -", "without a guard a token means nothing");
    }

    fn upgrade(target: &str, more: &str) -> String {
        lead(&format!("GET {target} HTTP/1.1"), &format!("{UPGRADE}{more}"), Port::Public)
    }

    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    #[test]
    fn chat_doors() {
        for (target, expected) in [
            ("/ws", "json - -"),
            ("/ws?user=alice", "json alice -"),
            ("/ws?user=alice&status=offline", "offline json alice -"),
            ("/ws?user=alice&note=at%20lunch&status=away", "away json alice -"),
            ("/ws/lobby?username=bob&status=offline", "offline plain lobby bob"),
            ("/ws?user=alice&status=", STATUS),
            ("/ws?user=alice&status=Offline", STATUS),
            ("/ws?user=alice&note=x", "400 note: expected a status beside it, found none"),
            (
                "/ws?user=alice&status=away&note=a%E2%80%8Bb",
                "400 `note`: expected characters that a name may have, found U+200B",
            ),
            ("/ws?user=alice&status=away&note=+a", "400 `note`: expected no space at either end, found one"),
            (
                "/ws?user=alice&status=away&note=%0a",
                "400 `note`: expected characters that a name may have, found U+000A",
            ),
            ("/ws?x=1&username=alice", "json alice -"),
            ("/ws?user_id=a%20b", "json a b -"),
            ("/ws?user=a+b", "json a b -"),
            ("/ws/a+b?username=c+d%2Be", "plain a+b c d+e"),
            ("/ws?user=%E2%82%AC", "json € -"),
            ("/ws?user=%ff", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws?user=%zz", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws?user=100%", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws?user=a%4", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws?user=%+41", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws?user=%%34%31", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws?user=100%25", "json 100% -"),
            ("/ws?user=%c3%A9", "json \u{e9} -"),
            ("/ws/%zz?username=bob", "400 room: percent-encoded UTF-8 was expected"),
            ("/ws/%?username=bob", "400 room: percent-encoded UTF-8 was expected"),
            ("/ws/den?username=%e2%82%a", "400 user: percent-encoded UTF-8 was expected"),
            ("/ws/den?username=bob&x=%zz", "plain den bob"),
            ("/ws?user=a%0ab", "400 user: a name has no control characters and no bidi overrides, this one has U+000A"),
            ("/ws?user=", "400 user: a name has 1 to 128 bytes, this one is empty"),
            ("/ws?user=*", "400 user: \"*\" means everybody and is no name"),
            ("/ws/lobby?username=bob", "plain lobby bob"),
            ("/ws/lobby?user=bob", "plain lobby bob"),
            ("/ws/a%2Fb?username=bob", "plain a/b bob"),
            ("/ws/lobby", "400 room and username are required"),
            ("/ws/lobby?username=", "400 room and username are required"),
            ("/ws/?username=bob", "400 room and username are required"),
            ("/ws/lobby?username=a,b", "400 username: a comma is not allowed in the plain dialect"),
            (
                "/ws/lo%00bby?username=b",
                "400 room: a name has no control characters and no bidi overrides, this one has U+0000",
            ),
            ("/ws/a/b?username=bob", "404"),
            ("http://chat.example:8080/ws?user=a", "json a -"),
            ("https://chat.example:8080/ws?user=a", "json a -"),
            ("HTTPS://other.example/ws?user=a", "json a -"),
        ] {
            assert_eq!(upgrade(target, ""), expected, "{target}");
        }
        assert_eq!(upgrade("/ws", "Sec-WebSocket-Protocol: other, salon.v1\r\n"), "json - salon.v1");
        assert_eq!(upgrade("/ws", "Sec-WebSocket-Protocol: other\r\n"), "json - -");
    }

    #[test]
    fn pages_and_reports() {
        for (line, port, expected) in [
            ("GET / HTTP/1.1", Port::Public, "file /"),
            ("HEAD /client.js HTTP/1.1", Port::Public, "file /client.js"),
            ("GET /worker.js HTTP/1.1", Port::Public, "file /worker.js"),
            // The sources of the page are packed, and not served one by one.
            ("GET /conversations.js HTTP/1.1", Port::Public, "404"),
            ("GET /?room=x HTTP/1.1", Port::Public, "file /"),
            ("GET /favicon.ico HTTP/1.0", Port::Public, "file /icon.svg"),
            ("POST / HTTP/1.1", Port::Public, "405"),
            ("POST /ws HTTP/1.1", Port::Public, "405"),
            ("GET /ws HTTP/1.1", Port::Public, "426"),
            ("GET /ws/lobby?username=bob HTTP/1.1", Port::Public, "426"),
            ("GET /health HTTP/1.1", Port::Public, "Health"),
            ("GET https://h/health HTTP/1.1", Port::Public, "Health"),
            ("GET http://h HTTP/1.1", Port::Public, "file /"),
            ("GET http://h?x=/health HTTP/1.1", Port::Public, "file /"),
            ("GET http:///health HTTP/1.1", Port::Public, "400"),
            ("GET http://me@h/health HTTP/1.1", Port::Public, "400"),
            ("GET http:/health HTTP/1.1", Port::Public, "404"),
            ("GET ftp://h/health HTTP/1.1", Port::Public, "404"),
            ("GET /metrics HTTP/1.1", Port::Public, "404"),
            ("GET /livez HTTP/1.1", Port::Admin, "Live"),
            ("GET /readyz HTTP/1.1", Port::Admin, "Ready"),
            ("GET /top HTTP/1.1", Port::Public, "404"),
            ("GET / HTTP/1.1", Port::Refused, "503"),
            ("GET / HTTP/1.1", Port::TooFast, "429"),
            ("GET / HTTP/1.1", Port::Crowded, "file /"),
            ("GET /health HTTP/1.1", Port::Crowded, "Health"),
            ("GET /metrics HTTP/1.1", Port::Crowded, "404"),
            ("GET /%2e%2e/etc/passwd HTTP/1.1", Port::Public, "404"),
            ("GET //etc/passwd HTTP/1.1", Port::Public, "404"),
            ("GET /../Cargo.toml HTTP/1.1", Port::Public, "404"),
            ("GET /%00 HTTP/1.1", Port::Public, "404"),
            ("OPTIONS * HTTP/1.1", Port::Public, "options"),
            ("OPTIONS * HTTP/1.0", Port::Public, "options"),
            ("OPTIONS / HTTP/1.0", Port::Public, "options"),
            ("OPTIONS /health HTTP/1.1", Port::Public, "options"),
            ("OPTIONS /nothing HTTP/1.1", Port::Public, "404"),
            ("OPTIONS /ws HTTP/1.1", Port::Public, "405"),
            ("OPTIONS / HTTP/1.0", Port::Refused, "503"),
            ("OPTIONS /readyz HTTP/1.0", Port::Admin, "options"),
            ("OPTIONS /metrics HTTP/1.0", Port::Admin, "403"),
            ("OPTIONS * HTTP/1.0", Port::Admin, "403"),
            ("GET * HTTP/1.1", Port::Public, "404"),
        ] {
            assert_eq!(lead(line, "", port), expected, "{line}");
        }
        assert_eq!(lead("GET / HTTP/1.1", "Content-Length: 3\r\n", Port::Public), "400");
    }

    #[test]
    fn origins() {
        for (origin, allowed) in [
            ("http://chat.example:8080", true),
            ("https://chat.example:8080", true),
            ("http://CHAT.example:8080", true),
            ("https://other.example", true),
            // Each form counts: a browser sends the first, a program may send another.
            ("https://other.example:443", true),
            ("https://OTHER.example", true),
            ("https://other.example/", false),
            ("https://other.example:8443", false),
            ("http://other.example", false),
            ("http://chat.example", false),
            ("http://chat.example:8081", false),
            ("http://chat.example:8080.evil.example", false),
            ("http://evil-chat.example:8080", false),
            ("http://user@chat.example:8080", false),
            ("null", false),
            ("", false),
            ("file://", false),
        ] {
            let expected = if allowed { "json - -" } else { "403" };
            assert_eq!(upgrade("/ws", &format!("Origin: {origin}\r\n")), expected, "{origin:?}");
        }
        assert_eq!(upgrade("/ws", "Origin: http://chat.example:8080\r\nOrigin: x\r\n"), "403");
        // RFC 9112 §3.2.2: the host of an absolute target takes the place of the header.
        for (origin, allowed) in [("http://target.example", true), ("http://chat.example:8080", false)] {
            let expected = if allowed { "json - -" } else { "403" };
            assert_eq!(upgrade("http://target.example/ws", &format!("Origin: {origin}\r\n")), expected, "{origin}");
        }
    }
}
