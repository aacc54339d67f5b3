//! A connection under arbitrary chunking: the same events and the same answer as in one piece, within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salon::proto::{Connection, Event, Limits};

const LIMITS: Limits = Limits { message_bytes: 1000, fragments: 8 };

/// What was told, as text, and what was answered.
fn run(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let mut connection = Connection::new(LIMITS);
    let (mut told, mut reply) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut input = piece.to_vec();
        let mut at = 0;
        loop {
            let (taken, event) = connection.decode(&mut input[at..], &mut reply);
            at += taken;
            let Some(event) = event else { break };
            match event {
                Event::Text(text) => assert!(text.len() <= LIMITS.message_bytes as usize),
                Event::Binary(data) => assert!(data.len() <= LIMITS.message_bytes as usize),
                Event::Ping(data) | Event::Pong(data) => assert!(data.len() <= 125),
                Event::Close(_) | Event::Failed(_) => {}
            }
            told.push(format!("{event:?}"));
        }
        assert_eq!(at, input.len(), "without an event everything has been taken");
        assert!(connection.held_bytes() <= 3000, "what is held is bounded by the limits");
    }
    (told, reply)
}

fuzz_target!(|input: &[u8]| {
    let Some((&size, octets)) = input.split_first() else { return };
    let whole = run(&[octets]);
    let chunked: Vec<&[u8]> = octets.chunks(usize::from(size % 31) + 1).collect();
    assert_eq!(run(&chunked), whole);
    let at = usize::from(size) * octets.len() / 256;
    assert_eq!(run(&[&octets[..at], &octets[at..]]), whole);
});
