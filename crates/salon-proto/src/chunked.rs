//! A body in chunks (RFC 9112 section 7.1): from bytes as they come to the body.
//!
//! It takes what the grammar has and nothing near it, because a proxy in front that reads a size otherwise would find
//! another request behind it: lines end with CR and LF, a size is one to eight hexadecimal digits with nothing around
//! them but an extension. (One of more digits is too large, or begins with zeros and is none.) Extensions and trailers
//! are held to their letters and thrown away; together they have a bound.

use alloc::vec::Vec;

/// What of a body in chunks has arrived, but for the body.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    state: State,
    /// Of the size that is being read, and then of the chunk: what is still to come.
    left: u32,
    digits: u8,
    /// Bytes of extensions and trailers.
    beside: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The digits of a size.
    #[default]
    Size,
    /// Space behind them, which only an extension may follow.
    Space,
    Extension,
    /// The LF behind a size.
    SizeEnd,
    Data,
    /// The CR and the LF behind a chunk.
    DataCr,
    DataLf,
    /// The first byte of a trailer, or the CR of the line that ends all.
    Line,
    Name,
    Value,
    ValueEnd,
    LastLf,
    Done,
}

/// Why a body in chunks cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkError {
    /// It is none: what follows cannot be understood either.
    Malformed,
    /// The body is longer than it may be, or what stands beside it than [`MAX_BESIDE`].
    TooLarge,
}

impl Chunks {
    /// Takes bytes, and appends to `body` what of them belongs to it, which has `max` bytes at most. Returns how many
    /// were taken, and whether the body is complete; then what is behind is another request.
    ///
    /// Nothing is allocated for a size that is only claimed.
    ///
    /// # Errors
    /// It is not a body in chunks, or too long. Nothing more can be read from there.
    pub fn decode(&mut self, bytes: &[u8], max: usize, body: &mut Vec<u8>) -> Result<(usize, bool), ChunkError> {
        let mut used = 0;
        while self.state != State::Done {
            let Some(&byte) = bytes.get(used) else { return Ok((used, false)) };
            if self.state == State::Data {
                let part = &bytes[used..];
                let part = &part[..part.len().min(self.left as usize)];
                body.extend_from_slice(part);
                used += part.len();
                self.left -= part.len() as u32;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            used += 1;
            self.step(byte, max.saturating_sub(body.len()))?;
        }
        Ok((used, true))
    }

    fn step(&mut self, byte: u8, room: usize) -> Result<(), ChunkError> {
        self.state = match (self.state, byte) {
            (State::Size, digit) if digit.is_ascii_hexdigit() && self.digits < MAX_DIGITS => {
                let value = (digit as char).to_digit(16).unwrap_or_default();
                (self.left, self.digits) = (self.left << 4 | value, self.digits + 1);
                State::Size
            }
            // Nine digits without a zero before them are 4 GiB or more.
            (State::Size, digit) if digit.is_ascii_hexdigit() && self.left >> (4 * (MAX_DIGITS - 1)) > 0 => {
                return Err(ChunkError::TooLarge);
            }
            (State::Size, b'\r') if self.digits > 0 => State::SizeEnd,
            (State::Size | State::Space, b';') if self.digits > 0 => State::Extension,
            (State::Size | State::Space, b' ' | b'\t') if self.digits > 0 => self.beside(State::Space)?,
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, byte) if is_text(byte) => self.beside(State::Extension)?,
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                match self.left {
                    0 => State::Line,
                    left if left as usize > room => return Err(ChunkError::TooLarge),
                    _ => State::Data,
                }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Line, b'\r') => State::LastLf,
            (State::Line | State::Name, byte) if is_name(byte) => self.beside(State::Name)?,
            (State::Name, b':') => State::Value,
            (State::Value, b'\r') => State::ValueEnd,
            (State::Value, byte) if is_text(byte) => self.beside(State::Value)?,
            (State::ValueEnd, b'\n') => State::Line,
            (State::LastLf, b'\n') => State::Done,
            _ => return Err(ChunkError::Malformed),
        };
        Ok(())
    }

    /// One more byte that is thrown away.
    fn beside(&mut self, next: State) -> Result<State, ChunkError> {
        self.beside += 1;
        if self.beside > MAX_BESIDE { Err(ChunkError::TooLarge) } else { Ok(next) }
    }
}

/// A byte that may stand in an extension or in the value of a trailer (RFC 9110 section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// A byte of the name of a trailer (RFC 9110 section 5.6.2).
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Digits of a size, leading zeros too.
const MAX_DIGITS: u8 = 8;

/// Bytes of extensions and trailers of one body.
pub const MAX_BESIDE: u16 = 4096;

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::{format, vec};

    use super::*;

    /// In pieces of that size: what is left behind the body, and the body.
    fn read(bytes: &[u8], size: usize) -> Result<Option<(usize, Vec<u8>)>, ChunkError> {
        let (mut chunks, mut body, mut taken) = (Chunks::default(), Vec::new(), 0);
        for piece in bytes.chunks(size.max(1)) {
            let (used, done) = chunks.decode(piece, 20, &mut body)?;
            taken += used;
            if done {
                return Ok(Some((bytes.len() - taken, body)));
            }
            assert_eq!(used, piece.len(), "all is taken while it is not complete");
        }
        Ok(None)
    }

    /// Each row is read whole, in twos and one byte at a time, which must agree.
    #[track_caller]
    fn row(bytes: &[u8], expected: &Result<Option<(usize, &str)>, ChunkError>) {
        for size in [bytes.len(), 2, 1] {
            let found = read(bytes, size);
            let expected = expected.map(|done| done.map(|(left, body)| (left, body.as_bytes().to_vec())));
            assert_eq!(found, expected, "{:?} by {size}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn bodies() {
        for (bytes, left, body) in [
            ("0\r\n\r\n", 0, ""),
            ("5\r\nhello\r\n0\r\n\r\n", 0, "hello"),
            ("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 0, "hello!"),
            ("00000005\r\nhello\r\n000\r\n\r\n", 0, "hello"),
            ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", 0, "01234567890123456789"),
            ("2\r\n\r\n\r\n0\r\n\r\n", 0, "\r\n"),
            ("1;a\r\nx\r\n0;b=\"c;d\"\r\n\r\n", 0, "x"),
            ("1 \t; a = b\r\nx\r\n0\r\n\r\n", 0, "x"),
            ("1\r\nx\r\n0\r\nExpires: never\r\nX-Sum:\r\n\r\n", 0, "x"),
            ("1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n", 0, "x"),
        ] {
            row(bytes.as_bytes(), &Ok(Some((left, body))));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes.as_bytes()[..end], 3), Ok(None), "{bytes:?} until {end}");
            }
        }
        // Whole, what is behind it stays.
        assert_eq!(read(b"1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1", 99), Ok(Some((14, b"x".to_vec()))));
    }

    #[test]
    fn what_is_none() {
        for bytes in [
            "\r\n",
            ";a\r\n",
            " 1\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            "1_0\r\n",
            "1\n",
            "1 \r\n",
            "1\r\r\n",
            "1 1\r\n",
            "1;a\n",
            "1;a\u{1}\r\n",
            "1;a\rb",
            "000000001\r\n",
            "0ffffffff\r\n",
            "10000000 0\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello!\r\n",
            "1\r\nx\r\n\r\n",
            "0\r\n\n",
            "0\r\n x\r\n\r\n",
            "0\r\n:x\r\n\r\n",
            "0\r\na b: c\r\n\r\n",
            "0\r\na\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na: \0\r\n\r\n",
        ] {
            row(bytes.as_bytes(), &Err(ChunkError::Malformed));
        }
    }

    #[test]
    fn bounds_and_one_past_them() {
        row(b"14\r\n01234567890123456789\r\n0\r\n\r\n", &Ok(Some((0, "01234567890123456789"))));
        row(b"15\r\n", &Err(ChunkError::TooLarge));
        for large in ["ffffffff\r\n", "100000000\r\n", "100000000000\r\n", "ffffffffffffffffffff;x\r\n"] {
            row(large.as_bytes(), &Err(ChunkError::TooLarge));
        }
        row(b"a\r\n0123456789\r\nb\r\n", &Err(ChunkError::TooLarge));
        let most = MAX_BESIDE as usize;
        let extension = |len: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(len)).into_bytes();
        row(&extension(most), &Ok(Some((0, "x"))));
        row(&extension(most + 1), &Err(ChunkError::TooLarge));
        let trailers = |len: usize| {
            let lines: String = (0..len / 2).map(|_| "a:b\r\n").collect();
            format!("0\r\n{lines}{}\r\n", if len.is_multiple_of(2) { "" } else { "a:\r\n" }).into_bytes()
        };
        row(&trailers(most), &Ok(Some((0, ""))));
        row(&trailers(most + 1), &Err(ChunkError::TooLarge));
        // Nothing is allocated for what is only claimed.
        let mut body = vec![];
        assert_eq!(Chunks::default().decode(b"7fffffff\r\nab", usize::MAX, &mut body), Ok((12, false)));
        assert!(body.capacity() < 100);
    }
}
