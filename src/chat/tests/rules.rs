//! What is set for rooms by name: who may be in them, speak there and make them, and how fast.

use std::cell::RefCell;
use std::num::NonZeroU64;

use super::late::{Gate, Late};
use super::tokens::{Credulous, comes, stage as with_tokens, token};
use super::*;
use crate::chat::rules::{Key, Rule, Rules, Values, Written};
use crate::chat::timers::Timer;

/// Rules, each with a pattern and what it says: `key=value`, or `key=one,two` for names.
fn rules(text: &[(&str, &[&str])]) -> Rules {
    let rule = |(pattern, given): &(&str, &[&str])| {
        let mut values = Values::default();
        for word in *given {
            let (key, value) = word.split_once('=').unwrap();
            let written = match value.split_once(',') {
                Some(_) => Written::Many(value.split(',').filter(|name| !name.is_empty()).collect()),
                None => Written::One(value),
            };
            values.set(Key::parse(key).unwrap(), &written).unwrap();
        }
        Rule { patterns: Rule::patterns(&[pattern]).unwrap(), values, line: 1 }
    };
    Rules::of(text.iter().map(rule).collect()).unwrap()
}

fn ruled(text: &[(&str, &[&str])]) -> Settings {
    Settings { rooms: rules(text), ..unhurried() }
}

impl Stage {
    /// Says it, and returns the kinds of what it then hears, but for who is in a room.
    fn asks(&mut self, device: &str, text: &str) -> String {
        self.says(device, text);
        let kinds = self.takes(device).iter().map(|text| kind(text)).collect::<Vec<_>>();
        kinds.into_iter().filter(|kind| kind != "online_users").collect::<Vec<_>>().join(" ")
    }

    /// How many requests were refused by what is set for each key.
    fn ruled_out(&self) -> [u64; Key::OF_CHAT.len()] {
        self.chat.counts().ruled_out
    }

    /// A plain session with a token comes in.
    fn comes_plain(&mut self, name: &str, room_name: &str) {
        let grant = Credulous.verify(&token(name, 2000, ""), self.now.unix_ms).unwrap();
        self.open(name, Door::Token { grant, room: Some(room(room_name)) });
    }

    fn changes(&mut self, text: &[(&str, &[&str])], verifier: Option<Rc<dyn Verifier>>) {
        self.chat.change_settings(ruled(text), verifier, self.now);
        self.waits_ms(100);
    }
}

const JOIN: &str = r#"{"type":"join","room_id":"den"}"#;
const SAY: &str = r#"{"type":"broadcast","room_id":"den","content":"hi"}"#;

/// Each row: who may, and whether each of four sessions may: a guest, one with a name, and with tokens one with the
/// role and one without.
#[test]
fn who_may_be_in_a_room() {
    let rows = [
        ("join=everybody", [true, true, true, true]),
        ("join=named", [false, true, true, true]),
        ("join=role", [false, false, true, false]),
        ("join=operator", [false, false, false, false]),
        ("join=bob,", [false, false, false, true]),
        ("join=ann,bob", [false, false, true, true]),
        ("join=cat,", [false, false, false, false]),
    ];
    for (rule, [guest, named, with_role, without]) in rows {
        let text: [(&str, &[&str]); 1] = [("d*", &[rule])];
        let mut open = Stage::json(ruled(&text), &["bob"]);
        open.open("guest", Door::Json { user: None });
        open.forgets("guest");
        let mut tokens = with_tokens(ruled(&text));
        comes(&mut tokens, "ann", &token("ann", 2000, r#","roles":["moderate"]"#));
        comes(&mut tokens, "bob", &token("bob", 2000, ""));
        tokens.all_forget();
        for (has_tokens, device, may) in
            [(false, "guest", guest), (false, "bob", named), (true, "ann", with_role), (true, "bob", without)]
        {
            let stage = if has_tokens { &mut tokens } else { &mut open };
            // Where it is not yet, where it is, and as a list.
            assert_eq!(stage.asks(device, JOIN), if may { "joined" } else { "forbidden" }, "{rule} {device}");
            stage.calls(Call::Create, r#"{"room_id":"dig"}"#);
            assert_eq!(
                stage.asks(device, r#"{"type":"join","rooms":[{"room_id":"dig"}],"id":1}"#),
                if may { "joined ack" } else { "forbidden ack" },
                "{rule} {device}"
            );
            // Nor is it told about, or listed.
            let room = stage.asks(device, r#"{"type":"room","room_id":"dig"}"#);
            assert_eq!(room, if may { "room" } else { "forbidden" }, "{rule} {device}");
            stage.says(device, r#"{"type":"rooms"}"#);
            assert_eq!(stage.takes(device)[0].contains("dig"), may, "{rule} {device}");
            assert_eq!(stage.asks(device, r#"{"type":"join","room_id":"other"}"#), "joined", "no rule is for it");
            stage.all_forget();
        }
        let refused = [guest, named, with_role, without].iter().filter(|may| !**may).count() as u64;
        assert_eq!(open.ruled_out()[Key::Join as usize] + tokens.ruled_out()[Key::Join as usize], 3 * refused);
    }
}

/// A token narrows what is set, and nothing that is set widens a token.
#[test]
fn a_rule_widens_no_token() {
    let mut stage = with_tokens(ruled(&[("*", &["join=everybody", "speak=everybody", "make=everybody"])]));
    comes(&mut stage, "ann", &token("ann", 2000, r#","rooms":["tea"]"#));
    stage.all_forget();
    assert_eq!(stage.asks("ann", JOIN), "forbidden");
    assert_eq!(stage.asks("ann", r#"{"type":"create_room","room_id":"den"}"#), "forbidden");
    assert_eq!(stage.asks("ann", r#"{"type":"join","room_id":"tea"}"#), "joined");
    assert_eq!(stage.ruled_out(), [0; Key::OF_CHAT.len()]);
}

/// A guest who joins with a name is one who has a name; a guest who may not make the room stays a guest.
#[test]
fn a_guest_who_takes_a_name_has_it() {
    let mut stage = Stage::json(ruled(&[("den", &["join=named", "make=named"]), ("tea", &["join=operator"])]), &[]);
    stage.open("guest", Door::Json { user: None });
    stage.forgets("guest");
    assert_eq!(stage.asks("guest", r#"{"type":"join","room_id":"tea","user_id":"bob"}"#), "forbidden");
    assert_eq!(stage.asks("guest", JOIN), "forbidden");
    assert_eq!(stage.asks("guest", r#"{"type":"join","room_id":"den","user_id":"bob"}"#), "joined");
}

#[test]
fn who_may_speak_in_a_room() {
    let mut stage = with_tokens(ruled(&[("den", &["speak=role"]), ("cup", &["speak=everybody"])]));
    comes(&mut stage, "ann", &token("ann", 2000, r#","roles":["moderate"]"#));
    comes(&mut stage, "bob", &token("bob", 2000, ""));
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    assert_eq!(stage.asks("ann", SAY), "broadcast");
    stage.all_forget();
    for (text, answer) in [
        (SAY, "forbidden"),
        (r#"{"type":"broadcast","content":"hi"}"#, "forbidden"),
        (r#"{"type":"react","room_id":"den","of":1,"emoji":"👍","on":true}"#, "forbidden"),
        (r#"{"type":"edit","room_id":"den","of":1,"content":"x"}"#, "forbidden"),
        (r#"{"type":"topic","room_id":"den","topic":"x"}"#, "forbidden"),
        // It is not answered, and nobody hears it.
        (r#"{"type":"typing","room_id":"den","typing":true}"#, ""),
        (r#"{"type":"direct","user_id":"ann","content":"hi"}"#, "direct"),
    ] {
        assert_eq!(stage.asks("bob", text), answer, "{text}");
    }
    stage.heard_kinds("ann", &["direct"]);
    assert_eq!(stage.ruled_out()[Key::Speak as usize], 5);
    // The operator speaks anywhere.
    assert_eq!(kind(&stage.calls(Call::Publish, r#"{"room_id":"den","content":"hi"}"#)), "broadcast");
    // In a plain room, what is said to everybody is like a message of it.
    for room in ["den", "cup", "tea"] {
        stage.comes_plain(room, room);
    }
    let all = r#"{"type":"broadcast","room_id":"*","content":"hi"}"#;
    for (device, den) in [("bob", 0), ("ann", 1)] {
        stage.all_forget();
        stage.says(device, all);
        stage.heard_kinds("ann", &["broadcast"]);
        assert_eq!(["den", "cup", "tea"].map(|room| stage.takes(room).len()), [den, 1, 1], "{device}");
    }
    stage.all_forget();
    stage.calls(Call::Broadcast, r#"{"content":"hi"}"#);
    stage.heard_kinds("den", &["chat"]);
}

/// The title and the topic that a room is made with are heard by those who come in.
#[test]
fn who_may_say_what_a_room_is_about() {
    for (rule, title, answer) in [
        ("speak=role", r#","name":"x""#, "forbidden"),
        ("speak=role", r#","topic":"x""#, "forbidden"),
        ("speak=role", "", "room"),
        ("speak=everybody", r#","name":"x","topic":"x""#, "room"),
    ] {
        let mut stage = with_tokens(ruled(&[("den", &[rule])]));
        comes(&mut stage, "ann", &token("ann", 2000, r#","roles":["moderate"]"#));
        comes(&mut stage, "bob", &token("bob", 2000, ""));
        stage.all_forget();
        let make = format!(r#"{{"type":"create_room","room_id":"den"{title}}}"#);
        assert_eq!(stage.asks("bob", &make), answer, "{rule} {title}");
        assert_eq!(stage.asks("ann", &make), "room", "{rule} {title}");
        // Of a room that is there it says nothing.
        assert_eq!(stage.asks("bob", &make), "room", "{rule} {title}");
    }
}

/// One who types when it is forbidden stops for the others when they say so.
#[test]
fn one_who_may_not_speak_stops_typing() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.all_forget();
    let types = |typing: bool| format!(r#"{{"type":"typing","room_id":"den","typing":{typing}}}"#);
    stage.says("ann", &types(true));
    stage.heard_kinds("bob", &["typing"]);
    stage.changes(&[("den", &["speak=operator"])], None);
    stage.says("ann", &types(false));
    stage.heard("bob", [r#"{"type":"typing","room_id":"den","user_id":"ann","typing":false}"#]);
}

/// What was said before it was forbidden can be said again as a retry, and taken back.
#[test]
fn what_was_said_before() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    let said = r#"{"type":"broadcast","room_id":"den","content":"hi","id":"x1"}"#;
    assert_eq!(stage.asks("ann", said), "broadcast");
    stage.changes(&[("den", &["speak=operator"])], None);
    assert_eq!(stage.asks("ann", said), "ack");
    assert_eq!(stage.asks("ann", SAY), "forbidden");
    assert_eq!(stage.asks("ann", r#"{"type":"delete","room_id":"den","of":1}"#), "deleted");
}

/// Each row: whether the setting for all lets anybody make rooms, what is set for this one, and who makes it.
#[test]
fn who_may_make_a_room() {
    for (anybody, rule, with_role, without) in [
        (true, None, true, true),
        (false, None, true, false),
        (true, Some("make=role"), true, false),
        (false, Some("make=everybody"), true, true),
        (false, Some("make=bob,"), false, true),
        (true, Some("make=operator"), false, false),
    ] {
        let given = rule.map(|rule| [rule]);
        let text: Vec<(&str, &[&str])> = given.iter().map(|given| ("d*", &given[..])).collect();
        for (device, may) in [("ann", with_role), ("bob", without)] {
            let mut stage = with_tokens(Settings { anybody_may_create: anybody, ..ruled(&text) });
            comes(&mut stage, "ann", &token("ann", 2000, r#","roles":["create"]"#));
            comes(&mut stage, "bob", &token("bob", 2000, ""));
            stage.all_forget();
            let (join, make) = if may { ("joined", "room") } else { ("room_not_found", "forbidden") };
            assert_eq!(stage.asks(device, JOIN), join, "{anybody} {rule:?} {device}");
            assert_eq!(stage.asks(device, r#"{"type":"create_room","room_id":"dig"}"#), make, "{anybody} {rule:?}");
            let counted = if may || rule.is_none() { 0 } else { 2 };
            assert_eq!(stage.ruled_out()[Key::Make as usize], counted, "{anybody} {rule:?} {device}");
            // Whether or not they may make it: once it is there, anybody comes in.
            stage.calls(Call::Create, r#"{"room_id":"den"}"#);
            assert_eq!(stage.asks(device, JOIN), "joined");
        }
    }
}

#[test]
fn how_fast_in_a_room() {
    let mut stage = Stage::json(ruled(&[("quick", &["rate=off"]), ("*", &["rate=1:2"])]), &["ann", "bob"]);
    for room in ["den", "tea", "quick"] {
        stage.joins("ann", room);
        stage.joins("bob", room);
    }
    let say = |room: &str| format!(r#"{{"type":"broadcast","room_id":"{room}","content":"hi"}}"#);
    for (device, room, waits_ms, answer) in [
        ("ann", "den", 0, "broadcast"),
        ("ann", "den", 0, "broadcast"),
        ("ann", "den", 0, "rate_limited"),
        // Other people, and other rooms, have a rate of their own.
        ("bob", "den", 0, "broadcast"),
        ("ann", "tea", 0, "broadcast"),
        ("ann", "quick", 0, "broadcast"),
        ("ann", "quick", 0, "broadcast"),
        ("ann", "quick", 0, "broadcast"),
        ("ann", "den", 999, "rate_limited"),
        ("ann", "den", 1, "broadcast"),
        ("ann", "den", 0, "rate_limited"),
    ] {
        stage.waits_ms(waits_ms);
        stage.all_forget();
        assert_eq!(stage.asks(device, &say(room)), answer, "{device} {room}");
    }
    stage.says("ann", &say("den"));
    let error = stage.takes("ann").remove(0);
    assert_eq!(number_of(&error, "retry_after_ms"), Some(1000), "{error}");
    assert_eq!(text_of(&error, "message").unwrap(), "expected messages in the room at its rate of 1:2, found more");
    assert_eq!((stage.ruled_out()[Key::Rate as usize], stage.chat.counts().rate_limited), (4, 4));
    assert_eq!(kind(&stage.calls(Call::Publish, r#"{"room_id":"den","sender":"ann","content":"hi"}"#)), "broadcast");
}

/// Another name helps no more than four times, and taking one not at all.
#[test]
fn how_fast_from_an_address() {
    let mut stage = Stage::new(ruled(&[("den", &["rate=1:2"])]));
    let mut said = Vec::new();
    for (n, address) in [1, 1, 1, 1, 1, 1, 2].into_iter().enumerate() {
        stage.address = NonZeroU64::new(address).map(Address);
        let name = format!("u{n}");
        stage.opens(&name, &name);
        stage.joins(&name, "den");
        said.push((0..3).filter(|_| stage.asks(&name, SAY).contains("broadcast")).count());
        stage.closes(&name);
    }
    assert_eq!(said, [2, 2, 2, 2, 0, 0, 2]);
    for address in [None, NonZeroU64::new(3)] {
        stage.address = address.map(Address);
        stage.open("guest", Door::Json { user: None });
        stage.joins("guest", "den");
        stage.forgets("guest");
        let say = |stage: &mut Stage| stage.asks("guest", SAY);
        assert_eq!([(); 2].map(|()| say(&mut stage)), ["broadcast"; 2]);
        let name = format!(r#"{{"type":"join","room_id":"den","user_id":"named-{}"}}"#, address.is_some());
        stage.says("guest", &name);
        stage.forgets("guest");
        assert_eq!(say(&mut stage), "rate_limited", "{address:?}");
        stage.closes("guest");
    }
}

/// One who may be in a room no longer leaves it, in either dialect, and nobody else does.
#[test]
fn who_may_stay_when_it_changes() {
    let mut stage = Stage::json(unhurried(), &["bob"]);
    stage.opens_plain("plain", "den", "eve");
    stage.open("guest", Door::Json { user: None });
    let guest = text_of(&stage.takes("guest")[0], "user_id").unwrap();
    for room in ["den", "tea"] {
        stage.joins("guest", room);
        stage.joins("bob", room);
    }
    stage.changes(&[("den", &["join=named"]), ("tea", &["speak=operator"])], None);
    stage.heard("guest", [r#"{"type":"left","room_id":"den"}"#]);
    stage.heard("bob", [format!(r#"{{"type":"user_left","room_id":"den","user_id":"{guest}"}}"#)]);
    assert!(stage.hears("guest", "tea") && stage.hears("bob", "den"));
    stage.all_forget();
    stage.changes(&[("den", &["join=operator"])], None);
    assert_eq!(stage.closed_with("plain"), Some(1008));
    assert!(stage.hears("bob", "tea") && !stage.hears("bob", "den"));
    stage.all_forget();
    stage.changes(&[], None);
    stage.heard_nothing("bob");
    assert_eq!(stage.asks("bob", JOIN), "joined");
    // One who has lost the connection has the grace, whatever is set: nobody knows what they may when they come again.
    stage.opens("eve", "eve");
    stage.joins("eve", "tea");
    stage.joins("bob", "tea");
    stage.closes("bob");
    stage.all_forget();
    stage.changes(&[("tea", &["join=role"])], None);
    stage.changes(&[], None);
    stage.joins("eve", "tea");
    stage.opens("bob again", "bob");
    stage.joins("bob again", "tea");
    assert!(!stage.takes("eve").iter().any(|text| text.contains("bob")));
}

/// Two hundred in one room, which stays when nobody is in it, and their names.
fn many_inside() -> (Stage, Vec<String>) {
    let names: Vec<String> = (0..200).map(|n| format!("user-{n:03}")).collect();
    let mut stage = Stage::json(unhurried(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    names.iter().for_each(|name| stage.joins(name, "den"));
    stage.says("user-000", SAY);
    stage.all_forget();
    (stage, names)
}

/// Sessions beyond the first piece of the walk leave too, whatever comes and goes meanwhile.
#[test]
fn all_of_many_leave() {
    let (mut stage, names) = many_inside();
    stage.chat.change_settings(ruled(&[("den", &["join=operator"])]), None, stage.now);
    // Still there, but not heard.
    assert_eq!(stage.asks("user-199", SAY), "forbidden");
    stage.waits_ms(1);
    stage.closes("user-100");
    // Changed again amid the walk: it goes on until all were looked at since.
    stage.chat.change_settings(ruled(&[("d*", &["join=operator"])]), None, stage.now);
    stage.waits_ms(100);
    for name in names.iter().filter(|name| **name != "user-100") {
        assert!(!stage.hears(name, "den"), "{name}");
    }
}

/// A room that is not there has nobody to put out.
#[test]
fn nobody_is_looked_at_for_a_room_that_is_not_there() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    for (room, looks) in [("nowhere", false), ("den", true)] {
        stage.calls(Call::SetRoom, &format!(r#"{{"room_id":"{room}","join":"named"}}"#));
        assert_eq!(stage.chat.hall.timers.is_set(&Timer::Stay), looks, "{room}");
    }
}

/// One who may be in a room no longer can do nothing there from the call on, also before the walk has come to them.
/// Each row: what they ask for, and the answer.
#[test]
fn those_who_may_not_be_there_before_they_have_left() {
    let mut stage = with_tokens(unhurried());
    comes(&mut stage, "ann", &token("ann", 2000, r#","roles":["moderate"]"#));
    comes(&mut stage, "bob", &token("bob", 2000, ""));
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.comes_plain("eve", "den");
    stage.all_forget();
    assert_eq!(stage.asks("bob", r#"{"type":"broadcast","room_id":"den","content":"hi","id":"x1"}"#), "broadcast");
    stage.all_forget();
    stage.calls(Call::SetRoom, r#"{"room_id":"den","join":"role"}"#);
    for (text, answer) in [
        (SAY, "forbidden"),
        (r#"{"type":"broadcast","content":"hi"}"#, "forbidden"),
        (r#"{"type":"edit","room_id":"den","of":1,"content":"x"}"#, "forbidden"),
        (r#"{"type":"delete","room_id":"den","of":1}"#, "forbidden"),
        (r#"{"type":"react","room_id":"den","of":1,"emoji":"👍","on":true}"#, "forbidden"),
        (r#"{"type":"topic","room_id":"den","topic":"x"}"#, "forbidden"),
        (r#"{"type":"typing","room_id":"den","typing":true}"#, ""),
        (r#"{"type":"history","room_id":"den"}"#, "forbidden"),
        (r#"{"type":"search","room_id":"den","text":"hi"}"#, "forbidden"),
        (r#"{"type":"members","room_id":"den"}"#, "forbidden"),
        (r#"{"type":"presence","room_id":"den"}"#, "forbidden"),
        (r#"{"type":"read","room_id":"den","seq":1}"#, "forbidden"),
        // What was said already is answered.
        (r#"{"type":"broadcast","room_id":"den","content":"hi","id":"x1"}"#, "ack"),
    ] {
        assert_eq!(stage.asks("bob", text), answer, "{text}");
    }
    stage.says("bob", r#"{"type":"search","text":"hi"}"#);
    stage.heard("bob", [r#"{"type":"found","items":[]}"#]);
    assert_eq!(stage.asks("eve", "hi"), "error");
    stage.heard_nothing("ann");
    for (text, answer) in [(SAY, "broadcast"), (r#"{"type":"history","room_id":"den"}"#, "history")] {
        assert_eq!(stage.asks("ann", text), answer, "{text}");
    }
    stage.all_forget();
    stage.waits_ms(10);
    stage.heard_kinds("bob", &["left"]);
    assert_eq!(stage.closed_with("eve"), Some(1008));
}

/// What was asked of a late store before somebody was kept out is not answered after that: nobody comes in, and nothing
/// is shown.
#[test]
fn what_a_late_store_brings_to_those_who_may_not_be_there() {
    let gate = Rc::new(RefCell::new(Gate::Open));
    let mut stage = Stage::with(unhurried(), Box::new(Late::new(Limits::default(), gate.clone())));
    for name in ["ann", "bob", "cat", "dan"] {
        stage.opens(name, name);
    }
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    assert_eq!(stage.asks("ann", SAY), "broadcast");
    stage.all_forget();
    *gate.borrow_mut() = Gate::Shut;
    stage.says("bob", r#"{"type":"history","room_id":"den"}"#);
    stage.says("bob", r#"{"type":"search","room_id":"den","text":"hi"}"#);
    stage.says("bob", r#"{"type":"join","room_id":"den","id":1}"#);
    stage.says("cat", r#"{"type":"join","room_id":"den","history":9,"id":1}"#);
    stage.says("dan", r#"{"type":"join","rooms":[{"room_id":"den"}],"id":1}"#);
    stage.opens_plain("eve", "den", "eve");
    stage.chat.change_settings(ruled(&[("den", &["join=operator"])]), None, stage.now);
    *gate.borrow_mut() = Gate::Open;
    stage.hears_the_backend();
    stage.heard_kinds("bob", &["not_joined", "not_joined", "forbidden"]);
    stage.heard_kinds("cat", &["forbidden"]);
    stage.heard_kinds("dan", &["forbidden", "ack"]);
    stage.heard_kinds("eve", &["error"]);
    assert_eq!(stage.closed_with("eve"), Some(1008));
    stage.heard_nothing("ann");
    stage.waits_ms(10);
    stage.heard_kinds("ann", &["left"]);
    stage.heard_kinds("bob", &["user_left", "left"]);
    stage.heard_nothing("cat");
    assert!(stage.chat.hall.roster.room(0).members.is_empty());
}

/// However often something else is set meanwhile, also the last sessions are looked at.
#[test]
fn all_leave_whatever_is_set_meanwhile() {
    let (mut stage, names) = many_inside();
    stage.joins("user-000", "tea");
    stage.calls(Call::SetRoom, r#"{"room_id":"den","join":"operator"}"#);
    for _ in 0..4 {
        stage.calls(Call::SetRoom, r#"{"room_id":"tea","join":"named"}"#);
        stage.waits_ms(1);
    }
    for name in &names {
        assert!(!stage.hears(name, "den"), "{name}");
    }
    assert!(stage.hears("user-000", "tea"));
}

/// Another token of the same user, without the role, is for one room less.
#[test]
fn a_token_without_the_role() {
    let mut stage = with_tokens(ruled(&[("den", &["join=role"])]));
    comes(&mut stage, "ann", &token("ann", 2000, r#","roles":["moderate"]"#));
    for room in ["den", "tea"] {
        stage.joins("ann", room);
    }
    stage.says("ann", &super::tokens::auth(&token("ann", 2000, ""), 1));
    stage.heard_kinds("ann", &["ack", "left"]);
    assert!(stage.hears("ann", "tea"));
    assert_eq!(stage.asks("ann", JOIN), "forbidden");
}

/// A plain session comes with its one room: it hears why, and is closed.
#[test]
fn a_plain_session_that_may_not_be_there() {
    let mut stage = Stage::json(ruled(&[("den", &["join=operator"]), ("tea", &["speak=operator"])]), &[]);
    stage.opens_plain("bob", "den", "bob");
    stage.heard_kinds("bob", &["error"]);
    assert_eq!(stage.closed_with("bob"), Some(1008));
    stage.opens_plain("cat", "tea", "cat");
    stage.forgets("cat");
    assert_eq!(stage.asks("cat", "hi"), "error");
    assert_eq!(stage.closed_with("cat"), None);
}

/// 64 rules, which take 8 KiB to compare a name with.
fn long_rules() -> Settings {
    long_rules_and(("x", &["join=named"]))
}

/// The same with one that says something.
fn long_rules_and((pattern, given): (&str, &[&str])) -> Settings {
    let long = "x".repeat(127);
    let many: Vec<String> = (0..63).map(|n| format!("{long}{}", char::from(b'0' + n % 10))).collect();
    let many = many.iter().map(|pattern| (pattern.as_str(), &["join=named"][..]));
    let filled = format!("{pattern}{}", "*".repeat(128 - pattern.len()));
    let many: Vec<(&str, &[&str])> = std::iter::once((filled.as_str(), given)).chain(many).collect();
    ruled(&many)
}

/// The rooms of each page of all rooms.
fn pages(stage: &mut Stage) -> Vec<usize> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        stage.says("ann", &format!(r#"{{"type":"rooms","limit":200{cursor}}}"#));
        let page = stage.takes("ann").remove(0);
        pages.push(page.matches("room_id").count());
        match text_of(&page, "next") {
            Some(next) => cursor = format!(r#","cursor":"{next}""#),
            None => return pages,
        }
    }
}

/// A page of rooms compares no more names with patterns than 256 KiB of patterns pay for, where the rooms do not know
/// yet what wins. Names that a token is not for are not compared.
#[test]
fn a_page_of_rooms_after_a_change() {
    let confined = token("ann", 2000, r#","rooms":["room-00*"]"#);
    // Each page looks twice: at first for what the store is to be asked.
    for (token, first, again) in [(token("ann", 2000, ""), &[64, 36][..], 100), (confined, &[10], 10)] {
        let mut stage = with_tokens(unhurried());
        comes(&mut stage, "ann", &token);
        for n in 0..100 {
            stage.calls(Call::Create, &format!(r#"{{"room_id":"room-{n:03}"}}"#));
        }
        stage.all_forget();
        stage.chat.change_settings(long_rules(), Some(Rc::new(Credulous)), stage.now);
        assert_eq!(pages(&mut stage), first);
        assert_eq!(pages(&mut stage), [again], "they know by now");
    }
}

/// A page that ends at a room that is hidden says where the next one begins, and not what is there. Nor does it go on
/// behind another room for that.
#[test]
fn a_page_that_ends_at_a_hidden_room() {
    let mut stage = with_tokens(unhurried());
    comes(&mut stage, "ann", &token("ann", 2000, ""));
    for n in 0..200 {
        stage.calls(Call::Create, &format!(r#"{{"room_id":"hidden-{n:03}"}}"#));
    }
    for name in ["attic", "sofa"] {
        stage.calls(Call::Create, &format!(r#"{{"room_id":"{name}"}}"#));
    }
    stage.all_forget();
    let settings = long_rules_and(("hidden-", &["join=operator"]));
    stage.chat.change_settings(settings, Some(Rc::new(Credulous)), stage.now);
    let (mut cursor, mut heard) = (String::new(), Vec::new());
    loop {
        stage.says("ann", &format!(r#"{{"type":"rooms"{cursor}}}"#));
        heard.extend(stage.takes("ann"));
        let Some(next) = text_of(heard.last().unwrap(), "next") else { break };
        cursor = format!(r#","cursor":"{next}""#);
    }
    assert!(heard.len() > 2, "{heard:?}");
    let all = heard.concat();
    assert!(!all.contains("hidden") && all.matches("room_id").count() == 2, "{heard:?}");
    stage.refused("ann", r#"{"type":"rooms","cursor":" 0123456789abcdef"}"#, "bad_request");
}

/// What is one's own one may give up, also of a room that one may not be in; whether it is there is not told. The scope
/// of a token is another thing.
#[test]
fn a_mark_in_a_room_that_one_may_not_be_in() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    stage.says("ann", SAY);
    stage.says("ann", r#"{"type":"read","room_id":"den","seq":1}"#);
    stage.all_forget();
    stage.changes(&[("d*", &["join=operator"])], None);
    stage.all_forget();
    assert_eq!(stage.asks("ann", r#"{"type":"read","room_id":"den","seq":1}"#), "not_joined");
    for room in ["den", "den", "dig"] {
        stage.says("ann", &format!(r#"{{"type":"read","room_id":"{room}","seq":0,"id":1}}"#));
        stage.heard("ann", [r#"{"type":"ack","id":1}"#]);
    }
    assert_eq!(stage.chat.counts().rooms, 1, "asking makes none");
    stage.changes(&[], None);
    stage.says("ann", r#"{"type":"rooms","read":true}"#);
    assert!(!stage.takes("ann")[0].contains("\"read\""));
}

/// What it takes to compare a name with all patterns is noted for the engine, whatever is asked about the room; a room
/// that is there is compared once.
#[test]
fn comparing_is_work() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    let mut ruled = Stage::json(long_rules(), &["ann", "bob"]);
    for (device, text, compared) in [
        ("ann", r#"{"type":"room","room_id":"den"}"#, 1),
        ("ann", r#"{"type":"room","room_id":"den"}"#, 1),
        ("ann", r#"{"type":"read","room_id":"den","seq":0}"#, 1),
        // Whether it may be entered, and made; and in it.
        ("ann", JOIN, 3),
        ("ann", SAY, 0),
        ("bob", JOIN, 0),
        ("bob", r#"{"type":"create_room","room_id":"tea"}"#, 2),
        ("bob", r#"{"type":"rooms"}"#, 1),
        ("bob", r#"{"type":"rooms"}"#, 0),
    ] {
        let [without, with] = [&mut stage, &mut ruled].map(|stage| {
            stage.chat.handle_text(stage.conn(device), text, stage.now, &mut stage.out);
            let work = stage.out.work();
            stage.dispatch();
            work
        });
        assert_eq!(with - without, compared * 32, "{text}");
    }
}

/// Many rooms are left some in a turn, those of one session together.
#[test]
fn rooms_are_left_some_a_turn() {
    let people = ["u0", "u1", "u2", "u3"];
    let mut stage = Stage::json(unhurried(), &people);
    for who in people {
        let rooms: Vec<String> = (0..100).map(|n| format!(r#"{{"room_id":"{who}-{n}"}}"#)).collect();
        stage.says(who, &format!(r#"{{"type":"join","rooms":[{}]}}"#, rooms.join(",")));
    }
    stage.waits_ms(60_000);
    stage.chat.change_settings(ruled(&[("u*", &["join=operator"])]), None, stage.now);
    let mut left = Vec::new();
    for _ in 0..3 {
        stage.all_forget();
        stage.moves_to(stage.now.tick + std::time::Duration::from_millis(1));
        stage.chat.handle_timeout(stage.now, &mut stage.out);
        stage.dispatch();
        left.push(people.map(|who| stage.takes(who).iter().filter(|text| kind(text) == "left").count()));
    }
    assert_eq!(left, [[100, 100, 100, 0], [0, 0, 0, 100], [0; 4]]);
}

/// What the store was given at the start is said of it, whatever the file has by now.
#[test]
fn what_the_store_was_given() {
    let mut stage = Stage::json(ruled(&[("d*", &["history=5", "rate=1:5"])]), &[]);
    let says = |stage: &mut Stage, key: &str| {
        let answer = stage.calls(Call::RoomSettings, r#"{"room_id":"den"}"#);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let settings = answer["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).map(|setting| setting["value"].to_string())
    };
    for (text, history, rate) in [
        (&["history=5", "rate=1:5"][..], Some("\"5\""), Some("\"1:5\"")),
        (&["history=6", "rate=1:6"], Some("\"5\""), Some("\"1:6\"")),
        (&["join=named"], Some("\"5\""), None),
    ] {
        stage.changes(&[("d*", text)], None);
        for (key, expected) in [("history", history), ("rate", rate)] {
            assert_eq!(says(&mut stage, key).as_deref(), expected, "{text:?}");
        }
    }
}

/// What an operator sets for a room comes before the rules; taking it away leaves them.
#[test]
fn what_is_set_by_a_call() {
    let mut stage = Stage::json(ruled(&[("d*", &["speak=operator", "rate=1:5"])]), &["ann"]);
    stage.joins("ann", "den");
    let answer = |settings: &str| format!(r#"{{"type":"room_settings","room_id":"den","settings":[{settings}]}}"#);
    let rule = |key: &str, value: &str| {
        format!(r#"{{"key":"{key}","value":"{value}","from":"rule","rule":1,"match":["d*"],"line":1}}"#)
    };
    let own = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":"{value}","from":"call"}}"#);
    let by_rules = answer(&format!("{},{}", rule("speak", "operator"), rule("rate", "1:5")));
    assert_eq!(stage.calls(Call::RoomSettings, r#"{"room_id":"den"}"#), by_rules);
    assert_eq!(stage.asks("ann", SAY), "forbidden");
    assert_eq!(
        stage.calls(Call::SetRoom, r#"{"room_id":"den","speak":"named","id":1}"#),
        answer(&format!("{},{}", own("speak", "named"), rule("rate", "1:5")))
            .replace("settings\",", "settings\",\"id\":1,")
    );
    assert_eq!(stage.asks("ann", SAY), "broadcast");
    // In its place, and those who may be there no longer leave.
    stage.calls(Call::SetRoom, r#"{"room_id":"den","join":"operator"}"#);
    stage.waits_ms(10);
    assert!(!stage.hears("ann", "den"));
    stage.all_forget();
    assert_eq!(stage.asks("ann", JOIN), "forbidden");
    assert_eq!(stage.calls(Call::UnsetRoom, r#"{"room_id":"den"}"#), by_rules);
    assert_eq!(stage.asks("ann", JOIN), "joined");
    for (body, code) in [
        (r#"{"room_id":"den"}"#, "bad_request"),
        (r#"{"join":"named"}"#, "bad_request"),
        (r#"{"room_id":"*","join":"named"}"#, "bad_request"),
        (r#"{"room_id":"den","join":"all"}"#, "bad_request"),
        // Nobody has a role, or a name that is theirs.
        (r#"{"room_id":"den","join":"role"}"#, "bad_request"),
        (r#"{"room_id":"den","speak":["ann"]}"#, "bad_request"),
    ] {
        assert_eq!(kind(&stage.calls(Call::SetRoom, body)), code, "{body}");
    }
}

/// At each limit of what can be set, and one past it.
#[test]
fn what_is_set_is_bounded() {
    let mut stage = with_tokens(unhurried());
    let set = |stage: &mut Stage, room: &str, names: &[String]| {
        let names = serde_json::to_string(names).unwrap();
        kind(&stage.calls(Call::SetRoom, &format!(r#"{{"room_id":"{room}","join":{names}}}"#)))
    };
    for n in 0..crate::backend::MAX_SET {
        assert_eq!(set(&mut stage, &format!("room-{n}"), &["ann".into()]), "room_settings");
    }
    // To wait does not help.
    assert_eq!(set(&mut stage, "one too many", &["ann".into()]), "too_many_rooms");
    assert_eq!(set(&mut stage, "room-7", &["bob".into()]), "room_settings");
    assert_eq!(kind(&stage.calls(Call::UnsetRoom, r#"{"room_id":"room-7"}"#)), "room_settings");
    // 63 names of 128 bytes and one that fills it up: `{"join":["` and `"]}` around, `","` between.
    let mut names: Vec<String> = (0..62).map(|n| format!("{n:03}{}", "x".repeat(125))).collect();
    let used = 10 + 3 + names.iter().map(|name| name.len() + 3).sum::<usize>();
    names.push("y".repeat(crate::backend::MAX_SET_BYTES - used));
    assert_eq!(set(&mut stage, "room-7", &names), "room_settings");
    names.last_mut().unwrap().push('y');
    assert_eq!(set(&mut stage, "room-7", &names), "too_large");
}
