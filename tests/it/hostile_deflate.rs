//! Compressed messages nobody should send, and offers nobody should make, over real sockets.
//!
//! Each row is the exact bytes and the exact answer, run as `tests/it/common/rows.rs` says. Rows of the protocol alone,
//! in every split and with both kinds of context, are in `tests/it/deflate.rs`.

use crate::common::Server;
use crate::common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, UPGRADE, closed, frame, text, told, welcome};

type Row = (&'static str, Vec<u8>, Vec<u8>);

/// The opening handshake with this offer.
fn offering(target: &str, offer: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{UPGRADE}Sec-WebSocket-Extensions: {offer}\r\n\r\n").into_bytes()
}

/// The answer that agrees to it.
fn agreed(answer: &str) -> Vec<u8> {
    format!("{}Sec-WebSocket-Extensions: {answer}\r\n\r\n", SWITCHED.trim_end_matches("\r\n").to_owned() + "\r\n")
        .into()
}

const DOOR: &str = "/ws?user=USER0000";
const BOTH_RESET: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Rows at the chat's JSON door, where the limit is 64 KiB and no context is kept.
fn check(rows: &[Row]) {
    let server = Server::serve(&["--rate", "off", "--deflate"]);
    let mut neighbour = Neighbour::chat(&server);
    let opened = [agreed(BOTH_RESET), welcome("USER0000")].concat();
    for (name, bytes, answer) in rows {
        let bytes = [&offering(DOOR, "permessage-deflate"), &bytes[..]].concat();
        neighbour.check(&server, name, &bytes, &[&opened, &answer[..]].concat());
    }
}

/// The payload of a compressed message, made by a stream of flate2's own.
fn deflated(data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut stream = flate2::Compress::new(flate2::Compression::best(), false);
    let mut out = Vec::with_capacity(2 * data.as_ref().len() + 100);
    stream.compress_vec(data.as_ref(), &mut out, flate2::FlushCompress::Sync).unwrap();
    out.strip_suffix(b"\x00\x00\xff\xff").expect("a sync flush ends so").to_vec()
}

const PING: &str = r#"{"type":"ping","id":1}"#;

fn pong() -> Vec<u8> {
    told(0x81, br#"{"type":"pong","id":1,"ts":0000000000000}"#)
}

/// Later messages are answered as well, and the end is in order.
fn lives(bytes: Vec<u8>) -> Vec<u8> {
    [bytes, text(PING), frame(0xc1, &deflated(PING)), CLOSE.to_vec()].concat()
}

fn answered(answer: Vec<u8>) -> Vec<u8> {
    [answer, pong().repeat(2), CLOSE_ANSWERED.to_vec()].concat()
}

/// A ping of the chat that is as long as this.
fn long_ping(len: usize) -> Vec<u8> {
    let around = r#"{"type":"ping","id":1,"x":""}"#.len();
    deflated(format!(r#"{{"type":"ping","id":1,"x":"{}"}}"#, "x".repeat(len - around)))
}

/// One message in frames of these payloads.
fn in_frames(payloads: &[&[u8]]) -> Vec<u8> {
    let last = payloads.len() - 1;
    let first = |at: usize| if at == 0 { 0x41 } else { 0x00 } | if at == last { 0x80 } else { 0x00 };
    payloads.iter().enumerate().flat_map(|(at, payload)| frame(first(at), payload)).collect()
}

/// 60 MiB of zeros in 61 KB.
fn bomb() -> Vec<u8> {
    let mut mebibyte = Vec::with_capacity(8 << 10);
    let mut stream = flate2::Compress::new(flate2::Compression::best(), false);
    // A mebibyte behind a full flush refers to nothing before it, so it can be said again.
    stream.compress_vec(&vec![0; 1 << 20], &mut mebibyte, flate2::FlushCompress::Full).unwrap();
    let bomb = mebibyte.repeat(60);
    bomb.strip_suffix(b"\x00\x00\xff\xff").expect("a flush ends so").to_vec()
}

#[test]
fn the_inflated_size_has_the_limit() {
    let too_big = || closed(1009, "message over 65536 bytes");
    let bomb = bomb();
    assert!(bomb.len() <= 65_536, "on the wire it is within the limit");
    let (most, too_many) = (long_ping(65_536), long_ping(65_537));
    let halves = |payload: &[u8]| {
        let (left, right) = payload.split_at(payload.len() / 2);
        in_frames(&[left, b"", right])
    };
    check(&[
        ("a bomb", frame(0xc1, &bomb), too_big()),
        ("a bomb in pieces", in_frames(&bomb.chunks(1000).collect::<Vec<_>>()), too_big()),
        ("65,536 bytes", lives(frame(0xc1, &most)), answered(pong())),
        ("65,537 bytes", frame(0xc1, &too_many), too_big()),
        ("65,536 bytes in fragments", lives(halves(&most)), answered(pong())),
        ("65,537 bytes in fragments", halves(&too_many), too_big()),
        // On the wire: by the header, before there is anything to inflate.
        ("65,537 bytes on the wire", b"\xc1\xff\0\0\0\0\0\x01\0\x01".to_vec(), too_big()),
    ]);
}

#[test]
fn what_is_not_deflate() {
    let corrupt = || closed(1007, "compressed data is corrupt");
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let not_utf8 = || closed(1007, "text is not UTF-8");
    let reserved = || closed(1002, "reserved bits 100 set, no extension uses them");
    let no_json = || {
        told(
            0x81,
            br#"{"type":"error","code":"bad_json","message":"expected one JSON object, found what is not JSON at line 1 column 1","retry":false}"#,
        )
    };
    let empty = || {
        told(
            0x81,
            br#"{"type":"error","code":"bad_json","message":"expected one JSON object, found an end too early at line 1 column 0","retry":false}"#,
        )
    };
    let finals = |count: usize| [&b"\x03\x00".repeat(count)[..], hello].concat();
    let whole = deflated(PING);
    check(&[
        ("a message", lives(frame(0xc1, &whole)), answered(pong())),
        ("garbage", frame(0xc1, b"\xff\xff\xff\xff"), corrupt()),
        ("garbage in binary", frame(0xc2, b"\x06"), corrupt()),
        ("plain text under RSV1", frame(0xc1, PING.as_bytes()), corrupt()),
        ("a byte missing", frame(0xc1, &whole[..whole.len() - 1]), corrupt()),
        ("not cut behind the flush", frame(0xc1, &[&whole[..], b"\x00\x00\xff\xff"].concat()), corrupt()),
        ("a distance too far", frame(0xc1, b"\x02\x08\x21\x00"), corrupt()),
        (
            "a distance into the last message",
            [frame(0xc1, hello), frame(0xc1, b"\xf2\x00\x11\x00\x00")].concat(),
            [no_json(), corrupt()].concat(),
        ),
        ("a good fragment and a bad one", in_frames(&[&whole, b"\xff"]), corrupt()),
        ("a final block", lives(frame(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), answered(no_json())),
        ("an empty block", lives(frame(0xc1, b"\x00")), answered(empty())),
        ("nothing at all", lives(frame(0xc1, b"")), answered(empty())),
        ("65 final blocks", lives(frame(0xc1, &finals(64))), answered(no_json())),
        (
            "66 final blocks",
            frame(0xc1, &finals(65)),
            closed(1008, "more than 64 final blocks in a compressed message"),
        ),
        ("not UTF-8 once inflated", frame(0xc1, &deflated(b"\xed\xa0\x80")), not_utf8()),
        ("cut inside a character once inflated", frame(0xc1, &deflated(b"\xe2\x82")), not_utf8()),
        ("RSV1 on a continuation", [frame(0x41, &whole[..3]), frame(0xc0, &whole[3..])].concat(), reserved()),
        ("RSV1 on the end of a plain message", [frame(0x01, b"{"), frame(0xc0, b"}")].concat(), reserved()),
        ("RSV1 on a ping", frame(0xc9, &deflated("x")), reserved()),
        ("RSV1 on a Close", frame(0xc8, b""), reserved()),
        ("RSV1 and RSV2", frame(0xe1, &whole), closed(1002, "reserved bits 110 set, no extension uses them")),
        ("1,024 fragments", lives(in_frames(&[&[&whole[..]], &[&b""[..]; 1023][..]].concat())), answered(pong())),
        (
            "1,025 fragments",
            in_frames(&[&[&whole[..]], &[&b""[..]; 1024][..]].concat()),
            closed(1008, "message in more than 1024 fragments"),
        ),
        (
            "Close amid a message",
            [frame(0x41, &whole[..3]), CLOSE.to_vec(), frame(0x80, &whole[3..])].concat(),
            CLOSE_ANSWERED.to_vec(),
        ),
        (
            "binary",
            [frame(0xc2, &whole), CLOSE.to_vec()].concat(),
            closed(1003, "expected text, found a binary message"),
        ),
    ]);
}

/// An offer that cannot be had is no reason to refuse the connection.
#[test]
fn offers() {
    let declined = || [SWITCHED.as_bytes(), &welcome("USER0000"), &pong(), CLOSE_ANSWERED].concat();
    let agreed = |answer: &str| [&agreed(answer), &welcome("USER0000"), &pong()[..], CLOSE_ANSWERED].concat();
    let malformed = || {
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 96\r\nConnection: close\r\n\
            X-Content-Type-Options: nosniff\r\n\r\n{\"error\":\"Sec-WebSocket-Extensions must be a list of extensions, each a \
            token with parameters\"}\n"
            .to_vec()
    };
    let server = Server::serve(&["--rate", "off", "--deflate"]);
    let mut neighbour = Neighbour::chat(&server);
    for (offer, answer) in [
        ("permessage-deflate", agreed(BOTH_RESET)),
        ("permessage-deflate; client_max_window_bits", agreed(BOTH_RESET)),
        ("permessage-deflate; server_max_window_bits=9", agreed(&format!("{BOTH_RESET}; server_max_window_bits=9"))),
        ("permessage-deflate; server_max_window_bits=15", agreed(&format!("{BOTH_RESET}; server_max_window_bits=15"))),
        ("permessage-deflate; client_max_window_bits=8", agreed(&format!("{BOTH_RESET}; client_max_window_bits=8"))),
        ("permessage-deflate; server_max_window_bits=8", declined()),
        ("permessage-deflate; server_max_window_bits=7", declined()),
        ("permessage-deflate; server_max_window_bits=16", declined()),
        ("permessage-deflate; server_max_window_bits", declined()),
        ("permessage-deflate; client_max_window_bits=7", declined()),
        ("permessage-deflate; client_max_window_bits=16", declined()),
        ("permessage-deflate; client_max_window_bits=4294967304", declined()),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", declined()),
        ("permessage-deflate; server_no_context_takeover=1", declined()),
        ("permessage-deflate; unknown", declined()),
        ("Permessage-Deflate", declined()),
        ("x-webkit-deflate-frame", declined()),
        ("permessage-deflate; unknown, permessage-deflate", agreed(BOTH_RESET)),
        ("x; a=\"permessage\\-deflate\", permessage-deflate", agreed(BOTH_RESET)),
        ("x\r\nSec-WebSocket-Extensions: permessage-deflate", agreed(BOTH_RESET)),
        ("permessage-deflate; a=%0d%0aSet-Cookie, permessage-deflate", agreed(BOTH_RESET)),
        // A value that does not conform is no offer, wherever it stands (RFC 6455 section 9.1).
        ("permessage-deflate; \"", malformed()),
        ("permessage-deflate, permessage-deflate; a=", malformed()),
        ("x; a=\"permessage-deflate, \\\"\", permessage-deflate", malformed()),
    ] {
        let bytes = [&offering(DOOR, offer), &text(PING)[..], CLOSE].concat();
        neighbour.check(&server, offer, &bytes, &answer);
    }
    // A message compressed without agreement is refused.
    let bytes = [offering(DOOR, "permessage-deflate; unknown"), frame(0xc1, &deflated(PING))].concat();
    let reason = "reserved bits 100 set, no extension uses them";
    let answer = [SWITCHED.as_bytes(), &welcome("USER0000"), &closed(1002, reason)].concat();
    neighbour.check(&server, "compressed without an agreement", &bytes, &answer);
}

/// The echo server lets a client keep its context; section 7.2.3.2.
#[test]
fn a_context_that_is_kept() {
    let server = Server::echo();
    let mut neighbour = Neighbour::echo(&server);
    let answer = agreed("permessage-deflate; server_no_context_takeover");
    let (hello, again) = (frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"), frame(0xc1, b"\xf2\x00\x11\x00\x00"));
    let corrupt = closed(1007, "compressed data is corrupt");
    for (name, bytes, told) in [
        (
            "the same words",
            [&hello, &again, &again, CLOSE].concat(),
            [&told(0x81, b"Hello").repeat(3), CLOSE_ANSWERED].concat(),
        ),
        (
            "with a plain message between",
            [&hello, &text("plain"), &again, CLOSE].concat(),
            [&told(0x81, b"Hello"), &told(0x81, b"plain"), &told(0x81, b"Hello"), CLOSE_ANSWERED].concat(),
        ),
        ("before the first", again.clone(), corrupt),
    ] {
        let bytes = [offering("/", "permessage-deflate"), bytes].concat();
        neighbour.check(&server, name, &bytes, &[&answer[..], &told].concat());
    }
}
