//! Answers and messages of the backend, handed on to the sessions that they concern.
//!
//! Each request that waits ([`Waiting`]) has exactly one outcome here; a message that somebody else's chat has said
//! comes without one.

use super::changes::refusal_of;
use super::checks::{not_joined, unknown_user};
use super::hall::Hall;
use super::lists::{Copied, Join};
use super::name::{RoomName, UserName};
use super::rate_limit::Price;
use super::roster::session::Dialect;
use super::turn::Turn;
use super::waiting::{Found, Info, NewBan, Waiting, What};
use super::wire::answer::{self, Ack};
use super::wire::{Code, Refusal};
use crate::backend::{Body, Conversation, Entry, Epoch, Why, other_of};

impl Hall {
    /// An entry has its number: its receivers hear it, and if a session here has said it, that session is answered.
    pub(super) fn published(
        &mut self,
        conversation: Conversation<'_>,
        epoch: Epoch,
        entry: &Entry<'_>,
        asked: Option<Waiting>,
        turn: &mut Turn<'_>,
    ) {
        let is_message = matches!(entry.body, Body::Message(_));
        self.counts.messages += u64::from(asked.is_some() && is_message);
        // How long the store took. Of an entry of another node, whose clock is another one, it is not known.
        let ago_ms = asked.as_ref().map_or(0, |_| turn.now.unix_ms.saturating_sub(entry.ts));
        if ago_ms > 0 {
            turn.out.caused(ago_ms);
        }
        self.heard_of(conversation, epoch, entry, asked, turn);
        if ago_ms > 0 {
            turn.out.caused(0);
        }
    }

    fn heard_of(
        &mut self,
        conversation: Conversation<'_>,
        epoch: Epoch,
        entry: &Entry<'_>,
        asked: Option<Waiting>,
        turn: &mut Turn<'_>,
    ) {
        match conversation {
            Conversation::Room(name) => {
                let room = asked.as_ref().and_then(|asked| asked.room);
                let Some(room) = room.or_else(|| self.list_room(name, entry.ts, turn)) else { return };
                self.note_life(room, epoch, turn);
                self.said_in(room, entry, asked, turn);
            }
            Conversation::Direct(one, other) if ![one, other].contains(&entry.sender) => {
                self.done_between(one, other, entry, asked, turn);
            }
            Conversation::Direct(one, other) => {
                self.said_to(other_of(one, other, entry.sender), entry, asked, turn);
            }
        }
    }

    pub(super) fn page_read(&mut self, waiting: Waiting, found: Found<'_>, turn: &mut Turn<'_>) {
        let Waiting { asker, room, what } = waiting;
        let ask = asker.ask();
        if let Some(room) = room {
            self.note_life(room, found.head.epoch, turn);
            if found.head.kept > 0 {
                self.roster.note_kept(room);
            }
        }
        match (what, room) {
            (What::Enter { resumed, of }, Some(room)) => {
                let open = self.roster.session(ask.conn).is_some_and(|session| !session.closing);
                if of.is_some() && open && self.readers.begin(ask.conn).count_names() {
                    turn.out.tell_when_drained(ask.conn);
                }
                let inside = self.entered(ask, room, resumed, found, turn);
                if let Some(of) = of {
                    self.one_of_list(of, if inside { Join::Joined } else { Join::Refused }, turn);
                }
            }
            (What::Slice { after }, _) => self.slice_read(ask.conn, after, found, turn),
            (What::Life, _) => {}
            (What::Leave(leaving), Some(room)) => self.left(ask, room, leaving, turn),
            (What::RoomInfo(info), Some(room)) => {
                let created = match info {
                    Info::Wanted => None,
                    Info::There => Some(false),
                    Info::Made(made) => Some(self.roster.describe(room, made.title, made.topic)),
                };
                self.answer_room(ask, room, created, found.head, turn);
            }
            (What::History(_), Some(room)) if !self.may_still_read(ask.conn, room) => {
                self.refuse(ask, &not_joined(), turn);
            }
            (What::History(wanted), room) => {
                if let Err(refusal) = self.answer_history(ask, room, &wanted, found, turn) {
                    self.refuse(ask, &refusal, turn);
                }
            }
            (what, _) => debug_assert!(false, "nothing was to be read for {what:?}"),
        }
    }

    /// A store that outlives chats has it already.
    pub(super) fn repeated(&mut self, waiting: Waiting, seq: u64, ts: u64, turn: &mut Turn<'_>) {
        let Waiting { asker, room, what } = waiting;
        let room_id = room.map(|room| self.roster.room(room).name.clone());
        let (said, to) = match what {
            What::InRoom { said } => (said, None),
            What::ToUser { said, to } => (said, Some(to)),
            What::Copy { of, to } => {
                let copied = self.copied_before(asker.conn, &to);
                return self.copied(of, to, copied, turn);
            }
            What::Recall { room } => {
                let room_id = Some(room.as_str());
                let ack = Ack::Said { room_id, user_id: None, seq: Some(seq), ts, dup: true };
                return turn.out.answer(asker.ask(), &ack);
            }
            what => return debug_assert!(false, "nothing was to be said for {what:?}"),
        };
        self.answer_said(said, Some(seq), ts, turn);
        let (room_id, user_id) = (room_id.as_ref().map(RoomName::as_str), to.as_ref().map(UserName::as_str));
        turn.out.answer(asker.ask(), &Ack::Said { room_id, user_id, seq: Some(seq), ts, dup: true });
    }

    /// It is carried out, or changes nothing.
    pub(super) fn noted(&mut self, waiting: Waiting, turn: &mut Turn<'_>) {
        let Waiting { asker, what, .. } = waiting;
        match what {
            What::InRoom { said } | What::ToUser { said, .. } => {
                self.forget_said(said);
                turn.out.answer(asker.ask(), &Ack::Done {});
            }
            What::Mark | What::Topic { .. } => turn.out.answer(asker.ask(), &Ack::Done {}),
            What::Ban(ban) => {
                let NewBan { user, until, note, closed } = &*ban;
                let ban = answer::ListedBan { user_id: user.as_str(), until: *until, note: note.as_deref() };
                turn.out.answer(asker.ask(), &answer::Ban { ban, closed: *closed });
            }
            What::SetRoom { room } => self.answer_what_holds(asker.ask(), &room, turn),
            What::Unban { banned } => turn.out.answer(asker.ask(), &Ack::Unbanned { banned }),
            what => debug_assert!(false, "there is an answer to {what:?}"),
        }
    }

    /// It must not be carried out, or, without a reason, could not be.
    pub(super) fn not_done(&mut self, waiting: Waiting, why: Option<Why>, turn: &mut Turn<'_>) {
        let holds = matches!(waiting.what, What::Ban(_) | What::Unban { .. } | What::SetRoom { .. });
        if holds && why == Some(Why::Unsupported) {
            // It keeps none; what holds until the end of this process holds.
            return self.noted(waiting, turn);
        }
        let Waiting { asker, room, what } = waiting;
        let ask = asker.ask();
        self.give_back(ask.conn, what.paid(), Price::frames(1));
        let (mut list, mut at_the_door) = (None, false);
        let unknown = match &what {
            What::ToUser { to, .. } => self.roster.users().find(to.as_str()).is_none() && why == Some(Why::NotFound),
            _ => false,
        };
        match (what, room) {
            (What::Enter { of, .. }, Some(room)) => {
                list = of;
                self.roster.turn_down(ask.conn, room);
                let session = self.roster.open_session(ask.conn);
                at_the_door = session.is_some_and(|session| session.dialect == Dialect::Plain);
            }
            (What::Slice { .. }, _) => return self.read_later(ask.conn, turn),
            (What::Life, _) => return self.ask_lives_later(turn),
            (What::Recall { .. }, _) if why.is_some() => return self.refuse(ask, &not_joined(), turn),
            // A store that is down keeps nobody from leaving, or from seeing the rooms.
            (What::Leave(leaving), Some(room)) => return self.left(ask, room, leaving, turn),
            (What::Rooms(asked), _) => return self.answer_rooms(ask, &asked, &[], turn),
            (What::InRoom { said } | What::ToUser { said, .. }, _) => self.forget_said(said),
            (What::Copy { of, to }, _) => return self.copied(of, to, Copied::Failed, turn),
            _ => {}
        }
        let down = || Refusal::new(Code::BackendDown, "expected the message store to answer, found it down");
        let mut refusal = match unknown {
            true => unknown_user(),
            false => why.map_or_else(down, refusal_of),
        };
        if holds {
            refusal.message = format!("{}; {HOLDS}", refusal.message).into();
        }
        if let (Some(_), Some(room)) = (list, room) {
            refusal.room = Some(self.roster.room(room).name.as_str().into());
        }
        self.refuse(ask, &refusal, turn);
        if at_the_door {
            self.close_at_the_door(ask.conn, refusal.code, turn);
        }
        if let Some(of) = list {
            self.one_of_list(of, Join::Failed, turn);
        }
    }
}

/// Of what an operator has set that holds from the call on: nobody is let in again, and nothing opened, because the
/// store is down. All else that is kept is so only once the store has it.
const HOLDS: &str = "it holds all the same until Salon stops, and may not be kept behind that: call again";
