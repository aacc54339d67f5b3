//! The descriptor limit: how many connections can really be held.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets, and tells how many of `asked` connections fit below it.
pub fn fit(asked: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = (asked + RESERVE) as u64;
    let raised = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let limit = match current {
        Some(current) if current < raised => {
            match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
                Ok(()) => raised,
                Err(_) => current,
            }
        }
        Some(current) => current,
        None => wanted,
    };
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(RESERVE).max(1);
    if room < asked {
        log::warn!("max-connections is {room} and not {asked}: the descriptor limit is {limit} (see ulimit -n)");
    }
    asked.min(room)
}

/// Descriptors that are not connections of clients: listeners, the poller, the log, and those let in to be refused.
const RESERVE: usize = 192;
