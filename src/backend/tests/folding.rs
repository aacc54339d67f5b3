//! Any entries, against a model that keeps all that was ever said and folds it anew for each page.

use std::collections::HashSet;

use proptest::prelude::*;

use super::entries::*;
use super::said::{Conversation as Said, Outcome};
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
struct Log {
    said: Said,
    /// Whether a store has told which life it is.
    is_told: bool,
    marks: std::collections::BTreeMap<&'static str, u64>,
}

impl Log {
    fn new(keeps: usize) -> Self {
        Self { said: Said::new(Epoch(0), keeps), is_told: false, marks: Default::default() }
    }

    fn reading(&self, user: &str) -> Reading {
        let read = self.marks.get(user).copied().unwrap_or(0);
        Reading { read, unread: self.said.unread(user, read) }
    }

    /// Texts that nobody may read any more: edited away, deleted, or dropped with all that has them.
    fn gone_texts(&self) -> Vec<&str> {
        let kept = (1..=self.said.len()).filter_map(|seq| self.said.entry(seq, ""));
        let standing: HashSet<&str> = kept
            .filter_map(|entry| match entry.body {
                Body::Message(message) => message.content,
                Body::Edited { content, .. } => content,
                _ => None,
            })
            .collect();
        self.said.texts().filter(|text| !standing.contains(text)).collect()
    }

    /// Drops what is too old.
    fn expire(&mut self, now: u64) {
        self.said.expire(now.saturating_sub(AGE.as_millis() as u64));
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
                    log.expire(self.stage.at);
                    let gone = (head.seq - head.kept) as usize;
                    assert!(head.seq == log.said.len() && gone >= log.said.gone);
                    log.said.gone = gone;
                }
                // When no entry is left, marks go.
                if self.logs.iter().all(|log| log.said.head().kept == 0) {
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
        log.expire(at);
        self.texts += 1;
        let of = log.said.len().saturating_sub(back);
        let mut content = format!("<{}>", self.texts);
        if matches!(what, What::EditNothing)
            && log.said.is_message(of)
            && let Some(stands) = log.said.published(of).said()
        {
            content = stands.to_owned();
        }
        let calls_room = self.texts.is_multiple_of(3);
        let body = match what {
            What::Say => NewBody::Message { content: &content, reply_to: None, calls_room },
            What::Answer => NewBody::Message { content: &content, reply_to: Some(of), calls_room },
            What::Edit | What::EditNothing => NewBody::Edit { of, content: &content, within: None, calls_room },
            What::Delete => delete(of),
            What::Moderate => NewBody::Delete { of, right: Right::Moderator },
            What::React(emoji) => react(of, EMOJI[emoji]),
            What::Unreact(emoji) => unreact(of, EMOJI[emoji]),
        };
        let outcome = log.said.append(&NewEntry { sender, body, at: moment(at) });
        let said = self.stage.act(PLACES[place], sender, body);
        match outcome {
            Outcome::Nothing => assert_eq!(said, "nothing"),
            Outcome::Refused(why) => assert_eq!(said, format!("{why:?}")),
            Outcome::Published(seq) => assert_eq!(said, show(&log.said.published(seq))),
        }
        // Where nothing is kept, a text is heard once.
        if self.keeps > 0 {
            self.check_heard(&self.gone());
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
            self.logs[place].expire(self.stage.at);
            assert_eq!(self.logs[place].said.head().kept, 0);
        }
        for (log, place) in self.logs.iter_mut().zip(PLACES) {
            log.expire(self.stage.at);
            // The life of a pair ends with its last entry.
            if matches!(place, Conversation::Direct(..)) && log.said.head().kept == 0 {
                *log = Log::new(self.keeps);
            }
        }
    }

    fn mark(&mut self, place: usize, user: &'static str, back: u64) {
        let log = &mut self.logs[place];
        // Also beyond the newest entry.
        let seq = (log.said.len() + 2).saturating_sub(back);
        let request = Request::Mark { user, conversation: PLACES[place], seq, ticket: Ticket(3) };
        let marked = self.stage.ask(request, |news| match news {
            News::Marked { ticket: Some(Ticket(3)), user: told, seq, .. } if *told == user => Some(Some(*seq)),
            News::Noted { ticket: Ticket(3) } => Some(None),
            _ => None,
        });
        let (before, seq) = (log.reading(user).read, seq.min(log.said.len()));
        let changes = seq > before || seq == 0 && before > 0;
        assert_eq!(marked, changes.then_some(seq));
        if changes {
            log.marks.insert(user, seq);
        }
    }

    /// Every page is that of the model, and what is found, too.
    fn check(&mut self, chance: u64) {
        self.logs.iter_mut().for_each(|log| log.expire(self.stage.at));
        let gone = self.gone();
        for (place, conversation) in PLACES.into_iter().enumerate() {
            let seq = self.logs[place].said.len();
            let bounds = Bounds {
                entries: [usize::MAX, 0, 1, 2, 3][chance as usize % 5],
                bytes: [usize::MAX, 0, 20, 40][chance as usize % 4],
            };
            let from = chance % (seq + 2);
            let epoch = self.logs[place].said.epoch;
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
                let head = Head { epoch: page.head.epoch, seq, kept: seq - log.said.gone as u64 };
                assert_eq!(page.head, head, "{conversation:?}");
                if seq > 0 {
                    assert!(!log.is_told || log.said.epoch == page.head.epoch);
                    (log.is_told, log.said.epoch) = (true, page.head.epoch);
                }
                let shown = |seq| show(&log.said.entry(seq, user).expect("it is kept"));
                let expected: Vec<String> = log.said.read(query, usize::MAX).into_iter().map(shown).collect();
                assert_eq!(page.entries, expected, "{conversation:?} {query:?}");
                let reading = chance.is_multiple_of(2).then(|| log.reading(user));
                assert_eq!(page.reading, reading, "{conversation:?} {user}");
                self.check_heard(&gone);
            }
        }
        self.check_search(chance, &gone);
    }

    /// A text is found where it stands, and no other one. What is too old may be found until it is swept out.
    fn check_search(&mut self, chance: u64, gone: &HashSet<String>) {
        let text = format!("<{}>", chance as usize % (self.texts + 1) + 1);
        let scope = match PLACES[chance as usize % PLACES.len()] {
            place if chance.is_multiple_of(3) => Scope::One(place),
            _ => Scope::All { rooms: Names::from_text("den\0ann\0"), user: "ann" },
        };
        let stands = |log: &Log, seq: u64| log.said.published(seq).said() == Some(&*text);
        let mut expected: Vec<(usize, u64)> = Vec::new();
        for (place, log) in self.logs.iter().enumerate() {
            let asked = !matches!(scope, Scope::One(other) if other != PLACES[place]);
            let kept = log.said.gone as u64 + 1..=log.said.len();
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
            self.check_heard(gone);
        }
    }

    /// All texts that are gone.
    fn gone(&self) -> HashSet<String> {
        self.logs.iter().flat_map(Log::gone_texts).map(str::to_owned).collect()
    }

    /// In nothing that was heard is a text that is gone. Texts are numbers in angle brackets, and nothing else has
    /// those.
    fn check_heard(&self, gone: &HashSet<String>) {
        for heard in &self.stage.heard {
            for (from, _) in heard.match_indices('<') {
                let text = heard[from..].split_inclusive('>').next().expect("it has the bracket");
                assert!(!gone.contains(text), "{text} in {heard}");
            }
        }
    }
}

fn run(keeps: usize, steps: &[(Step, u64)], everywhere: bool) {
    let row = |store: &mut dyn Backend| {
        let mut world =
            World { stage: Stage::new(store), logs: std::array::from_fn(|_| Log::new(keeps)), keeps, texts: 0 };
        for (step, chance) in steps {
            world.step(step);
            world.check(*chance);
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
