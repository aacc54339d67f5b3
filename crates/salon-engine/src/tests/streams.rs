//! Streams may give and take less than they could, be full amid a write, end and fail at any byte.

use super::*;

const KINDS: [StreamKind; 2] = [StreamKind::Socket, StreamKind::Plain];

/// All slices go out, also by the `write_vectored` of std, which writes the first.
#[test]
fn a_stream_that_is_never_full_is_never_blocked() {
    for write_size in [1, 100, usize::MAX] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        script.wire().kind = StreamKind::Plain;
        script.wire().write_size = write_size;
        house.engine.subscribe(id, ROOM);
        house.engine.send(id, Kind::Text, b"direct");
        house.engine.publish(ROOM, Kind::Text, b"room", &[]);
        house.turn();
        assert_eq!(script.texts(), ["direct", "room"], "{write_size} bytes a write");
        assert_eq!((house.engine.blocked_of(id), house.engine.counters().blocked), (None, 0));
        house.engine.send(id, Kind::Text, &[b'x'; 1000]);
        house.turn();
        assert_eq!(script.texts()[0].len(), 1000, "{write_size} bytes a write");
    }
}

/// One edge, however little a read gives.
#[test]
fn a_stream_that_gives_little_at_once_is_read_until_it_has_nothing() {
    for read_size in [1, 100, usize::MAX] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        script.wire().kind = StreamKind::Plain;
        script.wire().read_size = read_size;
        script.say(&text(&"x".repeat(1000)));
        script.say(&text("behind"));
        house.engine.readable(id.index, false);
        house.settle();
        let told: Vec<usize> = house.told().iter().map(|(_, text)| text.len()).collect();
        assert_eq!(told, [1000, 6], "{read_size} bytes a read");
    }
}

/// The poller reports a stream between two events of its earlier bytes: these may have waited because the turn's budget
/// was spent.
#[test]
fn news_of_the_poller_amid_a_read_is_not_forgotten() {
    for kind in KINDS {
        for anew in [false, true] {
            let mut house = House::new(Settings::default());
            let (id, script) = house.open();
            script.wire().kind = kind;
            script.say(&[text("one"), text("two")].concat());
            house.engine.readable(id.index, false);
            house.engine.begin_turn(house.now);
            assert_eq!(house.engine.next_event(|_, _, event| matches!(event, Event::Text("one"))), Some(true));
            script.say(&text("three"));
            house.engine.readable(id.index, false);
            if anew {
                house.engine.begin_turn(house.now);
            }
            house.settle();
            assert_eq!(
                house.told(),
                [(id, "two".into()), (id, "three".into())],
                "{kind:?}, in a turn of its own: {anew}"
            );
        }
    }
}

#[test]
fn room_that_comes_and_goes_amid_a_write_loses_nothing() {
    for kind in KINDS {
        for room in [1, 7, 100, 4000] {
            let mut house = House::new(Settings::default());
            let members = house.members(1, ROOM);
            let (id, script) = &members[0];
            script.wire().kind = kind;
            script.wire().flaps = Some(room);
            let mut expected = Vec::new();
            for n in 0..20 {
                let (direct, room) = (format!("direct {n} {}", "x".repeat(n * 20)), format!("room {n}"));
                house.engine.send(*id, Kind::Text, direct.as_bytes());
                house.engine.publish(ROOM, Kind::Text, room.as_bytes(), &[]);
                expected.extend([direct, room]);
                house.turn();
                // Another edge: it had room in between.
                house.engine.writable(id.index);
                house.turn();
            }
            for _ in 0..20_000 {
                house.engine.writable(id.index);
                house.turn();
                if house.engine.blocked_of(*id).is_none() {
                    break;
                }
            }
            assert_eq!(script.texts(), expected, "{kind:?}, room for {room}");
        }
    }
}

/// Buffers that are soon made.
fn small() -> Settings {
    let limits = Limits::new().message_bytes(1000);
    Settings { receive_buffer: 1000, limits, ..Settings::default() }
}

/// A handshake, and a frame of each kind.
fn conversation() -> Vec<u8> {
    let fragment = |first: u8, payload: &str| {
        let mut bytes = text(payload);
        bytes[0] = first;
        bytes
    };
    let frames = [
        text("hello"),
        fragment(0x01, "fr"),
        masked(Opcode::Ping, b"amid"),
        fragment(0x80, "agments"),
        masked(Opcode::Binary, &[7; 130]),
        masked(Opcode::Pong, b""),
        masked(Opcode::Close, b"\x03\xe8bye"),
    ];
    [HANDSHAKE.as_bytes(), &frames.concat()].concat()
}

/// The end, or a failure, behind any byte of it and in the same edge: earlier messages are reported and answered, the
/// end is noticed at once, and nothing is left.
#[test]
fn a_conversation_may_end_behind_any_byte() {
    let bytes = conversation();
    let mut told_before = Vec::new();
    {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        for byte in &bytes {
            told_before.push(house.told.clone());
            script.say(&[*byte]);
            house.hear(id);
            house.settle();
        }
        told_before.push(house.told());
    }
    for kind in KINDS {
        for fails in [false, true] {
            for read_size in [1, usize::MAX] {
                for (cut, told) in told_before.iter().enumerate() {
                    let row = format!("{kind:?}, fails: {fails}, {read_size} bytes a read, after {cut}");
                    let mut house = House::new(small());
                    house.echo = true;
                    let (id, script) = house.connect();
                    script.wire().kind = kind;
                    script.wire().read_size = read_size;
                    script.say(&bytes[..cut]);
                    script.wire().end = !fails;
                    script.wire().fails = fails;
                    // Plain streams need no hint.
                    house.engine.readable(id.index, kind == StreamKind::Socket);
                    house.settle();
                    let words: Vec<&str> = told.iter().map(|(_, word)| &word[..]).collect();
                    let mut expected = words.clone();
                    if !words.is_empty() && words.last() != Some(&"closed") {
                        expected.push("closed");
                    }
                    let told = house.told();
                    assert_eq!(told.iter().map(|(_, word)| &word[..]).collect::<Vec<_>>(), expected, "{row}");
                    assert!(house.engine.is_empty(), "{row}: it is over at once");
                    let texts = words.iter().filter(|word| !["request /", "closed"].contains(word)).count();
                    let head = script.taken();
                    let head_len = head.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
                    let heard = frames(&head[head_len..]);
                    if !fails {
                        let echoes = heard.iter().filter(|(opcode, _)| *opcode == Opcode::Text).count();
                        assert_eq!(echoes, texts, "{row}: what was said is answered");
                        assert!(script.wire().shut_down, "{row}");
                    }
                }
            }
        }
    }
}

/// A caller that has shut down its side is waiting for the answer.
#[test]
fn a_peer_that_has_ended_its_side_is_still_answered() {
    for (kind, keep) in
        [(StreamKind::Socket, true), (StreamKind::Socket, false), (StreamKind::Plain, true), (StreamKind::Plain, false)]
    {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        script.wire().kind = kind;
        script.say(b"GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
        script.wire().end = true;
        house.engine.readable(id.index, kind == StreamKind::Socket);
        house.settle();
        assert_eq!(house.told(), [(id, "request /late".into())]);
        house.wait(Duration::from_secs(3));
        assert!(!script.wire().shut_down);
        house.engine.respond(id, b"<here>", keep);
        house.settle();
        assert_eq!(script.taken(), b"<here>");
        assert!(script.wire().shut_down && house.engine.is_empty());
    }
}

#[test]
fn a_peer_that_has_ended_its_side_and_is_never_answered_is_not_kept() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
    script.wire().end = true;
    house.engine.readable(id.index, true);
    house.settle();
    house.wait(Duration::from_millis(9_999));
    assert_eq!(house.engine.len(), 1);
    house.wait(Duration::from_millis(1));
    assert!(house.engine.is_empty());
}

/// The owner upgrades a connection that has ended, or wants a body that will not come.
#[test]
fn a_peer_that_has_ended_its_side_is_let_in_to_the_end() {
    for upgrade in [true, false] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        script.say(&HANDSHAKE.replace("GET / ", "GET /late ").into_bytes());
        script.wire().end = true;
        house.engine.readable(id.index, true);
        house.settle();
        house.told();
        match upgrade {
            true => house.engine.upgrade(id, b"<welcome>", &Agreed::NOTHING),
            false => house.engine.receive_body(id, 10, 1, b"<go on>"),
        }
        house.settle();
        assert_eq!(house.told(), if upgrade { vec![(id, "closed".into())] } else { vec![] });
        assert_eq!(script.taken(), if upgrade { &b"<welcome>"[..] } else { b"" });
        assert!(house.engine.is_empty());
    }
}
