//! The header of a frame (RFC 6455 section 5.2): bytes to [`FrameHeader`] and back.
//!
//! ```text
//!   0                   1                   2                   3
//!   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//!  |I|S|S|S|  (4)  |A|     (7)     |   (16 bits if length is 126,  |
//!  |N|V|V|V|       |S|             |    64 bits if length is 127)  |
//!  | |1|2|3|       |K|             |                               |
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  |            Masking-key (32 bits, if MASK is set)              |
//!  +---------------------------------------------------------------+
//! ```
//!
//! Payloads are not its subject: it neither unmasks nor keeps them. Decoding judges each byte as soon as
//! it is there, in the order of the wire, so the same bytes give the same error however they are cut.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::ProtocolError;
use crate::mask::{self, MaskingKey};

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// 0: a further fragment of the message that has begun.
    Continuation = 0,
    /// 1: text, or its first fragment.
    Text = 1,
    /// 2: binary data, or its first fragment.
    Binary = 2,
    /// 8: Close.
    Close = 8,
    /// 9: Ping.
    Ping = 9,
    /// 10: Pong.
    Pong = 10,
}

/// What a message is (section 5.6). Other frames are no messages: Close, Ping and Pong have functions of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, in UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

impl Opcode {
    /// Whether this is Close, Ping or Pong (section 5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// Everything a frame says before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The last (or only) frame of its message.
    pub fin: bool,
    /// Reserved bit 1; an extension gives it a meaning (permessage-deflate: compressed).
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, in frames of a client.
    pub mask: Option<MaskingKey>,
    /// Bytes of payload that follow; below 2^63.
    pub payload_len: u64,
}

/// What a receiver accepts at this point of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameRules {
    /// Whether frames must be masked (the sender is a client) or must not be.
    pub masked: bool,
    /// Whether a text or binary frame may set RSV1.
    pub rsv1: bool,
    /// Whether a message has begun and not ended.
    pub fragmented: bool,
    /// How many more frames that message may have.
    pub fragments_left: u32,
    /// How many more bytes the message may have.
    pub payload_left: u64,
    /// What to report as the limits when these are exceeded.
    pub limits: Limits,
}

impl FrameRules {
    /// What a receiver accepts at first: of a client (`masked`), or of a server.
    pub const fn new(masked: bool, limits: Limits) -> Self {
        let payload_left = limits.message_bytes as u64;
        Self { masked, rsv1: false, fragmented: false, fragments_left: 0, payload_left, limits }
    }

    /// What it accepts behind a frame with this header, which it has accepted: for a proxy that hands frames on.
    ///
    /// ```
    /// use salon_proto::frame::{FrameHeader, FrameRules};
    /// use salon_proto::{Limits, ProtocolError};
    ///
    /// let mut rules = FrameRules::new(false, Limits::default());
    /// let (header, _) = FrameHeader::decode(b"\x01\x03Hel", &rules)?.expect("it is whole");
    /// rules.pass(&header);
    /// let text = FrameHeader::decode(b"\x81\x02lo", &rules);
    /// assert_eq!(text, Err(ProtocolError::ExpectedContinuation));
    /// # Ok::<(), ProtocolError>(())
    /// ```
    pub const fn pass(&mut self, header: &FrameHeader) {
        if header.opcode.is_control() {
            return;
        }
        if header.fin {
            *self = Self { rsv1: self.rsv1, ..Self::new(self.masked, self.limits) };
            return;
        }
        self.payload_left = self.payload_left.saturating_sub(header.payload_len);
        self.fragments_left = match self.fragmented {
            true => self.fragments_left.saturating_sub(1),
            false => self.limits.fragments.saturating_sub(1),
        };
        self.fragmented = true;
    }
}

/// The largest message a receiver takes. There may be more limits in a later version: it is made by what it differs in
/// from the usual ones.
///
/// ```
/// use salon_proto::Limits;
///
/// const OURS: Limits = Limits::new().message_bytes(1 << 20);
/// assert_eq!((OURS.message_bytes, OURS.fragments), (1 << 20, 1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of payload in one message, over all its fragments.
    pub message_bytes: u32,
    /// Frames that one message may come in.
    pub fragments: u32,
}

impl Limits {
    /// 64 KiB in 1,024 fragments.
    pub const fn new() -> Self {
        Self { message_bytes: 64 << 10, fragments: 1024 }
    }

    /// With another number of [bytes](Limits::message_bytes).
    #[must_use]
    pub const fn message_bytes(self, message_bytes: u32) -> Self {
        Self { message_bytes, ..self }
    }

    /// With another number of [frames](Limits::fragments).
    #[must_use]
    pub const fn fragments(self, fragments: u32) -> Self {
        Self { fragments, ..self }
    }
}

impl Default for Limits {
    /// [`Limits::new`].
    fn default() -> Self {
        Self::new()
    }
}

impl FrameHeader {
    /// The header of a whole message in one frame, unmasked.
    pub const fn of_message(opcode: Opcode, payload_len: usize) -> Self {
        Self { fin: true, rsv1: false, opcode, mask: None, payload_len: payload_len as u64 }
    }

    /// Reads the header at the front of `bytes` and returns its length; `None` while it is incomplete.
    ///
    /// # Errors
    /// The violation in the bytes that are there already, be the header complete or not.
    pub fn decode(bytes: &[u8], rules: &FrameRules) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, rsv1, opcode) = Self::decode_first(first, rules)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & MASK != 0;
        if masked != rules.masked {
            return Err(ProtocolError::WrongMasking { masked });
        }
        let short = second & !MASK;
        let (payload_len, mut len) = match short {
            LENGTH_16 => {
                let Some(&extended) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
                (u64::from(u16::from_be_bytes(extended)), 4)
            }
            LENGTH_64 => {
                let Some(&extended) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
                (u64::from_be_bytes(extended), 10)
            }
            _ => (u64::from(short), 2),
        };
        if payload_len >> 63 != 0 {
            return Err(ProtocolError::LengthOverflow);
        }
        if len != 2 && len != extended_len(payload_len) {
            return Err(ProtocolError::NonMinimalLength(payload_len));
        }
        if opcode.is_control() && payload_len > MAX_CONTROL_PAYLOAD as u64 {
            return Err(ProtocolError::ControlTooLong(payload_len));
        }
        if !opcode.is_control() && payload_len > rules.payload_left {
            return Err(ProtocolError::MessageTooBig { limit: rules.limits.message_bytes as usize });
        }
        let mask = if masked {
            let Some(&key) = bytes.get(len..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            len += 4;
            Some(key)
        } else {
            None
        };
        Ok(Some((Self { fin, rsv1, opcode, mask, payload_len }, len)))
    }

    fn decode_first(first: u8, rules: &FrameRules) -> Result<(bool, bool, Opcode), ProtocolError> {
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(ProtocolError::ReservedOpcode(first & 0x0f))?;
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        // §5.2, RFC 7692 §6: RSV1 marks the first frame of a compressed message and nothing else.
        let allowed = if rules.rsv1 && matches!(opcode, Opcode::Text | Opcode::Binary) { RSV1 } else { 0 };
        if first & RESERVED & !allowed != 0 {
            return Err(ProtocolError::ReservedBits((first & RESERVED) >> 4));
        }
        match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => Err(ProtocolError::FragmentedControl),
            Opcode::Continuation if !rules.fragmented => Err(ProtocolError::UnexpectedContinuation),
            Opcode::Text | Opcode::Binary if rules.fragmented => Err(ProtocolError::ExpectedContinuation),
            Opcode::Continuation if rules.fragments_left == 0 => {
                Err(ProtocolError::TooManyFragments { limit: rules.limits.fragments })
            }
            _ => Ok((fin, rsv1, opcode)),
        }
    }

    /// Appends the header, its length in the shortest form (section 5.2).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut header = [0; MAX_HEADER_LEN];
        header[0] = self.opcode as u8 | if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 };
        let mut len = extended_len(self.payload_len);
        header[1] = match len {
            2 => self.payload_len as u8,
            4 => {
                header[2..4].copy_from_slice(&(self.payload_len as u16).to_be_bytes());
                LENGTH_16
            }
            _ => {
                header[2..10].copy_from_slice(&self.payload_len.to_be_bytes());
                LENGTH_64
            }
        };
        if let Some(key) = self.mask {
            header[1] |= MASK;
            header[len..len + 4].copy_from_slice(&key);
            len += 4;
        }
        out.extend_from_slice(&header[..len]);
    }
}

/// Appends a whole unmasked frame: what a server sends.
pub fn encode_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER_LEN + payload.len());
    FrameHeader::of_message(opcode, payload.len()).encode(out);
    out.extend_from_slice(payload);
}

/// Appends a whole masked frame: what a client sends.
///
/// The key is for this frame alone, and nobody may be able to foresee it: a page or program that could would choose
/// what a proxy on the way sees, and make it believe in a response that never was (sections 5.3 and 10.3). Nothing here
/// is random, so the caller must draw each key from a strong source.
pub fn encode_masked_frame(opcode: Opcode, payload: &[u8], key: MaskingKey, out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER_LEN + payload.len());
    FrameHeader { mask: Some(key), ..FrameHeader::of_message(opcode, payload.len()) }.encode(out);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply_mask(&mut out[start..], key, 0);
}

/// Finds what nearly every frame of a client is: a whole message, uncompressed, all there at the front of `bytes`, of
/// at most `limit` bytes and less than 64 KiB. Returns its kind, its key, and where its payload lies.
///
/// It finds nothing in any other frame, be it right or wrong: then [`FrameHeader::decode`] judges.
#[inline]
pub(super) fn find_whole_message(bytes: &[u8], limit: u32) -> Option<(Opcode, MaskingKey, Range<usize>)> {
    let &[first, second] = bytes.first_chunk()?;
    let opcode = match first.checked_sub(FIN).and_then(Opcode::from_bits)? {
        opcode @ (Opcode::Text | Opcode::Binary) => opcode,
        _ => return None,
    };
    let (len, header) = match second.checked_sub(MASK)? {
        LENGTH_64 => return None,
        LENGTH_16 => match u16::from_be_bytes(*bytes[2..].first_chunk()?) {
            0..LENGTH_16_MIN => return None,
            len => (usize::from(len), 4),
        },
        short => (usize::from(short), 2),
    };
    let key = *bytes[header..].first_chunk()?;
    let start = header + size_of::<MaskingKey>();
    let end = start + len;
    (len <= limit as usize && end <= bytes.len()).then_some((opcode, key, start..end))
}

/// The length of the unmasked frame at the front of `bytes`, header and payload, which need not be there whole.
///
/// `None` if the header is not. For bytes of our own making: nothing is judged.
pub fn whole_len(bytes: &[u8]) -> Option<usize> {
    let (header, payload) = match *bytes.get(1)? & !MASK {
        LENGTH_16 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        LENGTH_64 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    usize::try_from(payload).ok()?.checked_add(header)
}

/// The length of a header without masking key in front of that much payload.
const fn extended_len(payload_len: u64) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// The longest header: opcode and length, extended length, masking key.
pub const MAX_HEADER_LEN: usize = 2 + 8 + 4;

/// The most a control frame may carry (section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x70;
const MASK: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The least length that needs 16 bits.
const LENGTH_16_MIN: u16 = LENGTH_16 as u16;

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: FrameRules = FrameRules {
        masked: false,
        rsv1: false,
        fragmented: false,
        fragments_left: 3,
        payload_left: u64::MAX,
        limits: Limits { message_bytes: u32::MAX, fragments: 3 },
    };

    /// Decodes whole and byte by byte: the same answer, and none before it is due.
    fn decode(bytes: &[u8], rules: &FrameRules) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        let whole = FrameHeader::decode(bytes, rules);
        let mut grown = Ok(None);
        for len in 0..=bytes.len() {
            grown = FrameHeader::decode(&bytes[..len], rules);
            if !matches!(grown, Ok(None)) {
                break;
            }
        }
        assert_eq!(whole, grown, "{bytes:x?}");
        whole
    }

    #[test]
    fn lengths_in_and_out() {
        for len in [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 1 << 32, (1 << 63) - 1] {
            for mask in [None, Some([1, 2, 3, 4])] {
                for fin in [true, false] {
                    let header = FrameHeader { fin, rsv1: false, opcode: Opcode::Text, mask, payload_len: len };
                    let mut bytes = Vec::new();
                    header.encode(&mut bytes);
                    let rules = FrameRules { masked: mask.is_some(), ..RULES };
                    assert_eq!(decode(&bytes, &rules), Ok(Some((header, bytes.len()))));
                }
            }
        }
    }

    /// The short path finds what the long path finds, and nothing where that would not find a whole message.
    #[test]
    fn whole_messages_are_found_as_they_are_decoded() {
        let rules = FrameRules { masked: true, payload_left: 300, ..RULES };
        let mut found = 0;
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for extended in [0, 125, 126, 300, 301] {
                    let mut bytes = vec![first, second];
                    bytes.extend_from_slice(&u16::to_be_bytes(extended));
                    bytes.resize(310, 7);
                    for bytes in [&bytes[..], &bytes[..140], &bytes[..7], &bytes[..3], &bytes[..1]] {
                        let whole = match FrameHeader::decode(bytes, &rules) {
                            Ok(Some((FrameHeader { fin: true, opcode, mask: Some(key), payload_len, .. }, start))) => {
                                let end = start + payload_len as usize;
                                let message = !opcode.is_control() && end <= bytes.len();
                                message.then_some((opcode, key, start..end))
                            }
                            _ => None,
                        };
                        let short = find_whole_message(bytes, 300);
                        assert_eq!(short, whole, "{:x?}", &bytes[..bytes.len().min(8)]);
                        found += usize::from(short.is_some());
                    }
                }
            }
        }
        assert!(found > 1000);
    }

    #[test]
    fn section_5_7_examples() {
        let text = |fin, payload_len, mask| FrameHeader { fin, rsv1: false, opcode: Opcode::Text, mask, payload_len };
        assert_eq!(decode(b"\x81\x05Hello", &RULES), Ok(Some((text(true, 5, None), 2))));
        let masked = FrameRules { masked: true, ..RULES };
        let key = Some([0x37, 0xfa, 0x21, 0x3d]);
        let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(decode(bytes, &masked), Ok(Some((text(true, 5, key), 6))));
        assert_eq!(decode(b"\x01\x03Hel", &RULES), Ok(Some((text(false, 3, None), 2))));
        let binary = FrameHeader { opcode: Opcode::Binary, ..text(true, 256, None) };
        assert_eq!(decode(b"\x82\x7e\x01\x00", &RULES), Ok(Some((binary, 4))));
        let long = FrameHeader { payload_len: 65536, ..binary };
        assert_eq!(decode(b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", &RULES), Ok(Some((long, 10))));
    }

    #[test]
    fn errors_come_at_the_first_byte_that_shows_them() {
        let begun = FrameRules { fragmented: true, ..RULES };
        let spent = FrameRules { fragments_left: 0, ..begun };
        let small = FrameRules { payload_left: 200, limits: Limits { message_bytes: 200, fragments: 3 }, ..RULES };
        let deflate = FrameRules { rsv1: true, ..RULES };
        for (bytes, rules, error) in [
            (&b"\xc1"[..], RULES, ProtocolError::ReservedBits(0b100)),
            (b"\xa1", deflate, ProtocolError::ReservedBits(0b010)),
            (b"\x91", deflate, ProtocolError::ReservedBits(0b001)),
            (b"\xc9", deflate, ProtocolError::ReservedBits(0b100)),
            (b"\xc0", FrameRules { fragmented: true, ..deflate }, ProtocolError::ReservedBits(0b100)),
            (b"\x83", RULES, ProtocolError::ReservedOpcode(3)),
            (b"\x8f", RULES, ProtocolError::ReservedOpcode(15)),
            (b"\x09", RULES, ProtocolError::FragmentedControl),
            (b"\x80", RULES, ProtocolError::UnexpectedContinuation),
            (b"\x81", begun, ProtocolError::ExpectedContinuation),
            (b"\x00", spent, ProtocolError::TooManyFragments { limit: 3 }),
            (b"\x81\x80", RULES, ProtocolError::WrongMasking { masked: true }),
            (b"\x89\x7e\x00\x7e", RULES, ProtocolError::ControlTooLong(126)),
            (b"\x89\x7e\xea\x60", RULES, ProtocolError::ControlTooLong(60_000)),
            (b"\x89\x7f\x00\x00\x00\x00\x00\x01\x00\x00", RULES, ProtocolError::ControlTooLong(65_536)),
            (b"\x89\x7e\x00\x05", RULES, ProtocolError::NonMinimalLength(5)),
            (b"\x81\x7e\x00\x7d", RULES, ProtocolError::NonMinimalLength(125)),
            (b"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", RULES, ProtocolError::NonMinimalLength(65535)),
            (b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", RULES, ProtocolError::LengthOverflow),
            (b"\x81\x7e\x00\xc9", small, ProtocolError::MessageTooBig { limit: 200 }),
        ] {
            assert_eq!(decode(bytes, &rules), Err(error), "{bytes:x?}");
            assert_eq!(FrameHeader::decode(&bytes[..bytes.len() - 1], &rules), Ok(None), "{bytes:x?}");
        }
        assert!(matches!(decode(b"\xc1\x00", &deflate), Ok(Some((FrameHeader { rsv1: true, .. }, 2)))));
    }
}
