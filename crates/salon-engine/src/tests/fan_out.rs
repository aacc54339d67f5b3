//! Messages for many: one write each, in order, and past members that do not read.

use super::*;
use crate::topic::MAX_LOG;
use crate::topic::MAX_LOGS;

#[test]
fn one_write_for_all_of_a_turn() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    house.engine.subscribe(members[0].0, topic(7));
    house.begin();
    members.iter().for_each(|(_, script)| script.wire().writes = 0);
    for n in 0..5 {
        house.engine.publish(ROOM, Kind::Text, format!("m{n}").as_bytes(), &[]);
    }
    house.engine.publish(topic(7), Kind::Text, b"other", &[]);
    house.engine.send(members[1].0, Kind::Text, b"direct");
    house.finish();
    let five = ["m0", "m1", "m2", "m3", "m4"];
    assert_eq!(members[0].1.texts(), [&five[..], &["other"]].concat());
    assert_eq!(members[1].1.texts(), [&five[..], &["direct"]].concat());
    assert_eq!(members[2].1.texts(), five);
    assert_eq!(members.iter().map(|(_, script)| script.wire().writes).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(house.engine.counters().messages_out, 15 + 1 + 1);
}

#[test]
fn the_log_is_one_contiguous_write() {
    let mut expected = Vec::new();
    encode_frame(Opcode::Text, b"one", &mut expected);
    encode_frame(Opcode::Text, b"two", &mut expected);
    let mut house = House::new(Settings::default());
    let members = house.members(1, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"one", &[]);
    house.engine.publish(ROOM, Kind::Text, b"two", &[]);
    house.turn();
    assert_eq!(members[0].1.taken(), expected);
}

#[test]
fn order_between_direct_and_room_messages_holds() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    let (one, other) = (members[0].0, members[1].0);
    house.begin();
    house.engine.publish(ROOM, Kind::Text, b"a", &[]);
    house.engine.send(one, Kind::Text, b"b");
    house.engine.publish(ROOM, Kind::Text, b"c", &[one]);
    house.engine.send(one, Kind::Text, b"c, yours");
    house.engine.publish(ROOM, Kind::Text, b"d", &[]);
    house.engine.unsubscribe(other, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"e", &[]);
    house.engine.send(other, Kind::Text, b"left");
    house.finish();
    assert_eq!(members[0].1.texts(), ["a", "b", "c, yours", "d", "e"]);
    assert_eq!(members[1].1.texts(), ["a", "c", "d", "left"]);
}

#[test]
fn a_blocked_member_loses_nothing_and_holds_nobody() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    let (slow, script) = &members[1];
    script.wire().room = 7;
    let all: Vec<String> = (0..50).map(|n| format!("message {n}")).collect();
    for (n, message) in all.iter().enumerate() {
        house.engine.publish(ROOM, Kind::Text, message.as_bytes(), &[]);
        if n % 7 == 0 {
            house.engine.send(*slow, Kind::Text, b"direct");
        }
        house.turn();
    }
    assert_eq!(members[0].1.texts(), all);
    assert_eq!(script.wire().written.len(), 7);
    for _ in 0..200 {
        script.wire().room = 11;
        house.engine.writable(slow.index);
        house.turn();
    }
    let mut got = script.texts();
    got.retain(|text| text != "direct");
    assert_eq!(got, all);
}

#[test]
fn a_large_topic_is_flushed_in_slices_and_in_order() {
    let mut house = House::new(Settings { sends_per_flush: 10, ..Settings::default() });
    let mut members = house.members(95, ROOM);
    let mut expected = Vec::new();
    for n in 0..30 {
        house.engine.publish(ROOM, Kind::Text, format!("{n}").as_bytes(), &[]);
        expected.push(format!("{n}"));
        house.turn();
        assert!(house.engine.has_work());
        // People leave and come while a pass is under way, in front of the cursor and behind it.
        for at in [3, members.len() - 2] {
            let (id, script) = members.remove(at);
            house.engine.unsubscribe(id, ROOM);
            house.turn();
            assert_eq!(script.texts(), expected, "all that was said while it was there");
        }
    }
    house.settle();
    for (_, script) in &members {
        assert_eq!(script.texts(), expected);
    }
    assert_eq!(members.len(), 35);
}

/// The log of a topic is written amid a turn when it is as long as it may be.
#[test]
fn a_log_is_written_when_it_is_full() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    let writes = || members.iter().map(|(_, script)| script.wire().writes).collect::<Vec<_>>();
    house.begin();
    members.iter().for_each(|(_, script)| script.wire().writes = 0);
    house.engine.publish(ROOM, Kind::Text, &vec![b'x'; MAX_LOG - 10 - 1], &[]);
    assert_eq!(writes(), [0, 0], "one byte is missing");
    house.engine.publish(ROOM, Kind::Text, b"", &[]);
    assert_eq!(writes(), [1, 1]);
    house.finish();
    assert_eq!(writes(), [1, 1]);
    assert_eq!(members[1].1.texts().len(), 2);
}

#[test]
fn a_small_topic_does_not_wait_for_a_slice_of_a_large_one() {
    let mut house = House::new(Settings { sends_per_flush: 2, ..Settings::default() });
    let large = house.members(5, ROOM);
    let small = house.members(1, topic(7));
    house.engine.publish(ROOM, Kind::Text, b"large", &[]);
    house.turn();
    house.engine.publish(topic(7), Kind::Text, b"small", &[]);
    house.settle();
    let when: Vec<usize> = large.iter().map(|(_, script)| script.wire().written_at).collect();
    let small_at = small[0].1.wire().written_at;
    assert!(when[1] < small_at && small_at < when[2], "{small_at} among {when:?}");
    assert!(large.iter().all(|(_, script)| script.texts() == ["large"]));
    assert_eq!(small[0].1.texts(), ["small"]);
}

/// A house in which topics of two members and more wait for 20 ms.
fn unhurried() -> House {
    let delay = Duration::from_millis(20);
    House::new(Settings { flush_delay: delay, flush_delay_members: 2, ..Settings::default() })
}

#[test]
fn what_is_held_back_leaves_in_one_write_when_it_is_due() {
    let mut house = unhurried();
    let members = house.members(2, ROOM);
    members.iter().for_each(|(_, script)| script.wire().writes = 0);
    let (began, idle) = (house.now, house.engine.next_deadline());
    for text in ["one", "two"] {
        house.engine.publish(ROOM, Kind::Text, text.as_bytes(), &[]);
        house.turn();
        assert!(!house.engine.has_work(), "a loop may sleep");
        assert_eq!(house.engine.next_deadline(), Some(began + Duration::from_millis(20)), "counted from the first");
        house.now = began + Duration::from_millis(19);
    }
    house.turn();
    assert!(members.iter().all(|(_, script)| script.texts().is_empty()), "not before it is due");
    house.wait(Duration::from_millis(1));
    for (_, script) in &members {
        assert_eq!(script.texts(), ["one", "two"]);
        assert_eq!(script.wire().writes, 1);
    }
    assert_eq!(house.engine.next_deadline(), idle);
    // The next one waits anew.
    house.engine.publish(ROOM, Kind::Text, b"three", &[]);
    house.wait(Duration::from_millis(19));
    assert_eq!(members[0].1.texts(), [""; 0]);
    house.wait(Duration::from_millis(1));
    assert_eq!(members[0].1.texts(), ["three"]);
}

#[test]
fn a_member_that_is_sent_something_else_or_leaves_does_not_wait() {
    let mut house = unhurried();
    let members = house.members(4, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"room", &[]);
    house.engine.send(members[0].0, Kind::Text, b"direct");
    house.engine.unsubscribe(members[1].0, ROOM);
    house.engine.close(members[2].0, CloseCode::NORMAL, "");
    house.settle();
    assert_eq!(members[0].1.texts(), ["room", "direct"]);
    assert_eq!(members[1].1.texts(), ["room"]);
    let closed = frames(&members[2].1.taken());
    assert_eq!(closed, [(Opcode::Text, b"room".to_vec()), close_of(1000, "")]);
    assert!(!house.engine.has_work() && members[3].1.texts().is_empty());
    // The topic has become small.
    house.engine.abort(members[0].0);
    house.settle();
    assert_eq!(members[3].1.texts(), ["room"]);
}

#[test]
fn small_topics_and_full_logs_do_not_wait() {
    let mut house = unhurried();
    let small = house.members(1, topic(7));
    let large = house.members(2, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"large", &[]);
    house.engine.publish(topic(7), Kind::Text, b"small", &[]);
    house.settle();
    assert_eq!(small[0].1.texts(), ["small"]);
    assert_eq!(large[0].1.texts(), [""; 0]);
    house.engine.publish(ROOM, Kind::Text, &vec![b'x'; MAX_LOG], &[]);
    assert_eq!(large[1].1.texts().len(), 2);
}

#[test]
fn a_pass_goes_on_whatever_is_published_meanwhile() {
    let mut house = House::new(Settings { sends_per_flush: 1, ..unhurried().engine.settings.clone() });
    let members = house.members(3, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"one", &[]);
    house.now = house.now + Duration::from_millis(20);
    house.turn();
    assert!(house.engine.has_work(), "one of three has had it");
    house.engine.publish(ROOM, Kind::Text, b"two", &[]);
    house.settle();
    assert_eq!(members[0].1.texts(), ["one"]);
    assert_eq!(members[2].1.texts(), ["one", "two"], "in the write it was due for");
    house.wait(Duration::from_millis(20));
    house.settle();
    assert_eq!(members[0].1.texts(), ["two"]);
    assert_eq!(members[2].1.texts(), [""; 0]);
}

/// One message to many rooms: their logs together have a bound, and not each for itself alone. At the limit and one
/// past it.
#[test]
fn logs_of_many_topics_are_written_before_they_are_too_much() {
    const TEXT: usize = 16 << 10;
    let frame = TEXT + 4;
    for (texts, written) in [(MAX_LOGS / frame, false), (MAX_LOGS / frame + 1, true)] {
        let mut house = House::new(Settings::default());
        let rooms: Vec<_> = (0..100)
            .map(|room| TopicId::new(room).unwrap())
            .map(|room| (room, house.members(1, room).remove(0)))
            .collect();
        let (everywhere, hears) = house.open();
        rooms.iter().for_each(|(room, _)| house.engine.subscribe(everywhere, *room));
        let text = vec![b'x'; TEXT];
        for n in 0..texts {
            house.engine.publish(rooms[n % rooms.len()].0, Kind::Text, &text, &[]);
        }
        let had: usize = rooms.iter().map(|(_, (_, script))| script.wire().written.len()).sum();
        assert_eq!(had > 0, written, "{texts}");
        for n in 0..5_000 {
            house.engine.publish(rooms[n % rooms.len()].0, Kind::Text, &text, &[]);
            assert!(house.engine.held().topics <= 2 * MAX_LOGS + (1 << 20), "{}", house.engine.held().topics);
        }
        house.turn();
        for (_, (_, script)) in &rooms {
            let share = (texts + 5_000) / rooms.len();
            assert!((share..=share + 2).contains(&script.texts().len()));
        }
        assert_eq!(hears.texts().len(), texts + 5_000, "a member of all rooms hears all");
        assert!(house.engine.held().topics < 100 * (8 << 10), "little is kept: {}", house.engine.held().topics);
        assert!(rooms.iter().all(|(_, (id, _))| house.engine.blocked_of(*id).is_none()));
    }
}

/// Deliveries are told when the flush has handed them on, with when the first of them was caused.
#[test]
fn deliveries_are_told_when_all_have_had_their_turn() {
    let mut house = House::new(Settings { sends_per_flush: 2, ..Settings::default() });
    let members = house.members(5, ROOM);
    let served = |house: &mut House| house.engine.served().map(|(count, at)| (count, at.0)).collect::<Vec<_>>();
    house.now = Tick(7);
    house.begin();
    house.engine.send(members[0].0, Kind::Text, b"to one");
    house.engine.publish(ROOM, Kind::Text, b"to four", &[members[1].0]);
    assert_eq!(served(&mut house), [(1, 7)]);
    house.finish();
    assert_eq!(served(&mut house), [], "two of them have not been served");
    house.now = Tick(9);
    house.begin();
    house.engine.publish(ROOM, Kind::Text, b"to five", &[]);
    house.finish();
    assert_eq!(served(&mut house), [(4, 7)], "what came amid the pass is of the next");
    house.now = Tick(11);
    for expected in [&[][..], &[], &[(5, 9)], &[]] {
        house.turn();
        assert_eq!(served(&mut house), expected);
    }
    // The owner has waited for what caused it.
    house.begin();
    house.engine.caused_at(Tick(3));
    house.engine.send(members[0].0, Kind::Text, b"asked long ago");
    house.finish();
    house.begin();
    house.engine.send(members[0].0, Kind::Text, b"asked now");
    house.finish();
    assert_eq!(served(&mut house), [(1, 3), (1, 11)]);
}
