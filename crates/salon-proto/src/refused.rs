//! A response that does not let the client in, whole: its head, and the beginning of its body.
//!
//! It decodes the body by its length or by the chunked coding (RFC 9112 section 6.3), and takes no more of it than
//! [`MAX_REFUSED_BODY`]. It knows no other coding, and follows no redirection.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A refusal or redirection with bytes of its own, which may go on as an error.
///
/// What `connect` of an adapter fails with, if the server answers anything but 101, is an `io::Error` around it:
/// `Refused::of` finds it. Without an adapter it is made by [`Response::refused`](super::client_handshake::Response):
///
/// ```
/// use salon_proto::client_handshake::{Response, ResponseScanner};
///
/// let came = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 4\r\n\r\nwho?";
/// let len = ResponseScanner::default().scan(came)?.expect("the head is complete");
/// let mut refused = Response::parse(&came[..len])?.refused();
/// let taken = refused.take(&came[len..]); // while `wants_more`: what reads bring
/// assert_eq!((refused.status(), refused.body(), refused.is_whole()), (401, &b"who?"[..], true));
/// assert_eq!(refused.header("www-authenticate"), Some(&b"Bearer"[..]));
/// # Ok::<(), salon_proto::client_handshake::ResponseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    status: u16,
    reason: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    framing: Framing,
}

/// Without the bytes, which are the peers'.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("status", &self.status).finish_non_exhaustive()
    }
}

/// How the body ends, and how much of it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are missing.
    Length(u64),
    /// In the size of a chunk: what it is so far, bytes of the line, and whether the digits are over.
    Size { size: u64, line: u16, over: bool },
    /// In a chunk, of which so many bytes are missing.
    Chunk(u64),
    /// In the CR LF behind a chunk.
    Behind,
    /// Up to the end of the stream.
    ToEnd,
    /// Nothing more is taken. Whether that was all.
    Over { whole: bool },
}

impl Framing {
    /// By status, `Transfer-Encoding` and `Content-Length` (RFC 9112 section 6.3).
    pub(crate) fn of<'a>(status: u16, codings: impl Iterator<Item = &'a [u8]>, len: Option<u64>) -> Self {
        let mut codings = codings.peekable();
        match (status, codings.peek().is_some(), len) {
            (100..=199 | 204 | 304, ..) | (_, false, Some(0)) => Self::Over { whole: true },
            (_, true, _) if codings.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked")) => Self::SIZE,
            (_, false, Some(len)) => Self::Length(len),
            _ => Self::ToEnd,
        }
    }

    /// At the beginning of a chunk's size.
    const SIZE: Self = Self::Size { size: 0, line: 0, over: false };

    /// Behind a byte of the line with a chunk's size.
    fn behind(size: u64, line: u16, over: bool, byte: u8) -> Self {
        const BROKEN: Framing = Framing::Over { whole: false };
        if line == MAX_SIZE_LINE {
            return BROKEN;
        }
        match (byte, char::from(byte).to_digit(16)) {
            // What is behind the last chunk, of no bytes, is of no use here.
            (b'\n', _) if line > 0 && size == 0 => Self::Over { whole: true },
            (b'\n', _) if line > 0 => Self::Chunk(size),
            (_, Some(digit)) if !over => match size.checked_mul(16) {
                Some(size) => Self::Size { size: size + u64::from(digit), line: line + 1, over },
                None => BROKEN,
            },
            (b'\r' | b';' | b' ' | b'\t', _) if line > 0 => Self::Size { size, line: line + 1, over: true },
            _ if over => Self::Size { size, line: line + 1, over },
            _ => BROKEN,
        }
    }
}

impl Refused {
    pub(crate) const fn new(status: u16, reason: String, headers: Vec<(String, Vec<u8>)>, framing: Framing) -> Self {
        Self { status, reason, headers, body: Vec::new(), framing }
    }

    /// The status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase; may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1)
    }

    /// All headers in their order, as names in the letters they came in, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What has come of the body, without a transfer coding: at most [`MAX_REFUSED_BODY`] bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether that is all of it.
    pub const fn is_whole(&self) -> bool {
        matches!(self.framing, Framing::Over { whole: true })
    }

    /// Whether there is more to be taken.
    pub const fn wants_more(&self) -> bool {
        !matches!(self.framing, Framing::Over { .. })
    }

    /// Takes bytes of the body from the front of `bytes`, and returns how many.
    #[must_use = "it says how much was taken"]
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && self.wants_more() {
            let rest = &bytes[at..];
            self.framing = match self.framing {
                Framing::Length(left) => match left - self.put(rest, left, &mut at) {
                    0 => Framing::Over { whole: true },
                    left => self.unless_full(Framing::Length(left)),
                },
                Framing::Chunk(left) => match left - self.put(rest, left, &mut at) {
                    0 => Framing::Behind,
                    left => self.unless_full(Framing::Chunk(left)),
                },
                Framing::ToEnd => {
                    self.put(rest, u64::MAX, &mut at);
                    self.unless_full(Framing::ToEnd)
                }
                Framing::Size { size, line, over } => {
                    at += 1;
                    Framing::behind(size, line, over, rest[0])
                }
                Framing::Behind => {
                    at += 1;
                    match rest[0] {
                        b'\r' => Framing::Behind,
                        b'\n' => Framing::SIZE,
                        _ => Framing::Over { whole: false },
                    }
                }
                over @ Framing::Over { .. } => over,
            };
        }
        at
    }

    /// The peer's stream has ended: nothing more is to be taken.
    pub fn end_of_stream(&mut self) {
        self.framing = Framing::Over { whole: self.is_whole() || self.framing == Framing::ToEnd };
    }

    /// Keeps what there is of so many bytes, as far as there is room for them.
    fn put(&mut self, rest: &[u8], left: u64, at: &mut usize) -> u64 {
        let room = MAX_REFUSED_BODY - self.body.len();
        let len = rest.len().min(room).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.body.extend_from_slice(&rest[..len]);
        *at += len;
        len as u64
    }

    fn unless_full(&self, framing: Framing) -> Framing {
        match self.body.len() < MAX_REFUSED_BODY {
            true => framing,
            false => Framing::Over { whole: false },
        }
    }
}

impl fmt::Display for Refused {
    /// Nothing that the server said but the status.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {} and not 101", self.status)
    }
}

impl core::error::Error for Refused {}

/// What is kept of a refusal's body, in bytes.
pub const MAX_REFUSED_BODY: usize = 64 << 10;

/// The longest line with a chunk's size, with what is behind it, in bytes.
const MAX_SIZE_LINE: u16 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_handshake::Response;

    /// What becomes of these bytes behind a head with these headers, whole and one by one: the body, whether that is
    /// all, and how many bytes were taken.
    fn body(head: &str, bytes: &[u8]) -> (Vec<u8>, bool, usize) {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        let response = Response::parse(head.as_bytes()).expect("a head");
        let (mut whole, mut grown) = (response.refused(), response.refused());
        let taken = whole.take(bytes);
        assert_eq!(bytes.chunks(1).map(|byte| grown.take(byte)).sum::<usize>(), taken, "{head}");
        assert_eq!(whole, grown, "{head}");
        whole.end_of_stream();
        assert!(!whole.wants_more());
        (whole.body().to_vec(), whole.is_whole(), taken)
    }

    #[test]
    fn bodies_end_as_their_head_says() {
        let chunked = "401 x\r\nTransfer-Encoding: chunked";
        for (head, bytes, expected, whole, taken) in [
            ("302 x", &b"all"[..], &b"all"[..], true, 3),
            ("302 x\r\nContent-Length: 2", b"all", b"al", true, 2),
            ("302 x\r\nContent-Length: 4", b"all", b"all", false, 3),
            ("302 x\r\nContent-Length: 0", b"all", b"", true, 0),
            ("302 x\r\nContent-Length: 1, 2", b"all", b"all", true, 3),
            ("204 x", b"all", b"", true, 0),
            ("304 x\r\nContent-Length: 3", b"all", b"", true, 0),
            ("103 x", b"all", b"", true, 0),
            ("401 x\r\nTransfer-Encoding: gzip", b"all", b"all", true, 3),
            (chunked, b"2\r\nal\r\n01 ;x=y\r\nl\r\n0\r\n\r\nmore", b"all", true, 22),
            (chunked, b"A\nabcdefghij\n0\n", b"abcdefghij", true, 15),
            (chunked, b"2\r\nal\r\n5\r\nl", b"all", false, 11),
            (chunked, b"2\r\nalx", b"al", false, 6),
            (chunked, b"\r\n", b"", false, 1),
            (chunked, b"x\r\n", b"", false, 1),
            (chunked, b"10000000000000000\r\n", b"", false, 17),
        ] {
            assert_eq!(body(head, bytes), (expected.to_vec(), whole, taken), "{head} {}", bytes.escape_ascii());
        }
    }

    #[test]
    fn limits_and_one_past_them() {
        let long = vec![b'x'; MAX_REFUSED_BODY + 1];
        let chunk = [b"20000\r\n".as_slice(), &long].concat();
        for (head, bytes, whole) in [
            ("302 x".to_owned(), &long[1..], false),
            (format!("302 x\r\nContent-Length: {MAX_REFUSED_BODY}"), &long[1..], true),
            (format!("302 x\r\nContent-Length: {}", MAX_REFUSED_BODY + 1), &long, false),
            ("302 x\r\nTransfer-Encoding: chunked".to_owned(), &chunk, false),
        ] {
            let (body, is_whole, _) = body(&head, bytes);
            assert_eq!((body.len(), is_whole), (MAX_REFUSED_BODY, whole), "{head}");
        }
        let head = "302 x\r\nTransfer-Encoding: chunked";
        let line = |len: usize| format!("1;{}\nx", "y".repeat(len - 2));
        let most = usize::from(MAX_SIZE_LINE);
        assert_eq!(body(head, line(most).as_bytes()).0, b"");
        assert_eq!(body(head, line(most - 1).as_bytes()).0, b"x");
    }
}
