//! `salon echo`: every message comes back, on any path.
//!
//! It is for outside conformance suites and load tools that test the engine: large messages, every offer of
//! permessage-deflate that zlib can keep, no greeting, no idle pings, no chat.

use std::net::SocketAddr;
use std::time::Duration;

use log::Level;

use crate::engine::{self, DeflateSettings, Engine, Event};
use crate::id::ConnId;
use crate::proto::{Agreed, ClientContext, CloseCode, Kind, Limits};
use crate::random::Random;
use crate::time::{Moment, Tick};

use super::forwarded::Proxies;
use super::kernel::{Bound, Kernel};
use super::listener::{Address, Listener};
use super::reactor::{Bounds, Reactor};
use super::socket::Socket;
use super::system::System;
use super::tls::Certificates;
use super::{Error, Port, Seen, Service, Turn, http, logging};

/// Sends each message back.
#[derive(Debug, Default)]
pub struct Echo {
    /// The message to send back, or the response to a request.
    reply: Vec<u8>,
}

/// What to do to a connection after an event.
#[derive(Debug)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// It is sent the reply.
    Send(Kind),
    /// It is let in with the reply.
    Upgrade(Agreed<'static>),
    /// It is refused with the reply.
    Respond,
}

impl<S: System> Service<S> for Echo {
    type Then = Then;

    fn handle(&mut self, _: ConnId, port: Port, event: Event<'_>, seen: &Seen<'_>) -> Then {
        self.reply.clear();
        let mut copy = |payload: &[u8], kind| {
            self.reply.extend_from_slice(payload);
            Then::Send(kind)
        };
        match event {
            Event::Text(text) => copy(text.as_bytes(), Kind::Text),
            Event::Binary(data) => copy(data, Kind::Binary),
            Event::Request(request) if port == Port::Refused => {
                http::encode_full(request.method() == "HEAD", seen.now, &mut self.reply);
                Then::Respond
            }
            Event::Request(request) => match request.upgrade() {
                Ok(upgrade) => {
                    let agreed = upgrade.deflate(ClientContext::Kept).encode(&mut self.reply);
                    Then::Upgrade(agreed.extensions())
                }
                Err(error) => {
                    http::encode_request_error(error, seen.now, &mut self.reply);
                    Then::Respond
                }
            },
            Event::BadRequest(error) => {
                http::encode_request_error(error, seen.now, &mut self.reply);
                Then::Respond
            }
            // A body and the drained are told to those who ask for them.
            _ => Then::Nothing,
        }
    }

    fn carry_out(&mut self, id: ConnId, then: Then, turn: &mut Turn<'_, S>) {
        match then {
            Then::Send(kind) => turn.engine.send(id, kind, &self.reply),
            Then::Upgrade(agreed) => turn.engine.upgrade(id, &self.reply, &agreed),
            Then::Respond => turn.engine.respond(id, &self.reply, false),
            Then::Nothing => {}
        }
        self.reply.shrink_to(MAX_KEPT_REPLY);
    }

    fn deliver(&mut self, _: &mut Turn<'_, S>) {}

    fn handle_timeout(&mut self, _: Moment) {}

    fn next_deadline(&self) -> Option<Tick> {
        None
    }

    fn shut_down(&mut self, _: &mut Turn<'_, S>, _within: Duration) {}

    fn close_all(&mut self, engine: &mut Engine<Socket<S>>) {
        for id in engine.ids() {
            engine.close(id, CloseCode::GOING_AWAY, "the server stops");
        }
    }
}

/// Binds, prints where (on standard error), and runs until a signal comes.
///
/// # Errors
/// An address that cannot be listened on, or a loop that fails.
pub fn run(listen: SocketAddr, max_connections: usize) -> Result<(), Error> {
    let socket = Bound::bind(&Address::Tcp(listen), "--listen")?;
    let address = socket.local_address().map_err(Error::Loop)?.unwrap_or(listen);
    let mut kernel = Kernel::new().map_err(Error::Loop)?;
    let listener = Listener::new(kernel.listen(socket).map_err(Error::Loop)?, Port::Public);
    let bounds = Bounds {
        max_connections,
        addresses: None,
        proxies: Proxies::default(),
        memory: None,
        stop_after: Duration::ZERO,
        stop_within: Duration::from_secs(3),
    };
    let keyed = Random::secret().keyed();
    let reactor = Reactor::new(kernel, vec![listener], settings(), bounds, Certificates::default(), &keyed);
    let words = format!("Salon echoes on ws://{address}/ (any path). Ctrl-C stops it.");
    logging::say(Level::Info, words, "started", vec![("echo", format!("ws://{address}/").into())]);
    reactor.run(&mut Echo::default()).map(|_| ())
}

/// Room for the suites: 16 MiB messages in 65,536 fragments and the empty frame that Autobahn ends them with, and as
/// much waiting to be read.
fn settings() -> engine::Settings {
    let mut settings = engine::Settings::default();
    settings.limits = Limits::new().message_bytes(16 << 20).fragments(65_537);
    settings.receive_buffer = 256 << 10;
    settings.outbox_bytes = 64 << 20;
    settings.message_within = Duration::from_secs(300);
    settings.blocked_within = Duration::from_secs(60);
    settings.ping_after = None;
    // Compresses every message that becomes smaller, so that the suites test much of it.
    settings.deflate.insert(DeflateSettings::default()).threshold = 0;
    settings
}

/// The capacity of the reply buffer that is kept between messages, in bytes.
const MAX_KEPT_REPLY: usize = 1 << 20;
