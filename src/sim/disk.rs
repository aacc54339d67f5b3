//! The simulated disk: a store that answers late, fails, and after a crash has what it promised and perhaps more.
//!
//! It does what the store in memory does, and remembers everything that it was asked; after a crash it is the store of
//! memory that was asked the same, up to a point that its durability allows. Where numbers may be lost by that, every
//! epoch is another one from then on, as in `docs/store.md`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use crate::backend::carried::Requests;
use crate::backend::{
    Backend, Ban, Bounds, Conversation, Epoch, Head, Memory, NewEntry, News, Overloaded, Query, Request, RetryKey,
    Ticket, memory,
};
use crate::random::Random;
use crate::time::{Moment, Tick};

use super::network::{Event, Time};
use super::plan::{Fault, Lasts};
use super::world::World;

/// What is on the disk.
#[derive(Debug, Default)]
pub struct Platter {
    asked: Requests,
    /// What was done, in order.
    done: Vec<Done>,
    /// How much of that a loss of power leaves.
    synced: usize,
    waiting: VecDeque<Waiting>,
    /// Which life of the numbers it is.
    salt: u64,
    lives: u64,
}

#[derive(Clone, Copy, Debug)]
enum Done {
    /// A request, by its place, that was not asked for once more.
    Asked(usize),
    /// One that nobody had an answer to when the process ended: it may have been asked for once more.
    Unanswered(usize),
    Expired(Moment),
    /// A process has ended: the next one has a tick of its own.
    Ended,
}

/// A request that is not carried out.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: usize,
    due: Time,
    fails: bool,
}

/// An entry that was asked for with a key.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// Before the salt.
    life: Epoch,
    seq: u64,
    ts: u64,
}

/// Until when a name is kept out, and why.
#[derive(Debug)]
struct Banned {
    until: Option<u64>,
    note: Option<Box<str>>,
}

/// How far the catalogue is told.
#[derive(Clone, Debug)]
enum Telling {
    Banned(Box<str>),
    Known(Box<str>),
}

/// Where entries stand that may be asked for once more. They are forgotten by halves, as SQLite does.
#[derive(Debug, Default)]
struct Retries {
    young: HashMap<RetryKey, Said>,
    old: HashMap<RetryKey, Said>,
    /// When the younger half was begun.
    since: Option<Tick>,
}

impl Retries {
    fn turn(&mut self, now: Tick) {
        let none = self.young.is_empty() && self.old.is_empty();
        let age = now.since(*self.since.get_or_insert(now));
        if none {
            self.since = Some(now);
        } else if age >= REMEMBERED_FOR {
            self.old = std::mem::take(&mut self.young);
            self.since = Some(now);
        }
    }

    /// Another process reads them from the disk: they count as new.
    fn begin_anew(&mut self) {
        self.old.extend(self.young.drain());
        self.young = std::mem::take(&mut self.old);
        self.since = None;
    }

    fn find(&self, key: RetryKey) -> Option<Said> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }
}

/// How long a key is remembered at least, as `docs/store.md` says.
const REMEMBERED_FOR: Duration = Duration::from_secs(300);

/// The store.
#[derive(Debug)]
pub struct Disk {
    world: Rc<RefCell<World>>,
    platter: Rc<RefCell<Platter>>,
    memory: Memory,
    lasts: Lasts,
    limits: memory::Limits,
    retries: Retries,
    /// The key of the entry that was asked for last, and when that was.
    key: Option<(Ticket, RetryKey, Tick)>,
    /// When this life of the process began, on a clock of all of them, and when something was said last.
    began: Tick,
    last: Tick,
    /// Names that are kept out. They outlive the process where entries do.
    bans: BTreeMap<Box<str>, Banned>,
    /// Names that exist although nothing was said to them. They outlive the process likewise.
    known: BTreeSet<Box<str>>,
    /// Of whom to tell next, while the catalogue is told: of those who are kept out, then of those who are known.
    telling: Option<Telling>,
}

impl Disk {
    /// The store as it is on the platter.
    pub fn open(world: &Rc<RefCell<World>>, platter: &Rc<RefCell<Platter>>) -> Self {
        let (lasts, limits, seed) = {
            let plan = &world.borrow().net.plan;
            (plan.lasts, plan.kept.clone(), plan.seed)
        };
        let on = platter.borrow();
        let seed = if lasts == Lasts::Memory { seed ^ (on.lives << 32) } else { seed };
        let mut disk = Self {
            world: world.clone(),
            platter: platter.clone(),
            memory: Memory::new(limits.clone(), Random::from(seed)),
            lasts,
            limits,
            retries: Retries::default(),
            key: None,
            began: Tick(0),
            last: Tick(0),
            bans: BTreeMap::new(),
            known: BTreeSet::new(),
            telling: None,
        };
        for done in &on.done {
            match *done {
                Done::Expired(now) => drop(disk.sweep(now)),
                Done::Ended => {
                    disk.retries.begin_anew();
                    disk.began = disk.last;
                }
                Done::Asked(place) => disk.carry_out(on.asked.get(place).expect("it was asked"), on.salt),
                Done::Unanswered(place) => {
                    let request = on.asked.get(place).expect("it was asked");
                    if disk.repeated(&request).is_none() {
                        disk.carry_out(request, on.salt);
                    }
                }
            }
            while disk.hear(on.salt).is_some() {}
        }
        drop(on);
        disk
    }

    /// Where an entry stands that is asked for once more, in the same life of its conversation.
    fn repeated(&mut self, request: &Request<'_>) -> Option<(u64, u64)> {
        let (conversation, key) = match *request {
            Request::Append { conversation, retry: Some(key), .. } => (conversation, key),
            Request::Recall { conversation, retry, .. } => (conversation, retry),
            _ => return None,
        };
        let said = self.retries.find(key).filter(|_| self.lasts != Lasts::Memory)?;
        (self.life(conversation) == Some(said.life)).then_some((said.seq, said.ts))
    }

    /// The life that a conversation is in, if there is one.
    fn life(&mut self, conversation: Conversation<'_>) -> Option<Epoch> {
        if !self.memory.knows(conversation) {
            return None;
        }
        let (query, now, ticket) = (Query::Head, Moment::default(), Ticket(0));
        self.memory.ask(Request::Read { conversation, query, reader: None, now, about: None, ticket }).ok()?;
        match self.memory.poll()? {
            News::Page { head, .. } => Some(head.epoch),
            other => unreachable!("nothing waits, nothing is so old that it goes: {other:?}"),
        }
    }

    fn carry_out(&mut self, request: Request<'_>, salt: u64) {
        let request = match request {
            Request::Append { conversation, entry, retry, about, ticket } => {
                self.key = retry.map(|key| (ticket, key, entry.at.tick));
                // Behind all that was said in the lives before: what is found is told by it, the newest first.
                self.last = Tick(self.began.0 + entry.at.tick.0);
                let entry = NewEntry { at: Moment { tick: self.last, ..entry.at }, ..entry };
                Request::Append { conversation, entry, retry, about, ticket }
            }
            Request::Read { conversation, query, reader, now, about, ticket } => {
                let query = match query {
                    Query::Resume { since, newest, bounds } => {
                        let since = since.map(|(Epoch(epoch), seq)| (Epoch(epoch ^ salt), seq));
                        Query::Resume { since, newest, bounds }
                    }
                    other => other,
                };
                Request::Read { conversation, query, reader, now, about, ticket }
            }
            Request::Ban { ban: Ban { user, until, note }, .. } if self.lasts != Lasts::Memory => {
                self.bans.insert(user.into(), Banned { until, note: note.map(Into::into) });
                request
            }
            Request::Unban { user, .. } => {
                self.bans.remove(user);
                request
            }
            Request::Know { user, .. } if self.lasts != Lasts::Memory => {
                self.known.insert(user.into());
                request
            }
            other => other,
        };
        self.memory.ask(request).expect("one at a time");
    }

    fn sweep(&mut self, now: Moment) -> bool {
        self.retries.turn(now.tick);
        // A life of the process is a clock of its own; nothing here is so old that it goes.
        self.memory.expire(Moment { tick: Tick(0), ..now })
    }

    /// The next news of what was carried out.
    fn hear(&mut self, salt: u64) -> Option<News<'_>> {
        let (retries, key) = (&mut self.retries, &mut self.key);
        Some(match self.memory.poll()? {
            News::Page { ticket, head: Head { epoch, seq, kept }, entries, reading } => {
                let head = Head { epoch: Epoch(epoch.0 ^ salt), seq, kept };
                News::Page { ticket, head, entries, reading }
            }
            News::Published { conversation, epoch, entry, ticket } => {
                if let Some((_, key, at)) = key.take().filter(|(of, ..)| Some(*of) == ticket) {
                    retries.turn(at);
                    retries.young.insert(key, Said { life: epoch, seq: entry.seq, ts: entry.ts });
                }
                News::Published { conversation, epoch: Epoch(epoch.0 ^ salt), entry, ticket }
            }
            other => other,
        })
    }

    /// The state and the messages of a room, as a reader would find them.
    pub fn read(&mut self, room: &str) -> (Head, Vec<(u64, Option<String>)>) {
        let salt = self.platter.borrow().salt;
        let bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };
        let request = Request::Read {
            conversation: Conversation::Room(room),
            query: Query::Newest(bounds),
            reader: None,
            now: Moment::default(),
            about: None,
            ticket: Ticket(0),
        };
        self.memory.ask(request).expect("nothing else waits");
        loop {
            if let Some(News::Page { head, entries, .. }) = self.hear(salt) {
                let content = |body: &crate::backend::Body<'_>| match body {
                    crate::backend::Body::Message(message) => message.content.map(str::to_owned),
                    _ => None,
                };
                return (head, entries.iter().map(|entry| (entry.seq, content(&entry.body))).collect());
            }
        }
    }
}

impl Platter {
    /// All that was done is on the disk: a loss of power leaves it.
    #[cfg(test)]
    pub fn sync(&mut self) {
        self.synced = self.done.len();
    }

    /// The process has ended: in order, by a crash, or with the machine.
    pub fn crash(&mut self, world: &mut World, lasts: Lasts, power: bool) {
        self.lives += 1;
        let chance = &mut world.net.chance;
        let all = self.done.len();
        let kept = match (lasts, power) {
            (Lasts::Memory, _) => 0,
            (Lasts::Process, true) => chance.within(self.synced as u64, all as u64) as usize,
            _ => all,
        };
        if (lasts, power) == (Lasts::Process, true) {
            // Another one each time, however little is drawn.
            self.salt = chance.draw() ^ (self.lives << 48);
        }
        self.done.truncate(kept);
        // What was not answered may have been carried out all the same.
        let more = if kept == all { chance.below(self.waiting.len() as u64 + 1) as usize } else { 0 };
        for waiting in std::mem::take(&mut self.waiting).into_iter().take(more).filter(|waiting| !waiting.fails) {
            self.done.push(Done::Unanswered(waiting.place));
        }
        self.done.push(Done::Ended);
        self.synced = self.done.len();
    }
}

impl Backend for Disk {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        let (world, platter) = (&mut *self.world.borrow_mut(), &mut *self.platter.borrow_mut());
        let net = &mut world.net;
        if platter.waiting.len() >= net.plan.store_queue {
            return Err(Overloaded);
        }
        let ticketed = request.ticket().is_some();
        let late = if net.strikes(Fault::Late) { net.chance.skewed(100, 20_000_000) } else { 0 };
        let usual = if self.lasts == Lasts::Memory { 0 } else { net.chance.skewed(10, 5_000) };
        let last = platter.waiting.back().map_or(0, |waiting| waiting.due);
        let due = last.max(net.now + usual + late);
        let fails = ticketed && net.strikes(Fault::Fail);
        platter.waiting.push_back(Waiting { place: platter.asked.len(), due, fails });
        platter.asked.push(request);
        net.at(due, Event::Store(0));
        // What waits is synced now and then.
        if net.chance.one_in(50) {
            platter.synced = platter.done.len();
        }
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        self.memory.tell_catalogue();
        let banned = self.bans.keys().next().cloned().map(Telling::Banned);
        self.telling = banned.or_else(|| self.known.first().cloned().map(Telling::Known));
    }

    fn poll(&mut self) -> Option<News<'_>> {
        match self.telling.take() {
            Some(Telling::Banned(user)) => {
                let from = (Bound::Excluded(user.clone()), Bound::Unbounded);
                let banned = self.bans.range(from).next().map(|(user, _)| Telling::Banned(user.clone()));
                self.telling = banned.or_else(|| self.known.first().cloned().map(Telling::Known));
                let (user, Banned { until, note }) =
                    self.bans.get_key_value(&user).expect("an unban waits behind this");
                return Some(News::Banned(Ban { user, until: *until, note: note.as_deref() }));
            }
            Some(Telling::Known(user)) => {
                let from = (Bound::Excluded(user.clone()), Bound::Unbounded);
                self.telling = self.known.range(from).next().cloned().map(Telling::Known);
                return self.known.get(&user).map(|name| News::User { name });
            }
            None => {}
        }
        let platter = self.platter.clone();
        let salt = platter.borrow().salt;
        while self.memory.is_idle() {
            let on = &mut *platter.borrow_mut();
            let now = self.world.borrow().net.now;
            on.waiting.front().filter(|waiting| waiting.due <= now)?;
            let Waiting { place, fails, .. } = on.waiting.pop_front()?;
            let request = on.asked.get(place).expect("it was asked");
            if fails {
                return request.ticket().map(|ticket| News::Failed { ticket });
            }
            if let (Some((seq, ts)), Some(ticket)) = (self.repeated(&request), request.ticket()) {
                return Some(News::Repeated { ticket, seq, ts });
            }
            on.done.push(Done::Asked(place));
            self.carry_out(request, salt);
        }
        self.hear(salt)
    }

    fn is_idle(&self) -> bool {
        self.telling.is_none() && self.memory.is_idle() && self.platter.borrow().waiting.is_empty()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.platter.borrow_mut().done.push(Done::Expired(now));
        self.sweep(now)
    }

    fn held_bytes(&self) -> usize {
        if self.lasts == Lasts::Memory { self.memory.held_bytes() } else { 0 }
    }

    fn drop_oldest(&mut self, bytes: usize) -> usize {
        if self.lasts == Lasts::Memory { self.memory.drop_oldest(bytes) } else { 0 }
    }

    fn knows(&mut self, conversation: Conversation<'_>) -> bool {
        self.memory.knows(conversation)
    }

    fn bounds_itself(&self) -> bool {
        self.lasts != Lasts::Memory
    }

    fn keeps(&self) -> bool {
        self.limits.messages > 0
    }

    fn durability(&self) -> &'static str {
        self.lasts.word()
    }

    fn about(&self) -> String {
        "a simulated disk".into()
    }
}
