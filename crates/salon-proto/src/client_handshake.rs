//! The client's side of the opening handshake (RFC 6455 section 4.1).
//!
//! Three steps, as on the server's side: [`ClientRequest::encode`] writes the request; [`ResponseScanner`] finds the
//! end of the response's head while it arrives, within the same bounds as a request's; [`Response::parse`] splits it,
//! and [`Response::accept`] judges it by the client's list in section 4.1.
//!
//! It offers no extension, so a response that names one is refused. It follows no redirection, answers no 401 and knows
//! no response but the first: any other response is [`ResponseError::NotSwitched`], and section 4.1 leaves it to the
//! caller. It has no randomness: the caller chooses the nonce.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::extension::is_token_byte;
use crate::handshake::{Accept, HeadScanner, HeaderStorage, Headers, RequestError, is_host};
use crate::handshake::{MAX_HEAD_LEN, MAX_HEADERS, MAX_LINE_LEN};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// The server's name or address, with its port where that is not the scheme's: the value of `Host`.
    pub host: &'a str,
    /// Path and query, percent-encoded; begins with `/`.
    pub target: &'a str,
    /// Sixteen bytes chosen at random for each connection (section 4.1, item 7). They distinguish an answer to this
    /// request from one that a cache kept; they keep no secret.
    pub nonce: [u8; 16],
    /// The sub-protocols that the client accepts, the best first; each once.
    pub protocols: &'a [&'a str],
    /// Further headers, such as `Origin`, `Authorization` or `Cookie`; none of the handshake's own.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Default for ClientRequest<'_> {
    /// A request for `/` without sub-protocols. Host and nonce are still to be given.
    fn default() -> Self {
        Self { host: "", target: "/", nonce: [0; 16], protocols: &[], headers: &[] }
    }
}

impl ClientRequest<'_> {
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
        for (name, value) in self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
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
            let own = ["host", "upgrade", "connection", "content-length", "transfer-encoding"];
            let lower = name.to_ascii_lowercase();
            if own.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
                return Err(UnfitRequest::OwnHeader);
            }
            // RFC 9110 §5.5: visible characters, space and tab; bytes beyond ASCII pass as they are.
            let is_value = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
            if !is_token(name) || !value.bytes().all(is_value) || value.trim() != *value {
                return Err(UnfitRequest::Header);
            }
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
    headers: Headers<'a>,
}

/// What client and server agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed<'a> {
    /// The sub-protocol, one of those that were offered; `None` if the server chose none.
    pub protocol: Option<&'a str>,
}

impl<'a> Response<'a> {
    /// Splits a complete head (up to and with its empty line), as [`ResponseScanner`] found it.
    ///
    /// # Errors
    /// [`ResponseError::Malformed`]: anything that is not a response of HTTP/1.0 or 1.1 in its strict form.
    pub fn parse(head: &'a [u8], storage: &'a mut HeaderStorage<'a>) -> Result<Self, ResponseError> {
        let mut parsed = httparse::Response::new(storage);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            _ => return Err(ResponseError::Malformed),
        }
        let (Some(status), Some(minor_version)) = (parsed.code, parsed.version) else {
            return Err(ResponseError::Malformed);
        };
        Ok(Self { status, minor_version, headers: Headers(parsed.headers) })
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
        if self.headers("sec-websocket-extensions").any(|value| !value.trim_ascii().is_empty()) {
            return Err(ResponseError::ExtensionNotOffered);
        }
        if self.headers("sec-websocket-protocol").next().is_none() {
            return Ok(Agreed { protocol: None });
        }
        match self.header("sec-websocket-protocol") {
            Some(protocol) if request.protocols.contains(&protocol) => Ok(Agreed { protocol: Some(protocol) }),
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
pub enum ResponseError {
    /// The first byte begins no status line: another protocol, TLS perhaps.
    NotHttp,
    /// Not a status line and headers, each ended by CR LF.
    Malformed,
    /// More than [`MAX_HEADERS`] headers, a line over [`MAX_LINE_LEN`], or a head over [`MAX_HEAD_LEN`].
    HeadTooLarge,
    /// A status other than 101: a refusal or a redirection.
    NotSwitched(u16),
    /// 101, but to something other than WebSocket, or in HTTP/1.0.
    NotUpgraded,
    /// `Sec-WebSocket-Accept` is missing, repeated, or no answer to this key.
    WrongAccept,
    /// An extension, of which none was offered.
    ExtensionNotOffered,
    /// A sub-protocol that was not offered, or several.
    ProtocolNotOffered,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => write!(f, "the answer is not HTTP"),
            Self::Malformed => write!(f, "malformed response head"),
            Self::HeadTooLarge => write!(
                f,
                "response head over {MAX_HEAD_LEN} bytes, with a line over {MAX_LINE_LEN} or more than {MAX_HEADERS} headers"
            ),
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
    use super::super::handshake::{NO_HEADERS, Request, encode_switching_protocols};
    use super::*;

    const REQUEST: ClientRequest<'static> = ClientRequest {
        host: "server.example.com",
        target: "/chat?x=1",
        nonce: *b"the sample nonce",
        protocols: &["chat", "superchat"],
        headers: &[("Origin", "http://example.com")],
    };

    /// Scans whole and byte by byte, which must agree, then judges.
    fn judge(bytes: &[u8]) -> Result<Option<String>, ResponseError> {
        let whole = ResponseScanner::default().scan(bytes);
        let mut scanner = ResponseScanner::default();
        let grown = (0..=bytes.len()).map(|len| scanner.scan(&bytes[..len])).find(|found| !matches!(found, Ok(None)));
        assert_eq!(whole, grown.unwrap_or(Ok(None)));
        let len = whole?.expect("the head is complete");
        let mut storage = NO_HEADERS;
        let response = Response::parse(&bytes[..len], &mut storage)?;
        response.accept(&REQUEST).map(|agreed| agreed.protocol.map(String::from))
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
        let mut storage = NO_HEADERS;
        let accept = Request::parse(&head, &mut storage).unwrap().upgrade().unwrap();
        let mut response = Vec::new();
        encode_switching_protocols(&accept, Some("superchat"), &mut response);
        assert_eq!(judge(&response), Ok(Some("superchat".into())));
    }

    #[test]
    fn what_may_not_stand_in_a_request() {
        let bare = ClientRequest { host: "h", ..ClientRequest::default() };
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
}
