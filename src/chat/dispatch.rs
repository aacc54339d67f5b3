//! Input, handed to the file of its subject: texts and pings of sessions, news of the backend, timers.
//!
//! Each `match` here lists all cases. It decides nothing.

use std::time::Duration;

use super::ask::Ask;
use super::checks::read_safely;
use super::hall::Hall;
use super::rate_limit::SWEEP_EVERY;
use super::roster::session::{Dialect, NOBODY};
use super::timers::Timer;
use super::topics::Changed;
use super::turn::{Ctx, Turn};
use super::waiting::{Found, Waiting, What};
use super::wire::Refusal;
use super::wire::answer;
use super::wire::answer::Ack;
use super::wire::request;
use super::wire::request::Request;
use crate::backend::{Anew, NewBody, News};
use crate::id::ConnId;
use crate::time::Tick;

impl Hall {
    pub(super) fn text(&mut self, conn: ConnId, text: &str, ctx: &mut Ctx<'_>) {
        let Some(session) = self.roster.note_text(conn, ctx.now) else { return };
        if session.user == NOBODY {
            return self.unproven_text(conn, text, ctx);
        }
        match session.dialect {
            Dialect::Json => {
                if !self.pay(conn, ctx, || read_safely(|| request::parse_id_within(text)).flatten()) {
                    return;
                }
                let Some((id, request)) = self.read_request(conn, text, ctx) else { return };
                let done = request.and_then(|request| self.request(Ask::new(conn, id.as_ref()), request, ctx));
                if let Err(refusal) = done {
                    self.refuse(Ask::new(conn, id.as_ref()), &refusal, ctx);
                }
            }
            Dialect::Plain => {
                let Some(seat) = session.seats.first().copied() else { return };
                if !self.pay(conn, ctx, || None) {
                    return;
                }
                let said = NewBody::Message { content: text, reply_to: None, calls_room: false };
                if let Err(refusal) = self.say_in(Ask::unnamed(conn), seat.room, said, ctx) {
                    self.refuse(Ask::unnamed(conn), &refusal, ctx);
                }
            }
        }
    }

    pub(super) fn ping(&mut self, conn: ConnId, turn: &mut Turn<'_>) {
        let Some(session) = self.roster.open_session(conn) else { return };
        if session.user == NOBODY {
            self.roster.note_frame(conn);
            return self.bear_unproven(conn, turn);
        }
        self.pay(conn, turn, || None);
    }

    pub(super) fn request(&mut self, ask: Ask<'_>, request: Request<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        match request {
            Request::Join { wish, user } => self.join(ask, &wish, user.as_deref(), ctx),
            Request::JoinList { wishes, user } => self.join_list(ask, &wishes, user.as_deref(), ctx),
            Request::Leave { room } => self.leave(ask, &room, ctx),
            Request::Broadcast { room, words } => self.broadcast(ask, room.as_deref(), &words, ctx),
            Request::Direct { to, words } => self.say_to(ask, &to, (&words).into(), ctx),
            Request::Multicast { to, content } => self.multicast(ask, &to, &content, ctx),
            Request::Change { place, of, change } => self.change(ask, &place, of, &change, ctx),
            Request::Typing { place, typing } => {
                self.typing_request(ask.conn, place, typing, ctx)?;
                // The one request that is not answered unless it asks for it.
                if ask.id.is_some() {
                    ctx.out.answer(ask, &Ack::Done {});
                }
                Ok(())
            }
            Request::Status { status, note } => self.set_status(ask, &status, note.as_deref(), ctx),
            Request::PresenceOfRoom { room, subscribe } => self.presence_of_room(ask, &room, subscribe, ctx),
            Request::PresenceOfUsers { users, subscribe } => self.presence_of_users(ask, &users, subscribe, ctx),
            Request::CreateRoom { room, name, topic } => {
                self.create_room(ask, &room, name.as_deref(), topic.as_deref(), ctx)
            }
            Request::Topic { room, name, topic } => {
                let anew = Anew { title: name.as_deref(), topic: topic.as_deref() };
                self.change_topic(ask, &room, anew, ctx)
            }
            Request::Room { room } => self.room_info(ask, &room, ctx),
            Request::Rooms { page, read } => self.list_rooms(ask, &page, read, ctx),
            Request::Members { room, page } => self.list_members(ask, &room, page, ctx),
            Request::Online(page) => self.list_online(ask, page, ctx),
            Request::History { place, part } => self.history(ask, place, &part, ctx),
            Request::Read { place, seq } => self.read_to(ask, &place, seq, ctx),
            Request::Conversations(page) => self.list_conversations(ask, &page, ctx),
            Request::Search(sought) => self.search(ask, &sought, ctx),
            Request::Auth { token } => self.refresh(ask, &token, ctx),
            Request::Ping => {
                let ts = ctx.now.unix_ms;
                ctx.out.answer(ask, &answer::Pong { ts });
                Ok(())
            }
        }
    }

    /// The backend has news.
    pub(super) fn learn(&mut self, news: News<'_>, turn: &mut Turn<'_>) {
        match news {
            News::Published { conversation, epoch, entry, ticket } => {
                let asked = ticket.and_then(|ticket| self.answered(ticket));
                self.published(conversation, epoch, &entry, asked, turn);
            }
            News::Page { ticket, head, entries, reading } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.page_read(waiting, Found { head, entries: &entries, reading }, turn);
                }
            }
            News::Repeated { ticket, seq, ts } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.repeated(waiting, seq, ts, turn);
                }
            }
            News::Noted { ticket } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.noted(waiting, turn);
                }
            }
            News::Refused { ticket, why } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.not_done(waiting, Some(why), turn);
                }
            }
            News::Failed { ticket } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.not_done(waiting, None, turn);
                }
            }
            News::Marked { ticket, user, conversation, seq } => {
                let asker = ticket.and_then(|ticket| self.answered(ticket)).map(|waiting| waiting.asker);
                self.marked(user, conversation, seq, asker, turn);
            }
            News::Topic { ticket, room, anew, by, changes } => {
                let asker = ticket.and_then(|ticket| self.answered(ticket)).map(|waiting| waiting.asker);
                self.topic_changed(Changed { room, anew, by, changes }, asker, turn);
            }
            News::Readings { ticket, readings } => {
                if let Some(Waiting { asker, what: What::Rooms(asked), .. }) = self.answered(ticket) {
                    self.answer_rooms(asker.ask(), &asked, &readings, turn);
                }
            }
            News::Conversations { ticket, items, next } => {
                if let Some(Waiting { asker, what: What::Conversations { paid }, .. }) = self.answered(ticket) {
                    self.answer_conversations(asker.ask(), paid, &items, next.as_deref(), turn);
                }
            }
            News::Found { ticket, items, next } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.answer_search(&waiting, &items, next.as_deref(), turn);
                }
            }
            News::Trail { ticket, steps, next } => {
                if let Some(waiting) = self.answered(ticket) {
                    self.answer_trail(waiting.asker.ask(), &steps, next.as_deref(), turn);
                }
            }
            News::Renewed => {
                self.forget_answered();
                self.timers.set(Timer::Lives { from: 0 }, turn.now.tick);
            }
            News::Missed { room, epoch, from, to } => self.missed(room, epoch, from, to, turn),
            News::Emptied { room } => {
                match self.roster.rooms().find(room) {
                    Some(key) => self.roster.note_emptied(key),
                    // Nobody can come across it in a list, and nothing is in it: it is no more.
                    None => self.roster.release_unlisted(room),
                }
            }
            News::Ended { room } => {
                if let Some(key) = self.roster.rooms().find(room) {
                    self.roster.note_ended(key);
                    // A store that has lost something does not know of them.
                    if self.roster.room(key).sessions() > 0 {
                        self.timers.set(Timer::Lives { from: 0 }, turn.now.tick);
                    }
                }
            }
            News::Room { description, keeps, changes } => self.told_of_room(description, keeps, changes, turn),
            News::User { name } => self.told_of_user(name, turn),
            News::Banned(ban) => self.told_of_ban(ban, turn),
            News::Unbanned { user } => self.told_of_unban(user),
            News::Set { room, words } => self.told_of_set(room, words),
            News::Told { to, word } => self.told(to, word, turn),
            News::Posted { node, presence, how } => self.posted(node, presence, how, turn),
        }
    }

    pub(super) fn timeout(&mut self, ctx: &mut Ctx<'_>) {
        // The rest is due still, and has the next turns.
        for _ in 0..TIMERS_AT_ONCE {
            if self.is_grace_first() {
                match self.roster.tick(ctx.now.tick) {
                    Some(facts) => self.tell(facts, ctx),
                    None => break,
                }
                continue;
            }
            let Some(timer) = self.timers.pop(ctx.now.tick) else { break };
            match timer {
                Timer::Typing(key) => self.end_typing(&key.0, key.1, ctx),
                Timer::Crowd { room } => self.tell_crowd(room, ctx),
                Timer::Names { room } => self.tell_names(room, ctx),
                Timer::Lives { from } => self.ask_lives(from, ctx),
                Timer::Replay(conn) => self.read_on(conn, ctx),
                Timer::Unproven(conn) => self.end_unproven(conn, ctx),
                Timer::Expires(conn) => self.warn_of_expiry(conn, ctx),
                Timer::Expired(conn) => self.end_expired(conn, ctx),
                Timer::Buckets => {
                    self.buckets.sweep(ctx.now.tick);
                    if self.buckets.wants_sweep() {
                        self.timers.set(Timer::Buckets, ctx.now.tick + SWEEP_EVERY);
                    }
                }
                Timer::Said => self.forget_old_retries(ctx),
                Timer::Slack => {
                    self.shrink();
                    ctx.store.shrink();
                }
                Timer::Stay => self.see_who_may_stay(ctx),
                Timer::Ban(name) => {
                    self.bans.end(&name);
                }
                Timer::Sweep => {
                    let more = ctx.store.expire(ctx.now);
                    let age = u64::try_from(ctx.settings.empty_room_age.as_millis()).unwrap_or(u64::MAX);
                    let empty_before = ctx.now.tick.0.checked_sub(age).map(Tick);
                    if self.roster.expire_rooms(empty_before, ctx.now.tick) || more {
                        self.sweep_later(ctx);
                    }
                }
            }
        }
    }

    /// Whether a grace is over before anything else is due. At the same tick a user stops typing, then leaves, then is
    /// gone; everything else comes after.
    fn is_grace_first(&self) -> bool {
        let Some(grace) = self.roster.next_grace() else { return false };
        match self.timers.first() {
            None => true,
            Some((at, Timer::Typing(_))) => grace < at,
            Some((at, _)) => grace <= at,
        }
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        [self.timers.next(), self.roster.next_grace()].into_iter().flatten().min()
    }

    /// The turn that began then took so long: what somebody was given in it ends as much later, if that is long.
    pub(super) fn turn_took(&mut self, began: Tick, took: Duration) {
        self.timers.turn_took(began, took, Timer::is_given);
        self.roster.turn_took(began, took);
    }

    /// Shrinks every table that a crowd may have made large. Sessions, timers, watches and buckets do so on their own.
    fn shrink(&mut self) {
        self.roster.shrink();
        self.typists.shrink();
        self.said.shrink();
        self.watches.shrink();
        self.waiting.shrink();
        self.lists.shrink();
        self.rights.shrink();
        self.operators.shrink();
    }

    pub(super) fn shutdown(&mut self, turn: &mut Turn<'_>) {
        let within = turn.settings.return_within.as_millis() as u64;
        for (conn, session) in self.roster.sessions().iter() {
            if session.dialect == Dialect::Json && !session.closing {
                // Each at another time, so that they do not all come back at once.
                let after_ms = self.random.below(within + 1);
                let reason = answer::EndReason::Shutdown;
                turn.out.say(conn, &answer::Goodbye { reason, reconnect: true, after_ms, until: None });
            }
        }
    }
}

/// Timers that are carried out in one turn: a thousand who left a hundred rooms each have as many graces, which end
/// together.
const TIMERS_AT_ONCE: usize = 1024;
