//! Messages nobody should send, over real sockets, in both dialects.
//!
//! Each row is the exact texts and the exact answers, run as `tests/it/common/rows.rs` says: an error never closes a
//! connection, and every row goes on after its errors. Limits that need a clock or thousands of users have rows in
//! `src/chat/tests`.

use crate::common::rows::{CLOSE, CLOSE_ANSWERED, Neighbour, SWITCHED, closed, frame, text, told, upgrade, welcome};
use crate::common::{Server, close_code, exchange, hear, hear_with, say};

/// Texts in, texts out.
struct Row {
    name: &'static str,
    said: Vec<String>,
    heard: Vec<String>,
}

/// What is said and what is heard for it.
fn row<S: Into<String>, H: Into<String>>(
    name: &'static str,
    said: impl IntoIterator<Item = S>,
    heard: impl IntoIterator<Item = H>,
) -> Row {
    Row { name, said: said.into_iter().map(S::into).collect(), heard: heard.into_iter().map(H::into).collect() }
}

/// A text that is refused, with the id that could be read, if any.
fn refused(name: &'static str, said: impl Into<String>, id: &str, code: &str, sentence: impl std::fmt::Display) -> Row {
    row(name, [said], [refusal(id, code, sentence)])
}

/// A door, what is heard behind it at once, and what is said and heard behind each row.
struct Door<'a> {
    target: &'a str,
    opened: Vec<u8>,
    last: (&'a str, &'a str),
}

fn check_at(door: &Door<'_>, rows: &[Row]) {
    let server = Server::serve(&["--rate", "off"]);
    let mut neighbour = Neighbour::chat(&server);
    for Row { name, said, heard } in rows {
        let said = said.iter().map(String::as_str).chain([door.last.0]).flat_map(text);
        let heard = heard.iter().map(String::as_str).chain([door.last.1]);
        let heard = heard.flat_map(|heard| told(0x81, heard.as_bytes()));
        let bytes = [&upgrade(door.target), &said.collect::<Vec<u8>>()[..], CLOSE].concat();
        let answer = [SWITCHED.as_bytes(), &door.opened, &heard.collect::<Vec<u8>>(), CLOSE_ANSWERED].concat();
        neighbour.check(&server, name, &bytes, &answer);
    }
}

/// At the JSON door.
fn check(rows: &[Row]) {
    check_at(&Door { target: "/ws?user=USER0000", opened: welcome("USER0000"), last: (PING, PONG) }, rows);
}

fn refusal(id: &str, code: &str, sentence: impl std::fmt::Display) -> String {
    let id = if id.is_empty() { String::new() } else { format!(r#""id":{id},"#) };
    let sentence = serde_json::to_string(&sentence.to_string()).unwrap();
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
    let end = |column: usize| format!("expected one JSON object, found an end too early at line 1 column {column}");
    let not_json =
        |column: usize| format!("expected one JSON object, found what is not JSON at line 1 column {column}");
    let another = "expected one JSON object, found another value";
    let read = "a message that cannot be read: ";
    check(&[
        refused("nothing", "", "", "bad_json", end(0)),
        refused("a word", "hello", "", "bad_json", not_json(1)),
        refused("half an object", r#"{"type":"ping""#, "", "bad_json", end(14)),
        refused("two objects", r#"{"type":"ping"}{}"#, "", "bad_json", not_json(16)),
        refused("single quotes", "{'type':'ping'}", "", "bad_json", not_json(2)),
        refused("a comma too many", r#"{"type":"ping",}"#, "", "bad_json", not_json(16)),
        refused("a control in a string", "{\"type\":\"pi\nng\"}", "", "bad_json", not_json(11)),
        refused("NaN", r#"{"type":"ping","id":NaN}"#, "", "bad_json", not_json(21)),
        refused("a byte order mark", "\u{feff}{\"type\":\"ping\"}", "", "bad_json", not_json(1)),
        refused("an array", "[1]", "", "bad_request", another),
        refused("a string", r#""ping""#, "", "bad_request", another),
        refused("no type", r#"{"id":1}"#, "1", "bad_request", "`type`: expected a string, found nothing"),
        refused("type null", r#"{"id":1,"type":null}"#, "1", "bad_request", "`type`: expected a string, found nothing"),
        refused(
            "type as array",
            r#"{"id":1,"type":["ping"]}"#,
            "1",
            "bad_request",
            "`type`: expected a string, found an array",
        ),
        refused(
            "type as object",
            r#"{"id":1,"type":{"ping":1}}"#,
            "1",
            "bad_request",
            "`type`: expected a string, found an object",
        ),
        refused(
            "type in capitals",
            r#"{"id":1,"type":"PING"}"#,
            "1",
            "unknown_type",
            "expected a type of docs/wire.md, found \"PING\"",
        ),
        refused(
            "a type of the server",
            r#"{"id":1,"type":"welcome"}"#,
            "1",
            "unknown_type",
            "expected a type of docs/wire.md, found \"welcome\"",
        ),
        refused(
            "a type of 30,000 bytes",
            format!(r#"{{"id":1,"type":"{}"}}"#, "é".repeat(15_000)),
            "1",
            "unknown_type",
            format!("expected a type of docs/wire.md, found \"{}\"", "é".repeat(32)),
        ),
        refused(
            "type of markup",
            r#"{"id":1,"type":"<script>\u001b[31m"}"#,
            "1",
            "unknown_type",
            "expected a type of docs/wire.md, found \"<script>\\u{1b}[31m\"",
        ),
        refused(
            "type twice",
            r#"{"id":1,"type":"ping","type":"ping"}"#,
            "1",
            "bad_request",
            format!("{read}field `type` stands twice at line 1 column 36"),
        ),
        refused(
            "id twice",
            r#"{"type":"ping","id":1,"id":2}"#,
            "",
            "bad_request",
            format!("{read}field `id` stands twice at line 1 column 29"),
        ),
        refused(
            "id as fraction",
            r#"{"type":"ping","id":1.5}"#,
            "",
            "bad_request",
            "`id`: expected a string or an integer, found a number that is no 64-bit integer",
        ),
        refused(
            "id of 30 digits",
            r#"{"type":"ping","id":123456789012345678901234567890}"#,
            "",
            "bad_request",
            "`id`: expected a string or an integer, found a number that is no 64-bit integer",
        ),
        refused(
            "id as true",
            r#"{"type":"ping","id":true}"#,
            "",
            "bad_request",
            "`id`: expected a string or an integer, found a boolean",
        ),
        refused(
            "id of 65 bytes",
            format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(65)),
            "",
            "bad_request",
            "`id`: expected a string of at most 64 bytes, found 65 bytes",
        ),
        refused(
            "id of 66 bytes in 33 characters",
            format!(r#"{{"type":"ping","id":"{}"}}"#, "é".repeat(33)),
            "",
            "bad_request",
            "`id`: expected a string of at most 64 bytes, found 66 bytes",
        ),
        refused(
            "a field 200 deep",
            format!(r#"{{"id":1,"type":"broadcast","content":{}}}"#, deep(200)),
            "1",
            "bad_request",
            "`content`: expected a string, found an array",
        ),
        refused("nothing but depth", deep(30_000), "", "bad_request", another),
        refused("depth without end", "[".repeat(60_000), "", "bad_json", end(60000)),
    ]);
}

#[test]
fn fields_that_are_wrong() {
    let refused =
        |name, more: &str, code, sentence: &str| refused(name, format!(r#"{{"id":1,{more}}}"#), "1", code, sentence);
    let bad = |name, more: &str, sentence: &str| refused(name, more, "bad_request", sentence);
    let name = |bytes: usize| format!("a name has 1 to 128 bytes, this one has {bytes}");
    let character =
        |code: &str| format!("a name has no control characters and no bidi overrides, this one has U+{code}");
    let not_joined = "expected a room that this session has joined, found another one";
    check(&[
        bad("room empty", r#""type":"join","room_id":"""#, "`room_id`: a name has 1 to 128 bytes, this one is empty"),
        bad(
            "room of 129 bytes",
            &format!(r#""type":"join","room_id":"{}""#, "x".repeat(129)),
            &format!("`room_id`: {}", name(129)),
        ),
        bad(
            "room of 60,000 bytes",
            &format!(r#""type":"join","room_id":"{}""#, "x".repeat(60_000)),
            &format!("`room_id`: {}", name(60_000)),
        ),
        bad("room *", r#""type":"join","room_id":"*""#, "`room_id`: \"*\" means everybody and is no name"),
        bad("room with NUL", r#""type":"join","room_id":"a\u0000""#, &format!("`room_id`: {}", character("0000"))),
        bad("room with ESC", r#""type":"join","room_id":"\u001b[2J""#, &format!("`room_id`: {}", character("001B"))),
        bad("room with CR LF", r#""type":"join","room_id":"a\r\nb""#, &format!("`room_id`: {}", character("000D"))),
        bad(
            "room with a bidi override",
            r#""type":"create_room","room_id":"a\u202eb""#,
            &format!("`room_id`: {}", character("202E")),
        ),
        bad(
            "room with an isolate",
            "\"type\":\"join\",\"room_id\":\"\u{2066}\"",
            &format!("`room_id`: {}", character("2066")),
        ),
        bad("room as number", r#""type":"join","room_id":5"#, "`room_id`: expected a string, found a number"),
        bad("room as array", r#""type":"join","room_id":["a"]"#, "`room_id`: expected a string, found an array"),
        bad("room missing", r#""type":"join""#, "`room_id`: expected a string, found nothing"),
        bad(
            "room twice",
            r#""type":"join","room_id":"a","room_id":"b""#,
            "a message that cannot be read: field `room_id` stands twice at line 1 column 50",
        ),
        refused(
            "another name",
            r#""type":"join","room_id":"ROOM0000","user_id":"somebody""#,
            "forbidden",
            "`user_id`: expected none or the name of this session, found another name",
        ),
        bad(
            "recipient with ESC",
            r#""type":"direct","user_id":"\u001b","content":"""#,
            &format!("`user_id`: {}", character("001B")),
        ),
        refused(
            "a recipient never seen",
            r#""type":"direct","user_id":"nobody","content":"""#,
            "user_not_found",
            "expected a user who has been here, found an unknown name",
        ),
        bad(
            "content missing",
            r#""type":"direct","user_id":"neighbour""#,
            "`content`: expected a string, found nothing",
        ),
        bad(
            "content as object",
            r#""type":"direct","user_id":"neighbour","content":{}"#,
            "`content`: expected a string, found an object",
        ),
        bad(
            "content null",
            r#""type":"direct","user_id":"neighbour","content":null"#,
            "`content`: expected a string, found nothing",
        ),
        refused(
            "content of 16,385 bytes",
            &format!(r#""type":"direct","user_id":"neighbour","content":"{}""#, "x".repeat(16_385)),
            "too_large",
            "`content`: expected at most 16384 bytes, found 16385",
        ),
        refused(
            "content of 8,193 characters of 2",
            &format!(r#""type":"direct","user_id":"neighbour","content":"{}""#, "é".repeat(8_193)),
            "too_large",
            "`content`: expected at most 16384 bytes, found 16386",
        ),
        refused(
            "content over the limit for everybody",
            &format!(r#""type":"broadcast","room_id":"*","content":"{}""#, "x".repeat(16_385)),
            "too_large",
            "`content`: expected at most 16384 bytes, found 16385",
        ),
        bad(
            "a lone surrogate",
            r#""type":"broadcast","content":"\ud800""#,
            "expected whole characters, found half of one (a lone surrogate) at line 1 column 45",
        ),
        refused(
            "speaking in a room not joined",
            r#""type":"broadcast","room_id":"next door","content":"x""#,
            "not_joined",
            not_joined,
        ),
        refused(
            "speaking in a room that is not",
            r#""type":"broadcast","room_id":"ROOM0000","content":"x""#,
            "not_joined",
            not_joined,
        ),
        refused("members of a room not joined", r#""type":"members","room_id":"next door""#, "not_joined", not_joined),
        refused("members of a room that is not", r#""type":"members","room_id":"ROOM0000""#, "not_joined", not_joined),
        refused("history of a room not joined", r#""type":"history","room_id":"next door""#, "not_joined", not_joined),
        refused("history of a room that is not", r#""type":"history","room_id":"ROOM0000""#, "not_joined", not_joined),
        refused(
            "typing in a room not joined",
            r#""type":"typing","room_id":"next door","typing":true"#,
            "not_joined",
            not_joined,
        ),
        refused(
            "presence of a room not joined",
            r#""type":"presence","room_id":"next door""#,
            "not_joined",
            not_joined,
        ),
        refused("leaving a room not joined", r#""type":"leave","room_id":"next door""#, "not_joined", not_joined),
        bad("limit 0", r#""type":"rooms","limit":0"#, "`limit`: expected an integer from 1, found 0"),
        bad(
            "limit -1",
            r#""type":"online","limit":-1"#,
            "`limit`: expected an integer from 1, found a negative number",
        ),
        bad(
            "limit 1.5",
            r#""type":"rooms","limit":1.5"#,
            "`limit`: expected an integer from 1, found a number that is no 64-bit integer",
        ),
        bad("limit as string", r#""type":"rooms","limit":"5""#, "`limit`: expected an integer from 1, found a string"),
        bad(
            "after -1",
            r#""type":"history","room_id":"a","after":-1"#,
            "`after`: expected an integer from 0, found a negative number",
        ),
        bad(
            "after 2^64",
            r#""type":"history","room_id":"a","after":18446744073709551616"#,
            "`after`: expected an integer from 0, found a number that is no 64-bit integer",
        ),
        bad(
            "before of 30 digits",
            r#""type":"history","room_id":"a","before":123456789012345678901234567890"#,
            "`before`: expected an integer from 0, found a number that is no 64-bit integer",
        ),
        bad(
            "before 1e2",
            r#""type":"history","room_id":"a","before":1e2"#,
            "`before`: expected an integer from 0, found a number that is no 64-bit integer",
        ),
        bad(
            "after 1e400",
            r#""type":"history","room_id":"a","after":1e400"#,
            "expected numbers within reason, found another at line 1 column 52",
        ),
        bad(
            "both bounds",
            r#""type":"history","room_id":"a","before":5,"after":1"#,
            "expected `before` or `after` or neither, found both",
        ),
        bad(
            "room and user",
            r#""type":"history","room_id":"a","user_id":"b""#,
            "expected `room_id` or `user_id`, found both",
        ),
        bad(
            "two words for a recipient",
            r#""type":"direct","to":"neighbour","user_id":"somebody","content":"x""#,
            "expected `user_id` or `to`, found both",
        ),
        bad(
            "the same recipient by two words",
            r#""type":"broadcast","to":"neighbour","user_id":"neighbour","content":"x""#,
            "expected `user_id` or `to`, found both",
        ),
        bad(
            "typing to two",
            r#""type":"typing","to":"neighbour","user_id":"somebody","typing":true"#,
            "expected `user_id` or `to`, found both",
        ),
        bad(
            "history with two",
            r#""type":"history","to":"neighbour","user_id":"somebody""#,
            "expected `user_id` or `to`, found both",
        ),
        bad(
            "two words for recipients",
            r#""type":"multicast","users":["neighbour"],"user_ids":["somebody"],"content":"x""#,
            "expected `user_ids` or `users`, found both",
        ),
        bad(
            "two words for those watched",
            r#""type":"presence","users":[],"user_ids":["somebody"]"#,
            "expected `user_ids` or `users`, found both",
        ),
        bad(
            "since as number",
            r#""type":"join","room_id":"ROOM0000","since":5"#,
            "`since`: expected an object {epoch, seq}, found a number",
        ),
        bad(
            "since without epoch",
            r#""type":"join","room_id":"ROOM0000","since":{"seq":5}"#,
            "`since.epoch`: expected a string, found nothing",
        ),
        bad(
            "since with seq -1",
            r#""type":"join","room_id":"ROOM0000","since":{"epoch":"x","seq":-1}"#,
            "`since.seq`: expected an integer from 0, found a negative number",
        ),
        bad(
            "since with seq twice",
            r#""type":"join","room_id":"ROOM0000","since":{"seq":1,"seq":2}"#,
            "a message that cannot be read: field `seq` stands twice at line 1 column 68",
        ),
        bad(
            "a status that is none",
            r#""type":"status","status":"invisible""#,
            "`status`: expected online, away, busy or offline, found another word",
        ),
        refused(
            "a note of 257 bytes",
            &format!(r#""type":"status","status":"away","note":"{}""#, "x".repeat(257)),
            "too_large",
            "`note`: expected at most 256 bytes, found 257",
        ),
        refused(
            "a topic of 257 bytes",
            &format!(r#""type":"create_room","room_id":"ROOM0000","topic":"{}""#, "x".repeat(257)),
            "too_large",
            "`topic`: expected at most 256 bytes, found 257",
        ),
        bad(
            "a topic with controls",
            r#""type":"create_room","room_id":"ROOM0000","topic":"a\u0007\n""#,
            "`topic`: expected characters that a name may have, found U+0007",
        ),
        bad(
            "a topic of two lines",
            r#""type":"create_room","room_id":"ROOM0000","topic":"a\nb""#,
            "`topic`: expected characters that a name may have, found U+000A",
        ),
        bad(
            "a title with a bidi override",
            r#""type":"create_room","room_id":"ROOM0000","name":"a\u202eb""#,
            "`name`: expected characters that a name may have, found U+202E",
        ),
        bad(
            "a note with an isolate",
            "\"type\":\"status\",\"status\":\"away\",\"note\":\"\u{2067}\"",
            "`note`: expected characters that a name may have, found U+2067",
        ),
        bad(
            "no recipients",
            r#""type":"multicast","user_ids":[],"content":"""#,
            "`user_ids`: expected 1 to 100 names, found 0",
        ),
        refused(
            "101 recipients",
            &format!(r#""type":"multicast","user_ids":[{}],"content":"""#, names(101)),
            "too_large",
            "`user_ids`: expected 1 to 100 names, found 101",
        ),
        refused(
            "1,001 recipients",
            &format!(r#""type":"multicast","user_ids":[{}],"content":"""#, names(1001)),
            "too_large",
            "`user_ids`: expected at most 1000 names, found more",
        ),
        refused(
            "1,001 times the same recipient",
            &format!(r#""type":"multicast","users":[{}"a"],"content":"""#, r#""a","#.repeat(1000)),
            "too_large",
            "`users`: expected at most 1000 names, found more",
        ),
        refused(
            "presence of 1,001",
            &format!(r#""type":"presence","user_ids":[{}]"#, names(1001)),
            "too_large",
            "`user_ids`: expected at most 1000 names, found more",
        ),
        bad(
            "1,001 names for one",
            &format!(r#""type":"direct","user_id":[{}],"content":"""#, names(1001)),
            "`user_id`: expected a string, found an array",
        ),
        bad(
            "recipients as numbers",
            r#""type":"multicast","user_ids":[1],"content":"""#,
            "`user_ids`: expected an array of strings, found a number",
        ),
        bad(
            "a recipient with a bad name",
            r#""type":"multicast","user_ids":["\u0007"],"content":"""#,
            &format!("`user_id`: {}", character("0007")),
        ),
        bad(
            "typing as string",
            r#""type":"typing","room_id":"a","typing":"yes""#,
            "`typing`: expected true or false, found a string",
        ),
        bad(
            "a cursor that is none",
            r#""type":"members","room_id":"next door","cursor":7"#,
            "`cursor`: expected a string, found a number",
        ),
    ]);
}

fn names(count: usize) -> String {
    (0..count).map(|n| format!(r#""n{n:03}""#)).collect::<Vec<_>>().join(",")
}

/// Strange, and what it says it is.
#[test]
fn strange_and_right() {
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
    check(&[
        row("space around", [" \t\r\n{ \"type\" : \"ping\" , \"id\" : 1 } \n"], [pong("1")]),
        row("a type written in escapes", [r#"{"\u0074ype":"\u0070ing","id":1}"#], [pong("1")]),
        row("3,000 fields", [format!(r#"{{{many}"type":"ping","id":1}}"#)], [pong("1")]),
        row("a field 200 deep", [format!(r#"{{"x":{},"type":"ping","id":1}}"#, deep(200))], [pong("1")]),
        row("a field 20,000 deep", [format!(r#"{{"x":{},"type":"ping","id":1}}"#, deep(20_000))], [pong("1")]),
        row("1e400 where nobody looks", [r#"{"x":1e400,"type":"ping","id":1}"#], [pong("1")]),
        row("an unknown field twice", [r#"{"x":1,"x":2,"type":"ping","id":1}"#], [pong("1")]),
        row("a lone surrogate where nobody looks", [r#"{"\udead":"\ud800","type":"ping","id":1}"#], [pong("1")]),
        row("__proto__", [r#"{"__proto__":{"type":"x"},"constructor":1,"type":"ping","id":1}"#], [pong("1")]),
        row("id 2^64-1", [ping("18446744073709551615")], [pong("18446744073709551615")]),
        row("id -2^63", [ping("-9223372036854775808")], [pong("-9223372036854775808")]),
        row("id of 64 bytes", [ping(&format!("\"{}\"", "é".repeat(32)))], [pong(&format!("\"{}\"", "é".repeat(32)))]),
        row("id empty", [ping("\"\"")], [pong("\"\"")]),
        row("id of markup and controls", [ping(r#""</script>\u0000\u2028""#)], [pong("\"</script>\\u0000\u{2028}\"")]),
        row("id null", [ping("null")], [r#"{"type":"pong","ts":0000000000000}"#]),
        row(
            "sender, seq and ts of a client",
            inside(&[
                r#"{"type":"broadcast","content":"x","sender":"admin","seq":7,"ts":1,"epoch":"e","user_joined":1}"#,
            ]),
            heard(&[&said("x", 1)]),
        ),
        row(
            "markup is passed on",
            inside(&[r#"{"type":"chat","content":"<script>alert(1)</script>"}"#]),
            heard(&[&said("<script>alert(1)</script>", 1)]),
        ),
        row(
            "controls are passed on, escaped",
            inside(&[r#"{"type":"chat","content":"\u0000\u001b[31m\r\n\u202e"}"#]),
            heard(&[&said("\\u0000\\u001b[31m\\r\\n\u{202e}", 1)]),
        ),
        row(
            "a pair of surrogates is a character",
            inside(&[r#"{"type":"chat","content":"\ud83d\ude00"}"#]),
            heard(&[&said("😀", 1)]),
        ),
        row("history after 2^64-1", inside(&[&history(r#","after":18446744073709551615"#)]), heard(&[&page("", "")])),
        row(
            "history before 2^64-1",
            inside(&[r#"{"type":"chat","content":"x"}"#, &history(r#","before":18446744073709551615"#)]),
            heard(&[&said("x", 1), &page(item, "")]),
        ),
        row(
            "history before 0",
            inside(&[r#"{"type":"chat","content":"x"}"#, &history(r#","before":0"#)]),
            heard(&[&said("x", 1), &page("", "")]),
        ),
        row(
            "history with limit 1e9",
            inside(&[r#"{"type":"chat","content":"x"}"#, &history(r#","limit":1000000000"#)]),
            heard(&[&said("x", 1), &page(item, "")]),
        ),
        row(
            "history with limit 2^64-1",
            inside(&[&history(r#","limit":18446744073709551615"#)]),
            heard(&[&page("", "")]),
        ),
        row(
            "a cursor of 2^32",
            inside(&[r#"{"type":"members","room_id":"ROOM0000","cursor":"4294967296"}"#]),
            heard(&[&refusal("", "bad_request", "`cursor`: expected the last `next`, found another text")]),
        ),
        row(
            "a cursor of 2^32-1",
            inside(&[r#"{"type":"members","room_id":"ROOM0000","cursor":"4294967295"}"#]),
            heard(&[r#"{"type":"members","room_id":"ROOM0000","members":[],"count":1}"#]),
        ),
        row(
            "since 2^64-1 of another epoch",
            [r#"{"type":"join","room_id":"ROOM0000","since":{"epoch":"no such epoch","seq":18446744073709551615}}"#],
            heard(&[]),
        ),
        row(
            "history 2^64-1 on joining",
            [r#"{"type":"join","room_id":"ROOM0000","history":18446744073709551615}"#],
            heard(&[]),
        ),
        row(
            "100 recipients",
            [format!(r#"{{"type":"multicast","user_ids":[{}],"content":""}}"#, names(100))],
            [format!(r#"{{"type":"ack","delivered":[],"stored":[],"unknown":[{}]}}"#, names(100))],
        ),
        row(
            "another word that is null",
            [r#"{"type":"direct","user_id":"USER0000","to":null,"content":"x"}"#],
            [from_own("x", 1)],
        ),
        row(
            "words for another type",
            inside(&[r#"{"type":"chat","room_id":"ROOM0000","to":"a","user_id":"b","users":1,"content":"x"}"#]),
            heard(&[&said("x", 1)]),
        ),
        row(
            "content of 16,384 bytes",
            [format!(r#"{to_own}"{}"}}"#, "x".repeat(16_384))],
            [from_own(&"x".repeat(16_384), 1)],
        ),
        // Six bytes on the wire for each of content: the message is what is too long, not the content.
        row(
            "content of 10,900 escapes",
            [format!(r#"{to_own}"{}"}}"#, r"\u0061".repeat(10_900))],
            [from_own(&"a".repeat(10_900), 1)],
        ),
    ]);
    let server = Server::serve(&["--rate", "off"]);
    let bytes = [&upgrade("/ws?user=USER0000")[..], &frame(0x82, b"{\"type\":\"ping\"}"), &text(PING), CLOSE].concat();
    let answer =
        [SWITCHED.as_bytes(), &welcome("USER0000"), &closed(1003, "expected text, found a binary message")].concat();
    Neighbour::chat(&server).check(&server, "binary", &bytes, &answer);
}

#[test]
fn the_plain_dialect() {
    let plain = |kind: &str, content: &str, user: &str| {
        let content = serde_json::to_string(content).unwrap();
        format!(r#"{{"type":"{kind}","content":{content},"room":"ROOM0000","username":"{user}"}}"#)
    };
    let said = |content: &str| plain("chat", content, "USER0000");
    let opened = [plain("user_joined", "USER0000 joined the room", "USER0000"), plain("online_users", "USER0000", "")];
    let opened: Vec<u8> = opened.iter().flat_map(|heard| told(0x81, heard.as_bytes())).collect();
    let target = "/ws/ROOM0000?username=USER0000";
    let longest = "x".repeat(16_384);
    let too_long = "é".repeat(8_193);
    let json = r#"{"type":"leave","room_id":"ROOM0000"}"#;
    let breaks_out = [r#"","username":"admin"}"#, "\\\"\u{0}\u{1b}\u{7f}\r\n\u{2028}"];
    let markup = ["<script>alert(1)</script>", "</script>"];
    let beyond = "\u{202e}\u{2066}\u{feff}\u{10ffff}";
    let rows = [
        row("empty", [""], [said("")]),
        row("looks like JSON", [json], [said(json)]),
        row("breaks out of JSON", breaks_out, breaks_out.map(said)),
        row("markup", markup, markup.map(said)),
        row("bidi and beyond", [beyond], [said(beyond)]),
        row("16,384 bytes", [&*longest], [said(&longest)]),
        row("16,386 bytes", [too_long], [plain("error", "`content`: expected at most 16384 bytes, found 16386", "")]),
    ];
    check_at(&Door { target, opened: opened.clone(), last: ("still here", &said("still here")) }, &rows);
    let server = Server::serve(&["--rate", "off"]);
    let bytes = [&upgrade(target)[..], &frame(0x82, b"x"), &text("late"), CLOSE].concat();
    let answer = [SWITCHED.as_bytes(), &opened, &closed(1003, "expected text, found a binary message")].concat();
    Neighbour::chat(&server).check(&server, "binary", &bytes, &answer);
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
        let bytes = [&upgrade(&format!("/ws?user={name}")), &flood.repeat(400)[..], CLOSE].concat();
        let answer = exchange(server.public, &bytes);
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.matches(r#""code":"rate_limited""#).count();
        // Junk has no id that could be read, so that its refusals are told once a second.
        let told = if name == "junk" { 1 } else { 300 };
        assert!(refused >= told, "{name}: {refused} of 400 refused");
        // Coming back does not help.
        let again = [&upgrade(&format!("/ws?user={name}")), &text(r#"{"type":"ping","id":1}"#)[..], CLOSE].concat();
        let answers: Vec<u8> = (0..20).flat_map(|_| exchange(server.public, &again)).collect();
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
