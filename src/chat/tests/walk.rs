//! People act at random; the promises hold after every step.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;

use super::late::{Gate, Late};
use super::*;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
use crate::backend::{Threaded, Waker};
use crate::random::Random;

const USERS: &[&str] = &["ann", "bob", "cat", "dan", "eve"];
const ROOMS: &[&str] = &["den", "attic", "hut"];

/// The last message that one JSON device has of each room it is in: its seq, and the step in which it was said.
#[derive(Default)]
struct Reader {
    last: BTreeMap<String, (u64, u64)>,
}

/// Where the store is.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    /// Here; it answers at once.
    Here,
    /// Here; it answers now and then, or fails, or takes no questions.
    Late,
    /// On a thread; it answers when it comes to it.
    Far,
    /// On a thread, and in a file.
    #[cfg(feature = "sqlite")]
    Disk,
}

/// Waits until the store on the thread has done all that it was asked, and that has been heard.
fn settle(stage: &mut Stage, woken: &mpsc::Receiver<()>) {
    loop {
        stage.hears_the_backend();
        if stage.chat.is_idle() {
            return;
        }
        woken.recv_timeout(Duration::from_secs(30)).expect("whoever waits for the store is woken");
    }
}

/// Returns how often a session was left behind.
fn walk(seed: u64, steps: usize, kept: Kept) -> usize {
    let is_far = !matches!(kept, Kept::Here | Kept::Late);
    let mut random = Random::from(seed);
    let age = Duration::from_secs(60);
    let settings = Settings {
        replay_bytes: 100,
        empty_room_age: age,
        big_room: 3,
        sessions_per_user: 3,
        rooms_per_session: 2,
        max_rooms: 3,
        ..Settings::default()
    };
    let limits = Limits { age, ..last(4) };
    let gate = Rc::new(RefCell::new(Gate::Open));
    let (wakes, woken) = mpsc::channel();
    #[cfg(feature = "sqlite")]
    let folder = sqlite::tests::Folder::new();
    let mut stage = match kept {
        Kept::Here => Stage::keeping(limits, settings, &[]),
        Kept::Late => Stage::with(settings, Box::new(Late::new(limits, gate.clone()))),
        Kept::Far => {
            let waker = Waker::new(move || wakes.send(()).unwrap_or_default());
            let store = Threaded::start(|_| Ok(Memory::new(limits, 1)), waker);
            Stage::with(settings, Box::new(store.unwrap()))
        }
        #[cfg(feature = "sqlite")]
        Kept::Disk => {
            let waker = Waker::new(move || wakes.send(()).unwrap_or_default());
            let options = sqlite::Options { messages: limits.messages, age, ..folder.options() };
            let store = Threaded::start(|_| sqlite::Sqlite::open(options, 1), waker);
            Stage::with(settings, Box::new(store.unwrap()))
        }
    };
    let mut readers: BTreeMap<String, Reader> = BTreeMap::new();
    let mut numbers: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut plain: BTreeMap<String, u64> = BTreeMap::new();
    let mut devices: Vec<String> = Vec::new();
    for step in 1..=steps {
        let who = USERS[random.below(5) as usize];
        let place = ROOMS[random.below(3) as usize];
        let device = match devices.len() {
            0 => None,
            len => Some(devices[random.below(len as u64) as usize].clone()),
        };
        if is_far && random.below(8) == 0 {
            settle(&mut stage, &woken);
        }
        if kept == Kept::Late && random.below(8) == 0 {
            *gate.borrow_mut() = [Gate::Open, Gate::Open, Gate::Shut, Gate::Down, Gate::Full][random.below(5) as usize];
            stage.hears_the_backend();
        }
        // Sometimes they take nothing for a while.
        if random.below(10) == 0 {
            stage.holds = !stage.holds;
            stage.dispatch();
        }
        if let Some(device) = device.as_ref().filter(|_| random.below(12) == 0) {
            match random.below(2) {
                0 => stage.stops(device),
                _ => stage.goes_on(device),
            }
        }
        match (random.below(16), device) {
            (0, _) => {
                let name = format!("{who}-{step}");
                match random.below(3) {
                    0 => stage.opens_plain(&format!("{name}/{place}"), place, who),
                    1 => stage.open(&name, Door::Json { user: None }),
                    _ => stage.opens(&name, who),
                }
                devices = stage.names.keys().cloned().collect();
            }
            (1, Some(device)) if random.below(2) == 0 => {
                stage.closes(&device);
                readers.remove(&device);
                plain.remove(&device);
                devices.retain(|other| *other != device);
            }
            (2, _) => stage.waits_ms(random.below(8_000)),
            (3, Some(device)) => {
                let ping = random.below(2) == 0;
                let conn = stage.conn(&device);
                match ping {
                    true => stage.chat.handle_ping(conn, stage.now, &mut stage.out),
                    false if random.below(8) == 0 => stage.chat.handle_binary(conn, stage.now, &mut stage.out),
                    false => {}
                }
                stage.dispatch();
            }
            (choice, Some(device)) => {
                let id = random.below(4);
                let text = match choice {
                    // Every text of a plain session is a message: the step, then, like anybody else.
                    _ if device.contains('/') => step.to_string(),
                    4 | 5 => format!(r#"{{"type":"join","room_id":"{place}","history":{}}}"#, random.below(6)),
                    6 => format!(r#"{{"type":"join","room_id":"{place}","user_id":"{who}"}}"#),
                    7 => format!(r#"{{"type":"leave","room_id":"{place}"}}"#),
                    8 => format!(r#"{{"type":"typing","room_id":"{place}","typing":{}}}"#, random.below(2) == 0),
                    9 => format!(r#"{{"type":"direct","to":"{who}","content":"{step}","id":{id}}}"#),
                    10 => r#"{"type":"status","status":"offline"}"#.into(),
                    11 => format!(r#"{{"type":"presence","user_ids":["{who}"],"subscribe":true}}"#),
                    12 => format!(r#"{{"type":"broadcast","room_id":"{place}","content":"{step}","id":{id}}}"#),
                    _ => format!(r#"{{"type":"broadcast","room_id":"{place}","content":"{step}"}}"#),
                };
                stage.says(&device, &text);
            }
            (_, None) => {}
        }
        for device in &devices {
            let heard = stage.takes(device);
            match device.contains('/') {
                true => read_plain(device, &heard, plain.entry(device.clone()).or_default()),
                false => read_json(device, &heard, readers.entry(device.clone()).or_default(), &mut numbers),
            }
        }
    }
    *gate.borrow_mut() = Gate::Open;
    stage.holds = false;
    stage.hears_the_backend();
    for device in devices {
        stage.closes(&device);
    }
    if is_far {
        // What is too old goes a piece at a time, of which the chat hears later.
        for _ in 0..64 {
            settle(&mut stage, &woken);
            stage.waits(age / 8);
        }
    }
    // And behind the time in which retries are known.
    stage.waits((age * 3).max(Duration::from_secs(302)));
    stage.check_released();
    stage.left_behind
}

/// So many walks, each from a seed of its own.
fn walks(count: u64, kept: Kept) {
    let walk = |seed| {
        println!("seed {seed}");
        walk(seed, 800, kept)
    };
    let left_behind: usize = (0..count).map(walk).sum();
    assert!(left_behind > 0, "some were slow");
}

/// seq is strictly increasing and dense, from wherever the reader came in; a message has one number for all readers.
fn read_json(device: &str, heard: &[String], reader: &mut Reader, numbers: &mut BTreeMap<(String, u64), u64>) {
    for text in heard {
        let Some(place) = text_of(text, "room_id") else { continue };
        match kind(text).as_str() {
            "left" => drop(reader.last.remove(&place)),
            "gap" => {
                let (from, to) = (number_of(text, "from").unwrap(), number_of(text, "to").unwrap());
                if let Some((last, _)) = reader.last.get_mut(&place) {
                    assert_eq!(from, *last + 1, "{device} in {place}: {text}");
                    *last = to;
                }
            }
            "broadcast" => {
                let seq = number_of(text, "seq").unwrap();
                let step = text_of(text, "content").unwrap().parse().unwrap();
                if let Some((last, said)) = reader.last.insert(place.clone(), (seq, step)) {
                    assert_eq!(seq, last + 1, "{device} in {place}: {text}");
                    assert!(step > said, "{device} in {place}: {text}");
                }
                assert_eq!(*numbers.entry((place, step)).or_insert(seq), seq, "{device}: {text}");
            }
            _ => {}
        }
    }
}

/// Contents come in the order in which they were said, each once; there are four fields and no others.
fn read_plain(device: &str, heard: &[String], last: &mut u64) {
    for text in heard {
        let fields = serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(fields.as_object().unwrap().len(), 4, "{text}");
        if kind(text) == "chat" {
            let step = fields["content"].as_str().unwrap().parse().unwrap();
            assert!(*last < step, "{device}: {text}");
            *last = step;
        }
    }
}

#[test]
fn random_walks() {
    walks(20, Kept::Here);
}

#[test]
fn random_walks_with_a_store_that_is_late() {
    walks(20, Kept::Late);
}

/// What comes when is up to the system here; the promises hold whatever that is.
#[test]
fn random_walks_with_a_store_on_a_thread() {
    walks(10, Kept::Far);
}

#[cfg(feature = "sqlite")]
#[test]
fn random_walks_with_a_store_on_disk() {
    walks(3, Kept::Disk);
}
