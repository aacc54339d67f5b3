//! The loop on a machine that is not there, in scenes that no seed draws often: each was a fault of Salon once.

use super::*;
use crate::engine::{Engine, Event as Told};
use crate::id::ConnId;
use crate::server::forwarded::Proxies;
use crate::server::reactor::{Bounds, REFUSALS};
use crate::server::socket::Socket;
use crate::server::{Port, Seen, Service, Turn};
use crate::sim::network::{StopAmid, Time};
use crate::time::{Moment, Tick};

/// A service that answers every request, and has one deadline.
#[derive(Debug, Default)]
struct Clockwork {
    asked: usize,
    refused: usize,
    due: Option<Tick>,
    patient_until: Option<Tick>,
    /// How much it had been asked when the deadline was over.
    asked_by_then: Option<usize>,
    /// Its turns: when each began, and how long it took.
    turns: Vec<(Tick, Duration)>,
}

impl Service<Machine> for Clockwork {
    type Then = bool;

    fn handle(&mut self, _: ConnId, port: Port, event: Told<'_>, _: &Seen<'_>) -> bool {
        let is_asked = matches!(event, Told::Request(_));
        match port {
            Port::Refused => self.refused += usize::from(is_asked),
            _ => self.asked += usize::from(is_asked),
        }
        is_asked
    }

    fn carry_out(&mut self, id: ConnId, is_asked: bool, turn: &mut Turn<'_, Machine>) {
        if is_asked {
            turn.engine.respond(id, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true);
        }
    }

    fn deliver(&mut self, _: &mut Turn<'_, Machine>) {}

    fn turn_took(&mut self, began: Tick, took: Duration) {
        self.turns.push((began, took));
    }

    fn handle_timeout(&mut self, _: Moment) {
        (self.asked_by_then, self.due) = (Some(self.asked), None);
    }

    fn next_deadline(&self) -> Option<Tick> {
        self.due.map(|at| at.max(self.patient_until.unwrap_or(at)))
    }

    fn be_patient(&mut self, until: Option<Tick>) {
        self.patient_until = until;
    }

    fn shut_down(&mut self, _: &mut Turn<'_, Machine>, _: Duration) {}

    fn close_all(&mut self, engine: &mut Engine<Socket<Machine>>) {
        for id in engine.ids() {
            engine.close(id, crate::proto::CloseCode::GOING_AWAY, "");
        }
    }
}

/// A second public listener.
const ANOTHER: usize = network::PROXY;

/// A loop and its machine, without people.
struct House {
    world: Rc<RefCell<World>>,
    reactor: Reactor<Machine>,
    service: Clockwork,
    ended: bool,
}

impl House {
    fn new(max_connections: usize) -> Self {
        Self::with(max_connections, false)
    }

    /// One in which a proxy comes to the second address, if `behind`.
    fn with(max_connections: usize, behind: bool) -> Self {
        let mut plan = Plan::draw(1, &Wish { faults: Some(Vec::new()), ..Wish::default() });
        (plan.latency, plan.turn, plan.window) = (1_000, 60, 100_000);
        let nobody = Actor::Hostile(Box::new(Hostile::new(0, NEAR)));
        let mut world = World::new(Network::new(plan.clone(), Trace::new(0)), vec![nobody]);
        world.come_up();
        let world = Rc::new(RefCell::new(world));
        let bounds = Bounds {
            max_connections,
            addresses: None,
            memory: None,
            stop_within: Duration::from_secs(60),
            proxies: Proxies { trusted: vec![Trusted::Net(NEAR.into())], ..Proxies::default() },
            ..plan.settings.bounds.clone()
        };
        let machine = Machine::new(world.clone(), 0);
        // Two addresses of one kind.
        let mut listeners = vec![Listener::new(PUBLIC, Port::Public), Listener::new(ANOTHER, Port::Public)];
        listeners[1].proxy_protocol = behind;
        let keyed = Random::from(1).keyed();
        let reactor =
            Reactor::new(machine, listeners, plan.settings.engine.clone(), bounds, Certificates::default(), &keyed);
        Self { world, reactor, service: Clockwork::default(), ended: false }
    }

    /// Somebody connects.
    fn comes(&mut self) -> usize {
        self.comes_to(PUBLIC)
    }

    fn comes_to(&mut self, listener: usize) -> usize {
        self.world.borrow_mut().net.connect(0, listener, NEAR)
    }

    fn asks(&mut self, link: usize) {
        self.world.borrow_mut().net.send(link, b"GET / HTTP/1.1\r\nHost: salon\r\n\r\n");
    }

    /// Time passes.
    fn pass(&mut self, wait: Time) {
        let until = self.world.borrow().net.now + wait;
        // So that the loop does not wait for longer.
        self.world.borrow_mut().net.at(until, Event::Store(0));
        while !self.ended && self.world.borrow().net.now < until {
            self.ended = !self.reactor.go_round(&mut self.service).expect("the loop goes on");
        }
    }
}

/// Four places are taken, and two who say nothing are refused. When one of the four goes, the next client has its
/// place.
#[test]
fn those_who_are_refused_take_no_place() {
    let mut house = House::new(4);
    let open: Vec<usize> = (0..4).map(|_| house.comes()).collect();
    house.pass(SECOND / 10);
    for _ in 0..2 {
        house.comes();
    }
    house.pass(SECOND / 10);
    open.iter().for_each(|link| house.asks(*link));
    house.pass(SECOND / 10);
    house.world.borrow_mut().net.close(open[0]);
    house.pass(SECOND / 10);
    assert_eq!((house.reactor.engine().len(), house.service.asked), (5, 4));
    let next = house.comes();
    house.asks(next);
    house.pass(SECOND / 10);
    assert_eq!((house.service.asked, house.service.refused), (5, 0));
    // One more is told that there is no place.
    let more = house.comes();
    house.asks(more);
    house.pass(SECOND / 10);
    assert_eq!((house.service.asked, house.service.refused), (5, 1));
}

/// However many say nothing while they are refused, a place that is free is there for the next client.
#[test]
fn so_many_are_refused_at_a_time() {
    let mut house = House::new(2);
    let open = [house.comes(), house.comes()];
    house.pass(SECOND / 10);
    for _ in 0..REFUSALS + 10 {
        house.comes();
    }
    house.pass(SECOND / 10);
    assert_eq!(house.reactor.engine().len(), 2 + REFUSALS);
    house.world.borrow_mut().net.close(open[0]);
    house.pass(SECOND / 10);
    // Of those in the backlog one has it.
    assert_eq!(house.reactor.engine().len(), 2 + REFUSALS);
    assert!(house.reactor.is_full());
}

/// Many wait at one address and one at the other, and there is no place: the first two that are free again are one for
/// each, whoever came first.
#[test]
fn a_crowd_at_one_address_keeps_nobody_out_of_another() {
    let [there, here] = [(ANOTHER, PUBLIC), (PUBLIC, ANOTHER)].map(|(crowded, other)| {
        let mut house = House::new(2);
        let crowd: Vec<usize> = (0..2 + REFUSALS + 50).map(|_| house.comes_to(crowded)).collect();
        house.pass(SECOND / 10);
        assert!(house.reactor.is_full());
        let one = house.comes_to(other);
        house.asks(one);
        house.pass(SECOND / 10);
        assert_eq!((house.service.asked, house.service.refused), (0, 0));
        for link in &crowd[..2] {
            house.world.borrow_mut().net.close(*link);
            house.pass(SECOND / 10);
        }
        house.service.asked + house.service.refused
    });
    assert_eq!((there, here), (1, 1));
}

/// A balancer that only looks whether somebody listens does not hold up the end.
#[test]
fn a_stop_waits_for_no_stranger() {
    let mut house = House::new(100);
    let client = house.comes();
    house.asks(client);
    house.pass(SECOND / 10);
    house.world.borrow_mut().net.hosts[0].stop = true;
    // It has 5 s to end its side, and the stop a minute.
    house.pass(SECOND / 10);
    house.comes();
    house.pass(SECOND / 10);
    house.world.borrow_mut().net.close(client);
    house.pass(10 * SECOND);
    assert!(house.ended, "{} are there", house.reactor.engine().len());
}

/// The process stands still, in a wait or amid a turn, behind so many calls of its system, while three hundred ask in
/// time, and somebody new comes: the deadline waits for all of them.
#[test]
fn nobody_is_late_because_the_process_stood_still() {
    for amid_a_turn in [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(100), Some(300), Some(600)] {
        let mut house = House::new(1000);
        let crowd: Vec<usize> = (0..300).map(|_| house.comes()).collect();
        house.pass(SECOND);
        crowd.iter().for_each(|link| house.asks(*link));
        house.pass(SECOND);
        assert_eq!(house.service.asked, 300);
        house.service.due = Some(Tick(house.reactor_time() + 2_000));
        match amid_a_turn {
            Some(calls) => {
                let stop = StopAmid { wait: 10 * SECOND, with_machine: false, calls, behind_a_part: false };
                house.world.borrow_mut().net.hosts[0].stop_amid = Some(stop);
            }
            None => house.world.borrow_mut().freeze(10 * SECOND),
        }
        crowd.iter().for_each(|link| house.asks(*link));
        let new = house.comes();
        house.asks(new);
        house.pass(20 * SECOND);
        assert_eq!(house.service.asked_by_then, Some(601), "{amid_a_turn:?}");
    }
}

/// The process stands still amid a turn: the service is told of each turn how long it took.
#[test]
fn the_service_hears_how_long_a_turn_took() {
    let mut told = 0;
    for calls in 1..=6 {
        let mut house = House::new(1000);
        house.pass(SECOND);
        house.service.turns.clear();
        let stop = StopAmid { wait: 2 * SECOND, with_machine: false, calls, behind_a_part: false };
        house.world.borrow_mut().net.hosts[0].stop_amid = Some(stop);
        for _ in 0..10 {
            let link = house.comes();
            house.asks(link);
            house.pass(SECOND);
        }
        assert_eq!(house.service.asked, 10);
        let turns = &house.service.turns;
        assert!(turns.is_sorted_by_key(|(began, _)| *began), "{calls}: {turns:?}");
        let (long, others): (Vec<_>, Vec<_>) = turns.iter().partition(|(_, took)| *took >= Duration::from_secs(2));
        assert!(others.iter().all(|(_, took)| took.is_zero()), "{calls}: {others:?}");
        told += long.len();
    }
    // A stop between two turns is none amid one.
    assert!((3..6).contains(&told), "{told}");
}

/// Somebody comes by a proxy, and says nothing. The process stands still for nine seconds, behind so many calls of its
/// system: those who are accepted in a turn that takes so long have ten seconds from the end of it.
#[test]
fn somebody_who_comes_in_a_long_turn_has_all_of_their_time_for_a_header() {
    let mut in_a_long_turn = 0;
    for calls in 1..=9 {
        let mut house = House::with(1000, true);
        house.pass(SECOND);
        house.service.turns.clear();
        let stop = StopAmid { wait: 9 * SECOND, with_machine: false, calls, behind_a_part: false };
        house.world.borrow_mut().net.hosts[0].stop_amid = Some(stop);
        let link = house.comes_to(ANOTHER);
        (0..20).for_each(|_| house.pass(SECOND / 1000));
        assert_eq!(house.reactor.waiting(), 1, "{calls}");
        let accepted = house.world.borrow().net.links[link].accepted_at / 1000;
        let long = house.service.turns.iter().find(|(_, took)| *took >= Duration::from_secs(9));
        let ended = long.filter(|(began, _)| began.0 <= accepted).map(|(began, took)| (*began + *took).0);
        let from = ended.filter(|ended| accepted <= *ended);
        while house.reactor.waiting() > 0 {
            house.pass(SECOND / 1000);
        }
        let had = house.reactor_time() - from.unwrap_or(accepted);
        assert!((10_000..=10_020).contains(&had), "{calls}: {had} ms from {from:?}, accepted at {accepted}");
        in_a_long_turn += usize::from(from.is_some());
    }
    assert!(in_a_long_turn >= 2, "{in_a_long_turn}");
}

impl House {
    /// The time of the loop, in milliseconds.
    fn reactor_time(&self) -> u64 {
        self.world.borrow().net.now / 1000
    }
}

/// Two people in a room, with the server that ships.
struct Two {
    world: Rc<RefCell<World>>,
    service: ChatService,
    reactor: Reactor<Machine>,
}

impl Two {
    /// Somebody who loses their connection has `grace` to come back.
    fn new(grace: Duration) -> Self {
        let mut plan = Plan::draw(1, &Wish { faults: Some(Vec::new()), clients: Some(2), ..Wish::default() });
        (plan.people, plan.rooms, plan.latency, plan.turn, plan.window) = (2, 1, 50_000, 60, 100_000);
        (plan.lasts, plan.proxied, plan.faulty) = (Lasts::Memory, false, 1_000 * SECOND);
        plan.ways = plan::Ways::default();
        plan.settings.keys = None;
        plan.settings.bounds = Bounds { max_connections: 100, addresses: None, memory: None, ..plan.settings.bounds };
        plan.settings.chat.leave_grace = grace;
        (plan.settings.chat.rate, plan.settings.chat.big_room) = (None, 100);
        let world = Rc::new(RefCell::new(people(&plan, 10_000)));
        world.borrow_mut().come_up();
        for actor in &mut world.borrow_mut().actors {
            if let Actor::Client(client) = actor {
                client.rooms = [(room_name(0), client::Room::default())].into();
                client.rests = true;
            }
        }
        let platter = Rc::new(RefCell::new(Platter::default()));
        let random = Random::from(1);
        let (keyed, settings) = (random.keyed(), settings(&plan));
        let (engine, bounds) = (settings.engine.clone(), settings.bounds.clone());
        let listeners = vec![Listener::new(PUBLIC, Port::Public), Listener::new(ADMIN, Port::Admin)];
        let (store, starter) = (Box::new(Disk::open(&world, &platter)), Box::new(Simulated(settings.clone())));
        let service = ChatService::new(settings, store, starter, random);
        let machine = Machine::new(world.clone(), 0);
        let reactor = Reactor::new(machine, listeners, engine, bounds, Certificates::default(), &keyed);
        Self { world, service, reactor }
    }

    /// Time passes, until then or until there are so many sessions, which it returns.
    fn go(&mut self, until: Time, sessions: Option<usize>) -> usize {
        while self.world.borrow().net.now < until && sessions != Some(self.sessions()) {
            assert!(self.reactor.go_round(&mut self.service).expect("the loop goes on"));
        }
        self.sessions()
    }

    fn sessions(&self) -> usize {
        self.service.chat().counts().sessions
    }

    /// The connection of the first one, if there is one, and whether they are in the room.
    fn first(&self) -> (Option<usize>, bool) {
        match &self.world.borrow().actors[0] {
            Actor::Client(client) => (client.link(), client.epoch_of(&room_name(0)).is_some()),
            other => panic!("{other:?}"),
        }
    }

    /// It breaks.
    fn breaks(&mut self) {
        let (Some(link), true) = self.first() else { panic!("they are inside") };
        let world = &mut *self.world.borrow_mut();
        world.net.reset(link);
        let World { net, judge, actors, .. } = world;
        let Actor::Client(client) = &mut actors[0] else { panic!("it is a client") };
        client.brought(net, judge, link, network::Brought::Reset);
    }
}

/// The connection of somebody breaks, and they come back while the process stands still for longer than their grace:
/// nobody hears that they have left.
#[test]
fn somebody_who_is_back_has_not_left() {
    let mut two = Two::new(Duration::from_secs(3));
    assert_eq!(two.go(20 * SECOND, None), 2);
    two.breaks();
    assert_eq!(two.go(21 * SECOND, Some(1)), 1);
    two.world.borrow_mut().freeze(10 * SECOND);
    assert_eq!(two.go(60 * SECOND, None), 2);
    assert!(two.first().1, "they are inside again");
    let world = two.world.borrow();
    let lies: Vec<&str> = world.net.trace.lines().filter(|line| line.contains("user_left")).collect();
    assert!(lies.is_empty(), "{lies:?}");
}
