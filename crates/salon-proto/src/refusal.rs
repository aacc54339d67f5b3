//! The answer to a request that is not let in.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::head::{RequestError, UnfitHeader, add_headers};

/// The answer to a request that is not let in: a status, headers and a body. The connection ends behind it.
///
/// ```
/// use salon_proto::handshake::Refusal;
///
/// let headers = [("WWW-Authenticate", "Bearer")];
/// let refusal = Refusal::new(401).expect("a status of a refusal").headers(&headers)?.body(b"who?");
/// let mut out = Vec::new();
/// refusal.encode(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 4\r\n"));
/// assert!(out.ends_with(b"WWW-Authenticate: Bearer\r\n\r\nwho?"));
/// # Ok::<(), salon_proto::handshake::UnfitHeader>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is written by `encode`"]
pub struct Refusal {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Refusal {
    /// A refusal or redirection without a body: 300 to 599, else `None`.
    #[must_use = "it is `None` if it is no refusal"]
    pub const fn new(status: u16) -> Option<Self> {
        match status {
            300..=599 => Some(Self { status, headers: Vec::new(), body: Vec::new() }),
            _ => None,
        }
    }

    /// Sends further headers, such as `Location` or `WWW-Authenticate`, behind those of an earlier call.
    ///
    /// # Errors
    /// [`UnfitHeader`].
    pub fn headers(mut self, headers: &[(&str, &str)]) -> Result<Self, UnfitHeader> {
        add_headers(&mut self.headers, headers)?;
        Ok(self)
    }

    /// Sends a body; its `Content-Type` is one of the headers.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Hands the headers of the response to a server that words it itself, with [`Refusal::status`] and the body. It
    /// frames the body by itself. The names of those that are not the caller's are in lower case.
    ///
    /// ```
    /// use salon_proto::handshake::{Refusal, RequestError};
    ///
    /// let mut headers = Vec::new();
    /// let refusal = Refusal::from(RequestError::UpgradeRequired);
    /// refusal.each_header(|name, value| headers.push((name.to_owned(), value.to_vec())));
    /// assert_eq!(headers[2], ("sec-websocket-version".into(), b"13".to_vec()));
    /// ```
    pub fn each_header(&self, mut header: impl FnMut(&str, &[u8])) {
        for (name, value) in self.own_headers() {
            header(&name.to_ascii_lowercase(), value.as_bytes());
        }
        for (name, value) in &self.headers {
            header(name, value.as_bytes());
        }
    }

    /// The headers that are not the caller's.
    const fn own_headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.status {
            426 => &[("Connection", "Upgrade, close"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[("Connection", "close")],
        }
    }

    /// Appends the response. A 426 names the protocol and the version that are spoken here (RFC 9110 section 15.5.22,
    /// RFC 6455 section 4.4).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let reason = match self.status {
            301 => "Moved Permanently",
            302 => "Found",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            414 => "URI Too Long",
            426 => "Upgrade Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "Refused",
        };
        let len = format!("{}", self.body.len());
        out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", self.status).as_bytes());
        let given = self.headers.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in self.own_headers().iter().copied().chain([("Content-Length", &*len)]).chain(given) {
            for part in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        // RFC 9110 §15.5.6: a 405 says what is allowed.
        let allow = (error == RequestError::MethodNotAllowed).then(|| ("Allow".to_owned(), "GET".to_owned()));
        Self { status: error.status(), headers: allow.into_iter().collect(), body: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        assert_eq!([299, 600, 101].map(Refusal::new).map(|refusal| refusal.is_some()), [false; 3]);
        for (refusal, expected) in [
            (
                Refusal::from(RequestError::UpgradeRequired),
                "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\n\
                Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                Refusal::new(302).unwrap().headers(&[("Location", "/a")]).unwrap(),
                "HTTP/1.1 302 Found\r\n\
                Connection: close\r\nContent-Length: 0\r\nLocation: /a\r\n\r\n",
            ),
            (
                Refusal::new(599).unwrap().body(b"no"),
                "HTTP/1.1 599 Refused\r\nConnection: close\r\n\
                Content-Length: 2\r\n\r\nno",
            ),
        ] {
            let mut out = Vec::new();
            refusal.encode(&mut out);
            assert_eq!(std::str::from_utf8(&out), Ok(expected));
        }
        let split = Refusal::new(302).unwrap().headers(&[("Location", "/\r\nX: y")]);
        assert_eq!(split.map(drop), Err(UnfitHeader::Malformed));
    }
}
