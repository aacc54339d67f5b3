//! An echo server of one connection after the other, on a plain blocking `TcpStream`: `salon::proto` and nothing else
//! of Salon.
//!
//! ```sh
//! cargo run --example blocking_echo            # ws://127.0.0.1:9001/
//! cargo run --example blocking_echo 0.0.0.0:80
//! ```
//!
//! It shows all that RFC 6455 asks of the owner of the socket: to read the request head and answer it, to hand on the
//! bytes of each read, to write the output, and to end the stream after the Close frames. It leaves out what a server
//! on the open network needs besides: deadlines, more than one connection at a time, and a look at the Origin.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use salon::proto::handshake::{HeadScanner, Request, RequestError};
use salon::proto::{ClientContext, Connection, Event, Input, Message};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(&address)?;
    println!("echo at ws://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = serve(stream?) {
            println!("a connection ended early: {error}");
        }
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    // The opening handshake (section 4.2). The first frames may have come in the same read as the end of the head.
    let mut head = Vec::new();
    let head_len = match read_head(&mut stream, &mut head)? {
        Ok(head_len) => head_len,
        Err(error) => return refuse(&mut stream, error),
    };
    let mut output = Vec::new();
    let agreed = match Request::parse(&head[..head_len]).and_then(|request| request.upgrade()) {
        Ok(upgrade) => upgrade.deflate(ClientContext::Reset).encode(&mut output),
        Err(error) => return refuse(&mut stream, error),
    };

    // Frames (section 5). Bytes go in, events come out; the connection keeps what is incomplete.
    let (mut connection, mut input) = (Connection::server(&agreed), Input::new());
    input.extend(&head[head_len..]);
    loop {
        // Pongs and a Close that is due are appended to `output`, behind the echoes that came before them.
        while let Some(event) = connection.receive(&mut input, &mut output) {
            match event {
                Event::Text(text) => connection.send(Message::Text(text), &mut output).map_err(io::Error::other)?,
                Event::Binary(data) => connection.send(Message::Binary(data), &mut output).map_err(io::Error::other)?,
                _ => {}
            }
        }
        stream.write_all(&output)?;
        output.clear();
        if connection.is_closed() {
            // Section 7.1.1: the server closes first. Reading on to the end keeps a reset from overtaking our Close.
            stream.shutdown(Shutdown::Write)?;
            return io::copy(&mut stream, &mut io::sink()).map(drop);
        }
        let len = stream.read(input.space(4096))?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.fill(len);
    }
}

/// Reads until the head is complete, and returns its length. The scanner goes on from where it was, and bounds the
/// head.
fn read_head(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Result<usize, RequestError>> {
    let mut scanner = HeadScanner::default();
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(&buffer[..len]);
        match scanner.scan(input) {
            Ok(None) => {}
            Ok(Some(head_len)) => return Ok(Ok(head_len)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn refuse(stream: &mut TcpStream, error: RequestError) -> io::Result<()> {
    // A 426 names the protocol and the version that are spoken here (RFC 9110 section 15.5.22, section 4.4).
    let status = error.status();
    write!(
        stream,
        "HTTP/1.1 {status} Refused\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Connection: Upgrade, close\r\nContent-Length: 0\r\n\r\n"
    )
}
