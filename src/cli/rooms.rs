//! Settings of rooms by name (`[[rooms]]`): how they stand in a file, and which holds in a room.
//!
//! [`chat::rules`](crate::chat::rules) knows what they may be; what a reload has changed in them is said by
//! [`super::changed_rooms`].

use std::fmt::Write as _;
use std::path::Path;

use crate::backend::{RoomLimit, RoomLimits};
use crate::chat::RoomName;
use crate::chat::rules::{Key, Rule, Rules, Shown, Values, Written};

use super::as_toml;
use super::config_file::{Entry, Value};

/// The key of the array.
pub const KEY: &str = "rooms";

/// The key of a rule's patterns.
const MATCH: &str = "match";

/// Reads the rules.
///
/// # Errors
/// The expected and the found, and the line of it, if it is known.
pub fn read(value: &Value) -> Result<Rules, (Option<usize>, String)> {
    let tables = match value {
        Value::Tables(tables) => tables,
        Value::Many(texts) if texts.is_empty() => return Ok(Rules::default()),
        other => return Err((None, format!("expected [[{KEY}]], tables with `{MATCH}`, found {}", other.shown()))),
    };
    let rules = tables.iter().enumerate().map(|(at, (line, entries))| {
        rule(*line, entries).map_err(|(line, error)| (Some(line), format!("rule {}: {error}", at + 1)))
    });
    Rules::of(rules.collect::<Result<_, _>>()?).map_err(|error| (None, error))
}

fn rule(line: usize, entries: &[Entry]) -> Result<Rule, (usize, String)> {
    let (mut patterns, mut values) = (None, Values::default());
    for Entry { key, line, value } in entries {
        let wrong = |error: String| (*line, format!("{key}: {error}"));
        let written = written(value);
        if key == MATCH {
            let texts = match &written {
                Some(Written::One(text)) => vec![*text],
                Some(Written::Many(texts)) => texts.clone(),
                None => return Err(wrong(format!("expected a pattern or a list of them, found {}", value.shown()))),
            };
            patterns = Some(Rule::patterns(&texts).map_err(wrong)?);
            continue;
        }
        let Some(known) = Key::parse(key) else {
            return Err((*line, format!("expected {}, found {key}", all_keys())));
        };
        let written = written
            .ok_or_else(|| wrong(format!("expected a text, a number or a list of texts, found {}", value.shown())))?;
        values.set(known, &written).map_err(wrong)?;
    }
    let Some(patterns) = patterns else {
        return Err((line, format!("{MATCH}: expected a pattern or a list of them, found none")));
    };
    if values.keys().next().is_none() {
        return Err((line, format!("expected one of {}, found none", all_keys())));
    }
    Ok(Rule { patterns, values, line })
}

/// All keys, in words.
fn all_keys() -> String {
    [MATCH].into_iter().chain(Key::ALL.map(Key::as_str)).collect::<Vec<_>>().join(", ")
}

fn written(value: &Value) -> Option<Written<'_>> {
    match value {
        Value::One(text) => Some(Written::One(text)),
        Value::Many(texts) => Some(Written::Many(texts.iter().map(String::as_str).collect())),
        Value::Flag(_) | Value::Tables(_) | Value::Other(_) => None,
    }
}

/// Checks that nothing is asked for that cannot be: names and roles where nobody has any, for one.
///
/// # Errors
/// One sentence.
pub fn check(rules: &Rules, tokens: bool) -> Result<(), String> {
    for (at, rule) in rules.all().iter().enumerate() {
        if let Some(key) = rule.values.needs_tokens().filter(|_| !tokens) {
            return Err(format!(
                "{KEY}: rule {} (line {}): {}: expected everybody, named or operator, because nobody has a role, nor a \
                 name that is theirs, without --auth jwt, found {}",
                at + 1,
                rule.line,
                key.as_str(),
                rule.values.shown(key).map(|shown| toml(&shown)).unwrap_or_default(),
            ));
        }
    }
    Ok(())
}

/// Checks that the store can keep what the rules say.
///
/// # Errors
/// One sentence. `keeps` is how many entries the store keeps otherwise, and `on_redis` whether it is one that cannot.
pub fn check_store(rules: &Rules, keeps: usize, on_redis: bool) -> Result<(), String> {
    let found = match (on_redis, keeps) {
        (true, _) => "Redis",
        (false, 0) => "--history 0",
        _ => return Ok(()),
    };
    for (at, rule) in rules.all().iter().enumerate() {
        if let Some(key) = rule.values.keys().find(|key| key.is_of_store()) {
            let (number, line, key) = (at + 1, rule.line, key.as_str());
            return Err(format!(
                "{KEY}: rule {number} (line {line}): {key}: expected a store in a file or in memory that keeps messages, \
                 found {found}"
            ));
        }
    }
    Ok(())
}

/// How much is kept of rooms by name.
pub fn limits(rules: &Rules) -> RoomLimits {
    let limits = rules.all().iter().filter(|rule| rule.values.keys().any(Key::is_of_store)).map(|rule| RoomLimit {
        patterns: rule.patterns.clone(),
        messages: rule.values.history,
        age: rule.values.history_age,
    });
    RoomLimits::new(limits.collect())
}

/// Which rule of the first each of the second was: the one with the same patterns, of several the first that is not
/// another one's. `None`: it is a new one.
pub(super) fn pairs(before: &Rules, now: &Rules) -> Vec<Option<usize>> {
    let mut left: Vec<(usize, &Rule)> = before.all().iter().enumerate().collect();
    let mut pair = |rule: &Rule| {
        let at = left.iter().position(|(_, other)| other.patterns == rule.patterns)?;
        Some(left.remove(at).0)
    };
    now.all().iter().map(&mut pair).collect()
}

/// The rules as they stand in a file. Of what the store is given, it is said where it is not what a server was
/// `started` with; what such a one has of rules that are gone is behind `#`, as the next start will not have it.
pub fn text_of(rules: &Rules, started: &Rules, file: &Path) -> String {
    let mut text = String::new();
    let pairs = pairs(started, rules);
    let shown = |values: &Values, key| values.shown(key).map(|shown| toml(&shown));
    let list_of = |rule: &Rule| list(rule.patterns.iter().map(|pattern| pattern.as_str()));
    for (rule, pair) in rules.all().iter().zip(&pairs) {
        let _ = writeln!(text, "\n[[{KEY}]]  # {} line {}\n{MATCH} = {}", file.display(), rule.line, list_of(rule));
        let at_start = |key| pair.and_then(|pair| shown(&started.all()[pair].values, key));
        for key in Key::ALL {
            let (word, value) = (key.as_str(), shown(&rule.values, key));
            let otherwise = if key.is_of_store() { at_start(key) } else { value.clone() };
            let _ = match (value, otherwise) {
                (None, None) => continue,
                (Some(value), otherwise) if otherwise.as_ref() == Some(&value) => writeln!(text, "{word} = {value}"),
                (Some(value), None) => writeln!(text, "{word} = {value}  # at the next start"),
                (Some(value), Some(other)) => {
                    writeln!(text, "{word} = {value}  # at the next start; until then {other}")
                }
                (None, Some(other)) => writeln!(text, "# {word} = {other}  # until the next start"),
            };
        }
    }
    for (at, rule) in started.all().iter().enumerate().filter(|(at, _)| !pairs.contains(&Some(*at))) {
        let mut keys = rule.values.keys().filter(|key| key.is_of_store()).peekable();
        if keys.peek().is_some() {
            let number = at + 1;
            let _ = writeln!(
                text,
                "\n# until the next start, as rule {number} at this one:\n# [[{KEY}]]\n# {MATCH} = {}",
                list_of(rule)
            );
        }
        for key in keys {
            let _ = writeln!(text, "# {} = {}", key.as_str(), shown(&rule.values, key).unwrap_or_default());
        }
    }
    text
}

/// What holds in a room, a line for each key: its value and the rule that has won.
///
/// # Errors
/// One sentence: it is no name of a room.
pub fn of_room(rules: &Rules, room: &str, file: &Path) -> Result<String, String> {
    let room = RoomName::parse(room).map_err(|error| format!("{room:?}: {error}"))?;
    let lines = Key::ALL.map(|key| match rules.first(key, room.as_str()) {
        None => Line::unsaid(key),
        Some((at, Rule { patterns, values, line })) => Line {
            key: key.as_str().into(),
            value: values.shown(key).map(|shown| toml(&shown)),
            from: from_rule(
                at + 1,
                patterns.iter().map(|pattern| pattern.as_str()),
                *line,
                &file.display().to_string(),
            ),
        },
    });
    Ok(text_of_room(room.as_str(), &lines))
}

/// A key in a room, its value if it is named, and where that came from; else what holds.
#[derive(Debug)]
pub struct Line {
    pub key: String,
    pub value: Option<String>,
    pub from: String,
}

impl Line {
    /// Nothing names it.
    pub fn unsaid(key: Key) -> Self {
        Self { key: key.as_str().into(), value: None, from: key.otherwise().into() }
    }
}

/// In words: the rule of that number, with these patterns, in that line.
pub fn from_rule<'a>(number: usize, patterns: impl Iterator<Item = &'a str>, line: usize, file: &str) -> String {
    format!("rule {number}, {MATCH} = {}, {file} line {line}", list(patterns))
}

/// These lines, below the name of the room.
pub fn text_of_room(room: &str, lines: &[Line]) -> String {
    let lines = lines.iter().map(|Line { key, value, from }| match value {
        Some(value) => (format!("{key} = {value}"), from.clone()),
        None => (format!("# {key}"), from.clone()),
    });
    format!("# in the room {}\n{}", as_toml::quoted(room), as_toml::with_comments(lines))
}

/// A value as TOML has it.
pub(super) fn toml(shown: &Shown<'_>) -> String {
    match shown {
        Shown::One(text) => as_toml::value(text),
        Shown::Many(texts) => as_toml::array(texts.iter().map(|text| as_toml::quoted(text))),
    }
}

/// One text as it is, several as a list.
pub(super) fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut texts: Vec<String> = texts.map(as_toml::quoted).collect();
    match texts.len() {
        1 => texts.remove(0),
        _ => as_toml::array(texts.into_iter()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A pattern, and what holds there.
    pub type Row<'a> = (&'a str, &'a [(Key, &'a str)]);

    pub fn rules(rows: &[Row<'_>]) -> Rules {
        let rule = |(at, (pattern, given)): (usize, &Row<'_>)| {
            let mut values = Values::default();
            given.iter().for_each(|(key, text)| values.set(*key, &Written::One(text)).unwrap());
            Rule { patterns: Rule::patterns(&[pattern]).unwrap(), values, line: at + 1 }
        };
        Rules::of(rows.iter().enumerate().map(rule).collect()).unwrap()
    }

    /// What a server has, beside what its file says now: as long as nothing has changed, that alone.
    #[test]
    fn what_the_store_has_until_the_next_start() {
        let (speak, history): (Row<'_>, Row<'_>) = (("b", &[(Key::Speak, "role")]), ("b", &[(Key::History, "5")]));
        let rule = |line, row: &Row<'_>, said: &str| {
            format!("\n[[rooms]]  # salon.toml line {line}\nmatch = \"{}\"\n{said}\n", row.0)
        };
        let text =
            |now: &[Row<'_>], started: &[Row<'_>]| text_of(&rules(now), &rules(started), Path::new("salon.toml"));
        let both = [speak, history];
        let plain = [rule(1, &speak, "speak = \"role\""), rule(2, &history, "history = 5")];
        assert_eq!(text(&both, &both), plain.concat(), "two rules with the same patterns");
        let more: Row<'_> = ("b", &[(Key::History, "7")]);
        let expected = rule(2, &history, "history = 7  # at the next start; until then 5");
        assert_eq!(text(&[speak, more], &both), format!("{}{expected}", plain[0]));
        let new: Row<'_> = ("c", &[(Key::HistoryAge, "1h")]);
        let expected = rule(3, &new, "history_age = \"3600s\"  # at the next start");
        assert_eq!(text(&[speak, history, new], &both), format!("{}{expected}", plain.concat()));
        let said = "speak = \"role\"\n# history = 5  # until the next start";
        assert_eq!(text(&[speak], &[("b", &[(Key::Speak, "role"), (Key::History, "5")])]), rule(1, &speak, said));
        let gone = "\n# until the next start, as rule 2 at this one:\n# [[rooms]]\n# match = \"b\"\n# history = 5\n";
        assert_eq!(text(&[speak], &both), format!("{}{gone}", plain[0]));
        assert_eq!(text(&[history], &[history, ("c", speak.1)]), rule(1, &history, "history = 5"));
    }

    #[test]
    fn which_rule_has_won() {
        let rules = rules(&[("b", &[(Key::Speak, "role")]), ("*", &[(Key::Speak, "named"), (Key::Rate, "1:5")])]);
        let expected = "# in the room \"b\"\n\
                        # join          # everybody whose token is for the room\n\
                        speak = \"role\"  # rule 1, match = \"b\", salon.toml line 1\n\
                        # make          # as create_rooms says\n\
                        rate = \"1:5\"    # rule 2, match = \"*\", salon.toml line 2\n\
                        # history       # as the setting history says\n\
                        # history_age   # as the setting history_age says\n";
        assert_eq!(of_room(&rules, "b", Path::new("salon.toml")).as_deref(), Ok(expected));
        let error = of_room(&rules, "", Path::new("salon.toml")).unwrap_err();
        assert_eq!(error, "\"\": a name has 1 to 128 bytes, this one is empty");
    }
}
