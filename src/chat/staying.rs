//! Those who may stay: when what is set for rooms changes, sessions leave those that they may be in no longer.
//!
//! All sessions are looked at, some at a time and in a ring: what changes meanwhile has it go on from where it is until
//! it comes round to there, so that changes that come often keep it from nobody. What sessions ask for meanwhile is
//! held to what is set by then.

use std::time::Duration;

use super::farewell::Farewell;
use super::hall::Hall;
use super::roster::session::Dialect;
use super::timers::Timer;
use super::turn::Ctx;
use crate::time::Tick;

impl Hall {
    /// Has all sessions looked at, from where that was left off.
    pub(super) fn look_who_may_stay(&mut self, now: Tick) {
        self.staying.begin();
        if !self.timers.is_set(&Timer::Stay) {
            self.timers.set(Timer::Stay, now);
        }
    }

    /// Looks at the next sessions: they leave the rooms that they may not be in.
    pub(super) fn see_who_may_stay(&mut self, ctx: &mut Ctx<'_>) {
        let before = self.ruled.compared();
        let (mut looked_at, mut is_over) = (0, false);
        let mut out = Vec::new();
        while looked_at < LOOKED_AT_ONCE && out.len() < OUT_AT_ONCE && self.ruled.compared() - before < COMPARED_AT_ONCE
        {
            let Some(slot) = self.staying.next(self.roster.sessions().slots()) else {
                is_over = true;
                break;
            };
            if let Some((conn, session)) = self.roster.sessions().at(slot).filter(|(_, session)| !session.closing) {
                let seats = session.seats.iter().map(|seat| seat.room);
                out.extend(seats.filter(|&room| !self.may_be_in(conn, room)).map(|room| (conn, room, session.dialect)));
            }
            looked_at += 1;
        }
        if !is_over {
            self.timers.set(Timer::Stay, ctx.now.tick + Duration::from_millis(1));
        }
        for (conn, room, dialect) in out {
            match dialect {
                Dialect::Json => self.put_out(conn, room, None, ctx),
                // It has no other room to be in.
                Dialect::Plain => {
                    self.roster.expel(conn);
                    self.dismiss(conn, Farewell::OUT_OF_THE_ROOM, ctx);
                }
            }
        }
    }
}

/// Sessions that are looked at in one turn, each whole.
const LOOKED_AT_ONCE: u32 = 64;

/// Seats in rooms that are left in one turn, beside those of the session that crosses it: of each the store is asked,
/// and a room hears it.
const OUT_AT_ONCE: usize = 256;

/// What may be looked at of patterns in one turn, in bytes, beside that of the session that crosses it: some 250 us.
const COMPARED_AT_ONCE: usize = 256 << 10;
