//! The one table of what can be asked for and set: every option with its default, what it means, and whether it can be
//! changed while Salon serves. [`super::values`] reads the values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand};

use super::asked::Server;
use super::bench::{BenchArgs, EXAMPLES};
use super::operate::{BanArgs, HealthArgs, KickArgs, SayArgs, UnbanArgs, WhoArgs};
use super::sim::SimArgs;
use super::socket_arg::SocketArg;
#[cfg(feature = "sqlite")]
use super::store;
use super::top::{KEYS, TopArgs};
use super::values::{
    Auth, CreateRooms, ForwardedArg, KeyArg, Listen, LogArg, LogFormat, MemoryArg, OperatorArg, PlaceArg,
    ProxyProtocolArg, RateArg, WhoArg, parse_address, parse_connections, parse_count, parse_flush_delay,
    parse_message_bytes, parse_mode, parse_outbox, parse_per_address, parse_port, parse_size, parse_time, parse_wait,
};
use super::values::{DurabilityArg, HistoryAgeArg, HistoryArg, PrefixArg, StoreArg, StoreSizeArg};
use crate::chat::rules::Rules;
use crate::server::acme::Thumbprint;
use crate::server::forwarded::Trusted;
use crate::server::origin::Origin;

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

impl Args {
    /// The settings of `serve`, of whichever command has them.
    pub fn settings_mut(&mut self) -> &mut ServeArgs {
        match &mut self.command {
            Some(Command::Serve(args)) => args,
            Some(Command::Check(args)) => &mut args.serve,
            Some(Command::Config(args)) => &mut args.serve,
            _ => &mut self.serve,
        }
    }
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
    /// Exit status: 0 if Salon can serve like that (there may be warnings), 1 if something is in the way, 2 if a
    /// setting is wrong.
    Check(CheckArgs),
    /// Put load on a WebSocket server, Salon or another, and measure it
    ///
    /// Everybody who hears checks order, loss and doubles.
    #[command(after_help = EXAMPLES)]
    Bench(BenchArgs),
    /// Run this server in a simulation that breaks on purpose: same seed, same run
    ///
    /// docs/simulation.md says what is simulated and what must hold. Exit status: 0, or 1 if a seed failed.
    Sim(SimArgs),
    /// Show what a running Salon does: rates, the loop, rooms by fan-out, slow clients, memory, closes
    ///
    /// Asks its admin port. Without a terminal say --once or --json.
    #[command(after_help = KEYS)]
    Top(TopArgs),
    /// Look after the file in which messages are kept: check, back up, export, import, compact
    #[cfg(feature = "sqlite")]
    #[command(after_help = store::EXAMPLES)]
    Store(store::StoreArgs),
    /// Make a token for development, signed with HS256, and print it
    ///
    /// The secret is read from --secret-file or the environment variable SALON_AUTH_SECRET.
    Token(TokenArgs),
    /// Say something in a room, to a user or to everybody, by the admin port of a running Salon
    Say(SayArgs),
    /// Put a user out, of a room or altogether; they may come back
    Kick(KickArgs),
    /// Keep a user out
    Ban(BanArgs),
    /// Let a user in again
    Unban(UnbanArgs),
    /// List the rooms, with how many are in each
    Rooms(Server),
    /// List what operators have done, the newest first, as the store keeps it
    Trail(Server),
    /// List who is in a room, or here
    Who(WhoArgs),
    /// Whether a running Salon takes clients: exit status 0, or 1 and why not
    Health(HealthArgs),
    /// Have a running Salon read its settings again, and print what has changed: exit status 0, or 1 and what is wrong
    Reload(Server),
}

/// Options of `serve`. Those of the group [`AT_ONCE`] can be changed while it serves.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new(AT_ONCE).multiple(true))]
pub struct ServeArgs {
    /// Where people and programs come in without TLS (repeatable, at most 16); `unix:` and a path for a proxy on this
    /// machine; `off` for nowhere
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT|unix:PATH|off")]
    #[arg(env = "SALON_LISTEN", value_delimiter = ',')]
    pub listen: Vec<Listen>,
    /// For an evening on a local network: listen on all its addresses, at the port of --listen, and let everybody in
    /// (as --open does, if no tokens are asked for). All addresses are printed, and one as a QR code. Refused on a
    /// machine that has a public IPv4 address
    #[arg(long, env = "SALON_LAN")]
    pub lan: bool,
    /// Permissions of all Unix sockets but those of --admin and --hand-over, in octal (660 and 0o660 are the same): who
    /// may write to one may connect
    #[arg(long, default_value = "660", value_name = "MODE", value_parser = parse_mode, env = "SALON_SOCKET_MODE")]
    pub socket_mode: u32,
    /// Where people and programs come in with TLS (https://, wss://; repeatable, at most 16); 127.0.0.1:8443 if there is
    /// a certificate
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH", env = "SALON_TLS_LISTEN", value_delimiter = ',')]
    pub tls_listen: Vec<PlaceArg>,
    /// The certificate in PEM, the server's own first and the chain behind it (repeatable): a client is shown the one
    /// that has the name it asks for, by itself or by a wildcard, else the first
    #[arg(long, value_name = "FILE", env = "SALON_TLS_CERT", value_delimiter = ',', group = AT_ONCE)]
    pub tls_cert: Vec<PathBuf>,
    /// Its private key in PEM, not encrypted (repeatable, in the order of --tls-cert)
    #[arg(long, value_name = "FILE", env = "SALON_TLS_KEY", value_delimiter = ',', group = AT_ONCE)]
    pub tls_key: Vec<PathBuf>,
    /// Where requests without TLS are sent on to the same URL with https:// (repeatable, at most 16)
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH", env = "SALON_REDIRECT_HTTP", value_delimiter = ',')]
    pub redirect_http: Vec<PlaceArg>,
    /// The port of those URLs; if nothing is said, the first of --tls-listen. For where clients reach that by another
    /// port
    #[arg(long, value_name = "PORT", value_parser = parse_port, env = "SALON_HTTPS_PORT")]
    pub https_port: Option<u16>,
    /// For how long browsers that came by TLS are to come by nothing else (HSTS), such as 365d; if nothing is said,
    /// they are not told
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "SALON_HSTS", group = AT_ONCE)]
    pub hsts: Option<Duration>,
    /// The thumbprint of the key of an ACME account: a certificate authority that looks whose name this is (http-01) is
    /// answered with it, at all public addresses and those of --redirect-http
    #[arg(long, value_name = "THUMBPRINT", env = "SALON_ACME_THUMBPRINT", group = AT_ONCE)]
    pub acme_thumbprint: Option<Thumbprint>,
    /// A proxy that is believed when it says for whom it speaks: an address, a network, or `unix` for those that come
    /// by a Unix socket (repeatable). Limits by address then hold for its clients and not for itself
    #[arg(long, value_name = "ADDRESS|NETWORK|unix")]
    #[arg(env = "SALON_TRUSTED_PROXY", value_delimiter = ',', group = AT_ONCE)]
    pub trusted_proxy: Vec<Trusted>,
    /// The header in which trusted proxies say it
    #[arg(
        long,
        default_value = "x-forwarded-for",
        value_name = "x-forwarded-for|forwarded",
        env = "SALON_FORWARDED_HEADER",
        group = AT_ONCE
    )]
    pub forwarded_header: ForwardedArg,
    /// What comes in there begins with a header of the PROXY protocol (version 1 or 2), and from a trusted proxy
    /// (repeatable)
    #[arg(long, value_name = "listen|tls-listen", env = "SALON_PROXY_PROTOCOL", value_delimiter = ',')]
    pub proxy_protocol: Vec<ProxyProtocolArg>,
    /// Where the operator does (health, metrics, the HTTP API; repeatable, at most 16); beyond loopback only with
    /// --admin-key; `unix:` and a path for the user that Salon runs as, and root, alone; `off` for nowhere
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT|unix:PATH|off")]
    #[arg(env = "SALON_ADMIN", value_delimiter = ',')]
    pub admin: Vec<Listen>,
    /// A Unix socket at which a Salon that is started with --takeover, by the same user, gets the listening sockets of
    /// this one. If nothing is said, none does
    #[arg(long, value_name = "PATH", env = "SALON_HAND_OVER")]
    pub hand_over: Option<PathBuf>,
    /// Take over from the Salon that runs, at its --hand-over (which is the same here): without a moment in which
    /// nobody listens, and it ends. If none runs there, start as without this. `check` only asks it
    #[arg(long)]
    pub takeover: bool,
    /// The certificate with which the admin port speaks TLS, in PEM with its chain; without one it speaks none, and by
    /// a Unix socket never
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_TLS_CERT", group = AT_ONCE)]
    pub admin_tls_cert: Option<PathBuf>,
    /// Its private key in PEM, not encrypted
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_TLS_KEY", group = AT_ONCE)]
    pub admin_tls_key: Option<PathBuf>,
    /// The file of the key that the operator must show there (`Authorization: Bearer KEY`), 16 to 1024 characters. The
    /// variable SALON_ADMIN_SECRET can hold the key instead
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_KEY", group = AT_ONCE)]
    pub admin_key: Option<PathBuf>,
    /// A further operator: a name for the log, what they may do (metrics, read, speak, moderate, with `+` between them,
    /// or everything), and the file of their key (repeatable). The key of --admin-key may do everything
    #[arg(long, value_name = "NAME:RIGHTS:FILE", env = "SALON_OPERATOR", value_delimiter = ',', group = AT_ONCE)]
    pub operator: Vec<OperatorArg>,
    /// Let everybody in who reaches an address that is not loopback, under any name they choose
    #[arg(long, env = "SALON_OPEN", group = AT_ONCE)]
    pub open: bool,
    /// Who is let in: `open`, anybody under any name; `jwt`, who brings a signed token (`token` means the same)
    #[arg(long, default_value = "open", value_name = "open|jwt", env = "SALON_AUTH")]
    pub auth: Auth,
    /// A key that tokens are signed with: HS256 and the file of a secret of at least 32 bytes, or RS256 or EdDSA and a
    /// public key in PEM; twice while one key follows another. The variable SALON_AUTH_SECRET can hold a secret instead
    #[arg(long, value_name = "ALGORITHM:FILE", env = "SALON_AUTH_KEY", value_delimiter = ',', group = AT_ONCE)]
    pub auth_key: Vec<KeyArg>,
    /// Whom tokens must be for (`aud`); without it, tokens that name anybody are refused
    #[arg(long, value_name = "NAME", env = "SALON_AUTH_AUDIENCE", group = AT_ONCE)]
    pub auth_audience: Option<String>,
    /// How long a session goes on when its token has expired, to be given another one
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_time)]
    #[arg(env = "SALON_AUTH_GRACE", group = AT_ONCE)]
    pub auth_grace: Duration,
    /// The people who may make rooms, by joining them or by asking: `everybody`, or with tokens those with the `role`
    /// create or admin
    #[arg(long, default_value = "everybody", value_name = "everybody|role")]
    #[arg(env = "SALON_CREATE_ROOMS", group = AT_ONCE)]
    pub create_rooms: CreateRooms,
    /// The people who may change the title and the topic of a room: its `members` (but for guests), with tokens those
    /// in it with the `role` moderate or admin, or the `operator` alone
    #[arg(long, default_value = "members", value_name = "members|role|operator")]
    #[arg(env = "SALON_TOPICS", group = AT_ONCE)]
    pub topics: WhoArg,
    /// Connections in all; fewer if the descriptor limit is lower
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = parse_connections)]
    #[arg(env = "SALON_MAX_CONNECTIONS", group = AT_ONCE)]
    pub max_connections: usize,
    /// Connections of one address at a time (IPv6: of one /64)
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = parse_per_address)]
    #[arg(env = "SALON_MAX_CONNECTIONS_PER_ADDRESS", group = AT_ONCE)]
    pub max_connections_per_address: u32,
    /// New connections of one address a second, and how many at once after a silence
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_per_address)]
    #[arg(env = "SALON_NEW_CONNECTIONS_PER_ADDRESS", group = AT_ONCE)]
    pub new_connections_per_address: u32,
    /// Requests of one address a second that open no WebSocket; ten times as many at once after a silence
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_per_address)]
    #[arg(env = "SALON_REQUESTS_PER_ADDRESS", group = AT_ONCE)]
    pub requests_per_address: u32,
    /// Hold loopback addresses to these limits too
    #[arg(long, env = "SALON_COUNT_LOOPBACK", group = AT_ONCE)]
    pub count_loopback: bool,
    /// Messages a second for one person, and how many at once after a silence; `off` for no limit
    #[arg(long, default_value = "20:40", value_name = "PER_SECOND:BURST|off", env = "SALON_RATE", group = AT_ONCE)]
    pub rate: RateArg,
    /// How many people at the full --rate all those at one address may be together
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = parse_per_address)]
    #[arg(env = "SALON_FULL_SPEED_PER_ADDRESS", group = AT_ONCE)]
    pub full_speed_per_address: u32,
    /// Where messages are kept: the path of a file, which is made if there is none, and they are there again after a
    /// restart; or `memory`, and they are gone when Salon stops. If nothing is said: salon.db in $STATE_DIRECTORY
    /// (which systemd sets), else in $XDG_STATE_HOME/salon, else in ~/.local/state/salon. Or on a Redis that several
    /// Salons share (docs/nodes.md): redis://USER:PASSWORD@HOST:PORT/DB
    #[arg(long, value_name = "PATH|memory|redis://...", env = "SALON_STORE", hide_env_values = true)]
    pub store: Option<StoreArg>,
    /// A file with the password of that Redis, if it is not in --store: whoever lists processes can read arguments
    #[arg(long, value_name = "FILE", env = "SALON_STORE_KEY_FILE")]
    pub store_key_file: Option<PathBuf>,
    /// What the names of all keys in that Redis begin with: Salons with the same one are nodes of one chat
    #[arg(long, default_value = "salon", value_name = "NAME", env = "SALON_STORE_PREFIX")]
    pub store_prefix: PrefixArg,
    /// What a message in that file has survived when its sender hears of it: `process`, the end of Salon, also by
    /// `kill -9`; `power`, the end of the machine too, for the price of waiting for the disk
    #[arg(long, default_value = "process", value_name = "process|power", env = "SALON_DURABILITY")]
    pub durability: DurabilityArg,
    /// Entries kept for each room and each pair of people: messages, edits, deletions and reactions. If nothing is
    /// said: 1000 in memory and on Redis, unlimited in a file
    #[arg(long, value_name = "N|unlimited", env = "SALON_HISTORY")]
    pub history: Option<HistoryArg>,
    /// Compress messages of 512 bytes and more for clients that offer it (permessage-deflate); saves network, costs CPU
    #[arg(long, env = "SALON_DEFLATE")]
    pub deflate: bool,
    /// A page of this origin may connect, besides the one Salon serves, such as https://example.org (repeatable); a
    /// slash behind it, capitals and the port of the scheme do not matter
    #[allow(rustdoc::bare_urls, reason = "it is the help text")]
    #[arg(long, value_name = "ORIGIN", env = "SALON_ORIGIN", value_delimiter = ',', group = AT_ONCE)]
    pub origin: Vec<Origin>,
    /// A file of settings (TOML); salon.toml in the working directory is read if there is one
    #[arg(long, value_name = "FILE", env = "SALON_CONFIG")]
    pub config: Option<PathBuf>,
    /// What can be set and is seldom.
    #[command(flatten)]
    pub fine: FineArgs,
    /// What is set for rooms by name: in the file alone.
    #[arg(skip)]
    pub rooms: Rules,
}

/// Sizes, times and numbers of `serve` that are right for most.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sizes, times and numbers")]
pub struct FineArgs {
    /// Longest message on the wire
    #[arg(long, default_value = "64KiB", value_name = "SIZE", value_parser = parse_message_bytes)]
    #[arg(env = "SALON_MESSAGE_BYTES")]
    pub message_bytes: usize,
    /// Longest content of a chat message
    #[arg(long, default_value = "16KiB", value_name = "SIZE", value_parser = parse_message_bytes)]
    #[arg(env = "SALON_CONTENT_BYTES", group = AT_ONCE)]
    pub content_bytes: usize,
    /// Rooms a session may be in
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = parse_count)]
    #[arg(env = "SALON_ROOMS_PER_SESSION", group = AT_ONCE)]
    pub rooms_per_session: usize,
    /// Sessions (devices) a person may have at a time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = parse_count)]
    #[arg(env = "SALON_SESSIONS_PER_USER", group = AT_ONCE)]
    pub sessions_per_user: usize,
    /// People a room can hold
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = parse_count)]
    #[arg(env = "SALON_ROOM_MEMBERS", group = AT_ONCE)]
    pub room_members: usize,
    /// With more people than this a room is told of comings and goings in summary only
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_count)]
    #[arg(env = "SALON_BIG_ROOM", group = AT_ONCE)]
    pub big_room: usize,
    /// How often that summary is told at most
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time)]
    #[arg(env = "SALON_BIG_ROOM_EVERY", group = AT_ONCE)]
    pub big_room_every: Duration,
    /// Rooms there can be; of the empty ones, those left longest ago make room
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = parse_count, env = "SALON_MAX_ROOMS")]
    pub max_rooms: usize,
    /// People who are known, here or not; those who left longest ago are forgotten first
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = parse_count, env = "SALON_MAX_USERS")]
    pub max_users: usize,
    /// How long messages are kept, and an empty room that somebody created (in a file at most 7d, if it has no
    /// messages). If nothing is said: 7d in memory and on Redis, unlimited in a file
    #[arg(long, value_name = "TIME|unlimited", env = "SALON_HISTORY_AGE")]
    pub history_age: Option<HistoryAgeArg>,
    /// All kept messages together, where they are kept in memory
    #[arg(long, default_value = "256MiB", value_name = "SIZE", value_parser = parse_size, env = "SALON_HISTORY_BYTES")]
    pub history_bytes: usize,
    /// How large the file may become in which messages are kept; near it the oldest of all go
    #[arg(long, default_value = "10GiB", value_name = "SIZE|unlimited", env = "SALON_STORE_SIZE")]
    pub store_size: StoreSizeArg,
    /// How old a message may be that its sender edits or deletes; if nothing is said, as old as it is
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "SALON_EDIT_WITHIN", group = AT_ONCE)]
    pub edit_within: Option<Duration>,
    /// How long a person whose connection ended still counts as there
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time)]
    #[arg(env = "SALON_LEAVE_GRACE", group = AT_ONCE)]
    pub leave_grace: Duration,
    /// After how much silence a client is sent a ping
    #[arg(long, default_value = "25s", value_name = "TIME", value_parser = parse_time, env = "SALON_PING_AFTER")]
    pub ping_after: Duration,
    /// How long the answer to a ping may take
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time, env = "SALON_PONG_WITHIN")]
    pub pong_within: Duration,
    /// How long the head of a request may take, from its first byte or, of the first, from the accept
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time, env = "SALON_HEAD_WITHIN")]
    pub head_within: Duration,
    /// How long a connection may be idle between two requests; longer than a proxy or balancer in front keeps one
    #[arg(long, default_value = "75s", value_name = "TIME", value_parser = parse_time, env = "SALON_IDLE_WITHIN")]
    pub idle_within: Duration,
    /// How long one message may take, from its first byte to its last
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = parse_time, env = "SALON_MESSAGE_WITHIN")]
    pub message_within: Duration,
    /// How long a closing handshake may take
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_time, env = "SALON_CLOSE_WITHIN")]
    pub close_within: Duration,
    /// What may wait for a client that reads too slowly, beside room messages that it can be sent later, and beside the
    /// longest message if that is longer than a quarter of this; past it the client is cut off with 1013
    #[arg(long, default_value = "1MiB", value_name = "SIZE", value_parser = parse_outbox, env = "SALON_OUTBOX_BYTES")]
    pub outbox_bytes: usize,
    /// How long a client may take nothing of what waits for it; then likewise
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_time, env = "SALON_BLOCKED_WITHIN")]
    pub blocked_within: Duration,
    /// How long messages in a room with many sessions may wait for others that leave in the same writes, such as 20ms;
    /// 0 for not at all
    #[arg(long, default_value = "0", value_name = "TIME", value_parser = parse_flush_delay, env = "SALON_FLUSH_DELAY")]
    pub flush_delay: Duration,
    /// From how many sessions of one dialect on a room has many in that sense
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = parse_count)]
    #[arg(env = "SALON_FLUSH_DELAY_SESSIONS")]
    pub flush_delay_sessions: usize,
    /// All that is held in memory together; near it history is let go of, new clients get 503 and the slowest 1013;
    /// `off` for no budget
    #[arg(long, default_value = "off", value_name = "SIZE|off", env = "SALON_MEMORY", group = AT_ONCE)]
    pub memory: MemoryArg,
    /// How long Salon serves on when it is asked to stop, while `/readyz` says 503 already, so that balancers send
    /// nobody more: longer than they take to notice; 0 for not at all
    #[arg(long, default_value = "0", value_name = "TIME", value_parser = parse_wait, env = "SALON_STOP_AFTER")]
    pub stop_after: Duration,
    /// How long stopping may take before the connections that are left are dropped
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = parse_time, env = "SALON_STOP_WITHIN")]
    pub stop_within: Duration,
}

/// The settings whose new values take effect at once (SIGHUP). Of the others connections, sockets and memory already
/// hold the old.
pub const AT_ONCE: &str = "at_once";

/// Two more of them, which are options of every command, and so in no group.
pub const LOG: [&str; 2] = ["log", "log_format"];

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The settings to check.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Check the settings alone, and the files of keys and certificates that they name: what a start would refuse
    /// before it takes a port. The ports, the store and the machine are left alone, so a Salon may run here meanwhile
    #[arg(long)]
    pub settings: bool,
    /// A socket that systemd will hand over, by its FileDescriptorName and where it listens: it is judged as the
    /// address of a setting
    #[arg(long, value_name = "NAME=ADDRESS:PORT|NAME=PATH", requires = "settings")]
    pub socket: Vec<SocketArg>,
}

/// Options of `config`.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// Show only what holds in this room, and which of the rules for rooms says so
    #[arg(value_name = "ROOM", conflicts_with = "markdown")]
    pub room: Option<String>,
    /// The settings to show.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Ask a running Salon at its admin port which settings it has in force: after a reload, or with another file or
    /// environment than those here, they may be others
    #[arg(long, conflicts_with = "markdown")]
    pub running: bool,
    /// Print the reference of all settings in Markdown instead
    #[arg(long)]
    pub markdown: bool,
}

/// Options of `echo`.
#[derive(Debug, clap::Args)]
pub struct EchoArgs {
    /// Where clients come in
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS:PORT", value_parser = parse_address)]
    #[arg(env = "SALON_LISTEN")]
    pub listen: SocketAddr,
    /// Connections in all; fewer if the descriptor limit is lower
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = parse_connections)]
    #[arg(env = "SALON_MAX_CONNECTIONS")]
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
    /// What it allows: announce, create, moderate, admin
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Vec<String>,
    /// For which server, the same as its --auth-audience
    #[arg(long, value_name = "NAME")]
    pub audience: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn serve_is_what_is_done_without_a_word() {
        let bare = Args::try_parse_from(["salon", "--rate", "off"]).unwrap();
        assert!(bare.command.is_none() && bare.serve.rate == RateArg::Off);
        let named = Args::try_parse_from(["salon", "serve", "--admin", "off", "--log", "warn"]).unwrap();
        assert!(matches!(named.command, Some(Command::Serve(ServeArgs { admin, .. })) if admin == [Listen::Off]));
    }
}
