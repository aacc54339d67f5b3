//! What people have read, and the list of their conversations.

use super::*;

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
            _ => NewBody::Message { content: "x", reply_to: None, calls_room: false },
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

/// As many marks as all may have, and more: some of them go, but as many as may be are kept, about. Each mark that is
/// made has few looked at. A person who is forgotten takes theirs along.
#[test]
fn marks_of_all_are_bounded() {
    let folder = Folder::new();
    let mut store = folder.open(Options { people: 3 * MAX_MARKS_OF_ALL, ..folder.options() });
    let marks = |store: &Sqlite, of: &str| -> usize {
        let sql = format!("SELECT count(*) FROM mark WHERE {of}");
        let count = store.tables().unwrap().connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.unwrap().try_into().unwrap()
    };
    ask(&mut store, append(ROOM, "x", 1));
    let (mut least, mut most_at_once) = (usize::MAX, 0);
    for n in 0..3 * MAX_MARKS_OF_ALL {
        let user = format!("user {n}");
        store.ask(Request::Know { user: &user, here: false }).unwrap();
        let before = marks(&store, "true");
        ask(&mut store, Request::Mark { user: &user, conversation: ROOM, seq: 1, ticket: Ticket(1) });
        let after = marks(&store, "true");
        assert!(after <= MAX_MARKS_OF_ALL, "{after}");
        most_at_once = most_at_once.max(before.saturating_sub(after));
        if n > MAX_MARKS_OF_ALL {
            least = least.min(after);
        }
    }
    assert!(least >= MAX_MARKS_OF_ALL * 7 / 10 && most_at_once <= 60, "{least} {most_at_once}");
    for n in 0..3 * MAX_MARKS_OF_ALL {
        store.ask(Request::Know { user: &format!("other {n}"), here: false }).unwrap();
        hear(&mut store);
    }
    assert_eq!(marks(&store, "true"), 0);
}

/// A few who have as many marks as they may take none of those who have few, however old what these have read is.
#[test]
fn marks_of_many_take_none_of_few() {
    let folder = Folder::new();
    let mut store = folder.open(folder.options());
    let names: Vec<String> = (0..MAX_MARKS).map(|n| format!("room {n}")).collect();
    let mark = |store: &mut Sqlite, user: &str, name: &str| {
        store.ask(Request::Know { user, here: false }).unwrap();
        let conversation = Conversation::Room(name);
        ask(store, Request::Mark { user, conversation, seq: 1, ticket: Ticket(1) });
    };
    names.iter().for_each(|name| drop(ask(&mut store, append(Conversation::Room(name), "x", 1))));
    for user in 0..20 {
        mark(&mut store, &format!("person {user}"), &names[user % 2]);
    }
    for user in 0..2 * MAX_MARKS_OF_ALL / MAX_MARKS {
        names.iter().for_each(|name| mark(&mut store, &format!("greedy {user}"), name));
    }
    let marks = |of: &str| -> usize {
        let sql = format!("SELECT count(*) FROM mark WHERE {of}");
        let count = store.tables().unwrap().connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.unwrap().try_into().unwrap()
    };
    assert_eq!(marks("user LIKE 'person%'"), 20);
    let all = marks("true");
    assert!((MAX_MARKS_OF_ALL / 2..=MAX_MARKS_OF_ALL).contains(&all), "{all}");
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
