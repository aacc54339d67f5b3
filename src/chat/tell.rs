//! Facts made into messages: rooms hear who comes and goes, watchers hear how users are seen.
//!
//! The roster returns what has happened ([`Fact`]); this file decides who hears of it and by which message. It changes
//! nothing but typing, which ends where its user leaves, and timers.

use super::hall::Hall;
use super::name::UserName;
use super::roster::Fact;
use super::roster::room::{Room, topic};
use super::roster::session::Dialect;
use super::roster::user::{NOBODY_THERE, Status, View};
use super::settings::Settings;
use super::timers::Timer;
use super::turn::Turn;
use super::typists::Target;
use super::wire::{answer, plain};
use crate::id::ConnId;

impl Hall {
    /// Sends facts to every session that they concern, in order.
    pub(super) fn tell(&mut self, facts: impl IntoIterator<Item = Fact>, turn: &mut Turn<'_>) {
        self.tell_but_for(None, facts, turn);
    }

    /// The same, but one session does not hear who comes and goes: it is the one that does.
    pub(super) fn tell_but_for(
        &mut self,
        except: Option<ConnId>,
        facts: impl IntoIterator<Item = Fact>,
        turn: &mut Turn<'_>,
    ) {
        for fact in facts {
            match fact {
                Fact::Seen { user, before } => self.tell_watchers(user, before, turn),
                Fact::Renamed { conn, guest, user } => self.tell_renamed(conn, guest, user, turn),
                Fact::Joined { room, user } => self.tell_joined(room, user, except.as_slice(), turn),
                Fact::Left { room, user } => {
                    self.end_typing(&user, Target::Room(room), turn);
                    self.tell_left(room, user.as_str(), except.as_slice(), turn);
                    if self.roster.room(room).members.is_empty() {
                        self.timers.cancel(Timer::Crowd { room });
                        self.timers.cancel(Timer::Names { room });
                        self.sweep_later(turn);
                    }
                }
                Fact::Gone { user, before } => {
                    self.slacken(turn);
                    self.tell_gone(&user, &before, turn);
                }
            }
        }
    }

    /// Sends a room that a user has come; the member is counted already.
    fn tell_joined(&mut self, room: u32, user: u32, except: &[ConnId], turn: &mut Turn<'_>) {
        if self.is_big(room, 0, turn.settings) {
            self.crowd_changed(room, turn);
            return;
        }
        let (place, user) = (self.roster.room(room), self.roster.user(user).name.as_str());
        let name = place.name.as_str();
        if place.json > 0 {
            let joined = answer::UserJoined { room_id: name, user_id: user };
            turn.out.say_in(topic(room, Dialect::Json), except, &joined);
        }
        if place.plain > 0 {
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::user_joined(out, name, user));
            self.names_changed(room, turn);
        }
    }

    /// Sends a room that a user has gone; the member is no longer counted.
    fn tell_left(&mut self, room: u32, user: &str, except: &[ConnId], turn: &mut Turn<'_>) {
        // Whether the room is big depends on its members when all were still inside.
        if self.is_big(room, 1, turn.settings) {
            self.crowd_changed(room, turn);
            return;
        }
        let place = self.roster.room(room);
        let name = place.name.as_str();
        if place.json > 0 {
            let left = answer::UserLeft { room_id: name, user_id: user };
            turn.out.say_in(topic(room, Dialect::Json), except, &left);
        }
        if place.plain > 0 {
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::user_left(out, name, user));
            self.names_changed(room, turn);
        }
    }

    /// The title and the topic stand as the store has told of the whole room: those inside hear it, who know of others.
    pub(super) fn topic_stands(&self, room: u32, turn: &mut Turn<'_>) {
        let place = self.roster.room(room);
        if place.json > 0 {
            turn.out.say_in(topic(room, Dialect::Json), &[], &as_it_stands(place));
        }
    }

    /// The session hears the room from here on: it may have missed a change.
    pub(super) fn tell_topic(&self, conn: ConnId, room: u32, turn: &mut Turn<'_>) {
        let place = self.roster.room(room);
        if place.retold {
            turn.out.say(conn, &as_it_stands(place));
        }
    }

    /// Sends a user's presence to its watchers, if it has changed. `before`: the presence for the user's own devices.
    fn tell_watchers(&self, user: u32, before: View, turn: &mut Turn<'_>) {
        let (key, user) = (user, self.roster.user(user));
        let own = |watcher: &ConnId| self.user_of(*watcher) == Some(key);
        let seen = |view: View| match view.status {
            Status::Offline => NOBODY_THERE,
            _ => view,
        };
        self.tell_view(&user.name, &before, &user.own_view(), own, turn);
        self.tell_view(&user.name, &seen(before), &user.view(), |watcher| !own(watcher), turn);
    }

    /// Sends the watchers of a user who was seen like this that the user is gone.
    fn tell_gone(&self, name: &UserName, before: &View, turn: &mut Turn<'_>) {
        self.tell_view(name, before, &NOBODY_THERE, |_| true, turn);
    }

    /// A guest session has become this user. If either of the two is invisible, the session's own view of it has
    /// changed: send it.
    fn tell_renamed(&self, conn: ConnId, guest: u32, user: u32, turn: &mut Turn<'_>) {
        let (guest, user) = (self.roster.user(guest), self.roster.user(user));
        self.tell_view(&guest.name, &guest.own_view(), &guest.view(), |&watcher| watcher == conn, turn);
        self.tell_view(&user.name, &user.view(), &user.own_view(), |&watcher| watcher == conn, turn);
    }

    fn tell_view(
        &self,
        name: &UserName,
        before: &View,
        after: &View,
        whom: impl Fn(&ConnId) -> bool,
        turn: &mut Turn<'_>,
    ) {
        if (before.status, &before.note) == (after.status, &after.note) {
            return;
        }
        let watchers = self.watches.watchers(name);
        let presence = answer::Presence { user_id: name.as_str(), status: after.status, note: after.note.as_deref() };
        turn.out.say_each(watchers.iter().copied().filter(whom), &presence);
    }

    /// Whether the room hears of comings and goings in summary; `gone`: users who were inside a moment ago.
    pub(super) fn is_big(&self, room: u32, gone: usize, settings: &Settings) -> bool {
        self.roster.room(room).members.len() + gone > settings.big_room
    }

    /// The names of those in a room, or of some of them if it is big, and how many there are.
    pub(super) fn who_is_in(&self, room: u32, settings: &Settings) -> (Vec<&str>, usize) {
        let members = &self.roster.room(room).members;
        let names = members.names(settings.big_room, |user| self.roster.user(user).name.as_str());
        (names, members.len())
    }

    /// The plain sessions of a room that is not big hear its names behind each that comes or goes. Where these are many
    /// bytes they hear them soon, but not often: somebody who comes and goes all the time would have each be sent
    /// thousands of times what they say themselves.
    fn names_changed(&mut self, room: u32, turn: &mut Turn<'_>) {
        let (users, _) = self.who_is_in(room, turn.settings);
        let is_short = users.iter().map(|user| user.len()).sum::<usize>() <= NAMES_AT_ONCE;
        let next = self.roster.room(room).names_told.map(|told| told + turn.settings.big_room_every);
        let timer = Timer::Names { room };
        match next.filter(|next| *next > turn.now.tick) {
            Some(next) if !is_short => {
                if !self.timers.is_set(&timer) {
                    self.timers.set(timer, next);
                }
            }
            _ => self.tell_names(room, turn),
        }
    }

    pub(super) fn tell_names(&mut self, room: u32, turn: &mut Turn<'_>) {
        self.timers.cancel(Timer::Names { room });
        self.roster.note_names_told(room, turn.now.tick);
        let name = self.roster.room(room).name.as_str();
        let (users, _) = self.who_is_in(room, turn.settings);
        turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::online_users(out, name, &users));
    }

    /// Whether the plain sessions of a room are to hear its names later.
    pub(super) fn owes_names(&self, room: u32) -> bool {
        self.timers.is_set(&Timer::Names { room })
    }

    /// The crowd hears its summary soon, but not often.
    fn crowd_changed(&mut self, room: u32, turn: &Turn<'_>) {
        let timer = Timer::Crowd { room };
        if !self.timers.is_set(&timer) {
            let told = self.roster.room(room).crowd_told;
            let at = told.map_or(turn.now.tick, |told| told + turn.settings.big_room_every);
            self.timers.set(timer, at.max(turn.now.tick));
        }
    }

    pub(super) fn tell_crowd(&mut self, room: u32, turn: &mut Turn<'_>) {
        self.roster.note_crowd_told(room, turn.now.tick);
        let name = self.roster.room(room).name.as_str();
        let (users, count) = self.who_is_in(room, turn.settings);
        let online = answer::OnlineUsers { room_id: name, users: &users, count };
        turn.out.say_in(topic(room, Dialect::Json), &[], &online);
        turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::online_users(out, name, &users));
    }
}

/// Bytes of names that plain sessions hear behind everybody who comes or goes: some three times what they hear of that
/// user.
const NAMES_AT_ONCE: usize = 1024;

/// What a room is called and is about, said by nobody.
fn as_it_stands(place: &Room) -> answer::Topic<'_> {
    let (room_id, topic) = (place.name.as_str(), place.topic.as_deref().unwrap_or_default());
    answer::Topic { room_id, name: place.title.as_deref().unwrap_or(room_id), topic, sender: None }
}
