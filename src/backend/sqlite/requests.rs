//! What is done about a request, within the transaction of its batch.

use super::bans::Kept;
use super::folding::Line;
use super::tables::{Card, Place};
use super::trouble::Result;
use super::{
    Conversation, Description, Head, Known, MAX_DROPPED_AT_ONCE, News, Query, Reader, Reading, Request, Sqlite, Ticket,
    Why,
};
use crate::backend::{Anew, Ban};

impl Sqlite {
    /// What changes a message reads it first; so such a request, and any once something could not be read, is carried
    /// out whole or not at all, and if it cannot be read what it needs it fails alone.
    pub(super) fn carry_out(&mut self, request: Request<'_>) -> Result<()> {
        self.begin()?;
        let reads_first = matches!(request, Request::Append { entry, .. } if entry.body.needs().is_some());
        if !reads_first && !self.damaged {
            return self.do_as_asked(request);
        }
        let conversation = request.conversation();
        let before = conversation.and_then(|it| self.known(it)).map(|at| {
            let Known { place, untrimmed, .. } = &self.places[at];
            (at, place.clone(), *untrimmed)
        });
        let (entry, indexed) = (self.entry, self.indexed);
        if self.whole_or_not(|store| store.do_as_asked(request))?.is_some() {
            return Ok(());
        }
        // What was gathered may have been changed by it, and is gathered anew.
        (self.entry, self.indexed, self.gathered) = (entry, indexed, None);
        match (before, conversation) {
            (Some((at, place, untrimmed)), _) => {
                (self.places[at].place, self.places[at].untrimmed) = (place, untrimmed)
            }
            // It is read again.
            (None, Some(conversation)) => self.forget_place(conversation),
            (None, None) => {}
        }
        if let Some(ticket) = request.ticket() {
            self.batch.push(&News::Failed { ticket });
        }
        Ok(())
    }

    fn do_as_asked(&mut self, request: Request<'_>) -> Result<()> {
        match request {
            Request::Append { conversation, entry, retry, about, ticket } => {
                self.append(conversation, &entry, retry, about, ticket)?;
            }
            Request::Recall { conversation, retry, ticket } => {
                let found = self.repeated(conversation, retry);
                let told = found.map(|found| match found {
                    Some((seq, ts)) => self.batch.push(&News::Repeated { ticket, seq, ts }),
                    None => self.batch.push(&News::Refused { ticket, why: Why::NotFound }),
                });
                self.spare(told, ticket)?;
            }
            Request::Read { conversation, query, reader, now, about, ticket } => {
                let direct = matches!(conversation, Conversation::Direct(..));
                // Asking what two people said does not begin a conversation.
                let at = match self.find(conversation)? {
                    None if direct => {
                        let head = Head { epoch: self.nothing, seq: 0, kept: 0 };
                        let reading = reader.filter(|reader| reader.reading).map(|_| Reading::default());
                        self.batch.push(&News::Page { ticket, head, entries: Vec::new(), reading });
                        return Ok(());
                    }
                    None => self.find_or_begin(conversation)?,
                    Some(at) => at,
                };
                self.describe(at, about)?;
                let read = self
                    .expire_one(at, conversation, now, MAX_DROPPED_AT_ONCE)
                    .and_then(|_| self.read(at, query, reader, ticket));
                self.spare(read, ticket)?;
            }
            Request::Mark { user, conversation, seq, ticket } => self.mark(user, conversation, seq, ticket)?,
            Request::Topic { about, anew, by, ticket } => {
                let changed = self.describe_anew(about, anew, by, ticket);
                self.spare(changed, ticket)?;
            }
            Request::Readings { user, rooms, now, ticket } => {
                let read = self.readings(user, rooms, now, ticket);
                self.spare(read, ticket)?;
            }
            Request::Conversations { user, cursor, limit, now, ticket } => {
                // Those of this batch too.
                self.write_heads(false)?;
                let read = self.conversations(user, cursor, limit, now, ticket);
                self.spare(read, ticket)?;
            }
            Request::Search { search, ticket } => {
                // Heads of this batch too.
                self.write_heads(false)?;
                let read = self.search(search, ticket);
                self.spare(read, ticket)?;
            }
            Request::Ban { ban, ticket } => {
                self.tables()?.ban(ban)?;
                self.note_ban(ban.user, Some(ban));
                self.wrote = true;
                self.batch.push(&News::Noted { ticket });
            }
            Request::Unban { user, ticket } => {
                self.wrote |= self.tables()?.unban(user)?;
                self.note_ban(user, None);
                self.batch.push(&News::Noted { ticket });
            }
            Request::Set { room, words, ticket } => {
                match self.tables()?.set_room(room, words)? {
                    Some(changed) => self.wrote |= changed,
                    None => {
                        self.batch.push(&News::Refused { ticket, why: Why::TooManySet });
                        return Ok(());
                    }
                }
                // What was read at the start and is not told yet is told as it is now.
                if let Some(read) = &mut self.set {
                    read.retain(|(other, _)| other != room);
                    read.extend(words.map(|words| (room.into(), words.into())));
                }
                self.batch.push(&News::Noted { ticket });
            }
            Request::Note { step } => {
                self.tables()?.note_step(step)?;
                self.wrote = true;
            }
            Request::Trail { cursor, limit, ticket } => {
                let read = self.trail(cursor, limit, ticket);
                self.spare(read, ticket)?;
            }
            Request::Know { user, here } => {
                self.wrote |= self.tables()?.know(user, here, self.options.people)?;
                // What is later holds, also beside what could not be noted before.
                self.unnoted.remove(user);
                self.work += 1;
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
            // It is alone.
            Request::Unfollow { .. } | Request::Seats { .. } | Request::Tell { .. } | Request::Post { .. } => {}
        }
        Ok(())
    }

    /// What was read at the start and is not told yet is told as it is now.
    fn note_ban(&mut self, user: &str, ban: Option<Ban<'_>>) {
        if let Some(read) = &mut self.bans {
            read.retain(|kept| kept.user != user);
            read.extend(ban.map(Kept::from));
        }
    }

    /// What cannot be read fails alone: nothing was written, and the others of the batch can do without it.
    fn spare(&mut self, read: Result<()>, ticket: Ticket) -> Result<()> {
        match read {
            Err(trouble) if trouble.is_of_what_is_read() => {
                self.note_damage(&trouble);
                self.batch.push(&News::Failed { ticket });
                Ok(())
            }
            read => read,
        }
    }

    fn read(&mut self, at: usize, query: Query, reader: Option<Reader<'_>>, ticket: Ticket) -> Result<()> {
        let reading = match reader.filter(|reader| reader.reading) {
            Some(reader) => Some(self.reading(at, reader.user)?),
            None => None,
        };
        let place = &self.places[at].place;
        let lines = self.tables()?.read(place, query, reader.map(|reader| reader.user))?;
        let entries = lines.iter().map(Line::entry).collect();
        let head = Head { epoch: place.epoch, seq: place.seq, kept: place.kept() };
        self.batch.push(&News::Page { ticket, head, entries, reading });
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
            self.batch.push(&News::Room { description: card.description(), keeps, changes: 0 });
        }
        Ok(())
    }

    /// The room is called otherwise, or about something else. What stands is read before anything is written.
    fn describe_anew(&mut self, about: Description<'_>, anew: Anew<'_>, by: &str, ticket: Ticket) -> Result<()> {
        let at = self.find_or_begin(Conversation::Room(about.room))?;
        let Place { id, described, .. } = self.places[at].place;
        let card = if described { Some(self.tables()?.card(id)?) } else { None };
        let before = card.as_ref().map_or(about, Card::description);
        let now = before.with(anew);
        if now == before {
            self.describe(at, Some(about.with(anew)))?;
            self.batch.push(&News::Noted { ticket });
            return Ok(());
        }
        self.tables()?.describe(id, &now)?;
        self.places[at].place.described = true;
        self.wrote = true;
        self.batch.push(&News::Topic { ticket: Some(ticket), room: about.room, anew: now.anew(), by, changes: 0 });
        Ok(())
    }

    /// Ends the life of the conversation that was just looked for.
    pub(super) fn end(&mut self, at: usize) -> Result<()> {
        let id = self.places[at].place.id;
        self.tables()?.end(id)?;
        self.forget_key();
        self.wrote = true;
        Ok(())
    }
}
