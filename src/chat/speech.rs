//! Messages of people: in a room, to one, to some, to everybody. What is done to messages (`changes`) goes the same
//! road.
//!
//! All except the last go through the backend, which numbers them, and come back from there: a message from here takes
//! the same road as a message from another node. A room hears it with one publication for each dialect, however many
//! are inside; only the session that said it gets a copy of its own, if it wants its `id` back.

use std::collections::BTreeSet;

use super::access::DEFAULT_SENDER;
use super::ask::{Ask, Asker};
use super::asking::New;
use super::checks::{room_name, user_name};
use super::hall::Hall;
use super::lists::{Copied, Copies, ListKey};
use super::name::UserName;
use super::once::{First, Keys, To};
use super::rate_limit::Price;
use super::retry::Said;
use super::roster::room::{EVERYBODY, topic};
use super::roster::session::Dialect;
use super::turn::{Ctx, Turn};
use super::typists::Target;
use super::waiting::{Waiting, What};
use super::wire::answer::Ack;
use super::wire::entries::{Broadcast, Item, Place};
use super::wire::request::Words;
use super::wire::word::Word;
use super::wire::{Code, Refusal, plain, spliced};
use crate::backend::{Audience, Body, Conversation, Entry, NewBody, Request};
use crate::id::ConnId;

impl Hall {
    pub(super) fn broadcast(
        &mut self,
        ask: Ask<'_>,
        room: Option<&str>,
        words: &Words<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let room = match room {
            Some("*") => return self.announce(ask, &words.content, ctx),
            Some(name) => return self.say_in_named(ask, name, words.into(), ctx),
            None => {
                let Some(session) = self.roster.session(ask.conn) else { return Ok(()) };
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
        self.say_in(ask, room, words.into(), ctx)
    }

    /// Says or does something in the room of a name.
    pub(super) fn say_in_named(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        body: NewBody<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        match self.wanted_room(ask.conn, name) {
            Ok(room) => self.say_in(ask, room, body, ctx),
            // A sender who is not back in the room yet hears the outcome of their own message, and nothing else.
            Err(refusal) => match self.first_time(ask, To::Room(name), body, ctx)? {
                First::Yes(Keys { retry: Some(retry), .. }) if refusal.code == Code::NotJoined => {
                    // It may have been said to another process.
                    let room = room_name(name)?;
                    let waiting = Waiting { asker: ask.keep(), room: None, what: What::Recall { room } };
                    let conversation = Conversation::Room(name);
                    self.ask_store(waiting, |ticket| Request::Recall { conversation, retry, ticket }, ctx)
                }
                First::Yes(_) => Err(refusal),
                First::No => Ok(()),
            },
        }
    }

    /// Says or does something in a room that the session asked to be in. [`Hall::said_in`] delivers it.
    pub(super) fn say_in(
        &mut self,
        ask: Ask<'_>,
        room: u32,
        body: NewBody<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        Self::check_content(body, ctx)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let name = self.roster.room(room).name.clone();
        let First::Yes(Keys { said, retry }) = self.first_time(ask, To::Room(name.as_str()), body, ctx)? else {
            return Ok(());
        };
        // What was said already is answered whatever holds by now; and nobody is kept from taking back their own, in a
        // room that they may be in.
        self.may_stay_in(ask.conn, room)?;
        if !matches!(body, NewBody::Delete { .. }) && !self.ruled.is_empty() {
            self.may_speak(ask.conn, room)?;
            self.pay_in_room(ask.conn, room, ctx)?;
        }
        if ask.id.is_some() {
            self.may_wait_for_replay(ask.conn, room)?;
        }
        let body = self.with_call(ask.conn, room, body, ctx)?;
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what: What::InRoom { said } };
        let sender = self.roster.user(user).name.clone();
        let conversation = Conversation::Room(name.as_str());
        self.append(waiting, New { conversation, sender: sender.as_str(), body, retry }, ctx)?;
        self.remember(said, ctx);
        Ok(())
    }

    /// The entry has its number: the room hears it, and its sender, if here, is answered.
    pub(super) fn said_in(&mut self, room: u32, entry: &Entry<'_>, asked: Option<Waiting>, turn: &mut Turn<'_>) {
        if self.keeps {
            self.sweep_later(turn);
        }
        let is_message = matches!(entry.body, Body::Message(_));
        if is_message {
            self.sender_stops_typing(entry.sender, || Some(Target::Room(room)), turn);
        }
        let ask = asked.as_ref().map(|asked| asked.asker.ask());
        if let Some(Waiting { what: What::InRoom { said }, .. }) = asked {
            self.answer_said(said, Some(entry.seq), entry.ts, turn);
            self.roster.note_described(room);
        }
        // The session that wants its `id` back, if it hears the room; a session that still catches up gets it then. One
        // that was put out before a late store had let it in hears nothing of the room, and so is answered by itself.
        let mut own = None;
        if let Some(asked) = ask
            && let Some(session) = self.roster.session(asked.conn)
        {
            match (session.is_inside(room), session.hears(room), asked.id) {
                (_, true, Some(_)) => own = ask,
                (true, false, Some(id)) => self.note_own(asked.conn, id, room, entry),
                (false, false, _) => {
                    let (name, seq) = (self.roster.room(room).name.as_str(), self.keeps.then_some(entry.seq));
                    let ack = Ack::Said { room_id: Some(name), user_id: None, seq, ts: entry.ts, dup: false };
                    turn.out.answer(asked, &ack);
                }
                (_, _, None) => {}
            }
        }
        match is_message {
            true => self.roster.note_said(room, self.keeps),
            // There is a message that it is about, so something is kept.
            false => self.roster.note_kept(room),
        }
        let place = self.roster.room(room);
        let name = place.name.as_str();
        if place.json > 0 {
            let conn = own.map(|own| own.conn);
            let heard = topic(room, Dialect::Json);
            let number = self.keeps.then_some(entry.seq);
            turn.out.publish_numbered(heard, number, conn.as_slice(), |out| spliced::in_room(out, None, name, entry));
            if let Some(own) = own {
                turn.out.send(own.conn, |out| spliced::in_room(out, own.id, name, entry));
            }
        }
        if let Some(ask) = ask.filter(|ask| self.operators.has(ask.conn)) {
            turn.out.send(ask.conn, |out| spliced::in_room(out, ask.id, name, entry));
        }
        if place.plain > 0
            && let Some(content) = entry.said()
        {
            let heard = topic(room, Dialect::Plain);
            turn.out.publish(heard, &[], |out| plain::chat(out, content, name, entry.sender));
        }
    }

    /// Says or does something to a user. [`Hall::said_to`] delivers it.
    pub(super) fn say_to(
        &mut self,
        ask: Ask<'_>,
        to: &str,
        body: NewBody<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let to = self.partner(to)?;
        if let NewBody::Message { .. } = body {
            self.known_user(to.as_str())?;
        }
        Self::check_content(body, ctx)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let First::Yes(Keys { said, retry }) = self.first_time(ask, To::User(to.as_str()), body, ctx)? else {
            return Ok(());
        };
        let waiting = Waiting { asker: ask.keep(), room: None, what: What::ToUser { said, to: to.clone() } };
        let from = self.roster.user(user).name.clone();
        let conversation = Conversation::Direct(from.as_str(), to.as_str());
        let sender = match body {
            // A message of one of them; neither of them deletes it.
            NewBody::Delete { .. } if self.operators.has(ask.conn) => DEFAULT_SENDER,
            _ => from.as_str(),
        };
        self.append(waiting, New { conversation, sender, body, retry }, ctx)?;
        self.remember(said, ctx);
        Ok(())
    }

    /// The entry has its number: the devices of both hear it, and its sender, if here, is answered.
    pub(super) fn said_to(&mut self, to: &str, entry: &Entry<'_>, asked: Option<Waiting>, turn: &mut Turn<'_>) {
        self.sweep_later(turn);
        if matches!(entry.body, Body::Message(_)) {
            self.sender_stops_typing(entry.sender, || UserName::parse(to).ok().map(Target::User), turn);
        }
        let recipient = self.roster.users().find(to);
        let sender = self.roster.users().find(entry.sender).filter(|&sender| recipient != Some(sender));
        // The sending session hears it in its answer: a message to one user is the answer itself, a message to many has
        // a list.
        let (answered, saying) = match &asked {
            Some(Waiting { what: What::Copy { of, .. }, .. }) => (None, self.lists.asker(*of).map(|asker| asker.conn)),
            Some(Waiting { asker, .. }) => (Some(asker.conn), Some(asker.conn)),
            None => (None, None),
        };
        let of = |user: Option<u32>| user.into_iter().flat_map(|user| self.roster.json_devices(user));
        let mut devices: Vec<ConnId> = of(recipient).filter(|&device| Some(device) != answered).collect();
        devices.extend(of(sender).filter(|&device| Some(device) != saying));
        let place = Place::user(to);
        if !devices.is_empty() {
            turn.out.send_each(devices, |out| spliced::by_type(out, None, place, entry));
        }
        let Some(Waiting { asker, what, .. }) = asked else { return };
        match what {
            What::ToUser { said, .. } => {
                self.answer_said(said, Some(entry.seq), entry.ts, turn);
                turn.out.send(asker.conn, |out| spliced::by_type(out, asker.id.as_ref(), place, entry));
            }
            What::Copy { of, to } => {
                let copied = self.copy_of(recipient, entry.sender == to.as_str());
                self.copied(of, to, copied, turn);
            }
            what => debug_assert!(false, "nothing was to be said to anybody for {what:?}"),
        }
    }

    /// An operator has done something in the conversation of two people: the devices of each hear it with the name of
    /// the other one.
    pub(super) fn done_between(
        &mut self,
        one: &str,
        other: &str,
        entry: &Entry<'_>,
        asked: Option<Waiting>,
        turn: &mut Turn<'_>,
    ) {
        self.sweep_later(turn);
        let both = [(one, other), (other, one)];
        for (hears, with) in both.into_iter().take(if one == other { 1 } else { 2 }) {
            let user = self.roster.users().find(hears);
            let devices: Vec<ConnId> = user.into_iter().flat_map(|user| self.roster.json_devices(user)).collect();
            if !devices.is_empty() {
                turn.out.send_each(devices, |out| spliced::by_type(out, None, Place::user(with), entry));
            }
        }
        if let Some(Waiting { asker, what: What::ToUser { said, to }, .. }) = asked {
            self.answer_said(said, Some(entry.seq), entry.ts, turn);
            let place = Place::user(to.as_str());
            turn.out.send(asker.conn, |out| spliced::by_type(out, asker.id.as_ref(), place, entry));
        }
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
        let body = NewBody::Message { content, reply_to: None, calls_room: false };
        Self::check_content(body, ctx)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        // U+0000 stands in no name, so that no two lists look alike.
        let all: Vec<&str> = names.iter().map(UserName::as_str).collect();
        let First::Yes(Keys { said, retry }) = self.first_time(ask, To::Users(&all.join("\0")), body, ctx)? else {
            return Ok(());
        };
        let sender = self.roster.user(user).name.clone();
        self.may_wait()?;
        // Each copy is numbered and kept like a message to one.
        let paid = self.pay_for_more(ask.conn, Price::frames(names.len() as u64), ctx)?;
        let of = self.lists.begin_copies(ask.keep(), said, paid);
        let (mut copies, mut outstanding) = (Copies::begin(said, paid), 0);
        ctx.out.note_work(names.len() * COPY);
        for to in names {
            if self.roster.users().find(to.as_str()).is_none() {
                copies.unknown.push(to);
                continue;
            }
            let copy = Waiting { asker: Asker::unnamed(ask.conn), room: None, what: What::Copy { of, to: to.clone() } };
            let conversation = Conversation::Direct(sender.as_str(), to.as_str());
            let retry = retry.map(|retry| Said::key_of_copy(retry, to.as_str()));
            match self.append(copy, New { conversation, sender: sender.as_str(), body, retry }, ctx) {
                Ok(()) => outstanding += 1,
                Err(_) => copies.failed.push(to),
            }
        }
        let done = self.lists.wait_for_copies(of, copies, outstanding);
        self.remember(said, ctx);
        self.answer_copies(done, ctx);
        Ok(())
    }

    /// What a copy of a message to many that the store has had before has come to: the devices may have heard it, or
    /// find it in the history.
    pub(super) fn copied_before(&self, sender: ConnId, to: &UserName) -> Copied {
        let recipient = self.roster.users().find(to.as_str());
        self.copy_of(recipient, recipient.is_some() && recipient == self.user_of(sender))
    }

    /// What a copy of a message to many comes to, by who is here now; `own`: it is its sender's. A user who hides hears
    /// it, and counts as not here: the answer must not show the difference.
    fn copy_of(&self, recipient: Option<u32>, own: bool) -> Copied {
        let is_there = recipient.is_some_and(|user| {
            let seen = own || self.roster.user(user).visible();
            seen && (self.roster.user(user).abroad > 0 || self.roster.json_devices(user).next().is_some())
        });
        match (is_there, self.keeps) {
            (true, _) => Copied::Delivered,
            (false, true) => Copied::Stored,
            (false, false) => Copied::Missed,
        }
    }

    /// One copy of a message to many has its outcome.
    pub(super) fn copied(&mut self, of: ListKey, to: UserName, copied: Copied, turn: &mut Turn<'_>) {
        let done = self.lists.note_copy(of, to, copied);
        self.answer_copies(done, turn);
    }

    fn answer_copies(&mut self, done: Option<(Asker, Copies)>, turn: &mut Turn<'_>) {
        let Some((asker, copies)) = done else { return };
        match copies.failed.is_empty() {
            true => self.answer_said(copies.said, None, turn.now.unix_ms, turn),
            // A retry reaches the others twice, but without it these would never get the message.
            false => self.forget_said(copies.said),
        }
        let Copies { delivered, stored, unknown, missed, failed, paid, .. } = &copies;
        if !failed.is_empty() {
            let done = delivered.len() + stored.len() + unknown.len() + missed.len();
            self.give_back(asker.conn, *paid, Price::frames(done as u64));
        }
        turn.out.answer(asker.ask(), &Ack::Multicast { delivered, stored, unknown, missed, failed });
    }

    /// Sends a message to every session. It is neither numbered nor kept. A plain session hears it as a message of its
    /// room, and so not where the sender may not speak.
    fn announce(&mut self, ask: Ask<'_>, content: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if !self.may_announce(ask.conn, turn.settings) {
            let message = "expected a session that may speak to everybody, found one that may not";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        let body = NewBody::Message { content, reply_to: None, calls_room: false };
        Self::check_content(body, turn)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let First::Yes(Keys { said, .. }) = self.first_time(ask, To::Room("*"), body, turn)? else { return Ok(()) };
        self.pay_to_announce(ask.conn, "*", turn)?;
        self.counts.messages += 1;
        self.remember(said, turn);
        self.answer_said(said, None, turn.now.unix_ms, turn);
        let sender = self.roster.user(user).name.as_str();
        let ts = turn.now.unix_ms;
        let announcement = Broadcast { room_id: "*", item: Item::announced(sender, content, ts) };
        let own = ask.id.is_some() || self.operators.has(ask.conn);
        let except: &[ConnId] = if own { &[ask.conn] } else { &[] };
        turn.out.say_in(EVERYBODY, except, &announcement);
        if own {
            turn.out.answer(ask, &announcement);
        }
        for &room in self.roster.with_plain().iter().filter(|&&room| self.may_speak(ask.conn, room).is_ok()) {
            let name = self.roster.room(room).name.as_str();
            turn.out.publish(topic(room, Dialect::Plain), &[], |out| plain::chat(out, content, name, sender));
        }
        let word = Word::Announced { sender: sender.into(), content: content.into(), ts };
        self.others.tell(Audience::Everybody, &word);
        Ok(())
    }

    fn check_content(body: NewBody<'_>, turn: &Turn<'_>) -> Result<(), Refusal> {
        let (NewBody::Message { content, .. } | NewBody::Edit { content, .. }) = body else { return Ok(()) };
        let limit = turn.settings.content_bytes;
        if content.len() > limit {
            let message = format!("`content`: expected at most {limit} bytes, found {}", content.len());
            return Err(Refusal::new(Code::TooLarge, message));
        }
        Ok(())
    }

    fn sender_stops_typing(&mut self, sender: &str, to: impl FnOnce() -> Option<Target>, turn: &mut Turn<'_>) {
        if self.typists.is_empty() {
            return;
        }
        if let (Some(user), Some(target)) = (self.roster.users().find(sender), to()) {
            let name = self.roster.user(user).name.clone();
            self.stop_typing(&name, target, turn);
        }
    }
}

/// Users one multicast can have.
const MAX_RECIPIENTS: usize = 100;

/// The cost of a copy of a multicast, in steps (see [`Deliveries::note_work`](super::delivery::Deliveries::note_work)):
/// it is kept, also if no session hears it.
const COPY: usize = 10;
