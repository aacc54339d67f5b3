//! Negotiating permessage-deflate: `Sec-WebSocket-Extensions` (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1).
//!
//! A client offers one or several configurations in the order it likes them; the first that can be had is agreed to. An
//! offer with a parameter that is unknown, repeated, out of range or malformed is declined (section 7.1: "MUST decline"),
//! and so is what is no offer at all; the next one is looked at. If none is left, the handshake goes on without the extension.
//!
//! What Salon answers of its own accord: `server_no_context_takeover` always, because one compressed message is shared by
//! all its receivers. What it declines: `server_max_window_bits=8`, because no zlib compresses raw data with so small a
//! window; as `client_max_window_bits` 8 is fine, for the decoder does not mind a smaller window. Other extensions are not known.

use std::borrow::Cow;

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
    /// Agrees to the first offer that can be had, of all values of `Sec-WebSocket-Extensions` in their order.
    pub fn negotiate<'a>(offers: impl IntoIterator<Item = &'a [u8]>, context: ClientContext) -> Option<Self> {
        offers.into_iter().flat_map(|value| split(value, b',')).find_map(|offer| Self::agree_to(offer, context))
    }

    /// One element of the list: `permessage-deflate` and its parameters.
    fn agree_to(offer: &[u8], context: ClientContext) -> Option<Self> {
        let mut parts = split(offer, b';');
        if trim(parts.next()?) != NAME.as_bytes() {
            return None;
        }
        let (mut server_reset, mut client_reset) = (Seen(false), Seen(false));
        let (mut server_bits, mut client_bits) = (Seen(false), Seen(false));
        let mut agreed = Self {
            server_max_window_bits: None,
            client_no_context_takeover: context == ClientContext::Reset,
            client_max_window_bits: None,
        };
        for part in parts {
            match parameter(part)? {
                (b"server_no_context_takeover", None) => server_reset.first()?,
                (b"client_no_context_takeover", None) => {
                    client_reset.first()?;
                    agreed.client_no_context_takeover = true;
                }
                (b"server_max_window_bits", Some(value)) => {
                    server_bits.first()?;
                    // 8: see the head of the module.
                    agreed.server_max_window_bits = Some(window_bits(&value).filter(|&bits| bits > 8)?);
                }
                (b"client_max_window_bits", value) => {
                    client_bits.first()?;
                    // Without a value it only tells that the client would take one from us (section 7.1.2.2).
                    agreed.client_max_window_bits =
                        value.map(|value| window_bits(&value).ok_or(())).transpose().ok()?;
                }
                _ => return None,
            }
        }
        Some(agreed)
    }

    /// Appends the value of our `Sec-WebSocket-Extensions`: words and numbers of our own, none of the client's octets.
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
        (!std::mem::replace(&mut self.0, true)).then_some(())
    }
}

/// Parts of `value` between separators that do not stand in a quoted string.
fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |&octet| {
        let escapes = quoted && !escaped && octet == b'\\';
        if octet == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = escapes;
        octet == separator && !quoted
    })
}

/// Name and value, unquoted.
type Parameter<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

/// `token [ "=" ( token / quoted-string ) ]`; `None` if a quoted string is broken.
///
/// That a name or value is a token (section 9.1: also a quoted one) need not be looked at: what is none is not known either.
fn parameter(part: &[u8]) -> Option<Parameter<'_>> {
    let mut halves = part.splitn(2, |&octet| octet == b'=');
    let name = halves.next().map(trim)?;
    let value = match halves.next().map(trim) {
        None => None,
        Some([b'"', inner @ .., b'"']) => Some(Cow::Owned(unquote(inner)?)),
        Some(plain) => Some(Cow::Borrowed(plain)),
    };
    Some((name, value))
}

/// The content of a quoted string without its backslashes; `None` if a quote or backslash stands where none may.
fn unquote(inner: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(&octet) = octets.next() {
        plain.push(match octet {
            b'\\' => *octets.next()?,
            b'"' => return None,
            octet => octet,
        });
    }
    Some(plain)
}

/// A decimal number from 8 to 15 without leading zeros (section 7.1.2).
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Without the white space that may stand around a part: spaces and tabs.
fn trim(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}

/// The largest window of DEFLATE is 2 to this power: 32 KiB.
pub const MAX_WINDOW_BITS: u8 = 15;

const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to these header values, or nothing.
    fn answer(values: &[&str], context: ClientContext) -> Option<String> {
        let agreed = PermessageDeflate::negotiate(values.iter().map(|value| value.as_bytes()), context)?;
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
                "\tpermessage-deflate ;\tserver_max_window_bits = \"1\\5\" ; client_max_window_bits=\"9\" ",
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
            "; client_no_context_takeover=\"\"",
            "; server_max_window_bits",
            "; server_max_window_bits=",
            "; server_max_window_bits=7",
            "; server_max_window_bits=8",
            "; server_max_window_bits=16",
            "; server_max_window_bits=010",
            "; server_max_window_bits=+9",
            "; server_max_window_bits=9.0",
            "; server_max_window_bits=1 0",
            "; server_max_window_bits=99999999999999999999",
            "; client_max_window_bits=7",
            "; client_max_window_bits=16",
            "; client_max_window_bits=\"\"",
            "; client_max_window_bits=\"1",
            "; client_max_window_bits=10\"",
            "; client_max_window_bits=\"10\"0",
            "; client_max_window_bits=\"10\\\"",
            "; client_max_window_bits=10=10",
            "; CLIENT_MAX_WINDOW_BITS=10",
            ";",
            "; ;client_max_window_bits",
            "; =10",
            "; a b",
            " x",
            "\0",
        ] {
            let offer = format!("permessage-deflate{parameters}");
            for context in [ClientContext::Kept, ClientContext::Reset] {
                assert_eq!(answer(&[&offer], context), None, "{offer}");
                // It takes nothing with it: the next offer is looked at.
                if !offer.contains('"') {
                    let fallback = format!("{offer}, permessage-deflate");
                    assert!(answer(&[&fallback], context).is_some(), "{fallback}");
                }
                assert!(answer(&[&offer, "permessage-deflate"], context).is_some(), "{offer}");
            }
        }
        for other in
            ["", ",", "permessage-deflat", "permessage-deflatex", "x-webkit-deflate-frame", "\"permessage-deflate\""]
        {
            assert_eq!(answer(&[other], ClientContext::Kept), None, "{other}");
        }
        assert_eq!(answer(&[], ClientContext::Kept), None);
        assert_eq!(PermessageDeflate::negotiate([&b"permessage-deflate; \xff"[..]], ClientContext::Kept), None);
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
            (
                &["x-other; a=\"b,permessage-deflate; c\", , permessage-deflate; client_no_context_takeover"],
                "server_no; client_no",
            ),
            (
                &["x-other", "permessage-deflate; client_max_window_bits=9", "permessage-deflate"],
                "server_no; client_max_window_bits=9",
            ),
            (&["permessage-deflate; client_max_window_bits=\"1,0\", permessage-deflate"], "server_no"),
            // A comma in a quoted string ends nothing, an escaped quote does not end the string, and an escaped backslash
            // escapes nothing.
            (&["x; a=\"b,permessage-deflate; client_no_context_takeover,c\", permessage-deflate"], "server_no"),
            (&["x; a=\"\\\",permessage-deflate; client_no_context_takeover,\", permessage-deflate"], "server_no"),
            (&["x; a=\"\\\\\", permessage-deflate; client_no_context_takeover"], "server_no; client_no"),
            (&["x; a=\\\"b,permessage-deflate; client_no_context_takeover,\"c, permessage-deflate"], "server_no"),
        ] {
            assert_eq!(answer(values, ClientContext::Kept).as_deref(), Some(expected), "{values:?}");
        }
    }

    #[test]
    fn windows_are_full_unless_agreed_to_be_smaller() {
        for (offer, server, client) in [
            ("permessage-deflate; client_max_window_bits", 15, 15),
            ("permessage-deflate; server_max_window_bits=9", 9, 15),
            ("permessage-deflate; client_max_window_bits=8", 15, 8),
        ] {
            let agreed = PermessageDeflate::negotiate([offer.as_bytes()], ClientContext::Kept).expect("a good offer");
            assert_eq!((agreed.server_window_bits(), agreed.client_window_bits()), (server, client), "{offer}");
        }
    }
}
