//! A store on a thread of its own: any [`Backend`] that may take its time, because it waits for a disk or a network.
//!
//! ```text
//!   loop                                        thread
//!   ask ──▶ requests ──── all that waits ────▶  ask, ask, ask, ...
//!   poll ◀── news ◀────── and a waker ────────  poll, poll, poll, ... until there is no more
//! ```
//!
//! The store on the thread so sees batches: it gets every request that has waited, and is polled then until it has no
//! more news. One with transactions begins one with the first request and commits it before its first outcome. A thread
//! that waits is woken when the loop [hands over](Backend::hand_over) what it has asked in a turn, or when that is
//! much, and not for the first request: so a batch has a turn's requests, or all that came while the store committed.
//!
//! The loop never waits for it, but for what is kept when the loop begins: that is to be known before anybody comes.
//! Both sides hold the lock for as long as it takes to add a request, to exchange lists, or to add what
//! `MAX_UNHEARD_BYTES` allow; never while the store works. What waits is bounded in requests and in bytes, and what is
//! to be heard in bytes: the store is polled no further until the loop has heard that.
//!
//! If the store panics, its state is unknown: [`poll`](Backend::poll) panics in turn.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::carried::{Reports, Requests};
use super::{Backend, Conversation, Health, News, Overloaded, Request, Waker};
use crate::time::Moment;

/// The loop's side of a store on a thread.
///
/// Invariant: `told <= taken.len()`.
#[derive(Debug)]
pub struct Threaded {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// News that the loop hears now, and how much of it has been heard.
    taken: Reports,
    told: usize,
    /// Requests that were accepted so far.
    asked: u64,
    /// The thread is not woken yet for some of them.
    kept_back: bool,
    /// Dropped messages that have been reported so far.
    dropped: usize,
    /// The catalogue is being announced: until it is complete, polling waits for it.
    begins: bool,
    nature: Nature,
}

/// The properties of the store, which do not change.
#[derive(Debug)]
struct Nature {
    keeps: bool,
    bounds_itself: bool,
    is_shared: bool,
    durability: &'static str,
    about: String,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is work for the thread.
    work: Condvar,
    /// The thread has said something, or all that it had to say.
    said: Condvar,
    /// The thread has ended.
    over: Condvar,
    /// There is news, for which the waker was called.
    has_news: AtomicBool,
    /// What the store said last of these.
    held_bytes: AtomicUsize,
    dropped: AtomicUsize,
    holds: AtomicBool,
    /// Taken for a moment, by the thread once for each batch, and by the loop when an operator asks.
    fares: Mutex<Fares>,
}

/// How the store fares, as the thread has said last.
#[derive(Debug, Default)]
struct Fares {
    health: Option<Health>,
    /// When it began what it does now.
    began: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    requests: Requests,
    chores: Chores,
    /// The store has news of its own accord.
    woken: bool,
    /// Bytes of the requests that the thread has taken.
    in_hand: usize,
    news: Reports,
    /// Requests so far of which everything is said.
    done: u64,
    /// The thread carries out what it has taken.
    busy: bool,
    /// The catalogue was asked for, and not all of it is in the news. Not told by whether the thread works: a store
    /// with work of its own always does.
    tells: u32,
    /// The thread waits.
    asleep: Option<Sleep>,
    /// The loop's side is gone: what was accepted is carried out, and nothing more comes.
    last: bool,
    ended: bool,
    panicked: bool,
}

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleep {
    /// Something to do.
    Idle,
    /// The loop, which is to hear the news.
    Full,
}

/// Chores of the store. A chore that is asked for twice before its time is done once.
#[derive(Debug, Default, PartialEq)]
struct Chores {
    tell_catalogue: u32,
    expire: Option<Moment>,
    drop_oldest: usize,
    shrink: bool,
}

impl Threaded {
    /// Starts a thread, on which `make` makes the store. The store is given a waker, by which it says that it has
    /// something to say unasked; `waker` is called when the loop is to poll. Waits until the store is made.
    ///
    /// # Errors
    /// The reason why the store cannot be made, in one sentence.
    pub fn start<B: Backend>(
        make: impl FnOnce(Waker) -> Result<B, String> + Send + 'static,
        waker: Waker,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared { holds: AtomicBool::new(true), ..Shared::default() });
        let (made, answer) = mpsc::sync_channel(1);
        let of_thread = shared.clone();
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            let worked = catch_unwind(AssertUnwindSafe(|| {
                let woken = of_thread.clone();
                let mut store = match make(Waker::new(move || woken.change(|state| state.woken = true))) {
                    Ok(store) => store,
                    Err(error) => return drop(made.send(Err(error))),
                };
                let (keeps, bounds_itself, is_shared) = (store.keeps(), store.bounds_itself(), store.is_shared());
                let (durability, about) = (store.durability(), store.about());
                of_thread.fares().health = store.health();
                if made.send(Ok(Nature { keeps, bounds_itself, is_shared, durability, about })).is_ok() {
                    of_thread.run(&mut store, &waker);
                }
            }));
            let mut state = of_thread.lock();
            (state.ended, state.panicked) = (true, worked.is_err());
            drop(state);
            of_thread.over.notify_all();
            of_thread.tell(&waker);
        });
        let thread = thread.map_err(|error| format!("a thread for the message store cannot be started: {error}"))?;
        let nature = answer.recv().map_err(|_| "the message store panicked at its start; the log says where")??;
        let (taken, thread) = (Reports::default(), Some(thread));
        Ok(Self { shared, thread, taken, told: 0, asked: 0, kept_back: false, dropped: 0, begins: false, nature })
    }
}

impl Backend for Threaded {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        let mut state = self.shared.lock();
        let waiting = self.asked - state.done;
        let bytes = state.requests.bytes() + state.in_hand;
        if waiting >= MAX_WAITING || bytes >= MAX_WAITING_BYTES {
            return Err(Overloaded);
        }
        state.requests.push(request);
        self.asked += 1;
        match state.requests.len() >= TOGETHER {
            true => self.shared.rouse(state),
            false => self.kept_back = true,
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        if mem::take(&mut self.kept_back) {
            self.shared.rouse(self.shared.lock());
        }
    }

    fn tell_catalogue(&mut self) {
        self.begins = true;
        self.shared.change(|state| {
            state.chores.tell_catalogue += 1;
            state.tells += 1;
        });
    }

    fn poll(&mut self) -> Option<News<'_>> {
        if self.told == self.taken.len() {
            if self.begins {
                self.begins = self.shared.wait_for_news();
            } else if !self.shared.has_news.load(Ordering::Acquire) {
                return None;
            }
            // Before the news is taken: later news wakes the loop again.
            self.shared.has_news.store(false, Ordering::Release);
            self.taken.clear();
            self.told = 0;
            let mut state = self.shared.lock();
            mem::swap(&mut self.taken, &mut state.news);
            let panicked = state.panicked;
            // The thread may wait for that.
            let hears = state.asleep == Some(Sleep::Full);
            drop(state);
            if hears {
                self.shared.work.notify_one();
            }
            assert!(!panicked, "the thread of the message store has panicked");
        }
        let news = self.taken.get(self.told)?;
        self.told += 1;
        Some(news)
    }

    fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        !state.works() && state.news.len() == 0 && self.told == self.taken.len()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.shared.change(|state| state.chores.expire = Some(now));
        self.shared.holds.load(Ordering::Relaxed)
    }

    fn held_bytes(&self) -> usize {
        self.shared.held_bytes.load(Ordering::Relaxed) + self.taken.held_bytes()
    }

    fn drop_oldest(&mut self, bytes: usize) -> usize {
        self.shared.change(|state| state.chores.drop_oldest = bytes);
        let before = mem::replace(&mut self.dropped, self.shared.dropped.load(Ordering::Relaxed));
        self.dropped - before
    }

    fn shrink(&mut self) {
        self.shared.change(|state| state.chores.shrink = true);
    }

    /// The store bounds the memory of a conversation itself: the loop does not wait for the thread to ask it.
    fn knows(&mut self, _: Conversation<'_>) -> bool {
        true
    }

    fn bounds_itself(&self) -> bool {
        self.nature.bounds_itself
    }

    fn is_shared(&self) -> bool {
        self.nature.is_shared
    }

    fn health(&self) -> Option<Health> {
        let fares = self.shared.fares();
        let (mut health, began) = (fares.health.clone()?, fares.began);
        drop(fares);
        let state = self.shared.lock();
        (health.waiting, health.waiting_bytes) = (self.asked - state.done, state.requests.bytes() + state.in_hand);
        drop(state);
        let works = began.map_or(Duration::ZERO, |began| began.elapsed());
        if health.failing.is_none() && works > SLOW_AFTER {
            health.failing = Some(format!(
                "{} has not answered for {} s",
                if health.shared { "Redis" } else { "the disk" },
                works.as_secs()
            ));
        }
        Some(health)
    }

    fn keeps(&self) -> bool {
        self.nature.keeps
    }

    fn durability(&self) -> &'static str {
        self.nature.durability
    }

    fn about(&self) -> String {
        self.nature.about.clone()
    }
}

impl Drop for Threaded {
    /// Has the thread carry out what was accepted, and waits for its end; not for ever, if it waits for a disk that
    /// does not answer.
    fn drop(&mut self) {
        self.shared.change(|state| state.last = true);
        let waited = self.shared.over.wait_timeout_while(self.shared.lock(), END_WITHIN, |state| !state.ended);
        let ended = waited.is_ok_and(|(state, _)| state.ended);
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // A panic of it has been said, if anybody has polled since.
            let _ = thread.join();
        }
    }
}

impl State {
    /// Whether there is something that the thread does or has to do.
    fn works(&self) -> bool {
        self.busy || self.requests.len() > 0 || self.chores != Chores::default()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    fn fares(&self) -> MutexGuard<'_, Fares> {
        self.fares.lock().expect("nothing panics while the lock is held")
    }

    /// Changes something that the thread is to see.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.rouse(state);
    }

    /// Wakes the thread if it waits, which costs a call of the system.
    fn rouse(&self, state: MutexGuard<'_, State>) {
        let asleep = state.asleep.is_some();
        drop(state);
        if asleep {
            self.work.notify_one();
        }
    }

    /// Has the thread wait.
    fn wait_while(&self, sleep: Sleep, waits: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.asleep = Some(sleep);
        let waited = self.work.wait_while(state, waits);
        let mut state = waited.expect("nothing panics while the lock is held");
        state.asleep = None;
        state
    }

    /// Waits until there is something to hear, or all of the catalogue is told; says whether there is.
    fn wait_for_news(&self) -> bool {
        let silent = |state: &mut State| state.news.len() == 0 && state.tells > 0 && !state.ended;
        let waited = self.said.wait_while(self.lock(), silent);
        waited.expect("nothing panics while the lock is held").news.len() > 0
    }

    /// The loop is to poll. Until it does, it is woken once.
    fn tell(&self, waker: &Waker) {
        self.said.notify_one();
        if !self.has_news.swap(true, Ordering::AcqRel) {
            waker.wake();
        }
    }

    /// The work of the thread.
    fn run(&self, store: &mut impl Backend, waker: &Waker) {
        let (mut batch, mut news) = (Requests::default(), Reports::default());
        while let Some(chores) = self.next(&mut batch) {
            self.fares().began = Some(Instant::now());
            if chores.tell_catalogue > 0 {
                store.tell_catalogue();
            }
            if let Some(now) = chores.expire {
                self.holds.store(store.expire(now), Ordering::Relaxed);
            }
            if chores.drop_oldest > 0 {
                self.dropped.fetch_add(store.drop_oldest(chores.drop_oldest), Ordering::Relaxed);
            }
            if chores.shrink {
                store.shrink();
            }
            let mut at = 0;
            while let Some(request) = batch.get(at) {
                // One that has no room for more is polled, and asked once more.
                let taken = store.ask(request).is_ok() || {
                    self.poll(store, &mut news, waker);
                    store.ask(request).is_ok()
                };
                if let Some(ticket) = request.ticket().filter(|_| !taken) {
                    news.push(&News::Failed { ticket });
                }
                at += 1;
            }
            self.poll(store, &mut news, waker);
            *self.fares() = Fares { health: store.health(), began: None };
            let held = store.held_bytes() + batch.held_bytes() + news.held_bytes();
            let mut state = self.deliver(&mut news);
            state.done += at as u64;
            (state.busy, state.in_hand) = (false, 0);
            state.tells -= chores.tell_catalogue;
            let held = held + state.requests.held_bytes() + state.news.held_bytes();
            self.held_bytes.store(held, Ordering::Relaxed);
            drop(state);
            batch.clear();
            // Also if there is no news: a caller may wait for the work to be done.
            self.tell(waker);
        }
    }

    /// Waits for something to do; `None`: nothing will come any more.
    fn next(&self, batch: &mut Requests) -> Option<Chores> {
        let idle = |state: &mut State| {
            state.requests.len() == 0 && state.chores == Chores::default() && !state.woken && !state.last
        };
        let mut state = self.wait_while(Sleep::Idle, idle);
        state.woken = false;
        mem::swap(batch, &mut state.requests);
        (state.busy, state.in_hand) = (true, batch.bytes());
        let chores = mem::take(&mut state.chores);
        (!state.last || batch.len() > 0).then_some(chores)
    }

    /// Hears all that the store has to say.
    fn poll(&self, store: &mut impl Backend, news: &mut Reports, waker: &Waker) {
        while let Some(piece) = store.poll() {
            news.push(&piece);
            if news.bytes() >= MAX_UNHEARD_BYTES || news.len() >= MAX_UNHEARD {
                drop(self.deliver(news));
                self.tell(waker);
            }
        }
    }

    /// Puts news where the loop finds it, once the loop has heard enough of what lies there.
    fn deliver(&self, news: &mut Reports) -> MutexGuard<'_, State> {
        let full = |state: &mut State| {
            let (bytes, len) = (state.news.bytes() + news.bytes(), state.news.len() + news.len());
            state.news.len() > 0 && (bytes > MAX_UNHEARD_BYTES || len > MAX_UNHEARD) && !state.last
        };
        // Meanwhile it is not the disk that is waited for.
        let works = self.fares().began.take().is_some();
        let mut state = self.wait_while(Sleep::Full, full);
        if works {
            self.fares().began = Some(Instant::now());
        }
        if state.last {
            // The loop's side is gone.
            state.news.clear();
        }
        match state.news.len() {
            0 => mem::swap(&mut state.news, news),
            _ => (0..).map_while(|at| news.get(at)).for_each(|piece| state.news.push(&piece)),
        }
        news.clear();
        state
    }
}

/// Requests that were accepted and have no outcome yet, and bytes of their texts; one that crosses these is taken
/// whole.
const MAX_WAITING: u64 = 4096;
const MAX_WAITING_BYTES: usize = 16 << 20;

/// So many requests are not kept back until the turn is over.
const TOGETHER: usize = 64;

/// Pieces of news that the loop has not heard, and bytes of their texts, beside one that crosses these.
const MAX_UNHEARD: usize = 4096;
const MAX_UNHEARD_BYTES: usize = 1 << 20;

/// How long the store may work at one batch before it counts as one that fails.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// How long the end of the thread is waited for.
const END_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::backend::memory::{Limits, Memory};
    use crate::backend::{Body, Bounds, Description, Entry, Epoch, Message, NewEntry, Query, Ticket};
    use crate::random::Random;
    use crate::time::Tick;

    /// Longer than anything takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A waker, and how often it was called.
    fn waker() -> (Waker, mpsc::Receiver<()>) {
        let (sender, woken) = mpsc::channel();
        (Waker::new(move || sender.send(()).unwrap_or_default()), woken)
    }

    fn memory() -> impl FnOnce(Waker) -> Result<Memory, String> + Send {
        |_| Ok(Memory::new(Limits { messages: 8, ..Limits::default() }, 7))
    }

    fn append(content: &str, ticket: u64) -> Request<'_> {
        let at = Moment { tick: Tick(ticket), unix_ms: ticket };
        let entry = NewEntry::message("ann", content, at);
        Request::Append {
            conversation: Conversation::Room("den"),
            entry,
            retry: None,
            about: None,
            ticket: Ticket(ticket),
        }
    }

    /// All news until no request waits any more.
    fn hear(store: &mut Threaded, woken: &mpsc::Receiver<()>) -> Vec<String> {
        let mut heard = Vec::new();
        store.hand_over();
        loop {
            while let Some(news) = store.poll() {
                heard.push(format!("{news:?}"));
            }
            if store.is_idle() {
                return heard;
            }
            woken.recv_timeout(PATIENCE).expect("the loop is woken for what is to come");
        }
    }

    /// Carries out one batch at a time, whose size it sends before it waits for the gate to open.
    struct Gate {
        opens: mpsc::Receiver<()>,
        sizes: mpsc::Sender<usize>,
        asked: VecDeque<Ticket>,
        batch: VecDeque<Ticket>,
        content: String,
        /// A message from elsewhere.
        elsewhere: mpsc::Receiver<u64>,
        /// It has always work of its own, which it does a piece of whenever it is polled.
        restless: Option<Waker>,
    }

    /// The other side of the gate.
    struct Outside {
        open: mpsc::Sender<()>,
        sizes: mpsc::Receiver<usize>,
        elsewhere: mpsc::Sender<u64>,
        waker: Waker,
        woken: mpsc::Receiver<()>,
    }

    impl Outside {
        /// The size of the batch that is being carried out.
        fn size(&self) -> usize {
            self.sizes.recv_timeout(PATIENCE).expect("a batch is asked for")
        }
    }

    fn gate(len: usize) -> (Threaded, Outside) {
        let ((open, opens), (size, sizes), (elsewhere, hears)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let ((waker, woken), (own, given)) = (waker(), mpsc::channel());
        let content = "x".repeat(len);
        let make = move |waker| {
            own.send(waker).unwrap();
            let (asked, batch) = Default::default();
            Ok(Gate { opens, sizes: size, asked, batch, content, elsewhere: hears, restless: None })
        };
        let store = Threaded::start(make, waker).unwrap();
        (store, Outside { open, sizes, elsewhere, waker: given.recv().unwrap(), woken })
    }

    impl Backend for Gate {
        fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
            self.asked.extend(request.ticket());
            Ok(())
        }

        fn tell_catalogue(&mut self) {}

        fn poll(&mut self) -> Option<News<'_>> {
            if self.batch.is_empty() && !self.asked.is_empty() {
                self.batch = mem::take(&mut self.asked);
                self.sizes.send(self.batch.len()).unwrap();
                // Gone is open.
                let _ = self.opens.recv();
            }
            let ticket = self.batch.pop_front();
            if let Some(waker) = self.restless.as_ref().filter(|_| ticket.is_none()) {
                waker.wake();
            }
            let seq = match ticket {
                Some(ticket) => ticket.0,
                None => self.elsewhere.try_recv().ok()?,
            };
            let entry = Entry { seq, ts: 1, sender: "ann", body: Body::Message(Message::new(&self.content)) };
            Some(News::Published { conversation: Conversation::Room("den"), epoch: Epoch(1), entry, ticket })
        }

        fn is_idle(&self) -> bool {
            self.asked.is_empty() && self.batch.is_empty()
        }

        fn health(&self) -> Option<Health> {
            Some(Health { failures: 7, ..Health::default() })
        }

        fn expire(&mut self, _: Moment) -> bool {
            panic!("as the test wants it")
        }

        fn keeps(&self) -> bool {
            true
        }

        fn durability(&self) -> &'static str {
            "memory"
        }

        fn about(&self) -> String {
            "a gate".into()
        }
    }

    /// Any requests, in any batches, have the same news as at a store that answers at once.
    #[test]
    fn on_a_thread_all_is_as_it_is_here() {
        for seed in 0..50 {
            let mut random = Random::from(seed);
            let (waker, woken) = waker();
            let mut far = Threaded::start(memory(), waker).unwrap();
            let mut near = memory()(Waker::new(|| ())).unwrap();
            let (mut said_far, mut said_near) = (Vec::new(), Vec::new());
            for ticket in 0..200 {
                let rooms = ["den", "bar", "hut"];
                let room = rooms[random.below(3) as usize];
                let conversation = match random.below(3) {
                    0 => Conversation::Direct("ann", room),
                    _ => Conversation::Room(room),
                };
                let bounds = Bounds { entries: 3, bytes: 100 };
                let (now, ticket) = (Moment { tick: Tick(ticket), unix_ms: 1 }, Ticket(ticket));
                let about = Description { room, title: Some("x"), topic: None, created_at: 1, created: true };
                let about = Some(about).filter(|_| random.below(3) == 0);
                let about = about.filter(|_| matches!(conversation, Conversation::Room(_)));
                let read = |query| Request::Read { conversation, query, reader: None, now, about, ticket };
                let entry = NewEntry::message("ann", room, now);
                let request = match random.below(6) {
                    0..3 => Request::Append { conversation, entry, retry: None, about, ticket },
                    3 => read(Query::Newest(bounds)),
                    4 => read(Query::After(2, bounds)),
                    _ => Request::Know { user: room, here: true },
                };
                for store in [&mut far as &mut dyn Backend, &mut near] {
                    store.ask(request).unwrap();
                }
                while let Some(news) = near.poll() {
                    said_near.push(format!("{news:?}"));
                }
                match random.below(10) {
                    0 => said_far.extend(hear(&mut far, &woken)),
                    1 => {
                        while let Some(news) = far.poll() {
                            said_far.push(format!("{news:?}"));
                        }
                    }
                    _ => {}
                }
            }
            said_far.extend(hear(&mut far, &woken));
            assert_eq!(said_far, said_near, "seed {seed}");
            near.tell_catalogue();
            far.tell_catalogue();
            let all = |store: &mut dyn Backend| {
                let mut told: Vec<String> = std::iter::from_fn(|| Some(format!("{:?}", store.poll()?))).collect();
                told.sort();
                told
            };
            // All of it, at the first time of asking.
            assert_eq!(all(&mut far), all(&mut near), "seed {seed}");
            assert!(far.poll().is_none() && far.is_idle());
            assert_eq!((far.keeps(), far.durability(), far.about()), (true, "memory", near.about()));
        }
    }

    /// Requests that wait while the store works are one batch. Batches that the loop has not heard yet wake it once.
    #[test]
    fn what_waits_is_one_batch() {
        let (mut store, outside) = gate(1);
        assert!(store.is_idle());
        // So is what is asked in a turn, unless it is much.
        for ticket in 0..3 {
            store.ask(append("x", ticket)).unwrap();
        }
        assert!(store.poll().is_none() && !store.is_idle());
        assert_eq!(store.shared.lock().requests.len(), 3);
        store.hand_over();
        assert_eq!(outside.size(), 3);
        for ticket in 3..=9 {
            store.ask(append("x", ticket)).unwrap();
        }
        store.hand_over();
        assert!(store.poll().is_none() && !store.is_idle());
        outside.open.send(()).unwrap();
        assert_eq!(outside.size(), 7);
        store.ask(append("x", 10)).unwrap();
        outside.open.send(()).unwrap();
        // When the third begins, the first two have been said.
        assert_eq!(outside.size(), 1);
        assert_eq!(outside.woken.try_iter().count(), 1);
        assert!(!store.is_idle());
        drop(outside.open);
        let heard = hear(&mut store, &outside.woken);
        assert_eq!(heard.len(), 11);
        assert!(store.is_idle());
    }

    /// Much is not kept back until the turn is over.
    #[test]
    fn much_is_begun_at_once() {
        let (mut store, outside) = gate(1);
        for ticket in 0..TOGETHER as u64 {
            store.ask(append("x", ticket)).unwrap();
        }
        assert_eq!(outside.size(), TOGETHER);
        drop(outside.open);
        assert_eq!(hear(&mut store, &outside.woken).len(), TOGETHER);
    }

    #[test]
    fn requests_are_bounded_and_what_was_accepted_is_answered() {
        let (mut store, outside) = gate(1);
        for ticket in 0..MAX_WAITING {
            store.ask(append("", ticket)).unwrap();
        }
        assert_eq!(store.ask(append("", 0)), Err(Overloaded));
        assert_eq!(store.ask(Request::Know { user: "ann", here: true }), Err(Overloaded));
        // It is told without the store, which does not answer.
        let health = store.health().unwrap();
        assert_eq!((health.waiting, health.waiting_bytes), (MAX_WAITING, 6 * MAX_WAITING as usize));
        // That much waits is no failure: it may be a burst.
        assert_eq!((health.failures, health.failing), (7, None));
        drop(outside.open);
        assert_eq!(hear(&mut store, &outside.woken).len(), MAX_WAITING as usize);
        let health = store.health().unwrap();
        assert_eq!((health.waiting, health.waiting_bytes, health.failing), (0, 0, None));
        assert_eq!(store.ask(append("", 0)), Ok(()));
    }

    #[test]
    fn bytes_are_bounded() {
        let (mut store, outside) = gate(1);
        // With the names of sender and room it crosses the limit, which the last of them may.
        let part = "x".repeat(MAX_WAITING_BYTES / 16);
        for ticket in 0..16 {
            store.ask(append(&part, ticket)).unwrap();
        }
        assert_eq!(store.ask(append("", 16)), Err(Overloaded));
        drop(outside.open);
        assert_eq!(hear(&mut store, &outside.woken).len(), 16);
        assert_eq!(store.ask(append("", 17)), Ok(()));
    }

    /// The store is polled no further than the loop hears it, and no news is lost.
    #[test]
    fn what_is_not_heard_is_bounded() {
        for len in [0, 100_000, 2 * MAX_UNHEARD_BYTES] {
            let (mut store, outside) = gate(len);
            let count = if len == 0 { MAX_WAITING } else { 40 };
            for ticket in 0..count {
                store.ask(append("", ticket)).unwrap();
            }
            store.hand_over();
            drop(outside.open);
            let mut tickets = Vec::new();
            while (tickets.len() as u64) < count {
                outside.woken.recv_timeout(PATIENCE).expect("there is more");
                while let Some(news) = store.poll() {
                    let News::Published { ticket: Some(Ticket(ticket)), .. } = news else { panic!("{news:?}") };
                    tickets.push(ticket);
                }
                assert!(store.taken.bytes() <= MAX_UNHEARD_BYTES + len + 6 && store.taken.len() <= MAX_UNHEARD);
            }
            assert_eq!(tickets, (0..count).collect::<Vec<_>>());
        }
    }

    /// More than may be unheard at once, so that it comes in pieces: all of it is known before anybody comes.
    /// A loop that does not hear what is said keeps the thread from going on, which says nothing about the disk.
    #[test]
    fn a_loop_that_does_not_hear_is_no_slow_disk() {
        let (mut store, outside) = gate(MAX_UNHEARD_BYTES / 2);
        for ticket in 0..8 {
            store.ask(append("", ticket)).unwrap();
        }
        store.hand_over();
        let began = |store: &Threaded| store.shared.fares().began.is_some();
        outside.sizes.recv_timeout(PATIENCE).unwrap();
        assert!(began(&store));
        drop(outside.open);
        let waits = || {
            let state = store.shared.lock();
            state.asleep == Some(Sleep::Full) && state.news.len() > 0
        };
        while !waits() {
            thread::yield_now();
        }
        assert!(!began(&store));
        assert_eq!(hear(&mut store, &outside.woken).len(), 8);
    }

    #[test]
    fn what_is_kept_is_known_from_the_beginning() {
        let make = |_| {
            let mut memory = Memory::new(Limits::default(), 7);
            for n in 0..3 * MAX_UNHEARD {
                let (room, at) = (format!("room-{n}"), Moment::default());
                let entry = NewEntry::message("ann", "x", at);
                let (conversation, ticket) = (Conversation::Room(&room), Ticket(0));
                memory.ask(Request::Append { conversation, entry, retry: None, about: None, ticket }).unwrap();
                memory.poll();
            }
            Ok(memory)
        };
        let mut store = Threaded::start(make, waker().0).unwrap();
        store.tell_catalogue();
        let mut told = 0;
        while let Some(news) = store.poll() {
            assert!(matches!(news, News::Room { keeps: true, .. }), "{news:?}");
            told += 1;
        }
        assert_eq!((told, store.is_idle()), (3 * MAX_UNHEARD, true));
    }

    /// A loop that begins waits for the catalogue, and not for the end of work that a store has of its own.
    #[test]
    fn a_store_that_always_works_lets_the_loop_begin() {
        let ((_open, opens), (sizes, _), (_elsewhere, hears)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let make = move |waker| {
            let (asked, batch) = Default::default();
            let content = String::new();
            Ok(Gate { opens, sizes, asked, batch, content, elsewhere: hears, restless: Some(waker) })
        };
        let mut store = Threaded::start(make, waker().0).unwrap();
        for _ in 0..100 {
            store.tell_catalogue();
            assert!(store.poll().is_none());
        }
    }

    /// News of the store's own accord come at once, without a request.
    #[test]
    fn what_is_said_elsewhere_comes_unasked() {
        let (mut store, outside) = gate(1);
        for seq in 1..=3 {
            outside.elsewhere.send(seq).unwrap();
            outside.waker.wake();
            outside.woken.recv_timeout(PATIENCE).expect("the loop is woken");
            let Some(News::Published { entry, ticket: None, .. }) = store.poll() else { panic!("nothing is said") };
            assert_eq!(entry.seq, seq);
        }
    }

    #[test]
    fn what_was_accepted_is_carried_out_before_the_end() {
        let (mut store, outside) = gate(1);
        for ticket in 0..5 {
            store.ask(append("", ticket)).unwrap();
        }
        drop(outside.open);
        drop(store);
        assert_eq!(outside.sizes.iter().sum::<usize>(), 5);
    }

    #[test]
    #[should_panic(expected = "the thread of the message store has panicked")]
    fn a_panic_of_the_store_is_one_of_the_loop() {
        let (mut store, outside) = gate(1);
        store.expire(Moment::default());
        outside.woken.recv_timeout(PATIENCE).unwrap();
        store.poll();
    }

    #[test]
    fn a_store_that_cannot_be_made_says_why() {
        let made = Threaded::start(|_| Err::<Memory, _>("no such file".into()), waker().0);
        assert_eq!(made.unwrap_err(), "no such file");
        let made = Threaded::start(|_| -> Result<Memory, _> { panic!("as the test wants it") }, waker().0);
        assert!(made.unwrap_err().contains("panicked"));
    }
}
