//! The plain listener that sends everybody to the same URL with `https`.

use std::net::IpAddr;

use crate::proto::handshake::Request;

/// The URL with `https` at that port of what is asked for; `None`: the request names no host.
///
/// What it has of the request is a host and a target that were read as such: printable ASCII, without a line end.
pub fn location(request: &Request<'_>, https_port: u16) -> Option<String> {
    let host = name_of(request.host()?)?;
    let port = if https_port == 443 { String::new() } else { format!(":{https_port}") };
    // `*` is the server as a whole.
    let path = if request.path().starts_with('/') { request.path() } else { "/" };
    let query = if request.query().is_empty() { String::new() } else { format!("?{}", request.query()) };
    Some(format!("https://{host}{port}{path}{query}"))
}

/// A host without its port, if it is a name or an address.
fn name_of(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let name = &host[..end];
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = |name: &str| {
        (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    match address {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()).then_some(name),
        None => is_name(name).then_some(name),
    }
}

/// The longest name of a host (RFC 1035).
const MAX_NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_host_and_target_at_that_port_and_no_other() {
        for (target, host, port, expected) in [
            ("/", "chat.example", 443, Some("https://chat.example/")),
            ("/", "chat.example:80", 443, Some("https://chat.example/")),
            ("/ws?user=a%20b&x", "chat.example:8080", 8443, Some("https://chat.example:8443/ws?user=a%20b&x")),
            ("/", "127.0.0.1:80", 8443, Some("https://127.0.0.1:8443/")),
            ("/", "[::1]:80", 8443, Some("https://[::1]:8443/")),
            ("/", "[::1]", 443, Some("https://[::1]/")),
            ("//evil.example/", "chat.example", 443, Some("https://chat.example//evil.example/")),
            ("*", "chat.example", 443, Some("https://chat.example/")),
            // An absolute target names the host.
            ("http://other.example:80/x?y", "chat.example", 443, Some("https://other.example/x?y")),
            ("/", "chat.example;x", 443, None),
            ("/", "a%0d%0ab", 443, None),
            ("/", "", 443, None),
            ("/", ":80", 443, None),
            ("/", "[v1.x]", 443, None),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let found = Request::parse(head.as_bytes()).ok().and_then(|request| location(&request, port));
            assert_eq!(found.as_deref(), expected, "{target} {host}");
        }
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        assert_eq!((name_of(&long), name_of(&long[1..])), (None, Some(&long[1..])));
        let nameless = Request::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(location(&nameless, 443), None);
    }
}
