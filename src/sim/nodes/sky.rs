//! What is between nodes and their Redis, and what breaks there: answers that come late or not at all, channels that
//! are cut or deaf, a Redis that is away, full, or started again with less than it had.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::backend::redis::imitation::{Fate, Imitation, Left, Weather};
use crate::backend::redis::outside::{BEAT_EVERY, SILENT_WITHIN};
use crate::backend::redis::{Options, Server};
use crate::backend::{Backend, Body, Bounds, Conversation, News, Query, Request, Ticket};
use crate::time::Moment;

use super::super::network::{Errand, Event, Network, SECOND, Time};
use super::super::plan::Fault;
use super::super::world::World;
use super::WITHIN;
use super::line::Line;

/// A way from a node to its Redis.
#[derive(Debug, Default)]
struct Way {
    /// Which of those that hear it is; each life of a node is another one.
    ear: usize,
    /// Nothing goes over it until then.
    cut_until: Time,
    /// When something came over it last.
    heard: Time,
    /// What comes is on its way.
    coming: bool,
    /// What its exchanges have taken since that was asked.
    spent: Time,
    /// When its node has last begun: what was to be done in a life before is not done in this one.
    began: Time,
}

/// All of it.
pub(super) struct Sky {
    world: Rc<RefCell<World>>,
    redis: RefCell<Option<Imitation>>,
    lines: RefCell<Vec<Option<Rc<RefCell<Line>>>>>,
    ways: RefCell<Vec<Way>>,
    /// The host of each that hears; `None`: somebody who looks at the end.
    hosts: RefCell<Vec<Option<usize>>>,
    /// Redis does not answer until then; it refuses connections, or is there and silent.
    away_until: Cell<Time>,
    refuses: Cell<bool>,
    /// How far its clock is, in milliseconds.
    clock: Cell<u64>,
    /// How many wait for others, each for the next one.
    deep: Cell<usize>,
}

impl fmt::Debug for Sky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sky")
    }
}

impl Sky {
    /// A Redis that is empty, and ways to it.
    ///
    /// # Errors
    /// What Lua has against the script.
    pub fn over(world: &Rc<RefCell<World>>) -> Result<Rc<Self>, String> {
        let (nodes, seed) = (world.borrow().net.plan.nodes, world.borrow().net.plan.seed);
        let sky = Rc::new(Self {
            world: world.clone(),
            redis: RefCell::default(),
            lines: RefCell::new((0..nodes).map(|_| None).collect()),
            ways: RefCell::new((0..nodes).map(|_| Way::default()).collect()),
            hosts: RefCell::default(),
            away_until: Cell::new(0),
            refuses: Cell::new(false),
            clock: Cell::new(0),
            deep: Cell::new(0),
        });
        let redis = Imitation::new(seed ^ OF_REDIS, Some(sky.clone()))?;
        *sky.redis.borrow_mut() = Some(redis);
        Ok(sky)
    }

    /// It is over: the sky and its Redis know each other, and let go.
    pub fn ends(&self) {
        self.redis.take();
        self.lines.borrow_mut().clear();
    }

    fn redis(&self) -> Imitation {
        self.redis.borrow().clone().expect("it is there until the end")
    }

    pub fn now(&self) -> Time {
        self.world.borrow().net.now
    }

    /// How many requests wait for a store at most.
    pub fn queue(&self) -> usize {
        self.world.borrow().net.plan.store_queue
    }

    fn line(&self, host: usize) -> Option<Rc<RefCell<Line>>> {
        self.lines.borrow()[host].clone()
    }

    /// There is work for the thread of a store.
    pub fn tells_to_work(&self, host: usize) {
        let net = &mut self.world.borrow_mut().net;
        let wait = net.chance.skewed(10, 500);
        net.after(wait, Event::Errand(host, Errand::Work));
    }

    fn options(&self) -> Options {
        let plan = &self.world.borrow().net.plan;
        let server = Server { tls: false, host: "redis".into(), port: 1, db: 0, user: None, password: None };
        let (messages, age) = (plan.kept.messages, plan.kept.age);
        Options { server, prefix: "salon".into(), messages, age, people: 1000 }
    }

    /// A node connects, if it can.
    pub fn opens(&self, host: usize, seed: u64) -> Option<Rc<RefCell<Line>>> {
        let ear = self.hosts.borrow().len();
        self.hosts.borrow_mut().push(Some(host));
        let began = self.now();
        {
            let way = &mut self.ways.borrow_mut()[host];
            *way = Way { ear, heard: began, began, cut_until: way.cut_until, ..Way::default() };
        }
        let opened = self.redis().open(self.options(), seed, false);
        let Ok((_, store)) = opened else {
            self.redis().cuts(ear);
            return None;
        };
        let line = Rc::new(RefCell::new(Line::new(store)));
        self.lines.borrow_mut()[host] = Some(line.clone());
        let net = &mut self.world.borrow_mut().net;
        net.after(BEAT_EVERY.as_micros() as Time, Event::Errand(host, Errand::Beat(began)));
        net.after(SECOND, Event::Errand(host, Errand::Mend(began)));
        net.after(1, Event::Errand(host, Errand::Work));
        Some(line)
    }

    /// A node is no more: its connections end with it.
    pub fn ends_of(&self, host: usize) {
        self.lines.borrow_mut()[host] = None;
        self.redis().cuts(self.ways.borrow()[host].ear);
    }

    fn is_reachable(&self, host: usize) -> bool {
        let now = self.now();
        self.away_until.get() <= now && self.ways.borrow()[host].cut_until <= now
    }

    /// Does what a node does beside its loop, when it can.
    pub fn does(&self, host: usize, errand: Errand) {
        let now = self.now();
        if let Errand::Woe(fault) = errand {
            return self.strikes(host, fault);
        }
        if let Errand::Over(fault) = errand {
            return self.is_over(fault);
        }
        let Some(line) = self.line(host) else { return };
        // Another life of the node has its own.
        let began = self.ways.borrow()[host].began;
        if matches!(errand, Errand::Beat(of) | Errand::Mend(of) if of != began) {
            return;
        }
        let frozen = self.world.borrow().net.hosts[host].frozen_until;
        let busy = if errand == Errand::Work { line.borrow().busy_until } else { 0 };
        if frozen.max(busy) > now {
            return self.world.borrow_mut().net.at(frozen.max(busy), Event::Errand(host, errand));
        }
        let ear = self.ways.borrow()[host].ear;
        match errand {
            Errand::Work => self.works(host),
            Errand::Words => {
                self.ways.borrow_mut()[host].coming = false;
                if !self.is_reachable(host) {
                    // It stays on its way, or is lost with it.
                    return;
                }
                let waiting = self.redis().coming(ear);
                if waiting > 0 {
                    let some = self.world.borrow_mut().net.chance.within(1, waiting as u64) as usize;
                    self.redis().arrives(ear, some);
                    self.ways.borrow_mut()[host].heard = now;
                    self.works_soon(host, &line);
                }
                self.sends_words();
            }
            Errand::Beat(_) => {
                self.redis().beats(ear);
                self.works_soon(host, &line);
                let net = &mut self.world.borrow_mut().net;
                net.after(BEAT_EVERY.as_micros() as Time, Event::Errand(host, errand));
            }
            Errand::Mend(_) => {
                if now - self.ways.borrow()[host].heard > SILENT_WITHIN.as_micros() as Time {
                    self.redis().cuts(ear);
                    self.ways.borrow_mut()[host].heard = now;
                }
                if self.is_reachable(host) && self.redis().mends(ear) {
                    self.ways.borrow_mut()[host].heard = now;
                    self.works_soon(host, &line);
                }
                self.sends_words();
                let net = &mut self.world.borrow_mut().net;
                let wait = net.chance.within(50_000, SECOND);
                net.after(wait, Event::Errand(host, errand));
            }
            Errand::Start | Errand::Woe(_) | Errand::Over(_) => {}
        }
    }

    fn works_soon(&self, host: usize, line: &RefCell<Line>) {
        if !std::mem::replace(&mut line.borrow_mut().told, true) {
            self.tells_to_work(host);
        }
    }

    /// The thread of a store does what there is to do, unless it waits for an answer.
    fn works(&self, host: usize) {
        let Some(line) = self.line(host) else { return };
        let Ok(mut line) = line.try_borrow_mut() else { return };
        line.works();
        let spent = std::mem::take(&mut self.ways.borrow_mut()[host].spent);
        let at = self.now() + spent;
        line.busy_until = at;
        if line.comes_through(at) {
            self.world.borrow_mut().net.at(at, Event::Store(host));
        }
        drop(line);
        self.sends_words();
    }

    /// What was published is on its way to those who hear it.
    fn sends_words(&self) {
        let redis = self.redis();
        let net = &mut self.world.borrow_mut().net;
        for (host, way) in self.ways.borrow_mut().iter_mut().enumerate() {
            if !way.coming && redis.coming(way.ear) > 0 {
                way.coming = true;
                let late = if net.strikes(Fault::RedisLate) { net.chance.skewed(1_000, 2 * SECOND) } else { 0 };
                let wait = net.chance.skewed(20, 2_000) + late;
                net.after(wait, Event::Errand(host, Errand::Words));
            }
        }
    }

    /// Something breaks.
    fn strikes(&self, host: usize, fault: Fault) {
        let redis = self.redis();
        let world = &mut *self.world.borrow_mut();
        let World { net, judge, .. } = world;
        if !net.faulty {
            return;
        }
        net.trace.tell(net.now, || format!("fault: {} at {host}", fault.word()));
        let (from, to) =
            *net.chance.pick(&[(SECOND / 10, 3 * SECOND), (3 * SECOND, 14 * SECOND), (14 * SECOND, 60 * SECOND)]);
        let (ear, until) = (self.ways.borrow()[host].ear, net.now + net.chance.within(from, to));
        let mut troubled = net.now;
        match fault {
            Fault::Cut => redis.cuts(ear),
            Fault::Deaf => redis.deafens(ear),
            Fault::CutOff => {
                self.ways.borrow_mut()[host].cut_until = until;
                troubled = until;
                net.at(until, Event::Errand(host, Errand::Over(fault)));
            }
            Fault::RedisAway => {
                self.away_until.set(until);
                troubled = until;
                self.refuses.set(net.chance.one_in(2));
                net.at(until, Event::Errand(host, Errand::Over(fault)));
            }
            Fault::RedisFull => {
                redis.is_full(true);
                troubled = until;
                net.at(until, Event::Errand(host, Errand::Over(fault)));
            }
            Fault::RedisLost => {
                // What a replica has by now may come back later.
                let keeps = |net: &mut Network| {
                    if net.chance.one_in(2) {
                        redis.is_copied()
                    }
                };
                let what = net.chance.below(6);
                match what {
                    0 => redis.starts_again(Left::All),
                    1 | 2 => redis.starts_again(Left::Older),
                    3 => redis.starts_again(Left::Nothing),
                    4 => redis.flushes(true),
                    _ => redis.flushes(false),
                }
                keeps(net);
                // Numbers begin anew; and what was said before may be said again.
                judge.renumbered |= what < 5;
                judge.lost |= (1..5).contains(&what);
            }
            _ => {}
        }
        world.note_trouble(troubled);
    }

    /// It is over.
    fn is_over(&self, fault: Fault) {
        if fault == Fault::RedisFull {
            self.redis().is_full(false);
        }
        let now = self.now();
        self.world.borrow_mut().note_trouble(now);
        self.sends_words();
    }

    /// The time of Redis is that of the world.
    fn keeps_time(&self) {
        let ms = self.now() / 1000;
        let before = self.clock.replace(ms);
        if let Some(redis) = &*self.redis.borrow() {
            redis.waits(ms - before);
        }
    }

    /// What becomes of an exchange of a node.
    fn fate(&self, host: usize, commands: usize) -> Fate {
        let net = &mut self.world.borrow_mut().net;
        let way = &mut self.ways.borrow_mut()[host];
        let within = WITHIN.as_micros() as Time;
        let away = self.away_until.get() > net.now;
        if way.cut_until > net.now || away && !self.refuses.get() {
            way.spent += within;
            // A Redis that stands still carries out what has come when it goes on.
            let done = if away { net.chance.below(commands as u64 + 1) as usize } else { 0 };
            return Fate::Broken(done);
        }
        way.spent += net.chance.skewed(50, 2_000);
        if away {
            return Fate::Broken(0);
        }
        if net.strikes(Fault::RedisLate) {
            let late = net.chance.skewed(1_000, 2 * within);
            way.spent += late.min(within);
            if late > within {
                return Fate::Broken(net.chance.below(commands as u64 + 1) as usize);
            }
        }
        Fate::Answered
    }

    /// While one waits for an answer, another one asks.
    fn others_ask(&self, host: usize) {
        let (hosts, now) = (self.lines.borrow().len() as u64, self.now());
        let other = self.world.borrow_mut().net.chance.below(hosts) as usize;
        let frozen = self.world.borrow().net.hosts[other].frozen_until;
        let Some(line) = self.line(other).filter(|_| other != host && frozen <= now) else { return };
        // One that waits for an answer itself asks nothing.
        if line.try_borrow().is_ok_and(|line| line.busy_until <= now) {
            self.deep.set(self.deep.get() + 1);
            self.works(other);
            self.deep.set(self.deep.get() - 1);
        }
    }

    /// What was acknowledged is in Redis, as far as it is in the life that it was said in.
    pub fn look_at_what_was_acknowledged(&self) {
        self.hosts.borrow_mut().push(None);
        let Ok((_, mut store)) = self.redis().open(self.options(), u64::MAX, true) else { return };
        let rooms = self.world.borrow().judge.rooms();
        for room in rooms {
            let (query, now) = (Query::Newest(Bounds { entries: usize::MAX, bytes: usize::MAX }), Moment::default());
            let conversation = Conversation::Room(&room);
            let read = Request::Read { conversation, query, reader: None, now, about: None, ticket: Ticket(1) };
            if store.ask(read).is_err() {
                return;
            }
            let mut found = None;
            while let Some(news) = store.poll() {
                if let News::Page { head, entries, .. } = news {
                    let is_message = |body: &Body<'_>| matches!(body, Body::Message(_));
                    let seqs = entries.iter().filter(|entry| is_message(&entry.body)).map(|entry| entry.seq);
                    found = Some((head, seqs.collect::<Vec<u64>>()));
                }
            }
            let Some((head, seqs)) = found else { continue };
            let world = &mut *self.world.borrow_mut();
            let epoch = head.epoch.to_string();
            let newest = world.judge.newest(&room, &epoch);
            let lost = world.judge.acknowledged(&room, &epoch, head.oldest());
            let lost = lost.iter().find(|(seq, _)| !seqs.contains(seq));
            if newest > head.seq {
                let text = format!("{room}/{epoch} goes to {} at the end, and was heard up to {newest}", head.seq);
                world.net.trace.fail(4, world.net.now, || text);
            } else if let Some((seq, content)) = lost {
                let text = format!("{room}/{epoch}/{seq} was acknowledged, and is lost: {content:.20}");
                world.net.trace.fail(4, world.net.now, || text);
            }
        }
    }
}

impl Weather for Sky {
    fn exchange(&self, ear: usize, commands: usize) -> Fate {
        self.keeps_time();
        let Some(host) = self.hosts.borrow()[ear] else { return Fate::Answered };
        let others = {
            let net = &mut self.world.borrow_mut().net;
            net.faulty && self.deep.get() < DEEPEST && net.chance.one_in(3)
        };
        if others {
            self.others_ask(host);
        }
        self.fate(host, commands)
    }

    fn clock(&self) -> Duration {
        Duration::from_micros(self.now())
    }
}

/// How many wait for others at most.
const DEEPEST: usize = 3;

/// What Redis leaves open is drawn from other numbers than those of the world.
const OF_REDIS: u64 = 0x7ed1_5000_0000_0001;
