//! `docs/wire.md` against a running server, with a client that was written elsewhere.
//!
//! Everything that the code can say or understands stands on the page, and everything that stands on the page is sent
//! or heard here: each type, each field, each error code. What the code knows are lists by type, so that nothing new
//! can be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Client, Server, close_code, exchange, hear, salon, say};
use salon::chat::{AnswerKind, CLOSE_CODES, Code, EndReason, Missing, PlainKind, RequestKind};
use serde_json::{Value, json};

/// Errors that a test over sockets cannot bring about: the store in memory never fails (`src/chat/tests/late.rs` has
/// one that does), and no mistake of ours is known.
const OUT_OF_REACH: [&str; 3] = ["backend_down", "unsupported", "internal"];

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/wire.md")).unwrap()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = &text[text.find(from).expect(from)..];
    &rest[..rest.find(to).expect(to)]
}

fn error_codes() -> BTreeSet<String> {
    Code::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}

/// The types of messages that sessions are sent, in both dialects.
fn answer_types() -> BTreeSet<String> {
    let of_sessions = AnswerKind::ALL.iter().filter(|kind| !kind.is_of_operators());
    let json = of_sessions.map(|kind| kind.as_str().to_owned());
    json.chain(PlainKind::ALL.iter().map(|kind| format!("plain {}", kind.as_str()))).collect()
}

/// The examples of the page: sent (`>`) or heard (`<`).
fn examples(mark: &str) -> Vec<Value> {
    let page = page();
    let lines: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix(mark)).filter(|line| line.starts_with('{')).collect();
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

fn is_plain(message: &Value) -> bool {
    message.get("username").is_some()
}

/// The type of a message and the paths of its fields: `limits.rate.per_second`, `items[].seq`.
type Shapes = BTreeMap<String, BTreeSet<String>>;

fn note_shape(shapes: &mut Shapes, message: &Value) {
    let kind = format!("{}{}", if is_plain(message) { "plain " } else { "" }, message["type"].as_str().unwrap());
    let paths = shapes.entry(kind.clone()).or_default();
    fn walk(value: &Value, path: &str, names: bool, paths: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    // The keys of `users` are names, and not ours.
                    let key = if names { "NAME" } else { key };
                    walk(value, &format!("{path}.{key}"), key == "users", paths);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), false, paths)),
            _ => drop(paths.insert(path.to_owned())),
        }
    }
    walk(message, "", false, paths);
}

/// Clients and all that they heard.
struct Ears {
    heard: Vec<Value>,
}

impl Ears {
    /// Sends a text and reads until the answer to a ping that follows it: everything that this client hears for it.
    fn say(&mut self, client: &mut Client, text: &str) -> Vec<Value> {
        say(client, text);
        self.catch_up(client)
    }

    fn catch_up(&mut self, client: &mut Client) -> Vec<Value> {
        say(client, r#"{"type":"ping","id":"caught up"}"#);
        let mut heard = Vec::new();
        loop {
            let message: Value = serde_json::from_str(&hear(client)).unwrap();
            self.heard.push(message.clone());
            if message["id"] == "caught up" {
                return heard;
            }
            heard.push(message);
        }
    }

    /// Reads so many messages.
    fn hear(&mut self, client: &mut Client, count: usize) {
        for _ in 0..count {
            self.heard.push(serde_json::from_str(&hear(client)).unwrap());
        }
    }

    fn refused(&mut self, client: &mut Client, text: &str, code: &str) {
        let heard = self.say(client, text);
        assert!(heard.iter().any(|message| message["code"] == code), "{text} was to be {code}: {heard:?}");
    }

    fn codes(&self) -> BTreeSet<String> {
        self.heard.iter().filter_map(|message| message["code"].as_str().map(Into::into)).collect()
    }
}

#[test]
fn everything_on_the_page_and_nothing_else() {
    let mut ears = Ears { heard: Vec::new() };
    in_open_mode(&mut ears);
    in_a_lively_house(&mut ears);
    in_a_small_house(&mut ears);
    in_a_forgetful_house(&mut ears);
    under_a_rate(&mut ears);
    with_tokens(&mut ears);

    let codes: BTreeSet<String> = error_codes();
    let heard = ears.codes();
    let out_of_reach: BTreeSet<String> = OUT_OF_REACH.map(Into::into).into();
    assert_eq!(codes.difference(&heard).filter(|code| !out_of_reach.contains(*code)).collect::<Vec<_>>(), [""; 0]);
    assert!(heard.is_subset(&codes), "{heard:?}");

    let (mut on_the_page, mut in_life) = (Shapes::new(), Shapes::new());
    examples("< ").iter().for_each(|message| note_shape(&mut on_the_page, message));
    ears.heard.iter().for_each(|message| note_shape(&mut in_life, message));
    assert_eq!(in_life, on_the_page, "left: heard, right: on the page");

    let types = answer_types();
    assert_eq!(in_life.keys().cloned().collect::<BTreeSet<_>>(), types, "left: heard, right: what can be sent");
}

#[test]
fn the_page_has_every_word_and_every_code() {
    let page = page();
    let sent: BTreeSet<String> =
        examples("> ").iter().map(|example| example["type"].as_str().unwrap().to_owned()).collect();
    for words in RequestKind::ALL.iter().map(|kind| kind.words()) {
        assert!(words.iter().any(|&word| sent.contains(word)), "no example of {words:?}");
        for &word in words {
            assert!(sent.contains(word) || page.contains(&format!("`{word}`")), "{word} is not on the page");
        }
    }
    let rows: BTreeSet<String> = quoted_rows(&page);
    let mut expected = error_codes();
    expected.insert("internal".into());
    assert!(expected.is_subset(&rows), "codes without a row: {:?}", expected.difference(&rows).collect::<Vec<_>>());
}

#[test]
fn the_page_has_every_reason_and_every_close_code() {
    let page = page();
    let goodbye = between(&page, "### goodbye", "## The plain dialect");
    for reason in EndReason::ALL {
        assert!(goodbye.contains(&format!("`{}`", reason.as_str())), "{reason:?}");
    }
    for why in Missing::ALL {
        assert!(page.contains(&format!("`why: \"{}\"`", why.as_str())), "{why:?}");
    }
    let table = between(&page, "## Close codes", "## Defaults");
    for code in CLOSE_CODES {
        assert!(table.contains(&format!("\n| {} |", code.get())), "{code:?}");
    }
}

/// The first cells of the table of errors.
fn quoted_rows(page: &str) -> BTreeSet<String> {
    let table = between(page, "### error", "### goodbye");
    table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

fn in_open_mode(ears: &mut Ears) {
    let mut server = Server::serve(&["--rate", "off", "--history", "3"]);
    let mut alice = server.connect("/ws?user=alice");
    let mut phone = server.connect("/ws?user=alice");
    let mut bob = server.connect("/ws?user=bob");
    let mut carol = server.connect("/ws?user=carol");
    for client in [&mut alice, &mut phone, &mut bob, &mut carol] {
        ears.catch_up(client);
    }
    // Everything on the page is understood, in one room or another.
    for example in examples("> ") {
        for room in ["den", "lab"] {
            ears.say(&mut alice, &json!({"type":"join","room_id":room}).to_string());
        }
        if example.get("user_id").is_some_and(|user| user == "bob") {
            ears.catch_up(&mut bob);
        }
        let heard = ears.say(&mut alice, &example.to_string());
        let refused = |message: &Value| matches!(message["code"].as_str(), Some("bad_json" | "bad_request"));
        assert!(!heard.iter().any(refused), "{example}: {heard:?}");
        if let Some(id) = example.get("id") {
            assert_eq!(heard.iter().filter(|message| message["id"] == *id).count(), 1, "{example}: {heard:?}");
        }
    }
    // People come and go, in both dialects.
    ears.say(&mut bob, r#"{"type":"join","room_id":"den"}"#);
    ears.say(&mut bob, r#"{"type":"status","status":"away","note":"at lunch"}"#);
    ears.catch_up(&mut server.connect("/ws?user=bob&status=offline"));
    let mut dan = server.connect("/ws/den?username=dan");
    ears.hear(&mut dan, 2);
    dan.send("hello".into()).unwrap();
    ears.hear(&mut dan, 1);
    dan.send("x".repeat(16_385).into()).unwrap();
    ears.hear(&mut dan, 1);
    ears.say(&mut carol, r#"{"type":"join","room_id":"den"}"#);
    ears.hear(&mut dan, 2);
    ears.say(&mut carol, r#"{"type":"leave","room_id":"den"}"#);
    ears.hear(&mut dan, 2);
    ears.catch_up(&mut alice);
    // An operator puts somebody out.
    ears.say(&mut carol, r#"{"type":"join","room_id":"attic"}"#);
    let body = r#"{"user_id":"carol","room_id":"attic"}"#;
    let head = "POST /api/kick HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    assert!(exchange(server.admin.unwrap(), request.as_bytes()).starts_with(b"HTTP/1.1 200 "));
    ears.catch_up(&mut carol);
    // Presence, with and without a room, and hiding.
    ears.say(&mut alice, r#"{"type":"presence","room_id":"den","subscribe":true}"#);
    ears.say(&mut bob, r#"{"type":"status","status":"busy","note":"writing"}"#);
    ears.catch_up(&mut alice);
    ears.say(&mut alice, r#"{"type":"members","room_id":"den","id":1}"#);
    ears.say(&mut alice, r#"{"type":"members","room_id":"den","limit":1,"id":1}"#);
    ears.say(&mut alice, r#"{"type":"online","limit":1,"id":1}"#);
    ears.say(&mut alice, r#"{"type":"rooms","limit":1,"id":1}"#);
    ears.say(&mut alice, r#"{"type":"create_room","id":1,"room_id":"new","name":"New","topic":"news"}"#);
    ears.say(&mut alice, r#"{"type":"join","room_id":"new"}"#);
    ears.say(&mut alice, r#"{"type":"topic","id":1,"room_id":"new","topic":"old"}"#);
    ears.say(&mut phone, r#"{"type":"join","room_id":"new"}"#);
    ears.say(&mut alice, r#"{"type":"leave","room_id":"new"}"#);
    ears.say(&mut phone, r#"{"type":"leave","room_id":"new"}"#);
    // To a user who is known and not here, as soon as the server has noticed.
    drop(server.connect("/ws?user=erin"));
    loop {
        let heard = ears.say(&mut alice, r#"{"type":"multicast","user_ids":["erin"],"content":"x"}"#);
        if heard.iter().any(|ack| ack["stored"] == json!(["erin"])) {
            break;
        }
    }
    // To others, and again.
    for text in [
        r#"{"type":"broadcast","id":"a","room_id":"den","content":"x"}"#,
        r#"{"type":"direct","id":"a","user_id":"bob","content":"x"}"#,
        r#"{"type":"multicast","id":"a","user_ids":["bob","eve"],"content":"x"}"#,
        r#"{"type":"broadcast","id":"a","room_id":"*","content":"x"}"#,
    ] {
        ears.say(&mut alice, text);
        let again = ears.say(&mut alice, text);
        assert!(again.len() == 1 && again[0]["dup"] == true, "{text}: {again:?}");
    }
    ears.say(&mut alice, r#"{"type":"typing","room_id":"den","typing":true,"id":9}"#);
    ears.say(&mut alice, r#"{"type":"typing","user_id":"bob","typing":true,"id":9}"#);
    let direct = ears.catch_up(&mut phone).iter().filter(|message| message["type"] == "direct").count();
    assert!(direct >= 3, "of the direct message, and of the multicasts");
    ears.catch_up(&mut bob);
    // Messages that are gone are named.
    for n in 0..5 {
        ears.say(&mut alice, &json!({"type":"broadcast","room_id":"den","content":n.to_string()}).to_string());
    }
    let joined = ears.say(&mut alice, r#"{"type":"join","room_id":"den","id":1}"#).remove(0);
    let since = json!({"epoch":joined["epoch"],"seq":1});
    let heard = ears.say(&mut phone, &json!({"type":"join","room_id":"den","since":since}).to_string());
    assert!(heard.iter().any(|message| message["type"] == "gap"), "{heard:?}");
    ears.say(&mut alice, r#"{"type":"history","id":1,"room_id":"den","limit":1}"#);
    ears.say(&mut alice, r#"{"type":"history","id":1,"room_id":"den"}"#);
    ears.say(&mut alice, r#"{"type":"history","id":1,"user_id":"bob"}"#);
    for (text, code) in [
        ("{", "bad_json"),
        ("[]", "bad_request"),
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":"auth","token":"x"}"#, "unknown_type"),
        (r#"{"type":"join","room_id":"den","user_id":"bob"}"#, "forbidden"),
        (r#"{"type":"room","room_id":"nowhere"}"#, "room_not_found"),
        (r#"{"type":"direct","user_id":"nobody","content":""}"#, "user_not_found"),
        (r#"{"type":"leave","room_id":"nowhere"}"#, "not_joined"),
        (r#"{"type":"history","room_id":"den","before":2}"#, "history_gone"),
        (r#"{"type":"history","room_id":"den","epoch":"0000000000000000"}"#, "epoch_changed"),
    ] {
        ears.refused(&mut alice, text, code);
    }
    let long = "x".repeat(16_385);
    ears.refused(&mut alice, &json!({"type":"direct","user_id":"bob","content":long}).to_string(), "too_large");
    let rooms: Vec<Value> = (0..128).map(|n| json!({"room_id":format!("r{n}")})).collect();
    ears.say(&mut carol, &json!({"type":"join","id":1,"rooms":rooms}).to_string());
    ears.say(&mut carol, &json!({"type":"join","id":1,"rooms":[{"room_id":"one more"}]}).to_string());
    say(&mut carol, r#"{"type":"join","room_id":"one more"}"#);
    ears.catch_up(&mut carol);
    // The end.
    server.signal("TERM");
    ears.hear(&mut alice, 1);
    assert_eq!(close_code(&mut alice), 1012);
    drop((alice, phone, bob, carol, dan));
    assert!(server.wait().success());
}

/// Messages are answered, edited, deleted and reacted to, live, in a replay and in the history; and read.
fn in_a_lively_house(ears: &mut Ears) {
    let server = Server::serve(&["--rate", "off"]);
    let mut alice = server.connect("/ws?user=alice");
    let mut phone = server.connect("/ws?user=alice");
    let mut bob = server.connect("/ws?user=bob");
    for client in [&mut alice, &mut phone, &mut bob] {
        ears.catch_up(client);
    }
    ears.say(&mut alice, r#"{"type":"join","room_id":"den"}"#);
    for (place, say) in [(json!({"room_id":"den"}), "broadcast"), (json!({"user_id":"bob"}), "direct")] {
        let mut id = 0;
        let mut ask = |kind: &str, more: Value, refused: Option<&str>| {
            id += 1;
            let mut message = json!({"type":kind,"id":id});
            for fields in [&place, &more] {
                message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            }
            match refused {
                Some(code) => ears.refused(&mut alice, &message.to_string(), code),
                None => drop(ears.say(&mut alice, &message.to_string())),
            }
        };
        ask(say, json!({"content":"@room one"}), None);
        ask(say, json!({"content":"two"}), None);
        ask("edit", json!({"of":1,"content":"@room one!"}), None);
        ask("edit", json!({"of":2,"content":"two!"}), None);
        ask("react", json!({"of":1,"emoji":"👍","on":true}), None);
        ask("delete", json!({"of":2}), None);
        ask("delete", json!({"of":2}), Some("not_found"));
        if say == "broadcast" {
            ask(say, json!({"content":"three","reply_to":1}), None);
        }
        ask("history", json!({"limit":3}), None);
        ask("history", json!({"limit":1}), None);
        ask("read", json!({"seq":2}), None);
    }
    ears.catch_up(&mut bob);
    ears.catch_up(&mut phone);
    ears.say(&mut phone, r#"{"type":"join","room_id":"den","history":3}"#);
    ears.say(&mut bob, r#"{"type":"direct","user_id":"bob","content":"to do"}"#);
    ears.say(&mut bob, r#"{"type":"conversations","id":1,"limit":1}"#);
    ears.say(&mut phone, r#"{"type":"rooms","id":1}"#);
    ears.say(&mut alice, r#"{"type":"search","id":1,"text":"one"}"#);
    ears.say(&mut alice, r#"{"type":"search","id":1,"text":"one","limit":1}"#);
}

/// History is in memory: another run is another life of each room, and a client that comes back sees it.
#[test]
fn a_restart_is_another_epoch() {
    let mut ears = Ears { heard: Vec::new() };
    let mut since = json!(null);
    for run in 0..2 {
        let server = Server::serve(&[]);
        let mut alice = server.connect("/ws?user=alice");
        ears.catch_up(&mut alice);
        let joined = ears.say(&mut alice, &json!({"type":"join","room_id":"den","since":since}).to_string()).remove(0);
        assert_eq!((&joined["recovered"], &joined["seq"]), (&json!(false), &json!(0)));
        assert_ne!(joined["epoch"], since["epoch"], "run {run}");
        ears.say(&mut alice, r#"{"type":"broadcast","content":"x"}"#);
        since = json!({"epoch": joined["epoch"], "seq": 1});
    }
}

fn in_a_small_house(ears: &mut Ears) {
    let server = Server::serve(&["--rate", "off", "--max-rooms", "1", "--room-members", "1"]);
    let mut alice = server.connect("/ws?user=alice");
    let mut bob = server.connect("/ws?user=bob");
    ears.say(&mut alice, r#"{"type":"join","room_id":"den"}"#);
    ears.refused(&mut bob, r#"{"type":"join","room_id":"den"}"#, "room_full");
    ears.refused(&mut bob, r#"{"type":"join","room_id":"lab"}"#, "overloaded");
}

fn in_a_forgetful_house(ears: &mut Ears) {
    let server = Server::serve(&["--rate", "off", "--history", "0"]);
    let mut alice = server.connect("/ws?user=alice");
    let mut bob = server.connect("/ws?user=bob");
    ears.catch_up(&mut bob);
    ears.say(&mut bob, r#"{"type":"status","status":"offline"}"#);
    let text = r#"{"type":"multicast","id":1,"user_ids":["bob"],"content":"x"}"#;
    let ack = ears.say(&mut alice, text).pop().unwrap();
    assert_eq!((&ack["stored"], &ack["missed"]), (&json!([]), &json!(["bob"])));
}

fn under_a_rate(ears: &mut Ears) {
    let server = Server::serve(&["--rate", "1:10"]);
    let mut alice = server.connect("/ws?user=alice");
    ears.hear(&mut alice, 1);
    (0..50).for_each(|n| say(&mut alice, &format!(r#"{{"type":"ping","id":{n}}}"#)));
    ears.hear(&mut alice, 50);
}

fn with_tokens(ears: &mut Ears) {
    let secret = std::env::temp_dir().join(format!("salon-wire-{}", std::process::id()));
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let key = format!("HS256:{secret}");
    let server = Server::serve(&["--rate", "off", "--auth", "jwt", "--auth-key", &key, "--auth-grace", "1s"]);
    let token = |ttl: &str| {
        let output = salon(&["token", "--secret-file", &secret, "--sub", "alice", "--ttl", ttl]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let mut alice = server.connect("/ws");
    say(&mut alice, r#"{"type":"ping","id":1}"#);
    ears.hear(&mut alice, 1);
    say(&mut alice, &json!({"type":"auth","id":2,"token":token("1h")}).to_string());
    ears.hear(&mut alice, 1);
    ears.say(&mut alice, &json!({"type":"auth","id":3,"token":token("1h")}).to_string());
    // One that ends within a second: a warning, and after the grace goodbye.
    say(&mut alice, &json!({"type":"auth","id":3,"token":token("1s")}).to_string());
    while ears.heard.last().is_none_or(|message| message["type"] != "goodbye") {
        ears.hear(&mut alice, 1);
    }
    assert_eq!(close_code(&mut alice), 4001);
    std::fs::remove_file(secret).unwrap();
}
