//! A WebSocket over a blocking stream: `TcpStream`, `UnixStream`, `rustls::StreamOwned`, anything that is
//! `Read + Write`.
//!
//! It is thin: the opening handshake, a [`Connection`] with its buffers, and when to read and write. It sets no
//! timeouts (the stream has them) and does not shut sockets down: dropping it does.
//!
//! Output waits until there is nothing left to be received, [`WebSocket::flush`] is called, or there is much of it, so
//! that a burst of answers is one write.

use std::format;
use std::io::{self, Read, Write};
use std::string::String;
use std::vec::Vec;

use crate::client_handshake::{ClientRequest, Response, ResponseScanner};
use crate::close::CloseBody;
use crate::connection::{Connection, Ended};
use crate::handshake::{HeadScanner, Refusal, Request, Upgrade};
use crate::input::Input;
use crate::mask::MaskingKey;
use crate::message::{Message, Part};
use crate::receiver::Event;

/// One connection over a stream of its own.
///
/// An echo server, whole:
///
/// ```no_run
/// # use std::{io, net::TcpListener};
/// # use salon_proto::blocking::WebSocket;
/// fn main() -> io::Result<()> {
///     for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
///         let mut socket = WebSocket::accept(stream?)?;
///         while let Some((event, mut sender)) = socket.read()? {
///             if let Some(message) = event.message() {
///                 sender.send(message)?;
///             }
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct WebSocket<S> {
    stream: S,
    connection: Connection,
    input: Input,
    out: Vec<u8>,
    protocol: Option<String>,
}

/// The sending half, for as long as an event is looked at.
#[derive(Debug)]
pub struct Sender<'a, S> {
    stream: &'a mut S,
    connection: &'a mut Connection,
    out: &'a mut Vec<u8>,
}

impl<S: Read + Write> WebSocket<S> {
    /// The server's side: reads a request and lets it in, with permessage-deflate if that is offered (without context
    /// between the client's messages) and without a sub-protocol. What is no good request is refused.
    ///
    /// # Errors
    /// Those of the stream, or a [`RequestError`](crate::handshake::RequestError), which has been answered.
    pub fn accept(stream: S) -> io::Result<Self> {
        Self::accept_with(stream, |_, upgrade| Ok(answer(upgrade)))
    }

    /// The same where `decide` looks at the request: it chooses a sub-protocol, adds headers, or refuses it.
    ///
    /// # Errors
    /// Those of the stream; a [`RequestError`](crate::handshake::RequestError) or a [`Refusal`]'s status, which has
    /// been answered.
    pub fn accept_with<F>(mut stream: S, decide: F) -> io::Result<Self>
    where
        F: for<'a> FnOnce(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal<'static>>,
    {
        let (mut input, mut out, mut scanner) = (Input::new(), Vec::new(), HeadScanner::default());
        let refuse = |stream: &mut S, refusal: Refusal<'_>, error: io::Error| {
            let mut out = Vec::new();
            refusal.encode(&mut out);
            stream.write_all(&out)?;
            stream.flush()?;
            Err(error)
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let len = loop {
            match scanner.scan(input.rest()) {
                Ok(Some(len)) => break len,
                Ok(None) => read_more(&mut stream, &mut input)?,
                Err(error) => return refuse(&mut stream, error.into(), invalid(error)),
            }
        };
        let request = match Request::parse(&input.rest()[..len]) {
            Ok(request) => request,
            Err(error) => return refuse(&mut stream, error.into(), invalid(error)),
        };
        let agreed = match request.upgrade() {
            Err(error) => return refuse(&mut stream, error.into(), invalid(error)),
            Ok(upgrade) => match decide(&request, upgrade) {
                Ok(upgrade) => upgrade.encode(&mut out),
                Err(refusal) => {
                    let error =
                        io::Error::new(io::ErrorKind::PermissionDenied, format!("refused: {}", refusal.status()));
                    return refuse(&mut stream, refusal, error);
                }
            },
        };
        let (connection, protocol) = (Connection::server(&agreed), agreed.protocol().map(String::from));
        stream.write_all(&out)?;
        stream.flush()?;
        out.clear();
        input.take(len);
        Ok(Self { stream, connection, input, out, protocol })
    }

    /// The client's side: sends the request and judges the response. `keys` draws masking keys: `random::keys()`.
    ///
    /// # Errors
    /// Those of the stream; an [`UnfitRequest`](crate::client_handshake::UnfitRequest), or a
    /// [`ResponseError`](crate::client_handshake::ResponseError), a refusal or redirection among them.
    pub fn connect(
        mut stream: S,
        request: &ClientRequest<'_>,
        keys: impl FnMut() -> MaskingKey + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (mut input, mut out, mut scanner) = (Input::new(), Vec::new(), ResponseScanner::default());
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        request.encode(&mut out).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        stream.write_all(&out)?;
        stream.flush()?;
        out.clear();
        let mut interim = 0;
        let (len, response) = loop {
            let len = loop {
                match scanner.scan(input.rest()).map_err(invalid)? {
                    Some(len) => break len,
                    None => read_more(&mut stream, &mut input)?,
                }
            };
            if interim == MAX_INTERIM || !Response::parse(&input.rest()[..len]).map_err(invalid)?.is_interim() {
                break (len, Response::parse(&input.rest()[..len]).map_err(invalid)?);
            }
            (interim, scanner) = (interim + 1, ResponseScanner::default());
            input.take(len);
        };
        let agreed = response.accept(request).map_err(invalid)?;
        let (connection, protocol) = (Connection::client(keys, &agreed), agreed.protocol().map(String::from));
        input.take(len);
        Ok(Self { stream, connection, input, out, protocol })
    }
}

/// What [`WebSocket::accept`] agrees to.
fn answer(upgrade: Upgrade<'_>) -> Upgrade<'_> {
    #[cfg(feature = "deflate")]
    let upgrade = upgrade.deflate(crate::extension::ClientContext::Reset);
    upgrade
}

impl<S: Read + Write> WebSocket<S> {
    /// A connection whose handshake was done elsewhere, with the bytes that had come behind the head.
    pub fn over(stream: S, connection: Connection, read: &[u8]) -> Self {
        let mut input = Input::new();
        input.extend(read);
        Self { stream, connection, input, out: Vec::new(), protocol: None }
    }

    /// Changes the connection's settings, before the first message: its limits, its compression, who answers pings.
    #[must_use]
    pub fn with(self, change: impl FnOnce(Connection) -> Connection) -> Self {
        Self { connection: change(self.connection), ..self }
    }

    /// The sub-protocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Waits for the next event, and lends it together with the half that can answer it. `None`: the connection has
    /// ended, behind an [`Event::Close`] or [`Event::Failed`].
    ///
    /// # Errors
    /// Those of the stream, `UnexpectedEof` where the peer ended it without a Close among them.
    pub fn read(&mut self) -> io::Result<Option<(Event<'_>, Sender<'_, S>)>> {
        while !self.connection.has_event(&mut self.input) {
            // Behind a Close of the peer, or a violation, its stream may end in any way: it may have been dropped.
            let closed = self.connection.is_closed();
            match self.flush() {
                Err(_) if closed => return Ok(None),
                flushed => flushed?,
            }
            // §7.1.1: the server ends the stream first, by dropping it.
            if closed && !self.connection.is_client() {
                return Ok(None);
            }
            match self.stream.read(self.input.space(READ)) {
                Ok(0) => {
                    return match self.connection.end_of_stream() {
                        Ended::Abnormal if !closed => Err(io::ErrorKind::UnexpectedEof.into()),
                        _ => Ok(None),
                    };
                }
                Ok(len) => self.input.fill(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if closed => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let Self { stream, connection, input, out, .. } = self;
        let event = connection.receive(input, out);
        Ok(event.map(|event| (event, Sender { stream, connection, out })))
    }

    /// Sends a message at once.
    ///
    /// # Errors
    /// Those of the stream, or a [`SendError`](crate::SendError) as `InvalidInput`.
    pub fn send(&mut self, message: Message<'_>) -> io::Result<()> {
        self.sender().send(message)?;
        self.flush()
    }

    /// Starts the closing handshake, with a code and a reason or without; [`WebSocket::read`] goes on to its end.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn close(&mut self, why: CloseBody<'_>) -> io::Result<()> {
        self.sender().close(why)?;
        self.flush()
    }

    /// The sending half. What it sends waits for [`WebSocket::flush`] or the next read.
    pub fn sender(&mut self) -> Sender<'_, S> {
        Sender { stream: &mut self.stream, connection: &mut self.connection, out: &mut self.out }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out)?;
            self.stream.flush()?;
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.input.shrink(KEPT);
        }
        Ok(())
    }

    /// The state of the connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The stream, for its timeouts and addresses.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Write> Sender<'_, S> {
    /// Sends a message, a ping or a pong.
    ///
    /// # Errors
    /// Those of the stream, or a [`SendError`](crate::SendError) as `InvalidInput`.
    pub fn send(&mut self, message: Message<'_>) -> io::Result<()> {
        self.connection.send(message, self.out).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.write_much()
    }

    /// Sends a part of a message; `last` ends it.
    ///
    /// # Errors
    /// Those of the stream, or a [`SendError`](crate::SendError) as `InvalidInput`.
    pub fn send_part(&mut self, part: Part<'_>, last: bool) -> io::Result<()> {
        let sent = self.connection.send_part(part, last, self.out);
        sent.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.write_much()
    }

    /// Starts the closing handshake, with a code and a reason or without.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn close(&mut self, why: CloseBody<'_>) -> io::Result<()> {
        self.connection.close(why, self.out);
        self.write_much()
    }

    /// Writes what waits, if that is much.
    fn write_much(&mut self) -> io::Result<()> {
        if self.out.len() >= WRITE_ABOVE {
            self.stream.write_all(self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}

/// Reads some of a head; its end is an error.
fn read_more(stream: &mut impl Read, input: &mut Input) -> io::Result<()> {
    match stream.read(input.space(READ_HEAD)) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(len) => {
            input.fill(len);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

/// Responses such as 103 (Early Hints) that are skipped.
const MAX_INTERIM: u32 = 16;

/// Room for a read, in bytes.
const READ: usize = 64 << 10;
const READ_HEAD: usize = 4 << 10;

/// What waits is written when it is this much, in bytes.
const WRITE_ABOVE: usize = 64 << 10;

/// The room that is kept between messages, in bytes.
const KEPT: usize = 64 << 10;
