//! Compressed and plain members side by side.

use super::*;

/// Two members that take messages as they are and three that share them compressed, in turns.
fn mixed_room() -> (House, Vec<(ConnId, Script)>) {
    let mut house = House::new(Settings { deflate: Some(DeflateSettings::default()), ..Settings::default() });
    let offers = ["", OFFER, OFFER, "", OFFER];
    let members: Vec<_> = offers.iter().map(|offer| house.open_with(offer)).collect();
    members.iter().for_each(|(id, _)| house.engine.subscribe(*id, ROOM));
    (house, members)
}

/// A text that is worth compressing, with a name in front.
fn long(name: &str) -> String {
    format!("{name}: {}", "and so on ".repeat(100))
}

#[test]
fn a_message_is_compressed_once_for_all_who_share_it() {
    let (mut house, members) = mixed_room();
    let short = "x".repeat(511);
    let enough = "x".repeat(512);
    house.engine.publish(ROOM, Kind::Text, long("a").as_bytes(), &[]);
    house.engine.publish(ROOM, Kind::Text, short.as_bytes(), &[]);
    house.engine.publish(ROOM, Kind::Text, enough.as_bytes(), &[]);
    house.turn();
    assert_eq!(house.engine.counters().compressed, 2);
    assert_eq!(house.engine.counters().messages_out, 15);
    let written: Vec<_> = members.iter().map(|(_, script)| script.taken()).collect();
    assert_eq!(written[0], written[3]);
    assert_eq!((&written[1], &written[1]), (&written[2], &written[4]), "the same bytes");
    assert_eq!(written[0].len(), (4 + long("a").len()) + (4 + 511) + (4 + 512));
    assert!(written[1].len() < 700, "{} bytes", written[1].len());
    assert_eq!(written[1][0], 0xc1, "RSV1");
    assert_eq!(frames(&written[0]), frames(&written[1]));
    assert!(members.iter().all(|(_, script)| script.wire().writes == 2), "the handshake, and one write for all three");
}

#[test]
fn order_holds_where_compressed_and_plain_members_share_a_room() {
    let (mut house, members) = mixed_room();
    let (plain, deflating, other) = (members[0].0, members[1].0, members[2].0);
    house.engine.subscribe(deflating, topic(9));
    house.begin();
    house.engine.publish(ROOM, Kind::Text, long("a").as_bytes(), &[]);
    for id in [plain, deflating] {
        house.engine.send(id, Kind::Text, long("b").as_bytes());
    }
    house.engine.publish(ROOM, Kind::Text, long("c").as_bytes(), &[plain, deflating]);
    for id in [plain, deflating] {
        house.engine.send(id, Kind::Text, b"c, yours");
    }
    house.engine.publish(ROOM, Kind::Text, b"d", &[]);
    house.engine.publish(topic(9), Kind::Text, long("elsewhere").as_bytes(), &[]);
    house.engine.unsubscribe(other, ROOM);
    house.engine.publish(ROOM, Kind::Text, long("e").as_bytes(), &[]);
    house.engine.send(other, Kind::Text, b"left");
    house.finish();
    let (a, b, c, e) = (&long("a"), &long("b"), &long("c"), &long("e"));
    assert_eq!(members[0].1.texts(), [a, b, "c, yours", "d", e]);
    let mut heard = members[1].1.texts();
    assert_eq!(heard.len(), 6);
    heard.retain(|text| *text != long("elsewhere"));
    assert_eq!(heard, [a, b, "c, yours", "d", e]);
    assert_eq!(members[2].1.texts(), [a, c, "d", "left"]);
    assert_eq!(members[3].1.texts(), [a, c, "d", e]);
    assert_eq!(members[4].1.texts(), [a, c, "d", e]);
}

#[test]
fn a_blocked_member_loses_nothing_of_what_is_compressed() {
    let (mut house, members) = mixed_room();
    let (slow, script) = &members[2];
    script.wire().room = 7;
    let all: Vec<String> =
        (0..50).map(|n| if n % 3 == 0 { format!("short {n}") } else { long(&format!("{n}")) }).collect();
    for (n, message) in all.iter().enumerate() {
        house.engine.publish(ROOM, Kind::Text, message.as_bytes(), &[]);
        if n % 7 == 0 {
            house.engine.send(*slow, Kind::Text, long("direct").as_bytes());
        }
        house.turn();
    }
    for _ in 0..1000 {
        script.wire().room = 11;
        house.engine.writable(slow.index);
        house.turn();
    }
    let mut got = script.texts();
    got.retain(|text| *text != long("direct"));
    assert_eq!(got, all);
    assert_eq!(members[1].1.texts(), all);
    assert_eq!(members[3].1.texts(), all);
}

/// A client that asked for a small window is read and answered in it, and gets room messages uncompressed.
#[test]
fn a_small_window_is_kept_to() {
    let (mut house, members) = mixed_room();
    let (id, script) = house.open_with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n");
    house.engine.subscribe(id, ROOM);
    house.engine.publish(ROOM, Kind::Text, long("a").as_bytes(), &[]);
    house.engine.send(id, Kind::Text, long("b").as_bytes());
    house.turn();
    let written = script.taken();
    assert_eq!((written[0], written[4 + long("a").len()]), (0x81, 0xc1));
    assert_eq!(frames(&written), [long("a"), long("b")].map(|text| (Opcode::Text, text.into_bytes())));
    assert_eq!(members[1].1.taken()[0], 0xc1);
}

#[test]
fn compressed_messages_are_heard_between_those_of_others() {
    let (mut house, members) = mixed_room();
    let mut deflater = Deflater::new(6);
    let frame = |first: u8, payload: &[u8]| {
        let mut frame = masked(Opcode::Text, payload);
        frame[0] = first;
        frame
    };
    let payload = deflater.compress(long("a").as_bytes(), 15).expect("smaller").to_vec();
    let (left, right) = payload.split_at(20);
    for piece in [&frame(0x41, left)[..], &frame(0x80, right)[..5], &frame(0x80, right)[5..]] {
        members[1].1.say(piece);
        members[2].1.say(&frame(0xc1, &payload));
        members[3].1.say(&text("plain"));
        members[1..4].iter().for_each(|(id, _)| house.engine.readable(id.index, false));
        house.turn();
    }
    let told = house.told();
    let by = |id: ConnId| told.iter().filter(|told| told.0 == id).map(|told| told.1.clone()).collect::<Vec<_>>();
    assert_eq!(by(members[1].0), [long("a")]);
    assert_eq!(by(members[2].0), [long("a"), long("a"), long("a")]);
    assert_eq!(by(members[3].0), ["plain", "plain", "plain"]);
    // Without an agreement RSV1 is a violation; with one, past the limit is past the limit. The others notice nothing.
    members[0].1.say(&frame(0xc1, &payload));
    members[2].1.say(&frame(0xc1, deflater.compress(&[b'x'; 70_000], 15).expect("smaller")));
    members[4].1.say(&frame(0xc1, &payload));
    for at in [0, 2, 4] {
        house.engine.readable(members[at].0.index, false);
    }
    house.turn();
    house.settle();
    assert_eq!(frames(&members[0].1.taken()), [close_of(1002, "reserved bits 100 set, no extension uses them")]);
    assert_eq!(frames(&members[2].1.taken()), [close_of(1009, "message over 65536 bytes")]);
    assert!(house.told().contains(&(members[4].0, long("a"))));
}

#[test]
fn what_is_not_allowed_is_never_compressed() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    house.engine.publish(ROOM, Kind::Text, long("a").as_bytes(), &[]);
    house.engine.send(members[0].0, Kind::Text, long("b").as_bytes());
    house.turn();
    assert_eq!(members[0].1.texts(), [long("a"), long("b")]);
    assert_eq!(house.engine.counters().compressed, 0);
    assert_eq!(house.engine.topics.len(), ROOM.number() as usize + 1, "no room for what is not asked for");
}
