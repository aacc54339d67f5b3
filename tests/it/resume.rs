//! Missed messages come whole over real sockets, however many they are, and no other client waits for the one that
//! takes them.

use crate::common::{Client, Folder, Server, hear, hear_with, metric, say};
use serde_json::Value;

/// More than the kernel takes for a client that does not read.
const MISSED: u64 = 1000;

/// The next message that is one of these.
fn next(client: &mut Client, kinds: &[&str]) -> Value {
    loop {
        let message: Value = serde_json::from_str(&hear(client)).unwrap();
        if message["type"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
            return message;
        }
    }
}

/// A message within the limits that is longer than `outbox_bytes`, and than what the kernel takes for one connection:
/// each who was to hear it was closed with 1013, its sender too, and at each replay once more.
#[test]
fn a_message_longer_than_what_may_wait_is_heard_and_replayed() {
    let server = Server::serve(&["--message-bytes", "16MiB", "--content-bytes", "16MiB"]);
    let mut ann = server.connect("/ws?user=ann");
    let mut bob = server.connect("/ws?user=bob");
    for client in [&mut ann, &mut bob] {
        say(client, r#"{"type":"join","room_id":"den"}"#);
        next(client, &["joined"]);
    }
    let long = "x".repeat(12 << 20);
    for content in ["before", &long, "behind"] {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{content}"}}"#));
    }
    let mut cat = server.connect("/ws?user=cat");
    for (client, name) in [(&mut ann, "ann"), (&mut bob, "bob"), (&mut cat, "cat")] {
        if name == "cat" {
            say(client, r#"{"type":"join","room_id":"den","history":9}"#);
        }
        for content in ["before", &long, "behind"] {
            let message = next(client, &["broadcast"]);
            assert!(message["content"] == content, "{name}, of {} bytes", content.len());
        }
    }
}

#[test]
fn a_long_hole_is_replayed_whole_while_others_talk() {
    let server = Server::serve(&["--rate", "off", "--history", "2000"]);
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    let epoch = next(&mut ann, &["joined"])["epoch"].as_str().unwrap().to_owned();
    let long = "x".repeat(16_000);
    for n in 1..=MISSED {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{n} {long}"}}"#));
        hear_with(&mut ann, &[r#""type":"broadcast""#]);
    }
    // Bob comes back, sends a message, and reads nothing for now.
    let mut bob = server.connect("/ws?user=bob");
    say(&mut bob, &format!(r#"{{"type":"join","room_id":"den","since":{{"epoch":"{epoch}","seq":0}}}}"#));
    next(&mut ann, &["user_joined"]);
    say(&mut bob, r#"{"type":"broadcast","room_id":"den","content":"bob","id":"b"}"#);
    assert_eq!(next(&mut ann, &["broadcast"])["content"], "bob");
    let mut cat = server.connect("/ws?user=cat");
    say(&mut cat, r#"{"type":"join","room_id":"den"}"#);
    assert_eq!(next(&mut cat, &["joined"])["members"], 3);
    for n in 0..100 {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"live {n}"}}"#));
        assert_eq!(next(&mut cat, &["broadcast"])["content"], format!("live {n}"));
    }
    let joined = next(&mut bob, &["joined"]);
    assert_eq!((&joined["seq"], &joined["recovered"]), (&MISSED.into(), &true.into()));
    for seq in 1..=MISSED + 101 {
        let message = next(&mut bob, &["broadcast", "gap", "online_users", "error"]);
        assert_eq!(message["seq"], seq, "{}", message["type"]);
        let content = message["content"].as_str().unwrap();
        match seq.checked_sub(MISSED + 1) {
            None => assert!(content.starts_with(&format!("{seq} x")) && content.len() > 16_000),
            Some(0) => assert_eq!((content, &message["id"]), ("bob", &"b".into())),
            Some(n) => assert_eq!(content, format!("live {}", n - 1)),
        }
    }
    let online = next(&mut bob, &["broadcast", "gap", "online_users", "error"]);
    assert_eq!((&online["type"], &online["count"]), (&"online_users".into(), &3.into()));
    say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"now"}"#);
    assert_eq!(next(&mut bob, &["broadcast"])["content"], "now");
}

/// A client that does not read for a while costs the server a slice, however much is said: the rest comes from the
/// history, to it alone, and nobody waits for it.
#[test]
fn a_reader_that_falls_behind_misses_nothing_while_others_talk() {
    falls_behind(&["--history", "2000"]);
}

#[test]
fn a_reader_that_falls_behind_catches_up_from_the_disk() {
    let folder = Folder::in_memory("slow-reader");
    falls_behind(&["--store", &folder.file()]);
}

fn falls_behind(store: &[&str]) {
    let server = Server::serve(&[&["--rate", "off", "--blocked-within", "1h"], store].concat());
    let mut ann = server.connect("/ws?user=ann");
    let mut bob = server.connect("/ws?user=bob");
    for client in [&mut ann, &mut bob] {
        say(client, r#"{"type":"join","room_id":"den"}"#);
        next(client, &["online_users"]);
    }
    let admin = server.admin.unwrap();
    // From here on Bob reads nothing: the kernel takes some megabytes for him, and then he is behind.
    let long = "x".repeat(16_000);
    let mut said = 0;
    while metric(admin, "salon_left_behind_total") == 0 || said < MISSED {
        said += 1;
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{said} {long}"}}"#));
        assert_eq!(next(&mut ann, &["broadcast"])["seq"], said);
    }
    let held = metric(admin, "salon_memory_bytes{purpose=\"outboxes\"}");
    assert!(held <= 200_000, "{held} bytes are held for one that does not read");
    say(&mut bob, r#"{"type":"broadcast","room_id":"den","content":"bob","id":"b"}"#);
    assert_eq!(next(&mut ann, &["broadcast"])["content"], "bob");
    let mut cat = server.connect("/ws?user=cat");
    say(&mut cat, r#"{"type":"join","room_id":"den"}"#);
    assert_eq!(next(&mut cat, &["joined"])["members"], 3);
    for seq in 1..=said + 1 {
        let message = next(&mut bob, &["broadcast", "gap", "online_users", "error"]);
        assert_eq!(message["seq"], seq, "{}", message["type"]);
        match seq > said {
            true => assert_eq!((&message["content"], &message["id"]), (&"bob".into(), &"b".into())),
            false => assert!(message["content"].as_str().is_some_and(|text| text.starts_with(&format!("{seq} x")))),
        }
    }
    let online = next(&mut bob, &["broadcast", "gap", "online_users", "error"]);
    assert_eq!((&online["type"], &online["count"]), (&"online_users".into(), &3.into()));
    say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"now"}"#);
    assert_eq!(next(&mut bob, &["broadcast"])["content"], "now");
}
