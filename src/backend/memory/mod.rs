//! A backend that keeps entries in memory, for as long as the process lives.
//!
//! Asking only queues; the work is done in [`poll`](Backend::poll), in order. So a store that answers at once takes
//! the same road as one that answers late, and a message is allocated once and never copied. A message that nobody has
//! edited or reacted to costs nothing for that it could be: what is done with messages is kept beside them.
//!
//! Bounded by [`Limits`]. When all conversations together hold too many bytes, the largest drops its oldest messages:
//! users who talk much lose history first. When there are too many pairs of users, the user who is in most loses the
//! pair that was silent longest, for the same reason. It does not write to disk.
//!
//! One chat asks it, which knows all users as long as it lives; so the store remembers of them only who has talked with
//! whom.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use self::kept::{Described, Kept, Made, Needs, Stored};
use self::marks::Marks;
use self::pairs::Pairs;
use self::search::Sought;
use self::trail::Trail;
use super::room_limits::Limited;
use super::{
    Backend, Conversation, Epoch, Head, LetGo, Names, News, Overloaded, Query, Reader, Reading, Request, RoomLimits,
    Talk, Ticket, Verdict, Why, judge, other_of,
};
use crate::random::{Random, Table};
use crate::slack;
use crate::time::{Moment, Tick};

mod folded;
pub(super) mod kept;
mod marks;
mod pairs;
mod search;
mod trail;

/// The limits of what is kept.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries of one conversation.
    pub messages: usize,
    /// How long a message is kept.
    pub age: Duration,
    /// Bytes of entries of all conversations together, with what it costs to keep and to fold them.
    pub bytes: usize,
    /// Conversations of two users. The user with most of them loses the one that was silent longest.
    pub direct_conversations: usize,
    /// Of rooms by name, in place of the first two.
    pub rooms: RoomLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 1000,
            age: Duration::from_secs(7 * 24 * 60 * 60),
            bytes: 256 << 20,
            direct_conversations: 50_000,
            rooms: RoomLimits::default(),
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
    index: Table<Box<str>, usize>,
    by_bytes: BTreeSet<(usize, usize)>,
    pairs: Pairs,
    trail: Trail,
    marks: Marks,
    /// Messages that were said so far.
    said: u64,
    bytes: usize,
    let_go: LetGo,
    /// The sum of [`Kept::held_bytes`] of all conversations.
    held: usize,
    waiting: VecDeque<Waiting>,
    emptied: VecDeque<usize>,
    /// The part of the catalogue that is still to be announced.
    catalogue: Option<Box<Catalogue>>,
    sweep_from: usize,
    key: String,
    unkept: Option<Stored>,
    /// The user who has changed the title or the topic that is being told.
    by: Box<str>,
}

/// Rooms are announced from this place on, users from the last.
#[derive(Debug)]
struct Catalogue {
    place: usize,
    users: Vec<Rc<str>>,
    user: Rc<str>,
}

#[derive(Debug)]
enum Waiting {
    Append { conversation: usize, entry: Stored, judged: Option<Box<Judged>>, ticket: Ticket },
    Read { conversation: usize, query: Query, reader: Option<Box<Asking>>, now: Tick, ticket: Ticket },
    Nothing { reading: bool, ticket: Ticket },
    Mark { user: Box<str>, conversation: usize, seq: u64, ticket: Ticket },
    Topic { conversation: usize, anew: Box<Described>, by: Box<str>, ticket: Ticket },
    Readings { user: Box<str>, rooms: Box<str>, now: Tick, ticket: Ticket },
    Conversations { user: Box<str>, before: u64, limit: usize, now: Tick, ticket: Ticket },
    Search { sought: Box<Sought>, ticket: Ticket },
    Trail { cursor: Option<Box<str>>, limit: usize, ticket: Ticket },
    Noted { ticket: Ticket },
    Refused { ticket: Ticket, why: Why },
}

/// What belongs to an entry that may be refused.
#[derive(Debug)]
struct Judged {
    needs: Needs,
    /// What the room is, to be noted with the entry or not at all.
    about: Option<Made>,
}

/// For whom a page is read.
#[derive(Debug)]
struct Asking {
    user: Box<str>,
    reading: bool,
}

impl Waiting {
    /// The place of the conversation that it is about.
    fn place(&self) -> Option<usize> {
        match self {
            Self::Append { conversation, .. }
            | Self::Read { conversation, .. }
            | Self::Mark { conversation, .. }
            | Self::Topic { conversation, .. } => Some(*conversation),
            Self::Nothing { .. } | Self::Readings { .. } | Self::Conversations { .. } | Self::Search { .. } => None,
            Self::Trail { .. } | Self::Noted { .. } | Self::Refused { .. } => None,
        }
    }
}

impl Memory {
    /// An empty store. `random` gives epochs; [`Random::secret`] but in tests, so that no two processes give out the
    /// same.
    pub fn new(limits: Limits, random: impl Into<Random>) -> Self {
        let mut random = random.into();
        let keyed = &random.keyed();
        Self {
            limits,
            nothing: Epoch(random.draw()),
            random,
            conversations: Slab::new(),
            index: keyed.table(),
            by_bytes: BTreeSet::new(),
            pairs: Pairs::new(keyed),
            marks: Marks::new(keyed),
            trail: Trail::default(),
            said: 0,
            bytes: 0,
            let_go: LetGo::default(),
            held: 0,
            waiting: VecDeque::new(),
            emptied: VecDeque::new(),
            catalogue: None,
            sweep_from: 0,
            key: String::new(),
            unkept: None,
            by: "".into(),
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

    /// The place of a conversation, if it lives.
    fn find(&mut self, conversation: Conversation<'_>) -> Option<usize> {
        self.write_key(conversation);
        self.index.get(self.key.as_str()).copied()
    }

    /// The place of a conversation, which begins its life if it has none.
    fn find_or_begin(&mut self, conversation: Conversation<'_>) -> usize {
        if let Some(place) = self.find(conversation) {
            return place;
        }
        let direct = matches!(conversation, Conversation::Direct(..));
        // Read before another pair makes room: a client may have got this epoch.
        let epoch = if direct { self.nothing } else { Epoch(self.random.draw()) };
        if direct && self.pairs.len() >= self.limits.direct_conversations {
            // A conversation with waiting requests stays, even over the limit: the queue is bounded too.
            let waited_for = |place| self.waiting.iter().any(|request| request.place() == Some(place));
            let silent = self.pairs.most_silent_of_most().take(MAX_TRIED).find(|&place| !waited_for(place));
            if let Some(place) = silent {
                self.remove(place);
            }
        }
        let name: Box<str> = self.key.as_str().into();
        let limited = if direct { Limited::default() } else { self.limits.rooms.of(&name) };
        let mut kept = Kept::new(name.clone(), direct, epoch, self.said);
        kept.limited = limited;
        let place = self.conversations.insert(Box::new(kept));
        self.index.insert(name, place);
        self.note(place);
        if direct {
            self.pairs.insert(&self.conversations[place].name, (self.said, place));
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
        self.bytes -= kept.bytes();
        self.held -= kept.noted;
        self.by_bytes.remove(&(kept.bytes(), place));
        if kept.direct {
            self.pairs.remove(&kept.name, (kept.last_said, place));
            self.nothing = Epoch(self.random.draw());
        }
        self.emptied.retain(|&other| other != place);
    }

    /// What becomes of an entry that is about a message, or answers one.
    fn judge(&mut self, place: usize, entry: &Stored, needs: Needs) -> Verdict {
        let at = entry.at();
        self.expire_one(place, at.tick);
        let entry = entry.new_entry(needs);
        judge(&entry, self.conversations[place].find(needs.of, &entry).as_ref())
    }

    fn mark(&mut self, user: &str, place: usize, seq: u64, ticket: Ticket) -> News<'_> {
        let kept = &self.conversations[place];
        let (seq, read) = (seq.min(kept.head().seq), self.marks.read(user, place, kept.epoch));
        let changes = if seq == 0 { read > 0 } else { seq > read };
        if !changes {
            return News::Noted { ticket };
        }
        // One that is taken away lies here as 0 until it is the oldest: to find it among all in their order is work.
        self.marks.set(user, place, kept.epoch, seq, self.limits.bytes / MARKS_SHARE);
        let user = self.marks.name(user).expect("set() keeps the newest mark");
        News::Marked { ticket: Some(ticket), user, conversation: kept.conversation(), seq }
    }

    fn reading(&self, user: &str, place: usize) -> Reading {
        let kept = &self.conversations[place];
        let read = self.marks.read(user, place, kept.epoch);
        Reading { read, unread: kept.unread(user, read) }
    }

    fn talks(&self, user: &str, before: u64, limit: usize, ticket: Ticket) -> News<'_> {
        let pairs = self.pairs.of(user, before).map(|(said, place)| (said, place, &self.conversations[place]));
        let mut pairs = pairs.filter(|(_, _, kept)| !kept.is_empty());
        let (mut items, mut last) = (Vec::new(), None);
        for (said, place, kept) in pairs.by_ref().take(limit.min(MAX_TALKS)) {
            if let Conversation::Direct(one, other) = kept.conversation() {
                let (with, head) = (other_of(one, other, user), kept.head());
                items.push(Talk { with, seq: head.seq, ts: kept.said_at, reading: self.reading(user, place) });
                last = Some(said);
            }
        }
        let next = pairs.next().and(last).map(|said| Epoch(said).to_string());
        News::Conversations { ticket, items, next }
    }

    fn store(&mut self, place: usize, entry: Stored, needs: Option<Needs>) {
        let kept = &mut self.conversations[place];
        if entry.is_message() {
            self.said += 1;
            if kept.direct {
                self.pairs.remove(&kept.name, (kept.last_said, place));
                self.pairs.insert(&kept.name, (self.said, place));
            }
            (kept.last_said, kept.said_at) = (self.said, entry.at().unix_ms);
        }
        if self.limits.messages == 0 {
            kept.number();
            self.unkept = Some(entry);
            return;
        }
        let (before, len) = (kept.bytes(), kept.len());
        let most = self.limits.rooms.messages(kept.limited, self.limits.messages);
        kept.push(entry, needs, most);
        self.let_go.number += (len + 1 - kept.len()) as u64;
        self.recount(place, before);
        while self.bytes > self.limits.bytes {
            let Some(&(_, largest)) = self.by_bytes.last() else { break };
            // The newest entry of all stays: it is still to be published.
            if largest == place && self.conversations[place].len() == 1 {
                break;
            }
            self.drop_oldest_of(largest);
            self.let_go.bytes += 1;
        }
    }

    /// Notes the description of a room; the first one stands.
    fn describe(&mut self, place: usize, about: Option<Made>) {
        let Some(about) = about else { return };
        self.conversations[place].made.get_or_insert(about);
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
        let before = kept.bytes();
        kept.drop_oldest();
        self.recount(place, before);
    }

    /// Drops the entries of one conversation that are too old.
    fn expire_one(&mut self, place: usize, now: Tick) {
        let kept = &mut self.conversations[place];
        let (before, len) = (kept.bytes(), kept.len());
        kept.expire(now, self.limits.rooms.age(kept.limited, self.limits.age));
        self.let_go.age += (len - kept.len()) as u64;
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
        let bytes = self.conversations[place].bytes();
        if bytes == before {
            return;
        }
        self.bytes = self.bytes - before + bytes;
        self.note(place);
        self.by_bytes.remove(&(before, place));
        if bytes > 0 {
            self.by_bytes.insert((bytes, place));
        } else if !self.conversations[place].direct {
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
                let (stored, needs) = Stored::new(entry);
                // What is about a message does not make a conversation: there is none in it.
                let waiting = match needs.is_some() && self.find(conversation).is_none() {
                    true => Waiting::Refused { ticket, why: Why::NotFound },
                    false => {
                        let conversation = self.find_or_begin(conversation);
                        let about = about.map(Made::new);
                        let judged = match needs {
                            Some(needs) => Some(Box::new(Judged { needs, about })),
                            None => {
                                self.describe(conversation, about);
                                None
                            }
                        };
                        Waiting::Append { conversation, entry: stored, judged, ticket }
                    }
                };
                self.waiting.push_back(waiting);
            }
            // It does not outlive the chat, which remembers.
            Request::Recall { ticket, .. } => {
                self.waiting.push_back(Waiting::Refused { ticket, why: Why::NotFound });
            }
            Request::Read { conversation, query, reader, now, about, ticket } => {
                // Asking for the history of two users does not make a conversation; many such questions would push out
                // real ones.
                let direct = matches!(conversation, Conversation::Direct(..));
                let waiting = match direct && self.find(conversation).is_none() {
                    true => Waiting::Nothing { reading: reader.is_some_and(|reader| reader.reading), ticket },
                    false => {
                        let conversation = self.find_or_begin(conversation);
                        self.describe(conversation, about.map(Made::new));
                        let asking =
                            |Reader { user, reading }: Reader<'_>| Box::new(Asking { user: user.into(), reading });
                        Waiting::Read { conversation, query, reader: reader.map(asking), now: now.tick, ticket }
                    }
                };
                self.waiting.push_back(waiting);
            }
            Request::Ban { ticket, .. } | Request::Unban { ticket, .. } | Request::Set { ticket, .. } => {
                self.waiting.push_back(Waiting::Noted { ticket });
            }
            Request::Mark { user, conversation, seq, ticket } => {
                let waiting = match self.find(conversation) {
                    Some(conversation) => Waiting::Mark { user: user.into(), conversation, seq, ticket },
                    None => Waiting::Noted { ticket },
                };
                self.waiting.push_back(waiting);
            }
            Request::Topic { about, anew, by, ticket } => {
                let conversation = self.find_or_begin(Conversation::Room(about.room));
                let anew = Box::new(Described::new(about, anew));
                self.waiting.push_back(Waiting::Topic { conversation, anew, by: by.into(), ticket });
            }
            Request::Readings { user, rooms, now, ticket } => {
                let (user, rooms, now) = (user.into(), rooms.as_str().into(), now.tick);
                self.waiting.push_back(Waiting::Readings { user, rooms, now, ticket });
            }
            Request::Conversations { user, cursor, limit, now, ticket } => {
                // A cursor is when something was last said in the last one of the page, and is written as an epoch is.
                let before = cursor.map_or(Some(u64::MAX), |cursor| Epoch::parse(cursor).map(|Epoch(said)| said));
                self.waiting.push_back(match before.filter(|&before| cursor.is_none() || before <= self.said) {
                    Some(before) => Waiting::Conversations { user: user.into(), before, limit, now: now.tick, ticket },
                    None => Waiting::Refused { ticket, why: Why::BadCursor },
                });
            }
            Request::Search { search, ticket } => {
                self.write_key_of(search.scope);
                self.waiting.push_back(match Sought::new(search, &self.key) {
                    Some(sought) => Waiting::Search { sought: Box::new(sought), ticket },
                    None => Waiting::Refused { ticket, why: Why::BadCursor },
                });
            }
            Request::Note { step } => self.trail.note(step),
            Request::Trail { cursor, limit, ticket } => {
                self.waiting.push_back(Waiting::Trail { cursor: cursor.map(Into::into), limit, ticket });
            }
            // It is alone.
            Request::Know { .. }
            | Request::Unfollow { .. }
            | Request::Seats { .. }
            | Request::Tell { .. }
            | Request::Post { .. } => {}
            Request::Release { room } => {
                if let Some(&place) = self.index.get(room)
                    && self.conversations[place].is_empty()
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
        // In an order of their own, and not that of a table: the same requests have the same news.
        let mut users: Vec<Rc<str>> = self.pairs.users().cloned().collect();
        users.sort_unstable_by(|one, other| other.cmp(one));
        self.catalogue = Some(Box::new(Catalogue { place: 0, users, user: "".into() }));
    }

    fn poll(&mut self) -> Option<News<'_>> {
        while let Some(place) = self.emptied.pop_front() {
            if self.conversations[place].is_empty() {
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
            Waiting::Append { conversation, entry, judged, ticket } => {
                let needs = judged.as_ref().map(|judged| judged.needs);
                match needs.map_or(Verdict::Publish, |needs| self.judge(conversation, &entry, needs)) {
                    Verdict::Publish => {
                        self.describe(conversation, judged.and_then(|judged| judged.about));
                        self.store(conversation, entry, needs);
                    }
                    Verdict::Nothing => return Some(News::Noted { ticket }),
                    Verdict::Refuse(why) => return Some(News::Refused { ticket, why }),
                }
                let kept = &self.conversations[conversation];
                let entry = match &self.unkept {
                    Some(unkept) => unkept.plain(kept.head().seq),
                    None => kept.last().expect("store() keeps the newest entry"),
                };
                let (conversation, epoch) = (kept.conversation(), kept.epoch);
                Some(News::Published { conversation, epoch, entry, ticket: Some(ticket) })
            }
            Waiting::Read { conversation, query, reader, now, ticket } => {
                self.expire_one(conversation, now);
                let kept = &self.conversations[conversation];
                let entries = kept.read(query, reader.as_ref().map(|reader| &*reader.user));
                let reader = reader.as_ref().filter(|reader| reader.reading);
                let reading = reader.map(|reader| self.reading(&reader.user, conversation));
                Some(News::Page { ticket, head: kept.head(), entries, reading })
            }
            Waiting::Nothing { reading, ticket } => {
                let head = Head { epoch: self.nothing, seq: 0, kept: 0 };
                let reading = reading.then(Reading::default);
                Some(News::Page { ticket, head, entries: Vec::new(), reading })
            }
            Waiting::Mark { user, conversation, seq, ticket } => Some(self.mark(&user, conversation, seq, ticket)),
            Waiting::Topic { conversation, anew, by, ticket } => {
                let changes = self.conversations[conversation].describe_anew(*anew);
                self.note(conversation);
                if !changes {
                    return Some(News::Noted { ticket });
                }
                self.by = by;
                let (kept, by) = (&self.conversations[conversation], &*self.by);
                Some(News::Topic { ticket: Some(ticket), room: &kept.name, anew: kept.anew(), by, changes: 0 })
            }
            Waiting::Readings { user, rooms, now, ticket } => {
                let of = Names::from_text(&rooms).iter().filter_map(|room| self.index.get(room).copied());
                let places: Vec<usize> = of.collect();
                places.into_iter().for_each(|place| self.expire_one(place, now));
                let place = |room| self.index.get(room).copied();
                let reading = |room| place(room).map_or_else(Reading::default, |place| self.reading(&user, place));
                let readings = Names::from_text(&rooms).iter().map(reading).collect();
                Some(News::Readings { ticket, readings })
            }
            Waiting::Conversations { user, before, limit, now, ticket } => {
                let of = self.pairs.of(&user, before).map(|(_, place)| place);
                let places: Vec<usize> = of.take(limit.min(MAX_TALKS) + 1).collect();
                places.into_iter().for_each(|place| self.expire_one(place, now));
                Some(self.talks(&user, before, limit, ticket))
            }
            Waiting::Search { sought, ticket } => Some(self.search(&sought, ticket)),
            Waiting::Trail { cursor, limit, ticket } => Some(self.trail.page(cursor.as_deref(), limit, ticket)),
            Waiting::Noted { ticket } => Some(News::Noted { ticket }),
            Waiting::Refused { ticket, why } => Some(News::Refused { ticket, why }),
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
            if direct && self.conversations[place].is_empty() && self.waiting.is_empty() {
                self.remove(place);
            }
        }
        self.bytes > 0 || !self.pairs.is_empty()
    }

    fn held_bytes(&self) -> usize {
        let entry = size_of::<(Box<str>, usize)>() + 1;
        let slots = self.conversations.capacity() * 2 * size_of::<usize>();
        let queues = self.waiting.capacity() * size_of::<Waiting>() + self.emptied.capacity() * size_of::<usize>();
        self.held
            + self.marks.bytes()
            + self.trail.bytes()
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
        self.marks.shrink();
        self.trail.shrink();
    }

    fn knows(&mut self, conversation: Conversation<'_>) -> bool {
        self.find(conversation).is_some()
    }

    fn drop_oldest(&mut self, bytes: usize) -> usize {
        let held = |memory: &Self| memory.bytes + memory.marks.bytes();
        let (before, mut dropped) = (held(self), 0);
        while before.saturating_sub(held(self)) < bytes && dropped < MAX_DROPPED_AT_ONCE && self.waiting.is_empty() {
            match self.by_bytes.last() {
                Some(&(_, largest)) => self.drop_oldest_of(largest),
                // When nothing is kept, nobody needs to know how far they have read.
                None if self.marks.forget_oldest() => {}
                None => break,
            }
            dropped += 1;
        }
        dropped
    }

    fn let_go(&self) -> LetGo {
        self.let_go
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

/// The place of a [`Catalogue`] once all rooms are announced.
const USERS: usize = usize::MAX;

/// Requests that wait for [`Backend::poll`].
const MAX_WAITING: usize = 4096;

/// Entries, or read marks, dropped in one call of [`Backend::drop_oldest`].
const MAX_DROPPED_AT_ONCE: usize = 1024;

/// The part of [`Limits::bytes`] that read marks may hold beside it: one of so many.
const MARKS_SHARE: usize = 8;

/// Conversations of one page.
const MAX_TALKS: usize = 256;

/// Pairs of one user that are tried, if the most silent ones have waiting requests.
const MAX_TRIED: usize = 16;

/// Conversations looked at in one call of [`Backend::expire`].
const MAX_EXPIRED_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Bounds, NewBody, NewEntry, Right};

    const ALL: Bounds = Bounds { entries: usize::MAX, bytes: usize::MAX };

    fn memory(messages: usize, bytes: usize) -> Memory {
        let age = Duration::from_secs(10);
        let limits = Limits { messages, age, bytes, direct_conversations: 2, rooms: RoomLimits::default() };
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
                News::Published { entry, conversation, ticket, .. } => {
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
        assert_eq!(memory.let_go(), LetGo { bytes: 41, ..LetGo::default() });
    }

    /// Each entry that goes is counted by the limit that it was over.
    #[test]
    fn what_goes_is_counted_by_its_limit() {
        let mut memory = memory(3, usize::MAX);
        for _ in 0..5 {
            say(&mut memory, ROOM, "x", 0);
        }
        assert_eq!(memory.let_go(), LetGo { number: 2, ..LetGo::default() });
        memory.expire(moment(1_000_000_000));
        read(&mut memory, ROOM, Query::Head, 1_000_000_000);
        assert_eq!(memory.let_go(), LetGo { number: 2, age: 3, bytes: 0 });
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

    /// An entry costs what it cost when there were only messages.
    #[test]
    fn an_entry_is_40_bytes_and_its_text() {
        assert_eq!(size_of::<Stored>(), 40);
        let mut memory = memory(9, usize::MAX);
        say(&mut memory, ROOM, "hello", 0);
        assert_eq!(memory.bytes(), 40 + "ann".len() + "hello".len());
    }

    /// Edited texts, reactions and marks are counted, and nothing is left of them when they are gone.
    #[test]
    fn what_is_done_with_messages_is_counted() {
        let mut memory = memory(99, usize::MAX);
        let act = |memory: &mut Memory, user: &str, body| {
            let entry = NewEntry { sender: user, body, at: moment(0) };
            let request = Request::Append { conversation: ROOM, entry, retry: None, about: None, ticket: Ticket(1) };
            let (before, held) = (memory.bytes(), memory.held_bytes());
            memory.ask(request).unwrap();
            assert!(matches!(memory.poll(), Some(News::Published { .. })));
            (memory.bytes() as isize - before as isize, memory.held_bytes() as isize - held as isize)
        };
        let (text, other) = ("x".repeat(1000), "y".repeat(1000));
        let edit = |content| NewBody::Edit { of: 1, content, within: None, calls_room: false };
        let react = |on| NewBody::Reaction { of: 1, emoji: "+", on };
        let entry = size_of::<Stored>() as isize + 3;
        say(&mut memory, ROOM, &text, 0);
        let (bytes, _) = act(&mut memory, "ann", edit(&other));
        assert!(bytes > entry && bytes < entry + 200, "{bytes}");
        assert_eq!(act(&mut memory, "ann", edit("short")).0, entry + 5 - 1000);
        let (first, held) = act(&mut memory, "bob", react(true));
        assert!(first > entry + 1 && held >= first - entry);
        let (second, _) = act(&mut memory, "cat", react(true));
        assert!(second > entry + 1 && second < first);
        assert_eq!(act(&mut memory, "cat", react(false)).0, entry + 1 - (second - entry - 1));
        let held = memory.held_bytes();
        for user in ["ann", "bob"] {
            memory.ask(Request::Mark { user, conversation: ROOM, seq: 9, ticket: Ticket(1) }).unwrap();
            assert!(matches!(memory.poll(), Some(News::Marked { seq: 6, .. })));
        }
        assert!(memory.held_bytes() > held + 200);
        // The oldest goes first, and marks when nothing else is left.
        let dropped = memory.drop_oldest(usize::MAX);
        assert_eq!((dropped, memory.bytes(), memory.marks.bytes()), (6 + 2, 0, 0));
        assert!(memory.held_bytes() < held);
    }

    /// Over its bytes the store drops the oldest of what is largest, whatever kind it is of.
    #[test]
    fn reactions_and_edits_are_within_the_bytes() {
        let mut memory = memory(usize::MAX, 4096);
        for n in 0..300 {
            say(&mut memory, ROOM, "hello", 0);
            let user = format!("u{n}");
            let of = memory.conversations[0].head().seq;
            for body in
                [NewBody::Reaction { of, emoji: "+", on: true }, NewBody::Delete { of, right: Right::Moderator }]
            {
                let entry = NewEntry { sender: &user, body, at: moment(0) };
                let about = None;
                let request = Request::Append { conversation: ROOM, entry, retry: None, about, ticket: Ticket(1) };
                memory.ask(request).unwrap();
                assert!(matches!(memory.poll(), Some(News::Published { .. })));
                assert!(memory.bytes() <= 4096);
            }
        }
        assert!(memory.conversations[0].len() > 30);
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
        assert!(memory.pairs.has_nothing());
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
