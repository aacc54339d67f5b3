//! Sessions that hear a room live and take it too slowly: they catch up like those that come back.

use super::replay::{den, den_keeping, one_by_one, says};
use super::*;

/// `bob` hears `den`, where three messages have been said, and takes nothing more.
fn bob_stops(limits: Limits) -> Stage {
    let (mut stage, _) = den_keeping(limits, one_by_one(), 3);
    stage.joins("bob", "den");
    stage.stops("bob");
    stage
}

/// Messages come in order and each once, also those of the reader, with their `id`; nothing of it is heard by others.
#[test]
fn what_is_said_meanwhile_comes_when_it_is_taken() {
    let mut stage = bob_stops(Limits::default());
    says(&mut stage, "ann", 2);
    assert!(!stage.hears("bob", "den"));
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    stage.heard_short("ann", &["6"]);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    stage.heard_short("bob", &[r#"ack 6 id "a" dup"#]);
    stage.takes_slices("bob", &[&["4"], &["5"], &[r#"6 id "a""#, "online_users"]]);
    stage.heard_nothing("ann");
    // Live again, and behind again.
    assert!(stage.hears("bob", "den"));
    says(&mut stage, "ann", 1);
    stage.heard_nothing("bob");
    stage.takes_slices("bob", &[&["7", "online_users"]]);
    stage.goes_on("bob");
    says(&mut stage, "ann", 1);
    stage.heard_short("bob", &["8"]);
    assert!(stage.chat.hall.readers.is_empty());
}

/// What a session says while it still hears the room comes at once, in its place.
#[test]
fn its_own_message_is_no_reason_to_be_behind() {
    let mut stage = bob_stops(Limits::default());
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":1}"#);
    stage.heard_short("bob", &["4 id 1"]);
    assert!(stage.hears("bob", "den"));
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y"}"#);
    assert!(!stage.hears("bob", "den"));
    stage.takes_slices("bob", &[&["5", "online_users"]]);
}

/// Several messages of one call of the chat, the reader's own among them: it leaves behind all that it is sent.
#[test]
fn a_call_with_many_messages() {
    let mut stage = Stage::json(one_by_one(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.holds = true;
    stage.stops("bob");
    for (device, id) in [("ann", 1), ("bob", 2), ("ann", 3), ("ann", 4)] {
        let text = format!(r#"{{"type":"broadcast","room_id":"den","content":"x","id":{id}}}"#);
        stage.chat.handle_text(stage.conn(device), &text, stage.now, &mut stage.out);
    }
    stage.dispatch();
    stage.heard_short("ann", &["1 id 1", "2", "3 id 3", "4 id 4"]);
    stage.heard_short("bob", &["1", "2 id 2"]);
    stage.takes_slices("bob", &[&["3"], &["4", "online_users"]]);
}

/// Where the history does not reach back far enough, the hole is named, as for one that comes back.
#[test]
fn what_is_not_kept_is_a_gap() {
    let mut stage = bob_stops(last(2));
    says(&mut stage, "ann", 1);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    says(&mut stage, "ann", 3); // up to 8, of which 7 and 8 are kept
    stage.takes_slices("bob", &[&[r#"ack 5 id "a""#, "gap 4-6 expired", "7"], &["8", "online_users"]]);
}

/// Where nothing is kept, the engine's limit is the only one.
#[test]
fn where_nothing_is_kept_it_stays() {
    let mut stage = bob_stops(last(0));
    says(&mut stage, "ann", 2);
    assert!(stage.hears("bob", "den"));
    stage.heard_short("bob", &["4", "5"]);
}

#[test]
fn leaving_while_behind() {
    let mut stage = bob_stops(Limits::default());
    says(&mut stage, "ann", 1);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":7}"#);
    stage.all_forget();
    stage.says("bob", r#"{"type":"leave","room_id":"den","id":8}"#);
    stage.heard(
        "bob",
        [r#"{"type":"ack","id":7,"room_id":"den","seq":5,"ts":1000000}"#, r#"{"type":"left","id":8,"room_id":"den"}"#],
    );
    stage.heard_kinds("ann", &["user_left"]);
    stage.takes_slices("bob", &[]);
    stage.says("bob", r#"{"type":"join","room_id":"den"}"#);
    stage.heard_short("bob", &["joined 5 false", "online_users"]);
}

#[test]
fn joining_again_while_behind_changes_nothing() {
    let mut stage = bob_stops(Limits::default());
    let epoch = stage.epoch("ann", "den");
    says(&mut stage, "ann", 2);
    stage.resumes("bob", &epoch, 3);
    stage.heard_short("bob", &["joined 5 true"]);
    stage.takes_slices("bob", &[&["4"], &["5", "online_users"]]);
}

#[test]
fn an_end_while_behind_leaves_nothing() {
    let mut stage = bob_stops(Limits::default());
    says(&mut stage, "ann", 1);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":1}"#);
    // It is being closed when it falls behind elsewhere.
    stage.says("bob", r#"{"type":"join","room_id":"attic"}"#);
    stage.says("ann", r#"{"type":"join","room_id":"attic"}"#);
    stage.chat.handle_binary(stage.conn("bob"), stage.now, &mut stage.out);
    stage.dispatch();
    stage.says("ann", r#"{"type":"broadcast","room_id":"attic","content":"y"}"#);
    stage.closes("bob");
    assert!(stage.chat.hall.readers.is_empty());
    stage.closes("ann");
    stage.waits(Duration::from_secs(15 * 24 * 60 * 60));
    stage.check_released();
}

/// Comings and goings are in the list at the end; status, directs, announcements and answers come in any case.
#[test]
fn the_picture_is_right_afterwards() {
    let mut stage = bob_stops(Limits::default());
    stage.opens("cat", "cat");
    stage.joins_aside("cat", "den");
    stage.says("bob", r#"{"type":"presence","user_ids":["ann"],"subscribe":true}"#);
    stage.all_forget();
    says(&mut stage, "ann", 1);
    stage.opens("dan", "dan");
    stage.joins_aside("dan", "den");
    stage.closes("cat");
    stage.waits_ms(5_000);
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    stage.says("ann", r#"{"type":"status","status":"busy"}"#);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"x"}"#);
    stage.says("ann", r#"{"type":"broadcast","room_id":"*","content":"x"}"#);
    stage.says("bob", r#"{"type":"members","room_id":"den"}"#);
    stage.heard_kinds("bob", &["presence", "direct", "broadcast", "members"]);
    assert!(stage.drains("bob"));
    let heard = stage.takes("bob");
    assert_eq!(number_of(&heard[0], "seq"), Some(4));
    let list = r#"{"type":"online_users","room_id":"den","users":["ann","bob","dan"],"count":3}"#;
    assert_eq!(heard[1..], [list]);
}

/// A notice may be what it does not take; then there is no message to catch up with.
#[test]
fn a_notice_alone() {
    let mut stage = bob_stops(Limits::default());
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    assert!(!stage.hears("bob", "den"));
    stage.takes_slices("bob", &[&["online_users"]]);
    // While nothing has been said since the first came in, nobody knows from where on it would have to be sent.
    stage.joins("bob", "attic");
    stage.joins_aside("ann", "attic");
    stage.heard_kinds("bob", &["user_joined"]);
    assert!(stage.hears("bob", "attic"));
}

/// Rooms take turns, each device of a user is on its own, and a slice is that of all rooms together.
#[test]
fn in_several_rooms_at_once() {
    let mut stage = bob_stops(Limits::default());
    stage.opens("bob/2", "bob");
    for device in ["ann", "bob", "bob/2"] {
        stage.joins(device, "attic");
    }
    stage.joins("bob/2", "den");
    for _ in 0..2 {
        says(&mut stage, "ann", 1);
        stage.says("ann", r#"{"type":"broadcast","room_id":"attic","content":"z"}"#);
    }
    stage.heard_short("bob/2", &["4", "1", "5", "2"]);
    stage.takes_slices("bob", &[&["4"], &["1"], &["5", "online_users"], &["2", "online_users"]]);
}

/// A page of one room may be on its way from the store when the session falls behind in another: nothing more is sent
/// before it has taken what waits.
#[test]
fn behind_while_a_replay_is_under_way() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    stage.joins("ann", "attic");
    stage.joins("bob", "attic");
    stage.resumes("bob", &epoch, 0);
    stage.heard_short("bob", &["joined 3 true", "1"]);
    stage.stops("bob");
    stage.says("ann", r#"{"type":"broadcast","room_id":"attic","content":"z"}"#);
    stage.heard_nothing("bob");
    stage.takes_slices("bob", &[&["2"], &["1", "online_users"], &["3", "online_users"]]);
}
