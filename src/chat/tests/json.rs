//! The JSON dialect, one row a promise.

use super::*;

/// The copy of a message for a session in a room.
fn message(room: &str, sender: &str, content: &str, seq: u64) -> String {
    format!(
        r#"{{"type":"broadcast","room_id":"{room}","sender":"{sender}","content":"{content}","seq":{seq},"ts":1000000}}"#
    )
}

#[test]
fn welcome_is_first() {
    let mut stage = Stage::new(Settings::default());
    stage.opens("ann", "ann");
    let [welcome] = stage.takes("ann").try_into().unwrap();
    let id = text_of(&welcome, "session_id").unwrap();
    assert_eq!(
        welcome,
        format!(
            "{{\"type\":\"welcome\",\"user_id\":\"ann\",\"status\":\"online\",\"session_id\":\"{id}\",\"server\":\"salon/{}\",\
             \"limits\":{{\"message_bytes\":65536,\"content_bytes\":16384,\"rooms\":128,\"join_rooms\":128,\"mention_room\":100,\
             \"rate\":{{\"per_second\":20,\"burst\":40}}}},\"ping_interval_ms\":25000,\"durability\":\"memory\"}}",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn joining_and_talking() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.says("ann", r#"{"type":"join","room_id":"den","id":"j"}"#);
    let epoch = stage.epoch("ann", "den");
    let joined = |id: &str, user: &str, seq: u64, members: u64, unread: u64| {
        let head = format!(r#""epoch":"{epoch}","seq":{seq},"recovered":false,"members":{members}"#);
        format!(r#"{{"type":"joined",{id}"room_id":"den","user_id":"{user}",{head},"read":0,"unread":{unread}}}"#)
    };
    stage.heard(
        "ann",
        [
            joined(r#""id":"j","#, "ann", 0, 1, 0).as_str(),
            r#"{"type":"online_users","room_id":"den","users":["ann"],"count":1}"#,
        ],
    );
    stage.says("bob", r#"{"type":"join_room","room_id":"den"}"#);
    stage.heard("ann", [r#"{"type":"user_joined","room_id":"den","user_id":"bob"}"#]);
    stage.heard(
        "bob",
        [
            joined("", "bob", 0, 2, 0).as_str(),
            r#"{"type":"online_users","room_id":"den","users":["ann","bob"],"count":2}"#,
        ],
    );
    // The sender's copy alone carries the id, in whatever type it was.
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"hi \"you\"\n","id":7}"#);
    let said = message("den", "ann", r#"hi \"you\"\n"#, 1);
    stage.heard("ann", [said.replace(r#""broadcast","#, r#""broadcast","id":7,"#)]);
    stage.heard("bob", [said]);
    stage.says("bob", r#"{"type":"chat","content":""}"#);
    stage.says("bob", r#"{"type":"message","content":"x","id":"m","sender":"ann","seq":9,"ts":1}"#);
    stage.heard("ann", [message("den", "bob", "", 2), message("den", "bob", "x", 3)]);
    stage.forgets("bob");
    // Joining again is answered, and nobody else hears of it.
    stage.says("bob", r#"{"type":"join","room_id":"den","history":5,"id":"again"}"#);
    stage.heard("bob", [joined(r#""id":"again","#, "bob", 3, 2, 1)]);
    stage.heard_nothing("ann");
}

#[test]
fn nothing_of_a_room_follows_left() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.says("bob", r#"{"type":"broadcast","content":"bye"}"#);
    stage.says("bob", r#"{"type":"leave","room_id":"den","id":1}"#);
    stage.says("ann", r#"{"type":"broadcast","content":"gone?"}"#);
    stage.heard("bob", [message("den", "bob", "bye", 1), r#"{"type":"left","id":1,"room_id":"den"}"#.into()]);
    stage.heard(
        "ann",
        [
            message("den", "bob", "bye", 1),
            r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#.into(),
            message("den", "ann", "gone?", 2),
        ],
    );
    stage.refused("bob", r#"{"type":"leave_room","room_id":"den"}"#, "not_joined");
    stage.refused("bob", r#"{"type":"broadcast","content":"x"}"#, "not_joined");
}

#[test]
fn the_grace_for_who_comes_back() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.closes("bob");
    stage.waits_ms(4_999);
    stage.says("ann", r#"{"type":"members","room_id":"den"}"#);
    stage.heard(
        "ann",
        [concat!(
            r#"{"type":"members","room_id":"den","members":[{"user_id":"ann","status":"online","devices":1},"#,
            r#"{"user_id":"bob","status":"online","devices":0}],"count":2}"#
        )],
    );
    stage.opens("bob", "bob");
    stage.joins("bob", "den");
    stage.waits_ms(60_000);
    stage.heard_nothing("ann");
    // Back at the door but not in the room: the room does not wait.
    stage.closes("bob");
    stage.opens("bob", "bob");
    stage.waits_ms(5_000);
    stage.heard("ann", [r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#]);
}

#[test]
fn two_devices_are_one_user() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.opens("phone", "bob");
    stage.forgets("phone");
    stage.says("phone", r#"{"type":"join","room_id":"den"}"#);
    stage.heard_kinds("phone", &["joined", "online_users"]);
    stage.heard_nothing("ann");
    stage.says("bob", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard_kinds("bob", &["left"]);
    stage.heard_nothing("ann");
    stage.says("phone", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard("ann", [r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#]);
}

#[test]
fn a_leave_does_not_wait_for_a_device_that_is_gone() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.opens("phone", "bob");
    stage.joins("phone", "den");
    stage.closes("bob");
    stage.says("phone", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard_kinds("ann", &["user_left"]);
    stage.waits_ms(10_000);
    stage.heard_nothing("ann");
}

#[test]
fn guests_and_names() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    stage.open("g", Door::Json { user: None });
    let guest = text_of(&stage.takes("g")[0], "user_id").unwrap();
    assert!(guest.starts_with("guest-") && guest.len() == 18, "{guest}");
    stage.says("g", r#"{"type":"join","room_id":"den"}"#);
    stage.heard("ann", [format!(r#"{{"type":"user_joined","room_id":"den","user_id":"{guest}"}}"#)]);
    stage.forgets("g");
    stage.refused("g", r#"{"type":"join","room_id":"attic","user_id":""}"#, "bad_request");
    stage.refused("g", r#"{"type":"join","room_id":"","user_id":"gus"}"#, "bad_request");
    stage.says("g", r#"{"type":"join","room_id":"attic","user_id":"gus"}"#);
    stage.heard_kinds("g", &["joined", "online_users"]);
    stage.heard(
        "ann",
        [
            format!(r#"{{"type":"user_left","room_id":"den","user_id":"{guest}"}}"#),
            r#"{"type":"user_joined","room_id":"den","user_id":"gus"}"#.into(),
        ],
    );
    // The same name again is no other name.
    stage.says("g", r#"{"type":"join","room_id":"den","user_id":"gus"}"#);
    stage.heard_kinds("g", &["joined"]);
    stage.refused("g", r#"{"type":"join","room_id":"cellar","user_id":"ann"}"#, "forbidden");
    stage.refused("g", r#"{"type":"room","room_id":"cellar"}"#, "room_not_found");
    stage.waits_ms(1);
    stage.refused("ann", &format!(r#"{{"type":"direct","user_id":"{guest}","content":""}}"#), "user_not_found");
}

/// The name of a guest is gone at once, but not before the rooms that wait for another device under that name.
#[test]
fn a_guest_on_two_devices_takes_a_name() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    stage.open("g", Door::Json { user: None });
    let guest = text_of(&stage.takes("g")[0], "user_id").unwrap();
    stage.opens("h", &guest);
    stage.joins("h", "den");
    stage.closes("h");
    stage.says("g", r#"{"type":"join","room_id":"attic","user_id":"gus"}"#);
    stage.waits_ms(4_999);
    stage.heard_nothing("ann");
    stage.waits_ms(1);
    stage.heard("ann", [format!(r#"{{"type":"user_left","room_id":"den","user_id":"{guest}"}}"#)]);
    assert_eq!(stage.chat.counts().known_users, 2);
}

/// The examples of the published page are JSON, and requests in it are understood.
#[test]
fn the_examples_of_the_published_page() {
    let page = include_str!("../../../docs/wire.md");
    let sent: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("> {")).collect();
    assert!(sent.len() >= 25);
    let mut stage = Stage::json(unhurried(), &["alice", "bob"]);
    for example in sent {
        stage.joins("alice", "den");
        stage.says("alice", &format!("{{{example}"));
        let heard = stage.takes("alice");
        assert!(
            heard.iter().all(|heard| text_of(heard, "code").as_deref() != Some("bad_request")),
            "{example}: {heard:?}"
        );
    }
}

#[test]
fn where_a_broadcast_goes() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.refused("ann", r#"{"type":"broadcast","content":"x"}"#, "not_joined");
    stage.joins("ann", "den");
    stage.refused("bob", r#"{"type":"broadcast","room_id":"den","content":"x"}"#, "not_joined");
    stage.refused("bob", r#"{"type":"broadcast","room_id":"nowhere","content":"x"}"#, "not_joined");
    stage.refused("bob", r#"{"type":"broadcast","room_id":"a\nb","content":"x"}"#, "bad_request");
    stage.joins("ann", "attic");
    stage.refused("ann", r#"{"type":"broadcast","content":"x"}"#, "bad_request");
    stage.refused("ann", r#"{"type":"broadcast","room_id":"den"}"#, "bad_request");
    stage.refused("ann", r#"{"type":"broadcast","room_id":"den","content":5}"#, "bad_request");
    for to in ["to", "user_id"] {
        stage.says("ann", &format!(r#"{{"type":"chat","{to}":"bob","content":"x"}}"#));
        stage.heard_kinds("bob", &["direct"]);
        stage.heard_kinds("ann", &["direct"]);
    }
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","user_id":"bob","content":"x"}"#);
    stage.heard_kinds("ann", &["broadcast"]);
    stage.refused("ann", r#"{"type":"join","room_id":"*"}"#, "bad_request");
}

#[test]
fn to_everybody() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens_plain("cat", "den", "cat");
    stage.all_forget();
    stage.says("ann", r#"{"type":"broadcast","room_id":"*","content":"fire","id":"1"}"#);
    let text = r#"{"type":"broadcast","room_id":"*","sender":"ann","content":"fire","ts":1000000}"#;
    stage.heard("bob", [text]);
    stage.heard("ann", [text.replace(r#""broadcast","#, r#""broadcast","id":"1","#)]);
    stage.heard("cat", [r#"{"type":"chat","content":"fire","room":"den","username":"ann"}"#]);

    let mut stage = Stage::json(Settings { anybody_may_announce: false, ..unhurried() }, &["ann"]);
    stage.refused("ann", r#"{"type":"broadcast","room_id":"*","content":"fire"}"#, "forbidden");
}

#[test]
fn direct_messages() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("phone", "ann");
    stage.all_forget();
    let text = |id: &str, to: &str, content: &str, seq: u64| {
        format!(
            r#"{{"type":"direct",{id}"sender":"ann","user_id":"{to}","content":"{content}","seq":{seq},"ts":1000000}}"#
        )
    };
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"hi","id":1}"#);
    stage.heard("ann", [text(r#""id":1,"#, "bob", "hi", 1)]);
    stage.heard("phone", [text("", "bob", "hi", 1)]);
    stage.heard("bob", [text("", "bob", "hi", 1)]);
    stage.says("ann", r#"{"type":"unicast","to":"ann","content":"note"}"#);
    stage.heard("ann", [text("", "ann", "note", 1)]);
    stage.heard("phone", [text("", "ann", "note", 1)]);
    stage.refused("ann", r#"{"type":"direct","user_id":"nobody","content":"x"}"#, "user_not_found");
    stage.refused("ann", r#"{"type":"direct","content":"x"}"#, "bad_request");
    // Offline, but known: kept for when they ask.
    stage.closes("bob");
    stage.waits_ms(10_000);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"later"}"#);
    stage.heard_kinds("ann", &["direct"]);
    stage.opens("bob", "bob");
    stage.forgets("bob");
    stage.says("bob", r#"{"type":"history","user_id":"ann","id":2}"#);
    let history = stage.takes("bob").remove(0);
    let epoch = text_of(&history, "epoch").unwrap();
    assert_eq!(
        history,
        format!(
            concat!(
                r#"{{"type":"history","id":2,"user_id":"ann","epoch":"{}","items":["#,
                r#"{{"sender":"ann","content":"hi","seq":1,"ts":1000000}},"#,
                r#"{{"sender":"ann","content":"later","seq":2,"ts":1010000}}]}}"#
            ),
            epoch
        )
    );
}

/// A retry behind a start of the server says who has a device here by now; nobody hears the message again.
#[cfg(feature = "sqlite")]
#[test]
fn a_multicast_that_is_sent_again_behind_a_start() {
    use crate::backend::sqlite::{Sqlite, tests::Folder};
    let folder = Folder::new();
    let say = r#"{"type":"multicast","user_ids":["ann","bob","cat"],"content":"all","id":"m"}"#;
    let mut delivered = vec![r#""ann","bob","cat""#, r#""ann","bob""#];
    while let Some(expected) = delivered.pop() {
        let mut stage = Stage::with(unhurried(), Box::new(Sqlite::open(folder.options(), 1).unwrap()));
        for name in ["ann", "bob", "cat"] {
            stage.opens(name, name);
        }
        if !expected.contains("cat") {
            stage.closes("cat");
            stage.waits_ms(60_000);
        }
        stage.all_forget();
        stage.says("ann", say);
        let ack = stage.takes("ann").pop().unwrap();
        assert!(ack.contains(&format!(r#""delivered":[{expected}]"#)), "{ack}");
        assert_eq!(stage.takes("bob").len(), delivered.len(), "once");
    }
}

#[test]
fn multicast() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob", "cat"]);
    stage.closes("cat");
    stage.waits_ms(6_000);
    stage.says("ann", r#"{"type":"multicast","users":["bob","cat","bob","dan"],"content":"all","id":"m"}"#);
    stage.heard("ann", [r#"{"type":"ack","id":"m","delivered":["bob"],"stored":["cat"],"unknown":["dan"]}"#]);
    stage.heard("bob", [r#"{"type":"direct","sender":"ann","user_id":"bob","content":"all","seq":1,"ts":1006000}"#]);
    // The sender's other devices hear the messages; the sending one has the answer, and messages to itself.
    stage.opens("phone", "ann");
    stage.opens_plain("tty", "den", "ann");
    stage.all_forget();
    stage.says("ann", r#"{"type":"typing","user_id":"bob","typing":true}"#);
    stage.says("ann", r#"{"type":"multicast","users":["ann","bob","cat"],"content":"all"}"#);
    let copy = |to: &str, seq: u64| {
        format!(r#"{{"type":"direct","sender":"ann","user_id":"{to}","content":"all","seq":{seq},"ts":1006000}}"#)
    };
    stage.heard(
        "ann",
        [copy("ann", 1).as_str(), r#"{"type":"ack","delivered":["ann","bob"],"stored":["cat"],"unknown":[]}"#],
    );
    stage.heard("phone", [copy("ann", 1), copy("bob", 2), copy("cat", 2)]);
    stage.heard_kinds("bob", &["typing", "typing", "direct"]);
    stage.heard_nothing("tty");
    stage.says("ann", r#"{"type":"multicast","user_ids":["dan"],"content":"x"}"#);
    stage.heard("ann", [r#"{"type":"ack","delivered":[],"stored":[],"unknown":["dan"]}"#]);
    stage.refused("ann", r#"{"type":"multicast","user_ids":[],"content":"x"}"#, "bad_request");
    stage.refused("ann", r#"{"type":"multicast","user_ids":["a",1],"content":"x"}"#, "bad_request");
    let names = |n: usize| (0..n).map(|n| format!(r#""u{n}""#)).collect::<Vec<_>>().join(",");
    let multicast = |n| format!(r#"{{"type":"multicast","user_ids":[{}],"content":"x"}}"#, names(n));
    stage.says("ann", &multicast(100));
    stage.heard_kinds("ann", &["ack"]);
    stage.refused("ann", &multicast(101), "too_large");
}

#[test]
fn rooms() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.says("ann", r#"{"type":"create_room","room_id":"b","name":"The <b>","topic":"tea","id":1}"#);
    let epoch = stage.epoch("ann", "b");
    let answer = |more: &str| {
        format!(
            concat!(
                r#"{{"type":"room",{}"room_id":"b","name":"The <b>","topic":"tea","created_at":1000000,"#,
                r#""members":0,"messages":0,"seq":0,"epoch":"{}"{}}}"#
            ),
            if more.is_empty() { "" } else { r#""id":1,"# },
            epoch,
            more
        )
    };
    stage.heard("ann", [answer(r#","created":true"#)]);
    stage.says("bob", r#"{"type":"create_room","room_id":"b","name":"other","id":1}"#);
    stage.heard("bob", [answer(r#","created":false"#)]);
    stage.says("bob", r#"{"type":"room","room_id":"b"}"#);
    stage.heard("bob", [answer("")]);
    stage.joins("ann", "c");
    stage.joins("bob", "a");
    stage.says("ann", r#"{"type":"rooms","limit":2}"#);
    stage.heard(
        "ann",
        [concat!(
            r#"{"type":"rooms","rooms":[{"room_id":"a","name":"a","members":1,"joined":false},"#,
            r#"{"room_id":"b","name":"The <b>","members":0,"joined":false}],"next":"b"}"#
        )],
    );
    stage.says("ann", r#"{"type":"rooms","limit":2,"cursor":"b"}"#);
    stage.heard(
        "ann",
        [r#"{"type":"rooms","rooms":[{"room_id":"c","name":"c","members":1,"joined":true,"read":0,"unread":0}]}"#],
    );
    stage.refused("ann", r#"{"type":"rooms","limit":0}"#, "bad_request");
    stage.refused("ann", r#"{"type":"room","room_id":"nope"}"#, "room_not_found");
    stage.refused("ann", r#"{"type":"members","room_id":"a"}"#, "not_joined");
    stage.refused("ann", r#"{"type":"history","room_id":"a"}"#, "not_joined");
    let mut strict = Stage::json(Settings { create_on_join: false, ..unhurried() }, &["ann"]);
    strict.refused("ann", r#"{"type":"join","room_id":"den"}"#, "room_not_found");
    // A title without a letter is none.
    strict.says("ann", r#"{"type":"create_room","room_id":"tea","name":""}"#);
    assert!(strict.takes("ann")[0].contains(r#""room_id":"tea","name":"tea""#));
}

#[test]
fn lists_are_paged() {
    let mut stage = Stage::json(unhurried(), &["a", "b", "c"]);
    for device in ["a", "b", "c"] {
        stage.joins(device, "den");
    }
    stage.says("a", r#"{"type":"online","limit":2}"#);
    stage.says("a", r#"{"type":"online","limit":2,"cursor":"b"}"#);
    stage.says("a", r#"{"type":"online","limit":3}"#);
    stage.heard(
        "a",
        [
            r#"{"type":"online","users":["a","b"],"count":3,"next":"b"}"#,
            r#"{"type":"online","users":["c"],"count":3}"#,
            r#"{"type":"online","users":["a","b","c"],"count":3}"#,
        ],
    );
    stage.says("a", r#"{"type":"members","room_id":"den","limit":2}"#);
    let page = stage.takes("a").remove(0);
    let next = text_of(&page, "next").unwrap();
    stage.says("a", &format!(r#"{{"type":"members","room_id":"den","limit":2,"cursor":"{next}"}}"#));
    stage.heard(
        "a",
        [concat!(
            r#"{"type":"members","room_id":"den","members":[{"user_id":"c","status":"online","devices":1}],"#,
            r#""count":3}"#
        )],
    );
}

/// `limit` is 50 if nothing is said, and 200 at most.
#[test]
fn a_page_has_50_or_at_most_200() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    for n in 0..201 {
        stage.opens_plain(&format!("p{n}"), "den", &format!("p{n:03}"));
        stage.says("ann", &format!(r#"{{"type":"create_room","room_id":"r{n:03}"}}"#));
        stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    }
    stage.all_forget();
    for (kind, list, more) in [
        ("online", "users", ""),
        ("rooms", "rooms", ""),
        ("members", "members", r#","room_id":"den""#),
        ("history", "items", r#","room_id":"den""#),
    ] {
        for (limit, expected) in
            [("", 50), (r#","limit":200"#, 200), (r#","limit":201"#, 200), (r#","limit":99999"#, 200)]
        {
            stage.says("ann", &format!(r#"{{"type":"{kind}"{more}{limit}}}"#));
            let answer = stage.takes("ann").remove(0);
            assert_eq!(field(&answer, list).unwrap().as_array().unwrap().len(), expected, "{kind}{limit}");
            assert!(field(&answer, "next").is_some(), "{kind}{limit}");
        }
        stage.refused("ann", &format!(r#"{{"type":"{kind}"{more},"limit":0}}"#), "bad_request");
    }
    stage.refused("ann", r#"{"type":"members","room_id":"den","cursor":"ann"}"#, "bad_request");
}

#[test]
fn retries() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    let say = r#"{"type":"broadcast","room_id":"den","content":"x","id":"u1"}"#;
    stage.says("ann", say);
    stage.all_forget();
    stage.waits_ms(1000);
    stage.says("ann", say);
    let dup = r#"{"type":"ack","id":"u1","room_id":"den","seq":1,"ts":1000000,"dup":true}"#;
    stage.heard("ann", [dup]);
    stage.heard_nothing("bob");
    // String ids are the user's on every device, integers are not; anything else makes another message.
    stage.opens("phone", "ann");
    stage.joins("phone", "den");
    stage.says("phone", say);
    stage.heard("phone", [dup]);
    for other in [
        r#"{"type":"broadcast","room_id":"den","content":"y","id":"u1"}"#,
        r#"{"type":"broadcast","room_id":"den","content":"x","id":1}"#,
    ] {
        stage.says("ann", other);
        stage.heard_kinds("bob", &["broadcast"]);
    }
    stage.says("phone", r#"{"type":"broadcast","room_id":"den","content":"x","id":1}"#);
    stage.says("bob", say);
    stage.heard_kinds("bob", &["broadcast", "broadcast"]);
    stage.all_forget();
    let direct = r#"{"type":"direct","user_id":"bob","content":"x","id":"u1"}"#;
    stage.says("ann", direct);
    stage.forgets("ann");
    stage.says("ann", direct);
    stage.heard("ann", [r#"{"type":"ack","id":"u1","user_id":"bob","seq":1,"ts":1001000,"dup":true}"#]);
    stage.heard_kinds("bob", &["direct"]);
    // Back, and not in the room yet: a retry is known, and a new message is refused.
    stage.closes("phone");
    stage.closes("ann");
    stage.waits_ms(10_000);
    stage.opens("ann", "ann");
    stage.all_forget();
    stage.says("ann", say);
    stage.heard("ann", [dup]);
    stage.opens("mallory", "mallory");
    stage.forgets("mallory");
    for (device, other) in [
        ("ann", r#"{"type":"broadcast","room_id":"den","content":"z","id":"u1"}"#),
        ("ann", r#"{"type":"broadcast","room_id":"attic","content":"x","id":"u1"}"#),
        ("ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":1}"#),
        ("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#),
        ("ann", r#"{"type":"broadcast","content":"x","id":"u1"}"#),
        ("mallory", say),
    ] {
        stage.refused(device, other, "not_joined");
    }
    stage.joins("ann", "den");
    // A user who has left gets the same answer.
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.says("ann", say);
    stage.heard("ann", [r#"{"type":"left","room_id":"den"}"#, dup]);
    stage.joins("ann", "den");
    stage.waits(Duration::from_secs(300));
    stage.says("ann", say);
    stage.heard_kinds("bob", &["broadcast"]);
}

#[test]
fn errors_say_what_was_wrong_and_carry_the_id() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.says("ann", r#"{"type":"broadcast","content":[],"id":"e"}"#);
    stage.says("ann", "nope");
    stage.says("ann", r#"{"type":"dance","id":1}"#);
    stage.heard(
        "ann",
        [
            concat!(
                r#"{"type":"error","id":"e","code":"bad_request","#,
                r#""message":"`content`: expected a string, found an array","retry":false}"#
            ),
            concat!(
                r#"{"type":"error","code":"bad_json","#,
                r#""message":"expected one JSON object, found what is not JSON at line 1 column 2","retry":false}"#
            ),
            concat!(
                r#"{"type":"error","id":1,"code":"unknown_type","#,
                r#""message":"expected a type of docs/wire.md, found \"dance\"","retry":false}"#
            ),
        ],
    );
    stage.says("ann", r#"{"type":"ping","id":-3}"#);
    stage.heard("ann", [r#"{"type":"pong","id":-3,"ts":1000000}"#]);
    assert_eq!(stage.chat.counts().errors, 3);
}

#[test]
fn shutdown_says_goodbye() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens_plain("cat", "den", "cat");
    stage.all_forget();
    stage.chat.handle_shutdown(stage.now, &mut stage.out);
    stage.dispatch();
    for device in ["ann", "bob"] {
        let text = stage.takes(device).remove(0);
        let after = number_of(&text, "after_ms").unwrap();
        assert!(after <= 5_000);
        assert_eq!(text, format!(r#"{{"type":"goodbye","reason":"shutdown","reconnect":true,"after_ms":{after}}}"#));
    }
    stage.heard_nothing("cat");
}

/// A name in any normal form, wherever it stands, is the same room and the same user.
#[test]
fn names_are_found_in_any_form() {
    let (nfd, nfc) = ("Zoe\u{308}", "Zo\u{eb}");
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.opens("zoe", nfd);
    assert_eq!(text_of(&stage.takes("zoe")[0], "user_id").as_deref(), Some(nfc));
    for (first, second) in [(nfd, nfc), (nfc, nfd)] {
        for (device, room) in [("ann", first), ("zoe", second)] {
            stage.says(device, &format!(r#"{{"type":"join","rooms":[{{"room_id":"{room}"}}]}}"#));
            assert_eq!(text_of(&stage.takes(device)[0], "room_id").as_deref(), Some(nfc));
        }
        stage.all_forget();
        for (text, kinds) in [
            (format!(r#"{{"type":"broadcast","room_id":"{second}","content":"x","id":"{first}"}}"#), ["broadcast"]),
            (format!(r#"{{"type":"direct","user_id":"{second}","content":"x"}}"#), ["direct"]),
            (format!(r#"{{"type":"history","room_id":"{second}"}}"#), ["history"]),
            (format!(r#"{{"type":"history","user_id":"{second}"}}"#), ["history"]),
            (format!(r#"{{"type":"members","room_id":"{second}"}}"#), ["members"]),
            (format!(r#"{{"type":"room","room_id":"{second}"}}"#), ["room"]),
            (format!(r#"{{"type":"leave","room_id":"{second}"}}"#), ["left"]),
            (format!(r#"{{"type":"broadcast","room_id":"{first}","content":"x","id":"{first}"}}"#), ["ack"]),
        ] {
            stage.says("ann", &text);
            let heard = stage.takes("ann");
            assert_eq!(heard.iter().map(|text| kind(text)).collect::<Vec<_>>(), kinds, "{text}");
            assert!(!heard[0].contains(r#""items":[]"#), "{heard:?}");
        }
        stage.says("ann", &format!(r#"{{"type":"multicast","user_ids":["{nfc}","{nfd}"],"content":"x"}}"#));
        assert_eq!(stage.takes("ann"), [format!(r#"{{"type":"ack","delivered":["{nfc}"],"stored":[],"unknown":[]}}"#)]);
        stage.says("ann", &format!(r#"{{"type":"presence","user_ids":["{nfd}"]}}"#));
        assert!(stage.takes("ann")[0].contains("online"));
    }
    assert_eq!(stage.chat.counts().rooms, 1);
    for name in ["den ", " ", "\u{200b}", "de\u{ad}n"] {
        stage.refused("ann", &format!(r#"{{"type":"join","room_id":"{name}"}}"#), "bad_request");
        stage.refused("ann", &format!(r#"{{"type":"create_room","room_id":"{name}"}}"#), "bad_request");
        stage.refused("ann", &format!(r#"{{"type":"direct","user_id":"{name}","content":""}}"#), "bad_request");
        stage.refused("ann", &format!(r#"{{"type":"presence","user_ids":["{name}"]}}"#), "bad_request");
    }
}
