//! Invariant 7: connections, sessions, rooms and what waits for a peer keep to their bounds, after each turn.

use std::collections::BTreeMap;

use super::super::machine::Machine;
use super::super::world::World;
use crate::server::chat_service::ChatService;
use crate::server::reactor::{ADMIN_RESERVE, REFUSALS, Reactor};

/// Looks after a turn of the server of a host.
pub fn look(reactor: &Reactor<Machine>, service: &ChatService, world: &mut World, host: usize) {
    let (engine, chat, settings) = (reactor.engine(), service.chat(), &world.net.plan.settings);
    let (outbox_bytes, rooms, devices) =
        (settings.engine.outbox_bytes, settings.chat.rooms_per_session, settings.chat.sessions_per_user);
    let held = reactor.connections();
    for (what, number, most) in [
        // One more when settings are read again.
        ("connections of clients", held.clients, settings.bounds.max_connections + 1),
        ("connections that are refused", held.refused, REFUSALS),
        // And one that comes while another one makes room.
        ("connections of the admin port", held.operators, ADMIN_RESERVE + 1),
        ("rooms", chat.counts().rooms, settings.chat.max_rooms),
    ] {
        fail(world, what, number, most);
    }
    if !world.net.hosts[host].turns.is_multiple_of(LOOKED_EVERY) {
        return;
    }
    if let Some(blocked) = engine.blocked().find(|blocked| !blocked.ends && blocked.counted > outbox_bytes) {
        fail(world, "bytes that wait for a peer beside the longest frame", blocked.counted, outbox_bytes);
    }
    let mut of_user: BTreeMap<&str, usize> = BTreeMap::new();
    for session in chat.sessions() {
        *of_user.entry(session.user.as_str()).or_default() += 1;
        fail(world, "rooms of a session", session.rooms, rooms);
    }
    fail(world, "sessions of a user", of_user.into_values().max().unwrap_or(0), devices);
}

fn fail(world: &mut World, what: &str, number: usize, most: usize) {
    if number > most {
        world.net.trace.fail(7, world.net.now, || format!("{number} {what}, of which {most} may be"));
    }
}

/// In how many turns that is looked at once which needs a look at all.
const LOOKED_EVERY: u64 = 8;
