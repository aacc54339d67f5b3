//! What a node hears of a conversation, wherever it is from, and in which order it tells of it.

use super::carrying::{Pulled, list};
use super::places::{Need, Place, conversation_of};
use super::*;
use crate::backend::{Body, Entry};

/// Whether any of these records has its text in another one.
pub(super) fn leans_on_others(records: &[Vec<u8>]) -> bool {
    records.iter().any(|record| Record::read(record).is_some_and(|record| record.leans_on_others()))
}

/// The entry as a whole room hears it: what was reacted comes by entries behind it, and who reacted is told each reader
/// in another way.
fn for_all(mut entry: Entry<'_>) -> Entry<'_> {
    if let Body::Message(message) = &mut entry.body {
        message.reactions.clear();
    }
    entry
}

impl Redis {
    /// A message of the channel: a letter, the node that says it, and what it is about, a line each.
    pub(super) fn hear(&mut self, message: &[u8]) {
        let mut lines = message.splitn(6, |byte| *byte == b'\n');
        let mut next = || lines.next().unwrap_or_default();
        let (kind, node) = (next(), next());
        if kind == b"E" {
            let (key, epoch, seq, record) = (next(), next(), next(), next());
            let (Ok(key), Ok(epoch), Ok(seq)) =
                (std::str::from_utf8(key), std::str::from_utf8(epoch), std::str::from_utf8(seq))
            else {
                return;
            };
            let life = self.places.find(key).map(|at| self.places.get(at).kept.head().epoch);
            if let (Some(epoch), Ok(seq @ 1..)) = (Epoch::parse(epoch), seq.parse::<u64>()) {
                // An own one may be of a life that this node has ended since.
                if node == self.node.as_bytes() && life != Some(epoch) {
                    return;
                }
                if life.is_none() && self.unfollowed.get(key).is_some() {
                    return;
                }
                self.hear_entry(key, epoch, seq, record, None);
            }
            return;
        }
        let Ok(message) = std::str::from_utf8(message) else { return };
        if node == self.node.as_bytes() {
            return;
        }
        let mut lines = message.split('\n').skip(2);
        let mut next = || lines.next().unwrap_or_default();
        match kind {
            b"K" => {
                let (key, user, seq) = (next(), next(), next());
                if let (Some(conversation), Ok(seq)) = (conversation_of(key), seq.parse()) {
                    self.said.push(&News::Marked { ticket: None, user, conversation, seq });
                }
            }
            b"R" => {
                let (room, keeps, created_at, created) = (next(), next(), next(), next());
                let (title, topic) = (next().strip_prefix('+'), next().strip_prefix('+'));
                // Nodes of before say nothing of changes.
                let (created_at, changes) = (created_at.parse().unwrap_or(0), next().parse().unwrap_or(0));
                let description = Description { room, title, topic, created_at, created: created == "1" };
                self.said.push(&News::Room { description, keeps: keeps == "1", changes });
            }
            b"O" => {
                let (room, changes, by, topic, title) = (next(), next(), next(), next(), next());
                // Nodes of before say nothing of the title.
                let title = Some(title)
                    .filter(|title| !title.is_empty())
                    .map(|title| title.strip_prefix('+').unwrap_or_default());
                let anew = Anew { title, topic: Some(topic.strip_prefix('+').unwrap_or_default()) };
                if let Ok(changes) = changes.parse() {
                    self.said.push(&News::Topic { ticket: None, room, anew, by, changes });
                }
            }
            b"U" => self.said.push(&News::User { name: next() }),
            b"B" => {
                let (user, until, note) = (next(), next(), Some(next()).filter(|note| !note.is_empty()));
                self.bans.insert(user, &format!("{until}\n{}", note.unwrap_or_default()));
                self.said.push(&News::Banned(Ban { user, until: until.parse().ok(), note }));
            }
            b"b" => {
                let user = next();
                self.bans.remove(user);
                self.said.push(&News::Unbanned { user });
            }
            b"V" => self.emptied(next()),
            b"W" => {
                let (kind, whom, word) = (next(), next(), next());
                let to = match kind {
                    "*" => Audience::Everybody,
                    "r" => Audience::Room(whom),
                    "u" => Audience::User(whom),
                    _ => return,
                };
                self.said.push(&News::Told { to, word });
            }
            b"P" => {
                let node = std::str::from_utf8(node).unwrap_or_default();
                let version = next();
                self.hear_board(node, version, lines);
            }
            b"X" => {
                let key = next();
                self.places.remove(key);
                if let Some(Conversation::Room(room)) = conversation_of(key) {
                    self.said.push(&News::Ended { room });
                }
            }
            _ => {}
        }
    }

    /// An entry, which is told if it is the next one of its conversation. With a ticket it is this node's own, and the
    /// request has its outcome here in any case.
    pub(super) fn hear_entry(&mut self, key: &str, epoch: Epoch, seq: u64, record: &[u8], ticket: Option<Ticket>) {
        let (Some(read), Some(conversation)) = (Record::read(record), conversation_of(key)) else {
            log::warn!("{}: what is kept of a conversation cannot be read: {key:?} {seq}", self.options.server);
            return self.fail(ticket);
        };
        let is_direct = matches!(conversation, Conversation::Direct(..));
        let at = self.places.find(key).unwrap_or_else(|| self.places.insert(key, epoch, seq - 1));
        let place = self.places.get_mut(at);
        let life = place.kept.head().epoch;
        if life != epoch {
            if place.before == Some(epoch) && ticket.is_none() {
                return;
            }
            place.restart(epoch, seq - 1);
            (place.before, place.heard, place.began, place.told) = (Some(life), seq - 1, seq, 0);
        }
        if seq <= place.heard {
            if let Some(ticket) = ticket {
                self.said.push(&News::Repeated { ticket, seq, ts: read.entry(seq).ts });
            } else if is_direct && seq < place.began && seq > place.told {
                // It was on its way when this node first spoke in the conversation, which people hear unasked.
                self.said.push(&News::Published { conversation, epoch, entry: read.entry(seq), ticket: None });
            }
            return;
        }
        if seq > place.heard + 1 {
            self.fill(key, at, seq - 1);
            if self.places.find(key) != Some(at) || self.places.get(at).heard + 1 != seq {
                // It is in the log, and is told with what is missing before it.
                return self.fail(ticket);
            }
        }
        let limit = self.options.messages;
        let place = self.places.get_mut(at);
        if seq > place.kept.seq() {
            place.take(&read, limit);
        }
        place.heard = seq;
        let entry = place.kept.at(seq).map_or_else(|| read.entry(seq), for_all);
        self.said.push(&News::Published { conversation, epoch, entry, ticket });
        self.places.note(at);
    }

    /// Tells what is missing of a conversation up to a number.
    pub(super) fn fill(&mut self, key: &str, at: usize, to: u64) {
        while self.places.find(key) == Some(at) && self.places.get(at).heard < to {
            let Place { heard, kept, .. } = self.places.get(at);
            let (heard, life) = (*heard, kept.head().epoch);
            let Some(pulled) = self.pull_more(key, Need::Head) else { return };
            if pulled.epoch != life {
                return self.begin_life(at, pulled.epoch, pulled.n);
            }
            if self.take_to(key, pulled, to).is_none() {
                return;
            }
            if self.places.find(key) == Some(at) && self.places.get(at).heard <= heard {
                return;
            }
        }
    }

    /// Entries of a conversation were not kept long enough to be told. Of two people, nobody counts them.
    fn miss(&mut self, key: &str, epoch: Epoch, from: u64, to: u64) {
        if let Some(Conversation::Room(room)) = conversation_of(key) {
            self.said.push(&News::Missed { room, epoch, from, to });
        }
    }

    /// A conversation goes on in another life, of which nothing is told before it is asked for.
    fn begin_life(&mut self, at: usize, epoch: Epoch, n: u64) {
        let place = self.places.get_mut(at);
        let life = place.kept.head().epoch;
        (place.before, place.heard, place.began) = (Some(life), n, 0);
        place.restart(epoch, n);
        self.places.note(at);
        self.said.push(&News::Renewed);
    }

    /// Takes what was pulled of a conversation, of which something up to a number is to be told.
    pub(super) fn take(&mut self, key: &str, pulled: Pulled, to: u64) -> usize {
        let Pulled { epoch, n, first, floor, mut found, .. } = pulled;
        let at = self.places.find(key).unwrap_or_else(|| self.places.insert(key, epoch, n));
        let limit = self.options.messages;
        let place = self.places.get_mut(at);
        let Head { epoch: life, seq, .. } = place.kept.head();
        if life != epoch {
            (place.before, place.heard, place.began) = (Some(life), n, 0);
            place.restart(epoch, first - 1);
        } else if first > seq + 1 {
            // What is between was not kept long enough.
            place.restart(epoch, first - 1);
            let (heard, last) = (place.heard, (first - 1).min(to));
            place.heard = heard.max(last);
            if heard < last {
                self.miss(key, epoch, heard + 1, last);
            }
        } else if first >= place.kept.head().oldest() {
            // Another question that went out with this one has brought some of it.
            let known = usize::try_from(seq + 1 - first).unwrap_or(usize::MAX).min(found.len());
            found.drain(..known);
        } else {
            // It begins before what is here, and goes as far.
            place.restart(epoch, first - 1);
        }
        let place = self.places.get_mut(at);
        for record in found.iter().map_while(|record| Record::read(record)) {
            place.take(&record, limit);
        }
        place.note_floor(floor);
        self.places.note(at);
        at
    }

    /// Tells what is here of a conversation behind the last that was told, up to a number: as all of it stands, so that
    /// no text is told that was edited away since.
    pub(super) fn tell(&mut self, key: &str, at: usize, to: u64) {
        let place = self.places.get(at);
        let (heard, epoch, last) = (place.heard, place.kept.head().epoch, place.kept.seq().min(to));
        let oldest = place.kept.head().oldest();
        if heard + 1 < oldest && heard < last {
            self.miss(key, epoch, heard + 1, last.min(oldest - 1));
        }
        let place = self.places.get_mut(at);
        let conversation = place.kept.conversation();
        for entry in (heard + 1..=last).filter_map(|seq| place.kept.at(seq)).map(for_all) {
            self.said.push(&News::Published { conversation, epoch, entry, ticket: None });
        }
        place.heard = heard.max(last);
    }

    /// Asks about all conversations whether they go on behind what was heard of them.
    pub(super) fn look_for_missed(&mut self) {
        if self.link.is_none() {
            return;
        }
        let known: Vec<(String, Epoch, u64)> = self.places.heads().collect();
        let mut renewed = false;
        for known in known.chunks(LOOKED_AT_ONCE) {
            let new = self.draw();
            let mut command = self.script("heads");
            command.arg(new.to_string());
            for (key, epoch, seq) in known {
                command.arg(key).arg(epoch.to_string()).arg(*seq);
            }
            let differ = match self.call(&command) {
                Ok(value) => list(value),
                Err(why) => {
                    log::debug!("{}: {why}", self.options.server);
                    break;
                }
            };
            for place in differ {
                let Value::Int(place) = place else { continue };
                let which = usize::try_from(place.unsigned_abs()).ok().and_then(|place| place.checked_sub(1));
                let Some((key, ..)) = which.and_then(|which| known.get(which)) else { continue };
                match (place > 0, self.places.find(key)) {
                    (true, Some(at)) => self.fill(key, at, u64::MAX),
                    (false, Some(_)) => {
                        self.places.remove(key);
                        renewed |= key.starts_with("r:");
                    }
                    (_, None) => {}
                }
            }
        }
        if renewed {
            self.said.push(&News::Renewed);
        }
    }
}
