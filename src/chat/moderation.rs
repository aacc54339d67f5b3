//! The operator's measures about people: kick, disconnect, ban.
//!
//! A user who is kicked from a room hears `left` and may come back; a user who is kicked from the server hears
//! `goodbye`, is closed with 4010 and may come back, too, but the client should not by itself. A ban keeps a name out:
//! its sessions are closed with 4003, and so is every session that comes with it. Bans are of names, not of addresses,
//! and hold at once, whatever the store takes to keep them.

use std::time::Duration;

use super::ask::Ask;
use super::bans::{Ban, MAX_BANS};
use super::checks::{check_line, user_name};
use super::farewell::Farewell;
use super::hall::Hall;
use super::name::UserName;
use super::roster::session::{Dialect, NOBODY};
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::waiting::{NewBan, Waiting, What};
use super::wire::answer::{self, Ack, EndReason};
use super::wire::order::Whom;
use super::wire::request::Page;
use super::wire::word::Word;
use super::wire::{Code, Refusal};
use crate::backend::{self, Audience, Request};
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
            self.others.tell(Audience::User(name), &Word::Kicked { room: None });
        }
        turn.out.answer(ask, &Ack::Closed { closed: sessions.len() + self.devices_abroad(whom) });
        Ok(())
    }

    /// Another node has kicked the user.
    pub(super) fn put_out_of_server(&mut self, name: &str, turn: &mut Turn<'_>) {
        for session in self.devices_of(name) {
            self.roster.expel(session);
            self.dismiss(session, Farewell::KICKED, turn);
        }
        self.end_grace(name, turn);
    }

    pub(super) fn kick_from_room(
        &mut self,
        ask: Ask<'_>,
        whom: &Whom<'_>,
        room: &str,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let key = self.wanted_room(ask.conn, room)?;
        let sessions = self.sessions_of(whom)?;
        let mut left = self.put_sessions_out(&sessions, key, ctx);
        if let Whom::User(name) = whom {
            self.wait_no_longer_in(name, room, ctx);
            let user = self.roster.users().find(name);
            left += user.map_or(0, |user| u64::from(self.roster.sessions_abroad(user, key)));
            self.others.tell(Audience::User(name), &Word::Kicked { room: Some(room.into()) });
        }
        ctx.out.answer(ask, &Ack::Left { left });
        Ok(())
    }

    /// Puts those of the sessions out of a room that are in it. Returns how many they are.
    pub(super) fn put_sessions_out(&mut self, sessions: &[ConnId], key: u32, ctx: &mut Ctx<'_>) -> u64 {
        let mut left = 0;
        for &session in sessions {
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
        left
    }

    /// A room waits no longer for the devices of a user.
    pub(super) fn wait_no_longer_in(&mut self, name: &str, room: &str, turn: &mut Turn<'_>) {
        if let Some(user) = self.roster.users().find(name)
            && let Some(key) = self.roster.rooms().find(room)
        {
            let left = self.roster.wait_no_longer_in(user, key);
            self.tell(left, turn);
        }
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
        if let Whom::User(name) = whom {
            self.others.tell(Audience::User(name), &Word::Disconnected { code });
        }
        turn.out.answer(ask, &Ack::Closed { closed: sessions.len() + self.devices_abroad(whom) });
        Ok(())
    }

    /// Keeps a name out from now on. The answer comes when the store has kept that.
    pub(super) fn ban(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        seconds: Option<u64>,
        note: Option<&str>,
        ctx: &mut Ctx<'_>,
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
        let until = seconds.map(|seconds| ctx.now.unix_ms + seconds * 1000);
        let (closed, kept) =
            (self.devices_of(name).len() + self.devices_abroad(&Whom::User(name.into())), note.map(Into::into));
        let new = NewBan { user: user.clone(), until, note: kept, closed };
        let waiting = Waiting { asker: ask.keep(), room: None, what: What::Ban(Box::new(new)) };
        let ban = backend::Ban { user: name, until, note };
        self.ask_store(waiting, |ticket| Request::Ban { ban, ticket }, ctx)?;
        self.bans.begin(user.clone(), Ban { until, note: note.map(Into::into) });
        self.time_ban(user, until, ctx);
        self.keep_out(name, ctx);
        Ok(())
    }

    /// The store has a ban: since before, or by a call elsewhere.
    pub(super) fn told_of_ban(&mut self, ban: backend::Ban<'_>, turn: &mut Turn<'_>) {
        let Ok(user) = UserName::parse(ban.user) else { return };
        self.bans.learn(user, Ban { until: ban.until, note: ban.note.map(Into::into) });
        self.keep_out(ban.user, turn);
    }

    /// A name is let in again by a call elsewhere.
    pub(super) fn told_of_unban(&mut self, name: &str) {
        let Ok(user) = UserName::parse(name) else { return };
        self.bans.end(&user);
        self.timers.cancel(Timer::Ban(user));
    }

    /// Sets the timers of bans that the store has told of: when it tells of those from before, no time is known yet.
    pub(super) fn time_bans(&mut self, turn: &Turn<'_>) {
        for (user, until) in self.bans.take_untimed() {
            self.time_ban(user, until, turn);
        }
    }

    fn time_ban(&mut self, user: UserName, until: Option<u64>, turn: &Turn<'_>) {
        match until {
            None => self.timers.cancel(Timer::Ban(user)),
            Some(until) if until <= turn.now.unix_ms => drop(self.bans.end(&user)),
            Some(until) => {
                let left = Duration::from_millis(until - turn.now.unix_ms);
                self.timers.set(Timer::Ban(user), turn.now.tick + left);
            }
        }
    }

    /// Closes the sessions of a banned user.
    fn keep_out(&mut self, name: &str, turn: &mut Turn<'_>) {
        for session in self.devices_of(name) {
            self.roster.expel(session);
            self.turn_out(session, name, turn);
        }
        self.end_grace(name, turn);
    }

    /// Devices of a user on other nodes, as they have said it.
    fn devices_abroad(&self, whom: &Whom<'_>) -> usize {
        let Whom::User(name) = whom else { return 0 };
        self.roster.users().find(name).map_or(0, |user| self.roster.user(user).abroad as usize)
    }

    fn devices_of(&self, name: &str) -> Vec<ConnId> {
        self.roster.users().find(name).map_or_else(Vec::new, |user| self.roster.open_devices(user).collect())
    }

    pub(super) fn unban(&mut self, ask: Ask<'_>, name: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let user = user_name(name)?;
        let what = What::Unban { banned: self.bans.has(name) };
        let waiting = Waiting { asker: ask.keep(), room: None, what };
        self.ask_store(waiting, |ticket| Request::Unban { user: name, ticket }, ctx)?;
        self.bans.end(&user);
        self.timers.cancel(Timer::Ban(user));
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

    pub(super) fn sessions_of(&self, whom: &Whom<'_>) -> Result<Vec<ConnId>, Refusal> {
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
