//! Invariant 8, of the whole server: it ends when it is asked to, in the time for that, and each session is told.

use super::super::network::{Network, SECOND, Time};
use crate::server::reactor::Reactor;
use crate::server::system::System;

/// The server of a host has ended by itself.
pub fn look<S: System>(reactor: &Reactor<S>, net: &mut Network, host: usize) {
    let untold = reactor.engine().not_parted();
    let asked = net.hosts[host].stops.len();
    if asked == 0 {
        return net.trace.fail(8, net.now, || "the server ends, and nobody has asked it to".into());
    }
    look_at_time(net, host);
    // A further signal ends it at once.
    if untold > 0 && asked == 1 {
        net.trace.fail(8, net.now, || format!("the server ends, and {untold} sessions were sent no Close"));
    }
}

/// Whether a stop that was asked for takes longer than it may.
pub fn look_at_time(net: &mut Network, host: usize) {
    let it = &net.hosts[host];
    let Some(&asked) = it.stops.first().filter(|_| it.up && it.frozen_until < net.now) else { return };
    let within = net.plan.settings.bounds.stop_within.as_micros() as Time;
    let until = (asked + within).max(it.thawed) + 2 * net.plan.turn + SECOND;
    if net.now > until {
        let text = format!("a stop that was asked for at {asked} us goes on, and may until {until}");
        net.trace.fail(8, net.now, || text);
    }
}
