//! The sockets that the system listens on for us: how they are made, and what is accepted from them.
//!
//! Options are set once on the listener and inherited by what is accepted.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use rustix::fs::Mode;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use super::super::Error;
use super::super::listener::Address;
use super::super::system::Raw;

/// A socket that another process has bound and listens on too.
#[derive(Debug)]
pub enum Handed {
    /// For TCP.
    Tcp(std::net::TcpListener),
    /// In the file system, or without a name.
    Unix(std::os::unix::net::UnixListener),
}

impl Handed {
    /// The address it is bound to; `None` for a Unix socket.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    /// Whether it listens; else it is one connection.
    ///
    /// # Errors
    /// Those of the system.
    pub fn listens(&self) -> io::Result<bool> {
        match self {
            Self::Tcp(listener) => SockRef::from(listener).is_listener(),
            Self::Unix(listener) => SockRef::from(listener).is_listener(),
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    /// The setting that named its address.
    option: &'static str,
    /// The address as it was said.
    asked: String,
    handed_over: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// The file goes first: while this socket listens, nobody takes its place, and it is no other's.
    Unix {
        file: Option<SocketFile>,
        listener: UnixListener,
        path: Option<PathBuf>,
    },
}

/// The file of a Unix socket, removed when the listener is gone, unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    /// Another process listens there.
    left: bool,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.left && inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// Binds and listens.
    ///
    /// # Errors
    /// [`Error::Listen`] with `option`, the setting that named the address.
    pub fn bind(address: &Address, option: &'static str) -> Result<Self, Error> {
        let socket = match address {
            Address::Tcp(address) => open(*address).map(Socket::Tcp),
            Address::Unix { path, mode } => {
                let opened = open_unix(path, *mode);
                opened.map(|(listener, file)| Socket::Unix { listener, path: Some(path.clone()), file: Some(file) })
            }
        };
        let socket = socket.map_err(|error| Error::Listen { option, address: address.clone(), error })?;
        Ok(Self { socket, option, asked: address.to_string(), handed_over: false })
    }

    /// Takes over a socket that another process has bound, in the place of the addresses of `option`. That process
    /// holds it too, and goes on.
    ///
    /// # Errors
    /// Those of the system.
    pub fn adopt(handed: Handed, option: &'static str) -> io::Result<Self> {
        let mut bound = Self::of(handed, option, String::new())?;
        bound.asked = match (bound.local_address()?, bound.path()) {
            (Some(address), _) => address.to_string(),
            (None, path) => format!("unix:{}", path.unwrap_or(Path::new("")).display()),
        };
        bound.handed_over = true;
        Ok(bound)
    }

    /// Takes over the socket of this address of `option` from another process, which will end. The file of a Unix
    /// socket is that process' until it is [owned](Self::own).
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn succeed(handed: Handed, address: &Address, option: &'static str) -> Result<Self, Error> {
        let bound = Self::of(handed, option, address.to_string());
        bound.map_err(|error| Error::Listen { option, address: address.clone(), error })
    }

    fn of(handed: Handed, option: &'static str, asked: String) -> io::Result<Self> {
        let socket = match handed {
            Handed::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                set_options(&SockRef::from(&listener))?;
                Socket::Tcp(TcpListener::from_std(listener))
            }
            Handed::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
                // The process that has bound it removes its file.
                Socket::Unix { listener: UnixListener::from_std(listener), path, file: None }
            }
        };
        Ok(Self { socket, option, asked, handed_over: false })
    }

    /// From now on the file of this Unix socket is this process' own, which removes it, and has the permissions that
    /// its setting says. One that it has made itself is so already.
    ///
    /// # Errors
    /// Those of the system.
    pub fn own(&mut self, mode: u32) -> io::Result<()> {
        if let Socket::Unix { path: Some(path), file: file @ None, .. } = &mut self.socket {
            fs::set_permissions(&*path, fs::Permissions::from_mode(mode))?;
            *file = Some(SocketFile { inode: inode(path)?, path: path.clone(), left: false });
        }
        Ok(())
    }

    /// From now on the file of this Unix socket is another process' own.
    pub(super) fn disown(&mut self) {
        if let Socket::Unix { file: Some(file), .. } = &mut self.socket {
            file.left = true;
        }
    }

    /// The setting that named its address.
    pub(super) fn option(&self) -> &'static str {
        self.option
    }

    /// The address as it was said; of a socket that was handed over, where it is.
    pub(super) fn asked(&self) -> &str {
        &self.asked
    }

    /// The path of a Unix socket that has one.
    pub fn path(&self) -> Option<&Path> {
        match &self.socket {
            Socket::Tcp(_) => None,
            Socket::Unix { path, .. } => path.as_deref(),
        }
    }

    /// The address it is bound to; the port is known even if 0 was asked for. `None` for a Unix socket.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_address(&self) -> io::Result<Option<SocketAddr>> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(Some),
            Socket::Unix { .. } => Ok(None),
        }
    }

    /// Whether another process holds the socket too, and goes on listening when this one ends.
    pub fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    pub(super) fn source(&mut self) -> &mut dyn Source {
        match &mut self.socket {
            Socket::Tcp(listener) => listener,
            Socket::Unix { listener, .. } => listener,
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Raw<TcpStream, UnixStream>, Option<IpAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                // One form of an address everywhere: that of a client by IPv4 is not another for having come to [::].
                listener.accept().map(|(stream, address)| (Raw::Tcp(stream), Some(address.ip().to_canonical())))
            }
            Socket::Unix { listener, .. } => listener.accept().map(|(stream, _)| (Raw::Unix(stream), None)),
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix { listener, .. } => listener.as_fd(),
        }
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
    let file = SocketFile { path: path.to_owned(), inode: inode(path)?, left: false };
    socket.listen(BACKLOG)?;
    Ok((UnixListener::from_std(socket.into()), file))
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

/// Sockets to listen on for one purpose, at most.
pub const MAX_OF_A_KIND: usize = 16;

/// Sockets to listen on, at most: for everybody, with TLS, to be sent to TLS, for the operator.
pub const MAX_LISTENERS: usize = 4 * MAX_OF_A_KIND;

/// Connections the kernel holds until they are accepted; it may cap this (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Bytes the kernel takes for a connection beyond what it can send at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT_LOW_WATER: u32 = 16 << 10;
