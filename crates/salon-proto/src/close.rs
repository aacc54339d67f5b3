//! Status codes and the body of a Close frame (RFC 6455 sections 5.5.1 and 7.4).
//!
//! It does not decide when to close: [`crate::connection`] does.

use alloc::vec::Vec;
use core::fmt;

use crate::error::ProtocolError;
use crate::utf8;

/// The number in a Close frame that says why (section 7.4): one that may stand on the wire.
///
/// ```
/// use salon_proto::CloseCode;
///
/// const TIME_IS_UP: CloseCode = CloseCode::new(4000).expect("one of the application's");
/// assert_eq!(TIME_IS_UP.get(), 4000);
/// assert_eq!(CloseCode::new(1005), None, "that there was none cannot be said");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops, or the browser left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: data of a kind that is not accepted here.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_FRAME_PAYLOAD_DATA: Self = Self(1007);
    /// 1008: a rule of the application was broken.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message over the limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: the server met something it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts (registered with IANA).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overloaded, or the peer reads too slowly (registered with IANA).
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code, if an endpoint may send it: 1000 to 1003, 1007 to 1014 and 3000 to 4999.
    ///
    /// 1004 is reserved; 1005, 1006 and 1015 are names for what was *not* on the wire (section 7.4.1);
    /// the rest below 3000 is not assigned.
    #[must_use = "it is `None` if it may not be on the wire"]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A number that may not be on the wire as a status code (section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCloseCode(pub u16);

impl fmt::Display for NoCloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected 1000 to 1003, 1007 to 1014 or 3000 to 4999, found {}", self.0)
    }
}

impl core::error::Error for NoCloseCode {}

impl TryFrom<u16> for CloseCode {
    type Error = NoCloseCode;

    fn try_from(code: u16) -> Result<Self, NoCloseCode> {
        Self::new(code).ok_or(NoCloseCode(code))
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.get()
    }
}

/// 1005: the code that stands for a Close without a code (section 7.4.1). It is never sent.
pub const NO_CODE: u16 = 1005;

/// 1006: the code that stands for an end without Close (section 7.4.1). It is never sent.
pub const NO_CLOSE: u16 = 1006;

/// The code of the Close frame for a peer that broke the protocol like this (section 7.4.1).
impl From<ProtocolError> for CloseCode {
    fn from(error: ProtocolError) -> Self {
        match error {
            // No `_` arm: a new error must choose its code.
            ProtocolError::WrongMasking { .. }
            | ProtocolError::ReservedBits(_)
            | ProtocolError::ReservedOpcode(_)
            | ProtocolError::FragmentedControl
            | ProtocolError::ControlTooLong(_)
            | ProtocolError::NonMinimalLength(_)
            | ProtocolError::LengthOverflow
            | ProtocolError::UnexpectedContinuation
            | ProtocolError::ExpectedContinuation
            | ProtocolError::TruncatedCloseCode
            | ProtocolError::InvalidCloseCode(_) => Self::PROTOCOL_ERROR,
            ProtocolError::InvalidUtf8 | ProtocolError::CorruptDeflate => Self::INVALID_FRAME_PAYLOAD_DATA,
            ProtocolError::MessageTooBig { .. } => Self::MESSAGE_TOO_BIG,
            ProtocolError::TooManyFragments { .. } | ProtocolError::TooManyFinalBlocks { .. } => Self::POLICY_VIOLATION,
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a Close frame says: nothing, or a code with a reason of 0 to 123 bytes.
pub type CloseBody<'a> = Option<(CloseCode, &'a str)>;

/// The longest reason that fits beside the code into a control frame (section 5.5).
pub const MAX_REASON_LEN: usize = 123;

/// Reads the payload of a received Close frame (section 5.5.1).
///
/// # Errors
/// One byte alone, a code that may not be on the wire, or a reason that is not UTF-8.
pub fn decode_body(payload: &[u8]) -> Result<CloseBody<'_>, ProtocolError> {
    match payload {
        [] => Ok(None),
        [_] => Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let code = CloseCode::new(code).ok_or(ProtocolError::InvalidCloseCode(code))?;
            let reason = utf8::validate(reason)?;
            Ok(Some((code, reason)))
        }
    }
}

/// Writes a Close payload; a reason over [`MAX_REASON_LEN`] bytes is cut at a character.
pub fn encode_body(code: CloseCode, reason: &str, out: &mut Vec<u8>) {
    let mut len = reason.len().min(MAX_REASON_LEN);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    let reason = &reason[..len];
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire() {
        let allowed: Vec<u16> = (0..=6000).filter(|&code| CloseCode::new(code).is_some()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
        for code in 0..=6000 {
            assert_eq!(
                CloseCode::try_from(code).map(u16::from),
                CloseCode::new(code).map(|_| code).ok_or(NoCloseCode(code))
            );
        }
    }

    #[test]
    fn bodies() {
        let code = CloseCode::NORMAL;
        assert_eq!(decode_body(b""), Ok(None));
        assert_eq!(decode_body(b"\x03"), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(decode_body(b"\x03\xe8"), Ok(Some((code, ""))));
        assert_eq!(decode_body(b"\x03\xe8bye"), Ok(Some((code, "bye"))));
        assert_eq!(decode_body(b"\x03\xed"), Err(ProtocolError::InvalidCloseCode(1005)));
        assert_eq!(decode_body(b"\x03\xe8\xff"), Err(ProtocolError::InvalidUtf8));
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let mut out = Vec::new();
        encode_body(CloseCode::NORMAL, &"é".repeat(100), &mut out);
        assert_eq!(out.len(), 2 + 122);
        assert!(decode_body(&out).is_ok());
    }
}
