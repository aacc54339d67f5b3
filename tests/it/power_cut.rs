//! The power fails: whatever of the unwritten is on the disk then, nothing is missing that has to be there, no number
//! names two entries, and each message stands as what is there was done to it.
//!
//! A library that is loaded into the server (`tests/faults/disk.c`, built here) records every write and sync of the
//! store's files and every byte that is told, in one order. A cut is a place in that record: of what was not synced
//! before it any part may be on the disk, down to sectors, and so may names of files whose folder was not synced. Each
//! such image is opened by another start of the machine, read, and written to.
//!
//! `IMAGES=3000 SEED=7 cargo test --test it power_cut::` looks at so many for each record, `.ci/run` at 150.

#![cfg(feature = "sqlite")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use salon::backend::sqlite::{Durability, Options};
use salon::backend::{
    Backend, Body, Bounds, Conversation, Head, NewEntry, News, Query, Reader, Request, Sqlite, Ticket,
};
use salon::random::Random;
use salon::time::Moment;
use serde_json::{Value, json};

use crate::common::{Client, Folder, Server, hear, salon, say};

/// Images of each record: of those that have both durabilities a third. CI looks at more of them, because an image is
/// opened by a SQLite that is not optimised here.
const IMAGES: u64 = 60;

/// Entries of a room that are kept in any case.
const KEPT: u64 = 30;

/// The least that can be on the disk or not.
const SECTOR: usize = 512;

/// A piece of the record.
struct Event {
    operation: u8,
    name: String,
    position: usize,
    data: Vec<u8>,
}

/// Reads a record; a piece that was not written whole, because the process was killed, is none.
fn parse(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while bytes.len() >= 15 {
        let number = |range: std::ops::Range<usize>| bytes[range].iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
        let (name, data) = (number(1..3), number(3..7));
        let Some(texts) = bytes.get(15..15 + name + data) else { break };
        events.push(Event {
            operation: bytes[0],
            name: String::from_utf8(texts[..name].to_vec()).unwrap(),
            position: number(7..15),
            data: texts[name..].to_vec(),
        });
        bytes = &bytes[15 + name + data..];
    }
    events
}

/// A room, or two people: the smaller name first.
type Place = (String, String);

/// An entry that was told.
#[derive(Clone, Debug)]
struct Told {
    place: Place,
    epoch: String,
    seq: u64,
    entry: Entry,
}

/// What an entry is, and the text that it has: of a message or of an edit.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    what: String,
    content: Option<String>,
}

/// What was told, by the place in the record where that was.
type At<T> = (usize, T);

/// A mark that was told: whose, of which room, up to where.
type Mark = (String, String, u64);

/// What the server has told, by the place in the record where the last byte of it was sent.
fn told(events: &[Event]) -> (Vec<At<Told>>, Vec<At<Mark>>) {
    let (mut streams, mut epochs, mut all, mut marks) = (HashMap::new(), HashMap::new(), Vec::new(), Vec::new());
    for (at, event) in events.iter().enumerate().filter(|(_, event)| event.operation == b'o') {
        let (bytes, upgraded): &mut (Vec<u8>, bool) = streams.entry(&event.name).or_default();
        bytes.extend_from_slice(&event.data);
        if !*upgraded {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            bytes.drain(..end + 4);
            *upgraded = true;
        }
        while bytes.len() >= 2 {
            let (len, start) = match bytes[1] {
                126 if bytes.len() >= 4 => (usize::from(bytes[2]) << 8 | usize::from(bytes[3]), 4),
                126 => break,
                127 => unreachable!("no message is that long"),
                len => (usize::from(len), 2),
            };
            let Some(payload) = bytes.get(start..start + len) else { break };
            if bytes[0] == 0x81 {
                let message: Value = serde_json::from_slice(payload).unwrap();
                let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
                let place = match message["type"].as_str() {
                    Some("history") => place_of(&text("user_id"), &text("id")),
                    Some("direct") => place_of(&text("sender"), &text("user_id")),
                    Some("broadcast" | "edited" | "deleted" | "reaction" | "joined") => {
                        (text("room_id"), String::new())
                    }
                    _ => Place::default(),
                };
                if let ["read", user, room, seq] = text("id").split('/').collect::<Vec<_>>()[..]
                    && message["type"] == "ack"
                {
                    marks.push((at, (user.to_owned(), room.to_owned(), seq.parse().unwrap())));
                } else if message["epoch"].is_string() {
                    epochs.insert(place, text("epoch"));
                } else if let Some(epoch) = epochs.get(&place) {
                    let seq = message["seq"].as_u64().unwrap();
                    let (of, content) = (message["of"].as_u64(), message["content"].as_str().map(str::to_owned));
                    let what = match message["type"].as_str() {
                        Some("edited") => format!("edits {of:?}"),
                        Some("deleted") => format!("deletes {of:?}"),
                        Some("reaction") => format!("{} to {of:?}: {}", text("emoji"), message["on"]),
                        _ => "says".into(),
                    };
                    let entry = Entry { what: format!("{} {what}", text("sender")), content };
                    all.push((at, Told { place, epoch: epoch.clone(), seq, entry }));
                }
            }
            bytes.drain(..start + len);
        }
    }
    (all, marks)
}

fn place_of(one: &str, other: &str) -> Place {
    (one.min(other).to_owned(), one.max(other).to_owned())
}

/// What was done to the content of a file.
#[derive(Clone)]
enum Change {
    Write { position: usize, data: Vec<u8> },
    Truncate { size: usize },
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { position, data } => {
                content.resize(content.len().max(position + data.len()), 0);
                content[*position..position + data.len()].copy_from_slice(data);
            }
            Self::Truncate { size } => content.resize(*size, 0),
        }
    }

    fn touches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Write { position: a, data: x }, Self::Write { position: b, data: y }) => {
                *a < b + y.len() && *b < a + x.len()
            }
            _ => true,
        }
    }
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    /// What a sync that comes now would have on the disk.
    waiting: Vec<Change>,
    /// What a sync that failed may have left out. The kernel counts it as written, and no sync sees to it again.
    doubtful: Vec<Change>,
}

/// What was done to the names of a folder.
#[derive(Clone)]
enum Naming {
    Folder,
    File(usize),
    Nothing,
}

/// A disk, as far as one can be sure of it.
#[derive(Default)]
struct Disk {
    files: Vec<File>,
    /// As the processes see them.
    names: HashMap<String, usize>,
    synced_names: BTreeMap<String, Naming>,
    waiting_names: Vec<(String, Naming)>,
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Disk {
    fn play(&mut self, event: &Event) {
        let (name, size) = (&event.name, event.position);
        let mut named = |naming| self.waiting_names.push((name.clone(), naming));
        match event.operation {
            b'c' => {
                named(Naming::File(self.files.len()));
                self.names.insert(name.clone(), self.files.len());
                self.files.push(File::default());
            }
            b'd' => named(Naming::Folder),
            b'u' => {
                named(Naming::Nothing);
                self.names.remove(name);
            }
            b'r' => {
                let to = Path::new(std::str::from_utf8(&event.data).unwrap()).file_name().unwrap().to_str().unwrap();
                let (to, file) = (format!("{}/{to}", folder_of(name)), self.names.remove(name).unwrap());
                self.names.insert(to.clone(), file);
                self.waiting_names.push((to, Naming::File(file)));
                self.waiting_names.push((name.clone(), Naming::Nothing));
            }
            b'w' => self.file(name).waiting.push(Change::Write { position: size, data: event.data.clone() }),
            b't' => self.file(name).waiting.push(Change::Truncate { size }),
            b'f' => {
                if self.names.contains_key(name) {
                    let file = self.file(name);
                    file.doubtful.append(&mut file.waiting);
                }
            }
            b's' if self.names.contains_key(name) => {
                let file = self.file(name);
                for change in std::mem::take(&mut file.waiting) {
                    change.apply(&mut file.synced);
                    file.doubtful.retain(|doubtful| !doubtful.touches(&change));
                }
            }
            b's' => {
                let synced = |waiting: &mut (String, Naming)| folder_of(&waiting.0) == name;
                self.synced_names.extend(self.waiting_names.extract_if(.., synced));
            }
            b'o' => {}
            other => panic!("{} is not expected of {name}", char::from(other)),
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        &mut self.files[self.names[name]]
    }

    /// Files that may be there if the power fails now.
    fn image(&self, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let (mut names, style) = (self.synced_names.clone(), random.below(3));
        for (name, naming) in &self.waiting_names {
            if style == 0 || style == 1 && random.below(2) == 0 {
                names.insert(name.clone(), naming.clone());
            }
        }
        let mut files = BTreeMap::new();
        for (name, naming) in &names {
            let folder = folder_of(name);
            let lies_somewhere = folder.is_empty() || matches!(names.get(folder), Some(Naming::Folder));
            if let Naming::File(at) = naming
                && lies_somewhere
            {
                files.insert(name.clone(), self.files[*at].content(random));
            }
        }
        files
    }
}

impl File {
    /// What may be in it.
    fn content(&self, random: &mut Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        let unsure: Vec<_> = self.doubtful.iter().chain(&self.waiting).collect();
        let (style, chosen) = (random.below(6), random.below(unsure.len() as u64 + 1) as usize);
        for (at, change) in unsure.into_iter().enumerate() {
            match (style, change) {
                // Nothing; all; the first of them; all but one; any; any sectors.
                (0, _) => {}
                (1, _) => change.apply(&mut content),
                (2, _) if at >= chosen => {}
                (3, _) if at == chosen => {}
                (2 | 3, _) => change.apply(&mut content),
                (4, _) | (_, Change::Truncate { .. }) => {
                    if random.below(2) == 0 {
                        change.apply(&mut content);
                    }
                }
                (_, Change::Write { position, data }) => {
                    let mut from = 0;
                    while from < data.len() {
                        let to = ((position + from) / SECTOR * SECTOR + SECTOR - position).min(data.len());
                        if random.below(2) == 0 {
                            let data = data[from..to].to_vec();
                            Change::Write { position: position + from, data }.apply(&mut content);
                        }
                        from = to;
                    }
                }
            }
        }
        content
    }
}

/// How a record is made.
#[derive(Clone, Copy, Default)]
struct How {
    /// Syncs fail now and then.
    fails: bool,
    /// Behind the first life the file is made smaller.
    compacts: bool,
    /// So much is kept; if nothing is said, all of it.
    keeps: &'static [&'static str],
}

/// A life of the server in a record: its durability, and how it ended.
struct Life {
    durability: Durability,
    ends_well: bool,
    /// Where it begins, and where it has told something for the first time.
    from: usize,
    told_from: usize,
}

/// Builds the library; `None`: there is no C compiler, which is said.
pub fn library(folder: &Folder) -> Option<PathBuf> {
    let (source, built) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/disk.c"), folder.0.join("disk.so"));
    fs::create_dir_all(&folder.0).unwrap();
    let arguments = ["-shared", "-fPIC", "-O1", "-o", built.to_str().unwrap(), source, "-ldl", "-lpthread"];
    match Command::new("cc").args(arguments).status() {
        Ok(status) => {
            assert!(status.success(), "{source} is built");
            Some(built)
        }
        Err(error) => {
            println!("skipped: a C compiler is needed (cc: {error})");
            None
        }
    }
}

const ROOMS: [&str; 2] = ["den", "bar"];
const PEOPLE: [&str; 3] = ["ann", "bob", "cat"];

/// The next message that has this `id`.
fn answer(client: &mut Client, id: &str) -> Value {
    loop {
        let message: Value = serde_json::from_str(&hear(client)).unwrap();
        if message["id"] == id {
            return message;
        }
    }
}

/// Everybody comes in and talks, in so many rounds; now and then syncs fail, if there is a file of controls.
fn talk(server: &Server, rounds: u64, random: &mut Random, control: Option<&fs::File>) {
    let mut clients = PEOPLE.map(|name| server.connect(&format!("/ws?user={name}")));
    for client in &mut clients {
        for room in ROOMS {
            say(client, &json!({"type": "join", "room_id": room, "id": room}).to_string());
            answer(client, room);
        }
    }
    for (at, client) in clients.iter_mut().enumerate() {
        for other in PEOPLE {
            // The `id` tells the record between whom it is.
            let ask = json!({"type": "history", "user_id": other, "id": PEOPLE[at], "limit": 1});
            say(client, &ask.to_string());
            answer(client, PEOPLE[at]);
        }
    }
    // By person: own messages in rooms.
    let mut own: [Vec<(&str, u64)>; PEOPLE.len()] = Default::default();
    for round in 0..rounds {
        let mut owed = Vec::new();
        for _ in 0..=random.below(3) {
            let at = random.below(3) as usize;
            for n in 0..=random.below(4) {
                let long = [3, 30, 300, 3000][random.below(4) as usize];
                let id = format!("{round} {n} {}", owed.len());
                let content = format!("{id} {:x} {}", random.draw(), "x".repeat(long));
                let room = ROOMS[random.below(2) as usize];
                let last = match own[at].len() as u64 {
                    0 => None,
                    len => Some(own[at][(len - 1 - random.below(len.min(4))) as usize]),
                };
                let (kind, mut message) = match (random.below(12), last) {
                    (0..3, _) => ("direct", json!({"user_id": PEOPLE[random.below(3) as usize], "content": content})),
                    (3, Some((room, of))) => ("edit", json!({"room_id": room, "of": of, "content": content})),
                    (4, Some((room, of))) => ("delete", json!({"room_id": room, "of": of})),
                    (5, Some((room, of))) => {
                        ("react", json!({"room_id": room, "of": of, "emoji": ":x:", "on": random.below(3) > 0}))
                    }
                    (6, Some((room, seq))) => ("read", json!({"room_id": room, "seq": seq})),
                    _ => ("broadcast", json!({"room_id": room, "content": content})),
                };
                let id = match (kind, last) {
                    // It tells the record whose mark it is.
                    ("read", Some((room, seq))) => format!("read/{}/{room}/{seq}", PEOPLE[at]),
                    _ => id,
                };
                (message["type"], message["id"]) = (kind.into(), id.clone().into());
                say(&mut clients[at], &message.to_string());
                owed.push((at, id));
            }
        }
        if let Some(control) = control.filter(|_| random.below(20) == 0) {
            // The error of a sync (EIO), and how many fail.
            let count = u32::try_from(1 + random.below(3)).unwrap();
            control.write_all_at(&[5u32.to_le_bytes(), count.to_le_bytes()].concat(), 0).unwrap();
        }
        for (at, id) in owed {
            let answer = answer(&mut clients[at], &id);
            let code = &answer["code"];
            // The message may be deleted.
            let refused = code == "not_found" || control.is_some() && code == "backend_down";
            assert!(code.is_null() || refused, "{answer}");
            if let Some(room) = ROOMS.into_iter().find(|&room| answer["room_id"] == room)
                && answer["type"] == "broadcast"
            {
                own[at].push((room, answer["seq"].as_u64().unwrap()));
            }
        }
        // So that nobody falls behind, and is told of a message as it stands by then.
        for client in &mut clients {
            say(client, &json!({"type": "ping", "id": "ping"}).to_string());
            answer(client, "ping");
        }
    }
}

/// A server lives as many times as there are in `lives` on one file, and talks so much in each.
///
/// Behind the first life the file is made smaller, if it `compacts`.
fn record(
    folder: &Folder,
    library: &Path,
    lives: &[(Durability, bool)],
    how: How,
    random: &mut Random,
) -> (Vec<Event>, Vec<Life>) {
    let (root, recorded) = (folder.0.join("disk"), folder.0.join("record"));
    fs::create_dir_all(&root).unwrap();
    let file = root.join("state/salon.db");
    let (mut events, mut all) = (Vec::new(), Vec::new());
    for &(durability, ends_well) in lives {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--log", "warn", "--rate", "off"];
        let of_store = ["--store", file.to_str().unwrap(), "--durability", durability.word()];
        let mut command = salon(&[&arguments[..], &of_store[..], how.keeps].concat());
        let control = how.fails.then(|| {
            let path = folder.0.join("control");
            fs::write(&path, [0; 4096]).unwrap();
            command.env("DISK_CONTROL", &path);
            fs::OpenOptions::new().write(true).open(path).unwrap()
        });
        command.env("LD_PRELOAD", library).env("DISK_FOLDER", &root).env("DISK_RECORD", &recorded);
        let mut server = Server::run(&mut command);
        talk(&server, 150, random, control.as_ref());
        server.signal(if ends_well { "TERM" } else { "KILL" });
        server.wait();
        if how.compacts && all.is_empty() {
            let mut command = salon(&["store", "compact", "--store", file.to_str().unwrap()]);
            command.env("LD_PRELOAD", library).env("DISK_FOLDER", &root).env("DISK_RECORD", &recorded);
            assert!(command.status().unwrap().success());
        }
        let from = events.len();
        events.extend(parse(&fs::read(&recorded).unwrap()));
        fs::remove_file(&recorded).unwrap();
        let told_from = from + told(&events[from..]).0[0].0;
        all.push(Life { durability, ends_well, from, told_from });
    }
    (events, all)
}

fn conversation(place: &Place) -> Conversation<'_> {
    match place.1.as_str() {
        "" => Conversation::Room(&place.0),
        other => Conversation::Direct(&place.0, other),
    }
}

/// The whole of a conversation: each entry as it stands, and the message that it is about.
fn read(store: &mut Sqlite, place: &Place) -> (Head, BTreeMap<u64, (Entry, Option<u64>)>) {
    let epoch = page(store, place, Query::Head).0.epoch;
    let bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };
    page(store, place, Query::Resume { since: Some((epoch, 0)), newest: 0, bounds })
}

fn page(store: &mut Sqlite, place: &Place, query: Query) -> (Head, BTreeMap<u64, (Entry, Option<u64>)>) {
    let (conversation, now, ticket) = (conversation(place), Moment::default(), Ticket(0));
    store.ask(Request::Read { conversation, query, reader: None, now, about: None, ticket }).unwrap();
    loop {
        match store.poll() {
            Some(News::Page { head, entries, .. }) => {
                return (head, entries.iter().map(|entry| (entry.seq, shown(entry))).collect());
            }
            Some(_) => {}
            None => panic!("{place:?} cannot be read"),
        }
    }
}

fn shown(entry: &salon::backend::Entry<'_>) -> (Entry, Option<u64>) {
    let (what, content, about) = match &entry.body {
        Body::Message(message) => ("says".into(), message.content, None),
        Body::Edited { of, content, .. } => (format!("edits {:?}", Some(of)), *content, Some(*of)),
        Body::Deleted { of } => (format!("deletes {:?}", Some(of)), None, Some(*of)),
        Body::Reaction { of, emoji, on } => (format!("{emoji} to {:?}: {on}", Some(of)), None, Some(*of)),
    };
    (Entry { what: format!("{} {what}", entry.sender), content: content.map(str::to_owned) }, about)
}

/// Puts an image where the store was, in a file of the same inode, as after a power cut.
fn write_image(root: &Path, image: &BTreeMap<String, Vec<u8>>) {
    let (state, aside) = (root.join("state"), root.join("aside"));
    if !aside.exists() {
        fs::rename(state.join("salon.db"), &aside).unwrap();
    }
    let _ = fs::remove_dir_all(&state);
    for (name, content) in image {
        fs::create_dir_all(&state).unwrap();
        let path = root.join(name);
        if name == "state/salon.db" {
            fs::rename(&aside, &path).unwrap();
        }
        fs::write(path, content).unwrap();
    }
}

/// Opens an image, and holds it against what was told before the cut. `due`: so much of that has to be there.
fn look(
    root: &Path,
    durability: Durability,
    told: &[(usize, Told)],
    due: usize,
    marks: &[(usize, Mark)],
    goes_on: bool,
    keeps: &[&str],
) -> usize {
    let mut gone = 0;
    let options = Options {
        path: root.join("state/salon.db"),
        durability,
        messages: 1_000_000,
        age: Duration::from_secs(1 << 40),
        rooms: salon::backend::RoomLimits::default(),
        size: u64::MAX,
        people: 1000,
        memory: None,
        boot: Some("another".into()),
    };
    // A child that another test begins has all that is open here, and so locked, until it runs its own program.
    let mut tries = 0..100_000;
    let mut store = loop {
        match Sqlite::open(options.clone(), Random::secret()) {
            Err(sentence) if sentence.contains("in use by another process") && tries.next().is_some() => {
                std::thread::yield_now();
            }
            opened => break opened.unwrap_or_else(|sentence| panic!("{sentence}")),
        }
    };
    let mut taken: BTreeMap<_, BTreeMap<(&str, u64), &Entry>> = BTreeMap::new();
    for (_, told) in told {
        let of_place = taken.entry(&told.place).or_default();
        let before = of_place.insert((&told.epoch, told.seq), &told.entry);
        assert!(before.is_none_or(|before| *before == told.entry), "{told:?} and {before:?}");
    }
    let (must, _) = told.split_at(due);
    for (place, taken) in &taken {
        let (head, found) = read(&mut store, place);
        let epoch = head.epoch.to_string();
        // What has made room for others, and that is the oldest.
        let first = head.seq + 1 - head.kept;
        assert!(first == 1 || !keeps.is_empty(), "{place:?}: nothing goes");
        assert!(head.kept >= KEPT.min(head.seq) || !place.1.is_empty(), "{place:?}: {} are kept", head.kept);
        for (_, told) in must.iter().filter(|(_, told)| told.place == **place) {
            if told.seq < first {
                gone += 1;
                continue;
            }
            let there = found.get(&told.seq).map(|(entry, _)| &entry.what);
            assert_eq!(there, Some(&told.entry.what), "{place:?} {} is there", told.seq);
            assert!(!goes_on || epoch == told.epoch, "{place:?} goes on in its epoch");
        }
        // Of each message the last edit that is there, and whether it is deleted.
        let (mut latest, mut deleted) = (HashMap::new(), HashSet::new());
        for (&seq, (entry, about)) in &found {
            let Some(of) = *about else { continue };
            if entry.what.contains(" edits ") {
                latest.insert(of, seq);
            } else if entry.what.contains(" deletes ") {
                deleted.insert(of);
            }
        }
        for (&seq, (entry, about)) in &found {
            let of_epoch = |seq: u64| taken.get(&(epoch.as_str(), seq));
            assert!(of_epoch(seq).is_none_or(|told| told.what == entry.what), "{place:?} {seq} names two entries");
            let message = about.unwrap_or(seq);
            if deleted.contains(&message) {
                assert_eq!(entry.content, None, "{place:?} {seq}: of {message}, which is deleted");
            } else if let Some(told) = of_epoch(*latest.get(&message).unwrap_or(&message))
                && (about.is_none() || entry.what.contains(" edits "))
            {
                assert_eq!(entry.content, told.content, "{place:?} {seq}: of {message}");
            }
        }
        for n in 1..=3 {
            let entry = NewEntry::message("ann", "said after the cut", Moment::default());
            let (conversation, ticket) = (conversation(place), Ticket(n));
            store.ask(Request::Append { conversation, entry, retry: None, about: None, ticket }).unwrap();
            let Some(News::Published { entry, .. }) = store.poll() else { panic!("{place:?} is written to") };
            assert_eq!(entry.seq, head.seq + n);
            let was_told = taken.get(&(epoch.as_str(), entry.seq));
            assert_eq!(was_told, None, "{place:?} {} names two messages", entry.seq);
            assert!(store.poll().is_none());
        }
    }
    for (_, (user, room, seq)) in marks {
        let (query, now, about) = (Query::Head, Moment::default(), None);
        let (conversation, reader) = (Conversation::Room(room), Some(Reader { user, reading: true }));
        store.ask(Request::Read { conversation, query, reader, now, about, ticket: Ticket(0) }).unwrap();
        let Some(News::Page { reading: Some(reading), .. }) = store.poll() else { panic!("{room} is read") };
        assert!(reading.read >= *seq, "{user} has read {room} up to {seq}, not {}", reading.read);
    }
    gone
}

/// What is noted in the lock is on the disk before anything is told, and nothing of it is ever taken out.
fn lock_is_held(events: &[Event]) {
    let of_lock: Vec<_> = events.iter().filter(|event| event.name.ends_with("-lock")).map(|e| e.operation).collect();
    assert!(of_lock.iter().all(|operation| b"cwsf".contains(operation)), "{of_lock:?}");
    let first_told = events.iter().position(|event| event.operation == b'o').unwrap_or(events.len());
    let last = events[..first_told].iter().rfind(|event| event.name.ends_with("-lock"));
    assert_eq!(last.map(|event| event.operation), Some(b's'));
}

/// Looks at images of a record of these lives.
fn cut(name: &str, lives: &[(Durability, bool)], how: How, usual: u64) {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (images, seed) = (number("IMAGES", usual), number("SEED", 1));
    let folder = Folder::in_memory(&format!("power-cut-{name}"));
    let Some(library) = library(&folder) else { return };
    let (mut random, root) = (Random::from(seed), folder.0.join("disk"));
    let (events, lives) = record(&folder, &library, lives, how, &mut random);
    let (mut told, mut marks) = (Vec::new(), Vec::new());
    let ends = lives.iter().skip(1).map(|life| life.from).chain([events.len()]);
    for (life, end) in lives.iter().zip(ends) {
        lock_is_held(&events[life.from..end]);
        let (told_there, marked) = self::told(&events[life.from..end]);
        told.extend(told_there.into_iter().map(|(at, told)| (life.from + at, told)));
        marks.extend(marked.into_iter().map(|(at, mark)| (life.from + at, mark)));
    }
    let is_done = |what: &str| told.iter().any(|(_, told): &(usize, Told)| told.entry.what.contains(what));
    assert!([" says", " edits ", " deletes ", ":x: to "].into_iter().all(is_done) && !marks.is_empty());
    // A log that has been moved into the file is begun anew amid what is said.
    let begins = |at: &usize| {
        let Event { operation, name, position, .. } = &events[*at];
        (*operation, *position) == (b'w', 0) && name.ends_with("-wal")
    };
    for (n, life) in lives.iter().enumerate() {
        let end = lives.get(n + 1).map_or(events.len(), |next| next.from);
        let last = told.iter().rfind(|(at, _)| (life.from..end).contains(at)).map_or(0, |(at, _)| *at);
        let anew = (life.told_from..last).filter(begins).count();
        assert!(anew > 0 || how.fails, "{name}: the log was begun anew amid talk in life {n}");
    }
    // Half of them right behind something that was told, a quarter while the log is moved into the file, others
    // anywhere.
    let of_file = |event: &Event| event.name.ends_with(".db") || b"tuc".contains(&event.operation);
    let moved: Vec<_> = (0..events.len()).filter(|&at| of_file(&events[at])).collect();
    let mut cuts: Vec<_> = (0..images)
        .map(|_| match random.below(4) {
            0 | 1 => told[random.below(told.len() as u64) as usize].0 + 1,
            2 => moved[random.below(moved.len() as u64) as usize] + 1,
            _ => random.below(events.len() as u64 + 1) as usize,
        })
        .collect();
    cuts.sort_unstable();
    let (mut disk, mut played, mut gone) = (Disk::default(), 0, 0);
    for (n, cut) in cuts.into_iter().enumerate() {
        events[played..cut].iter().for_each(|event| disk.play(event));
        played = cut;
        let told = &told[..told.partition_point(|(at, _)| *at < cut)];
        let life = lives.iter().rposition(|life| life.from <= cut).unwrap();
        let (in_power, has_told) = (lives[life].durability == Durability::Power, cut > lives[life].told_from);
        // A process that has told something has all on the disk that others told before it. One with `power` has all
        // that it has told itself, and one that has ended well too.
        let due_at = match life.checked_sub(1).map(|before| &lives[before]) {
            _ if has_told && in_power => cut,
            None => 0,
            Some(before) if has_told || before.ends_well || before.durability == Durability::Power => lives[life].from,
            Some(before) => before.from,
        };
        let due = told.partition_point(|(at, _)| *at < due_at);
        let marks = &marks[..marks.partition_point(|(at, _)| *at < due_at)];
        write_image(&root, &disk.image(&mut random));
        let what = format!("{name} SEED={seed}: image {n}, cut at {cut} of {}", events.len());
        // The inode that an image has is that of the last file.
        let is_last_file = !how.compacts || life > 0;
        let (durability, goes_on) = (lives[life].durability, in_power && has_told && is_last_file);
        let looked = std::panic::catch_unwind(|| look(&root, durability, told, due, marks, goes_on, how.keeps));
        match looked {
            Ok(some) => gone += some,
            Err(panic) => {
                println!("{what}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert_eq!(gone > 0, !how.keeps.is_empty(), "{name}: {gone} entries had gone that were told");
    println!(
        "{name}: {images} images of a record of {} pieces, in which {} entries were told",
        events.len(),
        told.len()
    );
}

#[test]
fn in_mode_power() {
    cut(
        "power",
        &[(Durability::Power, false), (Durability::Power, true), (Durability::Power, false)],
        How::default(),
        IMAGES,
    );
}

#[test]
fn in_mode_process() {
    cut(
        "process",
        &[(Durability::Process, false), (Durability::Process, true), (Durability::Process, false)],
        How::default(),
        IMAGES,
    );
}

#[test]
fn in_both_in_turn() {
    let (process, power) = (Durability::Process, Durability::Power);
    cut(
        "both",
        &[(process, false), (power, false), (process, true), (power, true), (process, false)],
        How::default(),
        IMAGES / 3,
    );
}

/// A sync that fails leaves on the disk what it will, and the kernel forgets about the rest: a later sync that succeeds
/// says nothing about it.
#[test]
fn after_syncs_that_failed() {
    let (process, power) = (Durability::Process, Durability::Power);
    let how = How { fails: true, ..How::default() };
    cut("failed", &[(power, false), (process, false), (power, true)], how, IMAGES / 3);
}

/// What is too much goes amid all that: of each conversation the oldest, and of all the oldest.
#[test]
fn where_what_is_too_much_goes() {
    let (process, power) = (Durability::Process, Durability::Power);
    for (name, keeps) in
        [("history", &["--history", "50"][..]), ("size", &["--history", "1000000", "--store-size", "1MiB"][..])]
    {
        let how = How { keeps, ..How::default() };
        cut(name, &[(power, false), (process, true), (power, false)], how, IMAGES / 3);
    }
}

/// The file that `salon store compact` makes takes the place of the old one, and its log does not become that of the
/// new one.
#[test]
fn while_it_is_made_smaller() {
    let how = How { compacts: true, ..How::default() };
    cut("compact", &[(Durability::Power, false), (Durability::Power, false)], how, IMAGES);
}
