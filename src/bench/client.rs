//! One connection of the bench: a non-blocking socket, the protocol's client side, and output that waits.
//!
//! Masking keys are hashes of a counter, keyed by the system (SipHash): nobody outside this process foresees them,
//! though std does not promise the strong source that section 5.3 of the RFC wants of clients. No stranger chooses what
//! is sent here.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::time::Instant;

use mio::net::TcpStream;

use crate::proto::client_handshake::{ClientRequest, Response, ResponseError, ResponseScanner};
use crate::proto::frame::{Opcode, encode_masked_frame};
use crate::proto::receiver::Receiver;
use crate::proto::{CloseCode, Event, Limits};

use super::Error;
use super::target::{Target, fill};

/// A connection, from the first byte of its request on.
#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    pub phase: Phase,
    connection: Receiver,
    out: Vec<u8>,
    written: usize,
    opening: Option<Box<Opening>>,
    /// Pongs that have come.
    pub pongs: u64,
    /// It is not read: its messages stay with the server.
    pub stalled: bool,
}

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the response.
    Opening,
    /// Waiting for the answer to its first message.
    Joining,
    /// In.
    Open,
    /// It has ended, and why.
    Ended(Ended),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a Close of the server, and its code, if it had one.
    Closed(Option<u16>, String),
    /// The server broke the protocol.
    Broken(String),
    /// The stream ended or failed.
    Cut(String),
    /// It never began: status and the beginning of the body.
    Refused(u16, String),
    /// It never began: the response was none that opens a connection.
    Unfit(ResponseError),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed(Some(code), reason) if reason.is_empty() => write!(f, "the server closed it with {code}"),
            Self::Closed(Some(code), reason) => write!(f, "the server closed it with {code}: {reason}"),
            Self::Closed(None, _) => write!(f, "the server closed it without a code"),
            Self::Broken(what) => write!(f, "the server broke the protocol: {what}"),
            Self::Cut(what) => write!(f, "{what}"),
            Self::Refused(status, body) if body.is_empty() => write!(f, "the server refused it with status {status}"),
            Self::Refused(status, body) => write!(f, "the server refused it with status {status}: {body}"),
            Self::Unfit(error) => write!(f, "the server's answer opens no WebSocket: {error}"),
        }
    }
}

/// The state of a connection until it is in.
#[derive(Debug)]
struct Opening {
    target: String,
    nonce: [u8; 16],
    scanner: ResponseScanner,
    head: Vec<u8>,
    refused: Option<Refusal>,
    join: Option<String>,
    joined: Option<String>,
    /// The last message that was not the one waited for, cut.
    heard: String,
}

/// A response other than 101, whose body is read to be shown.
#[derive(Debug)]
struct Refusal {
    status: u16,
    head_len: usize,
    body_len: usize,
}

impl Client {
    /// On a stream that is being connected: the request waits to be written.
    pub fn new(stream: TcpStream, target: &Target, id: usize, room: usize, random: &mut Random) -> Result<Self, Error> {
        let opening = Opening {
            target: fill(&target.path, id, room),
            nonce: random.bytes(),
            scanner: ResponseScanner::default(),
            head: Vec::new(),
            refused: None,
            join: target.join.as_ref().map(|join| fill(join, id, room)),
            joined: target.joined.clone(),
            heard: String::new(),
        };
        let headers: Vec<(&str, String)> =
            target.headers.iter().map(|(name, value)| (name.as_str(), fill(value, id, room))).collect();
        let mut out = Vec::new();
        opening
            .with_request(target, |request| {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                request.headers(&headers).encode(&mut out)
            })
            .map_err(Error::Unfit)?;
        Ok(Self {
            stream,
            phase: Phase::Opening,
            connection: Receiver::client(LIMITS, random.bytes()),
            out,
            written: 0,
            opening: Some(Box::new(opening)),
            pongs: 0,
            stalled: false,
        })
    }

    /// Whether messages can be sent and are heard.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Bytes that the socket has not taken.
    pub fn unwritten(&self) -> usize {
        self.out.len() - self.written
    }

    /// The last message that it got while it waited to be let in.
    pub fn heard_last(&self) -> &str {
        self.opening.as_ref().map_or("", |opening| &opening.heard)
    }

    /// Queues a message.
    pub fn say(&mut self, opcode: Opcode, payload: &[u8], random: &mut Random) {
        encode_masked_frame(opcode, payload, random.bytes(), &mut self.out);
    }

    /// Starts the closing handshake.
    pub fn close(&mut self) {
        self.connection.close(CloseCode::NORMAL, "", &mut self.out);
        self.flush();
    }

    /// Writes waiting output, as far as the socket takes it.
    pub fn flush(&mut self) {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(len) => self.written += len,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted => {}
                    // Before it is connected, an edge of the poller may come all the same.
                    ErrorKind::NotConnected if self.phase == Phase::Opening => return,
                    _ => return self.end(Ended::Cut(format!("it cannot be written to: {error}"))),
                },
            }
        }
        self.out.clear();
        self.written = 0;
    }

    /// Reads the bytes that are there and hands on the payloads of messages, each with the time of its read (in
    /// nanoseconds since `began`).
    ///
    /// `to_end`: the server has ended the stream, so its end is looked for.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        to_end: bool,
        target: &Target,
        random: &mut Random,
        began: Instant,
        mut hear: impl FnMut(&[u8], u64),
    ) {
        if self.stalled || matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return self.end_of_stream(),
                Ok(len) => len,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted => continue,
                    ErrorKind::NotConnected if self.phase == Phase::Opening => return,
                    _ => return self.end(Ended::Cut(format!("it failed: {error}"))),
                },
            };
            let now = began.elapsed().as_nanos() as u64;
            self.take(&mut buffer[..len], target, random, &mut |payload: &[u8]| hear(payload, now));
            if matches!(self.phase, Phase::Ended(_)) {
                return;
            }
            // Less than there was room for: the socket is drained.
            if len < buffer.len() && !to_end {
                return;
            }
        }
    }

    fn take(&mut self, bytes: &mut [u8], target: &Target, random: &mut Random, hear: &mut impl FnMut(&[u8])) {
        if self.phase != Phase::Opening {
            return self.decode(bytes, random, hear);
        }
        match self.open(bytes, target, random) {
            Ok(None) => {}
            // The first frames may have come with the response.
            Ok(Some(mut rest)) => self.decode(&mut rest, random, hear),
            Err(ended) => self.end(ended),
        }
    }

    /// Takes bytes of the response; `Some` when it is whole and good, with the bytes behind it.
    fn open(&mut self, bytes: &[u8], target: &Target, random: &mut Random) -> Result<Option<Vec<u8>>, Ended> {
        let opening = self.opening.as_deref_mut().expect("it is not in yet");
        opening.head.extend_from_slice(bytes);
        if let Some(refused) = opening.refusal() {
            return refused.map_or(Ok(None), Err);
        }
        let Some(head_len) = opening.scanner.scan(&opening.head).map_err(Ended::Unfit)? else { return Ok(None) };
        let response = Response::parse(&opening.head[..head_len]).map_err(Ended::Unfit)?;
        match opening.with_request(target, |request| response.accept(request).map(drop)) {
            Ok(()) => {}
            Err(ResponseError::NotSwitched(status)) => {
                let body_len = response.header("content-length").and_then(|len| len.parse().ok());
                opening.refused =
                    Some(Refusal { status, head_len, body_len: body_len.unwrap_or(MAX_BODY).min(MAX_BODY) });
                return opening.refusal().expect("it is refused").map_or(Ok(None), Err);
            }
            Err(error) => return Err(Ended::Unfit(error)),
        }
        let rest = opening.head.split_off(head_len);
        opening.head = Vec::new();
        let join = opening.join.take();
        let waits = opening.joined.is_some();
        if let Some(join) = join {
            self.say(Opcode::Text, join.as_bytes(), random);
            self.flush();
        }
        self.phase = Phase::Joining;
        if !waits {
            self.enter();
        }
        Ok(Some(rest))
    }

    fn enter(&mut self) {
        if self.phase == Phase::Joining {
            self.phase = Phase::Open;
            self.opening = None;
        }
    }

    fn decode(&mut self, input: &mut [u8], random: &mut Random, hear: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        let mut reply = Vec::new();
        loop {
            let Self { connection, out, opening, phase, pongs, .. } = self;
            let (taken, event) = connection.decode(&mut input[at..], &mut reply);
            at += taken;
            let ended = match event {
                None => break,
                Some(Event::Text(text)) => {
                    if *phase == Phase::Joining && opening.as_mut().is_some_and(|opening| opening.is_answer(text)) {
                        self.enter();
                        continue;
                    }
                    hear(text.as_bytes());
                    continue;
                }
                Some(Event::Binary(data)) => {
                    hear(data);
                    continue;
                }
                Some(Event::Ping(data)) => {
                    encode_masked_frame(Opcode::Pong, data, random.bytes(), out);
                    continue;
                }
                Some(Event::Pong(_)) => {
                    *pongs += 1;
                    continue;
                }
                Some(Event::Close(body)) => {
                    let (code, reason) = body.map_or((None, ""), |(code, reason)| (Some(code.get()), reason));
                    Ended::Closed(code, reason.to_owned())
                }
                Some(Event::Failed(error)) => Ended::Broken(error.to_string()),
                Some(_) => continue,
            };
            out.append(&mut reply);
            self.flush();
            return self.end(ended);
        }
        if !self.out.is_empty() {
            self.flush();
        }
    }

    fn end_of_stream(&mut self) {
        let refused = self.opening.as_mut().and_then(|opening| opening.refused_anyhow());
        self.end(refused.unwrap_or_else(|| Ended::Cut("the server ended the stream".into())));
    }

    /// Notes that it has ended, and why; the first reason stays.
    pub fn end(&mut self, why: Ended) {
        if !matches!(self.phase, Phase::Ended(_)) {
            self.phase = Phase::Ended(why);
        }
    }

    /// Whether connecting failed, and how.
    pub fn connect_error(&self) -> Option<io::Error> {
        self.stream.take_error().ok().flatten()
    }
}

impl Opening {
    /// The request as it was, as far as the response is judged by it.
    fn with_request<T>(&self, target: &Target, look: impl FnOnce(&ClientRequest<'_>) -> T) -> T {
        let protocols: Vec<&str> = target.protocols.iter().map(String::as_str).collect();
        look(&ClientRequest::new(&target.host, self.nonce).target(&self.target).protocols(&protocols))
    }

    /// `None` if it is not refused; else how, once its body has come.
    fn refusal(&mut self) -> Option<Option<Ended>> {
        let refused = self.refused.as_ref()?;
        let whole = self.head.len() >= refused.head_len + refused.body_len;
        Some(if whole { self.refused_anyhow() } else { None })
    }

    fn refused_anyhow(&mut self) -> Option<Ended> {
        let refused = self.refused.as_ref()?;
        let body = &self.head[refused.head_len..];
        let body = String::from_utf8_lossy(&body[..body.len().min(refused.body_len)]);
        Some(Ended::Refused(refused.status, printable(&body)))
    }

    /// Whether this is the answer waited for; else it is kept to be shown.
    fn is_answer(&mut self, text: &str) -> bool {
        if self.joined.as_ref().is_some_and(|joined| text.contains(joined.as_str())) {
            return true;
        }
        self.heard = printable(text);
        false
    }
}

/// The beginning of a server's text as it may stand in a line of a terminal.
pub fn printable(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(MAX_SHOWN)];
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// A counter, hashed with keys of the system's.
#[derive(Debug, Default)]
pub struct Random {
    keys: RandomState,
    count: u64,
}

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.count += 1;
        self.keys.hash_one(self.count)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for piece in bytes.chunks_mut(mem::size_of::<u64>()) {
            piece.copy_from_slice(&self.next().to_ne_bytes()[..piece.len()]);
        }
        bytes
    }
}

/// The limits of a server's messages, which are wide: the bench measures a server and needs no guard against it.
const LIMITS: Limits = Limits::new().message_bytes(32 << 20).fragments(1 << 16);

/// Bytes of a server's text that are shown.
const MAX_SHOWN: usize = 300;

/// Bytes of a refusal's body that are read to be shown.
const MAX_BODY: usize = 1024;
