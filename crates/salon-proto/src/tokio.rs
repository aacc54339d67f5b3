//! A WebSocket over an asynchronous stream of tokio: `Stream` and `Sink` of owned messages, or events that are lent.
//!
//! It is thin: the opening handshake, a [`Connection`] with its buffers, and when to read and write. It starts no tasks
//! and sets no timers. The futures of a socket may be dropped and asked again: nothing is lost by that. Those of
//! [`WebSocket::accept`] and [`WebSocket::connect`] own their stream, and it is gone with them.
//!
//! An error of the stream ends the connection: reading returns it once. The halves that `StreamExt::split` makes may be
//! in two tasks; then a message of any length that waits to be written does not keep the other half from reading.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::string::String;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::agreed::Agreed;
use crate::client_handshake::ClientRequest;
use crate::close::{CloseBody, CloseCode};
use crate::connection::{Connection, Ended};
use crate::error::ProtocolError;
use crate::frame::Kind;
use crate::handshake::{HeadLimits, Refusal, Request, Upgrade};
use crate::input::Input;
use crate::mask::MaskingKey;
use crate::message::{Message, OwnedMessage, Part, SendError};
use crate::opening::{ClientOpening, READ_HEAD, ServerOpening, refusal};
use crate::output::Output;
use crate::read_on::ReadOn;
use crate::receiver::{Event, Piece};

/// One connection over a stream of its own.
///
/// An echo server, whole:
///
/// ```no_run
/// # use std::io;
/// # use futures_util::StreamExt;
/// # use salon_proto::tokio::WebSocket;
/// # use tokio::net::TcpListener;
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:9001").await?;
///     loop {
///         let stream = listener.accept().await?.0;
///         tokio::spawn(async move {
///             let (sink, stream) = WebSocket::accept(stream).await?.split();
///             stream.forward(sink).await
///         });
///     }
/// }
/// ```
#[derive(Debug)]
pub struct WebSocket<S> {
    stream: S,
    connection: Connection,
    input: Input,
    out: Output,
    read_on: ReadOn,
    /// The stream has been shut down.
    shut: bool,
    /// A violation that is told when the Close behind it has been written.
    violation: Option<ProtocolError>,
    tasks: Arc<Tasks>,
    /// Wakes all of `tasks`.
    waker: Waker,
    /// Which of the tasks wait for a write.
    waits: [bool; 2],
    protocol: Option<String>,
}

/// The two tasks that may wait for one stream. It keeps one waker for writing, that of the last call, and both write:
/// so it is given one that wakes both.
#[derive(Debug, Default)]
struct Tasks(Mutex<[Option<Waker>; 2]>);

/// Which task a call is of.
#[derive(Clone, Copy, Debug)]
enum Side {
    Reader,
    Writer,
}

impl Tasks {
    fn note(&self, side: Side, context: &Context<'_>) {
        let waker = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[side as usize];
        match waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let [reader, writer] = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let writer = writer.filter(|writer| !reader.as_ref().is_some_and(|reader| reader.will_wake(writer)));
        [reader, writer].into_iter().flatten().for_each(Waker::wake);
    }
}

/// The sending half, for as long as an event is looked at. What it sends is written by the next read or flush.
///
/// What is sent by the half that comes with an event is an answer to the peer: while more than 256 KiB of answers wait,
/// pongs among them, nothing is read.
#[derive(Debug)]
pub struct Sender<'a> {
    connection: &'a mut Connection,
    out: &'a mut Output,
    /// It came with an event.
    answers: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The server's side: reads a request and lets it in, with permessage-deflate if that is offered (without context
    /// between the client's messages) and without a sub-protocol. What is no good request is refused.
    ///
    /// An idle connection holds nothing for compression: the [machines](Connection::held_bytes) are the thread's.
    ///
    /// # Errors
    /// Those of the stream, or a [`RequestError`](crate::handshake::RequestError), which has been answered.
    pub async fn accept(stream: S) -> io::Result<Self> {
        Self::accept_with(stream, |_, upgrade| Ok(upgrade)).await
    }

    /// The same where `decide` looks at the request: it chooses a sub-protocol, adds headers, or refuses it. It is
    /// given an answer that agrees to permessage-deflate as [`WebSocket::accept`] does; `Upgrade::without_deflate` does
    /// not.
    ///
    /// # Errors
    /// Those of the stream; a [`RequestError`](crate::handshake::RequestError) or a [`Refusal`]'s status, which has
    /// been answered.
    pub async fn accept_with<F>(stream: S, decide: F) -> io::Result<Self>
    where
        F: for<'a> FnOnce(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal>,
    {
        Self::accept_within(stream, HeadLimits::default(), decide).await
    }

    /// The same with limits of one's own for the request head: for long cookies or tokens.
    ///
    /// # Errors
    /// As [`WebSocket::accept_with`].
    pub async fn accept_within<F>(stream: S, limits: HeadLimits, decide: F) -> io::Result<Self>
    where
        F: for<'a> FnOnce(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal>,
    {
        let mut socket = Self::over(stream, Connection::server(&Agreed::NOTHING), &[]);
        let mut opening = ServerOpening::within(limits);
        let head = loop {
            match opening.head(&socket.input) {
                Some(head) => break head,
                None => socket.read_more().await?,
            }
        };
        let opened = opening.answer(head, &mut socket.input, socket.out.bytes(), decide);
        poll_fn(|context| socket.poll_write_all(Side::Reader, context)).await?;
        (socket.connection, socket.protocol) = opened?;
        Ok(socket)
    }

    /// The client's side: sends the request and judges the response. `keys` draws masking keys: `random::keys()`.
    ///
    /// # Errors
    /// Those of the stream; an [`UnfitRequest`](crate::client_handshake::UnfitRequest), or a
    /// [`ResponseError`](crate::client_handshake::ResponseError). A refusal or redirection is
    /// [`Refused`](crate::client_handshake::Refused), with its head and body: its `of` finds it in the error. The body
    /// is read as far as the head says, or up to the end of the stream or 64 KiB.
    pub async fn connect(
        stream: S,
        request: &ClientRequest<'_>,
        keys: impl FnMut() -> MaskingKey + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::connect_within(stream, HeadLimits::default(), request, keys).await
    }

    /// The same with limits of one's own for the heads of responses.
    ///
    /// # Errors
    /// As [`WebSocket::connect`].
    pub async fn connect_within(
        stream: S,
        limits: HeadLimits,
        request: &ClientRequest<'_>,
        keys: impl FnMut() -> MaskingKey + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut socket = Self::over(stream, Connection::server(&Agreed::NOTHING), &[]);
        ClientOpening::ask(request, socket.out.bytes())?;
        poll_fn(|context| socket.poll_write_all(Side::Reader, context)).await?;
        let mut opening = ClientOpening::within(limits);
        let len = loop {
            match opening.head(&mut socket.input)? {
                Some(len) => break len,
                None => socket.read_more().await?,
            }
        };
        match opening.judge(len, &mut socket.input, request, keys)? {
            Ok(opened) => {
                (socket.connection, socket.protocol) = opened;
                Ok(socket)
            }
            Err(mut refused) => {
                while ClientOpening::wants_body(&mut refused, &mut socket.input) {
                    // An end says how the body ends; an error, that no more of it is known.
                    match socket.read_more().await {
                        Ok(()) => {}
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => refused.end_of_stream(),
                        Err(_) => break,
                    }
                }
                Err(refusal(refused))
            }
        }
    }

    /// Waits for the next event, and lends it together with the half that can answer it. `None`: the connection has
    /// ended, behind an [`Event::Close`] or [`Event::Failed`]. The answer to these is written by the read that returns
    /// `None`, which on the server's side shuts the stream down too.
    ///
    /// # Errors
    /// Those of the stream, `UnexpectedEof` where the peer ended it without a Close among them; `ConnectionAborted`
    /// where it does not answer our Close, and has sent 16 MiB and the largest message there may be behind it.
    pub async fn read(&mut self) -> io::Result<Option<(Event<'_>, Sender<'_>)>> {
        if !poll_fn(|context| self.poll_until(Connection::has_event, context)).await? {
            return Ok(None);
        }
        let Self { connection, input, out, .. } = self;
        let since = out.end();
        let event = connection.receive(input, out.bytes());
        out.owe(since);
        Ok(event.map(|event| (event, Sender { connection, out, answers: true })))
    }

    /// The same for messages that are not to be held whole: the next [piece](Connection::receive_piece) of one as soon
    /// as it has come, or the next other event.
    ///
    /// # Errors
    /// Those of [`WebSocket::read`].
    pub async fn read_piece(&mut self) -> io::Result<Option<(Piece<'_>, Sender<'_>)>> {
        if !poll_fn(|context| self.poll_until(Connection::has_piece, context)).await? {
            return Ok(None);
        }
        let Self { connection, input, out, .. } = self;
        let since = out.end();
        let piece = connection.receive_piece(input, out.bytes());
        out.owe(since);
        Ok(piece.map(|piece| (piece, Sender { connection, out, answers: true })))
    }

    /// Behind the end ([`WebSocket::read`] has returned `None`, or the `Stream` has): reads on and throws away what
    /// comes, until the peer's stream ends. `false`: that were 1 MiB, and it has not ended. The side that ends the
    /// stream shuts it down first.
    ///
    /// A socket that is dropped with unread bytes is reset, and then the peer may not hear the last that was written:
    /// the Close behind a violation. A server to which that matters waits for this, with a timeout.
    ///
    /// # Errors
    /// Those of the stream; `InvalidInput` before the end.
    pub async fn drain(&mut self) -> io::Result<bool> {
        if !self.connection.is_closed() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.connection.ends_stream() {
            // An error is met again by the read.
            drop(poll_fn(|context| self.poll_write_all(Side::Reader, context)).await);
            poll_fn(|context| self.poll_shut(Side::Reader, context)).await;
        }
        while self.read_on.may_drain() {
            self.input.discard();
            match poll_fn(|context| self.poll_read(context, READ)).await? {
                0 => return Ok(true),
                len => self.read_on.drained(len),
            }
        }
        Ok(false)
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match poll_fn(|context| self.poll_read(context, READ_HEAD)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn poll_read(&mut self, context: &Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.tasks.note(Side::Reader, context);
        let mut buffer = ReadBuf::new(self.input.space(room));
        ready!(Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(&self.waker), &mut buffer))?;
        let len = buffer.filled().len();
        self.input.fill(len);
        Poll::Ready(Ok(len))
    }

    /// Writes all that waits.
    fn poll_write(&mut self, side: Side, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(side, context, false)
    }

    /// Writes all that waits, through the stream.
    fn poll_write_all(&mut self, side: Side, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(side, context, true)
    }

    fn poll_out(&mut self, side: Side, context: &Context<'_>, flush: bool) -> Poll<io::Result<()>> {
        self.tasks.note(side, context);
        let wrote = self.poll_stream(flush);
        if let Poll::Ready(Err(error)) = &wrote {
            self.out.fail(error.kind());
        }
        self.waits[side as usize] = wrote.is_pending();
        // The other task has nothing to wait for any more, and the stream, which is asked for nothing, wakes nobody.
        if wrote.is_ready() && std::mem::take(&mut self.waits[1 - side as usize]) {
            self.waker.wake_by_ref();
        }
        wrote
    }

    fn poll_stream(&mut self, flush: bool) -> Poll<io::Result<()>> {
        let Self { stream, out, waker, .. } = self;
        let (mut stream, mut context) = (Pin::new(stream), Context::from_waker(waker));
        out.check()?;
        while !out.rest().is_empty() {
            let slices = out.slices();
            let len = match slices.iter().any(|slice| slice.is_empty()) {
                true => ready!(stream.as_mut().poll_write(&mut context, out.rest()))?,
                false => ready!(stream.as_mut().poll_write_vectored(&mut context, &slices.map(io::IoSlice::new)))?,
            };
            out.wrote(len)?;
        }
        if flush {
            ready!(stream.poll_flush(&mut context))?;
            out.flushed();
        }
        Poll::Ready(Ok(()))
    }

    /// Shuts the stream down, once, behind all that was written: TLS says goodbye by that.
    fn poll_shut(&mut self, side: Side, context: &Context<'_>) -> Poll<()> {
        if !self.shut {
            self.tasks.note(side, context);
            // Nothing is lost by an error: all has been flushed, and the peer may have gone first.
            let shut = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(&self.waker));
            self.shut = shut.is_ready();
        }
        if self.shut { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until there is something; false: there will be nothing.
    fn poll_until(
        &mut self,
        is_there: fn(&mut Connection, &mut Input) -> bool,
        context: &Context<'_>,
    ) -> Poll<io::Result<bool>> {
        while !is_there(&mut self.connection, &mut self.input) {
            // Behind a Close of the peer, or a violation, its stream may end in any way: it may have been dropped.
            let closed = self.connection.is_closed();
            let wrote = match self.out.check() {
                Ok(()) if self.out.is_done() => Poll::Ready(Ok(())),
                Ok(()) => self.poll_write_all(Side::Reader, context),
                Err(error) => Poll::Ready(Err(error)),
            };
            let ended = self.connection.ends_stream();
            // A peer that does not read is not read from either, when much waits that it has caused.
            if wrote.is_pending() && (ended || self.out.owes_much()) {
                return Poll::Pending;
            }
            if ended {
                ready!(self.poll_shut(Side::Reader, context));
                return Poll::Ready(Ok(false));
            }
            let lost = match wrote {
                Poll::Ready(Err(_)) if closed => return Poll::Ready(Ok(false)),
                // What the peer sent before it went is there yet, its Close perhaps.
                Poll::Ready(Err(error)) => Some(error),
                _ => None,
            };
            let aborted = self.read_on.check(&self.connection).err();
            let read = match aborted {
                Some(error) => Poll::Ready(Err(error)),
                None => self.poll_read(context, READ),
            };
            match (read, lost) {
                (Poll::Pending, None) => return Poll::Pending,
                // Nothing follows a Close but the end.
                (Poll::Ready(Ok(1..)), None) if closed => return Poll::Ready(Ok(false)),
                (Poll::Ready(Ok(len @ 1..)), _) => self.read_on.note(&self.connection, len),
                (Poll::Ready(Ok(0)), None) => {
                    return Poll::Ready(match self.connection.end_of_stream() {
                        Ended::Abnormal if !closed => Err(io::ErrorKind::UnexpectedEof.into()),
                        _ => Ok(false),
                    });
                }
                (Poll::Ready(Err(_)), None) if closed => return Poll::Ready(Ok(false)),
                (Poll::Pending | Poll::Ready(Ok(0) | Err(_)), Some(error)) | (Poll::Ready(Err(error)), None) => {
                    // Nobody asks how it ended: with this error.
                    let (Ended::Clean | Ended::Abnormal) = self.connection.end_of_stream();
                    self.out.fail(error.kind());
                    if std::mem::take(&mut self.waits[Side::Writer as usize]) {
                        self.waker.wake_by_ref();
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<S> WebSocket<S> {
    /// A connection whose handshake was done elsewhere, with the bytes that had come behind the head.
    pub fn over(stream: S, connection: Connection, read: &[u8]) -> Self {
        let mut input = Input::new();
        input.extend(read);
        let tasks = Arc::new(Tasks::default());
        let waker = Waker::from(Arc::clone(&tasks));
        let out = Output::default();
        let (shut, violation, waits, protocol) = (false, None, [false; 2], None);
        let read_on = ReadOn::default();
        Self { stream, connection, input, out, read_on, shut, violation, tasks, waker, waits, protocol }
    }

    /// Changes the connection's settings, before the first message: its limits, its compression, whether it answers
    /// pings.
    #[must_use]
    pub fn with(self, change: impl FnOnce(Connection) -> Connection) -> Self {
        Self { connection: change(self.connection), ..self }
    }

    /// The sending half. What it sends is written by the next read or flush.
    ///
    /// It is no answer, so that reading goes on however much of it waits: two sides that both send much would wait for
    /// each other. The owner bounds it, by a flush; to answer an event it takes the half that came with the event.
    pub fn sender(&mut self) -> Sender<'_> {
        Sender { connection: &mut self.connection, out: &mut self.out, answers: false }
    }

    /// The sub-protocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The state of the connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The stream itself. What has been read and not been received is gone, and what waits to be written.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The stream, for its addresses.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl Sender<'_> {
    /// Sends a message, a ping or a pong.
    ///
    /// # Errors
    /// A [`SendError`].
    pub fn send(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let since = self.out.end();
        let sent = self.connection.send(message, self.out.bytes());
        self.note(since);
        sent
    }

    /// Sends a part of a message; `last` ends it.
    ///
    /// # Errors
    /// A [`SendError`].
    pub fn send_part(&mut self, part: Part<'_>, last: bool) -> Result<(), SendError> {
        let since = self.out.end();
        let sent = self.connection.send_part(part, last, self.out.bytes());
        self.note(since);
        sent
    }

    /// Starts the closing handshake, with a code and a reason or without.
    pub fn close(&mut self, why: CloseBody<'_>) {
        self.connection.close(why, self.out.bytes());
    }

    fn note(&mut self, since: u64) {
        if self.answers {
            self.out.owe(since);
        }
    }
}

/// Messages of the peer, texts and binary ones, until the connection ends. A violation is an error behind which the
/// stream ends; the Close that says so has been written by then.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = io::Result<OwnedMessage>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.violation.is_some() {
                // An owner that stops at the first error has answered it by then; an error of the stream says less.
                drop(ready!(self.poll_write_all(Side::Reader, context)));
                let error = self.violation.take().map(|error| Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                return Poll::Ready(error);
            }
            match ready!(self.poll_until(Connection::has_event, context)) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let Self { connection, input, out, violation, .. } = &mut *self;
            let since = out.end();
            let event = connection.receive(input, out.bytes());
            out.owe(since);
            let message = match event {
                Some(Event::Text(text)) => OwnedMessage::Text(text.into()),
                Some(Event::Binary(data)) => OwnedMessage::Binary(data.into()),
                Some(Event::Failed(error)) => {
                    *violation = Some(error);
                    continue;
                }
                // Pings and a Close have been answered.
                Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => continue,
            };
            return Poll::Ready(Some(Ok(message)));
        }
    }
}

/// Messages for the peer, pings and pongs, and a Close with a code of one's own: also of the half that `split` makes.
/// Closing the sink sends a Close with 1000 unless one was sent, and does not wait for the peer's: an owner that wants
/// to hear it goes on reading. Where the peer's has come, the server's side shuts the stream down.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<OwnedMessage> for WebSocket<S> {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.out.is_much() {
            true => self.poll_write(Side::Writer, context),
            false => Poll::Ready(self.out.check()),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, message: OwnedMessage) -> io::Result<()> {
        let Self { stream, connection, out, .. } = &mut *self;
        let apart = match &message {
            OwnedMessage::Text(text) => connection.sends_apart(text.len()),
            OwnedMessage::Binary(data) => connection.sends_apart(data.len()),
            _ => false,
        };
        match message {
            OwnedMessage::Text(text) if apart && stream.is_write_vectored() => {
                connection.send_header(Kind::Text, text.len(), out.bytes()).map_err(unsent)?;
                out.follow(text.into_bytes());
                Ok(())
            }
            OwnedMessage::Binary(data) if apart && stream.is_write_vectored() => {
                connection.send_header(Kind::Binary, data.len(), out.bytes()).map_err(unsent)?;
                out.follow(data);
                Ok(())
            }
            OwnedMessage::Close(why) => {
                connection.close(why.as_ref().map(|(code, reason)| (*code, &**reason)), out.bytes());
                Ok(())
            }
            message => {
                message.message().map_or(Ok(()), |message| connection.send(message, out.bytes())).map_err(unsent)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_all(Side::Writer, context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { connection, out, .. } = &mut *self;
        connection.close(Some((CloseCode::NORMAL, "")), out.bytes());
        ready!(self.poll_write_all(Side::Writer, context))?;
        match self.connection.ends_stream() {
            true => self.poll_shut(Side::Writer, context).map(Ok),
            false => Poll::Ready(Ok(())),
        }
    }
}

fn unsent(error: SendError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Room for a read, in bytes.
const READ: usize = 64 << 10;
