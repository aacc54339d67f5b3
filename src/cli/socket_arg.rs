//! A socket that systemd listens on and hands over: how it is called there, and where it is.

use std::net::SocketAddr;
use std::str::FromStr;

/// The name of sockets of the admin port.
pub const ADMIN: &str = "admin";

/// The name of sockets of the TLS port.
pub const TLS: &str = "tls";

/// The name of sockets that send everybody to TLS.
pub const REDIRECT: &str = "redirect";

/// One that is not handed over yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketArg {
    /// Its name (`FileDescriptorName=`).
    pub name: String,
    /// Where it is; `None` of a Unix socket.
    pub at: Option<SocketAddr>,
}

impl FromStr for SocketArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected NAME=ADDRESS:PORT or NAME=PATH, found {text}");
        let (name, place) = text.split_once('=').ok_or_else(expected)?;
        let at = match place.starts_with(['/', '@']) {
            true => None,
            false => Some(place.parse().map_err(|_| expected())?),
        };
        Ok(Self { name: name.to_owned(), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_place() {
        for (text, expected) in [
            ("salon.socket=127.0.0.1:8080", Some(("salon.socket", Some("127.0.0.1:8080")))),
            ("tls=[::]:443", Some(("tls", Some("[::]:443")))),
            ("admin=/run/salon/admin=1.sock", Some(("admin", None))),
            ("a=@hidden", Some(("a", None))),
            ("127.0.0.1:8080", None),
            ("tls=8080", None),
            ("tls=vsock:2:1", None),
            ("", None),
        ] {
            let expected =
                expected.map(|(name, at)| SocketArg { name: name.into(), at: at.map(|at| at.parse().unwrap()) });
            assert_eq!(text.parse::<SocketArg>().ok(), expected, "{text}");
        }
    }
}
