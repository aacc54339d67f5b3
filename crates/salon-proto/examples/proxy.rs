//! A proxy between a client and a server that hands frames on as they come: it holds no message, knows what is in no
//! payload, and passes on nothing that RFC 6455 forbids.
//!
//! ```sh
//! cargo run -p salon-proto --example echo &
//! cargo run -p salon-proto --example proxy 127.0.0.1:9002 127.0.0.1:9001
//! ```

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use salon_proto::Limits;
use salon_proto::client_handshake::ResponseScanner;
use salon_proto::frame::{FrameHeader, FrameRules};
use salon_proto::handshake::HeadScanner;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let here = arguments.next().unwrap_or_else(|| "127.0.0.1:9002".into());
    let there = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".into());
    for client in TcpListener::bind(here)?.incoming().flatten() {
        let server = TcpStream::connect(&there)?;
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        // Both heads go through as they are; an extension would be agreed to between the two ends.
        thread::spawn(move || {
            let mut scanner = HeadScanner::default();
            hand_on(from, to, true, |head| scanner.scan(head).map_err(io::Error::other))
        });
        thread::spawn(move || {
            let mut scanner = ResponseScanner::default();
            hand_on(server, client, false, |head| scanner.scan(head).map_err(io::Error::other))
        });
    }
    Ok(())
}

/// One direction: a head, and frames behind it.
fn hand_on(
    mut from: TcpStream,
    mut to: TcpStream,
    masked: bool,
    mut head_len: impl FnMut(&[u8]) -> io::Result<Option<usize>>,
) -> io::Result<()> {
    // Compressed messages may pass: what is in them is not looked at.
    let limits = Limits { message_bytes: u32::MAX, fragments: u32::MAX };
    let mut rules = FrameRules { rsv1: true, ..FrameRules::new(masked, limits) };
    let (mut buffer, mut held, mut head, mut payload) = ([0; 16 << 10], Vec::new(), true, 0_u64);
    let ended = loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            break Ok(());
        }
        held.extend_from_slice(&buffer[..len]);
        let mut at = 0;
        while at < held.len() {
            let rest = &held[at..];
            if head {
                let Some(len) = head_len(rest)? else { break };
                (at, head) = (at + len, false);
            } else if payload > 0 {
                let len = payload.min(rest.len() as u64);
                (at, payload) = (at + len as usize, payload - len);
            } else if let Some((header, len)) = FrameHeader::decode(rest, &rules).map_err(io::Error::other)? {
                rules.pass(&header);
                (at, payload) = (at + len, header.payload_len);
            } else {
                break; // The rest of the header has not come.
            }
        }
        to.write_all(&held[..at])?;
        held.drain(..at);
    };
    to.shutdown(Shutdown::Write)?;
    ended
}
