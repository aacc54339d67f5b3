//! The part of an HTTP/1.1 client that the view needs: one connection that is kept, by TCP, with TLS or without, or a
//! Unix socket, a key, answers with a length.
//!
//! The connection is kept, because one for each question would show up in the very numbers on the screen. It knows no
//! redirects and no chunked bodies: the admin port has none of them. Everything has a deadline and a bound.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, Socket, Type};

/// Where an admin port is.
#[derive(Clone, Debug)]
pub enum Place {
    /// At that address.
    Tcp(SocketAddr),
    /// At that port of a host.
    Host(String, u16),
    /// At that Unix socket.
    Unix(PathBuf),
    /// There, with TLS.
    Tls(Box<Self>, Arc<ClientConfig>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls(place, _) => write!(f, "https://{place}"),
        }
    }
}

/// A connection to one.
enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.sock,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Place {
    fn connect(&self) -> io::Result<Stream> {
        let (place, config) = match self {
            Self::Tls(place, config) => (&**place, Some(config)),
            place => (place, None),
        };
        let socket = place.socket()?;
        let Some(config) = config else { return Ok(Stream::Plain(socket)) };
        let tls = ClientConnection::new(config.clone(), place.server_name()?).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(tls, socket))))
    }

    fn socket(&self) -> io::Result<Socket> {
        let (domain, address) = match self {
            Self::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Self::Host(host, port) => {
                let mut last = io::Error::from(io::ErrorKind::NotFound);
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match Self::Tcp(address).socket() {
                        Ok(socket) => return Ok(socket),
                        Err(error) => last = error,
                    }
                }
                return Err(last);
            }
            Self::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
            Self::Tls(place, _) => return place.socket(),
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
            Self::Host(host, port) => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".into(),
            Self::Tls(place, _) => place.host(),
        }
    }

    /// The name that its certificate is to have.
    fn server_name(&self) -> io::Result<ServerName<'static>> {
        match self {
            Self::Tcp(address) => Ok(ServerName::from(address.ip())),
            Self::Host(host, _) => match host.parse::<IpAddr>() {
                Ok(address) => Ok(ServerName::from(address)),
                Err(_) => ServerName::try_from(host.clone()).map_err(io::Error::other),
            },
            Self::Unix(_) => Ok(ServerName::from(IpAddr::from([127, 0, 0, 1]))),
            Self::Tls(place, _) => place.server_name(),
        }
    }
}

/// A client of one admin port.
pub struct Client {
    place: Place,
    key: Option<String>,
    stream: Option<Stream>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// The server cannot be reached, or went away.
    Away(io::Error),
    /// The server shows a certificate that is not the one expected.
    Unknown(String),
    /// The server refuses: status, and its sentence.
    Refused(u16, String),
    /// The bytes are no answer to this.
    Strange(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => write!(f, "cannot be reached: {error}"),
            Self::Unknown(what) => write!(
                f,
                "shows a certificate that is not known here ({what}); --admin-tls-cert names the one to expect, or that \
                 of its issuer"
            ),
            Self::Refused(status, sentence) => write!(f, "refuses ({status}): {sentence}"),
            Self::Strange(what) => write!(f, "is no Salon of this version: {what}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(what)) => Self::Unknown(what.to_string()),
            _ => Self::Away(error),
        }
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
    stream: Option<Stream>,
}

fn exchange(mut stream: Stream, request: &str) -> Result<Answer, Error> {
    let until = Instant::now() + PATIENCE;
    stream.socket().set_write_timeout(Some(PATIENCE))?;
    // A handshake reads, too.
    stream.socket().set_read_timeout(Some(PATIENCE))?;
    stream.write(request.as_bytes())?;
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
        stream.socket().set_read_timeout(Some(left))?;
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
