//! The engine over scripted streams: whatever order reads, short writes, resets, timers and messages come in, the
//! invariants of ARCHITECTURE.md hold, as far as they can be seen from outside.
//!
//! The input is a program; its first byte chooses the settings, then each operation is one byte and its arguments.
//! Streams behave as sockets do under an edge-triggered poller: a short read means that nothing is left, and news is
//! reported once. So a peer that the engine forgets stays forgotten, and shows. Or they are any `Read + Write`, with
//! what std and [`Stream`] give by default: they take and give less than they could, and their poller does not report
//! the end. Room may come amid a write, and bytes and the end, or a failure, in one edge.
//!
//! - A peer is sent what a model expects, in order: all of it when nothing is in the way, else a beginning of it.
//!   Topics keep their own order, and direct messages stand between what was published before and after them. The model
//!   knows members only by what was asked for, so membership is checked by what is delivered.
//! - The events of a peer are those that [`HeadScanner`] and [`Receiver`] make of its bytes in one piece.
//! - Nothing follows Close; nothing is written after the end or after a failure; pongs repeat pings in order.
//! - A member of a topic with numbered messages that takes them too slowly leaves it in a flush, and is sent everything
//!   up to the number that is told then, and no numbered message after it.
//! - An owner that asks for `Drained` of a connection gets it once, when the connection has taken everything that was
//!   queued before.
//! - There is one `Closed` for each upgraded connection, and no event of it after that.
//! - Work comes to an end; every peer has a deadline; at the end everything is freed.
#![no_main]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use salon::engine::{Engine, Event, Got, LeftBehind, Settings, Stream, Wrote, receive_short, send_short};
use salon::id::{ConnId, TopicId};
use salon::proto::handshake::{HeadScanner, MAX_HEAD_LEN, Request};
use salon::proto::frame::{FrameHeader, FrameRules, Opcode, encode_masked_frame};
use salon::proto::receiver::Receiver;
use salon::proto::{self, Agreed, CloseCode, Kind, Limits};
use salon::time::Tick;

/// The other side of a connection.
#[derive(Default)]
struct Wire {
    /// It says nothing of what a count means.
    plain: bool,
    to_read: VecDeque<u8>,
    end: bool,
    reset: bool,
    /// It is reset when all has been read.
    fails: bool,
    /// The engine has got a failure and has nothing more to do here.
    failed: bool,
    written: Vec<u8>,
    room: usize,
    /// The room that comes right after it has said that it has none.
    comes: usize,
    /// The most that a plain stream gives or takes at once.
    read_size: usize,
    write_size: usize,
    shut_down: bool,
}

impl Wire {
    fn touch(&mut self) -> io::Result<()> {
        assert!(!self.failed, "a stream that failed is left alone");
        self.failed = self.reset;
        if self.reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

#[derive(Clone)]
struct Script(Rc<RefCell<Wire>>);

impl Read for Script {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        wire.reset |= wire.fails && wire.to_read.is_empty();
        wire.touch()?;
        if wire.to_read.is_empty() && !wire.end {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // A deque reads in two parts where it wraps, which a socket does not.
        wire.to_read.make_contiguous();
        let len = if wire.plain { bytes.len().min(wire.read_size) } else { bytes.len() };
        wire.to_read.read(&mut bytes[..len])
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        wire.touch()?;
        assert!(!wire.shut_down, "nothing is written after the end");
        assert!(!bytes.is_empty(), "a write of nothing");
        let len = bytes.len().min(wire.room).min(if wire.plain { wire.write_size } else { usize::MAX });
        if len == 0 {
            wire.room = wire.comes;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= len;
        wire.written.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn receive(&mut self, into: &mut [u8], to_end: bool) -> io::Result<Got> {
        let plain = self.0.borrow().plain;
        if plain { Plain(self).receive(into, to_end) } else { receive_short(self, into, to_end) }
    }

    fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        let plain = self.0.borrow().plain;
        if plain { Plain(self).send(slices) } else { send_short(self, slices) }
    }

    fn shut_down(&mut self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        assert!(!std::mem::replace(&mut wire.shut_down, true), "shut down once");
        Ok(())
    }
}

/// The same with the defaults of the trait.
struct Plain<'a>(&'a mut Script);

impl Read for Plain<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Plain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Plain<'_> {
    fn shut_down(&mut self) -> io::Result<()> {
        self.0.shut_down()
    }
}

/// The state of a connection as it is known from outside.
struct Peer {
    id: ConnId,
    script: Script,
    /// All bytes it was given to read.
    said: Vec<u8>,
    /// The events of the engine about it.
    told: Vec<String>,
    /// The responses it was given, which come before any frame, and the messages that it is to hear.
    responses: Vec<u8>,
    expected: VecDeque<Expected>,
    /// Messages of one stretch that came by different lanes may be heard in any order.
    stretch: usize,
    /// How many messages there were to expect in all.
    sent: usize,
    upgraded: bool,
    closed: bool,
    /// A request has been passed on that we answer later; or we have, with the connection's end.
    waits: bool,
    dismissed: bool,
    /// How many messages there were when we last asked for `Drained`, until it comes.
    asked: Option<usize>,
    /// What was expected when we asked for the connection to be closed.
    closing: Option<usize>,
    aborted: bool,
    member: [bool; TOPICS],
    heard: Heard,
}

/// A message that is to be heard.
#[derive(Debug)]
struct Expected {
    stretch: usize,
    /// The topic, if it was published.
    lane: Option<usize>,
    /// Its number there, if it has one.
    number: Option<u64>,
    /// It may be lost: the member has left the topic, and it has no number.
    optional: bool,
    opcode: Opcode,
    payload: Vec<u8>,
}

/// What has been made of a peer's `written` so far.
#[derive(Default)]
struct Heard {
    at: usize,
    messages: usize,
    pongs: Vec<Vec<u8>>,
    close: Option<Vec<u8>>,
}

impl Peer {
    /// There is a peer at the other end, the engine has not released it, and nothing has begun to end it.
    fn is_well(&self) -> bool {
        let wire = self.script.0.borrow();
        let is_open = !self.closed && self.closing.is_none() && !self.aborted;
        self.is_held() && is_open && !wire.end && !wire.reset && !wire.fails
    }

    fn is_held(&self) -> bool {
        Rc::strong_count(&self.script.0) > 1
    }

    /// Reads what has been written since the last look, and compares it with what is expected.
    fn check_written(&mut self) {
        let wire = self.script.0.borrow();
        let written = &wire.written[..];
        let head = written.len().min(self.responses.len());
        assert_eq!(written[..head], self.responses[..head], "responses first");
        self.heard.at = self.heard.at.max(head);
        while let Some((header, len)) =
            FrameHeader::decode(&written[self.heard.at..], &FROM_SERVER).expect("a frame that a client takes")
        {
            let start = self.heard.at + len;
            let Some(payload) = written.get(start..start + header.payload_len as usize) else { break };
            self.heard.at = start + payload.len();
            assert_eq!(self.heard.close, None, "nothing follows Close");
            match header.opcode {
                Opcode::Close => self.heard.close = Some(payload.to_vec()),
                Opcode::Ping => assert_eq!(payload, b""),
                Opcode::Pong => self.heard.pongs.push(payload.to_vec()),
                opcode => {
                    let found = |expected: &Expected| expected.opcode == opcode && expected.payload == payload;
                    let place = self.expected.iter().position(found).expect("only what was sent is heard, and once");
                    let expected = self.expected.remove(place).expect("just found");
                    let overtaken = self
                        .expected
                        .iter()
                        .take(place)
                        .filter(|earlier| !earlier.optional)
                        .find(|earlier| earlier.stretch != expected.stretch || earlier.lane == expected.lane);
                    assert!(overtaken.is_none(), "in order: {expected:?} has overtaken {overtaken:?}");
                    self.heard.messages += usize::from(!expected.optional);
                }
            }
        }
        if let (Some(close), Some(expected)) = (&self.heard.close, self.closing)
            && close.starts_with(&OUR_CODE.get().to_be_bytes())
        {
            assert_eq!(self.heard.messages, expected, "what was queued before Close comes before it");
        }
        if wire.shut_down && self.upgraded {
            assert_eq!(self.heard.at, written.len(), "a stream ends behind a whole frame");
        }
    }

    /// What `said` means when it comes in one piece; and the pings in it.
    fn meaning(&self) -> (Vec<String>, Vec<Vec<u8>>) {
        let (mut told, mut pings) = (Vec::new(), Vec::new());
        let mut bytes = self.said.clone();
        let mut at = 0;
        loop {
            // An empty line before a request is skipped.
            match &bytes[at..] {
                b"\r" => return (told, pings),
                [b'\r', b'\n', ..] => at += 2,
                _ => {}
            }
            let found = HeadScanner::default().scan(&bytes[at..]);
            let Ok(Some(len)) = found else {
                told.extend(found.err().map(|error| format!("bad {error:?}")));
                return (told, pings);
            };
            let request = match Request::parse(&bytes[at..at + len]) {
                Ok(request) => request,
                Err(error) => {
                    told.push(format!("bad {error:?}"));
                    return (told, pings);
                }
            };
            told.push(format!("request {}", request.target()));
            let answer = Answer::to(&request);
            at += len;
            if let Answer::Body(len) = answer {
                let Some(body) = bytes.get(at..at + len as usize) else { return (told, pings) };
                told.push(format!("body {body:?}"));
                at += len as usize;
            }
            match answer {
                Answer::Keep | Answer::Body(_) | Answer::Later => {}
                Answer::Upgrade => break,
                Answer::End | Answer::None => return (told, pings),
            }
        }
        let mut connection = Receiver::server(LIMITS);
        loop {
            let (taken, event) = connection.decode(&mut bytes[at..], &mut Vec::new());
            at += taken;
            told.push(match event {
                Some(proto::Event::Text(text)) => format!("text {text}"),
                Some(proto::Event::Binary(data)) => format!("binary {data:?}"),
                Some(proto::Event::Ping(data)) => {
                    pings.push(data.to_vec());
                    "control".into()
                }
                Some(proto::Event::Close(_) | proto::Event::Failed(_)) => {
                    told.push("closed".into());
                    return (told, pings);
                }
                Some(_) => "control".into(),
                None => return (told, pings),
            });
        }
    }

    /// Compares the events and answers with the input.
    fn check_told(&self, complete: bool) {
        let (meaning, pings) = self.meaning();
        let (end, told) = match self.told.split_last() {
            Some((last, told)) if last == "closed" => (true, told),
            _ => (false, &self.told[..]),
        };
        assert!(meaning.starts_with(told), "{meaning:?} was said, {told:?} was told");
        if complete {
            assert!(!end && meaning == told, "{meaning:?} was said, {:?} was told", self.told);
        }
        let mut pings = pings.iter();
        assert!(self.heard.pongs.iter().all(|pong| pings.any(|ping| ping == pong)), "pongs repeat pings, in order");
    }
}

/// How the owner of the engine answers a request: by its path.
enum Answer {
    Upgrade,
    Keep,
    /// When the body has come; then it is kept.
    Body(u32),
    End,
    /// When the program says so.
    Later,
    None,
}

impl Answer {
    fn to(request: &Request<'_>) -> Self {
        match request.path() {
            "/none" => Self::None,
            "/end" => Self::End,
            "/late" => Self::Later,
            "/body" => match request.content_length() {
                Ok(len @ 1..=300) => Self::Body(len as u32),
                _ => Self::Keep,
            },
            _ if request.upgrade().is_ok() => Self::Upgrade,
            _ => Self::Keep,
        }
    }
}

struct House {
    engine: Engine<Script>,
    now: Tick,
    peers: Vec<Peer>,
    echo: bool,
    plain: bool,
    said: u32,
    /// The last number of each topic.
    numbers: [u64; TOPICS],
}

impl House {
    fn new(choices: u8) -> Self {
        let mut settings = Settings::default();
        settings.limits = LIMITS;
        settings.receive_buffer = [7, 64, 4096, 4096][usize::from(choices & 3)];
        settings.sends_per_flush = if choices & 4 == 0 { 512 } else { 1 };
        settings.outbox_bytes = if choices & 8 == 0 { 1 << 20 } else { 300 };
        settings.behind_bytes = if choices & 128 == 0 { 64 << 10 } else { 100 };
        settings.flush_delay = if choices & 32 == 0 { Duration::ZERO } else { FLUSH_DELAY };
        settings.flush_delay_members = 2;
        let now = Tick(0);
        let (echo, plain) = (choices & 16 != 0, choices & 64 != 0);
        Self { engine: Engine::new(settings, now), now, peers: Vec::new(), echo, plain, said: 0, numbers: [0; TOPICS] }
    }

    fn connect(&mut self) {
        if self.peers.len() < MAX_PEERS {
            let wire = Wire { plain: self.plain, room: usize::MAX, ..Wire::default() };
            let script = Script(Rc::new(RefCell::new(Wire { read_size: usize::MAX, write_size: usize::MAX, ..wire })));
            let id = self.engine.insert(script.clone(), 0);
            self.peers.push(Peer {
                id,
                script,
                said: Vec::new(),
                told: Vec::new(),
                responses: Vec::new(),
                expected: VecDeque::new(),
                stretch: 0,
                sent: 0,
                upgraded: false,
                closed: false,
                waits: false,
                dismissed: false,
                asked: None,
                closing: None,
                aborted: false,
                member: [false; TOPICS],
                heard: Heard::default(),
            });
        }
    }

    /// The peer sends bytes, and the poller reports them.
    fn say(&mut self, place: usize, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        let mut wire = peer.script.0.borrow_mut();
        if !wire.end && !wire.reset && peer.said.len() + bytes.len() < MAX_SAID {
            wire.to_read.extend(bytes);
            peer.said.extend_from_slice(bytes);
            drop(wire);
            self.poll(place, |engine, index| engine.readable(index, false));
        }
    }

    /// The poller knows a stream for as long as the engine has it.
    fn poll(&mut self, place: usize, tell: impl FnOnce(&mut Engine<Script>, u32)) {
        if let Some(peer) = self.peers.get(place)
            && peer.is_held()
        {
            tell(&mut self.engine, peer.id.index);
        }
    }

    /// The peer ends its stream; a poller of sockets says so.
    fn end(&mut self, place: usize) {
        self.change(place, |wire| wire.end = true);
        let to_end = !self.plain;
        self.poll(place, |engine, index| engine.readable(index, to_end));
    }

    /// A request that waits is answered.
    fn answer(&mut self, place: usize, keep: bool) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        if std::mem::take(&mut peer.waits) {
            peer.responses.extend_from_slice(b"<late>");
            peer.dismissed = !keep;
            self.engine.respond(peer.id, b"<late>", keep);
        }
    }

    fn change(&mut self, place: usize, change: impl FnOnce(&mut Wire)) {
        if let Some(peer) = self.peers.get(place) {
            change(&mut peer.script.0.borrow_mut());
        }
    }

    /// A text that is like no other.
    fn words(&mut self, fill: usize) -> Vec<u8> {
        self.said += 1;
        let mut words = format!("{}.", self.said).into_bytes();
        words.resize(words.len() + fill, b'x');
        words
    }

    fn expect(&mut self, place: usize, lane: Option<usize>, number: Option<u64>, opcode: Opcode, payload: &[u8]) {
        let peer = &mut self.peers[place];
        if peer.upgraded && !peer.closed && peer.closing.is_none() {
            peer.stretch += usize::from(lane.is_none());
            let payload = payload.to_vec();
            let stretch = peer.stretch;
            peer.expected.push_back(Expected { stretch, lane, number, optional: false, opcode, payload });
            peer.stretch += usize::from(lane.is_none());
            peer.sent += 1;
        }
    }

    fn send(&mut self, place: usize, kind: Kind, payload: &[u8]) {
        let Some(id) = self.peers.get(place).map(|peer| peer.id) else { return };
        self.engine.send(id, kind, payload);
        self.expect(place, None, None, kind.into(), payload);
    }

    fn publish(&mut self, topic: usize, numbered: bool, except: u8, fill: usize) {
        let payload = self.words(fill);
        let left_out = |place: usize| place < 8 && except & (1 << place) != 0;
        let ids: Vec<ConnId> =
            self.peers.iter().enumerate().filter(|(place, _)| left_out(*place)).map(|(_, peer)| peer.id).collect();
        let number = numbered.then(|| {
            self.numbers[topic] += 1;
            self.numbers[topic]
        });
        match number {
            Some(number) => self.engine.publish_numbered(topic_of(topic), number, Kind::Text, &payload, &ids),
            None => self.engine.publish(topic_of(topic), Kind::Text, &payload, &ids),
        }
        for place in 0..self.peers.len() {
            if self.peers[place].member[topic] && !left_out(place) {
                self.expect(place, Some(topic), number, Opcode::Text, &payload);
            }
        }
    }

    fn subscribe(&mut self, place: usize, topic: usize, member: bool) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        match member {
            true => self.engine.subscribe(peer.id, topic_of(topic)),
            false => self.engine.unsubscribe(peer.id, topic_of(topic)),
        }
        if peer.upgraded && !peer.closed {
            // A member that leaves gets what was published before, of all topics.
            peer.stretch += usize::from(peer.member[topic] && !member);
            peer.member[topic] = member;
        }
    }

    fn tell_when_drained(&mut self, place: usize) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        self.engine.tell_when_drained(peer.id);
        if peer.upgraded {
            peer.asked = Some(peer.sent);
        }
    }

    fn close(&mut self, place: usize) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        self.engine.close(peer.id, OUR_CODE, "bye");
        peer.closing.get_or_insert(peer.sent);
    }

    fn abort(&mut self, place: usize) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        self.engine.abort(peer.id);
        peer.aborted = true;
    }

    /// Asks for one event and answers it as a server does.
    fn next_event(&mut self) -> bool {
        let mut happened = None;
        let more = self.engine.next_event(|id, _, event| {
            let answer = match &event {
                Event::Request(request) => Answer::to(request),
                Event::BadRequest(_) => Answer::End,
                Event::Body { .. } => Answer::Keep,
                _ => Answer::None,
            };
            let (told, text) = match event {
                Event::Request(request) => (format!("request {}", request.target()), None),
                Event::BadRequest(error) => (format!("bad {error:?}"), None),
                Event::Body { note, bytes } => {
                    assert_eq!(note as usize, bytes.len(), "the note of this request");
                    (format!("body {bytes:?}"), None)
                }
                Event::Text(text) => (format!("text {text}"), Some(text.to_owned())),
                Event::Binary(data) => (format!("binary {data:?}"), None),
                Event::Control => ("control".into(), None),
                Event::Drained => ("drained".into(), None),
                Event::Closed => ("closed".into(), None),
                event => panic!("no other kind is known: {event:?}"),
            };
            assert!(happened.replace((id, told, text, answer)).is_none(), "one event at a time");
        });
        assert_eq!(more.is_some(), happened.is_some());
        let Some((id, told, text, answer)) = happened else { return false };
        let place = self.peers.iter().position(|peer| peer.id == id).expect("only who was let in is told of");
        let peer = &mut self.peers[place];
        assert!(!peer.closed, "nothing is told after Closed");
        if told == "drained" {
            let asked = peer.asked.take().expect("who did not ask is not told");
            peer.check_written();
            assert!(peer.heard.messages >= asked, "all that was queued before has been taken");
            return true;
        }
        if told == "closed" {
            assert!(peer.upgraded, "what was never open is never closed");
            peer.closed = true;
            peer.member = [false; TOPICS];
        }
        peer.told.push(told);
        // An abort between event and answer: the answer finds no connection.
        match answer {
            Answer::Upgrade => {
                peer.responses.extend_from_slice(UPGRADED);
                peer.upgraded = true;
                self.engine.upgrade(id, UPGRADED, &Agreed::NOTHING);
            }
            Answer::Keep => {
                peer.responses.extend_from_slice(b"<keep>");
                self.engine.respond(id, b"<keep>", true);
            }
            Answer::Body(len) => {
                peer.responses.extend_from_slice(b"<go on>");
                self.engine.receive_body(id, len, len, b"<go on>");
            }
            Answer::End => {
                peer.responses.extend_from_slice(b"<end>");
                self.engine.respond(id, b"<end>", false);
            }
            Answer::Later => peer.waits = true,
            Answer::None => {}
        }
        if let Some(text) = text.filter(|_| self.echo) {
            self.send(place, Kind::Text, text.as_bytes());
        }
        true
    }

    fn flush(&mut self) {
        assert_eq!(self.engine.left_behind(), None, "members leave in a flush, and in nothing else");
        self.engine.flush();
        self.note_left_behind();
    }

    fn note_left_behind(&mut self) {
        while let Some(LeftBehind { id, topic, heard, .. }) = self.engine.left_behind() {
            let peer = self.peers.iter_mut().find(|peer| peer.id == id).expect("only who was let in leaves");
            let topic = topic.number() as usize;
            assert!(std::mem::take(&mut peer.member[topic]), "only members leave, and once");
            let (before, mut behind) = (peer.expected.len(), false);
            peer.expected.retain(|expected| {
                behind |= expected.lane == Some(topic) && expected.number.is_some_and(|number| number > heard);
                !behind || expected.lane != Some(topic)
            });
            let mut lost = before - peer.expected.len();
            // A notice behind the last number may have been queued with it, or not.
            for expected in peer.expected.iter_mut().rev().filter(|expected| expected.lane == Some(topic)) {
                if expected.number.is_some() {
                    break;
                }
                lost += usize::from(!std::mem::replace(&mut expected.optional, true));
            }
            peer.sent -= lost;
            peer.asked = peer.asked.map(|asked| asked.saturating_sub(lost));
            peer.closing = peer.closing.map(|closing| closing.saturating_sub(lost));
            // What comes after a return is not in the order of what was before.
            peer.stretch += 1;
        }
    }

    fn turn(&mut self) {
        self.engine.begin_turn(self.now);
        while self.next_event() {}
        self.flush();
        self.engine.reap(drop);
        self.check();
    }

    fn settle(&mut self) {
        for turns in 0.. {
            assert!(turns < 50_000, "work comes to an end");
            if !self.engine.has_work() {
                break;
            }
            self.turn();
        }
    }

    /// Lets time pass as the loop does.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.turn();
            self.settle();
        }
        self.now = until;
        self.turn();
    }

    fn check(&mut self) {
        self.peers.iter_mut().for_each(Peer::check_written);
        assert_eq!(self.engine.len(), self.peers.iter().filter(|peer| peer.is_held()).count());
        assert!(self.engine.is_empty() || self.engine.next_deadline().is_some(), "whoever is there has a deadline");
    }

    /// Nothing is in the way any more: all output arrives, and all input becomes events.
    fn check_settled(&mut self) {
        for place in 0..self.peers.len() {
            self.change(place, |wire| wire.room = usize::MAX);
            self.poll(place, Engine::writable);
        }
        self.turn();
        self.settle();
        // The delayed messages of large topics are due by then.
        self.wait(FLUSH_DELAY);
        self.settle();
        for peer in &self.peers {
            let (meaning, _) = peer.meaning();
            let ends = meaning.last().is_some_and(|last| last == "closed");
            let answered = !matches!(peer.told.last().map(String::as_str), Some("request /end" | "request /none"))
                && !peer.waits
                && !peer.dismissed
                && !peer.told.last().is_some_and(|told| told.starts_with("bad "));
            let well = peer.is_well() && answered && !ends;
            peer.check_told(well);
            if well {
                assert_eq!(peer.heard.messages, peer.sent, "all that was sent is heard");
                assert_eq!(peer.asked, None, "who asks is told");
                assert_eq!(peer.heard.at, peer.script.0.borrow().written.len(), "and whole");
            }
            let unread = peer.script.0.borrow().to_read.len();
            // What is behind a request waits for its answer.
            let heard = unread == 0 || !peer.is_held() || !answered;
            assert!(heard, "{unread} bytes are forgotten; told: {:?}", peer.told);
            assert!(!ends || peer.closed || !peer.is_well() || !answered, "the end is told");
        }
    }

    /// Everybody goes: one half ends its stream, the other is silent for ever.
    fn check_freed(&mut self) {
        for place in (0..self.peers.len()).step_by(2) {
            self.end(place);
        }
        self.settle();
        for turns in 0.. {
            assert!(turns < 1000, "silence comes to an end");
            let Some(due) = self.engine.next_deadline() else { break };
            self.now = self.now.max(due);
            self.turn();
            self.settle();
        }
        assert!(self.engine.is_empty() && !self.engine.has_work(), "all have gone");
        for peer in &self.peers {
            assert!(!peer.is_held() && peer.closed == peer.upgraded, "freed, and told if it was open");
            peer.check_told(false);
        }
        let counters = self.engine.counters();
        let closes: u64 = counters.closes.iter().map(|(_, count)| count).sum();
        assert_eq!(counters.accepted, self.peers.len() as u64);
        assert_eq!((counters.upgraded, closes), (closes, self.peers.iter().filter(|peer| peer.closed).count() as u64));
        let written: usize = self.peers.iter().map(|peer| peer.script.0.borrow().written.len()).sum();
        assert_eq!(counters.bytes_out, written as u64);
    }
}

/// The program, read to its end.
struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % end
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

fn topic_of(place: usize) -> TopicId {
    TopicId::new(place as u32).expect("a small number")
}

/// How long a message is to be. Seldom more than what is flushed early, or than a peer that is read may owe.
fn length(choice: usize) -> usize {
    match choice {
        0..250 => choice,
        250..255 => 4000,
        _ => 200_000,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&choices, program)) = input.split_first() else { return };
    let mut house = House::new(choices);
    let mut program = Program(program);
    while let Some(operation) = program.byte() {
        match operation % 33 {
            0 => house.connect(),
            1 => {
                house.connect();
                house.say(house.peers.len() - 1, HANDSHAKE);
                house.turn();
            }
            2 => house.say(program.below(MAX_PEERS), HANDSHAKE),
            3 => {
                let (place, len) = (program.below(MAX_PEERS), program.below(64));
                house.say(place, program.bytes(len));
            }
            4 => {
                let place = program.below(MAX_PEERS);
                let opcode =
                    [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong, Opcode::Close][program.below(5)];
                let len = program.below(if opcode.is_control() { 40 } else { 200 });
                let mut bytes = Vec::new();
                encode_masked_frame(opcode, program.bytes(len), [1, 2, 3, 4], &mut bytes);
                house.say(place, &bytes);
            }
            5 => {
                let place = program.below(MAX_PEERS);
                let path = [&b"/"[..], b"/end", b"/none", b"/body", b"/late"][program.below(5)];
                let len = if path == b"/body" { program.below(256) } else { 0 };
                let head = [b"GET ", path, b" HTTP/1.1\r\nHost: h\r\n"].concat();
                let length = format!("Content-Length: {len}\r\n\r\n");
                // The body comes with other operations, or what they say is taken for it.
                house.say(place, &[&head[..], length.as_bytes(), program.bytes(len / 2)].concat());
            }
            6 => house.turn(),
            7 => house.engine.begin_turn(house.now),
            8 => {
                house.next_event();
            }
            9 => house.flush(),
            10 => house.engine.reap(drop),
            11 => {
                let (place, room) = (program.below(MAX_PEERS), program.below(256));
                house.change(place, |wire| wire.room = room);
            }
            12 => {
                let (place, room) = (program.below(MAX_PEERS), program.below(256));
                house.change(place, |wire| wire.room = wire.room.saturating_add(room * room));
                house.poll(place, Engine::writable);
            }
            13 => {
                let place = program.below(MAX_PEERS);
                house.change(place, |wire| wire.reset = true);
                house.poll(place, |engine, index| engine.readable(index, true));
            }
            14 => house.end(program.below(MAX_PEERS)),
            15 => {
                let time = u64::from(program.byte().unwrap_or(0));
                house.wait(Duration::from_millis(time * time));
            }
            16 => {
                let (topic, except, fill) = (program.below(TOPICS), program.byte().unwrap_or(0), program.below(256));
                house.publish(topic, false, except, length(fill));
            }
            31 => {
                let (topic, except, fill) = (program.below(TOPICS), program.byte().unwrap_or(0), program.below(256));
                house.publish(topic, true, except, length(fill));
            }
            32 => {
                house.engine.flush_full();
                house.note_left_behind();
            }
            17 => {
                let (place, fill) = (program.below(MAX_PEERS), program.below(256));
                let words = house.words(length(fill));
                house.send(place, if fill & 1 == 0 { Kind::Text } else { Kind::Binary }, &words);
            }
            18 => house.subscribe(program.below(MAX_PEERS), program.below(TOPICS), true),
            19 => house.tell_when_drained(program.below(MAX_PEERS)),
            20 => house.subscribe(program.below(MAX_PEERS), program.below(TOPICS), false),
            21 => house.close(program.below(MAX_PEERS)),
            22 => house.abort(program.below(MAX_PEERS)),
            // Bytes and the end, or a failure of the stream, in one edge.
            24 => {
                let (place, fails, len) = (program.below(MAX_PEERS), program.below(2) == 1, program.below(64));
                house.say(place, program.bytes(len));
                house.change(place, |wire| wire.fails |= fails);
                house.end(place);
            }
            25 => {
                let (place, read_size, write_size) =
                    (program.below(MAX_PEERS), program.below(256) + 1, program.below(256) + 1);
                house.change(place, |wire| (wire.read_size, wire.write_size) = (read_size, write_size));
            }
            26 => {
                let (place, room) = (program.below(MAX_PEERS), program.below(256));
                house.change(place, |wire| wire.comes = room);
            }
            // A fragment, or a message, at the limits and over them.
            27 => {
                let (place, first) = (program.below(MAX_PEERS), [0x01, 0x02, 0x00, 0x80, 0x81, 0x82][program.below(6)]);
                let mut bytes = Vec::new();
                let len = program.below(LIMITS.message_bytes as usize + 2);
                encode_masked_frame(Opcode::Text, &vec![b'x'; len], [1, 2, 3, 4], &mut bytes);
                bytes[0] = first;
                house.say(place, &bytes);
            }
            // A head that is, without its empty line, about as long as a head may be; in two pieces.
            28 => {
                let (place, len) = (program.below(MAX_PEERS), MAX_HEAD_LEN - 8 + program.below(16));
                let at = program.below(256);
                let mut head = b"GET / HTTP/1.1\r\nHost: h\r\n".to_vec();
                for line in [6000, 6000, len - head.len() - 12_000] {
                    head.extend_from_slice(b"A: ");
                    head.resize(head.len() + line - 5, b'x');
                    head.extend_from_slice(b"\r\n");
                }
                head.extend_from_slice(b"\r\n");
                let (first, rest) = head.split_at(head.len() - at);
                house.say(place, first);
                house.turn();
                house.say(place, rest);
            }
            29 => house.answer(program.below(MAX_PEERS), program.below(2) == 1),
            // All that is said comes a byte a turn.
            30 => {
                let (place, len) = (program.below(MAX_PEERS), program.below(64));
                for byte in program.bytes(len) {
                    house.say(place, &[*byte]);
                    house.turn();
                }
            }
            // The poller's reports may be out of date.
            _ => {
                let index = program.below(MAX_PEERS) as u32;
                house.engine.readable(index, false);
                house.engine.writable(index);
            }
        }
    }
    house.check_settled();
    house.check_freed();
});

const MAX_PEERS: usize = 12;
const FLUSH_DELAY: Duration = Duration::from_millis(20);
const TOPICS: usize = 3;
/// The most that one peer says, in bytes.
const MAX_SAID: usize = 40_000;
const LIMITS: Limits = Limits::new().message_bytes(150).fragments(4);
const OUR_CODE: CloseCode = CloseCode::new(4999).expect("one of the application's");
const UPGRADED: &[u8] = b"<upgraded>";
const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A client accepts whole frames of us, unmasked.
const FROM_SERVER: FrameRules = FrameRules::new(false, Limits::new().message_bytes(u32::MAX));
