//! The simulated disk is held to what SQLite does: both are asked the same, and must answer the same.
//!
//! What the simulator finds is worth as much as its disk is true. Epochs are drawn, and so not the same in both: the
//! first that a store tells is called 0, the next 1, and so on.

use std::fmt::Write;

use super::*;
use crate::backend::sqlite::tests::Folder;
use crate::backend::sqlite::{self, Durability, Sqlite};
use crate::backend::{
    Backend, Ban, Conversation, Description, Epoch, Names, NewBody, NewEntry, News, Query, Reader, Request, RetryKey,
    Right, Scope, Search, Step, Ticket,
};
use crate::time::{Moment, Tick};

/// Entries that are kept of a conversation.
const KEPT: usize = 12;

const USERS: [&str; 3] = ["ann", "bob", "eve"];
const ROOMS: [&str; 2] = ["den", "hall"];
const WORDS: [&str; 6] = ["", "tea", "Tea with milk", "coffee", "no tea", "milk and more milk"];

/// A question that can be asked of both, whose epochs are not the same.
#[derive(Clone, Debug)]
enum Asked {
    Say { at: usize, sender: &'static str, what: What, retry: Option<u64>, about: bool },
    Recall { at: usize, retry: u64 },
    Read { at: usize, what: Page, entries: usize, bytes: usize, reader: Option<(&'static str, bool)> },
    Mark { user: &'static str, at: usize, seq: u64 },
    Readings { user: &'static str },
    Talks { user: &'static str, limit: usize },
    Find { user: Option<&'static str>, at: usize, text: &'static str, sender: Option<&'static str> },
    Ban { user: &'static str, until: Option<u64> },
    Unban { user: &'static str },
    Note { user: &'static str, status: u16 },
    Trail { cursor: Option<u64>, limit: usize },
    Know { user: &'static str, here: bool },
    Release { room: &'static str },
    Erase { room: &'static str },
}

#[derive(Clone, Debug)]
enum What {
    Message { content: &'static str, reply_to: Option<u64>, calls_room: bool },
    Edit { of: u64, content: &'static str, calls_room: bool },
    Delete { of: u64, moderator: bool },
    React { of: u64, emoji: &'static str, on: bool },
}

#[derive(Clone, Copy, Debug)]
enum Page {
    Head,
    Newest,
    Before(u64),
    After(u64),
    /// From a number of the life that was told last, or of another one.
    Resume(u64, bool),
    New(usize),
}

fn place(at: usize) -> Conversation<'static> {
    [
        Conversation::Room(ROOMS[0]),
        Conversation::Room(ROOMS[1]),
        Conversation::Direct("ann", "bob"),
        Conversation::Direct("bob", "bob"),
    ][at]
}

fn draw(random: &mut Random) -> Asked {
    let at = random.below(4) as usize;
    let near = random.below(24);
    let user = USERS[random.below(3) as usize];
    let content = WORDS[1 + random.below(5) as usize];
    let one_in = |random: &mut Random, n| random.below(n) == 0;
    // So few that SQLite, which remembers only some of them in tests, forgets none.
    let keys = [1, 0, 3, 3][at];
    match random.below(33) {
        0..=9 => {
            let reply_to = one_in(random, 4).then_some(near);
            let calls_room = near.is_multiple_of(3);
            let what = match random.below(8) {
                0 => What::Edit { of: near, content, calls_room },
                1 => What::Delete { of: near, moderator: one_in(random, 2) },
                2 | 3 => What::React { of: near, emoji: ["+1", "tada"][near as usize % 2], on: !one_in(random, 3) },
                _ => What::Message { content, reply_to, calls_room },
            };
            let sender = if at >= 2 { USERS[random.below(4 - at as u64) as usize + (at - 2)] } else { user };
            let retry = (keys > 0 && one_in(random, 2)).then(|| random.below(keys));
            Asked::Say { at, sender, what, retry, about: one_in(random, 4) }
        }
        10 => Asked::Recall { at, retry: random.below(1 + keys) },
        11..=19 => {
            let what = match random.below(8) {
                0 => Page::Head,
                1 => Page::Before(near),
                2 => Page::After(near),
                3 | 4 => Page::Resume(near, one_in(random, 6)),
                5 => Page::New(near as usize),
                _ => Page::Newest,
            };
            let entries = if one_in(random, 3) { 1 + random.below(4) as usize } else { 100 };
            let bytes = if one_in(random, 4) { 1 + random.below(60) as usize } else { 10_000 };
            let reader = one_in(random, 2).then(|| (user, one_in(random, 2)));
            Asked::Read { at, what, entries, bytes, reader }
        }
        20 | 21 => Asked::Mark { user, at, seq: near },
        22 => Asked::Readings { user },
        23 => Asked::Talks { user, limit: 1 + random.below(3) as usize },
        24 | 25 => {
            let text = WORDS[random.below(6) as usize];
            let sender = one_in(random, 3).then_some(user);
            Asked::Find { user: one_in(random, 2).then_some(user), at, text, sender }
        }
        26 => Asked::Ban { user, until: one_in(random, 2).then_some(4_102_444_800_000 + near) },
        27 => Asked::Unban { user },
        28 => Asked::Know { user, here: random.below(2) == 0 },
        29 | 30 => Asked::Note { user, status: 200 + near as u16 },
        31 => Asked::Trail { cursor: one_in(random, 3).then_some(near), limit: 1 + random.below(20) as usize },
        _ if one_in(random, 3) => Asked::Erase { room: ROOMS[random.below(2) as usize] },
        _ => Asked::Release { room: ROOMS[random.below(2) as usize] },
    }
}

/// A store, and what it calls its epochs.
struct Stage<S> {
    store: S,
    epochs: Vec<(Option<usize>, Epoch)>,
    /// The one that was told last of a conversation.
    last: [Epoch; 4],
}

impl<S: Backend> Stage<S> {
    fn new(store: S) -> Self {
        Self { store, epochs: Vec::new(), last: [Epoch(1); 4] }
    }

    /// Of each conversation apart: two may have one epoch, or each its own.
    fn name(&mut self, of: Option<usize>, epoch: Epoch) -> usize {
        self.epochs.iter().position(|known| *known == (of, epoch)).unwrap_or_else(|| {
            self.epochs.push((of, epoch));
            self.epochs.len() - 1
        })
    }

    fn ask(&mut self, asked: &Asked, n: u64, at: Moment) {
        let ticket = Ticket(n);
        let mut names = String::new();
        let about = |at| match place(at) {
            Conversation::Room(room) => {
                Some(Description { room, title: Some("T"), topic: None, created_at: 7, created: true })
            }
            Conversation::Direct(..) => None,
        };
        // A key is made of the conversation too.
        let key = |at: usize, retry: u64| {
            let mut random = Random::from(at as u64 * 100 + retry);
            RetryKey((u128::from(random.draw()) << 64 | u128::from(random.draw())).to_le_bytes())
        };
        let request = match *asked {
            Asked::Say { at: place_at, sender, ref what, retry, about: told } => {
                let body = match *what {
                    What::Message { content, reply_to, calls_room } => {
                        NewBody::Message { content, reply_to, calls_room }
                    }
                    What::Edit { of, content, calls_room } => NewBody::Edit { of, content, within: None, calls_room },
                    What::Delete { of, moderator: true } => NewBody::Delete { of, right: Right::Moderator },
                    What::Delete { of, .. } => NewBody::Delete { of, right: Right::Sender { within: None } },
                    What::React { of, emoji, on } => NewBody::Reaction { of, emoji, on },
                };
                Request::Append {
                    conversation: place(place_at),
                    entry: NewEntry { sender, body, at },
                    retry: retry.map(|retry| key(place_at, retry)),
                    about: if told { about(place_at) } else { None },
                    ticket,
                }
            }
            Asked::Recall { at: place_at, retry } => {
                Request::Recall { conversation: place(place_at), retry: key(place_at, retry), ticket }
            }
            Asked::Read { at: place_at, what, entries, bytes, reader } => {
                let bounds = crate::backend::Bounds { entries, bytes };
                let epoch = self.last[place_at];
                let query = match what {
                    Page::Head => Query::Head,
                    Page::Newest => Query::Newest(bounds),
                    Page::Before(seq) => Query::Before(seq, bounds),
                    Page::After(seq) => Query::After(seq, bounds),
                    Page::Resume(seq, other) => {
                        let epoch = if other { Epoch(epoch.0 ^ 1) } else { epoch };
                        Query::Resume { since: Some((epoch, seq)), newest: 3, bounds }
                    }
                    Page::New(newest) => Query::Resume { since: None, newest, bounds },
                };
                let reader = reader.map(|(user, reading)| Reader { user, reading });
                Request::Read { conversation: place(place_at), query, reader, now: at, about: None, ticket }
            }
            Asked::Mark { user, at: place_at, seq } => {
                Request::Mark { user, conversation: place(place_at), seq, ticket }
            }
            Asked::Readings { user } => {
                Request::Readings { user, rooms: Names::join(ROOMS, &mut names), now: at, ticket }
            }
            Asked::Talks { user, limit } => Request::Conversations { user, cursor: None, limit, now: at, ticket },
            Asked::Find { user, at: place_at, text, sender } => {
                let scope = match user {
                    Some(user) => Scope::All { rooms: Names::join(ROOMS, &mut names), user },
                    None => Scope::One(place(place_at)),
                };
                let search = Search { scope, text, sender, before: None, cursor: None, limit: 100 };
                Request::Search { search, ticket }
            }
            Asked::Ban { user, until } => Request::Ban { ban: Ban { user, until, note: Some("why") }, ticket },
            Asked::Unban { user } => Request::Unban { user, ticket },
            Asked::Note { user, status } => {
                let step = Step { ts: at.unix_ms, operator: "mod", call: "kick", room: None, user: Some(user), status };
                Request::Note { step }
            }
            Asked::Trail { cursor, limit } => {
                cursor.inspect(|cursor| write!(names, "{cursor}").unwrap());
                Request::Trail { cursor: cursor.map(|_| names.as_str()), limit, ticket }
            }
            Asked::Know { user, here } => Request::Know { user, here },
            Asked::Release { room } => Request::Release { room },
            Asked::Erase { room } => Request::Erase { room },
        };
        self.store.ask(request).unwrap();
    }

    /// All news, each in a line.
    fn hear(&mut self, of: Option<usize>) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut told = None;
            let mut line = String::new();
            match self.store.poll() {
                None => return heard,
                Some(News::Published { conversation, epoch, entry, ticket }) => {
                    told = Some(epoch);
                    write!(line, "{conversation:?} {entry:?} {ticket:?}").unwrap();
                }
                Some(News::Page { ticket, head, entries, reading }) => {
                    told = Some(head.epoch);
                    write!(line, "{ticket:?} {} {} {entries:?} {reading:?}", head.seq, head.kept).unwrap();
                }
                // A cursor is the store's own; after a search there may be one although nothing follows.
                Some(News::Conversations { ticket, items, next }) => {
                    write!(line, "{ticket:?} {items:?} {}", next.is_some()).unwrap();
                }
                Some(News::Found { ticket, items, .. }) => write!(line, "{ticket:?} {items:?}").unwrap(),
                Some(other) => write!(line, "{other:?}").unwrap(),
            }
            if let Some(epoch) = told {
                if let Some(at) = of {
                    self.last[at] = epoch;
                }
                write!(line, " in life {}", self.name(of, epoch)).unwrap();
            }
            heard.push(line);
        }
    }
}

/// Where it is asked, if in one conversation.
fn of(asked: &Asked) -> Option<usize> {
    match *asked {
        Asked::Say { at, .. } | Asked::Read { at, .. } => Some(at),
        _ => None,
    }
}

/// A world in which nothing breaks, and that keeps so much.
fn quiet(seed: u64, lasts: Lasts) -> Rc<RefCell<World>> {
    let mut plan = Plan::draw(seed, &Wish { faults: Some(Vec::new()), ..Wish::default() });
    plan.lasts = lasts;
    plan.kept.messages = KEPT;
    plan.store_queue = usize::MAX;
    Rc::new(RefCell::new(World::new(Network::new(plan, Trace::new(0)), Vec::new())))
}

fn due(world: &Rc<RefCell<World>>) {
    while world.borrow_mut().net.next(u64::MAX).is_some() {}
}

#[test]
fn the_simulated_disk_answers_as_sqlite_does() {
    for seed in 0..12 {
        let lasts = if seed % 2 == 0 { Lasts::Power } else { Lasts::Process };
        let durability = if seed % 2 == 0 { Durability::Power } else { Durability::Process };
        let folder = Folder::new();
        let options = || sqlite::Options { messages: KEPT, durability, ..folder.options() };
        let (world, platter) = (quiet(seed, lasts), Rc::new(RefCell::new(Platter::default())));
        let mut random = Random::from(seed);
        let boot = Some("0".into());
        let mut file: Stage<Sqlite> = Stage::new(folder.open(sqlite::Options { boot, ..options() }));
        let mut disk = Stage::new(Disk::open(&world, &platter));
        let (mut at, mut boots) = (Moment { tick: Tick(0), unix_ms: 0 }, 0);
        for n in 1..400 {
            // Now and then so much time goes by that ids are forgotten, or half of that; and the wall clock jumps.
            let step = match random.below(20) {
                0 => 1 + 1000 * random.below(400),
                _ => 1 + random.below(2000),
            };
            let jump = if random.below(40) == 0 { 1000 * random.below(4000) } else { 0 };
            at = Moment { tick: Tick(at.tick.0 + step), unix_ms: at.unix_ms + step + jump };
            if random.below(20) == 0 {
                file.store.expire(at);
                disk.store.expire(at);
                assert_eq!(file.hear(None), disk.hear(None), "seed {seed}, before {n}: a sweep");
            }
            if random.below(60) == 0 {
                // The process ends in order or is killed, or the machine stops, with all of it on the disk; and begins
                // again, with another tick.
                let ends = random.below(3);
                at.tick = Tick(1 + random.below(5));
                boots += u64::from(ends == 2);
                let (epochs, last) = (file.epochs, file.last);
                match ends {
                    0 => drop(file.store),
                    _ => drop(file.store.dies()),
                }
                let options = sqlite::Options { boot: Some(boots.to_string()), ..options() };
                file = Stage { store: Sqlite::open(options, n).unwrap(), epochs, last };
                let (epochs, last) = (disk.epochs, disk.last);
                drop(disk.store);
                platter.borrow_mut().sync();
                platter.borrow_mut().crash(&mut world.borrow_mut(), lasts, ends == 2);
                disk = Stage { store: Disk::open(&world, &platter), epochs, last };
                file.store.tell_catalogue();
                disk.store.tell_catalogue();
                let (mut one, mut other) = (file.hear(None), disk.hear(None));
                one.sort_unstable();
                other.sort_unstable();
                // A name may be told twice, and nothing else.
                let again = |one: &mut String, other: &mut String| one == other && one.starts_with("User");
                one.dedup_by(again);
                other.dedup_by(again);
                assert_eq!(one, other, "seed {seed}, before {n}: what is known at a start");
            }
            let asked = draw(&mut random);
            file.ask(&asked, n, at);
            disk.ask(&asked, n, at);
            due(&world);
            let (one, other) = (file.hear(of(&asked)), disk.hear(of(&asked)));
            assert_eq!(one, other, "seed {seed}, {n}: {asked:?}");
        }
    }
}
