//! What is counted and waited for as in `client.js`, which a test reads.

use super::super::network::{SECOND, Time};

pub const BACKOFF_BASE: Time = 500_000;
pub const BACKOFF_MAX: Time = 20 * SECOND;
pub const STABLE_AFTER: Time = 5 * SECOND;
pub const OPEN_WITHIN: Time = 15 * SECOND;
pub const PING_AFTER: Time = 25 * SECOND;
pub const PING_UNANSWERED_AFTER: Time = 5 * SECOND;
pub const PONG_WITHIN: Time = 10 * SECOND;
pub const ANSWER_WITHIN: Time = 15 * SECOND;
pub const REPEAT_WITHIN: Time = 270 * SECOND;
pub const SLOW_FOR: Time = 30 * SECOND;
pub const TRIES_MAX: u32 = 6;
pub const REQUESTS_MAX: usize = 512;
pub const OUTBOX_MAX: usize = 200;
pub const CAREFUL_RATE: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// All numbers that `client.js` has by name: as they are here, or why they are not.
    #[test]
    fn they_are_those_of_the_client() {
        let (ms, here) = (|time: Time| time as f64 / 1_000.0, |number: u64| number as f64);
        let known = [
            ("BACKOFF_BASE", Ok(ms(BACKOFF_BASE))),
            ("BACKOFF_MAX", Ok(ms(BACKOFF_MAX))),
            ("STABLE_AFTER", Ok(ms(STABLE_AFTER))),
            ("OPEN_WITHIN", Ok(ms(OPEN_WITHIN))),
            ("PING_AFTER", Ok(ms(PING_AFTER))),
            ("PING_UNANSWERED_AFTER", Ok(ms(PING_UNANSWERED_AFTER))),
            ("PONG_WITHIN", Ok(ms(PONG_WITHIN))),
            ("ANSWER_WITHIN", Ok(ms(ANSWER_WITHIN))),
            ("REPEAT_WITHIN", Ok(ms(REPEAT_WITHIN))),
            ("SLOW_FOR", Ok(ms(SLOW_FOR))),
            ("TRIES_MAX", Ok(here(TRIES_MAX.into()))),
            ("REQUESTS_MAX", Ok(here(REQUESTS_MAX as u64))),
            ("OUTBOX_MAX", Ok(here(OUTBOX_MAX as u64))),
            ("CAREFUL_RATE", Ok(here(CAREFUL_RATE))),
            ("LIVENESS_TICK", Err("it looks more often here")),
            ("JOINS_AT_ONCE", Err("one list has all rooms here")),
            ("JOIN_PAUSE_MAX", Err("one list has all rooms here")),
            ("JOIN_ENVELOPE", Err("eight rooms are a short list")),
            ("WELCOME_WITHIN", Err("each knows here whether there are tokens")),
            ("STALLED_AFTER", Err("it is shown to people, and changes nothing that is sent")),
            ("TOKEN_IN_OPENING", Err("tokens are short here")),
            ("MESSAGE_TOO_BIG", Err("a code")),
            ("UNAUTHORIZED", Err("a code")),
            ("NAME_BYTES_MAX", Err("names are short here")),
        ];
        let mut read = Vec::new();
        for line in include_str!("../../server/web/client.js").lines() {
            let Some((name, rest)) = line.strip_prefix("const ").and_then(|line| line.split_once(" = ")) else {
                continue;
            };
            let value = rest.split(';').next().unwrap_or_default().replace('_', "");
            let product = value.split('*').map(|factor| factor.trim().parse::<f64>()).product::<Result<f64, _>>();
            if let (Ok(value), true) = (product, name.chars().all(|c| c.is_ascii_uppercase() || c == '_')) {
                let found = known.iter().find(|(known, _)| *known == name);
                let (_, here) = found.unwrap_or_else(|| panic!("{name} is not known here"));
                assert!(here.is_err() || *here == Ok(value), "{name}: {here:?}, and {value} in client.js");
                read.push(name);
            }
        }
        for (name, _) in known {
            assert!(read.contains(&name), "client.js has no {name}");
        }
    }
}
