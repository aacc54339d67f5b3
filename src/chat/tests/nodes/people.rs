//! People on other nodes: who is there, how they want to be seen, and what is said that nobody keeps.

use super::*;
use crate::chat::rules::{Key, Rule, Rules, Values, Written};

/// Each row: what somebody says, and which kinds are heard on either node.
#[test]
fn people_on_the_other_node_are_seen_as_those_on_this_one() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"presence","user_ids":["bob","cat"],"subscribe":true}"#);
    let heard = nodes.stages[0].takes("ann").remove(0);
    assert!(heard.contains(r#""bob":{"status":"online","devices":1}"#), "{heard}");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    for (node, text, ann, bob) in [
        (1, r#"{"type":"join","room_id":"den"}"#, &["user_joined"][..], &["joined", "online_users"][..]),
        (1, r#"{"type":"status","status":"busy","note":"at work"}"#, &["presence"], &["ack"]),
        (1, r#"{"type":"status","status":"offline"}"#, &["presence"], &["ack"]),
        (1, r#"{"type":"status","status":"online"}"#, &["presence"], &["ack"]),
        (1, r#"{"type":"leave","room_id":"den"}"#, &["user_left"], &["left"]),
        (1, r#"{"type":"join","room_id":"den"}"#, &["user_joined"], &["joined", "online_users"]),
    ] {
        nodes.stages.iter_mut().for_each(Stage::all_forget);
        nodes.says(node, ["ann", "bob"][node], text);
        nodes.heard(0, "ann", ann);
        nodes.heard(1, "bob", bob);
    }
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.says(node, device, r#"{"type":"members","room_id":"den"}"#);
        let members = nodes.stages[node].takes(device).remove(0);
        assert_eq!(number_of(&members, "count"), Some(2), "{members}");
        assert!(members.contains(r#""user_id":"ann""#) && members.contains(r#""user_id":"bob""#), "{members}");
        nodes.says(node, device, r#"{"type":"online"}"#);
        let online = nodes.stages[node].takes(device).remove(0);
        assert!(online.contains(r#"["ann","bob"]"#), "{online}");
    }
    let answer = nodes.stages[0].calls(Call::Disconnect, r#"{"user_id":"bob"}"#);
    assert!(answer.contains(r#""closed":1"#), "{answer}");
}

/// Somebody who moves to another node within the grace has never left, wherever their devices are.
#[test]
fn a_user_who_moves_to_another_node_never_left() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    nodes.stages[1].closes("bob");
    nodes.settles();
    nodes.stages[0].opens("bob2", "bob");
    nodes.settles();
    nodes.says(0, "bob2", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[1].waits_ms(60_000);
    nodes.settles();
    nodes.stages[0].waits_ms(60_000);
    nodes.settles();
    nodes.heard(0, "ann", &[]);
    // The last device of all is the one that counts.
    nodes.stages[0].closes("bob2");
    nodes.stages[0].waits_ms(60_000);
    nodes.settles();
    nodes.heard(0, "ann", &["user_left", "presence"]);
    assert!(nodes.stages[1].chat.hall.roster.users().visible() == 1);
}

/// A node that has no place for a room in which somebody is on another one knows who is inside when it lists the room:
/// because somebody joins it here, or because it is told of the room.
#[test]
fn who_is_in_a_room_that_had_no_place_is_known_when_it_has_one() {
    for is_told in [false, true] {
        let mut nodes = Nodes::new(100, &Settings { max_rooms: 1, ..unhurried() }, 2);
        for (node, name, room) in [(0, "ann", "den"), (1, "bob", "attic")] {
            nodes.stages[node].opens(name, name);
            nodes.says(node, name, &format!(r#"{{"type":"join","room_id":"{room}"}}"#));
        }
        nodes.says(1, "bob", r#"{"type":"leave","room_id":"attic"}"#);
        if is_told {
            nodes.says(0, "ann", r#"{"type":"topic","room_id":"den","topic":"tea"}"#);
            nodes.stages[0].opens("cat", "cat");
            nodes.says(0, "cat", r#"{"type":"join","room_id":"den"}"#);
        }
        nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
        nodes.stages[1].all_forget();
        nodes.says(1, "bob", r#"{"type":"members","room_id":"den"}"#);
        let members = nodes.stages[1].takes("bob").remove(0);
        assert_eq!(number_of(&members, "count"), Some(if is_told { 3 } else { 2 }), "{members}");
        assert!(members.contains(r#""user_id":"ann""#), "{members}");
    }
}

/// A node whose lease ends takes its people with it; when it comes back, they are there again.
#[test]
fn people_of_a_node_that_is_no_more_have_left() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"presence","user_ids":["bob"],"subscribe":true}"#);
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    for (lives, heard) in [(false, &["user_left", "presence"]), (true, &["presence", "user_joined"])] {
        nodes.world.borrow_mut().lease(1, lives);
        nodes.settles();
        nodes.heard(0, "ann", heard);
    }
    // Somebody with a device here as well is not gone by that.
    nodes.stages[0].opens("bob2", "bob");
    nodes.says(0, "bob2", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    nodes.world.borrow_mut().lease(1, false);
    nodes.settles();
    nodes.heard(0, "ann", &[]);
}

/// A status that is set on two nodes in the same moment is the same one on both in the end.
#[test]
fn a_status_is_the_same_everywhere() {
    let mut nodes = ann_and_bob();
    nodes.stages[1].opens("ann2", "ann");
    nodes.settles();
    nodes.stages[0].says("ann", r#"{"type":"status","status":"busy"}"#);
    nodes.stages[1].says("ann2", r#"{"type":"status","status":"away"}"#);
    nodes.settles();
    let status = |stage: &Stage| {
        let users = stage.chat.hall.roster.users();
        users.at(users.find("ann").unwrap()).status
    };
    assert_eq!(status(&nodes.stages[0]), status(&nodes.stages[1]));
    // The one that is set last stands, and outlives the device that has set it.
    nodes.says(1, "ann2", r#"{"type":"status","status":"away"}"#);
    nodes.stages[1].closes("ann2");
    nodes.stages[1].waits_ms(60_000);
    nodes.settles();
    for stage in &nodes.stages {
        assert_eq!(status(stage).as_str(), "away");
    }
}

/// Words that are not kept: each row says one, and which kinds are heard on either node.
#[test]
fn words_that_are_not_kept_are_heard_on_the_other_node() {
    let mut nodes = ann_and_bob();
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.says(node, device, r#"{"type":"join","room_id":"den"}"#);
    }
    for (node, text, ann, bob) in [
        (0, r#"{"type":"typing","room_id":"den","typing":true}"#, &[][..], &["typing"][..]),
        // It is relayed once in three seconds.
        (0, r#"{"type":"typing","room_id":"den","typing":true}"#, &[], &[]),
        (0, r#"{"type":"typing","room_id":"den","typing":false}"#, &[], &["typing"]),
        (0, r#"{"type":"typing","user_id":"bob","typing":true}"#, &[], &["typing"]),
        // A message ends it on both nodes, and is not followed by another end.
        (0, r#"{"type":"direct","user_id":"bob","content":"x"}"#, &["direct"], &["typing", "direct"]),
        (1, r#"{"type":"broadcast","room_id":"*","content":"x","id":"a"}"#, &["broadcast"], &["broadcast"]),
    ] {
        nodes.stages.iter_mut().for_each(Stage::all_forget);
        nodes.says(node, ["ann", "bob"][node], text);
        nodes.heard(0, "ann", ann);
        nodes.heard(1, "bob", bob);
    }
}

/// What is said to everybody on another node is heard in a plain room as a message of it, but where not everybody may
/// speak: who may of those there is not known here.
#[test]
fn plain_rooms_where_not_everybody_may_speak_hear_nobody_of_other_nodes() {
    let mut rules = Vec::new();
    for (room, whom) in [("den", "named"), ("cup", "everybody")] {
        let mut values = Values::default();
        values.set(Key::Speak, &Written::One(whom)).unwrap();
        rules.push(Rule { patterns: Rule::patterns(&[room]).unwrap(), values, line: 1 });
    }
    let rooms = Rules::of(rules).unwrap();
    let mut nodes = Nodes::new(100, &Settings { rooms, ..unhurried() }, 2);
    nodes.stages[0].opens("ann", "ann");
    for room in ["den", "cup", "tea"] {
        nodes.stages[1].opens_plain(room, room, room);
    }
    nodes.settles();
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"*","content":"x","id":"a"}"#);
    assert_eq!(["den", "cup", "tea"].map(|room| nodes.stages[1].takes(room).len()), [0, 1, 1]);
}

/// A node that is no more says of nobody that they have stopped.
#[test]
fn typing_on_a_node_that_is_silent_ends() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"typing","user_id":"bob","typing":true}"#);
    nodes.heard(1, "bob", &["typing"]);
    nodes.stages[1].waits_ms(8_999);
    nodes.heard(1, "bob", &[]);
    nodes.stages[1].waits_ms(1);
    nodes.heard(1, "bob", &["typing"]);
}

/// Each row: a call on the first node about somebody on the second, and what they hear.
#[test]
fn calls_about_people_reach_those_on_the_other_node() {
    for (call, body, heard) in [
        (Call::Kick, r#"{"user_id":"bob","room_id":"den"}"#, "left"),
        (Call::Kick, r#"{"user_id":"bob"}"#, "goodbye"),
        (Call::Disconnect, r#"{"user_id":"bob","code":4200}"#, "goodbye"),
    ] {
        let mut nodes = ann_and_bob();
        nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
        nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
        nodes.stages[1].all_forget();
        let answer = nodes.stages[0].calls(call, body);
        assert!(answer.contains("closed") || answer.contains("left"), "{answer}");
        nodes.settles();
        nodes.heard(1, "bob", &[heard]);
    }
}

/// In an empty room, a message from elsewhere is a note on the list, and no text.
#[test]
fn where_nobody_is_it_costs_a_note() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].all_forget();
    let text = r#"{"type":"broadcast","room_id":"den","content":"x"}"#;
    let user = r#"{"type":"direct","user_id":"ann","content":"x"}"#;
    for text in [text, user, text] {
        nodes.stages[0].says("ann", text);
        while nodes.world.borrow_mut().step(0) {}
        nodes.hears(0, usize::MAX);
        nodes.world.borrow_mut().links[1].through = usize::MAX;
        let stage = &mut nodes.stages[1];
        stage.chat.handle_backend(stage.now, &mut stage.out);
        assert!(stage.out.items().is_empty() && stage.out.held_bytes() < 4096, "{text}");
    }
    let rooms = &nodes.stages[1].chat.hall.roster.rooms();
    assert!(rooms.at(rooms.find("den").unwrap()).holds);
    // A user who comes in there hears it all, in the same life.
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den","history":10}"#);
    let heard = nodes.stages[1].takes("bob");
    let kinds: Vec<String> = heard.iter().map(|text| kind(text)).collect();
    assert_eq!(kinds, ["joined", "broadcast", "broadcast", "online_users"]);
    // And leaving deletes nothing, wherever.
    nodes.says(1, "bob", r#"{"type":"leave","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"leave","room_id":"den"}"#);
    assert_eq!(nodes.world.borrow().logs["den"].said.head().kept, 2);
}
