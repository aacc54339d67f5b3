//! How connections end: silence, Close from either side, violations, resets.

use super::*;

#[test]
fn silence_is_asked_and_then_closed() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.wait(Duration::from_millis(24_999));
    assert_eq!(script.taken(), b"");
    house.wait(Duration::from_millis(1));
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.wait(Duration::from_millis(9_999));
    script.say(&masked(Opcode::Pong, b""));
    house.hear(id);
    assert_eq!(house.told(), [(id, "control".into())]);
    house.wait(Duration::from_secs(25));
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.wait(Duration::from_secs(10));
    assert_eq!(house.told(), [(id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1011, "no pong")]);
    assert_eq!(house.engine.counters().no_pong, 1);
    assert!(script.wire().shut_down);
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty());
}

/// The codes of an application are said and counted as its settings name them; what else peers say is counted together.
#[test]
fn an_application_has_codes_of_its_own() {
    const ASLEEP: CloseCode = CloseCode::new(4999).expect("one of the application's");
    const LOST: CloseCode = CloseCode::new(3000).expect("one of the application's");
    let settings = Settings { no_pong_code: ASLEEP, counted_codes: &[LOST, ASLEEP], ..Settings::default() };
    let mut house = House::new(settings);
    let (_, silent) = house.open();
    let talkers = [1000_u16, 3000, 3001, 3002, 1014].map(|code| (code, house.open()));
    for (code, (id, script)) in talkers {
        script.say(&masked(Opcode::Close, &code.to_be_bytes()));
        house.hear(id);
    }
    house.wait(Duration::from_secs(25));
    house.wait(Duration::from_secs(10));
    assert_eq!(frames(&silent.taken()).last(), Some(&close_of(4999, "no pong")));
    let counted: Vec<_> = house.engine.counters().closes.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(Some(1000), 1), (Some(1014), 1), (Some(3000), 1), (Some(4999), 1), (None, 2)]);
}

/// A peer that is asked before its silence is long ends as much earlier, unless something comes; and it is not asked
/// twice.
#[test]
fn a_peer_that_is_asked_at_once() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.wait(Duration::from_secs(3));
    house.engine.ping(id);
    house.engine.ping(id);
    house.turn();
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.wait(Duration::from_millis(9_999));
    script.say(&masked(Opcode::Pong, b""));
    house.hear(id);
    assert_eq!(house.told(), [(id, "control".into())]);
    house.engine.ping(id);
    house.turn();
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.wait(Duration::from_millis(9_999));
    assert_eq!(house.told(), []);
    house.wait(Duration::from_millis(1));
    assert_eq!(house.told(), [(id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1011, "no pong")]);
    house.engine.ping(id);
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty());
}

/// A ping waits with the rest for a peer that takes its time: the time for its answer counts from when it has left.
#[test]
fn a_ping_that_waits_is_answered_in_time_from_when_it_has_left() {
    for answers in [true, false] {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        house.wait(Duration::from_millis(24_999));
        script.wire().room = 3;
        house.engine.send(id, Kind::Text, b"hello");
        house.wait(Duration::from_millis(1));
        for _ in 0..5 {
            house.wait(Duration::from_secs(5));
            assert_eq!(house.told(), [], "it takes something");
            script.wire().room = 1;
            house.engine.writable(id.index);
            house.turn();
        }
        script.wire().room = usize::MAX;
        house.engine.writable(id.index);
        house.turn();
        assert_eq!(frames(&script.taken()), [(Opcode::Text, b"hello".to_vec()), (Opcode::Ping, vec![])]);
        house.wait(Duration::from_millis(9_999));
        assert_eq!(house.told(), []);
        if answers {
            script.say(&masked(Opcode::Pong, b""));
            house.hear(id);
            assert_eq!(house.told(), [(id, "control".into())]);
            house.wait(Duration::from_millis(24_999));
            assert_eq!(script.taken(), b"");
        } else {
            house.wait(Duration::from_millis(1));
            assert_eq!(house.told(), [(id, "closed".into())]);
            assert_eq!(frames(&script.taken()), [close_of(1011, "no pong")]);
        }
    }
}

/// A ping has left, and its answer does not come, because the link stands still; meanwhile the socket is full. When the
/// link goes on, the peer takes what waited, and has the time for its answer, however long ago it was asked.
#[test]
fn a_peer_that_was_blocked_behind_a_ping_is_given_the_time_to_answer_it() {
    for (blocked_after, blocked_for) in [(1, 8_000), (9_000, 1_500), (9_999, 1), (1, 12_000), (9_999, 19_999)] {
        for answers in [true, false] {
            let blocked_within = Duration::from_secs(20);
            let mut house = House::new(Settings { blocked_within, ..Settings::default() });
            let (id, script) = house.open();
            house.wait(Duration::from_secs(25));
            assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
            house.wait(Duration::from_millis(blocked_after));
            script.wire().room = 3;
            house.engine.send(id, Kind::Text, b"hello");
            house.turn();
            house.wait(Duration::from_millis(blocked_for));
            assert_eq!(house.told(), []);
            script.wire().room = usize::MAX;
            house.engine.writable(id.index);
            house.turn();
            assert_eq!(script.texts(), ["hello"], "{blocked_after} {blocked_for}");
            // That turn took long.
            house.now = house.now + Duration::from_millis(blocked_for);
            house.engine.end_turn(house.now);
            house.wait(Duration::from_millis(9_999));
            assert_eq!(house.told(), [], "{blocked_after} {blocked_for}");
            if answers {
                script.say(&masked(Opcode::Pong, b""));
                house.hear(id);
                assert_eq!(house.told(), [(id, "control".into())]);
            } else {
                house.wait(Duration::from_millis(1));
                assert_eq!(house.told(), [(id, "closed".into())], "{blocked_after} {blocked_for}");
                assert_eq!(frames(&script.taken()), [close_of(1011, "no pong")]);
            }
        }
    }
}

/// The process is stopped for a minute while a pong is awaited; no peer is closed for bytes that the loop did not hear.
#[test]
fn a_stopped_process_closes_nobody_when_it_goes_on() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.wait(Duration::from_secs(25));
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
    house.now = house.now + Duration::from_secs(60);
    house.engine.has_stood_still();
    house.turn();
    assert_eq!(house.told(), []);
    assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])], "asked once more");
    house.wait(Duration::from_secs(10));
    assert_eq!(house.told(), [(id, "closed".into())], "and then it is over");
}

/// The turn in which a peer is asked takes long, so that the ping leaves late, and no standstill is noted: the time for
/// its answer begins when it has left.
#[test]
fn a_ping_of_a_long_turn_is_answered_in_time_from_its_end() {
    for (turn, answers) in [0, 1, 9_999, 10_000, 60_000].into_iter().flat_map(|turn| [(turn, true), (turn, false)]) {
        let mut house = House::new(Settings::default());
        let (id, script) = house.open();
        house.wait(Duration::from_millis(24_999));
        house.now = house.now + Duration::from_millis(1);
        house.turn();
        assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
        house.now = house.now + Duration::from_millis(turn);
        house.engine.end_turn(house.now);
        house.turn();
        house.wait(Duration::from_millis(9_999));
        assert_eq!(house.told(), [], "{turn}");
        if answers {
            script.say(&masked(Opcode::Pong, b""));
            house.hear(id);
            // It has been answered: the end of a turn changes nothing any more.
            house.engine.end_turn(house.now + Duration::from_secs(5));
            house.wait(Duration::from_millis(24_999));
            assert_eq!(script.taken(), b"");
            house.wait(Duration::from_millis(1));
            assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])], "{turn}");
        } else {
            house.wait(Duration::from_millis(1));
            assert_eq!(house.told(), [(id, "closed".into())], "{turn}");
        }
    }
}

/// An owner that does not say when a turn ends leaves nothing behind of those that were asked.
#[test]
fn who_was_asked_is_not_remembered_behind_the_turn() {
    let mut house = House::new(Settings::default());
    let peers = [house.open(), house.open()];
    for _ in 0..50 {
        house.wait(Duration::from_secs(25));
        for (id, script) in &peers {
            assert_eq!(frames(&script.taken()), [(Opcode::Ping, vec![])]);
            script.say(&masked(Opcode::Pong, b""));
            house.hear(*id);
        }
        assert!(house.engine.asked.len() <= peers.len());
    }
    house.turn();
    assert_eq!(house.engine.asked, []);
}

/// Each peer owes something and does it while the process is stopped, or just before its time is over; the poller
/// reports it before the deadlines are looked at, or after. Also where the loop has not noticed that it was stopped.
#[test]
fn a_peer_that_acted_while_nobody_looked_is_heard_before_it_expires() {
    for (stopped, noticed, told_first) in
        [(60_000, true, true), (60_000, true, false), (60_000, false, true), (10_500, false, true)]
    {
        let settings = Settings { ping_after: None, message_within: Duration::from_secs(10), ..Settings::default() };
        let mut house = House::new(Settings { close_within: Duration::from_secs(10), ..settings });
        let (asks, asking) = house.connect();
        let (amid, speaking) = house.open();
        let (deaf, taking) = house.open();
        let (closes, closing) = house.open();
        let idle = house.connect().0;
        let (head, message) = (HANDSHAKE.as_bytes(), text("hello"));
        asking.say(&head[..20]);
        house.hear(asks);
        speaking.say(&message[..7]);
        house.hear(amid);
        taking.wire().room = 0;
        house.engine.send(deaf, Kind::Text, b"for you");
        house.engine.close(closes, CloseCode::NORMAL, "");
        house.turn();
        assert_eq!(house.told(), [(closes, "closed".into())]);

        asking.say(&head[20..]);
        speaking.say(&message[7..]);
        taking.wire().room = usize::MAX;
        closing.say(&masked(Opcode::Close, &1000u16.to_be_bytes()));
        house.now = house.now + Duration::from_millis(stopped);
        if noticed {
            house.engine.has_stood_still();
        }
        if !told_first {
            house.turn();
        }
        for id in [asks, amid, closes] {
            house.engine.readable(id.index, false);
        }
        house.engine.writable(deaf.index);
        house.settle();
        let mut told = house.told();
        told.sort_by_key(|(id, _)| id.index);
        assert_eq!(told, [(asks, "request /".into()), (amid, "hello".into())], "{stopped} {noticed} {told_first}");
        assert_eq!(taking.texts(), ["for you"]);
        assert!(closing.wire().shut_down);
        // No peer is forgotten: those that did nothing go.
        house.wait(Duration::from_secs(1));
        assert!(house.engine.stream_mut(idle).is_none());
        assert_eq!([asks, amid, deaf].map(|id| house.engine.stream_mut(id).is_some()), [true; 3]);
    }
}

/// A standstill is noted in the turn behind it, in which something has the deadlines of those looked at anew who may
/// have acted unheard: they have their moment all the same. Here they were blocked, and take what waited; and that turn
/// takes long itself.
#[test]
fn the_moment_behind_a_standstill_is_given_whatever_happens_in_that_turn() {
    for (taken_first, turn) in [(false, 0), (true, 0), (false, 5_000), (true, 5_000)] {
        let settings = Settings { ping_after: None, message_within: Duration::from_secs(10), ..Settings::default() };
        let mut house = House::new(Settings { blocked_within: Duration::from_secs(100), ..settings });
        let ((amid, speaking), (closes, closing)) = (house.open(), house.open());
        let message = text("hello");
        speaking.say(&message[..7]);
        house.hear(amid);
        for script in [&speaking, &closing] {
            script.wire().room = 0;
        }
        house.engine.send(amid, Kind::Text, b"for you");
        house.engine.close(closes, CloseCode::NORMAL, "");
        house.turn();
        assert_eq!(house.told(), [(closes, "closed".into())]);

        house.now = house.now + Duration::from_secs(60);
        house.engine.has_stood_still();
        for script in [&speaking, &closing] {
            script.wire().room = usize::MAX;
        }
        if !taken_first {
            house.turn();
        }
        for id in [amid, closes] {
            house.engine.writable(id.index);
        }
        house.turn();
        assert_eq!(speaking.texts(), ["for you"]);
        house.now = house.now + Duration::from_millis(turn);
        house.engine.end_turn(house.now);
        // What they did meanwhile comes last.
        house.wait(Duration::from_millis(999));
        assert!(!closing.wire().shut_down, "{taken_first} {turn}");
        speaking.say(&message[7..]);
        closing.say(&masked(Opcode::Close, &1000u16.to_be_bytes()));
        for id in [amid, closes] {
            house.engine.readable(id.index, false);
        }
        house.turn();
        assert_eq!(house.told(), [(amid, "hello".into())], "{taken_first} {turn}");
        assert!(closing.wire().shut_down, "{taken_first} {turn}");
    }
}

/// What begins in a turn that takes long has all of its time behind it, whether or not a standstill is noted: of a
/// process that is stopped in each of its turns the first one alone is.
#[test]
fn what_begins_in_a_long_turn_has_its_time_from_the_end_of_it() {
    const WITHIN: Duration = Duration::from_secs(10);
    for turn in [1_001, 9_999, 10_000, 60_000] {
        let settings =
            Settings { ping_after: None, message_within: WITHIN, close_within: WITHIN, ..Settings::default() };
        let mut house = House::new(Settings { head_within: WITHIN, blocked_within: WITHIN, ..settings });
        let [(amid, speaking), (closes, closing), (deaf, taking)] = [house.open(), house.open(), house.open()];
        house.wait(Duration::from_secs(5));
        speaking.say(&text("hello")[..7]);
        taking.wire().room = 0;
        let asks = house.connect().0;
        house.engine.send(deaf, Kind::Text, b"for you");
        house.engine.close(closes, CloseCode::NORMAL, "");
        house.hear(amid);
        house.now = house.now + Duration::from_millis(turn);
        house.engine.end_turn(house.now);
        house.wait(Duration::from_millis(9_999));
        assert_eq!((house.told(), closing.wire().shut_down), (vec![(closes, "closed".into())], false), "{turn}");
        assert!([asks, deaf].into_iter().all(|id| house.engine.stream(id).is_some()), "{turn}");
        house.wait(Duration::from_millis(1));
        let mut told = house.told();
        told.sort_by_key(|(id, _)| id.index);
        assert_eq!(told, [(amid, "closed".into()), (deaf, "closed".into())], "{turn}");
        assert!(closing.wire().shut_down && house.engine.stream(asks).is_none(), "{turn}");
    }
}

/// Long turns are a sign of load, which others may cause: a silent peer ends in time all the same.
#[test]
fn long_turns_put_off_no_deadline() {
    for turn in [10, 999, 1_001, 2_500] {
        let mut house = House::new(Settings::default());
        let (silent, (talks, other)) = (house.connect().0, house.open());
        while house.now.0 < 10_000 {
            assert!(house.engine.stream(silent).is_some(), "{turn}: {:?}", house.now);
            other.say(&text("hello"));
            house.now = house.now + Duration::from_millis(turn);
            house.hear(talks);
        }
        assert!(house.engine.stream(silent).is_none(), "{turn}");
        assert_eq!(house.engine.counters().no_request, 1);
    }
}

/// A peer cannot stay by having something to read at every look.
#[test]
fn a_byte_a_millisecond_extends_a_deadline_by_a_second_at_most() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.connect();
    script.say(b"GET /");
    house.hear(id);
    house.wait(Duration::from_millis(9_990));
    for _ in 0..1_200 {
        script.say(b"x");
        house.now = house.now + Duration::from_millis(1);
        house.hear(id);
    }
    assert!(house.engine.is_empty());
    assert_eq!(house.engine.counters().no_request, 1);
}

#[test]
fn an_unfinished_message_is_closed_and_a_busy_peer_is_not() {
    let mut house = House::new(Settings { ping_after: None, ..Settings::default() });
    let (id, script) = house.open();
    // Each read ends amid a message, but no message lasts.
    let bytes: Vec<u8> = (0..40).flat_map(|_| text("0123456789")).collect();
    for piece in bytes.chunks(15) {
        script.say(piece);
        house.hear(id);
        house.wait(Duration::from_secs(3));
    }
    assert_eq!(house.told().len(), 40);
    // One byte every five seconds does not extend it.
    let message = text("never finished");
    for byte in &message[..12] {
        script.say(&[*byte]);
        house.hear(id);
        house.wait(Duration::from_millis(4_999));
    }
    house.wait(Duration::from_millis(11));
    assert_eq!(house.told(), []);
    house.wait(Duration::from_millis(1));
    assert_eq!(house.told(), [(id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1008, "message not finished in time")]);
}

#[test]
fn our_close_waits_and_then_ends() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.begin();
    house.engine.send(id, Kind::Text, b"last words");
    house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    house.engine.send(id, Kind::Text, b"too late");
    house.finish();
    assert_eq!(frames(&script.taken()), [(Opcode::Text, b"last words".to_vec()), close_of(1001, "bye")]);
    house.turn();
    assert_eq!(house.told(), [(id, "closed".into())]);
    house.wait(Duration::from_millis(4_999));
    assert!(!script.wire().shut_down);
    house.wait(Duration::from_millis(1));
    assert!(script.wire().shut_down, "FIN after five seconds");
    house.wait(Duration::from_secs(5));
    assert!(house.engine.is_empty(), "gone after ten");
}

#[test]
fn our_close_is_answered_and_ends_at_once() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    house.turn();
    script.say(&masked(Opcode::Close, b"\x03\xe9"));
    house.hear(id);
    assert!(script.wire().shut_down);
    script.wire().end = true;
    house.hear(id);
    assert!(house.engine.is_empty());
    assert_eq!(house.told(), [(id, "closed".into())]);
}

/// Each row: what the peer says behind a request that is answered later, whether its stream ends behind that, what
/// happens then, and what it is sent. Whole and a byte at a time.
#[test]
fn a_peer_that_says_goodbye_gets_the_answers_that_it_is_owed() {
    type Then = fn(&mut House, ConnId);
    let answered: Then = |house, id| {
        house.engine.send(id, Kind::Text, b"answer");
        house.engine.publish(ROOM, Kind::Text, b"news", &[]);
        house.engine.owe(id, 0);
    };
    let never: Then = |house, _| {
        house.wait(Duration::from_millis(4_999));
        assert_eq!(house.told(), [], "it is waited for");
        house.wait(Duration::from_millis(1));
    };
    let put_out: Then = |house, id| house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    let short: Then = |house, id| {
        let index = id.index;
        house.engine.send(id, Kind::Text, b"answer");
        house.engine.writable(index);
        house.engine.owe(id, 100); // more has been asked for than is answered
        house.wait(Duration::from_secs(5));
    };
    let close = masked(Opcode::Close, b"\x03\xe8");
    let mute = masked(Opcode::Close, b"");
    let (thousand, empty) = ((Opcode::Close, b"\x03\xe8".to_vec()), (Opcode::Close, Vec::new()));
    let (answer, news) = ((Opcode::Text, b"answer".to_vec()), (Opcode::Text, b"news".to_vec()));
    type Row<'a> = (&'a [u8], bool, Then, Vec<(Opcode, Vec<u8>)>, u16);
    let rows: [Row<'_>; 10] = [
        (&close, false, answered, vec![answer.clone(), news.clone(), thousand.clone()], 1000),
        (&close, true, answered, vec![answer.clone(), news.clone(), thousand.clone()], 1000),
        (&mute, false, answered, vec![answer.clone(), news.clone(), empty.clone()], 1005),
        (b"", true, answered, vec![answer.clone(), news.clone()], 1006),
        (&close[..3], true, answered, vec![answer.clone(), news.clone()], 1006),
        (&close, false, never, vec![thousand.clone()], 1000),
        (b"", true, never, vec![], 1006),
        (&close, false, put_out, vec![thousand.clone()], 1000),
        (b"", true, put_out, vec![], 1006),
        (&close, true, short, vec![answer, thousand], 1000),
    ];
    for (n, (says, ends, then, expected, code)) in rows.into_iter().enumerate() {
        for piece in [usize::MAX, 1] {
            let mut house = House::new(Settings { ping_after: None, ..Settings::default() });
            let (id, script) = house.open();
            house.engine.subscribe(id, ROOM);
            house.engine.owe(id, 100);
            for piece in says.chunks(piece.min(says.len().max(1))) {
                script.say(piece);
                house.hear(id);
            }
            script.wire().end = ends;
            // Nothing is heard behind a Close.
            if says == &close[..] && !ends {
                script.say(&[&text("unheard")[..], b"\x00\xff"].concat());
            }
            house.engine.readable(id.index, ends);
            house.turn();
            assert_eq!((house.told(), script.taken()), (vec![], vec![]), "row {n}: answers come first");
            then(&mut house, id);
            house.turn();
            house.settle();
            assert_eq!(frames(&script.taken()), expected, "row {n}");
            assert_eq!(house.told(), [(id, "closed".into())], "row {n}");
            let closes: Vec<_> = house.engine.counters().closes.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(closes, [(Some(code), 1)], "row {n}");
            assert!(script.wire().shut_down);
            house.wait(Duration::from_secs(5));
            assert!(house.engine.is_empty() && house.engine.partings.is_empty(), "row {n}");
        }
    }
}

/// A peer that is owed answers, or has said goodbye, is none the less cut off where others are.
#[test]
fn a_peer_that_is_owed_answers_has_the_bounds_of_others() {
    let mut house = House::new(Settings::default());
    // It answers our Close: nothing is waited for.
    let (id, script) = house.open();
    house.engine.owe(id, 100);
    house.engine.close(id, CloseCode::GOING_AWAY, "bye");
    house.turn();
    script.say(&masked(Opcode::Close, b"\x03\xe9"));
    house.hear(id);
    assert!(script.wire().shut_down);
    house.told();
    // It breaks the protocol.
    let (id, script) = house.open();
    house.engine.owe(id, 100);
    script.say(b"\x81\x02hi");
    house.hear(id);
    assert!(script.wire().shut_down);
    house.told();
    // It takes nothing of what it is owed: what was begun ends, and a Close says why.
    let (id, script) = house.open();
    house.engine.owe(id, 100);
    script.wire().room = 100;
    script.say(&masked(Opcode::Close, b""));
    house.hear(id);
    for _ in 0..4 {
        house.engine.send(id, Kind::Text, &[b'x'; 500_000]);
        house.turn();
    }
    assert!(house.engine.partings.is_empty());
    script.wire().room = usize::MAX;
    house.engine.writable(id.index);
    house.turn();
    let taken = frames(&script.taken());
    assert_eq!(taken[0], (Opcode::Text, vec![b'x'; 500_000]));
    assert_eq!(taken[1..], [close_of(1013, "too slow: messages waited too long or too many")]);
    assert_eq!(house.engine.counters().cut_bytes, 1);
    house.told();
    // Its stream fails.
    let (id, script) = house.open();
    house.engine.owe(id, 100);
    script.say(&masked(Opcode::Close, b""));
    house.hear(id);
    script.wire().reset = true;
    house.engine.send(id, Kind::Text, b"answer");
    house.turn();
    assert!(house.engine.stream(id).is_none() && house.engine.partings.is_empty());
}

#[test]
fn violations_are_answered_and_the_rest_is_discarded() {
    let mut house = House::new(Settings::default());
    let (id, script) = house.open();
    script.say(&[&text("fine")[..], b"\x81\x02hi", &text("unheard")].concat());
    house.hear(id);
    house.settle();
    assert_eq!(house.told(), [(id, "fine".into()), (id, "closed".into())]);
    assert_eq!(frames(&script.taken()), [close_of(1002, "frame not masked; a client must mask")]);
    assert!(script.wire().shut_down);
    // No reset may overtake the Close: input is read and forgotten until the peer ends.
    script.say(&[0; 100_000]);
    house.hear(id);
    house.settle();
    assert_eq!(house.engine.len(), 1);
    script.wire().end = true;
    house.hear(id);
    house.settle();
    assert!(house.engine.is_empty());
}

#[test]
fn resets_are_reported_once_wherever_they_come() {
    let mut house = House::new(Settings::default());
    let members = house.members(3, ROOM);
    members[1].1.wire().reset = true;
    house.engine.publish(ROOM, Kind::Text, b"a", &[]);
    house.engine.publish(ROOM, Kind::Text, b"b", &[members[1].0]);
    house.turn();
    house.engine.readable(members[1].0.index, true);
    house.turn();
    house.turn();
    assert_eq!(house.told(), [(members[1].0, "closed".into())]);
    assert_eq!(house.engine.len(), 2);
    assert_eq!(members[2].1.texts(), ["a", "b"]);
    // The slot is used again; the old id finds nothing.
    let (id, script) = house.open();
    assert_eq!(id.index, members[1].0.index);
    house.engine.send(members[1].0, Kind::Text, b"for a stranger");
    house.engine.subscribe(members[1].0, ROOM);
    house.engine.publish(ROOM, Kind::Text, b"c", &[]);
    house.turn();
    assert_eq!(script.taken(), b"");
}

#[test]
fn closing_frees_everything() {
    let mut house = House::new(Settings::default());
    let members = house.members(100, ROOM);
    members.iter().for_each(|(id, _)| house.engine.subscribe(*id, topic(0)));
    for (id, script) in &members {
        script.say(&masked(Opcode::Close, b""));
        script.wire().end = true;
        house.engine.readable(id.index, true);
    }
    house.settle();
    assert!(house.engine.is_empty());
    assert_eq!(house.told().len(), 100);
    assert_eq!(house.engine.next_deadline(), None);
    assert_eq!(house.engine.topics.len(), 0);
    let closes: Vec<_> = house.engine.counters().closes.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(closes, [(Some(1005), 100)]);
}
