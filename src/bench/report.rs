//! The result of a bench: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::latency::Latency;
use super::meter::{Memory, Usage};
use super::swarm::Opened;
use super::{Pace, Plan, Scenario};

/// All figures of a bench. Names say units; memory is in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario.
    pub scenario: &'static str,
    /// How messages followed each other.
    pub pace: Option<String>,
    /// The server.
    pub url: String,
    /// Connections.
    pub connections: usize,
    /// Rooms.
    pub rooms: usize,
    /// Connections that spoke.
    pub speakers: usize,
    /// Bytes of a body.
    pub size: usize,
    /// How connections were opened.
    pub opening: Opening,
    /// `slow`: the load without slow readers.
    pub before: Option<Load>,
    /// What was said and heard.
    pub load: Option<Load>,
    /// `slow`: the same load with them.
    pub slow: Option<SlowReport>,
    /// `idle`: the cost of connections that do nothing.
    pub idle: Option<IdleReport>,
    /// `neighbour`: pings beside each kind of flood.
    pub neighbour: Option<Vec<Beside>>,
    /// The server's memory, where its process is known.
    pub memory: Option<Memory>,
}

/// How connections were opened.
#[derive(Clone, Debug, Serialize)]
pub struct Opening {
    /// Connections a second.
    pub per_second: f64,
    /// From connecting until it was in.
    pub latency: Latency,
    /// Not let in.
    pub refused: u64,
    /// Why the first of those was not.
    pub first_refusal: Option<String>,
    /// What it cost; for each connection.
    #[serde(flatten)]
    pub usage: Usage,
}

/// What was said and heard.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Messages sent, with those of the warm-up.
    pub sent: u64,
    /// Deliveries that must follow.
    pub expected: u64,
    /// Deliveries, each message once for each receiver.
    pub delivered: u64,
    /// What went wrong.
    #[serde(flatten)]
    pub faults: Faults,
    /// How the first connection ended that ended.
    pub first_end: Option<String>,
    /// Open loop: messages that were due and could not be sent before the end.
    pub overdue: u64,
    /// Messages of the server's own: notices.
    pub other_messages: u64,
    /// One of them, one that speaks of an error if any does; its beginning.
    pub other_message: Option<String>,
    /// Messages sent while it was measured.
    pub measured_messages: u64,
    /// Deliveries while it was measured.
    pub measured_deliveries: u64,
    /// What was used meanwhile; for each delivery.
    #[serde(flatten)]
    pub usage: Usage,
    /// From when a message was sent, in an open loop from when it was due, until it was received.
    pub latency: Latency,
    /// Deliveries too late for their time to be remembered.
    pub untimed: u64,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Never came.
    pub lost: u64,
    /// Came again.
    pub doubles: u64,
    /// Came after a later one.
    pub out_of_order: u64,
    /// Changed on the way, or not meant for its receiver.
    pub damaged: u64,
    /// Connections that ended.
    pub closed: u64,
}

/// The fate of slow readers, and of the others meanwhile.
#[derive(Clone, Debug, Serialize)]
pub struct SlowReport {
    /// How many did not read.
    pub readers: usize,
    /// The others.
    pub load: Load,
    /// How their connections ended, and how many so.
    pub ends: BTreeMap<String, u64>,
    /// What the server's memory grew by, for each of them, in bytes.
    pub memory_each: Option<u64>,
}

/// The cost of connections that do nothing.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct IdleReport {
    /// What was used; for each connection.
    #[serde(flatten)]
    pub usage: Usage,
    /// Connections that ended.
    pub closed: u64,
}

/// A neighbour's pings while others did something.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Beside {
    /// The kind of flood.
    pub what: &'static str,
    /// From a ping to its pong.
    pub latency: Latency,
    /// Connections of the others that ended.
    pub ended: u64,
    /// How the neighbour's own connection ended, if it did.
    pub neighbour_ended: Option<String>,
}

impl Opening {
    pub(super) fn new(opened: &Opened, usage: Usage, plan: &Plan) -> Self {
        Self {
            per_second: plan.connections as f64 * 1e9 / opened.nanos.max(1) as f64,
            latency: opened.latencies.summary(),
            refused: opened.refused,
            first_refusal: opened.first_refusal.clone(),
            usage,
        }
    }
}

impl Report {
    pub(super) fn new(plan: &Plan, opening: Opening) -> Self {
        let rate = |per_second: f64| format!("{per_second} messages a second");
        let (scenario, pace) = match plan.scenario {
            Scenario::FanOut(Pace::Lockstep) => ("fan-out", Some("lockstep".into())),
            Scenario::FanOut(Pace::Saturated { window }) => ("fan-out", Some(format!("{window} on the way"))),
            Scenario::FanOut(Pace::Rate(per_second)) => ("fan-out", Some(rate(per_second))),
            Scenario::Echo { depth } => ("echo", Some(format!("{depth} on the way"))),
            Scenario::Idle { .. } => ("idle", None),
            Scenario::Connect => ("connect", None),
            Scenario::Neighbour { .. } => ("neighbour", None),
            Scenario::Slow { per_second, .. } => ("slow", Some(rate(per_second))),
        };
        Self {
            scenario,
            pace,
            url: plan.target.url.clone(),
            connections: plan.connections,
            rooms: plan.rooms,
            speakers: if scenario == "echo" { plan.connections } else { plan.speakers },
            size: plan.size,
            opening,
            before: None,
            load: None,
            slow: None,
            idle: None,
            neighbour: None,
            memory: None,
        }
    }

    /// Whether every connection was let in and received everything once and in order.
    pub fn is_faultless(&self) -> bool {
        let loads = [self.before.as_ref(), self.load.as_ref(), self.slow.as_ref().map(|slow| &slow.load)];
        self.opening.refused == 0
            && self.neighbour.iter().flatten().all(|beside| beside.neighbour_ended.is_none())
            && self.idle.is_none_or(|idle| idle.closed == 0)
            && loads.into_iter().flatten().all(|load| load.faults == Faults::default())
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and names only")
    }

    fn talks(&self) -> bool {
        self.load.is_some() || self.slow.is_some()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut title = format!("{} against {}: {} connections", self.scenario, self.url, self.connections);
        if self.rooms > 1 {
            write!(title, ", {} rooms", self.rooms)?;
        }
        if self.talks() {
            write!(title, ", {} speakers, {} bytes", self.speakers, self.size)?;
        }
        if let Some(pace) = &self.pace {
            write!(title, ", {pace}")?;
        }
        writeln!(f, "{title}\n")?;
        self.opening.table(f)?;
        if let Some(before) = &self.before {
            before.table(f, "without slow readers")?;
        }
        if let Some(load) = &self.load {
            load.table(f, "measured")?;
        }
        if let Some(slow) = &self.slow {
            slow.load.table(f, "with slow readers")?;
            let ends: Vec<String> = slow.ends.iter().map(|(how, count)| format!("{count} {how}")).collect();
            row(f, "slow readers", &ends.join(", "))?;
            if let Some(each) = slow.memory_each {
                row(f, "", &format!("the server's memory grew by {} for each", size(each)))?;
            }
        }
        for beside in self.neighbour.iter().flatten() {
            row(f, beside.what, &latency(&beside.latency))?;
            if beside.ended > 0 {
                row(f, "", &format!("{} of their connections ended", beside.ended))?;
            }
            if let Some(why) = &beside.neighbour_ended {
                row(f, "", &format!("the neighbour's own connection ended: {why}"))?;
            }
        }
        if let Some(idle) = &self.idle {
            row(f, "idle", &format!("{:.1} s, {} connections ended", idle.usage.seconds, idle.closed))?;
            if let Some(server) = idle.usage.server {
                let each_second = server.cpu_seconds * 1000.0 / idle.usage.seconds;
                row(f, "server", &format!("{each_second:.2} ms of CPU a second for all of them"))?;
            }
        }
        if let Some(memory) = &self.memory {
            let each = memory.open.saturating_sub(memory.before) / self.connections as u64;
            let mut text = format!(
                "{} before, {} with all connections ({each} bytes each), {} at the end, {} at most",
                size(memory.before),
                size(memory.open),
                size(memory.end),
                size(memory.peak)
            );
            if let Some(closed) = memory.closed {
                write!(text, ", {} when all have closed", size(closed))?;
            }
            row(f, "memory", &text)?;
        }
        if !self.is_faultless() {
            writeln!(f, "\nThis server has faults: see above.")?;
        }
        Ok(())
    }
}

impl Opening {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { count, .. } = self.latency;
        row(f, "opened", &format!("{count} in {:.2} s, {:.0} a second", self.usage.seconds, self.per_second))?;
        row(f, "", &latency(&self.latency))?;
        if let Some(server) = self.usage.server {
            row(f, "", &format!("{:.1} us of server CPU for each", server.cpu_us_each))?;
        }
        if let Some(why) = &self.first_refusal {
            row(f, "refused", &format!("{}; the first: {why}", self.refused))?;
        }
        Ok(())
    }
}

impl Load {
    fn table(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let Self { usage, measured_messages, measured_deliveries, .. } = self;
        let each_second = |count: u64| count as f64 / usage.seconds;
        row(
            f,
            name,
            &format!(
                "{:.2} s, {measured_messages} messages ({:.0} a second), {measured_deliveries} deliveries ({:.0} a second)",
                usage.seconds,
                each_second(*measured_messages),
                each_second(*measured_deliveries)
            ),
        )?;
        row(f, "latency", &latency(&self.latency))?;
        if self.untimed > 0 {
            row(f, "", &format!("{} deliveries came too late to be timed", self.untimed))?;
        }
        if self.overdue > 0 {
            let sentence = "messages were due and could not be said: server or bench cannot keep this rate";
            row(f, "", &format!("{} {sentence}", self.overdue))?;
        }
        let Faults { lost, doubles, out_of_order, damaged, closed } = self.faults;
        row(
            f,
            "in all",
            &format!(
                "{} said, {} of {} delivered; {lost} lost, {doubles} doubles, {out_of_order} out of order, {damaged} damaged, \
                 {closed} connections ended",
                self.sent, self.delivered, self.expected
            ),
        )?;
        if let Some(why) = &self.first_end {
            row(f, "", &format!("the first that ended: {why}"))?;
        }
        if let Some(message) = self.other_message.as_ref().filter(|_| self.faults != Faults::default()) {
            row(f, "", &format!("the server also said: {message}"))?;
        }
        if let Some(server) = usage.server {
            row(
                f,
                "server",
                &format!(
                    "{:.3} us of CPU for each delivery, {:.0} % of it in user space; {:.0} % of a core",
                    server.cpu_us_each,
                    server.user_share * 100.0,
                    server.cores * 100.0
                ),
            )?;
            if server.cores_waited_for > 0.1 {
                row(f, "", &format!("it waited for a core {:.0} % of the time", server.cores_waited_for * 100.0))?;
            }
        }
        row(f, "bench", &format!("busy for {:.0} % of the time", usage.client.busy * 100.0))?;
        if usage.client.busy > SATURATED {
            row(f, "", "nearly all of it: this program, not the server, may be what limits these figures")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<20}  {text}")
}

fn latency(latency: &Latency) -> String {
    let Latency { p50_us, p90_us, p99_us, p999_us, max_us, .. } = *latency;
    let [p50, p90, p99, p999, max] = [p50_us, p90_us, p99_us, p999_us, max_us].map(time);
    format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}")
}

fn time(micros: f64) -> String {
    match micros {
        0.0..1_000.0 => format!("{micros:.0} us"),
        1_000.0..10_000.0 => format!("{:.2} ms", micros / 1e3),
        10_000.0..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} KiB", bytes >> 10),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

/// From this part of the time on, the report says that the bench may be the limit.
const SATURATED: f64 = 0.85;
