//! Settings as an operator gives them: by file, environment and command line; an error is one sentence.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{apart, salon, tcp};

/// A folder of one test's own, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("salon-settings-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("salon.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `salon` in a folder, where it keeps messages if it is not told otherwise; exit status, output, errors.
fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut salon = salon(arguments);
    salon.current_dir(folder).env_remove("SALON_STORE").env("XDG_STATE_HOME", folder.canonicalize().unwrap());
    let output = salon.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_nearest_layer_wins() {
    let folder = Folder::new();
    folder.file("rate = \"5:6\"\nhistory = 7\nopen = true\norigin = [\"https://a\", \"https://b\"]\nmax_rooms = 8\n");
    let variables = [("SALON_HISTORY", "9"), ("SALON_MAX_ROOMS", "10")];
    let (status, shown, _) = run(&folder.0, &variables, &["config", "--max-rooms", "11", "--deflate"]);
    assert_eq!(status, 0);
    for expected in [
        ("rate = \"5:6\"", "salon.toml line 1"),
        ("history = 9", "SALON_HISTORY"),
        ("open = true", "salon.toml line 3"),
        ("origin = [\"https://a\", \"https://b\"]", "salon.toml line 4"),
        ("max_rooms = 11", "command line"),
        ("deflate = true", "command line"),
        ("listen = [\"127.0.0.1:8080\"]", "default"),
        ("log = \"info\"", "default"),
        ("# auth_audience =", "default"),
    ] {
        let line =
            shown.lines().find(|line| line.starts_with(expected.0)).unwrap_or_else(|| panic!("{expected:?} {shown}"));
        assert_eq!(line.split_once("  # ").map(|(value, from)| (value.trim_end(), from)), Some(expected), "{shown}");
    }
}

#[test]
fn what_config_prints_is_a_file_of_settings() {
    let (one, other) = (Folder::new(), Folder::new());
    one.file("rate = \"off\"\norigin = [\"https://a\"]\nmessage_bytes = \"1MiB\"\ncount_loopback = true\n");
    let values = |shown: &str| -> Vec<String> {
        shown.lines().map(|line| line.split("  # ").next().unwrap_or_default().trim_end().to_owned()).collect()
    };
    let (_, first, _) = run(&one.0, &[], &["config"]);
    other.file(&first);
    let (status, second, error) = run(&other.0, &[], &["config"]);
    assert_eq!((status, &*error), (0, ""));
    assert_eq!(values(&second), values(&first));
    assert!(second.contains("salon.toml line"));
}

/// TOML has a spelling for octal; whichever is used, the file gets these permissions.
#[test]
fn permissions_of_a_unix_socket_in_every_spelling() {
    for (spelling, mode) in [("0o660", "660"), ("0x1B0", "660"), ("\"660\"", "660"), ("660", "660"), ("0o6_00", "600")]
    {
        let folder = Folder::new();
        folder.file(&format!("listen = \"unix:s.sock\"\nadmin = \"off\"\nsocket_mode = {spelling}\n"));
        let (status, shown, error) = run(&folder.0, &[], &["check", "--max-connections", "10"]);
        let expected = format!("its permissions will be {mode}\n");
        assert!(status == 0 && shown.contains(&expected), "{spelling}: {shown} {error}");
    }
    let folder = Folder::new();
    folder.file("socket_mode = 0x200");
    let (status, _, error) = run(&folder.0, &[], &["check"]);
    let expected = "salon: salon.toml line 1: socket_mode: expected permissions in octal from 0 to 777, such as 660 or \
                    0o660, found \"0x200\"\n";
    assert_eq!((status, &*error), (2, expected));
}

#[test]
fn wrong_settings_are_one_sentence_and_status_2() {
    let folder = Folder::new();
    for (text, sentence) in [
        (
            "rate = \"20:40\"\nmax_conections = 5",
            "salon.toml line 2: expected a setting, found max_conections; the nearest is max_connections",
        ),
        (
            "max-connections = 5",
            "salon.toml line 1: expected a setting, found max-connections; the nearest is max_connections",
        ),
        ("zzzz = 5", "salon.toml line 1: expected a setting, found zzzz; 'salon config' lists them"),
        ("config = \"other.toml\"", "salon.toml line 1: expected a setting, found config"),
        ("help = true", "salon.toml line 1: expected a setting, found help"),
        (
            "\n\nmax_connections = 0",
            "salon.toml line 3: max_connections: expected a whole number from 1 to 10000000, found \"0\"",
        ),
        (
            "max_connections = \"many\"",
            "salon.toml line 1: max_connections: expected a whole number from 1 to 10000000, found \"many\"",
        ),
        ("max_connections = true", "salon.toml line 1: max_connections: expected N, found true"),
        ("max_connections = [1]", "salon.toml line 1: max_connections: expected N, found [\"1\"]"),
        ("max_connections = 1.5", "salon.toml line 1: max_connections: expected N, found a float"),
        ("open = \"yes\"", "salon.toml line 1: open: expected true or false, found \"yes\""),
        ("auth = \"none\"", "salon.toml line 1: auth: expected open or jwt, found \"none\""),
        (
            "ping_after = \"soon\"",
            "salon.toml line 1: ping_after: expected a time from 1s to 3650d, such as 30s, 15m, 1h or 7d, found \"soon\"",
        ),
        (
            "message_bytes = \"1TB\"",
            "salon.toml line 1: message_bytes: expected a size from 125 to 16MiB, such as 65536, 64KiB or 1MiB, found \"1TB\"",
        ),
        ("content_bytes = \"1MiB\"", "--content-bytes 1048576: expected no more than --message-bytes, which is 65536"),
        ("rate 5", "salon.toml line 1: "),
        ("rate = \"off\"\nrate = \"off\"", "salon.toml line 2: "),
    ] {
        folder.file(text);
        for arguments in [&["serve", "--listen", "127.0.0.1:0", "--admin", "off"][..], &["check"]] {
            let (status, _, error) = run(&folder.0, &[], arguments);
            assert_eq!(status, 2, "{text}: {error}");
            let error = error.lines().last().unwrap_or_default();
            assert!(error.starts_with(&format!("salon: {sentence}")), "{text}: {error}");
        }
    }
    let (status, _, error) = run(&folder.0, &[], &["config", "--config", "missing.toml"]);
    assert!(status == 2 && error.starts_with("salon: missing.toml: "), "{error}");
    // Elsewhere the file is not looked at.
    folder.file("zzzz = 5");
    assert_eq!(
        run(&folder.0, &[("SALON_AUTH_SECRET", "0123456789abcdef0123456789abcdef")], &["token", "--sub", "a"]).0,
        0
    );
}

/// A wrong variable is named, and an empty one counts as unset, as files for containers write it.
#[test]
fn variables() {
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    for (variable, value, sentence) in [
        (
            "SALON_RATE",
            "fast",
            "expected PER_SECOND:BURST, two numbers from 1 to 1000000, such as 20:40, or off, found \"fast\"",
        ),
        ("SALON_OPEN", "1", "expected true or false, found \"1\""),
        (
            "SALON_TLS_LISTEN",
            "8443",
            "expected ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080, or unix:PATH, found \"8443\"",
        ),
        (
            "SALON_ORIGIN",
            "https://a.example,b.example",
            "expected an origin such as https://example.org: it begins with a scheme and ://, found \"https://a.example,b.example\"",
        ),
        (
            "SALON_LOG",
            "loud",
            "expected off, error, warn, info, debug or trace, such as info or info,salon::server=debug, found \"loud\"",
        ),
    ] {
        let (status, _, error) = run(&folder.0, &[(variable, value)], &["config"]);
        assert_eq!((status, error), (2, format!("salon: {variable}: {sentence}\n")));
    }
    // A value that begins with a minus is a value, and a path that no socket can have is refused before a start.
    let long = format!("unix:/{}", "p".repeat(200));
    for (option, value, expected) in [
        ("--rate", "-1:4", "expected PER_SECOND:BURST, two numbers from 1 to 1000000"),
        ("--history", "-5", "expected a whole number from 0 to 1000000000, or unlimited"),
        ("--listen", &long, "expected a path that a Unix socket can have, of some 100 bytes, found one of 201"),
        ("--admin", &long, "expected a path that a Unix socket can have"),
        ("--hand-over", &long[5..], "expected a path that a Unix socket can have"),
    ] {
        let (status, _, error) = run(&folder.0, &[], &["check", "--settings", option, value]);
        assert!(status == 2 && error.contains(option) && error.contains(expected), "{option}: {error}");
    }
    // One that is none is refused where settings are read, and nowhere else; an empty one says nothing.
    for command in ["serve", "check", "config"] {
        let (status, _, error) = run(&folder.0, &[("SALON_MAX_CONECTIONS", "5")], &[command]);
        let expected = "salon: SALON_MAX_CONECTIONS: expected the variable of a setting, found none of that name; the \
                        nearest is SALON_MAX_CONNECTIONS\n";
        assert_eq!((status, &*error), (2, expected), "{command}");
    }
    assert_eq!(run(&folder.0, &[("SALON_MAX_CONECTIONS", "")], &["config"]).0, 0);
    assert_eq!(run(&folder.0, &[("SALON_PORT", "tcp://10.0.0.1:80")], &["config"]).0, 0);
    for variable in
        ["SALON_TLS_CERT", "SALON_TLS_KEY", "SALON_OPEN", "SALON_RATE", "SALON_ORIGIN", "SALON_CONFIG", "SALON_LOG"]
    {
        let (status, shown, error) = run(&folder.0, &[(variable, "")], &["config"]);
        assert_eq!((status, &*error), (0, ""), "{variable}");
        assert!(shown.lines().all(|line| line.ends_with("# default")), "{variable}: {shown}");
        // The file may still say it.
        assert_eq!(
            run(&folder.0, &[(variable, "")], &["check", "--listen", "127.0.0.1:0", "--admin", "off"]).0,
            0,
            "{variable}"
        );
    }
    folder.file("rate = \"5:6\"");
    assert!(run(&folder.0, &[("SALON_RATE", "")], &["config"]).1.contains("salon.toml line 1"));
    // An error of an option is not reported for a variable that it overrides.
    let (_, _, error) = run(&folder.0, &[("SALON_RATE", "1:1")], &["config", "--rate", "fast"]);
    assert!(error.contains("--rate"), "{error}");
    let bytes = std::ffi::OsStr::from_bytes(b"a\xffb");
    let output = salon(&["config"]).current_dir(&folder.0).env("SALON_AUTH_AUDIENCE", bytes).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "salon: SALON_AUTH_AUDIENCE: expected UTF-8, found other bytes\n");
}

/// An origin that no browser ever sends would never match, so it is refused.
#[test]
fn origins_that_cannot_be_are_refused_at_the_start() {
    let folder = Folder::new();
    for (origin, part) in [
        ("a.example", "it begins with a scheme and ://"),
        ("https://*.example.org", "a star stands for nothing"),
        ("https://a.example/chat", "no user, no path"),
    ] {
        let (status, _, error) = run(&folder.0, &[], &["check", "--origin", origin]);
        assert!(status == 2 && error.lines().count() == 1 && error.contains(part), "{origin}: {error}");
    }
    for origin in ["https://a.example/", "https://a.example:443", "https://A.example", "null"] {
        let (status, _, error) = run(&folder.0, &[], &["config", "--origin", origin]);
        assert_eq!((status, &*error), (0, ""), "{origin}");
    }
}

#[test]
fn what_is_in_the_way_is_found_before_serving() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = ["check", "--listen", "127.0.0.1:0", "--admin", "off", "--max-connections", "10"];
    let (status, shown, _) = run(&folder.0, &[], &free);
    assert!(status == 0 && shown.ends_with("Salon can serve like this.\n"), "{shown}");
    for (arguments, error) in [
        (&["--listen", &address, "--admin", "off"][..], "error    listen: "),
        (&["--listen", "127.0.0.1:0", "--admin", &address], "error    admin: "),
        (
            &["--listen", "127.0.0.1:0", "--admin", "off", "--store", "memory", "--history-bytes", "1024GiB"],
            "error    memory: ",
        ),
    ] {
        let (status, shown, _) = run(&folder.0, &[], &[&["check"], arguments].concat());
        assert!(status == 1 && shown.lines().any(|line| line.starts_with(error)), "{arguments:?}: {shown}");
        assert!(shown.ends_with("Something is in the way.\n"), "{shown}");
    }
    let script =
        format!("ulimit -n 256; exec {} {}", env!("CARGO_BIN_EXE_salon"), free.join(" ").replace("10", "1000"));
    let output = apart(Command::new("sh").args(["-c", &script])).current_dir(&folder.0).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("error    max_connections: the descriptor limit allows 64 of 1000; raise it"), "{shown}");
}

/// `check --settings` is what a package asks before an upgrade: it refuses what a start refuses, in the same words, and
/// neither minds nor does anything else.
#[test]
fn settings_alone_are_held_to_what_a_start_holds_them_to() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap();
    let rule = "[[rooms]]\nmatch = \"*\"\njoin = \"role\"\n";
    fs::write(folder.0.join("secret"), "0123456789abcdef0123456789abcdef").unwrap();
    let mut refused = vec![
        ("topics = \"role\"\n", "--topics role: "),
        (rule, "rooms: rule 1 (line 1): join: "),
        ("admin = [\"0.0.0.0:8081\"]\n", "--admin 0.0.0.0:8081: "),
        ("listen = [\"0.0.0.0:8080\"]\n", "--listen 0.0.0.0:8080: "),
        ("tls_cert = [\"none.pem\"]\ntls_key = [\"none.key\"]\n", "none.pem"),
        ("auth = \"jwt\"\nauth_key = [\"HS256:none\"]\n", "none"),
        ("admin_key = \"none\"\n", "none"),
    ];
    if cfg!(feature = "redis") {
        refused.push(("store = \"redis://127.0.0.1:1\"\nstore_key_file = \"none\"\n", "--store-key-file none: "));
    }
    for (text, words) in refused {
        folder.file(text);
        let (status, _, started) = run(&folder.0, &[], &["serve"]);
        let why = |said: &str| said.lines().last().unwrap_or_default().to_owned();
        assert!(status == 2 && why(&started).contains(words), "{text}: {started}");
        let (status, shown, error) = run(&folder.0, &[], &["check", "--settings"]);
        assert_eq!((status, &*shown, why(&error)), (2, "", why(&started)), "{text}");
    }
    // Where a Salon serves already, as long as it does; the store is not looked at, nor made.
    fs::write(folder.0.join("none.db"), "not a store").unwrap();
    let tokens = format!("auth = \"jwt\"\nauth_key = [\"HS256:secret\"]\ntopics = \"role\"\n{rule}");
    for text in ["", &tokens, "store = \"none.db\"\n", &format!("listen = [\"{place}\"]\n")] {
        folder.file(text);
        let (status, shown, error) = run(&folder.0, &[], &["check", "--settings"]);
        assert_eq!((status, &*shown, &*error), (0, "ok       settings: salon.toml\n", ""), "{text}");
    }
    assert!(!folder.0.join("salon").exists(), "no folder for a store is made");
    let (status, _, error) = run(&folder.0, &[], &["config", "--settings"]);
    assert!(status == 2 && error.contains("'--settings'"), "it is no setting: {error}");
}

/// A limit of descriptors that leaves room for nobody is no limit to serve with.
#[test]
fn too_few_descriptors_are_a_sentence() {
    let folder = Folder::new();
    let salon = env!("CARGO_BIN_EXE_salon");
    for command in ["serve", "check"] {
        let script = format!("ulimit -n 64; exec {salon} {command} --listen 127.0.0.1:0 --admin off");
        let output = apart(Command::new("sh").args(["-c", &script])).current_dir(&folder.0).output().unwrap();
        let expected = "salon: --max-connections: expected a descriptor limit of 224 at least, found less; raise it with \
                        ulimit -n or LimitNOFILE= of the unit\n";
        assert_eq!((output.status.code(), &*String::from_utf8(output.stderr).unwrap()), (Some(2), expected));
    }
}

/// The limit of the process holds where it is less than what the machine has.
#[test]
fn memory_has_the_limit_of_the_process_too() {
    let folder = Folder::new();
    let salon = env!("CARGO_BIN_EXE_salon");
    let words = "check --listen 127.0.0.1:0 --admin off --max-connections 10 --store memory --history-bytes";
    let ok = "ok       memory: 390 MiB are available within the limit of the process (ulimit -v) for ";
    let off = "warning  memory: the budget is off; with a limit of 390 MiB set memory = \"292MiB\" or less";
    for (more, status, expected, warns) in [
        ("1MiB", 0, &[ok, off][..], true),
        ("1MiB --memory 200MiB", 0, &[ok], false),
        ("1MiB --memory 300MiB", 0, &[ok, "warning  memory: the budget is 300 MiB; with a limit of 390 MiB"], true),
        ("1GiB", 1, &["error    memory: 390 MiB are available within the limit of the process"], true),
    ] {
        let script = format!("ulimit -v 400000; exec {salon} {words} {more}");
        let output = apart(Command::new("sh").args(["-c", &script])).current_dir(&folder.0).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(status), "{more}: {shown}");
        assert!(expected.iter().all(|line| shown.contains(line)), "{more}: {shown}");
        assert_eq!(shown.contains("warning  memory"), warns, "{more}: {shown}");
    }
}

/// A place that two listeners are to have is found before serving, and by serving, with the same sentence.
#[test]
fn two_listeners_have_two_places() {
    let folder = Folder::new();
    for (arguments, sentence) in [
        (
            &["--listen", "127.0.0.1:18099", "--admin", "127.0.0.1:18099"][..],
            "--admin 127.0.0.1:18099: expected another place than that of --listen, found 127.0.0.1:18099",
        ),
        (
            &["--open", "--listen", "0.0.0.0:18099", "--admin", "127.0.0.1:18099"],
            "--admin 127.0.0.1:18099: expected another place than that of --listen, found 0.0.0.0:18099",
        ),
    ] {
        for command in ["check", "serve"] {
            let (status, shown, error) = run(&folder.0, &[], &[&[command], arguments].concat());
            assert_eq!((status, error), (2, format!("salon: {sentence}\n")), "{shown}");
        }
    }
}

#[test]
fn sighup_changes_what_can_change() {
    let folder = Folder::new();
    let file = folder.file("origin = [\"https://one.example\"]\nhistory = 10\n");
    let mut server =
        salon(&["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "off"]).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut line_with = |words: &str| lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words}"));
    let page = line_with("http://");
    let address: SocketAddr = page.split("http://").nth(1).unwrap().trim_end_matches('/').parse().unwrap();
    let opens = |origin: &str| {
        let request = format!(
            "GET /ws?user=a HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {origin}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        let mut stream = tcp(address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).unwrap();
        bytes == *b"HTTP/1.1 101"
    };
    let change = |text: &str| {
        fs::write(&file, text).unwrap();
        let pid = server.id().to_string();
        assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    };
    assert!(opens("https://one.example") && !opens("https://two.example"));

    change("origin = [\"https://two.example\"]\nhistory = 20\n");
    assert!(line_with("changed: ").contains("origin"));
    assert!(line_with("only at the next start").ends_with("history"));
    assert!(opens("https://two.example") && !opens("https://one.example"));

    change("origin = [\"https://three.example\"]\nrate = \"fast\"\n");
    assert!(line_with("the settings stay as they were").contains("line 2: rate: expected"));
    assert!(opens("https://two.example") && !opens("https://three.example"));
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn the_reference_in_the_documentation_is_what_the_binary_says() {
    let (_, reference, _) = run(Path::new("."), &[], &["config", "--markdown"]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let document = fs::read_to_string(path).unwrap();
    let mark = "<!-- salon config --markdown -->\n";
    let (before, inside) = document.split_once(mark).expect("the mark is there");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, format!("{before}{mark}{reference}")).unwrap();
    } else {
        assert!(
            inside == reference,
            "docs/configuration.md is not what the binary says; UPDATE=1 cargo test --test it settings"
        );
    }
}

/// Each file with a secret in it that others may read is told, and none that they may not.
#[test]
fn secrets_that_others_may_read() {
    let folder = Folder::new();
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("admin"), "the-key-of-admin-0123456789").unwrap();
    std::fs::write(path("bot"), "the-key-of-bot-0123456789").unwrap();
    std::fs::write(path("secret"), "a secret of more than 32 bytes, at least").unwrap();
    std::fs::write(path("password"), "s3cret").unwrap();
    std::fs::write(path("salon.toml"), "store = \"redis://ann:s3cret@127.0.0.1:1/0\"\n").unwrap();
    let open = ["admin", "bot", "secret", "password", "salon.toml"];
    let said = |mode| {
        for name in open {
            std::fs::set_permissions(path(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        let (operator, key) = (format!("bot:speak:{}", path("bot")), format!("HS256:{}", path("secret")));
        let mut command = salon(&["check", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(["--config", &path("salon.toml"), "--admin-key", &path("admin"), "--operator", &operator]);
        command.args(["--auth", "jwt", "--auth-key", &key, "--store-key-file", &path("password")]);
        command.env_remove("SALON_STORE");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let warnings = |said: &str| said.lines().filter(|line| line.contains("may read")).count();
    let shown = said(0o644);
    assert_eq!(warnings(&shown), if cfg!(feature = "redis") { 5 } else { 0 }, "{shown}");
    assert_eq!(warnings(&said(0o600)), 0);
    assert_eq!(warnings(&said(0o640)), 0, "a group may be that of the user that Salon runs as");
    // Of a file of root's nobody else could read the settings.
    let advice =
        "chmod 600 if it belongs to the user that Salon runs as, else give it the group of that user, and chmod 640";
    assert_eq!(shown.lines().filter(|line| line.ends_with(advice)).count(), warnings(&shown), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

/// Rules for rooms: what is wrong with one, in a sentence with its line and number.
#[test]
fn wrong_rules_for_rooms() {
    let folder = Folder::new();
    let whom = "expected everybody, named, role, operator or a list of names, found";
    let long = format!("[[rooms]]\nmatch = \"{}\"\njoin = \"named\"", "x".repeat(129));
    let many = "[[rooms]]\nmatch = \"a\"\njoin = \"named\"\n".repeat(129);
    let tokens = "because nobody has a role, nor a name that is theirs, without --auth jwt, found";
    for (text, sentence) in [
        ("rooms = 5", "salon.toml line 1: rooms: expected [[rooms]], tables with `match`, found \"5\"".to_owned()),
        ("[rooms]\nmatch = \"a\"", "salon.toml line 1: rooms: expected [[rooms]], tables with `match`, found a table".into()),
        (
            "open = true\n[[rooms]]\njoin = \"named\"",
            "salon.toml line 2: rooms: rule 1: match: expected a pattern or a list of them, found none".into(),
        ),
        ("[[rooms]]\nmatch = \"a\"", "salon.toml line 1: rooms: rule 1: expected one of match, join, speak, make, rate, history, history_age, found none".into()),
        (
            "[[rooms]]\nmatch = \"a\"\njoin = \"named\"\n\n[[rooms]]\nmatch = \"b\"\nspek = \"named\"",
            "salon.toml line 7: rooms: rule 2: expected match, join, speak, make, rate, history, history_age, found spek".into(),
        ),
        ("[[rooms]]\nmatch = \"a\"\njoin = \"all\"", format!("salon.toml line 3: rooms: rule 1: join: {whom} \"all\"")),
        (
            "[[rooms]]\nmatch = \"a\"\njoin = true",
            "salon.toml line 3: rooms: rule 1: join: expected a text, a number or a list of texts, found true".into(),
        ),
        (
            "[[rooms]]\nmatch = \"a\"\nrate = \"fast\"",
            "salon.toml line 3: rooms: rule 1: rate: expected PER_SECOND:BURST, two numbers from 1 to 1000000, such as \
             20:40, or off, found \"fast\""
                .into(),
        ),
        (&long, "salon.toml line 2: rooms: rule 1: match: expected a pattern of 1 to 128 bytes, found 129".into()),
        (&many, "salon.toml line 1: rooms: expected at most 128 rules, found 129".into()),
        (
            "[[rooms]]\nmatch = \"a\"\nspeak = \"role\"",
            format!("rooms: rule 1 (line 1): speak: expected everybody, named or operator, {tokens} \"role\""),
        ),
        (
            "history = 0\n[[rooms]]\nmatch = \"a\"\nhistory_age = \"1d\"",
            "rooms: rule 1 (line 2): history_age: expected a store in a file or in memory that keeps messages, found \
             --history 0"
                .into(),
        ),
        (
            "[[rooms]]\nmatch = \"a\"\nhistory = 0",
            "salon.toml line 3: rooms: rule 1: history: expected a whole number from 1 to 1000000000, or unlimited, found \
             \"0\""
                .into(),
        ),
        (
            "[[rooms]]\nmatch = \"a\"\nmake = [\"ann\"]",
            format!("rooms: rule 1 (line 1): make: expected everybody, named or operator, {tokens} [\"ann\"]"),
        ),
    ] {
        folder.file(text);
        for arguments in [&["serve", "--listen", "127.0.0.1:0", "--admin", "off"][..], &["check"]] {
            let (status, _, error) = run(&folder.0, &[], arguments);
            assert_eq!((status, error.lines().last()), (2, Some(&*format!("salon: {sentence}"))), "{text}");
        }
    }
}

/// `salon config` writes the rules as it has read them, and says for a room which of them holds.
#[test]
fn rules_for_rooms_are_shown() {
    let (one, other) = (Folder::new(), Folder::new());
    one.file(
        "rate = \"off\"\n\n[[rooms]]\nmatch = \"news\"\nspeak = \"operator\"\n\n[[rooms]]\nmatch = [\"n*\", \"x\"]\n\
         join = [\"bob\", \"a \\\"b\\\"\"]\nspeak = \"named\"\nrate = \"1:5\"\n",
    );
    let (status, first, error) = run(&one.0, &[], &["config"]);
    assert_eq!((status, &*error), (0, ""));
    other.file(&first);
    let values = |shown: &str| -> Vec<String> {
        shown.lines().map(|line| line.split("  # ").next().unwrap_or_default().trim_end().to_owned()).collect()
    };
    assert_eq!(values(&run(&other.0, &[], &["config"]).1), values(&first));
    assert!(
        first.contains("[[rooms]]  # salon.toml line 7\nmatch = [\"n*\", \"x\"]\njoin = [\"a \\\"b\\\"\", \"bob\"]\n"),
        "{first}"
    );
    let everybody = "everybody whose token is for the room";
    for (room, expected) in [
        (
            "news",
            &[
                ("join = [\"a \\\"b\\\"\", \"bob\"]", "rule 2, match = [\"n*\", \"x\"], salon.toml line 7"),
                ("speak = \"operator\"", "rule 1, match = \"news\", salon.toml line 3"),
                ("# make", "as create_rooms says"),
                ("rate = \"1:5\"", "rule 2, match = [\"n*\", \"x\"], salon.toml line 7"),
            ][..],
        ),
        ("den", &[("# join", everybody), ("# speak", "everybody inside"), ("# make", "as create_rooms says")]),
    ] {
        let (status, shown, _) = run(&one.0, &[], &["config", room]);
        assert!(status == 0 && shown.starts_with(&format!("# in the room \"{room}\"\n")), "{shown}");
        for (value, from) in expected {
            let line = shown.lines().find(|line| line.starts_with(value)).unwrap_or_else(|| panic!("{value} {shown}"));
            assert_eq!(line.rsplit_once("  # ").map(|(value, from)| (value.trim_end(), from)), Some((*value, *from)));
        }
    }
    let (status, _, error) = run(&one.0, &[], &["config", "a "]);
    assert_eq!((status, &*error), (2, "salon: \"a \": a name has no space at either end, this one has\n"));
}
