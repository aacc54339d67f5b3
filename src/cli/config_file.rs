//! A file of settings: which keys it has, in which lines, with what values as text.
//!
//! TOML, one flat table, with arrays of tables where a setting is one. It does not know the keys and their values:
//! [`super::layers`] does.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::small_file;

/// One key with what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its value.
    pub value: Value,
}

/// A value as the command line would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A number or a string.
    One(String),
    /// An array of these.
    Many(Vec<String>),
    /// An array of tables, each with the line where it begins.
    Tables(Vec<(usize, Vec<Entry>)>),
    /// A value that no setting can have: a table, a date, a fraction; in words.
    Other(String),
}

impl Value {
    /// As it is shown in an error.
    pub fn shown(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::One(text) => format!("{text:?}"),
            Self::Many(texts) => format!("{texts:?}"),
            Self::Tables(_) => "an array of tables".into(),
            Self::Other(words) => words.clone(),
        }
    }
}

/// Reads a file.
///
/// # Errors
/// One sentence with the file, the line, what was expected and what was found.
pub fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let shown = path.display();
    let text = small_file::read_text(path).map_err(|error| format!("{shown}: {error}"))?;
    parse(&text).map_err(|(line, error)| format!("{shown} line {line}: {error}"))
}

/// The same for a text.
///
/// # Errors
/// The line, and what was expected and found.
pub fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line_at = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let line = line_at(error.span().map_or(0, |span| span.start));
        (line, error.message().replace('\n', ", "))
    })?;
    Ok(entries_of(table.get_ref(), &line_at))
}

/// What is in a table, in the order of lines.
fn entries_of(table: &DeTable<'_>, line_at: &dyn Fn(usize) -> usize) -> Vec<Entry> {
    let tables_of = |items: &[Spanned<DeValue<'_>>]| {
        let tables = items.iter().map(|item| match item.get_ref() {
            DeValue::Table(table) => Some((line_at(item.span().start), entries_of(table, line_at))),
            _ => None,
        });
        tables.collect::<Option<Vec<_>>>().filter(|tables| !tables.is_empty())
    };
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            line: line_at(key.span().start),
            value: match value.get_ref() {
                DeValue::Array(items) => match items.iter().map(|item| text_of(item.get_ref())).collect() {
                    Some(texts) => Value::Many(texts),
                    None => match tables_of(items) {
                        Some(tables) => Value::Tables(tables),
                        None => Value::Other("an array of other things than texts and numbers".into()),
                    },
                },
                DeValue::Boolean(flag) => Value::Flag(*flag),
                one => match text_of(one) {
                    Some(text) => Value::One(text),
                    None => Value::Other(format!("a {}", one.type_str())),
                },
            },
        })
        .collect();
    entries.sort_by_key(|entry| entry.line);
    entries
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // As it is spelt, with the prefix of its base: what reads a setting must know that 0o660 was written, and not
        // 432.
        DeValue::Integer(number) => Some(match number.radix() {
            2 => format!("0b{}", number.as_str()),
            8 => format!("0o{}", number.as_str()),
            16 => format!("0x{}", number.as_str()),
            _ => number.as_str().to_owned(),
        }),
        _ => None,
    }
}

/// The file that is read if none is named.
pub const FILE: &str = "salon.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_with_their_lines() {
        let text = "# Salon\nrate = \"20:40\"\n\norigin = [\n  \"https://a\", # one\n  \"https://b\",\n]\nopen = true\n\
                    max_connections = 10_000\nhistory = 0x10\nsocket_mode = 0o6_60\n";
        let expected = [
            ("rate", 2, Value::One("20:40".into())),
            ("origin", 4, Value::Many(vec!["https://a".into(), "https://b".into()])),
            ("open", 8, Value::Flag(true)),
            ("max_connections", 9, Value::One("10000".into())),
            ("history", 10, Value::One("0x10".into())),
            ("socket_mode", 11, Value::One("0o660".into())),
        ];
        let expected = expected.map(|(key, line, value)| Entry { key: key.into(), line, value });
        assert_eq!(parse(text), Ok(expected.into()));
    }

    #[test]
    fn what_no_setting_is_is_said_in_words() {
        for (text, shown) in [
            ("a = 1.5", "a float"),
            ("a = 2026-11-22", "a datetime"),
            ("[a]\nb = 1", "a table"),
            ("a = [1, [2]]", "an array of other things than texts and numbers"),
        ] {
            assert_eq!(parse(text).unwrap()[0].value, Value::Other(shown.into()), "{text}");
        }
    }

    #[test]
    fn tables_come_in_their_order_with_their_lines() {
        let text = "open = true\n\n[[rooms]]\nmatch = \"b\"\njoin = [\"ann\"]\n[[rooms]]\n\n[[rooms]]\nmatch = \"a\"\n";
        let entry = |key: &str, line, value| Entry { key: key.into(), line, value };
        let one = |text: &str| Value::One(text.into());
        let tables = vec![
            (3, vec![entry("match", 4, one("b")), entry("join", 5, Value::Many(vec!["ann".into()]))]),
            (6, vec![]),
            (8, vec![entry("match", 9, one("a"))]),
        ];
        let expected = [entry("open", 1, Value::Flag(true)), entry("rooms", 3, Value::Tables(tables))];
        assert_eq!(parse(text), Ok(expected.into()));
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_line() {
        for (text, line) in [("a = 1\nb 2\n", 2), ("a = \"x\n", 1), ("\n\na = 1\na = 2\n", 4), ("a =", 1), ("\u{0}", 1)]
        {
            assert_eq!(parse(text).unwrap_err().0, line, "{text:?}");
        }
    }
}
