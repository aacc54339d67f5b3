//! Heads of HTTP/1.1 (RFC 9112) as both sides of the opening handshake read and write them: where one ends, how large
//! it may be, its headers, and which of a caller's may stand in one of ours. What is wrong with a request has its words
//! here, too.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::extension::{MalformedExtensions, is_token_byte};

/// Finds the empty line that ends a request head, and refuses early bytes that can never become one.
///
/// Every byte is looked at once, however the head is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScanner {
    limits: HeadLimits,
    scanned: u32,
    line_start: u32,
    lines: u32,
}

/// How large a head may be. There may be more limits in a later version: it is made by what it differs in from the
/// usual ones.
///
/// ```
/// use salon_proto::handshake::HeadLimits;
///
/// const LONG_COOKIES: HeadLimits = HeadLimits::new().head(64 << 10).line(32 << 10);
/// assert_eq!(LONG_COOKIES.headers, HeadLimits::default().headers);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// Bytes of the whole head, its empty line among them.
    pub head: u32,
    /// Bytes of a line, its end among them.
    pub line: u32,
    /// Headers.
    pub headers: u32,
}

impl HeadLimits {
    /// [`MAX_HEAD_LEN`], [`MAX_LINE_LEN`] and [`MAX_HEADERS`].
    pub const fn new() -> Self {
        Self { head: MAX_HEAD_LEN as u32, line: MAX_LINE_LEN as u32, headers: MAX_HEADERS as u32 }
    }

    /// With another number of [bytes](HeadLimits::head) of the whole.
    #[must_use]
    pub const fn head(self, head: u32) -> Self {
        Self { head, ..self }
    }

    /// With another number of [bytes](HeadLimits::line) of a line.
    #[must_use]
    pub const fn line(self, line: u32) -> Self {
        Self { line, ..self }
    }

    /// With another number of [headers](HeadLimits::headers).
    #[must_use]
    pub const fn headers(self, headers: u32) -> Self {
        Self { headers, ..self }
    }
}

impl Default for HeadLimits {
    /// [`HeadLimits::new`].
    fn default() -> Self {
        Self::new()
    }
}

impl HeadScanner {
    /// One with limits of its own.
    pub fn within(limits: HeadLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Goes on from where the last call ended; `head` begins with everything seen before. Behind an error there is that
    /// error again.
    ///
    /// Returns the length of the head with its empty line, at most the limit ([`MAX_HEAD_LEN`]), or `None` while it is
    /// incomplete: then `head` is shorter than that.
    ///
    /// # Errors
    /// A line end other than CR LF, a NUL, an empty line first, a first byte that no method begins with,
    /// a line over [`MAX_LINE_LEN`], a head over [`MAX_HEAD_LEN`], or more than [`MAX_HEADERS`] headers.
    pub fn scan(&mut self, head: &[u8]) -> Result<Option<usize>, RequestError> {
        let before = *self;
        let scanned = self.scan_on(head);
        if scanned.is_err() {
            *self = before;
        }
        scanned
    }

    fn scan_on(&mut self, head: &[u8]) -> Result<Option<usize>, RequestError> {
        for (at, &byte) in head.iter().enumerate().skip(self.scanned as usize) {
            self.scanned += 1;
            let line_len = at - self.line_start as usize;
            let after_cr = at > 0 && head[at - 1] == b'\r';
            if at == 0 && !byte.is_ascii_alphabetic() {
                return Err(RequestError::NotHttp);
            }
            match byte {
                _ if line_len >= self.limits.line as usize => {
                    return Err(if self.lines == 0 { RequestError::TargetTooLong } else { RequestError::HeadTooLarge });
                }
                b'\n' if after_cr => {
                    if line_len == 1 {
                        return Ok(Some(at + 1));
                    }
                    self.line_start = at as u32 + 1;
                    self.lines += 1;
                }
                b'\n' | 0 => return Err(RequestError::BadByte(byte)),
                _ if after_cr => return Err(RequestError::BadByte(b'\r')),
                // A further line that is not the empty one is one header too many.
                _ if self.lines > self.limits.headers && byte != b'\r' => return Err(RequestError::TooManyHeaders),
                _ => {}
            }
            // Whatever the last byte was: a head that has reached its limit without its empty line never becomes one.
            // So `None` means that there is room for more, which callers lean on.
            if at + 1 >= self.limits.head as usize {
                return Err(RequestError::HeadTooLarge);
            }
        }
        Ok(None)
    }
}

/// The headers of a head, of a request or a response: names and values.
#[derive(Clone, Debug)]
pub(super) struct Headers<'a>(pub(super) Vec<(&'a str, &'a [u8])>);

impl<'a> Headers<'a> {
    pub(super) fn of(parsed: &[httparse::Header<'a>]) -> Self {
        Self(parsed.iter().map(|header| (header.name, header.value)).collect())
    }

    /// The values of all headers of that name (in any case), in order, as bytes.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1)
    }

    /// The value of a header that came exactly once and is ASCII.
    pub(super) fn single(&self, name: &str) -> Option<&'a str> {
        let mut values = self.values(name);
        let value = values.next().filter(|value| value.is_ascii())?;
        values.next().is_none().then(|| core::str::from_utf8(value).expect("ASCII is UTF-8"))
    }

    /// The comma-separated values of all headers of that name, trimmed; values that are not UTF-8 are left out.
    pub(super) fn tokens(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name)
            .filter_map(|value| core::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(|value| value.trim_matches([' ', '\t']))
            .filter(|value| !value.is_empty())
    }
}

/// Whether all bytes may stand in `uri-host [":" port]` (RFC 3986 section 3.2.2); nothing at all may, too.
pub(super) fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}

/// Whether a header of the caller may stand in a head of ours, request or response.
pub(super) fn check_header(name: &str, value: &str) -> Result<(), UnfitHeader> {
    let own = ["host", "upgrade", "connection", "content-length", "transfer-encoding"];
    let handshake = "sec-websocket-";
    let is_own = own.iter().any(|own| name.eq_ignore_ascii_case(own))
        || name.get(..handshake.len()).is_some_and(|start| start.eq_ignore_ascii_case(handshake));
    if is_own {
        return Err(UnfitHeader::Own);
    }
    // RFC 9110 §5.5: visible characters, space and tab; bytes beyond ASCII pass as they are.
    let is_value = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
    match is_token && value.bytes().all(is_value) && value.trim() == value {
        true => Ok(()),
        false => Err(UnfitHeader::Malformed),
    }
}

/// Puts a caller's headers behind those that are there, all or none.
pub(super) fn add_headers(there: &mut Vec<(String, String)>, headers: &[(&str, &str)]) -> Result<(), UnfitHeader> {
    headers.iter().try_for_each(|(name, value)| check_header(name, value))?;
    there.extend(headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    Ok(())
}

/// A header that may not be added to a head of the handshake: the caller's own mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnfitHeader {
    /// One that the handshake sets itself.
    Own,
    /// Its name is no token, or its value has a line end, another control character, or spaces about it.
    Malformed,
}

impl fmt::Display for UnfitHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "a header that the handshake sets itself cannot be given",
            Self::Malformed => "a header must be a token and a value without control characters",
        })
    }
}

impl core::error::Error for UnfitHeader {}

/// What is wrong with a request, and with which HTTP status it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The first byte begins no method: another protocol, TLS perhaps.
    NotHttp,
    /// A byte that may not stand in a head: a lone CR or LF, or NUL.
    BadByte(u8),
    /// Not a request line and headers.
    Malformed,
    /// HTTP/1.1 without Host.
    MissingHost,
    /// A Host that cannot be one.
    BadHost,
    /// A header twice that may come once.
    RepeatedHeader(&'static str),
    /// A request line over [`MAX_LINE_LEN`].
    TargetTooLong,
    /// A header over [`MAX_LINE_LEN`] or a head over [`MAX_HEAD_LEN`].
    HeadTooLarge,
    /// More than [`MAX_HEADERS`] headers.
    TooManyHeaders,
    /// A body where none may be, or one of unknown length.
    BadBody,
    /// A method that the target does not know.
    MethodNotAllowed,
    /// An HTTP version other than 1.1 (or 1.0, where nothing is upgraded).
    VersionNotSupported,
    /// No, or another, `Upgrade`, `Connection` or `Sec-WebSocket-Version`.
    UpgradeRequired,
    /// Sec-WebSocket-Key is missing or not 16 bytes in base64.
    BadKey,
    /// Sec-WebSocket-Protocol is not a list of tokens, or has one of them twice.
    BadProtocols,
    /// Sec-WebSocket-Extensions does not conform to section 9.1.
    BadExtensions,
}

impl RequestError {
    /// The status code of the answer (RFC 9110 section 15, RFC 6585).
    pub const fn status(self) -> u16 {
        match self {
            Self::NotHttp
            | Self::BadByte(_)
            | Self::Malformed
            | Self::MissingHost
            | Self::BadHost
            | Self::RepeatedHeader(_)
            | Self::BadBody
            | Self::BadKey
            | Self::BadProtocols
            | Self::BadExtensions => 400,
            Self::MethodNotAllowed => 405,
            Self::TargetTooLong => 414,
            Self::UpgradeRequired => 426,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::VersionNotSupported => 505,
        }
    }
}

impl fmt::Display for RequestError {
    /// A sentence for the body of the answer; it repeats nothing that the client sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotHttp => write!(f, "this port speaks HTTP/1.1 and WebSocket, and this was neither"),
            Self::BadByte(0) => write!(f, "NUL in the request head"),
            Self::BadByte(_) => write!(f, "lines of the request head must end with CR LF"),
            Self::Malformed => write!(f, "malformed request head"),
            Self::MissingHost => write!(f, "HTTP/1.1 requires a Host header"),
            Self::BadHost => write!(f, "Host must be a name or address, with a port perhaps"),
            Self::RepeatedHeader(name) => write!(f, "{name} may come only once"),
            Self::TargetTooLong => write!(f, "request line over {MAX_LINE_LEN} bytes"),
            Self::HeadTooLarge => {
                write!(f, "header over {MAX_LINE_LEN} bytes or request head over {MAX_HEAD_LEN} bytes")
            }
            Self::TooManyHeaders => write!(f, "more than {MAX_HEADERS} headers"),
            Self::BadBody => write!(f, "a body is not accepted here, or its length is not clear"),
            Self::MethodNotAllowed => write!(f, "method not allowed here"),
            Self::VersionNotSupported => write!(f, "HTTP/1.1 is required"),
            Self::UpgradeRequired => {
                write!(
                    f,
                    "this is a WebSocket door: Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Version: 13"
                )
            }
            Self::BadKey => write!(f, "Sec-WebSocket-Key must be 16 bytes in base64"),
            Self::BadProtocols => write!(f, "Sec-WebSocket-Protocol must be a list of tokens, each of them once"),
            Self::BadExtensions => MalformedExtensions.fmt(f),
        }
    }
}

impl core::error::Error for RequestError {}

/// The largest request head, with its empty line, in bytes.
pub const MAX_HEAD_LEN: usize = 16 << 10;

/// The longest line of a request head, with its line end, in bytes: room for a token of 8 KiB, the longest that Salon
/// promises to take, with a name, a room and an address around it.
pub const MAX_LINE_LEN: usize = 10 << 10;

/// The most headers of a request.
pub const MAX_HEADERS: usize = 100;
