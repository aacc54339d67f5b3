//! Every refusal is counted by its reason, and logged with the address at `debug`.

use std::path::PathBuf;

use salon::server::refusals::Reason;

use crate::common::{Server, exchange, get, salon, status, tcp};

const SECRET: &str = "no secret at all, but 32 bytes long";
const KEY: &str = "0123456789abcdef";

const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("refusals-{name}"));
    std::fs::write(&path, content).unwrap();
    path
}

/// All counters of refusals, in the order of [`Reason::ALL`].
fn counters(server: &Server) -> Vec<u64> {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let metrics = String::from_utf8(exchange(server.admin.unwrap(), request.as_bytes())).unwrap();
    let value = |reason: Reason| {
        let name = format!("salon_refused_total{{reason=\"{}\"}} ", reason.as_str());
        metrics.lines().find_map(|line| line.strip_prefix(&name)).expect("a counter for each reason").parse().unwrap()
    };
    Reason::ALL.map(value).to_vec()
}

/// One refusal for that reason, and none for another.
#[track_caller]
fn one_more(server: &Server, before: &[u64], reason: Reason, about: &str) {
    let mut expected = before.to_vec();
    expected[reason as usize] += 1;
    assert_eq!(counters(server), expected, "{about}: {}", reason.as_str());
}

fn door(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{UPGRADE}{headers}\r\n")
}

fn plain(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n")
}

#[test]
fn at_the_doors() {
    let server = Server::serve(&["--log", "debug"]);
    for (request, code, reason) in [
        (plain("GET", "/nope", ""), 404, Reason::NotFound),
        (plain("POST", "/", ""), 405, Reason::Method),
        (plain("POST", "/ws", ""), 405, Reason::Method),
        (plain("GET", "/ws", ""), 426, Reason::Upgrade),
        (plain("GET", "/", ""), 421, Reason::Host),
        (plain("GET", "/", "Content-Length: 5\r\n"), 400, Reason::BadRequest),
        (plain("GET", "/", "X : y\r\n"), 400, Reason::BadRequest),
        ("\u{16}\u{3}\u{1}".into(), 400, Reason::BadRequest),
        (plain("GET", "/", "").replace("1.1", "2.0"), 505, Reason::BadRequest),
        (plain("GET", &format!("/{}", "x".repeat(20_000)), ""), 414, Reason::TooLong),
        (plain("GET", "/", &format!("X: {}\r\n", "x".repeat(20_000))), 431, Reason::TooLong),
        (door("/ws?user=%ff", ""), 400, Reason::BadName),
        (door("/ws/den", ""), 400, Reason::BadName),
        (door("/ws?user=a", "Origin: https://evil.example\r\n"), 403, Reason::Origin),
        (door("/ws?user=a", "Sec-WebSocket-Extensions: ;\r\n"), 400, Reason::BadRequest),
    ] {
        let before = counters(&server);
        let answer = String::from_utf8(exchange(server.public, request.as_bytes())).unwrap();
        assert_eq!(status(&answer), code, "{request}");
        one_more(&server, &before, reason, &request);
        server.logged(&format!("refused address=127.0.0.1 reason={} ", reason.as_str()));
    }
    let before = counters(&server);
    for request in [plain("GET", "/client.js", ""), plain("GET", "/health", ""), plain("OPTIONS", "/", "")] {
        assert_eq!(status(&String::from_utf8(exchange(server.public, request.as_bytes())).unwrap()), 200);
    }
    assert_eq!(counters(&server), before, "who is served is not refused");
}

#[test]
fn tokens_by_cause() {
    let secret = file("secret", SECRET);
    let key = file("key", KEY);
    let server = Server::serve(&[
        "--auth",
        "jwt",
        "--auth-key",
        &format!("HS256:{}", secret.display()),
        "--admin-key",
        key.to_str().unwrap(),
        "--log",
        "debug",
    ]);
    let other = file("other", "another secret, of 32 bytes and more");
    let token = |secret: &PathBuf, more: &[&str]| {
        let output = salon(&["token", "--secret-file", secret.to_str().unwrap(), "--sub", "ann"]).args(more).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
    };
    let good = token(&secret, &["--rooms", "attic"]);
    let long = "x".repeat(8193);
    for (token, reason) in [
        (&*token(&other, &[]), Reason::TokenSignature),
        (&*token(&secret, &["--audience", "somebody"]), Reason::TokenAudience),
        ("x", Reason::TokenMalformed),
        (&*long, Reason::TokenTooLong),
    ] {
        // The plain door answers with a status, the JSON door inside; both are refusals.
        for target in ["/ws/den", "/ws"] {
            let before = counters(&server);
            let request =
                [door(target, &format!("Authorization: Bearer {token}\r\n")).as_bytes(), b"\x88\x80\0\0\0\0"].concat();
            let answer = exchange(server.public, &request);
            let expected = if target == "/ws" { "101" } else { "401" };
            assert!(String::from_utf8_lossy(&answer).starts_with(&format!("HTTP/1.1 {expected}")), "{target} {token}");
            one_more(&server, &before, reason, target);
            server.logged(&format!("refused address=127.0.0.1 reason={}", reason.as_str()));
        }
    }
    for (headers, code, reason) in
        [("", 401, Reason::NoToken), (&*format!("Authorization: Bearer {good}\r\n"), 403, Reason::Room)]
    {
        let before = counters(&server);
        let answer = exchange(server.public, door("/ws/den", headers).as_bytes());
        assert_eq!(status(&String::from_utf8_lossy(&answer)), code);
        one_more(&server, &before, reason, headers);
    }
    // The admin port: what fail2ban reads.
    for (headers, reason) in [("", Reason::NoKey), ("Authorization: Bearer 0123456789abcdeX\r\n", Reason::WrongKey)] {
        let before = counters(&server);
        let answer = exchange(server.admin.unwrap(), plain("POST", "/api/publish", headers).as_bytes());
        assert_eq!(status(&String::from_utf8_lossy(&answer)), 401);
        one_more(&server, &before, reason, headers);
        server.logged(&format!("refused address=127.0.0.1 reason={}", reason.as_str()));
    }
}

#[test]
fn over_the_limit_of_connections() {
    let server = Server::serve(&["--max-connections", "2", "--log", "debug"]);
    let here = [server.connect("/ws?user=a"), server.connect("/ws?user=b")];
    let before = counters(&server);
    let answer = exchange(server.public, plain("HEAD", "/", "").as_bytes());
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 503);
    assert!(answer.ends_with(b"\r\n\r\n"), "the answer to HEAD has no body");
    one_more(&server, &before, Reason::Full, "one too many");
    // A client that sends nothing is refused as well.
    let before = counters(&server);
    let silent = tcp(server.public);
    server.logged("refused address=127.0.0.1 reason=full");
    while counters(&server) == before {}
    one_more(&server, &before, Reason::Full, "one who is silent");
    drop((silent, here));
    assert!(get(server.admin.unwrap(), "/metrics").1.contains("\nsalon_max_connections 2\n"));
}

/// A request that is answered 429 gets no other answer, and counts as no other refusal.
#[test]
fn over_the_limit_of_requests() {
    let server = Server::serve(&["--requests-per-address", "1", "--count-loopback"]);
    let before = counters(&server);
    let answers = exchange(server.public, "HEAD /nope HTTP/1.1\r\nHost: h\r\n\r\n".repeat(30).as_bytes());
    let answers = String::from_utf8(answers).unwrap();
    assert!(answers.ends_with("\r\n\r\n") && !answers.contains('{'), "{answers}");
    let told = |status: u32| answers.matches(&format!("HTTP/1.1 {status} ")).count() as u64;
    assert!(told(404) >= 10 && told(429) == 1, "{answers}");
    let mut expected = before;
    expected[Reason::NotFound as usize] += told(404);
    expected[Reason::AskedTooFast as usize] += 1;
    assert_eq!(counters(&server), expected);
}

#[test]
fn every_reason_is_documented() {
    let document = std::fs::read_to_string(format!("{}/docs/metrics.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for reason in Reason::ALL {
        assert!(document.contains(&format!("`{}`", reason.as_str())), "{}", reason.as_str());
    }
}

/// A request that is begun and not finished is answered; a connection that says nothing is not.
#[test]
fn a_request_that_is_not_finished_in_time() {
    let server = Server::serve(&["--head-within", "1s"]);
    for port in [server.public, server.admin.unwrap()] {
        let answer = String::from_utf8(exchange(port, b"GET / HTT")).unwrap();
        assert_eq!(status(&answer), 408, "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n") && answer.contains("\r\nDate: "), "{answer}");
        assert!(exchange(port, b"").is_empty());
    }
    assert!(get(server.admin.unwrap(), "/metrics").1.contains("salon_cut_off_total{reason=\"no_request\"} 4\n"));
}
