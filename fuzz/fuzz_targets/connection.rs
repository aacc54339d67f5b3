//! A connection under arbitrary chunking: the same events and the same answer as in one piece, within its bounds.
#![no_main]

#[path = "../../tests/common/octets.rs"]
mod octets;

use libfuzzer_sys::fuzz_target;
use octets::{Outcome, Told};
use salon::proto::{Connection, Limits};

const LIMITS: Limits = Limits { message_bytes: 1000, fragments: 8 };

fn run(pieces: &[&[u8]]) -> Outcome {
    let (mut connection, mut outcome) = (Connection::new(LIMITS), Outcome::default());
    for piece in pieces {
        outcome.read(&mut connection, None, piece);
        assert!(connection.held_bytes() <= 3000, "what is held is bounded by the limits");
    }
    for told in &outcome.told {
        let control = matches!(told, Told::Ping(_) | Told::Pong(_));
        assert!(told.payload().len() <= if control { 125 } else { LIMITS.message_bytes as usize });
    }
    outcome
}

fuzz_target!(|input: &[u8]| {
    let Some((&size, octets)) = input.split_first() else { return };
    let whole = run(&[octets]);
    let chunked: Vec<&[u8]> = octets.chunks(usize::from(size % 31) + 1).collect();
    assert_eq!(run(&chunked), whole);
    let at = usize::from(size) * octets.len() / 256;
    assert_eq!(run(&[&octets[..at], &octets[at..]]), whole);
});
