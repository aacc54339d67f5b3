//! A connection to Redis by a socket: the real side of [`Link`].
//!
//! Commands go out together and their answers are read together, so that many cost one round trip. Nothing is waited
//! for longer than [`WITHIN`].

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use redis::{
    Client, Connection, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    ServerErrorKind, Value,
};

use super::outside::{Commands, Link, Outcome, SCRIPT, run_of};

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

/// A connection, and what was found out about the other side.
pub(super) struct Socket {
    connection: Connection,
    run: String,
    script: String,
    opened: Instant,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket to the run {}", self.run)
    }
}

impl Socket {
    /// Connects, and looks whether this Redis can be used.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub fn open(server: &Server) -> Result<Self, String> {
        let mut connection = connect(server)?;
        connection.set_read_timeout(Some(WITHIN)).map_err(|error| sentence(server, &error))?;
        connection.set_write_timeout(Some(WITHIN)).map_err(|error| sentence(server, &error))?;
        let told: String = redis::cmd("INFO").query(&mut connection).map_err(|error| sentence(server, &error))?;
        let run = run_of(&told).map_err(|why| format!("{server}: {why}"))?;
        let script = load(&mut connection).map_err(|error| sentence(server, &error))?;
        Ok(Self { connection, run, script, opened: Instant::now() })
    }
}

impl Link for Socket {
    fn run(&self) -> &str {
        &self.run
    }

    fn script(&self) -> &str {
        &self.script
    }

    fn clock(&self) -> Duration {
        self.opened.elapsed()
    }

    fn load(&mut self) -> Result<(), String> {
        load(&mut self.connection).map(drop).map_err(|error| words(&error))
    }

    fn send(&mut self, commands: &Commands, which: Range<usize>) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::with_capacity(which.len());
        let mut from = which.start;
        while from < which.end {
            // So much at once that neither side waits for the other with full buffers.
            let (mut to, mut bytes) = (from, 0);
            while to < which.end && (to == from || bytes < SENT_AT_ONCE) {
                bytes += commands.get(to..to + 1).len();
                to += 1;
            }
            let sent = self.connection.send_packed_command(commands.get(from..to));
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

const NO_PERMISSION: &str = "NOPERM";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long Redis may take to be connected to, or for an answer: then it counts as away.
pub(super) const WITHIN: Duration = Duration::from_secs(1);

/// Bytes of commands that are sent before answers are read, beside those of one that crosses this.
const SENT_AT_ONCE: usize = 256 << 10;
