//! Rows of bytes for a running server: bytes in, bytes out.
//!
//! Every row runs whole and one byte per write, and both beside a healthy neighbour that talks before, amid and after,
//! and hears exactly its own messages. At the end of each row the server ends the connection: upon `Connection: close`,
//! a Close frame, or the violation that the row is about.
//!
//! `ROOM0000` and `USER0000` in a row stand for names that no run has had before. Values that differ from run to run
//! (dates, epochs, session ids) are zeros in the answer.

use std::io::{Read, Write};

use super::{Client, Server, hear, say};

/// A healthy client beside the row.
pub struct Neighbour {
    client: Client,
    said: u64,
    chats: bool,
    runs: u64,
}

impl Neighbour {
    /// At the echo server: hears its own messages.
    pub fn echo(server: &Server) -> Self {
        Self { client: server.connect("/"), said: 0, chats: false, runs: 0 }
    }

    /// In the chat: alone in a room, hears its own messages there, numbered without a hole.
    pub fn chat(server: &Server) -> Self {
        let mut client = server.connect("/ws?user=neighbour");
        hear(&mut client);
        say(&mut client, r#"{"type":"join","room_id":"next door"}"#);
        assert!(hear(&mut client).starts_with(r#"{"type":"joined","#));
        assert!(hear(&mut client).starts_with(r#"{"type":"online_users","#));
        Self { client, said: 0, chats: true, runs: 0 }
    }

    /// Sends a message and hears that and nothing else.
    pub fn talks(&mut self) {
        self.said += 1;
        let n = self.said;
        if self.chats {
            say(&mut self.client, &format!(r#"{{"type":"broadcast","id":{n},"content":"all well"}}"#));
            let expected = format!(
                r#"{{"type":"broadcast","id":{n},"room_id":"next door","sender":"neighbour","content":"all well","seq":{n},"#
            );
            let heard = hear(&mut self.client);
            assert!(heard.starts_with(&expected), "{heard}");
        } else {
            say(&mut self.client, &format!("all well {n}"));
            assert_eq!(hear(&mut self.client), format!("all well {n}"));
        }
    }

    /// Sends a row both ways beside this neighbour, and checks what the server answers until it ends the connection.
    pub fn check(&mut self, server: &Server, name: &str, row: &[u8], expected: &[u8]) {
        for singly in [false, true] {
            self.runs += 1;
            let run = self.runs;
            let names = [(b"ROOM0000", format!("r{run:07}")), (b"USER0000", format!("u{run:07}"))];
            let mut bytes = row.to_vec();
            names.iter().for_each(|(stands_for, name)| replace(&mut bytes, *stands_for, name.as_bytes()));
            let mut answer = self.beside(server, &bytes, singly);
            names.iter().for_each(|(stands_for, name)| replace(&mut answer, name.as_bytes(), *stands_for));
            let answer = steady(answer);
            assert!(
                answer == expected,
                "{name} ({}):\n{:?}\nwas expected, not\n{:?}",
                if singly { "one byte per write" } else { "whole" },
                short(expected),
                short(&answer)
            );
        }
    }

    fn beside(&mut self, server: &Server, bytes: &[u8], singly: bool) -> Vec<u8> {
        let mut stream = server.tcp();
        stream.set_nodelay(true).unwrap();
        self.talks();
        let cut = if singly { bytes.len() / 2 } else { bytes.len() };
        let size = if singly { 1 } else { bytes.len().max(1) };
        bytes[..cut].chunks(size).for_each(|piece| stream.write_all(piece).unwrap());
        self.talks();
        bytes[cut..].chunks(size).for_each(|piece| stream.write_all(piece).unwrap());
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        self.talks();
        answer
    }
}

/// A frame of a client under the key 00 00 00 00, with the first byte as it stands.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
    out
}

/// A whole text of a client.
pub fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A frame of the server: unmasked.
pub fn told(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = frame(first, payload);
    out[1] &= 0x7f;
    let key = out.len() - payload.len() - 4;
    out.drain(key..key + 4);
    out
}

/// A Close of the server with a reason.
pub fn closed(code: u16, reason: &str) -> Vec<u8> {
    told(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// An empty Close of a client, and the answer to it.
pub const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";
pub const CLOSE_ANSWERED: &[u8] = b"\x88\x00";

/// The headers of an opening handshake, without the empty line.
pub const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The answer to it.
pub const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The opening handshake for a target.
pub fn upgrade(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{UPGRADE}\r\n").into_bytes()
}

/// The first message at the JSON door of a server without a rate limit.
pub fn welcome(user: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        r#"{{"type":"welcome","user_id":"{user}","status":"online","session_id":"0000000000000000","server":"salon/{version}","limits":{{"message_bytes":65536,"content_bytes":16384,"rooms":128,"join_rooms":128,"mention_room":100,"rate":null}},"ping_interval_ms":25000,"durability":"memory"}}"#
    );
    told(0x81, text.as_bytes())
}

/// Zeros for values that differ from run to run, and no Date.
fn steady(mut answer: Vec<u8>) -> Vec<u8> {
    for (before, len) in [(r#""session_id":""#, 16), (r#""epoch":""#, 16), (r#""ts":"#, 13), (r#""created_at":"#, 13)] {
        let places: Vec<usize> = find(&answer, before.as_bytes()).into_iter().map(|at| at + before.len()).collect();
        places.into_iter().for_each(|at| answer[at..at + len].fill(b'0'));
    }
    for at in find(&answer, b"\r\nDate: ").into_iter().rev() {
        answer.drain(at..at + "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT".len());
    }
    answer
}

fn replace(bytes: &mut [u8], what: &[u8], by: &[u8]) {
    assert_eq!(what.len(), by.len(), "frames keep their lengths");
    find(bytes, what).into_iter().for_each(|at| bytes[at..at + by.len()].copy_from_slice(by));
}

fn find(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    bytes.windows(what.len()).enumerate().filter(move |(_, window)| *window == what).map(|(at, _)| at).collect()
}

fn short(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(2000) {
        Some((at, _)) => format!("{}... ({} bytes)", &text[..at], bytes.len()),
        None => text.into_owned(),
    }
}
