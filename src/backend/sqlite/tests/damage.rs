//! Damaged pages: what needs one fails alone, and everything else goes on around it.

use super::*;

/// What cannot be read of a damaged file fails alone: others of the batch come about, the store does not count as one
/// that fails, and the rest of it is searched.
#[test]
fn what_cannot_be_read_fails_alone() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "red", 1));
    ask(&mut store, append(PAIR, "red", 1));
    let sql = "UPDATE entry SET content = CAST(x'ff' AS TEXT), ts = ts WHERE id = 1";
    store.tables().unwrap().connection.execute(sql, []).unwrap();
    let mut text = String::new();
    let rooms = Names::join(["den"], &mut text);
    let scope = Scope::All { rooms, user: "ann" };
    let search = Search { scope, text: "red", sender: None, before: None, cursor: None, limit: 10 };
    let bar = Conversation::Room("bar");
    let failed = |ticket| format!("{:?}", News::Failed { ticket: Ticket(ticket) });
    for turn in 0..20 {
        store.ask(append(bar, "red", 2)).unwrap();
        store.ask(read(ROOM, 3)).unwrap();
        store.ask(Request::Search { search, ticket: Ticket(4) }).unwrap();
        store.ask(append(bar, "red", 5)).unwrap();
        let heard = hear(&mut store);
        assert_eq!(heard.iter().filter(|line| line.contains("Published")).count(), 2, "{heard:?}");
        assert_eq!(heard[1], failed(3));
        // Until it is in the index, which leaves it out.
        assert!(turn > 6 || heard[2] == failed(4), "{heard:?}");
        let health = store.health().unwrap();
        assert_eq!((health.failing, health.failures), (None, 0));
        // There is time for the index.
        while store.lags() {
            hear(&mut store);
        }
    }
    assert!(store.indexed >= 32);
    let bar = Search { scope: Scope::One(bar), ..search };
    assert!(ask(&mut store, Request::Search { search: bar, ticket: Ticket(6) })[0].contains("Found"));
    // The reader beside it has the writer find out what is wrong.
    let mut beside = ReadOnly::new(&options);
    beside.ask(read(ROOM, 7)).unwrap();
    assert_eq!(beside.poll().map(|news| format!("{news:?}")), Some(failed(7)));
    beside.ask(read(PAIR, 8)).unwrap();
    assert!(matches!(beside.poll(), Some(News::Page { .. })));
}

/// What is done to a message on a damaged page, and the sweep that comes to it, fails alone; so does what is said there
/// once it is known that something is damaged.
#[test]
fn a_damaged_page_fails_alone() {
    let folder = Folder::new();
    let options = Options { age: Duration::from_secs(10), ..folder.options() };
    let mut store = folder.open(options.clone());
    let bar = Conversation::Room("bar");
    for n in 1..=6 {
        // One on each page.
        ask(&mut store, append(ROOM, &format!("needle {n} {}", "x".repeat(3000)), n));
    }
    ask(&mut store, append(bar, "old", 4));
    harm(&mut store, &options, TABLE, "needle 2 ");
    store.ask(append(bar, "one", 5)).unwrap();
    store.ask(act("ann", edit(2, "new"), 6)).unwrap();
    store.ask(act("bob", react(2, "+", true), 7)).unwrap();
    store.ask(act("bob", react(6, "+", true), 8)).unwrap();
    store.ask(append(bar, "two", 9)).unwrap();
    let short = |heard: Vec<String>| heard.iter().map(|news| news.chars().take(6).collect()).collect::<Vec<String>>();
    let expected = ["Publis", "Failed", "Failed", "Publis", "Publis"];
    assert_eq!(short(hear(&mut store)), expected);
    assert_eq!((store.health().unwrap().failing, store.health().unwrap().failures), (None, 0));
    assert_eq!(page(&mut store, bar).1, ["old", "one", "two"]);
    // The room goes on, and the next sweep but one comes to the others.
    assert_eq!(short(ask(&mut store, append(ROOM, "on", 10))), ["Publis"]);
    for emptied in [&[][..], &[r#"Emptied { room: "bar" }"#]] {
        store.expire(moment(20_000));
        assert_eq!(hear(&mut store), emptied);
    }
    assert_eq!(store.health().unwrap().failures, 0);
    assert_eq!(short(ask(&mut store, append(ROOM, "and on", 11))), ["Publis"]);
}

/// Leaves of a table, and of an index or a table that is one.
const TABLE: u8 = 0x0d;
const INDEX: u8 = 0x0a;

/// Damages the pages of this kind on which this text is.
fn harm(store: &mut Sqlite, options: &Options, kind: u8, text: &str) {
    harm_later(store, options, kind, text, |_| ());
}

/// The same; `before`: what is done when the page has its place.
fn harm_later(store: &mut Sqlite, options: &Options, kind: u8, text: &str, before: impl FnOnce(&mut Sqlite)) {
    let connection = &store.tables().unwrap().connection;
    // So that a text is on one page only, and not in the unused part of another one too.
    connection.execute_batch("VACUUM").unwrap();
    assert!(store.tables().unwrap().checkpoint().unwrap());
    before(store);
    let mut file = fs::read(&options.path).unwrap();
    let is = |page: &&mut [u8]| page[0] == kind && page.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    let harmed = file.chunks_mut(4096).filter(is).map(|page| page[0] = 0xff).count();
    assert_eq!(harmed, 1, "{text}");
    // In place, so that it is the same file.
    fs::write(&options.path, &file).unwrap();
    store.tables().unwrap().connection.execute_batch("PRAGMA shrink_memory").unwrap();
}

/// A sweep takes what is too old of all conversations but the one with the damaged page.
#[test]
fn conversations_around_a_damaged_page_are_swept() {
    let folder = Folder::new();
    let options = Options { age: Duration::from_secs(10), ..folder.options() };
    let mut store = folder.open(options.clone());
    let bar = Conversation::Room("bar");
    ask(&mut store, append(bar, "old", 1));
    for n in 1..=6 {
        ask(&mut store, append(ROOM, &format!("needle {n} {}", "x".repeat(3000)), n));
    }
    harm(&mut store, &options, TABLE, "needle 2 ");
    let mut emptied = false;
    for n in 0..20 {
        store.expire(moment(20_000 + n));
        emptied |= hear(&mut store).iter().any(|news| news.contains("Emptied { room: \"bar\""));
    }
    let left: i64 = store
        .tables()
        .unwrap()
        .connection
        .query_row("SELECT count(*) FROM entry WHERE conversation = 1", [], |row| row.get(0))
        .unwrap();
    assert!(emptied && left == 0, "emptied {emptied}, left {left}");
}

/// A disk that is full while requests are done one by one counts as one that fails until something can be written.
#[test]
fn a_full_disk_beside_a_damaged_page() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 1..=6 {
        ask(&mut store, append(ROOM, &format!("needle {n} {}", "x".repeat(3000)), n));
    }
    harm(&mut store, &options, TABLE, "needle 2 ");
    store.tables().unwrap().allow_pages(1).unwrap();
    let long = "y".repeat(9000);
    store.ask(act("ann", edit(2, "new"), 6)).unwrap();
    store.ask(append(Conversation::Room("bar"), &long, 7)).unwrap();
    let heard = hear(&mut store);
    assert_eq!(heard.iter().filter(|news| news.contains("Failed")).count(), 2, "{heard:?}");
    store.tables().unwrap().allow_pages(100_000).unwrap();
    for n in 0..5 {
        let heard = ask(&mut store, append(Conversation::Room("bar"), &long, 8 + n));
        assert!(heard.iter().any(|news| news.contains("Published")), "{heard:?}");
        store.expire(moment(100 + n));
        hear(&mut store);
    }
    assert_eq!(store.health().unwrap().failing, None);
}

/// The catalogue is told around a damaged page.
#[test]
fn a_catalogue_on_a_damaged_page() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 0..400 {
        store.ask(Request::Know { user: &format!("person-number-{n:04}"), here: false }).unwrap();
    }
    ask(&mut store, append(ROOM, "one", 1));
    ask(&mut store, Request::Ban { ban: Ban { user: "eve", until: None, note: None }, ticket: Ticket(9) });
    harm(&mut store, &options, TABLE, "person-number-0200");
    store.tell_catalogue();
    let told = hear(&mut store);
    let has = |what: &str| told.iter().any(|news| news.contains(what));
    // Those before the page and behind it, and what comes after them.
    assert!(has("person-number-0000") && has("person-number-0399") && has("Banned"), "{} are told", told.len());
    assert!(!has("person-number-0200"));
    for n in 2..5 {
        let heard = ask(&mut store, append(ROOM, "on", n));
        assert!(heard.iter().any(|news| news.contains("Published")), "{heard:?}");
    }
    let health = store.health().unwrap();
    assert_eq!((health.failing, health.failures), (None, 0));
}

/// A store of a bounded size whose oldest entry cannot be read.
fn small_and_damaged(folder: &Folder) -> Sqlite {
    let options = Options { size: 400 << 10, ..folder.options() };
    let mut store = folder.open(options.clone());
    for n in 1..=6 {
        ask(&mut store, append(ROOM, &format!("needle {n} {}", "x".repeat(3000)), n));
    }
    harm(&mut store, &options, TABLE, "needle 1 ");
    store
}

/// Where the oldest entries cannot be read, the next ones make room.
#[test]
fn the_file_is_bounded_beside_a_damaged_page() {
    let folder = Folder::new();
    let mut store = small_and_damaged(&folder);
    for n in 0..400 {
        ask(&mut store, append(Conversation::Room("bar"), &"x".repeat(3000), 10 + n));
        hear(&mut store);
    }
    let (page, pages, free) = store.tables().unwrap().pages().unwrap();
    assert!((pages - free) * page <= 500 << 10, "{} KiB, {:?}", ((pages - free) * page) >> 10, store.health());
}

/// Also where somebody always speaks, so that it never has nothing to do.
#[test]
fn the_file_is_bounded_beside_a_damaged_page_and_under_load() {
    let folder = Folder::new();
    let mut store = small_and_damaged(&folder);
    store.expire(moment(6));
    hear(&mut store);
    for n in 0..400 {
        store.ask(append(Conversation::Room("bar"), &"x".repeat(3000), 10 + n)).unwrap();
        // What comes next is there before it is asked for more.
        while !matches!(store.poll().unwrap(), News::Published { .. }) {}
    }
    let (page, pages, free) = store.tables().unwrap().pages().unwrap();
    assert!((pages - free) * page <= 500 << 10, "{} KiB, {:?}", ((pages - free) * page) >> 10, store.health());
}

/// A store of which it cannot be read who is kept out is not started, however large it is: those would be let in.
#[test]
fn names_that_are_kept_out_are_not_let_in() {
    for value in ["CAST(x'ff' AS TEXT)", "'a ban'"] {
        let folder = Folder::new();
        let options = folder.options();
        let mut store = folder.open(options.clone());
        ask(&mut store, Request::Ban { ban: Ban { user: "eve", until: None, note: None }, ticket: Ticket(9) });
        let sql = format!("UPDATE ban SET note = {value}");
        store.tables().unwrap().connection.execute_batch(&sql).unwrap();
        drop(store);
        let sentence = "the names that are kept out cannot be read";
        let is_read = value == "'a ban'";
        let opened = Sqlite::open(options.clone(), 1).map(drop);
        let checked = read_through(&options.path).map(drop);
        for outcome in [opened, checked] {
            assert!(
                outcome.as_ref().map_or_else(|why| !is_read && why.contains(sentence), |()| is_read),
                "{outcome:?}"
            );
        }
    }
}

/// The same of what is set for rooms.
#[test]
fn rooms_whose_settings_cannot_be_read_are_not_opened() {
    let folder = Folder::new();
    let options = folder.options();
    let store = folder.open(options.clone());
    let sql = "INSERT INTO room_setting VALUES ('den', CAST(x'ff' AS TEXT))";
    store.tables().unwrap().connection.execute_batch(sql).unwrap();
    drop(store);
    let refused = Sqlite::open(options.clone(), 1).unwrap_err();
    assert!(refused.contains("what is set for rooms cannot be read"), "{refused}");
    assert_eq!(check(&options.path).unwrap_err(), refused);
    assert_eq!(read_through(&options.path).unwrap_err(), refused);
}

/// What is set for more rooms than a chat knows of is refused: one is added to no more than that, and a file that has
/// more is not started.
#[test]
fn rooms_with_settings_are_no_more_than_a_chat_knows() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    let set = |store: &mut Sqlite, room: &str, words| {
        ask(store, Request::Set { room, words, ticket: Ticket(1) }).concat().contains("Noted")
    };
    for n in 0..MAX_SET {
        let room = format!("room-{n}");
        store.ask(Request::Set { room: &room, words: Some("a"), ticket: Ticket(1) }).unwrap();
    }
    hear(&mut store);
    for (room, words, is_taken) in [
        ("z", Some("a"), false),
        ("room-7", Some("b"), true),
        ("none", None, true),
        ("room-7", None, true),
        ("z", Some("a"), true),
        ("room-7", Some("b"), false),
    ] {
        assert_eq!(set(&mut store, room, words), is_taken, "{room} {words:?}");
    }
    store.dies();
    drop(folder.open(options.clone()));
    let by_hand = |sql: &str| rusqlite::Connection::open(&options.path).unwrap().execute_batch(sql).unwrap();
    by_hand("INSERT INTO room_setting VALUES ('zz', 'a')");
    let refused = Sqlite::open(options.clone(), 1).unwrap_err();
    assert!(refused.contains("more than 1000 rooms"), "{refused}");
    assert_eq!(check(&options.path).unwrap_err(), refused);
    by_hand("DELETE FROM room_setting WHERE room = 'zz'");
    drop(folder.open(options));
}

/// As long as it cannot be read what is set for rooms, a chat that begins anew is told of no room.
#[test]
fn no_room_is_told_without_what_is_set_for_it() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    ask(&mut store, Request::Set { room: "den", words: Some("kept-to-the-operator"), ticket: Ticket(1) });
    store.tell_catalogue();
    assert!(hear(&mut store).concat().contains("Set"));
    let whole = |store: &mut Sqlite| {
        store.tables().unwrap().connection.execute_batch("VACUUM").unwrap();
        assert!(store.tables().unwrap().checkpoint().unwrap());
        fs::read(&options.path).unwrap()
    };
    let content = whole(&mut store);
    harm(&mut store, &options, INDEX, "kept-to-the-operator");
    store.tell_catalogue();
    for _ in 0..3 {
        assert_eq!(hear(&mut store), [""; 0]);
        assert_eq!(store.health().unwrap().failing.as_deref(), Some("the file is damaged"));
    }
    fs::write(&options.path, content).unwrap();
    let told = hear(&mut store).concat();
    assert!(told.contains("Set") && told.contains("Room {"), "{told}");
}

/// What was read at the start is told, though a page of it cannot be read any more; what has changed meanwhile is not.
#[test]
fn bans_on_a_page_that_goes_bad_are_told() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    let name = |n: usize| format!("kept-out-number-{n:04}");
    for n in 0..1500 {
        let ban = Ban { user: &name(n), until: None, note: None };
        store.ask(Request::Ban { ban, ticket: Ticket(9) }).unwrap();
    }
    hear(&mut store);
    harm_later(&mut store, &options, INDEX, &name(700), |store| {
        drop(std::mem::replace(
            store,
            folder.open(Options { path: folder.0.join("other/salon.db"), ..options.clone() }),
        ));
        *store = folder.open(options.clone());
    });
    assert!(store.tables().unwrap().bans_after("", usize::MAX).is_err());
    ask(&mut store, Request::Unban { user: &name(3), ticket: Ticket(9) });
    store.tell_catalogue();
    let told = hear(&mut store);
    let missing: Vec<usize> = (0..1500).filter(|&n| !told.iter().any(|news| news.contains(&name(n)))).collect();
    assert_eq!(missing, [3]);
    assert_eq!(store.bans.as_ref().map(VecDeque::len), None);
}

/// The index is made of what is said: where it is damaged, what is said can be deleted all the same.
#[test]
fn damage_of_the_index_keeps_nobody_from_deleting() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 0..20 {
        let words: String = (0..200).map(|word| format!("amber{n:02}x{word:03} ")).collect();
        store.ask(append(ROOM, &words, 1)).unwrap();
    }
    hear(&mut store);
    while store.lags() {
        hear(&mut store);
    }
    assert_eq!(store.indexed, 20);
    harm(&mut store, &options, INDEX, "amber05x100");
    let heard = ask(&mut store, act("ann", delete(6), 2));
    assert!(heard.iter().any(|news| news.contains("Published")), "{heard:?}");
    // Another part of the same: what comes later with a word of that page.
    for _ in 0..100 {
        store.ask(append(ROOM, "amber05x100", 3)).unwrap();
    }
    hear(&mut store);
    while store.lags() {
        hear(&mut store);
    }
    assert!(store.entry - store.indexed < 16, "{} of {}", store.indexed, store.entry);
}

/// What was committed beside a damaged page, each request alone or a part of the index that is passed over, is what is
/// gone on with when something else was written into the file and is gone again: no key is given out twice.
#[test]
fn a_file_that_is_put_back_beside_a_damaged_page() {
    for harms_index in [false, true] {
        let folder = Folder::new();
        let options = folder.options();
        let mut store = folder.open(options.clone());
        let says_more = |store: &mut Sqlite, from: u64| {
            for n in from..from + 20 {
                store.ask(append(ROOM, &format!("amber{n:02}x {}", "x".repeat(3000)), n)).unwrap();
            }
            hear(store);
            while store.lags() {
                hear(store);
            }
        };
        says_more(&mut store, 10);
        match harms_index {
            true => harm(&mut store, &options, INDEX, "amber12x"),
            false => harm(&mut store, &options, TABLE, "amber12x "),
        }
        store.ask(act("ann", edit(3, "new"), 40)).unwrap();
        store.ask(append(ROOM, "amber12x beside it", 41)).unwrap();
        let heard = hear(&mut store);
        assert!(heard[1].contains("Published") && heard[0].contains("Failed") != harms_index, "{heard:?}");
        if harms_index {
            says_more(&mut store, 12);
        }
        assert_eq!(store.committed, (store.nothing, store.entry, store.indexed), "{harms_index}");
        let content = fs::read(&options.path).unwrap();
        fs::write(&options.path, vec![0x5a; content.len()]).unwrap();
        assert_eq!(ask(&mut store, append(ROOM, "lost", 50)), ["Failed { ticket: Ticket(50) }"]);
        fs::write(&options.path, content).unwrap();
        // Which adds nothing, and notes the last key.
        let mark = Request::Mark { user: "bob", conversation: ROOM, seq: 1, ticket: Ticket(51) };
        assert!(ask(&mut store, mark)[0].contains("Marked"));
        let heard = ask(&mut store, append(ROOM, "on", 52));
        assert!(heard[0].contains("Published"), "{harms_index}: {heard:?}");
    }
}

/// A file in which an older key is noted as the last one than an entry has is gone on with behind that.
#[test]
fn a_last_key_that_is_older_than_the_last_entry() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    (1..4).for_each(|n| drop(ask(&mut store, append(ROOM, "x", n))));
    store.tables().unwrap().execute("UPDATE store SET last = 1", []).unwrap();
    store.dies();
    let mut store = folder.open(options);
    let heard = ask(&mut store, append(ROOM, "on", 4));
    assert!(heard[0].contains("Published") && heard[0].contains("seq: 4"), "{heard:?}");
}

/// An error of the disk while requests are done one by one ends that as it ends a batch: the connection is given up,
/// what was done before is told, and nothing behind it is done.
#[test]
fn an_error_beside_a_damaged_page() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 1..=6 {
        ask(&mut store, append(ROOM, &format!("needle {n} {}", "x".repeat(3000)), n));
    }
    harm(&mut store, &options, TABLE, "needle 2 ");
    let mut commits = 0;
    let fails = move || {
        commits += 1;
        commits == 2
    };
    store.tables.as_mut().unwrap().connection.commit_hook(Some(fails)).unwrap();
    store.ask(act("ann", edit(2, "new"), 6)).unwrap();
    for (content, ticket) in [("one", 7), ("two", 8), ("three", 9)] {
        store.ask(append(Conversation::Room("bar"), content, ticket)).unwrap();
    }
    let heard = hear(&mut store);
    let failed = |ticket| format!("{:?}", News::Failed { ticket: Ticket(ticket) });
    assert!(heard[1].contains("Published") && heard[1].contains("one"), "{heard:?}");
    assert_eq!([&heard[0], &heard[2], &heard[3]], [&failed(6), &failed(8), &failed(9)]);
    assert!(store.tables.is_none() && store.health().unwrap().failing.is_some());
    let heard = ask(&mut store, append(Conversation::Room("bar"), "four", 10));
    assert!(heard.iter().any(|news| news.contains("Published") && news.contains("seq: 2")), "{heard:?}");
    assert_eq!(store.health().unwrap().failing, None);
}

/// A sweep goes around a damaged page of the list of conversations, too.
#[test]
fn a_damaged_list_of_conversations() {
    let folder = Folder::new();
    let options = Options { age: Duration::from_secs(10), ..folder.options() };
    let mut store = folder.open(options.clone());
    for n in 0..1000 {
        store.ask(append(Conversation::Room(&format!("room-number-{n:04}")), "old", 1)).unwrap();
    }
    hear(&mut store);
    harm(&mut store, &options, TABLE, "room-number-0500");
    store.expire(moment(20_000));
    for _ in 0..3000 {
        hear(&mut store);
    }
    assert!(store.sweeps_on.is_none(), "it has come round");
    let count = "SELECT count(*) FROM entry";
    let left: i64 = store.tables().unwrap().connection.query_row(count, [], |row| row.get(0)).unwrap();
    // Those of the rooms on that page, and on the pages beside it, which cannot be written where they are full.
    assert!((1..400).contains(&left), "{left} of 1,000 are left");
}
