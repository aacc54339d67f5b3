//! Requests and opening handshakes: heads, the bytes behind them, and heads that do not come in time.

use super::*;

#[test]
fn any_read_and_write_size_gives_the_same() {
    let said = [HANDSHAKE.as_bytes(), &text("one"), &text("two"), &masked(Opcode::Close, b"\x03\xe8")].concat();
    for read_size in [1, 2, 3, 7, 100, usize::MAX] {
        for write_size in [1, 5, usize::MAX] {
            for receive_buffer in [1, 16, 4096] {
                let mut house = House::new(Settings { receive_buffer, ..Settings::default() });
                house.echo = true;
                let (id, script) = house.connect();
                (script.wire().read_size, script.wire().write_size) = (read_size, write_size);
                script.say(&said);
                script.wire().end = true;
                for _ in 0..2 * said.len() {
                    house.engine.readable(id.index, true);
                    house.engine.writable(id.index);
                    house.turn();
                }
                let told: Vec<String> = house.told().into_iter().map(|(_, told)| told).collect();
                assert_eq!(told, ["request /", "one", "two", "closed"]);
                let written = script.taken();
                let frames = frames(&written[written.len() - 14..]);
                let echoed = |text: &str| (Opcode::Text, text.as_bytes().to_vec());
                assert_eq!(frames, [echoed("one"), echoed("two"), close_of(1000, "")]);
                assert!(house.engine.is_empty(), "the slot is freed");
            }
        }
    }
}

#[test]
fn frames_behind_the_handshake_are_heard() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(&[HANDSHAKE.as_bytes(), &text("early")].concat());
    house.hear(id);
    assert_eq!(house.told(), [(id, "request /".into()), (id, "early".into())]);
}

#[test]
fn http_is_kept_alive_and_pipelined() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /close HTTP/1.1\r\nHost: h\r\n\r\nGET /d");
    house.hear(id);
    house.settle();
    assert_eq!(script.taken(), b"</a></b></close>");
    assert!(script.wire().shut_down);
    script.wire().end = true;
    house.hear(id);
    assert!(house.engine.is_empty());
}

#[test]
fn a_bad_head_is_told_once_and_ends() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET / HTTP/1.1\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    house.hear(id);
    house.settle();
    assert_eq!(house.told(), [(id, "bad 400".into())]);
    assert!(script.wire().shut_down);
}

/// One empty line before a request is skipped, however it is cut (RFC 9112 section 2.2); two are none.
#[test]
fn an_empty_line_before_a_request() {
    for (said, told) in [
        ("\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "request /a"),
        ("\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "bad 400"),
        ("\rGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "bad 400"),
        ("\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "bad 400"),
        ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", "request /b"),
    ] {
        for piece in [1, 2, 3, said.len()] {
            let mut house = House::new(Settings::default());
            let (id, script) = house.connect();
            for bytes in said.as_bytes().chunks(piece) {
                script.say(bytes);
                house.hear(id);
                house.settle();
            }
            let last = house.told().pop().map(|(_, event)| format!("{event:?}"));
            assert!(
                last.as_ref().is_some_and(|event| event.contains(told.split(' ').next_back().unwrap())),
                "{said:?} {piece}: {last:?}"
            );
        }
    }
}

#[test]
fn no_request_in_time_is_no_connection() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    // One byte every five seconds does not extend it.
    for byte in b"GE" {
        script.say(&[*byte]);
        house.hear(id);
        house.wait(Duration::from_millis(4_999));
    }
    assert_eq!(house.engine.len(), 1);
    house.wait(Duration::from_millis(2));
    assert!(house.engine.is_empty());
    assert_eq!(house.engine.counters().no_request, 1);
    assert_eq!(house.told(), [], "what was never open is never closed");
}

/// A peer that has begun a request and does not finish it is answered; one that is silent is not.
#[test]
fn a_request_that_is_late_is_answered() {
    let post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    for (said, answered) in [("", false), ("\r\n", false), ("G", true), ("GET / HTTP/1.1\r\n", true), (post, true)] {
        let mut house = House::new(Settings::default());
        house.engine.set_late_answer(b"<late>".to_vec());
        let (id, script) = house.connect();
        script.say(said.as_bytes());
        house.hear(id);
        house.wait(Duration::from_millis(10_001));
        assert!(house.engine.is_empty(), "{said:?}");
        let written = script.taken();
        assert_eq!(written.ends_with(b"<late>"), answered, "{said:?}: {}", String::from_utf8_lossy(&written));
        assert_eq!(house.engine.counters().no_request, 1);
    }
}

/// A connection that is kept may be idle for longer than a head may take; from the first byte of the next request it
/// may not.
#[test]
fn between_two_requests_there_is_more_time_than_for_one() {
    let settings = || Settings { idle_within: Duration::from_secs(75), ..Settings::default() };
    for (idle, says, then, stays) in [
        (74_998, &b""[..], 0, true),
        (75_001, b"", 0, false),
        (60_000, b"G", 9_998, true),
        (60_000, b"G", 10_001, false),
        (60_000, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 74_998, true),
    ] {
        let mut house = House::new(settings());
        let (id, script) = house.connect();
        script.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        house.hear(id);
        house.settle();
        house.wait(Duration::from_millis(idle));
        if !says.is_empty() {
            script.say(says);
            house.hear(id);
            house.settle();
        }
        house.wait(Duration::from_millis(then));
        assert_eq!(!house.engine.is_empty(), stays, "{idle} ms, {} bytes, {then} ms", says.len());
    }
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    script.wire().end = true;
    house.engine.readable(id.index, true);
    house.turn();
    house.settle();
    assert_eq!(script.taken(), b"</a>");
    assert!(house.engine.is_empty());
}

#[test]
fn a_slow_link_gets_its_page_whole() {
    for (target, keep) in [("/page", true), ("/close", false)] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        script.wire().room = 1;
        script.say(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        house.hear(id);
        let body = format!("<{target}>");
        for _ in 1..body.len() {
            house.wait(Duration::from_secs(4));
            script.wire().room = 1;
            house.engine.writable(id.index);
            house.turn();
        }
        assert_eq!(script.taken(), body.as_bytes(), "{target}");
        assert_eq!(script.wire().shut_down, !keep);
        house.wait(Duration::from_millis(if keep { 74_999 } else { 4_999 }));
        assert_eq!(house.engine.len(), 1, "{target}");
        house.wait(Duration::from_millis(1));
        assert!(house.engine.is_empty(), "{target}");
    }
}

/// A head that fills its limit with a header line, and not with the empty one, is refused however it was cut. (A
/// scanner once took it in for ever, and the loop with it.)
#[test]
fn a_head_that_ends_a_line_at_its_limit_is_refused() {
    let start = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\nB: {}\r\n", "a".repeat(6_000), "b".repeat(6_000));
    let head = format!("{start}C: {}\r\n", "c".repeat((16 << 10) - start.len() - 5));
    assert_eq!(head.len(), 16 << 10);
    for cut in [0, 1, 10, 6_000, head.len() - 2, head.len() - 1] {
        for behind in ["", "D"] {
            let mut house = House::new(Settings::default());
            let (id, script) = house.connect();
            let (first, rest) = head.split_at(cut);
            for piece in [first, rest, behind] {
                script.say(piece.as_bytes());
                house.hear(id);
            }
            house.settle();
            assert_eq!(house.told(), [(id, "bad 431".into())], "cut at {cut}, behind it {behind:?}");
            assert!(script.wire().shut_down);
        }
    }
}
