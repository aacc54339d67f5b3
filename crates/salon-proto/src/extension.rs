//! Negotiating permessage-deflate: `Sec-WebSocket-Extensions` (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1).
//!
//! A client offers one or several configurations in the order it likes them; the first that can be had is agreed to. An
//! offer with a parameter that is unknown, repeated or out of range is declined (section 7.1: "MUST decline"), and the
//! next one is looked at. If none is left, the handshake goes on without the extension. What does not conform to the
//! grammar of section 9.1 is no offer but an error, wherever in the list it stands: the handshake fails (section 9.1:
//! "MUST immediately _Fail the WebSocket Connection_").
//!
//! Salon always answers `server_no_context_takeover`, also unasked, because all receivers of a message share one
//! compressed copy. It declines `server_max_window_bits=8`, because no zlib compresses raw data with so small a window;
//! as `client_max_window_bits` 8 is fine, for the decoder does not mind a smaller window. It knows no other extension.
//!
//! A client makes one [`Offer`], and an answer that does not fit it fails the handshake.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// What was agreed to, which is the rule for both sides. It is made of the peer's header, once that is judged:
/// [`PermessageDeflate::negotiate`] at a server, [`Offer::judge`] at a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermessageDeflate {
    /// The server begins each message with an empty window (section 7.1.1.1).
    server_no_context_takeover: bool,
    /// The client does (section 7.1.1.2).
    client_no_context_takeover: bool,
    /// The server's window is no larger than 2 to this power: 8 to 15 (section 7.1.2.1).
    server_max_window_bits: Option<u8>,
    /// The client's is not: 8 to 15 (section 7.1.2.2).
    client_max_window_bits: Option<u8>,
}

/// Whether a client may refer to its earlier messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientContext {
    /// It may not: nothing has to be kept between its messages. Section 7.1.1.2 lets a server say so unasked.
    Reset,
    /// It may, unless it offers not to: up to 32 KiB are kept for each connection.
    Kept,
}

impl PermessageDeflate {
    /// Agrees to the first offer that can be had, of all values of `Sec-WebSocket-Extensions` in their order, which are
    /// one list.
    ///
    /// Each byte is looked at once, whatever stands there.
    ///
    /// # Errors
    /// [`MalformedExtensions`]: a value that does not conform to section 9.1, or a header that names none at all.
    pub fn negotiate<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
        context: ClientContext,
    ) -> Result<Option<Self>, MalformedExtensions> {
        let (mut agreed, mut found, mut headers) = (None, false, false);
        for value in values {
            headers = true;
            let mut rest = Cursor(value);
            // RFC 2616 section 2.1: elements of a list may be empty, but do not count.
            while rest.next_element() {
                let offer = Self::read_offer(&mut rest, context).ok_or(MalformedExtensions)?;
                found = true;
                agreed = agreed.or(offer);
            }
        }
        match found || !headers {
            true => Ok(agreed),
            false => Err(MalformedExtensions),
        }
    }

    /// Reads one element of the list to its end. The outer `None`: it is malformed. The inner `None`: it is declined.
    fn read_offer(rest: &mut Cursor<'_>, context: ClientContext) -> Option<Option<Self>> {
        Some(Parameters::read(rest)?.and_then(|asked| {
            let server_max_window_bits = match asked.server_bits {
                None => None,
                // 8: see the head of the module.
                Some(bits) => Some(bits.filter(|&bits| bits > 8)?),
            };
            Some(Self {
                server_no_context_takeover: true,
                client_no_context_takeover: asked.client_reset || context == ClientContext::Reset,
                server_max_window_bits,
                // Without a value it only says that the client would take one from us (section 7.1.2.2).
                client_max_window_bits: asked.client_bits.flatten(),
            })
        }))
    }

    /// The same agreement with a client that begins each message with an empty window.
    #[cfg(all(feature = "handshake", feature = "deflate"))]
    pub(crate) fn without_client_context(self) -> Self {
        Self { client_no_context_takeover: true, ..self }
    }

    /// Appends the value of our `Sec-WebSocket-Extensions`: words and numbers of our own, none of the client's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME.as_bytes());
        for (name, resets) in [("server", self.server_no_context_takeover), ("client", self.client_no_context_takeover)]
        {
            if resets {
                out.extend_from_slice(format!("; {name}_no_context_takeover").as_bytes());
            }
        }
        for (name, bits) in [("server", self.server_max_window_bits), ("client", self.client_max_window_bits)] {
            if let Some(bits) = bits {
                out.extend_from_slice(format!("; {name}_max_window_bits={bits}").as_bytes());
            }
        }
    }

    /// Whether a message of the server may refer to its earlier ones.
    pub fn server_keeps_context(&self) -> bool {
        !self.server_no_context_takeover
    }

    /// Whether a message of the client may refer to its earlier ones.
    pub fn client_keeps_context(&self) -> bool {
        !self.client_no_context_takeover
    }

    /// The power of two that the server's window does not exceed.
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The power of two that the client's window does not exceed.
    pub fn client_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }
}

/// What a client offers (section 5.1): that both sides may compress, that the client's own messages never refer to
/// earlier ones, and that the server may limit the client's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    server_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
}

impl Offer {
    /// An offer that leaves the server its context, with a window of 32 KiB: the client keeps that much of it.
    pub const fn new() -> Self {
        Self { server_no_context_takeover: false, server_max_window_bits: None }
    }

    /// Asks the server to begin each message with an empty window, so that nothing has to be kept between them
    /// (section 7.1.1.1).
    #[must_use = "it changes nothing in place"]
    pub const fn server_no_context_takeover(self) -> Self {
        Self { server_no_context_takeover: true, ..self }
    }

    /// Asks for a window of the server of at most 2 to this power (section 7.1.2.1): 9 to 15, else `None`. With 8 there
    /// are servers that decline.
    #[must_use = "it changes nothing in place"]
    pub const fn server_max_window_bits(self, bits: u8) -> Option<Self> {
        match bits {
            9..=MAX_WINDOW_BITS => Some(Self { server_max_window_bits: Some(bits), ..self }),
            _ => None,
        }
    }

    /// Appends the value of the client's `Sec-WebSocket-Extensions`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME.as_bytes());
        out.extend_from_slice(b"; client_no_context_takeover; client_max_window_bits");
        if self.server_no_context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if let Some(bits) = self.server_max_window_bits {
            out.extend_from_slice(format!("; server_max_window_bits={bits}").as_bytes());
        }
    }

    /// Judges all values of the server's `Sec-WebSocket-Extensions` by this offer. `None`: the server has declined it.
    ///
    /// # Errors
    /// [`NotOffered`].
    pub fn judge<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<PermessageDeflate>, NotOffered> {
        let mut agreed = None;
        for value in values {
            let mut rest = Cursor(value);
            while rest.next_element() {
                let answer = Parameters::read(&mut rest).flatten().and_then(|answer| self.answered(&answer));
                // Section 5.2: the answer has one configuration.
                if agreed.replace(answer.ok_or(NotOffered)?).is_some() {
                    return Err(NotOffered);
                }
            }
        }
        Ok(agreed)
    }

    /// What the answer agrees to, if it may stand behind this offer.
    fn answered(&self, answer: &Parameters) -> Option<PermessageDeflate> {
        if self.server_no_context_takeover && !answer.server_reset {
            return None;
        }
        let server_max_window_bits = match (self.server_max_window_bits, answer.server_bits) {
            // Section 7.1.2.1: a server may limit its window unasked.
            (None, None) => None,
            (asked, Some(Some(bits))) if bits <= asked.unwrap_or(MAX_WINDOW_BITS) => Some(bits),
            _ => return None,
        };
        let client_max_window_bits = match answer.client_bits {
            None => None,
            Some(bits) => Some(bits?),
        };
        Some(PermessageDeflate {
            server_no_context_takeover: answer.server_reset,
            client_no_context_takeover: true,
            server_max_window_bits,
            client_max_window_bits,
        })
    }
}

/// An answer to no offer of this client: another extension, one twice, or a parameter that was not asked for or is out
/// of range. The handshake then fails (RFC 6455 section 4.1, RFC 7692 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOffered;

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an extension, or a parameter of one, that was not offered")
    }
}

impl core::error::Error for NotOffered {}

/// The parameters of permessage-deflate in one element of the list, each with its value where it may have one.
#[derive(Debug, Default)]
struct Parameters {
    server_reset: bool,
    client_reset: bool,
    server_bits: Option<Option<u8>>,
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    /// Reads one element of the list to its end. The outer `None`: it is malformed. The inner `None`: it is another
    /// extension, or a parameter is unknown, repeated or out of range; what follows must conform all the same.
    fn read(rest: &mut Cursor<'_>) -> Option<Option<Self>> {
        let ours = rest.token()? == NAME.as_bytes();
        let mut read = ours.then(Self::default);
        while rest.next_parameter()? {
            let (name, value) = rest.parameter()?;
            read = read.and_then(|mut read| read.note(name, value.as_deref()).map(|()| read));
        }
        Some(read)
    }

    fn note(&mut self, name: &[u8], value: Option<&[u8]>) -> Option<()> {
        // Section 7.1 allows each once.
        let first = match (name, value) {
            (b"server_no_context_takeover", None) => !core::mem::replace(&mut self.server_reset, true),
            (b"client_no_context_takeover", None) => !core::mem::replace(&mut self.client_reset, true),
            (b"server_max_window_bits", Some(value)) => self.server_bits.replace(Some(window_bits(value)?)).is_none(),
            (b"client_max_window_bits", Some(value)) => self.client_bits.replace(Some(window_bits(value)?)).is_none(),
            (b"client_max_window_bits", None) => self.client_bits.replace(None).is_none(),
            _ => false,
        };
        first.then_some(())
    }
}

/// What is left of a header value, to be read by the grammar of section 9.1.
///
/// ```text
/// extension = token *( ";" token [ "=" (token / quoted-string) ] )
/// ```
///
/// What a quoted string stands for must be a token as well, so that neither a comma nor a semicolon can stand in one.
struct Cursor<'a>(&'a [u8]);

/// Name and value, unquoted.
type Parameter<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

impl<'a> Cursor<'a> {
    /// Goes to where the next element of the list begins; returns whether there is one.
    fn next_element(&mut self) -> bool {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
        !self.0.is_empty()
    }

    /// Goes behind the semicolon before the next parameter; returns whether there is one, or the element has ended.
    fn next_parameter(&mut self) -> Option<bool> {
        self.blanks();
        match self.0.first() {
            Some(b';') => {
                self.0 = &self.0[1..];
                self.blanks();
                Some(true)
            }
            None | Some(b',') => Some(false),
            Some(_) => None,
        }
    }

    fn parameter(&mut self) -> Option<Parameter<'a>> {
        let name = self.token()?;
        self.blanks();
        let Some(rest) = self.0.strip_prefix(b"=") else { return Some((name, None)) };
        self.0 = rest;
        self.blanks();
        let value = match self.0.strip_prefix(b"\"") {
            Some(rest) => {
                self.0 = rest;
                self.quoted()?
            }
            None => Cow::Borrowed(self.token()?),
        };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let before = self.0;
        self.skip(is_token_byte);
        let token = &before[..before.len() - self.0.len()];
        (!token.is_empty()).then_some(token)
    }

    /// The text between the quotes, of which the first has been read, without its backslashes.
    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let plain = self.token().unwrap_or_default();
        if let Some(rest) = self.0.strip_prefix(b"\"") {
            self.0 = rest;
            return (!plain.is_empty()).then_some(Cow::Borrowed(plain));
        }
        let mut value = plain.to_vec();
        loop {
            match *self.0 {
                [b'\\', byte, ref rest @ ..] | [byte, ref rest @ ..] if is_token_byte(byte) => {
                    value.push(byte);
                    self.0 = rest;
                }
                [b'"', ref rest @ ..] if !value.is_empty() => {
                    self.0 = rest;
                    return Some(Cow::Owned(value));
                }
                _ => return None,
            }
        }
    }

    fn blanks(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn skip(&mut self, skips: impl Fn(u8) -> bool) {
        let len = self.0.iter().take_while(|&&byte| skips(byte)).count();
        self.0 = &self.0[len..];
    }
}

/// Whether it may stand in a token (RFC 2616 section 2.2, RFC 9110 section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
            | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}

/// A value of `Sec-WebSocket-Extensions` that does not conform to section 9.1. The handshake then fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedExtensions;

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sec-WebSocket-Extensions must be a list of extensions, each a token with parameters")
    }
}

impl core::error::Error for MalformedExtensions {}

/// A decimal number from 8 to 15 without leading zeros (section 7.1.2).
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// The largest window of DEFLATE is 2 to this power: 32 KiB.
pub const MAX_WINDOW_BITS: u8 = 15;

const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to these header values, or nothing.
    fn answer(values: &[&str], context: ClientContext) -> Option<String> {
        let agreed = PermessageDeflate::negotiate(values.iter().map(|value| value.as_bytes()), context);
        let agreed = agreed.unwrap_or_else(|_| panic!("{values:?} conforms"))?;
        let mut out = Vec::new();
        agreed.encode(&mut out);
        Some(
            String::from_utf8(out)
                .expect("ASCII")
                .trim_start_matches("permessage-deflate; ")
                .replace("_context_takeover", ""),
        )
    }

    #[test]
    fn offers_that_are_agreed_to() {
        for (offer, kept, reset) in [
            ("permessage-deflate", "server_no", "server_no; client_no"),
            ("permessage-deflate;server_no_context_takeover", "server_no", "server_no; client_no"),
            ("permessage-deflate; client_no_context_takeover", "server_no; client_no", "server_no; client_no"),
            ("permessage-deflate; client_max_window_bits", "server_no", "server_no; client_no"),
            (
                "permessage-deflate; client_max_window_bits=8",
                "server_no; client_max_window_bits=8",
                "server_no; client_no; client_max_window_bits=8",
            ),
            (
                "permessage-deflate; server_max_window_bits=10",
                "server_no; server_max_window_bits=10",
                "server_no; client_no; server_max_window_bits=10",
            ),
            (
                "\tpermessage-deflate ;\tserver_max_window_bits = \"1\\5\" ; client_max_window_bits=\"9\" ,",
                "server_no; server_max_window_bits=15; client_max_window_bits=9",
                "server_no; client_no; server_max_window_bits=15; client_max_window_bits=9",
            ),
        ] {
            assert_eq!(answer(&[offer], ClientContext::Kept).as_deref(), Some(kept), "{offer}");
            assert_eq!(answer(&[offer], ClientContext::Reset).as_deref(), Some(reset), "{offer}");
        }
    }

    #[test]
    fn offers_that_are_declined() {
        for parameters in [
            "; unknown",
            "; server_no_context_takeover; server_no_context_takeover",
            "; client_no_context_takeover; client_no_context_takeover",
            "; server_max_window_bits=10; server_max_window_bits=10",
            "; client_max_window_bits; client_max_window_bits=10",
            "; server_no_context_takeover=1",
            "; server_max_window_bits",
            "; server_max_window_bits=7",
            "; server_max_window_bits=8",
            "; server_max_window_bits=16",
            "; server_max_window_bits=010",
            "; server_max_window_bits=+9",
            "; server_max_window_bits=9.0",
            "; server_max_window_bits=99999999999999999999",
            "; client_max_window_bits=7",
            "; client_max_window_bits=16",
            "; CLIENT_MAX_WINDOW_BITS=10",
        ] {
            let offer = format!("permessage-deflate{parameters}");
            for context in [ClientContext::Kept, ClientContext::Reset] {
                assert_eq!(answer(&[&offer], context), None, "{offer}");
                // It takes nothing with it: the next offer is looked at.
                let fallback = format!("{offer}, permessage-deflate");
                assert!(answer(&[&fallback], context).is_some(), "{fallback}");
                assert!(answer(&[&offer, "permessage-deflate"], context).is_some(), "{offer}");
            }
        }
        for other in ["permessage-deflat", "permessage-deflatex", "x-webkit-deflate-frame", "x; a=\"b\\c\"; d"] {
            assert_eq!(answer(&[other], ClientContext::Kept), None, "{other}");
        }
        assert_eq!(answer(&[], ClientContext::Kept), None);
    }

    /// §9.1, with a good offer before and behind: a value that does not conform fails the handshake, whatever else is
    /// offered.
    #[test]
    fn what_does_not_conform_fails_the_handshake() {
        let good = "permessage-deflate";
        let long = 2_000;
        for malformed in [
            ";;=",
            ",;=\"\\",
            "\"permessage-deflate\"",
            "permessage-deflate;",
            "permessage-deflate; ;client_max_window_bits",
            "permessage-deflate; =10",
            "permessage-deflate; a b",
            "permessage-deflate x",
            "permessage-deflate\0",
            "permessage-deflate/1",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=1 0",
            "permessage-deflate; client_max_window_bits=\"\"",
            "permessage-deflate; client_max_window_bits=\"1",
            "permessage-deflate; client_max_window_bits=10\"",
            "permessage-deflate; client_max_window_bits=\"10\"0",
            "permessage-deflate; client_max_window_bits=\"10\\\"",
            "permessage-deflate; client_max_window_bits=\"\\\"",
            "permessage-deflate; client_max_window_bits=10=10",
            // Unquoted, the value must be a token too.
            "x; a=\"b,c\"",
            "x; a=\"b;c\"",
            "x; a=\"b c\"",
            "x; a=\"\\\"\"",
            "x; a=\"\\\\\"",
            "x\u{e9}",
            "x;\u{a0}y",
            &format!("x; a=\"{}", "\\a".repeat(long)),
            &format!("x; a=\"{}\"", "\\\\".repeat(long)),
            &format!("x; a{}b", " ".repeat(long)),
            &format!("x{}y", "\t".repeat(long)),
            &";".repeat(long),
            &format!("{};", "x,".repeat(long)),
        ] {
            for list in [
                malformed.to_owned(),
                format!("{good}, {malformed}"),
                format!("{malformed}, {good}"),
                format!(" , {malformed} ,"),
            ] {
                let found = PermessageDeflate::negotiate([list.as_bytes()], ClientContext::Kept);
                assert_eq!(found, Err(MalformedExtensions), "{list}");
            }
            for values in [[good, malformed], [malformed, good]] {
                let found = PermessageDeflate::negotiate(values.map(str::as_bytes), ClientContext::Kept);
                assert_eq!(found, Err(MalformedExtensions), "{values:?}");
            }
        }
        // An element may be empty, but one must be there; a second header may have none.
        for (values, conforms) in [
            (&[""][..], false),
            (&[" ,\t, "], false),
            (&["", ","], false),
            (&[",x"], true),
            (&["x,"], true),
            (&["x,, ,y"], true),
            (&["", "x"], true),
        ] {
            let found = PermessageDeflate::negotiate(values.iter().map(|value| value.as_bytes()), ClientContext::Kept);
            assert_eq!(found.is_ok(), conforms, "{values:?}");
        }
        let long = format!("x; a=\"{}\"{}, permessage-deflate", "\\a".repeat(long), " ".repeat(long));
        assert!(answer(&[&long], ClientContext::Kept).is_some());
    }

    /// §5.1: a client lists what it would take in the order it likes it.
    #[test]
    fn the_first_offer_that_can_be_had_wins() {
        for (values, expected) in [
            (
                &["permessage-deflate; server_max_window_bits=10, permessage-deflate"][..],
                "server_no; server_max_window_bits=10",
            ),
            (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], "server_no"),
            (&["x-other; a=\"b\", , permessage-deflate; client_no_context_takeover"], "server_no; client_no"),
            (
                &["x-other", "permessage-deflate; client_max_window_bits=9", "permessage-deflate"],
                "server_no; client_max_window_bits=9",
            ),
            (&["permessage-deflate; client_max_window_bits=\"\\1\\6\", permessage-deflate"], "server_no"),
        ] {
            assert_eq!(answer(values, ClientContext::Kept).as_deref(), Some(expected), "{values:?}");
        }
    }

    fn answered(offer: &str) -> PermessageDeflate {
        PermessageDeflate::negotiate([offer.as_bytes()], ClientContext::Kept)
            .expect("it conforms")
            .expect("a good offer")
    }

    #[test]
    fn windows_are_full_unless_agreed_to_be_smaller() {
        for (offer, server, client) in [
            ("permessage-deflate; client_max_window_bits", 15, 15),
            ("permessage-deflate; server_max_window_bits=9", 9, 15),
            ("permessage-deflate; client_max_window_bits=8", 15, 8),
        ] {
            let agreed = answered(offer);
            assert_eq!((agreed.server_window_bits(), agreed.client_window_bits()), (server, client), "{offer}");
        }
    }
}
