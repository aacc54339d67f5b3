//! Time, and what goes through it: bytes on their way, a backlog of connections, and whatever else happens at an
//! instant. Clients have one side of a [`Link`], the server has the other by [`super::machine`].
//!
//! A link behaves as TCP does under an edge-triggered poller: bytes come in order and in pieces of any size, a full
//! window is reported once it is half empty, a socket that is closed with unread bytes resets the connection.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::IpAddr;

use crate::server::system::{Ready, Watched};

use super::chance::Chance;
use super::plan::{Fault, Plan};
use super::trace::Trace;

pub use super::trace::Time;

/// A second.
pub const SECOND: Time = 1_000_000;

/// Something that happens at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something has come to the server, or to the client.
    Arrive {
        /// On which link.
        link: usize,
        /// To the server.
        up: bool,
    },
    /// A connection is asked for.
    Knock(usize),
    /// A connection stands, or is refused, as its client hears.
    Answered(usize),
    /// A client that had stopped reading reads on.
    Read(usize),
    /// An actor has something to do.
    Act(usize),
    /// The store of a host has something to say.
    Store(usize),
    /// Something beside the loop of a node is to be done.
    #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
    Errand(usize, Errand),
    /// A fault of the machine or of its operator.
    Strike(Fault),
    /// The same, as soon as the server has asked somebody whether they are there, or has begun to part with somebody.
    Lurk(Fault),
    /// It is looked whether all is well.
    Look,
}

/// What is done beside the loop of a node, by its other threads or by whoever starts it.
#[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A node is started.
    Start,
    /// Its store does what it was asked.
    Work,
    /// What others have said comes to it.
    Words,
    /// It is time for the one that began then to say that it lives.
    Beat(Time),
    /// The one that began then looks whether it hears, and whether its Redis answers.
    Mend(Time),
    /// Something breaks between it and its Redis, or at that.
    Woe(Fault),
    /// That is over.
    Over(Fault),
}

#[derive(Debug, PartialEq, Eq)]
struct Due {
    at: Time,
    order: u64,
    event: Event,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What goes over a link.
#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
    Reset,
}

#[derive(Debug, Default)]
struct Way {
    flying: VecDeque<(Time, Piece)>,
    last: Time,
    /// Bytes that have come and are not taken.
    here: VecDeque<u8>,
    bytes_flying: usize,
    /// The end has come.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    /// It will send nothing more.
    Ended,
    Gone,
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    /// The actor whose it is.
    pub owner: usize,
    /// Where it leads.
    pub host: usize,
    listener: usize,
    /// Where it comes from.
    pub address: IpAddr,
    latency: Time,
    up: Way,
    down: Way,
    client: Side,
    server: Side,
    /// The server has accepted it.
    pub accepted: bool,
    /// When it was.
    pub accepted_at: Time,
    /// Nothing comes through any more, and nobody is told.
    vanished: bool,
    /// A reset has come to the server.
    broken: bool,
    refused: bool,
    /// When it was asked for at the machine.
    knocked_at: Time,
    /// In which life of the server it was accepted.
    pub life: u32,
    /// When the server has let it go.
    gone_at: Option<Time>,
    watched: Option<Watched>,
    readable: bool,
    writable: bool,
    queued: bool,
    /// The server has found no room, and until when it had none last.
    starved: bool,
    pub starved_until: Time,
    /// The server owes it answers, and reads no more of it until its store has given some.
    pub owed_much: bool,
    /// It has found no room once: what is said in a room may come by a replay from then on.
    pub choked: bool,
    /// The client does not read until then.
    stalled: Time,
    /// The turn in which unread bytes came first.
    pub unread_since: Option<u64>,
    /// When something came to the server last.
    pub last_up: Time,
    /// When its client's end has come to the server.
    pub ended: Option<Time>,
    /// Its client has heard that it is a WebSocket.
    pub upgraded: bool,
    /// Its client has heard that it is not let in: nobody is here by it.
    pub turned_away: bool,
    /// When the server has written to it last, and when something had come to the server last by then.
    written: (Time, Time),
    /// When something had come last, as the server was stopped amid a turn.
    last_up_before: Time,
}

/// What a link brings its client.
#[derive(Debug)]
pub enum Brought {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The server has ended its side.
    End,
    /// The connection is broken.
    Reset,
}

/// The world without its people: time, links, the state of the machine.
#[derive(Debug)]
pub struct Network {
    /// Now.
    pub now: Time,
    /// How far the wall clock is ahead, in milliseconds.
    pub wall: i64,
    /// The numbers of the world.
    pub chance: Chance,
    /// What was drawn.
    pub plan: Plan,
    /// Whether faults happen now.
    pub faulty: bool,
    due: BinaryHeap<Due>,
    order: u64,
    /// The machines that servers run on: one, or one for each node.
    pub hosts: Vec<Host>,
    /// All links that ever were.
    pub links: Vec<Link>,
    /// Those that are not gone on either side.
    pub live: Vec<usize>,
    /// When a server has let a connection of an actor go last.
    pub parted: BTreeMap<usize, Time>,
    /// Faults that wait for the server to be amid something.
    pub lurking: Vec<Fault>,
    /// The operator is in a hurry until then.
    pub hurry_until: Time,
    /// What happened.
    pub trace: Trace,
}

/// A machine that a server runs on, and what has come to it.
#[derive(Debug, Default)]
pub struct Host {
    backlogs: [VecDeque<usize>; LISTENERS],
    knocked: [bool; LISTENERS],
    edges: VecDeque<usize>,
    /// The store wants to be heard.
    pub woken: bool,
    /// The operator asks for settings to be read, or for the end.
    pub reload: bool,
    /// The same for the end.
    pub stop: bool,
    /// When the server has heard in this life that it is to end.
    pub stops: Vec<Time>,
    /// Whether there is a server: a machine without power answers nothing, one without a server refuses.
    pub up: bool,
    /// Whether the machine has no power.
    pub dark: bool,
    /// The process has been killed; with power: the whole machine.
    pub crash: Option<bool>,
    /// Which life of the server it is.
    pub life: u32,
    /// The machine stands still until then: nothing comes to it.
    pub asleep_until: Time,
    /// The process stands still until then.
    pub frozen_until: Time,
    /// When the server could run last, after it could not.
    pub thawed: Time,
    /// When the server has noticed last that it had stood still.
    pub woken_at: Time,
    /// The process is to be stopped amid a turn.
    pub stop_amid: Option<StopAmid>,
    /// When it was, in the turn that goes on.
    pub stopped_at: Option<Time>,
    /// There are no descriptors until then.
    no_descriptors_until: Time,
    /// The server has no room for a connection, and when it had none last.
    pub full: bool,
    pub full_at: Time,
    /// Turns since the beginning.
    pub turns: u64,
    /// What moved since the last turn.
    pub moved: u64,
    /// Messages that the server had taken in at the end of its last turn.
    taken_in: u64,
}

/// A stop of the process that waits for the server to be amid a turn.
#[derive(Clone, Copy, Debug)]
pub struct StopAmid {
    /// How long it takes.
    pub wait: Time,
    /// Whether the machine stops with it.
    pub with_machine: bool,
    /// It begins behind so many calls of the system.
    pub calls: u64,
    /// And these count from when the server has read a part of what somebody sends, whose rest is on its way.
    pub behind_a_part: bool,
}

impl Host {
    /// Whether there is something to report.
    pub fn is_ready(&self) -> bool {
        !self.edges.is_empty() || self.woken || self.reload || self.stop || self.knocked.iter().any(|&knocked| knocked)
    }
}

/// How many listeners there are: the public one, the operator's, and the proxy's.
pub const LISTENERS: usize = 3;

/// The public listener.
pub const PUBLIC: usize = 0;
/// The operator's.
pub const ADMIN: usize = 1;
/// That of a proxy that speaks the PROXY protocol.
pub const PROXY: usize = 2;

impl Network {
    /// A world in which nothing has happened.
    pub fn new(plan: Plan, trace: Trace) -> Self {
        let hosts = (0..plan.nodes.max(1)).map(|_| Host::default()).collect();
        Self {
            now: 0,
            wall: 1_763_776_800_000,
            chance: Chance::of_tape(&plan.tape, plan.seed ^ 0x005e_ed0f_a110_cea5),
            plan,
            faulty: true,
            due: BinaryHeap::new(),
            order: 0,
            hosts,
            links: Vec::new(),
            live: Vec::new(),
            parted: BTreeMap::new(),
            lurking: Vec::new(),
            hurry_until: 0,
            trace,
        }
    }

    /// A world of this seed in which nothing goes wrong, and a connection in it that the server has accepted.
    #[cfg(test)]
    pub fn standing(seed: u64) -> (Self, usize) {
        let wish = super::plan::Wish { faults: Some(Vec::new()), ..super::plan::Wish::default() };
        let mut net = Self::new(Plan::draw(seed, &wish), Trace::new(0));
        net.come_up(0);
        let link = net.connect(0, PUBLIC, super::plan::NEAR);
        net.knock(link);
        net.accept(0, PUBLIC).expect("it has knocked");
        (net, link)
    }

    /// The time for people.
    pub fn unix_ms(&self) -> u64 {
        self.wall.saturating_add_unsigned(self.now / 1000).max(0).cast_unsigned()
    }

    /// Has something happen at an instant that is not past.
    pub fn at(&mut self, at: Time, event: Event) {
        self.order += 1;
        self.due.push(Due { at: at.max(self.now), order: self.order, event });
    }

    /// Has something happen after a while.
    pub fn after(&mut self, wait: Time, event: Event) {
        self.at(self.now + wait, event);
    }

    /// Goes on to the next thing that happens until then.
    pub fn next(&mut self, until: Time) -> Option<Event> {
        if self.due.peek().is_none_or(|due| due.at > until) {
            return None;
        }
        let Due { at, event, .. } = self.due.pop()?;
        self.now = self.now.max(at);
        self.trace.step();
        Some(event)
    }

    /// Whether a fault that happens once in a number of occasions happens now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.plan.rate(fault);
        self.faulty && rate > 0 && self.chance.one_in(rate)
    }

    // What happens to links ------------------------------------------------------------------------------------------

    /// A client asks for a connection, to any host; returns the link, which stands when `Answered` says so.
    pub fn connect(&mut self, owner: usize, listener: usize, address: IpAddr) -> usize {
        let host = match self.hosts.len() as u64 {
            1 => 0,
            hosts => self.chance.below(hosts) as usize,
        };
        let latency = self.plan.latency / 2 + self.chance.below(self.plan.latency + 1);
        let link = self.links.len();
        self.links.push(Link {
            owner,
            host,
            listener,
            address,
            latency,
            up: Way::default(),
            down: Way::default(),
            client: Side::Open,
            server: Side::Open,
            accepted: false,
            accepted_at: 0,
            vanished: false,
            broken: false,
            refused: false,
            knocked_at: 0,
            life: 0,
            gone_at: None,
            watched: None,
            readable: false,
            writable: false,
            queued: false,
            starved: false,
            starved_until: 0,
            owed_much: false,
            choked: false,
            stalled: 0,
            unread_since: None,
            last_up: self.now,
            ended: None,
            upgraded: false,
            turned_away: false,
            written: (self.now, self.now),
            last_up_before: self.now,
        });
        self.live.push(link);
        self.after(latency, Event::Knock(link));
        link
    }

    /// A connection is asked for at the machine.
    pub fn knock(&mut self, link: usize) {
        let Link { host, listener, latency, .. } = self.links[link];
        if self.hosts[host].dark || self.links[link].client == Side::Gone {
            return self.forget_if_gone(link);
        }
        if self.hosts[host].up {
            self.links[link].knocked_at = self.now;
            // It begins here, also if the power has failed and come back since it was sent.
            (self.links[link].server, self.links[link].vanished) = (Side::Open, false);
            self.hosts[host].backlogs[listener].push_back(link);
            self.hosts[host].knocked[listener] = true;
        } else {
            self.links[link].refused = true;
        }
        self.after(latency, Event::Answered(link));
    }

    /// Whether the client's connection stands now; else it was refused.
    pub fn stands(&self, link: usize) -> bool {
        !self.links[link].refused
    }

    /// Whether its client has let go of it.
    pub fn is_let_go(&self, link: usize) -> bool {
        self.links[link].client == Side::Gone
    }

    /// For how long a process stands still, and whether its machine does.
    pub fn draw_standstill(&mut self) -> (Time, bool) {
        let (from, to) =
            *self.chance.pick(&[(SECOND / 2, 3 * SECOND), (3 * SECOND, 16 * SECOND), (16 * SECOND, 90 * SECOND)]);
        (self.chance.within(from, to), self.chance.one_in(2))
    }

    /// The server of a host does something amid a turn; returns for how long it is stopped before that, if it is.
    pub fn stops_amid(&mut self, host: usize) -> Option<Time> {
        let faulty = self.faulty;
        let it = &mut self.hosts[host];
        let stop = it.stop_amid.as_mut().filter(|stop| !stop.behind_a_part)?;
        stop.calls = stop.calls.saturating_sub(1);
        if stop.calls > 0 {
            return None;
        }
        let StopAmid { wait, with_machine, .. } = it.stop_amid.take().filter(|_| faulty)?;
        (it.frozen_until, it.thawed, it.stopped_at) = (self.now + wait, self.now + wait, Some(self.now));
        if with_machine {
            it.asleep_until = it.frozen_until;
        }
        for &link in &self.live {
            self.links[link].last_up_before = self.links[link].last_up;
        }
        self.trace.tell(self.now, || format!("the process is stopped amid a turn, for {:.1} s", wait as f64 / 1e6));
        Some(wait)
    }

    /// The client sends bytes.
    pub fn send(&mut self, link: usize, bytes: &[u8]) {
        if bytes.is_empty() || self.links[link].client != Side::Open {
            return;
        }
        self.trace.note(link as u64, bytes);
        self.fly(link, true, bytes);
    }

    /// The client ends its side and reads on.
    pub fn end(&mut self, link: usize) {
        if self.links[link].client == Side::Open {
            self.links[link].client = Side::Ended;
            self.push(link, true, Piece::End);
        }
    }

    /// The client is done with a connection.
    pub fn close(&mut self, link: usize) {
        self.end(link);
        self.links[link].client = Side::Gone;
        self.forget_if_gone(link);
    }

    /// The client breaks a connection.
    pub fn reset(&mut self, link: usize) {
        if self.links[link].client != Side::Gone {
            self.links[link].client = Side::Gone;
            self.push(link, true, Piece::Reset);
        }
        self.forget_if_gone(link);
    }

    /// Nothing goes through this link any more, and nobody is told.
    pub fn vanish(&mut self, link: usize) {
        self.links[link].vanished = true;
        self.links[link].client = Side::Gone;
        self.forget_if_gone(link);
    }

    /// The client reads nothing for a while.
    pub fn stall(&mut self, link: usize, wait: Time) {
        self.links[link].stalled = self.now + wait;
        self.after(wait, Event::Read(link));
    }

    /// Whether the client has taken everything that was written to it.
    pub fn takes_all(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.down.bytes_flying == 0 && !link.starved
    }

    /// How long before the last bytes of the server something had come to it, if that was too short a time for it to
    /// say that nothing comes.
    pub fn spoken_before(&self, link: usize) -> Option<Time> {
        let (at, spoken) = self.links[link].written;
        let within = self.plan.settings.engine.pong_within.as_micros() as Time;
        // A server that has stood still asks once more.
        let woken_at = self.hosts[self.links[link].host].woken_at;
        let heard = if at >= woken_at { spoken.max(woken_at) } else { spoken };
        Some(at - heard).filter(|silent| silent + SECOND / 10 < within)
    }

    /// Bytes of the client that the server has not taken.
    pub fn untaken(&self, link: usize) -> usize {
        let link = &self.links[link];
        link.up.bytes_flying + link.up.here.len()
    }

    fn fly(&mut self, link: usize, up: bool, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let whole = !self.strikes(Fault::Pieces) || bytes.len() == 1;
            let len = if whole { bytes.len() } else { self.chance.skewed(1, bytes.len() as u64 - 1) as usize };
            let (piece, rest) = bytes.split_at(len);
            self.push(link, up, Piece::Bytes(piece.to_vec()));
            bytes = rest;
        }
    }

    fn push(&mut self, link: usize, up: bool, piece: Piece) {
        let delayed = self.strikes(Fault::Delay);
        let late = if delayed { self.chance.skewed(1_000, 3 * SECOND) } else { 0 };
        let Link { latency, up: to_server, down, .. } = &mut self.links[link];
        let way = if up { to_server } else { down };
        if let Piece::Bytes(bytes) = &piece {
            way.bytes_flying += bytes.len();
        }
        let at = way.last.max(self.now + *latency + late);
        way.last = at;
        way.flying.push_back((at, piece));
        self.at(at, Event::Arrive { link, up });
    }

    /// Something has come to the server.
    pub fn arrive_up(&mut self, link: usize) {
        let host = self.links[link].host;
        let (now, turn) = (self.now, self.hosts[host].turns);
        let it = &mut self.links[link];
        let (mut answer, mut news) = (false, false);
        while it.up.flying.front().is_some_and(|(at, _)| *at <= now) {
            let (_, piece) = it.up.flying.pop_front().expect("looked at");
            if let Piece::Bytes(bytes) = &piece {
                it.up.bytes_flying -= bytes.len();
            }
            if it.vanished || it.refused {
                continue;
            }
            if it.server == Side::Gone {
                answer |= matches!(piece, Piece::Bytes(_));
                continue;
            }
            match piece {
                Piece::Bytes(bytes) => {
                    it.up.here.extend(bytes);
                    it.unread_since.get_or_insert(turn);
                    it.last_up = now;
                }
                Piece::End => (it.up.ended, it.ended) = (true, Some(now)),
                Piece::Reset => (it.broken, it.ended) = (true, Some(now)),
            }
            it.readable = true;
            news = true;
        }
        if news {
            self.edge(link);
        }
        if answer && !self.hosts[host].dark {
            self.push(link, false, Piece::Reset);
        }
    }

    /// What has come to the client, one after the other.
    pub fn arrive_down(&mut self, link: usize) -> Option<Brought> {
        let now = self.now;
        let it = &mut self.links[link];
        if it.vanished {
            it.down.flying.retain(|(at, _)| *at > now);
            return None;
        }
        if it.stalled > now {
            return None;
        }
        if it.down.flying.front().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, piece) = it.down.flying.pop_front().expect("looked at");
        if let Piece::Bytes(bytes) = &piece {
            it.down.bytes_flying -= bytes.len();
        }
        if it.client == Side::Gone {
            let bytes = matches!(piece, Piece::Bytes(_));
            if bytes && it.server != Side::Gone {
                self.push(link, true, Piece::Reset);
            }
            return self.arrive_down(link);
        }
        self.make_room(link);
        Some(match piece {
            Piece::Bytes(bytes) => Brought::Bytes(bytes),
            Piece::End => Brought::End,
            Piece::Reset => Brought::Reset,
        })
    }

    /// There is room for the server's bytes, and it is told so if that is half of the window.
    fn make_room(&mut self, link: usize) {
        let (window, it) = (self.plan.window, &mut self.links[link]);
        if it.starved && it.down.bytes_flying <= window / 2 {
            (it.starved, it.starved_until) = (false, self.now);
            it.writable = true;
            self.edge(link);
        }
    }

    fn edge(&mut self, link: usize) {
        let it = &mut self.links[link];
        if it.watched.is_some() && !it.queued {
            it.queued = true;
            self.hosts[it.host].edges.push_back(link);
        }
    }

    fn forget_if_gone(&mut self, link: usize) {
        let it = &self.links[link];
        let never = !it.accepted && (!self.hosts[it.host].up || it.refused);
        if it.client == Side::Gone && (it.server == Side::Gone || never) {
            self.live.retain(|&other| other != link);
        }
    }

    // The server's side ----------------------------------------------------------------------------------------------

    /// Reports what has come to a host, and returns whether that was all.
    pub fn report(&mut self, host: usize, mut note: impl FnMut(Ready)) -> bool {
        let most = self.plan.at_once;
        let host = &mut self.hosts[host];
        if std::mem::take(&mut host.woken) {
            note(Ready::Woken);
        }
        if std::mem::take(&mut host.reload) {
            note(Ready::Reload);
        }
        if std::mem::take(&mut host.stop) {
            host.stops.push(self.now);
            note(Ready::Stop);
        }
        for (listener, knocked) in host.knocked.iter_mut().enumerate() {
            if std::mem::take(knocked) {
                note(Ready::Listener(listener));
            }
        }
        for _ in 0..most {
            let Some(link) = host.edges.pop_front() else { return true };
            let it = &mut self.links[link];
            it.queued = false;
            let ended = it.up.ended || it.broken;
            let (readable, writable) = (std::mem::take(&mut it.readable), std::mem::take(&mut it.writable));
            let writable = writable || it.broken || readable && !it.starved;
            match it.watched {
                Some(Watched::Peer(index)) => note(Ready::Peer { index, readable, ended, writable }),
                Some(Watched::Waiting(key)) => note(Ready::Waiting(key)),
                None => {}
            }
        }
        host.edges.is_empty()
    }

    /// The next connection of a listener of a host.
    pub fn accept(&mut self, host: usize, listener: usize) -> io::Result<(usize, IpAddr)> {
        if self.strikes(Fault::Accept) {
            self.hosts[host].no_descriptors_until = self.now + self.chance.skewed(1_000, 5 * SECOND);
        }
        let host = &mut self.hosts[host];
        if host.no_descriptors_until > self.now {
            return Err(io::Error::other("too many open files"));
        }
        let Some(link) = host.backlogs[listener].pop_front() else { return Err(io::ErrorKind::WouldBlock.into()) };
        host.moved += 1;
        let it = &mut self.links[link];
        (it.accepted, it.accepted_at, it.life) = (true, self.now, host.life);
        (it.unread_since, it.last_up) = (None, self.now);
        Ok((link, self.links[link].address))
    }

    /// Notes of each link of a host whether its peer is owed so much that it is not read. What it has said since, and
    /// its end, count from when that is over: the server waits for its store.
    pub fn note_owed(&mut self, host: usize, is_owed_much: impl Fn(u32) -> bool) {
        for &link in &self.live {
            let it = &mut self.links[link];
            if it.host != host {
                continue;
            }
            let owed_much = matches!(it.watched, Some(Watched::Peer(index)) if is_owed_much(index));
            if owed_much || it.owed_much {
                it.unread_since = it.unread_since.map(|_| self.hosts[host].turns);
                it.ended = it.ended.map(|_| self.now);
                it.last_up = self.now;
            }
            it.owed_much = owed_much;
        }
    }

    /// Reports a link from now on, and at once what there is.
    pub fn watch(&mut self, link: usize, of: Watched) {
        let it = &mut self.links[link];
        it.watched = Some(of);
        it.writable = true;
        it.readable = !it.up.here.is_empty() || it.up.ended || it.broken;
        it.unread_since = it.readable.then_some(self.hosts[it.host].turns);
        self.edge(link);
    }

    /// The server looks at what it will read.
    pub fn peek(&self, link: usize, into: &mut [u8]) -> io::Result<usize> {
        let it = &self.links[link];
        match it.up.here.len().min(into.len()) {
            _ if it.broken => Err(io::ErrorKind::ConnectionReset.into()),
            0 if it.up.ended => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => {
                into.iter_mut().zip(&it.up.here).for_each(|(place, byte)| *place = *byte);
                Ok(len)
            }
        }
    }

    /// The server reads.
    pub fn read(&mut self, link: usize, into: &mut [u8]) -> io::Result<usize> {
        let it = &mut self.links[link];
        if it.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let len = it.up.here.len().min(into.len());
        if len == 0 {
            return if it.up.ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let host = &mut self.hosts[it.host];
        let waited = it.unread_since.map_or(0, |since| host.turns - since);
        if waited > MOST_TURNS && !it.starved && it.owner < self.plan.clients {
            let owner = it.owner;
            self.trace.fail(14, self.now, || format!("client {owner} is read {waited} turns after it has spoken"));
        }
        for (place, byte) in into.iter_mut().zip(it.up.here.drain(..len)) {
            *place = byte;
        }
        it.unread_since = (!it.up.here.is_empty()).then_some(host.turns);
        host.moved += 1;
        if let Some(stop) = &mut host.stop_amid {
            stop.behind_a_part &= it.up.bytes_flying == 0;
        }
        Ok(len)
    }

    /// The server writes.
    pub fn write(&mut self, link: usize, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let it = &mut self.links[link];
        if it.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if it.server != Side::Open {
            let text = "bytes are written behind the end of a connection";
            self.trace.fail(8, self.now, || text.into());
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.plan.window.saturating_sub(it.down.bytes_flying);
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let len = room.min(offered);
        it.starved |= len < offered;
        it.choked |= it.starved;
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // What it says behind a stop amid its turn, it may have meant to say before.
        it.written = match self.hosts[it.host].stopped_at {
            Some(at) => (at, it.last_up_before),
            None => (self.now, it.last_up),
        };
        let mut bytes = Vec::with_capacity(len);
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(len - bytes.len())]);
        }
        self.hosts[it.host].moved += 1;
        self.trace.note(!(link as u64), &bytes);
        if matches!(bytes.first(), Some(&(PING | CLOSE)))
            && let Some(fault) = self.lurking.pop()
        {
            // Before the answer has come, more often than not; a process is stopped in this very turn, or later.
            let host = self.links[link].host;
            if fault == Fault::Freeze && self.plan.has_one_server() && self.chance.one_in(2) {
                let ((wait, with_machine), calls) = (self.draw_standstill(), self.chance.skewed(1, 8));
                self.hosts[host].stop_amid = Some(StopAmid { wait, with_machine, calls, behind_a_part: false });
            } else {
                let wait = self.chance.skewed(1, 2 * self.plan.latency);
                self.after(wait, Event::Strike(fault));
            }
        }
        self.fly(link, false, &bytes);
        Ok(len)
    }

    /// The server ends its side.
    pub fn shut_down(&mut self, link: usize) -> io::Result<()> {
        let it = &mut self.links[link];
        if it.broken {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if it.server == Side::Open {
            it.server = Side::Ended;
            self.hosts[it.host].moved += 1;
            self.push(link, false, Piece::End);
        }
        Ok(())
    }

    /// The server lets a connection go.
    pub fn let_go(&mut self, link: usize) {
        self.trace.tell(self.now, || format!("the server lets link {link} go"));
        let it = &mut self.links[link];
        let side = std::mem::replace(&mut it.server, Side::Gone);
        (it.watched, it.gone_at) = (None, Some(self.now));
        self.parted.insert(it.owner, self.now);
        let piece = match (it.broken, it.up.here.is_empty()) {
            (true, _) => None,
            // Unread bytes: the system answers them with a reset.
            (false, false) => Some(Piece::Reset),
            (false, true) => (side == Side::Open).then_some(Piece::End),
        };
        it.up.here = VecDeque::new();
        if let Some(piece) = piece
            && !self.hosts[self.links[link].host].dark
        {
            self.push(link, false, piece);
        }
        self.forget_if_gone(link);
    }

    /// A server has taken in so many messages: a turn that takes in what was read before is not idle.
    pub fn note_taken_in(&mut self, host: usize, messages: u64) {
        let host = &mut self.hosts[host];
        host.moved += u64::from(std::mem::replace(&mut host.taken_in, messages) != messages);
    }

    /// For how long a connection has waited that the server of a host could have accepted.
    pub fn waits_to_be_accepted(&self, host: usize) -> Time {
        let host = &self.hosts[host];
        let since = |link: &usize| self.links[*link].knocked_at.max(host.no_descriptors_until).max(host.full_at);
        let first = host.backlogs.iter().filter_map(|backlog| backlog.front()).map(since).min();
        first.filter(|_| !host.full).map_or(0, |since| self.now.saturating_sub(since))
    }

    /// Whether the server still holds a connection of one of the first so many actors, which is done with it, and was
    /// not turned away.
    pub fn holds_one_that_is_gone(&self, actors: usize) -> bool {
        let gone = |it: &Link| it.client == Side::Gone && it.owner < actors && !it.turned_away;
        self.live.iter().any(|link| gone(&self.links[*link]) && self.is_served(*link))
    }

    /// How many others of these connections the server has held at a time at which it held this one, or thereabouts.
    pub fn beside(&self, link: usize, of: impl Fn(&Link) -> bool) -> usize {
        let Link { life, accepted_at, .. } = self.links[link];
        let held = |it: &Link| it.accepted && it.life == life && it.gone_at.is_none_or(|at| at >= accepted_at);
        self.links.iter().enumerate().filter(|(other, it)| *other != link && held(it) && of(it)).count()
    }

    /// Whether the server still has its side of a connection.
    pub fn is_served(&self, link: usize) -> bool {
        self.links[link].accepted && self.links[link].server != Side::Gone
    }

    /// There is no server on a host from now on; without power nobody is told.
    pub fn go_down(&mut self, host: usize, with_power: bool) {
        let it = &mut self.hosts[host];
        (it.up, it.dark) = (false, with_power);
        (it.woken, it.reload, it.stop) = (false, false, false);
        it.edges.clear();
        it.knocked = [false; LISTENERS];
        for backlog in &mut it.backlogs {
            backlog.clear();
        }
        for link in self.live.clone() {
            if self.links[link].host != host {
                continue;
            }
            if with_power {
                // A client that sends something hears nothing, and one that waits goes on waiting.
                let it = &mut self.links[link];
                (it.vanished, it.server) = (true, Side::Gone);
                it.down.flying.clear();
            } else if !self.links[link].accepted && !self.links[link].refused {
                self.links[link].server = Side::Gone;
                self.push(link, false, Piece::Reset);
            }
            self.forget_if_gone(link);
        }
    }

    /// There is a server on a host again: another process, on a machine that runs.
    pub fn come_up(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.up, it.dark, it.crash) = (true, false, None);
        it.stops.clear();
        (it.frozen_until, it.asleep_until, it.thawed) = (0, 0, self.now);
        (it.stop_amid, it.stopped_at) = (None, None);
        for &link in &self.live {
            let it = &mut self.links[link];
            if it.host != host {
                continue;
            }
            // It knows nothing of its connections, and says so to whoever sends something.
            it.vanished &= it.client == Side::Gone;
        }
    }
}

/// How the frames of a server begin with which it asks whether somebody is there, and parts.
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

/// In how many turns somebody is heard at the latest who is polite, and reads what comes.
const MOST_TURNS: u64 = 100;
