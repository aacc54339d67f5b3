//! The event that a connection has taken everything.

use super::*;
use crate::input::DRAINED_PER_TURN;

fn drained(id: ConnId) -> Told {
    (id, "drained".into())
}

#[test]
fn it_is_told_once_at_the_next_flush_where_the_socket_takes_everything() {
    for queued in [false, true] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        if queued {
            house.engine.send(id, Kind::Text, b"hello");
        }
        house.engine.tell_when_drained(id);
        house.engine.tell_when_drained(id);
        assert!(house.engine.has_work());
        house.turn();
        assert_eq!(script.texts().len(), usize::from(queued));
        assert!(house.engine.has_work(), "it is to be told without waiting");
        house.settle();
        assert_eq!(house.told(), [drained(id)]);
        house.engine.send(id, Kind::Text, b"again");
        house.settle();
        assert_eq!(house.told(), [], "nobody asked");
    }
}

/// Whatever waited: direct messages, a topic's messages, a pong that was owed.
#[test]
fn the_event_comes_when_the_last_byte_has_been_taken() {
    let mut house = House::new(Settings::default());
    let members = house.members(2, ROOM);
    let (id, script) = &members[0];
    script.wire().room = 3;
    house.engine.publish(ROOM, Kind::Text, b"room", &[]);
    house.engine.send(*id, Kind::Text, b"hello");
    house.engine.tell_when_drained(*id);
    house.settle();
    script.say(&masked(Opcode::Ping, b"?"));
    house.hear(*id);
    assert_eq!(house.told(), [(*id, "control".into())]);
    let len = 2 + 4 + 2 + 5 + 2 + 1;
    for taken in 4..=len {
        assert_eq!(house.told(), [], "{taken} bytes");
        script.wire().room = 1;
        house.engine.writable(id.index);
        house.settle();
    }
    assert_eq!(house.told(), [drained(*id)]);
    assert_eq!(script.texts(), ["room", "hello", "?"]);
    assert_eq!(members[1].1.texts(), ["room"]);
}

#[test]
fn asking_again_gets_one_event_for_the_later() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.engine.tell_when_drained(id);
    house.finish();
    script.wire().room = 0;
    house.engine.send(id, Kind::Text, b"hello");
    house.engine.tell_when_drained(id);
    house.settle();
    assert_eq!(house.told(), []);
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.settle();
    assert_eq!(house.told(), [drained(id)]);
}

/// Found by fuzzing: it lay on the list twice.
#[test]
fn asking_again_while_listed_gets_one_event() {
    for blocked in [false, true] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        house.engine.tell_when_drained(id);
        house.engine.flush();
        if blocked {
            script.wire().room = 3;
        }
        house.engine.send(id, Kind::Text, b"hello");
        house.engine.tell_when_drained(id);
        house.engine.flush();
        if blocked {
            // It takes the rest before anybody has looked at the list.
            script.wire().room = usize::MAX;
            house.engine.writable(id.index);
            house.engine.flush();
        }
        house.settle();
        assert_eq!(house.told(), [drained(id)]);
        assert_eq!(script.texts(), ["hello"]);
        // And it can be asked anew.
        house.engine.tell_when_drained(id);
        house.settle();
        assert_eq!(house.told(), [drained(id)]);
    }
}

#[test]
fn nothing_is_told_of_who_is_not_upgraded_or_closes() {
    let mut house = House::new(Settings::default());
    let (visitor, _) = house.connect();
    house.engine.tell_when_drained(visitor);
    house.settle();
    assert_eq!(house.told(), []);
    for end in 0..4 {
        let (id, script) = house.open();
        house.engine.tell_when_drained(id);
        // Before and after the flush that finds everything taken.
        if end % 2 == 1 {
            house.engine.flush();
        }
        match end / 2 {
            0 => house.engine.close(id, CloseCode::NORMAL, "bye"),
            _ => house.engine.abort(id),
        }
        house.engine.tell_when_drained(id);
        house.settle();
        assert_eq!(house.told(), [(id, "closed".into())]);
        script.wire().end = true;
        house.engine.readable(id.index, true);
        house.settle();
        // The next user of the slot did not ask.
        let (next, _) = house.open();
        house.settle();
        assert_eq!(house.told(), []);
        house.engine.abort(next);
        house.settle();
        house.told();
    }
}

#[test]
fn a_peer_that_is_cut_off_makes_no_event() {
    let mut house = House::new(Settings { outbox_bytes: 100, ..Settings::default() });
    let (id, script) = house.open();
    script.wire().room = 10;
    house.engine.send(id, Kind::Text, &[b'x'; 200]);
    house.engine.send(id, Kind::Text, &[b'x'; 200]);
    house.engine.tell_when_drained(id);
    house.settle();
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.settle();
    assert_eq!(house.told(), [(id, "closed".into())]);
}

/// Others must not wait for everything that is sent upon these events.
#[test]
fn so_many_are_told_in_one_turn() {
    let mut house = House::new(Settings::default());
    let count = 2 * DRAINED_PER_TURN + 1;
    let members = house.members(count, ROOM);
    members.iter().for_each(|(id, _)| house.engine.tell_when_drained(*id));
    house.turn();
    let mut told = Vec::new();
    for expected in [DRAINED_PER_TURN, DRAINED_PER_TURN, 1, 0] {
        house.turn();
        let turn = house.told();
        assert_eq!(turn.len(), expected);
        told.extend(turn);
    }
    let expected: Vec<Told> = members.iter().map(|(id, _)| drained(*id)).collect();
    assert_eq!(told, expected, "in the order in which they had taken it");
    assert!(!house.engine.has_work());
}
