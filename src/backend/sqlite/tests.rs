//! What a store on disk promises beyond [the rows of every store](crate::backend::tests): that it is there again.

mod dump;
mod search;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::reading::{MAX_MARKS, MAX_MARKS_OF_ALL};
use super::*;
use crate::backend::memory::{Limits, Memory};
use crate::backend::{Ban, Bounds, MAX_EMOJI, Right};
use crate::time::Tick;

const ALL: Bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };
const ROOM: Conversation<'_> = Conversation::Room("den");
const PAIR: Conversation<'_> = Conversation::Direct("ann", "bob");

/// A folder of its own, which goes with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("salon-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            path: self.0.join("state/salon.db"),
            durability: Durability::Process,
            messages: 1000,
            age: Duration::from_secs(1_000_000),
            size: u64::MAX,
            people: 1000,
            boot: Some("first".into()),
        }
    }

    pub(crate) fn open(&self, options: Options) -> Sqlite {
        Sqlite::open(options, 7).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Sqlite {
    /// Ends as a process does that is killed: what was committed is in the file, and nothing more is written.
    fn dies(mut self) -> Random {
        if self.open {
            self.tables().unwrap().roll_back().unwrap();
        }
        self.tables = None;
        std::mem::replace(&mut self.random, 0.into())
    }
}

fn moment(at: u64) -> Moment {
    Moment { tick: Tick(at), unix_ms: at }
}

fn append<'a>(conversation: Conversation<'a>, content: &'a str, ticket: u64) -> Request<'a> {
    let entry = NewEntry::message("ann", content, moment(ticket));
    Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(ticket) }
}

/// Any entry in the room, by anybody.
fn act<'a>(sender: &'a str, body: NewBody<'a>, at: u64) -> Request<'a> {
    let entry = NewEntry { sender, body, at: moment(at) };
    Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(at) }
}

fn edit(of: u64, content: &str) -> NewBody<'_> {
    NewBody::Edit { of, content, within: None }
}

fn delete<'a>(of: u64) -> NewBody<'a> {
    NewBody::Delete { of, right: Right::Sender { within: None } }
}

fn react(of: u64, emoji: &str, on: bool) -> NewBody<'_> {
    NewBody::Reaction { of, emoji, on }
}

fn query(store: &mut Sqlite, query: Query, user: &str) -> Vec<String> {
    let reader = Some(Reader { user, reading: false });
    let now = moment(1);
    store.ask(Request::Read { conversation: ROOM, query, reader, now, about: None, ticket: Ticket(1) }).unwrap();
    match store.poll() {
        Some(News::Page { entries, .. }) => {
            entries.iter().map(|entry| format!("{} {:?}", entry.seq, entry.body)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn read(conversation: Conversation<'_>, ticket: u64) -> Request<'_> {
    let query = Query::Newest(ALL);
    Request::Read { conversation, query, reader: None, now: moment(ticket), about: None, ticket: Ticket(ticket) }
}

fn hear(store: &mut Sqlite) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(news) = store.poll() {
        heard.push(format!("{news:?}"));
    }
    heard
}

fn ask(store: &mut Sqlite, request: Request<'_>) -> Vec<String> {
    store.ask(request).unwrap();
    hear(store)
}

fn page(store: &mut Sqlite, conversation: Conversation<'_>) -> (Head, Vec<String>) {
    store.ask(read(conversation, 1)).unwrap();
    match store.poll() {
        Some(News::Page { head, entries, .. }) => {
            (head, entries.iter().map(|entry| entry.said().unwrap_or_default().to_owned()).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// All that was told is there again, however the process ended; what nobody was told of need not be.
#[test]
fn what_was_told_is_there_again() {
    for (killed, durability) in [
        (false, Durability::Process),
        (true, Durability::Process),
        (false, Durability::Power),
        (true, Durability::Power),
    ] {
        let folder = Folder::new();
        let options = Options { durability, ..folder.options() };
        let mut store = folder.open(options.clone());
        assert_eq!(store.durability(), durability.word());
        let about = Description { room: "den", title: Some("Den"), topic: Some("talk"), created_at: 9, created: true };
        let query = Query::Head;
        let makes = Request::Read {
            conversation: ROOM,
            query,
            reader: None,
            now: moment(0),
            about: Some(about),
            ticket: Ticket(0),
        };
        ask(&mut store, makes);
        for content in ["one", "two", "drei\0 Ü"] {
            ask(&mut store, append(ROOM, content, 1));
            ask(&mut store, append(PAIR, content, 1));
        }
        ask(&mut store, Request::Know { user: "cat" });
        let before = [page(&mut store, ROOM), page(&mut store, PAIR)];
        let nothing = page(&mut store, Conversation::Direct("x", "y")).0;
        // Asked, and not told: nobody knows.
        store.ask(append(ROOM, "untold", 1)).unwrap();
        match killed {
            true => drop(store.dies()),
            false => drop(store),
        }
        let mut store = Sqlite::open(options, 8).unwrap();
        if !killed {
            assert_eq!(page(&mut store, ROOM).1.pop().unwrap(), "untold");
            ask(&mut store, Request::Erase { room: "none" });
        } else {
            assert_eq!([page(&mut store, ROOM), page(&mut store, PAIR)], before);
        }
        assert_eq!(page(&mut store, PAIR), before[1]);
        assert_eq!(page(&mut store, Conversation::Direct("x", "y")).0, nothing);
        store.tell_catalogue();
        let told = hear(&mut store);
        let card = format!("Room {{ description: {about:?}, keeps: true }}");
        let users = ["ann", "bob", "cat"].map(|name| format!("User {{ name: {name:?} }}"));
        assert_eq!(told, [&[card][..], &users[..]].concat());
        assert!(store.is_idle());
    }
}

/// When the machine has stopped, and in copies, numbers may be missing: epochs are new, and history is there.
#[test]
fn numbers_that_may_be_lost_are_of_an_epoch_that_is_over() {
    let (process, power) = (Durability::Process, Durability::Power);
    let same = Some("first");
    for (durability, killed, boot, copied, goes_on) in [
        (process, true, same, false, true),
        (process, true, Some("second"), false, false),
        (process, true, None, false, false),
        (process, false, Some("second"), false, true),
        (process, false, None, false, true),
        (power, true, Some("second"), false, true),
        (power, true, None, false, true),
        (process, false, same, true, false),
        (power, false, same, true, false),
    ] {
        let case = format!("{durability:?} killed {killed} boot {boot:?} copied {copied}");
        let folder = Folder::new();
        let options = Options { durability, ..folder.options() };
        let mut store = folder.open(options.clone());
        ask(&mut store, append(ROOM, "one", 1));
        ask(&mut store, append(PAIR, "one", 1));
        let before = [page(&mut store, ROOM).0, page(&mut store, PAIR).0];
        let nothing = page(&mut store, Conversation::Direct("x", "y")).0.epoch;
        match killed {
            true => drop(store.dies()),
            false => drop(store),
        }
        if copied {
            let copy = folder.0.join("copy");
            fs::copy(&options.path, &copy).unwrap();
            fs::rename(&copy, &options.path).unwrap();
        }
        let options = Options { boot: boot.map(Into::into), durability: process, ..options };
        let mut store = Sqlite::open(options.clone(), 8).unwrap();
        for (place, before) in [(ROOM, before[0]), (PAIR, before[1])] {
            let (head, found) = page(&mut store, place);
            assert_eq!((head.seq, head.kept, found), (1, 1, vec!["one".to_owned()]), "{case}");
            assert_eq!(head.epoch == before.epoch, goes_on, "{case}");
        }
        assert_eq!(page(&mut store, Conversation::Direct("x", "y")).0.epoch == nothing, goes_on, "{case}");
        // That is so once: in this boot it goes on.
        let now = page(&mut store, ROOM).0;
        store.dies();
        let mut store = Sqlite::open(options, 9).unwrap();
        assert_eq!(page(&mut store, ROOM).0.epoch == now.epoch, boot.is_some(), "{case}");
    }
}

/// Whatever is done, and however often the process is killed amid it, a store on disk says what one in memory says
/// that lives on.
#[test]
fn killed_at_random_it_says_what_memory_says() {
    for seed in 0..6 {
        let mut random = Random::from(seed);
        let folder = Folder::new();
        let age = Duration::from_millis(60);
        let options = Options { messages: 5, age, ..folder.options() };
        let mut disk = folder.open(options.clone());
        let mut memory = Memory::new(Limits { messages: 5, age, ..Limits::default() }, 7);
        for step in 1..400 {
            let name = ["den", "bar", "hut"][random.below(3) as usize];
            let conversation = match random.below(3) {
                0 => Conversation::Direct("ann", name),
                _ => Conversation::Room(name),
            };
            let bounds = Bounds { entries: 3, bytes: 100 };
            let ticket = Ticket(step);
            let user = ["ann", "bar"][random.below(2) as usize];
            let reader = Some(Reader { user, reading: random.below(2) == 0 });
            let read = |query| Request::Read { conversation, query, reader, now: moment(step), about: None, ticket };
            let of = 1 + random.below(12);
            let within = Some(Duration::from_millis(20)).filter(|_| random.below(2) == 0);
            let does = |sender, body| {
                let entry = NewEntry { sender, body, at: moment(step) };
                Request::Append { conversation, entry, retry: None, about: None, ticket }
            };
            let text = format!("edit {step}");
            let mut names = String::new();
            let rooms = Names::join(["hut", "nowhere", "den"], &mut names);
            let request = match random.below(21) {
                12 => does("ann", NewBody::Edit { of, content: &text, within }),
                13 => does(user, NewBody::Delete { of, right: Right::Moderator }),
                14 => does(user, NewBody::Delete { of, right: Right::Sender { within } }),
                15 => does(user, react(of, ["+", "-"][random.below(2) as usize], random.below(3) > 0)),
                16 => does(user, NewBody::Message { content: name, reply_to: Some(of) }),
                17 => Request::Mark { user, conversation, seq: of, ticket },
                18 => Request::Readings { user, rooms, now: moment(step), ticket },
                19 => Request::Conversations { user, cursor: None, limit: 5, now: moment(step), ticket },
                20 => read(Query::Following(of, ALL)),
                0..6 => append(conversation, name, step),
                6 => read(Query::Newest(bounds)),
                7 => read(Query::After(random.below(9), bounds)),
                8 => read(Query::Before(random.below(9), bounds)),
                9 => Request::Know { user: name },
                10 => Request::Release { room: name },
                _ => Request::Erase { room: name },
            };
            let mut said = [Vec::new(), Vec::new()];
            // What waits is heard before a room ends, which nothing may wait for, and now and then.
            let (hear, sweep, dies) = (random.below(3) == 0, random.below(40) == 0, random.below(30) == 0);
            let stores: [&mut dyn Backend; 2] = [&mut memory, &mut disk];
            for (store, said) in stores.into_iter().zip(&mut said) {
                let mut hear_all = |store: &mut dyn Backend| {
                    while let Some(news) = store.poll() {
                        said.push(format!("{news:?}"));
                    }
                };
                let ends = matches!(request, Request::Release { .. } | Request::Erase { .. });
                if ends || sweep {
                    hear_all(store);
                }
                if sweep {
                    store.expire(moment(step));
                    hear_all(store);
                }
                store.ask(request).unwrap();
                if ends || hear || dies {
                    hear_all(store);
                }
                // Memory says first which rooms are empty now.
                said.sort();
            }
            assert_eq!(said[1], said[0], "seed {seed} step {step} {request:?}");
            if dies {
                let random = disk.dies();
                disk = Sqlite::open(options.clone(), random).unwrap();
            }
        }
    }
}

/// What has expired, was pushed out or erased is not in the file, and its pages are used again.
#[test]
fn what_is_gone_is_gone_from_the_file() {
    let folder = Folder::new();
    let options = Options { messages: 3, age: Duration::from_millis(1000), ..folder.options() };
    let mut store = folder.open(options.clone());
    for n in 0..200 {
        ask(&mut store, append(ROOM, &format!("needle {n}."), 1));
    }
    ask(&mut store, append(Conversation::Room("bar"), "needle erased.", 1));
    ask(&mut store, Request::Erase { room: "bar" });
    ask(&mut store, append(PAIR, "needle expired.", 1));
    ask(&mut store, append(ROOM, "needle young.", 2000));
    store.expire(moment(2000));
    hear(&mut store);
    drop(store);
    let bytes = fs::read(&options.path).unwrap();
    let found = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    assert!(found("needle young."));
    for gone in ["needle 0.", "needle 150.", "needle 196.", "needle 199.", "needle erased.", "needle expired."] {
        assert!(!found(gone), "{gone}");
    }
}

/// A lowered limit is reached piece by piece, and what is too old goes so too.
#[test]
fn work_at_once_is_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: 1 << 20, ..folder.options() });
    for ticket in 0..5000 {
        store.ask(append(ROOM, "x", ticket)).unwrap();
        if ticket % 1000 == 999 {
            hear(&mut store);
        }
    }
    drop(store);
    let mut store = folder.open(Options { messages: 100, ..folder.options() });
    ask(&mut store, append(ROOM, "x", 1));
    let mut kept = vec![];
    while kept.last() != Some(&100) {
        assert!(store.expire(moment(1)));
        hear(&mut store);
        let head = store.tables().unwrap().find("den", "").unwrap().unwrap();
        kept.push(head.kept());
    }
    let dropped = MAX_DROPPED_AT_ONCE;
    // The walk goes on when nobody waits, a piece each time.
    assert_eq!(kept[..2], [4999 - 2 * dropped, 4999 - 4 * dropped]);
    // People too are as many as may be.
    let mut store = {
        drop(store);
        folder.open(Options { people: 3, ..folder.options() })
    };
    for name in ["a", "b", "c", "d", "a", "e"] {
        ask(&mut store, Request::Know { user: name });
    }
    store.tell_catalogue();
    let told = hear(&mut store);
    assert_eq!(told[1..], ["d", "a", "e"].map(|name| format!("User {{ name: {name:?} }}")));
}

/// What is too old goes also where more comes than one step of a sweep drops.
#[test]
fn age_is_held_where_much_is_said() {
    let folder = Folder::new();
    let mut store = folder.open(Options { age: Duration::from_millis(1000), messages: 1 << 20, ..folder.options() });
    let kept = |store: &mut Sqlite, at| {
        store.write_heads(true).unwrap();
        store.tables().unwrap().find(at, "").unwrap().unwrap().kept()
    };
    // Of two people as much as one step may drop.
    for n in 0..MAX_DROPPED_AT_ONCE {
        store.ask(append(PAIR, "old", n % 2)).unwrap();
    }
    hear(&mut store);
    for is_busy in [false, true] {
        for _ in 0..5000 {
            store.ask(append(Conversation::Room("bar"), "old", 1)).unwrap();
            if store.tickets.len() == 1000 {
                hear(&mut store);
            }
        }
        hear(&mut store);
        store.expire(moment(5000));
        for _ in 0..10 {
            match is_busy {
                // Somebody asks each time before it comes to a piece of its own.
                true => drop(ask(&mut store, append(ROOM, "new", 5000))),
                false => drop(hear(&mut store)),
            }
        }
        assert_eq!(kept(&mut store, "bar"), 0, "is busy: {is_busy}");
    }
    assert_eq!(kept(&mut store, "den"), 10);
}

#[test]
fn a_batch_is_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    for ticket in 0..MAX_BATCH as u64 {
        store.ask(append(ROOM, "", ticket)).unwrap();
    }
    assert_eq!(store.ask(append(ROOM, "", 0)), Err(Overloaded));
    assert_eq!(hear(&mut store).len(), MAX_BATCH);
    let long = "x".repeat(MAX_BATCH_BYTES / 4);
    for ticket in 0..4 {
        store.ask(append(PAIR, &long, ticket)).unwrap();
    }
    assert_eq!(store.ask(append(PAIR, "", 0)), Err(Overloaded));
    assert_eq!(hear(&mut store).len(), 4);
    assert_eq!(store.ask(append(PAIR, "", 0)), Ok(()));
}

/// All of a batch fails with it, nothing of it is shown, and it goes on by itself.
#[test]
fn a_full_disk() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    ask(&mut store, append(ROOM, "one", 1));
    let before = page(&mut store, ROOM);
    let nothing = page(&mut store, PAIR);
    store.tables().unwrap().allow_pages(1).unwrap();
    let long = "x".repeat(100_000);
    store.ask(append(ROOM, "small", 2)).unwrap();
    store.ask(append(PAIR, &long, 3)).unwrap();
    store.ask(read(ROOM, 4)).unwrap();
    store.ask(Request::Know { user: "eve" }).unwrap();
    let failed = [2, 3, 4].map(|ticket| format!("Failed {{ ticket: Ticket({ticket}) }}"));
    assert_eq!(hear(&mut store), failed);
    assert!(store.ailing && store.is_idle());
    assert_eq!((page(&mut store, ROOM), page(&mut store, PAIR)), (before.clone(), nothing));
    // That it can be read does not mean that it can be written to.
    let failing = |store: &Sqlite| store.health().unwrap().failing;
    assert_eq!(failing(&store).as_deref(), Some("the disk is full"));
    store.tables().unwrap().allow_pages(1 << 20).unwrap();
    assert!(ask(&mut store, append(ROOM, &long, 5))[0].starts_with("Published"));
    assert!(!store.ailing);
    let Health { failing, failures, commits, .. } = store.health().unwrap();
    assert_eq!((failing, failures, commits.buckets.iter().sum()), (None, 1, 2));
    let (head, found) = page(&mut store, ROOM);
    assert_eq!((head.epoch, head.seq, found.len()), (before.0.epoch, 2, 2));
    assert_eq!(ask(&mut store, append(ROOM, "three", 6)).len(), 1);
}

/// Somebody writes to the file by hand, and takes long: requests fail meanwhile.
#[test]
fn another_writer() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    ask(&mut store, append(ROOM, "one", 1));
    let before = page(&mut store, ROOM);
    let hand = rusqlite::Connection::open(&folder.options().path).unwrap();
    hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    for ticket in 2..4 {
        let failed = format!("Failed {{ ticket: Ticket({ticket}) }}");
        assert_eq!(ask(&mut store, append(ROOM, "two", ticket)), [failed]);
    }
    drop(hand);
    assert_eq!(page(&mut store, ROOM), before);
    assert!(ask(&mut store, append(ROOM, "two", 5))[0].contains("seq: 2"));
}

/// A commit whose `fsync` fails may have reached the file. If it has, those who are there hear of it, and its numbers
/// are taken.
#[test]
fn a_commit_that_nobody_knows_of() {
    for reached in [true, false] {
        let folder = Folder::new();
        let mut store = folder.open(folder.options());
        ask(&mut store, append(ROOM, "one", 1));
        let epoch = page(&mut store, ROOM).0.epoch;
        store.ask(append(ROOM, "two", 2)).unwrap();
        store.ask(read(ROOM, 3)).unwrap();
        match reached {
            true => store.commit().unwrap(),
            false => store.tables().unwrap().roll_back().unwrap(),
        }
        store.settle(Err((Trouble::Said("as the test wants it".into()), true)));
        let failed = [2, 3].map(|ticket| format!("Failed {{ ticket: Ticket({ticket}) }}"));
        assert_eq!(hear(&mut store), failed);
        store.ask(append(ROOM, "three", 4)).unwrap();
        let heard = hear(&mut store);
        let messages: Vec<_> =
            heard.iter().map(|news| (news.contains("\"two\""), news.contains("ticket: None"))).collect();
        assert_eq!(messages, if reached { vec![(true, true), (false, false)] } else { vec![(false, false)] });
        let (head, found) = page(&mut store, ROOM);
        assert_eq!(head.epoch, epoch);
        let all = if reached { &["one", "two", "three"][..] } else { &["one", "three"] };
        assert_eq!(
            (head.seq, &found[..]),
            (all.len() as u64, &all.iter().map(|&s| s.to_owned()).collect::<Vec<_>>()[..])
        );
    }
}

/// A file that is opened anew goes on in its epochs if it has all that was told, also where nobody knows when the
/// machine was started; if it has not, the chat is told so, and every number is of another epoch.
#[test]
fn a_file_that_has_lost_something_goes_on_in_another_epoch() {
    for lost in [false, true] {
        let folder = Folder::new();
        let options = Options { boot: None, ..folder.options() };
        let mut store = folder.open(options.clone());
        ask(&mut store, append(ROOM, "one", 1));
        let before = page(&mut store, ROOM).0.epoch;
        assert!(store.tables().unwrap().checkpoint().unwrap());
        ask(&mut store, append(ROOM, "two", 2));
        store.settle(Err((Trouble::Said("as the test wants it".into()), false)));
        if lost {
            let log = folder.0.join("state/salon.db-wal");
            fs::OpenOptions::new().write(true).open(log).unwrap().set_len(0).unwrap();
        }
        let heard = ask(&mut store, append(ROOM, "three", 3));
        assert_eq!(heard.iter().any(|news| news == "Renewed"), lost, "{heard:?}");
        let (head, found) = page(&mut store, ROOM);
        let published = format!("epoch: {:?}", head.epoch);
        assert!(heard.iter().any(|news| news.contains("Published") && news.contains(&published)), "{heard:?}");
        let all: &[&str] = if lost { &["one", "three"] } else { &["one", "two", "three"] };
        assert_eq!(
            (head.epoch == before, &found[..]),
            (!lost, &all.iter().map(|&s| s.to_owned()).collect::<Vec<_>>()[..])
        );
    }
}

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
    compact(&path).unwrap();
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
    compact(&options.path).unwrap();
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
    refused(&["newer Salon", "version 9", "knows 4"]);
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

fn page_of(store: &mut Sqlite) -> usize {
    page(store, ROOM).1.len()
}

/// Where many reactions stand between messages, a history finds these, back and forth, without reading all of them.
#[test]
fn histories_leap_over_what_is_no_message() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: 1 << 20, ..folder.options() });
    let mut messages = Vec::new();
    let mut seq = 0;
    for run in [0, 1, 62, 63, 64, 65, 0, 200, 1000, 129] {
        seq += 1;
        messages.push(seq);
        store.ask(append(ROOM, "x", 1)).unwrap();
        for turn in 0..run {
            seq += 1;
            store.ask(act("bob", react(messages[0], "+", turn % 2 == 0), 1)).unwrap();
            // An odd number of them is taken back.
            if turn == run - 1 && turn % 2 == 0 {
                seq += 1;
                store.ask(act("bob", react(messages[0], "+", false), 1)).unwrap();
            }
        }
        hear(&mut store);
    }
    let all = |store: &mut Sqlite, query_: Query| -> Vec<u64> {
        let lines = query(store, query_, "ann");
        lines.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    let count = messages.len();
    for size in 1..=count + 1 {
        let bounds = Bounds { entries: size, bytes: usize::MAX };
        assert_eq!(all(&mut store, Query::Newest(bounds)), messages[count.saturating_sub(size)..]);
        for seq in messages.iter().flat_map(|&message| message - 1..=message + 1) {
            let at = messages.partition_point(|&message| message <= seq);
            let expected = &messages[at..(at + size).min(count)];
            assert_eq!(all(&mut store, Query::After(seq, bounds)), expected, "after {seq}");
            let at = messages.partition_point(|&message| message < seq);
            let expected = &messages[at.saturating_sub(size)..at];
            assert_eq!(all(&mut store, Query::Before(seq, bounds)), expected, "before {seq}");
        }
        let one = Bounds { entries: 1, bytes: usize::MAX };
        let from = all(&mut store, Query::Resume { since: None, newest: size, bounds: one });
        assert_eq!(from, [messages[count.saturating_sub(size)]]);
    }
    // Whatever somebody has written to the file by hand, a history ends.
    let sql = "UPDATE entry SET latest = seq + 100 WHERE kind = 3";
    store.tables().unwrap().connection.execute(sql, []).unwrap();
    assert_eq!(all(&mut store, Query::Newest(ALL)), messages);
    let from = all(&mut store, Query::Resume { since: None, newest: count, bounds: ALL });
    assert_eq!(from[0], 1);
}

/// A text that was edited away or deleted is in no page, and is not in the file.
#[test]
fn what_is_edited_or_deleted_is_gone_from_the_file() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for text in ["needle one.", "needle two."] {
        ask(&mut store, append(ROOM, text, 1));
    }
    ask(&mut store, act("ann", edit(1, "needle three."), 5));
    ask(&mut store, act("ann", edit(1, "needle four."), 6));
    ask(&mut store, act("ann", edit(2, "needle five."), 7));
    ask(&mut store, act("bob", react(2, ":needle-six:", true), 8));
    ask(&mut store, act("bob", react(1, "+", true), 8));
    ask(&mut store, act("ann", delete(2), 9));
    let following = query(&mut store, Query::Following(0, ALL), "bob");
    drop(store);
    let bytes = fs::read(&options.path).unwrap();
    let found = |words: &str| bytes.windows(words.len()).filter(|window| *window == words.as_bytes()).count();
    assert_eq!(found("needle four."), 1);
    for gone in ["needle one.", "needle two.", "needle three.", "needle five."] {
        assert_eq!(found(gone), 0, "{gone}");
    }
    let mut store = folder.open(options);
    assert_eq!(query(&mut store, Query::Following(0, ALL), "bob"), following);
    let four = "content: Some(\"needle four.\")";
    for (line, text) in [(0, four), (2, four), (3, four), (1, "content: None"), (4, "content: None")] {
        assert!(following[line].contains(text), "{following:?}");
    }
    assert!(following[0].contains("edited: Some(6)") && following[0].contains("me: true"), "{following:?}");
    assert_eq!(following.len(), 8);
    // The edit outlives its message.
    let mut store = {
        drop(store);
        folder.open(Options { messages: 6, ..folder.options() })
    };
    ask(&mut store, append(ROOM, "x", 10));
    store.expire(moment(10));
    hear(&mut store);
    let left = query(&mut store, Query::Following(0, ALL), "bob");
    assert!(left.len() <= 7 && left.iter().any(|line| line.starts_with("4 ") && line.contains(four)), "{left:?}");
    assert!(ask(&mut store, act("ann", edit(1, "late"), 11))[0].contains("NotFound"));
}

/// A text that was deleted is in neither the file nor its log after the next sweep, also a long one that had reached
/// the file before; and it is if somebody reads meanwhile, but not after the sweep behind that.
#[test]
fn what_is_deleted_is_gone_from_the_log_too() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    let log = folder.0.join("state/salon.db-wal");
    let found = |words: &str| {
        let bytes = [fs::read(&options.path).unwrap(), fs::read(&log).unwrap()].concat();
        bytes.windows(words.len()).any(|window| window == words.as_bytes())
    };
    let sweep = |store: &mut Sqlite| {
        store.expire(moment(20));
        hear(store);
        hear(store);
    };
    let (one, two) = ("needle: one. ".repeat(1000), "needle: two. ".repeat(1000));
    ask(&mut store, append(ROOM, &one, 1));
    assert!(store.tables().unwrap().checkpoint().unwrap());
    ask(&mut store, append(ROOM, &two, 2));
    assert!(found("needle: one.") && found("needle: two."));
    ask(&mut store, act("ann", delete(1), 3));
    let reader = rusqlite::Connection::open(&options.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    ask(&mut store, act("ann", edit(2, "short"), 4));
    sweep(&mut store);
    assert!(found("needle: two."));
    drop(reader);
    sweep(&mut store);
    assert!(!found("needle: one.") && !found("needle: two.") && found("short"));
    assert!(store.health.failing.is_none());
}

/// Reactions of a message that goes, for whatever reason, go with it.
#[test]
fn no_reaction_outlives_its_message() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: 100, ..folder.options() });
    let rows = |store: &Sqlite| -> (i64, i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM reaction), (SELECT count(*) FROM emoji), \
                   (SELECT count(*) FROM deleted)";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        store.tables().unwrap().connection.query_row(sql, [], row).unwrap()
    };
    ask(&mut store, append(ROOM, "x", 1));
    for n in 0..MAX_EMOJI {
        ask(&mut store, act("bob", react(1, &format!("{n}"), true), 1));
    }
    assert!(ask(&mut store, act("bob", react(1, "more", true), 1))[0].contains("TooManyEmoji"));
    assert_eq!(rows(&store), (20, 20, 0));
    ask(&mut store, act("ann", delete(1), 1));
    assert_eq!(rows(&store), (0, 0, 0));
    ask(&mut store, append(ROOM, "y", 1));
    let y = page(&mut store, ROOM).0.seq;
    ask(&mut store, act("bob", react(y, "+", true), 1));
    assert_eq!(rows(&store), (1, 1, 0));
    for _ in 0..100 {
        store.ask(append(ROOM, "z", 1)).unwrap();
    }
    hear(&mut store);
    store.expire(moment(1));
    hear(&mut store);
    assert_eq!(rows(&store), (0, 0, 0));
    let z = page(&mut store, ROOM).0.seq;
    ask(&mut store, act("bob", react(z, "+", true), 1));
    ask(&mut store, Request::Erase { room: "den" });
    store.expire(moment(1));
    hear(&mut store);
    assert_eq!(rows(&store), (0, 0, 0));
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
    let old = rusqlite::Connection::open(&options.path).unwrap();
    old.execute_batch(
        "DROP INDEX entry_seq; CREATE UNIQUE INDEX entry_seq ON entry (conversation, seq); PRAGMA user_version = 3",
    )
    .unwrap();
    drop(old);
    let mut store = folder.open(options);
    assert_eq!(reading(&mut store, "bob"), (0, 3));
    let plan = "EXPLAIN QUERY PLAN SELECT seq, sender, kind FROM entry WHERE conversation = 1 AND seq >= 1 \
                ORDER BY seq DESC LIMIT 9";
    let tables = store.tables().unwrap();
    assert_eq!(tables.version().unwrap(), 4);
    let plan: String = tables.connection.query_row(plan, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("COVERING INDEX entry_seq"), "{plan}");
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

/// The same key is one message: in the same batch, in a later one, and after a restart; for five minutes, and until as
/// many others have come.
#[test]
fn what_is_asked_once_more() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    let say = |key: u8, conversation, at: u64| {
        let entry = NewEntry::message("ann", "x", moment(at));
        let retry = Some(RetryKey([key; 16]));
        Request::Append { conversation, entry, retry, about: None, ticket: Ticket(at) }
    };
    let repeated =
        |at: u64, seq: u64, ts: u64| vec![format!("Repeated {{ ticket: Ticket({at}), seq: {seq}, ts: {ts} }}")];
    store.ask(say(1, ROOM, 10)).unwrap();
    store.ask(say(1, ROOM, 11)).unwrap();
    let heard = hear(&mut store);
    assert!(heard[0].starts_with("Published") && heard[1..] == repeated(11, 1, 10), "{heard:?}");
    assert_eq!(ask(&mut store, say(1, ROOM, 12)), repeated(12, 1, 10));
    assert!(ask(&mut store, say(2, ROOM, 13))[0].contains("seq: 2"));
    // A batch that fails remembers nothing.
    store.ask(say(3, ROOM, 14)).unwrap();
    store.tables().unwrap().roll_back().unwrap();
    store.settle(Err((Trouble::Said("as the test wants it".into()), false)));
    hear(&mut store);
    assert!(ask(&mut store, say(3, ROOM, 15))[0].contains("seq: 3"));
    let random = store.dies();
    let mut store = Sqlite::open(options.clone(), random).unwrap();
    for (key, seq, ts) in [(1, 1, 10), (2, 2, 13), (3, 3, 15)] {
        assert_eq!(ask(&mut store, say(key, ROOM, 20)), repeated(20, seq, ts));
    }
    // What was refused is judged anew.
    let edits = |at| {
        let entry = NewEntry { sender: "ann", body: edit(4, "y"), at: moment(at) };
        Request::Append { conversation: ROOM, entry, retry: Some(RetryKey([4; 16])), about: None, ticket: Ticket(at) }
    };
    assert!(ask(&mut store, edits(21))[0].starts_with("Refused"));
    ask(&mut store, append(ROOM, "x", 21));
    assert!(ask(&mut store, edits(22))[0].starts_with("Published"));
    assert_eq!(ask(&mut store, edits(23)), repeated(23, 5, 22));
    let minutes = 5 * 60 * 1000;
    assert_eq!(ask(&mut store, say(1, ROOM, 9 + minutes)), repeated(9 + minutes, 1, 10));
    assert!(ask(&mut store, say(1, ROOM, 10 + minutes))[0].contains("seq: 6"));
    let rows = |store: &Sqlite| -> i64 {
        store.tables().unwrap().connection.query_row("SELECT count(*) FROM retry", [], |row| row.get(0)).unwrap()
    };
    // In another life of the room it is another message.
    ask(&mut store, Request::Erase { room: "den" });
    assert!(ask(&mut store, say(1, ROOM, 11 + minutes))[0].contains("seq: 1,"));
    for key in 10..60 {
        ask(&mut store, say(key, ROOM, 12 + minutes));
        assert!(rows(&store) <= 17, "{}", rows(&store));
    }
    assert!(ask(&mut store, say(59, ROOM, 13 + minutes))[0].starts_with("Repeated"));
    assert!(ask(&mut store, say(20, ROOM, 13 + minutes))[0].starts_with("Published"));
    // Nothing is left when all of it is old.
    for turn in [2, 3, 4] {
        store.expire(moment(turn * minutes));
        hear(&mut store);
    }
    assert_eq!((rows(&store), store.retries.as_ref().unwrap().held_bytes() < 4096), (0, true));
}

/// Bans are told when a chat begins, but for those that have ended.
#[test]
fn bans_are_there_again() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    let rows = [
        ("eve", None, Some("spam")),
        ("mallory", Some(1), None),
        ("trudy", Some(i64::MAX as u64), Some("x")),
        ("past", Some(2000), Some("old")),
        ("oscar", None, None),
    ];
    for (user, until, note) in rows {
        let ticket = Ticket(1);
        assert_eq!(
            ask(&mut store, Request::Ban { ban: Ban { user, until, note }, ticket }),
            ["Noted { ticket: Ticket(1) }"]
        );
    }
    ask(&mut store, Request::Ban { ban: Ban { user: "eve", until: None, note: Some("more") }, ticket: Ticket(1) });
    ask(&mut store, Request::Unban { user: "oscar", ticket: Ticket(1) });
    assert_eq!(ask(&mut store, Request::Unban { user: "nobody", ticket: Ticket(1) }), ["Noted { ticket: Ticket(1) }"]);
    let random = store.dies();
    let mut store = Sqlite::open(options, random).unwrap();
    store.tell_catalogue();
    let told = hear(&mut store);
    let eve = Ban { user: "eve", until: None, note: Some("more") };
    let trudy = Ban { user: "trudy", until: Some(i64::MAX as u64), note: Some("x") };
    assert_eq!(told, [News::Banned(eve), News::Banned(trudy)].map(|news| format!("{news:?}")));
    store.expire(moment(1999));
    hear(&mut store);
    let kept = |store: &Sqlite| -> i64 {
        store.tables().unwrap().connection.query_row("SELECT count(*) FROM ban", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(kept(&store), 3);
    store.expire(moment(2000));
    hear(&mut store);
    assert_eq!(kept(&store), 2);
}

fn reading(store: &mut Sqlite, user: &str) -> (u64, u64) {
    let mut text = String::new();
    let rooms = Names::join(["den"], &mut text);
    store.ask(Request::Readings { user, rooms, now: moment(1), ticket: Ticket(1) }).unwrap();
    match store.poll() {
        Some(News::Readings { readings, .. }) => (readings[0].read, readings[0].unread),
        other => panic!("{other:?}"),
    }
}

/// What is unread is counted once for all, where it is much: the same comes of it for everybody.
#[test]
fn unread_messages_of_others() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: usize::MAX, ..folder.options() });
    let mut random = Random::from(3);
    let mut said: Vec<Option<&str>> = Vec::new();
    let users = ["ann", "bob", "cat", "dan"];
    for step in 1..=5000u64 {
        // One of them says most, and after a while another one.
        let user = if random.below(4) > 0 { users[step as usize / 3000] } else { users[random.below(3) as usize] };
        let body = match random.below(20) {
            0 if step > 1 => {
                let of = 1 + random.below(said.len() as u64);
                if said[of as usize - 1].is_none() {
                    react(of, "+", true)
                } else {
                    said[of as usize - 1] = None;
                    NewBody::Delete { of, right: Right::Moderator }
                }
            }
            _ => NewBody::Message { content: "x", reply_to: None },
        };
        store.ask(act(user, body, 1)).unwrap();
        if !matches!(body, NewBody::Reaction { .. }) {
            said.push(matches!(body, NewBody::Message { .. }).then_some(user));
        }
        if step % 500 == 0 {
            hear(&mut store);
            assert_eq!(page(&mut store, ROOM).0.seq, said.len() as u64);
        }
        if step % 250 == 0 {
            hear(&mut store);
            for user in users {
                for _ in 0..2 {
                    let (read, unread) = reading(&mut store, user);
                    let others = said[read as usize..].iter().flatten().filter(|sender| **sender != user).count();
                    assert_eq!(unread, (others as u64).min(MAX_UNREAD), "{user} at {step}");
                }
            }
            if step % 1000 == 0 {
                let seq = said.len() as u64 - random.below(1500).min(step);
                store.ask(Request::Mark { user: "bob", conversation: ROOM, seq, ticket: Ticket(1) }).unwrap();
                hear(&mut store);
            }
        }
    }
}

/// What one user asks about in one go costs so many rows, and a few for each conversation behind that; the same of many
/// that are read together, also where that is more than one batch. In the next go there is as much again.
#[test]
fn what_is_counted_together_is_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: usize::MAX, ..folder.options() });
    let names: Vec<String> = (0..12).map(|n| format!("room{n}")).collect();
    // What the user said, which is looked at, and is not unread; and before it what another one did.
    for name in &names {
        for n in 0..1100 {
            let sender = if (100..1050).contains(&n) { "ann" } else { "bob" };
            let entry = NewEntry { sender, ..NewEntry::message("ann", "x", moment(1)) };
            let (conversation, retry, about, ticket) = (Conversation::Room(name), None, None, Ticket(1));
            store.ask(Request::Append { conversation, entry, retry, about, ticket }).unwrap();
        }
        hear(&mut store);
    }
    let mut text = String::new();
    let rooms = Names::join(names.iter().map(String::as_str), &mut text);
    // Seven whole ones, what is left of the eighth, and the newest of each other one.
    let expected = [150, 150, 150, 150, 150, 150, 150, 50, 50, 50, 50, 50];
    for _ in 0..2 {
        store.ask(Request::Readings { user: "ann", rooms, now: moment(1), ticket: Ticket(1) }).unwrap();
        let Some(News::Readings { readings, .. }) = store.poll() else { panic!("no readings") };
        assert_eq!(readings.iter().map(|reading| reading.unread).collect::<Vec<_>>(), expected);
        assert!(store.poll().is_none());
    }
    let reader = Some(Reader { user: "ann", reading: true });
    let reads = |store: &mut dyn Backend| {
        for name in &names {
            let (conversation, query, now, about, ticket) =
                (Conversation::Room(name), Query::Head, moment(1), None, Ticket(1));
            store.ask(Request::Read { conversation, query, reader, now, about, ticket }).unwrap();
        }
        let mut unread = Vec::new();
        while let Some(news) = store.poll() {
            let News::Page { reading, .. } = news else { panic!("{news:?}") };
            unread.push(reading.unwrap().unread);
        }
        assert_eq!(unread, expected);
    };
    for _ in 0..2 {
        reads(&mut store);
    }
    let mut beside = ReadOnly::new(&store.options);
    for _ in 0..2 {
        reads(&mut beside);
    }
    // What ends a batch does not begin another budget.
    (store.work, store.counted) = (MAX_BATCH_WORK, Counted::default());
    store.ask(read(ROOM, 1)).unwrap_err();
    assert!(store.is_cut);
}

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
    let connection = &store.tables().unwrap().connection;
    // So that a text is on one page only, and not in the unused part of another one too.
    connection.execute_batch("VACUUM").unwrap();
    assert!(store.tables().unwrap().checkpoint().unwrap());
    let mut file = fs::read(&options.path).unwrap();
    let at = file.windows(9).position(|bytes| bytes == b"needle 2 ").unwrap();
    file[at / 4096 * 4096] = 0xff;
    // In place, so that it is the same file.
    fs::write(&options.path, &file).unwrap();
    connection.execute_batch("PRAGMA shrink_memory").unwrap();
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

/// As many marks as a user may have, and one more: that of the oldest conversation goes.
#[test]
fn marks_are_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    let names: Vec<String> = (0..=MAX_MARKS).map(|n| n.to_string()).collect();
    let kept = |store: &mut Sqlite, name: &str| {
        let mut text = String::new();
        let rooms = Names::join([name], &mut text);
        store.ask(Request::Readings { user: "bob", rooms, now: moment(1), ticket: Ticket(1) }).unwrap();
        match store.poll() {
            Some(News::Readings { readings, .. }) => readings[0].read,
            other => panic!("{other:?}"),
        }
    };
    for (n, name) in names.iter().enumerate() {
        let conversation = Conversation::Room(name);
        store.ask(append(conversation, "x", 1)).unwrap();
        store.ask(Request::Mark { user: "bob", conversation, seq: 9, ticket: Ticket(1) }).unwrap();
        if n % 500 == 0 || n + 2 > MAX_MARKS {
            hear(&mut store);
        }
        if n + 1 == MAX_MARKS {
            assert_eq!(kept(&mut store, "0"), 1);
        }
    }
    assert_eq!((kept(&mut store, "0"), kept(&mut store, "1"), kept(&mut store, &names[MAX_MARKS])), (0, 1, 1));
}

/// As many marks as all may have, and some more: those of the oldest conversations go. A person who is forgotten takes
/// theirs along.
#[test]
fn marks_of_all_are_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(Options { people: MAX_MARKS_OF_ALL + 30, ..folder.options() });
    let marks = |store: &Sqlite, of: &str| -> usize {
        let sql = format!("SELECT count(*) FROM mark WHERE {of}");
        let count = store.tables().unwrap().connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.unwrap().try_into().unwrap()
    };
    for room in ["old", "new"] {
        ask(&mut store, append(Conversation::Room(room), "x", 1));
    }
    for n in 0..MAX_MARKS_OF_ALL + 20 {
        let (user, room) = (format!("user {n}"), if n < 100 { "old" } else { "new" });
        store.ask(Request::Know { user: &user }).unwrap();
        let conversation = Conversation::Room(room);
        ask(&mut store, Request::Mark { user: &user, conversation, seq: 1, ticket: Ticket(1) });
        assert!(marks(&store, "true") <= MAX_MARKS_OF_ALL);
    }
    // None of the younger conversation has gone.
    assert_eq!(marks(&store, "conversation = 2"), MAX_MARKS_OF_ALL + 20 - 100);
    let last = format!("user {}", MAX_MARKS_OF_ALL + 19);
    assert_eq!(marks(&store, &format!("user = '{last}'")), 1);
    for n in 0..MAX_MARKS_OF_ALL + 29 {
        store.ask(Request::Know { user: &format!("other {n}") }).unwrap();
        hear(&mut store);
    }
    assert_eq!((marks(&store, "true"), marks(&store, &format!("user = '{last}'"))), (1, 1));
    ask(&mut store, Request::Know { user: "one more" });
    assert_eq!(marks(&store, "true"), 0);
}

fn talks(store: &mut Sqlite, user: &str, cursor: Option<&str>, limit: usize) -> (Vec<String>, Option<String>) {
    store.ask(Request::Conversations { user, cursor, limit, now: moment(1), ticket: Ticket(1) }).unwrap();
    loop {
        match store.poll() {
            Some(News::Conversations { items, next, .. }) => {
                let line = |talk: &Talk<'_>| {
                    format!("{} {} {} {}/{}", talk.with, talk.seq, talk.ts, talk.reading.read, talk.reading.unread)
                };
                return (items.iter().map(line).collect(), next);
            }
            Some(News::Refused { why, .. }) => return (vec![format!("{why:?}")], None),
            Some(_) => {}
            None => panic!("no page"),
        }
    }
}

/// Direct conversations, those in which something was said last first, in pages, also within one batch.
#[test]
fn direct_conversations() {
    let folder = Folder::new();
    let options = Options { messages: 2, ..folder.options() };
    let mut store = folder.open(options.clone());
    let pair = |one, other| Conversation::Direct(one, other);
    for (conversation, at) in [
        (pair("ann", "zoe"), 1),
        (pair("bob", "ann"), 2),
        (pair("bob", "zoe"), 3),
        (pair("ann", "ann"), 4),
        (ROOM, 5),
        (pair("zoe", "ann"), 6),
    ] {
        store.ask(append(conversation, "x", at)).unwrap();
    }
    let expected = ["zoe 2 6 0/0", "ann 1 4 0/0", "bob 1 2 0/0"].map(str::to_owned);
    assert_eq!(talks(&mut store, "ann", None, 10), (expected.to_vec(), None));
    assert_eq!(talks(&mut store, "zoe", None, 10).0, ["ann 2 6 0/2", "bob 1 3 0/1"]);
    let mut cursor = None;
    for (n, line) in expected.iter().enumerate() {
        let (items, next) = talks(&mut store, "ann", cursor.as_deref(), 1);
        assert_eq!((items, next.is_some()), (vec![line.clone()], n < 2));
        cursor = next;
    }
    for bad in ["", "x", "0000000000000000", "00000000000000ff", "8000000000000001"] {
        assert_eq!(talks(&mut store, "ann", Some(bad), 1).0, ["BadCursor"], "{bad}");
    }
    // Reactions and edits are no messages, and do not bring it forward.
    let entry = NewEntry { sender: "ann", body: react(1, "+", true), at: moment(7) };
    ask(
        &mut store,
        Request::Append { conversation: pair("ann", "bob"), entry, retry: None, about: None, ticket: Ticket(1) },
    );
    assert_eq!(talks(&mut store, "bob", None, 9).0, ["zoe 1 3 0/1", "ann 2 2 0/1"]);
    ask(&mut store, Request::Mark { user: "bob", conversation: pair("ann", "bob"), seq: 2, ticket: Ticket(1) });
    // Also when the message itself is not kept any more.
    let entry = NewEntry { sender: "ann", body: react(1, "*", true), at: moment(8) };
    ask(
        &mut store,
        Request::Append { conversation: pair("ann", "bob"), entry, retry: None, about: None, ticket: Ticket(1) },
    );
    let random = store.dies();
    let mut store = Sqlite::open(options, random).unwrap();
    assert_eq!(talks(&mut store, "bob", None, 9).0, ["zoe 1 3 0/1", "ann 3 2 2/0"]);
}

/// A file that is as large as it may be grows no further: the oldest of all go, in whatever conversation they are.
#[test]
fn the_file_is_bounded() {
    let folder = Folder::new();
    let size = 2 << 20;
    let options = Options { messages: usize::MAX, size, ..folder.options() };
    let mut store = folder.open(options.clone());
    ask(&mut store, append(Conversation::Room("quiet"), "needle.", 1));
    ask(&mut store, append(PAIR, "needle.", 1));
    ask(
        &mut store,
        Request::Append {
            conversation: Conversation::Room("quiet"),
            entry: NewEntry { sender: "bob", body: react(1, "+", true), at: moment(1) },
            retry: None,
            about: None,
            ticket: Ticket(1),
        },
    );
    let text = "x".repeat(200);
    let mut emptied = Vec::new();
    let (mut largest, mut kept_last) = (0, 0);
    for turn in 0..100 {
        for n in 0..200 {
            store.ask(append(Conversation::Room(["den", "bar", "hut"][n % 3]), &text, turn)).unwrap();
        }
        emptied.extend(hear(&mut store).into_iter().filter(|news| news.starts_with("Emptied")));
        largest = largest.max(fs::metadata(&options.path).unwrap().len());
    }
    assert_eq!(emptied, ["Emptied { room: \"quiet\" }"]);
    assert!(store.full && !store.lacks_room);
    for room in ["den", "bar", "hut"] {
        let (head, found) = page(&mut store, Conversation::Room(room));
        assert!(head.seq >= 6600 && head.kept == found.len() as u64 && head.kept > 1000, "{head:?}");
        kept_last += head.kept;
    }
    assert!(kept_last < 7000, "{kept_last}");
    assert_eq!(page(&mut store, PAIR).0.kept, 0);
    store.tables().unwrap().checkpoint().unwrap();
    largest = largest.max(fs::metadata(&options.path).unwrap().len());
    assert!(largest <= size, "{largest}");
    let bytes = fs::read(&options.path).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"needle."));
    // A limit that was lowered is reached piece by piece, also when nobody speaks.
    drop(store);
    let mut store = folder.open(Options { size: size / 2, ..options });
    ask(&mut store, append(ROOM, "x", 1));
    let mut pieces = 0;
    while store.lacks_room {
        hear(&mut store);
        pieces += 1;
    }
    let (page_bytes, pages, free) = store.tables().unwrap().pages().unwrap();
    assert!((pages - free) * page_bytes <= size / 2 && pages * page_bytes <= size, "{pages} {free} {pieces}");
    assert_eq!(page(&mut store, ROOM).1.last().unwrap(), "x");
}

/// Makes the page on which this text is the first found one a damaged one.
fn harm(store: &mut Sqlite, options: &Options, text: &[u8]) {
    let connection = &store.tables().unwrap().connection;
    connection.execute_batch("VACUUM").unwrap();
    assert!(store.tables().unwrap().checkpoint().unwrap());
    let mut file = fs::read(&options.path).unwrap();
    let at = file.windows(text.len()).position(|bytes| bytes == text).unwrap();
    file[at / 4096 * 4096] = 0xff;
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
    harm(&mut store, &options, b"needle 2 ");
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
    harm(&mut store, &options, b"needle 2 ");
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

/// What is found out when nobody waits is told, too.
#[test]
fn other_lives_are_told_of_also_at_rest() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    assert!(store.tables().unwrap().checkpoint().unwrap());
    ask(&mut store, append(ROOM, "two", 2));
    // A sweep that has work left, and then one that fails at once.
    store.sweeps_on = Some(moment(3));
    hear(&mut store);
    hear(&mut store);
    (store.rests, store.clears_log) = (true, false);
    store.sweeps_on = Some(moment(3));
    store.error = Some(Trouble::Said("as the test wants it".into()));
    let log = folder.0.join("state/salon.db-wal");
    fs::OpenOptions::new().write(true).open(log).unwrap().set_len(0).unwrap();
    let mut heard = hear(&mut store);
    heard.extend(ask(&mut store, append(ROOM, "three", 3)));
    assert!(heard.iter().any(|news| news == "Renewed"), "{heard:?}");
}

/// The catalogue is told around a damaged page.
#[test]
fn a_catalogue_on_a_damaged_page() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    for n in 0..400 {
        store.ask(Request::Know { user: &format!("person-number-{n:04}") }).unwrap();
    }
    ask(&mut store, append(ROOM, "one", 1));
    ask(&mut store, Request::Ban { ban: Ban { user: "eve", until: None, note: None }, ticket: Ticket(9) });
    let connection = &store.tables().unwrap().connection;
    connection.execute_batch("VACUUM").unwrap();
    assert!(store.tables().unwrap().checkpoint().unwrap());
    let mut file = fs::read(&options.path).unwrap();
    let text = b"person-number-0200";
    let mut harmed = 0;
    for page in 0..file.len() / 4096 {
        let bytes = &mut file[page * 4096..][..4096];
        if bytes[0] == 0x0d && bytes.windows(text.len()).any(|part| part == text) {
            bytes[0] = 0xff;
            harmed += 1;
        }
    }
    assert_eq!(harmed, 1);
    fs::write(&options.path, &file).unwrap();
    store.tables().unwrap().connection.execute_batch("PRAGMA shrink_memory").unwrap();
    store.tell_catalogue();
    let told = hear(&mut store);
    println!("told {} banned {}", told.len(), told.iter().any(|news| news.contains("Banned")));
    let told = told.len();
    for n in 2..5 {
        let heard = ask(&mut store, append(ROOM, "on", n));
        assert!(heard.iter().any(|news| news.contains("Published")), "{heard:?}");
    }
    let health = store.health().unwrap();
    let heard = hear(&mut store);
    println!("later {}", heard.iter().any(|news| news.contains("Banned")));
    assert_eq!((health.failing, health.failures, told > 0), (None, 0, true));
}

/// Where the oldest entries cannot be read, the next ones make room.
#[test]
fn the_file_is_bounded_beside_a_damaged_page() {
    let folder = Folder::new();
    let options = Options { size: 400 << 10, ..folder.options() };
    let mut store = folder.open(options.clone());
    for n in 1..=6 {
        ask(&mut store, append(ROOM, &format!("needle {n} {}", "x".repeat(3000)), n));
    }
    harm(&mut store, &options, b"needle 1 ");
    for n in 0..400 {
        ask(&mut store, append(Conversation::Room("bar"), &"x".repeat(3000), 10 + n));
        hear(&mut store);
    }
    let (page, pages, free) = store.tables().unwrap().pages().unwrap();
    assert!((pages - free) * page <= 500 << 10, "{} KiB, {:?}", ((pages - free) * page) >> 10, store.health());
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
    let connection = &store.tables().unwrap().connection;
    connection.execute_batch("VACUUM").unwrap();
    assert!(store.tables().unwrap().checkpoint().unwrap());
    let mut file = fs::read(&options.path).unwrap();
    let mut harmed = 0;
    for page in 0..file.len() / 4096 {
        let bytes = &mut file[page * 4096..][..4096];
        if bytes[0] == 0x0a
            && bytes.windows(13).any(|part| part == b"amber05x100".as_slice() || part.starts_with(b"amber05x100"))
        {
            bytes[0] = 0xff;
            harmed += 1;
        }
    }
    assert!(harmed >= 1);
    fs::write(&options.path, &file).unwrap();
    store.tables().unwrap().connection.execute_batch("PRAGMA shrink_memory").unwrap();
    let heard = ask(&mut store, act("ann", delete(6), 2));
    println!("delete: {heard:?}");
    // Another part of the same: what comes later with a word of that page.
    let before = store.indexed;
    for _ in 0..100 {
        store.ask(append(ROOM, "amber05x100", 3)).unwrap();
    }
    hear(&mut store);
    while store.lags() {
        hear(&mut store);
    }
    let found = {
        let mut text = String::new();
        let rooms = Names::join(["den"], &mut text);
        let scope = Scope::All { rooms, user: "ann" };
        let search = Search { scope, text: "amber05x100", sender: None, before: None, cursor: None, limit: 200 };
        ask(&mut store, Request::Search { search, ticket: Ticket(77) })
    };
    println!(
        "indexed {before} -> {} of {}, found {}",
        store.indexed,
        store.entry,
        found.concat().matches("Hit {").count()
    );
    assert!(heard.iter().any(|news| news.contains("Published")), "{heard:?}");
}
