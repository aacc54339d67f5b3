//! Origins (RFC 6454): the sites whose pages may connect, and the site of a connection's page.
//!
//! Both are brought into one form, the one in which browsers send them: scheme and host in small letters, no default
//! port, nothing behind it. So `https://A.example:443/` of the operator is `https://a.example` of a browser. A text
//! that a browser can never send is no origin, and refused where the operator writes it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::proto::handshake::Request;

/// Where a page came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A scheme, a host and a port; no port is the scheme's own.
    Site {
        /// In small letters.
        scheme: Box<str>,
        /// In small letters; an IPv6 address in brackets.
        host: Box<str>,
        /// `None`: that of the scheme.
        port: Option<u16>,
    },
    /// `null`: a page that has no origin of its own, such as a file or a frame in a sandbox. Any site can make one.
    Null,
}

impl Origin {
    /// The origin in a request, as browsers write it: nothing stands behind it.
    pub fn of_request(request: &Request<'_>) -> Option<Self> {
        request.header("origin").filter(|text| !text.ends_with('/'))?.parse().ok()
    }

    /// Whether the page came from that host, with its port if it has one. A proxy that ends TLS changes the scheme, so
    /// it is not compared; the port that is not said is the one of the page's scheme.
    pub fn is_of_host(&self, authority: &str) -> bool {
        match self {
            Self::Site { scheme, host, port } if default_port(scheme).is_some() => {
                host_and_port(authority, scheme).is_ok_and(|found| (&*found.0, found.1) == (host, *port))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site { scheme, host, port: None } => write!(f, "{scheme}://{host}"),
            Self::Site { scheme, host, port: Some(port) } => write!(f, "{scheme}://{host}:{port}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    /// A slash behind it does not matter.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let expected = |what: &str| Err(format!("expected an origin such as https://example.org: {what}"));
        let Some((scheme, rest)) = text.split_once("://") else {
            return expected("it begins with a scheme and ://");
        };
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return expected("it begins with a scheme and ://");
        }
        let scheme = scheme.to_ascii_lowercase();
        match host_and_port(rest.strip_suffix('/').unwrap_or(rest), &scheme) {
            Ok((host, port)) => Ok(Self::Site { scheme: scheme.into(), host, port }),
            Err(what) => expected(what),
        }
    }
}

/// `host [":" port]`, in the form that browsers send; the port of the scheme is none.
fn host_and_port(authority: &str, scheme: &str) -> Result<(Box<str>, Option<u16>), &'static str> {
    if authority.contains('*') {
        return Err("each is named for itself, a star stands for nothing");
    }
    if authority.contains(['/', '?', '#', '@']) {
        return Err("nothing but a host and a port stands in it, no user, no path");
    }
    // The last colon parts off the port, unless it stands inside an IPv6 address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().map_err(|_| "a port is a number up to 65535")?)
        }
        _ => return Err("a port is a number up to 65535"),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(address) => match address.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => return Err("in brackets stands an IPv6 address"),
        },
        None if !host.is_ascii() => return Err("a host with other letters is written as browsers send it, xn--..."),
        None if host.is_empty() => return Err("behind the scheme stands a host"),
        None if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => {
            return Err("a host has letters, digits, dots and hyphens");
        }
        None => host.to_ascii_lowercase(),
    };
    Ok((host.into(), port.filter(|port| Some(*port) != default_port(scheme))))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_writes_is_what_a_browser_sends() {
        for (written, sent) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("https://a.example:443", "https://a.example"),
            ("https://a.example:443/", "https://a.example"),
            ("https://a.example:", "https://a.example"),
            ("https://A.Example", "https://a.example"),
            ("HTTPS://a.example", "https://a.example"),
            ("http://a.example:80", "http://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("https://a.example:0443", "https://a.example"),
            ("https://a.example:8443", "https://a.example:8443"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[0:0::1]", "http://[::1]"),
            ("http://localhost:3000/", "http://localhost:3000"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
            ("tauri://localhost", "tauri://localhost"),
            ("null", "null"),
        ] {
            assert_eq!(written.parse::<Origin>().unwrap().to_string(), sent, "{written}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_a_reason() {
        for (written, why) in [
            ("", "scheme"),
            ("a.example", "scheme"),
            ("a.example:443", "scheme"),
            ("//a.example", "scheme"),
            ("://a.example", "scheme"),
            ("1s://a.example", "scheme"),
            ("*", "scheme"),
            ("https://*.example.org", "star"),
            ("https://*", "star"),
            ("https://", "host"),
            ("https:///", "host"),
            ("https://a.example/chat", "no path"),
            ("https://a.example//", "no path"),
            ("https://a.example?x", "no path"),
            ("https://me@a.example", "no user"),
            ("https://a.example:65536", "port"),
            ("https://a.example:x", "port"),
            ("https://a.example:+80", "port"),
            ("https://b\u{fc}cher.example", "xn--"),
            ("https://a example", "letters"),
            ("https://[::1", "letters"),
            ("https://[1.2.3.4]", "IPv6"),
            ("NULL", "scheme"),
        ] {
            let error = written.parse::<Origin>().unwrap_err();
            assert!(
                error.starts_with("expected an origin such as https://example.org: ") && error.contains(why),
                "{written}: {error}"
            );
        }
    }

    #[test]
    fn hosts() {
        for (origin, authority, same) in [
            ("http://a.example", "a.example", true),
            ("http://a.example", "A.example:80", true),
            ("https://a.example", "a.example:443", true),
            ("https://a.example", "a.example", true),
            ("https://a.example", "a.example:80", false),
            ("http://a.example:8080", "a.example:8080", true),
            ("https://a.example:8080", "a.example:8080", true),
            ("http://a.example:8080", "a.example", false),
            ("http://a.example", "b.example", false),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]:8080", "[::1]", false),
            ("tauri://localhost", "localhost", false),
            ("null", "null", false),
            ("http://a.example", "", false),
            ("http://a.example", "a.example/", false),
        ] {
            assert_eq!(origin.parse::<Origin>().unwrap().is_of_host(authority), same, "{origin} {authority}");
        }
    }
}
