//! Rooms that begin another life while people are inside: the store has lost something, and goes on.
//!
//! Whatever the store says of a room names the life of it, so none of it is taken for another one's. Everybody inside
//! who speaks JSON is from then on a reader who catches up (`replay`), with a position in the life that is over: as one
//! who comes back with such a `since`, but that it has not asked. Where nothing is said, the chat asks for the heads of
//! the rooms that people are in when the store says that it has lost something: it may not know any more that this node
//! is to be told of them, which plain sessions suffer as well.

use std::time::Duration;

use super::ask::Asker;
use super::hall::Hall;
use super::readers::CatchingUp;
use super::roster::room::topic;
use super::roster::session::Dialect;
use super::timers::Timer;
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::answer::{Gap, Hole, Missing};
use crate::backend::{Conversation, Epoch, Query};
use crate::id::ConnId;

impl Hall {
    /// The store has said something of this life of a room. Those inside who have heard another one hear the room no
    /// longer, and catch up with it.
    pub(super) fn note_life(&mut self, room: u32, life: Epoch, turn: &mut Turn<'_>) {
        let Some(before) = self.roster.note_life(room, life) else { return };
        // Here too: what is said of a room may come before the news that something was lost.
        self.forget_answered();
        let inside: Vec<(ConnId, Dialect)> = self.roster.inside(room).collect();
        // A plain session knows of no numbers, and hears on.
        for (conn, _) in inside.into_iter().filter(|(_, dialect)| *dialect == Dialect::Json) {
            if self.roster.fall_behind(conn, room) {
                turn.out.unsubscribe(conn, topic(room, Dialect::Json));
                self.readers.begin(conn).catch_up(CatchingUp { room, life: before, heard: 0 });
            } else {
                // What it said in the life that is over does not come back to it any more.
                self.answer_unheard(conn, room, u64::MAX, turn);
            }
            turn.out.tell_when_drained(conn);
        }
    }

    /// Entries of a room can be told no more. Sessions that catch up hear of that by the page that lacks them.
    pub(super) fn missed(&mut self, name: &str, epoch: Epoch, from: u64, to: u64, turn: &mut Turn<'_>) {
        let Some(room) = self.roster.rooms().find(name) else { return };
        self.note_life(room, epoch, turn);
        if self.roster.room(room).json > 0 {
            let hole = Hole { from, to, why: Missing::Expired };
            turn.out.say_in(topic(room, Dialect::Json), &[], &Gap { room_id: name, epoch, hole });
        }
    }

    /// Asks for the heads of the next rooms that people are in, which say what lives these are in.
    pub(super) fn ask_lives(&mut self, from: u32, ctx: &mut Ctx<'_>) {
        let (rooms, next) = self.roster.rooms().with_sessions(from, LOOKED_AT_ONCE);
        for room in rooms {
            let Some((conn, _)) = self.roster.inside(room).next() else { continue };
            let name = self.roster.room(room).name.clone();
            let waiting = Waiting { asker: Asker::unnamed(conn), room: Some(room), what: What::Life };
            if self.read(waiting, Conversation::Room(name.as_str()), Query::Head, ctx).is_err() {
                return self.timers.set(Timer::Lives { from: room }, ctx.now.tick + ASK_AGAIN_AFTER);
            }
        }
        if let Some(from) = next {
            self.timers.set(Timer::Lives { from }, ctx.now.tick + Duration::from_millis(1));
        }
    }

    /// The store could not say it of one: it is asked for all of them again, though not soon, because that one may not
    /// be readable at all.
    pub(super) fn ask_lives_later(&mut self, turn: &Turn<'_>) {
        self.timers.set(Timer::Lives { from: 0 }, turn.now.tick + ASK_ALL_AGAIN_AFTER);
    }
}

/// Rooms that are looked at in one turn.
const LOOKED_AT_ONCE: u32 = 256;

/// When a store that was asked too much is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// When one that failed is asked for all heads again: at most 10,000 reads a minute, then.
const ASK_ALL_AGAIN_AFTER: Duration = Duration::from_secs(60);
