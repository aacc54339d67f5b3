//! The PROXY protocol, versions 1 and 2: the header that a proxy sends before the first byte of its client.
//!
//! ```text
//!   signature            | 2 and command | family and protocol | length, big-endian | addresses, then TLVs
//!   12 bytes            | 1 byte       | 1 byte             | 2 bytes           | `length` bytes
//! ```
//!
//! Version 1 is a line of text, such as `PROXY TCP4 192.0.2.1 10.0.0.1 4660 443`, and is told from version 2 by its
//! first byte. Bytes are asked for one piece after the other and never beyond the header, because the bytes behind it
//! belong to another reader: of version 1, whose length nothing says, they are looked at before they are taken. TLVs
//! are skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A header of which a part may have come.
#[derive(Clone, Debug)]
pub struct Header {
    bytes: [u8; KEPT],
    /// Bytes that have come, with those that were skipped.
    len: usize,
}

/// The client of a connection, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The proxy itself (LOCAL, for health checks), or a client without an internet address.
    Proxy,
    /// This client.
    Client(IpAddr),
}

/// The bytes are no header, or none that a TCP connection can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader;

impl Default for Header {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self { bytes: [0; KEPT], len: 0 }
    }

    /// How many bytes come next, at most: more must not be read, and of version 1 only what is a
    /// [part](Self::part_of) of it. At least one, and not more than [`MAX_PIECE`].
    pub fn wanted(&self) -> usize {
        if self.is_text() {
            return MAX_LINE.saturating_sub(self.len).max(1);
        }
        // Which version it is says the first piece.
        let end = match self.len {
            0 => SIGNATURE.len(),
            1..FIXED => FIXED,
            _ => self.end(),
        };
        (end - self.len).clamp(1, MAX_PIECE)
    }

    /// How many of the next bytes, which have been looked at, belong to it: of version 1 up to the end of the line.
    pub fn part_of(&self, looked_at: &[u8]) -> usize {
        let end = looked_at.iter().position(|&byte| byte == b'\n').filter(|_| self.is_text());
        end.map_or(looked_at.len(), |end| end + 1)
    }

    /// Takes the next bytes; `Some` when the header is complete.
    ///
    /// # Errors
    /// As soon as it cannot become a header any more.
    pub fn take(&mut self, piece: &[u8]) -> Result<Option<Source>, BadHeader> {
        debug_assert!(piece.len() <= self.wanted());
        if let Some(room) = self.bytes.get_mut(self.len..) {
            let kept = piece.len().min(room.len());
            room[..kept].copy_from_slice(&piece[..kept]);
        }
        self.len += piece.len();
        if self.is_text() {
            return self.read_line();
        }
        let signed = self.len.min(SIGNATURE.len());
        if self.bytes[..signed] != SIGNATURE[..signed] {
            return Err(BadHeader);
        }
        if self.len < FIXED {
            return Ok(None);
        }
        let length = self.end() - FIXED;
        let needed = match (self.bytes[12], self.bytes[13]) {
            (LOCAL, _) | (PROXY, UNSPEC | UNIX_STREAM) => 0,
            (PROXY, TCP4) => 12,
            (PROXY, TCP6) => 36,
            _ => return Err(BadHeader),
        };
        if length < needed || length > MAX_LENGTH {
            return Err(BadHeader);
        }
        if self.len < self.end() {
            return Ok(None);
        }
        Ok(Some(match (self.bytes[12], self.bytes[13]) {
            (PROXY, TCP4) => Source::Client(IpAddr::V4(Ipv4Addr::from(*self.address::<4>()))),
            (PROXY, TCP6) => Source::Client(IpAddr::V6(Ipv6Addr::from(*self.address::<16>())).to_canonical()),
            _ => Source::Proxy,
        }))
    }

    /// Whether it is one of version 1, as far as it has come.
    pub fn is_text(&self) -> bool {
        self.len > 0 && self.bytes[0] == TEXT[0]
    }

    /// Reads a header of version 1, if its line is complete.
    fn read_line(&self) -> Result<Option<Source>, BadHeader> {
        let bytes = self.bytes.get(..self.len).ok_or(BadHeader)?;
        let begun = bytes.len().min(TEXT.len());
        if bytes[..begun] != TEXT[..begun] {
            return Err(BadHeader);
        }
        let Some(line) = bytes.strip_suffix(b"\r\n") else {
            // A line feed ends the line, and no line is as short as what is read at once.
            return if bytes.len() < MAX_LINE && !bytes.contains(&b'\n') { Ok(None) } else { Err(BadHeader) };
        };
        let line = std::str::from_utf8(line).map_err(|_| BadHeader)?;
        let words: Vec<&str> = line.split(' ').collect();
        let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
        match words[..] {
            // Whatever else is said, the receiver must ignore it.
            ["PROXY", "UNKNOWN", ..] => Ok(Some(Source::Proxy)),
            ["PROXY", kind @ ("TCP4" | "TCP6"), from, to, from_port, to_port]
                if is_port(from_port) && is_port(to_port) =>
            {
                let address = |text: &str| match kind {
                    "TCP4" => text.parse().map(IpAddr::V4).map_err(|_| BadHeader),
                    _ => {
                        text.parse().map(|address: Ipv6Addr| IpAddr::V6(address).to_canonical()).map_err(|_| BadHeader)
                    }
                };
                address(to)?;
                Ok(Some(Source::Client(address(from)?)))
            }
            _ => Err(BadHeader),
        }
    }

    fn end(&self) -> usize {
        FIXED + usize::from(u16::from_be_bytes([self.bytes[14], self.bytes[15]]))
    }

    fn address<const N: usize>(&self) -> &[u8; N] {
        self.bytes[FIXED..].first_chunk().expect("room for the largest address")
    }
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The beginning of version 1.
const TEXT: [u8; 6] = *b"PROXY ";

/// The longest line of version 1, with its end.
pub const MAX_LINE: usize = 107;

/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;

/// The part of a header that is kept: of version 2 up to the client's address, of version 1 all of it.
const KEPT: usize = MAX_LINE;

/// The most bytes of addresses and TLVs: some proxies send the client's certificate along.
pub const MAX_LENGTH: usize = 4096;

/// The most bytes asked for at once.
pub const MAX_PIECE: usize = 512;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPEC: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    /// Gives it at most `piece` bytes at a time; returns the outcome, and the rest.
    fn feed(bytes: &[u8], piece: usize) -> (Result<Option<Source>, BadHeader>, usize) {
        let (mut header, mut at) = (Header::new(), 0);
        while at < bytes.len() {
            let len = header.wanted().min(piece).min(bytes.len() - at);
            let len = header.part_of(&bytes[at..at + len]);
            at += len;
            match header.take(&bytes[at - len..at]) {
                Ok(None) => {}
                done => return (done, bytes.len() - at),
            }
        }
        (Ok(None), 0)
    }

    /// What is there at once is taken at once: of a line, which says nothing of its length, too.
    #[test]
    fn a_header_that_is_there_takes_few_reads() {
        let line =
            b"PROXY TCP6 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8:ffff:ffff:ffff:ffff:ffff:1 65535 65535\r\nGET";
        let (mut header, mut at, mut reads) = (Header::new(), 0, 0);
        loop {
            let there = &line[at..line.len().min(at + header.wanted())];
            let piece = &there[..header.part_of(there)];
            (at, reads) = (at + piece.len(), reads + 1);
            if header.take(piece).unwrap().is_some() {
                break;
            }
        }
        assert_eq!((&line[at..], reads), (&b"GET"[..], 2));
    }

    const ENDS_4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb];
    const V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

    #[test]
    fn byte_by_byte() {
        let ends_6 = [&V6[..], &[0; 20]].concat();
        let mapped = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 1], &[0; 20]].concat();
        let tlvs = [&ENDS_4[..], &[0x04, 0, 5, 1, 2, 3, 4, 5], &[0x20; 700]].concat();
        let client = |text: &str| Ok(Some(Source::Client(text.parse().unwrap())));
        let proxy = Ok(Some(Source::Proxy));
        for (bytes, expected) in [
            (header(PROXY, TCP4, &ENDS_4), client("192.0.2.1")),
            (header(PROXY, TCP6, &ends_6), client("2001:db8::7")),
            (header(PROXY, TCP6, &mapped), client("192.0.2.1")),
            (header(PROXY, TCP4, &tlvs), client("192.0.2.1")),
            (header(PROXY, TCP4, &[&ENDS_4[..], &[0; MAX_LENGTH - 12]].concat()), client("192.0.2.1")),
            (header(PROXY, UNSPEC, &[]), proxy),
            (header(PROXY, UNSPEC, &[1, 2, 3]), proxy),
            (header(PROXY, UNIX_STREAM, &[0; 216]), proxy),
            (header(LOCAL, UNSPEC, &[]), proxy),
            (header(LOCAL, TCP4, &ENDS_4), proxy),
            (header(LOCAL, 0xff, &[9]), proxy),
            // Version 1.
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n".to_vec(), client("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::7 ::1 65535 0\r\n".to_vec(), client("2001:db8::7")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n".to_vec(), client("192.0.2.1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), proxy),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), proxy),
            ([b"PROXY UNKNOWN ", &[b'x'; 91][..], b"\r\n"].concat(), proxy),
            ([b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat(), Err(BadHeader)),
            (b"PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n".to_vec(), Err(BadHeader)),
            (b"PROXY TCP4 192.0.2.1 x 1 2\r\n".to_vec(), Err(BadHeader)),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n".to_vec(), Err(BadHeader)),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n".to_vec(), Err(BadHeader)),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n".to_vec(), Err(BadHeader)),
            (b"PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), Err(BadHeader)),
            // A line that ends within what is read at once is none, in one piece or in many.
            (b"PROXY T\x05\n\r\n\0\r2".to_vec(), Err(BadHeader)),
            (b"PROXY \r\n    ".to_vec(), Err(BadHeader)),
            (b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), Err(BadHeader)),
            (b"PROXIES\r\n".to_vec(), Err(BadHeader)),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r".to_vec(), Ok(None)),
            // Wrong: version 3, an unknown command, UDP, too short for its family, too long, and no header at
            // all.
            (header(0x31, TCP4, &ENDS_4), Err(BadHeader)),
            (header(0x22, TCP4, &ENDS_4), Err(BadHeader)),
            (header(PROXY, 0x12, &ENDS_4), Err(BadHeader)),
            (header(PROXY, TCP4, &ENDS_4[..11]), Err(BadHeader)),
            (header(PROXY, TCP6, &ENDS_4), Err(BadHeader)),
            (header(PROXY, TCP4, &[0; MAX_LENGTH + 1]), Err(BadHeader)),
            (b"GET / HTTP/1.1\r\n".to_vec(), Err(BadHeader)),
            (b"\r\n\r\n\0\r\nQUIT\r\n".to_vec(), Err(BadHeader)),
            // Incomplete.
            (header(PROXY, TCP4, &ENDS_4)[..27].to_vec(), Ok(None)),
            (SIGNATURE.to_vec(), Ok(None)),
        ] {
            let followed = if expected == Ok(None) { bytes.clone() } else { [&bytes[..], b"GET /"].concat() };
            for piece in [1, 7, usize::MAX] {
                let (outcome, left) = feed(&followed, piece);
                assert_eq!(outcome, expected, "{piece}: {bytes:x?}");
                if matches!(expected, Ok(Some(_))) {
                    assert_eq!(left, 5, "what follows is not touched: {bytes:x?}");
                }
            }
        }
    }
}
