//! A message of 100 MiB that is never held whole: it is sent in parts and received in pieces.
//!
//! ```sh
//! cargo run --release -p salon-proto --example pieces --features getrandom
//! ```

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use salon_proto::{Agreed, Connection, Event, Input, Kind, Limits, Part, Piece, random};

const LEN: usize = 100 << 20;
const PART: usize = 64 << 10;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = thread::spawn(move || send(TcpStream::connect(address)?));
    let (len, held) = receive(listener.accept()?.0)?;
    client.join().expect("it does not panic")?;
    println!("{len} bytes received, at most {held} bytes held");
    assert!(len == LEN && held <= 4 << 20);
    Ok(())
}

fn send(mut stream: TcpStream) -> io::Result<()> {
    // The handshake is left out: both sides know that there is no extension.
    let mut connection = Connection::client(random::keys(), &Agreed::NOTHING);
    let (part, mut out) = (vec![b'x'; PART], Vec::new());
    for sent in (PART..=LEN).step_by(PART) {
        connection.send_part(Part::Binary(&part), sent == LEN, &mut out).map_err(io::Error::other)?;
        stream.write_all(&out)?;
        out.clear();
    }
    connection.close(None, &mut out);
    stream.write_all(&out)?;
    // To the end, which is the server's: by then its answer to the Close has come (section 7.1.1).
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert_eq!(answer, b"\x88\0", "the Close without a code is answered by one");
    Ok(())
}

/// Returns how long the message was, and the most that was held of it.
fn receive(mut stream: TcpStream) -> io::Result<(usize, usize)> {
    let limits = Limits::new().message_bytes(LEN as u32).fragments(u32::MAX);
    let mut connection = Connection::server(&Agreed::NOTHING).limits(limits);
    let (mut input, mut out, mut received, mut held) = (Input::new(), Vec::new(), 0, 0);
    loop {
        while let Some(piece) = connection.receive_piece(&mut input, &mut out) {
            match piece {
                Piece::Data { kind: Kind::Binary, bytes, .. } => received += bytes.len(),
                Piece::Event(Event::Close(_)) => {
                    stream.write_all(&out)?;
                    return Ok((received, held));
                }
                other => println!("{other:?}"),
            }
        }
        // Pongs, the answer to a Close, the Close behind a violation.
        stream.write_all(&out)?;
        out.clear();
        if connection.is_closed() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        held = held.max(connection.held_bytes() + input.held_bytes());
        let len = stream.read(input.space(PART))?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.fill(len);
    }
}
