//! Rooms that are in the store alone, because the list has no place for them: calls of an operator find them.

use std::cell::RefCell;
use std::rc::Rc;

use super::late::{Gate, Late};
use super::*;

/// A chat with place for one room, which ann is in, on a store that has den besides.
fn full(mut open: impl FnMut() -> Box<dyn Backend>) -> Stage {
    let mut before = Stage::with(unhurried(), open());
    before.calls(Call::Publish, r#"{"room_id":"hall","content":"x"}"#);
    before.calls(Call::Create, r#"{"room_id":"den","name":"The Den","topic":"talk"}"#);
    before.calls(Call::Publish, r#"{"room_id":"den","content":"old"}"#);
    drop(before);
    let mut stage = Stage::with(Settings { max_rooms: 1, ..unhurried() }, open());
    stage.opens("ann", "ann");
    stage.joins("ann", "hall");
    stage
}

/// A call about a room, with what else it has to have.
fn about(call: Call, room: &str) -> String {
    let user = if call == Call::Kick { r#","user_id":"ann""# } else { "" };
    format!(r#"{{"room_id":"{room}","of":1,"topic":"x"{user}}}"#)
}

fn listed(stage: &mut Stage) -> String {
    stage.calls(Call::Rooms, "{}")
}

const HALL: &str = r#"{"type":"rooms","rooms":[{"room_id":"hall","name":"hall","members":1,"joined":false}]}"#;

/// All calls that are about a room, in an order in which each shows what the ones before have done.
fn walks(mut stage: Stage) {
    assert_eq!(listed(&mut stage), HALL);
    for (call, body, expected) in [
        (Call::Members, r#"{"room_id":"den"}"#, r#"{"type":"members","room_id":"den","members":[],"count":0}"#),
        (Call::Kick, r#"{"room_id":"den","user_id":"ann","id":1}"#, r#"{"type":"ack","id":1,"left":0}"#),
        (
            Call::Topic,
            r#"{"room_id":"den","topic":"foxes"}"#,
            r#"{"type":"topic","room_id":"den","name":"The Den","topic":"foxes","sender":"server"}"#,
        ),
        (
            Call::Topic,
            r#"{"room_id":"den","name":"The Lair"}"#,
            r#"{"type":"topic","room_id":"den","name":"The Lair","topic":"foxes","sender":"server"}"#,
        ),
        (Call::History, r#"{"room_id":"den"}"#, r#""content":"old""#),
        (Call::Room, r#"{"room_id":"den"}"#, r#""name":"The Lair","topic":"foxes""#),
        (Call::Room, r#"{"room_id":"den"}"#, r#""members":0,"messages":1,"seq":1"#),
        (Call::Delete, r#"{"room_id":"den","of":1}"#, r#"{"type":"deleted","room_id":"den","of":1"#),
        (Call::History, r#"{"room_id":"den"}"#, r#""seq":1,"ts":1000000,"deleted":true"#),
    ] {
        let answer = stage.calls(call, body);
        assert!(answer.contains(expected), "{call:?} {body}: {answer}");
        assert_eq!(stage.chat.counts().rooms, 1, "{call:?} {body}");
        assert_eq!(listed(&mut stage), HALL, "{call:?} {body}");
    }
    // One that is nowhere is not found, and nothing is left of it.
    for call in [Call::Members, Call::Kick, Call::Topic, Call::History, Call::Room, Call::Delete] {
        let answer = stage.calls(call, &about(call, "nowhere"));
        assert!(answer.contains(r#""code":"room_not_found""#), "{call:?}: {answer}");
    }
    stage.says("ann", r#"{"type":"room","room_id":"den"}"#);
    stage.heard_kinds("ann", &["room_not_found"]);
    // It comes back as it was left.
    stage.says("ann", r#"{"type":"leave","room_id":"hall"}"#);
    stage.says("ann", r#"{"type":"join","room_id":"den"}"#);
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"new"}"#);
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"room","room_id":"den"}"#);
    let answer = stage.takes("ann").remove(0);
    assert!(answer.contains(r#""name":"The Lair","topic":"foxes""#), "{answer}");
}

#[cfg(feature = "sqlite")]
#[test]
fn calls_find_a_room_that_is_in_the_file_alone() {
    use crate::backend::sqlite::{Sqlite, tests::Folder};
    let folder = Folder::new();
    walks(full(|| Box::new(Sqlite::open(folder.options(), 1).unwrap())));
}

#[cfg(feature = "redis")]
#[test]
fn calls_find_a_room_that_is_in_redis_alone() {
    use crate::backend::redis::tests::{Place, imitation};
    let redis = imitation();
    let options = redis.options();
    walks(full(|| Box::new(Place::open(&redis, options.clone()))));
}

/// A store in memory has no room but those of the list.
#[test]
fn a_store_in_memory_has_no_other_rooms() {
    let mut stage = Stage::json(Settings { max_rooms: 1, ..unhurried() }, &["ann"]);
    stage.calls(Call::Publish, r#"{"room_id":"den","content":"old"}"#);
    stage.joins("ann", "hall");
    for call in [Call::Members, Call::Kick, Call::Topic, Call::History, Call::Room, Call::Delete] {
        let answer = stage.calls(call, &about(call, "den"));
        assert!(answer.contains(r#""code":"room_not_found""#), "{call:?}: {answer}");
        assert_eq!(listed(&mut stage), HALL, "{call:?}");
    }
}

/// A room that has been made, and in which nothing was said, is found too, and stays.
#[cfg(feature = "sqlite")]
#[test]
fn a_room_with_a_description_alone_is_found_and_stays() {
    use crate::backend::sqlite::{Sqlite, tests::Folder};
    let folder = Folder::new();
    let settings = |max_rooms| Settings { max_rooms, ..unhurried() };
    let mut before = Stage::with(settings(8), Box::new(Sqlite::open(folder.options(), 1).unwrap()));
    before.calls(Call::Publish, r#"{"room_id":"hall","content":"x"}"#);
    before.calls(Call::Create, r#"{"room_id":"attic","name":"The Attic"}"#);
    drop(before);
    let mut stage = Stage::with(settings(1), Box::new(Sqlite::open(folder.options(), 1).unwrap()));
    assert!(listed(&mut stage).contains("hall"));
    for _ in 0..2 {
        let answer = stage.calls(Call::Room, r#"{"room_id":"attic"}"#);
        assert!(answer.contains(r#""name":"The Attic""#), "{answer}");
        assert_eq!(stage.chat.counts().rooms, 1);
    }
}

/// While a slow store is asked for a room, nobody comes across it who could not otherwise.
#[test]
fn a_room_that_is_sought_is_not_there_for_others() {
    let gate = Rc::new(RefCell::new(Gate::Open));
    let settings = Settings { anybody_may_create: false, ..unhurried() };
    let mut stage = Stage::with(settings, Box::new(Late::new(Limits::default(), gate.clone())));
    stage.opens("ann", "ann");
    let desk = ConnId { index: 1000, generation: 1 };
    stage.names.insert("desk".into(), desk);
    stage.inboxes.insert(desk, Vec::new());
    stage.all_forget();
    *gate.borrow_mut() = Gate::Shut;
    stage.chat.handle_call(desk, Call::Members, br#"{"room_id":"den"}"#, stage.now, &mut stage.out);
    stage.dispatch();
    stage.heard_nothing("desk");
    stage.refused("ann", r#"{"type":"join","room_id":"den"}"#, "room_not_found");
    stage.refused("ann", r#"{"type":"room","room_id":"den"}"#, "room_not_found");
    *gate.borrow_mut() = Gate::Open;
    stage.hears_the_backend();
    stage.heard_kinds("desk", &["room_not_found"]);
    assert_eq!(stage.chat.counts().rooms, 0);
    *gate.borrow_mut() = Gate::Down;
    stage.chat.handle_call(desk, Call::Members, br#"{"room_id":"den"}"#, stage.now, &mut stage.out);
    stage.dispatch();
    stage.hears_the_backend();
    stage.heard_kinds("desk", &["backend_down"]);
}
