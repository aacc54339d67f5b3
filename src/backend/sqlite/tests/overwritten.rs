//! Something else is written into the file or its log, in their places, while they are in use.

use super::*;
use crate::backend::sqlite::trouble::Overwritten;

/// A store with the file as it was after the first message, and as it is after the second, which is in it, too; a third
/// is in the log alone.
struct Stage {
    folder: Folder,
    store: Sqlite,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Stage {
    fn new() -> Self {
        let folder = Folder::new();
        let mut store = folder.open(folder.options());
        let path = folder.options().path;
        let mut say = |text: &str, n| {
            ask(&mut store, append(ROOM, text, n));
            move_log(&mut store);
            fs::read(&path).unwrap()
        };
        let (old, new) = (say("one", 1), say("two", 2));
        ask(&mut store, append(ROOM, "three", 3));
        Self { folder, store, old, new }
    }

    fn path(&self, end: &str) -> PathBuf {
        file::beside(&self.folder.options().path, end)
    }

    /// Nothing is taken or shown, for this reason, and nothing is written to either file.
    fn nothing_is_taken(&mut self, what: Overwritten) {
        let files = ["", "-wal"].map(|end| self.path(end));
        let before = files.each_ref().map(|path| fs::read(path).unwrap());
        for ticket in 10..13 {
            let failed = format!("Failed {{ ticket: Ticket({ticket}) }}");
            let failed = std::slice::from_ref(&failed);
            assert_eq!(ask(&mut self.store, append(ROOM, "lost", ticket)), failed, "{what:?}");
            assert_eq!(ask(&mut self.store, read(ROOM, ticket)), failed, "{what:?}");
        }
        assert_eq!(self.store.health().unwrap().failing.as_deref(), Some("something else was written into the file"));
        assert!(!self.store.damaged, "{what:?}");
        self.store.expire(moment(20));
        hear(&mut self.store);
        let reason = self.store.look_at_files();
        assert!(matches!(reason, Err(Trouble::Overwritten(found)) if found == what), "{reason:?}");
        assert_eq!(files.each_ref().map(|path| fs::read(path).unwrap()), before, "{what:?}");
    }

    /// It goes on by itself, with all that was said before, also after an end.
    fn goes_on(mut self) {
        let epoch = page(&mut self.store, ROOM).0.epoch;
        assert!(ask(&mut self.store, append(ROOM, "four", 30))[0].contains("seq: 4"));
        assert!(self.store.health().unwrap().failing.is_none());
        drop(self.store);
        let mut store = self.folder.open(self.folder.options());
        let (head, texts) = page(&mut store, ROOM);
        assert_eq!((head.epoch, texts), (epoch, ["one", "two", "three", "four"].map(str::to_owned).to_vec()));
        assert_eq!(store.tables().unwrap().fault().unwrap(), None);
    }
}

fn move_log(store: &mut Sqlite) {
    let all = store.tables().unwrap().checkpoint().unwrap();
    store.note_moved(all).unwrap();
}

/// Another store, and what is in its file, of as many batches. As long as it is there nothing else has its inode.
fn of_another_store() -> (Stage, Vec<u8>) {
    let mut stage = Stage::new();
    move_log(&mut stage.store);
    let content = fs::read(stage.path("")).unwrap();
    (stage, content)
}

/// A copy of before, nothing, a part of itself, what is of another store, and what is none: whatever is written into
/// the file, nothing is told or written behind that until what was there is there again.
#[test]
fn what_is_written_over_the_file_is_missed() {
    let (_other, other) = of_another_store();
    for n in 0..5 {
        let mut stage = Stage::new();
        let content = match n {
            0 => stage.old.clone(),
            1 => Vec::new(),
            2 => stage.new[..stage.new.len() / 2].to_vec(),
            3 => other.clone(),
            _ => vec![0x5a; stage.new.len()],
        };
        fs::write(stage.path(""), content).unwrap();
        stage.nothing_is_taken(Overwritten::File);
        // A reader beside it has nothing to say either.
        let mut beside = ReadOnly::new(&stage.folder.options());
        beside.ask(read(ROOM, 5)).unwrap();
        assert!(matches!(beside.poll(), Some(News::Failed { .. })), "{n}");
        fs::write(stage.path(""), &stage.new).unwrap();
        stage.goes_on();
    }
}

/// A reader beside the writer shows nothing of what was written into the file.
#[test]
fn what_is_written_over_the_file_is_not_read() {
    let mut stage = Stage::new();
    let mut beside = ReadOnly::new(&stage.folder.options());
    let mut reads = || {
        beside.ask(read(ROOM, 5)).unwrap();
        let shown = matches!(beside.poll(), Some(News::Page { .. }));
        assert!(beside.poll().is_none());
        shown
    };
    assert!(reads());
    move_log(&mut stage.store);
    assert!(reads());
    // The log is empty, so that it is in no other way amiss.
    fs::write(stage.path(""), &stage.old).unwrap();
    assert!(!reads() && !reads());
    let sentence = backup(&stage.path(""), &stage.folder.0.join("copy"), &mut |_, _| ()).unwrap_err();
    assert!(sentence.contains("in use, and something else was written into it"), "{sentence}");
}

/// What was there is written again, or named otherwise: nothing is amiss.
#[test]
fn a_file_that_is_touched_is_the_same() {
    let mut stage = Stage::new();
    fs::write(stage.path(""), &stage.new).unwrap();
    assert!(page(&mut stage.store, ROOM).1.len() == 3);
    fs::hard_link(stage.path(""), stage.path("-name")).unwrap();
    fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o640)).unwrap();
    let log = fs::read(stage.path("-wal")).unwrap();
    fs::write(stage.path("-wal"), log).unwrap();
    // By hand, as `sqlite3` does.
    let hand = rusqlite::Connection::open(stage.path("")).unwrap();
    hand.execute_batch("INSERT INTO person (name) VALUES ('eve'); PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(hand);
    assert!(!stage.store.ailing);
    stage.goes_on();
}

/// Salon is ended then, which leaves the file as it was put there, and started again: that is refused, because the log
/// is not of that file, until the log is moved away. Numbers are given out in another epoch.
#[test]
fn a_start_behind_a_file_that_was_written_over() {
    for (ends, empty) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut stage = Stage::new();
        let options = stage.folder.options();
        let epoch = page(&mut stage.store, ROOM).0.epoch;
        let content = if empty { Vec::new() } else { stage.old.clone() };
        fs::write(stage.path(""), &content).unwrap();
        let [log, shared] = ["-wal", "-shm"].map(|end| stage.path(end));
        match ends {
            true => drop(stage.store),
            false => drop(stage.store.dies()),
        }
        let refused = Sqlite::open(options.clone(), 8).unwrap_err();
        let words = if empty { "it is not there, and its log is" } else { "than what the log beside it" };
        assert!(refused.contains(words) && refused.contains("move") && !refused.contains("remove"), "{refused}");
        if !empty {
            assert_eq!(check(&options.path).unwrap_err(), refused);
            assert_eq!(backup(&options.path, &stage.folder.0.join("copy"), &mut |_, _| ()).unwrap_err(), refused);
        }
        assert_eq!(fs::read(&options.path).unwrap(), content);
        [log, shared].iter().for_each(|path| fs::remove_file(path).unwrap());
        let (head, texts) = page(&mut Sqlite::open(options, 9).unwrap(), ROOM);
        assert!(head.epoch != epoch);
        assert_eq!(texts, if empty { vec![] } else { vec!["one".to_owned()] });
    }
}

/// The log is cut off, written over, or brought to what it was before: that is missed as well. When it is there again
/// it goes on; a start without it begins new epochs.
#[test]
fn what_is_written_over_the_log_is_missed() {
    for n in 0..4 {
        for is_put_back in [true, false] {
            let mut stage = Stage::new();
            let epoch = page(&mut stage.store, ROOM).0.epoch;
            let log = stage.path("-wal");
            let before = fs::read(&log).unwrap();
            ask(&mut stage.store, append(PAIR, "three and a half", 4));
            let right = fs::read(&log).unwrap();
            let content = match n {
                0 => Vec::new(),
                1 => right[..before.len()].to_vec(),
                2 => vec![0x5a; right.len()],
                // Of the same length, as where a log is begun again from its first byte.
                _ => [&before[..], &vec![0; right.len() - before.len()]].concat(),
            };
            fs::write(&log, content).unwrap();
            stage.nothing_is_taken(Overwritten::Log);
            if is_put_back {
                fs::write(&log, right).unwrap();
                stage.goes_on();
                continue;
            }
            drop(stage.store);
            let mut store = Sqlite::open(stage.folder.options(), 8).unwrap();
            assert_ne!(page(&mut store, ROOM).0.epoch, epoch, "{n}");
            assert_eq!(store.tables().unwrap().fault().unwrap(), None);
        }
    }
}

/// The log of a Salon that was killed is emptied, or cut off behind its head, or it was before it was killed and nobody
/// has spoken since: whoever reads the file is told, and a start begins new epochs, once. An empty log behind a move of
/// all of it, by whomever, has lost nothing.
#[test]
fn a_log_that_is_emptied_is_missed_by_the_next_start() {
    for (len, is_moved) in [(0, false), (32, false), (4096 + 56, false), (0, true)] {
        let mut stage = Stage::new();
        let options = stage.folder.options();
        let epoch = page(&mut stage.store, ROOM).0.epoch;
        let last = if is_moved { 3 } else { 2 };
        stage.store.dies();
        if is_moved {
            let hand = rusqlite::Connection::open(&options.path).unwrap();
            hand.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
            hand.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        }
        let log = fs::OpenOptions::new().write(true).open(stage.folder.0.join("state/salon.db-wal")).unwrap();
        log.set_len(len).unwrap();
        let checked = read_through(&options.path).unwrap();
        assert_eq!(checked.contains("what was said last is missing"), !is_moved, "{len}: {checked}");
        let mut store = Sqlite::open(options.clone(), 8).unwrap();
        let head = page(&mut store, ROOM).0;
        assert_eq!((head.seq, head.epoch == epoch), (last, is_moved), "{len}");
        ask(&mut store, append(ROOM, "on", 5));
        store.dies();
        assert_eq!(page(&mut Sqlite::open(options, 9).unwrap(), ROOM).0.epoch, head.epoch);
    }
}

/// A folder is brought to what it was before, all files of it in their places: it is in itself whole, and lacks what
/// was said since.
#[test]
fn a_folder_that_is_copied_over_is_missed() {
    let mut stage = Stage::new();
    let before = ["-wal", "-shm"].map(|end| (stage.path(end), fs::read(stage.path(end)).unwrap()));
    ask(&mut stage.store, append(ROOM, "four", 4));
    for (path, content) in &before {
        // The length stays, so that nobody reads behind the end of what is mapped into memory.
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, content, 0).unwrap();
    }
    assert_eq!(ask(&mut stage.store, append(ROOM, "lost", 5)), ["Failed { ticket: Ticket(5) }"]);
    assert_eq!(stage.store.health().unwrap().failing.as_deref(), Some("something else was written into the file"));
}

/// Of a reader who keeps a part of the log from being moved, or an error amid the move: the first page in the file
/// names more than the file has. It is what was there, so that all goes on.
#[test]
fn a_file_with_a_part_of_its_log_is_the_same() {
    for is_read in [true, false] {
        let folder = Folder::new();
        let options = folder.options();
        let mut store = folder.open(options.clone());
        // The last one has a page of its own, which the next one is written into.
        let long = "x".repeat(300);
        let pages = |store: &Sqlite| store.tables().unwrap().pages().unwrap().1;
        let (mut before, mut said) = (pages(&store), 0);
        for grown in [false, true] {
            while pages(&store) == before {
                said += 1;
                ask(&mut store, append(ROOM, &long, said));
            }
            if !grown {
                move_log(&mut store);
            }
            before = pages(&store);
        }
        let reader = is_read.then(|| {
            let reader = rusqlite::Connection::open(&options.path).unwrap();
            // It leaves the log alone when it is closed.
            reader.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
            reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
            reader
        });
        ask(&mut store, append(ROOM, "two", 2));
        assert_eq!(pages(&store), before);
        if is_read {
            let (_, all) = store.move_log(Tables::shorten_log).unwrap();
            assert!(!all);
        } else {
            // As the disk has left it that became full behind the first page.
            let copy = folder.0.join("copy");
            for end in ["", "-wal"] {
                fs::copy(file::beside(&options.path, end), file::beside(&copy, end)).unwrap();
            }
            let moved = rusqlite::Connection::open(&copy).unwrap();
            moved.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
            let first = &fs::read(&copy).unwrap()[..4096];
            let file = fs::OpenOptions::new().write(true).open(&options.path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, first, 0).unwrap();
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
            let reason = store.reason(rusqlite::Error::SqliteFailure(full, None).into());
            assert_eq!(reason.in_short(&options.path), "the disk is full");
        }
        let head = fs::read(&options.path).unwrap();
        let named = u32::from_be_bytes(*head[28..].first_chunk().unwrap());
        assert!(head.len() < named as usize * 4096, "{} bytes, {named} pages", head.len());
        assert!(ask(&mut store, append(ROOM, "three", 3))[0].contains("Published"));
        let mut beside = ReadOnly::new(&options);
        beside.ask(read(ROOM, 5)).unwrap();
        assert!(matches!(beside.poll(), Some(News::Page { .. })));
        // So does a start behind a kill.
        let epoch = page(&mut store, ROOM).0.epoch;
        store.dies();
        drop((beside, reader));
        let mut store = folder.open(options);
        let (head, texts) = page(&mut store, ROOM);
        let last = [&*long, "two", "three"];
        assert!(
            (head.epoch, head.seq) == (epoch, said + 2) && texts.ends_with(&last.map(str::to_owned)),
            "{is_read}: {head:?}"
        );
    }
}

/// What cannot be read of a file into which its log was moved in part says nothing; behind a whole move it does.
#[test]
fn a_part_that_cannot_be_read_alone_is_no_alarm() {
    for is_whole in [false, true] {
        let mut stage = Stage::new();
        let mut content = stage.new.clone();
        content[4096..8192].fill(0x5a);
        fs::write(stage.path(""), content).unwrap();
        stage.store.own.file.is_whole = is_whole;
        assert_eq!(stage.store.look_at_files().is_err(), is_whole);
        stage.store.note_moved(false).unwrap();
        // One that is shorter than it was is none of its own.
        fs::write(stage.path(""), &stage.new[..stage.new.len() / 2]).unwrap();
        stage.nothing_is_taken(Overwritten::File);
        fs::write(stage.path(""), &stage.new).unwrap();
        stage.goes_on();
    }
}

/// Of a file into which its log was moved in part, what another program or another Salon has made is none, whatever
/// can be read of it.
#[test]
fn a_part_is_told_from_another_file() {
    let (_other, other) = of_another_store();
    for n in 0..4 {
        let mut stage = Stage::new();
        let made = stage.folder.0.join("made");
        let program = rusqlite::Connection::open(&made).unwrap();
        program.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(1000000))").unwrap();
        if n == 1 {
            program.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
            program.pragma_update(None, "user_version", schema::VERSION).unwrap();
        }
        drop(program);
        let content = if n < 2 { fs::read(&made).unwrap() } else { other.clone() };
        assert!(content.len() >= stage.new.len());
        stage.store.own.file.is_whole = false;
        if n == 3 {
            // It could not be read yet as it was.
            stage.store.own.file.forget_alone();
        }
        fs::write(stage.path(""), content).unwrap();
        stage.nothing_is_taken(Overwritten::File);
        fs::write(stage.path(""), &stage.new).unwrap();
        stage.goes_on();
    }
}

/// What is noted beside a file of its moves is of that file alone: a Salon that knew nothing of them has used another
/// one there meanwhile, and was killed.
#[test]
fn what_was_moved_is_of_the_file_that_was_used_last() {
    let stage = Stage::new();
    let options = stage.folder.options();
    let (old, lock) = (stage.old.clone(), stage.path("-lock"));
    drop(stage.store);
    let fourth = |text: &str| text.lines().nth(3).unwrap().to_owned();
    let moved = fourth(&fs::read_to_string(&lock).unwrap());
    fs::write(&options.path, &old).unwrap();
    let mut store = Sqlite::open(options.clone(), 8).unwrap();
    // It notes no more than that, at its start.
    let noted = fs::read_to_string(&lock).unwrap();
    ask(&mut store, append(ROOM, "of the other", 3));
    let epoch = page(&mut store, ROOM).0.epoch;
    store.dies();
    fs::write(&lock, noted.replace(&fourth(&noted), &moved)).unwrap();
    let (head, texts) = page(&mut Sqlite::open(options, 9).unwrap(), ROOM);
    assert_eq!((head.epoch, texts), (epoch, vec!["one".to_owned(), "of the other".to_owned()]));
}

/// A start with a backup in the place of a file that had more is killed before it has noted its use: the log that it
/// has begun is of the backup, whose conversations go on in new epochs.
#[test]
fn a_killed_start_with_an_older_file() {
    let mut stage = Stage::new();
    let (options, old) = (stage.folder.options(), stage.old.clone());
    let epoch = page(&mut stage.store, ROOM).0.epoch;
    move_log(&mut stage.store);
    stage.store.dies();
    fs::write(&options.path, &old).unwrap();
    ["-wal", "-shm"].iter().for_each(|end| fs::remove_file(file::beside(&options.path, end)).unwrap());
    for _ in 0..2 {
        let mut claim = Claim::take(&options.path).unwrap();
        let log = Log::of_claimed(&mut claim, options.boot.as_deref()).unwrap();
        let tables = log.to_write(&options.path).unwrap();
        tables.begin_log().unwrap();
        tables.execute("INSERT OR IGNORE INTO person (name) VALUES ('eve')", []).unwrap();
    }
    let (head, texts) = page(&mut Sqlite::open(options, 9).unwrap(), ROOM);
    assert!(head.epoch != epoch && texts == ["one"], "{head:?} {texts:?}");
}
