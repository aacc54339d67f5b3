//! A client of one connection on a plain blocking `TcpStream`: `salon::proto` and nothing else of Salon.
//!
//! ```sh
//! cargo run -- echo &
//! cargo run --example blocking_client 127.0.0.1:9001 / "hello" "and again"
//! ```
//!
//! It sends the texts of its arguments, prints as many answers, and closes. It shows the opening handshake of a client,
//! a key of its own for each masked frame, and that the server ends the stream (section 7.1.1). A real client needs
//! deadlines besides.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use salon::proto::client_handshake::{ClientRequest, Response, ResponseError, ResponseScanner};
use salon::proto::handshake::NO_HEADERS;
use salon::proto::{CloseCode, Connection, Event, Limits, Opcode, encode_masked_frame};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".into());
    let target = arguments.next().unwrap_or_else(|| "/".into());
    let mut stream = TcpStream::connect(&host)?;

    // The opening handshake (section 4.1). The first frames may have come in the same read as the end of the head.
    let request = ClientRequest { host: &host, target: &target, nonce: random()?, ..ClientRequest::default() };
    let mut output = Vec::new();
    request.encode(&mut output).map_err(io::Error::other)?;
    stream.write_all(&output)?;
    let mut input = Vec::new();
    let head_len = read_head(&mut stream, &mut input)?;
    let mut storage = NO_HEADERS;
    let response = Response::parse(&input[..head_len], &mut storage).map_err(io::Error::other)?;
    response.accept(&request).map_err(io::Error::other)?;
    input.drain(..head_len);

    // Frames (section 5).
    let mut connection = Connection::client(Limits::default(), random()?);
    output.clear();
    let mut answers = 0;
    for said in arguments {
        encode_masked_frame(Opcode::Text, said.as_bytes(), random()?, &mut output);
        answers += 1;
    }
    stream.write_all(&output)?;
    let mut buffer = [0; 4096];
    loop {
        output.clear();
        let mut taken = 0;
        loop {
            if answers == 0 {
                connection.close(CloseCode::NORMAL, "", &mut output);
            }
            let (len, event) = connection.decode(&mut input[taken..], &mut output);
            taken += len;
            match event {
                Some(Event::Text(text)) => println!("{text}"),
                Some(Event::Binary(data)) => println!("{} bytes", data.len()),
                Some(Event::Ping(data)) => {
                    encode_masked_frame(Opcode::Pong, data, random()?, &mut output);
                    continue;
                }
                Some(Event::Pong(_)) => continue,
                Some(Event::Close(_) | Event::Failed(_)) | None => break,
            }
            answers -= answers.min(1);
        }
        stream.write_all(&output)?;
        input.clear();
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            // The server has ended the stream; cleanly if both Close frames had passed.
            return if connection.is_closed() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        input.extend_from_slice(&buffer[..len]);
    }
}

/// Reads until the head is complete, and returns its length. The scanner goes on from where it was, and bounds the
/// head.
fn read_head(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<usize> {
    let mut scanner = ResponseScanner::default();
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err(io::Error::other(ResponseError::Malformed));
        }
        input.extend_from_slice(&buffer[..len]);
        if let Some(len) = scanner.scan(input).map_err(io::Error::other)? {
            return Ok(len);
        }
    }
}

/// Bytes that nobody can foresee, from the system.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
