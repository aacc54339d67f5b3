//! The server's side of the opening handshake (RFC 6455 section 4.2) and the request heads around it (RFC 9112).
//!
//! Three steps, each of its own: [`HeadScanner`] finds the end of the head while it arrives, looking at every
//! byte once; [`Request::parse`] splits the complete head, once, with httparse; [`Request::upgrade`] checks it
//! against section 4.2.1. Our own rules stand on top of httparse, which accepts bare LF, leading empty
//! lines and raw UTF-8 targets.
//!
//! [`Upgrade`] words the answer, and returns what was [`Agreed`] to; [`Refusal`] words that to a request which is
//! refused: what is wrong with it is a [`RequestError`], which knows its HTTP status. Nothing of the request is ever
//! copied into a response head but the accept key, which is a hash, and the name of a sub-protocol, which is a token.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest, Sha1};

use crate::agreed::Agreed;
use crate::extension::{ClientContext, MalformedExtensions, PermessageDeflate, is_token_byte};
use crate::head::{Headers, add_headers, is_host};

pub use crate::head::{HeadLimits, HeadScanner, MAX_HEAD_LEN, MAX_HEADERS, MAX_LINE_LEN, RequestError, UnfitHeader};
pub use crate::refusal::Refusal;

/// A request head, borrowed from the bytes it came in.
#[derive(Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    /// Of an absolute target: host and port.
    authority: Option<&'a str>,
    path: &'a str,
    query: &'a str,
    minor_version: u8,
    headers: Headers<'a>,
}

/// A target in its parts.
struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: &'a str,
}

impl<'a> Target<'a> {
    fn of(target: &'a str) -> Self {
        let (before, query) = target.split_once('?').unwrap_or((target, ""));
        let absolute = ["http://", "https://"].into_iter().find_map(|scheme| {
            // RFC 3986 §3.1: schemes have no case.
            let (start, rest) = before.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        match absolute {
            None => Self { authority: None, path: before, query },
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                Self { authority: Some(authority), path: if path.is_empty() { "/" } else { path }, query }
            }
        }
    }
}

impl<'a> Request<'a> {
    /// Splits a complete head (up to and with its empty line), as [`HeadScanner`] found it. The scanner has seen to its
    /// length, its number of headers, and that lines end with CR and LF; this does not.
    ///
    /// # Errors
    /// Anything that is not a request of HTTP/1.0 or 1.1; a missing or repeated `Host` in 1.1.
    pub fn parse(head: &'a [u8]) -> Result<Self, RequestError> {
        let mut storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        let config = httparse::ParserConfig::default();
        let mut result = config.parse_request_with_uninit_headers(&mut parsed, head, &mut storage);
        // A scanner with limits of its own has let more of them pass.
        let mut more = Vec::new();
        if result == Err(httparse::Error::TooManyHeaders) {
            more.resize(head.iter().filter(|&&byte| byte == b'\n').count(), httparse::EMPTY_HEADER);
            parsed = httparse::Request::new(&mut more);
            result = parsed.parse(head);
        }
        match result {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(RequestError::Malformed),
            Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooManyHeaders),
            Err(httparse::Error::Version) => return Err(RequestError::VersionNotSupported),
            Err(_) => return Err(RequestError::Malformed),
        }
        let (Some(method), Some(target), Some(minor_version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(RequestError::Malformed);
        };
        Self::checked(method, target, minor_version, Headers::of(parsed.headers))
    }

    /// A request of HTTP/1.1 that somebody else has parsed: hyper, axum, anybody with the headers as names and values.
    /// The caller refuses other versions, which this cannot see.
    ///
    /// ```
    /// use salon_proto::handshake::Request;
    ///
    /// let headers = [("host", &b"h"[..]), ("upgrade", b"websocket"), ("connection", b"Upgrade"),
    ///     ("sec-websocket-version", b"13"), ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")];
    /// let request = Request::from_parts("GET", "/chat", headers)?;
    /// let mut answer = Vec::new();
    /// let agreed = request.upgrade()?.agree(|name, value| answer.push((name.to_owned(), value.to_vec())));
    /// assert_eq!(answer[2], ("sec-websocket-accept".into(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_vec()));
    /// # assert_eq!(agreed, salon_proto::Agreed::NOTHING);
    /// # Ok::<(), salon_proto::handshake::RequestError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Request::parse`], but for what only a parser can know.
    pub fn from_parts(
        method: &'a str,
        target: &'a str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, RequestError> {
        Self::checked(method, target, 1, Headers(headers.into_iter().collect()))
    }

    fn checked(
        method: &'a str,
        target: &'a str,
        minor_version: u8,
        headers: Headers<'a>,
    ) -> Result<Self, RequestError> {
        // RFC 3986: a target is made of printable ASCII; other bytes must come percent-encoded.
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RequestError::Malformed);
        }
        let Target { authority, path, query } = Target::of(target);
        let request = Self { method, target, authority, path, query, minor_version, headers };
        // RFC 9112 §3.2: exactly one Host in HTTP/1.1; never two.
        match request.headers("host").count() {
            1 => {}
            0 if minor_version == 0 => {}
            0 => return Err(RequestError::MissingHost),
            _ => return Err(RequestError::RepeatedHeader("Host")),
        }
        // The same section: 400 also when its value is not a host and a port.
        if !request.headers("host").all(is_host) {
            return Err(RequestError::BadHost);
        }
        // RFC 9110 §4.2.1: a host must be there where a target has a place for one; and no user name, which would
        // mislead.
        if authority.is_some_and(|authority| authority.is_empty() || !is_host(authority.as_bytes())) {
            return Err(RequestError::BadHost);
        }
        // RFC 9112 §6.1: both at once is how requests are smuggled.
        if request.has_header("transfer-encoding") && request.has_header("content-length") {
            return Err(RequestError::BadBody);
        }
        Ok(request)
    }

    /// All headers in their order, as names in the letters they came in, and values.
    pub fn all_headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.0.iter().copied()
    }

    /// The method, in the letters it was sent with.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Path and query, percent-encoded as they came: printable ASCII.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path of the target, up to `?`. Of an absolute one (`https://host/path`, RFC 9112 section 3.2.2) the part
    /// behind the host, at least `/`.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The target after `?`, or an empty string.
    pub fn query(&self) -> &'a str {
        self.query
    }

    /// For which host, with its port, the request is: that of an absolute target, which takes the place of the header
    /// (RFC 9112 section 3.2.2); else that of `Host`.
    pub fn host(&self) -> Option<&'a str> {
        self.authority.or_else(|| self.header("host"))
    }

    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// The values of all headers of that name (in any case), in order, as bytes.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.values(name)
    }

    /// The value of a header that came exactly once and is ASCII.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.single(name)
    }

    /// Whether a header of that name came at all.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers(name).next().is_some()
    }

    /// Whether one of the comma-separated values of that header is `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name).any(|value| value.eq_ignore_ascii_case(token))
    }

    /// The comma-separated values of all headers of that name, trimmed; values that are not UTF-8 are left out.
    pub fn tokens(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.tokens(name)
    }

    /// Whether the client asks for another protocol at all.
    pub fn wants_upgrade(&self) -> bool {
        self.has_header("upgrade") || self.has_header("sec-websocket-key") || self.has_header("sec-websocket-version")
    }

    /// The bytes of body that follow the head; [`u64::MAX`] for any number that is too large for one.
    ///
    /// # Errors
    /// A length that is not a number, several of them, or a transfer coding, which nothing here accepts.
    pub fn content_length(&self) -> Result<u64, RequestError> {
        if self.has_header("transfer-encoding") {
            return Err(RequestError::BadBody);
        }
        if !self.has_header("content-length") {
            return Ok(0);
        }
        let value = self.header("content-length").ok_or(RequestError::BadBody)?;
        // `parse` alone would take "+5".
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RequestError::BadBody);
        }
        // Nothing but digits: if they do not parse, the number is too large.
        Ok(value.parse().unwrap_or(u64::MAX))
    }

    /// Whether the body comes in chunks (RFC 9112 section 7.1), for [`Chunks`](crate::chunked::Chunks) to read.
    ///
    /// # Errors
    /// Another transfer coding than `chunked` alone, or one in HTTP/1.0: where such a body ends, nobody can be sure.
    pub fn is_chunked(&self) -> Result<bool, RequestError> {
        let mut codings = self.headers("transfer-encoding");
        match (codings.next(), codings.next()) {
            (None, _) => Ok(false),
            (Some(coding), None) if self.minor_version > 0 && coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
                Ok(true)
            }
            _ => Err(RequestError::BadBody),
        }
    }

    /// Whether the client waits for 100 (Continue) before it sends the body (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.minor_version > 0 && self.has_token("expect", "100-continue")
    }

    /// Whether the connection is to stay open after the answer (RFC 9112 section 9.3).
    pub fn keeps_alive(&self) -> bool {
        // An HTTP/1.0 client that asks for it would need an answer in words that 1.1 does not have.
        self.minor_version > 0 && !self.has_token("connection", "close")
    }

    /// The sub-protocols that are offered: a list of section 4.1 item 10, whose elements are tokens, none twice.
    fn protocols(&self) -> Option<Vec<&'a str>> {
        let mut names: Vec<&str> = Vec::new();
        for value in self.headers("sec-websocket-protocol") {
            for name in value.split(|&byte| byte == b',').map(trim) {
                let is_token = !name.is_empty() && name.iter().copied().all(is_token_byte);
                names.push(core::str::from_utf8(name).ok().filter(|_| is_token)?);
            }
        }
        if names.len() > 1 {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.windows(2).all(|pair| pair[0] != pair[1]).then_some(())?;
        }
        Some(names)
    }

    /// Checks the request against section 4.2.1, and begins the answer that lets it in.
    ///
    /// # Errors
    /// The first requirement that is not met.
    pub fn upgrade(&self) -> Result<Upgrade<'a>, RequestError> {
        if self.method != "GET" {
            return Err(RequestError::MethodNotAllowed);
        }
        if self.minor_version == 0 {
            return Err(RequestError::VersionNotSupported);
        }
        if !self.has_token("upgrade", "websocket") || !self.has_token("connection", "upgrade") {
            return Err(RequestError::UpgradeRequired);
        }
        if self.content_length()? != 0 {
            return Err(RequestError::BadBody);
        }
        match self.headers("sec-websocket-version").count() {
            1 if self.header("sec-websocket-version") == Some("13") => {}
            0 | 1 => return Err(RequestError::UpgradeRequired),
            _ => return Err(RequestError::RepeatedHeader("Sec-WebSocket-Version")),
        }
        if self.headers("sec-websocket-key").count() > 1 {
            return Err(RequestError::RepeatedHeader("Sec-WebSocket-Key"));
        }
        let key = self.header("sec-websocket-key").filter(|key| key.len() == KEY_LEN).ok_or(RequestError::BadKey)?;
        // §4.2.1: a value that, base64-decoded, is 16 bytes long. Its last character has four bits to spare, and some
        // clients leave something in them, as the RFC's own example of section 4.1 does.
        let mut nonce = [0; 18];
        if ANY_BITS_TO_SPARE.decode_slice(key, &mut nonce) != Ok(16) {
            return Err(RequestError::BadKey);
        }
        let offered = self.protocols().ok_or(RequestError::BadProtocols)?;
        let extensions = self.headers("sec-websocket-extensions");
        let offer = PermessageDeflate::negotiate(extensions, ClientContext::Kept)
            .map_err(|MalformedExtensions| RequestError::BadExtensions)?;
        Ok(Upgrade { accept: Accept::of_key(key), offered, offer, protocol: None, deflate: None, headers: Vec::new() })
    }
}

/// Without the spaces and tabs around it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Base64 with its padding, whatever the bits say that stand for nothing.
const ANY_BITS_TO_SPARE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The characters of a key: 16 bytes in base64.
const KEY_LEN: usize = 24;

/// The value of Sec-WebSocket-Accept (section 4.2.2): 28 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Accept([u8; 28]);

impl Accept {
    /// SHA-1 over the key and the RFC's GUID, in base64.
    pub fn of_key(key: &str) -> Self {
        let mut hash = Sha1::new();
        hash.update(key.as_bytes());
        hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let mut accept = [0; 28];
        let len = STANDARD.encode_slice(hash.finalize(), &mut accept).expect("20 bytes are 28 characters");
        debug_assert_eq!(len, accept.len());
        Self(accept)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl fmt::Debug for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer that lets a request in (section 4.2.2): at first without sub-protocol, extension and further headers.
///
/// ```
/// use salon_proto::handshake::Request;
/// use salon_proto::{ClientContext, Connection};
///
/// let head = b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
///     Sec-WebSocket-Protocol: v1, v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
/// let mut out = Vec::new();
/// let upgrade = Request::parse(head)?.upgrade()?;
/// # #[cfg(feature = "deflate")]
/// let upgrade = upgrade.deflate(ClientContext::Reset);
/// let agreed = upgrade.choose(&["v2", "v1"]).encode(&mut out);
/// assert_eq!(agreed.protocol(), Some("v2"));
/// let connection = Connection::server(&agreed);
/// # Ok::<(), salon_proto::handshake::RequestError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is written by `encode`"]
pub struct Upgrade<'a> {
    accept: Accept,
    offered: Vec<&'a str>,
    /// What can be had of the client's offers of permessage-deflate, with its context kept.
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "it is judged, and cannot be agreed to"))]
    offer: Option<PermessageDeflate>,
    protocol: Option<&'a str>,
    deflate: Option<PermessageDeflate>,
    headers: Vec<(String, String)>,
}

impl<'a> Upgrade<'a> {
    /// The answer to the client's key.
    pub fn accept(&self) -> &Accept {
        &self.accept
    }

    /// The sub-protocols that the client offers, in the order it likes them.
    pub fn offered(&self) -> &[&'a str] {
        &self.offered
    }

    /// Chooses the first of `ours` that the client offers; none if there is none. So only what was offered is named.
    pub fn choose(self, ours: &[&str]) -> Self {
        let protocol = ours.iter().find_map(|ours| self.offered.iter().copied().find(|offered| offered == ours));
        Self { protocol, ..self }
    }

    /// Agrees to the first offer of permessage-deflate that can be had, if there is one (RFC 7692 section 5.1).
    #[cfg(feature = "deflate")]
    pub fn deflate(self, context: ClientContext) -> Self {
        let deflate = self.offer.map(|offer| match context {
            ClientContext::Kept => offer,
            ClientContext::Reset => offer.without_client_context(),
        });
        Self { deflate, ..self }
    }

    /// Agrees to no compression, where an earlier call or an adapter has.
    #[cfg(feature = "deflate")]
    pub fn without_deflate(self) -> Self {
        Self { deflate: None, ..self }
    }

    /// Sends further headers, such as `Set-Cookie`, behind those of an earlier call.
    ///
    /// # Errors
    /// [`UnfitHeader`].
    pub fn headers(mut self, headers: &[(&str, &str)]) -> Result<Self, UnfitHeader> {
        add_headers(&mut self.headers, headers)?;
        Ok(self)
    }

    /// Hands the headers of the response to a server that words it itself, with status 101, and returns what is agreed
    /// to by them. The names are in lower case.
    pub fn agree(self, mut header: impl FnMut(&str, &[u8])) -> Agreed<'a> {
        header("upgrade", b"websocket");
        header("connection", b"Upgrade");
        header("sec-websocket-accept", &self.accept.0);
        if let Some(protocol) = self.protocol {
            header("sec-websocket-protocol", protocol.as_bytes());
        }
        if let Some(agreed) = &self.deflate {
            let mut value = Vec::new();
            agreed.encode(&mut value);
            header("sec-websocket-extensions", &value);
        }
        for (name, value) in &self.headers {
            header(name, value.as_bytes());
        }
        Agreed::new(self.protocol, self.deflate)
    }

    /// Appends the response, and returns what is agreed to by it.
    pub fn encode(self, out: &mut Vec<u8>) -> Agreed<'a> {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&self.accept.0);
        if let Some(protocol) = self.protocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        if let Some(agreed) = &self.deflate {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            agreed.encode(out);
        }
        for (name, value) in &self.headers {
            for part in ["\r\n", name, ": ", value] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n\r\n");
        Agreed::new(self.protocol, self.deflate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans whole and byte by byte, which must agree, then parses.
    fn read<T>(head: &[u8], look: impl FnOnce(&Request<'_>) -> T) -> Result<T, RequestError> {
        let whole = HeadScanner::default().scan(head);
        let mut scanner = HeadScanner::default();
        let grown = (0..=head.len()).map(|len| scanner.scan(&head[..len])).find(|found| !matches!(found, Ok(None)));
        assert_eq!(whole, grown.unwrap_or(Ok(None)));
        let len = whole?.expect("the head is complete");
        Ok(look(&Request::parse(&head[..len])?))
    }

    fn upgrade(head: &str) -> Result<Accept, RequestError> {
        read(head.as_bytes(), |request| request.upgrade().map(|upgrade| *upgrade.accept()))?
    }

    fn with(replace: &str, by: &str) -> String {
        assert!(EXAMPLE.contains(replace));
        EXAMPLE.replace(replace, by)
    }

    const EXAMPLE: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";

    /// A head of `len` bytes, all in header lines of 4,000 and one line of what is left, and then `end`.
    fn head_of(len: usize, end: &str) -> String {
        let mut head = "GET / HTTP/1.1\r\nHost: h\r\n".to_owned();
        while head.len() + end.len() + 4_100 < len {
            head.push_str(&format!("A: {}\r\n", "a".repeat(4_000 - 5)));
        }
        let rest = len - head.len() - end.len();
        head.push_str(&format!("B: {}{end}", "b".repeat(rest - 3)));
        assert_eq!(head.len(), len);
        head
    }

    /// Whatever the last byte within the limit is (of a line, its CR, its LF), a head that is not over by then is
    /// refused with it, and `None` is never the answer to that many bytes, in one piece or in two, wherever it is cut.
    #[test]
    fn a_head_at_its_limit_has_ended_or_is_refused() {
        for (end, len, found) in [
            ("\r\n\r\n", MAX_HEAD_LEN - 1, Ok(Some(MAX_HEAD_LEN - 1))),
            ("\r\n\r\n", MAX_HEAD_LEN, Ok(Some(MAX_HEAD_LEN))),
            ("\r\n\r\n", MAX_HEAD_LEN + 1, Err(RequestError::HeadTooLarge)),
            ("\r\n\r\n", MAX_HEAD_LEN + 2, Err(RequestError::HeadTooLarge)),
            ("\r\n\r", MAX_HEAD_LEN - 1, Ok(None)),
            ("\r\n\r", MAX_HEAD_LEN, Err(RequestError::HeadTooLarge)),
            ("\r\n", MAX_HEAD_LEN - 1, Ok(None)),
            ("\r\n", MAX_HEAD_LEN, Err(RequestError::HeadTooLarge)),
            ("\r", MAX_HEAD_LEN - 1, Ok(None)),
            ("\r", MAX_HEAD_LEN, Err(RequestError::HeadTooLarge)),
            ("", MAX_HEAD_LEN - 1, Ok(None)),
            ("", MAX_HEAD_LEN, Err(RequestError::HeadTooLarge)),
        ] {
            let head = head_of(len, end);
            let head = head.as_bytes();
            assert_eq!(HeadScanner::default().scan(head), found, "{end:?} at {len}");
            for cut in (0..head.len().min(MAX_HEAD_LEN)).filter(|cut| cut % 500 == 0 || MAX_HEAD_LEN - cut < 6) {
                let mut scanner = HeadScanner::default();
                assert_eq!(scanner.scan(&head[..cut]), Ok(None));
                assert_eq!(scanner.scan(head), found, "{end:?} at {len}, cut at {cut}");
                if found.is_err() {
                    let more = [head, b"\r\n\r\n"].concat();
                    assert_eq!(scanner.scan(&more), found, "{end:?} at {len}, asked again");
                }
            }
        }
    }

    #[test]
    fn section_1_3_example() {
        let accept = upgrade(EXAMPLE).expect("the RFC's own example");
        assert_eq!(accept.as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut out = Vec::new();
        let mut answer = |request: &Request<'_>| {
            let upgrade = request.upgrade().expect("as before");
            assert_eq!(upgrade.clone().choose(&["other"]).protocol, None);
            upgrade.choose(&["chat", "superchat"]).encode(&mut out).protocol().map(String::from)
        };
        assert_eq!(read(EXAMPLE.as_bytes(), &mut answer), Ok(Some("chat".into())));
        let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
        assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        let protocols = read(EXAMPLE.as_bytes(), |request| {
            request.tokens("sec-websocket-protocol").map(String::from).collect::<Vec<_>>()
        });
        assert_eq!(protocols, Ok(vec!["chat".into(), "superchat".into()]));
    }

    #[test]
    fn upgrades_in_other_words() {
        for head in [
            with("Upgrade: websocket", "upgrade: WebSocket"),
            with("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
            with("Connection: Upgrade", "Connection: keep-alive\r\nConnection:upgrade"),
            with("Origin: http://example.com\r\n", "Content-Length: 0\r\n"),
            // The RFC's own example of a key, whose last four bits are not zero.
            with("dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEC=="),
            with("dGhlIHNhbXBsZSBub25jZQ==", "//////////////////////=="),
            with("Origin:", "Sec-WebSocket-Protocol: one, two\r\nSec-WebSocket-Extensions: x, ,y; a=\"b\"\r\nOrigin:"),
        ] {
            assert!(upgrade(&head).is_ok(), "{head}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (replace, by, error) in [
            ("GET", "POST", RequestError::MethodNotAllowed),
            ("GET", "get", RequestError::MethodNotAllowed),
            ("HTTP/1.1", "HTTP/1.0", RequestError::VersionNotSupported),
            ("HTTP/1.1", "HTTP/2.0", RequestError::VersionNotSupported),
            ("HTTP/1.1", "HTTP/1.7", RequestError::VersionNotSupported),
            ("Host: server.example.com\r\n", "", RequestError::MissingHost),
            ("Host:", "Host: other\r\nHost:", RequestError::RepeatedHeader("Host")),
            ("Host: server", "Host: ser/ver", RequestError::BadHost),
            ("Host: server", "Host: a, server", RequestError::BadHost),
            ("Upgrade: websocket\r\n", "", RequestError::UpgradeRequired),
            ("Upgrade: websocket", "Upgrade: h2c", RequestError::UpgradeRequired),
            ("Connection: Upgrade", "Connection: keep-alive", RequestError::UpgradeRequired),
            ("Sec-WebSocket-Version: 13\r\n", "", RequestError::UpgradeRequired),
            ("Version: 13", "Version: 12", RequestError::UpgradeRequired),
            ("Version: 13", "Version: 13, 8", RequestError::UpgradeRequired),
            ("dGhlIHNhbXBsZSBub25jZQ==", "", RequestError::BadKey),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", RequestError::BadKey), // 15 bytes
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWU=", RequestError::BadKey), // 17
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q==", RequestError::BadKey),
            ("Origin:", "Sec-WebSocket-Key: x\r\nOrigin:", RequestError::RepeatedHeader("Sec-WebSocket-Key")),
            ("Origin:", "Sec-WebSocket-Version: 13\r\nOrigin:", RequestError::RepeatedHeader("Sec-WebSocket-Version")),
            ("Protocol: chat, superchat", "Protocol:", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: ,", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: chat,", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: chat, , superchat", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: chat, chat", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: chat chat", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: \"chat\"", RequestError::BadProtocols),
            ("Protocol: chat, superchat", "Protocol: chat@1", RequestError::BadProtocols),
            ("Origin:", "Sec-WebSocket-Protocol: chat\r\nOrigin:", RequestError::BadProtocols),
            ("Origin:", "Sec-WebSocket-Protocol:\r\nOrigin:", RequestError::BadProtocols),
            ("Origin:", "Sec-WebSocket-Extensions: ;;=\r\nOrigin:", RequestError::BadExtensions),
            ("Origin:", "Sec-WebSocket-Extensions:\r\nOrigin:", RequestError::BadExtensions),
            ("Origin:", "Content-Length: 5\r\nOrigin:", RequestError::BadBody),
            ("Origin:", "Content-Length: +0\r\nOrigin:", RequestError::BadBody),
            ("Origin:", "Transfer-Encoding: chunked\r\nOrigin:", RequestError::BadBody),
            ("Origin:", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\nOrigin:", RequestError::BadBody),
            ("Host: server", "Host: server\n", RequestError::BadByte(b'\n')),
            ("Origin:", "Origin\r:", RequestError::BadByte(b'\r')),
            ("Origin:", "Origin: \0", RequestError::BadByte(0)),
            ("Origin:", " folded\r\nOrigin:", RequestError::Malformed),
            ("Origin:", "Origin :", RequestError::Malformed),
            ("Origin:", ":", RequestError::Malformed),
            ("GET", "\r\nGET", RequestError::NotHttp),
            ("GET", "\x16\x03\x01", RequestError::NotHttp),
            ("/chat", "/ch\u{e4}t", RequestError::Malformed),
        ] {
            assert_eq!(upgrade(&with(replace, by)), Err(error), "{replace:?} -> {by:?}");
        }
    }

    #[test]
    fn limits_and_one_past_them() {
        let line = |name: &str, len: usize| format!("{name}: {}\r\n", "x".repeat(len - name.len() - 4));
        let target = |len: usize| format!("/{}", "x".repeat(len - "GET / HTTP/1.1\r\n".len()));
        let get = |rest: &str| format!("GET / HTTP/1.1\r\n{rest}Host: h\r\n\r\n");
        let status = |head: String| read(head.as_bytes(), |_| ()).map_err(RequestError::status);

        assert_eq!(status(get("").replace("/ ", &format!("{} ", target(MAX_LINE_LEN)))), Ok(()));
        assert_eq!(status(get("").replace("/ ", &format!("{} ", target(MAX_LINE_LEN + 1)))), Err(414));
        assert_eq!(status(get(&line("A", MAX_LINE_LEN))), Ok(()));
        assert_eq!(status(get(&line("A", MAX_LINE_LEN + 1))), Err(431));
        let headers = |count: usize| (1..count).map(|n| format!("A{n}: v\r\n")).collect::<String>();
        assert_eq!(status(get(&headers(MAX_HEADERS))), Ok(()));
        assert_eq!(status(get(&headers(MAX_HEADERS + 1))), Err(431));
        let fill = |len: usize| get(&(line("A", MAX_LINE_LEN) + &line("B", len - get("").len() - MAX_LINE_LEN)));
        assert_eq!(status(fill(MAX_HEAD_LEN)), Ok(()));
        assert_eq!(status(fill(MAX_HEAD_LEN + 1)), Err(431));
    }

    #[test]
    fn the_head_ends_where_the_first_frame_begins() {
        let bytes = [EXAMPLE.as_bytes(), b"\x81\x80\0\0\0\0"].concat();
        assert_eq!(HeadScanner::default().scan(&bytes), Ok(Some(EXAMPLE.len())));
    }

    #[test]
    fn headers_that_may_not_be_added_to_an_answer() {
        for (name, value, error) in [
            ("Set-Cookie", "a=\u{e9}; b\tc", None),
            ("X", "", None),
            ("Sec-WebSocket-Extensions", "permessage-deflate", Some(UnfitHeader::Own)),
            ("sec-websocket-accept", "x", Some(UnfitHeader::Own)),
            ("UPGRADE", "h2c", Some(UnfitHeader::Own)),
            ("Content-Length", "1", Some(UnfitHeader::Own)),
            ("", "x", Some(UnfitHeader::Malformed)),
            ("A B", "x", Some(UnfitHeader::Malformed)),
            ("A", "x\r\nB: y", Some(UnfitHeader::Malformed)),
            ("A", "x\n", Some(UnfitHeader::Malformed)),
            ("A", " x", Some(UnfitHeader::Malformed)),
            ("A", "x\0", Some(UnfitHeader::Malformed)),
        ] {
            let headers = [("Ok", "ok"), (name, value)];
            let found = read(EXAMPLE.as_bytes(), |request| {
                request.upgrade().unwrap().headers(&headers).map(|upgrade| {
                    let mut out = Vec::new();
                    let _ = upgrade.encode(&mut out);
                    String::from_utf8(out).unwrap()
                })
            });
            match (found.unwrap(), error) {
                (Ok(head), None) => {
                    assert!(head.ends_with(&format!("\r\nOk: ok\r\n{name}: {value}\r\n\r\n")), "{head}")
                }
                (found, error) => assert_eq!(found.err(), error, "{name}: {value}"),
            }
        }
    }

    /// Limits of one's own, and one past them; what the scanner lets pass is parsed.
    #[test]
    fn limits_of_ones_own() {
        let limits = HeadLimits { head: 40_000, line: 20_000, headers: 300 };
        let scanned = |extra: &str| {
            let head = with("Upgrade: websocket\r\n", &format!("Upgrade: websocket\r\n{extra}"));
            let len = HeadScanner::within(limits).scan(head.as_bytes())?.expect("the head is complete");
            Request::parse(&head.as_bytes()[..len])?.upgrade().map(drop)
        };
        let line = |len: usize| format!("A: {}\r\n", "x".repeat(len - 5));
        assert_eq!(scanned(&line(20_000)), Ok(()));
        assert_eq!(scanned(&line(20_001)), Err(RequestError::HeadTooLarge));
        let there = EXAMPLE.matches("\r\n").count() - 2;
        assert_eq!(scanned(&"A: b\r\n".repeat(300 - there)), Ok(()));
        assert_eq!(scanned(&"A: b\r\n".repeat(301 - there)), Err(RequestError::TooManyHeaders));
        let rest = 40_000 - EXAMPLE.len() - 20_000;
        assert_eq!(scanned(&(line(20_000) + &line(rest))), Ok(()));
        assert_eq!(scanned(&(line(20_000) + &line(rest + 1))), Err(RequestError::HeadTooLarge));
    }

    /// The same request as a parser of somebody else hands it over, and its answer in headers.
    #[test]
    fn a_request_in_parts() {
        let head = with("Upgrade: websocket", "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: websocket");
        let parsed = Request::parse(head.as_bytes()).unwrap();
        let request = Request::from_parts(parsed.method(), parsed.target(), parsed.all_headers()).unwrap();
        assert_eq!(request.all_headers().collect::<Vec<_>>(), parsed.all_headers().collect::<Vec<_>>());
        fn answer<'a>(request: &Request<'a>) -> Upgrade<'a> {
            let upgrade = request.upgrade().unwrap().choose(&["superchat"]).headers(&[("A", "b")]).unwrap();
            #[cfg(feature = "deflate")]
            let upgrade = upgrade.deflate(ClientContext::Reset);
            upgrade
        }
        let (mut worded, mut whole) = ("HTTP/1.1 101 Switching Protocols\r\n".to_owned(), Vec::new());
        let agreed = answer(&request).agree(|name, value| {
            worded += &format!("{name}: {}\r\n", std::str::from_utf8(value).unwrap());
        });
        let _ = answer(&parsed).encode(&mut whole);
        assert_eq!((worded + "\r\n").to_lowercase(), String::from_utf8(whole).unwrap().to_lowercase());
        assert_eq!(agreed.protocol(), Some("superchat"));
        for (headers, error) in [
            (&[("host", &b"a/b"[..])][..], RequestError::BadHost),
            (&[], RequestError::MissingHost),
            (&[("host", b"a"), ("Host", b"a")], RequestError::RepeatedHeader("Host")),
        ] {
            assert_eq!(Request::from_parts("GET", "/", headers.iter().copied()).map(drop), Err(error));
        }
        assert_eq!(Request::from_parts("GET", "/ b", [("host", &b"a"[..])]).map(drop), Err(RequestError::Malformed));
    }
}
