//! A TCP connection as the engine's stream.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown};

use mio::net::TcpStream;

use super::admission;
use crate::chat;
use crate::engine::Stream;

/// An accepted connection, non-blocking.
#[derive(Debug)]
pub struct Socket {
    /// The connection.
    pub tcp: TcpStream,
    /// Where it comes from.
    pub address: IpAddr,
    /// Whether it counts for that address.
    pub counted: bool,
}

impl Socket {
    /// Where it comes from as the chat sees it, if it counts for that.
    pub fn counted_address(&self) -> Option<chat::Address> {
        self.counted.then(|| chat::Address(admission::fold(self.address)))
    }
}

impl Read for Socket {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.tcp.read(octets)
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.tcp.write(octets)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tcp.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Socket {
    fn shut_down(&mut self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }
}
