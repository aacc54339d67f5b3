//! The work of one turn is bounded in steps, whatever comes in one read.

use super::*;
use crate::steps::{
    BYTES_A_STEP, CLOSES_PER_TURN, FRAGMENTS_A_STEP, FRESH_STEPS, MUCH_SET_ASIDE, PEER_STEPS, READ_BYTES_A_STEP,
    SHORT_READ, TEXT_BYTES_A_STEP, TURN_STEPS,
};

/// Bytes of a read, as they are by default.
const READ: usize = 64 << 10;

/// A read full of `one`, by a connection that is upgraded or not.
fn floods() -> Vec<(&'static str, bool, Vec<u8>)> {
    let presence = format!("{{\"type\":\"presence\",\"user_ids\":[{}]}}", "\"somebody\",".repeat(900));
    let mut fragment = masked(Opcode::Text, b"");
    fragment[0] &= 0x7F;
    let mut continuation = masked(Opcode::Text, b"");
    continuation[0] = 0x80;
    vec![
        ("HEAD", false, b"HEAD /client.js HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()),
        ("GET", false, b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()),
        ("with a body", false, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx".to_vec()),
        ("pings", true, masked(Opcode::Ping, b"")),
        ("pongs", true, masked(Opcode::Pong, b"")),
        ("empty texts", true, text("")),
        ("fragmented texts", true, [fragment, continuation].concat()),
        ("joins", true, text("{\"type\":\"join\",\"room_id\":\"den\"}")),
        ("long lists", true, text(&presence)),
        ("binary", true, masked(Opcode::Binary, b"x")),
    ]
}

fn came_in(house: &mut House, upgraded: bool) -> (ConnId, Script) {
    if upgraded { house.open() } else { house.connect() }
}

/// For each request a stranger can make, many times in one read: a turn goes no further than the share of a peer and
/// one step more, and everything is heard in the end, once and in order.
#[test]
fn one_peer_costs_a_turn_its_share() {
    for echo in [false, true] {
        for (what, upgraded, one) in floods() {
            let mut house = House::new(Settings::default());
            house.echo = echo;
            let (id, script) = came_in(&mut house, upgraded);
            let count = READ / one.len();
            script.say(&one.repeat(count));
            let largest = 2 * (32 + 2 * one.len() / TEXT_BYTES_A_STEP + READ / READ_BYTES_A_STEP) as u64;
            house.hear(id);
            let fresh = house.engine.budget.spent();
            assert!(fresh <= u64::from(FRESH_STEPS) + largest, "{what}: {fresh}");
            let mut turns = 1;
            while house.engine.has_work() {
                assert!(house.engine.held().receiving <= READ + 2 * one.len(), "{what}: a read is held at most");
                house.turn();
                let spent = house.engine.budget.spent();
                assert!(spent <= u64::from(PEER_STEPS) + largest, "{what}: {spent}");
                turns += 1;
            }
            // Long texts are few, and the owner says what it costs to read them.
            assert!(turns > 1 || what == "long lists", "{what}: {turns} turns");
            let events = match what {
                "with a body" => 2 * count,
                _ => count,
            };
            assert_eq!(house.told.len(), events, "{what}");
            assert_eq!(house.engine.held().receiving, 0, "{what}");
            assert_eq!(house.engine.len(), 1, "{what}");
        }
    }
}

/// Many such peers together cost a turn no more, and a peer that asks for little is heard in the very next turn.
#[test]
fn many_peers_cost_a_turn_its_bound_and_a_neighbour_nothing() {
    for (what, upgraded, one) in floods() {
        let mut house = House::new(Settings { receive_buffer: READ / 4, ..Settings::default() });
        let (neighbour, other) = house.open();
        let crowd: Vec<_> = (0..12).map(|_| came_in(&mut house, upgraded)).collect();
        for (id, script) in &crowd {
            script.say(&one.repeat(READ / 2 / one.len()));
            house.engine.readable(id.index, false);
        }
        house.turn();
        let largest = 2 * (32 + 2 * one.len() / TEXT_BYTES_A_STEP + READ / READ_BYTES_A_STEP) as u64;
        for _ in 0..4 {
            house.told();
            other.say(&text("hello"));
            house.hear(neighbour);
            let spent = house.engine.budget.spent();
            assert!(spent <= u64::from(TURN_STEPS + PEER_STEPS) + largest, "{what}: {spent}");
            assert!(house.told().contains(&(neighbour, "hello".into())), "{what}: the neighbour is heard at once");
            for (id, script) in &crowd {
                script.say(&one);
                house.engine.readable(id.index, false);
            }
        }
        // Of the others each has its turn, too.
        house.settle();
        let heard = house.told();
        assert!(crowd.iter().all(|(id, _)| heard.iter().any(|(of, _)| of == id)), "{what}");
    }
}

/// However much the peers spend that ask for little, one peer of the backlog is served in each turn.
#[test]
fn many_modest_peers_do_not_starve_the_backlog() {
    let mut house = House::new(Settings::default());
    let (costly, one) = house.open();
    let crowd: Vec<_> = (0..50).map(|_| house.open()).collect();
    let pings = PEER_STEPS as usize;
    one.say(&masked(Opcode::Ping, b"").repeat(pings));
    house.engine.readable(costly.index, false);
    let mut heard = 0;
    for turn in 0..3 {
        for (id, script) in &crowd {
            script.say(&masked(Opcode::Ping, b"").repeat(FRESH_STEPS as usize - 10));
            house.engine.readable(id.index, false);
        }
        house.turn();
        assert!(house.engine.budget.spent() > u64::from(TURN_STEPS), "the turn has nothing left");
        heard += house.told().iter().filter(|(of, _)| *of == costly).count();
        assert!(heard >= pings.min((turn + 1) * FRESH_STEPS as usize), "{heard} in turn {turn}");
    }
    assert_eq!(heard, pings);
}

/// With much set aside, the others are read in short pieces, so that what is held stays small.
#[test]
fn what_is_set_aside_is_bounded() {
    let mut house = House::new(Settings::default());
    let crowd: Vec<_> = (0..200).map(|_| house.open()).collect();
    let ping = masked(Opcode::Ping, &[b'x'; 100]);
    for (id, script) in &crowd {
        script.say(&ping.repeat(READ / ping.len()));
        house.engine.readable(id.index, false);
    }
    let bound = MUCH_SET_ASIDE + READ + crowd.len() * SHORT_READ;
    while house.engine.has_work() {
        house.turn();
        assert!(house.engine.held().receiving <= bound, "{}", house.engine.held().receiving);
    }
    assert_eq!(house.told().len(), crowd.len() * (READ / ping.len()));
    assert_eq!(house.engine.held().receiving, 0);
}

/// Bytes that are set aside for a peer go with it.
#[test]
fn a_peer_that_ends_leaves_nothing_behind() {
    for how in ["close", "abort", "reset", "end"] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        script.say(&text("").repeat(READ / 6));
        house.hear(id);
        assert!(house.engine.held().receiving > READ / 2);
        let heard = house.told().len();
        match how {
            "close" => house.engine.close(id, CloseCode::GOING_AWAY, ""),
            "abort" => house.engine.abort(id),
            "reset" => script.wire().reset = true,
            _ => script.wire().end = true,
        }
        house.engine.readable(id.index, true);
        house.settle();
        house.wait(Duration::from_secs(20));
        let all = house.told();
        match how {
            // What came before the end is heard; after our Close it is read over.
            "end" => assert_eq!(all.len() + heard, READ / 6 + 1, "{how}"),
            "reset" => assert!(all.len() + heard <= READ / 6 + 1, "{how}"),
            _ => assert_eq!(all, [(id, "closed".into())], "{how}"),
        }
        assert_eq!(all.last(), Some(&(id, "closed".into())), "{how}");
        assert_eq!((house.engine.len(), house.engine.held().receiving), (0, 0), "{how}");
    }
}

/// A peer that does not take its answers is not read further, amid a read either.
#[test]
fn a_peer_that_does_not_take_its_answers_waits_amid_a_read() {
    let mut house = House::new(Settings::default());
    house.echo = true;
    let (id, script) = house.open();
    script.wire().room = 0;
    let message = text(&"x".repeat(12_000));
    for _ in 0..20 {
        script.say(&message.repeat(5));
        house.hear(id);
        house.settle();
    }
    assert_eq!(house.engine.counters().cut_bytes, 0, "it is not cut off for what it asked itself");
    script.wire().room = usize::MAX;
    for _ in 0..40 {
        house.engine.writable(id.index);
        house.settle();
    }
    assert_eq!(script.texts().len(), 100);
}

/// A thousand ends at once are reported in many turns, and a slot is not used again before its end was reported.
#[test]
fn ends_are_told_some_a_turn() {
    let mut house = House::new(Settings::default());
    let crowd: Vec<_> = (0..200).map(|_| house.open()).collect();
    let (neighbour, other) = house.open();
    for (id, script) in &crowd {
        script.wire().reset = true;
        house.engine.readable(id.index, true);
    }
    let mut ends = 0;
    while ends < crowd.len() {
        other.say(&text("hello"));
        house.hear(neighbour);
        let told = house.told();
        assert!(told.contains(&(neighbour, "hello".into())));
        assert!(told.len() <= CLOSES_PER_TURN + 1, "{}", told.len());
        ends += told.len() - 1;
        assert_eq!(house.engine.len(), 1 + crowd.len() - ends, "a slot is there until its end is told");
    }
    assert!(!house.engine.has_work());
}

/// A peer that cost more than a share is served behind the others, until it costs less.
#[test]
fn a_peer_that_cost_much_is_behind() {
    let mut house = House::new(Settings::default());
    let (costly, one) = house.open();
    let (modest, other) = house.open();
    one.say(&text(&"x".repeat(BYTES_A_STEP * FRESH_STEPS as usize)));
    house.hear(costly);
    house.told();
    for first in [modest, costly] {
        one.say(&text("again"));
        other.say(&text("hello"));
        house.engine.readable(costly.index, false);
        house.engine.readable(modest.index, false);
        house.turn();
        assert_eq!(house.told()[0].0, first);
    }
}

/// A connection that takes the slot of one that cost much has cost nothing: it is read as soon as any other one.
#[test]
fn what_a_connection_cost_ends_with_it() {
    let mut house = House::new(Settings::default());
    let (costly, _) = house.open();
    // As when it has spent its share, and something is left to be read.
    house.engine.budget.begin_fresh();
    house.engine.budget.spend(FRESH_STEPS as usize);
    house.engine.budget.end(costly.index);
    assert!(house.engine.budget.is_costly(costly.index));
    house.engine.abort(costly);
    house.turn();
    assert_eq!(house.engine.len(), 0);
    assert!(!house.engine.budget.is_costly(costly.index));
}

/// A message in many pieces costs by their number, though most of them make no event.
#[test]
fn pieces_of_a_message_cost() {
    for pieces in [0, 100, 1_000] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        let mut fragment = masked(Opcode::Text, b"");
        fragment[0] &= 0x7F;
        let mut continuation = masked(Opcode::Text, b"");
        continuation[0] = 0x00;
        script.say(&[fragment, continuation.repeat(pieces)].concat());
        house.hear(id);
        let mut spent = house.engine.budget.spent() as usize;
        while house.engine.has_work() {
            house.turn();
            spent += house.engine.budget.spent() as usize;
        }
        assert!(spent >= pieces / FRAGMENTS_A_STEP, "{pieces}: {spent}");
    }
}
