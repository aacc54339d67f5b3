//! Members that take numbered messages more slowly than they come leave the topic, with all of them up to a number.

use super::*;
use crate::topic::{FULL_LOG, MAX_LOG};

const BEHIND: usize = 100;

fn slow() -> Settings {
    Settings { behind_bytes: BEHIND, ..Settings::default() }
}

impl House {
    fn says(&mut self, number: u64) {
        self.engine.publish_numbered(ROOM, number, Kind::Text, format!("message {number}").as_bytes(), &[]);
    }

    /// The stream takes everything from now on; what it has taken since the last look.
    fn takes_all(&mut self, (id, script): &(ConnId, Script)) -> Vec<String> {
        script.wire().room = usize::MAX;
        self.engine.writable(id.index);
        self.settle();
        script.texts()
    }
}

fn left(id: ConnId, topic: TopicId, heard: u64) -> Told {
    (id, format!("left {} after {heard}", topic.number()))
}

/// However little the stream takes, and however many messages a turn has, with notices between them or without: it gets
/// everything up to the number that is told, and nothing of the topic behind it. No more than a slice waits, and the
/// message that has been begun.
#[test]
fn what_is_lost_is_known_exactly() {
    for room in 0..80 {
        for a_turn in [1, 2, 7, 40] {
            for notices in [false, true] {
                let mut house = House::new(slow());
                let members = house.members(3, ROOM);
                members[1].1.wire().room = room;
                let mut said = Vec::new();
                for number in 1..=40 {
                    if notices {
                        house.engine.publish(ROOM, Kind::Text, b"notice", &[]);
                        said.push("notice".to_owned());
                    }
                    house.says(number);
                    said.push(format!("message {number}"));
                    if number % a_turn == 0 {
                        house.turn();
                        let waits = house.engine.blocked_of(members[1].0).map_or(0, |blocked| blocked.bytes);
                        assert!(waits <= BEHIND + 2 * 12, "{waits} bytes wait");
                    }
                }
                house.turn();
                let told = house.told();
                let [(id, words)] = &told[..] else { panic!("{told:?}") };
                let heard: usize = words.strip_prefix("left 3 after ").expect("it leaves").parse().unwrap();
                assert_eq!(*id, members[1].0);
                let got = house.takes_all(&members[1]);
                assert_eq!(got, said[..got.len()], "in order, and each once");
                let numbered = |texts: &[String]| texts.iter().filter(|text| *text != "notice").count();
                assert_eq!((numbered(&got), house.told()), (heard, vec![]), "room for {room}, {a_turn} a turn");
                for (_, script) in [&members[0], &members[2]] {
                    assert_eq!(script.texts(), said, "the others hear all");
                }
                assert_eq!(house.engine.counters().left_behind, 1);
                house.says(41);
                house.turn();
                assert_eq!((members[1].1.texts(), members[2].1.texts().len()), (vec![], 1));
            }
        }
    }
}

/// At the limit it stays, one byte past it it leaves.
#[test]
fn so_much_may_wait() {
    // Two bytes of each message are the frame's.
    for (waits, leaves) in [(BEHIND - 22, false), (BEHIND - 22 + 1, true)] {
        let mut house = House::new(slow());
        let members = house.members(2, ROOM);
        let (id, script) = &members[0];
        script.wire().room = 0;
        house.engine.publish_numbered(ROOM, 7, Kind::Text, &vec![b'x'; waits - 2], &[]);
        house.turn();
        house.engine.publish_numbered(ROOM, 8, Kind::Text, &[b'x'; 20], &[]);
        house.turn();
        assert_eq!(house.told(), if leaves { vec![left(*id, ROOM, 7)] } else { vec![] });
        assert_eq!(house.takes_all(&members[0]).len(), if leaves { 1 } else { 2 });
    }
}

/// What is sent to it alone waits behind what waits, as ever, and it hears its other topics.
#[test]
fn the_rest_goes_on() {
    let mut house = House::new(slow());
    let members = house.members(2, ROOM);
    let (id, script) = &members[0];
    house.engine.subscribe(*id, topic(9));
    script.wire().room = 0;
    house.engine.send(*id, Kind::Text, &[b'a'; 90]);
    house.turn();
    house.says(1);
    house.engine.send(*id, Kind::Text, b"between");
    house.says(2);
    house.turn();
    house.engine.publish(topic(9), Kind::Text, b"without a number", &[]);
    house.engine.send(*id, Kind::Text, b"behind");
    house.turn();
    // Between the calls of a turn nobody leaves: what is in front of a message to one waits with it.
    assert_eq!(house.told(), [left(*id, ROOM, 1)]);
    house.engine.tell_when_drained(*id);
    let expected = ["message 1", "between", "without a number", "behind"];
    assert_eq!(house.takes_all(&members[0])[1..], expected);
    assert_eq!(house.told(), [(*id, "drained".into())]);
    // And back.
    house.engine.subscribe(*id, ROOM);
    house.says(3);
    house.turn();
    assert_eq!(script.texts(), ["message 3"]);
}

/// A stream that takes something again is written to before anybody is behind.
#[test]
fn a_stream_that_takes_again_is_not_behind() {
    let mut house = House::new(slow());
    let members = house.members(2, ROOM);
    let (id, script) = &members[0];
    script.wire().room = 0;
    for number in 1..=8 {
        house.says(number);
        house.turn();
    }
    assert_eq!(house.told(), []);
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    (9..=40).for_each(|number| house.says(number));
    house.turn();
    assert_eq!((house.told(), script.texts().len()), (vec![], 40));
}

/// Several rooms: it leaves those that have more for it than may wait. The others it leaves if they have.
#[test]
fn each_topic_for_itself() {
    let mut house = House::new(slow());
    let (id, script) = house.open();
    let rooms = [topic(1), topic(2), topic(4)];
    rooms.iter().for_each(|room| house.engine.subscribe(id, *room));
    script.wire().room = 0;
    for number in 1..=20 {
        house.engine.publish_numbered(rooms[0], 100 + number, Kind::Text, b"0123456789", &[]);
        house.turn();
    }
    assert_eq!(house.told(), [left(id, rooms[0], 108)]);
    house.engine.publish_numbered(rooms[1], 1, Kind::Text, b"0123456789", &[]);
    house.turn();
    assert_eq!(house.told(), [left(id, rooms[1], 0)]);
    let got = house.takes_all(&(id, script.clone()));
    assert_eq!(got.len(), 8);
    house.engine.publish_numbered(rooms[2], 5, Kind::Text, b"here", &[]);
    house.turn();
    assert_eq!(script.texts(), ["here"]);
}

/// Where nothing has a number, or no number is known, the limit is that of all output.
#[test]
fn without_numbers_it_waits_and_is_cut_off() {
    let mut house = House::new(Settings { outbox_bytes: 1000, ..slow() });
    let members = house.members(2, ROOM);
    members[0].1.wire().room = 0;
    while house.told().is_empty() {
        house.engine.publish(ROOM, Kind::Text, b"notice", &[]);
        house.turn();
    }
    assert_eq!((house.engine.counters().cut_bytes, house.engine.counters().left_behind), (1, 0));
    // Numbers of an earlier life of the topic are forgotten with its last member.
    house.says(7);
    house.turn();
    house.engine.unsubscribe(members[1].0, ROOM);
    house.turn();
    let (late, script) = house.open();
    house.engine.subscribe(late, ROOM);
    script.wire().room = 0;
    for _ in 0..20 {
        house.engine.publish(ROOM, Kind::Text, b"notice", &[]);
        house.turn();
    }
    assert_eq!(house.told(), []);
    house.says(31);
    house.turn();
    assert_eq!(house.told(), [left(late, ROOM, 30)]);
    house.engine.publish(ROOM, Kind::Text, b"notice", &[]);
    house.turn();
    let got = house.takes_all(&(late, script));
    assert_eq!(got, vec!["notice"; 20]);
}

/// Members that share compressed messages, and those that do not, have logs of their own.
#[test]
fn compressed_and_plain_alike() {
    let settings = Settings { deflate: Some(DeflateSettings::default()), ..slow() };
    let mut house = House::new(settings);
    let (plain, plain_script) = house.open();
    let (deflating, deflating_script) = house.open_with(OFFER);
    for (id, script) in [(plain, &plain_script), (deflating, &deflating_script)] {
        house.engine.subscribe(id, ROOM);
        script.wire().room = 0;
    }
    let long = |number: u64| format!("{number} ").repeat(300);
    for number in 1..=30 {
        house.engine.publish_numbered(ROOM, number, Kind::Text, long(number).as_bytes(), &[]);
        house.turn();
    }
    let told = house.told();
    assert_eq!(told.len(), 2);
    for (id, script) in [(plain, &plain_script), (deflating, &deflating_script)] {
        let words = &told.iter().find(|(of, _)| *of == id).expect("both leave").1;
        let heard: u64 = words.strip_prefix("left 3 after ").unwrap().parse().unwrap();
        let got = house.takes_all(&(id, script.clone()));
        assert_eq!(got, (1..=heard).map(long).collect::<Vec<_>>());
    }
}

/// A log that grows full is written behind the call, and then a member that does not take it leaves; amid a call it
/// takes what there is.
#[test]
fn nobody_leaves_amid_the_owners_calls() {
    let piece = vec![b'x'; FULL_LOG / 8];
    for amid in [false, true] {
        let mut house = House::new(Settings { outbox_bytes: 4 << 20, ..slow() });
        let members = house.members(2, ROOM);
        let (id, script) = &members[0];
        script.wire().room = 0;
        house.begin();
        let count = if amid { MAX_LOG / piece.len() } else { FULL_LOG / piece.len() } as u64;
        for number in 1..=count {
            house.engine.publish_numbered(ROOM, number, Kind::Text, &piece, &[]);
        }
        house.note_left_behind();
        assert_eq!(house.told(), []);
        house.engine.flush_full();
        house.note_left_behind();
        match amid {
            true => {
                assert_eq!(house.told(), []);
                house.finish();
                house.says(count + 1);
                house.turn();
                assert_eq!(house.told(), [left(*id, ROOM, count)]);
                assert_eq!(house.takes_all(&members[0]).len() as u64, count);
            }
            false => {
                assert_eq!(house.told(), [left(*id, ROOM, 0)]);
                house.finish();
                assert_eq!(house.takes_all(&members[0]), [""; 0]);
            }
        }
        assert_eq!(members[1].1.texts().len() as u64, if amid { count + 1 } else { count });
    }
}

/// The socket is full, and nothing waits for it here: that has its time like everything else that waits.
#[test]
fn a_member_for_which_nothing_waits_is_blocked_all_the_same() {
    let mut house = House::new(slow());
    let members = house.members(1, ROOM);
    let (id, script) = &members[0];
    script.wire().room = 0;
    house.engine.publish_numbered(ROOM, 1, Kind::Text, &[b'x'; BEHIND + 1], &[]);
    house.turn();
    assert_eq!(house.told(), [left(*id, ROOM, 0)]);
    house.engine.tell_when_drained(*id);
    house.settle();
    assert_eq!(house.told(), [], "it has not taken anything");
    house.wait(Duration::from_millis(9_999));
    script.wire().room = 1;
    house.engine.writable(id.index);
    house.settle();
    assert_eq!(house.told(), [(*id, "drained".into())]);
}

/// It may end between that and its owner's hearing of it.
#[test]
fn an_end_in_the_same_turn() {
    let mut house = House::new(slow());
    let members = house.members(2, ROOM);
    let (id, script) = &members[0];
    script.wire().room = 0;
    (1..=20).for_each(|number| house.says(number));
    house.engine.close(*id, CloseCode::NORMAL, "");
    house.turn();
    assert_eq!(house.told(), [(*id, "closed".into())], "one that is closed is in no topic");
    assert_eq!(house.engine.left_behind(), None);
    let (id, script) = &members[1];
    script.wire().room = 0;
    (21..=40).for_each(|number| house.says(number));
    house.engine.flush();
    house.engine.abort(*id);
    house.note_left_behind();
    assert_eq!(house.told(), [left(*id, ROOM, 20)]);
    house.settle();
    assert_eq!(house.told().last(), Some(&(*id, "closed".into())));
}

/// Whatever is said: a slice, and the message that was begun; and what the list of chunks takes.
#[test]
fn a_stopped_member_holds_little() {
    let mut house = House::new(Settings { blocked_within: Duration::from_secs(3600), ..Settings::default() });
    let members = house.members(10, ROOM);
    let (_, script) = &members[0];
    script.wire().room = 100_000;
    let before = house.engine.held();
    for number in 1..=2_000 {
        house.engine.publish_numbered(ROOM, number, Kind::Text, &[b'x'; 8192], &[]);
        if number % 5 == 0 {
            house.turn();
            members[1..].iter().for_each(|(_, script)| drop(script.taken()));
        }
    }
    let grown = house.engine.held().outboxes - before.outboxes;
    assert!(grown < Settings::default().behind_bytes + 3 * 8192, "{grown}");
    assert_eq!(house.engine.counters().left_behind, 1);
}
