//! What a store on disk promises beyond [the rows of every store](crate::backend::tests): that it is there again.

mod damage;
mod dump;
mod files;
mod overwritten;
mod reading;
mod search;
mod size;

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::marks::{MAX_MARKS, MAX_MARKS_OF_ALL};
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
            rooms: RoomLimits::default(),
            size: u64::MAX,
            people: 1000,
            memory: None,
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
    pub(crate) fn dies(mut self) -> Random {
        if self.open {
            self.tables().unwrap().roll_back().unwrap();
        }
        (self.tables, self.ailing) = (None, false);
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
    NewBody::Edit { of, content, within: None, calls_room: false }
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

/// All entries of the room that are kept.
fn following(store: &mut Sqlite) -> Vec<String> {
    let epoch = page(store, ROOM).0.epoch;
    query(store, Query::Resume { since: Some((epoch, 0)), newest: 0, bounds: ALL }, "bob")
}

fn read(conversation: Conversation<'_>, ticket: u64) -> Request<'_> {
    let query = Query::Newest(ALL);
    Request::Read { conversation, query, reader: None, now: moment(ticket), about: None, ticket: Ticket(ticket) }
}

pub(super) fn hear(store: &mut Sqlite) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(news) = store.poll() {
        heard.push(format!("{news:?}"));
    }
    heard
}

pub(super) fn ask(store: &mut Sqlite, request: Request<'_>) -> Vec<String> {
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
        ask(&mut store, Request::Know { user: "cat", here: false });
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
        let card = format!("Room {{ description: {about:?}, keeps: true, changes: 0 }}");
        // Nobody has said that she was ever here.
        let users = ["cat", "ann", "bob"].map(|name| format!("User {{ name: {name:?} }}"));
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
                12 => does("ann", NewBody::Edit { of, content: &text, within, calls_room: false }),
                13 => does(user, NewBody::Delete { of, right: Right::Moderator }),
                14 => does(user, NewBody::Delete { of, right: Right::Sender { within } }),
                15 => does(user, react(of, ["+", "-"][random.below(2) as usize], random.below(3) > 0)),
                16 => does(user, NewBody::Message { content: name, reply_to: Some(of), calls_room: false }),
                17 => Request::Mark { user, conversation, seq: of, ticket },
                18 => Request::Readings { user, rooms, now: moment(step), ticket },
                19 => Request::Conversations { user, cursor: None, limit: 5, now: moment(step), ticket },
                20 => read(Query::Resume { since: None, newest: of as usize, bounds: ALL }),
                0..6 => append(conversation, name, step),
                6 => read(Query::Newest(bounds)),
                7 => read(Query::After(random.below(9), bounds)),
                8 => read(Query::Before(random.below(9), bounds)),
                9 => Request::Know { user: name, here: false },
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
    assert_eq!(kept[..2], [4999 - dropped, 4999 - 3 * dropped]);
    // People too are as many as may be.
    let mut store = {
        drop(store);
        folder.open(Options { people: 3, ..folder.options() })
    };
    for name in ["a", "b", "c", "d", "a", "e"] {
        ask(&mut store, Request::Know { user: name, here: false });
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

/// A wall clock that is years ahead makes nothing too old, however often the store is opened anew, until processes have
/// run for a day with it; nor are bans gone by it.
#[test]
fn a_clock_that_leaps_ahead() {
    const HOUR: u64 = 3_600_000;
    let folder = Folder::new();
    let options = Options { age: Duration::from_secs(30 * 24 * 3600), ..folder.options() };
    // Hours that processes have run, and years of the wall clock.
    let at = |hour: u64, years: u64| Moment { tick: Tick(hour * HOUR), unix_ms: (hour + years * 365 * 24) * HOUR };
    let mut store = folder.open(options.clone());
    let said = NewEntry::message("ann", "one", at(1, 50));
    ask(&mut store, Request::Append { conversation: ROOM, entry: said, retry: None, about: None, ticket: Ticket(1) });
    let until = Some(at(0, 51).unix_ms);
    ask(&mut store, Request::Ban { ban: Ban { user: "eve", until, note: None }, ticket: Ticket(9) });
    let kept = |store: &mut Sqlite, now: Moment| {
        for _ in 0..3 {
            store.expire(now);
            hear(store);
        }
        let read =
            Request::Read { conversation: ROOM, query: Query::Head, reader: None, now, about: None, ticket: Ticket(1) };
        store.ask(read).unwrap();
        let Some(News::Page { head, .. }) = store.poll() else { panic!() };
        let count = "SELECT count(*) FROM ban";
        let bans: i64 = store.tables().unwrap().connection.query_row(count, [], |row| row.get(0)).unwrap();
        (head.kept, bans)
    };
    assert_eq!(kept(&mut store, at(2, 50)), (1, 1));
    assert_eq!(kept(&mut store, at(3, 57)), (1, 1));
    // What is said meanwhile has the time of the wall clock.
    let said = NewEntry::message("ann", "two", at(4, 57));
    ask(&mut store, Request::Append { conversation: ROOM, entry: said, retry: None, about: None, ticket: Ticket(2) });
    assert_eq!(kept(&mut store, at(9, 57)), (2, 1));
    drop(store);
    let mut store = folder.open(options.clone());
    assert_eq!(kept(&mut store, at(10, 57)), (2, 1));
    assert_eq!(kept(&mut store, at(20, 57)), (2, 1));
    // It was wrong, and is set right.
    assert_eq!(kept(&mut store, at(21, 50)), (2, 1));
    drop(store);
    let mut store = folder.open(options);
    assert_eq!(kept(&mut store, at(22, 57)), (2, 1));
    assert_eq!(kept(&mut store, at(45, 57)), (2, 1));
    assert_eq!(kept(&mut store, at(46, 57)), (1, 0));
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
    store.ask(Request::Know { user: "eve", here: false }).unwrap();
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
    // Nobody waits for an outcome of it that somebody is known: it is made good.
    drop(store);
    let mut store = folder.open(folder.options());
    store.tell_catalogue();
    assert!(hear(&mut store).contains(&"User { name: \"eve\" }".into()));
}

/// People who come while nothing can be written are known behind the next start, also if nobody says anything any more;
/// as many as there may be.
#[test]
fn people_who_come_while_the_disk_fails() {
    let folder = Folder::new();
    let mut store = folder.open(Options { people: 1 << 20, ..folder.options() });
    ask(&mut store, append(ROOM, "one", 1));
    store.tables().unwrap().allow_pages(1).unwrap();
    for n in 0..5000 {
        store.ask(Request::Know { user: &format!("user {n} {}", "x".repeat(50)), here: false }).unwrap();
        if n % 1000 == 0 {
            hear(&mut store);
        }
    }
    hear(&mut store);
    assert!(store.ailing);
    let owed = store.unnoted.len();
    assert!((3900..=4096).contains(&owed), "{owed}");
    // Not by hand: a disk that works again has room, whatever this connection was told.
    store.tables().unwrap().allow_pages(1 << 20).unwrap();
    drop(store);
    let mut store = folder.open(folder.options());
    store.tell_catalogue();
    let people = hear(&mut store).iter().filter(|news| news.contains("user ")).count();
    assert!(people >= owed, "{people} of {owed}");
}

/// A user who goes while nothing can be written, and comes again when something can be, is here; and the other way
/// round, gone.
#[test]
fn who_comes_and_goes_around_a_failure() {
    let folder = Folder::new();
    let mut store = folder.open(Options { people: 2, ..folder.options() });
    for (user, here) in [("ann", true), ("bob", true), ("bob", false)] {
        ask(&mut store, Request::Know { user, here });
    }
    for (user, here) in [("ann", false), ("bob", true), ("ann", false)] {
        store.settle(Err((Trouble::Said("as the test wants it".into()), false)));
        let mut failed = Requests::default();
        failed.push(Request::Know { user, here });
        store.note_people_later(&failed, 0);
    }
    assert_eq!(store.unnoted, BTreeMap::from([("ann".into(), false), ("bob".into(), true)]));
    for (user, here) in [("ann", true), ("bob", false), ("cat", true), ("cat", false), ("dan", true)] {
        ask(&mut store, Request::Know { user, here });
    }
    assert!(store.unnoted.is_empty());
    store.tell_catalogue();
    let people: Vec<_> = hear(&mut store).into_iter().filter(|news| news.contains("User")).collect();
    assert_eq!(people.len(), 2, "{people:?}");
    assert!(people.iter().any(|news| news.contains("ann")), "she is here: {people:?}");
}

/// A store that was given up because of an error ends in order all the same if the disk works again.
#[test]
fn an_end_in_order_behind_an_error() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    ask(&mut store, append(ROOM, "one", 1));
    store.settle(Err((Trouble::Said("as the test wants it".into()), false)));
    assert!(store.tables.is_none() && store.ailing);
    drop(store);
    assert_eq!(fs::metadata(folder.0.join("state/salon.db-wal")).unwrap().len(), 0);
    let file = rusqlite::Connection::open(&folder.options().path).unwrap();
    let clean: bool = file.query_row("SELECT clean FROM store", [], |row| row.get(0)).unwrap();
    assert!(clean);
}

/// Somebody who reads an old state of the file for long keeps the log from being moved into it: that is said once, and
/// when they end it is short again.
#[test]
fn a_log_that_is_held_up() {
    let folder = Folder::new();
    let mut store = folder.open(Options { messages: usize::MAX, ..folder.options() });
    ask(&mut store, append(ROOM, "one", 1));
    let log = folder.0.join("state/salon.db-wal");
    let bytes = || fs::metadata(&log).unwrap().len();
    let text = "x".repeat(16 << 10);
    let say = |store: &mut Sqlite| {
        (0..16).for_each(|_| store.ask(append(ROOM, &text, 1)).unwrap());
        hear(store);
    };
    (0..60).for_each(|_| say(&mut store));
    assert!(!store.held_up && bytes() < 8 << 20, "{}", bytes());
    let reader = rusqlite::Connection::open(&folder.options().path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    let mut turns = 0;
    while !store.held_up {
        say(&mut store);
        turns += 1;
        assert!(turns < 60, "{}", bytes());
    }
    drop(reader);
    (0..10).for_each(|_| say(&mut store));
    assert!(!store.held_up);
}

/// While somebody else moves the log, and waits amid that for a reader, nothing of it is moved, and it is as long as it
/// was.
#[test]
fn a_log_that_another_moves() {
    thread_local! {
        /// The store, and what has come of its own move amid the other one.
        static AMID: RefCell<Option<(Sqlite, (i64, bool))>> = const { RefCell::new(None) };
    }
    let folder = Folder::new();
    let path = folder.options().path;
    let mut store = folder.open(folder.options());
    ask(&mut store, append(ROOM, "one", 1));
    let open = || rusqlite::Connection::open(&path).unwrap();
    let reader = open();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    ask(&mut store, append(ROOM, "two", 2));
    let (_, pages) = store.tables().unwrap().is_log_long();
    AMID.set(Some((store, (0, true))));
    let mut other = open();
    let waits = |_: i32| {
        AMID.with_borrow_mut(|amid| {
            let (store, moved) = amid.as_mut().unwrap();
            *moved = store.move_log(Tables::shorten_log).unwrap();
        });
        false
    };
    other.busy_handler(Some(waits)).unwrap();
    let busy: i64 = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    let (mut store, moved) = AMID.take().unwrap();
    assert!(pages > 0 && !store.own.file.is_whole);
    assert_eq!((busy, moved), (1, (pages, false)));
    drop(reader);
    let (pages, all) = store.move_log(Tables::shorten_log).unwrap();
    assert!(pages > 0 && all);
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
        hand.execute("INSERT INTO person (name) VALUES (hex(randomblob(5000)))", []).unwrap();
        // Nothing is wrong with the disk: what the other one writes to the log is left alone.
        assert!(store.tables.is_some());
    }
    hand.execute_batch("COMMIT").unwrap();
    drop(hand);
    assert_eq!(page(&mut store, ROOM), before);
    assert!(ask(&mut store, append(ROOM, "two", 5))[0].contains("seq: 2"));
    let count = "SELECT count(*) FROM person WHERE length(name) = 10000";
    let written: i64 = store.tables().unwrap().connection.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(written, 2);
}

/// A store that ends soon after an error opens the file anew for that: where the disk does what it is to do again, its
/// end is one in order.
#[test]
fn an_end_soon_after_an_error() {
    let folder = Folder::new();
    let options = folder.options();
    let mut store = folder.open(options.clone());
    ask(&mut store, append(ROOM, "one", 1));
    store.settle(Err((Trouble::Said("as the test wants it".into()), false)));
    assert!(store.tables.is_none());
    drop(store);
    let file = rusqlite::Connection::open(&options.path).unwrap();
    assert_eq!(file.query_row("SELECT clean FROM store", [], |row| row.get(0)), Ok(1));
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
    let log = following(&mut store);
    drop(store);
    let bytes = fs::read(&options.path).unwrap();
    let found = |words: &str| bytes.windows(words.len()).filter(|window| *window == words.as_bytes()).count();
    assert_eq!(found("needle four."), 1);
    for gone in ["needle one.", "needle two.", "needle three.", "needle five."] {
        assert_eq!(found(gone), 0, "{gone}");
    }
    let mut store = folder.open(options.clone());
    assert_eq!(following(&mut store), log);
    let four = "content: Some(\"needle four.\")";
    for (line, text) in [(0, four), (2, four), (3, four), (1, "content: None"), (4, "content: None")] {
        assert!(log[line].contains(text), "{log:?}");
    }
    assert!(log[0].contains("edited: Some(6)") && log[0].contains("me: true"), "{log:?}");
    assert_eq!(log.len(), 8);
    // The edit outlives its message.
    let mut store = {
        drop(store);
        folder.open(Options { messages: 6, ..folder.options() })
    };
    ask(&mut store, append(ROOM, "x", 10));
    store.expire(moment(10));
    hear(&mut store);
    let left = following(&mut store);
    assert!(left.len() <= 7 && left.iter().any(|line| line.starts_with("4 ") && line.contains(four)), "{left:?}");
    // As long as its text is there, it can be edited and deleted, and is nowhere then.
    assert!(ask(&mut store, act("ann", edit(1, "needle late."), 11))[0].contains("Published"));
    assert!(following(&mut store).iter().any(|line| line.starts_with("10 ") && line.contains("needle late.")));
    assert!(ask(&mut store, act("ann", delete(1), 12))[0].contains("Published"));
    assert!(ask(&mut store, act("ann", edit(1, "later"), 13))[0].contains("NotFound"));
    store.expire(moment(13));
    hear(&mut store);
    drop(store);
    let bytes = fs::read(&options.path).unwrap();
    assert!(!bytes.windows(12).any(|window| window == b"needle late."));
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

/// The same key is one message: in the same batch, in a later one, and after a restart; for five minutes, whatever the
/// wall clock says, and until as many others have come.
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
    // The wall clock jumps by a day and back, amid other entries.
    for (tick, unix_ms) in [(24, 86_400_000), (25, 30), (26, 172_800_000), (27, 35)] {
        let jumped = |key: u8, ticket: u64| {
            let entry = NewEntry::message("ann", "x", Moment { tick: Tick(tick), unix_ms });
            let retry = Some(RetryKey([key; 16]));
            Request::Append { conversation: ROOM, entry, retry, about: None, ticket: Ticket(ticket) }
        };
        assert!(ask(&mut store, jumped(100 + tick as u8, 0))[0].starts_with("Published"));
        for (key, seq, ts) in [(1, 1, 10), (2, 2, 13), (3, 3, 15)] {
            assert_eq!(ask(&mut store, jumped(key, tick)), repeated(tick, seq, ts));
        }
    }
    // The file was opened, and the younger half so begun, at 20.
    let minutes = 5 * 60 * 1000;
    assert!(ask(&mut store, say(5, ROOM, 19 + minutes))[0].contains("seq: 10,"));
    assert!(ask(&mut store, say(6, ROOM, 20 + minutes))[0].contains("seq: 11,"));
    for key in [1, 2, 3, 4, 5] {
        assert!(ask(&mut store, say(key, ROOM, 19 + 2 * minutes))[0].starts_with("Repeated"));
    }
    assert!(ask(&mut store, say(7, ROOM, 20 + 2 * minutes))[0].contains("seq: 12,"));
    assert_eq!(ask(&mut store, say(6, ROOM, 20 + 2 * minutes)), repeated(20 + 2 * minutes, 11, 20 + minutes));
    assert!(ask(&mut store, say(1, ROOM, 21 + 2 * minutes))[0].contains("seq: 13,"));
    let minutes = 2 * minutes + 20;
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
