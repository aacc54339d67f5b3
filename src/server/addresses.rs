//! The addresses under which others reach a socket that listens on all of them, for the operator to send. It decides
//! nothing: it reads the addresses of the machine.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// The addresses of a socket that is bound there, first those that can be sent to others. At least one: if the machine
/// does not show its addresses, the one it is bound to.
pub(super) fn to_send(bound: SocketAddr) -> Vec<SocketAddr> {
    let of_machine = || if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip());
    let mut addresses = match bound.ip().is_unspecified() {
        true => reached(bound, of_machine()),
        false => Vec::new(),
    };
    if addresses.is_empty() {
        addresses.push(bound);
    }
    addresses
}

/// Those of the machine's addresses that a socket which is bound to all of them is reached under.
fn reached(bound: SocketAddr, of_machine: impl Iterator<Item = IpAddr>) -> Vec<SocketAddr> {
    let is_meant = |address: &IpAddr| match address {
        // A socket of [::] takes IPv4 as well.
        IpAddr::V4(address) => !address.is_unspecified() && !address.is_link_local(),
        // A link-local one means nothing without the name of an interface, which no browser takes.
        IpAddr::V6(address) => bound.is_ipv6() && !address.is_unspecified() && !address.is_unicast_link_local(),
    };
    let mut addresses: Vec<IpAddr> = of_machine.filter(is_meant).collect();
    addresses.sort_by_key(|address| (address.is_loopback(), address.is_ipv6(), *address));
    addresses.dedup();
    addresses.into_iter().map(|address| SocketAddr::new(address, bound.port())).collect()
}

/// A picture of an address that a telephone reads, if standard error is a terminal and others can reach the address.
pub(super) fn picture(url: &str, address: SocketAddr) -> Option<String> {
    if address.ip().is_loopback() || !std::io::stderr().is_terminal() {
        return None;
    }
    picture_of(url)
}

fn picture_of(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    // Most terminals are dark; dark squares are not drawn.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).quiet_zone(true).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_sent_to_others() {
        let machine =
            ["127.0.0.1", "::1", "192.168.1.7", "169.254.3.4", "fe80::1", "2001:db8::7", "10.0.0.2", "192.168.1.7"];
        let machine = || machine.iter().map(|address| address.parse::<IpAddr>().unwrap());
        for (bound, expected) in [
            ("0.0.0.0:8080", &["10.0.0.2:8080", "192.168.1.7:8080", "127.0.0.1:8080"][..]),
            ("[::]:80", &["10.0.0.2:80", "192.168.1.7:80", "[2001:db8::7]:80", "127.0.0.1:80", "[::1]:80"]),
        ] {
            let found = reached(bound.parse().unwrap(), machine());
            assert_eq!(found.iter().map(SocketAddr::to_string).collect::<Vec<_>>(), expected, "{bound}");
        }
        for bound in ["127.0.0.1:8080", "192.0.2.1:1", "[::1]:1"] {
            assert_eq!(to_send(bound.parse().unwrap()), [bound.parse().unwrap()]);
        }
        assert!(to_send("0.0.0.0:1".parse().unwrap()).iter().all(|address| address.port() == 1));
    }

    #[test]
    fn a_picture_is_a_square_of_blocks() {
        let picture = picture_of("http://192.168.1.7:8080/").unwrap();
        let lines: Vec<&str> = picture.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width), "{picture}");
        assert!(width.abs_diff(2 * lines.len()) <= 1, "{picture}");
        assert!(picture.chars().all(|c| " \u{2580}\u{2584}\u{2588}\n".contains(c)), "{picture}");
        assert_eq!(picture_of(&"x".repeat(3000)), None);
        assert_eq!(super::picture("http://127.0.0.1:8080/", "127.0.0.1:8080".parse().unwrap()), None);
    }
}
