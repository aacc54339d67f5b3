//! A backend that answers late, or not well: the chat promises the same.

use std::cell::RefCell;
use std::rc::Rc;

use super::tokens::{Credulous, auth, comes, token};
use super::*;
use crate::backend::{News, Overloaded, Request, Ticket};

/// Answers only while the gate is open; closed for good, every request fails.
pub(super) struct Late {
    memory: Memory,
    gate: Rc<RefCell<Gate>>,
    failed: Vec<Ticket>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Gate {
    Open,
    Shut,
    Down,
    Full,
}

impl Late {
    pub(super) fn new(limits: Limits, gate: Rc<RefCell<Gate>>) -> Self {
        Self { memory: Memory::new(limits, 1), gate, failed: Vec::new() }
    }
}

impl Backend for Late {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        match (*self.gate.borrow(), request.ticket()) {
            (Gate::Full, _) => Err(Overloaded),
            (Gate::Down, Some(ticket)) => {
                self.failed.push(ticket);
                Ok(())
            }
            _ => self.memory.ask(request),
        }
    }

    fn tell_catalogue(&mut self) {
        self.memory.tell_catalogue();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        match *self.gate.borrow() {
            Gate::Shut => None,
            _ if !self.failed.is_empty() => Some(News::Failed { ticket: self.failed.remove(0) }),
            _ => self.memory.poll(),
        }
    }

    fn is_idle(&self) -> bool {
        self.failed.is_empty() && self.memory.is_idle()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.memory.expire(now)
    }

    fn keeps(&self) -> bool {
        self.memory.keeps()
    }

    fn durability(&self) -> &'static str {
        self.memory.durability()
    }

    fn about(&self) -> String {
        self.memory.about()
    }
}

fn stage(users: &[&str]) -> (Stage, Rc<RefCell<Gate>>) {
    let gate = Rc::new(RefCell::new(Gate::Open));
    let mut stage = Stage::with(unhurried(), Box::new(Late::new(Limits::default(), gate.clone())));
    for name in users {
        stage.opens(name, name);
        stage.forgets(name);
    }
    (stage, gate)
}

impl Stage {
    pub(super) fn hears_the_backend(&mut self) {
        self.chat.handle_backend(self.now, &mut self.out);
        self.dispatch();
    }
}

#[test]
fn requests_of_a_session_keep_their_order() {
    let (mut stage, gate) = stage(&["ann", "bob"]);
    stage.joins("bob", "den");
    *gate.borrow_mut() = Gate::Shut;
    stage.says("ann", r#"{"type":"join","room_id":"den","id":1}"#);
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":2}"#);
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    stage.says("ann", r#"{"type":"leave","room_id":"den","id":3}"#);
    stage.heard_nothing("ann");
    stage.refused("ann", r#"{"type":"broadcast","room_id":"den","content":"y"}"#, "not_joined");
    stage.says("ann", r#"{"type":"join","room_id":"den","id":4}"#);
    *gate.borrow_mut() = Gate::Open;
    stage.hears_the_backend();
    stage.heard_kinds("ann", &["joined", "online_users", "broadcast", "left", "joined", "online_users"]);
    stage.heard_kinds("bob", &["user_joined", "broadcast", "user_left", "user_joined"]);
}

/// Each `join` is answered, also where the session has asked to leave, and to come in again, before the store answers.
#[test]
fn a_room_is_entered_and_left_several_times_before_the_store_answers() {
    for inside in [false, true] {
        let (mut stage, gate) = stage(&["ann", "bob"]);
        stage.joins("bob", "den");
        if inside {
            stage.joins("ann", "den");
            stage.forgets("bob");
        }
        *gate.borrow_mut() = Gate::Shut;
        let join = r#"{"type":"join","room_id":"den"}"#;
        let list = r#"{"type":"join","rooms":[{"room_id":"den"}]}"#;
        let (say, leave) =
            (r#"{"type":"broadcast","room_id":"den","content":"x"}"#, r#"{"type":"leave","room_id":"den"}"#);
        if inside {
            stage.says("ann", leave);
        }
        for request in [join, say, leave, join, join, say, leave, list, leave] {
            stage.says("ann", request);
        }
        stage.refused("ann", say, "not_joined");
        *gate.borrow_mut() = Gate::Open;
        stage.hears_the_backend();
        let first = ["joined", "online_users", "broadcast", "left"];
        let then = ["joined", "online_users", "joined", "broadcast", "left"];
        let last = ["joined", "online_users", "ack", "left"];
        let before: &[&str] = if inside { &["left"] } else { &[] };
        stage.heard_kinds("ann", &[before, &first, &then, &last].concat());
        let each = ["user_joined", "broadcast", "user_left"];
        let before: &[&str] = if inside { &["user_left"] } else { &[] };
        stage.heard_kinds("bob", &[before, &each, &each, &["user_joined", "user_left"]].concat());
        // Nothing is left of it.
        stage.refused("ann", leave, "not_joined");
        stage.joins("ann", "den");
    }
}

#[test]
fn who_is_gone_meanwhile_is_not_missed() {
    let (mut stage, gate) = stage(&["ann", "bob"]);
    stage.joins("bob", "den");
    stage.joins("ann", "den");
    *gate.borrow_mut() = Gate::Shut;
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":2}"#);
    stage.says("ann", r#"{"type":"multicast","user_ids":["bob"],"content":"x"}"#);
    stage.says("ann", r#"{"type":"join","room_id":"attic"}"#);
    stage.closes("ann");
    stage.opens("eve", "eve");
    stage.waits_ms(20_000);
    stage.all_forget();
    *gate.borrow_mut() = Gate::Open;
    stage.hears_the_backend();
    stage.heard_kinds("bob", &["broadcast", "direct"]);
    stage.heard_nothing("eve");
    assert_eq!(stage.chat.counts().rooms, 1);
    assert_eq!(stage.chat.hall.waiting.len(), 0);
}

#[test]
fn a_retry_waits_for_the_first_try() {
    let (mut stage, gate) = stage(&["ann"]);
    stage.joins("ann", "den");
    *gate.borrow_mut() = Gate::Shut;
    let say = r#"{"type":"broadcast","content":"x","id":"a"}"#;
    stage.says("ann", say);
    stage.refused("ann", say, "overloaded");
    *gate.borrow_mut() = Gate::Open;
    stage.hears_the_backend();
    stage.heard_kinds("ann", &["broadcast"]);
    stage.says("ann", say);
    stage.heard_kinds("ann", &["ack"]);
}

#[test]
fn down_and_full() {
    let (mut stage, gate) = stage(&["ann", "bob"]);
    stage.joins("ann", "den");
    for (state, code) in [(Gate::Down, "backend_down"), (Gate::Full, "overloaded")] {
        *gate.borrow_mut() = state;
        for text in [
            r#"{"type":"broadcast","content":"x","id":"a"}"#,
            r#"{"type":"direct","user_id":"bob","content":"x","id":"a"}"#,
            r#"{"type":"join","room_id":"attic"}"#,
            r#"{"type":"history","room_id":"den"}"#,
            r#"{"type":"room","room_id":"den"}"#,
        ] {
            stage.refused("ann", text, code);
        }
        stage.says("ann", r#"{"type":"multicast","user_ids":["bob","dan"],"content":"x","id":"a"}"#);
        stage
            .heard("ann", [r#"{"type":"ack","id":"a","delivered":[],"stored":[],"unknown":["dan"],"failed":["bob"]}"#]);
        assert_eq!(stage.chat.counts().rooms, 1);
        assert_eq!(stage.chat.hall.waiting.len(), 0);
    }
    // A message that failed was not said: the next try is the first.
    *gate.borrow_mut() = Gate::Open;
    stage.says("ann", r#"{"type":"broadcast","content":"x","id":"a"}"#);
    stage.heard_kinds("ann", &["broadcast"]);
    *gate.borrow_mut() = Gate::Down;
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard_kinds("ann", &["left"]);
}

/// A plain session has one room: where the store does not let it in, it is told to come again later, and does not stay
/// in none.
#[test]
fn a_plain_door_with_a_store_that_is_down() {
    for (state, found) in [(Gate::Down, "found it down"), (Gate::Full, "too many")] {
        let (mut stage, gate) = stage(&[]);
        stage.opens_plain("bob", "den", "bob");
        *gate.borrow_mut() = state;
        stage.opens_plain("ann", "den", "ann");
        stage.hears_the_backend();
        let heard = stage.takes("ann");
        assert!(matches!(&heard[..], [error] if kind(error) == "error" && error.contains(found)), "{heard:?}");
        assert_eq!((stage.closed_with("ann"), stage.closed_with("bob")), (Some(1013), None));
        *gate.borrow_mut() = Gate::Open;
        stage.closes("ann");
        stage.opens_plain("ann again", "den", "ann");
        assert_eq!(stage.takes("ann again").len(), 2);
    }
}

/// A new token is not for the room that the session is in, or on its way into: out it goes, whatever the store does.
#[test]
fn a_token_closes_a_room_while_the_store_is_late() {
    for (state, inside) in [Gate::Open, Gate::Shut, Gate::Down, Gate::Full]
        .into_iter()
        .flat_map(|gate| [true, false].map(|inside| (gate, inside)))
    {
        let (mut stage, gate) = stage(&[]);
        stage.chat.hall.rights.set_verifier(Some(Rc::new(Credulous)));
        comes(&mut stage, "ann", &token("ann", 2000, ""));
        comes(&mut stage, "bob", &token("bob", 2000, ""));
        stage.joins("bob", "den");
        if !inside {
            *gate.borrow_mut() = Gate::Shut;
        }
        stage.joins("ann", "den");
        *gate.borrow_mut() = state;
        stage.says("ann", &auth(&token("ann", 2000, r#","rooms":[]"#), 1));
        *gate.borrow_mut() = Gate::Open;
        stage.hears_the_backend();
        let heard = stage.takes("ann");
        let heard_of = |wanted| heard.iter().any(|text| kind(text) == wanted);
        // The join is answered, and there is no `left` of a room whose `joined` never came.
        let refused = heard_of("forbidden") || heard_of("backend_down");
        assert_eq!((heard_of("left"), refused, inside || !heard_of("joined")), (inside, !inside, true), "{heard:?}");
        stage.all_forget();
        stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
        stage.heard_kinds("bob", &["broadcast"]);
        stage.heard_nothing("ann");
        assert_eq!(stage.chat.hall.waiting.len(), 0);
        stage.says("bob", r#"{"type":"members","room_id":"den"}"#);
        assert_eq!(number_of(&stage.takes("bob")[0], "count"), Some(1));
    }
}

/// The answer to a call may come later, and the connection may be gone by then.
#[test]
fn calls_wait_for_the_backend() {
    let (mut stage, gate) = stage(&["ann"]);
    stage.joins("ann", "den");
    let conn = ConnId { index: 1000, generation: 1 };
    stage.names.insert("desk".into(), conn);
    stage.inboxes.insert(conn, Vec::new());
    for (then, publish, create) in [(Gate::Open, "broadcast", "room"), (Gate::Down, "backend_down", "backend_down")] {
        for (call, body, answer) in [
            (Call::Publish, r#"{"room_id":"den","content":"x"}"#, publish),
            (Call::Create, r#"{"room_id":"attic"}"#, create),
        ] {
            // Asked while it is down, it is answered only with the next poll.
            *gate.borrow_mut() = if then == Gate::Down { Gate::Down } else { Gate::Shut };
            stage.chat.handle_call(conn, call, body.as_bytes(), stage.now, &mut stage.out);
            stage.dispatch();
            *gate.borrow_mut() = then;
            stage.hears_the_backend();
            stage.heard_kinds("desk", &[answer]);
            assert!(stage.chat.hall.operators.is_empty());
        }
    }
    *gate.borrow_mut() = Gate::Full;
    for (call, body) in [(Call::Publish, r#"{"room_id":"hut","content":"x"}"#), (Call::Create, r#"{"room_id":"hut"}"#)]
    {
        stage.chat.handle_call(conn, call, body.as_bytes(), stage.now, &mut stage.out);
        stage.dispatch();
        stage.heard_kinds("desk", &["overloaded"]);
    }
}

/// A user who is kicked while the backend has not let them in is neither let in nor sent a replay; a user who is banned
/// while the backend keeps their message has said it.
#[test]
fn kicked_amid_a_join_and_a_message() {
    let (mut stage, gate) = stage(&["ann", "bob"]);
    stage.joins("ann", "den");
    *gate.borrow_mut() = Gate::Shut;
    stage.says("bob", r#"{"type":"join","room_id":"den","history":10}"#);
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"last words"}"#);
    for name in ["bob", "ann"] {
        let conn = ConnId { index: 1000, generation: 1 };
        let body = format!(r#"{{"user_id":"{name}"}}"#);
        stage.chat.handle_call(conn, Call::Kick, body.as_bytes(), stage.now, &mut stage.out);
        stage.dispatch();
        stage.heard_kinds(name, &["goodbye"]);
    }
    *gate.borrow_mut() = Gate::Open;
    stage.hears_the_backend();
    stage.heard_nothing("bob");
    for name in ["ann", "bob"] {
        assert_eq!(stage.closed_with(name), Some(4010));
        stage.closes(name);
    }
    stage.waits_ms(10_000);
    stage.opens("cat", "cat");
    stage.forgets("cat");
    stage.says("cat", r#"{"type":"join","room_id":"den","history":10}"#);
    stage.heard_kinds("cat", &["joined", "broadcast", "online_users"]);
}

/// A session that is put out of a room before a late store has let it in is shown nothing of it: neither its history
/// nor what a search finds there, and hears of no `left`, because its join was refused. One that is inside has what it
/// has asked for before it hears `left`, whoever wants that.
#[test]
fn nothing_is_read_in_a_room_that_one_was_kept_out_of() {
    for (inside, kicked, expected) in [
        (true, true, &["history", "found", "found", "left"][..]),
        (false, true, &["forbidden", "not_joined", "not_joined", "found"]),
        (true, false, &["history", "found", "found", "left"]),
        (false, false, &["joined", "online_users", "history", "found", "found", "left"]),
    ] {
        let (mut stage, gate) = stage(&["ann", "bob"]);
        stage.joins("ann", "den");
        stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"the secret"}"#);
        if inside {
            stage.joins("bob", "den");
        }
        stage.all_forget();
        *gate.borrow_mut() = Gate::Shut;
        if !inside {
            stage.says("bob", r#"{"type":"join","room_id":"den"}"#);
        }
        stage.says("bob", r#"{"type":"history","room_id":"den","id":1}"#);
        stage.says("bob", r#"{"type":"search","room_id":"den","text":"secret","id":2}"#);
        stage.says("bob", r#"{"type":"search","text":"secret","id":3}"#);
        if kicked {
            let conn = ConnId { index: 1000, generation: 1 };
            let body = br#"{"user_id":"bob","room_id":"den"}"#;
            stage.chat.handle_call(conn, Call::Kick, body, stage.now, &mut stage.out);
            stage.dispatch();
        } else {
            stage.says("bob", r#"{"type":"leave","room_id":"den"}"#);
        }
        *gate.borrow_mut() = Gate::Open;
        stage.hears_the_backend();
        let heard = stage.takes("bob");
        let kinds: Vec<String> = heard.iter().map(|text| kind(text)).collect();
        assert_eq!(kinds, expected, "{inside} {kicked}");
        let shown = heard.iter().filter(|text| text.contains("the secret")).count();
        assert_eq!(shown, if kicked && !inside { 0 } else { 3 }, "{heard:?}");
    }
}

/// What a session says in a room right behind its `join`, and before it is kept out of it, is said, and answered by an
/// `ack`, with an `id` or without: it hears nothing of the room.
#[test]
fn what_is_said_before_one_is_kept_out_is_answered() {
    for id in [r#","id":7"#, ""] {
        let (mut stage, gate) = stage(&["ann", "bob"]);
        stage.joins("ann", "den");
        *gate.borrow_mut() = Gate::Shut;
        stage.says("bob", r#"{"type":"join","room_id":"den"}"#);
        stage.says("bob", &format!(r#"{{"type":"broadcast","room_id":"den","content":"hello"{id}}}"#));
        let conn = ConnId { index: 1000, generation: 1 };
        let body = br#"{"user_id":"bob","room_id":"den"}"#;
        stage.chat.handle_call(conn, Call::Kick, body, stage.now, &mut stage.out);
        stage.dispatch();
        *gate.borrow_mut() = Gate::Open;
        stage.hears_the_backend();
        let heard = stage.takes("bob");
        let kinds: Vec<String> = heard.iter().map(|text| kind(text)).collect();
        assert_eq!(kinds, ["forbidden", "ack"], "{heard:?}");
        assert!(heard[1].contains(r#""seq":1"#) && heard[1].contains(id.trim_start_matches(',')), "{heard:?}");
        stage.heard_kinds("ann", &["broadcast"]);
    }
}

/// What a store does not answer costs its frame and no more: the message is that it is overloaded, and not soon that
/// the client is too fast.
#[test]
fn what_is_not_done_costs_a_frame() {
    let names: Vec<String> = (0..9).map(|n| format!("u{n}")).collect();
    let rooms: Vec<String> = (0..60).map(|n| format!(r#"{{"room_id":"r{n}"}}"#)).collect();
    for down in [Gate::Down, Gate::Full] {
        for (text, answers) in [
            (r#"{"type":"search","text":"x","id":1}"#.to_owned(), 1),
            (r#"{"type":"conversations","limit":200,"id":1}"#.to_owned(), 1),
            (r#"{"type":"rooms","limit":200,"id":1}"#.to_owned(), 1),
            (format!(r#"{{"type":"multicast","user_ids":{names:?},"content":"x","id":1}}"#), 1),
            (format!(r#"{{"type":"join","rooms":[{}],"id":1}}"#, rooms.join(",")), 61),
        ] {
            let gate = Rc::new(RefCell::new(Gate::Open));
            let store = Late::new(Limits::default(), Rc::clone(&gate));
            let settings = Settings { full_speed_per_address: 2, ..Settings::default() };
            let mut stage = Stage::with(settings, Box::new(store));
            stage.address = Some(Address(std::num::NonZeroU64::MIN));
            stage.opens("ann", "ann");
            names.iter().for_each(|name| stage.opens(name, name));
            (0..20).for_each(|n| stage.joins("ann", &format!("den{n}")));
            stage.waits_ms(10_000);
            stage.all_forget();
            *gate.borrow_mut() = down;
            stage.says("ann", &text);
            *gate.borrow_mut() = Gate::Open;
            stage.hears_the_backend();
            assert_eq!(stage.takes("ann").len(), answers, "{text}");
            let ping = r#"{"type":"ping","id":2}"#;
            (0..39).for_each(|_| stage.says("ann", ping));
            assert!(stage.takes("ann").iter().all(|heard| kind(heard) == "pong"), "{text}");
            stage.refused("ann", ping, "rate_limited");
            // Those at the address have the other forty.
            (0..40).for_each(|_| stage.says("u0", ping));
            assert!(stage.takes("u0").iter().all(|heard| kind(heard) == "pong"), "{text}");
        }
    }
}

/// A call that the store does not carry out either changes nothing, or its answer says that it holds all the same.
#[test]
fn what_a_store_refuses_is_not_there_or_the_answer_says_so() {
    let (mut stage, gate) = stage(&["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.calls(Call::Ban, r#"{"user_id":"eve"}"#);
    stage.calls(Call::SetRoom, r#"{"room_id":"bar","speak":"operator"}"#);
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"hi"}"#);
    stage.all_forget();
    // Of a session it is so, too.
    for (request, before) in [
        (r#"{"type":"read","room_id":"den","seq":1}"#, r#""unread":1"#),
        (r#"{"type":"topic","room_id":"den","topic":"tea"}"#, r#""unread":1"#),
    ] {
        *gate.borrow_mut() = Gate::Down;
        stage.refused("bob", request, "backend_down");
        *gate.borrow_mut() = Gate::Open;
        stage.says("bob", r#"{"type":"rooms","read":true}"#);
        assert!(stage.takes("bob").remove(0).contains(before), "{request}");
    }
    let state = |stage: &mut Stage| {
        let questions = [
            (Call::Bans, "{}"),
            (Call::RoomSettings, r#"{"room_id":"den"}"#),
            (Call::RoomSettings, r#"{"room_id":"bar"}"#),
            (Call::Room, r#"{"room_id":"den"}"#),
            (Call::Rooms, "{}"),
            (Call::History, r#"{"room_id":"den"}"#),
            (Call::Members, r#"{"room_id":"den"}"#),
        ];
        questions.map(|(call, body)| stage.calls(call, body))
    };
    let holds = "; it holds all the same until Salon stops, and may not be kept behind that: call again";
    for (call, body, changed) in [
        (Call::Publish, r#"{"room_id":"den","sender":"ann","content":"x"}"#, None),
        (Call::Delete, r#"{"room_id":"den","sender":"ann","of":1}"#, None),
        (Call::Create, r#"{"room_id":"hut","name":"Hut"}"#, None),
        (Call::Topic, r#"{"room_id":"den","name":"Den","topic":"tea","sender":"ann"}"#, None),
        (Call::Ban, r#"{"user_id":"mallory","note":"spam"}"#, Some(0)),
        (Call::Unban, r#"{"user_id":"eve"}"#, Some(0)),
        (Call::SetRoom, r#"{"room_id":"den","join":"operator"}"#, Some(1)),
        (Call::UnsetRoom, r#"{"room_id":"bar"}"#, Some(2)),
    ] {
        for (refuses, code) in [(Gate::Full, "overloaded"), (Gate::Down, "backend_down")] {
            let before = state(&mut stage);
            *gate.borrow_mut() = refuses;
            let answer = stage.calls(call, body);
            *gate.borrow_mut() = Gate::Open;
            let after = state(&mut stage);
            assert_eq!(text_of(&answer, "code").as_deref(), Some(code), "{body}");
            let changed = changed.filter(|_| refuses == Gate::Down);
            assert_eq!(answer.contains(holds), changed.is_some(), "{answer}");
            for (at, (before, after)) in before.iter().zip(&after).enumerate() {
                assert_eq!(before != after, changed == Some(at), "{body}: {before} {after}");
            }
        }
    }
}
