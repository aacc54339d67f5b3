//! RFC 6455 without I/O and without a clock: bytes in, events and bytes out.
//!
//! The modules follow the RFC: [`handshake`] is section 4, [`frame`] and [`mask`] are section 5,
//! [`connection`] is sections 5.4 to 7, [`close`] is section 7.4 and [`utf8`] section 8.1.
//! [`extension`] and [`deflate`] are RFC 7692: how permessage-deflate is agreed to, and what it does to messages.
//! [`error`] holds every mistake a peer can make in frames, each with its status code.
//!
//! A server that owns a socket reads the request head, answers it, and from then on feeds what it reads
//! into a [`Connection`]:
//!
//! ```
//! use salon::proto::{Connection, Event, Limits, Opcode, encode_frame, encode_masked_frame};
//!
//! let mut connection = Connection::new(Limits::default());
//! let mut input = Vec::new(); // what a read would have brought
//! encode_masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut input);
//!
//! let mut output = Vec::new(); // what is to be written
//! let (taken, event) = connection.decode(&mut input, &mut output);
//! assert_eq!(event, Some(Event::Text("Hello")));
//! assert_eq!(taken, 11);
//!
//! encode_frame(Opcode::Text, b"Hello to you", &mut output);
//! assert_eq!(&output[..2], [0x81, 12]);
//! ```
//!
//! `examples/blocking_echo.rs` does the same with a `TcpStream`, from the request head to the end of the stream.
//! A connection that agreed to permessage-deflate is made with [`Connection::with_deflate`]; who has many of them lends
//! all the same [`Inflater`], to [`Connection::decode_with`].
//!
//! Not here: sockets, timers, other extensions, and the client's side of the handshake.

pub mod close;
pub mod connection;
pub mod deflate;
pub mod error;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod utf8;

pub use close::CloseCode;
pub use connection::{Connection, Event};
pub use deflate::{Deflater, Inflater, encode_deflated_frame};
pub use error::ProtocolError;
pub use extension::{ClientContext, PermessageDeflate};
pub use frame::{FrameHeader, Limits, Opcode, encode_frame, encode_masked_frame};
