//! Rows that every store passes: one in memory, one on disk, and one on Redis.

use std::time::Duration;

use super::memory::Limits;
#[cfg(feature = "redis")]
use super::redis::tests::Place;
#[cfg(feature = "sqlite")]
use super::sqlite::tests::Folder;
use super::*;
use crate::time::Tick;

mod entries;
mod folding;
mod reading;
pub(crate) mod said;
mod searching;
mod trail;

const ALL: Bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };
const ROOM: Conversation<'_> = Conversation::Room("den");

fn moment(at: u64) -> Moment {
    Moment { tick: Tick(at), unix_ms: at }
}

/// The row with each store, where so many messages are kept for ten seconds.
fn each(messages: usize, row: impl Fn(&mut dyn Backend)) {
    each_here(messages, &row);
    #[cfg(feature = "redis")]
    if let Some(server) = redis::tests::server() {
        row(&mut server.open(redis::Options { messages, age: AGE, ..server.options() }));
    }
    #[cfg(feature = "redis")]
    {
        let redis: &dyn Place = &redis::tests::imitation();
        row(&mut redis.open(redis::Options { messages, age: AGE, ..redis.options() }));
    }
}

/// The same with each store that can keep rooms by rules of their own, and so many messages otherwise.
fn each_ruled(messages: usize, rooms: &RoomLimits, row: impl Fn(&mut dyn Backend)) {
    let (age, rooms) = (AGE, rooms.clone());
    row(&mut Memory::new(Limits { messages, age, rooms: rooms.clone(), ..Limits::default() }, 7));
    #[cfg(feature = "sqlite")]
    {
        let folder = Folder::new();
        row(&mut folder.open(sqlite::Options { messages, age, rooms: rooms.clone(), ..folder.options() }));
    }
}

/// The same with each store that is in this process.
fn each_here(messages: usize, row: impl Fn(&mut dyn Backend)) {
    let age = AGE;
    row(&mut Memory::new(Limits { messages, age, ..Limits::default() }, 7));
    #[cfg(feature = "sqlite")]
    {
        let folder = Folder::new();
        row(&mut folder.open(sqlite::Options { messages, age, ..folder.options() }));
    }
}

/// The same with each store that searches.
fn each_that_searches(messages: usize, row: impl Fn(&mut dyn Backend)) {
    each(messages, |store| {
        let search = Search { scope: Scope::One(ROOM), text: "x", sender: None, before: None, cursor: None, limit: 1 };
        store.ask(Request::Search { search, ticket: Ticket(1) }).unwrap();
        match store.poll() {
            Some(News::Refused { why: Why::Unsupported, .. }) => {}
            _ => row(store),
        }
    });
}

/// How long entries are kept.
const AGE: Duration = Duration::from_secs(10);

fn say(store: &mut dyn Backend, conversation: Conversation<'_>, content: &str, at: u64) -> u64 {
    let entry = NewEntry::message("ann", content, moment(at));
    store.ask(Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(1) }).unwrap();
    loop {
        match store.poll().unwrap() {
            News::Published { entry, conversation: told, ticket, .. } => {
                assert_eq!(ticket, Some(Ticket(1)));
                match (conversation, told) {
                    (Conversation::Direct(one, other), Conversation::Direct(a, b)) => {
                        assert_eq!([one.min(other), one.max(other)], [a, b]);
                    }
                    _ => assert_eq!(conversation, told),
                }
                assert_eq!((entry.sender, entry.said(), entry.ts), ("ann", Some(content), at));
                return entry.seq;
            }
            News::Emptied { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn read(store: &mut dyn Backend, conversation: Conversation<'_>, query: Query, at: u64) -> (Head, Vec<u64>) {
    store
        .ask(Request::Read { conversation, query, reader: None, now: moment(at), about: None, ticket: Ticket(2) })
        .unwrap();
    loop {
        match store.poll().unwrap() {
            News::Page { head, entries, .. } => return (head, entries.iter().map(|entry| entry.seq).collect()),
            News::Emptied { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pages() {
    each(5, |store| {
        for seq in 1..=8 {
            assert_eq!(say(store, ROOM, "x", 0), seq);
            say(store, Conversation::Direct("den", "x"), "y", 0);
        }
        let two = Bounds { entries: 2, bytes: usize::MAX };
        let epoch = read(store, ROOM, Query::Head, 0).0.epoch;
        let resume = |epoch: Epoch, seq, bounds| Query::Resume { since: Some((epoch, seq)), newest: 2, bounds };
        let newest = |newest, bounds| Query::Resume { since: None, newest, bounds };
        let other = Epoch(epoch.0 ^ 1);
        let rows: &[(Query, &[u64])] = &[
            (Query::Head, &[]),
            (Query::Newest(ALL), &[4, 5, 6, 7, 8]),
            (Query::Newest(two), &[7, 8]),
            (Query::Before(7, two), &[5, 6]),
            (Query::Before(5, two), &[4]),
            (Query::Before(4, two), &[]),
            (Query::Before(0, two), &[]),
            (Query::Before(u64::MAX, two), &[7, 8]),
            (Query::After(0, two), &[4, 5]),
            (Query::After(5, two), &[6, 7]),
            (Query::After(8, two), &[]),
            (Query::After(u64::MAX, two), &[]),
            (resume(epoch, 6, ALL), &[7, 8]),
            (resume(epoch, 8, ALL), &[]),
            (resume(epoch, 1, ALL), &[4, 5, 6, 7, 8]),
            (resume(epoch, 1, two), &[4, 5]),
            (resume(epoch, 9, ALL), &[7, 8]),
            (resume(epoch, u64::MAX, ALL), &[7, 8]),
            (resume(other, 6, ALL), &[7, 8]),
            (newest(3, ALL), &[6, 7, 8]),
            (newest(3, two), &[6, 7]),
            (newest(99, two), &[4, 5]),
            (newest(usize::MAX, two), &[4, 5]),
            (newest(0, ALL), &[]),
        ];
        for (query, expected) in rows {
            let (head, found) = read(store, ROOM, *query, 0);
            assert_eq!((head.seq, head.kept, head.oldest()), (8, 5, 4));
            assert_eq!(&found, expected, "{query:?}");
        }
    });
}

#[test]
fn a_page_is_bounded_in_bytes_but_never_empty() {
    each(5, |store| {
        for _ in 0..3 {
            say(store, ROOM, &"x".repeat(97), 0);
        }
        let bytes = |bytes| Bounds { entries: 9, bytes };
        assert_eq!(read(store, ROOM, Query::Newest(bytes(1)), 0).1, [3]);
        assert_eq!(read(store, ROOM, Query::Newest(bytes(199)), 0).1, [3]);
        assert_eq!(read(store, ROOM, Query::Newest(bytes(200)), 0).1, [2, 3]);
        assert_eq!(read(store, ROOM, Query::After(0, bytes(200)), 0).1, [1, 2]);
    });
}

#[test]
fn age_is_counted_at_the_reading_and_the_seq_goes_on() {
    each(5, |store| {
        say(store, ROOM, "old", 0);
        say(store, ROOM, "new", 5_000);
        assert_eq!(read(store, ROOM, Query::Newest(ALL), 10_000).1, [1, 2]);
        assert_eq!(read(store, ROOM, Query::Newest(ALL), 10_001).1, [2]);
        // A sweep may need another one to know that nothing is left.
        let more = store.expire(moment(16_000));
        assert!(!more || !store.expire(moment(16_000)));
        assert!(matches!(store.poll(), Some(News::Emptied { room: "den" })));
        assert!(store.poll().is_none());
        assert_eq!(say(store, ROOM, "again", 16_000), 3);
        assert_eq!(read(store, ROOM, Query::Newest(ALL), 16_000).1, [3]);
    });
}

/// Rooms of rules keep so many, so long; others, and pairs of that name, as all.
#[test]
fn rooms_by_rules_of_their_own() {
    let limit = |pattern: &str, messages, seconds: Option<u64>| RoomLimit {
        patterns: [Pattern::new(pattern)].into(),
        messages,
        age: seconds.map(Duration::from_secs),
    };
    let rooms = RoomLimits::new(vec![
        limit("short-*", Some(2), None),
        limit("old-*", Some(usize::MAX), Some(100)),
        limit("*", None, None),
    ]);
    each_ruled(4, &rooms, |store| {
        let pair = Conversation::Direct("short-a", "x");
        for (conversation, kept) in [
            (Conversation::Room("short-a"), &[5, 6][..]),
            (Conversation::Room("old-a"), &[1, 2, 3, 4, 5, 6]),
            (Conversation::Room("shorts"), &[3, 4, 5, 6]),
            (pair, &[3, 4, 5, 6]),
        ] {
            for _ in 0..6 {
                say(store, conversation, "x", 0);
            }
            assert_eq!(read(store, conversation, Query::Newest(ALL), 0).1, kept, "{conversation:?}");
        }
        for (name, at, kept) in [
            ("shorts", 10_001, 0),
            ("short-a", 10_001, 0),
            ("old-a", 10_001, 6),
            ("old-a", 100_000, 6),
            ("old-a", 100_001, 0),
        ] {
            assert_eq!(read(store, Conversation::Room(name), Query::Newest(ALL), at).1.len(), kept, "{name} {at}");
        }
    });
}

/// What is too old goes in a sweep too, of each room by its own time.
#[test]
fn a_sweep_goes_by_the_rules_of_rooms() {
    let limit = RoomLimit { patterns: [Pattern::new("old-*")].into(), messages: None, age: Some(Duration::MAX) };
    each_ruled(4, &RoomLimits::new(vec![limit]), |store| {
        for name in ["old-a", "young"] {
            say(store, Conversation::Room(name), "x", 0);
        }
        let mut emptied = Vec::new();
        for _ in 0..3 {
            assert!(store.expire(moment(1_000_000)));
            while let Some(news) = store.poll() {
                emptied.extend(match news {
                    News::Emptied { room } => Some(room.to_owned()),
                    _ => None,
                });
            }
        }
        assert_eq!(emptied, ["young"]);
        assert_eq!(read(store, Conversation::Room("old-a"), Query::Newest(ALL), 1_000_000).1, [1]);
    });
}

#[test]
fn the_epoch_of_nothing_is_that_of_the_first_message() {
    each(5, |store| {
        let pair = Conversation::Direct("ann", "bob");
        let nothing = read(store, pair, Query::Head, 0).0;
        say(store, pair, "hi", 0);
        let first = read(store, pair, Query::Head, 0).0;
        assert_eq!((first.epoch, nothing.seq, first.seq), (nothing.epoch, 0, 1));
        // When all of it is too old it is forgotten; what is said next has another epoch.
        store.expire(moment(20_000));
        assert!(store.poll().is_none());
        let again = read(store, pair, Query::Head, 20_000).0;
        assert_eq!(again.seq, 0);
        assert_ne!(again.epoch, first.epoch);
        say(store, pair, "hi again", 20_000);
        assert_eq!(read(store, pair, Query::Head, 20_000).0, Head { epoch: again.epoch, seq: 1, kept: 1 });
    });
}

#[test]
fn an_erased_room_comes_back_in_another_epoch() {
    each(5, |store| {
        say(store, ROOM, "x", 0);
        let first = read(store, ROOM, Query::Head, 0).0;
        store.ask(Request::Erase { room: "den" }).unwrap();
        let (second, found) = read(store, ROOM, Query::Newest(ALL), 0);
        assert_ne!(first.epoch, second.epoch);
        assert_eq!(Epoch::parse(&first.epoch.to_string()), Some(first.epoch));
        assert_eq!((second.seq, found), (0, vec![]));
        assert_eq!(say(store, ROOM, "y", 0), 1);
        assert_eq!(read(store, ROOM, Query::Newest(ALL), 0).1, [1]);
    });
}

/// What is published names the life that a page names, also of two users, and where nothing is kept.
#[test]
fn what_is_published_is_of_the_life_that_pages_tell_of() {
    for messages in [0, 5] {
        each(messages, |store| {
            for (conversation, erased) in [(ROOM, false), (Conversation::Direct("a", "b"), false), (ROOM, true)] {
                if erased {
                    store.ask(Request::Erase { room: "den" }).unwrap();
                }
                for at in 0..2 {
                    let entry = NewEntry::message("ann", "x", moment(at));
                    let append = Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(1) };
                    store.ask(append).unwrap();
                    let Some(News::Published { epoch, .. }) = store.poll() else { panic!("nothing is published") };
                    assert_eq!(read(store, conversation, Query::Head, at).0.epoch, epoch);
                }
            }
        });
    }
}

#[test]
fn without_history_messages_are_numbered_all_the_same() {
    each(0, |store| {
        assert_eq!(say(store, ROOM, "x", 0), 1);
        assert_eq!(say(store, ROOM, "y", 0), 2);
        assert_eq!(read(store, ROOM, Query::Newest(ALL), 0).1, [0; 0]);
        assert!(!store.keeps());
    });
}

#[test]
fn two_users_in_either_order() {
    each(5, |store| {
        assert_eq!(say(store, Conversation::Direct("a", "b"), "x", 0), 1);
        assert_eq!(say(store, Conversation::Direct("b", "a"), "x", 0), 2);
        assert_eq!(say(store, Conversation::Direct("a", "a"), "x", 0), 1);
        assert_eq!(say(store, Conversation::Room("a"), "x", 0), 1);
        assert_eq!(read(store, Conversation::Direct("a", "b"), Query::Newest(ALL), 0).1, [1, 2]);
        assert_eq!(read(store, Conversation::Direct("a", "c"), Query::Newest(ALL), 0).1, [0; 0]);
        store.expire(moment(20_000));
        assert_eq!(read(store, Conversation::Direct("a", "b"), Query::Head, 20_000).0.seq, 0);
    });
}

/// What nobody uses goes, but never what is kept.
#[test]
fn releasing_deletes_nothing() {
    each(5, |store| {
        say(store, ROOM, "x", 0);
        let before = read(store, ROOM, Query::Head, 0).0;
        store.ask(Request::Release { room: "den" }).unwrap();
        assert_eq!(read(store, ROOM, Query::Newest(ALL), 0), (before, vec![1]));
        let empty = Conversation::Room("empty");
        let before = read(store, empty, Query::Head, 0).0;
        assert_eq!(read(store, empty, Query::Head, 0).0, before);
        store.ask(Request::Release { room: "empty" }).unwrap();
        assert_ne!(read(store, empty, Query::Head, 0).0.epoch, before.epoch);
    });
}

/// What a room is called and is about change alone, and each change is told; a room that nobody has described begins
/// with it.
#[test]
fn titles_and_topics() {
    each(5, |store| {
        let den = Description { room: "den", title: Some("Den"), topic: Some("talk"), created_at: 7, created: true };
        let new = Description { room: "new", title: None, topic: None, created_at: 8, created: false };
        let old = Description { room: "old", ..new };
        let (query, about) = (Query::Head, Some(den));
        store
            .ask(Request::Read { conversation: ROOM, query, reader: None, now: moment(0), about, ticket: Ticket(1) })
            .unwrap();
        while store.poll().is_some() {}
        let mut changes = |about: Description<'_>, title, topic| {
            let anew = Anew { title, topic };
            store.ask(Request::Topic { about, anew, by: "ann", ticket: Ticket(2) }).unwrap();
            let mut told = None;
            while let Some(news) = store.poll() {
                match news {
                    News::Noted { ticket: Ticket(2) } => {}
                    News::Topic { ticket: Some(Ticket(2)), room, anew, by: "ann", .. } => {
                        told = Some(format!("{room}: {} {}", anew.title.unwrap(), anew.topic.unwrap()));
                    }
                    // One on disk tells whoever brings another description of the one that stands.
                    News::Room { description, .. } => assert_ne!(description, about.with(anew)),
                    other => panic!("{other:?}"),
                }
            }
            told
        };
        // What else is brought does not count.
        let pub_ = Description { title: Some("Pub"), created_at: 9, ..den };
        for (about, title, topic, expected) in [
            (den, None, Some("talk"), None),
            (pub_, None, Some("tea"), Some("den: Den tea")),
            (den, None, Some("tea"), None),
            (den, None, Some(""), Some("den: Den ")),
            (den, None, Some(""), None),
            (den, Some("Den"), None, None),
            (den, Some("The Den"), None, Some("den: The Den ")),
            (den, Some("The Den"), Some(""), None),
            (den, None, Some("cake"), Some("den: The Den cake")),
            (den, Some(""), None, Some("den:  cake")),
            (den, Some(""), None, None),
            (den, Some("Hall"), Some("music"), Some("den: Hall music")),
            (new, None, Some("first"), Some("new:  first")),
            (new, None, Some("first"), None),
            (old, Some("Old"), None, Some("old: Old ")),
            (old, Some("Old"), None, None),
        ] {
            assert_eq!(changes(about, title, topic).as_deref(), expected, "{about:?} {title:?} {topic:?}");
        }
        store.tell_catalogue();
        let mut rooms = Vec::new();
        while let Some(news) = store.poll() {
            if let News::Room { description, .. } = news {
                rooms.push(format!("{description:?}"));
            }
        }
        let stands = [
            Description { title: Some("Hall"), topic: Some("music"), ..den },
            Description { topic: Some("first"), ..new },
            Description { title: Some("Old"), ..old },
        ];
        assert_eq!(rooms, stands.map(|description| format!("{description:?}")));
    });
}

/// A chat that begins with it gets the rooms that it keeps, as they were described first, and the users of its pairs.
#[test]
fn the_catalogue() {
    each(5, |store| {
        let den = Description { room: "den", title: None, topic: None, created_at: 7, created: false };
        let bar = Description { room: "bar", title: Some("Bar"), topic: Some("talk"), created_at: 8, created: true };
        for description in [den, bar, Description { title: Some("Pub"), ..bar }] {
            let conversation = Conversation::Room(description.room);
            let (query, about) = (Query::Head, Some(description));
            store
                .ask(Request::Read { conversation, query, reader: None, now: moment(0), about, ticket: Ticket(1) })
                .unwrap();
            // One on disk tells whoever brings another description of the one that stands.
            while let Some(news) = store.poll() {
                assert!(matches!(
                    news,
                    News::Page { .. } | News::Room { description: Description { title: Some("Bar"), .. }, .. }
                ));
            }
        }
        say(store, ROOM, "x", 0);
        say(store, Conversation::Direct("ann", "bob"), "x", 0);
        store.tell_catalogue();
        assert!(!store.is_idle());
        let (mut rooms, mut users) = (Vec::new(), Vec::new());
        while let Some(news) = store.poll() {
            match news {
                News::Room { description, keeps, .. } => rooms.push((format!("{description:?}"), keeps)),
                News::User { name } => users.push(name.to_owned()),
                other => panic!("{other:?}"),
            }
        }
        users.sort();
        assert_eq!(rooms, [(format!("{den:?}"), true), (format!("{bar:?}"), false)]);
        assert_eq!(users, ["ann", "bob"]);
        assert!(store.is_idle() && store.poll().is_none());
    });
}
