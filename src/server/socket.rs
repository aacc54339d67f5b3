//! An accepted connection as the engine's stream: TCP or a Unix socket, with TLS on it or not.
//!
//! Bare TCP is as small as it can be, because there are most of it; everything else lies in a box.

use std::io::{self, IoSlice, Read, Write};
use std::net::IpAddr;

use crate::chat;
use crate::engine::{Got, Stream, Wrote, receive_short, send_short};

use super::access::Told;
use super::admission;
use super::refusals::Reason;
use super::strangers::Shown;
use super::system::{Raw, RawMut, RawOf, System};
use super::tls::{TlsStream, Transport};

/// An accepted connection, non-blocking.
#[derive(Debug)]
pub enum Socket<S: System> {
    /// TCP and nothing on it.
    Bare {
        /// The connection.
        tcp: S::Tcp,
        /// Where it comes from.
        address: IpAddr,
        /// Whether it counts for that address.
        counted: bool,
        /// By which port it came, and whether it has shown a key there.
        whose: Whose,
        /// It came when all others were being closed.
        late: bool,
    },
    /// Anything else.
    Boxed(Box<Boxed<S>>),
}

/// A connection that is not bare TCP.
#[derive(Debug)]
pub struct Boxed<S: System> {
    raw: RawOf<S>,
    /// TLS, in a box of its own: it is large, and a Unix socket has none.
    tls: Option<Box<TlsStream>>,
    client: Option<IpAddr>,
    counted: bool,
    whose: Whose,
    late: bool,
}

/// The owner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A client's, by the public port.
    Client,
    /// By the admin port, and no request has been let in yet.
    Stranger,
    /// By the admin port, where no key is asked for, and a request was let in.
    Local,
    /// An operator's: a request was let in by its key.
    Operator,
    /// Nobody's: it came by the public port, and is refused.
    Refused,
}

impl<S: System> Socket<S> {
    /// A connection that comes from `client`; `None`: from this machine, by a Unix socket, on behalf of no known
    /// client.
    pub fn new(raw: RawOf<S>, tls: Option<TlsStream>, client: Option<IpAddr>, counted: bool) -> Self {
        match (raw, tls, client) {
            (Raw::Tcp(tcp), None, Some(address)) => {
                Self::Bare { tcp, address, counted, whose: Whose::Client, late: false }
            }
            (raw, tls, client) => {
                let tls = tls.map(Box::new);
                Self::Boxed(Box::new(Boxed { raw, tls, client, counted, whose: Whose::Client, late: false }))
            }
        }
    }

    /// It came by the admin port, where nobody knows yet whose it is.
    pub fn give_to_operator(&mut self) {
        *self.whose_mut() = Whose::Stranger;
    }

    /// Whether it came by the admin port.
    pub fn is_of_operator(&self) -> bool {
        matches!(self.whose(), Whose::Stranger | Whose::Local | Whose::Operator)
    }

    /// A request of it was let in as an operator's: by its key, or because none is asked for.
    pub fn let_in(&mut self, by_key: bool) {
        if self.is_of_operator() {
            *self.whose_mut() = if by_key { Whose::Operator } else { Whose::Local };
        }
    }

    /// What it has shown of itself at the admin port.
    pub fn shown(&self) -> Shown {
        match self.whose() {
            Whose::Operator => Shown::Key,
            Whose::Local => Shown::Request,
            Whose::Client | Whose::Stranger | Whose::Refused => Shown::Nothing,
        }
    }

    fn whose(&self) -> Whose {
        match self {
            Self::Bare { whose, .. } => *whose,
            Self::Boxed(boxed) => boxed.whose,
        }
    }

    fn whose_mut(&mut self) -> &mut Whose {
        match self {
            Self::Bare { whose, .. } => whose,
            Self::Boxed(boxed) => &mut boxed.whose,
        }
    }

    /// It is refused, as has been told: it is answered and closed, and takes no place of a client.
    pub fn refuse(&mut self, _told: Told) {
        *self.whose_mut() = Whose::Refused;
    }

    /// Whether it is refused.
    pub fn is_refused(&self) -> bool {
        self.whose() == Whose::Refused
    }

    /// It comes when all others are being closed.
    pub fn note_late(&mut self) {
        match self {
            Self::Bare { late, .. } => *late = true,
            Self::Boxed(boxed) => boxed.late = true,
        }
    }

    /// Whether it came when all others were being closed.
    pub fn is_late(&self) -> bool {
        match self {
            Self::Bare { late, .. } => *late,
            Self::Boxed(boxed) => boxed.late,
        }
    }

    /// Where it comes from; `None`: from this machine, by a Unix socket.
    pub fn client(&self) -> Option<IpAddr> {
        match self {
            Self::Bare { address, .. } => Some(*address),
            Self::Boxed(boxed) => boxed.client,
        }
    }

    /// Where it comes from, if it counts for that address.
    pub fn counted(&self) -> Option<IpAddr> {
        match self {
            Self::Bare { address, counted, .. } => counted.then_some(*address),
            Self::Boxed(boxed) => boxed.client.filter(|_| boxed.counted),
        }
    }

    /// The same as the chat sees it.
    pub fn counted_address(&self) -> Option<chat::Address> {
        self.counted().map(|address| chat::Address(admission::fold(address)))
    }

    /// It comes from `client`, as a proxy says, and counts for that address.
    pub fn count_for(&mut self, client: IpAddr) {
        match self {
            Self::Bare { address, counted, .. } => (*address, *counted) = (client, true),
            Self::Boxed(boxed) => (boxed.client, boxed.counted) = (Some(client), true),
        }
    }

    /// It counts for no address.
    pub fn forget(&mut self) {
        match self {
            Self::Bare { counted, .. } => *counted = false,
            Self::Boxed(boxed) => boxed.counted = false,
        }
    }

    /// Why the TLS handshake failed, if it did.
    pub fn failed_handshake(&self) -> Option<Reason> {
        let Self::Boxed(boxed) = self else { return None };
        let plain_http = boxed.tls.as_ref()?.failed_handshake()?;
        Some(if plain_http { Reason::PlainHttp } else { Reason::Tls })
    }

    /// The socket under it, for the poller.
    pub fn raw(&mut self) -> RawMut<'_, S> {
        match self {
            Self::Bare { tcp, .. } => Raw::Tcp(tcp),
            Self::Boxed(boxed) => boxed.raw.lend(),
        }
    }
}

/// As anything reads: the engine asks [`Stream::receive`].
impl<S: System> Read for Socket<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.receive(into, true)? {
            Got::Ended => Ok(0),
            Got::More(0) | Got::Drained(0) => Err(io::ErrorKind::WouldBlock.into()),
            Got::More(len) | Got::Drained(len) => Ok(len),
        }
    }
}

/// As anything writes: the engine asks [`Stream::send`].
impl<S: System> Write for Socket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.send(&mut slices.to_vec())? {
            Wrote::All => Ok(slices.iter().map(|slice| slice.len()).sum()),
            Wrote::Full(0) => Err(io::ErrorKind::WouldBlock.into()),
            Wrote::Full(len) => Ok(len),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Bare { .. } => Ok(()),
            Self::Boxed(boxed) => match &mut boxed.tls {
                None => Ok(()),
                Some(tls) => tls.flush(&mut boxed.raw),
            },
        }
    }
}

impl<S: System> Stream for Socket<S> {
    fn receive_steps(&self) -> usize {
        match self {
            Self::Bare { .. } => 0,
            Self::Boxed(boxed) => boxed.tls.as_ref().map_or(0, |tls| tls.receive_steps()),
        }
    }

    fn receive(&mut self, into: &mut [u8], to_end: bool) -> io::Result<Got> {
        match self {
            Self::Bare { tcp, .. } => receive_short(tcp, into, to_end),
            Self::Boxed(boxed) => match &mut boxed.tls {
                None => receive_short(&mut boxed.raw, into, to_end),
                Some(tls) => tls.receive(&mut boxed.raw, into, to_end),
            },
        }
    }

    fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        match self {
            Self::Bare { tcp, .. } => send_short(tcp, slices),
            Self::Boxed(boxed) => match &mut boxed.tls {
                None => send_short(&mut boxed.raw, slices),
                Some(tls) => tls.send(&mut boxed.raw, slices),
            },
        }
    }

    fn shut_down(&mut self) -> io::Result<()> {
        match self {
            Self::Bare { tcp, .. } => tcp.end(),
            Self::Boxed(boxed) => match &mut boxed.tls {
                None => boxed.raw.end(),
                Some(tls) => tls.shut_down(&mut boxed.raw),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::net::TcpStream;

    use super::super::kernel::Kernel;
    use super::*;

    #[test]
    fn bare_tcp_is_small() {
        // In debug builds a stream of mio carries more than its descriptor; without, all is 24 bytes.
        assert!(size_of::<Socket<Kernel>>() - size_of::<TcpStream>() <= 24, "{}", size_of::<Socket<Kernel>>());
        assert!(size_of::<Boxed<Kernel>>() - size_of::<TcpStream>() <= 40, "{}", size_of::<Boxed<Kernel>>());
    }
}
