//! Settings from four places: the command line before the environment before the file before the defaults. An error
//! names the place where the setting was written.
//!
//! The one table of settings is [`Args`]: which keys there are, what each may be, its default and what it means. A key
//! of the file is the long option with `_` for `-`, and is held to the same rules by the same parser. This module does
//! not know what a setting is for.

use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgGroup, ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::chat::rules::Rules;

use super::args::{AT_ONCE, Args, LOG};
use super::config_file::{self, Entry, FILE, Value};
use super::rooms;

/// All settings, and where each came from.
#[derive(Debug)]
pub struct Layers {
    /// What to do, and with which settings.
    pub args: Args,
    /// The settings of `serve` in the order of `--help`; none for what takes no file.
    pub settings: Vec<Setting>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: String,
    /// As texts: none if it is not set, several if it is a list.
    pub values: Vec<String>,
    /// What kind of value it has.
    pub kind: Kind,
    /// The place that set it.
    pub from: From,
    /// When another value takes effect.
    pub changes: Changes,
}

/// When a new value of a setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// While Salon serves.
    AtOnce,
    /// When it starts again.
    AtTheNextStart,
}

/// What kind of value a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// One text or number.
    One,
    /// A list of these.
    Many,
}

/// Where a setting came from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The default.
    Default,
    /// The file, in this line.
    File(usize),
    /// This variable.
    Environment(String),
    /// The command line.
    Flag,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Unreadable {
    /// The command line is wrong, or asks for help.
    CommandLine(clap::Error),
    /// Something else, in one sentence.
    Sentence(String),
}

impl From {
    /// In words; `file` is its name.
    pub fn shown(&self, file: &Path) -> String {
        match self {
            Self::Default => "default".into(),
            Self::File(line) => format!("{} line {line}", file.display()),
            Self::Environment(variable) => variable.clone(),
            Self::Flag => "command line".into(),
        }
    }
}

/// Reads all layers. `command_line` begins with the program's name; a file is looked for where `--config` says, else as
/// `salon.toml` in the working directory.
///
/// # Errors
/// The first thing that is wrong, from the command line down.
pub fn read(command_line: &[OsString]) -> Result<Layers, Unreadable> {
    let command = command();
    let joined = with_values_joined(command_line);
    let command_line = &*joined;
    let read_line = |line: &[OsString]| {
        command.clone().try_get_matches_from(line).map_err(|error| blame_variable(error, &command, command_line))
    };
    let given = read_line(command_line)?;
    let Some(serve) = settings_of(&given) else {
        let line = of_asked_server(command_line, &given)?;
        let all = read_line(&line)?;
        let args = Args::from_arg_matches(&all).map_err(Unreadable::CommandLine)?;
        return Ok(Layers { args, settings: Vec::new(), file: None });
    };
    // Names that are not UTF-8 are none of ours.
    let names =
        std::env::vars_os().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.into_string().ok());
    if let Some(sentence) = unknown_variable(names) {
        return Err(Unreadable::Sentence(sentence));
    }
    let file = file_of(serve);
    let mut entries = Vec::new();
    if let Some(file) = &file {
        entries = config_file::read(file).map_err(Unreadable::Sentence)?;
    }
    let mut line = command_line.to_vec();
    let mut rules = Rules::default();
    for entry in &entries {
        let wrong = |error: String| {
            let file = file.as_deref().unwrap_or(Path::new(FILE)).display();
            Unreadable::Sentence(format!("{file} line {}: {error}", entry.line))
        };
        if entry.key == rooms::KEY {
            // They are in no option and no variable.
            rules = rooms::read(&entry.value).map_err(|(line, error)| {
                let line = line.unwrap_or(entry.line);
                let file = file.as_deref().unwrap_or(Path::new(FILE)).display();
                Unreadable::Sentence(format!("{file} line {line}: {}: {error}", rooms::KEY))
            })?;
            continue;
        }
        let options = options(entry).map_err(wrong)?;
        if matches!(serve.value_source(&entry.key), None | Some(ValueSource::DefaultValue)) {
            line.extend(options.into_iter().map(OsString::from));
        }
    }
    let all = read_line(&line)?;
    let matches = settings_of(&all).expect("the same subcommand");
    let mut built = command.clone();
    built.build();
    let settings = keys(&built)
        .map(|arg| {
            let key = arg.get_id().as_str();
            let line = entries.iter().find(|entry| entry.key == key).map(|entry| entry.line);
            let (kind, values) = values_of(arg, matches);
            let from = match (serve.value_source(key), line) {
                (Some(ValueSource::CommandLine), _) => From::Flag,
                (Some(ValueSource::EnvVariable), _) => From::Environment(variable_of(arg)),
                (_, Some(line)) => From::File(line),
                _ => From::Default,
            };
            Setting { key: key.into(), values, kind, from, changes: changes_of(&built, arg) }
        })
        .collect();
    let mut args = Args::from_arg_matches(&all).map_err(Unreadable::CommandLine)?;
    args.settings_mut().rooms = rules;
    Ok(Layers { args, settings, file })
}

/// The command line of a command that asks a server, with what the server's file says about where it is. Other keys of
/// the file are not looked at.
fn of_asked_server(command_line: &[OsString], given: &ArgMatches) -> Result<Vec<OsString>, Unreadable> {
    let mut line = command_line.to_vec();
    let asks = |matches: &&ArgMatches| matches.ids().any(|id| id == ADMIN);
    let Some(matches) = given.subcommand().map(|(_, matches)| matches).filter(asks) else { return Ok(line) };
    let Some(file) = file_of(matches) else { return Ok(line) };
    for entry in config_file::read(&file).map_err(Unreadable::Sentence)? {
        let open = |key: &str| matches!(matches.value_source(key), None | Some(ValueSource::DefaultValue));
        if [ADMIN, ADMIN_KEY, ADMIN_TLS_CERT].contains(&&*entry.key) && open(&entry.key) {
            let wrong = |error| Unreadable::Sentence(format!("{} line {}: {error}", file.display(), entry.line));
            line.extend(options(&entry).map_err(wrong)?.into_iter().map(OsString::from));
        }
    }
    Ok(line)
}

/// The line with each word that begins with a minus and a digit joined to the option before it: clap would take it for
/// an option, of which none begins like that, and would not say what the value of the one before is expected to be.
fn with_values_joined(line: &[OsString]) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::with_capacity(line.len());
    for word in line {
        let is_number = matches!(word.as_encoded_bytes(), [b'-', b'0'..=b'9', ..]);
        let is_option = |last: &OsString| {
            let bytes = last.as_encoded_bytes();
            bytes.len() > 2 && bytes.starts_with(b"--") && !bytes.contains(&b'=')
        };
        match joined.last_mut().filter(|last| is_number && is_option(last)) {
            Some(option) => {
                option.push("=");
                option.push(word);
            }
            None => joined.push(word.clone()),
        }
    }
    joined
}

/// The file of settings: the one that is named, else the one in the working directory, if there is one.
fn file_of(matches: &ArgMatches) -> Option<PathBuf> {
    let named = matches.get_one::<PathBuf>(CONFIG).cloned();
    named.or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.exists()))
}

/// The arguments of `serve` with exactly these settings, and these for rooms.
///
/// # Errors
/// A setting that cannot be; not with settings that were read.
pub fn assemble(settings: &[Setting], rooms: Rules) -> Result<Args, Unreadable> {
    let options = settings.iter().flat_map(|setting| {
        let option = format!("--{}", setting.key.replace('_', "-"));
        match setting.kind {
            Kind::Flag => setting.values.iter().filter(|value| *value == "true").map(|_| option.clone()).collect(),
            _ => setting.values.iter().map(|value| format!("{option}={value}")).collect::<Vec<_>>(),
        }
    });
    let line = ["salon".to_owned(), "serve".to_owned()].into_iter().chain(options);
    Args::command()
        .mut_subcommand("serve", |serve| serve.mut_args(|arg| arg.env(None::<&str>)))
        .try_get_matches_from(line)
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map(|mut args| {
            args.settings_mut().rooms = rooms;
            args
        })
        .map_err(Unreadable::CommandLine)
}

/// The table of options, with the environment as it is now. A variable that holds nothing is none: files for containers
/// set many so.
fn command() -> Command {
    without_empty_variables(Args::command())
}

fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let below: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(None::<&str>) } else { arg });
    below.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_empty_variables))
}

/// What is wrong with these variables, if one of them looks like a setting and is none: it would be void, and nobody
/// would notice.
fn unknown_variable(names: impl Iterator<Item = String>) -> Option<String> {
    let command = Args::command();
    let all = command.get_subcommands().chain([&command]).flat_map(Command::get_arguments);
    let known: Vec<String> = all.map(variable_of).chain(SECRETS.map(String::from)).collect();
    let mut unknown: Vec<String> =
        names.filter(|name| name.starts_with(PREFIX) && !known.contains(name) && !is_of_a_cluster(name)).collect();
    unknown.sort();
    let name = unknown.into_iter().next()?;
    let key = name[PREFIX.len()..].to_ascii_lowercase();
    let advice = match nearest(&command, &key) {
        Some(key) => format!("the nearest is {PREFIX}{}", key.to_uppercase()),
        None => "'salon config' lists them".into(),
    };
    Some(format!("{name}: expected the variable of a setting, found none of that name; {advice}"))
}

/// Whether Kubernetes, or a link of Docker, sets that variable for a service whose name begins with `salon`.
fn is_of_a_cluster(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST") || name.split('_').any(|word| word == "PORT")
}

/// The key that a wrong one was probably meant to be.
fn nearest(command: &Command, key: &str) -> Option<String> {
    let with_underscores = key.replace('-', "_");
    if keys(command).any(|arg| arg.get_id() == with_underscores.as_str()) {
        return Some(with_underscores);
    }
    let option = format!("--{}", key.replace('_', "-"));
    command.clone().try_get_matches_from(["salon", &option]).err().as_ref().and_then(suggestion)
}

/// What is wrong with the command line; or with a variable, which then is named in the place of an option that nobody
/// wrote.
fn blame_variable(error: clap::Error, command: &Command, line: &[OsString]) -> Unreadable {
    let set: Vec<(&clap::Arg, OsString)> = command
        .get_subcommands()
        .chain([command])
        .flat_map(Command::get_arguments)
        .filter_map(|arg| Some((arg, std::env::var_os(arg.get_env()?)?)))
        .filter(|(arg, _)| arg.get_long().is_some_and(|long| !is_written(line, long)))
        .collect();
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.trim_start_matches("--").split([' ', '[', '=']).next(),
        _ => None,
    };
    let blamed = set.iter().find(|(arg, value)| match error.kind() {
        ErrorKind::InvalidUtf8 => value.to_str().is_none(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => arg.get_long() == invalid,
        _ => false,
    });
    let Some((arg, value)) = blamed else { return Unreadable::CommandLine(error) };
    let variable = variable_of(arg);
    let expected = match (error.kind(), error.source()) {
        (ErrorKind::InvalidUtf8, _) => {
            return Unreadable::Sentence(format!("{variable}: expected UTF-8, found other bytes"));
        }
        (ErrorKind::ValueValidation, Some(expected)) => expected.to_string(),
        _ if kind_of(arg) == Kind::Flag => "expected true or false".into(),
        _ => "expected another value".into(),
    };
    Unreadable::Sentence(format!("{variable}: {expected}, found {:?}", value.to_string_lossy()))
}

/// Whether the command line says that option.
fn is_written(line: &[OsString], long: &str) -> bool {
    let options = line.iter().filter_map(|word| word.to_str()?.strip_prefix("--"));
    options.map(|option| option.split('=').next().unwrap_or(option)).any(|option| option == long)
}

/// The options that can stand in a file.
pub fn keys(command: &Command) -> impl Iterator<Item = &clap::Arg> {
    command.get_arguments().filter(|arg| !NO_KEYS.contains(&arg.get_id().as_str()))
}

/// The environment variable of an option.
pub fn variable_of(arg: &clap::Arg) -> String {
    arg.get_env().map(|variable| variable.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What kind of value an option has.
pub fn kind_of(arg: &clap::Arg) -> Kind {
    match arg.get_action() {
        ArgAction::SetTrue => Kind::Flag,
        ArgAction::Append => Kind::Many,
        _ => Kind::One,
    }
}

/// When a new value of an option takes effect; of a command that is built, which knows its groups.
pub fn changes_of(command: &Command, arg: &clap::Arg) -> Changes {
    let mut at_once = command.get_groups().filter(|group| group.get_id() == AT_ONCE).flat_map(ArgGroup::get_args);
    match at_once.any(|id| id == arg.get_id()) || LOG.contains(&arg.get_id().as_str()) {
        true => Changes::AtOnce,
        false => Changes::AtTheNextStart,
    }
}

/// The settings of `serve`, if the command has them.
fn settings_of(matches: &ArgMatches) -> Option<&ArgMatches> {
    match matches.subcommand() {
        None => Some(matches),
        Some(("serve" | "config" | "check", matches)) => Some(matches),
        Some(_) => None,
    }
}

fn values_of(arg: &clap::Arg, matches: &ArgMatches) -> (Kind, Vec<String>) {
    let key = arg.get_id().as_str();
    let kind = kind_of(arg);
    let values = match kind {
        Kind::Flag => vec![matches.get_flag(key).to_string()],
        _ => matches.get_raw(key).into_iter().flatten().map(|value| value.to_string_lossy().into_owned()).collect(),
    };
    (kind, values)
}

/// A line of the file as it would be on the command line.
fn options(entry: &Entry) -> Result<Vec<String>, String> {
    let command = command();
    let option = format!("--{}", entry.key.replace('_', "-"));
    let Some(arg) = keys(&command).find(|arg| arg.get_id() == entry.key.as_str()) else {
        let advice = match nearest(&command, &entry.key) {
            Some(key) => format!("the nearest is {key}"),
            None => "'salon config' lists them".into(),
        };
        return Err(format!("expected a setting, found {}; {advice}", entry.key));
    };
    let kind = kind_of(arg);
    let name = arg.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
    let options = match (&entry.value, kind) {
        (Value::Flag(flag), Kind::Flag) => return Ok(if *flag { vec![option] } else { Vec::new() }),
        (_, Kind::Flag) => return Err(format!("{}: expected true or false, found {}", entry.key, entry.value.shown())),
        (Value::One(text), _) => vec![format!("{option}={text}")],
        (Value::Many(texts), Kind::Many) => texts.iter().map(|text| format!("{option}={text}")).collect(),
        (value, _) => return Err(format!("{}: expected {name}, found {}", entry.key, value.shown())),
    };
    let line = ["salon".to_owned()].into_iter().chain(options.clone());
    match command.clone().try_get_matches_from(line) {
        Ok(_) => Ok(options),
        Err(error) => {
            let expected = match (error.kind(), error.source()) {
                (ErrorKind::ValueValidation, Some(expected)) => expected.to_string(),
                _ => format!("expected {name}"),
            };
            Err(format!("{}: {expected}, found {}", entry.key, entry.value.shown()))
        }
    }
}

/// The key of the option that clap takes an unknown one for.
fn suggestion(error: &clap::Error) -> Option<String> {
    let option = match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(option) => option,
        ContextValue::Strings(options) => options.first()?,
        _ => return None,
    };
    let key = option.trim_start_matches('-').replace('-', "_");
    (!NO_KEYS.contains(&key.as_str())).then_some(key)
}

/// The beginning of every variable of ours.
const PREFIX: &str = "SALON_";

/// Variables that hold a secret, and so are no options.
const SECRETS: [&str; 2] = ["SALON_AUTH_SECRET", "SALON_ADMIN_SECRET"];

/// The option that names the file.
const CONFIG: &str = "config";

/// The keys that say where the server can be asked.
const ADMIN: &str = "admin";
const ADMIN_KEY: &str = "admin_key";
const ADMIN_TLS_CERT: &str = "admin_tls_cert";

/// Options that are no settings.
const NO_KEYS: [&str; 4] = [CONFIG, "help", "version", "takeover"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_no_setting_is_found() {
        for (names, expected) in [
            (&["SALON_MAX_CONNECTIONS", "SALON_AUTH_SECRET", "SALON_ADMIN_SECRET", "SALON_LOG_FORMAT"][..], None),
            (&["HOME", "SALON", "SALONE_X", "MY_SALON_X"], None),
            (
                &["SALON_MAX_CONECTIONS"],
                Some(
                    "SALON_MAX_CONECTIONS: expected the variable of a setting, found none of that name; the nearest is \
                      SALON_MAX_CONNECTIONS",
                ),
            ),
            (
                &["SALON_ZZZZ", "SALON_RATES"],
                Some(
                    "SALON_RATES: expected the variable of a setting, found none of that name; the nearest is SALON_RATE",
                ),
            ),
            (
                &["SALON_ZZZZ"],
                Some(
                    "SALON_ZZZZ: expected the variable of a setting, found none of that name; 'salon config' lists them",
                ),
            ),
            // Of a cluster in which a service is called salon, or salon-admin.
            (&["SALON_SERVICE_HOST", "SALON_SERVICE_PORT", "SALON_SERVICE_PORT_WEB", "SALON_PORT"], None),
            (&["SALON_PORT_8080_TCP_ADDR", "SALON_ADMIN_SERVICE_HOST", "SALON_ADMIN_PORT_8081_TCP"], None),
        ] {
            let found = unknown_variable(names.iter().map(|name| (*name).to_owned()));
            assert_eq!(found.as_deref(), expected, "{names:?}");
        }
    }
}
