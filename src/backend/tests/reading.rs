//! Read marks, what they leave unread, and the list of a user's conversations.

use super::entries::*;
use super::*;

fn mark(stage: &mut Stage<'_>, user: &str, conversation: Conversation<'_>, seq: u64) -> Option<u64> {
    let request = Request::Mark { user, conversation, seq, ticket: Ticket(5) };
    stage.ask(request, |news| match news {
        News::Marked { ticket: Some(Ticket(5)), user: told, seq, .. } if *told == user => Some(Some(*seq)),
        News::Noted { ticket: Ticket(5) } => Some(None),
        _ => None,
    })
}

/// What a page says that a user has read: `read` and `unread`.
fn reading(stage: &mut Stage<'_>, user: &str, conversation: Conversation<'_>) -> (u64, u64) {
    let page = stage.page(conversation, Query::Head, Some(Reader { user, reading: true }));
    let Reading { read, unread } = page.reading.expect("it was asked");
    (read, unread)
}

fn readings(stage: &mut Stage<'_>, user: &str, rooms: &[&str]) -> Vec<(u64, u64)> {
    let mut names = String::new();
    let rooms = Names::join(rooms.iter().copied(), &mut names);
    let request = Request::Readings { user, rooms, now: moment(stage.at), ticket: Ticket(6) };
    stage.ask(request, |news| match news {
        News::Readings { ticket: Ticket(6), readings } => {
            Some(readings.iter().map(|Reading { read, unread }| (*read, *unread)).collect())
        }
        _ => None,
    })
}

/// A page of conversations as text, `bob 3@7 0/1`: with whom, seq and ts, read and unread; and its `next`.
fn talks(stage: &mut Stage<'_>, user: &str, cursor: Option<&str>, limit: usize) -> (Vec<String>, Option<String>) {
    let request = Request::Conversations { user, cursor, limit, now: moment(stage.at), ticket: Ticket(7) };
    stage.ask(request, |news| match news {
        News::Conversations { ticket: Ticket(7), items, next } => {
            let show = |Talk { with, seq, ts, reading: Reading { read, unread } }: &Talk<'_>| {
                format!("{with} {seq}@{ts} {read}/{unread}")
            };
            Some((items.iter().map(show).collect(), next.clone()))
        }
        News::Refused { ticket: Ticket(7), why } => Some((vec![format!("{why:?}")], None)),
        _ => None,
    })
}

/// What is too old is neither unread nor a reason to list a conversation, whether or not a sweep has come to it.
#[test]
fn what_is_too_old_is_not_counted() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let pair = Conversation::Direct("ann", "bob");
        for at in [0, 5_000] {
            stage.at = at;
            stage.act(pair, "ann", text("x"));
            stage.act(ROOM, "ann", text("x"));
        }
        let rows: [(u64, &[&str], u64); 4] = [
            (10_000, &["ann 2@5000 0/2"], 2),
            (10_001, &["ann 2@5000 0/1"], 1),
            (15_000, &["ann 2@5000 0/1"], 1),
            (15_001, &[], 0),
        ];
        for (at, listed, unread) in rows {
            stage.at = at;
            assert_eq!(
                talks(&mut stage, "bob", None, 9),
                (listed.iter().map(|&line| line.into()).collect(), None),
                "{at}"
            );
            // The last of it may be the news that nothing is kept of the room.
            assert_eq!(readings(&mut stage, "bob", &["den"]), [(0, unread)], "{at}");
        }
    });
}

#[test]
fn a_mark_never_moves_back_nor_beyond_the_newest_entry() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        for place in [ROOM, Conversation::Direct("ann", "bob")] {
            assert_eq!(mark(&mut stage, "bob", place, 1), None);
            for _ in 0..4 {
                stage.act(place, "ann", text("x"));
            }
            let rows = [(2, Some(2)), (2, None), (1, None), (3, Some(3)), (5, Some(4)), (u64::MAX, None)];
            for (seq, expected) in rows {
                assert_eq!(mark(&mut stage, "bob", place, seq), expected, "{place:?} {seq}");
            }
            assert_eq!(reading(&mut stage, "bob", place), (4, 0));
            assert_eq!(reading(&mut stage, "ann", place), (0, 0));
            stage.act(place, "ann", text("x"));
            assert_eq!(reading(&mut stage, "bob", place), (4, 1));
            assert_eq!(mark(&mut stage, "bob", place, 9), Some(5));
        }
        // In the order of either name, and for each user by themselves.
        assert_eq!(reading(&mut stage, "bob", Conversation::Direct("bob", "ann")), (5, 0));
        assert_eq!(reading(&mut stage, "cat", ROOM), (0, 5));
    });
}

/// A user who has left a room wants nothing of it to be known; those of others, and in other places, stay.
#[test]
fn a_mark_is_taken_away_by_zero() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let places = [ROOM, Conversation::Direct("ann", "bob")];
        for place in places {
            assert_eq!(mark(&mut stage, "bob", place, 0), None, "nothing is said there");
            (0..3).for_each(|_| drop(stage.act(place, "ann", text("x"))));
            assert_eq!(mark(&mut stage, "bob", place, 0), None, "nothing is read");
        }
        for place in places {
            for user in ["ann", "bob"] {
                mark(&mut stage, user, place, 2);
            }
        }
        for (n, place) in places.into_iter().enumerate() {
            let rows = [(0, Some(0), (0, 3)), (0, None, (0, 3)), (1, Some(1), (1, 2)), (0, Some(0), (0, 3))];
            for (seq, expected, left) in rows {
                assert_eq!(mark(&mut stage, "bob", place, seq), expected, "{place:?} {seq}");
                assert_eq!(reading(&mut stage, "bob", place), left, "{place:?} {seq}");
            }
            assert_eq!(reading(&mut stage, "ann", place), (2, 0));
            if let Some(other) = places.get(n + 1) {
                assert_eq!(reading(&mut stage, "bob", *other), (2, 1));
            }
        }
        assert_eq!(readings(&mut stage, "bob", &["den"]), [(0, 3)]);
    });
}

#[test]
fn unread_are_messages_of_others_that_are_not_deleted() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let rows = [
            ("ann", text("a"), (0, 1)),
            ("bob", text("b"), (0, 1)),
            ("ann", text("c"), (0, 2)),
            ("ann", edit(1, "d"), (0, 2)),
            ("ann", react(2, "x"), (0, 2)),
            ("ann", delete(1), (0, 1)),
            ("ann", text("e"), (0, 2)),
        ];
        for (sender, body, expected) in rows {
            stage.act(ROOM, sender, body);
            assert_eq!(reading(&mut stage, "bob", ROOM), expected, "{body:?}");
        }
        for (seq, expected) in [(2, (2, 2)), (3, (3, 1)), (6, (6, 1)), (7, (7, 0))] {
            mark(&mut stage, "bob", ROOM, seq);
            assert_eq!(reading(&mut stage, "bob", ROOM), expected, "{seq}");
        }
        // What is dropped cannot be read any more.
        for _ in 0..12 {
            stage.act(ROOM, "ann", text("f"));
        }
        assert_eq!(reading(&mut stage, "bob", ROOM), (7, 9));
    });
}

#[test]
fn unread_is_counted_up_to_a_bound() {
    each(9_999, |store| {
        let mut stage = Stage::new(store);
        for _ in 0..MAX_UNREAD - 1 {
            stage.act(ROOM, "ann", text("x"));
        }
        assert_eq!(reading(&mut stage, "bob", ROOM), (0, MAX_UNREAD - 1));
        for _ in 0..2 {
            stage.act(ROOM, "bob", text("x"));
            stage.act(ROOM, "ann", text("x"));
            assert_eq!(reading(&mut stage, "bob", ROOM), (0, MAX_UNREAD));
        }
    });
}

#[test]
fn readings_of_several_rooms() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        for room in ["a", "b", "b"] {
            stage.act(Conversation::Room(room), "ann", text("x"));
        }
        mark(&mut stage, "bob", Conversation::Room("b"), 1);
        assert_eq!(readings(&mut stage, "bob", &["b", "none", "a", "b"]), [(1, 1), (0, 0), (0, 1), (1, 1)]);
        assert_eq!(readings(&mut stage, "bob", &[]), []);
        assert_eq!(readings(&mut stage, "cat", &["b"]), [(0, 2)]);
        // A question makes no room.
        stage.store.ask(Request::Erase { room: "b" }).unwrap();
        assert_eq!(readings(&mut stage, "bob", &["b"]), [(0, 0)]);
        // The mark was of its life that has ended.
        stage.act(Conversation::Room("b"), "ann", text("x"));
        assert_eq!(readings(&mut stage, "bob", &["b"]), [(0, 1)]);
    });
}

#[test]
fn conversations_stand_by_when_something_was_said_last() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        assert_eq!(talks(&mut stage, "ann", None, 9), (vec![], None));
        let with = |other| Conversation::Direct("ann", other);
        for (at, sender, other) in [(1, "bob", "bob"), (2, "ann", "cat"), (3, "ann", "ann"), (4, "dan", "dan")] {
            stage.at = at;
            stage.act(with(other), sender, text("x"));
        }
        stage.act(Conversation::Direct("bob", "cat"), "bob", text("x"));
        stage.act(ROOM, "ann", text("x"));
        let all = |stage: &mut Stage<'_>| talks(stage, "ann", None, 9);
        assert_eq!(
            all(&mut stage),
            (["dan 1@4 0/1", "ann 1@3 0/0", "cat 1@2 0/0", "bob 1@1 0/1"].map(Into::into).into(), None)
        );
        // Edits, deletions and reactions move no conversation: nothing was said.
        stage.at = 5;
        stage.act(with("bob"), "bob", edit(1, "y"));
        stage.act(with("cat"), "cat", react(1, "x"));
        stage.act(with("dan"), "dan", delete(1));
        assert_eq!(all(&mut stage).0, ["dan 2@4 0/0", "ann 1@3 0/0", "cat 2@2 0/0", "bob 2@1 0/1"]);
        stage.at = 6;
        stage.act(with("bob"), "ann", NewBody::Message { content: "z", reply_to: Some(1), calls_room: false });
        mark(&mut stage, "ann", with("bob"), 2);
        mark(&mut stage, "bob", with("bob"), 3);
        assert_eq!(all(&mut stage).0, ["bob 3@6 2/0", "dan 2@4 0/0", "ann 1@3 0/0", "cat 2@2 0/0"]);
        assert_eq!(talks(&mut stage, "bob", None, 9).0, ["ann 3@6 3/0", "cat 1@4 0/0"]);
        // A direct message to somebody who is away.
        assert_eq!(talks(&mut stage, "cat", None, 9).0, ["bob 1@4 0/1", "ann 2@2 0/1"]);
        assert_eq!(talks(&mut stage, "nobody", None, 9), (vec![], None));
    });
}

/// A conversation is listed while any entry of it is kept, and its last message stays the last one that was said.
#[test]
fn a_conversation_whose_messages_are_dropped() {
    each(2, |store| {
        let mut stage = Stage::new(store);
        let pair = Conversation::Direct("ann", "bob");
        stage.at = 1;
        stage.act(pair, "ann", text("x"));
        stage.at = 2;
        stage.act(pair, "bob", react(1, "x"));
        stage.act(pair, "bob", react(1, "y"));
        assert_eq!(stage.history(pair), [""; 0]);
        assert_eq!(talks(&mut stage, "bob", None, 9).0, ["ann 3@1 0/0"]);
        stage.at = 20_000;
        while stage.store.expire(moment(20_000)) {}
        assert_eq!(talks(&mut stage, "bob", None, 9), (vec![], None));
        mark(&mut stage, "bob", pair, 3);
        assert_eq!(reading(&mut stage, "bob", pair), (0, 0));
    });
}

#[test]
fn pages_of_conversations_have_no_holes_and_no_doubles() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let names: Vec<String> = (0..7).map(|n| format!("u{n}")).collect();
        // All in the same millisecond, too.
        for name in &names {
            stage.act(Conversation::Direct("ann", name), name, text("x"));
        }
        let mut newest: Vec<String> = names.iter().rev().map(|name| format!("{name} 1@0 0/1")).collect();
        for limit in 1..9 {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let (items, next) = talks(&mut stage, "ann", cursor.as_deref(), limit);
                assert!(items.len() == limit || next.is_none(), "{limit}");
                found.extend(items);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, newest, "{limit}");
        }
        // What is said meanwhile in one that was listed, and in a new one, changes nothing behind the cursor.
        let (mut found, next) = talks(&mut stage, "ann", None, 3);
        stage.act(Conversation::Direct("ann", "u5"), "u5", text("x"));
        stage.act(Conversation::Direct("ann", "new"), "new", text("x"));
        let (rest, end) = talks(&mut stage, "ann", next.as_deref(), 9);
        found.extend(rest);
        assert_eq!((found, end), (newest.split_off(0), None));
    });
}

#[test]
fn a_cursor_that_was_not_given_out() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        for name in ["u0", "u1"] {
            stage.act(Conversation::Direct("ann", name), name, text("x"));
        }
        for garbage in ["", "x", "-1", "é", "ffffffffffffffff", "00000000000000010", "\0", &"9".repeat(4096)] {
            assert_eq!(talks(&mut stage, "ann", Some(garbage), 9).0, ["BadCursor"], "{garbage:?}");
        }
        // One of somebody else is good for nothing more than one's own.
        let (_, next) = talks(&mut stage, "ann", None, 1);
        assert_eq!(talks(&mut stage, "nobody", next.as_deref(), 9), (vec![], None));
    });
}
