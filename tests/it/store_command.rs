//! `salon store`: the file of a running server is copied and exported, and another server goes on with it.

#![cfg(feature = "sqlite")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Client, Folder, Server, hear, salon, say};

/// `salon store` with these arguments and this input: exit status, output, errors.
fn store(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut salon = salon(&[&["store"], arguments].concat());
    let mut child = salon.env_remove("SALON_STORE").stdin(Stdio::piped()).spawn().unwrap();
    // It may have ended before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Its output; it must be done.
fn done(arguments: &[&str], input: &str) -> String {
    let (status, output, error) = store(arguments, input);
    assert_eq!((status, &*error), (0, ""), "{arguments:?}: {output}");
    output
}

fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let message: Value = serde_json::from_str(&hear(client)).unwrap();
        if message["type"] == kind {
            return message;
        }
    }
}

/// What somebody hears who joins with `since`: epoch and seq of the room, whether it is what they knew, and the texts.
fn rejoin(server: &Server, since: &str) -> (String, u64, bool, Vec<String>) {
    let mut bob = server.connect("/ws?user=bob");
    say(&mut bob, &format!(r#"{{"type":"join","room_id":"den","since":{since}}}"#));
    let joined = next(&mut bob, "joined");
    say(&mut bob, r#"{"type":"history","room_id":"den"}"#);
    let history = next(&mut bob, "history");
    let items = history["items"].as_array().unwrap();
    let texts = items.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect();
    let recovered = joined["recovered"].as_bool().unwrap();
    (joined["epoch"].as_str().unwrap().into(), joined["seq"].as_u64().unwrap(), recovered, texts)
}

/// Ten messages in a room with a title, and one from ann to bob. Returns the epoch of the room.
fn talk(server: &Server) -> String {
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"create_room","room_id":"den","name":"The Den","topic":"talk"}"#);
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    let epoch = next(&mut ann, "joined")["epoch"].as_str().unwrap().to_owned();
    for n in 1..=10 {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{n}"}}"#));
    }
    let mut bob = server.connect("/ws?user=bob");
    next(&mut bob, "welcome");
    say(&mut ann, r#"{"type":"direct","user_id":"bob","content":"psst"}"#);
    next(&mut bob, "direct");
    epoch
}

#[test]
fn a_backup_is_whole_and_its_server_begins_new_epochs() {
    let folder = Folder::new("backup");
    let file = folder.file();
    let server = Server::serve(&["--store", &file, "--rate", "off"]);
    let epoch = talk(&server);
    let backup = folder.0.join("backup.db");
    let backup = backup.to_str().unwrap();
    assert!(done(&["backup", backup, "--store", &file], "").starts_with(&format!("{backup}: ")));
    // The server has gone on, with numbers that the copy does not know.
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"11"}"#);
    assert_eq!(next(&mut ann, "broadcast")["seq"], 11);
    drop(ann);

    assert_eq!(fs::metadata(backup).unwrap().permissions().mode() & 0o777, 0o600);
    for end in ["-new", "-wal", "-journal"] {
        assert!(!fs::exists(format!("{backup}{end}")).unwrap(), "{end}");
    }
    // A start of the store would remove that one, or take it for its own.
    for end in ["-new", "-wal", "-shm", "-lock", "-journal"] {
        let named = format!("{file}.copy{end}");
        let (status, _, error) = store(&["backup", &named, "--store", &file], "");
        let expected = format!("salon: {named}: expected a name that does not end in {end}, found one by which");
        assert!(status == 2 && error.starts_with(&expected), "{error}");
        assert!(!fs::exists(&named).unwrap());
    }
    let before = fs::read(backup).unwrap();
    let (status, _, error) = store(&["backup", backup, "--store", &file], "");
    assert!(status == 2 && error.contains("expected a path where nothing is, found a file"), "{error}");
    assert_eq!(fs::read(backup).unwrap(), before);
    assert!(done(&["check", "--store", backup], "").contains("11 messages in 1 rooms and 1 direct conversations"));

    // Also where the copy comes to lie where the original was, under its inode, and the machine has not stopped.
    server.signal("TERM");
    let inode = fs::metadata(&file).unwrap().ino();
    drop(server);
    fs::write(&file, &before).unwrap();
    let _ = fs::remove_file(format!("{file}-wal"));
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
    let server = Server::serve(&["--store", &file]);
    let (again, seq, recovered, texts) = rejoin(&server, &format!(r#"{{"epoch":"{epoch}","seq":10}}"#));
    assert_ne!(again, epoch);
    assert_eq!((seq, recovered, texts.len()), (10, false, 10));
    // From then on it is an original.
    server.signal("KILL");
    drop(server);
    let server = Server::serve(&["--store", &file]);
    assert!(rejoin(&server, &format!(r#"{{"epoch":"{again}","seq":10}}"#)).2);
}

/// A copy that no command of Salon has made, in the place of a store that has gone on: written into it, or moved there.
/// Numbers that were given out since are given out in another epoch, and who has heard them is told.
#[test]
fn a_copy_by_cp_begins_new_epochs() {
    for (moved, signal) in [(false, "TERM"), (false, "KILL"), (true, "TERM"), (true, "KILL")] {
        let case = format!("moved {moved}, {signal}");
        let folder = Folder::new("cp");
        let file = folder.file();
        let copy = folder.0.join("copy.db").to_str().unwrap().to_owned();
        let run = |command: &str, arguments: &[&str]| {
            assert!(Command::new(command).args(arguments).status().unwrap().success(), "{command} {arguments:?}");
        };
        let end = |mut server: Server, signal: &str| {
            server.signal(signal);
            server.wait();
        };
        let server = Server::serve(&["--store", &file, "--rate", "off"]);
        let epoch = talk(&server);
        end(server, "TERM");
        run("cp", &[&file, &copy]);

        let inode = fs::metadata(&file).unwrap().ino();
        let says = |server: &Server, content: &str| {
            let mut ann = server.connect("/ws?user=ann");
            say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
            say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{content}"}}"#));
            next(&mut ann, "broadcast")["seq"].as_u64().unwrap()
        };
        let server = Server::serve(&["--store", &file]);
        assert_eq!(rejoin(&server, &format!(r#"{{"epoch":"{epoch}","seq":10}}"#)).0, epoch, "{case}");
        assert_eq!(says(&server, "11"), 11, "{case}");
        end(server, signal);

        // As docs/store.md says: without the log of what is replaced.
        run(if moved { "mv" } else { "cp" }, &[&copy, &file]);
        run("rm", &["-f", &format!("{file}-wal"), &format!("{file}-shm")]);
        assert_eq!(fs::metadata(&file).unwrap().ino() == inode, !moved, "{case}");
        let server = Server::serve(&["--store", &file]);
        assert_eq!(says(&server, "another 11"), 11, "{case}");
        let (again, seq, recovered, texts) = rejoin(&server, &format!(r#"{{"epoch":"{epoch}","seq":11}}"#));
        assert_ne!(again, epoch, "{case}");
        assert_eq!((seq, recovered, texts.len()), (11, false, 11), "{case}");
        // From then on it is an original.
        end(server, signal);
        let server = Server::serve(&["--store", &file]);
        assert!(rejoin(&server, &format!(r#"{{"epoch":"{again}","seq":11}}"#)).2, "{case}");
    }
}

#[test]
fn what_is_exported_can_be_imported() {
    let folder = Folder::new("export");
    let (file, other) = (folder.file(), folder.0.join("other.db"));
    let other = other.to_str().unwrap();
    let server = Server::serve(&["--store", &file, "--rate", "off"]);
    let epoch = talk(&server);
    let exported = done(&["export", "--store", &file], "");
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let room = of("room")[0];
    assert_eq!((&room["room_id"], &room["title"], &room["topic"]), (&"den".into(), &"The Den".into(), &"talk".into()));
    assert_eq!((&room["epoch"], &room["seq"], &room["created"]), (&epoch.as_str().into(), &10.into(), &true.into()));
    assert_eq!((of("user").len(), of("message").len(), of("direct").len()), (2, 11, 1));
    assert_eq!(of("message")[10]["users"], serde_json::json!(["ann", "bob"]));
    let den = done(&["export", "--room", "den", "--store", &file], "");
    assert_eq!(den.lines().count(), 13);
    assert!(den.lines().take(12).all(|line| exported.contains(line)));
    assert_eq!(den.lines().last(), Some(r#"{"kind":"end","lines":11}"#));

    // A reader that goes is no error, and nobody is held up by one that does not read.
    let mut child = salon(&["store", "export", "--store", &file]).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");

    assert!(done(&["import", "--store", other], &exported).ends_with(&format!(": {} lines\n", lines.len())));
    assert_eq!(done(&["export", "--store", other], ""), exported);
    let second = Server::serve(&["--store", other]);
    let (again, seq, recovered, texts) = rejoin(&second, &format!(r#"{{"epoch":"{epoch}","seq":10}}"#));
    assert_ne!(again, epoch);
    assert_eq!((seq, recovered, texts.len()), (10, false, 10));
    // Not into a file that is in use.
    for command in [&["import", "--store", other][..], &["compact", "--store", other]] {
        let (status, _, error) = store(command, &exported);
        assert!(status == 2 && error.lines().count() == 1 && error.contains("in use by another Salon"), "{error}");
    }
}

/// What cannot be done is one sentence, and changes nothing.
#[test]
fn what_cannot_be_done_is_said() {
    let folder = Folder::new("store-refused");
    let file = folder.file();
    let room = r#"{"kind":"room","room_id":"den","epoch":"0000000000000001","seq":1,"oldest":1,"last_message":1}"#;
    let message = r#"{"kind":"message","room_id":"den","seq":1,"ts":1,"sender":"ann","content":"x"}"#;
    let begin = r#"{"kind":"export","version":1}"#;
    let end = |lines: usize| format!(r#"{{"kind":"end","lines":{lines}}}"#);
    for command in ["check", "export", "compact"] {
        let (status, _, error) = store(&[command, "--store", &file], "");
        assert!(status == 2 && error.contains("expected a file in which messages are kept, found none"), "{error}");
        assert!(!folder.0.exists(), "{command}");
        let (status, _, error) = store(&[command, "--store", "memory"], "");
        assert!(status == 2 && error.contains("--store memory: expected the path of a file"), "{error}");
    }
    for (input, sentence) in [
        (format!("{room}\n{{"), "line 2: EOF while parsing an object at column 1; nothing is imported"),
        (format!("{message}\n"), "line 1: expected the line of the room den before its entries, found none"),
        (format!("{room}\n{message}\n{message}\n"), "line 3: expected a seq of the room den from 2 to 1, found 1"),
        (format!("{room}\n\n"), "line 2: EOF while parsing a value"),
        (
            format!("{room}\n{}", message.replace('x', &"x".repeat(16_385))),
            "line 2: content: expected at most 16384 bytes",
        ),
        ("{\"kind\":\"poem\"}".into(), "line 1: unknown variant `poem`, expected one of `export`"),
        (room.into(), "expected the seq 1 of the room den, found none behind it; lines are missing"),
        (format!("{begin}\n{room}\n{message}\n"), "expected a line of the kind `end` at the end, found none"),
        (format!("{begin}\n{room}\n{message}\n{}", end(3)), "line 4: expected 3 lines between the first and the last"),
        (String::new(), "expected what `salon store export` wrote, found nothing"),
    ] {
        let (status, _, error) = store(&["import", "--store", &file], &input);
        assert_eq!((status, error.lines().count()), (2, 1), "{error}");
        assert!(error.contains(sentence), "{sentence}: {error}");
        // Nothing of it is left.
        assert_eq!(fs::read_dir(&folder.0).map_or(0, |files| files.count()), 0, "{sentence}");
    }
    // As an older Salon wrote it.
    let (status, _, error) = store(&["import", "--store", &file], &format!("{room}\n{message}"));
    assert!(status == 0 && error.contains("not all of it says that it is whole"), "{error}");
    let (status, _, error) = store(&["export", "--room", "hut", "--store", &file], "");
    assert!(status == 2 && error.contains("--room hut: expected a room that is kept"), "{error}");
    assert_eq!(done(&["export", "--store", &file], ""), format!("{begin}\n{room}\n{message}\n{}\n", end(2)));
    let holes = room.replace(r#""seq":1"#, r#""seq":2"#).replace("den", "lab");
    let holes = format!("{holes}\n{}", message.replace("den", "lab"));
    let (status, _, error) = store(&["import", "--with-holes", "--store", &file], &holes);
    assert!(status == 0 && error.contains("1 entries are left out"), "{error}");
    fs::write(&file, "a letter").unwrap();
    let (status, _, error) = store(&["backup", &format!("{file}.copy"), "--store", &file], "");
    assert!(status == 2 && error.contains("expected a database of Salon"), "{error}");
    assert!(!fs::exists(format!("{file}.copy")).unwrap() && !fs::exists(format!("{file}.copy-new")).unwrap());
}

/// An import that is killed leaves no store that looks whole, and nothing that is in the way of the next one.
#[test]
fn a_killed_import_leaves_no_store() {
    let folder = Folder::new("store-killed");
    let file = folder.file();
    let mut salon = salon(&["store", "import", "--store", &file]);
    let mut child = salon.env_remove("SALON_STORE").stdin(Stdio::piped()).spawn().unwrap();
    let new = format!("{file}-new");
    // It has begun, and waits for more.
    while !fs::exists(&new).unwrap() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!fs::exists(&file).unwrap());
    let (status, _, error) = store(&["export", "--store", &file], "");
    assert!(status == 2 && error.contains("expected a file in which messages are kept, found none"), "{error}");
    let empty = "{\"kind\":\"export\",\"version\":1}\n{\"kind\":\"end\",\"lines\":0}";
    done(&["import", "--store", &file], empty);
    assert!(fs::exists(&file).unwrap() && !fs::exists(&new).unwrap());
}

/// A file from which much has gone becomes small, and goes on as it was.
#[test]
fn a_compact_file_is_the_same_store() {
    let folder = Folder::new("compact");
    let file = folder.file();
    let server = Server::serve(&["--store", &file, "--rate", "off"]);
    let epoch = talk(&server);
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"hut"}"#);
    let text = "x".repeat(10_000);
    for _ in 0..100 {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"hut","content":"{text}"}}"#));
        next(&mut ann, "broadcast");
    }
    drop(ann);
    server.signal("TERM");
    drop(server);
    let exported = done(&["export", "--store", &file], "");
    // People stand in the order in which they left.
    let others = [r#""room_id":"hut""#, r#""kind":"end""#, r#""kind":"user""#];
    let hut = |line: &&str| !others.iter().any(|other| line.contains(other));
    let without: String = exported.lines().filter(hut).flat_map(|line| [line, "\n"]).collect();
    // Few are kept from now on.
    let server = Server::serve(&["--store", &file, "--history", "10", "--rate", "off"]);
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"hut"}"#);
    for _ in 0..200 {
        say(&mut ann, r#"{"type":"broadcast","room_id":"hut","content":"y"}"#);
        say(&mut ann, r#"{"type":"history","room_id":"hut"}"#);
        next(&mut ann, "history");
    }
    drop(ann);
    server.signal("TERM");
    drop(server);

    let before = fs::metadata(&file).unwrap().len();
    let said = done(&["compact", "--store", &file], "");
    let after = fs::metadata(&file).unwrap().len();
    assert!(after < before / 2, "{before} {after}");
    assert!(said.contains(&format!(": {after} bytes, before that ")), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let exported = done(&["export", "--store", &file], "");
    let left: String = exported.lines().filter(hut).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(left, without);
    let server = Server::serve(&["--store", &file]);
    let (again, seq, recovered, _) = rejoin(&server, &format!(r#"{{"epoch":"{epoch}","seq":10}}"#));
    assert_eq!((again, seq, recovered), (epoch, 10, true));
}

/// The store is the one that `serve` would use: by the file of settings, and by the place for it.
#[test]
fn the_store_is_found_as_a_server_finds_it() {
    let folder = Folder::new("found");
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.file();
    let empty = "{\"kind\":\"export\",\"version\":1}\n{\"kind\":\"end\",\"lines\":0}";
    done(&["import", "--store", &file], empty);
    let settings = folder.0.join("salon.toml");
    fs::write(&settings, format!("rate = \"off\"\nstore = \"{file}\"\n")).unwrap();
    let settings = settings.to_str().unwrap();
    assert!(done(&["check", "--config", settings], "").contains(&file));
    let mut salon = salon(&["store", "check"]);
    let output = salon.env_remove("SALON_STORE").env("STATE_DIRECTORY", &folder.0).output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains(&file));
    fs::write(settings, "\nstore = 7.5\n").unwrap();
    let (status, _, error) = store(&["check", "--config", settings], "");
    assert!(status == 2 && error.contains("salon.toml line 2: store: expected PATH, found a float"), "{error}");
}
