//! `salon store`: what is done to the file of messages beside serving from it.

use std::io::{self, BufRead, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::backend::sqlite::{self, dump};

use super::config_file::{self, FILE, Value};
use super::values::{StoreArg, parse_message_bytes};
use super::{records, redis_url, state};

/// Options of `store`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub act: Act,
}

/// What can be done to the file.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Read it from end to end, also while Salon uses it
    Check(Place),
    /// Copy it into a new file, also while Salon uses it: whole, as it is at this moment
    ///
    /// A Salon that is started from the copy begins new epochs, so that numbers that were given out since are not used
    /// for something else.
    Backup {
        /// The new file. One that is there is left as it is
        file: PathBuf,
        /// The store.
        #[command(flatten)]
        place: Place,
    },
    /// Write all that is in it to standard output, also while Salon uses it: an object of JSON a line, with its `kind`
    Export {
        /// Only this room
        #[arg(long, value_name = "ROOM")]
        room: Option<String>,
        /// The store.
        #[command(flatten)]
        place: Place,
    },
    /// Read what `export` wrote from standard input, into a file that no Salon uses: all of it, or nothing
    ///
    /// The file is made if there is none; what is in it stays. A Salon that is started from it begins new epochs.
    Import {
        /// The longest content of a message that is taken: as long as `salon serve` takes it
        #[arg(long, default_value = "16KiB", value_name = "SIZE", value_parser = parse_message_bytes)]
        #[arg(env = "SALON_CONTENT_BYTES")]
        content_bytes: usize,
        /// Take also what lines are missing of: of each conversation what stands behind its last hole
        #[arg(long)]
        with_holes: bool,
        /// The store.
        #[command(flatten)]
        place: Place,
    },
    /// Make a file that no Salon uses as small as what is in it
    Compact(Place),
}

/// Which store.
#[derive(Debug, Args)]
pub struct Place {
    /// The file in which messages are kept. If nothing is said, the one that `salon serve` would use here
    #[arg(long, value_name = "PATH", env = "SALON_STORE")]
    pub store: Option<StoreArg>,
    /// A file of settings (TOML), of which `store` counts; salon.toml in the working directory is read if there is one
    #[arg(long, value_name = "FILE", env = "SALON_CONFIG")]
    pub config: Option<PathBuf>,
}

/// What stands below the help.
pub const EXAMPLES: &str = "\
Examples:
  salon store backup /backup/salon-monday.db
  salon store export --room lobby | jq -r 'select(.kind == \"message\") | .sender + \": \" + .content'
  salon store export --store old.db | salon store import --store new.db

docs/store.md has the kinds of lines, and how to restore a backup.";

/// Does it. Returns a line for the end, if there is one.
///
/// # Errors
/// One sentence that says what to do.
pub fn run(args: &StoreArgs) -> Result<(), String> {
    match &args.act {
        Act::Check(place) => {
            let path = place.path()?;
            say(&format!("ok       store: {}\n", sqlite::read_through(&path)?))?;
            records::unread_settings(&path)?.iter().try_for_each(|unread| say(&format!("warning  store: {unread}\n")))
        }
        Act::Backup { file, place } => {
            let mut progress = Progress::new("pages left");
            let sqlite::Copied { bytes, log, .. } =
                sqlite::backup(&place.path()?, file, &mut |left, all| progress.show(left, all))?;
            progress.end();
            tell_of_log(log);
            let check = "not checked for damage: `salon store check --store` reads it from end to end";
            say(&format!("{}: {bytes} bytes; {check}\n", file.display()))
        }
        Act::Export { room, place } => export(&place.path()?, room.as_deref()),
        Act::Import { content_bytes, with_holes, place } => {
            let path = place.path()?;
            import(&path, dump::Import::open(&path, *content_bytes, *with_holes)?, io::stdin().lock())
        }
        Act::Compact(place) => {
            let path = place.path()?;
            let sqlite::Copied { before, bytes, log } = sqlite::compact(&path)?;
            tell_of_log(log);
            say(&format!("{}: {bytes} bytes, before that {before}\n", path.display()))
        }
    }
}

impl Place {
    /// The file, as `serve` would find it.
    fn path(&self) -> Result<PathBuf, String> {
        let store = match &self.store {
            Some(store) => Some(store.clone()),
            None => self.of_settings()?,
        };
        match store {
            Some(StoreArg::File(path)) => Ok(path),
            Some(StoreArg::Memory) => Err("--store memory: expected the path of a file, found none".into()),
            #[cfg(feature = "redis")]
            Some(StoreArg::Redis(server)) => Err(format!("--store: expected the path of a file, found {server}")),
            None => state::file(),
        }
    }

    fn of_settings(&self) -> Result<Option<StoreArg>, String> {
        let file = match &self.config {
            Some(file) => file,
            None if Path::new(FILE).exists() => Path::new(FILE),
            None => return Ok(None),
        };
        let entries = config_file::read(file)?;
        let Some(entry) = entries.iter().find(|entry| entry.key == "store") else { return Ok(None) };
        let wrong =
            |error: String| redis_url::shown_in(&format!("{} line {}: store: {error}", file.display(), entry.line));
        match &entry.value {
            Value::One(text) => text.parse().map(Some).map_err(wrong),
            value => Err(wrong(format!("expected PATH, found {}", value.shown()))),
        }
    }
}

fn export(path: &Path, room: Option<&str>) -> Result<(), String> {
    let mut export = dump::Export::open(path, room)?;
    let mut progress = Progress::new("entries");
    let mut output = BufWriter::new(io::stdout().lock());
    let mut lines = Vec::new();
    loop {
        let piece = export.next_piece()?;
        if piece.is_empty() {
            break;
        }
        lines.clear();
        piece.into_iter().for_each(|record| records::write(record, &mut lines));
        if gone(output.write_all(&lines))? {
            return Ok(());
        }
        let (all, told) = export.progress();
        progress.show(told, all);
    }
    progress.end();
    tell_of_log(export.log());
    gone(output.flush()).map(drop)
}

/// Says on standard error what is to be said of the log of a store, if anything is. What was done is done all the same.
fn tell_of_log(sentence: Option<String>) {
    if let Some(sentence) = sentence {
        eprint(&format!("the store: {sentence}\n"));
    }
}

fn import(path: &Path, mut import: dump::Import, input: impl BufRead) -> Result<(), String> {
    let mut progress = Progress::new("lines");
    let (mut input, mut line, mut number) = (input, Vec::new(), 0u64);
    loop {
        line.clear();
        number += 1;
        let wrong = |error: String| format!("line {number}: {error}; nothing is imported");
        let read = (&mut input).take(MAX_LINE + 1).read_until(b'\n', &mut line);
        if read.map_err(|error| wrong(format!("it cannot be read: {error}")))? == 0 {
            break;
        }
        if line.len() as u64 > MAX_LINE {
            return Err(wrong(format!("expected at most {MAX_LINE} bytes, found more")));
        }
        let record = records::read(line.strip_suffix(b"\n").unwrap_or(&line)).map_err(wrong)?;
        import.take(record).map_err(wrong)?;
        progress.show(number, 0);
    }
    let dump::Imported { left_out, is_unstated } = import.finish()?;
    progress.end();
    if is_unstated {
        eprint("not all of it says that it is whole, as what an older Salon exported does not: look what is in it\n");
    }
    if left_out > 0 {
        eprint(&format!("{left_out} entries are left out, because others behind them are missing\n"));
    }
    say(&format!("{}: {} lines\n", path.display(), number - 1))
}

/// Says something on standard output, whose reader may have gone.
fn say(text: &str) -> Result<(), String> {
    gone(io::stdout().write_all(text.as_bytes())).map(drop)
}

fn eprint(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Whether the reader of standard output has gone, which is no error: `salon store export | head`.
fn gone(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(true),
        Err(error) => Err(format!("standard output cannot be written to: {error}")),
    }
}

/// A line on standard error that says how far it is, if that is a terminal.
struct Progress {
    of: &'static str,
    shows: bool,
    /// Calls since it was last written.
    calls: u32,
}

impl Progress {
    fn new(of: &'static str) -> Self {
        Self { of, shows: io::stderr().is_terminal(), calls: 0 }
    }

    fn show(&mut self, done: u64, all: u64) {
        self.calls += 1;
        if self.shows && self.calls % EVERY == 1 {
            let all = if all == 0 { String::new() } else { format!(" of {all}") };
            eprint(&format!("\r{done}{all} {}\x1b[K", self.of));
        }
    }

    fn end(&self) {
        if self.shows {
            eprint("\r\x1b[K");
        }
    }
}

/// The longest line that is read: a message of 16 MiB, each byte of it written as six, and what it is said in.
const MAX_LINE: u64 = 128 << 20;

/// Every how many pieces or lines the progress is written.
const EVERY: u32 = 64;
