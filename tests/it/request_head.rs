//! Rows of request heads and their content. Rows of refused heads are beside `proto::handshake`.

use salon::proto::ClientContext;
use salon::proto::handshake::{Accept, HeadScanner, MAX_HEADERS, Request, RequestError};

fn check<T: PartialEq + std::fmt::Debug>(head: &str, read: impl Fn(&Request<'_>) -> T, expected: T) {
    let request = Request::parse(head.as_bytes()).expect(head);
    assert_eq!(read(&request), expected, "{head}");
}

#[test]
fn the_request_line() {
    for (head, method, target, path, query, minor_version) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", "/", "", 1),
        ("POST /a/b?c=d&e HTTP/1.1\r\nHost: h\r\n\r\n", "POST", "/a/b?c=d&e", "/a/b", "c=d&e", 1),
        ("HEAD /a?b?c HTTP/1.0\r\nHost: h\r\n\r\n", "HEAD", "/a?b?c", "/a", "b?c", 0),
        // RFC 9112 §3.2 asks for Host in HTTP/1.1 only.
        ("GET /health HTTP/1.0\r\n\r\n", "GET", "/health", "/health", "", 0),
        // §3.2.2: of an absolute target the path is the part behind the host.
        ("GET http://i/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "http://i/a?b", "/a", "b", 1),
        ("GET https://i:8/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "https://i:8/a", "/a", "", 1),
        ("GET HttpS://i HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "HttpS://i", "/", "", 1),
        ("GET http://i?b/c HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "http://i?b/c", "/", "b/c", 1),
        ("GET /http://i/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/http://i/a", "/http://i/a", "", 1),
        ("GET ftp://i/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "ftp://i/a", "ftp://i/a", "", 1),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "*", "*", "", 1),
    ] {
        check(
            head,
            |request| {
                let line = [request.method(), request.target(), request.path(), request.query()].map(String::from);
                (line, request.minor_version())
            },
            ([method, target, path, query].map(String::from), minor_version),
        );
    }
}

/// RFC 9112 section 3.2.2: the host of an absolute target takes the place of the header.
#[test]
fn which_host_is_meant() {
    for (target, host, expected) in [
        ("/", "Host: h:1\r\n", Some("h:1")),
        ("http://i:2/", "Host: h:1\r\n", Some("i:2")),
        ("https://[::1]", "Host: h\r\n", Some("[::1]")),
        ("https://i?x", "Host:\r\n", Some("i")),
        ("/", "Host:\r\n", Some("")),
    ] {
        check(
            &format!("GET {target} HTTP/1.1\r\n{host}\r\n"),
            |request| request.host().map(String::from),
            expected.map(String::from),
        );
    }
    for target in ["http://", "http:///a", "http://?a", "https://me@h/", "http://a b/", "http://h\"/"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(Request::parse(head.as_bytes()).is_err(), "{target}");
    }
}

/// RFC 9112 section 9.3.
#[test]
fn requests_that_keep_the_connection() {
    for (version, connection, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Upgrade, Close\r\n", false),
        ("1.0", "", false),
        // A client of 1.0 would need an answer that says so to be kept; it is closed instead.
        ("1.0", "Connection: Keep-Alive\r\n", false),
        ("1.0", "Connection: close\r\n", false),
    ] {
        check(&format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n"), |request| request.keeps_alive(), stays);
    }
}

#[test]
fn requests_for_another_protocol() {
    for (header, wants) in [
        ("", false),
        ("Connection: Upgrade\r\n", false),
        ("Upgrade: h2c\r\n", true),
        ("Sec-WebSocket-Key: x\r\n", true),
        ("Sec-WebSocket-Version: 13\r\n", true),
    ] {
        check(&format!("GET / HTTP/1.1\r\nHost: h\r\n{header}\r\n"), |request| request.wants_upgrade(), wants);
    }
}

/// RFC 6455 section 9.1: the extensions of all headers are one list, in their order.
#[test]
fn what_is_offered() {
    for (headers, expected) in [
        ("", None),
        ("Sec-WebSocket-Extensions: x\r\n", None),
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", Some(15)),
        ("SEC-WEBSOCKET-EXTENSIONS: x, permessage-deflate; server_max_window_bits=9\r\n", Some(9)),
        (
            "Sec-WebSocket-Extensions: x\r\nA: permessage-deflate\r\n\
            Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate\r\n",
            Some(10),
        ),
    ] {
        check(
            &format!(
                "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
            ),
            |request| {
                let agreed = request.upgrade().unwrap().deflate(ClientContext::Kept).encode(&mut Vec::new());
                agreed.deflate().map(|agreed| agreed.server_window_bits())
            },
            expected,
        );
    }
}

#[test]
fn a_head_is_all_that_is_parsed() {
    let bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\x81\x80\0\0\0\0";
    assert_eq!(Request::parse(bytes).map(|_| ()), Err(RequestError::Malformed));
}

/// What is one header too many is refused at its first byte and not at its end.
#[test]
fn one_header_too_many_is_known_when_it_begins() {
    let mut head = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(MAX_HEADERS));
    let mut scanner = HeadScanner::default();
    assert_eq!(scanner.scan(head.as_bytes()), Ok(None));
    head.push('A');
    assert_eq!(scanner.scan(head.as_bytes()), Err(RequestError::TooManyHeaders));
}

#[test]
fn how_it_is_told() {
    assert_eq!(format!("{:?}", Accept::of_key("dGhlIHNhbXBsZSBub25jZQ==")), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(RequestError::TooManyHeaders.to_string().contains("100"), "{}", RequestError::TooManyHeaders);
}
