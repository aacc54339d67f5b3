//! The mistakes that a peer can make, and the status code that answers each.
//!
//! This is about frames and messages; mistakes in the opening handshake are
//! `handshake::RequestError`, because they are answered in HTTP.

use core::fmt;

/// A violation of RFC 6455 (or of a limit) by the peer; it _fails_ the connection (section 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame of a client without a masking key, or of a server with one (section 5.1).
    WrongMasking {
        /// Whether the frame was masked.
        masked: bool,
    },
    /// A reserved bit that no negotiated extension gives a meaning to (section 5.2). Bit 1 is 0x4 here, bit 3 is 0x1.
    ReservedBits(u8),
    /// An opcode that is not defined: 3 to 7 or 11 to 15 (section 5.2).
    ReservedOpcode(u8),
    /// A control frame without FIN (section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    ControlTooLong(u64),
    /// A payload length in more bytes than it needs (section 5.2).
    NonMinimalLength(u64),
    /// A 64-bit payload length with the highest bit set (section 5.2).
    LengthOverflow,
    /// A continuation frame where no message has begun (section 5.4).
    UnexpectedContinuation,
    /// A text or binary frame amid a fragmented message (section 5.4).
    ExpectedContinuation,
    /// A Close frame with a payload of one byte (section 5.5.1).
    TruncatedCloseCode,
    /// A status code that may not be sent (section 7.4).
    InvalidCloseCode(u16),
    /// Text, or the reason in a Close frame, that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A message that is, or says that it will be, over the limit.
    MessageTooBig {
        /// The largest payload allowed, in bytes.
        limit: usize,
    },
    /// A compressed message that is not DEFLATE or refers to what was never sent (RFC 7692 section 7.2.2).
    CorruptDeflate,
    /// A compressed message in more final blocks than allowed (RFC 7692 section 7.2.3.4).
    TooManyFinalBlocks {
        /// The largest number of final blocks that others may follow.
        limit: u32,
    },
    /// A message in more fragments than allowed.
    TooManyFragments {
        /// The largest number of frames a message may come in.
        limit: u32,
    },
}

impl fmt::Display for ProtocolError {
    /// What was found against what was allowed; short enough for the reason of a Close frame.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WrongMasking { masked: false } => write!(f, "frame not masked; a client must mask"),
            Self::WrongMasking { masked: true } => write!(f, "frame masked; a server must not mask"),
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:03b} set, no extension uses them"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode:#x} is reserved"),
            Self::FragmentedControl => write!(f, "control frame without FIN"),
            Self::ControlTooLong(len) => write!(f, "control frame of {len} bytes, at most 125 allowed"),
            Self::NonMinimalLength(len) => write!(f, "length {len} not in its shortest form"),
            Self::LengthOverflow => write!(f, "length over 2^63-1"),
            Self::UnexpectedContinuation => write!(f, "continuation frame, but no message has begun"),
            Self::ExpectedContinuation => write!(f, "new message amid a fragmented one"),
            Self::TruncatedCloseCode => write!(f, "close frame of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} may not be sent"),
            Self::InvalidUtf8 => write!(f, "text is not UTF-8"),
            Self::MessageTooBig { limit } => write!(f, "message over {limit} bytes"),
            Self::CorruptDeflate => write!(f, "compressed data is corrupt"),
            Self::TooManyFinalBlocks { limit } => write!(f, "more than {limit} final blocks in a compressed message"),
            Self::TooManyFragments { limit } => write!(f, "message in more than {limit} fragments"),
        }
    }
}

impl core::error::Error for ProtocolError {}
