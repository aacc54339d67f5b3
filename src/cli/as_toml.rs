//! How settings stand in a file: values as TOML has them, and lines with a comment behind each.

use std::fmt::Write;

/// A text, or a number as TOML writes it: 0660 is none.
pub fn value(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => text.into(),
        _ => quoted(text),
    }
}

/// A text. It is one line, and nothing that a terminal acts on: control characters are escaped.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '\\' | '"' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted + "\""
}

/// Values in a list.
pub fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// Lines, each with the comment that is behind it, in one column.
pub fn with_comments(lines: impl Iterator<Item = (String, String)>) -> String {
    let lines: Vec<(String, String)> = lines.collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|&len| len <= MAX_COLUMN).max().unwrap_or(0);
    let mut text = String::new();
    for (line, comment) in lines {
        let _ = writeln!(text, "{line:width$}  # {comment}");
    }
    text
}

/// Longer lines do not push the others' comments to the right.
const MAX_COLUMN: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    /// One line without control characters, which is read as the text that it was.
    #[test]
    fn a_text_is_read_as_it_was_and_forges_no_line() {
        let all: String = (0..0x180).filter_map(char::from_u32).collect();
        for text in ["", "a\"b\\c", "/run/x\n# secret =\u{1b}[2J\r\t\u{7f}\u{9b}", &all, "\u{1f600}"] {
            let written = quoted(text);
            assert!(!written.chars().any(char::is_control), "{written}");
            let line = format!("key = {written}");
            let read = toml::de::DeTable::parse(&line).unwrap();
            assert_eq!(read.get_ref()["key"].get_ref().as_str(), Some(text), "{written}");
        }
        assert_eq!(quoted("a\n\u{1b}"), r#""a\n\u001B""#);
    }
}
