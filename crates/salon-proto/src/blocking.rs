//! A WebSocket over a blocking stream: `TcpStream`, `UnixStream`, `rustls::StreamOwned`, anything that is
//! `Read + Write`.
//!
//! It is thin: the opening handshake, a [`Connection`] with its buffers, and when to read and write. It sets no
//! timeouts (the stream has them) and does not shut sockets down: dropping it does.
//!
//! Output waits until there is nothing left to be received, [`WebSocket::flush`] is called, or there is much of it, so
//! that a burst of answers is one write.
//!
//! Where the stream has timeouts or does not block, errors of the kinds `WouldBlock` and `TimedOut` end nothing: what
//! was sent waits and is not to be sent again, and any method may be called once more. Where a write stops that way,
//! [`WebSocket::read`] reads all the same, because the peer may be waiting for its own message to be read; so a stream
//! with a timeout for writes needs one for reads too. Other errors of the stream end the connection:
//! [`WebSocket::read`] returns them once.

use std::io::{self, Read, Write};
use std::string::String;
use std::vec::Vec;

use crate::client_handshake::ClientRequest;
use crate::close::CloseBody;
use crate::connection::{Connection, Ended};
use crate::handshake::{HeadLimits, Refusal, Request, Upgrade};
use crate::input::Input;
use crate::mask::MaskingKey;
use crate::message::{Message, Part};
use crate::opening::{ClientOpening, READ_HEAD, ServerOpening, refusal};
use crate::output::{KEPT, Output};
use crate::read_on::ReadOn;
use crate::receiver::{Event, Piece};

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
    out: Output,
    read_on: ReadOn,
    protocol: Option<String>,
}

/// The sending half, for as long as an event is looked at.
///
/// What is sent by the half that comes with an event is an answer to the peer: while more than 256 KiB of answers wait,
/// pongs among them, nothing is read.
#[derive(Debug)]
pub struct Sender<'a, S> {
    stream: &'a mut S,
    connection: &'a mut Connection,
    out: &'a mut Output,
    /// It came with an event.
    answers: bool,
}

impl<S: Read + Write> WebSocket<S> {
    /// The server's side: reads a request and lets it in, with permessage-deflate if that is offered (without context
    /// between the client's messages) and without a sub-protocol. What is no good request is refused.
    ///
    /// An idle connection holds nothing for compression: the [machines](Connection::held_bytes) are the thread's.
    ///
    /// # Errors
    /// A [`RequestError`](crate::handshake::RequestError), which has been answered; or those of the stream, `WouldBlock`
    /// and `TimedOut` among them: the stream is gone with a handshake that stops there, unlike with a connection. A
    /// server that would go on behind a timeout takes the handshake by its [parts](crate::handshake), and then
    /// [`WebSocket::over`].
    pub fn accept(stream: S) -> io::Result<Self> {
        Self::accept_with(stream, |_, upgrade| Ok(upgrade))
    }

    /// The same where `decide` looks at the request: it chooses a sub-protocol, adds headers, or refuses it. It is
    /// given an answer that agrees to permessage-deflate as [`WebSocket::accept`] does; `Upgrade::without_deflate` does
    /// not.
    ///
    /// # Errors
    /// Those of the stream; a [`RequestError`](crate::handshake::RequestError) or a [`Refusal`]'s status, which has
    /// been answered.
    pub fn accept_with<F>(stream: S, decide: F) -> io::Result<Self>
    where
        F: for<'a> FnOnce(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal>,
    {
        Self::accept_within(stream, HeadLimits::default(), decide)
    }

    /// The same with limits of one's own for the request head: for long cookies or tokens.
    ///
    /// # Errors
    /// As [`WebSocket::accept_with`].
    pub fn accept_within<F>(mut stream: S, limits: HeadLimits, decide: F) -> io::Result<Self>
    where
        F: for<'a> FnOnce(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal>,
    {
        let (mut input, mut out, mut opening) = (Input::new(), Vec::new(), ServerOpening::within(limits));
        let head = loop {
            match opening.head(&input) {
                Some(head) => break head,
                None => read_more(&mut stream, &mut input)?,
            }
        };
        let opened = opening.answer(head, &mut input, &mut out, decide);
        stream.write_all(&out)?;
        stream.flush()?;
        let (connection, protocol) = opened?;
        Ok(Self { protocol, input, ..Self::over(stream, connection, &[]) })
    }

    /// The client's side: sends the request and judges the response. `keys` draws masking keys: `random::keys()`.
    ///
    /// # Errors
    /// Those of the stream; an [`UnfitRequest`](crate::client_handshake::UnfitRequest), or a
    /// [`ResponseError`](crate::client_handshake::ResponseError). A refusal or redirection is
    /// [`Refused`](crate::client_handshake::Refused), with its head and body: its `of` finds it in the error. The body
    /// is read as far as the head says, or up to the end of the stream or 64 KiB.
    pub fn connect(
        stream: S,
        request: &ClientRequest<'_>,
        keys: impl FnMut() -> MaskingKey + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::connect_within(stream, HeadLimits::default(), request, keys)
    }

    /// The same with limits of one's own for the heads of responses.
    ///
    /// # Errors
    /// As [`WebSocket::connect`].
    pub fn connect_within(
        mut stream: S,
        limits: HeadLimits,
        request: &ClientRequest<'_>,
        keys: impl FnMut() -> MaskingKey + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (mut input, mut out, mut opening) = (Input::new(), Vec::new(), ClientOpening::within(limits));
        ClientOpening::ask(request, &mut out)?;
        stream.write_all(&out)?;
        stream.flush()?;
        let len = loop {
            match opening.head(&mut input)? {
                Some(len) => break len,
                None => read_more(&mut stream, &mut input)?,
            }
        };
        match opening.judge(len, &mut input, request, keys)? {
            Ok((connection, protocol)) => Ok(Self { protocol, input, ..Self::over(stream, connection, &[]) }),
            Err(mut refused) => {
                while ClientOpening::wants_body(&mut refused, &mut input) {
                    // An end says how the body ends; an error, that no more of it is known.
                    match read_more(&mut stream, &mut input) {
                        Ok(()) => {}
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => refused.end_of_stream(),
                        Err(_) => break,
                    }
                }
                Err(refusal(refused))
            }
        }
    }
}

impl<S: Read + Write> WebSocket<S> {
    /// A connection whose handshake was done elsewhere, with the bytes that had come behind the head.
    pub fn over(stream: S, connection: Connection, read: &[u8]) -> Self {
        let mut input = Input::new();
        input.extend(read);
        Self { stream, connection, input, out: Output::default(), read_on: ReadOn::default(), protocol: None }
    }

    /// Changes the connection's settings, before the first message: its limits, its compression, whether it answers
    /// pings.
    #[must_use]
    pub fn with(self, change: impl FnOnce(Connection) -> Connection) -> Self {
        Self { connection: change(self.connection), ..self }
    }

    /// The sub-protocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Waits for the next event, and lends it together with the half that can answer it. `None`: the connection has
    /// ended, behind an [`Event::Close`] or [`Event::Failed`]. The answer to these is written by the read that returns
    /// `None`, or by [`WebSocket::flush`].
    ///
    /// # Errors
    /// Those of the stream, `UnexpectedEof` where the peer ended it without a Close among them; `ConnectionAborted`
    /// where it does not answer our Close, and has sent 16 MiB and the largest message there may be behind it.
    pub fn read(&mut self) -> io::Result<Option<(Event<'_>, Sender<'_, S>)>> {
        if !self.read_until(Connection::has_event)? {
            return Ok(None);
        }
        let Self { stream, connection, input, out, .. } = self;
        let since = out.end();
        let event = connection.receive(input, out.bytes());
        out.owe(since);
        Ok(event.map(|event| (event, Sender { stream, connection, out, answers: true })))
    }

    /// The same for messages that are not to be held whole: the next [piece](Connection::receive_piece) of one as soon
    /// as it has come, or the next other event.
    ///
    /// ```no_run
    /// # use std::io::{self, Write};
    /// # use salon_proto::blocking::WebSocket;
    /// # use salon_proto::{Limits, Piece};
    /// # fn store(stream: std::net::TcpStream, mut file: std::fs::File) -> io::Result<()> {
    /// let socket = WebSocket::accept(stream)?;
    /// let mut socket = socket.with(|connection| connection.limits(Limits::new().message_bytes(1 << 30)));
    /// while let Some((piece, _)) = socket.read_piece()? {
    ///     if let Piece::Data { bytes, .. } = piece {
    ///         file.write_all(bytes)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`WebSocket::read`].
    pub fn read_piece(&mut self) -> io::Result<Option<(Piece<'_>, Sender<'_, S>)>> {
        if !self.read_until(Connection::has_piece)? {
            return Ok(None);
        }
        let Self { stream, connection, input, out, .. } = self;
        let since = out.end();
        let piece = connection.receive_piece(input, out.bytes());
        out.owe(since);
        Ok(piece.map(|piece| (piece, Sender { stream, connection, out, answers: true })))
    }

    /// Waits until there is something; false: there will be nothing.
    fn read_until(&mut self, is_there: fn(&mut Connection, &mut Input) -> bool) -> io::Result<bool> {
        while !is_there(&mut self.connection, &mut self.input) {
            // Behind a Close of the peer, or a violation, its stream may end in any way: it may have been dropped.
            let closed = self.connection.is_closed();
            let lost = match self.flush() {
                Ok(()) => None,
                // Nothing more is wanted of this peer, or nothing before it has taken what it has caused.
                Err(error) if passes(&error) && (closed || self.out.owes_much()) => return Err(error),
                // The peer may be waiting for its own message to be read.
                Err(error) if passes(&error) => None,
                Err(_) if closed => return Ok(false),
                // What the peer sent before it went is there yet, its Close perhaps.
                Err(error) if is_gone(&error) => Some(error),
                Err(error) => return Err(self.end(error)),
            };
            if self.connection.ends_stream() {
                return Ok(false);
            }
            if let Err(error) = self.read_on.check(&self.connection) {
                return Err(self.end(error));
            }
            match (again(|| self.stream.read(self.input.space(READ))), lost) {
                // Nothing follows a Close but the end.
                (Ok(1..), None) if closed => return Ok(false),
                (Ok(len @ 1..), _) => {
                    self.input.fill(len);
                    self.read_on.note(&self.connection, len);
                }
                (Ok(0), None) => {
                    return match self.connection.end_of_stream() {
                        Ended::Abnormal if !closed => Err(io::ErrorKind::UnexpectedEof.into()),
                        _ => Ok(false),
                    };
                }
                (Err(_), None) if closed => return Ok(false),
                (Err(error), None) if passes(&error) => return Err(error),
                (Ok(0) | Err(_), Some(error)) | (Err(error), None) => return Err(self.end(error)),
            }
        }
        Ok(true)
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
        Sender { stream: &mut self.stream, connection: &mut self.connection, out: &mut self.out, answers: false }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.check()?;
        if !self.out.is_done() {
            self.sender().flush()?;
            self.input.shrink(KEPT);
        }
        Ok(())
    }

    /// The stream has failed.
    fn end(&mut self, error: io::Error) -> io::Error {
        // Nobody asks how it ended: with this error.
        let (Ended::Clean | Ended::Abnormal) = self.connection.end_of_stream();
        self.out.fail(error.kind());
        error
    }

    /// The state of the connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Behind the end ([`WebSocket::read`] has returned `None`): reads on and throws away what comes, until the peer's
    /// stream ends. `false`: that were 1 MiB, and it has not ended.
    ///
    /// A socket that is dropped with unread bytes is reset, and then the peer may not hear the last that was written:
    /// the Close behind a violation. A server to which that matters shuts its side of the stream down, gives it a
    /// timeout, and calls this.
    ///
    /// # Errors
    /// Those of the stream; `InvalidInput` before the end.
    pub fn drain(&mut self) -> io::Result<bool> {
        if !self.connection.is_closed() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        while self.read_on.may_drain() {
            match again(|| self.stream.read(self.input.space(READ)))? {
                0 => return Ok(true),
                len => self.read_on.drained(len),
            }
        }
        Ok(false)
    }

    /// The stream itself. What has been read and not been received is gone, and what waits to be written.
    pub fn into_inner(self) -> S {
        self.stream
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
        let since = self.out.end();
        let sent = self.connection.send(message, self.out.bytes());
        sent.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.note(since);
        self.write_much()
    }

    /// Sends a part of a message; `last` ends it.
    ///
    /// # Errors
    /// Those of the stream, or a [`SendError`](crate::SendError) as `InvalidInput`.
    pub fn send_part(&mut self, part: Part<'_>, last: bool) -> io::Result<()> {
        let since = self.out.end();
        let sent = self.connection.send_part(part, last, self.out.bytes());
        sent.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.note(since);
        self.write_much()
    }

    /// Starts the closing handshake, with a code and a reason or without.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn close(&mut self, why: CloseBody<'_>) -> io::Result<()> {
        self.connection.close(why, self.out.bytes());
        self.write_much()
    }

    fn note(&mut self, since: u64) {
        if self.answers {
            self.out.owe(since);
        }
    }

    /// Writes what waits, if that is much.
    fn write_much(&mut self) -> io::Result<()> {
        match self.out.is_much() {
            true => self.write(),
            false => Ok(()),
        }
    }

    /// Writes what waits. Behind an error that passes it goes on where it was.
    fn write(&mut self) -> io::Result<()> {
        self.out.check()?;
        while !self.out.rest().is_empty() {
            let wrote = again(|| self.stream.write(self.out.rest())).and_then(|len| self.out.wrote(len));
            wrote.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Writes what waits, through the stream.
    fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        again(|| self.stream.flush()).map_err(|error| self.failed(error))?;
        self.out.flushed();
        Ok(())
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        if !passes(&error) {
            self.out.fail(error.kind());
        }
        error
    }
}

/// Does it until no signal comes between.
fn again<T>(mut what: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match what() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Whether the stream goes on behind this error, later.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Whether this error of a write says that there is no peer any more; then a read does not wait.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// Reads some of a head; its end is an error.
fn read_more(stream: &mut impl Read, input: &mut Input) -> io::Result<()> {
    match again(|| stream.read(input.space(READ_HEAD)))? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => {
            input.fill(len);
            Ok(())
        }
    }
}

/// Room for a read, in bytes.
const READ: usize = 64 << 10;
