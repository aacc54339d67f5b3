//! Calls of an operator, who is no user and in no room, and has every right of a session.
//!
//! A call comes on a connection of its own, which is no session. It goes the way of a session's request, through the
//! same checks and the same backend, and has one answer: the one that a session would hear, or [`Delivery::Refuse`].
//! Calls are not billed. `server` decides which caller is the operator.
//!
//! [`Delivery::Refuse`]: super::delivery::Delivery::Refuse

use super::access::DEFAULT_SENDER;
use super::ask::Ask;
use super::checks::read_safely;
use super::hall::Hall;
use super::name::UserName;
use super::turn::{Ctx, Turn};
use super::wire::order::{self, Call, Order};
use super::wire::request::{Place, Request};
use super::wire::{Code, Refusal};
use crate::backend::NewBody;
use crate::id::ConnId;

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
        let Some((id, order)) = read_safely(|| order::parse(call, text)) else {
            self.counts.panics += 1;
            let refusal = Refusal::new(Code::Internal, "expected to read the call, found a mistake of the server");
            return self.refuse(Ask::unnamed(conn), &refusal, ctx);
        };
        if let Err(refusal) = order.and_then(|order| self.carry_out(Ask::new(conn, id.as_ref()), order, ctx)) {
            self.refuse(Ask::new(conn, id.as_ref()), &refusal, ctx);
        }
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
