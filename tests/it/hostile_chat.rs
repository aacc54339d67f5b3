//! Messages nobody should send, over real sockets, in both dialects.
//!
//! Each row is the exact texts and the exact answers, run as `tests/it/common/rows.rs` says: an error never closes a
//! connection, and every row goes on after its errors. Limits that need a clock or thousands of users have rows in
//! `src/chat/tests`.

use serde_json::Value;

use crate::common::cases;
use crate::common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, closed, frame, text, told, upgrade, welcome};
use crate::common::{Server, close_code, exchange, hear, hear_with, say};

/// Texts in, texts out.
struct Row {
    name: String,
    said: Vec<String>,
    heard: Vec<String>,
}

/// The rows of `tests/cases/requests.json` for one test, which other clients send as well.
fn rows(test: &str) -> Vec<Row> {
    let file: Value = serde_json::from_str(include_str!("../cases/requests.json")).unwrap();
    let texts = |value: &Value| value.as_array().unwrap().iter().map(cases::text).collect();
    let row = |row: &Value| {
        let (said, heard) = match &row["code"] {
            Value::String(code) => (vec![cases::text(&row["say"])], vec![refusal(&row["id"], code, &row["message"])]),
            _ => (texts(&row["say"]), texts(&row["hear"])),
        };
        Row { name: row["what"].as_str().unwrap().into(), said, heard }
    };
    file[test].as_array().unwrap().iter().map(row).collect()
}

fn refusal(id: &Value, code: &str, sentence: &Value) -> String {
    let id = if id.is_null() { String::new() } else { format!(r#""id":{id},"#) };
    let sentence = serde_json::to_string(&cases::text(sentence)).unwrap();
    format!(r#"{{"type":"error",{id}"code":"{code}","message":{sentence},"retry":false}}"#)
}

/// A door, the messages that open a session there, and the request and answer behind each row.
struct Door<'a> {
    target: &'a str,
    opened: Vec<u8>,
    last: (&'a str, &'a str),
}

fn check_at(door: &Door<'_>, rows: &[Row]) {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    for Row { name, said, heard } in rows {
        let said = said.iter().map(String::as_str).chain([door.last.0]).flat_map(text);
        let heard = heard.iter().map(String::as_str).chain([door.last.1]);
        let heard = heard.flat_map(|heard| told(0x81, heard.as_bytes()));
        let bytes = [&upgrade(door.target), &said.collect::<Vec<u8>>()[..], CLOSE].concat();
        let answer = [SWITCHED.as_bytes(), &door.opened, &heard.collect::<Vec<u8>>(), CLOSE_ANSWERED].concat();
        neighbour.check(&server, name, &bytes, &answer);
    }
}

/// At the JSON door.
fn check(rows: &[Row]) {
    check_at(&Door { target: "/ws?user=USER0000", opened: welcome("USER0000"), last: (PING, PONG) }, rows);
}

const PING: &str = r#"{"type":"ping","id":99}"#;
const PONG: &str = r#"{"type":"pong","id":99,"ts":0000000000000}"#;
#[test]
fn what_is_no_request() {
    check(&rows("what_is_no_request"));
}

#[test]
fn fields_that_are_wrong() {
    check(&rows("fields_that_are_wrong"));
}

#[test]
fn strange_and_right() {
    check(&rows("strange_and_right"));
}

#[test]
fn the_plain_dialect() {
    let plain = |kind: &str, content: &str, user: &str| {
        let content = serde_json::to_string(content).unwrap();
        format!(r#"{{"type":"{kind}","content":{content},"room":"ROOM0000","username":"{user}"}}"#)
    };
    let said = |content: &str| plain("chat", content, "USER0000");
    let opened = [plain("user_joined", "USER0000 joined the room", "USER0000"), plain("online_users", "USER0000", "")];
    let opened: Vec<u8> = opened.iter().flat_map(|heard| told(0x81, heard.as_bytes())).collect();
    let target = "/ws/ROOM0000?username=USER0000";
    check_at(
        &Door { target, opened: opened.clone(), last: ("still here", &said("still here")) },
        &rows("the_plain_dialect"),
    );
    let server = Server::serve(&["--rate", "off"]);
    let bytes = [&upgrade(target)[..], &frame(0x82, b"x"), &text("late"), CLOSE].concat();
    let answer = [SWITCHED.as_bytes(), &opened, &closed(1003, "expected text, found a binary message")].concat();
    Neighbour::chat(&server).check(&server, "binary", &bytes, &answer);
}

#[test]
fn a_session_can_be_in_128_rooms() {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let mut client = server.connect("/ws?user=collector");
    for room in 0..128 {
        say(&mut client, &format!(r#"{{"type":"join","room_id":"r{room}","id":{room}}}"#));
        hear_with(&mut client, &[r#""type":"joined""#, &format!(r#""id":{room},"#)]);
    }
    say(&mut client, r#"{"type":"join","room_id":"r128","id":128}"#);
    let refused = hear_with(&mut client, &[r#""id":128"#]);
    assert!(refused.contains(r#""code":"too_many_rooms""#), "{refused}");
    // One less makes room for one more; one that it is in already takes none.
    for said in [
        r#"{"type":"join","room_id":"r0","id":129}"#,
        r#"{"type":"leave","room_id":"r0","id":129}"#,
        r#"{"type":"join","room_id":"r128","id":129}"#,
    ] {
        say(&mut client, said);
        let answer = hear_with(&mut client, &[r#""id":129"#]);
        assert!(answer.contains(r#""type":"joined""#) || answer.contains(r#""type":"left""#), "{answer}");
    }
    neighbour.talks();
}

#[test]
fn a_user_has_16_sessions() {
    let server = Server::serve(&[]);
    let mut sessions: Vec<_> = (0..16).map(|_| server.connect("/ws?user=many")).collect();
    for session in &mut sessions {
        assert!(hear(session).contains(r#""type":"welcome""#));
    }
    for (target, goodbye) in [
        ("/ws?user=many", r#"{"type":"goodbye","reason":"connection_limit","reconnect":true,"after_ms":10000}"#),
        (
            "/ws/r?username=many",
            r#"{"type":"error","content":"too many sessions of this user","room":"","username":""}"#,
        ),
    ] {
        let mut one_more = server.connect(target);
        assert_eq!(hear(&mut one_more), goodbye);
        assert_eq!(close_code(&mut one_more), 4100);
    }
    // The others live on, and hear nothing of it.
    say(&mut sessions[0], r#"{"type":"ping","id":1}"#);
    assert!(hear(&mut sessions[0]).starts_with(r#"{"type":"pong","id":1,"#));
    // When one is gone there is room again.
    let mut first = sessions.swap_remove(0);
    first.close(None).unwrap();
    assert_eq!(close_code(&mut first), 1005);
    assert!(hear(&mut server.connect("/ws?user=many")).contains(r#""type":"welcome""#));
}

/// Frames of every kind are billed, and to the user: another connection has nothing more to spend.
#[test]
fn floods_are_refused_and_cost_the_neighbour_nothing() {
    // A bucket that is as good as never refilled: the row does not depend on how fast it runs.
    let server = Server::serve(&["--rate", "1:40"]);
    let mut neighbour = server.connect("/ws?user=bystander");
    hear(&mut neighbour);
    let mut floods = 0;
    for (name, flood) in [
        ("messages", text(r#"{"type":"broadcast","room_id":"*","content":"x","id":1}"#)),
        ("joins", text(r#"{"type":"join","room_id":"r","id":1}"#)),
        ("typing", text(r#"{"type":"typing","user_id":"bystander","typing":false,"id":1}"#)),
        ("junk", text(r#"{"id":1"#)),
        ("pings", [frame(0x89, b""), text(r#"{"type":"ping","id":1}"#)].concat()),
        ("pongs", [frame(0x8a, b""), text(r#"{"type":"ping","id":1}"#)].concat()),
    ] {
        let bytes = [&upgrade(&format!("/ws?user={name}")), &flood.repeat(400)[..], CLOSE].concat();
        let answer = exchange(server.public, &bytes);
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.matches(r#""code":"rate_limited""#).count();
        // Junk has no id that could be read, so it is refused at most once a second.
        let told = if name == "junk" { 1 } else { 300 };
        assert!(refused >= told, "{name}: {refused} of 400 refused");
        // Coming back does not help.
        let again = [&upgrade(&format!("/ws?user={name}")), &text(r#"{"type":"ping","id":1}"#)[..], CLOSE].concat();
        let answers: Vec<u8> = (0..20).flat_map(|_| exchange(server.public, &again)).collect();
        let pongs = String::from_utf8_lossy(&answers).matches(r#""type":"pong""#).count();
        assert!(pongs < 20, "{name}: every new connection was let speak");
        floods += 1;
    }
    assert_eq!(floods, 6);
    // The announcements before the bucket was empty, and nothing else.
    say(&mut neighbour, r#"{"type":"ping","id":"n"}"#);
    loop {
        let heard = hear(&mut neighbour);
        if heard.starts_with(r#"{"type":"pong","id":"n","#) {
            break;
        }
        assert!(
            heard.starts_with(r#"{"type":"broadcast","room_id":"*","sender":"messages","content":"x","#),
            "{heard}"
        );
    }
}
