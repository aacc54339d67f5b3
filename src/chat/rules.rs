//! Settings of rooms by name: rules as an operator words them, and which of them wins.
//!
//! A rule has patterns and values for some keys. For each key by itself the first rule wins that is for the room and
//! names the key; what has been set for a room by a call of the API comes before all rules. Where nobody names a key,
//! the setting holds that is for all rooms.
//!
//! This is words and lists; what follows from a value is said where it is used: in `access` for those who may do
//! something, in `billing` for the rate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::name::{MAX_NAME_BYTES, NameError, RoomName, UserName, check_characters, normal};
use super::rate::Rate;
use crate::backend::Pattern;

/// What can be set for a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The people who may be in it.
    Join,
    /// The people who may say and do something in it that others there see.
    Speak,
    /// The people who may make it.
    Make,
    /// How fast each of them may do that there.
    Rate,
    /// How many entries are kept of it.
    History,
    /// How long they are kept.
    HistoryAge,
}

impl Key {
    /// All of them; the place of one is its value.
    pub const ALL: [Self; 6] = [Self::Join, Self::Speak, Self::Make, Self::Rate, Self::History, Self::HistoryAge];

    /// Those that are for the chat, which come first; the others are for the store, which has them from its start on.
    pub const OF_CHAT: [Self; 4] = [Self::Join, Self::Speak, Self::Make, Self::Rate];

    /// Whether it is for the store.
    pub fn is_of_store(self) -> bool {
        !Self::OF_CHAT.contains(&self)
    }

    /// Its word, in a file and in a call.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Speak => "speak",
            Self::Make => "make",
            Self::Rate => "rate",
            Self::History => "history",
            Self::HistoryAge => "history_age",
        }
    }

    /// The key of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == word)
    }

    /// The settings that hold where no rule names it, in words.
    pub const fn otherwise(self) -> &'static str {
        match self {
            Self::Join => "everybody whose token is for the room",
            Self::Speak => "everybody inside",
            Self::Make => "as create_rooms says",
            Self::Rate => "no limit of its own: rate holds for all rooms together",
            Self::History => "as the setting history says",
            Self::HistoryAge => "as the setting history_age says",
        }
    }
}

/// Those who may do something in a room. The operator always may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All who are let in.
    Everybody,
    /// All but guests.
    Named,
    /// Those whose token has the role for it.
    Role,
    /// Nobody else.
    Operator,
    /// The users of these names, in order.
    These(Box<[UserName]>),
}

impl Whom {
    /// Whether only a token makes somebody one of them.
    pub fn needs_tokens(&self) -> bool {
        matches!(self, Self::Role | Self::These(_))
    }
}

/// Values for some of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// [`Key::Join`].
    pub join: Option<Whom>,
    /// [`Key::Speak`].
    pub speak: Option<Whom>,
    /// [`Key::Make`].
    pub make: Option<Whom>,
    /// [`Key::Rate`]; `Some(None)`: no limit.
    pub rate: Option<Option<Rate>>,
    /// [`Key::History`]; `usize::MAX`: all.
    pub history: Option<usize>,
    /// [`Key::HistoryAge`]; `Duration::MAX`: for ever.
    pub history_age: Option<Duration>,
}

/// A value as it is written: a text, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    /// One text.
    One(&'a str),
    /// A list of texts.
    Many(Vec<&'a str>),
}

/// As an error shows it.
impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => write!(f, "{text:?}"),
            Self::Many(texts) => write!(f, "{texts:?}"),
        }
    }
}

impl Values {
    /// Sets one of them.
    ///
    /// # Errors
    /// The expected and the found.
    pub fn set(&mut self, key: Key, written: &Written<'_>) -> Result<(), String> {
        match key {
            Key::Join => self.join = Some(whom(written)?),
            Key::Speak => self.speak = Some(whom(written)?),
            Key::Make => self.make = Some(whom(written)?),
            Key::Rate => self.rate = Some(one(written, Rate::parse)?),
            Key::History => self.history = Some(one(written, entries_of)?),
            Key::HistoryAge => self.history_age = Some(one(written, age_of)?),
        }
        Ok(())
    }

    /// Whether that key is named.
    pub fn name(&self, key: Key) -> bool {
        match key {
            Key::Join => self.join.is_some(),
            Key::Speak => self.speak.is_some(),
            Key::Make => self.make.is_some(),
            Key::Rate => self.rate.is_some(),
            Key::History => self.history.is_some(),
            Key::HistoryAge => self.history_age.is_some(),
        }
    }

    /// The value of a key, as it would be written; `None`: it is not named.
    pub fn shown(&self, key: Key) -> Option<Shown<'_>> {
        let whom = match key {
            Key::Join => &self.join,
            Key::Speak => &self.speak,
            Key::Make => &self.make,
            Key::Rate => {
                return Some(Shown::One(match self.rate? {
                    Some(rate) => rate.to_string(),
                    None => "off".into(),
                }));
            }
            Key::History => {
                return Some(Shown::One(match self.history? {
                    usize::MAX => "unlimited".into(),
                    entries => entries.to_string(),
                }));
            }
            Key::HistoryAge => {
                return Some(Shown::One(match self.history_age? {
                    Duration::MAX => "unlimited".into(),
                    age => format!("{}s", age.as_secs()),
                }));
            }
        };
        Some(match whom.as_ref()? {
            Whom::Everybody => Shown::One("everybody".into()),
            Whom::Named => Shown::One("named".into()),
            Whom::Role => Shown::One("role".into()),
            Whom::Operator => Shown::One("operator".into()),
            Whom::These(names) => Shown::Many(names.iter().map(UserName::as_str).collect()),
        })
    }

    /// The memory of the lists of names.
    pub(super) fn names_bytes(&self) -> usize {
        let of = |whom: &Option<Whom>| match whom {
            Some(Whom::These(names)) => names.iter().map(|name| size_of::<UserName>() + name.as_str().len()).sum(),
            _ => 0,
        };
        [&self.join, &self.speak, &self.make].into_iter().map(of).sum()
    }

    /// The keys that are named.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        Key::ALL.into_iter().filter(|&key| self.name(key))
    }

    /// The first key whose value means nothing where everybody comes in under any name.
    pub fn needs_tokens(&self) -> Option<Key> {
        let of = |whom: &Option<Whom>| whom.as_ref().is_some_and(Whom::needs_tokens);
        [(Key::Join, &self.join), (Key::Speak, &self.speak), (Key::Make, &self.make)]
            .into_iter()
            .find(|(_, whom)| of(whom))
            .map(|(key, _)| key)
    }
}

/// A value in words, as [`Written`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// One text.
    One(String),
    /// A list of texts.
    Many(Vec<&'a str>),
}

/// A rule of the file of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// For rooms of which names.
    pub patterns: Box<[Pattern]>,
    /// What holds there.
    pub values: Values,
    /// Its line in the file.
    pub line: usize,
}

impl Rule {
    /// Reads the patterns of a rule.
    ///
    /// # Errors
    /// The expected and the found.
    pub fn patterns(texts: &[&str]) -> Result<Box<[Pattern]>, String> {
        if texts.is_empty() || texts.len() > MAX_PATTERNS {
            return Err(format!("expected 1 to {MAX_PATTERNS} patterns, found {}", texts.len()));
        }
        texts.iter().map(|text| pattern_of(text)).collect()
    }

    /// Whether it is for a room of that name, which is compared with its patterns.
    pub fn is_for(&self, room: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(room))
    }
}

/// The rules of the file of settings, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// Takes rules in their order.
    ///
    /// # Errors
    /// The expected and the found, if they are too many or too long.
    pub fn of(rules: Vec<Rule>) -> Result<Self, String> {
        if rules.len() > MAX_RULES {
            return Err(format!("expected at most {MAX_RULES} rules, found {}", rules.len()));
        }
        let rules = Self(rules.into());
        match rules.pattern_bytes() {
            ..=MAX_PATTERNS_BYTES => Ok(rules),
            bytes => {
                Err(format!("expected at most {MAX_PATTERNS_BYTES} bytes of patterns in all rules, found {bytes}"))
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// The first rule for that room that names the key, and its place.
    pub fn first(&self, key: Key, room: &str) -> Option<(usize, &Rule)> {
        self.0.iter().enumerate().find(|(_, rule)| rule.values.name(key) && rule.is_for(room))
    }

    /// What it takes to compare a name with all of them, in bytes that are looked at ([`Pattern::cost`]).
    pub fn cost(&self) -> usize {
        self.patterns().map(Pattern::cost).sum()
    }

    fn pattern_bytes(&self) -> usize {
        self.patterns().map(|pattern| pattern.as_str().len()).sum()
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().flat_map(|rule| rule.patterns.iter())
    }
}

/// For each key of the chat which rule wins in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Won([u8; Key::OF_CHAT.len()]);

/// The place of what wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    /// What was set for this room.
    Own,
    /// A rule of the file.
    Rule(usize),
}

impl Won {
    /// In a room of that name, for which these were set.
    pub fn find(rules: &Rules, own: Option<&Values>, room: &RoomName) -> Self {
        let mut won = Key::OF_CHAT.map(|key| if own.is_some_and(|own| own.name(key)) { OWN } else { NOBODY });
        for (at, rule) in rules.all().iter().enumerate() {
            let is_open = |key: Key| won[key as usize] == NOBODY && rule.values.name(key);
            // What it names is asked first: that is quick.
            if Key::OF_CHAT.into_iter().any(is_open) && rule.is_for(room.as_str()) {
                for key in Key::OF_CHAT.into_iter().filter(|&key| rule.values.name(key)) {
                    let won = &mut won[key as usize];
                    // At most so many that it fits.
                    *won = if *won == NOBODY { at as u8 } else { *won };
                }
            }
        }
        Self(won)
    }

    /// What wins for a key.
    pub fn of(self, key: Key) -> Option<Winner> {
        match self.0[key as usize] {
            NOBODY => None,
            OWN => Some(Winner::Own),
            at => Some(Winner::Rule(usize::from(at))),
        }
    }
}

const OWN: u8 = u8::MAX - 1;
const NOBODY: u8 = u8::MAX;
const _: () = assert!(MAX_RULES <= OWN as usize);

fn one<T>(written: &Written<'_>, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    let text = match written {
        Written::One(text) => text,
        // The same sentence as for a text that is none.
        Written::Many(_) => "",
    };
    read(text).map_err(|error| format!("{error}, found {written}"))
}

fn whom(written: &Written<'_>) -> Result<Whom, String> {
    let expected = || format!("expected everybody, named, role, operator or a list of names, found {written}");
    let names = match written {
        Written::One("everybody") => return Ok(Whom::Everybody),
        Written::One("named") => return Ok(Whom::Named),
        Written::One("role") => return Ok(Whom::Role),
        Written::One("operator") => return Ok(Whom::Operator),
        Written::One(_) => return Err(expected()),
        Written::Many(names) => names,
    };
    if names.is_empty() || names.len() > MAX_NAMES {
        return Err(format!("expected 1 to {MAX_NAMES} names, found {}", names.len()));
    }
    let read = |name: &&str| UserName::parse(name).map_err(|error| format!("{error}, found {name:?}"));
    let mut names: Vec<UserName> = names.iter().map(read).collect::<Result<_, _>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(Whom::These(names.into()))
}

fn entries_of(text: &str) -> Result<usize, String> {
    let number = || text.parse().ok().filter(|number| (1..=MAX_ENTRIES).contains(number));
    match text {
        "unlimited" => Ok(usize::MAX),
        // Without any, a slow client could not catch up; and what it missed would be told as a hole each time.
        _ => number().ok_or_else(|| format!("expected a whole number from 1 to {MAX_ENTRIES}, or unlimited")),
    }
}

fn age_of(text: &str) -> Result<Duration, String> {
    if text == "unlimited" {
        return Ok(Duration::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = digits.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=MAX_AGE_SECONDS).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a time from 1s to 3650d, such as 1h or 7d, or unlimited".into())
}

fn pattern_of(text: &str) -> Result<Pattern, String> {
    let text = normal(text.into());
    let found = |error: String| Err(format!("{error}, found {text:?}"));
    match text.len() {
        1..=MAX_NAME_BYTES => {}
        bytes => return Err(format!("expected a pattern of 1 to {MAX_NAME_BYTES} bytes, found {bytes}")),
    }
    match check_characters(&text) {
        Ok(()) => Ok(Pattern::new(&text)),
        Err(NameError::Space) => found("expected a pattern without a space at either end".into()),
        Err(_) => found("expected a pattern of characters that a name may have".into()),
    }
}

/// Rules in a file, patterns of one, and bytes of the patterns of all: a name is compared with all of them.
const MAX_RULES: usize = 128;
const MAX_PATTERNS: usize = 64;
const MAX_PATTERNS_BYTES: usize = 8 << 10;

/// Entries that can be kept of a room by number, and the longest time; or all, for ever.
const MAX_ENTRIES: usize = 1_000_000_000;
const MAX_AGE_SECONDS: u64 = 3650 * 86_400;

/// Names in a list of those who may do something.
const MAX_NAMES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(patterns: &[&str], given: &[(Key, Written<'_>)]) -> Rule {
        let mut values = Values::default();
        given.iter().for_each(|(key, written)| values.set(*key, written).unwrap());
        Rule { patterns: Rule::patterns(patterns).unwrap(), values, line: 1 }
    }

    /// Each row: a room, and the winners of join and of speak.
    #[test]
    fn the_first_rule_that_names_the_key_wins() {
        let is = Written::One;
        let rules = Rules::of(vec![
            rule(&["support-de"], &[(Key::Speak, is("everybody"))]),
            rule(&["support-*", "help"], &[(Key::Join, is("named")), (Key::Speak, is("role"))]),
            rule(&["*"], &[(Key::Join, is("everybody")), (Key::Rate, is("1:5"))]),
            rule(&["den"], &[(Key::Join, is("operator"))]),
        ])
        .unwrap();
        let own = Values { join: Some(Whom::Operator), ..Values::default() };
        for (room, own, join, speak) in [
            ("support-de", None, Some(Winner::Rule(1)), Some(Winner::Rule(0))),
            ("support-fr", None, Some(Winner::Rule(1)), Some(Winner::Rule(1))),
            ("help", None, Some(Winner::Rule(1)), Some(Winner::Rule(1))),
            ("helps", None, Some(Winner::Rule(2)), None),
            ("den", None, Some(Winner::Rule(2)), None),
            ("support-fr", Some(&own), Some(Winner::Own), Some(Winner::Rule(1))),
        ] {
            let won = Won::find(&rules, own, &RoomName::parse(room).unwrap());
            assert_eq!((won.of(Key::Join), won.of(Key::Speak), won.of(Key::Make)), (join, speak, None), "{room}");
        }
    }

    /// Each row: a key, what is written, and what it comes back as, or a part of the sentence.
    #[test]
    fn values_as_they_are_written() {
        use Written::{Many, One};
        let long = "n".repeat(MAX_NAME_BYTES + 1);
        let names: Vec<String> = (0..=MAX_NAMES).map(|n| format!("n{n:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (key, written, expected) in [
            (Key::Join, One("everybody"), Ok(Shown::One("everybody".into()))),
            (Key::Join, One("named"), Ok(Shown::One("named".into()))),
            (Key::Speak, One("role"), Ok(Shown::One("role".into()))),
            (Key::Make, One("operator"), Ok(Shown::One("operator".into()))),
            (Key::Make, Many(vec!["bob", "ann", "bob"]), Ok(Shown::Many(vec!["ann", "bob"]))),
            (Key::Make, Many(names[..MAX_NAMES].into()), Ok(Shown::Many(names[..MAX_NAMES].into()))),
            (Key::Make, Many(names.clone()), Err("expected 1 to 256 names, found 257")),
            (Key::Make, Many(vec![]), Err("expected 1 to 256 names, found 0")),
            (Key::Join, One("all"), Err("expected everybody, named, role, operator or a list of names, found \"all\"")),
            (Key::Join, Many(vec![&long]), Err("this one has 129")),
            (Key::Rate, One("1:5"), Ok(Shown::One("1:5".into()))),
            (Key::Rate, One("off"), Ok(Shown::One("off".into()))),
            (Key::Rate, One("1000000:1000000"), Ok(Shown::One("1000000:1000000".into()))),
            (Key::Rate, One("1000001:1"), Err("such as 20:40, or off, found \"1000001:1\"")),
            (Key::Rate, One("0:1"), Err("such as 20:40, or off, found \"0:1\"")),
            (Key::History, One("1"), Ok(Shown::One("1".into()))),
            (Key::History, One("1000000000"), Ok(Shown::One("1000000000".into()))),
            (Key::History, One("unlimited"), Ok(Shown::One("unlimited".into()))),
            (Key::History, One("0"), Err("expected a whole number from 1 to 1000000000, or unlimited, found \"0\"")),
            (Key::History, One("1000000001"), Err("or unlimited, found \"1000000001\"")),
            (Key::HistoryAge, One("1s"), Ok(Shown::One("1s".into()))),
            (Key::HistoryAge, One("3650d"), Ok(Shown::One("315360000s".into()))),
            (Key::HistoryAge, One("unlimited"), Ok(Shown::One("unlimited".into()))),
            (
                Key::HistoryAge,
                One("0s"),
                Err("expected a time from 1s to 3650d, such as 1h or 7d, or unlimited, found"),
            ),
            (Key::HistoryAge, One("3651d"), Err("or unlimited, found \"3651d\"")),
            (Key::HistoryAge, One("1w"), Err("or unlimited, found \"1w\"")),
            (Key::Rate, Many(vec!["1:5"]), Err("such as 20:40, or off, found [\"1:5\"]")),
        ] {
            let mut values = Values::default();
            match (values.set(key, &written), expected) {
                (Ok(()), Ok(shown)) => {
                    assert_eq!(values.shown(key), Some(shown), "{key:?} {written}");
                    assert_eq!(values.keys().collect::<Vec<_>>(), [key]);
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{key:?} {written}: {error}"),
                (found, expected) => panic!("{key:?} {written}: {found:?} {expected:?}"),
            }
        }
    }

    /// At each limit, and one past it.
    #[test]
    fn bounds_of_rules() {
        let many = |n: usize, text: &str| vec![text.to_owned(); n];
        for (patterns, expected) in [
            (many(0, "a"), Some("expected 1 to 64 patterns, found 0")),
            (many(MAX_PATTERNS, "a"), None),
            (many(MAX_PATTERNS + 1, "a"), Some("expected 1 to 64 patterns, found 65")),
            (vec!["a".repeat(MAX_NAME_BYTES)], None),
            (vec!["a".repeat(MAX_NAME_BYTES + 1)], Some("expected a pattern of 1 to 128 bytes, found 129")),
            (vec![String::new()], Some("expected a pattern of 1 to 128 bytes, found 0")),
            (vec![" a".into()], Some("expected a pattern without a space at either end, found \" a\"")),
            (vec!["a\u{7}".into()], Some("expected a pattern of characters that a name may have, found \"a\\u{7}\"")),
            (vec!["*".into()], None),
        ] {
            let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
            assert_eq!(Rule::patterns(&texts).err().as_deref(), expected, "{texts:?}");
        }
        let short = |n: usize| (0..n).map(|_| rule(&["a"], &[])).collect::<Vec<_>>();
        let long = "a".repeat(MAX_NAME_BYTES);
        let full = |n: usize| (0..n).map(|_| rule(&[&long], &[])).collect::<Vec<_>>();
        let fits = MAX_PATTERNS_BYTES / MAX_NAME_BYTES;
        let past = [full(fits), short(1)].into_iter().flatten().collect();
        for (rules, expected) in [
            (short(MAX_RULES), None),
            (short(MAX_RULES + 1), Some("expected at most 128 rules, found 129")),
            (full(fits), None),
            (past, Some("expected at most 8192 bytes of patterns in all rules, found 8193")),
        ] {
            assert_eq!(Rules::of(rules).err().as_deref(), expected);
        }
        // In whatever form it is written, as a name is.
        assert_eq!(Rule::patterns(&["Zoe\u{308}*"]), Rule::patterns(&["Zo\u{eb}*"]));
    }
}
