//! `salon sim`: the server that ships, on a machine, a network and a disk that are ours and break on purpose.
//!
//! The loop, the doors, the engine and the chat are the real ones, by the seam of [`crate::server::system`]. Everything
//! else is drawn from a seed: so a run that fails fails again, to the byte.
//!
//! [`plan`] says what a seed draws, `world` what happens, `network` how bytes travel and `disk` what is kept.
//! `client`, `hostile` and `operator` are the people; `frames` reads what they are sent, and `judge` knows
//! what all of them have heard. `machine` is the server's side. `docs/simulation.md` has the invariants.

mod chance;
mod client;
mod disk;
mod frames;
mod hostile;
mod inflate;
mod judge;
mod judging;
mod machine;
mod network;
#[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
mod nodes;
mod operator;
mod plain;
pub mod plan;
mod token;
pub mod trace;
mod world;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use crate::random::Random;
use crate::server::chat_service::ChatService;
use crate::server::forwarded::Trusted;
use crate::server::listener::Listener;
use crate::server::reactor::{Bounds, Reactor};
use crate::server::settings::{Reading, Settings, Starter, State};
use crate::server::tls::Certificates;
use crate::server::{Error, Port};

use client::{Client, room_name, user_name};
use disk::{Disk, Platter};
use hostile::Hostile;
use machine::Machine;
use network::{ADMIN, Event, Network, PROXY, PUBLIC, SECOND};
use operator::Operator;
use plain::Plain;
use plan::{Fault, Lasts, NEAR, Plan, Wish};
use trace::{Trace, Violation};
use world::{Actor, Stage, World};

/// Whether several nodes on one Redis can be simulated: that takes a Redis, which comes with the feature `sim-nodes`.
pub const HAS_NODES: bool = cfg!(any(all(test, feature = "redis"), feature = "sim-nodes"));

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What it drew.
    pub plan: Plan,
    /// Events and turns.
    pub steps: u64,
    /// Time that passed, in seconds.
    pub virtual_seconds: f64,
    /// A hash of everything that was sent.
    pub trace: u64,
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
    /// The last things that happened, if they were to be told.
    pub lines: Vec<String>,
    /// Messages that were heard, by each who hears one.
    pub heard: u64,
}

/// Runs a seed, and keeps so many of the last lines of its story.
pub fn run(seed: u64, wish: &Wish, lines: usize) -> Outcome {
    let plan = Plan::draw(seed, wish);
    let world = Rc::new(RefCell::new(people(&plan, lines)));
    let platter = Rc::new(RefCell::new(Platter::default()));
    if plan.has_one_server() {
        while live(&world, &platter, &plan) {}
    } else {
        #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
        nodes::run(&world, &plan);
    }
    let world = &*world.borrow();
    Outcome {
        seed,
        steps: world.net.trace.steps() + world.net.hosts.iter().map(|host| host.turns).sum::<u64>(),
        virtual_seconds: world.net.now as f64 / 1e6,
        trace: world.net.trace.hash(),
        violation: world.net.trace.violation().cloned(),
        lines: world.net.trace.lines().map(str::to_owned).collect(),
        heard: world.judge.heard,
        plan,
    }
}

/// Runs a seed that holds once more, and holds it to its trace.
pub fn run_again(outcome: &mut Outcome, wish: &Wish) {
    if outcome.violation.is_some() {
        return;
    }
    let again = run(outcome.seed, wish, 0);
    if (again.steps, again.trace) != (outcome.steps, outcome.trace) {
        let text = format!("it has another trace when it is run once more: {:016x}", again.trace);
        outcome.violation = Some(Violation { invariant: 12, text, step: again.steps.min(outcome.steps), at: 0 });
    }
}

/// Makes a failing case smaller: fewer kinds of faults, fewer clients. Returns what is left to wish for.
pub fn shrink(failed: &Outcome) -> Wish {
    let mut wish =
        Wish { clients: Some(failed.plan.clients), faults: Some(failed.plan.faults()), ..Wish::of_nodes(&failed.plan) };
    let invariant = failed.violation.as_ref().map(|violation| violation.invariant);
    let fails = |wish: &Wish| run(failed.seed, wish, 0).violation.map(|violation| violation.invariant) == invariant;
    if !fails(&wish) {
        return Wish::of_nodes(&failed.plan);
    }
    for fault in failed.plan.faults() {
        let mut fewer = wish.clone();
        fewer.faults.get_or_insert_default().retain(|other| *other != fault);
        if fails(&fewer) {
            wish = fewer;
        }
    }
    for clients in [1, 2, 3, 5, 8, 13, 21] {
        let fewer = Wish { clients: Some(clients), ..wish.clone() };
        if clients < failed.plan.clients && fails(&fewer) {
            return fewer;
        }
    }
    wish
}

/// The people of a plan, and what is to happen to them.
fn people(plan: &Plan, lines: usize) -> World {
    let mut net = Network::new(plan.clone(), Trace::new(lines));
    let mut actors = Vec::new();
    let address = |number: usize| IpAddr::V4(Ipv4Addr::new(10, 0, (number / 4) as u8, 1));
    for id in 0..plan.clients {
        let rooms: Vec<String> = (0..plan.rooms as u64).filter(|_| net.chance.one_in(2)).map(room_name).collect();
        let rooms = rooms.into_iter().take(plan.settings.chat.rooms_per_session);
        let user = user_name((id % plan.people) as u64);
        let manner = plan.manner(id);
        actors.push(Actor::Client(Box::new(Client::new(id, user, address(id), manner, rooms))));
    }
    for number in 0..plan.ways.plain {
        actors.push(Actor::Plain(Box::new(Plain::new(actors.len(), number, plan.rooms))));
    }
    if plan.has(Fault::Hostile) || plan.has(Fault::Flood) {
        for _ in 0..net.chance.skewed(1, 12) {
            let id = actors.len();
            actors
                .push(Actor::Hostile(Box::new(Hostile::new(id, IpAddr::V4(Ipv4Addr::new(10, 66, 0, (id % 3) as u8))))));
        }
    }
    actors.push(Actor::Operator(Box::new(Operator::new(actors.len()))));
    for id in 0..actors.len() {
        let at = net.chance.below(3 * SECOND);
        net.at(at, Event::Act(id));
    }
    for fault in [Fault::Crash, Fault::Power, Fault::Freeze, Fault::Wall, Fault::Drain, Fault::Reload] {
        if plan.has(fault) {
            let most = if fault == Fault::Freeze { 12 } else { 3 };
            for _ in 0..1 + plan.rate(fault) % most {
                let at = net.chance.below(plan.faulty);
                let amid = net.chance.one_in(3);
                net.at(at, if amid { Event::Lurk(fault) } else { Event::Strike(fault) });
            }
        }
    }
    net.at(SECOND, Event::Look);
    World::new(net, actors)
}

/// One life of the server; returns whether there is another one.
fn live(world: &Rc<RefCell<World>>, platter: &Rc<RefCell<Platter>>, plan: &Plan) -> bool {
    world.borrow_mut().come_up();
    let life = world.borrow().net.hosts[0].life;
    if life > 0 && !look_at_disk(world, platter) {
        return false;
    }
    let settings = settings(plan);
    let mut behind = Listener::new(PROXY, Port::Public);
    behind.proxy_protocol = true;
    let listeners = vec![Listener::new(PUBLIC, Port::Public), Listener::new(ADMIN, Port::Admin), behind];
    let (engine, bounds) = (settings.engine.clone(), settings.bounds.clone());
    let store = Box::new(Disk::open(world, platter));
    let starter = Box::new(Simulated(settings.clone()));
    let random = Random::from(plan.seed ^ (u64::from(life) << 40));
    let keyed = random.keyed();
    let mut service = ChatService::new(settings, store, starter, random);
    let system = Machine::new(world.clone(), 0);
    let mut reactor = Reactor::new(system, listeners, engine, bounds, Certificates::default(), &keyed);
    let ended = loop {
        match reactor.go_round(&mut service) {
            Ok(true) => look_inside(&reactor, &service, world, 0),
            Ok(false) => {
                judging::ends::look(&reactor, &mut world.borrow_mut().net, 0);
                break Ended::InOrder;
            }
            Err(Error::Loop(_)) => break Ended::Killed,
            Err(error) => break Ended::Broken(error.to_string()),
        }
    };
    let over = world.borrow().stage == Stage::Over;
    if over && !world.borrow().net.trace.has_failed() {
        judging::left::look(&reactor, &service, &mut world.borrow_mut(), true);
    }
    let power = world.borrow().net.hosts[0].crash == Some(true);
    world.borrow_mut().net.go_down(0, power);
    drop((reactor, service));
    let world = &mut *world.borrow_mut();
    if let Ended::Broken(error) = ended {
        world.net.trace.fail(6, world.net.now, || error);
    }
    if over || world.net.trace.has_failed() {
        return false;
    }
    platter.borrow_mut().crash(world, plan.lasts, power);
    world.net.hosts[0].life += 1;
    world.judge.lost |= plan.lasts == Lasts::Memory || plan.lasts == Lasts::Process && power;
    let wait = world.net.chance.skewed(SECOND / 10, 20 * SECOND);
    world.pass(wait);
    true
}

/// How a life has ended.
enum Ended {
    InOrder,
    Killed,
    Broken(String),
}

fn settings(plan: &Plan) -> Settings {
    let mut settings = plan.settings.clone();
    if plan.proxied {
        settings.bounds.proxies.trusted = vec![Trusted::Net(NEAR.into())];
    }
    settings
}

/// What was acknowledged is there after a crash, as the durability says.
fn look_at_disk(world: &Rc<RefCell<World>>, platter: &Rc<RefCell<Platter>>) -> bool {
    let mut disk = Disk::open(world, platter);
    let rooms = world.borrow().judge.rooms();
    for room in rooms {
        let (head, entries) = disk.read(&room);
        let epoch = head.epoch.to_string();
        let world = &mut *world.borrow_mut();
        let newest = world.judge.newest(&room, &epoch);
        if newest > head.seq {
            let text = format!("{room}/{epoch} goes to {} after a crash, and was heard up to {newest}", head.seq);
            world.net.trace.fail(4, world.net.now, || text);
            return false;
        }
        for (seq, content) in world.judge.acknowledged(&room, &epoch, head.oldest()) {
            let found = entries.iter().find(|(other, _)| *other == seq);
            // An edited or deleted one has another content.
            if found.is_none() {
                let text = format!("{room}/{epoch}/{seq} was acknowledged, and is lost: {content:.20}");
                world.net.trace.fail(4, world.net.now, || text);
                return false;
            }
        }
    }
    true
}

/// After each turn: bounds, and mistakes that were contained.
fn look_inside(reactor: &Reactor<Machine>, service: &ChatService, world: &Rc<RefCell<World>>, host: usize) {
    let engine = reactor.engine();
    let world = &mut *world.borrow_mut();
    let net = &mut world.net;
    let now = net.now;
    // It stays full, or not, until the next turn, which may be long after.
    let (full, it) = (reactor.is_full(), &mut net.hosts[host]);
    if std::mem::replace(&mut it.full, full) || full {
        it.full_at = now;
    }
    net.note_taken_in(host, engine.counters().messages_in);
    net.note_owed(host, |index| engine.is_owed_much(index));
    let panics = engine.counters().panics + service.panics() + service.chat().counts().panics;
    if panics > 0 {
        net.trace.fail(6, now, || "a panic was contained".into());
    }
    judging::bounds::look(reactor, service, world, host);
    judging::left::look(reactor, service, world, false);
}

/// The one who has started a simulated server.
#[derive(Debug)]
struct Simulated(Settings);

impl Starter for Simulated {
    fn reload(&mut self) -> Result<Reading, String> {
        let mut settings = self.0.clone();
        // As an operator would: a little more room, or a little less.
        let Bounds { max_connections, .. } = &mut settings.bounds;
        *max_connections += 1;
        Ok(Reading { settings, changed: Vec::new(), at_the_next_start: Vec::new() })
    }

    fn in_force(&self) -> String {
        String::new()
    }

    fn note(&mut self, _: State<'_>) {}

    fn wants_to_hear_every(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests;
