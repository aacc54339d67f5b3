//! Entries: what becomes of them, and how messages are read folded.

use super::*;

/// A store and a clock, and all that was heard of it.
pub(super) struct Stage<'a> {
    pub store: &'a mut dyn Backend,
    pub at: u64,
    /// The news of the last request, as text.
    pub heard: Vec<String>,
}

impl<'a> Stage<'a> {
    pub fn new(store: &'a mut dyn Backend) -> Self {
        Self { store, at: 0, heard: Vec::new() }
    }

    /// Asks, and returns what `take` makes of the outcome.
    pub fn ask<R>(&mut self, request: Request<'_>, take: impl Fn(&News<'_>) -> Option<R>) -> R {
        self.store.ask(request).unwrap();
        self.heard.clear();
        loop {
            let news = self.store.poll().expect("a request has an outcome");
            self.heard.push(format!("{news:?}"));
            if let Some(result) = take(&news) {
                return result;
            }
            assert!(matches!(news, News::Emptied { .. }), "{news:?}");
        }
    }

    /// What becomes of an entry: as it is published, `nothing`, or why it is refused.
    pub fn act(&mut self, conversation: Conversation<'_>, sender: &str, body: NewBody<'_>) -> String {
        let entry = NewEntry { sender, body, at: moment(self.at) };
        let request = Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(1) };
        self.ask(request, |news| match news {
            News::Published { entry, ticket: Some(Ticket(1)), .. } => Some(show(entry)),
            News::Noted { ticket: Ticket(1) } => Some("nothing".into()),
            News::Refused { ticket: Ticket(1), why } => Some(format!("{why:?}")),
            _ => None,
        })
    }

    pub fn page(&mut self, conversation: Conversation<'_>, query: Query, reader: Option<Reader<'_>>) -> Paged {
        let (now, about, ticket) = (moment(self.at), None, Ticket(2));
        let request = Request::Read { conversation, query, reader, now, about, ticket };
        self.ask(request, |news| match news {
            News::Page { ticket: Ticket(2), head, entries, reading } => {
                let entries = entries.iter().map(show).collect();
                Some(Paged { head: *head, entries, reading: *reading })
            }
            _ => None,
        })
    }

    /// The messages of a history, as nobody in particular reads it.
    pub fn history(&mut self, conversation: Conversation<'_>) -> Vec<String> {
        self.page(conversation, Query::Newest(ALL), None).entries
    }

    /// All entries that are kept.
    pub fn log(&mut self, conversation: Conversation<'_>) -> Vec<String> {
        self.following(conversation, 0, ALL)
    }

    /// Entries of every kind behind a number.
    fn following(&mut self, conversation: Conversation<'_>, seq: u64, bounds: Bounds) -> Vec<String> {
        let epoch = self.page(conversation, Query::Head, None).head.epoch;
        self.page(conversation, Query::Resume { since: Some((epoch, seq)), newest: 0, bounds }, None).entries
    }
}

/// A page, its entries as text.
pub(super) struct Paged {
    pub head: Head,
    pub entries: Vec<String>,
    pub reading: Option<Reading>,
}

/// An entry as text: `1 ann: hi`, `1 ann: hi >3` (an answer), `1 ann: hi !` (it calls all),
/// `1 ann: hi @7 x[ann,bob=2]`, `1 ann gone`,
/// `1 ann gone >3`, `2 ann edits 1: hello`, `3 ann deletes 1`, `4 ann +x 1`, `5 ann -x 1`. Of an emoji that is from the
/// reader too, the number has a `*`.
pub(super) fn show(entry: &Entry<'_>) -> String {
    let Entry { seq, sender, .. } = entry;
    match &entry.body {
        Body::Message(Message { content: None, reply_to, calls_room, edited, reactions }) => {
            assert!(!calls_room && edited.is_none() && reactions.is_empty(), "{entry:?}");
            format!("{seq} {sender} gone{}", reply_to.map_or(String::new(), |of| format!(" >{of}")))
        }
        Body::Message(Message { content: Some(content), reply_to, calls_room, edited, reactions }) => {
            let reply_to = reply_to.map_or(String::new(), |of| format!(" >{of}"));
            let calls = if *calls_room { " !" } else { "" };
            let edited = edited.map_or(String::new(), |ts| format!(" @{ts}"));
            let reactions = reactions.iter().map(|Reaction { emoji, users, count, me }| {
                format!(" {emoji}[{}={count}{}]", users.join(","), if *me { "*" } else { "" })
            });
            format!("{seq} {sender}: {content}{reply_to}{calls}{edited}{}", reactions.collect::<String>())
        }
        Body::Edited { of, content, calls_room } => {
            let calls = if *calls_room { " !" } else { "" };
            format!("{seq} {sender} edits {of}: {}{calls}", content.unwrap_or("(gone)"))
        }
        Body::Deleted { of } => format!("{seq} {sender} deletes {of}"),
        Body::Reaction { of, emoji, on } => format!("{seq} {sender} {}{emoji} {of}", if *on { '+' } else { '-' }),
    }
}

pub(super) fn text(content: &str) -> NewBody<'_> {
    NewBody::Message { content, reply_to: None, calls_room: false }
}

pub(super) fn edit(of: u64, content: &str) -> NewBody<'_> {
    NewBody::Edit { of, content, within: None, calls_room: false }
}

pub(super) fn delete<'a>(of: u64) -> NewBody<'a> {
    NewBody::Delete { of, right: Right::Sender { within: None } }
}

pub(super) fn react(of: u64, emoji: &str) -> NewBody<'_> {
    NewBody::Reaction { of, emoji, on: true }
}

pub(super) fn unreact(of: u64, emoji: &str) -> NewBody<'_> {
    NewBody::Reaction { of, emoji, on: false }
}

/// The row with each store, in a room and between two people.
fn everywhere(entries: usize, row: impl Fn(&mut Stage<'_>, Conversation<'_>)) {
    each(entries, |store| {
        row(&mut Stage::new(store), ROOM);
        row(&mut Stage::new(store), Conversation::Direct("ann", "bob"));
    });
}

/// Each row: who does what, what becomes of it, and the history then.
#[track_caller]
fn script(entries: usize, rows: &[(&str, NewBody<'_>, &str, &[&str])]) {
    everywhere(entries, |stage, place| {
        for (at, (sender, body, outcome, history)) in rows.iter().enumerate() {
            stage.at = at as u64 + 1;
            assert_eq!(stage.act(place, sender, *body), *outcome, "{body:?}");
            assert_eq!(stage.history(place), *history, "after {body:?}");
        }
    });
}

#[test]
fn an_edit_gives_a_message_another_text() {
    script(
        9,
        &[
            ("ann", text("hi"), "1 ann: hi", &["1 ann: hi"]),
            ("ann", edit(1, "hey"), "2 ann edits 1: hey", &["1 ann: hey @2"]),
            ("ann", edit(1, "hello"), "3 ann edits 1: hello", &["1 ann: hello @3"]),
            ("ann", edit(1, "hello"), "nothing", &["1 ann: hello @3"]),
            ("bob", edit(1, "mine"), "NotTheirs", &["1 ann: hello @3"]),
            ("ann", edit(2, "no"), "NotFound", &["1 ann: hello @3"]),
            ("ann", edit(4, "no"), "NotFound", &["1 ann: hello @3"]),
            ("ann", edit(0, "no"), "NotFound", &["1 ann: hello @3"]),
            ("ann", edit(u64::MAX, "no"), "NotFound", &["1 ann: hello @3"]),
            ("ann", edit(1, ""), "4 ann edits 1: ", &["1 ann:  @10"]),
            ("ann", edit(1, "hi"), "5 ann edits 1: hi", &["1 ann: hi @11"]),
        ],
    );
}

/// It stands beside the text that stands.
#[test]
fn a_text_may_call_everybody_in_the_room() {
    let say = |content, reply_to| NewBody::Message { content, reply_to, calls_room: true };
    let call = |of, content| NewBody::Edit { of, content, within: None, calls_room: true };
    script(
        99,
        &[
            ("ann", say("tea", None), "1 ann: tea !", &["1 ann: tea !"]),
            ("bob", say("me", Some(1)), "2 bob: me >1 !", &["1 ann: tea !", "2 bob: me >1 !"]),
            ("bob", react(1, "+"), "3 bob ++ 1", &["1 ann: tea ! +[bob=1]", "2 bob: me >1 !"]),
            ("ann", edit(1, "no"), "4 ann edits 1: no", &["1 ann: no @4 +[bob=1]", "2 bob: me >1 !"]),
            ("ann", call(1, "yes"), "5 ann edits 1: yes !", &["1 ann: yes ! @5 +[bob=1]", "2 bob: me >1 !"]),
            ("ann", call(1, "now"), "6 ann edits 1: now !", &["1 ann: now ! @6 +[bob=1]", "2 bob: me >1 !"]),
            ("bob", delete(2), "7 bob deletes 2", &["1 ann: now ! @6 +[bob=1]", "2 bob gone >1"]),
            ("ann", delete(1), "8 ann deletes 1", &["1 ann gone", "2 bob gone >1"]),
        ],
    );
}

#[test]
fn a_deleted_message_keeps_its_place() {
    let moderator = NewBody::Delete { of: 2, right: Right::Moderator };
    script(
        99,
        &[
            ("ann", text("one"), "1 ann: one", &["1 ann: one"]),
            (
                "ann",
                NewBody::Message { content: "two", reply_to: Some(1), calls_room: false },
                "2 ann: two >1",
                &["1 ann: one", "2 ann: two >1"],
            ),
            ("bob", react(1, "+"), "3 bob ++ 1", &["1 ann: one +[bob=1]", "2 ann: two >1"]),
            ("bob", delete(1), "NotTheirs", &["1 ann: one +[bob=1]", "2 ann: two >1"]),
            ("ann", delete(1), "4 ann deletes 1", &["1 ann gone", "2 ann: two >1"]),
            ("ann", delete(1), "NotFound", &["1 ann gone", "2 ann: two >1"]),
            ("ann", delete(4), "NotFound", &["1 ann gone", "2 ann: two >1"]),
            ("ann", edit(1, "again"), "NotFound", &["1 ann gone", "2 ann: two >1"]),
            ("bob", react(1, "+"), "NotFound", &["1 ann gone", "2 ann: two >1"]),
            ("bob", unreact(1, "+"), "NotFound", &["1 ann gone", "2 ann: two >1"]),
            (
                "bob",
                NewBody::Message { content: "x", reply_to: Some(1), calls_room: false },
                "NotFound",
                &["1 ann gone", "2 ann: two >1"],
            ),
            ("ann", edit(2, "zwei"), "5 ann edits 2: zwei", &["1 ann gone", "2 ann: zwei >1 @12"]),
            ("bob", moderator, "6 bob deletes 2", &["1 ann gone", "2 ann gone >1"]),
            ("bob", moderator, "NotFound", &["1 ann gone", "2 ann gone >1"]),
        ],
    );
}

#[test]
fn an_answer_names_a_message_that_is_kept() {
    let answer = |of| NewBody::Message { content: "re", reply_to: Some(of), calls_room: false };
    script(
        3,
        &[
            ("ann", answer(1), "NotFound", &[]),
            ("ann", text("a"), "1 ann: a", &["1 ann: a"]),
            ("bob", answer(1), "2 bob: re >1", &["1 ann: a", "2 bob: re >1"]),
            ("bob", answer(2), "3 bob: re >2", &["1 ann: a", "2 bob: re >1", "3 bob: re >2"]),
            ("bob", react(3, "x"), "4 bob +x 3", &["2 bob: re >1", "3 bob: re >2 x[bob=1]"]),
            // The message that it answers has gone, which changes nothing.
            ("bob", answer(1), "NotFound", &["2 bob: re >1", "3 bob: re >2 x[bob=1]"]),
            ("bob", answer(4), "NotFound", &["2 bob: re >1", "3 bob: re >2 x[bob=1]"]),
            ("bob", answer(5), "NotFound", &["2 bob: re >1", "3 bob: re >2 x[bob=1]"]),
        ],
    );
}

#[test]
fn reactions_stand_in_the_order_in_which_they_came() {
    script(
        99,
        &[
            ("ann", text("hi"), "1 ann: hi", &["1 ann: hi"]),
            ("bob", unreact(1, "a"), "nothing", &["1 ann: hi"]),
            ("bob", react(1, "a"), "2 bob +a 1", &["1 ann: hi a[bob=1]"]),
            ("bob", react(1, "a"), "nothing", &["1 ann: hi a[bob=1]"]),
            ("ann", unreact(1, "a"), "nothing", &["1 ann: hi a[bob=1]"]),
            ("ann", react(1, "b"), "3 ann +b 1", &["1 ann: hi a[bob=1] b[ann=1]"]),
            ("ann", react(1, "a"), "4 ann +a 1", &["1 ann: hi a[bob,ann=2] b[ann=1]"]),
            ("bob", unreact(1, "a"), "5 bob -a 1", &["1 ann: hi a[ann=1] b[ann=1]"]),
            ("bob", react(1, "a"), "6 bob +a 1", &["1 ann: hi a[ann,bob=2] b[ann=1]"]),
            ("ann", unreact(1, "a"), "7 ann -a 1", &["1 ann: hi a[bob=1] b[ann=1]"]),
            // An emoji that was away comes behind the others.
            ("bob", unreact(1, "a"), "8 bob -a 1", &["1 ann: hi b[ann=1]"]),
            ("bob", unreact(1, "a"), "nothing", &["1 ann: hi b[ann=1]"]),
            ("bob", react(1, "a"), "9 bob +a 1", &["1 ann: hi b[ann=1] a[bob=1]"]),
            // An edit changes no reaction.
            ("ann", edit(1, "hey"), "10 ann edits 1: hey", &["1 ann: hey @14 b[ann=1] a[bob=1]"]),
            ("ann", react(2, "a"), "NotFound", &["1 ann: hey @14 b[ann=1] a[bob=1]"]),
            ("ann", delete(1), "11 ann deletes 1", &["1 ann gone"]),
        ],
    );
}

#[test]
fn a_reaction_on_and_off_many_times() {
    everywhere(99, |stage, place| {
        stage.act(place, "ann", text("hi"));
        for round in 0..20 {
            assert_eq!(stage.act(place, "bob", react(1, "👍🏽")), format!("{} bob +👍🏽 1", 2 * round + 2));
            assert_eq!(stage.history(place), ["1 ann: hi 👍🏽[bob=1]"]);
            assert_eq!(stage.act(place, "bob", unreact(1, "👍🏽")), format!("{} bob -👍🏽 1", 2 * round + 3));
            assert_eq!(stage.history(place), ["1 ann: hi"]);
        }
        assert_eq!(stage.log(place).len(), 41);
    });
}

#[test]
fn a_message_has_so_many_different_emoji() {
    everywhere(99, |stage, place| {
        stage.act(place, "ann", text("hi"));
        let emoji: Vec<String> = (0..MAX_EMOJI).map(|n| format!(":e{n}:")).collect();
        for emoji in &emoji {
            assert!(stage.act(place, "ann", react(1, emoji)).contains(&format!(" ann +{emoji} 1")));
        }
        assert_eq!(stage.act(place, "bob", react(1, ":more:")), "TooManyEmoji");
        assert_eq!(stage.act(place, "bob", react(1, ":e7:")), "22 bob +:e7: 1");
        assert_eq!(stage.act(place, "bob", react(1, ":e7:")), "nothing");
        // One that is left by one of two users stays; by both, it makes room.
        stage.act(place, "ann", unreact(1, ":e7:"));
        assert_eq!(stage.act(place, "bob", react(1, ":more:")), "TooManyEmoji");
        stage.act(place, "bob", unreact(1, ":e7:"));
        assert_eq!(stage.act(place, "bob", react(1, ":more:")), "25 bob +:more: 1");
        assert_eq!(stage.act(place, "ann", react(1, ":e7:")), "TooManyEmoji");
        let history = &stage.history(place)[0];
        assert_eq!(history.matches('[').count(), MAX_EMOJI);
        assert!(history.ends_with(" :e19:[ann=1] :more:[bob=1]"), "{history}");
    });
}

#[test]
fn so_many_who_react_are_named_and_all_are_counted() {
    each(999, |store| {
        let mut stage = Stage::new(store);
        stage.act(ROOM, "ann", text("hi"));
        let users: Vec<String> = (0..MAX_REACTING_NAMED + 5).map(|n| format!("u{n}")).collect();
        for user in &users {
            stage.act(ROOM, user, react(1, "+"));
        }
        let all = |stage: &mut Stage<'_>, user| {
            let reader = Some(Reader { user, reading: false });
            stage.page(ROOM, Query::Newest(ALL), reader).entries.remove(0)
        };
        let named = users[..MAX_REACTING_NAMED].join(",");
        assert_eq!(all(&mut stage, "ann"), format!("1 ann: hi +[{named}=25]"));
        assert_eq!(all(&mut stage, "u0"), format!("1 ann: hi +[{named}=25*]"));
        // One who is not named is one of them all the same.
        assert_eq!(all(&mut stage, "u24"), format!("1 ann: hi +[{named}=25*]"));
        stage.act(ROOM, "u1", unreact(1, "+"));
        let named = [&users[..1], &users[2..MAX_REACTING_NAMED + 1]].concat().join(",");
        assert_eq!(all(&mut stage, "u1"), format!("1 ann: hi +[{named}=24]"));
    });
}

#[test]
fn a_replay_has_every_entry_and_texts_as_they_stand() {
    everywhere(99, |stage, place| {
        let bodies = [text("first"), edit(1, "second"), react(1, "+"), edit(1, "third"), text("other")];
        for body in bodies {
            stage.act(place, "ann", body);
        }
        let replay =
            ["1 ann: third @0 +[ann=1]", "2 ann edits 1: third", "3 ann ++ 1", "4 ann edits 1: third", "5 ann: other"];
        assert_eq!(stage.log(place), replay);
        let epoch = stage.page(place, Query::Head, None).head.epoch;
        let resume = |stage: &mut Stage<'_>, since: Option<u64>, newest| {
            let since = since.map(|seq| (epoch, seq));
            stage.page(place, Query::Resume { since, newest, bounds: ALL }, None).entries
        };
        assert_eq!(resume(stage, Some(0), 0), replay);
        assert_eq!(resume(stage, Some(1), 0), replay[1..]);
        assert_eq!(resume(stage, Some(4), 0), replay[4..]);
        assert_eq!(resume(stage, Some(5), 9), [""; 0]);
        // So many messages, and all that came behind the first of them.
        assert_eq!(resume(stage, None, 0), [""; 0]);
        assert_eq!(resume(stage, None, 1), replay[4..]);
        assert_eq!(resume(stage, None, 2), replay);
        assert_eq!(resume(stage, None, 9), replay);
        assert_eq!(resume(stage, Some(6), 1), replay[4..]);
        stage.act(place, "ann", delete(1));
        let replay = [
            "1 ann gone",
            "2 ann edits 1: (gone)",
            "3 ann ++ 1",
            "4 ann edits 1: (gone)",
            "5 ann: other",
            "6 ann deletes 1",
        ];
        assert_eq!(stage.log(place), replay);
        assert_eq!(stage.history(place), ["1 ann gone", "5 ann: other"]);
    });
}

/// Histories have messages alone, however much stands between them.
#[test]
fn histories_step_over_what_is_no_message() {
    everywhere(99, |stage, place| {
        for round in 0..3 {
            stage.act(place, "ann", text("x"));
            for emoji in ["a", "b", "c"] {
                stage.act(place, "bob", react(4 * round + 1, emoji));
            }
        }
        let number = |entry: &String| entry.split(' ').next().unwrap().parse::<u64>().unwrap();
        let seqs = |stage: &mut Stage<'_>, query| {
            stage.page(place, query, None).entries.iter().map(number).collect::<Vec<_>>()
        };
        let some = |entries| Bounds { entries, bytes: usize::MAX };
        let rows: &[(Query, &[u64])] = &[
            (Query::Newest(ALL), &[1, 5, 9]),
            (Query::Newest(some(2)), &[5, 9]),
            (Query::Newest(some(0)), &[]),
            (Query::Before(9, some(1)), &[5]),
            (Query::Before(8, some(9)), &[1, 5]),
            (Query::Before(5, some(9)), &[1]),
            (Query::Before(1, some(9)), &[]),
            (Query::After(0, some(2)), &[1, 5]),
            (Query::After(1, some(2)), &[5, 9]),
            (Query::After(4, some(1)), &[5]),
            (Query::After(9, some(1)), &[]),
            (Query::Resume { since: None, newest: 1, bounds: ALL }, &[9, 10, 11, 12]),
            (Query::Resume { since: None, newest: 2, bounds: some(3) }, &[5, 6, 7]),
        ];
        for (query, expected) in rows {
            assert_eq!(seqs(stage, *query), *expected, "{query:?}");
        }
        for (from, most, expected) in [(9, 2, &[10, 11][..]), (11, 9, &[12])] {
            assert_eq!(stage.following(place, from, some(most)).iter().map(number).collect::<Vec<_>>(), expected);
        }
    });
}

/// What the number of entries drops: reactions go with their message, and the last text stays as long as its edit. As
/// long as it does, it can be edited and deleted, and is nowhere then.
#[test]
fn an_edit_outlives_its_message() {
    script(
        3,
        &[
            ("ann", text("one"), "1 ann: one", &["1 ann: one"]),
            ("ann", edit(1, "two"), "2 ann edits 1: two", &["1 ann: two @2"]),
            ("bob", react(1, "x"), "3 bob +x 1", &["1 ann: two @2 x[bob=1]"]),
            // It is kept when it is edited, and pushed out by its edit.
            ("ann", edit(1, "three"), "4 ann edits 1: three", &[]),
            ("bob", edit(1, "four"), "NotTheirs", &[]),
            ("ann", edit(1, "three"), "nothing", &[]),
            ("bob", react(1, "y"), "NotFound", &[]),
            ("bob", NewBody::Message { content: "y", reply_to: Some(1), calls_room: false }, "NotFound", &[]),
            ("ann", edit(1, "four"), "5 ann edits 1: four", &[]),
            ("bob", delete(1), "NotTheirs", &[]),
            ("ann", delete(1), "6 ann deletes 1", &[]),
            ("ann", edit(1, "five"), "NotFound", &[]),
            ("ann", delete(1), "NotFound", &[]),
        ],
    );
    everywhere(3, |stage, place| {
        for body in [text("one"), edit(1, "two"), edit(1, "three"), react(1, "x")] {
            stage.act(place, "ann", body);
        }
        assert_eq!(stage.log(place), ["2 ann edits 1: three", "3 ann edits 1: three", "4 ann +x 1"]);
        assert_eq!(stage.page(place, Query::Resume { since: None, newest: 9, bounds: ALL }, None).entries, [""; 0]);
        let text = stage.act(place, "ann", text("new"));
        assert_eq!(text, "5 ann: new");
        assert_eq!(stage.log(place), ["3 ann edits 1: three", "4 ann +x 1", "5 ann: new"]);
        assert_eq!(
            stage.page(place, Query::Resume { since: None, newest: 9, bounds: ALL }, None).entries,
            ["5 ann: new"]
        );
    });
    everywhere(3, |stage, place| {
        for body in [text("one"), edit(1, "two"), text("new"), text("newer")] {
            stage.act(place, "ann", body);
        }
        assert_eq!(stage.log(place), ["2 ann edits 1: two", "3 ann: new", "4 ann: newer"]);
        assert_eq!(stage.act(place, "ann", delete(1)), "5 ann deletes 1");
        assert_eq!(stage.log(place), ["3 ann: new", "4 ann: newer", "5 ann deletes 1"]);
    });
    everywhere(4, |stage, place| {
        for body in [text("one"), edit(1, "two"), text("new"), text("newer"), delete(1)] {
            stage.act(place, "ann", body);
        }
        assert_eq!(stage.log(place), ["2 ann edits 1: (gone)", "3 ann: new", "4 ann: newer", "5 ann deletes 1"]);
    });
    // Of one that was deleted, nothing comes back when its place goes.
    everywhere(3, |stage, place| {
        for body in [text("one"), edit(1, "two"), delete(1), text("new")] {
            stage.act(place, "ann", body);
        }
        assert_eq!(stage.log(place), ["2 ann edits 1: (gone)", "3 ann deletes 1", "4 ann: new"]);
    });
}

#[test]
fn what_is_too_old_is_not_found() {
    everywhere(9, |stage, place| {
        stage.act(place, "ann", text("old"));
        stage.at = 5_000;
        stage.act(place, "ann", edit(1, "older"));
        stage.at = 10_000;
        assert_eq!(stage.act(place, "bob", react(1, "x")), "3 bob +x 1");
        stage.at = 10_001;
        assert_eq!(stage.act(place, "bob", react(1, "y")), "NotFound");
        assert_eq!(stage.history(place), [""; 0]);
        assert_eq!(stage.log(place), ["2 ann edits 1: older", "3 bob +x 1"]);
        stage.at = 15_001;
        assert_eq!(stage.log(place), ["3 bob +x 1"]);
    });
}

#[test]
fn changes_within_a_time() {
    let within = Some(Duration::from_secs(1));
    let edit = |content| NewBody::Edit { of: 1, content, within, calls_room: false };
    let delete = NewBody::Delete { of: 1, right: Right::Sender { within } };
    everywhere(9, |stage, place| {
        stage.at = 500;
        stage.act(place, "ann", text("a"));
        stage.at = 1_500;
        assert_eq!(stage.act(place, "ann", edit("b")), "2 ann edits 1: b");
        // The age is that of the message, however late it was edited.
        stage.at = 1_501;
        assert_eq!(stage.act(place, "ann", edit("c")), "TooLate");
        assert_eq!(stage.act(place, "ann", delete), "TooLate");
        assert_eq!(stage.act(place, "bob", delete), "NotTheirs");
        stage.at = 1_500;
        assert_eq!(stage.act(place, "ann", delete), "3 ann deletes 1");
    });
}

/// Where people change their messages for some time only, one that has gone is not edited by way of its last edit,
/// which would make it young each time; it is deleted as long as that is young.
#[test]
fn no_edit_makes_a_message_young_that_has_gone() {
    let within = Some(Duration::from_secs(1));
    let delete = NewBody::Delete { of: 1, right: Right::Sender { within } };
    for (edit_within, outcome) in [(None, "4 ann edits 1: c"), (within, "NotFound")] {
        everywhere(2, |stage, place| {
            stage.act(place, "ann", text("a"));
            stage.at = 1_000;
            stage.act(place, "ann", NewBody::Edit { of: 1, content: "b", within, calls_room: false });
            stage.act(place, "ann", text("x"));
            stage.at = 1_900;
            let edit = NewBody::Edit { of: 1, content: "c", within: edit_within, calls_room: false };
            assert_eq!(stage.act(place, "ann", edit), outcome);
        });
    }
    for (at, outcome) in [(2_000, "4 ann deletes 1"), (2_001, "TooLate")] {
        everywhere(2, |stage, place| {
            stage.act(place, "ann", text("a"));
            stage.at = 1_000;
            stage.act(place, "ann", NewBody::Edit { of: 1, content: "b", within, calls_room: false });
            stage.act(place, "ann", text("x"));
            stage.at = at;
            assert_eq!(stage.act(place, "ann", delete), outcome);
        });
    }
}

/// A page is bounded by what it has: senders, texts as they stand, emoji and names of those who react.
#[test]
fn a_page_counts_the_text_as_it_stands() {
    everywhere(9, |stage, place| {
        stage.act(place, "ann", text("x"));
        stage.act(place, "ann", text("y"));
        stage.act(place, "ann", edit(1, &"x".repeat(97)));
        stage.act(place, "bob", react(1, "::"));
        let within = |bytes| Query::After(0, Bounds { entries: 9, bytes });
        // ann + 97 + :: + bob, and ann + y.
        assert_eq!(stage.page(place, within(105 + 4), None).entries.len(), 2);
        assert_eq!(stage.page(place, within(105 + 3), None).entries.len(), 1);
        assert_eq!(stage.page(place, within(0), None).entries.len(), 1);
    });
}

/// What is about a message makes no conversation, and what is refused or changes nothing has no number.
#[test]
fn what_is_refused_leaves_nothing() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let pair = Conversation::Direct("ann", "bob");
        for place in [ROOM, pair] {
            for body in [
                edit(1, "x"),
                delete(1),
                react(1, "x"),
                NewBody::Message { content: "x", reply_to: Some(1), calls_room: false },
            ] {
                assert_eq!(stage.act(place, "ann", body), "NotFound");
            }
            let head = stage.page(place, Query::Head, None).head;
            assert_eq!((head.seq, head.kept), (0, 0));
        }
        assert_eq!(stage.act(ROOM, "ann", text("first")), "1 ann: first");
        assert_eq!(stage.act(ROOM, "ann", edit(1, "first")), "nothing");
        assert_eq!(stage.act(ROOM, "ann", text("second")), "2 ann: second");
    });
}

#[test]
fn without_history_nothing_can_be_changed() {
    each(0, |store| {
        let mut stage = Stage::new(store);
        assert_eq!(stage.act(ROOM, "ann", text("x")), "1 ann: x");
        for body in [
            edit(1, "y"),
            delete(1),
            react(1, "x"),
            NewBody::Message { content: "x", reply_to: Some(1), calls_room: false },
        ] {
            assert_eq!(stage.act(ROOM, "ann", body), "NotFound");
        }
        assert_eq!(stage.act(ROOM, "ann", text("y")), "2 ann: y");
    });
}

/// Entries of one conversation are about messages of that alone.
#[test]
fn conversations_are_apart() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let (pair, self_talk) = (Conversation::Direct("den", "ann"), Conversation::Direct("ann", "ann"));
        for place in [ROOM, pair, self_talk] {
            stage.act(place, "ann", text("x"));
        }
        stage.act(Conversation::Direct("ann", "den"), "ann", edit(1, "y"));
        stage.act(self_talk, "ann", delete(1));
        stage.act(ROOM, "ann", react(1, "z"));
        assert_eq!(stage.history(ROOM), ["1 ann: x z[ann=1]"]);
        assert_eq!(stage.history(pair), ["1 ann: y @0"]);
        assert_eq!(stage.history(self_talk), ["1 ann gone"]);
    });
}

/// A reader who pages back, or on, hears each message once, whatever is said and done meanwhile.
#[test]
fn paging_while_people_talk_and_react() {
    everywhere(999, |stage, place| {
        for n in 1..=30 {
            stage.act(place, "ann", text("x"));
            stage.act(place, "bob", react(2 * n - 1, "+"));
        }
        let number = |entry: &String| entry.split(' ').next().unwrap().parse::<u64>().unwrap();
        let odd: Vec<u64> = (1..=30).map(|n| 2 * n - 1).collect();
        for entries in [1, 2, 7, 30, 31] {
            let bounds = Bounds { entries, bytes: usize::MAX };
            let (mut found, mut before) = (Vec::new(), 61);
            loop {
                let page = stage.page(place, Query::Before(before, bounds), None).entries;
                let Some(first) = page.first().map(number) else { break };
                before = first;
                found.extend(page.iter().rev().map(number));
                stage.act(place, "bob", text("y"));
                stage.act(place, "ann", edit(first, &format!("x {first} {entries}")));
            }
            found.reverse();
            assert_eq!(found, odd, "{entries}");
            let (mut found, mut after) = (Vec::new(), 0);
            while after < 59 {
                let page = stage.page(place, Query::After(after, bounds), None).entries;
                after = page.last().map(number).unwrap();
                found.extend(page.iter().map(number).filter(|&seq| seq < 60));
                stage.act(place, "cat", react(after, "-"));
            }
            assert_eq!(found, odd, "{entries}");
        }
    });
}

/// Texts and emoji are what was sent, byte for byte: nothing in them is taken for something else.
#[test]
fn any_text_stands_as_it_was_sent() {
    everywhere(99, |stage, place| {
        let texts =
            ["", "\0", "'; --", "%_", "é", "e\u{301}", "👩\u{200d}👩\u{200d}👧", "\u{feff}x", "\n\t", "{}[]\"\\"];
        for (at, content) in texts.iter().enumerate() {
            let of = 3 * at as u64 + 1;
            assert_eq!(stage.act(place, "ann", text(content)), format!("{of} ann: {content}"));
            let other = format!("{content}{content}!");
            assert_eq!(stage.act(place, "ann", edit(of, &other)), format!("{} ann edits {of}: {other}", of + 1));
            stage.act(place, "ann", edit(of, content));
            assert_eq!(
                stage.page(place, Query::Newest(ALL), None).entries.last().unwrap(),
                &format!("{of} ann: {content} @0")
            );
        }
        // Two ways to write one emoji are two emoji.
        for emoji in ["é", "e\u{301}", "👍", "👍🏽", "❤", "❤\u{fe0f}"] {
            assert!(stage.act(place, "bob", react(1, emoji)).ends_with(&format!(" bob +{emoji} 1")));
        }
        assert!(
            stage.history(place)[0]
                .ends_with(" é[bob=1] e\u{301}[bob=1] 👍[bob=1] 👍🏽[bob=1] ❤[bob=1] ❤\u{fe0f}[bob=1]")
        );
    });
}

/// The same key is one entry in a store that outlives its chat, and it knows of it; otherwise the chat sees to it.
#[test]
fn what_is_asked_once_more_stands_once() {
    everywhere(99, |stage, place| {
        let outlives = stage.store.durability() != "memory";
        let mut say = |key: u8, at: u64| {
            let entry = NewEntry::message("ann", "x", moment(at));
            let retry = Some(RetryKey([key; 16]));
            let request = Request::Append { conversation: place, entry, retry, about: None, ticket: Ticket(at) };
            stage.ask(request, |news| match news {
                News::Published { entry, .. } => Some(format!("{} published", entry.seq)),
                News::Repeated { ticket, seq, ts } => Some(format!("{seq} repeated @{ts} {}", ticket.0)),
                _ => None,
            })
        };
        let again = if outlives { "1 repeated @5 6" } else { "2 published" };
        assert_eq!([say(1, 5), say(1, 6)], ["1 published", again]);
        assert!(say(2, 7).ends_with("published"));
        let mut recalls = |conversation, key: u8| {
            let (retry, ticket) = (RetryKey([key; 16]), Ticket(8));
            stage.ask(Request::Recall { conversation, retry, ticket }, |news| match news {
                News::Repeated { ticket: Ticket(8), seq, ts } => Some(format!("{seq} @{ts}")),
                News::Refused { ticket: Ticket(8), why } => Some(format!("{why:?}")),
                _ => None,
            })
        };
        let known = if outlives { "1 @5" } else { "NotFound" };
        assert_eq!([recalls(place, 1), recalls(place, 3)], [known, "NotFound"]);
        assert_eq!(recalls(Conversation::Room("elsewhere"), 1), "NotFound");
    });
}

/// A clock that jumps back makes nobody's message older.
#[test]
fn a_clock_that_jumps_back() {
    let within = Some(Duration::from_secs(1));
    everywhere(9, |stage, place| {
        stage.at = 9_000;
        stage.act(place, "ann", text("a"));
        stage.at = 5_000;
        assert_eq!(
            stage.act(place, "ann", NewBody::Edit { of: 1, content: "b", within, calls_room: false }),
            "2 ann edits 1: b"
        );
        assert_eq!(stage.history(place), ["1 ann: b @5000"]);
        assert_eq!(
            stage.act(place, "ann", NewBody::Delete { of: 1, right: Right::Sender { within } }),
            "3 ann deletes 1"
        );
        assert_eq!(stage.log(place), ["1 ann gone", "2 ann edits 1: (gone)", "3 ann deletes 1"]);
    });
}
