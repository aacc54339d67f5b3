//! A store in a file: what was said is there again after `kill -9`, and a file that cannot be used is refused in one
//! sentence.

#![cfg(feature = "sqlite")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Client, Folder, Server, close_code, exchange, get, hear, hear_with, salon, say};

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
        say(&mut ann, r#"{"type":"topic","room_id":"den","topic":"foxes"}"#);
        next(&mut ann, "topic");
        say(&mut ann, r#"{"type":"topic","room_id":"den","name":"The Lair"}"#);
        next(&mut ann, "topic");
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
        hear_with(&mut bob, &[r#""name":"The Lair""#, r#""topic":"foxes""#]);
        // Ann has not come yet, and is known.
        say(&mut bob, r#"{"type":"multicast","user_ids":["ann","nobody"],"content":"x","id":"m"}"#);
        let ack = next(&mut bob, "ack");
        assert_eq!((&ack["stored"][0], &ack["unknown"][0]), (&"ann".into(), &"nobody".into()), "{ack}");
    }
}

/// The answer to a call of the operator.
fn call(server: &Server, call: &str, body: &str) -> String {
    let head = "HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close";
    let request = format!("POST /api/{call} {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    String::from_utf8(exchange(server.admin.unwrap(), request.as_bytes())).unwrap()
}

/// What was set for a room holds after a restart, and what was taken away does not.
#[test]
fn what_is_set_for_rooms_holds_after_a_restart() {
    let folder = Folder::new("set");
    let file = folder.file();
    let mut server = Server::serve(&["--store", &file]);
    for body in [
        r#"{"room_id":"den","join":"operator"}"#,
        r#"{"room_id":"den","speak":"operator","rate":"1:5"}"#,
        r#"{"room_id":"tea","join":"operator"}"#,
    ] {
        let answer = call(&server, "set_room", body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(call(&server, "unset_room", r#"{"room_id":"tea"}"#).starts_with("HTTP/1.1 200"));
    for signal in ["KILL", "TERM"] {
        server.signal(signal);
        server.wait();
        server = Server::serve(&["--store", &file]);
        let mut ann = server.connect("/ws?user=ann");
        for room in ["den", "tea"] {
            say(&mut ann, &format!(r#"{{"type":"join","room_id":"{room}"}}"#));
            next(&mut ann, "joined");
        }
        say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
        assert_eq!(next(&mut ann, "error")["code"], "forbidden", "after {signal}");
        let output = salon(&["config", "den", "--running", "--admin", &server.admin.unwrap().to_string()]).output();
        let shown = String::from_utf8(output.unwrap().stdout).unwrap();
        for line in ["# join ", "speak = \"operator\"  # set for this room by a call", "rate = \"1:5\" "] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }
    // Words that nobody could have set keep the room closed: it may have been set to keep people out.
    server.signal("TERM");
    server.wait();
    let by_hand = rusqlite::Connection::open(&file).unwrap();
    by_hand.execute(r#"UPDATE room_setting SET words = '{"jion":"operator"}'"#, []).unwrap();
    drop(by_hand);
    // That is told, with what to do, wherever one looks.
    let told = "what is set for the room \"den\" cannot be read (expected join, speak, make, rate, found jion)";
    for check in [&["store", "check"][..], &["check", "--listen", "127.0.0.1:0", "--admin", "off"]] {
        let output = salon(&[check, &["--store", &file]].concat()).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(&format!("warning  store: {told}")) && shown.contains("set_room"), "{shown}");
    }
    let exported = salon(&["store", "export", "--store", &file]).output().unwrap().stdout;
    let copy = folder.0.join("copy.db");
    let mut import = salon(&["store", "import", "--store", copy.to_str().unwrap()]);
    let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), &exported).unwrap();
    let refused = String::from_utf8(import.wait_with_output().unwrap().stderr).unwrap();
    assert!(refused.contains("found jion: set it anew for \"den\"") && refused.contains("leave the line"), "{refused}");
    let server = Server::serve(&["--store", &file]);
    server.logged(told);
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    assert_eq!(next(&mut ann, "error")["code"], "forbidden");
}

/// A ban holds after a restart; what was said is known by its `id` before the room is joined again.
#[test]
fn bans_and_retries_hold_after_a_restart() {
    let folder = Folder::new("bans");
    let file = folder.file();
    let mut server = Server::serve(&["--store", &file]);
    for (user, until) in [("eve", r#","note":"spam""#), ("mal", r#","seconds":3600"#), ("tom", "")] {
        let answer = call(&server, "ban", &format!(r#"{{"user_id":"{user}"{until}}}"#));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(call(&server, "unban", r#"{"user_id":"tom"}"#).starts_with("HTTP/1.1 200"));
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    let said = r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#;
    say(&mut ann, said);
    assert_eq!(next(&mut ann, "broadcast")["seq"], 1);
    for signal in ["KILL", "TERM"] {
        server.signal(signal);
        server.wait();
        server = Server::serve(&["--store", &file]);
        for user in ["eve", "mal"] {
            let mut kept_out = server.connect(&format!("/ws?user={user}"));
            assert_eq!(next(&mut kept_out, "goodbye")["reason"], "banned", "{user} after {signal}");
            assert_eq!(close_code(&mut kept_out), 4003);
        }
        next(&mut server.connect("/ws?user=tom"), "welcome");
        let bans = call(&server, "bans", "{}");
        assert!(
            bans.contains(r#""user_id":"eve","note":"spam""#) && bans.contains(r#""user_id":"mal","until":"#),
            "{bans}"
        );
        let mut ann = server.connect("/ws?user=ann");
        say(&mut ann, said);
        let ack = next(&mut ann, "ack");
        assert_eq!((&ack["seq"], &ack["dup"], &ack["room_id"]), (&1.into(), &true.into(), &"den".into()), "{ack}");
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
    fs::write(&file, "a letter").unwrap();
    refused(&["expected a database of Salon", "choose another path"]);
    assert_eq!(fs::read(&file).unwrap(), b"a letter");
}

/// `salon` by the default place of its file, of which this environment decides.
fn at_default(arguments: &[&str], variables: &[(&str, &Path)]) -> Command {
    let usual = ["--listen", "127.0.0.1:0", "--admin", "off", "--log", "warn"];
    let mut command = salon(&[arguments, &usual].concat());
    for variable in ["SALON_STORE", "STATE_DIRECTORY", "XDG_STATE_HOME"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    command
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

/// Nothing is set up: one file, which nobody else can read, and the greeting says where it is and how to have it
/// otherwise.
#[test]
fn without_a_word_it_is_kept_in_the_place_for_it() {
    let folder = Folder::new("default");
    let place = |part: &str| folder.0.join(part);
    fs::create_dir_all(place("unit")).unwrap();
    fs::set_permissions(place("unit"), PermissionsExt::from_mode(0o755)).unwrap();
    for (variables, found, made) in [
        (vec![("STATE_DIRECTORY", place("unit")), ("XDG_STATE_HOME", place("state"))], "unit", 0o755),
        (vec![("XDG_STATE_HOME", place("state")), ("HOME", place("home"))], "state/salon", 0o700),
        (vec![("XDG_STATE_HOME", "relative".into()), ("HOME", place("home"))], "home/.local/state/salon", 0o700),
    ] {
        let variables: Vec<(&str, &Path)> = variables.iter().map(|(name, path)| (*name, &**path)).collect();
        let file = place(found).join("salon.db");
        let server = Server::run(&mut at_default(&[], &variables));
        for part in [file.to_str().unwrap(), "0 messages in 0 rooms", "--store PATH", "--store memory"] {
            assert!(server.greeting.contains(part), "{part}: {}", server.greeting);
        }
        assert_eq!(mode(&place(found)), made, "{found}");
        for end in ["", "-wal", "-shm", "-lock"] {
            let file = PathBuf::from(format!("{}{end}", file.display()));
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        let mut ann = server.connect("/ws?user=ann");
        assert_eq!(next(&mut ann, "welcome")["durability"], "process");
        say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
        say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
        next(&mut ann, "broadcast");
        // Another one would have to share it.
        let output = at_default(&[], &variables).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains("in use by another Salon"), "{said}");
        drop(server);
        let server = Server::run(&mut at_default(&[], &variables));
        assert!(server.greeting.contains("1 messages in 1 rooms"), "{}", server.greeting);
    }
    let server = Server::run(&mut at_default(&["--store", "memory"], &[("HOME", &place("none"))]));
    assert!(server.greeting.contains("gone when Salon stops") && !place("none").exists(), "{}", server.greeting);

    // A home that is none, and one in which nothing can be made.
    fs::write(place("letter"), "").unwrap();
    for (home, part) in [
        ("".into(), "--store: expected $STATE_DIRECTORY, $XDG_STATE_HOME or $HOME"),
        (place("letter"), "letter/.local/state/salon cannot be made"),
    ] {
        let output = at_default(&[], &[("HOME", &home)]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(part) && said.contains("--store memory"), "{said}");
    }
}

/// `salon check` says where it will be, makes nothing, and finds out that nothing can be made there.
#[test]
fn a_file_that_is_still_to_be_made_is_checked() {
    let folder = Folder::new("to-be-made");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("letter"), "").unwrap();
    let check = |home: &Path| {
        let output = at_default(&["check"], &[("HOME", home)]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let home = folder.0.join("home");
    let (status, said) = check(&home);
    let line = format!(
        "ok       store: {}: there is none yet; it will be made",
        home.join(".local/state/salon/salon.db").display()
    );
    assert!(status == 0 && said.contains(&line) && !home.exists(), "{said}");
    // Room for more than any disk has.
    let output = at_default(&["check", "--store-size", "1048576GiB"], &[("HOME", &home)]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("and the file may become 1073741824 MiB"), "{said}");
    let (status, said) = check(&folder.0.join("letter"));
    assert!(status == 1 && said.contains("error    store: ") && said.contains("letter: Not a directory"), "{said}");
    let (status, said) = check(Path::new(""));
    assert!(status == 1 && said.contains("error    store: expected $STATE_DIRECTORY"), "{said}");
}

/// While it cannot be written to, `/readyz` says so, and afterwards that it can.
#[test]
fn whoever_operates_it_is_told_that_messages_cannot_be_kept() {
    let folder = Folder::new("failing");
    let file = folder.file();
    let server = Server::serve(&["--store", &file]);
    let admin = server.admin.unwrap();
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    next(&mut ann, "joined");
    let metric = |name: &str| {
        let (_, page) = get(admin, "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name}")).parse::<f64>().unwrap()
    };
    assert_eq!((get(admin, "/readyz").0, metric("salon_store_failing")), (200, 0.0));
    let commits = metric("salon_store_commit_seconds_count");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let error = next(&mut ann, "error");
    assert_eq!(error["code"], "backend_down", "{error}");
    let (status, answer) = get(admin, "/readyz");
    assert!(
        status == 503 && answer.ends_with("messages cannot be kept: another program writes to the file\n"),
        "{answer}"
    );
    assert_eq!((metric("salon_store_failing"), metric("salon_store_failures_total")), (1.0, 1.0));
    other.execute_batch("ROLLBACK").unwrap();
    say(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"y","id":"b"}"#);
    assert_eq!(next(&mut ann, "broadcast")["content"], "y");
    assert_eq!((get(admin, "/readyz").0, metric("salon_store_failing")), (200, 0.0));
    assert!(metric("salon_store_commit_seconds_count") > commits);
}

/// A limit on the size of files is as a full disk: who speaks is told, the others stay, and all that was said is there.
#[test]
fn files_that_may_not_become_larger() {
    let folder = Folder::new("large");
    let file = folder.file();
    // Blocks of 512 bytes.
    let script = format!(
        "ulimit -f 2000; exec '{}' serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --log warn --rate off --store '{file}'",
        env!("CARGO_BIN_EXE_salon")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::run(crate::common::apart(&mut command));
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    next(&mut ann, "joined");
    let text = "x".repeat(16_000);
    let mut said = 0;
    for n in 0..1000 {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{text}","id":{n}}}"#));
        let answer = loop {
            let message: Value = serde_json::from_str(&hear(&mut ann)).unwrap();
            if message["id"] == n {
                break message;
            }
        };
        if answer["type"] == "error" {
            assert_eq!(answer["code"], "backend_down", "{answer}");
            break;
        }
        said = answer["seq"].as_u64().unwrap();
    }
    assert!((10..900).contains(&said), "{said}");
    server.logged("no file of this process may become larger (ulimit -f");
    say(&mut ann, r#"{"type":"ping","id":"still"}"#);
    assert_eq!(next(&mut ann, "pong")["id"], "still");
    server.signal("KILL");
    drop(server);
    let server = Server::serve(&["--store", &file]);
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    assert_eq!(next(&mut ann, "joined")["seq"], said);
}

/// `salon check` says what a start would.
#[test]
fn check_says_what_is_in_the_way_of_a_store() {
    let folder = Folder::new("check-store");
    let file = folder.file();
    drop(Server::serve(&["--store", &file]));
    let check = |file: &str| {
        let output =
            salon(&["check", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--store", file]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, shown) = check(&file);
    assert!(status == 0 && shown.contains("ok       store: "), "{shown}");
    // Root may write to all of them.
    if std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) != 0 {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        let (status, shown) = check(&file);
        assert!(status == 1 && shown.contains("error    store: ") && shown.contains("salon.db: Permission"), "{shown}");
    }
}
