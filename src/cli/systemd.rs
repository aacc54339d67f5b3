//! The protocol of systemd: sockets that it hands over, and the notices that it expects: readiness, stopping, signs of
//! life.
//!
//! All of it goes by environment variables (`LISTEN_FDS`, `NOTIFY_SOCKET`, `WATCHDOG_USEC`); without them this does
//! nothing. See sd_listen_fds(3) and sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;

use crate::server::kernel::{Handed, MAX_OF_A_KIND};
use crate::server::serve::HandedOver;
use crate::server::settings::{self, Reading, State};

use super::reload::Reload;
use super::socket_arg::{ADMIN, REDIRECT, TLS};

/// The sockets that systemd listens on for us: those called `admin` are for the operator, those called `tls` for
/// everybody by TLS, those called `redirect` send there, the others are for everybody without TLS. There may be several
/// of each, TCP and Unix, but no more than of addresses.
///
/// # Errors
/// One sentence: other sockets were handed over, or too many.
pub fn sockets() -> Result<HandedOver, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut handed = ListenFd::from_env();
    let mut sockets = HandedOver::default();
    for (index, name) in (0..handed.len()).zip(names.split(':').map(Some).chain(std::iter::repeat(None))) {
        let shown = match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("the socket {name} of systemd"),
            None => "a socket of systemd that has no name".into(),
        };
        let tcp = handed.take_tcp_listener(index).map(|socket| socket.map(Handed::Tcp));
        let socket = tcp.or_else(|_| handed.take_unix_listener(index).map(|socket| socket.map(Handed::Unix)));
        let socket = socket.ok().flatten().ok_or_else(|| {
            format!("{shown}: expected a stream socket of TCP or in the file system, found something else")
        })?;
        if !socket.listens().map_err(|error| format!("{shown}: {error}"))? {
            return Err(format!(
                "{shown}: expected a socket that listens, found a connection; say Accept=no in its unit"
            ));
        }
        let kind = match name {
            Some(ADMIN) => &mut sockets.admin,
            Some(TLS) => &mut sockets.tls,
            Some(REDIRECT) => &mut sockets.redirect,
            _ => &mut sockets.public,
        };
        if kind.len() == MAX_OF_A_KIND {
            return Err(format!("{shown}: expected at most {MAX_OF_A_KIND} of its kind, found more"));
        }
        kind.push(socket);
    }
    Ok(sockets)
}

/// Passes the states of the server on to systemd.
pub struct Starter {
    reload: Reload,
    alive_every: Option<Duration>,
}

impl Starter {
    /// For a server whose settings can be read again.
    pub fn new(reload: Reload) -> Self {
        // Half the time, as sd_watchdog_enabled(3) advises.
        Self { reload, alive_every: watchdog_within().map(|within| within / 2) }
    }
}

impl settings::Starter for Starter {
    fn reload(&mut self) -> Result<Reading, String> {
        self.reload.again()
    }

    fn in_force(&self) -> String {
        self.reload.in_force()
    }

    fn note(&mut self, state: State<'_>) {
        let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return };
        let word = match state {
            State::Ready => "READY=1\n".into(),
            State::Alive => "WATCHDOG=1\n".into(),
            State::Reloading => {
                // With `Type=notify-reload` it must be told when that was, by this clock (sd_notify(3)).
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                format!("RELOADING=1\nMONOTONIC_USEC={}\n", now.tv_sec * 1_000_000 + now.tv_nsec / 1000)
            }
            State::Reloaded { error: None } => "READY=1\nSTATUS=the settings have been read again\n".into(),
            State::Reloaded { error: Some(error) } => {
                format!("READY=1\nSTATUS=the settings stay as they were: {}\n", error.replace('\n', " "))
            }
            State::Stopping { within } => {
                // Otherwise a stop that takes longer than the unit says is killed amid it.
                let micros = within.saturating_add(TO_END).as_micros();
                format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\n")
            }
        };
        if let Err(error) = notify(&socket, &word) {
            log::warn!("systemd cannot be told of {state:?}: {error}");
        }
    }

    fn wants_to_hear_every(&self) -> Option<Duration> {
        self.alive_every
    }
}

/// Sends a notice to the supervisor's socket: at a path, or behind `@` at an abstract name, which is in no file system.
fn notify(socket: &OsStr, word: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => abstract_address(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // The loop does not wait for the supervisor to read the notice.
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(word.as_bytes(), &address).map(|_| ())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;

    SocketAddr::from_abstract_name(name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The time within which this process must send a sign of life, if it must.
fn watchdog_within() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let mine = std::env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(std::process::id().into());
    number("WATCHDOG_USEC").filter(|&within| mine && within > 0).map(Duration::from_micros)
}

/// Whether standard error is a stream to the journal, as `JOURNAL_STREAM` says: its device and inode (systemd.exec(5)).
pub fn journal_reads_the_log() -> bool {
    let Ok(said) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|found| said == format!("{}:{}", found.st_dev, found.st_ino))
}

/// What a stop may take beside the time of its settings, until the process has ended: the store writes the rest.
const TO_END: Duration = Duration::from_secs(10);
