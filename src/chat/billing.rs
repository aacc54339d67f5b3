//! Paying for frames: each is paid from the bucket of a user at an address, and a frame that cannot be paid is refused.
//!
//! Buckets themselves are in `rate_limit`, which knows neither sessions nor answers.

use super::ask::Ask;
use super::farewell::Farewell;
use super::hall::Hall;
use super::name::UserName;
use super::rate_limit::{ANNOUNCE_RATE, Paid, Payer, Price, SWEEP_EVERY, TooFast, Verdict};
use super::rules::Key;
use super::settings::{Rate, Settings};
use super::timers::Timer;
use super::turn::Turn;
use super::wire::{Code, Id, Refusal};
use crate::id::ConnId;

impl Hall {
    /// The payer for the session, once it is a device of the user of this name.
    pub(super) fn payer_as(&mut self, conn: ConnId, name: &UserName) -> Option<Payer> {
        let address = self.roster.session(conn)?.payer.address;
        Some(self.buckets.payer(name.as_str(), address))
    }

    /// Pays for one frame; a frame that cannot be paid is refused, or closes the session.
    pub(super) fn pay<'t>(&mut self, conn: ConnId, turn: &mut Turn<'_>, id: impl FnOnce() -> Option<Id<'t>>) -> bool {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return false };
        let now = turn.now.tick;
        let verdict = self.buckets.pay(payer, turn.settings.rate, turn.settings.full_speed_per_address, now);
        if self.buckets.wants_sweep() {
            self.timers.set(Timer::Buckets, now + SWEEP_EVERY);
        }
        match verdict {
            Verdict::Pass => return true,
            Verdict::Refused(refused) => {
                self.counts.rate_limited += 1;
                let id = id();
                if id.is_some() || self.buckets.tells(payer, now) {
                    let refusal = self.too_fast(payer, refused, turn);
                    self.refuse(Ask::new(conn, id.as_ref()), &refusal, turn);
                }
            }
            Verdict::Abuse => {
                self.counts.rate_limited += 1;
                self.dismiss(conn, Farewell::RATE_ABUSE, turn);
            }
        }
        false
    }

    /// Pays for a request that costs more than one frame the part that its frame has not paid for. Operators do not
    /// pay.
    pub(super) fn pay_for_more(&mut self, conn: ConnId, price: Price, turn: &Turn<'_>) -> Result<Paid, Refusal> {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return Ok(Paid::default()) };
        let Settings { rate, full_speed_per_address: people, .. } = *turn.settings;
        self.buckets.pay_for_more(payer, price, rate, people, turn.now.tick).map_err(|refused| {
            self.counts.rate_limited += 1;
            self.too_fast(payer, refused, turn)
        })
    }

    /// A request that was paid for as if there were much to do had only so much, or nothing was done for it.
    pub(super) fn give_back(&mut self, conn: ConnId, paid: Paid, done: Price) {
        if let Some(payer) = self.roster.session(conn).map(|session| session.payer) {
            self.buckets.give_back(payer, paid, done);
        }
    }

    /// Pays for speaking to everybody, or calling everybody in a room; operators do not pay, nor does anybody without a
    /// limit on the rate.
    pub(super) fn pay_to_announce(&mut self, conn: ConnId, whom: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return Ok(()) };
        if turn.settings.rate.is_none() {
            return Ok(());
        }
        self.buckets.pay_to_announce(payer, turn.now.tick).map_err(|retry_after| {
            self.counts.rate_limited += 1;
            let Rate { per_second, burst } = ANNOUNCE_RATE;
            let message = format!(
                "`{whom}`: expected at most {per_second} message a second to everybody, and {burst} at once, found more"
            );
            let mut refusal = Refusal::new(Code::RateLimited, message);
            refusal.retry_after = Some(retry_after);
            refusal
        })
    }

    /// Pays for being heard in a room that has a rate of its own, beside what every frame costs.
    pub(super) fn pay_in_room(&mut self, conn: ConnId, room: u32, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let Some(payer) = self.roster.session(conn).map(|session| session.payer) else { return Ok(()) };
        let room = self.roster.room(room);
        let set = self.ruled.find(Key::Rate, &room.name, Some(&room.ruled)).and_then(|values| values.rate);
        let Some(Some(rate)) = set else { return Ok(()) };
        let now = turn.now.tick;
        let paid = self.buckets.pay_in_room(payer, room.name.as_str(), rate, now);
        if self.buckets.wants_sweep() {
            self.timers.set(Timer::Buckets, now + SWEEP_EVERY);
        }
        paid.map_err(|retry_after| {
            self.counts.rate_limited += 1;
            let message = format!("expected messages in the room at its rate of {rate}, found more");
            let ruled = Some(Key::Rate);
            Refusal { retry_after: Some(retry_after), ruled, ..Refusal::new(Code::RateLimited, message) }
        })
    }

    fn too_fast(&mut self, payer: Payer, refused: TooFast, turn: &Turn<'_>) -> Refusal {
        let message = match refused.crowded {
            false => "expected messages at the rate of welcome.limits.rate, found more",
            true => "expected messages at the rate that all at this address have together, found more",
        };
        let mut refusal = Refusal::new(Code::RateLimited, message);
        let people = turn.settings.full_speed_per_address;
        let again = |rate| self.buckets.promise(payer, refused, rate, people, turn.now.tick);
        refusal.retry_after = Some(turn.settings.rate.map_or(refused.retry_after, again));
        refusal
    }
}
