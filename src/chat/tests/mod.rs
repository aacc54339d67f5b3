//! The chat behind a pretended engine: people send messages, and inboxes show who heard what.
//!
//! A row reads `says(who, what)` and then `heard(who, [..])`. Time stands still unless it is moved.

mod behind;
mod calling;
mod catalogue;
mod changes;
mod folding;
mod history;
mod join_list;
mod json;
mod late;
mod limits;
mod long_turns;
mod memory;
mod model;
mod nodes;
mod operator;
mod plain;
mod presence_and_typing;
mod reading;
mod replay;
mod rules;
mod tokens;
mod topics;
mod town;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::backend::Memory;
use crate::backend::memory::Limits;
use crate::id::TopicId;

/// Carries out deliveries as the engine does, into one inbox for each connection.
struct Stage {
    chat: Chat,
    now: Moment,
    out: Deliveries,
    topics: BTreeMap<TopicId, BTreeSet<ConnId>>,
    inboxes: BTreeMap<ConnId, Vec<String>>,
    closes: BTreeMap<ConnId, u16>,
    names: BTreeMap<String, ConnId>,
    opened: u32,
    /// Connections of which the chat wants to know when they have taken everything, which they do at once unless
    /// `holds`.
    asked: BTreeSet<ConnId>,
    holds: bool,
    /// Connections that take no more of a room than is on the way to them already.
    stopped: BTreeSet<ConnId>,
    /// How often one has been left behind.
    left_behind: usize,
    /// Messages of rooms that the engine has for them, until it looks what each takes, and the last number of each
    /// topic.
    logged: Logged,
    numbers: BTreeMap<TopicId, u64>,
    /// Connections that were asked whether they are still there.
    pinged: Vec<ConnId>,
    /// Connections to which answers are owed, and how many bytes these may have.
    owed: BTreeMap<ConnId, u32>,
    /// The origin of the next connections.
    address: Option<Address>,
}

/// Where rows begin: a wall clock that is easy to read.
const START: u64 = 1_000_000;

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

/// Without a limit on the rate, which most rows are not about.
fn unhurried() -> Settings {
    Settings { rate: None, ..Settings::default() }
}

/// So many messages of each conversation are kept.
fn last(messages: usize) -> Limits {
    Limits { messages, ..Limits::default() }
}

/// They are kept so long.
fn young(age: Duration) -> Limits {
    Limits { age, ..Limits::default() }
}

impl Stage {
    fn new(settings: Settings) -> Self {
        Self::keeping(Limits::default(), settings, &[])
    }

    fn with(settings: Settings, backend: Box<dyn Backend>) -> Self {
        Self {
            chat: Chat::new(settings, backend, 1),
            now: Moment { tick: Tick(START), unix_ms: START },
            out: Deliveries::new(),
            topics: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            closes: BTreeMap::new(),
            names: BTreeMap::new(),
            opened: 0,
            asked: BTreeSet::new(),
            holds: false,
            stopped: BTreeSet::new(),
            left_behind: 0,
            logged: BTreeMap::new(),
            numbers: BTreeMap::new(),
            pinged: Vec::new(),
            owed: BTreeMap::new(),
            address: None,
        }
    }

    /// A stage with JSON sessions, named after their users, whose welcome is read already.
    fn json(settings: Settings, users: &[&str]) -> Self {
        Self::keeping(Limits::default(), settings, users)
    }

    /// The same where so much is kept.
    fn keeping(limits: Limits, settings: Settings, users: &[&str]) -> Self {
        let mut stage = Self::with(settings, Box::new(Memory::new(limits, 1)));
        for name in users {
            stage.opens(name, name);
            stage.forgets(name);
        }
        stage
    }

    /// Opens a JSON session; `device` is what rows call it.
    fn opens(&mut self, device: &str, name: &str) {
        self.open(device, Door::Json { user: Some(user(name)) });
    }

    fn opens_plain(&mut self, device: &str, room_name: &str, name: &str) {
        self.open(device, Door::Plain { room: room(room_name), user: user(name) });
    }

    fn open(&mut self, device: &str, door: Door) {
        // The lowest free slot, as a slab would give; generations never come again.
        let taken: BTreeSet<u32> = self.inboxes.keys().map(|conn| conn.index).collect();
        let index = (0..).find(|index| !taken.contains(index)).unwrap();
        self.opened += 1;
        let conn = ConnId { index, generation: self.opened };
        self.names.insert(device.to_owned(), conn);
        self.inboxes.insert(conn, Vec::new());
        self.chat.handle_open(conn, door, self.address, self.now, &mut self.out);
        self.dispatch();
    }

    fn conn(&self, device: &str) -> ConnId {
        self.names[device]
    }

    fn says(&mut self, device: &str, text: &str) {
        self.chat.handle_text(self.conn(device), text, self.now, &mut self.out);
        self.dispatch();
    }

    /// The connection ends; the engine has dropped it before the chat hears of it.
    fn closes(&mut self, device: &str) {
        let conn = self.names.remove(device).unwrap();
        for members in self.topics.values_mut() {
            members.remove(&conn);
        }
        self.inboxes.remove(&conn);
        self.closes.remove(&conn);
        self.asked.remove(&conn);
        self.owed.remove(&conn);
        self.stopped.remove(&conn);
        self.chat.handle_closed(conn, self.now, &mut self.out);
        self.dispatch();
    }

    /// Time goes by, stopping at every deadline on the way.
    fn waits(&mut self, time: Duration) {
        let end = self.now.tick + time;
        while let Some(deadline) = self.chat.next_deadline().filter(|&deadline| deadline <= end) {
            self.moves_to(deadline.max(self.now.tick));
            self.chat.handle_timeout(self.now, &mut self.out);
            self.dispatch();
        }
        self.moves_to(end);
    }

    fn waits_ms(&mut self, ms: u64) {
        self.waits(Duration::from_millis(ms));
    }

    fn moves_to(&mut self, tick: Tick) {
        self.now = Moment { tick, unix_ms: tick.0 };
    }

    fn dispatch(&mut self) {
        self.carry_out();
        while let Some(conn) = self.asked.first().copied().filter(|_| !self.holds) {
            self.drain(conn);
        }
        self.chat.hand_over();
    }

    /// The device has taken everything; returns whether the chat wanted to know.
    fn drains(&mut self, device: &str) -> bool {
        let conn = self.conn(device);
        let asked = self.asked.contains(&conn);
        if asked {
            self.drain(conn);
        }
        asked
    }

    fn drain(&mut self, conn: ConnId) {
        // That is an event of a later turn.
        if self.chat.has_more_to_hear() {
            self.chat.handle_backend(self.now, &mut self.out);
            self.carry_out();
        }
        self.asked.remove(&conn);
        self.chat.handle_drained(conn, self.now, &mut self.out);
        self.carry_out();
    }

    /// From now on the device takes no more of a room than is on the way to it.
    fn stops(&mut self, device: &str) {
        self.stopped.insert(self.conn(device));
    }

    /// From now on it takes everything again that it is sent live.
    fn goes_on(&mut self, device: &str) {
        self.stopped.remove(&self.conn(device));
    }

    /// Whether it is in the topic of a room.
    fn hears(&self, device: &str, room: &str) -> bool {
        let key = self.chat.hall.roster.rooms().find(room).unwrap();
        let topic = roster::room::topic(key, Dialect::Json);
        self.topics.get(&topic).is_some_and(|members| members.contains(&self.conn(device)))
    }

    fn carry_out(&mut self) {
        loop {
            self.carry_out_list();
            let behind = self.flush();
            if behind.is_empty() {
                break;
            }
            self.left_behind += behind.len();
            self.chat.handle_left_behind(behind, self.now, &mut self.out);
        }
        self.check();
    }

    /// Those that are stopped leave the topics of which there is more for them.
    fn flush(&mut self) -> Vec<(ConnId, TopicId, u64)> {
        let mut behind = Vec::new();
        for ((conn, topic), log) in std::mem::take(&mut self.logged) {
            let before = log.iter().find_map(|(number, _)| *number).map(|next| next - 1);
            if let Some(heard) = before.or_else(|| self.numbers.get(&topic).copied())
                && self.topics.get_mut(&topic).is_some_and(|members| members.remove(&conn))
            {
                behind.push((conn, topic, heard));
            } else {
                log.iter().for_each(|(_, text)| deliver(&mut self.inboxes, conn, text));
            }
        }
        behind
    }

    fn carry_out_list(&mut self) {
        for item in self.out.items() {
            match item {
                Delivery::Send { to, text } | Delivery::Refuse { to, text, .. } => {
                    settle(&mut self.logged, *to, &mut self.inboxes);
                    deliver(&mut self.inboxes, *to, self.out.text(text));
                }
                Delivery::Publish { topic, text, except, number } => {
                    let (except, text) = (self.out.except(except), self.out.text(text));
                    let Some(members) = self.topics.get(topic).filter(|members| !members.is_empty()) else { continue };
                    for member in members {
                        if except.contains(member) {
                            settle(&mut self.logged, *member, &mut self.inboxes);
                        } else if self.stopped.contains(member) {
                            self.logged.entry((*member, *topic)).or_default().push((*number, text.to_vec()));
                        } else {
                            deliver(&mut self.inboxes, *member, text);
                        }
                    }
                    self.numbers.extend(number.map(|number| (*topic, number)));
                }
                Delivery::Subscribe { conn, topic } => {
                    assert!(self.inboxes.contains_key(conn), "a closed connection subscribes to {topic:?}");
                    let members = self.topics.entry(*topic).or_default();
                    if members.is_empty() {
                        self.numbers.remove(topic);
                    }
                    assert!(members.insert(*conn), "{conn} hears {topic:?} twice");
                }
                Delivery::Unsubscribe { conn, topic } => {
                    settle(&mut self.logged, *conn, &mut self.inboxes);
                    let removed = self.topics.get_mut(topic).is_some_and(|members| members.remove(conn));
                    assert!(removed, "{conn} does not hear {topic:?}");
                }
                Delivery::Ask { conn } => self.pinged.push(*conn),
                Delivery::Owe { conn, bytes: 0 } => assert!(self.owed.remove(conn).is_some(), "{conn} is owed nothing"),
                Delivery::Owe { conn, bytes } => drop(self.owed.insert(*conn, *bytes)),
                Delivery::TellWhenDrained { conn } => {
                    // There is no event about a closed connection.
                    if self.inboxes.contains_key(conn) && !self.closes.contains_key(conn) {
                        self.asked.insert(*conn);
                    }
                }
                // For the operator: nothing reaches the connection.
                Delivery::TurnedAway { .. } | Delivery::Caused { .. } => {}
                Delivery::Close { conn, code, .. } => {
                    self.asked.remove(conn);
                    assert!(self.closes.insert(*conn, code.get()).is_none(), "{conn} is closed twice");
                }
            }
        }
        self.out.clear();
    }

    /// What a device heard since it was last asked, word for word.
    #[track_caller]
    fn heard<T: AsRef<str>>(&mut self, device: &str, expected: impl IntoIterator<Item = T>) {
        let found = self.takes(device);
        let expected: Vec<String> = expected.into_iter().map(|text| text.as_ref().to_owned()).collect();
        assert_eq!(found, expected, "heard by {device}");
    }

    #[track_caller]
    fn heard_nothing(&mut self, device: &str) {
        self.heard(device, [""; 0]);
    }

    /// The types of the messages heard, and of errors the codes.
    #[track_caller]
    fn heard_kinds(&mut self, device: &str, expected: &[&str]) {
        let kinds: Vec<String> = self.takes(device).iter().map(|text| kind(text)).collect();
        assert_eq!(kinds, expected, "heard by {device}");
    }

    #[track_caller]
    fn refused(&mut self, device: &str, text: &str, code: &str) {
        self.says(device, text);
        self.heard_kinds(device, &[code]);
    }

    fn takes(&mut self, device: &str) -> Vec<String> {
        std::mem::take(self.inboxes.get_mut(&self.names[device]).unwrap())
    }

    fn forgets(&mut self, device: &str) {
        self.takes(device);
    }

    fn all_forget(&mut self) {
        self.inboxes.values_mut().for_each(Vec::clear);
    }

    fn closed_with(&self, device: &str) -> Option<u16> {
        self.closes.get(&self.conn(device)).copied()
    }

    /// `joins` a room and forgets the messages of that, for all.
    fn joins(&mut self, device: &str, room: &str) {
        self.says(device, &format!(r#"{{"type":"join","room_id":"{room}"}}"#));
        self.all_forget();
    }

    /// The same, and only the device forgets.
    fn joins_aside(&mut self, device: &str, room: &str) {
        self.says(device, &format!(r#"{{"type":"join","room_id":"{room}"}}"#));
        self.forgets(device);
    }

    /// The epoch of a room, as text.
    fn epoch(&mut self, device: &str, room: &str) -> String {
        let before = self.takes(device);
        self.says(device, &format!(r#"{{"type":"room","room_id":"{room}"}}"#));
        let answer = self.takes(device).remove(0);
        *self.inboxes.get_mut(&self.names[device]).unwrap() = before;
        text_of(&answer, "epoch").unwrap()
    }

    /// Membership is in both directions or in neither, and the engine knows the same.
    #[track_caller]
    fn check(&self) {
        let hall = &self.chat.hall;
        hall.roster.check();
        let mut topics: BTreeMap<TopicId, BTreeSet<ConnId>> = BTreeMap::new();
        let mut catching_up = BTreeSet::new();
        for (conn, session) in hall.roster.sessions().iter().filter(|(_, session)| session.user != NOBODY) {
            if session.dialect == Dialect::Json {
                topics.entry(roster::room::EVERYBODY).or_default().insert(conn);
            }
            for seat in session.seats.iter().filter(|seat| seat.inside) {
                if !seat.hears {
                    catching_up.insert((conn, seat.room));
                    continue;
                }
                topics.entry(roster::room::topic(seat.room, session.dialect)).or_default().insert(conn);
            }
        }
        let mut heard = self.topics.clone();
        heard.retain(|_, members| !members.is_empty());
        assert_eq!(heard, topics);
        assert_eq!(hall.readers.all(), catching_up);
        for conn in hall.readers.idle() {
            let moves = self.asked.contains(&conn) || hall.timers.is_set(&timers::Timer::Replay(conn));
            assert!(moves || self.closes.contains_key(&conn), "{conn} is never told the rest");
        }
        let mut owed: BTreeMap<ConnId, u32> = BTreeMap::new();
        for (waiting, bytes) in hall.waiting.all() {
            assert_eq!(bytes > 0, waiting.what.is_owed());
            if bytes > 0 {
                *owed.entry(waiting.asker.conn).or_default() += bytes;
            }
        }
        let is_session = |conn: &ConnId| hall.roster.session(*conn).is_some();
        owed.retain(|conn, _| is_session(conn));
        let counted = hall.roster.sessions().iter().filter(|(_, session)| session.owed > 0);
        assert_eq!(owed, counted.map(|(conn, session)| (conn, session.owed)).collect());
        assert_eq!(self.owed, owed, "to whom answers are owed, as the engine knows it");
        hall.watches.check();
        // With tokens, each session has one end before it: of its patience, its token, or the grace after that.
        for (conn, session) in hall.roster.sessions().iter().filter(|(_, session)| !session.closing) {
            let ends = [timers::Timer::Unproven(conn), timers::Timer::Expires(conn), timers::Timer::Expired(conn)];
            let set = ends.iter().filter(|timer| hall.timers.is_set(timer)).count();
            assert_eq!(set, usize::from(!hall.rights.are_everybodys()), "{conn}");
            let proven = !hall.rights.are_everybodys() && session.user != NOBODY;
            assert_eq!(hall.rights.grant(conn).is_some(), proven, "{conn}");
        }
        assert!(hall.rights.holders().all(|conn| hall.roster.session(conn).is_some()));
    }

    /// Everybody has gone, long ago.
    #[track_caller]
    fn check_released(&self) {
        let hall = &self.chat.hall;
        assert!(hall.roster.is_empty());
        assert_eq!((hall.waiting.len(), hall.lists.len()), (0, 0));
        assert!(hall.typists.is_empty() && hall.watches.is_empty());
        assert!(hall.readers.is_empty());
        assert_eq!(self.chat.next_deadline(), None);
    }
}

/// Messages of rooms for a connection.
type Logged = BTreeMap<(ConnId, TopicId), Vec<(Option<u64>, Vec<u8>)>>;

/// What topics have for a connection goes in front of what is for it alone.
fn settle(logged: &mut Logged, conn: ConnId, inboxes: &mut BTreeMap<ConnId, Vec<String>>) {
    for (_, log) in logged.extract_if(.., |(of, _), _| *of == conn) {
        log.iter().for_each(|(_, text)| deliver(inboxes, conn, text));
    }
}

fn deliver(inboxes: &mut BTreeMap<ConnId, Vec<String>>, to: ConnId, text: &[u8]) {
    let text = std::str::from_utf8(text).expect("texts are UTF-8");
    serde_json::from_str::<serde::de::IgnoredAny>(text).expect("texts are JSON");
    // A connection may have gone meanwhile; that is harmless.
    if let Some(inbox) = inboxes.get_mut(&to) {
        inbox.push(text.to_owned());
    }
}

fn field(text: &str, name: &str) -> Option<serde_json::Value> {
    serde_json::from_str::<serde_json::Value>(text).unwrap().get(name).cloned()
}

fn text_of(text: &str, name: &str) -> Option<String> {
    Some(field(text, name)?.as_str()?.to_owned())
}

fn number_of(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.as_u64()
}

fn kind(text: &str) -> String {
    text_of(text, "code").or_else(|| text_of(text, "type")).unwrap()
}
