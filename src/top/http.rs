//! The part of an HTTP/1.1 client that the view needs: one connection that is kept, by TCP or a Unix socket, a key,
//! answers with a length.
//!
//! The connection is kept, because one for each question would show up in the very numbers on the screen. It knows no
//! TLS, no redirects and no chunked bodies: the admin port has none of them. Everything has a deadline and a bound.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

/// Where an admin port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At that address.
    Tcp(SocketAddr),
    /// At that Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Place {
    fn connect(&self) -> io::Result<Socket> {
        let (domain, address) = match self {
            Self::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Self::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.connect_timeout(&address, PATIENCE)?;
        if domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(socket)
    }

    /// The host of a request.
    fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".into(),
        }
    }
}

/// A client of one admin port.
pub struct Client {
    place: Place,
    key: Option<String>,
    stream: Option<Socket>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// The server cannot be reached, or went away.
    Away(io::Error),
    /// The server refuses: status, and its sentence.
    Refused(u16, String),
    /// The bytes are no answer to this.
    Strange(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => write!(f, "cannot be reached: {error}"),
            Self::Refused(status, sentence) => write!(f, "refuses ({status}): {sentence}"),
            Self::Strange(what) => write!(f, "is no Salon of this version: {what}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Away(error)
    }
}

impl Client {
    /// A client that will show `key`.
    pub fn new(place: Place, key: Option<String>) -> Self {
        Self { place, key, stream: None }
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// When there is none, or none in [`PATIENCE`].
    pub fn get(&mut self, target: &str) -> Result<String, Error> {
        self.ask("GET", target, None)
    }

    /// Makes a call with JSON.
    ///
    /// # Errors
    /// When there is no answer, or none in [`PATIENCE`].
    pub fn post(&mut self, target: &str, body: &str) -> Result<String, Error> {
        self.ask("POST", target, Some(body))
    }

    fn ask(&mut self, method: &str, target: &str, body: Option<&str>) -> Result<String, Error> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.place.host());
        if let Some(key) = &self.key {
            request += &format!("Authorization: Bearer {key}\r\n");
        }
        if let Some(body) = body {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        request += body.unwrap_or_default();
        // A kept connection may have ended meanwhile: a question that changes nothing can be asked again.
        if let Some(stream) = self.stream.take().filter(|_| method == "GET")
            && let Ok(answer) = exchange(stream, &request)
        {
            return self.keep(answer);
        }
        let answer = exchange(self.place.connect()?, &request)?;
        self.keep(answer)
    }

    fn keep(&mut self, answer: Answer) -> Result<String, Error> {
        let Answer { status, body, stream } = answer;
        self.stream = stream;
        let body = String::from_utf8(body).map_err(|_| Error::Strange("its answer is not UTF-8"))?;
        match status {
            200 => Ok(body),
            _ => Err(Error::Refused(status, sentence_of(&body))),
        }
    }
}

struct Answer {
    status: u16,
    body: Vec<u8>,
    /// The connection, if it stays open.
    stream: Option<Socket>,
}

fn exchange(mut stream: Socket, request: &str) -> Result<Answer, Error> {
    let until = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let mut head = None;
    loop {
        if head.is_none() {
            head = parse(&bytes)?;
        }
        if let Some(Head { status, len, body_len, keep }) = head
            && bytes.len() >= len + body_len
        {
            let body = bytes[len..len + body_len].to_vec();
            return Ok(Answer { status, body, stream: keep.then_some(stream) });
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Away(io::ErrorKind::TimedOut.into()));
        }
        stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 16 << 10];
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Error::Away(io::ErrorKind::UnexpectedEof.into())),
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The error of a read with a timeout differs between systems.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Error::Away(io::ErrorKind::TimedOut.into()));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    len: usize,
    body_len: usize,
    keep: bool,
}

/// The head of the answer; `None` if it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<Head>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD_BYTES => return Ok(None),
        _ => return Err(Error::Strange("its answer is not HTTP")),
    };
    let header = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let body_len = header("content-length").and_then(|value| value.trim().parse().ok());
    let body_len = body_len.filter(|&len| len <= MAX_BODY_BYTES);
    let body_len = body_len.ok_or(Error::Strange("its answer has no length, or one over 8 MiB"))?;
    let keep = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Head { status: response.code.unwrap_or_default(), len, body_len, keep }))
}

/// The message of an `error` object, or the beginning of any other answer.
fn sentence_of(body: &str) -> String {
    let object: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let field = |name| object.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let sentence = field("message").or_else(|| field("error"));
    sentence.unwrap_or_else(|| body.lines().next().unwrap_or_default().chars().take(200).collect())
}

/// How long connecting, and again an answer, may take.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The longest head of an answer.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The longest body of an answer.
const MAX_BODY_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let good = |status, len, body_len, keep| Some(Head { status, len, body_len, keep });
        for (bytes, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", good(200, 38, 3, true)),
            ("HTTP/1.1 401 No\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", good(401, 57, 0, false)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse(bytes.as_bytes()).unwrap(), expected, "{bytes:?}");
        }
        for bytes in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n",
        ] {
            assert!(matches!(parse(bytes.as_bytes()), Err(Error::Strange(_))), "{bytes:?}");
        }
    }

    #[test]
    fn what_a_refusal_says() {
        for (body, expected) in [
            (r#"{"type":"error","code":"unauthorized","message":"a key"}"#, "a key"),
            (r#"{"error":"nothing is here"}"#, "nothing is here"),
            ("no\nJSON", "no"),
            ("", ""),
        ] {
            assert_eq!(sentence_of(body), expected);
        }
    }
}
