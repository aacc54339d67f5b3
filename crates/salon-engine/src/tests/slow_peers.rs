//! Peers that do not take their output.

use super::*;
use crate::Blocked;
use crate::input::FLUSH_ABOVE;
use crate::outbox::PACE_BYTES;
use crate::steps::PAUSE_ABOVE;

#[test]
fn too_much_waiting_is_cut_at_a_frame_with_1013() {
    let mut house = House::new(Settings { outbox_bytes: 1000, ..Settings::default() });
    let members = house.members(2, ROOM);
    let (slow, script) = &members[1];
    script.wire().room = 30;
    for n in 0..100 {
        house.engine.publish(ROOM, Kind::Text, format!("message number {n:03}").as_bytes(), &[]);
        house.turn();
    }
    assert_eq!(house.told(), [(*slow, "closed".into())]);
    assert_eq!(house.engine.counters().cut_bytes, 1);
    script.wire().room = usize::MAX;
    house.engine.writable(slow.index);
    house.settle();
    let got = frames(&script.taken());
    assert_eq!(got.last(), Some(&close_of(1013, TOO_SLOW)));
    assert_eq!(got.len(), 3, "the frame sent, the frame begun, Close");
    assert!(script.wire().shut_down);
    assert_eq!(members[0].1.texts().len(), 100);
}

/// A message that is longer than what may wait reached nobody whose socket did not take it at once: whoever was to hear
/// it was closed with 1013, its sender too, and at each replay once more.
#[test]
fn one_message_that_is_longer_than_what_may_wait_arrives_whole() {
    let [before, long, behind] = [("a", 200), ("x", 5000), ("b", 200)].map(|(text, times)| text.repeat(times));
    // Between the others of one turn, which leave with it in one write; in the turn behind them; and to a topic.
    for (to_topic, turns) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut house = House::new(Settings { outbox_bytes: 1000, ..Settings::default() });
        let members = house.members(1, ROOM);
        let (id, script) = &members[0];
        script.wire().room = 7;
        let texts = [&*before, &long, &behind];
        for text in texts {
            match to_topic {
                true => house.engine.publish(ROOM, Kind::Text, text.as_bytes(), &[]),
                false => house.engine.send(*id, Kind::Text, text.as_bytes()),
            }
            if turns {
                house.turn();
            }
        }
        house.turn();
        assert_eq!(house.told(), [], "{to_topic} {turns}");
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.settle();
        assert_eq!(script.texts(), texts, "{to_topic} {turns}");
        // And what has left counts for nothing more: the bound is as it was.
        script.wire().room = 0;
        house.engine.send(*id, Kind::Text, &[b'c'; 200]);
        for _ in 0..6 {
            house.engine.send(*id, Kind::Text, &[b'c'; 200]);
            house.turn();
        }
        assert_eq!(house.told(), [(*id, "closed".into())]);
    }
}

/// There is one such message, and what waits beside it is counted as ever: also a second one of that length.
#[test]
fn what_waits_beside_the_longest_message_is_counted() {
    for (others, is_cut) in [(&[900, 70][..], false), (&[900, 70, 70], true), (&[4990], true)] {
        let mut house = House::new(Settings { outbox_bytes: 1000, ..Settings::default() });
        let members = house.members(1, ROOM);
        let (id, script) = &members[0];
        script.wire().room = 0;
        for len in [5000].iter().chain(others) {
            house.engine.send(*id, Kind::Text, &vec![b'x'; *len]);
            house.turn();
        }
        assert_eq!(house.engine.counters().cut_bytes, u64::from(is_cut), "{others:?}");
        let blocked = house.engine.blocked_of(*id).unwrap();
        assert!(is_cut || blocked.bytes > 5000 && blocked.counted <= 1000, "{blocked:?}");
        house.settle();
        house.told();
    }
}

/// Found by the fuzz target `engine`: a Close frame stood in the middle of the response.
#[test]
fn a_peer_without_its_whole_response_is_sent_no_frame() {
    for room in 0..300 {
        let mut house = House::new(Settings { outbox_bytes: 300, ..Settings::default() });
        let (id, script) = house.connect();
        script.wire().room = room;
        script.say(HANDSHAKE.as_bytes());
        house.engine.readable(id.index, false);
        house.begin();
        house.engine.send(id, Kind::Text, b"one");
        house.engine.send(id, Kind::Text, &[b'x'; 100]);
        house.finish();
        // The longest alone would not be counted.
        house.engine.send(id, Kind::Text, &[b'x'; 400]);
        house.engine.send(id, Kind::Text, &[b'x'; 400]);
        house.turn();
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.settle();
        let taken = script.taken();
        let head_len = taken.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        match head_len {
            None => assert_eq!(taken.len(), room, "nothing follows what was taken of the response"),
            Some(head_len) => assert_eq!(frames(&taken[head_len..]).last(), Some(&close_of(1013, TOO_SLOW)), "{room}"),
        }
        assert_eq!(house.told().last(), Some(&(id, "closed".into())));
    }
}

#[test]
fn taking_nothing_for_too_long_is_cut_off() {
    let mut house = House::new(Settings::default());
    let members = house.members(1, ROOM);
    let (id, script) = &members[0];
    script.wire().room = 0;
    house.engine.publish(ROOM, Kind::Text, b"hello", &[]);
    house.turn();
    house.wait(Duration::from_millis(9_999));
    assert_eq!(house.told(), []);
    house.wait(Duration::from_millis(1));
    assert_eq!(house.told(), [(*id, "closed".into())]);
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty(), "it is not waited for for ever");
}

/// A poller may report room only when there is much: a socket is asked before it is given up.
#[test]
fn a_socket_that_takes_a_byte_unreported_is_not_cut_off() {
    let mut house = House::new(Settings { ping_after: None, ..Settings::default() });
    let (id, script) = house.open();
    script.wire().room = 0;
    house.engine.send(id, Kind::Text, b"hello");
    house.turn();
    for _ in 0..4 {
        script.wire().room = 1;
        house.wait(Duration::from_secs(10));
        assert_eq!((house.told(), script.wire().room), (vec![], 0));
    }
    house.wait(Duration::from_secs(10));
    assert_eq!(house.told(), [(id, "closed".into())]);
}

#[test]
fn blocked_peers_are_listed_with_what_waits_and_since_when() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    let (id, script) = &members[1];
    script.wire().room = 3;
    house.engine.publish(ROOM, Kind::Text, b"hello", &[]);
    house.turn();
    house.wait(Duration::from_millis(700));
    let blocked =
        |bytes, since| Blocked { id: *id, bytes, counted: bytes, since: Duration::from_millis(since), ends: false };
    assert_eq!(house.engine.blocked().collect::<Vec<_>>(), [blocked(4, 700)]);
    assert_eq!(house.engine.blocked_of(*id), Some(blocked(4, 700)));
    assert_eq!(house.engine.blocked_of(members[0].0), None);
    script.wire().room = 1;
    house.engine.writable(id.index);
    house.turn();
    assert_eq!(house.engine.blocked_of(*id), Some(blocked(3, 0)), "it has taken something");
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.turn();
    assert_eq!(house.engine.blocked().count(), 0);
}

/// What waits for a connection that is ending is said to be that: no limit of what may wait holds for it any more.
#[test]
fn a_blocked_peer_that_is_ending_is_listed_as_such() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.wire().room = 3;
    house.engine.send(id, Kind::Text, b"hello");
    house.turn();
    let ends = |house: &House| house.engine.blocked_of(id).map(|blocked| (blocked.bytes, blocked.ends));
    assert_eq!(ends(&house), Some((4, false)));
    house.engine.close(id, CloseCode::NORMAL, "");
    house.turn();
    assert_eq!(ends(&house), Some((8, false)), "a Close waits too, and the one of the peer is waited for");
    script.say(&masked(Opcode::Close, &[]));
    house.hear(id);
    house.turn();
    assert_eq!(ends(&house), Some((8, true)), "nothing comes any more; what waits has a deadline alone");
}

#[test]
fn a_flood_of_pings_to_a_peer_that_does_not_read_leaves_one_pong() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.say(&[masked(Opcode::Ping, b"1"), masked(Opcode::Ping, b"2")].concat());
    house.hear(id);
    assert_eq!(script.texts(), ["1", "2"], "while the socket takes them, all are answered");
    script.wire().room = 0;
    house.engine.send(id, Kind::Text, b"blocked");
    house.turn();
    for n in 0..1000 {
        script.say(&masked(Opcode::Ping, format!("{n}").as_bytes()));
        house.hear(id);
    }
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.turn();
    assert_eq!(script.texts(), ["blocked", "999"]);
}

/// The rest of a message is not read while its sender does not take its answers: that time does not count against it.
#[test]
fn a_message_that_is_not_read_may_be_finished_when_it_is() {
    for whole in [true, false] {
        let mut house = House::new(Settings { outbox_bytes: 1 << 20, ping_after: None, ..Settings::default() });
        let (id, script) = house.open();
        let message = text("a message in two parts");
        script.say(&message[..9]);
        house.hear(id);
        script.wire().room = 0;
        house.engine.send(id, Kind::Text, &[b'x'; 500_000]);
        house.turn();
        script.say(&message[9..if whole { message.len() } else { 12 }]);
        house.hear(id);
        for _ in 0..14 {
            house.wait(Duration::from_secs(5));
            script.wire().room = 8_000;
            house.engine.writable(id.index);
            house.turn();
        }
        assert_eq!(house.told(), [], "it is not read for 70 s");
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.turn();
        house.settle();
        if whole {
            assert_eq!(house.told(), [(id, "a message in two parts".into())]);
            continue;
        }
        script.taken();
        house.wait(Duration::from_millis(59_999));
        assert_eq!(house.told(), []);
        house.wait(Duration::from_millis(1));
        let close = frames(&script.taken()).pop();
        assert_eq!(close, Some(close_of(1008, "message not finished in time")));
    }
}

#[test]
fn a_peer_that_does_not_take_its_answers_is_not_read() {
    let mut house = House::new(Settings { outbox_bytes: 1 << 20, ..Settings::default() });
    house.echo = true;
    let (id, script) = house.open();
    script.wire().room = 0;
    let message = text(&"x".repeat(60_000));
    for _ in 0..20 {
        script.say(&message);
        house.hear(id);
    }
    assert!(script.wire().to_read.len() > 10 * message.len(), "the kernel's buffers are the limit then");
    assert_eq!(house.engine.counters().cut_bytes, 0);
    script.wire().room = usize::MAX;
    for _ in 0..40 {
        house.engine.writable(id.index);
        house.turn();
        house.settle();
    }
    assert_eq!(script.texts().len(), 20);
}

/// At most so much may wait for a peer that is still read.
#[test]
fn a_peer_is_read_while_little_waits_for_it() {
    for (len, heard) in [(PAUSE_ABOVE, true), (PAUSE_ABOVE + 1, false)] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        script.wire().room = 0;
        house.engine.send(id, Kind::Text, &vec![b'x'; len - 10]);
        house.turn();
        script.say(&text("hello"));
        house.hear(id);
        assert_eq!(!house.told().is_empty(), heard, "{len} bytes wait");
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.settle();
        assert_eq!(house.told().is_empty(), heard, "and then it is");
    }
}

/// Answers to one read are written before there are too many of them.
#[test]
fn answers_to_one_read_are_written_amid_it() {
    for (count, writes) in [(5, 1), (6, 2), (10, 2), (11, 3)] {
        let mut house = House::new(Settings { receive_buffer: 1 << 20, ..Settings::default() });
        house.echo = true;
        let (id, script) = house.open();
        script.wire().writes = 0;
        script.say(&text(&"x".repeat(FLUSH_ABOVE / 5 + 1)).repeat(count));
        house.hear(id);
        house.settle();
        assert!(script.wire().writes >= writes, "{count} answers");
        assert_eq!(script.texts().len(), count);
    }
}

/// A peer that takes something now and then is not dead, but it must take 1 KiB a second, of its last output too.
#[test]
fn a_peer_that_takes_too_little_a_minute_is_cut_off() {
    for (a_second, slow) in [(1, true), (PACE_BYTES / 60 - 1, true), (PACE_BYTES / 60, false)] {
        for ends in [false, true] {
            let mut house = House::new(Settings { ping_after: None, ..Settings::default() });
            let (id, script) = house.open();
            script.wire().room = 0;
            house.engine.send(id, Kind::Binary, &[b'x'; 500_000]);
            house.turn();
            if ends {
                house.engine.close(id, CloseCode::NORMAL, "");
                script.say(&masked(Opcode::Close, b"\x03\xe8"));
                house.hear(id);
            }
            house.told();
            for second in 1..=125 {
                script.wire().room = a_second;
                house.engine.writable(id.index);
                house.wait(Duration::from_secs(1));
                let cut = house.engine.counters().cut_time;
                assert_eq!(cut > 0, slow && second >= 60, "{a_second} bytes a second for {second} s; it ends: {ends}");
                let expected = if cut > 0 && !ends { vec![(id, "closed".into())] } else { vec![] };
                assert!(cut == 0 || house.told() == expected || second > 60);
            }
            // The frame that was begun has another minute, and then the connection ends.
            assert_eq!(house.engine.is_empty(), slow);
        }
    }
}

/// A peer that may take nothing for longer than that is not cut off sooner for taking little.
#[test]
fn a_peer_that_may_rest_for_long_is_not_cut_off_for_its_pace() {
    let blocked_within = Duration::from_secs(90);
    let mut house = House::new(Settings { ping_after: None, blocked_within, ..Settings::default() });
    let (id, script) = house.open();
    script.wire().room = 0;
    house.engine.send(id, Kind::Binary, &[b'x'; 1000]);
    house.turn();
    house.wait(blocked_within - Duration::from_millis(1));
    assert_eq!(house.told(), []);
    house.wait(Duration::from_millis(1));
    assert_eq!(house.told(), [(id, "closed".into())]);
}
