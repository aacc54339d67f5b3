//! Deliveries: what the engine must do to connections, the only output of the chat.
//!
//! A [`Deliveries`] is filled by one call into the chat and carried out by the server in order. It holds
//! all texts in one buffer, so that a message costs no allocation of its own. It knows no frames:
//! a text becomes one WebSocket text message, encoded once however many hear it.

use std::ops::Range;

use super::ask::Ask;
use super::auth::TokenError;
use super::wire::answer::{self, Answer};
use super::wire::{Code, Refusal};
use crate::id::{ConnId, TopicId};
use crate::proto::CloseCode;

/// One thing to do. Texts are read with [`Deliveries::text`], exceptions with [`Deliveries::except`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Send a text to one connection.
    Send {
        /// Who.
        to: ConnId,
        /// What, in [`Deliveries::text`].
        text: Range<usize>,
    },
    /// Refuse the call of a connection.
    Refuse {
        /// Who.
        to: ConnId,
        /// What kind of mistake it was.
        code: Code,
        /// The `error` message, in [`Deliveries::text`].
        text: Range<usize>,
    },
    /// Send a text to every member of a topic, but for some.
    Publish {
        /// The topic.
        topic: TopicId,
        /// What, in [`Deliveries::text`].
        text: Range<usize>,
        /// The connections that are left out, in [`Deliveries::except`].
        except: Range<usize>,
        /// The seq of the message, if it can be read later: a member that takes these too slowly leaves the topic, of
        /// which the chat is to hear by [`Chat::handle_left_behind`](super::Chat::handle_left_behind).
        number: Option<u64>,
    },
    /// From now on the connection hears messages of the topic.
    Subscribe {
        /// Who.
        conn: ConnId,
        /// What.
        topic: TopicId,
    },
    /// From now on no longer; messages published before are still sent, and first.
    Unsubscribe {
        /// Who.
        conn: ConnId,
        /// What.
        topic: TopicId,
    },
    /// Call [`Chat::handle_drained`](super::Chat::handle_drained), once, when the connection has taken all of this.
    TellWhenDrained {
        /// Who.
        conn: ConnId,
    },
    /// What follows was caused so many milliseconds ago: the store has just answered. 0: now.
    Caused {
        /// Milliseconds, as far as they are known.
        ago_ms: u32,
    },
    /// Note that a client is not let in; its answer and its close are deliveries of their own.
    TurnedAway {
        /// Who.
        conn: ConnId,
        /// Why.
        why: TurnedAway,
    },
    /// Note how much the answers may have that come later for the connection: a client that is owed much is not read
    /// on, and one that says goodbye meanwhile gets them first.
    Owe {
        /// Who.
        conn: ConnId,
        /// Bytes of all of them, at most; 0: none comes.
        bytes: u32,
    },
    /// Find out at once whether the connection is still there, and close it if it is not.
    Ask {
        /// Who.
        conn: ConnId,
    },
    /// Send the queued output, then close.
    Close {
        /// Who.
        conn: ConnId,
        /// The status code of the Close frame.
        code: CloseCode,
        /// The reason in it, at most 123 bytes.
        reason: &'static str,
    },
}

/// Why the chat does not let in a client that has come through a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// The token is not valid.
    Token(TokenError),
    /// No token has come in time.
    NoToken,
    /// The user is banned.
    Banned,
    /// The user has as many sessions as they may.
    TooManySessions,
    /// Salon has as many users as it may.
    TooManyUsers,
    /// The one room of a plain session cannot be joined.
    Room,
}

/// An ordered list of deliveries with the texts they speak of. Cleared and used again each turn.
#[derive(Debug, Default)]
pub struct Deliveries {
    text: Vec<u8>,
    except: Vec<ConnId>,
    items: Vec<Delivery>,
    work: usize,
}

impl Deliveries {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a text, which `write` appends to the buffer it is given, for one connection.
    ///
    /// `write` only appends, and what it appends is UTF-8.
    pub fn send(&mut self, to: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let text = self.append(write);
        self.items.push(Delivery::Send { to, text });
    }

    /// Queues a message that answers no request.
    pub(super) fn say(&mut self, to: ConnId, answer: &impl Answer) {
        self.answer(Ask::unnamed(to), answer);
    }

    /// Queues a message for the connection that asked for it.
    pub(super) fn answer(&mut self, ask: Ask<'_>, answer: &impl Answer) {
        self.send(ask.conn, |out| answer::write(out, ask.id, answer));
    }

    /// Queues a message once for each of several connections.
    pub(super) fn say_each(&mut self, to: impl IntoIterator<Item = ConnId>, answer: &impl Answer) {
        self.send_each(to, |out| answer::write(out, None, answer));
    }

    /// Queues a message for every member of a topic but those in `except`.
    pub(super) fn say_in(&mut self, topic: TopicId, except: &[ConnId], answer: &impl Answer) {
        self.publish(topic, except, |out| answer::write(out, None, answer));
    }

    /// Queues the refusal of a call.
    pub(super) fn refuse(&mut self, ask: Ask<'_>, refusal: &Refusal) {
        let text = self.append(|out| answer::write(out, ask.id, &answer::Error::from(refusal)));
        self.items.push(Delivery::Refuse { to: ask.conn, code: refusal.code, text });
    }

    /// Queues the text once for each of several connections.
    pub fn send_each(&mut self, to: impl IntoIterator<Item = ConnId>, write: impl FnOnce(&mut Vec<u8>)) {
        let text = self.append(write);
        for to in to {
            self.items.push(Delivery::Send { to, text: text.clone() });
        }
    }

    /// Queues a text for every member of a topic but those in `except`.
    pub fn publish(&mut self, topic: TopicId, except: &[ConnId], write: impl FnOnce(&mut Vec<u8>)) {
        self.publish_numbered(topic, None, except, write);
    }

    /// The same with the seq of the message, if it can be read later.
    pub fn publish_numbered(
        &mut self,
        topic: TopicId,
        number: Option<u64>,
        except: &[ConnId],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let text = self.append(write);
        let start = self.except.len();
        self.except.extend_from_slice(except);
        self.items.push(Delivery::Publish { topic, text, except: start..self.except.len(), number });
    }

    /// Queues a subscription.
    pub fn subscribe(&mut self, conn: ConnId, topic: TopicId) {
        self.items.push(Delivery::Subscribe { conn, topic });
    }

    /// Queues the end of a subscription.
    pub fn unsubscribe(&mut self, conn: ConnId, topic: TopicId) {
        self.items.push(Delivery::Unsubscribe { conn, topic });
    }

    /// Asks for [`Chat::handle_drained`](super::Chat::handle_drained) when the connection has taken everything up to
    /// here.
    pub fn tell_when_drained(&mut self, conn: ConnId) {
        self.items.push(Delivery::TellWhenDrained { conn });
    }

    /// Notes that what follows was caused so many milliseconds ago.
    pub fn caused(&mut self, ago_ms: u64) {
        self.items.push(Delivery::Caused { ago_ms: u32::try_from(ago_ms).unwrap_or(u32::MAX) });
    }

    /// Queues the note that a client is not let in.
    pub fn turned_away(&mut self, conn: ConnId, why: TurnedAway) {
        self.items.push(Delivery::TurnedAway { conn, why });
    }

    /// Queues the note how much the answers may have that come later for a connection.
    pub fn owe(&mut self, conn: ConnId, bytes: u32) {
        self.items.push(Delivery::Owe { conn, bytes });
    }

    /// Queues the question whether a connection is still there.
    pub fn ask(&mut self, conn: ConnId) {
        self.items.push(Delivery::Ask { conn });
    }

    /// Queues a close.
    pub fn close(&mut self, conn: ConnId, code: CloseCode, reason: &'static str) {
        self.items.push(Delivery::Close { conn, code, reason });
    }

    /// Notes work that shows in no delivery, in steps of some 250 ns: an answer with two names may have taken a look at
    /// ten thousand.
    pub fn note_work(&mut self, steps: usize) {
        self.work += steps;
    }

    /// The sum of that, for the engine, which shares out the time of a turn.
    pub fn work(&self) -> usize {
        self.work
    }

    /// Forgets everything; keeps the memory, within bounds.
    pub fn clear(&mut self) {
        self.work = 0;
        self.items.clear();
        self.except.clear();
        self.text.clear();
        self.text.shrink_to(MAX_KEPT_TEXT);
        self.items.shrink_to(MAX_KEPT_ITEMS);
        self.except.shrink_to(MAX_KEPT_ITEMS);
    }

    /// Bytes that the list takes, empty or not.
    pub fn held_bytes(&self) -> usize {
        self.text.capacity()
            + self.except.capacity() * size_of::<ConnId>()
            + self.items.capacity() * size_of::<Delivery>()
    }

    /// Bytes of all texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The deliveries, in the order they were made.
    pub fn items(&self) -> &[Delivery] {
        &self.items
    }

    /// The text of a delivery. It is UTF-8.
    pub fn text(&self, range: &Range<usize>) -> &[u8] {
        &self.text[range.clone()]
    }

    /// The exceptions of a [`Delivery::Publish`].
    pub fn except(&self, range: &Range<usize>) -> &[ConnId] {
        &self.except[range.clone()]
    }

    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.text.len();
        write(&mut self.text);
        start..self.text.len()
    }
}

/// The capacity of the text buffer that is kept between turns, in bytes.
const MAX_KEPT_TEXT: usize = 1 << 20;

/// The capacity of each list that is kept between turns.
const MAX_KEPT_ITEMS: usize = 1 << 14;
