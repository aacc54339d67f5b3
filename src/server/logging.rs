//! The log: lines go to standard error by a thread of their own, so that the loop never waits for their reader.
//!
//! A line is handed to a bounded queue. If it is full (the reader of the log has stopped) the line is dropped and
//! counted; so are lines beyond the budget that its sort has for a second. A part of the queue is for what must not
//! be lost, so that details, of which anybody can cause many, displace neither a warning nor the trail. Control
//! characters are escaped: no line can pretend to be two. A line may have fields beside its message: in JSON they are
//! fields of the object, in text they stand behind the message as `name=value`. [`simple_logger`] words the lines of
//! text; under the journal of systemd a line begins with its priority. The callers decide what is worth a line.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::kv::{self, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
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
    /// Whether the journal of systemd reads them, which knows the level of a line by a prefix.
    pub journal: bool,
}

/// A field of a line: its name and its value.
pub type Field = (&'static str, Value);

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line: `ts` (milliseconds since the Unix epoch), `level`, `target`, `message`, and the fields
    /// of the line.
    Json,
}

/// Starts the log of this process; the second time nothing happens.
///
/// # Errors
/// The thread cannot be started, or there is another log already: in words.
pub fn start(settings: &Settings) -> Result<(), String> {
    let (queue, lines) = sync_channel(QUEUED_LINES);
    LOG.queue.set(queue).map_err(|_| "the log has been started before")?;
    change(settings);
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || write_all(&lines))
        .map_err(|error| format!("the log cannot be started: {error}"))?;
    log::set_logger(&LOG).map_err(|error| format!("the log cannot be started: {error}"))
}

/// From now on these lines are logged, in that form; those that wait to be written already have the new form.
pub fn change(settings: &Settings) {
    let mut text = SimpleLogger::new().with_level(settings.level).with_utc_timestamps();
    for (module, level) in &settings.modules {
        text = text.with_module_level(module, *level);
    }
    log::set_max_level(text.max_level());
    let form = Form { text, format: settings.format, journal: settings.journal };
    *LOG.form.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(form));
}

/// Prints words for the person who started the process, on standard error and as they are; in JSON a line with this
/// message and these fields instead, whichever levels are wanted. They go the way of the log, if that has been started:
/// if its reader has stopped, the words are dropped and counted.
pub fn say(level: Level, words: String, message: &str, fields: Vec<Field>) {
    match LOG.queue.get() {
        Some(queue) => {
            let fields = fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
            let line = Line { level, target: module_path!().into(), message: one_line(message), fields };
            if queue.try_send(Item::Words(words, line)).is_err() {
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
    form: RwLock::new(None),
    queue: OnceLock::new(),
    dropped: AtomicU64::new(0),
    details: AtomicUsize::new(0),
    budgets: [const { Budget::new() }; Sort::BUDGETS.len()],
};

/// The logger of `log`.
struct Queue {
    /// As it was set last. A reader holds it for no longer than it takes to look at it or to share it.
    form: RwLock<Option<Arc<Form>>>,
    queue: OnceLock<SyncSender<Item>>,
    dropped: AtomicU64,
    /// Lines in the queue that are details.
    details: AtomicUsize,
    budgets: [Budget; Sort::BUDGETS.len()],
}

/// The sorts of lines, each with a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Of level info and above.
    News,
    /// What operators did, at any level.
    Trail,
    /// Of refused clients.
    Refusal,
    /// Requests and sessions.
    Access,
    /// Anything else below info.
    Other,
}

impl Sort {
    /// Lines of each in a second. An operator who asks for every other detail gets it; the queue still has its bound.
    const BUDGETS: [u64; 5] =
        [LINES_PER_SECOND, ASKED_LINES_PER_SECOND, ASKED_LINES_PER_SECOND, ASKED_LINES_PER_SECOND, u64::MAX];

    fn of(level: Level, target: &str) -> Self {
        match target {
            TRAIL => Self::Trail,
            _ if level <= Level::Info => Self::News,
            REFUSED => Self::Refusal,
            ACCESS => Self::Access,
            _ => Self::Other,
        }
    }

    /// Whether it may not take the last places in the queue.
    const fn is_detail(self) -> bool {
        matches!(self, Self::Refusal | Self::Access | Self::Other)
    }
}

enum Item {
    Line(Line),
    /// Words for the person who started the process, to be written as they are; in JSON the line instead.
    Words(String, Line),
    /// A request for a sign when all lines before have been written.
    Flush(SyncSender<()>),
}

struct Line {
    level: Level,
    target: String,
    message: String,
    fields: Vec<(String, Value)>,
}

/// Lines written in one second of the clock.
struct Budget {
    second: AtomicU64,
    lines: AtomicU64,
}

impl Budget {
    const fn new() -> Self {
        Self { second: AtomicU64::new(0), lines: AtomicU64::new(0) }
    }

    /// Whether one more line may be written at this second, of so many. Two threads at the turn of a second may be one
    /// line apart.
    fn pay(&self, second: u64, most: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        self.lines.fetch_add(1, Ordering::Relaxed) < most
    }
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.form
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|form| form.text.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let Some(queue) = self.queue.get().filter(|_| self.enabled(record.metadata())) else { return };
        let sort = Sort::of(record.level(), record.target());
        let line = || Line {
            level: record.level(),
            target: record.target().into(),
            message: one_line(&record.args().to_string()),
            fields: fields_of(record),
        };
        if !self.admits(sort, now().as_secs()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else if queue.try_send(Item::Line(line())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.release(sort);
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

impl Queue {
    /// Whether a line of that sort may go into the queue at this second. A detail takes one of the places that are for
    /// details, until it is [released](Self::release).
    fn admits(&self, sort: Sort, second: u64) -> bool {
        if sort.is_detail() && self.details.fetch_add(1, Ordering::Relaxed) >= QUEUED_DETAILS {
            self.release(sort);
            return false;
        }
        let paid = self.budgets[sort as usize].pay(second, Sort::BUDGETS[sort as usize]);
        if !paid {
            self.release(sort);
        }
        paid
    }

    /// A line of that sort is not in the queue any more.
    fn release(&self, sort: Sort) {
        if sort.is_detail() {
            self.details.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Writes lines to standard error, in the form that they have then.
fn write_all(lines: &Receiver<Item>) {
    let mut told = 0;
    for item in lines {
        let form = LOG.form.read().unwrap_or_else(PoisonError::into_inner).clone();
        let form = form.expect("the log has a form before it has a queue");
        match item {
            Item::Line(line) => {
                LOG.release(Sort::of(line.level, &line.target));
                form.write(&line);
            }
            Item::Words(words, line) => form.say(&words, &line),
            Item::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        }
        let dropped = dropped_lines();
        if dropped > told {
            let message = format!("{} lines of the log were left out", dropped - told);
            told = dropped;
            form.write(&Line { level: Level::Warn, target: module_path!().into(), message, fields: Vec::new() });
        }
    }
}

/// Which lines are wanted, and how they are worded.
struct Form {
    text: SimpleLogger,
    format: Format,
    journal: bool,
}

impl Form {
    /// Writes words as they are; in JSON the line instead.
    fn say(&self, words: &str, line: &Line) {
        match self.format {
            Format::Text if self.journal => {
                let first = self.prefix(line.level);
                let lines: String = words.lines().map(|words| format!("{first}{words}\n")).collect();
                let _ = std::io::stderr().lock().write_all(lines.as_bytes());
            }
            Format::Text => drop(writeln!(std::io::stderr(), "{words}")),
            Format::Json => self.write(line),
        }
    }

    /// What the journal, which takes it away, is told of the level of a line; nothing where nobody takes it away.
    fn prefix(&self, level: Level) -> String {
        if self.journal { format!("<{}>", priority(level)) } else { String::new() }
    }

    /// A line as an object in JSON.
    fn object(&self, line: &Line, ts: u64) -> Vec<u8> {
        let mut bytes = self.prefix(line.level).into_bytes();
        serde_json::to_writer(&mut bytes, &JsonLine { ts, line }).expect("plain fields can be serialised");
        bytes.push(b'\n');
        bytes
    }

    fn write(&self, line: &Line) {
        let Line { level, target, message, fields } = line;
        match self.format {
            Format::Text => {
                let mut message = message.clone();
                for (name, value) in fields {
                    message.extend([" ", name, "=", &shown(value)]);
                }
                if self.text.enabled(&Metadata::builder().level(*level).target(target).build()) {
                    let _ = write!(std::io::stderr(), "{}", self.prefix(*level));
                }
                self.text.log(&Record::builder().level(*level).target(target).args(format_args!("{message}")).build());
            }
            Format::Json => {
                // An error of standard error cannot be reported anywhere.
                let _ = std::io::stderr().lock().write_all(&self.object(line, now().as_millis() as u64));
            }
        }
    }
}

/// The priority of a line as syslog(3) numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A value in a line of text: as it is, or in quotes where its end could not be seen.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || PLAIN.contains(char));
            if plain { text.clone() } else { format!("{text:?}") }
        }
        other => other.to_string(),
    }
}

/// Characters of a value that need no quotes, beside letters and digits.
const PLAIN: &str = "-._:/[]?&%@+*~,;";

struct JsonLine<'a> {
    ts: u64,
    line: &'a Line,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Line { level, target, message, fields } = self.line;
        let mut object = serializer.serialize_map(Some(4 + fields.len()))?;
        object.serialize_entry("ts", &self.ts)?;
        object.serialize_entry("level", &level.as_str().to_ascii_lowercase())?;
        object.serialize_entry("target", target)?;
        object.serialize_entry("message", message)?;
        fields.iter().try_for_each(|(name, value)| object.serialize_entry(name, value))?;
        object.end()
    }
}

/// The fields of a record, in their order.
fn fields_of(record: &Record<'_>) -> Vec<(String, Value)> {
    struct Fields(Vec<(String, Value)>);
    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, name: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
            let mut read = Read(Value::Null);
            value.visit(&mut read)?;
            self.0.push((name.as_str().into(), read.0));
            Ok(())
        }
    }
    struct Read(Value);
    impl VisitValue<'_> for Read {
        fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
            self.0 = cut(value.to_string()).into();
            Ok(())
        }

        fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
            self.0 = cut(value.into()).into();
            Ok(())
        }

        fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
            self.0 = value.into();
            Ok(())
        }

        fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
            self.0 = value.into();
            Ok(())
        }

        fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
            self.0 = value.into();
            Ok(())
        }

        fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
            self.0 = value.into();
            Ok(())
        }
    }
    let mut fields = Fields(Vec::new());
    // None of these visits fails.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

/// A text of bounded length.
fn cut(mut text: String) -> String {
    if text.len() > MAX_LINE {
        text.truncate(text.floor_char_boundary(MAX_LINE));
        text.push('\u{2026}');
    }
    text
}

/// The message without control characters and of bounded length, however it was put together.
fn one_line(message: &str) -> String {
    let message = cut(message.to_owned());
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

/// Lines about requests, sessions and cut connections have this target; `salon::access=debug` wants those of refusals
/// too.
pub const ACCESS: &str = "salon::access";

/// Lines of what operators did have this target: `salon::trail=debug`.
pub const TRAIL: &str = "salon::trail";

/// Lines about refused clients have this one: `salon::access::refused=debug` wants them alone.
pub const REFUSED: &str = "salon::access::refused";

/// Lines of level info and above that are written in a second.
pub const LINES_PER_SECOND: u64 = 100;

/// The same of what operators did, each of whom has shown a key; of requests and sessions, which are meant to have a
/// line each; and of refusals, of which [`access`](super::access) takes so many of each reason.
pub const ASKED_LINES_PER_SECOND: u64 = 1000;

/// Lines that wait for their reader.
pub const QUEUED_LINES: usize = 256;

/// Those of them that may be details: below info, and nothing that an operator did.
pub const QUEUED_DETAILS: usize = 192;

/// The longest message, and the longest field, in bytes before escaping; the rest is cut.
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
            assert_eq!(one_line(said), line);
        }
    }

    /// A field is what it is in JSON, and in text its end can be seen.
    #[test]
    fn fields() {
        let source: [(&str, kv::Value<'_>); 6] = [
            ("user", "a b\"c\n".into()),
            ("path", "/ws?user=%20".into()),
            ("status", 404u16.into()),
            ("took", 1.5f64.into()),
            ("kept", false.into()),
            ("empty", "".into()),
        ];
        let record =
            Record::builder().args(format_args!("refused")).key_values(&source).level(Level::Info).target("t").build();
        let fields = fields_of(&record);
        let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
        let expected = r#"user="a b\"c\n" path="/ws?user=%20" status=404 took=1.5 kept=false empty="""#;
        assert_eq!(text.join(" "), expected);
        let line = Line { level: Level::Info, target: "t".into(), message: "refused".into(), fields };
        let json = serde_json::to_string(&JsonLine { ts: 7, line: &line }).unwrap();
        let expected = r#"{"ts":7,"level":"info","target":"t","message":"refused","user":"a b\"c\n","path":"/ws?user=%20","status":404,"took":1.5,"kept":false,"empty":""}"#;
        assert_eq!(json, expected);
    }

    /// The journal takes the priority away, and what is left is an object.
    #[test]
    fn an_object_has_its_priority_in_the_journal() {
        let line = |level| Line { level, target: "t".into(), message: "m".into(), fields: Vec::new() };
        for (journal, level, expected) in [
            (true, Level::Error, "<3>"),
            (true, Level::Warn, "<4>"),
            (true, Level::Info, "<6>"),
            (true, Level::Debug, "<7>"),
            (false, Level::Error, ""),
        ] {
            let said = Form { text: SimpleLogger::new(), format: Format::Json, journal }.object(&line(level), 7);
            let said = String::from_utf8(said).unwrap();
            let object = said.strip_prefix(expected).unwrap();
            assert!(object.starts_with("{\"ts\":7,") && object.ends_with("}\n"), "{said}");
        }
    }

    #[test]
    fn a_line_has_an_end() {
        for (said, len) in [(4096, 4096), (4097, 4096 + 3)] {
            let said = "x".repeat(said);
            assert_eq!(one_line(&said).len(), len);
        }
    }

    #[test]
    fn a_second_has_its_lines() {
        let budget = Budget::new();
        let paid = |second| (0..1000).filter(|_| budget.pay(second, LINES_PER_SECOND)).count() as u64;
        assert_eq!([paid(7), paid(7), paid(8)], [LINES_PER_SECOND, 0, LINES_PER_SECOND]);
    }

    /// However many details there are, what must not be lost has its own budget and its own places.
    #[test]
    fn details_displace_nothing_else() {
        let queue = Queue {
            form: RwLock::new(None),
            queue: OnceLock::new(),
            dropped: AtomicU64::new(0),
            details: AtomicUsize::new(0),
            budgets: [const { Budget::new() }; Sort::BUDGETS.len()],
        };
        let taken =
            |level, target, lines: usize| (0..lines).filter(|_| queue.admits(Sort::of(level, target), 7)).count();
        assert_eq!(taken(Level::Debug, REFUSED, 100), 100);
        assert_eq!(taken(Level::Debug, ACCESS, 14_000), QUEUED_DETAILS - 100, "with those that wait");
        assert_eq!(taken(Level::Debug, "salon::chat", 14_000), 0);
        assert_eq!(taken(Level::Warn, REFUSED, 14_000), 100);
        assert_eq!(taken(Level::Debug, TRAIL, 500) + taken(Level::Info, TRAIL, 14_000), 1000);
        // Those that waited have been written.
        (0..QUEUED_DETAILS).for_each(|_| queue.release(Sort::Access));
        assert_eq!(taken(Level::Debug, REFUSED, 10), 10);
        (0..10).for_each(|_| queue.release(Sort::Refusal));
        assert_eq!(taken(Level::Debug, ACCESS, 100), 100);
        assert_eq!(taken(Level::Trace, "salon::chat", 14_000), QUEUED_DETAILS - 100);
        assert_eq!(taken(Level::Info, "salon::chat", 1), 0, "of this second");
    }

    #[test]
    fn the_targets_are_those_of_the_lines() {
        assert!(REFUSED.starts_with(ACCESS), "who wants lines of access wants those of refusals");
        assert_eq!(super::super::trail::TRAIL, TRAIL);
    }
}
