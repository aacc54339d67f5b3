//! Messages of which one read has only a part.

use super::*;

/// Bytes of one read.
const READ: usize = 20_000;

/// A house that reads little at once, a client in it, and three messages, the second of so many bytes.
fn house_and(long: usize) -> (House, ConnId, Script, Vec<u8>) {
    let mut house = House::new(Settings { receive_buffer: READ, ..Settings::default() });
    let (id, script) = house.open();
    let said = [text("before"), text(&"x".repeat(long)), text("behind")].concat();
    (house, id, script, said)
}

fn held(house: &House) -> usize {
    house.engine.held().receiving
}

#[test]
fn what_is_there_is_read_to_the_end_of_the_message_and_not_held() {
    for long in [READ - 7, READ, 50_000, 60_000, 65_536] {
        let (mut house, id, script, said) = house_and(long);
        script.say(&said);
        house.hear(id);
        assert_eq!(house.told(), [(id, "before".into()), (id, "x".repeat(long))], "{long}");
        assert_eq!(held(&house), 0, "{long}");
        assert_eq!(house.engine.counters().bytes_in, (HANDSHAKE.len() + said.len() - text("behind").len()) as u64);
        house.settle();
        assert_eq!(house.told(), [(id, "behind".into())]);
    }
}

/// Up to a quarter of a read, a copy is cheaper than a further read.
#[test]
fn a_short_message_is_copied() {
    let mut house = House::new(Settings { receive_buffer: READ, ..Settings::default() });
    let (id, script) = house.open();
    script.say(&masked(Opcode::Binary, &[b'x'; 4900]).repeat(5));
    house.hear(id);
    assert_eq!(house.told().len(), 4);
    assert!(held(&house) >= 300, "{}", held(&house));
    house.settle();
    assert_eq!(house.told(), [(id, "binary 4900".into())]);
    assert_eq!(held(&house), 0);
}

/// The stream has no more for now: the bytes that have come are held, and the others have their turn.
#[test]
fn what_is_not_there_yet_is_waited_for() {
    for there in [READ, READ + 1, 2 * READ + 5, 50_000] {
        let (mut house, id, script, said) = house_and(60_000);
        script.say(&said[..there]);
        house.hear(id);
        assert_eq!(house.told(), [(id, "before".into())], "{there}");
        assert!((there - 20..=2 * there + 200).contains(&held(&house)), "{there}: {}", held(&house));
        assert!(!house.engine.has_work() || there == READ, "{there}: the stream was found empty");
        script.say(&said[there..]);
        house.hear(id);
        house.settle();
        assert_eq!(house.told(), [(id, "x".repeat(60_000)), (id, "behind".into())], "{there}");
        assert_eq!(held(&house), 0);
    }
}

#[test]
fn an_end_amid_it_is_an_end() {
    let (mut house, id, script, said) = house_and(60_000);
    script.say(&said[..50_000]);
    script.wire().end = true;
    house.engine.readable(id.index, true);
    house.settle();
    assert_eq!(house.told(), [(id, "before".into()), (id, "closed".into())]);
    assert!(house.engine.is_empty());
}

/// A stream that panics while the rest is read ends its connection alone; earlier messages were heard.
#[test]
fn a_panic_amid_it_ends_its_connection_alone() {
    let (mut house, id, script, said) = house_and(60_000);
    let (other, peer) = house.open();
    script.say(&said);
    script.wire().breaks_after = 2;
    house.hear(id);
    house.settle();
    assert_eq!(house.told(), [(id, "before".into()), (id, "closed".into())]);
    assert_eq!((house.engine.counters().panics, house.engine.len()), (1, 1));
    peer.say(&text("hello"));
    house.hear(other);
    assert_eq!(house.told(), [(other, "hello".into())]);
}

/// The rest of a message that breaks the protocol is not read.
#[test]
fn a_bad_frame_is_refused_as_it_stands() {
    let (mut house, id, script, mut said) = house_and(60_000);
    said[text("before").len()] |= 0x40;
    script.say(&said);
    house.hear(id);
    assert_eq!(house.told(), [(id, "before".into()), (id, "closed".into())]);
    assert_eq!(house.engine.counters().bytes_in, (HANDSHAKE.len() + READ) as u64);
}
