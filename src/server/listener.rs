//! Listeners as the loop knows them: the connections that may be there are taken, and a failure is waited out.
//!
//! A listener that runs out of descriptors neither spins nor ends: it rests a moment and tries again.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::time::Tick;

use super::Port;
use super::system::{RawOf, System};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On a port.
    Tcp(SocketAddr),
    /// In the file system, for programs on this machine.
    Unix {
        /// The file.
        path: PathBuf,
        /// Its permissions, such as 0o660.
        mode: u32,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listener and the state of its backlog.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its number in the [`System`].
    pub number: usize,
    /// What kind of connections come here.
    pub port: Port,
    /// Connections here begin with a TLS handshake.
    pub tls: bool,
    /// Connections here begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// There may be connections to accept.
    ready: bool,
    /// Accepting failed; it is tried again at this time.
    rests_until: Option<Tick>,
    /// The last try failed, and that has been logged.
    failing: bool,
}

impl Listener {
    /// The listener of this number, without TLS and without the PROXY protocol.
    pub fn new(number: usize, port: Port) -> Self {
        Self { number, port, tls: false, proxy_protocol: false, ready: false, rests_until: None, failing: false }
    }

    /// The poller reports that there are connections.
    pub fn notify(&mut self) {
        self.ready = true;
    }

    /// When accepting is to be tried again after a failure.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.rests_until
    }

    /// Whether accepting may succeed now.
    pub fn is_ready(&self) -> bool {
        self.ready && self.rests_until.is_none()
    }

    /// Accepts up to `budget` connections; a Unix socket has no address. Returns whether it failed.
    pub fn accept<S: System>(
        &mut self,
        system: &mut S,
        budget: usize,
        now: Tick,
        mut take: impl FnMut(RawOf<S>, Option<IpAddr>),
    ) -> bool {
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
        if !self.is_ready() {
            return false;
        }
        for _ in 0..budget {
            match system.accept(self.number) {
                Ok((stream, address)) => {
                    if std::mem::take(&mut self.failing) {
                        log::info!("connections are accepted again");
                    }
                    take(stream, address);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.ready = false;
                        return false;
                    }
                    // The connection was gone before it was accepted; the next may be well.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        // Out of descriptors or memory. The backlog waits, and no event will remind us of it.
                        if !std::mem::replace(&mut self.failing, true) {
                            log::warn!("connections cannot be accepted, trying again every {REST:?}: {error}");
                        }
                        self.rests_until = Some(now + REST);
                        return true;
                    }
                },
            }
        }
        false
    }
}

/// How long a listener rests that could not accept.
const REST: Duration = Duration::from_millis(100);
