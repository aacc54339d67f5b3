//! The log: lines go to standard error by a thread of their own, so that the loop never waits for their reader.
//!
//! A line is handed to a bounded queue. If it is full (the reader of the log has stopped) the line is dropped and
//! counted; so are lines beyond [`LINES_PER_SECOND`], whatever causes them. Control characters are escaped: no line can
//! pretend to be two. [`simple_logger`] words the lines of text. The callers decide what is worth a line.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Serialize;
use simple_logger::SimpleLogger;

/// Which lines are logged, and their form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Lines of this level and above.
    pub level: LevelFilter,
    /// Other levels for some modules, such as `salon::server`.
    pub modules: Vec<(String, LevelFilter)>,
    /// How lines are written.
    pub format: Format,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line: `ts` (milliseconds since the Unix epoch), `level`, `target`, `message`.
    Json,
}

/// Starts the log of this process; the second time nothing happens.
///
/// # Errors
/// The thread cannot be started, or there is another log already: in words.
pub fn start(settings: &Settings) -> Result<(), String> {
    let mut text = SimpleLogger::new().with_level(settings.level).with_utc_timestamps();
    for (module, level) in &settings.modules {
        text = text.with_module_level(module, *level);
    }
    let max_level = text.max_level();
    let (queue, lines) = sync_channel(QUEUED_LINES);
    let (text, format) = (LOG.text.get_or_init(|| text), settings.format);
    LOG.queue.set(queue).map_err(|_| "the log has been started before")?;
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || write_lines(&lines, text, format))
        .map_err(|error| format!("the log cannot be started: {error}"))?;
    log::set_logger(&LOG).map_err(|error| format!("the log cannot be started: {error}"))?;
    log::set_max_level(max_level);
    Ok(())
}

/// Prints words for the person who started the process, on standard error and as they are. They go the way of the log,
/// if that has been started: if its reader has stopped, the words are dropped and counted.
pub fn say(words: String) {
    match LOG.queue.get() {
        Some(queue) => {
            if queue.try_send(Item::Words(words)).is_err() {
                LOG.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        None => {
            let _ = writeln!(std::io::stderr(), "{words}");
        }
    }
}

/// From now on panics are lines of the log like any other.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}

/// Lines that were dropped since the start, because nobody read them or there were too many.
pub fn dropped_lines() -> u64 {
    LOG.dropped.load(Ordering::Relaxed)
}

static LOG: Queue = Queue {
    text: OnceLock::new(),
    queue: OnceLock::new(),
    dropped: AtomicU64::new(0),
    budget: Budget { second: AtomicU64::new(0), lines: AtomicU64::new(0) },
};

/// The logger of `log`.
struct Queue {
    /// Knows which levels are wanted, and words lines.
    text: OnceLock<SimpleLogger>,
    queue: OnceLock<SyncSender<Item>>,
    dropped: AtomicU64,
    budget: Budget,
}

enum Item {
    Line(Line),
    /// Words for the person who started the process, to be written as they are.
    Words(String),
    /// A request for a sign when all lines before have been written.
    Flush(SyncSender<()>),
}

struct Line {
    level: Level,
    target: String,
    message: String,
}

/// Lines written in one second of the clock.
struct Budget {
    second: AtomicU64,
    lines: AtomicU64,
}

impl Budget {
    /// Whether one more line may be written at this second. Two threads at the turn of a second may be one line apart.
    fn pay(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        self.lines.fetch_add(1, Ordering::Relaxed) < LINES_PER_SECOND
    }
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.text.get().is_some_and(|text| text.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let Some(queue) = self.queue.get().filter(|_| self.enabled(record.metadata())) else { return };
        // An operator who asks for every detail gets it; the queue still has its bound.
        let paid = record.level() > Level::Info || self.budget.pay(now().as_secs());
        let line = || Line { level: record.level(), target: record.target().into(), message: one_line(record) };
        if !paid || queue.try_send(Item::Line(line())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines are written, but not for a reader that has stopped.
    fn flush(&self) {
        let (done, written) = sync_channel(1);
        let sent = self.queue.get().is_some_and(|queue| queue.try_send(Item::Flush(done)).is_ok());
        if sent {
            let _ = written.recv_timeout(FLUSH_WITHIN);
        }
    }
}

fn write_lines(lines: &Receiver<Item>, text: &SimpleLogger, format: Format) {
    let mut told = 0;
    for item in lines {
        let line = match item {
            Item::Line(line) => line,
            Item::Words(words) => {
                let _ = writeln!(std::io::stderr(), "{words}");
                continue;
            }
            Item::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        write(&line, text, format);
        let dropped = dropped_lines();
        if dropped > told {
            let message = format!("{} lines of the log were left out", dropped - told);
            told = dropped;
            write(&Line { level: Level::Warn, target: module_path!().into(), message }, text, format);
        }
    }
}

fn write(line: &Line, text: &SimpleLogger, format: Format) {
    let Line { level, target, message } = line;
    match format {
        Format::Text => {
            text.log(&Record::builder().level(*level).target(target).args(format_args!("{message}")).build());
        }
        Format::Json => {
            let ts = now().as_millis() as u64;
            let line = JsonLine { ts, level: level.as_str().to_ascii_lowercase(), target, message };
            let mut bytes = serde_json::to_vec(&line).expect("plain fields can be serialised");
            bytes.push(b'\n');
            // An error of standard error cannot be reported anywhere.
            let _ = std::io::stderr().lock().write_all(&bytes);
        }
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    ts: u64,
    level: String,
    target: &'a str,
    message: &'a str,
}

/// The message without control characters and of bounded length, however it was put together.
fn one_line(record: &Record<'_>) -> String {
    let mut message = record.args().to_string();
    if message.len() > MAX_LINE {
        message.truncate(message.floor_char_boundary(MAX_LINE));
        message.push('\u{2026}');
    }
    if !message.contains(char::is_control) {
        return message;
    }
    message.chars().fold(String::new(), |mut line, char| {
        match char.is_control() {
            true => line.extend(char.escape_default()),
            false => line.push(char),
        }
        line
    })
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Lines of level info and above that are written in a second.
pub const LINES_PER_SECOND: u64 = 100;

/// Lines that wait for their reader.
pub const QUEUED_LINES: usize = 256;

/// The longest message, in bytes before escaping; the rest is cut.
pub const MAX_LINE: usize = 4096;

/// How long the end of the process waits for lines that are still to be written.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        for (said, line) in [
            ("plain", "plain"),
            ("grüße \u{1F600}", "grüße \u{1F600}"),
            ("a\nb\r\n\u{1b}[31mred\0", "a\\nb\\r\\n\\u{1b}[31mred\\u{0}"),
            ("\u{85}\u{9b}", "\\u{85}\\u{9b}"),
        ] {
            assert_eq!(one_line(&Record::builder().args(format_args!("{said}")).build()), line);
        }
    }

    #[test]
    fn a_line_has_an_end() {
        for (said, len) in [(4096, 4096), (4097, 4096 + 3)] {
            let said = "x".repeat(said);
            assert_eq!(one_line(&Record::builder().args(format_args!("{said}")).build()).len(), len);
        }
    }

    #[test]
    fn a_second_has_its_lines() {
        let budget = Budget { second: AtomicU64::new(0), lines: AtomicU64::new(0) };
        let paid = |second| (0..1000).filter(|_| budget.pay(second)).count() as u64;
        assert_eq!([paid(7), paid(7), paid(8)], [LINES_PER_SECOND, 0, LINES_PER_SECOND]);
    }
}
