//! What users have read, and with whom they have spoken.
//!
//! A mark belongs to the user: all devices move the same one, and hear when another one has moved it. Nobody else is
//! told. The store keeps marks, and never moves one back; a user may take one away. Guests have none: their names are
//! given to others later.

use super::ask::{Ask, Asker};
use super::hall::Hall;
use super::name::UserName;
use super::rate_limit::{Paid, Price};
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::answer::{self, Ack};
use super::wire::entries;
use super::wire::request::{Page, Place};
use super::wire::{Code, Refusal};
use crate::backend::{Conversation, Request, Talk, other_of};
use crate::id::ConnId;

impl Hall {
    /// A user has read up to there; 0 takes the mark away. To read, one is inside; to take a mark away, one need not
    /// be, because a room that was left while the server was not to be had is left all the same.
    pub(super) fn read_to(
        &mut self,
        ask: Ask<'_>,
        place: &Place<'_>,
        seq: u64,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let user = self.user_with_marks(ask.conn)?;
        let (room, conversation) = match place {
            Place::Room(name) if seq == 0 => match self.may_visit(ask.conn, name) {
                Ok(()) => (Some(self.known_room(name)?), Conversation::Room(name)),
                // What is set for a room keeps nobody from giving up what is their own; whether it is there is not
                // told.
                Err(Refusal { ruled: Some(_), .. }) => match self.roster.rooms().find(name) {
                    Some(room) => (Some(room), Conversation::Room(name)),
                    None => {
                        ctx.out.answer(ask, &Ack::Done {});
                        return Ok(());
                    }
                },
                Err(refusal) => return Err(refusal),
            },
            Place::Room(name) => (Some(self.room_to_use(ask.conn, name)?), Conversation::Room(name)),
            Place::User(name) => {
                self.partner(name)?;
                (None, Conversation::Direct(user.as_str(), name))
            }
        };
        let waiting = Waiting { asker: ask.keep(), room, what: What::Mark };
        self.ask_store(waiting, |ticket| Request::Mark { user: user.as_str(), conversation, seq, ticket }, ctx)
    }

    /// The mark has moved: the device that moved it is answered, and the user's others hear it.
    pub(super) fn marked(
        &mut self,
        user: &str,
        conversation: Conversation<'_>,
        seq: u64,
        asked: Option<Asker>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(asker) = &asked {
            turn.out.answer(asker.ask(), &Ack::Done {});
        }
        let Some(key) = self.roster.users().find(user) else { return };
        let place = match conversation {
            Conversation::Room(name) => entries::Place::room(name),
            Conversation::Direct(one, other) => entries::Place::user(other_of(one, other, user)),
        };
        // A device whose token is not for the room does not hear of it.
        let may_hear = |device: &ConnId| match conversation {
            Conversation::Room(name) => self.may_visit(*device, name).is_ok(),
            Conversation::Direct(..) => true,
        };
        let asker = asked.map(|asker| asker.conn);
        let others = self.roster.json_devices(key).filter(|device| Some(*device) != asker).filter(may_hear);
        let others: Vec<ConnId> = others.collect();
        if !others.is_empty() {
            turn.out.say_each(others, &answer::Read { place, seq });
        }
    }

    /// The direct conversations of the user.
    pub(super) fn list_conversations(
        &mut self,
        ask: Ask<'_>,
        page: &Page<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let user = self.user_with_marks(ask.conn)?;
        let (cursor, limit) = (page.short_cursor()?, page.limit);
        let paid = self.pay_for_more(ask.conn, Price::looking_at(limit), ctx)?;
        let waiting = Waiting { asker: ask.keep(), room: None, what: What::Conversations { paid } };
        let (user, now) = (user.as_str(), ctx.now);
        self.ask_store(waiting, |ticket| Request::Conversations { user, cursor, limit, now, ticket }, ctx)
    }

    pub(super) fn answer_conversations(
        &mut self,
        ask: Ask<'_>,
        paid: Paid,
        talks: &[Talk<'_>],
        next: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        self.give_back(ask.conn, paid, Price::looking_at(talks.len()));
        let listed: Vec<_> = talks.iter().map(answer::Talk::from).collect();
        turn.out.note_work(listed.len() / TALKS_A_STEP);
        turn.out.answer(ask, &answer::Conversations { conversations: &listed, next });
    }

    fn user_with_marks(&self, conn: ConnId) -> Result<UserName, Refusal> {
        self.marking_user(conn)
            .cloned()
            .ok_or_else(|| Refusal::new(Code::Forbidden, "expected a user with a name of their own, found a guest"))
    }
}

/// Conversations that are looked up in one step (see
/// [`Deliveries::note_work`](super::delivery::Deliveries::note_work)).
const TALKS_A_STEP: usize = 4;
