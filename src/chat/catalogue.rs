//! What the backend and the chat tell each other of rooms and people, beside what is said: which there are, and which are over.
//!
//! A backend may have been filled before the chat began, and may be filled elsewhere while it lasts. A room that it tells of is listed
//! as one that somebody has made and left: it takes as much memory, and makes room in the same order. What finds no place is not
//! listed, and is there all the same for whoever joins it.

use super::hall::{Hall, ROOM_BYTES, USER_BYTES};
use super::name::{RoomName, UserName};
use super::turn::{Ctx, Turn};
use super::wire::Refusal;
use crate::backend::{Description, Request};

impl Hall {
    /// The backend has a room, or what stands of it has changed.
    pub(super) fn told_of_room(&mut self, description: Description<'_>, keeps: bool, turn: &mut Turn<'_>) {
        let Some(key) = self.list_room(description.room, description.created_at, turn) else { return };
        let room = self.rooms.at_mut(key);
        room.title = description.title.map(Into::into);
        room.topic = description.topic.map(Into::into);
        room.created_at = description.created_at;
        room.created |= description.created;
        room.holds |= keeps;
        room.described = true;
        self.rooms.settle(key, turn.now.tick);
        self.sweep_later(turn);
    }

    /// A room that the backend has, put on the list if there is a place that takes none from a room with a history.
    pub(super) fn list_room(&mut self, name: &str, created_at: u64, turn: &mut Turn<'_>) -> Option<u32> {
        if let Some(key) = self.rooms.find(name) {
            return Some(key);
        }
        let new = RoomName::parse(name).ok()?;
        if self.rooms.len() >= turn.settings.max_rooms {
            let empty = self.rooms.longest_empty().filter(|&key| !self.rooms.at(key).holds)?;
            self.rooms.end(empty);
        }
        self.take_memory(ROOM_BYTES + 4 * name.len()).ok()?;
        Some(self.rooms.insert(new, created_at))
    }

    /// The backend knows a user.
    pub(super) fn told_of_user(&mut self, name: &str, turn: &Turn<'_>) {
        if self.users.find(name).is_none()
            && self.users.len() < turn.settings.max_users
            && let Ok(name) = UserName::parse(name)
            && self.take_memory(USER_BYTES + 2 * name.as_str().len()).is_ok()
        {
            self.users.know(&name);
        }
    }

    /// Tells the backend what a room is.
    pub(super) fn describe(&mut self, room: u32, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let room = self.rooms.at(room);
        let description = Description {
            room: room.name.as_str(),
            title: room.title.as_deref(),
            topic: room.topic.as_deref(),
            created_at: room.created_at,
            created: room.created,
        };
        Ok(ctx.store.ask(Request::Describe(description))?)
    }

    /// Ends a room that nobody is in, so that there is a place for another one: what is kept of it goes.
    pub(super) fn evict(&mut self, room: u32, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let place = self.rooms.at(room);
        if place.holds {
            ctx.store.ask(Request::Erase { room: place.name.as_str() })?;
        }
        self.rooms.end(room);
        Ok(())
    }

    /// Tells the backend of rooms that ended, before anything else is asked about them. One that is not taken costs the backend a
    /// line in a list, and nobody a message.
    pub(super) fn release_ended(&mut self, ctx: &mut Ctx<'_>) {
        if !self.rooms.ended.is_empty() {
            self.slacken(ctx);
        }
        for name in self.rooms.ended.drain(..) {
            let _ = ctx.store.ask(Request::Release { room: name.as_str() });
        }
    }

    /// Tells the backend of people who have come for the first time. One that is not taken is known as long as the chat lasts.
    pub(super) fn tell_of_users(&mut self, ctx: &mut Ctx<'_>) {
        for name in self.users.met.drain(..) {
            let _ = ctx.store.ask(Request::Know { user: name.as_str() });
        }
    }
}
