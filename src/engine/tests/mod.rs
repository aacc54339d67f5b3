//! The engine over scripted streams: short reads, short writes, resets, and a clock of our own.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use super::{DeflateSettings, Engine, Event, Settings, Stream};
use crate::id::{ConnId, TopicId};
use crate::proto::handshake::encode_switching_protocols_with;
use crate::proto::{
    ClientContext, CloseCode, Deflater, FrameHeader, Inflater, Limits, Opcode, PermessageDeflate, encode_frame,
    encode_masked_frame,
};
use crate::time::Tick;

/// The other side of a connection, held by the test.
#[derive(Debug)]
struct Wire {
    /// What the engine can read, and how much of it at once.
    to_read: VecDeque<u8>,
    read_size: usize,
    /// The peer's stream ends after `to_read`.
    end: bool,
    reset: bool,
    /// What the engine wrote, how much room is left, and how much is taken at once.
    written: Vec<u8>,
    room: usize,
    write_size: usize,
    writes: usize,
    shut_down: bool,
}

#[derive(Clone, Debug)]
struct Script(Rc<RefCell<Wire>>);

impl Read for Script {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.to_read.is_empty() && !wire.end {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = octets.len().min(wire.read_size).min(wire.to_read.len());
        for (octet, read) in octets.iter_mut().zip(wire.to_read.drain(..len)) {
            *octet = read;
        }
        Ok(len)
    }
}

impl Write for Script {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        assert!(!wire.shut_down, "nothing is written behind the end");
        wire.writes += 1;
        let len = octets.len().min(wire.room).min(wire.write_size);
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= len;
        wire.written.extend_from_slice(&octets[..len]);
        Ok(len)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.write(&slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn shut_down(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut_down = true;
        Ok(())
    }
}

/// What the engine told, in words.
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
            to_read: VecDeque::new(),
            read_size: usize::MAX,
            end: false,
            reset: false,
            written: Vec::new(),
            room: usize::MAX,
            write_size: usize::MAX,
            writes: 0,
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

    /// The poller says that this one can be read; then a turn.
    fn hear(&mut self, id: ConnId) {
        self.engine.readable(id.index, false);
        self.turn();
    }

    fn turn(&mut self) {
        self.begin();
        self.finish();
    }

    /// Everything up to the flush.
    fn begin(&mut self) {
        self.engine.begin_turn(self.now);
        loop {
            let mut happened = None;
            if !self.engine.next_event(|id, _, event| happened = Some((id, Happened::of(event)))) {
                break;
            }
            let Some((id, happened)) = happened else { continue };
            match happened {
                Happened::Request(path, Some((response, deflate))) => {
                    self.engine.upgrade_with(id, &response, deflate.as_ref());
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
                Happened::Text(text) => {
                    if self.echo {
                        self.engine.send(id, Opcode::Text, text.as_bytes());
                    }
                    self.told.push((id, text));
                }
            }
        }
    }

    fn finish(&mut self) {
        self.engine.flush();
        self.engine.reap(drop);
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
    Request(String, Option<(Vec<u8>, Option<PermessageDeflate>)>),
    Bad(u16),
    Text(String),
}

impl Happened {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Request(request) => {
                let response = request.upgrade().ok().map(|accept| {
                    let mut out = Vec::new();
                    let deflate = request.negotiate_deflate(ClientContext::Reset);
                    encode_switching_protocols_with(&accept, None, deflate.as_ref(), &mut out);
                    (out, deflate)
                });
                Self::Request(request.target().into(), response)
            }
            Event::BadRequest(error) => Self::Bad(error.status()),
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(data) => Self::Text(format!("binary {}", data.len())),
            Event::Control => Self::Text("control".into()),
            Event::Closed => Self::Text("closed".into()),
        }
    }
}

impl Script {
    fn say(&self, octets: &[u8]) {
        self.0.borrow_mut().to_read.extend(octets);
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

/// Splits what the server wrote; it must be whole frames. What is compressed is inflated.
fn frames(mut octets: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let rules = crate::proto::frame::FrameRules {
        masked: false,
        rsv1: true,
        fragmented: false,
        fragments_left: 0,
        payload_left: u64::MAX,
        limits: Limits::default(),
    };
    let mut frames = Vec::new();
    while !octets.is_empty() {
        let (header, len) = FrameHeader::decode(octets, &rules).expect("a good frame").expect("a whole header");
        let end = len + header.payload_len as usize;
        let mut payload = Vec::new();
        match header.rsv1 {
            false => payload.extend_from_slice(&octets[len..end]),
            true => Inflater::new()
                .inflate(&octets[len..end], None, |piece| {
                    payload.extend_from_slice(piece);
                    Ok(())
                })
                .expect("good DEFLATE"),
        }
        frames.push((header.opcode, payload));
        octets = &octets[end..];
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
const ROOM: TopicId = TopicId(3);

#[test]
fn any_read_and_write_size_gives_the_same() {
    let said = [HANDSHAKE.as_bytes(), &text("one"), &text("two"), &masked(Opcode::Close, b"\x03\xe8")].concat();
    for read_size in [1, 2, 3, 7, 100, usize::MAX] {
        for write_size in [1, 5, usize::MAX] {
            for receive_buffer in [1, 16, 4096] {
                let mut house = House::new(Settings { receive_buffer, ..Settings::default() });
                house.echo = true;
                let (id, script) = house.connect();
                (script.wire().read_size, script.wire().write_size) = (read_size, write_size);
                script.say(&said);
                script.wire().end = true;
                for _ in 0..2 * said.len() {
                    house.engine.readable(id.index, true);
                    house.engine.writable(id.index);
                    house.turn();
                }
                let told: Vec<String> = house.told().into_iter().map(|(_, told)| told).collect();
                assert_eq!(told, ["request /", "one", "two", "closed"]);
                let written = script.taken();
                let frames = frames(&written[written.len() - 14..]);
                let echoed = |text: &str| (Opcode::Text, text.as_bytes().to_vec());
                assert_eq!(frames, [echoed("one"), echoed("two"), close_of(1000, "")]);
                assert!(house.engine.is_empty(), "the slot is freed");
            }
        }
    }
}

#[test]
fn frames_behind_the_handshake_are_heard() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(&[HANDSHAKE.as_bytes(), &text("early")].concat());
    house.hear(id);
    assert_eq!(house.told(), [(id, "request /".into()), (id, "early".into())]);
}

#[test]
fn http_is_kept_alive_and_pipelined() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /close HTTP/1.1\r\nHost: h\r\n\r\nGET /d");
    house.hear(id);
    house.settle();
    assert_eq!(script.taken(), b"</a></b></close>");
    assert!(script.wire().shut_down);
    script.wire().end = true;
    house.hear(id);
    assert!(house.engine.is_empty());
}

#[test]
fn a_bad_head_is_told_once_and_ends() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET / HTTP/1.1\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    house.hear(id);
    house.settle();
    assert_eq!(house.told(), [(id, "bad 400".into())]);
    assert!(script.wire().shut_down);
}

#[test]
fn one_write_for_all_of_a_turn() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    house.engine.subscribe(members[0].0, TopicId(7));
    house.begin();
    members.iter().for_each(|(_, script)| script.wire().writes = 0);
    for n in 0..5 {
        house.engine.publish(ROOM, Opcode::Text, format!("m{n}").as_bytes(), &[]);
    }
    house.engine.publish(TopicId(7), Opcode::Text, b"other", &[]);
    house.engine.send(members[1].0, Opcode::Text, b"direct");
    house.finish();
    let five = ["m0", "m1", "m2", "m3", "m4"];
    assert_eq!(members[0].1.texts(), [&five[..], &["other"]].concat());
    assert_eq!(members[1].1.texts(), [&five[..], &["direct"]].concat());
    assert_eq!(members[2].1.texts(), five);
    assert_eq!(members.iter().map(|(_, script)| script.wire().writes).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(house.engine.counters().messages_out, 15 + 1 + 1);
}

#[test]
fn order_between_direct_and_room_messages_holds() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    let (one, other) = (members[0].0, members[1].0);
    house.begin();
    house.engine.publish(ROOM, Opcode::Text, b"a", &[]);
    house.engine.send(one, Opcode::Text, b"b");
    house.engine.publish(ROOM, Opcode::Text, b"c", &[one]);
    house.engine.send(one, Opcode::Text, b"c, yours");
    house.engine.publish(ROOM, Opcode::Text, b"d", &[]);
    house.engine.unsubscribe(other, ROOM);
    house.engine.publish(ROOM, Opcode::Text, b"e", &[]);
    house.engine.send(other, Opcode::Text, b"left");
    house.finish();
    assert_eq!(members[0].1.texts(), ["a", "b", "c, yours", "d", "e"]);
    assert_eq!(members[1].1.texts(), ["a", "c", "d", "left"]);
}

#[test]
fn a_blocked_member_loses_nothing_and_holds_nobody() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    let (slow, script) = &members[1];
    script.wire().room = 7;
    let all: Vec<String> = (0..50).map(|n| format!("message {n}")).collect();
    for (n, message) in all.iter().enumerate() {
        house.engine.publish(ROOM, Opcode::Text, message.as_bytes(), &[]);
        if n % 7 == 0 {
            house.engine.send(*slow, Opcode::Text, b"direct");
        }
        house.turn();
    }
    assert_eq!(members[0].1.texts(), all);
    assert_eq!(script.wire().written.len(), 7);
    for _ in 0..200 {
        script.wire().room = 11;
        house.engine.writable(slow.index);
        house.turn();
    }
    let mut got = script.texts();
    got.retain(|text| text != "direct");
    assert_eq!(got, all);
}

#[test]
fn too_much_waiting_is_cut_at_a_frame_with_1013() {
    let mut house = House::new(Settings { outbox_bytes: 1000, ..Settings::default() });
    let members = house.members(2, ROOM);
    let (slow, script) = &members[1];
    script.wire().room = 30;
    for n in 0..100 {
        house.engine.publish(ROOM, Opcode::Text, format!("message number {n:03}").as_bytes(), &[]);
        house.turn();
    }
    assert_eq!(house.told(), [(*slow, "closed".into())]);
    assert_eq!(house.engine.counters().cut_bytes, 1);
    script.wire().room = usize::MAX;
    house.engine.writable(slow.index);
    house.settle();
    let got = frames(&script.taken());
    assert_eq!(got.last(), Some(&close_of(1013, TOO_SLOW)));
    assert_eq!(got.len(), 3, "the frame sent, the frame begun, Close");
    assert!(script.wire().shut_down);
    assert_eq!(members[0].1.texts().len(), 100);
}

/// Found by the fuzz target `engine`: a Close frame stood in the middle of the response.
#[test]
fn who_has_not_had_the_response_whole_is_sent_no_frame() {
    for room in 0..300 {
        let mut house = House::new(Settings { outbox_bytes: 300, ..Settings::default() });
        let (id, script) = house.connect();
        script.wire().room = room;
        script.say(HANDSHAKE.as_bytes());
        house.engine.readable(id.index, false);
        house.begin();
        house.engine.send(id, Opcode::Text, b"one");
        house.engine.send(id, Opcode::Text, &[b'x'; 100]);
        house.finish();
        house.engine.send(id, Opcode::Text, &[b'x'; 400]);
        house.turn();
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.settle();
        let taken = script.taken();
        let head_len = taken.windows(4).position(|octets| octets == b"\r\n\r\n").map(|at| at + 4);
        match head_len {
            None => assert_eq!(taken.len(), room, "nothing follows what was taken of the response"),
            Some(head_len) => assert_eq!(frames(&taken[head_len..]).last(), Some(&close_of(1013, TOO_SLOW)), "{room}"),
        }
        assert_eq!(house.told().last(), Some(&(id, "closed".into())));
    }
}

#[test]
fn taking_nothing_for_too_long_is_cut_off() {
    let mut house = House::new(Settings::default());
    let members = house.members(1, ROOM);
    let (id, script) = &members[0];
    script.wire().room = 0;
    house.engine.publish(ROOM, Opcode::Text, b"hello", &[]);
    house.turn();
    house.wait(Duration::from_millis(9_999));
    assert_eq!(house.told(), []);
    house.wait(Duration::from_millis(1));
    assert_eq!(house.told(), [(*id, "closed".into())]);
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty(), "it is not waited for for ever");
}

#[test]
fn silence_is_asked_and_then_closed() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.wait(Duration::from_millis(24_999));
    assert_eq!(script.taken(), b"");
    house.wait(Duration::from_millis(1));
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.wait(Duration::from_millis(9_999));
    script.say(&masked(Opcode::Pong, b""));
    house.hear(id);
    assert_eq!(house.told(), [(id, "control".into())]);
    house.wait(Duration::from_secs(25));
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.wait(Duration::from_secs(10));
    assert_eq!(house.told(), [(id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(4201, "no pong")]);
    assert_eq!(house.engine.counters().no_pong, 1);
    assert!(script.wire().shut_down);
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty());
}

/// The process is stopped for a minute while a pong is awaited; nobody is closed for what the loop did not hear.
#[test]
fn a_stopped_process_closes_nobody_when_it_goes_on() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.wait(Duration::from_secs(25));
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.now = house.now + Duration::from_secs(60);
    house.turn();
    assert_eq!(house.told(), []);
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])], "asked once more");
    house.wait(Duration::from_secs(10));
    assert_eq!(house.told(), [(id, "closed".into())], "and then it is over");
}

#[test]
fn no_request_in_time_is_no_connection() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    // One octet every five seconds does not extend it.
    for octet in b"GE" {
        script.say(&[*octet]);
        house.hear(id);
        house.wait(Duration::from_millis(4_999));
    }
    assert_eq!(house.engine.len(), 1);
    house.wait(Duration::from_millis(2));
    assert!(house.engine.is_empty());
    assert_eq!(house.engine.counters().no_request, 1);
    assert_eq!(house.told(), [], "what was never open is never closed");
}

#[test]
fn an_unfinished_message_is_closed_and_a_busy_peer_is_not() {
    let mut house = House::new(Settings { ping_after: None, ..Settings::default() });
    let (id, script) = house.open();
    // Each read ends amid a message, but no message lasts.
    let octets: Vec<u8> = (0..40).flat_map(|_| text("0123456789")).collect();
    for piece in octets.chunks(15) {
        script.say(piece);
        house.hear(id);
        house.wait(Duration::from_secs(3));
    }
    assert_eq!(house.told().len(), 40);
    script.say(&text("never finished")[..9]);
    house.hear(id);
    for _ in 0..12 {
        script.say(&masked(Opcode::Ping, b"")[..0]);
        house.wait(Duration::from_secs(5));
    }
    assert_eq!(house.told(), [(id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1008, "message not finished in time")]);
}

#[test]
fn our_close_waits_and_then_ends() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.begin();
    house.engine.send(id, Opcode::Text, b"last words");
    house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    house.engine.send(id, Opcode::Text, b"too late");
    house.finish();
    assert_eq!(frames(&script.taken()), [(Opcode::Text, b"last words".to_vec()), close_of(1001, "bye")]);
    house.turn();
    assert_eq!(house.told(), [(id, "closed".into())]);
    house.wait(Duration::from_millis(4_999));
    assert!(!script.wire().shut_down);
    house.wait(Duration::from_millis(1));
    assert!(script.wire().shut_down, "FIN after five seconds");
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty(), "gone after ten");
}

#[test]
fn our_close_is_answered_and_ends_at_once() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    house.turn();
    script.say(&masked(Opcode::Close, b"\x03\xe9"));
    house.hear(id);
    assert!(script.wire().shut_down);
    script.wire().end = true;
    house.hear(id);
    assert!(house.engine.is_empty());
    assert_eq!(house.told(), [(id, "closed".into())]);
}

#[test]
fn violations_are_answered_and_the_rest_is_discarded() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.say(&[&text("fine")[..], b"\x81\x02hi", &text("unheard")].concat());
    house.hear(id);
    house.settle();
    assert_eq!(house.told(), [(id, "fine".into()), (id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1002, "frame not masked; a client must mask")]);
    assert!(script.wire().shut_down);
    // No reset may overtake the Close: what comes is read and forgotten until the peer ends.
    script.say(&[0; 100_000]);
    house.hear(id);
    house.settle();
    assert_eq!(house.engine.len(), 1);
    script.wire().end = true;
    house.hear(id);
    house.settle();
    assert!(house.engine.is_empty());
}

#[test]
fn resets_are_told_once_wherever_they_come() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    members[1].1.wire().reset = true;
    house.engine.publish(ROOM, Opcode::Text, b"a", &[]);
    house.engine.publish(ROOM, Opcode::Text, b"b", &[members[1].0]);
    house.turn();
    house.engine.readable(members[1].0.index, true);
    house.turn();
    house.turn();
    assert_eq!(house.told(), [(members[1].0, "closed".into())]);
    assert_eq!(house.engine.len(), 2);
    assert_eq!(members[2].1.texts(), ["a", "b"]);
    // The slot is used again; the old id finds nobody.
    let (id, script) = house.open();
    assert_eq!(id.index, members[1].0.index);
    house.engine.send(members[1].0, Opcode::Text, b"for a stranger");
    house.engine.subscribe(members[1].0, ROOM);
    house.engine.publish(ROOM, Opcode::Text, b"c", &[]);
    house.turn();
    assert_eq!(script.taken(), b"");
}

#[test]
fn a_flood_of_pings_to_a_peer_that_does_not_read_leaves_one_pong() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.say(&[masked(Opcode::Ping, b"1"), masked(Opcode::Ping, b"2")].concat());
    house.hear(id);
    assert_eq!(script.texts(), ["1", "2"], "while the socket takes them, all are answered");
    script.wire().room = 0;
    house.engine.send(id, Opcode::Text, b"blocked");
    house.turn();
    for n in 0..1000 {
        script.say(&masked(Opcode::Ping, format!("{n}").as_bytes()));
        house.hear(id);
    }
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.turn();
    assert_eq!(script.texts(), ["blocked", "999"]);
}

#[test]
fn a_peer_that_does_not_take_its_answers_is_not_read() {
    let mut house = House::new(Settings { outbox_bytes: 1 << 20, ..Settings::default() });
    house.echo = true;
    let (id, script) = house.open();
    script.wire().room = 0;
    let message = text(&"x".repeat(60_000));
    for _ in 0..20 {
        script.say(&message);
        house.hear(id);
    }
    assert!(script.wire().to_read.len() > 10 * message.len(), "the kernel's buffers are the limit then");
    assert_eq!(house.engine.counters().cut_bytes, 0);
    script.wire().room = usize::MAX;
    for _ in 0..40 {
        house.engine.writable(id.index);
        house.turn();
        house.settle();
    }
    assert_eq!(script.texts().len(), 20);
}

#[test]
fn a_large_topic_is_flushed_in_slices_and_in_order() {
    let mut house = House::new(Settings { sends_per_flush: 10, ..Settings::default() });
    let mut members = house.members(95, ROOM);
    let mut expected = Vec::new();
    for n in 0..30 {
        house.engine.publish(ROOM, Opcode::Text, format!("{n}").as_bytes(), &[]);
        expected.push(format!("{n}"));
        house.turn();
        assert!(house.engine.has_work());
        // People leave and come while a pass is under way, in front of the cursor and behind it.
        for at in [3, members.len() - 2] {
            let (id, script) = members.remove(at);
            house.engine.unsubscribe(id, ROOM);
            house.turn();
            assert_eq!(script.texts(), expected, "all that was said while it was there");
        }
    }
    house.settle();
    for (_, script) in &members {
        assert_eq!(script.texts(), expected);
    }
    assert_eq!(members.len(), 35);
}

#[test]
fn closing_frees_everything() {
    let mut house = House::new(Settings::default());
    let members = house.members(100, ROOM);
    members.iter().for_each(|(id, _)| house.engine.subscribe(*id, TopicId(0)));
    for (id, script) in &members {
        script.say(&masked(Opcode::Close, b""));
        script.wire().end = true;
        house.engine.readable(id.index, true);
    }
    house.settle();
    assert!(house.engine.is_empty());
    assert_eq!(house.told().len(), 100);
    assert_eq!(house.engine.next_deadline(), None);
    assert!(house.engine.topics.iter().all(|topic| topic.members.is_empty() && topic.log.is_empty()));
    let closes: Vec<_> = house.engine.counters().closes.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(closes, [(Some(1005), 100)]);
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    script.wire().end = true;
    house.engine.readable(id.index, true);
    house.turn();
    house.settle();
    assert_eq!(script.taken(), b"</a>");
    assert!(house.engine.is_empty());
}

#[test]
fn a_slow_link_gets_its_page_whole() {
    for (target, keep) in [("/page", true), ("/close", false)] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        script.wire().room = 1;
        script.say(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        house.hear(id);
        let body = format!("<{target}>");
        for _ in 1..body.len() {
            house.wait(Duration::from_secs(4));
            script.wire().room = 1;
            house.engine.writable(id.index);
            house.turn();
        }
        assert_eq!(script.taken(), body.as_bytes(), "{target}");
        assert_eq!(script.wire().shut_down, !keep);
        house.wait(Duration::from_millis(if keep { 9_999 } else { 4_999 }));
        assert_eq!(house.engine.len(), 1, "{target}");
        house.wait(Duration::from_millis(1));
        assert!(house.engine.is_empty(), "{target}");
    }
}

#[test]
fn the_log_is_one_contiguous_write() {
    let mut expected = Vec::new();
    encode_frame(Opcode::Text, b"one", &mut expected);
    encode_frame(Opcode::Text, b"two", &mut expected);
    let mut house = House::new(Settings::default());
    let members = house.members(1, ROOM);
    house.engine.publish(ROOM, Opcode::Text, b"one", &[]);
    house.engine.publish(ROOM, Opcode::Text, b"two", &[]);
    house.turn();
    assert_eq!(members[0].1.taken(), expected);
}

/// Two members that take messages as they are and three that share them compressed, in turns.
fn mixed_room() -> (House, Vec<(ConnId, Script)>) {
    let mut house = House::new(Settings { deflate: Some(DeflateSettings::default()), ..Settings::default() });
    let offers = ["", OFFER, OFFER, "", OFFER];
    let members: Vec<_> = offers.iter().map(|offer| house.open_with(offer)).collect();
    members.iter().for_each(|(id, _)| house.engine.subscribe(*id, ROOM));
    (house, members)
}

/// A text that is worth compressing, with a name in front.
fn long(name: &str) -> String {
    format!("{name}: {}", "and so on ".repeat(100))
}

#[test]
fn a_message_is_compressed_once_for_all_who_share_it() {
    let (mut house, members) = mixed_room();
    let short = "x".repeat(511);
    let enough = "x".repeat(512);
    house.engine.publish(ROOM, Opcode::Text, long("a").as_bytes(), &[]);
    house.engine.publish(ROOM, Opcode::Text, short.as_bytes(), &[]);
    house.engine.publish(ROOM, Opcode::Text, enough.as_bytes(), &[]);
    house.turn();
    assert_eq!(house.engine.counters().compressed, 2);
    assert_eq!(house.engine.counters().messages_out, 15);
    let written: Vec<_> = members.iter().map(|(_, script)| script.taken()).collect();
    assert_eq!(written[0], written[3]);
    assert_eq!((&written[1], &written[1]), (&written[2], &written[4]), "the same octets");
    assert_eq!(written[0].len(), (4 + long("a").len()) + (4 + 511) + (4 + 512));
    assert!(written[1].len() < 700, "{} octets", written[1].len());
    assert_eq!(written[1][0], 0xc1, "RSV1");
    assert_eq!(frames(&written[0]), frames(&written[1]));
    assert!(members.iter().all(|(_, script)| script.wire().writes == 2), "the handshake, and one write for all three");
}

#[test]
fn order_holds_where_compressed_and_plain_members_share_a_room() {
    let (mut house, members) = mixed_room();
    let (plain, deflating, other) = (members[0].0, members[1].0, members[2].0);
    house.engine.subscribe(deflating, TopicId(9));
    house.begin();
    house.engine.publish(ROOM, Opcode::Text, long("a").as_bytes(), &[]);
    for id in [plain, deflating] {
        house.engine.send(id, Opcode::Text, long("b").as_bytes());
    }
    house.engine.publish(ROOM, Opcode::Text, long("c").as_bytes(), &[plain, deflating]);
    for id in [plain, deflating] {
        house.engine.send(id, Opcode::Text, b"c, yours");
    }
    house.engine.publish(ROOM, Opcode::Text, b"d", &[]);
    house.engine.publish(TopicId(9), Opcode::Text, long("elsewhere").as_bytes(), &[]);
    house.engine.unsubscribe(other, ROOM);
    house.engine.publish(ROOM, Opcode::Text, long("e").as_bytes(), &[]);
    house.engine.send(other, Opcode::Text, b"left");
    house.finish();
    let (a, b, c, e) = (&long("a"), &long("b"), &long("c"), &long("e"));
    assert_eq!(members[0].1.texts(), [a, b, "c, yours", "d", e]);
    let mut heard = members[1].1.texts();
    assert_eq!(heard.len(), 6);
    heard.retain(|text| *text != long("elsewhere"));
    assert_eq!(heard, [a, b, "c, yours", "d", e]);
    assert_eq!(members[2].1.texts(), [a, c, "d", "left"]);
    assert_eq!(members[3].1.texts(), [a, c, "d", e]);
    assert_eq!(members[4].1.texts(), [a, c, "d", e]);
}

#[test]
fn a_blocked_member_loses_nothing_of_what_is_compressed() {
    let (mut house, members) = mixed_room();
    let (slow, script) = &members[2];
    script.wire().room = 7;
    let all: Vec<String> =
        (0..50).map(|n| if n % 3 == 0 { format!("short {n}") } else { long(&format!("{n}")) }).collect();
    for (n, message) in all.iter().enumerate() {
        house.engine.publish(ROOM, Opcode::Text, message.as_bytes(), &[]);
        if n % 7 == 0 {
            house.engine.send(*slow, Opcode::Text, long("direct").as_bytes());
        }
        house.turn();
    }
    for _ in 0..1000 {
        script.wire().room = 11;
        house.engine.writable(slow.index);
        house.turn();
    }
    let mut got = script.texts();
    got.retain(|text| *text != long("direct"));
    assert_eq!(got, all);
    assert_eq!(members[1].1.texts(), all);
    assert_eq!(members[3].1.texts(), all);
}

/// Who asked for a small window is heard and answered in it, and takes room messages as they are.
#[test]
fn a_small_window_is_kept_to() {
    let (mut house, members) = mixed_room();
    let (id, script) = house.open_with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n");
    house.engine.subscribe(id, ROOM);
    house.engine.publish(ROOM, Opcode::Text, long("a").as_bytes(), &[]);
    house.engine.send(id, Opcode::Text, long("b").as_bytes());
    house.turn();
    let written = script.taken();
    assert_eq!((written[0], written[4 + long("a").len()]), (0x81, 0xc1));
    assert_eq!(frames(&written), [long("a"), long("b")].map(|text| (Opcode::Text, text.into_bytes())));
    assert_eq!(members[1].1.taken()[0], 0xc1);
}

#[test]
fn compressed_messages_are_heard_between_those_of_others() {
    let (mut house, members) = mixed_room();
    let mut deflater = Deflater::new(6);
    let frame = |first: u8, payload: &[u8]| {
        let mut frame = masked(Opcode::Text, payload);
        frame[0] = first;
        frame
    };
    let payload = deflater.compress(long("a").as_bytes(), 15).expect("smaller").to_vec();
    let (left, right) = payload.split_at(20);
    for piece in [&frame(0x41, left)[..], &frame(0x80, right)[..5], &frame(0x80, right)[5..]] {
        members[1].1.say(piece);
        members[2].1.say(&frame(0xc1, &payload));
        members[3].1.say(&text("plain"));
        members[1..4].iter().for_each(|(id, _)| house.engine.readable(id.index, false));
        house.turn();
    }
    let told = house.told();
    let by = |id: ConnId| told.iter().filter(|told| told.0 == id).map(|told| told.1.clone()).collect::<Vec<_>>();
    assert_eq!(by(members[1].0), [long("a")]);
    assert_eq!(by(members[2].0), [long("a"), long("a"), long("a")]);
    assert_eq!(by(members[3].0), ["plain", "plain", "plain"]);
    // Without an agreement RSV1 is a violation; with one, past the limit is past the limit. The others notice nothing.
    members[0].1.say(&frame(0xc1, &payload));
    members[2].1.say(&frame(0xc1, deflater.compress(&[b'x'; 70_000], 15).expect("smaller")));
    members[4].1.say(&frame(0xc1, &payload));
    for at in [0, 2, 4] {
        house.engine.readable(members[at].0.index, false);
    }
    house.turn();
    house.settle();
    assert_eq!(frames(&members[0].1.taken()), [close_of(1002, "reserved bits 100 set, no extension uses them")]);
    assert_eq!(frames(&members[2].1.taken()), [close_of(1009, "message over 65536 bytes")]);
    assert!(house.told().contains(&(members[4].0, long("a"))));
}

#[test]
fn what_is_not_allowed_is_never_compressed() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    house.engine.publish(ROOM, Opcode::Text, long("a").as_bytes(), &[]);
    house.engine.send(members[0].0, Opcode::Text, long("b").as_bytes());
    house.turn();
    assert_eq!(members[0].1.texts(), [long("a"), long("b")]);
    assert_eq!(house.engine.counters().compressed, 0);
    assert_eq!(house.engine.topics.len(), ROOM.0 as usize + 1, "no room for what is not asked for");
}
