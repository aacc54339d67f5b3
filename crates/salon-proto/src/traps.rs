//! What is easy to get wrong with a codec, and what holds each of it here: nothing is in this module but that table.
//!
//! Somebody who wrote eight programs with this codec before it was a crate met nineteen traps. Of each there is a row:
//! a line that does not compile (below), or a test that shows what happens instead.
//! [`Connection`](crate::Connection) with its [`Input`](crate::Input) holds them; the parts it is made of
//! ([`frame`](crate::frame), [`receiver`](crate::receiver), [`deflate`](crate::deflate)) know less, and say so.
//!
//! | | what went wrong | what holds it | shown by |
//! |---|---|---|---|
//! | 1 | a frame of the wrong side: not masked by a client | the connection masks by its role | row 1 |
//! | 2 | a ping of 200 bytes, text that is no UTF-8, a text amid another, a Close without FIN | [`Control`](crate::Control), `&str`, [`SendError::Interleaved`](crate::SendError); there is no header to fill in | rows 2a, 2b; `nothing_goes_between_the_parts_of_a_message` |
//! | 3 | text behind our own Close | [`SendError::Closing`](crate::SendError) | `nothing_follows_a_close`, row 3 |
//! | 4 | status codes 0, 1005, 5000 on the wire | [`CloseCode::new`](crate::CloseCode::new) | row 4; `codes_on_the_wire` |
//! | 5 | a Close without a code, and then a second one | `close(None)`, once | `nothing_follows_a_close` |
//! | 6 | what was taken is decoded again | [`Input`](crate::Input) knows what was taken | `the_outcome_is_the_same_however_it_is_cut` |
//! | 7 | how much was taken is not added up | the same; at the receiver that number is `#[must_use]` | rows 7a, 7b |
//! | 8 | pings fall under `_ => {}` | they are answered, unless that is switched off | `pings_are_answered` |
//! | 9 | the Close overtakes an answer in another buffer | one buffer, `out` | `each_side_hears_what_the_other_says` |
//! | 10 | a connection that inflates what was not agreed to, or does not | it is made with [`Agreed`](crate::Agreed), which only a handshake makes | rows 10a, 10b; `both_sides_compress_what_both_heads_agree_to` |
//! | 11 | compressed with the wrong window | the connection knows it; 8 is refused | `the_smallest_window`, row 11 |
//! | 12 | nonce and masking keys that were left at zero | both are arguments, and no default | rows 12a, 12b |
//! | 13 | a compressed ping; a sub-protocol that was not offered; CR LF in a header | [`Kind`](crate::Kind); `Upgrade::choose` names what was offered; [`UnfitHeader`](crate::handshake::UnfitHeader) | row 13; `a_server_chooses_adds_and_refuses`, `refusals` |
//! | 14 | the rules for the next frame kept up by hand | [`FrameRules::pass`](crate::frame::FrameRules::pass) | its example; `frames_go_through_as_they_were_agreed_to` |
//! | 15 | a wrapper whose loop returns an event did not compile | [`Connection::has_event`](crate::Connection::has_event) | its example; row 15 |
//! | 16 | an event could not be answered where it is looked at | events borrow the input alone | row 16 |
//! | 17 | room for headers could not be used twice | none is asked for | row 17 |
//! | 18 | no error of the caller's could stop the inflater | any can | row 18; `a_caller_stops_by_its_own_error` |
//! | 19 | (an event across an `await` worked) | it still does, in a future that is `Send` | row 19 |
//!
//! # What does not compile
//!
//! ```compile_fail,E0599
//! // Row 1. Only the connection knows which side it is.
//! let agreed = salon_proto::Agreed::NOTHING;
//! salon_proto::Connection::server(&agreed).encode_masked_frame();
//! ```
//! ```compile_fail,E0308
//! // Row 2a. A ping of 200 bytes.
//! let ping = salon_proto::Message::Ping(&[0; 200]);
//! ```
//! ```compile_fail,E0308
//! // Row 2b. Text that is not UTF-8.
//! let text = salon_proto::Message::Text(b"\xff");
//! ```
//! ```compile_fail
//! // Row 3. Whether something was sent is not to be overlooked.
//! #![deny(unused_must_use)]
//! use salon_proto::{Agreed, Connection, Message};
//! Connection::server(&Agreed::NOTHING).send(Message::Text("late"), &mut Vec::new());
//! ```
//! ```compile_fail,E0423
//! // Row 4. A status code that may not be on the wire.
//! let code = salon_proto::CloseCode(1005);
//! ```
//! ```compile_fail
//! // Row 7a. How much a receiver has taken is not to be overlooked.
//! #![deny(unused_must_use)]
//! use salon_proto::{Limits, receiver::Receiver};
//! Receiver::server(Limits::default()).decode(&mut [], &mut Vec::new());
//! ```
//! ```compile_fail
//! // Row 7b. Nor is an event.
//! #![deny(unused_must_use)]
//! use salon_proto::{Agreed, Connection, Input};
//! Connection::server(&Agreed::NOTHING).receive(&mut Input::new(), &mut Vec::new());
//! ```
//! ```compile_fail,E0061
//! // Row 10a. A connection without what the handshake has agreed to.
//! let connection = salon_proto::Connection::server();
//! ```
//! ```compile_fail,E0451
//! // Row 10b. Only a handshake makes one that names an extension.
//! let agreed = salon_proto::Agreed { deflate: None, ..salon_proto::Agreed::NOTHING };
//! ```
//! ```compile_fail
//! // Row 11. Whether a message was compressed is not to be overlooked.
//! #![deny(unused_must_use)]
//! salon_proto::deflate::Deflater::new(6).compress(b"what is said", 8);
//! ```
//! ```compile_fail,E0599
//! // Row 12a. A request without a nonce.
//! let request = salon_proto::ClientRequest::default();
//! ```
//! ```compile_fail,E0061
//! // Row 12b. A client without a source of masking keys.
//! let connection = salon_proto::Connection::client(&salon_proto::Agreed::NOTHING);
//! ```
//! ```compile_fail,E0308
//! // Row 13. A compressed ping.
//! salon_proto::deflate::encode_deflated_frame(salon_proto::frame::Opcode::Ping, b"", &mut Vec::new());
//! ```
//!
//! # What compiles now
//!
//! ```
//! // Rows 15 and 16. What the wrapper returns borrows from it, and is answered while it is looked at.
//! use salon_proto::{Agreed, CloseCode, Connection, Event, Input};
//!
//! struct Socket { connection: Connection, input: Input, out: Vec<u8> }
//!
//! impl Socket {
//!     fn next(&mut self) -> Option<(Event<'_>, &mut Connection, &mut Vec<u8>)> {
//!         while !self.connection.has_event(&mut self.input) {
//!             self.input.extend(b"\x81\x83\0\0\0\0bye"); // a read
//!         }
//!         let event = self.connection.receive(&mut self.input, &mut self.out)?;
//!         Some((event, &mut self.connection, &mut self.out))
//!     }
//! }
//!
//! let connection = Connection::server(&Agreed::NOTHING);
//! let mut socket = Socket { connection, input: Input::new(), out: Vec::new() };
//! if let Some((Event::Text(text), connection, out)) = socket.next() {
//!     assert!(connection.is_open());
//!     connection.close(Some((CloseCode::NORMAL, text)), out);
//! }
//! assert_eq!(socket.out, b"\x88\x05\x03\xe8bye");
//! ```
//! ```
//! // Row 17. One request after the other, out of one buffer.
//! use salon_proto::handshake::Request;
//!
//! let mut head = Vec::new();
//! for path in ["/a", "/b"] {
//!     head.clear();
//!     head.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
//!     assert_eq!(Request::parse(&head)?.path(), path);
//! }
//! # Ok::<(), salon_proto::handshake::RequestError>(())
//! ```
//! ```
//! // Row 18. It is stopped by an error of the caller's own.
//! use salon_proto::{ProtocolError, deflate::Inflater};
//!
//! #[derive(Debug, PartialEq)]
//! enum Mine { Full, Wrong(ProtocolError) }
//!
//! impl From<ProtocolError> for Mine {
//!     fn from(error: ProtocolError) -> Self { Self::Wrong(error) }
//! }
//!
//! let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00"; // RFC 7692 section 7.2.3.1
//! assert_eq!(Inflater::new().inflate(hello, None, |_| Err(Mine::Full)), Err(Mine::Full));
//! ```
//! ```
//! // Row 19. An event lives across an `await`, and the future may go to another thread.
//! use salon_proto::{Agreed, Connection, Event, Input};
//!
//! async fn handle(event: Event<'_>) -> bool { matches!(event, Event::Text("Hello")) }
//!
//! async fn run(mut input: Input) -> bool {
//!     let mut connection = Connection::server(&Agreed::NOTHING);
//!     let Some(event) = connection.receive(&mut input, &mut Vec::new()) else { return false };
//!     handle(event).await && connection.is_open()
//! }
//!
//! fn is_send(_: impl Send) {}
//! is_send(run(Input::new()));
//! ```
//!
//! # What may be added without a major version
//!
//! Events, errors of the peer and of the caller, and what may be sent are `#[non_exhaustive]`. So a `match` on them has
//! a last arm, and none of them is a surprise later:
//!
//! ```compile_fail,E0004
//! fn name(event: salon_proto::Event<'_>) -> &'static str {
//!     use salon_proto::Event::*;
//!     match event {
//!         Text(_) | Binary(_) => "message",
//!         Ping(_) | Pong(_) | Close(_) | Failed(_) => "control",
//!     }
//! }
//! ```
//!
//! Closed on purpose are what the RFC closes: [`Kind`](crate::Kind), [`Message`](crate::Message),
//! [`Part`](crate::Part), [`Ended`](crate::Ended), the opcodes and the frame header.
//!
//! [`Limits`](crate::Limits), [`HeadLimits`](crate::handshake::HeadLimits) and
//! [`FrameRules`](crate::frame::FrameRules) are made by functions, so that there may be more of them: written out, they
//! do not compile.
//!
//! ```compile_fail,E0639
//! let limits = salon_proto::Limits { message_bytes: 1000, fragments: 1 };
//! ```
