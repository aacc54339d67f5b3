//! Responses of the HTTP doors (RFC 9110, RFC 9112): status line, headers, body.
//!
//! Requests are read by [`crate::proto::handshake`]. Every response has a Content-Length, so a connection can
//! be kept. Nothing of a request is copied into a response head but what [`super::redirect`] has read.

use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::proto::handshake::RequestError;
use crate::time::Moment;

/// A response before it is written.
#[derive(Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Headers beyond the usual: names and values of our own.
    pub headers: &'a [(&'static str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// The answer to HEAD: everything but the body.
    pub head_only: bool,
    /// Whether the connection stays open.
    pub keep: bool,
    /// For how many seconds browsers are to come by TLS alone (RFC 6797).
    pub hsts: Option<u64>,
}

impl<'a> Response<'a> {
    /// A response that keeps the connection.
    pub fn new(status: u16, content_type: &'static str, body: &'a [u8]) -> Self {
        Self { status, content_type, headers: &[], body, head_only: false, keep: true, hsts: None }
    }

    /// The response by itself.
    pub fn to_vec(&self, now: Moment) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.body.len());
        self.encode(now, &mut out);
        out
    }

    /// Appends the response.
    pub fn encode(&self, now: Moment, out: &mut Vec<u8>) {
        let Self { status, content_type, .. } = self;
        let mut head = || -> std::io::Result<()> {
            write!(out, "HTTP/1.1 {status} {}\r\n", reason(*status))?;
            write_date(now.unix_ms / 1000, out)?;
            if *status != 304 {
                write!(out, "Content-Type: {content_type}\r\nContent-Length: {}\r\n", self.body.len())?;
            }
            for (name, value) in self.headers {
                write!(out, "{name}: {value}\r\n")?;
            }
            if let Some(seconds) = self.hsts {
                write!(out, "Strict-Transport-Security: max-age={seconds}\r\n")?;
            }
            if !self.keep {
                write!(out, "Connection: close\r\n")?;
            }
            write!(out, "X-Content-Type-Options: nosniff\r\n\r\n")
        };
        head().expect("a Vec takes everything");
        if !self.head_only && *status != 304 {
            out.extend_from_slice(self.body);
        }
    }
}

/// Writes the `Date` header, which is made once a second.
fn write_date(second: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    thread_local! {
        static WORDED: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    WORDED.with_borrow_mut(|(of, date)| {
        if *of != second {
            (*of, *date) = (second, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)));
        }
        write!(out, "Date: {date}\r\n")
    })
}

/// Appends the answer to a request that cannot be served, after which the connection ends.
pub fn encode_request_error(error: RequestError, now: Moment, out: &mut Vec<u8>) {
    encode_request_refusal(error, false, now, out);
}

/// The same where the method is known: the answer to HEAD is `head_only`.
pub fn encode_request_refusal(error: RequestError, head_only: bool, now: Moment, out: &mut Vec<u8>) {
    let headers: &[(&str, &str)] = match error {
        // At a WebSocket door, where HEAD is no method.
        RequestError::MethodNotAllowed => &[("Allow", "GET")],
        RequestError::UpgradeRequired => &UPGRADE_HEADERS,
        _ => &[],
    };
    let body = error_body(&error.to_string());
    Response { headers, keep: false, head_only, ..Response::new(error.status(), JSON, &body) }.encode(now, out);
}

/// Appends the answer to a client for whom there is no room, after which the connection ends; the answer to HEAD is
/// `head_only`.
pub fn encode_full(head_only: bool, now: Moment, out: &mut Vec<u8>) {
    let body = error_body("there is no room for more clients now; try again later");
    let headers = &[("Retry-After", "5")];
    Response { headers, keep: false, head_only, ..Response::new(FULL, JSON, &body) }.encode(now, out);
}

/// The status of the answer to a client for whom there is no room.
pub const FULL: u16 = 503;

/// The answer to a request that is not finished in time, after which the connection ends.
pub fn late(now: Moment) -> Vec<u8> {
    let body = b"the request was not finished in time\n";
    Response { keep: false, ..Response::new(408, TEXT, body) }.to_vec(now)
}

/// `{"error":"..."}` with a line end.
pub fn error_body(sentence: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error: &'a str,
    }
    let mut body = serde_json::to_vec(&Body { error: sentence }).expect("plain fields can be serialised");
    body.push(b'\n');
    body
}

/// The headers of a 426: the upgrade that the door needs.
pub const UPGRADE_HEADERS: [(&str, &str); 3] =
    [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")];

/// The header of answers that differ each time.
pub const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");

/// Room for the head of a response, made at once instead of by growing into it.
const HEAD_BYTES: usize = 768;

/// The media type of JSON.
pub const JSON: &str = "application/json";

/// The media type of a text.
pub const TEXT: &str = "text/plain; charset=utf-8";

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        421 => "Misdirected Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}
