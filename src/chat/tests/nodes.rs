//! Several chats that share a store, as nodes do: the messages of one reach the others, late, in bursts, and with rooms
//! made elsewhere.
//!
//! The store is the simplest that keeps the promises of [`backend`](crate::backend): one world, in which requests are
//! carried out one after the other, and a link to each node with a queue in each direction. The content of a queue
//! moves when a row, or chance, says so.

use std::cell::RefCell;
use std::rc::Rc;

use super::folding::{Folded, agrees, identity};
use super::*;
use crate::backend::carried::{Reports, Requests};
use crate::backend::tests::said::{Conversation as Simplest, Outcome};
use crate::backend::{
    Ban, Conversation, Description, Entry, Epoch, Hit, News, Overloaded, Presence, Reading, Request, Scope, Search,
    Talk, Ticket, Why,
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
    /// Changes of topics.
    changes: u64,
}

/// A page has at most three entries, so that there are many.
const PAGE: usize = 3;

struct Log {
    said: Simplest,
    /// Title, when made, and whether by name.
    card: Option<(Option<String>, u64, bool)>,
    /// What it is about, and which change of all that was.
    topic: (Option<String>, u64),
    /// Nodes that have asked for it, and not let go of it.
    used_by: BTreeSet<usize>,
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
                            let (title, created_at, created) = logs[room].card.clone().unwrap_or_default();
                            let title = title.as_deref();
                            let (topic, changes) = (logs[room].topic.0.as_deref(), logs[room].topic.1);
                            let description = Description { room, title, topic, created_at, created };
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
            Request::Topic { about, by, ticket } => {
                self.describe(node, Some(Description { topic: None, ..about }));
                let log = self.log(Conversation::Room(about.room));
                if log.topic.0.as_deref() == about.topic {
                    return self.links[node].said.push(&News::Noted { ticket });
                }
                self.changes += 1;
                let (room, topic, changes) = (about.room, about.topic, self.changes);
                self.log(Conversation::Room(room)).topic = (topic.map(Into::into), changes);
                for (at, link) in self.links.iter_mut().enumerate() {
                    let ticket = (at == node).then_some(ticket);
                    link.said.push(&News::Topic { ticket, room, topic, by, changes });
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
            Request::Know { user } => {
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
        let card = (description.title.map(Into::into), description.created_at, description.created);
        let (title, created_at, created) = log.card.get_or_insert(card).clone();
        let keeps = log.said.head().kept > 0;
        if first {
            log.topic.0 = description.topic.map(Into::into);
        }
        let (topic, changes) = log.topic.clone();
        let topic = topic.as_deref();
        let description = Description { title: title.as_deref(), topic, created_at, created, ..description };
        // The others hear of the first description; a node that brings another one hears that the first stands.
        for (at, link) in self.links.iter_mut().enumerate() {
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

    fn log(&mut self, conversation: Conversation<'_>) -> &mut Log {
        let (epoch, keeps) = (Epoch(self.random.draw()), self.keeps);
        let new = || Log { said: Simplest::new(epoch, keeps), card: None, topic: (None, 0), used_by: BTreeSet::new() };
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
            let (title, created_at, created) = log.card.clone().unwrap_or_default();
            let (topic, changes) = (log.topic.0.as_deref(), log.topic.1);
            let description = Description { room, title: title.as_deref(), topic, created_at, created };
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

#[test]
fn what_is_said_on_one_node_is_heard_on_the_other() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"create_room","room_id":"den","name":"The den"}"#);
    nodes.heard(0, "ann", &["room"]);
    nodes.says(1, "bob", r#"{"type":"rooms"}"#);
    let rooms = nodes.stages[1].takes("bob").remove(0);
    assert!(rooms.contains(r#"{"room_id":"den","name":"The den","members":0,"joined":false}"#), "{rooms}");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].opens("ann2", "ann");
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let own = nodes.stages[0].takes("ann");
    assert!(own.len() == 1 && text_of(&own[0], "id").as_deref() == Some("a"), "{own:?}");
    let (other, seq) = (nodes.stages[1].takes("bob"), number_of(&own[0], "seq"));
    assert!(other.len() == 1 && field(&other[0], "id").is_none(), "{other:?}");
    assert_eq!((number_of(&other[0], "seq"), seq), (Some(1), Some(1)));
    // To one who is elsewhere, from one who has another device; the sender's other device hears it too.
    nodes.says(1, "bob", r#"{"type":"direct","user_id":"ann","content":"hi","id":"b"}"#);
    for (node, device) in [(0, "ann"), (0, "ann2"), (1, "bob")] {
        nodes.heard(node, device, &["direct"]);
    }
    nodes.says(1, "bob", r#"{"type":"multicast","user_ids":["ann","bob"],"content":"hi","id":"c"}"#);
    nodes.heard(0, "ann", &["direct"]);
    nodes.heard(1, "bob", &["direct", "ack"]);
    // Only messages from here count as sent here.
    assert_eq!((nodes.stages[0].chat.counts().messages, nodes.stages[1].chat.counts().messages), (1, 3));
}

/// Each row: what somebody says, and which kinds are heard on either node.
#[test]
fn people_on_the_other_node_are_seen_as_those_on_this_one() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"presence","user_ids":["bob","cat"],"subscribe":true}"#);
    let heard = nodes.stages[0].takes("ann").remove(0);
    assert!(heard.contains(r#""bob":{"status":"online","devices":1}"#), "{heard}");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    for (node, text, ann, bob) in [
        (1, r#"{"type":"join","room_id":"den"}"#, &["user_joined"][..], &["joined", "online_users"][..]),
        (1, r#"{"type":"status","status":"busy","note":"at work"}"#, &["presence"], &["ack"]),
        (1, r#"{"type":"status","status":"offline"}"#, &["presence"], &["ack"]),
        (1, r#"{"type":"status","status":"online"}"#, &["presence"], &["ack"]),
        (1, r#"{"type":"leave","room_id":"den"}"#, &["user_left"], &["left"]),
        (1, r#"{"type":"join","room_id":"den"}"#, &["user_joined"], &["joined", "online_users"]),
    ] {
        nodes.stages.iter_mut().for_each(Stage::all_forget);
        nodes.says(node, ["ann", "bob"][node], text);
        nodes.heard(0, "ann", ann);
        nodes.heard(1, "bob", bob);
    }
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.says(node, device, r#"{"type":"members","room_id":"den"}"#);
        let members = nodes.stages[node].takes(device).remove(0);
        assert_eq!(number_of(&members, "count"), Some(2), "{members}");
        assert!(members.contains(r#""user_id":"ann""#) && members.contains(r#""user_id":"bob""#), "{members}");
        nodes.says(node, device, r#"{"type":"online"}"#);
        let online = nodes.stages[node].takes(device).remove(0);
        assert!(online.contains(r#"["ann","bob"]"#), "{online}");
    }
    let answer = nodes.stages[0].calls(Call::Disconnect, r#"{"user_id":"bob"}"#);
    assert!(answer.contains(r#""closed":1"#), "{answer}");
}

/// Somebody who moves to another node within the grace has never left, wherever their devices are.
#[test]
fn a_user_who_moves_to_another_node_never_left() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    nodes.stages[1].closes("bob");
    nodes.settles();
    nodes.stages[0].opens("bob2", "bob");
    nodes.settles();
    nodes.says(0, "bob2", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[1].waits_ms(60_000);
    nodes.settles();
    nodes.stages[0].waits_ms(60_000);
    nodes.settles();
    nodes.heard(0, "ann", &[]);
    // The last device of all is the one that counts.
    nodes.stages[0].closes("bob2");
    nodes.stages[0].waits_ms(60_000);
    nodes.settles();
    nodes.heard(0, "ann", &["user_left", "presence"]);
    assert!(nodes.stages[1].chat.hall.roster.users().visible() == 1);
}

/// A node whose lease ends takes its people with it; when it comes back, they are there again.
#[test]
fn people_of_a_node_that_is_no_more_have_left() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    for (lives, heard) in [(false, &["user_left", "presence"]), (true, &["presence", "user_joined"])] {
        nodes.world.borrow_mut().lease(1, lives);
        nodes.settles();
        nodes.heard(0, "ann", heard);
    }
    // Somebody with a device here as well is not gone by that.
    nodes.stages[0].opens("bob2", "bob");
    nodes.says(0, "bob2", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    nodes.world.borrow_mut().lease(1, false);
    nodes.settles();
    nodes.heard(0, "ann", &[]);
}

/// A topic is heard on every node, and the same in the end wherever two change it in the same moment.
#[test]
fn a_topic_is_the_same_everywhere() {
    let mut nodes = ann_and_bob();
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.says(node, device, r#"{"type":"join","room_id":"den"}"#);
    }
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    nodes.says(0, "ann", r#"{"type":"topic","room_id":"den","topic":"tea"}"#);
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.stages[node].heard(device, [r#"{"type":"topic","room_id":"den","topic":"tea","sender":"ann"}"#]);
    }
    for (first, second) in [(0, 1), (1, 0)] {
        let about = |topic: usize| format!(r#"{{"type":"topic","room_id":"den","topic":"{first}{topic}"}}"#);
        nodes.stages[first].says(["ann", "bob"][first], &about(1));
        nodes.stages[second].says(["ann", "bob"][second], &about(2));
        nodes.settles();
        let mut ends = Vec::new();
        for (node, device) in [(0, "ann"), (1, "bob")] {
            nodes.stages[node].all_forget();
            nodes.says(node, device, r#"{"type":"room","room_id":"den"}"#);
            ends.push(text_of(&nodes.stages[node].takes(device)[0], "topic").unwrap());
        }
        assert_eq!(ends[0], ends[1]);
    }
    // News of before that come late change nothing.
    let about = Description { room: "den", title: None, topic: Some("late"), created_at: 1, created: false };
    let link = |nodes: &mut Nodes, news: &News<'_>| nodes.world.borrow_mut().links[1].said.push(news);
    link(&mut nodes, &News::Room { description: about, keeps: true, changes: 1 });
    link(&mut nodes, &News::Topic { ticket: None, room: "den", topic: Some("late"), by: "eve", changes: 2 });
    nodes.settles();
    nodes.heard(1, "bob", &[]);
    // Those inside are told of one that a node had missed.
    link(&mut nodes, &News::Room { description: about, keeps: true, changes: 99 });
    nodes.settles();
    nodes.stages[1].heard("bob", [r#"{"type":"topic","room_id":"den","topic":"late"}"#]);
}

/// A status that is set on two nodes in the same moment is the same one on both in the end.
#[test]
fn a_status_is_the_same_everywhere() {
    let mut nodes = ann_and_bob();
    nodes.stages[1].opens("ann2", "ann");
    nodes.settles();
    nodes.stages[0].says("ann", r#"{"type":"status","status":"busy"}"#);
    nodes.stages[1].says("ann2", r#"{"type":"status","status":"away"}"#);
    nodes.settles();
    let status = |stage: &Stage| {
        let users = stage.chat.hall.roster.users();
        users.at(users.find("ann").unwrap()).status
    };
    assert_eq!(status(&nodes.stages[0]), status(&nodes.stages[1]));
    // The one that is set last stands, and outlives the device that has set it.
    nodes.says(1, "ann2", r#"{"type":"status","status":"away"}"#);
    nodes.stages[1].closes("ann2");
    nodes.stages[1].waits_ms(60_000);
    nodes.settles();
    for stage in &nodes.stages {
        assert_eq!(status(stage).as_str(), "away");
    }
}

/// Entries that cannot be told any more are named to those inside.
#[test]
fn a_hole_is_named_to_those_inside() {
    let mut nodes = ann_and_bob();
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    let epoch = nodes.world.borrow().logs["den"].said.epoch;
    nodes.stages[1].all_forget();
    nodes.world.borrow_mut().links[1].said.push(&News::Missed { room: "den", epoch, from: 3, to: 5 });
    nodes.settles();
    let heard = nodes.stages[1].takes("bob").remove(0);
    assert_eq!(heard, format!(r#"{{"type":"gap","room_id":"den","epoch":"{epoch}","from":3,"to":5,"why":"expired"}}"#));
}

/// Words that are not kept: each row says one, and which kinds are heard on either node.
#[test]
fn words_that_are_not_kept_are_heard_on_the_other_node() {
    let mut nodes = ann_and_bob();
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.says(node, device, r#"{"type":"join","room_id":"den"}"#);
    }
    for (node, text, ann, bob) in [
        (0, r#"{"type":"typing","room_id":"den","typing":true}"#, &[][..], &["typing"][..]),
        // It is relayed once in three seconds.
        (0, r#"{"type":"typing","room_id":"den","typing":true}"#, &[], &[]),
        (0, r#"{"type":"typing","room_id":"den","typing":false}"#, &[], &["typing"]),
        (0, r#"{"type":"typing","user_id":"bob","typing":true}"#, &[], &["typing"]),
        // A message ends it on both nodes, and is not followed by another end.
        (0, r#"{"type":"direct","user_id":"bob","content":"x"}"#, &["direct"], &["typing", "direct"]),
        (1, r#"{"type":"broadcast","room_id":"*","content":"x","id":"a"}"#, &["broadcast"], &["broadcast"]),
    ] {
        nodes.stages.iter_mut().for_each(Stage::all_forget);
        nodes.says(node, ["ann", "bob"][node], text);
        nodes.heard(0, "ann", ann);
        nodes.heard(1, "bob", bob);
    }
}

/// A node that is no more says of nobody that they have stopped.
#[test]
fn typing_on_a_node_that_is_silent_ends() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"typing","user_id":"bob","typing":true}"#);
    nodes.heard(1, "bob", &["typing"]);
    nodes.stages[1].waits_ms(8_999);
    nodes.heard(1, "bob", &[]);
    nodes.stages[1].waits_ms(1);
    nodes.heard(1, "bob", &["typing"]);
}

/// Each row: a call on the first node about somebody on the second, and what they hear.
#[test]
fn calls_about_people_reach_those_on_the_other_node() {
    for (call, body, heard) in [
        (Call::Kick, r#"{"user_id":"bob","room_id":"den"}"#, "left"),
        (Call::Kick, r#"{"user_id":"bob"}"#, "goodbye"),
        (Call::Disconnect, r#"{"user_id":"bob","code":4200}"#, "goodbye"),
    ] {
        let mut nodes = ann_and_bob();
        nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
        nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
        nodes.stages[1].all_forget();
        let answer = nodes.stages[0].calls(call, body);
        assert!(answer.contains("closed") || answer.contains("left"), "{answer}");
        nodes.settles();
        nodes.heard(1, "bob", &[heard]);
    }
}

/// In an empty room, a message from elsewhere is a note on the list, and no text.
#[test]
fn where_nobody_is_it_costs_a_note() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    let text = r#"{"type":"broadcast","room_id":"den","content":"x"}"#;
    let user = r#"{"type":"direct","user_id":"ann","content":"x"}"#;
    for text in [text, user, text] {
        nodes.stages[0].says("ann", text);
        while nodes.world.borrow_mut().step(0) {}
        nodes.hears(0, usize::MAX);
        nodes.world.borrow_mut().links[1].through = usize::MAX;
        let stage = &mut nodes.stages[1];
        stage.chat.handle_backend(stage.now, &mut stage.out);
        assert!(stage.out.items().is_empty() && stage.out.held_bytes() < 4096, "{text}");
    }
    let rooms = &nodes.stages[1].chat.hall.roster.rooms();
    assert!(rooms.at(rooms.find("den").unwrap()).holds);
    // A user who comes in there hears it all, in the same life.
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den","history":10}"#);
    let heard = nodes.stages[1].takes("bob");
    let kinds: Vec<String> = heard.iter().map(|text| kind(text)).collect();
    assert_eq!(kinds, ["joined", "broadcast", "broadcast", "online_users"]);
    // And leaving deletes nothing, wherever.
    nodes.says(1, "bob", r#"{"type":"leave","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"leave","room_id":"den"}"#);
    assert_eq!(nodes.world.borrow().logs["den"].said.head().kept, 2);
}

/// A session that catches up hears messages from elsewhere in their turn, once.
#[test]
fn who_catches_up_hears_what_is_said_elsewhere_once() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    let say = |nodes: &mut Nodes| nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    (0..3).for_each(|_| say(&mut nodes));
    nodes.stages[1].holds = true;
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den","history":10}"#);
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.extend(nodes.stages[1].takes("bob"));
        if heard.len() < 5 {
            say(&mut nodes);
        }
        nodes.stages[1].drains("bob");
        nodes.settles();
    }
    (0..2).for_each(|_| say(&mut nodes));
    heard.extend(nodes.stages[1].takes("bob"));
    let seqs: Vec<u64> =
        heard.iter().filter(|text| kind(text) == "broadcast").filter_map(|text| number_of(text, "seq")).collect();
    let all = nodes.world.borrow().logs["den"].said.head().seq;
    assert_eq!(seqs, (1..=all).collect::<Vec<_>>());
    assert_eq!(heard.iter().filter(|text| kind(text) == "online_users").count(), 1);
}

/// What the store has takes its place on the lists, and nobody else's: no room with a history goes for it, and nobody
/// who is known.
#[test]
fn what_is_told_takes_no_place_from_others() {
    let settings = Settings { max_rooms: 2, max_users: 2, ..unhurried() };
    let mut nodes = Nodes::new(100, &unhurried(), 1);
    nodes.stages[0].opens("ann", "ann");
    for room in ["a", "b", "c"] {
        nodes.says(0, "ann", &format!(r#"{{"type":"create_room","room_id":"{room}"}}"#));
    }
    for name in ["bob", "cat"] {
        nodes.stages[0].opens(name, name);
    }
    nodes.says(0, "ann", r#"{"type":"join","room_id":"c"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"c","content":"x"}"#);
    nodes.world.borrow_mut().links.push(Link::default());
    let mut other = Nodes::node(&nodes.world, &settings, 1);
    let listed = |stage: &Stage| -> Vec<String> {
        let rooms = stage.chat.hall.roster.rooms();
        rooms.after(None).map(|(_, room)| room.name.to_string()).collect()
    };
    // `a` keeps nothing, and so made room for `c`. One who is on another node takes the place of none.
    assert_eq!((listed(&other), other.chat.counts().known_users), (vec!["b".into(), "c".into()], 3));
    other.chat.set_memory_left(Some(0));
    nodes.says(0, "ann", r#"{"type":"create_room","room_id":"d"}"#);
    other.hears_the_backend();
    nodes.world.borrow_mut().links[1].through = usize::MAX;
    other.hears_the_backend();
    assert!(!listed(&other).contains(&"d".to_owned()));
    // A user can join it all the same, once there is memory, and its history stays.
    other.chat.set_memory_left(None);
    nodes.stages.push(other);
    nodes.stages[1].opens("dan", "dan");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"a"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"a","content":"x"}"#);
    nodes.stages[1].forgets("dan");
    nodes.says(1, "dan", r#"{"type":"join","room_id":"a","history":5}"#);
    nodes.heard(1, "dan", &["joined", "broadcast", "online_users"]);
}

/// Both are in `den`, where `ann` has said five messages of which two are kept, and then the last is lost.
fn all_lose_one(settings: &Settings) -> Nodes {
    let mut nodes = Nodes::new(2, settings, 2);
    for (node, name) in ["ann", "bob"].iter().enumerate() {
        nodes.stages[node].opens(name, name);
        nodes.says(node, name, r#"{"type":"join","room_id":"den"}"#);
    }
    (0..5).for_each(|_| nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#));
    nodes.says(0, "ann", r#"{"type":"read","room_id":"den","seq":3}"#);
    nodes.stages[0].opens_plain("cat", "den", "cat");
    nodes.settles();
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    nodes.world.borrow_mut().lose("den", 1);
    nodes
}

/// In a room that begins another life, those inside hear what they are not sent of it, what life it is, and the rest,
/// whether anything is said or not; a plain session hears nothing.
#[test]
fn another_life_is_told_to_those_inside() {
    for speaks in [false, true] {
        let mut nodes = all_lose_one(&unhurried());
        if speaks {
            nodes.stages[1].says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"b"}"#);
        }
        for _ in 0..3 {
            nodes.settles();
            nodes.stages.iter_mut().for_each(|stage| stage.waits_ms(1));
        }
        let epoch = nodes.world.borrow().logs["den"].said.epoch;
        for (node, name) in ["ann", "bob"].iter().enumerate() {
            let heard = nodes.stages[node].takes(name);
            let short: Vec<String> = heard.iter().map(|text| super::history::short(text)).collect();
            let own = if node == 1 { r#"5 id "b""# } else { "5" };
            let expected = match speaks {
                false => &["gap 1-3 epoch_changed", "joined 4 false", "4", "online_users"][..],
                true => &["gap 1-3 epoch_changed", "joined 5 false", "4", own, "online_users"],
            };
            assert_eq!(short, expected);
            assert_eq!(text_of(&heard[0], "epoch"), Some(epoch.to_string()));
            assert_eq!(text_of(&heard[1], "epoch"), Some(epoch.to_string()));
            let read = if node == 0 { 3 } else { 0 };
            assert_eq!((field(&heard[1], "id"), number_of(&heard[1], "read")), (None, Some(read)), "{}", heard[1]);
        }
        nodes.stages[0].heard_kinds("cat", if speaks { &["chat"] } else { &[] });
        // And on it goes, once and in order.
        nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"z"}"#);
        let seq = nodes.world.borrow().logs["den"].said.len();
        for (node, name) in ["ann", "bob"].iter().enumerate() {
            let heard = nodes.stages[node].takes(name);
            assert_eq!((heard.len(), number_of(&heard[0], "seq")), (1, Some(seq)), "{heard:?}");
        }
    }
}

/// What a session said that catches up, and has not heard, is of a life that is over: it is answered by an `ack`.
#[test]
fn what_was_not_heard_of_a_life_that_is_over_is_answered() {
    let mut nodes = Nodes::new(9, &Settings { replay_bytes: 1, ..unhurried() }, 1);
    nodes.stages[0].opens("ann", "ann");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    (0..3).for_each(|_| nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#));
    nodes.stages[0].opens("bob", "bob");
    nodes.settles();
    nodes.stages[0].holds = true;
    nodes.says(0, "bob", r#"{"type":"join","room_id":"den","history":3}"#);
    nodes.says(0, "bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"b"}"#);
    nodes.stages[0].all_forget();
    nodes.world.borrow_mut().lose("den", 3);
    nodes.settles();
    nodes.stages[0].waits_ms(1);
    nodes.settles();
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.extend(nodes.stages[0].takes("bob").iter().map(|text| super::history::short(text)));
        for device in ["ann", "bob"] {
            nodes.stages[0].drains(device);
        }
        nodes.settles();
    }
    assert_eq!(heard, [r#"ack 4 id "b""#, "joined 1 false", "1", "online_users"]);
    assert!(nodes.stages[0].chat.hall.readers.is_empty());
}

/// What was said on a node, or before a restart, is known by its `id` before the room is joined again; what was not is
/// refused as ever.
#[test]
fn a_retry_before_the_room_is_joined_again() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let said = nodes.stages[0].takes("ann").pop().unwrap();
    nodes.stages[1].opens("ann2", "ann");
    nodes.settles();
    nodes.stages[1].all_forget();
    nodes.says(1, "ann2", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let ts = number_of(&said, "ts").unwrap();
    let ack = format!(r#"{{"type":"ack","id":"a","room_id":"den","seq":1,"ts":{ts},"dup":true}}"#);
    nodes.stages[1].heard("ann2", [ack]);
    for (text, code) in [
        (r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#, "not_joined"),
        (r#"{"type":"broadcast","room_id":"hut","content":"x","id":"a"}"#, "not_joined"),
        (r#"{"type":"broadcast","room_id":"den","content":"x","id":1}"#, "not_joined"),
        (r#"{"type":"broadcast","room_id":"den","content":"x"}"#, "not_joined"),
    ] {
        nodes.says(1, "ann2", text);
        nodes.heard(1, "ann2", &[code]);
    }
    // Nobody knows while the store is down.
    nodes.world.borrow_mut().links[1].down = true;
    nodes.says(1, "ann2", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    nodes.heard(1, "ann2", &["backend_down"]);
}

/// A burst is heard in pieces, and the loop does not sleep before it has heard all of it.
#[test]
fn a_burst_is_heard_in_pieces() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    nodes.stages[1].all_forget();
    for _ in 0..NEWS_AT_ONCE + 1 {
        nodes.stages[0].says("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    }
    while nodes.world.borrow_mut().step(0) {}
    assert!(!nodes.stages[1].chat.has_more_to_hear());
    nodes.hears(1, usize::MAX);
    let stage = &mut nodes.stages[1];
    assert_eq!(stage.takes("bob").len(), NEWS_AT_ONCE);
    assert!(stage.chat.has_more_to_hear() && !stage.chat.is_idle());
    // In the same turn others are heard, and nothing more of the burst.
    stage.says("bob", r#"{"type":"ping"}"#);
    stage.heard_kinds("bob", &["pong"]);
    stage.hears_the_backend();
    assert_eq!(stage.takes("bob").len(), 1);
    assert!(!stage.chat.has_more_to_hear() && stage.chat.is_idle());
}

/// The state of a room in one client.
#[derive(Clone, Default)]
struct Has {
    epoch: String,
    /// The last seq of this life that it has heard of; `None`: whichever comes first is right.
    last: Option<u64>,
    inside: bool,
    /// Up to where a `gap` has named what is not to be had of a life that `joined` is about to tell of.
    missed: Option<u64>,
    /// The replay that `joined` announced must come before `online_users`.
    head: u64,
    /// What it shows.
    folded: Folded,
}

/// A client of one user, on one node at a time.
#[derive(Default)]
struct Client {
    at: Option<(usize, String)>,
    has: BTreeMap<String, Has>,
    directs: BTreeSet<(String, u64)>,
}

const ROOMS: [&str; 4] = ["den", "bar", "hut", "shed"];
const PEOPLE: [&str; 4] = ["ann", "bob", "cat", "dan"];

struct Walk {
    nodes: Nodes,
    random: Random,
    clients: Vec<Client>,
    /// By room, epoch and seq: what each entry is for all.
    said: BTreeMap<(String, String, u64), String>,
    step: usize,
}

impl Walk {
    fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u64) as usize
    }

    /// A user acts, or a queue moves.
    fn goes_on(&mut self) {
        self.step += 1;
        let (who, node) = (self.below(self.clients.len()), self.below(self.nodes.stages.len()));
        let (room, to) = (ROOMS[self.below(ROOMS.len())], PEOPLE[self.below(PEOPLE.len())]);
        let step = self.step;
        match self.below(24) {
            0..4 => {
                let steps = 1 + self.below(6);
                for _ in 0..steps {
                    self.nodes.world.borrow_mut().step(node);
                }
            }
            4..8 => {
                let pieces = 1 + self.below(8);
                self.nodes.hears(node, pieces);
            }
            8 => self.nodes.settles(),
            9 => {
                let link = self.below(12);
                let link = (link == 0, link == 1);
                let of = &mut self.nodes.world.borrow_mut().links[node];
                (of.down, of.full) = link;
            }
            10 => {
                let stage = &mut self.nodes.stages[node];
                stage.holds = !stage.holds;
                stage.dispatch();
            }
            11 => {
                let ms = self.random.below(3000);
                self.nodes.stages.iter_mut().for_each(|stage| stage.waits_ms(ms));
            }
            12 if self.below(4) == 0 => self.nodes.world.borrow_mut().expire(room),
            12 if self.below(4) == 0 => {
                let entries = self.random.below(4) * self.random.below(4);
                self.nodes.world.borrow_mut().lose(room, entries);
            }
            _ => {
                let Some((at, device)) = self.clients[who].at.clone() else {
                    let device = format!("{}-{step}", PEOPLE[who % PEOPLE.len()]);
                    self.nodes.stages[node].opens(&device, PEOPLE[who % PEOPLE.len()]);
                    self.clients[who].at = Some((node, device));
                    return;
                };
                let (back, emoji) = (self.random.below(6), ["\u{1f44d}", ":x:"][self.below(2)]);
                let kind = self.random.below(24);
                // What is said or done is mostly in a room that the client is in.
                let inside: Vec<&String> =
                    self.clients[who].has.iter().filter(|(_, has)| has.inside).map(|(room, _)| room).collect();
                let room = match inside.get(step % inside.len().max(1)) {
                    Some(inside) if kind > 7 => inside.as_str(),
                    _ => room,
                }
                .to_owned();
                let room = room.as_str();
                let place = match self.random.below(4) {
                    0 => format!(r#""user_id":"{to}""#),
                    _ => format!(r#""room_id":"{room}""#),
                };
                let has = self.clients[who].has.get(room);
                let of = has.and_then(|has| has.last).map_or(back, |last| (last + 1).saturating_sub(back));
                let text = match kind {
                    0 => {
                        self.nodes.stages[at].closes(&device);
                        self.clients[who].at = None;
                        // Another node may hear of it later.
                        self.clients[who].directs.clear();
                        self.clients[who].has.values_mut().for_each(|has| has.inside = false);
                        return;
                    }
                    // The `since` of its request is in the `id`, because it may have heard more by the time of the
                    // answer.
                    1..4 => match has.filter(|has| !has.epoch.is_empty()).and_then(|has| Some((&has.epoch, has.last?)))
                    {
                        Some((epoch, last)) => format!(
                            r#"{{"type":"join","room_id":"{room}","since":{{"epoch":"{epoch}","seq":{last}}},"id":{last}}}"#
                        ),
                        None => format!(r#"{{"type":"join","room_id":"{room}","history":{}}}"#, step % 4),
                    },
                    4 => format!(r#"{{"type":"leave","room_id":"{room}"}}"#),
                    5 => format!(r#"{{"type":"direct","user_id":"{to}","content":"{step}","id":"{step}"}}"#),
                    6 => format!(r#"{{"type":"multicast","user_ids":["{to}"],"content":"{step}"}}"#),
                    7 => format!(r#"{{"type":"create_room","room_id":"{room}","name":"{step}"}}"#),
                    8 => format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{step}","id":"{step}"}}"#),
                    9 => format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{step}","reply_to":{of}}}"#),
                    10 | 11 | 20 => format!(r#"{{"type":"edit",{place},"of":{of},"content":"e{step}"}}"#),
                    12 => format!(r#"{{"type":"delete",{place},"of":{of},"id":{step}}}"#),
                    13 | 14 | 21 => format!(r#"{{"type":"react",{place},"of":{of},"emoji":"{emoji}","on":true}}"#),
                    15 => format!(r#"{{"type":"react",{place},"of":{of},"emoji":"{emoji}","on":false,"id":"{step}"}}"#),
                    16 => format!(r#"{{"type":"read",{place},"seq":{of}}}"#),
                    _ => format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{step}"}}"#),
                };
                self.nodes.stages[at].says(&device, &text);
            }
        }
        self.reads();
    }

    /// Every client reads its messages.
    fn reads(&mut self) {
        for who in 0..self.clients.len() {
            let Some((at, device)) = self.clients[who].at.clone() else { continue };
            for text in self.nodes.stages[at].takes(&device) {
                self.read(who, &text);
            }
        }
    }

    fn read(&mut self, who: usize, text: &str) {
        let own = PEOPLE[who % PEOPLE.len()];
        let client = &mut self.clients[who];
        let is_entry = matches!(kind(text).as_str(), "direct" | "broadcast" | "edited" | "deleted" | "reaction");
        if let (true, Some(to)) = (is_entry, text_of(text, "user_id")) {
            let sender = text_of(text, "sender").unwrap();
            let place = key(Conversation::Direct(&sender, &to));
            assert!(client.directs.insert((place, number_of(text, "seq").unwrap())), "{who} hears it twice: {text}");
            return;
        }
        let Some(room) = text_of(text, "room_id") else { return };
        let has = client.has.entry(room.clone()).or_default();
        match kind(text).as_str() {
            "joined" if !has.inside => {
                let epoch = text_of(text, "epoch").unwrap();
                // Asked with `since`, all of it is heard or named, of another life from its beginning.
                has.last = number_of(text, "id").map(|since| if has.epoch == epoch { since } else { 0 });
                (has.epoch, has.inside, has.head) = (epoch, true, number_of(text, "seq").unwrap());
                if has.last.is_none_or(|last| last == 0) {
                    has.folded = Folded::default();
                }
                assert!(has.last.is_none_or(|last| last <= has.head), "{who}: {text}");
            }
            // Unasked, or because it asked once more: what was heard is of a life that is over. A gap has named what is
            // not to be had of this one.
            "joined" if Some(&has.epoch) != text_of(text, "epoch").as_ref() => {
                (has.epoch, has.head) = (text_of(text, "epoch").unwrap(), number_of(text, "seq").unwrap());
                (has.last, has.folded) = (Some(has.missed.take().unwrap_or(0)), Folded::default());
            }
            "left" => has.inside = false,
            "gap" if Some(&has.epoch) != text_of(text, "epoch").as_ref() => {
                assert_eq!(
                    (text_of(text, "why").as_deref(), number_of(text, "from")),
                    (Some("epoch_changed"), Some(1))
                );
                has.missed = number_of(text, "to");
            }
            "gap" => {
                let (from, to) = (number_of(text, "from").unwrap(), number_of(text, "to").unwrap());
                assert!(has.last.is_none_or(|last| from == last + 1), "{who} has {:?}: {text}", has.last);
                has.last = Some(to);
            }
            _ if is_entry => {
                assert!(has.inside, "{who} is not inside: {text}");
                let seq = number_of(text, "seq").unwrap();
                assert!(has.last.is_none_or(|last| seq == last + 1), "{who} has {:?}: {text}", has.last);
                has.last = Some(seq);
                let entry: serde_json::Value = serde_json::from_str(text).unwrap();
                has.folded.hear(&entry, own).unwrap();
                let (place, identity) = ((room, has.epoch.clone(), seq), identity(&entry));
                assert_eq!(*self.said.entry(place).or_insert_with(|| identity.clone()), identity, "{who}: {text}");
            }
            // All missed messages have been heard.
            "online_users" => {
                has.last = has.last.or(Some(has.head));
                assert!(has.last >= Some(has.head), "{who} has {:?} of {}: {text}", has.last, has.head);
            }
            _ => {}
        }
    }

    /// All is well again, and every message is heard.
    fn ends(&mut self) {
        self.nodes.world.borrow_mut().links.iter_mut().for_each(|link| (link.down, link.full) = (false, false));
        for _ in 0..100 {
            for stage in &mut self.nodes.stages {
                stage.holds = false;
                stage.dispatch();
                // A store that did not answer is asked again.
                stage.waits_ms(1000);
            }
            self.nodes.settles();
            self.reads();
        }
        let world = self.nodes.world.borrow();
        for (who, client) in self.clients.iter().enumerate().filter(|(_, client)| client.at.is_some()) {
            for (room, has) in client.has.iter().filter(|(_, has)| has.inside) {
                let head = world.logs[room].said.head();
                assert_eq!((&has.epoch, has.last), (&head.epoch.to_string(), Some(head.seq)), "{who} in {room}");
                agrees(&has.folded, &world.logs[room].said, &format!("{who} in {room}"));
            }
        }
        // Every node sees the same people, in the same rooms.
        let people = |stage: &Stage| {
            let roster = &stage.chat.hall.roster;
            let name = |user: u32| roster.user(user).name.to_string();
            let inside = roster.rooms().after(None).filter(|(_, room)| !room.members.is_empty());
            let inside = inside.map(|(_, room)| {
                let names: BTreeSet<String> = room.members.users_from(0).map(name).collect();
                (room.name.to_string(), names)
            });
            let views = roster.users().after(None).filter(|user| user.present);
            let views = views.map(|user| (user.name.to_string(), user.view()));
            (inside.collect::<BTreeMap<_, _>>(), format!("{:?}", views.collect::<Vec<_>>()))
        };
        for stage in &self.nodes.stages[1..] {
            assert_eq!(people(stage), people(&self.nodes.stages[0]));
        }
        // Every node lists the same rooms, under the same titles.
        for (room, log) in world.logs.iter().filter(|(key, log)| !key.contains('\0') && log.said.head().kept > 0) {
            for stage in &self.nodes.stages {
                let rooms = &stage.chat.hall.roster.rooms();
                let place = rooms.at(rooms.find(room).expect("a room with messages is listed everywhere"));
                let title = log.card.as_ref().and_then(|(title, _, _)| title.as_deref());
                assert_eq!((place.holds, place.title.as_deref()), (true, title), "{room}");
            }
        }
    }
}

fn walk(seed: u64, steps: usize) {
    let settings = Settings { replay_bytes: 100, max_rooms: 100, ..unhurried() };
    let mut random = Random::from(seed);
    let nodes = Nodes::new(4 + random.below(8) as usize, &settings, 2 + random.below(2) as usize);
    let clients = (0..8).map(|_| Client::default()).collect();
    let mut walk = Walk { nodes, random, clients, said: BTreeMap::new(), step: 0 };
    (0..steps).for_each(|_| walk.goes_on());
    walk.ends();
    // A node that begins now knows what the others know.
    let Walk { nodes: Nodes { world, .. }, .. } = walk;
    let titles = |stage: &Stage| -> Vec<(String, Option<Box<str>>, bool)> {
        let hall = &stage.chat.hall;
        hall.roster
            .rooms()
            .after(None)
            .map(|(_, room)| (room.name.to_string(), room.title.clone(), room.holds))
            .collect()
    };
    world.borrow_mut().links.push(Link::default());
    let at = world.borrow().links.len() - 1;
    let stage = Nodes::node(&world, &settings, at);
    let world = world.borrow();
    let kept = world.logs.iter().filter(|(key, log)| !key.contains('\0') && log.said.head().kept > 0);
    let all = titles(&stage);
    for (room, _) in kept {
        assert!(all.iter().any(|(name, _, holds)| name == room && *holds), "{room}: {all:?}");
    }
    assert!(world.users.iter().all(|user| stage.chat.hall.roster.users().find(user).is_some()));
}

/// `WALKS=6000 cargo test --lib chat::tests::nodes` walks further than the tests do each time.
#[test]
fn random_walks_over_nodes() {
    let walks = std::env::var("WALKS").map_or(60, |walks| walks.parse().unwrap());
    for seed in 0..walks {
        println!("seed {seed}");
        walk(seed, 400);
    }
}

/// A message that was acknowledged, that the store has lost, and that is said again with its `id`, is said again.
#[test]
fn what_is_lost_is_said_again() {
    let mut nodes = Nodes::new(9, &unhurried(), 1);
    nodes.stages[0].opens("ann", "ann");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"w","id":"z"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    nodes.settles();
    nodes.world.borrow_mut().lose("den", 1);
    for _ in 0..3 {
        nodes.settles();
        nodes.stages[0].waits_ms(1);
    }
    nodes.stages[0].all_forget();
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    nodes.settles();
    let heard = nodes.stages[0].takes("ann");
    let len = nodes.world.borrow().logs["den"].said.len();
    assert!(len == 2, "len {len}: {heard:?}");
}
