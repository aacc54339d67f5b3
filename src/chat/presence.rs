//! Presence: status, notes, and the sessions that watch a user.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::ask::Ask;
use super::checks::{read_status, user_name};
use super::hall::{Hall, WATCH_BYTES};
use super::name::UserName;
use super::roster::user::{NOBODY_THERE, View};
use super::turn::Turn;
use super::wire::answer::{self, Ack};
use super::wire::{Code, Refusal};
use crate::id::ConnId;

impl Hall {
    pub(super) fn set_status(
        &mut self,
        ask: Ask<'_>,
        status: &str,
        note: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let shows = read_status(status, note)?;
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let seen = self.roster.show_from(user, shows, turn.now.unix_ms);
        turn.out.answer(ask, &Ack::Done {});
        self.tell(Some(seen), turn);
        Ok(())
    }

    pub(super) fn presence_of_room(
        &mut self,
        ask: Ask<'_>,
        room: &str,
        subscribe: Option<bool>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let key = self.room_to_use(ask.conn, room)?;
        let members = &self.roster.room(key).members;
        if members.len() > MAX_WATCHED {
            let message = format!("`room_id`: expected a room of at most {MAX_WATCHED} users, found {}", members.len());
            return Err(Refusal::new(Code::TooLarge, message));
        }
        let names = members.users_from(0).map(|user| self.roster.user(user).name.clone()).collect();
        self.presence(ask, Some(room), names, subscribe, turn)
    }

    pub(super) fn presence_of_users(
        &mut self,
        ask: Ask<'_>,
        users: &[Cow<'_, str>],
        subscribe: Option<bool>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        turn.out.note_names(users.iter().map(|name| &**name));
        let names = users.iter().map(|name| user_name(name)).collect::<Result<BTreeSet<_>, _>>()?;
        self.presence(ask, None, names, subscribe, turn)
    }

    fn presence(
        &mut self,
        ask: Ask<'_>,
        room: Option<&str>,
        names: BTreeSet<UserName>,
        subscribe: Option<bool>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        match subscribe {
            Some(true) => self.watch(ask.conn, &names)?,
            Some(false) => self.unwatch(ask.conn, &names),
            None => {}
        }
        // Each is found, and watched or written.
        turn.out.note_work(names.len());
        let seen = |name: &'_ UserName| match self.roster.users().find(name.as_str()) {
            Some(user) => self.view_for(ask.conn, user),
            None => NOBODY_THERE,
        };
        let users: Vec<_> = names.iter().map(|name| (name.as_str(), seen(name))).collect();
        turn.out.answer(ask, &answer::PresenceState { room_id: room, users: &users });
        Ok(())
    }

    fn watch(&mut self, conn: ConnId, names: &BTreeSet<UserName>) -> Result<(), Refusal> {
        let new: Vec<&UserName> = names.iter().filter(|&name| !self.watches.is_watching(conn, name)).collect();
        let found = self.watches.count(conn) + new.len();
        if found > MAX_WATCHED {
            let message = format!("expected at most {MAX_WATCHED} watched users a session, found {found}");
            return Err(Refusal::new(Code::TooLarge, message));
        }
        let crowded = |name: &&UserName| self.watches.watchers(name).len() >= MAX_WATCHERS;
        if new.iter().any(crowded) {
            let message = format!("expected at most {MAX_WATCHERS} watchers of a user, found one more");
            return Err(Refusal::new(Code::Overloaded, message));
        }
        let bytes = new.iter().map(|name| WATCH_BYTES + 2 * name.as_str().len()).sum();
        if bytes > 0 {
            self.allowance.take(bytes)?;
        }
        new.into_iter().for_each(|name| self.watches.begin(conn, name));
        Ok(())
    }

    fn unwatch(&mut self, conn: ConnId, names: &BTreeSet<UserName>) {
        names.iter().for_each(|name| self.watches.end(conn, name));
    }

    /// A user as a session sees them.
    pub(super) fn view_for(&self, conn: ConnId, user: u32) -> View {
        match self.user_of(conn) == Some(user) {
            true => self.roster.user(user).own_view(),
            false => self.roster.user(user).view(),
        }
    }
}

/// Users that one session can watch.
const MAX_WATCHED: usize = 1000;

/// Sessions that can watch one user: the most messages of one change of status.
const MAX_WATCHERS: usize = 1000;
