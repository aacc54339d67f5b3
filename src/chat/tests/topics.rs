//! What rooms are called and are about, one row a promise.

use super::tokens::{comes, token};
use super::*;

/// A request that says what a room is about, and how others in it hear that.
fn asks(topic: &str) -> String {
    format!(r#"{{"type":"topic","room_id":"den","topic":"{topic}","id":1}}"#)
}

fn told(topic: &str, by: &str) -> String {
    format!(r#"{{"type":"topic","room_id":"den","name":"den","topic":"{topic}","sender":"{by}"}}"#)
}

/// The same as the one who asked hears it.
fn answer(topic: &str, by: &str) -> String {
    told(topic, by).replace(r#""topic","room_id""#, r#""topic","id":1,"room_id""#)
}

/// As it stands, said by nobody.
fn stands(topic: &str) -> String {
    format!(r#"{{"type":"topic","room_id":"den","name":"den","topic":"{topic}"}}"#)
}

fn topic_of(stage: &mut Stage, device: &str) -> Option<String> {
    stage.says(device, r#"{"type":"room","room_id":"den"}"#);
    let facts = stage.takes(device).remove(0);
    field(&facts, "topic").map(|topic| topic.as_str().unwrap().to_owned())
}

#[test]
fn members_change_it_and_those_inside_hear_it() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob", "cat"]);
    stage.opens("ann2", "ann");
    ["ann", "ann2", "bob"].iter().for_each(|device| stage.joins(device, "den"));
    stage.opens_plain("dan", "den", "dan");
    stage.all_forget();
    for (topic, found) in [("tea", Some("tea")), ("t\\\"", Some("t\"")), ("", None)] {
        stage.says("ann", &asks(topic));
        stage.heard("ann", [answer(topic, "ann")]);
        ["ann2", "bob"].iter().for_each(|device| stage.heard(device, [told(topic, "ann")]));
        ["cat", "dan"].iter().for_each(|device| stage.heard_nothing(device));
        assert_eq!(topic_of(&mut stage, "cat").as_deref(), found);
        // What is so already is told to nobody.
        stage.says("bob", &asks(topic));
        stage.heard("bob", [r#"{"type":"ack","id":1}"#]);
        stage.heard_nothing("ann");
    }
    stage.refused("cat", &asks("mine"), "not_joined");
    stage.refused("ann", r#"{"type":"topic","room_id":"attic","topic":"x"}"#, "not_joined");
    stage.refused("ann", r#"{"type":"topic","room_id":"den"}"#, "bad_request");
    stage.refused("ann", &asks("a\\nb"), "bad_request");
    stage.refused("ann", &asks(" a"), "bad_request");
    stage.refused("ann", &asks(&"x".repeat(257)), "too_large");
}

/// A title and a topic are changed by one request, or one of them alone, and then the other one stays.
#[test]
fn a_title_is_changed_as_a_topic_is() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob", "cat"]);
    stage.says("ann", r#"{"type":"create_room","room_id":"hut","name":"The Hut","topic":"wood"}"#);
    ["ann", "bob"].iter().for_each(|device| stage.joins(device, "hut"));
    stage.all_forget();
    let asks = |words: &str| format!(r#"{{"type":"topic","room_id":"hut",{words},"id":1}}"#);
    for (words, name, topic) in [
        (r#""topic":"stone""#, "The Hut", "stone"),
        (r#""name":"Shed""#, "Shed", "stone"),
        (r#""name":"H\"","topic":"straw""#, r#"H\""#, "straw"),
        (r#""topic":"""#, r#"H\""#, ""),
        (r#""name":"""#, "hut", ""),
    ] {
        let told = format!(r#"{{"type":"topic","room_id":"hut","name":"{name}","topic":"{topic}","sender":"ann"}}"#);
        stage.says("ann", &asks(words));
        stage.heard("ann", [told.replace(r#""topic","room_id""#, r#""topic","id":1,"room_id""#)]);
        stage.heard("bob", [&told]);
        stage.heard_nothing("cat");
        for asked in [r#"{"type":"room","room_id":"hut"}"#, r#"{"type":"rooms"}"#] {
            stage.says("cat", asked);
            let facts = stage.takes("cat").remove(0);
            assert!(facts.contains(&format!(r#""room_id":"hut","name":"{name}""#)), "{facts}");
        }
        // What is so already is told to nobody.
        stage.says("bob", &asks(words));
        stage.heard("bob", [r#"{"type":"ack","id":1}"#]);
        stage.heard_nothing("ann");
    }
    stage.refused("cat", &asks(r#""name":"mine""#), "not_joined");
    stage.refused("ann", &asks(r#""name":null"#), "bad_request");
    stage.refused("ann", &asks(r#""name":"a\nb""#), "bad_request");
    stage.refused("ann", &asks(r#""name":"a ","topic":"fine""#), "bad_request");
    stage.refused("ann", &asks(&format!(r#""name":"{}""#, "x".repeat(257))), "too_large");
    stage.heard_nothing("bob");
}

/// Each row: who may, in whose way, and what comes of it.
#[test]
fn who_may() {
    let moderator = r#","roles":["moderate"]"#;
    for (topics, more, allowed) in [
        (Who::Members, "", true),
        (Who::Moderators, "", false),
        (Who::Moderators, moderator, true),
        (Who::Moderators, r#","roles":["admin"]"#, true),
        (Who::Operator, moderator, false),
    ] {
        let mut stage = tokens::stage(Settings { topics, ..unhurried() });
        comes(&mut stage, "ann", &token("ann", 2_000_000, more));
        stage.joins("ann", "den");
        stage.all_forget();
        match allowed {
            true => {
                stage.says("ann", &asks("tea"));
                stage.heard("ann", [answer("tea", "ann")]);
            }
            false => stage.refused("ann", &asks("tea"), "forbidden"),
        }
        let body = r#"{"room_id":"den","topic":"cake"}"#;
        assert_eq!(stage.calls(Call::Topic, body), told("cake", "server"), "{topics:?}");
        stage.heard("ann", [told("cake", "server")]);
        let title = r#"{"type":"topic","room_id":"den","name":"Den"}"#;
        match allowed {
            true => stage.says("ann", title),
            false => stage.refused("ann", title, "forbidden"),
        }
        let named = told("cake", "server").replace(r#""name":"den""#, r#""name":"Pub""#);
        stage.all_forget();
        assert_eq!(stage.calls(Call::Topic, r#"{"room_id":"den","name":"Pub"}"#), named, "{topics:?}");
        stage.heard("ann", [named]);
    }
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.open("guest", Door::Json { user: None });
    ["ann", "guest"].iter().for_each(|device| stage.joins(device, "den"));
    stage.all_forget();
    stage.refused("guest", &asks("tea"), "forbidden");
    stage.refused("guest", r#"{"type":"topic","room_id":"den","name":"Tea"}"#, "forbidden");
    let answer = stage.calls(Call::Topic, r#"{"room_id":"den","topic":"tea","sender":"deploy"}"#);
    assert_eq!(answer, told("tea", "deploy"));
    assert!(stage.calls(Call::Topic, r#"{"room_id":"attic","topic":"x"}"#).contains("room_not_found"));
}

/// A session that did not hear the room while it was changed is told what stands.
#[test]
fn a_slow_reader_learns_it_at_the_end() {
    let (mut stage, _) = replay::den_keeping(Limits::default(), replay::one_by_one(), 3);
    stage.joins("bob", "den");
    stage.stops("bob");
    replay::says(&mut stage, "ann", 2);
    assert!(!stage.hears("bob", "den"));
    stage.says("ann", &asks("tea"));
    stage.takes_slices("bob", &[&["4"], &["5", "online_users", "topic"]]);
    stage.opens("cat", "cat");
    stage.forgets("cat");
    stage.says("cat", r#"{"type":"join","room_id":"den"}"#);
    let heard = stage.takes("cat");
    assert_eq!(heard.last(), Some(&stands("tea")), "{heard:?}");
}

#[test]
fn it_costs_as_much_as_five() {
    let rate = Some(Rate { per_second: 1, burst: 10 });
    let mut stage = Stage::new(Settings { rate, ..unhurried() });
    stage.opens("ann", "ann");
    stage.says("ann", r#"{"type":"join","room_id":"den"}"#);
    stage.all_forget();
    stage.says("ann", &asks("one"));
    stage.heard("ann", [answer("one", "ann")]);
    stage.refused("ann", &asks("two"), "rate_limited");
    stage.waits_ms(4_000);
    stage.says("ann", &asks("two"));
    stage.heard("ann", [answer("two", "ann")]);
}
