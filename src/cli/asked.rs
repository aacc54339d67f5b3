//! The options by which a command says which running server it asks, at its admin port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::top::http::Place;

use super::admin_key;
use super::values::Listen;

/// The server to ask. `layers` reads these from the server's file, too.
#[derive(Debug, Args)]
pub struct Server {
    /// The server's admin port
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT|unix:PATH", env = "SALON_ADMIN")]
    pub admin: Listen,
    /// The file of the server's admin key. The variable SALON_ADMIN_SECRET can hold the key instead
    #[arg(long, value_name = "FILE", env = "SALON_ADMIN_KEY")]
    pub admin_key: Option<PathBuf>,
    /// The server's file of settings, of which `admin` and `admin_key` are read; salon.toml in the working directory if
    /// there is one
    #[arg(long, value_name = "FILE", env = "SALON_CONFIG")]
    pub config: Option<PathBuf>,
}

impl Server {
    /// The one that is started with these settings.
    pub fn of_settings(admin: &Listen, admin_key: Option<&Path>) -> Self {
        Self { admin: admin.clone(), admin_key: admin_key.map(Path::to_owned), config: None }
    }

    /// Where it is.
    ///
    /// # Errors
    /// One sentence: it has no admin port.
    pub fn place(&self) -> Result<Place, String> {
        match &self.admin {
            Listen::Off => Err("admin: expected ADDRESS:PORT or unix:PATH, found off; without an admin port nothing \
                                can be asked"
                .into()),
            Listen::Tcp(address) => Ok(Place::Tcp(reachable(*address))),
            Listen::Unix(path) => Ok(Place::Unix(path.clone())),
        }
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
