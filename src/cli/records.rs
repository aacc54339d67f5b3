//! What a store keeps as lines of JSON, an object a line with its `kind`, and read from them.
//!
//! `docs/store.md` lists the kinds. Names are held to the rules of the chat, because everything that reads a store
//! relies on these.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::backend::Epoch;
use crate::backend::sqlite;
use crate::backend::sqlite::dump::{About, Body, Head, Name, Record};
use crate::chat::{RoomName, UserName, check_emoji, check_set, check_shown, unread_setting};

/// A line. Fields that do not hold are left out.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Export {
        version: u32,
    },
    Missing {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        users: Option<[String; 2]>,
        from: u64,
        to: u64,
    },
    End {
        lines: u64,
    },
    User {
        name: String,
    },
    Room {
        room_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        created_at: Option<u64>,
        #[serde(default, skip_serializing_if = "is_false")]
        created: bool,
        epoch: String,
        seq: u64,
        oldest: u64,
        last_message: u64,
    },
    Direct {
        users: [String; 2],
        epoch: String,
        seq: u64,
        oldest: u64,
        last_message: u64,
        last_ts: u64,
    },
    Message {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        users: Option<[String; 2]>,
        seq: u64,
        ts: u64,
        sender: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(default, skip_serializing_if = "is_false")]
        deleted: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mentions: Option<Mentions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        edited: Option<u64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reactions: Vec<Reaction>,
    },
    Edited {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        users: Option<[String; 2]>,
        seq: u64,
        ts: u64,
        sender: String,
        of: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mentions: Option<Mentions>,
    },
    Deleted {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        users: Option<[String; 2]>,
        seq: u64,
        ts: u64,
        sender: String,
        of: u64,
    },
    Reaction {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        users: Option<[String; 2]>,
        seq: u64,
        ts: u64,
        sender: String,
        of: u64,
        emoji: String,
        on: bool,
    },
    Read {
        user: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        users: Option<[String; 2]>,
        seq: u64,
    },
    Set {
        room_id: String,
        settings: serde_json::Value,
    },
    Step {
        ts: u64,
        operator: String,
        call: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        status: u16,
    },
    Ban {
        user: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

/// The people whom a text calls without their names.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mentions {
    Room,
}

/// One emoji under a message.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Reaction {
    emoji: String,
    users: Vec<String>,
}

/// Writes a record as a line.
pub fn write(record: Record, line: &mut Vec<u8>) {
    serde_json::to_writer(&mut *line, &line_of(record)).expect("texts and numbers can be written");
    line.push(b'\n');
}

/// Reads a line.
///
/// # Errors
/// What was expected and what was found.
pub fn read(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "expected UTF-8, found other bytes")?;
    let line = serde_json::from_str(text).map_err(|error| {
        // Of the one line that it has been given.
        let error = error.to_string();
        error.split(" at line 1 column 0").next().unwrap_or(&error).replace(" at line 1 column ", " at column ")
    })?;
    record_of(line)
}

fn line_of(record: Record) -> Line {
    match record {
        Record::Export { version } => Line::Export { version },
        Record::Missing { name, from, to } => {
            let (room_id, users) = parts(name);
            Line::Missing { room_id, users, from, to }
        }
        Record::End { records } => Line::End { lines: records },
        Record::User { name } => Line::User { name },
        Record::Conversation { name: Name::Room(room_id), head, about } => {
            let About { title, topic, created_at, created } = about;
            let Head { epoch, seq, oldest, message: last_message, said: _ } = head;
            let epoch = epoch.to_string();
            Line::Room { room_id, title, topic, created_at, created, epoch, seq, oldest, last_message }
        }
        Record::Conversation { name: Name::Direct(users), head, about: _ } => {
            let Head { epoch, seq, oldest, message: last_message, said: last_ts } = head;
            Line::Direct { users, epoch: epoch.to_string(), seq, oldest, last_message, last_ts }
        }
        Record::Entry { name, seq, ts, sender, body } => {
            let (room_id, users) = parts(name);
            match body {
                Body::Message { content, reply_to, calls_room, edited, reactions } => {
                    let (deleted, mentions) = (content.is_none(), calls_room.then_some(Mentions::Room));
                    let reactions = reactions.into_iter().map(|(emoji, users)| Reaction { emoji, users }).collect();
                    Line::Message {
                        room_id,
                        users,
                        seq,
                        ts,
                        sender,
                        content,
                        deleted,
                        reply_to,
                        mentions,
                        edited,
                        reactions,
                    }
                }
                Body::Edited { of, content, calls_room } => {
                    let mentions = calls_room.then_some(Mentions::Room);
                    Line::Edited { room_id, users, seq, ts, sender, of, content, mentions }
                }
                Body::Deleted { of } => Line::Deleted { room_id, users, seq, ts, sender, of },
                Body::Reaction { of, emoji, on } => Line::Reaction { room_id, users, seq, ts, sender, of, emoji, on },
            }
        }
        Record::Read { user, name, seq } => {
            let (room_id, users) = parts(name);
            Line::Read { user, room_id, users, seq }
        }
        Record::Ban { user, until, note } => Line::Ban { user, until, note },
        // Words of somebody else stay a text, which no import takes.
        Record::Set { room, words } => {
            let settings = serde_json::from_str(&words).unwrap_or(serde_json::Value::String(words));
            Line::Set { room_id: room, settings }
        }
        Record::Step { ts, operator, call, room, user, status } => {
            Line::Step { ts, operator, call, room, user, status }
        }
    }
}

fn record_of(line: Line) -> Result<Record, String> {
    let epoch =
        |text: &str| Epoch::parse(text).ok_or_else(|| format!("epoch: expected 16 digits of base 16, found {text:?}"));
    let entry = |(room_id, users), seq, ts, sender, body| {
        Ok(Record::Entry { name: name(room_id, users)?, seq, ts, sender: user("sender", sender)?, body })
    };
    match line {
        Line::User { name } => Ok(Record::User { name: user("name", name)? }),
        Line::Room { room_id, title, topic, created_at, created, epoch: life, seq, oldest, last_message } => {
            let head = Head { epoch: epoch(&life)?, seq, oldest, message: last_message, said: 0 };
            check_shown("title", title.as_deref())?;
            check_shown("topic", topic.as_deref())?;
            let about = About { title, topic, created_at, created };
            Ok(Record::Conversation { name: name(Some(room_id), None)?, head, about })
        }
        Line::Direct { users, epoch: life, seq, oldest, last_message, last_ts } => {
            let head = Head { epoch: epoch(&life)?, seq, oldest, message: last_message, said: last_ts };
            Ok(Record::Conversation { name: name(None, Some(users))?, head, about: About::default() })
        }
        Line::Message { room_id, users, seq, ts, sender, content, deleted, reply_to, mentions, edited, reactions } => {
            match (&content, deleted) {
                (Some(_), true) => return Err("expected no content of a message that is deleted, found one".into()),
                (None, false) => return Err("expected the content of a message, or that it is deleted".into()),
                _ => {}
            }
            let calls_room = calls(mentions, content.as_deref(), users.as_ref())?;
            for Reaction { emoji: found, users } in &reactions {
                check_emoji(found)?;
                users.iter().try_for_each(|name| user("users", name.clone()).map(drop))?;
            }
            let reactions = reactions.into_iter().map(|Reaction { emoji, users }| (emoji, users)).collect();
            entry((room_id, users), seq, ts, sender, Body::Message { content, reply_to, calls_room, edited, reactions })
        }
        Line::Edited { room_id, users, seq, ts, sender, of, content, mentions } => {
            let calls_room = calls(mentions, content.as_deref(), users.as_ref())?;
            entry((room_id, users), seq, ts, sender, Body::Edited { of, content, calls_room })
        }
        Line::Deleted { room_id, users, seq, ts, sender, of } => {
            entry((room_id, users), seq, ts, sender, Body::Deleted { of })
        }
        Line::Reaction { room_id, users, seq, ts, sender, of, emoji, on } => {
            check_emoji(&emoji)?;
            entry((room_id, users), seq, ts, sender, Body::Reaction { of, emoji, on })
        }
        Line::Export { version } => Ok(Record::Export { version }),
        Line::Missing { room_id, users, from, to } => Ok(Record::Missing { name: name(room_id, users)?, from, to }),
        Line::End { lines } => Ok(Record::End { records: lines }),
        Line::Read { user: who, room_id, users, seq } => {
            Ok(Record::Read { user: user("user", who)?, name: name(room_id, users)?, seq })
        }
        Line::Set { room_id, settings } => {
            let words = check_set(&settings.to_string()).map_err(|error| {
                format!(
                    "settings: {error}: set it anew for {room_id:?} where this comes from (set_room or unset_room), or \
                     leave the line out"
                )
            })?;
            let (Name::Room(room) | Name::Direct([room, _])) = name(Some(room_id), None)?;
            Ok(Record::Set { room, words })
        }
        Line::Step { ts, operator, call, room, user, status } => {
            let texts = [
                ("operator", Some(&operator)),
                ("call", Some(&call)),
                ("room", room.as_ref()),
                ("user", user.as_ref()),
            ];
            for (field, text) in texts {
                if let Some(found) = text.map(String::len).filter(|&len| len > MAX_STEP_BYTES) {
                    return Err(format!("{field}: expected at most {MAX_STEP_BYTES} bytes, found {found}"));
                }
            }
            Ok(Record::Step { ts, operator, call, room, user, status })
        }
        Line::Ban { user: who, until, note } => {
            check_shown("note", note.as_deref())?;
            Ok(Record::Ban { user: user("user", who)?, until, note })
        }
    }
}

/// Whether a text calls everybody in its room.
fn calls(mentions: Option<Mentions>, content: Option<&str>, users: Option<&[String; 2]>) -> Result<bool, String> {
    match (mentions, content, users) {
        (None, ..) => Ok(false),
        (Some(Mentions::Room), Some(_), None) => Ok(true),
        (Some(Mentions::Room), ..) => {
            Err("mentions: expected that only a text in a room calls it, found it at another line".into())
        }
    }
}

/// The fields that name a conversation.
fn parts(name: Name) -> (Option<String>, Option<[String; 2]>) {
    match name {
        Name::Room(room) => (Some(room), None),
        Name::Direct(users) => (None, Some(users)),
    }
}

fn name(room_id: Option<String>, users: Option<[String; 2]>) -> Result<Name, String> {
    match (room_id, users) {
        (Some(room), None) => {
            let as_kept = RoomName::parse(&room).map_err(|error| format!("room_id: {error}"))?;
            kept("room_id", as_kept.as_str(), &room)?;
            Ok(Name::Room(room))
        }
        (None, Some([one, other])) => {
            let (one, other) = (user("users", one)?, user("users", other)?);
            if one > other {
                return Err(format!("users: expected the smaller name first, found {one:?} before {other:?}"));
            }
            Ok(Name::Direct([one, other]))
        }
        (None, None) => Err("expected room_id or users, found neither".into()),
        (Some(_), Some(_)) => Err("expected room_id or users, found both".into()),
    }
}

fn user(field: &str, name: String) -> Result<String, String> {
    let as_kept = UserName::parse(&name).map_err(|error| format!("{field}: {error}"))?;
    kept(field, as_kept.as_str(), &name)?;
    Ok(name)
}

/// Names are kept in one normal form.
fn kept(field: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        Ok(())
    } else {
        Err(format!("{field}: expected the normal form {expected:?}, found {found:?}"))
    }
}

/// The longest text of a step of the operators' trail: 64 characters of a caller.
const MAX_STEP_BYTES: usize = 256;

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What is set for rooms in a file and cannot be read: a sentence for each, which says what to do.
///
/// # Errors
/// One sentence, if none of it can be read.
pub fn unread_settings(path: &Path) -> Result<Vec<String>, String> {
    let unread = |(room, words): (String, String)| match RoomName::parse(&room) {
        Ok(_) => check_set(&words).err().map(|why| unread_setting(&room, &why)),
        Err(error) => {
            Some(format!("something is set for {room:?}, which no room is called ({error}); it means nothing"))
        }
    };
    Ok(sqlite::settings_of_rooms(path)?.into_iter().filter_map(unread).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        for line in [
            r#"{"kind":"export","version":1}"#,
            r#"{"kind":"missing","room_id":"den","from":2,"to":3}"#,
            r#"{"kind":"end","lines":7}"#,
            r#"{"kind":"user","name":"ann"}"#,
            r#"{"kind":"room","room_id":"den","title":"The Den","topic":"talk","created_at":1,"created":true,"epoch":"00000000000000ff","seq":3,"oldest":2,"last_message":2}"#,
            r#"{"kind":"room","room_id":"den","epoch":"00000000000000ff","seq":0,"oldest":1,"last_message":0}"#,
            r#"{"kind":"direct","users":["ann","bob"],"epoch":"00000000000000ff","seq":1,"oldest":1,"last_message":1,"last_ts":5}"#,
            r#"{"kind":"message","room_id":"den","seq":1,"ts":5,"sender":"ann","content":"x\n\"y\"","reply_to":3,"edited":6,"reactions":[{"emoji":":x:","users":["bob"]}]}"#,
            r#"{"kind":"message","users":["ann","bob"],"seq":1,"ts":5,"sender":"ann","deleted":true}"#,
            r#"{"kind":"edited","room_id":"den","seq":2,"ts":5,"sender":"ann","of":1,"content":"y"}"#,
            r#"{"kind":"message","room_id":"den","seq":1,"ts":5,"sender":"ann","content":"@room","mentions":"room"}"#,
            r#"{"kind":"edited","room_id":"den","seq":2,"ts":5,"sender":"ann","of":1,"content":"@room!","mentions":"room"}"#,
            r#"{"kind":"deleted","room_id":"den","seq":2,"ts":5,"sender":"ann","of":1}"#,
            r#"{"kind":"reaction","room_id":"den","seq":2,"ts":5,"sender":"ann","of":1,"emoji":":x:","on":false}"#,
            r#"{"kind":"read","user":"ann","room_id":"den","seq":2}"#,
            r#"{"kind":"ban","user":"eve","until":9,"note":"spam"}"#,
            r#"{"kind":"ban","user":"eve"}"#,
            r#"{"kind":"set","room_id":"den","settings":{"join":"operator","rate":"1:5","speak":["ann"]}}"#,
            r#"{"kind":"step","ts":5,"operator":"mod","call":"kick","room":"den","user":"ann","status":200}"#,
            r#"{"kind":"step","ts":5,"operator":"-","call":"reload","status":409}"#,
        ] {
            let record = read(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
            let mut written = Vec::new();
            write(record, &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), format!("{line}\n"));
        }
    }

    #[test]
    fn what_no_line_is_is_said() {
        for (line, sentence) in [
            (&b"{"[..], "EOF while parsing an object at column 1"),
            (b"\xff", "expected UTF-8, found other bytes"),
            (br#"{"kind":"poem"}"#, "unknown variant `poem`, expected one of `export`, `missing`, `end`, `user`"),
            (br#"{"kind":"user"}"#, "missing field `name`"),
            (br#"{"kind":"user","name":1}"#, "invalid type: integer `1`, expected a string"),
            (br#"{"kind":"user","name":"ann","age":7}"#, "unknown field `age`, expected `name`"),
            (br#"{"kind":"user","name":""}"#, "name: a name has 1 to 128 bytes, this one is empty"),
            (br#"{"kind":"user","name":"a\u0000b"}"#, "name: a name has no control characters"),
            ("{\"kind\":\"user\",\"name\":\"e\u{301}\"}".as_bytes(), "name: expected the normal form \"\u{e9}\""),
            (br#"{"kind":"read","user":"ann","seq":1}"#, "expected room_id or users, found neither"),
            (br#"{"kind":"read","user":"ann","room_id":"a","users":["a","b"],"seq":1}"#, "found both"),
            (br#"{"kind":"read","user":"ann","users":["b","a"],"seq":1}"#, "users: expected the smaller name first"),
            (br#"{"kind":"message","room_id":"a","seq":1,"ts":1,"sender":"b"}"#, "expected the content of a message"),
            (
                br#"{"kind":"message","users":["a","b"],"seq":1,"ts":1,"sender":"b","content":"@room","mentions":"room"}"#,
                "mentions: expected that only a text in a room calls it",
            ),
            (
                br#"{"kind":"message","room_id":"a","seq":1,"ts":1,"sender":"b","content":"x","mentions":"all"}"#,
                "unknown variant `all`, expected `room`",
            ),
            (br#"{"kind":"ban","user":"eve","note":"a\u202eb"}"#, "`note`: expected characters that a name may have"),
            (br#"{"kind":"set","room_id":"den","settings":{}}"#, "settings: expected one of join, speak, make, rate"),
            (br#"{"kind":"set","room_id":"den","settings":{"join":"all"}}"#, "settings: `join`: expected everybody"),
            (br#"{"kind":"set","room_id":"den","settings":"x"}"#, "settings: expected one JSON object"),
            (
                br#"{"kind":"set","room_id":"den","settings":{"join":"named","spek":"named"}}"#,
                "settings: expected join, speak, make, rate, found spek",
            ),
            (
                br#"{"kind":"reaction","room_id":"a","seq":2,"ts":5,"sender":"ann","of":1,"emoji":"xx","on":true}"#,
                "`emoji`",
            ),
            (
                br#"{"kind":"room","room_id":"a","epoch":"1","seq":1,"oldest":1,"last_message":1}"#,
                "epoch: expected 16 digits of base 16, found \"1\"",
            ),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(sentence), "{sentence}: {error}");
        }
    }
}
