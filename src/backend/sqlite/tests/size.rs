//! A file that is as large as it may be: what goes, and that it grows no further.

use super::*;

/// Bytes of the file, as the open transaction or the last one has it, with what lies in its log.
fn bytes(store: &Sqlite) -> u64 {
    let (page, pages, _) = store.tables().unwrap().pages().unwrap();
    page * pages
}

fn count(store: &Sqlite, of: &str) -> usize {
    let sql = format!("SELECT count(*) FROM {of}");
    let count = store.tables().unwrap().connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
    count.unwrap().try_into().unwrap()
}

/// Words that nobody has said before.
fn new_words(n: usize, words: usize) -> String {
    (0..words).map(|word| format!("w{n}x{word} ")).collect()
}

/// Where all that is said has new words, the words of what has gone take no room from messages: whether or not
/// somebody waits all the time, the file keeps about as many as when it was first full, and grows no further.
#[test]
fn words_of_what_has_gone_make_room_for_messages() {
    for (is_busy, size) in [(true, 1 << 20), (false, 1 << 20), (true, 8 << 20)] {
        let folder = Folder::new();
        let mut store = folder.open(Options { messages: usize::MAX, size, ..folder.options() });
        let (mut n, mut most, mut least) = (0, 0, usize::MAX);
        let turns = if size > 1 << 20 { 300 } else { 120 };
        for _ in 0..turns {
            for _ in 0..200 {
                n += 1;
                store.ask(append(Conversation::Room(["den", "bar", "hut"][n % 3]), &new_words(n, 6), 1)).unwrap();
            }
            hear(&mut store);
            if !is_busy {
                // The first time that nobody waits, it asks for another, at which it does a piece.
                hear(&mut store);
                hear(&mut store);
            }
            assert!(bytes(&store) <= size, "{} at {n}", bytes(&store));
            let kept = count(&store, "entry");
            match store.health.dropped {
                0 => most = kept,
                _ => least = least.min(kept),
            }
        }
        let words = count(&store, "word");
        println!("busy {is_busy}, {size}: {most} before any went, {least} since then; {words} words");
        assert!(least > most / 3, "busy {is_busy}, {size}: {most} before any went, {least} since then");
        let newest = format!("w{n}x5");
        for (text, found) in [(newest.as_str(), 1), ("w1x1", 0)] {
            let rooms = Names::from_text("den\0bar\0hut\0");
            let search = Search {
                scope: Scope::All { rooms, user: "ann" },
                text,
                sender: None,
                before: None,
                cursor: None,
                limit: 10,
            };
            store.ask(Request::Search { search, ticket: Ticket(1) }).unwrap();
            let Some(News::Found { items, .. }) = store.poll() else { panic!("no page") };
            assert_eq!(items.len(), found, "{text}");
        }
    }
}

/// Room is made also amid the largest batch there is, of many small messages and of a few long ones.
#[test]
fn the_largest_batch_does_not_outgrow_the_file() {
    for len in [1, 230, 16 << 10] {
        let folder = Folder::new();
        let size = 4 << 20;
        let mut store = folder.open(Options { messages: usize::MAX, size, ..folder.options() });
        let text = "x".repeat(len);
        let mut largest = 0;
        for _ in 0..20 {
            let mut asked = 0;
            while store.ask(append(ROOM, &text, asked)).is_ok() {
                asked += 1;
                largest = largest.max(bytes(&store));
            }
            let published = hear(&mut store).iter().filter(|news| news.starts_with("Published")).count();
            assert_eq!(published as u64, asked);
            largest = largest.max(bytes(&store));
        }
        assert!(store.health.dropped > 0 || len == 1, "{len}");
        assert!(largest <= size, "{len}: {largest}");
        assert!(page(&mut store, ROOM).0.kept as usize * (len + 40) > size as usize / 3);
    }
}

/// A file that has nothing but words of what has gone, as an earlier Salon has left one, gets rid of them before
/// anything that is said goes.
#[test]
fn a_file_full_of_words_of_what_has_gone() {
    let folder = Folder::new();
    let size = 1 << 20;
    let mut store = folder.open(Options { messages: usize::MAX, size, ..folder.options() });
    let connection = &store.tables().unwrap().connection;
    connection.execute_batch("BEGIN; INSERT INTO part (part, dead) VALUES (0, 12000)").unwrap();
    let mut n = 0;
    while bytes(&store) < size * 15 / 16 {
        let sql = "INSERT INTO word VALUES (0, ?1, x'0001')";
        connection.prepare_cached(sql).unwrap().execute([format!("word{n:08}")]).unwrap();
        n += 1;
    }
    connection.execute_batch("UPDATE store SET last = 12000, indexed = 12000; COMMIT").unwrap();
    (store.entry, store.indexed) = (12_000, 12_000);
    for n in 0..200 {
        ask(&mut store, append(ROOM, &new_words(n, 6), 1));
        assert!(bytes(&store) <= size);
    }
    while store.lacks_room || store.lags() {
        hear(&mut store);
    }
    assert_eq!((count(&store, "entry"), count(&store, "word WHERE word LIKE 'word%'")), (200, 0));
}

/// Where the last entries of a part go while it is looked through for those that had gone before, their words go too.
#[test]
fn a_part_that_ends_while_it_is_looked_through() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: usize::MAX, ..folder.options() });
    (store.entry, store.indexed) = ((1 << 14) - 100, (1 << 14) - 100);
    for n in 0..120 {
        let room = ["den", "bar", "hut"][n / 50];
        ask(&mut store, append(Conversation::Room(room), &new_words(n, 40), 1));
    }
    for room in ["den", "bar"] {
        while store.lags() && (room == "den" || store.purge.is_none()) {
            hear(&mut store);
        }
        ask(&mut store, Request::Erase { room });
        store.expire(moment(1));
        hear(&mut store);
    }
    assert!(store.purge.is_some(), "it is being looked through");
    while store.lags() {
        hear(&mut store);
    }
    store.expire(moment(1));
    while store.lags() {
        hear(&mut store);
    }
    assert_eq!((count(&store, "part WHERE part = 0"), count(&store, "word WHERE part = 0")), (0, 0));
    assert!(count(&store, "word WHERE part = 1") > 60);
}
