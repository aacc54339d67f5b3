//! Writes the JSON dialect straight into the buffer of the deliveries.

use std::time::Duration;

use super::{Id, Refusal};
use crate::backend::Message;

/// A JSON object on its way into a buffer. The fields stand in the order they are written.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// A message of the dialect.
    pub fn message(out: &'a mut Vec<u8>, kind: &str) -> Self {
        Self::new(out).text("type", kind)
    }

    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub fn text(mut self, key: &str, value: &str) -> Self {
        write_text(self.key(key), value);
        self
    }

    pub fn number(mut self, key: &str, value: u64) -> Self {
        write_number(self.key(key), value);
        self
    }

    pub fn flag(mut self, key: &str, value: bool) -> Self {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    pub fn null(mut self, key: &str) -> Self {
        self.key(key).extend_from_slice(b"null");
        self
    }

    pub fn maybe_text(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    pub fn id(mut self, id: Option<&Id<'_>>) -> Self {
        match id {
            None => {}
            Some(Id::Text(text)) => write_text(self.key("id"), text),
            Some(Id::Unsigned(number)) => write_number(self.key("id"), *number),
            Some(Id::Negative(number)) => self.key("id").extend_from_slice(number.to_string().as_bytes()),
        }
        self
    }

    /// A value that `write` writes.
    pub fn value(mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        write(self.key(key));
        self
    }

    pub fn texts<'t>(self, key: &str, texts: impl IntoIterator<Item = &'t str>) -> Self {
        self.list(key, texts, write_text)
    }

    pub fn list<T>(
        self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) -> Self {
        self.value(key, |out| {
            out.push(b'[');
            for (place, item) in items.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        })
    }

    pub fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        // Most keys are words of ours, but some are names that people chose.
        write_text(self.out, key);
        self.out.push(b':');
        self.out
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    if needs_escape(text) {
        return serde_json::to_writer(out, text).expect("a string is written into memory");
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether a string cannot stand between quotes as it is (RFC 8259 section 7).
///
/// Without an early end inside a chunk, so that the compiler can look at many octets at once.
fn needs_escape(text: &str) -> bool {
    let escaped = |octet: u8| (octet < 0x20) | (octet == b'"') | (octet == b'\\');
    let has_escaped = |chunk: &[u8]| chunk.iter().fold(false, |found, &octet| found | escaped(octet));
    text.as_bytes().chunks(64).any(has_escaped)
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(out, &number).expect("a number is written into memory");
}

/// What somebody said in a room.
pub(crate) fn broadcast(out: &mut Vec<u8>, id: Option<&Id<'_>>, room: &str, message: Message<'_>) {
    Object::message(out, "broadcast")
        .id(id)
        .text("room_id", room)
        .text("sender", message.sender)
        .text("content", message.content)
        .number("seq", message.seq)
        .number("ts", message.ts)
        .end();
}

/// What somebody said to somebody.
pub(crate) fn direct(out: &mut Vec<u8>, id: Option<&Id<'_>>, to: &str, message: Message<'_>) {
    Object::message(out, "direct")
        .id(id)
        .text("sender", message.sender)
        .text("user_id", to)
        .text("content", message.content)
        .number("seq", message.seq)
        .number("ts", message.ts)
        .end();
}

/// `user_joined` and `user_left`.
pub(crate) fn movement(out: &mut Vec<u8>, kind: &str, room: &str, user: &str) {
    Object::message(out, kind).text("room_id", room).text("user_id", user).end();
}

pub(crate) fn online_users(out: &mut Vec<u8>, room: &str, users: &[&str], count: usize) {
    Object::message(out, "online_users")
        .text("room_id", room)
        .texts("users", users.iter().copied())
        .number("count", count as u64)
        .end();
}

pub(crate) fn gap(out: &mut Vec<u8>, room: &str, epoch: &str, from: u64, to: u64, why: &str) {
    Object::message(out, "gap")
        .text("room_id", room)
        .text("epoch", epoch)
        .number("from", from)
        .number("to", to)
        .text("why", why)
        .end();
}

pub(crate) fn error(out: &mut Vec<u8>, id: Option<&Id<'_>>, refusal: &Refusal) {
    let mut object = Object::message(out, "error")
        .id(id)
        .maybe_text("room_id", refusal.room.as_deref())
        .text("code", refusal.code.as_str())
        .text("message", &refusal.message)
        .flag("retry", refusal.code.retry());
    // Rounded up: who comes back in time passes.
    let millis = |time: Duration| time.as_micros().div_ceil(1000) as u64;
    if let Some(after) = refusal.retry_after {
        object = object.number("retry_after_ms", millis(after));
    }
    if let Some(after) = refusal.close_after {
        object = object.number("close_after_ms", millis(after));
    }
    object.end();
}

pub(crate) fn goodbye(out: &mut Vec<u8>, reason: &str, reconnect: bool, after_ms: u64) {
    Object::message(out, "goodbye")
        .text("reason", reason)
        .flag("reconnect", reconnect)
        .number("after_ms", after_ms)
        .end();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As serde_json writes it, wherever the character stands.
    #[test]
    fn text_is_escaped_where_it_must_be() {
        for octet in 0..0x80 {
            for at in [0, 1, 15, 63, 64, 70] {
                let text = format!("{}{}{}", "a".repeat(at), char::from(octet), "\u{e9}".repeat(3));
                let mut out = Vec::new();
                write_text(&mut out, &text);
                assert_eq!(out, serde_json::to_vec(&text).unwrap(), "{text:?}");
            }
        }
    }
}
