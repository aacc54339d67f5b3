//! Listening sockets: how they are made, and how connections are taken from them.
//!
//! Options are set once on the listener and inherited by what is accepted. A listener that runs out of descriptors
//! neither spins nor ends: it rests a moment and tries again.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::fs::Mode;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use crate::time::Tick;

use super::socket::Raw;
use super::{Error, Port};

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

/// A listening socket and the state of its backlog.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    /// Its token at the poller; none before it is watched.
    token: Option<Token>,
    /// What kind of connections come here.
    pub port: Port,
    /// Another process holds the socket too and goes on listening when this one ends.
    pub handed_over: bool,
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

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// The file of a Unix socket, removed when the listener is gone, unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// [`Error::Listen`] with `option`, the setting that named the address.
    pub fn bind(address: &Address, option: &'static str, port: Port) -> Result<Self, Error> {
        let socket = match address {
            Address::Tcp(address) => Self::open(*address).map(Bound::Tcp),
            Address::Unix { path, mode } => {
                Self::open_unix(path, *mode).map(|(listener, file)| Bound::Unix { listener, _file: file })
            }
        };
        let socket = socket.map_err(|error| Error::Listen { option, address: address.clone(), error })?;
        Ok(Self::new(socket, port, false))
    }

    /// Takes over a socket that another process has bound.
    ///
    /// # Errors
    /// Those of the system.
    pub fn adopt(listener: std::net::TcpListener, port: Port) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        set_options(&SockRef::from(&listener))?;
        Ok(Self::new(Bound::Tcp(TcpListener::from_std(listener)), port, true))
    }

    fn new(socket: Bound, port: Port, handed_over: bool) -> Self {
        let (tls, proxy_protocol) = (false, false);
        Self {
            socket,
            token: None,
            port,
            handed_over,
            tls,
            proxy_protocol,
            ready: false,
            rests_until: None,
            failing: false,
        }
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

    fn open_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
        remove_stale(path)?;
        let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let address = socket2::SockAddr::unix(path)?;
        // The mask and not chmod, so that nobody can connect before the permissions hold. No other thread makes files.
        let before = rustix::process::umask(Mode::from_raw_mode(!mode & 0o777));
        let bound = socket.bind(&address);
        rustix::process::umask(before);
        bound?;
        let file = SocketFile { path: path.to_owned(), inode: inode(path)? };
        socket.listen(BACKLOG)?;
        Ok((UnixListener::from_std(socket.into()), file))
    }

    /// The address it is bound to; the port is known even if 0 was asked for. `None` for a Unix socket.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_address(&self) -> io::Result<Option<SocketAddr>> {
        match &self.socket {
            Bound::Tcp(listener) => listener.local_addr().map(Some),
            Bound::Unix { .. } => Ok(None),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match &mut self.socket {
            Bound::Tcp(listener) => listener,
            Bound::Unix { listener, .. } => listener,
        }
    }

    /// Registers it at the poller under a token that it keeps.
    ///
    /// # Errors
    /// Those of the system.
    pub fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.token = Some(token);
        registry.register(self.source(), token, Interest::READABLE)
    }

    /// Takes it from the poller.
    ///
    /// # Errors
    /// Those of the system.
    pub fn unwatch(&mut self, registry: &Registry) -> io::Result<()> {
        self.token = None;
        registry.deregister(self.source())
    }

    /// Whether the poller means this one.
    pub fn is_named(&self, token: Token) -> bool {
        self.token == Some(token)
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

    /// Accepts up to `budget` connections; a Unix socket has no address.
    pub fn accept(&mut self, budget: usize, now: Tick, mut take: impl FnMut(Raw, Option<IpAddr>)) {
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
        if !self.is_ready() {
            return;
        }
        for _ in 0..budget {
            let accepted = match &self.socket {
                Bound::Tcp(listener) => {
                    // One form of an address everywhere: that of a client by IPv4 is not another for having come to
                    // [::].
                    listener.accept().map(|(stream, address)| (Raw::Tcp(stream), Some(address.ip().to_canonical())))
                }
                Bound::Unix { listener, .. } => listener.accept().map(|(stream, _)| (Raw::Unix(stream), None)),
            };
            match accepted {
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
                    // The connection was gone before it was accepted; the next may be well.
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

/// Options that accepted connections inherit.
fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // A client that stops reading otherwise makes the kernel keep megabytes for it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER)?;
    Ok(())
}

/// Removes the file of a socket that no process listens on: a server that was killed leaves one.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // It is listened on, or its backlog is full.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Connections the kernel holds until they are accepted; it may cap this (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Bytes the kernel takes for a connection beyond what it can send at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT_LOW_WATER: u32 = 16 << 10;

/// How long a listener rests that could not accept.
const REST: Duration = Duration::from_millis(100);
