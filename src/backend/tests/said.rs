//! One conversation in the simplest store that can be: a list of all that was said and done, folded anew for each
//! question by looking at all of it. Stores are held to it, and the chat; and it is the store of the tests of nodes.

use crate::backend::{
    Body, Bounds, Entry, Epoch, Head, Message, NewBody, NewEntry, Query, Reacted, Reaction, Target, Verdict, Why, judge,
};

/// Something that was said or done, as it was asked for.
#[derive(Clone, Debug)]
struct Deed {
    ts: u64,
    sender: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Message { content: String, reply_to: Option<u64>, calls_room: bool },
    Edit { of: u64, content: String, calls_room: bool },
    Delete { of: u64 },
    Reaction { of: u64, emoji: String, on: bool },
}

pub(crate) struct Conversation {
    pub epoch: Epoch,
    deeds: Vec<Deed>,
    /// How many of these are gone.
    pub gone: usize,
    /// How many are kept.
    keeps: usize,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Published(u64),
    Nothing,
    Refused(Why),
}

impl Conversation {
    pub fn new(epoch: Epoch, keeps: usize) -> Self {
        Self { epoch, deeds: Vec::new(), gone: 0, keeps }
    }

    /// All behind that entry is lost, and what is left goes on in another life.
    pub fn lose(&mut self, behind: u64, epoch: Epoch) {
        self.deeds.truncate(behind as usize);
        self.gone = self.gone.min(self.deeds.len());
        self.epoch = epoch;
    }

    pub fn len(&self) -> u64 {
        self.deeds.len() as u64
    }

    pub fn head(&self) -> Head {
        Head { epoch: self.epoch, seq: self.len(), kept: (self.deeds.len() - self.gone) as u64 }
    }

    pub fn append(&mut self, entry: &NewEntry<'_>) -> Outcome {
        let of = entry.body.needs().unwrap_or_default();
        let emoji = if let NewBody::Reaction { emoji, .. } = entry.body { emoji } else { "" };
        let found = self.entry(of, "").filter(|found| found.said().is_some());
        let target = found.as_ref().and_then(|found| {
            let Body::Message(message) = &found.body else { return None };
            let users = message.reactions.iter().find(|reaction| reaction.emoji == emoji).map(|it| it.users.as_slice());
            let reacted = match users {
                None => Reacted::No,
                Some(users) if users.contains(&entry.sender) => Reacted::Sender,
                Some(_) => Reacted::Others,
            };
            let (sender, content, emoji) = (found.sender, message.content?, message.reactions.len());
            Some(Target { sender, ts: found.ts, content, emoji, reacted })
        });
        let changes_text = matches!(entry.body, NewBody::Edit { .. } | NewBody::Delete { .. });
        // The text of one that has gone is in its last edit, if anywhere.
        let left = || {
            let is = |deed: &&Deed| matches!(deed.what, What::Edit { .. });
            let edit = self.done_to(of, self.gone).filter(is).last()?;
            let content = self.text(of, self.gone)?;
            Some(Target { sender: &edit.sender, ts: edit.ts, content, emoji: 0, reacted: Reacted::No })
        };
        let has_gone = of > 0 && of <= self.gone as u64 && changes_text;
        let target = if has_gone { left() } else { target };
        match judge(entry, target.as_ref()) {
            Verdict::Publish => {}
            Verdict::Nothing => return Outcome::Nothing,
            Verdict::Refuse(why) => return Outcome::Refused(why),
        }
        let what = match entry.body {
            NewBody::Message { content, reply_to, calls_room } => {
                What::Message { content: content.into(), reply_to, calls_room }
            }
            NewBody::Edit { of, content, calls_room, .. } => What::Edit { of, content: content.into(), calls_room },
            NewBody::Delete { of, .. } => What::Delete { of },
            NewBody::Reaction { of, emoji, on } => What::Reaction { of, emoji: emoji.into(), on },
        };
        self.deeds.push(Deed { ts: entry.at.unix_ms, sender: entry.sender.into(), what });
        self.gone = self.gone.max(self.deeds.len().saturating_sub(self.keeps));
        Outcome::Published(self.len())
    }

    /// An entry that is kept, folded, as it is for a reader.
    pub fn entry(&self, seq: u64, reader: &str) -> Option<Entry<'_>> {
        (seq > self.gone as u64 && seq <= self.len()).then(|| self.entry_with(seq, self.gone, reader))
    }

    /// An entry that was published a moment ago, whether or not anything is kept.
    pub fn published(&self, seq: u64) -> Entry<'_> {
        self.entry_with(seq, self.gone.min(seq as usize - 1), "")
    }

    fn entry_with(&self, seq: u64, gone: usize, reader: &str) -> Entry<'_> {
        let Deed { ts, sender, what } = &self.deeds[seq as usize - 1];
        let body = match *what {
            What::Message { reply_to, .. } => match self.text(seq, gone) {
                None => Body::Message(Message { reply_to, ..Message::default() }),
                content => {
                    let (edited, reactions) = (self.edited(seq, gone), self.reactions(seq, gone, reader));
                    let calls_room = self.calls_room(seq, gone);
                    Body::Message(Message { content, reply_to, calls_room, edited, reactions })
                }
            },
            What::Edit { of, .. } => {
                Body::Edited { of, content: self.text(of, gone), calls_room: self.calls_room(of, gone) }
            }
            What::Delete { of } => Body::Deleted { of },
            What::Reaction { of, ref emoji, on } => Body::Reaction { of, emoji, on },
        };
        Entry { seq, ts: *ts, sender, body }
    }

    /// What was done to a message, as far as it is kept.
    fn done_to(&self, of: u64, gone: usize) -> impl Iterator<Item = &Deed> {
        let is = move |deed: &&Deed| match deed.what {
            What::Message { .. } => false,
            What::Edit { of: it, .. } | What::Delete { of: it } | What::Reaction { of: it, .. } => it == of,
        };
        self.deeds[gone..].iter().filter(is)
    }

    fn text(&self, of: u64, gone: usize) -> Option<&str> {
        let own = match &self.deeds[of as usize - 1].what {
            What::Message { content, .. } if of > gone as u64 => Some(content.as_str()),
            _ => None,
        };
        self.done_to(of, gone).fold(own, |text, deed| match &deed.what {
            What::Edit { content, .. } => Some(content),
            What::Delete { .. } => None,
            _ => text,
        })
    }

    fn calls_room(&self, of: u64, gone: usize) -> bool {
        let own = match &self.deeds[of as usize - 1].what {
            What::Message { calls_room, .. } if of > gone as u64 => *calls_room,
            _ => false,
        };
        self.done_to(of, gone).fold(own, |calls, deed| match &deed.what {
            What::Edit { calls_room, .. } => *calls_room,
            What::Delete { .. } => false,
            _ => calls,
        })
    }

    fn edited(&self, of: u64, gone: usize) -> Option<u64> {
        let is = |deed: &&Deed| matches!(deed.what, What::Edit { .. });
        self.done_to(of, gone).filter(is).last().map(|deed| deed.ts)
    }

    fn reactions(&self, of: u64, gone: usize, reader: &str) -> Vec<Reaction<'_>> {
        let mut found: Vec<Reaction<'_>> = Vec::new();
        for deed in self.done_to(of, gone) {
            let What::Reaction { emoji, on, .. } = &deed.what else { continue };
            let at = found.iter().position(|reaction| reaction.emoji == emoji);
            match (at, on) {
                (Some(at), true) => found[at].users.push(&deed.sender),
                (None, true) => found.push(Reaction { emoji, count: 0, users: vec![&deed.sender], me: false }),
                (Some(at), false) => found[at].users.retain(|user| *user != deed.sender),
                (None, false) => {}
            }
            found.retain(|reaction| !reaction.users.is_empty());
        }
        for reaction in &mut found {
            (reaction.count, reaction.me) = (reaction.users.len() as u64, reaction.users.contains(&reader));
        }
        found
    }

    /// Those that are older than that are kept no more.
    pub fn expire(&mut self, before: u64) {
        while self.deeds.get(self.gone).is_some_and(|oldest| oldest.ts < before) {
            self.gone += 1;
        }
    }

    /// All texts that were ever said, kept or not.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.deeds.iter().filter_map(|deed| match &deed.what {
            What::Message { content, .. } | What::Edit { content, .. } => Some(&**content),
            _ => None,
        })
    }

    pub fn is_message(&self, seq: u64) -> bool {
        let deed = seq.checked_sub(1).and_then(|place| self.deeds.get(place as usize));
        deed.is_some_and(|deed| matches!(deed.what, What::Message { .. }))
    }

    /// Messages that are kept, also deleted ones.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let is = |seq: &u64| matches!(self.deeds[*seq as usize - 1].what, What::Message { .. });
        (self.gone as u64 + 1..=self.len()).filter(is)
    }

    /// The first message behind that entry, kept or not.
    pub fn next_message(&self, seq: u64) -> Option<u64> {
        (seq + 1..=self.len()).find(|seq| matches!(self.deeds[*seq as usize - 1].what, What::Message { .. }))
    }

    /// The sender of a message, and its first text.
    pub fn first_text(&self, seq: u64) -> (&str, Option<&str>) {
        let Deed { sender, what, .. } = &self.deeds[seq as usize - 1];
        (sender, if let What::Message { content, .. } = what { Some(content) } else { None })
    }

    /// When the last message was said, kept or not.
    pub fn spoken(&self) -> Option<u64> {
        self.deeds.iter().rev().find(|deed| matches!(deed.what, What::Message { .. })).map(|deed| deed.ts)
    }

    /// The numbers of what a query names, and at most so many. The first of them is named however many bytes it has.
    pub fn read(&self, query: Query, most: usize) -> Vec<u64> {
        let all = |after: u64| (after.max(self.gone as u64) + 1..=self.len()).collect::<Vec<u64>>();
        let within = |found: Vec<u64>, bounds: Bounds| {
            let mut sum = 0;
            let fits = |(at, seq): &(usize, u64)| {
                let entry = self.entry_with(*seq, self.gone, "");
                sum += entry.sender.len() + entry.body.bytes();
                *at < bounds.entries.min(most) && (*at == 0 || sum <= bounds.bytes)
            };
            found.into_iter().enumerate().take_while(fits).map(|(_, seq)| seq).collect::<Vec<u64>>()
        };
        let newest = |before: u64, bounds| {
            let mut found = within(self.messages().rev().filter(|&seq| seq < before).collect(), bounds);
            found.reverse();
            found
        };
        match query {
            Query::Head => Vec::new(),
            Query::Newest(bounds) => newest(u64::MAX, bounds),
            Query::Before(seq, bounds) => newest(seq, bounds),
            Query::After(seq, bounds) => within(self.messages().filter(|&it| it > seq).collect(), bounds),
            Query::Resume { since, newest, bounds } => {
                let since = since.filter(|&(epoch, seq)| epoch == self.epoch && seq <= self.len());
                let first = || self.messages().rev().take(newest).last().unwrap_or(self.len() + 1) - 1;
                within(all(since.map_or_else(first, |(_, seq)| seq)), bounds)
            }
        }
    }

    /// The messages of others behind a mark.
    pub fn unread(&self, user: &str, read: u64) -> u64 {
        let unread = self.messages().filter(|seq| *seq > read).filter_map(|seq| self.entry(seq, ""));
        unread.filter(|entry| entry.sender != user && entry.said().is_some()).count() as u64
    }
}
