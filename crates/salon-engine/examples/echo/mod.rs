//! What both examples share: what they say, every message back, and to a request that wants no WebSocket why not; and
//! the socket below.

use std::io::{self, IoSlice, Read, Write};

use salon_engine::proto::handshake::{Refusal, RequestError};
use salon_engine::proto::{Agreed, ClientContext, Kind};
use salon_engine::{Engine, Event, Got, Stream, Wrote, receive_short, send_short};

/// Hears everything that has come, and queues the answers. The `reply` is room that is used again.
pub fn hear(engine: &mut Engine<impl Stream>, reply: &mut Vec<u8>) {
    // The event is lent, and the engine behind it: so there are two halves, what is to be done, and doing it.
    while let Some((id, then)) = engine.next_event(|id, _, event| (id, answer(event, reply))) {
        match then {
            Then::Send(kind) => engine.send(id, kind, reply),
            Then::Upgrade(agreed) => engine.upgrade(id, reply, &agreed),
            Then::Refuse => engine.respond(id, reply, false),
            Then::Nothing => {}
        }
    }
}

/// What is to be done behind an event, with what is in the reply.
enum Then {
    Send(Kind),
    Upgrade(Agreed<'static>),
    Refuse,
    Nothing,
}

fn answer(event: Event<'_>, reply: &mut Vec<u8>) -> Then {
    reply.clear();
    let refuse = |error: RequestError, reply: &mut Vec<u8>| {
        Refusal::from(error).encode(reply);
        Then::Refuse
    };
    match event {
        Event::Text(text) => {
            reply.extend_from_slice(text.as_bytes());
            Then::Send(Kind::Text)
        }
        Event::Binary(data) => {
            reply.extend_from_slice(data);
            Then::Send(Kind::Binary)
        }
        Event::Request(request) => match request.upgrade() {
            Ok(upgrade) => Then::Upgrade(upgrade.deflate(ClientContext::Reset).encode(reply).extensions()),
            Err(error) => refuse(error, reply),
        },
        Event::BadRequest(error) => refuse(error, reply),
        // Pings have been answered; a body and the drained are told to those who ask for them.
        _ => Then::Nothing,
    }
}

/// A socket that does not wait, of the kind that the poller takes.
pub struct Socket<T> {
    pub stream: T,
    /// Ends the writing side, which no trait of `std` can.
    pub shut_down: fn(&T) -> io::Result<()>,
}

impl<T: Read> Read for Socket<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl<T: Write> Write for Socket<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Read + Write> Stream for Socket<T> {
    fn receive(&mut self, into: &mut [u8], to_end: bool) -> io::Result<Got> {
        receive_short(self, into, to_end)
    }

    fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        send_short(self, slices)
    }

    fn shut_down(&mut self) -> io::Result<()> {
        (self.shut_down)(&self.stream)
    }
}
