//! Calls of an operator, who is no user and in no room, and has every right of a session.
//!
//! A call comes on a connection of its own, which is no session. It goes the way of a session's request, through the
//! same checks and the same backend, and has one answer: the one that a session would hear, or [`Delivery::Refuse`].
//! Calls are not billed. `server` decides which caller is the operator.
//!
//! A room may be in the store alone, because there is no place for it in the list. A call that is about a room asks the
//! store for it first, where it is not known; so it finds each room that there is. Such a room counts as none of the
//! list, and is forgotten behind the call.
//!
//! [`Delivery::Refuse`]: super::delivery::Delivery::Refuse

use super::access::DEFAULT_SENDER;
use super::ask::Ask;
use super::checks::{read_safely, room_name};
use super::hall::{Hall, ROOM_BYTES};
use super::name::{RoomName, UserName};
use super::operators::Sought;
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::order::{self, Call, Order};
use super::wire::request::{Place, Request};
use super::wire::{Code, Refusal};
use crate::backend::{Conversation, NewBody, Query};
use crate::id::ConnId;

/// Whether the store is asked for the room of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seek {
    /// Where it is not known.
    IfUnknown,
    /// It was.
    No,
}

impl Hall {
    /// Carries out a call. `body` is its JSON; an empty body means `{}`.
    pub(super) fn call(&mut self, conn: ConnId, call: Call, body: &[u8], ctx: &mut Ctx<'_>) {
        self.operators.begin(conn);
        let text = match std::str::from_utf8(body) {
            Ok(text) if text.trim().is_empty() => "{}",
            Ok(text) => text,
            Err(_) => {
                let refusal = Refusal::new(Code::BadJson, "expected one JSON object in UTF-8, found other octets");
                return self.refuse(Ask::unnamed(conn), &refusal, ctx);
            }
        };
        ctx.out.note_json(text);
        self.call_read(conn, call, text, Seek::IfUnknown, ctx);
    }

    fn call_read(&mut self, conn: ConnId, call: Call, text: &str, seek: Seek, ctx: &mut Ctx<'_>) {
        let Some((id, order)) = read_safely(|| order::parse(call, text)) else {
            self.counts.panics += 1;
            let refusal = Refusal::new(Code::Internal, "expected to read the call, found a mistake of the server");
            return self.refuse(Ask::unnamed(conn), &refusal, ctx);
        };
        let ask = Ask::new(conn, id.as_ref());
        let done = order.and_then(|order| match order.room() {
            Some(room) if seek == Seek::IfUnknown && self.roster.rooms().find(room).is_none() => {
                self.seek(ask, room_name(room)?, call, text, ctx)
            }
            _ => self.carry_out(ask, order, ctx),
        });
        if let Err(refusal) = done {
            self.refuse(ask, &refusal, ctx);
        }
    }

    /// Asks the store for the room of a call. Answered by [`Hall::sought`].
    fn seek(&mut self, ask: Ask<'_>, name: RoomName, call: Call, text: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        self.allowance.take(ROOM_BYTES + 4 * name.as_str().len())?;
        let room = self.roster.seek_room(name.clone(), ctx.now.unix_ms);
        let what = What::Seek { call, body: text.into() };
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what };
        self.read(waiting, Conversation::Room(name.as_str()), Query::Head, ctx)
    }

    /// Goes on with calls whose room was sought. Returns whether there were any.
    pub(super) fn go_on_with_calls(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.sought.is_empty() {
            return false;
        }
        // Of rooms that are not there, nothing is left in the store.
        self.release_ended(ctx);
        for Sought { conn, call, body, room } in std::mem::take(&mut self.sought) {
            self.call_read(conn, call, &body, Seek::No, ctx);
            room.into_iter().for_each(|room| self.roster.release(room));
        }
        true
    }

    fn carry_out(&mut self, ask: Ask<'_>, order: Order<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        match order {
            Order::Ask { sender, request } => {
                match (&request, &sender) {
                    (
                        Request::Broadcast { .. }
                        | Request::Direct { .. }
                        | Request::Multicast { .. }
                        | Request::Topic { .. }
                        | Request::Change { place: Place::Room(_), .. },
                        _,
                    ) => {
                        self.speak_as(ask.conn, sender.as_deref().unwrap_or(DEFAULT_SENDER), ctx)?;
                    }
                    (
                        Request::History { place: Place::User(_), .. } | Request::Change { place: Place::User(_), .. },
                        None,
                    ) => {
                        let message = "`sender`: expected the other one of the two users, found nothing";
                        return Err(Refusal::new(Code::BadRequest, message));
                    }
                    (
                        Request::History { place: Place::User(_), .. } | Request::Change { place: Place::User(_), .. },
                        Some(sender),
                    ) => {
                        let user = self.roster.user(self.known_user(sender)?).name.clone();
                        self.operators.speak_as(ask.conn, user);
                    }
                    _ => {}
                }
                match request {
                    Request::Broadcast { room: Some(room), words } if room != "*" => {
                        self.publish(ask, &room, (&words).into(), ctx)
                    }
                    request => self.request(ask, request, ctx),
                }
            }
            Order::Kick { whom, room: Some(room) } => self.kick_from_room(ask, &whom, &room, ctx),
            Order::Kick { whom, room: None } => self.kick(ask, &whom, ctx),
            Order::Disconnect { whom, code } => self.disconnect(ask, &whom, code, ctx),
            Order::Ban { user, seconds, note } => self.ban(ask, &user, seconds, note.as_deref(), ctx),
            Order::Unban { user } => self.unban(ask, &user, ctx),
            Order::Bans(page) => self.list_bans(ask, page, ctx),
            Order::Trail(page) => self.list_trail(ask, page, ctx),
            Order::RoomSettings { room } => self.tell_what_holds(ask, &room, ctx),
            Order::SetRoom { room, values } => self.set_room(ask, &room, values, ctx),
        }
    }

    /// The call speaks in the name of a user, who is known from now on, so that people can answer.
    fn speak_as(&mut self, conn: ConnId, sender: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
        let name = UserName::parse(sender);
        let name = name.map_err(|error| Refusal::new(Code::BadRequest, format!("`sender`: {error}")))?;
        self.take_memory_for_user(&name)?;
        if self.roster.know(&name, false, turn.settings.max_users).is_none() {
            let message = format!("expected at most {} users, found one more", turn.settings.max_users);
            return Err(Refusal::new(Code::Overloaded, message));
        }
        self.operators.speak_as(conn, name);
        Ok(())
    }

    /// Says something in a room, which is made if there is none: the message waits for users who come.
    fn publish(&mut self, ask: Ask<'_>, room: &str, body: NewBody<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let room = self.find_or_make(room, ctx)?;
        self.say_in(ask, room, body, ctx)
    }
}
