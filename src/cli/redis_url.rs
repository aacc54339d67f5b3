//! The URL of a Redis as it may be shown: without its password.

/// Whether a value is meant to be such a URL.
pub fn is_one(value: &str) -> bool {
    value.starts_with("redis:") || value.starts_with("rediss:")
}

/// The URL with `***` for its password, also where it is written wrongly.
pub fn shown(url: &str) -> String {
    let parts = url.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)));
    let Some((scheme, (who, place))) = parts else { return url.into() };
    match who.trim_start_matches('/').split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{place}"),
        None => url.into(),
    }
}

/// A sentence in which quoted values that begin like such URLs are shown so. A quotation mark amid a password is none:
/// one that ends a value has a space behind it, a mark, or nothing.
pub fn shown_in(sentence: &str) -> String {
    let (mut text, mut rest) = (String::new(), sentence);
    while let Some(at) = ["'redis", "\"redis"].iter().filter_map(|start| rest.find(start)).min() {
        let quote = &rest[at..=at];
        let (before, value) = rest.split_at(at + 1);
        let ends = |&(end, _): &(usize, &str)| !value[end + 1..].starts_with(|c: char| !" ,;:.".contains(c));
        let end = value.match_indices(quote).find(ends).map_or(value.len(), |(end, _)| end);
        let (value, behind) = value.split_at(end);
        text.push_str(before);
        text.push_str(&shown(value));
        rest = behind;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        for (url, expected) in [
            ("redis://ann:secret@127.0.0.1:6379/0", "redis://ann:***@127.0.0.1:6379/0"),
            ("rediss://ann:secret@cache.example", "rediss://ann:***@cache.example"),
            ("redis://:secret@127.0.0.1", "redis://:***@127.0.0.1"),
            ("redis://ann:se:cr@et@127.0.0.1", "redis://ann:***@127.0.0.1"),
            ("redis:/ann:secret@127.0.0.1", "redis://ann:***@127.0.0.1"),
            ("redis:ann:secret@127.0.0.1", "redis://ann:***@127.0.0.1"),
            ("redis://ann@127.0.0.1", "redis://ann@127.0.0.1"),
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis", "redis"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
        for (sentence, expected) in [
            ("found 'redis://ann:secret@h/x' there", "found 'redis://ann:***@h/x' there"),
            ("found \"redis://ann:secret@h\" and 'redis'", "found \"redis://ann:***@h\" and 'redis'"),
            ("found 'redis://ann:se'cret@h' there", "found 'redis://ann:***@h' there"),
            ("found 'redis://ann:secret@h", "found 'redis://ann:***@h"),
            (
                "found 'redis://a:b@h', expected 'redis://USER:PASSWORD@HOST'",
                "found 'redis://a:***@h', expected 'redis://USER:***@HOST'",
            ),
            ("found 'redis:' there", "found 'redis:' there"),
            ("found nothing", "found nothing"),
        ] {
            assert_eq!(shown_in(sentence), expected);
        }
    }
}
