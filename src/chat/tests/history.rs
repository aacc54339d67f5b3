//! The history of a room: its pages, resuming, and how long it lives.

use super::*;
use crate::backend::{Conversation, Description, NewEntry, Query, Request, Ticket};

/// Says `n` messages in a room that the device alone is in.
fn fill(stage: &mut Stage, device: &str, room: &str, n: u64) {
    for seq in 1..=n {
        stage.says(device, &format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{seq}"}}"#));
    }
    stage.all_forget();
}

/// The seqs of the messages in a history answer, its `next`, and its gap.
fn history(stage: &mut Stage, device: &str, what: &str) -> (Vec<u64>, Option<u64>, Option<(u64, u64)>) {
    stage.says(device, &format!(r#"{{"type":"history","room_id":"den",{what}"id":1}}"#));
    let answer = stage.takes(device).remove(0);
    let items = field(&answer, "items").unwrap_or_else(|| panic!("{answer}"));
    let seqs = items.as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect();
    let gap = field(&answer, "gap").map(|gap| (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap()));
    (seqs, number_of(&answer, "next"), gap)
}

/// Seqs, `next`, and the hole.
type Row<'a> = (&'a [u64], Option<u64>, Option<(u64, u64)>);

#[test]
fn history_pages() {
    let mut stage = Stage::keeping(last(5), unhurried(), &["ann"]);
    stage.joins("ann", "den");
    assert_eq!(history(&mut stage, "ann", ""), (vec![], None, None));
    fill(&mut stage, "ann", "den", 3);
    assert_eq!(history(&mut stage, "ann", ""), (vec![1, 2, 3], None, None));
    assert_eq!(history(&mut stage, "ann", r#""before":1,"#), (vec![], None, None));
    fill(&mut stage, "ann", "den", 5); // 4 to 8 are kept
    let rows: &[(&str, Row<'_>)] = &[
        (r#""limit":2,"#, (&[7, 8], Some(7), None)),
        (r#""limit":2,"before":7,"#, (&[5, 6], Some(5), None)),
        (r#""limit":2,"before":5,"#, (&[4], None, Some((1, 3)))),
        (r#""limit":2,"before":18446744073709551615,"#, (&[7, 8], Some(7), None)),
        (r#""limit":2,"after":5,"#, (&[6, 7], Some(7), None)),
        (r#""limit":2,"after":7,"#, (&[8], None, None)),
        (r#""after":8,"#, (&[], None, None)),
        (r#""after":18446744073709551615,"#, (&[], None, None)),
        (r#""limit":2,"after":1,"#, (&[4, 5], Some(5), Some((2, 3)))),
        (r#""limit":1000000000,"after":3,"#, (&[4, 5, 6, 7, 8], None, None)),
        (r#""before":1,"#, (&[], None, None)),
    ];
    for (what, (seqs, next, gap)) in rows {
        assert_eq!(history(&mut stage, "ann", what), (seqs.to_vec(), *next, *gap), "{what}");
    }
    let refused = [
        (r#""before":4"#, "history_gone"),
        (r#""before":2"#, "history_gone"),
        (r#""before":-1"#, "bad_request"),
        (r#""before":2,"after":1"#, "bad_request"),
        (r#""limit":0"#, "bad_request"),
        (r#""epoch":"0123456789abcdef""#, "epoch_changed"),
    ];
    for (what, code) in refused {
        stage.refused("ann", &format!(r#"{{"type":"history","room_id":"den",{what}}}"#), code);
    }
}

/// Where less may wait for a client than is usual, a page is shorter: one that did not fit ended the connection, each
/// time that it was asked for (in seed 4952 of `salon sim`).
#[test]
fn a_page_is_as_long_as_the_settings_say() {
    let content = "x".repeat(100);
    for (page_bytes, seqs) in [(1, vec![4]), (250, vec![3, 4]), (128 << 10, vec![1, 2, 3, 4])] {
        let mut stage = Stage::json(Settings { page_bytes, ..unhurried() }, &["ann"]);
        stage.joins("ann", "den");
        for _ in 0..4 {
            stage.says("ann", &format!(r#"{{"type":"broadcast","room_id":"den","content":"{content}"}}"#));
        }
        stage.all_forget();
        let next = seqs.first().copied().filter(|&first| first > 1);
        assert_eq!(history(&mut stage, "ann", ""), (seqs, next, None), "{page_bytes}");
    }
}

/// Joins with these fields, and returns the answers: types, seqs, gaps.
pub(super) fn resume(stage: &mut Stage, what: &str) -> Vec<String> {
    stage.opens("new", "new");
    stage.forgets("new");
    stage.says("new", &format!(r#"{{"type":"join","room_id":"den",{what}}}"#));
    let heard = stage.takes("new");
    stage.closes("new");
    stage.waits_ms(5_000);
    heard.iter().map(|text| short(text)).collect()
}

/// The fields of a message that matter here.
pub(super) fn short(text: &str) -> String {
    let number = |name: &str| number_of(text, name).unwrap();
    let id = field(text, "id").map(|id| format!(" id {id}")).unwrap_or_default();
    match kind(text).as_str() {
        "joined" => format!("joined {} {}", number("seq"), field(text, "recovered").unwrap()),
        "broadcast" => format!("{}{id}", number("seq")),
        "gap" => format!("gap {}-{} {}", number("from"), number("to"), text_of(text, "why").unwrap()),
        "ack" if number_of(text, "seq").is_some() => {
            let dup = if field(text, "dup").is_some() { " dup" } else { "" };
            format!("ack {}{id}{dup}", number("seq"))
        }
        other => other.to_owned(),
    }
}

#[test]
fn resuming() {
    let mut stage = Stage::keeping(last(5), unhurried(), &["ann"]);
    stage.joins("ann", "den");
    let epoch = stage.epoch("ann", "den");
    let since = |seq: u64| format!(r#""since":{{"epoch":"{epoch}","seq":{seq}}}"#);
    assert_eq!(resume(&mut stage, &since(0)), ["joined 0 true", "online_users"]);
    fill(&mut stage, "ann", "den", 8); // 4 to 8 are kept
    let rows: &[(&str, &[&str])] = &[
        (r#""history":0"#, &["joined 8 false", "online_users"]),
        (r#""history":2"#, &["joined 8 false", "7", "8", "online_users"]),
        (r#""history":99"#, &["joined 8 false", "4", "5", "6", "7", "8", "online_users"]),
        (&since(8), &["joined 8 true", "online_users"]),
        (&since(6), &["joined 8 true", "7", "8", "online_users"]),
        (&since(3), &["joined 8 true", "4", "5", "6", "7", "8", "online_users"]),
        (&since(2), &["joined 8 false", "gap 3-3 expired", "4", "5", "6", "7", "8", "online_users"]),
        (&since(9), &["joined 8 false", "gap 1-3 epoch_changed", "4", "5", "6", "7", "8", "online_users"]),
        (
            r#""since":{"epoch":"other","seq":7},"history":1"#,
            &["joined 8 false", "gap 1-3 epoch_changed", "4", "5", "6", "7", "8", "online_users"],
        ),
    ];
    for (what, expected) in rows {
        assert_eq!(resume(&mut stage, what), *expected, "{what}");
    }
    stage.forgets("ann");
    for since in [r#"5"#, r#"{"epoch":1,"seq":1}"#, r#"{"epoch":"a","seq":-1}"#, r#"{"epoch":"a"}"#] {
        stage.refused("ann", &format!(r#"{{"type":"join","room_id":"x","since":{since}}}"#), "bad_request");
    }
}

#[test]
fn an_empty_room_lives_as_long_as_its_history() {
    let age = Duration::from_secs(100);
    let mut stage = Stage::keeping(young(age), Settings { empty_room_age: age, ..unhurried() }, &["ann"]);
    stage.joins("ann", "den");
    let first = stage.epoch("ann", "den");
    fill(&mut stage, "ann", "den", 2);
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.waits(age / 2);
    assert_eq!(stage.epoch("ann", "den"), first);
    stage.waits(age);
    stage.forgets("ann");
    stage.refused("ann", r#"{"type":"room","room_id":"den"}"#, "room_not_found");
    stage.joins("ann", "den");
    assert_ne!(stage.epoch("ann", "den"), first);
    stage.closes("ann");
    stage.waits(age * 2);
    stage.check_released();

    // Without history, it ends with its last member; if somebody created it, later.
    let mut stage = Stage::keeping(last(0), unhurried(), &["ann"]);
    stage.joins("ann", "den");
    fill(&mut stage, "ann", "den", 2);
    assert_eq!(history(&mut stage, "ann", "").0, [0; 0]);
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.forgets("ann");
    stage.refused("ann", r#"{"type":"room","room_id":"den"}"#, "room_not_found");
    stage.says("ann", r#"{"type":"create_room","room_id":"hut"}"#);
    stage.closes("ann");
    stage.waits(Duration::from_secs(24 * 60 * 60));
    assert_eq!(stage.chat.counts().rooms, 1);
    stage.waits(Duration::from_secs(7 * 24 * 60 * 60));
    stage.check_released();
}

/// A store that was filled before: its rooms and people are known, and leaving deletes nothing.
#[test]
fn a_store_that_was_filled_before() {
    let mut memory = Memory::new(last(5), 1);
    let at = Moment { tick: Tick(START), unix_ms: 7 };
    let attic = Description { room: "attic", title: Some("Attic"), topic: None, created_at: 8, created: true };
    let (conversation, about) = (Conversation::Room("attic"), Some(attic));
    let query = Query::Head;
    memory.ask(Request::Read { conversation, query, reader: None, now: at, about, ticket: Ticket(0) }).unwrap();
    for (conversation, content) in [
        (Conversation::Room("den"), "one"),
        (Conversation::Room("den"), "two"),
        (Conversation::Direct("ann", "bob"), "hi"),
    ] {
        let entry = NewEntry::message("ann", content, at);
        memory.ask(Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(0) }).unwrap();
    }
    while memory.poll().is_some() {}
    let mut stage = Stage::with(Settings { max_rooms: 2, ..unhurried() }, Box::new(memory));
    stage.opens("ann", "ann");
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"rooms"}"#);
    stage.heard(
        "ann",
        [concat!(
            r#"{"type":"rooms","rooms":[{"room_id":"attic","name":"Attic","members":0,"joined":false},"#,
            r#"{"room_id":"den","name":"den","members":0,"joined":false}]}"#
        )],
    );
    stage.says("ann", r#"{"type":"room","room_id":"attic"}"#);
    let answer = stage.takes("ann").remove(0);
    assert_eq!((number_of(&answer, "created_at"), number_of(&answer, "seq")), (Some(8), Some(0)));
    // One can write to users who were known, and to nobody else.
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"x"}"#);
    stage.heard_kinds("ann", &["direct"]);
    stage.refused("ann", r#"{"type":"direct","user_id":"cat","content":"x"}"#, "user_not_found");
    let epoch = stage.epoch("ann", "den");
    for _ in 0..3 {
        stage.says("ann", r#"{"type":"join","room_id":"den","history":10}"#);
        stage.heard_kinds("ann", &["joined", "broadcast", "broadcast", "online_users"]);
        stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
        stage.heard_kinds("ann", &["left"]);
        assert_eq!(stage.epoch("ann", "den"), epoch);
    }
    // A room that keeps nothing makes room before one that keeps something; then that one does, with all that it keeps.
    stage.joins("ann", "hut");
    assert_eq!(stage.epoch("ann", "den"), epoch);
    stage.joins("ann", "shed");
    stage.refused("ann", r#"{"type":"room","room_id":"den"}"#, "room_not_found");
    stage.says("ann", r#"{"type":"leave","room_id":"hut"}"#);
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"join","room_id":"den","history":10}"#);
    stage.heard_kinds("ann", &["joined", "online_users"]);
    assert_ne!(stage.epoch("ann", "den"), epoch);
}
