//! Entries as records, for a log that lies elsewhere; and a conversation that is made from such a log.
//!
//! A record is one text: `M1732891234567 0 ann`, a line feed, and the content. The letter is the [`Kind`], then come
//! the time, the number of the message that the entry is about or answers (0: none), and the sender. A text that calls
//! everybody in the room has a `+` before that number: a node of an earlier version reads the number all the same. What
//! does not stand any more has its text in no record: whoever appends says which records change by it
//! ([`Kept::changed_by`]).

use super::{Beside, Entry, Kept, Kind, NewEntry, Stored};
use crate::backend::{Body, Epoch, Message, NewBody};
use crate::time::{Moment, Tick};

/// An entry that lies elsewhere, without its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Record<'a> {
    kind: Kind,
    ts: u64,
    /// The message that it is about, or answers; 0: none.
    of: u64,
    /// Whether its text calls everybody in the room.
    calls_room: bool,
    sender: &'a str,
    content: &'a str,
}

/// The kinds, and the letter of each.
const LETTERS: [(Kind, char); 8] = [
    (Kind::Message, 'M'),
    (Kind::Moved, 'V'),
    (Kind::Gone, 'G'),
    (Kind::Edit, 'E'),
    (Kind::Superseded, 'S'),
    (Kind::Delete, 'D'),
    (Kind::ReactionOn, '+'),
    (Kind::ReactionOff, '-'),
];

fn letter(kind: Kind) -> char {
    LETTERS.iter().find(|(of, _)| *of == kind).map_or('M', |(_, letter)| *letter)
}

impl<'a> Record<'a> {
    /// Reads a text; `None`: it is no record.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (head, content) = text.split_once('\n')?;
        let kind = LETTERS.iter().find(|(_, letter)| head.starts_with(*letter))?.0;
        let mut words = head.get(1..)?.splitn(3, ' ');
        let (ts, about) = (words.next()?.parse().ok()?, words.next()?);
        let (of, calls_room) = (about.parse().ok()?, about.starts_with('+'));
        let sender = words.next().filter(|sender| u16::try_from(sender.len()).is_ok())?;
        Some(Self { kind, ts, of, calls_room, sender, content })
    }

    /// The text of a new entry.
    pub fn write(entry: &NewEntry<'_>) -> (char, String) {
        let (stored, _) = Stored::new(*entry);
        (letter(stored.kind), stored.record(stored.kind, entry.body.needs().unwrap_or_default()))
    }

    /// Whether it has no text of its own any more, and stands by what was done to it.
    pub fn leans_on_others(&self) -> bool {
        matches!(self.kind, Kind::Moved | Kind::Superseded)
    }

    /// The entry by itself, as far as it can be told without the others of its conversation.
    pub fn entry(&self, seq: u64) -> Entry<'a> {
        let (of, calls_room) = (self.of, self.calls_room);
        let body = match self.kind {
            Kind::Message | Kind::Moved | Kind::Gone => Body::Message(Message {
                content: (self.kind != Kind::Gone).then_some(self.content),
                reply_to: Some(of).filter(|&of| of > 0),
                calls_room,
                ..Message::default()
            }),
            Kind::Edit => Body::Edited { of, content: Some(self.content), calls_room },
            Kind::Superseded => Body::Edited { of, content: None, calls_room: false },
            Kind::Delete => Body::Deleted { of },
            Kind::ReactionOn => Body::Reaction { of, emoji: self.content, on: true },
            Kind::ReactionOff => Body::Reaction { of, emoji: self.content, on: false },
        };
        Entry { seq, ts: self.ts, sender: self.sender, body }
    }
}

impl Stored {
    /// The record of the entry as one of that kind, which is about that message. Only what stands has its text.
    fn record(&self, kind: Kind, of: u64) -> String {
        let stands = !matches!(kind, Kind::Moved | Kind::Gone | Kind::Superseded);
        let content = if stands { self.content() } else { "" };
        let calls_room = if stands && self.calls_room() { "+" } else { "" };
        format!("{}{} {calls_room}{of} {}\n{content}", letter(kind), self.ts, self.sender())
    }
}

impl Kept {
    /// A conversation whose log goes on behind that number, of which nothing is kept here.
    pub fn behind_number(name: Box<str>, direct: bool, epoch: Epoch, seq: u64) -> Self {
        Self { seq, ..Self::new(name, direct, epoch, 0) }
    }

    /// Nothing is kept here any more, and the log goes on behind that number.
    pub fn restart(&mut self, epoch: Epoch, seq: u64) {
        (self.epoch, self.seq, self.bytes, self.beside) = (epoch, seq, 0, None);
        self.ring = Default::default();
    }

    /// An entry that is kept.
    pub fn at(&self, seq: u64) -> Option<Entry<'_>> {
        self.place(seq).map(|place| self.entry(place, None))
    }

    /// The last number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Takes the next entry of the log, as it lies there. At most so many are kept.
    pub fn take(&mut self, record: &Record<'_>, limit: usize) {
        let seq = self.seq + 1;
        if limit == 0 {
            self.seq = seq;
            return;
        }
        let Record { kind, ts, of, calls_room, sender, content } = *record;
        let at = Moment { tick: Tick(ts), unix_ms: ts };
        let body = NewBody::Message { content, reply_to: None, calls_room };
        let (mut entry, _) = Stored::new(NewEntry { sender, body, at });
        entry.kind = kind;
        entry.back = seq.checked_sub(of).filter(|_| of > 0).and_then(|back| u32::try_from(back).ok()).unwrap_or(0);
        match kind {
            Kind::Message | Kind::Moved | Kind::Gone => {}
            _ if entry.back == 0 => {}
            // What it was done to is not here, or not there any more, which is told by entries behind it.
            Kind::ReactionOn | Kind::ReactionOff if !self.is_shown(of) => {
                self.beside_changes(|beside| beside.note_other(seq));
            }
            _ => self.change(&entry, of),
        }
        while self.ring.len() >= limit {
            self.drop_oldest();
        }
        self.seq = seq;
        self.bytes += entry.cost();
        self.ring.push_back(entry);
    }

    /// Whether a message is kept here, and not deleted.
    fn is_shown(&self, of: u64) -> bool {
        self.place(of).is_some_and(|place| matches!(self.ring[place].kind, Kind::Message | Kind::Moved))
    }

    /// Whether so many messages are kept here.
    pub fn has_messages(&self, many: usize) -> bool {
        self.messages(0, self.ring.len()).take(many).count() == many
    }

    fn beside_changes(&mut self, change: impl FnOnce(&mut Beside)) {
        let mut beside = self.beside.take().unwrap_or_default();
        let before = beside.bytes();
        change(&mut beside);
        self.put_beside(beside, before);
    }

    /// The records that an entry changes by which a message gets another text, or goes: their numbers, and what they
    /// are from then on.
    pub fn changed_by(&self, entry: &NewEntry<'_>) -> Vec<(u64, String)> {
        let (of, kind) = match entry.body {
            NewBody::Edit { of, .. } => (of, Kind::Moved),
            NewBody::Delete { of, .. } => (of, Kind::Gone),
            _ => return Vec::new(),
        };
        let edit = self.beside.as_ref().and_then(|beside| beside.of(of)).and_then(|folded| folded.edit);
        let message = self.place(of).map(|place| {
            let message = &self.ring[place];
            (of, message.record(kind, message.reply_to(of).unwrap_or_default()))
        });
        let edit = edit.and_then(|edit| Some((edit, self.ring[self.place(edit)?].record(Kind::Superseded, of))));
        message.into_iter().chain(edit).collect()
    }

    /// The oldest entry that must be kept for this one to be what it was judged to be.
    pub fn leans_on(&self, entry: &NewEntry<'_>) -> u64 {
        let Some(of) = entry.body.needs() else { return 0 };
        match self.place(of) {
            Some(_) => of,
            // It has gone, and its text has not.
            None => self.beside.as_ref().and_then(|beside| beside.of(of)?.edit).unwrap_or(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Right;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let at = Moment { tick: Tick(1), unix_ms: 1_732_891_234_567 };
        let bodies = [
            NewBody::Message { content: "a\nb c", reply_to: None, calls_room: false },
            NewBody::Message { content: "", reply_to: Some(7), calls_room: false },
            NewBody::Message { content: "@room", reply_to: None, calls_room: true },
            NewBody::Edit { of: 3, content: "é\0", within: None, calls_room: false },
            NewBody::Edit { of: 3, content: "@room", within: None, calls_room: true },
            NewBody::Delete { of: 3, right: Right::Moderator },
            NewBody::Reaction { of: 9, emoji: "+1", on: true },
            NewBody::Reaction { of: 9, emoji: "+1", on: false },
        ];
        for body in bodies {
            let (letter, text) = Record::write(&NewEntry { sender: "ann b", body, at });
            let record = Record::read(text.as_bytes()).unwrap();
            let entry = record.entry(12);
            assert!(text.starts_with(letter));
            assert_eq!((entry.seq, entry.ts, entry.sender), (12, at.unix_ms, "ann b"));
            assert_eq!(record.of, body.needs().unwrap_or(0));
            let calls = match entry.body {
                Body::Message(Message { calls_room, .. }) | Body::Edited { calls_room, .. } => calls_room,
                _ => false,
            };
            assert_eq!(calls, text.ends_with("@room"), "{text}");
        }
        for garbage in ["", "M", "M1 0 ann", "X1 0 ann\nx", "Mx 0 ann\nx", "M1 ann\n", "\u{1f600}1 0 ann\n"] {
            assert_eq!(Record::read(garbage.as_bytes()), None, "{garbage}");
        }
        assert_eq!(Record::read(b"M1 0 ann\n\xff"), None);
    }
}
