//! What a turn of the loop needs from outside: readiness, accepted connections, the clock. Everything else in a turn is
//! ours.
//!
//! This is the one seam. On its one side stands [`super::kernel`], with mio, signals and the clock of the machine; on
//! the other one whatever else is to turn the loop, such as a simulation whose time and network are numbers. Nothing of
//! [`super`] asks outside for anything but by these words.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::time::Duration;

use super::tls::Transport;

/// What is outside of the loop.
pub trait System: fmt::Debug {
    /// A TCP connection, non-blocking.
    type Tcp: Transport + Peek + fmt::Debug;
    /// A connection by a Unix socket, non-blocking.
    type Unix: Transport + Peek + fmt::Debug;

    /// Waits until there is something to report, or `timeout` is over; `None`: for as long as it takes.
    ///
    /// # Errors
    /// [`Interrupted`](io::ErrorKind::Interrupted): waiting is to be tried again. Others end the loop.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Reports what the last wait has found, and returns whether that was all. The rest is for the next one, in order.
    fn report(&mut self, note: impl FnMut(Ready)) -> bool;

    /// The time since the loop was made, by a clock that only goes forward.
    fn elapsed(&self) -> Duration;

    /// How long the loop has worked: the processor time of its thread. A turn that took much longer than its work was
    /// stopped.
    fn worked(&self) -> Duration;

    /// Milliseconds since the Unix epoch, by a clock that may jump.
    fn unix_ms(&self) -> u64;

    /// What the system says of this process.
    fn process() -> Process;

    /// The next connection of a listener, and where it comes from; a Unix socket has no address.
    ///
    /// # Errors
    /// Those of accepting: [`WouldBlock`](io::ErrorKind::WouldBlock) when there is none.
    fn accept(&mut self, listener: usize) -> io::Result<(RawOf<Self>, Option<IpAddr>)>;

    /// Whether another process holds the socket too, and goes on listening when this one ends.
    fn is_handed_over(&self, _listener: usize) -> bool {
        false
    }

    /// Listens no longer.
    fn stop_listening(&mut self, listener: usize);

    /// Listens no longer, and keeps all sockets: those who come wait for the process that takes over.
    fn set_aside(&mut self) {}

    /// The process that takes over can open the store.
    fn let_go(&mut self) {}

    /// Reports from now on, at its edges, what there is about a connection.
    ///
    /// # Errors
    /// Those of the poller.
    fn watch(&mut self, connection: RawMut<'_, Self>, of: Watched) -> io::Result<()>;

    /// Reports it under another name, and once more what has been reported.
    ///
    /// # Errors
    /// Those of the poller.
    fn watch_as(&mut self, connection: RawMut<'_, Self>, of: Watched) -> io::Result<()>;
}

/// A connection whose bytes can be looked at before they are read.
pub trait Peek {
    /// Copies the next bytes, which stay; 0: the stream has ended.
    ///
    /// # Errors
    /// Those of reading.
    fn peek(&mut self, into: &mut [u8]) -> io::Result<usize>;
}

/// What the system says of the process; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Its memory, in bytes.
    pub resident: Option<usize>,
    /// Its address space, in bytes.
    pub address_space: Option<usize>,
    /// The processor time that it has taken.
    pub cpu: Option<Duration>,
    /// Its descriptors.
    pub descriptors: Option<u64>,
    /// How many it may have.
    pub max_descriptors: Option<u64>,
}

/// The connection that is watched, by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The engine's, by the index of its slot: for both directions.
    Peer(u32),
    /// The lobby's, by its key: for reading.
    Waiting(usize),
}

/// What a wait has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// There may be connections to accept.
    Listener(usize),
    /// There may be bytes of a connection that waits in the lobby.
    Waiting(usize),
    /// There is something about a peer.
    Peer {
        /// The index of its slot.
        index: u32,
        /// It can be read.
        readable: bool,
        /// It has ended its stream, or the connection is broken: behind what can be read lies the end.
        ended: bool,
        /// It can be written.
        writable: bool,
    },
    /// The store has woken the loop.
    Woken,
    /// The operator asks for the settings to be read again.
    Reload,
    /// The operator asks for the end.
    Stop,
    /// Another process takes the listening sockets over, and waits for the store.
    HandOver,
}

/// The socket of a connection, without TLS.
#[derive(Debug)]
pub enum Raw<Tcp, Unix> {
    /// TCP.
    Tcp(Tcp),
    /// A Unix socket.
    Unix(Unix),
}

/// The sockets that a system accepts.
pub type RawOf<S> = Raw<<S as System>::Tcp, <S as System>::Unix>;

/// The same, lent.
pub type RawMut<'a, S> = Raw<&'a mut <S as System>::Tcp, &'a mut <S as System>::Unix>;

impl<Tcp, Unix> Raw<Tcp, Unix> {
    /// The same, lent.
    pub fn lend(&mut self) -> Raw<&mut Tcp, &mut Unix> {
        match self {
            Self::Tcp(tcp) => Raw::Tcp(tcp),
            Self::Unix(unix) => Raw::Unix(unix),
        }
    }
}

impl<Tcp: Read, Unix: Read> Read for Raw<Tcp, Unix> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(bytes),
            Self::Unix(unix) => unix.read(bytes),
        }
    }
}

impl<Tcp: Peek, Unix: Peek> Peek for Raw<Tcp, Unix> {
    fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.peek(into),
            Self::Unix(unix) => unix.peek(into),
        }
    }
}

impl<Tcp: Write, Unix: Write> Write for Raw<Tcp, Unix> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write_vectored(slices),
            Self::Unix(unix) => unix.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<Tcp: Transport, Unix: Transport> Transport for Raw<Tcp, Unix> {
    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.end(),
            Self::Unix(unix) => unix.end(),
        }
    }
}
