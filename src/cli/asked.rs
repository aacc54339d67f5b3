//! The options by which a command says which running server it asks, at its admin port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use crate::server::tls;
use crate::top::http::Place;
use crate::top::tls::{Known, config};

use super::admin_key;
use super::small_file;
use super::values::{AdminArg, Listen, PlaceArg};

/// The server to ask. `layers` reads these from the server's file, too.
#[derive(Debug, Args)]
pub struct Server {
    /// The server's admin port; by a URL with `https://` with TLS. Of several, as the server may have, the first is
    /// asked
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT|unix:PATH|URL")]
    #[arg(env = "SALON_ADMIN", value_delimiter = ',')]
    pub admin: Vec<AdminArg>,
    /// The file of the server's admin key. The variable SALON_ADMIN_SECRET can hold the key instead
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_KEY")]
    pub admin_key: Option<PathBuf>,
    /// The certificate that the admin port shows, or that of its issuer, where this machine does not trust it by
    /// itself: then it is asked with TLS
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_TLS_CERT")]
    pub admin_tls_cert: Option<PathBuf>,
    /// The server's file of settings, of which `admin`, `admin_key` and `admin_tls_cert` are read; salon.toml in the
    /// working directory if there is one
    #[arg(long, value_name = "FILE", env = "SALON_CONFIG")]
    pub config: Option<PathBuf>,
}

impl Server {
    /// The one that is started with these settings.
    pub fn of_settings(admin: &[Listen], admin_key: Option<PathBuf>, admin_tls_cert: Option<PathBuf>) -> Self {
        Self { admin: admin.iter().cloned().map(AdminArg::There).collect(), admin_key, admin_tls_cert, config: None }
    }

    /// Where it is.
    ///
    /// # Errors
    /// One sentence: it has no admin port, or its certificate cannot be read.
    pub fn place(&self) -> Result<Place, String> {
        let (place, with_tls) = match self.admin.first().unwrap_or(&AdminArg::There(Listen::Off)) {
            AdminArg::There(Listen::Off) => {
                return Err(
                    "admin: expected ADDRESS:PORT or unix:PATH, found off; without an admin port nothing can be \
                            asked"
                        .into(),
                );
            }
            AdminArg::There(Listen::At(PlaceArg::Unix(path))) => return Ok(Place::Unix(path.clone())),
            AdminArg::There(Listen::At(PlaceArg::Tcp(address))) => {
                (Place::Tcp(reachable(*address)), self.admin_tls_cert.is_some())
            }
            AdminArg::Url { tls, host, port } => (Place::Host(host.clone(), *port), *tls),
        };
        if !with_tls {
            return Ok(place);
        }
        let known = match &self.admin_tls_cert {
            None => Known::System,
            Some(file) => {
                let pem =
                    small_file::read(file).map_err(|error| format!("--admin-tls-cert {}: {error}", file.display()))?;
                Known::By { names: tls::names_of(&pem), pem }
            }
        };
        let config = config(&known).map_err(|error| format!("--admin-tls-cert: {error}"))?;
        Ok(Place::Tls(Box::new(place), config))
    }

    /// The key that is to be shown, if there is one.
    ///
    /// # Errors
    /// One sentence: it cannot be read.
    pub fn key(&self) -> Result<Option<String>, String> {
        admin_key::shown(self.admin_key.as_deref())
    }
}

/// Where a server that listens on every address can be reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
