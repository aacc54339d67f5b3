//! What stands in a message: a field that must be there, or may.

use serde_json::Value;

/// A text, if it is there.
pub fn text<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    message.get(name).and_then(Value::as_str)
}

/// A text.
///
/// # Errors
/// It is not there, against invariant 13.
pub fn field<'a>(message: &'a Value, name: &str) -> Result<&'a str, (u8, String)> {
    text(message, name).ok_or_else(|| (13, format!("a message without {name}")))
}

/// A number.
///
/// # Errors
/// It is not there, against invariant 13.
pub fn number(message: &Value, name: &str) -> Result<u64, (u8, String)> {
    message.get(name).and_then(Value::as_u64).ok_or_else(|| (13, format!("a message without the number {name}")))
}
