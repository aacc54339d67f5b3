//! `salon bench`: load for a WebSocket server, and a report of what the server does under it.
//!
//! It speaks to any server over real sockets, Salon or another, as a client of [`crate::proto`] in a loop of its own,
//! and shares nothing with `server`, `chat` and `engine`, which it measures. [`Plan`] is the order, [`run`] carries it
//! out, [`Report`] is the result.
//!
//! ```text
//!   target    where, and the words of the server's protocol     swarm     all connections over one poller
//!   body      what is in a message, found again in any other    client    one connection
//!   tally     order, loss and doubles                           meter     CPU and memory, of both sides
//!   fan_out, slow, echo, idle, neighbour    the scenarios       report    table and JSON
//! ```
//!
//! Every receiver looks at every message. In an open loop a latency counts from when a message was due, not from when
//! it could be sent: a server that stalls is charged for the messages that should have been sent meanwhile.
//!
//! One thread, and in `neighbour` one more for the flood. It makes no TLS, offers no compression, and keeps to the RFC.

mod body;
mod client;
mod echo;
mod fan_out;
mod idle;
mod latency;
mod meter;
mod neighbour;
mod process;
mod progress;
mod report;
mod slow;
mod swarm;
mod tally;
pub mod target;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::proto::client_handshake::UnfitRequest;

pub use body::{MAX_SPEAKERS, MIN_SIZE};
pub use report::Report;
pub use target::Target;

use meter::Memory;
use progress::Progress;
use report::{IdleReport, Opening};
use swarm::Swarm;

/// A bench to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server, and the words of its protocol.
    pub target: Target,
    /// The scenario.
    pub scenario: Scenario,
    /// Connections in all; 1 at least.
    pub connections: usize,
    /// Rooms that connections are spread over, one after the other; 1 at least.
    pub rooms: usize,
    /// Connections that speak: the first ones. At most [`MAX_SPEAKERS`].
    pub speakers: usize,
    /// Bytes of a message's body; [`MIN_SIZE`] at least.
    pub size: usize,
    /// How long, or how many messages.
    pub length: Length,
    /// The time before anything is measured; zero where messages are counted.
    pub warm_up: Duration,
    /// Handshakes at a time.
    pub in_flight: usize,
    /// Addresses to connect from, in turn; the system's choice if there is none.
    pub from: Vec<IpAddr>,
    /// The server's process on this machine.
    pub pid: Option<u32>,
    /// Whether a speaker does not hear itself.
    pub others_only: bool,
    /// Whether to show progress.
    pub progress: bool,
}

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scenario {
    /// A few speak, all of their room hear it.
    FanOut(Pace),
    /// All speak, and hear themselves.
    Echo {
        /// Messages of a connection that wait for their echo.
        depth: u32,
    },
    /// All are there and say nothing.
    Idle {
        /// For how long.
        hold: Duration,
    },
    /// All come at once.
    Connect,
    /// One pings, beside connections that pipeline what costs a server most.
    Neighbour {
        /// Sessions that watch many and end at once.
        watchers: usize,
    },
    /// A fan-out twice: without and with members who do not read.
    Slow {
        /// How many.
        readers: usize,
        /// Messages a second, of all speakers together.
        per_second: f64,
    },
}

/// When the next message goes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// When all have heard the last.
    Lockstep,
    /// As soon as the speaker has heard one of so many of its own.
    Saturated {
        /// Messages of a speaker on the way.
        window: u32,
    },
    /// By the clock, so many a second of all speakers together, whatever the server does: an open loop.
    Rate(f64),
}

/// How long a bench is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Until so many messages have been sent, by all speakers together.
    Messages(u64),
    /// So long.
    Time(Duration),
}

/// Runs a bench.
///
/// # Errors
/// The reason why it cannot be run. Faults of the server while it is measured are in the report.
pub fn run(plan: &Plan) -> Result<Report, Error> {
    let mut memory = None;
    if let Some(pid) = plan.pid {
        process::Cpu::of(pid).map_err(|error| Error::Process { pid, error })?;
        memory = Some(Memory::before(pid));
    }
    let mut progress = Progress::new(plan.progress);
    let mut swarm = Swarm::new()?;
    let slow = if let Scenario::Slow { readers, .. } = plan.scenario { readers } else { 0 };
    let opening = meter::Meter::start(&swarm, plan.pid);
    let lenient = plan.scenario == Scenario::Connect;
    // The neighbours alone; the others are opened for each flood.
    let first = Plan { connections: neighbour::NEIGHBOURS, ..plan.clone() };
    let opening_plan = if matches!(plan.scenario, Scenario::Neighbour { .. }) { &first } else { plan };
    let opened = swarm.open(opening_plan, slow, lenient, &mut progress)?;
    let opening = Opening::new(&opened, opening.stop(&swarm, opening_plan.connections as u64), opening_plan);
    swarm.settle(&plan.target, SETTLING)?;
    note(&mut memory, plan, |memory, pid| memory.open = process::resident(pid));

    let mut report = Report::new(plan, opening);
    match plan.scenario {
        Scenario::FanOut(pace) => report.load = Some(fan_out::run(plan, &mut swarm, pace, 0, &mut progress)?),
        Scenario::Echo { depth } => report.load = Some(echo::run(plan, &mut swarm, depth, &mut progress)?),
        Scenario::Slow { readers, per_second } => {
            let before = fan_out::run(plan, &mut swarm, Pace::Rate(per_second), readers, &mut progress)?;
            report.slow = Some(slow::run(plan, &mut swarm, readers, per_second, &mut progress)?);
            report.before = Some(before);
        }
        Scenario::Neighbour { watchers } => {
            report.neighbour = Some(neighbour::run(plan, &mut swarm, watchers, &mut progress)?);
        }
        Scenario::Idle { hold } => {
            let usage = idle::run(plan, &mut swarm, hold, &mut progress)?;
            let closed = swarm.clients.iter().filter(|client| client.ended().is_some()).count() as u64;
            report.idle = Some(IdleReport { usage, closed });
        }
        Scenario::Connect => {}
    }
    note(&mut memory, plan, |memory, pid| memory.end = process::resident(pid));
    swarm.close(&plan.target)?;
    if matches!(plan.scenario, Scenario::Idle { .. } | Scenario::Connect) {
        swarm.settle(&plan.target, SETTLING)?;
        note(&mut memory, plan, |memory, pid| memory.closed = Some(process::resident(pid)));
    }
    note(&mut memory, plan, |memory, pid| memory.peak = process::resident_peak(pid));
    report.memory = memory;
    Ok(report)
}

fn note(memory: &mut Option<Memory>, plan: &Plan, note: impl FnOnce(&mut Memory, u32)) {
    if let (Some(memory), Some(pid)) = (memory, plan.pid) {
        note(memory, pid);
    }
}

/// Why a bench could not be run.
#[derive(Debug)]
pub enum Error {
    /// No server listens there, or it cannot be reached.
    Connect {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// All ports of the source addresses are in use.
    NoPorts {
        /// The connection that got none.
        connection: usize,
    },
    /// The request cannot be made.
    Unfit(UnfitRequest),
    /// A connection ended before all were in.
    Ended {
        /// Its number.
        connection: usize,
        /// How.
        why: String,
        /// The last message that it got.
        heard: String,
    },
    /// Nothing went on for ten seconds before all were in.
    Stuck {
        /// How many were in.
        done: usize,
        /// Of how many.
        of: usize,
        /// What the answer to the first message was to contain.
        awaited: Option<String>,
        /// What came instead.
        heard: String,
    },
    /// There is no such process, or it cannot be looked at.
    Process {
        /// Its number.
        pid: u32,
        /// What the system said.
        error: io::Error,
    },
    /// The loop itself failed.
    Loop(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { address, error } if error.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "nobody listens on {address}; start the server, or say where it is with --url")
            }
            Self::Connect { address, error } => write!(f, "cannot connect to {address}: {error}"),
            Self::NoPorts { connection } => write!(
                f,
                "no port is left for connection {connection}; give more source addresses, such as --from 127.0.0.2,127.0.0.3"
            ),
            Self::Unfit(error) => write!(f, "the request cannot be made: {error}"),
            Self::Ended { connection, why, heard } => {
                write!(f, "connection {connection} did not get in: {why}{}", Heard(heard))
            }
            Self::Stuck { done, of, awaited: Some(awaited), heard } => write!(
                f,
                "{done} of {of} connections got in, and then none for 10 s: no message came with {awaited} in it{}; \
                 say what answers the first message with --joined",
                Heard(heard)
            ),
            Self::Stuck { done, of, .. } => {
                write!(f, "{done} of {of} connections got in, and then none for 10 s: the server does not answer")
            }
            Self::Process { pid, error } => write!(f, "--pid {pid}: /proc does not tell about it: {error}"),
            Self::Loop(error) => write!(f, "the event loop failed: {error}"),
        }
    }
}

/// The message that came instead, as the end of a sentence.
struct Heard<'a>(&'a str);

impl fmt::Display for Heard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (the last was {})", self.0) }
    }
}

impl std::error::Error for Error {}

/// How long notices of joining may take to pass, in nanoseconds.
const SETTLING: u64 = 500_000_000;
