//! The scenario `slow`: a fan-out in which some do not read. It shows what they cost the others and the server, and
//! whether they are cut off.

use std::collections::BTreeMap;

use super::client::Ended;
use super::progress::Progress;
use super::report::SlowReport;
use super::swarm::Swarm;
use super::{Error, Pace, Plan, fan_out, process};

/// Speaks once more while the last `readers` connections do not read, and then looks how these have ended.
pub fn run(
    plan: &Plan,
    swarm: &mut Swarm,
    readers: usize,
    per_second: f64,
    progress: &mut Progress,
) -> Result<SlowReport, Error> {
    let resident = |plan: &Plan| plan.pid.map(process::resident);
    let first = plan.connections - readers;
    let before = resident(plan);
    swarm.clients[first..].iter_mut().for_each(|client| client.stalled = true);
    let load = fan_out::run(plan, swarm, Pace::Rate(per_second), readers, progress)?;
    let with = resident(plan);
    // Their sockets are read at last; a Close of the server's is behind the messages.
    swarm.clients[first..].iter_mut().for_each(|client| client.stalled = false);
    let end = swarm.now() + READING;
    for id in first..plan.connections {
        swarm.read(id, &plan.target);
    }
    while swarm.now() < end && swarm.clients[first..].iter().any(|client| client.ended().is_none()) {
        swarm.settle(&plan.target, 50_000_000)?;
    }
    let mut ends = BTreeMap::new();
    for client in &swarm.clients[first..] {
        let how = match client.ended() {
            None => "still open".to_owned(),
            Some(Ended::Closed(Some(code), _)) => format!("closed {code}"),
            Some(Ended::Closed(None, _)) => "closed without a code".to_owned(),
            Some(_) => "cut".to_owned(),
        };
        *ends.entry(how).or_default() += 1;
    }
    let memory_each = before.zip(with).map(|(before, with)| with.saturating_sub(before) / readers as u64);
    Ok(SlowReport { readers, load, ends, memory_each })
}

/// How long the slow ones may read at the end, in nanoseconds.
const READING: u64 = 2_000_000_000;
