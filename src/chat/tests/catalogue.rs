//! A store that was filled before, or elsewhere, and lists of the chat that are full.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::backend::{Conversation, Description, NewEntry, News, Overloaded, Query, Request, Ticket};

type Log = Rc<RefCell<Vec<String>>>;

/// Rooms that the store will announce.
type Elsewhere = Rc<RefCell<Vec<&'static str>>>;

/// A store in memory that notes what it is asked to let go of, and has news of its own.
struct Spy {
    memory: Memory,
    asked: Log,
    elsewhere: Elsewhere,
    bounds_itself: bool,
    takes_users: Rc<RefCell<bool>>,
}

impl Backend for Spy {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        match request {
            Request::Release { room } => self.asked.borrow_mut().push(format!("release {room}")),
            Request::Erase { room } => self.asked.borrow_mut().push(format!("erase {room}")),
            Request::Know { .. } if !*self.takes_users.borrow() => return Err(Overloaded),
            Request::Know { user, here: true } => self.asked.borrow_mut().push(format!("know {user}")),
            Request::Know { user, here: false } => self.asked.borrow_mut().push(format!("{user} has gone")),
            _ => {}
        }
        self.memory.ask(request)
    }

    fn tell_catalogue(&mut self) {
        self.memory.tell_catalogue();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        if let Some(room) = self.elsewhere.borrow_mut().pop() {
            let description = Description { room, title: None, topic: None, created_at: 1, created: true };
            return Some(News::Room { description, keeps: true, changes: 0 });
        }
        self.memory.poll()
    }

    fn is_idle(&self) -> bool {
        self.memory.is_idle()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.memory.expire(now)
    }

    fn bounds_itself(&self) -> bool {
        self.bounds_itself
    }

    fn keeps(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> String {
        self.memory.about()
    }
}

/// A chat with place for one room, on a store that has these, each with a message or without; and what the store is
/// asked.
fn stage(rooms: &[(&str, bool)], bounds_itself: bool) -> (Stage, Log, Elsewhere, Rc<RefCell<bool>>) {
    let mut memory = Memory::new(last(5), 1);
    let at = Moment { tick: Tick(START), unix_ms: 7 };
    for &(room, said) in rooms {
        let conversation = Conversation::Room(room);
        let about = Some(Description { room, title: Some("T"), topic: None, created_at: 8, created: true });
        let ticket = Ticket(0);
        memory.ask(Request::Read { conversation, query: Query::Head, reader: None, now: at, about, ticket }).unwrap();
        if said {
            let entry = NewEntry::message("ann", "x", at);
            memory.ask(Request::Append { conversation, entry, retry: None, about: None, ticket }).unwrap();
        }
    }
    while memory.poll().is_some() {}
    let (asked, elsewhere, takes_users) = (Log::default(), Elsewhere::default(), Rc::new(RefCell::new(true)));
    let spy = Spy {
        memory,
        asked: Rc::clone(&asked),
        elsewhere: Rc::clone(&elsewhere),
        bounds_itself,
        takes_users: Rc::clone(&takes_users),
    };
    let stage = Stage::with(Settings { max_rooms: 1, ..unhurried() }, Box::new(spy));
    (stage, asked, elsewhere, takes_users)
}

#[test]
fn a_list_that_is_full_takes_nothing_from_the_store() {
    let (stage, asked, ..) = stage(&[("attic", false), ("den", true)], true);
    assert_eq!(stage.chat.counts().rooms, 1);
    assert_eq!(*asked.borrow(), [""; 0], "nobody has come");
}

/// Each row: whether the store has bounds of its own; what joining a room for which there is no place asks of it.
#[test]
fn a_room_that_makes_place_loses_its_history_only_where_the_chat_bounds_it() {
    for (bounds_itself, expected, kept) in
        [(true, &["know ann"][..], true), (false, &["erase den", "know ann"][..], false)]
    {
        let (mut stage, asked, ..) = stage(&[("den", true), ("bar", true)], bounds_itself);
        let listed = stage.chat.rooms().map(|room| room.name.as_str().to_owned()).collect::<Vec<_>>();
        let other = if listed == ["den"] { "bar" } else { "den" };
        stage.opens("ann", "ann");
        stage.says("ann", &format!(r#"{{"type":"join","room_id":"{other}"}}"#));
        let found: Vec<String> = asked.borrow().iter().map(|line| line.replace(&listed[0], "den")).collect();
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "bounds itself: {bounds_itself}");
        stage.says("ann", &format!(r#"{{"type":"leave","room_id":"{other}"}}"#));
        stage.forgets("ann");
        stage.says("ann", &format!(r#"{{"type":"join","room_id":"{}","history":5}}"#, listed[0]));
        let heard = stage.takes("ann");
        assert_eq!(heard.iter().any(|text| kind(text) == "broadcast"), kept, "bounds itself: {bounds_itself}");
    }
}

/// The store hears who comes and who goes, and nothing of a guest or of another device.
#[test]
fn the_store_hears_who_is_here() {
    let (mut stage, asked, ..) = stage(&[], true);
    let grace = unhurried().leave_grace;
    for device in ["ann", "ann's other"] {
        stage.opens(device, "ann");
    }
    stage.closes("ann");
    stage.waits(grace * 2);
    assert_eq!(*asked.borrow(), ["know ann"]);
    stage.closes("ann's other");
    stage.waits(grace / 2);
    stage.opens("ann", "ann");
    stage.waits(grace * 2);
    assert_eq!(*asked.borrow(), ["know ann"], "she was away for a moment");
    stage.closes("ann");
    stage.waits(grace * 2);
    stage.opens("ann", "ann");
    assert_eq!(*asked.borrow(), ["know ann", "ann has gone", "know ann"]);
}

/// However many come and go: somebody who is here keeps what they have read, and is known behind a start.
#[cfg(feature = "sqlite")]
#[test]
fn somebody_who_is_here_is_not_forgotten() {
    use crate::backend::sqlite::{Options, Sqlite, tests::Folder};
    let folder = Folder::new();
    let options = Options { people: 4, ..folder.options() };
    let settings = || Settings { max_users: 4, ..unhurried() };
    let mut stage = Stage::with(settings(), Box::new(Sqlite::open(options.clone(), 1).unwrap()));
    stage.opens("ann", "ann");
    stage.joins("ann", "den");
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    stage.says("ann", r#"{"type":"read","room_id":"den","seq":1}"#);
    for n in 0..8 {
        let name = format!("x{n}");
        stage.opens(&name, &name);
        stage.closes(&name);
        stage.waits(settings().leave_grace * 2);
    }
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"rooms","read":true}"#);
    assert!(stage.takes("ann")[0].contains(r#""read":1"#));
    drop(stage);
    let mut stage = Stage::with(settings(), Box::new(Sqlite::open(options, 1).unwrap()));
    stage.opens("zed", "zed");
    stage.forgets("zed");
    stage.says("zed", r#"{"type":"direct","user_id":"ann","content":"x"}"#);
    stage.heard_kinds("zed", &["direct"]);
}

/// Rooms that keep nothing and make place for others leave nothing behind, nor does one whose messages go later.
#[cfg(feature = "sqlite")]
#[test]
fn a_room_that_keeps_nothing_leaves_the_file() {
    use crate::backend::sqlite::{Options, Sqlite, tests::Folder};
    let (folder, age) = (Folder::new(), Duration::from_secs(1000));
    let options = Options { age, ..folder.options() };
    let store = Sqlite::open(options.clone(), 1).unwrap();
    let settings = Settings { max_rooms: 2, empty_room_age: age, ..unhurried() };
    let mut stage = Stage::with(settings, Box::new(store));
    stage.opens("ann", "ann");
    stage.joins("ann", "den");
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    for n in 0..100 {
        stage.says("ann", &format!(r#"{{"type":"create_room","room_id":"hut-{n}"}}"#));
    }
    let rooms = || -> i64 {
        let file = rusqlite::Connection::open(&options.path).unwrap();
        file.query_row("SELECT count(*) FROM conversation", [], |row| row.get(0)).unwrap()
    };
    assert!((2..=3).contains(&rooms()), "{}", rooms());
    stage.waits(age * 3);
    stage.says("ann", r#"{"type":"rooms"}"#);
    assert_eq!(rooms(), 0);
}

#[test]
fn no_room_makes_place_for_one_that_finds_no_memory() {
    let (mut stage, asked, elsewhere, _) = stage(&[], true);
    stage.opens("ann", "ann");
    stage.says("ann", r#"{"type":"create_room","room_id":"hut","name":"Hut"}"#);
    stage.chat.set_memory_left(Some(0));
    elsewhere.borrow_mut().push("elsewhere");
    stage.hears_the_backend();
    let listed: Vec<_> = stage.chat.rooms().map(|room| room.name.as_str().to_owned()).collect();
    assert_eq!(listed, ["hut"]);
    stage.chat.set_memory_left(None);
    elsewhere.borrow_mut().push("elsewhere");
    stage.hears_the_backend();
    let listed: Vec<_> = stage.chat.rooms().map(|room| room.name.as_str().to_owned()).collect();
    assert_eq!(listed, ["elsewhere"]);
    assert_eq!(*asked.borrow(), ["know ann"]);
}

#[test]
fn a_user_who_was_not_taken_is_tried_again() {
    let (mut stage, asked, _, takes_users) = stage(&[], true);
    *takes_users.borrow_mut() = false;
    stage.opens("ann", "ann");
    stage.opens("bob", "bob");
    assert_eq!(*asked.borrow(), [""; 0]);
    *takes_users.borrow_mut() = true;
    stage.says("ann", r#"{"type":"ping"}"#);
    assert_eq!(*asked.borrow(), ["know ann", "know bob"]);
}

/// Answers while it is open; the first request of all fails.
struct FailsFirst {
    memory: Memory,
    open: Rc<RefCell<bool>>,
    first: Option<Ticket>,
    failed: bool,
}

impl Backend for FailsFirst {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        if self.first.is_none() && request.ticket().is_some() {
            self.first = request.ticket();
            return Ok(());
        }
        self.memory.ask(request)
    }

    fn tell_catalogue(&mut self) {}

    fn poll(&mut self) -> Option<News<'_>> {
        if !*self.open.borrow() {
            return None;
        }
        match self.first.filter(|_| !std::mem::replace(&mut self.failed, true)) {
            Some(ticket) => Some(News::Failed { ticket }),
            None => self.memory.poll(),
        }
    }

    fn is_idle(&self) -> bool {
        self.memory.is_idle()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.memory.expire(now)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> String {
        self.memory.about()
    }
}

/// Two create the same room, and the first hears that the store is down: the second has it.
#[test]
fn a_room_that_others_have_heard_of_is_not_taken_back() {
    let open = Rc::new(RefCell::new(false));
    let store = FailsFirst { memory: Memory::new(last(5), 1), open: Rc::clone(&open), first: None, failed: false };
    let mut stage = Stage::with(unhurried(), Box::new(store));
    for name in ["ann", "cat"] {
        stage.opens(name, name);
        stage.forgets(name);
    }
    for name in ["ann", "cat"] {
        stage.says(name, r#"{"type":"create_room","room_id":"den"}"#);
        stage.heard_nothing(name);
    }
    *open.borrow_mut() = true;
    stage.hears_the_backend();
    stage.heard_kinds("ann", &["backend_down"]);
    assert!(stage.takes("cat").remove(0).contains(r#""created":true"#));
    stage.says("cat", r#"{"type":"room","room_id":"den"}"#);
    stage.heard_kinds("cat", &["room"]);
}
