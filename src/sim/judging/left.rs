//! Invariant 6: nothing is left of those who have left, whenever nobody is connected and nobody is waited for, and when
//! all is over.

use super::super::machine::Machine;
use super::super::world::World;
use crate::server::chat_service::ChatService;
use crate::server::reactor::Reactor;

/// Looks after a turn; `over`: all have left long ago.
pub fn look(reactor: &Reactor<Machine>, service: &ChatService, world: &mut World, over: bool) {
    let (engine, chat) = (reactor.engine(), service.chat());
    let is_here = || !engine.is_empty() || engine.has_work() || reactor.waiting() > 0 || chat.counts().sessions > 0;
    if !over && (is_here() || !chat.is_idle() || chat.has_more_to_hear()) {
        return;
    }
    let left: Vec<(&str, usize)> = engine.left().into_iter().chain(chat.left()).collect();
    // Somebody who left just now is waited for.
    if !over && left.iter().any(|&(what, number)| what == "graces" && number > 0) {
        return;
    }
    let held = reactor.connections();
    // Those on other nodes are known here too.
    let of_people = |number: usize| if over || world.net.plan.has_one_server() { number } else { 0 };
    let server = [
        ("connections", engine.len()),
        ("connections in the lobby", reactor.waiting()),
        ("places of those who are refused", held.refused),
        ("places of the admin port", held.operators),
        ("connections of addresses", reactor.admission().open() as usize),
        ("calls that are owed an answer", service.owed()),
        ("users who are here", of_people(chat.counts().users)),
        ("members of rooms", of_people(chat.rooms().map(|room| room.members).sum())),
    ];
    // Somebody types for a while longer than they are here, and so a room hears who is in it.
    let lasts = |what: &str| !over && what.ends_with("for a while");
    for (what, number) in server.into_iter().chain(left) {
        if number > 0 && !lasts(what) {
            world.net.trace.fail(6, world.net.now, || format!("when everybody has left, {number} {what} are left"));
        }
    }
}
