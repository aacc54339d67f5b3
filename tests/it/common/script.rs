//! A connection that is told to send whatever a script of bytes says, in whatever order, and a parser of its own that
//! judges what comes out.
//!
//! The parser shares no code with `salon::proto`. It needs that, flate2 and nothing else: a fuzz target takes it in by
//! its path.

use flate2::{Decompress, FlushDecompress, Status};
use salon::proto::client_handshake::{ClientRequest, Response};
use salon::proto::handshake::Request;
use salon::proto::{ClientContext, CloseCode, Connection, Control, Event, Input, Message, Offer, Part, SendError};

/// A message or frame as it was to be sent, or as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, Vec<u8>)>),
}

/// What a script is run with.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub client: bool,
    pub deflate: bool,
}

/// The bytes of a script, taken from the front; zeros behind its end.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// Some bytes of the script, often repeated, so that they can be compressed.
    fn data(&mut self) -> Vec<u8> {
        let (len, times) = (usize::from(self.byte()) % 40, usize::from(self.byte()));
        let (data, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        data.repeat(if times < 128 { 1 } else { 4 * (times - 126) })
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.data()).into_owned()
    }
}

/// A connection that has been made by both heads of a handshake.
fn connection(Setting { client, deflate }: Setting) -> Connection {
    let request = ClientRequest::new("h", *b"the sample nonce").deflate(Offer::new());
    let (mut head, mut answer) = (Vec::new(), Vec::new());
    request.encode(&mut head).expect("a good request");
    let upgrade = Request::parse(&head).expect("a request").upgrade().expect("a good request");
    let upgrade = if deflate { upgrade.deflate(ClientContext::Reset) } else { upgrade };
    let at_server = upgrade.encode(&mut answer);
    if !client {
        return Connection::server(&at_server);
    }
    let at_client = Response::parse(&answer).expect("a response").accept(&request).expect("a good one");
    let mut drawn = 0_u32;
    let keys = move || {
        drawn = drawn.wrapping_mul(0x9e37_79b9).wrapping_add(0x7f4a_7c15);
        drawn.to_be_bytes()
    };
    Connection::client(keys, &at_client)
}

/// Carries the script out, and returns what was not refused and the bytes of it.
///
/// Refused is only what must be: that is checked here, by what has been done before.
pub fn carry_out(setting: Setting, script: &[u8]) -> (Vec<Said>, Vec<u8>) {
    let mut script = Script(script);
    let mut connection = connection(setting);
    if setting.deflate {
        connection = connection.compression(u32::from(script.byte()) % 10, usize::from(script.byte()) % 30);
    }
    let (mut said, mut out, mut input) = (Vec::new(), Vec::new(), Input::new());
    let mut begun: Option<(bool, Vec<u8>)> = None;
    let mut closed = false;
    while !script.0.is_empty() {
        let before = out.len();
        let what = script.byte();
        let (result, expected) = match what % 8 {
            0 => {
                let text = script.text();
                let result = connection.send(Message::Text(&text), &mut out);
                (result, (!closed && begun.is_none()).then_some(Said::Text(text.into_bytes())))
            }
            1 => {
                let data = script.data();
                let result = connection.send(Message::Binary(&data), &mut out);
                (result, (!closed && begun.is_none()).then_some(Said::Binary(data)))
            }
            2 | 3 => {
                let data = script.data();
                let Some(body) = Control::new(&data) else {
                    assert!(data.len() > 125);
                    continue;
                };
                let ping = what % 8 == 2;
                let result = connection.send(if ping { Message::Ping(body) } else { Message::Pong(body) }, &mut out);
                (result, (!closed).then_some(if ping { Said::Ping(data) } else { Said::Pong(data) }))
            }
            4 => {
                let (is_text, last) = (what & 8 == 0, what & 16 == 0);
                let (text, data) = if is_text { (script.text(), vec![]) } else { (String::new(), script.data()) };
                let part = if is_text { Part::Text(&text) } else { Part::Binary(&data) };
                let result = connection.send_part(part, last, &mut out);
                let fits = !closed && begun.as_ref().is_none_or(|(begun, _)| *begun == is_text);
                assert_eq!(result.is_ok(), fits, "{begun:?}");
                if fits {
                    let whole = &mut begun.get_or_insert((is_text, Vec::new())).1;
                    whole.extend_from_slice(if is_text { text.as_bytes() } else { &data });
                    if last && let Some((is_text, whole)) = begun.take() {
                        said.push(if is_text { Said::Text(whole) } else { Said::Binary(whole) });
                    }
                } else {
                    assert_eq!(out.len(), before);
                }
                continue;
            }
            5 if what & 0x18 == 0 => {
                let number = u16::from_be_bytes([script.byte(), script.byte()]);
                let reason = script.text();
                let code = CloseCode::new(number);
                let why = code.map(|code| (code, reason.as_str()));
                connection.close(why, &mut out);
                if !closed {
                    let mut len = reason.len().min(123);
                    while !reason.is_char_boundary(len) {
                        len -= 1;
                    }
                    said.push(Said::Close(why.map(|_| (number, reason.as_bytes()[..len].to_vec()))));
                    closed = true;
                }
                continue;
            }
            6 => {
                // The peer says something: the script's own bytes, or a good ping or Close.
                let data: Vec<u8> = script.data().into_iter().take(125).collect();
                let first = [0x89, 0x8a, 0x88][usize::from(what >> 3) % 3];
                let mut frame = vec![first, data.len() as u8 | if setting.client { 0 } else { 0x80 }];
                frame.extend_from_slice(if setting.client { &[] } else { &[0; 4] });
                frame.extend_from_slice(&data);
                input.extend(if what & 0x80 == 0 { &frame } else { &data });
                while let Some(event) = connection.receive(&mut input, &mut out) {
                    match event {
                        Event::Ping(data) if !closed => said.push(Said::Pong(data.to_vec())),
                        Event::Close(body) => {
                            if !closed {
                                said.push(Said::Close(body.map(|(code, _)| (code.get(), vec![]))));
                            }
                            closed = true;
                        }
                        Event::Failed(error) => {
                            if !closed {
                                let reason = error.to_string().into_bytes();
                                said.push(Said::Close(Some((CloseCode::from(error).get(), reason))));
                            }
                            closed = true;
                        }
                        _ => {}
                    }
                }
                continue;
            }
            7 if what == 0xff => {
                let _ = connection.end_of_stream();
                closed = true;
                continue;
            }
            _ => continue,
        };
        match expected {
            Some(expected) => {
                assert_eq!(result, Ok(()));
                said.push(expected);
            }
            None => {
                assert_eq!(result, Err(if closed { SendError::Closing } else { SendError::Interleaved }));
                assert_eq!(out.len(), before, "what is refused leaves nothing");
            }
        }
        assert_eq!(connection.is_open(), !closed);
    }
    (said, out)
}

/// Reads frames by the letter of RFC 6455 and RFC 7692, and panics at the first thing that may not be.
pub fn judge(Setting { client, deflate }: Setting, mut bytes: &[u8]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    // Its opcode, whether it is compressed, and its payload so far.
    let mut begun: Option<(u8, bool, Vec<u8>)> = None;
    while !bytes.is_empty() {
        assert!(!matches!(said.last(), Some(Said::Close(_))), "nothing follows a Close");
        let (first, second) = (bytes[0], bytes[1]);
        let (fin, rsv1, opcode) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x0f);
        assert_eq!(first & 0x30, 0, "reserved bits");
        assert_eq!(second & 0x80 != 0, client, "a client masks, and a server does not");
        let (len, mut at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")) as usize, 10),
            short => (usize::from(short), 2),
        };
        assert_eq!(
            at,
            if len < 126 {
                2
            } else if len < 65_536 {
                4
            } else {
                10
            },
            "the shortest length"
        );
        let mut key = [0; 4];
        if client {
            key.copy_from_slice(&bytes[at..at + 4]);
            at += 4;
        }
        let payload: Vec<u8> = bytes[at..at + len].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        bytes = &bytes[at + len..];
        if opcode >= 8 {
            assert!(fin && !rsv1 && len <= 125, "a control frame is short and whole");
            said.push(match opcode {
                8 => Said::Close(match &payload[..] {
                    [] => None,
                    [high, low, reason @ ..] => {
                        let code = u16::from_be_bytes([*high, *low]);
                        assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "{code}");
                        std::str::from_utf8(reason).expect("a reason is UTF-8");
                        Some((code, reason.to_vec()))
                    }
                    [_] => panic!("half a code"),
                }),
                9 => Said::Ping(payload),
                10 => Said::Pong(payload),
                _ => panic!("a reserved opcode"),
            });
            continue;
        }
        match opcode {
            0 => {
                assert!(!rsv1, "only the first frame of a message is marked");
                begun.as_mut().expect("a message has begun").2.extend_from_slice(&payload);
            }
            1 | 2 => {
                assert!(begun.is_none(), "the message before has ended");
                assert!(!rsv1 || deflate, "the extension was not agreed to");
                begun = Some((opcode, rsv1, payload));
            }
            _ => panic!("a reserved opcode"),
        }
        if fin {
            let (opcode, compressed, payload) = begun.take().expect("just seen");
            let payload = if compressed { inflated(&payload) } else { payload };
            said.push(match opcode {
                1 => {
                    std::str::from_utf8(&payload).expect("text is UTF-8");
                    Said::Text(payload)
                }
                _ => Said::Binary(payload),
            });
        }
    }
    said
}

/// RFC 7692 section 7.2.2, without context.
fn inflated(payload: &[u8]) -> Vec<u8> {
    let (mut stream, mut out) = (Decompress::new(false), Vec::with_capacity(1 << 16));
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    let status = stream.decompress_vec(&input, &mut out, FlushDecompress::Sync).expect("it is DEFLATE");
    assert!(status == Status::Ok && stream.total_in() as usize == input.len(), "{status:?}");
    out
}

/// Both settings of a script, by its first byte.
pub fn run(script: &[u8]) {
    let Some((&first, script)) = script.split_first() else { return };
    let setting = Setting { client: first & 1 != 0, deflate: first & 2 != 0 };
    let (said, out) = carry_out(setting, script);
    assert_eq!(judge(setting, &out), said);
}
