//! Requests with a body: asked for, reported whole, and in time.

use super::*;

fn post(path: &str, body: &str, more: &str) -> Vec<u8> {
    let len = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n{more}\r\n{body}").into_bytes()
}

/// What the owner is told of a client that says this, in reads of that size, and the client's side of it.
fn told_of(said: &[u8], read_size: usize, receive_buffer: usize) -> (Vec<String>, Script) {
    let mut house = House::new(Settings { receive_buffer, ..Settings::default() });
    let (id, script) = house.connect();
    script.wire().read_size = read_size;
    script.say(said);
    while !script.wire().to_read.is_empty() {
        house.hear(id);
    }
    (house.told().into_iter().map(|(_, told)| told).collect(), script)
}

/// A body is reported whole, however it comes, and the bytes behind it are the next request.
#[test]
fn bodies_whole_in_pieces_and_pipelined() {
    let get = b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
    let long = "x".repeat(10_000);
    let said = [&post("/a", "one", "")[..], &post("/a", &long, ""), get, &post("/c", "close", ""), get].concat();
    for read_size in [1, 2, 3, 7, 100, 4096, usize::MAX] {
        for receive_buffer in [1, 16, 200, 64 << 10] {
            let (told, script) = told_of(&said, read_size, receive_buffer);
            let body = format!("body {long}");
            assert_eq!(told, ["wants /a", "body one", "wants /a", &body, "request /b", "wants /c", "body close"]);
            assert_eq!(script.taken(), format!("<one><{long}></b><close>").into_bytes());
            assert!(script.wire().shut_down, "nothing follows the last answer");
        }
    }
}

fn chunked(path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
}

/// The same in chunks; and behind a body that cannot be taken nothing is a request.
#[test]
fn bodies_in_chunks() {
    let get = b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
    let long = format!("2710\r\n{}\r\n0\r\n\r\n", "x".repeat(10_000));
    let good = [
        &chunked("/a", "2\r\non\r\n1;e\r\ne\r\n0\r\nt: 1\r\n\r\n")[..],
        &chunked("/a", &long),
        get,
        &chunked("/c", "0\r\n\r\n"),
    ]
    .concat();
    for (bad, told) in [("2\r\nabX", "bad 400"), ("2711\r\n", "bad 413"), ("0\r\nt\r\n\r\n", "bad 400")] {
        let said = [&good[..], &chunked("/d", bad), get].concat();
        for read_size in [1, 2, 100, 4096, usize::MAX] {
            for receive_buffer in [1, 200, 64 << 10] {
                let (heard, script) = told_of(&said, read_size, receive_buffer);
                let body = format!("body {}", "x".repeat(10_000));
                let first = ["wants /a", "body one", "wants /a", &body, "request /b", "wants /c", "body "];
                assert_eq!(heard[..7], first, "{read_size} {receive_buffer}");
                assert_eq!(heard[7..], ["wants /d", told], "{bad:?} {read_size} {receive_buffer}");
                assert!(script.wire().shut_down, "nothing follows the last answer");
            }
        }
    }
}

/// An answer may take its time: what is behind its request waits for it, whether it came with the request or later, and
/// however much it is.
#[test]
fn requests_behind_one_that_is_answered_later() {
    let late = b"GET /late HTTP/1.1\r\nHost: h\r\n\r\n";
    let post = post("/c", &"x".repeat(100), "");
    let rest = [&late[..], &post, late, b"GET /close HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    for at_once in [0, 1, late.len() - 1, late.len(), rest.len()] {
        for (read_size, end) in [(usize::MAX, false), (usize::MAX, true), (7, false), (1, true)] {
            let mut house = House::new(Settings::default());
            let (id, script) = house.connect();
            script.wire().read_size = read_size;
            script.say(&[late, &rest[..at_once]].concat());
            house.settle_by(id);
            script.say(&rest[at_once..]);
            script.wire().end = end;
            house.settle_by(id);
            assert_eq!(house.told(), [(id, "request /late".into())], "{at_once}");
            house.engine.respond(id, b"<1>", true);
            house.settle_by(id);
            let told: Vec<String> = house.told().into_iter().map(|(_, told)| told).collect();
            let body = format!("body {}", "x".repeat(100));
            assert_eq!(told, ["request /late"], "{at_once} {read_size}");
            house.engine.respond(id, b"<2>", true);
            house.settle_by(id);
            let told: Vec<String> = house.told().into_iter().map(|(_, told)| told).collect();
            assert_eq!(told, ["wants /c", &body, "request /late"], "{at_once} {read_size}");
            house.engine.respond(id, b"<3>", true);
            house.settle_by(id);
            assert_eq!(house.told(), [(id, "request /close".into())]);
            assert_eq!(script.taken(), format!("<1><2><{}><3></close>", "x".repeat(100)).into_bytes());
            assert!(script.wire().shut_down, "nothing follows the last answer");
        }
    }
}

#[test]
fn an_upgrade_may_follow_a_body() {
    let mut house = House::new(Settings::default());
    house.echo = true;
    let (id, script) = house.connect();
    script.say(&[&post("/a", "one", "")[..], HANDSHAKE.as_bytes(), &text("two")].concat());
    house.hear(id);
    let told: Vec<String> = house.told().into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, ["wants /a", "body one", "request /", "two"]);
    assert!(script.taken().starts_with(b"<one>HTTP/1.1 101 "));
}

#[test]
fn a_client_that_waits_to_go_on_is_answered_before_the_body() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(post("/a", "", "Expect: 100-Continue\r\n").strip_suffix(b"\r\n\r\n").unwrap());
    house.hear(id);
    assert_eq!(house.told(), [], "half a head");
    let (id, script) = house.connect();
    let said = post("/a", "body", "Expect: 100-Continue\r\n");
    script.say(&said[..said.len() - 4]);
    house.hear(id);
    assert_eq!(script.taken(), b"<go on>");
    script.say(b"body");
    house.hear(id);
    assert_eq!(script.taken(), b"<body>");
}

#[test]
fn a_body_has_its_time_and_the_next_head_anew() {
    for (came, complete) in [("ab", false), ("abc", true)] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        house.wait(Duration::from_secs(9));
        script.say(&post("/a", "abc", "")[..post("/a", "", "").len()]);
        house.hear(id);
        house.wait(Duration::from_secs(9));
        assert_eq!(house.engine.len(), 1, "it counts from the end of the head");
        script.say(&came.as_bytes()[..1]);
        house.hear(id);
        script.say(&came.as_bytes()[1..]);
        house.hear(id);
        house.wait(Duration::from_secs(1));
        assert_eq!(house.engine.len(), usize::from(complete));
        assert_eq!(house.engine.counters().no_request, u64::from(!complete));
        if complete {
            house.wait(Duration::from_secs(8));
            assert_eq!(house.engine.len(), 1, "the next head has ten seconds too");
        }
    }
}

#[test]
fn a_client_that_goes_amid_a_body_is_gone() {
    for reset in [false, true] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        script.say(&post("/a", "abc", "")[..post("/a", "", "").len() + 1]);
        house.hear(id);
        (script.wire().end, script.wire().reset) = (!reset, reset);
        house.engine.readable(id.index, true);
        house.settle();
        house.wait(Duration::from_secs(10));
        assert!(house.engine.is_empty());
        assert_eq!(house.told().len(), 1, "the head was told, and nothing else");
        assert_eq!(script.taken(), b"");
    }
}
