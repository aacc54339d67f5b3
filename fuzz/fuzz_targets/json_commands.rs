//! The chat: whatever a few sessions send and whenever they come and go, deliveries are JSON, in order and bounded,
//! every request is answered, and nothing is left when all have gone.
//!
//! The input is lines, so that a seed can be read. The first letter says what happens:
//!
//! ```text
//!   0 .. 7 text   the session says it (and comes first, if it is not there); 6 and 7 speak the plain dialect
//!   a .. h        the session goes                 B digit   it sends a binary message
//!   P digit       it sends a ping                  T number  so many milliseconds pass
//!   D digit       it takes what is on the way to it: the next slice of what it has missed follows
//!   S             the server says goodbye          R         (first line only) with the limit on the rate
//! ```
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use salon::backend::Memory;
use salon::backend::memory::Limits;
use salon::chat::{Address, Chat, Deliveries, Delivery, Dialect, Door, RoomName, Settings, UserName};
use salon::id::{ConnId, TopicId};
use salon::time::{Moment, Tick};
use serde_json::Value;

const SESSIONS: usize = 8;

struct Session {
    conn: ConnId,
    dialect: Dialect,
    closing: bool,
    /// The last number heard of each room it is in.
    last: BTreeMap<String, u64>,
}

struct Stage {
    chat: Chat,
    now: Moment,
    out: Deliveries,
    topics: BTreeMap<TopicId, BTreeSet<ConnId>>,
    sessions: [Option<Session>; SESSIONS],
    opened: u32,
    /// Connections for which the chat wants to know when they have taken everything.
    asked: BTreeSet<ConnId>,
    /// Texts that the session that spoke last has heard since.
    heard: Vec<Value>,
    /// Whether every request must be answered: nothing is refused for its rate.
    unhurried: bool,
}

/// How long messages and empty rooms are kept.
const AGE: Duration = Duration::from_secs(60);

impl Stage {
    fn new(unhurried: bool) -> Self {
        let mut settings = Settings {
            content_bytes: 200,
            rooms_per_session: 3,
            sessions_per_user: 3,
            empty_room_age: AGE,
            replay_bytes: 300,
            big_room: 3,
            room_members: 4,
            max_rooms: 5,
            max_users: 10,
            ..Settings::default()
        };
        if unhurried {
            settings.rate = None;
        }
        let memory = Memory::new(Limits { messages: 4, age: AGE, direct_conversations: 3, ..Limits::default() }, 1);
        Self {
            chat: Chat::new(settings, Box::new(memory), 1),
            now: Moment { tick: Tick(1000), unix_ms: 1000 },
            out: Deliveries::new(),
            topics: BTreeMap::new(),
            sessions: [const { None }; SESSIONS],
            opened: 0,
            asked: BTreeSet::new(),
            heard: Vec::new(),
            unhurried,
        }
    }

    fn conn(&mut self, place: usize) -> ConnId {
        if let Some(session) = &self.sessions[place] {
            return session.conn;
        }
        self.opened += 1;
        let conn = ConnId { index: place as u32, generation: self.opened };
        let user = |name| UserName::parse(name).expect("a good name");
        let door = match place {
            0 | 1 => Door::Json { user: Some(user("ann")) },
            2 => Door::Json { user: Some(user("bob")) },
            3 => Door::Json { user: Some(user("cat")) },
            4 | 5 => Door::Json { user: None },
            6 => Door::Plain { room: RoomName::parse("den").expect("a good name"), user: user("dan") },
            _ => Door::Plain { room: RoomName::parse("hut").expect("a good name"), user: user("ann") },
        };
        let dialect = if place < 6 { Dialect::Json } else { Dialect::Plain };
        self.sessions[place] = Some(Session { conn, dialect, closing: false, last: BTreeMap::new() });
        self.chat.handle_open(conn, door, Some(Address(std::num::NonZeroU64::MIN)), self.now, &mut self.out);
        self.dispatch(None);
        conn
    }

    fn says(&mut self, place: usize, text: &str) {
        let conn = self.conn(place);
        self.heard.clear();
        self.chat.handle_text(conn, text, self.now, &mut self.out);
        self.dispatch(Some(conn));
        self.read_answer(conn, text);
    }

    /// The session takes what is on the way to it.
    fn drains(&mut self, conn: ConnId, speaker: Option<ConnId>) -> bool {
        let asked = self.asked.remove(&conn);
        if asked {
            self.chat.handle_drained(conn, self.now, &mut self.out);
            self.dispatch(speaker);
        }
        asked
    }

    fn read_answer(&mut self, conn: ConnId, text: &str) {
        let place = conn.index as usize;
        let session = self.sessions[place].as_ref().expect("it is there");
        if session.closing || session.dialect == Dialect::Plain || !self.unhurried {
            return;
        }
        let request = serde_json::from_str::<Value>(text).unwrap_or_default();
        let id =
            request.get("id").filter(|id| id.is_u64() || id.is_i64() || id.as_str().is_some_and(|id| id.len() <= 64));
        match id {
            // Fields that stand twice are refused, so the id may be another one than `Value` kept.
            Some(id) if text.matches("\"id\"").count() == 1 && !text.contains('\\') => {
                // A message that is sent while catching up comes back in its place.
                while !self.heard.iter().any(|heard| heard.get("id") == Some(id)) {
                    assert!(self.drains(conn, Some(conn)), "{text} is answered: {:?}", self.heard);
                }
            }
            _ => {
                while self.heard.is_empty() && self.drains(conn, Some(conn)) {}
                let silent = request.get("type").is_some_and(|kind| kind == "typing");
                assert!(silent || !self.heard.is_empty(), "{text} is answered");
            }
        }
    }

    fn goes(&mut self, place: usize) {
        let Some(session) = self.sessions[place].take() else { return };
        self.asked.remove(&session.conn);
        self.topics.values_mut().for_each(|members| {
            members.remove(&session.conn);
        });
        self.chat.handle_closed(session.conn, self.now, &mut self.out);
        self.dispatch(None);
    }

    /// Time goes by, stopping at every deadline on the way.
    fn waits(&mut self, time: Duration) {
        let end = self.now.tick + time;
        for turns in 0.. {
            assert!(turns < 10_000, "deadlines come to an end");
            let Some(due) = self.chat.next_deadline().filter(|&due| due <= end) else { break };
            self.moves_to(due.max(self.now.tick));
            self.chat.handle_timeout(self.now, &mut self.out);
            self.dispatch(None);
        }
        self.moves_to(end);
    }

    fn moves_to(&mut self, tick: Tick) {
        self.now = Moment { tick, unix_ms: tick.0 };
    }

    /// Carries out what the chat wants, as the engine would; `speaker` is whose hearing is kept.
    fn dispatch(&mut self, speaker: Option<ConnId>) {
        let items = std::mem::take(&mut self.out);
        assert!(items.items().len() <= 200, "{} deliveries of one call", items.items().len());
        let mut bytes = 0;
        for item in items.items() {
            match item {
                Delivery::Send { to, text } => {
                    bytes += text.len();
                    self.deliver(*to, items.text(text), speaker);
                }
                Delivery::Refuse { .. } => panic!("nobody has called"),
                Delivery::Publish { topic, text, except, .. } => {
                    bytes += text.len();
                    let members = self.topics.get(topic).cloned().unwrap_or_default();
                    for member in members.iter().filter(|member| !items.except(except).contains(member)) {
                        self.deliver(*member, items.text(text), speaker);
                    }
                }
                Delivery::Subscribe { conn, topic } => {
                    assert!(self.find(*conn).is_some(), "a closed connection subscribes");
                    assert!(self.topics.entry(*topic).or_default().insert(*conn), "{conn} hears {topic:?} twice");
                }
                Delivery::Unsubscribe { conn, topic } => {
                    let removed = self.topics.get_mut(topic).is_some_and(|members| members.remove(conn));
                    assert!(removed, "{conn} does not hear {topic:?}");
                }
                Delivery::Ask { .. } | Delivery::Owe { .. } => {}
                Delivery::TurnedAway { .. } | Delivery::Caused { .. } => {}
                Delivery::TellWhenDrained { conn } => {
                    if self.find(*conn).is_some_and(|session| !session.closing) {
                        self.asked.insert(*conn);
                    }
                }
                Delivery::Close { conn, code, reason } => {
                    assert!(reason.len() <= 123, "{code:?}");
                    self.asked.remove(conn);
                    let session = self.find(*conn).expect("only who is here is closed");
                    assert!(!std::mem::replace(&mut session.closing, true), "{conn} is closed twice");
                }
            }
        }
        assert!(bytes <= 200_000, "{bytes} bytes of one call");
        self.out = items;
        self.out.clear();
    }

    fn deliver(&mut self, to: ConnId, text: &[u8], speaker: Option<ConnId>) {
        let text = std::str::from_utf8(text).expect("texts are UTF-8");
        let value: Value = serde_json::from_str(text).expect("texts are JSON");
        let kind = value["type"].as_str().expect("each message has a type").to_owned();
        let Some(session) = self.find(to) else { return };
        if session.dialect == Dialect::Plain {
            assert_eq!(value.as_object().map(serde_json::Map::len), Some(4), "{text}");
        } else if let Some(room) = value["room_id"].as_str() {
            match (kind.as_str(), value["seq"].as_u64()) {
                ("broadcast" | "edited" | "deleted" | "reaction", Some(seq)) => {
                    if let Some(last) = session.last.insert(room.to_owned(), seq) {
                        assert_eq!(seq, last + 1, "{to} in {room}: {text}");
                    }
                }
                ("joined", Some(seq)) => {
                    // A session that was inside already has got everything up to there, or will.
                    assert!(session.last.get(room).is_none_or(|last| *last <= seq), "{to} in {room}: {text}");
                }
                ("gap", _) => {
                    let (from, gap_end) = (value["from"].as_u64().unwrap(), value["to"].as_u64().unwrap());
                    assert!(from <= gap_end, "{text}");
                    if let Some(last) = session.last.insert(room.to_owned(), gap_end) {
                        assert_eq!(from, last + 1, "{to} in {room}: {text}");
                    }
                }
                ("left", _) => drop(session.last.remove(room)),
                _ => {}
            }
        }
        if speaker == Some(to) {
            self.heard.push(value);
        }
    }

    fn find(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.sessions[conn.index as usize].as_mut().filter(|session| session.conn == conn)
    }
}

fn digit(letter: u8) -> usize {
    usize::from(letter % SESSIONS as u8)
}

fuzz_target!(|input: &[u8]| {
    let hurried = input.starts_with(b"R");
    let mut stage = Stage::new(!hurried);
    for line in input.split(|&byte| byte == b'\n').take(60) {
        let Some((&letter, rest)) = line.split_first() else { continue };
        match letter {
            b'0'..=b'7' => {
                // The connection has seen to it that a text is UTF-8 before it comes here.
                stage.says(digit(letter), &String::from_utf8_lossy(rest.trim_ascii_start()));
            }
            b'a'..=b'h' => stage.goes(usize::from(letter - b'a')),
            b'B' => {
                let conn = stage.conn(digit(*rest.first().unwrap_or(&0)));
                stage.chat.handle_binary(conn, stage.now, &mut stage.out);
                stage.dispatch(None);
            }
            b'P' => {
                let conn = stage.conn(digit(*rest.first().unwrap_or(&0)));
                stage.chat.handle_ping(conn, stage.now, &mut stage.out);
                stage.dispatch(None);
            }
            b'T' => {
                let text = std::str::from_utf8(rest).unwrap_or_default();
                stage.waits(Duration::from_millis(text.trim().parse::<u32>().unwrap_or(1000).min(200_000).into()));
            }
            b'D' => {
                let conn = stage.conn(digit(*rest.first().unwrap_or(&0)));
                stage.drains(conn, None);
            }
            b'S' => {
                stage.chat.handle_shutdown(stage.now, &mut stage.out);
                stage.dispatch(None);
            }
            _ => {}
        }
    }
    (0..SESSIONS).for_each(|place| stage.goes(place));
    // An empty room that somebody created lives for a while, and what was said for as long as history is kept.
    stage.waits(Duration::from_secs(600));
    let counts = stage.chat.counts();
    assert_eq!((counts.sessions, counts.rooms, counts.users), (0, 0, 0), "all have gone");
    assert_eq!(stage.chat.next_deadline(), None);
});
