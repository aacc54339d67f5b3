//! How settings stand in a file: values as TOML has them, and lines with a comment behind each.

use std::fmt::Write;

/// A text, or a number as TOML writes it: 0660 is none.
pub fn value(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => text.into(),
        _ => quoted(text),
    }
}

/// A text.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
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
