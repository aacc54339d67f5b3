//! What users have read, their conversations, and search, one row a promise.

use super::*;

/// `ann` with two devices and `bob`, both in the den, where `bob` has said three things.
fn den() -> Stage {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("ann2", "ann");
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    for text in ["one", "two", "three"] {
        stage.says("bob", &format!(r#"{{"type":"broadcast","content":"{text}"}}"#));
        stage.waits_ms(1);
    }
    stage.all_forget();
    stage
}

fn marks(stage: &mut Stage, device: &str) -> (Option<u64>, Option<u64>) {
    stage.says(device, r#"{"type":"join","room_id":"den"}"#);
    let joined = stage.takes(device).remove(0);
    (number_of(&joined, "read"), number_of(&joined, "unread"))
}

#[test]
fn a_mark_is_the_users_and_moves_forward() {
    let mut stage = den();
    assert_eq!(marks(&mut stage, "ann"), (Some(0), Some(3)));
    assert_eq!(marks(&mut stage, "bob"), (Some(0), Some(0)), "one's own are not unread");
    stage.says("ann", r#"{"type":"read","room_id":"den","seq":2,"id":"r"}"#);
    stage.heard("ann", [r#"{"type":"ack","id":"r"}"#]);
    stage.heard("ann2", [r#"{"type":"read","room_id":"den","seq":2}"#]);
    stage.heard_nothing("bob");
    assert_eq!(marks(&mut stage, "ann"), (Some(2), Some(1)));
    // Back, or where it is: nothing. Beyond the end: the end.
    for (seq, heard) in [(1, None), (2, None), (u64::MAX, Some(3)), (3, None)] {
        stage.says("ann", &format!(r#"{{"type":"read","room_id":"den","seq":{seq}}}"#));
        stage.heard_kinds("ann", &["ack"]);
        stage.heard("ann2", heard.map(|seq: u64| format!(r#"{{"type":"read","room_id":"den","seq":{seq}}}"#)));
    }
    // A deleted message is not unread, nor is what was done to one.
    stage.says("bob", r#"{"type":"broadcast","content":"four"}"#);
    stage.says("bob", r#"{"type":"edit","room_id":"den","of":1,"content":"1"}"#);
    stage.says("bob", r#"{"type":"broadcast","content":"six"}"#);
    stage.all_forget();
    assert_eq!(marks(&mut stage, "ann"), (Some(3), Some(2)));
    stage.says("bob", r#"{"type":"delete","room_id":"den","of":4}"#);
    stage.all_forget();
    assert_eq!(marks(&mut stage, "ann"), (Some(3), Some(1)));
    stage.refused("ann", r#"{"type":"read","room_id":"attic","seq":2}"#, "not_joined");
    // Whether anything is kept of a name that nobody has, only the store knows.
    stage.says("ann", r#"{"type":"read","user_id":"eve","seq":2}"#);
    stage.heard_kinds("ann", &["ack"]);
    stage.refused("ann", r#"{"type":"read","room_id":"den"}"#, "bad_request");
    stage.refused("ann", r#"{"type":"read","room_id":"den","seq":-1}"#, "bad_request");
    // With nobody to read it, a mark of two who have not spoken moves nowhere.
    stage.says("ann", r#"{"type":"read","user_id":"bob","seq":2}"#);
    stage.heard_kinds("ann", &["ack"]);
    stage.heard_nothing("ann2");
}

/// Somebody who leaves a room for good takes the mark away: no device of theirs is led there by it.
#[test]
fn a_mark_is_taken_away_also_from_outside() {
    let mut stage = den();
    stage.opens("cat", "cat");
    stage.joins("ann2", "den");
    stage.says("ann", r#"{"type":"read","room_id":"den","seq":2}"#);
    stage.says("bob", r#"{"type":"read","room_id":"den","seq":1}"#);
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.all_forget();
    let known = |stage: &mut Stage| {
        stage.says("ann", r#"{"type":"rooms","read":true}"#);
        let page = stage.takes("ann").remove(0);
        number_of(&field(&page, "rooms").unwrap()[0].to_string(), "read")
    };
    assert_eq!(known(&mut stage), Some(2), "leaving alone takes nothing away");
    stage.says("ann", r#"{"type":"read","room_id":"den","seq":0,"id":"f"}"#);
    stage.heard("ann", [r#"{"type":"ack","id":"f"}"#]);
    stage.heard("ann2", [r#"{"type":"read","room_id":"den","seq":0}"#]);
    ["bob", "cat"].iter().for_each(|other| stage.heard_nothing(other));
    assert_eq!(known(&mut stage), None);
    assert_eq!(marks(&mut stage, "ann2"), (Some(0), Some(3)));
    assert_eq!(marks(&mut stage, "bob"), (Some(1), Some(0)));
    // Again: the same answer, and nobody hears of it. So where nobody has read anything.
    for who in ["ann", "cat"] {
        stage.says(who, r#"{"type":"read","room_id":"den","seq":0}"#);
        stage.heard_kinds(who, &["ack"]);
    }
    stage.heard_nothing("ann2");
    stage.refused("cat", r#"{"type":"read","room_id":"den","seq":1}"#, "not_joined");
    stage.refused("cat", r#"{"type":"read","room_id":"cellar","seq":0}"#, "room_not_found");
}

/// Whether there is a room that the token is not for is not told by this either.
#[test]
fn no_mark_is_taken_away_where_the_token_is_not_for() {
    let mut stage = tokens::stage(unhurried());
    for (device, rooms) in [("wide", r#""*""#), ("narrow", r#""attic""#)] {
        tokens::comes(&mut stage, device, &tokens::token("ann", 2000, &format!(r#","rooms":[{rooms}]"#)));
    }
    stage.joins("wide", "den");
    for room in ["den", "nowhere"] {
        stage.refused("narrow", &format!(r#"{{"type":"read","room_id":"{room}","seq":0}}"#), "forbidden");
    }
}

#[test]
fn rooms_have_marks_where_the_session_is_inside_or_where_the_user_has_been() {
    let mut stage = den();
    stage.says("bob", r#"{"type":"create_room","room_id":"attic"}"#);
    stage.says("ann", r#"{"type":"read","room_id":"den","seq":1}"#);
    stage.all_forget();
    let listed = |name, more: &str| format!(r#"{{"room_id":"{name}","name":"{name}",{more}}}"#);
    let attic = listed("attic", r#""members":0,"joined":false"#);
    for (device, den) in [
        ("ann", r#""members":2,"joined":true,"read":1,"unread":2"#),
        ("ann2", r#""members":2,"joined":false"#),
        ("bob", r#""members":2,"joined":true,"read":0,"unread":0"#),
    ] {
        stage.says(device, r#"{"type":"rooms","id":1}"#);
        stage.heard(device, [format!(r#"{{"type":"rooms","id":1,"rooms":[{attic},{}]}}"#, listed("den", den))]);
    }
    // With `read`, where the user has read something: ann's other device too, which is inside of none.
    for (device, den) in [
        ("ann", r#""members":2,"joined":true,"read":1,"unread":2"#),
        ("ann2", r#""members":2,"joined":false,"read":1,"unread":2"#),
        ("bob", r#""members":2,"joined":true,"read":0,"unread":0"#),
    ] {
        stage.says(device, r#"{"type":"rooms","id":2,"read":true}"#);
        stage.heard(device, [format!(r#"{{"type":"rooms","id":2,"rooms":[{attic},{}]}}"#, listed("den", den))]);
    }
    stage.says("ann2", r#"{"type":"rooms","id":3,"read":false}"#);
    let outside = listed("den", r#""members":2,"joined":false"#);
    stage.heard("ann2", [format!(r#"{{"type":"rooms","id":3,"rooms":[{attic},{outside}]}}"#)]);
    stage.refused("ann2", r#"{"type":"rooms","read":1}"#, "bad_request");
    let page = |of: &str| format!(r#"{{"type":"rooms","limit":1{of}}}"#);
    stage.says("ann", &page(""));
    stage.heard("ann", [format!(r#"{{"type":"rooms","rooms":[{attic}],"next":"attic"}}"#)]);
    stage.says("ann", &page(r#","cursor":"attic""#));
    stage.heard(
        "ann",
        [format!(
            r#"{{"type":"rooms","rooms":[{}]}}"#,
            listed("den", r#""members":2,"joined":true,"read":1,"unread":2"#)
        )],
    );
}

/// A direct message to somebody who is away is found by the first question after `welcome`.
#[test]
fn what_came_while_one_was_away() {
    let mut stage = den();
    stage.closes("ann2");
    stage.closes("ann");
    stage.waits_ms(10_000);
    stage.all_forget();
    for (text, at) in [("psst", 1), ("hey", 2)] {
        stage.says("bob", &format!(r#"{{"type":"direct","user_id":"ann","content":"{text}"}}"#));
        assert_eq!(number_of(&stage.takes("bob")[0], "seq"), Some(at));
    }
    stage.says("bob", r#"{"type":"direct","user_id":"bob","content":"to do"}"#);
    stage.opens("cat", "cat");
    stage.waits_ms(1);
    stage.says("cat", r#"{"type":"direct","user_id":"bob","content":"hi"}"#);
    stage.all_forget();
    let spoke = stage.now.unix_ms - 1;
    stage.opens("ann", "ann");
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"conversations","id":1}"#);
    let with_bob = |seq: u64, read: u64, unread: u64| {
        format!(r#"{{"user_id":"bob","seq":{seq},"ts":{spoke},"read":{read},"unread":{unread}}}"#)
    };
    stage.heard("ann", [format!(r#"{{"type":"conversations","id":1,"conversations":[{}]}}"#, with_bob(2, 0, 2))]);
    stage.says("ann", r#"{"type":"read","user_id":"bob","seq":1}"#);
    stage.says("ann", r#"{"type":"react","user_id":"bob","of":1,"emoji":":x:","on":true}"#);
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"conversations"}"#);
    stage.heard("ann", [format!(r#"{{"type":"conversations","conversations":[{}]}}"#, with_bob(3, 1, 1))]);
    // The newest first, in pages.
    let mut with = Vec::new();
    let mut cursor = String::new();
    loop {
        stage.forgets("bob");
        stage.says("bob", &format!(r#"{{"type":"conversations","limit":1{cursor}}}"#));
        let page = stage.takes("bob").remove(0);
        with.extend(field(&page, "conversations").unwrap()[0]["user_id"].as_str().map(str::to_owned));
        match text_of(&page, "next") {
            Some(next) => cursor = format!(r#","cursor":"{next}""#),
            None => break,
        }
    }
    assert_eq!(with[0], "cat");
    with.sort();
    assert_eq!(with, ["ann", "bob", "cat"]);
    stage.refused("ann", r#"{"type":"conversations","cursor":"nonsense"}"#, "bad_request");
    stage.refused("ann", &format!(r#"{{"type":"conversations","cursor":"{}"}}"#, "x".repeat(257)), "bad_request");
}

/// A guest's name is another guest's later, so it has no marks and no list.
#[test]
fn guests_have_no_marks() {
    let mut stage = den();
    stage.open("guest", Door::Json { user: None });
    stage.forgets("guest");
    assert_eq!(marks(&mut stage, "guest"), (None, None));
    stage.forgets("guest");
    stage.says("guest", r#"{"type":"rooms"}"#);
    assert!(!stage.takes("guest").remove(0).contains("read"));
    for text in [
        r#"{"type":"read","room_id":"den","seq":1}"#,
        r#"{"type":"conversations"}"#,
        r#"{"type":"search","text":"one"}"#,
    ] {
        stage.refused("guest", text, "forbidden");
    }
    stage.says("guest", r#"{"type":"join","room_id":"hut","user_id":"gus"}"#);
    let joined = stage.takes("guest").remove(0);
    assert_eq!((number_of(&joined, "read"), number_of(&joined, "unread")), (Some(0), Some(0)));
}

/// Another device with a token that is not for the room does not hear of the room.
#[test]
fn devices_hear_of_rooms_that_they_may_enter() {
    let mut stage = tokens::stage(unhurried());
    for (device, rooms) in [("wide", r#""*""#), ("narrow", r#""attic""#)] {
        tokens::comes(&mut stage, device, &tokens::token("ann", 2000, &format!(r#","rooms":[{rooms}]"#)));
        stage.forgets(device);
    }
    for room in ["den", "attic"] {
        stage.joins("wide", room);
        stage.says("wide", &format!(r#"{{"type":"broadcast","room_id":"{room}","content":"x"}}"#));
        stage.all_forget();
        stage.says("wide", &format!(r#"{{"type":"read","room_id":"{room}","seq":1}}"#));
        let heard: &[&str] = if room == "attic" { &["read"] } else { &[] };
        stage.heard_kinds("narrow", heard);
    }
}

/// What is found is what the session may read: in its rooms, and in the user's own conversations.
#[test]
fn what_a_session_finds() {
    let mut stage = den();
    stage.opens("cat", "cat");
    stage.joins("cat", "attic");
    stage.says("cat", r#"{"type":"broadcast","content":"One in the attic"}"#);
    stage.waits_ms(1);
    stage.says("cat", r#"{"type":"direct","user_id":"bob","content":"one for bob"}"#);
    stage.waits_ms(1);
    stage.says("bob", r#"{"type":"direct","user_id":"ann","content":"one, two"}"#);
    stage.all_forget();
    let found = |stage: &mut Stage, device: &str, more: &str| -> Vec<String> {
        stage.says(device, &format!(r#"{{"type":"search","id":1{more}}}"#));
        let found = stage.takes(device).remove(0);
        assert_eq!(kind(&found), "found", "{more}: {found}");
        let items = field(&found, "items").unwrap();
        items.as_array().unwrap().iter().map(ToString::to_string).collect()
    };
    let place = |text: &String| {
        let item: serde_json::Value = serde_json::from_str(text).unwrap();
        format!("{} {}", item.get("room_id").or(item.get("user_id")).unwrap().as_str().unwrap(), item["seq"])
    };
    let places = |stage: &mut Stage, device: &str, more: &str| -> Vec<String> {
        found(stage, device, more).iter().map(place).collect()
    };
    for (device, more, expected) in [
        ("ann", r#","text":"one""#, &["bob 1", "den 1"][..]),
        ("ann2", r#","text":"one""#, &["bob 1"]),
        ("bob", r#","text":"one""#, &["ann 1", "cat 1", "den 1"]),
        ("cat", r#","text":"one""#, &["bob 1", "attic 1"]),
        ("bob", r#","text":"one","sender":"bob""#, &["ann 1", "den 1"]),
        ("bob", r#","text":"one","room_id":"den""#, &["den 1"]),
        ("bob", r#","text":"one","user_id":"cat""#, &["cat 1"]),
        ("bob", r#","text":"two one""#, &["ann 1"]),
        ("bob", r#","text":"\"two one\"""#, &[]),
        ("bob", r#","text":"\"one two\"""#, &["ann 1"]),
        ("bob", r#","text":"one","before":1000001"#, &["den 1"]),
        ("bob", r#","text":"one","before":1000000"#, &[]),
        ("bob", r#","text":"?","room_id":"den""#, &[]),
        ("bob", r#","text":"nothing""#, &[]),
    ] {
        assert_eq!(places(&mut stage, device, more), expected, "{device} {more}");
    }
    let hit = r#"{"content":"two","room_id":"den","sender":"bob","seq":2,"ts":1000001}"#;
    assert_eq!(found(&mut stage, "ann", r#","text":"two","room_id":"den""#), [hit]);
    // Page by page it is the same.
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        stage.says("bob", &format!(r#"{{"type":"search","text":"one","limit":1{cursor}}}"#));
        let page = stage.takes("bob").remove(0);
        all.extend(field(&page, "items").unwrap().as_array().unwrap().iter().map(|item| place(&item.to_string())));
        let Some(next) = text_of(&page, "next") else { break };
        cursor = format!(r#","cursor":{}"#, serde_json::Value::from(next));
    }
    assert_eq!(all, ["ann 1", "cat 1", "den 1"]);
    // What is edited away or deleted is not found.
    stage.says("bob", r#"{"type":"edit","room_id":"den","of":1,"content":"first"}"#);
    stage.says("bob", r#"{"type":"delete","user_id":"ann","of":1}"#);
    stage.all_forget();
    assert_eq!(places(&mut stage, "bob", r#","text":"one""#), ["cat 1"]);
    assert_eq!(places(&mut stage, "bob", r#","text":"first""#), ["den 1"]);
    assert!(places(&mut stage, "bob", r#","text":"one","user_id":"eve""#).is_empty());
    for (text, code) in [
        (r#","text":"one","room_id":"attic""#.to_owned(), "not_joined"),
        (r#","text":"one","user_id":"bob","room_id":"den""#.into(), "bad_request"),
        (r#","text":"one","limit":0"#.into(), "bad_request"),
        (r#","text":"one","cursor":"nonsense""#.into(), "bad_request"),
        (r#","text":["one"]"#.into(), "bad_request"),
        (r#","text":"one","sender":"b\u0007b""#.into(), "bad_request"),
        (String::new(), "bad_request"),
        (r#","text":"""#.into(), "bad_request"),
        (format!(r#","text":"{}""#, "x".repeat(513)), "too_large"),
        (format!(r#","text":"{}""#, "x ".repeat(65)), "bad_request"),
        (format!(r#","text":"\"{}\"""#, "x ".repeat(65)), "bad_request"),
        (format!(r#","text":"{}""#, "京".repeat(65)), "bad_request"),
    ] {
        stage.refused("ann", &format!(r#"{{"type":"search"{text}}}"#), code);
    }
    for text in ["x".repeat(512), "x ".repeat(64), "京".repeat(64), "?!".repeat(99)] {
        assert_eq!(places(&mut stage, "ann", &format!(r#","text":"{text}""#)), [""; 0]);
    }
}

/// A guest who has gone is forgotten, and what was said is not: it can be read, found, edited and deleted.
#[test]
fn what_a_guest_has_said_stays() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.open("g", Door::Json { user: None });
    let guest = text_of(&stage.takes("g")[0], "user_id").unwrap();
    stage.says("g", r#"{"type":"direct","user_id":"ann","content":"secret plan"}"#);
    stage.says("ann", &format!(r#"{{"type":"direct","user_id":"{guest}","content":"hush"}}"#));
    stage.closes("g");
    stage.waits_ms(60_000);
    stage.all_forget();
    let to = |kind: &str, more: &str| format!(r#"{{"type":"{kind}","user_id":"{guest}"{more},"id":"{kind}"}}"#);
    stage.refused("ann", &to("direct", r#","content":"still there?""#), "user_not_found");
    stage.refused("ann", &to("typing", r#","typing":true"#), "user_not_found");
    let unread = |stage: &mut Stage| {
        stage.says("ann", r#"{"type":"conversations"}"#);
        stage.takes("ann").remove(0).contains(r#""unread":1"#)
    };
    assert!(unread(&mut stage));
    stage.says("ann", &to("history", ""));
    let page = stage.takes("ann").remove(0);
    assert!(kind(&page) == "history" && page.contains("secret plan") && page.contains("hush"), "{page}");
    stage.says("ann", &to("search", r#","text":"plan""#));
    assert!(stage.takes("ann").remove(0).contains("secret plan"));
    stage.says("ann", &to("edit", r#","of":2,"content":"pssst""#));
    stage.says("ann", &to("react", r#","of":1,"emoji":":ok:","on":true"#));
    stage.says("ann", &to("delete", r#","of":2"#));
    stage.says("ann", &to("read", r#","seq":5"#));
    stage.heard_kinds("ann", &["edited", "reaction", "deleted", "ack"]);
    assert!(!unread(&mut stage));
    stage.refused("ann", &to("edit", r#","of":1,"content":"mine now""#), "forbidden");
    stage.refused("ann", &to("delete", r#","of":9"#), "user_not_found");
    stage.refused("ann", r#"{"type":"history","user_id":"nobody"}"#, "user_not_found");
    stage.refused("ann", r#"{"type":"history","user_id":"\u0007"}"#, "bad_request");
}
