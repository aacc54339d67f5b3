//! What a reload has changed in the settings of rooms by name, in words.

use crate::backend::Pattern;
use crate::chat::rules::{Key, Rule, Rules, Values};

use super::rooms::{KEY, list, toml};

/// What is other in the second than in the first, in words.
pub fn changes(before: &Rules, now: &Rules) -> Vec<String> {
    let mut old: Vec<&Rule> = before.all().iter().collect();
    let mut words = Vec::new();
    for rule in now.all() {
        let name = |rule: &Rule| list(rule.patterns.iter().map(|pattern| pattern.as_str()));
        match old.iter().position(|other| other.patterns == rule.patterns) {
            None => words.push(format!("{KEY} {}: a new rule", name(rule))),
            Some(at) => {
                let other = old.remove(at);
                for key in Key::OF_CHAT {
                    let shown = |values: &Values| values.shown(key).map_or("not named".into(), |shown| toml(&shown));
                    let (one, two) = (shown(&other.values), shown(&rule.values));
                    if one != two {
                        words.push(format!("{KEY} {}: {} {one} -> {two}", name(rule), key.as_str()));
                    }
                }
            }
        }
    }
    let gone = old.iter().map(|rule| list(rule.patterns.iter().map(|pattern| pattern.as_str())));
    words.extend(gone.map(|name| format!("{KEY} {name}: the rule is gone")));
    // What the store is given is told by itself.
    let chats = |rule: &Rule| Key::OF_CHAT.map(|key| rule.values.shown(key).map(|shown| toml(&shown)));
    let same = |one: &Rule, other: &Rule| one.patterns == other.patterns && chats(one) == chats(other);
    if words.is_empty() && !before.all().iter().zip(now.all()).all(|(one, other)| same(one, other)) {
        words.push(format!("{KEY}: the order of the rules"));
    }
    words
}

/// What the store is given at the next start, where that is something else than at this one, in words.
pub fn at_the_next_start(before: &Rules, now: &Rules) -> Vec<String> {
    let of_store = |rules: &Rules| -> Vec<(Box<[Pattern]>, Vec<String>)> {
        let of = |rule: &Rule| {
            let keys = rule.values.keys().filter(|key| key.is_of_store());
            keys.map(|key| format!("{}={:?}", key.as_str(), rule.values.shown(key))).collect::<Vec<_>>()
        };
        let all = rules.all().iter().map(|rule| (rule.patterns.clone(), of(rule)));
        all.filter(|(_, keys)| !keys.is_empty()).collect()
    };
    match of_store(before) == of_store(now) {
        true => Vec::new(),
        false => vec![format!("{KEY}: history, history_age")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::rooms::tests::{Row, rules};
    use super::*;

    #[test]
    fn what_has_changed() {
        let first: [Row<'_>; 2] = [("a*", &[(Key::Join, "named")]), ("b", &[(Key::Speak, "role"), (Key::Rate, "1:5")])];
        let swapped = [first[1], first[0]];
        for (now, expected) in [
            (&first[..], &[][..]),
            (&swapped, &["rooms: the order of the rules"]),
            (&[("a*", &[(Key::Join, "named"), (Key::History, "5")]), first[1]], &[]),
            (&first[..1], &["rooms \"b\": the rule is gone"]),
            (&[first[0], first[1], ("c", &[(Key::Join, "named")])], &["rooms \"c\": a new rule"]),
            (
                &[first[0], ("b", &[(Key::Rate, "2:5"), (Key::Make, "role")])],
                &[
                    "rooms \"b\": speak \"role\" -> not named",
                    "rooms \"b\": make not named -> \"role\"",
                    "rooms \"b\": rate \"1:5\" -> \"2:5\"",
                ],
            ),
        ] {
            assert_eq!(changes(&rules(&first), &rules(now)), expected, "{now:?}");
        }
    }
}
