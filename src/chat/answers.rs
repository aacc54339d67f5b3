//! Answers and messages of the backend, handed on to the sessions that they concern.
//!
//! Each request that waits ([`Waiting`]) has exactly one outcome here; a message that somebody else's chat has said
//! comes without one.

use super::hall::Hall;
use super::lists::{Copied, Join};
use super::turn::Turn;
use super::waiting::{Found, Waiting, What};
use super::wire::{Code, Refusal};
use crate::backend::{Conversation, Entry, other_of};

impl Hall {
    /// A message has its number: its receivers hear it, and if a session here has said it, that session is answered.
    pub(super) fn published(
        &mut self,
        conversation: Conversation<'_>,
        entry: &Entry<'_>,
        asked: Option<Waiting>,
        turn: &mut Turn<'_>,
    ) {
        self.counts.messages += u64::from(asked.is_some());
        match conversation {
            Conversation::Room(name) => {
                let room = asked.as_ref().and_then(|asked| asked.room);
                let Some(room) = room.or_else(|| self.list_room(name, entry.ts, turn)) else { return };
                self.said_in(room, entry, asked, turn);
            }
            Conversation::Direct(one, other) => {
                self.said_to(other_of(one, other, entry.sender), entry, asked, turn);
            }
        }
    }

    pub(super) fn page_read(&mut self, waiting: Waiting, found: Found<'_>, turn: &mut Turn<'_>) {
        let Waiting { asker, room, what } = waiting;
        let ask = asker.ask();
        if let Some(room) = room.filter(|_| found.head.kept > 0) {
            self.roster.note_kept(room);
        }
        match (what, room) {
            (What::Enter { resumed, of }, Some(room)) => {
                let open = self.roster.session(ask.conn).is_some_and(|session| !session.closing);
                if of.is_some() && open && self.readers.begin(ask.conn).count_names() {
                    turn.out.tell_when_drained(ask.conn);
                }
                self.entered(ask, room, resumed, found, turn);
                if let Some(of) = of {
                    self.one_of_list(of, Join::Joined, turn);
                }
            }
            (What::Slice { after }, Some(room)) => self.slice_read(ask.conn, room, after, found, turn),
            (What::Leave { why }, Some(room)) => self.left(ask, room, why, turn),
            (What::RoomInfo { created }, Some(room)) => {
                if created == Some(true) {
                    self.roster.note_described(room);
                }
                self.answer_room(ask, room, created, found.head, turn);
            }
            (What::History(wanted), room) => {
                if let Err(refusal) = self.answer_history(ask, room, &wanted, found, turn) {
                    self.refuse(ask, &refusal, turn);
                }
            }
            (what, _) => debug_assert!(false, "nothing was to be read for {what:?}"),
        }
    }

    pub(super) fn failed(&mut self, waiting: Waiting, turn: &mut Turn<'_>) {
        let Waiting { asker, room, what } = waiting;
        let ask = asker.ask();
        let mut answer = true;
        let mut list = None;
        match (what, room) {
            (What::Enter { of, .. }, Some(room)) => {
                list = of;
                self.roster.turn_down(ask.conn, room);
            }
            (What::Slice { .. }, _) => {
                self.read_later(ask.conn, turn);
                answer = false;
            }
            // A store that is down keeps nobody from leaving.
            (What::Leave { why }, Some(room)) => {
                self.left(ask, room, why, turn);
                answer = false;
            }
            (What::Broadcast { said: Some(said) } | What::Direct { said: Some(said), .. }, _) => self.said.fail(said),
            (What::RoomInfo { created: Some(true) }, Some(room)) => self.roster.take_back(room),
            (What::Copy { of, to }, _) => {
                self.copied(of, to, Copied::Failed, turn);
                answer = false;
            }
            _ => {}
        }
        if answer {
            let mut refusal = Refusal::new(Code::BackendDown, "expected the message store to answer, found it down");
            if let (Some(_), Some(room)) = (list, room) {
                refusal.room = Some(self.roster.room(room).name.as_str().into());
            }
            self.refuse(ask, &refusal, turn);
        }
        if let Some(of) = list {
            self.one_of_list(of, Join::Refused, turn);
        }
    }
}
