//! Connections that must begin with a header of the PROXY protocol wait here: until it is read, their client is
//! unknown, so they are neither counted nor handed to the engine.
//!
//! They are few and wait shortly, because proxies send the header at once; a peer that does not is dropped.

use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Duration;

use slab::Slab;

use crate::time::{LONG_TURN, Tick};

use super::proxy_protocol::{BadHeader, Header, MAX_PIECE, Source};
use super::system::{Peek, RawOf, System};

/// The connections that wait.
#[derive(Debug)]
pub struct Lobby<S: System> {
    waiting: Slab<Waiting<S>>,
    /// Those that may have something to read.
    ready: Vec<usize>,
    within: Duration,
}

#[derive(Debug)]
struct Waiting<S: System> {
    raw: RawOf<S>,
    proxy: Option<IpAddr>,
    tls: bool,
    header: Header,
    since: Tick,
    until: Tick,
    ready: bool,
}

/// A connection whose header has been read.
#[derive(Debug)]
pub struct Announced<S: System> {
    /// The connection; the bytes behind the header have not been read.
    pub raw: RawOf<S>,
    /// Its client; the proxy, if that speaks for itself. `None`: by a Unix socket.
    pub client: Option<IpAddr>,
    /// Whether TLS comes next.
    pub tls: bool,
}

impl<S: System> Lobby<S> {
    /// An empty lobby, in which no connection waits for longer than `within`.
    pub fn new(within: Duration) -> Self {
        Self { waiting: Slab::new(), ready: Vec::new(), within }
    }

    /// The key the next connection will have.
    pub fn next_key(&self) -> usize {
        self.waiting.vacant_key()
    }

    /// Takes in a connection from a trusted proxy.
    pub fn insert(&mut self, raw: RawOf<S>, proxy: Option<IpAddr>, tls: bool, now: Tick) {
        let until = now + self.within;
        self.waiting.insert(Waiting { raw, proxy, tls, header: Header::new(), since: now, until, ready: false });
    }

    /// The turn that began then took so long: those who came in it have as much longer, if that is
    /// [long](LONG_TURN).
    pub fn turn_took(&mut self, began: Tick, took: Duration) {
        if took >= LONG_TURN {
            let these = self.waiting.iter_mut().filter(|(_, waiting)| waiting.since == began);
            these.for_each(|(_, waiting)| waiting.until = waiting.until + took);
        }
    }

    /// The poller reports that there may be bytes to read.
    pub fn readable(&mut self, key: usize) {
        if let Some(waiting) = self.waiting.get_mut(key)
            && !std::mem::replace(&mut waiting.ready, true)
        {
            self.ready.push(key);
        }
    }

    /// Reads the bytes that have come, drops connections that are late or wrong, and hands over those whose header is
    /// complete; returns the proxies of the dropped ones.
    pub fn turn(&mut self, now: Tick, mut announce: impl FnMut(Announced<S>)) -> Vec<Option<IpAddr>> {
        let mut dropped = Vec::new();
        let ready: Vec<usize> = self.ready.drain(..self.ready.len().min(READ_AT_ONCE)).collect();
        for key in ready {
            let Some(waiting) = self.waiting.get_mut(key) else { continue };
            waiting.ready = false;
            match waiting.read() {
                Ok(None) => {}
                Ok(Some(source)) => {
                    let Waiting { raw, proxy, tls, .. } = self.waiting.remove(key);
                    let client = match source {
                        Source::Proxy => proxy,
                        Source::Client(address) => Some(address),
                    };
                    announce(Announced { raw, client, tls });
                }
                Err(error) => {
                    let proxy = self.waiting.remove(key).proxy;
                    // A Unix socket has no address.
                    let from = proxy.map_or_else(|| "-".into(), |proxy| proxy.to_string());
                    log::debug!("a proxy at {from} has sent no header of the PROXY protocol: {error}");
                    dropped.push(proxy);
                }
            }
        }
        self.waiting.retain(|_, waiting| {
            let in_time = waiting.until > now;
            if !in_time {
                dropped.push(waiting.proxy);
            }
            in_time
        });
        dropped
    }

    /// When the next connection will be late.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.waiting.iter().map(|(_, waiting)| waiting.until).min()
    }

    /// Whether there is more to read than one turn reads.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many more may.
    pub fn room(&self) -> usize {
        MAX_WAITING.saturating_sub(self.waiting.len())
    }
}

impl<S: System> Waiting<S> {
    fn read(&mut self) -> io::Result<Option<Source>> {
        let mut bytes = [0; MAX_PIECE];
        loop {
            let wanted = self.header.wanted();
            // What is behind a line stays in the socket.
            let wanted = match self.header.is_text() {
                true => self.raw.peek(&mut bytes[..wanted]).map(|len| self.header.part_of(&bytes[..len])),
                false => Ok(wanted),
            };
            match wanted.and_then(|wanted| self.raw.read(&mut bytes[..wanted])) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => match self.header.take(&bytes[..len]) {
                    Ok(None) => {}
                    Ok(done) => return Ok(done),
                    Err(BadHeader) => return Err(io::Error::new(io::ErrorKind::InvalidData, "no such header")),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Connections here that are read in one turn.
const READ_AT_ONCE: usize = 64;

/// The most connections here; more wait in the kernel's backlog.
pub const MAX_WAITING: usize = 1024;
