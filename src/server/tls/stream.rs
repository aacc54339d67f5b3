//! One TLS connection over a transport that never waits, and the acceptor that begins such connections.
//!
//! A stream that is not readable or writable now says so by `WouldBlock`; nothing waits.
//!
//! ```text
//!   handshake --done--> open --shut_down--> closing (close_notify, then FIN)
//!       `-----failed--> deaf: what was wrong is said, what comes is discarded until the peer ends
//! ```

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use rustls::ServerConnection;

use crate::engine::{Got, Wrote};

use super::identities::Identities;

/// Begins TLS connections: the present identities, and the counts of handshakes.
#[derive(Clone, Debug)]
pub struct Acceptor {
    identities: Identities,
    shared: Rc<Shared>,
}

/// The sums of all connections.
#[derive(Debug, Default)]
struct Shared {
    handshakes: Handshakes,
    /// The sum of their [`TlsStream::held_bytes`].
    held: Cell<usize>,
}

impl Acceptor {
    /// With nothing counted yet.
    pub fn new(identities: Identities) -> Self {
        Self { identities, shared: Rc::default() }
    }

    /// Another one that shows these, and counts with this one.
    pub fn beside(&self, identities: Identities) -> Self {
        Self { identities, shared: self.shared.clone() }
    }

    /// Sets the identities of new connections. Open connections keep theirs.
    pub fn change_identities(&mut self, identities: Identities) {
        self.identities = identities;
    }

    /// A connection that is about to begin its handshake.
    ///
    /// # Errors
    /// Those of rustls, which has none for a configuration that was once good.
    pub fn accept(&self) -> Result<TlsStream, rustls::Error> {
        let mut tls = ServerConnection::new(self.identities.config())?;
        tls.set_buffer_limit(Some(MAX_UNSENT));
        let mut stream = TlsStream {
            tls,
            state: State::Handshake { taken: 0, first: None },
            ended: false,
            failure: None,
            incoming: Incoming::default(),
            plaintext: 0,
            unsent: 0,
            noted: 0,
            handshake_steps: self.identities.handshake_steps(),
            shared: self.shared.clone(),
        };
        stream.note_held();
        Ok(stream)
    }

    /// The identities of new connections.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Handshakes by outcome.
    pub fn handshakes(&self) -> &Handshakes {
        &self.shared.handshakes
    }

    /// The memory of all connections, in bytes: an [estimate](TlsStream::held_bytes).
    pub fn held_bytes(&self) -> usize {
        self.shared.held.get()
    }
}

/// Handshakes by outcome. Numbers only grow.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// The connection is encrypted.
    pub done: Cell<u64>,
    /// The bytes were not TLS as this server speaks it.
    pub failed: Cell<u64>,
    /// It was HTTP without TLS, and was answered 400.
    pub plain_http: Cell<u64>,
}

/// The transport under a TLS stream.
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
    /// The failure; returned when all bytes before it have been read.
    failure: Option<io::Error>,
    incoming: Incoming,
    /// Bytes decrypted by the last read and not all taken.
    plaintext: usize,
    /// Bytes encrypted since all had been written.
    unsent: usize,
    /// Its part in `shared`.
    noted: usize,
    /// The cost of the handshake, in steps.
    handshake_steps: u32,
    shared: Rc<Shared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Bytes taken so far, and the first of them.
    Handshake {
        taken: u32,
        first: Option<u8>,
    },
    Open,
    /// close_notify is on its way; behind it our side is to be ended.
    Closing,
    /// Our side is ended after close_notify.
    Closed,
    /// The handshake failed, and the client has been answered.
    Deaf {
        plain_http: bool,
    },
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("state", &self.state).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl TlsStream {
    /// The steps that the next [`TlsStream::receive`] may cost beside its bytes: until the handshake is done, one
    /// [signature](Identities::handshake_steps).
    pub fn receive_steps(&self) -> usize {
        if matches!(self.state, State::Handshake { .. }) { self.handshake_steps as usize } else { 0 }
    }

    /// Reads until `plain` is full or nothing more is there, as [`Stream::receive`](crate::engine::Stream::receive)
    /// does. Answers of the handshake are written.
    ///
    /// # Errors
    /// Those of the transport; `InvalidData` when an open connection breaks the protocol, after all bytes before that.
    pub fn receive(&mut self, transport: &mut impl Transport, plain: &mut [u8], to_end: bool) -> io::Result<Got> {
        let result = self.read_records(transport, plain, to_end);
        self.note_held();
        result
    }

    fn read_records(&mut self, transport: &mut impl Transport, plain: &mut [u8], to_end: bool) -> io::Result<Got> {
        if matches!(self.state, State::Deaf { .. }) {
            return self.discard(transport);
        }
        let (mut filled, mut taken, mut drained) = (0, 0, false);
        loop {
            filled += self.take_plaintext(&mut plain[filled..])?;
            if filled == plain.len() {
                return Ok(Got::More(filled));
            }
            match self.failure.take_if(|_| filled == 0) {
                Some(failure) => return Err(failure),
                None if self.failure.is_some() => return Ok(Got::More(filled)),
                None => {}
            }
            if self.ended {
                return Ok(if filled == 0 { Got::Ended } else { Got::More(filled) });
            }
            if drained {
                return Ok(Got::Drained(filled));
            }
            if taken > plain.len() + MAX_WITHOUT_CONTENT {
                return Ok(Got::More(filled));
            }
            let before = match self.state {
                State::Handshake { taken, .. } => taken as usize,
                _ => self.incoming.come,
            };
            let incoming = &mut self.incoming;
            let mut source = Source { transport, incoming, before, len: 0, short: false, first: None };
            let result = self.tls.read_tls(&mut source);
            let Source { len, short, first, .. } = source;
            match result {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    taken += len;
                    // Fewer bytes than there was room for: the transport has no more, unless its end is behind them.
                    drained = short && !to_end;
                    let processed = self.process(len, first);
                    if let (Err(failure), State::Handshake { .. }) = (&processed, self.state) {
                        return self.refuse(transport, failure);
                    }
                    // The alert for a failure among it.
                    let written = if self.tls.wants_write() { self.write_out(transport) } else { Ok(()) };
                    let failed = processed.map_err(|failure| {
                        log::debug!("TLS: {failure}");
                        io::Error::new(ErrorKind::InvalidData, failure.to_string())
                    });
                    self.failure = failed.and(ignore_would_block(written)).err();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => drained = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// Encrypts and writes, as [`Stream::send`](crate::engine::Stream::send) does; the slices share records. Bytes that
    /// are taken are on their way, but their last record may still be here: then nothing is taken until it is written,
    /// by this or by [`TlsStream::flush`].
    ///
    /// # Errors
    /// Those of the transport.
    pub fn send(&mut self, transport: &mut impl Transport, slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        let result = self.write_records(transport, slices);
        self.note_held();
        result
    }

    fn write_records(&mut self, transport: &mut impl Transport, mut slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        match self.state {
            State::Open => {}
            State::Handshake { .. } => return Ok(Wrote::Full(0)),
            State::Closing | State::Closed | State::Deaf { .. } => return Err(ErrorKind::BrokenPipe.into()),
        }
        let mut written = 0;
        loop {
            // Nothing follows a slice that was taken in part, also if the transport has room again by then.
            match self.write_out(transport) {
                Ok(()) if slices.is_empty() => return Ok(Wrote::All),
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(if slices.is_empty() { Wrote::All } else { Wrote::Full(written) });
                }
                Err(error) => return Err(error),
            }
            let len = self.tls.writer().write_vectored(slices)?;
            if len == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.unsent += len;
            written += len;
            IoSlice::advance_slices(&mut slices, len);
        }
    }

    /// Writes the rest of the records.
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

    /// Sends close_notify and ends our side behind it, at once or when the rest has been flushed.
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
            State::Closed | State::Deaf { .. } => Ok(()),
        }
    }

    /// The memory of this connection, in bytes. Its buffers count with their size (the buffer of a half-written record
    /// with all of it); rustls does not show the size of its state and keys, for which a measured figure counts.
    /// `tests/allocations.rs` compares the sum with the allocator.
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

    /// Takes in records; `len` bytes came, with `first` in front.
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
            // Also if the bytes behind it are wrong.
            if !self.tls.is_handshaking() {
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
                    // close_notify: the bytes before it have been read.
                    self.ended = true;
                    break;
                }
                Ok(len) => filled += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.plaintext = 0;
                    break;
                }
                // The stream was cut without close_notify: frames have an end of their own.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Writes records until none is left.
    fn write_out(&mut self, transport: &mut impl Transport) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(transport) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = 0;
        Ok(())
    }

    /// Whether the handshake has failed; if so, whether it was HTTP without TLS.
    pub fn failed_handshake(&self) -> Option<bool> {
        match self.state {
            State::Deaf { plain_http } => Some(plain_http),
            _ => None,
        }
    }

    /// Answers a failed handshake, and goes on reading, so that no reset overtakes the answer.
    fn refuse(&mut self, transport: &mut impl Transport, failure: &Failure) -> io::Result<Got> {
        log::debug!("TLS: {failure}");
        let first = match self.state {
            State::Handshake { first, .. } => first,
            _ => None,
        };
        let plain_http = first.is_some_and(|byte| byte.is_ascii_uppercase());
        let counted = match plain_http {
            true => {
                // Never more than a few bytes into an empty socket: an answer that does not fit is dropped.
                ignore_would_block(transport.write(PLAIN_HTTP).map(|_| ()))?;
                &self.shared.handshakes.plain_http
            }
            false => {
                ignore_would_block(self.write_out(transport))?;
                &self.shared.handshakes.failed
            }
        };
        counted.set(counted.get() + 1);
        self.state = State::Deaf { plain_http };
        transport.end()?;
        self.discard(transport)
    }

    fn discard(&mut self, transport: &mut impl Transport) -> io::Result<Got> {
        let mut bytes = [0; 4096];
        for _ in 0..DISCARDS {
            match transport.read(&mut bytes) {
                Ok(0) => return Ok(Got::Ended),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Got::Drained(0)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Got::More(0))
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.shared.held.set(self.shared.held.get() - self.noted);
    }
}

/// The part of a record that has come and is kept until the rest comes.
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
    /// The length of the buffer that rustls has for such bytes; 0: none yet.
    buffer: usize,
}

impl Incoming {
    /// These have come.
    fn note(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            match self.come {
                3 => self.length = usize::from(*first) << 8,
                4 => self.length |= usize::from(*first),
                _ => {}
            }
            let taken = match self.come {
                RECORD_HEADER.. => bytes.len().min(RECORD_HEADER + self.length - self.come),
                _ => 1,
            };
            self.come += taken;
            if self.come >= RECORD_HEADER && self.come == RECORD_HEADER + self.length {
                self.come = 0;
            }
            bytes = if taken == 1 { rest } else { &bytes[taken..] };
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

/// Notes the results of reads of the transport.
struct Source<'a, T> {
    transport: &'a mut T,
    incoming: &'a mut Incoming,
    /// The bytes in the buffer already.
    before: usize,
    len: usize,
    /// Fewer bytes came than there was room for.
    short: bool,
    first: Option<u8>,
}

impl<T: Read> Read for Source<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.incoming.buffer = self.before + bytes.len();
        let len = self.transport.read(bytes)?;
        self.incoming.note(&bytes[..len]);
        self.len += len;
        self.short = len < bytes.len();
        self.first = self.first.or(bytes[..len].first().copied());
        Ok(len)
    }
}

fn ignore_would_block(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}

/// Bytes of a record before its fragment.
const RECORD_HEADER: usize = 5;

/// The most that encryption adds to a record: header, nonce, type and tag.
const RECORD_OVERHEAD: usize = 32;

/// The memory of rustls for a connection beside its buffers (state, keys, secrets), before anything has come and later.
const FRESH_STATE_BYTES: usize = 800;
const STATE_BYTES: usize = 2200;

/// The memory of a connection that has shaken hands and is idle, in bytes.
pub const IDLE_BYTES: usize = size_of::<TlsStream>() + STATE_BYTES + READ_BYTES;

/// The room that rustls makes when it reads and nothing is there yet.
const READ_BYTES: usize = 4096;

/// Bytes of a handshake, from the client: a ClientHello with post-quantum keys has about 2,000.
pub const MAX_HANDSHAKE_LEN: u32 = 16 << 10;

/// Plaintext that may be encrypted and not yet written: one record (RFC 8446 section 5.1).
pub const MAX_UNSENT: usize = 16 << 10;

/// Bytes beyond what was asked for that one read takes from the transport: records may be empty, and no other peer is
/// served meanwhile.
const MAX_WITHOUT_CONTENT: usize = 16 << 10;

/// Reads of discarded bytes, in one turn.
const DISCARDS: usize = 4;

/// The answer to HTTP without TLS.
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

    use super::super::identity::Identity;
    use super::super::identity::tests::identity_pem;
    use super::*;

    /// The way between client and server: the bytes on it, and how many go through at once.
    #[derive(Debug, Default)]
    struct Way {
        to_server: VecDeque<u8>,
        to_client: Vec<u8>,
        read_size: usize,
        room: usize,
        client_ended: bool,
        /// Reading fails behind `to_server`.
        fails: bool,
        server_ended: bool,
    }

    impl Read for Way {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            if self.to_server.is_empty() && self.fails {
                return Err(ErrorKind::ConnectionReset.into());
            }
            if self.to_server.is_empty() && !self.client_ended {
                return Err(ErrorKind::WouldBlock.into());
            }
            let len = bytes.len().min(self.read_size).min(self.to_server.len());
            for (byte, read) in bytes.iter_mut().zip(self.to_server.drain(..len)) {
                *byte = read;
            }
            Ok(len)
        }
    }

    impl Write for Way {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(!self.server_ended, "written behind the end");
            let len = bytes.len().min(self.room);
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= len;
            self.to_client.extend_from_slice(&bytes[..len]);
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

    /// Where connections begin.
    struct Sides {
        acceptor: Acceptor,
        client: Arc<ClientConfig>,
    }

    impl Sides {
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
            Self { acceptor: Acceptor::new(identity.into()), client: Arc::new(config) }
        }
    }

    struct Pair {
        client: ClientConnection,
        server: TlsStream,
        way: Way,
    }

    impl Pair {
        fn new() -> Self {
            Self::of(&Sides::new())
        }

        fn of(sides: &Sides) -> Self {
            let client = ClientConnection::new(sides.client.clone(), "localhost".try_into().unwrap()).unwrap();
            let way = Way { read_size: usize::MAX, room: usize::MAX, ..Way::default() };
            Self { client, server: sides.acceptor.accept().unwrap(), way }
        }

        /// Shaken hands.
        fn open() -> Self {
            let mut pair = Self::new();
            for _ in 0..3 {
                pair.client_writes();
                assert_eq!(pair.server.receive(&mut pair.way, &mut [0; 64], false).unwrap(), Got::Drained(0));
                pair.client_reads();
            }
            assert_eq!(pair.server.state, State::Open);
            pair
        }

        fn client_writes(&mut self) {
            let bytes = self.client_bytes();
            self.way.to_server.extend(bytes);
        }

        /// Moves the client's records to the server.
        fn client_bytes(&mut self) -> Vec<u8> {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            bytes
        }

        /// Reads as the server does in one edge in which the poller reported the end; returns the bytes, and what
        /// followed.
        fn hears_to_the_end(&mut self, size: usize) -> (Vec<u8>, io::Result<Got>) {
            let (mut heard, mut buffer) = (Vec::new(), vec![0; size]);
            loop {
                match self.server.receive(&mut self.way, &mut buffer, true) {
                    Ok(Got::More(len)) => heard.extend_from_slice(&buffer[..len]),
                    Ok(Got::Drained(len)) => {
                        heard.extend_from_slice(&buffer[..len]);
                        return (heard, Ok(Got::Drained(len)));
                    }
                    result => return (heard, result),
                }
            }
        }

        /// The server sends bytes in one piece.
        fn says(&mut self, bytes: &[u8]) -> io::Result<Wrote> {
            self.server.send(&mut self.way, &mut [IoSlice::new(bytes)])
        }

        /// The bytes that the client has from the server.
        fn client_reads(&mut self) -> Vec<u8> {
            let bytes = std::mem::take(&mut self.way.to_client);
            let (mut bytes, mut plain) = (&bytes[..], Vec::new());
            while !bytes.is_empty() {
                self.client.read_tls(&mut bytes).unwrap();
                self.client.process_new_packets().unwrap();
                let mut part = [0; 4096];
                while let Ok(len @ 1..) = self.client.reader().read(&mut part) {
                    plain.extend_from_slice(&part[..len]);
                }
            }
            plain
        }
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
                match pair.server.receive(&mut pair.way, &mut buffer, false).unwrap() {
                    Got::More(len) => heard.extend_from_slice(&buffer[..len]),
                    Got::Drained(len) => {
                        heard.extend_from_slice(&buffer[..len]);
                        // A transport that gives less than it has does not behave as a socket.
                        assert!(read_size < 5000 || pair.way.to_server.is_empty());
                    }
                    Got::Ended => panic!("nobody ended"),
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
            let bytes = pattern(90_000);
            let (mut sent, mut heard) = (0, Vec::new());
            while heard.len() < bytes.len() {
                pair.way.room = room;
                let rest = &bytes[sent..];
                if rest.is_empty() {
                    let _ = pair.server.flush(&mut pair.way);
                } else {
                    let size = if vectored { 7001 } else { usize::MAX };
                    let mut slices: Vec<IoSlice<'_>> = rest.chunks(size).map(IoSlice::new).collect();
                    match pair.server.send(&mut pair.way, &mut slices).unwrap() {
                        Wrote::All => sent = bytes.len(),
                        Wrote::Full(len) => {
                            assert_eq!(pair.way.room, 0, "full is full");
                            sent += len;
                        }
                    }
                }
                heard.extend(pair.client_reads());
            }
            assert!(heard == bytes, "{room}");
        }
    }

    /// A transport that is full at every other write and has room again at the next, as a socket whose peer reads
    /// meanwhile.
    struct Flapping<'a> {
        way: &'a mut Way,
        full: bool,
        room: usize,
    }

    impl Read for Flapping<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.way.read(bytes)
        }
    }

    impl Write for Flapping<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.full = !self.full;
            if self.full {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.way.room = self.room;
            self.way.write(bytes)
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

    /// A slice that was taken in part is never followed by the next one.
    #[test]
    fn room_that_comes_amid_a_write_changes_nothing() {
        for (room, slice) in [(20_000, 30_001), (1_000, 30_001), (16_384, 16_384), (100, 5_000), (20_000, usize::MAX)] {
            for begins_full in [true, false] {
                let mut pair = Pair::open();
                let bytes = pattern(90_000);
                let (mut sent, mut heard, mut full) = (0, Vec::new(), !begins_full);
                for _ in 0..100_000 {
                    let rest = &bytes[sent..];
                    let mut flapping = Flapping { way: &mut pair.way, full, room };
                    if rest.is_empty() {
                        let _ = pair.server.flush(&mut flapping);
                    } else {
                        let mut slices: Vec<IoSlice<'_>> = rest.chunks(slice).map(IoSlice::new).collect();
                        match pair.server.send(&mut flapping, &mut slices).unwrap() {
                            Wrote::All => sent = bytes.len(),
                            Wrote::Full(len) => sent += len,
                        }
                    }
                    full = flapping.full;
                    heard.extend(pair.client_reads());
                    let wrong = heard.iter().zip(&bytes).position(|(heard, said)| heard != said);
                    assert_eq!(wrong, None, "after {sent} with room for {room} in slices of {slice}");
                    if heard.len() == bytes.len() {
                        break;
                    }
                }
                assert_eq!(heard.len(), bytes.len(), "room for {room} in slices of {slice}");
            }
        }
    }

    #[test]
    fn the_end_waits_for_what_was_written_before_it() {
        let mut pair = Pair::open();
        pair.way.room = 10;
        assert_eq!(pair.says(b"the last words").unwrap(), Wrote::All);
        assert_eq!(pair.server.shut_down(&mut pair.way).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!pair.way.server_ended);
        pair.way.room = 1000;
        pair.server.flush(&mut pair.way).unwrap();
        assert!(pair.way.server_ended);
        assert_eq!(pair.client_reads(), b"the last words");
        assert_eq!(pair.client.reader().read(&mut [0; 1]).unwrap(), 0, "close_notify came");
        assert_eq!(pair.says(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
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
            // The poller reports no close_notify; it reported the end with the bytes.
            let got = pair.server.receive(&mut pair.way, &mut buffer, !close_notify);
            assert_eq!(got.unwrap(), Got::More(3));
            assert_eq!(pair.server.receive(&mut pair.way, &mut buffer, !close_notify).unwrap(), Got::Ended);
            pair.server.shut_down(&mut pair.way).unwrap();
            pair.client_reads();
            assert_eq!(pair.client.reader().read(&mut [0; 1]).unwrap(), 0, "it is answered");
        }
    }

    /// The end, or a failure, behind any byte of the handshake and of records, and in the same edge: it is reported at
    /// once, behind the content of whole records.
    #[test]
    fn a_conversation_may_end_behind_any_byte() {
        let sides = Sides::new();
        for fails in [false, true] {
            for cut in 0.. {
                let mut pair = Pair::of(&sides);
                (pair.way.client_ended, pair.way.fails) = (!fails, fails);
                let hello = pair.client_bytes();
                pair.way.to_server.extend(&hello[..cut.min(hello.len())]);
                let (mut said, mut ends) = (Vec::new(), Vec::new());
                if cut > hello.len() {
                    (pair.way.client_ended, pair.way.fails) = (false, false);
                    assert_eq!(pair.server.receive(&mut pair.way, &mut [0; 64], false).unwrap(), Got::Drained(0));
                    (pair.way.client_ended, pair.way.fails) = (!fails, fails);
                    pair.client_reads();
                    let mut flight = pair.client_bytes();
                    for text in ["one", "two"] {
                        pair.client.writer().write_all(text.as_bytes()).unwrap();
                        flight.extend(pair.client_bytes());
                        said.extend_from_slice(text.as_bytes());
                        ends.push(flight.len());
                    }
                    let came = cut - hello.len();
                    if came > flight.len() {
                        break;
                    }
                    pair.way.to_server.extend(&flight[..came]);
                    said.truncate(3 * ends.iter().filter(|end| came >= **end).count());
                }
                let (heard, result) = pair.hears_to_the_end(64);
                assert_eq!(heard, said, "after {cut} bytes, it fails: {fails}");
                match fails {
                    true => assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset),
                    false => assert_eq!(result.unwrap(), Got::Ended, "after {cut} bytes"),
                }
            }
        }
    }

    /// A broken record behind good ones of the same read, even of the read that ends the handshake.
    #[test]
    fn what_was_said_before_a_failure_is_heard_before_it() {
        let sides = Sides::new();
        for size in [1, 2, 3, 64] {
            for shaken_hands in [true, false] {
                let mut pair = Pair::of(&sides);
                pair.client_writes();
                let _ = pair.server.receive(&mut pair.way, &mut [0; 64], false);
                pair.client_reads();
                if shaken_hands {
                    pair.client_writes();
                    let _ = pair.server.receive(&mut pair.way, &mut [0; 64], false);
                }
                pair.client.writer().write_all(b"bye").unwrap();
                pair.client_writes();
                pair.way.to_server.extend(b"\x17\x03\x03\x00\x20________________________________");
                let (heard, result) = pair.hears_to_the_end(size);
                assert_eq!(heard, b"bye", "{size} bytes a read, after the handshake: {shaken_hands}");
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidData);
                assert_eq!(pair.server.state, State::Open);
            }
        }
    }

    #[test]
    fn what_is_no_handshake_is_told_so() {
        let long_hello = |len: u32| {
            let mut bytes = vec![1];
            bytes.extend_from_slice(&len.to_be_bytes()[1..]);
            bytes.resize(4 + len as usize, 0);
            bytes
                .chunks(16_000)
                .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
                .collect::<Vec<u8>>()
        };
        for (bytes, alert) in [
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
            pair.way.to_server.extend(&bytes);
            for _ in 0..100 {
                let got = pair.server.receive(&mut pair.way, &mut [0; 64], false).unwrap();
                assert!(matches!(got, Got::More(0) | Got::Drained(0)));
            }
            assert!(matches!(pair.server.state, State::Deaf { .. }), "{:x?}", &bytes[..6]);
            assert!(pair.way.server_ended && pair.way.to_server.is_empty());
            let said = &pair.way.to_client;
            match bytes[0] {
                b'G' => assert!(said.starts_with(b"HTTP/1.1 400 ") && said.ends_with(b"here\"}\n")),
                _ => assert_eq!(said.first() == Some(&21), alert, "an alert to {:x?}", &bytes[..6]),
            }
            pair.way.client_ended = true;
            assert_eq!(pair.server.receive(&mut pair.way, &mut [0; 64], true).unwrap(), Got::Ended);
        }
    }

    #[test]
    fn of_a_record_is_kept_what_has_come() {
        let record = |len: usize| [&[23, 3, 3, (len >> 8) as u8, len as u8][..], &vec![5; len]].concat();
        for (bytes, come) in [
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
                bytes.chunks(piece.min(bytes.len().max(1))).for_each(|part| incoming.note(part));
                assert_eq!(incoming.come, come, "{} bytes by {piece}", bytes.len());
            }
        }
    }
}
