//! The roster: the sessions, their users, and the members of rooms.
//!
//! ```text
//!   open ──▶ sign_in ──▶ ask_in ──▶ enter ──▶ ask_out ──▶ leave          a session, its user, its seats
//!                │                    │                     │
//!                │                    └──── close ──▶ a grace ──▶ tick    Left, then Gone: always in this order
//!                └── rename: a guest's session becomes another user's
//! ```
//!
//! The roster owns all of it, and the graces of users whose last session has ended. Its fields are private: each change
//! has a verb here, and a rule such as "a user is gone only after leaving" is one line of one verb. It sends nothing
//! and asks no store. A verb returns the changes that others may have to hear as [`Fact`]s, and `tell` makes messages
//! of them.
//!
//! Where the store is shared, `nodes` has the verbs about people on other nodes, who count with those who are here.
//!
//! Verbs about sessions end no room: they note which may be over, and [`Roster::settle`] ends those, at the end of a
//! call into the chat and before a room is made or one is looked for that can make place. Facts name rooms by their
//! keys, so `tell` sends them before that. [`end_room`](Roster::end_room), [`unlist_room`](Roster::unlist_room) and
//! [`expire_rooms`](Roster::expire_rooms) end empty rooms, of which there are no facts.

mod abroad;
mod graces;
pub(super) mod members;
pub(super) mod nodes;
pub(super) mod room;
pub(super) mod session;
pub(super) mod user;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use abroad::Abroad;
use graces::{Grace, Graces};
use room::{Room, Rooms};
use session::{Dialect, NO_DEVICE, NOBODY, Session, Sessions};
use user::{Shows, User, Users, View};

use super::name::{RoomName, UserName};
use super::rate_limit::Payer;
use crate::backend::{Anew, Description, Epoch};
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;
use crate::time::{Moment, Tick};

/// A change that others may have to hear. The roster has made it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// The presence of a user may have changed. `before`: the presence for the user's own sessions.
    Seen { user: u32, before: View },
    /// The session of a guest has become another user's.
    Renamed { conn: ConnId, guest: u32, user: u32 },
    /// A user who was no member of the room is one.
    Joined { room: u32, user: u32 },
    /// A member of the room is none any more. Named, because the user may be forgotten by now.
    Left { room: u32, user: UserName },
    /// A user is not here any more. `before`: the presence for others.
    Gone { user: UserName, before: View },
}

/// A session is inside a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entrance {
    pub user: u32,
    pub dialect: Dialect,
    /// It was inside before.
    pub again: bool,
    /// Its user was no member before.
    pub joined: Option<Fact>,
}

/// A session is not inside a room any more, if it ever was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub dialect: Dialect,
    pub was_inside: bool,
    /// It was in the topic.
    pub heard: bool,
    /// It was the last one of its user.
    pub left: Option<Fact>,
}

/// Invariant, which [`check`](Self::check) looks at: a user is a member of a room if and only if a session of theirs is
/// inside, here or on another node, or a grace runs for them; each session with a user is one of the user's devices; a
/// user who is present has a device, here or elsewhere, or a grace.
#[derive(Debug)]
pub(super) struct Roster {
    sessions: Sessions,
    users: Users,
    rooms: Rooms,
    /// Rooms with sessions of the plain dialect.
    with_plain: BTreeSet<u32>,
    graces: Graces,
    /// Rooms that may have lost their last member.
    unsettled: Vec<u32>,
    /// The status that sessions have brought which have no user yet.
    showing: Table<ConnId, Shows>,
    /// Other nodes are told of those who are here.
    shared: bool,
    moved: BTreeSet<nodes::Moved>,
    abroad: Abroad,
}

impl Roster {
    /// Nobody is here.
    pub fn new(keyed: &Keyed) -> Self {
        Self {
            sessions: Sessions::default(),
            users: Users::default(),
            rooms: Rooms::default(),
            with_plain: BTreeSet::new(),
            graces: Graces::new(keyed),
            unsettled: Vec::new(),
            showing: keyed.table(),
            shared: false,
            moved: BTreeSet::new(),
            abroad: Abroad::new(keyed),
        }
    }

    /// How many graces run.
    pub fn graces(&self) -> usize {
        self.graces.len()
    }

    /// How many sessions have brought a status and have no user yet.
    pub fn showing(&self) -> usize {
        self.showing.len()
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub fn users(&self) -> &Users {
        &self.users
    }

    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    pub fn session(&self, conn: ConnId) -> Option<&Session> {
        self.sessions.find(conn)
    }

    /// The session of a connection that is not being closed.
    pub fn open_session(&self, conn: ConnId) -> Option<&Session> {
        self.sessions.find(conn).filter(|session| !session.closing)
    }

    pub fn user(&self, key: u32) -> &User {
        self.users.at(key)
    }

    pub fn room(&self, key: u32) -> &Room {
        self.rooms.at(key)
    }

    /// Rooms with sessions of the plain dialect.
    pub fn with_plain(&self) -> &BTreeSet<u32> {
        &self.with_plain
    }

    /// The devices of a user.
    pub fn devices(&self, user: u32) -> impl Iterator<Item = (ConnId, &Session)> {
        let first = self.sessions.at(self.users.at(user).first_device);
        std::iter::successors(first, |(_, session)| self.sessions.at(session.next_device))
    }

    /// Those that are not being closed.
    pub fn open_devices(&self, user: u32) -> impl Iterator<Item = ConnId> {
        self.devices(user).filter(|(_, session)| !session.closing).map(|(conn, _)| conn)
    }

    /// Those of them that speak JSON.
    pub fn json_devices(&self, user: u32) -> impl Iterator<Item = ConnId> {
        let hears = |session: &Session| session.dialect == Dialect::Json && !session.closing;
        self.devices(user).filter(move |(_, session)| hears(session)).map(|(conn, _)| conn)
    }

    // Sessions and their users.

    /// A session begins, without a user yet.
    pub fn open(&mut self, conn: ConnId, id: u64, dialect: Dialect, payer: Payer, now: Moment) {
        let session = Session {
            id,
            opened: seconds(now),
            spoke: seconds(now),
            user: NOBODY,
            payer,
            next_device: NO_DEVICE,
            frames: 0,
            dialect,
            closing: false,
            owed: 0,
            owed_told: false,
            owed_noted: false,
            expelled: false,
            seats: session::Seats::default(),
        };
        self.sessions.insert(conn, session);
    }

    /// The user of a name, who is known from now on; `None` if `most` are known and all of them are here.
    pub fn know(&mut self, name: &UserName, guest: bool, most: usize) -> Option<u32> {
        self.users.find_or_insert(name, guest, most)
    }

    /// The backend knows a user of a new name.
    pub fn learn_user(&mut self, name: &UserName) {
        self.users.know(name);
    }

    /// Forgets some of the users who have gone, if they take more bytes than that. Returns whether any was forgotten.
    pub fn forget_gone(&mut self, most_bytes: usize) -> bool {
        self.users.forget_gone(most_bytes)
    }

    /// Forgets the user who left longest ago. Returns whether there is one.
    pub fn forget_longest_gone(&mut self) -> bool {
        self.users.forget_longest_gone()
    }

    /// Users with names who are new, have come or have gone, and whether they are here: hands each to `take`, until one
    /// is not taken.
    pub fn take_met(&mut self, mut take: impl FnMut(&UserName, bool) -> bool) {
        while let Some(met) = self.users.met.first_entry()
            && take(met.key(), *met.get())
        {
            met.remove();
        }
    }

    /// The session brings along how its user is to be seen, and has no user yet.
    pub fn note_shows(&mut self, conn: ConnId, shows: Shows) {
        self.showing.insert(conn, shows);
    }

    /// Makes the session a device of the user. How it wants to be seen counts if the user is not here: else that is
    /// known.
    pub fn sign_in(&mut self, conn: ConnId, user: u32, payer: Payer) -> Option<Fact> {
        let shows = self.showing.remove(&conn);
        self.add_device(conn, user, payer, shows)
    }

    /// Makes the session a device of the user. `shows` counts if the user is not here.
    fn add_device(&mut self, conn: ConnId, user: u32, payer: Payer, shows: Option<Shows>) -> Option<Fact> {
        let session = self.sessions.find_mut(conn)?;
        session.payer = payer;
        session.user = user;
        let before = self.users.at(user).own_view();
        self.users.note_met(user, true);
        self.users.change(user, |user| {
            session.next_device = user.first_device;
            user.first_device = conn.index;
            user.devices += 1;
            if let Some(shows) = shows.filter(|_| !user.present) {
                user.shows(shows);
            }
            user.present = true;
        });
        self.graces.cancel(Grace::Gone { user });
        self.note_moved(user);
        Some(Fact::Seen { user, before })
    }

    /// The session of a guest becomes one of another user, with its seats. The status of the guest goes with it: a user
    /// who hides must not be seen because of a name.
    pub fn rename(&mut self, conn: ConnId, user: u32, payer: Payer, now: Tick, grace: Duration) -> Vec<Fact> {
        // Out of the list of devices for a moment, while the guest's chain is mended.
        let Some(mut session) = self.sessions.remove(conn) else { return Vec::new() };
        let guest = session.user;
        self.detach(conn, &session, now + grace_of(&session, grace));
        session.user = NOBODY;
        let inside: Vec<u32> = session.seats.iter().filter(|seat| seat.inside).map(|seat| seat.room).collect();
        let dialect = session.dialect;
        self.sessions.insert(conn, session);
        let guest_was = self.users.at(guest);
        let shows = Shows { status: guest_was.status, note: guest_was.note.clone() };
        let mut facts = Vec::from_iter(self.add_device(conn, user, payer, Some(shows)));
        facts.push(Fact::Renamed { conn, guest, user });
        for room in inside {
            self.uncount(room, dialect);
            let joined = self.take_seat(user, room, dialect);
            if self.rooms.at_mut(room).members.end_session(guest) == 0 {
                facts.extend(self.depart(guest, room));
            }
            facts.extend(joined);
        }
        // A guest who has a name now does not come back, but rooms may still wait for another device of theirs.
        if self.users.at(guest).devices == 0 && self.users.at(guest).rooms == 0 {
            self.graces.set(Grace::Gone { user: guest }, now);
        }
        facts
    }

    /// A text has come; `None` if this session is not heard any more.
    pub fn note_text(&mut self, conn: ConnId, now: Moment) -> Option<&Session> {
        let session = self.sessions.find_mut(conn).filter(|session| !session.closing)?;
        session.frames = session.frames.wrapping_add(1);
        session.spoke = seconds(now);
        Some(session)
    }

    /// A request of the session waits, whose answer may have so many bytes. Returns whether the engine is to hear how
    /// much it is owed now, and was not yet.
    pub fn note_owed(&mut self, conn: ConnId, bytes: u32) -> bool {
        self.sessions.find_mut(conn).is_some_and(|session| {
            session.owed = session.owed.saturating_add(bytes);
            !std::mem::replace(&mut session.owed_noted, true)
        })
    }

    /// It is answered. Returns the same.
    pub fn note_paid(&mut self, conn: ConnId, bytes: u32) -> bool {
        self.sessions.find_mut(conn).is_some_and(|session| {
            session.owed = session.owed.saturating_sub(bytes);
            !std::mem::replace(&mut session.owed_noted, true)
        })
    }

    /// How much the session is owed now, if the engine has not heard that.
    pub fn tell_owed(&mut self, conn: ConnId) -> Option<u32> {
        let session = self.sessions.find_mut(conn)?;
        session.owed_noted = false;
        let was_told = std::mem::replace(&mut session.owed_told, session.owed > 0);
        (was_told || session.owed > 0).then_some(session.owed)
    }

    /// Another frame has come.
    pub fn note_frame(&mut self, conn: ConnId) {
        if let Some(session) = self.sessions.find_mut(conn) {
            session.frames = session.frames.wrapping_add(1);
        }
    }

    /// From now on the session is not heard. Returns whether that is new.
    pub fn begin_close(&mut self, conn: ConnId) -> bool {
        let session = self.sessions.find_mut(conn);
        session.is_some_and(|session| !std::mem::replace(&mut session.closing, true))
    }

    /// An operator ends the session: there is no grace for its user when it is closed.
    pub fn expel(&mut self, conn: ConnId) {
        if let Some(session) = self.sessions.find_mut(conn) {
            session.expelled = true;
        }
    }

    /// The connection has ended. If it was the user's last one, here or in a room, they have `grace` to come back. No
    /// user has left by that, so there are no facts.
    pub fn close(&mut self, conn: ConnId, now: Tick, grace: Duration) -> Option<Session> {
        let session = self.sessions.remove(conn)?;
        self.showing.remove(&conn);
        if session.user == NOBODY {
            return Some(session);
        }
        let (user, until) = (session.user, now + grace_of(&session, grace));
        for room in session.seats.iter().filter(|seat| seat.inside).map(|seat| seat.room) {
            self.uncount(room, session.dialect);
            self.note_moved_in(user, room);
            if self.rooms.at_mut(room).members.end_session(user) == 0 {
                self.graces.set(Grace::Leave { user, room }, until);
            }
        }
        self.detach(conn, &session, until);
        Some(session)
    }

    /// Sets how the user is seen.
    pub fn show(&mut self, user: u32, shows: Shows) -> Fact {
        let before = self.users.at(user).own_view();
        self.users.change(user, |user| user.shows(shows));
        Fact::Seen { user, before }
    }

    /// Whether the devices of a user may be asked again for a sign of life; if so, the time is noted.
    pub fn may_ask_devices(&mut self, user: u32, every_seconds: u32, now: Tick) -> bool {
        let (now, asked) = ((now.0 / 1000) as u32, self.users.at(user).asked);
        let may = asked == 0 || now.wrapping_sub(asked) >= every_seconds;
        if may {
            self.users.change(user, |user| user.asked = now.max(1));
        }
        may
    }

    /// The sessions that are inside a room and are not being closed.
    pub fn inside(&self, room: u32) -> impl Iterator<Item = (ConnId, Dialect)> {
        let users = self.rooms.at(room).members.users_from(0);
        users.flat_map(move |user| {
            let inside = self.devices(user).filter(move |(_, session)| session.is_inside(room) && !session.closing);
            inside.map(|(conn, session)| (conn, session.dialect))
        })
    }

    // Seats.

    /// The session wants to be in the room, and waits to be let in.
    pub fn ask_in(&mut self, conn: ConnId, room: u32) {
        if let Some(session) = self.sessions.find_mut(conn) {
            session.sit(room);
        }
    }

    /// The session does not want to be in the room any longer. Returns whether it did.
    pub fn ask_out(&mut self, conn: ConnId, room: u32) -> bool {
        let seat = self.sessions.find_mut(conn).and_then(|session| session.seat(room));
        seat.is_some_and(|seat| std::mem::take(&mut seat.wanted))
    }

    /// The session is put out: what it has asked for so far does not let it in any more, whenever the answer comes.
    pub fn keep_out(&mut self, conn: ConnId, room: u32) {
        if let Some(seat) = self.sessions.find_mut(conn).and_then(|session| session.seat(room)) {
            seat.void = seat.entering;
        }
    }

    /// The session, which asked, is not let in. If it is inside, it stays.
    pub fn turn_down(&mut self, conn: ConnId, room: u32) {
        let Some(session) = self.sessions.find_mut(conn) else { return };
        if let Some(seat) = session.seat(room) {
            (seat.entering, seat.void) = (seat.entering.saturating_sub(1), seat.void.saturating_sub(1));
            // It may have asked once more, or to leave.
            seat.wanted &= seat.inside || seat.entering > 0;
        }
        session.clear(room);
    }

    /// The session is let in; `None` if it was put out meanwhile, or is being closed.
    pub fn enter(&mut self, conn: ConnId, room: u32) -> Option<Entrance> {
        let session = self.sessions.find_mut(conn).filter(|session| !session.closing)?;
        let (user, dialect) = (session.user, session.dialect);
        let seat = session.seat(room)?;
        seat.entering = seat.entering.saturating_sub(1);
        if seat.void > 0 {
            seat.void -= 1;
            session.clear(room);
            return None;
        }
        let again = std::mem::replace(&mut seat.inside, true);
        seat.hears |= dialect == Dialect::Plain;
        let joined = if again { None } else { self.take_seat(user, room, dialect) };
        Some(Entrance { user, dialect, again, joined })
    }

    /// The session, which is inside, hears messages from now on. Returns whether it has a seat.
    pub fn hear(&mut self, conn: ConnId, room: u32) -> bool {
        let seat = self.sessions.find_mut(conn).and_then(|session| session.seat(room));
        seat.is_some_and(|seat| {
            seat.hears = true;
            true
        })
    }

    /// The life of the room of which the session hears messages, if it does.
    pub fn life_heard(&self, conn: ConnId, room: u32) -> Option<Epoch> {
        self.session(conn).filter(|session| session.hears(room))?;
        self.rooms.at(room).life
    }

    /// The session, which is inside, hears messages no longer. Returns whether it did.
    pub fn fall_behind(&mut self, conn: ConnId, room: u32) -> bool {
        let seat = self.sessions.find_mut(conn).and_then(|session| session.seat(room));
        seat.is_some_and(|seat| std::mem::take(&mut seat.hears))
    }

    /// The session leaves, or gives up waiting to be let in.
    pub fn leave(&mut self, conn: ConnId, room: u32) -> Option<Exit> {
        let session = self.sessions.find_mut(conn)?;
        let (user, dialect) = (session.user, session.dialect);
        let seat = session.seat(room).map(|seat| (std::mem::take(&mut seat.inside), std::mem::take(&mut seat.hears)));
        let (was_inside, heard) = seat.unwrap_or_default();
        session.clear(room);
        let mut left = None;
        if was_inside {
            self.uncount(room, dialect);
            self.note_moved_in(user, room);
            if self.rooms.at_mut(room).members.end_session(user) == 0 {
                left = self.depart(user, room);
            }
        }
        Some(Exit { dialect, was_inside, heard, left })
    }

    // Graces.

    /// When a grace is over next.
    pub fn next_grace(&self) -> Option<Tick> {
        self.graces.next()
    }

    /// The turn that began then took so long: graces that were set in it run as much longer, if that is long.
    pub fn turn_took(&mut self, began: Tick, took: Duration) {
        self.graces.turn_took(began, took);
    }

    /// The facts of the next grace that is over; `None`: none is.
    pub fn tick(&mut self, now: Tick) -> Option<Vec<Fact>> {
        Some(match self.graces.pop(now)? {
            Grace::Leave { user, room } => Vec::from_iter(self.depart(user, room)),
            Grace::Gone { user } => {
                let mut facts = self.end_graces(user);
                self.note_moved(user);
                if !self.abroad.has(user) {
                    self.users.note_met(user, false);
                    facts.push(self.part_with(user));
                }
                facts
            }
        })
    }

    /// No room waits for the user any longer. Without a device they leave now; with one, when the last is closed.
    pub fn wait_no_longer(&mut self, user: u32, now: Tick) -> Vec<Fact> {
        let facts = self.end_graces(user);
        let user_is = self.users.at(user);
        if user_is.present && user_is.devices == 0 {
            self.graces.set(Grace::Gone { user }, now);
        }
        facts
    }

    /// The room waits for the user no longer.
    pub fn wait_no_longer_in(&mut self, user: u32, room: u32) -> Option<Fact> {
        let waits = self.rooms.at(room).members.sessions(user) == Some(0);
        waits.then(|| self.depart(user, room)).flatten()
    }

    // Rooms.

    /// A new room. It ends with this call if no user comes or asks for it, and it gets no message.
    pub fn make_room(&mut self, name: RoomName, created_at: u64) -> u32 {
        let room = self.rooms.insert(name, created_at);
        self.unsettled.push(room);
        room
    }

    /// Ends an empty room, whatever it keeps.
    pub fn end_room(&mut self, room: u32) {
        self.rooms.end(room);
    }

    /// Takes an empty room from the list. The backend does not hear of it.
    pub fn unlist_room(&mut self, room: u32) {
        self.rooms.remove(room);
    }

    /// A room that is not on the list is over; the backend hears of it.
    pub fn release_unlisted(&mut self, room: &str) {
        self.rooms.ended.extend(RoomName::parse(room));
    }

    /// Notes a room of the backend. Returns whether it was called otherwise here, or was about something else.
    pub fn learn_room(&mut self, room: u32, description: &Description<'_>, keeps: bool, changes: u64) -> bool {
        let retold = self.change_topic(room, description.anew(), changes);
        let place = self.rooms.at_mut(room);
        place.created_at = description.created_at;
        place.created |= description.created;
        place.holds |= keeps;
        place.described = true;
        self.unsettled.push(room);
        retold
    }

    /// Notes the title and the topic that the backend tells of, unless it has told of later ones. Returns whether one
    /// of them is another.
    pub fn change_topic(&mut self, room: u32, anew: Anew<'_>, changes: u64) -> bool {
        let place = self.rooms.at_mut(room);
        if changes < place.changes {
            return false;
        }
        place.changes = changes;
        let mut is_new = false;
        for (held, told) in [(&mut place.title, anew.title), (&mut place.topic, anew.topic)] {
            let Some(told) = told.filter(|told| held.as_deref().unwrap_or_default() != *told) else { continue };
            *held = Some(told).filter(|told| !told.is_empty()).map(Into::into);
            is_new = true;
        }
        place.retold |= is_new && place.json > 0;
        is_new
    }

    /// The description of a room for the backend.
    pub fn description_of(&self, room: u32) -> Description<'_> {
        let room = self.rooms.at(room);
        Description {
            room: room.name.as_str(),
            title: room.title.as_deref(),
            topic: room.topic.as_deref(),
            created_at: room.created_at,
            created: room.created,
        }
    }

    /// A user made the room by `create_room`, and the backend knows it. What it has told of the room itself stands, or
    /// what somebody said who made it before: then this returns `false`.
    pub fn describe(&mut self, room: u32, title: Option<Box<str>>, topic: Option<Box<str>>) -> bool {
        let place = self.rooms.at_mut(room);
        let is_first = !std::mem::replace(&mut place.described, true);
        if is_first {
            (place.title, place.topic, place.created) = (title, topic, true);
        }
        self.unsettled.push(room);
        is_first
    }

    /// Whether nothing is known of a room but that somebody has asked for it.
    pub fn is_being_made(&self, room: u32) -> bool {
        let room = self.rooms.at(room);
        !room.described && !room.holds && !room.created && room.members.is_empty()
    }

    /// The backend knows the description of the room.
    pub fn note_described(&mut self, room: u32) {
        self.rooms.at_mut(room).described = true;
    }

    /// The backend keeps a message of the room, about which a request waits.
    pub fn note_kept(&mut self, room: u32) {
        self.rooms.at_mut(room).holds = true;
        self.unsettled.push(room);
    }

    /// A request about the room waits, and the room stays until [`release`](Self::release).
    pub fn hold(&mut self, room: u32) {
        self.rooms.hold(room);
    }

    /// Such a request is answered.
    pub fn release(&mut self, room: u32) {
        self.rooms.at_mut(room).waiting -= 1;
        self.unsettled.push(room);
    }

    /// Notes a message in the room; `kept`: it can be read later.
    pub fn note_said(&mut self, room: u32, kept: bool) {
        if kept {
            self.rooms.at_mut(room).holds = true;
        }
        self.rooms.note_said(room);
        self.unsettled.push(room);
    }

    /// The life of the room has ended elsewhere. A room with waiting requests here begins its next life, with its
    /// description here.
    pub fn note_ended(&mut self, room: u32) {
        let place = self.rooms.at_mut(room);
        (place.holds, place.described) = (false, false);
        if place.is_unused() {
            (place.title, place.topic, place.created) = (None, None, false);
        }
        self.unsettled.push(room);
    }

    /// The backend has told of this life of the room. Returns the one that it told of before, if that is another one.
    pub fn note_life(&mut self, room: u32, life: Epoch) -> Option<Epoch> {
        self.rooms.at_mut(room).life.replace(life).filter(|&before| before != life)
    }

    /// No message of the room can be read any more.
    pub fn note_emptied(&mut self, room: u32) {
        self.rooms.at_mut(room).holds = false;
        self.unsettled.push(room);
    }

    /// The room, which is big, hears its summary now.
    pub fn note_crowd_told(&mut self, room: u32, now: Tick) {
        self.rooms.at_mut(room).crowd_told = Some(now);
    }

    /// The plain sessions of the room hear its names now.
    pub fn note_names_told(&mut self, room: u32, now: Tick) {
        self.rooms.at_mut(room).names_told = Some(now);
    }

    /// Begins to count messages anew.
    pub fn begin_interval(&mut self) {
        self.rooms.begin_interval();
    }

    /// Ends empty rooms that keep nothing and about which no request waits.
    pub fn settle(&mut self, now: Tick) {
        for room in self.unsettled.drain(..) {
            self.rooms.settle(room, now);
        }
    }

    /// Ends rooms that were created, hold nothing, and have been empty since before. Returns whether any empty one is
    /// left.
    pub fn expire_rooms(&mut self, empty_before: Option<Tick>, now: Tick) -> bool {
        self.settle(now);
        if let Some(before) = empty_before {
            self.rooms.expire(before);
        }
        self.rooms.any_empty()
    }

    /// The rooms that have ended since this was last asked.
    pub fn take_ended(&mut self) -> Vec<RoomName> {
        std::mem::take(&mut self.rooms.ended)
    }

    /// The rooms that nobody here hears any more, since this was last asked.
    pub fn take_unfollowed(&mut self) -> Vec<RoomName> {
        self.rooms.unfollowed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What is held beside sessions, users and rooms: graces, and rooms that may be over.
    pub fn held_bytes_beside(&self) -> usize {
        self.graces.held_bytes()
            + self.abroad.held_bytes()
            + self.unsettled.capacity() * size_of::<u32>()
            + self.showing.len() * BYTES_PER_SHOWING
    }

    /// Shrinks the tables. Call it seldom.
    pub fn shrink(&mut self) {
        self.users.shrink();
        self.rooms.shrink();
        self.abroad.shrink();
        slack::shrink(&mut self.unsettled);
        slack::shrink(&mut self.showing);
    }

    /// Counts a session of the user into the room.
    fn take_seat(&mut self, user: u32, room: u32, dialect: Dialect) -> Option<Fact> {
        let place = self.rooms.at_mut(room);
        *place.count(dialect) += 1;
        if dialect == Dialect::Plain {
            self.with_plain.insert(room);
        }
        self.graces.cancel(Grace::Leave { user, room });
        self.unsettled.push(room);
        let was_member = place.members.begin_session(user);
        self.note_moved_in(user, room);
        if was_member {
            return None;
        }
        self.users.change(user, |user| user.rooms += 1);
        Some(Fact::Joined { room, user })
    }

    /// One session less is inside the room.
    fn uncount(&mut self, room: u32, dialect: Dialect) {
        let count = self.rooms.at_mut(room).count(dialect);
        *count -= 1;
        if *count == 0 && dialect == Dialect::Plain {
            self.with_plain.remove(&room);
        }
    }

    /// The user, of whom no session is inside here any more, is no member any more, but if another node has one.
    fn depart(&mut self, user: u32, room: u32) -> Option<Fact> {
        self.graces.cancel(Grace::Leave { user, room });
        self.note_moved_in(user, room);
        self.unsettled.push(room);
        if self.abroad.sessions(user, room).is_some() {
            return None;
        }
        self.rooms.at_mut(room).members.remove(user);
        self.users.change(user, |user| user.rooms -= 1);
        Some(Fact::Left { room, user: self.users.at(user).name.clone() })
    }

    /// Takes the session from its user, who has until then to come back if it was the last one.
    fn detach(&mut self, conn: ConnId, session: &Session, until: Tick) {
        let user = session.user;
        let first = self.users.at(user).first_device;
        if first == conn.index {
            self.users.change(user, |user| user.first_device = session.next_device);
        } else {
            let mut at = first;
            while let Some(device) = self.sessions.at_mut(at) {
                if device.next_device == conn.index {
                    device.next_device = session.next_device;
                    break;
                }
                at = device.next_device;
            }
        }
        let devices = self.users.change(user, |user| {
            user.devices -= 1;
            user.devices
        });
        self.note_moved(user);
        if devices == 0 {
            self.graces.set(Grace::Gone { user }, until);
        }
    }

    /// Rooms in which no session of the user is left do not wait for one.
    fn end_graces(&mut self, user: u32) -> Vec<Fact> {
        let rooms = self.graces.leaving(user);
        rooms.into_iter().filter_map(|room| self.wait_no_longer_in(user, room)).collect()
    }

    /// The user, who has no device anywhere and has left all rooms, is not here any more.
    fn part_with(&mut self, user: u32) -> Fact {
        self.abroad.note_since(user, 0);
        let before = self.users.at(user).view();
        let name = self.users.at(user).name.clone();
        self.users.leave(user);
        Fact::Gone { user: name, before }
    }
}

/// A status with a note that waits for a token.
const BYTES_PER_SHOWING: usize = 320;

/// How long the user of a session that ends may take to come back.
fn grace_of(session: &Session, grace: Duration) -> Duration {
    if session.expelled { Duration::ZERO } else { grace }
}

/// The wall clock as sessions keep it: small.
fn seconds(now: Moment) -> u32 {
    (now.unix_ms / 1000) as u32
}

#[cfg(test)]
impl Roster {
    /// The invariants between calls.
    #[track_caller]
    pub fn check(&self) {
        use std::collections::BTreeMap;
        let mut inside: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        let mut devices: BTreeMap<u32, u32> = BTreeMap::new();
        let mut by_dialect: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for (_, session) in self.sessions.iter().filter(|(_, session)| session.user != NOBODY) {
            *devices.entry(session.user).or_default() += 1;
            for seat in session.seats.iter() {
                assert!(seat.inside || !seat.hears);
                if seat.inside {
                    *inside.entry((seat.room, session.user)).or_default() += 1;
                    let (json, plain) = by_dialect.entry(seat.room).or_default();
                    match session.dialect {
                        Dialect::Json => *json += 1,
                        Dialect::Plain => *plain += 1,
                    }
                }
            }
        }
        let mut memberships: BTreeMap<u32, u32> = BTreeMap::new();
        for (key, room) in self.rooms.after(None) {
            for user in room.members.users_from(0) {
                let count = room.members.sessions(user).expect("a member is one");
                *memberships.entry(user).or_default() += 1;
                assert_eq!(inside.remove(&(key, user)).unwrap_or(0), count);
                let waits = self.graces.runs(Grace::Leave { user, room: key });
                let abroad = self.abroad.sessions(user, key).is_some();
                assert!(count == 0 || !waits, "{} in {}", self.user(user).name, room.name);
                assert!(count > 0 || waits || abroad, "{} in {}", self.user(user).name, room.name);
            }
            assert_eq!(by_dialect.remove(&key).unwrap_or_default(), (room.json, room.plain), "{}", room.name);
            assert_eq!(self.with_plain.contains(&key), room.plain > 0, "{}", room.name);
        }
        assert!(inside.is_empty(), "inside without being members: {inside:?}");
        let mut visible = 0;
        for user in self.users.after(None) {
            let key = self.users.find(user.name.as_str()).expect("a user has a name");
            assert_eq!(devices.remove(&key).unwrap_or(0), user.devices);
            assert_eq!(memberships.remove(&key).unwrap_or(0), user.rooms);
            assert_eq!(self.devices(key).count(), user.devices as usize);
            let waits = self.graces.runs(Grace::Gone { user: key });
            assert_eq!(user.abroad, self.abroad.devices(key), "{}", user.name);
            assert_eq!(user.present, user.devices > 0 || waits || self.abroad.has(key), "{}", user.name);
            assert!(user.devices == 0 || !waits, "{}", user.name);
            visible += usize::from(user.visible());
        }
        assert_eq!(visible, self.users.visible());
        assert!(self.unsettled.is_empty());
        self.rooms.check();
    }

    /// Whether no user is here and no room is left.
    pub fn is_empty(&self) -> bool {
        self.sessions.len() == 0
            && self.rooms.len() == 0
            && self.with_plain.is_empty()
            && self.showing.is_empty()
            && self.graces.next().is_none()
    }
}
