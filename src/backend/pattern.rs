//! Patterns of names: settings hold for rooms by name, here and where messages are kept.

/// The name of a room, in which `*` stands for any characters or none, and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Of a text in the one form that names have.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of a name is like it. The name is looked through once, but for parts between stars that have a
    /// `?`: such a part is tried at each of its characters.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, others)) = self.0.split_once('*') else { return behind(&self.0, name) == Some("") };
        let (between, last) = others.rsplit_once('*').unwrap_or(("", others));
        let within = behind(first, name).and_then(|name| before(last, name));
        // The earliest place of each leaves most to the next.
        within.is_some_and(|name| parts(between).try_fold(name, |name, part| behind_first(part, name)).is_some())
    }

    /// What a comparison takes at most, as if it were to look at so many bytes: at its own, and at those of the longest
    /// name for each part between stars.
    pub fn cost(&self) -> usize {
        let between = self.0.split_once('*').and_then(|(_, others)| others.rsplit_once('*'));
        let of = |part: &str| LONGEST_NAME * if part.contains('?') { part.len() } else { 1 };
        self.0.len() + between.map_or(0, |(between, _)| parts(between).map(of).sum())
    }
}

/// The parts between stars.
fn parts(between: &str) -> impl Iterator<Item = &str> {
    between.split('*').filter(|part| !part.is_empty())
}

/// What of a name is behind a part of the pattern that has no star.
fn behind<'a>(part: &str, name: &'a str) -> Option<&'a str> {
    if !part.contains('?') {
        return name.strip_prefix(part);
    }
    let mut name = name.chars();
    part.chars().all(|one| name.next().is_some_and(|other| one == '?' || one == other)).then_some(name.as_str())
}

/// What is before it at the end.
fn before<'a>(part: &str, name: &'a str) -> Option<&'a str> {
    if !part.contains('?') {
        return name.strip_suffix(part);
    }
    let mut name = name.chars();
    let is_like = |one: char| name.next_back().is_some_and(|other| one == '?' || one == other);
    part.chars().rev().all(is_like).then_some(name.as_str())
}

/// What is behind the first place where it is.
fn behind_first<'a>(part: &str, name: &'a str) -> Option<&'a str> {
    if !part.contains('?') {
        return name.split_once(part).map(|(_, name)| name);
    }
    name.char_indices().find_map(|(at, _)| behind(part, &name[at..]))
}

/// Bytes of the longest name of a room.
const LONGEST_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("den", "den", true),
            ("den", "dens", false),
            ("dens", "den", false),
            ("Den", "den", false),
            ("*", "den", true),
            ("**", "d", true),
            ("?", "d", true),
            ("?", "é", true),
            ("?", "日", true),
            ("??", "d", false),
            ("?", "de", false),
            ("de?", "den", true),
            ("de?", "de", false),
            ("support-*", "support-", true),
            ("support-*", "support-de", true),
            ("support-*", "support", false),
            ("*-de", "support-de", true),
            ("*-de", "support-de-de", true),
            ("*-de", "support-den", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "acb", false),
            ("*?", "d", true),
            ("*??", "d", false),
            ("?*n", "den", true),
            ("?*n", "n", false),
            ("*a?c", "aabcadc", true),
            ("*a?c", "aabcadd", false),
            ("a*a", "a", false),
            ("?*?", "é", false),
            ("?*?", "éé", true),
            ("*b?*", "ab", false),
            ("*b?*b*", "abxab", true),
            ("*é?*", "aéé", true),
            // A name may have them too.
            ("a?b", "a?b", true),
            ("a*b", "a*b", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_a_comparison_takes() {
        for (pattern, expected) in
            [("den", 3), ("de?", 3), ("support-*", 9), ("*-de", 4), ("a*b", 3), ("*", 1), ("**", 2), ("*a*", 3 + 128)]
        {
            assert_eq!(Pattern::new(pattern).cost(), expected, "{pattern}");
        }
        assert_eq!(Pattern::new("*a*bc*").cost(), 6 + 2 * 128);
        assert_eq!(Pattern::new("*a*b?c*d?").cost(), 9 + 128 + 3 * 128);
    }

    /// As the definition says it, which takes as long as it takes.
    fn is_like(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['*', rest @ ..], _) => (0..=name.len()).any(|taken| is_like(rest, &name[taken..])),
            (['?', rest @ ..], [_, name @ ..]) => is_like(rest, name),
            ([one, rest @ ..], [other, name @ ..]) => one == other && is_like(rest, name),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn as_they_are_defined(pattern in "[ab*?]{0,8}", name in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = is_like(&chars(&pattern), &chars(&name));
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), expected, "{} {}", pattern, name);
        }
    }
}
