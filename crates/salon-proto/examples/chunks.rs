//! No socket and no `std::io`: chunks go in, a `Vec` of bytes to be sent comes out, as in a Worker or any other host
//! that calls with what it has received.
//!
//! ```sh
//! cargo run -p salon-proto --example chunks
//! ```

use salon_proto::handshake::{HeadScanner, Refusal, Request, RequestError};
use salon_proto::{ClientContext, Connection, Event, Input, Message};

/// The state of one connection between two calls.
#[derive(Default)]
struct Peer {
    input: Input,
    scanner: HeadScanner,
    connection: Option<Connection>,
}

impl Peer {
    /// Takes what has come, and returns what is to be sent, and whether the stream is to be ended behind it.
    fn chunk(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        self.input.extend(bytes);
        if self.connection.is_none() {
            match self.open(&mut out) {
                Ok(Some(connection)) => self.connection = Some(connection),
                Ok(None) => return (out, false),
                Err(error) => {
                    Refusal::from(error).encode(&mut out);
                    return (out, true);
                }
            }
        }
        let Some(connection) = &mut self.connection else { return (out, false) };
        while let Some(event) = connection.receive(&mut self.input, &mut out) {
            if let Event::Text(text) = event {
                connection.send(Message::Text(&text.to_uppercase()), &mut out).expect("it is open");
            }
        }
        (out, connection.is_closed())
    }

    fn open(&mut self, out: &mut Vec<u8>) -> Result<Option<Connection>, RequestError> {
        let Some(len) = self.scanner.scan(self.input.rest())? else { return Ok(None) };
        let request = Request::parse(&self.input.rest()[..len])?;
        let connection = Connection::server(&request.upgrade()?.deflate(ClientContext::Reset).encode(out));
        self.input.take(len);
        Ok(Some(connection))
    }
}

fn main() {
    let mut peer = Peer::default();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let close = b"\x88\x82\0\0\0\0\x03\xe8";
    let mut sent = Vec::new();
    // However the bytes are cut.
    for chunk in [&request[..], hello, close].concat().chunks(7) {
        let (out, ended) = peer.chunk(chunk);
        sent.extend(out);
        if ended {
            break;
        }
    }
    assert!(sent.starts_with(b"HTTP/1.1 101 ") && sent.ends_with(b"\x81\x05HELLO\x88\x02\x03\xe8"));
    println!("{}", String::from_utf8_lossy(&sent).escape_debug());
}
