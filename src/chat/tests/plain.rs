//! The plain dialect, and both dialects in one room.

use super::*;

fn joined(name: &str) -> String {
    format!(r#"{{"type":"user_joined","content":"{name} joined the room","room":"den","username":"{name}"}}"#)
}

fn left(name: &str) -> String {
    format!(r#"{{"type":"user_left","content":"{name} left the room","room":"den","username":"{name}"}}"#)
}

fn online(names: &str) -> String {
    format!(r#"{{"type":"online_users","content":"{names}","room":"den","username":""}}"#)
}

fn chat(name: &str, content: &str) -> String {
    format!(r#"{{"type":"chat","content":"{content}","room":"den","username":"{name}"}}"#)
}

#[test]
fn a_room_of_plain_sessions() {
    let mut stage = Stage::new(unhurried());
    stage.opens_plain("bob", "den", "bob");
    stage.heard("bob", [joined("bob"), online("bob")]);
    stage.opens_plain("ann", "den", "ann");
    stage.heard("ann", [joined("ann"), online("ann,bob")]);
    stage.heard("bob", [joined("ann"), online("ann,bob")]);
    stage.says("ann", "hi");
    stage.says("ann", "");
    stage.says("ann", r#"{"type":"leave"}"#);
    let said = [chat("ann", "hi"), chat("ann", ""), chat("ann", r#"{\"type\":\"leave\"}"#)];
    stage.heard("ann", &said);
    stage.heard("bob", &said);
    // A second device hears its own coming, the others nothing.
    stage.opens_plain("phone", "den", "ann");
    stage.heard("phone", [joined("ann"), online("ann,bob")]);
    stage.heard_nothing("ann");
    stage.heard_nothing("bob");
    stage.closes("phone");
    stage.closes("ann");
    stage.waits_ms(4_999);
    stage.heard_nothing("bob");
    stage.waits_ms(1);
    stage.heard("bob", [left("ann"), online("bob")]);
}

/// Where the names are many bytes, a room hears them not with everybody who comes and goes, but soon, and last of all
/// as they are.
#[test]
fn a_room_of_plain_sessions_with_long_names() {
    let mut stage = Stage::new(unhurried());
    // The last of them makes it 1,024 bytes.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|letter| letter.repeat(128));
    for (at, name) in names.iter().enumerate() {
        stage.opens_plain(name, "den", name);
        for before in &names[..=at] {
            stage.heard(before, [joined(name), online(&names[..=at].join(","))]);
        }
    }
    let all = names.join(",") + ",z";
    stage.opens_plain("zed", "den", "z");
    stage.heard("zed", [joined("z"), online(&all)]);
    stage.heard(&names[0], [joined("z")]);
    stage.waits_ms(4_999);
    stage.heard_nothing(&names[0]);
    stage.waits_ms(1);
    for device in [&names[0], "zed"] {
        stage.heard(device, [online(&all)]);
    }
    stage.waits_ms(60_000);
    stage.heard_nothing("zed");
}

/// The close code says whether to come back: not to a room that is not there and that one may not make.
#[test]
fn a_room_that_cannot_be_joined() {
    let sentence = |found: &str| format!(r#"{{"type":"error","content":"{found}","room":"","username":""}}"#);
    let created = "expected a room that was created, found none";
    for settings in
        [Settings { create_on_join: false, ..unhurried() }, Settings { anybody_may_create: false, ..unhurried() }]
    {
        let mut stage = Stage::new(settings);
        stage.opens_plain("bob", "den", "bob");
        stage.heard("bob", [sentence(created)]);
        assert_eq!(stage.closed_with("bob"), Some(1008));
    }
    for (settings, refused) in [
        (Settings { room_members: 1, ..unhurried() }, "expected at most 1 users in a room, found one more"),
        (Settings { max_rooms: 1, ..unhurried() }, "expected at most 1 rooms in all, found one more"),
    ] {
        let room = if settings.max_rooms == 1 { "attic" } else { "den" };
        let mut stage = Stage::new(settings);
        stage.opens_plain("ann", "den", "ann");
        stage.opens_plain("bob", room, "bob");
        stage.heard("bob", [sentence(refused)]);
        assert_eq!(stage.closed_with("bob"), Some(1013));
    }
}

#[test]
fn both_dialects_meet() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    stage.opens_plain("bob", "den", "bob");
    stage.heard("ann", [r#"{"type":"user_joined","room_id":"den","user_id":"bob"}"#]);
    stage.heard("bob", [joined("bob"), online("ann,bob")]);
    stage.says("bob", "x");
    stage.heard("ann", [r#"{"type":"broadcast","room_id":"den","sender":"bob","content":"x","seq":1,"ts":1000000}"#]);
    stage.heard("bob", [chat("bob", "x")]);
    stage.says("ann", r#"{"type":"broadcast","content":"y","id":1}"#);
    stage.heard("bob", [chat("ann", "y")]);
    // The plain dialect hears neither typing nor direct messages.
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"psst"}"#);
    stage.heard_nothing("bob");
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard("bob", [left("ann"), online("bob")]);
}

#[test]
fn errors_are_sentences_for_the_offender_alone() {
    let mut stage = Stage::new(unhurried());
    stage.opens_plain("bob", "den", "bob");
    stage.opens_plain("ann", "den", "ann");
    stage.all_forget();
    stage.says("bob", &"x".repeat(16_385));
    stage.heard(
        "bob",
        [concat!(
            r#"{"type":"error","content":"`content`: expected at most 16384 bytes, found 16385","#,
            r#""room":"den","username":""}"#
        )],
    );
    stage.heard_nothing("ann");
    stage.chat.handle_binary(stage.conn("bob"), stage.now, &mut stage.out);
    stage.dispatch();
    assert_eq!(stage.closed_with("bob"), Some(1003));
    stage.says("bob", "too late");
    stage.heard_nothing("ann");
}

/// A comma in a name that came by the JSON door is not one of the list.
#[test]
fn a_comma_in_a_name() {
    let mut stage = Stage::json(unhurried(), &["Lear, King", "alice,bob"]);
    stage.joins("Lear, King", "den");
    stage.joins("alice,bob", "den");
    stage.opens_plain("bob", "den", "bob");
    let list = stage.takes("bob").remove(1);
    let names = text_of(&list, "content").unwrap();
    assert_eq!(names.split(',').collect::<Vec<_>>(), ["Lear\u{201a} King", "alice\u{201a}bob", "bob"]);
}
