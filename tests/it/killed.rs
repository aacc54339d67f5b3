//! `kill -9` while everybody talks, over and over on one file: nothing that anybody was told is missing afterwards, no
//! number names two messages, and everybody goes on with `since` where they were.
//!
//! The moment of a kill is a number of deliveries drawn by chance, so that what is done is bounded in work and not in
//! time. `KILLS=200 SEED=7 cargo test --test it killed::` does it so often for each durability.

#![cfg(feature = "sqlite")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use salon::random::Random;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::common::{Folder, PATIENCE, Server, read, salon};

const ROOMS: [&str; 3] = ["den", "bar", "hut"];
const PEOPLE: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];

/// Messages of one person that wait for an answer.
const WINDOW: usize = 6;

/// A process is killed before it has told so many messages.
const MOST_HEARD: u64 = 2000;

/// A conversation as those who are in it know it: a room, or two people.
type Place = String;

fn pair(one: &str, other: &str) -> Place {
    format!("{} & {}", one.min(other), one.max(other))
}

/// Everything that anybody was told.
#[derive(Default)]
struct Told {
    messages: BTreeMap<(Place, u64), String>,
    epochs: HashMap<Place, String>,
    /// Where each content stands.
    places: HashMap<String, (Place, u64)>,
    /// What was said again, because nobody knew whether it was taken.
    said_again: HashSet<String>,
}

impl Told {
    fn note(&mut self, place: &str, seq: u64, content: &str) {
        let at = (place.to_owned(), seq);
        let before = self.messages.entry(at.clone()).or_insert_with(|| content.to_owned());
        assert_eq!(before, content, "{place} {seq} names two messages");
        let before = self.places.entry(content.to_owned()).or_insert_with(|| at.clone());
        // Also what was said again with its `id`, because nobody knew whether it was taken, and to another process.
        assert_eq!(*before, at, "{content} was said once");
    }

    fn note_epoch(&mut self, place: &str, epoch: &str) {
        let before = self.epochs.entry(place.to_owned()).or_insert_with(|| epoch.to_owned());
        assert_eq!(before, epoch, "{place} goes on in its epoch");
    }

    fn last(&self, place: &str) -> u64 {
        let of_place = (place.to_owned(), 0)..=(place.to_owned(), u64::MAX);
        self.messages.range(of_place).next_back().map_or(0, |((_, seq), _)| *seq)
    }
}

/// A person, from one process of the server to the next.
struct Person {
    name: &'static str,
    random: Random,
    /// What was heard last of each room.
    heard: HashMap<&'static str, u64>,
    /// What has no answer yet: it is said again.
    unanswered: BTreeMap<String, Value>,
    said: u64,
}

type Client = WebSocket<MaybeTlsStream<std::net::TcpStream>>;

/// A client, unless the server is gone.
fn connect(address: SocketAddr, name: &str) -> Option<Client> {
    let (mut client, _) = tungstenite::connect(format!("ws://{address}/ws?user={name}")).ok()?;
    let MaybeTlsStream::Plain(tcp) = client.get_mut() else { unreachable!("no TLS here") };
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    Some(client)
}

/// The next text, unless the server is gone. `waits` is what has no answer yet.
fn hear(client: &mut Client, waits: &dyn std::fmt::Debug) -> Option<Value> {
    let mut pings = 0;
    loop {
        match read(client) {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Ping(_)) => {
                pings += 1;
                assert!(pings < 3, "nothing but pings is heard; {waits:?} waits");
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing was heard for {PATIENCE:?}")
            }
            Err(_) => return None,
        }
    }
}

fn say(client: &mut Client, message: &Value) -> Option<()> {
    client.send(Message::text(message.to_string())).ok()
}

fn text(message: &Value, key: &str) -> String {
    message[key].as_str().unwrap_or_else(|| panic!("{key} in {message}")).to_owned()
}

impl Person {
    fn new(name: &'static str, random: Random) -> Self {
        Self { name, random, heard: HashMap::new(), unanswered: BTreeMap::new(), said: 0 }
    }

    /// Talks until the server is gone.
    fn talk(&mut self, address: SocketAddr, told: &Mutex<Told>, deliveries: &AtomicU64) {
        let _ = self.come_and_talk(address, told, deliveries);
    }

    fn come_and_talk(&mut self, address: SocketAddr, told: &Mutex<Told>, deliveries: &AtomicU64) -> Option<()> {
        let mut client = connect(address, self.name)?;
        for room in ROOMS {
            let mut join = json!({"type": "join", "room_id": room});
            // If anybody was told of the room before, its epoch is known.
            let epoch = told.lock().unwrap().epochs.get(room).cloned();
            let since = epoch.map(|epoch| (epoch, self.heard.get(room).copied().unwrap_or(0)));
            if let Some((epoch, seq)) = &since {
                join["since"] = json!({"epoch": epoch, "seq": seq});
            }
            let last = told.lock().unwrap().last(room);
            say(&mut client, &join)?;
            let joined = loop {
                let message = hear(&mut client, &self.unanswered)?;
                match message["type"].as_str() {
                    Some("joined") => break message,
                    _ => self.note(&message, told),
                }
            };
            told.lock().unwrap().note_epoch(room, &text(&joined, "epoch"));
            let seq = joined["seq"].as_u64().unwrap();
            assert!(seq >= last, "{room}: {seq} is there, {last} was told");
            assert!(since.is_none() || joined["recovered"] == true, "{joined}");
            self.heard.insert(room, since.map_or(seq, |(_, seq)| seq));
        }
        let again: Vec<_> = self.unanswered.values().cloned().collect();
        for message in again {
            say(&mut client, &message)?;
        }
        loop {
            while self.unanswered.len() < WINDOW {
                let message = self.next();
                say(&mut client, &message)?;
            }
            let message = hear(&mut client, &self.unanswered)?;
            if message["type"] == "error" {
                assert_eq!(message["code"], "user_not_found", "{message}");
                self.unanswered.remove(&text(&message, "id"));
            }
            self.note(&message, told);
            deliveries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something new to be said.
    fn next(&mut self) -> Value {
        self.said += 1;
        let content = format!("{} {}", self.name, self.said);
        let message = match self.random.below(4) {
            0 => {
                let other = PEOPLE[self.random.below(PEOPLE.len() as u64) as usize];
                json!({"type": "direct", "user_id": other, "content": content, "id": content})
            }
            _ => {
                let room = ROOMS[self.random.below(ROOMS.len() as u64) as usize];
                json!({"type": "broadcast", "room_id": room, "content": content, "id": content})
            }
        };
        self.unanswered.insert(text(&message, "id"), message.clone());
        message
    }

    fn note(&mut self, message: &Value, told: &Mutex<Told>) {
        let (place, seq) = match message["type"].as_str() {
            Some("broadcast") => {
                let room = ROOMS.into_iter().find(|&room| message["room_id"] == room).unwrap();
                let seq = message["seq"].as_u64().unwrap();
                // The sender's own copy of what it has said again comes once more; nothing else does.
                let heard = self.heard.entry(room).or_insert(seq);
                let again = message["id"].is_string() && seq <= *heard;
                assert!(again || seq == *heard + 1, "{} had heard {heard}, and hears {message}", self.name);
                *heard = seq.max(*heard);
                (room.to_owned(), seq)
            }
            Some("direct") => {
                (pair(&text(message, "sender"), &text(message, "user_id")), message["seq"].as_u64().unwrap())
            }
            // It was taken before.
            Some("ack") => {
                let said = self.unanswered.remove(&text(message, "id")).expect("something waits for that");
                let (seq, content) = (message["seq"].as_u64().unwrap(), text(&said, "content"));
                let place = match said["user_id"].as_str() {
                    Some(other) => pair(self.name, other),
                    None => text(&said, "room_id"),
                };
                return told.lock().unwrap().note(&place, seq, &content);
            }
            Some("gap") => panic!("nothing is missing: {message}"),
            _ => return,
        };
        told.lock().unwrap().note(&place, seq, &text(message, "content"));
        if let Some(id) = message["id"].as_str() {
            let said = self.unanswered.remove(id);
            assert!(said.is_none_or(|said| said["content"] == message["content"]), "{message}");
        }
    }
}

/// Reads all there is of every conversation, behind what was read before, and holds it against what was told.
fn audit(address: SocketAddr, told: &Mutex<Told>, read_before: &mut HashMap<Place, u64>) {
    let told = &mut *told.lock().unwrap();
    for (at, one) in PEOPLE.into_iter().enumerate() {
        let mut client = connect(address, one).expect("the server is there");
        let rooms = ROOMS.map(|room| (room.to_owned(), json!({"room_id": room})));
        let pairs = PEOPLE[at..].iter().map(|&other| (pair(one, other), json!({"user_id": other})));
        let rooms = rooms.into_iter().filter(|_| at == 0);
        for (place, mut ask) in rooms.chain(pairs) {
            let mut last = read_before.get(&place).copied().unwrap_or(0);
            if ask["room_id"].is_string() {
                say(&mut client, &json!({"type": "join", "room_id": place})).unwrap();
            }
            ask["type"] = "history".into();
            ask["id"] = "audit".into();
            loop {
                ask["after"] = last.into();
                say(&mut client, &ask).unwrap();
                let page = loop {
                    let message = hear(&mut client, &ask).expect("the server is there");
                    if message["id"] == "audit" {
                        break message;
                    }
                };
                if page["code"] == "user_not_found" {
                    break;
                }
                assert!(page["gap"].is_null(), "{place}: {page}");
                let items = page["items"].as_array().unwrap_or_else(|| panic!("{place}: {page}"));
                for item in items {
                    assert_eq!(item["seq"], last + 1, "{place}: without a hole");
                    last += 1;
                    told.note(&place, last, &text(item, "content"));
                }
                if !items.is_empty() {
                    told.note_epoch(&place, &text(&page, "epoch"));
                }
                if page["next"].is_null() {
                    break;
                }
            }
            assert!(last >= told.last(&place), "{place}: {last} are there, {} were told", told.last(&place));
            read_before.insert(place, last);
        }
    }
}

/// Messages that were said once stand in the order in which their sender has said them.
fn in_order(told: &Told) {
    let mut last: HashMap<(&str, &str), u64> = HashMap::new();
    for ((place, _), content) in &told.messages {
        let (sender, number) = content.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        if !told.said_again.contains(content) {
            let before = last.insert((place, sender), number);
            assert!(before < Some(number), "{place}: {content} behind {before:?}");
        }
    }
}

fn kill_while_they_talk(durability: &str) {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (kills, seed) = (number("KILLS", 20), number("SEED", 1));
    println!("KILLS={kills} SEED={seed}");
    let folder = Folder::new(&format!("killed-{durability}"));
    let file = folder.file();
    let arguments = ["--rate", "off", "--history", "1000000", "--store", &file, "--durability", durability];
    let arguments = [&arguments[..], &["--ping-after", "5s"]].concat();
    let mut random = Random::from(seed);
    let told = Mutex::new(Told::default());
    let mut people = PEOPLE.map(|name| Person::new(name, random.draw().into()));
    let (mut heard_in_all, mut read_before) = (0, HashMap::new());
    for kill in 0..kills {
        if random.below(5) == 0 {
            // Amid its start.
            let free = ["--listen", "127.0.0.1:0", "--admin", "off"];
            let mut child = salon(&[&["serve"], &free[..], &arguments[..]].concat()).spawn().unwrap();
            (0..random.below(20_000)).for_each(|_| std::thread::yield_now());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let server = Server::serve(&arguments);
        if kill > 0 {
            audit(server.public, &told, &mut read_before);
        }
        let (deliveries, enough) = (AtomicU64::new(0), random.below(MOST_HEARD));
        std::thread::scope(|scope| {
            for person in &mut people {
                let (told, deliveries, address) = (&told, &deliveries, server.public);
                scope.spawn(move || person.talk(address, told, deliveries));
            }
            while deliveries.load(Ordering::Relaxed) < enough && !told.is_poisoned() {
                std::thread::yield_now();
            }
            server.signal("KILL");
        });
        heard_in_all += deliveries.into_inner();
        let again = people.iter().flat_map(|person| person.unanswered.values());
        told.lock().unwrap().said_again.extend(again.map(|message| text(message, "content")));
    }
    let server = Server::serve(&arguments);
    audit(server.public, &told, &mut HashMap::new());
    let told = told.into_inner().unwrap();
    in_order(&told);
    let (messages, again) = (told.messages.len(), told.said_again.len());
    println!("{durability}: {kills} kills; {messages} messages told {heard_in_all} times, {again} said again");
    assert!(heard_in_all > 100 * kills);
}

#[test]
fn while_they_talk_in_mode_process() {
    kill_while_they_talk("process");
}

#[test]
fn while_they_talk_in_mode_power() {
    kill_while_they_talk("power");
}
