//! Behind a proxy: the PROXY protocol byte by byte, forwarded addresses, Unix sockets.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use crate::common::{PATIENCE, Server, get, salon, status, tcp};
use tungstenite::{Message, WebSocket};

const SIGNATURE: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n";

/// A header of version 2 for TCP over IPv4 from this address, with this behind the addresses.
fn proxied(from: [u8; 4], tlvs: &[u8]) -> Vec<u8> {
    let length = (12 + tlvs.len() as u16).to_be_bytes();
    [SIGNATURE, b"\x21\x11", &length, &from, b"\x7f\x00\x00\x01\x12\x34\x1f\x90", tlvs].concat()
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// The answer until the end; nothing at all if the connection was dropped.
fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(bytes).unwrap()
}

/// A WebSocket client on a stream to which `first` has been written.
fn enter<S: Read + Write>(stream: S, headers: &[(&'static str, &str)]) -> Result<WebSocket<S>, u16> {
    let mut request = tungstenite::client::IntoClientRequest::into_client_request("ws://h/ws?user=a").unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match tungstenite::client(request, stream) {
        Ok((client, _)) => Ok(client),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => Err(response.status().into()),
        Err(error) => panic!("{error}"),
    }
}

/// `welcome`, or the reason of the `goodbye` that comes instead.
fn first_word<S: Read + Write>(client: &mut WebSocket<S>) -> String {
    match client.read().expect("a message") {
        Message::Text(text) if text.contains(r#""type":"welcome""#) => "welcome".into(),
        Message::Text(text) if text.contains(r#""type":"goodbye""#) => "goodbye".into(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_address_of_the_proxy_protocol_is_counted() {
    let server = Server::serve(&[
        "--proxy-protocol",
        "listen",
        "--trusted-proxy",
        "127.0.0.1",
        "--max-connections-per-address",
        "1",
    ]);
    let come = |header: &[u8]| {
        let mut stream = tcp(server.public);
        stream.write_all(header).unwrap();
        let mut client = enter(stream, &[]).unwrap();
        (first_word(&mut client), client)
    };
    let (word, first) = come(&proxied([192, 0, 2, 1], b""));
    assert_eq!(word, "welcome");
    assert_eq!(come(&proxied([192, 0, 2, 1], &[4; 300])).0, "goodbye");
    assert_eq!(come(&proxied([192, 0, 2, 2], &[4; 300])).0, "welcome");
    // The proxy itself is not counted.
    let local = [SIGNATURE, b"\x20\x00\x00\x00"].concat();
    let unspecified = [SIGNATURE, b"\x21\x00\x00\x03abc"].concat();
    for header in [&local, &local, &unspecified, &unspecified] {
        assert_eq!(come(header).0, "welcome");
    }
    // Version 1 says the same in words.
    assert_eq!(come(b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 8080\r\n").0, "goodbye");
    assert_eq!(come(b"PROXY UNKNOWN\r\n").0, "welcome");
    // A client that has gone counts no more.
    drop(first);
    while come(&proxied([192, 0, 2, 1], b"")).0 != "welcome" {}
    // An unknown client is not believed.
    let mut stream = tcp(server.public);
    stream.write_all(&proxied([192, 0, 2, 7], b"")).unwrap();
    let mut seven = enter(stream, &[("X-Forwarded-For", "192.0.2.8")]).unwrap();
    assert_eq!(first_word(&mut seven), "welcome");
    assert_eq!(come(&proxied([192, 0, 2, 8], b"")).0, "welcome");
    assert_eq!(come(&proxied([192, 0, 2, 7], b"")).0, "goodbye");
    // A proxy behind another is.
    for (client, word) in [("192.0.2.9", "welcome"), ("192.0.2.10", "welcome")] {
        let mut stream = tcp(server.public);
        stream.write_all(&local).unwrap();
        let mut nine = enter(stream, &[("X-Forwarded-For", client)]).unwrap();
        assert_eq!(first_word(&mut nine), word);
    }
}

#[test]
fn the_header_comes_first_and_whole_or_nothing_is_answered() {
    let server =
        Server::serve(&["--proxy-protocol", "listen", "--trusted-proxy", "127.0.0.0/8", "--head-within", "1s"]);
    let exchange = |parts: &[&[u8]]| {
        let mut stream = tcp(server.public);
        stream.set_nodelay(true).unwrap();
        for part in parts {
            // A server that has seen enough may have ended it.
            if stream.write_all(part).is_err() {
                break;
            }
        }
        answer(stream)
    };
    let header = proxied([192, 0, 2, 1], &[0x20; 600]);
    let bytes: Vec<&[u8]> = header.chunks(1).chain([HEALTH]).collect();
    assert_eq!(status(&exchange(&bytes)), 200);
    assert_eq!(status(&exchange(&[&[&header[..], HEALTH].concat()])), 200);
    let line = [b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 8080\r\n", HEALTH].concat();
    assert_eq!(status(&exchange(&line.chunks(1).collect::<Vec<_>>())), 200);
    assert_eq!(status(&exchange(&[&line])), 200);
    for wrong in [
        &[HEALTH][..],
        &[b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 80800\r\n", HEALTH],
        &[SIGNATURE, b"\x31\x11\x00\x0c", &[0; 12], HEALTH],
        &[SIGNATURE, b"\x21\x11\x00\x0b", &[0; 11], HEALTH],
        &[SIGNATURE, b"\x21\x11\xff\xff", &[0; 12], HEALTH],
        // Too late: cut short, or nothing at all.
        &[&header[..40]],
        &[SIGNATURE],
        &[],
    ] {
        assert_eq!(exchange(wrong), "", "{wrong:x?}");
    }
    // The header is there, and then the request must come in time too.
    assert_eq!(exchange(&[&header]), "");
    assert!(get(server.admin.unwrap(), "/metrics").1.contains("salon_refused_total{reason=\"no_proxy_header\"} 8\n"));
}

#[test]
fn a_peer_that_is_no_proxy_is_dropped_where_proxies_come_in() {
    let server = Server::serve(&["--proxy-protocol", "listen", "--trusted-proxy", "192.0.2.0/24,::1"]);
    let mut stream = tcp(server.public);
    let _ = stream.write_all(&[&proxied([192, 0, 2, 1], b""), HEALTH].concat());
    assert_eq!(answer(stream), "");
    assert!(get(server.admin.unwrap(), "/metrics").1.contains("salon_refused_total{reason=\"no_proxy_header\"} 1\n"));
}

#[test]
fn forwarded_addresses_are_believed_from_trusted_proxies_alone() {
    for (trusted, header, value, words) in [
        ("127.0.0.1", "x-forwarded-for", "198.51.100.1, 192.0.2.1", ["welcome", "goodbye"]),
        ("127.0.0.1", "forwarded", "for=198.51.100.1, for=192.0.2.1", ["welcome", "goodbye"]),
        ("127.0.0.1", "x-forwarded-for", "127.0.0.1", ["welcome", "welcome"]),
        ("127.0.0.1", "x-forwarded-for", "nonsense", ["welcome", "welcome"]),
        ("192.0.2.0/24", "x-forwarded-for", "192.0.2.1", ["welcome", "welcome"]),
    ] {
        let server = Server::serve(&[
            "--trusted-proxy",
            trusted,
            "--forwarded-header",
            header,
            "--max-connections-per-address",
            "1",
        ]);
        let name = if header == "forwarded" { "Forwarded" } else { "X-Forwarded-For" };
        let mut clients: Vec<_> = words.iter().map(|_| enter(tcp(server.public), &[(name, value)]).unwrap()).collect();
        let heard: Vec<String> = clients.iter_mut().map(first_word).collect();
        assert_eq!(heard, words, "{trusted} {header} {value}");
    }
    // New ones come too fast: 429, as without a proxy.
    let server = Server::serve(&["--trusted-proxy", "127.0.0.1", "--new-connections-per-address", "1"]);
    let come = |from| enter(tcp(server.public), &[("X-Forwarded-For", from)]).map(|_| ());
    let come_at_once = || (0..20).map(|_| come("192.0.2.1")).find(Result::is_err);
    assert_eq!(come_at_once(), Some(Err(429)));
    assert_eq!(come("192.0.2.2"), Ok(()));
    // Other requests of a proxy do not count.
    for _ in 0..20 {
        let mut stream = tcp(server.public);
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert_eq!(status(&answer(stream)), 200);
    }
}

/// A path for a socket, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("salon-proxies-{name}-{}.sock", std::process::id())))
    }

    fn option(&self) -> String {
        format!("unix:{}", self.0.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_unix_socket_for_a_proxy_in_front() {
    let place = Place::new("front");
    // The file that a killed server leaves behind.
    drop(UnixListener::bind(&place.0).unwrap());
    let serve = |more: &[&str]| {
        Server::serve(&[&["--listen", &place.option(), "--max-connections-per-address", "1"], more].concat())
    };
    let mut server = serve(&["--trusted-proxy", "unix"]);
    let found = fs::metadata(&place.0).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    let come = |from: &str| {
        let stream = UnixStream::connect(&place.0).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = enter(stream, &[("X-Forwarded-For", from)]).unwrap();
        (first_word(&mut client), client)
    };
    let (first, _first) = come("192.0.2.1");
    assert_eq!((&*first, &*come("192.0.2.1").0, &*come("192.0.2.2").0), ("welcome", "goodbye", "welcome"));

    // It is in use, and a file that is no socket is not touched.
    let refused = |option: &str| {
        let output = salon(&["--listen", option, "--admin", "off"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let error = refused(&place.option());
    assert!(error.ends_with("(--listen): another program listens there; stop it or choose another path\n"), "{error}");
    let file = Place::new("file");
    fs::write(&file.0, "mine").unwrap();
    let error = refused(&file.option());
    assert!(error.contains("a file lies there that is no socket"), "{error}");
    assert_eq!(fs::read(&file.0).unwrap(), b"mine");
    let error = refused("unix:/nowhere/at/all.sock");
    assert!(error.contains("the folder of that path does not exist"), "{error}");

    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!place.0.exists(), "its file is gone");
    let _server = serve(&["--socket-mode", "600"]);
    assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o600);
    // Nobody is trusted, so no header counts.
    for _ in 0..2 {
        assert_eq!(come("192.0.2.1").0, "welcome");
    }
}

#[test]
fn the_proxy_protocol_by_a_unix_socket() {
    let place = Place::new("proxied");
    let _server = Server::serve(&[
        "--listen",
        &place.option(),
        "--proxy-protocol",
        "listen",
        "--trusted-proxy",
        "unix",
        "--max-connections-per-address",
        "1",
    ]);
    let come = |from: u8| {
        let mut stream = UnixStream::connect(&place.0).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&proxied([192, 0, 2, from], b"")).unwrap();
        let mut client = enter(stream, &[]).unwrap();
        (first_word(&mut client), client)
    };
    let (first, _first) = come(1);
    assert_eq!((&*first, &*come(1).0, &*come(2).0), ("welcome", "goodbye", "welcome"));
}

#[test]
fn settings_that_do_not_go_together() {
    for (arguments, sentence) in [
        (&["--listen", "off"][..], "--listen off: expected --tls-cert and --tls-key beside it"),
        (&["--tls-cert", "x"], "--tls-cert: expected --tls-key beside it, found none"),
        (&["--tls-key", "x"], "--tls-key: expected --tls-cert beside it, found none"),
        (&["--tls-listen", "127.0.0.1:0"], "--tls-listen 127.0.0.1:0: expected --tls-cert and --tls-key beside it"),
        (&["--tls-cert", "/nowhere/c", "--tls-key", "/nowhere/k"], "--tls-cert /nowhere/c: No such file"),
        (&["--proxy-protocol", "listen"], "--proxy-protocol: expected --trusted-proxy beside it"),
        (
            &["--proxy-protocol", "tls-listen", "--trusted-proxy", "::1"],
            "--proxy-protocol tls-listen: expected --tls-cert and --tls-key beside it",
        ),
        (&["--trusted-proxy", "10.0.0.0/33"], "invalid value '10.0.0.0/33' for '--trusted-proxy"),
    ] {
        let output = salon(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(sentence), "{arguments:?}: {error}");
    }
}
