//! `salon config`: the settings in force, and the reference that `docs/configuration.md` holds.
//!
//! Both are written from the one table of settings, [`super::args`].

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;

use crate::chat::rules::Rules;

use super::args::Args;
use super::config_file::FILE;
use super::layers::{Changes, Kind, Setting, changes_of, keys, kind_of, variable_of};
use super::{as_toml, redis_url, rooms};

/// The settings in force as a file of settings, with where each came from, and those for rooms, of which a server was
/// `started` with these; and what is for the next start, because it was read while Salon served.
pub fn text_of(
    settings: &[Setting],
    pending: &[Setting],
    file: Option<&Path>,
    rules: &Rules,
    started: &Rules,
) -> String {
    let file = file.unwrap_or(Path::new(FILE));
    let lines = settings.iter().map(|setting| (assignment(setting), place_of(setting, pending, file)));
    as_toml::with_comments(lines) + &rooms::text_of(rules, started, file)
}

/// Where it came from. What is pending stands where the one in force stood, so that its place is that of the other.
fn place_of(setting: &Setting, pending: &[Setting], file: &Path) -> String {
    match pending.iter().find(|next| next.key == setting.key) {
        None => setting.from.shown(file),
        Some(next) => {
            let line = assignment(next);
            let value = line.split_once("= ").map_or("not set", |(_, value)| value);
            format!("as at the start; at the next start: {value}, {}", next.from.shown(file))
        }
    }
}

/// `key = value`, or behind `#` what is not set.
fn assignment(Setting { key, values, kind, .. }: &Setting) -> String {
    match (kind, &values[..]) {
        (Kind::Many, _) => format!("{key} = {}", as_toml::array(values.iter().map(|value| as_toml::value(value)))),
        (_, []) => format!("# {key} ="),
        // It may have a password.
        (_, [value]) if redis_url::is_one(value) => format!("{key} = {}", as_toml::value(&redis_url::shown(value))),
        (Kind::Flag, [value, ..]) => format!("{key} = {value}"),
        (Kind::One, [value, ..]) => format!("{key} = {}", as_toml::value(value)),
    }
}

/// All settings as tables in Markdown.
pub fn reference() -> String {
    let mut command = Args::command();
    command.build();
    let mut text = String::new();
    let mut heading = "";
    for arg in keys(&command) {
        let group = arg.get_help_heading().unwrap_or("Options");
        if group != heading {
            let _ =
                write!(text, "\n### {group}\n\n| key | values | default | meaning | SIGHUP |\n|---|---|---|---|---|\n");
            heading = group;
        }
        let key = arg.get_id();
        let values = match kind_of(arg) {
            Kind::Flag => "true or false".to_owned(),
            Kind::One => cell(&value_name(arg)),
            Kind::Many => format!("list of {}", cell(&value_name(arg))),
        };
        let default = match (kind_of(arg), arg.get_default_values()) {
            (Kind::Flag, _) => "`false`".to_owned(),
            (_, [value, ..]) => format!("`{}`", value.to_string_lossy()),
            (_, []) => String::new(),
        };
        let help =
            arg.get_help().map(|help| help.to_string().replace('\n', " ").replace('|', "\\|")).unwrap_or_default();
        let reloaded = match changes_of(&command, arg) {
            Changes::AtOnce => "changes it",
            Changes::AtTheNextStart => "",
        };
        let _ = writeln!(text, "| `{key}` | {values} | {default} | {help} | {reloaded} |");
        debug_assert_eq!(variable_of(arg), format!("SALON_{}", key.as_str().to_uppercase()));
    }
    text
}

fn value_name(arg: &clap::Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

fn cell(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}
