//! A client of one connection on a plain blocking `TcpStream`: `salon::proto` and nothing else of Salon.
//!
//! ```sh
//! cargo run -- echo &
//! cargo run --example blocking_client 127.0.0.1:9001 / "hello" "and again"
//! ```
//!
//! It sends the texts of its arguments, prints as many answers, and closes. It shows the opening handshake of a client
//! that offers permessage-deflate, and that the server ends the stream (section 7.1.1). A real client needs deadlines
//! besides.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use salon::proto::client_handshake::{ClientRequest, Response, ResponseError, ResponseScanner};
use salon::proto::{CloseCode, Connection, Ended, Event, Input, Message, Offer, random};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".into());
    let target = arguments.next().unwrap_or_else(|| "/".into());
    let mut stream = TcpStream::connect(&host)?;

    // The opening handshake (section 4.1). The first frames may have come in the same read as the end of the head.
    let request = ClientRequest::new(&host, random::nonce()).target(&target).deflate(Offer::new());
    let mut output = Vec::new();
    request.encode(&mut output).map_err(io::Error::other)?;
    stream.write_all(&output)?;
    output.clear();
    let mut head = Vec::new();
    let head_len = read_head(&mut stream, &mut head)?;
    let response = Response::parse(&head[..head_len]).map_err(io::Error::other)?;
    let agreed = response.accept(&request).map_err(io::Error::other)?;

    // Frames (section 5).
    let (mut connection, mut input) = (Connection::client(random::keys(), &agreed), Input::new());
    input.extend(&head[head_len..]);
    let mut answers = 0;
    for said in arguments {
        connection.send(Message::Text(&said), &mut output).map_err(io::Error::other)?;
        answers += 1;
    }
    loop {
        while let Some(event) = connection.receive(&mut input, &mut output) {
            match event {
                Event::Text(text) => println!("{text}"),
                Event::Binary(data) => println!("{} bytes", data.len()),
                _ => continue, // Pings and a Close have been answered.
            }
            answers -= answers.min(1);
        }
        if answers == 0 {
            connection.close(Some((CloseCode::NORMAL, "")), &mut output);
        }
        stream.write_all(&output)?;
        output.clear();
        let len = stream.read(input.space(4096))?;
        if len == 0 {
            return match connection.end_of_stream() {
                Ended::Clean => Ok(()),
                Ended::Abnormal => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        input.fill(len);
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
