//! `kill -9` while everybody talks, over and over on one file: nothing that anybody was told is missing afterwards, no
//! number names two entries, what was done to messages was done to them once, and everybody goes on with `since` where
//! they were. Marks and bans that were answered are there, too.
//!
//! The moment of a kill is a number of deliveries drawn by chance, so that what is done is bounded in work and not in
//! time. `KILLS=200 SEED=7 cargo test --test it killed::` does it so often for each durability.

#![cfg(feature = "sqlite")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use salon::random::Random;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::common::{Folder, PATIENCE, Server, exchange, read, salon};

const ROOMS: [&str; 3] = ["den", "bar", "hut"];
const PEOPLE: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];

/// Requests of one person that wait for an answer.
const WINDOW: usize = 6;

/// A process is killed before it has told so many entries.
const MOST_HEARD: u64 = 2000;

/// A conversation as those who are in it know it: a room, or two people.
type Place = String;

fn pair(one: &str, other: &str) -> Place {
    format!("{} & {}", one.min(other), one.max(other))
}

/// Everything that anybody was told.
#[derive(Default)]
struct Told {
    /// What each entry is, whatever becomes of the text of a message.
    entries: BTreeMap<(Place, u64), String>,
    epochs: HashMap<Place, String>,
    /// Where each content stands that nobody has edited yet.
    places: HashMap<String, (Place, u64)>,
    /// The new text of each edit that was heard when it was made.
    texts: HashMap<(Place, u64), String>,
    /// What was asked again, because nobody knew whether it was taken.
    asked_again: HashSet<String>,
    /// Up to where each person has read each room.
    marks: HashMap<(&'static str, Place), u64>,
    bans: BTreeSet<String>,
}

impl Told {
    /// An entry is heard: live or in a replay, or in a history, where the text may be another one by now.
    fn note(&mut self, place: &str, entry: &Value, is_new: bool) {
        let (at, what) = ((place.to_owned(), entry["seq"].as_u64().unwrap()), identity(entry));
        let before = self.entries.entry(at.clone()).or_insert_with(|| what.clone());
        assert_eq!(*before, what, "{at:?} names two entries");
        let content = entry["content"].as_str().filter(|_| entry["edited"].is_null());
        let Some(content) = content else { return };
        match entry["of"].is_null() {
            false if is_new => drop(self.texts.insert(at, content.to_owned())),
            false => {}
            true => {
                let before = self.places.entry(content.to_owned()).or_insert_with(|| at.clone());
                // Also what was said again with its `id`, because nobody knew whether it was taken, and to another
                // process.
                assert_eq!(*before, at, "{content} was said once");
            }
        }
    }

    /// A room in which nothing was said may begin anew.
    fn note_epoch(&mut self, place: &str, epoch: &str) {
        if self.last(place) == 0 {
            self.epochs.insert(place.to_owned(), epoch.to_owned());
            return;
        }
        let before = self.epochs.entry(place.to_owned()).or_insert_with(|| epoch.to_owned());
        assert_eq!(before, epoch, "{place} goes on in its epoch");
    }

    fn epoch_of(&self, place: &str) -> Option<String> {
        self.epochs.get(place).filter(|_| self.last(place) > 0).cloned()
    }

    fn last(&self, place: &str) -> u64 {
        let of_place = (place.to_owned(), 0)..=(place.to_owned(), u64::MAX);
        self.entries.range(of_place).next_back().map_or(0, |((_, seq), _)| *seq)
    }
}

/// The sender of an entry, and what was done to which message.
fn identity(entry: &Value) -> String {
    let sender = text(entry, "sender");
    match entry["of"].as_u64() {
        None => format!("{sender} said it"),
        Some(of) if entry["emoji"].is_string() => {
            format!("{sender} had {} to {of}: {}", text(entry, "emoji"), entry["on"])
        }
        Some(of) => match entry["type"].as_str() {
            Some("edited") => format!("{sender} edited {of}"),
            other => format!("{sender} {} {of}", other.unwrap_or_default()),
        },
    }
}

/// A person, from one process of the server to the next.
struct Person {
    name: &'static str,
    random: Random,
    /// What was heard last of each room, and up to where it was a replay.
    heard: HashMap<&'static str, u64>,
    replayed: HashMap<&'static str, u64>,
    /// What has no answer yet: it is asked again.
    unanswered: BTreeMap<String, Value>,
    asked: u64,
    /// Own messages in rooms.
    own: Vec<(&'static str, u64)>,
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
        let (heard, replayed) = Default::default();
        Self { name, random, heard, replayed, unanswered: BTreeMap::new(), asked: 0, own: Vec::new() }
    }

    /// Talks until the server is gone.
    fn talk(&mut self, address: SocketAddr, told: &Mutex<Told>, deliveries: &AtomicU64) {
        let _ = self.come_and_talk(address, told, deliveries);
    }

    fn come_and_talk(&mut self, address: SocketAddr, told: &Mutex<Told>, deliveries: &AtomicU64) -> Option<()> {
        let mut client = connect(address, self.name)?;
        for room in ROOMS {
            let mut join = json!({"type": "join", "room_id": room});
            // If anybody was told of anything in the room before, its epoch is known.
            let epoch = told.lock().unwrap().epoch_of(room);
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
            self.replayed.insert(room, seq);
            let mark = told.lock().unwrap().marks.get(&(self.name, room.to_owned())).copied().unwrap_or(0);
            let read = joined["read"].as_u64().unwrap();
            assert!(mark <= read && read <= seq, "{}: {mark} was read: {joined}", self.name);
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
                // Nobody of that name has come yet; the message is deleted, or the number is none of a message.
                let code = text(&message, "code");
                assert!(code == "user_not_found" || code == "not_found", "{message}");
                self.unanswered.remove(&text(&message, "id"));
            }
            self.note(&message, told);
            deliveries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something new to be said or done.
    fn next(&mut self) -> Value {
        self.asked += 1;
        let content = format!("{} {}", self.name, self.asked);
        let room = ROOMS[self.random.below(ROOMS.len() as u64) as usize];
        let own = match self.own.len() as u64 {
            0 => None,
            len => Some(self.own[(len - 1 - self.random.below(len.min(5))) as usize]),
        };
        let heard = self.heard.get(room).copied().unwrap_or(0);
        let recent = heard.saturating_sub(self.random.below(8)).max(1);
        let mut message = match (self.random.below(12), own) {
            (0..3, _) => {
                let other = PEOPLE[self.random.below(PEOPLE.len() as u64) as usize];
                json!({"type": "direct", "user_id": other, "content": content})
            }
            (3, Some((room, of))) => json!({"type": "edit", "room_id": room, "of": of, "content": content}),
            (4, Some((room, of))) => json!({"type": "delete", "room_id": room, "of": of}),
            (5, _) => {
                let on = self.random.below(3) > 0;
                json!({"type": "react", "room_id": room, "of": recent, "emoji": ":x:", "on": on})
            }
            (6, _) if heard > 0 => json!({"type": "read", "room_id": room, "seq": recent}),
            _ => json!({"type": "broadcast", "room_id": room, "content": content}),
        };
        message["id"] = content.clone().into();
        self.unanswered.insert(content, message.clone());
        message
    }

    fn note(&mut self, message: &Value, told: &Mutex<Told>) {
        let mut told = told.lock().unwrap();
        let answered = message["id"].as_str().and_then(|id| self.unanswered.remove(id));
        match message["type"].as_str() {
            Some("broadcast" | "edited" | "deleted" | "reaction") => {
                let room = ROOMS.into_iter().find(|&room| message["room_id"] == room).unwrap();
                let seq = message["seq"].as_u64().unwrap();
                // The sender's own copy of what it has asked again comes once more; nothing else does.
                let heard = self.heard.entry(room).or_insert(seq);
                let again = message["id"].is_string() && seq <= *heard;
                assert!(again || seq == *heard + 1, "{} had heard {heard}, and hears {message}", self.name);
                *heard = seq.max(*heard);
                told.note(room, message, seq > self.replayed.get(room).copied().unwrap_or(0));
                if message["type"] == "broadcast" && message["sender"] == self.name && message["deleted"].is_null() {
                    self.own.push((room, seq));
                }
            }
            Some("direct") => told.note(&pair(&text(message, "sender"), &text(message, "user_id")), message, true),
            Some("ack") => {
                let asked = answered.expect("something waits for that");
                let place = match asked["user_id"].as_str() {
                    Some(other) => pair(self.name, other),
                    None => text(&asked, "room_id"),
                };
                if asked["type"] == "read" {
                    let (mark, seq) = ((self.name, place), asked["seq"].as_u64().unwrap());
                    let seq = seq.min(told.last(&mark.1));
                    let before = told.marks.entry(mark).or_insert(0);
                    *before = seq.max(*before);
                } else if message["seq"].is_u64() {
                    // It was taken before.
                    let mut entry = asked.clone();
                    (entry["seq"], entry["sender"]) = (message["seq"].clone(), self.name.into());
                    entry["type"] = match asked["type"].as_str() {
                        Some("edit") => "edited".into(),
                        Some("delete") => "deleted".into(),
                        _ => asked["type"].clone(),
                    };
                    told.note(&place, &entry, true);
                }
            }
            Some("gap") => panic!("nothing is missing: {message}"),
            _ => {}
        }
    }
}

/// Reads all there is of every conversation, behind what was read before, and holds it against what was told. Returns
/// the entries of each room.
fn audit(server: &Server, told: &Mutex<Told>, read_before: &mut HashMap<Place, u64>) -> Vec<(Place, Vec<Value>)> {
    let told = &mut *told.lock().unwrap();
    let address = server.public;
    let mut rooms = Vec::new();
    for (at, one) in PEOPLE.into_iter().enumerate() {
        let mut client = connect(address, one).expect("the server is there");
        for room in ROOMS.iter().filter(|_| at == 0) {
            let Some(epoch) = told.epoch_of(room) else { continue };
            let before = read_before.get(*room).copied().unwrap_or(0);
            let since = json!({"epoch": epoch, "seq": before});
            say(&mut client, &json!({"type": "join", "room_id": room, "since": since})).unwrap();
            let (mut entries, mut last) = (Vec::new(), before);
            loop {
                let message = hear(&mut client, &room).expect("the server is there");
                match message["type"].as_str() {
                    Some("joined") => assert_eq!(message["recovered"], true, "{message}"),
                    Some("gap") => panic!("nothing is missing: {message}"),
                    Some("online_users") => break,
                    _ if message["room_id"] == *room && message["seq"].is_u64() => {
                        assert_eq!(message["seq"], last + 1, "{room}: without a hole");
                        last += 1;
                        told.note(room, &message, false);
                        entries.push(message);
                    }
                    _ => {}
                }
            }
            assert!(last >= told.last(room), "{room}: {last} are there, {} were told", told.last(room));
            read_before.insert((*room).to_owned(), last);
            rooms.push(((*room).to_owned(), entries));
        }
        for (place, other) in PEOPLE[at..].iter().map(|&other| (pair(one, other), other)) {
            let mut last = read_before.get(&place).copied().unwrap_or(0);
            let mut ask = json!({"type": "history", "user_id": other, "id": "audit"});
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
                    told.note(&place, item, false);
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
    let (_, bans) = call(server, "bans", &json!({"limit": 200}));
    let bans: BTreeSet<&str> =
        bans["bans"].as_array().unwrap().iter().filter_map(|ban| ban["user_id"].as_str()).collect();
    assert!(told.bans.iter().all(|user| bans.contains(user.as_str())), "{:?} were banned: {bans:?}", told.bans);
    rooms
}

/// Every message of a room stands as the entries behind it have left it.
fn folded(room: &str, entries: &[Value], told: &Told) {
    let (mut latest, mut deleted, mut reacting) = (HashMap::new(), HashSet::new(), HashMap::new());
    for entry in entries.iter().filter(|entry| entry["of"].is_u64()) {
        let (of, seq) = (entry["of"].as_u64().unwrap(), entry["seq"].as_u64().unwrap());
        match entry["type"].as_str() {
            Some("edited") => drop(latest.insert(of, seq)),
            Some("deleted") => assert!(deleted.insert(of), "{room} {of} is deleted once"),
            _ => {
                let users: &mut BTreeSet<String> = reacting.entry(of).or_default();
                let changes = match entry["on"] == true {
                    true => users.insert(text(entry, "sender")),
                    false => users.remove(&text(entry, "sender")),
                };
                assert!(changes, "{room} {seq}: what changes nothing is no entry");
            }
        }
    }
    let nobody = BTreeSet::new();
    for message in entries.iter().filter(|entry| entry["of"].is_null()) {
        let seq = message["seq"].as_u64().unwrap();
        assert_eq!(message["deleted"] == true, deleted.contains(&seq), "{room}: {message}");
        if deleted.contains(&seq) {
            assert!(message["content"].is_null() && message["reactions"].is_null(), "{room}: {message}");
            continue;
        }
        assert_eq!(message["edited"].is_u64(), latest.contains_key(&seq), "{room}: {message}");
        if let Some(text) = latest.get(&seq).and_then(|edit| told.texts.get(&(room.to_owned(), *edit))) {
            assert_eq!(message["content"], **text, "{room}: {message}");
        }
        let shown = message["reactions"][0]["users"].as_array().into_iter().flatten();
        let shown: BTreeSet<String> = shown.map(|user| user.as_str().unwrap().to_owned()).collect();
        assert_eq!(shown, *reacting.get(&seq).unwrap_or(&nobody), "{room}: {message}");
    }
}

/// Messages that were said once stand in the order in which their sender has said them.
fn in_order(told: &Told) {
    let mut said: Vec<_> = told.places.iter().filter(|(content, _)| !told.asked_again.contains(*content)).collect();
    said.sort_by_key(|(_, at)| *at);
    let mut last: HashMap<(&str, &str), u64> = HashMap::new();
    for (content, (place, _)) in said {
        let (sender, number) = content.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let before = last.insert((place, sender), number);
        assert!(before < Some(number), "{place}: {content} behind {before:?}");
    }
}

/// A call of the operator.
fn call(server: &Server, call: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let request = format!(
        "POST /api/{call} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = String::from_utf8(exchange(server.admin.unwrap(), request.as_bytes())).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (crate::common::status(head), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
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
            audit(&server, &told, &mut read_before);
        }
        let (deliveries, enough) = (AtomicU64::new(0), random.below(MOST_HEARD));
        std::thread::scope(|scope| {
            for person in &mut people {
                let (told, deliveries, address) = (&told, &deliveries, server.public);
                scope.spawn(move || person.talk(address, told, deliveries));
            }
            let user = format!("banned-{kill}");
            let (status, answer) = call(&server, "ban", &json!({"user_id": user, "note": "as the test wants it"}));
            assert_eq!(status, 200, "{answer}");
            told.lock().unwrap().bans.insert(user);
            while deliveries.load(Ordering::Relaxed) < enough && !told.is_poisoned() {
                std::thread::yield_now();
            }
            server.signal("KILL");
        });
        heard_in_all += deliveries.into_inner();
        let again = people.iter().flat_map(|person| person.unanswered.values());
        told.lock().unwrap().asked_again.extend(again.map(|message| text(message, "id")));
    }
    let server = Server::serve(&arguments);
    let rooms = audit(&server, &told, &mut HashMap::new());
    let told = told.into_inner().unwrap();
    rooms.iter().for_each(|(room, entries)| folded(room, entries, &told));
    in_order(&told);
    let (entries, again) = (told.entries.len(), told.asked_again.len());
    println!("{durability}: {kills} kills; {entries} entries told {heard_in_all} times, {again} asked again");
    let is_done = |what: &str| rooms.iter().flat_map(|(_, entries)| entries).any(|entry| entry["type"] == what);
    assert!(["edited", "deleted", "reaction"].into_iter().all(is_done) && !told.marks.is_empty());
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
