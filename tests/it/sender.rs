//! Whatever a `Connection` is told to send, in whatever order, what comes out is what the RFCs allow: judged by a
//! parser that shares no code with it, and by tungstenite.

use std::io::{self, Read, Write};

use crate::common::script::{self, Said, Setting};
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Error, Message};

/// Scripts of up to 400 bytes, by splitmix64.
fn scripts(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|seed| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let len = next() % 400;
        (0..len).map(|_| next() as u8).collect()
    })
}

#[test]
fn an_independent_parser_takes_whatever_is_sent() {
    for (seed, script) in scripts(4_000).enumerate() {
        println!("seed {seed}");
        script::run(&script);
    }
}

/// Bytes to be read, and an end behind them.
struct Bytes(io::Cursor<Vec<u8>>);

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// tungstenite as the other side hears the same; it knows no compression.
#[test]
fn tungstenite_hears_what_is_sent() {
    for (seed, script) in scripts(2_000).enumerate() {
        for client in [false, true] {
            let (mut said, out) = script::carry_out(Setting { client, deflate: false }, &script);
            let role = if client { Role::Server } else { Role::Client };
            let mut socket = WebSocket::from_raw_socket(Bytes(io::Cursor::new(out)), role, None);
            let mut heard = Vec::new();
            loop {
                heard.push(match socket.read() {
                    Ok(Message::Text(text)) => Said::Text(text.as_bytes().to_vec()),
                    Ok(Message::Binary(data)) => Said::Binary(data.to_vec()),
                    Ok(Message::Ping(data)) => Said::Ping(data.to_vec()),
                    Ok(Message::Pong(data)) => Said::Pong(data.to_vec()),
                    Ok(Message::Close(body)) => {
                        Said::Close(body.map(|body| (u16::from(body.code), body.reason.as_bytes().to_vec())))
                    }
                    Ok(Message::Frame(_)) => unreachable!("frames are not passed on when reading"),
                    Err(Error::ConnectionClosed | Error::Protocol(_)) => break,
                    Err(error) => panic!("seed {seed}: {error}"),
                });
            }
            // It does not know 1014 (differential.rs), and answers it by failing.
            said.retain(|said| !matches!(said, Said::Close(Some((1014, _)))));
            assert_eq!(heard, said, "seed {seed}, client: {client}");
        }
    }
}
