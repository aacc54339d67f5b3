//! One WebSocket connection after its opening handshake: both directions, of either side (RFC 6455 sections 5 to 8).
//!
//! ```text
//!                    receive                    send, send_part, close
//!   peer -> Input  ----------->  Event<'_>      ----------------------->  out -> peer
//!                    pongs, the answer to a Close  ------------------->
//! ```
//!
//! It is made with what the handshake [`Agreed`] to, and from then on knows what may be sent: a client masks, with keys
//! from the source it was given; messages are compressed where that was agreed to and makes them smaller; nothing
//! follows a Close, and nothing goes between the parts of a message. What may not be sent is refused by a
//! [`SendError`], and nothing of it is written.
//!
//! What the RFC asks of every endpoint is done unless it is told not to: pings are answered, a Close is answered, and
//! [`Connection::end_of_stream`] says whether the end was a clean one. It sets no timers and has no sockets.
//!
//! An owner of many connections shares the machines of compression between them and encodes a message once for many of
//! them: by the parts this one is made of, [`Receiver`], [`frame`](crate::frame) and `deflate`, which know less.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::agreed::Agreed;
use crate::close::{CloseBody, CloseCode};
use crate::deflate::Inflater;
#[cfg(feature = "deflate")]
use crate::deflate::{LEVELS, with_deflater};
use crate::frame::{FrameHeader, Kind, Limits, MAX_HEADER_LEN, Opcode};
use crate::input::{Input, Ready, Whole};
use crate::mask::{MaskingKey, apply_mask};
use crate::message::{Control, Message, Part, SendError};
use crate::receiver::{Event, Piece, Receiver, Role};

/// A connection of one side, with what it has received in part and may send.
///
/// An echo, without a socket:
///
/// ```
/// use salon_proto::{Agreed, Connection, Event, Input, Message};
///
/// let (mut connection, mut input, mut out) = (Connection::server(&Agreed::NOTHING), Input::new(), Vec::new());
/// input.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // what a read has brought
/// while let Some(event) = connection.receive(&mut input, &mut out) {
///     match event {
///         Event::Text(text) => connection.send(Message::Text(text), &mut out)?,
///         Event::Binary(data) => connection.send(Message::Binary(data), &mut out)?,
///         _ => {} // Pings and a Close have been answered.
///     }
/// }
/// assert_eq!(out, b"\x81\x05Hello"); // what is to be written
/// # Ok::<(), salon_proto::SendError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    keys: Option<Keys>,
    #[cfg(feature = "deflate")]
    compression: Option<Compression>,
    /// What the message is that has begun and is sent in parts.
    begun: Option<Kind>,
    answers_pings: bool,
    /// The peer's Close has come, and nothing was wrong before.
    ended_well: bool,
}

/// [`Receiver::find`], or [`Receiver::find_piece`].
type Find = fn(&mut Receiver, &mut [u8], &mut usize, &mut Whole, &mut Inflater) -> Option<Ready>;

/// How the peer's stream ended (section 7.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// Behind the closing handshake.
    Clean,
    /// Without a Close of the peer, or behind a violation: what is called 1006 (section 7.1.5).
    Abnormal,
}

/// Where a client's masking keys come from.
struct Keys(Box<dyn FnMut() -> MaskingKey + Send + Sync>);

/// What compresses this side's messages.
#[cfg(feature = "deflate")]
#[derive(Debug)]
struct Compression {
    level: u32,
    window_bits: u8,
    /// Shorter messages are sent as they are, in bytes.
    from: usize,
}

impl Connection {
    /// The server's side.
    pub fn server(agreed: &Agreed<'_>) -> Self {
        Self::new(Role::Server, None, agreed)
    }

    /// The client's side. Each frame is masked with a key of its own, which `keys` draws.
    ///
    /// Nobody may be able to foresee a key: a page or program that could would choose what a proxy on the way sees
    /// (sections 5.3 and 10.3). So they come from a strong source; with the feature `getrandom`, `random::keys` is one.
    pub fn client(keys: impl FnMut() -> MaskingKey + Send + Sync + 'static, agreed: &Agreed<'_>) -> Self {
        let mut keys = Keys(Box::new(keys));
        let closing_key = (keys.0)();
        Self::new(Role::Client { closing_key }, Some(keys), agreed)
    }

    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "no extension can have been agreed to"))]
    fn new(role: Role, keys: Option<Keys>, agreed: &Agreed<'_>) -> Self {
        let receiver = Receiver::new(Limits::default(), role);
        #[cfg(feature = "deflate")]
        let (receiver, compression) = match agreed.deflate() {
            None => (receiver, None),
            Some(deflate) => {
                let window_bits = match role {
                    Role::Server => deflate.server_window_bits(),
                    Role::Client { .. } => deflate.client_window_bits(),
                };
                let compression = Compression { level: LEVEL, window_bits, from: COMPRESS_FROM };
                (receiver.with_deflate(deflate), Some(compression))
            }
        };
        Self {
            receiver,
            keys,
            #[cfg(feature = "deflate")]
            compression,
            begun: None,
            answers_pings: true,
            ended_well: false,
        }
    }

    /// Receives messages up to these limits, instead of 64 KiB in 1,024 fragments. They hold from the next frame on,
    /// for a message that has begun too.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.receiver.limit(limits);
        self
    }

    /// Whether pings are answered as they come; if not, whoever owns the connection does it (section 5.5.3: the newest
    /// at least).
    #[must_use]
    pub fn answer_pings(mut self, answers: bool) -> Self {
        self.answers_pings = answers;
        self
    }

    /// Where compression was agreed to: compresses messages of at least `from` bytes, at a level of 1 (fast) to 9
    /// (small), instead of those of at least 512 bytes at level 6. A message that would not become smaller is sent as
    /// it is.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(mut self, level: u32, from: usize) -> Self {
        if let Some(compression) = &mut self.compression {
            (compression.level, compression.from) = (level.clamp(1, LEVELS as u32), from);
        }
        self
    }

    /// The next event of the peer, as soon as all its bytes are there; `None`: read more.
    ///
    /// What is due is appended to `out`: the pong behind a ping, the answer to a Close, the Close behind a violation.
    /// Behind [`Event::Close`] and [`Event::Failed`] nothing follows, and the rest of `input` is dropped. `out` is
    /// written before the next read: it grows by at most three bytes for each byte of `input` (a client's pong to an
    /// empty ping), and one Close.
    ///
    /// Call it until there is no event, and only then read more. The event borrows the input alone, so the connection
    /// can answer it as long as it lives.
    #[must_use = "the event is not told again"]
    pub fn receive<'a>(&mut self, input: &'a mut Input, out: &mut Vec<u8>) -> Option<Event<'a>> {
        if !self.has_event(input) {
            return None;
        }
        let ready = input.found.take()?;
        let input = &*input;
        let event = self.receiver.pass_on(input, ready, out);
        match event {
            Event::Ping(data) if self.answers_pings && self.is_open() => {
                let pong = FrameHeader::of_message(Opcode::Pong, data.len());
                encode(&mut self.keys, pong, data, out);
            }
            Event::Close(_) => self.ended_well = true,
            _ => {}
        }
        Some(event)
    }

    /// Whether the next event is there: what [`Connection::receive`] would return. Bytes of events that are not
    /// complete are taken from the input.
    ///
    /// For a wrapper that owns connection, input and stream, and returns an event that borrows from it: the loop that
    /// reads asks this, and `receive` is called once behind it. (A loop that returned the event itself would borrow the
    /// input for all its rounds.)
    ///
    /// ```
    /// # use salon_proto::{Connection, Event, Input};
    /// # struct Socket { connection: Connection, input: Input, out: Vec<u8> }
    /// impl Socket {
    ///     fn next_event(&mut self, mut read: impl FnMut(&mut Input)) -> Option<Event<'_>> {
    ///         while !self.connection.has_event(&mut self.input) {
    ///             read(&mut self.input);
    ///         }
    ///         self.connection.receive(&mut self.input, &mut self.out)
    ///     }
    /// }
    /// ```
    #[must_use = "`receive` takes the event"]
    pub fn has_event(&mut self, input: &mut Input) -> bool {
        // The rest of a message that was begun in pieces is no event.
        while self.look(input, Receiver::find) {
            match input.found {
                Some(Ready::Piece { .. }) => input.found = None,
                _ => return true,
            }
        }
        false
    }

    #[inline]
    fn look(&mut self, input: &mut Input, find: Find) -> bool {
        if self.is_closed() {
            self.receiver.release();
            input.discard();
        } else if input.found.is_none() {
            let (bytes, at, whole) = input.parts();
            *whole = Default::default();
            input.found = match find(&mut self.receiver, bytes, at, whole, &mut Inflater::of_thread()) {
                None => {
                    *at = bytes.len();
                    None
                }
                found => found,
            };
        }
        input.found.is_some()
    }

    /// The next piece of a message as soon as it has come, or the next other event: for messages that are not to be
    /// held whole. A message that came compressed is passed on whole. Its limit holds for the whole message all the
    /// same.
    ///
    /// A connection is asked for pieces or for whole messages. An owner that asks for a whole one amid pieces is not
    /// given the rest of that message: it is skipped.
    ///
    /// ```
    /// use salon_proto::{Agreed, Connection, Input, Kind, Piece};
    ///
    /// let (mut connection, mut input) = (Connection::server(&Agreed::NOTHING), Input::new());
    /// input.extend(b"\x82\xfe\x03\xe8\0\0\0\0the beginning of a thousand bytes");
    /// let Some(Piece::Data { kind: Kind::Binary, bytes, first: true, last: false }) =
    ///     connection.receive_piece(&mut input, &mut Vec::new()) else { panic!("a piece is there") };
    /// assert_eq!(bytes, b"the beginning of a thousand bytes");
    /// ```
    #[must_use = "the piece is not told again"]
    pub fn receive_piece<'a>(&mut self, input: &'a mut Input, out: &mut Vec<u8>) -> Option<Piece<'a>> {
        if !self.has_piece(input) {
            return None;
        }
        match input.found {
            Some(Ready::Piece { kind, start, end, first, last }) => {
                input.found = None;
                Some(Piece::Data { kind, bytes: input.between(start, end), first, last })
            }
            _ => self.receive(input, out).map(Piece::Event),
        }
    }

    /// Whether the next piece is there: what [`Connection::receive_piece`] would return.
    #[must_use = "`receive_piece` takes the piece"]
    pub fn has_piece(&mut self, input: &mut Input) -> bool {
        self.look(input, Receiver::find_piece)
    }

    /// Appends a message, a ping or a pong to `out`: masked by a client, compressed where that was agreed to and makes
    /// it smaller.
    ///
    /// # Errors
    /// [`SendError`]; then nothing has been appended.
    pub fn send(&mut self, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_open()?;
        match message {
            Message::Text(text) => self.send_whole(Kind::Text, text.as_bytes(), out),
            Message::Binary(data) => self.send_whole(Kind::Binary, data, out),
            Message::Ping(body) => self.send_control(Opcode::Ping, body, out),
            Message::Pong(body) => self.send_control(Opcode::Pong, body, out),
        }
    }

    /// Appends a part of a message that is sent in several frames (section 5.4); `last` ends it. Pings, pongs and a
    /// Close may go between the parts, and no other message. Parts are not compressed.
    ///
    /// # Errors
    /// [`SendError`]; then nothing has been appended.
    pub fn send_part(&mut self, part: Part<'_>, last: bool, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_open()?;
        let (kind, payload) = match part {
            Part::Text(text) => (Kind::Text, text.as_bytes()),
            Part::Binary(data) => (Kind::Binary, data),
        };
        let opcode = match self.begun {
            None => kind.into(),
            Some(begun) if begun == kind => Opcode::Continuation,
            Some(_) => return Err(SendError::Interleaved),
        };
        self.begun = (!last).then_some(kind);
        let header = FrameHeader { fin: last, ..FrameHeader::of_message(opcode, payload.len()) };
        encode(&mut self.keys, header, payload, out);
        Ok(())
    }

    /// Starts the closing handshake (section 7.1.2): appends a Close with a code and a reason, or without, unless one
    /// has been sent or received. A reason over 123 bytes is cut at a character.
    ///
    /// The peer's messages are not passed on any more, but for one that [`Connection::has_event`] has found before; its
    /// Close still is.
    pub fn close(&mut self, why: CloseBody<'_>, out: &mut Vec<u8>) {
        self.receiver.close_with(why, out);
    }

    /// _Fails_ the connection (section 7.1.7): appends a Close unless one was sent; nothing is received any more.
    pub fn fail(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>) {
        self.receiver.fail(code, reason, out);
    }

    /// The peer has ended its stream: nothing more comes, and nothing may be sent.
    pub fn end_of_stream(&mut self) -> Ended {
        self.receiver.end();
        match self.ended_well {
            true => Ended::Clean,
            false => Ended::Abnormal,
        }
    }

    /// Whether messages may be sent: neither side has sent Close, and the stream has not ended.
    pub fn is_open(&self) -> bool {
        self.receiver.is_open()
    }

    /// Whether nothing more is expected of the peer but the end of its stream. The server ends it first (section
    /// 7.1.1).
    pub fn is_closed(&self) -> bool {
        self.receiver.is_closed()
    }

    /// Whether this side ends the stream, once all is written: a server when it is closed (section 7.1.1), and a client
    /// behind a violation (section 7.1.7).
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn ends_stream(&self) -> bool {
        self.is_closed() && !(self.is_client() && self.ended_well)
    }

    /// The largest message that it receives, in bytes.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn largest_message(&self) -> u32 {
        self.receiver.limits().message_bytes
    }

    /// Whether this is the client's side.
    pub fn is_client(&self) -> bool {
        self.keys.is_some()
    }

    /// Bytes held: for a message that is not complete, and of earlier ones that the next may refer to. The machines of
    /// compression are the thread's: it keeps 143 KiB behind the first compressed message that is received in it, and
    /// 245 to 372 KiB behind the first that is sent, for each size of window and each level, up to 64 KiB of output
    /// among them.
    pub fn held_bytes(&self) -> usize {
        self.receiver.held_bytes()
    }

    fn check_open(&self) -> Result<(), SendError> {
        match self.is_open() {
            true => Ok(()),
            false => Err(SendError::Closing),
        }
    }

    fn send_whole(&mut self, kind: Kind, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        if self.begun.is_some() {
            return Err(SendError::Interleaved);
        }
        #[cfg(feature = "deflate")]
        if let Some(compression) = self.compression.as_ref().filter(|compression| payload.len() >= compression.from) {
            let sent = with_deflater(compression.level, |deflater| {
                let Some(compressed) = deflater.compress(payload, compression.window_bits) else { return false };
                let header = FrameHeader { rsv1: true, ..FrameHeader::of_message(kind.into(), compressed.len()) };
                encode(&mut self.keys, header, compressed, out);
                true
            });
            if sent {
                return Ok(());
            }
        }
        encode(&mut self.keys, FrameHeader::of_message(kind.into(), payload.len()), payload, out);
        Ok(())
    }

    /// Whether a message of so many bytes is sent as it is, and long enough that a copy would cost: then
    /// [`Connection::send_header`] writes what goes before it.
    #[cfg(feature = "tokio")]
    pub(crate) fn sends_apart(&self, len: usize) -> bool {
        #[cfg(feature = "deflate")]
        let compresses = self.compression.as_ref().is_some_and(|compression| len >= compression.from);
        #[cfg(not(feature = "deflate"))]
        let compresses = false;
        len >= APART_FROM && !self.is_client() && !compresses
    }

    /// Appends the header alone of a message that is [sent apart](Connection::sends_apart); its payload follows.
    #[cfg(feature = "tokio")]
    pub(crate) fn send_header(&mut self, kind: Kind, len: usize, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_open()?;
        if self.begun.is_some() {
            return Err(SendError::Interleaved);
        }
        FrameHeader::of_message(kind.into(), len).encode(out);
        Ok(())
    }

    fn send_control(&mut self, opcode: Opcode, body: Control<'_>, out: &mut Vec<u8>) -> Result<(), SendError> {
        encode(&mut self.keys, FrameHeader::of_message(opcode, body.bytes().len()), body.bytes(), out);
        Ok(())
    }
}

/// Appends a frame, masked if there are keys.
fn encode(keys: &mut Option<Keys>, header: FrameHeader, payload: &[u8], out: &mut Vec<u8>) {
    let mask = keys.as_mut().map(|keys| (keys.0)());
    out.reserve(MAX_HEADER_LEN + payload.len());
    FrameHeader { mask, ..header }.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut out[start..], key, 0);
    }
}

/// Without anything of the source, which is secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// The shortest payload that is written from where it lies, in bytes: a second slice costs as much as a short copy.
#[cfg(feature = "tokio")]
const APART_FROM: usize = 4 << 10;

/// How well messages are compressed, 1 to 9.
#[cfg(feature = "deflate")]
const LEVEL: u32 = 6;

/// The shortest message that is compressed, in bytes: compressing a short line costs as much as sending it.
#[cfg(feature = "deflate")]
const COMPRESS_FROM: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ProtocolError;
    use crate::message::{Control, Message, Part, SendError};

    /// Keys that are told apart.
    fn keys() -> impl FnMut() -> MaskingKey + Send + Sync + 'static {
        let mut drawn = 0_u8;
        move || {
            drawn += 1;
            [drawn, 0x55, 0xaa, drawn]
        }
    }

    fn pair() -> [Connection; 2] {
        [Connection::server(&Agreed::NOTHING), Connection::client(keys(), &Agreed::NOTHING)]
    }

    fn control(bytes: &[u8]) -> Control<'_> {
        Control::new(bytes).expect("it is short")
    }

    /// The events of these bytes, in pieces of that size, and what is answered.
    fn heard(connection: &mut Connection, bytes: &[u8], size: usize) -> (Vec<String>, Vec<u8>) {
        let (mut input, mut out, mut told) = (Input::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(size) {
            input.extend(piece);
            while let Some(event) = connection.receive(&mut input, &mut out) {
                told.push(format!("{event:?}"));
            }
            assert!(input.is_empty(), "without an event everything has been taken");
        }
        (told, out)
    }

    /// What a peer of the other role says to be told, whole and one byte at a time.
    fn check(
        sender: Connection,
        receiver: fn() -> Connection,
        say: fn(&mut Connection, &mut Vec<u8>),
        told: &[Event<'_>],
    ) {
        let (mut sender, mut out) = (sender, Vec::new());
        say(&mut sender, &mut out);
        let expected: Vec<String> = told.iter().map(|event| format!("{event:?}")).collect();
        for size in [usize::MAX, 1, 2, 7] {
            assert_eq!(heard(&mut receiver(), &out, size.min(out.len())).0, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn each_side_hears_what_the_other_says() {
        let say = |connection: &mut Connection, out: &mut Vec<u8>| {
            connection.send(Message::Text("κόσμε"), out).unwrap();
            connection.send(Message::Ping(control(b"?")), out).unwrap();
            connection.send_part(Part::Text("Hel"), false, out).unwrap();
            connection.send(Message::Pong(control(&[7; 125])), out).unwrap();
            connection.send_part(Part::Text(""), false, out).unwrap();
            connection.send_part(Part::Text("lo"), true, out).unwrap();
            connection.send(Message::Binary(&[0xff; 126]), out).unwrap();
            connection.send(Message::Binary(b""), out).unwrap();
            connection.close(Some((CloseCode::NORMAL, "bye")), out);
        };
        let told = [
            Event::Text("κόσμε"),
            Event::Ping(b"?"),
            Event::Pong(&[7; 125]),
            Event::Text("Hello"),
            Event::Binary(&[0xff; 126]),
            Event::Binary(b""),
            Event::Close(Some((CloseCode::NORMAL, "bye"))),
        ];
        let [server, client] = pair();
        check(server, || pair()[1].take(), say, &told);
        check(client, || pair()[0].take(), say, &told);
    }

    impl Connection {
        fn take(&mut self) -> Self {
            core::mem::replace(self, Self::server(&Agreed::NOTHING))
        }
    }

    /// §5.3: each frame has a key of its own; §5.1: a server masks none.
    #[test]
    fn a_client_masks_each_frame_with_a_new_key() {
        let [mut server, mut client] = pair();
        let mut out = Vec::new();
        client.send(Message::Text("a"), &mut out).unwrap();
        client.send_part(Part::Binary(b"b"), false, &mut out).unwrap();
        client.close(None, &mut out);
        let expected = b"\x81\x81\x02\x55\xaa\x02c\x02\x81\x03\x55\xaa\x03a\x88\x80\x01\x55\xaa\x01";
        assert_eq!(out, expected, "the first key is kept for the Close");
        out.clear();
        server.send(Message::Text("a"), &mut out).unwrap();
        server.send_part(Part::Binary(b"b"), false, &mut out).unwrap();
        server.close(None, &mut out);
        assert_eq!(out, b"\x81\x01a\x02\x01b\x88\x00");
        assert!(!format!("{client:?}").contains("170"), "no key is printed: {client:?}");
    }

    /// §5.5.1: nothing is sent behind a Close, and no second one, whoever closed and however.
    #[test]
    fn nothing_follows_a_close() {
        type Way = fn(&mut Connection, &mut Vec<u8>);
        let ways: [Way; 5] = [
            |connection, out| connection.close(Some((CloseCode::NORMAL, "")), out),
            |connection, out| connection.close(None, out),
            |connection, out| connection.fail(CloseCode::POLICY_VIOLATION, "no", out),
            |connection, _| assert_eq!(connection.end_of_stream(), Ended::Abnormal),
            |connection, out| {
                let bytes: &[u8] = if connection.is_client() { b"\x88\x00" } else { b"\x88\x80\0\0\0\0" };
                assert_eq!(heard(connection, bytes, 1).0, ["Close(None)"]);
                out.push(0);
            },
        ];
        for way in ways {
            for mut connection in pair() {
                let mut out = Vec::new();
                way(&mut connection, &mut out);
                let before = out.clone();
                for message in [
                    Message::Text("a"),
                    Message::Binary(b"a"),
                    Message::Ping(Control::default()),
                    Message::Pong(Control::default()),
                ] {
                    assert_eq!(connection.send(message, &mut out), Err(SendError::Closing));
                }
                assert_eq!(connection.send_part(Part::Text("a"), true, &mut out), Err(SendError::Closing));
                connection.close(Some((CloseCode::NORMAL, "again")), &mut out);
                connection.fail(CloseCode::NORMAL, "again", &mut out);
                assert_eq!(out, before);
            }
        }
    }

    /// §5.4: nothing but control frames goes between the parts of a message.
    #[test]
    fn nothing_goes_between_the_parts_of_a_message() {
        for mut connection in pair() {
            let mut out = Vec::new();
            connection.send_part(Part::Text("a"), false, &mut out).unwrap();
            let before = out.clone();
            for refused in [
                connection.send(Message::Text("b"), &mut out),
                connection.send(Message::Binary(b"b"), &mut out),
                connection.send_part(Part::Binary(b"b"), false, &mut out),
                connection.send_part(Part::Binary(b"b"), true, &mut out),
            ] {
                assert_eq!(refused, Err(SendError::Interleaved));
            }
            assert_eq!(out, before);
            assert_eq!(connection.send(Message::Ping(control(b"?")), &mut out), Ok(()));
            assert_eq!(connection.send_part(Part::Text("c"), true, &mut out), Ok(()));
            assert_eq!(connection.send(Message::Binary(b"b"), &mut out), Ok(()));
        }
    }

    /// §5.5.2: a ping is answered with its bytes, unless the owner does that or a Close has been sent.
    #[test]
    fn pings_are_answered() {
        let ping = b"\x89\x82\0\0\0\0hi";
        let mut server = Connection::server(&Agreed::NOTHING);
        assert_eq!(heard(&mut server, ping, 1), (vec![format!("{:?}", Event::Ping(b"hi"))], b"\x8a\x02hi".to_vec()));
        let mut server = Connection::server(&Agreed::NOTHING).answer_pings(false);
        assert_eq!(heard(&mut server, ping, 8), (vec![format!("{:?}", Event::Ping(b"hi"))], vec![]));
        let mut server = Connection::server(&Agreed::NOTHING);
        server.close(None, &mut Vec::new());
        assert_eq!(heard(&mut server, ping, 8), (vec![], vec![]));
        // The longest, between fragments.
        let mut client = Connection::client(keys(), &Agreed::NOTHING);
        let bytes = [&b"\x01\x01a\x89\x7d"[..], &[9; 125], b"\x80\x01b"].concat();
        let (told, out) = heard(&mut client, &bytes, 3);
        assert_eq!(told, [format!("{:?}", Event::Ping(&[9; 125])), format!("{:?}", Event::Text("ab"))]);
        assert_eq!((&out[..2], out.len()), (&b"\x8a\xfd"[..], 2 + 4 + 125));
    }

    /// §7.1.4.
    #[test]
    fn an_end_is_clean_behind_the_closing_handshake_alone() {
        for (bytes, close_first, ended) in [
            (&b""[..], false, Ended::Abnormal),
            (b"", true, Ended::Abnormal),
            (b"\x81\x80\0\0\0\0", false, Ended::Abnormal),
            (b"\x88\x80\0\0\0\0", false, Ended::Clean),
            (b"\x88\x80\0\0\0\0", true, Ended::Clean),
            (b"\x88\x81\0\0\0\0a", false, Ended::Abnormal),
            (b"\x81\x00", false, Ended::Abnormal),
        ] {
            let mut server = Connection::server(&Agreed::NOTHING);
            if close_first {
                server.close(None, &mut Vec::new());
            }
            heard(&mut server, bytes, 1);
            assert_eq!((server.end_of_stream(), server.end_of_stream()), (ended, ended), "{bytes:x?} {close_first}");
            assert!(server.is_closed() && !server.is_open());
        }
    }

    /// Bytes behind the end are dropped, and an event that was found before it is not passed on.
    #[test]
    fn nothing_is_heard_behind_the_end() {
        let mut server = Connection::server(&Agreed::NOTHING);
        let bytes = b"\x88\x80\0\0\0\0\x81\x81\0\0\0\0a";
        assert_eq!(heard(&mut server, bytes, bytes.len()).0, ["Close(None)"]);
        let (mut server, mut input, mut out) = (Connection::server(&Agreed::NOTHING), Input::new(), Vec::new());
        input.extend(b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b");
        assert!(server.has_event(&mut input) && server.has_event(&mut input), "asking takes nothing away");
        // The room may grow between the two calls.
        input.extend(&[0x81; 5000]);
        assert_eq!(server.receive(&mut input, &mut out), Some(Event::Text("a")));
        assert!(server.has_event(&mut input));
        server.fail(CloseCode::GOING_AWAY, "", &mut out);
        assert_eq!(server.receive(&mut input, &mut out), None);
        assert!(input.is_empty() && out.len() == 4);
        input.shrink(0);
        assert_eq!(input.held_bytes(), 0);
    }

    /// An event that one connection has found is no trap for another.
    #[test]
    fn an_input_that_is_given_to_another_connection_harms_nothing() {
        let [mut server, mut client] = pair();
        let (mut input, mut out) = (Input::new(), Vec::new());
        input.extend(b"\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b\x81\x01c");
        assert!(server.has_event(&mut input));
        assert_eq!(client.receive(&mut input, &mut out), Some(Event::Text("ab")));
        assert_eq!(client.receive(&mut input, &mut out), Some(Event::Text("c")));
    }

    #[test]
    fn limits_and_one_past_them() {
        let limits = Limits { message_bytes: 200, fragments: 2 };
        let server = || Connection::server(&Agreed::NOTHING).limits(limits);
        let mut client = Connection::client(keys(), &Agreed::NOTHING);
        for (len, parts, error) in [
            (200, 1, None),
            (201, 1, Some(ProtocolError::MessageTooBig { limit: 200 })),
            (200, 2, None),
            (201, 2, Some(ProtocolError::MessageTooBig { limit: 200 })),
            (200, 3, Some(ProtocolError::TooManyFragments { limit: 2 })),
        ] {
            let (data, mut out) = (vec![7; len], Vec::new());
            let pieces: Vec<&[u8]> = data.chunks(len.div_ceil(parts)).collect();
            for (place, piece) in pieces.iter().enumerate() {
                client.send_part(Part::Binary(piece), place + 1 == parts, &mut out).unwrap();
            }
            let expected =
                error.map_or(format!("{:?}", Event::Binary(&data)), |error| format!("{:?}", Event::Failed(error)));
            for size in [out.len(), 1] {
                assert_eq!(heard(&mut server(), &out, size).0, [expected.as_str()], "{len} in {parts}");
            }
        }
    }

    /// What is passed on in pieces is the message, however it is cut, and is judged as the whole would be.
    #[test]
    fn messages_in_pieces() {
        let say = |out: &mut Vec<u8>| {
            let mut client = Connection::client(keys(), &Agreed::NOTHING);
            client.send(Message::Text("κόσμε"), out).unwrap();
            client.send_part(Part::Binary(b"ab"), false, out).unwrap();
            client.send(Message::Ping(control(b"?")), out).unwrap();
            client.send_part(Part::Binary(b""), false, out).unwrap();
            client.send_part(Part::Binary(b"c"), true, out).unwrap();
            client.send(Message::Binary(b""), out).unwrap();
            client.close(None, out);
        };
        let mut bytes = Vec::new();
        say(&mut bytes);
        for size in 1..=bytes.len() {
            let (mut server, mut input, mut out) = (Connection::server(&Agreed::NOTHING), Input::new(), Vec::new());
            let (mut whole, mut told): (Option<(Kind, Vec<u8>)>, Vec<String>) = (None, Vec::new());
            for piece in bytes.chunks(size) {
                input.extend(piece);
                while let Some(piece) = server.receive_piece(&mut input, &mut out) {
                    match piece {
                        Piece::Data { kind, bytes, first, last } => {
                            assert_eq!(first, whole.is_none());
                            let so_far = &mut whole.get_or_insert((kind, Vec::new())).1;
                            so_far.extend_from_slice(bytes);
                            if last {
                                told.push(format!("{:?}", whole.take().unwrap()));
                            }
                        }
                        Piece::Event(event) => told.push(format!("{event:?}")),
                    }
                }
                assert!(input.is_empty());
            }
            let expected = [
                format!("{:?}", (Kind::Text, "κόσμε".as_bytes())),
                format!("{:?}", Event::Ping(b"?")),
                format!("{:?}", (Kind::Binary, b"abc")),
                format!("{:?}", (Kind::Binary, b"")),
                "Close(None)".to_owned(),
            ];
            assert_eq!(told, expected, "in pieces of {size}");
        }
    }

    /// A limit that is lowered amid a message holds for what follows of it.
    #[test]
    fn a_lower_limit_holds_at_once() {
        let mut server = Connection::server(&Agreed::NOTHING);
        let (mut input, mut out) = (Input::new(), Vec::new());
        input.extend(&[&b"\x02\xe4\0\0\0\0"[..], &[7; 100]].concat());
        assert_eq!(server.receive(&mut input, &mut out), None);
        let mut server = server.limits(Limits { message_bytes: 50, fragments: 9 });
        input.extend(b"\x80\x81\0\0\0\0a");
        let error = ProtocolError::MessageTooBig { limit: 50 };
        assert_eq!(server.receive(&mut input, &mut out), Some(Event::Failed(error)));
    }

    /// Behind our own Close the peer's messages are counted, and neither judged nor kept, however they are cut.
    #[test]
    fn messages_behind_our_own_close_are_skipped() {
        for message in [
            &b"\x81\x81\0\0\0\0\xff"[..],
            b"\x81\x82\0\0\0\0a\xe2",
            b"\x01\x81\0\0\0\0\xff\x80\x81\0\0\0\0\xff",
            b"\x01\x81\0\0\0\0\xff\x89\x80\0\0\0\0\x80\x81\0\0\0\0\xff",
            b"\x82\x88\0\0\0\x001234567\xff\x81\x80\0\0\0\0",
        ] {
            let bytes = [message, b"\x88\x82\0\0\0\0\x03\xe8"].concat();
            for (size, before) in [(bytes.len(), 0), (1, 0), (3, 0), (bytes.len(), 6), (1, 6), (1, 7)] {
                let (mut server, mut input, mut out) = (Connection::server(&Agreed::NOTHING), Input::new(), Vec::new());
                // The message has begun when the Close is sent.
                input.extend(&bytes[..before]);
                let begun = server.receive(&mut input, &mut out);
                if matches!(begun, Some(Event::Failed(_))) {
                    continue;
                }
                server.close(None, &mut out);
                let (told, answered) = heard(&mut server, &bytes[before..], size);
                assert_eq!(told, [r#"Close(Some((1000, "")))"#], "{message:x?} in pieces of {size}");
                assert!(answered.is_empty() && server.end_of_stream() == Ended::Clean);
            }
        }
        let mut server = Connection::server(&Agreed::NOTHING);
        server.close(None, &mut Vec::new());
        let _ = heard(&mut server, &[&b"\x02\xfe\xff\xff\0\0\0\0"[..], &[7; 60_000]].concat(), 1000);
        assert!(server.held_bytes() < 300, "{}", server.held_bytes());
    }

    /// Frames of all kinds, good and bad, behind our own Close and without: what is told, what is answered and how it
    /// ends do not depend on where the reads were cut.
    #[test]
    fn the_outcome_is_the_same_however_it_is_cut() {
        let mut any = 0x9e37_79b9_u32;
        let mut below = |bound: usize| {
            any ^= any << 13;
            any ^= any >> 17;
            any ^= any << 5;
            any as usize % bound
        };
        let (mut failed, mut clean) = (0, 0);
        for case in 0..4000 {
            let mut bytes = Vec::new();
            for _ in 0..1 + below(6) {
                let first = [0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x80, 0x00, 0x89, 0x8a, 0x88, 0xc1][below(12)];
                let len = below(6);
                bytes.extend([first, 0x80 | len as u8, 0, 0, 0, 0]);
                bytes.extend((0..len).map(|_| b"aaa\xe2\x82\xac\xff\x03\xe8"[below(9)]));
            }
            for closes in [false, true] {
                let outcomes = [bytes.len(), 1, 2, 3, 1 + below(bytes.len())].map(|size| {
                    let limits = Limits { message_bytes: 12, fragments: 3 };
                    let (mut server, mut out) = (Connection::server(&Agreed::NOTHING).limits(limits), Vec::new());
                    if closes {
                        server.close(None, &mut out);
                    }
                    let (told, answered) = heard(&mut server, &bytes, size);
                    assert!(server.held_bytes() < 300, "{}", server.held_bytes());
                    (told, answered, server.end_of_stream())
                });
                let (told, _, ended) = &outcomes[0];
                failed += usize::from(told.last().is_some_and(|told| told.starts_with("Failed")));
                clean += usize::from(*ended == Ended::Clean);
                assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{case}: {bytes:x?}: {outcomes:?}");
            }
        }
        assert!(failed > 1000 && clean > 100, "{failed} violations, {clean} clean ends");
    }

    /// An event that has been found stays whole, whatever room is given back before it is received.
    #[test]
    fn shrinking_loses_no_event() {
        for (bytes, event) in [
            (&b"\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b"[..], Event::Text("ab")),
            (b"\x88\x82\0\0\0\0\x03\xe8", Event::Close(Some((CloseCode::NORMAL, "")))),
        ] {
            for size in [1, bytes.len()] {
                let (mut server, mut input, mut out) = (Connection::server(&Agreed::NOTHING), Input::new(), Vec::new());
                for piece in bytes.chunks(size) {
                    input.extend(piece);
                    let found = server.has_event(&mut input);
                    input.shrink(0);
                    assert!(!found || server.receive(&mut input, &mut out) == Some(event), "in pieces of {size}");
                }
                assert!(server.receive(&mut input, &mut out).is_none());
            }
        }
    }

    /// What was put together is not kept once the next message lies whole, nor behind the end.
    #[test]
    fn an_idle_connection_holds_nothing() {
        let (mut input, mut out) = (Input::new(), Vec::new());
        let mut server = Connection::server(&Agreed::NOTHING);
        for piece in [&b"\x82"[..], b"\x81\0\0\0\0a", b"\x82\x81\0\0\0\0b"] {
            input.extend(piece);
            while server.receive(&mut input, &mut out).is_some() {}
        }
        assert_eq!(server.held_bytes(), 0);
        for piece in [&b"\x82\x82\0\0\0\0a"[..], b"b", b""] {
            input.extend(piece);
            while server.receive_piece(&mut input, &mut out).is_some() {}
        }
        assert_eq!(server.held_bytes(), 0);
        input.extend(&[&b"\x02\xe4\0\0\0\0"[..], &[7; 100], b"\x88\x80\0\0\0\0"].concat());
        assert!(server.receive(&mut input, &mut out) == Some(Event::Close(None)) && server.held_bytes() == 0);
        assert!(server.receive(&mut input, &mut out).is_none());
    }

    /// Text is judged as it comes, limits hold for the whole message, and nothing is held of it.
    #[test]
    fn pieces_are_judged() {
        let limits = Limits { message_bytes: 200, fragments: 2 };
        for (bytes, error) in [
            (&b"\x81\xfe\0\xc8\0\0\0\0a\xff"[..], ProtocolError::InvalidUtf8),
            (b"\x81\x82\0\0\0\0a\xe2", ProtocolError::InvalidUtf8),
            (b"\x01\x81\0\0\0\0\xe2\x80\x81\0\0\0\0a", ProtocolError::InvalidUtf8),
            (b"\x82\xfe\0\xc9\0\0\0\0", ProtocolError::MessageTooBig { limit: 200 }),
            (b"\x02\x81\0\0\0\0a\x80\xfe\0\xc8\0\0\0\0", ProtocolError::MessageTooBig { limit: 200 }),
            (b"\x02\x80\0\0\0\0\0\x80\0\0\0\0\0\x80", ProtocolError::TooManyFragments { limit: 2 }),
            (b"\x02\x80\0\0\0\0\x82\x80\0\0\0\0", ProtocolError::ExpectedContinuation),
        ] {
            for size in [1, bytes.len()] {
                let mut server = Connection::server(&Agreed::NOTHING).limits(limits);
                let (mut input, mut out, mut last) = (Input::new(), Vec::new(), None);
                for piece in bytes.chunks(size) {
                    input.extend(piece);
                    while let Some(piece) = server.receive_piece(&mut input, &mut out) {
                        last = match piece {
                            Piece::Event(Event::Failed(error)) => Some(error),
                            _ => None,
                        };
                    }
                    assert!(server.held_bytes() < 300, "{}", server.held_bytes());
                }
                assert_eq!(last, Some(error), "{bytes:x?} in pieces of {size}");
                assert_eq!(out[0], 0x88);
            }
        }
    }

    /// Asked for whole messages amid one that is passed on: what is left of that is skipped, and a text of which a
    /// piece ends amid a character is no violation.
    #[test]
    fn a_whole_message_is_not_the_rest_of_one() {
        for taken in [true, false] {
            for begin in [&b"\x82\x83\0\0\0\0a"[..], b"\x01\x83\0\0\0\0\xe2\x80\x81\x80\x80\0\0\0\0"] {
                for cut in 7..=begin.len() {
                    let mut server = Connection::server(&Agreed::NOTHING);
                    let (mut input, mut out) = (Input::new(), Vec::new());
                    input.extend(&begin[..cut]);
                    assert!(server.has_piece(&mut input));
                    assert!(!taken || server.receive_piece(&mut input, &mut out).is_some());
                    input.extend(&begin[cut..]);
                    if begin[0] == 0x82 {
                        input.extend(b"bc");
                    }
                    input.extend(b"\x81\x81\0\0\0\0d");
                    assert_eq!(server.receive(&mut input, &mut out), Some(Event::Text("d")), "{begin:x?} at {cut}");
                    assert_eq!((server.receive(&mut input, &mut out), server.held_bytes()), (None, 0));
                }
            }
        }
    }

    /// RFC 7692 through both heads: what is compressed, by whom, with which context and window.
    #[cfg(all(feature = "deflate", feature = "handshake"))]
    mod deflate {
        use super::*;
        use crate::client_handshake::{ClientRequest, Response};
        use crate::extension::{ClientContext, Offer};
        use crate::handshake::Request;

        /// Both sides of a handshake in which that was offered and answered.
        fn shake(offer: Option<Offer>, context: Option<ClientContext>) -> [Connection; 2] {
            let request = ClientRequest::new("h", *b"the sample nonce");
            let request = offer.map_or(request, |offer| request.deflate(offer));
            let (mut head, mut answer) = (Vec::new(), Vec::new());
            request.encode(&mut head).unwrap();
            let upgrade = Request::parse(&head).unwrap().upgrade().unwrap();
            let upgrade = match context {
                Some(context) => upgrade.deflate(context),
                None => upgrade,
            };
            let server = Connection::server(&upgrade.encode(&mut answer));
            let agreed = Response::parse(&answer).unwrap().accept(&request).unwrap();
            [server, Connection::client(keys(), &agreed)].map(|connection| connection.compression(9, 10))
        }

        #[test]
        fn both_sides_compress_what_both_heads_agree_to() {
            let small = Offer::new().server_max_window_bits(9);
            for (offer, context, compresses) in [
                (Some(Offer::new()), Some(ClientContext::Kept), true),
                (Some(Offer::new()), Some(ClientContext::Reset), true),
                (Some(Offer::new().server_no_context_takeover()), Some(ClientContext::Kept), true),
                (small, Some(ClientContext::Kept), true),
                (Some(Offer::new()), None, false),
                (None, Some(ClientContext::Kept), false),
                (None, None, false),
            ] {
                let text = "what is said twice, what is said twice, ".repeat(2_000);
                for (said, rsv1) in [("short", false), (&text[..400], true), (&text[..60_000], true)] {
                    for turn in [[0, 1], [1, 0]] {
                        let sides = shake(offer, context);
                        let [mut one, mut other] = [None, None];
                        for (place, side) in sides.into_iter().enumerate() {
                            *(if place == turn[0] { &mut one } else { &mut other }) = Some(side);
                        }
                        let (mut one, mut other) = (one.unwrap(), other.unwrap());
                        let mut out = Vec::new();
                        for _ in 0..2 {
                            one.send(Message::Text(said), &mut out).unwrap();
                        }
                        one.send(Message::Ping(control(&[b'p'; 100])), &mut out).unwrap();
                        assert_eq!(out[0], if rsv1 && compresses { 0xc1 } else { 0x81 }, "{offer:?} {context:?}");
                        let text = format!("{:?}", Event::Text(said));
                        let ping = format!("{:?}", Event::Ping(&[b'p'; 100]));
                        let size = if said.len() > 1000 { 1000 } else { 1 };
                        assert_eq!(heard(&mut other, &out, size).0, [text.clone(), text, ping]);
                    }
                }
            }
        }

        /// Nothing is compressed into what does not become smaller, and parts are sent as they are.
        #[test]
        fn what_is_not_compressed() {
            let [mut server, _] = shake(Some(Offer::new()), Some(ClientContext::Kept));
            let mut out = Vec::new();
            server.send(Message::Binary(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), &mut out).unwrap();
            server.send_part(Part::Text("aaaaaaaaaaaaaaaaaaaaaaaa"), false, &mut out).unwrap();
            server.send_part(Part::Text("aaaaaaaaaaaaaaaaaaaaaaaa"), true, &mut out).unwrap();
            assert_eq!((out[0], out[12], out[12 + 26]), (0x82, 0x01, 0x80));
        }

        /// A server that keeps its context, as others do and ours does not: the client knows it by the answer.
        #[test]
        fn a_server_with_context_is_understood() {
            let mut stream = flate2::Compress::new(flate2::Compression::new(6), false);
            let mut bytes = Vec::new();
            for _ in 0..3 {
                let mut payload = Vec::with_capacity(1000);
                stream.compress_vec(b"Hello, Hello, Hello", &mut payload, flate2::FlushCompress::Sync).unwrap();
                let payload = payload.strip_suffix(b"\x00\x00\xff\xff").unwrap();
                crate::deflate::encode_deflated_frame(Kind::Text, payload, &mut bytes);
            }
            let told = |answer: &str| {
                let agreed = Offer::new().judge([answer.as_bytes()]).unwrap();
                let mut client = Connection::client(keys(), &Agreed::new(None, agreed));
                heard(&mut client, &bytes, 1).0
            };
            let hello = format!("{:?}", Event::Text("Hello, Hello, Hello"));
            assert_eq!(told("permessage-deflate"), [&*hello; 3]);
            let corrupt = format!("{:?}", Event::Failed(ProtocolError::CorruptDeflate));
            assert_eq!(told("permessage-deflate; server_no_context_takeover"), [hello, corrupt]);
        }

        /// §7.1.2.2: zlib has no window of 2^8, so a client that agreed to it compresses nothing.
        #[test]
        fn the_smallest_window() {
            let agreed = Offer::new().judge([&b"permessage-deflate; client_max_window_bits=8"[..]]).unwrap();
            let mut client = Connection::client(keys(), &Agreed::new(None, agreed)).compression(9, 0);
            let mut out = Vec::new();
            client.send(Message::Text(&"a".repeat(1000)), &mut out).unwrap();
            assert_eq!(out[0], 0x81);
        }
    }
}
