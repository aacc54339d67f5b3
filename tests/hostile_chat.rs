//! Messages nobody should send, over real sockets, in both dialects.
//!
//! Each row is the exact texts and the exact answers, run as `tests/common/rows.rs` says: an error never closes a
//! connection, and every row goes on after its errors. Limits that need a clock or thousands of users have rows in
//! `src/chat/tests`.

mod common;

use common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, closed, frame, text, told, upgrade, welcome};
use common::{Server, close_code, hear, hear_with, say};

/// Texts in, texts out.
type Row<'a> = (&'a str, Vec<String>, Vec<String>);

fn check(server: &Server, neighbour: &mut Neighbour, rows: &[Row<'_>]) {
    for (name, texts, answers) in rows {
        let octets: Vec<u8> = texts.iter().flat_map(|said| text(said)).collect();
        let answer: Vec<u8> = answers.iter().flat_map(|heard| told(0x81, heard.as_bytes())).collect();
        let octets = [&upgrade("/ws?user=USER0000"), &octets[..], CLOSE].concat();
        let answer = [SWITCHED.as_bytes(), &welcome("USER0000"), &answer, CLOSE_ANSWERED].concat();
        neighbour.check(server, name, &octets, &answer);
    }
}

/// Each text is refused with its code and sentence, and a ping behind it is answered.
fn check_refused(rows: &[(&str, String, &str, &str, &str)]) {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(name, said, id, code, sentence)| {
            let refused = refused(id, code, sentence);
            (*name, vec![said.clone(), PING.into()], vec![refused, PONG.into()])
        })
        .collect();
    check(&server, &mut neighbour, &rows);
}

fn refused(id: &str, code: &str, sentence: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!(r#""id":{id},"#) };
    let sentence = serde_json::to_string(sentence).unwrap();
    format!(r#"{{"type":"error",{id}"code":"{code}","message":{sentence},"retry":false}}"#)
}

const PING: &str = r#"{"type":"ping","id":99}"#;
const PONG: &str = r#"{"type":"pong","id":99,"ts":0000000000000}"#;
const JOIN: &str = r#"{"type":"join","room_id":"ROOM0000"}"#;
const JOINED: &str = concat!(
    r#"{"type":"joined","room_id":"ROOM0000","user_id":"USER0000","epoch":"0000000000000000","#,
    r#""seq":0,"recovered":false,"members":1}"#
);
const ONLINE: &str = r#"{"type":"online_users","room_id":"ROOM0000","users":["USER0000"],"count":1}"#;

fn deep(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn what_is_no_request() {
    let json = "expected one JSON object, found: ";
    let read = "a message that cannot be read: ";
    let rows: Vec<(&str, String, &str, &str, String)> = vec![
        ("nothing", "".into(), "", "bad_json", format!("{json}EOF while parsing a value at line 1 column 0")),
        ("a word", "hello".into(), "", "bad_json", format!("{json}expected value at line 1 column 1")),
        (
            "half an object",
            r#"{"type":"ping""#.into(),
            "",
            "bad_json",
            format!("{json}EOF while parsing an object at line 1 column 14"),
        ),
        (
            "two objects",
            r#"{"type":"ping"}{}"#.into(),
            "",
            "bad_json",
            format!("{json}trailing characters at line 1 column 16"),
        ),
        (
            "single quotes",
            "{'type':'ping'}".into(),
            "",
            "bad_json",
            format!("{json}key must be a string at line 1 column 2"),
        ),
        (
            "a comma too many",
            r#"{"type":"ping",}"#.into(),
            "",
            "bad_json",
            format!("{json}key must be a string at line 1 column 16"),
        ),
        (
            "a control in a string",
            "{\"type\":\"pi\nng\"}".into(),
            "",
            "bad_json",
            format!("{json}control character (\\u0000-\\u001F) found while parsing a string at line 1 column 11"),
        ),
        (
            "NaN",
            r#"{"type":"ping","id":NaN}"#.into(),
            "",
            "bad_json",
            format!("{json}expected value at line 1 column 21"),
        ),
        (
            "a byte order mark",
            "\u{feff}{\"type\":\"ping\"}".into(),
            "",
            "bad_json",
            format!("{json}expected value at line 1 column 1"),
        ),
        (
            "an array",
            "[1]".into(),
            "",
            "bad_request",
            format!("{read}invalid type: sequence, expected a JSON object at line 1 column 1"),
        ),
        (
            "a string",
            r#""ping""#.into(),
            "",
            "bad_request",
            format!("{read}invalid type: string \"ping\", expected a JSON object at line 1 column 6"),
        ),
        ("no type", r#"{"id":1}"#.into(), "1", "bad_request", "`type`: expected a string, found nothing".into()),
        (
            "type null",
            r#"{"id":1,"type":null}"#.into(),
            "1",
            "bad_request",
            "`type`: expected a string, found nothing".into(),
        ),
        (
            "type as array",
            r#"{"id":1,"type":["ping"]}"#.into(),
            "1",
            "bad_request",
            "`type`: expected a string, found an array".into(),
        ),
        (
            "type as object",
            r#"{"id":1,"type":{"ping":1}}"#.into(),
            "1",
            "bad_request",
            "`type`: expected a string, found an object".into(),
        ),
        (
            "type in capitals",
            r#"{"id":1,"type":"PING"}"#.into(),
            "1",
            "unknown_type",
            "expected a type of docs/wire.md, found \"PING\"".into(),
        ),
        (
            "a type of the server",
            r#"{"id":1,"type":"welcome"}"#.into(),
            "1",
            "unknown_type",
            "expected a type of docs/wire.md, found \"welcome\"".into(),
        ),
        (
            "a type of 30,000 bytes",
            format!(r#"{{"id":1,"type":"{}"}}"#, "é".repeat(15_000)),
            "1",
            "unknown_type",
            format!("expected a type of docs/wire.md, found \"{}\"", "é".repeat(32)),
        ),
        (
            "type of markup",
            r#"{"id":1,"type":"<script>\u001b[31m"}"#.into(),
            "1",
            "unknown_type",
            "expected a type of docs/wire.md, found \"<script>\\u{1b}[31m\"".into(),
        ),
        (
            "type twice",
            r#"{"id":1,"type":"ping","type":"ping"}"#.into(),
            "1",
            "bad_request",
            format!("{read}field `type` stands twice at line 1 column 36"),
        ),
        (
            "id twice",
            r#"{"type":"ping","id":1,"id":2}"#.into(),
            "",
            "bad_request",
            format!("{read}field `id` stands twice at line 1 column 29"),
        ),
        (
            "id as fraction",
            r#"{"type":"ping","id":1.5}"#.into(),
            "",
            "bad_request",
            "`id`: expected a string or an integer, found a number that is no 64-bit integer".into(),
        ),
        (
            "id of 30 digits",
            r#"{"type":"ping","id":123456789012345678901234567890}"#.into(),
            "",
            "bad_request",
            "`id`: expected a string or an integer, found a number that is no 64-bit integer".into(),
        ),
        (
            "id as true",
            r#"{"type":"ping","id":true}"#.into(),
            "",
            "bad_request",
            "`id`: expected a string or an integer, found a boolean".into(),
        ),
        (
            "id of 65 bytes",
            format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(65)),
            "",
            "bad_request",
            "`id`: expected a string of at most 64 bytes, found 65 bytes".into(),
        ),
        (
            "id of 66 bytes in 33 characters",
            format!(r#"{{"type":"ping","id":"{}"}}"#, "é".repeat(33)),
            "",
            "bad_request",
            "`id`: expected a string of at most 64 bytes, found 66 bytes".into(),
        ),
        (
            "a field 200 deep",
            format!(r#"{{"id":1,"type":"broadcast","content":{}}}"#, deep(200)),
            "1",
            "bad_request",
            "`content`: expected a string, found an array".into(),
        ),
        (
            "nothing but depth",
            deep(30_000),
            "",
            "bad_request",
            format!("{read}invalid type: sequence, expected a JSON object at line 1 column 1"),
        ),
        (
            "depth without end",
            "[".repeat(60_000),
            "",
            "bad_json",
            format!("{json}EOF while parsing a list at line 1 column 60000"),
        ),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(name, said, id, code, sentence)| (*name, said.clone(), *id, *code, &**sentence)).collect();
    check_refused(&rows);
}

#[test]
fn fields_that_are_wrong() {
    let say = |more: &str| format!(r#"{{"id":1,{more}}}"#);
    let name = |bytes: usize| format!("a name has 1 to 128 bytes, this one has {bytes}");
    let character =
        |code: &str| format!("a name has no control characters and no bidi overrides, this one has U+{code}");
    let not_joined = "expected a room that this session has joined, found another one";
    let rows: Vec<(&str, String, &str, String)> = vec![
        (
            "room empty",
            say(r#""type":"join","room_id":"""#),
            "bad_request",
            "`room_id`: a name has 1 to 128 bytes, this one is empty".into(),
        ),
        (
            "room of 129 bytes",
            say(&format!(r#""type":"join","room_id":"{}""#, "x".repeat(129))),
            "bad_request",
            format!("`room_id`: {}", name(129)),
        ),
        (
            "room of 60,000 bytes",
            say(&format!(r#""type":"join","room_id":"{}""#, "x".repeat(60_000))),
            "bad_request",
            format!("`room_id`: {}", name(60_000)),
        ),
        (
            "room *",
            say(r#""type":"join","room_id":"*""#),
            "bad_request",
            "`room_id`: \"*\" means everybody and is no name".into(),
        ),
        (
            "room with NUL",
            say(r#""type":"join","room_id":"a\u0000""#),
            "bad_request",
            format!("`room_id`: {}", character("0000")),
        ),
        (
            "room with ESC",
            say(r#""type":"join","room_id":"\u001b[2J""#),
            "bad_request",
            format!("`room_id`: {}", character("001B")),
        ),
        (
            "room with CR LF",
            say(r#""type":"join","room_id":"a\r\nb""#),
            "bad_request",
            format!("`room_id`: {}", character("000D")),
        ),
        (
            "room with a bidi override",
            say(r#""type":"create_room","room_id":"a\u202eb""#),
            "bad_request",
            format!("`room_id`: {}", character("202E")),
        ),
        (
            "room with an isolate",
            say("\"type\":\"join\",\"room_id\":\"\u{2066}\""),
            "bad_request",
            format!("`room_id`: {}", character("2066")),
        ),
        (
            "room as number",
            say(r#""type":"join","room_id":5"#),
            "bad_request",
            "`room_id`: expected a string, found a number".into(),
        ),
        (
            "room as array",
            say(r#""type":"join","room_id":["a"]"#),
            "bad_request",
            "`room_id`: expected a string, found an array".into(),
        ),
        ("room missing", say(r#""type":"join""#), "bad_request", "`room_id`: expected a string, found nothing".into()),
        (
            "room twice",
            say(r#""type":"join","room_id":"a","room_id":"b""#),
            "bad_request",
            "a message that cannot be read: field `room_id` stands twice at line 1 column 50".into(),
        ),
        (
            "another name",
            say(r#""type":"join","room_id":"ROOM0000","user_id":"somebody""#),
            "forbidden",
            "`user_id`: expected none or the name of this session, found another name".into(),
        ),
        (
            "recipient with ESC",
            say(r#""type":"direct","user_id":"\u001b","content":"""#),
            "bad_request",
            format!("`user_id`: {}", character("001B")),
        ),
        (
            "a recipient never seen",
            say(r#""type":"direct","user_id":"nobody","content":"""#),
            "user_not_found",
            "expected a user who has been here, found an unknown name".into(),
        ),
        (
            "content missing",
            say(r#""type":"direct","user_id":"neighbour""#),
            "bad_request",
            "`content`: expected a string, found nothing".into(),
        ),
        (
            "content as object",
            say(r#""type":"direct","user_id":"neighbour","content":{}"#),
            "bad_request",
            "`content`: expected a string, found an object".into(),
        ),
        (
            "content null",
            say(r#""type":"direct","user_id":"neighbour","content":null"#),
            "bad_request",
            "`content`: expected a string, found nothing".into(),
        ),
        (
            "content of 16,385 bytes",
            say(&format!(r#""type":"direct","user_id":"neighbour","content":"{}""#, "x".repeat(16_385))),
            "too_large",
            "`content`: expected at most 16384 bytes, found 16385".into(),
        ),
        (
            "content of 8,193 characters of 2",
            say(&format!(r#""type":"direct","user_id":"neighbour","content":"{}""#, "é".repeat(8_193))),
            "too_large",
            "`content`: expected at most 16384 bytes, found 16386".into(),
        ),
        (
            "content over the limit for everybody",
            say(&format!(r#""type":"broadcast","room_id":"*","content":"{}""#, "x".repeat(16_385))),
            "too_large",
            "`content`: expected at most 16384 bytes, found 16385".into(),
        ),
        (
            "a lone surrogate",
            say(r#""type":"broadcast","content":"\ud800""#),
            "bad_request",
            "a message that cannot be read: unexpected end of hex escape at line 1 column 45".into(),
        ),
        (
            "speaking in a room not joined",
            say(r#""type":"broadcast","room_id":"next door","content":"x""#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "speaking in a room that is not",
            say(r#""type":"broadcast","room_id":"ROOM0000","content":"x""#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "members of a room not joined",
            say(r#""type":"members","room_id":"next door""#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "members of a room that is not",
            say(r#""type":"members","room_id":"ROOM0000""#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "history of a room not joined",
            say(r#""type":"history","room_id":"next door""#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "history of a room that is not",
            say(r#""type":"history","room_id":"ROOM0000""#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "typing in a room not joined",
            say(r#""type":"typing","room_id":"next door","typing":true"#),
            "not_joined",
            not_joined.into(),
        ),
        (
            "presence of a room not joined",
            say(r#""type":"presence","room_id":"next door""#),
            "not_joined",
            not_joined.into(),
        ),
        ("leaving a room not joined", say(r#""type":"leave","room_id":"next door""#), "not_joined", not_joined.into()),
        (
            "limit 0",
            say(r#""type":"rooms","limit":0"#),
            "bad_request",
            "`limit`: expected an integer from 1, found 0".into(),
        ),
        (
            "limit -1",
            say(r#""type":"online","limit":-1"#),
            "bad_request",
            "`limit`: expected an integer from 1, found a negative number".into(),
        ),
        (
            "limit 1.5",
            say(r#""type":"rooms","limit":1.5"#),
            "bad_request",
            "`limit`: expected an integer from 1, found a number that is no 64-bit integer".into(),
        ),
        (
            "limit as string",
            say(r#""type":"rooms","limit":"5""#),
            "bad_request",
            "`limit`: expected an integer from 1, found a string".into(),
        ),
        (
            "after -1",
            say(r#""type":"history","room_id":"a","after":-1"#),
            "bad_request",
            "`after`: expected an integer from 0, found a negative number".into(),
        ),
        (
            "after 2^64",
            say(r#""type":"history","room_id":"a","after":18446744073709551616"#),
            "bad_request",
            "`after`: expected an integer from 0, found a number that is no 64-bit integer".into(),
        ),
        (
            "before of 30 digits",
            say(r#""type":"history","room_id":"a","before":123456789012345678901234567890"#),
            "bad_request",
            "`before`: expected an integer from 0, found a number that is no 64-bit integer".into(),
        ),
        (
            "before 1e2",
            say(r#""type":"history","room_id":"a","before":1e2"#),
            "bad_request",
            "`before`: expected an integer from 0, found a number that is no 64-bit integer".into(),
        ),
        (
            "after 1e400",
            say(r#""type":"history","room_id":"a","after":1e400"#),
            "bad_request",
            "a message that cannot be read: number out of range at line 1 column 52".into(),
        ),
        (
            "both bounds",
            say(r#""type":"history","room_id":"a","before":5,"after":1"#),
            "bad_request",
            "expected `before` or `after` or neither, found both".into(),
        ),
        (
            "room and user",
            say(r#""type":"history","room_id":"a","user_id":"b""#),
            "bad_request",
            "expected `room_id` or `user_id`, found both".into(),
        ),
        (
            "since as number",
            say(r#""type":"join","room_id":"ROOM0000","since":5"#),
            "bad_request",
            "`since`: expected an object {epoch, seq}, found a number".into(),
        ),
        (
            "since without epoch",
            say(r#""type":"join","room_id":"ROOM0000","since":{"seq":5}"#),
            "bad_request",
            "`since.epoch`: expected a string, found nothing".into(),
        ),
        (
            "since with seq -1",
            say(r#""type":"join","room_id":"ROOM0000","since":{"epoch":"x","seq":-1}"#),
            "bad_request",
            "`since.seq`: expected an integer from 0, found a negative number".into(),
        ),
        (
            "since with seq twice",
            say(r#""type":"join","room_id":"ROOM0000","since":{"seq":1,"seq":2}"#),
            "bad_request",
            "a message that cannot be read: a field of an object stands twice at line 1 column 65".into(),
        ),
        (
            "a status that is none",
            say(r#""type":"status","status":"invisible""#),
            "bad_request",
            "`status`: expected online, away, busy or offline, found another word".into(),
        ),
        (
            "a note of 257 bytes",
            say(&format!(r#""type":"status","status":"away","note":"{}""#, "x".repeat(257))),
            "too_large",
            "`note`: expected at most 256 bytes, found 257".into(),
        ),
        (
            "a topic of 257 bytes",
            say(&format!(r#""type":"create_room","room_id":"ROOM0000","topic":"{}""#, "x".repeat(257))),
            "too_large",
            "`topic`: expected at most 256 bytes, found 257".into(),
        ),
        (
            "no recipients",
            say(r#""type":"multicast","user_ids":[],"content":"""#),
            "bad_request",
            "`user_ids`: expected 1 to 100 names, found 0".into(),
        ),
        (
            "101 recipients",
            say(&format!(r#""type":"multicast","user_ids":[{}],"content":"""#, names(101))),
            "bad_request",
            "`user_ids`: expected 1 to 100 names, found 101".into(),
        ),
        (
            "1,001 recipients",
            say(&format!(r#""type":"multicast","user_ids":[{}],"content":"""#, names(1001))),
            "bad_request",
            "a message that cannot be read: expected at most 1000 elements, found more at line 1 column 7047".into(),
        ),
        (
            "recipients as numbers",
            say(r#""type":"multicast","user_ids":[1],"content":"""#),
            "bad_request",
            "`user_ids`: expected an array of strings, found a number".into(),
        ),
        (
            "a recipient with a bad name",
            say(r#""type":"multicast","user_ids":["\u0007"],"content":"""#),
            "bad_request",
            format!("`user_id`: {}", character("0007")),
        ),
        (
            "typing as string",
            say(r#""type":"typing","room_id":"a","typing":"yes""#),
            "bad_request",
            "`typing`: expected true or false, found a string".into(),
        ),
        (
            "a cursor that is none",
            say(r#""type":"members","room_id":"next door","cursor":7"#),
            "bad_request",
            "`cursor`: expected a string, found a number".into(),
        ),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(name, said, code, sentence)| (*name, said.clone(), "1", *code, &**sentence)).collect();
    check_refused(&rows);
}

fn names(count: usize) -> String {
    (0..count).map(|n| format!(r#""n{n:03}""#)).collect::<Vec<_>>().join(",")
}

/// Strange, and what it says it is.
#[test]
fn strange_and_right() {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let many: String = (0..3_000).map(|n| format!(r#""field{n}":{n},"#)).collect();
    let said = |content: &str, seq: u64| {
        format!(
            r#"{{"type":"broadcast","room_id":"ROOM0000","sender":"USER0000","content":"{content}","seq":{seq},"ts":0000000000000}}"#
        )
    };
    let pong = |id: &str| format!(r#"{{"type":"pong","id":{id},"ts":0000000000000}}"#);
    let ping = |id: &str| format!(r#"{{"type":"ping","id":{id}}}"#);
    let history = |more: &str| format!(r#"{{"type":"history","room_id":"ROOM0000"{more}}}"#);
    let item = r#"{"sender":"USER0000","content":"x","seq":1,"ts":0000000000000}"#;
    let page = |items: &str, more: &str| {
        format!(r#"{{"type":"history","room_id":"ROOM0000","epoch":"0000000000000000","items":[{items}]{more}}}"#)
    };
    let to_own = r#"{"type":"direct","user_id":"USER0000","content":"#;
    let from_own = |content: &str, seq: u64| {
        format!(
            r#"{{"type":"direct","sender":"USER0000","user_id":"USER0000","content":"{content}","seq":{seq},"ts":0000000000000}}"#
        )
    };
    let inside = |more: &[&str]| [&[JOIN], more].concat().into_iter().map(String::from).collect::<Vec<_>>();
    let heard = |more: &[&str]| [&[JOINED, ONLINE], more].concat().into_iter().map(String::from).collect::<Vec<_>>();
    let one = |text: String| vec![text];
    check(
        &server,
        &mut neighbour,
        &[
            ("space around", one(" \t\r\n{ \"type\" : \"ping\" , \"id\" : 1 } \n".into()), one(pong("1"))),
            ("a type written in escapes", one(r#"{"\u0074ype":"\u0070ing","id":1}"#.into()), one(pong("1"))),
            ("3,000 fields", one(format!(r#"{{{many}"type":"ping","id":1}}"#)), one(pong("1"))),
            ("a field 200 deep", one(format!(r#"{{"x":{},"type":"ping","id":1}}"#, deep(200))), one(pong("1"))),
            ("a field 20,000 deep", one(format!(r#"{{"x":{},"type":"ping","id":1}}"#, deep(20_000))), one(pong("1"))),
            ("1e400 where nobody looks", one(r#"{"x":1e400,"type":"ping","id":1}"#.into()), one(pong("1"))),
            ("an unknown field twice", one(r#"{"x":1,"x":2,"type":"ping","id":1}"#.into()), one(pong("1"))),
            ("a lone surrogate where nobody looks", one(r#"{"\udead":"\ud800","type":"ping","id":1}"#.into()), one(pong("1"))),
            ("__proto__", one(r#"{"__proto__":{"type":"x"},"constructor":1,"type":"ping","id":1}"#.into()), one(pong("1"))),
            ("id 2^64-1", one(ping("18446744073709551615")), one(pong("18446744073709551615"))),
            ("id -2^63", one(ping("-9223372036854775808")), one(pong("-9223372036854775808"))),
            ("id of 64 bytes", one(ping(&format!("\"{}\"", "é".repeat(32)))), one(pong(&format!("\"{}\"", "é".repeat(32))))),
            ("id empty", one(ping("\"\"")), one(pong("\"\""))),
            ("id of markup and controls", one(ping(r#""</script>\u0000\u2028""#)), one(pong("\"</script>\\u0000\u{2028}\""))),
            ("id null", one(ping("null")), one(r#"{"type":"pong","ts":0000000000000}"#.into())),
            (
                "sender, seq and ts of a client",
                inside(&[r#"{"type":"broadcast","content":"x","sender":"admin","seq":7,"ts":1,"epoch":"e","user_joined":1}"#]),
                heard(&[&said("x", 1)]),
            ),
            ("markup is passed on", inside(&[r#"{"type":"chat","content":"<script>alert(1)</script>"}"#]), heard(&[&said("<script>alert(1)</script>", 1)])),
            (
                "controls are passed on, escaped",
                inside(&[r#"{"type":"chat","content":"\u0000\u001b[31m\r\n\u202e"}"#]),
                heard(&[&said("\\u0000\\u001b[31m\\r\\n\u{202e}", 1)]),
            ),
            ("a pair of surrogates is a character", inside(&[r#"{"type":"chat","content":"\ud83d\ude00"}"#]), heard(&[&said("😀", 1)])),
            ("history after 2^64-1", inside(&[&history(r#","after":18446744073709551615"#)]), heard(&[&page("", "")])),
            (
                "history before 2^64-1",
                inside(&[r#"{"type":"chat","content":"x"}"#, &history(r#","before":18446744073709551615"#)]),
                heard(&[&said("x", 1), &page(item, "")]),
            ),
            ("history before 0", inside(&[r#"{"type":"chat","content":"x"}"#, &history(r#","before":0"#)]), heard(&[&said("x", 1), &page("", "")])),
            ("history with limit 1e9", inside(&[r#"{"type":"chat","content":"x"}"#, &history(r#","limit":1000000000"#)]), heard(&[&said("x", 1), &page(item, "")])),
            ("history with limit 2^64-1", inside(&[&history(r#","limit":18446744073709551615"#)]), heard(&[&page("", "")])),
            (
                "a cursor of 2^32",
                inside(&[r#"{"type":"members","room_id":"ROOM0000","cursor":"4294967296"}"#]),
                heard(&[&refused("", "bad_request", "`cursor`: expected the last `next`, found another text")]),
            ),
            (
                "a cursor of 2^32-1",
                inside(&[r#"{"type":"members","room_id":"ROOM0000","cursor":"4294967295"}"#]),
                heard(&[r#"{"type":"members","room_id":"ROOM0000","members":[],"count":1}"#]),
            ),
            (
                "since 2^64-1 of another epoch",
                one(r#"{"type":"join","room_id":"ROOM0000","since":{"epoch":"no such epoch","seq":18446744073709551615}}"#.into()),
                heard(&[]),
            ),
            (
                "history 2^64-1 on joining",
                one(r#"{"type":"join","room_id":"ROOM0000","history":18446744073709551615}"#.into()),
                heard(&[]),
            ),
            ("100 recipients", one(format!(r#"{{"type":"multicast","user_ids":[{}],"content":""}}"#, names(100))), one(format!(r#"{{"type":"ack","delivered":[],"stored":[],"unknown":[{}]}}"#, names(100)))),
            ("content of 16,384 bytes", one(format!(r#"{to_own}"{}"}}"#, "x".repeat(16_384))), one(from_own(&"x".repeat(16_384), 1))),
            // Six bytes on the wire for each of content: the message is what is too long, not the content.
            ("content of 10,900 escapes", one(format!(r#"{to_own}"{}"}}"#, r"\u0061".repeat(10_900))), one(from_own(&"a".repeat(10_900), 1))),
        ],
    );
    let octets = [&upgrade("/ws?user=USER0000")[..], &frame(0x82, b"{\"type\":\"ping\"}"), &text(PING), CLOSE].concat();
    let answer =
        [SWITCHED.as_bytes(), &welcome("USER0000"), &closed(1003, "expected text, found a binary message")].concat();
    neighbour.check(&server, "binary", &octets, &answer);
}

#[test]
fn the_plain_dialect() {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let plain = |kind: &str, content: &str, user: &str| {
        let content = serde_json::to_string(content).unwrap();
        told(
            0x81,
            format!(r#"{{"type":"{kind}","content":{content},"room":"ROOM0000","username":"{user}"}}"#).as_bytes(),
        )
    };
    let said = |content: &str| plain("chat", content, "USER0000");
    let longest = "x".repeat(16_384);
    let too_long = "é".repeat(8_193);
    for (name, texts, answers) in [
        ("empty", vec![""], vec![said("")]),
        (
            "looks like JSON",
            vec![r#"{"type":"leave","room_id":"ROOM0000"}"#],
            vec![said(r#"{"type":"leave","room_id":"ROOM0000"}"#)],
        ),
        (
            "breaks out of JSON",
            vec![r#"","username":"admin"}"#, "\\\"\u{0}\u{1b}\u{7f}\r\n\u{2028}"],
            vec![said(r#"","username":"admin"}"#), said("\\\"\u{0}\u{1b}\u{7f}\r\n\u{2028}")],
        ),
        (
            "markup",
            vec!["<script>alert(1)</script>", "</script>"],
            vec![said("<script>alert(1)</script>"), said("</script>")],
        ),
        (
            "bidi and beyond",
            vec!["\u{202e}\u{2066}\u{feff}\u{10ffff}"],
            vec![said("\u{202e}\u{2066}\u{feff}\u{10ffff}")],
        ),
        ("16,384 bytes", vec![&longest], vec![said(&longest)]),
        (
            "16,386 bytes, and one more message",
            vec![&too_long, "still here"],
            vec![plain("error", "`content`: expected at most 16384 bytes, found 16386", ""), said("still here")],
        ),
    ] {
        let octets: Vec<u8> = texts.iter().flat_map(|said| text(said)).collect();
        let octets = [&upgrade("/ws/ROOM0000?username=USER0000"), &octets[..], CLOSE].concat();
        let opened =
            [plain("user_joined", "USER0000 joined the room", "USER0000"), plain("online_users", "USER0000", "")];
        let answer = [SWITCHED.as_bytes(), &opened.concat(), &answers.concat(), CLOSE_ANSWERED].concat();
        neighbour.check(&server, name, &octets, &answer);
    }
    let opened = [plain("user_joined", "USER0000 joined the room", "USER0000"), plain("online_users", "USER0000", "")];
    let octets = [&upgrade("/ws/ROOM0000?username=USER0000")[..], &frame(0x82, b"x"), &text("late"), CLOSE].concat();
    let answer =
        [SWITCHED.as_bytes(), &opened.concat(), &closed(1003, "expected text, found a binary message")].concat();
    neighbour.check(&server, "binary", &octets, &answer);
}

#[test]
fn a_session_can_be_in_128_rooms() {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    let mut client = server.connect("/ws?user=collector");
    for room in 0..128 {
        say(&mut client, &format!(r#"{{"type":"join","room_id":"r{room}","id":{room}}}"#));
        hear_with(&mut client, &[r#""type":"joined""#, &format!(r#""id":{room},"#)]);
    }
    say(&mut client, r#"{"type":"join","room_id":"r128","id":128}"#);
    let refused = hear_with(&mut client, &[r#""id":128"#]);
    assert!(refused.contains(r#""code":"too_many_rooms""#), "{refused}");
    // One less makes room for one more; one that it is in already takes none.
    for said in [
        r#"{"type":"join","room_id":"r0","id":129}"#,
        r#"{"type":"leave","room_id":"r0","id":129}"#,
        r#"{"type":"join","room_id":"r128","id":129}"#,
    ] {
        say(&mut client, said);
        let answer = hear_with(&mut client, &[r#""id":129"#]);
        assert!(answer.contains(r#""type":"joined""#) || answer.contains(r#""type":"left""#), "{answer}");
    }
    neighbour.talks();
}

#[test]
fn a_user_has_16_sessions() {
    let server = Server::serve(&[]);
    let mut sessions: Vec<_> = (0..16).map(|_| server.connect("/ws?user=many")).collect();
    for session in &mut sessions {
        assert!(hear(session).contains(r#""type":"welcome""#));
    }
    for (target, goodbye) in [
        ("/ws?user=many", r#"{"type":"goodbye","reason":"connection_limit","reconnect":true,"after_ms":10000}"#),
        (
            "/ws/r?username=many",
            r#"{"type":"error","content":"too many sessions of this user","room":"","username":""}"#,
        ),
    ] {
        let mut one_more = server.connect(target);
        assert_eq!(hear(&mut one_more), goodbye);
        assert_eq!(close_code(&mut one_more), 4100);
    }
    // The others live on, and are not spoken to.
    say(&mut sessions[0], r#"{"type":"ping","id":1}"#);
    assert!(hear(&mut sessions[0]).starts_with(r#"{"type":"pong","id":1,"#));
    // When one is gone there is room again.
    let mut first = sessions.swap_remove(0);
    first.close(None).unwrap();
    assert_eq!(close_code(&mut first), 1005);
    assert!(hear(&mut server.connect("/ws?user=many")).contains(r#""type":"welcome""#));
}

/// Frames of every kind are billed, and to the user: another connection has nothing more to spend.
#[test]
fn floods_are_refused_and_cost_the_neighbour_nothing() {
    // A bucket that is as good as never refilled: the row does not depend on how fast it runs.
    let server = Server::serve(&["--rate", "1:40"]);
    let mut neighbour = server.connect("/ws?user=bystander");
    hear(&mut neighbour);
    let mut floods = 0;
    for (name, flood) in [
        ("messages", text(r#"{"type":"broadcast","room_id":"*","content":"x","id":1}"#)),
        ("joins", text(r#"{"type":"join","room_id":"r","id":1}"#)),
        ("typing", text(r#"{"type":"typing","user_id":"bystander","typing":false,"id":1}"#)),
        ("junk", text(r#"{"id":1"#)),
        ("pings", [frame(0x89, b""), text(r#"{"type":"ping","id":1}"#)].concat()),
        ("pongs", [frame(0x8a, b""), text(r#"{"type":"ping","id":1}"#)].concat()),
    ] {
        let octets = [&upgrade(&format!("/ws?user={name}")), &flood.repeat(400)[..], CLOSE].concat();
        let answer = common::exchange(server.public, &octets);
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.matches(r#""code":"rate_limited""#).count();
        // Junk has no id that could be read, so that its refusals are told once a second.
        let told = if name == "junk" { 1 } else { 300 };
        assert!(refused >= told, "{name}: {refused} of 400 refused");
        // Coming back does not help.
        let again = [&upgrade(&format!("/ws?user={name}")), &text(r#"{"type":"ping","id":1}"#)[..], CLOSE].concat();
        let answers: Vec<u8> = (0..20).flat_map(|_| common::exchange(server.public, &again)).collect();
        let pongs = String::from_utf8_lossy(&answers).matches(r#""type":"pong""#).count();
        assert!(pongs < 20, "{name}: every new connection was let speak");
        floods += 1;
    }
    assert_eq!(floods, 6);
    // What was said to everybody before the bucket was empty, and nothing else.
    say(&mut neighbour, r#"{"type":"ping","id":"n"}"#);
    loop {
        let heard = hear(&mut neighbour);
        if heard.starts_with(r#"{"type":"pong","id":"n","#) {
            break;
        }
        assert!(
            heard.starts_with(r#"{"type":"broadcast","room_id":"*","sender":"messages","content":"x","#),
            "{heard}"
        );
    }
}
