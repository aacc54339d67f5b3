//! Search: what is found, in which order, and in which pages.

use super::entries::*;
use super::*;

const DIRECT: Conversation<'_> = Conversation::Direct("ann", "bob");

/// What is looked for in one conversation.
fn within<'a>(conversation: Conversation<'a>, text: &'a str) -> Search<'a> {
    Search { scope: Scope::One(conversation), text, sender: None, before: None, cursor: None, limit: 9 }
}

/// A page of what is found, as text (`den 3 ann: hello`, `ann+bob 1 ann: hi`), and its `next`.
fn page(stage: &mut Stage<'_>, search: Search<'_>) -> (Vec<String>, Option<String>) {
    stage.ask(Request::Search { search, ticket: Ticket(8) }, |news| match news {
        News::Found { ticket: Ticket(8), items, next } => {
            let show = |Hit { conversation, seq, sender, content, .. }: &Hit<'_>| {
                let place = match conversation {
                    Conversation::Room(room) => (*room).to_owned(),
                    Conversation::Direct(one, other) => format!("{}+{}", one.min(other), one.max(other)),
                };
                format!("{place} {seq} {sender}: {content}")
            };
            Some((items.iter().map(show).collect(), next.clone()))
        }
        News::Refused { ticket: Ticket(8), why } => Some((vec![format!("{why:?}")], None)),
        _ => None,
    })
}

/// All pages of it. A page may have fewer than asked for, or none.
fn pages(stage: &mut Stage<'_>, search: Search<'_>) -> Vec<String> {
    let (mut found, mut cursor): (Vec<String>, Option<String>) = (Vec::new(), None);
    for _ in 0..10_000 {
        let (items, next) = page(stage, Search { cursor: cursor.as_deref(), ..search });
        assert!(items.len() <= search.limit);
        found.extend(items);
        cursor = next;
        if cursor.is_none() {
            return found;
        }
    }
    panic!("there is always another page");
}

/// The numbers of what is found in one conversation.
fn seqs(stage: &mut Stage<'_>, search: Search<'_>) -> Vec<u64> {
    let number = |hit: &String| hit.split(' ').nth(1).unwrap().parse().unwrap();
    pages(stage, search).iter().map(number).collect()
}

#[test]
fn words_and_phrases_in_any_language() {
    each_that_searches(99, |store| {
        let mut stage = Stage::new(store);
        let texts = [
            "Hello, world! hello",
            "the world says hello",
            "Le Café à côté",
            "我今天去北京大学",
            "東京タワーに行きました",
            "ฉันรักภาษาไทยมาก",
            "서울에서 만나요",
            "don't panic: 42%",
            "?!",
            "Straße ΟΔΟΣ Ёлка",
        ];
        for place in [ROOM, DIRECT] {
            for (at, content) in texts.iter().enumerate() {
                stage.at = at as u64;
                stage.act(place, "ann", text(content));
            }
            let rows: [(&str, &[u64]); 32] = [
                ("hello", &[2, 1]),
                ("HELLO world", &[2, 1]),
                ("hello nothing", &[]),
                ("\"hello world\"", &[1]),
                ("“world says” hello", &[2]),
                ("\"hello says\"", &[]),
                ("\"says hello", &[2]),
                ("hell", &[]),
                ("cafe", &[3]),
                ("CAFE\u{301} cote", &[3]),
                ("à", &[3]),
                ("北京", &[4]),
                ("京大", &[4]),
                ("北大", &[]),
                ("大学 北京", &[4]),
                ("京", &[5, 4]),
                ("タワー", &[5]),
                ("ﾀﾜｰ", &[5]),
                ("行きました 東京", &[5]),
                ("ภาษา", &[6]),
                ("ไทยภาษา", &[]),
                ("ไทย รัก", &[6]),
                ("서울", &[7]),
                ("don't", &[8]),
                ("42", &[8]),
                ("4", &[]),
                ("strasse οδος елка", &[10]),
                ("", &[]),
                ("  ", &[]),
                ("?!", &[]),
                ("\"\"", &[]),
                ("\0 %_*", &[]),
            ];
            for (wanted, expected) in rows {
                assert_eq!(seqs(&mut stage, within(place, wanted)), expected, "{wanted:?} in {place:?}");
            }
        }
        // What looks like a question of some other language is a word like others.
        for wanted in ["hello OR nothing", "hello NOT world", "NEAR(hello world)", "content:hello", "hel*", "-hello x"]
        {
            assert_eq!(seqs(&mut stage, within(ROOM, wanted)), [0; 0], "{wanted:?}");
        }
        for wanted in ["hello*", "^hello", "(hello)", "hello -", "'hello'", "-hello"] {
            assert_eq!(seqs(&mut stage, within(ROOM, wanted)), [2, 1], "{wanted:?}");
        }
    });
}

#[test]
fn an_edited_message_is_found_by_its_new_text_at_its_old_place() {
    each_that_searches(99, |store| {
        let mut stage = Stage::new(store);
        for place in [ROOM, DIRECT] {
            for content in ["first apple", "second apple", "third apple"] {
                stage.at += 1;
                stage.act(place, "ann", text(content));
            }
            stage.act(place, "ann", edit(1, "first pear"));
            stage.act(place, "ann", edit(1, "first plum apple"));
            stage.act(place, "ann", react(2, ":pear:"));
            stage.act(place, "ann", delete(3));
            let name = if place == ROOM { "den" } else { "ann+bob" };
            let hits = [format!("{name} 2 ann: second apple"), format!("{name} 1 ann: first plum apple")];
            assert_eq!(pages(&mut stage, within(place, "apple")), hits);
            assert_eq!(seqs(&mut stage, within(place, "plum")), [1]);
            for gone in ["pear", "third"] {
                assert_eq!(seqs(&mut stage, within(place, gone)), [0; 0], "{gone}");
            }
            assert!(stage.heard.iter().all(|heard| !heard.contains("third")));
        }
    });
}

#[test]
fn what_is_dropped_is_not_found() {
    each_that_searches(3, |store| {
        let mut stage = Stage::new(store);
        for content in ["one x", "two x", "three x", "four x"] {
            stage.act(ROOM, "ann", text(content));
        }
        assert_eq!(seqs(&mut stage, within(ROOM, "x")), [4, 3, 2]);
        // The message goes with its edit, whose text stays for those who hear that.
        stage.act(ROOM, "ann", edit(2, "zwei x"));
        assert_eq!(seqs(&mut stage, within(ROOM, "x")), [4, 3]);
        stage.at = 10_001;
        while stage.store.expire(moment(10_001)) {}
        while stage.store.poll().is_some() {}
        assert_eq!(seqs(&mut stage, within(ROOM, "x")), [0; 0]);
        stage.store.ask(Request::Erase { room: "den" }).unwrap();
        stage.act(ROOM, "ann", text("again"));
        assert_eq!(seqs(&mut stage, within(ROOM, "x")), [0; 0]);
        assert_eq!(seqs(&mut stage, within(ROOM, "again")), [1]);
    });
}

#[test]
fn by_sender_and_before_a_time() {
    each_that_searches(9, |store| {
        let mut stage = Stage::new(store);
        for (sender, at) in [("ann", 10), ("bob", 20), ("ann", 30), ("annie", 30)] {
            stage.at = at;
            stage.act(ROOM, sender, text("x"));
        }
        // When it was said counts, and not when it was edited.
        stage.at = 40;
        stage.act(ROOM, "ann", edit(1, "x y"));
        let rows: [(Option<&str>, Option<u64>, &[u64]); 9] = [
            (None, None, &[4, 3, 2, 1]),
            (Some("ann"), None, &[3, 1]),
            (Some("nobody"), None, &[]),
            (Some("Ann"), None, &[]),
            (None, Some(30), &[2, 1]),
            (None, Some(31), &[4, 3, 2, 1]),
            (None, Some(10), &[]),
            (None, Some(u64::MAX), &[4, 3, 2, 1]),
            (Some("ann"), Some(30), &[1]),
        ];
        for (sender, before, expected) in rows {
            let search = Search { sender, before, ..within(ROOM, "x") };
            assert_eq!(seqs(&mut stage, search), expected, "{sender:?} {before:?}");
        }
        assert_eq!(seqs(&mut stage, Search { before: Some(0), ..within(ROOM, "x") }), [0; 0]);
    });
}

#[test]
fn in_all_that_a_user_may_read() {
    each_that_searches(9, |store| {
        let mut stage = Stage::new(store);
        let places = [
            Conversation::Room("den"),
            Conversation::Direct("bob", "ann"),
            Conversation::Room("bar"),
            Conversation::Direct("ann", "ann"),
            Conversation::Room("secret"),
            Conversation::Direct("bob", "cat"),
        ];
        for place in places.iter().chain(&places[..2]) {
            stage.at += 1;
            stage.act(*place, "ann", text("x"));
        }
        let mut names = String::new();
        let mut all = |rooms: &[&str], user, limit| {
            let rooms = Names::join(rooms.iter().copied(), &mut names);
            let scope = Scope::All { rooms, user };
            pages(&mut stage, Search { scope, limit, ..within(ROOM, "x") })
        };
        let of_ann =
            ["ann+bob 2", "den 2", "ann+ann 1", "bar 1", "ann+bob 1", "den 1"].map(|hit| format!("{hit} ann: x"));
        for limit in 1..8 {
            assert_eq!(all(&["den", "bar", "none"], "ann", limit), of_ann);
        }
        assert_eq!(all(&[], "cat", 9), ["bob+cat 1 ann: x"]);
        assert_eq!(all(&["secret"], "nobody", 9), ["secret 1 ann: x"]);
        assert_eq!(all(&[], "nobody", 9), [""; 0]);
        assert_eq!(pages(&mut stage, within(Conversation::Room("none"), "x")), [""; 0]);
        assert_eq!(pages(&mut stage, within(Conversation::Direct("ann", "cat"), "x")), [""; 0]);
    });
}

/// Pages join without holes and without doubles, whatever is said and deleted between them.
#[test]
fn pages_while_more_is_said() {
    each_that_searches(999, |store| {
        let mut stage = Stage::new(store);
        let say = |stage: &mut Stage<'_>, n: u64| {
            // Some in the same millisecond.
            stage.at = n / 3;
            stage.act(ROOM, "ann", text(if n.is_multiple_of(2) { "even x" } else { "odd x" }));
        };
        (1..=40).for_each(|n| say(&mut stage, n));
        for limit in [1, 2, 7, 40, 41] {
            let expected: Vec<u64> = (1..=40).rev().collect();
            assert_eq!(seqs(&mut stage, Search { limit, ..within(ROOM, "x") }), expected, "{limit}");
        }
        let number = |hit: &String| hit.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
        let (mut found, mut cursor): (Vec<u64>, Option<String>) = (Vec::new(), None);
        for round in 0..100 {
            let (items, next) =
                page(&mut stage, Search { cursor: cursor.as_deref(), limit: 3, ..within(ROOM, "even") });
            found.extend(items.iter().map(number));
            cursor = next;
            say(&mut stage, 200 + round);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, (1..=20).rev().map(|n| 2 * n).collect::<Vec<_>>());
        // The message where a page ended is deleted.
        let (_, next) = page(&mut stage, Search { limit: 1, before: Some(14), ..within(ROOM, "even") });
        stage.act(ROOM, "ann", delete(40));
        let search = Search { limit: 2, before: Some(14), cursor: next.as_deref(), ..within(ROOM, "even") };
        assert_eq!(page(&mut stage, search).0, ["den 38 ann: even x", "den 36 ann: even x"]);
    });
}

/// However much is looked at in vain, the pages go on to the last message, each with bounded work.
#[test]
fn the_first_of_very_many() {
    each_that_searches(9_999, |store| {
        let mut stage = Stage::new(store);
        stage.act(ROOM, "ann", text("needle"));
        let hay = "häy ".repeat(100);
        for _ in 0..2_000 {
            stage.act(ROOM, "ann", text(&hay));
        }
        assert_eq!(seqs(&mut stage, within(ROOM, "needle")), [1]);
        assert_eq!(seqs(&mut stage, Search { limit: 999, ..within(ROOM, "hay") }).len(), 2_000);
    });
}

#[test]
fn a_place_that_was_not_given_out() {
    each_that_searches(9, |store| {
        let mut stage = Stage::new(store);
        for _ in 0..3 {
            stage.act(ROOM, "ann", text("x"));
        }
        for garbage in ["", "x", "-1", "é", "\0", "99999999999999999999999", &"9".repeat(4096)] {
            let search = Search { cursor: Some(garbage), ..within(ROOM, "x") };
            assert_eq!(page(&mut stage, search).0, ["BadCursor"], "{garbage:?}");
        }
        // One of another question is a place all the same.
        let (_, next) = page(&mut stage, Search { limit: 1, ..within(ROOM, "x") });
        let search = Search { cursor: next.as_deref(), ..within(DIRECT, "y") };
        assert_eq!(page(&mut stage, search), (vec![], None));
    });
}
