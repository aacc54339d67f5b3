//! A proxy between clients and a server that hands frames on as they come: it holds no message and knows what is in no
//! payload. It passes on no frame whose header RFC 6455 forbids, RSV1 only where the two ends have agreed to
//! permessage-deflate, and no answer that agrees to another extension; what is in a payload is for them to judge. A
//! connection is for one request.
//!
//! ```sh
//! cargo run -p salon-proto --example echo &
//! cargo run -p salon-proto --example proxy 127.0.0.1:9002 127.0.0.1:9001
//! ```

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use salon_proto::client_handshake::{Response, ResponseScanner};
use salon_proto::frame::{FrameHeader, FrameRules};
use salon_proto::handshake::HeadScanner;
use salon_proto::{Limits, Offer};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let here = arguments.next().unwrap_or_else(|| "127.0.0.1:9002".into());
    let there = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".into());
    for client in TcpListener::bind(here)?.incoming().flatten() {
        match TcpStream::connect(&there) {
            Ok(server) => drop(thread::spawn(move || connect(&client, &server))),
            Err(error) => eprintln!("{there}: {error}"),
        }
    }
    Ok(())
}

/// Both directions. The heads go through as they are; the server's says what is agreed to, and the client's frames wait
/// for it.
pub fn connect(client: &TcpStream, server: &TcpStream) {
    let (agrees, agreed) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut scanner = HeadScanner::default();
            let head = |rest: &[u8]| {
                let len = scanner.scan(rest).map_err(io::Error::other)?;
                Ok(len.map(|len| (len, Next::Frames)))
            };
            hand_on(client, server, true, head, || agreed.recv().ok());
        });
        let (mut scanner, compressed) = (ResponseScanner::default(), Cell::new(None));
        let head = |rest: &[u8]| {
            let Some(len) = scanner.scan(rest).map_err(io::Error::other)? else { return Ok(None) };
            scanner = ResponseScanner::default();
            let response = Response::parse(&rest[..len]).map_err(io::Error::other)?;
            let next = match response.status() {
                101 => {
                    // Whether it has offered that much, the client judges.
                    let extensions = response.headers("sec-websocket-extensions");
                    let deflate = Offer::new().judge(extensions).map_err(io::Error::other)?;
                    compressed.set(Some(deflate.is_some()));
                    // The client may have gone.
                    let _ = agrees.send(deflate.is_some());
                    Next::Frames
                }
                _ if response.is_interim() => Next::Head,
                _ => Next::Body,
            };
            Ok(Some((len, next)))
        };
        hand_on(server, client, false, head, || compressed.get());
        // No answer has come that lets the client in, if none was told.
        drop(agrees);
    });
}

/// What comes next in one direction.
#[derive(Clone, Copy)]
enum Next {
    Head,
    Frames,
    /// Of a refusal: anything, up to the end.
    Body,
}

/// One direction. An end is passed on; an error ends both directions.
fn hand_on(
    from: &TcpStream,
    to: &TcpStream,
    masked: bool,
    head: impl FnMut(&[u8]) -> io::Result<Option<(usize, Next)>>,
    compressed: impl Fn() -> Option<bool>,
) {
    // The other end may have gone already.
    match copy(from, to, masked, head, compressed) {
        Ok(()) => drop(to.shutdown(Shutdown::Write)),
        Err(error) => {
            eprintln!("{error}");
            for stream in [from, to] {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }
}

/// `compressed` says whether frames may have RSV1, when the first of them has come; `None`: no frames may follow.
fn copy(
    mut from: &TcpStream,
    mut to: &TcpStream,
    masked: bool,
    mut head: impl FnMut(&[u8]) -> io::Result<Option<(usize, Next)>>,
    compressed: impl Fn() -> Option<bool>,
) -> io::Result<()> {
    let limits = Limits::new().message_bytes(u32::MAX).fragments(u32::MAX);
    let (mut rules, mut agreed) = (FrameRules::new(masked, limits), false);
    let (mut buffer, mut held, mut next, mut payload) = ([0; 16 << 10], Vec::new(), Next::Head, 0_u64);
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        held.extend_from_slice(&buffer[..len]);
        let mut at = 0;
        let judged = loop {
            let rest = &held[at..];
            if rest.is_empty() {
                break Ok(());
            }
            match next {
                Next::Head => match head(rest) {
                    Ok(Some((len, then))) => (at, next) = (at + len, then),
                    waits => break waits.map(drop),
                },
                Next::Frames if !agreed => {
                    // The head is to be answered first.
                    to.write_all(&held[..at])?;
                    held.drain(..at);
                    at = 0;
                    let Some(compressed) = compressed() else { return Ok(()) };
                    (rules.rsv1, agreed) = (compressed, true);
                }
                Next::Frames if payload > 0 => {
                    let len = payload.min(rest.len() as u64);
                    (at, payload) = (at + len as usize, payload - len);
                }
                Next::Frames => match FrameHeader::decode(rest, &rules) {
                    Ok(Some((header, len))) => {
                        rules.pass(&header);
                        (at, payload) = (at + len, header.payload_len);
                    }
                    waits => break waits.map(drop).map_err(io::Error::other),
                },
                Next::Body => at = held.len(),
            }
        };
        // What was good goes on, also before what was not.
        to.write_all(&held[..at])?;
        held.drain(..at);
        judged?;
    }
}
