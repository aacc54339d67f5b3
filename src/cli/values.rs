//! The values of options: how they are read, and the errors of wrong ones.
//!
//! [`super::args`] declares the options.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;

#[cfg(feature = "redis")]
use crate::backend::redis;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
use crate::chat;
use crate::server::forwarded::Header;
use crate::server::jwt::Algorithm;
use crate::server::logging;
use crate::server::operators::Rights;

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogArg {
    /// In general.
    pub level: LevelFilter,
    /// In some modules.
    pub modules: Vec<(String, LevelFilter)>,
}

impl FromStr for LogArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (level, modules) = text.split_once(',').unwrap_or((text, ""));
        let modules = modules.split(',').filter(|module| !module.is_empty());
        level
            .parse()
            .ok()
            .zip(
                modules
                    .map(|module| {
                        module.split_once('=').and_then(|(name, level)| Some((name.to_owned(), level.parse().ok()?)))
                    })
                    .collect(),
            )
            .map(|(level, modules)| Self { level, modules })
            .ok_or_else(|| {
                "expected off, error, warn, info, debug or trace, such as info or info,salon::server=debug".into()
            })
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFormat(pub logging::Format);

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self(logging::Format::Text)),
            "json" => Ok(Self(logging::Format::Json)),
            _ => Err("expected text or json".into()),
        }
    }
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Anybody, under any name.
    Open,
    /// Who brings a signed token.
    Jwt,
}

impl FromStr for Auth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "jwt" | "token" => Ok(Self::Jwt),
            _ => Err("expected open or jwt".into()),
        }
    }
}

/// The people who may do what everybody in a room sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhoArg(pub chat::Who);

impl FromStr for WhoArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "members" => Ok(Self(chat::Who::Members)),
            "role" => Ok(Self(chat::Who::Moderators)),
            "operator" => Ok(Self(chat::Who::Operator)),
            _ => Err("expected members, role or operator".into()),
        }
    }
}

/// The people who may make rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateRooms {
    /// Anybody who is let in.
    Everybody,
    /// Whose token says so.
    Role,
}

impl FromStr for CreateRooms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "everybody" => Ok(Self::Everybody),
            "role" => Ok(Self::Role),
            _ => Err("expected everybody or role".into()),
        }
    }
}

/// Where a key is, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArg {
    /// What for.
    pub algorithm: Algorithm,
    /// Where.
    pub file: PathBuf,
}

impl FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').filter(|(_, file)| !file.is_empty());
        parts
            .and_then(|(algorithm, file)| Some(Self { algorithm: algorithm.parse().ok()?, file: file.into() }))
            .ok_or_else(|| "expected HS256:FILE, RS256:FILE or EdDSA:FILE".into())
    }
}

/// An operator, what they may do, and where their key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorArg {
    /// The name in the log.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
    /// Where the key is.
    pub file: PathBuf,
}

impl FromStr for OperatorArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (name, rest) = text.split_once(':')?;
            let (rights, file) = rest.split_once(':')?;
            let named =
                (1..=MAX_OPERATOR_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
            (named && !file.is_empty()).then_some((name, rights, file))
        };
        let (name, rights, file) = parts().ok_or(
            "expected NAME:RIGHTS:FILE, such as prometheus:metrics:/etc/salon/prometheus.key; a name has 1 to 64 \
             printable ASCII characters without spaces",
        )?;
        let rights = rights.parse().map_err(|()| {
            format!("expected metrics, read, speak, moderate with + between them, or everything, found {rights:?}")
        })?;
        Ok(Self { name: name.into(), rights, file: file.into() })
    }
}

/// The longest name of an operator.
const MAX_OPERATOR_BYTES: usize = 64;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceArg {
    /// On that port.
    Tcp(SocketAddr),
    /// By that Unix socket.
    Unix(PathBuf),
}

impl FromStr for PlaceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, "or unix:PATH")
    }
}

impl PlaceArg {
    /// Reads one; `otherwise` says what else than ADDRESS:PORT there might be.
    fn parse(text: &str, otherwise: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => fits_a_socket(path.as_ref()).map(|()| Self::Unix(path.into())),
            Some(_) => Err("expected a path behind unix:, such as unix:/run/salon.sock".into()),
            None => parse_address(text).map(Self::Tcp).map_err(|error| format!("{error}, {otherwise}")),
        }
    }
}

/// That a path fits into the address of a socket, which has room for some hundred bytes.
pub(super) fn fits_a_socket(path: &Path) -> Result<(), String> {
    let len = path.as_os_str().len();
    match std::os::unix::net::SocketAddr::from_pathname(path) {
        Err(_) if len > 100 => {
            Err(format!("expected a path that a Unix socket can have, of some 100 bytes, found one of {len}"))
        }
        _ => Ok(()),
    }
}

/// Where people come in without TLS, or the operator: one of several places, or nowhere at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// There.
    At(PlaceArg),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            text => PlaceArg::parse(text, "unix:PATH, or off").map(Self::At),
        }
    }
}

/// Where a running server can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminArg {
    /// Where its setting says.
    There(Listen),
    /// At a URL.
    Url {
        /// It begins with `https`.
        tls: bool,
        /// The host, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl FromStr for AdminArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return text.parse().map(Self::There),
        };
        let place = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
            None => place.split_once(':').map_or((place, Some("")), |(host, port)| (host, Some(port))),
        };
        let usual = if tls { 443 } else { 80 };
        let port = port.and_then(|port| if port.is_empty() { Some(usual) } else { port.parse().ok() });
        let is_host =
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
        match port.filter(|_| is_host) {
            Some(port) => Ok(Self::Url { tls, host: host.into(), port }),
            None => Err("expected https://HOST:PORT, such as https://chat.example:8081".into()),
        }
    }
}

/// The header in which proxies say for whom they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedArg(pub Header);

impl FromStr for ForwardedArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match &*text.to_ascii_lowercase() {
            "x-forwarded-for" => Ok(Self(Header::XForwardedFor)),
            "forwarded" => Ok(Self(Header::Forwarded)),
            _ => Err("expected x-forwarded-for or forwarded".into()),
        }
    }
}

/// Where the PROXY protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocolArg {
    /// At `listen`.
    Listen,
    /// At `tls_listen`.
    TlsListen,
}

impl FromStr for ProxyProtocolArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "listen" => Ok(Self::Listen),
            "tls-listen" | "tls_listen" => Ok(Self::TlsListen),
            _ => Err("expected listen or tls-listen".into()),
        }
    }
}

/// Where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreArg {
    /// In this process.
    Memory,
    /// In a file.
    File(PathBuf),
    /// On a Redis, with other nodes.
    #[cfg(feature = "redis")]
    Redis(redis::Server),
}

impl FromStr for StoreArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "memory" => Ok(Self::Memory),
            "" => Err("expected the path of a file, or memory".into()),
            _ if text.starts_with("redis:") || text.starts_with("rediss:") => redis_of(text),
            _ if text.contains("://") || text.trim_start().to_ascii_lowercase().starts_with("redis:") => {
                Err("expected the path of a file, memory, redis://HOST or rediss://HOST, found another address".into())
            }
            _ if text.trim_matches(':').eq_ignore_ascii_case("memory") => {
                Err(format!("expected the path of a file, or memory; a file of that name is ./{text}"))
            }
            #[cfg(feature = "sqlite")]
            _ => match sqlite::end_beside(text.as_ref()) {
                Some(end) => {
                    Err(format!("expected a name that does not end in {end}, as what lies beside a store does"))
                }
                None => Ok(Self::File(text.into())),
            },
            #[cfg(not(feature = "sqlite"))]
            _ => Err("expected memory: this Salon was built without the feature sqlite".into()),
        }
    }
}

#[cfg(not(feature = "redis"))]
fn redis_of(_: &str) -> Result<StoreArg, String> {
    Err("expected the path of a file, or memory: this Salon was built without the feature redis".into())
}

/// `redis://user:password@host:port/db`, of which all but the host may be left out; `rediss://` with TLS.
#[cfg(feature = "redis")]
fn redis_of(text: &str) -> Result<StoreArg, String> {
    // The text may have a password, and is in no sentence.
    let wrong = |what: &str| format!("expected redis://USER:PASSWORD@HOST:PORT/DB, found {what}");
    let (tls, rest) = match (text.strip_prefix("redis://"), text.strip_prefix("rediss://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(wrong("another form")),
    };
    let (who, place) = rest.rsplit_once('@').map_or(("", rest), |(who, place)| (who, place));
    let (address, db) = place.split_once('/').unwrap_or((place, ""));
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.contains(',') {
        return Err(wrong(if host.is_empty() { "no host" } else { "several, of which Salon uses one" }));
    }
    let port = port.map_or(Ok(6379), |port| port.parse().map_err(|_| wrong("a port that is none")))?;
    let db = if db.is_empty() { 0 } else { db.parse().map_err(|_| wrong("a database that is no number"))? };
    let (user, password) = who.split_once(':').map_or((who, None), |(user, password)| (user, Some(password)));
    let decode = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8();
        text.map(String::from).map_err(|_| wrong("a user or a password that is not UTF-8"))
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    let password = password.map(decode).transpose()?.filter(|password| !password.is_empty());
    Ok(StoreArg::Redis(redis::Server { tls, host: host.into(), port, db, user, password }))
}

/// The name that all keys in Redis begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixArg(pub String);

impl FromStr for PrefixArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        match (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            true => Ok(Self(text.into())),
            false => Err("expected 1 to 64 letters, digits, `-`, `_` or `.`".into()),
        }
    }
}

/// How many messages are kept of a conversation; `None`: all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryArg(pub Option<usize>);

impl FromStr for HistoryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        unless_unlimited(text, |text| in_range(text, 0, 1_000_000_000)).map(Self)
    }
}

/// How long messages are kept; `None`: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryAgeArg(pub Option<Duration>);

impl FromStr for HistoryAgeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        unless_unlimited(text, parse_time).map(Self)
    }
}

/// How large the file of messages may become; `None`: as large as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSizeArg(pub Option<usize>);

impl FromStr for StoreSizeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        unless_unlimited(text, |text| size_in_range(text, 1 << 20, 1 << 50, "1MiB to 1048576GiB")).map(Self)
    }
}

/// A value, or none for the word that says so.
fn unless_unlimited<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    match text {
        "unlimited" => Ok(None),
        _ => parse(text).map(Some).map_err(|error| format!("{error}, or unlimited")),
    }
}

/// What a kept message has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurabilityArg {
    /// The end of the process.
    Process,
    /// The end of the machine.
    Power,
}

impl FromStr for DurabilityArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "process" => Ok(Self::Process),
            "power" => Ok(Self::Power),
            _ => Err("expected process or power".into()),
        }
    }
}

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryArg(pub Option<usize>);

impl FromStr for MemoryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => size_in_range(text, 16 << 20, 1 << 40, "16MiB to 1024GiB")
                .map(|bytes| Self(Some(bytes)))
                .map_err(|error| format!("{error}, or off")),
        }
    }
}

/// How fast a person may talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateArg {
    /// As fast as they can.
    Off,
    /// So many a second, and so many at once.
    On {
        /// Messages a second.
        per_second: u32,
        /// Messages at once.
        burst: u32,
    },
}

impl FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = chat::Rate::parse(text)?;
        Ok(rate.map_or(Self::Off, |chat::Rate { per_second, burst }| Self::On { per_second, burst }))
    }
}

pub(super) fn parse_connections(text: &str) -> Result<usize, String> {
    in_range(text, 1, 10_000_000)
}

pub(super) fn parse_per_address(text: &str) -> Result<u32, String> {
    in_range(text, 1, 10_000_000).map(|number| number as u32)
}

pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    in_range(text, 1, 65_535).map(|port| port as u16)
}

pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    // A number without the prefix of a base is octal, as for chmod; one with a prefix is what it says, and never octal
    // digits.
    let mode = match digits_of(text) {
        (digits, 10) => whole(digits, 8),
        (digits, base) => whole(digits, base),
    };
    let mode = mode.filter(|&mode| mode <= 0o777).map(|mode| mode as u32);
    mode.ok_or_else(|| "expected permissions in octal from 0 to 777, such as 660 or 0o660".into())
}

pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    in_range(text, 1, 10_000_000)
}

pub(super) fn parse_message_bytes(text: &str) -> Result<usize, String> {
    size_in_range(text, 125, 16 << 20, "125 to 16MiB")
}

pub(super) fn parse_outbox(text: &str) -> Result<usize, String> {
    size_in_range(text, 64 << 10, 1 << 30, "64KiB to 1GiB")
}

pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    size_in_range(text, 0, 1 << 40, "0 to 1024GiB")
}

/// A number of bytes, or of KiB, MiB or GiB.
fn size_in_range(text: &str, least: usize, most: usize, range: &str) -> Result<usize, String> {
    let (number, unit) = number_and_unit(text);
    let shift = [("", 0), ("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30)].into_iter().find(|(name, _)| *name == unit);
    let number = number_of(number.trim_end()).and_then(|number| usize::try_from(number).ok());
    let size = number.zip(shift).and_then(|(number, (_, shift))| number.checked_mul(1 << shift));
    size.filter(|size| (least..=most).contains(size))
        .ok_or_else(|| format!("expected a size from {range}, such as 65536, 64KiB or 1MiB"))
}

/// A number of seconds, or of minutes, hours or days with the letter for it.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text);
    let seconds = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let number = number_of(number);
    let time = number.zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    time.filter(|time| (1..=MAX_TIME).contains(time))
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a time from 1s to 3650d, such as 30s, 15m, 1h or 7d".into())
}

/// A time that may be none.
pub(super) fn parse_wait(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        _ => parse_time(text).map_err(|error| format!("{error}, or 0")),
    }
}

/// How long a message may be held back: not at all, or some milliseconds. More would be felt.
pub(super) fn parse_flush_delay(text: &str) -> Result<Duration, String> {
    let time = match text.strip_suffix("ms") {
        Some(number) => number.parse::<u64>().ok().filter(|number| (1..=1000).contains(number)),
        None => (text == "0").then_some(0),
    };
    time.map(Duration::from_millis).ok_or_else(|| "expected 0 or a time from 1ms to 1000ms, such as 20ms".into())
}

/// Ten years, in seconds.
const MAX_TIME: u64 = 3650 * 86_400;

/// A number and the letters behind it; the digits of another base are no unit.
fn number_and_unit(text: &str) -> (&str, &str) {
    match digits_of(text) {
        (_, 10) => text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len()),
        _ => (text, ""),
    }
}

/// The digits of a number, and the base that its prefix says, as TOML has them: `0x1f`, `0o37`, `0b11111`, `31`.
fn digits_of(text: &str) -> (&str, u32) {
    let based = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter();
    based.filter_map(|(prefix, base)| Some((text.strip_prefix(prefix)?, base))).next().unwrap_or((text, 10))
}

/// A whole number, in the base that it says.
fn number_of(text: &str) -> Option<u64> {
    let (digits, base) = digits_of(text);
    whole(digits, base)
}

fn whole(digits: &str, base: u32) -> Option<u64> {
    // `from_str_radix` alone would take "+5".
    digits.bytes().all(|digit| digit.is_ascii_alphanumeric()).then(|| u64::from_str_radix(digits, base).ok()).flatten()
}

fn in_range(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = number_of(text).and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

/// `HOST:PORT` with an IP address or `localhost`.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    address.parse().map_err(|_| "expected ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_addresses() {
        assert_eq!("off".parse(), Ok(RateArg::Off));
        assert_eq!("20:40".parse(), Ok(RateArg::On { per_second: 20, burst: 40 }));
        for wrong in ["", "20", "20:", "0:1", "1:0", "a:b", "1:2:3", "-1:2", "1000001:1"] {
            assert!(wrong.parse::<RateArg>().is_err(), "{wrong}");
        }
        assert_eq!("off".parse(), Ok(Listen::Off));
        for (text, good) in [
            ("bot:speak:/k", true),
            ("bot:read+speak:/k:2", true),
            ("a:everything:k", true),
            ("bot:speak", false),
            (":speak:/k", false),
            ("bot:speak:", false),
            ("bot:dance:/k", false),
            ("the bot:speak:/k", false),
        ] {
            assert_eq!(text.parse::<OperatorArg>().is_ok(), good, "{text}");
        }
        assert_eq!("localhost:1".parse(), Ok(Listen::At(PlaceArg::Tcp(([127, 0, 0, 1], 1).into()))));
        assert!("8080".parse::<Listen>().is_err());
        let url = |tls, host: &str, port| Ok(AdminArg::Url { tls, host: host.into(), port });
        for (text, expected) in [
            ("https://chat.example:8081", url(true, "chat.example", 8081)),
            ("https://chat.example/", url(true, "chat.example", 443)),
            ("http://10.0.0.1:8081/", url(false, "10.0.0.1", 8081)),
            ("https://[::1]:8081", url(true, "::1", 8081)),
            ("https://[::1]", url(true, "::1", 443)),
            ("127.0.0.1:1", Ok(AdminArg::There(Listen::At(PlaceArg::Tcp(([127, 0, 0, 1], 1).into()))))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for wrong in [
            "https://",
            "https://a:b",
            "https://a:99999",
            "https://a/b",
            "https://a b",
            "https://u@a",
            "https://[::1]x",
        ] {
            assert!(wrong.parse::<AdminArg>().is_err(), "{wrong}");
        }
        assert_eq!("unix:/run/salon.sock".parse(), Ok(Listen::At(PlaceArg::Unix("/run/salon.sock".into()))));
        assert_eq!("off".parse(), Ok(Listen::Off));
        for wrong in ["", "unix:", "8080", "/run/salon.sock"] {
            assert!(wrong.parse::<Listen>().is_err() && wrong.parse::<PlaceArg>().is_err(), "{wrong}");
        }
        assert!("off".parse::<PlaceArg>().is_err());
        for (text, mode) in [
            ("660", 0o660),
            ("0", 0),
            ("777", 0o777),
            ("0660", 0o660),
            ("0o660", 0o660),
            ("0x1B0", 0o660),
            ("0x1b0", 0o660),
            ("0b110110000", 0o660),
            ("0x1ff", 0o777),
        ] {
            assert_eq!(parse_mode(text), Ok(mode), "{text}");
        }
        for wrong in ["", "1000", "888", "-1", "+660", "rw", "0o", "0o1000", "0o8", "0x200", "0xg", "0b2", "0o+660"] {
            assert!(parse_mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn budgets() {
        for (text, bytes) in [("off", None), ("16MiB", Some(16 << 20)), ("1GiB", Some(1 << 30))] {
            assert_eq!(text.parse(), Ok(MemoryArg(bytes)));
        }
        for wrong in ["", "on", "0", "15MiB", "256MB", "2000GiB"] {
            assert!(wrong.parse::<MemoryArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn where_messages_are_kept() {
        assert_eq!("memory".parse(), Ok(StoreArg::Memory));
        let file = "./memory".parse::<StoreArg>();
        assert_eq!(file.is_ok_and(|store| store == StoreArg::File("./memory".into())), cfg!(feature = "sqlite"));
        for wrong in [
            "",
            "valkey://127.0.0.1",
            "REDIS://127.0.0.1",
            " redis://127.0.0.1",
            "Redis:x",
            "unix:///run/redis.sock",
            "memory://",
            "redis://",
            // A file of that name would have been made, and nothing kept in memory.
            ":memory:",
            "memory:",
            "Memory",
            // A start of `salon.db` would remove it, or write to it.
            "/var/lib/salon/salon.db-new",
            "salon.db-wal",
            "salon.db-lock",
        ] {
            assert!(wrong.parse::<StoreArg>().is_err(), "{wrong}");
        }
        for (word, durability) in [("process", DurabilityArg::Process), ("power", DurabilityArg::Power)] {
            assert_eq!(word.parse(), Ok(durability), "{word}");
        }
        assert!("memory".parse::<DurabilityArg>().is_err());
        for (text, messages) in [("0", Some(0)), ("1000000000", Some(1_000_000_000)), ("unlimited", None)] {
            assert_eq!(text.parse(), Ok(HistoryArg(messages)), "{text}");
        }
        for (text, age) in [("1s", Some(Duration::from_secs(1))), ("unlimited", None)] {
            assert_eq!(text.parse(), Ok(HistoryAgeArg(age)), "{text}");
        }
        for (text, bytes) in [("1MiB", Some(1 << 20)), ("1048576GiB", Some(1 << 50)), ("unlimited", None)] {
            assert_eq!(text.parse(), Ok(StoreSizeArg(bytes)), "{text}");
        }
        for wrong in ["", "-1", "off", "1000000001"] {
            assert!(wrong.parse::<HistoryArg>().is_err(), "{wrong}");
        }
        assert!("0".parse::<HistoryAgeArg>().is_err() && "1048575".parse::<StoreSizeArg>().is_err());
        let sentence = "expected a whole number from 0 to 1000000000, or unlimited";
        assert_eq!("many".parse::<HistoryArg>(), Err(sentence.into()));
    }

    #[test]
    fn who_is_let_in() {
        for (word, auth) in [("open", Auth::Open), ("jwt", Auth::Jwt), ("token", Auth::Jwt)] {
            assert_eq!(word.parse(), Ok(auth), "{word}");
        }
        assert!("none".parse::<Auth>().is_err() && "JWT".parse::<Auth>().is_err());
    }

    #[test]
    fn times_and_keys() {
        for (text, seconds) in [("30s", 30), ("90", 90), ("15m", 900), ("1h", 3600), ("3650d", MAX_TIME)] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "s", "0s", "-1s", "1.5h", "1w", "1 h", "3651d", "18446744073709551615d", "1hs"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
        for (text, milliseconds) in [("0", 0), ("1ms", 1), ("1000ms", 1000)] {
            assert_eq!(parse_flush_delay(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for wrong in ["", "0ms", "1001ms", "1", "1s", "ms", "-1ms"] {
            assert!(parse_flush_delay(wrong).is_err(), "{wrong}");
        }
        let key = KeyArg { algorithm: Algorithm::EdDsa, file: "a:b.pem".into() };
        assert_eq!("EdDSA:a:b.pem".parse(), Ok(key));
        for wrong in ["", "HS256", "HS256:", "hs256:x", "none:x", "ES256:x", "x.pem"] {
            assert!(wrong.parse::<KeyArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_logged() {
        let modules =
            vec![("salon::server".to_owned(), LevelFilter::Debug), ("salon::chat".to_owned(), LevelFilter::Off)];
        for (text, level, modules) in [
            ("info", LevelFilter::Info, vec![]),
            ("OFF", LevelFilter::Off, vec![]),
            ("warn,salon::server=debug,salon::chat=off", LevelFilter::Warn, modules),
        ] {
            assert_eq!(text.parse(), Ok(LogArg { level, modules }));
        }
        for wrong in ["", "loud", "salon=info", "info,salon", "info,salon=loud", "info;warn"] {
            assert!(wrong.parse::<LogArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(
            (in_range("0x10", 16, 16), in_range("0o20", 16, 16), in_range("0b10000", 16, 16)),
            (Ok(16), Ok(16), Ok(16))
        );
        assert_eq!((parse_message_bytes("0x1B0"), parse_time("0x1d")), (Ok(0x1b0), Ok(Duration::from_secs(29))));
        for (text, bytes) in [("125", 125), ("64KiB", 65_536), ("16MiB", 16 << 20), ("64 KiB", 65_536), ("200B", 200)] {
            assert_eq!(parse_message_bytes(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "KiB", "124", "17MiB", "64kb", "64K", "-1", "1.5MiB", "99999999999999999999GiB"] {
            assert!(parse_message_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
