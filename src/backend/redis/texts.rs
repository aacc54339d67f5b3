//! Texts by names, in order, and how many bytes they take: one line of a board may be 40 bytes, another one 600.

use std::collections::BTreeMap;
use std::ops::Deref;

/// Invariant: `bytes` is the sum of the lengths of all names and texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    of: BTreeMap<Box<str>, Box<str>>,
    bytes: usize,
}

/// They are changed by these alone.
impl Texts {
    /// Returns the text before.
    pub fn insert(&mut self, name: &str, text: &str) -> Option<Box<str>> {
        let before = self.of.insert(name.into(), text.into());
        self.bytes = self.bytes + text.len() + name.len() - before.as_ref().map_or(0, |text| text.len() + name.len());
        before
    }

    pub fn remove(&mut self, name: &str) -> Option<Box<str>> {
        let before = self.of.remove(name)?;
        self.bytes -= before.len() + name.len();
        Some(before)
    }

    /// Of names and texts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn held_bytes(&self) -> usize {
        self.of.len() * PLACE_BYTES + self.bytes
    }
}

impl Deref for Texts {
    type Target = BTreeMap<Box<str>, Box<str>>;

    fn deref(&self) -> &Self::Target {
        &self.of
    }
}

/// The memory of a place in the tree and of two texts, without what is in these, about.
pub(super) const PLACE_BYTES: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_its_bytes() {
        let mut texts = Texts::default();
        for (name, text, bytes) in [("a", "xyz", 4), ("bc", "", 6), ("a", "x", 4), ("bc", "yy", 6)] {
            texts.insert(name, text);
            assert_eq!(texts.bytes(), bytes, "{name} {text}");
        }
        assert_eq!((texts.remove("a").as_deref(), texts.remove("a"), texts.bytes()), (Some("x"), None, 4));
        assert_eq!(texts.held_bytes(), PLACE_BYTES + 4);
    }
}
