//! The command line: every option with its default and what it means.

use std::net::SocketAddr;
use std::str::FromStr;

use clap::{Parser, Subcommand};

use super::parse_address;

/// A lean chat server.
///
/// Without a subcommand Salon serves the chat: a page, WebSocket doors for programs, and an admin port with health and
/// metrics. Nothing needs to be configured.
#[derive(Debug, Parser)]
#[command(name = "salon", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Args {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// How much to log on standard error: off, error, warn, info, debug or trace
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL", env = "SALON_LOG")]
    pub log: String,
}

/// What Salon can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the chat (the default)
    Serve(ServeArgs),
    /// Answer every WebSocket message with itself, on any path: for conformance suites and load tools
    ///
    /// Messages up to 16 MiB, any number of clients up to the limit, no idle pings, no chat.
    Echo(EchoArgs),
}

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where people and programs come in
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT", value_parser = parse_address, env = "SALON_LISTEN")]
    pub listen: SocketAddr,
    /// Where the operator does (health, metrics), a loopback address; `off` for nowhere
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT|off", env = "SALON_ADMIN")]
    pub admin: Admin,
    /// Let everybody in who reaches an address that is not loopback, under any name they choose
    #[arg(long, env = "SALON_OPEN")]
    pub open: bool,
    /// Connections in all; fewer if the descriptor limit is lower
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = parse_connections, env = "SALON_MAX_CONNECTIONS")]
    pub max_connections: usize,
    /// Connections of one address at a time (IPv6: of one /64)
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = parse_per_address, env = "SALON_MAX_CONNECTIONS_PER_ADDRESS")]
    pub max_connections_per_address: u32,
    /// New connections of one address a second, and how many at once after a silence
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_per_address, env = "SALON_NEW_CONNECTIONS_PER_ADDRESS")]
    pub new_connections_per_address: u32,
    /// Hold loopback addresses to these limits too
    #[arg(long, env = "SALON_COUNT_LOOPBACK")]
    pub count_loopback: bool,
    /// Messages a second for one person, and how many at once after a silence; `off` for no limit
    #[arg(long, default_value = "20:40", value_name = "PER_SECOND:BURST|off", env = "SALON_RATE")]
    pub rate: RateArg,
    /// Messages kept in memory for each room and each pair of people (for 7 days at most)
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = parse_history, env = "SALON_HISTORY")]
    pub history: usize,
    /// Compress messages of 512 bytes and more for clients that offer it (permessage-deflate); saves network, costs CPU
    #[arg(long, env = "SALON_DEFLATE")]
    pub deflate: bool,
    /// A page of this origin may connect, besides the one Salon serves, such as https://example.org (repeatable)
    #[allow(rustdoc::bare_urls, reason = "it is the help text")]
    #[arg(long, value_name = "ORIGIN", env = "SALON_ORIGIN", value_delimiter = ',')]
    pub origin: Vec<String>,
}

/// Options of `echo`.
#[derive(Debug, clap::Args)]
pub struct EchoArgs {
    /// Where clients come in
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS:PORT", value_parser = parse_address, env = "SALON_LISTEN")]
    pub listen: SocketAddr,
    /// Connections in all; fewer if the descriptor limit is lower
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = parse_connections, env = "SALON_MAX_CONNECTIONS")]
    pub max_connections: usize,
}

/// Where the admin port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Nowhere.
    Off,
    /// There.
    On(SocketAddr),
}

impl FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => parse_address(text).map(Self::On).map_err(|error| format!("{error}, or off")),
        }
    }
}

/// How fast a person may talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateArg {
    /// As fast as they can.
    Off,
    /// So many a second, and so many at once.
    On {
        /// Messages a second.
        per_second: u32,
        /// Messages at once.
        burst: u32,
    },
}

impl FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let number = |text: &str| text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
        text.split_once(':')
            .and_then(|(per_second, burst)| Some(Self::On { per_second: number(per_second)?, burst: number(burst)? }))
            .ok_or_else(|| "expected PER_SECOND:BURST, two numbers from 1 to 1000000, such as 20:40, or off".into())
    }
}

fn parse_connections(text: &str) -> Result<usize, String> {
    in_range(text, 1, 10_000_000)
}

fn parse_per_address(text: &str) -> Result<u32, String> {
    in_range(text, 1, 10_000_000).map(|number| number as u32)
}

fn parse_history(text: &str) -> Result<usize, String> {
    in_range(text, 0, 1_000_000)
}

fn in_range(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn rates_and_addresses() {
        assert_eq!("off".parse(), Ok(RateArg::Off));
        assert_eq!("20:40".parse(), Ok(RateArg::On { per_second: 20, burst: 40 }));
        for wrong in ["", "20", "20:", "0:1", "1:0", "a:b", "1:2:3", "-1:2", "1000001:1"] {
            assert!(wrong.parse::<RateArg>().is_err(), "{wrong}");
        }
        assert_eq!("off".parse(), Ok(Admin::Off));
        assert_eq!("localhost:1".parse(), Ok(Admin::On(([127, 0, 0, 1], 1).into())));
        assert!("8080".parse::<Admin>().is_err());
    }

    #[test]
    fn serve_is_what_is_done_without_a_word() {
        let bare = Args::try_parse_from(["salon", "--rate", "off"]).unwrap();
        assert!(bare.command.is_none() && bare.serve.rate == RateArg::Off);
        let named = Args::try_parse_from(["salon", "serve", "--admin", "off", "--log", "warn"]).unwrap();
        assert!(matches!(named.command, Some(Command::Serve(ServeArgs { admin: Admin::Off, .. }))));
    }
}
