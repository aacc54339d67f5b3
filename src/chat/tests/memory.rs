//! Tables that a crowd made large become small when the crowd has gone; and new things while memory is short.

use super::*;

/// The memory for present sessions, users and rooms, and not for limits, which are remembered for a time.
fn held(stage: &Stage) -> [usize; 4] {
    let Held { sessions, users, rooms, history, .. } = stage.chat.held();
    [sessions, users, rooms, history]
}

/// 30 guests who make 1,920 rooms, watch 960 names and write to each other; then they go, and one stays with the room
/// that was made last.
#[test]
fn tables_become_small_when_a_crowd_has_gone() {
    let age = Duration::from_secs(20);
    let settings = Settings { empty_room_age: age, ..unhurried() };
    let mut stage = Stage::keeping(young(age), settings, &["ann"]);
    let crowd: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    for (n, device) in crowd.iter().enumerate() {
        stage.open(device, Door::Json { user: None });
        let list = |of: &dyn Fn(usize) -> String, many| (0..many).map(of).collect::<Vec<_>>().join(",");
        let long = "n".repeat(100);
        let rooms = list(&|k| format!(r#"{{"room_id":"{n}_{k}_{long}"}}"#), 64);
        stage.says(device, &format!(r#"{{"type":"join","rooms":[{rooms}]}}"#));
        let users = list(&|k| format!(r#""{n}_{k}""#), 32);
        stage.says(device, &format!(r#"{{"type":"presence","subscribe":true,"user_ids":[{users}]}}"#));
        stage.says(device, r#"{"type":"direct","user_id":"ann","content":"hello"}"#);
    }
    stage.joins("ann", "last");
    let full = held(&stage);
    assert!(full[2] > 512 << 10 && full[1] > 100 << 10 && full[3] > 300 << 10, "{full:?}");
    crowd.iter().for_each(|device| stage.closes(device));
    stage.waits(Duration::from_secs(300));
    assert_eq!((stage.chat.counts().rooms, stage.chat.counts().sessions), (1, 1));
    let left = held(&stage);
    // The one room that was made last keeps a pointer for each that was before it.
    let pointers = 2 * 1_920 * 16;
    for (bytes, most) in left.into_iter().zip([64 << 10, 64 << 10, (64 << 10) + pointers, (64 << 10) + pointers]) {
        assert!(bytes <= most, "{left:?}");
    }
    stage.closes("ann");
    stage.waits(Duration::from_secs(300));
    let left = held(&stage);
    assert!(left.into_iter().all(|bytes| bytes <= 64 << 10), "{left:?}");
}

#[test]
fn without_memory_nothing_new_is_taken_on_and_all_goes_on() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob", "cid"]);
    stage.joins("ann", "den");
    stage.joins("bob", "bar");
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"x"}"#);
    stage.says("ann", r#"{"type":"presence","subscribe":true,"user_ids":["bob"]}"#);
    stage.says("ann", r#"{"type":"join","rooms":[{"room_id":"den"}]}"#);
    ["ann", "bob", "cid"].iter().for_each(|name| stage.forgets(name));
    stage.chat.set_memory_left(Some(0));
    let before = held(&stage);
    for new in [
        r#"{"type":"join","room_id":"new"}"#,
        r#"{"type":"join","room_id":"bar"}"#,
        r#"{"type":"create_room","room_id":"new"}"#,
        r#"{"type":"direct","user_id":"cid","content":"x"}"#,
        r#"{"type":"presence","subscribe":true,"user_ids":["cid"]}"#,
    ] {
        stage.refused("ann", new, "overloaded");
    }
    stage.says("ann", r#"{"type":"join","rooms":[{"room_id":"new"},{"room_id":"den"}]}"#);
    stage.heard_kinds("ann", &["overloaded", "joined", "ack"]);
    assert_eq!(held(&stage), before);
    for (old, heard) in [
        (r#"{"type":"join","room_id":"den"}"#, "joined"),
        (r#"{"type":"broadcast","room_id":"den","content":"x"}"#, "broadcast"),
        (r#"{"type":"create_room","room_id":"den"}"#, "room"),
        (r#"{"type":"presence","subscribe":true,"user_ids":["bob"]}"#, "presence_state"),
        (r#"{"type":"presence","user_ids":["cid"]}"#, "presence_state"),
    ] {
        stage.says("ann", old);
        stage.heard_kinds("ann", &[heard]);
    }
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"x"}"#);
    stage.heard_kinds("bob", &["direct"]);
    stage.chat.set_memory_left(None);
    stage.forgets("ann");
    stage.joins("ann", "new");
}

/// New things count as they are taken, so that many requests in one turn get no more than one would.
#[test]
fn one_turn_takes_no_more_than_is_left() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.chat.set_memory_left(Some(5000));
    for (name, other) in [("ann", "a"), ("bob", "b")] {
        let rooms: Vec<String> = (0..2).map(|n| format!(r#"{{"room_id":"{other}{n}"}}"#)).collect();
        stage.says(name, &format!(r#"{{"type":"join","rooms":[{}]}}"#, rooms.join(",")));
    }
    assert_eq!(stage.chat.counts().rooms, 2);
}

/// The ids of what was said are forgotten when their time is over, though nobody says anything any more, and the tables
/// become small; those of a budget take their share of it at most.
#[test]
fn ids_are_forgotten_where_nobody_speaks() {
    for (memory, most) in [(None, 2 << 20), (Some(8 << 20), 1 << 20)] {
        let mut stage = Stage::json(Settings { memory, ..unhurried() }, &["ann"]);
        stage.joins("ann", "den");
        let empty = stage.chat.held().limits;
        let say = |n| format!(r#"{{"type":"broadcast","room_id":"den","content":"x","id":"{n}"}}"#);
        for n in 0..10_000 {
            stage.says("ann", &say(n));
            stage.forgets("ann");
        }
        let full = stage.chat.held().limits - empty;
        assert!((most / 4..=most).contains(&full), "{full}");
        stage.closes("ann");
        stage.waits(Duration::from_secs(299));
        assert_eq!(stage.chat.held().limits - empty, full);
        stage.waits(Duration::from_secs(2));
        let left = stage.chat.held().limits - empty;
        assert!(left <= 32 << 10, "{left}");
    }
}

/// People who have come and gone take an eighth of the budget at most; the others are forgotten, the oldest first.
#[test]
fn people_who_have_gone_take_their_share() {
    let settings = Settings { memory: Some(1 << 20), leave_grace: Duration::ZERO, ..unhurried() };
    let mut stage = Stage::json(settings, &["ann"]);
    for n in 0..1000 {
        stage.opens("x", &format!("{n:0>128}"));
        stage.closes("x");
        stage.waits_ms(10);
    }
    let (held, known) = (stage.chat.held().users, stage.chat.counts().known_users);
    assert!(held <= (1 << 20) / 8 + 4096 && (100..600).contains(&known), "{held} {known}");
    stage.forgets("ann");
    let to = |n: usize| format!(r#"{{"type":"direct","user_id":"{n:0>128}","content":"x"}}"#);
    stage.refused("ann", &to(0), "user_not_found");
    stage.says("ann", &to(999));
    stage.heard_kinds("ann", &["direct"]);
}
