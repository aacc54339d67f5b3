//! RFC 6455 and RFC 7692 without I/O and without a clock: bytes in, events and bytes out.
//!
//! A WebSocket codec for servers and clients, over whatever brings the bytes: blocking sockets, an event loop, an async
//! runtime, TLS, a Worker. It is strict: text is judged at its first wrong byte, and what comes out is the same however
//! the input is cut. A message that lies whole in the caller's buffer is lent in place; nothing is allocated for a
//! length that is only claimed.
//!
//! | feature (all are on by default) | what it brings | crates |
//! |---|---|---|
//! | none | frames, messages, control frames, the closing handshake; `no_std` with `alloc` | 0 |
//! | `handshake` | [`handshake`] and [`client_handshake`] | 10 |
//! | `deflate` | [`deflate`]: permessage-deflate (needs std) | 2 |
//! | `simd` | unmasking and UTF-8 with the widest vectors of the processor (needs std) | 2 |
//! | `std` | nothing by itself | 0 |
//!
//! In the order of the RFC:
//!
//! | section | what | where |
//! |---|---|---|
//! | 4.2 | the opening handshake: where a request head ends, what it says, the answer | [`handshake`] |
//! | 4.1 | a client's side of it: the request, and how the response is judged | [`client_handshake`] |
//! | 5.2 | the frame header, and the rules for what may stand in it | [`frame`] |
//! | 5.3 | masking | [`mask`] |
//! | 5.4 to 7.1 | messages, fragments, control frames, the closing handshake: [`Connection`] | [`connection`] |
//! | 7.4 | status codes and the body of a Close frame | [`close`] |
//! | 8.1 | UTF-8 that comes in pieces | [`utf8`] |
//! | 9.1, RFC 7692 section 7.1 | how permessage-deflate is agreed to | [`extension`] |
//! | RFC 7692 section 7.2 | what it does to messages | [`deflate`] |
//! | | every mistake a peer can make in frames, each with its status code | [`error`] |
//!
//! A server that owns a socket reads the request head, answers it, and from then on feeds what it reads into a
//! [`Connection`]. The whole life of a connection, without a socket:
//!
//! ```
//! use salon_proto::handshake::{HeadScanner, NO_HEADERS, Request, encode_switching_protocols};
//! use salon_proto::{Connection, Event, Limits, Opcode, encode_frame, encode_masked_frame};
//!
//! // What reads would have brought: a request head, a text, and a Close.
//! let mut input = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\
//!     Upgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
//!     .to_vec();
//! encode_masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut input);
//! encode_masked_frame(Opcode::Close, &1000_u16.to_be_bytes(), [1, 2, 3, 4], &mut input);
//!
//! // What is to be written.
//! let mut output = Vec::new();
//!
//! // Section 4.2. The scanner is asked again after each read until the head is complete.
//! let head_len = HeadScanner::default().scan(&input)?.expect("the head is complete");
//! let mut storage = NO_HEADERS;
//! let accept = Request::parse(&input[..head_len], &mut storage)?.upgrade()?;
//! encode_switching_protocols(&accept, None, &mut output);
//! assert!(output.ends_with(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
//! output.clear();
//!
//! // Sections 5 to 7. Whatever splits the input, the events are the same.
//! let mut connection = Connection::new(Limits::default());
//! let mut at = head_len;
//! loop {
//!     let (taken, event) = connection.decode(&mut input[at..], &mut output);
//!     at += taken;
//!     match event {
//!         Some(Event::Text(text)) => encode_frame(Opcode::Text, text.as_bytes(), &mut output),
//!         Some(Event::Binary(data)) => encode_frame(Opcode::Binary, data, &mut output),
//!         Some(Event::Ping(data)) => encode_frame(Opcode::Pong, data, &mut output),
//!         // The answer to a Close, and the Close after a violation, are in `output` already.
//!         Some(Event::Pong(_) | Event::Close(_) | Event::Failed(_)) => {}
//!         None => break, // Write `output`, and read more unless the connection is closed.
//!     }
//! }
//! assert_eq!(output, b"\x81\x05Hello\x88\x02\x03\xe8");
//! assert!(connection.is_closed());
//! # Ok::<(), salon_proto::handshake::RequestError>(())
//! ```
//!
//! `examples/blocking_echo.rs` does the same with a `TcpStream`. A connection that agreed to permessage-deflate is made
//! with [`Connection::with_deflate`]; an owner of many lends all of them the same [`Inflater`], by
//! [`Connection::decode_with`].
//!
//! A client is the same [`Connection`] in the other [`Role`]; it masks what it sends, with keys that its caller draws:
//!
//! ```
//! use salon_proto::client_handshake::{ClientRequest, Response, ResponseScanner};
//! use salon_proto::handshake::NO_HEADERS;
//! use salon_proto::{Connection, Event, Limits, Opcode, encode_masked_frame};
//!
//! // The key and the masks are the RFC's examples; yours come from a strong source of randomness, each anew.
//! let nonce = *b"the sample nonce";
//! let request = ClientRequest { host: "server.example.com", target: "/chat", nonce, ..Default::default() };
//! let mut output = Vec::new(); // what is to be written
//! request.encode(&mut output).expect("nothing in it that may not stand in a head");
//!
//! // What reads would have brought: the response, and the first frame right behind it.
//! let mut input = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello".to_vec();
//! let head_len = ResponseScanner::default().scan(&input)?.expect("the head is complete");
//! let mut headers = NO_HEADERS;
//! let agreed = Response::parse(&input[..head_len], &mut headers)?.accept(&request)?;
//! assert_eq!(agreed.protocol, None);
//!
//! let mut connection = Connection::client(Limits::default(), [0x9a, 0x07, 0xc3, 0x5e]);
//! let (_, event) = connection.decode(&mut input[head_len..], &mut output);
//! assert_eq!(event, Some(Event::Text("Hello")));
//! output.clear();
//! encode_masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut output);
//! assert_eq!(output, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
//! # Ok::<(), salon_proto::client_handshake::ResponseError>(())
//! ```
//!
//! `examples/blocking_client.rs` is that with a `TcpStream`.
//!
//! Not here: sockets, timers, randomness, other extensions, and a client that offers one: its side of
//! permessage-deflate.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

/// The examples of the README are tested.
#[cfg(all(doctest, feature = "handshake", feature = "deflate"))]
#[doc = include_str!("../README.md")]
struct Readme;

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
pub mod mask;
pub mod utf8;

#[cfg(feature = "handshake")]
pub use client_handshake::ClientRequest;
pub use close::CloseCode;
pub use connection::{Connection, Event, Role};
#[cfg(feature = "deflate")]
pub use deflate::{Deflater, Inflater, encode_deflated_frame};
pub use error::ProtocolError;
pub use extension::{ClientContext, PermessageDeflate};
pub use frame::{FrameHeader, Kind, Limits, Opcode, encode_frame, encode_masked_frame};
