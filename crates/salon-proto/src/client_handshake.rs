//! The client's side of the opening handshake (RFC 6455 section 4.1).
//!
//! Three steps, as on the server's side: [`ClientRequest::encode`] writes the request; [`ResponseScanner`] finds the
//! end of the response's head while it arrives, within [`HeadLimits`]; [`Response::parse`] splits it, and
//! [`Response::accept`] judges it by the client's list in section 4.1.
//!
//! A response that names an extension that was not offered is refused. It follows no redirection and answers no 401:
//! any response but a 101 is [`ResponseError::NotSwitched`], and section 4.1 leaves it to the caller, who skips those
//! that come before the one that counts ([`Response::is_interim`]). It has no randomness: the caller chooses the nonce.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::agreed::Agreed;
use crate::extension::{NotOffered, Offer, is_token_byte};
use crate::handshake::Accept;
use crate::handshake::MAX_HEADERS;
use crate::head::{HeadScanner, Headers, RequestError, UnfitHeader, check_header, is_host};
use crate::refused::Framing;

pub use crate::head::HeadLimits;
pub use crate::refused::{MAX_REFUSED_BODY, Refused};

/// What a client asks for.
///
/// There is none without a host and a nonce:
///
/// ```compile_fail,E0599
/// let request = salon_proto::ClientRequest::default();
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it is written by `encode`"]
pub struct ClientRequest<'a> {
    host: &'a str,
    target: &'a str,
    nonce: [u8; 16],
    protocols: &'a [&'a str],
    headers: &'a [(&'a str, &'a str)],
    offer: Option<Offer>,
}

impl<'a> ClientRequest<'a> {
    /// A request for `/` at `host`: the server's name or address, with its port where that is not the scheme's.
    ///
    /// `nonce` is sixteen bytes chosen at random for each connection (section 4.1, item 7). They distinguish an answer
    /// to this request from one that a cache kept; they keep no secret. With the feature `getrandom`, `random::nonce`
    /// draws one.
    pub const fn new(host: &'a str, nonce: [u8; 16]) -> Self {
        Self { host, target: "/", nonce, protocols: &[], headers: &[], offer: None }
    }

    /// Asks for this path and query, percent-encoded; it begins with `/`.
    pub const fn target(self, target: &'a str) -> Self {
        Self { target, ..self }
    }

    /// Accepts these sub-protocols, the best first; each once.
    pub const fn protocols(self, protocols: &'a [&'a str]) -> Self {
        Self { protocols, ..self }
    }

    /// Sends further headers, such as `Origin`, `Authorization` or `Cookie`; none of the handshake's own.
    pub const fn headers(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    /// Offers permessage-deflate.
    #[cfg(feature = "deflate")]
    pub const fn deflate(self, offer: Offer) -> Self {
        Self { offer: Some(offer), ..self }
    }

    /// Appends the request head.
    ///
    /// # Errors
    /// A value that may not stand in a head; then nothing has been appended.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), UnfitRequest> {
        self.check()?;
        let key = self.key();
        for part in [
            "GET ",
            self.target,
            " HTTP/1.1\r\nHost: ",
            self.host,
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            &key,
            "\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        if !self.protocols.is_empty() {
            out.extend_from_slice(format!("Sec-WebSocket-Protocol: {}\r\n", self.protocols.join(", ")).as_bytes());
        }
        if let Some(offer) = &self.offer {
            out.extend_from_slice(b"Sec-WebSocket-Extensions: ");
            offer.encode(out);
            out.extend_from_slice(b"\r\n");
        }
        for (name, value) in self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Hands the headers of the request to a client that words it itself, hyper for example. The names are in lower
    /// case.
    ///
    /// # Errors
    /// A value that may not stand in a head; then no header has been handed over.
    pub fn each_header(&self, mut header: impl FnMut(&str, &[u8])) -> Result<(), UnfitRequest> {
        self.check()?;
        header("host", self.host.as_bytes());
        header("upgrade", b"websocket");
        header("connection", b"Upgrade");
        header("sec-websocket-version", b"13");
        header("sec-websocket-key", self.key().as_bytes());
        if !self.protocols.is_empty() {
            header("sec-websocket-protocol", self.protocols.join(", ").as_bytes());
        }
        if let Some(offer) = &self.offer {
            let mut value = Vec::new();
            offer.encode(&mut value);
            header("sec-websocket-extensions", &value);
        }
        for (name, value) in self.headers {
            header(name, value.as_bytes());
        }
        Ok(())
    }

    /// The value of `Sec-WebSocket-Key`: the nonce in base64.
    pub fn key(&self) -> String {
        STANDARD.encode(self.nonce)
    }

    fn check(&self) -> Result<(), UnfitRequest> {
        if self.host.is_empty() || !is_host(self.host.as_bytes()) {
            return Err(UnfitRequest::Host);
        }
        // §3: a resource name has no fragment.
        let is_target = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !self.target.starts_with('/') || !self.target.bytes().all(is_target) {
            return Err(UnfitRequest::Target);
        }
        for (place, protocol) in self.protocols.iter().enumerate() {
            if !is_token(protocol) || self.protocols[..place].contains(protocol) {
                return Err(UnfitRequest::Protocol);
            }
        }
        for (name, value) in self.headers {
            check_header(name, value).map_err(|error| match error {
                UnfitHeader::Own => UnfitRequest::OwnHeader,
                UnfitHeader::Malformed => UnfitRequest::Header,
            })?;
        }
        Ok(())
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A value that may not stand in a request: the caller's own mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnfitRequest {
    /// The host is not a name or address, with a port perhaps.
    Host,
    /// The target does not begin with `/`, or contains a space, a `#`, or a byte that is not printable ASCII.
    Target,
    /// A sub-protocol that is no token (RFC 9110 section 5.6.2), or one twice.
    Protocol,
    /// A header that the handshake sets itself.
    OwnHeader,
    /// A header whose name is no token, or whose value has a line end, another control character, or spaces about it.
    Header,
}

impl fmt::Display for UnfitRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the host must be a name or address, with a port perhaps",
            Self::Target => "the path must begin with / and be percent-encoded, without a fragment",
            Self::Protocol => "a sub-protocol must be a token, and may be offered once",
            Self::OwnHeader => "a header that the handshake sets itself cannot be given",
            Self::Header => "a header must be a token and a value without control characters",
        })
    }
}

impl core::error::Error for UnfitRequest {}

/// Finds the empty line that ends a response head, within the bounds of [`HeadScanner`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseScanner(HeadScanner);

impl ResponseScanner {
    /// One with limits of its own.
    pub fn within(limits: HeadLimits) -> Self {
        Self(HeadScanner::within(limits))
    }

    /// Goes on from where the last call ended; `head` begins with everything seen before.
    ///
    /// Returns the length of the head with its empty line, or `None` while it is incomplete. Bytes behind it are frames
    /// already, or the body of a refusal.
    ///
    /// # Errors
    /// [`ResponseError::NotHttp`], [`ResponseError::HeadTooLarge`] and [`ResponseError::Malformed`].
    pub fn scan(&mut self, head: &[u8]) -> Result<Option<usize>, ResponseError> {
        self.0.scan(head).map_err(|error| match error {
            RequestError::NotHttp => ResponseError::NotHttp,
            RequestError::TargetTooLong | RequestError::HeadTooLarge | RequestError::TooManyHeaders => {
                ResponseError::HeadTooLarge
            }
            _ => ResponseError::Malformed,
        })
    }
}

/// A response head, borrowed from the bytes it came in.
#[derive(Debug)]
pub struct Response<'a> {
    status: u16,
    minor_version: u8,
    reason: &'a str,
    headers: Headers<'a>,
}

impl<'a> Response<'a> {
    /// Splits a complete head (up to and with its empty line), as [`ResponseScanner`] found it.
    ///
    /// # Errors
    /// [`ResponseError::Malformed`]: anything that is not a response of HTTP/1.0 or 1.1 in its strict form.
    pub fn parse(head: &'a [u8]) -> Result<Self, ResponseError> {
        let mut storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let mut result = config.parse_response_with_uninit_headers(&mut parsed, head, &mut storage);
        // A scanner with limits of its own has let more of them pass.
        let mut more = Vec::new();
        if result == Err(httparse::Error::TooManyHeaders) {
            more.resize(head.iter().filter(|&&byte| byte == b'\n').count(), httparse::EMPTY_HEADER);
            parsed = httparse::Response::new(&mut more);
            result = parsed.parse(head);
        }
        match result {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            _ => return Err(ResponseError::Malformed),
        }
        let (Some(status), Some(minor_version)) = (parsed.code, parsed.version) else {
            return Err(ResponseError::Malformed);
        };
        let reason = parsed.reason.unwrap_or_default();
        Ok(Self { status, minor_version, reason, headers: Headers::of(parsed.headers) })
    }

    /// A response of HTTP/1.1 that somebody else has parsed, hyper for example.
    pub fn from_parts(status: u16, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self { status, minor_version: 1, reason: "", headers: Headers(headers.into_iter().collect()) }
    }

    /// Whether this is an interim response, such as 103 (Early Hints): another head follows, the response of which is
    /// the one to be judged (RFC 9110 section 15.2: a client must be able to skip it).
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// The reason phrase; may be empty.
    pub fn reason(&self) -> &'a str {
        self.reason
    }

    /// All headers in their order, as names in the letters they came in, and values.
    pub fn all_headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.0.iter().copied()
    }

    /// The bytes of body that follow the head of a refusal, if it says so by one `Content-Length` and no transfer
    /// coding.
    pub fn body_len(&self) -> Option<u64> {
        let value = self.header("content-length").filter(|_| self.headers("transfer-encoding").next().is_none())?;
        value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten()
    }

    /// A copy of the head, of a response that is no 101, which then takes the body that follows.
    pub fn refused(&self) -> Refused {
        let headers = self.all_headers().map(|(name, value)| (name.into(), value.into())).collect();
        let framing = Framing::of(self.status, self.headers("transfer-encoding"), self.body_len());
        Refused::new(self.status, self.reason.into(), headers, framing)
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header that came exactly once and is ASCII.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.single(name)
    }

    /// The values of all headers of that name (in any case), in order, as bytes.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.values(name)
    }

    /// Judges the response to `request` by the list in section 4.1.
    ///
    /// # Errors
    /// The first item that is not met. The client then _fails_ the connection: it ends the stream and sends no frame.
    pub fn accept(&self, request: &ClientRequest<'_>) -> Result<Agreed<'a>, ResponseError> {
        if self.status != 101 {
            return Err(ResponseError::NotSwitched(self.status));
        }
        if self.minor_version == 0 || !self.single("upgrade", |value| value.eq_ignore_ascii_case("websocket")) {
            return Err(ResponseError::NotUpgraded);
        }
        if !self.headers.tokens("connection").any(|value| value.eq_ignore_ascii_case("upgrade")) {
            return Err(ResponseError::NotUpgraded);
        }
        let expected = Accept::of_key(&request.key());
        if !self.single("sec-websocket-accept", |value| value == expected.as_str()) {
            return Err(ResponseError::WrongAccept);
        }
        let mut extensions = self.headers("sec-websocket-extensions");
        let deflate = match &request.offer {
            Some(offer) => offer.judge(extensions).map_err(|NotOffered| ResponseError::ExtensionNotOffered)?,
            None if extensions.any(|value| !value.trim_ascii().is_empty()) => {
                return Err(ResponseError::ExtensionNotOffered);
            }
            None => None,
        };
        if self.headers("sec-websocket-protocol").next().is_none() {
            return Ok(Agreed::new(None, deflate));
        }
        match self.header("sec-websocket-protocol") {
            Some(protocol) if request.protocols.contains(&protocol) => Ok(Agreed::new(Some(protocol), deflate)),
            _ => Err(ResponseError::ProtocolNotOffered),
        }
    }

    /// Whether that header came once, with a value that is meant.
    fn single(&self, name: &str, is_meant: impl FnOnce(&str) -> bool) -> bool {
        self.header(name).is_some_and(is_meant)
    }
}

/// Why a response does not open a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The first byte begins no status line: another protocol, TLS perhaps.
    NotHttp,
    /// Not a status line and headers, each ended by CR LF.
    Malformed,
    /// Too many headers, or too long a line or head: see [`HeadLimits`].
    HeadTooLarge,
    /// A status other than 101: a refusal or a redirection.
    NotSwitched(u16),
    /// 101, but to something other than WebSocket, or in HTTP/1.0.
    NotUpgraded,
    /// `Sec-WebSocket-Accept` is missing, repeated, or no answer to this key.
    WrongAccept,
    /// An extension, or a parameter of one, that was not offered.
    ExtensionNotOffered,
    /// A sub-protocol that was not offered, or several.
    ProtocolNotOffered,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => write!(f, "the answer is not HTTP"),
            Self::Malformed => write!(f, "malformed response head"),
            Self::HeadTooLarge => write!(f, "response head, a line of it or the number of its headers over the limit"),
            Self::NotSwitched(status) => write!(f, "status {status} and not 101"),
            Self::NotUpgraded => write!(f, "status 101, but not to WebSocket"),
            Self::WrongAccept => write!(f, "Sec-WebSocket-Accept is not the answer to this key"),
            Self::ExtensionNotOffered => write!(f, "an extension that was not offered"),
            Self::ProtocolNotOffered => write!(f, "a sub-protocol that was not offered"),
        }
    }
}

impl core::error::Error for ResponseError {}

#[cfg(test)]
mod tests {
    use super::super::handshake::{MAX_HEAD_LEN, MAX_LINE_LEN, Request};
    use super::*;

    const REQUEST: ClientRequest<'static> = ClientRequest::new("server.example.com", *b"the sample nonce")
        .target("/chat?x=1")
        .protocols(&["chat", "superchat"])
        .headers(&[("Origin", "http://example.com")]);

    /// Scans whole and byte by byte, which must agree, then judges.
    fn judge(bytes: &[u8]) -> Result<Option<String>, ResponseError> {
        let whole = ResponseScanner::default().scan(bytes);
        let mut scanner = ResponseScanner::default();
        let grown = (0..=bytes.len()).map(|len| scanner.scan(&bytes[..len])).find(|found| !matches!(found, Ok(None)));
        assert_eq!(whole, grown.unwrap_or(Ok(None)));
        let len = whole?.expect("the head is complete");
        let response = Response::parse(&bytes[..len])?;
        response.accept(&REQUEST).map(|agreed| agreed.protocol().map(String::from))
    }

    const EXAMPLE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    fn with(replace: &str, by: &str) -> String {
        assert!(EXAMPLE.contains(replace));
        EXAMPLE.replace(replace, by)
    }

    #[test]
    fn the_request_is_one_that_a_server_takes() {
        let mut head = Vec::new();
        REQUEST.encode(&mut head).unwrap();
        let expected = "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://example.com\r\n\r\n";
        assert_eq!(std::str::from_utf8(&head), Ok(expected));
        assert_eq!(HeadScanner::default().scan(&head), Ok(Some(head.len())));
        let upgrade = Request::parse(&head).unwrap().upgrade().unwrap();
        assert_eq!(upgrade.offered(), ["chat", "superchat"]);
        let mut response = Vec::new();
        let agreed = upgrade.choose(&["other", "superchat", "chat"]).encode(&mut response);
        assert_eq!(agreed.protocol(), Some("superchat"));
        assert_eq!(judge(&response), Ok(Some("superchat".into())));
    }

    #[test]
    fn what_may_not_stand_in_a_request() {
        let bare = ClientRequest::new("h", [1; 16]);
        let mut out = Vec::new();
        for (request, error) in [
            (ClientRequest { host: "", ..bare }, UnfitRequest::Host),
            (ClientRequest { host: "h\r\nX: y", ..bare }, UnfitRequest::Host),
            (ClientRequest { host: "h/", ..bare }, UnfitRequest::Host),
            (ClientRequest { target: "", ..bare }, UnfitRequest::Target),
            (ClientRequest { target: "chat", ..bare }, UnfitRequest::Target),
            (ClientRequest { target: "/a b", ..bare }, UnfitRequest::Target),
            (ClientRequest { target: "/a#b", ..bare }, UnfitRequest::Target),
            (ClientRequest { target: "/\u{e4}", ..bare }, UnfitRequest::Target),
            (ClientRequest { target: "/\r\n", ..bare }, UnfitRequest::Target),
            (ClientRequest { protocols: &["a b"], ..bare }, UnfitRequest::Protocol),
            (ClientRequest { protocols: &[""], ..bare }, UnfitRequest::Protocol),
            (ClientRequest { protocols: &["a", "b", "a"], ..bare }, UnfitRequest::Protocol),
            (ClientRequest { headers: &[("hOST", "h")], ..bare }, UnfitRequest::OwnHeader),
            (ClientRequest { headers: &[("Content-Length", "1")], ..bare }, UnfitRequest::OwnHeader),
            (ClientRequest { headers: &[("Sec-WebSocket-Extensions", "x")], ..bare }, UnfitRequest::OwnHeader),
            (ClientRequest { headers: &[("", "x")], ..bare }, UnfitRequest::Header),
            (ClientRequest { headers: &[("a:", "x")], ..bare }, UnfitRequest::Header),
            (ClientRequest { headers: &[("A", "x\r\nB: y")], ..bare }, UnfitRequest::Header),
            (ClientRequest { headers: &[("A", "\0")], ..bare }, UnfitRequest::Header),
            (ClientRequest { headers: &[("A", " x")], ..bare }, UnfitRequest::Header),
        ] {
            assert_eq!(request.encode(&mut out), Err(error), "{request:?}");
            assert!(out.is_empty());
        }
        let tab = ClientRequest { host: "[::1]:80", target: "/?a=%20", headers: &[("A", "x\ty")], ..bare };
        assert_eq!(tab.encode(&mut out), Ok(()));
    }

    #[test]
    fn responses_that_open() {
        let chat = Some("chat".to_owned());
        for (head, protocol) in [
            (EXAMPLE.to_owned(), &chat),
            (with("Switching Protocols", ""), &chat),
            (with("Upgrade: websocket", "upgrade:\tWebSocket "), &chat),
            (with("Connection: Upgrade", "Connection: keep-alive\r\nconnection: x, upgrade"), &chat),
            (with("Accept: s3p", "Accept:   s3p"), &chat),
            (with("Sec-WebSocket-Protocol: chat\r\n", ""), &None),
            (with("\r\n\r\n", "\r\nSec-WebSocket-Extensions: \r\n\r\n"), &chat),
            (with("\r\n\r\n", "\r\nSet-Cookie: \u{e4}\r\n\r\n\u{81}"), &chat),
        ] {
            assert_eq!(judge(head.as_bytes()).as_ref(), Ok(protocol), "{head}");
        }
    }

    #[test]
    fn responses_that_do_not() {
        for (replace, by, error) in [
            ("HTTP/1.1 101", "HTTP/1.1 200", ResponseError::NotSwitched(200)),
            ("HTTP/1.1 101", "HTTP/1.1 403", ResponseError::NotSwitched(403)),
            ("HTTP/1.1 101", "HTTP/1.1 100", ResponseError::NotSwitched(100)),
            ("HTTP/1.1 101", "HTTP/1.0 101", ResponseError::NotUpgraded),
            ("HTTP/1.1 101", "HTTP/2 101", ResponseError::Malformed),
            ("HTTP/1.1 101", "HTTP/1.1 1010", ResponseError::Malformed),
            ("HTTP/1.1 101", "HTTP/1.1", ResponseError::Malformed),
            ("HTTP", "\r\nHTTP", ResponseError::NotHttp),
            ("HTTP", "\x15\x03\x01", ResponseError::NotHttp),
            ("HTTP", "SSH", ResponseError::Malformed),
            ("Upgrade: websocket\r\n", "", ResponseError::NotUpgraded),
            ("Upgrade: websocket", "Upgrade: h2c", ResponseError::NotUpgraded),
            ("Upgrade: websocket", "Upgrade: websocket, h2c", ResponseError::NotUpgraded),
            ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket", ResponseError::NotUpgraded),
            ("Connection: Upgrade\r\n", "", ResponseError::NotUpgraded),
            ("Connection: Upgrade", "Connection: close", ResponseError::NotUpgraded),
            ("Connection: Upgrade", "Connection: upgraded", ResponseError::NotUpgraded),
            ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "", ResponseError::WrongAccept),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ResponseError::WrongAccept),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ==", ResponseError::WrongAccept),
            ("Protocol: chat", "Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ResponseError::WrongAccept),
            ("-Protocol: chat", "-Extensions: permessage-deflate", ResponseError::ExtensionNotOffered),
            ("-Protocol: chat", "-Extensions:\r\nSec-WebSocket-Extensions: x", ResponseError::ExtensionNotOffered),
            ("Protocol: chat", "Protocol: Chat", ResponseError::ProtocolNotOffered),
            ("Protocol: chat", "Protocol: other", ResponseError::ProtocolNotOffered),
            ("Protocol: chat", "Protocol: ", ResponseError::ProtocolNotOffered),
            ("Protocol: chat", "Protocol: chat, superchat", ResponseError::ProtocolNotOffered),
            ("Protocol: chat", "Protocol: chat\r\nSec-WebSocket-Protocol: chat", ResponseError::ProtocolNotOffered),
            ("websocket\r\n", "websocket\n", ResponseError::Malformed),
            ("websocket", "web\rsocket", ResponseError::Malformed),
            ("websocket", "\0", ResponseError::Malformed),
            ("Upgrade: websocket", "Upgrade : websocket", ResponseError::Malformed),
            ("Upgrade: websocket", "Upgrade:\r\n websocket", ResponseError::Malformed),
        ] {
            assert_eq!(judge(with(replace, by).as_bytes()), Err(error), "{replace:?} -> {by:?}");
        }
    }

    #[test]
    fn limits_and_one_past_them() {
        let line = |len: usize| format!("A: {}\r\n", "x".repeat(len - 5));
        let more = |headers: &str| judge(with("Upgrade: w", &format!("{headers}Upgrade: w")).as_bytes()).map(drop);
        assert_eq!(more(&line(MAX_LINE_LEN)), Ok(()));
        assert_eq!(more(&line(MAX_LINE_LEN + 1)), Err(ResponseError::HeadTooLarge));
        let phrase = |len: usize| "x".repeat(len - "HTTP/1.1 101 \r\n".len());
        assert!(judge(with("Switching Protocols", &phrase(MAX_LINE_LEN)).as_bytes()).is_ok());
        let long = with("Switching Protocols", &phrase(MAX_LINE_LEN + 1));
        assert_eq!(judge(long.as_bytes()), Err(ResponseError::HeadTooLarge));
        assert_eq!(more(&"A: b\r\n".repeat(MAX_HEADERS - 4)), Ok(()));
        assert_eq!(more(&"A: b\r\n".repeat(MAX_HEADERS - 3)), Err(ResponseError::HeadTooLarge));
        let fill = |len: usize| line(MAX_LINE_LEN) + &line(len - EXAMPLE.len() - MAX_LINE_LEN);
        assert_eq!(more(&fill(MAX_HEAD_LEN)), Ok(()));
        assert_eq!(more(&fill(MAX_HEAD_LEN + 1)), Err(ResponseError::HeadTooLarge));
    }

    /// RFC 7692 section 7.1, as a client asks and as a server answers: what is agreed to, or that nothing may be.
    #[cfg(feature = "deflate")]
    #[test]
    fn answers_to_an_offer() {
        let plain = Offer::new();
        let forgetful = plain.server_no_context_takeover();
        let small = plain.server_max_window_bits(10).expect("9 to 15");
        assert_eq!((plain.server_max_window_bits(8), plain.server_max_window_bits(16)), (None, None));
        let all = (true, 15, 15);
        for (offer, answer, expected) in [
            (plain, "permessage-deflate", Some(all)),
            (plain, "permessage-deflate; client_no_context_takeover", Some(all)),
            (plain, "permessage-deflate; server_no_context_takeover", Some((false, 15, 15))),
            (plain, "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9", Some((true, 8, 9))),
            (plain, "permessage-deflate; client_max_window_bits=8", Some((true, 15, 8))),
            (plain, "permessage-deflate; client_max_window_bits", None),
            (plain, "permessage-deflate; client_max_window_bits=7", None),
            (plain, "permessage-deflate; server_max_window_bits", None),
            (plain, "permessage-deflate; server_max_window_bits=16", None),
            (plain, "permessage-deflate; server_no_context_takeover=1", None),
            (plain, "permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
            (plain, "permessage-deflate; other", None),
            (plain, "permessage-deflate;", None),
            (plain, "permessage-deflate, permessage-deflate", None),
            (plain, "other", None),
            (plain, "permessage-deflate, other", None),
            (forgetful, "permessage-deflate; server_no_context_takeover", Some((false, 15, 15))),
            (forgetful, "permessage-deflate", None),
            (small, "permessage-deflate; server_max_window_bits=10", Some((true, 10, 15))),
            (small, "permessage-deflate; server_max_window_bits=9", Some((true, 9, 15))),
            (small, "permessage-deflate; server_max_window_bits=11", None),
            (small, "permessage-deflate", None),
        ] {
            let response = with("-Protocol: chat", &format!("-Extensions: {answer}"));
            let response = Response::parse(response.as_bytes()).unwrap();
            let agreed = response.accept(&REQUEST.deflate(offer));
            let found = agreed.map(|agreed| {
                let deflate = agreed.deflate().expect("it is named");
                (deflate.server_keeps_context(), deflate.server_window_bits(), deflate.client_window_bits())
            });
            assert_eq!(found, expected.ok_or(ResponseError::ExtensionNotOffered), "{answer}");
            // What was not offered is not agreed to.
            assert_eq!(response.accept(&REQUEST), Err(ResponseError::ExtensionNotOffered), "{answer}");
        }
        // Declined.
        let response = Response::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(response.accept(&REQUEST.deflate(plain)).map(|agreed| agreed.deflate().copied()), Ok(None));
    }

    /// Every offer of ours is one that our server takes, and its answer is one that we take; both then know the same.
    #[cfg(feature = "deflate")]
    #[test]
    fn both_sides_agree_to_the_same() {
        use crate::extension::ClientContext;
        let offers = [false, true].into_iter().flat_map(|forgets| {
            (8..=15).map(move |bits| {
                let offer = Offer::new().server_max_window_bits(bits).unwrap_or_default();
                if forgets { offer.server_no_context_takeover() } else { offer }
            })
        });
        for offer in offers {
            for context in [ClientContext::Kept, ClientContext::Reset] {
                let request = REQUEST.deflate(offer);
                let (mut head, mut answer) = (Vec::new(), Vec::new());
                request.encode(&mut head).unwrap();
                let upgrade = Request::parse(&head).unwrap().upgrade().unwrap();
                let headers = [("Set-Cookie", "a=b")];
                let there = upgrade.choose(&["chat"]).deflate(context).headers(&headers).unwrap().encode(&mut answer);
                let response = Response::parse(&answer).unwrap();
                assert_eq!(response.header("set-cookie"), Some("a=b"));
                assert_eq!(response.accept(&request), Ok(there), "{offer:?} {context:?}");
                assert!(there.deflate().is_some() && there.protocol() == Some("chat"));
            }
        }
    }

    /// A refusal with all it says, interim responses, and the same by the parser of somebody else.
    #[test]
    fn what_a_response_says() {
        let head =
            "HTTP/1.1 401 Who are you\r\nWWW-Authenticate: a\r\nwww-authenticate: b\r\nContent-Length: 12\r\n\r\n";
        let response = Response::parse(head.as_bytes()).unwrap();
        assert_eq!((response.status(), response.reason(), response.body_len()), (401, "Who are you", Some(12)));
        let all: Vec<(&str, &[u8])> = response.all_headers().collect();
        assert_eq!(all, [("WWW-Authenticate", &b"a"[..]), ("www-authenticate", b"b"), ("Content-Length", b"12")]);
        for (status, interim) in
            [(99, false), (100, true), (101, false), (102, true), (103, true), (199, true), (200, false)]
        {
            assert_eq!(Response::from_parts(status, []).is_interim(), interim, "{status}");
        }
        for (headers, len) in [
            (&[][..], None),
            (&[("Content-Length", &b"+1"[..])], None),
            (&[("Content-Length", b"99999999999999999999")], None),
            (&[("Content-Length", b"1"), ("Content-Length", b"1")], None),
            (&[("Content-Length", b"1"), ("Transfer-Encoding", b"chunked")], None),
            (&[("content-length", b"0")], Some(0)),
        ] {
            assert_eq!(Response::from_parts(200, headers.iter().copied()).body_len(), len, "{headers:?}");
        }
        let response = Response::parse(EXAMPLE.as_bytes()).unwrap();
        let again = Response::from_parts(response.status(), response.all_headers());
        assert_eq!(again.accept(&REQUEST), response.accept(&REQUEST));
    }

    /// The headers of a request are those of its head, in whatever way they are handed over.
    #[test]
    fn a_request_in_headers() {
        let mut head = Vec::new();
        REQUEST.encode(&mut head).unwrap();
        let mut headers = Vec::new();
        REQUEST.each_header(|name, value| headers.push((name.to_ascii_lowercase(), value.to_vec()))).unwrap();
        let parsed = Request::parse(&head).unwrap();
        let mut expected: Vec<(String, Vec<u8>)> =
            parsed.all_headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
        expected.sort();
        headers.sort();
        assert_eq!(headers, expected);
        let unfit = ClientRequest::new("", [1; 16]).each_header(|_, _| unreachable!("nothing is handed over"));
        assert_eq!(unfit, Err(UnfitRequest::Host));
    }
}
