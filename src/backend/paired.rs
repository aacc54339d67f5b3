//! Two stores that are one: the first carries out everything, the second reads beside it what the first would only
//! read, so that nobody who reads waits for a disk that is slow to write.
//!
//! ```text
//!            ┌─ a read, and nothing about its conversation waits ─▶ reader ─┐ what it cannot answer goes to the writer
//!   ask ─────┤                                                              ▼
//!            └─ all else ──────────────────────────────────────────────▶ writer
//!               (about a conversation that the reader reads: held until it has answered)
//! ```
//!
//! The order of a conversation is kept by what is asked when. The reader is asked about a conversation only when the
//! writer has answered all that was asked about it, so that it finds whatever was published. And while it reads, the
//! writer is given nothing about that conversation, so that nothing is published before a page
//! whose head does not count it. Conversations are told apart by a hash, in `LANES` lanes: two that
//! share one wait for each other.
//!
//! The writer must answer requests with tickets in the order of asking, whatever they are about; one that has batches
//! does.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::carried::{Reports, Requests};
use super::{Backend, Conversation, Description, Health, News, Overloaded, Request, Scope, Ticket, Why};
use crate::time::Moment;

/// A store that writes, and one that reads beside it.
#[derive(Debug)]
pub struct Paired<W, R> {
    /// Ended before the writer, which has what keeps others from the file: locks of one process end with the first of
    /// its descriptors that is closed, and the writer's are to be the last.
    reader: R,
    writer: W,
    lanes: Vec<Lane>,
    hasher: RandomState,
    /// Requests that the writer has taken, and up to which of them all are done as far as that has been heard.
    asked: u64,
    answered: u64,
    /// Which of them have tickets and are not done.
    unanswered: VecDeque<u64>,
    /// What the reader reads, with the lane if it is about one conversation.
    reads: HashMap<Ticket, (Option<usize>, Requests)>,
    /// What waits for the reader, with the lane.
    held: VecDeque<(usize, Requests)>,
    held_bytes: usize,
    /// What the reader has said, and how much of it has been heard.
    said: Reports,
    told: usize,
}

/// Conversations of one hash.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// When so many requests are done, the writer has done what it was asked here.
    busy_until: u64,
    /// Reads that the reader has not answered, or that wait for those before them.
    reads: usize,
    /// One of those is to go to the writer, and so are all behind it.
    passes: bool,
}

impl<W: Backend, R: Backend> Paired<W, R> {
    /// Makes one of two. Reads that the reader refuses as [`Why::Unsupported`], or fails to do, go to the writer.
    pub fn new(writer: W, reader: R) -> Self {
        Self {
            writer,
            reader,
            lanes: vec![Lane::default(); LANES],
            hasher: RandomState::new(),
            asked: 0,
            answered: 0,
            unanswered: VecDeque::new(),
            reads: HashMap::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            said: Reports::default(),
            told: 0,
        }
    }

    fn lane_of(&self, conversation: Conversation<'_>) -> usize {
        let hash = match conversation {
            Conversation::Room(room) => self.hasher.hash_one((room, "")),
            Conversation::Direct(one, other) => self.hasher.hash_one((one.min(other), one.max(other))),
        };
        // Less than there are lanes.
        usize::try_from(hash % LANES as u64).unwrap_or(0)
    }

    /// The lane of a request, and whether the reader may be asked it.
    fn place(&self, request: &Request<'_>) -> (Option<usize>, bool) {
        match *request {
            Request::Read { conversation, about, .. } => (Some(self.lane_of(conversation)), about.is_none()),
            Request::Append { conversation, .. }
            | Request::Recall { conversation, .. }
            | Request::Mark { conversation, .. } => (Some(self.lane_of(conversation)), false),
            Request::Topic { about: Description { room, .. }, .. }
            | Request::Release { room }
            | Request::Erase { room }
            | Request::Unfollow { room }
            | Request::Seats { room } => (Some(self.lane_of(Conversation::Room(room))), false),
            Request::Search { search, .. } => match search.scope {
                Scope::One(conversation) => (Some(self.lane_of(conversation)), true),
                Scope::All { .. } => (None, true),
            },
            Request::Readings { .. }
            | Request::Conversations { .. }
            | Request::Ban { .. }
            | Request::Unban { .. }
            | Request::Set { .. }
            | Request::Note { .. }
            | Request::Trail { .. }
            | Request::Know { .. }
            | Request::Tell { .. }
            | Request::Post { .. } => (None, false),
        }
    }

    /// Has the writer carry it out.
    fn write(&mut self, request: Request<'_>, lane: Option<usize>) -> Result<(), Overloaded> {
        self.writer.ask(request)?;
        self.asked += 1;
        if request.ticket().is_some() {
            self.unanswered.push_back(self.asked);
        }
        if let Some(lane) = lane {
            self.lanes[lane].busy_until = self.asked;
        }
        Ok(())
    }

    /// The same of what was accepted before: it has an outcome in any case.
    fn write_late(&mut self, requests: &Requests, lane: Option<usize>) {
        for request in (0..).map_while(|at| requests.get(at)) {
            if self.write(request, lane).is_err()
                && let Some(ticket) = request.ticket()
            {
                self.said.push(&News::Failed { ticket });
            }
        }
    }

    /// Hears what the reader has to say, and gives the writer what has waited for that.
    fn hear_reader(&mut self) {
        while self.said.bytes() < MAX_HEARD_BYTES
            && let Some(news) = self.reader.poll()
        {
            let Some(ticket) = news.ticket() else { continue };
            let Some((lane, requests)) = self.reads.remove(&ticket) else { continue };
            let cannot = matches!(news, News::Failed { .. } | News::Refused { why: Why::Unsupported, .. });
            let passes = lane.is_some_and(|lane| self.lanes[lane].passes);
            if !cannot && !passes {
                self.said.push(&news);
            } else if let Some(lane) = lane {
                self.lanes[lane].passes = true;
            }
            if cannot || passes {
                self.write_late(&requests, lane);
            }
            let Some(lane) = lane else { continue };
            self.lanes[lane].reads -= 1;
            if self.lanes[lane].reads == 0 {
                self.lanes[lane].passes = false;
                self.let_go(lane);
            }
        }
    }

    /// Gives the writer what is held of a lane.
    fn let_go(&mut self, lane: usize) {
        if !self.held.iter().any(|held| held.0 == lane) {
            return;
        }
        let (gone, kept): (VecDeque<_>, _) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.0 == lane);
        self.held = kept;
        for (_, requests) in gone {
            self.held_bytes -= requests.bytes();
            self.write_late(&requests, Some(lane));
        }
    }

    /// Has it wait until the reader has answered what was asked before.
    fn hold(&mut self, request: Request<'_>, lane: usize) -> Result<(), Overloaded> {
        if self.held.len() >= MAX_HELD || self.held_bytes >= MAX_HELD_BYTES {
            return Err(Overloaded);
        }
        let requests = one(request);
        self.held_bytes += requests.bytes();
        self.held.push_back((lane, requests));
        Ok(())
    }
}

fn one(request: Request<'_>) -> Requests {
    let mut requests = Requests::default();
    requests.push(request);
    requests
}

impl<W: Backend, R: Backend> Backend for Paired<W, R> {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        // One without an outcome is done when a later one with one is, or when the writer has nothing more to do.
        if self.answered < self.asked && self.unanswered.is_empty() && self.writer.is_idle() {
            self.answered = self.asked;
        }
        let (lane, reads) = self.place(&request);
        let (busy, reading, held) = lane.map_or((false, false, false), |lane| {
            let Lane { busy_until, reads, .. } = self.lanes[lane];
            let held = reads > 0 && self.held.iter().any(|held| held.0 == lane);
            (busy_until > self.answered, reads > 0, held)
        });
        if let Some(ticket) = request.ticket().filter(|_| reads && !busy && !held)
            && self.reader.ask(request).is_ok()
        {
            self.reads.insert(ticket, (lane, one(request)));
            if let Some(lane) = lane {
                self.lanes[lane].reads += 1;
            }
            return Ok(());
        }
        match lane {
            Some(lane) if reading => self.hold(request, lane),
            lane => self.write(request, lane),
        }
    }

    fn tell_catalogue(&mut self) {
        self.writer.tell_catalogue();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        if self.told == self.said.len() {
            self.said.clear();
            self.told = 0;
            self.hear_reader();
        }
        if self.told < self.said.len() {
            self.told += 1;
            return self.said.get(self.told - 1);
        }
        let news = self.writer.poll();
        if news.as_ref().is_some_and(|news| news.ticket().is_some()) {
            self.answered = self.unanswered.pop_front().unwrap_or(self.answered);
        }
        news
    }

    fn is_idle(&self) -> bool {
        let nothing_read = self.reads.is_empty() && self.held.is_empty() && self.told == self.said.len();
        nothing_read && self.writer.is_idle()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.writer.expire(now)
    }

    fn held_bytes(&self) -> usize {
        let lanes = self.lanes.capacity() * size_of::<Lane>() + self.unanswered.capacity() * size_of::<u64>();
        let reads = self.reads.values().map(|(_, requests)| requests.held_bytes()).sum::<usize>();
        let held = self.held.iter().map(|(_, requests)| requests.held_bytes()).sum::<usize>();
        lanes + reads + held + self.said.held_bytes() + self.writer.held_bytes() + self.reader.held_bytes()
    }

    fn drop_oldest(&mut self, bytes: usize) -> usize {
        self.writer.drop_oldest(bytes)
    }

    fn hand_over(&mut self) {
        self.writer.hand_over();
        self.reader.hand_over();
    }

    fn shrink(&mut self) {
        self.writer.shrink();
        self.reader.shrink();
    }

    fn knows(&mut self, conversation: Conversation<'_>) -> bool {
        self.writer.knows(conversation)
    }

    fn bounds_itself(&self) -> bool {
        self.writer.bounds_itself()
    }

    fn keeps(&self) -> bool {
        self.writer.keeps()
    }

    fn durability(&self) -> &'static str {
        self.writer.durability()
    }

    fn health(&self) -> Option<Health> {
        let mut health = self.writer.health()?;
        health.waiting += (self.held.len() + self.reads.len()) as u64;
        health.waiting_bytes += self.held_bytes;
        Some(health)
    }

    fn about(&self) -> String {
        self.writer.about()
    }
}

/// Lanes, of which each conversation has one by its hash.
const LANES: usize = 1024;

/// Requests that wait for what is read before them, and bytes of their texts beside one that crosses these.
const MAX_HELD: usize = 1024;
const MAX_HELD_BYTES: usize = 4 << 20;

/// Bytes that the reader has said and the loop has not heard, beside a page that crosses these.
const MAX_HEARD_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory::{Limits, Memory};
    use crate::backend::{Bounds, NewEntry, Query};
    use crate::random::Random;
    use crate::time::Tick;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    /// One side of a store in memory: it is asked at once, and says what comes of it when its gate is open.
    #[derive(Debug)]
    struct Side {
        memory: Rc<RefCell<Memory>>,
        asked: VecDeque<Requests>,
        open: Gate,
        /// Refuses so many reads in a thousand.
        refuses: u64,
        random: Random,
        said: Reports,
        told: usize,
    }

    impl Side {
        fn of(memory: &Rc<RefCell<Memory>>, refuses: u64, seed: u64) -> Self {
            let (memory, open) = (memory.clone(), Rc::new(Cell::new(true)));
            let random = Random::from(seed);
            let (asked, said) = Default::default();
            Self { memory, asked, open, refuses, random, said, told: 0 }
        }
    }

    impl Drop for Side {
        /// Its gate is open then if it is the last one of its pair.
        fn drop(&mut self) {
            self.open.set(Rc::strong_count(&self.memory) == 1);
        }
    }

    impl Backend for Side {
        fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
            self.asked.push_back(one(request));
            Ok(())
        }

        fn tell_catalogue(&mut self) {}

        fn poll(&mut self) -> Option<News<'_>> {
            if self.told == self.said.len() {
                self.said.clear();
                self.told = 0;
                while self.said.len() == 0 {
                    let next = if self.open.get() { self.asked.pop_front() } else { None };
                    let requests = next?;
                    let request = requests.get(0)?;
                    match request.ticket() {
                        Some(ticket) if self.random.below(1000) < self.refuses => {
                            self.said.push(&News::Refused { ticket, why: Why::Unsupported });
                        }
                        _ => {
                            let mut memory = self.memory.borrow_mut();
                            memory.ask(request).unwrap();
                            while let Some(news) = memory.poll() {
                                self.said.push(&news);
                            }
                        }
                    }
                }
            }
            self.told += 1;
            self.said.get(self.told - 1)
        }

        fn is_idle(&self) -> bool {
            self.asked.is_empty() && self.told == self.said.len()
        }

        fn expire(&mut self, _: Moment) -> bool {
            true
        }

        fn keeps(&self) -> bool {
            true
        }

        fn durability(&self) -> &'static str {
            "process"
        }

        fn about(&self) -> String {
            "a side".into()
        }
    }

    type Gate = Rc<Cell<bool>>;

    fn pair(refuses: u64, seed: u64) -> (Paired<Side, Side>, Gate, Gate) {
        let memory = Rc::new(RefCell::new(Memory::new(Limits { messages: 50, ..Limits::default() }, 7)));
        let (writer, reader) = (Side::of(&memory, 0, seed), Side::of(&memory, refuses, seed));
        let gates = (writer.open.clone(), reader.open.clone());
        (Paired::new(writer, reader), gates.0, gates.1)
    }

    const ALL: Bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };

    fn append(room: &str, ticket: u64) -> Request<'_> {
        let at = Moment { tick: Tick(ticket), unix_ms: ticket };
        let (entry, conversation) = (NewEntry::message("ann", "x", at), Conversation::Room(room));
        Request::Append { conversation, entry, retry: None, about: None, ticket: Ticket(ticket) }
    }

    fn read(room: &str, ticket: u64) -> Request<'_> {
        let (conversation, query, now) = (Conversation::Room(room), Query::Newest(ALL), Moment::default());
        Request::Read { conversation, query, reader: None, now, about: None, ticket: Ticket(ticket) }
    }

    /// The tickets of what is heard.
    fn hear(store: &mut Paired<Side, Side>) -> Vec<u64> {
        std::iter::from_fn(|| store.poll().map(|news| news.ticket().unwrap().0)).collect()
    }

    /// While the writer writes, others are read; what is read of a conversation that it writes to waits for it.
    #[test]
    fn who_reads_elsewhere_waits_for_no_writer() {
        let (mut store, writer, reader) = pair(0, 1);
        for (ticket, room) in ["den", "bar", "hut"].into_iter().enumerate() {
            store.ask(append(room, ticket as u64)).unwrap();
        }
        assert_eq!(hear(&mut store), [0, 1, 2]);
        writer.set(false);
        store.ask(append("den", 3)).unwrap();
        for (ticket, room) in [(4, "den"), (5, "bar"), (6, "hut")] {
            store.ask(read(room, ticket)).unwrap();
        }
        assert_eq!(hear(&mut store), [5, 6]);
        assert!(!store.is_idle());
        writer.set(true);
        assert_eq!(hear(&mut store), [3, 4]);
        // And what is written to a conversation that is read waits for the page.
        reader.set(false);
        store.ask(read("den", 7)).unwrap();
        store.ask(append("den", 8)).unwrap();
        store.ask(read("den", 9)).unwrap();
        store.ask(append("bar", 10)).unwrap();
        assert_eq!(hear(&mut store), [10]);
        reader.set(true);
        assert_eq!(hear(&mut store), [7, 8, 9]);
        assert!(store.is_idle());
    }

    /// What has no outcome does not keep those who read from the reader when it is done, also if nobody asks anything
    /// more of the writer.
    #[test]
    fn what_has_no_outcome_is_done_too() {
        let (mut store, writer, _) = pair(0, 1);
        store.ask(append("den", 0)).unwrap();
        assert_eq!(hear(&mut store), [0]);
        for ask_more in [false, true] {
            writer.set(false);
            store.ask(Request::Release { room: "den" }).unwrap();
            // It is not done yet.
            store.ask(read("den", 1)).unwrap();
            assert_eq!(hear(&mut store), [0; 0]);
            writer.set(true);
            assert_eq!(hear(&mut store), [1]);
            store.ask(Request::Release { room: "den" }).unwrap();
            if ask_more {
                store.ask(append("bar", 2)).unwrap();
                assert_eq!(hear(&mut store), [2]);
            }
            hear(&mut store);
            writer.set(false);
            store.ask(read("den", 3)).unwrap();
            assert_eq!(hear(&mut store), [3], "ask more: {ask_more}");
            writer.set(true);
            assert!(hear(&mut store).is_empty() && store.is_idle());
        }
    }

    /// The writer has the locks of the file, which end with the first descriptor of it that is closed in the process.
    #[test]
    fn the_writer_ends_last() {
        let (store, writer, reader) = pair(0, 1);
        drop(store);
        assert_eq!((writer.get(), reader.get()), (true, false));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let (mut store, _, reader) = pair(0, 1);
        reader.set(false);
        store.ask(read("den", 0)).unwrap();
        for ticket in 1..=MAX_HELD as u64 {
            store.ask(append("den", ticket)).unwrap();
        }
        assert_eq!(store.ask(append("den", 0)), Err(Overloaded));
        reader.set(true);
        assert_eq!(hear(&mut store), (0..=MAX_HELD as u64).collect::<Vec<_>>());
        assert!(store.is_idle() && store.held_bytes == 0);
    }

    /// Whatever is asked, and whichever side is slow: each conversation is answered in the order of asking, each page
    /// has what was published before it, and nothing else, and every request has one outcome.
    #[test]
    fn the_order_of_a_conversation_stands() {
        for seed in 0..300 {
            let (mut store, writer, reader) = pair(200, seed);
            let mut random = Random::from(seed);
            let mut asked: HashMap<&str, VecDeque<u64>> = HashMap::new();
            let mut published: HashMap<u64, u64> = HashMap::new();
            let mut rooms_of = HashMap::new();
            let mut last: HashMap<&str, u64> = HashMap::new();
            for ticket in 0..300 {
                let room = ["den", "bar", "hut", "inn"][random.below(4) as usize];
                let request = if random.below(2) == 0 { append(room, ticket) } else { read(room, ticket) };
                store.ask(request).unwrap();
                asked.entry(room).or_default().push_back(ticket);
                rooms_of.insert(ticket, room);
                writer.set(random.below(3) > 0 || ticket == 299);
                reader.set(random.below(3) > 0 || ticket == 299);
                if random.below(4) > 0 && ticket < 299 {
                    continue;
                }
                while let Some(news) = store.poll() {
                    let ticket = news.ticket().unwrap().0;
                    let room = rooms_of[&ticket];
                    assert_eq!(asked.get_mut(room).unwrap().pop_front(), Some(ticket), "seed {seed}");
                    let last = last.entry(room).or_default();
                    match news {
                        News::Published { entry, .. } => {
                            assert_eq!(entry.seq, *last + 1, "seed {seed}");
                            *last = entry.seq;
                            published.insert(ticket, entry.seq);
                        }
                        News::Page { head, .. } => assert_eq!(head.seq, *last, "seed {seed}"),
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert!(asked.values().all(VecDeque::is_empty) && store.is_idle(), "seed {seed}");
        }
    }
}
