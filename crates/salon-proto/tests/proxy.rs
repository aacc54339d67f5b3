//! The example `proxy` between two ends that speak raw bytes: which frames it hands on.

#[allow(dead_code, reason = "the example has a `main`")]
#[path = "../examples/proxy.rs"]
mod proxy;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Both ends of a connection over loopback.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// What the server hears behind the request, what it answers (a head with these lines) before its frames, and what the
/// client hears, which sends its frames without waiting for that.
fn through(status: &str, lines: &str, of_server: &[u8], of_client: &[u8]) -> (Vec<u8>, String, Vec<u8>) {
    let ((mut client, near), (far, mut server)) = (pair(), pair());
    thread::spawn(move || proxy::connect(&near, &far));
    client.write_all(&[REQUEST.as_bytes(), of_client].concat()).unwrap();
    let mut head = [0; REQUEST.len()];
    server.read_exact(&mut head).unwrap();
    assert_eq!(head, REQUEST.as_bytes());
    let answer = format!("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 {status}\r\n{lines}\r\n");
    server.write_all(&[answer.as_bytes(), of_server].concat()).unwrap();
    for stream in [&client, &server] {
        // An error has ended it already.
        drop(stream.shutdown(std::net::Shutdown::Write));
    }
    let (mut hears, mut heard) = (Vec::new(), Vec::new());
    server.read_to_end(&mut hears).unwrap();
    client.read_to_end(&mut heard).unwrap();
    (hears, answer, heard)
}

/// RSV1 goes through where the two ends have agreed to what it means, and only there (RFC 6455 section 5.2).
#[test]
fn frames_go_through_as_they_were_agreed_to() {
    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
    const TEXT: &[u8] = b"\x81\x02hi";
    const MASKED: &[u8] = b"\x81\x82\x01\x02\x03\x04hi";
    const COMPRESSED: &[u8] = b"\x41\x01x\x80\x02yz";
    const MASKED_COMPRESSED: &[u8] = b"\xc1\x82\x01\x02\x03\x04hi";
    const PING: &[u8] = b"\xc9\x82\x01\x02\x03\x04hi";
    let switched = "101 Switching Protocols";
    // The answer, the server's frames, the client's; and how many of each arrive.
    for (status, lines, of_server, of_client, arrive) in [
        (switched, "", TEXT, MASKED, (true, true)),
        (switched, DEFLATE, COMPRESSED, MASKED_COMPRESSED, (true, true)),
        (switched, DEFLATE, TEXT, MASKED, (true, true)),
        (switched, "", COMPRESSED, b"", (false, true)),
        (switched, "", b"", MASKED_COMPRESSED, (true, false)),
        (switched, DEFLATE, b"", PING, (true, false)),
        (switched, "", b"", TEXT, (true, false)),
        ("403 Forbidden", "", b"why", MASKED, (true, false)),
    ] {
        let (hears, answer, heard) = through(status, lines, of_server, of_client);
        assert_eq!(hears, if arrive.1 { of_client } else { b"" }, "{status} {lines}");
        // An error ends both directions, whatever was under way.
        match arrive {
            (true, true) => assert_eq!(heard, [answer.as_bytes(), of_server].concat(), "{status} {lines}"),
            _ => assert!([answer.as_bytes(), of_server].concat().starts_with(&heard), "{status} {lines}"),
        }
        assert!(arrive.0 || heard.len() <= answer.len(), "{status} {lines}");
    }
    let (_, _, heard) = through(switched, "Sec-WebSocket-Extensions: x-mux\r\n", b"", b"");
    assert_eq!(heard, b"HTTP/1.1 103 Hints\r\n\r\n", "an extension that is not known is not agreed to");
}
