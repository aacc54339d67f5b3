//! The file: whose it is, which are refused, and which are brought up to date.

use super::*;
use crate::backend::Step;
use crate::backend::sqlite::trail;

#[test]
fn only_its_owner_may_read_it() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    ask(&mut store, append(ROOM, "one", 1));
    let state = folder.0.join("state");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let files: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    files.iter().for_each(|path| assert_eq!(mode(path), 0o600, "{path:?}"));
}

/// What is made anew belongs to those to whom the old one did, or, if root makes it, to the owner of the folder.
#[test]
fn a_file_that_is_made_anew_keeps_its_owner() {
    let folder = Folder::new();
    let path = folder.options().path;
    let state = folder.0.join("state");
    fs::create_dir_all(&state).unwrap();
    let is_root = fs::metadata(&state).unwrap().uid() == 0;
    if is_root {
        chown(&state, Some(70), Some(71)).unwrap();
    }
    let owned = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid(), found.permissions().mode() & 0o777)
    };
    let (user, group, _) = owned(&state);
    dump::import_rooms(&path);
    assert_eq!(owned(&path), (user, group, 0o600));
    assert_eq!(owned(&state.join("salon.db-lock")), (user, group, 0o600));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    if is_root {
        chown(&path, Some(80), Some(81)).unwrap();
    }
    let before = owned(&path);
    drop(compact(&path).unwrap());
    assert_eq!(owned(&path), before);
}

/// The log has what the file has not as long as somebody reads: nothing takes its place, and nobody is told to remove
/// it.
#[test]
fn a_file_that_is_read_is_not_made_smaller() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    let reader = rusqlite::Connection::open(&options.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    ask(&mut store, append(ROOM, "two", 2));
    store.dies();
    let sentence = compact(&options.path).unwrap_err();
    assert!(sentence.contains("expected nobody to read it") && !sentence.contains("remove"), "{sentence}");
    drop(reader);
    drop(compact(&options.path).unwrap());
    assert_eq!(page(&mut folder.open(options), ROOM).1.len(), 2);
}

/// A compact that was killed leaves a file with all that was said; it goes when the store is opened.
#[test]
fn what_was_not_finished_goes() {
    let folder = Folder::new();
    let options = folder.options();
    drop(folder.open(options.clone()));
    let left = ["salon.db-new", "salon.db-new-journal"].map(|name| folder.0.join("state").join(name));
    left.iter().for_each(|path| fs::write(path, "all that was said").unwrap());
    drop(folder.open(options));
    left.iter().for_each(|path| assert!(!path.exists(), "{path:?}"));
}

/// What a backup that was killed has left is replaced by the next one, unless somebody writes to it, or it is something
/// else.
#[test]
fn what_is_left_of_a_backup_is_replaced() {
    let folder = Folder::new();
    let options = folder.options();
    drop(folder.open(options.clone()));
    let to = folder.0.join("copy.db");
    let [new, journal] = ["copy.db-new", "copy.db-new-journal"].map(|name| folder.0.join(name));
    for (left, is_replaced) in
        [("", true), ("SQLite format 3\0...", true), (&"\0".repeat(4096), true), ("a letter", false)]
    {
        fs::write(&new, left).unwrap();
        fs::write(&journal, "").unwrap();
        // Another backup is at it.
        let other = fs::File::open(&new).unwrap();
        rustix::fs::flock(&other, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        let refused = || {
            let sentence = backup(&options.path, &to, &mut |_, _| ()).unwrap_err();
            assert!(sentence.contains("copy.db-new: expected a path where nothing is"), "{sentence}");
            assert_eq!((fs::read_to_string(&new).unwrap().as_str(), to.exists()), (left, false));
        };
        refused();
        drop(other);
        match is_replaced {
            true => drop(backup(&options.path, &to, &mut |_, _| ()).unwrap()),
            false => refused(),
        }
        assert_eq!([&new, &journal, &to].map(|path| path.exists()), [!is_replaced, !is_replaced, is_replaced]);
        let _ = fs::remove_file(&to);
    }
}

/// A copy that is written into the file that it was made of has its inode: it is known by what has been in that since,
/// however the last use of it has ended. Where nobody has used it since, it is the file.
#[test]
fn a_copy_that_is_written_into_its_original() {
    for ends_well in [true, false] {
        let folder = Folder::new();
        let options = folder.options();
        let mut store = folder.open(options.clone());
        ask(&mut store, append(ROOM, "one", 1));
        let epoch = page(&mut store, ROOM).0.epoch;
        drop(store);
        let (copy, inode) = (fs::read(&options.path).unwrap(), file::inode(&options.path).unwrap());
        let restore = || {
            fs::write(&options.path, &copy).unwrap();
            ["-wal", "-shm"].iter().for_each(|end| drop(fs::remove_file(file::beside(&options.path, end))));
            assert_eq!(file::inode(&options.path).unwrap(), inode);
            folder.open(options.clone())
        };
        let mut store = restore();
        assert_eq!(page(&mut store, ROOM).0.epoch, epoch);
        ask(&mut store, append(ROOM, "two", 2));
        match ends_well {
            true => drop(store),
            false => drop(store.dies()),
        }
        let mut store = restore();
        let (head, texts) = page(&mut store, ROOM);
        assert!(head.epoch != epoch && texts == ["one"]);
        // From here on it is the original.
        drop(store);
        assert_eq!(page(&mut folder.open(options.clone()), ROOM).0.epoch, head.epoch);
    }
}

/// A file that cannot be used is refused in one sentence, and is left as it is.
#[test]
fn files_that_are_refused() {
    let folder = Folder::new();
    let options = folder.options();
    let path = &options.path;
    let mut store = folder.open(options.clone());
    for n in 0..500 {
        ask(&mut store, append(ROOM, &format!("{n} and some words behind it"), 1));
    }
    let refused = |words: &[&str]| {
        let before = fs::read(path).ok();
        let sentence = Sqlite::open(options.clone(), 1).unwrap_err();
        let checked = check(path).unwrap_err();
        for words in words {
            assert!(sentence.contains(words), "{words}: {sentence}");
            assert!(checked.contains(words), "{words}: {checked}");
        }
        assert!(sentence.starts_with("--store /") && !sentence.contains('\n'), "{sentence}");
        assert_eq!(fs::read(path).ok(), before, "{words:?}");
    };
    refused(&["in use by another Salon, process", &std::process::id().to_string(), "stop that one"]);
    drop(store);
    assert!(check(path).unwrap().contains("500 messages in 1 rooms and 0 direct conversations"));
    let whole = fs::read(path).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(path, changed).unwrap();
    };
    with(60, &[0, 0, 0, 9]);
    refused(&["newer Salon", "version 9", "knows 7"]);
    with(68, b"abcd");
    refused(&["expected a database of Salon"]);
    fs::write(path, "not a database").unwrap();
    refused(&["expected a database of Salon"]);
    // Another program's database.
    let other = rusqlite::Connection::open(folder.0.join("other")).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    fs::copy(folder.0.join("other"), path).unwrap();
    refused(&["expected a database of Salon"]);
    // Cut, and with a page of nonsense.
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
    refused(&["is damaged", "backup"]);
    let page = whole.len() / 2 / 4096 * 4096;
    with(page, &[0xa5; 4096]);
    refused(&["is damaged", "backup"]);
    fs::remove_file(path).unwrap();
    // Its log alone, which would be taken for that of a new file.
    let log = folder.0.join("state/salon.db-wal");
    fs::write(&log, "what was said last").unwrap();
    let sentence = Sqlite::open(options.clone(), 1).unwrap_err();
    assert!(sentence.contains("put the two together") && !path.exists(), "{sentence}");
    fs::remove_file(log).unwrap();
    fs::create_dir(path).unwrap();
    refused(&["expected a file"]);
    fs::remove_dir(path).unwrap();
    assert!(check(path).unwrap().contains("none yet"));
    // None of that stays in the way.
    fs::write(path, &whole).unwrap();
    assert_eq!(page_of(&mut folder.open(options.clone())), 500);
}

/// A file of version 1, as the first Salon with a store made it, is brought to this one with all that is in it.
#[test]
fn a_file_of_version_1() {
    let folder = Folder::new();
    let options = folder.options();
    fs::create_dir_all(options.path.parent().unwrap()).unwrap();
    let old = rusqlite::Connection::open(&options.path).unwrap();
    old.execute_batch(include_str!("version_1.sql")).unwrap();
    old.execute_batch(
        "PRAGMA journal_mode = WAL;
         INSERT INTO store VALUES (1, 'first', 0, 1, 'power', 77, 5);
         INSERT INTO conversation VALUES (1, 'den', '', 11, 3, 2, 'Den', NULL, 9, 1), (2, 'ann', 'bob', 12, 1, 1, NULL,
           NULL, NULL, 0), (3, 'ann', 'cat', 13, 0, 1, NULL, NULL, NULL, 0);
         INSERT INTO entry (conversation, seq, kind, ts, sender, content) VALUES (1, 2, 0, 5, 'ann', 'two'),
           (2, 1, 0, 6, 'bob', 'hi'), (1, 3, 0, 7, 'bob', 'three');
         INSERT INTO person (name) VALUES ('ann'), ('bob');",
    )
    .unwrap();
    drop(old);
    assert!(check(&options.path).unwrap().contains("3 messages in 1 rooms and 2 direct conversations"));
    let sentence = compact(&options.path).unwrap_err();
    assert!(sentence.contains("older Salon") && !sentence.contains("damaged"), "{sentence}");
    let mut store = folder.open(options.clone());
    let (head, found) = page(&mut store, ROOM);
    assert_eq!((head.seq, head.kept, found), (3, 2, vec!["two".to_owned(), "three".to_owned()]));
    assert!(ask(&mut store, act("bob", edit(3, "drei"), 8))[0].contains("seq: 4"));
    assert_eq!(page(&mut store, ROOM).1, ["two", "drei"]);
    let place = store.tables().unwrap().find("ann", "bob").unwrap().unwrap();
    assert_eq!((place.message, place.last, place.said, place.direct), (1, 2, 6, true));
    assert_eq!(store.entry, 4);
    // What a new file has, it has too.
    let tables = |store: &Sqlite| -> Vec<String> {
        let sql = "SELECT group_concat(c.name || ' ' || c.type, ', ') \
                   FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c \
                   GROUP BY s.name UNION SELECT sql FROM sqlite_schema WHERE type = 'index' ORDER BY 1";
        let tables = store.tables().unwrap();
        let mut statement = tables.connection.prepare(sql).unwrap();
        statement
            .query_map([], |row| row.get::<_, Option<String>>(0))
            .unwrap()
            .map(|sql| sql.unwrap().unwrap_or_default())
            .collect()
    };
    let migrated = tables(&store);
    let other = Folder::new();
    assert_eq!(migrated, tables(&other.open(other.options())));
    drop(store);
    let mut store = folder.open(options);
    assert_eq!(page(&mut store, ROOM).1, ["two", "drei"]);
}

/// Takes away what a file has had since an older version, of which it says that it is.
fn made_older(options: &Options, sql: &str) {
    rusqlite::Connection::open(&options.path).unwrap().execute_batch(sql).unwrap();
}

/// A file of version 3 is given the index of version 4, in which messages of others are counted.
#[test]
fn tables_of_version_3() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 0..3 {
        ask(&mut store, append(ROOM, "x", n));
    }
    drop(store);
    made_older(
        &options,
        "DROP INDEX entry_seq; CREATE UNIQUE INDEX entry_seq ON entry (conversation, seq); DROP TABLE trail; \
         ALTER TABLE entry DROP COLUMN calls_room; DROP TABLE room_setting; \
         PRAGMA user_version = 3",
    );
    let mut store = folder.open(options);
    assert_eq!(reading(&mut store, "bob"), (0, 3));
    let plan = "EXPLAIN QUERY PLAN SELECT seq, sender, kind FROM entry WHERE conversation = 1 AND seq >= 1 \
                ORDER BY seq DESC LIMIT 9";
    let tables = store.tables().unwrap();
    assert_eq!(tables.version().unwrap(), schema::VERSION);
    let plan: String = tables.connection.query_row(plan, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("COVERING INDEX entry_seq"), "{plan}");
}

/// A file of version 4 is given the trail of version 5, which is there again when it is opened again, and bounded.
#[test]
fn the_trail_outlives_the_process() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "x", 1));
    drop(store);
    made_older(
        &options,
        "DROP TABLE trail; ALTER TABLE entry DROP COLUMN calls_room; DROP TABLE room_setting; PRAGMA user_version = 4",
    );
    let mut store = folder.open(options.clone());
    let most = u64::try_from(trail::MAX_STEPS).unwrap();
    for ts in 1..=most + 5 {
        let step = Step { ts, operator: "mod", call: "kick", room: Some("den"), user: None, status: 200 };
        store.ask(Request::Note { step }).unwrap();
    }
    hear(&mut store);
    let _ = store.dies();
    let mut store = folder.open(options);
    let mut times = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        store.ask(Request::Trail { cursor: cursor.as_deref(), limit: 200, ticket: Ticket(1) }).unwrap();
        match store.poll() {
            Some(News::Trail { steps, next, .. }) => {
                times.extend(steps.iter().map(|step| step.ts));
                cursor = next;
            }
            other => panic!("{other:?}"),
        }
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(times, (6..=most + 5).rev().collect::<Vec<_>>());
}

/// A file of version 6 has nothing set for rooms; what is set from then on is there when it is opened again, and told
/// in order of names.
#[test]
fn tables_of_version_6() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "x", 1));
    drop(store);
    made_older(&options, "DROP TABLE room_setting; PRAGMA user_version = 6");
    let set = |room, words| Request::Set { room, words, ticket: Ticket(1) };
    for (request, expected) in [
        (None, &[][..]),
        (Some(set("tea", Some("a"))), &[("tea", "a")]),
        (Some(set("den", Some("b"))), &[("den", "b"), ("tea", "a")]),
        (Some(set("tea", Some("c"))), &[("den", "b"), ("tea", "c")]),
        (Some(set("tea", None)), &[("den", "b")]),
        (Some(set("tea", None)), &[("den", "b")]),
    ] {
        // Each in a process of its own, and read again by a chat that begins anew.
        let mut store = folder.open(options.clone());
        if let Some(request) = request {
            assert_eq!(ask(&mut store, request).len(), 1);
        }
        let _ = store.dies();
        let mut store = folder.open(options.clone());
        for _ in 0..2 {
            store.tell_catalogue();
            let mut told = Vec::new();
            while let Some(news) = store.poll() {
                if let News::Set { room, words } = news {
                    told.push((room.to_owned(), words.to_owned()));
                }
            }
            let told: Vec<_> = told.iter().map(|(room, words)| (&**room, &**words)).collect();
            assert_eq!(told, expected);
        }
    }
}

/// A file of version 5 knows of no text that calls a room; what is said and edited from then on may, as long as that
/// text stands.
#[test]
fn tables_of_version_5() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "@room", 1));
    drop(store);
    made_older(&options, "ALTER TABLE entry DROP COLUMN calls_room; DROP TABLE room_setting; PRAGMA user_version = 5");
    let says = |content, calls_room| NewBody::Message { content, reply_to: None, calls_room };
    let edits = |content, calls_room| NewBody::Edit { of: 3, content, within: None, calls_room };
    // Texts as they stand, and the numbers of those that call.
    let shown = |store: &mut Sqlite| {
        store.ask(read(ROOM, 1)).unwrap();
        let Some(News::Page { entries, .. }) = store.poll() else { panic!("a page") };
        let message = |entry: &Entry<'_>| match &entry.body {
            Body::Message(message) => (message.content.unwrap_or("-").to_owned(), message.calls_room),
            other => panic!("{other:?}"),
        };
        entries.iter().map(message).map(|(text, calls)| text + if calls { "!" } else { "" }).collect::<Vec<_>>()
    };
    for (who, body, expected) in [
        ("bob", says("@room", true), &["@room", "@room!"][..]),
        ("bob", says("x", false), &["@room", "@room!", "x"]),
        ("bob", edits("@room?", true), &["@room", "@room!", "@room?!"]),
        ("bob", edits("no", false), &["@room", "@room!", "no"]),
        ("bob", edits("@room.", true), &["@room", "@room!", "@room.!"]),
        ("bob", delete(2), &["@room", "-", "@room.!"]),
        ("bob", delete(3), &["@room", "-", "-"]),
    ] {
        // Each in a process of its own.
        let mut store = folder.open(options.clone());
        let at = page(&mut store, ROOM).0.seq + 1;
        ask(&mut store, act(who, body, at));
        assert_eq!(shown(&mut store), expected);
    }
}

/// A number that two entries have, which no store gives out, is a fault of the file.
#[test]
fn a_number_twice_is_a_fault() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "x", 1));
    ask(&mut store, append(ROOM, "y", 2));
    drop(store);
    rusqlite::Connection::open(&options.path).unwrap().execute("UPDATE entry SET seq = 2", []).unwrap();
    assert!(check(&options.path).unwrap_err().contains("two entries of one conversation have the number 2"));
}

/// One file is for one Salon, whatever it calls it: the log of a file lies beside one of its names.
#[cfg(target_os = "linux")]
#[test]
fn a_file_by_another_name() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    let other = Options { path: folder.0.join("state/other.db"), ..options.clone() };
    fs::hard_link(&options.path, &other.path).unwrap();
    let files = || {
        let mut names: Vec<_> =
            fs::read_dir(folder.0.join("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        (names, fs::read(&options.path).unwrap())
    };
    let before = files();
    let refused = |words: &str| {
        let copy = folder.0.join("copy.db");
        for sentence in [
            Sqlite::open(other.clone(), 1).map(drop),
            read_through(&other.path).map(drop),
            backup(&other.path, &copy, &mut |_, _| ()).map(drop),
            compact(&other.path).map(drop),
            super::super::dump::Export::open(&other.path, None).map(drop),
            super::super::dump::Import::open(&other.path, 1000, false).map(drop),
            check(&other.path).map(drop),
        ] {
            let sentence = sentence.unwrap_err();
            assert!(sentence.contains(words) && sentence.lines().count() == 1, "{words}: {sentence}");
        }
        assert!(files() == before, "{words}: {:?}", files().0);
    };
    refused(&format!("in use by another Salon, process {}, by another name", std::process::id()));
    // By its own name it can be read meanwhile.
    assert!(read_through(&options.path).unwrap().contains("1 messages"));
    // Used by nobody, with a log beside the first name.
    store.dies();
    refused("another name (a hard link), beside which it may be");
    // Ended in order, it is whole by any name.
    drop(folder.open(options.clone()));
    drop(folder.open(other.clone()));
    // A new file is claimed by itself as well.
    for path in [&options.path, &other.path] {
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(folder.0.join("state/salon.db-wal")).unwrap();
    let store = folder.open(options.clone());
    fs::hard_link(&options.path, &other.path).unwrap();
    assert!(Sqlite::open(other.clone(), 1).unwrap_err().contains("by another name"));
    drop(store);
}

/// A lock is one of a file that is there: what was removed or replaced when it had been opened, and was not locked yet,
/// is claimed by nobody.
#[test]
fn a_lock_without_a_name_is_none() {
    let folder = Folder::new();
    let path = folder.options().path;
    // Where no store is, the lock goes with the claim.
    let other = Claim::take(&path).unwrap();
    let lock = file::beside(&path, "-lock");
    assert!(lock.exists());
    assert!(Claim::try_take(&path, || drop(other)).unwrap().is_none());
    assert!(!lock.exists());
    // The store comes meanwhile, and is replaced meanwhile.
    assert!(Claim::try_take(&path, || drop(folder.open(folder.options()))).unwrap().is_none());
    let copy = file::beside(&path, "-copy");
    fs::copy(&path, &copy).unwrap();
    assert!(Claim::try_take(&path, || fs::rename(&copy, &path).unwrap()).unwrap().is_none());
    let claim = Claim::take(&path).unwrap();
    assert!(Claim::take(&path).unwrap_err().contains("in use by another Salon"));
    drop(claim);
    drop(folder.open(folder.options()));
}

/// A file that was not ended in order has a log: one without it is said to lack it.
#[test]
fn a_file_without_its_log() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    let copy = folder.0.join("copy.db");
    fs::copy(&options.path, &copy).unwrap();
    assert!(read_through(&copy).unwrap().contains("its log (-wal) is not beside it"));
    assert!(!read_through(&options.path).unwrap().contains("its log"));
    let whole = folder.0.join("whole.db");
    drop(backup(&options.path, &whole, &mut |_, _| ()).unwrap());
    assert!(!read_through(&whole).unwrap().contains("its log"));
    drop(store);
    fs::copy(&options.path, folder.0.join("stopped.db")).unwrap();
    assert!(!read_through(&folder.0.join("stopped.db")).unwrap().contains("its log"));
}

/// What is no file is not opened: a pipe would be waited for.
#[test]
fn a_pipe_is_no_store() {
    let folder = Folder::new();
    let options = folder.options();
    fs::create_dir_all(folder.0.join("state")).unwrap();
    let pipe = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &options.path, pipe.0, pipe.1, 0).unwrap();
    for sentence in [Sqlite::open(options.clone(), 1).map(drop), read_through(&options.path).map(drop)] {
        assert!(sentence.unwrap_err().contains("expected a file, found something else"));
    }
}

/// A log that cannot be read in its middle, or is none, is told, and numbers are not given out again: conversations go
/// on in new epochs. One that ends where a process was killed is whole.
#[test]
fn a_log_that_cannot_be_read() {
    let harms = [("nothing", false), ("the end", false), ("amid", true), ("the head", true), ("gone", true)];
    let firsts = ["", "check", "export", "backup", "compact", "import", "start"];
    for ((harm, says), first) in harms.into_iter().flat_map(|harm| firsts.map(|first| (harm, first))) {
        let case = format!("{harm}, {first} first");
        let folder = Folder::new();
        let options = folder.options();
        // The room is in the file itself, with numbers that would be given out again.
        let mut store = folder.open(options.clone());
        for n in 1..=5 {
            ask(&mut store, append(ROOM, "one", n));
        }
        drop(store);
        let mut store = folder.open(options.clone());
        for n in 6..=20 {
            ask(&mut store, append(ROOM, "one", n));
        }
        let epoch = page(&mut store, ROOM).0.epoch;
        let log = file::beside(&options.path, "-wal");
        let mut bytes = fs::read(&log).unwrap();
        let len = bytes.len();
        assert!(len > 15 * 4096, "{len}");
        store.dies();
        match harm {
            // A write that was not done to its end, and one that was begun.
            "the end" => bytes.truncate(len - 100),
            "amid" => bytes[len / 2..len / 2 + 5000].fill(7),
            "the head" => bytes[..32].fill(7),
            _ => {}
        }
        match harm {
            "gone" => fs::remove_file(&log).unwrap(),
            _ => fs::write(&log, bytes).unwrap(),
        }
        if let Some(log) = do_first(&folder, &options, first) {
            let told = log.is_some_and(|log| log.contains("what was said last"));
            assert_eq!(told, says, "{case}: whoever has it done is told");
        }
        let checked = read_through(&options.path).unwrap();
        assert_eq!(checked.contains("what was said last"), says, "{case}: {checked}");
        let mut store = Sqlite::open(options.clone(), 1).unwrap();
        let head = page(&mut store, ROOM).0;
        // What an import has been let write to is a copy.
        let is_new = says || first == "import";
        assert_eq!((head.epoch != epoch, head.seq < 20), (is_new, says || harm == "the end"), "{case}");
        // That is so once.
        store.dies();
        let checked = read_through(&options.path).unwrap();
        assert!(!checked.contains("what was said last"), "{case}: {checked}");
        assert_eq!(page(&mut Sqlite::open(options, 2).unwrap(), ROOM).0.epoch, head.epoch, "{case}");
    }
}

/// Whatever is done with a store before it is started again; and what is said of its log then, if that is asked.
fn do_first(folder: &Folder, options: &Options, first: &str) -> Option<Option<String>> {
    let path = &options.path;
    match first {
        "check" => drop(read_through(path).unwrap()),
        "export" => {
            let mut export = super::super::dump::Export::open(path, None).unwrap();
            while !export.next_piece().unwrap().is_empty() {}
            return Some(export.log());
        }
        "backup" => return Some(backup(path, &folder.0.join("copy"), &mut |_, _| ()).unwrap().log),
        "compact" => return Some(compact(path).unwrap().log),
        "import" => {
            let mut import = super::super::dump::Import::open(path, 1000, false).unwrap();
            import.take(super::super::dump::Record::User { name: "zed".into() }).unwrap();
            import.finish().unwrap();
        }
        // One that is killed when it has opened the file, which makes a log.
        "start" => {
            let mut claim = Claim::take(path).unwrap();
            let log = Log::of_claimed(&mut claim, options.boot.as_deref()).unwrap();
            log.to_write(path).unwrap().last().unwrap();
        }
        _ => {}
    }
    None
}

/// A backup that is put beside the log of what was there is not damaged: the log is that of another file, which is said
/// before anything of it is read into the backup.
#[test]
fn a_backup_beside_the_log_of_another_file() {
    let folder = Folder::new();
    let options = folder.options();
    let path = &options.path;
    let mut store = folder.open(options.clone());
    for n in 1..=20 {
        ask(&mut store, append(ROOM, "one", n));
    }
    let epoch = page(&mut store, ROOM).0.epoch;
    let copy = folder.0.join("copy.db");
    drop(backup(path, &copy, &mut |_, _| ()).unwrap());
    for n in 21..=30 {
        ask(&mut store, append(ROOM, "more", n));
    }
    store.dies();
    fs::remove_file(path).unwrap();
    fs::copy(&copy, path).unwrap();
    let log = file::beside(path, "-wal");
    let before = [fs::read(path).unwrap(), fs::read(&log).unwrap()];
    for sentence in [
        Sqlite::open(options.clone(), 1).map(drop),
        check(path).map(drop),
        read_through(path).map(drop),
        backup(path, &folder.0.join("other.db"), &mut |_, _| ()).map(drop),
        compact(path).map(drop),
        super::super::dump::Export::open(path, None).map(drop),
        super::super::dump::Import::open(path, 1000, false).map(drop),
    ] {
        let sentence = sentence.unwrap_err();
        assert!(sentence.contains(log.to_str().unwrap()) && sentence.contains("move that log away"), "{sentence}");
        assert!(!sentence.contains("damaged") && sentence.lines().count() == 1, "{sentence}");
        assert!([fs::read(path).unwrap(), fs::read(&log).unwrap()] == before, "{sentence}");
    }
    fs::remove_file(log).unwrap();
    let (head, texts) = page(&mut folder.open(options.clone()), ROOM);
    assert!(head.epoch != epoch && texts.len() == 20);
}

/// The lock keeps what is noted in it: in lines of fixed widths, which are written in place.
#[test]
fn what_is_noted_in_the_lock_stays() {
    let folder = Folder::new();
    let options = folder.options();
    drop(folder.open(options.clone()));
    let lock = file::beside(&options.path, "-lock");
    let len = fs::metadata(&lock).unwrap().len();
    let mut claim = Claim::take(&options.path).unwrap();
    let noted = claim.noted.unwrap();
    for batch in [noted, 7, i64::MAX] {
        claim.note_batch(batch).unwrap();
        claim.note_loss().unwrap();
        drop(claim);
        assert!(file::noted_beside(&options.path).lost);
        claim = Claim::take(&options.path).unwrap();
        assert!((claim.noted, claim.notes_loss()) == (Some(batch), true));
        assert_eq!(fs::metadata(&lock).unwrap().len(), len);
    }
    // As one was written before.
    drop(claim);
    fs::write(&lock, "4711\n12\n").unwrap();
    let claim = Claim::take(&options.path).unwrap();
    assert!((claim.noted, claim.notes_loss()) == (Some(12), false));
}

/// A start that is killed when it has made a new file and begun its log leaves one that is started again, whatever is
/// noted beside it of a file that was removed.
#[test]
fn a_killed_start_with_a_new_file_beside_an_old_lock() {
    for loses in [false, true] {
        let folder = Folder::new();
        let options = folder.options();
        let mut store = folder.open(options.clone());
        (1..5).for_each(|n| drop(ask(&mut store, append(ROOM, "of before", n))));
        drop(store);
        let noted = file::noted_beside(&options.path);
        assert!(noted.noted > Some(2) && noted.moved == noted.noted);
        if loses {
            Claim::take(&options.path).unwrap().note_loss().unwrap();
        }
        ["", "-wal", "-shm"].iter().for_each(|end| drop(fs::remove_file(file::beside(&options.path, end))));
        // One that cannot be made leaves what is noted.
        let mut claim = Claim::take(&options.path).unwrap();
        let made = claim.begin_store(|_| Err("the disk is full".to_owned()));
        assert_eq!(made.unwrap_err(), "the disk is full");
        let after = file::noted_beside(&options.path);
        assert_eq!((after.noted, after.moved, after.lost), (noted.noted, noted.moved, loses));
        // As far as `Sqlite::connect` comes before it notes what is in the file.
        claim.begin_store(|path| Ok::<_, Trouble>(opening::made(path)?.make(Epoch(9))?)).unwrap();
        let tables = Log::of_one_who_goes_on().to_write(&options.path).unwrap();
        tables.begin_log().unwrap();
        tables.note_use(options.boot.as_deref(), claim.inode().unwrap(), "process", 1).unwrap();
        drop((tables, claim));
        assert!(file::has_filled_log(&options.path));
        let checked = read_through(&options.path).unwrap();
        assert!(!checked.contains("what was said last"), "{checked}");
        let mut store = folder.open(options.clone());
        assert!(page(&mut store, ROOM).1.is_empty());
        assert!(ask(&mut store, append(ROOM, "on", 5))[0].contains("Published"));
    }
}

/// What is refused is refused before the tables are brought to this version.
#[test]
fn a_file_of_version_3_that_is_refused() {
    let folder = Folder::new();
    let options = folder.options();
    drop(folder.open(options.clone()));
    made_older(
        &options,
        "DROP INDEX entry_seq; CREATE UNIQUE INDEX entry_seq ON entry (conversation, seq); DROP TABLE trail;
         ALTER TABLE entry DROP COLUMN calls_room; DROP TABLE room_setting;
         PRAGMA user_version = 3;
         INSERT INTO ban (user) VALUES (CAST(x'ff' AS TEXT));",
    );
    let before = fs::read(&options.path).unwrap();
    let sentence = Sqlite::open(options.clone(), 1).unwrap_err();
    assert!(sentence.contains("the names that are kept out cannot be read"), "{sentence}");
    assert!(fs::read(&options.path).unwrap() == before);
    assert_eq!(fs::metadata(file::beside(&options.path, "-wal")).map_or(0, |found| found.len()), 0);
}

/// Where each commit is on the disk before the next one begins, a machine that stopped has left at most one behind,
/// which nobody was told of. More of them, or another one in the same start of the machine, were told: epochs are new.
#[test]
fn a_log_that_ends_where_the_machine_has_stopped() {
    let (process, power) = (Durability::Process, Durability::Power);
    for (durability, boot, behind, goes_on) in [
        (power, Some("second"), 1, true),
        (power, Some("second"), 2, false),
        (power, Some("second"), 9, false),
        (power, Some("first"), 1, false),
        (power, None, 1, false),
        (process, Some("second"), 1, false),
        (process, Some("first"), 1, false),
    ] {
        let case = format!("{durability:?} boot {boot:?} behind {behind}");
        let folder = Folder::new();
        let options = Options { durability, ..folder.options() };
        let mut store = folder.open(options.clone());
        // Fewer than are taken into the index together.
        for n in 1..=10 {
            ask(&mut store, append(ROOM, "one", n));
        }
        let epoch = page(&mut store, ROOM).0.epoch;
        store.dies();
        let log = file::beside(&options.path, "-wal");
        let mut bytes = fs::read(&log).unwrap();
        let frame = 24 + 4096;
        let ends = |at: &usize| bytes[at + 4..at + 8] != [0; 4];
        let commits: Vec<usize> = (32..bytes.len()).step_by(frame).filter(ends).collect();
        // The frame before the last of a commit: that commit is behind it, and the others.
        let at = commits[commits.len() - behind] - frame;
        assert!(!commits.contains(&at), "a commit has several frames");
        bytes[at + 100] ^= 1;
        fs::write(&log, bytes).unwrap();
        let checked = read_through(&options.path).unwrap();
        let is_told = durability == process || behind > 1;
        assert_eq!(checked.contains("what was said last is missing"), is_told, "{case}: {checked}");
        assert_eq!(checked.contains("of which nobody was told"), !is_told && boot_id().is_some(), "{case}: {checked}");
        let mut store = Sqlite::open(Options { boot: boot.map(Into::into), ..options }, 1).unwrap();
        let head = page(&mut store, ROOM).0;
        assert_eq!((head.epoch == epoch, head.seq), (goes_on, 10 - behind as u64), "{case}");
    }
}

/// While somebody reads the file it cannot be noted in it that it is used. If its log is lost or damaged then, the file
/// says that it was ended in order, or of another mode than that of what was lost: no number is given out twice.
#[test]
fn a_use_that_could_not_be_noted() {
    let (process, power) = (Durability::Process, Durability::Power);
    for (before, killed, now, harm) in [
        (process, false, process, "gone"),
        (process, false, process, "amid"),
        (power, false, power, "gone"),
        (power, true, process, "gone"),
        (power, true, process, "amid"),
    ] {
        let case = format!("{before:?} killed {killed}, then {now:?}, {harm}");
        let folder = Folder::new();
        let mut options = Options { durability: before, ..folder.options() };
        let mut store = folder.open(options.clone());
        ask(&mut store, append(ROOM, "one", 1));
        match killed {
            true => drop(store.dies()),
            false => drop(store),
        }
        let reader = rusqlite::Connection::open(&options.path).unwrap();
        // It leaves the log alone when it is closed.
        reader.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
        options.durability = now;
        let mut store = Sqlite::open(options.clone(), 8).unwrap();
        let mut told = Vec::new();
        for n in 2..9 {
            ask(&mut store, append(ROOM, "more", n));
            let head = page(&mut store, ROOM).0;
            told.push((head.epoch, head.seq));
        }
        store.dies();
        drop(reader);
        let log = file::beside(&options.path, "-wal");
        match harm {
            "gone" => fs::remove_file(&log).unwrap(),
            _ => {
                let mut bytes = fs::read(&log).unwrap();
                bytes[32..200].fill(7);
                fs::write(&log, bytes).unwrap();
            }
        }
        options.boot = Some("second".into());
        let mut store = Sqlite::open(options, 9).unwrap();
        for n in 10..20 {
            ask(&mut store, append(ROOM, "again", n));
            let head = page(&mut store, ROOM).0;
            assert!(!told.contains(&(head.epoch, head.seq)), "{case}: {head:?}");
        }
    }
}

/// What lies beside a file that could not be written to was made so; it is as the file is when that can be.
#[test]
fn what_lies_beside_has_the_mode_of_the_file() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    store.dies();
    for beside in ["-shm", "-wal"] {
        let beside = file::beside(&options.path, beside);
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o444)).unwrap();
    }
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "two", 2));
    for beside in ["-shm", "-wal"] {
        let mode = fs::metadata(file::beside(&options.path, beside)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{beside}");
    }
}
