//! The command line: every option with its default and what it means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use log::LevelFilter;

use super::bench::{BenchArgs, EXAMPLES};
use super::parse_address;
use super::top::{KEYS, TopArgs};
use crate::server::forwarded::{Header, Trusted};
use crate::server::jwt::Algorithm;
use crate::server::logging;

/// A lean chat server.
///
/// Without a subcommand Salon serves the chat: a page, WebSocket doors for programs, and an admin port with health and
/// metrics. Nothing needs to be configured.
#[derive(Debug, Parser)]
#[command(name = "salon", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Args {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// How much to log on standard error: off, error, warn, info, debug or trace, and other levels for modules, such as
    /// `info,salon::server=debug`
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL[,MODULE=LEVEL...]", env = "SALON_LOG")]
    pub log: LogArg,
    /// How lines of the log are written: `text`, or `json`, an object a line
    #[arg(long, global = true, default_value = "text", value_name = "text|json", env = "SALON_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// What Salon can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the chat (the default)
    Serve(ServeArgs),
    /// Answer every WebSocket message with itself, on any path: for conformance suites and load tools
    ///
    /// Messages up to 16 MiB, any number of clients up to the limit, no idle pings, no chat.
    Echo(EchoArgs),
    /// Show the settings in force and where each came from, as a file of settings
    Config(ConfigArgs),
    /// Check the settings and the machine: ports, descriptors, keys, memory, kernel settings
    ///
    /// Exit status: 0 if Salon can serve like that (there may be warnings), 1 if something is in the way, 2 if a setting is
    /// wrong.
    Check(ServeArgs),
    /// Put load on a WebSocket server, Salon or another, and measure it
    ///
    /// Everybody who hears checks order, loss and doubles.
    #[command(after_help = EXAMPLES)]
    Bench(BenchArgs),
    /// Show what a running Salon does: rates, the loop, rooms by fan-out, slow clients, memory, closes
    ///
    /// Asks its admin port. Without a terminal say --once or --json.
    #[command(after_help = KEYS)]
    Top(TopArgs),
    /// Make a token for development, signed with HS256, and print it
    ///
    /// The secret is read from --secret-file or the environment variable SALON_AUTH_SECRET.
    Token(TokenArgs),
}

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where people and programs come in without TLS; `unix:` and a path for a proxy on this machine; `off` for nowhere
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT|unix:PATH|off", env = "SALON_LISTEN")]
    pub listen: Listen,
    /// Permissions of a Unix socket, in octal: who may write to it may connect
    #[arg(long, default_value = "660", value_name = "MODE", value_parser = parse_mode, env = "SALON_SOCKET_MODE")]
    pub socket_mode: u32,
    /// Where people and programs come in with TLS (https://, wss://); 127.0.0.1:8443 if there is a certificate
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_address, env = "SALON_TLS_LISTEN")]
    pub tls_listen: Option<SocketAddr>,
    /// The certificate in PEM, the server's own first and the chain behind it
    #[arg(long, value_name = "FILE", env = "SALON_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key in PEM, not encrypted
    #[arg(long, value_name = "FILE", env = "SALON_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// A proxy that is believed when it says for whom it speaks: an address, a network, or `unix` for those that come by a Unix
    /// socket (repeatable). Limits by address then hold for its clients and not for itself
    #[arg(long, value_name = "ADDRESS|NETWORK|unix", env = "SALON_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<Trusted>,
    /// The header in which trusted proxies say it
    #[arg(
        long,
        default_value = "x-forwarded-for",
        value_name = "x-forwarded-for|forwarded",
        env = "SALON_FORWARDED_HEADER"
    )]
    pub forwarded_header: ForwardedArg,
    /// What comes in there begins with a header of the PROXY protocol (version 2), and from a trusted proxy (repeatable)
    #[arg(long, value_name = "listen|tls-listen", env = "SALON_PROXY_PROTOCOL", value_delimiter = ',')]
    pub proxy_protocol: Vec<ProxyProtocolArg>,
    /// Where the operator does (health, metrics, the HTTP API); beyond loopback only with --admin-key; `off` for nowhere
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT|off", env = "SALON_ADMIN")]
    pub admin: Admin,
    /// The file of the key that the operator must show there (`Authorization: Bearer KEY`), 16 to 1024 characters. The variable
    /// SALON_ADMIN_SECRET can hold the key instead
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_KEY")]
    pub admin_key: Option<PathBuf>,
    /// Let everybody in who reaches an address that is not loopback, under any name they choose
    #[arg(long, env = "SALON_OPEN")]
    pub open: bool,
    /// Who is let in: `open`, anybody under any name; `jwt`, who brings a signed token (`token` means the same)
    #[arg(long, default_value = "open", value_name = "open|jwt", env = "SALON_AUTH")]
    pub auth: Auth,
    /// A key that tokens are signed with: HS256 and the file of a secret of at least 32 bytes, or RS256 or EdDSA and a
    /// public key in PEM; twice while one key follows another. The variable SALON_AUTH_SECRET can hold a secret instead
    #[arg(long, value_name = "ALGORITHM:FILE", env = "SALON_AUTH_KEY", value_delimiter = ',')]
    pub auth_key: Vec<KeyArg>,
    /// Whom tokens must be for (`aud`); without it, tokens that name anybody are refused
    #[arg(long, value_name = "NAME", env = "SALON_AUTH_AUDIENCE")]
    pub auth_audience: Option<String>,
    /// How long a session goes on when its token has expired, to be given another one
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_time, env = "SALON_AUTH_GRACE")]
    pub auth_grace: Duration,
    /// Who may make rooms, by joining them or by asking: `everybody`, or with tokens those with the `role` create or admin
    #[arg(long, default_value = "everybody", value_name = "everybody|role", env = "SALON_CREATE_ROOMS")]
    pub create_rooms: CreateRooms,
    /// Connections in all; fewer if the descriptor limit is lower
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = parse_connections, env = "SALON_MAX_CONNECTIONS")]
    pub max_connections: usize,
    /// Connections of one address at a time (IPv6: of one /64)
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = parse_per_address, env = "SALON_MAX_CONNECTIONS_PER_ADDRESS")]
    pub max_connections_per_address: u32,
    /// New connections of one address a second, and how many at once after a silence
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_per_address, env = "SALON_NEW_CONNECTIONS_PER_ADDRESS")]
    pub new_connections_per_address: u32,
    /// Hold loopback addresses to these limits too
    #[arg(long, env = "SALON_COUNT_LOOPBACK")]
    pub count_loopback: bool,
    /// Messages a second for one person, and how many at once after a silence; `off` for no limit
    #[arg(long, default_value = "20:40", value_name = "PER_SECOND:BURST|off", env = "SALON_RATE")]
    pub rate: RateArg,
    /// How many people at the full --rate all those at one address may be together
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = parse_per_address, env = "SALON_FULL_SPEED_PER_ADDRESS")]
    pub full_speed_per_address: u32,
    /// Messages kept in memory for each room and each pair of people (for 7 days at most)
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = parse_history, env = "SALON_HISTORY")]
    pub history: usize,
    /// Compress messages of 512 bytes and more for clients that offer it (permessage-deflate); saves network, costs CPU
    #[arg(long, env = "SALON_DEFLATE")]
    pub deflate: bool,
    /// A page of this origin may connect, besides the one Salon serves, such as https://example.org (repeatable)
    #[allow(rustdoc::bare_urls, reason = "it is the help text")]
    #[arg(long, value_name = "ORIGIN", env = "SALON_ORIGIN", value_delimiter = ',')]
    pub origin: Vec<String>,
    /// A file of settings (TOML); salon.toml in the working directory is read if there is one
    #[arg(long, value_name = "FILE", env = "SALON_CONFIG")]
    pub config: Option<PathBuf>,
    /// What can be set and is seldom.
    #[command(flatten)]
    pub fine: FineArgs,
}

/// Sizes, times and numbers of `serve` that are right for most.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sizes, times and numbers")]
pub struct FineArgs {
    /// Longest message on the wire
    #[arg(long, default_value = "64KiB", value_name = "SIZE", value_parser = parse_message_bytes, env = "SALON_MESSAGE_BYTES")]
    pub message_bytes: usize,
    /// Longest content of a chat message
    #[arg(long, default_value = "16KiB", value_name = "SIZE", value_parser = parse_message_bytes, env = "SALON_CONTENT_BYTES")]
    pub content_bytes: usize,
    /// Rooms a session may be in
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = parse_count, env = "SALON_ROOMS_PER_SESSION")]
    pub rooms_per_session: usize,
    /// Sessions (devices) a person may have at a time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = parse_count, env = "SALON_SESSIONS_PER_USER")]
    pub sessions_per_user: usize,
    /// People a room can hold
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = parse_count, env = "SALON_ROOM_MEMBERS")]
    pub room_members: usize,
    /// With more people than this a room is told of comings and goings in summary only
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_count, env = "SALON_BIG_ROOM")]
    pub big_room: usize,
    /// How often that summary is told at most
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time, env = "SALON_BIG_ROOM_EVERY")]
    pub big_room_every: Duration,
    /// Rooms there can be; of the empty ones, those left longest ago make room
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = parse_count, env = "SALON_MAX_ROOMS")]
    pub max_rooms: usize,
    /// People who are known, here or not; those who left longest ago are forgotten first
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = parse_count, env = "SALON_MAX_USERS")]
    pub max_users: usize,
    /// How long messages are kept, and an empty room that somebody created
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = parse_time, env = "SALON_HISTORY_AGE")]
    pub history_age: Duration,
    /// All kept messages together
    #[arg(long, default_value = "256MiB", value_name = "SIZE", value_parser = parse_size, env = "SALON_HISTORY_BYTES")]
    pub history_bytes: usize,
    /// How long a person whose connection ended still counts as there
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time, env = "SALON_LEAVE_GRACE")]
    pub leave_grace: Duration,
    /// After how much silence a client is sent a ping
    #[arg(long, default_value = "25s", value_name = "TIME", value_parser = parse_time, env = "SALON_PING_AFTER")]
    pub ping_after: Duration,
    /// How long the answer to a ping may take
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time, env = "SALON_PONG_WITHIN")]
    pub pong_within: Duration,
    /// How long the head of a request may take, from the first octet or from the accept
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time, env = "SALON_HEAD_WITHIN")]
    pub head_within: Duration,
    /// How long one message may take, from its first octet to its last
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = parse_time, env = "SALON_MESSAGE_WITHIN")]
    pub message_within: Duration,
    /// How long a closing handshake may take
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time, env = "SALON_CLOSE_WITHIN")]
    pub close_within: Duration,
    /// What may wait for a client that reads too slowly; past it the client is cut off with 1013
    #[arg(long, default_value = "1MiB", value_name = "SIZE", value_parser = parse_outbox, env = "SALON_OUTBOX_BYTES")]
    pub outbox_bytes: usize,
    /// How long a client may take nothing of what waits for it; then likewise
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time, env = "SALON_BLOCKED_WITHIN")]
    pub blocked_within: Duration,
    /// All that is held in memory together; near it history is let go of, new clients get 503 and the slowest 1013; `off` for no budget
    #[arg(long, default_value = "off", value_name = "SIZE|off", env = "SALON_MEMORY")]
    pub memory: MemoryArg,
    /// How long stopping may take before the connections that are left are dropped
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = parse_time, env = "SALON_STOP_WITHIN")]
    pub stop_within: Duration,
}

/// Options of `config`.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// The settings to show.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Print the reference of all settings in Markdown instead
    #[arg(long)]
    pub markdown: bool,
}

/// Options of `echo`.
#[derive(Debug, clap::Args)]
pub struct EchoArgs {
    /// Where clients come in
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS:PORT", value_parser = parse_address, env = "SALON_LISTEN")]
    pub listen: SocketAddr,
    /// Connections in all; fewer if the descriptor limit is lower
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = parse_connections, env = "SALON_MAX_CONNECTIONS")]
    pub max_connections: usize,
}

/// Options of `token`.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// The file with the secret, the same as in --auth-key HS256:FILE
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Whom the token is for: the name of a user
    #[arg(long, value_name = "NAME")]
    pub sub: String,
    /// For how long
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = parse_time)]
    pub ttl: Duration,
    /// Which rooms it opens, such as 'lobby,team-*'; all, if nothing is said
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    pub rooms: Option<Vec<String>>,
    /// What it allows: announce, create, admin
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Vec<String>,
    /// For which server, the same as its --auth-audience
    #[arg(long, value_name = "NAME")]
    pub audience: Option<String>,
}

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

/// Who may make rooms.
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

/// Where people come in without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On that port.
    Tcp(SocketAddr),
    /// By that Unix socket.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            _ if text == "off" => Ok(Self::Off),
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(_) => Err("expected a path behind unix:, such as unix:/run/salon.sock".into()),
            None => parse_address(text).map(Self::Tcp).map_err(|error| format!("{error}, unix:PATH, or off")),
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

/// Where the admin port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Nowhere.
    Off,
    /// There.
    On(SocketAddr),
}

impl FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => parse_address(text).map(Self::On).map_err(|error| format!("{error}, or off")),
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
                .map(|octets| Self(Some(octets)))
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
        if text == "off" {
            return Ok(Self::Off);
        }
        let number = |text: &str| text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
        text.split_once(':')
            .and_then(|(per_second, burst)| Some(Self::On { per_second: number(per_second)?, burst: number(burst)? }))
            .ok_or_else(|| "expected PER_SECOND:BURST, two numbers from 1 to 1000000, such as 20:40, or off".into())
    }
}

fn parse_connections(text: &str) -> Result<usize, String> {
    in_range(text, 1, 10_000_000)
}

fn parse_per_address(text: &str) -> Result<u32, String> {
    in_range(text, 1, 10_000_000).map(|number| number as u32)
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "expected permissions in octal from 0 to 777, such as 660".into())
}

fn parse_history(text: &str) -> Result<usize, String> {
    in_range(text, 0, 1_000_000)
}

fn parse_count(text: &str) -> Result<usize, String> {
    in_range(text, 1, 10_000_000)
}

fn parse_message_bytes(text: &str) -> Result<usize, String> {
    size_in_range(text, 125, 16 << 20, "125 to 16MiB")
}

fn parse_outbox(text: &str) -> Result<usize, String> {
    size_in_range(text, 64 << 10, 1 << 30, "64KiB to 1GiB")
}

fn parse_size(text: &str) -> Result<usize, String> {
    size_in_range(text, 0, 1 << 40, "0 to 1024GiB")
}

/// A number of bytes, or of KiB, MiB or GiB.
fn size_in_range(text: &str, least: usize, most: usize, range: &str) -> Result<usize, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let shift = [("", 0), ("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30)].into_iter().find(|(name, _)| *name == unit);
    let number = number.trim_end().parse::<usize>().ok();
    let size = number.zip(shift).and_then(|(number, (_, shift))| number.checked_mul(1 << shift));
    size.filter(|size| (least..=most).contains(size))
        .ok_or_else(|| format!("expected a size from {range}, such as 65536, 64KiB or 1MiB"))
}

/// A number of seconds, or of minutes, hours or days with the letter for it.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let seconds = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let time = number.zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    time.filter(|time| (1..=MAX_TIME).contains(time))
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a time from 1s to 3650d, such as 30s, 15m, 1h or 7d".into())
}

/// Ten years, in seconds.
const MAX_TIME: u64 = 3650 * 86_400;

fn in_range(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn rates_and_addresses() {
        assert_eq!("off".parse(), Ok(RateArg::Off));
        assert_eq!("20:40".parse(), Ok(RateArg::On { per_second: 20, burst: 40 }));
        for wrong in ["", "20", "20:", "0:1", "1:0", "a:b", "1:2:3", "-1:2", "1000001:1"] {
            assert!(wrong.parse::<RateArg>().is_err(), "{wrong}");
        }
        assert_eq!("off".parse(), Ok(Admin::Off));
        assert_eq!("localhost:1".parse(), Ok(Admin::On(([127, 0, 0, 1], 1).into())));
        assert!("8080".parse::<Admin>().is_err());
        assert_eq!("unix:/run/salon.sock".parse(), Ok(Listen::Unix("/run/salon.sock".into())));
        assert_eq!("off".parse(), Ok(Listen::Off));
        for wrong in ["", "unix:", "8080", "/run/salon.sock"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
        assert_eq!((parse_mode("660"), parse_mode("0")), (Ok(0o660), Ok(0)));
        for wrong in ["", "1000", "888", "-1", "rw"] {
            assert!(parse_mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn budgets() {
        for (text, octets) in [("off", None), ("16MiB", Some(16 << 20)), ("1GiB", Some(1 << 30))] {
            assert_eq!(text.parse(), Ok(MemoryArg(octets)));
        }
        for wrong in ["", "on", "0", "15MiB", "256MB", "2000GiB"] {
            assert!(wrong.parse::<MemoryArg>().is_err(), "{wrong}");
        }
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
        for (text, bytes) in [("125", 125), ("64KiB", 65_536), ("16MiB", 16 << 20), ("64 KiB", 65_536), ("200B", 200)] {
            assert_eq!(parse_message_bytes(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "KiB", "124", "17MiB", "64kb", "64K", "-1", "1.5MiB", "99999999999999999999GiB"] {
            assert!(parse_message_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn serve_is_what_is_done_without_a_word() {
        let bare = Args::try_parse_from(["salon", "--rate", "off"]).unwrap();
        assert!(bare.command.is_none() && bare.serve.rate == RateArg::Off);
        let named = Args::try_parse_from(["salon", "serve", "--admin", "off", "--log", "warn"]).unwrap();
        assert!(matches!(named.command, Some(Command::Serve(ServeArgs { admin: Admin::Off, .. }))));
    }
}
