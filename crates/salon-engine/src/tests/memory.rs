//! Memory that is held and counted, the connections that lose theirs, and mistakes of ours that cost one connection.

use super::*;
use crate::memory::CUTS_AT_ONCE;
use crate::topic::MAX_KEPT_LOG;

/// Bytes held for connections, beyond their slots.
fn for_them(house: &House) -> usize {
    let held = house.engine.held();
    held.receiving + held.outboxes
}

#[test]
fn what_waits_is_counted_once_and_until_it_has_left() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    members.iter().for_each(|(_, script)| script.wire().room = 0);
    assert_eq!(for_them(&house), 0);
    house.engine.publish(ROOM, Kind::Text, &[b'x'; 100_000], &[]);
    house.turn();
    assert!((100_000..210_000).contains(&for_them(&house)), "shared: {}", for_them(&house));
    house.engine.send(members[0].0, Kind::Text, &[b'x'; 100_000]);
    house.turn();
    assert!((200_000..420_000).contains(&for_them(&house)), "and of one alone: {}", for_them(&house));
    for (id, script) in &members {
        assert!(for_them(&house) > 100_000, "until the last has had it");
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.settle();
    }
    assert_eq!(for_them(&house), 0);
}

#[test]
fn what_has_come_is_counted_until_it_is_whole_or_its_sender_gone() {
    for whole in [true, false] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        let message = text(&"x".repeat(60_000));
        script.say(&message[..50_000]);
        house.hear(id);
        assert!((50_000..=130_000).contains(&for_them(&house)), "{}", for_them(&house));
        script.say(if whole { &message[50_000..] } else { b"" });
        script.wire().end = !whole;
        house.hear(id);
        house.settle();
        assert_eq!(for_them(&house), 0);
    }
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET / HT");
    house.hear(id);
    assert!(for_them(&house) > 0);
    house.engine.abort(id);
    house.settle();
    assert_eq!(for_them(&house), 0);
}

/// Each row: KiB that wait for each of several connections, KiB that are too much, and the connections that are cut
/// off.
#[test]
fn the_largest_are_cut_off_with_1013_until_it_is_enough() {
    for (waiting, excess, cut) in [
        (&[10, 200, 50][..], 1, &[1][..]),
        (&[10, 200, 50], 150, &[1]),
        (&[10, 200, 50], 220, &[1, 2]),
        (&[10, 200, 50], 9999, &[0, 1, 2]),
        (&[0, 0], 9999, &[]),
    ] {
        let mut house = House::new(Settings::default());
        let members = house.members(waiting.len() + 1, ROOM);
        for ((id, script), kib) in members.iter().zip(waiting) {
            script.wire().room = if *kib > 0 { 0 } else { usize::MAX };
            house.engine.send(*id, Kind::Text, &vec![b'x'; kib << 10]);
        }
        house.turn();
        assert_eq!(house.engine.cut_largest(excess << 10), cut.len());
        house.turn();
        let mut told: Vec<usize> = house.told().iter().map(|(id, _)| id.index as usize).collect();
        told.sort_unstable();
        assert_eq!(told, cut, "{waiting:?}");
        assert_eq!(house.engine.counters().cut_memory, cut.len() as u64);
        let left: usize = (0..waiting.len()).filter(|at| !cut.contains(at)).map(|at| waiting[at] << 10).sum();
        assert!(for_them(&house) >= left);
        for at in cut {
            let (id, script) = &members[*at];
            script.wire().room = usize::MAX;
            house.engine.writable(id.index);
            house.settle();
            assert_eq!(frames(&script.taken()).last(), Some(&close_of(1013, TOO_SLOW)));
        }
        let (healthy, script) = members.last().unwrap();
        house.engine.send(*healthy, Kind::Text, b"all is well");
        house.settle();
        assert_eq!(script.texts().last().map(String::as_str), Some("all is well"));
    }
}

#[test]
fn a_peer_with_much_of_a_message_is_cut_off_too() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.say(&text(&"x".repeat(60_000))[..50_000]);
    house.hear(id);
    assert_eq!(house.engine.cut_largest(1), 1);
    house.turn();
    assert_eq!(house.told(), [(id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1013, "the server is short of memory")]);
    assert_eq!(for_them(&house), 0);
}

/// A peer that ends between turns still has its slot and its stream: a loop must not sleep on it.
#[test]
fn a_peer_that_is_given_up_between_turns_is_reaped_in_the_next() {
    for how in ["memory", "abort"] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.connect();
        script.say(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2000)).as_bytes());
        house.hear(id);
        assert!(!house.engine.has_work());
        match how {
            "memory" => assert_eq!(house.engine.cut_largest(1), 1),
            _ => house.engine.abort(id),
        }
        assert!(house.engine.has_work(), "{how}");
        house.turn();
        assert!(house.engine.is_empty() && !house.engine.has_work(), "{how}");
    }
}

#[test]
fn a_bounded_number_is_cut_off_at_once() {
    let mut house = House::new(Settings::default());
    let members = house.members(CUTS_AT_ONCE + 5, ROOM);
    for (id, script) in &members {
        script.wire().room = 0;
        house.engine.send(*id, Kind::Text, &[b'x'; 5000]);
    }
    house.turn();
    assert_eq!(house.engine.cut_largest(usize::MAX), CUTS_AT_ONCE);
    house.turn();
    assert_eq!(house.engine.cut_largest(usize::MAX), 5);
    assert_eq!(house.engine.cut_largest(usize::MAX), 0);
}

#[test]
fn logs_and_spare_buffers_are_given_back() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    house.engine.publish(ROOM, Kind::Text, &[b'x'; 3_000], &[]);
    house.engine.send(members[0].0, Kind::Text, &[b'x'; 40_000]);
    house.turn();
    let before = house.engine.held();
    assert!(before.topics > 3_000 && before.buffers > 100_000, "{before:?}");
    house.engine.shrink();
    let after = house.engine.held();
    assert!(after.topics < 1000 && after.buffers < before.buffers - 40_000, "{after:?}");
    house.engine.publish(ROOM, Kind::Text, b"still here", &[]);
    house.settle();
    assert_eq!(members[1].1.texts().last().map(String::as_str), Some("still here"));
}

/// A stream belongs to one connection: a panic inside of it, in TLS say, ends that connection.
#[test]
fn a_panic_in_a_stream_ends_its_connection_alone() {
    let mut house = House::new(Settings::default());
    house.echo = true;
    let (bad, script) = house.open();
    let (good, other) = house.open();
    script.wire().breaks_after = 0;
    house.hear(bad);
    assert_eq!(house.told(), [(bad, "closed".into())]);
    assert_eq!(house.engine.counters().panics, 1);
    assert_eq!(house.engine.len(), 1, "its slot is free");
    other.say(&text("hello"));
    house.hear(good);
    assert_eq!(other.texts(), ["hello"]);
}

/// Answers of one turn to many connections do not gather without bound.
#[test]
fn direct_messages_to_many_are_written_amid_the_turn() {
    let mut house = House::new(Settings::default());
    let members = house.members(50, ROOM);
    for (id, _) in &members {
        house.engine.send(*id, Kind::Text, &vec![b'x'; 200 << 10]);
    }
    let written = members.iter().filter(|(_, script)| !script.wire().written.is_empty()).count();
    assert_eq!(written, 41, "41 are more than 8 MiB");
    house.turn();
    assert!(members.iter().all(|(_, script)| script.texts().len() == 1));
}

/// Very many topics may have had messages once; only some of their buffers are kept, and used again.
#[test]
fn topics_keep_little_of_their_logs() {
    const TOPICS: u32 = 500;
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    (0..TOPICS).for_each(|number| house.engine.subscribe(id, topic(number)));
    let empty = house.engine.held();
    for len in [100, MAX_KEPT_LOG - 200, 16_000, 60_000, 100] {
        for _ in 0..3 {
            for number in 0..TOPICS {
                house.engine.publish(topic(number), Kind::Binary, &vec![b'x'; len], &[]);
                house.turn();
            }
            script.taken();
            let held = house.engine.held();
            let (topics, spare) = (held.topics - empty.topics, held.buffers - empty.buffers);
            assert!(topics <= TOPICS as usize * MAX_KEPT_LOG, "{len} bytes: {topics} in topics");
            assert!(spare <= (4 << 20) + 10_000, "{len} bytes: {spare} to be used again");
        }
    }
}

/// Many rooms with one member each, which then go: their places go too, except that a member of the last room keeps a
/// pointer for each room before it.
#[test]
fn topics_that_nobody_hears_take_a_pointer_or_nothing() {
    const TOPICS: u32 = 2000;
    let mut house = House::new(Settings::default());
    let (crowd, last) = (house.open(), house.open());
    for topic in 0..TOPICS {
        house.engine.subscribe(crowd.0, TopicId::new(topic).unwrap());
    }
    house.engine.subscribe(last.0, TopicId::new(TOPICS).unwrap());
    (0..TOPICS).for_each(|topic| house.engine.publish(TopicId::new(topic).unwrap(), Kind::Text, b"x", &[]));
    house.turn();
    assert!(house.engine.held().topics > 2000 * 100);
    house.engine.abort(crowd.0);
    house.settle();
    assert!(house.engine.held().topics < 40_000, "{}", house.engine.held().topics);
    house.engine.publish(TopicId::new(TOPICS).unwrap(), Kind::Text, b"x", &[]);
    house.turn();
    house.engine.unsubscribe(last.0, TopicId::new(TOPICS).unwrap());
    house.turn();
    assert_eq!(house.engine.topics.len(), 0);
    assert!(house.engine.held().topics <= 256 * 8, "{}", house.engine.held().topics);
    // A place that was left can be taken again.
    house.engine.subscribe(last.0, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"again", &[]);
    house.turn();
}
