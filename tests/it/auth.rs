//! Tokens over real sockets: how they are shown, how bad ones are refused, how they end, and the mistakes of an
//! operator.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::Command;

use crate::common::{Client, PATIENCE, Server, close_code, exchange, hear, hear_with, salon, say, status, tcp};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::stream::MaybeTlsStream;

const SECRET: &str = "no secret at all, but 32 bytes long";

/// Signed with OpenSSL, until 2100, for `ann`, the rooms `den` and `team-*`, and the role announce.
const RS256: &str = include_str!("../keys/rs256.jwt");
const EDDSA: &str = include_str!("../keys/eddsa.jwt");

const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// A file of this test, by name.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("auth-{name}"));
    std::fs::write(&path, content).unwrap();
    path
}

fn key_of(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that knows tokens signed with [`SECRET`].
fn serve(test: &str, arguments: &[&str]) -> Server {
    let key = format!("HS256:{}", file(test, SECRET).display());
    Server::serve(&[&["--auth", "jwt", "--auth-key", &key], arguments].concat())
}

/// `salon token` with these arguments.
fn token(test: &str, arguments: &[&str]) -> String {
    let secret = file(&format!("{test}-token"), SECRET);
    let output = salon(&["token", "--secret-file", secret.to_str().unwrap()]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A client that sends these headers, and the sub-protocol that was selected.
fn connect(server: &Server, target: &str, headers: &[(&'static str, String)]) -> (Client, Option<HeaderValue>) {
    let mut request = format!("ws://{}{target}", server.public).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (mut client, response) = tungstenite::connect(request).expect("the door opens");
    match client.get_mut() {
        MaybeTlsStream::Plain(tcp) => tcp.set_read_timeout(Some(PATIENCE)).unwrap(),
        _ => unreachable!("no TLS here"),
    }
    (client, response.headers().get("sec-websocket-protocol").cloned())
}

#[track_caller]
fn welcomed(client: &mut Client, name: &str) {
    let welcome = hear(client);
    assert!(welcome.starts_with(r#"{"type":"welcome","#), "{welcome}");
    assert!(welcome.contains(&format!(r#""user_id":"{name}""#)) && welcome.contains(r#""expires_at":"#), "{welcome}");
}

#[track_caller]
fn turned_away(client: &mut Client, reason: &str) {
    let goodbye = format!(r#"{{"type":"goodbye","reason":"{reason}","reconnect":false,"after_ms":0}}"#);
    assert_eq!(hear(client), goodbye);
    assert_eq!(close_code(client), 4001);
}

#[test]
fn four_ways_to_show_a_token() {
    let server = serve("ways", &[]);
    let token = token("ways", &["--sub", "alice"]);

    let mut query = server.connect(&format!("/ws?token={token}"));
    welcomed(&mut query, "alice");
    let (mut header, _) = connect(&server, "/ws?user=bob", &[("Authorization", format!("Bearer {token}"))]);
    welcomed(&mut header, "alice");
    let offered = format!("salon.v1, token.{token}");
    let (mut offering, selected) = connect(&server, "/ws", &[("Sec-WebSocket-Protocol", offered)]);
    assert_eq!(selected, Some(HeaderValue::from_static("salon.v1")), "the token does not come back");
    welcomed(&mut offering, "alice");
    let mut first = server.connect("/ws?user=bob");
    say(&mut first, r#"{"type":"join","room_id":"den","id":1}"#);
    hear_with(&mut first, &[r#""type":"error","id":1,"code":"unauthorized""#]);
    say(&mut first, &format!(r#"{{"type":"auth","token":"{token}","id":2}}"#));
    welcomed(&mut first, "alice");

    // They are one user on four devices, and in the plain dialect on a fifth.
    say(&mut first, r#"{"type":"join","room_id":"den"}"#);
    hear_with(&mut first, &[r#""type":"online_users""#]);
    let mut plain = server.connect(&format!("/ws/den?token={token}"));
    hear_with(&mut plain, &[r#""type":"online_users","content":"alice""#]);
    say(&mut plain, "hello");
    hear_with(&mut first, &[r#""sender":"alice","content":"hello""#]);
}

#[test]
fn bad_tokens() {
    let server = serve("bad", &[]);
    let good = token("bad", &["--sub", "alice"]);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMH0.";
    for bad in [&*forged, message, none, RS256.trim(), EDDSA.trim(), "x", ""] {
        turned_away(&mut server.connect(&format!("/ws?token={bad}")), "unauthorized");
        let (mut header, _) = connect(&server, "/ws", &[("Authorization", format!("Bearer {bad}."))]);
        turned_away(&mut header, "unauthorized");
        let mut first = server.connect("/ws");
        say(&mut first, &format!(r#"{{"type":"auth","token":"{bad}"}}"#));
        turned_away(&mut first, "unauthorized");
        // The plain dialect has a status for it; where nothing is shown, too.
        for query in [format!("?username=alice&token={bad}"), "?username=alice".into()] {
            let request = format!("GET /ws/den{query} HTTP/1.1\r\nConnection: close\r\n{UPGRADE}\r\n");
            let answer = String::from_utf8(exchange_closed(&server, &request)).unwrap();
            assert_eq!(status(&answer), 401, "{answer}");
            assert!(answer.contains("\r\nWWW-Authenticate: Bearer"), "{answer}");
            assert!(bad.len() < 5 || !answer.contains(bad), "{answer}");
        }
    }
    turned_away(&mut server.connect("/ws?token=a.b.c&user=alice"), "unauthorized");
}

/// A token of so many bytes that says who `ann` is.
fn token_of(test: &str, len: usize) -> String {
    // The claims are grown until the token has that length, but for the rounding of base64; the name of an unknown
    // claim fills the rest. Not every length is one of base64: three of four are.
    let secret = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let sign = |fill: usize, kid: usize| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some("k".repeat(kid));
        let claims = serde_json::json!({ "sub": "ann", "exp": 4_102_444_800_u64, "fill": "x".repeat(fill) });
        jsonwebtoken::encode(&header, &claims, &secret).unwrap()
    };
    let room = len - sign(0, 0).len();
    let candidates = (0..12).flat_map(|kid| (0..24).map(move |less| (kid, less)));
    candidates
        .map(|(kid, less)| sign((room - less) * 3 / 4, kid))
        .find(|token| token.len() == len)
        .unwrap_or_else(|| panic!("{test}: no token of {len} bytes"))
}

/// The same limit by every way: a token of 8,192 bytes is let in, one of 8,193 hears that it is too long.
#[test]
fn tokens_at_the_limit_by_every_way() {
    let server = serve("limit", &[]);
    for (len, holds) in
        [(8150, true), (8151, true), (8191, true), (8192, true), (8193, false), (8194, false), (9000, false)]
    {
        let token = token_of("limit", len);
        let origin = format!("http://{}", server.public);
        let room = "%F0%9F%8F%A0".repeat(32);
        let json = [
            connect(&server, "/ws", &[("Authorization", format!("Bearer {token}"))]).0,
            server.connect(&format!("/ws?token={token}")),
            connect(
                &server,
                "/ws",
                &[("Sec-WebSocket-Protocol", format!("salon.v1, token.{token}")), ("Origin", origin)],
            )
            .0,
            {
                let mut first = server.connect("/ws");
                say(&mut first, &format!(r#"{{"type":"auth","token":"{token}"}}"#));
                first
            },
        ];
        for mut client in json {
            match holds {
                true => welcomed(&mut client, "ann"),
                false => turned_away(&mut client, "unauthorized"),
            }
        }
        // Behind the longest room there is, percent-encoded.
        let request = format!("GET /ws/{room}?token={token} HTTP/1.1\r\nConnection: close\r\n{UPGRADE}\r\n");
        let mut stream = tcp(server.public);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, if holds { b"HTTP/1.1 101" } else { b"HTTP/1.1 401" }, "{len}");
    }
}

/// Sends a request and reads the answer until the end of its body.
fn exchange_closed(server: &Server, request: &str) -> Vec<u8> {
    let mut stream = tcp(server.public);
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn a_session_outlives_its_token_by_the_grace_and_no_longer() {
    // Long enough to come in with on a slow machine; the test waits for the messages after its end.
    let short = |name: &str| token("expiry", &["--sub", name, "--ttl", "5s"]);
    let strict = serve("expiry", &["--auth-grace", "1s"]);
    let mut alice = strict.connect(&format!("/ws?token={}", short("alice")));
    let patient = serve("expiry", &["--auth-grace", "1h"]);
    let mut bob = patient.connect(&format!("/ws?token={}", short("bob")));
    welcomed(&mut alice, "alice");
    welcomed(&mut bob, "bob");
    hear_with(&mut alice, &[r#""code":"token_expired""#, r#""close_after_ms":1000"#]);
    turned_away(&mut alice, "token_expired");

    hear_with(&mut bob, &[r#""code":"token_expired""#, r#""close_after_ms":3600000"#]);
    let alices = token("expiry", &["--sub", "alice"]);
    say(&mut bob, &format!(r#"{{"type":"auth","token":"{alices}","id":1}}"#));
    hear_with(&mut bob, &[r#""id":1,"code":"forbidden""#]);
    let another = token("expiry", &["--sub", "bob"]);
    say(&mut bob, &format!(r#"{{"type":"auth","token":"{another}","id":2}}"#));
    hear_with(&mut bob, &[r#"{"type":"ack","id":2,"expires_at":"#]);
    say(&mut bob, r#"{"type":"ping","id":3}"#);
    hear_with(&mut bob, &[r#"{"type":"pong","id":3"#]);
}

#[test]
fn rooms_and_roles() {
    let server = serve("roles", &["--create-rooms", "role"]);
    let connect = |arguments: &[&str]| {
        let mut client = server.connect(&format!("/ws?token={}", token("roles", arguments)));
        hear(&mut client);
        client
    };
    let mut alice = connect(&["--sub", "alice", "--roles", "admin"]);
    say(&mut alice, r#"{"type":"join","room_id":"den"}"#);
    hear_with(&mut alice, &[r#""type":"online_users""#]);
    let mut bob = connect(&["--sub", "bob", "--rooms", "den,team-*"]);
    for (request, answer) in [
        (r#"{"type":"join","room_id":"attic","id":1}"#, r#""id":1,"code":"forbidden""#),
        (r#"{"type":"join","room_id":"team-red","id":2}"#, r#""id":2,"code":"room_not_found""#),
        (r#"{"type":"create_room","room_id":"team-red","id":3}"#, r#""id":3,"code":"forbidden""#),
        (r#"{"type":"broadcast","room_id":"*","content":"x","id":4}"#, r#""id":4,"code":"forbidden""#),
        (r#"{"type":"join","room_id":"den","id":5}"#, r#"{"type":"joined","id":5"#),
    ] {
        say(&mut bob, request);
        hear_with(&mut bob, &[answer]);
    }
    say(&mut alice, r#"{"type":"broadcast","room_id":"*","content":"tea"}"#);
    hear_with(&mut bob, &[r#""room_id":"*","sender":"alice","content":"tea""#]);
    // A room that the token is not for, whether or not it exists.
    for room in ["attic", "nowhere"] {
        let token = token("roles", &["--sub", "bob", "--rooms", "den"]);
        let request = format!("GET /ws/{room}?token={token} HTTP/1.1\r\n{UPGRADE}Connection: close\r\n\r\n");
        let answer = String::from_utf8(exchange_closed(&server, &request)).unwrap();
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(answer.ends_with("{\"error\":\"the token is not for this room\"}\n"), "{answer}");
    }
}

/// One key signs still, the other already; each has its own algorithm.
#[test]
fn public_keys_in_rotation() {
    let keys = [format!("RS256:{}", key_of("rsa2048.pub.pem")), format!("EdDSA:{}", key_of("ed25519.pub.pem"))];
    let server = Server::serve(&["--auth", "jwt", "--auth-key", &keys[0], "--auth-key", &keys[1]]);
    for good in [RS256, EDDSA] {
        welcomed(&mut server.connect(&format!("/ws?token={}", good.trim())), "ann");
    }
    // The public key, which everybody has, taken for a secret.
    let output = salon(&["token", "--sub", "ann", "--secret-file", &key_of("rsa2048.pub.pem")]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    turned_away(&mut server.connect(&format!("/ws?token={}", token("rotation", &["--sub", "ann"]))), "unauthorized");
}

/// Beyond loopback no `--open` is needed; and however much is logged, tokens are not.
#[test]
fn nothing_logged_has_a_token_in_it() {
    let mut child = salon(&["--listen", "0.0.0.0:0", "--admin", "off", "--log", "trace", "--auth", "jwt"])
        .env("SALON_AUTH_SECRET", SECRET)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut greeting = String::new();
    while !greeting.contains("Ctrl-C") {
        assert_ne!(log.read_line(&mut greeting).unwrap(), 0, "{greeting}");
    }
    assert!(greeting.contains("signed tokens: HS256") && !greeting.contains("user=NAME"), "{greeting}");
    // Not 0.0.0.0, which leads nowhere, but an address of this machine.
    let said = greeting.split("ws://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    assert!(!greeting.contains("0.0.0.0"), "{greeting}");
    let port = said.rsplit(':').next().unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let good = token("log", &["--sub", "alice"]);
    for (target, header) in [
        (format!("/ws?token={good}"), String::new()),
        ("/ws/den".into(), format!("Authorization: Bearer {good}x\r\n")),
        (format!("/ws/den?token={good}%ff"), String::new()),
        (format!("/nothing?token={good}"), String::new()),
        ("/ws".into(), format!("Sec-WebSocket-Protocol: token.{good}x\r\n")),
    ] {
        let request = format!("GET {target} HTTP/1.0\r\nHost: h\r\n{header}\r\n");
        let answer = String::from_utf8(exchange(address, request.as_bytes())).unwrap();
        assert!(!answer.contains(&good[..20]), "{answer}");
    }
    let (mut client, _) = tungstenite::connect(format!("ws://{address}/ws?token={good}")).unwrap();
    say(&mut client, &format!(r#"{{"type":"auth","token":"{good}x"}}"#));
    hear_with(&mut client, &[r#""code":"unauthorized""#]);
    say(&mut client, &format!(r#""{good}"#));
    let said = hear_with(&mut client, &[r#""code":"bad_json""#]);
    assert!(!said.contains(&good[..20]), "{said}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(!rest.contains(&good[..20]) && !rest.contains(SECRET), "{rest}");
}

#[test]
fn what_an_operator_can_get_wrong() {
    let secret = file("wrong", SECRET);
    let (secret, short) = (secret.to_str().unwrap(), file("short", "too short"));
    let three = format!("HS256:{secret},HS256:{secret},HS256:{secret}");
    let private = file("private", "-----BEGIN PRIVATE KEY-----\n");
    for (arguments, sentence) in [
        (&["--auth", "jwt"][..], "expected a key by --auth-key or SALON_AUTH_SECRET, found none"),
        (&["--auth", "ldap"], "expected open or jwt"),
        (&["--auth-key", &format!("HS256:{secret}")], "mean nothing with --auth open"),
        (&["--auth", "jwt", "--auth-key", &three], "expected at most 2 keys, found 3"),
        (&["--auth", "jwt", "--auth-key", "HS256:/does/not/exist"], "No such file"),
        (&["--auth", "jwt", "--auth-key", "none:x"], "expected HS256:FILE, RS256:FILE or EdDSA:FILE"),
        (&["--auth", "jwt", "--auth-key", &format!("HS256:{}", short.display())], "at least 32 bytes, found 9"),
        (&["--auth", "jwt", "--auth-key", &format!("HS256:{}", key_of("ed25519.pub.pem"))], "found a PEM file"),
        (&["--auth", "jwt", "--auth-key", &format!("RS256:{secret}")], "expected a public key for RS256"),
        (&["--auth", "jwt", "--auth-key", &format!("EdDSA:{}", private.display())], "expected a public key for EdDSA"),
        (&["--auth", "jwt", "--auth-key", &format!("RS256:{}", key_of("rsa1024.pub.pem"))], "2048 to 4096 bits"),
        (&["--create-rooms", "role"], "nobody has a role without --auth jwt"),
        (&["token", "--sub", "ann"], "expected a secret by --secret-file or SALON_AUTH_SECRET"),
        (&["token", "--sub", "*", "--secret-file", secret], "--sub:"),
        (&["token", "--sub", "ann", "--ttl", "0s", "--secret-file", secret], "expected a time"),
    ] {
        let output = salon(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(sentence) && said.lines().count() == 1, "{arguments:?}: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}
