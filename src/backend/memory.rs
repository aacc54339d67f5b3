//! A backend that keeps messages in memory, for as long as the process lives.
//!
//! Asking only queues; the work is done in [`poll`](Backend::poll), in order. So a store that answers at once takes
//! the same road as one that answers late, and a message is allocated once and never copied.
//!
//! Bounded by [`Limits`]. When all conversations together hold too many bytes, the largest drops its oldest messages:
//! users who talk much lose history first. When there are too many pairs of users, the user who is in most loses the
//! pair that was silent longest, for the same reason. It does not write to disk.
//!
//! One chat asks it, which knows all users as long as it lives; so the store remembers of them only who has talked with
//! whom.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use super::{
    Backend, Body, Bounds, Conversation, Description, Entry, Epoch, Head, Message, NewBody, NewEntry, News, Overloaded,
    Query, Request, Ticket, Why,
};
use crate::random::Random;
use crate::slack;
use crate::time::{Moment, Tick};

/// The limits of what is kept.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Messages of one conversation.
    pub messages: usize,
    /// How long a message is kept.
    pub age: Duration,
    /// Bytes of messages of all conversations together, with what it costs to keep them.
    pub bytes: usize,
    /// Conversations of two users. The user with most of them loses the one that was silent longest.
    pub direct_conversations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 1000,
            age: Duration::from_secs(7 * 24 * 60 * 60),
            bytes: 256 << 20,
            direct_conversations: 50_000,
        }
    }
}

/// The backend.
///
/// Invariant: `index` and `conversations` name the same; `bytes` is the sum over all; `by_bytes` holds exactly the
/// conversations with messages, `pairs` those of two users.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    random: Random,
    /// The epoch of two users without messages, and of their first message: so the epoch that a client got before the
    /// first message is right. It is another one as soon as any pair's life has ended, whose next life must not be
    /// taken for it.
    nothing: Epoch,
    /// In boxes, so that a place that nothing is kept in is small.
    conversations: Slab<Box<Kept>>,
    index: HashMap<Box<str>, usize>,
    by_bytes: BTreeSet<(usize, usize)>,
    pairs: Pairs,
    appended: u64,
    bytes: usize,
    /// The sum of [`Kept::held_bytes`] of all conversations.
    held: usize,
    waiting: VecDeque<Waiting>,
    emptied: VecDeque<usize>,
    /// The part of the catalogue that is still to be announced.
    catalogue: Option<Box<Catalogue>>,
    sweep_from: usize,
    key: String,
    unkept: Option<Stored>,
}

#[derive(Debug)]
struct Kept {
    name: Box<str>,
    direct: bool,
    epoch: Epoch,
    seq: u64,
    ring: VecDeque<Stored>,
    bytes: usize,
    /// The part of [`Kept::held_bytes`] in that sum.
    noted: usize,
    last_append: u64,
    made: Option<Made>,
}

/// The description of a room.
#[derive(Debug)]
struct Made {
    at: u64,
    created: bool,
    words: Option<Box<Words>>,
}

#[derive(Debug)]
struct Words {
    title: Option<Box<str>>,
    topic: Option<Box<str>>,
}

/// Rooms are announced from this place on, users from the last.
#[derive(Debug)]
struct Catalogue {
    place: usize,
    users: Vec<Rc<str>>,
    user: Rc<str>,
}

/// Sender and content in one allocation.
#[derive(Debug)]
struct Stored {
    text: Box<str>,
    sender_len: u16,
    ts: u64,
    tick: Tick,
}

#[derive(Debug)]
enum Waiting {
    Append { conversation: usize, message: Stored, ticket: Ticket },
    Read { conversation: usize, query: Query, now: Tick, ticket: Ticket },
    Nothing { ticket: Ticket },
    Refused { ticket: Ticket },
}

impl Memory {
    /// An empty store. `random` gives epochs; [`Random::secret`] but in tests, so that no two processes give out the
    /// same.
    pub fn new(limits: Limits, random: impl Into<Random>) -> Self {
        let mut random = random.into();
        Self {
            limits,
            nothing: Epoch(random.draw()),
            random,
            conversations: Slab::new(),
            index: HashMap::new(),
            by_bytes: BTreeSet::new(),
            pairs: Pairs::default(),
            appended: 0,
            bytes: 0,
            held: 0,
            waiting: VecDeque::new(),
            emptied: VecDeque::new(),
            catalogue: None,
            sweep_from: 0,
            key: String::new(),
            unkept: None,
        }
    }

    /// Bytes of messages kept, with what it costs to keep them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many conversations there are.
    pub fn conversations(&self) -> usize {
        self.conversations.len()
    }

    /// The place of a conversation, which begins its life if it has none.
    fn find_or_begin(&mut self, conversation: Conversation<'_>) -> usize {
        self.write_key(conversation);
        if let Some(&place) = self.index.get(self.key.as_str()) {
            return place;
        }
        let direct = matches!(conversation, Conversation::Direct(..));
        // Read before another pair makes room: a client may have got this epoch.
        let epoch = if direct { self.nothing } else { Epoch(self.random.draw()) };
        if direct && self.pairs.len >= self.limits.direct_conversations {
            // A conversation with waiting requests stays, even over the limit: the queue is bounded too.
            let waited_for = |place: usize| {
                self.waiting.iter().any(|request| match request {
                    Waiting::Append { conversation, .. } | Waiting::Read { conversation, .. } => *conversation == place,
                    Waiting::Nothing { .. } | Waiting::Refused { .. } => false,
                })
            };
            let silent = self.pairs.most_silent_of_most().take(MAX_TRIED).find(|&place| !waited_for(place));
            if let Some(place) = silent {
                self.remove(place);
            }
        }
        let name: Box<str> = self.key.as_str().into();
        let place = self.conversations.insert(Box::new(Kept {
            name: name.clone(),
            direct,
            epoch,
            seq: 0,
            ring: VecDeque::new(),
            bytes: 0,
            noted: 0,
            last_append: self.appended,
            made: None,
        }));
        self.index.insert(name, place);
        self.note(place);
        if direct {
            self.pairs.insert(&self.conversations[place].name, (self.appended, place));
        }
        place
    }

    /// Names have no control characters, so that U+0000 keeps pairs and rooms apart.
    fn write_key(&mut self, conversation: Conversation<'_>) {
        self.key.clear();
        match conversation {
            Conversation::Room(name) => self.key.push_str(name),
            Conversation::Direct(one, other) => {
                self.key.push_str(one.min(other));
                self.key.push('\0');
                self.key.push_str(one.max(other));
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let kept = self.conversations.remove(place);
        self.index.remove(&kept.name);
        self.bytes -= kept.bytes;
        self.held -= kept.noted;
        self.by_bytes.remove(&(kept.bytes, place));
        if kept.direct {
            self.pairs.remove(&kept.name, (kept.last_append, place));
            self.nothing = Epoch(self.random.draw());
        }
        self.emptied.retain(|&other| other != place);
    }

    fn store(&mut self, place: usize, message: Stored) {
        self.appended += 1;
        let kept = &mut self.conversations[place];
        kept.seq += 1;
        if kept.direct {
            self.pairs.remove(&kept.name, (kept.last_append, place));
            self.pairs.insert(&kept.name, (self.appended, place));
        }
        kept.last_append = self.appended;
        if self.limits.messages == 0 {
            self.unkept = Some(message);
            return;
        }
        let before = kept.bytes;
        // Before the push, so that a full ring never grows.
        while kept.ring.len() >= self.limits.messages {
            kept.drop_oldest();
        }
        kept.bytes += message.cost();
        kept.ring.push_back(message);
        self.recount(place, before);
        while self.bytes > self.limits.bytes {
            let Some(&(_, largest)) = self.by_bytes.last() else { break };
            // The newest message of all stays: it is still to be published.
            if largest == place && self.conversations[place].ring.len() == 1 {
                break;
            }
            self.drop_oldest_of(largest);
        }
    }

    /// Notes the description of a room; the first one stands.
    fn describe(&mut self, place: usize, description: Option<Description<'_>>) {
        let Some(Description { title, topic, created_at, created, .. }) = description else { return };
        let described = title.is_some() || topic.is_some();
        let words = || Box::new(Words { title: title.map(Into::into), topic: topic.map(Into::into) });
        let made = || Made { at: created_at, created, words: described.then(words) };
        self.conversations[place].made.get_or_insert_with(made);
        self.note(place);
    }

    /// Goes on to the next entry of the catalogue; `false`: there is none.
    fn turn_catalogue(&mut self) -> bool {
        let Some(catalogue) = &mut self.catalogue else { return false };
        while catalogue.place < self.conversations.capacity() {
            catalogue.place += 1;
            if self.conversations.get(catalogue.place - 1).is_some_and(|kept| !kept.direct) {
                return true;
            }
        }
        let Some(user) = catalogue.users.pop() else {
            self.catalogue = None;
            return false;
        };
        (catalogue.place, catalogue.user) = (USERS, user);
        true
    }

    fn drop_oldest_of(&mut self, place: usize) {
        let kept = &mut self.conversations[place];
        let before = kept.bytes;
        kept.drop_oldest();
        self.recount(place, before);
    }

    /// Drops the messages of one conversation that are too old.
    fn expire_one(&mut self, place: usize, now: Tick) {
        let kept = &mut self.conversations[place];
        let before = kept.bytes;
        while kept.ring.front().is_some_and(|oldest| now.since(oldest.tick) > self.limits.age) {
            kept.drop_oldest();
        }
        self.recount(place, before);
    }

    fn note(&mut self, place: usize) {
        let kept = &mut self.conversations[place];
        let held = kept.held_bytes();
        self.held = self.held - kept.noted + held;
        kept.noted = held;
    }

    /// Brings the sums up to date after the bytes of one conversation changed.
    fn recount(&mut self, place: usize, before: usize) {
        let kept = &self.conversations[place];
        if kept.bytes == before {
            return;
        }
        self.bytes = self.bytes - before + kept.bytes;
        self.note(place);
        let kept = &self.conversations[place];
        self.by_bytes.remove(&(before, place));
        if kept.bytes > 0 {
            self.by_bytes.insert((kept.bytes, place));
        } else if !kept.direct {
            self.emptied.push_back(place);
        }
    }
}

impl Backend for Memory {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(Overloaded);
        }
        match request {
            Request::Append { conversation, entry, about, ticket, .. } => {
                let conversation = self.find_or_begin(conversation);
                self.describe(conversation, about);
                self.waiting.push_back(match Stored::new(entry) {
                    Some(message) => Waiting::Append { conversation, message, ticket },
                    None => Waiting::Refused { ticket },
                });
            }
            Request::Read { conversation, query, now, about, ticket, .. } => {
                // Asking for the history of two users does not make a conversation; many such questions would push out
                // real ones.
                self.write_key(conversation);
                let direct = matches!(conversation, Conversation::Direct(..));
                let waiting = match direct && !self.index.contains_key(self.key.as_str()) {
                    true => Waiting::Nothing { ticket },
                    false => {
                        let conversation = self.find_or_begin(conversation);
                        self.describe(conversation, about);
                        Waiting::Read { conversation, query, now: now.tick, ticket }
                    }
                };
                self.waiting.push_back(waiting);
            }
            Request::Mark { ticket, .. }
            | Request::Readings { ticket, .. }
            | Request::Conversations { ticket, .. }
            | Request::Search { ticket, .. }
            | Request::Ban { ticket, .. }
            | Request::Unban { ticket, .. } => self.waiting.push_back(Waiting::Refused { ticket }),
            Request::Know { .. } => {}
            Request::Release { room } => {
                if let Some(&place) = self.index.get(room)
                    && self.conversations[place].ring.is_empty()
                {
                    self.remove(place);
                }
            }
            Request::Erase { room } => {
                if let Some(&place) = self.index.get(room) {
                    self.remove(place);
                }
            }
        }
        Ok(())
    }

    fn tell_catalogue(&mut self) {
        let users = self.pairs.of.keys().cloned().collect();
        self.catalogue = Some(Box::new(Catalogue { place: 0, users, user: "".into() }));
    }

    fn poll(&mut self) -> Option<News<'_>> {
        while let Some(place) = self.emptied.pop_front() {
            if self.conversations[place].ring.is_empty() {
                return Some(News::Emptied { room: &self.conversations[place].name });
            }
        }
        if self.catalogue.is_some() && self.turn_catalogue() {
            return self.catalogue.as_ref().map(|catalogue| match catalogue.place {
                USERS => News::User { name: &catalogue.user },
                place => self.conversations[place - 1].news(),
            });
        }
        match self.waiting.pop_front()? {
            Waiting::Append { conversation, message, ticket } => {
                self.store(conversation, message);
                let kept = &self.conversations[conversation];
                let stored = match &self.unkept {
                    Some(stored) => stored,
                    None => kept.ring.back().expect("store() keeps the newest message"),
                };
                let entry = stored.entry(kept.seq);
                Some(News::Published { conversation: kept.conversation(), entry, ticket: Some(ticket) })
            }
            Waiting::Read { conversation, query, now, ticket } => {
                self.expire_one(conversation, now);
                let kept = &self.conversations[conversation];
                Some(News::Page { ticket, head: kept.head(), entries: kept.read(query), reading: None })
            }
            Waiting::Nothing { ticket } => {
                let head = Head { epoch: self.nothing, seq: 0, kept: 0 };
                Some(News::Page { ticket, head, entries: Vec::new(), reading: None })
            }
            Waiting::Refused { ticket } => Some(News::Refused { ticket, why: Why::Unsupported }),
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.emptied.is_empty() && self.catalogue.is_none()
    }

    fn expire(&mut self, now: Moment) -> bool {
        // The key after the last one seen; slots are few and dense, so walking over empty ones is cheap.
        for _ in 0..MAX_EXPIRED_AT_ONCE.min(self.conversations.capacity()) {
            let place = self.sweep_from;
            self.sweep_from = if place + 1 >= self.conversations.capacity() { 0 } else { place + 1 };
            let Some(kept) = self.conversations.get(place) else { continue };
            let direct = kept.direct;
            self.expire_one(place, now.tick);
            if direct && self.conversations[place].ring.is_empty() && self.waiting.is_empty() {
                self.remove(place);
            }
        }
        self.bytes > 0 || self.pairs.len > 0
    }

    fn held_bytes(&self) -> usize {
        let entry = size_of::<(Box<str>, usize)>() + 1;
        let slots = self.conversations.capacity() * 2 * size_of::<usize>();
        let queues = self.waiting.capacity() * size_of::<Waiting>() + self.emptied.capacity() * size_of::<usize>();
        self.held
            + self.conversations.len() * size_of::<Kept>()
            + slots
            + queues
            + self.index.capacity() * 8 / 7 * entry
    }

    fn shrink(&mut self) {
        slack::shrink(&mut self.conversations);
        slack::shrink(&mut self.index);
        slack::shrink(&mut self.waiting);
        slack::shrink(&mut self.emptied);
    }

    fn knows(&mut self, conversation: Conversation<'_>) -> bool {
        self.write_key(conversation);
        self.index.contains_key(self.key.as_str())
    }

    fn drop_oldest(&mut self, bytes: usize) -> usize {
        let (before, mut messages) = (self.bytes, 0);
        while before - self.bytes < bytes && messages < MAX_DROPPED_AT_ONCE && self.waiting.is_empty() {
            let Some(&(_, largest)) = self.by_bytes.last() else { break };
            self.drop_oldest_of(largest);
            messages += 1;
        }
        messages
    }

    fn keeps(&self) -> bool {
        self.limits.messages > 0
    }

    fn durability(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> String {
        match self.limits.messages {
            usize::MAX => "in memory; gone when Salon stops".into(),
            most => format!("in memory: {most} messages a room; gone when Salon stops"),
        }
    }
}

/// The pairs of users, by which the user in most pairs is found.
///
/// Invariant: `of` has each pair for both of its users, and no user without one; `by_number` has each user of `of`, by
/// how many pairs they are in and then by how long the most silent of these has been silent.
#[derive(Debug, Default)]
struct Pairs {
    len: usize,
    of: HashMap<Rc<str>, BTreeSet<Pair>>,
    by_number: BTreeSet<(usize, Reverse<u64>, Rc<str>)>,
}

/// When something was last said in it, counted in messages, and its place.
type Pair = (u64, usize);

impl Pairs {
    fn insert(&mut self, key: &str, pair: Pair) {
        self.len += 1;
        self.change(key, |pairs| pairs.insert(pair));
    }

    fn remove(&mut self, key: &str, pair: Pair) {
        self.len -= 1;
        self.change(key, |pairs| pairs.remove(&pair));
    }

    /// The pairs of the user who is in most, those that were silent longest first.
    fn most_silent_of_most(&self) -> impl Iterator<Item = usize> {
        let most = self.by_number.last().and_then(|(_, _, user)| self.of.get(user));
        most.into_iter().flatten().map(|&(_, place)| place)
    }

    fn change(&mut self, key: &str, change: impl Fn(&mut BTreeSet<Pair>) -> bool) {
        let (one, other) = key.split_once('\0').expect("the key of a pair has two names");
        for user in [Some(one), Some(other).filter(|&other| other != one)].into_iter().flatten() {
            let (user, mut pairs) = self.of.remove_entry(user).unwrap_or_else(|| (user.into(), BTreeSet::new()));
            let number = |pairs: &BTreeSet<Pair>| pairs.first().map(|first| (pairs.len(), Reverse(first.0)));
            if let Some((len, silent)) = number(&pairs) {
                self.by_number.remove(&(len, silent, user.clone()));
            }
            change(&mut pairs);
            if let Some((len, silent)) = number(&pairs) {
                self.by_number.insert((len, silent, user.clone()));
                self.of.insert(user, pairs);
            }
        }
        if self.of.len() < self.of.capacity() / 8 {
            self.of.shrink_to(2 * self.of.len());
        }
    }
}

impl Kept {
    fn head(&self) -> Head {
        Head { epoch: self.epoch, seq: self.seq, kept: self.ring.len() as u64 }
    }

    fn conversation(&self) -> Conversation<'_> {
        match self.name.split_once('\0').filter(|_| self.direct) {
            Some((one, other)) => Conversation::Direct(one, other),
            None => Conversation::Room(&self.name),
        }
    }

    /// The news about a room.
    fn news(&self) -> News<'_> {
        let words = self.made.as_ref().and_then(|made| made.words.as_deref());
        let description = Description {
            room: &self.name,
            title: words.and_then(|words| words.title.as_deref()),
            topic: words.and_then(|words| words.topic.as_deref()),
            created_at: self
                .made
                .as_ref()
                .map_or_else(|| self.ring.front().map_or(0, |oldest| oldest.ts), |made| made.at),
            created: self.made.as_ref().is_some_and(|made| made.created),
        };
        News::Room { description, keeps: !self.ring.is_empty() }
    }

    /// Texts and the room for them, the name twice, and the places in the sorted lists.
    fn held_bytes(&self) -> usize {
        let words = self.made.as_ref().and_then(|made| made.words.as_deref());
        let words = words.map_or(0, |words| {
            let len = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
            size_of::<Words>() + len(&words.title) + len(&words.topic)
        });
        let texts = self.bytes - self.ring.len() * size_of::<Stored>();
        texts
            + self.ring.capacity() * size_of::<Stored>()
            + 2 * self.name.len()
            + words
            + SORTED_BYTES
            + usize::from(self.direct) * PAIR_BYTES
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.ring.pop_front() {
            self.bytes -= oldest.cost();
        }
        if self.ring.len() < self.ring.capacity() / 4 {
            self.ring.shrink_to(2 * self.ring.len());
        }
    }

    fn read(&self, query: Query) -> Vec<Entry<'_>> {
        let oldest = self.head().oldest();
        // Places in the ring: the first with a seq over the given one, and the first not under it.
        let over = |seq: u64| usize::try_from(seq.saturating_add(1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let len = self.ring.len();
        match query {
            Query::Head => Vec::new(),
            Query::Newest(bounds) => self.newest(0, len, bounds),
            Query::Before(seq, bounds) => self.newest(0, over(seq.saturating_sub(1)).min(len), bounds),
            Query::After(seq, bounds) | Query::Following(seq, bounds) => self.oldest_from(over(seq).min(len), bounds),
            Query::Resume { since, newest, bounds } => {
                let good = since.filter(|&(epoch, seq)| epoch == self.epoch && seq <= self.seq);
                let from = good.map_or(len.saturating_sub(newest), |(_, seq)| over(seq).min(len));
                self.oldest_from(from, bounds)
            }
        }
    }

    /// As many of the newest in `from..to` as the bounds allow, seq rising.
    fn newest(&self, from: usize, to: usize, bounds: Bounds) -> Vec<Entry<'_>> {
        let mut entries: Vec<_> = bounded((from..to).rev().map(|place| self.entry(place)), bounds).collect();
        entries.reverse();
        entries
    }

    /// As many of the oldest from `from` on as the bounds allow.
    fn oldest_from(&self, from: usize, bounds: Bounds) -> Vec<Entry<'_>> {
        bounded((from..self.ring.len()).map(|place| self.entry(place)), bounds).collect()
    }

    fn entry(&self, place: usize) -> Entry<'_> {
        self.ring[place].entry(self.head().oldest() + place as u64)
    }
}

impl Stored {
    fn new(entry: NewEntry<'_>) -> Option<Self> {
        let NewBody::Message { content, reply_to: None } = entry.body else { return None };
        let mut text = String::with_capacity(entry.sender.len() + content.len());
        text.push_str(entry.sender);
        text.push_str(content);
        Some(Self {
            text: text.into_boxed_str(),
            sender_len: u16::try_from(entry.sender.len()).expect("names are at most 128 bytes"),
            ts: entry.at.unix_ms,
            tick: entry.at.tick,
        })
    }

    fn entry(&self, seq: u64) -> Entry<'_> {
        let (sender, content) = self.text.split_at(usize::from(self.sender_len));
        Entry { seq, ts: self.ts, sender, body: Body::Message(Message::new(content)) }
    }

    fn cost(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

/// As many as the bounds allow; the first one always, so that a reader makes progress.
fn bounded<'a>(entries: impl Iterator<Item = Entry<'a>>, bounds: Bounds) -> impl Iterator<Item = Entry<'a>> {
    let mut bytes = 0usize;
    entries.take(bounds.entries).enumerate().map_while(move |(place, entry)| {
        bytes += entry.sender.len() + entry.body.bytes();
        (place == 0 || bytes <= bounds.bytes).then_some(entry)
    })
}

/// The place of a [`Catalogue`] once all rooms are announced.
const USERS: usize = usize::MAX;

/// Requests that wait for [`Backend::poll`].
const MAX_WAITING: usize = 4096;

/// Messages dropped in one call of [`Backend::drop_oldest`].
const MAX_DROPPED_AT_ONCE: usize = 1024;

/// The memory of the sorted lists for one conversation, about.
const SORTED_BYTES: usize = 48;

/// The memory of [`Pairs`] for one, about: for each of the two a place in the lists of pairs and of users, and some
/// have a list of their own.
const PAIR_BYTES: usize = 200;

/// Pairs of one user that are tried, if the most silent ones have waiting requests.
const MAX_TRIED: usize = 16;

/// Conversations looked at in one call of [`Backend::expire`].
const MAX_EXPIRED_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };

    fn memory(messages: usize, bytes: usize) -> Memory {
        let limits = Limits { messages, age: Duration::from_secs(10), bytes, direct_conversations: 2 };
        Memory::new(limits, 7)
    }

    fn moment(at: u64) -> Moment {
        Moment { tick: Tick(at), unix_ms: at }
    }

    fn say(memory: &mut Memory, room: Conversation<'_>, content: &str, at: u64) -> u64 {
        let entry = NewEntry::message("ann", content, moment(at));
        memory.ask(Request::Append { conversation: room, entry, retry: None, about: None, ticket: Ticket(1) }).unwrap();
        loop {
            match memory.poll().unwrap() {
                News::Published { entry, conversation, ticket } => {
                    assert_eq!(ticket, Some(Ticket(1)));
                    match (room, conversation) {
                        (Conversation::Direct(one, other), Conversation::Direct(a, b)) => {
                            assert_eq!([one.min(other), one.max(other)], [a, b]);
                        }
                        _ => assert_eq!(room, conversation),
                    }
                    assert_eq!((entry.sender, entry.said()), ("ann", Some(content)));
                    return entry.seq;
                }
                News::Emptied { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn read(memory: &mut Memory, room: Conversation<'_>, query: Query, at: u64) -> (Head, Vec<u64>) {
        let request =
            Request::Read { conversation: room, query, reader: None, now: moment(at), about: None, ticket: Ticket(2) };
        memory.ask(request).unwrap();
        loop {
            match memory.poll().unwrap() {
                News::Page { head, entries, .. } => return (head, entries.iter().map(|entry| entry.seq).collect()),
                News::Emptied { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    const ROOM: Conversation<'_> = Conversation::Room("den");

    #[test]
    fn age_is_counted_at_the_reading_and_the_seq_goes_on() {
        let mut memory = memory(5, usize::MAX);
        say(&mut memory, ROOM, "old", 0);
        say(&mut memory, ROOM, "new", 5_000);
        assert_eq!(read(&mut memory, ROOM, Query::Newest(ALL), 10_000).1, [1, 2]);
        assert_eq!(read(&mut memory, ROOM, Query::Newest(ALL), 10_001).1, [2]);
        assert!(!memory.expire(moment(16_000)));
        assert!(matches!(memory.poll(), Some(News::Emptied { room: "den" })));
        assert!(memory.poll().is_none());
        assert_eq!(memory.bytes(), 0);
        assert_eq!(say(&mut memory, ROOM, "again", 16_000), 3);
    }

    /// The epoch that a client got for two users without messages goes on with their first message; that of a pair that
    /// was dropped does not.
    #[test]
    fn the_epoch_of_nothing_is_that_of_the_first_message() {
        let mut memory = Memory::new(Limits { direct_conversations: 1, ..memory(5, usize::MAX).limits }, 1);
        let pair = Conversation::Direct("ann", "bob");
        let nothing = read(&mut memory, pair, Query::Head, 0).0;
        say(&mut memory, pair, "hi", 0);
        let first = read(&mut memory, pair, Query::Head, 0).0;
        assert_eq!((first.epoch, nothing.seq, first.seq), (nothing.epoch, 0, 1));
        // Another pair pushes it out; its next message has another epoch than its earlier ones.
        say(&mut memory, Conversation::Direct("ann", "cat"), "hi", 0);
        let again = read(&mut memory, pair, Query::Head, 0).0;
        assert_eq!(again.seq, 0);
        assert_ne!(again.epoch, first.epoch);
        say(&mut memory, pair, "hi again", 0);
        assert_eq!(read(&mut memory, pair, Query::Head, 0).0, Head { epoch: again.epoch, seq: 1, kept: 1 });
    }

    #[test]
    fn without_history_messages_are_numbered_all_the_same() {
        let mut memory = memory(0, usize::MAX);
        assert_eq!(say(&mut memory, ROOM, "x", 0), 1);
        assert_eq!(say(&mut memory, ROOM, "y", 0), 2);
        assert_eq!(read(&mut memory, ROOM, Query::Newest(ALL), 0).1, [0; 0]);
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn the_largest_conversation_gives_up_its_oldest() {
        let mut memory = memory(100, 10 * (size_of::<Stored>() + 103));
        let small = Conversation::Room("small");
        say(&mut memory, small, &"x".repeat(100), 0);
        for _ in 0..50 {
            say(&mut memory, ROOM, &"x".repeat(100), 0);
        }
        assert_eq!(read(&mut memory, small, Query::Head, 0).0.kept, 1);
        assert_eq!(read(&mut memory, ROOM, Query::Head, 0).0.kept, 9);
        assert!(memory.bytes() <= memory.limits.bytes);
    }

    #[test]
    fn two_users_in_either_order_and_the_silent_pair_makes_room() {
        let mut memory = memory(5, usize::MAX);
        assert_eq!(say(&mut memory, Conversation::Direct("a", "b"), "x", 0), 1);
        assert_eq!(say(&mut memory, Conversation::Direct("b", "a"), "x", 0), 2);
        say(&mut memory, Conversation::Direct("a", "a"), "x", 0);
        say(&mut memory, Conversation::Direct("a", "c"), "x", 0);
        assert_eq!(memory.conversations(), 2);
        assert_eq!(read(&mut memory, Conversation::Direct("a", "b"), Query::Newest(ALL), 0).1, [0; 0]);
        assert_eq!(memory.conversations(), 2);
        assert_eq!(read(&mut memory, Conversation::Direct("a", "a"), Query::Newest(ALL), 0).1, [1]);
        assert!(!memory.expire(moment(20_000)));
        assert_eq!(memory.conversations(), 0);
    }

    /// A user who writes to very many pushes out their own silent pairs, and nobody else's.
    #[test]
    fn who_has_most_pairs_gives_up_their_own() {
        let limits = Limits { direct_conversations: 50, ..Limits::default() };
        let mut memory = Memory::new(limits, 7);
        let pair = Conversation::Direct("alice", "bob");
        say(&mut memory, pair, "kept", 0);
        for (sender, n) in
            (0..10).flat_map(|n| ["eve", "mallory"].map(|sender| (sender, n))).chain((10..500).map(|n| ("eve", n)))
        {
            let name = format!("u{n}");
            say(&mut memory, Conversation::Direct(sender, &name), "x", 0);
            assert!(memory.conversations() <= 50);
        }
        assert_eq!(read(&mut memory, pair, Query::Newest(ALL), 0).1, [1]);
        // Mallory has fewer than eve, and so has lost none either; eve has her latest.
        for n in 0..10 {
            assert_eq!(
                read(&mut memory, Conversation::Direct("mallory", &format!("u{n}")), Query::Newest(ALL), 0).1,
                [1]
            );
        }
        for (n, kept) in [(499, 1), (461, 1), (460, 0), (0, 0)] {
            let found = read(&mut memory, Conversation::Direct("eve", &format!("u{n}")), Query::Newest(ALL), 0).1;
            assert_eq!(found.len(), kept, "u{n}");
        }
        // All have as many: the pair that was silent longest goes.
        let mut memory = self::memory(5, usize::MAX);
        say(&mut memory, Conversation::Direct("a", "b"), "x", 0);
        say(&mut memory, Conversation::Direct("c", "d"), "x", 0);
        say(&mut memory, Conversation::Direct("a", "b"), "x", 0);
        say(&mut memory, Conversation::Direct("e", "f"), "x", 0);
        assert_eq!(read(&mut memory, Conversation::Direct("a", "b"), Query::Newest(ALL), 0).1, [1, 2]);
        assert_eq!(read(&mut memory, Conversation::Direct("c", "d"), Query::Newest(ALL), 0).1, [0; 0]);
        assert!(!memory.expire(moment(20_000)));
        assert!(memory.pairs.of.is_empty() && memory.pairs.by_number.is_empty() && memory.pairs.len == 0);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut memory = memory(5, usize::MAX);
        let at = Moment::default();
        let entry = NewEntry::message("a", "", at);
        let append = Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(0) };
        for _ in 0..MAX_WAITING {
            memory.ask(append).unwrap();
        }
        let read = Request::Read {
            conversation: ROOM,
            query: Query::Head,
            reader: None,
            now: moment(0),
            about: None,
            ticket: Ticket(0),
        };
        assert_eq!(memory.ask(append), Err(Overloaded));
        assert_eq!(memory.ask(read), Err(Overloaded));
        while memory.poll().is_some() {}
        assert_eq!(memory.ask(append), Ok(()));
    }
}
