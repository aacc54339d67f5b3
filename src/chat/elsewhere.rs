//! Other nodes: chats that share the store of this one. What is neither numbered nor kept goes to them as a word, and
//! theirs is carried out here.
//!
//! Where the store is not shared, nothing of it costs anything: the list of `others` takes no word. A word is carried out
//! by each node for the sessions that it has; the one that says it has done so already.

use super::checks::user_name;
use super::farewell::Farewell;
use super::hall::Hall;
use super::name::{RoomName, UserName};
use super::others::MAX_WORDS;
use super::roster::room::{EVERYBODY, topic};
use super::roster::session::Dialect;
use super::turn::{Ctx, Turn};
use super::typists::Target;
use super::wire::entries::{Broadcast, Item};
use super::wire::order::Whom;
use super::wire::plain;
use super::wire::word::Word;
use crate::backend::Audience;

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

    /// Somebody on another node has spoken to everybody.
    fn announced(&mut self, sender: &str, content: &str, ts: u64, turn: &mut Turn<'_>) {
        turn.out.say_in(EVERYBODY, &[], &Broadcast { room_id: "*", item: Item::announced(sender, content, ts) });
        for &room in self.roster.with_plain() {
            let name = self.roster.room(room).name.as_str();
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::chat(out, content, name, sender));
        }
    }
}
