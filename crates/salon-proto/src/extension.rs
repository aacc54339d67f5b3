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

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// What was agreed to: the answer to the client and the rule for both sides.
///
/// `server_no_context_takeover` is not a field because it is always part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermessageDeflate {
    /// The client asked that our window be no larger than 2 to this power: 9 to 15 (section 7.1.2.1).
    pub server_max_window_bits: Option<u8>,
    /// The client begins each message with an empty window (section 7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The client said that its window is no larger than 2 to this power: 8 to 15 (section 7.1.2.2).
    pub client_max_window_bits: Option<u8>,
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
        let ours = rest.token()? == NAME.as_bytes();
        let (mut server_reset, mut client_reset) = (Seen(false), Seen(false));
        let (mut server_bits, mut client_bits) = (Seen(false), Seen(false));
        let mut agreed = ours.then_some(Self {
            server_max_window_bits: None,
            client_no_context_takeover: context == ClientContext::Reset,
            client_max_window_bits: None,
        });
        while rest.next_parameter()? {
            let (name, value) = rest.parameter()?;
            // A parameter that is unknown, repeated or out of range declines the offer; what follows must conform all
            // the same.
            let mut accept = |agreed: &mut Self| -> Option<()> {
                match (name, value.as_deref()) {
                    (b"server_no_context_takeover", None) => server_reset.first()?,
                    (b"client_no_context_takeover", None) => {
                        client_reset.first()?;
                        agreed.client_no_context_takeover = true;
                    }
                    (b"server_max_window_bits", Some(value)) => {
                        server_bits.first()?;
                        // 8: see the head of the module.
                        agreed.server_max_window_bits = Some(window_bits(value).filter(|&bits| bits > 8)?);
                    }
                    (b"client_max_window_bits", value) => {
                        client_bits.first()?;
                        // Without a value it only says that the client would take one from us (section 7.1.2.2).
                        agreed.client_max_window_bits =
                            value.map(|value| window_bits(value).ok_or(())).transpose().ok()?;
                    }
                    _ => return None,
                }
                Some(())
            };
            agreed = agreed.and_then(|mut agreed| accept(&mut agreed).map(|()| agreed));
        }
        Some(agreed)
    }

    /// Appends the value of our `Sec-WebSocket-Extensions`: words and numbers of our own, none of the client's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME.as_bytes());
        out.extend_from_slice(b"; server_no_context_takeover");
        if self.client_no_context_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        for (name, bits) in [("server", self.server_max_window_bits), ("client", self.client_max_window_bits)] {
            if let Some(bits) = bits {
                out.extend_from_slice(format!("; {name}_max_window_bits={bits}").as_bytes());
            }
        }
    }

    /// The power of two that our window does not exceed.
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The power of two that the client's window does not exceed.
    pub fn client_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }
}

/// Whether a parameter has been seen in this offer: section 7.1 allows each once.
struct Seen(bool);

impl Seen {
    fn first(&mut self) -> Option<()> {
        (!core::mem::replace(&mut self.0, true)).then_some(())
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
