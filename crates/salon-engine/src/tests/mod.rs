//! The engine over scripted streams: short reads, short writes, resets, and a clock of our own.
//!
//! A `Script` is the other side of a connection; the `House` turns the loop and notes the events.

mod at_limits;
mod bodies;
mod bounded_work;
mod deflate;
mod drained;
mod endings;
mod fan_out;
mod interest;
mod left_behind;
mod long_messages;
mod memory;
mod opening;
mod owed;
mod slow_peers;
mod streams;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use super::{DeflateSettings, Engine, Event, Got, LeftBehind, Settings, Stream, Wrote, receive_short, send_short};
use crate::id::{ConnId, TopicId};
use crate::proto::chunked::ChunkError;
use crate::proto::deflate::{Deflater, Inflater};
use crate::proto::frame::{FrameHeader, Opcode, encode_frame, encode_masked_frame};
use crate::proto::{Agreed, ClientContext, CloseCode, Kind, Limits, ProtocolError};
use crate::time::Tick;

/// The other side of a connection, held by the test.
#[derive(Debug)]
struct Wire {
    kind: StreamKind,
    /// What the engine can read, and how much of it at once.
    to_read: VecDeque<u8>,
    read_size: usize,
    /// The peer's stream ends, or reading it fails, after `to_read`.
    end: bool,
    fails: bool,
    reset: bool,
    /// After so many more reads, one panics.
    breaks_after: usize,
    /// What the engine wrote, how much room is left, and how much is taken at once.
    written: Vec<u8>,
    room: usize,
    write_size: usize,
    writes: usize,
    /// The stream is full at every other write, and has so much room at the next: its peer reads meanwhile.
    flaps: Option<usize>,
    /// When it was written to last: after so many writes to all streams.
    written_at: usize,
    shut_down: bool,
}

/// What the stream promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamKind {
    /// As a socket under an edge-triggered poller: a short count means drained, or full.
    Socket,
    /// Nothing: any `Read + Write`, with the defaults of std.
    Plain,
}

thread_local! {
    /// Writes of this test, to all streams.
    static WRITES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[derive(Clone, Debug)]
struct Script(Rc<RefCell<Wire>>);

impl Read for Script {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        assert!(wire.breaks_after > 0, "a stream is broken, as its test wants it");
        wire.breaks_after -= 1;
        if wire.reset || wire.fails && wire.to_read.is_empty() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.to_read.is_empty() && !wire.end {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = bytes.len().min(wire.read_size).min(wire.to_read.len());
        for (byte, read) in bytes.iter_mut().zip(wire.to_read.drain(..len)) {
            *byte = read;
        }
        Ok(len)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        assert!(!wire.shut_down, "nothing is written behind the end");
        wire.writes += 1;
        wire.written_at = WRITES.get();
        WRITES.set(WRITES.get() + 1);
        if let Some(room) = wire.flaps {
            wire.room = if wire.room == 0 { room } else { 0 };
        }
        let len = bytes.len().min(wire.room).min(wire.write_size);
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if wire.flaps.is_none() {
            wire.room -= len;
        }
        wire.written.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.wire().kind == StreamKind::Plain {
            return self.write(slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice));
        }
        self.write(&slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn receive(&mut self, into: &mut [u8], to_end: bool) -> io::Result<Got> {
        let kind = self.wire().kind;
        match kind {
            StreamKind::Socket => receive_short(self, into, to_end),
            StreamKind::Plain => AsAny(self).receive(into, to_end),
        }
    }

    fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        let kind = self.wire().kind;
        match kind {
            StreamKind::Socket => send_short(self, slices),
            StreamKind::Plain => AsAny(self).send(slices),
        }
    }

    fn shut_down(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut_down = true;
        Ok(())
    }
}

/// The same with what [`Stream`] does by default.
struct AsAny<'a>(&'a mut Script);

impl Read for AsAny<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for AsAny<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for AsAny<'_> {
    fn shut_down(&mut self) -> io::Result<()> {
        self.0.shut_down()
    }
}

/// The events of the engine, in words.
type Told = (ConnId, String);

struct House {
    engine: Engine<Script>,
    now: Tick,
    told: Vec<Told>,
    /// Echo every text.
    echo: bool,
}

impl House {
    fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings, Tick(0)), now: Tick(0), told: Vec::new(), echo: false }
    }

    fn connect(&mut self) -> (ConnId, Script) {
        let script = Script(Rc::new(RefCell::new(Wire {
            kind: StreamKind::Socket,
            to_read: VecDeque::new(),
            read_size: usize::MAX,
            end: false,
            fails: false,
            reset: false,
            breaks_after: usize::MAX,
            written: Vec::new(),
            room: usize::MAX,
            write_size: usize::MAX,
            writes: 0,
            flaps: None,
            written_at: 0,
            shut_down: false,
        })));
        (self.engine.insert(script.clone(), 0), script)
    }

    /// A connection with its handshake done.
    fn open(&mut self) -> (ConnId, Script) {
        self.open_with("")
    }

    /// The same with further header lines.
    fn open_with(&mut self, headers: &str) -> (ConnId, Script) {
        let (id, script) = self.connect();
        let head = HANDSHAKE.strip_suffix("\r\n").expect("it ends with an empty line");
        script.say(format!("{head}{headers}\r\n").as_bytes());
        self.hear(id);
        assert!(script.taken().starts_with(b"HTTP/1.1 101 "));
        assert_eq!(std::mem::take(&mut self.told), [(id, "request /".into())]);
        (id, script)
    }

    fn members(&mut self, count: usize, topic: TopicId) -> Vec<(ConnId, Script)> {
        let members: Vec<_> = (0..count).map(|_| self.open()).collect();
        members.iter().for_each(|(id, _)| self.engine.subscribe(*id, topic));
        members
    }

    /// The poller reports that this one can be read; then a turn.
    fn hear(&mut self, id: ConnId) {
        self.engine.readable(id.index, false);
        self.turn();
    }

    /// The same as often as it has something to read.
    fn settle_by(&mut self, id: ConnId) {
        for _ in 0..1000 {
            self.hear(id);
        }
    }

    fn turn(&mut self) {
        self.begin();
        self.finish();
    }

    /// Everything up to the flush.
    fn begin(&mut self) {
        self.engine.begin_turn(self.now);
        while let Some((id, happened)) = self.engine.next_event(|id, _, event| (id, Happened::of(event))) {
            match happened {
                // The test answers.
                Happened::Request(path, _) if path == "/late" => self.told.push((id, format!("request {path}"))),
                Happened::Request(path, Some((response, agreed))) => {
                    self.engine.upgrade(id, &response, &agreed);
                    self.told.push((id, format!("request {path}")));
                }
                Happened::Request(path, None) => {
                    let keep = path != "/close";
                    self.engine.respond(id, format!("<{path}>").as_bytes(), keep);
                    self.told.push((id, format!("request {path}")));
                }
                Happened::Bad(status) => {
                    self.engine.respond(id, b"<bad>", false);
                    self.told.push((id, format!("bad {status}")));
                }
                Happened::Wanted(path, len, expects) => {
                    self.engine.receive_body(id, len, len + 1, if expects { b"<go on>" } else { b"" });
                    self.told.push((id, format!("wants {path}")));
                }
                Happened::Chunked(path) => {
                    self.engine.receive_chunked_body(id, 10_000, 0, b"");
                    self.told.push((id, format!("wants {path}")));
                }
                Happened::Body(note, bytes) => {
                    let body = String::from_utf8(bytes).expect("a body of letters");
                    self.engine.respond(id, format!("<{body}>").as_bytes(), body != "close");
                    assert!(note == 0 || note as usize == body.len() + 1, "the note is that of this request");
                    self.told.push((id, format!("body {body}")));
                }
                Happened::Text(text) => {
                    if self.echo {
                        self.engine.send(id, Kind::Text, text.as_bytes());
                    }
                    self.told.push((id, text));
                }
            }
        }
    }

    fn finish(&mut self) {
        self.engine.flush();
        self.note_left_behind();
        self.engine.reap(drop);
    }

    fn note_left_behind(&mut self) {
        while let Some(LeftBehind { id, topic, heard }) = self.engine.left_behind() {
            self.told.push((id, format!("left {} after {heard}", topic.number())));
        }
    }

    /// Turns until nothing is left to do at once.
    fn settle(&mut self) {
        while self.engine.has_work() {
            self.turn();
        }
    }

    /// Lets time pass as the loop does: it wakes whenever the engine asks for it.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= until) {
            self.now = due;
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }
}

enum Happened {
    Request(String, Option<(Vec<u8>, Agreed<'static>)>),
    Wanted(String, u32, bool),
    Chunked(String),
    Body(u32, Vec<u8>),
    Bad(u16),
    Text(String),
}

impl Happened {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Request(request) if request.content_length().is_ok_and(|len| len > 0) => Self::Wanted(
                request.target().into(),
                request.content_length().expect("just looked at") as u32,
                request.expects_continue(),
            ),
            Event::Request(request) if request.is_chunked() == Ok(true) => Self::Chunked(request.target().into()),
            Event::BadBody { error: ChunkError::TooLarge, .. } => Self::Bad(413),
            Event::BadBody { .. } => Self::Bad(400),
            Event::Body { note, bytes } => Self::Body(note, bytes.to_vec()),
            Event::Request(request) => {
                let response = request.upgrade().ok().map(|upgrade| {
                    let mut out = Vec::new();
                    let agreed = upgrade.deflate(ClientContext::Reset).encode(&mut out).extensions();
                    (out, agreed)
                });
                Self::Request(request.target().into(), response)
            }
            Event::BadRequest(error) => Self::Bad(error.status()),
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(data) => Self::Text(format!("binary {}", data.len())),
            Event::Control => Self::Text("control".into()),
            Event::Drained => Self::Text("drained".into()),
            Event::Closed => Self::Text("closed".into()),
        }
    }
}

impl Script {
    fn say(&self, bytes: &[u8]) {
        self.0.borrow_mut().to_read.extend(bytes);
    }

    /// What has been written since the last look.
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().written)
    }

    /// The payloads of the frames written since the last look.
    fn texts(&self) -> Vec<String> {
        frames(&self.taken()).into_iter().map(|(_, payload)| String::from_utf8_lossy(&payload).into_owned()).collect()
    }

    fn wire(&self) -> std::cell::RefMut<'_, Wire> {
        self.0.borrow_mut()
    }
}

/// Splits the bytes that the server wrote, which must be whole frames. Compressed frames are inflated.
fn frames(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut rules = crate::proto::frame::FrameRules::new(false, Limits::default());
    (rules.rsv1, rules.payload_left) = (true, u64::MAX);
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, len) = FrameHeader::decode(bytes, &rules).expect("a good frame").expect("a whole header");
        let end = len + header.payload_len as usize;
        let mut payload = Vec::new();
        match header.rsv1 {
            false => payload.extend_from_slice(&bytes[len..end]),
            true => Inflater::new()
                .inflate(&bytes[len..end], None, |piece| {
                    payload.extend_from_slice(piece);
                    Ok::<_, ProtocolError>(())
                })
                .expect("good DEFLATE"),
        }
        frames.push((header.opcode, payload));
        bytes = &bytes[end..];
    }
    frames
}

fn text(text: &str) -> Vec<u8> {
    masked(Opcode::Text, text.as_bytes())
}

fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_masked_frame(opcode, payload, [1, 2, 3, 4], &mut out);
    out
}

fn close_of(code: u16, reason: &str) -> (Opcode, Vec<u8>) {
    (Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
}

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const TOO_SLOW: &str = "too slow: messages waited too long or too many";
const ROOM: TopicId = topic(3);

const fn topic(number: u32) -> TopicId {
    TopicId::new(number).expect("a small number")
}
