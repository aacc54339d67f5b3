//! Walks by chance: clients come, talk, lose their node and come back, while queues move as they like. What they walk
//! over is a [`Ground`]: the simplest store that keeps the promises, or the one on Redis (`storm`).

use super::super::folding::{Folded, agrees, identity};
use super::*;

/// The chats, and the store that they share.
pub(super) trait Ground {
    fn stages(&mut self) -> &mut Vec<Stage>;

    /// Some of what a node has asked is carried out.
    fn carries_out(&mut self, node: usize, requests: usize);

    /// So much of what a node is told comes through, and is heard.
    fn hears(&mut self, node: usize, pieces: usize);

    /// Everything is carried out and heard.
    fn settles(&mut self);

    /// Something happens to a node's way to the store, or is over.
    fn breaks(&mut self, node: usize, random: &mut Random);

    /// The store loses something.
    fn loses(&mut self, room: &str, random: &mut Random);

    /// Time goes by.
    fn waits(&mut self, ms: u64);

    /// What is broken is mended.
    fn heals(&mut self);
}

impl Ground for Nodes {
    fn stages(&mut self) -> &mut Vec<Stage> {
        &mut self.stages
    }

    fn carries_out(&mut self, node: usize, requests: usize) {
        for _ in 0..requests {
            self.world.borrow_mut().step(node);
        }
    }

    fn hears(&mut self, node: usize, pieces: usize) {
        Nodes::hears(self, node, pieces);
    }

    fn settles(&mut self) {
        Nodes::settles(self);
    }

    fn breaks(&mut self, node: usize, random: &mut Random) {
        let link = random.below(12);
        let of = &mut self.world.borrow_mut().links[node];
        (of.down, of.full) = (link == 0, link == 1);
    }

    fn loses(&mut self, room: &str, random: &mut Random) {
        let world = &mut *self.world.borrow_mut();
        match random.below(2) {
            0 => world.expire(room),
            _ => world.lose(room, random.below(4) * random.below(4)),
        }
    }

    fn waits(&mut self, ms: u64) {
        self.stages.iter_mut().for_each(|stage| stage.waits_ms(ms));
    }

    fn heals(&mut self) {
        self.world.borrow_mut().links.iter_mut().for_each(|link| (link.down, link.full) = (false, false));
    }
}

/// The state of a room in one client.
#[derive(Clone, Default)]
pub(super) struct Has {
    pub epoch: String,
    /// The last seq of this life that it has heard of; `None`: whichever comes first is right.
    pub last: Option<u64>,
    pub inside: bool,
    /// Up to where a `gap` has named what is not to be had of a life that `joined` is about to tell of.
    missed: Option<u64>,
    /// The replay that `joined` announced must come before `online_users`.
    head: u64,
    /// What it shows.
    pub folded: Folded,
}

/// A client of one user, on one node at a time.
#[derive(Default)]
pub(super) struct Client {
    pub at: Option<(usize, String)>,
    pub has: BTreeMap<String, Has>,
    /// Where it has heard what between two people.
    directs: BTreeSet<(String, u64, String)>,
}

const ROOMS: [&str; 4] = ["den", "bar", "hut", "shed"];
const PEOPLE: [&str; 4] = ["ann", "bob", "cat", "dan"];

pub(super) struct Walk<G> {
    pub ground: G,
    random: Random,
    pub clients: Vec<Client>,
    /// By room, epoch and seq: what each entry is for all.
    said: BTreeMap<(String, String, u64), String>,
    step: usize,
}

impl<G: Ground> Walk<G> {
    pub fn new(ground: G, random: Random) -> Self {
        let clients = (0..8).map(|_| Client::default()).collect();
        Self { ground, random, clients, said: BTreeMap::new(), step: 0 }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u64) as usize
    }

    /// A user acts, or a queue moves.
    pub fn goes_on(&mut self) {
        self.step += 1;
        let (who, node) = (self.below(self.clients.len()), {
            let nodes = self.ground.stages().len();
            self.below(nodes)
        });
        let (room, to) = (ROOMS[self.below(ROOMS.len())], PEOPLE[self.below(PEOPLE.len())]);
        let step = self.step;
        match self.below(24) {
            0..4 => {
                let requests = 1 + self.below(6);
                self.ground.carries_out(node, requests);
            }
            4..8 => {
                let pieces = 1 + self.below(8);
                self.ground.hears(node, pieces);
            }
            8 => self.ground.settles(),
            9 => self.ground.breaks(node, &mut self.random),
            10 => {
                let stage = &mut self.ground.stages()[node];
                stage.holds = !stage.holds;
                stage.dispatch();
            }
            11 => {
                let ms = self.random.below(3000);
                self.ground.waits(ms);
            }
            12 if self.below(3) == 0 => self.ground.loses(room, &mut self.random),
            _ => {
                let Some((at, device)) = self.clients[who].at.clone() else {
                    let device = format!("{}-{step}", PEOPLE[who % PEOPLE.len()]);
                    self.ground.stages()[node].opens(&device, PEOPLE[who % PEOPLE.len()]);
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
                        self.ground.stages()[at].closes(&device);
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
                    17 => format!(r#"{{"type":"topic","room_id":"{room}","name":"{step}"}}"#),
                    18 => format!(r#"{{"type":"topic","room_id":"{room}","topic":"{step}"}}"#),
                    _ => format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{step}"}}"#),
                };
                self.ground.stages()[at].says(&device, &text);
            }
        }
        self.reads();
    }

    /// Every client reads its messages.
    fn reads(&mut self) {
        for who in 0..self.clients.len() {
            let Some((at, device)) = self.clients[who].at.clone() else { continue };
            for text in self.ground.stages()[at].takes(&device) {
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
            // With what was said: two lives of what they say have the same numbers, and may begin in one millisecond.
            let entry: serde_json::Value = serde_json::from_str(text).unwrap();
            let entry = format!("{} {}", identity(&entry), entry["content"]);
            let is_new = client.directs.insert((place, number_of(text, "seq").unwrap(), entry));
            assert!(is_new, "{who} hears it twice: {text}");
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
    pub fn heals(&mut self) {
        self.ground.heals();
        for _ in 0..100 {
            for stage in self.ground.stages() {
                stage.holds = false;
                stage.dispatch();
            }
            // A store that did not answer is asked again.
            self.ground.waits(1000);
            self.ground.settles();
            self.reads();
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
        let all: Vec<_> = self.ground.stages().iter().map(people).collect();
        all.iter().for_each(|of_one| assert_eq!(*of_one, all[0]));
    }
}

impl Walk<Nodes> {
    fn ends(&mut self) {
        self.heals();
        let world = self.ground.world.borrow();
        for (who, client) in self.clients.iter().enumerate().filter(|(_, client)| client.at.is_some()) {
            for (room, has) in client.has.iter().filter(|(_, has)| has.inside) {
                let head = world.logs[room].said.head();
                assert_eq!((&has.epoch, has.last), (&head.epoch.to_string(), Some(head.seq)), "{who} in {room}");
                agrees(&has.folded, &world.logs[room].said, &format!("{who} in {room}"));
            }
        }
        // Every node lists the same rooms, under the same titles.
        for (room, log) in world.logs.iter().filter(|(key, log)| !key.contains('\0') && log.said.head().kept > 0) {
            for stage in &self.ground.stages {
                let rooms = &stage.chat.hall.roster.rooms();
                let place = rooms.at(rooms.find(room).expect("a room with messages is listed everywhere"));
                let stands = log.description(room).0;
                let words = (place.title.as_deref(), place.topic.as_deref());
                assert_eq!((place.holds, words), (true, (stands.title, stands.topic)), "{room}");
            }
        }
    }
}

fn walk(seed: u64, steps: usize) {
    let settings = Settings { replay_bytes: 100, max_rooms: 100, ..unhurried() };
    let mut random = Random::from(seed);
    let nodes = Nodes::new(4 + random.below(8) as usize, &settings, 2 + random.below(2) as usize);
    let mut walk = Walk::new(nodes, random);
    (0..steps).for_each(|_| walk.goes_on());
    walk.ends();
    // A node that begins now knows what the others know.
    let Walk { ground: Nodes { world, .. }, .. } = walk;
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
