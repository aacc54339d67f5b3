//! Requests nobody should send, over real sockets: the opening handshake and the HTTP doors.
//!
//! Each row is the exact bytes and the exact answer, run as `tests/it/common/rows.rs` says. The first words of a row
//! say what it is about.

use serde_json::Value;

use crate::common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, UPGRADE, closed, upgrade, welcome};
use crate::common::{Server, cases};

/// A response with a sentence, after which the connection ends.
fn refused(status: &str, headers: &str, sentence: &str) -> Vec<u8> {
    let body = format!("{}\n", serde_json::json!({ "error": sentence }));
    format!("{}{body}", head(status, headers, body.len())).into_bytes()
}

fn head(status: &str, headers: &str, len: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n{headers}Connection: close\r\n\
        X-Content-Type-Options: nosniff\r\n\r\n"
    )
}

fn bad(sentence: &str) -> Vec<u8> {
    refused("400 Bad Request", "", sentence)
}

fn not_found() -> Vec<u8> {
    refused("404 Not Found", "", "nothing is here; the chat page is at /")
}

fn upgrade_required() -> Vec<u8> {
    refused(
        "426 Upgrade Required",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        "this is a WebSocket door: Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Version: 13",
    )
}

fn wrong_version() -> Vec<u8> {
    refused("505 HTTP Version Not Supported", "", "HTTP/1.1 is required")
}

fn wrong_method(allow: &str) -> Vec<u8> {
    refused("405 Method Not Allowed", &format!("Allow: {allow}\r\n"), "method not allowed here")
}

fn head_too_large() -> Vec<u8> {
    let sentence = "header over 10240 bytes or request head over 16384 bytes";
    refused("431 Request Header Fields Too Large", "", sentence)
}

fn too_many_headers() -> Vec<u8> {
    refused("431 Request Header Fields Too Large", "", "more than 100 headers")
}

fn body_refused() -> Vec<u8> {
    bad("a body is not accepted here, or its length is not clear")
}

/// Let in as USER0000, and let out.
fn let_in() -> Vec<u8> {
    [SWITCHED.as_bytes(), &welcome("USER0000"), CLOSE_ANSWERED].concat()
}

/// The answer to the RFC's other example of a key, whose last four bits are not zero.
fn key_of_4_1() -> Vec<u8> {
    let accept = salon::proto::handshake::Accept::of_key("AQIDBAUGBwgJCgsMDQ4PEC==");
    let switched = SWITCHED.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept.as_str());
    [switched.as_bytes(), &welcome("USER0000"), CLOSE_ANSWERED].concat()
}

const DOOR: &str = "/ws?user=USER0000";

/// The opening handshake with something else in the place of a part, and then a Close frame.
fn with(part: &str, by: &str) -> Vec<u8> {
    let head = format!("GET {DOOR} HTTP/1.1\r\n{UPGRADE}\r\n");
    assert!(head.contains(part), "{part}");
    [head.replacen(part, by, 1).as_bytes(), CLOSE].concat()
}

/// A GET of `target` with these header lines, which ends the connection.
fn plain(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

type Row = (&'static str, Vec<u8>, Vec<u8>);

fn check(server: &Server, rows: &[Row]) {
    let mut neighbour = Neighbour::chat(server);
    for (name, bytes, expected) in rows {
        neighbour.check(server, name, bytes, expected);
    }
}

fn unlimited(more: &[&str]) -> Server {
    Server::serve(&[&["--rate", "off"], more].concat())
}

#[test]
fn upgrades_that_are_none() {
    check(
        &unlimited(&[]),
        &[
            ("POST", with("GET", "POST"), wrong_method("GET")),
            ("methods have a case", with("GET", "get"), wrong_method("GET")),
            ("HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), wrong_version()),
            ("HTTP/2.0", with("HTTP/1.1", "HTTP/2.0"), wrong_version()),
            ("HTTP/1.2", with("HTTP/1.1", "HTTP/1.2"), wrong_version()),
            ("no Upgrade", with("Upgrade: websocket\r\n", ""), upgrade_required()),
            ("Upgrade: h2c", with("Upgrade: websocket", "Upgrade: h2c"), upgrade_required()),
            ("Upgrade: websocket2", with("Upgrade: websocket", "Upgrade: websocket2"), upgrade_required()),
            ("Upgrade: web, socket", with("Upgrade: websocket", "Upgrade: web, socket"), upgrade_required()),
            ("no Connection", with("Connection: Upgrade\r\n", ""), upgrade_required()),
            ("Connection without it", with("Connection: Upgrade", "Connection: keep-alive"), upgrade_required()),
            ("Connection: notUpgrade", with("Connection: Upgrade", "Connection: notUpgrade"), upgrade_required()),
            ("version missing", with("Sec-WebSocket-Version: 13\r\n", ""), upgrade_required()),
            ("version 12", with("Version: 13", "Version: 12"), upgrade_required()),
            ("version 013", with("Version: 13", "Version: 013"), upgrade_required()),
            ("version 13, 8", with("Version: 13", "Version: 13, 8"), upgrade_required()),
            ("version with 0xff", with_bytes("Version: 13", b"Version: 13\xff"), upgrade_required()),
            (
                "version twice",
                with("Host", "Sec-WebSocket-Version: 13\r\nHost"),
                bad("Sec-WebSocket-Version may come only once"),
            ),
            ("key missing", with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), bad_key()),
            ("key empty", with("dGhlIHNhbXBsZSBub25jZQ==", ""), bad_key()),
            ("key of 15 bytes", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), bad_key()),
            ("key of 17 bytes", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWU="), bad_key()),
            ("key not base64", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q=="), bad_key()),
            ("key of another alphabet", with("dGhlIHNhbXBsZSBub25jZQ==", "_-hlIHNhbXBsZSBub25jZQ=="), bad_key()),
            ("key without padding", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"), bad_key()),
            ("key of 25 characters", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==="), bad_key()),
            ("key of 4 KiB", with("dGhlIHNhbXBsZSBub25jZQ==", &"QUFB".repeat(1024)), bad_key()),
            (
                "key twice",
                with("Host", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHost"),
                bad("Sec-WebSocket-Key may come only once"),
            ),
            ("no sub-protocol", offered("Protocol:"), bad_protocols()),
            ("only commas", offered("Protocol: ,, ,"), bad_protocols()),
            ("an empty sub-protocol", offered("Protocol: salon.v1,, x"), bad_protocols()),
            ("an empty sub-protocol behind", offered("Protocol: salon.v1,"), bad_protocols()),
            ("a sub-protocol twice", offered("Protocol: salon.v1, x, salon.v1"), bad_protocols()),
            ("twice in two headers", offered("Protocol: x\r\nSec-WebSocket-Protocol: x"), bad_protocols()),
            ("an empty second header", offered("Protocol: x\r\nSec-WebSocket-Protocol:"), bad_protocols()),
            ("no token at all", offered("Protocol: (),;\"salon.v1\"={}"), bad_protocols()),
            ("a quoted sub-protocol", offered("Protocol: \"salon.v1\""), bad_protocols()),
            ("two words", offered("Protocol: salon v1"), bad_protocols()),
            ("7,000 blanks", offered(&format!("Protocol: b{}x", " ".repeat(7000))), bad_protocols()),
            ("a comma 7,000 times", offered(&format!("Protocol: b{}", ",".repeat(7000))), bad_protocols()),
            ("the last of 1,500 twice", offered(&format!("Protocol: {}, p1499", numbered(1500))), bad_protocols()),
            ("no extension", offered("Extensions:"), bad_extensions()),
            ("only a comma", offered("Extensions: ,"), bad_extensions()),
            ("extensions of signs", offered("Extensions: ;;="), bad_extensions()),
            ("an open quotation", offered("Extensions: ,;=\"\\"), bad_extensions()),
            ("a quoted comma", offered("Extensions: x-webkit-nothing; a=b; c=\"d,e\""), bad_extensions()),
            ("a quoted extension", offered("Extensions: \"permessage-deflate\""), bad_extensions()),
            ("a parameter without a value", offered("Extensions: permessage-deflate; a="), bad_extensions()),
            ("a good one before a bad one", offered("Extensions: permessage-deflate, ;"), bad_extensions()),
            ("a bad one in a second header", offered("Extensions: x\r\nSec-WebSocket-Extensions: ;"), bad_extensions()),
            (
                "2,000 escapes and no end",
                offered(&format!("Extensions: x; a=\"{}", "\\a".repeat(2000))),
                bad_extensions(),
            ),
            ("HEAD", with("GET", "HEAD"), head("405 Method Not Allowed", "Allow: GET\r\n", 36).into_bytes()),
        ],
    );
}

/// The opening handshake with `Sec-WebSocket-` and this.
fn offered(header: &str) -> Vec<u8> {
    with("Host", &format!("Sec-WebSocket-{header}\r\nHost"))
}

/// So many sub-protocols, each another.
fn numbered(count: usize) -> String {
    (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(",")
}

fn bad_protocols() -> Vec<u8> {
    bad("Sec-WebSocket-Protocol must be a list of tokens, each of them once")
}

fn bad_extensions() -> Vec<u8> {
    bad("Sec-WebSocket-Extensions must be a list of extensions, each a token with parameters")
}

fn bad_key() -> Vec<u8> {
    bad("Sec-WebSocket-Key must be 16 bytes in base64")
}

fn with_bytes(part: &str, by: &[u8]) -> Vec<u8> {
    let bytes = with(part, "@@@@");
    let at = bytes.windows(4).position(|window| window == b"@@@@").unwrap();
    [&bytes[..at], by, &bytes[at + 4..]].concat()
}

#[test]
fn upgrades_in_other_words() {
    let protocol = |offered: &str| with("Host", &format!("{offered}\r\nHost"));
    let chosen = || {
        let switched = SWITCHED.replace("xOo=\r\n", "xOo=\r\nSec-WebSocket-Protocol: salon.v1\r\n");
        [switched.as_bytes(), &welcome("USER0000"), CLOSE_ANSWERED].concat()
    };
    check(
        &unlimited(&[]),
        &[
            ("as it should be, first frame in the same segment", with("GET", "GET"), let_in()),
            ("Upgrade: WebSocket", with("Upgrade: websocket", "Upgrade: WebSocket"), let_in()),
            ("UPGRADE:websocket", with("Upgrade: websocket", "UPGRADE:websocket"), let_in()),
            ("several in Upgrade", with("Upgrade: websocket", "Upgrade: h2c, websocket/13, websocket"), let_in()),
            ("several in Connection", with("Connection: Upgrade", "Connection: keep-alive, Upgrade"), let_in()),
            ("Connection with holes", with("Connection: Upgrade", "Connection: ,, \t,upgrade ,"), let_in()),
            ("Connection twice", with("Connection: Upgrade", "Connection: a\r\nConnection: upgrade"), let_in()),
            ("Content-Length: 0", with("Host", "Content-Length: 0\r\nHost"), let_in()),
            ("Expect without a body", with("Host", "Expect: 100-continue\r\nHost"), let_in()),
            ("absolute target", with(DOOR, &format!("http://h{DOOR}")), let_in()),
            ("values with obs-text", with_bytes("Host", b"X-Odd: \xff\xfe\x80\r\nHost"), let_in()),
            ("space around values", with("Version: 13", "Version:\t 13 \t"), let_in()),
            (
                "name in other ways",
                with("?user=", "?x=1&&=&user&username="),
                bad("user: a name has 1 to 128 bytes, this one is empty"),
            ),
            ("our sub-protocol", protocol("Sec-WebSocket-Protocol: salon.v1"), chosen()),
            ("ours among others", protocol("Sec-WebSocket-Protocol: x, y , salon.v1"), chosen()),
            (
                "ours in a second header",
                protocol("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: salon.v1"),
                chosen(),
            ),
            ("others", protocol("Sec-WebSocket-Protocol: chat, superchat"), let_in()),
            ("sub-protocols have a case", protocol("Sec-WebSocket-Protocol: SALON.V1"), let_in()),
            ("a thousand", protocol(&format!("Sec-WebSocket-Protocol: {}, salon.v1", numbered(1000))), chosen()),
            (
                "an unknown extension",
                protocol("Sec-WebSocket-Extensions: x-webkit-nothing; a=b; c=\"d\\e\",, y"),
                let_in(),
            ),
            (
                "an empty header of extensions",
                protocol("Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x"),
                let_in(),
            ),
            ("an offer that is declined", protocol("Sec-WebSocket-Extensions: permessage-deflate; a"), let_in()),
            (
                "2,000 escapes",
                protocol(&format!("Sec-WebSocket-Extensions: x; a=\"{}\"", "\\a".repeat(2000))),
                let_in(),
            ),
            (
                "the key of RFC 6455 section 4.1",
                with("dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEC=="),
                key_of_4_1(),
            ),
            ("absolute target of https", with(DOOR, &format!("https://h{DOOR}")), let_in()),
            ("absolute target in capitals", with(DOOR, &format!("HTTP://h:8080{DOOR}")), let_in()),
            ("ours behind %0d%0a", protocol("Sec-WebSocket-Protocol: %0d%0aSet-Cookie, salon.v1"), chosen()),
        ],
    );
}

#[test]
fn heads_that_are_none() {
    let ends = || bad("lines of the request head must end with CR LF");
    let malformed = || bad("malformed request head");
    let neither = || bad("this port speaks HTTP/1.1 and WebSocket, and this was neither");
    let host = || bad("Host must be a name or address, with a port perhaps");
    let once = || bad("Host may come only once");
    check(
        &unlimited(&[]),
        &[
            ("no Host", with("Host: h\r\n", ""), bad("HTTP/1.1 requires a Host header")),
            ("two Hosts", with("Host: h", "Host: h\r\nHost: h"), once()),
            ("two Hosts in another case", with("Host: h", "Host: h\r\nhOST: i"), once()),
            ("Host of two names", with("Host: h", "Host: h, i"), host()),
            ("Host with a path", with("Host: h", "Host: h/ws"), host()),
            ("Host with a user", with("Host: h", "Host: a@h"), host()),
            ("Host with a space", with("Host: h", "Host: h i"), host()),
            ("Host with obs-text", with_bytes("Host: h", b"Host: h\xff"), host()),
            ("bare LF", with("Host: h\r\n", "Host: h\n"), ends()),
            ("bare LF at the end", b"GET / HTTP/1.1\r\nHost: h\r\n\n".to_vec(), ends()),
            ("LF LF", b"GET / HTTP/1.1\nHost: h\n\n".to_vec(), ends()),
            ("bare CR in a value", with("Host: h", "Host: h\rX: y"), ends()),
            ("bare CR in a name", with("Host: h", "X\rY: z\r\nHost: h"), ends()),
            ("CR CR LF", with("Host: h\r\n", "Host: h\r\r\n"), ends()),
            ("bare CR in the target", with(DOOR, "/ws\r?user=x"), ends()),
            ("NUL in a value", with("Host: h", "Host: h\r\nX: a\0b"), bad("NUL in the request head")),
            ("NUL in the target", with(DOOR, "/ws\0"), bad("NUL in the request head")),
            ("control in a value", with("Host: h", "Host: h\r\nX: a\x01b"), malformed()),
            ("DEL in a value", with("Host: h", "Host: h\r\nX: a\x7fb"), malformed()),
            ("ESC in a name", with("Host: h", "Host: h\r\nX\x1b[31m: a"), malformed()),
            ("obs-fold", with("Host: h", "Host: h\r\nX: a\r\n b"), malformed()),
            ("obs-fold with a tab", with("Host: h", "Host: h\r\nX: a\r\n\tb"), malformed()),
            ("obs-fold of the first", with("Host: h", " Host: h\r\nHost: h"), malformed()),
            ("space before the colon", with("Host: h", "Host : h"), malformed()),
            ("tab before the colon", with("Host: h", "Host\t: h"), malformed()),
            ("space in a name", with("Host: h", "X Y: z\r\nHost: h"), malformed()),
            ("empty name", with("Host: h", ": x\r\nHost: h"), malformed()),
            ("no colon", with("Host: h", "Host: h\r\nnonsense"), malformed()),
            ("obs-text in a name", with_bytes("Host: h", b"Host: h\r\nX\xe4: a"), malformed()),
            ("name in quotes", with("Host: h", "Host: h\r\n\"X\": a"), malformed()),
            ("two CR LF first", with("GET", "\r\n\r\nGET"), neither()),
            ("CR first", with("GET", "\rGET"), neither()),
            ("a flood of CR LF", "\r\n".repeat(5000).into_bytes(), neither()),
            ("a space first", with("GET", " GET"), neither()),
            ("NULs", vec![0; 5000], neither()),
            ("TLS ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), neither()),
            ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), malformed()),
            ("a frame before the handshake", b"\x81\x80\0\0\0\0".to_vec(), neither()),
            ("HTTP/2 with prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), wrong_version()),
            ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), malformed()),
            ("HTTP/1.1 in small letters", with("HTTP/1.1", "http/1.1"), wrong_version()),
            ("HTTP/1.10", with("HTTP/1.1", "HTTP/1.10"), malformed()),
            ("two spaces before the target", with("GET /", "GET  /"), malformed()),
            ("two spaces behind the target", with(" HTTP", "  HTTP"), wrong_version()),
            ("a tab for a space", with("GET /", "GET\t/"), malformed()),
            ("a space in the target", with(DOOR, "/w s"), wrong_version()),
            ("no target", with(DOOR, ""), malformed()),
            ("raw UTF-8 in the target", with(DOOR, "/ws?user=zo\u{eb}"), malformed()),
            ("a method that is no token", with("GET", "G(T"), malformed()),
        ],
    );
}

#[test]
fn bodies_never_become_requests_or_frames() {
    let smuggled = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    let get = |headers: &str, body: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n{body}").into_bytes();
    let length = format!("Content-Length: {}\r\n", smuggled.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    check(
        &unlimited(&[]),
        &[
            ("GET with a body that is a request", get(&length, smuggled), body_refused()),
            ("the same, kept alive", get(&format!("Connection: keep-alive\r\n{length}"), smuggled), body_refused()),
            ("POST", [b"POST", &get(&length, smuggled)[3..]].concat(), body_refused()),
            ("a body at no door", plain("/nowhere", "Content-Length: 1\r\n"), body_refused()),
            ("chunked", get(chunked, "0\r\n\r\n"), body_refused()),
            ("both", get(&format!("{chunked}Content-Length: 5\r\n"), "0\r\n\r\n"), body_refused()),
            ("both, the other way", get(&format!("Content-Length: 5\r\n{chunked}"), "0\r\n\r\n"), body_refused()),
            ("Transfer-Encoding: identity", get("Transfer-Encoding: identity\r\n", ""), body_refused()),
            ("Transfer-Encoding with 0x0b", get("Transfer-Encoding: \u{85}chunked\r\n", ""), body_refused()),
            ("Content-Length twice", get("Content-Length: 0\r\nContent-Length: 5\r\n", "hello"), body_refused()),
            ("the same twice", get("Content-Length: 0\r\nContent-Length: 0\r\n", ""), body_refused()),
            ("Content-Length: 0, 0", get("Content-Length: 0, 0\r\n", ""), body_refused()),
            ("Content-Length: +0", get("Content-Length: +0\r\n", ""), body_refused()),
            ("Content-Length: -1", get("Content-Length: -1\r\n", ""), body_refused()),
            ("Content-Length: 0x0", get("Content-Length: 0x0\r\n", ""), body_refused()),
            ("Content-Length:", get("Content-Length:\r\n", ""), body_refused()),
            ("Content-Length: 2^64", get("Content-Length: 18446744073709551616\r\n", ""), body_refused()),
            ("Content-Length of obs-text", get("Content-Length: \u{b2}\r\n", ""), body_refused()),
            ("Expect", get("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), body_refused()),
            ("an upgrade with a body", with("Host", "Content-Length: 6\r\nHost"), body_refused()),
            ("an upgrade, chunked", with("Host", "Transfer-Encoding: chunked\r\nHost"), body_refused()),
        ],
    );
}

/// At each limit, and one past it.
#[test]
fn heads_at_the_limits() {
    let headers = |count: usize| (0..count).map(|n| format!("X{n}: v\r\n")).collect::<String>();
    // UPGRADE has 5 headers.
    let many = |count: usize| with("Host", &format!("{}Host", headers(count - 5)));
    let line = |len: usize| with("Host", &format!("X: {}\r\nHost", "v".repeat(len - "X: \r\n".len())));
    // The target fills the line up to its limit: `x` is a parameter that nobody knows.
    let target = |len: usize| {
        let fill = len - format!("GET {DOOR}&x= HTTP/1.1\r\n").len();
        with(DOOR, &format!("{DOOR}&x={}", "v".repeat(fill)))
    };
    let whole = |len: usize| {
        let first = format!("X: {}\r\n", "v".repeat(8100));
        let rest = len - (with("GET", "GET").len() - CLOSE.len()) - first.len() - "Y: \r\n".len();
        with("Host", &format!("{first}Y: {}\r\nHost", "v".repeat(rest)))
    };
    let too_long = || refused("414 URI Too Long", "", "request line over 10240 bytes");
    check(
        &unlimited(&[]),
        &[
            ("100 headers", many(100), let_in()),
            ("101 headers", many(101), too_many_headers()),
            ("2,000 headers", many(2000), too_many_headers()),
            ("a line of 10 KiB", line(10240), let_in()),
            ("a line of 10 KiB and 1", line(10241), head_too_large()),
            ("a line of 12 KiB", line(12 << 10), head_too_large()),
            ("a request line of 10 KiB", target(10240), let_in()),
            ("a request line of 10 KiB and 1", target(10241), too_long()),
            ("a request line without end", vec![b'G'; 20_000], too_long()),
            ("a head of 16 KiB", whole(16 << 10), let_in()),
            ("a head of 16 KiB and 1", whole((16 << 10) + 1), head_too_large()),
            ("a header name without end", [b"GET / HTTP/1.1\r\n", &vec![b'N'; 20_000][..]].concat(), head_too_large()),
        ],
    );
}

#[test]
fn targets_that_lead_nowhere() {
    let over_http = |target: &str| plain(target, "");
    check(
        &unlimited(&[]),
        &[
            ("/%2e%2e/", over_http("/%2e%2e/%2e%2e/etc/passwd"), not_found()),
            ("/../", over_http("/../../etc/passwd"), not_found()),
            ("/./", over_http("/./"), not_found()),
            ("//etc", over_http("//etc/passwd"), not_found()),
            ("//h/", over_http("//h/"), not_found()),
            ("%00", over_http("/client.js%00.html"), not_found()),
            ("double encoding", over_http("/%252e%252e/etc/passwd"), not_found()),
            ("an overlong dot", over_http("/%c0%ae%c0%ae/etc/passwd"), not_found()),
            ("a backslash", over_http("/..\\..\\etc"), not_found()),
            ("an encoded letter", over_http("/%63lient.js"), not_found()),
            ("another case", over_http("/CLIENT.JS"), not_found()),
            ("a fragment", over_http("/#x"), not_found()),
            ("no path", over_http("health"), not_found()),
            ("only a query", over_http("?user=x"), not_found()),
            ("a scheme of another kind", over_http("ftp://h/"), not_found()),
            (
                "an absolute target without a host",
                over_http("http:///"),
                bad("Host must be a name or address, with a port perhaps"),
            ),
            (
                "an absolute target with a user",
                over_http("http://me@h/"),
                bad("Host must be a name or address, with a port perhaps"),
            ),
            ("an absolute target that leads nowhere", over_http("https://h/nowhere"), not_found()),
            ("CR LF in an answer", over_http("/%0d%0aSet-Cookie:%20a=b"), not_found()),
            ("a Location", over_http("//evil.example/%2e%2e"), not_found()),
            ("<script>", over_http("/<script>alert(1)</script>"), not_found()),
            ("the admin's", over_http("/metrics"), not_found()),
            ("asterisk", asks("OPTIONS", "*"), options()),
            ("asterisk for another method", asks("GET", "*"), not_found()),
            ("OPTIONS", asks("OPTIONS", "/"), options()),
            ("OPTIONS of a chat door", asks("OPTIONS", DOOR), wrong_method("GET")),
            ("OPTIONS of nothing", asks("OPTIONS", "/nothing"), not_found()),
            ("HAProxy's default check", b"OPTIONS / HTTP/1.0\r\n\r\n".to_vec(), options()),
            ("CONNECT", asks("CONNECT", "h:80"), not_found()),
            ("TRACE", asks("TRACE", "/"), only_read()),
            ("POST", asks("POST", "/client.js"), only_read()),
            ("a method of 4 KiB", asks(&"M".repeat(4096), "/"), only_read()),
            ("HEAD of nothing", asks("HEAD", "/nothing"), headless(not_found())),
            ("HEAD of a chat door", asks("HEAD", DOOR), headless(wrong_method("GET"))),
            ("HEAD without Host", b"HEAD / HTTP/1.1\r\n\r\n".to_vec(), bad("HTTP/1.1 requires a Host header")),
            ("HTTP/1.0 without Host", b"GET /nothing HTTP/1.0\r\n\r\n".to_vec(), not_found()),
            (
                "HTTP/1.0 is not kept",
                b"GET /nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n".to_vec(),
                not_found(),
            ),
        ],
    );
}

fn only_read() -> Vec<u8> {
    refused("405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n", "only GET, HEAD and OPTIONS are allowed here")
}

/// The answer to OPTIONS of a file, after which the connection ends.
fn options() -> Vec<u8> {
    head("200 OK", "Allow: GET, HEAD, OPTIONS\r\n", 0).into_bytes()
}

fn asks(method: &str, target: &str) -> Vec<u8> {
    [method.as_bytes(), &plain(target, "")[3..]].concat()
}

/// The answer to HEAD: everything but the body.
fn headless(mut answer: Vec<u8>) -> Vec<u8> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    answer.truncate(end);
    answer
}

/// Responses of one connection, in the order of the requests; bytes behind the last request are ignored.
#[test]
fn kept_and_pipelined() {
    let kept = |answer: Vec<u8>| String::from_utf8(answer).unwrap().replace("Connection: close\r\n", "").into_bytes();
    let nothing = |method: &str| format!("{method} /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    let upgraded = with("GET", "GET");
    check(
        &unlimited(&[]),
        &[
            (
                "two and a half",
                [nothing("GET").as_bytes(), &plain("/nothing", ""), b"GET / HTT"].concat(),
                [kept(not_found()), not_found()].concat(),
            ),
            (
                "HEAD between",
                [nothing("HEAD").as_bytes(), nothing("GET").as_bytes(), &plain("/x", "")].concat(),
                [kept(headless(not_found())), kept(not_found()), not_found()].concat(),
            ),
            (
                "an upgrade behind a request",
                [nothing("GET").as_bytes(), &upgraded].concat(),
                [kept(not_found()), let_in()].concat(),
            ),
            (
                "a bad one behind a good one",
                [nothing("GET").as_bytes(), b"GET / HTTP/1.1\nHost: h\n\n", nothing("GET").as_bytes()].concat(),
                [kept(not_found()), bad("lines of the request head must end with CR LF")].concat(),
            ),
            (
                "an empty line first and between",
                [b"\r\n", nothing("GET").as_bytes(), b"\r\n", &plain("/nothing", "")].concat(),
                [kept(not_found()), not_found()].concat(),
            ),
            (
                "two empty lines between",
                [nothing("GET").as_bytes(), b"\r\n\r\n", nothing("GET").as_bytes()].concat(),
                [kept(not_found()), bad("this port speaks HTTP/1.1 and WebSocket, and this was neither")].concat(),
            ),
            (
                "a request behind an upgrade is a frame, and an unmasked one",
                [&upgrade(DOOR)[..], nothing("GET").as_bytes()].concat(),
                // `G` is 0x47: RSV1 set, opcode 7.
                [SWITCHED.as_bytes(), &welcome("USER0000"), &closed(1002, "opcode 0x7 is reserved")].concat(),
            ),
            (
                "a request behind a refused one",
                [&asks("POST", DOOR)[..], &plain("/", "")].concat(),
                wrong_method("GET"),
            ),
            (
                "a thousand",
                [nothing("HEAD").repeat(1000).as_bytes(), &plain("/x", "")].concat(),
                [kept(headless(not_found())).repeat(1000), not_found()].concat(),
            ),
        ],
    );
}

/// The rows of `tests/cases/doors.json`, at which other clients knock as well.
#[test]
fn names_in_a_url() {
    let file: Vec<Value> = serde_json::from_str(include_str!("../cases/doors.json")).unwrap();
    let row = |row: &Value| {
        let origin = row["origin"].as_str().map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
        let target = cases::text(&row["target"]);
        let request = format!("GET {target} HTTP/1.1\r\n{UPGRADE}{origin}\r\n").into_bytes();
        let message = || cases::text(&row["message"]);
        match row["status"].as_u64() {
            Some(400) => (request, bad(&message())),
            Some(403) => (request, refused("403 Forbidden", "", &message())),
            Some(404) => (request, not_found()),
            Some(status) => panic!("expected a status of this test, found {status}"),
            None => {
                let user = serde_json::to_string(&cases::text(&row["user"])).unwrap();
                let inside = [SWITCHED.as_bytes(), &welcome(&user[1..user.len() - 1]), CLOSE_ANSWERED].concat();
                ([&request[..], CLOSE].concat(), inside)
            }
        }
    };
    let server = unlimited(&[]);
    let mut neighbour = Neighbour::chat(&server);
    for case in &file {
        let (request, answer) = row(case);
        neighbour.check(&server, case["what"].as_str().unwrap(), &request, &answer);
    }
}

/// A refusal that a page of another site may see does not say why.
#[test]
fn origins() {
    let origin = |origin: &str| with("Host: h", &format!("Host: chat.example:8080\r\nOrigin: {origin}"));
    let refused = || {
        let sentence = "this Origin may not connect; the operator can allow it with --origin";
        refused("403 Forbidden", "", sentence)
    };
    check(
        &unlimited(&["--open", "--origin", "https://listed.example"]),
        &[
            ("none", with("GET", "GET"), let_in()),
            ("the same host", origin("http://chat.example:8080"), let_in()),
            ("behind a proxy that ends TLS", origin("https://chat.example:8080"), let_in()),
            ("in capitals", origin("http://Chat.Example:8080"), let_in()),
            ("a listed one", origin("https://listed.example"), let_in()),
            ("null", origin("null"), refused()),
            ("empty", origin(""), refused()),
            ("foreign", origin("http://evil.example"), refused()),
            ("a look-alike suffix", origin("http://chat.example:8080.evil.example"), refused()),
            ("a look-alike prefix", origin("http://evil-chat.example:8080"), refused()),
            ("a subdomain", origin("http://a.chat.example:8080"), refused()),
            ("another port", origin("http://chat.example:8081"), refused()),
            ("no port", origin("http://chat.example"), refused()),
            ("a user", origin("http://chat.example:8080@evil.example"), refused()),
            ("a path", origin("http://chat.example:8080/"), refused()),
            ("another scheme", origin("ftp://chat.example:8080"), refused()),
            ("a listed one with its port", origin("https://listed.example:443"), let_in()),
            ("a listed one in capitals", origin("https://LISTED.example"), let_in()),
            ("a listed one without TLS", origin("http://listed.example"), refused()),
            ("two in one", origin("http://chat.example:8080 https://listed.example"), refused()),
            ("two headers", origin("http://chat.example:8080\r\nOrigin: http://chat.example:8080"), refused()),
            ("CR LF in it", origin("http://chat.example:8080%0d%0aX: y"), refused()),
            ("obs-text", with_bytes("Host: h", b"Host: h\r\nOrigin: http://h\xff"), refused()),
            ("an origin of 4 KiB", origin(&"http://".repeat(600)), refused()),
        ],
    );
    // Open to anybody on this machine alone: a name that leads here may be anybody's.
    let named = |host: &str, headers: &str| with("Host: h", &format!("Host: {host}\r\n{headers}Origin: http://{host}"));
    let page = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes();
    let unknown = || {
        let sentence = "Salon is not known by this name: go to http://localhost with its port, or let the operator \
            allow the name with --origin, say --open, or let a proxy send X-Forwarded-For";
        self::refused("421 Misdirected Request", "", sentence)
    };
    check(
        &unlimited(&["--origin", "http://listed.example:8080"]),
        &[
            ("by its address", named("127.0.0.1:8080", ""), let_in()),
            ("as localhost", named("localhost:8080", ""), let_in()),
            ("by a listed name", named("listed.example:8080", ""), let_in()),
            ("by a name", named("evil.example:8080", ""), refused()),
            ("by a name, through a proxy", named("chat.example", "X-Forwarded-For: 192.0.2.1\r\n"), let_in()),
            ("no page, by a name", with("Host: h", "Host: evil.example"), let_in()),
            ("the page, by a name", page("evil.example:8080"), unknown()),
        ],
    );
}
