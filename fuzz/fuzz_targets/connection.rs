//! Either side of a connection under arbitrary chunking: the same events and the same answer as in one piece, within
//! its bounds, and an answer that the other side takes.
#![no_main]

#[path = "../../tests/it/common/bytes.rs"]
#[expect(dead_code, reason = "the rest of it is for the tests")]
mod bytes;

use libfuzzer_sys::fuzz_target;
use bytes::{Outcome, Told};
use salon::proto::frame::{FrameHeader, FrameRules};
use salon::proto::receiver::{Receiver, Role};
use salon::proto::Limits;

const LIMITS: Limits = Limits::new().message_bytes(1000).fragments(8);
const CLOSING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const CLIENT: Role = Role::Client { closing_key: CLOSING_KEY };

fn run(role: Role, pieces: &[&[u8]]) -> Outcome {
    let (mut connection, mut outcome) = (Receiver::new(LIMITS, role), Outcome::default());
    for piece in pieces {
        outcome.read(&mut connection, None, piece);
        assert!(connection.held_bytes() <= 3000, "what is held is bounded by the limits");
    }
    for (place, told) in outcome.told.iter().enumerate() {
        let control = matches!(told, Told::Ping(_) | Told::Pong(_));
        assert!(told.payload().len() <= if control { 125 } else { LIMITS.message_bytes as usize });
        let last = matches!(told, Told::Close(_) | Told::Failed(_));
        assert!(!last || place + 1 == outcome.told.len(), "nothing follows the end");
    }
    outcome
}

/// Reads as the engine does: where a piece ends amid a message in one frame, the missing rest is read behind it, and
/// completes it.
fn filled_up(role: Role, bytes: &[u8], size: usize) -> Outcome {
    let (mut connection, mut outcome) = (Receiver::new(LIMITS, role), Outcome::default());
    let mut rest = bytes;
    while !rest.is_empty() {
        connection.release();
        let size = size.min(rest.len());
        let missing = connection.missing(&rest[..size]).map_or(0, |missing| missing as usize);
        assert!(missing <= LIMITS.message_bytes as usize);
        let (piece, behind) = rest.split_at(rest.len().min(size + missing));
        let before = outcome.told.len();
        outcome.read(&mut connection, None, piece);
        if missing > 0 && piece.len() == size + missing {
            assert_eq!((outcome.told.len(), connection.is_mid_message()), (before + 1, false));
        }
        rest = behind;
    }
    outcome
}

/// One Close if there was an end, else nothing: masked if it is a client's, and nothing that the other side would
/// refuse.
fn check_answer(role: Role, outcome: &Outcome) {
    let ended = matches!(outcome.told.last(), Some(Told::Close(_) | Told::Failed(_)));
    let (other, mask) = match role {
        Role::Server => (CLIENT, None),
        Role::Client { .. } => (Role::Server, Some(CLOSING_KEY)),
    };
    let heard = run(other, &[&outcome.reply]).told;
    if !ended {
        assert!(outcome.reply.is_empty() && heard.is_empty());
        return;
    }
    assert!(matches!(*heard, [Told::Close(_)]), "{heard:?}");
    let rules = FrameRules::new(mask.is_some(), LIMITS.message_bytes(0));
    let (header, len) = FrameHeader::decode(&outcome.reply, &rules).unwrap().expect("it is whole");
    assert_eq!((header.mask, len + header.payload_len as usize), (mask, outcome.reply.len()));
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let role = if choice & 0x80 == 0 { Role::Server } else { CLIENT };
    let size = usize::from(choice & 0x7f);
    let whole = run(role, &[bytes]);
    let chunked: Vec<&[u8]> = bytes.chunks(size % 31 + 1).collect();
    assert_eq!(run(role, &chunked), whole);
    assert_eq!(filled_up(role, bytes, size % 31 + 1), whole);
    let at = size * bytes.len() / 128;
    assert_eq!(run(role, &[&bytes[..at], &bytes[at..]]), whole);
    check_answer(role, &whole);
});
