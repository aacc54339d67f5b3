//! What the store keeps: messages, what rooms are about, holes, and lives that begin anew.

use super::*;

#[test]
fn what_is_said_on_one_node_is_heard_on_the_other() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"create_room","room_id":"den","name":"The den"}"#);
    nodes.heard(0, "ann", &["room"]);
    nodes.says(1, "bob", r#"{"type":"rooms"}"#);
    let rooms = nodes.stages[1].takes("bob").remove(0);
    assert!(rooms.contains(r#"{"room_id":"den","name":"The den","members":0,"joined":false}"#), "{rooms}");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.stages[0].opens("ann2", "ann");
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let own = nodes.stages[0].takes("ann");
    assert!(own.len() == 1 && text_of(&own[0], "id").as_deref() == Some("a"), "{own:?}");
    let (other, seq) = (nodes.stages[1].takes("bob"), number_of(&own[0], "seq"));
    assert!(other.len() == 1 && field(&other[0], "id").is_none(), "{other:?}");
    assert_eq!((number_of(&other[0], "seq"), seq), (Some(1), Some(1)));
    // To one who is elsewhere, from one who has another device; the sender's other device hears it too.
    nodes.says(1, "bob", r#"{"type":"direct","user_id":"ann","content":"hi","id":"b"}"#);
    for (node, device) in [(0, "ann"), (0, "ann2"), (1, "bob")] {
        nodes.heard(node, device, &["direct"]);
    }
    nodes.says(1, "bob", r#"{"type":"multicast","user_ids":["ann","bob"],"content":"hi","id":"c"}"#);
    nodes.heard(0, "ann", &["direct"]);
    nodes.heard(1, "bob", &["direct", "ack"]);
    // Only messages from here count as sent here.
    assert_eq!((nodes.stages[0].chat.counts().messages, nodes.stages[1].chat.counts().messages), (1, 3));
}

/// A topic and a title are heard on every node, and the same in the end wherever two change them in the same moment.
#[test]
fn a_topic_is_the_same_everywhere() {
    let mut nodes = ann_and_bob();
    for (node, device) in [(0, "ann"), (1, "bob")] {
        nodes.says(node, device, r#"{"type":"join","room_id":"den"}"#);
    }
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    for (said, told) in
        [(r#""topic":"tea""#, r#""name":"den","topic":"tea""#), (r#""name":"Den""#, r#""name":"Den","topic":"tea""#)]
    {
        nodes.says(0, "ann", &format!(r#"{{"type":"topic","room_id":"den",{said}}}"#));
        for (node, device) in [(0, "ann"), (1, "bob")] {
            let told = format!(r#"{{"type":"topic","room_id":"den",{told},"sender":"ann"}}"#);
            nodes.stages[node].heard(device, [&told]);
        }
    }
    // Each row: who is first, and what each of two changes.
    for (at, (first, second, one, other)) in [
        (0, 1, "topic", "topic"),
        (1, 0, "topic", "topic"),
        (0, 1, "name", "name"),
        (0, 1, "name", "topic"),
        (1, 0, "name", "topic"),
    ]
    .into_iter()
    .enumerate()
    {
        let about = |what: &str, by: usize| format!(r#"{{"type":"topic","room_id":"den","{what}":"{at}{by}"}}"#);
        nodes.stages[first].says(["ann", "bob"][first], &about(one, 1));
        nodes.stages[second].says(["ann", "bob"][second], &about(other, 2));
        nodes.settles();
        let mut ends = Vec::new();
        for (node, device) in [(0, "ann"), (1, "bob")] {
            nodes.stages[node].all_forget();
            nodes.says(node, device, r#"{"type":"room","room_id":"den"}"#);
            let facts = nodes.stages[node].takes(device).remove(0);
            ends.push((text_of(&facts, "name").unwrap(), text_of(&facts, "topic").unwrap()));
        }
        assert_eq!(ends[0], ends[1]);
        // Neither takes away what the other one has changed.
        if one != other {
            assert_eq!(ends[0], (format!("{at}1"), format!("{at}2")));
        }
    }
    // News of before that come late change nothing.
    let about = Description { room: "den", title: None, topic: Some("late"), created_at: 1, created: false };
    let link = |nodes: &mut Nodes, news: &News<'_>| nodes.world.borrow_mut().links[1].said.push(news);
    link(&mut nodes, &News::Room { description: about, keeps: true, changes: 1 });
    link(&mut nodes, &News::Topic { ticket: None, room: "den", anew: about.anew(), by: "eve", changes: 2 });
    nodes.settles();
    nodes.heard(1, "bob", &[]);
    // Those inside are told of one that a node had missed.
    link(&mut nodes, &News::Room { description: about, keeps: true, changes: 99 });
    nodes.settles();
    nodes.stages[1].heard("bob", [r#"{"type":"topic","room_id":"den","name":"den","topic":"late"}"#]);
    // A node of before says nothing of the title, which stays.
    let titled = Description { title: Some("Den"), ..about };
    link(&mut nodes, &News::Room { description: titled, keeps: true, changes: 100 });
    let anew = Anew { title: None, topic: Some("") };
    link(&mut nodes, &News::Topic { ticket: None, room: "den", anew, by: "eve", changes: 101 });
    nodes.settles();
    nodes.stages[1].heard(
        "bob",
        [
            r#"{"type":"topic","room_id":"den","name":"Den","topic":"late"}"#,
            r#"{"type":"topic","room_id":"den","name":"Den","topic":"","sender":"eve"}"#,
        ],
    );
}

/// Entries that cannot be told any more are named to those inside.
#[test]
fn a_hole_is_named_to_those_inside() {
    let mut nodes = ann_and_bob();
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    let epoch = nodes.world.borrow().logs["den"].said.epoch;
    nodes.stages[1].all_forget();
    nodes.world.borrow_mut().links[1].said.push(&News::Missed { room: "den", epoch, from: 3, to: 5 });
    nodes.settles();
    let heard = nodes.stages[1].takes("bob").remove(0);
    assert_eq!(heard, format!(r#"{{"type":"gap","room_id":"den","epoch":"{epoch}","from":3,"to":5,"why":"expired"}}"#));
}

/// A session that catches up hears messages from elsewhere in their turn, once.
#[test]
fn who_catches_up_hears_what_is_said_elsewhere_once() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    let say = |nodes: &mut Nodes| nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    (0..3).for_each(|_| say(&mut nodes));
    nodes.stages[1].holds = true;
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den","history":10}"#);
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.extend(nodes.stages[1].takes("bob"));
        if heard.len() < 5 {
            say(&mut nodes);
        }
        nodes.stages[1].drains("bob");
        nodes.settles();
    }
    (0..2).for_each(|_| say(&mut nodes));
    heard.extend(nodes.stages[1].takes("bob"));
    let seqs: Vec<u64> =
        heard.iter().filter(|text| kind(text) == "broadcast").filter_map(|text| number_of(text, "seq")).collect();
    let all = nodes.world.borrow().logs["den"].said.head().seq;
    assert_eq!(seqs, (1..=all).collect::<Vec<_>>());
    assert_eq!(heard.iter().filter(|text| kind(text) == "online_users").count(), 1);
}

/// What the store has takes its place on the lists, and nobody else's: no room with a history goes for it, and nobody
/// who is known.
#[test]
fn what_is_told_takes_no_place_from_others() {
    let settings = Settings { max_rooms: 2, max_users: 2, ..unhurried() };
    let mut nodes = Nodes::new(100, &unhurried(), 1);
    nodes.stages[0].opens("ann", "ann");
    for room in ["a", "b", "c"] {
        nodes.says(0, "ann", &format!(r#"{{"type":"create_room","room_id":"{room}"}}"#));
    }
    for name in ["bob", "cat"] {
        nodes.stages[0].opens(name, name);
    }
    nodes.says(0, "ann", r#"{"type":"join","room_id":"c"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"c","content":"x"}"#);
    nodes.world.borrow_mut().links.push(Link::default());
    let mut other = Nodes::node(&nodes.world, &settings, 1);
    let listed = |stage: &Stage| -> Vec<String> {
        let rooms = stage.chat.hall.roster.rooms();
        rooms.after(None).map(|(_, room)| room.name.to_string()).collect()
    };
    // `a` keeps nothing, and so made room for `c`. One who is on another node takes the place of none.
    assert_eq!((listed(&other), other.chat.counts().known_users), (vec!["b".into(), "c".into()], 3));
    other.chat.set_memory_left(Some(0));
    nodes.says(0, "ann", r#"{"type":"create_room","room_id":"d"}"#);
    other.hears_the_backend();
    nodes.world.borrow_mut().links[1].through = usize::MAX;
    other.hears_the_backend();
    assert!(!listed(&other).contains(&"d".to_owned()));
    // A user can join it all the same, once there is memory, and its history stays.
    other.chat.set_memory_left(None);
    nodes.stages.push(other);
    nodes.stages[1].opens("dan", "dan");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"a"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"a","content":"x"}"#);
    nodes.stages[1].forgets("dan");
    nodes.says(1, "dan", r#"{"type":"join","room_id":"a","history":5}"#);
    nodes.heard(1, "dan", &["joined", "broadcast", "online_users"]);
}

/// Both are in `den`, where `ann` has said five messages of which two are kept, and then the last is lost.
fn all_lose_one(settings: &Settings) -> Nodes {
    let mut nodes = Nodes::new(2, settings, 2);
    for (node, name) in ["ann", "bob"].iter().enumerate() {
        nodes.stages[node].opens(name, name);
        nodes.says(node, name, r#"{"type":"join","room_id":"den"}"#);
    }
    (0..5).for_each(|_| nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#));
    nodes.says(0, "ann", r#"{"type":"read","room_id":"den","seq":3}"#);
    nodes.stages[0].opens_plain("cat", "den", "cat");
    nodes.settles();
    nodes.stages.iter_mut().for_each(Stage::all_forget);
    nodes.world.borrow_mut().lose("den", 1);
    nodes
}

/// In a room that begins another life, those inside hear what they are not sent of it, what life it is, and the rest,
/// whether anything is said or not; a plain session hears nothing.
#[test]
fn another_life_is_told_to_those_inside() {
    for speaks in [false, true] {
        let mut nodes = all_lose_one(&unhurried());
        if speaks {
            nodes.stages[1].says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"b"}"#);
        }
        for _ in 0..3 {
            nodes.settles();
            nodes.stages.iter_mut().for_each(|stage| stage.waits_ms(1));
        }
        let epoch = nodes.world.borrow().logs["den"].said.epoch;
        for (node, name) in ["ann", "bob"].iter().enumerate() {
            let heard = nodes.stages[node].takes(name);
            let short: Vec<String> = heard.iter().map(|text| super::history::short(text)).collect();
            let own = if node == 1 { r#"5 id "b""# } else { "5" };
            let expected = match speaks {
                false => &["gap 1-3 epoch_changed", "joined 4 false", "4", "online_users"][..],
                true => &["gap 1-3 epoch_changed", "joined 5 false", "4", own, "online_users"],
            };
            assert_eq!(short, expected);
            assert_eq!(text_of(&heard[0], "epoch"), Some(epoch.to_string()));
            assert_eq!(text_of(&heard[1], "epoch"), Some(epoch.to_string()));
            let read = if node == 0 { 3 } else { 0 };
            assert_eq!((field(&heard[1], "id"), number_of(&heard[1], "read")), (None, Some(read)), "{}", heard[1]);
        }
        nodes.stages[0].heard_kinds("cat", if speaks { &["chat"] } else { &[] });
        // And on it goes, once and in order.
        nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"z"}"#);
        let seq = nodes.world.borrow().logs["den"].said.len();
        for (node, name) in ["ann", "bob"].iter().enumerate() {
            let heard = nodes.stages[node].takes(name);
            assert_eq!((heard.len(), number_of(&heard[0], "seq")), (1, Some(seq)), "{heard:?}");
        }
    }
}

/// Where the store has lost a room, or another node has ended it, a node that has plain sessions alone in it is told of
/// it again.
#[test]
fn a_plain_session_hears_a_room_that_the_store_has_lost() {
    for ended in [false, true] {
        let mut nodes = ann_and_bob();
        nodes.stages[0].opens_plain("cat", "den", "cat");
        nodes.settles();
        nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
        let says = |nodes: &mut Nodes| nodes.says(1, "bob", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
        nodes.stages[0].all_forget();
        says(&mut nodes);
        nodes.heard(0, "cat", &["chat"]);
        nodes.world.borrow_mut().forget("den");
        for link in &mut nodes.world.borrow_mut().links {
            link.said.push(&if ended { News::Ended { room: "den" } } else { News::Renewed });
        }
        for _ in 0..3 {
            nodes.settles();
            nodes.stages.iter_mut().for_each(|stage| stage.waits_ms(1));
        }
        says(&mut nodes);
        nodes.heard(0, "cat", &["chat"]);
    }
}

/// What a session said that catches up, and has not heard, is of a life that is over: it is answered by an `ack`.
#[test]
fn what_was_not_heard_of_a_life_that_is_over_is_answered() {
    let mut nodes = Nodes::new(9, &Settings { replay_bytes: 1, ..unhurried() }, 1);
    nodes.stages[0].opens("ann", "ann");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    (0..3).for_each(|_| nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#));
    nodes.stages[0].opens("bob", "bob");
    nodes.settles();
    nodes.stages[0].holds = true;
    nodes.says(0, "bob", r#"{"type":"join","room_id":"den","history":3}"#);
    nodes.says(0, "bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"b"}"#);
    nodes.stages[0].all_forget();
    nodes.world.borrow_mut().lose("den", 3);
    nodes.settles();
    nodes.stages[0].waits_ms(1);
    nodes.settles();
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.extend(nodes.stages[0].takes("bob").iter().map(|text| super::history::short(text)));
        for device in ["ann", "bob"] {
            nodes.stages[0].drains(device);
        }
        nodes.settles();
    }
    assert_eq!(heard, [r#"ack 4 id "b""#, "joined 1 false", "1", "online_users"]);
    assert!(nodes.stages[0].chat.hall.readers.is_empty());
}

/// What was said on a node, or before a restart, is known by its `id` before the room is joined again; what was not is
/// refused as ever.
#[test]
fn a_retry_before_the_room_is_joined_again() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let said = nodes.stages[0].takes("ann").pop().unwrap();
    nodes.stages[1].opens("ann2", "ann");
    nodes.settles();
    nodes.stages[1].all_forget();
    nodes.says(1, "ann2", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    let ts = number_of(&said, "ts").unwrap();
    let ack = format!(r#"{{"type":"ack","id":"a","room_id":"den","seq":1,"ts":{ts},"dup":true}}"#);
    nodes.stages[1].heard("ann2", [ack]);
    for (text, code) in [
        (r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#, "not_joined"),
        (r#"{"type":"broadcast","room_id":"hut","content":"x","id":"a"}"#, "not_joined"),
        (r#"{"type":"broadcast","room_id":"den","content":"x","id":1}"#, "not_joined"),
        (r#"{"type":"broadcast","room_id":"den","content":"x"}"#, "not_joined"),
    ] {
        nodes.says(1, "ann2", text);
        nodes.heard(1, "ann2", &[code]);
    }
    // Nobody knows while the store is down.
    nodes.world.borrow_mut().links[1].down = true;
    nodes.says(1, "ann2", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    nodes.heard(1, "ann2", &["backend_down"]);
}

/// A burst is heard in pieces, and the loop does not sleep before it has heard all of it.
#[test]
fn a_burst_is_heard_in_pieces() {
    let mut nodes = ann_and_bob();
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(1, "bob", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    nodes.stages[1].all_forget();
    for _ in 0..NEWS_AT_ONCE + 1 {
        nodes.stages[0].says("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    }
    while nodes.world.borrow_mut().step(0) {}
    assert!(!nodes.stages[1].chat.has_more_to_hear());
    nodes.hears(1, usize::MAX);
    let stage = &mut nodes.stages[1];
    assert_eq!(stage.takes("bob").len(), NEWS_AT_ONCE);
    assert!(stage.chat.has_more_to_hear() && !stage.chat.is_idle());
    // In the same turn others are heard, and nothing more of the burst.
    stage.says("bob", r#"{"type":"ping"}"#);
    stage.heard_kinds("bob", &["pong"]);
    stage.hears_the_backend();
    assert_eq!(stage.takes("bob").len(), 1);
    assert!(!stage.chat.has_more_to_hear() && stage.chat.is_idle());
}

/// A message that was acknowledged, that the store has lost, and that is said again with its `id`, is said again.
#[test]
fn what_is_lost_is_said_again() {
    let mut nodes = Nodes::new(9, &unhurried(), 1);
    nodes.stages[0].opens("ann", "ann");
    nodes.says(0, "ann", r#"{"type":"join","room_id":"den"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"w","id":"z"}"#);
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    nodes.settles();
    nodes.world.borrow_mut().lose("den", 1);
    for _ in 0..3 {
        nodes.settles();
        nodes.stages[0].waits_ms(1);
    }
    nodes.stages[0].all_forget();
    nodes.says(0, "ann", r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#);
    nodes.settles();
    let heard = nodes.stages[0].takes("ann");
    let len = nodes.world.borrow().logs["den"].said.len();
    assert!(len == 2, "len {len}: {heard:?}");
}
