//! The event loop, sockets, the clock and signals: the only floor that knows mio.
//!
//! [`reactor`] turns the loop for any [`system`], of which [`kernel`] is the real one: mio, signals, the clock, sockets
//! that listen. [`listener`] accepts; [`tls`] encrypts; [`admission`] counts by address, which behind a proxy
//! [`proxy_protocol`] or [`forwarded`] reads, and `spoken_for` believes or not; `strangers` of the admin port make room
//! for each other. [`latency`] counts how long deliveries take. [`serve`] starts the server by its
//! [`settings`]. `chat_service` drives the chat and [`echo`] the echo server, both a [`Service`] on the same loop.
//!
//! Of a request, [`doors`] decides what it is let in to, [`api`] whether it is a call, [`operators`] whose
//! [`admin_key`] it shows and what they may do, and [`jwt`] whether a token holds. `responder` says what it is answered
//! with: a file of the [`site`], [another URL](redirect), one of the [`reports`] ([`metrics`] and [`top`] among them,
//! made from [`sources`]), or by `refusing` with the words of an [`entry_error`]; [`http`] writes responses. [`calls`]
//! knows which answers are owed, `batch` has several calls of one request, `trail` tells what operators did,
//! `delivering` hands on what the chat wants done. [`access`] counts who was turned away by a reason of [`refusals`],
//! and logs requests and sessions, `addresses` knows what can be sent to others, [`memory`] keeps to a budget,
//! [`logging`] writes the log. Nothing here frames, and nothing remembers a room: that is for the floors below.

pub mod access;
pub mod acme;
mod addresses;
pub mod admin_key;
pub mod admission;
mod answering;
pub mod api;
mod asked;
mod batch;
pub mod calls;
pub(crate) mod chat_service;
mod delivering;
pub mod doors;
pub mod echo;
pub mod entry_error;
pub mod forwarded;
pub mod http;
pub mod jwt;
pub mod kernel;
pub mod latency;
pub mod listener;
mod lobby;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod operators;
pub mod origin;
pub mod pages;
mod patience;
pub mod proxy_protocol;
mod query;
pub mod reactor;
pub mod redirect;
pub mod refusals;
mod refusing;
pub mod reports;
mod responder;
pub mod serve;
pub mod settings;
pub mod site;
pub mod socket;
pub mod sources;
mod spoken_for;
mod standstill;
mod strangers;
pub mod system;
pub mod tls;
pub mod top;
mod trail;

use std::fmt;
use std::io;
use std::time::Duration;

use crate::chat;
use crate::engine::{Engine, Event};
use crate::id::ConnId;
use crate::time::{Moment, Tick};

use admission::Admission;
use listener::Address;
use reactor::{Bounds, Lost, Turns};
use socket::Socket;
use system::{Process, System};

/// Which of the listeners a connection came in by: the engine's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Port {
    /// For everybody.
    Public = 0,
    /// For the operator.
    Admin = 1,
    /// For everybody, but over the connection limit: answered 503 and closed.
    Refused = 2,
    /// For everybody, but over what its address may have: to be let in to hear that, and sent away.
    Crowded = 3,
    /// For everybody, but its address opens connections too fast: answered 429 and closed.
    TooFast = 4,
    /// For everybody, to be sent to the port with TLS.
    Redirect = 5,
    /// For everybody, with TLS.
    Secure = 6,
}

impl Port {
    /// Whether it is for everybody, and limits by address hold there.
    fn is_public(self) -> bool {
        self != Self::Admin
    }

    fn of_tag(tag: u8) -> Self {
        match tag {
            0 => Self::Public,
            1 => Self::Admin,
            3 => Self::Crowded,
            4 => Self::TooFast,
            5 => Self::Redirect,
            6 => Self::Secure,
            _ => Self::Refused,
        }
    }
}

/// The owner of the loop: an application on it.
///
/// `handle` is lent an event and returns what to do about it; `carry_out` then does that to the engine. The two are
/// apart because the event borrows the engine's receive buffer. Nothing else passes between them.
pub trait Service<S: System> {
    /// What to do about an event.
    type Then;

    /// Takes an event on a connection of `port`, and returns what to do about it.
    fn handle(&mut self, id: ConnId, port: Port, event: Event<'_>, seen: &Seen<'_>) -> Self::Then;

    /// Does it, and carries out what else the event has caused.
    fn carry_out(&mut self, id: ConnId, then: Self::Then, turn: &mut Turn<'_, S>);

    /// Does to the engine what `handle_timeout`, `handle_wake` and `drop_oldest` have caused, and learns who has been
    /// [left behind](Engine::left_behind); called behind each flush, too.
    fn deliver(&mut self, turn: &mut Turn<'_, S>);

    /// The turn is over, and nothing more will happen before the loop waits.
    fn end_turn(&mut self) {}

    /// The turn that began at `began`, and has [ended](Self::end_turn), took so long. Nothing happens before the next.
    fn turn_took(&mut self, _began: Tick, _took: Duration) {}

    /// A deadline of the service is due.
    fn handle_timeout(&mut self, now: Moment);

    /// When `handle_timeout` is due.
    fn next_deadline(&self) -> Option<Tick>;

    /// No client is late before then, because the process stood still; `None`: as always. Called in each turn.
    fn be_patient(&mut self, _until: Option<Tick>) {}

    /// The [waker](kernel::Kernel::waker) was called, or there was [more](Self::has_more_to_hear) to hear: takes note
    /// of it.
    fn handle_wake(&mut self, _now: Moment) {}

    /// Whether more waits to be heard than one turn hears: then the loop does not sleep.
    fn has_more_to_hear(&self) -> bool {
        false
    }

    /// Somebody has asked, by other means than SIGHUP, for the settings to be read again.
    fn wants_reload(&self) -> bool {
        false
    }

    /// SIGHUP, or it [wants](Self::wants_reload) it: reads its settings again; returns those of the loop, if they can
    /// be read. It is [told to deliver](Self::deliver) what came of it.
    fn reload(&mut self, _now: Moment) -> Option<Reloaded> {
        None
    }

    /// The server will stop, and all of that takes so long at most; until then it serves as before, but tells balancers
    /// to send no more clients.
    fn leave(&mut self, _within: Duration) {}

    /// The memory that it holds, and the part of it that waits to be carried out.
    fn held(&self) -> (chat::Held, usize) {
        Default::default()
    }

    /// Memory is short: drops about so many bytes of history, a bounded piece of work at a time. Returns whether any.
    fn drop_oldest(&mut self, _bytes: usize, _now: Moment) -> bool {
        false
    }

    /// So many bytes may new things take until the next call; `None`: no limit.
    fn set_memory_left(&mut self, _bytes: Option<usize>) {}

    /// The server stops, within so long: takes on nothing new, and says so.
    fn shut_down(&mut self, turn: &mut Turn<'_, S>, within: Duration);

    /// Whether nothing waits any more for an answer from elsewhere. A stop waits for that before it closes the
    /// connections.
    fn is_idle(&self) -> bool {
        true
    }

    /// The server stops, and all who wait for an answer have it: asks every connection to close.
    fn close_all(&mut self, _engine: &mut Engine<Socket<S>>) {}

    /// Another process waits for the store, and all connections have been asked to close: lets go of it.
    fn let_go(&mut self) {}
}

/// Settings of the loop that were read again.
#[derive(Debug)]
pub struct Reloaded {
    /// The bounds of the loop.
    pub bounds: Bounds,
    /// What is shown where TLS is spoken.
    pub certificates: tls::Certificates,
}

/// The parts of the loop that a service may change, between events.
#[derive(Debug)]
pub struct Turn<'a, S: System> {
    /// The connections.
    pub engine: &'a mut Engine<Socket<S>>,
    /// The admission of addresses, for clients that only a request names.
    pub admission: &'a mut Admission,
    /// When.
    pub now: Moment,
}

/// The parts of the loop that a service may see while it handles an event.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When.
    pub now: Moment,
    /// The counts of turns of the loop.
    pub turns: &'a Turns,
    /// How long deliveries took.
    pub latency: &'a latency::Latency,
    /// The counters of the engine when the turn began.
    pub counters: &'a crate::engine::Counters,
    /// Connections of the public port when the turn began, upgraded or not.
    pub connections: usize,
    /// Those of the admin port.
    pub admin_connections: usize,
    /// The most connections on the public port.
    pub max_connections: usize,
    /// How often a connection could not begin, because the system refused something.
    pub lost: Lost,
    /// The trusted proxies, and the counts of refusals.
    pub admission: &'a Admission,
    /// The counts of TLS handshakes, and the certificates.
    pub tls: &'a tls::Acceptors,
    /// The memory that was held when the last turn ended, and its budget.
    pub memory: &'a memory::Budget,
    /// What the system says of the process.
    pub process: fn() -> Process,
}

impl Seen<'_> {
    /// The time since the start.
    pub fn uptime(&self) -> Duration {
        Duration::from_millis(self.now.tick.0)
    }
}

/// Why the server could not start or go on.
#[derive(Debug)]
pub enum Error {
    /// An address cannot be listened on.
    Listen {
        /// The option that named it.
        option: &'static str,
        /// The address.
        address: Address,
        /// The error of the system.
        error: io::Error,
    },
    /// The sockets of the Salon that runs cannot be taken over: why, and what to do about it, in one sentence.
    TakeOver(String),
    /// Messages cannot be kept as asked: why, and what to do about it, in one sentence.
    Store(String),
    /// The loop itself failed.
    Loop(io::Error),
    /// A turn of it panicked; its state cannot be trusted.
    Panicked,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { option, address, error } => {
                let unix = matches!(address, Address::Unix { .. });
                let advice = match error.kind() {
                    io::ErrorKind::AlreadyExists => {
                        "a file lies there that is no socket; remove it or choose another path"
                    }
                    io::ErrorKind::NotFound => "the folder of that path does not exist",
                    io::ErrorKind::AddrInUse if unix => "another program listens there; stop it or choose another path",
                    io::ErrorKind::PermissionDenied if unix => "this user may not make or replace that file",
                    io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another port",
                    io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one",
                    io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
                    _ => return write!(f, "cannot listen on {address} ({option}): {error}"),
                };
                write!(f, "cannot listen on {address} ({option}): {advice}")
            }
            Self::TakeOver(sentence) | Self::Store(sentence) => f.write_str(sentence),
            Self::Loop(error) => write!(f, "the event loop failed: {error}"),
            Self::Panicked => {
                f.write_str("a turn of the loop panicked; this is a mistake in Salon, and the log says where")
            }
        }
    }
}

impl std::error::Error for Error {}
