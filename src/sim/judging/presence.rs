//! Invariant 17, of how people are: nobody is told for long that somebody is here who is gone, or types who has
//! stopped; and when all rest, what each shows of themselves is what those who watch them were told.

use std::collections::{BTreeMap, BTreeSet};

use super::super::client::{Client, View};
use super::super::network::{SECOND, Time};
use super::super::world::{Actor, World};

/// Looks once a second.
pub fn look(world: &mut World) {
    let gone = if world.net.plan.has_one_server() { gone(world) } else { BTreeMap::new() };
    let found = clients(world).find_map(|client| {
        let host = &world.net.hosts[world.net.links[client.link()?].host];
        if !host.up || host.frozen_until >= world.net.now {
            return None;
        }
        let since = if world.net.plan.has_one_server() { host.thawed } else { host.thawed.max(world.calm_since()) };
        let wrong = client.types_on(&world.net, since).or_else(|| client.misses_nobody(&world.net, &gone, since));
        wrong.map(|wrong| format!("client {} {wrong}", client.id))
    });
    if let Some(wrong) = found {
        world.net.trace.fail(17, world.net.now, || wrong);
    }
}

/// All rest: each asks how everybody is, and one device of each shows something of its user.
pub fn begin(world: &mut World) {
    let all = people(world);
    let names: Vec<&String> = all.iter().collect();
    let World { net, actors, .. } = world;
    let mut shown = BTreeSet::new();
    for actor in actors {
        let Actor::Client(client) = actor else { continue };
        client.watch_all(net, &all);
        if shown.insert(client.user.clone()) {
            let at = names.iter().position(|user| **user == client.user).unwrap_or_default();
            client.show_itself(net, names[(at + 1) % names.len()]);
        }
    }
}

/// Whether what was shown since then has come to its end.
pub fn is_over(world: &World, since: Time) -> bool {
    world.net.now > since + TYPED_OUT
}

/// What somebody was told of others that is not so, or was not told, though all were asked at that time. `counts`: all
/// devices are here that were here then.
pub fn mistaken(world: &World, since: Time, counts: bool) -> Option<String> {
    let mut devices: BTreeMap<&str, u64> = BTreeMap::new();
    for user in connected(world) {
        *devices.entry(user).or_default() += 1;
    }
    let views: BTreeMap<&str, &View> =
        clients(world).filter_map(|client| Some((client.user.as_str(), client.shown_view()?))).collect();
    // Somebody who is turned away each time comes again, and is here for a moment.
    let comes_again = |user: &String| {
        let mut plain = world.actors.iter().filter_map(|actor| match actor {
            Actor::Plain(plain) => Some(plain),
            _ => None,
        });
        plain.any(|plain| plain.user == *user && !plain.is_inside() && !plain.has_left())
    };
    let mut all = people(world);
    all.retain(|user| !comes_again(user));
    clients(world).find_map(|client| {
        let of = |user: &String| {
            let number = devices.get(user.as_str()).copied().unwrap_or(0);
            let mistakes = client.mistakes(user, views.get(user.as_str()).copied(), number > 0);
            mistakes.or_else(|| client.miscounts(user, number).filter(|_| counts))
        };
        // A word between nodes that somebody types is kept by nobody, and may be lost behind a fault that has ended.
        let told = || has_not_heard(world, client, since).filter(|_| world.net.plan.has_one_server());
        let wrong = all.iter().find_map(of).or_else(told);
        wrong.map(|wrong| format!("client {} {wrong}", client.id))
    })
}

/// Somebody who leaves, and is not gone yet.
pub fn parts(world: &World) -> Option<String> {
    let parts = clients(world).find(|client| client.parts_with().is_some_and(|link| world.net.is_served(link)))?;
    Some(format!("client {} has said goodbye, and is still here", parts.id))
}

/// Somebody who has typed since then, of whom a client was not told that.
fn has_not_heard(world: &World, client: &Client, since: Time) -> Option<String> {
    clients(world).filter(|other| other.user != client.user).find_map(|other| {
        other.shown_typing().find_map(|(room, to)| {
            let told = to.is_none_or(|to| to == client.user);
            let missed = told && client.has_not_heard(&world.net, (room, &other.user), since);
            missed.then(|| format!("was not told that {} types in {room:?}", other.user))
        })
    })
}

/// Everybody but those who are hostile.
fn people(world: &World) -> BTreeSet<String> {
    world.actors.iter().filter_map(user_of).map(|(user, _)| user.to_owned()).collect()
}

fn clients(world: &World) -> impl Iterator<Item = &Client> {
    world.actors.iter().filter_map(|actor| match actor {
        Actor::Client(client) => Some(&**client),
        _ => None,
    })
}

/// The user of an actor, and the connection that it has.
fn user_of(actor: &Actor) -> Option<(&str, Option<usize>)> {
    match actor {
        Actor::Client(client) => Some((&client.user, client.link())),
        Actor::Plain(plain) => Some((&plain.user, plain.link())),
        _ => None,
    }
}

/// The users of all devices that are connected, each as often as they are.
fn connected(world: &World) -> impl Iterator<Item = &str> {
    world.actors.iter().filter_map(user_of).filter_map(|(user, link)| link.map(|_| user))
}

/// Since when users have no connection that the server holds, also where their device is gone.
fn gone(world: &World) -> BTreeMap<String, Time> {
    let user = |actor: usize| user_of(&world.actors[actor]).map(|(user, _)| user.to_owned());
    let mut gone = BTreeMap::new();
    for (actor, parted) in &world.net.parted {
        if let Some(user) = user(*actor) {
            let last = gone.entry(user).or_insert(*parted);
            *last = (*last).max(*parted);
        }
    }
    for link in world.net.live.iter().filter(|link| world.net.is_served(**link)) {
        if let Some(user) = user(world.net.links[*link].owner) {
            gone.remove(&user);
        }
    }
    gone
}

/// `true` ends after 9 s at most, and what comes at the end is looked at by then.
const TYPED_OUT: Time = 13 * SECOND;
