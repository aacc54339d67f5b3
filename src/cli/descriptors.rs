//! The descriptor limit: how many connections can really be held.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets, and tells how many of `asked` connections fit below it. If not all do, that
/// is logged.
pub fn fit(asked: usize) -> usize {
    let room = room(asked);
    if room < asked {
        log::warn!("max-connections is {room} and not {asked}: the descriptor limit is too low (see ulimit -n)");
    }
    asked.min(room)
}

/// The same without a word.
pub fn room(asked: usize) -> usize {
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
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(RESERVE).max(1)
}

/// Descriptors that are not connections of clients: listeners, the poller, the log, and those let in to be refused.
pub const RESERVE: usize = 192;
