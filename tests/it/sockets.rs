//! The binary over real sockets: with tungstenite as an independent client, and byte by byte.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::common::{Client, Server, close_code, exchange, get, hear, hear_with, metric, salon, say, status, tcp};
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn people_talk_in_both_dialects() {
    let server = Server::serve(&[]);
    let mut alice = server.connect("/ws?user=alice");
    assert!(hear(&mut alice).starts_with(r#"{"type":"welcome","user_id":"alice","#));
    say(&mut alice, r#"{"type":"join","room_id":"lobby","id":1}"#);
    hear_with(&mut alice, &[r#""type":"joined""#, r#""id":1"#]);
    hear_with(&mut alice, &[r#""type":"online_users""#]);

    let mut bob = server.connect("/ws/lobby?username=bob");
    assert_eq!(
        hear(&mut bob),
        r#"{"type":"user_joined","content":"bob joined the room","room":"lobby","username":"bob"}"#
    );
    let online = hear(&mut bob);
    assert!(online.contains(r#""type":"online_users""#) && online.contains("alice") && online.contains("bob"));
    hear_with(&mut alice, &[r#""type":"user_joined""#, r#""user_id":"bob""#]);

    say(&mut bob, "hello <everybody>");
    let heard = r#"{"type":"chat","content":"hello <everybody>","room":"lobby","username":"bob"}"#;
    assert_eq!(hear(&mut bob), heard);
    hear_with(&mut alice, &[r#""type":"broadcast""#, r#""sender":"bob","content":"hello <everybody>","seq":1,"#]);
    say(&mut alice, r#"{"type":"broadcast","room_id":"lobby","content":"hello bob","id":"x"}"#);
    hear_with(&mut alice, &[r#""type":"broadcast","id":"x""#, r#""seq":2"#]);
    assert_eq!(hear(&mut bob), r#"{"type":"chat","content":"hello bob","room":"lobby","username":"alice"}"#);

    bob.close(None).unwrap();
    assert_eq!(close_code(&mut bob), 1005, "an empty Close is answered with an empty one");
}

#[test]
fn a_room_hears_everything_once_and_in_order() {
    let server = Server::serve(&["--rate", "off"]);
    let mut members: Vec<_> = (0..20)
        .map(|n| {
            let mut member = server.connect(&format!("/ws?user=m{n}"));
            say(&mut member, r#"{"type":"join","room_id":"r"}"#);
            hear_with(&mut member, &[r#""type":"joined""#]);
            member
        })
        .collect();
    for round in 0..25 {
        for (n, member) in members.iter_mut().enumerate().take(4) {
            say(member, &format!(r#"{{"type":"broadcast","room_id":"r","content":"{n}-{round}"}}"#));
        }
    }
    let listen = |member: &mut Client| -> Vec<String> {
        (0..100)
            .map(|seq| {
                let message = hear_with(member, &[r#""type":"broadcast""#]);
                assert!(message.contains(&format!(r#""seq":{},"#, seq + 1)), "{message}");
                message
            })
            .collect()
    };
    let first = listen(&mut members[0]);
    for member in &mut members[1..] {
        assert_eq!(listen(member), first);
    }
}

#[test]
fn the_page_and_its_files() {
    let server = Server::serve(&[]);
    let (code, page) = get(server.public, "/");
    assert_eq!(code, 200);
    assert!(page.contains("Content-Security-Policy: default-src 'none'; script-src 'self'"));
    assert!(page.contains("Content-Type: text/html; charset=utf-8\r\n") && page.contains("<title>"));
    // The page names the script and the style of its door by their hashes; they may be kept for ever.
    let linked = |end: &str| {
        let name = page.split('"').find(|link| link.starts_with("door-") && link.ends_with(end)).expect(end);
        format!("/{name}")
    };
    for (path, kind, lasts) in [
        (linked(".js"), "text/javascript", "public, max-age=31536000, immutable"),
        (linked(".css"), "text/css", "public, max-age=31536000, immutable"),
        ("/client.js".to_owned(), "text/javascript", "no-cache"),
    ] {
        let path = path.as_str();
        let (code, answer) = get(server.public, path);
        assert!(answer.contains(&format!("Cache-Control: {lasts}\r\n")), "{path}");
        assert!(code == 200 && answer.contains(&format!("Content-Type: {kind}; charset=utf-8\r\n")), "{path}");
        // An unchanged file is not sent again.
        let tag = answer.split("ETag: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
        let again = format!("GET {path} HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(exchange(server.public, again.as_bytes())).unwrap();
        assert!(status(&answer) == 304 && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn requests_that_lead_nowhere() {
    let server = Server::serve(&[]);
    let answer = |request: &str| String::from_utf8(exchange(server.public, request.as_bytes())).unwrap();
    for (request, code, part) in [
        ("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 404, "nothing is here"),
        ("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 405, "Allow: GET, HEAD, OPTIONS\r\n"),
        ("POST /ws HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 405, "Allow: GET"),
        ("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", 426, "Upgrade: websocket\r\n"),
        ("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", 426, "Sec-WebSocket-Version: 13\r\n"),
        (
            "GET /ws/room HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            400,
            r#"{"error":"room and username are required"}"#,
        ),
        ("GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        ("GET / HTTP/1.1\nHost: h\n\n", 400, "CR LF"),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400, "HTTP/1.1"),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 400, "body"),
    ] {
        let answer = answer(request);
        assert_eq!(status(&answer), code, "{request:?}: {answer}");
        assert!(answer.contains(part), "{request:?}: {answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(11_000));
    assert_eq!(status(&answer(&long)), 414);
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(status(&answer(&many)), 431);
}

#[test]
fn a_connection_is_kept_and_requests_may_be_pipelined() {
    let server = Server::serve(&[]);
    let requests = "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: h\r\n\r\n\
        GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(exchange(server.public, requests.as_bytes())).unwrap();
    let statuses: Vec<u16> = answer.match_indices("HTTP/1.1 ").map(|(at, _)| status(&answer[at..])).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert!(answer.contains(r#"{"status":"ok""#) && !answer.contains("<html"), "HEAD has no body: {answer}");
    // HTTP/1.0 closes by itself.
    let old = exchange(server.public, b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(status(&String::from_utf8(old).unwrap()), 200);
}

#[test]
fn the_operator_sees_what_happens() {
    let server = Server::serve(&[]);
    let admin = server.admin.unwrap();
    let mut alice = server.connect("/ws?user=alice");
    say(&mut alice, r#"{"type":"join","room_id":"r"}"#);
    say(&mut alice, r#"{"type":"broadcast","room_id":"r","content":"one"}"#);
    hear_with(&mut alice, &[r#""content":"one""#]);
    let (code, health) = get(admin, "/health");
    assert_eq!(code, 200);
    for part in [
        r#""status":"ok""#,
        r#""messages_received":2"#,
        r#""rooms":1"#,
        r#""users":1"#,
        "\"messages_sent\":",
        "\"uptime_s\":",
    ] {
        assert!(health.contains(part), "{part} in {health}");
    }
    let (code, metrics) = get(admin, "/metrics");
    assert_eq!(code, 200);
    for line in [
        "\nsalon_sessions 1\n",
        "\nsalon_messages_received_total 2\n",
        "\nsalon_broadcasts_total 1\n",
        "\nsalon_closes_total{code=\"1001\"} 0\n",
        "\nsalon_cut_off_total{reason=\"outbox_bytes\"} 0\n",
        "\nsalon_turn_seconds_bucket{le=\"+Inf\"} ",
        "\n# TYPE salon_turn_seconds histogram\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert_eq!(get(admin, "/livez").0, 200);
    assert_eq!(get(admin, "/readyz").0, 200);
    assert_eq!(get(admin, "/").0, 404);
    assert_eq!(get(server.public, "/metrics").0, 404, "not for everybody");
}

#[test]
fn violations_are_answered_on_the_wire_and_a_neighbour_notices_nothing() {
    let server = Server::echo();
    let mut neighbour = server.connect("/");
    for (bytes, code) in [
        (&b"\x81\x02hi"[..], 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x09\x81\0\0\0\0x", 1002),
        (b"\x80\x81\0\0\0\0x", 1002),
        (b"\x88\x81\0\0\0\0\x03", 1002),
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
        (b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x82\xff\x00\x00\x00\x00\x01\x00\x00\x01\0\0\0\0", 1009),
    ] {
        let whole = [format!("GET / HTTP/1.1\r\n{UPGRADE}").as_bytes(), bytes].concat();
        let mut stream = server.tcp();
        for byte in &whole {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(exchange(server.public, &whole), answer, "whole or byte by byte: {bytes:x?}");
        let frames = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let close = &answer[frames..];
        assert_eq!(close[0], 0x88, "{bytes:x?}");
        assert_eq!(u16::from_be_bytes([close[2], close[3]]), code, "{bytes:x?}");
        assert_eq!(close.len(), 2 + usize::from(close[1]), "nothing follows Close");
        say(&mut neighbour, "still here?");
        assert_eq!(hear(&mut neighbour), "still here?");
    }
}

#[test]
fn echo_takes_what_the_suites_send() {
    let server = Server::echo();
    let mut client = server.connect("/any/path?at=all");
    let large = "x".repeat(3 << 20);
    say(&mut client, &large);
    assert_eq!(hear(&mut client), large);
    let piece = |data: &[u8], opcode, last| Message::Frame(Frame::message(data.to_vec(), OpCode::Data(opcode), last));
    client.send(piece("κό".as_bytes(), Data::Text, false)).unwrap();
    client.send(Message::Ping("between".into())).unwrap();
    client.send(piece("σμε".as_bytes(), Data::Continue, true)).unwrap();
    assert_eq!(client.read().unwrap(), Message::Pong("between".into()));
    assert_eq!(hear(&mut client), "κόσμε");
    client.send(Message::binary(vec![0, 255])).unwrap();
    assert_eq!(client.read().unwrap(), Message::binary(vec![0, 255]));
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_nobody_else_notices() {
    let server = Server::serve(&["--rate", "off", "--blocked-within", "1s"]);
    let mut speaker = server.connect("/ws?user=speaker");
    let mut stalled = server.connect("/ws?user=stalled");
    for member in [&mut speaker, &mut stalled] {
        say(member, r#"{"type":"join","room_id":"r"}"#);
        hear_with(member, &[r#""type":"joined""#]);
    }
    // More than the kernel's buffers on both sides together, and until it is cut off: from then on it has a few seconds
    // to read why.
    let content = "x".repeat(16_000);
    let admin = server.admin.unwrap();
    for n in 0.. {
        say(&mut speaker, &format!(r#"{{"type":"broadcast","room_id":"r","content":"{content}"}}"#));
        hear_with(&mut speaker, &[&format!(r#""seq":{},"#, n + 1)]);
        if n % 20 == 19 && metric(admin, "salon_cut_off_total{reason=\"blocked_time\"}") == 1 {
            break;
        }
    }
    assert_eq!(close_code(&mut stalled), 1013);
    for (name, expected) in [
        ("salon_cut_off_total{reason=\"outbox_bytes\"}", 0),
        ("salon_closes_total{code=\"1013\"}", 1),
        ("salon_left_behind_total", 1),
    ] {
        assert_eq!(metric(admin, name), expected, "{name}");
    }
}

/// What waits for one that hears messages without numbers has a limit of its own: a plain client has no word for a
/// hole.
#[test]
fn a_plain_reader_that_stops_is_cut_off() {
    for (arguments, target) in
        [(&["--rate", "off"][..], "/ws/r?username=stalled"), (&["--rate", "off", "--history", "0"], "/ws?user=stalled")]
    {
        let server = Server::serve(arguments);
        let mut speaker = server.connect("/ws?user=speaker");
        say(&mut speaker, r#"{"type":"join","room_id":"r"}"#);
        hear_with(&mut speaker, &[r#""type":"joined""#]);
        let mut stalled = server.connect(target);
        if !target.contains("/r?") {
            say(&mut stalled, r#"{"type":"join","room_id":"r"}"#);
        }
        hear_with(&mut speaker, &[r#""type":"user_joined""#]);
        let content = "x".repeat(16_000);
        let admin = server.admin.unwrap();
        for n in 0.. {
            say(&mut speaker, &format!(r#"{{"type":"broadcast","room_id":"r","content":"{content}"}}"#));
            hear_with(&mut speaker, &[&format!(r#""seq":{},"#, n + 1)]);
            if n % 20 == 19 && metric(admin, "salon_cut_off_total{reason=\"outbox_bytes\"}") == 1 {
                break;
            }
        }
        assert_eq!(close_code(&mut stalled), 1013);
        assert_eq!(metric(admin, "salon_left_behind_total"), 0);
    }
}

#[test]
fn too_many_connections_are_told_so() {
    let server = Server::serve(&["--max-connections", "2"]);
    let _one = server.connect("/ws?user=one");
    let two = server.connect("/ws?user=two");
    let answer =
        String::from_utf8(exchange(server.public, format!("GET /ws HTTP/1.1\r\n{UPGRADE}").as_bytes())).unwrap();
    assert_eq!(status(&answer), 503);
    assert!(answer.contains("Retry-After: "));
    drop(two);
    let echo = Server::start(&["echo", "--listen", "127.0.0.1:0", "--max-connections", "1", "--log", "warn"]);
    let _one = echo.connect("/");
    let answer = String::from_utf8(exchange(echo.public, format!("GET / HTTP/1.1\r\n{UPGRADE}").as_bytes())).unwrap();
    assert_eq!(status(&answer), 503);
    // As soon as the end of the second has been read there is room again.
    let mut answers = std::iter::repeat_with(|| get(server.public, "/health").0);
    assert!(answers.by_ref().take(10_000).any(|code| code == 200));
}

#[test]
fn signals_end_it_cleanly() {
    // Salon does not wait long for a client that does not hang up.
    for (signal, hangs_up) in [("TERM", true), ("INT", false)] {
        let mut server = Server::serve(&[]);
        let mut alice = server.connect("/ws?user=alice");
        let mut bob = server.connect("/ws/r?username=bob");
        hear(&mut alice);
        hear(&mut bob);
        // One that has been answered once has certainly been accepted.
        let mut idle = tcp(server.public);
        idle.write_all(b"HEAD /health HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            idle.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        server.signal(signal);
        assert_eq!(close_code(&mut alice), 1012);
        assert_eq!(close_code(&mut bob), 1012);
        // Answering the Close is up to the client; reading on does it.
        assert!(alice.read().is_err() && bob.read().is_err());
        assert_eq!(idle.read_to_end(&mut Vec::new()).unwrap(), 0);
        let clients = (alice, bob, idle);
        if hangs_up {
            drop(clients);
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn what_cannot_start_says_why_in_one_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (arguments, part) in [
        (&["serve", "--listen", &taken, "--admin", "off"][..], "another program listens there"),
        (&["serve", "--listen", "127.0.0.1:0", "--admin", &taken], "another program listens there"),
        (&["echo", "--listen", &taken], "another program listens there"),
        (&["--listen", "nowhere"], "expected ADDRESS:PORT"),
        (&["--admin", "yes"], "or off"),
        (&["--lisen", "127.0.0.1:0"], "'--listen'"),
        (&["--rate", "fast"], "expected PER_SECOND:BURST"),
        (&["--max-connections", "0"], "from 1 to"),
        (&["--listen", "0.0.0.0:0"], "--open"),
        (&["--log", "loud"], "expected off, error"),
        (&["dance"], "dance"),
    ] {
        let output = salon(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        assert!(said.starts_with("salon: ") && said.contains(part), "{arguments:?}: {said}");
    }
}

/// The kernel's table of descriptors does not grow under load: each growth would hold up all clients.
#[cfg(target_os = "linux")]
#[test]
fn the_table_of_descriptors_is_wide_from_the_start() {
    for connections in [300, 3000] {
        let server = Server::serve(&["--max-connections", &connections.to_string()]);
        let status = server.proc("status");
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap().trim();
        assert!(size.parse::<usize>().unwrap() >= connections, "{size} of {connections}");
    }
}

#[test]
fn help_and_version_are_complete() {
    let text = |arguments: &[&str]| {
        let output = salon(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let help = text(&["--help"]);
    for word in [
        "serve",
        "echo",
        "--listen",
        "--admin",
        "--open",
        "--max-connections",
        "--max-connections-per-address",
        "--new-connections-per-address",
        "--count-loopback",
        "--rate",
        "--full-speed-per-address",
        "--history",
        "--origin",
        "--log",
        "--version",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(text(&["echo", "--help"]).contains("16 MiB"));
    assert_eq!(text(&["--version"]), format!("salon {}\n", env!("CARGO_PKG_VERSION")));
}
