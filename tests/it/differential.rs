//! The same bytes through two implementations: tungstenite and `salon::proto` must hear the same messages in the same
//! order and end with the same code.
//!
//! Streams are sequences of good frames of a client, or of a server, that are then damaged a little; all of it follows
//! from a seed, which a failure names. Where the two differ, the difference must stand in [`EXPLAINED`], with the
//! section that settles it; an explanation that no stream needs any more fails as well.

use std::io::{self, Read, Write};

use crate::common::bytes::{self, Told};
use salon::proto::frame::{FrameHeader, Opcode, encode_frame, encode_masked_frame};
use salon::proto::receiver::Receiver;
use salon::proto::{CloseCode, Limits, ProtocolError, mask::apply_mask};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

const STREAMS: u64 = 10_000;
const LIMITS: Limits = Limits::new().message_bytes(1000).fragments(u32::MAX);

/// The outcome of a stream. The code is the one that the peer is sent; 1005 stands for a Close without one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    heard: Vec<Told>,
    code: Option<u16>,
}

/// The outcome of `salon::proto`, read in pieces, and why it failed, if it did.
fn ours(bytes: &[u8], size: usize, role: Role) -> (Outcome, Option<ProtocolError>) {
    let mut outcome = bytes::Outcome::default();
    let mut connection = match role {
        Role::Server => Receiver::server(LIMITS),
        Role::Client => Receiver::client(LIMITS, [1, 2, 3, 4]),
    };
    bytes.chunks(size).for_each(|piece| outcome.read(&mut connection, None, piece));
    let mut heard = outcome.told;
    let (code, error) = match heard.pop_if(|told| matches!(told, Told::Close(_) | Told::Failed(_))) {
        Some(Told::Close(body)) => (Some(body.map_or(1005, |(code, _)| code)), None),
        Some(Told::Failed(error)) => (Some(CloseCode::from(error).get()), Some(error)),
        _ => (None, None),
    };
    (Outcome { heard, code }, error)
}

/// A stream that brings bytes in pieces and takes whatever is written.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(self.size);
        self.bytes.read(&mut into[..len])
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The outcome of tungstenite. It sends no Close when it fails; its error names the code all the same.
fn theirs(bytes: &[u8], size: usize, role: Role) -> Outcome {
    let limit = Some(LIMITS.message_bytes as usize);
    let config = WebSocketConfig::default().read_buffer_size(4096).max_message_size(limit).max_frame_size(limit);
    let mut socket = WebSocket::from_raw_socket(Pieces { bytes, size }, role, Some(config));
    let mut heard = Vec::new();
    let code = loop {
        heard.push(match socket.read() {
            Ok(Message::Text(text)) => Told::Text(text.as_str().into()),
            Ok(Message::Binary(data)) => Told::Binary(data.into()),
            Ok(Message::Ping(data)) => Told::Ping(data.into()),
            Ok(Message::Pong(data)) => Told::Pong(data.into()),
            Ok(Message::Close(body)) => break Some(body.map_or(1005, |body| body.code.into())),
            Ok(Message::Frame(_)) => unreachable!("frames are not passed on when reading"),
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => break None,
            Err(Error::Protocol(_)) => break Some(1002),
            Err(Error::Utf8(_)) => break Some(1007),
            Err(Error::Capacity(_)) => break Some(1009),
            Err(error) => panic!("nothing else can happen here: {error}"),
        });
    };
    Outcome { heard, code }
}

/// A difference that may be: which section settles it, and how to know it.
struct Explained {
    why: &'static str,
    section: &'static str,
    applies: fn(&Outcome, Option<ProtocolError>, &Outcome) -> bool,
}

const EXPLAINED: [Explained; 4] = [
    Explained {
        why: "tungstenite takes a length that is not in its shortest form",
        section: "RFC 6455 5.2: the minimal number of bytes MUST be used",
        applies: |ours, error, theirs| {
            // In a control frame, an extended length is known to be wrong before it is read.
            let length = matches!(error, Some(ProtocolError::NonMinimalLength(_) | ProtocolError::ControlTooLong(_)));
            length && theirs.heard.starts_with(&ours.heard)
        },
    },
    Explained {
        why: "tungstenite looks at the size first, and then at what else is wrong in the same header",
        section: "RFC 6455 5.1, 5.2, 5.4, 5.5: two rules are broken at once, and none says which comes first",
        applies: |ours, error, theirs| {
            let in_header = !matches!(error, None | Some(ProtocolError::InvalidUtf8));
            in_header && ours.code == Some(1002) && theirs.code == Some(1009) && ours.heard == theirs.heard
        },
    },
    Explained {
        why: "tungstenite looks at the reason of a Close first, and then at its code",
        section: "RFC 6455 7.4.1, 8.1: two rules are broken at once",
        applies: |ours, error, theirs| {
            let code = matches!(error, Some(ProtocolError::InvalidCloseCode(_)));
            code && theirs.code == Some(1007) && ours.heard == theirs.heard
        },
    },
    Explained {
        why: "tungstenite does not know 1014",
        section: "RFC 6455 7.4.2, 11.7: codes are registered with IANA, and 1014 (Bad Gateway) is",
        applies: |ours, _, theirs| ours.code == Some(1014) && theirs.code == Some(1002) && ours.heard == theirs.heard,
    },
];

/// splitmix64, and whether the frames that are made with it are a client's.
struct Random {
    state: u64,
    masked: bool,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

fn text(random: &mut Random) -> Vec<u8> {
    let words = ["a", "Hello", "κόσμε", "€", "😀", "\u{0}", "日本", " "];
    let max = random.pick(&[0, 3, 20, 130]);
    let mut text: Vec<u8> = (0..max).flat_map(|_| random.pick(&words).bytes()).collect();
    if random.one_in(12) {
        let at = random.below(text.len() + 1);
        let bad: &[u8] =
            random.pick(&[&b"\xff"[..], b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]);
        text.splice(at..at, bad.iter().copied());
    }
    text
}

fn frame(random: &mut Random, fin: bool, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let key = random.next().to_ne_bytes()[..4].try_into().expect("four bytes");
    let start = out.len();
    let masked = random.masked;
    match masked {
        true => encode_masked_frame(opcode, payload, key, out),
        false => encode_frame(opcode, payload, out),
    }
    if !fin {
        out[start] &= 0x7f;
    }
    // Flipping bits at random seldom makes a header wrong in an interesting way.
    match random.below(120) {
        0 => out[start] |= random.pick(&[0x40, 0x20, 0x10]),
        1 => out[start] ^= random.pick(&[0x01, 0x02, 0x04, 0x08, 0x80]),
        2 => {
            // The same payload, masked where it may not be and not where it must.
            out.truncate(start);
            let mask = (!masked).then_some(key);
            FrameHeader { fin, mask, ..FrameHeader::of_message(opcode, payload.len()) }.encode(out);
            out.extend_from_slice(payload);
        }
        3 => {
            // The same payload under a length in more bytes than it needs.
            let first = out[start];
            out.truncate(start);
            let wide = random.one_in(2);
            out.extend_from_slice(&[first, if masked { 0x80 } else { 0 } | if wide { 127 } else { 126 }]);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes()[if wide { 0 } else { 6 }..]);
            if masked {
                out.extend_from_slice(&key);
            }
            let at = out.len();
            out.extend_from_slice(payload);
            if masked {
                apply_mask(&mut out[at..], key, 0);
            }
        }
        4 => {
            // A length that is only claimed.
            let claimed = random.pick(&[1001, 65_535, 65_536, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX]);
            let first = out[start];
            out.truncate(start);
            let mask = masked.then_some(key);
            FrameHeader { fin, rsv1: false, opcode, mask, payload_len: claimed }.encode(out);
            out[start] = first;
        }
        _ => {}
    }
}

fn control(random: &mut Random, out: &mut Vec<u8>) {
    let opcode = random.pick(&[Opcode::Ping, Opcode::Pong]);
    let len = random.pick(&[0, 4, 125, 125, 126]);
    frame(random, true, opcode, &vec![b'p'; len], out);
}

/// A message in one to five fragments with control frames in between.
fn message(random: &mut Random, out: &mut Vec<u8>) {
    let (first, payload) = match random.below(3) {
        0 => (Opcode::Binary, (0..random.pick(&[0, 5, 126, 300, 1000])).map(|n: i32| n as u8).collect()),
        _ => (Opcode::Text, text(random)),
    };
    let count = random.pick(&[1, 1, 1, 2, 5]);
    let mut cuts: Vec<usize> = (1..count).map(|_| random.below(payload.len() + 1)).collect();
    cuts.extend([0, payload.len()]);
    cuts.sort_unstable();
    for (place, piece) in cuts.windows(2).enumerate() {
        let opcode = if place == 0 { first } else { Opcode::Continuation };
        frame(random, place + 2 == cuts.len(), opcode, &payload[piece[0]..piece[1]], out);
        if random.one_in(6) {
            control(random, out);
        }
    }
}

fn close(random: &mut Random, out: &mut Vec<u8>) {
    let code: u16 = match random.below(3) {
        0 => random.pick(&[1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999]),
        1 => random.pick(&[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000]),
        _ => (random.next() % 5100) as u16,
    };
    let body = match random.below(6) {
        0 => vec![],
        1 => vec![3],
        2 => [&code.to_be_bytes(), &b"\xff"[..]].concat(),
        _ => [&code.to_be_bytes(), &b"bye"[..]].concat(),
    };
    frame(random, true, Opcode::Close, &body, out);
}

/// Damage that knows nothing of frames.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => drop(bytes.remove(at)),
        3 => bytes.insert(at, random.next() as u8),
        _ => bytes.truncate(at),
    }
}

fn stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(6) {
        message(random, &mut bytes);
        if random.one_in(4) {
            control(random, &mut bytes);
        }
    }
    if random.one_in(2) {
        close(random, &mut bytes);
    }
    if random.one_in(3) {
        damage(random, &mut bytes);
    }
    bytes
}

#[test]
fn tungstenite_hears_the_same_of_a_client() {
    compare(Role::Server);
}

#[test]
fn tungstenite_hears_the_same_of_a_server() {
    compare(Role::Client);
}

/// Both in that role, reading what the other side sends.
fn compare(role: Role) {
    let mut used = [0; EXPLAINED.len()];
    let (mut open, mut late) = (0, 0);
    for seed in 0..STREAMS {
        let mut random = Random { state: seed, masked: role == Role::Server };
        let bytes = stream(&mut random);
        let (our_size, their_size) = (random.pick(&[1, 2, 7, 100, 100_000]), random.pick(&[1, 50, 100_000]));
        let (ours, error) = ours(&bytes, our_size, role);
        let mut theirs = theirs(&bytes, their_size, role);
        open += usize::from(ours.code.is_none());
        if error.is_some() && theirs.code.is_none() {
            // §7.1.7 lets us fail as soon as we know. tungstenite judges a frame when it is whole, so it is completed.
            late += 1;
            theirs = self::theirs(&[&bytes[..], &[0xff; 2000]].concat(), their_size, role);
        }
        if ours == theirs {
            continue;
        }
        let explained = EXPLAINED.iter().position(|explained| (explained.applies)(&ours, error, &theirs));
        let Some(place) = explained else {
            panic!("seed {seed}: {bytes:02x?}\nours: {ours:?} {error:?}\ntheirs: {theirs:?}");
        };
        used[place] += 1;
    }
    println!("{STREAMS} streams, {open} of them good to the end; {late} were known to be bad before a frame was whole");
    for (explained, used) in EXPLAINED.iter().zip(used) {
        println!("{used} times: {} ({})", explained.why, explained.section);
        assert!(used > 0, "no stream needs it any more: {}", explained.why);
    }
}
