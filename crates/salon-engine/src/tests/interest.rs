//! Pollers that report a state, or report once: what they are asked to watch is enough, and never more.

use super::*;
use crate::{Interest, Poller};

/// Such a poller, over scripts.
struct Watch {
    kind: Poller,
    streams: Vec<(ConnId, Script, Interest)>,
}

impl Watch {
    fn add(&mut self, (id, script): (ConnId, Script)) {
        self.streams.push((id, script, Interest::default()));
    }

    /// What it reports now: slot, readable, writable.
    fn reports(&mut self) -> Vec<(u32, bool, bool)> {
        let mut reports = Vec::new();
        for (id, script, watched) in &mut self.streams {
            let wire = script.wire();
            let readable = watched.readable && (!wire.to_read.is_empty() || wire.end);
            let writable = watched.writable && wire.room > 0;
            if readable || writable {
                reports.push((id.index, readable, writable));
                if self.kind == Poller::OneShot {
                    *watched = Interest::default();
                }
            }
        }
        reports
    }

    fn change(&mut self, house: &mut House) {
        while let Some((id, interest)) = house.engine.next_interest() {
            let watched = self.streams.iter_mut().find(|(watched, ..)| *watched == id).expect("it was added");
            watched.2 = interest;
        }
    }

    /// Turns as a loop does until it would sleep. A poller that reports what nobody takes keeps it awake for ever.
    fn run(&mut self, house: &mut House) {
        for turn in 0.. {
            assert!(turn < 1000, "the loop turns for nothing under {:?}", self.kind);
            let reports = self.reports();
            if reports.is_empty() && !house.engine.has_work() {
                return;
            }
            for (index, readable, writable) in reports {
                if readable {
                    house.engine.readable(index, false);
                }
                if writable {
                    house.engine.writable(index);
                }
            }
            house.begin();
            house.engine.flush();
            self.change(house);
            house.finish();
            // A stream that is over is watched no longer.
            self.streams.iter_mut().filter(|(id, ..)| house.engine.stream(*id).is_none()).for_each(
                |(_, _, watched)| {
                    *watched = Interest::default();
                },
            );
        }
    }
}

fn under(kind: Poller) -> (House, Watch) {
    let house = House::new(Settings { poller: kind, ping_after: None, ..Settings::default() });
    (house, Watch { kind, streams: Vec::new() })
}

const STATES: [Poller; 2] = [Poller::Level, Poller::OneShot];

/// Peers say much more than they take at once, and half-close: all of it comes back, to the end.
#[test]
fn echoes_come_through_small_holes() {
    for (kind, stream) in STATES.into_iter().flat_map(|kind| [(kind, StreamKind::Socket), (kind, StreamKind::Plain)]) {
        let (mut house, mut watch) = under(kind);
        house.echo = true;
        for _ in 0..3 {
            let (id, script) = house.connect();
            script.wire().kind = stream;
            script.say(HANDSHAKE.as_bytes());
            watch.add((id, script));
        }
        watch.change(&mut house);
        watch.run(&mut house);
        let said: String = "x".repeat(10_000);
        for (_, script, _) in &watch.streams {
            assert!(script.taken().starts_with(b"HTTP/1.1 101 "));
            script.wire().room = 0;
            (0..40).for_each(|_| script.say(&text(&said)));
            script.wire().end = true;
        }
        watch.run(&mut house);
        for _ in 0..50 {
            for (_, script, _) in &watch.streams {
                script.wire().room += 10_000;
            }
            watch.run(&mut house);
        }
        for (_, script, _) in &watch.streams {
            assert_eq!(script.texts(), vec![said.clone(); 40], "{kind:?} {stream:?}");
            assert!(script.wire().shut_down);
        }
        assert!(house.engine.is_empty(), "{kind:?} {stream:?}");
    }
}

/// Each row: what happens to a connection, and what it is then to be watched for; none: as before.
#[test]
fn what_changes_is_told_once() {
    for kind in STATES {
        let (mut house, _) = under(kind);
        let (id, script) = house.connect();
        let told = |house: &mut House| house.engine.next_interest().map(|(of, interest)| (of == id, interest));
        let reading = Some((true, Interest { readable: true, writable: false }));
        let writing = Some((true, Interest { readable: true, writable: true }));
        let again = if kind == Poller::OneShot { reading } else { None };
        assert_eq!(told(&mut house), reading, "it is new");
        assert_eq!(told(&mut house), None, "once");
        script.say(HANDSHAKE.as_bytes());
        house.hear(id);
        assert_eq!(told(&mut house), again, "it was read");
        script.wire().room = 3;
        house.engine.send(id, Kind::Text, b"much");
        house.turn();
        assert_eq!(told(&mut house), writing, "something waits");
        script.wire().room = 1000;
        house.engine.writable(id.index);
        house.turn();
        assert_eq!(told(&mut house), reading, "nothing waits");
        script.wire().end = true;
        house.engine.owe(id, 1);
        house.hear(id);
        let nothing = told(&mut house);
        assert_eq!(nothing, Some((true, Interest::default())), "it has ended, and is owed an answer");
        house.engine.abort(id);
        assert_eq!(told(&mut house), None, "it is over");
        house.turn();
        house.turn();
        assert!(house.engine.is_empty());
        let (next, _) = house.connect();
        assert_eq!(next.index, id.index, "the slot is used again");
        assert_eq!(house.engine.next_interest(), Some((next, Interest { readable: true, writable: false })));
    }
}

/// A request behind one that is not answered waits in the stream, and wakes nobody.
#[test]
fn a_request_that_waits_for_an_answer_is_not_read_on() {
    for kind in STATES {
        let (mut house, mut watch) = under(kind);
        let (id, script) = house.connect();
        watch.add((id, script.clone()));
        watch.change(&mut house);
        for target in ["/late", "/a", "/b"] {
            script.say(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
            watch.run(&mut house);
        }
        assert_eq!(house.told(), [(id, "request /late".into())]);
        house.engine.respond(id, b"<late>", true);
        watch.run(&mut house);
        assert_eq!(script.taken(), b"<late></a></b>");
    }
}

/// A peer that is owed much is not read, and wakes nobody, until its owner owes less.
#[test]
fn a_peer_that_is_owed_much_is_not_watched() {
    for kind in STATES {
        let (mut house, mut watch) = under(kind);
        let (id, script) = house.open();
        watch.add((id, script.clone()));
        watch.change(&mut house);
        house.engine.owe(id, 1 << 20);
        script.say(&text("one"));
        script.wire().room = 0;
        watch.run(&mut house);
        script.say(&text("two"));
        watch.run(&mut house);
        assert_eq!(house.told(), []);
        house.engine.owe(id, 0);
        watch.change(&mut house);
        watch.run(&mut house);
        assert_eq!(house.told(), [(id, "one".into()), (id, "two".into())], "{kind:?}");
    }
}

/// An edge-triggered poller is told nothing, and costs no memory for it.
#[test]
fn edges_need_no_words() {
    let (mut house, _) = under(Poller::Edge);
    let (id, script) = house.open();
    script.wire().room = 3;
    house.engine.send(id, Kind::Text, b"much");
    house.turn();
    assert_eq!((house.engine.next_interest(), house.engine.interests.held_bytes()), (None, 0));
}
