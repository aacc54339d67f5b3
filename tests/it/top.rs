//! `salon top` beside a real server: as text, as JSON, on a terminal, and while the server is away.

use std::process::{Command, Output};

use crate::common::{Client, Server, exchange, get, hear_with, joined, salon, say, status};
use serde_json::Value;

const KEY: &str = "a-key-that-nobody-guesses-0123456789";

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn top(server: &Server, arguments: &[&str]) -> Output {
    let admin = server.admin.unwrap().to_string();
    salon(&[&["top", "--admin", &admin], arguments].concat()).output().unwrap()
}

/// Sends a message and waits until it is heard.
fn speak(client: &mut Client, room: &str, content: &str) {
    say(client, &format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{content}"}}"#));
    hear_with(client, &[r#""type":"broadcast""#, content]);
}

#[test]
fn a_look_tells_rooms_by_fan_out_and_the_next_one_a_second_later_is_another() {
    let server = Server::serve(&[]);
    let admin = server.admin.unwrap();
    let mut ann = joined(&server, "ann", "den");
    let _bob = joined(&server, "bob", "den");
    let _cat = joined(&server, "cat", "tea");
    speak(&mut ann, "den", "one");
    speak(&mut ann, "den", "two");
    let first = get(admin, "/top").1;
    let rooms = body(&first)["rooms"].clone();
    let row = |room: &str, members: u32, messages: u32| {
        serde_json::json!({"room_id": room, "members": members, "sessions": members, "messages": messages,
            "deliveries": messages * members})
    };
    assert_eq!(rooms, serde_json::json!([row("den", 2, 2), row("tea", 1, 0)]));
    // A caller that asks within the second gets the same answer, so that it costs no more.
    speak(&mut ann, "den", "three");
    let again = body(&get(admin, "/top").1);
    if again["ts"] == body(&first)["ts"] {
        assert_eq!(again["rooms"], rooms);
    }
    // And then the messages since.
    let mut later = again;
    while later["ts"] == body(&first)["ts"] {
        later = body(&get(admin, "/top").1);
    }
    assert!(later["over_ms"].as_u64().unwrap() >= 1000, "{later}");
    assert_eq!(later["rooms"][0], row("den", 2, 1));
}

#[test]
fn a_client_that_does_not_read_is_listed_with_what_waits() {
    let server = Server::serve(&["--rate", "off", "--outbox-bytes", "16MiB", "--content-bytes", "60KiB"]);
    let admin = server.admin.unwrap();
    let mut ann = joined(&server, "ann", "den");
    let _slow = joined(&server, "slow-joe", "den");
    let content = "x".repeat(50_000);
    let connections = loop {
        (0..20).for_each(|_| speak(&mut ann, "den", &content));
        let top = body(&get(admin, "/top").1);
        if top["connections"].as_array().is_some_and(|all| !all.is_empty()) {
            assert!(top["waiting"]["bytes"].as_u64() > Some(0), "{top}");
            break top["connections"].clone();
        }
    };
    let slow = &connections[0];
    assert_eq!((slow["user_id"].as_str(), slow["address"].as_str()), (Some("slow-joe"), Some("127.0.0.1")));
    let id = slow["session_id"].as_str().unwrap();
    let (status, answer) = get(admin, &format!("/connections/{id}"));
    let session = body(&answer);
    assert_eq!((status, session["user_id"].as_str()), (200, Some("slow-joe")));
    assert_eq!(session["room_ids"], serde_json::json!(["den"]));
    assert!(session["waiting_bytes"].as_u64() >= slow["waiting_bytes"].as_u64(), "{session}");
    let (status, answer) = get(admin, "/connections/0000000000000000");
    assert_eq!((status, body(&answer)["code"].as_str()), (404, Some("user_not_found")));
}

#[test]
fn once_as_text_and_as_json() {
    let server = Server::serve(&[]);
    let mut ann = joined(&server, "ann", "den");
    let _bob = joined(&server, "bob", "den");
    speak(&mut ann, "den", "hello");
    let output = top(&server, &["--once"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let title = text.lines().next().unwrap();
    let admin = server.admin.unwrap();
    assert!(title.starts_with(&format!(" salon {}  {admin}  up ", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(title.contains("  ok") && !text.contains('\u{1b}'), "{text}");
    let row = text.lines().find(|line| line.starts_with(" den ")).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(row.split_whitespace().take(3).collect::<Vec<_>>(), ["den", "2", "2"], "{text}");
    assert!(text.contains("nobody waits") && text.contains("loop busy"), "{text}");

    let output = top(&server, &["--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    let figures: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(figures["rooms"][0]["room_id"], "den");
    assert!(figures["over_s"].as_f64() >= Some(1.0), "{text}");
    let sent = figures["rates"].as_array().unwrap().iter().find(|rate| rate["name"] == "messages in").unwrap();
    assert_eq!(sent["total"], 3);
}

#[test]
fn what_is_in_the_way_is_told_in_one_sentence() {
    let key = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("top-key");
    std::fs::write(&key, format!("{KEY}\n")).unwrap();
    let key = key.to_str().unwrap();
    let server = Server::serve(&["--admin-key", key]);
    for (arguments, code, part) in [
        (&["--once"][..], 1, "refuses (401): expected `Authorization: Bearer`"),
        (&["--once", "--admin-key", key], 0, ""),
        (&["--json", "--admin-key", "/nowhere/at/all"], 2, "--admin-key /nowhere/at/all"),
        (&[], 2, "expected a terminal, found none; say --once or --json"),
        (&["--once", "--every", "0s"], 2, "from 1s to 1h"),
        (&["--once", "--json"], 2, "cannot be used with"),
    ] {
        let output = top(&server, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part) && !said.contains(KEY), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), usize::from(code != 0), "{said}");
    }
    let off = salon(&["top", "--once", "--admin", "off"]).output().unwrap();
    assert_eq!(off.status.code(), Some(2));
    // Nobody listens on the port of a server that has ended.
    let admin = server.admin.unwrap().to_string();
    drop(server);
    let away = salon(&["top", "--once", "--admin", &admin]).output().unwrap();
    let said = String::from_utf8(away.stderr).unwrap();
    assert!(away.status.code() == Some(1) && said.contains("cannot be reached"), "{said}");
}

/// A caller without the key gets nothing.
#[test]
fn names_are_not_for_pages() {
    let server = Server::serve(&[]);
    for target in ["/top", "/connections/910a2dec89025cc1"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(exchange(server.admin.unwrap(), request.as_bytes())).unwrap();
        assert_eq!(status(&answer), 403, "{answer}");
        assert_eq!(get(server.public, target).0, 404);
    }
}

/// Keys, size, the server's end and signals, on the terminal that Python makes.
#[test]
fn on_a_terminal() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/top_on_a_terminal.py");
    let output = match Command::new("python3").args([script, env!("CARGO_BIN_EXE_salon")]).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped, there is no python3: {error}"),
    };
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
