//! `join` with a list: many rooms at once.

use super::late::{Gate, Late};
use super::*;
use std::cell::RefCell;
use std::num::NonZeroU64;
use std::rc::Rc;

fn list(rooms: impl IntoIterator<Item = String>) -> String {
    let rooms: Vec<String> = rooms.into_iter().map(|room| format!(r#"{{"room_id":"{room}"}}"#)).collect();
    format!(r#"{{"type":"join","id":1,"rooms":[{}]}}"#, rooms.join(","))
}

fn numbered(rooms: usize) -> impl Iterator<Item = String> {
    (0..rooms).map(|n| format!("r{n:03}"))
}

#[test]
fn each_room_is_answered_and_then_the_list() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("bob", "den");
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"one"}"#);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"two"}"#);
    stage.all_forget();
    let (den, attic) = (stage.epoch("bob", "den"), "0000000000000000");
    stage.says(
        "ann",
        &format!(
            r#"{{"type":"join","id":"all","rooms":[{{"room_id":"den","since":{{"epoch":"{den}","seq":1}}}},
                {{"room_id":"*"}},{{"room_id":"attic","since":{{"epoch":"{attic}","seq":3}},"history":null}},{{"room_id":"den"}}]}}"#
        ),
    );
    let heard = stage.takes("ann");
    let brief = |text: &String| {
        let room = text_of(text, "room_id").unwrap_or_default();
        let recovered = field(text, "recovered").map_or(String::new(), |flag| format!(" {flag}"));
        format!("{} {room}{recovered}", kind(text))
    };
    assert_eq!(
        heard.iter().map(brief).collect::<Vec<_>>(),
        [
            "bad_request *",
            "joined den true",
            "broadcast den",
            "online_users den",
            "joined attic false",
            "online_users attic",
            "joined den false",
            "ack ",
        ]
    );
    assert_eq!(heard.last().unwrap(), r#"{"type":"ack","id":"all","joined":3,"refused":1}"#);
    assert!(heard.iter().filter(|text| field(text, "id").is_some()).count() == 1, "{heard:?}");
    stage.heard("bob", [r#"{"type":"user_joined","room_id":"den","user_id":"ann"}"#]);
}

#[test]
fn no_room_at_the_limit_and_one_past_it() {
    let mut stage = Stage::json(Settings { rooms_per_session: 300, ..unhurried() }, &["ann"]);
    for (rooms, code) in [(0, "ack"), (129, "too_large"), (1001, "too_large"), (128, "ack")] {
        stage.says("ann", &list(numbered(rooms)));
        let heard = stage.takes("ann");
        assert_eq!(kind(heard.last().unwrap()), code, "{rooms}");
        assert_eq!(number_of(heard.last().unwrap(), "id"), Some(1));
        assert_eq!(stage.chat.counts().rooms, if rooms == 128 { 128 } else { 0 });
    }
    // Where a session may be in fewer rooms, the list has no more.
    let mut stage = Stage::json(Settings { rooms_per_session: 3, ..unhurried() }, &["ann"]);
    stage.refused("ann", &list(numbered(4)), "too_large");
    stage.joins("ann", "den");
    stage.says("ann", &list(numbered(3)));
    let heard = stage.takes("ann");
    let refused = r#"{"type":"error","room_id":"r002","code":"too_many_rooms","message":"expected at most 3 rooms a session, found one more","retry":false}"#;
    assert!(heard.contains(&refused.to_owned()), "{heard:?}");
    assert_eq!(heard.last().unwrap(), r#"{"type":"ack","id":1,"joined":2,"refused":1}"#);
}

/// An error of the list as a whole joins nothing.
#[test]
fn lists_that_are_none() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    for (rooms, sentence) in [
        (r#""den""#, "`rooms`: expected an array of objects, found a string"),
        (r#"["den"]"#, "`rooms`: expected an array of objects, found a string"),
        (r#"[["den"]]"#, "`rooms`: expected an array of objects, found an array"),
        (r#"[{"room_id":"a"},{}]"#, "`rooms[].room_id`: expected a string, found nothing"),
        (r#"[{"room_id":"a","history":-1}]"#, "`rooms[].history`: expected an integer from 0, found a negative number"),
        (r#"[{"room_id":"a","since":1}]"#, "`rooms[].since`: expected an object {epoch, seq}, found a number"),
        (r#"[{"room_id":"a","since":{"seq":1}}]"#, "`rooms[].since.epoch`: expected a string, found nothing"),
        (
            r#"[{"room_id":"a","since":{"epoch":"","seq":{}}}]"#,
            "`rooms[].since.seq`: expected an integer from 0, found an object",
        ),
        (r#"[],"room_id":"a""#, "expected `room_id` or `rooms`, found both"),
    ] {
        stage.says("ann", &format!(r#"{{"type":"join","rooms":{rooms}}}"#));
        let heard = stage.takes("ann");
        assert_eq!(heard.len(), 1);
        assert_eq!(text_of(&heard[0], "message").as_deref(), Some(sentence));
    }
    stage.refused("ann", r#"{"type":"join","rooms":[{"room_id":"a","room_id":"b"}]}"#, "bad_request");
    assert_eq!(stage.chat.counts().rooms, 0);
    // Unknown fields are skipped, however deep.
    stage.says("ann", r#"{"type":"join","rooms":[{"room_id":"a","since":null,"x":[[{"room_id":"b"}]],"history":2}]}"#);
    stage.heard_kinds("ann", &["joined", "online_users", "ack"]);
}

/// Three tabs of one person, each in forty rooms, come back after a restart: five frames for each are all they need.
#[test]
fn a_person_is_back_in_all_rooms_at_once() {
    let mut stage = Stage::new(Settings::default());
    stage.address = Some(Address(NonZeroU64::new(1).unwrap()));
    for tab in ["one", "two", "three"] {
        stage.opens(tab, "ann");
        stage.forgets(tab);
        stage.says(tab, &list(numbered(40)));
        let heard = stage.takes(tab);
        assert_eq!(heard.last().unwrap(), r#"{"type":"ack","id":1,"joined":40,"refused":0}"#);
        assert_eq!(heard.iter().filter(|text| kind(text) == "online_users").count(), 40);
    }
    // The person's own bucket has paid fifteen frames, so that 25 are left.
    (0..25).for_each(|_| stage.says("one", r#"{"type":"ping"}"#));
    assert_eq!(stage.takes("one").len(), 25);
    stage.refused("one", r#"{"type":"ping","id":1}"#, "rate_limited");
}

/// Sixty requests that are refused at once each get a later time, and each is heard when it comes then.
#[test]
fn refused_requests_come_back_one_after_the_other() {
    let mut stage = Stage::json(Settings::default(), &["ann"]);
    (0..100).for_each(|n| stage.says("ann", &format!(r#"{{"type":"ping","id":{n}}}"#)));
    let refused = stage.takes("ann").split_off(40);
    let waits: Vec<u64> = refused.iter().map(|text| number_of(text, "retry_after_ms").unwrap()).collect();
    assert_eq!(waits, (1..=60).map(|n| 50 * n).collect::<Vec<u64>>());
    for (n, _) in waits.iter().enumerate() {
        stage.waits_ms(50);
        stage.says("ann", &format!(r#"{{"type":"ping","id":{n}}}"#));
        stage.heard_kinds("ann", &["pong"]);
    }
}

/// A list is paid for by all at the address, room by room, and refused as a whole if they cannot.
#[test]
fn a_crowded_address() {
    let mut stage = Stage::new(Settings { full_speed_per_address: 2, ..Settings::default() });
    stage.address = Some(Address(NonZeroU64::new(1).unwrap()));
    stage.opens("ann", "ann");
    stage.forgets("ann");
    stage.says("ann", &list(numbered(80)));
    assert_eq!(stage.takes("ann").last().unwrap(), r#"{"type":"ack","id":1,"joined":80,"refused":0}"#);
    stage.waits_ms(500);
    stage.says("ann", &list(numbered(22)));
    let heard = stage.takes("ann");
    assert_eq!(heard.len(), 1);
    assert_eq!((kind(&heard[0]).as_str(), number_of(&heard[0], "id")), ("rate_limited", Some(1)));
    stage.waits_ms(number_of(&heard[0], "retry_after_ms").unwrap() + 25);
    stage.says("ann", &list(numbered(22)));
    assert_eq!(stage.takes("ann").last().unwrap(), r#"{"type":"ack","id":1,"joined":22,"refused":0}"#);
}

/// Lists of names of many rooms do not fill the outbox: they come as they are taken.
#[test]
fn lists_of_names_come_as_they_are_taken() {
    let mut stage = Stage::json(unhurried(), &[]);
    let long = |n: usize| format!("{n:02}{}", "x".repeat(120));
    for n in 0..12 {
        stage.opens(&long(n), &long(n));
        stage.says(&long(n), &list(numbered(128)));
        stage.all_forget();
    }
    stage.opens("ann", "ann");
    stage.forgets("ann");
    stage.holds = true;
    stage.says("ann", &list(numbered(128)));
    let heard = stage.takes("ann");
    let bytes: usize = heard.iter().map(String::len).sum();
    assert!((128 << 10..200 << 10).contains(&bytes), "{bytes}");
    assert_eq!(heard.iter().filter(|text| kind(text) == "joined").count(), 128);
    assert_eq!(kind(heard.last().unwrap()), "ack");
    let mut names = heard.iter().filter(|text| kind(text) == "online_users").count();
    assert!((60..100).contains(&names), "{names}");
    while stage.drains("ann") {
        let heard = stage.takes("ann");
        assert!(heard.iter().map(String::len).sum::<usize>() < 16 << 10);
        names += heard.len();
    }
    assert_eq!(names, 128);
    // Messages are heard from then on, in each.
    stage.all_forget();
    stage.says(&long(0), r#"{"type":"broadcast","room_id":"r127","content":"x"}"#);
    stage.heard_kinds("ann", &["broadcast"]);
    stage.joins("ann", "another");
    while stage.drains("ann") {}
    assert!(stage.chat.hall.readers.is_empty());
}

#[test]
fn a_guest_takes_a_name_with_the_list() {
    let mut stage = Stage::json(unhurried(), &["bob"]);
    stage.open("guest", Door::Json { user: None });
    let guest = text_of(&stage.takes("guest")[0], "user_id").unwrap();
    stage.says("guest", r#"{"type":"join","user_id":"ann","rooms":[{"room_id":"*"}]}"#);
    stage.heard_kinds("guest", &["bad_request", "ack"]);
    stage.says("guest", r#"{"type":"join","user_id":"ann","rooms":[{"room_id":"*"},{"room_id":"den"}]}"#);
    let heard = stage.takes("guest");
    assert!(heard[1].contains(r#""user_id":"ann""#) && !heard.concat().contains(&guest), "{heard:?}");
    stage.refused("bob", r#"{"type":"join","user_id":"ann","rooms":[]}"#, "forbidden");
}

/// A store that is late, down or full, and a session that goes meanwhile, leave nothing that waits.
#[test]
fn a_late_store() {
    for (state, joined, refused) in [(Gate::Open, 3, 1), (Gate::Down, 0, 4), (Gate::Full, 0, 4)] {
        let gate = Rc::new(RefCell::new(Gate::Open));
        let mut stage = Stage::with(unhurried(), Box::new(Late::new(Limits::default(), gate.clone())));
        for name in ["ann", "bob"] {
            stage.opens(name, name);
            stage.forgets(name);
            *gate.borrow_mut() = if state == Gate::Open { Gate::Shut } else { state };
            stage.says(name, &list(["a", "*", "b", "c"].map(String::from)));
        }
        stage.closes("bob");
        *gate.borrow_mut() = if state == Gate::Full { Gate::Open } else { state };
        stage.hears_the_backend();
        let heard = stage.takes("ann");
        let end = format!(r#"{{"type":"ack","id":1,"joined":{joined},"refused":{refused}}}"#);
        assert_eq!(heard.last(), Some(&end));
        let rooms = heard.iter().filter(|text| text.contains(r#""code""#) && text.contains(r#""room_id""#)).count();
        assert_eq!(rooms, refused);
        assert_eq!(stage.chat.hall.waiting.len(), 0);
        *gate.borrow_mut() = Gate::Open;
        stage.closes("ann");
        stage.waits_ms(200_000);
        stage.check_released();
    }
}
