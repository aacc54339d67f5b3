//! The receiving half of a connection after its opening handshake, as one side sees it (RFC 6455 sections 5 to 8).
//!
//! This is the part for owners of many connections, who keep buffers and the machines of compression once for all of
//! them, and encode one message for many receivers: an event loop. An owner of one connection takes
//! [`Connection`](crate::Connection), which stands on it, and sends as well.
//!
//! The sides differ in masking alone (section 5.1): a server refuses frames that are not masked, a client refuses those
//! that are, and a client masks its own, including the Close that is written here. [`Role`] says which side it is.
//!
//! Bytes go in, [`Event`]s come out, and bytes for the peer are appended to a buffer of the caller. A message that lies
//! whole in the caller's buffer is unmasked, validated and lent in place; only a message that the end of a read cuts,
//! or that comes in fragments, is copied: as it arrives, and never by the length it claims. A caller with room can ask
//! what is [missing](Receiver::missing) and have a cut message in place too.
//!
//! ```text
//!   Open --- close() ----> CloseSent --- peer's Close ---> Closed
//!    |----- peer's Close (answered) ------------------------^
//!    |----- fail(): a violation, answered with Close -------^
//! ```
//!
//! It does not answer pings: the caller does, with [`encode_frame`], because only such a caller knows whether the peer
//! still reads (section 5.5.3 allows to answer the latest ping only). It sets no timers and does not half-close
//! sockets. Of extensions it knows permessage-deflate (RFC 7692): a compressed message is gathered as it came, within
//! the limit for messages, and inflated when it is whole, within the same limit. So the caller can lend the inflater
//! ([`Receiver::decode_with`]), and no connection keeps it from one read to the next.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::ops::Range;

use crate::close::{self, CloseBody, CloseCode};
use crate::deflate::{History, Inflater};
use crate::error::ProtocolError;
#[cfg(feature = "deflate")]
use crate::extension::PermessageDeflate;
use crate::frame::{
    FrameHeader, FrameRules, Kind, Limits, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN, Opcode, encode_frame,
    encode_masked_frame, find_whole_message,
};
use crate::input::{Input, Lent, Ready, Whole};
use crate::mask::{MaskingKey, apply_mask};
use crate::message::Message;
use crate::utf8::{self, Utf8Tail};

/// What a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping with its application data; to be answered with a pong that carries the same.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The peer's Close. It has been answered if we had not sent ours before; nothing follows.
    Close(CloseBody<'a>),
    /// The peer broke the protocol. Close has been queued; nothing follows.
    Failed(ProtocolError),
}

impl<'a> Event<'a> {
    /// The message, if it is one: text or binary data, to be sent on or back.
    pub const fn message(self) -> Option<Message<'a>> {
        match self {
            Self::Text(text) => Some(Message::Text(text)),
            Self::Binary(data) => Some(Message::Binary(data)),
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) | Self::Failed(_) => None,
        }
    }
}

/// A part of a message as it comes, or another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Some bytes of a message. Of a text all bytes so far are UTF-8, but a character may be cut by the end of a piece.
    Data {
        /// What the message is.
        kind: Kind,
        /// The bytes; none in the first and the last piece perhaps.
        bytes: &'a [u8],
        /// The message begins with this piece.
        first: bool,
        /// The message ends with this piece.
        last: bool,
    },
    /// A ping, a pong, a Close, a violation; or a whole message that came compressed.
    Event(Event<'a>),
}

/// Which side of the connection this is (section 5.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Incoming frames must be masked; its own are not.
    Server,
    /// Incoming frames must not be masked; its own are.
    Client {
        /// What the one Close frame of this connection is masked with. Like every key it must be chosen anew, from a
        /// strong source of randomness, and kept secret (section 5.3).
        closing_key: MaskingKey,
    },
}

/// Without the closing key, which is secret.
impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("Server"),
            Self::Client { .. } => f.debug_struct("Client").finish_non_exhaustive(),
        }
    }
}

/// The receiving state of one connection, and what it owes the peer at its end.
///
/// Invariant: after [`Receiver::is_closed`] nothing is decoded any more.
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    role: Role,
    phase: Phase,
    partial: Option<Box<Partial>>,
    /// Only where permessage-deflate was agreed to.
    deflate: Option<Box<Context>>,
}

/// What permessage-deflate adds to a connection.
#[derive(Debug)]
struct Context {
    /// What the peer's next message may refer to, if it keeps its context.
    history: Option<History>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    CloseSent,
    Closed,
}

/// A message or frame of which a part has arrived. An idle connection has none.
///
/// Invariant: `stash` holds less than one header, and nothing while a frame's payload is awaited.
#[derive(Default)]
struct Partial {
    stash_len: u8,
    stash: [u8; MAX_HEADER_LEN],
    message: Option<Assembly>,
    message_len: u64,
    fragments: u32,
    frame: Option<(FrameHeader, u64)>,
    control: Vec<u8>,
}

/// Without the bytes, which are the peers'.
impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partial").field("message_len", &self.message_len).finish_non_exhaustive()
    }
}

/// A message put together from what is not in one piece.
enum Assembly {
    Text(String, Utf8Tail),
    Binary(Vec<u8>),
    /// A message that is passed on in pieces: whether the first has been, and of a text the start of a character.
    Passing {
        kind: Kind,
        begun: bool,
        tail: Utf8Tail,
    },
    /// The payload of a compressed message as it came, and whether it is text.
    Deflated {
        text: bool,
        bytes: Vec<u8>,
    },
    /// A message behind our own Close: only its frames are looked at, to find the peer's.
    Skipped,
}

/// Where a complete frame or message lies.
enum Found {
    Message {
        opcode: Opcode,
        start: usize,
        end: usize,
    },
    /// A compressed message in one frame.
    Deflated {
        opcode: Opcode,
        start: usize,
        end: usize,
    },
    Assembled,
    /// A compressed message that was put together.
    AssembledDeflated,
    Control {
        opcode: Opcode,
        start: usize,
        end: usize,
    },
    AssembledControl(Opcode),
    /// A fragment that is not the last: progress, but no event.
    Fragment,
    Error(ProtocolError),
}

impl Receiver {
    /// The server's side of a connection whose opening handshake is done.
    pub fn server(limits: Limits) -> Self {
        Self::new(limits, Role::Server)
    }

    /// The client's side. `closing_key` masks its one Close frame: see [`Role::Client`].
    ///
    /// The caller encodes everything else that a client sends, each frame with a key of its own
    /// ([`encode_masked_frame`]); it answers pings that way as well.
    pub fn client(limits: Limits, closing_key: MaskingKey) -> Self {
        Self::new(limits, Role::Client { closing_key })
    }

    /// Either side.
    pub fn new(limits: Limits, role: Role) -> Self {
        Self { limits, role, phase: Phase::Open, partial: None, deflate: None }
    }

    /// The same for a handshake that agreed to permessage-deflate: the peer may compress its messages.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, agreed: &PermessageDeflate) -> Self {
        let (keeps_context, window_bits) = match self.role {
            Role::Server => (agreed.client_keeps_context(), agreed.client_window_bits()),
            Role::Client { .. } => (agreed.server_keeps_context(), agreed.server_window_bits()),
        };
        let history = keeps_context.then(|| History::new(window_bits));
        Self { deflate: Some(Box::new(Context { history })), ..self }
    }

    /// Takes bytes from the front of `input` up to the end of the next event, and returns how many.
    ///
    /// Without an event all of `input` has been taken: an incomplete part is kept inside. With an event, call again
    /// with the rest. `input` is unmasked in place. A Close that is due is appended to `reply`.
    ///
    /// A compressed message is inflated by an inflater of its own; see [`Receiver::decode_with`].
    #[must_use = "it says how much of the input was taken"]
    #[inline]
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8], reply: &mut Vec<u8>) -> (usize, Option<Event<'a>>) {
        self.decode_in(input, reply, &mut Inflater::new(), &mut 0)
    }

    /// Does what [`Receiver::decode`] does with an inflater that other connections use as well.
    ///
    /// The inflater is needed for the time of the call and holds nothing of this connection afterwards.
    #[cfg(feature = "deflate")]
    #[must_use = "it says how much of the input was taken"]
    #[inline]
    pub fn decode_with<'a>(
        &'a mut self,
        input: &'a mut [u8],
        reply: &mut Vec<u8>,
        inflater: &mut Inflater,
    ) -> (usize, Option<Event<'a>>) {
        self.decode_in(input, reply, inflater, &mut 0)
    }

    /// Does what [`Receiver::decode_with`] does, and adds to `frames` how many frames have ended before the one of
    /// the event: for an owner that bounds the work it does for a peer, for a message can be in any number of pieces.
    #[cfg(feature = "deflate")]
    #[must_use = "it says how much of the input was taken"]
    #[inline]
    pub fn decode_counting<'a>(
        &'a mut self,
        input: &'a mut [u8],
        reply: &mut Vec<u8>,
        inflater: &mut Inflater,
        frames: &mut usize,
    ) -> (usize, Option<Event<'a>>) {
        self.decode_in(input, reply, inflater, frames)
    }

    #[inline]
    fn decode_in<'a>(
        &'a mut self,
        input: &'a mut [u8],
        reply: &mut Vec<u8>,
        inflater: &mut Inflater,
        frames: &mut usize,
    ) -> (usize, Option<Event<'a>>) {
        self.release();
        // The short path of nearly every message to a server. It decides nothing that the long path would decide
        // otherwise.
        if matches!(self.role, Role::Server)
            && self.phase == Phase::Open
            && self.partial.is_none()
            && let Some((opcode, key, Range { start, end })) = find_whole_message(input, self.limits.message_bytes)
        {
            let all = input.len();
            apply_mask(&mut input[start..end], key, 0);
            return match Self::message_event(opcode, &input[start..end]) {
                Ok(event) => (end, Some(event)),
                Err(error) => {
                    self.fail(error.into(), &error.to_string(), reply);
                    (all, Some(Event::Failed(error)))
                }
            };
        }
        self.decode_any(input, reply, inflater, frames)
    }

    /// The long path: takes whatever [`find_whole_message`] does not find.
    #[inline(never)]
    fn decode_any<'a>(
        &'a mut self,
        input: &'a mut [u8],
        reply: &mut Vec<u8>,
        inflater: &mut Inflater,
        frames: &mut usize,
    ) -> (usize, Option<Event<'a>>) {
        let mut at = 0;
        let Some(found) = self.find_frame(input, &mut at, inflater, frames) else { return (input.len(), None) };
        let Self { role, phase, partial, deflate, .. } = self;
        let event = match found {
            Found::Message { opcode, start, end } => Self::message_event(opcode, &input[start..end]),
            Found::Control { opcode, start, end } => Self::control_event(opcode, &input[start..end]),
            Found::Assembled => {
                let partial = partial.as_deref().expect("an assembled message lies in `partial`");
                match &partial.message {
                    Some(Assembly::Text(text, _)) => Ok(Event::Text(text)),
                    Some(Assembly::Binary(data)) => Ok(Event::Binary(data)),
                    _ => unreachable!("an assembled message was begun, and inflated"),
                }
            }
            Found::Deflated { .. } | Found::AssembledDeflated => unreachable!("has been inflated"),
            Found::AssembledControl(opcode) => {
                let partial = partial.as_deref().expect("an assembled control frame lies in `partial`");
                Self::control_event(opcode, &partial.control)
            }
            Found::Fragment => unreachable!("fragments stay in the loop"),
            Found::Error(error) => Err(error),
        };
        match conclude(*role, phase, deflate, event, reply) {
            failed @ Event::Failed(_) => (input.len(), Some(failed)),
            event => (at, Some(event)),
        }
    }

    /// Goes on from `at` to the end of the next frame that makes an event, and behind it. A compressed message has been
    /// inflated then.
    #[inline]
    fn find_frame(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        inflater: &mut Inflater,
        frames: &mut usize,
    ) -> Option<Found> {
        loop {
            match self.decode_frame(input, at) {
                Ok(None) => return None,
                Ok(Some(Found::Fragment)) => *frames += 1,
                // What arrives after we sent Close is read to find the peer's Close, and not passed on.
                Ok(Some(found)) if self.phase == Phase::CloseSent && !found.is_close() => {
                    self.release();
                    *frames += 1;
                }
                Ok(Some(Found::Deflated { opcode, start, end })) => {
                    return Some(self.inflate(opcode == Opcode::Text, &input[start..end], inflater));
                }
                Ok(Some(Found::AssembledDeflated)) => return Some(self.inflate_assembled(inflater)),
                Ok(Some(found)) => return Some(found),
                Err(error) => return Some(Found::Error(error)),
            }
        }
    }

    /// Goes on in the bytes of `input` until an event is there, and puts into `whole` the message of one that does not
    /// lie there as it is. What it returns has not been passed on: [`Receiver::pass_on`] does that.
    pub(crate) fn find(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        whole: &mut Whole,
        inflater: &mut Inflater,
    ) -> Option<Ready> {
        self.release();
        if matches!(self.role, Role::Server)
            && self.phase == Phase::Open
            && self.partial.is_none()
            && let Some((opcode, key, Range { start, end })) =
                find_whole_message(&input[*at..], self.limits.message_bytes)
        {
            let (start, end) = (*at + start, *at + end);
            *at = end;
            apply_mask(&mut input[start..end], key, 0);
            return Some(Ready::Here(opcode, start, end));
        }
        let mut found = self.find_frame(input, at, inflater, &mut 0)?;
        // Its beginning has been passed on in pieces: the rest is no message.
        while matches!(found, Found::Assembled) && self.is_passing() {
            if let Some(partial) = &mut self.partial {
                (partial.message, partial.message_len) = (None, 0);
            }
            found = self.find_frame(input, at, inflater, &mut 0)?;
        }
        Some(match found {
            Found::Message { opcode, start, end } | Found::Control { opcode, start, end } => {
                Ready::Here(opcode, start, end)
            }
            Found::Assembled => {
                let message = self.partial.as_mut().and_then(|partial| partial.message.take());
                self.release();
                match message {
                    Some(Assembly::Text(text, _)) => {
                        *whole = Whole::Text(text);
                        Ready::Whole(Opcode::Text)
                    }
                    Some(Assembly::Binary(bytes)) => {
                        *whole = Whole::Bytes(bytes);
                        Ready::Whole(Opcode::Binary)
                    }
                    _ => unreachable!("an assembled message was begun, and inflated"),
                }
            }
            Found::AssembledControl(opcode) => {
                let control = self.partial.as_mut().map(|partial| mem::take(&mut partial.control));
                self.release();
                *whole = Whole::Bytes(control.unwrap_or_default());
                Ready::Whole(opcode)
            }
            Found::Error(error) => Ready::Failed(error),
            Found::Deflated { .. } | Found::AssembledDeflated | Found::Fragment => unreachable!("stay in `find_frame`"),
        })
    }

    fn is_passing(&self) -> bool {
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        matches!(message, Some(Assembly::Passing { .. }))
    }

    /// Does what [`Receiver::find`] does, but passes on the bytes of a message that is not compressed as they come.
    pub(crate) fn find_piece(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        whole: &mut Whole,
        inflater: &mut Inflater,
    ) -> Option<Ready> {
        self.release();
        loop {
            if self.phase != Phase::Open {
                return self.find(input, at, whole, inflater);
            }
            if self.partial.as_ref().is_none_or(|partial| partial.frame.is_none()) {
                match self.decode_header(input, at) {
                    Ok(None) => return None,
                    Err(error) => return Some(Ready::Failed(error)),
                    Ok(Some(header)) => {
                        let partial = self.partial.get_or_insert_default();
                        partial.begin(header);
                        let kind = match header.opcode {
                            Opcode::Text => Kind::Text,
                            _ => Kind::Binary,
                        };
                        if matches!(header.opcode, Opcode::Text | Opcode::Binary) && !header.rsv1 {
                            partial.message = Some(Assembly::Passing { kind, begun: false, tail: Utf8Tail::default() });
                        }
                    }
                }
            }
            let partial = self.partial.as_deref_mut().expect("a frame has begun");
            match partial.pass_on(input, at) {
                Passed::Piece(ready) => return Some(ready),
                Passed::Nothing => return None,
                Passed::Fragment => {}
                Passed::Other => return self.find(input, at, whole, inflater),
            }
        }
    }

    /// The event that [`Receiver::find`] has found, and what becomes of the connection by it.
    pub(crate) fn pass_on<'a>(&mut self, input: &'a Input, ready: Ready, reply: &mut Vec<u8>) -> Event<'a> {
        let event = input.payload(ready).and_then(|(opcode, lent)| match lent {
            Lent::Text(text) => Ok(Event::Text(text)),
            Lent::Bytes(payload) if opcode.is_control() => Self::control_event(opcode, payload),
            Lent::Bytes(payload) => Self::message_event(opcode, payload),
        });
        let event = conclude(self.role, &mut self.phase, &mut self.deflate, event, reply);
        self.release();
        event
    }

    /// How many bytes are missing to the message that begins at the front of `input` in one frame. `None` if none are,
    /// or if this is not known: its header is not whole, it is in several frames, its beginning has been taken already,
    /// or it will be refused.
    ///
    /// A caller that has room behind `input` can read them there; then [`Receiver::decode`] lends a message in place
    /// that it would have copied.
    pub fn missing(&self, input: &[u8]) -> Option<u64> {
        if self.phase != Phase::Open || self.partial.is_some() {
            return None;
        }
        let (header, len) = FrameHeader::decode(input, &self.rules()).ok()??;
        let there = (input.len() - len) as u64;
        (header.fin && !header.opcode.is_control() && there < header.payload_len).then(|| header.payload_len - there)
    }

    /// Starts the closing handshake (section 7.1.2): appends a Close frame to `reply`, once.
    ///
    /// The peer's messages are no longer passed on; its Close still is.
    pub fn close(&mut self, code: CloseCode, reason: &str, reply: &mut Vec<u8>) {
        self.close_with(Some((code, reason)), reply);
    }

    /// Starts the closing handshake with a Close that may have no code, once.
    pub(crate) fn close_with(&mut self, body: CloseBody<'_>, reply: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            encode_close(self.role, body, reply);
            self.phase = Phase::CloseSent;
        }
    }

    /// The peer's stream has ended: nothing is expected any more.
    pub(crate) fn end(&mut self) {
        self.phase = Phase::Closed;
        (self.partial, self.deflate) = (None, None);
    }

    /// The limits that hold.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// From now on these limits hold.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// _Fails_ the connection (section 7.1.7): appends a Close frame unless one was sent; decodes nothing more.
    pub fn fail(&mut self, code: CloseCode, reason: &str, reply: &mut Vec<u8>) {
        fail(self.role, &mut self.phase, code, reason, reply);
        (self.partial, self.deflate) = (None, None);
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether messages may still be sent: neither side has sent Close.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether nothing more is expected of the peer but the end of its stream.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether a part of a message or frame has arrived and its end has not.
    pub fn is_mid_message(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| !partial.is_done())
    }

    /// Bytes held for a message that is not complete, and of compressed ones that the next may refer to.
    pub fn held_bytes(&self) -> usize {
        let partial = self.partial.as_ref().map_or(0, |partial| {
            size_of::<Partial>() + partial.control.capacity() + partial.message.as_ref().map_or(0, Assembly::capacity)
        });
        let history = self.deflate.as_ref().and_then(|context| context.history.as_ref());
        partial + history.map_or(0, History::held_bytes)
    }

    /// Takes one frame, or as much of it as is there.
    fn decode_frame(&mut self, input: &mut [u8], at: &mut usize) -> Result<Option<Found>, ProtocolError> {
        if self.phase == Phase::Closed {
            return Ok(None);
        }
        if self.partial.as_ref().is_none_or(|partial| partial.frame.is_none()) {
            let Some(header) = self.decode_header(input, at)? else { return Ok(None) };
            let whole = (input.len() - *at) as u64 >= header.payload_len;
            let start = *at;
            if whole && (header.opcode.is_control() || header.fin && header.opcode != Opcode::Continuation) {
                let end = start + header.payload_len as usize;
                *at = end;
                unmask(&mut input[start..end], &header, 0);
                let opcode = header.opcode;
                return Ok(Some(match (opcode.is_control(), header.rsv1) {
                    (true, _) => Found::Control { opcode, start, end },
                    (false, false) => Found::Message { opcode, start, end },
                    (false, true) => Found::Deflated { opcode, start, end },
                }));
            }
            self.partial.get_or_insert_default().begin(header);
        }
        let partial = self.partial.as_deref_mut().expect("a frame has begun");
        if let (Phase::CloseSent, Some(message)) = (self.phase, &mut partial.message) {
            *message = Assembly::Skipped;
        }
        partial.continue_frame(input, at)
    }

    fn decode_header(&mut self, input: &[u8], at: &mut usize) -> Result<Option<FrameHeader>, ProtocolError> {
        let rules = self.rules();
        let rest = &input[*at..];
        let stashed = self.partial.as_deref_mut().filter(|partial| partial.stash_len > 0);
        let Some(Partial { stash, stash_len, .. }) = stashed else {
            return Ok(match FrameHeader::decode(rest, &rules)? {
                Some((header, len)) => {
                    *at += len;
                    Some(header)
                }
                None if rest.is_empty() => None,
                None => {
                    let partial = self.partial.get_or_insert_default();
                    partial.stash[..rest.len()].copy_from_slice(rest);
                    partial.stash_len = rest.len() as u8;
                    None
                }
            });
        };
        let stashed = usize::from(*stash_len);
        let more = rest.len().min(MAX_HEADER_LEN - stashed);
        stash[stashed..stashed + more].copy_from_slice(&rest[..more]);
        Ok(match FrameHeader::decode(&stash[..stashed + more], &rules)? {
            Some((header, len)) => {
                *stash_len = 0;
                *at += len - stashed;
                Some(header)
            }
            None => {
                *stash_len = (stashed + more) as u8;
                None
            }
        })
    }

    fn rules(&self) -> FrameRules {
        let message = self.partial.as_deref().filter(|partial| partial.message.is_some());
        FrameRules {
            masked: matches!(self.role, Role::Server),
            rsv1: self.deflate.is_some(),
            fragmented: message.is_some(),
            fragments_left: message.map_or(0, |partial| self.limits.fragments.saturating_sub(partial.fragments)),
            // The limit may have become smaller than what has come.
            payload_left: u64::from(self.limits.message_bytes)
                .saturating_sub(message.map_or(0, |partial| partial.message_len)),
            limits: self.limits,
        }
    }

    /// Makes a message of the payload it was compressed to. It is a function of its own, so that the path of plain
    /// messages stays short.
    #[inline(never)]
    fn inflate(&mut self, text: bool, payload: &[u8], inflater: &mut Inflater) -> Found {
        let context = self.deflate.as_deref_mut().expect("RSV1 was agreed to");
        match context.inflate(text, payload, inflater, self.limits.message_bytes as usize) {
            Ok(message) => {
                self.partial.get_or_insert_default().message = Some(message);
                Found::Assembled
            }
            Err(error) => Found::Error(error),
        }
    }

    /// The same for a message that was put together.
    #[inline(never)]
    fn inflate_assembled(&mut self, inflater: &mut Inflater) -> Found {
        match self.partial.as_mut().and_then(|partial| partial.message.take()) {
            Some(Assembly::Deflated { text, bytes }) => self.inflate(text, &bytes, inflater),
            _ => unreachable!("an assembled message lies in `partial`"),
        }
    }

    #[inline]
    fn message_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
        if opcode != Opcode::Text {
            return Ok(Event::Binary(payload));
        }
        utf8::validate(payload).map(Event::Text)
    }

    fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
        Ok(match opcode {
            Opcode::Ping => Event::Ping(payload),
            Opcode::Pong => Event::Pong(payload),
            _ => Event::Close(close::decode_body(payload)?),
        })
    }

    /// Frees what the last event borrowed. [`Receiver::decode`] does it too, the next time it is called.
    pub fn release(&mut self) {
        // A closed connection waits for nothing, be it complete or not.
        if self.partial.as_ref().is_some_and(|partial| partial.is_done() || self.phase == Phase::Closed) {
            self.partial = None;
        }
    }
}

/// What has become of a frame that may be passed on in pieces.
enum Passed {
    Piece(Ready),
    /// All of it has been taken, and said nothing.
    Fragment,
    /// More must come.
    Nothing,
    /// It is no such frame.
    Other,
}

impl Found {
    fn is_close(&self) -> bool {
        matches!(self, Self::Control { opcode: Opcode::Close, .. } | Self::AssembledControl(Opcode::Close))
    }
}

impl Partial {
    /// A frame has begun whose payload must be put together.
    fn begin(&mut self, header: FrameHeader) {
        self.control.clear();
        match header.opcode {
            Opcode::Text | Opcode::Binary if header.rsv1 => {
                self.message = Some(Assembly::Deflated { text: header.opcode == Opcode::Text, bytes: Vec::new() });
            }
            Opcode::Text => self.message = Some(Assembly::Text(String::new(), Utf8Tail::default())),
            Opcode::Binary => self.message = Some(Assembly::Binary(Vec::new())),
            _ => {}
        }
        if !header.opcode.is_control() {
            self.fragments += 1;
        }
        self.frame = Some((header, 0));
    }

    /// Takes payload of a frame of a message that is passed on in pieces.
    fn pass_on(&mut self, input: &mut [u8], at: &mut usize) -> Passed {
        let (header, received) = self.frame.expect("called amid a frame");
        let Some(Assembly::Passing { kind, begun, tail }) = &mut self.message else { return Passed::Other };
        if header.opcode.is_control() {
            return Passed::Other;
        }
        let wanted = header.payload_len - received;
        let taken = wanted.min((input.len() - *at) as u64) as usize;
        if taken == 0 && wanted > 0 {
            return Passed::Nothing;
        }
        let (start, end) = (*at, *at + taken);
        *at = end;
        unmask(&mut input[start..end], &header, (received % 4) as usize);
        let complete = taken as u64 == wanted;
        let last = complete && header.fin;
        if *kind == Kind::Text {
            let judged = tail.check(&input[start..end]);
            if judged.is_err() || last && !tail.is_complete() {
                return Passed::Piece(Ready::Failed(ProtocolError::InvalidUtf8));
            }
        }
        let ready = Ready::Piece { kind: *kind, start, end, first: !*begun, last };
        *begun = true;
        self.message_len += taken as u64;
        self.frame = (!complete).then_some((header, received + taken as u64));
        if last {
            (self.fragments, self.message, self.message_len) = (0, None, 0);
        } else if taken == 0 && matches!(ready, Ready::Piece { first: false, .. }) {
            // An empty fragment amid the message says nothing.
            return Passed::Fragment;
        }
        Passed::Piece(ready)
    }

    /// Takes payload of the frame that has begun, and returns what that completes.
    fn continue_frame(&mut self, input: &mut [u8], at: &mut usize) -> Result<Option<Found>, ProtocolError> {
        let (header, received) = self.frame.expect("called amid a frame");
        let wanted = header.payload_len - received;
        let taken = wanted.min((input.len() - *at) as u64) as usize;
        let piece = &mut input[*at..*at + taken];
        *at += taken;
        unmask(piece, &header, (received % 4) as usize);
        if header.opcode.is_control() {
            if self.control.capacity() == 0 {
                self.control.reserve_exact(MAX_CONTROL_PAYLOAD);
            }
            self.control.extend_from_slice(piece);
        } else {
            self.message_len += taken as u64;
            match &mut self.message {
                Some(message) => {
                    let len = message.len() + taken;
                    // Reserve for the claimed length, but never more than twice what has arrived.
                    let follows = if header.fin { (wanted - taken as u64).min(len as u64) as usize } else { len };
                    message.push(piece, len + follows)?;
                }
                None => unreachable!("a data frame has begun a message"),
            }
        }
        if taken as u64 != wanted {
            self.frame = Some((header, received + taken as u64));
            return Ok(None);
        }
        self.frame = None;
        if header.opcode.is_control() {
            return Ok(Some(Found::AssembledControl(header.opcode)));
        }
        if !header.fin {
            return Ok(Some(Found::Fragment));
        }
        self.fragments = 0;
        match &self.message {
            Some(Assembly::Deflated { .. }) => Ok(Some(Found::AssembledDeflated)),
            Some(Assembly::Text(_, tail)) if !tail.is_complete() => Err(ProtocolError::InvalidUtf8),
            _ => Ok(Some(Found::Assembled)),
        }
    }

    /// Whether no part is awaited: the message is complete, or there is none.
    fn is_done(&self) -> bool {
        self.frame.is_none() && self.fragments == 0 && self.stash_len == 0
    }
}

impl Assembly {
    /// Takes the next piece. If there is no room for it, room is made for a message of `room` bytes, which it does not
    /// go beyond.
    fn push(&mut self, piece: &[u8], room: usize) -> Result<(), ProtocolError> {
        let make_room = self.capacity() < self.len() + piece.len();
        match self {
            Self::Text(text, tail) => {
                if make_room {
                    text.reserve_exact(room - text.len());
                }
                tail.push(piece, text)?;
            }
            // It is not put together.
            Self::Passing { .. } | Self::Skipped => {}
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => {
                if make_room {
                    bytes.reserve_exact(room - bytes.len());
                }
                bytes.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    /// Bytes that have come, of a text also those of a character whose rest has not.
    fn len(&self) -> usize {
        match self {
            Self::Text(text, tail) => text.len() + tail.pending(),
            Self::Passing { tail, .. } => tail.pending(),
            Self::Skipped => 0,
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Text(text, _) => text.capacity(),
            Self::Passing { .. } | Self::Skipped => 0,
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.capacity(),
        }
    }
}

impl Context {
    /// The message that a payload was compressed from, or what is wrong with it.
    fn inflate(
        &mut self,
        text: bool,
        payload: &[u8],
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<Assembly, ProtocolError> {
        let mut message = match text {
            true => Assembly::Text(String::new(), Utf8Tail::default()),
            false => Assembly::Binary(Vec::new()),
        };
        inflater.inflate(payload, self.history.as_mut(), |piece| {
            let len = message.len() + piece.len();
            if len > limit {
                return Err(ProtocolError::MessageTooBig { limit });
            }
            // It grows by doubling, but never beyond the limit.
            message.push(piece, len.max(2 * message.len()).min(limit))
        })?;
        match &message {
            Assembly::Text(_, tail) if !tail.is_complete() => Err(ProtocolError::InvalidUtf8),
            _ => Ok(message),
        }
    }
}

/// What becomes of the connection by an event, and the event to be passed on.
#[inline]
fn conclude<'a>(
    role: Role,
    phase: &mut Phase,
    deflate: &mut Option<Box<Context>>,
    event: Result<Event<'a>, ProtocolError>,
    reply: &mut Vec<u8>,
) -> Event<'a> {
    match event {
        Ok(Event::Close(body)) => {
            if *phase == Phase::Open {
                // §5.5.1: the answer carries the code that was received.
                encode_close(role, body.map(|(code, _)| (code, "")), reply);
            }
            *phase = Phase::Closed;
            *deflate = None;
            Event::Close(body)
        }
        Ok(event) => event,
        Err(error) => {
            fail(role, phase, error.into(), &error.to_string(), reply);
            *deflate = None;
            Event::Failed(error)
        }
    }
}

fn unmask(piece: &mut [u8], header: &FrameHeader, offset: usize) {
    if let Some(key) = header.mask {
        apply_mask(piece, key, offset);
    }
}

fn fail(role: Role, phase: &mut Phase, code: CloseCode, reason: &str, reply: &mut Vec<u8>) {
    if *phase == Phase::Open {
        encode_close(role, Some((code, reason)), reply);
    }
    *phase = Phase::Closed;
}

fn encode_close(role: Role, body: CloseBody<'_>, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(MAX_CONTROL_PAYLOAD);
    if let Some((code, reason)) = body {
        close::encode_body(code, reason, &mut payload);
    }
    match role {
        Role::Server => encode_frame(Opcode::Close, &payload, out),
        Role::Client { closing_key } => encode_masked_frame(Opcode::Close, &payload, closing_key, out),
    }
}
