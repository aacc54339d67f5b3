//! The missed messages of a joiner, however many they are and however slowly they are taken.

use std::cell::RefCell;
use std::rc::Rc;

use super::history::{resume, short};
use super::late::{Gate, Late};
use super::*;

/// So that each slice is one message.
pub(super) fn one_by_one() -> Settings {
    Settings { replay_bytes: 1, ..unhurried() }
}

/// `ann` is in `den`, where she has said so many; a connection that takes output only when a row says so.
pub(super) fn den(settings: Settings, said: usize) -> (Stage, String) {
    den_keeping(Limits::default(), settings, said)
}

pub(super) fn den_keeping(limits: Limits, settings: Settings, said: usize) -> (Stage, String) {
    let mut stage = Stage::keeping(limits, settings, &["ann", "bob"]);
    stage.joins("ann", "den");
    says(&mut stage, "ann", said);
    let epoch = stage.epoch("ann", "den");
    stage.holds = true;
    (stage, epoch)
}

pub(super) fn says(stage: &mut Stage, device: &str, times: usize) {
    for _ in 0..times {
        stage.says(device, r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    }
    stage.forgets(device);
}

impl Stage {
    pub(super) fn resumes(&mut self, device: &str, epoch: &str, seq: u64) {
        self.says(device, &format!(r#"{{"type":"join","room_id":"den","since":{{"epoch":"{epoch}","seq":{seq}}}}}"#));
    }

    #[track_caller]
    pub(super) fn heard_short(&mut self, device: &str, expected: &[&str]) {
        let heard: Vec<String> = self.takes(device).iter().map(|text| short(text)).collect();
        assert_eq!(heard, expected, "heard by {device}");
    }

    /// Each line has the messages that come after one more slice has been taken; then nothing is left.
    #[track_caller]
    pub(super) fn takes_slices(&mut self, device: &str, slices: &[&[&str]]) {
        for slice in slices {
            assert!(self.drains(device), "something is on the way, before {slice:?}");
            self.heard_short(device, slice);
        }
        while self.drains(device) {
            self.heard_nothing(device);
        }
    }
}

/// Whatever a slice is, all of it comes, in order and once.
#[test]
fn a_long_replay_comes_whole_whatever_a_slice_is() {
    let content = "\\n".repeat(16_384);
    for replay_bytes in [1, 50_000, 64 << 10, 1 << 20] {
        let mut stage = Stage::json(Settings { replay_bytes, ..unhurried() }, &["ann"]);
        stage.joins("ann", "den");
        let epoch = stage.epoch("ann", "den");
        for _ in 0..100 {
            stage.says("ann", &format!(r#"{{"type":"broadcast","content":"{content}"}}"#));
        }
        stage.all_forget();
        let all: Vec<String> = (1..=100).map(|seq| seq.to_string()).collect();
        let heard = resume(&mut stage, &format!(r#""since":{{"epoch":"{epoch}","seq":0}}"#));
        assert_eq!(heard, [&["joined 100 true".to_owned()][..], &all, &["online_users".to_owned()]].concat());
        let heard = resume(&mut stage, r#""history":60"#);
        assert_eq!(heard, [&["joined 100 false".to_owned()][..], &all[40..], &["online_users".to_owned()]].concat());
        let heard = resume(&mut stage, r#""since":{"epoch":"other","seq":0}"#);
        let start = ["joined 100 false".to_owned(), "gap 1-50 epoch_changed".to_owned()];
        assert_eq!(heard, [&start[..], &all[50..], &["online_users".to_owned()]].concat());
    }
}

/// Never much more than one slice is on the way, for all rooms together.
#[test]
fn a_slice_is_bounded_on_the_wire() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    let content = "\\u0001".repeat(10_000); // six bytes each on the wire
    let rooms = ["den", "attic", "hut"];
    for room in rooms {
        stage.joins("ann", room);
        for _ in 0..5 {
            stage.says("ann", &format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{content}"}}"#));
        }
    }
    stage.all_forget();
    stage.holds = true;
    for room in rooms {
        stage.says("bob", &format!(r#"{{"type":"join","room_id":"{room}","history":5}}"#));
    }
    let mut slices = Vec::new();
    loop {
        let heard = stage.takes("bob");
        let told: Vec<_> = heard.iter().filter(|text| kind(text) == "broadcast").collect();
        assert!(told.iter().map(|text| text.len()).sum::<usize>() < (64 << 10) + 60_200, "{}", told.len());
        slices.push(told.len());
        if !stage.drains("bob") {
            break;
        }
    }
    assert_eq!(slices.iter().sum::<usize>(), 15);
    assert!(slices.iter().all(|&count| count <= 2));
    assert_eq!(stage.chat.hall.readers.all().len(), 0);
}

/// Messages of that time come after the missed ones, also those of the reader, with their `id`; the others hear them at
/// once.
#[test]
fn what_is_said_meanwhile_comes_in_its_place() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    stage.resumes("bob", &epoch, 0);
    stage.heard_short("bob", &["joined 3 true", "1"]);
    stage.heard_kinds("ann", &["user_joined"]);
    says(&mut stage, "ann", 1);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"z"}"#);
    stage.heard_short("ann", &["5", "6"]);
    // A retry is answered at once, and the message itself still comes.
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    stage.heard_short("bob", &[r#"ack 5 id "a" dup"#]);
    stage.takes_slices("bob", &[&["2"], &["3"], &["4"], &[r#"5 id "a""#], &["6", "online_users"]]);
    // It is an answer to that session alone, and later ones come as ever.
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"b"}"#);
    stage.heard_short("bob", &[r#"7 id "b""#]);
    stage.heard_short("ann", &["7"]);
}

/// A session that catches up is a member, is answered, and hears everything but the room.
#[test]
fn who_catches_up_is_a_member() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    stage.says("bob", r#"{"type":"join","room_id":"attic"}"#);
    stage.resumes("bob", &epoch, 0);
    stage.all_forget();
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"x"}"#);
    stage.opens("cat", "cat");
    stage.joins_aside("cat", "den");
    stage.joins_aside("cat", "attic");
    stage.says("cat", r#"{"type":"broadcast","room_id":"attic","content":"x"}"#);
    stage.heard_kinds("bob", &["direct", "user_joined", "broadcast"]);
    stage.says("bob", r#"{"type":"members","room_id":"den"}"#);
    assert_eq!(number_of(&stage.takes("bob")[0], "count"), Some(3));
    for (text, answer) in [
        (r#"{"type":"history","room_id":"den"}"#, "history"),
        (r#"{"type":"room","room_id":"den"}"#, "room"),
        (r#"{"type":"presence","room_id":"den","subscribe":true}"#, "presence_state"),
        (r#"{"type":"typing","room_id":"den","typing":true,"id":1}"#, "ack"),
    ] {
        stage.says("bob", text);
        stage.heard_kinds("bob", &[answer]);
    }
    stage.all_forget();
    // Comings and goings of that time are in the list at the end.
    stage.closes("cat");
    stage.waits_ms(5_000);
    stage.drains("bob");
    stage.drains("bob");
    let list = r#"{"type":"online_users","room_id":"den","users":["ann","bob"],"count":2}"#;
    assert_eq!(stage.takes("bob").last().unwrap(), list);
    stage.says("bob", r#"{"type":"rooms"}"#);
    assert!(stage.takes("bob")[0].contains(r#""room_id":"den","name":"den","members":2,"joined":true"#));
}

#[test]
fn joining_again_while_catching_up_changes_nothing() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    stage.resumes("bob", &epoch, 0);
    stage.heard_short("bob", &["joined 3 true", "1"]);
    stage.forgets("ann");
    stage.resumes("bob", &epoch, 1);
    stage.heard_short("bob", &["joined 3 true"]);
    stage.says("bob", r#"{"type":"join","room_id":"den","history":3}"#);
    stage.heard_short("bob", &["joined 3 false"]);
    stage.heard_nothing("ann");
    stage.takes_slices("bob", &[&["2"], &["3", "online_users"]]);
}

/// `left` comes at once. Messages that were sent meanwhile, and are not heard, are answered before it.
#[test]
fn leaving_ends_the_replay() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    stage.resumes("bob", &epoch, 0);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":7}"#);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y"}"#);
    stage.forgets("bob");
    stage.forgets("ann");
    stage.says("bob", r#"{"type":"leave","room_id":"den","id":8}"#);
    stage.heard(
        "bob",
        [r#"{"type":"ack","id":7,"room_id":"den","seq":4,"ts":1000000}"#, r#"{"type":"left","id":8,"room_id":"den"}"#],
    );
    stage.heard_kinds("ann", &["user_left"]);
    stage.takes_slices("bob", &[]);
    stage.refused("bob", r#"{"type":"broadcast","room_id":"den","content":"y"}"#, "not_joined");
    // And back, with something on the way still.
    stage.resumes("bob", &epoch, 0);
    stage.says("bob", r#"{"type":"leave","room_id":"den"}"#);
    stage.resumes("bob", &epoch, 2);
    stage.heard_short("bob", &["joined 5 true", "1", "left", "joined 5 true"]);
    stage.takes_slices("bob", &[&["3"], &["4"], &["5", "online_users"]]);
}

#[test]
fn rooms_take_turns() {
    let mut stage = Stage::json(one_by_one(), &["ann", "bob"]);
    for room in ["den", "attic"] {
        stage.joins("ann", room);
        (0..3).for_each(|_| {
            stage.says("ann", &format!(r#"{{"type":"broadcast","room_id":"{room}","content":"{room}"}}"#))
        });
    }
    stage.all_forget();
    stage.holds = true;
    for room in ["den", "attic"] {
        stage.says("bob", &format!(r#"{{"type":"join","room_id":"{room}","history":9}}"#));
    }
    let mut heard = Vec::new();
    loop {
        heard.extend(stage.takes("bob").iter().filter_map(|text| text_of(text, "content")));
        if !stage.drains("bob") {
            break;
        }
    }
    assert_eq!(heard, ["den", "den", "attic", "den", "attic", "attic"]);
}

/// Messages that are no longer kept when their turn comes are named; the reader's own among them are answered.
#[test]
fn what_expires_under_the_reader_is_a_gap() {
    let (mut stage, epoch) = den_keeping(last(3), one_by_one(), 3);
    stage.resumes("bob", &epoch, 0);
    stage.heard_short("bob", &["joined 3 true", "1"]);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    says(&mut stage, "ann", 4); // up to 8, of which 6 to 8 are kept
    stage.takes_slices("bob", &[&[r#"ack 4 id "a""#, "gap 2-5 expired", "6"], &["7"], &["8", "online_users"]]);

    // The room has fallen silent, and all of it has gone.
    let age = Duration::from_secs(100);
    let (mut stage, epoch) = den_keeping(young(age), one_by_one(), 3);
    stage.resumes("bob", &epoch, 0);
    stage.heard_short("bob", &["joined 3 true", "1"]);
    stage.waits(2 * age);
    stage.takes_slices("bob", &[&["gap 2-3 expired", "online_users"]]);
    says(&mut stage, "ann", 1);
    stage.heard_short("bob", &["4"]);
}

/// A room that says more than the reader takes: it stays behind, holes are named, and nothing grows.
#[test]
fn a_reader_who_never_catches_up_is_behind() {
    let (mut stage, epoch) = den_keeping(last(5), one_by_one(), 5);
    stage.resumes("bob", &epoch, 0);
    stage.heard_short("bob", &["joined 5 true", "1"]);
    let mut last = 1;
    for _ in 0..20 {
        says(&mut stage, "ann", 3);
        stage.drains("bob");
        for text in stage.takes("bob") {
            match kind(&text).as_str() {
                "gap" => {
                    assert_eq!(number_of(&text, "from"), Some(last + 1));
                    last = number_of(&text, "to").unwrap();
                }
                "broadcast" => {
                    last += 1;
                    assert_eq!(number_of(&text, "seq"), Some(last));
                }
                other => panic!("{other}"),
            }
        }
        assert!(stage.chat.hall.readers.all().len() == 1);
    }
    while stage.drains("bob") {}
    let heard = stage.takes("bob");
    assert_eq!(heard.iter().filter(|text| kind(text) == "broadcast").count() as u64, 65 - last);
    assert_eq!(kind(heard.last().unwrap()), "online_users");
}

#[test]
fn an_end_amid_the_replay_leaves_nothing() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    for seq in [0, 1] {
        stage.opens("cat", "cat");
        stage.resumes("cat", &epoch, seq);
        stage.says("cat", r#"{"type":"broadcast","room_id":"den","content":"y","id":1}"#);
        stage.closes("cat");
        assert!(stage.chat.hall.readers.is_empty());
        stage.waits_ms(5_000);
    }
    stage.resumes("bob", &epoch, 0);
    stage.chat.handle_binary(stage.conn("bob"), stage.now, &mut stage.out);
    stage.dispatch();
    assert_eq!(stage.closed_with("bob"), Some(1003));
    says(&mut stage, "ann", 1);
    stage.closes("bob");
    stage.closes("ann");
    stage.waits(Duration::from_secs(15 * 24 * 60 * 60));
    stage.check_released();
}

#[test]
fn so_much_may_be_said_while_catching_up() {
    let (mut stage, epoch) = den(one_by_one(), 3);
    stage.resumes("bob", &epoch, 0);
    stage.forgets("bob");
    for id in 0..1024 {
        stage.says("bob", &format!(r#"{{"type":"broadcast","room_id":"den","content":"y","id":{id}}}"#));
    }
    stage.heard_nothing("bob");
    stage.refused("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"more"}"#, "overloaded");
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y"}"#);
    stage.heard_nothing("bob");
    // It counts where it has to be remembered only.
    stage.says("bob", r#"{"type":"join","room_id":"attic"}"#);
    stage.forgets("bob");
    stage.says("bob", r#"{"type":"broadcast","room_id":"attic","content":"y","id":"more"}"#);
    stage.heard_short("bob", &[r#"1 id "more""#]);
    stage.holds = false;
    stage.drains("bob");
    stage.dispatch();
    let own = stage.takes("bob").iter().filter(|text| field(text, "id").is_some()).count();
    // The first of them are no longer kept, and answered all the same.
    assert_eq!(own, 1024);
}

/// The same, with three messages and a store that answers when a row says so.
fn late_den() -> (Stage, Rc<RefCell<Gate>>, String) {
    let gate = Rc::new(RefCell::new(Gate::Open));
    let mut stage = Stage::with(one_by_one(), Box::new(Late::new(Limits::default(), gate.clone())));
    for name in ["ann", "bob"] {
        stage.opens(name, name);
    }
    stage.joins("ann", "den");
    says(&mut stage, "ann", 3);
    let epoch = stage.epoch("ann", "den");
    stage.all_forget();
    stage.holds = true;
    (stage, gate, epoch)
}

/// The store answers in a later turn: a page that is being read ends where it ended when it was asked for.
#[test]
fn pages_that_come_late() {
    let (mut stage, gate, epoch) = late_den();
    let answers = |stage: &mut Stage| {
        *gate.borrow_mut() = Gate::Open;
        stage.hears_the_backend();
        *gate.borrow_mut() = Gate::Shut;
    };
    *gate.borrow_mut() = Gate::Shut;
    stage.resumes("bob", &epoch, 0);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"a"}"#);
    answers(&mut stage);
    stage.heard_short("bob", &["joined 3 true", "1"]);
    for (said, expected) in [("b", "2"), ("c", "3"), ("d", r#"4 id "a""#)] {
        stage.drains("bob");
        stage.says("bob", &format!(r#"{{"type":"broadcast","room_id":"den","content":"y","id":"{said}"}}"#));
        stage.heard_nothing("bob");
        answers(&mut stage);
        stage.heard_short("bob", &[expected]);
    }
    for expected in [r#"5 id "b""#, r#"6 id "c""#] {
        stage.drains("bob");
        answers(&mut stage);
        stage.heard_short("bob", &[expected]);
    }
    // The page that reaches the newest is asked for, then something is said: it comes live.
    stage.drains("bob");
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"y","id":"e"}"#);
    answers(&mut stage);
    stage.heard_short("bob", &[r#"7 id "d""#, "online_users", r#"8 id "e""#]);
    answers(&mut stage);
    stage.takes_slices("bob", &[]);
    // A page is being read when its reader leaves and comes back.
    stage.says("bob", r#"{"type":"leave","room_id":"den"}"#);
    stage.resumes("bob", &epoch, 0);
    answers(&mut stage);
    stage.heard_short("bob", &["left", "joined 8 true", "1"]);
    stage.drains("bob");
    stage.says("bob", r#"{"type":"leave","room_id":"den"}"#);
    stage.resumes("bob", &epoch, 6);
    answers(&mut stage);
    stage.heard_short("bob", &["2", "left", "joined 8 true"]);
    *gate.borrow_mut() = Gate::Open;
    stage.takes_slices("bob", &[&["7"], &["8", "online_users"]]);
}

/// A store that is down for a while makes no hole: it is asked again.
#[test]
fn a_store_that_fails_amid_the_replay() {
    for state in [Gate::Down, Gate::Full] {
        let (mut stage, gate, epoch) = late_den();
        stage.resumes("bob", &epoch, 0);
        stage.heard_short("bob", &["joined 3 true", "1"]);
        *gate.borrow_mut() = state;
        stage.drains("bob");
        stage.heard_nothing("bob");
        stage.waits_ms(10_000);
        stage.heard_nothing("bob");
        *gate.borrow_mut() = Gate::Open;
        stage.waits_ms(1_000);
        stage.heard_short("bob", &["2"]);
        stage.takes_slices("bob", &[&["3", "online_users"]]);
        assert_eq!(stage.chat.next_deadline().map(|due| due > stage.now.tick), Some(true));
    }
}
