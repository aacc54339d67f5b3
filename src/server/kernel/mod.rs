//! The [`System`] of a server that serves: the kernel's poller by way of mio, its signals, sockets and clocks.

use std::fmt;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{
    SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGPIPE, SIGSEGV, SIGSTOP, SIGSYS,
    SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH,
};
use signal_hook::low_level::{raise, signal_name};
use signal_hook_mio::v1_0::Signals;

use crate::backend;

use super::lobby::MAX_WAITING;
use super::system::{Peek, Process, Raw, RawMut, RawOf, Ready, System, Watched};
use super::tls::Transport;

mod bound;
mod hand_over;
mod passing;
mod predecessor;

use hand_over::{HandOver, Outcome};

pub use bound::{Bound, Handed, MAX_LISTENERS, MAX_OF_A_KIND};
pub use predecessor::{Found, Predecessor};

/// The kernel as the loop sees it.
///
/// Tokens are indices of the engine's slots; the highest are reserved, and those below them are the lobby's.
pub struct Kernel {
    poll: Poll,
    events: Events,
    signals: Signals,
    waker: Arc<mio::Waker>,
    /// By their numbers; `None`: listened on no longer.
    listeners: Vec<Option<Bound>>,
    /// Where another process can get them.
    hand_over: Option<HandOver>,
    /// A signal has asked for the end.
    is_to_stop: bool,
    started: Instant,
}

/// What came of a loop that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was asked to stop.
    Stopped,
    /// Another process serves in its place.
    HandedOver,
    /// Another process was to serve in its place, and does not: this one is to go on.
    GoesOn,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl Kernel {
    /// A poller that watches for SIGHUP and the signals that stop Salon, and for the signals that would end
    /// the process though nobody means that by them.
    ///
    /// # Errors
    /// Those of the system, when it gives no poller.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = Signals::new(STOPS.iter().chain([&SIGHUP]))?;
        for signal in harmless() {
            // Some numbers are no signals on some systems, or the C library's own.
            if let Err(error) = signals.add_signal(signal) {
                log::debug!("signal {signal} is left as it is: {error}");
            }
        }
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE)?);
        let events = Events::with_capacity(READY_AT_ONCE);
        let (listeners, started) = (Vec::new(), Instant::now());
        Ok(Self { poll, events, signals, waker, listeners, hand_over: None, is_to_stop: false, started })
    }

    /// Whether a signal has asked for the end, before the loop hears of it. Of others the loop hears.
    pub fn is_told_to_stop(&mut self) -> bool {
        let mut stops = false;
        // All are taken out first: one that is raised again would come once more.
        for signal in self.signals.pending().collect::<Vec<_>>() {
            if STOPS.contains(&signal) {
                stops = true;
            } else if let Err(error) = raise(signal) {
                log::warn!("signal {signal} is lost: {error}");
            }
        }
        stops
    }

    /// Lets so much time pass before the loop is turned; returns whether a signal has asked for the end. What the
    /// poller has to report, it reports to the loop.
    pub fn rest(&mut self, time: Duration) -> bool {
        std::thread::sleep(time);
        self.is_told_to_stop()
    }

    /// Takes connections from a socket; returns its number.
    ///
    /// # Errors
    /// Those of the poller, or it has [`MAX_LISTENERS`] already.
    pub fn listen(&mut self, mut socket: Bound) -> io::Result<usize> {
        let number = self.listeners.len();
        if number == MAX_LISTENERS {
            return Err(io::Error::other(format!("expected at most {MAX_LISTENERS} sockets to listen on, found more")));
        }
        self.poll.registry().register(socket.source(), listener_token(number), Interest::READABLE)?;
        self.listeners.push(Some(socket));
        Ok(number)
    }

    /// Hands the sockets over to who asks at this one ([`Predecessor::find`]), and tells them that the store is free
    /// within so long.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn hand_over_at(&mut self, mut door: Bound, within: Duration) -> io::Result<()> {
        self.poll.registry().register(door.source(), DOOR, Interest::READABLE)?;
        self.hand_over = Some(HandOver::new(door, within));
        Ok(())
    }

    /// The files of Unix sockets that were another process' are this one's from now on, with these permissions.
    pub fn own_files(&mut self, mode: impl Fn(&Path) -> Option<u32>) {
        let door = self.hand_over.as_mut().map(HandOver::door);
        for bound in self.listeners.iter_mut().flatten().chain(door) {
            let Some(mode) = bound.path().and_then(&mode).filter(|_| !bound.is_handed_over()) else { continue };
            if let Err(error) = bound.own(mode) {
                log::warn!("the file of {} cannot be taken over: {error}", bound.asked());
            }
        }
    }

    /// What came of a loop that has ended, and whose store is closed: where another process is to serve, waits until it
    /// does, for a minute at most.
    pub fn settle(&mut self) -> Settled {
        let end = Instant::now() + OPEN_WITHIN;
        System::let_go(self);
        loop {
            let Some(hand_over) = self.hand_over.as_mut().filter(|hand_over| hand_over.begun) else {
                if let Some(hand_over) = &mut self.hand_over {
                    hand_over.leave(&mut self.listeners);
                }
                return Settled::Stopped;
            };
            match hand_over.outcome {
                Some(Outcome::Served) => return Settled::HandedOver,
                Some(Outcome::Lost) if self.is_to_stop => return Settled::Stopped,
                Some(Outcome::Lost) => return Settled::GoesOn,
                None => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::warn!("the Salon that takes over has not opened the store within {} s", OPEN_WITHIN.as_secs());
                hand_over.refuse();
                continue;
            }
            match self.wait(Some(left)) {
                Ok(()) => drop(self.report(|_| ())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!("the Salon that takes over cannot be heard: {error}");
                    if let Some(hand_over) = &mut self.hand_over {
                        hand_over.refuse();
                    }
                }
            }
        }
    }

    /// Lets so much time pass, but for a signal that asks for the end; returns whether one has.
    pub fn pause(&mut self, within: Duration) -> bool {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.is_to_stop || left.is_zero() {
                return self.is_to_stop;
            }
            match self.wait(Some(left)) {
                Ok(()) => drop(self.report(|_| ())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!("the kernel cannot be waited for: {error}");
                    return self.is_to_stop;
                }
            }
        }
    }

    /// Listens again, for a loop that begins anew, with a clock that does.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        for (number, socket) in self.listeners.iter_mut().enumerate() {
            if let Some(socket) = socket {
                self.poll.registry().register(socket.source(), listener_token(number), Interest::READABLE)?;
            }
        }
        if let Some(hand_over) = &mut self.hand_over {
            (hand_over.begun, hand_over.outcome) = (false, None);
        }
        self.started = Instant::now();
        Ok(())
    }

    /// Wakes the loop from another thread: [`Ready::Woken`].
    pub fn waker(&self) -> backend::Waker {
        let waker = self.waker.clone();
        backend::Waker::new(move || {
            if let Err(error) = waker.wake() {
                log::error!("the loop cannot be woken: {error}");
            }
        })
    }
}

impl System for Kernel {
    type Tcp = TcpStream;
    type Unix = UnixStream;

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.poll.poll(&mut self.events, timeout)
    }

    fn report(&mut self, mut note: impl FnMut(Ready)) -> bool {
        let Self { poll, events, signals, listeners, hand_over, is_to_stop, started, .. } = self;
        let mut reported = 0;
        for event in &*events {
            reported += 1;
            match event.token() {
                SIGNALS => signals.pending().for_each(|signal| match signal {
                    SIGHUP => note(Ready::Reload),
                    _ if STOPS.contains(&signal) => {
                        *is_to_stop = true;
                        note(Ready::Stop);
                    }
                    _ => log::info!(
                        "{} has no effect; SIGHUP reads the settings again, SIGTERM and SIGINT stop Salon",
                        signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
                    ),
                }),
                WAKE => note(Ready::Woken),
                token @ (DOOR | NEWCOMER) => {
                    let Some(hand_over) = hand_over else { continue };
                    // At the door, too: the one before may be gone.
                    if hand_over.hear(listeners) {
                        note(Ready::HandOver);
                    }
                    if hand_over.outcome != Some(Outcome::Served) {
                        if token == DOOR {
                            hand_over.come(poll.registry(), NEWCOMER, started.elapsed());
                        }
                    } else if !listeners.is_empty() {
                        listeners.clear();
                        // The next one is to ask the other Salon.
                        if let Err(error) = poll.registry().deregister(hand_over.door().source()) {
                            log::warn!("a listening socket is still watched: {error}");
                        }
                    }
                }
                Token(token) if token > LAST_WAITING => note(Ready::Listener(FIRST_LISTENER - token)),
                Token(token) if token > LAST_WAITING - MAX_WAITING => note(Ready::Waiting(LAST_WAITING - token)),
                Token(index) => {
                    let ended = event.is_read_closed() || event.is_error();
                    let (readable, writable) = (event.is_readable() || ended, event.is_writable());
                    note(Ready::Peer { index: index as u32, readable, ended, writable });
                }
            }
        }
        reported < READY_AT_ONCE
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn worked(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap_or_default()
    }

    fn unix_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    fn process() -> Process {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = |at| Some(statm.split(' ').nth(at)?.parse::<usize>().ok()? * rustix::param::page_size());
        // The name of the program, which may have blanks, ends with a bracket (proc_pid_stat(5)).
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = |at: usize| stat.rsplit_once(") ")?.1.split(' ').nth(at)?.parse::<u64>().ok();
        let cpu = ticks(11).zip(ticks(12)).map(|(user, system)| {
            Duration::from_secs_f64((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
        });
        Process {
            resident: pages(1),
            address_space: pages(0),
            cpu,
            // From Linux 6.2 on the folder's size is how many there are: to count them would take longer.
            descriptors: std::fs::metadata("/proc/self/fd").ok().map(|folder| folder.len()).filter(|&count| count > 0),
            max_descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        }
    }

    fn accept(&mut self, listener: usize) -> io::Result<(RawOf<Self>, Option<IpAddr>)> {
        match self.listeners.get(listener) {
            Some(Some(socket)) => socket.accept(),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn is_handed_over(&self, listener: usize) -> bool {
        matches!(self.listeners.get(listener), Some(Some(socket)) if socket.is_handed_over())
    }

    fn stop_listening(&mut self, listener: usize) {
        let Some(mut socket) = self.listeners.get_mut(listener).and_then(Option::take) else { return };
        if let Err(error) = self.poll.registry().deregister(socket.source()) {
            log::warn!("a listening socket is still watched: {error}");
        }
    }

    fn set_aside(&mut self) {
        for socket in self.listeners.iter_mut().flatten() {
            if let Err(error) = self.poll.registry().deregister(socket.source()) {
                log::warn!("a listening socket is still watched: {error}");
            }
        }
    }

    fn let_go(&mut self) {
        if let Some(hand_over) = &mut self.hand_over {
            hand_over.let_go();
        }
    }

    fn watch(&mut self, mut connection: RawMut<'_, Self>, of: Watched) -> io::Result<()> {
        let (token, interest) = named(of);
        self.poll.registry().register(source(&mut connection), token, interest)
    }

    fn watch_as(&mut self, mut connection: RawMut<'_, Self>, of: Watched) -> io::Result<()> {
        let (token, interest) = named(of);
        self.poll.registry().reregister(source(&mut connection), token, interest)
    }
}

impl Peek for TcpStream {
    fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Self::peek(self, into)
    }
}

impl Peek for UnixStream {
    fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self, into, rustix::net::RecvFlags::PEEK)?.1)
    }
}

impl Transport for TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Transport for UnixStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

fn listener_token(number: usize) -> Token {
    Token(FIRST_LISTENER - number)
}

fn named(watched: Watched) -> (Token, Interest) {
    match watched {
        Watched::Peer(index) => (Token(index as usize), Interest::READABLE | Interest::WRITABLE),
        Watched::Waiting(key) => (Token(LAST_WAITING - key), Interest::READABLE),
    }
}

fn source<'a>(connection: &'a mut RawMut<'_, Kernel>) -> &'a mut dyn Source {
    match connection {
        Raw::Tcp(tcp) => *tcp,
        Raw::Unix(unix) => *unix,
    }
}

/// The most that one wait reports.
const READY_AT_ONCE: usize = 256;

/// Signals that stop Salon. By SIGPWR a container's manager (LXC) asks its first process to stop.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STOPS: [i32; 3] = [SIGINT, SIGTERM, rustix::process::Signal::POWER.as_raw()];
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STOPS: [i32; 2] = [SIGINT, SIGTERM];

/// Signals that would end the process though nobody means that by them: all but those that are acted on, those that
/// mean a fault, and those that end nothing. Other servers are asked for something by some of them (logrotate sends
/// nginx SIGUSR1), so they are sent to Salon by habit; a write beyond a limit of the size of files is to fail, and not
/// to end everything.
fn harmless() -> impl Iterator<Item = i32> {
    (1..=MAX_SIGNAL).filter(|signal| {
        !STOPS.contains(signal) && *signal != SIGHUP && !FAULTS.contains(signal) && !END_NOTHING.contains(signal)
    })
}

/// Signals that the kernel, or a library, sends for a fault; and the one that nothing withstands.
const FAULTS: [i32; 8] = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGKILL];

/// Signals that nobody notices, or that stop and go on: SIGPIPE is ignored by every program in Rust.
const END_NOTHING: [i32; 9] = [SIGPIPE, SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];

/// The last signal of Linux, with those for real time.
const MAX_SIGNAL: i32 = 64;

const SIGNALS: Token = Token(usize::MAX);

/// The token of the first listener; the others lie below it.
const FIRST_LISTENER: usize = usize::MAX - 1;

/// The last of the reserved ones, below the listeners.
const WAKE: Token = Token(usize::MAX - RESERVED_TOKENS + 1);

/// Where others ask for the sockets.
const DOOR: Token = Token(usize::MAX - RESERVED_TOKENS + 2);

/// The one that has asked.
const NEWCOMER: Token = Token(usize::MAX - RESERVED_TOKENS + 3);

/// How long the process that takes over may take to open the store.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// Tokens above those of the lobby.
const RESERVED_TOKENS: usize = 128;

// Beside the listeners the signals, the waker and a hand-over have tokens.
const _: () = assert!(MAX_LISTENERS + 4 <= RESERVED_TOKENS);

/// The token of the first place in the lobby; the others lie below it, far above every index of a slot.
const LAST_WAITING: usize = usize::MAX - RESERVED_TOKENS;
