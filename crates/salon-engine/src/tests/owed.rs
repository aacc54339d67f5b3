//! Peers that are owed answers which come later: those that are owed much are not read until some have come.

use super::*;
use crate::steps::OWED_ABOVE;

/// A peer that is owed so much, and what it says: three texts and a ping.
fn asking(settings: Settings, owed: usize, piece: usize) -> (House, ConnId, Script) {
    let mut house = House::new(settings);
    let (id, script) = house.open();
    house.engine.owe(id, owed);
    let says = [text("one"), text("two"), masked(Opcode::Ping, b"?"), text("three")].concat();
    for piece in says.chunks(piece) {
        script.say(piece);
        house.hear(id);
    }
    (house, id, script)
}

fn heard(id: ConnId) -> Vec<Told> {
    ["one", "two", "control", "three"].map(|text| (id, text.into())).into()
}

/// Each row: how much the peer is owed, how much may wait for it at all, and after how many steps it is read: at once,
/// when half of it is owed, or when nothing is. All of it is read then, and in order. Whole and a byte at a time.
#[test]
fn a_peer_that_is_owed_much_is_read_when_less_is_owed() {
    for (owed, outbox_bytes, steps) in [
        (0, 1 << 20, 0),
        (1, 1 << 20, 0),
        (OWED_ABOVE, 1 << 20, 0),
        (OWED_ABOVE + 1, 1 << 20, 1),
        (usize::MAX, 1 << 20, 2),
        (1000, 8000, 0),
        (1001, 8000, 1),
        (2002, 8000, 2),
    ] {
        for piece in [usize::MAX, 1] {
            let (mut house, id, _) = asking(Settings { outbox_bytes, ..Settings::default() }, owed, piece);
            for (step, less) in [owed, owed / 2, 0].into_iter().enumerate() {
                house.engine.owe(id, less);
                house.settle();
                let expected = if step == steps { heard(id) } else { Vec::new() };
                assert_eq!(house.told(), expected, "{owed} of {outbox_bytes}, pieces of {piece}, step {step}");
            }
        }
    }
}

/// What is sent amid a read counts in the same read: as many requests as come in one write are answered one by one.
#[test]
fn requests_of_one_write_are_answered_one_by_one() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.say(&(0..12).flat_map(|n| text(&format!("page {n}"))).collect::<Vec<_>>());
    house.engine.readable(id.index, false);
    let page = "x".repeat(OWED_ABOVE);
    for n in 0..12 {
        house.engine.begin_turn(house.now);
        let mut asked = Vec::new();
        loop {
            let before = asked.len();
            let told = house.engine.next_event(|_, _, event| {
                if let Event::Text(text) = event {
                    asked.push(text.to_owned());
                }
            });
            if told.is_none() {
                break;
            }
            if asked.len() > before {
                house.engine.owe(id, OWED_ABOVE + 1);
            }
        }
        house.finish();
        assert_eq!(asked, [format!("page {n}")]);
        assert!(!house.engine.has_work(), "nothing is to be done before the answer comes");
        house.engine.send(id, Kind::Text, page.as_bytes());
        house.engine.owe(id, 0);
        house.engine.flush();
        assert_eq!(script.texts(), [&page[..]]);
    }
    assert_eq!(house.engine.counters().cut_bytes, 0);
}

/// While any answer is owed, no more may wait for a peer that is read.
#[test]
fn what_waits_counts_while_anything_is_owed() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.wire().room = 0;
    house.engine.send(id, Kind::Text, &[b'x'; OWED_ABOVE]);
    house.engine.owe(id, 1);
    house.turn();
    script.say(&text("one"));
    house.hear(id);
    assert_eq!(house.told(), []);
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.settle();
    assert_eq!(house.told(), [(id, "one".into())]);
}

/// The silence of a peer that is not read says nothing: it is asked whether it is there when it is read again. Neither
/// has it been slow to end a message. A row for each of the two.
#[test]
fn deadlines_of_silence_do_not_count_while_it_is_not_read() {
    let pings: fn(&mut House, &Script) = |house, script| {
        house.wait(Duration::from_secs(25));
        assert_eq!(frames(&script.taken()), [(Opcode::Ping, Vec::new())]);
    };
    let fails: fn(&mut House, &Script) = |house, script| {
        house.wait(Duration::from_millis(59_999));
        assert_eq!(house.told(), []);
        house.wait(Duration::from_millis(1));
        assert_eq!(frames(&script.taken()), [close_of(1008, "message not finished in time")]);
    };
    for (says, settings, then) in [
        (&b""[..], Settings::default(), pings),
        (&text("half")[..3], Settings { ping_after: None, ..Settings::default() }, fails),
    ] {
        let mut house = House::new(settings);
        let (id, script) = house.open();
        script.say(says);
        house.hear(id);
        house.engine.owe(id, OWED_ABOVE + 1);
        house.wait(Duration::from_secs(1000));
        assert_eq!((house.told(), script.taken()), (vec![], vec![]));
        house.engine.owe(id, 1);
        house.turn();
        then(&mut house, &script);
    }
}

/// A goodbye behind requests is heard when they are answered, and is answered then; a Close of ours ends it as ever.
#[test]
fn a_goodbye_behind_requests_is_heard_when_they_are_answered() {
    for ends in [false, true] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        house.engine.owe(id, OWED_ABOVE + 1);
        script.say(&masked(Opcode::Close, b"\x03\xe8"));
        script.wire().end = ends;
        house.engine.readable(id.index, ends);
        house.turn();
        assert_eq!(house.told(), []);
        house.engine.send(id, Kind::Text, b"answer");
        house.engine.owe(id, 0);
        house.settle();
        let thousand = (Opcode::Close, b"\x03\xe8".to_vec());
        assert_eq!(frames(&script.taken()), [(Opcode::Text, b"answer".to_vec()), thousand]);
        assert_eq!(house.told(), [(id, "closed".into())]);
    }
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.engine.owe(id, OWED_ABOVE + 1);
    script.say(&text("unheard"));
    house.hear(id);
    house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    house.turn();
    assert_eq!(frames(&script.taken()), [close_of(1001, "bye")]);
    script.say(&masked(Opcode::Close, b"\x03\xe9"));
    house.hear(id);
    house.settle();
    assert!(script.wire().shut_down, "its Close is read, whatever it was owed");
}
