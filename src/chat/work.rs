//! The cost of a request beside its deliveries, in the steps of the engine: each about a quarter of a microsecond.
//!
//! The engine weighs output where it is sent. Here is the rest: reading, looking names up, asking for rooms. It is
//! noted in [`Deliveries`], whatever the outcome of the request, for the engine, which shares out the time of a turn.

use super::delivery::Deliveries;

impl Deliveries {
    /// A JSON text is read. The cost is in its tokens, which these bytes show.
    pub(super) fn note_json(&mut self, text: &str) {
        let of_chunk = |chunk: &[u8]| {
            let mark = |byte: u8| matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'\\');
            chunk.iter().fold(0_u8, |marks, &byte| marks + u8::from(mark(byte)))
        };
        let marks: usize = text.as_bytes().chunks(128).map(|chunk| usize::from(of_chunk(chunk))).sum();
        self.note_work(marks / TOKENS_A_STEP);
    }

    /// These names are read and looked up.
    pub(super) fn note_names<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let normalising = |name: &str| if name.is_ascii() { 0 } else { name.len() / NORMALISED_BYTES_A_STEP };
        self.note_work(names.into_iter().map(|name| NAME + normalising(name)).sum());
    }
}

/// Tokens of JSON that cost a step to read.
const TOKENS_A_STEP: usize = 10;

/// The cost of a name in a list.
const NAME: usize = 1;

/// So many bytes of a name not in ASCII cost a step more: its normal form is made.
const NORMALISED_BYTES_A_STEP: usize = 16;

/// The cost of entering a room: the backend is asked, and its page becomes messages.
pub(super) const ENTER: usize = 8;

/// Bytes of patterns that a name is compared with in one step.
pub(super) const MATCHED_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_costs_by_tokens() {
        for (text, steps) in [
            (r#"{"type":"ping"}"#.to_owned(), 0),
            (format!(r#"{{"content":"{}"}}"#, "x".repeat(16 << 10)), 0),
            (format!(r#"{{"content":"{}"}}"#, "\\n".repeat(1000)), 100),
            (format!("{{{}}}", vec![r#""k":0"#; 5000].join(",")), 1000),
            (format!("[{}", "[".repeat(15_000)), 1500),
        ] {
            let mut out = Deliveries::new();
            out.note_json(&text);
            assert_eq!(out.work(), steps, "{text:.40}");
        }
    }

    #[test]
    fn names_cost_by_number_and_by_what_is_to_be_normalised() {
        for (name, count, steps) in [("alice", 1, 1), ("alice", 1000, 1000), ("\u{e9}", 1000, 1000)] {
            let mut out = Deliveries::new();
            out.note_names(vec![name; count]);
            assert_eq!(out.work(), steps, "{name} {count}");
        }
        let marks = format!("e{}", "\u{301}\u{323}".repeat(20));
        let mut out = Deliveries::new();
        out.note_names(vec![&*marks; 500]);
        assert_eq!(out.work(), 500 * (1 + 81 / 16));
        out.clear();
        assert_eq!(out.work(), 0);
    }
}
