//! A connection to Redis, and whether that Redis can be used.
//!
//! Commands go out together and their answers are read together, so that many cost one round trip. Nothing is waited
//! for longer than [`WITHIN`].

use std::fmt;
use std::time::{Duration, Instant};

use redis::{
    Client, Cmd, Connection, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    ServerErrorKind, Value,
};

/// Where a Redis is, and who asks it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether it is spoken to by TLS, and proves who it is to the certificates that this machine trusts.
    pub tls: bool,
    /// Its name, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The number of the database.
    pub db: u32,
    /// The user; `None`: the default one.
    pub user: Option<String>,
    /// The password, if there is one.
    pub password: Option<String>,
}

/// Without the password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colons = self.host.contains(':');
        let (open, close) = if colons { ("[", "]") } else { ("", "") };
        let tls = if self.tls { "s" } else { "" };
        write!(f, "redis{tls}://{open}{}{close}:{}/{}", self.host, self.port, self.db)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Commands that go out together.
#[derive(Debug, Default)]
pub(super) struct Commands {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Commands {
    pub fn push(&mut self, command: &Cmd) {
        self.bytes.extend_from_slice(&command.get_packed_command());
        self.ends.push(self.bytes.len());
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn get(&self, at: usize) -> &[u8] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[at]]
    }
}

/// A connection, and what was found out about the other side.
pub(super) struct Link {
    connection: Connection,
    /// What tells one run of Redis from another.
    pub run: String,
    /// By which the script is called.
    pub script: String,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link to the run {}", self.run)
    }
}

/// What came of a command.
pub(super) type Outcome = Result<Value, String>;

impl Link {
    /// Connects, and looks whether this Redis can be used.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub fn open(server: &Server) -> Result<Self, String> {
        let mut connection = connect(server)?;
        connection.set_read_timeout(Some(WITHIN)).map_err(|error| sentence(server, &error))?;
        connection.set_write_timeout(Some(WITHIN)).map_err(|error| sentence(server, &error))?;
        let told: String = redis::cmd("INFO").query(&mut connection).map_err(|error| sentence(server, &error))?;
        let found = |key: &str| {
            told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default().trim()
        };
        let version = found("redis_version");
        if version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major < 7) {
            return Err(format!("{server}: expected Redis 7.0 or newer, or Valkey, found version {version:?}"));
        }
        if found("redis_mode") == "cluster" {
            return Err(format!("{server}: expected one Redis, found one of a cluster, which Salon does not use"));
        }
        if found("role") == "slave" {
            return Err(format!("{server}: expected a Redis that takes writes, found a replica of another one"));
        }
        let policy = found("maxmemory_policy");
        if found("maxmemory") != "0" && policy != "noeviction" {
            return Err(format!(
                "{server}: its memory policy is {policy}, which drops messages and numbers at will; \
                 set maxmemory-policy noeviction"
            ));
        }
        let run = found("run_id").chars().take(16).collect();
        let script = load(&mut connection).map_err(|error| sentence(server, &error))?;
        Ok(Self { connection, run, script })
    }

    /// Sends all of these, and reads the answer to each. What the server refuses is an error of that one alone.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub fn exchange(&mut self, commands: &Commands) -> Result<Vec<Outcome>, String> {
        let mut outcomes = self.send(commands, 0..commands.ends.len())?;
        // The script was flushed: none of these has been carried out.
        let unknown = |outcome: &Outcome| outcome.as_ref().is_err_and(|error| error.starts_with(NO_SCRIPT));
        if outcomes.iter().any(unknown) {
            load(&mut self.connection).map_err(|error| words(&error))?;
            for (at, outcome) in outcomes.iter_mut().enumerate().filter(|(_, outcome)| unknown(outcome)) {
                *outcome = self.send(commands, at..at + 1)?.remove(0);
            }
        }
        Ok(outcomes)
    }

    fn send(&mut self, commands: &Commands, which: std::ops::Range<usize>) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::with_capacity(which.len());
        let mut from = which.start;
        while from < which.end {
            // So much at once that neither side waits for the other with full buffers.
            let (mut to, mut bytes) = (from, 0);
            while to < which.end && (to == from || bytes < SENT_AT_ONCE) {
                bytes += commands.get(to).len();
                to += 1;
            }
            let begins = if from == 0 { 0 } else { commands.ends[from - 1] };
            let sent = self.connection.send_packed_command(&commands.bytes[begins..commands.ends[to - 1]]);
            sent.map_err(|error| words(&error))?;
            for _ in from..to {
                outcomes.push(match self.connection.recv_response() {
                    Ok(Value::ServerError(error)) => Err(words(&error.into())),
                    Ok(value) => Ok(value),
                    Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                        Err(words(&error))
                    }
                    Err(error) => return Err(words(&error)),
                });
            }
            from = to;
        }
        Ok(outcomes)
    }
}

/// How long something took.
pub(super) fn timed<R>(act: impl FnOnce() -> R) -> (R, Duration) {
    let began = Instant::now();
    let result = act();
    (result, began.elapsed())
}

/// Connects.
///
/// # Errors
/// Why it cannot, in one sentence.
pub(super) fn connect(server: &Server) -> Result<Connection, String> {
    let mut who = RedisConnectionInfo::default().set_db(i64::from(server.db)).set_lib_name("salon", VERSION);
    if let Some(user) = &server.user {
        who = who.set_username(user);
    }
    if let Some(password) = &server.password {
        who = who.set_password(password);
    }
    let (host, port) = (server.host.clone(), server.port);
    let address = match server.tls {
        false => ConnectionAddr::Tcp(host, port),
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
    };
    let info = address.into_connection_info();
    let info = info.map_err(|error| sentence(server, &error))?.set_redis_settings(who);
    let client = Client::open(info).map_err(|error| sentence(server, &error))?;
    client.get_connection_with_timeout(WITHIN).map_err(|error| sentence(server, &error))
}

/// Subscribes to channels, whose messages come by this connection from then on, in the order in which they were said.
///
/// # Errors
/// Why it cannot, in one sentence.
pub(super) fn subscribe(connection: &mut Connection, channels: &[String], server: &Server) -> Result<(), String> {
    for channel in channels {
        let command = redis::cmd("SUBSCRIBE").arg(channel).get_packed_command();
        let mut answer = connection.send_packed_command(&command).and_then(|()| connection.recv_response());
        // What is said in the first one may come before the answer to the second; it is looked for afterwards.
        while let Ok(Value::Array(parts)) = &answer
            && !matches!(parts.first(), Some(Value::BulkString(kind)) if kind == b"subscribe")
        {
            answer = connection.recv_response();
        }
        if let Value::ServerError(error) = answer.map_err(|error| sentence(server, &error))? {
            return Err(sentence(server, &error.into()));
        }
    }
    Ok(())
}

fn load(connection: &mut Connection) -> Result<String, RedisError> {
    redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query(connection)
}

/// Why it does not work, for somebody who is to mend it.
pub(super) fn sentence(server: &Server, error: &RedisError) -> String {
    let why = words(error);
    match error.kind() {
        ErrorKind::AuthenticationFailed => format!("{server}: the user or the password is wrong: {why}"),
        ErrorKind::Server(ServerErrorKind::NoPerm) => refused(server, &why),
        _ if why.starts_with("NOAUTH") => format!("{server}: it wants a password, and none is given"),
        _ if error.is_timeout() => format!("{server}: it cannot be reached, or does not answer: {why}"),
        ErrorKind::Io => format!("{server}: it cannot be reached: {why}"),
        _ => format!("{server}: {why}"),
    }
}

/// Why a command is refused, for somebody who is to mend it.
pub(super) fn refused(server: &Server, why: &str) -> String {
    match why.contains(NO_PERMISSION) || why.contains("The user executing the script can't") {
        true => format!(
            "{server}: the user lacks a permission ({why}); docs/nodes.md has the line of the ACL that Salon needs"
        ),
        false => format!("{server}: {why}"),
    }
}

/// The error in one line.
pub(super) fn words(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    text.replace(['\n', '\r'], " ")
}

const SCRIPT: &str = include_str!("script.lua");

const NO_SCRIPT: &str = "NOSCRIPT";
const NO_PERMISSION: &str = "NOPERM";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long Redis may take to be connected to, or for an answer: then it counts as away.
pub(super) const WITHIN: Duration = Duration::from_secs(1);

/// Bytes of commands that are sent before answers are read, beside those of one that crosses this.
const SENT_AT_ONCE: usize = 256 << 10;
