//! Arguments, subcommands and exit status.
//!
//! [`args`] declares commands and settings; `layers` reads them from command line, environment and file; `settings`
//! turns them into settings for the floors below; this module runs the command, with `keys` for tokens, `admin_key` for
//! the operator's key, [`mod@bench`], [`mod@top`], [`operate`], `config`, `check` and `store` for the subcommands of
//! these names. Exit status: 0 when a signal ended the server, 1 when it failed while running, `check` found something
//! in the way or a bench found faults, 2 when it could not start as asked, with one sentence that says what to do.

mod admin_key;
pub mod args;
mod as_toml;
pub mod asked;
pub mod bench;
mod changed_rooms;
mod check;
mod config;
mod config_file;
mod descriptors;
mod keys;
mod layers;
mod listener;
mod memory;
mod named_files;
pub mod operate;
#[cfg(feature = "sqlite")]
mod records;
mod redis_url;
mod reload;
mod rooms;
mod running;
mod settings;
pub mod sim;
mod small_file;
mod socket_arg;
#[cfg(feature = "sqlite")]
mod state;
#[cfg(feature = "sqlite")]
pub mod store;
mod systemd;
pub mod top;
pub mod values;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::backend::{self, Backend, Memory};
use crate::random::Random;
use crate::server::{self, echo, logging, serve};

use args::{Command, EchoArgs};
use asked::Server;
use layers::{From, Layers, Unreadable};
use listener::Places;
use named_files::Contents;
use reload::{Read, Reload};
use values::LogArg;

/// Runs the command line. All lines of the log are written when it returns.
pub fn main() -> ExitCode {
    let code = run();
    log::logger().flush();
    code
}

/// A file that may not become larger (`ulimit -f`) is an error for whoever writes to it, as a full disk is, and no end
/// of the process.
fn outlive_large_files() {
    let noticed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, noticed) {
        log::debug!("a limit on the size of files ends this process: {error}");
    }
}

fn run() -> ExitCode {
    outlive_large_files();
    let command_line: Vec<OsString> = std::env::args_os().collect();
    let layers = match layers::read(&command_line) {
        Ok(layers) => layers,
        Err(Unreadable::CommandLine(error))
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            // The reader may have gone: `salon --help | head`.
            let _ = write!(std::io::stdout(), "{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&sentence_of(&error)),
    };
    if let Err(error) = logging::start(&log_settings(&layers.args)) {
        return refuse(&error);
    }
    let result = match &layers.args.command {
        None | Some(Command::Serve(_)) => serve(command_line, layers),
        Some(Command::Config(args)) => print_config(args, &layers),
        Some(Command::Check(args)) => match check::run(args, layers.file.as_deref()) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(sentence) => Err(Failure::Asked(sentence)),
        },
        Some(Command::Echo(args)) => echo(args),
        Some(Command::Sim(args)) => match sim::run(args) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(sentence) => Err(Failure::Asked(sentence)),
        },
        Some(Command::Bench(args)) => return bench(args),
        Some(Command::Top(args)) => top::run(args).map_err(|failure| match failure {
            top::Failure::Asked(sentence) => Failure::Asked(sentence),
            top::Failure::Broken(error) => Failure::Top(error),
        }),
        #[cfg(feature = "sqlite")]
        Some(Command::Store(args)) => store::run(args).map_err(Failure::Asked),
        Some(Command::Token(args)) => keys::print_token(args).map_err(Failure::Asked),
        Some(Command::Say(args)) => operate::say(args).map_err(Into::into),
        Some(Command::Kick(args)) => operate::kick(args).map_err(Into::into),
        Some(Command::Ban(args)) => operate::ban(args).map_err(Into::into),
        Some(Command::Unban(args)) => operate::unban(args).map_err(Into::into),
        Some(Command::Rooms(server)) => operate::rooms(server).map_err(Into::into),
        Some(Command::Trail(server)) => operate::trail(server).map_err(Into::into),
        Some(Command::Who(args)) => operate::who(args).map_err(Into::into),
        Some(Command::Health(args)) => operate::health(args).map_err(Into::into),
        Some(Command::Reload(server)) => operate::reload(server).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Asked(sentence)) => refuse(&sentence),
        Err(Failure::Server(
            error @ (server::Error::Listen { .. } | server::Error::TakeOver(_) | server::Error::Store(_)),
        )) => refuse(&error.to_string()),
        Err(Failure::Server(error)) => fail(&error),
        Err(Failure::Top(error)) => fail(&error),
        Err(Failure::Refused(sentence)) => {
            last_words(&sentence);
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    /// The command cannot be run as asked.
    Asked(String),
    Server(server::Error),
    Top(crate::top::Error),
    /// The server does not do it, in one sentence.
    Refused(String),
}

impl std::convert::From<operate::Failure> for Failure {
    fn from(failure: operate::Failure) -> Self {
        match failure {
            operate::Failure::Asked(sentence) => Self::Asked(sentence),
            operate::Failure::Refused(sentence) => Self::Refused(sentence),
        }
    }
}

impl std::convert::From<server::Error> for Failure {
    fn from(error: server::Error) -> Self {
        Self::Server(error)
    }
}

fn log_settings(args: &args::Args) -> logging::Settings {
    let LogArg { level, modules } = args.log.clone();
    logging::Settings { level, modules, format: args.log_format.0, journal: systemd::journal_reads_the_log() }
}

fn serve(command_line: Vec<OsString>, layers: Layers) -> Result<(), Failure> {
    let args = layers.args.command.map_or(layers.args.serve, |command| match command {
        Command::Serve(args) => args,
        _ => unreachable!("asked for serve"),
    });
    if let Some(file) = &layers.file {
        log::info!("settings are read from {}; SIGHUP reads them again", file.display());
    }
    logging::log_panics();
    let sockets = systemd::sockets().map_err(Failure::Asked)?;
    let handed = Places::of(&sockets)
        .map_err(|error| Failure::Asked(format!("where a socket of systemd is cannot be read: {error}")))?;
    let contents = Contents::of(&args);
    settings::check_kept(&args, &args.rooms).map_err(Failure::Asked)?;
    let settings = settings::of(&args, &handed).map_err(Failure::Asked)?;
    let void = |key: &str, places: &[Option<SocketAddr>]| {
        let named = layers.settings.iter().any(|setting| setting.key == key && setting.from != From::Default);
        if let Some(place) = places.first().filter(|_| named) {
            let place = place.map_or_else(|| "a Unix socket".into(), |address| format!("at {address}"));
            log::warn!("{key} means nothing beside a socket of systemd, which is {place}");
        }
    };
    void("listen", &handed.public);
    void("tls_listen", &handed.tls);
    void("redirect_http", &handed.redirect);
    void("admin", &handed.admin);
    let certificates = settings.certificates();
    let read = Read { settings: layers.settings, rooms: args.rooms.clone(), file: layers.file };
    let reload = Reload::new(command_line, read, handed, certificates, contents);
    serve::run(settings, sockets, systemd::Starter::new(reload), |waker| store(&args, waker))?;
    Ok(())
}

/// The store that is asked for.
#[cfg_attr(not(any(feature = "redis", feature = "sqlite")), allow(unused_variables, reason = "there is but one"))]
fn store(args: &args::ServeArgs, waker: backend::Waker) -> Result<Box<dyn Backend>, String> {
    #[cfg(feature = "redis")]
    if let Some(options) = settings::redis(args)? {
        let make = |own| backend::Redis::open(options, Random::secret(), own);
        return Ok(Box::new(backend::Threaded::start(make, waker)?));
    }
    #[cfg(feature = "sqlite")]
    if let Some(options) = settings::file(args)? {
        let beside = || backend::sqlite::ReadOnly::new(&options);
        let (pages, searches) = (beside(), beside());
        let make = |waker| Ok(backend::Sqlite::open(options, Random::secret())?.with_waker(waker));
        let writer = backend::Threaded::start(make, waker.clone())?;
        let pages = backend::Threaded::start(|_| Ok(pages), waker.clone())?;
        let searches = backend::Threaded::start(|_| Ok(searches), waker)?;
        return Ok(Box::new(backend::Paired::new(writer, backend::Readers::new(pages, searches))));
    }
    Ok(Box::new(Memory::new(settings::history(args), Random::secret())))
}

fn print_config(args: &args::ConfigArgs, layers: &Layers) -> Result<(), Failure> {
    let file = layers.file.as_deref().unwrap_or(Path::new(config_file::FILE));
    let rules = &args.serve.rooms;
    let server = || {
        let args::ServeArgs { admin, admin_key, admin_tls_cert, .. } = &args.serve;
        Server::of_settings(admin, admin_key.clone(), admin_tls_cert.clone())
    };
    let text = match (&args.room, args.markdown, args.running) {
        (_, true, _) => config::reference(),
        (None, _, true) => operate::settings_in_force(&server())?,
        (None, ..) => config::text_of(&layers.settings, &[], layers.file.as_deref(), rules, rules),
        (Some(room), _, true) => operate::room_settings(&server(), room)?,
        (Some(room), ..) => rooms::of_room(rules, room, file).map_err(Failure::Asked)?,
    };
    let printed = std::io::stdout().write_all(text.as_bytes());
    printed.map_err(|error| Failure::Asked(format!("the settings cannot be printed: {error}")))
}

fn echo(args: &EchoArgs) -> Result<(), Failure> {
    let connections = descriptors::fit(args.max_connections).map_err(Failure::Asked)?;
    echo::run(args.listen, connections)?;
    Ok(())
}

fn bench(args: &bench::BenchArgs) -> ExitCode {
    match bench::run(args) {
        Ok(report) => {
            let text = if args.json { format!("{}\n", report.json()) } else { report.to_string() };
            // The reader may have gone meanwhile: `salon bench ... | head`.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if report.is_faultless() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(bench::Failure::Asked(sentence)) => refuse(&sentence),
        Err(bench::Failure::Broken(error)) => fail(&error),
    }
}

/// Says why it ends, behind the log.
fn last_words(why: &dyn std::fmt::Display) {
    log::logger().flush();
    logging::say(log::Level::Error, format!("salon: {why}"), &why.to_string(), Vec::new());
    log::logger().flush();
}

fn fail(error: &impl std::error::Error) -> ExitCode {
    last_words(error);
    ExitCode::FAILURE
}

fn refuse(sentence: &str) -> ExitCode {
    last_words(&sentence);
    ExitCode::from(2)
}

/// The error as one line, without a password that stands in a value.
fn sentence_of(error: &Unreadable) -> String {
    redis_url::shown_in(&line_of(error))
}

/// The same with whatever stands in it. Of clap's error: its message, and the tip if there is one.
fn line_of(error: &Unreadable) -> String {
    let error = match error {
        Unreadable::CommandLine(error) => error,
        Unreadable::Sentence(sentence) => return sentence.clone(),
    };
    let text = error.to_string();
    let mut lines = text.lines();
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ");
    // Which arguments are missing stands below, one a line; and of which command, in the usage.
    let listed = || lines.clone().map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    let what = if what.ends_with(':') { format!("{what} {}", listed()) } else { what.to_owned() };
    let usage = lines.clone().find_map(|line| line.strip_prefix("Usage: "));
    let command = usage
        .into_iter()
        .flat_map(str::split_whitespace)
        .take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
    let help = command.chain(["--help"]).collect::<Vec<_>>().join(" ");
    let tip = lines.find_map(|line| line.trim().strip_prefix("tip: ")).map(|tip| format!("; {tip}"));
    let help = if help.starts_with("salon") { help } else { "salon --help".into() };
    format!("{what}{}; see '{help}'", tip.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_command_line_in_one_sentence() {
        for (words, expected) in [
            (&["say", "hi"][..], "<--room <ROOM>|--user <NAME>|--everybody>; see 'salon say --help'"),
            (&["kick"], "the following required arguments were not provided: <USER>; see 'salon kick --help'"),
            (&["ban"], "<USER>; see 'salon ban --help'"),
            (&["token"], "--sub <NAME>"),
            (&["bench"], "see 'salon bench --help'"),
            (
                &["serve", "--opn"],
                "unexpected argument '--opn' found; a similar argument exists: '--open'; see 'salon serve --help'",
            ),
            (&["nope"], "unrecognized subcommand 'nope'"),
            (
                &["serve", "--store", "redis://ann:secret@host:99999/0"],
                "invalid value 'redis://ann:***@host:99999/0' for '--store ",
            ),
            (
                &["serve", "--store", "redis://ann:se@cret@"],
                "invalid value 'redis://ann:***@' for '--store <PATH|memory|redis://...>': expected redis://USER:PASSWORD@HOST:PORT/DB, ",
            ),
            (&["serve", "--store", "rediss://u:secret@h:x"], "invalid value 'rediss://u:***@***' for"),
            (
                &["--listen"],
                "a value is required for '--listen <ADDRESS:PORT|unix:PATH|off>' but none was supplied; see 'salon --help'",
            ),
        ] {
            let error = args::Args::try_parse_from([&["salon"], words].concat()).expect_err("it is wrong");
            let sentence = sentence_of(&Unreadable::CommandLine(error));
            assert!(sentence.contains(expected) && !sentence.contains('\n'), "{words:?}: {sentence}");
        }
        let error =
            Unreadable::Sentence("SALON_STORE: expected x, found \"redis://u:se'cret@host\" and no more".into());
        assert_eq!(sentence_of(&error), "SALON_STORE: expected x, found \"redis://u:***@host\" and no more");
    }
}
