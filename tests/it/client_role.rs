//! A client of `salon::proto`: rows of a server's bytes, and a server that was written elsewhere.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use salon::proto::client_handshake::{ClientRequest, Response, ResponseScanner};
use salon::proto::frame::{Opcode, encode_masked_frame};
use salon::proto::receiver::{Receiver, Role};
use salon::proto::{CloseCode, Event, Limits, ProtocolError};
use tungstenite::Message;
use tungstenite::handshake::server;
use tungstenite::http::HeaderValue;

const ENOUGH: CloseCode = CloseCode::new(4000).expect("one of the application's");

const LIMITS: Limits = Limits::new().message_bytes(300).fragments(3);
const CLOSING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The events of a client for the pieces, and the bytes it owes.
fn heard(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let mut connection = Receiver::client(LIMITS, CLOSING_KEY);
    let (mut told, mut reply) = (Vec::new(), Vec::new());
    for piece in pieces {
        let (mut input, mut at) = (piece.to_vec(), 0);
        while let (taken, Some(event)) = connection.decode(&mut input[at..], &mut reply) {
            at += taken;
            told.push(format!("{event:?}"));
        }
    }
    (told, reply)
}

/// The key is secret (section 5.3), so it stands in no log.
#[test]
fn what_is_printed_of_a_connection_has_no_key_in_it() {
    let closing_key = [201, 202, 203, 204];
    let printed = format!("{:?} {:?}", Receiver::client(LIMITS, closing_key), Role::Client { closing_key });
    assert!(
        printed.contains("Client") && closing_key.iter().all(|part| !printed.contains(&part.to_string())),
        "{printed}"
    );
}

/// A Close as this client sends it.
fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode_masked_frame(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat(), CLOSING_KEY, &mut out);
    out
}

#[test]
fn what_a_server_sends() {
    let failed = |error: ProtocolError| format!("{:?}", Event::Failed(error));
    let text = |text| format!("{:?}", Event::Text(text));
    let masked = "frame masked; a server must not mask";
    for (bytes, told, reply) in [
        // §5.7's examples.
        (&b"\x81\x05Hello"[..], vec![text("Hello")], vec![]),
        (b"\x01\x03Hel\x80\x02lo", vec![text("Hello")], vec![]),
        (b"\x01\x03Hel\x89\x01?\x80\x02lo", vec![format!("{:?}", Event::Ping(b"?")), text("Hello")], vec![]),
        // §5.1: a client closes the connection if it detects a masked frame. The key need not have come.
        (
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            vec![failed(ProtocolError::WrongMasking { masked: true })],
            close(1002, masked),
        ),
        (b"\x88\x80", vec![failed(ProtocolError::WrongMasking { masked: true })], close(1002, masked)),
        // §5.5.1: the answer to a Close carries its code; the mask is the one that was kept for it.
        (
            b"\x88\x05\x03\xe9bye\x81\x01x",
            vec![format!("{:?}", Event::Close(Some((CloseCode::GOING_AWAY, "bye"))))],
            close(1001, ""),
        ),
        (b"\x88\x00", vec![format!("{:?}", Event::Close(None))], b"\x88\x80\x37\xfa\x21\x3d".to_vec()),
        // Frames that a server must not send either.
        (
            b"\xc1\x00",
            vec![failed(ProtocolError::ReservedBits(4))],
            close(1002, "reserved bits 100 set, no extension uses them"),
        ),
        (b"\x81\x02\xff\xff", vec![failed(ProtocolError::InvalidUtf8)], close(1007, "text is not UTF-8")),
        (
            b"\x82\x7e\x01\x2d",
            vec![failed(ProtocolError::MessageTooBig { limit: 300 })],
            close(1009, "message over 300 bytes"),
        ),
    ] {
        let expected = (told, reply);
        assert_eq!(heard(&[bytes]), expected, "whole: {bytes:02x?}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(heard(&single), expected, "one byte at a time: {bytes:02x?}");
    }
}

#[test]
fn a_client_that_closes_hears_no_more_than_the_answer() {
    let mut connection = Receiver::client(LIMITS, CLOSING_KEY);
    assert_eq!(connection.role(), Role::Client { closing_key: CLOSING_KEY });
    let mut out = Vec::new();
    connection.close(CloseCode::NORMAL, "", &mut out);
    connection.close(CloseCode::GOING_AWAY, "again", &mut out);
    connection.fail(CloseCode::INTERNAL_ERROR, "", &mut out);
    assert_eq!(out, close(1000, ""), "one Close, so one key is enough");

    let mut connection = Receiver::client(LIMITS, CLOSING_KEY);
    connection.close(CloseCode::NORMAL, "", &mut Vec::new());
    let mut input = b"\x81\x04late\x88\x02\x03\xe8".to_vec();
    let mut reply = Vec::new();
    let (taken, event) = connection.decode(&mut input, &mut reply);
    assert_eq!((taken, event), (10, Some(Event::Close(Some((CloseCode::NORMAL, ""))))));
    assert!(reply.is_empty() && connection.is_closed());
}

/// An idle connection stays as small as it is for a server.
#[test]
fn the_role_costs_no_room() {
    assert_eq!(size_of::<Receiver>(), 32);
}

/// Reads until there is an event, and gives it to `hear`.
fn next<T>(
    stream: &mut UnixStream,
    connection: &mut Receiver,
    input: &mut Vec<u8>,
    hear: impl FnOnce(Event<'_>) -> T,
) -> T {
    let mut reply = Vec::new();
    loop {
        let (taken, event) = connection.decode(input, &mut reply);
        if let Some(event) = event {
            let heard = hear(event);
            input.drain(..taken);
            stream.write_all(&reply).unwrap();
            return heard;
        }
        input.clear();
        let mut buffer = [0; 1000];
        let len = stream.read(&mut buffer).unwrap();
        assert!(len > 0, "the server is still there");
        input.extend_from_slice(&buffer[..len]);
    }
}

#[test]
#[allow(clippy::result_large_err, reason = "tungstenite's callback is what it is")]
fn a_server_of_tungstenite_takes_it_for_a_client() {
    let (mut stream, theirs) = UnixStream::pair().unwrap();
    for end in [&stream, &theirs] {
        end.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    let server = std::thread::spawn(move || {
        let mut socket =
            tungstenite::accept_hdr(theirs, |request: &server::Request, mut response: server::Response| {
                assert_eq!(request.uri(), "/chat?x=1");
                assert_eq!(request.headers()["sec-websocket-protocol"], "salon.v1, other");
                response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("other"));
                Ok(response)
            })
            .unwrap();
        loop {
            match socket.read().unwrap() {
                Message::Close(body) => {
                    // Its answer is written by the next call, which then finds all done.
                    assert!(matches!(socket.flush(), Err(tungstenite::Error::ConnectionClosed)));
                    break body;
                }
                message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).unwrap(),
                _ => {}
            }
        }
    });

    let protocols = ["salon.v1", "other"];
    let request = ClientRequest::new("localhost", *b"0123456789abcdef").target("/chat?x=1").protocols(&protocols);
    let mut output = Vec::new();
    request.encode(&mut output).unwrap();
    stream.write_all(&output).unwrap();
    let (mut input, mut scanner) = (Vec::new(), ResponseScanner::default());
    let head_len = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        input.extend_from_slice(&byte);
        if let Some(len) = scanner.scan(&input).unwrap() {
            break len;
        }
    };
    let agreed = Response::parse(&input[..head_len]).unwrap().accept(&request).unwrap();
    assert_eq!(agreed.protocol(), Some("other"));
    input.clear();

    let mut connection = Receiver::client(Limits::default(), CLOSING_KEY);
    for (n, said) in ["", "hello", "κόσμε", &"x".repeat(126), &"y".repeat(60_000)].iter().enumerate() {
        let mut output = Vec::new();
        encode_masked_frame(Opcode::Text, said.as_bytes(), [n as u8, 0x80, 0x7f, 0xff], &mut output);
        encode_masked_frame(Opcode::Binary, said.as_bytes(), [0xfe, n as u8, 1, 2], &mut output);
        stream.write_all(&output).unwrap();
        let text = next(&mut stream, &mut connection, &mut input, |event| format!("{event:?}"));
        assert_eq!(text, format!("{:?}", Event::Text(said)));
        let binary = next(&mut stream, &mut connection, &mut input, |event| format!("{event:?}"));
        assert_eq!(binary, format!("{:?}", Event::Binary(said.as_bytes())));
    }
    // A ping is answered with the same; then the client ends it.
    let mut output = Vec::new();
    encode_masked_frame(Opcode::Ping, b"?", [9, 8, 7, 6], &mut output);
    stream.write_all(&output).unwrap();
    next(&mut stream, &mut connection, &mut input, |event| assert_eq!(event, Event::Pong(b"?")));
    let mut output = Vec::new();
    connection.close(ENOUGH, "enough", &mut output);
    stream.write_all(&output).unwrap();
    next(&mut stream, &mut connection, &mut input, |event| {
        assert!(matches!(event, Event::Close(Some((ENOUGH, _)))), "{event:?}");
    });
    let body = server.join().unwrap().expect("a code");
    assert_eq!((u16::from(body.code), body.reason.as_str()), (4000, "enough"));
}
