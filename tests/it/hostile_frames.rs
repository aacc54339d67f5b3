//! Frames nobody should send, over real sockets.
//!
//! Each row is the exact bytes and the exact answer, run as `tests/it/common/rows.rs` says. Rows of the protocol alone,
//! in every split, are in `tests/it/rfc6455.rs`; deadlines, with a clock of their own, in the engine's tests.

use crate::common::Server;
use crate::common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, closed, frame, text, told, upgrade, welcome};

type Row = (String, Vec<u8>, Vec<u8>);

fn row(name: impl Into<String>, bytes: impl Into<Vec<u8>>, answer: impl Into<Vec<u8>>) -> Row {
    (name.into(), bytes.into(), answer.into())
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

/// Nothing behind a violation is looked at.
fn and_more(bytes: Vec<u8>) -> Vec<u8> {
    [bytes, text("more"), frame(0x89, b"?"), CLOSE.to_vec()].concat()
}

#[test]
fn violations() {
    let broken = |reason: &str| closed(1002, reason);
    let mut rows = vec![
        row("unmasked", and_more(b"\x81\x02\x68\x69".to_vec()), broken("frame not masked; a client must mask")),
        row("unmasked, empty", and_more(b"\x81\x00".to_vec()), broken("frame not masked; a client must mask")),
        row("an unmasked ping", and_more(b"\x89\x00".to_vec()), broken("frame not masked; a client must mask")),
        row("an unmasked Close", b"\x88\x02\x03\xe8".to_vec(), broken("frame not masked; a client must mask")),
        row(
            "unmasked amid a message",
            [frame(0x01, b"a"), b"\x80\x01b".to_vec()].concat(),
            broken("frame not masked; a client must mask"),
        ),
        row(
            "RSV1 without an extension",
            and_more(frame(0xc1, b"")),
            broken("reserved bits 100 set, no extension uses them"),
        ),
        row("RSV2", and_more(frame(0xa1, b"")), broken("reserved bits 010 set, no extension uses them")),
        row("RSV3", and_more(frame(0x91, b"")), broken("reserved bits 001 set, no extension uses them")),
        row("all reserved bits", and_more(frame(0xf2, b"")), broken("reserved bits 111 set, no extension uses them")),
        row("RSV1 on a ping", and_more(frame(0xc9, b"")), broken("reserved bits 100 set, no extension uses them")),
        row("RSV1 on a Close", and_more(frame(0xc8, b"")), broken("reserved bits 100 set, no extension uses them")),
        row(
            "RSV1 on a continuation",
            and_more([frame(0x01, b"a"), frame(0xc0, b"")].concat()),
            broken("reserved bits 100 set, no extension uses them"),
        ),
        row("a ping without FIN", and_more(frame(0x09, b"x")), broken("control frame without FIN")),
        row("a pong without FIN", and_more(frame(0x0a, b"x")), broken("control frame without FIN")),
        row("a Close without FIN", and_more(frame(0x08, b"")), broken("control frame without FIN")),
        row(
            "a ping of 126",
            and_more(frame(0x89, &[0; 126])),
            broken("control frame of 126 bytes, at most 125 allowed"),
        ),
        row(
            "a ping that claims 2^63-1",
            b"\x89\xff\x7f\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            broken("control frame of 9223372036854775807 bytes, at most 125 allowed"),
        ),
        row(
            "a ping that claims 60,000",
            b"\x89\xfe\xea\x60".to_vec(),
            broken("control frame of 60000 bytes, at most 125 allowed"),
        ),
        row(
            "a Close of 126",
            and_more(frame(0x88, &[3; 126])),
            broken("control frame of 126 bytes, at most 125 allowed"),
        ),
        row("a Close of one byte", and_more(frame(0x88, b"\x03")), broken("close frame of one byte")),
        row(
            "a continuation first",
            and_more(frame(0x80, b"x")),
            broken("continuation frame, but no message has begun"),
        ),
        row(
            "a continuation behind a whole message",
            and_more([frame(0x8a, b""), frame(0x00, b"x")].concat()),
            broken("continuation frame, but no message has begun"),
        ),
        row(
            "text amid a message",
            and_more([frame(0x01, b"a"), frame(0x81, b"b")].concat()),
            broken("new message amid a fragmented one"),
        ),
        row(
            "binary amid a text",
            and_more([frame(0x01, b"a"), frame(0x02, b"b")].concat()),
            broken("new message amid a fragmented one"),
        ),
        row(
            "5 in 16 bits",
            and_more(b"\x81\xfe\x00\x05\0\0\0\0hello".to_vec()),
            broken("length 5 not in its shortest form"),
        ),
        row("125 in 16 bits", b"\x81\xfe\x00\x7d".to_vec(), broken("length 125 not in its shortest form")),
        row("0 in 64 bits", b"\x81\xff\0\0\0\0\0\0\0\0".to_vec(), broken("length 0 not in its shortest form")),
        row(
            "65,535 in 64 bits",
            b"\x81\xff\0\0\0\0\0\0\xff\xff".to_vec(),
            broken("length 65535 not in its shortest form"),
        ),
        row("length 2^64-1", b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), broken("length over 2^63-1")),
        row("length 2^63", b"\x82\xff\x80\0\0\0\0\0\0\0".to_vec(), broken("length over 2^63-1")),
        row("bytes of another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), broken("opcode 0x7 is reserved")),
    ];
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        let reason = format!("opcode {opcode:#x} is reserved");
        rows.push(row(format!("opcode {opcode:x}"), and_more(frame(0x80 | opcode, b"")), broken(&reason)));
        rows.push(row(format!("opcode {opcode:x} without FIN"), frame(opcode, b""), broken(&reason)));
    }
    check(&rows);
}

#[test]
fn lengths_that_are_only_claimed() {
    let too_big = || closed(1009, "message over 65536 bytes");
    let claim = |first: u8, len: u64| [&[first, 0xff][..], &len.to_be_bytes()].concat();
    check(&[
        row("length 2^63-1", claim(0x82, (1 << 63) - 1), too_big()),
        row("length 2^53", claim(0x82, 1 << 53), too_big()),
        row("length 2^53-1", claim(0x81, (1 << 53) - 1), too_big()),
        row("length 2^40", claim(0x82, 1 << 40), too_big()),
        row("length 2^32", claim(0x82, 1 << 32), too_big()),
        row("length 2^31", claim(0x81, 1 << 31), too_big()),
        // 2^32 and a little: where a cast to 32 bits leaves the little.
        row("length 2^32 + 5", claim(0x82, (1 << 32) + 5), too_big()),
        row("the limit and 1", claim(0x81, 65_537), too_big()),
        row("the limit and 1 in a continuation", [frame(0x01, b"a"), claim(0x80, 65_536)].concat(), too_big()),
        // Sums that overflow 64 bits when they are added before they are compared.
        row("a sum over 2^63", [frame(0x02, &[0; 100]), claim(0x80, (1 << 63) - 1)].concat(), too_big()),
    ]);
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
    let bad = || closed(1007, "text is not UTF-8");
    let mut rows = vec![
        row(
            "begun in one fragment and spoilt in the next",
            [frame(0x01, b"\xe2\x82"), frame(0x80, b"x")].concat(),
            bad(),
        ),
        row("cut at the end", [frame(0x01, b"a\xe2"), frame(0x80, b"\x82")].concat(), bad()),
        row("a surrogate over two fragments", [frame(0x01, b"\xed"), frame(0x00, b"\xa0")].concat(), bad()),
        row("known before the end of the frame", frame(0x81, b"\xff and a tail that never comes")[..7].to_vec(), bad()),
        row("known before the end of the message", frame(0x01, b"\xf4\x90"), bad()),
        row("behind good text", [frame(0x01, "κόσμε".as_bytes()), frame(0x00, b"\xfe")].concat(), bad()),
        row("in a reason", frame(0x88, b"\x03\xe8\xff"), bad()),
        row("a reason cut inside a character", frame(0x88, b"\x03\xe8\xe2\x82"), bad()),
    ];
    for bytes in [
        &b"\xff"[..],
        b"\xfe",
        b"\x80",
        b"\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xc0\x80",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"caf\xe9",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ] {
        rows.push(row(format!("{bytes:x?}"), and_more(frame(0x81, bytes)), bad()));
    }
    check(&rows);
}

#[test]
fn closes() {
    let mut rows = vec![
        row("empty", CLOSE, CLOSE_ANSWERED),
        row("empty, and data behind it", and_more(CLOSE.to_vec()), CLOSE_ANSWERED),
        row("and a violation behind it", [CLOSE, b"\xff\xff\xff\xff"].concat(), CLOSE_ANSWERED),
        row("twice", [CLOSE, CLOSE].concat(), CLOSE_ANSWERED),
        row("and 100 KB behind it", [CLOSE.to_vec(), vec![0x81; 100_000]].concat(), CLOSE_ANSWERED),
        row("amid a message", [frame(0x01, b"begun"), CLOSE.to_vec()].concat(), CLOSE_ANSWERED),
        row("with a reason", frame(0x88, b"\x03\xe8bye"), closed(1000, "")),
        row("with a reason of 123 bytes", frame(0x88, &[&b"\x03\xe8"[..], &[b'x'; 123]].concat()), closed(1000, "")),
    ];
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4001, 4999]) {
        rows.push(row(code.to_string(), and_more(frame(0x88, &u16::to_be_bytes(code))), closed(code, "")));
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let answer = closed(1002, &format!("close code {code} may not be sent"));
        rows.push(row(code.to_string(), and_more(frame(0x88, &u16::to_be_bytes(code))), answer));
    }
    check(&rows);
}

/// What is strange and allowed comes back.
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

/// A client that goes without a word, at any point, is nobody's trouble.
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
