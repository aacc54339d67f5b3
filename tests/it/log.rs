//! The log as an operator gets it: lines of text or JSON, and a server that goes on when nobody reads them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::common::{get, salon};

/// A `salon` whose standard error is this test's, with a file of settings that can be spoilt.
struct Logging {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
    public: SocketAddr,
    admin: SocketAddr,
    file: PathBuf,
    /// What it says at its start.
    greeting: Vec<String>,
}

impl Logging {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let file = std::env::temp_dir().join(format!("salon-log-{name}-{}.toml", std::process::id()));
        fs::write(&file, "").unwrap();
        let given = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config", file.to_str().unwrap()];
        let mut child = salon(&[&given, arguments].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Words for people, or one object.
        let mut greeting = Vec::new();
        while greeting.last().is_none_or(|line: &String| !line.contains("Ctrl-C") && !line.contains(r#""started""#)) {
            greeting.push(lines.next().expect("the greeting").unwrap());
        }
        let address = |words: &str| -> SocketAddr {
            let words = if greeting.iter().any(|line| line.contains(words)) { words } else { "listen" };
            let line = greeting.iter().find(|line| line.contains(words)).expect(words);
            let rest = line[line.find(words).unwrap()..].split("http://").nth(1).unwrap();
            rest[..rest.find('/').unwrap()].parse().unwrap()
        };
        let [public, admin] = ["page", "admin"].map(address);
        Self { child, lines, public, admin, file, greeting }
    }

    /// Makes it read wrong settings, which costs a line of log.
    fn complain(&self, setting: &str) {
        fs::write(&self.file, setting).unwrap();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    }

    fn line_with(&mut self, words: &str) -> String {
        self.lines
            .find_map(|line| line.ok().filter(|line| line.contains(words)))
            .unwrap_or_else(|| panic!("no {words}"))
    }

    fn dropped(&self) -> u64 {
        let (_, metrics) = get(self.admin, "/metrics");
        let count = metrics.split("\nsalon_log_lines_dropped_total ").nth(1).unwrap();
        count.lines().next().unwrap().parse().unwrap()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.file);
    }
}

#[test]
fn a_line_is_text_or_an_object() {
    let mut text = Logging::start("text", &[]);
    text.complain("rate = \"\\u001b[31m\\nfast\"");
    let line = text.line_with("the settings stay");
    assert!(line.contains("ERROR") && line.contains("[salon::server::chat_service]"), "{line}");
    assert!(line.ends_with("40, or off, found \"\\u{1b}[31m\\nfast\""), "{line}");

    let mut json = Logging::start("json", &["--log-format", "json"]);
    // All of it is objects, the first with what the greeting says.
    let started: serde_json::Value = serde_json::from_str(json.greeting.last().unwrap()).unwrap();
    assert!(json.greeting.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{started}");
    let expected = serde_json::json!({
        "ts": started["ts"], "level": "info", "target": "salon::server::logging", "message": "started",
        "version": env!("CARGO_PKG_VERSION"), "pid": json.child.id(), "listen": [format!("http://{}/", json.public)],
        "tls_listen": [], "redirect_http": [], "admin": [format!("http://{}/", json.admin)], "access": "open", "max_connections": started["max_connections"],
        "history": started["history"],
    });
    assert_eq!(started, expected);
    json.complain("rate = \"\\u001b[31m\\n\\\"fast\\\"\"");
    let line: serde_json::Value = serde_json::from_str(&json.line_with("the settings stay")).unwrap();
    assert_eq!([&line["level"], &line["target"]], ["error", "salon::server::chat_service"]);
    assert!(line["ts"].as_u64().is_some_and(|ts| ts > 1_700_000_000_000), "{line}");
    assert!(line["message"].as_str().unwrap().contains("rate: expected"), "{line}");
}

/// At info no session has a line; at debug each session has one, at its end.
#[test]
fn a_session_that_ends_is_a_line_at_debug() {
    let mut debug = Logging::start("ended", &["--log", "debug"]);
    let connect = |target: &str| {
        let (mut client, _) = tungstenite::connect(format!("ws://{}{target}", debug.public)).unwrap();
        client.send(tungstenite::Message::text(r#"{"type":"ping"}"#)).unwrap();
        client.close(None).unwrap();
        while client.read().is_ok() {}
    };
    connect("/ws?user=a%22b");
    connect("/ws/lobby?username=bob");
    let mut next = |words| debug.line_with(words);
    // A request that opens one is a line too; what stands in its query, perhaps a token, is in none.
    let line = next("] request ");
    let expected = "[salon::access] request address=127.0.0.1 method=GET path=/ws status=101 seconds=";
    assert!(line.contains(expected) && line.contains(" bytes_in=0 bytes_out="), "{line}");
    let line = next("] session ");
    assert!(
        line.contains("DEBUG [salon::access] session address=127.0.0.1 reason=no_code code=1005 user=\"a\\\"b\" "),
        "{line}"
    );
    assert!(line.contains(" dialect=json messages=1 seconds="), "{line}");
    let counts: Vec<u64> = line.split("bytes_").skip(1).map(bytes_of).collect();
    // A request and an answer of this client, and two frames and two more.
    assert!(counts.len() == 2 && counts[0] > 150 && counts[1] > 300, "{line}");
    assert!(next("] session ").contains(" user=bob dialect=plain "));

    // What was not served, what could not be read, and what was one too much have the status that was sent.
    let options = ["--log", "debug", "--requests-per-address", "1", "--count-loopback"];
    let mut refusing = Logging::start("refusing", &options);
    let ask = |text: &str| crate::common::exchange(refusing.public, text.as_bytes());
    let answers = ask(&"GET /nope HTTP/1.1\r\nHost: h\r\n\r\n".repeat(30));
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let served = answers.matches("HTTP/1.1 404 ").count();
    assert!(served > 0 && answers.matches("HTTP/1.1 429 ").count() == 1, "{answers}");
    ask("GET / HTTP/3.0\r\n\r\n");
    let nope = |reason: &str, status: u16| {
        format!(
            "[salon::access::refused] refused address=127.0.0.1 reason={reason} method=GET path=/nope status={status} "
        )
    };
    for _ in 0..served {
        let line = refusing.line_with("] refused ");
        assert!(line.contains(&nope("not_found", 404)), "{line}");
    }
    let line = refusing.line_with("] refused ");
    assert!(line.contains(&nope("asked_too_fast", 429)), "{line}");
    let line = refusing.line_with("] refused ");
    assert!(line.contains("refused address=127.0.0.1 reason=bad_request method=- path=- status="), "{line}");

    let mut info = Logging::start("info", &[]);
    let (client, _) = tungstenite::connect(format!("ws://{}/ws?user=ann", info.public)).unwrap();
    drop(client);
    info.complain("rate = 1");
    info.line_with("the settings stay");
    let (client, _) = tungstenite::connect(format!("ws://{}/ws?user=ann", info.public)).unwrap();
    drop(client);
    let pid = info.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let rest: Vec<String> = info.lines.by_ref().map_while(Result::ok).collect();
    assert!(rest.iter().all(|line| line.contains("stop")), "{rest:?}");
}

/// The bytes that `in=...` or `out=...` of a line says.
fn bytes_of(field: &str) -> u64 {
    let digits = field.split('=').nth(1).unwrap();
    digits[..digits.find(' ').unwrap_or(digits.len())].parse().unwrap()
}

/// A request, a call that is answered later, a session and a refusal are objects of the same fields.
#[test]
fn lines_of_access_are_objects_with_fields() {
    let mut server = Logging::start("access", &["--log", "off,salon::access=debug", "--log-format", "json"]);
    let ask = |to: SocketAddr, request: &str| crate::common::exchange(to, request.as_bytes());
    ask(server.public, "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    ask(server.public, "GET /nope?token=secret HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let body = r#"{"room_id":"den","content":"x"}"#;
    let head = "Host: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close";
    let len = body.len();
    ask(server.admin, &format!("POST /api/publish HTTP/1.1\r\n{head}\r\nContent-Length: {len}\r\n\r\n{body}"));
    let (mut client, _) = tungstenite::connect(format!("ws://{}/ws?user=ann", server.public)).unwrap();
    client.close(None).unwrap();
    while client.read().is_ok() {}
    for (target, message, expected) in [
        (
            "salon::access",
            "request",
            serde_json::json!({"method": "GET", "path": "/health", "status": 200, "bytes_in": 0}),
        ),
        (
            "salon::access::refused",
            "refused",
            serde_json::json!({"reason": "not_found", "method": "GET", "path": "/nope", "status": 404, "bytes_in": 0}),
        ),
        (
            "salon::access",
            "request",
            serde_json::json!({"method": "POST", "path": "/api/publish", "status": 200, "bytes_in": len}),
        ),
        ("salon::access", "request", serde_json::json!({"method": "GET", "path": "/ws", "status": 101, "bytes_in": 0})),
        (
            "salon::access",
            "session",
            serde_json::json!({"reason": "no_code", "code": 1005, "user": "ann", "dialect": "json", "messages": 0}),
        ),
    ] {
        let mut line: serde_json::Value = serde_json::from_str(&server.line_with("\"salon::access")).unwrap();
        let object = line.as_object_mut().unwrap();
        let mut take = |name: &str| object.remove(name).unwrap_or_else(|| panic!("{name} of {expected}"));
        assert!(take("seconds").is_f64() && take("bytes_out").as_u64().unwrap() > 100 && take("ts").is_u64());
        assert_eq!([take("target"), take("message"), take("level")], [target, message, "debug"]);
        assert_eq!(take("address"), "127.0.0.1");
        if message == "session" {
            assert!(take("bytes_in").as_u64().unwrap() > 100);
        }
        assert_eq!(line, expected);
    }
}

/// What a flood of one reason leaves out is counted, and said when it is over or when Salon stops.
#[test]
fn a_flood_is_sampled_and_counted() {
    let mut server = Logging::start("sampled", &["--log", "off,salon::access::refused=debug"]);
    let requests = "GET /nope HTTP/1.1\r\nHost: h\r\n\r\n".repeat(99);
    let last = "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    crate::common::exchange(server.public, (requests + last).as_bytes());
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let lines: Vec<String> = server.lines.by_ref().map_while(Result::ok).collect();
    let told = lines.iter().filter(|line| line.contains("] refused address=127.0.0.1 reason=not_found ")).count();
    let left_out = lines.iter().filter_map(|line| line.split("] left out reason=not_found lines=").nth(1));
    let left_out: usize = left_out.map(|lines| lines.parse::<usize>().unwrap()).sum();
    assert!(told >= 20 && told + left_out == 100, "{told} and {left_out} of {lines:?}");
}

/// A reading of the settings changes which lines are logged, and how they are written, from the next line on.
#[test]
fn levels_and_form_change_while_it_runs() {
    let mut server = Logging::start("changes", &[]);
    let admin = server.admin.to_string();
    let reload = |server: &Logging, setting: &str| {
        fs::write(&server.file, setting).unwrap();
        let output = salon(&["reload", "--admin", &admin]).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let ask = |server: &Logging, path: &str| get(server.public, path);
    ask(&server, "/before");
    let said = reload(&server, "log = \"info,salon::access=debug\"\n");
    assert!(said.starts_with("changed: log [\"info\"] -> "), "{said}");
    assert!(said.ends_with("only at the next start: nothing\n"), "{said}");
    ask(&server, "/wanted");
    let line = server.line_with("[salon::access");
    assert!(line.contains("] request ") && line.contains(" status=200 "), "the answer to the reload: {line}");
    assert!(server.line_with("] refused ").contains(" path=/wanted "));
    reload(&server, "log = \"info,salon::access=debug\"\nlog_format = \"json\"\n");
    ask(&server, "/object");
    let line: serde_json::Value = serde_json::from_str(&server.line_with("/object")).unwrap();
    assert_eq!([&line["message"], &line["reason"]], ["refused", "not_found"]);
    // A wrong one changes nothing.
    server.complain("log = \"loud\"\n");
    server.line_with("the settings stay as they were");
    ask(&server, "/still");
    server.line_with("/still");
    reload(&server, "log = \"off\"\n");
    ask(&server, "/unheard");
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let rest: Vec<String> = server.lines.by_ref().map_while(Result::ok).collect();
    assert_eq!(rest.iter().filter(|line| line.contains("/unheard") || line.contains("stop")).count(), 0, "{rest:?}");
}

#[test]
fn levels_are_by_module() {
    let mut quiet = Logging::start("modules", &["--log", "error,salon::server::chat_service=off"]);
    quiet.complain("rate = 1");
    let pid = quiet.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(quiet.lines.by_ref().map_while(Result::ok).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn nobody_waits_for_who_reads_the_log() {
    let server = Logging::start("stopped", &[]);
    // Lines of ten thousand bytes into a pipe that nobody reads, until lines are left out.
    let setting = format!("rate = \"{}\"", "x".repeat(10_000));
    while server.dropped() == 0 {
        // To look after each of them costs more than they do.
        for _ in 0..8 {
            server.complain(&setting);
        }
    }
    assert_eq!(get(server.public, "/health").0, 200);
}

#[test]
fn a_log_that_was_closed_ends_nothing() {
    let mut server = Logging::start("closed", &[]);
    // The reader goes; every write from now on fails.
    let (child, lines) = (server.child.id(), std::mem::replace(&mut server.lines, spare_lines()));
    drop(lines);
    for _ in 0..10 {
        server.complain("rate = 1");
        assert_eq!(get(server.public, "/health").0, 200);
    }
    assert!(Command::new("kill").args(["-s", "TERM", &child.to_string()]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// The lines of a program that says nothing.
fn spare_lines() -> std::io::Lines<BufReader<std::process::ChildStderr>> {
    let mut child = salon(&["--version"]).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    child.wait().unwrap();
    stderr.read_to_end(&mut Vec::new()).unwrap();
    BufReader::new(stderr).lines()
}
