//! The URL of a Redis as it may be shown: without its password.

/// Whether a value is meant to be such a URL.
pub fn is_one(value: &str) -> bool {
    value.starts_with("redis:") || value.starts_with("rediss:")
}

/// The URL with `***` for its password, and for all that may be one where it is written wrongly.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else { return url.into() };
    let (who, place) = rest.rsplit_once('@').map_or((None, rest), |(who, place)| (Some(who), place));
    let place = place_of(place.trim_start_matches('/'));
    match who.map(|who| who.trim_start_matches('/')) {
        None => format!("{scheme}://{place}"),
        Some(who) => match who.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:***@{place}"),
            // A password that stands in the place of the user, perhaps.
            None => format!("{scheme}://***@{place}"),
        },
    }
}

/// `HOST:PORT/DB`, as far as it is that.
fn place_of(place: &str) -> String {
    let (address, db) = place.split_once('/').map_or((place, None), |(address, db)| (address, Some(db)));
    let port = address.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or("", |(_, port)| port);
    let is_address = port.bytes().all(|byte| byte.is_ascii_digit())
        && address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let address = if is_address { address } else { "***" };
    match db {
        None => address.into(),
        Some(db) if db.bytes().all(|byte| byte.is_ascii_digit()) => format!("{address}/{db}"),
        Some(_) => format!("{address}/***"),
    }
}

/// A sentence in which quoted values that are such URLs, or others with a user in them, are shown so. A quotation mark
/// amid a password is none: one that ends a value has a space behind it, a mark, or nothing.
pub fn shown_in(sentence: &str) -> String {
    let (mut text, mut rest) = (String::new(), sentence);
    while let Some(at) = rest.find(['\'', '"']) {
        let quote = &rest[at..=at];
        let (before, value) = rest.split_at(at + 1);
        let ends = |&(end, _): &(usize, &str)| !value[end + 1..].starts_with(|c: char| !" ,;:.]".contains(c));
        let end = value.match_indices(quote).find(ends).map_or(value.len(), |(end, _)| end);
        let (value, behind) = value.split_at(end);
        text.push_str(before);
        let is_meant = |value: &str| value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
        let is_url = is_one(value.trim_start()) || !value.contains(' ') && is_meant(value);
        match is_url {
            true => text.push_str(&shown(value)),
            false => text.push_str(value),
        }
        // The quotation mark that ends it begins no other.
        let (mark, behind) = behind.split_at(behind.len().min(1));
        text.push_str(mark);
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
            ("redis://secret@127.0.0.1", "redis://***@127.0.0.1"),
            ("redis://:secret", "redis://***"),
            ("redis://:secret@127.0.0.1:1/0?x=secret", "redis://:***@127.0.0.1:1/***"),
            ("redis://127.0.0.1:1/secret", "redis://127.0.0.1:1/***"),
            ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
            ("valkey://:secret@127.0.0.1", "valkey://:***@127.0.0.1"),
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis", "redis"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
        for (sentence, expected) in [
            ("found 'redis://ann:secret@h/1' there", "found 'redis://ann:***@h/1' there"),
            ("found \"redis://ann:secret@h\" and 'redis'", "found \"redis://ann:***@h\" and 'redis'"),
            ("found 'redis://ann:se'cret@h' there", "found 'redis://ann:***@h' there"),
            ("found 'redis://ann:secret@h", "found 'redis://ann:***@h"),
            (
                "found 'redis://a:b@h', expected 'redis://USER:PASSWORD@HOST'",
                "found 'redis://a:***@h', expected 'redis://USER:***@HOST'",
            ),
            ("found [\"redis://:secret@h\"]", "found [\"redis://:***@h\"]"),
            ("found 'valkey://:secret@h' there", "found 'valkey://:***@h' there"),
            ("found 'one' and 'http://h,x' or don't", "found 'one' and 'http://h,x' or don't"),
            ("found nothing", "found nothing"),
        ] {
            assert_eq!(shown_in(sentence), expected);
        }
    }
}
