//! What a reload has changed in the settings of rooms by name, in words.

use crate::backend::Pattern;
use crate::chat::rules::{Key, Rule, Rules, Values};

use super::rooms::{KEY, list, pairs, toml};

/// What is other in the second than in the first, in words. Of two rules with the same patterns the first is the first.
pub fn changes(before: &Rules, now: &Rules) -> Vec<String> {
    let name = |rule: &Rule| list(rule.patterns.iter().map(|pattern| pattern.as_str()));
    let pairs = pairs(before, now);
    let mut words = Vec::new();
    for (at, (rule, pair)) in now.all().iter().zip(&pairs).enumerate() {
        let Some(other) = pair.map(|pair| &before.all()[pair]) else {
            // The first that names a key wins.
            let is_last = at + 1 == now.all().len();
            let place = if is_last { String::new() } else { format!(", before rule {}", at + 2) };
            words.push(format!("{KEY} {}: a new rule{place}", name(rule)));
            continue;
        };
        for key in Key::OF_CHAT {
            let shown = |values: &Values| values.shown(key).map_or("not named".into(), |shown| toml(&shown));
            let (one, two) = (shown(&other.values), shown(&rule.values));
            if one != two {
                words.push(format!("{KEY} {}: {} {one} -> {two}", name(rule), key.as_str()));
            }
        }
    }
    let gone = before.all().iter().enumerate().filter(|(at, _)| !pairs.contains(&Some(*at)));
    words.extend(gone.map(|(_, rule)| format!("{KEY} {}: the rule is gone", name(rule))));
    // Of those that are in both.
    if !pairs.iter().flatten().is_sorted() {
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
                &[("c", &[(Key::Join, "named")]), first[0], ("d", &[(Key::Join, "named")]), first[1]],
                &["rooms \"c\": a new rule, before rule 2", "rooms \"d\": a new rule, before rule 4"],
            ),
            // The order is told whatever else has changed: which rule wins is another one.
            (
                &[first[1], ("c", &[(Key::Join, "named")]), first[0]],
                &["rooms \"c\": a new rule, before rule 3", "rooms: the order of the rules"],
            ),
            (
                &[("b", &[(Key::Speak, "named"), (Key::Rate, "1:5")]), first[0]],
                &["rooms \"b\": speak \"role\" -> \"named\"", "rooms: the order of the rules"],
            ),
            (&[first[1]], &["rooms \"a*\": the rule is gone"]),
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
        let gone = changes(&rules(&[("c", &[(Key::Join, "named")]), first[0], first[1]]), &rules(&swapped));
        assert_eq!(gone, ["rooms \"c\": the rule is gone", "rooms: the order of the rules"]);
    }
}
