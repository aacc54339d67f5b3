//! What both examples say: every message back, and to a request that wants no WebSocket why not.

use salon_engine::proto::handshake::{Refusal, RequestError};
use salon_engine::proto::{Agreed, ClientContext, Kind};
use salon_engine::{Engine, Event, Stream};

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
