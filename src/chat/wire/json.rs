//! Writes JSON straight into the buffer of the deliveries.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

/// Appends a string.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    if needs_escape(text) {
        return serde_json::to_writer(out, text).expect("a string is written into memory");
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends a value; its contents are those that [`content`] wrote.
pub(super) fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    let mut serializer = serde_json::Serializer::with_formatter(out, Contents);
    value.serialize(&mut serializer).expect("answers have keys that are texts, and are written into memory");
}

/// Writes a text that may be long, as a string: `serde_json` looks at each byte by itself, also where none is escaped.
pub(super) fn content<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match needs_escape(text) {
        true => serializer.serialize_str(text),
        false => serializer.serialize_bytes(text.as_bytes()),
    }
}

/// Writes JSON, but for bytes: no message has any, and so they are what [`content`] gives, a string that stands as it
/// is.
struct Contents;

impl Formatter for Contents {
    fn write_byte_array<W: io::Write + ?Sized>(&mut self, writer: &mut W, bytes: &[u8]) -> io::Result<()> {
        writer.write_all(b"\"")?;
        writer.write_all(bytes)?;
        writer.write_all(b"\"")
    }
}

/// Whether a string cannot stand between quotes as it is (RFC 8259 section 7).
///
/// Without an early end inside a chunk, so that the compiler can look at many bytes at once.
fn needs_escape(text: &str) -> bool {
    let escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let has_escaped = |chunk: &[u8]| chunk.iter().fold(false, |found, &byte| found | escaped(byte));
    text.as_bytes().chunks(64).any(has_escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As serde_json writes it, wherever the character stands.
    #[test]
    fn text_is_escaped_where_it_must_be() {
        for byte in 0..0x80 {
            for at in [0, 1, 15, 63, 64, 70] {
                let text = format!("{}{}{}", "a".repeat(at), char::from(byte), "\u{e9}".repeat(3));
                let mut out = Vec::new();
                write_text(&mut out, &text);
                assert_eq!(out, serde_json::to_vec(&text).unwrap(), "{text:?}");
            }
        }
    }
}
