//! One TLS connection over a transport that never waits, and where such connections begin.
//!
//! A stream that is not readable or writable now says so by `WouldBlock`; nothing waits.
//!
//! ```text
//!   handshake --done--> open --shut_down--> closing (close_notify, then FIN)
//!       `-----failed--> deaf: what was wrong is said, what comes is discarded until the peer ends
//! ```

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;

use rustls::ServerConnection;

use super::Identity;

/// Where TLS connections begin: the identity of now, and what became of handshakes.
#[derive(Clone, Debug)]
pub struct Acceptor {
    identity: Identity,
    shared: Rc<Shared>,
}

/// What all connections add to.
#[derive(Debug, Default)]
struct Shared {
    handshakes: Handshakes,
    /// The sum of their [`TlsStream::held_bytes`].
    held: Cell<usize>,
}

impl Acceptor {
    /// With nothing counted yet.
    pub fn new(identity: Identity) -> Self {
        Self { identity, shared: Rc::default() }
    }

    /// From now on connections are shown this one. Those that are there keep what they have.
    pub fn change_identity(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// A connection that is about to begin its handshake.
    ///
    /// # Errors
    /// Those of rustls, which has none for a configuration that was once good.
    pub fn accept(&self) -> Result<TlsStream, rustls::Error> {
        let mut tls = ServerConnection::new(self.identity.config())?;
        tls.set_buffer_limit(Some(MAX_UNSENT));
        let mut stream = TlsStream {
            tls,
            state: State::Handshake { taken: 0, first: None },
            ended: false,
            more: false,
            incoming: Incoming::default(),
            plaintext: 0,
            unsent: 0,
            noted: 0,
            shared: self.shared.clone(),
        };
        stream.note_held();
        Ok(stream)
    }

    /// What new connections are shown.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What became of handshakes.
    pub fn handshakes(&self) -> &Handshakes {
        &self.shared.handshakes
    }

    /// What is held for all connections, in octets: an [estimate](TlsStream::held_bytes).
    pub fn held_bytes(&self) -> usize {
        self.shared.held.get()
    }
}

/// Handshakes by outcome. Numbers only grow.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// The connection is encrypted.
    pub done: Cell<u64>,
    /// What came was not TLS as this server speaks it.
    pub failed: Cell<u64>,
    /// It was HTTP without TLS, and was told so.
    pub plain_http: Cell<u64>,
}

/// What a TLS stream lies on.
pub trait Transport: Read + Write {
    /// Ends our side (`shutdown(SHUT_WR)`).
    ///
    /// # Errors
    /// Those of the system.
    fn end(&mut self) -> io::Result<()>;
}

/// One TLS connection. The transport is lent to each call.
pub struct TlsStream {
    tls: ServerConnection,
    state: State,
    /// The peer will send nothing more.
    ended: bool,
    /// A read stopped before it had everything.
    more: bool,
    incoming: Incoming,
    /// Octets decrypted by the last read and not all taken.
    plaintext: usize,
    /// Octets encrypted since all had been written.
    unsent: usize,
    /// What is counted of it in `shared`.
    noted: usize,
    shared: Rc<Shared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Octets taken so far, and the first of them.
    Handshake {
        taken: u32,
        first: Option<u8>,
    },
    Open,
    /// close_notify is on its way; behind it our side is to be ended.
    Closing,
    /// Our side is ended after close_notify.
    Closed,
    /// The handshake failed and that has been said.
    Deaf,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("state", &self.state).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl TlsStream {
    /// Reads until `plain` is full or nothing more is there: a short read means drained, unless [`TlsStream::holds_more`].
    /// What the handshake has to answer is written.
    ///
    /// # Errors
    /// `WouldBlock`; those of the transport; `InvalidData` when an open connection breaks the protocol.
    pub fn read(&mut self, transport: &mut impl Transport, plain: &mut [u8]) -> io::Result<usize> {
        let result = self.read_records(transport, plain);
        self.note_held();
        result
    }

    fn read_records(&mut self, transport: &mut impl Transport, plain: &mut [u8]) -> io::Result<usize> {
        self.more = false;
        if self.state == State::Deaf {
            return self.discard(transport);
        }
        let (mut filled, mut taken, mut drained) = (0, 0, false);
        loop {
            filled += self.take_plaintext(&mut plain[filled..])?;
            if filled == plain.len() || self.ended || drained {
                break;
            }
            if taken > plain.len() + MAX_WITHOUT_CONTENT {
                self.more = true;
                break;
            }
            let before = match self.state {
                State::Handshake { taken, .. } => taken as usize,
                _ => self.incoming.come,
            };
            let incoming = &mut self.incoming;
            let mut source = Source { transport, incoming, before, len: 0, drained: false, first: None };
            let result = self.tls.read_tls(&mut source);
            let Source { len, drained: now_drained, first, .. } = source;
            match result {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    taken += len;
                    drained = now_drained;
                    if let Err(error) = self.process(len, first) {
                        return self.fail(transport, error);
                    }
                    if self.tls.wants_write() {
                        ignore_would_block(self.write_out(transport))?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => drained = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match filled {
            0 if self.ended => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                self.more |= self.ended;
                Ok(filled)
            }
        }
    }

    /// Whether a read will find something that no poller tells of.
    pub fn holds_more(&self) -> bool {
        self.more
    }

    /// Encrypts and writes. What is taken is on its way, but the last record of it may still be here: then
    /// nothing is taken until [`TlsStream::flush`] has written it.
    ///
    /// # Errors
    /// `WouldBlock`, also before the handshake is done; those of the transport.
    pub fn write(&mut self, transport: &mut impl Transport, octets: &[u8]) -> io::Result<usize> {
        let result = self.write_records(transport, octets);
        self.note_held();
        result
    }

    fn write_records(&mut self, transport: &mut impl Transport, octets: &[u8]) -> io::Result<usize> {
        self.ready_to_write(transport)?;
        let mut written = 0;
        while written < octets.len() {
            let len = self.tls.writer().write(&octets[written..])?;
            self.unsent += len;
            written += len;
            match self.write_out(transport) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                result => result?,
            }
        }
        Ok(written)
    }

    /// The same for several slices, which share records.
    ///
    /// # Errors
    /// The same.
    pub fn write_vectored(&mut self, transport: &mut impl Transport, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let result = self.write_slices(transport, slices);
        self.note_held();
        result
    }

    fn write_slices(&mut self, transport: &mut impl Transport, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.ready_to_write(transport)?;
        let mut written = self.tls.writer().write_vectored(slices)?;
        self.unsent += written;
        let mut skip = written;
        for slice in slices {
            // A short count tells the engine that the transport is full, so it must be.
            let rest = &slice[skip.min(slice.len())..];
            skip -= slice.len() - rest.len();
            if rest.is_empty() {
                continue;
            }
            match self.write_records(transport, rest) {
                // Taken in part: nothing may follow it, even if the transport has room again by now.
                Ok(len) if len < rest.len() => return Ok(written + len),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(written),
                Err(error) => return Err(error),
            }
        }
        ignore_would_block(self.write_out(transport))?;
        Ok(written)
    }

    /// Writes what is left of records.
    ///
    /// # Errors
    /// `WouldBlock` if something still is; those of the transport.
    pub fn flush(&mut self, transport: &mut impl Transport) -> io::Result<()> {
        let result = self.write_out(transport);
        self.note_held();
        result?;
        if self.state == State::Closing {
            self.state = State::Closed;
            transport.end()?;
        }
        Ok(())
    }

    /// Says close_notify and ends our side behind it, at once or when the rest has been flushed.
    ///
    /// # Errors
    /// `WouldBlock`: the rest is to be flushed; those of the transport.
    pub fn shut_down(&mut self, transport: &mut impl Transport) -> io::Result<()> {
        match self.state {
            State::Handshake { .. } | State::Open => {
                if self.state == State::Open {
                    self.tls.send_close_notify();
                }
                self.state = State::Closing;
                self.flush(transport)
            }
            State::Closing => self.flush(transport),
            State::Closed | State::Deaf => Ok(()),
        }
    }

    /// What is held for this connection, in octets. Its buffers count as large as they are (that of a record which is half written
    /// with all of it); rustls does not tell what its state and keys take, which count as what was measured. `tests/allocations.rs`
    /// holds the sum to the allocator.
    pub fn held_bytes(&self) -> usize {
        let state = if self.incoming.buffer == 0 { FRESH_STATE_BYTES } else { STATE_BYTES };
        let unsent = if self.unsent == 0 { 0 } else { self.unsent + RECORD_OVERHEAD };
        // It grows by doubling.
        let buffer = if self.incoming.buffer == 0 { 0 } else { self.incoming.buffer.next_power_of_two() };
        size_of::<Self>() + state + buffer + self.plaintext + unsent
    }

    /// Brings the sum of all connections up to date with this one.
    fn note_held(&mut self) {
        let held = self.held_bytes();
        let before = std::mem::replace(&mut self.noted, held);
        self.shared.held.set(self.shared.held.get() - before + held);
    }

    /// Takes in records; `len` octets came, with `first` in front.
    fn process(&mut self, len: usize, first: Option<u8>) -> Result<(), Failure> {
        let result = self.tls.process_new_packets();
        if let Ok(told) = &result {
            self.plaintext = told.plaintext_bytes_to_read();
            // Answers of the handshake among them.
            self.unsent = self.unsent.max(told.tls_bytes_to_write());
        }
        if let State::Handshake { taken, first: known } = &mut self.state {
            *known = known.or(first);
            *taken += len as u32;
            if result.is_ok() && !self.tls.is_handshaking() {
                self.state = State::Open;
                let done = &self.shared.handshakes.done;
                done.set(done.get() + 1);
            } else if result.is_ok() && *taken > MAX_HANDSHAKE_LEN {
                return Err(Failure::TooLong);
            }
        }
        result.map(|_| ()).map_err(Failure::Tls)
    }

    fn take_plaintext(&mut self, plain: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < plain.len() {
            match self.tls.reader().read(&mut plain[filled..]) {
                Ok(0) => {
                    // close_notify: what stood before it has been read.
                    self.ended = true;
                    break;
                }
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.plaintext = 0;
                    break;
                }
                // The stream was cut without close_notify: frames have an end of their own.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn ready_to_write(&mut self, transport: &mut impl Transport) -> io::Result<()> {
        match self.state {
            State::Open => self.write_out(transport),
            State::Handshake { .. } => Err(io::ErrorKind::WouldBlock.into()),
            State::Closing | State::Closed | State::Deaf => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes records until none is left.
    fn write_out(&mut self, transport: &mut impl Transport) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(transport) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = 0;
        Ok(())
    }

    /// Says what is wrong. A handshake that fails goes on listening, so that no reset overtakes what was said.
    fn fail(&mut self, transport: &mut impl Transport, failure: Failure) -> io::Result<usize> {
        log::debug!("TLS: {failure}");
        let State::Handshake { first, .. } = self.state else {
            ignore_would_block(self.write_out(transport))?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, failure.to_string()));
        };
        let counted = match first.is_some_and(|octet| octet.is_ascii_uppercase()) {
            true => {
                // Never more than a few octets into an empty socket: what does not fit is not said.
                ignore_would_block(transport.write(PLAIN_HTTP).map(|_| ()))?;
                &self.shared.handshakes.plain_http
            }
            false => {
                ignore_would_block(self.write_out(transport))?;
                &self.shared.handshakes.failed
            }
        };
        counted.set(counted.get() + 1);
        self.state = State::Deaf;
        transport.end()?;
        self.discard(transport)
    }

    fn discard(&mut self, transport: &mut impl Transport) -> io::Result<usize> {
        let mut octets = [0; 4096];
        for _ in 0..DISCARDS {
            match transport.read(&mut octets) {
                Ok(0) => return Ok(0),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.more = true;
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.shared.held.set(self.shared.held.get() - self.noted);
    }
}

/// What of a record has come and is kept until the rest has.
///
/// ```text
///   +------+---------+--------+----------+      RFC 8446 section 5.1
///   | type | version | length | fragment |
///   +------+---------+--------+----------+
///   0      1         3        5
/// ```
#[derive(Clone, Copy, Debug, Default)]
struct Incoming {
    /// How much of the record has come, with its header; 0: none of it.
    come: usize,
    /// The length in that header, as far as it has come.
    length: usize,
    /// The length of the buffer that rustls has for such octets; 0: none yet.
    buffer: usize,
}

impl Incoming {
    /// These have come.
    fn note(&mut self, mut octets: &[u8]) {
        while let Some((first, rest)) = octets.split_first() {
            match self.come {
                3 => self.length = usize::from(*first) << 8,
                4 => self.length |= usize::from(*first),
                _ => {}
            }
            let taken = match self.come {
                RECORD_HEADER.. => octets.len().min(RECORD_HEADER + self.length - self.come),
                _ => 1,
            };
            self.come += taken;
            if self.come >= RECORD_HEADER && self.come == RECORD_HEADER + self.length {
                self.come = 0;
            }
            octets = if taken == 1 { rest } else { &octets[taken..] };
        }
    }
}

/// Why a connection cannot go on.
#[derive(Debug)]
enum Failure {
    Tls(rustls::Error),
    TooLong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::TooLong => write!(f, "a handshake of more than {MAX_HANDSHAKE_LEN} octets"),
        }
    }
}

/// Notes what a read of the transport was like.
struct Source<'a, T> {
    transport: &'a mut T,
    incoming: &'a mut Incoming,
    /// What lies in the buffer already.
    before: usize,
    len: usize,
    /// Less came than there was room for: nothing more is there.
    drained: bool,
    first: Option<u8>,
}

impl<T: Read> Read for Source<'_, T> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.incoming.buffer = self.before + octets.len();
        let len = self.transport.read(octets)?;
        self.incoming.note(&octets[..len]);
        self.len += len;
        self.drained = len < octets.len();
        self.first = self.first.or(octets[..len].first().copied());
        Ok(len)
    }
}

fn ignore_would_block(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}

/// Octets of a record before its fragment.
const RECORD_HEADER: usize = 5;

/// What encryption adds to a record, at most: header, nonce, type and tag.
const RECORD_OVERHEAD: usize = 32;

/// What rustls holds for a connection beside its buffers (state, keys, secrets), before anything has come and later.
const FRESH_STATE_BYTES: usize = 800;
const STATE_BYTES: usize = 2200;

/// What a connection holds that has shaken hands and is idle, in octets.
pub const IDLE_BYTES: usize = size_of::<TlsStream>() + STATE_BYTES + READ_BYTES;

/// What rustls makes room for when it reads and nothing is there yet.
const READ_BYTES: usize = 4096;

/// Octets of a handshake, from the client: a ClientHello with post-quantum keys has about 2,000.
pub const MAX_HANDSHAKE_LEN: u32 = 16 << 10;

/// Plaintext that may be encrypted and not yet written: one record (RFC 8446 section 5.1).
pub const MAX_UNSENT: usize = 16 << 10;

/// Octets beyond what was asked for that one read takes from the transport: records may be empty, and nobody else is served
/// meanwhile.
const MAX_WITHOUT_CONTENT: usize = 16 << 10;

/// Reads of what nobody wants, in one turn.
const DISCARDS: usize = 4;

/// What HTTP without TLS is told.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 62\r\n\
    Connection: close\r\n\r\n{\"error\":\"this port speaks TLS: use https:// or wss:// here\"}\n";

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use std::sync::Arc;

    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::super::identity::tests::identity_pem;
    use super::*;

    /// The way between client and server: what is on it, and how much goes through at once.
    #[derive(Debug, Default)]
    struct Way {
        to_server: VecDeque<u8>,
        to_client: Vec<u8>,
        read_size: usize,
        room: usize,
        client_ended: bool,
        server_ended: bool,
    }

    impl Read for Way {
        fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
            if self.to_server.is_empty() && !self.client_ended {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let len = octets.len().min(self.read_size).min(self.to_server.len());
            for (octet, read) in octets.iter_mut().zip(self.to_server.drain(..len)) {
                *octet = read;
            }
            Ok(len)
        }
    }

    impl Write for Way {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            assert!(!self.server_ended, "written behind the end");
            let len = octets.len().min(self.room);
            if len == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= len;
            self.to_client.extend_from_slice(&octets[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Way {
        fn end(&mut self) -> io::Result<()> {
            self.server_ended = true;
            Ok(())
        }
    }

    struct Pair {
        client: ClientConnection,
        server: TlsStream,
        way: Way,
    }

    impl Pair {
        fn new() -> Self {
            let (chain, key) = identity_pem();
            let identity = Identity::read(chain.as_bytes(), key.as_bytes()).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap();
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
            let way = Way { read_size: usize::MAX, room: usize::MAX, ..Way::default() };
            Self { client, server: Acceptor::new(identity).accept().unwrap(), way }
        }

        /// Shaken hands.
        fn open() -> Self {
            let mut pair = Self::new();
            for _ in 0..3 {
                pair.client_writes();
                assert_eq!(kind(pair.server.read(&mut pair.way, &mut [0; 64])), io::ErrorKind::WouldBlock);
                pair.client_reads();
            }
            assert_eq!(pair.server.state, State::Open);
            pair
        }

        fn client_writes(&mut self) {
            let mut octets = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut octets).unwrap();
            }
            self.way.to_server.extend(octets);
        }

        /// What the client has from the server.
        fn client_reads(&mut self) -> Vec<u8> {
            let octets = std::mem::take(&mut self.way.to_client);
            let (mut octets, mut plain) = (&octets[..], Vec::new());
            while !octets.is_empty() {
                self.client.read_tls(&mut octets).unwrap();
                self.client.process_new_packets().unwrap();
                let mut part = [0; 4096];
                while let Ok(len @ 1..) = self.client.reader().read(&mut part) {
                    plain.extend_from_slice(&part[..len]);
                }
            }
            plain
        }
    }

    fn kind(result: io::Result<usize>) -> io::ErrorKind {
        result.expect_err("an error").kind()
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn whatever_splits_the_records_what_is_said_comes() {
        for read_size in [1, 100, usize::MAX] {
            let mut pair = Pair::new();
            pair.way.read_size = read_size;
            pair.client.set_buffer_limit(None);
            pair.client.writer().write_all(&pattern(100_000)).unwrap();
            let (mut heard, mut buffer, mut rounds) = (Vec::new(), [0; 5000], 0);
            while heard.len() < 100_000 {
                pair.client_writes();
                match pair.server.read(&mut pair.way, &mut buffer) {
                    // As edge-triggered polling wants it: short is drained, and only then is it asked to come again.
                    Ok(len) => {
                        heard.extend_from_slice(&buffer[..len]);
                        let may_be_more = len == buffer.len() || pair.server.holds_more();
                        assert!(may_be_more || read_size < 5000 || pair.way.to_server.is_empty());
                    }
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
                pair.client_reads();
                rounds += 1;
                assert!(rounds < 1_000_000);
            }
            assert!(heard == pattern(100_000), "{read_size}");
        }
    }

    #[test]
    fn a_full_transport_is_filled_again_without_loss() {
        for (room, vectored) in [(1, false), (1000, false), (20_000, false), (1000, true), (40_000, true)] {
            let mut pair = Pair::open();
            let octets = pattern(90_000);
            let (mut sent, mut heard) = (0, Vec::new());
            while heard.len() < octets.len() {
                pair.way.room = room;
                let rest = &octets[sent..];
                let result = match vectored {
                    _ if rest.is_empty() => pair.server.flush(&mut pair.way).map(|()| 0),
                    false => pair.server.write(&mut pair.way, rest),
                    true => {
                        let slices: Vec<IoSlice<'_>> = rest.chunks(7001).map(IoSlice::new).collect();
                        pair.server.write_vectored(&mut pair.way, &slices)
                    }
                };
                match result {
                    Ok(len) => {
                        // What the engine leans on: short means full.
                        assert!(len == rest.len() || pair.way.room == 0, "{len} {}", pair.way.room);
                        sent += len;
                    }
                    Err(error) => assert_eq!((error.kind(), pair.way.room), (io::ErrorKind::WouldBlock, 0)),
                }
                heard.extend(pair.client_reads());
            }
            assert!(heard == octets, "{room}");
        }
    }

    /// A transport that is full at every other write and has room again at the next, as a socket whose peer reads meanwhile.
    struct Flapping<'a> {
        way: &'a mut Way,
        full: bool,
        room: usize,
    }

    impl Read for Flapping<'_> {
        fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
            self.way.read(octets)
        }
    }

    impl Write for Flapping<'_> {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.full = !self.full;
            if self.full {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.way.room = self.room;
            self.way.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Flapping<'_> {
        fn end(&mut self) -> io::Result<()> {
            self.way.end()
        }
    }

    /// What was taken in part is never followed by what comes behind it.
    #[test]
    fn room_that_comes_amid_a_write_changes_nothing() {
        for (room, slice) in [(20_000, 30_001), (1_000, 30_001), (16_384, 16_384), (100, 5_000), (20_000, usize::MAX)] {
            for begins_full in [true, false] {
                let mut pair = Pair::open();
                let octets = pattern(90_000);
                let (mut sent, mut heard, mut full) = (0, Vec::new(), !begins_full);
                for _ in 0..100_000 {
                    let rest = &octets[sent..];
                    let mut flapping = Flapping { way: &mut pair.way, full, room };
                    let slices: Vec<IoSlice<'_>> = rest.chunks(slice).map(IoSlice::new).collect();
                    let result = match slices.len() {
                        0 => pair.server.flush(&mut flapping).map(|()| 0),
                        1 => pair.server.write(&mut flapping, rest),
                        _ => pair.server.write_vectored(&mut flapping, &slices),
                    };
                    full = flapping.full;
                    match result {
                        Ok(len) => sent += len,
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                    }
                    heard.extend(pair.client_reads());
                    let wrong = heard.iter().zip(&octets).position(|(heard, said)| heard != said);
                    assert_eq!(wrong, None, "after {sent} with room for {room} in slices of {slice}");
                    if heard.len() == octets.len() {
                        break;
                    }
                }
                assert_eq!(heard.len(), octets.len(), "room for {room} in slices of {slice}");
            }
        }
    }

    #[test]
    fn the_end_waits_for_what_was_written_before_it() {
        let mut pair = Pair::open();
        pair.way.room = 10;
        assert_eq!(pair.server.write(&mut pair.way, b"the last words").unwrap(), 14);
        assert_eq!(pair.server.shut_down(&mut pair.way).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!pair.way.server_ended);
        pair.way.room = 1000;
        pair.server.flush(&mut pair.way).unwrap();
        assert!(pair.way.server_ended);
        assert_eq!(pair.client_reads(), b"the last words");
        assert_eq!(pair.client.reader().read(&mut [0; 1]).unwrap(), 0, "close_notify came");
        assert_eq!(kind(pair.server.write(&mut pair.way, b"x")), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_clients_end_is_told_with_and_without_close_notify() {
        for close_notify in [true, false] {
            let mut pair = Pair::open();
            pair.client.writer().write_all(b"bye").unwrap();
            match close_notify {
                true => pair.client.send_close_notify(),
                false => pair.way.client_ended = true,
            }
            pair.client_writes();
            let mut buffer = [0; 64];
            assert_eq!(pair.server.read(&mut pair.way, &mut buffer).unwrap(), 3);
            if close_notify {
                assert!(pair.server.holds_more(), "the poller tells of no close_notify");
            }
            assert_eq!(pair.server.read(&mut pair.way, &mut buffer).unwrap(), 0);
            pair.server.shut_down(&mut pair.way).unwrap();
            pair.client_reads();
            assert_eq!(pair.client.reader().read(&mut [0; 1]).unwrap(), 0, "it is answered");
        }
    }

    #[test]
    fn what_is_no_handshake_is_told_so() {
        let long_hello = |len: u32| {
            let mut octets = vec![1];
            octets.extend_from_slice(&len.to_be_bytes()[1..]);
            octets.resize(4 + len as usize, 0);
            octets
                .chunks(16_000)
                .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
                .collect::<Vec<u8>>()
        };
        for (octets, alert) in [
            (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), false),
            (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00".to_vec(), true),
            (b"\x16\x03\x01\x00\x05hello".to_vec(), false),
            (b"\x00\x01\x02\x03\x04\x05".to_vec(), true),
            (b"\x80\x2e\x01\x00\x02\x00\x15".to_vec(), true),
            (b"\x17\x03\x03\x00\x01\x00".to_vec(), true),
            (long_hello(60_000), false),
            (long_hello(1 << 20), false),
        ] {
            let mut pair = Pair::new();
            pair.way.to_server.extend(&octets);
            for _ in 0..100 {
                assert_eq!(kind(pair.server.read(&mut pair.way, &mut [0; 64])), io::ErrorKind::WouldBlock);
            }
            assert_eq!(pair.server.state, State::Deaf, "{:x?}", &octets[..6]);
            assert!(pair.way.server_ended && pair.way.to_server.is_empty());
            let said = &pair.way.to_client;
            match octets[0] {
                b'G' => assert!(said.starts_with(b"HTTP/1.1 400 ") && said.ends_with(b"here\"}\n")),
                _ => assert_eq!(said.first() == Some(&21), alert, "an alert to {:x?}", &octets[..6]),
            }
            pair.way.client_ended = true;
            assert_eq!(pair.server.read(&mut pair.way, &mut [0; 64]).unwrap(), 0);
        }
    }

    #[test]
    fn of_a_record_is_kept_what_has_come() {
        let record = |len: usize| [&[23, 3, 3, (len >> 8) as u8, len as u8][..], &vec![5; len]].concat();
        for (octets, come) in [
            (Vec::new(), 0),
            (record(100)[..3].to_vec(), 3),
            (record(100)[..5].to_vec(), 5),
            (record(100)[..104].to_vec(), 104),
            (record(100), 0),
            (record(0), 0),
            ([record(0), record(300), record(1), record(17_000)[..9000].to_vec()].concat(), 9000),
        ] {
            for piece in [1, 2, 7, usize::MAX] {
                let mut incoming = Incoming::default();
                octets.chunks(piece.min(octets.len().max(1))).for_each(|part| incoming.note(part));
                assert_eq!(incoming.come, come, "{} octets by {piece}", octets.len());
            }
        }
    }
}
