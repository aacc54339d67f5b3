//! `salon top`: its options, and its output without a terminal.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use crate::top::{self, Options};

use super::asked::Server;
use super::values::parse_time;

/// Options of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The server to look at.
    #[command(flatten)]
    pub server: Server,
    /// How often the server is asked, 1s to 1h
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = parse_every)]
    pub every: Duration,
    /// Print what happens in the time of --every as text, and end
    #[arg(long, conflicts_with = "json")]
    pub once: bool,
    /// The same as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// What stands below the options in the help.
pub const KEYS: &str = "\
Keys:
  q, Ctrl-C  quit
  Tab        the other table
  Up, Down   choose a row (also j, k, PgUp, PgDn, Home, End)
  Enter      look into the room or session; Esc goes back
  s          sort by something else
  p          pause

NO_COLOR=1 leaves colours out. docs/operating.md says what to look for.";

/// Why it ended.
#[derive(Debug)]
pub enum Failure {
    /// It could not begin as asked.
    Asked(String),
    /// It failed on the way.
    Broken(top::Error),
}

/// Shows it, or prints it.
pub fn run(args: &TopArgs) -> Result<(), Failure> {
    let options = options(args).map_err(Failure::Asked)?;
    let text = if args.json {
        let figures = top::once(&options).map_err(failure)?;
        serde_json::to_string(&figures).expect("numbers and texts can be serialised") + "\n"
    } else if args.once {
        top::once_as_text(&options).map_err(failure)?
    } else {
        return top::run(&options).map_err(failure);
    };
    // The reader may have gone meanwhile: `salon top --once | head`.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn failure(error: top::Error) -> Failure {
    match error {
        top::Error::NoTerminal | top::Error::Dumb => Failure::Asked(error.to_string()),
        error => Failure::Broken(error),
    }
}

fn options(args: &TopArgs) -> Result<Options, String> {
    Ok(Options {
        place: args.server.place()?,
        key: args.server.key()?,
        every: args.every,
        // https://no-color.org
        colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        ascii: !speaks_utf8(|variable| std::env::var(variable).ok()),
        dumb: std::env::var_os("TERM").is_some_and(|value| value == "dumb"),
    })
}

/// Whether the locale has UTF-8: the first of these variables that is set decides (POSIX, chapter 8.2). Where none is,
/// nothing is known against it.
fn speaks_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| variable(name).filter(|it| !it.is_empty()));
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

fn parse_every(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).ok().filter(|time| *time <= LONGEST);
    time.ok_or_else(|| "expected a time from 1s to 1h, such as 5s".into())
}

const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_what_can_be_shown() {
        for (all, kind, lang, utf8) in [
            ("", "", "C", false),
            ("", "", "POSIX", false),
            ("", "", "en_GB.UTF-8", true),
            ("", "", "C.utf8", true),
            ("C", "", "en_GB.UTF-8", false),
            ("", "C", "en_GB.UTF-8", false),
            ("en_GB.UTF-8", "C", "C", true),
            ("", "", "de_DE.ISO-8859-1", false),
            ("", "", "", true),
        ] {
            let found = speaks_utf8(|name| {
                let value: &str = match name {
                    "LC_ALL" => all,
                    "LC_CTYPE" => kind,
                    _ => lang,
                };
                Some(value.into())
            });
            assert_eq!(found, utf8, "{all} {kind} {lang}");
        }
    }
}
