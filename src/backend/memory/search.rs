//! Search in memory: messages are looked at from the newest back, a bounded number of bytes for each question. There is
//! no index: what is kept here is small, and an index would cost as much again.
//!
//! ```text
//!   den      1  4  7 ◀─┐
//!   bar      2  5 ◀────┼── the newest of these is looked at next, and the one before it takes its place
//!   ann·bob  3  6 ◀────┘
//! ```
//!
//! A page ends with what was looked for in vain, too: its `next` is the last message that was looked at.

use std::collections::BinaryHeap;

use super::Memory;
use crate::backend::words::Wanted;
use crate::backend::{Conversation, Epoch, Hit, Names, News, Scope, Ticket};
use crate::time::Tick;

/// What is looked for, and where.
#[derive(Debug)]
pub(super) struct Sought {
    place: Where,
    wanted: Wanted,
    sender: Option<Box<str>>,
    before: u64,
    /// Only messages before this one.
    from: Option<Spot>,
    limit: usize,
}

#[derive(Debug)]
enum Where {
    /// In the conversation with this key.
    One(Box<str>),
    All {
        rooms: Box<str>,
        user: Box<str>,
    },
}

/// The place of a message among those of all conversations: when it was said, where, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub tick: Tick,
    pub place: usize,
    pub seq: u64,
}

impl Spot {
    fn write(self) -> String {
        [self.tick.0, self.place as u64, self.seq].map(|number| Epoch(number).to_string()).concat()
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |at: usize| Some(Epoch::parse(text.get(16 * at..16 * at + 16)?)?.0);
        let (tick, place, seq) = (Tick(number(0)?), usize::try_from(number(1)?).ok()?, number(2)?);
        (text.len() == 3 * 16).then_some(Self { tick, place, seq })
    }
}

impl Sought {
    /// Notes what is looked for; `None`: the place where the next page begins was not given out. `key` is the one of
    /// the conversation, if it is looked for in one.
    pub fn new(search: crate::backend::Search<'_>, key: &str) -> Option<Self> {
        Some(Self {
            place: match search.scope {
                Scope::One(_) => Where::One(key.into()),
                Scope::All { rooms, user } => Where::All { rooms: rooms.as_str().into(), user: user.into() },
            },
            wanted: Wanted::parse(search.text),
            sender: search.sender.map(Into::into),
            before: search.before.unwrap_or(u64::MAX),
            from: match search.cursor {
                Some(cursor) => Some(Spot::parse(cursor)?),
                None => None,
            },
            limit: search.limit.min(MAX_HITS),
        })
    }
}

impl Memory {
    pub(super) fn search(&self, sought: &Sought, ticket: Ticket) -> News<'_> {
        let (mut items, mut last) = (Vec::new(), None);
        let mut ahead = match sought.wanted.is_empty() || sought.limit == 0 {
            true => BinaryHeap::new(),
            false => self.newest_of_each(sought),
        };
        let mut looked_at = 0;
        while items.len() < sought.limit && looked_at < MAX_SEARCHED_BYTES {
            let Some(spot) = ahead.pop() else { break };
            let kept = &self.conversations[spot.place];
            let is_sought = |ts: u64, sender: &str| {
                ts < sought.before && sought.sender.as_deref().is_none_or(|sought| sought == sender)
            };
            if let Some((ts, sender, content)) = kept.said(spot.seq).filter(|&(ts, sender, _)| is_sought(ts, sender)) {
                let (is_there, cost) = sought.wanted.look(content);
                looked_at += cost;
                if is_there {
                    items.push(Hit { conversation: kept.conversation(), seq: spot.seq, ts, sender, content });
                }
            }
            looked_at += MESSAGE_COST;
            last = Some(spot);
            ahead.extend(kept.message_before(spot, spot.place));
        }
        let next = last.filter(|_| !ahead.is_empty()).map(Spot::write);
        News::Found { ticket, items, next }
    }

    /// The newest message that is to be looked at, of each conversation.
    fn newest_of_each(&self, sought: &Sought) -> BinaryHeap<Spot> {
        let from = sought.from.unwrap_or(Spot { tick: Tick(u64::MAX), place: usize::MAX, seq: u64::MAX });
        let newest = |place: usize| self.conversations[place].message_before(from, place);
        match &sought.place {
            Where::One(key) => self.index.get(key).and_then(|&place| newest(place)).into_iter().collect(),
            Where::All { rooms, user } => {
                let rooms = Names::from_text(rooms).iter().filter_map(|room| self.index.get(room).copied());
                let rooms = rooms.filter(|&place| !self.conversations[place].direct);
                let pairs = self.pairs.of(user, u64::MAX).map(|(_, place)| place);
                rooms.take(MAX_SEARCHED).chain(pairs.take(MAX_SEARCHED)).filter_map(newest).collect()
            }
        }
    }

    /// The key of the conversation in which alone it is looked for.
    pub(super) fn write_key_of(&mut self, scope: Scope<'_>) {
        match scope {
            Scope::One(conversation) => self.write_key(conversation),
            Scope::All { .. } => self.write_key(Conversation::Room("")),
        }
    }
}

/// Bytes of messages that are looked at for one question, as it [costs](Wanted::look) to read their words, and what
/// crosses that: some milliseconds.
const MAX_SEARCHED_BYTES: usize = 1 << 20;

/// What it costs to look at a message, whatever its text, in bytes of ASCII.
const MESSAGE_COST: usize = 32;

/// Rooms, and direct conversations, that are looked for in: of a user who has more, those in which something was said
/// last.
const MAX_SEARCHED: usize = 4096;

/// Messages of one page.
const MAX_HITS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_read_as_it_was_written() {
        let spot = Spot { tick: Tick(7), place: 300, seq: u64::MAX };
        assert_eq!(Spot::parse(&spot.write()), Some(spot));
        for garbage in ["", "x", &spot.write()[1..], &format!("{}0", spot.write()), &"é".repeat(24)] {
            assert_eq!(Spot::parse(garbage), None, "{garbage:?}");
        }
    }
}
