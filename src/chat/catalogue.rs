//! The catalogue of rooms and people that backend and chat exchange, beside messages: which there are, and which have
//! ended.
//!
//! A backend may have been filled before the chat began, and may be filled elsewhere while it lasts. A room that it
//! announces is listed as one that a user has made and left: it takes as much memory, and makes room in the same order.
//! A room without a place is not listed, but a session can join it all the same.

use super::hall::{Hall, ROOM_BYTES, USER_BYTES};
use super::name::{RoomName, UserName};
use super::settings::remembered_bytes;
use super::turn::{Ctx, Turn};
use super::wire::Refusal;
use crate::backend::{Description, Request};

impl Hall {
    /// The backend has a room, or its description has changed.
    pub(super) fn told_of_room(
        &mut self,
        description: Description<'_>,
        keeps: bool,
        changes: u64,
        turn: &mut Turn<'_>,
    ) {
        let Some(key) = self.list_room(description.room, description.created_at, turn) else { return };
        if self.roster.learn_room(key, &description, keeps, changes) {
            self.topic_stands(key, turn);
        }
        self.sweep_later(turn);
    }

    /// A room that the backend has, put on the list if there is a place that takes none from a room with a history.
    pub(super) fn list_room(&mut self, name: &str, created_at: u64, turn: &mut Turn<'_>) -> Option<u32> {
        if let Some(key) = self.roster.rooms().find(name) {
            return Some(key);
        }
        let new = RoomName::parse(name).ok()?;
        let is_full = self.roster.rooms().len() >= turn.settings.max_rooms;
        let empty = match is_full {
            false => None,
            true => {
                self.roster.settle(turn.now.tick);
                let empty = self.roster.rooms().longest_empty();
                Some(empty.filter(|&key| !self.roster.room(key).holds)?)
            }
        };
        self.allowance.take(ROOM_BYTES + 4 * name.len()).ok()?;
        // It loses its place in the list, and nothing that the backend has of it.
        empty.into_iter().for_each(|key| self.roster.unlist_room(key));
        if self.others.had_no_place {
            self.others.listed.insert(new.clone());
        }
        Some(self.roster.make_room(new, created_at))
    }

    /// The backend knows a user. Where memory is short, this one takes the place of the one who left longest ago.
    pub(super) fn told_of_user(&mut self, name: &str, turn: &Turn<'_>) {
        if self.roster.users().find(name).is_none()
            && self.roster.users().len() < turn.settings.max_users
            && let Ok(name) = UserName::parse(name)
            && (self.allowance.take(USER_BYTES + 2 * name.as_str().len()).is_ok() || self.roster.forget_longest_gone())
        {
            self.roster.learn_user(&name);
        }
    }

    /// Takes an empty room from the list, so that there is a place for another one. Its history goes, unless the
    /// backend has bounds of its own; of a room that keeps none nothing is left anywhere.
    pub(super) fn evict(&mut self, room: u32, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let place = self.roster.room(room);
        match (ctx.store.bounds_itself(), place.holds) {
            (_, false) => self.roster.end_room(room),
            (false, true) => {
                ctx.store.ask(Request::Erase { room: place.name.as_str() })?;
                self.roster.unlist_room(room);
            }
            (true, true) => self.roster.unlist_room(room),
        }
        Ok(())
    }

    /// Ends rooms that are not needed, and releases them at the backend, before anything else is asked about them. A
    /// release that the backend does not take costs it a line in a list, and loses no message.
    pub(super) fn release_ended(&mut self, ctx: &mut Ctx<'_>) {
        self.roster.settle(ctx.now.tick);
        let ended = self.roster.take_ended();
        if !ended.is_empty() {
            self.slacken(ctx);
        }
        for name in self.roster.take_unfollowed() {
            // One that the store does not take is heard for nothing, until somebody has come and gone again.
            let _ = ctx.store.ask(Request::Unfollow { room: name.as_str() });
        }
        for name in ended {
            let _ = ctx.store.ask(Request::Release { room: name.as_str() });
        }
    }

    /// Tells the backend of users who are new, have come or have gone. If it does not take one, that one is tried again
    /// in the next turn. Of those who have gone, as many are remembered as their share of the memory allows.
    pub(super) fn tell_of_users(&mut self, ctx: &mut Ctx<'_>) {
        if self.roster.forget_gone(remembered_bytes(ctx.settings.memory)) {
            self.slacken(ctx);
        }
        self.roster.take_met(|name, here| ctx.store.ask(Request::Know { user: name.as_str(), here }).is_ok());
    }
}
