//! The client that a proxy names: `X-Forwarded-For`, or `Forwarded` (RFC 7239), believed from configured proxies only.
//!
//! Each proxy appends its client, so the list is read from its end: past the trusted proxies, the first address is the
//! client's, and anything before it the client may have written itself. Only the one header that the operator named is
//! read, because a proxy that writes one passes the other on as it came.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::proto::handshake::Request;

/// The trusted proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Where they are.
    pub trusted: Vec<Trusted>,
    /// The header in which they name clients.
    pub header: Header,
}

/// Where a proxy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// At an address, or anywhere in a network.
    Net(IpNet),
    /// On this machine, by a Unix socket.
    Unix,
}

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        address.or_else(|_| text.parse::<IpNet>().map(canonical)).map(Self::Net).map_err(|_| {
            "expected an address, a network or unix, such as 10.0.0.7, 10.0.0.0/8, fd00::/8 or unix".into()
        })
    }
}

/// A network of IPv4 addresses as such, also where it is written as one of mapped addresses (`::ffff:10.0.0.0/104`):
/// addresses are looked up in their IPv4 form.
fn canonical(net: IpNet) -> IpNet {
    match (net.addr().to_canonical(), net) {
        (IpAddr::V4(address), IpNet::V6(net)) if net.prefix_len() >= MAPPED_BITS => {
            Ipv4Net::new(address, net.prefix_len() - MAPPED_BITS).map_or(IpNet::V6(net), IpNet::V4)
        }
        _ => net,
    }
}

/// The bits before the IPv4 address in a mapped one.
const MAPPED_BITS: u8 = 96;

/// The header in which proxies name their clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// `X-Forwarded-For: client, proxy`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=client, for=proxy`
    Forwarded,
}

impl Proxies {
    /// Whether a peer from there is believed; `None`: by a Unix socket.
    pub fn trust(&self, peer: Option<IpAddr>) -> bool {
        self.trusted.iter().any(|trusted| match (trusted, peer) {
            (Trusted::Unix, None) => true,
            (Trusted::Net(net), Some(address)) => net.contains(&address.to_canonical()),
            _ => false,
        })
    }

    /// The client of a request that came from a trusted proxy. `None`: the request names none, or the last name is no
    /// address.
    pub fn client(&self, request: &Request<'_>) -> Option<IpAddr> {
        if self.trusted.is_empty() {
            return None;
        }
        let name = match self.header {
            Header::XForwardedFor => "x-forwarded-for",
            Header::Forwarded => "forwarded",
        };
        // As bytes, and each element for itself: the client's own part before it may be no text, or a quotation without
        // an end.
        let values: Vec<&[u8]> = request.headers(name).collect();
        let nodes = values.iter().rev().flat_map(|value| match self.header {
            Header::XForwardedFor => value.rsplit(|&byte| byte == b',').map(text_of).collect::<Vec<_>>(),
            Header::Forwarded => from_the_end(value, b',').map(node_of).collect(),
        });
        let mut client = None;
        for node in nodes {
            let Some(address) = node.and_then(address_of) else { break };
            client = Some(address);
            if !self.trust(client) {
                break;
            }
        }
        client
    }
}

/// An address, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address_of(node: &str) -> Option<IpAddr> {
    let address = node.parse::<IpAddr>().or_else(|_| node.parse::<SocketAddr>().map(|address| address.ip()));
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    address.ok().or_else(bracketed).map(|address| address.to_canonical())
}

/// The value of `for` in an element of `Forwarded`, without its quotes.
fn node_of(element: &[u8]) -> Option<&str> {
    let pairs = from_the_end(element, b';').filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (text_of(&pair[..equals])?, text_of(&pair[equals + 1..])?);
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let node = pairs.last()?;
    // No address needs a quoted pair, so one with a backslash is none.
    Some(node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node))
}

/// A text without the spaces about it.
fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim_matches([' ', '\t']))
}

/// The parts of a list, the last first; separators in a quoted string (RFC 9110 section 5.6.4) do not count.
///
/// It is read from its end as well: the part that a proxy has appended is well-formed, and the part before it may be
/// anything.
fn from_the_end(list: &[u8], by: u8) -> impl Iterator<Item = &[u8]> {
    let (mut parts, mut end, mut quoted) = (Vec::new(), list.len(), false);
    for (at, &byte) in list.iter().enumerate().rev() {
        if byte == b'"' {
            // Within a string, one behind an odd number of backslashes is a quoted pair, and not where the string
            // begins.
            let backslashes = list[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
            quoted = !quoted || backslashes % 2 == 1;
        } else if byte == by && !quoted {
            parts.push(&list[at + 1..end]);
            end = at;
        }
    }
    parts.push(&list[..end]);
    parts.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str], header: Header) -> Proxies {
        Proxies { trusted: trusted.iter().map(|text| text.parse().unwrap()).collect(), header }
    }

    fn client(proxies: &Proxies, headers: &[u8]) -> Option<String> {
        let head = [b"GET / HTTP/1.1\r\nHost: h\r\n", headers, b"\r\n"].concat();
        let request = Request::parse(&head).unwrap();
        proxies.client(&request).map(|address| address.to_string())
    }

    #[test]
    fn the_first_that_is_not_trusted_from_the_end_is_the_client() {
        let proxies = proxies(&["10.0.0.0/8", "fd00::/8"], Header::XForwardedFor);
        for (headers, expected) in [
            ("", None),
            ("X-Forwarded-For: 192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 198.51.100.7, 192.0.2.1, 10.0.0.2,fd00::1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 10.0.0.2\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", Some("10.0.0.3")),
            ("X-Forwarded-For: 192.0.2.1:4711\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 2001:db8::1\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: [2001:db8::1]:4711\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: [2001:db8::1]\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: ::ffff:10.0.0.9\r\n", Some("10.0.0.9")),
            ("X-Forwarded-For: 192.0.2.1, unknown\r\n", None),
            ("X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2\r\n", Some("10.0.0.2")),
            ("X-Forwarded-For: \r\n", None),
            ("X-Forwarded-For: 192.0.2.1,\r\n", None),
            ("X-Forwarded-For: 192.0.2.256\r\n", None),
            ("Forwarded: for=192.0.2.1\r\n", None),
        ] {
            assert_eq!(client(&proxies, headers.as_bytes()).as_deref(), expected, "{headers}");
        }
        assert_eq!(client(&proxies, b"X-Forwarded-For: 192.0.2.1, \xff\xfe\r\n"), None);
        assert_eq!(client(&proxies, b"X-Forwarded-For: \xff\xfe, 192.0.2.1\r\n").as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&self::proxies(&[], Header::XForwardedFor), b"X-Forwarded-For: 192.0.2.1\r\n"), None);
    }

    #[test]
    fn forwarded_as_rfc_7239_has_it() {
        let proxies = proxies(&["10.0.0.0/8", "fd00::/8"], Header::Forwarded);
        for (headers, expected) in [
            ("Forwarded: for=192.0.2.1;proto=https;by=10.0.0.1\r\n", Some("192.0.2.1")),
            ("Forwarded: proto=https ; For=\"192.0.2.1:80\"\r\n", Some("192.0.2.1")),
            ("Forwarded: for=\"[2001:db8::1]:4711\", for=10.0.0.2\r\n", Some("2001:db8::1")),
            ("Forwarded: for=192.0.2.1\r\nForwarded: for=10.0.0.2\r\n", Some("192.0.2.1")),
            ("Forwarded: for=192.0.2.1, for=_hidden\r\n", None),
            ("Forwarded: for=192.0.2.1, proto=https\r\n", None),
            ("Forwarded: for=\"192.0.2.1, for=192.0.2.2\"\r\n", None),
            ("Forwarded: by=\"a\\\", for=192.0.2.9\";for=192.0.2.1\r\n", Some("192.0.2.1")),
            ("Forwarded: for=\"192.0.2.1\r\n", None),
            // The client's own part does not hide the part that a proxy appended.
            ("Forwarded: \", for=192.0.2.1\r\n", Some("192.0.2.1")),
            ("Forwarded: by=\"a\\, for=\"[2001:db8::1]\"\r\n", Some("2001:db8::1")),
            ("Forwarded: for=192.0.2.9, host=\"a;for=192.0.2.8\\\\\";for=192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1\r\n", None),
        ] {
            assert_eq!(client(&proxies, headers.as_bytes()).as_deref(), expected, "{headers}");
        }
        let bytes = b"Forwarded: \xfe, host=\"\xff\";for=192.0.2.1\r\n";
        assert_eq!(client(&proxies, bytes).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn who_is_trusted() {
        let some = proxies(&["10.1.0.0/16", "192.0.2.1", "fd00::/8", "unix"], Header::XForwardedFor);
        let mapped = proxies(&["::ffff:10.1.0.0/112", "::ffff:192.0.2.1"], Header::XForwardedFor);
        for (peer, expected) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.0", false), ("192.0.2.1", true)]
        {
            assert_eq!(mapped.trust(Some(peer.parse().unwrap())), expected, "{peer}");
        }
        for (peer, expected) in [
            ("10.1.2.3", true),
            ("10.2.0.0", false),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.2", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(some.trust(Some(peer.parse().unwrap())), expected, "{peer}");
        }
        assert!(some.trust(None) && !proxies(&["0.0.0.0/0", "::/0"], Header::Forwarded).trust(None));
        for wrong in ["", "10.0.0.0/33", "10.0.0", "localhost", "Unix", "10.0.0.1:80"] {
            assert!(wrong.parse::<Trusted>().is_err(), "{wrong}");
        }
    }
}
