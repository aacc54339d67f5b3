//! A client that keeps to the protocol, with the logic of `client.js`: it resumes, sends again with the same `id`,
//! backs off, notices silence. It judges what it hears as an independent reader of `docs/wire.md` would.

mod answers;
mod constants;
mod crowd;
mod directs;
mod fields;
mod hearing;
mod kept;
mod living;
mod message;
mod presence;
mod rights;
mod tokens;
mod topics;
mod unseen;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use serde_json::Value;

use crate::proto::client_handshake::ClientRequest;
use crate::proto::extension::Offer;
use crate::proto::frame::{Opcode, encode_masked_frame};
use crate::proto::handshake::Accept;

use super::frames::{Heard, Reader};
use super::inflate::stored;
use super::judge::Judge;
use super::network::{Brought, Event, Network, PROXY, PUBLIC, SECOND, Time};
use super::plan::{Fault, Manner};
use crate::shown::Folded;
use constants::*;
pub use crowd::Crowd;
pub use presence::View;
use tokens::Showing;
pub use topics::Called;

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Which actor it is.
    pub id: usize,
    /// Its user.
    pub user: String,
    address: IpAddr,
    manner: Manner,
    /// Its token, where there are tokens.
    pass: tokens::Pass,
    phase: Phase,
    link: Option<usize>,
    reader: Reader,
    key: String,
    /// A connection whose Close has come: nothing follows it.
    past: Option<(usize, Reader)>,
    /// What this connection has asked to come into.
    joins: Vec<Wanted>,
    /// The rooms that it wants to be in.
    pub rooms: BTreeMap<String, Room>,
    outbox: VecDeque<Unsent>,
    /// Requests of this connection by their `id`: what may answer them.
    asked: BTreeMap<String, Asked>,
    /// Every `id` of this connection: what it asks for, how often it was sent, and answered.
    ids: BTreeMap<String, Asking>,
    drawn: u64,
    /// When it has left a room last, over this connection.
    left_at: BTreeMap<String, Time>,
    /// The users whom it watches, over this connection.
    watches: BTreeSet<String>,
    /// How people are, as it was told over this connection.
    told: presence::Told,
    /// What it has said that its user has read, and nobody else knows of yet.
    marks: Vec<(String, u64)>,
    /// The numbers that it has heard over this connection, of what its user and others say to each other.
    directs: BTreeMap<String, BTreeSet<u64>>,
    /// The last request about what people say to each other, when all have said what they had to say.
    checked: Option<String>,
    /// To whom it has sent a `multicast`, whose copies it does not hear.
    copies: BTreeSet<String>,
    heard_at: Time,
    probe_since: Option<Time>,
    asked_since: Option<Time>,
    attempts: u32,
    hurried: bool,
    welcomed_at: Time,
    goodbye: Option<(bool, Time)>,
    /// It comes back at once, as if its bucket were full then.
    hurries_back: bool,
    /// It asks as fast as it can when it is back.
    asks_at_once: bool,
    /// From `welcome`.
    ping_every: Time,
    join_rooms: usize,
    content_bytes: usize,
    pace: Time,
    next_join: Time,
    slow_until: Time,
    next_send: Time,
    /// It has said goodbye, behind requests whose answers it is owed first.
    parts: bool,
    /// It rests: it says nothing new and leaves no room.
    pub rests: bool,
    /// What the last `members` of each room were, since it rests.
    pub members: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It tries again then.
    Waiting(Time),
    Connecting(Time),
    /// The request is sent.
    Opening(Time),
    /// It is a WebSocket; the welcome has not come.
    Entering(Time),
    On,
    /// It comes back when somebody asks for it.
    Out,
    /// It has left for good.
    Left,
}

/// A room as the client has it.
#[derive(Clone, Debug, Default)]
pub struct Room {
    epoch: Option<String>,
    /// Nothing is missing up to here.
    seq: u64,
    /// The messages that it shows, of what it has heard of this life of the room.
    folded: Folded,
    /// What comes next is unknown: a page of history begins.
    fresh: bool,
    inside: bool,
    /// Since then.
    inside_at: Time,
    /// The people in it, since `online_users` has come.
    crowd: Option<Crowd>,
    /// What it is called, as it was told since it came in.
    called: Option<Called>,
    /// And as it was answered, when all rest.
    answered: Option<Called>,
    /// What it knew of the room a while ago.
    old: Option<(String, u64)>,
    /// Nothing of the replay has come yet.
    begins: bool,
    /// What comes of what it has missed.
    replay: kept::Replay,
    /// Up to where a gap has named what the client does not hear of another life of the room.
    named: Option<u64>,
    /// The same of a life that is about to begin, while it is inside.
    ahead: Option<(String, u64)>,
    /// The replay leads to there, and `online_users` ends it.
    replay_to: Option<u64>,
    asked: Option<String>,
    asked_at: Time,
    /// With what it was asked for.
    since: Option<(String, u64)>,
    history: u64,
    leaving: bool,
    not_before: Time,
    tries: u32,
}

/// A message that is not confirmed.
#[derive(Clone, Debug)]
struct Unsent {
    id: String,
    /// The room, or the user.
    room: Option<String>,
    to: String,
    content: String,
    link: Option<usize>,
    first_sent: Option<Time>,
    last_sent: Time,
    not_before: Time,
    tries: u32,
    /// How often it was sent, over any connection, and not refused: the first of these may wait still.
    unanswered: u32,
}

/// A room that a `join` asks for.
#[derive(Clone, Debug)]
struct Wanted {
    id: String,
    /// One of several: its answer has no `id`.
    listed: bool,
    room: String,
    since: Option<(String, u64)>,
    history: u64,
}

/// What an `id` asks for.
#[derive(Clone, Debug, Default)]
struct Asking {
    /// The type of the request.
    kind: String,
    /// The room that it names, or the user.
    room: Option<String>,
    to: Option<String>,
    /// The users that it names, of several, and whether they are to be watched.
    users: Vec<String>,
    subscribe: Option<bool>,
    /// To which message it does something.
    of: u64,
    /// Before which number a page is to end, and in which life of the room it was asked for, by somebody who had heard
    /// the room up to there.
    before: Option<u64>,
    epoch: Option<String>,
    heard: u64,
    /// When it was sent first.
    at: Time,
    sent: u32,
    answered: u32,
}

#[derive(Clone, Debug)]
struct Asked {
    /// Types that may answer it, beside `error`.
    by: &'static [&'static str],
    room: Option<String>,
    at: Time,
}

impl Client {
    /// A client that has not come yet.
    pub fn new(id: usize, user: String, address: IpAddr, manner: Manner, rooms: impl Iterator<Item = String>) -> Self {
        Self {
            id,
            user,
            address,
            manner,
            pass: tokens::Pass::default(),
            phase: Phase::Waiting(0),
            link: None,
            reader: Reader::default(),
            key: String::new(),
            past: None,
            joins: Vec::new(),
            rooms: rooms.map(|room| (room, Room::default())).collect(),
            outbox: VecDeque::new(),
            asked: BTreeMap::new(),
            ids: BTreeMap::new(),
            drawn: 0,
            left_at: BTreeMap::new(),
            watches: BTreeSet::new(),
            told: presence::Told::default(),
            marks: Vec::new(),
            directs: BTreeMap::new(),
            checked: None,
            copies: BTreeSet::new(),
            heard_at: 0,
            probe_since: None,
            asked_since: None,
            attempts: 0,
            hurried: false,
            welcomed_at: 0,
            goodbye: None,
            hurries_back: false,
            asks_at_once: false,
            ping_every: PING_AFTER,
            join_rooms: 1,
            content_bytes: 100,
            pace: 0,
            next_join: 0,
            slow_until: 0,
            next_send: 0,
            parts: false,
            rests: false,
            members: BTreeMap::new(),
        }
    }

    /// Whether it is in all rooms that it wants, has heard all, and waits for nothing. If not: why.
    pub fn unwell(&self, net: &Network, judge: &Judge) -> Option<String> {
        if self.phase != Phase::On || !self.link.is_some_and(|link| net.is_served(link)) {
            return Some(format!("is not connected: {:?}", self.phase));
        }
        if self.link.is_some_and(|link| !net.takes_all(link)) {
            return Some("has not taken what was sent to it, perhaps its end".into());
        }
        for (name, room) in &self.rooms {
            if !room.inside || room.leaving {
                return Some(format!("is not in {name}, or still leaves it"));
            }
            if room.replay_to.is_some() {
                return Some(format!("still waits for what it has missed of {name}"));
            }
            let newest = judge.newest(name, room.epoch.as_deref().unwrap_or_default());
            if room.seq < newest {
                return Some(format!("has heard {name} up to {}, which goes to {newest}", room.seq));
            }
        }
        if let Some(entry) = self.outbox.front() {
            return Some(format!("has no answer to its message {}", entry.id));
        }
        let (id, asked) = self.asked.first_key_value()?;
        Some(format!("has no answer to its request {id}, for {:?}, of {:.1} s", asked.by, asked.at as f64 / 1e6))
    }

    /// The life of a room that it is in.
    pub fn epoch_of(&self, room: &str) -> Option<&str> {
        self.rooms.get(room).filter(|room| room.inside).and_then(|room| room.epoch.as_deref())
    }

    /// The messages that it shows, of each room that it is in.
    pub fn shows(&self) -> impl Iterator<Item = (&str, &str, &Folded)> {
        let inside = self.rooms.iter().filter(|(_, room)| room.inside);
        inside.filter_map(|(name, room)| Some((name.as_str(), room.epoch.as_deref()?, &room.folded)))
    }

    /// The people of each room that it is in, as it was told of them.
    pub fn crowds(&self) -> impl Iterator<Item = (&str, Option<&Crowd>)> {
        let inside = self.rooms.iter().filter(|(_, room)| room.inside);
        inside.map(|(name, room)| (name.as_str(), room.crowd.as_ref()))
    }

    /// Whether it has been told who is in each room that it is in, since it has asked.
    pub fn knows_members(&self) -> bool {
        self.rooms.iter().all(|(name, room)| !room.inside || self.members.contains_key(name))
    }

    /// The connection that it has, if it has one.
    pub fn link(&self) -> Option<usize> {
        self.link
    }

    /// The connection over which it has said goodbye, if that is not over.
    pub fn parts_with(&self) -> Option<usize> {
        self.link.filter(|_| self.parts)
    }

    /// The connection over which it was welcomed, and when.
    pub fn welcomed(&self) -> Option<(usize, Time)> {
        Some((self.link.filter(|_| self.phase == Phase::On)?, self.welcomed_at))
    }

    /// Comes back if it was sent away, and is to want these rooms.
    pub fn come_back(&mut self, now: Time) {
        if self.phase == Phase::Out {
            self.phase = Phase::Waiting(now);
            self.goodbye = None;
        }
    }

    /// Asks who is in each room of which it has not been told that, or in the first such room.
    pub fn ask_members(&mut self, net: &mut Network, all: bool) {
        let unknown = self.rooms.keys().filter(|name| !self.members.contains_key(*name));
        for room in unknown.take(if all { usize::MAX } else { 1 }).cloned().collect::<Vec<_>>() {
            let fields = format!(r#""type":"members","room_id":"{room}","limit":200"#);
            self.ask(net, &fields, &["members"], Some(room));
        }
    }

    /// Leaves for good, in the same breath as its last requests; one that comes back just then gives that up.
    pub fn leave_for_good(&mut self, net: &mut Network) {
        if self.parts {
            return;
        }
        let Some(link) = self.link.filter(|_| self.phase == Phase::On) else {
            if let Some(link) = self.link {
                net.close(link);
            }
            self.drop_link();
            self.phase = Phase::Left;
            return;
        };
        for room in self.rooms.keys().take(3).cloned().collect::<Vec<_>>() {
            let fields = format!(r#""type":"history","room_id":"{room}","limit":1"#);
            self.ask(net, &fields, &["history"], Some(room));
        }
        let mut out = Vec::new();
        encode_masked_frame(Opcode::Close, &1000_u16.to_be_bytes(), mask(net), &mut out);
        net.send(link, &out);
        self.reader.allow_any_code();
        self.parts = true;
    }

    // Time -----------------------------------------------------------------------------------------------------------

    /// Does what is due, and something of its own accord; comes again after a while.
    pub fn act(&mut self, net: &mut Network, judge: &mut Judge) {
        let pause = net.plan.pause;
        let wait = net.chance.within(pause / 2, pause * 3 / 2).min(500_000);
        net.after(wait, Event::Act(self.id));
        if self.parts {
            return;
        }
        let now = net.now;
        match self.phase {
            Phase::Waiting(until) if until <= now => self.connect(net),
            Phase::Waiting(_) | Phase::Left => {}
            Phase::Out => {
                // Somebody asks for it.
                if net.chance.one_in(40) && !judge.banned.contains(&self.user) {
                    self.come_back(now);
                }
            }
            Phase::Connecting(since) | Phase::Opening(since) | Phase::Entering(since) => {
                if now - since > OPEN_WITHIN {
                    self.give_up(net);
                }
            }
            Phase::On => {
                if let Some(since) = self.probe_since {
                    if now - since > PONG_WITHIN {
                        return self.give_up(net);
                    }
                } else if now - self.heard_at > self.ping_every
                    || self.asked_since.is_some_and(|since| now - since > PING_UNANSWERED_AFTER)
                {
                    self.probe_since = Some(now);
                    self.ask(net, r#""type":"ping""#, &["pong"], None);
                }
                if now - self.welcomed_at > STABLE_AFTER {
                    (self.attempts, self.hurried) = (0, false);
                }
                self.pump_joins(net);
                self.pump_outbox(net);
                self.see_to_token(net);
                self.suffer(net);
                if std::mem::take(&mut self.hurries_back) && self.phase == Phase::On {
                    self.leave_and_return(net, 10_000);
                    self.asks_at_once = true;
                } else if self.phase == Phase::On && std::mem::take(&mut self.asks_at_once) {
                    self.ask_as_fast_as_it_can(net);
                }
                // It acts of its own accord once a pause on average, however often it looks.
                if !self.rests && !self.manner.quiet && self.phase == Phase::On && net.chance.below(pause) < wait {
                    self.live(net);
                }
                for (place, seq) in std::mem::take(&mut self.marks) {
                    judge.mark(&self.user, &place, seq);
                }
            }
        }
    }

    /// What happens to its connection.
    fn suffer(&mut self, net: &mut Network) {
        let Some(link) = self.link else { return };
        // Faults of links are counted by looks of clients, of which there are some a second.
        if net.strikes(Fault::Reset) && net.chance.one_in(10) {
            net.trace.tell(net.now, || format!("client {}: its connection is reset", self.id));
            net.reset(link);
            self.lose(net, 1006);
        } else if net.strikes(Fault::Vanish) && net.chance.one_in(10) {
            net.trace.tell(net.now, || format!("client {}: its connection vanishes", self.id));
            net.vanish(link);
            // It notices so much later.
            let wait = net.chance.below(20 * SECOND);
            self.drop_link();
            self.phase = Phase::Waiting(net.now + wait);
        } else if net.strikes(Fault::Stall) && net.chance.one_in(4) {
            let wait = net.chance.skewed(10_000, 20 * SECOND);
            net.trace.tell(net.now, || format!("client {}: reads nothing for {:.1} s", self.id, wait as f64 / 1e6));
            net.stall(link, wait);
        }
    }

    // Going out ------------------------------------------------------------------------------------------------------

    fn draw_id(&mut self) -> String {
        self.drawn += 1;
        format!("c{}-{}", self.id, self.drawn)
    }

    fn send(&mut self, net: &mut Network, text: &str) {
        let Some(link) = self.link else { return };
        net.trace.tell(net.now, || format!("client {} > {text:.200}", self.id));
        let mut out = Vec::new();
        let key = mask(net);
        if self.reader.may_compress() && net.chance.one_in(2) {
            encode_masked_frame(Opcode::Text, &stored(text.as_bytes()), key, &mut out);
            out[0] |= COMPRESSED;
        } else {
            encode_masked_frame(Opcode::Text, text.as_bytes(), key, &mut out);
        }
        net.send(link, &out);
    }

    fn note_asked(&mut self, id: &str, now: Time, text: &str) {
        let asking = self.ids.entry(id.to_owned()).or_insert_with(|| {
            let request = serde_json::from_str::<Value>(text).expect("a request is JSON");
            let word = |name: &str| request[name].as_str().map(str::to_owned);
            let (kind, room, to) = (word("type").unwrap_or_default(), word("room_id"), word("user_id"));
            let users = request["user_ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let (users, subscribe) = (users.map(str::to_owned).collect(), request["subscribe"].as_bool());
            if let (Some(place), "read") = (room.as_ref().or(to.as_ref()), kind.as_str()) {
                self.marks.push((place.clone(), request["seq"].as_u64().unwrap_or(0)));
            }
            let known = room.as_ref().and_then(|room| self.rooms.get(room)).filter(|room| room.replay_to.is_none());
            let (epoch, heard) = known.map_or((None, 0), |room| (room.epoch.clone(), room.seq));
            let (of, before) = (request["of"].as_u64().unwrap_or(0), request["before"].as_u64());
            Asking { kind, room, to, users, subscribe, of, before, epoch, heard, at: now, sent: 0, answered: 0 }
        });
        asking.sent += 1;
        match asking.kind.as_str() {
            "multicast" => self.copies.extend(asking.users.iter().cloned()),
            "presence" if asking.subscribe == Some(true) => self.watches.extend(asking.users.iter().cloned()),
            _ => {}
        }
        self.asked_since.get_or_insert(now);
    }

    fn ask(&mut self, net: &mut Network, fields: &str, by: &'static [&'static str], room: Option<String>) {
        self.request(net, fields, by, room);
    }

    /// Asks, and says under which `id`; nothing: too much is asked already.
    fn request(
        &mut self,
        net: &mut Network,
        fields: &str,
        by: &'static [&'static str],
        room: Option<String>,
    ) -> Option<String> {
        // To leave is asked always: the room counts as left from then on.
        if self.phase != Phase::On || self.asked.len() >= REQUESTS_MAX && !by.contains(&"left") {
            return None;
        }
        let id = self.draw_id();
        let text = format!(r#"{{"id":"{id}",{fields}}}"#);
        self.note_asked(&id, net.now, &text);
        self.asked.insert(id.clone(), Asked { by, room, at: net.now });
        self.send(net, &text);
        Some(id)
    }

    /// Sends the first message of each room and person, unless it is on its way.
    fn pump_outbox(&mut self, net: &mut Network) {
        if self.phase != Phase::On {
            return;
        }
        let now = net.now;
        let mut busy: Vec<(Option<String>, String)> = Vec::new();
        let mut given_up = Vec::new();
        for at in 0..self.outbox.len() {
            let entry = &self.outbox[at];
            let lane = (entry.room.clone(), entry.to.clone());
            if busy.contains(&lane) {
                continue;
            }
            if let Some(room) = &entry.room {
                match self.rooms.get(room) {
                    Some(room) if room.inside && !room.leaving => {}
                    Some(room) if !room.leaving => continue,
                    _ => {
                        given_up.push(entry.id.clone());
                        continue;
                    }
                }
            }
            let here = entry.link == self.link;
            if !here && entry.first_sent.is_some_and(|first| now - first > REPEAT_WITHIN) {
                given_up.push(entry.id.clone());
                continue;
            }
            busy.push(lane);
            let in_flight = here && now - entry.last_sent < ANSWER_WITHIN;
            if in_flight || entry.not_before > now || self.next_send > now {
                continue;
            }
            let entry = &mut self.outbox[at];
            entry.link = self.link;
            entry.first_sent.get_or_insert(now);
            entry.last_sent = now;
            entry.unanswered += 1;
            let (id, content) = (entry.id.clone(), serde_json::to_string(&entry.content).expect("a text"));
            let text = match &entry.room {
                Some(room) => format!(r#"{{"type":"broadcast","id":"{id}","room_id":"{room}","content":{content}}}"#),
                None => format!(r#"{{"type":"direct","id":"{id}","user_id":"{}","content":{content}}}"#, entry.to),
            };
            if now < self.slow_until {
                self.next_send = now + self.pace;
            }
            self.note_asked(&id, now, &text);
            self.send(net, &text);
        }
        self.outbox.retain(|entry| !given_up.contains(&entry.id));
    }

    /// Asks for the rooms that it is not in.
    fn pump_joins(&mut self, net: &mut Network) {
        let now = net.now;
        if self.phase != Phase::On || self.next_join > now {
            return;
        }
        for room in self.rooms.values_mut() {
            if room.asked.is_some() && now - room.asked_at > ANSWER_WITHIN {
                room.asked = None;
            }
        }
        let due = |room: &Room| !room.inside && room.asked.is_none() && room.not_before <= now && !room.leaving;
        let names: Vec<String> =
            self.rooms.iter().filter(|(_, room)| due(room)).map(|(name, _)| name.clone()).collect();
        for list in names.chunks(self.join_rooms.max(1)) {
            let id = self.draw_id();
            let mut fields = Vec::new();
            for name in list {
                let room = self.rooms.get_mut(name).expect("it is listed");
                (room.asked, room.asked_at) = (Some(id.clone()), now);
                room.since = room.epoch.clone().map(|epoch| (epoch, room.seq));
                // A page that was asleep, or was opened from a copy, knows less.
                if room.old.is_some() && net.chance.one_in(8) {
                    room.since = room.old.clone();
                }
                // Which of two lists is answered is not said: what it asks for once more it asks for alike.
                if let Some(wanted) = self.joins.iter().find(|wanted| wanted.room == *name) {
                    room.since = wanted.since.clone();
                }
                self.joins.push(Wanted {
                    id: id.clone(),
                    listed: list.len() > 1,
                    room: name.clone(),
                    since: room.since.clone(),
                    history: room.history,
                });
                let since = room.since.as_ref();
                let since = since
                    .map_or_else(String::new, |(epoch, seq)| format!(r#","since":{{"epoch":"{epoch}","seq":{seq}}}"#));
                let history = if room.history > 0 { format!(r#","history":{}"#, room.history) } else { String::new() };
                fields.push(format!(r#""room_id":"{name}"{since}{history}"#));
            }
            let text = match &fields[..] {
                [one] => format!(r#"{{"type":"join","id":"{id}",{one}}}"#),
                many => format!(r#"{{"type":"join","id":"{id}","rooms":[{{{}}}]}}"#, many.join("},{")),
            };
            self.note_asked(&id, now, &text);
            if fields.len() > 1 {
                self.asked.insert(id, Asked { by: &["ack"], room: None, at: now });
            }
            self.send(net, &text);
        }
    }

    // The connection -------------------------------------------------------------------------------------------------

    fn connect(&mut self, net: &mut Network) {
        let listener = if net.plan.proxied { PROXY } else { PUBLIC };
        let address = if net.plan.proxied { super::plan::NEAR } else { self.address };
        let link = net.connect(self.id, listener, address);
        net.trace.tell(net.now, || format!("client {} connects, by link {link}", self.id));
        self.link = Some(link);
        self.phase = Phase::Connecting(net.now);
    }

    /// The connection stands, or is refused.
    pub fn answered(&mut self, net: &mut Network, link: usize) {
        if self.link != Some(link) {
            return;
        }
        if !net.stands(link) {
            net.close(link);
            return self.lose(net, 1006);
        }
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&net.chance.draw().to_le_bytes());
        let Showing { target, headers, protocols } = self.show_token(net);
        let (headers, protocols): (Vec<_>, Vec<_>) = (
            headers.iter().map(|value| ("Authorization", &**value)).collect(),
            protocols.iter().map(|word| &**word).collect(),
        );
        let mut request = ClientRequest::new("salon", nonce).target(&target).headers(&headers).protocols(&protocols);
        if let Some(bits) = self.manner.deflate {
            request = request.deflate(Offer::new().server_max_window_bits(bits).expect("one of 9 to 15"));
        }
        self.key = request.key();
        let offered = self.manner.deflate.filter(|_| net.plan.settings.engine.deflate.is_some());
        self.reader = Reader::new(Accept::of_key(&self.key).as_str().to_owned()).offering(offered);
        let mut head = Vec::new();
        if net.plan.proxied {
            head.extend_from_slice(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
            if let IpAddr::V4(address) = self.address {
                head.extend_from_slice(&u32::from(address).to_be_bytes());
            }
            head.extend_from_slice(&[10, 9, 9, 9, 0x0f, 0xa0, 0, 80]);
        }
        request.encode(&mut head).expect("nothing in it that may not stand in a head");
        net.send(link, &head);
        self.phase = Phase::Opening(net.now);
        self.heard_at = net.now;
    }

    /// Something has come.
    pub fn brought(&mut self, net: &mut Network, judge: &mut Judge, link: usize, what: Brought) {
        if self.link != Some(link) {
            return self.brought_at_last(net, link, &what);
        }
        match what {
            Brought::Bytes(bytes) => {
                self.reader.push(&bytes);
                while self.link == Some(link) {
                    match self.reader.next() {
                        Ok(Some(heard)) => self.hear(net, judge, heard),
                        Ok(None) => break,
                        Err(wrong) => {
                            let invariant = if self.reader.is_closed() { 8 } else { 13 };
                            return net.trace.fail(invariant, net.now, || format!("client {}: {wrong}", self.id));
                        }
                    }
                }
            }
            Brought::End | Brought::Reset => {
                if self.parts {
                    net.trace.fail(5, net.now, || format!("client {}: its goodbye is not answered", self.id));
                }
                if !self.may_end_without_a_word(net) {
                    net.trace.fail(8, net.now, || format!("client {}: its connection ends without a Close", self.id));
                }
                net.close(link);
                self.lose(net, 1006);
            }
        }
    }

    /// Something has come over a connection whose Close has come: its end, and nothing else.
    fn brought_at_last(&mut self, net: &mut Network, link: usize, what: &Brought) {
        let Some((_, reader)) = self.past.as_mut().filter(|(past, _)| *past == link) else { return };
        match what {
            Brought::Bytes(bytes) => {
                reader.push(bytes);
                if let Err(wrong) = reader.next() {
                    net.trace.fail(8, net.now, || format!("client {}: {wrong}", self.id));
                }
            }
            Brought::End | Brought::Reset => {
                self.past = None;
                net.close(link);
            }
        }
    }

    fn hear(&mut self, net: &mut Network, judge: &mut Judge, heard: Heard) {
        let now = net.now;
        self.heard_at = now;
        (self.probe_since, self.asked_since) = (None, None);
        match heard {
            Heard::Upgraded => {
                self.phase = Phase::Entering(now);
                if let Some(link) = self.link {
                    net.links[link].upgraded = true;
                }
                self.show_token_first(net);
            }
            Heard::Response(code, body) => {
                if !Self::may_be_turned_away(net, code) {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    net.trace.fail(13, now, || format!("client {}: its upgrade is answered {code}: {body}", self.id));
                }
                if let Some(link) = self.link {
                    net.links[link].turned_away = true;
                    net.close(link);
                }
                self.lose(net, 1013);
            }
            Heard::Ping(payload) => {
                let (mut out, key) = (Vec::new(), mask(net));
                encode_masked_frame(Opcode::Pong, &payload, key, &mut out);
                if let Some(link) = self.link {
                    net.send(link, &out);
                }
            }
            Heard::Pong(_) => {}
            Heard::Close(code) => {
                net.trace.tell(now, || format!("client {} < Close {code}", self.id));
                if self.parts && code == 1000 && !self.asked.is_empty() {
                    let missing: Vec<_> = self.asked.values().map(|asked| asked.by).collect();
                    net.trace.fail(5, now, || {
                        format!("client {}: its goodbye is answered, and not its requests for {missing:?}", self.id)
                    });
                }
                if let Some(spoken) = self.link.and_then(|link| net.spoken_before(link))
                    && code == 4201
                {
                    let text = format!("client {}: it is closed for silence, {spoken} us after it has spoken", self.id);
                    net.trace.fail(11, now, || text);
                }
                if let Err(wrong) = self.may_be_closed(net, judge, code) {
                    net.trace.fail(8, now, || format!("client {}: {wrong}", self.id));
                }
                if let Some(link) = self.link {
                    let (mut out, key) = (Vec::new(), mask(net));
                    if !self.parts {
                        encode_masked_frame(Opcode::Close, &code.to_be_bytes(), key, &mut out);
                        net.send(link, &out);
                    }
                    // The server ends the connection.
                    if let Some((last, _)) = self.past.replace((link, std::mem::take(&mut self.reader))) {
                        net.close(last);
                    }
                    let behind = Brought::Bytes(Vec::new());
                    self.brought_at_last(net, link, &behind);
                }
                self.lose(net, code);
            }
            Heard::Text(text) => {
                net.trace.tell(now, || format!("client {} < {text:.200}", self.id));
                match serde_json::from_str::<Value>(&text) {
                    Ok(message) => {
                        if let Err((invariant, wrong)) = self.take(net, judge, &message) {
                            net.trace.fail(invariant, now, || format!("client {}: {wrong} ({text:.300})", self.id));
                        }
                    }
                    Err(error) => net.trace.fail(13, now, || format!("client {}: no JSON: {error}", self.id)),
                }
            }
        }
    }

    fn give_up(&mut self, net: &mut Network) {
        if let Some(link) = self.link {
            net.close(link);
        }
        self.lose(net, 1006);
    }

    fn drop_link(&mut self) {
        self.link = None;
        self.pass.forget();
        self.asked.clear();
        self.joins.clear();
        self.ids.clear();
        self.left_at.clear();
        self.watches.clear();
        self.told = presence::Told::default();
        self.directs.clear();
        self.copies.clear();
        (self.probe_since, self.asked_since) = (None, None);
        self.rooms.retain(|_, room| !room.leaving);
        for room in self.rooms.values_mut() {
            (room.inside, room.asked, room.not_before) = (false, None, 0);
            (room.replay_to, room.crowd, room.called, room.answered) = (None, None, None, None);
            // A room that has no place has none over another connection either: when all is to be well, it gives up.
            if !self.rests {
                room.tries = 0;
            }
        }
        for entry in &mut self.outbox {
            entry.link = None;
        }
    }

    /// The connection is lost, with this code.
    fn lose(&mut self, net: &mut Network, code: u16) {
        net.trace
            .tell(net.now, || format!("client {}: its connection is lost, {code}, while {:?}", self.id, self.phase));
        self.drop_link();
        if self.parts {
            self.phase = Phase::Left;
            return;
        }
        let goodbye = self.goodbye.take();
        let with_another_token = code == 4001 && net.plan.ways.tokens > 0;
        if !with_another_token && (code / 100 == 40 || goodbye.is_some_and(|(reconnect, _)| !reconnect)) {
            self.phase = Phase::Out;
            return;
        }
        if code / 100 == 42 && !self.hurried {
            self.hurried = true;
            self.phase = Phase::Waiting(net.now);
            return;
        }
        self.attempts += 1;
        let ceiling = (BACKOFF_BASE << (self.attempts - 1).min(16)).min(BACKOFF_MAX);
        let jitter = net.chance.below(ceiling).max(50_000);
        self.phase = Phase::Waiting(net.now + goodbye.map_or(0, |(_, after)| after) + jitter);
    }
}

/// A key that masks a frame.
pub fn mask(net: &mut Network) -> [u8; 4] {
    (net.chance.draw() as u32).to_le_bytes()
}

/// The name of a user.
pub fn user_name(number: u64) -> String {
    format!("u{number}")
}

/// The name of a room.
pub fn room_name(number: u64) -> String {
    format!("r{number}")
}

/// The bit of a frame's first byte that says that its message is compressed.
const COMPRESSED: u8 = 0x40;
