//! `@room`: who may call everybody in a room, and what all hear of it. One row a promise.

use super::tokens::{comes, guarded, stage as with_tokens, token};
use super::*;

/// `ann` and `bob` in the den.
fn den(settings: Settings) -> Stage {
    let mut stage = Stage::json(settings, &["ann", "bob"]);
    for name in ["ann", "bob"] {
        stage.joins(name, "den");
    }
    stage.all_forget();
    stage
}

const CALL: &str = r#"{"type":"broadcast","room_id":"den","content":"@room","id":1}"#;

/// Whether what the device has heard last calls the room.
fn calls(stage: &mut Stage, device: &str) -> bool {
    let heard = stage.takes(device).pop().unwrap();
    assert!(["broadcast", "edited"].contains(&kind(&heard).as_str()), "{heard}");
    text_of(&heard, "mentions").is_some_and(|whom| whom == "room")
}

/// It is said to everybody who hears the message, then and later, as long as the text that calls stands.
#[test]
fn it_stands_beside_the_text() {
    let mut stage = den(unhurried());
    stage.opens_plain("dan", "den", "dan");
    stage.all_forget();
    let said = r#""room_id":"den","sender":"ann","content":"@room","seq":1,"ts":1000000,"mentions":"room"}"#;
    stage.says("ann", CALL);
    stage.heard("ann", [format!(r#"{{"type":"broadcast","id":1,{said}"#)]);
    stage.heard("bob", [format!(r#"{{"type":"broadcast",{said}"#)]);
    stage.heard("dan", [r#"{"type":"chat","content":"@room","room":"den","username":"ann"}"#]);
    // A retry is answered as one, and calls nobody again.
    stage.says("ann", CALL);
    stage.heard_kinds("ann", &["ack"]);
    stage.heard_nothing("bob");
    let edit = |content: &str| format!(r#"{{"type":"edit","room_id":"den","of":1,"content":"{content}"}}"#);
    let history = r#"{"type":"history","room_id":"den"}"#;
    for (content, expected) in [("no", false), ("@room!", true), ("@Room!", true), ("never", false)] {
        stage.says("ann", &edit(content));
        assert_eq!(calls(&mut stage, "bob"), expected, "{content}");
        stage.says("bob", history);
        let item = field(&stage.takes("bob").remove(0), "items").unwrap()[0].clone();
        assert_eq!(item["mentions"] == "room", expected, "{item}");
    }
    // Somebody at the plain door may as well.
    stage.says("dan", "@room");
    assert!(calls(&mut stage, "bob"));
    stage.opens("eve", "eve");
    stage.forgets("eve");
    stage.says("eve", r#"{"type":"join","room_id":"den","history":9}"#);
    let replay = stage.takes("eve");
    let called: Vec<bool> = replay[1..].iter().map(|heard| text_of(heard, "mentions").is_some()).collect();
    // The message and its four edits, which have the text as it stands, and what dan said.
    assert_eq!(called, [false, false, false, false, false, true, false], "{replay:?}");
}

/// Where anybody may speak to everybody, those with a name call a room that is not big. Nobody is refused for it: what
/// does not call is a text like others.
#[test]
fn in_open_mode() {
    let mut stage = den(Settings { big_room: 3, ..unhurried() });
    stage.open("guest", Door::Json { user: None });
    stage.says("guest", r#"{"type":"join","room_id":"den"}"#);
    stage.all_forget();
    stage.says("guest", CALL);
    assert!(!calls(&mut stage, "ann"), "a guest");
    stage.says("ann", CALL);
    assert!(calls(&mut stage, "bob"), "three are here");
    stage.opens("eve", "eve");
    stage.joins("eve", "den");
    stage.all_forget();
    stage.says("ann", &CALL.replace("\"id\":1", "\"id\":2"));
    assert!(!calls(&mut stage, "bob"), "four are here");
    stage.calls(Call::Publish, r#"{"room_id":"den","content":"@room"}"#);
    assert!(calls(&mut stage, "bob"), "the operator");
    for text in [
        r#"{"type":"direct","user_id":"bob","content":"@room"}"#,
        r#"{"type":"multicast","user_ids":["bob"],"content":"@room"}"#,
        r#"{"type":"broadcast","room_id":"*","content":"@room"}"#,
    ] {
        stage.says("ann", text);
        assert_eq!(text_of(&stage.takes("bob").pop().unwrap(), "mentions"), None, "{text}");
    }
}

/// With tokens, a role says who may, and `welcome` says how many.
#[test]
fn with_roles() {
    let mut stage = with_tokens(Settings { anybody_may_create: true, ..guarded() });
    comes(&mut stage, "zoe", &token("zoe", 2000, ""));
    stage.joins("zoe", "den");
    for (name, roles, may) in [
        ("ann", "", false),
        ("bob", r#","roles":["create"]"#, false),
        ("cat", r#","roles":["announce"]"#, true),
        ("dan", r#","roles":["moderate"]"#, true),
        ("eve", r#","roles":["admin"]"#, true),
    ] {
        comes(&mut stage, name, &token(name, 2000, roles));
        let welcome = stage.takes(name).remove(0);
        assert_eq!(field(&welcome, "limits").unwrap()["mention_room"], if may { 100_000 } else { 0 }, "{name}");
        stage.joins(name, "den");
        stage.all_forget();
        stage.says(name, CALL);
        assert_eq!(calls(&mut stage, "zoe"), may, "{name}");
    }
}

/// It costs what speaking to everybody costs, and is refused as that is; a text that does not call is not.
#[test]
fn how_often() {
    let mut stage = den(Settings::default());
    let says = |stage: &mut Stage, n: u32, content: &str| {
        stage.says("ann", &format!(r#"{{"type":"broadcast","room_id":"den","content":"{content}","id":{n}}}"#));
        kind(&stage.takes("ann").remove(0))
    };
    for n in 1..=5 {
        assert_eq!(says(&mut stage, n, "@room"), "broadcast", "{n}");
    }
    assert_eq!(says(&mut stage, 6, "@room"), "rate_limited");
    stage.says("ann", r#"{"type":"broadcast","room_id":"*","content":"x","id":7}"#);
    stage.heard_kinds("ann", &["rate_limited"]);
    stage.says("ann", r#"{"type":"edit","room_id":"den","of":1,"content":"@room?","id":8}"#);
    stage.heard_kinds("ann", &["rate_limited"]);
    assert_eq!(says(&mut stage, 9, "no call"), "broadcast");
    stage.waits_ms(1000);
    assert_eq!(says(&mut stage, 6, "@room"), "broadcast");
    stage.forgets("bob");
}
