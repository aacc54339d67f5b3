//! Messages for many: one write each, in order, and past members that do not read.

use super::*;
use crate::engine::topic::MAX_LOG;

#[test]
fn one_write_for_all_of_a_turn() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    house.engine.subscribe(members[0].0, TopicId(7));
    house.begin();
    members.iter().for_each(|(_, script)| script.wire().writes = 0);
    for n in 0..5 {
        house.engine.publish(ROOM, Opcode::Text, format!("m{n}").as_bytes(), &[]);
    }
    house.engine.publish(TopicId(7), Opcode::Text, b"other", &[]);
    house.engine.send(members[1].0, Opcode::Text, b"direct");
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
    house.engine.publish(ROOM, Opcode::Text, b"one", &[]);
    house.engine.publish(ROOM, Opcode::Text, b"two", &[]);
    house.turn();
    assert_eq!(members[0].1.taken(), expected);
}

#[test]
fn order_between_direct_and_room_messages_holds() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    let (one, other) = (members[0].0, members[1].0);
    house.begin();
    house.engine.publish(ROOM, Opcode::Text, b"a", &[]);
    house.engine.send(one, Opcode::Text, b"b");
    house.engine.publish(ROOM, Opcode::Text, b"c", &[one]);
    house.engine.send(one, Opcode::Text, b"c, yours");
    house.engine.publish(ROOM, Opcode::Text, b"d", &[]);
    house.engine.unsubscribe(other, ROOM);
    house.engine.publish(ROOM, Opcode::Text, b"e", &[]);
    house.engine.send(other, Opcode::Text, b"left");
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
        house.engine.publish(ROOM, Opcode::Text, message.as_bytes(), &[]);
        if n % 7 == 0 {
            house.engine.send(*slow, Opcode::Text, b"direct");
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
        house.engine.publish(ROOM, Opcode::Text, format!("{n}").as_bytes(), &[]);
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
    house.engine.publish(ROOM, Opcode::Text, &vec![b'x'; MAX_LOG - 10 - 1], &[]);
    assert_eq!(writes(), [0, 0], "one octet is missing");
    house.engine.publish(ROOM, Opcode::Text, b"", &[]);
    assert_eq!(writes(), [1, 1]);
    house.finish();
    assert_eq!(writes(), [1, 1]);
    assert_eq!(members[1].1.texts().len(), 2);
}
