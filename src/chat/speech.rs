//! What people say: in a room, to one, to some, to everybody.
//!
//! All but the last goes through the backend, which numbers it. A room hears it with one publication for each dialect,
//! however many are inside; only the session that said it gets a copy of its own, if it wants its `id` back.

use std::collections::BTreeSet;

use super::hall::{Hall, PAIR_BYTES, user_name};
use super::name::UserName;
use super::retry::Answer;
use super::roster::room::{EVERYBODY, topic};
use super::roster::session::Dialect;
use super::turn::{Ask, Asker, Ctx, Turn};
use super::typing::Target;
use super::waiting::{Tally, Waiting, What};
use super::wire::answer::{Ack, Broadcast, Direct, Item};
use super::wire::{Code, Id, Refusal, json, plain};
use crate::backend::{Conversation, Message, NewMessage};
use crate::id::ConnId;

/// Whether something is said for the first time.
enum First {
    /// Yes; to be remembered by this, if it has an `id`.
    Yes(Option<u64>),
    /// No, and that has been answered.
    No,
}

/// Where something is said, as a retry must repeat it.
#[derive(Clone, Copy)]
enum To<'a> {
    Room(&'a str),
    User(&'a str),
    Users(&'a str),
}

impl Hall {
    pub(super) fn broadcast(
        &mut self,
        ask: Ask<'_>,
        room: Option<&str>,
        content: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let room = match room {
            Some("*") => return self.announce(ask, content, ctx),
            Some(name) => match self.wanted_room(ask.conn, name) {
                Ok(room) => room,
                // Whoever has said it, and is not back in the room yet, is told what became of it, and nothing that they did not say.
                Err(refusal) => {
                    return match self.first_time(ask, To::Room(name), content, ctx)? {
                        First::Yes(_) => Err(refusal),
                        First::No => Ok(()),
                    };
                }
            },
            None => {
                let Some(session) = self.sessions.find(ask.conn) else { return Ok(()) };
                let mut wanted = session.seats.iter().filter(|seat| seat.wanted);
                match (wanted.next(), wanted.next()) {
                    (Some(seat), None) => seat.room,
                    (None, _) => {
                        let message = "expected a session that has joined a room, found one that has joined none";
                        return Err(Refusal::new(Code::NotJoined, message));
                    }
                    (Some(_), Some(_)) => {
                        let message =
                            "`room_id`: expected one of the rooms that this session has joined, found nothing";
                        return Err(Refusal::new(Code::BadRequest, message));
                    }
                }
            }
        };
        self.say_in(ask, room, content, ctx)
    }

    /// Says something in a room that the session asked to be in. Told by [`Hall::said_in`].
    pub(super) fn say_in(&mut self, ask: Ask<'_>, room: u32, content: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        Self::check_content(content, ctx)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let room_name = self.rooms.at(room).name.clone();
        let First::Yes(said) = self.first_time(ask, To::Room(room_name.as_str()), content, ctx)? else {
            return Ok(());
        };
        if ask.id.is_some() {
            self.may_wait_for_replay(ask.conn, room)?;
        }
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what: What::Broadcast { said } };
        let sender = self.users.at(user).name.clone();
        self.append(waiting, Conversation::Room(room_name.as_str()), sender.as_str(), content, ctx)?;
        self.remember(said, ctx);
        Ok(())
    }

    /// The message has its number: the room hears it.
    pub(super) fn said_in(
        &mut self,
        ask: Ask<'_>,
        room: u32,
        message: Message<'_>,
        said: Option<u64>,
        turn: &mut Turn<'_>,
    ) {
        self.counts.messages += 1;
        self.answer_said(said, Some(message.seq), message.ts);
        if self.keeps {
            self.rooms.at_mut(room).holds = true;
            self.sweep_later(turn);
        }
        self.sender_stops_typing(message.sender, Target::Room(room), turn);
        let session = self.sessions.find(ask.conn);
        let (inside, hears) = session.map_or((false, false), |session| (session.is_inside(room), session.hears(room)));
        if let Some(id) = ask.id.filter(|_| inside && !hears) {
            self.note_own(ask.conn, id, room, message);
        }
        self.rooms.note_said(room);
        let place = self.rooms.at(room);
        let name = place.name.as_str();
        if place.json > 0 {
            let own = ask.id.filter(|_| hears);
            let except: &[ConnId] = if own.is_some() { &[ask.conn] } else { &[] };
            let heard = topic(room, Dialect::Json);
            turn.out.publish(heard, except, |out| json::broadcast(out, None, name, message));
            if own.is_some() {
                turn.out.send(ask.conn, |out| json::broadcast(out, own, name, message));
            }
        }
        if self.is_operator(ask.conn) {
            turn.out.send(ask.conn, |out| json::broadcast(out, ask.id, name, message));
        }
        if place.plain > 0 {
            let heard = topic(room, Dialect::Plain);
            turn.out.publish(heard, &[], |out| plain::chat(out, message.content, name, message.sender));
        }
    }

    pub(super) fn direct(&mut self, ask: Ask<'_>, to: &str, content: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let to = self.known_user(to)?;
        Self::check_content(content, ctx)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let to = self.users.at(to).name.clone();
        let First::Yes(said) = self.first_time(ask, To::User(to.as_str()), content, ctx)? else {
            return Ok(());
        };
        let what = What::Direct { to: to.clone(), said };
        let waiting = Waiting { asker: ask.keep(), room: None, what };
        let sender = self.users.at(user).name.clone();
        let conversation = Conversation::Direct(sender.as_str(), to.as_str());
        self.append(waiting, conversation, sender.as_str(), content, ctx)?;
        self.remember(said, ctx);
        Ok(())
    }

    /// The message has its number: the devices of both hear it.
    pub(super) fn said_to(
        &mut self,
        ask: Ask<'_>,
        to: &UserName,
        message: Message<'_>,
        said: Option<u64>,
        turn: &mut Turn<'_>,
    ) {
        self.counts.messages += 1;
        self.answer_said(said, Some(message.seq), message.ts);
        self.sweep_later(turn);
        self.sender_stops_typing(message.sender, Target::User(to.clone()), turn);
        let recipient = self.users.find(to.as_str());
        let sender = self.users.find(message.sender).filter(|&sender| recipient != Some(sender));
        let others: Vec<ConnId> = recipient
            .into_iter()
            .chain(sender)
            .flat_map(|user| self.json_devices(user))
            .filter(|&device| device != ask.conn)
            .collect();
        let direct = Direct::new(to.as_str(), message);
        turn.out.say_each(others, &direct);
        turn.out.answer(ask, &direct);
    }

    pub(super) fn multicast(
        &mut self,
        ask: Ask<'_>,
        to: &[std::borrow::Cow<'_, str>],
        content: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        ctx.out.note_names(to.iter().map(|name| &**name));
        let names = to.iter().map(|name| user_name(name)).collect::<Result<BTreeSet<_>, _>>()?;
        if names.is_empty() || names.len() > MAX_RECIPIENTS {
            let message = format!("`user_ids`: expected 1 to {MAX_RECIPIENTS} names, found {}", names.len());
            let code = if names.is_empty() { Code::BadRequest } else { Code::TooLarge };
            return Err(Refusal::new(code, message));
        }
        Self::check_content(content, ctx)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        // U+0000 stands in no name, so that no two lists look alike.
        let all: Vec<&str> = names.iter().map(UserName::as_str).collect();
        let First::Yes(said) = self.first_time(ask, To::Users(&all.join("\0")), content, ctx)? else {
            return Ok(());
        };
        let sender = self.users.at(user).name.clone();
        let tally = Box::new(Tally { said, ..Tally::default() });
        let of = self.wait(Waiting { asker: ask.keep(), room: None, what: What::Multicast(tally) })?.0 as u32;
        let mut tally = Tally { said, ..Tally::default() };
        ctx.out.note_work(names.len() * COPY);
        for to in names {
            if self.users.find(to.as_str()).is_none() {
                tally.unknown.push(to);
                continue;
            }
            let copy = Waiting { asker: Asker::unnamed(ask.conn), room: None, what: What::Copy { of, to: to.clone() } };
            let conversation = Conversation::Direct(sender.as_str(), to.as_str());
            match self.append(copy, conversation, sender.as_str(), content, ctx) {
                Ok(()) => tally.outstanding += 1,
                Err(_) => tally.failed.push(to),
            }
        }
        let done = tally.outstanding == 0;
        if let Some(Waiting { what: What::Multicast(waiting), .. }) = self.waiting.get_mut(of as usize) {
            **waiting = tally;
        }
        self.remember(said, ctx);
        if done {
            self.finish_multicast(of, ctx);
        }
        Ok(())
    }

    /// One copy has its number, or failed. The devices of both hear it, but for the one that said it.
    pub(super) fn copied(&mut self, of: u32, to: &UserName, message: Option<Message<'_>>, turn: &mut Turn<'_>) {
        let mut delivered = false;
        if let Some(message) = message {
            self.counts.messages += 1;
            self.sweep_later(turn);
            self.sender_stops_typing(message.sender, Target::User(to.clone()), turn);
            let saying = self.waiting.get(of as usize).map(|waiting| waiting.asker.conn);
            let recipient = self.users.find(to.as_str());
            let mut devices: Vec<ConnId> = recipient.into_iter().flat_map(|user| self.json_devices(user)).collect();
            // Who hides hears it, and counts as one who is not here: the answer must not tell the two apart.
            let own = message.sender == to.as_str();
            let seen = own || recipient.is_some_and(|user| self.users.at(user).visible());
            delivered = seen && !devices.is_empty();
            let sender = self.users.find(message.sender).filter(|&sender| recipient != Some(sender));
            let others = sender.into_iter().flat_map(|user| self.json_devices(user));
            devices.extend(others.filter(|&device| Some(device) != saying));
            turn.out.say_each(devices, &Direct::new(to.as_str(), message));
        }
        let Some(Waiting { what: What::Multicast(tally), .. }) = self.waiting.get_mut(of as usize) else { return };
        let list = match message {
            None => &mut tally.failed,
            Some(_) if delivered => &mut tally.delivered,
            Some(_) if self.keeps => &mut tally.stored,
            // Nobody will ever find it.
            Some(_) => &mut tally.missed,
        };
        list.push(to.clone());
        tally.outstanding -= 1;
        if tally.outstanding == 0 {
            self.finish_multicast(of, turn);
        }
    }

    fn finish_multicast(&mut self, of: u32, turn: &mut Turn<'_>) {
        let Some(Waiting { asker, what: What::Multicast(tally), .. }) = self.waiting.try_remove(of as usize) else {
            return;
        };
        match tally.failed.is_empty() {
            true => self.answer_said(tally.said, None, turn.now.unix_ms),
            // Saying it again reaches the others twice, but saying nothing would lose it for these.
            false => tally.said.into_iter().for_each(|said| self.said.fail(said)),
        }
        let ack = Ack::Multicast {
            delivered: &tally.delivered,
            stored: &tally.stored,
            unknown: &tally.unknown,
            missed: &tally.missed,
            failed: &tally.failed,
        };
        turn.out.answer(asker.ask(), &ack);
    }

    /// Says something to every session. It is neither numbered nor kept.
    fn announce(&mut self, ask: Ask<'_>, content: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if !self.may_announce(ask.conn, turn.settings) {
            let message = "expected a session that may speak to everybody, found one that may not";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        Self::check_content(content, turn)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let First::Yes(said) = self.first_time(ask, To::Room("*"), content, turn)? else { return Ok(()) };
        self.pay_to_announce(ask.conn, turn)?;
        self.counts.messages += 1;
        self.remember(said, turn);
        self.answer_said(said, None, turn.now.unix_ms);
        let sender = self.users.at(user).name.as_str();
        let ts = turn.now.unix_ms;
        let announcement = Broadcast { room_id: "*", item: Item { sender, user_id: None, content, seq: None, ts } };
        let own = ask.id.is_some() || self.is_operator(ask.conn);
        let except: &[ConnId] = if own { &[ask.conn] } else { &[] };
        turn.out.say_in(EVERYBODY, except, &announcement);
        if own {
            turn.out.answer(ask, &announcement);
        }
        for &room in &self.with_plain {
            let name = self.rooms.at(room).name.as_str();
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::chat(out, content, name, sender));
        }
        Ok(())
    }

    fn append(
        &mut self,
        waiting: Waiting,
        conversation: Conversation<'_>,
        sender: &str,
        content: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        if let Conversation::Direct(one, other) = conversation
            && self.memory_left.is_some()
            && !ctx.store.knows(conversation)
        {
            self.take_memory(PAIR_BYTES + 2 * (one.len() + other.len()))?;
        }
        let ticket = self.wait(waiting)?;
        ctx.store.append(conversation, NewMessage { sender, content, at: ctx.now }, ticket).map_err(|overloaded| {
            self.answered(ticket);
            overloaded.into()
        })
    }

    fn check_content(content: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
        let limit = turn.settings.content_bytes;
        if content.len() > limit {
            let message = format!("`content`: expected at most {limit} bytes, found {}", content.len());
            return Err(Refusal::new(Code::TooLarge, message));
        }
        Ok(())
    }

    /// Answers who says something again; others are told by what it is to be remembered.
    fn first_time(&mut self, ask: Ask<'_>, to: To<'_>, content: &str, turn: &mut Turn<'_>) -> Result<First, Refusal> {
        let (Some(id), Some(user)) = (ask.id, self.user_of(ask.conn)) else { return Ok(First::Yes(None)) };
        let session = match self.sessions.find(ask.conn) {
            Some(session) => session.id,
            // Integers count in a session, and a call is in none.
            None if !matches!(id, Id::Text(_)) => return Ok(First::Yes(None)),
            None => 0,
        };
        let user = self.users.at(user).name.as_str();
        let place = match to {
            To::Room(name) => ("room", name),
            To::User(name) => ("user", name),
            To::Users(names) => ("users", names),
        };
        let fingerprint = self.said.fingerprint(user, session, id, place, content);
        match self.said.find(fingerprint, turn.now.tick) {
            None => Ok(First::Yes(Some(fingerprint))),
            Some(Answer::Waiting) => {
                let message = "expected the first try of this `id` to be answered, found it waiting still";
                Err(Refusal::new(Code::Overloaded, message))
            }
            Some(Answer::Said { seq, ts }) => {
                let (room_id, user_id) = match to {
                    To::Room(name) => (Some(name), None),
                    To::User(name) => (None, Some(name)),
                    To::Users(_) => (None, None),
                };
                turn.out.answer(ask, &Ack::Said { room_id, user_id, seq, ts, dup: true });
                Ok(First::No)
            }
        }
    }

    fn remember(&mut self, said: Option<u64>, turn: &Turn<'_>) {
        if let Some(said) = said {
            self.said.insert(said, Answer::Waiting, turn.now.tick);
        }
    }

    fn answer_said(&mut self, said: Option<u64>, seq: Option<u64>, ts: u64) {
        if let Some(said) = said {
            self.said.answer(said, Answer::Said { seq, ts });
        }
    }

    fn sender_stops_typing(&mut self, sender: &str, target: Target, turn: &mut Turn<'_>) {
        if self.typing.is_empty() {
            return;
        }
        if let Some(user) = self.users.find(sender) {
            let name = self.users.at(user).name.clone();
            self.stop_typing(&name, target, turn);
        }
    }
}

/// Users one multicast can have.
const MAX_RECIPIENTS: usize = 100;

/// What a copy of a multicast costs, in steps (see [`Deliveries::note_work`](super::delivery::Deliveries::note_work)): it is kept, also where
/// nobody hears it.
const COPY: usize = 10;
