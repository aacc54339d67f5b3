//! Pages: from which sites one may connect, and by which names Salon's own page is reached.
//!
//! A page of anybody can be given a host name that leads to this machine (DNS rebinding): then it is a page of that
//! name, as Salon's own would be. Where nobody shows a token and only this machine is meant, names are therefore known,
//! forwarded by a proxy, or refused.

use std::net::IpAddr;

use super::origin::Origin;
use crate::proto::handshake::Request;

/// The pages that may connect.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Origins beyond the server's own.
    pub origins: Vec<Origin>,
    /// Whether the server's own page may be reached by any name, and not only by an address, as `localhost`, by a name
    /// of [`origins`](Self::origins) or through a proxy that says so.
    pub by_any_name: bool,
}

impl Pages {
    /// Whether a browser may open this connection from the page it shows: our own, one of the origins, or no browser at
    /// all.
    pub fn may_connect(&self, request: &Request<'_>) -> bool {
        if !request.has_header("origin") {
            return true;
        }
        let Some(origin) = Origin::of_request(request) else { return false };
        self.origins.contains(&origin)
            || request.host().is_some_and(|host| origin.is_of_host(host)) && self.may_be_shown(request)
    }

    /// Whether the server's own page may be shown by the name that this request asks by. A request without a name is no
    /// browser's.
    pub fn may_be_shown(&self, request: &Request<'_>) -> bool {
        let Some(host) = request.host() else { return true };
        self.by_any_name
            || is_address(host)
            || FORWARDED.iter().any(|header| request.has_header(header))
            || self.origins.iter().any(|origin| origin.is_of_host(host))
    }
}

/// Headers of proxies, which no page can add to the handshake of a WebSocket.
const FORWARDED: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host"];

/// Whether a host is an address, `localhost` or a name under that, with or without a port: no name that somebody else
/// could give out. Browsers look `localhost` and what is under it up nowhere, and go to this machine (RFC 6761 section
/// 6.3).
pub(super) fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // The root of all names may be said.
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
        || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::handshake::Request;

    /// Each row: by which host a page is asked for, with which headers, whether it is shown, and may connect.
    #[test]
    fn names() {
        let pages = Pages { origins: vec!["http://chat.test:8080".parse().unwrap()], by_any_name: false };
        for (host, headers, shown, connects) in [
            ("127.0.0.1:8080", "", true, true),
            ("127.0.0.1:8080", "Origin: http://127.0.0.1:8080\r\n", true, true),
            ("[::1]:8080", "Origin: http://[::1]:8080\r\n", true, true),
            ("localhost:8080", "Origin: http://localhost:8080\r\n", true, true),
            ("LOCALHOST", "Origin: http://localhost\r\n", true, true),
            ("localhost.", "Origin: http://localhost.\r\n", true, true),
            ("localhost.:8080", "Origin: http://localhost.:8080\r\n", true, true),
            ("chat.localhost:8080", "Origin: http://chat.localhost:8080\r\n", true, true),
            ("a.b.LocalHost.:8080", "Origin: http://a.b.localhost.:8080\r\n", true, true),
            ("localhost:8080", "Origin: http://chat.localhost:8080\r\n", true, false),
            ("notlocalhost", "Origin: http://notlocalhost\r\n", false, false),
            ("localhost..", "Origin: http://localhost..\r\n", false, false),
            ("chat.test:8080", "Origin: http://chat.test:8080\r\n", true, true),
            ("127.0.0.1:8080", "Origin: http://chat.test:8080\r\n", true, true),
            ("chat.test", "Origin: http://chat.test\r\n", false, false),
            ("evil.example:8080", "Origin: http://evil.example:8080\r\n", false, false),
            ("evil.example:8080", "", false, true),
            ("localhost.evil.example", "Origin: http://localhost.evil.example\r\n", false, false),
            ("127.0.0.1.evil.example", "Origin: http://127.0.0.1.evil.example\r\n", false, false),
            ("127.0.0.1:8080", "Origin: http://evil.example:8080\r\n", true, false),
            ("a.example", "Origin: https://a.example\r\nX-Forwarded-For: 192.0.2.1\r\n", true, true),
            ("a.example", "Origin: https://a.example\r\nForwarded: for=192.0.2.1\r\n", true, true),
            ("a.example", "Origin: https://b.example\r\nX-Real-IP: 192.0.2.1\r\n", true, false),
            ("a.example", "Origin: https://a.example\r\nX-Forwarded-Host: a.example\r\n", true, true),
            ("a.example", "Origin: https://a.example\r\nX-Anything: else\r\n", false, false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
            let request = Request::parse(head.as_bytes()).unwrap();
            assert_eq!(
                (pages.may_be_shown(&request), pages.may_connect(&request)),
                (shown, connects),
                "{host} {headers}"
            );
            let open = Pages { by_any_name: true, ..pages.clone() };
            assert!(open.may_be_shown(&request), "{host} {headers}");
        }
        let nameless = Request::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(pages.may_be_shown(&nameless) && pages.may_connect(&nameless));
    }
}
