//! The cases of `tests/cases`, for tests over sockets and of `salon::proto`.

#[path = "../../cases/cases.rs"]
mod texts;

use serde_json::Value;

use super::rows::{CLOSE, frame, text as text_frame};

pub use texts::text;

/// A row of `frames.json`.
pub struct Frames {
    pub what: String,
    /// What a client sends behind the opening handshake.
    pub sent: Vec<u8>,
    /// The code of the Close that answers it, if it has one.
    pub code: Option<u16>,
    pub reason: String,
}

/// The rows of `frames.json` for one test.
pub fn frames(test: &str) -> Vec<Frames> {
    let file: Value = serde_json::from_str(include_str!("../../cases/frames.json")).unwrap();
    // Nothing behind a violation or a Close is looked at.
    let more = [text_frame("more"), frame(0x89, b"?"), CLOSE.to_vec()].concat();
    let row = |row: &Value| Frames {
        what: row["what"].as_str().unwrap().into(),
        sent: [bytes(&text(&row["send"])), if row["more"] == true { more.clone() } else { Vec::new() }].concat(),
        code: row["code"].as_u64().map(|code| code.try_into().unwrap()),
        reason: row["reason"].as_str().unwrap_or_default().into(),
    };
    file[test].as_array().unwrap().iter().map(row).collect()
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
