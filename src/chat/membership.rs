//! Joining and leaving rooms: who enters, who hears of it, and in which order.
//!
//! Both go through the backend, even where only its order is needed: earlier messages are then heard before.

use super::ask::{Ask, Asker};
use super::checks::{room_name, user_name};
use super::delivery::TurnedAway;
use super::farewell::Farewell;
use super::hall::{Hall, ROOM_BYTES, SEAT_BYTES, USER_BYTES};
use super::lists::{Join, Joins, ListKey};
use super::name::UserName;
use super::rate_limit::Price;
use super::replay::{Heard, Inside, Replay, slice_of};
use super::roster::Entrance;
use super::roster::room::topic;
use super::roster::session::Dialect;
use super::settings::Settings;
use super::turn::{Ctx, Turn};
use super::waiting::{Found, Leaving, Resumed, Waiting, What};
use super::wire::answer::{self, Ack, EndReason, Missing};
use super::wire::request::Wish;
use super::wire::{Code, Refusal, plain};
use super::work;
use crate::backend::{Conversation, Query, Request};
use crate::id::ConnId;
use crate::proto::CloseCode;

/// A list in which a room was asked for: the waiting list `of`, and its number of rooms.
#[derive(Clone, Copy)]
pub(super) struct InList {
    of: ListKey,
    rooms: usize,
}

impl Hall {
    pub(super) fn join(
        &mut self,
        ask: Ask<'_>,
        wish: &Wish<'_>,
        user: Option<&str>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        room_name(&wish.room)?;
        if let Some(name) = user
            && self.is_another_name(ask.conn, name)?
        {
            self.may_enter(ask.conn, &wish.room, true, ctx.settings)?;
            if !self.take_name(ask.conn, name, ctx)? {
                return Ok(());
            }
        }
        self.enter(ask, &wish.room, Replay::new(wish), None, ctx)
    }

    /// Joins several rooms at once. Each is answered as if it had been asked for alone, without `id`, and all of it by
    /// one `ack`.
    pub(super) fn join_list(
        &mut self,
        ask: Ask<'_>,
        wishes: &[Wish<'_>],
        user: Option<&str>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let most = ctx.settings.rooms_per_join();
        if wishes.len() > most {
            let message = format!("`rooms`: expected at most {most} rooms, found {}", wishes.len());
            return Err(Refusal::new(Code::TooLarge, message));
        }
        let paid = self.pay_for_more(ask.conn, Price::entering(wishes.len()), ctx)?;
        if let Some(name) = user
            && self.is_another_name(ask.conn, name)?
        {
            // A guest that may enter none of the rooms stays a guest.
            let enters = |wish: &Wish<'_>| {
                room_name(&wish.room).is_ok() && self.may_enter(ask.conn, &wish.room, true, ctx.settings).is_ok()
            };
            if wishes.iter().any(enters) && !self.take_name(ask.conn, name, ctx)? {
                return Ok(());
            }
        }
        if let Err(overloaded) = self.may_wait() {
            self.give_back(ask.conn, paid, Price::frames(1));
            return Err(overloaded);
        }
        let of = self.lists.begin_joins(ask.keep(), wishes.len(), paid);
        for wish in wishes {
            let list = InList { of, rooms: wishes.len() };
            let alone = Ask::unnamed(ask.conn);
            let entered =
                room_name(&wish.room).and_then(|_| self.enter(alone, &wish.room, Replay::new(wish), Some(list), ctx));
            if let Err(mut refusal) = entered {
                refusal.room = Some(wish.room.as_ref().into());
                self.refuse(alone, &refusal, ctx);
                let join = if refusal.code == Code::Overloaded { Join::Failed } else { Join::Refused };
                self.one_of_list(of, join, ctx);
            }
        }
        if wishes.is_empty() {
            let done = self.lists.end_joins(of);
            self.answer_list(done, ctx);
        }
        Ok(())
    }

    /// One room of a list has its answer; with the last one the list has, too.
    pub(super) fn one_of_list(&mut self, of: ListKey, join: Join, turn: &mut Turn<'_>) {
        let done = self.lists.note_join(of, join);
        self.answer_list(done, turn);
    }

    fn answer_list(&mut self, done: Option<(Asker, Joins)>, turn: &mut Turn<'_>) {
        let Some((asker, Joins { joined, refused, failed, rooms, paid, .. })) = done else { return };
        if failed > 0 {
            self.give_back(asker.conn, paid, Price::entering(rooms - failed));
        }
        if self.roster.open_session(asker.conn).is_some() {
            turn.out.answer(asker.ask(), &Ack::JoinedList { joined, refused });
        }
    }

    /// Whether the session is a guest that takes this name.
    fn is_another_name(&self, conn: ConnId, name: &str) -> Result<bool, Refusal> {
        let Some(current) = self.user_of(conn) else { return Ok(false) };
        let current = self.roster.user(current);
        if current.name.as_str() == name {
            return Ok(false);
        }
        if !current.guest {
            let message = "`user_id`: expected none or the name of this session, found another name";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        user_name(name).map(|_| true)
    }

    /// Whether the session may enter, as far as that can be known without making a room; if `named`, with the name that
    /// it takes.
    fn may_enter(&self, conn: ConnId, room: &str, named: bool, settings: &Settings) -> Result<(), Refusal> {
        self.may_visit_as(conn, room, named)?;
        let Some(session) = self.roster.session(conn) else { return Ok(()) };
        let found = self.roster.rooms().find(room);
        if found.is_some_and(|room| session.wants(room)) {
            return Ok(());
        }
        if session.seats.iter().filter(|seat| seat.wanted).count() >= settings.rooms_per_session {
            let message = format!("expected at most {} rooms a session, found one more", settings.rooms_per_session);
            return Err(Refusal::new(Code::TooManyRooms, message));
        }
        match found {
            Some(room) => {
                let members = &self.roster.room(room).members;
                if members.len() >= settings.room_members && members.sessions(session.user).is_none() {
                    let message = format!("expected at most {} users in a room, found one more", settings.room_members);
                    return Err(Refusal::new(Code::RoomFull, message));
                }
            }
            None => {
                let made =
                    if settings.create_on_join { self.may_create(conn, room, named, settings) } else { Err(None) };
                if let Err(ruled) = made {
                    let message = "expected a room that was created, found none";
                    return Err(Refusal { ruled, ..Refusal::new(Code::RoomNotFound, message) });
                }
            }
        }
        Ok(())
    }

    /// Asks for a seat in a room, which is made if there is none. Answered by [`Hall::entered`].
    pub(super) fn enter(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        replay: Replay,
        list: Option<InList>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        ctx.out.note_names([name]);
        ctx.out.note_work(work::ENTER);
        self.may_enter(ask.conn, name, false, ctx.settings)?;
        let found = self.roster.rooms().find(name);
        let user = self.roster.session(ask.conn).map(|session| session.user);
        let is_member =
            found.zip(user).is_some_and(|(room, user)| self.roster.room(room).members.sessions(user).is_some());
        if !is_member {
            self.allowance.take(SEAT_BYTES)?;
        }
        let room = self.find_or_make(name, ctx)?;
        let what = What::Enter { resumed: replay.since.unwrap_or_default(), of: list.map(|list| list.of) };
        // The rooms of a list share the bytes that may be on the way, so they share the bytes that are read.
        let query = replay.query(slice_of(list.map_or(1, |list| list.rooms), ctx.settings));
        self.read(Waiting { asker: ask.keep(), room: Some(room), what }, Conversation::Room(name), query, ctx)?;
        self.roster.ask_in(ask.conn, room);
        Ok(())
    }

    /// A room by name, made if there is none.
    pub(super) fn find_or_make(&mut self, name: &str, ctx: &mut Ctx<'_>) -> Result<u32, Refusal> {
        if let Some(room) = self.roster.rooms().find(name) {
            return Ok(room);
        }
        let new = room_name(name)?;
        self.allowance.take(ROOM_BYTES + 4 * name.len())?;
        self.release_ended(ctx);
        if self.roster.rooms().len() >= ctx.settings.max_rooms {
            let longest_empty = self.roster.rooms().longest_empty().ok_or_else(|| {
                let message = format!("expected at most {} rooms in all, found one more", ctx.settings.max_rooms);
                Refusal::new(Code::Overloaded, message)
            })?;
            self.evict(longest_empty, ctx)?;
            self.release_ended(ctx);
        }
        if self.others.had_no_place {
            ctx.store.ask(Request::Seats { room: name })?;
        }
        Ok(self.roster.make_room(new, ctx.now.unix_ms))
    }

    /// The backend has answered: from here on the session is inside, and hears the messages that it has missed. Returns
    /// whether it is.
    pub(super) fn entered(
        &mut self,
        ask: Ask<'_>,
        room: u32,
        resumed: Resumed,
        found: Found<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let (head, first) = (found.head, found.first());
        // It was let in when it asked, and something else may be set by now.
        if let Err(refusal) = self.may_stay_in(ask.conn, room) {
            self.refuse_entry(ask, room, refusal, turn);
            self.roster.turn_down(ask.conn, room);
            return false;
        }
        let Some(Entrance { user, dialect, again, joined }) = self.roster.enter(ask.conn, room) else {
            let message = "expected a room that this session was not put out of since it asked, found another one";
            self.refuse_entry(ask, room, Refusal::new(Code::Forbidden, message), turn);
            return false;
        };
        let same_life = resumed.asked && resumed.epoch == Some(head.epoch) && resumed.seq <= head.seq;
        let recovered = same_life && (again || first == resumed.seq + 1);
        let inside = Inside { room, user, head, recovered, reading: found.reading };
        if again {
            // It has been listening all the time, or its replay is on the way: there is nothing to replay, and nothing
            // to announce.
            self.send_joined(ask, inside, turn);
            return true;
        }
        match dialect {
            Dialect::Json => {
                self.tell(joined, turn);
                self.send_joined(ask, inside, turn);
                // A hole is between the messages that the session has of this life and those of the replay.
                let heard = match resumed.asked {
                    true if same_life => resumed.seq,
                    true => 0,
                    false => first - 1,
                };
                let why = if same_life { Missing::Expired } else { Missing::EpochChanged };
                self.replay(ask.conn, room, Heard { seq: heard, why }, found, turn);
            }
            Dialect::Plain => {
                turn.out.subscribe(ask.conn, topic(room, Dialect::Plain));
                let big = self.is_big(room, 0, turn.settings);
                let was_member = joined.is_none();
                self.tell(joined, turn);
                // Alone with it: the others know already, or hear of the crowd, or the names later.
                let is_alone = was_member || big;
                let name = self.roster.room(room).name.as_str();
                if is_alone {
                    let user = self.roster.user(user).name.as_str();
                    turn.out.send(ask.conn, |out| plain::user_joined(out, name, user));
                }
                if is_alone || self.owes_names(room) {
                    let (users, _) = self.who_is_in(room, turn.settings);
                    turn.out.send(ask.conn, |out| plain::online_users(out, name, &users));
                }
            }
        }
        true
    }

    /// The session is not let in after all.
    fn refuse_entry(&mut self, ask: Ask<'_>, room: u32, mut refusal: Refusal, turn: &mut Turn<'_>) {
        let Some(dialect) = self.roster.open_session(ask.conn).map(|session| session.dialect) else { return };
        refusal.room = Some(self.roster.room(room).name.as_str().into());
        self.refuse(ask, &refusal, turn);
        if dialect == Dialect::Plain {
            self.close_at_the_door(ask.conn, refusal.code, turn);
        }
    }

    /// A plain session that does not come into its room has no other one to try: a refusal that stays is the end.
    pub(super) fn close_at_the_door(&mut self, conn: ConnId, code: Code, turn: &mut Turn<'_>) {
        turn.out.turned_away(conn, TurnedAway::Room);
        let (code, reason) = match code.retry() {
            true => (CloseCode::TRY_AGAIN_LATER, "the room cannot be joined now"),
            false => (CloseCode::POLICY_VIOLATION, "the room cannot be joined"),
        };
        self.close(conn, code, reason, turn);
    }

    pub(super) fn leave(&mut self, ask: Ask<'_>, name: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        self.leave_because(ask, name, Leaving { asked: true, why: None }, ctx)
    }

    fn leave_because(&mut self, ask: Ask<'_>, name: &str, leaving: Leaving, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let room = self.wanted_room(ask.conn, name)?;
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what: What::Leave(leaving) };
        self.read(waiting, Conversation::Room(name), Query::Head, ctx)?;
        self.roster.ask_out(ask.conn, room);
        Ok(())
    }

    /// The backend has answered: the session has heard every message from before it left.
    pub(super) fn left(&mut self, ask: Ask<'_>, room: u32, leaving: Leaving, turn: &mut Turn<'_>) {
        let Leaving { asked, why } = leaving;
        let Some(exit) = self.roster.leave(ask.conn, room) else { return };
        if exit.heard {
            turn.out.unsubscribe(ask.conn, topic(room, exit.dialect));
        } else if exit.was_inside {
            self.stop_replay(ask.conn, room, turn);
        }
        // One who asked is answered; one who is put out and was never told to be inside has not left.
        if exit.was_inside || asked {
            let name = self.roster.room(room).name.as_str();
            turn.out.answer(ask, &answer::Left { room_id: name, reason: why });
        }
        self.tell(exit.left, turn);
    }

    /// The guest's session takes a name, and its seats with it. `false`: it is closed instead.
    fn take_name(&mut self, conn: ConnId, name: &str, turn: &mut Turn<'_>) -> Result<bool, Refusal> {
        let name = user_name(name)?;
        if self.bans.has(name.as_str()) {
            self.turn_out(conn, name.as_str(), turn);
            return Ok(false);
        }
        if self.is_kept_for_the_operator(&name) {
            return Err(Refusal::new(Code::Forbidden, "`user_id`: the name is the operator's"));
        }
        self.take_memory_for_user(&name)?;
        let Some(user) = self.roster.know(&name, false, turn.settings.max_users) else {
            let message = format!("expected at most {} users, found one more", turn.settings.max_users);
            return Err(Refusal::new(Code::Overloaded, message));
        };
        if self.roster.user(user).all_devices() as usize >= turn.settings.sessions_per_user {
            turn.out.turned_away(conn, TurnedAway::TooManySessions);
            self.ask_devices(user, turn);
            self.dismiss(conn, Farewell::TOO_MANY_SESSIONS, turn);
            return Ok(false);
        }
        let Some(payer) = self.payer_as(conn, &name) else { return Ok(false) };
        let Some(as_guest) = self.roster.session(conn).map(|session| session.payer) else { return Ok(false) };
        let facts = self.roster.rename(conn, user, payer, turn.now.tick, turn.settings.leave_grace);
        let seats = self.roster.session(conn).into_iter().flat_map(|session| session.seats.iter());
        self.buckets.hand_over(as_guest, payer, seats.map(|seat| self.roster.room(seat.room).name.as_str()));
        self.tell_but_for(Some(conn), facts, turn);
        Ok(true)
    }

    /// A name that no user has had is one more to be known. Where memory is short, the user who left longest ago makes
    /// room for it.
    pub(super) fn take_memory_for_user(&mut self, name: &UserName) -> Result<(), Refusal> {
        match self.roster.users().find(name.as_str()) {
            Some(_) => Ok(()),
            None => match self.allowance.take(USER_BYTES + 2 * name.as_str().len()) {
                Err(_) if self.roster.forget_longest_gone() => Ok(()),
                taken => taken,
            },
        }
    }
    /// The session leaves a room that it may be in no longer; `why`, if it hears a reason.
    pub(super) fn put_out(&mut self, conn: ConnId, room: u32, why: Option<EndReason>, ctx: &mut Ctx<'_>) {
        let name = self.roster.room(room).name.clone();
        self.roster.keep_out(conn, room);
        let leaving = Leaving { asked: false, why };
        // Refused also where it is leaving already.
        if self.leave_because(Ask::unnamed(conn), name.as_str(), leaving, ctx).is_err()
            && self.roster.ask_out(conn, room)
        {
            // The store takes no questions now, and this cannot wait.
            self.left(Ask::unnamed(conn), room, leaving, ctx);
        }
    }
}
