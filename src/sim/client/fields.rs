//! What each message of the server has: the fields of `docs/wire.md`, each of its kind, and no others.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The messages, and the parts of them that stand in brackets. A field is a text, or a number (`#`), a flag (`!`), one
/// of some words (`=`), an object (`(part)`), a list of these or of texts (`[part]`, `[]`), or an object whose keys are
/// names (`{part}`); with `?` it may be left out. Several rows: a message is like one of them. Any may have `type`
/// and, as an answer, `id`.
const ROWS: &[(&str, &str)] = &[
    (
        "welcome",
        "user_id status=online|away|busy|offline note? session_id server limits(limits) ping_interval_ms# \
         durability=memory|process|power expires_at#?",
    ),
    ("limits", "message_bytes# content_bytes# rooms# join_rooms# mention_room# rate~(rate)"),
    ("rate", "per_second# burst#"),
    ("joined", "room_id user_id epoch seq# recovered! members# read#? unread#?"),
    ("broadcast", "room_id sender content seq# ts# reply_to#? mentions=room? edited#? reactions[reactions]?"),
    ("broadcast", "room_id sender seq# ts# reply_to#? deleted!"),
    // To all: it is not kept.
    ("broadcast", "room_id sender content ts#"),
    ("reactions", "emoji count# users[] me!"),
    ("direct", "sender user_id content seq# ts# reply_to#?"),
    ("edited", "room_id of# sender content seq# ts# mentions=room?"),
    ("edited", "user_id of# sender content seq# ts#"),
    ("edited", "room_id of# sender deleted! seq# ts#"),
    ("deleted", "room_id of# sender seq# ts#"),
    ("deleted", "user_id of# sender seq# ts#"),
    ("reaction", "room_id of# sender emoji on! seq# ts#"),
    ("reaction", "user_id of# sender emoji on! seq# ts#"),
    ("gap", "room_id epoch from# to# why=expired|epoch_changed"),
    ("online_users", "room_id users[] count#"),
    ("user_joined", "room_id user_id"),
    ("user_left", "room_id user_id"),
    ("left", "room_id reason=kicked?"),
    // Done; a list of rooms; a message that was said, to a room, a user, or several; a multicast; a token.
    ("ack", ""),
    ("ack", "joined# refused#"),
    ("ack", "room_id seq# ts# dup!?"),
    ("ack", "user_id seq# ts# dup!?"),
    ("ack", "ts# dup!"),
    ("ack", "delivered[] stored[] unknown[] missed[]? failed[]?"),
    ("ack", "expires_at#"),
    ("read", "room_id seq#"),
    ("read", "user_id seq#"),
    ("conversations", "conversations[conversation] next?"),
    ("conversation", "user_id seq# ts# read# unread#"),
    ("found", "items[hit] next?"),
    ("hit", "room_id seq# sender content ts#"),
    ("hit", "user_id seq# sender content ts#"),
    ("typing", "room_id? user_id typing!"),
    ("presence", "user_id status=online|away|busy|offline note?"),
    ("presence_state", "room_id? users{state}"),
    ("state", "status=online|away|busy|offline devices# note?"),
    ("room", "room_id name topic? created_at# members# messages# seq# epoch created!?"),
    ("rooms", "rooms[listed] next?"),
    ("listed", "room_id name members# joined! read#? unread#?"),
    ("members", "room_id members[member] count# next?"),
    ("member", "user_id status=online|away|busy|offline devices# note?"),
    ("online", "users[] count# next?"),
    ("history", "room_id epoch items[item] next#? gap(hole)?"),
    ("history", "user_id epoch items[item] next#? gap(hole)?"),
    ("item", "sender content seq# ts# reply_to#? mentions=room? edited#? reactions[reactions]?"),
    ("item", "sender seq# ts# reply_to#? deleted!"),
    ("hole", "from# to# why=expired|epoch_changed"),
    ("topic", "room_id name topic sender?"),
    ("pong", "ts#"),
    ("error", "room_id? code message retry! retry_after_ms#? close_after_ms#?"),
    (
        "goodbye",
        "reason=shutdown|connection_limit|rate_abuse|overloaded|unauthorized|token_expired|kicked|banned|\
         name_reserved|disconnected reconnect! after_ms# until#?",
    ),
];

/// Parts that are no messages.
const PARTS: [&str; 10] =
    ["limits", "rate", "reactions", "conversation", "hit", "state", "listed", "member", "item", "hole"];

#[derive(Debug)]
enum Kind {
    Text,
    Number,
    Flag,
    Word(Vec<&'static str>),
    Part(&'static str),
    /// The same, or `null`.
    PartOrNull(&'static str),
    Texts,
    List(&'static str),
    ByName(&'static str),
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    kind: Kind,
    optional: bool,
}

static TABLE: LazyLock<BTreeMap<&'static str, Vec<Vec<Field>>>> = LazyLock::new(|| {
    let mut table: BTreeMap<_, Vec<Vec<Field>>> = BTreeMap::new();
    for (name, fields) in ROWS {
        table.entry(*name).or_default().push(fields.split_whitespace().map(Field::read).collect());
    }
    table
});

impl Field {
    fn read(text: &'static str) -> Self {
        let (text, optional) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
        let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len());
        let (name, kind) = text.split_at(end);
        let inner = kind.get(1..kind.len().saturating_sub(1)).unwrap_or_default();
        let kind = match kind.as_bytes().first() {
            None => Kind::Text,
            Some(b'#') => Kind::Number,
            Some(b'!') => Kind::Flag,
            Some(b'=') => Kind::Word(kind[1..].split('|').collect()),
            Some(b'~') => Kind::PartOrNull(&inner[1..]),
            Some(b'(') => Kind::Part(inner),
            Some(b'{') => Kind::ByName(inner),
            Some(b'[') if inner.is_empty() => Kind::Texts,
            Some(_) => Kind::List(inner),
        };
        Self { name, kind, optional }
    }

    fn fits(&self, value: &Value) -> bool {
        let all = |values: &[Value], part| values.iter().all(|value| is_like(part, value));
        match (&self.kind, value) {
            (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) | (Kind::PartOrNull(_), Value::Null) => true,
            (Kind::Number, value) => value.is_u64(),
            (Kind::Word(words), Value::String(word)) => words.contains(&word.as_str()),
            (Kind::Part(part) | Kind::PartOrNull(part), value @ Value::Object(_)) => is_like(part, value),
            (Kind::Texts, Value::Array(values)) => values.iter().all(Value::is_string),
            (Kind::List(part), Value::Array(values)) => all(values, part),
            (Kind::ByName(part), Value::Object(values)) => values.values().all(|value| is_like(part, value)),
            _ => false,
        }
    }
}

fn is_like(part: &str, value: &Value) -> bool {
    let Some(fields) = value.as_object() else { return false };
    TABLE.get(part).into_iter().flatten().any(|row| fits(row, fields, &[]))
}

fn fits(row: &[Field], fields: &Map<String, Value>, beside: &[&str]) -> bool {
    let known = row.iter().all(|field| match fields.get(field.name) {
        Some(value) => field.fits(value),
        None => field.optional,
    });
    let named = |name: &String| beside.contains(&name.as_str()) || row.iter().any(|field| field.name == name);
    known && fields.keys().all(named)
}

/// Looks whether a message is one of `docs/wire.md`.
pub(super) fn look_at(message: &Value) -> Result<(), (u8, String)> {
    let fields = message.as_object().ok_or((13, "a message that is no object".to_owned()))?;
    let kind = super::message::field(message, "type")?;
    let rows = TABLE.get(kind).filter(|_| !PARTS.contains(&kind));
    let rows = rows.ok_or_else(|| (13, format!("a message of the type {kind}, which docs/wire.md does not have")))?;
    if fields.get("id").is_some_and(|id| !id.is_string() && !id.is_i64()) {
        return Err((13, "an id that is neither a text nor an integer".into()));
    }
    match rows.iter().any(|row| fits(row, fields, &["type", "id"])) {
        true => Ok(()),
        false => Err((13, format!("{kind} has other fields than docs/wire.md says"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/wire.md");

    /// The examples of the page, in the JSON dialect.
    fn examples() -> impl Iterator<Item = Value> {
        let json = PAGE.lines().filter_map(|line| line.strip_prefix("< "));
        let json = json.map(|line| serde_json::from_str::<Value>(line).expect("an example is JSON"));
        json.filter(|message| message.get("room").is_none())
    }

    #[test]
    fn each_example_of_the_page_is_one_of_the_table() {
        let mut said = BTreeSet::new();
        for message in examples() {
            assert_eq!(look_at(&message), Ok(()), "{message}");
            said.insert(message["type"].as_str().unwrap_or_default().to_owned());
        }
        let known: BTreeSet<String> =
            TABLE.keys().filter(|name| !PARTS.contains(name)).map(|&name| name.to_owned()).collect();
        assert_eq!(said, known);
    }

    /// Each row is like an example, or its fields are named on the page.
    #[test]
    fn the_table_has_nothing_that_the_page_has_not() {
        for field in TABLE.values().flatten().flatten() {
            let named = PAGE.contains(&format!("\"{}\":", field.name)) || PAGE.contains(&format!("`{}`", field.name));
            assert!(named, "{}", field.name);
            if let Kind::Word(words) = &field.kind {
                assert!(
                    words
                        .iter()
                        .all(|word| PAGE.contains(&format!("`{word}`")) || PAGE.contains(&format!("\"{word}\"")))
                );
            }
        }
    }

    /// No field of an example can be left out, but for those that may be, nor can one be added or be of another kind.
    #[test]
    fn what_is_missing_or_unknown_is_seen() {
        let mut missed = 0;
        for message in examples() {
            for name in message.as_object().expect("it is one").keys().filter(|name| *name != "id") {
                let mut other = message.clone();
                other[name] = serde_json::json!([[]]);
                assert!(look_at(&other).is_err(), "{other}");
                other.as_object_mut().expect("it is one").remove(name);
                missed += usize::from(look_at(&other).is_err());
                other["unheard_of"] = Value::Bool(true);
                assert!(look_at(&other).is_err(), "{other}");
            }
        }
        assert!(missed > 150, "{missed}");
    }
}
