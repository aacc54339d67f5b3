//! Coming and going: who is in a room, who is told, and in which order.
//!
//! Both go through the backend, even where only the order is wanted of it: what was said before is then heard before.

use super::Shows;
use super::delivery::TurnedAway;
use super::hall::{CONNECTION_LIMIT, Hall, NOBODY, ROOM_BYTES, SEAT_BYTES, Turn, USER_BYTES, room_name, user_name};
use super::name::UserName;
use super::replay::{Replay, Resumed};
use super::room::topic;
use super::session::Dialect;
use super::timers::Timer;
use super::typing::Target;
use super::waiting::{Joins, Waiting, What};
use super::wire::request::Wish;
use super::wire::{Code, Id, Refusal, json, plain};
use super::work;
use crate::backend::{Backend, Conversation, Head, Message, Query};
use crate::id::ConnId;

/// How a room was asked for, and so how that is answered.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// By itself: the answer has the `id`.
    Alone(Option<&'a Id<'a>>),
    /// In a list of so many rooms, which is what waits as `of`.
    InList { of: u32, share: usize },
}

impl Hall {
    pub(super) fn join(
        &mut self,
        conn: ConnId,
        wish: &Wish<'_>,
        user: Option<&str>,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        room_name(&wish.room)?;
        if let Some(name) = user
            && self.is_another_name(conn, name)?
        {
            self.may_enter(conn, &wish.room)?;
            if !self.take_name(conn, name, turn)? {
                return Ok(());
            }
        }
        self.enter(conn, &wish.room, Replay::new(wish), Asked::Alone(id), store, turn)
    }

    /// Joins several rooms at once. Each is answered as if it had been asked for alone, without `id`, and all of it by one `ack`.
    pub(super) fn join_list(
        &mut self,
        conn: ConnId,
        wishes: &[Wish<'_>],
        user: Option<&str>,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let most = self.settings.rooms_per_join();
        if wishes.len() > most {
            let message = format!("`rooms`: expected at most {most} rooms, found {}", wishes.len());
            return Err(Refusal::new(Code::TooLarge, message));
        }
        self.pay_for_list(conn, wishes.len(), turn)?;
        if let Some(name) = user
            && self.is_another_name(conn, name)?
        {
            // A guest who may enter none of the rooms stays a guest.
            let enters = |wish: &Wish<'_>| room_name(&wish.room).is_ok() && self.may_enter(conn, &wish.room).is_ok();
            if wishes.iter().any(enters) && !self.take_name(conn, name, turn)? {
                return Ok(());
            }
        }
        let tally = Joins { outstanding: wishes.len(), joined: 0, refused: 0 };
        let id = id.cloned().map(Id::into_owned);
        let of = self.wait(Waiting { conn, id, room: None, what: What::JoinList(tally) })?.0 as u32;
        for wish in wishes {
            let asked = Asked::InList { of, share: wishes.len() };
            let entered =
                room_name(&wish.room).and_then(|_| self.enter(conn, &wish.room, Replay::new(wish), asked, store, turn));
            if let Err(mut refusal) = entered {
                refusal.room = Some(wish.room.as_ref().into());
                self.refuse(conn, None, &refusal, turn);
                self.one_of_list(of, false, turn);
            }
        }
        if wishes.is_empty() {
            self.end_list(of, turn);
        }
        Ok(())
    }

    /// One room of a list has its answer; with the last one the list has, too.
    pub(super) fn one_of_list(&mut self, of: u32, joined: bool, turn: &mut Turn<'_>) {
        let Some(Waiting { what: What::JoinList(tally), .. }) = self.waiting.get_mut(of as usize) else { return };
        match joined {
            true => tally.joined += 1,
            false => tally.refused += 1,
        }
        tally.outstanding -= 1;
        if tally.outstanding == 0 {
            self.end_list(of, turn);
        }
    }

    fn end_list(&mut self, of: u32, turn: &mut Turn<'_>) {
        let Some(Waiting { conn, id, what: What::JoinList(tally), .. }) = self.waiting.try_remove(of as usize) else {
            return;
        };
        if self.sessions.find(conn).is_none_or(|session| session.closing) {
            return;
        }
        turn.out.send(conn, |out| {
            json::Object::message(out, "ack")
                .id(id.as_ref())
                .number("joined", tally.joined)
                .number("refused", tally.refused)
                .end();
        });
    }

    /// Whether the session is a guest's that is to take this name.
    fn is_another_name(&self, conn: ConnId, name: &str) -> Result<bool, Refusal> {
        let Some(current) = self.user_of(conn) else { return Ok(false) };
        let current = self.users.at(current);
        if current.name.as_str() == name {
            return Ok(false);
        }
        if !current.guest {
            let message = "`user_id`: expected none or the name of this session, found another name";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        user_name(name).map(|_| true)
    }

    /// Whether the session may enter, as far as that can be known without making a room.
    fn may_enter(&self, conn: ConnId, room: &str) -> Result<(), Refusal> {
        self.may_visit(conn, room)?;
        let Some(session) = self.sessions.find(conn) else { return Ok(()) };
        let found = self.rooms.find(room);
        if found.is_some_and(|room| session.wants(room)) {
            return Ok(());
        }
        if session.seats.iter().filter(|seat| seat.wanted).count() >= self.settings.rooms_per_session {
            let message =
                format!("expected at most {} rooms a session, found one more", self.settings.rooms_per_session);
            return Err(Refusal::new(Code::TooManyRooms, message));
        }
        match found {
            Some(room) => {
                let members = &self.rooms.at(room).members;
                if members.len() >= self.settings.room_members && members.sessions(session.user).is_none() {
                    let message = format!("expected at most {} users in a room, found one more", members.len());
                    return Err(Refusal::new(Code::RoomFull, message));
                }
            }
            None if !self.settings.create_on_join || !self.may_create(conn) => {
                return Err(Refusal::new(Code::RoomNotFound, "expected a room that was created, found none"));
            }
            None => {}
        }
        Ok(())
    }

    /// Asks for a seat in a room, which is made if there is none. Answered by [`Hall::entered`].
    pub(super) fn enter(
        &mut self,
        conn: ConnId,
        name: &str,
        replay: Replay,
        asked: Asked<'_>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        turn.out.note_names([name]);
        turn.out.note_work(work::ENTER);
        self.may_enter(conn, name)?;
        let found = self.rooms.find(name);
        let user = self.sessions.find(conn).map(|session| session.user);
        let is_member =
            found.zip(user).is_some_and(|(room, user)| self.rooms.at(room).members.sessions(user).is_some());
        if !is_member {
            self.take_memory(SEAT_BYTES)?;
        }
        let room = self.find_or_make(name, store, turn)?;
        let (id, of, share) = match asked {
            Asked::Alone(id) => (id.cloned().map(Id::into_owned), None, 1),
            Asked::InList { of, share } => (None, Some(of), share),
        };
        let what = What::Enter { resumed: replay.since.unwrap_or_default(), of };
        // The rooms of a list share what may be on the way, so they share what is read for it.
        let query = replay.query(self.slice_of(share));
        self.read(Waiting { conn, id, room: Some(room), what }, Conversation::Room(name), query, store, turn)?;
        if let Some(session) = self.sessions.find_mut(conn) {
            session.sit(room);
        }
        Ok(())
    }

    /// A room by name, made if there is none.
    pub(super) fn find_or_make(
        &mut self,
        name: &str,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<u32, Refusal> {
        if let Some(room) = self.rooms.find(name) {
            return Ok(room);
        }
        let new = room_name(name)?;
        self.take_memory(ROOM_BYTES + 4 * name.len())?;
        let made = self.rooms.insert(new, turn.now.unix_ms, self.settings.max_rooms);
        let made = made.ok_or_else(|| {
            let message = format!("expected at most {} rooms in all, found one more", self.settings.max_rooms);
            Refusal::new(Code::Overloaded, message)
        });
        self.forget_ended(store, turn);
        made
    }

    /// Tells the backend of rooms that ended, before anything else is asked about them.
    pub(super) fn forget_ended(&mut self, store: &mut dyn Backend, turn: &Turn<'_>) {
        if !self.rooms.ended.is_empty() {
            self.slacken(turn);
        }
        for name in self.rooms.ended.drain(..) {
            store.forget(name.as_str());
        }
    }

    /// Asks the backend for a page, and takes back what was prepared if it does not take the question.
    pub(super) fn read(
        &mut self,
        waiting: Waiting,
        conversation: Conversation<'_>,
        query: Query,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let room = waiting.room;
        let asked = self.wait(waiting).and_then(|ticket| {
            store.read(conversation, query, turn.now.tick, ticket).map_err(|overloaded| {
                self.answered(ticket);
                overloaded.into()
            })
        });
        if let (Err(_), Some(room)) = (&asked, room) {
            self.rooms.settle(room, turn.now.tick);
            self.forget_ended(store, turn);
        }
        asked
    }

    /// The backend has answered: from here on the session is inside, and is told what it has missed.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn entered(
        &mut self,
        conn: ConnId,
        id: Option<&Id<'_>>,
        room: u32,
        resumed: Resumed,
        head: Head,
        messages: &[Message<'_>],
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.find_mut(conn).filter(|session| !session.closing) else { return };
        let (user, dialect) = (session.user, session.dialect);
        let Some(seat) = session.seat(room) else { return };
        let again = std::mem::replace(&mut seat.inside, true);
        seat.hears |= dialect == Dialect::Plain;
        let same_life = resumed.asked && resumed.epoch == Some(head.epoch) && resumed.seq <= head.seq;
        let first = messages.first().map_or(head.seq + 1, |message| message.seq);
        let recovered = same_life && (again || first == resumed.seq + 1);
        if again {
            // It has been listening all the time, or is told what it has missed: nothing to replay, and nobody to tell.
            self.send_joined(conn, id, room, user, head, recovered, turn);
            return;
        }
        let was_member = self.take_seat(user, room, dialect, turn);
        match dialect {
            Dialect::Json => {
                if !was_member {
                    self.tell_joined(room, user, &[], turn);
                }
                self.send_joined(conn, id, room, user, head, recovered, turn);
                // A hole is between what the session has of this life and what it is told now.
                let heard = match resumed.asked {
                    true if same_life => resumed.seq,
                    true => 0,
                    false => first - 1,
                };
                let why = if same_life { "expired" } else { "epoch_changed" };
                self.replay(conn, room, heard, why, head, messages, turn);
            }
            Dialect::Plain => {
                turn.out.subscribe(conn, topic(room, Dialect::Plain));
                let big = self.is_big(room, 0);
                if !was_member {
                    self.tell_joined(room, user, &[], turn);
                }
                // Alone with it: the others know already, or hear of the crowd.
                if was_member || big {
                    let name = self.rooms.at(room).name.as_str();
                    let user = self.users.at(user).name.as_str();
                    turn.out.send(conn, |out| plain::user_joined(out, name, user));
                    let (users, _) = self.who_is_in(room);
                    turn.out.send(conn, |out| plain::online_users(out, name, &users));
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn send_joined(
        &self,
        conn: ConnId,
        id: Option<&Id<'_>>,
        room: u32,
        user: u32,
        head: Head,
        recovered: bool,
        turn: &mut Turn<'_>,
    ) {
        let (room, user) = (self.rooms.at(room), self.users.at(user));
        turn.out.send(conn, |out| {
            json::Object::message(out, "joined")
                .id(id)
                .text("room_id", room.name.as_str())
                .text("user_id", user.name.as_str())
                .text("epoch", &head.epoch.to_string())
                .number("seq", head.seq)
                .flag("recovered", recovered)
                .number("members", room.members.len() as u64)
                .end();
        });
    }

    /// Counts a session of the user into the room. Says whether the user was a member already.
    fn take_seat(&mut self, user: u32, room: u32, dialect: Dialect, turn: &Turn<'_>) -> bool {
        let place = self.rooms.at_mut(room);
        *place.count(dialect) += 1;
        let devices = place.members.sessions_mut(user);
        let was_member = devices.is_some();
        match devices {
            Some(devices) => *devices += 1,
            None => place.members.insert(user),
        }
        if dialect == Dialect::Plain {
            self.with_plain.insert(room);
        }
        if !was_member {
            self.users.change(user, |user| user.rooms += 1);
        }
        self.timers.cancel(Timer::Leave { user, room });
        self.rooms.settle(room, turn.now.tick);
        was_member
    }

    /// Tells a room that a user has come; the member is counted already.
    fn tell_joined(&mut self, room: u32, user: u32, except: &[ConnId], turn: &mut Turn<'_>) {
        if self.is_big(room, 0) {
            self.crowd_changed(room, turn);
            return;
        }
        let (place, user) = (self.rooms.at(room), self.users.at(user).name.as_str());
        let name = place.name.as_str();
        if place.json > 0 {
            let movement = |out: &mut Vec<u8>| json::movement(out, "user_joined", name, user);
            turn.out.publish(topic(room, Dialect::Json), except, movement);
        }
        if place.plain > 0 {
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::user_joined(out, name, user));
            let (users, _) = self.who_is_in(room);
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::online_users(out, name, &users));
        }
    }

    /// Tells a room that a user has gone; the member is no longer counted.
    fn tell_left(&mut self, room: u32, user: &str, except: &[ConnId], turn: &mut Turn<'_>) {
        // Big is what it was when everybody was still inside.
        if self.is_big(room, 1) {
            self.crowd_changed(room, turn);
            return;
        }
        let place = self.rooms.at(room);
        let name = place.name.as_str();
        if place.json > 0 {
            let movement = |out: &mut Vec<u8>| json::movement(out, "user_left", name, user);
            turn.out.publish(topic(room, Dialect::Json), except, movement);
        }
        if place.plain > 0 {
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::user_left(out, name, user));
            let (users, _) = self.who_is_in(room);
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::online_users(out, name, &users));
        }
    }

    pub(super) fn leave(
        &mut self,
        conn: ConnId,
        name: &str,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.leave_because(conn, name, None, id, store, turn)
    }

    /// The same where the session is told why, because it did not ask.
    pub(super) fn leave_because(
        &mut self,
        conn: ConnId,
        name: &str,
        why: Option<&'static str>,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let room = self.wanted_room(conn, name)?;
        let waiting =
            Waiting { conn, id: id.cloned().map(Id::into_owned), room: Some(room), what: What::Leave { why } };
        self.read(waiting, Conversation::Room(name), Query::Head, store, turn)?;
        if let Some(seat) = self.sessions.find_mut(conn).and_then(|session| session.seat(room)) {
            seat.wanted = false;
        }
        Ok(())
    }

    /// The backend has answered: all that was said before the session left has been told.
    pub(super) fn left(
        &mut self,
        conn: ConnId,
        id: Option<&Id<'_>>,
        room: u32,
        why: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        let Some(session) = self.sessions.find_mut(conn) else { return };
        let (user, dialect) = (session.user, session.dialect);
        let seat = session.seat(room).map(|seat| (std::mem::take(&mut seat.inside), std::mem::take(&mut seat.hears)));
        let (was_inside, heard_it) = seat.unwrap_or_default();
        session.clear(room);
        if heard_it {
            turn.out.unsubscribe(conn, topic(room, dialect));
        } else if was_inside {
            self.stop_replay(conn, room, turn);
        }
        let name = self.rooms.at(room).name.as_str();
        turn.out.send(conn, |out| {
            json::Object::message(out, "left").id(id).text("room_id", name).maybe_text("reason", why).end();
        });
        if was_inside {
            self.uncount(room, dialect);
            let devices =
                self.rooms.at_mut(room).members.sessions_mut(user).expect("who has a seat inside is a member");
            *devices -= 1;
            if *devices == 0 {
                self.timers.cancel(Timer::Leave { user, room });
                self.depart(user, room, turn);
            }
        }
    }

    /// The user, whose last session has left, is no member any more. The caller settles the room.
    pub(super) fn depart(&mut self, user: u32, room: u32, turn: &mut Turn<'_>) {
        self.depart_unheard(user, room, &[], turn);
    }

    fn depart_unheard(&mut self, user: u32, room: u32, except: &[ConnId], turn: &mut Turn<'_>) {
        let name = self.users.at(user).name.clone();
        self.end_typing(&name, Target::Room(room), turn);
        self.rooms.at_mut(room).members.remove(user);
        self.users.change(user, |user| user.rooms -= 1);
        self.tell_left(room, name.as_str(), except, turn);
        if self.rooms.at(room).members.is_empty() {
            self.timers.cancel(Timer::Crowd { room });
            self.sweep_later(turn);
        }
    }

    /// The guest's session takes a name, and its seats with it. `false`: it is closed instead.
    fn take_name(&mut self, conn: ConnId, name: &str, turn: &mut Turn<'_>) -> Result<bool, Refusal> {
        let name = user_name(name)?;
        if self.is_banned(name.as_str()) {
            self.turn_out(conn, turn);
            return Ok(false);
        }
        if self.is_kept_for_the_operator(&name) {
            return Err(Refusal::new(Code::Forbidden, "`user_id`: the name is the operator's"));
        }
        self.take_memory_for_user(&name)?;
        let Some(user) = self.users.find_or_insert(&name, false, self.settings.max_users) else {
            let message = format!("expected at most {} users, found one more", self.settings.max_users);
            return Err(Refusal::new(Code::Overloaded, message));
        };
        if self.users.at(user).devices as usize >= self.settings.sessions_per_user {
            turn.out.turned_away(conn, TurnedAway::TooManySessions);
            self.ask_devices(user, turn);
            self.dismiss(conn, "connection_limit", CONNECTION_LIMIT, "too many sessions of this user", turn);
            return Ok(false);
        }
        // Out of the list of devices for a moment, while the guest's chain is mended.
        let Some(mut session) = self.sessions.remove(conn) else { return Ok(false) };
        let guest = session.user;
        self.detach(conn, &session, turn);
        session.user = NOBODY;
        let inside: Vec<u32> = session.seats.iter().filter(|seat| seat.inside).map(|seat| seat.room).collect();
        let (dialect, as_guest) = (session.dialect, session.payer);
        self.sessions.insert(conn, session);
        // How the guest was seen is how they want to be seen: one who hides is not to be seen because of a name.
        let guest_was = self.users.at(guest);
        let shows = Shows { status: guest_was.status, note: guest_was.note.clone() };
        self.attach(conn, user, Some(shows), turn);
        if let Some(session) = self.sessions.find(conn) {
            self.buckets.hand_over(as_guest, session.payer);
        }
        self.tell_renamed(conn, guest, user, turn);
        for room in inside {
            self.uncount(room, dialect);
            let was_member = self.take_seat(user, room, dialect, turn);
            let devices = self.rooms.at_mut(room).members.sessions_mut(guest).expect("the guest had a seat inside");
            *devices -= 1;
            if *devices == 0 {
                self.depart_unheard(guest, room, &[conn], turn);
            }
            if !was_member {
                self.tell_joined(room, user, &[conn], turn);
            }
        }
        // There is no coming back for a guest who is somebody now, but rooms may still wait for another device of theirs.
        if self.users.at(guest).devices == 0 && self.users.at(guest).rooms == 0 {
            self.timers.set(Timer::Gone { user: guest }, turn.now.tick);
        }
        Ok(true)
    }

    /// A name that nobody has had is one more to be known.
    pub(super) fn take_memory_for_user(&mut self, name: &UserName) -> Result<(), Refusal> {
        match self.users.find(name.as_str()) {
            Some(_) => Ok(()),
            None => self.take_memory(USER_BYTES + 2 * name.as_str().len()),
        }
    }

    /// Whether the room is told of comings and goings in summary; `gone`: users who were inside a moment ago.
    fn is_big(&self, room: u32, gone: usize) -> bool {
        self.rooms.at(room).members.len() + gone > self.settings.big_room
    }

    /// The names of those in a room, or of some of them if it is big, and how many there are.
    pub(super) fn who_is_in(&self, room: u32) -> (Vec<&str>, usize) {
        let members = &self.rooms.at(room).members;
        let names = members.names(self.settings.big_room, |user| self.users.at(user).name.as_str());
        (names, members.len())
    }

    /// The crowd is told soon, but not often.
    fn crowd_changed(&mut self, room: u32, turn: &Turn<'_>) {
        let timer = Timer::Crowd { room };
        if !self.timers.is_set(&timer) {
            let told = self.rooms.at(room).crowd_told;
            let at = told.map_or(turn.now.tick, |told| told + self.settings.big_room_every);
            self.timers.set(timer, at.max(turn.now.tick));
        }
    }

    pub(super) fn tell_crowd(&mut self, room: u32, turn: &mut Turn<'_>) {
        self.rooms.at_mut(room).crowd_told = Some(turn.now.tick);
        let name = self.rooms.at(room).name.as_str();
        let (users, count) = self.who_is_in(room);
        turn.out.publish(topic(room, Dialect::Json), &[], |out| json::online_users(out, name, &users, count));
        turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::online_users(out, name, &users));
    }
}
