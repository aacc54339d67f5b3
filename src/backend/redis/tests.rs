//! A Redis for the tests, and what only a store on Redis promises: several nodes, and a Redis that loses something.
//!
//! The rows are for any Redis ([`Place`]): a `redis-server`, and one in this process (`imitation`), which so is held to
//! the former. The server is one for all tests, with a prefix of its own for each store. Where `redis-server` is not
//! installed, its tests say so and pass.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::imitation::{Imitation, Traffic};
use super::*;
use crate::backend::{Bounds, NewBody};

/// A server that ends with the tests: its shell reads from a pipe, which ends with them.
pub(crate) struct TestServer {
    port: u16,
    _shell: Child,
}

/// The server; `None`: there is none on this machine.
pub(crate) fn server() -> Option<&'static TestServer> {
    static SERVER: OnceLock<Option<TestServer>> = OnceLock::new();
    let server = SERVER.get_or_init(TestServer::start).as_ref();
    if server.is_none() {
        println!("skipped: redis-server is not installed");
    }
    server
}

static STORES: AtomicU64 = AtomicU64::new(1);

impl TestServer {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let script = format!(
            "command -v redis-server >/dev/null || exit 3\n\
             redis-server --port {port} --bind 127.0.0.1 --save '' --appendonly no --dir /tmp \
             --enable-debug-command yes 2>&1 &\n\
             exec >&-; read -r _; kill $!"
        );
        let mut shell = Command::new("sh");
        let mut shell = shell.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        // What it says behind that is read by nobody, and it goes on all the same.
        let mut told = std::io::BufRead::lines(std::io::BufReader::new(shell.stdout.take()?));
        if !told.any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections"))) {
            let code = shell.wait().ok()?.code();
            assert_eq!(code, Some(3), "redis-server does not start");
            return None;
        }
        Some(Self { port, _shell: shell })
    }
}

/// Where rows have their Redis.
pub(crate) trait Place {
    /// Options with a prefix that no other store has.
    fn options(&self) -> Options;

    /// A node.
    fn open(&self, options: Options) -> Redis;

    /// Another Redis, which no other row has.
    fn alone(&self) -> Option<Box<dyn Place>>;
}

/// Options for a Redis at this port.
fn options(port: u16) -> Options {
    Options {
        server: Server { tls: false, host: "127.0.0.1".into(), port, db: 0, user: None, password: None },
        prefix: format!("t{}", STORES.fetch_add(1, Ordering::Relaxed)),
        messages: 100,
        age: Duration::from_secs(3600),
        people: 1000,
    }
}

impl Place for TestServer {
    fn options(&self) -> Options {
        options(self.port)
    }

    fn open(&self, options: Options) -> Redis {
        let seed = STORES.fetch_add(1, Ordering::Relaxed);
        Redis::open(options, seed, Waker::new(wake)).unwrap()
    }

    fn alone(&self) -> Option<Box<dyn Place>> {
        Some(Box::new(Self::start()?))
    }
}

/// The one in this process.
impl Place for Imitation {
    fn options(&self) -> Options {
        options(0)
    }

    fn open(&self, options: Options) -> Redis {
        let seed = STORES.fetch_add(1, Ordering::Relaxed);
        Imitation::open(self, options, seed, true).unwrap().1
    }

    fn alone(&self) -> Option<Box<dyn Place>> {
        Some(Box::new(imitation()))
    }
}

pub(crate) fn imitation() -> Imitation {
    Imitation::new(STORES.fetch_add(1, Ordering::Relaxed), None).unwrap()
}

/// Each row is a test for each Redis.
macro_rules! rows {
    ($($row:ident)*) => {
        mod at_a_server {
            $(#[test]
            fn $row() {
                if let Some(server) = super::server() {
                    super::$row(server);
                }
            })*
        }

        mod in_this_process {
            $(#[test]
            fn $row() {
                super::$row(&super::imitation());
            })*
        }
    };
}

rows! {
    a_change_that_is_lost_is_read_from_the_board
    a_change_that_is_on_its_way_is_waited_for
    a_direct_message_is_told_once
    a_hole_is_filled_from_the_log
    a_hole_that_cannot_be_filled_is_named
    a_lease_that_has_ended_takes_the_board_with_it
    a_late_word_of_a_lost_life_is_not_told
    a_late_word_of_what_was_told_is_not_told_again
    a_list_that_finds_another_life_says_so
    a_long_log_comes_in_pieces
    a_node_hears_the_direct_messages_of_its_people
    a_node_hears_the_rooms_that_it_follows
    a_page_comes_behind_what_it_counts
    a_room_ends_when_no_node_uses_it
    a_room_that_an_edit_does_not_find_has_begun_anew
    a_room_that_nobody_follows_is_empty_in_time
    a_store_that_knows_less_begins_another_epoch
    a_text_that_was_edited_away_is_told_as_it_stands
    an_answer_has_what_was_missed_before_it
    an_own_word_of_a_life_that_is_over_is_not_told
    bans_and_topics_are_looked_for_behind_a_cut
    others_hear_of_what_is_no_entry
    people_who_came_or_went_longest_ago_are_forgotten
    pages_are_the_same_by_what_is_here_and_by_what_is_not
    reactions_come_by_their_own_entries
    retries_among_others_begin_no_life
    two_pages_in_one_go_are_the_same
    what_is_given_up_here_is_read_again
    what_is_judged_by_too_little_is_judged_anew
    what_is_unread_is_the_same_wherever_it_is_counted
    what_was_missed_is_found_without_another_word
    who_is_here_is_told_to_the_others_and_to_one_who_comes_later
    words_are_carried_to_the_others
}

const ROOM: Conversation<'_> = Conversation::Room("den");
const ALL: Bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };

fn moment() -> Moment {
    Moment { tick: Tick(1), unix_ms: 1 }
}

fn append<'a>(conversation: Conversation<'a>, sender: &'a str, content: &'a str, ticket: u64) -> Request<'a> {
    let entry = NewEntry::message(sender, content, moment());
    Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(ticket) }
}

/// All that a store has to say by now: entries as `3 text`, one's own with `!`; `page 3: 1 2 3`; and others by name.
fn hear(store: &mut Redis) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(news) = store.poll() {
        heard.push(match news {
            News::Published { entry, ticket, .. } => {
                let own = if ticket.is_some() { "!" } else { "" };
                format!("{} {}{own}", entry.seq, entry.said().unwrap_or("-"))
            }
            News::Page { head, entries, .. } => {
                format!("page {}: {:?}", head.seq, entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
            }
            News::Topic { anew: Anew { title, topic }, .. } => {
                format!("Topic {} {}", title.unwrap_or("-"), topic.unwrap_or("-"))
            }
            News::User { .. } => continue,
            other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
        });
    }
    heard
}

/// How often a store of a test was woken: by its channel, which is another connection than that of answers.
static WOKEN: (Mutex<u64>, Condvar) = (Mutex::new(0), Condvar::new());

fn wake() {
    *WOKEN.0.lock().unwrap() += 1;
    WOKEN.1.notify_all();
}

/// What `look` finds, now or when a store was woken; `None` if nothing has come in half a minute.
fn awaited<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let seen = *WOKEN.0.lock().unwrap();
        if let Some(found) = look() {
            return Some(found);
        }
        let left = end.checked_duration_since(Instant::now())?;
        drop(WOKEN.1.wait_timeout_while(WOKEN.0.lock().unwrap(), left, |woken| *woken == seen).unwrap());
    }
}

/// The same as [`hear`], until so many pieces are there.
fn hear_of(store: &mut Redis, pieces: usize) -> Vec<String> {
    let mut heard = Vec::new();
    awaited(|| {
        heard.extend(hear(store));
        (heard.len() >= pieces).then_some(())
    });
    heard
}

fn page(store: &mut Redis, conversation: Conversation<'_>) -> Vec<String> {
    let query = Query::Resume { since: None, newest: 9999, bounds: ALL };
    let read = Request::Read { conversation, query, reader: None, now: moment(), about: None, ticket: Ticket(9) };
    store.ask(read).unwrap();
    hear(store)
}

fn epoch_of(store: &mut Redis, conversation: Conversation<'_>) -> (Epoch, u64) {
    let (query, now) = (Query::Head, moment());
    let read = Request::Read { conversation, query, reader: None, now, about: None, ticket: Ticket(9) };
    store.ask(read).unwrap();
    loop {
        match store.poll() {
            Some(News::Page { head, .. }) => return (head.epoch, head.seq),
            Some(_) => {}
            None => panic!("a request has an outcome"),
        }
    }
}

/// Two nodes, each with a page of the room.
fn nodes(redis: &dyn Place, options: impl Fn(Options) -> Options) -> (Redis, Redis) {
    let options = options(redis.options());
    let mut nodes = (redis.open(options.clone()), redis.open(options));
    for node in [&mut nodes.0, &mut nodes.1] {
        hear(node);
        assert_eq!(page(node, ROOM), ["page 0: []"]);
    }
    nodes
}

fn an_answer_has_what_was_missed_before_it(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    one.ask(append(ROOM, "ann", "a", 1)).unwrap();
    assert_eq!(hear(&mut one), ["1 a!"]);
    // Without a look into the channel.
    for (content, ticket) in [("b", 2), ("c", 3)] {
        other.ask(append(ROOM, "bob", content, ticket)).unwrap();
    }
    let asked = std::mem::take(&mut other.asked);
    other.carry_out(&asked);
    let said: Vec<String> = (0..).map_while(|at| other.said.get(at)).map(|news| format!("{news:?}")).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    other.said.clear();
    // What comes by the channel behind that is dropped.
    has_come(&other, b"\n3\n");
    assert_eq!(hear(&mut other), [""; 0]);
    assert_eq!(hear_of(&mut one, 2), ["2 b", "3 c"]);
    assert_eq!([page(&mut one, ROOM), page(&mut other, ROOM)], [["page 3: [1, 2, 3]"]; 2]);
}

/// A page stands in the order of what is published: what it counts was told before it.
fn a_page_comes_behind_what_it_counts(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    for n in 0..3 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
        hear(&mut one);
        // Whether or not the channel was quicker.
        let heard = page(&mut other, ROOM);
        assert_eq!(heard, [format!("{} x", n + 1), format!("page {}: {:?}", n + 1, (1..=n + 1).collect::<Vec<_>>())]);
    }
}

/// A word goes to the other nodes, and not back.
fn words_are_carried_to_the_others(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    post(&mut other, None, "bob", Some("1"));
    assert_eq!(hear(&mut other), [""; 0]);
    assert_eq!(boards(&mut one, 1), ["/bob 1"]);
    for to in [Audience::Everybody, Audience::Room("den"), Audience::User("bob")] {
        one.ask(Request::Tell { to, word: "la" }).unwrap();
        assert_eq!(hear(&mut one), [""; 0]);
        let told = awaited(|| other.poll().map(|news| format!("{news:?}")));
        assert_eq!(told.as_deref(), Some(&*format!("{:?}", News::Told { to, word: "la" })));
    }
    assert_eq!(hear(&mut one), [""; 0]);
}

fn a_hole_is_filled_from_the_log(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    for n in 1..=4 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
        hear(&mut one);
    }
    // All of the channel but the last is lost.
    let last = awaited(|| {
        std::iter::from_fn(|| other.outside.next()).find(|message| message.ends_with(b"x") && has(message, b"\n4\n"))
    });
    other.hear(&last.expect("the last one comes"));
    assert_eq!(hear(&mut other), ["1 x", "2 x", "3 x", "4 x"]);
}

/// What was missed and edited meanwhile has its text in the edit, however far behind what is told that is.
fn a_text_that_was_edited_away_is_told_as_it_stands(redis: &dyn Place) {
    for (covers, asks) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut one, mut other) = nodes(redis, |options| options);
        one.ask(append(ROOM, "ann", "x", 1)).unwrap();
        assert_eq!(hear(&mut one), ["1 x!"]);
        assert_eq!(hear_of(&mut other, 1), ["1 x"]);
        if !covers {
            other.places.give_up(usize::MAX);
        }
        one.ask(append(ROOM, "ann", "a", 2)).unwrap();
        one.ask(append(ROOM, "ann", "b", 3)).unwrap();
        let body = NewBody::Edit { of: 2, content: "z", within: None, calls_room: false };
        let entry = NewEntry { sender: "ann", body, at: moment() };
        one.ask(Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(4) }).unwrap();
        assert_eq!(hear(&mut one), ["2 a!", "3 b!", "4 -!"]);
        has_come(&other, b"\n4\n");
        let words: Vec<_> = std::iter::from_fn(|| other.outside.next()).collect();
        if asks {
            // Its answer brings what was missed.
            other.ask(append(ROOM, "bob", "y", 5)).unwrap();
            assert_eq!(hear(&mut other), ["2 z", "3 b", "4 -", "5 y!"], "{covers}");
        } else {
            // A word shows a hole before it, and the edit is behind it.
            let third = words.iter().find(|word| has(word, b"\n3\n")).expect("it has come");
            other.hear(third);
            assert_eq!(hear(&mut other), ["2 z", "3 b"], "{covers}");
            other.look_for_missed();
            assert_eq!(hear(&mut other), ["4 -"], "{covers}");
        }
        assert_eq!(page(&mut other, ROOM).last(), page(&mut one, ROOM).last());
    }
}

/// A message that is told late has no reactions in it: whether a reader is among those who have reacted it cannot say
/// to all at once.
fn reactions_come_by_their_own_entries(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    one.ask(append(ROOM, "ann", "a", 1)).unwrap();
    let body = NewBody::Reaction { of: 1, emoji: ":x:", on: true };
    let entry = NewEntry { sender: "bob", body, at: moment() };
    one.ask(Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(2) }).unwrap();
    assert_eq!(hear(&mut one), ["1 a!", "2 -!"]);
    has_come(&other, b"\n2\n");
    while other.outside.next().is_some() {}
    other.look_for_missed();
    let told: Vec<String> = std::iter::from_fn(|| other.poll().map(|news| format!("{news:?}"))).collect();
    assert!(told.len() == 2 && told[0].contains("reactions: []") && told[1].contains(":x:"), "{told:?}");
}

/// Waits until a message with this part lies with the store, unheard.
fn has_come(store: &Redis, part: &[u8]) {
    let is_there = || store.outside.unheard().iter().any(|message| has(message, part));
    assert!(
        awaited(|| is_there().then_some(())).is_some(),
        "no message with {:?} comes",
        String::from_utf8_lossy(part)
    );
}

fn has(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|found| found == part)
}

/// A quiet room whose last word was lost.
fn what_was_missed_is_found_without_another_word(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    for n in 1..=3 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
    }
    hear(&mut one);
    has_come(&other, b"\n3\n");
    while other.outside.next().is_some() {}
    assert_eq!(hear(&mut other), [""; 0]);
    other.look_for_missed();
    assert_eq!(hear(&mut other), ["1 x", "2 x", "3 x"]);
}

/// An edit on one node, judged by what it knows, after something was done on another.
fn what_is_judged_by_too_little_is_judged_anew(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    let edit = |content, ticket| {
        let entry = NewEntry {
            sender: "ann",
            body: NewBody::Edit { of: 1, content, within: None, calls_room: false },
            at: moment(),
        };
        Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(ticket) }
    };
    one.ask(append(ROOM, "ann", "a", 1)).unwrap();
    one.ask(edit("b", 2)).unwrap();
    hear(&mut one);
    // It knows of neither.
    let asked = [edit("c", 3), edit("c", 4)];
    for request in asked {
        let mut requests = Requests::default();
        requests.push(request);
        other.carry_out(&requests);
    }
    let said: Vec<String> = hear(&mut other);
    assert_eq!(said, ["1 b", "2 -", "3 -!", "Noted"], "what was edited away is not told");
    for store in [&mut one, &mut other] {
        let history = Query::Newest(ALL);
        let read = Request::Read {
            conversation: ROOM,
            query: history,
            reader: None,
            now: moment(),
            about: None,
            ticket: Ticket(9),
        };
        store.ask(read).unwrap();
        let heard = std::iter::from_fn(|| store.poll().map(|news| format!("{news:?}"))).last().unwrap();
        assert!(heard.contains("Some(\"c\")") && !heard.contains("\"a\"") && !heard.contains("\"b\""), "{heard}");
    }
}

/// A node that knows of more than Redis, or asks another run of it, gets another epoch; the history stays.
fn a_store_that_knows_less_begins_another_epoch(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    for n in 1..=3 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
    }
    hear(&mut one);
    hear_of(&mut other, 3);
    let first = epoch_of(&mut one, ROOM);
    // What was said last is lost.
    let key = |kind| format!("{}:{kind}:r:den", one.options.prefix);
    let (log, meta) = (key("l"), key("m"));
    one.call(redis::cmd("RPOP").arg(&log)).unwrap();
    one.call(redis::cmd("HSET").arg(&meta).arg("n").arg(2)).unwrap();
    other.ask(append(ROOM, "bob", "y", 4)).unwrap();
    assert_eq!(hear(&mut other), ["3 y!"]);
    let second = epoch_of(&mut other, ROOM);
    assert!(second.0 != first.0 && second.1 == 3);
    assert_eq!(hear_of(&mut one, 1), ["3 y"]);
    assert_eq!(epoch_of(&mut one, ROOM), second);
    assert_eq!(page(&mut one, ROOM), ["page 3: [1, 2, 3]"]);
    // Another run of Redis, from its file.
    one.call(redis::cmd("HSET").arg(&meta).arg("r").arg("another")).unwrap();
    let third = epoch_of(&mut one, ROOM);
    assert!(third.0 != second.0 && third.1 == 3);
    // All of it is gone.
    one.call(redis::cmd("DEL").arg(&meta).arg(&log)).unwrap();
    other.look_for_missed();
    assert_eq!(hear(&mut other), ["Renewed"]);
    let fourth = epoch_of(&mut other, ROOM);
    assert!(![first.0, second.0, third.0].contains(&fourth.0) && fourth.1 == 0);
}

/// Redis has lost a room, and the first question that finds this is what an edit is judged by: those inside hear of it.
fn a_room_that_an_edit_does_not_find_has_begun_anew(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    one.ask(append(ROOM, "ann", "x", 1)).unwrap();
    assert_eq!(hear(&mut one), ["1 x!"]);
    assert_eq!(hear_of(&mut other, 1), ["1 x"]);
    let key = |kind| format!("{}:{kind}:r:den", one.options.prefix);
    one.call(redis::cmd("DEL").arg(&[key("m"), key("l")])).unwrap();
    let body = NewBody::Edit { of: 1, content: "y", within: None, calls_room: false };
    let entry = NewEntry { sender: "ann", body, at: moment() };
    let edit = Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(2) };
    other.ask(edit).unwrap();
    assert_eq!(hear(&mut other), ["Renewed", "Refused"]);
}

/// A word of a life that Redis has lost comes when this node reads the next one already: it is not told, and the room
/// does not go back to that life.
fn a_late_word_of_a_lost_life_is_not_told(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    one.ask(append(ROOM, "ann", "a", 1)).unwrap();
    assert_eq!(hear(&mut one), ["1 a!"]);
    assert_eq!(hear_of(&mut other, 1), ["1 a"]);
    one.ask(append(ROOM, "ann", "b", 2)).unwrap();
    assert_eq!(hear(&mut one), ["2 b!"]);
    has_come(&other, b"\nb");
    let key = |kind| format!("{}:{kind}:r:den", one.options.prefix);
    let lost = [key("m"), key("l")];
    one.call(redis::cmd("DEL").arg(&lost)).unwrap();
    other.look_for_missed();
    // What is asked is carried out before what has come is heard.
    assert_eq!(page(&mut other, ROOM), ["Renewed", "page 0: []"]);
    let next = epoch_of(&mut other, ROOM);
    one.ask(append(ROOM, "ann", "c", 3)).unwrap();
    assert_eq!(hear(&mut one).last().unwrap(), "1 c!");
    assert_eq!(hear_of(&mut other, 1), ["1 c"]);
    assert_eq!(epoch_of(&mut other, ROOM), (next.0, 1));
}

/// The same where nobody has asked yet: a word of what was told already is not told once more.
fn a_late_word_of_what_was_told_is_not_told_again(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    one.ask(append(ROOM, "ann", "a", 1)).unwrap();
    assert_eq!(hear(&mut one), ["1 a!"]);
    has_come(&other, b"\na");
    let word = other.outside.unheard().into_iter().find(|message| has(message, b"\na")).unwrap();
    assert_eq!(page(&mut other, ROOM), ["1 a", "page 1: [1]"]);
    let key = |kind| format!("{}:{kind}:r:den", one.options.prefix);
    let lost = [key("m"), key("l")];
    one.call(redis::cmd("DEL").arg(&lost)).unwrap();
    other.look_for_missed();
    assert_eq!(hear(&mut other), ["Renewed"]);
    other.hear(&word);
    assert_eq!(hear(&mut other), [""; 0]);
}

/// The first question that finds the life behind a lost one may have an answer that names none.
fn a_list_that_finds_another_life_says_so(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    one.ask(append(ROOM, "ann", "a", 1)).unwrap();
    assert_eq!(hear(&mut one), ["1 a!"]);
    assert_eq!(hear_of(&mut other, 1), ["1 a"]);
    let key = |kind| format!("{}:{kind}:r:den", one.options.prefix);
    let lost = [key("m"), key("l")];
    one.call(redis::cmd("DEL").arg(&lost)).unwrap();
    epoch_of(&mut one, ROOM);
    let mut text = String::new();
    let (rooms, now) = (Names::join(["den"], &mut text), moment());
    other.ask(Request::Readings { user: "bob", rooms, now, ticket: Ticket(3) }).unwrap();
    assert_eq!(hear(&mut other), ["Renewed", "Readings"]);
}

/// A room ends when no node that lives uses it; a node that has died keeps none alive.
fn a_room_ends_when_no_node_uses_it(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    let first = epoch_of(&mut one, ROOM);
    let release = Request::Release { room: "den" };
    one.ask(release).unwrap();
    hear(&mut one);
    assert_eq!(epoch_of(&mut other, ROOM), first);
    one.ask(release).unwrap();
    other.ask(release).unwrap();
    hear(&mut other);
    let second = epoch_of(&mut other, ROOM);
    assert_ne!(first, second);
    // One uses it, and is no more.
    assert_eq!(epoch_of(&mut one, ROOM), second);
    let lease = format!("{}:n:{}", one.options.prefix, one.node);
    other.call(redis::cmd("DEL").arg(lease)).unwrap();
    other.ask(release).unwrap();
    hear(&mut other);
    assert_ne!(epoch_of(&mut other, ROOM), second);
}

/// Bans, people, descriptions and marks are told to the others.
fn others_hear_of_what_is_no_entry(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    post(&mut other, None, "ann", Some("1"));
    assert_eq!(hear(&mut other), [""; 0]);
    assert_eq!(boards(&mut one, 1), ["/ann 1"]);
    let about = Description { room: "den", title: Some("Den"), topic: None, created_at: 5, created: true };
    let (query, now) = (Query::Head, moment());
    let read = Request::Read { conversation: ROOM, query, reader: None, now, about: Some(about), ticket: Ticket(1) };
    one.ask(read).unwrap();
    one.ask(append(ROOM, "ann", "x", 2)).unwrap();
    one.ask(Request::Mark { user: "ann", conversation: ROOM, seq: 9, ticket: Ticket(3) }).unwrap();
    let ban = Ban { user: "eve", until: None, note: Some("why") };
    one.ask(Request::Ban { ban, ticket: Ticket(4) }).unwrap();
    one.ask(Request::Unban { user: "eve", ticket: Ticket(5) }).unwrap();
    for title in ["", "", "Hut", "Hut"] {
        let anew = Anew { title: Some(title), topic: Some("tea") };
        one.ask(Request::Topic { about, anew, by: "ann", ticket: Ticket(6) }).unwrap();
    }
    let topics = ["Topic  tea", "Noted", "Topic Hut tea", "Noted"];
    assert_eq!(hear(&mut one), [["page 0: []", "1 x!", "Marked", "Noted", "Noted"].as_slice(), &topics].concat());
    let heard = ["Room", "1 x", "Marked", "Banned", "Unbanned", "Topic  tea", "Topic Hut tea"];
    assert_eq!(hear_of(&mut other, heard.len()), heard);
    // A node of before says nothing of the title.
    let channel = format!("{}:news", one.options.prefix);
    one.call(redis::cmd("PUBLISH").arg(channel).arg("O\nbefore\nden\n9\nann\n+cake")).unwrap();
    assert_eq!(hear_of(&mut other, 1), ["Topic - cake"]);
}

/// A user who comes or goes is forgotten behind all others.
fn people_who_came_or_went_longest_ago_are_forgotten(redis: &dyn Place) {
    let options = Options { people: 3, ..redis.options() };
    let mut one = redis.open(options.clone());
    for (user, here) in [("ann", true), ("bob", true), ("cat", true), ("ann", false), ("dan", true)] {
        one.ask(Request::Know { user, here }).unwrap();
        hear(&mut one);
    }
    let mut other = redis.open(options);
    other.tell_catalogue();
    let mut known = Vec::new();
    while let Some(news) = other.poll() {
        if let News::User { name } = news {
            known.push(name.to_owned());
        }
    }
    assert_eq!(known, ["cat", "ann", "dan"]);
}

/// Bans that were told while the channel was cut hold all the same when it is heard again, and so does their end. What
/// rooms are about is looked for too.
fn bans_and_topics_are_looked_for_behind_a_cut(redis: &dyn Place) {
    // Of its own: all channels there are cut.
    let Some(redis) = redis.alone() else { return };
    let options = redis.options();
    let (mut one, mut other) = (redis.open(options.clone()), redis.open(options));
    other.tell_catalogue();
    assert_eq!((hear(&mut one), hear(&mut other)), (vec![], vec![]));
    let ban = |user, ticket| Request::Ban { ban: Ban { user, until: None, note: None }, ticket: Ticket(ticket) };
    one.ask(ban("eve", 1)).unwrap();
    assert_eq!(hear(&mut one), ["Noted"]);
    assert_eq!(hear_of(&mut other, 1), ["Banned"]);
    one.call(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).unwrap();
    one.ask(Request::Unban { user: "eve", ticket: Ticket(2) }).unwrap();
    one.ask(ban("bob", 3)).unwrap();
    assert_eq!(hear(&mut one), ["Noted", "Noted"]);
    let mut heard = hear_of(&mut other, 2);
    heard.sort();
    assert_eq!(heard, ["Banned", "Unbanned"]);
    let about = Description { room: "den", title: None, topic: None, created_at: 5, created: true };
    let anew = Anew { title: None, topic: Some("tea") };
    one.ask(Request::Topic { about, anew, by: "ann", ticket: Ticket(5) }).unwrap();
    assert_eq!(hear(&mut one), ["Topic  tea"]);
    assert_eq!(hear_of(&mut other, 2), ["Room", "Topic  tea"]);
    // A ban that is known is not told again.
    one.call(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).unwrap();
    one.ask(ban("amy", 4)).unwrap();
    let anew = Anew { title: Some("Den"), topic: Some("cake") };
    one.ask(Request::Topic { about, anew, by: "ann", ticket: Ticket(6) }).unwrap();
    assert_eq!(hear(&mut one), ["Noted", "Topic Den cake"]);
    let mut heard = Vec::new();
    awaited(|| {
        while let Some(news) = other.poll() {
            match news {
                News::Banned(Ban { user, .. }) => heard.push(user.to_owned()),
                News::Room { description, changes: 1.., .. } => {
                    heard.extend([description.title, description.topic].map(|words| words.unwrap().to_owned()));
                }
                _ => {}
            }
        }
        (heard.len() >= 3).then_some(())
    });
    assert_eq!(heard, ["amy", "Den", "cake"]);
    assert!(one.bans == other.bans && one.bans.len() == 2);
}

/// Over what is kept in this process, what was read longest ago is read from Redis again.
fn what_is_given_up_here_is_read_again(redis: &dyn Place) {
    let (mut one, _) = nodes(redis, |options| options);
    for n in 1..=3 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
    }
    hear(&mut one);
    let held = one.held_bytes();
    assert_eq!((one.drop_oldest(usize::MAX), one.held_bytes() < held), (0, true));
    // One more that is said meanwhile, on its way with the question.
    one.ask(append(ROOM, "ann", "y", 4)).unwrap();
    assert_eq!(page(&mut one, ROOM), ["4 y!", "page 4: [1, 2, 3, 4]"]);
}

/// What a node remembers by names counts with all their bytes, of which there may be few or many.
#[test]
fn names_count_with_all_their_bytes() {
    let redis = imitation();
    let (mut one, mut other) = nodes(&redis, |options| options);
    let held = |store: &Redis| store.held_bytes() - store.asked.held_bytes() - store.said.held_bytes();
    let (base, long) = (held(&one), "n".repeat(120));
    let names: Vec<String> = (0..300).map(|n| format!("{n:08}{long}")).collect();
    let (how, note) = (format!("{long}{long}"), &long[..100]);
    let ask = |store: &mut Redis, request: Request<'_>| {
        store.ask(request).unwrap();
        hear(store);
    };
    // Each row: what is done for each name, and the bytes of names and texts that are known then of each at least.
    let place = size_of::<places::Place>() + 2 * (128 + 129);
    for (what, bytes) in [("direct", place), ("gone", 256), ("unfollow", 384), ("ban", 612), ("line", 980)] {
        for name in &names {
            match what {
                "direct" => ask(&mut one, append(Conversation::Direct(name, &names[0]), name, "x", 1)),
                "gone" => {
                    let mut key = String::new();
                    places::write_key(Conversation::Direct(name, &names[0]), &mut key);
                    one.places.remove(&key);
                }
                "unfollow" => ask(&mut one, Request::Unfollow { room: name }),
                "ban" => {
                    let ban = Ban { user: name, until: None, note: Some(note) };
                    ask(&mut one, Request::Ban { ban, ticket: Ticket(1) });
                }
                _ => post(&mut one, None, name, Some(&how)),
            }
        }
        hear(&mut one);
        let known = held(&one) - base;
        assert!(known >= bytes * names.len() && known < (bytes + 400) * names.len(), "{what}: {known}");
    }
    hear_of(&mut other, names.len());
    assert!(held(&other) - base >= (128 + how.len()) * names.len(), "{}", held(&other));
    // And no bytes of what is forgotten.
    for name in &names {
        post(&mut one, None, name, None);
        ask(&mut one, Request::Unban { user: name, ticket: Ticket(1) });
        one.unfollowed.remove(&format!("r:{name}"));
    }
    hear(&mut one);
    assert!(held(&one) - base < (256 + 200) * names.len(), "{}", held(&one));
    hear_of(&mut other, names.len());
    assert_eq!((other.boards.held_bytes() < 64 << 10, other.bans.bytes()), (true, 0));
}

/// A conversation that is longer than one answer.
fn a_long_log_comes_in_pieces(redis: &dyn Place) {
    let all = |options: Options| Options { messages: 2000, ..options };
    let (mut one, mut other) = nodes(redis, all);
    for n in 0..1500 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
    }
    assert_eq!(hear(&mut one).len(), 1500);
    other.places.remove("r:den");
    let heard = page(&mut other, ROOM);
    assert!(heard.last().unwrap().starts_with("page 1500: [1, 2, 3, "), "{heard:?}");
    // And one that goes on by more than that while nothing is heard.
    while other.outside.next().is_some() {}
    for n in 0..700 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
    }
    hear(&mut one);
    let heard = page(&mut other, ROOM);
    assert_eq!((heard.len(), &*heard[0], &*heard[699]), (701, "1501 x", "2200 x"));
}

#[test]
fn what_is_in_the_way_is_said_in_one_sentence() {
    // One of its own, because all of it is changed.
    let Some(server) = TestServer::start() else { return };
    let mut one = server.open(server.options());
    let open = |user: &str, password: &str| {
        let mut options = server.options();
        (options.server.user, options.server.password) = (Some(user.into()), Some(password.into()));
        check(&options)
    };
    let mut closed = server.options();
    closed.server.port = 1;
    assert!(check(&closed).unwrap_err().contains("it cannot be reached"));
    assert!(open("nobody", "x").unwrap_err().contains("the user or the password is wrong"));
    let set = |store: &mut Redis, rules: &[&str]| {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg("salon").arg("reset").arg("on").arg(">x");
        for rule in rules {
            command.arg(rule);
        }
        store.call(&command).unwrap();
    };
    // The line of docs/nodes.md.
    let line = include_str!("../../../docs/nodes.md");
    let rules = line.lines().find_map(|line| line.strip_prefix("ACL SETUSER salon on >PASSWORD ")).unwrap();
    let rules: Vec<&str> = rules.split(' ').collect();
    let rules: Vec<String> = rules.iter().map(|rule| rule.replace("salon:", "*")).collect();
    let all: Vec<&str> = rules.iter().map(String::as_str).collect();
    set(&mut one, &all);
    open("salon", "x").unwrap();
    for missing in ["&", "~", "+evalsha", "+info", "+subscribe", "+script"] {
        let less: Vec<&str> = all.iter().copied().filter(|rule| !rule.starts_with(missing)).collect();
        assert!(less.len() < all.len(), "{missing}");
        set(&mut one, &less);
        let Err(error) = open("salon", "x") else { panic!("without {missing}") };
        assert!(error.contains("lacks a permission") && !error.contains('\n'), "{missing}: {error}");
    }
    // A command that is needed seldom.
    for missing in ["zpopmin", "hrandfield", "hscan"] {
        let forbids = format!("-{missing}");
        set(&mut one, &all.iter().copied().chain([&*forbids]).collect::<Vec<_>>());
        let Err(error) = open("salon", "x") else { panic!("without {missing}") };
        assert!(error.contains("lacks a permission") && error.to_lowercase().contains(missing), "{error}");
    }
    for (policy, limit, fine) in
        [("allkeys-lru", "1gb", false), ("allkeys-lru", "0", true), ("noeviction", "1gb", true)]
    {
        let mut command = redis::cmd("CONFIG");
        one.call(command.arg("SET").arg("maxmemory").arg(limit).arg("maxmemory-policy").arg(policy)).unwrap();
        assert_eq!(check(&server.options()).is_ok(), fine, "{policy} {limit}");
    }
}

/// What a node has said in a room comes back to it by the channel when it has ended the room.
fn an_own_word_of_a_life_that_is_over_is_not_told(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    other.ask(Request::Release { room: "den" }).unwrap();
    hear(&mut other);
    one.ask(append(ROOM, "ann", "x", 1)).unwrap();
    let asked = std::mem::take(&mut one.asked);
    one.carry_out(&asked);
    one.said.clear();
    has_come(&one, b"ann");
    one.ask(Request::Erase { room: "den" }).unwrap();
    assert_eq!(page(&mut one, ROOM), ["page 0: []"]);
    assert_eq!(hear(&mut one), [""; 0]);
}

/// Several questions that go out together each bring what is missing; what was here before stays.
fn two_pages_in_one_go_are_the_same(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    for n in 1..=6 {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
        hear(&mut one);
        if n == 3 {
            page(&mut other, ROOM);
        }
    }
    let query = Query::Resume { since: None, newest: 9999, bounds: ALL };
    for ticket in 1..=3 {
        let (reader, about, now) = (None, None, moment());
        other.ask(Request::Read { conversation: ROOM, query, reader, now, about, ticket: Ticket(ticket) }).unwrap();
    }
    while other.outside.next().is_some() {}
    let all = "page 6: [1, 2, 3, 4, 5, 6]";
    assert_eq!(hear(&mut other), ["4 x", "5 x", "6 x", all, all, all]);
}

/// A retry that goes out with others is no entry, so that the next one does not look as if Redis had lost one.
fn retries_among_others_begin_no_life(redis: &dyn Place) {
    let (mut one, _) = nodes(redis, |options| options);
    let with_id = |content, ticket| match append(ROOM, "ann", content, ticket) {
        Request::Append { conversation, entry, about, ticket, .. } => {
            Request::Append { conversation, entry, retry: Some(RetryKey([7; 16])), about, ticket }
        }
        other => other,
    };
    one.ask(with_id("a", 1)).unwrap();
    hear(&mut one);
    let before = epoch_of(&mut one, ROOM);
    for ticket in 2..5 {
        one.ask(with_id("a", ticket)).unwrap();
    }
    one.ask(append(ROOM, "ann", "b", 5)).unwrap();
    assert_eq!(hear(&mut one), ["Repeated", "Repeated", "Repeated", "2 b!"]);
    assert_eq!(epoch_of(&mut one, ROOM), (before.0, 2));
}

/// What a store tells of others' boards: `den/ann 2`, without a number where that is over. Until `pieces` are there.
fn boards(store: &mut Redis, pieces: usize) -> Vec<String> {
    let mut heard = Vec::new();
    awaited(|| {
        while let Some(news) = store.poll() {
            if let News::Posted { presence: Presence { room, user }, how, .. } = news {
                heard
                    .push(format!("{}/{user} {}", room.unwrap_or_default(), how.unwrap_or_default()).trim().to_owned());
            }
        }
        (heard.len() >= pieces).then_some(())
    });
    heard
}

fn post(store: &mut Redis, room: Option<&str>, user: &str, how: Option<&str>) {
    store.ask(Request::Post { presence: Presence { room, user }, how }).unwrap();
}

fn who_is_here_is_told_to_the_others_and_to_one_who_comes_later(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    post(&mut one, None, "ann", Some("1"));
    post(&mut one, Some("den"), "ann", Some("1"));
    assert_eq!(hear(&mut one), [""; 0]);
    assert_eq!(boards(&mut other, 2), ["/ann 1", "den/ann 1"]);
    // What changes nothing is not told, and what is taken back is.
    post(&mut one, Some("den"), "ann", Some("1"));
    post(&mut one, None, "ann", Some("2"));
    assert_eq!(hear(&mut one), [""; 0]);
    assert_eq!(boards(&mut other, 1), ["/ann 2"]);
    let mut later = redis.open(one.options.clone());
    assert_eq!(boards(&mut later, 2), ["/ann 2", "den/ann 1"]);
    // And again to one who had no place for the room, and not of other rooms.
    post(&mut one, Some("dent"), "ann", Some("1"));
    assert_eq!(hear(&mut one), [""; 0]);
    for store in [&mut other, &mut later] {
        assert_eq!(boards(store, 1), ["dent/ann 1"]);
        store.ask(Request::Seats { room: "den" }).unwrap();
        assert_eq!(boards(store, 2), ["/ann 2", "den/ann 1"]);
    }
    post(&mut one, Some("dent"), "ann", None);
    assert_eq!(hear(&mut one), [""; 0]);
    for store in [&mut other, &mut later] {
        assert_eq!(boards(store, 1), ["dent/ann"]);
    }
    post(&mut one, Some("den"), "ann", None);
    post(&mut one, None, "ann", None);
    assert_eq!(hear(&mut one), [""; 0]);
    for store in [&mut other, &mut later] {
        assert_eq!(boards(store, 2), ["den/ann", "/ann"]);
    }
}

/// A node whose lease has ended is gone for the others; when it says that it lives, it writes its board anew.
fn a_lease_that_has_ended_takes_the_board_with_it(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    post(&mut one, None, "ann", Some("1"));
    assert_eq!(hear(&mut one), [""; 0]);
    assert_eq!(boards(&mut other, 1), ["/ann 1"]);
    let Options { prefix, .. } = &one.options;
    let (lease, board) = (format!("{prefix}:n:{}", one.node), format!("{prefix}:w:{}", one.node));
    one.call(redis::cmd("DEL").arg(&[lease, board])).unwrap();
    // Not at once after it was connected: others may need a moment as well.
    other.beat().unwrap();
    assert_eq!(boards(&mut other, 0), [""; 0]);
    other.boards_are_old();
    other.beat().unwrap();
    assert_eq!(boards(&mut other, 1), ["/ann"]);
    // What it posts now is not taken, and it writes all of it anew.
    post(&mut one, Some("den"), "ann", Some("1"));
    assert_eq!(hear(&mut one), [""; 0]);
    one.beat().unwrap();
    one.mend_board();
    assert_eq!(boards(&mut other, 2), ["/ann 1", "den/ann 1"]);
}

/// A change that is lost on its way is found out by the beat behind the next one, and by the next change.
fn a_change_that_is_lost_is_read_from_the_board(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    post(&mut one, None, "zoe", Some("1"));
    assert_eq!(hear(&mut one), [""; 0]);
    assert_eq!(boards(&mut other, 1), ["/zoe 1"]);
    other.beat().unwrap();
    for (user, by_beat) in [("ann", true), ("bob", false)] {
        post(&mut one, None, user, Some("1"));
        assert_eq!(hear(&mut one), [""; 0]);
        let lost = awaited(|| std::iter::from_fn(|| other.outside.next()).find(|message| message.starts_with(b"P\n")));
        assert!(lost.is_some());
        if by_beat {
            other.beat().unwrap();
            assert_eq!(boards(&mut other, 0), [""; 0], "it may be on its way");
            other.beat().unwrap();
            assert_eq!(boards(&mut other, 1), ["/ann 1"]);
        } else {
            post(&mut one, None, "cat", Some("1"));
            assert_eq!(hear(&mut one), [""; 0]);
            assert_eq!(boards(&mut other, 2), ["/bob 1", "/cat 1"]);
        }
    }
}

/// A change whose word is on its way at a beat is no reason to read the whole board, which would find what is on it and
/// no word has told.
fn a_change_that_is_on_its_way_is_waited_for(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    post(&mut one, None, "ann", Some("1"));
    assert_eq!(hear(&mut one), [""; 0]);
    assert_eq!(boards(&mut other, 1), ["/ann 1"]);
    other.beat().unwrap();
    let board = format!("{}:w:{}", one.options.prefix, one.node);
    one.call(redis::cmd("HSET").arg(&[board.as_str(), "u:nobody", "1"])).unwrap();
    for n in 2..5 {
        post(&mut one, None, "ann", Some(&n.to_string()));
        assert_eq!(hear(&mut one), [""; 0]);
        other.beat().unwrap();
        assert_eq!(boards(&mut other, 1), [format!("/ann {n}")]);
    }
    // Where words were lost, nothing is on its way.
    post(&mut one, None, "ann", None);
    assert_eq!(hear(&mut one), [""; 0]);
    other.boards.missed();
    other.beat().unwrap();
    assert_eq!(boards(&mut other, 2), ["/ann", "/nobody 1"]);
}

/// A node hears entries of a room from its first question about it until it unfollows it; before and after that, only
/// that the room keeps something.
fn a_node_hears_the_rooms_that_it_follows(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    let mut third = redis.open(one.options.clone());
    let mut say = |n: u64| {
        one.ask(append(ROOM, "ann", "x", n)).unwrap();
        assert_eq!(hear(&mut one), [format!("{n} x!")]);
        assert_eq!(hear_of(&mut other, 1), [format!("{n} x")]);
    };
    say(1);
    assert_eq!(hear_of(&mut third, 1), ["Room"]);
    say(2);
    assert_eq!(page(&mut third, ROOM), ["page 2: [1, 2]"]);
    say(3);
    assert_eq!(hear_of(&mut third, 1), ["3 x"]);
    third.ask(Request::Unfollow { room: "den" }).unwrap();
    assert_eq!(hear(&mut third), [""; 0]);
    say(4);
    // Neither by the channel nor by the look for what was missed; a word for all says that it has heard all before it.
    third.look_for_missed();
    third.ask(Request::Tell { to: Audience::Everybody, word: "la" }).unwrap();
    let mut fourth = redis.open(third.options.clone());
    fourth.ask(Request::Tell { to: Audience::Everybody, word: "la" }).unwrap();
    assert_eq!(hear(&mut fourth), [""; 0]);
    assert_eq!(hear_of(&mut third, 1), ["Told"]);
    assert_eq!(page(&mut third, ROOM), ["page 4: [1, 2, 3, 4]"]);
}

/// What two people say to each other is heard where one of them is.
fn a_node_hears_the_direct_messages_of_its_people(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| options);
    let mut third = redis.open(one.options.clone());
    post(&mut other, None, "bob", Some("1"));
    assert_eq!(hear(&mut other), [""; 0]);
    for store in [&mut one, &mut third] {
        assert_eq!(boards(store, 1), ["/bob 1"]);
    }
    one.ask(append(Conversation::Direct("ann", "bob"), "ann", "psst", 1)).unwrap();
    one.ask(Request::Tell { to: Audience::Everybody, word: "la" }).unwrap();
    assert_eq!(hear(&mut one), ["1 psst!"]);
    assert_eq!(hear_of(&mut other, 2), ["1 psst", "Told"]);
    assert_eq!(hear_of(&mut third, 1), ["Told"]);
}

/// What two people say is told once: also if it is found by a look before its word comes, and nothing is known here of
/// what they have said by then, because Redis has lost it, or because others needed the place.
fn a_direct_message_is_told_once(redis: &dyn Place) {
    let talk = Conversation::Direct("ann", "bob");
    for (lost, asked) in [(true, false), (true, true), (false, false), (false, true)] {
        let (mut one, mut other) = nodes(redis, |options| options);
        post(&mut other, None, "bob", Some("1"));
        assert_eq!(hear(&mut other), [""; 0]);
        assert_eq!(boards(&mut one, 1), ["/bob 1"]);
        one.ask(append(talk, "ann", "a", 1)).unwrap();
        assert_eq!(hear(&mut one), ["1 a!"]);
        assert_eq!(hear_of(&mut other, 1), ["1 a"]);
        one.ask(append(talk, "ann", "b", 2)).unwrap();
        assert_eq!(hear(&mut one), ["2 b!"]);
        has_come(&other, b"\nb");
        other.look_for_missed();
        let key = |kind| format!("{}:{kind}:d:ann\0bob", one.options.prefix);
        if lost {
            let nothing = format!("{}:nothing", one.options.prefix);
            one.call(redis::cmd("DEL").arg(&[key("m"), key("l"), nothing])).unwrap();
            other.look_for_missed();
        } else {
            other.places.remove("d:ann\0bob");
        }
        if asked {
            // What is asked is carried out before what has come is heard.
            let query = Query::Resume { since: None, newest: 9999, bounds: ALL };
            let (conversation, now) = (talk, moment());
            let read = Request::Read { conversation, query, reader: None, now, about: None, ticket: Ticket(9) };
            other.ask(read).unwrap();
        }
        let heard = hear(&mut other);
        let told: Vec<&String> = heard.iter().filter(|it| !it.starts_with("page")).collect();
        assert_eq!(told, ["2 b"], "{lost} {asked}: {heard:?}");
        // And what they say next.
        one.ask(append(talk, "ann", "c", 3)).unwrap();
        assert!(hear(&mut one).last().is_some_and(|it| it.ends_with(" c!")));
        let heard = hear_of(&mut other, 1);
        assert!(heard.len() == 1 && heard[0].ends_with(" c"), "{lost} {asked}: {heard:?}");
    }
}

/// A room that no node follows is empty when its last entry is too old, and every node hears of it.
fn a_room_that_nobody_follows_is_empty_in_time(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| Options { age: Duration::from_millis(10), ..options });
    one.ask(append(ROOM, "ann", "x", 1)).unwrap();
    assert_eq!(hear(&mut one), ["1 x!"]);
    assert_eq!(hear_of(&mut other, 1), ["1 x"]);
    for store in [&mut one, &mut other] {
        store.ask(Request::Unfollow { room: "den" }).unwrap();
        assert_eq!(hear(store), [""; 0]);
    }
    let late = Moment { tick: Tick(100), unix_ms: 100 };
    assert!(!one.expire(late));
    assert_eq!(hear(&mut one), ["Emptied"]);
    assert_eq!(hear_of(&mut other, 1), ["Emptied"]);
}

/// A node that was cut off for so long that entries are not kept any more names the hole, and goes on behind it.
fn a_hole_that_cannot_be_filled_is_named(redis: &dyn Place) {
    for covers in [true, false] {
        let (mut one, mut other) = nodes(redis, |options| Options { messages: 3, ..options });
        one.ask(append(ROOM, "ann", "x", 1)).unwrap();
        assert_eq!(hear(&mut one), ["1 x!"]);
        assert_eq!(hear_of(&mut other, 1), ["1 x"]);
        if !covers {
            other.places.give_up(usize::MAX);
        }
        // It is cut off: nothing is said to it any more.
        let followers = format!("{}:u:r:den", one.options.prefix);
        one.call(redis::cmd("SREM").arg(followers).arg(&other.node)).unwrap();
        for n in 2..=7 {
            one.ask(append(ROOM, "ann", "x", n)).unwrap();
            assert_eq!(hear(&mut one), [format!("{n} x!")]);
        }
        other.look_for_missed();
        let heard = hear(&mut other);
        let heard: Vec<&String> = heard.iter().filter(|it| *it != "Room").collect();
        assert_eq!(heard, ["Missed", "5 x", "6 x", "7 x"], "{covers}");
    }
}

/// Says or does something in the room for each letter: `m` and `M` are messages of two people, `e`, `d` and `r` edit,
/// delete or react to the message five entries before, if it is one.
fn goes_on(store: &mut Redis, deeds: &str) {
    for deed in deeds.chars() {
        let (_, seq) = epoch_of(store, ROOM);
        let of = seq.saturating_sub(4);
        let sender = if deed == 'M' { "bob" } else { "ann" };
        let body = match deed {
            'e' => NewBody::Edit { of, content: "edited", within: None, calls_room: false },
            'd' => NewBody::Delete { of, right: crate::backend::Right::Moderator },
            'r' => NewBody::Reaction { of, emoji: ":x:", on: true },
            _ => NewBody::Message { content: "said", reply_to: None, calls_room: false },
        };
        let entry = NewEntry { sender, body, at: moment() };
        store.ask(Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(1) }).unwrap();
        hear(store);
    }
}

/// A page, as `Debug` has it.
fn page_of(store: &mut Redis, query: Query) -> String {
    let (reader, now) = (Some(Reader { user: "ann", reading: true }), moment());
    store.ask(Request::Read { conversation: ROOM, query, reader, now, about: None, ticket: Ticket(9) }).unwrap();
    std::iter::from_fn(|| store.poll().map(|news| format!("{news:?}"))).last().unwrap()
}

/// A node that has all of a room, one that has nothing of it, and one that has what it was asked for before.
fn pages_are_the_same_by_what_is_here_and_by_what_is_not(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| Options { messages: 40, ..options });
    let mut third = redis.open(one.options.clone());
    hear(&mut third);
    assert_eq!(page(&mut third, ROOM), ["page 0: []"]);
    for deeds in ["mMmmMemMdrmmerM", "mmMMreedmMm", "mMmmMemMdrmmerMmMmmMemMdrmmerM"] {
        goes_on(&mut one, deeds);
        let (epoch, seq) = epoch_of(&mut one, ROOM);
        one.ask(Request::Mark { user: "ann", conversation: ROOM, seq: seq - 7, ticket: Ticket(2) }).unwrap();
        hear(&mut one);
        let few = Bounds { entries: 4, ..ALL };
        let mut queries = vec![Query::Head, Query::Newest(few), Query::Newest(ALL), Query::Before(seq - 2, few)];
        for at in (0..=seq + 1).rev() {
            queries.push(Query::After(at, few));
            for life in [epoch, Epoch(1)] {
                queries.push(Query::Resume { since: Some((life, at)), newest: 3, bounds: few });
            }
            queries.push(Query::Resume { since: None, newest: at as usize, bounds: few });
        }
        for query in queries {
            let all = page_of(&mut one, query);
            other.places.give_up(usize::MAX);
            assert_eq!(page_of(&mut other, query), all, "{query:?}");
            assert_eq!(page_of(&mut third, query), all, "{query:?}");
            if query == Query::Head {
                // The next ones find nothing here.
                third.places.give_up(usize::MAX);
            }
        }
    }
}

fn reading_of(store: &mut Redis, user: &str) -> (u64, u64) {
    let (mut names, now) = (String::new(), moment());
    let rooms = Names::join(["den"], &mut names);
    store.ask(Request::Readings { user, rooms, now, ticket: Ticket(3) }).unwrap();
    loop {
        if let News::Readings { readings, .. } = store.poll().expect("a request has an outcome") {
            return (readings[0].read, readings[0].unread);
        }
    }
}

/// By the entries that are here, by Redis for one that has given them up, and for one that has never had any.
fn what_is_unread_is_the_same_wherever_it_is_counted(redis: &dyn Place) {
    let (mut one, mut other) = nodes(redis, |options| Options { messages: 400, ..options });
    // More than is looked at in one go, and then more than is kept.
    for deeds in ["mMmmMemMdrmmerM".repeat(24), "mMmmMemMdrmmerM".into(), "ddd".into(), "mMM".repeat(40)] {
        goes_on(&mut one, &deeds);
        let (_, last) = epoch_of(&mut one, ROOM);
        for behind in [last, last - 1, 130, 60, 7, 1, 0] {
            for user in ["ann", "bob", "cat"] {
                for seq in [0, last - behind] {
                    one.ask(Request::Mark { user, conversation: ROOM, seq, ticket: Ticket(2) }).unwrap();
                }
                hear(&mut one);
                let mut third = redis.open(one.options.clone());
                other.places.give_up(usize::MAX);
                let here = reading_of(&mut one, user);
                assert_eq!(here.0, last - behind);
                assert_eq!([reading_of(&mut other, user), reading_of(&mut third, user)], [here; 2], "{user} {behind}");
            }
        }
    }
}

/// What a list of rooms takes does not grow with what is kept of them, also where more is kept than a node has at once:
/// a node that has given it up reads nothing of it again.
#[test]
fn a_list_of_rooms_reads_what_it_answers() {
    let redis = imitation();
    let options = Place::options(&redis);
    let (mut one, mut other) = (Place::open(&redis, options.clone()), Place::open(&redis, options));
    let rooms: Vec<String> = (0..20).map(|n| format!("room{n}")).collect();
    let text = "x".repeat(1000);
    for room in &rooms {
        let conversation = Conversation::Room(room);
        (0..50).for_each(|n| one.ask(append(conversation, "ann", &text, n)).unwrap());
        one.ask(Request::Mark { user: "bob", conversation, seq: 45, ticket: Ticket(1) }).unwrap();
        hear(&mut one);
    }
    let (mut names, now) = (String::new(), moment());
    let names = Names::join(rooms.iter().map(String::as_str), &mut names);
    let list = Request::Readings { user: "bob", rooms: names, now, ticket: Ticket(3) };
    assert_eq!(hear(&mut other), vec!["Room"; rooms.len()]);
    redis.takes_traffic();
    other.ask(list).unwrap();
    assert_eq!(hear(&mut other), ["Readings"]);
    assert!(redis.takes_traffic().answered < 200 * rooms.len());
    // And by those inside, whose list of joins it is.
    let head = |room, epoch| {
        let (conversation, reader) = (Conversation::Room(room), Some(Reader { user: "bob", reading: true }));
        let query = Query::Resume { since: epoch, newest: 0, bounds: ALL };
        Request::Read { conversation, query, reader, now, about: None, ticket: Ticket(4) }
    };
    for joins in [false, true] {
        for round in 0..3 {
            for room in rooms.iter().filter(|_| joins) {
                let epoch = epoch_of(&mut one, Conversation::Room(room));
                redis.takes_traffic();
                other.ask(head(room, (round > 0).then_some(epoch))).unwrap();
                assert_eq!(hear(&mut other), ["page 50: []"]);
                let Traffic { answered, looked_at } = redis.takes_traffic();
                assert!(answered < 200 && looked_at < 4000, "{answered} {looked_at}");
            }
            other.places.give_up(usize::MAX);
            redis.takes_traffic();
            other.ask(list).unwrap();
            assert_eq!(hear(&mut other), ["Readings"]);
            let Traffic { answered, looked_at } = redis.takes_traffic();
            assert!(answered < 200 * rooms.len() && looked_at < 4000 * rooms.len(), "{answered} {looked_at}");
        }
    }
}
