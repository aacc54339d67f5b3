//! Bytes of a client into a [`Receiver`], and its events, to be kept and compared.
//!
//! It needs `salon::proto` and nothing else: fuzz targets take it in by its path.

use salon::proto::deflate::Inflater;
use salon::proto::frame::{Opcode, encode_frame, encode_masked_frame};
use salon::proto::receiver::Receiver;
use salon::proto::{Event, ProtocolError};

/// An [`Event`] that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(ProtocolError),
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(data) => Self::Binary(data.into()),
            Event::Ping(data) => Self::Ping(data.into()),
            Event::Pong(data) => Self::Pong(data.into()),
            Event::Close(body) => Self::Close(body.map(|(code, reason)| (code.get(), reason.into()))),
            Event::Failed(error) => Self::Failed(error),
            other => unreachable!("an event that is not known: {other:?}"),
        }
    }
}

impl Told {
    /// The bytes of a message or of a ping or pong.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data,
            Self::Close(_) | Self::Failed(_) => b"",
        }
    }
}

pub fn text(text: &str) -> Told {
    Told::Text(text.into())
}

/// All events and answers of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub told: Vec<Told>,
    pub reply: Vec<u8>,
}

impl Outcome {
    /// One read, as an engine does it: a buffer with this piece, decoded until there is no more event.
    pub fn read(&mut self, connection: &mut Receiver, mut inflater: Option<&mut Inflater>, piece: &[u8]) {
        let mut input = piece.to_vec();
        let mut at = 0;
        loop {
            let (taken, event) = match &mut inflater {
                Some(inflater) => connection.decode_with(&mut input[at..], &mut self.reply, inflater),
                None => connection.decode(&mut input[at..], &mut self.reply),
            };
            at += taken;
            match event {
                Some(event) => self.told.push(event.into()),
                None => break,
            }
        }
        assert_eq!(at, input.len(), "without an event everything has been taken");
    }
}

/// A frame of a client with the first byte as it stands.
pub fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_masked_frame(Opcode::Binary, payload, KEY, &mut out);
    out[0] = first;
    out
}

/// The masking key of section 5.7.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A Close of the server.
pub fn close_reply(code: u16, reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat(), &mut out);
    out
}

/// For the message of a row that fails.
pub fn short(bytes: &[u8]) -> String {
    format!("{:02x?}... ({} bytes)", &bytes[..bytes.len().min(40)], bytes.len())
}
