//! Any entries, against a model that keeps all that was ever said and folds it anew for each page.

use proptest::prelude::*;

use super::entries::*;
use super::*;

/// What somebody does, or what happens.
#[derive(Clone, Debug)]
enum Step {
    Act {
        place: usize,
        sender: usize,
        what: What,
        back: u64,
    },
    Wait(u64),
    Expire,
    /// Memory is short.
    Drop(usize),
    Mark {
        place: usize,
        user: usize,
        back: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum What {
    Say,
    Answer,
    Edit,
    /// To the same text, if it is the sender's.
    EditNothing,
    Delete,
    Moderate,
    React(usize),
    Unreact(usize),
}

const USERS: [&str; 3] = ["ann", "bob", "cat"];
const EMOJI: [&str; 3] = ["👍", ":ok:", "é"];

const PLACES: [Conversation<'_>; 4] = [
    Conversation::Room("den"),
    Conversation::Room("ann"),
    Conversation::Direct("bob", "ann"),
    Conversation::Direct("ann", "ann"),
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use What::*;
    let what = prop_oneof![
        4 => Just(Say),
        1 => Just(Answer),
        3 => Just(Edit),
        1 => Just(EditNothing),
        1 => Just(Delete),
        1 => Just(Moderate),
        4 => (0..EMOJI.len()).prop_map(React),
        2 => (0..EMOJI.len()).prop_map(Unreact),
    ];
    // Mostly one place, so that much happens in it.
    let place = || prop_oneof![3 => Just(0), 1 => 1..PLACES.len()];
    let user = || 0..USERS.len();
    let step = prop_oneof![
        24 => (place(), user(), what, 0..8u64).prop_map(|(place, sender, what, back)| Step::Act {
            place, sender, what, back
        }),
        3 => (place(), user(), 0..8u64).prop_map(|(place, user, back)| Step::Mark { place, user, back }),
        3 => (1..4_000u64).prop_map(Step::Wait),
        1 => Just(Step::Expire),
        1 => (1..400usize).prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 1..60)
}

/// A conversation, as it would be read if nothing were forgotten before it is folded.
#[derive(Default)]
struct Log {
    epoch: Option<Epoch>,
    entries: Vec<Said>,
    /// How many of these are gone.
    gone: usize,
    marks: std::collections::BTreeMap<&'static str, u64>,
}

struct Said {
    at: u64,
    sender: &'static str,
    body: Doing,
}

#[derive(Clone, PartialEq)]
enum Doing {
    Message { content: String, reply_to: Option<u64> },
    Edit { of: u64, content: String },
    Delete { of: u64 },
    Reaction { of: u64, emoji: &'static str, on: bool },
}

impl Log {
    fn seq(&self) -> u64 {
        self.entries.len() as u64
    }

    fn is_message(&self, seq: u64) -> bool {
        let entry = seq.checked_sub(1).and_then(|place| self.entries.get(place as usize));
        entry.is_some_and(|entry| matches!(entry.body, Doing::Message { .. }))
    }

    fn is_deleted(&self, of: u64) -> bool {
        self.entries.iter().any(|entry| entry.body == Doing::Delete { of })
    }

    /// The last edit of a message: its text, and when.
    fn edit(&self, of: u64) -> Option<(&str, u64)> {
        self.entries.iter().rev().find_map(|entry| match &entry.body {
            Doing::Edit { of: other, content } if *other == of => Some((&**content, entry.at)),
            _ => None,
        })
    }

    fn reactions(&self, of: u64) -> Vec<(&'static str, Vec<&'static str>)> {
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        for entry in &self.entries {
            let Doing::Reaction { of: other, emoji, on } = entry.body else { continue };
            if other != of {
                continue;
            }
            match (found.iter_mut().find(|(other, _)| *other == emoji), on) {
                (Some((_, users)), true) => users.push(entry.sender),
                (None, true) => found.push((emoji, vec![entry.sender])),
                (Some((_, users)), false) => users.retain(|user| *user != entry.sender),
                (None, false) => {}
            }
            found.retain(|(_, users)| !users.is_empty());
        }
        found
    }

    fn entry(&self, seq: u64, reader: Option<&str>) -> Entry<'_> {
        let Said { at, sender, body } = &self.entries[seq as usize - 1];
        let body = match body {
            &Doing::Message { reply_to, .. } if self.is_deleted(seq) => {
                Body::Message(Message { reply_to, ..Message::default() })
            }
            Doing::Message { content, reply_to } => Body::Message(Message {
                content: Some(self.edit(seq).map_or(content, |(content, _)| content)),
                reply_to: *reply_to,
                edited: self.edit(seq).map(|(_, at)| at),
                reactions: self
                    .reactions(seq)
                    .into_iter()
                    .map(|(emoji, users)| Reaction {
                        emoji,
                        count: users.len() as u64,
                        me: reader.is_some_and(|reader| users.contains(&reader)),
                        users,
                    })
                    .collect(),
            }),
            Doing::Edit { of, .. } => {
                let content = self.edit(*of).map(|(content, _)| content).filter(|_| !self.is_deleted(*of));
                Body::Edited { of: *of, content }
            }
            Doing::Delete { of } => Body::Deleted { of: *of },
            Doing::Reaction { of, emoji, on } => Body::Reaction { of: *of, emoji, on: *on },
        };
        Entry { seq, ts: *at, sender, body }
    }

    /// Whether an edit is kept that has the text of a message.
    fn has_text_left(&self, of: u64) -> bool {
        let kept = &self.entries[self.gone..];
        kept.iter().any(|entry| matches!(entry.body, Doing::Edit { of: other, .. } if other == of))
    }

    /// What is to be seen of a message that an entry is about.
    fn judge(&self, entry: &NewEntry<'_>) -> Verdict {
        let changes_text = matches!(entry.body, NewBody::Edit { .. } | NewBody::Delete { .. });
        let is_there = |of: u64| of > self.gone as u64 || changes_text && self.has_text_left(of);
        let of = entry.body.needs().filter(|&of| self.is_message(of) && !self.is_deleted(of) && is_there(of));
        let emoji = match entry.body {
            NewBody::Reaction { emoji, .. } => emoji,
            _ => "",
        };
        let message = of.map(|of| self.entry(of, None));
        let target = message.as_ref().map(|message| {
            let of = self.reactions(message.seq);
            let users = of.iter().find(|(other, _)| *other == emoji);
            Target {
                sender: message.sender,
                ts: message.ts,
                content: message.said().unwrap(),
                emoji: of.len(),
                reacted: match users.map(|(_, users)| users.contains(&entry.sender)) {
                    None => Reacted::No,
                    Some(false) => Reacted::Others,
                    Some(true) => Reacted::Sender,
                },
            }
        });
        judge(entry, target.as_ref())
    }

    /// The numbers of what a query names.
    fn read(&self, query: Query) -> Vec<u64> {
        let kept: Vec<u64> = (self.gone as u64 + 1..=self.seq()).collect();
        let messages: Vec<u64> = kept.iter().copied().filter(|&seq| self.is_message(seq)).collect();
        let bytes = |seq: &u64| {
            let entry = self.entry(*seq, None);
            entry.sender.len() + entry.body.bytes()
        };
        let within = |found: Vec<u64>, bounds: Bounds| {
            let mut sum = 0;
            let fits = |(at, seq): &(usize, u64)| {
                sum += bytes(seq);
                *at < bounds.entries && (*at == 0 || sum <= bounds.bytes)
            };
            found.into_iter().enumerate().take_while(fits).map(|(_, seq)| seq).collect::<Vec<u64>>()
        };
        let newest = |before: u64, bounds| {
            let mut found: Vec<u64> = messages.iter().copied().filter(|&seq| seq < before).collect();
            found.reverse();
            let mut found = within(found, bounds);
            found.reverse();
            found
        };
        let after = |list: &[u64], seq: u64| list.iter().copied().filter(|&other| other > seq).collect::<Vec<_>>();
        match query {
            Query::Head => Vec::new(),
            Query::Newest(bounds) => newest(u64::MAX, bounds),
            Query::Before(seq, bounds) => newest(seq, bounds),
            Query::After(seq, bounds) => within(after(&messages, seq), bounds),
            Query::Resume { since: Some((epoch, seq)), bounds, .. }
                if Some(epoch) == self.epoch && seq <= self.seq() =>
            {
                within(after(&kept, seq), bounds)
            }
            Query::Resume { newest, bounds, .. } => {
                let first = messages.iter().rev().take(newest).next_back();
                first.map_or(Vec::new(), |&first| within(after(&kept, first - 1), bounds))
            }
        }
    }

    fn reading(&self, user: &str) -> Reading {
        let read = self.marks.get(user).copied().unwrap_or(0);
        let unread = (self.gone as u64 + 1..=self.seq()).filter(|&seq| {
            let other = self.entries[seq as usize - 1].sender != user;
            seq > read && other && self.is_message(seq) && !self.is_deleted(seq)
        });
        Reading { read, unread: unread.count() as u64 }
    }

    /// Texts that nobody may read any more: edited away, deleted, or dropped with all that has them.
    fn gone_texts(&self) -> Vec<&str> {
        let kept = |seq: u64| seq > self.gone as u64;
        let standing: Vec<&str> = (1..=self.seq())
            .filter(|&seq| kept(seq))
            .filter_map(|seq| match self.entry(seq, None).body {
                Body::Message(message) => message.content,
                Body::Edited { content, .. } => content,
                _ => None,
            })
            .collect();
        let all = self.entries.iter().filter_map(|entry| match &entry.body {
            Doing::Message { content, .. } | Doing::Edit { content, .. } => Some(&**content),
            _ => None,
        });
        all.filter(|text| !standing.contains(text)).collect()
    }

    /// Drops what is too old or too much.
    fn retain(&mut self, keeps: usize, now: u64) {
        self.gone = self.gone.max(self.entries.len().saturating_sub(keeps));
        while self.entries.get(self.gone).is_some_and(|oldest| now - oldest.at > AGE.as_millis() as u64) {
            self.gone += 1;
        }
    }
}

struct World<'a> {
    stage: Stage<'a>,
    logs: [Log; PLACES.len()],
    keeps: usize,
    /// Texts said so far: each is another one.
    texts: usize,
}

impl World<'_> {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Act { place, sender, what, back } => self.act(place, sender, what, back),
            Step::Wait(time) => self.stage.at += time,
            Step::Expire => self.expire(),
            Step::Drop(bytes) => {
                self.stage.store.drop_oldest(bytes);
                for (log, place) in self.logs.iter_mut().zip(PLACES) {
                    let head = self.stage.page(place, Query::Head, None).head;
                    log.retain(self.keeps, self.stage.at);
                    let gone = head.seq - head.kept;
                    assert!(head.seq == log.seq() && gone >= log.gone as u64);
                    log.gone = gone as usize;
                }
                // When no entry is left, marks go.
                if self.logs.iter().all(|log| log.gone == log.entries.len()) {
                    for (log, place) in self.logs.iter_mut().zip(PLACES) {
                        log.marks.retain(|&user, read| {
                            let reader = Some(Reader { user, reading: true });
                            let reading = self.stage.page(place, Query::Head, reader).reading.unwrap();
                            assert!(reading.read == *read || reading.read == 0);
                            reading.read > 0
                        });
                    }
                }
            }
            Step::Mark { place, user, back } => self.mark(place, USERS[user], back),
        }
    }

    fn act(&mut self, place: usize, sender: usize, what: What, back: u64) {
        let (at, sender, log) = (self.stage.at, USERS[sender], &mut self.logs[place]);
        log.retain(usize::MAX, at);
        self.texts += 1;
        let content = format!("<{}>", self.texts);
        let of = log.seq().saturating_sub(back);
        let (body, doing) = match what {
            What::Say => (text(&content), Doing::Message { content: content.clone(), reply_to: None }),
            What::Answer => (
                NewBody::Message { content: &content, reply_to: Some(of) },
                Doing::Message { content: content.clone(), reply_to: Some(of) },
            ),
            What::Edit => (edit(of, &content), Doing::Edit { of, content: content.clone() }),
            What::EditNothing => {
                let stands = log.is_message(of).then(|| log.entry(of, None).said().map(str::to_owned)).flatten();
                let content = stands.unwrap_or(content);
                let doing = Doing::Edit { of, content };
                (NewBody::Delete { of: 0, right: Right::Moderator }, doing)
            }
            What::Delete => (delete(of), Doing::Delete { of }),
            What::Moderate => (NewBody::Delete { of, right: Right::Moderator }, Doing::Delete { of }),
            What::React(emoji) => (react(of, EMOJI[emoji]), Doing::Reaction { of, emoji: EMOJI[emoji], on: true }),
            What::Unreact(emoji) => (unreact(of, EMOJI[emoji]), Doing::Reaction { of, emoji: EMOJI[emoji], on: false }),
        };
        let body = match (&what, &doing) {
            (What::EditNothing, Doing::Edit { of, content }) => edit(*of, content),
            _ => body,
        };
        let verdict = log.judge(&NewEntry { sender, body, at: moment(at) });
        let said = self.stage.act(PLACES[place], sender, body);
        match verdict {
            Verdict::Nothing => assert_eq!(said, "nothing"),
            Verdict::Refuse(why) => assert_eq!(said, format!("{why:?}")),
            Verdict::Publish => {
                log.entries.push(Said { at, sender, body: doing });
                log.retain(self.keeps, at);
                assert_eq!(said, show(&log.entry(log.seq(), None)));
            }
        }
        // Where nothing is kept, a text is heard once.
        if self.keeps > 0 {
            self.check_heard();
        }
    }

    fn expire(&mut self) {
        // Bounded pieces of work: what is left by one is done by the next.
        for _ in 0..4 {
            self.stage.store.expire(moment(self.stage.at));
        }
        while let Some(news) = self.stage.store.poll() {
            let News::Emptied { room } = news else { panic!("{news:?}") };
            let place = PLACES.iter().position(|place| *place == Conversation::Room(room)).unwrap();
            self.logs[place].retain(self.keeps, self.stage.at);
            assert_eq!(self.logs[place].gone, self.logs[place].entries.len());
        }
        for (log, place) in self.logs.iter_mut().zip(PLACES) {
            log.retain(self.keeps, self.stage.at);
            // The life of a pair ends with its last entry.
            if matches!(place, Conversation::Direct(..)) && log.gone == log.entries.len() {
                *log = Log::default();
            }
        }
    }

    fn mark(&mut self, place: usize, user: &'static str, back: u64) {
        let log = &mut self.logs[place];
        // Also beyond the newest entry.
        let seq = (log.seq() + 2).saturating_sub(back);
        let request = Request::Mark { user, conversation: PLACES[place], seq, ticket: Ticket(3) };
        let marked = self.stage.ask(request, |news| match news {
            News::Marked { ticket: Some(Ticket(3)), user: told, seq, .. } if *told == user => Some(Some(*seq)),
            News::Noted { ticket: Ticket(3) } => Some(None),
            _ => None,
        });
        let (before, seq) = (log.reading(user).read, seq.min(log.seq()));
        let changes = seq > before || seq == 0 && before > 0;
        assert_eq!(marked, changes.then_some(seq));
        if changes {
            log.marks.insert(user, seq);
        }
    }

    /// Every page is that of the model.
    fn check(&mut self, chance: u64) {
        for (place, conversation) in PLACES.into_iter().enumerate() {
            self.logs[place].retain(self.keeps, self.stage.at);
            let seq = self.logs[place].seq();
            let bounds = Bounds {
                entries: [usize::MAX, 0, 1, 2, 3][chance as usize % 5],
                bytes: [usize::MAX, 0, 20, 40][chance as usize % 4],
            };
            let from = chance % (seq + 2);
            let epoch = self.logs[place].epoch.unwrap_or(Epoch(0));
            let other = Epoch(epoch.0 ^ 1);
            let resume = |since, newest| Query::Resume { since, newest, bounds };
            let queries = [
                Query::Head,
                Query::Newest(ALL),
                Query::Newest(bounds),
                Query::Before(from, bounds),
                Query::After(from, bounds),
                resume(Some((epoch, 0)), 0),
                resume(Some((epoch, from)), 2),
                resume(Some((other, from)), 2),
                resume(None, chance as usize % 7),
            ];
            let user = USERS[chance as usize % 3];
            for query in queries {
                let reader = Some(Reader { user, reading: chance.is_multiple_of(2) });
                let page = self.stage.page(conversation, query, reader);
                let log = &mut self.logs[place];
                // The first answer says which life it is; it lasts.
                let head = Head { epoch: page.head.epoch, seq, kept: seq - log.gone as u64 };
                assert_eq!(page.head, head, "{conversation:?}");
                if seq > 0 {
                    assert_eq!(*log.epoch.get_or_insert(page.head.epoch), page.head.epoch);
                }
                let expected: Vec<String> =
                    log.read(query).into_iter().map(|seq| show(&log.entry(seq, Some(user)))).collect();
                assert_eq!(page.entries, expected, "{conversation:?} {query:?}");
                let reading = chance.is_multiple_of(2).then(|| log.reading(user));
                assert_eq!(page.reading, reading, "{conversation:?} {user}");
                self.check_heard();
            }
        }
    }

    /// A text is found where it stands, and no other one. What is too old may be found until it is swept out.
    fn check_search(&mut self, chance: u64) {
        let text = format!("<{}>", chance as usize % (self.texts + 1) + 1);
        let scope = match PLACES[chance as usize % PLACES.len()] {
            place if chance.is_multiple_of(3) => Scope::One(place),
            _ => Scope::All { rooms: Names::from_text("den\0ann\0"), user: "ann" },
        };
        let stands = |log: &Log, seq: u64| log.entry(seq, None).said() == Some(&*text);
        let mut expected: Vec<(usize, u64)> = Vec::new();
        for (place, log) in self.logs.iter().enumerate() {
            let asked = !matches!(scope, Scope::One(other) if other != PLACES[place]);
            let kept = log.gone as u64 + 1..=log.seq();
            expected.extend(kept.filter(|&seq| asked && stands(log, seq)).map(|seq| (place, seq)));
        }
        let search = Search { scope, text: &text, sender: None, before: None, cursor: None, limit: 9 };
        let found = self.stage.ask(Request::Search { search, ticket: Ticket(4) }, |news| match news {
            News::Refused { ticket: Ticket(4), why: Why::Unsupported } => Some(None),
            News::Found { ticket: Ticket(4), items, next: None } => Some(Some(
                items
                    .iter()
                    .map(|hit| {
                        assert_eq!(hit.content, text);
                        let place = PLACES.iter().position(|place| match (place, hit.conversation) {
                            (Conversation::Direct(a, b), Conversation::Direct(c, d)) => {
                                [a.min(b), a.max(b)] == [&c.min(d), &c.max(d)]
                            }
                            (place, told) => *place == told,
                        });
                        (place.unwrap(), hit.seq)
                    })
                    .collect::<Vec<_>>(),
            )),
            _ => None,
        });
        let Some(found) = found else { return };
        for hit in &expected {
            assert!(found.contains(hit), "{text} at {hit:?} in {found:?}");
        }
        for &(place, seq) in &found {
            assert!(stands(&self.logs[place], seq), "{text} is not at {place} {seq}");
        }
        let too_old = found.iter().all(|hit| expected.contains(hit));
        if too_old {
            self.check_heard();
        }
    }

    /// In nothing that was heard is a text that is gone.
    fn check_heard(&self) {
        for text in self.logs.iter().flat_map(Log::gone_texts) {
            for heard in &self.stage.heard {
                assert!(!heard.contains(text), "{text} in {heard}");
            }
        }
    }
}

fn run(keeps: usize, steps: &[(Step, u64)], everywhere: bool) {
    let row = |store: &mut dyn Backend| {
        let mut world = World { stage: Stage::new(store), logs: Default::default(), keeps, texts: 0 };
        for (step, chance) in steps {
            world.step(step);
            world.check(*chance);
            world.check_search(*chance);
        }
    };
    // One on Redis has a round trip for each question.
    if everywhere { each(keeps, row) } else { each_here(keeps, row) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_page_is_that_of_a_model(
        keeps in prop_oneof![Just(0usize), 1..8usize, Just(100)],
        steps in steps(),
        chance in any::<u64>(),
    ) {
        // Another one with each step.
        let next = |chance: &u64| Some(chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        let chances = std::iter::successors(Some(chance), next);
        let steps: Vec<_> = steps.into_iter().zip(chances.map(|chance| chance >> 33)).collect();
        run(keeps, &steps, chance % 4 == 0);
    }
}
