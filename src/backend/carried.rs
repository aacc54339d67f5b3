//! Requests and news on their way between threads: lists that own their content, with all texts of one in one buffer.
//! So a message that crosses costs a copy, and no allocation while the lists keep their room.

use super::{Conversation, Description, Head, Message, NewMessage, News, Query, Request, Ticket};
use crate::slack;
use crate::time::Moment;

/// Requests, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    texts: Texts,
    items: Vec<Asked>,
}

/// News, in the order in which the chat must hear it.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    texts: Texts,
    items: Vec<Said>,
    /// Messages of all pages.
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Asked {
    Append { place: Place, sender: Span, content: Span, at: Moment, about: Option<Card>, ticket: Ticket },
    Read { place: Place, query: Query, now: Moment, about: Option<Card>, ticket: Ticket },
    Know(Span),
    Release(Span),
    Erase(Span),
}

#[derive(Debug)]
enum Said {
    Published { place: Place, line: Line, ticket: Option<Ticket> },
    Page { ticket: Ticket, head: Head, from: usize, to: usize },
    Failed(Ticket),
    Emptied(Span),
    Ended(Span),
    Room { card: Card, keeps: bool },
    User(Span),
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Room(Span),
    Direct(Span, Span),
}

#[derive(Clone, Copy, Debug)]
struct Line {
    seq: u64,
    ts: u64,
    sender: Span,
    content: Span,
}

#[derive(Clone, Copy, Debug)]
struct Card {
    room: Span,
    title: Option<Span>,
    topic: Option<Span>,
    created_at: u64,
    created: bool,
}

impl Requests {
    pub fn push(&mut self, request: Request<'_>) {
        let texts = &mut self.texts;
        self.items.push(match request {
            Request::Append { conversation, message: NewMessage { sender, content, at }, about, ticket } => {
                Asked::Append {
                    place: texts.place(conversation),
                    sender: texts.put(sender),
                    content: texts.put(content),
                    at,
                    about: about.map(|about| texts.card(about)),
                    ticket,
                }
            }
            Request::Read { conversation, query, now, about, ticket } => {
                let about = about.map(|about| texts.card(about));
                Asked::Read { place: texts.place(conversation), query, now, about, ticket }
            }
            Request::Know { user } => Asked::Know(texts.put(user)),
            Request::Release { room } => Asked::Release(texts.put(room)),
            Request::Erase { room } => Asked::Erase(texts.put(room)),
        });
    }

    pub fn get(&self, at: usize) -> Option<Request<'_>> {
        let texts = &self.texts;
        Some(match *self.items.get(at)? {
            Asked::Append { place, sender, content, at, about, ticket } => Request::Append {
                conversation: texts.conversation(place),
                message: NewMessage { sender: texts.get(sender), content: texts.get(content), at },
                about: about.map(|about| texts.description(about)),
                ticket,
            },
            Asked::Read { place, query, now, about, ticket } => {
                let about = about.map(|about| texts.description(about));
                Request::Read { conversation: texts.conversation(place), query, now, about, ticket }
            }
            Asked::Know(user) => Request::Know { user: texts.get(user) },
            Asked::Release(room) => Request::Release { room: texts.get(room) },
            Asked::Erase(room) => Request::Erase { room: texts.get(room) },
        })
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.texts.0.len()
    }

    pub fn held_bytes(&self) -> usize {
        self.texts.0.capacity() + self.items.capacity() * size_of::<Asked>()
    }

    /// Empties the list. Much more room than it has needed is given back.
    pub fn clear(&mut self) {
        self.texts.clear();
        slack::shrink(&mut self.items);
        self.items.clear();
    }
}

impl Reports {
    pub fn push(&mut self, news: &News<'_>) {
        let texts = &mut self.texts;
        self.items.push(match news {
            News::Published { conversation, message, ticket } => {
                Said::Published { place: texts.place(*conversation), line: texts.line(message), ticket: *ticket }
            }
            News::Page { ticket, head, messages } => {
                let from = self.lines.len();
                self.lines.extend(messages.iter().map(|message| texts.line(message)));
                Said::Page { ticket: *ticket, head: *head, from, to: self.lines.len() }
            }
            News::Failed { ticket } => Said::Failed(*ticket),
            News::Emptied { room } => Said::Emptied(texts.put(room)),
            News::Ended { room } => Said::Ended(texts.put(room)),
            News::Room { description, keeps } => Said::Room { card: texts.card(*description), keeps: *keeps },
            News::User { name } => Said::User(texts.put(name)),
        });
    }

    pub fn get(&self, at: usize) -> Option<News<'_>> {
        let texts = &self.texts;
        Some(match *self.items.get(at)? {
            Said::Published { place, line, ticket } => {
                News::Published { conversation: texts.conversation(place), message: texts.message(line), ticket }
            }
            Said::Page { ticket, head, from, to } => {
                let messages = self.lines[from..to].iter().map(|line| texts.message(*line)).collect();
                News::Page { ticket, head, messages }
            }
            Said::Failed(ticket) => News::Failed { ticket },
            Said::Emptied(room) => News::Emptied { room: texts.get(room) },
            Said::Ended(room) => News::Ended { room: texts.get(room) },
            Said::Room { card, keeps } => News::Room { description: texts.description(card), keeps },
            Said::User(name) => News::User { name: texts.get(name) },
        })
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.texts.0.len()
    }

    pub fn held_bytes(&self) -> usize {
        self.texts.0.capacity() + self.items.capacity() * size_of::<Said>() + self.lines.capacity() * size_of::<Line>()
    }

    /// Empties the list. Much more room than it has needed is given back.
    pub fn clear(&mut self) {
        self.texts.clear();
        slack::shrink(&mut self.items);
        self.items.clear();
        slack::shrink(&mut self.lines);
        self.lines.clear();
    }
}

/// Texts one behind the other.
#[derive(Debug, Default)]
struct Texts(String);

/// Where one of them lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Texts {
    fn put(&mut self, text: &str) -> Span {
        let place = |at: usize| u32::try_from(at).expect("the lists are bounded far below 4 GiB");
        let start = place(self.0.len());
        self.0.push_str(text);
        Span { start, end: place(self.0.len()) }
    }

    fn get(&self, span: Span) -> &str {
        &self.0[span.start as usize..span.end as usize]
    }

    fn clear(&mut self) {
        if self.0.capacity() > slack::MIN_KEPT && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(2 * self.0.len());
        }
        self.0.clear();
    }

    fn place(&mut self, conversation: Conversation<'_>) -> Place {
        match conversation {
            Conversation::Room(room) => Place::Room(self.put(room)),
            Conversation::Direct(one, other) => Place::Direct(self.put(one), self.put(other)),
        }
    }

    fn conversation(&self, place: Place) -> Conversation<'_> {
        match place {
            Place::Room(room) => Conversation::Room(self.get(room)),
            Place::Direct(one, other) => Conversation::Direct(self.get(one), self.get(other)),
        }
    }

    fn line(&mut self, message: &Message<'_>) -> Line {
        let Message { seq, ts, sender, content } = *message;
        Line { seq, ts, sender: self.put(sender), content: self.put(content) }
    }

    fn message(&self, line: Line) -> Message<'_> {
        Message { seq: line.seq, ts: line.ts, sender: self.get(line.sender), content: self.get(line.content) }
    }

    fn card(&mut self, description: Description<'_>) -> Card {
        let Description { room, title, topic, created_at, created } = description;
        let mut put = |text: Option<&str>| text.map(|text| self.put(text));
        let (title, topic) = (put(title), put(topic));
        Card { room: self.put(room), title, topic, created_at, created }
    }

    fn description(&self, card: Card) -> Description<'_> {
        Description {
            room: self.get(card.room),
            title: card.title.map(|title| self.get(title)),
            topic: card.topic.map(|topic| self.get(topic)),
            created_at: card.created_at,
            created: card.created,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Bounds, Epoch};
    use crate::time::Tick;

    const CARDS: [Description<'_>; 2] = [
        Description { room: "den", title: None, topic: Some(""), created_at: 7, created: true },
        Description { room: "bär", title: Some("Bär"), topic: None, created_at: 0, created: false },
    ];

    #[test]
    fn requests_come_out_as_they_went_in() {
        let (room, pair) = (Conversation::Room("den"), Conversation::Direct("ann", "bob"));
        let at = Moment { tick: Tick(1), unix_ms: 2 };
        let message = NewMessage { sender: "ann", content: "é", at };
        let silent = NewMessage { content: "", ..message };
        let query = Query::Newest(Bounds { messages: 1, bytes: 2 });
        let asked = [
            Request::Append { conversation: room, message, about: None, ticket: Ticket(1) },
            Request::Append { conversation: room, message, about: Some(CARDS[0]), ticket: Ticket(1) },
            Request::Append { conversation: pair, message: silent, about: None, ticket: Ticket(2) },
            Request::Read { conversation: pair, query, now: at, about: None, ticket: Ticket(4) },
            Request::Read { conversation: room, query, now: at, about: Some(CARDS[1]), ticket: Ticket(4) },
            Request::Know { user: "bob" },
            Request::Release { room: "den" },
            Request::Erase { room: "" },
        ];
        let mut list = Requests::default();
        for _ in 0..2 {
            asked.iter().for_each(|request| list.push(*request));
            for (at, request) in asked.iter().enumerate() {
                assert_eq!(format!("{:?}", list.get(at).unwrap()), format!("{request:?}"));
            }
            assert!(list.len() == asked.len() && list.get(asked.len()).is_none());
            list.clear();
            assert_eq!((list.len(), list.bytes()), (0, 0));
        }
    }

    #[test]
    fn news_comes_out_as_it_went_in() {
        let (room, pair) = (Conversation::Room("den"), Conversation::Direct("ann", "bob"));
        let message = |seq| Message { seq, ts: 9, sender: "ann", content: "é" };
        let head = Head { epoch: Epoch(5), seq: 2, kept: 1 };
        let said = [
            News::Published { conversation: room, message: message(1), ticket: None },
            News::Page { ticket: Ticket(1), head, messages: vec![message(1), message(2)] },
            News::Published { conversation: pair, message: message(2), ticket: Some(Ticket(2)) },
            News::Page { ticket: Ticket(3), head, messages: Vec::new() },
            News::Page { ticket: Ticket(4), head, messages: vec![message(3)] },
            News::Failed { ticket: Ticket(4) },
            News::Emptied { room: "den" },
            News::Ended { room: "bar" },
            News::Room { description: CARDS[0], keeps: true },
            News::Room { description: CARDS[1], keeps: false },
            News::User { name: "bob" },
        ];
        let mut list = Reports::default();
        for _ in 0..2 {
            said.iter().for_each(|news| list.push(news));
            for (at, news) in said.iter().enumerate() {
                assert_eq!(format!("{:?}", list.get(at).unwrap()), format!("{news:?}"));
            }
            assert!(list.len() == said.len() && list.get(said.len()).is_none());
            list.clear();
            assert_eq!((list.len(), list.bytes()), (0, 0));
        }
    }

    /// A burst costs no memory when it is over.
    #[test]
    fn room_is_given_back() {
        let mut list = Requests::default();
        for _ in 0..10_000 {
            list.push(Request::Know { user: "somebody" });
        }
        list.clear();
        let full = list.held_bytes();
        list.push(Request::Know { user: "somebody" });
        list.clear();
        assert!(list.held_bytes() < full / 100, "{} of {full}", list.held_bytes());
    }
}
