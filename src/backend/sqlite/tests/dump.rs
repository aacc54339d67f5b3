//! What is exported and imported is there as it was.

use super::super::dump::{About, Body as Written, Export, Head as Line, Import, Imported, Name, Record};
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
    let mut import = Import::open(path, 20_000, false).unwrap();
    records.iter().for_each(|record| import.take(record.clone()).unwrap());
    import.finish().unwrap().left_out
}

/// All that is kept of the room as a client is told of it.
fn told(store: &mut Sqlite) -> Vec<String> {
    following(store)
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
                0 => NewBody::Edit { of, content: &text, within: None, calls_room: at.is_multiple_of(3) },
                1 => delete(of),
                2 | 3 => react(of, emoji, random.below(3) > 0),
                _ => {
                    let reply_to = Some(of).filter(|_| random.below(4) == 0);
                    NewBody::Message { content: &text, reply_to, calls_room: at.is_multiple_of(3) }
                }
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
             INSERT INTO ban VALUES ('eve', NULL, 'spam'), ('mal', 77, NULL);
             INSERT INTO room_setting VALUES ('den', 'a'), ('not there', 'b');
             INSERT INTO trail VALUES (7, 1, 'mod', 'kick', 'den', 'eve', 200), (9, 2, '-', 'reload', NULL, NULL, 409)",
            )
            .unwrap();
        // Also while it is used.
        let records = exported(&one.options().path, None);
        let kinds = |kind: fn(&Record) -> bool| records.iter().filter(|record| kind(record)).count();
        assert_eq!(kinds(|record| matches!(record, Record::Conversation { .. })), 4, "seed {seed}");
        assert_eq!(kinds(|record| matches!(record, Record::Read { .. } | Record::Ban { .. })), 3);
        assert_eq!(kinds(|record| matches!(record, Record::Step { .. } | Record::Set { .. })), 4);
        assert!(kinds(|record| matches!(record, Record::Entry { .. })) >= 40);

        let path = other.options().path;
        assert_eq!(import(&path, &records), 0);
        let again = exported(&path, None);
        assert_eq!(again.len(), records.len(), "seed {seed}");
        again.iter().zip(&records).for_each(|(again, record)| assert_eq!(again, record, "seed {seed}"));
        let den = exported(&path, Some("den"));
        assert_eq!(den.len(), 44, "seed {seed}");
        assert!(matches!(&den[42], Record::Set { room, .. } if room == "den"));
        assert!(den[..43].iter().all(|record| records.contains(record)));

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
    Record::Entry { name: Name::Room("den".into()), seq, ts: 1, sender: "ann".into(), body: text(None) }
}

fn begin() -> Record {
    Record::Export { version: 1 }
}

fn missing(from: u64, to: u64) -> Record {
    Record::Missing { name: Name::Room("den".into()), from, to }
}

fn end(records: u64) -> Record {
    Record::End { records }
}

fn text(reply_to: Option<u64>) -> Written {
    Written::Message { content: Some("x".into()), reply_to, calls_room: false, edited: None, reactions: Vec::new() }
}

/// The conversation of two, something in it, and who has read it.
fn two() -> Record {
    let head = Line { epoch: Epoch(1), seq: 1, oldest: 1, message: 1, said: 1 };
    Record::Conversation { name: Name::Direct(["ann".into(), "bob".into()]), head, about: About::default() }
}

fn between(sender: &str, body: Written) -> Record {
    Record::Entry { name: Name::Direct(["ann".into(), "bob".into()]), seq: 1, ts: 1, sender: sender.into(), body }
}

fn read_by(user: &str) -> Record {
    Record::Read { user: user.into(), name: Name::Direct(["ann".into(), "bob".into()]), seq: 1 }
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
        // Of an older Salon, which does not say what is missing.
        (vec![room(3, 1), entry(2)], "expected the seq 1 of the room den, found 2; lines are missing"),
        (vec![begin(), room(3, 1), entry(1), entry(3)], "expected the seq 2 of the room den, found 3"),
        (vec![begin(), room(3, 1), entry(1), end(2)], "expected the seq 2 of the room den, found none behind it"),
        (vec![begin(), room(3, 1), end(1)], "expected the seq 1 of the room den, found none behind it"),
        (vec![begin(), room(3, 1), missing(1, 3), end(9)], "expected 9 lines between the first and the last"),
        (vec![room(3, 1), missing(1, 3), end(2)], "expected the first line of this export, found none"),
        (vec![begin(), begin()], "expected the end of this export, found another one's first"),
        (vec![Record::Export { version: 2 }], "expected an export of version 1, found 2, of a newer Salon"),
        (vec![missing(1, 3)], "expected the line of the room den before what is missing of it"),
        (
            vec![room(3, 1), missing(2, 3)],
            "from 1 to 3 at most something is missing of the room den, found from 2 to 3",
        ),
        (vec![room(3, 1), entry(1), missing(1, 2)], "from 2 to 3 at most"),
        (vec![room(3, 1), missing(1, 4)], "from 1 to 3 at most"),
        (vec![room(3, 1), missing(3, 2)], "from 1 to 3 at most"),
        // What no Salon has written.
        (vec![two(), between("eve", text(None))], "expected that one of the two says it, found eve"),
        (
            vec![two(), between("eve", Written::Edited { of: 1, content: None, calls_room: false })],
            "expected that one of the two says it",
        ),
        (vec![two(), between("eve", text(None)), entry(1)], "expected that one of the two says it, found eve"),
        (vec![two(), read_by("eve")], "expected that one of ann and bob has read it, found eve"),
        (vec![two(), between("ann", text(Some(1)))], "expected that it is about a seq from 1 to 0, found 1"),
        (
            vec![two(), between("ann", Written::Deleted { of: 7 })],
            "expected that it is about a seq from 1 to 0, found 7",
        ),
    ] {
        let mut import = Import::open(&path, 20_000, false).unwrap();
        let error = records.into_iter().map(|record| import.take(record)).find_map(|taken| taken.err()).unwrap();
        assert!(error.contains(sentence), "{sentence}: {error}");
        drop(import);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "{sentence}");
    }
    assert_eq!(import(&path, &[room(3, 1), entry(1), entry(2), entry(3)]), 0);
    let error = Import::open(&path, 20_000, false).unwrap().take(room(1, 1)).unwrap_err();
    assert!(error.contains("found the room den"), "{error}");
}

/// What is cut at its end is refused when there is no more; so is nothing at all.
#[test]
fn what_is_cut_is_refused() {
    for (records, sentence) in [
        (vec![], "expected what `salon store export` wrote, found nothing"),
        (vec![begin()], "expected a line of the kind `end` at the end, found none: it was cut"),
        (vec![begin(), room(1, 1), entry(1)], "expected a line of the kind `end` at the end"),
        (vec![room(3, 1), entry(1)], "expected the seq 2 of the room den, found none behind it"),
        (vec![room(3, 1)], "expected the seq 1 of the room den, found none behind it"),
    ] {
        let folder = Folder::new();
        let path = folder.options().path;
        let mut import = Import::open(&path, 20_000, false).unwrap();
        records.into_iter().for_each(|record| import.take(record).unwrap());
        let error = import.finish().unwrap_err();
        assert!(error.contains(sentence), "{sentence}: {error}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "{sentence}");
    }
}

/// A deletion in a conversation of two may be an operator's, and several exports may stand one behind the other.
#[test]
fn what_a_store_may_have_is_taken() {
    let folder = Folder::new();
    let deleted = Record::Entry {
        name: Name::Direct(["ann".into(), "bob".into()]),
        seq: 2,
        ts: 1,
        sender: "server".into(),
        body: Written::Deleted { of: 1 },
    };
    let head = Line { epoch: Epoch(1), seq: 2, oldest: 1, message: 1, said: 1 };
    let two = Record::Conversation { name: Name::Direct(["ann".into(), "bob".into()]), head, about: About::default() };
    let mut import = Import::open(&folder.options().path, 20_000, false).unwrap();
    let first = [begin(), two, between("bob", text(None)), deleted, read_by("ann"), end(4)];
    let second = [begin(), room(1, 1), entry(1), end(2)];
    first.into_iter().chain(second).for_each(|record| import.take(record).unwrap());
    assert_eq!(import.finish(), Ok(Imported { left_out: 0, is_unstated: false }));
    // What is read behind the end of an export is of none.
    let other = Folder::new();
    let mut import = Import::open(&other.options().path, 20_000, false).unwrap();
    [begin(), end(0), room(1, 1), entry(1)].into_iter().for_each(|record| import.take(record).unwrap());
    assert_eq!(import.finish(), Ok(Imported { left_out: 0, is_unstated: true }));
}

/// A conversation that begins while an export goes on is not in it, nor how far somebody has read it.
#[test]
fn an_export_has_no_mark_without_its_conversation() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    drop(ask(&mut store, append(ROOM, "x", 1)));
    let mut export = Export::open(&folder.options().path, None).unwrap();
    let mut records = export.next_piece().unwrap();
    let bar = Conversation::Room("bar");
    drop(ask(&mut store, append(bar, "y", 2)));
    drop(ask(&mut store, Request::Mark { user: "bob", conversation: bar, seq: 1, ticket: Ticket(3) }));
    drop(ask(&mut store, Request::Mark { user: "bob", conversation: ROOM, seq: 1, ticket: Ticket(4) }));
    loop {
        match export.next_piece().unwrap() {
            piece if piece.is_empty() => break,
            piece => records.extend(piece),
        }
    }
    let of = |record: &Record| match record {
        Record::Read { name, .. } => Some(format!("{name:?}")),
        _ => None,
    };
    let marks: Vec<_> = records.iter().filter_map(of).collect();
    assert!(marks.len() == 1 && marks[0].contains("den"), "{marks:?}");
    assert_eq!(import(&Folder::new().options().path, &records), 0);
}

/// An import that is refused changes nothing of what is there, also where the last use of it was not ended in order.
#[test]
fn a_refused_import_changes_nothing() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(Conversation::Room("lab"), "one", 1));
    let before = page(&mut store, Conversation::Room("lab"));
    store.dies();
    for taken in [0, 1] {
        let mut import = Import::open(&options.path, 20_000, false).unwrap();
        (0..taken).for_each(|_| import.take(room(1, 1)).unwrap());
        assert!(import.take(entry(7)).is_err());
    }
    let mut store = folder.open(options);
    assert_eq!(page(&mut store, Conversation::Room("lab")), before);
    assert_eq!(page(&mut store, ROOM).1, [""; 0]);
}

/// A new store is at its place when all of it has come, and not before.
#[test]
fn a_new_store_is_there_when_all_has_come() {
    let folder = Folder::new();
    let path = folder.options().path;
    let mut import = Import::open(&path, 20_000, false).unwrap();
    [begin(), room(1, 1), entry(1)].into_iter().for_each(|record| import.take(record).unwrap());
    assert!(!path.exists());
    import.take(end(2)).unwrap();
    import.finish().unwrap();
    assert!(path.exists());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "the file, and its lock");
    assert_eq!(page(&mut folder.open(folder.options()), ROOM).1.len(), 1);
}

/// An export that goes on while entries are dropped states what it lacks, and what is behind is imported.
#[test]
fn an_export_states_what_went_meanwhile() {
    for (first, holes) in [(1, vec![]), (2, vec![(1, 1)]), (600, vec![(513, 599)]), (701, vec![(513, 700)])] {
        let folder = Folder::new();
        let mut store = folder.open(folder.options());
        (1..=700).for_each(|at| drop(ask(&mut store, append(ROOM, "x", at))));
        let mut export = Export::open(&folder.options().path, None).unwrap();
        let mut records = Vec::new();
        let is_entry = |record: &Record| matches!(record, Record::Entry { .. });
        // Half of it is told when it goes; of a small part nothing is.
        while first > 2 && !records.iter().any(is_entry) {
            records.extend(export.next_piece().unwrap());
        }
        let sql = format!("UPDATE conversation SET first = {first}");
        store.tables().unwrap().connection.execute_batch(&sql).unwrap();
        loop {
            match export.next_piece().unwrap() {
                piece if piece.is_empty() => break,
                piece => records.extend(piece),
            }
        }
        let stated = records.iter().filter_map(|record| match record {
            Record::Missing { from, to, .. } => Some((*from, *to)),
            _ => None,
        });
        assert_eq!(stated.collect::<Vec<_>>(), holes);
        let other = Folder::new();
        let left_out = if first > 2 { 512 } else { 0 };
        assert_eq!(import(&other.options().path, &records), left_out);
        let mut again = other.open(other.options());
        assert_eq!(page(&mut again, ROOM).0.kept, 701 - first);
        // Without any one of its lines it is refused, and without all from one on.
        for at in (0..records.len()).step_by(97) {
            let without: Vec<Record> = [&records[..at], &records[at + 1..]].concat();
            for lacking in [&without, &records[..at]] {
                let other = Folder::new();
                let mut import = Import::open(&other.options().path, 20_000, false).unwrap();
                let refused = lacking.iter().any(|record| import.take(record.clone()).is_err());
                assert!(refused || import.finish().is_err(), "{at} of {}", records.len());
            }
        }
    }
}

/// Of an export that lacks lines, what is kept has no hole, if that is wanted.
#[test]
fn what_lies_before_a_hole_is_left_out() {
    for (records, kept, left_out) in [
        (vec![room(3, 1), entry(2), entry(3)], vec![2, 3], 0),
        (vec![room(4, 1), entry(1), entry(3), entry(4)], vec![3, 4], 1),
        (vec![room(4, 1), entry(1), entry(2)], vec![], 2),
        (vec![room(4, 1)], vec![], 0),
        (vec![begin(), room(4, 1), entry(1), entry(3), entry(4), end(9)], vec![3, 4], 1),
        (vec![begin(), room(4, 1), entry(1), missing(3, 3), entry(4)], vec![4], 1),
        (vec![begin(), room(4, 1), entry(1), missing(2, 4), end(3)], vec![], 1),
    ] {
        let folder = Folder::new();
        let mut import = Import::open(&folder.options().path, 20_000, true).unwrap();
        records.iter().for_each(|record| import.take(record.clone()).unwrap());
        assert_eq!(import.finish().unwrap().left_out, left_out, "{records:?}");
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
        let ban = Record::Ban { user: "eve".into(), until: Some(number), note: None };
        let rows = [
            vec![room(number, 1)],
            vec![room(1, number)],
            vec![room(1, 1), late(entry(1))],
            vec![room(1, 1), read],
            vec![ban],
        ];
        for records in rows {
            let folder = Folder::new();
            let mut taken = Import::open(&folder.options().path, 20_000, false).unwrap();
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
        let mut taken = Import::open(&folder.options().path, 20_000, false).unwrap();
        (0..MAX_BANS).for_each(|n| taken.take(ban(n, None)).unwrap());
        taken.take(last).unwrap();
        match taken.finish() {
            Ok(_) => assert!(most),
            Err(error) => assert!(!most && error.contains("expected at most 10000 bans"), "{error}"),
        }
    }
}

/// More rooms for which something is set than a chat knows are said, because the others would be open to all. What the
/// file has for a room stands.
#[test]
fn what_is_set_for_rooms_is_bounded() {
    let set = |n: usize, words: &str| Record::Set { room: format!("room-{n}"), words: words.into() };
    for (last, fits) in [(set(MAX_SET, "a"), false), (set(0, "b"), true)] {
        let folder = Folder::new();
        let mut taken = Import::open(&folder.options().path, 20_000, false).unwrap();
        (0..MAX_SET).for_each(|n| taken.take(set(n, "a")).unwrap());
        taken.take(last).unwrap();
        match taken.finish() {
            Ok(_) => {
                let exported = exported(&folder.options().path, None);
                assert!(fits && exported.contains(&set(0, "a")) && !exported.contains(&set(0, "b")));
            }
            Err(error) => {
                assert!(!fits && error.contains("expected at most 1000 rooms for which something is set"), "{error}");
            }
        }
    }
}

/// What an import takes is bounded as what people do is: a user has so many marks, a message so many emoji. And marks
/// are exported in pieces.
#[test]
fn marks_and_emoji_of_an_import_are_bounded() {
    let folder = Folder::new();
    let rooms: Vec<_> = (0..MAX_MARKS + 15).map(|n| Name::Room(format!("room {n}"))).collect();
    let head = Line { epoch: Epoch(1), seq: 1, oldest: 2, message: 1, said: 0 };
    let mut records: Vec<_> =
        rooms.iter().map(|name| Record::Conversation { name: name.clone(), head, about: About::default() }).collect();
    let users: Vec<_> = (0..20).map(|n| format!("user {n:02}")).collect();
    for user in &users {
        records.extend(rooms.iter().map(|name| Record::Read { user: user.clone(), name: name.clone(), seq: 1 }));
    }
    let path = folder.options().path;
    import(&path, &records);
    let mut export = Export::open(&path, None).unwrap();
    let (mut reads, mut pieces) = (Vec::new(), 0);
    loop {
        let piece = export.next_piece().unwrap();
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() <= 512, "{}", piece.len());
        let before = reads.len();
        reads.extend(piece.into_iter().filter(|record| matches!(record, Record::Read { .. })));
        pieces += usize::from(reads.len() > before);
    }
    let expected: Vec<_> = users
        .iter()
        .flat_map(|user| rooms[15..].iter().map(|name| Record::Read { user: user.clone(), name: name.clone(), seq: 1 }))
        .collect();
    assert_eq!(reads, expected);
    assert!(pieces > 1);
    // One emoji more than a message may have.
    let folder = Folder::new();
    let name = Name::Room("den".into());
    let entry = |seq: u64, body| Record::Entry { name: name.clone(), seq, ts: 1, sender: "ann".into(), body };
    let last = 2 + MAX_EMOJI as u64;
    let head = Line { epoch: Epoch(1), seq: last, oldest: 1, message: 1, said: 0 };
    let message = Written::Message {
        content: Some("x".into()),
        reply_to: None,
        calls_room: false,
        edited: None,
        reactions: Vec::new(),
    };
    let mut import = Import::open(&folder.options().path, 20_000, false).unwrap();
    import.take(Record::Conversation { name: name.clone(), head, about: About::default() }).unwrap();
    import.take(entry(1, message)).unwrap();
    for seq in 2..last {
        import.take(entry(seq, Written::Reaction { of: 1, emoji: format!(":{seq}:"), on: true })).unwrap();
    }
    let more = entry(last, Written::Reaction { of: 1, emoji: ":more:".into(), on: true });
    let sentence = import.take(more).unwrap_err();
    assert!(sentence.contains("emoji: expected at most 20"), "{sentence}");
}

/// One room is read by its numbers, in the order in which an index has them: without sorting all of it for each piece.
#[test]
fn a_room_is_read_in_order() {
    let folder = Folder::new();
    let store = folder.open(folder.options());
    for sql in [super::super::dump::entries_of_one(), super::super::dump::entries_of_all()] {
        let tables = store.tables().unwrap();
        let mut plan = tables.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.query_map([0; 5], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(|step| step.unwrap()).collect();
        assert!(steps.iter().all(|step| !step.contains("B-TREE")), "{sql}: {steps:?}");
    }
}
