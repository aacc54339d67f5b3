//! The loop: one thread, one poller, one reading of the clock a turn.
//!
//! ```text
//!   wait -> clock -> timers -> accept -> store -> events (each carried out at once) -> flush -> reap -> wait
//! ```
//!
//! Tokens are indices of the engine's slots. A slot is freed only in `reap`, after every event of the batch has been
//! seen, so a token of this turn never means another connection.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::backend;
use crate::engine::{Engine, STALL, Settings};
use crate::proto::CloseCode;
use crate::time::{Moment, Tick};

use super::admission::{Admission, Limits, Verdict};
use super::forwarded::Proxies;
use super::listener::Listener;
use super::lobby::{Announced, Lobby, MAX_WAITING};
use super::memory::{Budget, Held};
use super::refusals::Reason;
use super::socket::{Raw, Socket};
use super::tls::{Acceptor, Identity, Validity};
use super::{Error, Port, Reloaded, Seen, Service, Turn};

/// How long turns took, and how many there were.
#[derive(Clone, Debug)]
pub struct Turns {
    /// Turns by how long they took: up to each of [`TURN_BOUNDS`], and longer.
    pub buckets: [u64; TURN_BOUNDS.len() + 1],
    /// The time of all turns, without waiting.
    pub busy: Duration,
    /// When the loop started.
    pub started: Instant,
    /// Messages received a second, over the last full second or more.
    pub messages_per_second: f64,
    sample: (Tick, u64),
}

/// Upper bounds of the buckets of [`Turns::buckets`].
pub const TURN_BOUNDS: [Duration; 8] = [
    Duration::from_micros(10),
    Duration::from_micros(50),
    Duration::from_micros(200),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

impl Turns {
    fn new(started: Instant) -> Self {
        Self {
            buckets: [0; TURN_BOUNDS.len() + 1],
            busy: Duration::ZERO,
            started,
            messages_per_second: 0.0,
            sample: (Tick(0), 0),
        }
    }

    fn note(&mut self, took: Duration) {
        let bucket = TURN_BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(TURN_BOUNDS.len());
        self.buckets[bucket] += 1;
        self.busy += took;
    }

    fn sample_rate(&mut self, now: Tick, messages: u64) {
        let (since, before) = self.sample;
        let elapsed = now.since(since);
        if elapsed >= Duration::from_secs(1) {
            self.messages_per_second = (messages - before) as f64 / elapsed.as_secs_f64();
            self.sample = (now, messages);
        }
    }
}

/// The bounds of the loop. All of them may change while it turns.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Connections on the public port; [`REFUSALS`] more are accepted only to be answered 503.
    pub max_connections: usize,
    /// The limits of one address on the public port; `None`: none.
    pub addresses: Option<Limits>,
    /// Proxies that are trusted to name their clients. They do not count themselves.
    pub proxies: Proxies,
    /// Bytes that may be held; `None`: as many as there are.
    pub memory: Option<usize>,
    /// How long stopping may take before connections are dropped.
    pub stop_within: Duration,
}

/// A loop with its listeners, ready to run.
pub struct Reactor {
    poll: Poll,
    listeners: Vec<Listener>,
    signals: Signals,
    waker: Arc<mio::Waker>,
    engine: Engine<Socket>,
    max_connections: usize,
    stop_within: Duration,
    admission: Admission,
    lobby: Lobby,
    arrivals: Vec<(Raw, Option<IpAddr>)>,
    acceptor: Option<Acceptor>,
    turns: Turns,
    started: Instant,
    stopping: Option<Stop>,
    memory: Budget,
    /// The last turn made room, and the next can make more.
    relieving: bool,
}

/// A new connection.
#[derive(Debug)]
struct Arrival {
    raw: Raw,
    /// Where it comes from; `None`: from this machine, by a Unix socket.
    client: Option<IpAddr>,
    /// By which listener.
    port: Port,
    /// It begins with a TLS handshake.
    tls: bool,
    /// The poller watches it already, because it has waited in the lobby.
    watched: bool,
}

/// A stop that is under way.
#[derive(Clone, Copy, Debug)]
struct Stop {
    /// When it ends at the latest.
    until: Tick,
    /// When connections are closed even if the service still waits for answers: half of the time is for those, half for
    /// closing.
    close_at: Tick,
    /// They have been.
    closed: bool,
    /// How many connections there were when it began.
    connections: usize,
}

impl Reactor {
    /// Registers the listeners and the signals SIGINT, SIGTERM and SIGHUP. `identity` is shown where TLS is spoken.
    ///
    /// # Errors
    /// [`Error::Loop`] when the system gives no poller.
    pub fn new(
        mut listeners: Vec<Listener>,
        settings: Settings,
        bounds: Bounds,
        identity: Option<Identity>,
    ) -> Result<Self, Error> {
        let poll = Poll::new().map_err(Error::Loop)?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(Error::Loop)?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(Error::Loop)?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE).map_err(Error::Loop)?);
        for (at, listener) in listeners.iter_mut().enumerate() {
            listener.watch(poll.registry(), Token(FIRST_LISTENER.0 - at)).map_err(Error::Loop)?;
        }
        let started = Instant::now();
        let turns = Turns::new(started);
        let lobby = Lobby::new(settings.head_within);
        let engine = Engine::new(settings, Tick(0));
        let Bounds { max_connections, addresses, proxies, memory, stop_within } = bounds;
        Ok(Self {
            poll,
            listeners,
            signals,
            waker,
            engine,
            max_connections,
            stop_within,
            admission: Admission::new(addresses, proxies),
            lobby,
            arrivals: Vec::new(),
            acceptor: identity.map(Acceptor::new),
            turns,
            started,
            stopping: None,
            memory: Budget::new(memory),
            relieving: false,
        })
    }

    /// The waker of the loop for another thread, for [`Service::handle_wake`].
    pub fn waker(&self) -> backend::Waker {
        let waker = self.waker.clone();
        backend::Waker::new(move || {
            if let Err(error) = waker.wake() {
                log::error!("the loop cannot be woken: {error}");
            }
        })
    }

    /// Turns until a signal ends it and all connections are closed, or the time for that is over.
    ///
    /// # Errors
    /// [`Error::Loop`] when the poller fails; [`Error::Panicked`] when a turn does.
    pub fn run(mut self, service: &mut impl Service) -> Result<(), Error> {
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        self.look_at_certificate(self.moment(self.started));
        loop {
            let (timeout, began) = (self.timeout(service), Instant::now());
            let waited = self.poll.poll(&mut events, timeout);
            // Also of a wait that was interrupted, as SIGCONT does.
            if stood_still(timeout, began.elapsed()) {
                self.engine.has_stood_still();
            }
            match waited {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Loop(error)),
            }
            // Half a turn may have left wrong state anywhere: no client is served with it. `engine::input` says which
            // panics are contained before.
            match catch_unwind(AssertUnwindSafe(|| self.turn(&events, service))) {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(_) => return Err(self.break_off()),
            }
        }
    }

    /// One turn behind the wait; returns whether it was the last.
    fn turn(&mut self, events: &Events, service: &mut impl Service) -> bool {
        let began = Instant::now();
        let now = self.moment(began);
        let signals = self.note_events(events);
        self.engine.begin_turn(now.tick);
        if signals.reload
            && let Some(Reloaded { bounds, identity }) = service.reload()
        {
            let Bounds { max_connections, addresses, proxies, memory, stop_within } = bounds;
            (self.max_connections, self.stop_within) = (max_connections, stop_within);
            self.admission.change(addresses, proxies);
            match (&mut self.acceptor, identity) {
                (Some(acceptor), Some(identity)) => acceptor.change_identity(identity),
                (None, Some(_)) => log::warn!("TLS begins only at the next start: nobody listens for it"),
                (_, None) => {}
            }
            self.memory.change(memory);
            self.look_at_certificate(now);
        }
        if signals.stop && self.begin_stop(service, now) {
            return true;
        }
        self.accept(now.tick);
        if signals.woken || service.has_more_to_hear() {
            service.handle_wake(now);
            service.deliver(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        }
        self.tell_events(service, now);
        // After the events: a client that acted in time while the process was stopped is not too late.
        if service.next_deadline().is_some_and(|due| due <= now.tick) {
            service.handle_timeout(now);
            service.deliver(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        }
        self.close_in_time(service, now.tick);
        self.engine.flush();
        // Of members that have fallen behind in this.
        service.deliver(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        let admission = &mut self.admission;
        self.engine.reap(|socket| {
            if let Some(address) = socket.counted() {
                admission.release(address);
            }
            if let Some(failure) = socket.failed_handshake() {
                admission.note(failure, socket.client());
            }
        });
        self.make_room(service, now);
        self.turns.sample_rate(now.tick, self.engine.counters().messages_in);
        self.turns.note(began.elapsed());
        if let Some(stop) = self.stopping
            && (self.engine.is_empty() && service.is_idle() || stop.until <= now.tick)
        {
            if !service.is_idle() {
                log::warn!("the message store has not answered everything in time");
            }
            let dropped = self.engine.len();
            let closed = stop.connections.saturating_sub(dropped);
            log::info!("stopped: {closed} connections closed in order, {dropped} dropped after the time for that");
            return true;
        }
        false
    }

    /// Logs what is wrong with the time of the certificate, if anything is.
    fn look_at_certificate(&self, now: Moment) {
        let Some(acceptor) = &self.acceptor else { return };
        match acceptor.identity().validity(now.unix_ms / 1000) {
            Validity::Good { .. } => {}
            validity => log::warn!("tls_cert: {validity}"),
        }
    }

    /// Looks at the memory that is held, and carries out a piece of the measures of the budget.
    fn make_room(&mut self, service: &mut impl Service, now: Moment) {
        let (chat, deliveries) = service.held();
        let addresses = self.admission.held_bytes();
        let tls = self.acceptor.as_ref().map_or(0, Acceptor::held_bytes);
        let relief = self.memory.note(Held { engine: self.engine.held(), chat, addresses, tls, deliveries });
        service.set_memory_left(self.memory.left_for_new());
        self.relieving = false;
        if relief.history > 0 {
            self.relieving = service.drop_oldest(relief.history, now);
            service.deliver(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        }
        if self.memory.is_short() {
            self.engine.shrink();
        }
        if relief.connections > 0 {
            self.relieving |= self.engine.cut_largest(relief.connections) > 0;
        }
    }

    /// A turn has panicked: every connection gets its Close, as far as it can within a moment, and then the loop ends.
    fn break_off(&mut self) -> Error {
        log::error!("a turn panicked: closing {} connections with 1011 and ending", self.engine.len());
        let drained = catch_unwind(AssertUnwindSafe(|| {
            for id in self.engine.ids() {
                self.engine.close(id, CloseCode::INTERNAL_ERROR, "internal error");
            }
            let mut events = Events::with_capacity(EVENTS_PER_WAIT);
            let end = Instant::now() + BREAK_OFF_WITHIN;
            loop {
                self.engine.begin_turn(self.tick(Instant::now()));
                while self.engine.next_event(|_, _, _| {}) {}
                self.engine.flush();
                self.engine.reap(drop);
                let left = end.saturating_duration_since(Instant::now());
                if self.engine.is_empty() || left.is_zero() || self.poll.poll(&mut events, Some(left)).is_err() {
                    break;
                }
                self.note_events(&events);
            }
        }));
        if drained.is_err() {
            log::error!("and so did closing them");
        }
        Error::Panicked
    }

    fn moment(&self, now: Instant) -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { tick: self.tick(now), unix_ms: unix.as_millis() as u64 }
    }

    fn tick(&self, now: Instant) -> Tick {
        Tick(now.duration_since(self.started).as_millis() as u64)
    }

    /// How long the poller may wait: not at all while there is work, else until the next deadline.
    fn timeout(&self, service: &impl Service) -> Option<Duration> {
        let may_accept = |listener: &Listener| listener.is_ready() && self.room_for(listener) > 0;
        if self.engine.has_work()
            || self.relieving
            || service.has_more_to_hear()
            || self.listeners.iter().any(may_accept)
        {
            return Some(Duration::ZERO);
        }
        let listeners = self.listeners.iter().filter_map(Listener::next_deadline).min();
        let stop = self.stopping.map(|stop| if stop.closed { stop.until } else { stop.close_at });
        let lobby = self.lobby.next_deadline();
        let due = [self.engine.next_deadline(), service.next_deadline(), listeners, lobby, stop];
        let due = due.into_iter().flatten().min()?;
        let at = self.started + Duration::from_millis(due.0);
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Hands the poller's events on; returns the signals among them.
    fn note_events(&mut self, events: &Events) -> Signalled {
        let mut signalled = Signalled::default();
        for event in events {
            match event.token() {
                SIGNALS => {
                    for signal in self.signals.pending() {
                        match signal {
                            SIGHUP => signalled.reload = true,
                            _ => signalled.stop = true,
                        }
                    }
                }
                WAKE => signalled.woken = true,
                Token(token) if token > usize::MAX - RESERVED_TOKENS => {
                    let named = |listener: &&mut Listener| listener.is_named(Token(token));
                    if let Some(listener) = self.listeners.iter_mut().find(named) {
                        listener.notify();
                    }
                }
                Token(token) if token > LAST_WAITING - MAX_WAITING => self.lobby.readable(LAST_WAITING - token),
                Token(index) => {
                    let index = index as u32;
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        self.engine.readable(index, event.is_read_closed() || event.is_error());
                    }
                    if event.is_writable() {
                        self.engine.writable(index);
                    }
                }
            }
        }
        signalled
    }

    /// The first signal starts the stop, the second ends it: then this returns `true`.
    fn begin_stop(&mut self, service: &mut impl Service, now: Moment) -> bool {
        if self.stopping.is_some() {
            log::warn!("stopped at once: {} connections dropped", self.engine.len());
            return true;
        }
        let connections = self.engine.len();
        log::info!("stopping: closing {connections} connections");
        // A client that comes to a socket that another process holds as well waits there for the next server. Salon
        // listens on the others to the end, and always on the operator's: a client that comes gets 503, and so does a
        // probe of `/readyz`.
        let leaves = |listener: &Listener| listener.handed_over && listener.port != Port::Admin;
        for listener in self.listeners.iter_mut().filter(|listener| leaves(listener)) {
            if let Err(error) = listener.unwatch(self.poll.registry()) {
                log::warn!("a listening socket is still watched: {error}");
            }
        }
        self.listeners.retain(|listener| !leaves(listener));
        self.listeners.iter_mut().for_each(Listener::notify);
        service.shut_down(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        let (close_at, until) = (now.tick + self.stop_within / 2, now.tick + self.stop_within);
        self.stopping = Some(Stop { until, close_at, closed: false, connections });
        self.close_in_time(service, now.tick);
        false
    }

    /// Closes all connections of a server that stops, once open requests have their answers.
    fn close_in_time(&mut self, service: &mut impl Service, now: Tick) {
        if let Some(stop) = self.stopping.as_mut().filter(|stop| !stop.closed)
            && (service.is_idle() || stop.close_at <= now)
        {
            stop.closed = true;
            service.close_all(&mut self.engine);
        }
    }

    /// How many more connections a listener may accept. The operator finds room when no other client does.
    fn room_for(&self, listener: &Listener) -> usize {
        let reserve = if listener.port == Port::Admin { REFUSALS + ADMIN_RESERVE } else { REFUSALS };
        let room = (self.max_connections + reserve).saturating_sub(self.engine.len() + self.lobby.len());
        if listener.proxy_protocol { room.min(self.lobby.room()) } else { room }
    }

    fn accept(&mut self, now: Tick) {
        for at in 0..self.listeners.len() {
            let room = self.room_for(&self.listeners[at]);
            let (listener, arrivals) = (&mut self.listeners[at], &mut self.arrivals);
            listener.accept(ACCEPTS_PER_TURN.min(room), now, |raw, address| arrivals.push((raw, address)));
            let (port, tls, proxy_protocol) = (listener.port, listener.tls, listener.proxy_protocol);
            let mut arrivals = std::mem::take(arrivals);
            for (raw, address) in arrivals.drain(..) {
                match proxy_protocol {
                    true => self.let_wait(raw, address, tls, now),
                    false => self.take_in(Arrival { raw, client: address, port, tls, watched: false }, now),
                }
            }
            self.arrivals = arrivals;
        }
        if self.lobby.len() > 0 {
            let mut announced = Vec::new();
            let dropped = self.lobby.turn(now, |connection| announced.push(connection));
            dropped.into_iter().for_each(|proxy| self.admission.note(Reason::NoProxyHeader, proxy));
            for Announced { raw, client, tls } in announced {
                self.take_in(Arrival { raw, client, port: Port::Public, tls, watched: true }, now);
            }
        }
    }

    /// A connection that must begin with a PROXY header.
    fn let_wait(&mut self, mut raw: Raw, proxy: Option<IpAddr>, tls: bool, now: Tick) {
        let token = Token(LAST_WAITING - self.lobby.next_key());
        if !self.admission.proxies().trust(proxy) {
            log::debug!("dropped: {proxy:?} is no --trusted-proxy");
            self.admission.note(Reason::NoProxyHeader, proxy);
        } else if let Err(error) = self.poll.registry().register(raw.source(), token, Interest::READABLE) {
            log::warn!("cannot watch a connection, dropping it: {error}");
        } else {
            self.lobby.insert(raw, proxy, tls, now);
        }
    }

    /// A connection becomes one of the engine's.
    fn take_in(&mut self, Arrival { raw, client, port, tls, watched }: Arrival, now: Tick) {
        // A client behind a proxy is counted when its request has named it.
        let verdict = match client {
            Some(client) if port == Port::Public && !self.admission.proxies().trust(Some(client)) => {
                self.admission.admit(client, now)
            }
            _ => Verdict::Welcome { counted: false },
        };
        let short = port == Port::Public && self.memory.is_short();
        let full = short || port == Port::Public && self.engine.len() >= self.max_connections;
        // One reason for each: a connection over the limit of an address has been noted for that.
        if full && verdict.refusal().is_none() {
            self.admission.note(if short { Reason::Memory } else { Reason::Full }, client);
        }
        let (tag, counted) = match verdict {
            Verdict::Dropped => return,
            Verdict::TooFast => (Port::TooFast, true),
            Verdict::TooMany if !full => (Port::Crowded, true),
            Verdict::TooMany => (Port::Refused, true),
            Verdict::Welcome { counted } => (if full { Port::Refused } else { port }, counted),
        };
        let tls = self.acceptor.as_ref().filter(|_| tls).map(Acceptor::accept);
        let (tls, broken) = match tls {
            None => (None, false),
            Some(Ok(tls)) => (Some(tls), false),
            Some(Err(error)) => {
                log::warn!("TLS cannot begin, dropping a connection: {error}");
                (None, true)
            }
        };
        let id = self.engine.insert(Socket::new(raw, tls, client, counted), tag as u8);
        let source = self.engine.stream_mut(id).expect("just inserted").source();
        let (token, interest) = (Token(id.index as usize), Interest::READABLE | Interest::WRITABLE);
        let watched = match watched {
            // The poller reports again what it has reported.
            true => self.poll.registry().reregister(source, token, interest),
            false => self.poll.registry().register(source, token, interest),
        };
        if let Err(error) = &watched {
            log::warn!("cannot watch a connection, dropping it: {error}");
        }
        if broken || watched.is_err() {
            self.engine.abort(id);
        }
    }

    fn tell_events(&mut self, service: &mut impl Service, now: Moment) {
        let counters = self.engine.counters().clone();
        let connections = self.engine.len();
        loop {
            let seen = Seen {
                now,
                turns: &self.turns,
                counters: &counters,
                connections,
                max_connections: self.max_connections,
                admission: &self.admission,
                tls: self.acceptor.as_ref(),
                memory: &self.memory,
            };
            let mut then = None;
            if !self.engine.next_event(|id, tag, event| {
                then = Some((id, service.handle(id, Port::of_tag(tag), event, &seen)));
            }) {
                break;
            }
            let Some((id, then)) = then else { continue };
            service.carry_out(id, then, &mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        }
    }
}

/// Whether the process did not run for a while (SIGSTOP, a machine that slept): a wait took much longer than it was
/// asked to. A long turn means load, and nothing else.
fn stood_still(timeout: Option<Duration>, waited: Duration) -> bool {
    timeout.is_some_and(|timeout| waited.saturating_sub(timeout) > STALL)
}

/// The requests of signals and the waker in one turn.
#[derive(Clone, Copy, Debug, Default)]
struct Signalled {
    woken: bool,
    reload: bool,
    stop: bool,
}

const SIGNALS: Token = Token(usize::MAX);
const FIRST_LISTENER: Token = Token(usize::MAX - 1);

/// The last of the reserved ones, below the listeners.
const WAKE: Token = Token(usize::MAX - RESERVED_TOKENS + 1);

/// How long the loop waits for connections to close when a turn has panicked.
const BREAK_OFF_WITHIN: Duration = Duration::from_millis(500);

/// Tokens above the highest index a slot can have.
const RESERVED_TOKENS: usize = 16;

/// The token of the first place in the lobby; the others lie below it.
const LAST_WAITING: usize = usize::MAX - RESERVED_TOKENS;

/// The most events taken from the poller at once.
const EVENTS_PER_WAIT: usize = 256;

/// The most connections accepted from one listener in one turn.
const ACCEPTS_PER_TURN: usize = 128;

/// Connections beyond the limit that are accepted to be answered 503; further ones wait in the backlog.
pub const REFUSALS: usize = 64;

/// Connections that only the operator can have.
pub const ADMIN_RESERVE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the wait that was asked for, the wait that came, in milliseconds.
    #[test]
    fn a_process_that_stood_still() {
        for (asked, came, still) in [
            (Some(0), 0, false),
            (Some(0), 1000, false),
            (Some(0), 1001, true),
            (Some(25_000), 25_900, false),
            (Some(25_000), 26_001, true),
            (Some(25_000), 10, false),
            (None, 3_600_000, false),
        ] {
            let asked = asked.map(Duration::from_millis);
            assert_eq!(stood_still(asked, Duration::from_millis(came)), still, "{asked:?} {came}");
        }
    }
}
