//! Descriptors: how many connections the limit allows, and room for them before they come.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets, makes room for as many of `asked` connections as fit below it, and
/// returns how many. If not all fit, it logs that.
///
/// # Errors
/// One sentence: next to none fit, and a server that refuses everybody serves nobody.
pub fn fit(asked: usize) -> Result<usize, String> {
    let room = room(asked);
    if room < asked.min(LEAST) {
        let least = RESERVE + LEAST;
        return Err(format!(
            "--max-connections: expected a descriptor limit of {least} at least, found less; raise it with ulimit -n or \
             LimitNOFILE= of the unit"
        ));
    }
    if room < asked {
        log::warn!("max-connections is {room} and not {asked}: the descriptor limit is too low (see ulimit -n)");
    }
    let connections = asked.min(room);
    widen_table(connections);
    Ok(connections)
}

/// Raises the limit and returns the same, without a line of log and without making room.
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

/// Raises the limit so that so many connections of our own fit, and makes room for them.
///
/// # Errors
/// A sentence about what is missing.
pub fn raise(connections: usize) -> Result<(), String> {
    match room(connections) {
        room if room < connections => {
            let wanted = connections + RESERVE;
            let limit = room + RESERVE;
            Err(format!("that takes {wanted} descriptors, and the limit is {limit}; raise it with ulimit -n {wanted}"))
        }
        _ => {
            widen_table(connections);
            Ok(())
        }
    }
}

/// Makes the kernel's table of our descriptors as wide as so many connections need.
///
/// Left alone it doubles whenever it is full, and each time a process with more than one thread waits until all
/// processors have noticed: 10 to 30 ms in which no client is served. It never shrinks. If the system refuses, it grows
/// as it would have.
fn widen_table(connections: usize) {
    let last = i32::try_from(connections + RESERVE - 1).unwrap_or(i32::MAX);
    drop(fcntl_dupfd_cloexec(std::io::stderr(), last));
}

/// Connections that there must be room for, if so many are asked for.
const LEAST: usize = 32;

/// Descriptors that are not connections of clients: listeners, the poller, the log, operators, and those let in to be
/// refused.
pub const RESERVE: usize = 192;
