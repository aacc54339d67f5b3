//! RFC 6455 as rows: bytes in, bytes and events out.
//!
//! Every row runs whole and one byte at a time, and in every split into two: whatever cuts the input may not change
//! the outcome.

use crate::common::bytes::{Outcome, Told, close_reply, raw, short, text};
use crate::common::cases::{self, Frames};
use salon::proto::frame::{Opcode, encode_frame};
use salon::proto::receiver::Receiver;
use salon::proto::{CloseCode, Event, Limits, ProtocolError};

const LIMITS: Limits = Limits::new().message_bytes(70_000).fragments(5);

/// Feeds the pieces one read at a time.
fn run(pieces: &[&[u8]]) -> Outcome {
    let (mut connection, mut outcome) = (Receiver::server(LIMITS), Outcome::default());
    pieces.iter().for_each(|piece| outcome.read(&mut connection, None, piece));
    outcome
}

fn check(bytes: &[u8], told: &[Told], reply: &[u8]) {
    let expected = Outcome { told: told.to_vec(), reply: reply.to_vec() };
    assert_eq!(run(&[bytes]), expected, "whole: {}", short(bytes));
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(&single), expected, "one byte at a time: {}", short(bytes));
    for at in 1..bytes.len().min(300) {
        assert_eq!(run(&[&bytes[..at], &bytes[at..]]), expected, "split at {at}: {}", short(bytes));
    }
}

fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    raw(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// The bytes are answered with the error's status code, and bytes behind them are ignored.
fn check_failed(bytes: &[u8], before: &[Told], error: ProtocolError) {
    let reply = close_reply(CloseCode::from(error).get(), &error.to_string());
    let told = [before, &[Told::Failed(error)]].concat();
    check(bytes, &told, &reply);
    check(&[bytes, &raw(0x81, b"ignored")].concat(), &told, &reply);
}

#[test]
fn section_5_7_examples() {
    check(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[text("Hello")], b"");
    // "Contains a body of "Hello", but the contents of the body are arbitrary": masked, as a client must.
    check(b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[Told::Ping(b"Hello".into())], b"");
    check(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[Told::Pong(b"Hello".into())], b"");
    check(&[raw(0x01, b"Hel"), raw(0x80, b"lo")].concat(), &[text("Hello")], b"");
    check(&raw(0x82, &[7; 256]), &[Told::Binary(vec![7; 256])], b"");
    check(&raw(0x82, &[7; 65_536]), &[Told::Binary(vec![7; 65_536])], b"");
}

#[test]
fn section_5_7_examples_of_a_server() {
    let frame = |opcode, payload: &[u8]| {
        let mut out = Vec::new();
        encode_frame(opcode, payload, &mut out);
        out
    };
    assert_eq!(frame(Opcode::Text, b"Hello"), b"\x81\x05Hello");
    assert_eq!(frame(Opcode::Ping, b"Hello"), b"\x89\x05Hello");
    assert_eq!(frame(Opcode::Binary, &[0; 256])[..4], *b"\x82\x7e\x01\x00");
    assert_eq!(frame(Opcode::Binary, &[0; 65_536])[..10], *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
}

/// §5.4: a control frame may arrive between the fragments of a message.
#[test]
fn control_frames_between_fragments() {
    let bytes = [raw(0x01, b"Hel"), raw(0x89, b"?"), raw(0x00, b"l"), raw(0x8a, b""), raw(0x80, b"o")].concat();
    check(&bytes, &[Told::Ping(b"?".into()), Told::Pong(vec![]), text("Hello")], b"");
}

#[test]
fn messages_in_a_row() {
    let bytes = [raw(0x81, b"a"), raw(0x82, b""), raw(0x81, b""), raw(0x02, b""), raw(0x80, b"b")].concat();
    check(&bytes, &[text("a"), Told::Binary(vec![]), text(""), Told::Binary(b"b".into())], b"");
}

#[test]
fn text_across_fragments_and_characters() {
    let word = "κόσμε😀".as_bytes();
    for at in 0..=word.len() {
        check(&[raw(0x01, &word[..at]), raw(0x80, &word[at..])].concat(), &[text("κόσμε😀")], b"");
    }
}

#[test]
fn violations_of_framing() {
    use ProtocolError::*;
    for (bytes, error) in [
        (&b"\x81\x02hi"[..], WrongMasking { masked: false }),
        (&raw(0xc1, b""), ReservedBits(0b100)),
        (&raw(0xa1, b""), ReservedBits(0b010)),
        (&raw(0x91, b""), ReservedBits(0b001)),
        (&raw(0xc9, b""), ReservedBits(0b100)),
        (&raw(0x83, b""), ReservedOpcode(3)),
        (&raw(0x87, b""), ReservedOpcode(7)),
        (&raw(0x8b, b""), ReservedOpcode(11)),
        (&raw(0x8f, b""), ReservedOpcode(15)),
        (&raw(0x09, b"x"), FragmentedControl),
        (&raw(0x0a, b""), FragmentedControl),
        (&raw(0x08, b""), FragmentedControl),
        (&raw(0x89, &[0; 126]), ControlTooLong(126)),
        (&raw(0x88, b"\x03"), TruncatedCloseCode),
        (&raw(0x80, b"x"), UnexpectedContinuation),
        (&raw(0x00, b"x"), UnexpectedContinuation),
        (b"\x81\xfe\x00\x05\0\0\0\0hello", NonMinimalLength(5)),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\0\0\0\0", NonMinimalLength(65_535)),
        (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", LengthOverflow),
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", MessageTooBig { limit: 70_000 }),
        (b"\x82\xff\x00\x20\x00\x00\x00\x00\x00\x00", MessageTooBig { limit: 70_000 }),
    ] {
        check_failed(bytes, &[], error);
        check_failed(&[&raw(0x81, b"ok"), bytes].concat(), &[text("ok")], error);
    }
    check_failed(&[raw(0x01, b"a"), raw(0x81, b"b")].concat(), &[], ExpectedContinuation);
    check_failed(&[raw(0x02, b"a"), raw(0x02, b"b")].concat(), &[], ExpectedContinuation);
}

#[test]
fn limits_and_one_past_them() {
    let whole = vec![b'x'; 70_000];
    check(&raw(0x82, &whole), &[Told::Binary(whole.clone())], b"");
    check_failed(&raw(0x82, &[0; 70_001])[..14], &[], ProtocolError::MessageTooBig { limit: 70_000 });
    let halves = [raw(0x02, &whole[..35_000]), raw(0x80, &whole[35_000..])].concat();
    check(&halves, &[Told::Binary(whole.clone())], b"");
    let over = [raw(0x02, &whole[..35_000]), raw(0x80, &whole[34_999..])[..8].to_vec()].concat();
    check_failed(&over, &[], ProtocolError::MessageTooBig { limit: 70_000 });

    let fragments = |count: usize| {
        let mut bytes = raw(0x01, b"a");
        (2..count).for_each(|_| bytes.extend(raw(0x00, b"")));
        bytes.extend(raw(0x80, b"z"));
        bytes
    };
    check(&fragments(5), &[text("az")], b"");
    check_failed(&fragments(6), &[], ProtocolError::TooManyFragments { limit: 5 });
    // The count begins anew with each message.
    check(&[fragments(5), fragments(5)].concat(), &[text("az"), text("az")], b"");
}

#[test]
fn text_that_is_not_utf8() {
    for bytes in [&b"\xff"[..], b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"caf\xe9", b"\xe2\x82"] {
        check_failed(&raw(0x81, bytes), &[], ProtocolError::InvalidUtf8);
    }
    // The error is known before the end of the frame: the rest is not awaited.
    let early = raw(0x81, b"\xff and a tail that never comes");
    let Outcome { told, reply } = run(&[&early[..7]]);
    assert_eq!(told, [Told::Failed(ProtocolError::InvalidUtf8)]);
    assert_eq!(reply, close_reply(1007, "text is not UTF-8"));
    // A character begun in one fragment and spoilt in the next.
    check_failed(&[raw(0x01, b"\xe2\x82"), raw(0x80, b"x")].concat(), &[], ProtocolError::InvalidUtf8);
    // Binary may be anything.
    check(&raw(0x82, b"\xff\xfe"), &[Told::Binary(b"\xff\xfe".into())], b"");
}

#[test]
fn close_is_answered_with_its_code() {
    check(&raw(0x88, b""), &[Told::Close(None)], b"\x88\x00");
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        check(&close_frame(code, b""), &[Told::Close(Some((code, String::new())))], &close_reply(code, ""));
    }
    let bye = Told::Close(Some((1000, "bye".into())));
    check(&close_frame(1000, b"bye"), std::slice::from_ref(&bye), &close_reply(1000, ""));
    // §5.5.1: nothing after Close counts; a Close amid a message ends it.
    let bytes = [raw(0x01, b"begun"), close_frame(1000, b"bye"), raw(0x83, b"junk")].concat();
    check(&bytes, &[bye], &close_reply(1000, ""));
}

#[test]
fn close_bodies_that_may_not_be() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check_failed(&close_frame(code, b""), &[], ProtocolError::InvalidCloseCode(code));
    }
    check_failed(&close_frame(1000, b"\xff"), &[], ProtocolError::InvalidUtf8);
}

/// The rows of `tests/cases/frames.json`, which other harnesses send over sockets: whole, byte by byte and cut in two.
#[test]
fn frames_that_other_harnesses_send() {
    let heard = |pieces: &[&[u8]]| {
        let (mut connection, mut outcome) = (Receiver::server(Limits::default()), Outcome::default());
        pieces.iter().for_each(|piece| outcome.read(&mut connection, None, piece));
        outcome.reply
    };
    for test in ["violations", "lengths_that_are_only_claimed", "text_that_is_not_utf8", "closes"] {
        for Frames { what, sent, code, reason } in cases::frames(test) {
            let expected = code.map_or(b"\x88\x00".into(), |code| close_reply(code, &reason));
            assert_eq!(heard(&[&sent]), expected, "{what}");
            assert_eq!(heard(&sent.chunks(1).collect::<Vec<_>>()), expected, "{what}, byte by byte");
            for at in (1..sent.len()).take(40) {
                assert_eq!(heard(&[&sent[..at], &sent[at..]]), expected, "{what}, cut at {at}");
            }
        }
    }
}

#[test]
fn our_own_close_waits_for_the_answer() {
    let mut connection = Receiver::server(LIMITS);
    let mut reply = Vec::new();
    connection.close(CloseCode::GOING_AWAY, "bye", &mut reply);
    connection.close(CloseCode::NORMAL, "twice is once", &mut reply);
    assert_eq!(reply, close_reply(1001, "bye"));
    // Messages on the way are not passed on, and the answer is not answered.
    let mut input = [raw(0x81, b"late"), raw(0x01, b"fra"), raw(0x80, b"gment"), close_frame(1001, b"")].concat();
    let (taken, event) = connection.decode(&mut input, &mut reply);
    assert_eq!(event, Some(Event::Close(Some((CloseCode::GOING_AWAY, "")))));
    assert_eq!(taken, input.len());
    assert!(connection.is_closed());
    assert_eq!(reply, close_reply(1001, "bye"));
}

#[test]
fn what_a_connection_says_of_itself() {
    let mut connection = Receiver::server(LIMITS);
    let mut reply = Vec::new();
    assert_eq!((connection.is_open(), connection.is_closed(), connection.is_mid_message()), (true, false, false));
    assert_eq!(connection.decode(&mut [], &mut reply), (0, None));
    assert_eq!(connection.held_bytes(), 0, "nothing is held for nothing");
    let mut input = raw(0x01, b"a fragment");
    let (header, payload) = input.split_at_mut(3);
    let _ = connection.decode(header, &mut reply);
    assert!(connection.is_mid_message(), "amid a header");
    assert!(connection.held_bytes() < 150, "a place for what of the header has come");
    let _ = connection.decode(&mut payload[..5], &mut reply);
    assert!(connection.is_mid_message(), "amid a payload");
    let _ = connection.decode(&mut payload[5..], &mut reply);
    assert!(connection.is_mid_message(), "amid a message");
    assert!((100..400).contains(&connection.held_bytes()), "{}", connection.held_bytes());
    // A control frame in between changes nothing, except for its buffer while it is cut.
    let held = connection.held_bytes();
    let mut ping = raw(0x89, b"??");
    let _ = connection.decode(&mut ping[..7], &mut reply);
    assert_eq!(connection.held_bytes(), held + 125);
    let _ = connection.decode(&mut ping[7..], &mut reply);
    connection.release();
    assert!(connection.is_mid_message());
    assert_eq!(connection.decode(&mut raw(0x80, b""), &mut reply).1, Some(Event::Text("a fragment")));
    connection.release();
    assert!(!connection.is_mid_message());
    assert_eq!(connection.held_bytes(), 0, "what the event borrowed is freed");
    assert_eq!(reply, b"");
    connection.close(CloseCode::NORMAL, "", &mut reply);
    assert_eq!((connection.is_open(), connection.is_closed()), (false, false));
    let _ = connection.decode(&mut close_frame(1000, b""), &mut reply);
    assert_eq!((connection.is_open(), connection.is_closed()), (false, true));
}

/// §7.1.7, by the owner of the connection: a deadline, say.
#[test]
fn failing_from_outside() {
    let mut connection = Receiver::server(LIMITS);
    let mut reply = Vec::new();
    let _ = connection.decode(&mut raw(0x01, b"begun"), &mut reply);
    connection.fail(CloseCode::POLICY_VIOLATION, "too late", &mut reply);
    connection.fail(CloseCode::NORMAL, "twice is once", &mut reply);
    connection.close(CloseCode::NORMAL, "and no second Close", &mut reply);
    assert_eq!(reply, close_reply(1008, "too late"));
    assert!(connection.is_closed() && connection.held_bytes() == 0);
    let mut input = raw(0x81, b"unheard");
    let len = input.len();
    assert_eq!(connection.decode(&mut input, &mut reply), (len, None));
    // After our Close there is no other.
    let (mut connection, mut reply) = (Receiver::server(LIMITS), Vec::new());
    connection.close(CloseCode::GOING_AWAY, "bye", &mut reply);
    connection.fail(CloseCode::POLICY_VIOLATION, "too late", &mut reply);
    assert_eq!(reply, close_reply(1001, "bye"));
    assert!(connection.is_closed());
}

#[test]
fn codes_are_written_as_numbers() {
    assert_eq!(format!("{0} {0:?}", CloseCode::NORMAL), "1000 1000");
}

/// A claimed length is not an allocation.
#[test]
fn memory_follows_what_came() {
    let mut connection = Receiver::server(Limits::new().message_bytes(u32::MAX).fragments(5));
    let mut reply = Vec::new();
    let mut header = b"\x82\xff\x00\x00\x00\x00\xff\xff\xff\xff\0\0\0\0".to_vec();
    assert_eq!(connection.decode(&mut header, &mut reply), (14, None));
    assert!(connection.held_bytes() < 300, "{}", connection.held_bytes());
    let mut sent = 0;
    for _ in 0..100 {
        let mut piece = vec![0; 1000];
        let _ = connection.decode(&mut piece, &mut reply);
        sent += 1000;
        assert!((sent..=2 * sent + 2300).contains(&connection.held_bytes()), "{} for {sent}", connection.held_bytes());
    }
}

/// The missing bytes of a message in one frame are known as soon as its header is there; of nothing else are they.
#[test]
fn what_is_missing_to_a_message() {
    let connection = Receiver::server(LIMITS);
    for len in [0_usize, 1, 125, 126, 65_535, 65_536, 70_000] {
        let frame = raw(0x82, &vec![7; len]);
        let header = frame.len() - len;
        for there in (0..=header).chain([header + len / 2, frame.len() - 1, frame.len()]) {
            let missing = frame.len() - there;
            let expected = (there >= header && missing > 0).then_some(missing as u64);
            assert_eq!(connection.missing(&frame[..there]), expected, "{there} of {len}");
        }
        assert_eq!(connection.missing(&[&frame[..], b"\x81"].concat()), None, "{len} and more");
    }
    for (what, bytes) in [
        ("a fragment", raw(0x02, b"abcdef")),
        ("a continuation of nothing", raw(0x80, b"abcdef")),
        ("a control frame", raw(0x89, b"abcdef")),
        ("a reserved bit", raw(0xc2, b"abcdef")),
        ("too long", raw(0x82, &[7; 70_001])),
        ("not masked", encode(b"abcdef")),
    ] {
        assert_eq!(connection.missing(&bytes[..bytes.len() - 1]), None, "{what}");
    }
}

/// They are not known of a message whose beginning has been taken, nor after our Close.
#[test]
fn only_bytes_not_yet_taken_are_missing() {
    let frame = raw(0x82, &[7; 300]);
    let mut connection = Receiver::server(LIMITS);
    let _ = connection.decode(&mut frame[..200].to_vec(), &mut Vec::new());
    assert_eq!(connection.missing(&frame[..200]), None);
    let mut connection = Receiver::server(LIMITS);
    let _ = connection.decode(&mut raw(0x02, b"one"), &mut Vec::new());
    assert_eq!(connection.missing(&frame[..200]), None);
    let mut connection = Receiver::server(LIMITS);
    connection.close(CloseCode::NORMAL, "", &mut Vec::new());
    assert_eq!(connection.missing(&frame[..200]), None);
}

fn encode(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(Opcode::Binary, payload, &mut out);
    out
}
