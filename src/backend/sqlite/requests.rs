//! What is done about a request, within the transaction of its batch.

use super::tables::Place;
use super::trouble::Result;
use super::{
    Body, Conversation, Description, Entry, Head, Message, NewBody, News, Query, Request, Sqlite, Ticket, Why, in_order,
};

impl Sqlite {
    pub(super) fn carry_out(&mut self, request: Request<'_>) -> Result<()> {
        self.begin()?;
        match request {
            Request::Append { conversation, entry, about, ticket, .. } => {
                let NewBody::Message { content, reply_to: None } = entry.body else {
                    self.batch.push(&News::Refused { ticket, why: Why::Unsupported });
                    return Ok(());
                };
                let at = self.find_or_begin(conversation)?;
                self.describe(at, about)?;
                let keeps = self.options.messages > 0;
                let most = u64::try_from(self.options.messages).unwrap_or(u64::MAX);
                let known = &mut self.places[at];
                let place = &mut known.place;
                place.seq += 1;
                // One more than comes, so that a limit that was lowered is reached, piece by piece.
                let over = place.kept().saturating_sub(most).min(2);
                place.first += over;
                known.untrimmed += over;
                let (id, seq) = (place.id, place.seq);
                if keeps {
                    self.tables()?.append(id, seq, &entry, content)?;
                }
                self.spoil(at);
                let (ts, sender) = (entry.at.unix_ms, entry.sender);
                let entry = Entry { seq, ts, sender, body: Body::Message(Message::new(content)) };
                let conversation = in_order(conversation);
                self.batch.push(&News::Published { conversation, entry, ticket: Some(ticket) });
            }
            Request::Read { conversation, query, now, about, ticket, .. } => {
                let direct = matches!(conversation, Conversation::Direct(..));
                // Asking what two people said does not begin a conversation.
                let at = match self.find(conversation)? {
                    None if direct => {
                        let head = Head { epoch: self.nothing, seq: 0, kept: 0 };
                        self.batch.push(&News::Page { ticket, head, entries: Vec::new(), reading: None });
                        return Ok(());
                    }
                    None => self.find_or_begin(conversation)?,
                    Some(at) => at,
                };
                self.describe(at, about)?;
                self.expire_one(at, conversation, now)?;
                self.read(at, query, ticket)?;
            }
            Request::Mark { ticket, .. }
            | Request::Readings { ticket, .. }
            | Request::Conversations { ticket, .. }
            | Request::Search { ticket, .. }
            | Request::Ban { ticket, .. }
            | Request::Unban { ticket, .. } => self.batch.push(&News::Refused { ticket, why: Why::Unsupported }),
            Request::Know { user } => {
                self.wrote |= self.tables()?.know(user, self.options.people)?;
            }
            Request::Release { room } => {
                if let Some(at) = self.find(Conversation::Room(room))?
                    && self.places[at].place.kept() == 0
                {
                    self.end(at)?;
                }
            }
            Request::Erase { room } => {
                if let Some(at) = self.find(Conversation::Room(room))? {
                    self.end(at)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, at: usize, query: Query, ticket: Ticket) -> Result<()> {
        let place = &self.places[at].place;
        let lines = self.tables()?.read(place, query)?;
        let entries = lines.iter().map(|line| Entry {
            seq: line.seq,
            ts: line.ts,
            sender: &line.sender,
            body: Body::Message(Message::new(&line.content)),
        });
        let head = Head { epoch: place.epoch, seq: place.seq, kept: place.kept() };
        self.batch.push(&News::Page { ticket, head, entries: entries.collect(), reading: None });
        Ok(())
    }

    /// Notes what a room is; the first time it is told, that stands.
    pub(super) fn describe(&mut self, at: usize, about: Option<Description<'_>>) -> Result<()> {
        let Some(about) = about else { return Ok(()) };
        let Place { id, described, .. } = self.places[at].place;
        if !described {
            self.tables()?.describe(id, &about)?;
            self.places[at].place.described = true;
            self.wrote = true;
            return Ok(());
        }
        let card = self.tables()?.card(id)?;
        if card.description() != about {
            let keeps = self.places[at].place.kept() > 0;
            self.batch.push(&News::Room { description: card.description(), keeps });
        }
        Ok(())
    }

    /// Ends the life of the conversation that was just looked for.
    pub(super) fn end(&mut self, at: usize) -> Result<()> {
        let id = self.places[at].place.id;
        self.tables()?.end(id)?;
        self.index.remove(self.key.as_str());
        self.places[at].dirty = false;
        self.dirty.retain(|&other| other != at);
        self.wrote = true;
        Ok(())
    }
}
