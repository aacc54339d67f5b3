//! Arguments, subcommands and exit status.
//!
//! [`args`] says what can be asked for; this module does it, with `keys` for tokens. Exit status: 0 when a signal ended the server, 1 when it
//! failed while running, 2 when it could not start as asked, with one sentence that says what to do.

pub mod args;
mod descriptors;
mod keys;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::chat;
use crate::server::{self, admission, echo, serve};

use args::{Admin, Args, Auth, Command, CreateRooms, EchoArgs, RateArg, ServeArgs};

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&sentence_of(&error)),
    };
    if let Err(error) = start_log(&args.log) {
        return refuse(&error);
    }
    let result = match args.command {
        None => serve(args.serve),
        Some(Command::Serve(args)) => serve(args),
        Some(Command::Echo(args)) => echo(args),
        Some(Command::Token(args)) => keys::print_token(&args).map_err(Failure::Asked),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Asked(sentence)) => refuse(&sentence),
        Err(Failure::Server(error @ server::Error::Listen { .. })) => refuse(&error.to_string()),
        Err(Failure::Server(error)) => {
            eprintln!("salon: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    /// What was asked for cannot be.
    Asked(String),
    Server(server::Error),
}

impl From<server::Error> for Failure {
    fn from(error: server::Error) -> Self {
        Self::Server(error)
    }
}

fn serve(args: ServeArgs) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() && !args.open && args.auth == Auth::Open {
        return Err(Failure::Asked(format!(
            "--listen {}: everybody who reaches that address could take any name; say --open if that is meant, \
             ask for tokens with --auth jwt, or listen on 127.0.0.1 behind a proxy that knows its users",
            args.listen
        )));
    }
    let admin = match args.admin {
        Admin::Off => None,
        Admin::On(address) if !address.ip().is_loopback() => {
            return Err(Failure::Asked(format!(
                "--admin {address}: the admin port has no password yet; use a loopback address or off"
            )));
        }
        Admin::On(address) => Some(address),
    };
    let mut chat = chat::Settings { history_messages: args.history, ..chat::Settings::default() };
    chat.rate = match args.rate {
        RateArg::Off => None,
        RateArg::On { per_second, burst } => Some(chat::Rate { per_second, burst }),
    };
    let keys = keys::read(&args).map_err(Failure::Asked)?;
    if keys.is_none() && args.create_rooms == CreateRooms::Role {
        return Err(Failure::Asked("--create-rooms role: nobody has a role without --auth jwt".into()));
    }
    chat.anybody_may_announce = keys.is_none();
    chat.anybody_may_create = args.create_rooms == CreateRooms::Everybody;
    chat.token_grace = args.auth_grace;
    let max_connections = descriptors::fit(args.max_connections);
    let addresses = admission::Limits {
        open: args.max_connections_per_address,
        per_second: args.new_connections_per_address,
        count_loopback: args.count_loopback,
    };
    serve::run(serve::Settings {
        listen: args.listen,
        admin,
        max_connections,
        addresses,
        origins: args.origin,
        keys,
        deflate: args.deflate,
        chat,
    })?;
    Ok(())
}

fn echo(args: EchoArgs) -> Result<(), Failure> {
    echo::run(args.listen, descriptors::fit(args.max_connections))?;
    Ok(())
}

fn start_log(level: &str) -> Result<(), String> {
    let level = level.parse().map_err(|_| format!("--log {level}: expected off, error, warn, info, debug or trace"))?;
    simple_logger::SimpleLogger::new()
        .with_level(level)
        .with_utc_timestamps()
        .init()
        .map_err(|error| format!("the log cannot be started: {error}"))
}

fn refuse(sentence: &str) -> ExitCode {
    eprintln!("salon: {sentence}");
    ExitCode::from(2)
}

/// clap's error as one line: what is wrong, and the tip if there is one.
fn sentence_of(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines();
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let tip = lines.find_map(|line| line.trim().strip_prefix("tip: ")).map(|tip| format!("; {tip}"));
    format!("{what}{}; see 'salon --help'", tip.unwrap_or_default())
}

/// `HOST:PORT` with an IP address or `localhost`.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    address.parse().map_err(|_| "expected ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080".into())
}
