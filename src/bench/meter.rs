//! The CPU and memory of server and bench while something is measured.

use serde::Serialize;

use super::process::{self, Cpu};
use super::swarm::Swarm;

/// Readings at the start of a measurement.
#[derive(Debug)]
pub struct Meter {
    pid: Option<u32>,
    at: u64,
    waited: u64,
    server: Option<Cpu>,
    own: Option<Cpu>,
}

/// The use from a start to a stop.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    /// How long it was.
    pub seconds: f64,
    /// The server's part, where its process is known.
    pub server: Option<ServerUsage>,
    /// This program's.
    pub client: ClientUsage,
}

/// The server's use.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ServerUsage {
    /// CPU time, user and system, of all its threads.
    pub cpu_seconds: f64,
    /// The same in microseconds for each unit: delivery, message or handshake.
    pub cpu_us_each: f64,
    /// The part of it in user space, 0 to 1.
    pub user_share: f64,
    /// Cores it kept busy.
    pub cores: f64,
    /// Cores it would have used more if others had not had them.
    pub cores_waited_for: f64,
}

/// The bench's own use.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ClientUsage {
    /// The part of the time in which the bench had something to do, 0 to 1. Near 1, the server waited for the bench.
    pub busy: f64,
    /// Cores it kept busy, asking the poller again included.
    pub cores: Option<f64>,
}

impl Meter {
    /// Starts to measure.
    pub fn start(swarm: &Swarm, pid: Option<u32>) -> Self {
        let (server, own) = (pid.and_then(|pid| Cpu::of(pid).ok()), Cpu::of(std::process::id()).ok());
        Self { pid, at: swarm.now(), waited: swarm.waited, server, own }
    }

    /// The use since the start, for so many units.
    pub fn stop(&self, swarm: &Swarm, units: u64) -> Usage {
        let nanos = (swarm.now() - self.at).max(1) as f64;
        let now = self.pid.and_then(|pid| Cpu::of(pid).ok());
        let server = self.server.zip(now).map(|(before, now)| {
            let cpu = now - before;
            ServerUsage {
                cpu_seconds: cpu.nanos as f64 / 1e9,
                cpu_us_each: cpu.nanos as f64 / 1e3 / units.max(1) as f64,
                user_share: cpu.user_share(),
                cores: cpu.nanos as f64 / nanos,
                cores_waited_for: cpu.waited as f64 / nanos,
            }
        });
        let own = self.own.zip(Cpu::of(std::process::id()).ok());
        Usage {
            seconds: nanos / 1e9,
            server,
            client: ClientUsage {
                busy: (1.0 - (swarm.waited - self.waited) as f64 / nanos).max(0.0),
                cores: own.map(|(before, now)| (now - before).nanos as f64 / nanos),
            },
        }
    }
}

/// The server's memory at the stations of a bench, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// Before the first connection.
    pub before: u64,
    /// With all of them, before any message.
    pub open: u64,
    /// At the end.
    pub end: u64,
    /// The most it ever had, also before this bench.
    pub peak: u64,
    /// When all have closed; only where no message was sent.
    pub closed: Option<u64>,
}

impl Memory {
    /// The first station.
    pub fn before(pid: u32) -> Self {
        Self { before: process::resident(pid), ..Self::default() }
    }
}
