//! Each limit at the limit and one past it.

use super::*;

#[test]
fn content() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    let say = |content: &str| format!(r#"{{"type":"broadcast","content":"{content}"}}"#);
    stage.says("ann", &say(&"x".repeat(16_384)));
    stage.heard_kinds("ann", &["broadcast"]);
    // Counted as it is, not as it is written.
    stage.says("ann", &say(&r"\u0061".repeat(16_384)));
    stage.heard_kinds("ann", &["broadcast"]);
    stage.refused("ann", &say(&"x".repeat(16_385)), "too_large");
    stage.refused("ann", &say(&r"\u00e9".repeat(8_193)), "too_large");
}

#[test]
fn rooms_of_a_session_and_in_all() {
    let mut stage = Stage::json(Settings { rooms_per_session: 2, max_rooms: 3, ..unhurried() }, &["ann", "bob"]);
    stage.joins("ann", "a");
    stage.joins("ann", "b");
    stage.refused("ann", r#"{"type":"join","room_id":"c"}"#, "too_many_rooms");
    stage.says("ann", r#"{"type":"join","room_id":"a"}"#);
    stage.heard_kinds("ann", &["joined"]);
    stage.joins("bob", "c");
    stage.refused("bob", r#"{"type":"join","room_id":"d"}"#, "overloaded");
    // One that is empty makes room, however much it holds.
    stage.says("ann", r#"{"type":"broadcast","room_id":"a","content":"x"}"#);
    stage.says("ann", r#"{"type":"leave","room_id":"a"}"#);
    stage.all_forget();
    stage.says("bob", r#"{"type":"join","room_id":"d"}"#);
    stage.heard_kinds("bob", &["joined", "online_users"]);
    stage.refused("ann", r#"{"type":"room","room_id":"a"}"#, "room_not_found");
}

#[test]
fn members_of_a_room() {
    let mut stage = Stage::json(Settings { room_members: 1, ..unhurried() }, &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.refused("bob", r#"{"type":"join","room_id":"den"}"#, "room_full");
    stage.opens("phone", "ann");
    stage.forgets("phone");
    stage.says("phone", r#"{"type":"join","room_id":"den"}"#);
    stage.heard_kinds("phone", &["joined", "online_users"]);
    stage.opens_plain("cat", "den", "cat");
    stage.heard_kinds("cat", &["error"]);
    assert_eq!(stage.closed_with("cat"), Some(1013));
}

#[test]
fn sessions_of_a_user() {
    let mut stage = Stage::new(Settings { sessions_per_user: 2, ..unhurried() });
    stage.opens("1", "ann");
    stage.opens_plain("2", "den", "ann");
    stage.opens("3", "ann");
    stage.heard("3", [r#"{"type":"goodbye","reason":"connection_limit","reconnect":true,"after_ms":10000}"#]);
    assert_eq!(stage.closed_with("3"), Some(4100));
    stage.says("3", r#"{"type":"ping"}"#);
    stage.heard_nothing("3");
    stage.open("g", Door::Json { user: None });
    stage.forgets("g");
    stage.says("g", r#"{"type":"join","room_id":"den","user_id":"ann"}"#);
    stage.heard_kinds("g", &["goodbye"]);
    assert_eq!(stage.closed_with("g"), Some(4100));
    stage.closes("3");
    stage.closes("1");
    stage.opens("4", "ann");
    stage.heard_kinds("4", &["welcome"]);
}

#[test]
fn known_users() {
    let mut stage = Stage::json(Settings { max_users: 2, ..unhurried() }, &["ann", "bob"]);
    stage.opens("cat", "cat");
    stage.heard_kinds("cat", &["goodbye"]);
    assert_eq!(stage.closed_with("cat"), Some(1013));
    stage.closes("cat");
    stage.closes("bob");
    stage.waits_ms(5_000);
    stage.opens("cat", "cat");
    stage.heard_kinds("cat", &["welcome"]);
    stage.refused("ann", r#"{"type":"direct","user_id":"bob","content":""}"#, "user_not_found");
}

#[test]
fn rate() {
    let mut stage = Stage::json(Settings::default(), &["ann", "bob"]);
    for _ in 0..40 {
        stage.says("ann", r#"{"type":"ping"}"#);
    }
    stage.forgets("ann");
    stage.says("ann", r#"{"type":"ping","id":1}"#);
    let refused = concat!(
        r#""code":"rate_limited","message":"expected messages at the rate of welcome.limits.rate, found more","#,
        r#""retry":true,"retry_after_ms":"#
    );
    stage.heard("ann", [format!(r#"{{"type":"error","id":1,{refused}50}}"#)]);
    // Without an id, at most one answer a second; each gets a time of its own.
    stage.says("ann", "x");
    stage.says("ann", "x");
    stage.heard("ann", [format!(r#"{{"type":"error",{refused}100}}"#)]);
    stage.says("bob", r#"{"type":"ping"}"#);
    stage.heard_kinds("bob", &["pong"]);
    // Another connection does not help, patience does; control frames cost as much.
    stage.closes("ann");
    stage.opens("ann", "ann");
    stage.forgets("ann");
    stage.refused("ann", r#"{"type":"ping","id":2}"#, "rate_limited");
    stage.waits_ms(100);
    stage.chat.handle_ping(stage.conn("ann"), stage.now, &mut stage.out);
    stage.dispatch();
    stage.says("ann", r#"{"type":"ping","id":3}"#);
    stage.says("ann", r#"{"type":"ping","id":4}"#);
    stage.heard_kinds("ann", &["pong", "rate_limited"]);
    assert_eq!(stage.chat.counts().rate_limited, 5);
}

/// A search costs as much as five frames, of the user and of all at the address; where no more than three can be had at
/// once, it costs these.
#[test]
fn searches_cost_more() {
    let search = r#"{"type":"search","text":"x","room_id":"den","id":1}"#;
    for (burst, people, comes_from, searches) in [(40, 64, None, 7), (40, 1, address(1), 7), (3, 64, None, 1)] {
        let rate = Some(Rate { per_second: 20, burst });
        let mut stage = Stage::new(Settings { rate, full_speed_per_address: people, ..Settings::default() });
        stage.address = comes_from;
        stage.opens("ann", "ann");
        stage.joins("ann", "den");
        // As much as can be had at once.
        stage.waits_ms(2000);
        stage.forgets("ann");
        for _ in 0..searches {
            stage.says("ann", search);
            stage.heard_kinds("ann", &["found"]);
        }
        if burst == 40 {
            stage.says("ann", r#"{"type":"ping"}"#);
            stage.heard_kinds("ann", &["pong"]);
        }
        stage.refused("ann", search, "rate_limited");
        stage.waits_ms(250);
        stage.says("ann", search);
        stage.heard_kinds("ann", &["found"]);
    }
}

/// What a request costs beyond its frame follows what is done for it: a multicast has a copy for each name, and rooms
/// and people are looked up.
#[test]
fn requests_cost_what_they_have_done() {
    let names: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let to = |n: usize| format!(r#"{{"type":"multicast","user_ids":{:?},"content":"x","id":"m{n}"}}"#, &names[..n]);
    let join = |n: usize| {
        let rooms: Vec<String> = (0..n).map(|n| format!(r#"{{"room_id":"r{n}"}}"#)).collect();
        format!(r#"{{"type":"join","rooms":[{}],"id":1}}"#, rooms.join(","))
    };
    let rooms = |limit: usize| format!(r#"{{"type":"rooms","limit":{limit},"id":1}}"#);
    let talks = |limit: usize| format!(r#"{{"type":"conversations","limit":{limit},"id":1}}"#);
    for (text, frames) in [
        (to(1), 1),
        (to(2), 2),
        (to(39), 39),
        (to(40), 40),
        // More than there is at once: what is owed beyond it is waited for.
        (to(100), 100),
        (join(1), 1),
        (join(8), 1),
        (join(9), 2),
        (join(128), 16),
        // She is in twenty, and is told of no more than are asked for.
        (rooms(200), 3),
        (rooms(16), 2),
        (rooms(8), 1),
        // She has spoken with nine.
        (talks(50), 2),
        (talks(8), 1),
        (r#"{"type":"search","text":"x","id":1}"#.to_owned(), 5),
        (r#"{"type":"history","room_id":"r0","limit":200,"id":1}"#.to_owned(), 1),
        (r#"{"type":"members","room_id":"r0","limit":200,"id":1}"#.to_owned(), 1),
        (r#"{"type":"online","limit":200,"id":1}"#.to_owned(), 1),
        (format!(r#"{{"type":"presence","user_ids":{names:?},"id":1}}"#), 1),
    ] {
        let mut stage = Stage::new(Settings::default());
        for name in &names {
            stage.opens(name, name);
        }
        stage.opens("ann", "ann");
        stage.says("ann", &join(20));
        stage.says("ann", &to(9));
        stage.waits_ms(2_000);
        stage.all_forget();
        stage.says("ann", &text);
        assert!(stage.takes("ann").iter().all(|heard| kind(heard) != "error"), "{text}");
        // After the time of so many frames, the bucket is full; just before that it is not.
        stage.waits_ms(50 * frames - 1);
        let mut heard = 0;
        while heard <= 40 {
            stage.says("ann", r#"{"type":"ping"}"#);
            if kind(&stage.takes("ann").remove(0)) != "pong" {
                break;
            }
            heard += 1;
        }
        assert_eq!(heard, 39, "{text}");
    }
    // A retry is answered, and nothing is done for it.
    let mut stage = Stage::json(Settings::default(), &["ann", "u0", "u1"]);
    stage.says("ann", &to(2));
    stage.says("ann", &to(2));
    stage.heard_kinds("ann", &["ack", "ack"]);
    (0..37).for_each(|_| stage.says("ann", r#"{"type":"ping"}"#));
    assert_eq!(stage.takes("ann").len(), 37);
    stage.refused("ann", r#"{"type":"ping","id":1}"#, "rate_limited");
    // One that cannot be paid for is said to nobody.
    stage.waits_ms(100);
    stage.all_forget();
    stage.refused("ann", &to(3), "rate_limited");
    stage.heard_nothing("u0");
}

fn address(number: u64) -> Option<Address> {
    Some(Address(std::num::NonZeroU64::new(number).unwrap()))
}

/// Coming back fills no bucket: not on another connection, not on another device, not as a guest who takes the name.
#[test]
fn a_bucket_survives_the_connection() {
    let mut stage = Stage::new(Settings { leave_grace: Duration::ZERO, ..Settings::default() });
    let ping = r#"{"type":"ping","id":1}"#;
    stage.address = address(1);
    stage.opens("ann", "ann");
    for _ in 0..40 {
        stage.says("ann", ping);
    }
    stage.forgets("ann");
    stage.refused("ann", ping, "rate_limited");
    stage.opens("phone", "ann");
    stage.forgets("phone");
    stage.refused("phone", ping, "rate_limited");
    stage.closes("phone");
    stage.closes("ann");
    stage.waits_ms(10);
    stage.opens_plain("plain", "den", "ann");
    stage.forgets("plain");
    stage.says("plain", "hello");
    stage.heard_kinds("plain", &["error"]);
    stage.open("guest", Door::Json { user: None });
    stage.forgets("guest");
    stage.says("guest", r#"{"type":"join","room_id":"den","user_id":"ann"}"#);
    stage.heard_kinds("guest", &["joined", "online_users"]);
    stage.refused("guest", ping, "rate_limited");
    // A user of the same name elsewhere has another bucket.
    stage.address = address(2);
    stage.opens("elsewhere", "ann");
    stage.forgets("elsewhere");
    stage.says("elsewhere", ping);
    stage.heard_kinds("elsewhere", &["pong"]);
}

/// Full buckets are forgotten, and then there is nothing to wake up for.
#[test]
fn full_buckets_are_not_kept() {
    let mut stage = Stage::json(Settings::default(), &["ann"]);
    stage.says("ann", r#"{"type":"ping"}"#);
    assert!(stage.chat.next_deadline().is_some());
    stage.waits_ms(5_000);
    assert_eq!(stage.chat.next_deadline(), None);
    stage.says("ann", r#"{"type":"ping"}"#);
    stage.closes("ann");
    stage.waits_ms(10_000);
    stage.check_released();
}

/// The bucket of a guest is kept when the session takes a name.
#[test]
fn a_guest_takes_along_what_they_said() {
    let mut stage = Stage::new(Settings::default());
    stage.open("guest", Door::Json { user: None });
    for _ in 0..39 {
        stage.says("guest", r#"{"type":"ping"}"#);
    }
    stage.says("guest", r#"{"type":"join","room_id":"den","user_id":"ann"}"#);
    stage.forgets("guest");
    stage.refused("guest", r#"{"type":"ping","id":1}"#, "rate_limited");
}

/// Other names at the same address share the bucket of the address; other addresses do not.
#[test]
fn an_address_has_a_bucket_too() {
    let settings = Settings { full_speed_per_address: 2, ..Settings::default() };
    let mut stage = Stage::new(settings);
    let mut passed = 0;
    stage.address = address(1);
    for n in 0..5 {
        stage.opens("one", &format!("u{n}"));
        stage.forgets("one");
        for _ in 0..40 {
            stage.says("one", r#"{"type":"ping","id":1}"#);
            passed += usize::from(stage.takes("one").iter().any(|text| kind(text) == "pong"));
        }
        stage.closes("one");
    }
    assert_eq!(passed, 80);
    stage.opens("late", "late");
    stage.forgets("late");
    stage.says("late", r#"{"type":"ping","id":2}"#);
    // Behind the 120 frames of the others that were refused: 25 ms each.
    stage.heard(
        "late",
        [concat!(
            r#"{"type":"error","id":2,"code":"rate_limited","message":"expected messages at the rate that all at this "#,
            r#"address have together, found more","retry":true,"retry_after_ms":3025}"#
        )],
    );
    // Control frames and typing cost the same.
    stage.waits_ms(50);
    stage.says("late", r#"{"type":"typing","user_id":"late","typing":true}"#);
    stage.chat.handle_ping(stage.conn("late"), stage.now, &mut stage.out);
    stage.dispatch();
    stage.refused("late", r#"{"type":"ping","id":3}"#, "rate_limited");
    for (name, at) in [("there", address(2)), ("uncounted", None)] {
        stage.address = at;
        stage.opens(name, name);
        stage.forgets(name);
        stage.says(name, r#"{"type":"ping"}"#);
        stage.heard_kinds(name, &["pong"]);
    }
}

#[test]
fn abuse() {
    let mut stage = Stage::json(Settings::default(), &["ann"]);
    for second in 0..10 {
        assert_eq!(stage.closed_with("ann"), None, "second {second}");
        for _ in 0..50 {
            stage.says("ann", "x");
        }
        stage.waits_ms(1_000);
    }
    assert_eq!(stage.takes("ann").last().map(|text| kind(text)).as_deref(), Some("goodbye"));
    assert_eq!(stage.closed_with("ann"), Some(4101));
}

#[test]
fn a_big_room_is_told_in_summary() {
    let mut stage = Stage::json(Settings { big_room: 2, ..unhurried() }, &["a", "b", "c", "d"]);
    for device in ["a", "b"] {
        stage.joins(device, "den");
    }
    stage.says("c", r#"{"type":"join","room_id":"den"}"#);
    stage.heard_kinds("c", &["joined", "online_users"]);
    stage.heard_nothing("a");
    let sample = |count: u64| format!(r#"{{"type":"online_users","room_id":"den","users":["a","b"],"count":{count}}}"#);
    stage.waits_ms(0);
    stage.heard("a", [sample(3)]);
    stage.opens_plain("p", "den", "p");
    stage.heard_kinds("p", &["user_joined", "online_users"]);
    stage.says("d", r#"{"type":"join","room_id":"den"}"#);
    stage.waits_ms(4_999);
    stage.heard_nothing("a");
    stage.waits_ms(1);
    stage.heard("a", [sample(5)]);
    stage.heard_kinds("p", &["online_users"]);
    stage.waits_ms(60_000);
    stage.heard_nothing("a");
    // Down to a room that is not big: the last summary names everybody.
    for device in ["c", "d"] {
        stage.says(device, r#"{"type":"leave","room_id":"den"}"#);
    }
    stage.closes("p");
    stage.waits_ms(10_000);
    stage.heard("a", [sample(3), sample(2)]);
    stage.says("b", r#"{"type":"leave","room_id":"den"}"#);
    stage.heard_kinds("a", &["user_left"]);
}

/// However many come and go, however often: a summary at most every 5 s, and one after the last change.
#[test]
fn a_big_room_in_which_people_come_and_go_all_the_time() {
    let mut stage = Stage::json(Settings { big_room: 2, ..unhurried() }, &["a", "b", "c"]);
    for device in ["a", "b", "c"] {
        stage.joins(device, "den");
    }
    let (mut told, mut last) = (Vec::new(), None);
    for n in 0..600 {
        let device = format!("d{n}");
        stage.opens(&device, &device);
        stage.joins_aside(&device, "den");
        stage.waits_ms(50);
        stage.says(&device, r#"{"type":"leave","room_id":"den"}"#);
        stage.closes(&device);
        stage.waits_ms(50);
        for text in stage.takes("a") {
            assert_eq!(kind(&text), "online_users");
            told.push(stage.now.tick.0);
            last = Some(text);
        }
    }
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= 4_900), "{told:?}");
    assert!((11..=13).contains(&told.len()), "{told:?}");
    stage.waits_ms(10_000);
    last = stage.takes("a").pop().or(last);
    assert_eq!(number_of(&last.unwrap(), "count"), Some(3));
}

#[test]
fn watching() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    let names = |from: usize, to: usize| (from..to).map(|n| format!(r#""u{n}""#)).collect::<Vec<_>>().join(",");
    let watch = |names: String| format!(r#"{{"type":"presence","user_ids":[{names}],"subscribe":true}}"#);
    stage.says("ann", &watch(names(0, 1000)));
    stage.says("ann", &watch(names(0, 1000)));
    stage.heard_kinds("ann", &["presence_state", "presence_state"]);
    stage.refused("ann", &watch(names(1000, 1001)), "too_large");
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<roster::session::Session>() <= 72, "{}", size_of::<roster::session::Session>());
    assert!(size_of::<roster::user::User>() <= 64, "{}", size_of::<roster::user::User>());
}

/// Making rooms in which nothing is said pushes out no room with a history.
#[test]
fn empty_rooms_push_out_empty_rooms() {
    let mut stage = Stage::json(Settings { max_rooms: 3, ..unhurried() }, &["ann"]);
    stage.joins("ann", "den");
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"kept"}"#);
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.waits_ms(1_000);
    for n in 0..10 {
        stage.says("ann", &format!(r#"{{"type":"create_room","room_id":"r{n}"}}"#));
    }
    stage.all_forget();
    stage.says("ann", r#"{"type":"join","room_id":"den","history":1}"#);
    stage.heard_kinds("ann", &["joined", "broadcast", "online_users"]);
    // Only where all keep something, the one that has been empty longest goes.
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    for n in 0..3 {
        stage.waits_ms(1_000);
        stage.says("ann", &format!(r#"{{"type":"join","room_id":"s{n}"}}"#));
        stage.says("ann", &format!(r#"{{"type":"broadcast","room_id":"s{n}","content":"x"}}"#));
        stage.says("ann", &format!(r#"{{"type":"leave","room_id":"s{n}"}}"#));
    }
    stage.all_forget();
    stage.refused("ann", r#"{"type":"room","room_id":"den"}"#, "room_not_found");
    stage.says("ann", r#"{"type":"room","room_id":"s0"}"#);
    stage.heard_kinds("ann", &["room"]);
    // A room whose last message is dropped keeps nothing, and goes.
    stage.chat.drop_oldest(1, stage.now, &mut stage.out);
    stage.dispatch();
    assert_eq!(stage.chat.counts().rooms, 2);
}

/// Speaking to everybody costs as much as there are sessions, and so has a rate of its own: of a user, and of all at an
/// address.
#[test]
fn everybody_is_not_spoken_to_all_the_time() {
    let mut stage = Stage::new(Settings::default());
    stage.address = address(1);
    let say = |n: u64| format!(r#"{{"type":"broadcast","room_id":"*","content":"x","id":{n}}}"#);
    for (name, said) in [("u0", 5), ("u1", 5), ("u2", 5), ("u3", 5), ("u4", 0)] {
        stage.opens(name, name);
        stage.all_forget();
        for n in 0..6 {
            stage.says(name, &say(n));
            let heard = stage.takes(name).remove(0);
            assert_eq!(kind(&heard), if n < said { "broadcast" } else { "rate_limited" }, "{name} {n}: {heard}");
            if n >= said {
                let after = if name == "u4" && n < 5 { 250 } else { 1000 };
                assert_eq!(number_of(&heard, "retry_after_ms"), Some(after), "{name}");
            }
            // A message that was said before is answered as a retry, at no cost.
            if n < said {
                stage.says(name, &say(n));
                stage.heard_kinds(name, &["ack"]);
            }
        }
    }
    stage.all_forget();
    stage.waits_ms(1000);
    stage.says("u0", &say(9));
    stage.heard_kinds("u0", &["broadcast"]);
    // An operator is not limited, nor is anybody where there is no limit.
    let mut stage = Stage::json(unhurried(), &["ann"]);
    for n in 0..100 {
        stage.says("ann", &say(n));
        stage.heard_kinds("ann", &["broadcast"]);
    }
}

/// Sixteen devices may be dead without a sign: they are asked at once, and there is room when the seventeenth comes
/// back.
#[test]
fn dead_devices_are_asked_when_there_is_no_room() {
    let mut stage = Stage::new(Settings { sessions_per_user: 3, ..unhurried() });
    for device in ["one", "two", "three"] {
        stage.opens(device, "ann");
    }
    let mut devices = ["one", "two", "three"].map(|device| stage.conn(device));
    assert!(stage.pinged.is_empty());
    for (wait, asked) in [(0, true), (9_999, false), (1, true)] {
        stage.waits_ms(wait);
        stage.opens("four", "ann");
        assert_eq!(stage.closed_with("four"), Some(4100));
        stage.closes("four");
        let mut pinged = std::mem::take(&mut stage.pinged);
        pinged.sort_unstable_by_key(|conn| conn.index);
        devices.sort_unstable_by_key(|conn| conn.index);
        assert_eq!(pinged, if asked { devices.to_vec() } else { Vec::new() });
    }
    // A guest who would take the name asks, too; and when one has not answered, there is room.
    stage.waits_ms(10_000);
    stage.open("four", Door::Json { user: None });
    stage.says("four", r#"{"type":"join","room_id":"den","user_id":"ann"}"#);
    assert_eq!((stage.closed_with("four"), stage.pinged.len()), (Some(4100), 3));
    stage.closes("two");
    stage.opens("five", "ann");
    stage.heard_kinds("five", &["welcome"]);
}

/// A request that costs much and is answered with little notes its work, for the engine, which shares out a turn.
#[test]
fn work_that_no_answer_shows_is_noted() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    for n in 0..800 {
        stage.opens("one", &format!("u{n}"));
        stage.closes("one");
    }
    stage.waits_ms(60_000);
    let names: Vec<String> = (0..100).map(|n| format!(r#""u{n}""#)).collect();
    let names = names.join(",");
    let multicast = format!(r#"{{"type":"multicast","user_ids":[{names}],"content":"x"}}"#);
    let presence = format!(r#"{{"type":"presence","user_ids":[{names}]}}"#);
    let join = r#"{"type":"join","rooms":[{"room_id":"a"},{"room_id":"b"}]}"#;
    for (text, work) in
        [(r#"{"type":"online"}"#, 100), (&multicast, 1110), (&presence, 210), (join, 19), (r#"{"type":"ping"}"#, 0)]
    {
        stage.chat.handle_text(stage.conn("ann"), text, stage.now, &mut stage.out);
        assert_eq!(stage.out.work(), work, "{text}");
        stage.dispatch();
        assert_eq!(stage.out.work(), 0);
    }
}

/// However many graces end together, one turn carries out so many of them, and the next ones the rest.
#[test]
fn timers_are_carried_out_some_a_turn() {
    let people: Vec<String> = (0..21).map(|n| format!("u{n}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut stage = Stage::json(unhurried(), &people);
    for who in &people {
        let rooms: Vec<String> = (0..100).map(|n| format!(r#"{{"room_id":"{who}-{n}"}}"#)).collect();
        stage.says(who, &format!(r#"{{"type":"join","rooms":[{}]}}"#, rooms.join(",")));
    }
    people.iter().for_each(|who| stage.closes(who));
    // Tables have shrunk by then.
    stage.waits_ms(2_000);
    let due = stage.chat.next_deadline().unwrap();
    stage.moves_to(due);
    let mut rooms = vec![stage.chat.counts().rooms];
    while stage.chat.next_deadline().is_some_and(|at| at <= due) {
        stage.chat.handle_timeout(stage.now, &mut stage.out);
        stage.dispatch();
        rooms.push(stage.chat.counts().rooms);
    }
    // 2,100 graces of rooms, and 21 of people.
    assert_eq!(rooms, [2100, 2100 - 1024, 2100 - 2048, 0]);
}
