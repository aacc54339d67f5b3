//! UTF-8 that arrives in pieces (RFC 6455 section 8.1).
//!
//! A text message may be cut anywhere, also inside a character, and text that cannot become UTF-8 any more is refused
//! at once instead of at the end of the message. Valid text is appended to a `String` as it comes, so nothing is
//! validated twice.

use alloc::string::String;

use crate::error::ProtocolError;

/// The bytes as text.
///
/// # Errors
/// [`ProtocolError::InvalidUtf8`].
#[inline]
pub fn validate(bytes: &[u8]) -> Result<&str, ProtocolError> {
    #[cfg(feature = "simd")]
    let text = simdutf8::basic::from_utf8(bytes).map_err(|_| ProtocolError::InvalidUtf8);
    #[cfg(not(feature = "simd"))]
    let text = core::str::from_utf8(bytes).map_err(|_| ProtocolError::InvalidUtf8);
    text
}

/// The start of a character whose rest has not arrived: at most three bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Tail {
    bytes: [u8; 3],
    len: u8,
}

impl Utf8Tail {
    /// Appends `piece` to `text` as far as its characters are complete; keeps the rest.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidUtf8`] as soon as no continuation could make the text valid.
    pub fn push(&mut self, piece: &[u8], text: &mut String) -> Result<(), ProtocolError> {
        self.pass(piece, |valid| text.push_str(valid))
    }

    /// Judges `piece` and keeps nothing of it but the start of a character whose rest has not arrived.
    ///
    /// # Errors
    /// As [`Utf8Tail::push`].
    pub fn check(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        self.pass(piece, |_| {})
    }

    #[inline]
    fn pass(&mut self, mut piece: &[u8], mut take: impl FnMut(&str)) -> Result<(), ProtocolError> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let have = usize::from(self.len);
            let mut character = [0; 4];
            character[..have].copy_from_slice(&self.bytes[..have]);
            character[have] = byte;
            match core::str::from_utf8(&character[..=have]) {
                Ok(complete) => {
                    take(complete);
                    self.len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(ProtocolError::InvalidUtf8),
                Err(_) => {
                    self.bytes[have] = byte;
                    self.len += 1;
                }
            }
        }
        let (whole, rest) = piece.split_at(piece.len() - cut_short(piece));
        take(validate(whole)?);
        if core::str::from_utf8(rest).is_err_and(|error| error.error_len().is_some()) {
            return Err(ProtocolError::InvalidUtf8);
        }
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.len = rest.len() as u8;
        Ok(())
    }

    /// Bytes of the character whose rest has not arrived.
    pub fn pending(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether the text may end here: no character is incomplete.
    pub fn is_complete(&self) -> bool {
        self.len == 0
    }
}

/// How many bytes at the end begin a character that needs more than are there.
fn cut_short(piece: &[u8]) -> usize {
    for (have, byte) in piece.iter().rev().take(3).enumerate().map(|(before, byte)| (before + 1, *byte)) {
        let needs = match byte {
            0x80..=0xbf => continue,
            0x00..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if needs > have { have } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first byte that made the text impossible, or the whole text.
    fn fed(pieces: &[&[u8]]) -> Result<(String, bool), usize> {
        let (mut tail, mut text) = (Utf8Tail::default(), String::new());
        for (index, piece) in pieces.iter().enumerate() {
            tail.push(piece, &mut text).map_err(|_| index)?;
        }
        Ok((text, tail.is_complete()))
    }

    #[test]
    fn a_text_in_pieces_is_the_text() {
        let text = "κόσμε · € · 😀 · plain";
        let bytes = text.as_bytes();
        for at in 0..=bytes.len() {
            assert_eq!(fed(&[&bytes[..at], &bytes[at..]]), Ok((text.into(), true)));
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(fed(&single), Ok((text.into(), true)));
    }

    #[test]
    fn the_impossible_is_refused_at_its_first_byte() {
        for (bytes, at) in [
            (&b"\xff"[..], 0),
            (b"\x80", 0),
            (b"\xc0\xaf", 0),         // overlong
            (b"\xed\xa0\x80", 1),     // a surrogate: known at the second byte
            (b"\xf4\x90\x80\x80", 1), // beyond U+10FFFF
            (b"\xe0\x80", 1),         // overlong
            (b"ok\xe2\x82x", 4),      // a character cut short
        ] {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(fed(&single), Err(at), "{bytes:x?}");
            assert_eq!(fed(&[bytes]), Err(0), "{bytes:x?}");
        }
    }

    #[test]
    fn an_incomplete_end_is_known() {
        assert_eq!(fed(&[b"a\xf0\x9f"]), Ok(("a".into(), false)));
    }
}
