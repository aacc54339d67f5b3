//! Frames nobody should send, over real sockets.
//!
//! Each row is the exact bytes and the exact answer, run as `tests/it/common/rows.rs` says. Rows of the protocol alone,
//! in every split, are in `tests/it/rfc6455.rs`; deadlines, with a clock of their own, in the engine's tests.

use crate::common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, closed, frame, text, told, upgrade, welcome};
use crate::common::{Folder, Server, cases};

type Row = (String, Vec<u8>, Vec<u8>);

fn row(name: impl Into<String>, bytes: impl Into<Vec<u8>>, answer: impl Into<Vec<u8>>) -> Row {
    (name.into(), bytes.into(), answer.into())
}

/// The rows of `tests/cases/frames.json` for one test, which others are held to as well.
fn rows(test: &str) -> Vec<Row> {
    cases::frames(test)
        .into_iter()
        .map(|case| row(case.what, case.sent, closed_with(case.code, &case.reason)))
        .collect()
}

/// A Close of the server, with a code or without.
fn closed_with(code: Option<u16>, reason: &str) -> Vec<u8> {
    code.map_or(CLOSE_ANSWERED.into(), |code| closed(code, reason))
}

/// Rows at the chat's JSON door, with the limits that everybody has.
fn check(rows: &[Row]) {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let opened = [SWITCHED.as_bytes(), &welcome("USER0000")].concat();
    for (name, bytes, answer) in rows {
        let bytes = [&upgrade("/ws?user=USER0000"), &bytes[..]].concat();
        neighbour.check(&server, name, &bytes, &[&opened, &answer[..]].concat());
    }
}

/// Rows at the echo server, where every message comes back.
fn check_echo(rows: &[Row]) {
    let server = Server::echo();
    let mut neighbour = Neighbour::echo(&server);
    for (name, bytes, answer) in rows {
        let bytes = [&upgrade("/"), &bytes[..]].concat();
        neighbour.check(&server, name, &bytes, &[SWITCHED.as_bytes(), &answer[..]].concat());
    }
}

#[test]
fn violations() {
    check(&rows("violations"));
}

#[test]
fn lengths_that_are_only_claimed() {
    check(&rows("lengths_that_are_only_claimed"));
}

#[test]
fn messages_and_fragments_at_the_limits() {
    // A message as large as may be, for which there is a short answer.
    let ping = |len: usize| {
        let around = r#"{"type":"ping","x":""}"#.len();
        format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(len - around))
    };
    let pong = || told(0x81, br#"{"type":"pong","ts":0000000000000}"#);
    let answered = || [pong(), CLOSE_ANSWERED.to_vec()].concat();
    let fragments = |message: &[u8], count: usize| {
        let mut bytes = frame(0x01, &message[..1]);
        (1..count - 1).for_each(|at| bytes.extend(frame(0x00, message.get(at..=at).unwrap_or_default())));
        bytes.extend(frame(0x80, message.get(count - 1..).unwrap_or_default()));
        bytes
    };
    let whole = ping(65_536);
    let (first, second) = whole.as_bytes().split_at(40_000);
    let single = ping(1024);
    check(&[
        row("65,536 bytes", [text(&whole), CLOSE.to_vec()].concat(), answered()),
        row("65,537 bytes", text(&ping(65_537)), closed(1009, "message over 65536 bytes")),
        row("65,536 in two", [frame(0x01, first), frame(0x80, second), CLOSE.to_vec()].concat(), answered()),
        row(
            "65,537 in two",
            [frame(0x01, first), frame(0x80, &[second, b"x"].concat())].concat(),
            closed(1009, "message over 65536 bytes"),
        ),
        row("1,024 fragments of a byte", [fragments(single.as_bytes(), 1024), CLOSE.to_vec()].concat(), answered()),
        row(
            "1,025 fragments of a byte",
            fragments(ping(1025).as_bytes(), 1025),
            closed(1008, "message in more than 1024 fragments"),
        ),
        row("1,024 fragments, most of them empty", [fragments(b"{}", 1024), CLOSE.to_vec()].concat(), [
            told(0x81, br#"{"type":"error","code":"bad_request","message":"`type`: expected a string, found nothing","retry":false}"#),
            CLOSE_ANSWERED.to_vec(),
        ].concat()),
        row("10,000 empty continuations", fragments(b"{", 10_000), closed(1008, "message in more than 1024 fragments")),
        row(
            "pings between do not count",
            [frame(0x01, b"{"), frame(0x89, b"").repeat(2000), frame(0x80, b"}"), CLOSE.to_vec()].concat(),
            [
                told(0x8a, b"").repeat(2000),
                told(0x81, br#"{"type":"error","code":"bad_request","message":"`type`: expected a string, found nothing","retry":false}"#),
                CLOSE_ANSWERED.to_vec(),
            ].concat(),
        ),
    ]);
}

#[test]
fn text_that_is_not_utf8() {
    check(&rows("text_that_is_not_utf8"));
}

#[test]
fn closes() {
    check(&rows("closes"));
}

/// Frames that are strange and allowed come back.
#[test]
fn strange_and_right() {
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec();
    let closes = |bytes: Vec<u8>| [bytes, CLOSE.to_vec()].concat();
    let ends = |bytes: Vec<u8>| [bytes, CLOSE_ANSWERED.to_vec()].concat();
    check_echo(&[
        row("section 5.7, masked", closes(masked), ends(told(0x81, b"Hello"))),
        row("a key of zeros", closes(text("hi")), ends(told(0x81, b"hi"))),
        row("empty text", closes(text("")), ends(told(0x81, b""))),
        row("empty binary", closes(frame(0x82, b"")), ends(told(0x82, b""))),
        row("NUL in text", closes(text("a\0b")), ends(told(0x81, b"a\0b"))),
        row("a noncharacter", closes(text("\u{fffe}\u{10ffff}")), ends(told(0x81, "\u{fffe}\u{10ffff}".as_bytes()))),
        row(
            "anything in binary",
            closes(frame(0x82, b"\xff\xfe\xed\xa0\x80")),
            ends(told(0x82, b"\xff\xfe\xed\xa0\x80")),
        ),
        row(
            "125, 126",
            closes([frame(0x82, &[1; 125]), frame(0x82, &[1; 126])].concat()),
            ends([told(0x82, &[1; 125]), told(0x82, &[1; 126])].concat()),
        ),
        row("65,535", closes(frame(0x82, &[1; 65_535])), ends(told(0x82, &[1; 65_535]))),
        row("65,536", closes(frame(0x82, &[1; 65_536])), ends(told(0x82, &[1; 65_536]))),
        row("a ping of 125", closes(frame(0x89, &[7; 125])), ends(told(0x8a, &[7; 125]))),
        row("a ping that is not UTF-8", closes(frame(0x89, b"\xff")), ends(told(0x8a, b"\xff"))),
        row("pongs nobody asked for", closes(frame(0x8a, b"x").repeat(1000)), ends(Vec::new())),
        row("a flood of pings", closes(frame(0x89, b"x").repeat(5000)), ends(told(0x8a, b"x").repeat(5000))),
        row(
            "a ping between fragments is answered first",
            closes([frame(0x01, b"Hel"), frame(0x89, b"?"), frame(0x80, b"lo")].concat()),
            ends([told(0x8a, b"?"), told(0x81, b"Hello")].concat()),
        ),
        row(
            "a character in four fragments",
            closes([frame(0x01, b"\xf0"), frame(0x00, b"\x9f"), frame(0x00, b"\x98"), frame(0x80, b"\x80")].concat()),
            ends(told(0x81, "😀".as_bytes())),
        ),
        row(
            "empty fragments around",
            closes([frame(0x01, b""), frame(0x00, b"x"), frame(0x80, b"")].concat()),
            ends(told(0x81, b"x")),
        ),
        row(
            "delivered, then a violation",
            [text("one"), frame(0x83, b""), text("two")].concat(),
            [told(0x81, b"one"), closed(1002, "opcode 0x3 is reserved")].concat(),
        ),
    ]);
}

/// The echo server's own limits: 16 MiB, and one past it.
#[test]
fn the_echo_server_has_a_limit_too() {
    check_echo(&[
        row("16 MiB and 1", b"\x82\xff\0\0\0\0\x01\0\0\x01".to_vec(), closed(1009, "message over 16777216 bytes")),
        row(
            "2^63-1",
            b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            closed(1009, "message over 16777216 bytes"),
        ),
    ]);
}

/// A client that goes without a word, at any point, does no harm.
#[test]
fn streams_that_end_early() {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let bytes = [&upgrade("/ws?user=x")[..], &frame(0x01, b"{\"type\""), &frame(0x89, b"?"), &text("x")[..3]].concat();
    for end in 0..=bytes.len() {
        let mut stream = server.tcp();
        stream.write_all(&bytes[..end]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let upgraded = answer.starts_with(SWITCHED.as_bytes());
        assert_eq!(upgraded, end >= upgrade("/ws?user=x").len(), "{end} bytes");
        assert!(upgraded || answer.is_empty(), "{end} bytes: {answer:x?}");
        neighbour.talks();
    }
    // And with a reset instead of an end.
    for end in (0..=bytes.len()).step_by(7) {
        let stream = socket2::Socket::from(server.tcp());
        stream.send(&bytes[..end]).unwrap();
        stream.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(stream);
        neighbour.talks();
    }
}

/// A client that says goodbye in the same breath as its requests, by a Close or by ending its side, gets all answers
/// before its Close is answered, also where a store on disk gives them a little later.
#[test]
fn answers_come_before_the_goodbye() {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    let folder = Folder::new("goodbye");
    let server = Server::serve(&["--rate", "off", "--store", &folder.file(), "--durability", "power"]);
    let _neighbour = Neighbour::chat(&server);
    for run in 0..20 {
        let requests = [
            r#"{"type":"create_room","room_id":"den","id":1}"#,
            r#"{"type":"join","room_id":"den","id":2}"#,
            r#"{"type":"broadcast","room_id":"den","content":"hello","id":3}"#,
            r#"{"type":"direct","user_id":"neighbour","content":"hello","id":4}"#,
            r#"{"type":"multicast","user_ids":["neighbour"],"content":"hello","id":5}"#,
            r#"{"type":"read","room_id":"den","seq":1,"id":6}"#,
            r#"{"type":"history","room_id":"den","id":7}"#,
            r#"{"type":"conversations","id":8}"#,
            r#"{"type":"search","text":"hello","id":9}"#,
            r#"{"type":"join","rooms":[{"room_id":"den"},{"room_id":"attic"}],"id":10}"#,
            r#"{"type":"rooms","read":true,"id":11}"#,
            r#"{"type":"leave","room_id":"den","id":12}"#,
        ];
        let said = requests.iter().flat_map(|request| frame(0x81, request.as_bytes()));
        let says_close = run % 2 == 0;
        let goodbye = if says_close { frame(0x88, &1000u16.to_be_bytes()) } else { Vec::new() };
        let mut stream = server.tcp();
        stream.write_all(&upgrade("/ws?user=ann").into_iter().chain(said).chain(goodbye).collect::<Vec<_>>()).unwrap();
        if !says_close {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        let ends = heard.ends_with(&told(0x88, &1000u16.to_be_bytes()));
        assert_eq!(ends, says_close, "run {run}: {}", String::from_utf8_lossy(&heard));
        let heard = String::from_utf8_lossy(&heard);
        let missing: Vec<usize> = (1..=requests.len())
            .filter(|id| ![",", "}"].iter().any(|end| heard.contains(&format!("\"id\":{id}{end}"))))
            .collect();
        assert!(missing.is_empty(), "run {run}: no answers to {missing:?}: {heard}");
    }
}
