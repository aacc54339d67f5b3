//! Chats on the store that several nodes share by Redis, on a Redis in this process, while connections break, channels
//! are cut, nodes stand still, leases end, and Redis is started again with all that it had, less, or nothing.
//!
//! While one node waits for an answer, others ask: each exchange is a place where anything may come between.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use super::walk::{Ground, Walk};
use super::*;
use crate::backend::redis::imitation::{Fate, Imitation, Left, Weather};
use crate::backend::redis::{self, Redis};

/// A store, and what is on its way between it and its chat, as between two threads.
struct Line {
    store: Redis,
    asked: Requests,
    done: usize,
    said: Reports,
    heard: usize,
    /// How much of it has come through.
    through: usize,
}

impl Line {
    fn carries_out(&mut self, requests: usize) {
        for _ in 0..requests {
            let Some(request) = self.asked.get(self.done) else { break };
            if self.store.ask(request).is_err()
                && let Some(ticket) = request.ticket()
            {
                self.said.push(&News::Failed { ticket });
            }
            self.done += 1;
        }
        while let Some(news) = self.store.poll() {
            self.said.push(&news);
        }
    }
}

/// The chat's side of a line.
struct Behind {
    line: Rc<RefCell<Line>>,
    taken: Reports,
}

impl Backend for Behind {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        self.line.borrow_mut().asked.push(request);
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        let line = &mut *self.line.borrow_mut();
        line.store.tell_catalogue();
        line.carries_out(0);
        line.through = line.said.len();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        let line = &mut *self.line.borrow_mut();
        let news = line.said.get(line.heard).filter(|_| line.heard < line.through)?;
        self.taken.clear();
        self.taken.push(&news);
        line.heard += 1;
        self.taken.get(0)
    }

    fn is_idle(&self) -> bool {
        let line = self.line.borrow();
        line.done == line.asked.len() && line.heard == line.said.len()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.line.borrow_mut().store.expire(now)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn keeps(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "process"
    }

    fn about(&self) -> String {
        "on a Redis in this process".into()
    }
}

/// What happens between nodes and their Redis.
#[derive(Default)]
struct Sky {
    lines: RefCell<Vec<Weak<RefCell<Line>>>>,
    random: RefCell<Option<Random>>,
    /// Anything may break.
    storms: Cell<bool>,
    /// Nodes that cannot reach Redis.
    cut_off: RefCell<BTreeSet<usize>>,
    /// How many wait for others, each for the next one.
    deep: Cell<usize>,
    now: Cell<u64>,
}

impl fmt::Debug for Sky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sky")
    }
}

impl Sky {
    fn below(&self, end: usize) -> usize {
        self.random.borrow_mut().as_mut().map_or(1, |random| random.below(end as u64) as usize)
    }

    fn others_ask(&self, node: usize) {
        let other = self.below(self.lines.borrow().len().max(1));
        let line = self.lines.borrow().get(other).and_then(Weak::upgrade);
        // One that waits for an answer itself asks nothing.
        if let Some(line) = line.filter(|_| other != node)
            && let Ok(line) = &mut line.try_borrow_mut()
        {
            self.deep.set(self.deep.get() + 1);
            line.carries_out(1 + self.below(3));
            self.deep.set(self.deep.get() - 1);
        }
    }
}

impl Weather for Sky {
    fn exchange(&self, node: usize, commands: usize) -> Fate {
        if self.storms.get() && self.deep.get() < 3 && self.below(3) == 0 {
            self.others_ask(node);
        }
        if self.cut_off.borrow().contains(&node) {
            Fate::Broken(0)
        } else if self.storms.get() && self.below(50) == 0 {
            Fate::Broken(self.below(commands + 1))
        } else {
            Fate::Answered
        }
    }

    fn clock(&self) -> Duration {
        Duration::from_millis(self.now.get())
    }
}

/// Chats, each on a line of its own to the one Redis.
struct Storm {
    redis: Imitation,
    sky: Rc<Sky>,
    lines: Vec<Rc<RefCell<Line>>>,
    stages: Vec<Stage>,
    /// Since when a node stands still.
    frozen: Vec<Option<u64>>,
    /// When a node is to beat.
    beats: Vec<u64>,
    options: redis::Options,
}

impl Storm {
    fn new(seed: u64, random: &mut Random) -> Self {
        let sky = Rc::new(Sky::default());
        let redis = Imitation::new(seed, Some(sky.clone())).unwrap();
        let server = redis::Server { tls: false, host: "redis".into(), port: 1, db: 0, user: None, password: None };
        let messages = 4 + random.below(8) as usize;
        let age = Duration::from_secs(if random.below(4) == 0 { 20 } else { 3600 });
        let options = redis::Options { server, prefix: "salon".into(), messages, age, people: 1000 };
        let (lines, stages, frozen, beats) = Default::default();
        let mut storm = Self { redis, sky, lines, stages, frozen, beats, options };
        for node in 0..2 + random.below(2) {
            let line = storm.line(seed.wrapping_mul(7) + node);
            let (settings, taken) = (settings(), Reports::default());
            storm.sky.lines.borrow_mut().push(Rc::downgrade(&line));
            storm.stages.push(Stage::with(settings, Box::new(Behind { line: line.clone(), taken })));
            storm.lines.push(line);
            storm.frozen.push(None);
            storm.beats.push(1000 * node);
        }
        *storm.sky.random.borrow_mut() = Some(Random::from(random.draw()));
        storm.sky.storms.set(true);
        storm
    }

    fn line(&self, seed: u64) -> Rc<RefCell<Line>> {
        let (_, store) = self.redis.open(self.options.clone(), seed, false).unwrap();
        let (asked, said) = Default::default();
        Rc::new(RefCell::new(Line { store, asked, done: 0, said, heard: 0, through: 0 }))
    }

    fn thaws(&mut self, node: usize) {
        if let Some(since) = self.frozen[node].take() {
            self.stages[node].waits_ms(self.sky.now.get() - since);
            self.redis.beats(node);
        }
    }
}

fn settings() -> Settings {
    Settings { replay_bytes: 100, max_rooms: 100, ..unhurried() }
}

impl Ground for Storm {
    fn stages(&mut self) -> &mut Vec<Stage> {
        &mut self.stages
    }

    fn carries_out(&mut self, node: usize, requests: usize) {
        if self.frozen[node].is_none() {
            self.lines[node].borrow_mut().carries_out(requests);
        }
    }

    fn hears(&mut self, node: usize, pieces: usize) {
        if self.frozen[node].is_some() {
            return;
        }
        if !self.sky.cut_off.borrow().contains(&node) && (!self.sky.storms.get() || self.sky.below(3) == 0) {
            self.redis.mends(node);
        }
        self.redis.arrives(node, pieces);
        let mut line = self.lines[node].borrow_mut();
        line.carries_out(0);
        line.through = line.said.len().min(line.heard.saturating_add(pieces));
        drop(line);
        self.stages[node].hears_the_backend();
    }

    fn settles(&mut self) {
        loop {
            let mut any = false;
            for node in (0..self.stages.len()).filter(|node| self.frozen[*node].is_none()).collect::<Vec<_>>() {
                let before = self.lines[node].borrow().done;
                self.carries_out(node, usize::MAX);
                self.hears(node, usize::MAX);
                let line = self.lines[node].borrow();
                any |= line.done > before || line.done < line.asked.len() || line.heard < line.said.len();
                any |= self.stages[node].chat.has_more_to_hear();
            }
            if !any {
                return;
            }
        }
    }

    fn breaks(&mut self, node: usize, random: &mut Random) {
        match random.below(12) {
            0 => drop(self.sky.cut_off.borrow_mut().insert(node)),
            1 => self.frozen[node] = self.frozen[node].or(Some(self.sky.now.get())),
            2..5 => self.redis.cuts(node),
            5 => self.redis.is_full(true),
            6 => self.redis.is_full(false),
            7..10 => drop(self.sky.cut_off.borrow_mut().remove(&node)),
            _ => self.thaws(node),
        }
    }

    fn loses(&mut self, _: &str, random: &mut Random) {
        match random.below(10) {
            0..4 => self.redis.is_copied(),
            4 => self.redis.starts_again(Left::All),
            5 => self.redis.starts_again(Left::Older),
            6 => self.redis.starts_again(Left::Nothing),
            7 => self.redis.flushes(true),
            _ => self.redis.flushes(false),
        }
    }

    fn waits(&mut self, ms: u64) {
        // Now and then for longer than a lease.
        let ms = if self.sky.storms.get() && self.sky.below(8) == 0 { 8 * ms } else { ms };
        let mut left = ms;
        while left > 0 {
            let step = left.min(500);
            left -= step;
            self.sky.now.set(self.sky.now.get() + step);
            self.redis.waits(step);
            for node in 0..self.stages.len() {
                if self.frozen[node].is_some() {
                    continue;
                }
                self.stages[node].waits_ms(step);
                if self.beats[node] <= self.sky.now.get() {
                    self.beats[node] = self.sky.now.get() + 3000;
                    self.redis.beats(node);
                    self.lines[node].borrow_mut().carries_out(0);
                }
            }
        }
    }

    fn heals(&mut self) {
        self.sky.storms.set(false);
        self.sky.cut_off.borrow_mut().clear();
        self.redis.is_full(false);
        (0..self.stages.len()).for_each(|node| self.thaws(node));
    }
}

impl Walk<Storm> {
    /// All who are in a room are in one life of it, that of the store, have heard all of it, and show the same.
    fn ends(&mut self) {
        self.heals();
        let here = || self.clients.iter().enumerate().filter(|(_, client)| client.at.is_some());
        let inside = || here().flat_map(|(who, client)| client.has.iter().map(move |(room, has)| (who, room, has)));
        let mut later = self.ground.redis.open(self.ground.options.clone(), u64::MAX, true).unwrap().1;
        for (who, room, has) in inside().filter(|(_, _, has)| has.inside) {
            let (query, now) = (crate::backend::Query::Head, Moment::default());
            let conversation = Conversation::Room(room);
            let read = Request::Read { conversation, query, reader: None, now, about: None, ticket: Ticket(1) };
            later.ask(read).unwrap();
            let head = std::iter::from_fn(|| {
                later.poll().map(|news| match news {
                    News::Page { head, .. } => Some(head),
                    _ => None,
                })
            });
            let head = head.flatten().last().expect("a question has an answer");
            assert_eq!((&has.epoch, has.last), (&head.epoch.to_string(), Some(head.seq)), "{who} in {room}");
            for (other, of, had) in inside().filter(|(_, of, had)| *of == room && had.inside) {
                for (seq, shown) in &has.folded.0 {
                    if let Some(known) = had.folded.0.get(seq) {
                        assert!(shown.agrees(known), "{who} and {other} in {of}: {seq}: {shown:?} {known:?}");
                    }
                }
            }
        }
    }
}

/// People who were left in a life that was over: where the life after it was found by a question whose answer names
/// none, and where a room was ended by a node that knew of nobody inside.
const ONCE_FAILED: [u64; 3] = [283, 299, 554];

/// `WALKS=6000 cargo test --lib chat::tests::nodes::storm` walks further than the test does each time, and `FROM` says
/// with which one it begins.
#[test]
fn random_walks_in_a_storm() {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let from = number("FROM", 0);
    for seed in (from..from + number("WALKS", 20)).chain(ONCE_FAILED) {
        println!("seed {seed}");
        let mut random = Random::from(seed);
        let storm = Storm::new(seed, &mut random);
        let mut walk = Walk::new(storm, random);
        (0..400).for_each(|_| walk.goes_on());
        walk.ends();
    }
}
