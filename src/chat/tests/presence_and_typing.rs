//! Presence, hiding, and typing.

use super::*;

#[test]
fn typing() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("phone", "ann");
    for device in ["ann", "phone", "bob"] {
        stage.joins(device, "den");
    }
    let on = r#"{"type":"typing","room_id":"den","typing":true}"#;
    let off = r#"{"type":"typing","room_id":"den","typing":false}"#;
    let heard_on = r#"{"type":"typing","room_id":"den","user_id":"ann","typing":true}"#;
    let heard_off = r#"{"type":"typing","room_id":"den","user_id":"ann","typing":false}"#;
    stage.says("ann", off);
    stage.heard_nothing("bob");
    stage.says("ann", on);
    stage.heard("bob", [heard_on]);
    stage.waits_ms(2_999);
    stage.says("phone", on);
    stage.heard_nothing("bob");
    stage.waits_ms(1);
    stage.says("ann", on);
    stage.heard("bob", [heard_on]);
    stage.waits_ms(5_999);
    stage.heard_nothing("bob");
    stage.waits_ms(1);
    stage.heard("bob", [heard_off]);
    // A message ends it, just before it is heard.
    stage.says("ann", on);
    stage.says("ann", r#"{"type":"broadcast","content":"x"}"#);
    stage.heard_kinds("bob", &["typing", "typing", "broadcast"]);
    stage.says("ann", on);
    stage.heard_nothing("bob");
    stage.waits_ms(3_000);
    stage.says("ann", on);
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":false,"id":3}"#);
    stage.heard("bob", [heard_on, heard_off]);
    assert_eq!(stage.takes("ann").pop().unwrap(), r#"{"type":"ack","id":3}"#);
    stage.forgets("phone");
    // To one user.
    stage.says("ann", r#"{"type":"typing","user_id":"bob","typing":true}"#);
    stage.heard("bob", [r#"{"type":"typing","user_id":"ann","typing":true}"#]);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"x"}"#);
    stage.heard_kinds("bob", &["typing", "direct"]);
    stage.refused("bob", r#"{"type":"typing","room_id":"attic","typing":true}"#, "not_joined");
    stage.refused("bob", r#"{"type":"typing","user_id":"who","typing":true}"#, "user_not_found");
    stage.refused("bob", r#"{"type":"typing","room_id":"den"}"#, "bad_request");
}

#[test]
fn who_leaves_does_not_type() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard_kinds("bob", &["typing", "typing", "user_left"]);
    stage.waits_ms(10_000);
    stage.heard_nothing("bob");
}

#[test]
fn status_and_presence() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.says("ann", r#"{"type":"presence","user_ids":["bob","dan"],"subscribe":true,"id":1}"#);
    stage.heard(
        "ann",
        [concat!(
            r#"{"type":"presence_state","id":1,"users":{"bob":{"status":"online","devices":1},"#,
            r#""dan":{"status":"offline","devices":0}}}"#
        )],
    );
    stage.says("bob", r#"{"type":"status","status":"away","note":"tea","id":2}"#);
    stage.heard("bob", [r#"{"type":"ack","id":2}"#]);
    stage.heard("ann", [r#"{"type":"presence","user_id":"bob","status":"away","note":"tea"}"#]);
    stage.says("bob", r#"{"type":"status_update","status":"offline"}"#);
    stage.heard("ann", [r#"{"type":"presence","user_id":"bob","status":"offline"}"#]);
    stage.says("ann", r#"{"type":"online"}"#);
    stage.heard("ann", [r#"{"type":"online","users":["ann"],"count":1}"#]);
    stage.says("bob", r#"{"type":"status","status":"busy"}"#);
    stage.opens("dan", "dan");
    stage.heard(
        "ann",
        [
            r#"{"type":"presence","user_id":"bob","status":"busy"}"#,
            r#"{"type":"presence","user_id":"dan","status":"online"}"#,
        ],
    );
    // Only after the grace, and the status is forgotten.
    stage.closes("bob");
    stage.waits_ms(4_999);
    stage.heard_nothing("ann");
    stage.waits_ms(1);
    stage.heard("ann", [r#"{"type":"presence","user_id":"bob","status":"offline"}"#]);
    stage.opens("bob", "bob");
    stage.heard("ann", [r#"{"type":"presence","user_id":"bob","status":"online"}"#]);
    stage.says("ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":false}"#);
    stage.forgets("ann");
    stage.says("bob", r#"{"type":"status","status":"away"}"#);
    stage.heard_nothing("ann");
    // Of a room one must be a member.
    stage.refused("ann", r#"{"type":"presence","room_id":"den"}"#, "not_joined");
    stage.joins("ann", "den");
    stage.says("ann", r#"{"type":"presence","room_id":"den"}"#);
    stage
        .heard("ann", [r#"{"type":"presence_state","room_id":"den","users":{"ann":{"status":"online","devices":1}}}"#]);
    stage.refused("ann", r#"{"type":"presence"}"#, "bad_request");
    stage.refused("ann", r#"{"type":"status","status":"sad"}"#, "bad_request");
    stage.refused("ann", r#"{"type":"status"}"#, "bad_request");
}

/// A hidden user hears every message, but no answer to others shows whether a user hides or has gone.
#[test]
fn nothing_tells_who_hides() {
    let asked = [
        r#"{"type":"multicast","user_ids":["ghost"],"content":"boo"}"#,
        r#"{"type":"direct","user_id":"ghost","content":"boo"}"#,
        r#"{"type":"typing","id":1,"user_id":"ghost","typing":true}"#,
        r#"{"type":"presence","user_ids":["ghost"],"subscribe":true}"#,
        r#"{"type":"online"}"#,
    ];
    let answers = |gone: bool| {
        let mut stage = Stage::json(unhurried(), &["bob", "ghost"]);
        stage.says("ghost", r#"{"type":"status","status":"offline","note":"thinking"}"#);
        stage.forgets("ghost");
        if gone {
            stage.closes("ghost");
            stage.waits_ms(5_000);
        } else {
            // The same, heard by a device more and a device less.
            stage.opens("phone", "ghost");
            stage.closes("phone");
            stage.waits_ms(5_000);
        }
        let answers = asked.map(|text| {
            stage.says("bob", text);
            stage.takes("bob")
        });
        if !gone {
            stage.heard_kinds("ghost", &["direct", "direct", "typing"]);
            stage.says("ghost", r#"{"type":"multicast","user_ids":["ghost"],"content":"me"}"#);
            let own = stage.takes("ghost").pop().unwrap();
            assert_eq!(own, r#"{"type":"ack","delivered":["ghost"],"stored":[],"unknown":[]}"#);
            stage.closes("ghost");
            stage.waits_ms(5_000);
            stage.heard_nothing("bob");
        }
        answers
    };
    assert_eq!(answers(false), answers(true));
    assert_eq!(answers(false)[0], [r#"{"type":"ack","delivered":[],"stored":["ghost"],"unknown":[]}"#]);
}

/// No answer says `stored` where nothing is stored.
#[test]
fn without_history_who_is_away_misses_it() {
    let mut stage = Stage::keeping(last(0), unhurried(), &["ann", "bob", "cat"]);
    stage.closes("cat");
    stage.says("ann", r#"{"type":"multicast","user_ids":["bob","cat","dan"],"content":"x"}"#);
    stage.heard("ann", [r#"{"type":"ack","delivered":["bob"],"stored":[],"unknown":["dan"],"missed":["cat"]}"#]);
    stage.says("bob", r#"{"type":"status","status":"offline"}"#);
    stage.says("ann", r#"{"type":"multicast","user_ids":["bob","cat"],"content":"x"}"#);
    stage.heard("ann", [r#"{"type":"ack","delivered":[],"stored":[],"unknown":[],"missed":["bob","cat"]}"#]);
    stage.heard_kinds("bob", &["direct", "ack", "direct"]);
}

/// Hidden from others, not from oneself.
#[test]
fn who_hides_sees_themselves() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("phone", "ann");
    for device in ["ann", "bob"] {
        stage.joins(device, "den");
    }
    let watch = r#"{"type":"presence","user_ids":["ann"],"subscribe":true}"#;
    stage.says("phone", watch);
    stage.says("bob", watch);
    stage.all_forget();
    stage.says("ann", r#"{"type":"status","status":"offline","note":"thinking"}"#);
    stage.heard("phone", [r#"{"type":"presence","user_id":"ann","status":"offline","note":"thinking"}"#]);
    stage.heard("bob", [r#"{"type":"presence","user_id":"ann","status":"offline"}"#]);
    stage.says("ann", r#"{"type":"status","status":"offline","note":"still"}"#);
    stage.heard_kinds("phone", &["presence"]);
    stage.heard_nothing("bob");
    stage.all_forget();
    let own = r#"{"status":"offline","devices":2,"note":"still"}"#;
    for (device, view) in [("ann", own), ("bob", r#"{"status":"offline","devices":0}"#)] {
        stage.says(device, r#"{"type":"presence","user_ids":["ann"]}"#);
        stage.says(device, r#"{"type":"members","room_id":"den","limit":1}"#);
        let member = view.replacen('{', r#"{"user_id":"ann","#, 1);
        stage.heard(
            device,
            [
                format!(r#"{{"type":"presence_state","users":{{"ann":{view}}}}}"#),
                format!(r#"{{"type":"members","room_id":"den","members":[{member}],"count":2,"next":"0"}}"#),
            ],
        );
    }
    stage.says("ann", r#"{"type":"online","limit":1}"#);
    stage.says("ann", r#"{"type":"online","limit":1,"cursor":"ann"}"#);
    stage.says("bob", r#"{"type":"online","limit":1}"#);
    stage.heard(
        "ann",
        [
            r#"{"type":"online","users":["ann"],"count":2,"next":"ann"}"#,
            r#"{"type":"online","users":["bob"],"count":2}"#,
        ],
    );
    stage.heard("bob", [r#"{"type":"online","users":["bob"],"count":1}"#]);
    // A guest who watches the name, and takes it, sees what its devices see.
    stage.open("g", Door::Json { user: None });
    stage.says("g", watch);
    stage.forgets("g");
    stage.says("g", r#"{"type":"join","room_id":"attic","user_id":"ann"}"#);
    let epoch = stage.epoch("ann", "attic");
    let head = format!(r#""epoch":"{epoch}","seq":0,"recovered":false,"members":1,"read":0,"unread":0"#);
    stage.heard(
        "g",
        [
            r#"{"type":"presence","user_id":"ann","status":"offline","note":"still"}"#.to_owned(),
            format!(r#"{{"type":"joined","room_id":"attic","user_id":"ann",{head}}}"#),
            r#"{"type":"online_users","room_id":"attic","users":["ann"],"count":1}"#.to_owned(),
        ],
    );
}

/// A name is data wherever it stands, also as a key: it can end no text and begin no other.
#[test]
fn a_name_with_quotes_forges_nothing() {
    let forger = r#"":0},"type":"direct","sender":"ann","user_id":"bob","content":"send it","seq":7,"x":{""#;
    for name in [forger, r#"""#, r"\", r#"a"b"#, r"a\", r"\u0022", "a\u{fffd}b"] {
        let mut stage = Stage::json(unhurried(), &["bob"]);
        stage.opens("them", name);
        stage.joins("them", "den");
        stage.joins("bob", "den");
        stage.says("bob", r#"{"type":"presence","room_id":"den","subscribe":true}"#);
        let state: serde_json::Value = serde_json::from_str(&stage.takes("bob")[0]).unwrap();
        assert_eq!(state["type"], "presence_state", "{name}");
        assert_eq!(state.as_object().unwrap().len(), 3, "type, room and users: {state}");
        assert_eq!(state["users"][name]["status"], "online", "{state}");
    }
}

fn showing(status: &str, note: Option<&str>, door: Door) -> Door {
    Door::Showing { shows: Shows::parse(status, note).unwrap(), door: Box::new(door) }
}

fn json(name: &str) -> Door {
    Door::Json { user: Some(user(name)) }
}

/// A user who hides, is cut, and comes back after the grace is seen by nobody, at either door.
#[test]
fn who_hides_is_not_seen_when_they_come_back() {
    let plain = |name: &str| Door::Plain { room: room("den"), user: user(name) };
    for door in [json("bob"), plain("bob")] {
        let mut stage = Stage::json(unhurried(), &["ann"]);
        stage.says("ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
        stage.forgets("ann");
        for _ in 0..3 {
            stage.open("bob", showing("offline", None, door.clone()));
            stage.heard_nothing("ann");
            stage.closes("bob");
            stage.waits_ms(6_000);
            stage.heard_nothing("ann");
        }
        // Without that, everybody hears it.
        stage.open("bob", door);
        stage.heard("ann", [r#"{"type":"presence","user_id":"bob","status":"online"}"#]);
    }
}

/// The status that the server holds stays: another device has set it since, or the client has been away for less than
/// the grace.
#[test]
fn what_the_server_holds_is_newer() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    let welcome = |stage: &mut Stage, device: &str| {
        let welcome = stage.takes(device).remove(0);
        (text_of(&welcome, "status").unwrap(), text_of(&welcome, "note"))
    };
    stage.says("ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
    stage.forgets("ann");
    stage.open("bob", showing("away", Some("at lunch"), json("bob")));
    assert_eq!(welcome(&mut stage, "bob"), ("away".into(), Some("at lunch".into())));
    stage.heard("ann", [r#"{"type":"presence","user_id":"bob","status":"away","note":"at lunch"}"#]);
    stage.open("phone", showing("offline", None, json("bob")));
    assert_eq!(welcome(&mut stage, "phone"), ("away".into(), Some("at lunch".into())));
    stage.closes("bob");
    stage.closes("phone");
    stage.waits_ms(4_999);
    stage.open("bob", showing("busy", None, json("bob")));
    assert_eq!(welcome(&mut stage, "bob"), ("away".into(), Some("at lunch".into())));
    stage.heard_nothing("ann");
    stage.closes("bob");
    stage.waits_ms(5_000);
    stage.heard_kinds("ann", &["presence"]);
    stage.opens("bob", "bob");
    assert_eq!(welcome(&mut stage, "bob"), ("online".into(), None));
}

/// A guest who hides and takes a name goes on hiding.
#[test]
fn a_guest_who_hides_takes_a_name() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.says("ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
    stage.forgets("ann");
    stage.open("bob", showing("offline", None, Door::Json { user: None }));
    stage.says("bob", r#"{"type":"join","room_id":"den","user_id":"bob"}"#);
    stage.heard_nothing("ann");
    stage.closes("bob");
    stage.waits_ms(10_000);
    stage.heard_nothing("ann");
}

#[test]
fn what_cannot_be_shown() {
    let long = "x".repeat(257);
    for (status, note) in
        [("", None), ("constructor", None), ("Online", None), ("away", Some(&*long)), ("away", Some("\n"))]
    {
        assert!(Shows::parse(status, note).is_err(), "{status} {note:?}");
    }
    assert!(Shows::parse("away", Some(&long[1..])).is_ok());
}

/// Characters that no name may have are refused in every line beside a name: a note, here or at the opening, the note
/// of a ban, the title and topic of a room.
#[test]
fn one_rule_for_names_notes_and_titles() {
    for (line, good) in [
        ("tea", true),
        ("", true),
        ("*", true),
        ("山田\u{3000}太郎", true),
        ("❤\u{fe0f} 7\u{fe0f}\u{20e3}", true),
        ("\u{7}", false),
        ("a\u{202e}b", false),
        ("a\u{200b}b", false),
        ("a\u{ad}b", false),
        ("\u{feff}a", false),
        ("\u{2800}", false),
        ("a\u{2028}b", false),
        ("a\u{a0}b", false),
        ("\u{fdd0}", false),
        ("a\u{fe0f}", false),
        ("a\u{200d}b", false),
        (" a", false),
        ("a ", false),
    ] {
        let mut stage = Stage::json(unhurried(), &["ann"]);
        assert_eq!(Shows::parse("away", Some(line)).is_ok(), good, "{line:?}");
        if !line.is_empty() && line != "*" {
            assert_eq!(crate::chat::RoomName::parse(line).is_ok(), good, "{line:?}");
        }
        let request = |fields: &str| format!(r#"{{{fields}:{}}}"#, serde_json::json!(line));
        stage.says("ann", &request(r#""type":"status","status":"away","note""#));
        stage.says("ann", &request(r#""type":"create_room","room_id":"a","name""#));
        stage.says("ann", &request(r#""type":"create_room","room_id":"b","topic""#));
        let kinds = if good { ["ack", "room", "room"] } else { ["bad_request"; 3] };
        stage.heard_kinds("ann", &kinds);
        for (call, fields) in [
            (Call::Create, r#""room_id":"c","name""#),
            (Call::Create, r#""room_id":"d","topic""#),
            (Call::Ban, r#""user_id":"bob","note""#),
        ] {
            let answer = stage.calls(call, &request(fields));
            assert_eq!(kind(&answer) != "bad_request", good, "{call:?} {line:?}: {answer}");
        }
    }
}
