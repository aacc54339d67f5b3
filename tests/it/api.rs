//! The HTTP API over real sockets: the examples of docs/http-api.md with real curl, bodies in pieces, and people who
//! are kicked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::common::{
    Client, PATIENCE, Server, close_code, exchange, get, hear, hear_with, joined, salon, say, status, tcp,
};

const KEY: &str = "a-key-that-nobody-guesses-0123456789";

fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("api-{name}"));
    std::fs::write(&path, content).unwrap();
    path
}

/// A server that asks for [`KEY`].
fn serve(test: &str, arguments: &[&str]) -> (Server, SocketAddr) {
    let path = file(test, &format!("{}\n", KEY));
    let server = Server::serve(&[&["--admin-key", path.to_str().unwrap()], arguments].concat());
    let admin = server.admin.unwrap();
    (server, admin)
}

/// A server without a key.
fn open() -> (Server, SocketAddr) {
    let server = Server::serve(&[]);
    let admin = server.admin.unwrap();
    (server, admin)
}

fn head(call: &str, length: usize, more: &str) -> String {
    format!(
        "POST /api/{call} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    )
}

/// Calls on a connection of its own: status and answer.
fn call(admin: SocketAddr, call: &str, body: &str) -> (u16, String) {
    let request = head(call, body.len(), "Connection: close\r\n") + body;
    let answer = String::from_utf8(exchange(admin, request.as_bytes())).unwrap();
    (status(&answer), answer.split_once("\r\n\r\n").unwrap().1.trim_end().to_owned())
}

/// All answers to what is said in pieces of that size, on a connection that ends with the last one.
fn say_in_pieces(admin: SocketAddr, said: &str, size: usize) -> String {
    let mut stream = tcp(admin);
    stream.set_nodelay(true).unwrap();
    for piece in said.as_bytes().chunks(size) {
        stream.write_all(piece).unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    answers
}

/// Times, epochs and session ids are other ones each time; so are some numbers of `/health` and `/top`.
fn without_what_changes(answer: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in answer.chars().chain(['\n']) {
        if matches!(c, '0'..='9' | 'a'..='f') {
            run.push(c);
            continue;
        }
        match run.len() {
            13 | 16 => out.push('#'),
            _ => out.push_str(&run),
        }
        run.clear();
        out.push(c);
    }
    for field in ["\"uptime_s\":", "\"messages_per_second\":", "\"messages_sent\":", "\"over_ms\":"] {
        if let Some(at) = out.find(field) {
            let start = at + field.len();
            let end = start + out[start..].find([',', '}']).unwrap();
            out.replace_range(start..end, "#");
        }
    }
    out.trim().to_owned()
}

/// Every `sh` block of the document and the `json` block under it.
fn examples() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http-api.md")).unwrap();
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(kind @ ("sh" | "json")) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind, block.join("\n")));
        }
    }
    let pairs: Vec<_> = blocks
        .chunks(2)
        .map(|pair| match pair {
            [("sh", commands), ("json", answers)] => (commands.clone(), answers.clone()),
            other => panic!("commands and then their answers were expected: {other:?}"),
        })
        .collect();
    assert!(pairs.len() >= 10, "the examples are found: {}", pairs.len());
    pairs
}

#[test]
fn the_examples_of_the_document_with_curl() {
    let (server, admin) = serve("examples", &[]);
    let _alice = joined(&server, "alice", "den");
    let _bob = joined(&server, "bob", "den");
    for (commands, expected) in examples() {
        let commands = commands.replace("127.0.0.1:8081", &admin.to_string());
        let output = Command::new("sh").args(["-c", &commands]).env("KEY", KEY).output().expect("sh runs");
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(without_what_changes(&found), without_what_changes(&expected), "{commands}");
        assert!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_call_has_an_example() {
    let all: String = examples().into_iter().map(|(commands, _)| commands).collect();
    for call in salon::chat::Call::ALL {
        assert!(all.contains(&format!("/api/{}", call.as_str())), "{call:?}");
    }
}

#[test]
fn curl_waits_to_go_on_and_is_answered() {
    let (_server, admin) = open();
    let body = format!(r#"{{"room_id":"den","content":"{}"}}"#, "x".repeat(16_000));
    let path = file("long-body", &body);
    let output = Command::new("curl")
        .args(["-sv", "-H", "Expect: 100-continue", "--expect100-timeout", "30", "--json"])
        .arg(format!("@{}", path.display()))
        .arg(format!("http://{admin}/api/publish"))
        .output()
        .unwrap();
    let (answer, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(log.contains("HTTP/1.1 100 Continue") && log.contains("HTTP/1.1 200 OK"), "{log}");
    assert!(answer.contains(r#""seq":1"#), "{answer}");
    // The body of a request that its head refuses is not asked for.
    let output = Command::new("curl")
        .args(["-sv", "-H", "Expect: 100-continue", "--expect100-timeout", "30", "--json"])
        .arg(format!("@{}", file("longer-body", &"x".repeat(65_537)).display()))
        .arg(format!("http://{admin}/api/publish"))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("HTTP/1.1 413 ") && !log.contains("100 Continue"), "{log}");
}

#[test]
fn bodies_whole_one_byte_at_a_time_and_pipelined() {
    let (_server, admin) = open();
    let body = r#"{"room_id":"den","content":"hi"}"#;
    let first = head("publish", body.len(), "") + body;
    let last = head("publish", body.len(), "Connection: close\r\n") + body;
    let ping = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";
    let said = [&*first, ping, &first, &last].concat();
    for size in [1, 100, said.len()] {
        let answer = say_in_pieces(admin, &said, size);
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 4, "{answer}");
        assert_eq!(answer.matches(r#"{"type":"broadcast""#).count(), 3, "{answer}");
        assert!(answer.find("ok\n").unwrap() < answer.rfind(r#"{"type":"broadcast""#).unwrap(), "in order: {answer}");
    }
}

/// Bodies in chunks are bodies, however they come, and what follows one is the next request.
#[test]
fn bodies_in_chunks() {
    let (_server, admin) = open();
    let head = "POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\n";
    let body = "1;a=b\r\n{\r\n1c\r\n\"room_id\":\"den\",\"content\":\"h\r\n3\r\ni\"}\r\n0\r\nX-Sum: 1\r\n\r\n";
    let said = format!("{head}\r\n{body}GET /livez HTTP/1.1\r\nHost: h\r\n\r\n{head}Connection: close\r\n\r\n{body}");
    for size in [1, 100, said.len()] {
        let answer = say_in_pieces(admin, &said, size);
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
        assert_eq!(
            answer.matches(r#"{"type":"broadcast","room_id":"den","sender":"server","content":"hi""#).count(),
            2
        );
        assert!(answer.find("ok\n").unwrap() < answer.rfind(r#"{"type":"broadcast""#).unwrap(), "in order: {answer}");
    }
    // What is behind a broken body is never taken for a request.
    let broken = format!("{head}\r\n2\r\n{{}}X\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = String::from_utf8(exchange(admin, broken.as_bytes())).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
}

/// The calls of a batch are made in their order, each by its own right, and once more they are the same.
#[test]
fn a_batch_is_calls_in_their_order() {
    let folder = crate::common::Folder::new("batch");
    std::fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("key");
    std::fs::write(&path, KEY).unwrap();
    let operator = format!("ann:read+speak:{}", path.display());
    let store = folder.0.join("salon.db").display().to_string();
    for store in ["memory", &store] {
        let server = Server::serve(&["--operator", &operator, "--store", store, "--log", "info,salon::trail=debug"]);
        let mut bob = joined(&server, "bob", "den");
        let publish =
            |n: usize| format!(r#"{{"call":"publish","body":{{"room_id":"den","content":"{n}","id":"say-{n}"}}}}"#);
        let mut calls: Vec<String> = (1..=40).map(publish).collect();
        calls.insert(20, r#"{"call":"kick","body":{"user_id":"bob"}}"#.into());
        calls.insert(20, r#"{"call":"dance"}"#.into());
        let body = format!(r#"{{"calls":[{}]}}"#, calls.join(","));
        let ask = || {
            let key = format!("Authorization: Bearer {KEY}\r\nConnection: close\r\n");
            let answer = exchange(server.admin.unwrap(), (head("batch", body.len(), &key) + &body).as_bytes());
            let answer = String::from_utf8(answer).unwrap();
            assert_eq!(status(&answer), 200, "{answer}");
            let answer = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
            let serde_json::Value::Object(mut answer) = answer else { panic!("an object") };
            answer.remove("answers").unwrap()
        };
        let answers = ask();
        let answers = answers.as_array().unwrap();
        let statuses: Vec<u64> = answers.iter().map(|one| one["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses.len(), 42);
        assert_eq!((statuses[20], statuses[21]), (404, 403));
        assert!(statuses.iter().enumerate().all(|(at, status)| *status == 200 || at == 20 || at == 21), "{statuses:?}");
        let seqs = |answers: &[serde_json::Value]| -> Vec<u64> {
            answers.iter().filter_map(|one| one["answer"]["seq"].as_u64()).collect()
        };
        assert_eq!(seqs(answers), (1..=40).collect::<Vec<u64>>());
        for n in 1..=40 {
            assert!(hear(&mut bob).contains(&format!(r#""content":"{n}""#)), "{n}");
        }
        server.logged("operator=ann call=publish room=den user=- status=200");
        let again = ask();
        let again = again.as_array().unwrap();
        assert_eq!(seqs(again), (1..=40).collect::<Vec<u64>>());
        assert_eq!(again.iter().filter(|one| one["answer"]["dup"] == true).count(), 40);
    }
}

#[test]
fn requests_that_are_refused() {
    let (_server, admin) = serve("refused", &[]);
    let bearer = format!("Authorization: Bearer {}\r\n", KEY);
    let json = "Content-Type: application/json\r\n";
    for (line, headers, body, expected, part) in [
        ("POST /api/online", json.to_owned(), "", 401, "WWW-Authenticate: Bearer\r\n"),
        ("POST /api/online", format!("{json}Authorization: Bearer {}x\r\n", KEY), "", 401, "invalid_token"),
        ("GET /metrics", String::new(), "", 401, "unauthorized"),
        ("GET /livez", String::new(), "", 200, "ok"),
        ("GET /connections/zzz", bearer.clone(), "", 404, "nothing is here; the admin port has /health, "),
        ("GET /", bearer.clone(), "", 404, "nothing is here; the admin port has /health, "),
        ("GET /metrics", bearer.clone(), "", 200, "salon_api_calls_total{outcome=\"unauthorized\"} 2"),
        ("GET /api/online", bearer.clone(), "", 405, "Allow: POST\r\n"),
        ("POST /api/nothing", format!("{bearer}{json}"), "", 404, "unknown_type"),
        ("POST /api/online", bearer.clone(), "", 415, "application/json"),
        (
            "POST /api/online",
            format!("{bearer}{json}Transfer-Encoding: gzip, chunked\r\n"),
            "0\r\n\r\n",
            501,
            "unsupported",
        ),
        (
            "POST /api/online",
            format!("{bearer}{json}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            "0\r\n\r\n",
            400,
            "bad_request",
        ),
        ("POST /api/online", format!("{bearer}{json}Transfer-Encoding: chunked\r\n"), "0x1\r\n", 400, "in chunks"),
        ("POST /api/online", format!("{bearer}{json}Transfer-Encoding: chunked\r\n"), "10001\r\n", 413, "65536"),
        ("POST /api/online", format!("{bearer}{json}Transfer-Encoding: chunked\r\n"), "100000000\r\n", 413, "65536"),
        ("POST /api/online", format!("{bearer}{json}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n", 200, "online"),
        ("POST /health", format!("{bearer}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n", 400, "bad_request"),
        ("POST /api/batch", format!("{bearer}{json}"), "", 400, "1 to 100 calls"),
        ("POST /api/batch", format!("{bearer}{json}Content-Length: 12\r\n"), r#"{"calls":[]}"#, 400, "1 to 100 calls"),
        ("GET /api/batch", bearer.clone(), "", 405, "Allow: POST\r\n"),
        ("POST /api/online", format!("{bearer}{json}Content-Length: 65537\r\n"), "", 413, "65536"),
        ("POST /api/online", format!("{bearer}{json}Content-Length: 99999999999999999999\r\n"), "", 413, "65536"),
        ("POST /api/online", format!("{bearer}{json}Content-Length: -1\r\n"), "", 400, "Content-Length"),
        ("POST /api/online", format!("{bearer}{json}Content-Length: 2, 2\r\n"), "{}", 400, "Content-Length"),
        ("POST /api/online", format!("{bearer}{json}{0}{0}", "Content-Length: 2\r\n"), "{}", 400, "Content-Length"),
        ("POST /api/online", format!("{bearer}{json}Content-Length: 2\r\n"), "[]", 400, "bad_request"),
        ("POST /api/online", format!("{bearer}{json}Content-Length: 1\r\n"), "{", 400, "bad_json"),
        (
            "POST /api/members",
            format!("{bearer}{json}Content-Length: 15\r\n"),
            r#"{"room_id":"x"}"#,
            404,
            "room_not_found",
        ),
        ("POST /connections", bearer.clone(), "", 405, "Allow"),
        ("GET /connections?limit=0", bearer.clone(), "", 400, "bad_request"),
        ("GET /connections?cursor=x", bearer.clone(), "", 400, "bad_request"),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}Connection: close\r\n\r\n{body}");
        let answer = String::from_utf8(exchange(admin, request.as_bytes())).unwrap();
        assert_eq!(status(&answer), expected, "{line} {headers}: {answer}");
        assert!(answer.contains(part), "{line} {headers}: {answer}");
        assert!(!answer.contains(KEY), "the key is not repeated: {answer}");
    }
}

/// Every refusal on the operator's port has one shape, whatever was asked for.
#[test]
fn every_refusal_has_one_shape() {
    let (_server, admin) = open();
    for (request, expected, code) in [
        ("GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404, "not_found"),
        ("PUT /health HTTP/1.1\r\nHost: 127.0.0.1\r\n", 405, "bad_request"),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n", 400, "bad_request"),
        ("nonsense\r\n", 400, "bad_request"),
        ("POST /api/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404, "unknown_type"),
        ("GET /api/online HTTP/1.1\r\nHost: 127.0.0.1\r\n", 405, "bad_request"),
        ("GET /health HTTP/1.1\r\nHost: evil.example\r\n", 403, "forbidden"),
        ("GET /connections/0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404, "user_not_found"),
    ] {
        let answer = exchange(admin, format!("{request}Connection: close\r\n\r\n").as_bytes());
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(status(&answer), expected, "{request}: {answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let mut fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["code", "message", "retry", "type"], "{request}: {body}");
        assert_eq!((&body["type"], &body["code"]), (&"error".into(), &code.into()), "{request}");
    }
}

/// What is wrong with the head of a call does not keep the `id` of its body from coming back, and the next request on
/// the connection has its own answer; but the body of somebody without the key is not read.
#[test]
fn a_refusal_has_the_id_of_the_body() {
    let (server, admin) = serve("refused-id", &["--log", "debug"]);
    let json = "Content-Type: application/json\r\n";
    for (line, headers, key, expected, id) in [
        ("PUT /api/online", json, KEY, 405, true),
        ("GET /api/batch", json, KEY, 405, true),
        ("POST /api/online", "Content-Type: text/plain\r\n", KEY, 415, true),
        ("POST /api/nothing", json, KEY, 404, true),
        ("POST /api/online", json, "0123456789abcdex", 401, false),
    ] {
        let (of, more) = (r#"{"id":"mine"}"#, format!("{headers}Authorization: Bearer {key}\r\n"));
        let next = format!(
            "POST /api/online HTTP/1.1\r\nHost: h\r\n{json}Authorization: Bearer {KEY}\r\n\
             Connection: close\r\n\r\n"
        );
        let first = format!("{line} HTTP/1.1\r\nHost: h\r\n{more}Content-Length: {}\r\n\r\n{of}", of.len());
        let answers = String::from_utf8(exchange(admin, format!("{first}{next}").as_bytes())).unwrap();
        assert_eq!(status(&answers), expected, "{line}: {answers}");
        assert_eq!(answers.contains(r#""type":"error","id":"mine","#), id, "{line}: {answers}");
        assert_eq!(answers.contains(r#""type":"online""#), id, "{line}: {answers}");
        let body = String::from_utf8(exchange(admin, next.as_bytes())).unwrap();
        assert_eq!(status(&body), 200, "{line}: {body}");
    }
    for words in ["path=/api/online status=405", "path=/api/online status=415", "path=/api/? status=404"] {
        server.logged(words);
    }
}

/// Without a key, a page in a browser on this machine cannot call.
#[test]
fn pages_cannot_call() {
    let (server, admin) = open();
    for (headers, expected) in [
        ("Origin: http://evil.example\r\nHost: 127.0.0.1\r\n", 403),
        ("Host: evil.example:8081\r\n", 403),
        ("Host: localhost:8081\r\n", 200),
        ("Host: 127.0.0.1:8081\r\n", 200),
    ] {
        let ends = "Connection: close\r\n\r\n";
        let json = "Content-Type: application/json\r\n";
        let asks = ["/health", "/metrics", "/connections", "/top"]
            .map(|path| format!("GET {path} HTTP/1.1\r\n{headers}{ends}"));
        for request in asks.into_iter().chain([format!("POST /api/online HTTP/1.1\r\n{headers}{json}{ends}")]) {
            let answer = String::from_utf8(exchange(admin, request.as_bytes())).unwrap();
            assert_eq!(status(&answer), expected, "{request}: {answer}");
        }
        // A supervisor of the process may ask by any name.
        for path in ["/livez", "/readyz"] {
            let request = format!("GET {path} HTTP/1.1\r\n{headers}{ends}");
            let answer = String::from_utf8(exchange(admin, request.as_bytes())).unwrap();
            assert_eq!(status(&answer), 200, "{request}: {answer}");
        }
    }
    // On the public port there is no such thing.
    assert_eq!(get(server.public, "/connections").0, 404);
    let request = head("online", 0, "Connection: close\r\n");
    assert_eq!(status(&String::from_utf8(exchange(server.public, request.as_bytes())).unwrap()), 404);
}

#[test]
fn connections_have_pages() {
    let (server, admin) = open();
    let _clients: Vec<Client> = ["ann", "bob", "cat"].iter().map(|name| joined(&server, name, "den")).collect();
    let mut target = "/connections?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let (status, answer) = get(admin, &target.replace("127.0.0.1", ""));
        assert_eq!(status, 200, "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let page: serde_json::Value = serde_json::from_str(body).unwrap();
        seen.extend(page.as_array().unwrap().iter().map(|session| session["user_id"].as_str().unwrap().to_owned()));
        let Some(rest) = answer.split_once("Link: <").map(|(_, rest)| rest) else { break };
        target = rest.split_once(">; rel=\"next\"").unwrap().0.to_owned();
    }
    assert_eq!(seen, ["ann", "bob", "cat"]);
}

/// A client that reads nothing is blocked; a kick and a ban end it all the same, and no other client waits for it.
#[test]
fn a_client_that_does_not_read_can_be_banned() {
    let (server, admin) = open();
    let mut ann = joined(&server, "ann", "den");
    let mut slow = joined(&server, "slow", "den");
    let content = "x".repeat(16_000);
    for _ in 0..60 {
        let (status, answer) = call(admin, "publish", &format!(r#"{{"room_id":"den","content":"{content}"}}"#));
        assert_eq!(status, 200, "{answer}");
        hear_with(&mut ann, &[r#""type":"broadcast""#]);
    }
    assert_eq!(call(admin, "ban", r#"{"user_id":"slow"}"#).1, r#"{"type":"ban","user_id":"slow","closed":1}"#);
    hear_with(&mut ann, &[r#"{"type":"user_left","room_id":"den","user_id":"slow"}"#]);
    // When it reads at last, it finds the messages, and why it was closed.
    hear_with(&mut slow, &[r#"{"type":"goodbye","reason":"banned","reconnect":false"#]);
    assert_eq!(close_code(&mut slow), 4003);
    let mut again = server.connect("/ws?user=slow");
    hear_with(&mut again, &[r#""reason":"banned""#]);
    assert_eq!(close_code(&mut again), 4003);
    let mut plain = server.connect("/ws/den?username=slow");
    assert_eq!(close_code(&mut plain), 4003);
    call(admin, "unban", r#"{"user_id":"slow"}"#);
    hear_with(&mut server.connect("/ws?user=slow"), &["welcome"]);
}

#[test]
fn kicked_amid_a_replay() {
    let (server, admin) = open();
    let content = "x".repeat(1000);
    for n in 0..200 {
        call(admin, "publish", &format!(r#"{{"room_id":"den","content":"{n} {content}"}}"#));
    }
    let mut ann = server.connect("/ws?user=ann");
    hear(&mut ann);
    say(&mut ann, r#"{"type":"join","room_id":"den","history":100}"#);
    hear_with(&mut ann, &[r#""type":"joined""#]);
    assert_eq!(call(admin, "kick", r#"{"user_id":"ann"}"#).1, r#"{"type":"ack","closed":1}"#);
    // The replay was under way and comes whole, then the end.
    hear_with(&mut ann, &[r#""type":"goodbye","reason":"kicked""#]);
    assert_eq!(close_code(&mut ann), 4010);
}

#[test]
fn what_an_operator_can_get_wrong() {
    let short = file("short", "short");
    let good = file("good", KEY);
    let refused = |arguments: &[&str], environment: Option<&str>| {
        let mut command = salon(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        if let Some(value) = environment {
            command.env("SALON_ADMIN_SECRET", value);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        said
    };
    for (arguments, environment, part) in [
        (&["--admin", "0.0.0.0:0"][..], None, "--admin-key"),
        (&["--admin-key", "/nowhere/at/all"], None, "--admin-key /nowhere/at/all"),
        (&["--admin-key", short.to_str().unwrap()], None, "at least 16 bytes, found 5"),
        (&[], Some("sh0rt"), "SALON_ADMIN_SECRET: expected a key of at least 16 bytes, found 5"),
        (&["--admin-key", good.to_str().unwrap()], Some(KEY), "found both"),
    ] {
        let said = refused(arguments, environment);
        assert!(said.contains(part), "{said}");
        assert!(!said.contains(KEY) && !said.contains("sh0rt"), "no key in it: {said}");
    }
}

#[test]
fn the_key_is_read_again_at_sighup() {
    const NEXT: &str = "another-key-that-nobody-guesses-98765";
    let path = file("rotated", KEY);
    let server = Server::serve(&["--admin-key", path.to_str().unwrap(), "--log", "info"]);
    let admin = server.admin.unwrap();
    let shown = |key: &str| {
        let more = format!("Authorization: Bearer {key}\r\nConnection: close\r\n");
        let answer = exchange(admin, (head("online", 2, &more) + "{}").as_bytes());
        status(&String::from_utf8(answer).unwrap())
    };
    let change = |content: Option<&str>| {
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        server.signal("HUP");
    };
    assert_eq!((shown(KEY), shown(NEXT)), (200, 401));

    change(Some(NEXT));
    server.logged("settings read again");
    assert_eq!((shown(KEY), shown(NEXT)), (401, 200));

    for (content, why) in [(Some("short"), "expected a key of at least 16 bytes, found 5"), (None, "No such file")] {
        change(content);
        let said = server.logged("the settings stay as they were: --admin-key ");
        assert!(said.contains(why) && !said.contains(NEXT), "{said}");
        assert_eq!((shown(KEY), shown(NEXT)), (401, 200));
    }

    change(Some(KEY));
    server.logged("settings read again");
    assert_eq!((shown(KEY), shown(NEXT)), (200, 401));
}

#[test]
fn nothing_logged_has_the_key_in_it() {
    let path = file("logged", KEY);
    let mut child = salon(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "trace"])
        .args(["--admin-key", path.to_str().unwrap()])
        .spawn()
        .unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl-C") {
        assert!(std::io::BufRead::read_line(&mut stderr, &mut said).unwrap() > 0, "{said}");
    }
    let line = said.lines().find(|line| line.contains("admin")).unwrap();
    assert!(line.contains("for who shows the key"), "{line}");
    let admin: SocketAddr = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    for shown in [KEY.to_owned(), format!("{KEY}wrong")] {
        let more = format!("Authorization: Bearer {shown}\r\nConnection: close\r\n");
        let mut stream = tcp(admin);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all((head("online", 2, &more) + "{}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.contains(KEY), "{answer}");
    }
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("stopp") && !said.contains(KEY), "{said}");
}

/// Commands for people at a shell, each by the admin port.
#[test]
fn by_command_line() {
    let server = Server::serve(&[]);
    let admin = server.admin.unwrap().to_string();
    let run = |words: &[&str]| {
        let output = salon(&[words, &["--admin", &admin]].concat()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let mut ann = joined(&server, "ann", "den");
    assert_eq!(run(&["health"]), (0, "ok\n".into(), String::new()));
    assert_eq!(run(&["rooms"]), (0, "      1  den\n".into(), String::new()));
    assert_eq!(run(&["who"]), (0, "ann\n".into(), String::new()));
    assert_eq!(run(&["who", "den"]), (0, "online    ann\n".into(), String::new()));
    for (words, heard) in [
        (&["say", "--room", "den", "build 8"][..], r#""sender":"server","content":"build 8""#),
        (&["say", "--room", "den", "--as", "deploy", "build 9"], r#""sender":"deploy","content":"build 9""#),
        (&["say", "--user", "ann", "psst"], r#""content":"psst""#),
        (&["say", "--everybody", "back soon"], r#""content":"back soon""#),
    ] {
        let (status, said, error) = run(words);
        assert_eq!((status, &*error), (0, ""), "{words:?}: {said}");
        hear_with(&mut ann, &[heard]);
    }
    assert_eq!(run(&["ban", "ann", "--for", "1h", "--note", "loud"]).0, 0);
    assert_eq!(close_code(&mut ann), 4003);
    assert_eq!(run(&["unban", "ann"]).0, 0);
    let mut ann = joined(&server, "ann", "den");
    assert_eq!(run(&["kick", "ann"]).0, 0);
    assert_eq!(close_code(&mut ann), 4010);
    assert_eq!(run(&["health", "--live"]), (0, "ok\n".into(), String::new()));
    // A list is printed whole: more than a page of people, of whom the first hide.
    let many: Vec<Client> = (0..230)
        .map(|n| {
            let hides = if n < 210 { "&status=offline" } else { "" };
            joined(&server, &format!("u{n:03}{hides}"), "hall")
        })
        .collect();
    let names = |said: String| said.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    let shown: Vec<String> = (210..230).map(|n| format!("u{n:03}")).collect();
    for words in [&["who"][..], &["who", "hall"]] {
        let (status, said, error) = run(words);
        let mut said = names(said);
        said.retain(|name| shown.contains(name));
        said.sort();
        assert_eq!((status, &*error, &said), (0, "", &shown), "{words:?}");
    }
    drop(many);
    let (status, _, error) = run(&["who", "attic"]);
    assert!(status == 1 && error.starts_with(&format!("salon: the server at {admin} refuses (404): ")), "{error}");
    assert_eq!(run(&["say", "to nobody"]).0, 2);
    let away = salon(&["health", "--admin", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(away.status.code(), Some(1));
}

/// Each operator may do what their rights say, and the log says who did what.
#[test]
fn operators_have_rights_and_leave_a_trail() {
    let folder = crate::common::Folder::new("operators");
    std::fs::create_dir_all(&folder.0).unwrap();
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    for name in ["admin", "scraper", "mod"] {
        std::fs::write(path(name), format!("the-key-of-{name}-0123456789")).unwrap();
    }
    let [scraper, moderator] = [("scraper", "metrics"), ("mod", "read+moderate")]
        .map(|(name, rights)| format!("{name}:{rights}:{}", path(name)));
    let admin_key = path("admin");
    let arguments = ["--admin-key", &admin_key, "--operator", &scraper, "--operator", &moderator];
    let server = Server::serve(&[&arguments[..], &["--log", "info,salon::trail=debug"]].concat());
    let admin = server.admin.unwrap().to_string();
    let mut ann = joined(&server, "ann", "den");
    let run = |who: &str, words: &[&str]| {
        let output = salon(&[words, &["--admin", &admin, "--admin-key", &path(who)]].concat()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (who, words, lacks) in [
        ("scraper", &["who"][..], Some("read")),
        ("scraper", &["say", "--everybody", "x"], Some("speak")),
        ("mod", &["say", "--everybody", "x"], Some("speak")),
        ("mod", &["who", "den"], None),
        ("mod", &["reload"], Some("everything")),
        ("admin", &["say", "--room", "den", "x"], None),
        ("mod", &["kick", "ann"], None),
        ("admin", &["reload"], None),
    ] {
        let (status, error) = run(who, words);
        let expected = lacks.map_or(0, |_| 1);
        let says =
            lacks.is_none_or(|right| error.contains("refuses (403): expected the key of ") && error.contains(right));
        assert!(status == expected && says, "{who} {words:?}: {status} {error}");
    }
    assert_eq!(run("mod", &["ban", "ann\u{1b}[31m"]).0, 1);
    for line in [
        "operator=admin call=publish room=den user=- status=200",
        "operator=mod call=kick room=- user=ann status=200",
        "operator=admin call=reload status=200",
        "operator=mod call=ban room=- user=\"ann\\u{1b}[31m\" status=400",
    ] {
        server.logged(line);
    }
    assert_eq!(close_code(&mut ann), 4010);
    // A refusal has the `id` of its call, as any other answer, and its line with the operator.
    let moderator = std::fs::read_to_string(path("mod")).unwrap();
    let call = |call: &str, body: &str| {
        let head =
            head(call, body.len(), &format!("Authorization: Bearer {}\r\nConnection: close\r\n", moderator.trim()));
        String::from_utf8(exchange(server.admin.unwrap(), (head + body).as_bytes())).unwrap()
    };
    for (name, body, line) in [
        ("publish", r#"{"id":"a","room_id":"den","content":"x"}"#, "call=publish room=den user=- status=403"),
        ("direct", r#"{"user_id":"ann","content":"x","id":"a"}"#, "call=direct room=- user=ann status=403"),
    ] {
        let answer = call(name, body);
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(answer.contains(r#"{"type":"error","id":"a","code":"forbidden","#), "{answer}");
        server.logged(&format!("operator=mod {line}"));
    }
    let batch = call("batch", r#"{"calls":[{"call":"publish","body":{"room_id":"den","content":"x","id":"a"}}]}"#);
    assert!(batch.contains(r#"{"status":403,"answer":{"type":"error","id":"a","code":"forbidden","#), "{batch}");
    server.logged("operator=mod call=publish room=den user=- status=403");
    let batch = call("batch", r#"{"calls":[],"id":"a"}"#);
    assert!(status(&batch) == 400 && batch.contains(r#"{"type":"error","id":"a","code":"bad_request","#), "{batch}");
    assert_eq!(status(&call("reload", "")), 403);
    server.logged("operator=mod call=reload status=403");
    let metrics = exchange(
        server.admin.unwrap(),
        b"GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer the-key-of-scraper-0123456789\r\nConnection: close\r\n\r\n",
    );
    assert!(String::from_utf8(metrics).unwrap().contains("\nsalon_refused_total{reason=\"key_rights\"} 8\n"));
    let same = format!("twin:read:{}", path("admin"));
    for (arguments, expected) in [
        (&["--operator", "bot:dance:/k"][..], "expected metrics, read, speak, moderate"),
        (&["--operator", "bot:speak:/nowhere/at/all"], "--operator bot: /nowhere/at/all: No such file"),
        (&["--operator", &scraper, "--operator", &scraper], "found two called scraper"),
        (&["--admin-key", &admin_key, "--operator", &same], "found the same for admin and twin"),
    ] {
        let output = salon(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(expected), "{error}");
    }
}

/// What operators have done is kept where messages are, and there again after a restart.
#[test]
fn the_trail_outlives_a_restart() {
    let folder = crate::common::Folder::new("trail");
    std::fs::create_dir_all(&folder.0).unwrap();
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    for name in ["admin", "reader"] {
        std::fs::write(path(name), format!("the-key-of-{name}-0123456789")).unwrap();
    }
    let reader = format!("reader:read:{}", path("reader"));
    let file = folder.file();
    let (durable, admin_key) = (cfg!(feature = "sqlite"), path("admin"));
    let store = if durable { &*file } else { "memory" };
    let arguments = ["--store", store, "--admin-key", &admin_key, "--operator", &reader];
    let mut server = Server::serve(&arguments);
    let run = |server: &Server, who: &str, words: &[&str]| {
        let admin = server.admin.unwrap().to_string();
        let output = salon(&[words, &["--admin", &admin, "--admin-key", &path(who)]].concat()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    // What speaks and what reads is not in it; what is refused is.
    for (who, words, expected) in [
        ("admin", &["ban", "eve"][..], 0),
        ("admin", &["say", "--room", "den", "x"], 0),
        ("admin", &["unban", "eve"], 0),
        ("admin", &["kick", "--room", "attic", "ann"], 1),
        ("admin", &["ban", "a\u{1b}[31m"], 1),
        ("admin", &["reload"], 0),
        ("reader", &["trail"], 1),
    ] {
        assert_eq!(run(&server, who, words).0, expected, "{words:?}");
    }
    let lines = |server: &Server| {
        let (status, text) = run(server, "admin", &["trail"]);
        assert_eq!(status, 0, "{text}");
        // Behind the time.
        text.lines().map(|line| line.split_once("GMT  ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let expected = [
        "admin  reload  200",
        "admin  ban  400 user_id=\"a\\u001b[31m\"",
        "admin  kick  404 room_id=\"attic\" user_id=\"ann\"",
        "admin  unban  200 user_id=\"eve\"",
        "admin  ban  200 user_id=\"eve\"",
    ];
    assert_eq!(lines(&server), expected);
    if durable {
        server.signal("TERM");
        assert!(server.wait().success());
        let server = Server::serve(&arguments);
        assert_eq!(lines(&server), expected);
    }
}

/// The operator's commands find a server by its file of settings; a Unix socket is for the server's user alone.
#[test]
fn by_command_line_where_the_file_of_the_server_says() {
    let folder = crate::common::Folder::new("by-file");
    std::fs::create_dir_all(&folder.0).unwrap();
    let (file, socket, key) = (folder.0.join("salon.toml"), folder.0.join("admin.sock"), folder.0.join("key"));
    std::fs::write(&key, KEY).unwrap();
    let settings = format!(
        "listen = \"127.0.0.1:0\"\nadmin = \"unix:{}\"\nadmin_key = \"{}\"\nlog = \"warn\"\n",
        socket.display(),
        key.display()
    );
    std::fs::write(&file, settings).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let server = Server::start(&[&["serve"], &config[..]].concat());
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let run = |words: &[&str]| {
        let output = salon(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let _ann = joined(&server, "ann", "den");
    for words in [&["who"][..], &["who", "den"], &["rooms"], &["health"], &["top", "--once"], &["reload"]] {
        let (status, said, error) = run(&[words, &config[..]].concat());
        assert_eq!((status, &*error), (0, ""), "{words:?}: {said}");
    }
    let (status, said, error) = run(&[&["config", "--running"], &config[..]].concat());
    let shown = |line: &str| said.lines().any(|said| said.split("  #").next().unwrap().trim_end() == line);
    let key_shown = format!("admin_key = \"{}\"", key.display());
    assert!(
        status == 0 && shown("listen = [\"127.0.0.1:0\"]") && shown(&key_shown) && !said.contains(KEY),
        "{said} {error}"
    );
    assert!(said.contains("salon.toml line 2\n"), "{said}");
    let at = format!("unix:{}", socket.display());
    let (status, _, error) = run(&["who", "--admin", &at]);
    assert!(status == 1 && error.contains(&format!("the server at {at} refuses (401): ")), "{error}");
    assert_eq!(run(&["who", "--admin", &at, "--admin-key", key.to_str().unwrap()]).1, "ann\n");
    // What the command line says comes before what the file says.
    let (status, _, error) = run(&["who", config[0], config[1], "--admin", "127.0.0.1:1"]);
    assert!(status == 1 && error.contains("the server at 127.0.0.1:1 cannot be reached: "), "{error}");
    assert_eq!(run(&["who", "--admin", "off"]).0, 2);
    std::fs::write(&file, "admin = \"nowhere\"\nsomething_of_a_later_version = 1\n").unwrap();
    let (status, _, error) = run(&["who", config[0], config[1]]);
    assert!(status == 2 && error.contains("salon.toml line 1: admin: expected "), "{error}");
    std::fs::write(&file, "something_of_a_later_version = 1\n").unwrap();
    assert!(run(&["health", config[0], config[1], "--admin", &at]).0 == 0);
}

/// The unit's commands, with this binary and another folder of settings: `systemctl reload` finds the server where the
/// file says that it is.
#[test]
fn the_unit_reloads_by_the_file_of_the_server() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/systemd/salon.service")).unwrap();
    let folder = crate::common::Folder::new("unit");
    std::fs::create_dir_all(&folder.0).unwrap();
    let words = |command: &str| -> Vec<String> {
        let line = unit.lines().find_map(|line| line.strip_prefix(command)).unwrap();
        let line = line.strip_prefix("/usr/local/bin/salon ").unwrap();
        line.split(' ').map(|word| word.replace("/etc/salon", folder.0.to_str().unwrap())).collect()
    };
    let run = |words: &[String]| salon(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let (key, socket) = (folder.0.join("key"), folder.0.join("admin.sock"));
    std::fs::write(&key, KEY).unwrap();
    let settings =
        format!("listen = \"127.0.0.1:0\"\nadmin = \"unix:{}\"\nadmin_key = \"{}\"\n", socket.display(), key.display());
    std::fs::write(folder.0.join("salon.toml"), settings).unwrap();
    let _server = Server::run(&mut run(&words("ExecStart=")));
    let output = run(&words("ExecReload=")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An answer that was lost leaves it open whether a message was said: with the `id` that is named it is said once.
#[test]
fn what_may_have_been_said_can_be_said_again() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap().to_string();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        let mut bytes = [0; 4096];
        let mut text = String::new();
        while !text.ends_with('}') {
            let len = stream.read(&mut bytes).unwrap();
            text += std::str::from_utf8(&bytes[..len]).unwrap();
        }
        text
    });
    let output = salon(&["say", "--room", "den", "build 8", "--admin", &at]).output().unwrap();
    let (error, asked) = (String::from_utf8(output.stderr).unwrap(), asked.join().unwrap());
    let id = error.split("say it again with --id ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    assert!(
        output.status.code() == Some(1) && id.len() == 16 && asked.contains(&format!("\"id\":\"{id}\"")),
        "{error}"
    );
    let server = Server::serve(&[]);
    let admin = server.admin.unwrap().to_string();
    for dup in [false, true] {
        let output = salon(&["say", "--room", "den", "build 8", "--id", id, "--admin", &admin]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), said.contains("\"dup\":true")), (Some(0), dup), "{said}");
    }
}

/// A reload answers the caller: what has changed, or what is wrong, and then nothing has.
#[test]
fn a_reload_answers_the_caller() {
    let folder = crate::common::Folder::new("reload");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("salon.toml");
    std::fs::write(&file, "rate = \"5:6\"\n").unwrap();
    let server = Server::serve(&["--config", file.to_str().unwrap()]);
    let admin = server.admin.unwrap();
    let reload = || {
        let output = salon(&["reload", "--admin", &admin.to_string()]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let successful = || crate::common::metric(admin, "salon_last_reload_successful");
    assert_eq!(reload(), (0, "changed: nothing\nonly at the next start: nothing\n".into()));
    std::fs::write(&file, "rate = \"7:8\"\nhistory = 5\n").unwrap();
    let expected = "changed: rate [\"5:6\"] -> [\"7:8\"]\nonly at the next start: history\n";
    assert_eq!((reload(), successful()), ((0, expected.into()), 1));
    // Each in force with its line, also where only the line is another one; and what waits for the next start.
    std::fs::write(&file, "# two lines\n# more\nrate = \"7:8\"\nhistory = 5\n").unwrap();
    reload();
    let (_, settings) = get(admin, "/settings");
    let line = |key: &str| settings.lines().find(|line| line.contains(&format!("{key} ="))).unwrap().to_owned();
    assert!(line("rate").ends_with("salon.toml line 3"), "{settings}");
    assert!(line("history").contains("# as at the start; at the next start: 5, "), "{settings}");
    assert!(line("history").ends_with("salon.toml line 4"), "{settings}");
    std::fs::write(&file, "rate = \"fast\"\n").unwrap();
    let (status, said) = reload();
    assert!(status == 1 && said.contains("refuses (409): the settings stay as they were: "), "{said}");
    assert!(said.contains("line 1: rate: expected PER_SECOND:BURST"), "{said}");
    assert_eq!(successful(), 0);
    let (status, answer) = call(admin, "reload", "");
    assert!(
        status == 409 && answer.starts_with(r#"{"type":"error","code":"settings_refused","message":"the "#),
        "{answer}"
    );
    std::fs::write(&file, "").unwrap();
    assert_eq!((reload().0, successful()), (0, 1));
}

/// Rules for rooms hold at once in rooms that are there, a reload says what has changed, and refusals are counted.
#[test]
fn a_reload_changes_what_holds_in_rooms() {
    let folder = crate::common::Folder::new("rules");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("salon.toml");
    std::fs::write(&file, "").unwrap();
    let server = Server::serve(&["--config", file.to_str().unwrap()]);
    let admin = server.admin.unwrap();
    let reload = |rules: &str| {
        std::fs::write(&file, rules).unwrap();
        let (status, answer) = call(admin, "reload", "");
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let refused = |by: &str| crate::common::metric(admin, &format!("salon_ruled_out_total{{by=\"{by}\"}}"));
    let mut ann = joined(&server, "ann", "den");
    let said = r#"{"type":"broadcast","room_id":"den","content":"hi","id":1}"#;
    let changed = reload("[[rooms]]\nmatch = \"d*\"\nspeak = \"operator\"\n");
    assert!(changed.contains(r#""changed":["rooms \"d*\": a new rule"]"#), "{changed}");
    say(&mut ann, said);
    hear_with(&mut ann, &["forbidden", "expected a session that may speak in the room"]);
    assert_eq!((refused("speak"), refused("join")), (1, 0));
    let changed = reload("\n[[rooms]]\nmatch = \"d*\"\nspeak = \"everybody\"\nrate = \"1:1\"\n");
    let expected =
        r#""changed":["rooms \"d*\": speak \"operator\" -> \"everybody\"","rooms \"d*\": rate not named -> \"1:1\""]"#;
    assert!(changed.contains(expected), "{changed}");
    say(&mut ann, said);
    hear_with(&mut ann, &["broadcast", "hi"]);
    // Another message: the same one again would be answered as said.
    say(&mut ann, &said.replace(r#""id":1"#, r#""id":2"#));
    hear_with(&mut ann, &["rate_limited", "at its rate of 1:1"]);
    assert_eq!(refused("rate"), 1);
    assert!(get(admin, "/settings").1.contains("[[rooms]]  # "), "they are among the settings in force");
    // One that is wrong changes nothing.
    std::fs::write(&file, "[[rooms]]\nmatch = \"d*\"\njoin = \"all\"\n").unwrap();
    let (status, answer) = call(admin, "reload", "");
    assert!(status == 409 && answer.contains("line 3: rooms: rule 1: join: expected everybody"), "{answer}");
    let changed = reload("[[rooms]]\nmatch = \"den\"\njoin = \"operator\"\n");
    assert!(changed.contains(r#"rooms \"d*\": the rule is gone"#), "{changed}");
    hear_with(&mut ann, &["left", "den"]);
    say(&mut ann, r#"{"type":"join","room_id":"den"}"#);
    hear_with(&mut ann, &["forbidden", "expected a room that the session may be in"]);
    assert_eq!(refused("join"), 1);
}

/// A secret that was changed in its file is said to have been, by its name alone.
#[test]
fn a_reload_says_which_keys_have_changed() {
    let path = |name: &str| file(&format!("rotated-{name}"), &format!("the-{name}-of-more-than-32-bytes-at-least\n"));
    let (admin, bot, secret) = (path("admin"), path("bot"), path("secret"));
    let server = Server::serve(&[
        "--log",
        "info",
        "--admin-key",
        admin.to_str().unwrap(),
        "--operator",
        &format!("bot:speak:{}", bot.display()),
        "--auth",
        "jwt",
        "--auth-key",
        &format!("HS256:{}", secret.display()),
    ]);
    for (rotated, expected) in
        [(&[&admin][..], "the key of admin"), (&[], "nothing"), (&[&bot, &secret], "the key of bot, auth_key 1")]
    {
        for path in rotated {
            let text = std::fs::read_to_string(path).unwrap();
            std::fs::write(path, format!("another-{text}")).unwrap();
        }
        server.signal("HUP");
        assert!(server.logged("settings read again").ends_with(&format!("changed: {expected}")), "{expected}");
    }
}

/// Connections to the admin port are none of the clients'.
#[test]
fn the_admin_port_takes_no_place_of_a_client() {
    let server = Server::serve(&["--max-connections", "2", "--idle-within", "3650d"]);
    let admin = server.admin.unwrap();
    let idle: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = tcp(admin);
            std::io::Write::write_all(&mut stream, b"HEAD /livez HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            let mut first = [0; 12];
            std::io::Read::read_exact(&mut stream, &mut first).unwrap();
            assert_eq!(first, *b"HTTP/1.1 200");
            stream
        })
        .collect();
    let _clients = [server.connect("/ws?user=a"), server.connect("/ws?user=b")];
    // Beside the one that asks.
    assert_eq!(crate::common::metric(admin, "salon_connections"), 2);
    assert!(crate::common::metric(admin, "salon_admin_connections") >= 2);
    assert_eq!(get(server.public, "/health").0, 503);
    assert_eq!(get(admin, "/readyz").0, 200);
    drop(idle);
}

/// Where no key is asked for everybody on the machine is let in, and a few who begin a body and stop took all places of
/// the port: health checks timed out until these bodies were late.
#[test]
fn bodies_that_do_not_come_keep_nobody_out_where_there_is_no_key() {
    let server = Server::serve(&["--head-within", "1d"]);
    let admin = server.admin.unwrap();
    let begun: Vec<_> = (0..150)
        .map(|_| {
            let mut stream = tcp(admin);
            let head = "POST /api/online HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
            stream.write_all(format!("{head}Content-Length: 60000\r\n\r\n{{").as_bytes()).unwrap();
            stream
        })
        .collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(admin, path).0, 200, "{path}");
    }
    assert!(crate::common::metric(admin, "salon_refused_total{reason=\"made_room\"}") >= 86);
    drop(begun);
}

/// Places on the admin port are few, and those who show no key have them only while nobody else comes.
#[test]
fn those_without_a_key_keep_nobody_out() {
    let (server, admin) = serve("crowd", &[]);
    let kept = |request: &str| {
        let mut stream = tcp(admin);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let with_key = format!(
        "GET /livez HTTP/1.1\r\nHost: h\r\n\r\nPOST /api/online HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    let mut operator = kept(&with_key);
    let mut answers = String::new();
    while !answers.contains("\"users\"") {
        let mut bytes = [0; 4096];
        let len = operator.read(&mut bytes).unwrap();
        assert!(len > 0, "{answers}");
        answers += std::str::from_utf8(&bytes[..len]).unwrap();
    }
    // A refusal ends the connection; silence, or a word that needs no key, does not.
    for (request, code) in [
        ("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 401),
        ("GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n\r\n", 401),
    ] {
        let answer = String::from_utf8(exchange(admin, request.as_bytes())).unwrap();
        assert!(status(&answer) == code && answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    let asks = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";
    let crowd: Vec<_> = (0..100).map(|at| kept(if at % 2 == 0 { "" } else { asks })).collect();
    assert_eq!(get(admin, "/livez").0, 200);
    assert_eq!(call(admin, "online", "").0, 401);
    operator.write_all(with_key.as_bytes()).unwrap();
    assert!(operator.read(&mut [0; 4096]).unwrap() > 0, "who has shown a key stays");
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let metrics = String::from_utf8(exchange(admin, request.as_bytes())).unwrap();
    let name = "\nsalon_refused_total{reason=\"made_room\"} ";
    let count = metrics.split(name).nth(1).unwrap().lines().next().unwrap().parse::<u32>().unwrap();
    assert!(count >= 84, "{count}");
    drop((crowd, server));
}
