//! Many connections over any `Read + Write`: which are ready, what is queued for them, when to look again.
//!
//! The engine owns the peers, the receive buffer, the topics and the timer wheel. A loop drives it that knows when
//! streams are ready and what time it is:
//!
//! ```text
//!   insert / readable / writable      what the poller said
//!   begin_turn(now)                   timers: pings, deadlines
//!   next_event(handler) ...           reads, decodes, hands on events; between events: send, publish, close
//!   flush()                           every dirty topic and peer once
//!   next_interest() ...               what the poller is to watch, unless it is edge-triggered
//!   reap(...)                         slots are freed here and nowhere else
//!   end_turn(now)                     if turns may be long: from here there is time to answer a ping
//! ```
//!
//! Streams never wait; [`Stream`] says what one promises with a count of bytes. An edge-triggered, level-triggered or
//! one-shot [`Poller`] may report readiness. A loop may sleep while there is no
//! [work](Engine::has_work), until the next [deadline](Engine::next_deadline).
//!
//! It has no sockets and no clock, and is no client. It answers pings and Close frames, pings peers that are silent,
//! and ends connections whose time is over; it does not answer requests: the owner of an [`Event::Request`] calls
//! [`Engine::upgrade`] or [`Engine::respond`], or [`Engine::receive_body`] first.
//!
//! One turn, with a stream in memory that has brought a request and a text:
//!
//! ```
//! use std::collections::VecDeque;
//! use std::io::{self, Read, Write};
//!
//! use salon_engine::proto::{Agreed, Kind};
//! use salon_engine::{Engine, Event, Settings, Stream, Tick};
//!
//! /// What the peer has said, and what it has been told. Yours is a socket that does not wait.
//! struct Memory(VecDeque<u8>, Vec<u8>);
//!
//! impl Read for Memory {
//!     fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
//!         match self.0.read(into)? {
//!             0 => Err(io::ErrorKind::WouldBlock.into()),
//!             len => Ok(len),
//!         }
//!     }
//! }
//!
//! impl Write for Memory {
//!     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
//!         self.1.write(bytes)
//!     }
//!     fn flush(&mut self) -> io::Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! impl Stream for Memory {
//!     fn shut_down(&mut self) -> io::Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! let mut said = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
//!     .to_vec();
//! said.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // Hello, masked
//! let mut engine = Engine::new(Settings::default(), Tick(0));
//! let id = engine.insert(Memory(said.into(), Vec::new()), 0);
//!
//! engine.readable(id.index, false); // what the poller has reported
//! engine.begin_turn(Tick(1)); // and what time it is
//! // An event is lent to the closure; what is to be done about it is done behind that.
//! enum Then { Upgrade(Agreed<'static>), Send, Nothing }
//! let mut answer = Vec::new();
//! while let Some((id, then)) = engine.next_event(|id, _, event| {
//!     answer.clear();
//!     let then = match event {
//!         Event::Request(request) => {
//!             let upgrade = request.upgrade().expect("a good request");
//!             Then::Upgrade(upgrade.encode(&mut answer).extensions())
//!         }
//!         Event::Text(text) => {
//!             answer.extend(text.as_bytes());
//!             Then::Send
//!         }
//!         _ => Then::Nothing,
//!     };
//!     (id, then)
//! }) {
//!     match then {
//!         Then::Upgrade(agreed) => engine.upgrade(id, &answer, &agreed),
//!         Then::Send => engine.send(id, Kind::Text, &answer),
//!         Then::Nothing => {}
//!     }
//! }
//! engine.flush(); // one write for each peer, of all that was queued
//! engine.reap(drop); // of streams that are over: none
//! assert!(engine.stream(id).expect("it is open").1.ends_with(b"\r\n\r\n\x81\x05Hello"));
//! ```
//!
//! An id may be kept for as long as one likes. A call for a connection that has ended meanwhile does nothing, because
//! an owner cannot know yet: [`Event::Closed`] says so in its turn, and [`Engine::is_open`] at any time.
//!
//! Its parts: `stream` (what a connection is), `input` (reading and decoding), `output` (queues and flush), `topic`
//! (fan-out), `deadlines` and `timer_wheel` (what is due when), `interest` (what a poller is to watch), `steps` (how
//! much of a turn each peer may have), `settings` and `counters`, [`memory`] (how much is held, and how it shrinks).

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod counters;
mod deadlines;
mod id;
mod input;
mod interest;
mod ledger;
mod left;
pub mod memory;
mod outbox;
mod output;
mod peer;
mod receive_buffer;
mod settings;
// Public because the server keeps its tables by the same rule, and no part of what others are promised.
#[doc(hidden)]
pub mod slack;
mod spares;
mod steps;
mod stream;
mod time;
// Public for its benchmark alone.
#[doc(hidden)]
pub mod timer_wheel;
mod topic;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use slab::Slab;

use crate::proto::chunked::{ChunkError, Chunks};
use crate::proto::close::NO_CLOSE;
use crate::proto::deflate::{Deflater, Inflater};
use crate::proto::extension::MAX_WINDOW_BITS;
use crate::proto::handshake::{Request, RequestError};
use crate::proto::receiver::Receiver;
use crate::proto::{Agreed, CloseCode};

pub use counters::{Closes, Counters};
pub use deadlines::STALL;
pub use id::{ConnId, TopicId};
pub use interest::{Interest, Poller};
pub use salon_proto as proto;
pub use settings::{DeflateSettings, Settings};
pub use stream::{Got, Stream, Wrote, receive_short, send_short};
pub use time::Tick;

use input::{DRAINED_PER_TURN, Parting};
use interest::Interests;
use ledger::Ledger;
use peer::{Drain, Membership, Memberships, PartialRequest, Peer, Phase, Session};
use receive_buffer::{Behind, ReceiveBuffer};
use spares::Spares;
use steps::{Budget, CLOSES_PER_TURN, FRESH_STEPS, SetAside};
use timer_wheel::TimerWheel;
use topic::{GroupId, Topics};

/// What happened to a connection. There may be more kinds in a later version.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request head is complete. The owner must answer it, or [ask for its body](Engine::receive_body). The answer
    /// may come later than the next event, within [`Settings::head_within`]; what the peer sends behind it is read when
    /// the answer is written.
    Request(&'a Request<'a>),
    /// The bytes are not a request. The owner must answer before the next event, without keeping the connection.
    BadRequest(RequestError),
    /// The body that the owner asked for is complete. The owner must answer as it answers a request.
    Body {
        /// The owner's note about the request.
        note: u32,
        /// The body.
        bytes: &'a [u8],
    },
    /// The body in chunks that the owner asked for cannot be taken. The owner must answer before the next event,
    /// without keeping the connection.
    BadBody {
        /// The owner's note about the request.
        note: u32,
        /// Why.
        error: ChunkError,
    },
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, which has been answered, or a pong.
    Control,
    /// The stream has taken everything that was queued when the owner last called [`Engine::tell_when_drained`].
    Drained,
    /// An upgraded connection has ended: reported once, and no event or output of it follows.
    Closed,
}

/// A member that took a topic's messages more slowly than they came, and is a member no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftBehind {
    /// Which one.
    pub id: ConnId,
    /// The topic that it has left.
    pub topic: TopicId,
    /// The number of the last publication that was queued for it.
    pub heard: u64,
}

/// A connection whose socket is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// Which one.
    pub id: ConnId,
    /// Bytes that wait for it here; the bytes in the kernel are not known.
    pub bytes: usize,
    /// What of them is counted against [`Settings::outbox_bytes`]: all but the longest frame, if it is a long one.
    pub counted: usize,
    /// How long it has taken nothing.
    pub since: Duration,
    /// Whether the connection is ending: then it is the rest of a frame or of an answer, and has a deadline alone.
    pub ends: bool,
}

/// A limit by which the engine ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// More waited for it than [`Settings::outbox_bytes`].
    OutboxBytes,
    /// It took nothing, or next to nothing, for too long.
    BlockedTime,
    /// Much was held for it when memory was short.
    Memory,
    /// It did not answer a ping in time.
    NoPong,
    /// It brought no request in time.
    NoRequest,
}

/// What there is to say of a connection when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The limit by which it was ended, if it was one of the engine's.
    pub cut: Option<Cut>,
    /// Bytes read from its stream.
    pub bytes_in: u64,
    /// Bytes written to it.
    pub bytes_out: u64,
}

/// All connections of one loop.
///
/// Invariants: a slot is freed only in [`Engine::reap`]; every function that queues a byte lists the peer or topic as
/// dirty; membership is in both directions or in neither.
#[derive(Debug)]
pub struct Engine<S> {
    settings: Settings,
    now: Tick,
    /// When the turn before this one was.
    previous: Tick,
    /// Peers that were asked in this turn.
    asked: Vec<u32>,
    peers: Slab<Peer<S>>,
    generation: u32,
    receive: ReceiveBuffer,
    /// The peer whose bytes lie in `receive`, and what follows them in its stream.
    reading: Option<(u32, Behind)>,
    /// Peers to read in this turn, and those that are due in the next.
    ready: VecDeque<u32>,
    ready_next: VecDeque<u32>,
    /// Peers that have more to read than a share of a turn; they are served behind the others, see [`steps`].
    backlog: VecDeque<u32>,
    budget: Budget,
    /// Bytes that were read from some of them and are not parsed yet.
    set_aside: SetAside,
    /// The answers to Close that wait behind others, by peer. They lie beside the peers, so that those are small.
    partings: HashMap<u32, Parting>,
    /// Connections whose end is to be reported, with their tags and the codes they were closed with.
    closed: VecDeque<(ConnId, u8, u16)>,
    /// How many of them may still be reported in this turn.
    closes_left: usize,
    /// The connection whose end was reported last, and its code.
    last_closed: Option<(ConnId, u16)>,
    /// When what is queued now was caused.
    cause: Tick,
    /// Deliveries that were handed on, and when the first of them was caused.
    served: Vec<(u64, Tick)>,
    /// Connections that have taken everything queued, and how many of them may still be reported in this turn.
    drained: VecDeque<ConnId>,
    drained_left: usize,
    wheel: TimerWheel,
    fired: Vec<u32>,
    /// Whether the process was stopped before this turn, and when that was noted last: nobody is late for what may
    /// come [`STALL`] later.
    stood_still: bool,
    stalled: Option<Tick>,
    topics: Topics,
    /// Topics whose last member has left. They end after the flush.
    left_topics: Vec<GroupId>,
    dirty_topics: Vec<GroupId>,
    /// The log of one of them has grown [full](topic::FULL_LOG).
    any_full: bool,
    /// Members that have left since the owner last asked.
    left_behind: Vec<LeftBehind>,
    /// Whether members that fall behind leave: in a flush that the owner has asked for, and not amid its other calls.
    leaving: bool,
    dirty_peers: Vec<u32>,
    gone: Vec<u32>,
    spares: Spares,
    /// Bytes of `Peer::pending` of direct messages in this turn, as they were queued.
    queued: usize,
    /// Bytes in the logs of topics, at least.
    logged: usize,
    /// Counts what outboxes hold.
    ledger: Ledger,
    /// Sums of other memory, see [`memory`].
    receiving: usize,
    /// The part of each slot in that sum. It lies beside the peers, so that those are small.
    noted: Vec<u32>,
    topic_bytes: usize,
    membership_bytes: usize,
    /// Where [`Engine::cut_largest`] and [`Engine::shrink`] go on.
    look_next: usize,
    shrink_next: usize,
    /// What a peer is sent whose request is not finished in time.
    late_answer: Vec<u8>,
    /// One for all connections: the state of each is in its `Connection`.
    inflater: Inflater,
    deflater: Option<Deflater>,
    interests: Interests,
    counters: Counters,
}

impl<S: Stream> Engine<S> {
    /// An engine without connections, at `now`.
    pub fn new(settings: Settings, now: Tick) -> Self {
        Self {
            counters: Counters { closes: Closes::new(settings.counted_codes), ..Counters::default() },
            deflater: settings.deflate.as_ref().map(|deflate| Deflater::new(deflate.level)),
            late_answer: Vec::new(),
            inflater: Inflater::new(),
            receive: ReceiveBuffer::new(settings.receive_buffer, settings.room_behind_a_read()),
            settings,
            now,
            previous: now,
            asked: Vec::new(),
            peers: Slab::new(),
            generation: 0,
            reading: None,
            ready: VecDeque::new(),
            ready_next: VecDeque::new(),
            backlog: VecDeque::new(),
            budget: Budget::default(),
            set_aside: SetAside::default(),
            partings: HashMap::new(),
            closes_left: CLOSES_PER_TURN,
            closed: VecDeque::new(),
            drained: VecDeque::new(),
            drained_left: DRAINED_PER_TURN,
            last_closed: None,
            cause: now,
            served: Vec::with_capacity(output::MAX_SERVED),
            wheel: TimerWheel::new(now),
            fired: Vec::new(),
            stood_still: false,
            stalled: None,
            topics: Topics::default(),
            left_topics: Vec::new(),
            dirty_topics: Vec::new(),
            any_full: false,
            left_behind: Vec::new(),
            leaving: false,
            dirty_peers: Vec::new(),
            gone: Vec::new(),
            spares: Spares::default(),
            queued: 0,
            logged: 0,
            ledger: Ledger::default(),
            receiving: 0,
            noted: Vec::new(),
            topic_bytes: 0,
            membership_bytes: 0,
            look_next: 0,
            shrink_next: 0,
            interests: Interests::default(),
        }
    }

    /// Takes in a connection that will send a request head. `tag` comes back with each of its events: what the owner
    /// knows it by, such as which listener it came from.
    pub fn insert(&mut self, stream: S, tag: u8) -> ConnId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.peers.insert(Peer {
            stream,
            generation,
            tag,
            phase: Phase::Head,
            session: Session::None,
            readable: false,
            read_to_end: false,
            ended: false,
            dirty: false,
            paused: false,
            mid_message: false,
            pinged: false,
            drain: Drain::Unasked,
            cut: None,
            window_bits: 0,
            connection: Receiver::server(self.settings.limits),
            partial: None,
            last_received: self.now,
            since: self.now,
            scheduled: Tick(u64::MAX),
            pending: None,
            outbox: None,
            bytes_in: 0,
            bytes_out: 0,
            memberships: Memberships::NONE,
        }) as u32;
        if self.noted.len() <= index as usize {
            self.noted.resize(index as usize + 1, 0);
        }
        self.counters.accepted += 1;
        self.schedule(index);
        self.begin_watch(index);
        ConnId { index, generation }
    }

    /// The poller says that there may be something to read; `to_end`, that the peer has ended its stream, or that the
    /// stream has failed. A poller that does not report that passes `false`, and streams must do without (see
    /// [`Stream::receive`]).
    pub fn readable(&mut self, index: u32, to_end: bool) {
        let Some(peer) = self.peers.get_mut(index as usize) else { return };
        peer.read_to_end |= to_end;
        self.note_report(index);
        let peer = &mut self.peers[index as usize];
        // Bytes in the receive buffer are parsed before the stream is read again.
        if let Some((reading, behind)) = &mut self.reading
            && *reading == index
        {
            *behind = behind.or_more();
            return;
        }
        // A peer with bytes that are not parsed yet is in the backlog, or will be when it has taken its answers.
        if self.set_aside.may_have_more(index) || std::mem::replace(&mut peer.readable, true) {
            return;
        }
        match self.budget.is_costly(index) || peer.stream.receive_steps() > FRESH_STEPS as usize {
            true => self.backlog.push_back(index),
            false => self.ready_next.push_back(index),
        }
    }

    /// The poller says that there may be room to write.
    pub fn writable(&mut self, index: u32) {
        if !self.peers.contains(index as usize) {
            return;
        }
        self.note_report(index);
        let peer = &mut self.peers[index as usize];
        if let Some(outbox) = &mut peer.outbox {
            outbox.writable = true;
            self.mark_dirty(index);
        } else if peer.phase != Phase::Gone {
            // What the stream itself has not written yet.
            match peer.stream.flush() {
                Ok(()) if peer.phase != Phase::ShutDown || !peer.ended => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => self.abort_peer(index),
            }
        }
    }

    /// The connection's stream, to be looked at.
    pub fn stream(&self, id: ConnId) -> Option<&S> {
        self.find(id).map(|index| &self.peers[index as usize].stream)
    }

    /// The connection's stream.
    pub fn stream_mut(&mut self, id: ConnId) -> Option<&mut S> {
        self.find(id).map(|index| &mut self.peers[index as usize].stream)
    }

    /// The connection whose [`Event::Closed`] was reported last, its stream, and the status code it was closed with;
    /// until its slot is reaped.
    pub fn last_closed(&self) -> Option<(ConnId, &S, u16)> {
        let (id, code) = self.last_closed?;
        let peer = self.peers.get(id.index as usize).filter(|peer| peer.generation == id.generation)?;
        Some((id, &peer.stream, code))
    }

    /// What there is to say of a connection so far, or of one that has ended until its slot is reaped.
    pub fn end_of(&self, id: ConnId) -> Option<End> {
        let peer = self.peers.get(id.index as usize).filter(|peer| peer.generation == id.generation)?;
        Some(peer.end())
    }

    /// Answers a request with `response`, which completes the opening handshake. From now on frames are decoded, by
    /// what `agreed` says, which encoding that response has returned. [`Settings::deflate`] must allow it.
    pub fn upgrade(&mut self, id: ConnId, response: &[u8], agreed: &Agreed<'_>) {
        let deflate = agreed.deflate();
        debug_assert!(deflate.is_none() || self.deflater.is_some(), "what is not allowed is not agreed to");
        let Some(index) = self.find(id) else { return };
        let peer = &mut self.peers[index as usize];
        if peer.phase != Phase::Answering {
            return;
        }
        if let Some(deflate) = deflate {
            peer.connection = Receiver::server(self.settings.limits).with_deflate(deflate);
            peer.window_bits = deflate.server_window_bits();
        }
        peer.phase = Phase::Open;
        peer.session = Session::Open;
        peer.since = self.now;
        peer.last_received = self.now;
        self.counters.upgraded += 1;
        self.append_response(index, response);
        self.schedule(index);
        if self.peers[index as usize].ended {
            self.ended(index);
        }
    }

    /// Asks for the body of a request instead of answering it: `len` bytes, which are kept until they are complete, and
    /// then reported as [`Event::Body`] with the `note`. `interim` is a response to be sent before (100 Continue), or
    /// nothing.
    ///
    /// The owner must bound `len`; nothing is allocated for bytes that have not come.
    pub fn receive_body(&mut self, id: ConnId, len: u32, note: u32, interim: &[u8]) {
        debug_assert!(len > 0, "what has no body can be answered");
        self.begin_body(id, PartialRequest { body_len: len, note, ..PartialRequest::default() }, interim);
    }

    /// The same for a body that comes [in chunks](crate::proto::chunked), and has `max` bytes at most. If it is longer,
    /// or is none, that is reported as [`Event::BadBody`].
    pub fn receive_chunked_body(&mut self, id: ConnId, max: u32, note: u32, interim: &[u8]) {
        let chunks = Some(Chunks::default());
        self.begin_body(id, PartialRequest { body_len: max, note, chunks, ..PartialRequest::default() }, interim);
    }

    fn begin_body(&mut self, id: ConnId, partial: PartialRequest, interim: &[u8]) {
        let Some(index) = self.find(id) else { return };
        let peer = &mut self.peers[index as usize];
        if peer.phase != Phase::Answering {
            return;
        }
        if peer.ended {
            // It will never come.
            return self.end(index);
        }
        peer.partial = Some(Box::new(partial));
        self.note_held(index);
        if !interim.is_empty() {
            self.append_response(index, interim);
        }
        self.enter(index, Phase::Body);
    }

    /// Answers a request with `response`; `keep`: another request may follow, otherwise the connection ends.
    pub fn respond(&mut self, id: ConnId, response: &[u8], keep: bool) {
        let Some(index) = self.find(id) else { return };
        if self.peers[index as usize].phase != Phase::Answering {
            return;
        }
        self.budget.spend(steps::of_bytes(response.len()));
        self.append_response(index, response);
        match keep && !self.peers[index as usize].ended {
            true => {
                self.enter(index, Phase::Kept);
            }
            false => self.end(index),
        }
    }

    /// Asks for one [`Event::Drained`] when the stream has taken everything that is queued for the connection: at the
    /// next flush, or later if its socket is full. An owner that asks again before the event gets one event, for the
    /// later call. There is no event for a connection that is not upgraded, or closes meanwhile.
    pub fn tell_when_drained(&mut self, id: ConnId) {
        let Some(index) = self.find(id) else { return };
        if self.peers[index as usize].is_opened() {
            self.peers[index as usize].drain.ask();
            self.mark_dirty(index);
        }
    }

    /// Starts the closing handshake, behind the queued output.
    pub fn close(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        let Some(index) = self.find(id) else { return };
        let peer = &self.peers[index as usize];
        match peer.phase {
            Phase::Open if peer.connection.is_open() => {
                self.settle(index);
                let mut close = Vec::new();
                self.peers[index as usize].connection.close(code, reason, &mut close);
                self.append(index, |out| out.extend_from_slice(&close));
                self.closed_with(index, code.get());
                self.peers[index as usize].since = self.now;
                self.schedule(index);
            }
            Phase::Head | Phase::Kept | Phase::Body | Phase::Answering => self.end(index),
            Phase::Parting => self.part(index),
            _ => {}
        }
    }

    /// Says how many bytes the answers may have that the owner has for an upgraded connection and that come later: all
    /// of them, at most; 0: there are none.
    ///
    /// While that is more than 96 KiB, or an eighth of [`Settings::outbox_bytes`] if that is less, the peer is not
    /// read, and no deadline counts that stands for its silence: so many requests in one breath do not cost it the
    /// connection. Nor is it read while as much waits for it and any answer is to come.
    ///
    /// A peer that sends Close or ends its stream meanwhile gets them first: its Close is answered (RFC 6455 section
    /// 5.5.1 allows to wait) when the owner owes nothing more, or after [`Settings::close_within`]. Until then it is
    /// sent what is sent to others; [`Event::Closed`] follows.
    pub fn owe(&mut self, id: ConnId, bytes: usize) {
        let Some(index) = self.find(id) else { return };
        let peer = &mut self.peers[index as usize];
        if !peer.is_opened() {
            return;
        }
        let owed_above = self.settings.owed_above();
        let was_owed_much = peer.is_owed_much(owed_above);
        peer.session = match bytes {
            0 => Session::Open,
            _ if bytes > owed_above => Session::OwedMuch,
            _ => Session::Owed,
        };
        if bytes == 0 {
            self.part(index);
        }
        self.read_on(index, was_owed_much);
    }

    /// Ends a connection at once: nothing more is sent.
    pub fn abort(&mut self, id: ConnId) {
        if let Some(index) = self.find(id) {
            self.abort_peer(index);
        }
    }

    /// Makes an upgraded connection a member of a topic, if it is none yet.
    pub fn subscribe(&mut self, id: ConnId, topic: TopicId) {
        let Some(index) = self.find(id) else { return };
        let peer = &self.peers[index as usize];
        let group = self.group_of(topic, peer.window_bits);
        if !peer.is_opened() || peer.memberships.iter().any(|membership| membership.group == group) {
            return;
        }
        self.budget.spend(steps::MEMBERSHIP);
        let memberships = &mut self.peers[index as usize].memberships;
        let member = self.topics.find_or_begin(group.place()).add(index, memberships.len() as u32);
        self.membership_bytes -= memberships.held_bytes();
        memberships.push(Membership { group, member });
        self.membership_bytes += memberships.held_bytes();
        self.note_topic(group.place());
    }

    /// Ends a membership. Messages that were published before are still sent.
    pub fn unsubscribe(&mut self, id: ConnId, topic: TopicId) {
        let Some(index) = self.find(id) else { return };
        let peer = &self.peers[index as usize];
        let group = self.group_of(topic, peer.window_bits);
        if let Some(place) = peer.memberships.iter().position(|membership| membership.group == group) {
            self.budget.spend(steps::MEMBERSHIP);
            self.settle(index);
            self.leave(index, place);
        }
    }

    /// A member that has fallen behind: in the last [`flush`](Self::flush) or [`flush_full`](Self::flush_full), and in
    /// no other call. Ask after each, until there is none, if anything is published with numbers.
    ///
    /// More than [`Settings::behind_bytes`] wait for it, so it is sent nothing more of the topic, numbered or not: the
    /// owner has to send it what follows `heard` when [it has taken](Self::tell_when_drained) what waits.
    pub fn left_behind(&mut self) -> Option<LeftBehind> {
        let left = self.left_behind.pop();
        crate::slack::shrink(&mut self.left_behind);
        left
    }

    /// Charges the peer that is being read for work that the owner does for it outside of the engine: so many steps,
    /// each of some hundred nanoseconds.
    pub fn spend(&mut self, steps: usize) {
        self.budget.spend(steps);
    }

    /// Frees the slots of all connections that are over, and gives their streams back.
    pub fn reap(&mut self, mut take_back: impl FnMut(S)) {
        self.reap_told(|stream, _| take_back(stream));
    }

    /// The same, with what there is to say of each connection.
    pub fn reap_told(&mut self, mut take_back: impl FnMut(S, End)) {
        let mut untold = 0;
        while let Some(&index) = self.gone.get(untold) {
            if self.peers[index as usize].session == Session::OverUntold {
                untold += 1;
                continue;
            }
            self.gone.swap_remove(untold);
            let peer = self.peers.remove(index as usize);
            self.receiving -= std::mem::take(&mut self.noted[index as usize]) as usize;
            debug_assert!(!peer.is_opened() && peer.memberships.is_empty() && peer.phase == Phase::Gone);
            self.wheel.cancel(index);
            self.budget.forget(index);
            let end = peer.end();
            take_back(peer.stream, end);
        }
        if self.peers.len() < self.peers.capacity() / 4 {
            self.peers.shrink_to_fit();
        }
    }

    /// All connections, upgraded or not, in no order.
    pub fn ids(&self) -> Vec<ConnId> {
        self.peers.iter().map(|(index, peer)| ConnId { index: index as u32, generation: peer.generation }).collect()
    }

    /// All connections for which something waits because their sockets are full, in no order. Looks at every
    /// connection.
    pub fn blocked(&self) -> impl Iterator<Item = Blocked> + '_ {
        self.peers.iter().filter_map(|(index, peer)| {
            let outbox = peer.outbox.as_ref()?;
            let id = ConnId { index: index as u32, generation: peer.generation };
            let ends = peer.is_ending();
            Some(outbox.blocked(id, self.now, ends))
        })
    }

    /// The same of one connection.
    pub fn blocked_of(&self, id: ConnId) -> Option<Blocked> {
        let peer = &self.peers[self.find(id)? as usize];
        let (outbox, ends) = (peer.outbox.as_ref()?, peer.is_ending());
        Some(outbox.blocked(id, self.now, ends))
    }

    /// Whether the peer in that slot is not read now because of the answers that it is [owed](Self::owe).
    pub fn is_owed_much(&self, index: u32) -> bool {
        self.peers.get(index as usize).is_some_and(|peer| peer.is_owed_much(self.settings.owed_above()))
    }

    /// Whether the connection is upgraded, and has not ended: it is sent messages, and [`Event::Closed`] will come.
    pub fn is_open(&self, id: ConnId) -> bool {
        self.find(id).is_some_and(|index| self.peers[index as usize].is_opened())
    }

    /// How many connections there are, upgraded or not.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Whether something is left to do at once: a loop must not sleep then.
    pub fn has_work(&self) -> bool {
        !(self.reading.is_none()
            && self.ready.is_empty()
            && self.ready_next.is_empty()
            && self.backlog.is_empty()
            && self.closed.is_empty()
            && self.drained.is_empty()
            && self.gone.is_empty()
            && self.dirty_peers.is_empty()
            && self.dirty_topics.iter().all(|topic| self.held_back(*topic).is_some()))
    }

    /// The latest time for the next [`Engine::begin_turn`], if nothing happens before.
    pub fn next_deadline(&self) -> Option<Tick> {
        let held_back = self.dirty_topics.iter().filter_map(|topic| self.held_back(*topic));
        self.wheel.next_due().into_iter().chain(held_back).min()
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn find(&self, id: ConnId) -> Option<u32> {
        let peer = self.peers.get(id.index as usize)?;
        (peer.generation == id.generation && peer.phase != Phase::Gone).then_some(id.index)
    }

    /// Where a topic keeps the members with this window (see [`Peer::window_bits`]).
    ///
    /// Members that asked for a small window are sent room messages uncompressed: each size of window would need a
    /// compression of its own.
    fn group_of(&self, topic: TopicId, window_bits: u8) -> GroupId {
        match self.deflater {
            None => GroupId(topic.number()),
            Some(_) => GroupId(2 * topic.number() + u32::from(window_bits == MAX_WINDOW_BITS)),
        }
    }

    fn topic_of(&self, group: GroupId) -> TopicId {
        let number = if self.deflater.is_some() { group.0 / 2 } else { group.0 };
        TopicId::new(number).expect("a group is made of a topic's number")
    }

    fn id_of(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.peers[index as usize].generation }
    }

    fn enter(&mut self, index: u32, phase: Phase) {
        let peer = &mut self.peers[index as usize];
        peer.phase = phase;
        peer.since = self.now;
        self.schedule(index);
    }

    /// Sends what is queued, then shuts our side down and waits for the peer to end its own.
    fn end(&mut self, index: u32) {
        if matches!(self.peers[index as usize].phase, Phase::Ending | Phase::ShutDown | Phase::Gone) {
            return;
        }
        self.enter(index, Phase::Ending);
        self.release(index);
        self.mark_dirty(index);
    }

    /// Counts a limit by which a connection is to be ended, and keeps it with the connection: the first of several.
    fn note_cut(&mut self, index: u32, cut: Cut) {
        let counters = &mut self.counters;
        *match cut {
            Cut::OutboxBytes => &mut counters.cut_bytes,
            Cut::BlockedTime => &mut counters.cut_time,
            Cut::Memory => &mut counters.cut_memory,
            Cut::NoPong => &mut counters.no_pong,
            Cut::NoRequest => &mut counters.no_request,
        } += 1;
        self.peers[index as usize].cut.get_or_insert(cut);
    }

    /// Ends the connection at once: its slot will be reaped.
    fn abort_peer(&mut self, index: u32) {
        if self.peers[index as usize].phase == Phase::Gone {
            return;
        }
        self.closed_with(index, NO_CLOSE);
        let peer = &mut self.peers[index as usize];
        peer.phase = Phase::Gone;
        peer.outbox = None;
        peer.pending = None;
        peer.partial = None;
        self.take_parting(index);
        self.release(index);
        self.note_held(index);
        self.gone.push(index);
        if self.reading.is_some_and(|(reading, _)| reading == index) {
            self.reading = None;
            self.receive.discard();
        }
    }

    /// An upgraded connection ends for the floors above: it leaves its topics, and `Closed` is reported once.
    ///
    /// The code is that of RFC 6455 section 7.1.5: [`NO_CODE`](crate::proto::close::NO_CODE) or [`NO_CLOSE`] if there
    /// was none.
    fn closed_with(&mut self, index: u32, code: u16) {
        if !self.peers[index as usize].is_opened() {
            return;
        }
        self.peers[index as usize].session = Session::OverUntold;
        while let Some(last) = self.peers[index as usize].memberships.len().checked_sub(1) {
            self.leave(index, last);
        }
        self.counters.closes.add(code);
        self.closed.push_back((self.id_of(index), self.peers[index as usize].tag, code));
    }

    fn leave(&mut self, index: u32, place: usize) {
        let memberships = &mut self.peers[index as usize].memberships;
        self.membership_bytes -= memberships.held_bytes();
        let membership = memberships.swap_remove(place);
        self.membership_bytes += memberships.held_bytes();
        if let Some(moved) = memberships.get(place).copied() {
            self.topics[moved.group.place()].members[moved.member as usize].place = place as u32;
        }
        for (peer, place, member) in
            self.topics[membership.group.place()].remove(membership.member).into_iter().flatten()
        {
            self.peers[peer as usize].memberships[place as usize].member = member;
        }
        self.note_topic(membership.group.place());
        if self.topics[membership.group.place()].members.is_empty() {
            self.left_topics.push(membership.group);
        }
    }
}

#[cfg(test)]
mod tests;
