//! The scenario `idle`: all are there and send nothing; the server's pings are answered.

use std::time::Duration;

use super::meter::{Meter, Usage};
use super::progress::Progress;
use super::swarm::Swarm;
use super::{Error, Plan};

/// Keeps all connections for a while, and returns what that costs.
pub fn run(plan: &Plan, swarm: &mut Swarm, hold: Duration, progress: &mut Progress) -> Result<Usage, Error> {
    let meter = Meter::start(swarm, plan.pid);
    let end = swarm.now() + hold.as_nanos() as u64;
    while swarm.now() < end {
        let left = end - swarm.now();
        progress.tell(|| format!("idle: {} connections for {:.0} s more", plan.connections, left as f64 / 1e9));
        swarm.settle(&plan.target, left.min(100_000_000))?;
    }
    Ok(meter.stop(swarm, plan.connections as u64))
}
