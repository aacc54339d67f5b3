//! The opening handshake: the end of the head is found however it is cut, each byte is looked at once, and no
//! head that is accepted holds what our rules on top of httparse refuse.
#![no_main]

#[path = "../common/pieces.rs"]
mod pieces;

use libfuzzer_sys::fuzz_target;
use pieces::scan_in_pieces;
use salon::proto::ClientContext;
use salon::proto::chunked::{ChunkError, Chunks};
use salon::proto::handshake::{
    HeadScanner, MAX_HEAD_LEN, MAX_HEADERS, Request,
};

fn check(bytes: &[u8], size: usize) {
    let whole = HeadScanner::default().scan(bytes);
    let mut scanner = HeadScanner::default();
    assert_eq!(scan_in_pieces(bytes, size, |seen| scanner.scan(seen)), whole, "in pieces of {size}");
    match whole {
        Ok(Some(len)) => check_head(&bytes[..len]),
        Ok(None) => assert!(bytes.len() < MAX_HEAD_LEN, "a head without end is refused at its limit"),
        Err(error) => assert!((400..=505).contains(&error.status())),
    }
}

fn check_head(head: &[u8]) {
    assert!(head.len() <= MAX_HEAD_LEN && head.ends_with(b"\r\n\r\n"));
    let lines = head.windows(2).filter(|bytes| bytes == b"\r\n").count() - 1;
    assert!(lines <= 1 + MAX_HEADERS);
    let ends = head.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
    assert_eq!(ends, 2 * (lines + 1), "no CR and no LF stands alone");
    assert!(!head.contains(&0));
    let Ok(request) = Request::parse(head) else { return };
    assert!(!request.target().is_empty() && request.target().bytes().all(|byte| byte.is_ascii_graphic()));
    let (target, path) = (request.target(), request.path());
    assert!(target.ends_with(request.query()) && (target.contains(path) || path == "/"));
    assert!(target.starts_with(path) || target.split_once("://").is_some_and(|(_, rest)| rest.starts_with(request.host().unwrap())));
    assert!(request.headers("host").count() <= 1);
    let _ = (request.keeps_alive(), request.wants_upgrade(), request.tokens("sec-websocket-protocol").count());
    let length = request.content_length();
    if let Ok(upgrade) = request.upgrade() {
        assert_eq!((request.method(), request.minor_version(), length), ("GET", 1, Ok(0)));
        assert_eq!(request.headers("host").count(), 1);
        assert!(request.header("sec-websocket-key").is_some_and(|key| key.len() == 24));
        assert!(request.wants_upgrade());
        let mut response = Vec::new();
        let offered: Vec<&str> = upgrade.offered().to_vec();
        let agreed = upgrade.choose(&offered).deflate(ClientContext::Kept).encode(&mut response);
        assert_eq!(agreed.protocol(), offered.first().copied());
        let text = std::str::from_utf8(&response).expect("our own head is ASCII");
        let lines = 5 + usize::from(agreed.protocol().is_some()) + usize::from(agreed.deflate().is_some());
        assert_eq!(text.matches("\r\n").count(), lines, "nothing of the client's adds a line");
    }
}

/// A body in chunks: the same however it is cut, within its bound, and its end is where it is found.
fn chunks(bytes: &[u8], size: usize) {
    const MAX: usize = 64;
    let read = |size: usize| {
        let (mut chunks, mut body, mut taken) = (Chunks::default(), Vec::new(), 0);
        for piece in bytes.chunks(size) {
            let (used, done) = chunks.decode(piece, MAX, &mut body)?;
            taken += used;
            assert!(body.len() <= MAX && (done || used == piece.len()));
            if done {
                return Ok(Some((taken, body)));
            }
        }
        Ok::<_, ChunkError>(None)
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(size), whole, "in pieces of {size}");
    assert_eq!(read(1), whole);
    if let Ok(Some((taken, _))) = whole {
        assert!(bytes[..taken].ends_with(b"\r\n\r\n"), "an empty line ends it");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let size = usize::from(choice >> 2) + 1;
    // Half of the inputs are headers between a good request line and the end, to get past the first checks.
    if choice & 1 == 0 {
        check(bytes, size);
    } else {
        let host: &[u8] = if choice & 2 == 0 { b"Host: h\r\n" } else { b"" };
        check(&[b"GET /ws?user=a HTTP/1.1\r\n", host, bytes, b"\r\n\r\n"].concat(), size);
    }
    chunks(bytes, size);
    // A caller that parses without scanning is not harmed either.
    let _ = Request::parse(bytes).map(|request| request.upgrade());
});
