//! Looking for messages, in the index and in what is not in it yet.

use std::collections::HashMap;

use super::*;
use crate::backend::sqlite::index::{MARK_OF_LONG, MAX_WORDS};
use crate::backend::words::Wanted;

fn pair<'a>(one: &'a str, other: &'a str) -> Conversation<'a> {
    Conversation::Direct(one, other)
}

/// All pages of a search: where each message was said, its number, and its text.
fn find(store: &mut Sqlite, search: Search<'_>) -> Vec<(String, u64, String)> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let search = Search { cursor: cursor.as_deref(), ..search };
        store.ask(Request::Search { search, ticket: Ticket(1) }).unwrap();
        match store.poll() {
            Some(News::Found { items, next, .. }) => {
                assert!(items.len() <= search.limit);
                found.extend(
                    items.iter().map(|hit| (format!("{:?}", hit.conversation), hit.seq, hit.content.to_owned())),
                );
                assert!(next.is_none() || next != cursor, "a page leads on");
                cursor = next;
            }
            other => panic!("{other:?}"),
        }
        if cursor.is_none() {
            return found;
        }
    }
}

/// Hears all, and notes where each message stands among all.
fn note(store: &mut Sqlite, (order, turn): &mut (HashMap<(String, u64), usize>, usize)) {
    while let Some(news) = store.poll() {
        if let News::Published { entry: Entry { seq, body: Body::Message(_), .. }, conversation, .. } = news {
            *turn += 1;
            order.insert((format!("{conversation:?}"), seq), *turn);
        }
    }
}

/// Gives it time until it has nothing more to do.
fn rest(store: &mut Sqlite) {
    while store.lags() {
        hear(store);
    }
}

fn everywhere<'a>(text: &'a str, rooms: Names<'a>, user: &'a str) -> Search<'a> {
    let scope = Scope::All { rooms, user };
    Search { scope, text, sender: None, before: None, cursor: None, limit: 10 }
}

/// Whatever is said, edited, deleted, pushed out or erased, and however far the index is: what is found is what a
/// reader of all would find.
#[test]
fn what_is_found_is_what_is_there() {
    let vocabulary = ["red", "blue", "Grün", "東京", "タワー", "red blue", "one two three", "ไทย", "x9"];
    let places = [ROOM, Conversation::Room("bar"), pair("ann", "bob"), pair("ann", "cat"), pair("cat", "cat")];
    for seed in 0..3 {
        let mut random = Random::from(seed);
        let folder = Folder::new();
        let options = Options { messages: if seed % 2 == 0 { 60 } else { usize::MAX }, ..folder.options() };
        let mut store = folder.open(options.clone());
        // Where each message stands among all.
        let mut order = Default::default();
        for step in 1..600u64 {
            let place = places[random.below(5) as usize];
            let sender = ["ann", "bob", "cat"][random.below(3) as usize];
            let words = (0..random.below(6)).map(|_| vocabulary[random.below(9) as usize]);
            let content = words.collect::<Vec<_>>().join([" ", ", ", ""][random.below(3) as usize]);
            let of = 1 + random.below(1 + step / 4);
            let body = match random.below(10) {
                0 => edit(of, &content),
                1 => NewBody::Delete { of, right: Right::Moderator },
                2 => react(of, "+", true),
                _ => NewBody::Message { content: &content, reply_to: None, calls_room: false },
            };
            let entry = NewEntry { sender, body, at: moment(step) };
            let (conversation, retry, about, ticket) = (place, None, None, Ticket(1));
            store.ask(Request::Append { conversation, entry, retry, about, ticket }).unwrap();
            // At the end of a batch, nothing is done but that; then there is time for the index.
            for _ in 0..random.below(4) {
                note(&mut store, &mut order);
            }
            match random.below(200) {
                0 => {
                    note(&mut store, &mut order);
                    let random = store.dies();
                    store = Sqlite::open(options.clone(), random).unwrap();
                }
                1 => {
                    note(&mut store, &mut order);
                    ask(&mut store, Request::Erase { room: "bar" });
                }
                2..8 => {
                    note(&mut store, &mut order);
                    store.expire(moment(step));
                    hear(&mut store);
                    for _ in 0..random.below(20) {
                        hear(&mut store);
                    }
                }
                _ => {}
            }
            if step % 10 > 0 {
                continue;
            }
            note(&mut store, &mut order);
            let mut all = Vec::new();
            for place in places {
                let (query, now) = (Query::Newest(ALL), moment(step));
                store
                    .ask(Request::Read { conversation: place, query, reader: None, now, about: None, ticket })
                    .unwrap();
                let Some(News::Page { entries, .. }) = store.poll() else { panic!("no page") };
                for entry in entries {
                    if let Some(content) = entry.said() {
                        let key = (format!("{place:?}"), entry.seq);
                        let turn = order.0[&key];
                        all.push((turn, place, key, entry.ts, entry.sender.to_owned(), content.to_owned()));
                    }
                }
            }
            all.sort_unstable_by_key(|line| std::cmp::Reverse(line.0));
            let mut names = String::new();
            let rooms = Names::join(["den", "bar"].into_iter().filter(|_| random.below(3) > 0), &mut names);
            let text = match random.below(4) {
                0 => vocabulary[random.below(9) as usize].to_owned(),
                1 => format!("\"{}\"", ["red blue", "blue red", "two three", "three one"][random.below(4) as usize]),
                _ => [0, 0].map(|_| vocabulary[random.below(9) as usize]).join(" "),
            };
            let one = places[random.below(5) as usize];
            let user = ["ann", "bob", "cat"][random.below(3) as usize];
            let scope = if random.below(2) == 0 { Scope::One(one) } else { Scope::All { rooms, user } };
            let sender = Some("bob").filter(|_| random.below(4) == 0);
            let before = Some(random.below(step + 2)).filter(|_| random.below(4) == 0);
            let limit = 1 + random.below(20) as usize;
            let search = Search { scope, text: &text, sender, before, cursor: None, limit };
            let wanted = Wanted::parse(&text);
            let is = |(_, place, _, ts, from, content): &&(usize, Conversation<'_>, _, u64, String, String)| {
                let here = match (scope, *place) {
                    (Scope::One(one), place) => one == place,
                    (Scope::All { .. }, Conversation::Direct(one, other)) => one == user || other == user,
                    (Scope::All { rooms, .. }, Conversation::Room(room)) => rooms.iter().any(|name| name == room),
                };
                let by = sender.is_none_or(|sender| sender == from);
                here && by && before.is_none_or(|before| *ts < before) && wanted.look(content).0
            };
            let expected =
                all.iter().filter(is).map(|(_, _, (place, seq), _, _, content)| (place.clone(), *seq, content.clone()));
            assert_eq!(find(&mut store, search), expected.collect::<Vec<_>>(), "seed {seed} step {step} {search:?}");
        }
        assert!(store.indexed > 100, "the index was asked");
    }
}

/// Words of what was edited away, deleted or pushed out leave the index, and with it the file.
#[test]
fn words_that_are_gone_are_gone_from_the_index() {
    let folder = Folder::new();
    let options = Options { messages: 50, ..folder.options() };
    let mut store = folder.open(options.clone());
    for n in 0..40 {
        store.ask(append(ROOM, &format!("Needle{n}!"), 1)).unwrap();
    }
    let words = |store: &Sqlite| -> Vec<String> {
        let tables = store.tables().unwrap();
        let mut statement = tables.connection.prepare("SELECT word FROM word WHERE word LIKE 'needle%'").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(|word| word.unwrap()).collect()
    };
    rest(&mut store);
    assert_eq!((store.indexed, words(&store).len()), (40, 40));
    ask(&mut store, act("ann", edit(1, "needlenew Needle1"), 2));
    ask(&mut store, act("ann", delete(2), 2));
    let left = words(&store);
    assert!(left.contains(&"needlenew".to_owned()) && !left.contains(&"needle0".to_owned()), "{left:?}");
    // The other one is in another message still.
    assert!(left.contains(&"needle1".to_owned()) && left.len() == 40, "{left:?}");
    let rooms = |store: &mut Sqlite, text| find(store, everywhere(text, Names::from_text("den\0"), "ann")).len();
    assert_eq!([rooms(&mut store, "needle0"), rooms(&mut store, "NEEDLENEW"), rooms(&mut store, "needle1")], [0, 1, 1]);
    for n in 0..60 {
        ask(&mut store, append(ROOM, &format!("other{n}"), 1));
    }
    store.expire(moment(3));
    hear(&mut store);
    rest(&mut store);
    assert_eq!(words(&store), [""; 0]);
    let dead: i64 =
        store.tables().unwrap().connection.query_row("SELECT sum(dead) FROM part", [], |row| row.get(0)).unwrap();
    assert_eq!(dead, 0);
    assert_eq!(rooms(&mut store, "other59"), 1);
    drop(store);
    let bytes = fs::read(&options.path).unwrap();
    assert!(!bytes.windows(6).any(|window| window.eq_ignore_ascii_case(b"needle")));
}

/// The lists of a word, as the file has them.
fn places(store: &Sqlite, word: &str) -> usize {
    store.tables().unwrap().list(0, word).unwrap().map_or(0, |list| list.len() / 2)
}

/// Messages are taken in piece by piece, and what is asked meanwhile is answered between two pieces. What was written
/// by a gathering that came to no end counts for nobody: not for a search, and not for the one after it; and a text
/// that is deleted leaves it.
#[test]
fn a_gathering_that_came_to_no_end() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 0..20 {
        store.ask(append(ROOM, &format!("amber{n} berry{n} cherry{n} red"), 1)).unwrap();
    }
    let find = |store: &mut Sqlite, text| find(store, everywhere(text, Names::from_text("den\0"), "ann")).len();
    let mut between = 0;
    while places(&store, "berry9") == 0 {
        // The first time that nobody waits, it asks for another, at which it does a piece.
        hear(&mut store);
        hear(&mut store);
        between += 1;
        assert_eq!([find(&mut store, "red"), find(&mut store, "amber3")], [20, 1]);
        assert_eq!(store.indexed, 0);
    }
    assert!(between > 10, "{between} pieces");
    assert_eq!((places(&store, "amber3"), places(&store, "red")), (1, 0));
    let random = store.dies();
    let mut store = Sqlite::open(options, random).unwrap();
    assert_eq!((store.indexed, places(&store, "amber3")), (0, 1));
    store.ask(act("ann", delete(4), 2)).unwrap();
    store.ask(act("ann", edit(5, "amber3 dates"), 2)).unwrap();
    assert!(store.gathered.is_none());
    hear(&mut store);
    assert_eq!((places(&store, "amber3"), places(&store, "amber4"), places(&store, "amber5")), (0, 0, 1));
    rest(&mut store);
    assert_eq!(store.indexed, 22);
    assert_eq!((places(&store, "amber3"), places(&store, "amber5"), places(&store, "red")), (1, 1, 18));
    assert_eq!(["red", "amber3", "amber4", "dates"].map(|text| find(&mut store, text)), [18, 1, 0, 1]);
}

/// An edit of a message that is being taken in changes its own words alone: those that are written, in the file, and
/// the others in what is to be written.
#[test]
fn an_edit_amid_a_gathering() {
    for word in ["amber0", "berry9", "cherry15", "red"] {
        let folder = Folder::new();
        let mut store = folder.open(folder.options());
        for n in 0..20 {
            store.ask(append(ROOM, &format!("amber{n} berry{n} cherry{n} red"), 1)).unwrap();
        }
        store.poll();
        while places(&store, word) == 0 && store.indexed == 0 {
            hear(&mut store);
        }
        let before = store.indexed;
        store.ask(act("ann", edit(10, "dates amber0 zest"), 2)).unwrap();
        store.ask(act("ann", delete(12), 2)).unwrap();
        // The words of four texts, and marks of one message.
        assert!(store.work < 30 && store.indexed == before, "{word}: {}", store.work);
        rest(&mut store);
        assert_eq!(store.indexed, 20, "{word}");
        for (word, count) in
            [("berry9", 0), ("cherry9", 0), ("amber9", 0), ("dates", 1), ("zest", 1), ("amber0", 2), ("red", 18)]
        {
            assert_eq!(places(&store, word), count, "{word}");
        }
        assert_eq!((places(&store, "berry11"), places(&store, "amber11")), (0, 0), "{word}");
    }
}

/// Where the index is damaged and cannot be written to either, what waits for it stays where it is: it is taken in when
/// the disk works again.
#[test]
fn what_waits_for_an_index_that_cannot_be_written() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    for n in 0..40 {
        store.ask(append(ROOM, &format!("amber{n}"), 1)).unwrap();
    }
    store.poll();
    let connection = &store.tables().unwrap().connection;
    connection.pragma_update(None, "query_only", "ON").unwrap();
    store.skip_indexing();
    assert_eq!((store.indexed, store.ailing), (0, true));
    // One that can be written to passes over as many as belong together.
    if let Some(tables) = &store.tables {
        tables.connection.pragma_update(None, "query_only", "OFF").unwrap();
    }
    ask(&mut store, append(ROOM, "amber40", 1));
    store.skip_indexing();
    assert_eq!((store.indexed, store.ailing), (16, false));
    rest(&mut store);
    assert_eq!((places(&store, "amber3"), places(&store, "amber20")), (0, 1));
}

#[test]
fn what_cannot_be_found() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    ask(&mut store, append(ROOM, "red", 1));
    let rooms = Names::from_text("den\0nowhere\0");
    for text in ["", "?!", "\"\""] {
        assert_eq!(find(&mut store, everywhere(text, rooms, "ann")), []);
    }
    assert_eq!(find(&mut store, everywhere("red", rooms, "ann")).len(), 1);
    assert_eq!(find(&mut store, everywhere("red", Names::default(), "ann")), []);
    let one = |conversation| Search { scope: Scope::One(conversation), ..everywhere("red", rooms, "ann") };
    assert_eq!(find(&mut store, one(Conversation::Room("nowhere"))), []);
    assert_eq!(find(&mut store, one(PAIR)), []);
    for cursor in ["", "1", "0000000000000000", "00000000000000ff", "ffffffffffffffff"] {
        let search = Search { cursor: Some(cursor), ..one(ROOM) };
        let heard = ask(&mut store, Request::Search { search, ticket: Ticket(7) });
        assert_eq!(heard, ["Refused { ticket: Ticket(7), why: BadCursor }"]);
    }
}

/// A question costs a bounded number of looks, and the pages behind it have the rest.
#[test]
fn a_page_of_what_is_found_is_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: usize::MAX, ..folder.options() });
    for n in 0..5000 {
        let content = if n % 2500 == 7 { "red blue" } else { "blue red" };
        store.ask(append(ROOM, content, 1)).unwrap();
        if n % 100 == 0 {
            hear(&mut store);
        }
    }
    rest(&mut store);
    assert!(store.entry - store.indexed < 16);
    let search = everywhere("\"red blue\"", Names::from_text("den\0"), "ann");
    let mut pages = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let search = Search { cursor: cursor.as_deref(), ..search };
        store.ask(Request::Search { search, ticket: Ticket(1) }).unwrap();
        let Some(News::Found { items, next, .. }) = store.poll() else { panic!("no page") };
        pages.push(items.len());
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, [0, 0, 1, 0, 1]);
    let long = "red ".repeat(100_000);
    for _ in 0..5 {
        ask(&mut store, append(ROOM, &long, 1));
    }
    let search = everywhere("red", Names::from_text("den\0"), "ann");
    store.ask(Request::Search { search, ticket: Ticket(1) }).unwrap();
    let Some(News::Found { items, next, .. }) = store.poll() else { panic!("no page") };
    assert_eq!((items.len(), next.is_some()), (3, true));
}

/// Of a large store with many parts a page asks for so many lists of the index, and the pages behind it for the rest;
/// whoever is in more rooms than that has entries read instead.
#[test]
fn lists_that_are_asked_for_are_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    for _ in 0..16 {
        ask(&mut store, append(ROOM, "red", 1));
    }
    rest(&mut store);
    assert_eq!(store.indexed, 16);
    // Words of entries that are gone, in a hundred parts.
    let gone: Vec<u8> = (0..40_u16).flat_map(u16::to_be_bytes).collect();
    for part in 1..=100 {
        let connection = &store.tables().unwrap().connection;
        connection.execute("INSERT INTO part (part) VALUES (?1)", [part]).unwrap();
        connection.execute("INSERT INTO word VALUES (?1, 'red', ?2)", rusqlite::params![part, gone]).unwrap();
    }
    store.entry = 101 << 14;
    store.indexed = store.entry;
    let pages = |store: &mut Sqlite, rooms: usize| {
        let names: Vec<String> = (0..rooms).map(|n| format!("room{n}")).collect();
        for name in &names {
            ask(store, read(Conversation::Room(name), 1));
        }
        let mut text = String::new();
        let rooms = Names::join(names.iter().map(String::as_str).chain(["den"]), &mut text);
        let (mut pages, mut hits, mut cursor) = (0, 0, None::<String>);
        loop {
            let search = Search { cursor: cursor.as_deref(), limit: 100, ..everywhere("red", rooms, "ann") };
            store.ask(Request::Search { search, ticket: Ticket(1) }).unwrap();
            match store.poll() {
                Some(News::Found { items, next, .. }) => (hits, cursor) = (hits + items.len(), next),
                other => panic!("{other:?}"),
            }
            pages += 1;
            if cursor.is_none() {
                break (pages, hits);
            }
        }
    };
    // Four lists a part: of the word, of long texts, of the user and of the room, sixteen a page.
    assert_eq!(pages(&mut store, 0), (26, 16));
    // Seventeen lists are too many: a part has two lists, and forty entries that are read.
    assert_eq!(pages(&mut store, 15), (13, 16));
}

/// A text with as many different words as may be is in the index by these, one with more by a mark; so that whatever
/// becomes of it, a bounded number of lists is changed. It is found all the same, and what was edited away is not.
#[test]
fn long_texts() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    let text = |from: usize, words: usize| (from..from + words).map(|n| format!("w{n} ")).collect::<String>();
    let (fits, long, other) = (text(0, MAX_WORDS), text(0, MAX_WORDS + 1), text(1000, 8000));
    for n in 0..16 {
        ask(&mut store, append(ROOM, if n == 0 { &fits } else { &long }, 1));
    }
    rest(&mut store);
    assert_eq!(store.indexed, 16);
    let list =
        |store: &Sqlite, word: &str| store.tables().unwrap().list(0, word).unwrap().map_or(0, |list| list.len() / 2);
    let hits = |store: &mut Sqlite, text| find(store, everywhere(text, Names::from_text("den\0"), "ann")).len();
    assert_eq!((list(&store, "w0"), list(&store, MARK_OF_LONG)), (1, 15));
    assert_eq!([hits(&mut store, "w0"), hits(&mut store, "w256"), hits(&mut store, "w257")], [16, 15, 0]);
    for (body, most) in [
        (edit(1, &other), MAX_WORDS + 1),
        (edit(2, &other), 0),
        (edit(3, &fits), MAX_WORDS + 1),
        (delete(3), MAX_WORDS + 3),
        (delete(4), 4),
        (edit(1, "short"), 2),
    ] {
        store.ask(act("ann", body, 2)).unwrap();
        assert!(store.work <= most, "{} of {most}", store.work);
        hear(&mut store);
    }
    assert_eq!((list(&store, "w0"), list(&store, MARK_OF_LONG), list(&store, "short")), (0, 13, 1));
    let searches = ["w0", "w8999", "w1000 w1001", "short", "\"w1001 w1000\""];
    assert_eq!(searches.map(|text| hits(&mut store, text)), [12, 1, 1, 1, 0]);
}

/// Edits of texts with many words end the batch before long.
#[test]
fn edits_of_a_batch_are_bounded_in_words() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    let texts = [0, 1].map(|turn| (0..MAX_WORDS).map(|n| format!("w{turn}x{n} ")).collect::<String>());
    for _ in 0..16 {
        ask(&mut store, append(ROOM, &texts[0], 1));
    }
    rest(&mut store);
    let most = MAX_BATCH_WORK.div_ceil(2 * MAX_WORDS);
    for turn in 0..most {
        assert!(store.ask(act("ann", edit(1, &texts[(turn + 1) % 2]), 2)).is_ok(), "{turn} of {most}");
    }
    assert!(store.ask(act("ann", edit(1, "more"), 2)).is_err());
    hear(&mut store);
    assert!(store.ask(act("ann", edit(1, "more"), 2)).is_ok());
}

/// An index of words as they were folded before is made anew, a piece at a time, across a restart and from one part to
/// the next: of the part that it is at, and of those behind it, all is found by what a text is now. What is deleted
/// meanwhile leaves no word in the file, however it was folded.
#[test]
fn an_index_of_another_folding() {
    let folder = Folder::new();
    let options = Options { messages: 1000, ..folder.options() };
    let mut store = folder.open(options.clone());
    assert!(!store.refolds, "a new one is of this folding");
    let first = schema::PART_LEN - 20;
    store.entry = first - 1;
    for n in 0..40 {
        ask(&mut store, append(ROOM, &format!("Ärger {n}"), n));
        ask(&mut store, append(ROOM, &format!("plain {n}"), n));
        if n == 19 {
            ask(&mut store, append(ROOM, "Übrig", n));
        }
    }
    rest(&mut store);
    assert!(store.indexed > first + 60);
    // As it would be had another form been the one of that word.
    let tables = store.tables().unwrap();
    let lists = tables.execute("UPDATE word SET word = 'ärger' WHERE word = 'arger'", []).unwrap();
    assert_eq!(lists, 2);
    assert_eq!(tables.execute("UPDATE word SET word = 'übrig' WHERE word = 'ubrig'", []).unwrap(), 1);
    tables.execute("DELETE FROM word WHERE part < 0", []).unwrap();
    drop(store);
    let found = |store: &mut Sqlite, text| find(store, everywhere(text, Names::from_text("den\0"), "bob")).len();
    let mut store = folder.open(options.clone());
    assert!(store.refolds);
    // The other part has a few that are not in the index yet.
    let before = found(&mut store, "ärger");
    assert!((10..30).contains(&before), "{before}");
    // It is killed amid it, and goes on where it was.
    let left = |store: &Sqlite| {
        let sql = "SELECT entries FROM word WHERE part = -1 AND length(entries) > 0";
        let note: Option<Vec<u8>> = store.tables().unwrap().connection.query_row(sql, [], |row| row.get(0)).ok();
        note.map(|note| i64::from_be_bytes(note[..8].try_into().unwrap()))
    };
    while left(&store).is_none_or(|from| from < first + 10) {
        // What is asked puts off what is done when nobody asks.
        (0..2).for_each(|_| drop(hear(&mut store)));
        assert_eq!(found(&mut store, "ärger"), before);
    }
    // Which would be looked for in the lists by its form of now alone.
    ask(&mut store, act("ann", delete(41), 99));
    let from = left(&store);
    let random = store.dies();
    let mut store = Sqlite::open(options.clone(), random).unwrap();
    assert!(store.refolds && left(&store) == from);
    // Where somebody speaks all the time it comes to an end, too.
    let mut turns = 0;
    while store.refolds {
        ask(&mut store, append(ROOM, "Ärger", 100));
        turns += 1;
        assert!(turns < 100);
    }
    assert_eq!(found(&mut store, "ärger"), 40 + turns);
    assert_eq!(found(&mut store, "plain"), 40);
    let sql = "SELECT count(*) FROM word WHERE word IN ('ärger', 'übrig', 'ubrig')";
    let lists = |store: &Sqlite| store.tables().unwrap().connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(lists(&store), Ok(0));
    drop(store);
    let content = fs::read(&options.path).unwrap();
    assert!(!content.windows(6).any(|bytes| bytes == "übrig".as_bytes()));
    assert!(!folder.open(options).refolds);
}

/// A note of how far that is which no Salon has made keeps nothing from being found, and from coming to an end.
#[test]
fn a_note_of_another_folding_that_means_nothing() {
    let notes = [[i64::MIN, i64::MAX, 0], [i64::MAX - 1, i64::MAX, -1], [i64::MAX; 3], [-9, 9, i64::MIN]];
    for note in notes {
        let folder = Folder::new();
        let options = folder.options();
        let mut store = folder.open(options.clone());
        for n in 0..40 {
            ask(&mut store, append(ROOM, "Ärger", n));
        }
        rest(&mut store);
        let bytes = note.map(i64::to_be_bytes).concat();
        let sql = "UPDATE word SET entries = ?1 WHERE part = -1";
        assert_eq!(store.tables().unwrap().execute(sql, [bytes]).unwrap(), 1);
        store.dies();
        let mut store = folder.open(options);
        assert!(store.refolds);
        for is_done in [false, true] {
            let hits = find(&mut store, everywhere("ärger", Names::from_text("den\0"), "bob")).len();
            assert_eq!(hits, 40, "{note:?} {is_done}");
            rest(&mut store);
        }
        assert!(!store.refolds);
    }
}
