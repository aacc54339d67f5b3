//! A strict reader of what a server sends, written from RFC 6455 and RFC 9112 and not from `proto`: it takes nothing
//! that a server of ours has no reason to send.

use super::inflate::inflate;

/// What a server has sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The head of a response that is none to an upgrade, and its body.
    Response(u16, Vec<u8>),
    /// The connection is a WebSocket from here on.
    Upgraded,
    /// A text message.
    Text(String),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The end, with its code.
    Close(u16),
}

/// Reads one connection.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
    upgraded: bool,
    closed: bool,
    /// What `Sec-WebSocket-Accept` must be.
    accept: String,
    /// The client has closed with a code of its own, which comes back.
    any_code: bool,
    /// With which window the client has offered permessage-deflate, in bits, and the server has agreed to it.
    offered: Option<u8>,
    window: Option<usize>,
}

impl Reader {
    /// Of a connection that has asked for an upgrade, which is accepted by this value; of one that asks for other
    /// things, if it is empty.
    pub fn new(accept: String) -> Self {
        Self { accept, ..Self::default() }
    }

    /// The client may close with any code, which comes back.
    pub fn with_any_code(self) -> Self {
        Self { any_code: true, ..self }
    }

    /// From now on it may close with any code.
    pub fn allow_any_code(&mut self) {
        self.any_code = true;
    }

    /// The client offers permessage-deflate, with a window of the server of so many bits.
    pub fn offering(self, offered: Option<u8>) -> Self {
        Self { offered, ..self }
    }

    /// Whether messages may be compressed.
    pub fn may_compress(&self) -> bool {
        self.window.is_some()
    }

    /// Bytes have come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the Close has come.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next thing that is complete.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next(&mut self) -> Result<Option<Heard>, String> {
        if !self.upgraded {
            return self.next_response();
        }
        let bytes = &self.bytes[self.at..];
        if self.closed {
            return if bytes.is_empty() { Ok(None) } else { Err("bytes behind the Close".into()) };
        }
        let [first, second, ..] = *bytes else { return Ok(None) };
        if first & 0x70 != 0 && (first != 0xc1 || self.window.is_none()) {
            return Err(format!("reserved bits in a frame that begins with {first:#x}"));
        }
        if second & 0x80 != 0 {
            return Err("a masked frame from a server".into());
        }
        let (len, start) = match second {
            126 => {
                let Some(&[high, low]) = bytes.get(2..4) else { return Ok(None) };
                (u64::from(u16::from_be_bytes([high, low])), 4)
            }
            127 => {
                let Some(long) = bytes.get(2..10) else { return Ok(None) };
                (u64::from_be_bytes(long.try_into().expect("eight bytes")), 10)
            }
            short => (u64::from(short), 2),
        };
        if start == 4 && len < 126 || start == 10 && len < 0x1_0000 {
            return Err(format!("a length of {len} that is not written as short as it can be"));
        }
        if len > MOST {
            return Err(format!("a frame of {len} bytes"));
        }
        let Some(payload) = bytes.get(start..start + len as usize) else { return Ok(None) };
        let heard = match first {
            0x81 => match String::from_utf8(payload.to_vec()) {
                Ok(text) => Heard::Text(text),
                Err(_) => return Err("a text message that is not UTF-8".into()),
            },
            0xc1 => {
                let window = self.window.expect("looked at above");
                match String::from_utf8(inflate(payload, window, MOST as usize)?) {
                    Ok(text) => Heard::Text(text),
                    Err(_) => return Err("a compressed message that is not UTF-8".into()),
                }
            }
            0x88..=0x8a if len > 125 => return Err(format!("a control frame of {len} bytes")),
            0x88 => {
                let code = match *payload {
                    [] => 1005,
                    [_] => return Err("a Close with half a code".into()),
                    [high, low, ..] => u16::from_be_bytes([high, low]),
                };
                if std::str::from_utf8(payload.get(2..).unwrap_or_default()).is_err() {
                    return Err("a reason that is not UTF-8".into());
                }
                if code != 1005 && !self.any_code && !CODES.contains(&code) {
                    return Err(format!("a Close with code {code}, which docs/wire.md does not have"));
                }
                self.closed = true;
                Heard::Close(code)
            }
            0x89 => Heard::Ping(payload.to_vec()),
            0x8a => Heard::Pong(payload.to_vec()),
            _ => {
                return Err(format!("a frame that begins with {first:#x}: no whole text message, ping, pong or Close"));
            }
        };
        self.at += start + len as usize;
        Ok(Some(heard))
    }

    fn next_response(&mut self) -> Result<Option<Heard>, String> {
        let bytes = &self.bytes[self.at..];
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() > 16_384 { Err("a head without end".into()) } else { Ok(None) };
        };
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let Some(code) = code else { return Err(format!("a response that begins with {status:?}")) };
        let (mut length, mut accept, mut upgrade, mut extensions) = (None, None, false, None);
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else { return Err(format!("the header {line:?}")) };
            match &*name.to_ascii_lowercase() {
                "content-length" if length.is_some() => return Err("two lengths".into()),
                "content-length" => length = Some(value.parse::<usize>().map_err(|_| "a length that is no number")?),
                "sec-websocket-accept" => accept = Some(value),
                "sec-websocket-extensions" if extensions.is_some() => return Err("two lists of extensions".into()),
                "sec-websocket-extensions" => extensions = Some(value),
                "upgrade" => upgrade = value.eq_ignore_ascii_case("websocket"),
                _ => {}
            }
        }
        let body = end + 4;
        if code == 101 {
            if self.accept.is_empty() || accept != Some(&*self.accept) || !upgrade {
                return Err(format!("an upgrade that does not answer the request: {head:?}"));
            }
            self.window = extensions.map(|words| window(words, self.offered)).transpose()?;
            self.upgraded = true;
            self.at += body;
            return Ok(Some(Heard::Upgraded));
        }
        let Some(length) = length else { return Err(format!("a response without a length: {head:?}")) };
        let Some(content) = bytes.get(body..body + length) else { return Ok(None) };
        let heard = Heard::Response(code, content.to_vec());
        self.at += body + length;
        Ok(Some(heard))
    }
}

/// The window that a server has agreed to, in bytes.
fn window(extensions: &str, offered: Option<u8>) -> Result<usize, String> {
    let Some(bits) = offered else { return Err(format!("extensions that nobody has offered: {extensions}")) };
    let usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let asked = format!("{usual}; server_max_window_bits={bits}");
    match bits == 15 && extensions == usual || extensions == asked {
        true => Ok(1 << bits),
        false => Err(format!("extensions that do not answer a window of {bits} bits: {extensions}")),
    }
}

/// The close codes of `docs/wire.md`.
const CODES: [u16; 17] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4003, 4010, 4100, 4101, 4200, 4201];

/// No message of Salon is longer: a page of history, or a list of names.
const MOST: u64 = 32 << 20;
