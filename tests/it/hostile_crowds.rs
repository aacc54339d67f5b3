//! Too many at once: connections over the limits, and their cost for the others.

use std::io::Read;

use crate::common::rows::{CLOSE, Neighbour, SWITCHED, UPGRADE, closed, frame, text, told, upgrade};
use crate::common::{Server, close_code, exchange, get, hear, say, status};

/// As many as are taken in, and more that wait outside, most of them without a word.
#[test]
fn a_full_house_neither_spins_nor_locks_the_operator_out() {
    let server = Server::serve(&["--max-connections", "1", "--rate", "off"]);
    let mut inside = server.connect("/ws?user=inside");
    hear(&mut inside);
    let silent: Vec<_> = (0..64 + 10).map(|_| server.tcp()).collect();
    // The last of those that are taken in to be refused: from here on the others wait.
    let turns = || {
        let (code, metrics) = get(server.admin.unwrap(), "/metrics");
        assert_eq!(code, 200);
        let line = metrics.lines().find(|line| line.starts_with("salon_turn_seconds_count ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let mut talk = || {
        for n in 0..100 {
            say(&mut inside, &format!(r#"{{"type":"ping","id":{n}}}"#));
            assert!(hear(&mut inside).starts_with(&format!(r#"{{"type":"pong","id":{n},"#)));
        }
    };
    talk();
    let before = turns();
    talk();
    // One turn a message, and some for the report itself; a loop that spins makes thousands.
    let taken = turns() - before;
    assert!(taken < 300, "{taken} turns for 100 messages");
    // Nobody was sent away meanwhile, so Salon was full when the operator came in.
    silent[0].set_nonblocking(true).unwrap();
    assert_eq!((&silent[0]).read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(silent);
    // The clients that waited are gone, and a new one is answered again.
    let answer = String::from_utf8(exchange(server.public, &upgrade("/ws"))).unwrap();
    assert_eq!(status(&answer), 503, "{answer}");
}

/// Over the open limit a connection is upgraded, hears `goodbye`, and is closed with 4100.
#[test]
fn one_address_has_so_many_connections() {
    let limits = ["--max-connections-per-address", "2", "--new-connections-per-address", "1000000"];
    let server = Server::serve(&[&["--count-loopback", "--rate", "off"], &limits[..]].concat());
    let mut neighbour = Neighbour::chat(&server);
    let mut second = server.connect("/ws?user=second");
    hear(&mut second);
    let reason = "too many connections of this address";
    let goodbye = br#"{"type":"goodbye","reason":"connection_limit","reconnect":true,"after_ms":10000}"#;
    let error = br#"{"type":"error","content":"too many connections of this address","room":"ROOM0000","username":""}"#;
    for (target, parting) in [("/ws?user=USER0000", &goodbye[..]), ("/ws/ROOM0000?username=USER0000", error)] {
        let answer = [SWITCHED.as_bytes(), &told(0x81, parting), &closed(4100, reason)].concat();
        neighbour.check(&server, target, &[&upgrade(target), CLOSE].concat(), &answer);
        let spoken = [&upgrade(target), &text("hello?")[..], CLOSE].concat();
        neighbour.check(&server, "who speaks all the same", &spoken, &answer);
    }
    // Other doors are open, and are not kept open. A refusal is what it would be for everybody.
    let page = String::from_utf8(exchange(server.public, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("\r\nConnection: close\r\n"), "{page}");
    let foreign = format!("GET /ws HTTP/1.1\r\nOrigin: http://evil.example\r\n{UPGRADE}\r\n");
    assert_eq!(status(&String::from_utf8(exchange(server.public, foreign.as_bytes())).unwrap()), 403);
    // The operator's port is not counted, and shows how many were refused: 2 rows of 2 targets in 2 ways, and the last
    // two.
    let (_, metrics) = get(server.admin.unwrap(), "/metrics");
    assert!(metrics.contains("\nsalon_refused_total{reason=\"too_many\"} 10\n"), "{metrics}");
    assert!(metrics.contains("\nsalon_closes_total{code=\"4100\"} 8\n"), "{metrics}");
    // When one is gone, soon another one is welcome.
    second.close(None).unwrap();
    assert_eq!(close_code(&mut second), 1005);
    drop(second);
    let welcome = (0..10_000).any(|_| hear(&mut server.connect("/ws?user=third")).contains("welcome"));
    assert!(welcome);
    neighbour.talks();
}

#[test]
fn one_address_opens_so_many_a_second() {
    let server = Server::serve(&["--count-loopback", "--new-connections-per-address", "1", "--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let request = b"GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let mut refused = 0;
    for _ in 0..20 {
        let answer = String::from_utf8(exchange(server.public, request)).unwrap();
        neighbour.talks();
        match status(&answer) {
            404 => {}
            429 => {
                let body = "{\"error\":\"too many new connections from this address; try again later\"}\n";
                assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
                assert!(answer.contains("\r\nConnection: close\r\n") && answer.ends_with(body), "{answer}");
                refused += 1;
            }
            other => panic!("{other}: {answer}"),
        }
    }
    // However slow this machine is: it takes 20 seconds to be let in 20 times.
    assert!(refused > 0);
    // An upgrade gets the same answer.
    let mut answers = std::iter::repeat_with(|| exchange(server.public, &upgrade("/ws")[..]));
    assert!(answers.by_ref().take(3).any(|answer| answer.starts_with(b"HTTP/1.1 429 Too Many Requests\r\n")));
}

/// Stopping also closes clients that have come and are not accepted yet (more than one turn takes in): in order, and
/// not with a reset.
#[test]
fn clients_that_wait_outside_when_it_stops() {
    let mut server = Server::serve(&[]);
    server.signal("STOP");
    let mut waiting: Vec<_> = (0..300).map(|_| server.tcp()).collect();
    server.signal("TERM");
    server.signal("CONT");
    for stream in &mut waiting {
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
    drop(waiting);
    assert_eq!(server.wait().code(), Some(0));
}

/// Frames are paid for by the user at the address and by the address: neither another connection nor another name is a
/// way out.
#[test]
fn an_address_has_so_much_to_say() {
    let server = Server::serve(&["--count-loopback", "--rate", "1:20", "--full-speed-per-address", "2"]);
    // However slow this machine is: two people's 40 at once and 2 a second do not pay for 400.
    let refused = |name: &str| {
        let mut client = server.connect(&format!("/ws?user={name}"));
        hear(&mut client);
        (0..100).for_each(|n| say(&mut client, &format!(r#"{{"type":"ping","id":{n}}}"#)));
        let answers: Vec<String> = (0..100).map(|_| hear(&mut client)).collect();
        let of = |part: &str| answers.iter().filter(|answer| answer.contains(part)).count();
        (of("the rate of welcome.limits.rate"), of("all at this address"))
    };
    let (own, _) = refused("ann");
    assert!(own > 0);
    assert!(refused("ann").0 > 0, "coming back does not help");
    refused("bob");
    let (_, crowded) = refused("cat");
    assert!(crowded > 0, "another name does not help for ever");
}

/// Control frames cost what messages cost, and so does typing.
#[test]
fn every_frame_is_paid_for() {
    let server = Server::serve(&["--rate", "1:50"]);
    for (name, bytes) in [
        ("ping", frame(0x89, b"x")),
        ("pong", frame(0x8a, b"x")),
        ("typing", text(r#"{"type":"typing","user_id":"nobody","typing":true}"#)),
        ("not json", text("{")),
    ] {
        let asks = text(r#"{"type":"ping","id":"may I"}"#);
        let whole = [upgrade(&format!("/ws?user={}", name.replace(' ', "-"))), bytes.repeat(200), asks, CLOSE.to_vec()];
        let answer = String::from_utf8_lossy(&exchange(server.public, &whole.concat())).into_owned();
        let refused = r#"{"type":"error","id":"may I","code":"rate_limited","#;
        assert!(answer.contains(refused), "{name}: {answer}");
    }
}
