//! What people react with: an emoji, or the name of one between colons.
//!
//! Which sequences are emoji, Unicode decides anew each year. The rule here is the grammar of such sequences (UTS #51,
//! section 1.4.9), which stays: one picture, with a tone or a tag or in its colourful form, or several that joiners
//! make one; a flag of two letters; a key.

use super::name::is_picture;
use super::wire::{Code, Refusal};

/// Refuses a text that is neither one emoji nor a name between colons.
pub(super) fn check_emoji(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_EMOJI_BYTES {
        let message = format!("`emoji`: expected at most {MAX_EMOJI_BYTES} bytes, found {}", text.len());
        return Err(Refusal::new(Code::BadRequest, message));
    }
    match is_symbol(text) || is_name(text) {
        true => Ok(()),
        false => Err(Refusal::new(Code::BadRequest, "`emoji`: expected one emoji, or `:name:`, found another text")),
    }
}

/// Whether all of it shows as one picture.
fn is_symbol(text: &str) -> bool {
    let mut chars = text.chars().peekable();
    match chars.peek() {
        Some(&c) if is_flag_letter(c) => return chars.all(is_flag_letter) && text.chars().count() == 2,
        Some('0'..='9' | '#' | '*') => {
            chars.next();
            chars.next_if_eq(&FULL_COLOUR);
            return chars.next() == Some(KEY) && chars.next().is_none();
        }
        _ => {}
    }
    loop {
        match chars.next() {
            Some(c) if is_picture(c) && !is_tone(c) && !is_flag_letter(c) => {}
            _ => return false,
        }
        if chars.next_if(|&c| is_tone(c) || c == FULL_COLOUR).is_none() && chars.next_if(|&c| is_tag(c)).is_some() {
            while chars.next_if(|&c| is_tag(c)).is_some() {}
            if chars.next() != Some(LAST_TAG) {
                return false;
            }
        }
        match chars.next() {
            None => return true,
            Some(JOINER) => {}
            Some(_) => return false,
        }
    }
}

/// Whether it is a name between colons, which a client may show as a picture of its own.
fn is_name(text: &str) -> bool {
    let name = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    })
}

/// Two of them are a flag.
fn is_flag_letter(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Of a flag that is not of a country.
fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..='\u{e007e}')
}

const LAST_TAG: char = '\u{e007f}';
const FULL_COLOUR: char = '\u{fe0f}';
const KEY: char = '\u{20e3}';
const JOINER: char = '\u{200d}';

/// The longest emoji or name, in bytes.
const MAX_EMOJI_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_as_one_symbol() {
        let england = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}";
        let long = format!(":{}:", "x".repeat(30));
        for good in [
            "\u{1f44d}",
            "\u{1f44d}\u{1f3fd}",
            "\u{2764}",
            "\u{2764}\u{fe0f}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "\u{1f575}\u{1f3fd}\u{200d}\u{2642}\u{fe0f}",
            family,
            england,
            "\u{1f1e9}\u{1f1ea}",
            "1\u{fe0f}\u{20e3}",
            "#\u{20e3}",
            "\u{a9}",
            ":+1:",
            ":party_parrot-2:",
            ":x:",
            &long,
        ] {
            assert_eq!(check_emoji(good), Ok(()), "{good:?}");
        }
        let longer = format!(":{}:", "x".repeat(31));
        for bad in [
            "",
            " ",
            "a",
            "1",
            "+1",
            "ok",
            ":",
            "::",
            ": x:",
            ":x",
            ":\u{e9}:",
            "\u{200b}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{20e3}",
            "\u{1f3fd}",
            "\u{1f1e9}",
            "\u{1f1e9}\u{1f1ea}\u{1f1eb}",
            "\u{1f1e9}a",
            "\u{1f44d}\u{1f44d}",
            "\u{1f44d} ",
            "\u{1f44d}\u{200d}",
            "\u{1f44d}\u{1f3fd}\u{1f3fd}",
            "\u{200d}\u{1f44d}",
            "1\u{fe0f}",
            "1\u{20e3}\u{20e3}",
            "\u{1f3f4}\u{e0067}",
            "\u{1f44d}\u{301}",
            &longer,
        ] {
            assert_eq!(check_emoji(bad).map_err(|refusal| refusal.code), Err(Code::BadRequest), "{bad:?}");
        }
    }
}
