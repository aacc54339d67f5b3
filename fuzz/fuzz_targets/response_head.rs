//! The heads that a client sends first and hears first: the end of a response's head is found however it is cut, each
//! byte is looked at once, what is accepted meets section 4.1, and a request that may be sent is one that our server
//! takes.
#![no_main]

#[path = "../common/pieces.rs"]
mod pieces;

use libfuzzer_sys::fuzz_target;
use pieces::scan_in_pieces;
use salon::proto::extension::Offer;
use salon::proto::client_handshake::{ClientRequest, Response, ResponseError, ResponseScanner};
use salon::proto::handshake::{HeadScanner, MAX_HEAD_LEN, MAX_HEADERS, MAX_LINE_LEN, Request};

const PROTOCOLS: [&str; 2] = ["salon.v1", "other"];
/// With the key of section 1.3, whose answer stands there too.
const REQUEST: ClientRequest<'static> =
    ClientRequest::new("h", *b"the sample nonce").target("/ws").protocols(&PROTOCOLS).deflate(Offer::new());
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn hear(bytes: &[u8], size: usize) {
    let whole = ResponseScanner::default().scan(bytes);
    let mut scanner = ResponseScanner::default();
    assert_eq!(scan_in_pieces(bytes, size, |seen| scanner.scan(seen)), whole, "in pieces of {size}");
    match whole {
        Ok(Some(len)) => check_head(&bytes[..len]),
        Ok(None) => assert!(bytes.len() < MAX_HEAD_LEN, "a head without end is refused at its limit"),
        Err(error) => {
            assert!(matches!(error, ResponseError::NotHttp | ResponseError::Malformed | ResponseError::HeadTooLarge))
        }
    }
}

fn check_head(head: &[u8]) {
    assert!(head.len() <= MAX_HEAD_LEN && head.ends_with(b"\r\n\r\n"));
    let lines = head.windows(2).filter(|bytes| bytes == b"\r\n").count() - 1;
    assert!(lines <= 1 + MAX_HEADERS);
    let Ok(response) = Response::parse(head) else { return };
    match response.accept(&REQUEST) {
        Ok(agreed) => {
            assert!(head.starts_with(b"HTTP/1.1 101"));
            assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT));
            assert!(response.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")));
            assert_eq!(response.headers("sec-websocket-protocol").count(), usize::from(agreed.protocol().is_some()));
            assert!(agreed.protocol().is_none_or(|protocol| PROTOCOLS.contains(&protocol)));
            // The same response answers no other key.
            let other = ClientRequest::new("h", *b"another nonce...").target("/ws").protocols(&PROTOCOLS);
            assert_eq!(response.accept(&other), Err(ResponseError::WrongAccept));
            // A sub-protocol that was not asked for is not agreed to.
            let none = REQUEST.protocols(&[]);
            assert_eq!(response.accept(&none).is_ok(), agreed.protocol().is_none());
        }
        Err(ResponseError::NotSwitched(status)) => assert!(status != 101 && status == response.status()),
        Err(_) => assert_eq!(response.status(), 101),
    }
}

/// The parts of the input, between NULs, are what a caller puts into a request.
fn ask(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.split('\0');
    let (host, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let protocols: Vec<&str> = parts.next().into_iter().flat_map(|list| list.split(' ')).collect();
    let headers: Vec<(&str, &str)> = parts.next().into_iter().filter_map(|header| header.split_once('=')).collect();
    let request = ClientRequest::new(host, *b"the sample nonce").target(target).protocols(&protocols).headers(&headers);
    let mut head = b"before".to_vec();
    if request.encode(&mut head).is_err() {
        assert_eq!(head, b"before", "a request that is refused leaves nothing");
        return;
    }
    let head = &head[b"before".len()..];
    if bytes.len() > MAX_LINE_LEN - 100 {
        return; // A server may find that too long.
    }
    assert_eq!(HeadScanner::default().scan(head), Ok(Some(head.len())));
    let heard = Request::parse(head).unwrap();
    assert_eq!(heard.upgrade().map(|upgrade| upgrade.accept().as_str().to_owned()).as_deref(), Ok(ACCEPT));
    assert_eq!((heard.target(), heard.header("host")), (target, Some(host)));
    assert_eq!(heard.tokens("sec-websocket-protocol").collect::<Vec<_>>(), protocols);
    for (name, value) in headers {
        assert_eq!(heard.headers(name).collect::<Vec<_>>(), [value.as_bytes()]);
    }
    assert!(head.ends_with(b"\r\n\r\n") && head.windows(4).filter(|bytes| bytes == b"\r\n\r\n").count() == 1);
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let size = usize::from(choice >> 2) + 1;
    match choice & 3 {
        0 => hear(bytes, size),
        1 => ask(bytes),
        // Headers between a good status line and the end, with what must be there or without, to get past the first
        // checks.
        2 => hear(&[b"HTTP/1.1 101 Switching Protocols\r\n", bytes, b"\r\n\r\n"].concat(), size),
        _ => {
            let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
            hear(&[good.as_bytes(), ACCEPT.as_bytes(), b"\r\n", bytes, b"\r\n\r\n"].concat(), size);
        }
    }
    // A caller that parses without scanning is not harmed either.
    let _ = Response::parse(bytes).map(|response| response.accept(&REQUEST).is_ok());
});
