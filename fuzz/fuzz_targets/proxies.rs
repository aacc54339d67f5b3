//! The client that proxies name: a PROXY protocol header (version 1 or 2) is read the same however it is cut and never
//! beyond its end; of `X-Forwarded-For` and `Forwarded` only the part that trusted proxies appended counts, whatever
//! stands before it.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use salon::proto::handshake::{MAX_HEADERS, Request};
use salon::server::forwarded::{self, Proxies};
use salon::server::proxy_protocol::{BadHeader, Header, MAX_LENGTH, MAX_PIECE, Source};

/// The outcome, and how many bytes were asked for until it was known.
fn feed(bytes: &[u8], piece: usize) -> (Result<Option<Source>, BadHeader>, usize) {
    let (mut header, mut at) = (Header::new(), 0);
    while at < bytes.len() {
        let wanted = header.wanted();
        assert!((1..=MAX_PIECE).contains(&wanted));
        let len = wanted.min(piece).min(bytes.len() - at);
        let len = header.part_of(&bytes[at..at + len]);
        at += len;
        match header.take(&bytes[at - len..at]) {
            Ok(None) => {}
            done => return (done, at),
        }
    }
    (Ok(None), at)
}

fn check_proxy_protocol(bytes: &[u8], piece: usize) {
    let (whole, at) = feed(bytes, usize::MAX);
    assert!(at <= 16 + MAX_LENGTH);
    let (cut, at_cut) = feed(bytes, piece);
    assert_eq!(cut, whole, "in pieces of {piece}");
    // What is cut before its version is known is read up to the length that all of version 2 have.
    assert!(at_cut <= at.max(16), "a mistake is seen no later");
    let Ok(Some(source)) = whole else { return };
    assert_eq!(at_cut, at);
    if let Some(line) = bytes.strip_prefix(b"PROXY ") {
        let end = line.windows(2).position(|end| end == b"\r\n").expect("a line has an end");
        assert_eq!(at, 6 + end + 2, "nothing behind it is taken");
        let words: Vec<&str> = std::str::from_utf8(&line[..end]).expect("a line is ASCII").split(' ').collect();
        let address = match words[0] {
            "UNKNOWN" => None,
            _ => Some(words[1].parse::<IpAddr>().expect("an address").to_canonical()),
        };
        assert!(at <= 107 && (address.is_none() || words.len() == 5), "{words:?}");
        return assert_eq!(source, address.map_or(Source::Proxy, Source::Client));
    }
    assert_eq!(at, 16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]])), "nothing behind it is taken");
    assert!(bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
    let address = match bytes[12..14] {
        [0x21, 0x11] => Some(IpAddr::from(*bytes[16..].first_chunk::<4>().unwrap())),
        [0x21, 0x21] => Some(IpAddr::from(*bytes[16..].first_chunk::<16>().unwrap()).to_canonical()),
        _ => None,
    };
    assert_eq!(source, address.map_or(Source::Proxy, Source::Client));
}

/// The client that the lines of a header name; `None`: no head can have such lines.
fn client(proxies: &Proxies, name: &str, lines: &[&[u8]]) -> Option<Option<IpAddr>> {
    let mut head = b"GET / HTTP/1.1\r\nHost: h\r\n".to_vec();
    for line in lines {
        head.extend([name.as_bytes(), b": ", line, b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    let request = Request::parse(&head).ok()?;
    Some(proxies.client(&request))
}

fn check_forwarded(bytes: &[u8]) {
    const TRUSTED: &str = "10.0.0.2";
    let networks: Vec<_> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into();
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    if lines.len() > MAX_HEADERS - 2 {
        return; // With `Host`, and one that is appended, they would be too many.
    }
    for (header, name, other, appended, trusted) in [
        (forwarded::Header::XForwardedFor, "X-Forwarded-For", "Forwarded", ["192.0.2.1", "[2001:db8::1]:80"], TRUSTED),
        (
            forwarded::Header::Forwarded,
            "Forwarded",
            "X-Forwarded-For",
            ["for=192.0.2.1", "proto=https; for=\"[2001:db8::1]:80\";by=\"a\\\"b,c\\\\\""],
            "for=10.0.0.2",
        ),
    ] {
        let proxies = Proxies { trusted: networks.clone(), header };
        let Some(said) = client(&proxies, name, &lines) else { return };
        assert_eq!(client(&proxies, other, &lines), Some(None), "the other header is not read");
        assert_eq!(client(&Proxies { trusted: vec![], header }, name, &lines), Some(None), "nobody is believed");

        // A proxy appends its client, to the last line or in one of its own.
        let last = lines.pop().expect("there is a line");
        for (appended, address) in appended.into_iter().zip(["192.0.2.1", "2001:db8::1"]) {
            let heard = Some(Some(address.parse().unwrap()));
            let joined = [last, b", ", appended.as_bytes()].concat();
            assert_eq!(client(&proxies, name, &[&lines[..], &[&joined]].concat()), heard, "{name}: appended");
            let further: [&[u8]; 2] = [last, appended.as_bytes()];
            assert_eq!(client(&proxies, name, &[&lines[..], &further].concat()), heard, "{name}: in a further line");
        }
        // If that client is a trusted proxy too, the address that this one appended counts.
        let heard = Some(said.or(Some(TRUSTED.parse().unwrap())));
        let joined = [last, b", ", trusted.as_bytes()].concat();
        assert_eq!(client(&proxies, name, &[&lines[..], &[&joined]].concat()), heard, "{name}: a chain");
        lines.push(last);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    match choice & 3 {
        0 => check_proxy_protocol(bytes, usize::from(choice >> 2) + 1),
        // Behind a good signature, to get past the first check.
        1 => check_proxy_protocol(&[b"\r\n\r\n\0\r\nQUIT\n", bytes].concat(), usize::from(choice >> 2) + 1),
        _ => check_forwarded(bytes),
    }
});
