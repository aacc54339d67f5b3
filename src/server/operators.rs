//! The operators: each is known by a key that they show on the admin port, and may do what their rights say.
//!
//! Which request needs which right is said by [`super::api`] and [`super::doors`], the answer to one without it by
//! `refusing`. Without any operator every program on this machine may do everything.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::admin_key::AdminKey;

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read what is counted: `/health`, `/metrics`.
    Metrics,
    /// Read who is here and what was said.
    Read,
    /// Say something in any name, and make rooms.
    Speak,
    /// Put people out, ban them, delete what they said.
    Moderate,
    /// Have the settings read again.
    Reload,
}

impl Right {
    /// Each that can be given by its own word; the others come with everything.
    const WORDS: [(&str, Self); 4] =
        [("metrics", Self::Metrics), ("read", Self::Read), ("speak", Self::Speak), ("moderate", Self::Moderate)];

    /// What an operator is told whose key has it not.
    pub const fn lacking(self) -> &'static str {
        match self {
            Self::Metrics => "expected the key of an operator with the right `metrics`, found one without it",
            Self::Read => "expected the key of an operator with the right `read`, found one without it",
            Self::Speak => "expected the key of an operator with the right `speak`, found one without it",
            Self::Moderate => "expected the key of an operator with the right `moderate`, found one without it",
            Self::Reload => "expected the key of an operator who may do everything, found another one",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// All there are, and all there will be.
    pub const ALL: Self = Self(u8::MAX);

    /// Whether that is among them.
    pub fn have(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }
}

impl FromStr for Rights {
    type Err = ();

    /// Words with `+` between them, or `everything`.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "everything" {
            return Ok(Self::ALL);
        }
        text.split('+').try_fold(Self(0), |Self(rights), word| {
            let right = Right::WORDS.iter().find(|(name, _)| *name == word).ok_or(())?.1;
            Ok(Self(rights | right.bit()))
        })
    }
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The name in the log.
    pub name: Arc<str>,
    /// What they may do.
    pub rights: Rights,
    /// The key that they show.
    pub key: AdminKey,
}

/// All operators.
#[derive(Clone, Debug, Default)]
pub struct Operators(Vec<Operator>);

/// Two operators cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// The name of one.
    pub one: Arc<str>,
    /// The name of the other.
    pub other: Arc<str>,
}

impl fmt::Display for Alike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.one == self.other {
            true => write!(f, "expected operators of different names, found two called {}", self.one),
            false => write!(f, "expected a key for each operator, found the same for {} and {}", self.one, self.other),
        }
    }
}

impl Operators {
    /// These operators.
    ///
    /// # Errors
    /// When two have one name or one key.
    pub fn of(operators: Vec<Operator>) -> Result<Self, Alike> {
        for (at, other) in operators.iter().enumerate() {
            let alike = |one: &&Operator| one.name == other.name || one.key.same(&other.key);
            if let Some(one) = operators[..at].iter().find(alike) {
                return Err(Alike { one: one.name.clone(), other: other.name.clone() });
            }
        }
        Ok(Self(operators))
    }

    /// Whether there is none, so that no key is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rights of the operator of that name; `None`: there is none any more.
    pub fn rights_of(&self, name: &str) -> Option<Rights> {
        match self.is_empty() {
            true => Some(Rights::ALL),
            false => self.0.iter().find(|operator| *operator.name == *name).map(|operator| operator.rights),
        }
    }

    /// The operator whose key that is. The time it takes reveals only the lengths of keys.
    pub fn who(&self, shown: &[u8]) -> Option<&Operator> {
        self.0.iter().fold(None, |found, operator| if operator.key.is(shown) { Some(operator) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, rights: &str, key: &[u8]) -> Operator {
        Operator { name: name.into(), rights: rights.parse().unwrap(), key: AdminKey::read(key).unwrap() }
    }

    #[test]
    fn rights() {
        use Right::{Metrics, Moderate, Read, Reload, Speak};
        for (text, expected) in [
            ("metrics", Some(&[Metrics][..])),
            ("read+moderate", Some(&[Read, Moderate])),
            ("speak+speak", Some(&[Speak])),
            ("metrics+read+speak+moderate", Some(&[Metrics, Read, Speak, Moderate])),
            ("everything", Some(&[Metrics, Read, Speak, Moderate, Reload])),
            ("", None),
            ("reload", None),
            ("read,speak", None),
            ("read+", None),
            ("everything+read", None),
        ] {
            let found = text.parse::<Rights>().ok();
            let all = [Metrics, Read, Speak, Moderate, Reload];
            let found = found.map(|found| all.into_iter().filter(|right| found.have(*right)).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn each_is_known_by_their_key() {
        let (scraper, bot) =
            (operator("scraper", "metrics", b"0123456789abcdef"), operator("bot", "speak", b"abcdef0123456789x"));
        let all = Operators::of(vec![scraper.clone(), bot.clone()]).unwrap();
        for (shown, expected) in [
            ("0123456789abcdef", Some("scraper")),
            ("abcdef0123456789x", Some("bot")),
            ("abcdef0123456789", None),
            ("", None),
        ] {
            assert_eq!(all.who(shown.as_bytes()).map(|operator| &*operator.name), expected, "{shown}");
        }
        let twin = operator("bot", "metrics", b"another-key-of-16-bytes");
        let same = operator("third", "read", b"0123456789abcdef\n");
        let error = Operators::of(vec![scraper.clone(), bot, twin]).unwrap_err().to_string();
        assert_eq!(error, "expected operators of different names, found two called bot");
        let error = Operators::of(vec![scraper, same]).unwrap_err().to_string();
        assert_eq!(error, "expected a key for each operator, found the same for scraper and third");
        assert!(Operators::default().is_empty() && !all.is_empty());
    }
}
