//! Several chats that share a store, as nodes do: the messages of one reach the others, late, in bursts, and with rooms
//! made elsewhere.
//!
//! The store is the simplest that keeps the promises of [`backend`](crate::backend): one world, in which requests are
//! carried out one after the other, and a link to each node with a queue in each direction. The content of a queue
//! moves when a row, or chance, says so.

mod kept;
mod people;
#[cfg(feature = "redis")]
mod storm;
mod walk;

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::backend::carried::{Reports, Requests};
use crate::backend::tests::said::{Conversation as Simplest, Outcome};
use crate::backend::{
    Anew, Ban, Conversation, Description, Entry, Epoch, Hit, News, Overloaded, Presence, Reading, Request, Scope,
    Search, Talk, Ticket, Why,
};
use crate::random::Random;

/// The world that all nodes share.
struct World {
    random: Random,
    /// Messages that are kept of each.
    keeps: usize,
    logs: BTreeMap<String, Log>,
    users: BTreeSet<String>,
    /// Up to where each user has read each conversation.
    marks: BTreeMap<(String, String), u64>,
    /// What was published with each key.
    repeated: BTreeMap<[u8; 16], (String, u64, u64)>,
    bans: BTreeMap<String, (Option<u64>, Option<String>)>,
    links: Vec<Link>,
    /// What stands of people on each node, users before their rooms.
    boards: Vec<BTreeMap<(Option<String>, String), String>>,
    /// Changes of titles and topics.
    changes: u64,
}

/// A page has at most three entries, so that there are many.
const PAGE: usize = 3;

struct Log {
    said: Simplest,
    /// When it was made, and whether by name.
    card: Option<(u64, bool)>,
    /// What it is called and is about, and which change of all that was.
    words: (Option<String>, Option<String>, u64),
    /// Nodes that have asked for it, and not let go of it.
    used_by: BTreeSet<usize>,
}

impl Log {
    /// What stands of the room, and which change of all that is.
    fn description<'a>(&'a self, room: &'a str) -> (Description<'a>, u64) {
        let (created_at, created) = self.card.unwrap_or_default();
        let (title, topic, changes) = &self.words;
        (Description { room, title: title.as_deref(), topic: topic.as_deref(), created_at, created }, *changes)
    }
}

#[derive(Default)]
struct Link {
    asked: Requests,
    done: usize,
    said: Reports,
    heard: usize,
    /// How much of it has come through.
    through: usize,
    /// Nothing is carried out.
    down: bool,
    /// Nothing is taken.
    full: bool,
}

/// A node's side of its link.
struct Node {
    world: Rc<RefCell<World>>,
    at: usize,
    taken: Reports,
}

impl World {
    fn new(keeps: usize, nodes: usize) -> Rc<RefCell<Self>> {
        let links = (0..nodes).map(|_| Link::default()).collect();
        let (logs, users, marks) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let (repeated, bans) = (BTreeMap::new(), BTreeMap::new());
        let boards = vec![BTreeMap::new(); nodes + 1];
        Rc::new(RefCell::new(Self {
            random: 7.into(),
            keeps,
            logs,
            users,
            marks,
            repeated,
            bans,
            links,
            boards,
            changes: 0,
        }))
    }

    /// Carries out the next request of a node; `false`: there is none.
    fn step(&mut self, node: usize) -> bool {
        let link = &mut self.links[node];
        let asked = std::mem::take(&mut link.asked);
        let (done, down) = (link.done, link.down);
        if let Some(request) = asked.get(done) {
            match request.ticket() {
                Some(ticket) if down => link.said.push(&News::Failed { ticket }),
                // What is posted while a store is away it makes up for.
                None if down && !matches!(request, Request::Post { .. }) => {}
                _ => self.carry_out(node, request),
            }
        }
        let link = &mut self.links[node];
        link.asked = asked;
        let any = link.done < link.asked.len();
        link.done += usize::from(any);
        any
    }

    fn carry_out(&mut self, node: usize, request: Request<'_>) {
        match request {
            Request::Append { conversation, entry, retry, about, ticket } => {
                if let Some(&(_, seq, ts)) = retry.and_then(|retry| self.repeated.get(&retry.0)) {
                    return self.links[node].said.push(&News::Repeated { ticket, seq, ts });
                }
                self.describe(node, about);
                let log = self.log(conversation);
                log.used_by.insert(node);
                let seq = match log.said.append(&entry) {
                    Outcome::Published(seq) => seq,
                    Outcome::Nothing => return self.links[node].said.push(&News::Noted { ticket }),
                    Outcome::Refused(why) => return self.links[node].said.push(&News::Refused { ticket, why }),
                };
                if let Some(retry) = retry {
                    self.repeated.insert(retry.0, (key(conversation), seq, entry.at.unix_ms));
                }
                let Self { logs, links, .. } = self;
                let said = &logs[&key(conversation)].said;
                let (epoch, entry) = (said.epoch, said.published(seq));
                let first = said.head().kept == 1;
                for (at, link) in links.iter_mut().enumerate() {
                    let ticket = (at == node).then_some(ticket);
                    // Where nobody has asked about a room, it is only known that it keeps something.
                    if let Conversation::Room(room) = conversation
                        && !logs[&key(conversation)].used_by.contains(&at)
                    {
                        if first {
                            let (description, changes) = logs[room].description(room);
                            link.said.push(&News::Room { description, keeps: true, changes });
                        }
                        continue;
                    }
                    link.said.push(&News::Published { conversation, epoch, entry: entry.clone(), ticket });
                }
            }
            Request::Recall { retry, ticket, .. } => {
                let news = match self.repeated.get(&retry.0) {
                    Some(&(_, seq, ts)) => News::Repeated { ticket, seq, ts },
                    None => News::Refused { ticket, why: Why::NotFound },
                };
                self.links[node].said.push(&news);
            }
            Request::Read { conversation, query, reader, about, ticket, .. } => {
                self.describe(node, about);
                self.log(conversation).used_by.insert(node);
                let log = &self.logs[&key(conversation)].said;
                let shown = |seq| log.entry(seq, reader.map_or("", |reader| reader.user));
                let entries = log.read(query, PAGE).into_iter().filter_map(shown).collect();
                let reading = reader.filter(|reader| reader.reading).map(|it| self.reading(it.user, conversation));
                self.links[node].said.push(&News::Page { ticket, head: log.head(), entries, reading });
            }
            Request::Mark { user, conversation, seq, ticket } => {
                let head = self.logs.get(&key(conversation)).map_or(0, |log| log.said.len());
                let mark = self.marks.entry((user.into(), key(conversation))).or_default();
                let seq = seq.min(head);
                if !(seq > *mark || seq == 0 && *mark > 0) {
                    return self.links[node].said.push(&News::Noted { ticket });
                }
                *mark = seq;
                for (at, link) in self.links.iter_mut().enumerate() {
                    let ticket = (at == node).then_some(ticket);
                    link.said.push(&News::Marked { ticket, user, conversation, seq });
                }
            }
            Request::Topic { about, anew, by, ticket } => {
                self.describe(node, Some(about));
                let room = about.room;
                self.log(Conversation::Room(room));
                let Self { logs, links, .. } = self;
                let log = logs.get_mut(room).unwrap();
                let before = log.description(room).0;
                let now = before.with(anew);
                if now == before {
                    return links[node].said.push(&News::Noted { ticket });
                }
                self.changes += 1;
                log.words = (now.title.map(Into::into), now.topic.map(Into::into), self.changes);
                let (now, changes) = log.description(room);
                for (at, link) in links.iter_mut().enumerate() {
                    let ticket = (at == node).then_some(ticket);
                    link.said.push(&News::Topic { ticket, room, anew: now.anew(), by, changes });
                }
            }
            Request::Readings { user, rooms, ticket, .. } => {
                let readings = rooms.iter().map(|room| self.reading(user, Conversation::Room(room))).collect();
                self.links[node].said.push(&News::Readings { ticket, readings });
            }
            Request::Conversations { user, ticket, .. } => {
                let of = |pair: &str| {
                    let (one, other) = pair.split_once('\0')?;
                    (one == user || other == user).then(|| (one.to_owned(), other.to_owned()))
                };
                let pairs: Vec<(String, String)> = self.logs.keys().filter_map(|pair| of(pair)).collect();
                let talk = |(one, other): &'_ (String, String)| {
                    let conversation = Conversation::Direct(one, other);
                    let log = &self.logs[&key(conversation)].said;
                    let last = log.messages().last()?;
                    let with = if one == user { other } else { one };
                    let (seq, ts) = (log.len(), log.entry(last, "")?.ts);
                    Some((ts, with.clone(), seq, self.reading(user, conversation)))
                };
                let mut talks: Vec<_> = pairs.iter().filter_map(talk).collect();
                talks.sort_by_key(|(ts, ..)| std::cmp::Reverse(*ts));
                let items =
                    talks.iter().map(|(ts, with, seq, reading)| Talk { with, seq: *seq, ts: *ts, reading: *reading });
                let news = News::Conversations { ticket, items: items.collect(), next: None };
                self.links[node].said.push(&news);
            }
            Request::Search { search, ticket } => self.search(node, search, ticket),
            Request::Ban { ban, ticket } => {
                self.bans.insert(ban.user.into(), (ban.until, ban.note.map(Into::into)));
                for (at, link) in self.links.iter_mut().enumerate() {
                    match at == node {
                        true => link.said.push(&News::Noted { ticket }),
                        false => link.said.push(&News::Banned(ban)),
                    }
                }
            }
            Request::Unban { user, ticket } => {
                self.bans.remove(user);
                self.links[node].said.push(&News::Noted { ticket });
            }
            // As on Redis: the log has it.
            Request::Note { .. } => {}
            Request::Trail { ticket, .. } | Request::Set { ticket, .. } => {
                self.links[node].said.push(&News::Refused { ticket, why: Why::Unsupported });
            }
            Request::Know { user, .. } => {
                if self.users.insert(user.into()) {
                    self.links.iter_mut().for_each(|link| link.said.push(&News::User { name: user }));
                }
            }
            Request::Tell { to, word } => {
                let others = self.links.iter_mut().enumerate().filter(|(at, _)| *at != node);
                others.for_each(|(_, link)| link.said.push(&News::Told { to, word }));
            }
            Request::Post { presence: Presence { room, user }, how } => {
                let line = (room.map(str::to_owned), user.to_owned());
                let before = match how {
                    Some(how) => self.boards[node].insert(line, how.to_owned()),
                    None => self.boards[node].remove(&line),
                };
                if before.as_deref() != how {
                    self.post(node, Presence { room, user }, how);
                }
            }
            Request::Seats { room } => {
                for (at, board) in self.boards.iter().enumerate().filter(|(at, _)| *at != node) {
                    let seats = board.iter().filter(|((of, _), _)| of.as_deref() == Some(room));
                    for ((_, user), how) in seats {
                        let said = &mut self.links[node].said;
                        for (room, how) in [(None, board.get(&(None, user.clone()))), (Some(room), Some(how))] {
                            let how = how.map(String::as_str);
                            said.push(&News::Posted { node: at as u64, presence: Presence { room, user }, how });
                        }
                    }
                }
            }
            Request::Unfollow { room } => {
                if let Some(log) = self.logs.get_mut(room) {
                    log.used_by.remove(&node);
                }
            }
            Request::Release { room } | Request::Erase { room } => {
                let Some(log) = self.logs.get_mut(room) else { return };
                log.used_by.remove(&node);
                let erases = matches!(request, Request::Erase { .. });
                if log.used_by.is_empty() && (erases || log.said.head().kept == 0) {
                    self.logs.remove(room);
                    self.marks.retain(|(_, of), _| of != room);
                    let others = self.links.iter_mut().enumerate().filter(|(at, _)| *at != node);
                    others.for_each(|(_, link)| link.said.push(&News::Ended { room }));
                }
            }
        }
    }

    /// The others hear what is on a node's board.
    fn post(&mut self, node: usize, presence: Presence<'_>, how: Option<&str>) {
        let others = self.links.iter_mut().enumerate().filter(|(at, _)| *at != node);
        others.for_each(|(_, link)| link.said.push(&News::Posted { node: node as u64, presence, how }));
    }

    /// The lease of a node ends: its people leave their rooms, and then are gone. Or it comes back.
    fn lease(&mut self, node: usize, lives: bool) {
        let lines: Vec<_> = self.boards[node].clone().into_iter().collect();
        for at in 0..lines.len() {
            let ((room, user), how) = &lines[if lives { at } else { lines.len() - 1 - at }];
            self.post(node, Presence { room: room.as_deref(), user }, lives.then_some(how));
        }
    }

    fn describe(&mut self, node: usize, description: Option<Description<'_>>) {
        let Some(description) = description else { return };
        let log = self.log(Conversation::Room(description.room));
        let first = log.card.is_none();
        if first {
            log.card = Some((description.created_at, description.created));
            (log.words.0, log.words.1) = (description.title.map(Into::into), description.topic.map(Into::into));
        }
        let keeps = log.said.head().kept > 0;
        let Self { logs, links, .. } = self;
        let (description, changes) = logs[description.room].description(description.room);
        // The others hear of the first description; a node that brings another one hears that the first stands.
        for (at, link) in links.iter_mut().enumerate() {
            if first != (at == node) {
                link.said.push(&News::Room { description, keeps, changes });
            }
        }
    }

    /// The whole history of a room is too old.
    fn expire(&mut self, room: &str) {
        if let Some(log) = self.logs.get_mut(room).filter(|log| log.said.head().kept > 0) {
            log.said.gone = log.said.len() as usize;
            self.links.iter_mut().for_each(|link| link.said.push(&News::Emptied { room }));
        }
    }

    /// What was said last in a room is lost, and it goes on in another life.
    fn lose(&mut self, room: &str, entries: u64) {
        let epoch = Epoch(self.random.draw());
        let Some(log) = self.logs.get_mut(room) else { return };
        let behind = log.said.len().saturating_sub(entries);
        log.said.lose(behind, epoch);
        let emptied = log.said.head().kept == 0;
        self.marks.iter_mut().filter(|((_, of), _)| of == room).for_each(|(_, mark)| *mark = behind.min(*mark));
        self.repeated.retain(|_, (of, seq, _)| of != room || *seq <= behind);
        for link in &mut self.links {
            link.said.push(&News::Renewed);
            if emptied {
                link.said.push(&News::Emptied { room });
            }
        }
    }

    /// Nothing is left of a room, also not which nodes are to hear it.
    fn forget(&mut self, room: &str) {
        self.logs.remove(room);
        self.marks.retain(|(_, of), _| of != room);
        self.repeated.retain(|_, (of, ..)| of != room);
    }

    fn log(&mut self, conversation: Conversation<'_>) -> &mut Log {
        let (epoch, keeps) = (Epoch(self.random.draw()), self.keeps);
        let new =
            || Log { said: Simplest::new(epoch, keeps), card: None, words: (None, None, 0), used_by: BTreeSet::new() };
        self.logs.entry(key(conversation)).or_insert_with(new)
    }

    fn reading(&self, user: &str, conversation: Conversation<'_>) -> Reading {
        let key = key(conversation);
        let read = self.marks.get(&(user.to_owned(), key.clone())).copied().unwrap_or_default();
        Reading { read, unread: self.logs.get(&key).map_or(0, |log| log.said.unread(user, read)) }
    }

    /// Words between blanks, all of them, the newest first.
    fn search(&mut self, node: usize, search: Search<'_>, ticket: Ticket) {
        let Search { scope, text, sender, before, limit, .. } = search;
        let is_in = |log: &str| match scope {
            Scope::One(conversation) => key(conversation) == log,
            Scope::All { rooms, user } => match log.split_once('\0') {
                None => rooms.iter().any(|room| room == log),
                Some((one, other)) => one == user || other == user,
            },
        };
        let mut found = Vec::new();
        for (place, log) in self.logs.iter().filter(|(place, _)| is_in(place)) {
            let conversation = match place.split_once('\0') {
                None => Conversation::Room(place),
                Some((one, other)) => Conversation::Direct(one, other),
            };
            for entry in log.said.messages().filter_map(|seq| log.said.entry(seq, "")) {
                let Some(content) = entry.said() else { continue };
                let words: BTreeSet<&str> = content.split(' ').collect();
                let fits = sender.is_none_or(|sender| sender == entry.sender) && before.is_none_or(|it| entry.ts < it);
                if fits && text.split(' ').all(|word| words.contains(word)) {
                    let Entry { seq, ts, sender, .. } = entry;
                    let content = log.said.entry(seq, "").and_then(|entry| entry.said()).unwrap_or_default();
                    found.push(Hit { conversation, seq, ts, sender, content });
                }
            }
        }
        found.sort_by_key(|hit| std::cmp::Reverse(hit.ts));
        found.truncate(limit);
        self.links[node].said.push(&News::Found { ticket, items: found, next: None });
    }
}

fn key(conversation: Conversation<'_>) -> String {
    match conversation {
        Conversation::Room(room) => room.into(),
        Conversation::Direct(one, other) => format!("{}\0{}", one.min(other), one.max(other)),
    }
}

impl Backend for Node {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        let link = &mut self.world.borrow_mut().links[self.at];
        if link.full {
            return Err(Overloaded);
        }
        link.asked.push(request);
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        let mut world = self.world.borrow_mut();
        let World { logs, users, bans, links, boards, .. } = &mut *world;
        for (room, log) in logs.iter().filter(|(key, _)| !key.contains('\0')) {
            let (description, changes) = log.description(room);
            links[self.at].said.push(&News::Room { description, keeps: log.said.head().kept > 0, changes });
        }
        for (user, (until, note)) in bans.iter() {
            links[self.at].said.push(&News::Banned(Ban { user, until: *until, note: note.as_deref() }));
        }
        users.iter().for_each(|name| links[self.at].said.push(&News::User { name }));
        for (node, board) in boards.iter().enumerate().filter(|(node, _)| *node != self.at) {
            for ((room, user), how) in board {
                let presence = Presence { room: room.as_deref(), user };
                links[self.at].said.push(&News::Posted { node: node as u64, presence, how: Some(how) });
            }
        }
        links[self.at].through = links[self.at].said.len();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        let link = &mut self.world.borrow_mut().links[self.at];
        let news = link.said.get(link.heard).filter(|_| link.heard < link.through)?;
        self.taken.clear();
        self.taken.push(&news);
        link.heard += 1;
        self.taken.get(0)
    }

    fn is_idle(&self) -> bool {
        let link = &self.world.borrow().links[self.at];
        link.done == link.asked.len() && link.heard == link.said.len()
    }

    fn expire(&mut self, _: Moment) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn keeps(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> String {
        "in a world".into()
    }
}

/// The nodes, each a stage of its own.
struct Nodes {
    world: Rc<RefCell<World>>,
    stages: Vec<Stage>,
}

impl Nodes {
    fn new(keeps: usize, settings: &Settings, nodes: usize) -> Self {
        let world = World::new(keeps, nodes);
        let stage = |at| Self::node(&world, settings, at);
        Self { stages: (0..nodes).map(stage).collect(), world }
    }

    fn node(world: &Rc<RefCell<World>>, settings: &Settings, at: usize) -> Stage {
        Stage::with(settings.clone(), Box::new(Node { world: world.clone(), at, taken: Reports::default() }))
    }

    /// So much of a node's queue comes through, and is heard.
    fn hears(&mut self, node: usize, pieces: usize) {
        let mut world = self.world.borrow_mut();
        let link = &mut world.links[node];
        link.through = link.said.len().min(link.heard.saturating_add(pieces));
        drop(world);
        self.stages[node].hears_the_backend();
    }

    /// Everything is carried out and heard, until all queues are empty.
    fn settles(&mut self) {
        loop {
            let mut any = false;
            for node in 0..self.stages.len() {
                while self.world.borrow_mut().step(node) {
                    any = true;
                }
                self.hears(node, usize::MAX);
                any |= self.stages[node].chat.has_more_to_hear();
            }
            let idle = |stage: &Stage| stage.chat.is_idle();
            if !any && self.stages.iter().all(idle) {
                return;
            }
        }
    }

    /// A user sends a message, and everything settles.
    fn says(&mut self, node: usize, device: &str, text: &str) {
        self.stages[node].says(device, text);
        self.settles();
    }

    #[track_caller]
    fn heard(&mut self, node: usize, device: &str, kinds: &[&str]) {
        self.stages[node].heard_kinds(device, kinds);
    }
}

/// Two nodes, with `ann` on the first and `bob` on the second; their first messages are read.
fn ann_and_bob() -> Nodes {
    let mut nodes = Nodes::new(100, &Settings { replay_bytes: 1, ..unhurried() }, 2);
    for (node, name) in ["ann", "bob"].iter().enumerate() {
        nodes.stages[node].opens(name, name);
        nodes.settles();
        nodes.stages[node].forgets(name);
    }
    nodes
}
