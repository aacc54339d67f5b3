//! Each limit exactly and one beside it, whole and in every cut.

use super::*;

const LIMITS: Limits = Limits::new().message_bytes(300).fragments(3);

/// A message in one frame for each of these lengths.
fn in_frames(lengths: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, len) in lengths.iter().enumerate() {
        let start = bytes.len();
        bytes.extend(masked(if at == 0 { Opcode::Text } else { Opcode::Continuation }, &vec![b'x'; *len]));
        if at + 1 < lengths.len() {
            bytes[start] &= 0x7F;
        }
    }
    bytes
}

/// The events, and the answer, when the bytes come in these pieces.
fn heard(kind: StreamKind, pieces: &[&[u8]]) -> (Vec<String>, Vec<(Opcode, Vec<u8>)>) {
    let mut house = House::new(Settings { limits: LIMITS, receive_buffer: 512, ..Settings::default() });
    let (id, script) = house.open();
    script.wire().kind = kind;
    for piece in pieces {
        script.say(piece);
        house.engine.readable(id.index, false);
        house.settle();
    }
    (house.told().into_iter().map(|(_, word)| word).collect(), frames(&script.taken()))
}

#[test]
fn messages_and_fragments() {
    let whole = |len: usize| (vec!["x".repeat(len)], vec![]);
    let failed = |code, reason: &str| (vec!["closed".to_owned()], vec![close_of(code, reason)]);
    let too_big = || failed(1009, "message over 300 bytes");
    let too_many = || failed(1008, "message in more than 3 fragments");
    let ping = |len: usize| masked(Opcode::Ping, &vec![b'x'; len]);
    for (what, bytes, expected) in [
        ("a message of 299", in_frames(&[299]), whole(299)),
        ("a message of 300", in_frames(&[300]), whole(300)),
        ("a message of 301", in_frames(&[301]), too_big()),
        ("300 in two", in_frames(&[150, 150]), whole(300)),
        ("301 in two", in_frames(&[150, 151]), too_big()),
        ("300 in three, the last of which is empty", in_frames(&[100, 200, 0]), whole(300)),
        ("two fragments", in_frames(&[1, 1]), whole(2)),
        ("three fragments", in_frames(&[1, 1, 1]), whole(3)),
        ("four fragments", in_frames(&[1, 1, 1, 1]), too_many()),
        ("a ping of 125", ping(125), (vec!["control".into()], vec![(Opcode::Pong, vec![b'x'; 125])])),
        ("a ping of 126", ping(126), failed(1002, "control frame of 126 bytes, at most 125 allowed")),
    ] {
        for kind in [StreamKind::Socket, StreamKind::Plain] {
            assert_eq!(heard(kind, &[&bytes]), expected, "{what}, whole, {kind:?}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(heard(kind, &single), expected, "{what}, a byte at a time, {kind:?}");
            for cut in 1..bytes.len() {
                let (first, rest) = bytes.split_at(cut);
                assert_eq!(heard(kind, &[first, rest]), expected, "{what}, cut at {cut}, {kind:?}");
            }
        }
    }
}

/// However much of a message the socket has taken, only so much may wait: alone, with a room's messages, and behind
/// earlier output.
#[test]
fn outboxes() {
    const MOST: usize = 300;
    // The payloads of frames of that length in all, of which none is a long one.
    let pieces = |len: usize| {
        let count = len.div_ceil(70);
        (0..count).map(move |at| vec![b'x'; len * (at + 1) / count - len * at / count - 2])
    };
    for room in 0..=MOST {
        for (waits, cut) in [(MOST - 1, false), (MOST, false), (MOST + 1, true)] {
            for split in [None, Some(40), Some(100)] {
                let mut house = House::new(Settings { outbox_bytes: MOST, ..Settings::default() });
                let members = house.members(1, ROOM);
                let (id, script) = &members[0];
                script.wire().room = room;
                let all = room + waits;
                match split {
                    None => pieces(all).for_each(|piece| house.engine.send(*id, Kind::Binary, &piece)),
                    Some(first) => {
                        pieces(first).for_each(|piece| house.engine.send(*id, Kind::Binary, &piece));
                        if first == 40 {
                            house.turn();
                        }
                        pieces(all - first).for_each(|piece| house.engine.publish(ROOM, Kind::Binary, &piece, &[]));
                    }
                }
                house.turn();
                let row = format!("{waits} wait behind {room}, in {split:?}");
                assert_eq!(house.engine.counters().cut_bytes, u64::from(cut), "{row}");
                assert_eq!(house.engine.blocked_of(*id).is_some_and(|blocked| blocked.bytes == waits), !cut, "{row}");
                script.wire().room = usize::MAX;
                house.engine.writable(id.index);
                house.settle();
                let heard = frames(&script.taken());
                assert_eq!(heard.last() == Some(&close_of(1013, TOO_SLOW)), cut, "{row}");
                if !cut {
                    let len: usize = heard.iter().map(|(_, payload)| 2 + payload.len()).sum();
                    assert_eq!(len, all, "{row}");
                }
            }
        }
    }
}
