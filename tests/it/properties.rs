//! Properties of any frame, any message and any cut: round trips and splits.
//!
//! A failing case is shrunk and printed by proptest; it becomes a row in the tests of its module.

use crate::common::bytes::{Outcome, Told};
use proptest::collection::vec;
use proptest::prelude::*;
use salon::proto::frame::{FrameHeader, FrameRules, Opcode, encode_frame, encode_masked_frame, whole_len};
use salon::proto::mask::apply_mask;
use salon::proto::receiver::Receiver;
use salon::proto::utf8::Utf8Tail;
use salon::proto::{CloseCode, Limits, ProtocolError, close};

const LIMITS: Limits = Limits::new().message_bytes(100_000).fragments(100);

fn rules(masked: bool, fragmented: bool) -> FrameRules {
    let mut rules = FrameRules::new(masked, LIMITS);
    (rules.rsv1, rules.fragmented, rules.fragments_left, rules.payload_left) = (true, fragmented, 9, u64::MAX);
    rules
}

fn opcode() -> impl Strategy<Value = Opcode> {
    use Opcode::*;
    prop::sample::select(vec![Continuation, Text, Binary, Close, Ping, Pong])
}

/// Lengths about every boundary of their encoding.
fn payload_len() -> impl Strategy<Value = u64> {
    prop_oneof![0..=130_u64, 65_530..=65_540_u64, (1_u64 << 40)..(1 << 41), (1_u64 << 63) - 3..(1 << 63)]
}

/// A header that may stand somewhere.
fn header() -> impl Strategy<Value = FrameHeader> {
    (any::<bool>(), any::<bool>(), opcode(), any::<Option<[u8; 4]>>(), payload_len()).prop_map(
        |(fin, rsv1, opcode, mask, payload_len)| match opcode.is_control() {
            true => FrameHeader { fin: true, rsv1: false, opcode, mask, payload_len: payload_len % 126 },
            false => FrameHeader { fin, rsv1: rsv1 && opcode != Opcode::Continuation, opcode, mask, payload_len },
        },
    )
}

fn opcode_of(message: &Told) -> Opcode {
    match message {
        Told::Text(_) => Opcode::Text,
        Told::Binary(_) => Opcode::Binary,
        _ => Opcode::Ping,
    }
}

fn said() -> impl Strategy<Value = Told> {
    prop_oneof![
        ".{0,80}".prop_map(Told::Text),
        vec(any::<u8>(), 0..300).prop_map(Told::Binary),
        vec(any::<u8>(), 0..=125).prop_map(Told::Ping),
    ]
}

/// `bytes` cut at the given places, which may lie anywhere.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|piece| &bytes[piece[0]..piece[1]]).collect()
}

/// The events and answers of a connection when it reads the pieces.
fn heard(pieces: &[&[u8]]) -> Outcome {
    heard_by(Receiver::server(LIMITS), pieces)
}

fn heard_by(mut connection: Receiver, pieces: &[&[u8]]) -> Outcome {
    let mut outcome = Outcome::default();
    pieces.iter().for_each(|piece| outcome.read(&mut connection, None, piece));
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn headers_come_back(header in header(), tail in vec(any::<u8>(), 0..4)) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let len = bytes.len();
        let rules = rules(header.mask.is_some(), header.opcode == Opcode::Continuation);
        for shorter in 0..len {
            prop_assert_eq!(FrameHeader::decode(&bytes[..shorter], &rules), Ok(None));
        }
        bytes.extend(tail);
        prop_assert_eq!(FrameHeader::decode(&bytes, &rules), Ok(Some((header, len))));
    }

    #[test]
    fn the_length_of_a_frame_is_known_from_its_header(
        len in prop_oneof![0..130_usize, 65_530..65_540_usize],
        part: prop::sample::Index,
    ) {
        let mut bytes = Vec::new();
        encode_frame(Opcode::Text, &vec![b'x'; len], &mut bytes);
        let header_len = bytes.len() - len;
        let part = &bytes[..part.index(bytes.len())];
        let expected = (part.len() >= header_len).then_some(bytes.len());
        prop_assert_eq!(whole_len(part), expected);
        prop_assert_eq!(whole_len(&bytes[..header_len]), Some(bytes.len()));
        prop_assert_eq!(whole_len(&bytes[..header_len - 1]), None);
    }

    #[test]
    fn masks_come_off(
        plain in vec(any::<u8>(), 0..200),
        key: [u8; 4],
        places in vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut masked = plain.clone();
        apply_mask(&mut masked, key, 0);
        for (at, byte) in masked.iter().enumerate() {
            prop_assert_eq!(*byte, plain[at] ^ key[at % 4]);
        }
        let mut unmasked = Vec::new();
        for piece in cut(&masked, &places) {
            let offset = unmasked.len();
            unmasked.extend_from_slice(piece);
            apply_mask(&mut unmasked[offset..], key, offset);
        }
        prop_assert_eq!(unmasked, plain);
    }

    #[test]
    fn messages_come_back_however_they_are_fragmented_and_cut(
        messages in vec((said(), vec(any::<prop::sample::Index>(), 0..4)), 1..8),
        key: [u8; 4],
        places in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (message, fragments) in &messages {
            let (opcode, payload) = (opcode_of(message), message.payload());
            expected.push(message.clone());
            let pieces = if opcode.is_control() { vec![payload] } else { cut(payload, fragments) };
            for (place, piece) in pieces.iter().enumerate() {
                let start = bytes.len();
                let opcode = if place == 0 { opcode } else { Opcode::Continuation };
                encode_masked_frame(opcode, piece, key, &mut bytes);
                if place + 1 < pieces.len() {
                    bytes[start] &= 0x7f;
                }
            }
        }
        prop_assert_eq!(heard(&cut(&bytes, &places)), Outcome { told: expected, reply: vec![] });
    }

    /// A client sends a message, a server sends it back and closes: the client gets its message, and its answer to the
    /// Close is the one that the server waits for.
    #[test]
    fn client_and_server_understand_each_other(
        messages in vec((said(), any::<[u8; 4]>()), 0..8),
        closing_key: [u8; 4],
        code in prop_oneof![1000..=1003_u16, 3000..=4999_u16],
        reason in ".{0,30}",
        there in vec(any::<prop::sample::Index>(), 0..8),
        back in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for (message, key) in &messages {
            encode_masked_frame(opcode_of(message), message.payload(), *key, &mut sent);
            expected.push(match message {
                Told::Ping(data) => Told::Pong(data.clone()),
                message => message.clone(),
            });
        }
        let mut server = Receiver::server(LIMITS);
        let mut answer = Vec::new();
        let mut outcome = Outcome::default();
        cut(&sent, &there).iter().for_each(|piece| outcome.read(&mut server, None, piece));
        for told in &outcome.told {
            let opcode = if matches!(told, Told::Ping(_)) { Opcode::Pong } else { opcode_of(told) };
            encode_frame(opcode, told.payload(), &mut answer);
        }
        server.close(CloseCode::new(code).expect("it may be sent"), &reason, &mut answer);
        expected.push(Told::Close(Some((code, reason))));

        let Outcome { told, mut reply } = heard_by(Receiver::client(LIMITS, closing_key), &cut(&answer, &back));
        prop_assert_eq!(told, expected);
        // The client's Close, the only frame it owes of itself, is masked with the key it was given.
        prop_assert_eq!(&reply[..6], &[&[0x88, 0x82][..], &closing_key].concat()[..]);
        let (taken, event) = server.decode(&mut reply, &mut Vec::new());
        prop_assert_eq!((taken, event.map(Told::from)), (8, Some(Told::Close(Some((code, String::new()))))));
        prop_assert!(server.is_closed());
    }

    /// Each side refuses what its own side sends, at the byte that shows it.
    #[test]
    fn nobody_takes_frames_of_its_own_side(said in said(), key: [u8; 4]) {
        let (opcode, payload) = (opcode_of(&said), said.payload());
        let (mut masked, mut plain) = (Vec::new(), Vec::new());
        encode_masked_frame(opcode, payload, key, &mut masked);
        encode_frame(opcode, payload, &mut plain);
        for (connection, bytes, error) in [
            (Receiver::server(LIMITS), &plain, ProtocolError::WrongMasking { masked: false }),
            (Receiver::client(LIMITS, key), &masked, ProtocolError::WrongMasking { masked: true }),
        ] {
            let Outcome { told, reply } = heard_by(connection, &[&bytes[..1], &bytes[1..2]]);
            prop_assert_eq!(told, vec![Told::Failed(error)]);
            prop_assert_eq!(reply[0], 0x88);
        }
    }

    /// Whatever comes, good or not, the cuts do not matter; to a client neither.
    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"\x81\x82\x01\x00\x80\x88\x89\x8a\xfe".to_vec())], 0..60),
        places in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        prop_assert_eq!(heard(&cut(&bytes, &places)), heard(&[&bytes]));
        let client = || Receiver::client(LIMITS, [5, 6, 7, 8]);
        prop_assert_eq!(heard_by(client(), &cut(&bytes, &places)), heard_by(client(), &[&bytes]));
    }

    /// The tail accepts what `std` accepts, keeps what `std` calls incomplete, and refuses no later than the piece
    /// in which `std` knows.
    #[test]
    fn utf8_in_pieces_is_what_std_says(
        bytes in prop_oneof![
            ".{0,30}".prop_map(String::into_bytes),
            vec(any::<u8>(), 0..8),
            vec(prop::sample::select(b"a\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0\xf4\x90\xc2\xe0\xbf".to_vec()), 0..12),
        ],
        places in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (mut tail, mut text, mut seen) = (Utf8Tail::default(), String::new(), 0);
        for piece in cut(&bytes, &places) {
            seen += piece.len();
            let result = tail.push(piece, &mut text);
            match std::str::from_utf8(&bytes[..seen]) {
                Ok(valid) => {
                    prop_assert_eq!(result, Ok(()));
                    prop_assert_eq!((&text[..], tail.is_complete()), (valid, true));
                }
                Err(error) if error.error_len().is_none() => {
                    prop_assert_eq!(result, Ok(()));
                    prop_assert_eq!((text.as_bytes(), tail.is_complete()), (&bytes[..error.valid_up_to()], false));
                }
                Err(_) => {
                    prop_assert_eq!(result, Err(ProtocolError::InvalidUtf8));
                    return Ok(());
                }
            }
        }
    }

    #[test]
    fn close_bodies_come_back(code: u16, reason in ".{0,150}") {
        let Some(code) = CloseCode::new(code) else {
            let payload = code.to_be_bytes();
            prop_assert_eq!(close::decode_body(&payload), Err(ProtocolError::InvalidCloseCode(code)));
            return Ok(());
        };
        let mut payload = Vec::new();
        close::encode_body(code, &reason, &mut payload);
        prop_assert!(payload.len() <= 125);
        let (decoded, cut) = close::decode_body(&payload).expect("what is written can be read").expect("there is a code");
        prop_assert_eq!(decoded, code);
        prop_assert!(reason.starts_with(cut) && (cut.len() == reason.len() || cut.len() > 119));
    }
}
