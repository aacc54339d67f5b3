//! Other nodes: chats that share the store of this one. What is neither numbered nor kept goes to them as a word, and
//! theirs is carried out here. People who are here are posted, and those there count with them (`roster::nodes`).
//!
//! Where the store is not shared, nothing of it costs anything: the list of `others` takes no word, and nobody is
//! posted. A word is carried out by each node for the sessions that it has; the one that says it has done so already.

use super::checks::user_name;
use super::farewell::Farewell;
use super::hall::{Hall, SEAT_BYTES};
use super::name::{RoomName, UserName};
use super::others::MAX_WORDS;
use super::roster::nodes::{Moved, Stands};
use super::roster::room::{EVERYBODY, topic};
use super::roster::session::Dialect;
use super::roster::user::{Shows, Status};
use super::turn::{Ctx, Turn};
use super::typists::Target;
use super::wire::entries::{Broadcast, Item};
use super::wire::order::Whom;
use super::wire::plain;
use super::wire::word::{Stand, Word};
use crate::backend::{Audience, Presence, Request};

impl Hall {
    /// Hands the store what other nodes are to be told. A word that it does not take is lost.
    pub(super) fn tell_others(&mut self, ctx: &mut Ctx<'_>) {
        for (user, room) in std::mem::take(&mut self.others.kicked) {
            let Some(key) = self.roster.rooms().find(room.as_str()) else { continue };
            if let Ok(sessions) = self.sessions_of(&Whom::User(user.as_str().into())) {
                self.put_sessions_out(&sessions, key, ctx);
                self.wait_no_longer_in(user.as_str(), room.as_str(), ctx);
            }
        }
        if self.others.words.len() > 0 {
            for word in (0..).map_while(|at| self.others.words.get(at)) {
                let _ = ctx.store.ask(word);
            }
            self.others.words.clear();
        }
        // What it does not take is asked for in the next turn.
        while let Some(room) = self.others.listed.first()
            && ctx.store.ask(Request::Seats { room: room.as_str() }).is_ok()
        {
            self.others.listed.pop_first();
        }
    }

    /// Hands the store who has come and gone here, and how they are seen. What it does not take is told later.
    pub(super) fn post_moved(&mut self, ctx: &mut Ctx<'_>) {
        let moved = self.roster.take_moved();
        if moved.is_empty() {
            return;
        }
        let (users, rooms): (Vec<Moved>, Vec<Moved>) = moved.into_iter().partition(|(room, _)| room.is_none());
        let sits = |it: &Moved| it.0.as_ref().and_then(|room| self.roster.sits(&it.1, room));
        let (in_rooms, left): (Vec<Moved>, Vec<Moved>) = rooms.into_iter().partition(|it| sits(it).is_some());
        let mut again = Vec::new();
        // Rooms are left before their user is gone, and entered when their user has come.
        for it in left.into_iter().chain(users).chain(in_rooms) {
            let how = match &it.0 {
                Some(room) => self.roster.sits(&it.1, room).map(|sessions| sessions.to_string()),
                None => self.roster.stands(&it.1).map(|(guest, stands)| stand_of(guest, &stands)),
            };
            let presence = Presence { room: it.0.as_ref().map(RoomName::as_str), user: it.1.as_str() };
            let taken = again.is_empty() && ctx.store.ask(Request::Post { presence, how: how.as_deref() }).is_ok();
            if !taken {
                again.push(it);
            }
        }
        again.into_iter().for_each(|it| self.roster.moves_again(it));
    }

    /// Another node says who is there, and in which rooms. Where nobody more can be known, nobody is.
    pub(super) fn posted(&mut self, node: u64, presence: Presence<'_>, how: Option<&str>, turn: &mut Turn<'_>) {
        let Ok(name) = UserName::parse(presence.user) else { return };
        let known = self.roster.users().find(name.as_str());
        let now = turn.now;
        match (presence.room, how) {
            (None, Some(text)) => {
                let Some((stand, status)) =
                    Stand::read(text).and_then(|stand| Status::parse(&stand.status).map(|status| (stand, status)))
                else {
                    return;
                };
                if known.is_none() && self.take_memory_for_user(&name).is_err() {
                    return;
                }
                let user = self.roster.know_abroad(&name, stand.guest);
                let shows = Shows { status, note: stand.note.map(|note| note.into_owned().into()) };
                let stands = Stands { devices: stand.devices, shows, since: stand.since };
                let seen = self.roster.stand_abroad(node, user, stands);
                self.tell(Some(seen), turn);
            }
            (None, None) => {
                if let Some(user) = known {
                    let facts = self.roster.gone_abroad(node, user);
                    self.tell(facts, turn);
                }
            }
            (Some(room), Some(sessions)) => {
                let (Some(user), Ok(sessions)) = (known, sessions.parse()) else { return };
                let Some(room) = self.list_room(room, now.unix_ms, turn) else {
                    self.others.had_no_place = true;
                    return;
                };
                if self.roster.room(room).members.sessions(user).is_none() && self.allowance.take(SEAT_BYTES).is_err() {
                    return;
                }
                let joined = self.roster.sit_abroad(node, user, room, sessions);
                self.tell(joined, turn);
            }
            (Some(room), None) => {
                if let (Some(user), Some(room)) = (known, self.roster.rooms().find(room)) {
                    let left = self.roster.left_abroad(node, user, room);
                    self.tell(left, turn);
                }
            }
        }
    }

    /// Another node says something to people here.
    pub(super) fn told(&mut self, to: Audience<'_>, word: &str, turn: &mut Turn<'_>) {
        match (Word::read(word), to) {
            (Some(Word::Typing { user, on }), Audience::Room(room)) => {
                if let (Ok(user), Some(room)) = (user_name(&user), self.roster.rooms().find(room)) {
                    self.types_afar(user, Target::Room(room), on, turn);
                }
            }
            (Some(Word::Typing { user, on }), Audience::User(to)) => {
                if let (Ok(user), Some(to)) = (user_name(&user), self.roster.users().find(to)) {
                    let to = self.roster.user(to).name.clone();
                    self.types_afar(user, Target::User(to), on, turn);
                }
            }
            (Some(Word::Announced { sender, content, ts }), Audience::Everybody) => {
                self.announced(&sender, &content, ts, turn);
            }
            (Some(Word::Kicked { room: None }), Audience::User(user)) => {
                self.put_out_of_server(user, turn);
            }
            (Some(Word::Kicked { room: Some(room) }), Audience::User(user)) => {
                if let (Ok(user), Ok(room)) = (UserName::parse(user), RoomName::parse(&room))
                    && self.others.kicked.len() < MAX_WORDS
                {
                    self.others.kicked.push((user, room));
                }
            }
            (Some(Word::Disconnected { code }), Audience::User(user)) => {
                let (Some(farewell), Some(user)) = (Farewell::disconnected(code), self.roster.users().find(user))
                else {
                    return;
                };
                let sessions: Vec<_> = self.roster.open_devices(user).collect();
                sessions.into_iter().for_each(|session| self.dismiss(session, farewell, turn));
            }
            // Another version may have more words.
            (None, _) | (Some(_), _) => {}
        }
    }

    /// Somebody on another node has spoken to everybody. Of a plain room where not everybody may speak it is not known
    /// whether they may, so it does not hear it.
    fn announced(&mut self, sender: &str, content: &str, ts: u64, turn: &mut Turn<'_>) {
        turn.out.say_in(EVERYBODY, &[], &Broadcast { room_id: "*", item: Item::announced(sender, content, ts) });
        for &room in self.roster.with_plain().iter().filter(|&&room| self.is_for_everybody_to_speak(room)) {
            let name = self.roster.room(room).name.as_str();
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::chat(out, content, name, sender));
        }
    }
}

/// A user as other nodes are told of them.
fn stand_of(guest: bool, stands: &Stands) -> String {
    let Stands { devices, shows: Shows { status, note }, since } = stands;
    let (status, note) = (status.as_str().into(), note.as_deref().map(Into::into));
    Stand { devices: *devices, guest, status, note, since: *since }.write()
}
