//! The loop: one thread, one poller, one reading of the clock a turn. What is outside of it is a [`System`].
//!
//! ```text
//!   wait -> clock -> timers -> accept -> store -> events (each carried out at once) -> flush -> reap -> wait
//! ```
//!
//! The system names connections by their slots in the engine. A slot is freed only in `reap`, after everything that the
//! wait has found has been seen, so a name of this turn never means another connection.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::engine::{Cut, Engine, Event, STALL, Settings};
use crate::id::ConnId;
use crate::proto::CloseCode;
use crate::random::Keyed;
use crate::time::{Moment, Tick};

use super::access::Line;
use super::admission::{Admission, Limits, Verdict};
use super::forwarded::Proxies;
use super::http;
use super::latency::Latency;
use super::listener::Listener;
use super::lobby::{Announced, Lobby};
use super::memory::{Budget, Held};
use super::patience::Patience;
use super::refusals::Reason;
use super::socket::Socket;
use super::standstill::Standstills;
use super::strangers::{Shown, Strangers};
use super::system::{RawOf, Ready, System, Watched};
use super::tls::{Acceptor, Acceptors, Certificates, Validity};
use super::{Error, Port, Reloaded, Seen, Service, Turn};

/// How long turns took, and how many there were.
#[derive(Clone, Debug)]
pub struct Turns {
    /// Turns by how long they took: up to each of [`TURN_BOUNDS`], and longer.
    pub buckets: [u64; TURN_BOUNDS.len() + 1],
    /// The time of all turns, without waiting.
    pub busy: Duration,
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
    fn new() -> Self {
        Self {
            buckets: [0; TURN_BOUNDS.len() + 1],
            busy: Duration::ZERO,
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

/// How often the system has refused what a connection needs to begin. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// None could be accepted; those that wait are tried again.
    pub accept: u64,
    /// One could not be watched, and was dropped.
    pub watch: u64,
    /// TLS could not begin, and one was dropped.
    pub tls: u64,
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
    /// How long it serves on when it is asked to stop, and only tells balancers.
    pub stop_after: Duration,
    /// How long stopping may take before connections are dropped.
    pub stop_within: Duration,
}

/// A loop with its listeners, ready to run.
pub struct Reactor<S: System> {
    system: S,
    listeners: Vec<Listener>,
    /// Which listener is the first to be asked for connections: the one behind that which had some last.
    first: usize,
    engine: Engine<Socket<S>>,
    max_connections: usize,
    /// Connections of the admin port.
    operators: usize,
    /// Those of them that have shown no key yet.
    strangers: Strangers,
    /// Connections that are refused: they are answered and closed, and take no place of a client.
    refused: usize,
    /// Those that came when all others were being closed.
    late: usize,
    stop_after: Duration,
    stop_within: Duration,
    admission: Admission,
    lobby: Lobby<S>,
    arrivals: Vec<(RawOf<S>, Option<IpAddr>)>,
    lost: Lost,
    /// Of which second the answer to late requests is.
    late_worded: Option<u64>,
    acceptors: Acceptors,
    turns: Turns,
    latency: Latency,
    /// When the stop begins that was asked for.
    leaves_at: Option<Tick>,
    /// Another process takes over.
    hands_over: bool,
    stopping: Option<Stop>,
    memory: Budget,
    /// The last turn made room, and the next can make more.
    relieving: bool,
    /// The process stood still, and no turn has been since.
    stood_still: bool,
    standstills: Standstills,
    /// When the last turn began.
    turn_began: Duration,
    /// How much work had been done when: at most [`WORK_LOOKED_AT`] before the last turn.
    worked: (Duration, Duration),
    patience: Patience,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Of clients.
    pub clients: usize,
    /// Those that are refused.
    pub refused: usize,
    /// Of the admin port.
    pub operators: usize,
}

/// A new connection.
#[derive(Debug)]
struct Arrival<S: System> {
    raw: RawOf<S>,
    /// Where it comes from; `None`: from this machine, by a Unix socket.
    client: Option<IpAddr>,
    /// By which listener.
    port: Port,
    /// It begins with a TLS handshake.
    tls: bool,
    /// The system watches it already, because it has waited in the lobby.
    watched: bool,
}

/// What is waited for between two turns.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// For how long at most; `None`: until there is something to report.
    pub timeout: Option<Duration>,
    began: Duration,
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

impl<S: System> Reactor<S> {
    /// A loop for listeners of this system. `certificates` are shown where TLS is spoken, and `keyed` makes its tables.
    pub fn new(
        system: S,
        listeners: Vec<Listener>,
        settings: Settings,
        bounds: Bounds,
        certificates: Certificates,
        keyed: &Keyed,
    ) -> Self {
        let lobby = Lobby::new(settings.head_within);
        let turn_began = system.elapsed();
        let worked = (turn_began, system.worked());
        let engine = Engine::new(settings, Tick(0));
        let Bounds { max_connections, addresses, proxies, memory, stop_after, stop_within } = bounds;
        Self {
            system,
            listeners,
            first: 0,
            engine,
            max_connections,
            operators: 0,
            strangers: Strangers::default(),
            refused: 0,
            late: 0,
            stop_after,
            stop_within,
            admission: Admission::new(addresses, proxies, keyed),
            lobby,
            arrivals: Vec::new(),
            lost: Lost::default(),
            late_worded: None,
            acceptors: Acceptors::new(certificates),
            turns: Turns::new(),
            latency: Latency::default(),
            leaves_at: None,
            hands_over: false,
            stopping: None,
            memory: Budget::new(memory),
            relieving: false,
            stood_still: false,
            standstills: Standstills::default(),
            turn_began,
            worked,
            patience: Patience::None,
        }
    }

    /// The connections, to be looked at.
    pub fn engine(&self) -> &Engine<Socket<S>> {
        &self.engine
    }

    /// The addresses, to be looked at.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Whether it takes no more connections of clients for now, not even to refuse them.
    pub fn is_full(&self) -> bool {
        self.room_for_clients() == 0
    }

    /// How many connections there are, but for those that wait for their PROXY header.
    pub fn connections(&self) -> Connections {
        Connections { clients: self.clients(), refused: self.refused, operators: self.operators }
    }

    /// How many connections wait for their PROXY header.
    pub fn waiting(&self) -> usize {
        self.lobby.len()
    }

    /// Turns until a signal, or another process that takes over, ends it and all connections are closed, or the time
    /// for that is over; returns the system.
    ///
    /// # Errors
    /// [`Error::Loop`] when the poller fails; [`Error::Panicked`] when a turn does.
    pub fn run(mut self, service: &mut impl Service<S>) -> Result<S, Error> {
        self.look_at_certificates(self.moment(self.system.elapsed()));
        while self.go_round(service)? {}
        Ok(self.system)
    }

    /// Waits, and takes one turn; returns whether there is another one.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub fn go_round(&mut self, service: &mut impl Service<S>) -> Result<bool, Error> {
        let wait = self.begin_wait(service);
        let waited = self.system.wait(wait.timeout);
        self.end_wait(service, wait, waited)
    }

    /// Ends a turn: what is to be waited for before the next one. A driver of several loops waits for all of
    /// them at once.
    pub fn begin_wait(&mut self, service: &mut impl Service<S>) -> Wait {
        service.end_turn();
        let timeout = self.timeout(service);
        let began = self.system.elapsed();
        self.engine.end_turn(tick(began));
        let took = began.saturating_sub(self.turn_began);
        let turn = tick(self.turn_began);
        service.turn_took(turn, took);
        self.lobby.turn_took(turn, took);
        self.patience.turn_took(turn, took);
        let work = if took > STALL { self.system.worked().saturating_sub(self.worked.1) } else { took };
        if self.standstills.is_turn(work, took, began) {
            self.note_standstill();
        }
        Wait { timeout, began }
    }

    /// Takes a turn behind a wait; returns whether there is another one.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub fn end_wait(
        &mut self,
        service: &mut impl Service<S>,
        Wait { timeout, began }: Wait,
        waited: io::Result<()>,
    ) -> Result<bool, Error> {
        // Also of a wait that was interrupted, as SIGCONT does.
        self.turn_began = self.system.elapsed();
        if let Some(timeout) = timeout {
            let took = self.turn_began.saturating_sub(began);
            if self.standstills.is_wait(timeout, took, self.turn_began) {
                self.note_standstill();
            }
        }
        if self.turn_began.saturating_sub(self.worked.0) >= WORK_LOOKED_AT {
            self.worked = (self.turn_began, self.system.worked());
        }
        match waited {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(Error::Loop(error)),
        }
        // Half a turn may have left wrong state anywhere: no client is served with it. `engine::input` says which
        // panics are contained before.
        match catch_unwind(AssertUnwindSafe(|| self.turn(service))) {
            Ok(last) => Ok(!last),
            Err(_) => Err(self.break_off()),
        }
    }

    /// The process was stopped, in a wait or in a turn: wherever it was, it was in one of the two.
    fn note_standstill(&mut self) {
        self.engine.has_stood_still();
        self.stood_still = true;
    }

    /// One turn behind the wait; returns whether it was the last.
    fn turn(&mut self, service: &mut impl Service<S>) -> bool {
        let began = self.turn_began;
        let now = self.moment(began);
        let signals = self.note_events();
        self.word_late_answer(now);
        self.engine.begin_turn(now.tick);
        if std::mem::take(&mut self.stood_still) {
            self.patience.begin(now.tick);
        }
        let reload = signals.reload || service.wants_reload();
        if reload && let Some(Reloaded { bounds, certificates }) = service.reload(now) {
            let Bounds { max_connections, addresses, proxies, memory, stop_after, stop_within } = bounds;
            (self.max_connections, self.stop_after, self.stop_within) = (max_connections, stop_after, stop_within);
            self.admission.change(addresses, proxies);
            self.acceptors.change(certificates);
            self.memory.change(memory);
            self.look_at_certificates(now);
        }
        if reload {
            service.deliver(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        }
        if signals.hand_over {
            self.begin_to_hand_over(service, now);
        }
        let due = self.leaves_at.is_some_and(|at| at <= now.tick) && self.stopping.is_none();
        if (signals.stop || due) && self.begin_stop(service, now) {
            return true;
        }
        self.accept(now.tick);
        self.patience.note(signals.are_all && !self.may_accept() && !self.lobby.has_work(), now.tick);
        service.be_patient(self.patience.until());
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
        let mut at = None;
        for served in self.engine.served() {
            let at = *at.get_or_insert_with(|| self.system.elapsed());
            self.latency.note(served, began, at);
        }
        // Of members that have fallen behind in this.
        service.deliver(&mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        let Self { engine, admission, operators, refused, late, .. } = &mut *self;
        engine.reap_told(|socket, end| {
            *operators -= usize::from(socket.is_of_operator());
            *refused -= usize::from(socket.is_refused());
            *late -= usize::from(socket.is_late());
            if let Some(address) = socket.counted() {
                admission.release(address);
            }
            if let Some(failure) = socket.failed_handshake() {
                let _ = admission.refuse(failure, socket.client(), now.tick);
            } else if let Some(cut @ Cut::NoRequest) = end.cut {
                let (address, bytes_in) = (socket.client(), Some(end.bytes_in));
                admission.access_mut().cut(cut, Line { address, bytes_in, ..Line::default() }, now.tick);
            }
        });
        self.make_room(service, now);
        self.admission.access_mut().note_time(now.tick);
        self.turns.sample_rate(now.tick, self.engine.counters().messages_in);
        self.turns.note(self.system.elapsed().saturating_sub(began));
        if let Some(stop) = self.stopping
            && (self.engine.len() == self.late && !self.may_accept() && service.is_idle() || stop.until <= now.tick)
        {
            if !service.is_idle() {
                log::warn!("the message store has not answered everything in time");
            }
            // Those that came meanwhile are told nothing: they are like those that come a moment later.
            let dropped = self.engine.len() - self.late;
            let closed = stop.connections.saturating_sub(dropped);
            self.admission.access_mut().finish(now.tick);
            log::info!("stopped: {closed} connections closed in order, {dropped} dropped after the time for that");
            return true;
        }
        false
    }

    /// The answer to late requests has a date, so it is worded anew once a second at most.
    fn word_late_answer(&mut self, now: Moment) {
        let second = now.unix_ms / 1000;
        if self.late_worded != Some(second) {
            self.late_worded = Some(second);
            self.engine.set_late_answer(http::late(now));
        }
    }

    /// Logs what is wrong with certificates or their chains, if anything is.
    fn look_at_certificates(&self, now: Moment) {
        let seconds = now.unix_ms / 1000;
        for (setting, identities) in self.acceptors.named() {
            for (name, identity) in identities.called(setting) {
                match identity.validity(seconds) {
                    Validity::Good { .. } => {}
                    validity => log::warn!("{name}: {validity}"),
                }
                identity.faults(seconds).iter().for_each(|fault| log::warn!("{name}: {fault}"));
            }
            identities.overlaps().iter().for_each(|overlap| log::warn!("{setting}: {overlap}"));
        }
    }

    /// Looks at the memory that is held, and carries out a piece of the measures of the budget.
    fn make_room(&mut self, service: &mut impl Service<S>, now: Moment) {
        let (chat, deliveries) = service.held();
        let addresses = self.admission.held_bytes();
        let tls = self.acceptors.held_bytes();
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
            let end = self.system.elapsed() + BREAK_OFF_WITHIN;
            loop {
                self.engine.begin_turn(self.moment(self.system.elapsed()).tick);
                while self.engine.next_event(|_, _, _| ()).is_some() {}
                self.engine.flush();
                self.engine.reap(drop);
                let left = end.saturating_sub(self.system.elapsed());
                if self.engine.is_empty() || left.is_zero() || self.system.wait(Some(left)).is_err() {
                    break;
                }
                self.note_events();
            }
        }));
        if drained.is_err() {
            log::error!("and so did closing them");
        }
        Error::Panicked
    }

    fn moment(&self, elapsed: Duration) -> Moment {
        Moment { tick: tick(elapsed), unix_ms: self.system.unix_ms() }
    }

    /// How long the system may wait: not at all while there is work, else until the next deadline.
    fn timeout(&self, service: &impl Service<S>) -> Option<Duration> {
        if self.engine.has_work()
            || self.relieving
            || self.lobby.has_work()
            || service.has_more_to_hear()
            || service.wants_reload()
            || self.may_accept()
        {
            return Some(Duration::ZERO);
        }
        let listeners = self.listeners.iter().filter_map(Listener::next_deadline).min();
        let stop = self.stopping.map(|stop| if stop.closed { stop.until } else { stop.close_at }).or(self.leaves_at);
        let lobby = self.lobby.next_deadline().map(|at| at.max(self.patience.until().unwrap_or(at)));
        let due = [self.engine.next_deadline(), service.next_deadline(), listeners, lobby, stop];
        let due = due.into_iter().flatten().min()?;
        Some(Duration::from_millis(due.0).saturating_sub(self.system.elapsed()))
    }

    /// Hands on what the system reports; returns the signals in it.
    fn note_events(&mut self) -> Signalled {
        let Self { system, engine, listeners, lobby, .. } = self;
        let mut signalled = Signalled::default();
        let are_all = system.report(|ready| match ready {
            Ready::Peer { index, readable, ended, writable } => {
                if readable {
                    engine.readable(index, ended);
                }
                if writable {
                    engine.writable(index);
                }
            }
            Ready::Listener(number) => {
                if let Some(listener) = listeners.iter_mut().find(|listener| listener.number == number) {
                    listener.notify();
                }
            }
            Ready::Waiting(key) => lobby.readable(key),
            Ready::Woken => signalled.woken = true,
            Ready::Reload => signalled.reload = true,
            Ready::Stop => signalled.stop = true,
            Ready::HandOver => signalled.hand_over = true,
        });
        Signalled { are_all, ..signalled }
    }

    /// Another process takes over: whoever comes from now on waits for it. Those who have just come have a moment to be
    /// let in, or to get what they ask for; then the stop begins.
    fn begin_to_hand_over(&mut self, service: &mut impl Service<S>, now: Moment) {
        log::info!("another Salon takes over");
        self.system.set_aside();
        self.listeners.clear();
        self.hands_over = true;
        if self.stopping.is_none() {
            self.leaves_at = Some(now.tick + JUST_COME);
            service.leave(JUST_COME + self.stop_within);
        }
    }

    /// The first signal starts the stop, the second ends it: then this returns `true`. With a time to leave in, the
    /// first starts that, and its end, or a further signal, is the first.
    fn begin_stop(&mut self, service: &mut impl Service<S>, now: Moment) -> bool {
        if self.stopping.is_some() {
            log::warn!("stopped at once: {} connections dropped", self.engine.len());
            return true;
        }
        if self.leaves_at.is_none() && !self.stop_after.is_zero() {
            self.leaves_at = Some(now.tick + self.stop_after);
            let seconds = self.stop_after.as_secs();
            log::info!(
                "stopping in {seconds} s, or at another signal; /readyz says so, and all else goes on till then"
            );
            service.leave(self.stop_after + self.stop_within);
            return false;
        }
        let connections = self.engine.len();
        log::info!("stopping: closing {connections} connections");
        // A client that comes to a socket that another process holds as well waits there for the next server. Salon
        // listens on the others to the end, and always on the operator's: a client that comes gets 503, and so does a
        // probe of `/readyz`.
        let system = &mut self.system;
        self.listeners.retain(|listener| {
            let leaves = system.is_handed_over(listener.number) && listener.port != Port::Admin;
            if leaves {
                system.stop_listening(listener.number);
            }
            !leaves
        });
        self.listeners.iter_mut().for_each(Listener::notify);
        let turn = &mut Turn { engine: &mut self.engine, admission: &mut self.admission, now };
        service.shut_down(turn, self.stop_within);
        let (close_at, until) = (now.tick + self.stop_within / 2, now.tick + self.stop_within);
        self.stopping = Some(Stop { until, close_at, closed: false, connections });
        self.close_in_time(service, now.tick);
        false
    }

    /// Closes all connections of a server that stops, once open requests have their answers.
    fn close_in_time(&mut self, service: &mut impl Service<S>, now: Tick) {
        if let Some(stop) = self.stopping.as_mut().filter(|stop| !stop.closed)
            && (service.is_idle() || stop.close_at <= now)
        {
            stop.closed = true;
            service.close_all(&mut self.engine);
            // The closing of slow clients keeps nobody waiting at the other process.
            if self.hands_over && service.is_idle() {
                service.let_go();
                self.system.let_go();
            }
        }
    }

    /// How many more connections a listener may accept. Those of the operator and those of everybody else do not count
    /// for each other.
    fn room_for(&self, listener: &Listener) -> usize {
        let room = match listener.port {
            // And one more, which comes in while another one makes room.
            Port::Admin => (ADMIN_RESERVE + 1).saturating_sub(self.operators),
            _ => self.room_for_clients(),
        };
        if listener.proxy_protocol { room.min(self.lobby.room()) } else { room }
    }

    /// Places of clients that are free, and those in which they are refused.
    fn room_for_clients(&self) -> usize {
        let free = self.max_connections.saturating_sub(self.clients());
        (free + REFUSALS.saturating_sub(self.refused)).saturating_sub(self.lobby.len())
    }

    /// Connections of clients, but for those that are refused.
    fn clients(&self) -> usize {
        self.engine.len() - self.operators - self.refused
    }

    fn may_accept(&self) -> bool {
        self.listeners.iter().any(|listener| listener.is_ready() && self.room_for(listener) > 0)
    }

    fn accept(&mut self, now: Tick) {
        // Where there is little room, one listener to which many come would leave none for the others: each begins
        // behind the one that was served last.
        let (first, count) = (self.first, self.listeners.len());
        for at in (first..first + count).map(|at| at % count) {
            let room = self.room_for(&self.listeners[at]);
            let Self { system, listeners, arrivals, .. } = &mut *self;
            let (listener, budget) = (&mut listeners[at], ACCEPTS_PER_TURN.min(room));
            let failed = listener.accept(system, budget, now, |raw, address| arrivals.push((raw, address)));
            let (port, tls, proxy_protocol) = (listener.port, listener.tls, listener.proxy_protocol);
            let mut arrivals = std::mem::take(arrivals);
            self.lost.accept += u64::from(failed);
            if !arrivals.is_empty() {
                self.first = (at + 1) % count;
            }
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
            let late = if self.patience == Patience::None { now } else { Tick(0) };
            let dropped = self.lobby.turn(late, |connection| announced.push(connection));
            for proxy in dropped {
                let _ = self.admission.refuse(Reason::NoProxyHeader, proxy, now);
            }
            for Announced { raw, client, tls } in announced {
                self.take_in(Arrival { raw, client, port: Port::Public, tls, watched: true }, now);
            }
        }
    }

    /// A connection that must begin with a PROXY header.
    fn let_wait(&mut self, mut raw: RawOf<S>, proxy: Option<IpAddr>, tls: bool, now: Tick) {
        let watched = Watched::Waiting(self.lobby.next_key());
        if !self.admission.proxies().trust(proxy) {
            log::debug!("dropped: {proxy:?} is no --trusted-proxy");
            let _ = self.admission.refuse(Reason::NoProxyHeader, proxy, now);
        } else if let Err(error) = self.system.watch(raw.lend(), watched) {
            log::warn!("cannot watch a connection, dropping it: {error}");
            self.lost.watch += 1;
        } else {
            self.lobby.insert(raw, proxy, tls, now);
        }
    }

    /// A connection becomes one of the engine's.
    fn take_in(&mut self, Arrival { raw, client, port, tls, watched }: Arrival<S>, now: Tick) {
        // A client behind a proxy is counted when its request has named it.
        let verdict = match client {
            Some(client) if port.is_public() && !self.admission.proxies().trust(Some(client)) => {
                self.admission.admit(client, now)
            }
            _ => Verdict::Welcome { counted: false },
        };
        let short = port.is_public() && self.memory.is_short();
        let full = short || port.is_public() && self.clients() >= self.max_connections;
        // One reason for each: a connection over the limit of an address has been noted for that.
        let no_room = (full && verdict.is_welcome())
            .then(|| self.admission.refuse(if short { Reason::Memory } else { Reason::Full }, client, now));
        let (tag, counted, told) = match verdict {
            Verdict::Dropped(_) => return,
            Verdict::TooFast(told) => (Port::TooFast, true, Some(told)),
            // A page of the chat is for the other ports.
            Verdict::TooMany(told) if !full && port != Port::Redirect => (Port::Crowded, true, Some(told)),
            Verdict::TooMany(told) => (Port::Refused, true, Some(told)),
            Verdict::Welcome { counted } if no_room.is_some() => (Port::Refused, counted, no_room),
            Verdict::Welcome { counted } if port == Port::Public && tls => (Port::Secure, counted, None),
            Verdict::Welcome { counted } => (port, counted, None),
        };
        // So many wait for such an answer already, and take no place of a client; or it would take a handshake, which
        // is what costs, to say that there are too many.
        if told.is_some() && self.refused >= REFUSALS || tls && tag == Port::TooFast {
            if let Some(client) = client.filter(|_| counted) {
                self.admission.release(client);
            }
            return;
        }
        let tls = self.acceptors.of(port == Port::Admin).filter(|_| tls).map(Acceptor::accept);
        let (tls, broken) = match tls {
            None => (None, false),
            Some(Ok(tls)) => (Some(tls), false),
            Some(Err(error)) => {
                log::warn!("TLS cannot begin, dropping a connection: {error}");
                self.lost.tls += 1;
                (None, true)
            }
        };
        let mut socket = Socket::new(raw, tls, client, counted);
        if port == Port::Admin {
            socket.give_to_operator();
            self.operators += 1;
        }
        if let Some(told) = told {
            socket.refuse(told);
            self.refused += 1;
        }
        if self.stopping.is_some_and(|stop| stop.closed) {
            socket.note_late();
            self.late += 1;
        }
        let id = self.engine.insert(socket, tag as u8);
        if port == Port::Admin {
            self.seat_stranger(id, client, now);
        }
        let raw = self.engine.stream_mut(id).expect("just inserted").raw();
        let watched = match watched {
            true => self.system.watch_as(raw, Watched::Peer(id.index)),
            false => self.system.watch(raw, Watched::Peer(id.index)),
        };
        if let Err(error) = &watched {
            log::warn!("cannot watch a connection, dropping it: {error}");
            self.lost.watch += 1;
        }
        if broken || watched.is_err() {
            self.engine.abort(id);
        }
    }

    /// A connection has come to the admin port and has shown no key: if there are too many such, another one makes
    /// room.
    fn seat_stranger(&mut self, id: ConnId, from: Option<IpAddr>, now: Tick) {
        let engine = &self.engine;
        self.strangers.keep(|id| engine.stream(id).map_or(Shown::Key, Socket::shown));
        if let Some(id) = self.strangers.come(id, from, self.operators > ADMIN_RESERVE) {
            let client = self.engine.stream(id).and_then(Socket::client);
            let _ = self.admission.refuse(Reason::MadeRoom, client, now);
            self.engine.abort(id);
        }
    }

    fn tell_events(&mut self, service: &mut impl Service<S>, now: Moment) {
        let counters = self.engine.counters().clone();
        let connections = self.engine.len() - self.operators;
        loop {
            let seen = Seen {
                now,
                turns: &self.turns,
                latency: &self.latency,
                counters: &counters,
                connections,
                admin_connections: self.operators,
                max_connections: self.max_connections,
                lost: self.lost,
                admission: &self.admission,
                tls: &self.acceptors,
                memory: &self.memory,
                process: S::process,
            };
            let handle = |id, tag, event: Event<'_>| (id, service.handle(id, Port::of_tag(tag), event, &seen));
            let Some((id, then)) = self.engine.next_event(handle) else { break };
            service.carry_out(id, then, &mut Turn { engine: &mut self.engine, admission: &mut self.admission, now });
        }
    }
}

fn tick(elapsed: Duration) -> Tick {
    Tick(elapsed.as_millis() as u64)
}

/// What was reported in one turn: whether that was all, and the requests of signals and the waker.
#[derive(Clone, Copy, Debug, Default)]
struct Signalled {
    are_all: bool,
    woken: bool,
    reload: bool,
    stop: bool,
    hand_over: bool,
}

/// How long those who have just come have, before a process that hands over turns everybody away.
pub const JUST_COME: Duration = Duration::from_millis(250);

/// How long the loop waits for connections to close when a turn has panicked.
const BREAK_OFF_WITHIN: Duration = Duration::from_millis(500);

/// How old the last look at the work may be when a turn begins: to look costs half a microsecond, so that it is not
/// done in each turn. As much of a standstill amid a turn may be taken for work.
const WORK_LOOKED_AT: Duration = Duration::from_millis(100);

/// The most connections accepted from one listener in one turn.
const ACCEPTS_PER_TURN: usize = 128;

/// Connections beyond the limit that are accepted to be answered 503; further ones wait in the backlog.
pub const REFUSALS: usize = 64;

/// Connections that the admin port can have, beside those of clients. One that has shown no key keeps its place only
/// while nobody else needs it.
pub const ADMIN_RESERVE: usize = 64;
