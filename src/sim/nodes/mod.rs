//! Several nodes on one Redis: the loop, the chat and the store that ship, each node on a host of its own, all of them
//! in this thread. The Redis is the one that runs the script that ships (`backend::redis::imitation`).
//!
//! ```text
//!   Cluster ── the turn of whichever node is due ──▶  Reactor, ChatService ──▶ Behind ─┐
//!      │                                                                             Line: what is on its way
//!      └────── errands: what a node does beside its loop ──▶  Sky ──▶ Redis (store) ───┘
//!                                                             │
//!                                                 Imitation: one Redis, whose Weather the sky is
//! ```
//!
//! The world goes on until a node is due ([`World::advance`]). What the threads of a store do is an errand at an
//! instant: what it takes, they are busy for afterwards, and the chat hears of it then. While one waits for an answer,
//! others ask.

mod behind;
mod line;
mod sky;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::random::Random;
use crate::server::chat_service::ChatService;
use crate::server::listener::Listener;
use crate::server::reactor::{Reactor, Wait};
use crate::server::tls::Certificates;
use crate::server::{Error, Port};

use self::behind::Behind;
use self::sky::Sky;
use super::machine::Machine;
use super::network::{ADMIN, Errand, Event, PROXY, PUBLIC, SECOND, Time};
use super::plan::{Fault, Plan};
use super::world::{Loop, NOTICED, Stage, World};
use super::{Simulated, judging, look_inside, settings};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A node that has waited takes a turn.
    Turn(usize),
    /// A node is no more; with power: nor is its machine.
    Killed(usize, bool),
    /// Something is done beside its loop.
    Errand(usize, Errand),
}

/// A node that lives.
struct Node {
    reactor: Reactor<Machine>,
    service: ChatService,
    /// What its loop waits for.
    wait: Wait,
}

/// All of them.
struct Cluster<'a> {
    world: Rc<RefCell<World>>,
    sky: Rc<Sky>,
    nodes: Vec<Option<Node>>,
    plan: &'a Plan,
    lives: u32,
}

/// Goes on until it is over.
pub(super) fn run(world: &Rc<RefCell<World>>, plan: &Plan) {
    let sky = match Sky::over(world) {
        Ok(sky) => sky,
        Err(why) => return world.borrow_mut().net.trace.fail(6, 0, || why),
    };
    let nodes = (0..plan.nodes).map(|_| None).collect();
    let mut cluster = Cluster { world: world.clone(), sky, nodes, plan, lives: 0 };
    cluster.strikes();
    (0..plan.nodes).for_each(|host| cluster.after(0, host, Errand::Start));
    while cluster.goes_on() {}
    cluster.sky.ends();
}

impl Cluster<'_> {
    fn after(&self, wait: Time, host: usize, errand: Errand) {
        self.world.borrow_mut().net.after(wait, Event::Errand(host, errand));
    }

    /// Draws what is to happen to the Redis and the ways to it.
    fn strikes(&self) {
        let net = &mut self.world.borrow_mut().net;
        for (fault, _) in Fault::OF_NODES {
            if self.plan.has(fault) && fault != Fault::RedisLate {
                for _ in 0..1 + self.plan.rate(fault) % 6 {
                    let at = net.chance.below(self.plan.faulty);
                    let host = net.chance.below(self.plan.nodes as u64) as usize;
                    net.at(at, Event::Errand(host, Errand::Woe(fault)));
                }
            }
        }
    }

    /// Goes on to what comes next; returns whether there is more.
    fn goes_on(&mut self) -> bool {
        let next = self.world.borrow_mut().advance();
        match next {
            None => {
                if self.world.borrow().stage == Stage::Over && !self.world.borrow().net.trace.has_failed() {
                    for node in self.nodes.iter().flatten() {
                        judging::left::look(&node.reactor, &node.service, &mut self.world.borrow_mut(), true);
                    }
                    self.sky.look_at_what_was_acknowledged();
                }
                return false;
            }
            Some(Next::Turn(host)) => self.turn(host),
            Some(Next::Killed(host, power)) => self.ends(host, power),
            Some(Next::Errand(host, Errand::Start)) => self.starts(host),
            Some(Next::Errand(host, errand)) => self.sky.does(host, errand),
        }
        true
    }

    /// A node takes a turn, and waits again.
    fn turn(&mut self, host: usize) {
        let Some(node) = &mut self.nodes[host] else { return };
        match node.reactor.end_wait(&mut node.service, node.wait, Ok(())) {
            Ok(true) => {
                look_inside(&node.reactor, &node.service, &self.world, host);
                self.waits(host);
            }
            Ok(false) => {
                judging::ends::look(&node.reactor, &mut self.world.borrow_mut().net, host);
                self.ends(host, false);
            }
            Err(Error::Loop(_)) => unreachable!("no wait has failed"),
            Err(error) => {
                let world = &mut *self.world.borrow_mut();
                world.net.trace.fail(6, world.net.now, || error.to_string());
            }
        }
    }

    fn waits(&mut self, host: usize) {
        let Some(node) = &mut self.nodes[host] else { return };
        node.wait = node.reactor.begin_wait(&mut node.service);
        let timeout = node.wait.timeout.map(|timeout| timeout.as_micros() as Time);
        self.world.borrow_mut().waits(host, timeout);
    }

    /// A node is started. Where Redis cannot be used it ends at once, as `salon serve` does, and is started once more.
    fn starts(&mut self, host: usize) {
        self.lives += 1;
        let random = Random::from(self.plan.seed ^ (u64::from(self.lives) << 40));
        let Some(line) = self.sky.opens(host, self.plan.seed ^ (u64::from(self.lives) << 20)) else {
            return self.after(SECOND, host, Errand::Start);
        };
        {
            let net = &mut self.world.borrow_mut().net;
            net.hosts[host].life = self.lives;
            net.come_up(host);
            net.trace.tell(net.now, || format!("node {host} begins"));
        }
        let settings = settings(self.plan);
        let mut behind = Listener::new(PROXY, Port::Public);
        behind.proxy_protocol = true;
        let listeners = vec![Listener::new(PUBLIC, Port::Public), Listener::new(ADMIN, Port::Admin), behind];
        let (engine, bounds) = (settings.engine.clone(), settings.bounds.clone());
        let keyed = random.keyed();
        let store = Box::new(Behind::new(self.sky.clone(), host, line));
        let mut service = ChatService::new(settings.clone(), store, Box::new(Simulated(settings)), random);
        let system = Machine::new(self.world.clone(), host);
        let mut reactor = Reactor::new(system, listeners, engine, bounds, Certificates::default(), &keyed);
        let wait = reactor.begin_wait(&mut service);
        self.nodes[host] = Some(Node { reactor, service, wait });
        self.waits(host);
    }

    /// A node has ended, and is started again after a while.
    fn ends(&mut self, host: usize, power: bool) {
        let node = self.nodes[host].take();
        self.sky.ends_of(host);
        let mut world = self.world.borrow_mut();
        world.loops[host].until = None;
        world.net.go_down(host, power);
        let now = world.net.now;
        world.note_trouble(now);
        let wait = world.net.chance.skewed(SECOND / 10, 20 * SECOND);
        drop(world);
        drop(node);
        self.after(wait, host, Errand::Start);
    }
}

impl World {
    /// Something is wrong between nodes and their Redis until then.
    fn note_trouble(&mut self, until: Time) {
        self.troubled = self.troubled.max(until);
    }

    /// A node has ended its turn, and waits for so long at most; `None`: until something comes.
    fn waits(&mut self, host: usize, timeout: Option<Time>) {
        self.note_turn(host);
        // A turn takes time.
        let end = self.net.now + self.net.chance.skewed(2, self.net.plan.turn);
        let until = timeout.map_or(Time::MAX, |timeout| end.saturating_add(timeout));
        let it = &mut self.loops[host];
        (it.busy_until, it.until) = (end, Some(until));
    }

    /// All nodes wait, and the world goes on; `None`: it is over.
    fn advance(&mut self) -> Option<Next> {
        loop {
            if self.stage == Stage::Over || self.net.trace.has_failed() {
                return None;
            }
            let (now, hosts) = (self.net.now, self.loops.len());
            let mut limit = Time::MAX;
            for host in (self.last + 1..).take(hosts).map(|host| host % hosts) {
                let (it, machine) = (&mut self.loops[host], &mut self.net.hosts[host]);
                let Loop { until: Some(until), busy_until, .. } = *it else { continue };
                if let Some(power) = machine.crash.take() {
                    return Some(Next::Killed(host, power));
                }
                let is_ready = machine.is_ready();
                let due = if is_ready { busy_until } else { until.max(busy_until) };
                let at = due.max(machine.frozen_until);
                if at > now {
                    limit = limit.min(at);
                    continue;
                }
                if machine.frozen_until > until.saturating_add(NOTICED) {
                    machine.woken_at = now;
                }
                (it.until, it.found_nothing, self.last) = (None, !is_ready, host);
                return Some(Next::Turn(host));
            }
            match self.net.next(limit) {
                Some(Event::Errand(host, errand)) => return Some(Next::Errand(host, errand)),
                Some(event) => self.happen(event),
                None => self.net.now = self.net.now.max(limit),
            }
        }
    }
}

/// How long the connection of a node to its Redis takes for an answer at most (`backend::redis::link`).
const WITHIN: Duration = Duration::from_secs(1);
