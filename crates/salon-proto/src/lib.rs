//! RFC 6455 and RFC 7692 without I/O and without a clock: bytes in, events and bytes out.
//!
//! A WebSocket codec for servers and clients, over whatever brings the bytes: blocking sockets, an event loop, an async
//! runtime, TLS, a Worker. It is strict: text is judged at its first wrong byte, and what comes out is the same however
//! the input is cut. A message that lies whole in the caller's buffer is lent in place; nothing is allocated for a
//! length that is only claimed.
//!
//! | feature (on by default, unless it says off) | what it brings | crates |
//! |---|---|---|
//! | none | frames, messages, control frames, the closing handshake; `no_std` with `alloc` | 0 |
//! | `handshake` | [`handshake`] and [`client_handshake`] | 10 |
//! | `deflate` | [`deflate`]: permessage-deflate (needs std) | 2 |
//! | `simd` | unmasking and UTF-8 with the widest vectors of the processor (needs std) | 2 |
//! | `std` | with `handshake`: [`blocking`], a WebSocket over `Read + Write` | 0 |
//! | `tokio` (off by default) | `tokio`: one over `AsyncRead + AsyncWrite`, a `Stream` and a `Sink` | 4 |
//! | `getrandom` (off by default) | `random`: keys and nonces from the system | 3 |
//!
//! In the order of the RFC:
//!
//! | section | what | where |
//! |---|---|---|
//! | 4.2 | the opening handshake: where a request head ends, what it says, the answer | [`handshake`] |
//! | 4.1 | a client's side of it: the request, and how the response is judged | [`client_handshake`] |
//! | 4 | what both sides have agreed to: [`Agreed`] | [`agreed`] |
//! | 5 to 7.1 | both directions behind it: messages, control frames, closing: [`Connection`] | [`connection`] |
//! | | the bytes that have come: [`Input`] | [`input`] |
//! | 5.5, 5.6 | what may be sent: [`Message`], [`Part`], [`Control`] | [`message`] |
//! | 7.4 | status codes and the body of a Close frame | [`close`] |
//! | 9.1, RFC 7692 section 7.1 | how permessage-deflate is agreed to | [`extension`] |
//! | | every mistake a peer can make in frames, each with its status code | [`error`] |
//!
//! A [`Connection`] cannot write what the RFC forbids. It stands on parts that know less, for owners of many
//! connections who encode a message once for all that hear it, for proxies, and for tests that must be able to write
//! what is wrong:
//!
//! | section | what | where |
//! |---|---|---|
//! | 5.2 | the frame header, and the rules for what may stand in it; whole frames | [`frame`] |
//! | 5.3 | masking | [`mask`] |
//! | 5.4 to 7.1 | the receiving half alone: [`Receiver`](receiver::Receiver) | [`receiver`] |
//! | 8.1 | UTF-8 that comes in pieces | [`utf8`] |
//! | RFC 7692 section 7.2 | what permessage-deflate does to messages | [`deflate`] |
//!
//! A server that owns a socket reads the request head, answers it, and from then on puts what it reads into an
//! [`Input`]. The whole life of a connection, without a socket:
//!
//! ```
//! use salon_proto::frame::{Opcode, encode_masked_frame};
//! use salon_proto::handshake::{HeadScanner, Request};
//! use salon_proto::{ClientContext, Connection, Ended, Event, Input, Message};
//!
//! // What reads would have brought: a request head, a text, and a Close.
//! let mut read = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\
//!     Upgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
//!     .to_vec();
//! encode_masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut read);
//! encode_masked_frame(Opcode::Close, &1000_u16.to_be_bytes(), [1, 2, 3, 4], &mut read);
//!
//! // What is to be written.
//! let mut out = Vec::new();
//!
//! // Section 4.2. The scanner is asked again after each read until the head is complete.
//! let head_len = HeadScanner::default().scan(&read)?.expect("the head is complete");
//! let upgrade = Request::parse(&read[..head_len])?.upgrade()?;
//! # #[cfg(feature = "deflate")]
//! let upgrade = upgrade.deflate(ClientContext::Reset);
//! let agreed = upgrade.encode(&mut out);
//! assert!(out.ends_with(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
//! out.clear();
//!
//! // Sections 5 to 7. Whatever splits the input, the events are the same.
//! let (mut connection, mut input) = (Connection::server(&agreed), Input::new());
//! input.extend(&read[head_len..]);
//! while let Some(event) = connection.receive(&mut input, &mut out) {
//!     match event {
//!         Event::Text(text) => connection.send(Message::Text(text), &mut out).expect("it is open"),
//!         Event::Binary(data) => connection.send(Message::Binary(data), &mut out).expect("it is open"),
//!         // Pongs, the answer to a Close, and the Close after a violation are in `out` already.
//!         _ => {}
//!     }
//! }
//! // Write `out`, and read more unless the connection is closed.
//! assert_eq!(out, b"\x81\x05Hello\x88\x02\x03\xe8");
//! assert!(connection.is_closed());
//! assert_eq!(connection.end_of_stream(), Ended::Clean);
//! # Ok::<(), salon_proto::handshake::RequestError>(())
//! ```
//!
//! A client is a [`Connection`] too; it masks what it sends, with keys from a source that it is given once:
//!
//! ```
//! use salon_proto::client_handshake::{ClientRequest, Response, ResponseScanner};
//! use salon_proto::{Connection, Event, Input, Message};
//!
//! // The nonce and the masks are the RFC's examples; yours come from a strong source of randomness.
//! let request = ClientRequest::new("server.example.com", *b"the sample nonce").target("/chat");
//! # #[cfg(feature = "deflate")]
//! let request = request.deflate(salon_proto::Offer::new());
//! let mut out = Vec::new(); // what is to be written
//! request.encode(&mut out).expect("nothing in it that may not stand in a head");
//!
//! // What reads would have brought: the response, and the first frame right behind it.
//! let read = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello";
//! let head_len = ResponseScanner::default().scan(read)?.expect("the head is complete");
//! let agreed = Response::parse(&read[..head_len])?.accept(&request)?;
//! assert_eq!(agreed.protocol(), None);
//!
//! let keys = || [0x37, 0xfa, 0x21, 0x3d];
//! let (mut connection, mut input) = (Connection::client(keys, &agreed), Input::new());
//! input.extend(&read[head_len..]);
//! out.clear();
//! assert_eq!(connection.receive(&mut input, &mut out), Some(Event::Text("Hello")));
//! connection.send(Message::Text("Hello"), &mut out).expect("it is open");
//! assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
//! # Ok::<(), salon_proto::client_handshake::ResponseError>(())
//! ```
//!
//! [`traps`] has a row for each of nineteen ways to hold a codec wrongly, and what holds it.
//!
//! Adapters, each in a file, do the handshake and the reads and writes over a stream: [`blocking::WebSocket`] and, with
//! the feature `tokio`, `tokio::WebSocket`.
//!
//! Not here: sockets, timers, other extensions, and, without the feature `getrandom`, randomness.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

/// The examples of the README are tested.
#[cfg(all(doctest, feature = "handshake", feature = "deflate"))]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod agreed;
#[cfg(all(feature = "std", feature = "handshake"))]
pub mod blocking;
#[cfg(feature = "handshake")]
pub mod chunked;
#[cfg(feature = "handshake")]
pub mod client_handshake;
pub mod close;
pub mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
pub mod error;
pub mod extension;
pub mod frame;
#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "handshake")]
mod head;
pub mod input;
pub mod mask;
pub mod message;
#[cfg(all(feature = "std", feature = "handshake"))]
mod opening;
#[cfg(all(feature = "std", feature = "handshake"))]
mod output;
#[cfg(feature = "getrandom")]
pub mod random;
#[cfg(all(feature = "std", feature = "handshake"))]
mod read_on;
pub mod receiver;
#[cfg(feature = "handshake")]
mod refusal;
#[cfg(feature = "handshake")]
mod refused;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(all(feature = "handshake", feature = "deflate"))]
pub mod traps;
pub mod utf8;

pub use agreed::Agreed;
#[cfg(feature = "handshake")]
pub use client_handshake::ClientRequest;
pub use close::CloseCode;
pub use connection::{Connection, Ended};
pub use error::ProtocolError;
pub use extension::{ClientContext, Offer, PermessageDeflate};
pub use frame::{Kind, Limits};
pub use input::Input;
pub use message::{Control, Message, OwnedControl, OwnedMessage, Part, SendError};
pub use receiver::{Event, Piece};
