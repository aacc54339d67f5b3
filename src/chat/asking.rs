//! Questions to the backend: each waits for its answer, and is undone if the backend does not take it.
//!
//! The answers come to `answers`.

use super::hall::{Hall, PAIR_BYTES};
use super::owing::most_of;
use super::rate_limit::Price;
use super::turn::Ctx;
use super::waiting::{Described, Info, Waiting, What};
use super::wire::Refusal;
use crate::backend::{
    Conversation, Description, NewBody, NewEntry, Overloaded, Query, Reader, Request, RetryKey, Ticket,
};

/// What somebody says or does, and where.
#[derive(Clone, Copy)]
pub(super) struct New<'a> {
    pub conversation: Conversation<'a>,
    pub sender: &'a str,
    pub body: NewBody<'a>,
    pub retry: Option<RetryKey>,
}

impl Hall {
    /// Asks the backend for a page, and undoes the preparations if it does not take the question.
    pub(super) fn read(
        &mut self,
        waiting: Waiting,
        conversation: Conversation<'_>,
        query: Query,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let room = waiting.room;
        let conn = waiting.asker.conn;
        let is_joined = match waiting.what {
            What::Enter { .. } => true,
            What::Slice { after } => self.roster.room(after.room).life != Some(after.life),
            _ => false,
        };
        let reading = is_joined && self.marking_user(conn).is_some();
        let reader = match query {
            Query::Head if !reading => None,
            _ => self.user_of(conn).map(|user| self.roster.user(user).name.clone()),
        };
        let made = match (&waiting.what, room) {
            (What::RoomInfo(Info::Made(made)), Some(room)) => Some((room, made.clone())),
            _ => None,
        };
        let asked = self.wait(waiting).and_then(|ticket| {
            let (now, about) = (ctx.now, made.as_ref().map(|(room, made)| self.description(*room, made)));
            let reader = reader.as_ref().map(|user| Reader { user: user.as_str(), reading });
            let request = Request::Read { conversation, query, reader, now, about, ticket };
            let (bytes, asked) = (most_of(&request), ctx.store.ask(request));
            self.took(ticket, bytes, asked)
        });
        if asked.is_err() && room.is_some() {
            self.release_ended(ctx);
        }
        asked
    }

    /// The description of a room that somebody makes.
    fn description<'a>(&'a self, room: u32, made: &'a Described) -> Description<'a> {
        let (title, topic) = (made.title.as_deref(), made.topic.as_deref());
        Description { title, topic, created: true, ..self.roster.description_of(room) }
    }

    /// Hands the backend what somebody says or does.
    pub(super) fn append(&mut self, waiting: Waiting, new: New<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let New { conversation, sender, body, retry } = new;
        if let Conversation::Direct(one, other) = conversation
            && self.allowance.is_limited()
            && !ctx.store.knows(conversation)
        {
            self.allowance.take(PAIR_BYTES + 2 * (one.len() + other.len()))?;
        }
        let untold = waiting.room.filter(|&room| self.keeps && !self.roster.room(room).described);
        let ticket = self.wait(waiting)?;
        let entry = NewEntry { sender, body, at: ctx.now };
        let about = untold.map(|room| self.roster.description_of(room));
        let request = Request::Append { conversation, entry, retry, about, ticket };
        let (bytes, asked) = (most_of(&request), ctx.store.ask(request));
        self.took(ticket, bytes, asked)
    }

    /// Asks the backend for something else.
    pub(super) fn ask_store<'r>(
        &mut self,
        waiting: Waiting,
        make: impl FnOnce(Ticket) -> Request<'r>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let (conn, paid) = (waiting.asker.conn, waiting.what.paid());
        let asked = self.wait(waiting).and_then(|ticket| {
            let request = make(ticket);
            let (bytes, asked) = (most_of(&request), ctx.store.ask(request));
            self.took(ticket, bytes, asked)
        });
        if asked.is_err() {
            self.give_back(conn, paid, Price::frames(1));
        }
        asked
    }

    /// Takes down a request; the ticket is for the backend.
    pub(super) fn wait(&mut self, waiting: Waiting) -> Result<Ticket, Refusal> {
        self.may_wait()?;
        if let Some(room) = waiting.room {
            self.roster.hold(room);
        }
        Ok(self.waiting.insert(waiting))
    }

    /// The backend has taken the request of a ticket, whose answer may have so many bytes, or has not.
    fn took(&mut self, ticket: Ticket, bytes: u32, asked: Result<(), Overloaded>) -> Result<(), Refusal> {
        if let Err(overloaded) = asked {
            self.answered(ticket);
            return Err(overloaded.into());
        }
        if let Some(conn) = self.waiting.note_owed(ticket, bytes)
            && self.roster.note_owed(conn, bytes)
        {
            self.owing.push(conn);
        }
        Ok(())
    }

    /// The request of a ticket, which is answered with this.
    pub(super) fn answered(&mut self, ticket: Ticket) -> Option<Waiting> {
        let (waiting, bytes) = self.waiting.take(ticket)?;
        if let Some(room) = waiting.room {
            self.roster.release(room);
        }
        if bytes > 0 && self.roster.note_paid(waiting.asker.conn, bytes) {
            self.owing.push(waiting.asker.conn);
        }
        Some(waiting)
    }

    /// Whether one request more can wait.
    pub(super) fn may_wait(&self) -> Result<(), Refusal> {
        match self.waiting.len() + self.lists.len() < MAX_WAITING {
            true => Ok(()),
            false => Err(crate::backend::Overloaded.into()),
        }
    }
}

/// Requests of all sessions that wait for the backend.
pub(super) const MAX_WAITING: usize = u16::MAX as usize;
