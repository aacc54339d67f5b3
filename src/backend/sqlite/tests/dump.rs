//! What is exported and imported is there as it was.

use super::super::dump::{About, Body as Written, Export, Head as Line, Import, Name, Record};
use super::*;
use crate::backend::MAX_BANS;

/// All records of a store, and of one room.
fn exported(path: &Path, room: Option<&str>) -> Vec<Record> {
    let mut export = Export::open(path, room).unwrap();
    let mut records = Vec::new();
    loop {
        match export.next_piece().unwrap() {
            piece if piece.is_empty() => return records,
            piece => records.extend(piece),
        }
    }
}

fn import(path: &Path, records: &[Record]) -> u64 {
    let mut import = Import::open(path, 20_000).unwrap();
    records.iter().for_each(|record| import.take(record.clone()).unwrap());
    import.finish().unwrap()
}

/// All that is kept of the room as a client is told of it.
fn told(store: &mut Sqlite) -> Vec<String> {
    query(store, Query::Following(0, ALL), "bob")
}

#[test]
fn any_store_is_imported_as_it_was_exported() {
    for seed in 0..20 {
        let (one, other) = (Folder::new(), Folder::new());
        let mut random = Random::from(seed);
        let mut store = one.open(Options { messages: 40, ..one.options() });
        for at in 1..200 {
            let of = 1 + random.below(at);
            let (who, emoji) = (["ann", "bob", "eve"][random.below(3) as usize], ["+", "-"][random.below(2) as usize]);
            let text = format!("text {at}");
            let body = match random.below(6) {
                0 => edit(of, &text),
                1 => delete(of),
                2 | 3 => react(of, emoji, random.below(3) > 0),
                _ => NewBody::Message { content: &text, reply_to: Some(of).filter(|_| random.below(4) == 0) },
            };
            store.ask(act(who, body, at)).unwrap();
            if random.below(5) == 0 {
                store.ask(append([PAIR, Conversation::Room("bar")][random.below(2) as usize], &text, at)).unwrap();
            }
            hear(&mut store);
        }
        let about = Description { room: "hut", title: Some("Hut"), topic: None, created_at: 5, created: true };
        let read = Request::Read {
            conversation: Conversation::Room("hut"),
            query: Query::Head,
            reader: None,
            now: moment(1),
            about: Some(about),
            ticket: Ticket(1),
        };
        store.ask(read).unwrap();
        hear(&mut store);
        store
            .tables()
            .unwrap()
            .connection
            .execute_batch(
                "INSERT INTO mark SELECT 'bob', id, seq FROM conversation WHERE name = 'den';
             INSERT INTO ban VALUES ('eve', NULL, 'spam'), ('mal', 77, NULL)",
            )
            .unwrap();
        // Also while it is used.
        let records = exported(&one.options().path, None);
        let kinds = |kind: fn(&Record) -> bool| records.iter().filter(|record| kind(record)).count();
        assert_eq!(kinds(|record| matches!(record, Record::Conversation { .. })), 4, "seed {seed}");
        assert_eq!(kinds(|record| matches!(record, Record::Read { .. } | Record::Ban { .. })), 3);
        assert!(kinds(|record| matches!(record, Record::Entry { .. })) >= 40);

        let path = other.options().path;
        assert_eq!(import(&path, &records), 0);
        let again = exported(&path, None);
        assert_eq!(again.len(), records.len(), "seed {seed}");
        again.iter().zip(&records).for_each(|(again, record)| assert_eq!(again, record, "seed {seed}"));
        let den = exported(&path, Some("den"));
        assert_eq!(den.len(), 41, "seed {seed}");
        assert!(den.iter().all(|record| records.contains(record)));

        let mut again = other.open(other.options());
        assert_eq!(told(&mut again), told(&mut store), "seed {seed}");
        // The one it comes from goes on, so this one goes on in other epochs.
        let (epochs, news) = (page(&mut store, ROOM).0, page(&mut again, ROOM).0);
        assert_eq!((news.seq, news.kept), (epochs.seq, epochs.kept));
        assert_ne!(news.epoch, epochs.epoch);
    }
}

fn room(seq: u64, oldest: u64) -> Record {
    let head = Line { epoch: Epoch(1), seq, oldest, message: seq, said: 0 };
    Record::Conversation { name: Name::Room("den".into()), head, about: About::default() }
}

fn entry(seq: u64) -> Record {
    let body = Written::Message { content: Some("x".into()), reply_to: None, edited: None, reactions: Vec::new() };
    Record::Entry { name: Name::Room("den".into()), seq, ts: 1, sender: "ann".into(), body }
}

/// What is not as an export has it is refused, and nothing of it is kept.
#[test]
fn all_is_imported_or_nothing() {
    let folder = Folder::new();
    let path = folder.options().path;
    for (records, sentence) in [
        (vec![room(3, 1), room(3, 1)], "expected a conversation that is not there yet, found the room den"),
        (vec![entry(1)], "expected the line of the room den before its entries, found none"),
        (vec![room(3, 5)], "found oldest 5"),
        (vec![room(3, 2), entry(1)], "expected a seq of the room den from 2 to 3, found 1"),
        (vec![room(3, 1), entry(1), entry(1)], "from 2 to 3, found 1"),
        (vec![room(3, 1), entry(4)], "from 1 to 3, found 4"),
    ] {
        let mut import = Import::open(&path, 20_000).unwrap();
        let error = records.into_iter().map(|record| import.take(record)).find_map(|taken| taken.err()).unwrap();
        assert!(error.contains(sentence), "{sentence}: {error}");
        drop(import);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "{sentence}");
    }
    assert_eq!(import(&path, &[room(3, 1), entry(1), entry(2), entry(3)]), 0);
    let error = Import::open(&path, 20_000).unwrap().take(room(1, 1)).unwrap_err();
    assert!(error.contains("found the room den"), "{error}");
}

/// An export of a store that is used may lack what was trimmed or ended amid it: what is kept has no hole.
#[test]
fn what_lies_before_a_hole_is_left_out() {
    for (records, kept, left_out) in [
        (vec![room(3, 1), entry(2), entry(3)], vec![2, 3], 0),
        (vec![room(4, 1), entry(1), entry(3), entry(4)], vec![3, 4], 1),
        (vec![room(4, 1), entry(1), entry(2)], vec![], 2),
        (vec![room(4, 1)], vec![], 0),
    ] {
        let folder = Folder::new();
        assert_eq!(import(&folder.options().path, &records), left_out, "{records:?}");
        let mut store = folder.open(folder.options());
        let (head, _) = page(&mut store, ROOM);
        assert_eq!((head.kept, head.oldest()), (kept.len() as u64, kept.first().copied().unwrap_or(head.seq + 1)));
        let read = told(&mut store);
        assert_eq!(read.len(), kept.len(), "{records:?}: {read:?}");
    }
}

/// A store with a room.
pub fn import_rooms(path: &Path) {
    import(path, &[room(1, 1), entry(1)]);
}

/// Numbers that clients cannot read, or that the next message would lead past what a file can hold.
#[test]
fn numbers_are_bounded() {
    const MOST: u64 = 1 << 53;
    for number in [MOST + 1, i64::MAX as u64, u64::MAX - 1, u64::MAX] {
        let late = |mut record: Record| {
            if let Record::Entry { ts, .. } = &mut record {
                *ts = number;
            }
            record
        };
        let read = Record::Read { user: "ann".into(), name: Name::Room("den".into()), seq: number };
        let rows =
            [vec![room(number, 1)], vec![room(1, number)], vec![room(1, 1), late(entry(1))], vec![room(1, 1), read]];
        for records in rows {
            let folder = Folder::new();
            let mut taken = Import::open(&folder.options().path, 20_000).unwrap();
            let error = records.into_iter().find_map(|record| taken.take(record).err()).unwrap();
            assert!(error.contains("expected "), "{error}");
        }
    }
    let folder = Folder::new();
    assert_eq!(import(&folder.options().path, &[room(MOST, MOST), entry(MOST)]), 0);
    let mut store = folder.open(folder.options());
    assert!(ask(&mut store, append(ROOM, "next", 1))[0].contains("Published"));
    // A file that has been written to by hand can be opened all the same.
    let sql = format!(
        "UPDATE conversation SET seq = {0}, first = 1; INSERT INTO conversation (name, other, epoch, seq, first) \
         VALUES ('x', '', 1, {0}, 1)",
        i64::MAX
    );
    store.tables().unwrap().connection.execute_batch(&sql).unwrap();
    drop(store);
    drop(folder.open(folder.options()));
}

/// More bans than a chat keeps in force are said; those that have ended do not count.
#[test]
fn bans_are_bounded() {
    let ban = |n: usize, until| Record::Ban { user: format!("user-{n}"), until, note: None };
    for (last, most) in [(ban(MAX_BANS, None), false), (ban(MAX_BANS, Some(1)), true)] {
        let folder = Folder::new();
        let mut taken = Import::open(&folder.options().path, 20_000).unwrap();
        (0..MAX_BANS).for_each(|n| taken.take(ban(n, None)).unwrap());
        taken.take(last).unwrap();
        match taken.finish() {
            Ok(_) => assert!(most),
            Err(error) => assert!(!most && error.contains("expected at most 10000 bans"), "{error}"),
        }
    }
}
