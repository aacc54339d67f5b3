//! Requests and news on their way between threads: lists that own their content, with all texts of one in one buffer.
//! So a message that crosses costs a copy, and no allocation while the lists keep their room.

use std::time::Duration;

use super::{
    Anew, Audience, Ban, Body, Conversation, Description, Entry, Epoch, Head, Hit, Message, Names, NewBody, NewEntry,
    News, Presence, Query, Reaction, Reader, Reading, Request, RetryKey, Right, Scope, Search, Step, Talk, Ticket, Why,
};
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
    /// Entries of all pages.
    lines: Vec<Line>,
    /// Reactions of all messages of these.
    marks: Vec<Mark>,
    /// Names of all of these.
    names: Vec<Span>,
    readings: Vec<Reading>,
    talks: Vec<(Span, Talk<'static>)>,
    hits: Vec<Shot>,
    steps: Vec<StepCard>,
}

#[derive(Debug)]
enum Asked {
    Append {
        place: Place,
        sender: Span,
        at: Moment,
        body: New,
        retry: Option<RetryKey>,
        about: Option<Card>,
        ticket: Ticket,
    },
    Recall {
        place: Place,
        retry: RetryKey,
        ticket: Ticket,
    },
    Read {
        place: Place,
        query: Query,
        reader: Option<(Span, bool)>,
        now: Moment,
        about: Option<Card>,
        ticket: Ticket,
    },
    Mark {
        user: Span,
        place: Place,
        seq: u64,
        ticket: Ticket,
    },
    Topic {
        cards: Box<(Card, NewWords)>,
        by: Span,
        ticket: Ticket,
    },
    Readings {
        user: Span,
        rooms: Span,
        now: Moment,
        ticket: Ticket,
    },
    Conversations {
        user: Span,
        cursor: Option<Span>,
        limit: usize,
        now: Moment,
        ticket: Ticket,
    },
    Search(Box<Sought>, Ticket),
    Ban(BanCard, Ticket),
    Unban(Span, Ticket),
    Set {
        room: Span,
        words: Option<Span>,
        ticket: Ticket,
    },
    Note(Box<StepCard>),
    Trail {
        cursor: Option<Span>,
        limit: usize,
        ticket: Ticket,
    },
    Know(Span, bool),
    Release(Span),
    Erase(Span),
    Unfollow(Span),
    Seats(Span),
    Tell(Hearers, Span),
    Post(Stand, Option<Span>),
}

#[derive(Clone, Copy, Debug)]
enum Hearers {
    Everybody,
    Room(Span),
    User(Span),
}

#[derive(Clone, Copy, Debug)]
struct Stand {
    room: Option<Span>,
    user: Span,
}

/// The body of a new entry.
#[derive(Clone, Copy, Debug)]
enum New {
    Message { content: Span, reply_to: Option<u64>, calls_room: bool },
    Edit { of: u64, content: Span, within: Option<Duration>, calls_room: bool },
    Delete { of: u64, right: Right },
    Reaction { of: u64, emoji: Span, on: bool },
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
struct Sought {
    place: Where,
    text: Span,
    sender: Option<Span>,
    before: Option<u64>,
    cursor: Option<Span>,
    limit: usize,
}

#[derive(Clone, Copy, Debug)]
enum Where {
    One(Place),
    All { rooms: Span, user: Span },
}

#[derive(Debug)]
enum Said {
    Published { place: Place, epoch: Epoch, line: Line, ticket: Option<Ticket> },
    Repeated { ticket: Ticket, seq: u64, ts: u64 },
    Page { ticket: Ticket, head: Head, lines: Range, reading: Option<Reading> },
    Marked { ticket: Option<Ticket>, user: Span, place: Place, seq: u64 },
    Topic { ticket: Option<Ticket>, room: Span, anew: NewWords, by: Span, changes: u64 },
    Readings { ticket: Ticket, readings: Range },
    Conversations { ticket: Ticket, talks: Range, next: Option<Span> },
    Found { ticket: Ticket, hits: Range, next: Option<Span> },
    Trail { ticket: Ticket, steps: Range, next: Option<Span> },
    Noted(Ticket),
    Refused(Ticket, Why),
    Failed(Ticket),
    Renewed,
    Missed { room: Span, epoch: Epoch, from: u64, to: u64 },
    Emptied(Span),
    Ended(Span),
    Room { card: Card, keeps: bool, changes: u64 },
    User(Span),
    Banned(BanCard),
    Unbanned(Span),
    Set { room: Span, words: Span },
    Told(Hearers, Span),
    Posted { node: u64, stand: Stand, how: Option<Span> },
}

/// From where to where in one of the lists.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: usize,
    to: usize,
}

impl Range {
    fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.from..self.to]
    }
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
    body: Written,
}

/// The body of an entry.
#[derive(Clone, Copy, Debug)]
enum Written {
    Message { content: Option<Span>, reply_to: Option<u64>, calls_room: bool, edited: Option<u64>, marks: Range },
    Edited { of: u64, content: Option<Span>, calls_room: bool },
    Deleted { of: u64 },
    Reaction { of: u64, emoji: Span, on: bool },
}

/// A reaction to a message.
#[derive(Clone, Copy, Debug)]
struct Mark {
    emoji: Span,
    count: u64,
    names: Range,
    me: bool,
}

/// A message that was looked for.
#[derive(Clone, Copy, Debug)]
struct Shot {
    place: Place,
    seq: u64,
    ts: u64,
    sender: Span,
    content: Span,
}

/// A step of the trail.
#[derive(Clone, Copy, Debug)]
struct StepCard {
    ts: u64,
    operator: Span,
    call: Span,
    room: Option<Span>,
    user: Option<Span>,
    status: u16,
}

#[derive(Clone, Copy, Debug)]
struct BanCard {
    user: Span,
    until: Option<u64>,
    note: Option<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Card {
    room: Span,
    title: Option<Span>,
    topic: Option<Span>,
    created_at: u64,
    created: bool,
}

/// A title and a topic that are another.
#[derive(Clone, Copy, Debug)]
struct NewWords {
    title: Option<Span>,
    topic: Option<Span>,
}

impl Requests {
    pub fn push(&mut self, request: Request<'_>) {
        let texts = &mut self.texts;
        self.items.push(match request {
            Request::Append { conversation, entry: NewEntry { sender, body, at }, retry, about, ticket } => {
                Asked::Append {
                    place: texts.place(conversation),
                    sender: texts.put(sender),
                    at,
                    body: texts.put_body(body),
                    retry,
                    about: about.map(|about| texts.card(about)),
                    ticket,
                }
            }
            Request::Recall { conversation, retry, ticket } => {
                Asked::Recall { place: texts.place(conversation), retry, ticket }
            }
            Request::Read { conversation, query, reader, now, about, ticket } => Asked::Read {
                place: texts.place(conversation),
                query,
                reader: reader.map(|Reader { user, reading }| (texts.put(user), reading)),
                now,
                about: about.map(|about| texts.card(about)),
                ticket,
            },
            Request::Mark { user, conversation, seq, ticket } => {
                Asked::Mark { user: texts.put(user), place: texts.place(conversation), seq, ticket }
            }
            Request::Topic { about, anew, by, ticket } => {
                let cards = Box::new((texts.card(about), texts.new_words(anew)));
                Asked::Topic { cards, by: texts.put(by), ticket }
            }
            Request::Readings { user, rooms, now, ticket } => {
                Asked::Readings { user: texts.put(user), rooms: texts.put(rooms.as_str()), now, ticket }
            }
            Request::Conversations { user, cursor, limit, now, ticket } => {
                Asked::Conversations { user: texts.put(user), cursor: texts.put_maybe(cursor), limit, now, ticket }
            }
            Request::Search { search, ticket } => Asked::Search(Box::new(texts.sought(search)), ticket),
            Request::Ban { ban, ticket } => Asked::Ban(texts.put_ban(ban), ticket),
            Request::Unban { user, ticket } => Asked::Unban(texts.put(user), ticket),
            Request::Set { room, words, ticket } => {
                Asked::Set { room: texts.put(room), words: texts.put_maybe(words), ticket }
            }
            Request::Note { step } => Asked::Note(Box::new(texts.put_step(&step))),
            Request::Trail { cursor, limit, ticket } => Asked::Trail { cursor: texts.put_maybe(cursor), limit, ticket },
            Request::Know { user, here } => Asked::Know(texts.put(user), here),
            Request::Release { room } => Asked::Release(texts.put(room)),
            Request::Erase { room } => Asked::Erase(texts.put(room)),
            Request::Unfollow { room } => Asked::Unfollow(texts.put(room)),
            Request::Seats { room } => Asked::Seats(texts.put(room)),
            Request::Tell { to, word } => Asked::Tell(texts.hearers(to), texts.put(word)),
            Request::Post { presence, how } => Asked::Post(texts.stand(presence), texts.put_maybe(how)),
        });
    }

    pub fn get(&self, at: usize) -> Option<Request<'_>> {
        let texts = &self.texts;
        Some(match *self.items.get(at)? {
            Asked::Append { place, sender, at, body, retry, about, ticket } => Request::Append {
                conversation: texts.conversation(place),
                entry: NewEntry { sender: texts.get(sender), body: texts.body(body), at },
                retry,
                about: about.map(|about| texts.description(about)),
                ticket,
            },
            Asked::Recall { place, retry, ticket } => {
                Request::Recall { conversation: texts.conversation(place), retry, ticket }
            }
            Asked::Read { place, query, reader, now, about, ticket } => Request::Read {
                conversation: texts.conversation(place),
                query,
                reader: reader.map(|(user, reading)| Reader { user: texts.get(user), reading }),
                now,
                about: about.map(|about| texts.description(about)),
                ticket,
            },
            Asked::Mark { user, place, seq, ticket } => {
                Request::Mark { user: texts.get(user), conversation: texts.conversation(place), seq, ticket }
            }
            Asked::Topic { ref cards, by, ticket } => {
                let (card, anew) = **cards;
                Request::Topic { about: texts.description(card), anew: texts.anew(anew), by: texts.get(by), ticket }
            }
            Asked::Readings { user, rooms, now, ticket } => {
                Request::Readings { user: texts.get(user), rooms: Names::from_text(texts.get(rooms)), now, ticket }
            }
            Asked::Conversations { user, cursor, limit, now, ticket } => {
                Request::Conversations { user: texts.get(user), cursor: texts.maybe_text(cursor), limit, now, ticket }
            }
            Asked::Search(ref sought, ticket) => Request::Search { search: texts.search(sought), ticket },
            Asked::Ban(ban, ticket) => Request::Ban { ban: texts.ban(ban), ticket },
            Asked::Unban(user, ticket) => Request::Unban { user: texts.get(user), ticket },
            Asked::Set { room, words, ticket } => {
                Request::Set { room: texts.get(room), words: texts.maybe_text(words), ticket }
            }
            Asked::Note(ref step) => Request::Note { step: texts.step(step) },
            Asked::Trail { cursor, limit, ticket } => {
                Request::Trail { cursor: texts.maybe_text(cursor), limit, ticket }
            }
            Asked::Know(user, here) => Request::Know { user: texts.get(user), here },
            Asked::Release(room) => Request::Release { room: texts.get(room) },
            Asked::Erase(room) => Request::Erase { room: texts.get(room) },
            Asked::Unfollow(room) => Request::Unfollow { room: texts.get(room) },
            Asked::Seats(room) => Request::Seats { room: texts.get(room) },
            Asked::Tell(to, word) => Request::Tell { to: texts.audience(to), word: texts.get(word) },
            Asked::Post(stand, how) => Request::Post { presence: texts.presence(stand), how: texts.maybe_text(how) },
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
        let said = match news {
            News::Published { conversation, epoch, entry, ticket } => {
                let (place, line) = (self.texts.place(*conversation), self.line(entry));
                Said::Published { place, epoch: *epoch, line, ticket: *ticket }
            }
            News::Repeated { ticket, seq, ts } => Said::Repeated { ticket: *ticket, seq: *seq, ts: *ts },
            News::Page { ticket, head, entries, reading } => {
                let from = self.lines.len();
                for entry in entries {
                    let line = self.line(entry);
                    self.lines.push(line);
                }
                let lines = Range { from, to: self.lines.len() };
                Said::Page { ticket: *ticket, head: *head, lines, reading: *reading }
            }
            News::Marked { ticket, user, conversation, seq } => {
                let (user, place) = (self.texts.put(user), self.texts.place(*conversation));
                Said::Marked { ticket: *ticket, user, place, seq: *seq }
            }
            News::Topic { ticket, room, anew, by, changes } => Said::Topic {
                ticket: *ticket,
                room: self.texts.put(room),
                anew: self.texts.new_words(*anew),
                by: self.texts.put(by),
                changes: *changes,
            },
            News::Readings { ticket, readings } => {
                let from = self.readings.len();
                self.readings.extend(readings);
                Said::Readings { ticket: *ticket, readings: Range { from, to: self.readings.len() } }
            }
            News::Conversations { ticket, items, next } => {
                let from = self.talks.len();
                let texts = &mut self.texts;
                self.talks.extend(items.iter().map(|talk| (texts.put(talk.with), Talk { with: "", ..*talk })));
                let talks = Range { from, to: self.talks.len() };
                Said::Conversations { ticket: *ticket, talks, next: self.texts.put_maybe(next.as_deref()) }
            }
            News::Found { ticket, items, next } => {
                let from = self.hits.len();
                let texts = &mut self.texts;
                self.hits.extend(items.iter().map(|hit| texts.shot(hit)));
                let hits = Range { from, to: self.hits.len() };
                Said::Found { ticket: *ticket, hits, next: self.texts.put_maybe(next.as_deref()) }
            }
            News::Trail { ticket, steps, next } => {
                let from = self.steps.len();
                let texts = &mut self.texts;
                self.steps.extend(steps.iter().map(|step| texts.put_step(step)));
                let steps = Range { from, to: self.steps.len() };
                Said::Trail { ticket: *ticket, steps, next: self.texts.put_maybe(next.as_deref()) }
            }
            News::Noted { ticket } => Said::Noted(*ticket),
            News::Refused { ticket, why } => Said::Refused(*ticket, *why),
            News::Failed { ticket } => Said::Failed(*ticket),
            News::Renewed => Said::Renewed,
            News::Missed { room, epoch, from, to } => {
                Said::Missed { room: self.texts.put(room), epoch: *epoch, from: *from, to: *to }
            }
            News::Emptied { room } => Said::Emptied(self.texts.put(room)),
            News::Ended { room } => Said::Ended(self.texts.put(room)),
            News::Room { description, keeps, changes } => {
                Said::Room { card: self.texts.card(*description), keeps: *keeps, changes: *changes }
            }
            News::User { name } => Said::User(self.texts.put(name)),
            News::Banned(ban) => Said::Banned(self.texts.put_ban(*ban)),
            News::Unbanned { user } => Said::Unbanned(self.texts.put(user)),
            News::Set { room, words } => Said::Set { room: self.texts.put(room), words: self.texts.put(words) },
            News::Told { to, word } => Said::Told(self.texts.hearers(*to), self.texts.put(word)),
            News::Posted { node, presence, how } => {
                let (stand, how) = (self.texts.stand(*presence), self.texts.put_maybe(*how));
                Said::Posted { node: *node, stand, how }
            }
        };
        self.items.push(said);
    }

    pub fn get(&self, at: usize) -> Option<News<'_>> {
        let texts = &self.texts;
        Some(match *self.items.get(at)? {
            Said::Published { place, epoch, ref line, ticket } => {
                News::Published { conversation: texts.conversation(place), epoch, entry: self.entry(line), ticket }
            }
            Said::Repeated { ticket, seq, ts } => News::Repeated { ticket, seq, ts },
            Said::Page { ticket, head, lines, reading } => {
                let entries = lines.of(&self.lines).iter().map(|line| self.entry(line)).collect();
                News::Page { ticket, head, entries, reading }
            }
            Said::Marked { ticket, user, place, seq } => {
                News::Marked { ticket, user: texts.get(user), conversation: texts.conversation(place), seq }
            }
            Said::Topic { ticket, room, anew, by, changes } => {
                News::Topic { ticket, room: texts.get(room), anew: texts.anew(anew), by: texts.get(by), changes }
            }
            Said::Readings { ticket, readings } => {
                News::Readings { ticket, readings: readings.of(&self.readings).to_vec() }
            }
            Said::Conversations { ticket, talks, next } => {
                let items = talks.of(&self.talks).iter().map(|(with, talk)| Talk { with: texts.get(*with), ..*talk });
                News::Conversations { ticket, items: items.collect(), next: texts.maybe_text(next).map(Into::into) }
            }
            Said::Found { ticket, hits, next } => {
                let items = hits.of(&self.hits).iter().map(|shot| texts.hit(shot)).collect();
                News::Found { ticket, items, next: texts.maybe_text(next).map(Into::into) }
            }
            Said::Trail { ticket, steps, next } => {
                let steps = steps.of(&self.steps).iter().map(|step| texts.step(step)).collect();
                News::Trail { ticket, steps, next: texts.maybe_text(next).map(Into::into) }
            }
            Said::Noted(ticket) => News::Noted { ticket },
            Said::Refused(ticket, why) => News::Refused { ticket, why },
            Said::Failed(ticket) => News::Failed { ticket },
            Said::Renewed => News::Renewed,
            Said::Missed { room, epoch, from, to } => News::Missed { room: texts.get(room), epoch, from, to },
            Said::Emptied(room) => News::Emptied { room: texts.get(room) },
            Said::Ended(room) => News::Ended { room: texts.get(room) },
            Said::Room { card, keeps, changes } => News::Room { description: texts.description(card), keeps, changes },
            Said::User(name) => News::User { name: texts.get(name) },
            Said::Banned(ban) => News::Banned(texts.ban(ban)),
            Said::Unbanned(user) => News::Unbanned { user: texts.get(user) },
            Said::Set { room, words } => News::Set { room: texts.get(room), words: texts.get(words) },
            Said::Told(to, word) => News::Told { to: texts.audience(to), word: texts.get(word) },
            Said::Posted { node, stand, how } => {
                News::Posted { node, presence: texts.presence(stand), how: texts.maybe_text(how) }
            }
        })
    }

    fn line(&mut self, entry: &Entry<'_>) -> Line {
        let Entry { seq, ts, sender, body } = entry;
        let sender = self.texts.put(sender);
        let body = match body {
            Body::Message(Message { content, reply_to, calls_room, edited, reactions }) => {
                let from = self.marks.len();
                for Reaction { emoji, count, users, me } in reactions {
                    let names = Range { from: self.names.len(), to: self.names.len() + users.len() };
                    let texts = &mut self.texts;
                    self.names.extend(users.iter().map(|user| texts.put(user)));
                    self.marks.push(Mark { emoji: texts.put(emoji), count: *count, names, me: *me });
                }
                let marks = Range { from, to: self.marks.len() };
                Written::Message {
                    content: self.texts.put_maybe(*content),
                    reply_to: *reply_to,
                    calls_room: *calls_room,
                    edited: *edited,
                    marks,
                }
            }
            Body::Edited { of, content, calls_room } => {
                Written::Edited { of: *of, content: self.texts.put_maybe(*content), calls_room: *calls_room }
            }
            Body::Deleted { of } => Written::Deleted { of: *of },
            Body::Reaction { of, emoji, on } => Written::Reaction { of: *of, emoji: self.texts.put(emoji), on: *on },
        };
        Line { seq: *seq, ts: *ts, sender, body }
    }

    fn entry(&self, line: &Line) -> Entry<'_> {
        let texts = &self.texts;
        let reaction = |mark: &Mark| Reaction {
            emoji: texts.get(mark.emoji),
            count: mark.count,
            users: mark.names.of(&self.names).iter().map(|name| texts.get(*name)).collect(),
            me: mark.me,
        };
        let body = match line.body {
            Written::Message { content, reply_to, calls_room, edited, marks } => Body::Message(Message {
                content: texts.maybe_text(content),
                reply_to,
                calls_room,
                edited,
                reactions: marks.of(&self.marks).iter().map(reaction).collect(),
            }),
            Written::Edited { of, content, calls_room } => {
                Body::Edited { of, content: texts.maybe_text(content), calls_room }
            }
            Written::Deleted { of } => Body::Deleted { of },
            Written::Reaction { of, emoji, on } => Body::Reaction { of, emoji: texts.get(emoji), on },
        };
        Entry { seq: line.seq, ts: line.ts, sender: texts.get(line.sender), body }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.texts.0.len()
    }

    pub fn held_bytes(&self) -> usize {
        fn of<T>(list: &Vec<T>) -> usize {
            list.capacity() * size_of::<T>()
        }
        self.texts.0.capacity()
            + of(&self.items)
            + of(&self.lines)
            + of(&self.marks)
            + of(&self.names)
            + of(&self.readings)
            + of(&self.talks)
            + of(&self.hits)
    }

    /// Empties the list. Much more room than it has needed is given back.
    pub fn clear(&mut self) {
        fn empty<T>(list: &mut Vec<T>) {
            slack::shrink(list);
            list.clear();
        }
        self.texts.clear();
        empty(&mut self.items);
        empty(&mut self.lines);
        empty(&mut self.marks);
        empty(&mut self.names);
        empty(&mut self.readings);
        empty(&mut self.talks);
        empty(&mut self.hits);
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

    fn put_maybe(&mut self, text: Option<&str>) -> Option<Span> {
        text.map(|text| self.put(text))
    }

    fn maybe_text(&self, span: Option<Span>) -> Option<&str> {
        span.map(|span| self.get(span))
    }

    fn put_body(&mut self, body: NewBody<'_>) -> New {
        match body {
            NewBody::Message { content, reply_to, calls_room } => {
                New::Message { content: self.put(content), reply_to, calls_room }
            }
            NewBody::Edit { of, content, within, calls_room } => {
                New::Edit { of, content: self.put(content), within, calls_room }
            }
            NewBody::Delete { of, right } => New::Delete { of, right },
            NewBody::Reaction { of, emoji, on } => New::Reaction { of, emoji: self.put(emoji), on },
        }
    }

    fn body(&self, body: New) -> NewBody<'_> {
        match body {
            New::Message { content, reply_to, calls_room } => {
                NewBody::Message { content: self.get(content), reply_to, calls_room }
            }
            New::Edit { of, content, within, calls_room } => {
                NewBody::Edit { of, content: self.get(content), within, calls_room }
            }
            New::Delete { of, right } => NewBody::Delete { of, right },
            New::Reaction { of, emoji, on } => NewBody::Reaction { of, emoji: self.get(emoji), on },
        }
    }

    fn sought(&mut self, search: Search<'_>) -> Sought {
        let Search { scope, text, sender, before, cursor, limit } = search;
        let place = match scope {
            Scope::One(conversation) => Where::One(self.place(conversation)),
            Scope::All { rooms, user } => Where::All { rooms: self.put(rooms.as_str()), user: self.put(user) },
        };
        let (text, sender, cursor) = (self.put(text), self.put_maybe(sender), self.put_maybe(cursor));
        Sought { place, text, sender, before, cursor, limit }
    }

    fn search(&self, sought: &Sought) -> Search<'_> {
        let Sought { place, text, sender, before, cursor, limit } = *sought;
        let scope = match place {
            Where::One(place) => Scope::One(self.conversation(place)),
            Where::All { rooms, user } => Scope::All { rooms: Names::from_text(self.get(rooms)), user: self.get(user) },
        };
        let (text, sender, cursor) = (self.get(text), self.maybe_text(sender), self.maybe_text(cursor));
        Search { scope, text, sender, before, cursor, limit }
    }

    fn shot(&mut self, hit: &Hit<'_>) -> Shot {
        let Hit { conversation, seq, ts, sender, content } = *hit;
        Shot { place: self.place(conversation), seq, ts, sender: self.put(sender), content: self.put(content) }
    }

    fn hit(&self, shot: &Shot) -> Hit<'_> {
        let Shot { place, seq, ts, sender, content } = *shot;
        Hit { conversation: self.conversation(place), seq, ts, sender: self.get(sender), content: self.get(content) }
    }

    fn hearers(&mut self, to: Audience<'_>) -> Hearers {
        match to {
            Audience::Everybody => Hearers::Everybody,
            Audience::Room(room) => Hearers::Room(self.put(room)),
            Audience::User(user) => Hearers::User(self.put(user)),
        }
    }

    fn audience(&self, to: Hearers) -> Audience<'_> {
        match to {
            Hearers::Everybody => Audience::Everybody,
            Hearers::Room(room) => Audience::Room(self.get(room)),
            Hearers::User(user) => Audience::User(self.get(user)),
        }
    }

    fn stand(&mut self, Presence { room, user }: Presence<'_>) -> Stand {
        Stand { room: self.put_maybe(room), user: self.put(user) }
    }

    fn presence(&self, Stand { room, user }: Stand) -> Presence<'_> {
        Presence { room: self.maybe_text(room), user: self.get(user) }
    }

    fn put_step(&mut self, step: &Step<'_>) -> StepCard {
        let Step { ts, operator, call, room, user, status } = *step;
        let (operator, call) = (self.put(operator), self.put(call));
        StepCard { ts, operator, call, room: self.put_maybe(room), user: self.put_maybe(user), status }
    }

    fn step(&self, step: &StepCard) -> Step<'_> {
        let StepCard { ts, operator, call, room, user, status } = *step;
        let (operator, call) = (self.get(operator), self.get(call));
        Step { ts, operator, call, room: self.maybe_text(room), user: self.maybe_text(user), status }
    }

    fn put_ban(&mut self, ban: Ban<'_>) -> BanCard {
        let Ban { user, until, note } = ban;
        BanCard { user: self.put(user), until, note: self.put_maybe(note) }
    }

    fn ban(&self, ban: BanCard) -> Ban<'_> {
        let BanCard { user, until, note } = ban;
        Ban { user: self.get(user), until, note: self.maybe_text(note) }
    }

    fn card(&mut self, description: Description<'_>) -> Card {
        let Description { room, title, topic, created_at, created } = description;
        let mut put = |text: Option<&str>| text.map(|text| self.put(text));
        let (title, topic) = (put(title), put(topic));
        Card { room: self.put(room), title, topic, created_at, created }
    }

    fn new_words(&mut self, Anew { title, topic }: Anew<'_>) -> NewWords {
        NewWords { title: self.put_maybe(title), topic: self.put_maybe(topic) }
    }

    fn anew(&self, NewWords { title, topic }: NewWords) -> Anew<'_> {
        Anew { title: self.maybe_text(title), topic: self.maybe_text(topic) }
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
    use crate::backend::Bounds;
    use crate::time::Tick;

    const STEPS: [Step<'_>; 2] = [
        Step { ts: 1, operator: "mod", call: "kick", room: Some("den"), user: Some("ann"), status: 200 },
        Step { ts: 2, operator: "-", call: "reload", room: None, user: None, status: 409 },
    ];
    const CARDS: [Description<'_>; 2] = [
        Description { room: "den", title: None, topic: Some(""), created_at: 7, created: true },
        Description { room: "bär", title: Some("Bär"), topic: None, created_at: 0, created: false },
    ];

    const ANEW: [Anew<'_>; 2] = [Anew { title: Some("T"), topic: None }, Anew { title: None, topic: Some("") }];

    #[test]
    fn requests_come_out_as_they_went_in() {
        let (room, pair) = (Conversation::Room("den"), Conversation::Direct("ann", "bob"));
        let at = Moment { tick: Tick(1), unix_ms: 2 };
        let query = Query::Newest(Bounds { entries: 1, bytes: 2 });
        let bodies = [
            NewBody::Message { content: "é", reply_to: None, calls_room: false },
            NewBody::Message { content: "", reply_to: Some(3), calls_room: true },
            NewBody::Edit { of: 4, content: "new", within: Some(Duration::from_secs(1)), calls_room: false },
            NewBody::Edit { of: 4, content: "new", within: None, calls_room: true },
            NewBody::Delete { of: 5, right: Right::Moderator },
            NewBody::Reaction { of: 6, emoji: "+", on: false },
        ];
        let append = |body| Request::Append {
            conversation: pair,
            entry: NewEntry { sender: "ann", body, at },
            retry: Some(RetryKey([7; 16])),
            about: None,
            ticket: Ticket(1),
        };
        let mut text = String::new();
        let rooms = Names::join(["den", "bar"], &mut text);
        let search = |scope, sender, cursor| {
            let search = Search { scope, text: "two words", sender, before: Some(8), cursor, limit: 9 };
            Request::Search { search, ticket: Ticket(5) }
        };
        let entry = NewEntry { sender: "ann", body: bodies[0], at };
        let (reader, user) = (Some(Reader { user: "bob", reading: true }), "bob");
        let mut asked = vec![
            Request::Append { conversation: room, entry, retry: None, about: Some(CARDS[0]), ticket: Ticket(1) },
            Request::Read { conversation: pair, query, reader: None, now: at, about: None, ticket: Ticket(4) },
            Request::Read { conversation: room, query, reader, now: at, about: Some(CARDS[1]), ticket: Ticket(4) },
            Request::Recall { conversation: pair, retry: RetryKey([8; 16]), ticket: Ticket(6) },
            Request::Mark { user, conversation: room, seq: 5, ticket: Ticket(6) },
            Request::Topic { about: CARDS[0], anew: ANEW[0], by: user, ticket: Ticket(6) },
            Request::Topic { about: CARDS[1], anew: ANEW[1], by: user, ticket: Ticket(6) },
            Request::Readings { user, rooms, now: at, ticket: Ticket(6) },
            Request::Conversations { user, cursor: Some("7"), limit: 8, now: at, ticket: Ticket(6) },
            Request::Conversations { user, cursor: None, limit: 8, now: at, ticket: Ticket(6) },
            search(Scope::One(pair), Some("ann"), None),
            search(Scope::All { rooms, user }, None, Some("c")),
            Request::Ban { ban: Ban { user, until: Some(1), note: None }, ticket: Ticket(7) },
            Request::Ban { ban: Ban { user, until: None, note: Some("why") }, ticket: Ticket(7) },
            Request::Unban { user, ticket: Ticket(8) },
            Request::Set { room: "den", words: Some("w"), ticket: Ticket(8) },
            Request::Set { room: "den", words: None, ticket: Ticket(8) },
            Request::Note { step: STEPS[0] },
            Request::Note { step: STEPS[1] },
            Request::Trail { cursor: None, limit: 7, ticket: Ticket(8) },
            Request::Trail { cursor: Some("9"), limit: 7, ticket: Ticket(8) },
            Request::Know { user: "bob", here: false },
            Request::Know { user: "bob", here: true },
            Request::Release { room: "den" },
            Request::Erase { room: "" },
            Request::Unfollow { room: "den" },
            Request::Seats { room: "den" },
            Request::Tell { to: Audience::Everybody, word: "a" },
            Request::Tell { to: Audience::Room("den"), word: "" },
            Request::Tell { to: Audience::User(user), word: "c" },
            Request::Post { presence: Presence { room: None, user }, how: Some("here") },
            Request::Post { presence: Presence { room: Some("den"), user }, how: None },
        ];
        asked.extend(bodies.map(append));
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
        let entry = |seq, body| Entry { seq, ts: 9, sender: "ann", body };
        let message = |seq| entry(seq, Body::Message(Message::new("é")));
        let loved = |count, users| Reaction { emoji: "♥", count, users, me: count > 1 };
        let reactions = vec![loved(1, vec![]), loved(2, vec!["ann", "bob"])];
        let folded = Message { content: Some(""), reply_to: Some(1), calls_room: true, edited: Some(2), reactions };
        let head = Head { epoch: Epoch(5), seq: 2, kept: 1 };
        let entries = vec![
            entry(1, Body::Message(Message::default())),
            entry(2, Body::Message(folded)),
            entry(3, Body::Edited { of: 1, content: Some("new"), calls_room: true }),
            entry(4, Body::Edited { of: 1, content: None, calls_room: false }),
            entry(5, Body::Deleted { of: 1 }),
            entry(6, Body::Reaction { of: 2, emoji: "+", on: true }),
        ];
        let reading = Reading { read: 1, unread: 2 };
        let talk = |with| Talk { with, seq: 3, ts: 4, reading };
        let hit = |conversation| Hit { conversation, seq: 3, ts: 4, sender: "bob", content: "here" };
        let page = |entries, reading| News::Page { ticket: Ticket(1), head, entries, reading };
        let said = [
            News::Published { conversation: room, epoch: Epoch(3), entry: message(1), ticket: None },
            page(entries, Some(reading)),
            News::Published { conversation: pair, epoch: Epoch(4), entry: message(2), ticket: Some(Ticket(2)) },
            page(Vec::new(), None),
            page(vec![message(3)], None),
            News::Repeated { ticket: Ticket(4), seq: 5, ts: 6 },
            News::Marked { ticket: Some(Ticket(4)), user: "ann", conversation: pair, seq: 5 },
            News::Topic { ticket: Some(Ticket(4)), room: "den", anew: ANEW[0], by: "ann", changes: 0 },
            News::Topic { ticket: None, room: "den", anew: ANEW[1], by: "ann", changes: 2 },
            News::Readings { ticket: Ticket(4), readings: vec![reading, Reading::default()] },
            News::Conversations { ticket: Ticket(4), items: vec![talk("ann"), talk("bob")], next: Some("n".into()) },
            News::Conversations { ticket: Ticket(4), items: vec![], next: None },
            News::Found { ticket: Ticket(4), items: vec![hit(room), hit(pair)], next: None },
            News::Found { ticket: Ticket(4), items: vec![], next: Some("n".into()) },
            News::Trail { ticket: Ticket(4), steps: STEPS.to_vec(), next: None },
            News::Trail { ticket: Ticket(4), steps: vec![], next: Some("9".into()) },
            News::Noted { ticket: Ticket(4) },
            News::Refused { ticket: Ticket(4), why: Why::NotFound },
            News::Failed { ticket: Ticket(4) },
            News::Renewed,
            News::Missed { room: "den", epoch: Epoch(3), from: 4, to: 5 },
            News::Emptied { room: "den" },
            News::Ended { room: "bar" },
            News::Room { description: CARDS[0], keeps: true, changes: 0 },
            News::Room { description: CARDS[1], keeps: false, changes: 3 },
            News::User { name: "bob" },
            News::Banned(Ban { user: "eve", until: Some(1), note: Some("why") }),
            News::Unbanned { user: "eve" },
            News::Set { room: "den", words: "w" },
            News::Told { to: Audience::Everybody, word: "a" },
            News::Told { to: Audience::Room("den"), word: "b" },
            News::Told { to: Audience::User("bob"), word: "" },
            News::Posted { node: 1, presence: Presence { room: None, user: "bob" }, how: Some("") },
            News::Posted { node: 2, presence: Presence { room: Some("den"), user: "bob" }, how: None },
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
            list.push(Request::Know { user: "somebody", here: true });
        }
        list.clear();
        let full = list.held_bytes();
        list.push(Request::Know { user: "somebody", here: true });
        list.clear();
        assert!(list.held_bytes() < full / 100, "{} of {full}", list.held_bytes());
    }
}
