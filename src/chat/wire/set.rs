//! What is set for a room, in JSON: in the body of a call, and as the store keeps it.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::rules::{Key, Shown, Values, Written};
use super::{Code, Refusal};
use crate::backend::MAX_SET_BYTES;

/// Reads what was written for one room: nothing else is in it.
pub(in crate::chat) fn read_kept(text: &str) -> Result<Values, Refusal> {
    let values = read(text)?;
    let fields: BTreeMap<String, IgnoredAny> = serde_json::from_str(text).unwrap_or_default();
    match fields.into_keys().find(|key| Key::parse(key).is_none()) {
        None => Ok(values),
        Some(key) => {
            let keys = Key::OF_CHAT.map(Key::as_str).join(", ");
            Err(Refusal::new(Code::BadRequest, format!("expected {keys}, found {key}")))
        }
    }
}

/// Reads the keys that are there; what is `null` is not, and other fields are ignored.
pub(in crate::chat) fn read(text: &str) -> Result<Values, Refusal> {
    let bad = |message: String| Refusal::new(Code::BadRequest, message);
    let fields: BTreeMap<String, Value> = serde_json::from_str(text)
        .map_err(|_| Refusal::new(Code::BadJson, "expected one JSON object, found something else"))?;
    let mut values = Values::default();
    for key in Key::ALL {
        let word = key.as_str();
        if key.is_of_store() && fields.get(word).is_some_and(|value| !value.is_null()) {
            return Err(bad(format!(
                "`{word}`: expected in a rule of the file, which the store is given, found in a call"
            )));
        }
        let written = match fields.get(word) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => Some(Written::One(text)),
            Some(Value::Array(items)) => items.iter().map(Value::as_str).collect::<Option<_>>().map(Written::Many),
            Some(_) => None,
        };
        let Some(written) = written else {
            return Err(bad(format!("`{word}`: expected a string or an array of strings, found something else")));
        };
        values.set(key, &written).map_err(|error| bad(format!("`{word}`: {error}")))?;
    }
    Ok(values)
}

/// The words in which they are kept for one room.
pub(in crate::chat) fn words_for_one(values: &Values) -> Result<String, Refusal> {
    if values.keys().next().is_none() {
        let keys = Key::OF_CHAT.map(Key::as_str).join(", ");
        return Err(Refusal::new(Code::BadRequest, format!("expected one of {keys}, found none")));
    }
    let words = write(values);
    match words.len() {
        ..=MAX_SET_BYTES => Ok(words),
        bytes => {
            let message = format!("expected at most {MAX_SET_BYTES} bytes for a room, found {bytes}");
            Err(Refusal::new(Code::TooLarge, message))
        }
    }
}

/// Writes them, so that they can be read.
fn write(values: &Values) -> String {
    let value = |shown: Shown<'_>| match shown {
        Shown::One(text) => Value::from(text),
        Shown::Many(texts) => Value::from(texts),
    };
    let fields: BTreeMap<&str, Value> =
        Key::ALL.into_iter().filter_map(|key| Some((key.as_str(), value(values.shown(key)?)))).collect();
    serde_json::to_string(&fields).expect("texts can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_comes_out_as_it_went_in() {
        for (text, expected) in [
            ("{}", Ok("{}")),
            (r#"{"join":null,"room_id":"den"}"#, Ok("{}")),
            (
                r#"{"speak":["bob","ann"],"rate":"1:5","join":"named","make":"operator"}"#,
                Ok(r#"{"join":"named","make":"operator","rate":"1:5","speak":["ann","bob"]}"#),
            ),
            (
                r#"{"history":5}"#,
                Err("`history`: expected in a rule of the file, which the store is given, found in a call"),
            ),
            (r#"{"join":5}"#, Err("`join`: expected a string or an array of strings, found something else")),
            (r#"{"join":["ann",5]}"#, Err("`join`: expected a string or an array of strings, found something else")),
            (
                r#"{"join":"all"}"#,
                Err("`join`: expected everybody, named, role, operator or a list of names, found \"all\""),
            ),
            ("[]", Err("expected one JSON object, found something else")),
        ] {
            let found = read(text).map(|values| write(&values)).map_err(|refusal| refusal.message);
            assert_eq!(found.as_deref().map_err(|message| &**message), expected, "{text}");
            if let Ok(written) = expected {
                assert_eq!(write(&read(written).unwrap()), written);
            }
        }
    }
}
