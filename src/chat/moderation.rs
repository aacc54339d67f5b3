//! The operator's measures about people: kick, disconnect, ban.
//!
//! A user who is kicked from a room hears `left` and may come back; a user who is kicked from the server hears
//! `goodbye`, is closed with 4010 and may come back, too, but the client should not by itself. A ban keeps a name out:
//! its sessions are closed with 4003, and so is every session that comes with it. Bans are of names, not of addresses,
//! and are forgotten when the server stops.

use std::time::Duration;

use super::ask::Ask;
use super::bans::{Ban, MAX_BANS};
use super::checks::{check_line, user_name};
use super::farewell::Farewell;
use super::hall::Hall;
use super::roster::session::{Dialect, NOBODY};
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::wire::answer::{self, Ack, EndReason};
use super::wire::order::Whom;
use super::wire::request::Page;
use super::wire::{Code, Refusal};
use crate::id::ConnId;

impl Hall {
    pub(super) fn kick(&mut self, ask: Ask<'_>, whom: &Whom<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let sessions = self.sessions_of(whom)?;
        for &session in &sessions {
            self.roster.expel(session);
            self.dismiss(session, Farewell::KICKED, turn);
        }
        if let Whom::User(name) = whom {
            self.end_grace(name, turn);
        }
        turn.out.answer(ask, &Ack::Closed { closed: sessions.len() });
        Ok(())
    }

    pub(super) fn kick_from_room(
        &mut self,
        ask: Ask<'_>,
        whom: &Whom<'_>,
        room: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let key = self.wanted_room(ask.conn, room)?;
        let mut left = 0;
        for session in self.sessions_of(whom)? {
            let found = self.roster.session(session).filter(|session| session.wants(key));
            match found.map(|session| session.dialect) {
                None => continue,
                Some(Dialect::Json) => self.put_out(session, key, Some(EndReason::Kicked), ctx),
                // It has no other room to be in.
                Some(Dialect::Plain) => {
                    self.roster.expel(session);
                    self.dismiss(session, Farewell::KICKED, ctx);
                }
            }
            left += 1;
        }
        if let Whom::User(name) = whom
            && let Some(user) = self.roster.users().find(name)
            && let Some(key) = self.roster.rooms().find(room)
        {
            let left = self.roster.wait_no_longer_in(user, key);
            self.tell(left, ctx);
        }
        ctx.out.answer(ask, &Ack::Left { left });
        Ok(())
    }

    pub(super) fn disconnect(
        &mut self,
        ask: Ask<'_>,
        whom: &Whom<'_>,
        code: Option<u64>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let farewell = Farewell::disconnected(code).ok_or_else(|| {
            let found = code.unwrap_or_default();
            let message = format!("`code`: expected 1001, 1008, 1012, 1013 or one from 4000 to 4999, found {found}");
            Refusal::new(Code::BadRequest, message)
        })?;
        let sessions = self.sessions_of(whom)?;
        for &session in &sessions {
            self.dismiss(session, farewell, turn);
        }
        turn.out.answer(ask, &Ack::Closed { closed: sessions.len() });
        Ok(())
    }

    pub(super) fn ban(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        seconds: Option<u64>,
        note: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let user = user_name(name)?;
        check_line("note", note, MAX_NOTE_BYTES)?;
        if let Some(found) = seconds.filter(|seconds| !(1..=MAX_BAN_SECONDS).contains(seconds)) {
            let message = format!("`seconds`: expected an integer from 1 to {MAX_BAN_SECONDS}, found {found}");
            return Err(Refusal::new(Code::BadRequest, message));
        }
        if self.bans.is_full() && !self.bans.has(name) {
            return Err(Refusal::new(Code::Overloaded, format!("expected at most {MAX_BANS} bans, found one more")));
        }
        let timer = Timer::Ban(user.clone());
        match seconds {
            None => self.timers.cancel(timer),
            Some(seconds) => self.timers.set(timer, turn.now.tick + Duration::from_secs(seconds)),
        }
        let until = seconds.map(|seconds| turn.now.unix_ms + seconds * 1000);
        self.bans.begin(user, Ban { until, note: note.map(Into::into) });
        let sessions: Vec<ConnId> = match self.roster.users().find(name) {
            None => Vec::new(),
            Some(key) => self.roster.open_devices(key).collect(),
        };
        for &session in &sessions {
            self.roster.expel(session);
            self.turn_out(session, turn);
        }
        self.end_grace(name, turn);
        let ban = answer::ListedBan { user_id: name, until, note };
        turn.out.answer(ask, &answer::Ban { ban, closed: sessions.len() });
        Ok(())
    }

    pub(super) fn unban(&mut self, ask: Ask<'_>, name: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let user = user_name(name)?;
        let banned = self.bans.end(&user);
        self.timers.cancel(Timer::Ban(user));
        turn.out.answer(ask, &Ack::Unbanned { banned });
        Ok(())
    }

    /// Bans in order of names.
    pub(super) fn list_bans(&mut self, ask: Ask<'_>, page: Page<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let (bans, more) = page.fill(self.bans.after(page.cursor.as_deref()));
        let next = bans.last().filter(|_| more).map(|(name, _)| name.as_str());
        let listed = bans.iter().map(|&(name, ban)| answer::ListedBan {
            user_id: name.as_str(),
            until: ban.until,
            note: ban.note.as_deref(),
        });
        let listed: Vec<_> = listed.collect();
        turn.out.answer(ask, &answer::Bans { bans: &listed, count: self.bans.len(), next });
        Ok(())
    }

    /// An operator has put out the user of this name, so no room waits for one of their devices any longer. Without a
    /// device the user is gone at once; with one, as soon as the last is closed.
    fn end_grace(&mut self, name: &str, turn: &mut Turn<'_>) {
        let Some(user) = self.roster.users().find(name) else { return };
        let facts = self.roster.wait_no_longer(user, turn.now.tick);
        self.tell(facts, turn);
    }

    fn sessions_of(&self, whom: &Whom<'_>) -> Result<Vec<ConnId>, Refusal> {
        match whom {
            Whom::User(name) => self.known_user(name).map(|user| self.roster.open_devices(user).collect()),
            Whom::Session(session) => {
                let id = u64::from_str_radix(session, 16).ok().filter(|_| session.len() == 16);
                let mut open =
                    self.roster.sessions().iter().filter(|(_, session)| session.user != NOBODY && !session.closing);
                match open.find(|(_, session)| Some(session.id) == id) {
                    Some((conn, _)) => Ok(vec![conn]),
                    None => {
                        let message = "`session_id`: expected one of a session that is open, found another one";
                        Err(Refusal::new(Code::UserNotFound, message))
                    }
                }
            }
        }
    }
}

/// Ten years.
const MAX_BAN_SECONDS: u64 = 3650 * 86_400;

/// The longest note of a ban, in bytes.
const MAX_NOTE_BYTES: usize = 256;
