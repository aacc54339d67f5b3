//! A store in a file: what was said is there again after `kill -9`, and a file that cannot be used is refused in one
//! sentence.

#![cfg(feature = "sqlite")]

use serde_json::Value;

use crate::common::{Client, Folder, Server, hear, hear_with, salon, say};

/// The next message of that type.
fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let message: Value = serde_json::from_str(&hear(client)).unwrap();
        if message["type"] == kind {
            return message;
        }
    }
}

/// Whatever anybody was told is there after the process was killed amid more of it: the same numbers in the same epoch.
#[test]
fn killed_and_started_again() {
    for durability in ["process", "power"] {
        let folder = Folder::new(durability);
        let file = folder.file();
        let arguments = ["--rate", "off", "--store", &file, "--durability", durability];
        let server = Server::serve(&arguments);
        let mut ann = server.connect("/ws?user=ann");
        assert_eq!(next(&mut ann, "welcome")["durability"], durability);
        say(&mut ann, r#"{"type":"create_room","room_id":"den","name":"The Den","topic":"talk"}"#);
        say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
        let epoch = next(&mut ann, "joined")["epoch"].clone();
        let mut bob = server.connect("/ws?user=bob");
        say(&mut bob, r#"{"type":"join","room_id":"den"}"#);
        next(&mut bob, "joined");
        say(&mut ann, r#"{"type":"direct","user_id":"bob","content":"psst","id":"d"}"#);
        hear_with(&mut bob, &["psst"]);
        for n in 1..=100 {
            say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{n}"}}"#));
        }
        // Bob hears some of it; more is on its way when the process is killed.
        let mut told = 0;
        while told < 40 {
            let message = next(&mut bob, "broadcast");
            told = message["seq"].as_u64().unwrap();
            assert_eq!(message["content"], told.to_string());
        }
        server.signal("KILL");
        while let Ok(message) = crate::common::read(&mut bob) {
            if let Some(message) = message.to_text().ok().and_then(|text| serde_json::from_str::<Value>(text).ok())
                && message["type"] == "broadcast"
            {
                told = message["seq"].as_u64().unwrap();
            }
        }
        drop(server);

        let server = Server::serve(&arguments);
        let mut bob = server.connect("/ws?user=bob");
        say(&mut bob, &format!(r#"{{"type":"join","room_id":"den","since":{{"epoch":{epoch},"seq":0}}}}"#));
        let joined = next(&mut bob, "joined");
        assert_eq!((&joined["epoch"], &joined["recovered"]), (&epoch, &true.into()), "{durability}");
        let last = joined["seq"].as_u64().unwrap();
        assert!(last >= told, "{durability}: {last} is there, {told} was told");
        for seq in 1..=last {
            let message = next(&mut bob, "broadcast");
            assert_eq!((&message["seq"], &message["content"]), (&seq.into(), &seq.to_string().into()));
        }
        say(&mut bob, r#"{"type":"broadcast","room_id":"den","content":"after"}"#);
        assert_eq!(next(&mut bob, "broadcast")["seq"], last + 1);
        say(&mut bob, r#"{"type":"history","user_id":"ann"}"#);
        hear_with(&mut bob, &[r#""type":"history""#, "psst"]);
        say(&mut bob, r#"{"type":"room","room_id":"den"}"#);
        hear_with(&mut bob, &[r#""name":"The Den""#, r#""topic":"talk""#]);
        // Ann has not come yet, and is known.
        say(&mut bob, r#"{"type":"multicast","user_ids":["ann","nobody"],"content":"x","id":"m"}"#);
        let ack = next(&mut bob, "ack");
        assert_eq!((&ack["stored"][0], &ack["unknown"][0]), (&"ann".into(), &"nobody".into()), "{ack}");
    }
}

#[test]
fn a_file_that_cannot_be_used() {
    let folder = Folder::new("refused");
    let file = folder.file();
    let server = Server::serve(&["--store", &file]);
    let pid = server.pid().to_string();
    let words = ["--listen", "127.0.0.1:0", "--admin", "off", "--store", &file];
    let refused = |parts: &[&str]| {
        let output = salon(&words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let checked = salon(&[&["check"], &words[..]].concat()).output().unwrap();
        let listed = String::from_utf8(checked.stdout).unwrap();
        assert_eq!(checked.status.code(), Some(1), "{listed}");
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
            assert!(listed.contains(part), "{part}: {listed}");
        }
    };
    refused(&["in use by another Salon, process", &pid]);
    drop(server);
    std::fs::write(&file, "a letter").unwrap();
    refused(&["expected a database of Salon", "choose another path"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"a letter");
}
