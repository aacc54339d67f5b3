//! One conversation: its entries, from the oldest that is kept to the newest, and how they are read.
//!
//! ```text
//!   1 hi        1 (moved)     the text of an edited message is in its last edit alone,
//!   2 hello     2 (gone)      that of a deleted one nowhere; each keeps its place
//!               3 edit of 1: hey
//!               4 delete of 2
//! ```

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use super::folded::{Beside, Folded, Reacted};
use super::search::Spot;
use crate::backend::room_limits::Limited;
use crate::backend::{
    Anew, Body, Bounds, Conversation, Description, Entry, Epoch, Head, MAX_REACTING_NAMED, MAX_UNREAD, Message,
    NewBody, NewEntry, News, Query, Reaction, Right, Target,
};
use crate::time::{Moment, Tick};

#[cfg(feature = "redis")]
mod records;

#[cfg(feature = "redis")]
pub(in crate::backend) use records::Record;

/// A conversation.
///
/// Invariant: `bytes` is what entries cost, with what is kept beside them; both are 0 if no entry is kept.
#[derive(Debug)]
pub(in crate::backend) struct Kept {
    pub name: Box<str>,
    pub direct: bool,
    pub epoch: Epoch,
    seq: u64,
    ring: VecDeque<Stored>,
    bytes: usize,
    /// The part of [`held_bytes`](Self::held_bytes) in the sum of all.
    pub noted: usize,
    /// When something was last said: counted in messages, and in milliseconds since the Unix epoch.
    pub last_said: u64,
    pub said_at: u64,
    pub made: Option<Made>,
    beside: Option<Box<Beside>>,
    /// How much is kept of it, if it is a room.
    pub limited: Limited,
}

/// The description of a room.
#[derive(Debug)]
pub(in crate::backend) struct Made {
    at: u64,
    created: bool,
    words: Option<Box<Words>>,
}

#[derive(Debug, Default, PartialEq)]
struct Words {
    title: Option<Box<str>>,
    topic: Option<Box<str>>,
}

/// What is another in the description of a room, and what is known of it.
#[derive(Debug)]
pub(in crate::backend) struct Described {
    about: Made,
    title: Option<Box<str>>,
    topic: Option<Box<str>>,
}

/// An entry: its sender and its text in one allocation.
#[derive(Debug)]
pub(in crate::backend) struct Stored {
    text: Box<str>,
    ts: u64,
    tick: Tick,
    /// How far before it the message stands that it is about, or answers; 0: none.
    back: u32,
    sender_len: u16,
    kind: Kind,
    /// Tells most senders apart, in seven bits; the other one is [`CALLS_ROOM`].
    tag: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A message as it was said.
    Message,
    /// One that was edited.
    Moved,
    /// One that was deleted.
    Gone,
    /// The last edit of a message.
    Edit,
    /// An edit whose text stands no more.
    Superseded,
    Delete,
    ReactionOn,
    ReactionOff,
}

/// What an entry needs to be taken.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Needs {
    /// The message that it is about, or answers.
    pub of: u64,
    rule: Rule,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    No,
    Within(Option<Duration>),
    By(Right),
}

impl Kept {
    pub fn new(name: Box<str>, direct: bool, epoch: Epoch, said: u64) -> Self {
        Self {
            name,
            direct,
            epoch,
            seq: 0,
            ring: VecDeque::new(),
            bytes: 0,
            noted: 0,
            last_said: said,
            said_at: 0,
            made: None,
            beside: None,
            limited: Limited::default(),
        }
    }

    pub fn head(&self) -> Head {
        Head { epoch: self.epoch, seq: self.seq, kept: self.ring.len() as u64 }
    }

    pub fn conversation(&self) -> Conversation<'_> {
        if !self.direct {
            return Conversation::Room(&self.name);
        }
        let (one, other) = self.name.split_once('\0').expect("the key of a pair has two names");
        Conversation::Direct(one, other)
    }

    /// The news about a room.
    pub fn news(&self) -> News<'_> {
        let made = self.made.as_ref();
        let words = made.and_then(|made| made.words.as_deref());
        let description = Description {
            room: &self.name,
            title: words.and_then(|words| words.title.as_deref()),
            topic: words.and_then(|words| words.topic.as_deref()),
            created_at: made.map_or_else(|| self.ring.front().map_or(0, |oldest| oldest.ts), |made| made.at),
            created: made.is_some_and(|made| made.created),
        };
        News::Room { description, keeps: !self.is_empty(), changes: 0 }
    }

    /// Has the room be called otherwise, or be about something else; what else is known of it stands only where nothing
    /// was. Returns whether anything is another.
    pub fn describe_anew(&mut self, Described { about, title, topic }: Described) -> bool {
        let made = self.made.get_or_insert(about);
        let before = made.words.take().map_or_else(Words::default, |words| *words);
        let now = |before: &Option<Box<str>>, now: Option<Box<str>>| match now {
            Some(now) => Some(now).filter(|now| !now.is_empty()),
            None => before.clone(),
        };
        let words = Words { title: now(&before.title, title), topic: now(&before.topic, topic) };
        let changes = words != before;
        made.words = words.into_box();
        changes
    }

    /// What the room is called, and what it is about.
    pub fn anew(&self) -> Anew<'_> {
        let words = self.made.as_ref().and_then(|made| made.words.as_deref());
        Anew {
            title: Some(words.and_then(|words| words.title.as_deref()).unwrap_or_default()),
            topic: Some(words.and_then(|words| words.topic.as_deref()).unwrap_or_default()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// How many entries are kept.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// What the entries cost.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Texts and the room for them, the name twice, and the places in the sorted lists.
    pub fn held_bytes(&self) -> usize {
        let texts = self.bytes - self.ring.len() * size_of::<Stored>();
        texts
            + self.ring.capacity() * size_of::<Stored>()
            + 2 * self.name.len()
            + self.made.as_ref().and_then(|made| made.words.as_ref()).map_or(0, |words| words.held_bytes())
            + SORTED_BYTES
            + usize::from(self.direct) * PAIR_BYTES
    }

    /// Numbers an entry that is not kept.
    pub fn number(&mut self) {
        self.seq += 1;
    }

    /// Numbers and keeps an entry. Of a message that it is about, it takes away what does not stand any more.
    pub fn push(&mut self, mut entry: Stored, needs: Option<Needs>, limit: usize) {
        if let Some(Needs { of, .. }) = needs {
            entry.back = u32::try_from(self.seq + 1 - of).expect("find() knows no message that is further away");
            self.change(&entry, of);
        }
        // Before the push, so that a full ring never grows.
        while self.ring.len() >= limit {
            self.drop_oldest();
        }
        self.seq += 1;
        self.bytes += entry.cost();
        self.ring.push_back(entry);
    }

    /// Does to a message, which is kept, what the next entry says.
    fn change(&mut self, entry: &Stored, of: u64) {
        if entry.kind == Kind::Message {
            return;
        }
        let seq = self.seq + 1;
        let mut beside = self.beside.take().unwrap_or_default();
        let before = beside.bytes();
        beside.note_other(seq);
        match entry.kind {
            Kind::Edit => {
                let edit = beside.change(of, |folded| folded.edit.replace(seq));
                self.blank(of, Kind::Moved);
                edit.into_iter().for_each(|edit| self.blank(edit, Kind::Superseded));
            }
            Kind::Delete => {
                let Folded { edit, .. } = beside.change(of, std::mem::take);
                self.blank(of, Kind::Gone);
                edit.into_iter().for_each(|edit| self.blank(edit, Kind::Superseded));
            }
            Kind::ReactionOn => {
                let of_same = beside.of(of).and_then(|folded| self.emoji_place(of, folded, entry.content()));
                let reacted = Reacted { ahead: entry.back, hash: hash(entry.sender()) };
                beside.change(of, |folded| match of_same {
                    Some(emoji) => folded.reactions[emoji].push(reacted),
                    None => folded.reactions.push(vec![reacted]),
                });
            }
            Kind::ReactionOff => {
                let place = beside.of(of).and_then(|folded| {
                    let emoji = self.emoji_place(of, folded, entry.content())?;
                    Some((emoji, self.user_place(of, &folded.reactions[emoji], entry.sender())?))
                });
                if let Some((emoji, user)) = place {
                    beside.change(of, |folded| {
                        folded.reactions[emoji].remove(user);
                        if folded.reactions[emoji].is_empty() {
                            folded.reactions.remove(emoji);
                        }
                    });
                }
            }
            Kind::Message | Kind::Moved | Kind::Gone | Kind::Superseded => {}
        }
        self.put_beside(beside, before);
    }

    /// Puts back what is kept beside the entries, which cost so much before.
    fn put_beside(&mut self, beside: Box<Beside>, before: usize) {
        self.bytes = self.bytes - before + beside.bytes();
        self.beside = Some(beside).filter(|beside| !beside.is_empty());
    }

    /// Takes the text of an entry away, if it is kept.
    fn blank(&mut self, seq: u64, kind: Kind) {
        let Some(place) = self.place(seq) else { return };
        let entry = &mut self.ring[place];
        self.bytes -= entry.cost();
        entry.tag &= !CALLS_ROOM;
        entry.text = entry.sender().into();
        entry.kind = kind;
        self.bytes += entry.cost();
    }

    pub fn drop_oldest(&mut self) {
        let seq = self.head().oldest();
        let Some(oldest) = self.ring.pop_front() else { return };
        self.bytes -= oldest.cost();
        if let Some(mut beside) = self.beside.take() {
            let before = beside.bytes();
            beside.forget_others(seq + 1);
            match oldest.kind {
                // A reader who hears its edits still hears the text as it stands.
                Kind::Message | Kind::Moved if beside.of(seq).is_some() => {
                    beside.change(seq, |folded| folded.reactions.clear());
                }
                Kind::Edit => beside.change(seq - u64::from(oldest.back), |folded| folded.edit = None),
                _ => {}
            }
            self.put_beside(beside, before);
        }
        if self.ring.len() < self.ring.capacity() / 4 {
            self.ring.shrink_to(2 * self.ring.len());
        }
    }

    /// Drops the entries that are too old.
    pub fn expire(&mut self, now: Tick, age: Duration) {
        while self.ring.front().is_some_and(|oldest| now.since(oldest.tick) > age) {
            self.drop_oldest();
        }
    }

    /// A message that is kept, and not deleted, as one needs to see it who judges an entry.
    pub fn find(&self, of: u64, entry: &NewEntry<'_>) -> Option<Target<'_>> {
        u32::try_from((self.seq + 1).checked_sub(of)?).ok()?;
        let content = self.content(of)?;
        let Some(message) = self.place(of).map(|place| &self.ring[place]) else {
            // It has gone, and its text has not: that is in an edit.
            let edit = &self.ring[self.place(self.beside.as_ref()?.of(of)?.edit?)?];
            let reacted = crate::backend::Reacted::No;
            let target = Target { sender: edit.sender(), ts: edit.ts, content, emoji: 0, reacted };
            return entry.body.reaches_text_left().then_some(target);
        };
        let folded = self.beside.as_ref().and_then(|beside| beside.of(of));
        let reactions = folded.map_or(&[][..], |folded| &folded.reactions);
        let reacted = match (entry.body, folded) {
            (NewBody::Reaction { emoji, .. }, Some(folded)) => {
                self.emoji_place(of, folded, emoji).map(|emoji| self.user_place(of, &reactions[emoji], entry.sender))
            }
            _ => None,
        };
        let reacted = match reacted {
            None => crate::backend::Reacted::No,
            Some(None) => crate::backend::Reacted::Others,
            Some(Some(_)) => crate::backend::Reacted::Sender,
        };
        Some(Target { sender: message.sender(), ts: message.ts, content, emoji: reactions.len(), reacted })
    }

    /// The entries of a page. `reader` is the one whose reactions are marked.
    pub fn read(&self, query: Query, reader: Option<&str>) -> Vec<Entry<'_>> {
        let len = self.ring.len();
        match query {
            Query::Head => Vec::new(),
            Query::Newest(bounds) => self.newest(len, bounds, reader),
            Query::Before(seq, bounds) => self.newest(self.behind(seq.saturating_sub(1)), bounds, reader),
            Query::After(seq, bounds) if self.beside.is_some() => {
                self.entries(self.messages(self.behind(seq), len), bounds, reader)
            }
            Query::After(seq, bounds) => self.entries(self.behind(seq)..len, bounds, reader),
            Query::Resume { since, newest, bounds } => {
                let good = since.filter(|&(epoch, seq)| epoch == self.epoch && seq <= self.seq);
                let from = good.map_or_else(|| self.first_of_newest(newest), |(_, seq)| self.behind(seq));
                self.entries(from..len, bounds, reader)
            }
        }
    }

    /// How many messages of others stand behind `read` that are not deleted, up to [`MAX_UNREAD`].
    pub fn unread(&self, user: &str, read: u64) -> u64 {
        let tag = tag(user);
        let of_others = |place: &usize| {
            let entry = &self.ring[*place];
            entry.kind != Kind::Gone && (entry.tag & !CALLS_ROOM != tag || entry.sender() != user)
        };
        let messages = self.messages(self.behind(read), self.ring.len()).rev();
        messages.take(MAX_COUNTED).filter(of_others).take(MAX_UNREAD as usize).count() as u64
    }

    /// The newest message before another one, which may be of another conversation. This one is at `place`.
    pub(in crate::backend::memory) fn message_before(&self, spot: Spot, place: usize) -> Option<Spot> {
        let to = match place.cmp(&spot.place) {
            Ordering::Less => self.ring.partition_point(|entry| entry.tick <= spot.tick),
            Ordering::Equal => self.behind(spot.seq.saturating_sub(1)),
            Ordering::Greater => self.ring.partition_point(|entry| entry.tick < spot.tick),
        };
        let found = self.messages(0, to).next_back()?;
        Some(Spot { tick: self.ring[found].tick, place, seq: self.head().oldest() + found as u64 })
    }

    /// A message that is not deleted: when it was said, its sender, and its text as it stands.
    pub fn said(&self, seq: u64) -> Option<(u64, &str, &str)> {
        let message = &self.ring[self.place(seq)?];
        Some((message.ts, message.sender(), self.content(seq)?))
    }

    /// The newest entry.
    pub fn last(&self) -> Option<Entry<'_>> {
        Some(self.entry(self.ring.len().checked_sub(1)?, None))
    }

    /// As many of the newest messages before a place as the bounds allow, seq rising.
    fn newest(&self, to: usize, bounds: Bounds, reader: Option<&str>) -> Vec<Entry<'_>> {
        let mut entries = match self.beside {
            None => self.entries((0..to).rev(), bounds, reader),
            Some(_) => self.entries(self.messages(0, to).rev(), bounds, reader),
        };
        entries.reverse();
        entries
    }

    /// As many of the entries at these places as the bounds allow; the first one always, so that a reader makes
    /// progress.
    fn entries(&self, places: impl Iterator<Item = usize>, bounds: Bounds, reader: Option<&str>) -> Vec<Entry<'_>> {
        let (mut entries, mut bytes) = (Vec::new(), 0usize);
        for place in places.take(bounds.entries) {
            let entry = self.entry(place, reader);
            bytes += entry.sender.len() + entry.body.bytes();
            if !entries.is_empty() && bytes > bounds.bytes {
                break;
            }
            entries.push(entry);
        }
        entries
    }

    /// The place of the first of the newest so many messages.
    fn first_of_newest(&self, mut messages: usize) -> usize {
        let mut first = self.ring.len();
        for (from, to) in self.gaps(0, self.ring.len()).rev() {
            let some = messages.min(to - from);
            if some > 0 {
                first = to - some;
            }
            messages -= some;
            if messages == 0 {
                break;
            }
        }
        first
    }

    /// The places of messages.
    fn messages(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = usize> {
        self.gaps(from, to).flat_map(|(from, to)| from..to)
    }

    /// Where only messages stand.
    fn gaps(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        let oldest = self.head().oldest();
        let all = self.beside.is_none().then_some((from, to.max(from)));
        let place = move |seq: u64| (seq - oldest) as usize;
        let gaps = self.beside.iter().flat_map(move |beside| {
            let gaps = beside.gaps(oldest + from as u64, oldest + to as u64);
            gaps.map(move |(from, to)| (place(from), place(to)))
        });
        all.into_iter().chain(gaps)
    }

    /// The place of the first entry with a greater seq.
    fn behind(&self, seq: u64) -> usize {
        let place = seq.saturating_add(1).saturating_sub(self.head().oldest());
        usize::try_from(place).unwrap_or(usize::MAX).min(self.ring.len())
    }

    /// The place of an entry that is kept.
    fn place(&self, seq: u64) -> Option<usize> {
        let place = usize::try_from(seq.checked_sub(self.head().oldest())?).ok()?;
        Some(place).filter(|&place| place < self.ring.len())
    }

    /// The text of a message as it stands, if it is not deleted. The message itself need not be kept.
    fn content(&self, of: u64) -> Option<&str> {
        self.text_of(of).map(Stored::content)
    }

    /// The entry that has the text of a message as it stands.
    fn text_of(&self, of: u64) -> Option<&Stored> {
        let entry = self.place(of).map(|place| &self.ring[place]);
        match entry.map(|entry| entry.kind) {
            Some(Kind::Message) => entry,
            Some(Kind::Moved) | None => {
                let edit = self.beside.as_ref()?.of(of)?.edit?;
                Some(&self.ring[self.place(edit)?])
            }
            Some(_) => None,
        }
    }

    #[inline]
    fn entry(&self, place: usize, reader: Option<&str>) -> Entry<'_> {
        let (seq, stored) = (self.head().oldest() + place as u64, &self.ring[place]);
        match self.beside {
            None if stored.kind == Kind::Message && stored.back == 0 => stored.plain(seq),
            _ => self.folded(seq, stored, reader),
        }
    }

    fn folded<'a>(&'a self, seq: u64, stored: &'a Stored, reader: Option<&str>) -> Entry<'a> {
        let of = seq - u64::from(stored.back);
        let body = match stored.kind {
            Kind::Message | Kind::Moved => Body::Message(self.message(seq, stored, reader)),
            Kind::Gone => Body::Message(Message { reply_to: stored.reply_to(seq), ..Message::default() }),
            Kind::Edit => Body::Edited { of, content: Some(stored.content()), calls_room: stored.calls_room() },
            Kind::Superseded => {
                let text = self.text_of(of);
                let calls_room = text.is_some_and(Stored::calls_room);
                Body::Edited { of, content: text.map(Stored::content), calls_room }
            }
            Kind::Delete => Body::Deleted { of },
            Kind::ReactionOn => Body::Reaction { of, emoji: stored.content(), on: true },
            Kind::ReactionOff => Body::Reaction { of, emoji: stored.content(), on: false },
        };
        Entry { seq, ts: stored.ts, sender: stored.sender(), body }
    }

    fn message<'a>(&'a self, seq: u64, stored: &'a Stored, reader: Option<&str>) -> Message<'a> {
        let (reply_to, calls_room) = (stored.reply_to(seq), stored.calls_room());
        let plain = Message { reply_to, calls_room, ..Message::new(stored.content()) };
        let Some(folded) = self.beside.as_ref().and_then(|beside| beside.of(seq)) else { return plain };
        let edit = folded.edit.and_then(|edit| self.place(edit)).map(|edit| &self.ring[edit]);
        Message {
            content: edit.or(Some(stored)).map(Stored::content),
            calls_room: edit.unwrap_or(stored).calls_room(),
            edited: edit.map(|edit| edit.ts),
            reactions: folded.reactions.iter().map(|users| self.reaction(seq, users, reader)).collect(),
            ..plain
        }
    }

    fn reaction(&self, of: u64, users: &[Reacted], reader: Option<&str>) -> Reaction<'_> {
        Reaction {
            emoji: self.reacted(of, users[0]).content(),
            count: users.len() as u64,
            users: users.iter().take(MAX_REACTING_NAMED).map(|&user| self.reacted(of, user).sender()).collect(),
            me: reader.is_some_and(|reader| self.user_place(of, users, reader).is_some()),
        }
    }

    /// The place of an emoji among the reactions to a message.
    fn emoji_place(&self, of: u64, folded: &Folded, emoji: &str) -> Option<usize> {
        folded.reactions.iter().position(|users| self.reacted(of, users[0]).content() == emoji)
    }

    /// The place of a user among those of an emoji.
    fn user_place(&self, of: u64, users: &[Reacted], user: &str) -> Option<usize> {
        let hash = hash(user);
        users.iter().position(|&reacted| reacted.hash == hash && self.reacted(of, reacted).sender() == user)
    }

    /// The entry of a reaction that stands.
    fn reacted(&self, of: u64, reacted: Reacted) -> &Stored {
        let place = self.place(of + u64::from(reacted.ahead));
        &self.ring[place.expect("the entries behind a message that is kept are kept")]
    }
}

impl Made {
    pub fn new(Description { title, topic, created_at, created, .. }: Description<'_>) -> Self {
        let words = Words { title: title.map(Into::into), topic: topic.map(Into::into) };
        Self { at: created_at, created, words: words.into_box() }
    }
}

impl Described {
    pub fn new(about: Description<'_>, Anew { title, topic }: Anew<'_>) -> Self {
        Self { about: Made::new(about), title: title.map(Into::into), topic: topic.map(Into::into) }
    }
}

impl Words {
    /// Nothing where there are none.
    fn into_box(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    fn held_bytes(&self) -> usize {
        let len = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        size_of::<Self>() + len(&self.title) + len(&self.topic)
    }
}

impl Stored {
    pub fn new(entry: NewEntry<'_>) -> (Self, Option<Needs>) {
        let (kind, text, rule) = match entry.body {
            NewBody::Message { content, .. } => (Kind::Message, content, Rule::No),
            NewBody::Edit { content, within, .. } => (Kind::Edit, content, Rule::Within(within)),
            NewBody::Delete { right, .. } => (Kind::Delete, "", Rule::By(right)),
            NewBody::Reaction { emoji, on: true, .. } => (Kind::ReactionOn, emoji, Rule::No),
            NewBody::Reaction { emoji, on: false, .. } => (Kind::ReactionOff, emoji, Rule::No),
        };
        let calls_room = match entry.body {
            NewBody::Message { calls_room, .. } | NewBody::Edit { calls_room, .. } => calls_room,
            NewBody::Delete { .. } | NewBody::Reaction { .. } => false,
        };
        let mut both = String::with_capacity(entry.sender.len() + text.len());
        both.push_str(entry.sender);
        both.push_str(text);
        let stored = Self {
            text: both.into_boxed_str(),
            ts: entry.at.unix_ms,
            tick: entry.at.tick,
            back: 0,
            sender_len: u16::try_from(entry.sender.len()).expect("names are at most 128 bytes"),
            kind,
            tag: tag(entry.sender) | if calls_room { CALLS_ROOM } else { 0 },
        };
        (stored, entry.body.needs().map(|of| Needs { of, rule }))
    }

    /// The entry as it came.
    pub fn new_entry(&self, Needs { of, rule }: Needs) -> NewEntry<'_> {
        let (content, calls_room) = (self.content(), self.calls_room());
        let body = match (self.kind, rule) {
            (Kind::Edit, Rule::Within(within)) => NewBody::Edit { of, content, within, calls_room },
            (Kind::Delete, Rule::By(right)) => NewBody::Delete { of, right },
            (Kind::ReactionOn, _) => NewBody::Reaction { of, emoji: content, on: true },
            (Kind::ReactionOff, _) => NewBody::Reaction { of, emoji: content, on: false },
            _ => NewBody::Message { content, reply_to: Some(of), calls_room },
        };
        NewEntry { sender: self.sender(), body, at: self.at() }
    }

    /// The message that this one, with its number, answers.
    fn reply_to(&self, seq: u64) -> Option<u64> {
        (self.back > 0).then(|| seq - u64::from(self.back))
    }

    /// A message with its number, and nothing that was done with it.
    pub fn plain(&self, seq: u64) -> Entry<'_> {
        let (sender, content) = self.text.split_at(usize::from(self.sender_len));
        let message = Message { calls_room: self.calls_room(), ..Message::new(content) };
        Entry { seq, ts: self.ts, sender, body: Body::Message(message) }
    }

    pub fn is_message(&self) -> bool {
        self.kind == Kind::Message
    }

    pub fn at(&self) -> Moment {
        Moment { tick: self.tick, unix_ms: self.ts }
    }

    fn sender(&self) -> &str {
        &self.text[..usize::from(self.sender_len)]
    }

    fn content(&self) -> &str {
        &self.text[usize::from(self.sender_len)..]
    }

    /// Whether the text that it has calls everybody in the room.
    fn calls_room(&self) -> bool {
        self.tag & CALLS_ROOM != 0
    }

    fn cost(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

/// Seven bits that are others for most names.
fn tag(name: &str) -> u8 {
    let tag = match name.as_bytes() {
        [first, .., before, last] => first ^ before.wrapping_mul(31) ^ last.wrapping_mul(7) ^ name.len() as u8,
        few => few.iter().fold(0, |tag, byte| tag ^ byte),
    };
    tag & !CALLS_ROOM
}

/// The bit of a [`Stored::tag`] that says that its text calls everybody in the room.
const CALLS_ROOM: u8 = 1 << 7;

/// FNV-1a: short names, and no harm done where two have the same.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The memory of the sorted lists for one conversation, about.
const SORTED_BYTES: usize = 48;

/// The memory of [`Pairs`](super::pairs::Pairs) for one, about: for each of the two a place in the lists of pairs and
/// of users, and some have a list of their own.
const PAIR_BYTES: usize = 200;

/// Messages looked at to count those that a user has not read: more than are counted, if some are the user's own.
pub(in crate::backend) const MAX_COUNTED: usize = 4096;
