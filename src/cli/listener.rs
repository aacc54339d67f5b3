//! Where Salon listens and which protocols it speaks there: addresses, certificates, proxies.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::server::forwarded::Proxies;
use crate::server::kernel::{Handed, MAX_OF_A_KIND};
use crate::server::listener::Address;
use crate::server::serve::HandedOver;
use crate::server::settings::ProxyProtocol;
use crate::server::tls::{Identities, Identity, IdentityError};

use super::args::ServeArgs;
use super::small_file;
use super::socket_arg::{ADMIN, REDIRECT, SocketArg, TLS};
use super::values::{Listen, PlaceArg, ProxyProtocolArg};

/// The addresses of sockets that another process listens on already and has handed over. They follow the same rules as
/// addresses of settings, and take their place. A Unix socket has no address: its file says who may connect.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// For everybody, without TLS.
    pub public: Vec<Option<SocketAddr>>,
    /// For everybody, with TLS.
    pub tls: Vec<Option<SocketAddr>>,
    /// For everybody, to be sent to TLS.
    pub redirect: Vec<Option<SocketAddr>>,
    /// For the operator.
    pub admin: Vec<Option<SocketAddr>>,
}

impl Places {
    /// Those of these sockets.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of(sockets: &HandedOver) -> io::Result<Self> {
        let places = |sockets: &[Handed]| sockets.iter().map(Handed::address).collect::<io::Result<Vec<_>>>();
        Ok(Self {
            public: places(&sockets.public)?,
            tls: places(&sockets.tls)?,
            redirect: places(&sockets.redirect)?,
            admin: places(&sockets.admin)?,
        })
    }

    /// Those of sockets that will be handed over.
    pub fn expected(sockets: &[SocketArg]) -> Self {
        let mut places = Self::default();
        for SocketArg { name, at } in sockets {
            let kind = match &**name {
                ADMIN => &mut places.admin,
                TLS => &mut places.tls,
                REDIRECT => &mut places.redirect,
                _ => &mut places.public,
            };
            kind.push(*at);
        }
        places
    }
}

/// The public listeners.
pub struct Listeners {
    /// Those without TLS.
    pub plain: Vec<Address>,
    /// Those with TLS.
    pub secure: Vec<Address>,
    /// What is shown there; `None`: no TLS.
    pub tls: Option<Identities>,
    /// Those that send there.
    pub redirect: Vec<Address>,
    /// Whether the PROXY protocol is spoken there.
    pub proxy_protocol: ProxyProtocol,
    /// The trusted proxies.
    pub proxies: Proxies,
}

impl Listeners {
    /// The option, or the socket that was handed over in its place, that opens Salon to other machines, with its
    /// address.
    pub fn beyond_loopback(&self, handed: &Places) -> Option<(&'static str, SocketAddr)> {
        let own = |name, addresses: &[Address], handed: &[Option<SocketAddr>]| {
            let of_tcp = |address: &Address| match address {
                Address::Tcp(address) => Some((name, *address)),
                Address::Unix { .. } => None,
            };
            let addresses = if handed.is_empty() { addresses } else { &[] };
            addresses.iter().filter_map(of_tcp).collect::<Vec<_>>()
        };
        let plain = own("--listen", &self.plain, &handed.public);
        let tls = own("--tls-listen", &self.secure, &handed.tls);
        let public = handed.public.iter().flatten().map(|address| ("the socket of systemd", *address));
        let secure = handed.tls.iter().flatten().map(|address| ("the socket tls of systemd", *address));
        public.chain(secure).chain(plain).chain(tls).find(|(_, address)| !address.ip().is_loopback())
    }
}

/// The listeners of these settings.
///
/// # Errors
/// One sentence: settings that exclude each other, or a file that cannot be used.
pub fn of(args: &ServeArgs) -> Result<Listeners, String> {
    let mut plain = or_off("--listen", &args.listen, args.socket_mode)?;
    if args.lan {
        plain = all_on_lan(&plain)?;
    }
    let tls = identities(("--tls-cert", &args.tls_cert), ("--tls-key", &args.tls_key))?;
    let mut secure = places("--tls-listen", args.tls_listen.iter(), args.socket_mode)?;
    match (&tls, secure.first()) {
        (Some(_), None) => secure.push(Address::Tcp(TLS_ADDRESS.into())),
        (None, Some(address)) => {
            return Err(format!("--tls-listen {address}: expected --tls-cert and --tls-key beside it, found none"));
        }
        _ => {}
    }
    let redirect = places("--redirect-http", args.redirect_http.iter(), args.socket_mode)?;
    for (option, said) in [
        ("--redirect-http", !redirect.is_empty()),
        ("--https-port", args.https_port.is_some()),
        ("--hsts", args.hsts.is_some()),
    ] {
        if said && tls.is_none() {
            return Err(format!("{option}: expected --tls-cert and --tls-key beside it, found none"));
        }
    }
    if plain.is_empty() && tls.is_none() {
        return Err("--listen off: expected --tls-cert and --tls-key beside it, for nobody could come in".into());
    }
    let spoken = |by| args.proxy_protocol.contains(&by);
    let proxy_protocol =
        ProxyProtocol { listen: spoken(ProxyProtocolArg::Listen), tls: spoken(ProxyProtocolArg::TlsListen) };
    if proxy_protocol != ProxyProtocol::default() && args.trusted_proxy.is_empty() {
        return Err("--proxy-protocol: expected --trusted-proxy beside it, for nobody else would be believed".into());
    }
    if proxy_protocol.listen && plain.is_empty() {
        return Err("--proxy-protocol listen: expected an address to listen on, found --listen off".into());
    }
    if proxy_protocol.tls && tls.is_none() {
        return Err("--proxy-protocol tls-listen: expected --tls-cert and --tls-key beside it, found none".into());
    }
    let proxies = Proxies { trusted: args.trusted_proxy.clone(), header: args.forwarded_header.0 };
    Ok(Listeners { plain, secure, tls, redirect, proxy_protocol, proxies })
}

/// Where the operator comes in. What a Unix socket there lets do is nobody's but the user's that Salon runs as.
///
/// # Errors
/// One sentence: too many places, or `off` and others.
pub fn of_operator(args: &ServeArgs) -> Result<Vec<Address>, String> {
    or_off("--admin", &args.admin, ADMIN_MODE)
}

/// Where another Salon can take over.
pub fn of_hand_over(args: &ServeArgs) -> Option<Address> {
    args.hand_over.as_ref().map(|path| Address::Unix { path: path.clone(), mode: ADMIN_MODE })
}

/// The addresses of an option that may also be `off`, which then stands alone.
fn or_off(option: &str, said: &[Listen], mode: u32) -> Result<Vec<Address>, String> {
    let at = said.iter().filter_map(|said| match said {
        Listen::Off => None,
        Listen::At(place) => Some(place),
    });
    let addresses = places(option, at, mode)?;
    match addresses.first().filter(|_| said.contains(&Listen::Off)) {
        Some(address) => Err(format!("{option} off: expected no address beside it, found {address}")),
        None => Ok(addresses),
    }
}

/// The addresses of an option; Unix sockets get these permissions.
fn places<'a>(option: &str, said: impl Iterator<Item = &'a PlaceArg>, mode: u32) -> Result<Vec<Address>, String> {
    let address = |place: &PlaceArg| match place {
        PlaceArg::Tcp(address) => Address::Tcp(*address),
        PlaceArg::Unix(path) => Address::Unix { path: path.clone(), mode },
    };
    let addresses: Vec<Address> = said.map(address).collect();
    match addresses.len() {
        0..=MAX_OF_A_KIND => Ok(addresses),
        found => Err(format!("{option}: expected at most {MAX_OF_A_KIND} addresses, found {found}")),
    }
}

/// Where to listen for a local network: each port of loopback is one of all addresses, and no two of them.
fn all_on_lan(addresses: &[Address]) -> Result<Vec<Address>, String> {
    let mut on_lan_too = Vec::new();
    for address in addresses {
        let address = match address {
            Address::Tcp(address) => Address::Tcp(on_lan(*address, addresses_of_machine())?),
            Address::Unix { .. } => address.clone(),
        };
        let is_any = matches!(address, Address::Tcp(at) if at.ip().is_unspecified());
        if !(is_any && on_lan_too.contains(&address)) {
            on_lan_too.push(address);
        }
    }
    match on_lan_too.iter().any(|address| matches!(address, Address::Tcp(_))) {
        true => Ok(on_lan_too),
        false => Err("--lan: expected an address and a port to listen on, found another --listen".into()),
    }
}

/// Where to listen for a local network: on all addresses of IPv4, at the port of `listen`, if that is on loopback.
///
/// Those of IPv6 are no local ones as a rule: others on the internet may reach them.
fn on_lan(listen: SocketAddr, mut of_machine: impl Iterator<Item = IpAddr>) -> Result<SocketAddr, String> {
    if !listen.ip().is_loopback() {
        return Ok(listen);
    }
    match of_machine.find(|address| is_public(*address)) {
        Some(address) => Err(format!(
            "--lan: this machine has the address {address}, at which everybody on the internet could come in; name one \
             of the local network with --listen ADDRESS:PORT beside it"
        )),
        None => Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listen.port())),
    }
}

/// Whether an address of IPv4 is one of the internet: not private (RFC 1918), nor shared (RFC 6598), nor of this
/// machine or its link alone.
fn is_public(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else { return false };
    let network = |address: Ipv4Addr| address.to_bits() >> 22;
    let is_shared = network(address) == network(Ipv4Addr::new(100, 64, 0, 0));
    let is_local = address.is_private() || is_shared || address.is_loopback() || address.is_link_local();
    !is_local && !address.is_unspecified()
}

fn addresses_of_machine() -> impl Iterator<Item = IpAddr> {
    if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip())
}

/// What the operator's port shows where it speaks TLS; `None`: it does not.
///
/// # Errors
/// One sentence: a file that cannot be used, or one without the other.
pub fn of_admin(args: &ServeArgs) -> Result<Option<Identities>, String> {
    let (chain, key) = (args.admin_tls_cert.as_slice(), args.admin_tls_key.as_slice());
    identities(("--admin-tls-cert", chain), ("--admin-tls-key", key))
}

/// An option, and the files that it names.
type Files<'a> = (&'static str, &'a [PathBuf]);

/// The certificates of these files, each with the key at its place; `None`: there are none.
fn identities((of_chains, chains): Files<'_>, (of_keys, keys): Files<'_>) -> Result<Option<Identities>, String> {
    match (chains.len(), keys.len()) {
        (_, 0) if !chains.is_empty() => return Err(format!("{of_chains}: expected {of_keys} beside it, found none")),
        (0, _) if !keys.is_empty() => return Err(format!("{of_keys}: expected {of_chains} beside it, found none")),
        (certificates, keys) if certificates != keys => {
            return Err(format!(
                "{of_chains}: expected as many as of {of_keys}, in the same order, found {certificates} and {keys}"
            ));
        }
        _ => {}
    }
    let read = |option: &str, path: &Path| {
        small_file::read(path).map_err(|error| format!("{option} {}: {error}", path.display()))
    };
    let mut pairs = Vec::new();
    for (chain, key) in chains.iter().zip(keys) {
        pairs.push((read(of_chains, chain)?, read(of_keys, key)?));
    }
    let mut identities = Vec::new();
    for (at, (chain, key)) in pairs.iter().enumerate() {
        let identity = Identity::read(chain, key).map_err(|error| {
            let swapped = || pairs.iter().position(|(other, _)| Identity::read(other, key).is_ok());
            let advice = match matches!(error, IdentityError::KeyOfAnother).then(swapped).flatten() {
                Some(other) => format!(", but that of {}; name each at its place", chains[other].display()),
                None => String::new(),
            };
            match error.is_of_key() {
                true => format!("{of_keys} {}: {error}{advice}", keys[at].display()),
                false => format!("{of_chains} {}: {error}", chains[at].display()),
            }
        })?;
        identities.push(identity);
    }
    let mut identities = identities.into_iter();
    Ok(identities.next().map(|first| Identities::of(first, identities.collect())))
}

/// Permissions of a Unix socket for the operator, or for the next process: whoever writes to it rules the chat.
const ADMIN_MODE: u32 = 0o600;

/// The default address of TLS.
const TLS_ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8443);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_network_is_no_internet() {
        for (listen, machine, expected) in [
            ("127.0.0.1:8080", &["127.0.0.1", "192.168.1.7", "10.0.0.2", "fe80::1"][..], Some("0.0.0.0:8080")),
            ("127.0.0.1:9000", &["172.31.0.1", "100.64.0.1", "169.254.1.1"], Some("0.0.0.0:9000")),
            ("[::1]:8080", &["192.168.1.7", "2001:db8::7"], Some("0.0.0.0:8080")),
            ("127.0.0.1:8080", &[], Some("0.0.0.0:8080")),
            ("127.0.0.1:8080", &["192.168.1.7", "203.0.113.5"], None),
            ("127.0.0.1:8080", &["100.128.0.1"], None),
            ("127.0.0.1:8080", &["172.32.0.1"], None),
            // It is named.
            ("192.168.1.7:8080", &["203.0.113.5"], Some("192.168.1.7:8080")),
            ("0.0.0.0:80", &["203.0.113.5"], Some("0.0.0.0:80")),
        ] {
            let machine_has = machine.iter().map(|address| address.parse().unwrap());
            let found = on_lan(listen.parse().unwrap(), machine_has);
            assert_eq!(found.ok(), expected.map(|address| address.parse().unwrap()), "{listen} {machine:?}");
        }
    }
}
