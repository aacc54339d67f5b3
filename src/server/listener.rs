//! Listening sockets: how they are made, and how connections are taken from them.
//!
//! Options are set once on the listener and inherited by what is accepted. Running out of descriptors neither
//! spins nor loses the listener: it rests a moment and tries again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use crate::time::Tick;

use super::{Error, Port};

/// A listening socket and what is known of its backlog.
#[derive(Debug)]
pub struct Listener {
    /// The socket, for the poller.
    pub tcp: TcpListener,
    /// What is accepted here.
    pub port: Port,
    /// Somebody else holds the socket too and goes on listening when this process ends.
    pub handed_over: bool,
    /// There may be connections to accept.
    ready: bool,
    /// Accepting failed; not before this is it tried again.
    rests_until: Option<Tick>,
    /// The last try failed, and that has been logged.
    failing: bool,
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// [`Error::Listen`] with `option`, the setting that named the address.
    pub fn bind(address: SocketAddr, option: &'static str, port: Port) -> Result<Self, Error> {
        let tcp = Self::open(address).map_err(|error| Error::Listen { option, address, error })?;
        Ok(Self::new(tcp, port, false))
    }

    /// Goes on with a socket that another process has bound.
    ///
    /// # Errors
    /// Those of the system.
    pub fn adopt(listener: std::net::TcpListener, port: Port) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        set_options(&SockRef::from(&listener))?;
        Ok(Self::new(TcpListener::from_std(listener), port, true))
    }

    fn new(tcp: TcpListener, port: Port, handed_over: bool) -> Self {
        Self { tcp, port, handed_over, ready: false, rests_until: None, failing: false }
    }

    fn open(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A port whose last connections are still in TIME_WAIT can be bound again at once.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        set_options(&SockRef::from(&socket))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from_std(socket.into()))
    }

    /// The address it is bound to; the port is known even if 0 was asked for.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The poller says that somebody has come.
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

    /// Accepts up to `budget` connections.
    pub fn accept(&mut self, budget: usize, now: Tick, mut take: impl FnMut(TcpStream, SocketAddr)) {
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
        if !self.is_ready() {
            return;
        }
        for _ in 0..budget {
            match self.tcp.accept() {
                Ok((stream, address)) => {
                    if std::mem::take(&mut self.failing) {
                        log::info!("connections are accepted again");
                    }
                    take(stream, address);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.ready = false;
                        return;
                    }
                    // The connection was gone before it was taken; the next may be well.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        // Out of descriptors or memory. The backlog waits, and no event will remind us of it.
                        if !std::mem::replace(&mut self.failing, true) {
                            log::warn!("connections cannot be accepted, trying again every {REST:?}: {error}");
                        }
                        self.rests_until = Some(now + REST);
                        return;
                    }
                },
            }
        }
    }
}

/// What accepted connections are to inherit.
fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // A client that stops reading otherwise makes the kernel keep megabytes for it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER)?;
    Ok(())
}

/// Connections the kernel holds until they are accepted; it may cap this (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Octets the kernel takes for a connection beyond what it can send at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT_LOW_WATER: u32 = 16 << 10;

/// How long a listener rests that could not accept.
const REST: Duration = Duration::from_millis(100);
