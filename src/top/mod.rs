//! `salon top`: a live view of a running server on a terminal.
//!
//! A client of the admin port like any other: it asks for `/metrics` and `/top`, and knows nothing else of the server.
//! [`http`] asks ([`tls`] knows the server), [`metrics`] reads, [`figures`] makes rates of two answers, [`poll`] does
//! that again and again; [`screen`] is what the keys have chosen and [`view`] draws it. It changes nothing on the
//! server.

pub mod figures;
pub mod http;
pub mod metrics;
pub mod poll;
pub mod screen;
pub mod tls;
pub mod view;

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use figures::{Figures, Snapshot, started_anew};
use http::{Client, Place};
use poll::{Subject, Update};
use screen::{Screen, Wish};
use view::Theme;

/// The options of the view.
#[derive(Clone)]
pub struct Options {
    /// The admin port.
    pub place: Place,
    /// Its key.
    pub key: Option<String>,
    /// How often the server is asked.
    pub every: Duration,
    /// Whether colours may be used.
    pub colour: bool,
    /// Whether there is ASCII alone.
    pub ascii: bool,
    /// Whether the terminal can only print one line below the other.
    pub dumb: bool,
}

/// Why the view ended, if nobody ended it.
#[derive(Debug)]
pub enum Error {
    /// There is no terminal to draw on.
    NoTerminal,
    /// The terminal cannot be drawn on.
    Dumb,
    /// The terminal failed.
    Terminal(io::Error),
    /// The server does not answer, and is not asked again.
    Server(Place, http::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTerminal => f.write_str("top: expected a terminal, found none; say --once or --json"),
            Self::Dumb => {
                f.write_str("top: expected a terminal that can be drawn on, found TERM=dumb; say --once or --json")
            }
            Self::Terminal(error) => write!(f, "the terminal failed: {error}"),
            Self::Server(address, error) => write!(f, "the server at {address} {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}

/// Looks twice, [`Options::every`] apart, and returns the figures in between.
///
/// # Errors
/// When the server does not answer.
pub fn once(options: &Options) -> Result<Figures, Error> {
    let mut client = Client::new(options.place.clone(), options.key.clone());
    let mut look = || poll::look(&mut client).map_err(|error| Error::Server(options.place.clone(), error));
    let before = look()?;
    std::thread::sleep(options.every);
    Ok(Figures::between(&before, &before, &look()?))
}

/// The same as text.
///
/// # Errors
/// When the server does not answer.
pub fn once_as_text(options: &Options) -> Result<String, Error> {
    let mut screen = Screen { server: options.place.to_string(), ..Screen::default() };
    screen.show(once(options)?);
    Ok(view::text(&screen, options.ascii))
}

/// Draws until `q`, Ctrl-C or a signal.
///
/// # Errors
/// Without a terminal, or when it fails. A server that does not answer is asked again.
pub fn run(options: &Options) -> Result<(), Error> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(Error::NoTerminal);
    }
    if options.dumb {
        return Err(Error::Dumb);
    }
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, ended.clone())?;
    }
    let (wishes, subjects) = channel();
    let (updates, news) = channel();
    let client = Client::new(options.place.clone(), options.key.clone());
    let every = options.every;
    std::thread::spawn(move || poll::run(client, every, &subjects, &updates));
    // From here on a panic, too, gives the terminal back as it was.
    let mut terminal = ratatui::try_init()?;
    let result = show(&mut terminal, options, &ended, &news, &wishes);
    ratatui::try_restore()?;
    result
}

fn show(
    terminal: &mut DefaultTerminal,
    options: &Options,
    ended: &AtomicBool,
    news: &Receiver<Update>,
    wishes: &Sender<Option<Subject>>,
) -> Result<(), Error> {
    let mut screen = Screen { server: options.place.to_string(), ..Screen::default() };
    let mut seen: Option<Seen> = None;
    let theme = Theme::new(options.colour).in_ascii(options.ascii);
    let mut stale = true;
    loop {
        loop {
            match news.try_recv() {
                Ok(update) => {
                    take(update, &mut seen, &mut screen);
                    stale = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(io::Error::other("the asking thread ended").into()),
            }
        }
        if stale {
            terminal.draw(|frame| view::draw(&screen, theme, frame.area(), frame.buffer_mut()))?;
        }
        if ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        stale = event::poll(FRAME)?;
        if stale
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            match screen.press(key) {
                Wish::Quit => return Ok(()),
                Wish::Look(subject) => drop(wishes.send(subject)),
                Wish::Draw => {}
            }
        }
    }
}

/// The first and the last that was seen of this run of the server.
struct Seen {
    first: Snapshot,
    last: Snapshot,
}

fn take(update: Update, seen: &mut Option<Seen>, screen: &mut Screen) {
    let now = match update.snapshot {
        Ok(now) => now,
        Err(error) => {
            screen.error = Some(error.to_string());
            return;
        }
    };
    if seen.as_ref().is_some_and(|seen| started_anew(&seen.last, &now)) {
        *seen = None;
    }
    let (first, before) = match seen {
        Some(seen) => (&seen.first, &seen.last),
        None => (&now, &now),
    };
    match screen.paused {
        true => screen.error = None,
        false => screen.show(Figures::between(first, before, &now)),
    }
    if let (Some((wanted, shown)), Some((subject, detail))) = (&mut screen.subject, update.detail)
        && *wanted == subject
        && (shown.is_err() || !screen.paused)
    {
        *shown = detail.map_err(|error| error.to_string());
    }
    let first = seen.take().map_or_else(|| now.clone(), |seen| seen.first);
    *seen = Some(Seen { first, last: now });
}

/// How long to wait for a key before looking for news.
const FRAME: Duration = Duration::from_millis(100);
