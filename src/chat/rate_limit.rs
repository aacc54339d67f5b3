//! The limit on how fast people may talk, and when talking too fast becomes abuse.
//!
//! A token bucket kept as one number: the time at which it will be full again (the "generic cell rate algorithm").
//! Every frame is paid for twice: from the bucket of the user at that address, which all sessions of the user there
//! share, and from the one of the address, which everybody there shares. Neither belongs to a connection, so coming
//! back fills neither; coming back under another name leaves the second. (A session has one user and one address, and
//! so no bucket of its own.) A bucket that is full is not remembered.
//!
//! It does not know what an address is: the server says which connections come from the same one.

use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::time::Duration;

use super::settings::Rate;
use super::tables::table_bytes;
use crate::random::{Keyed, Random, Table};
use crate::time::Tick;

/// Where a connection comes from: the same number for the same place, and that is all the chat knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(pub NonZeroU64);

/// The payer for the frames of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer {
    /// The bucket of the user at the address, or at all addresses that are not counted.
    own: u64,
    /// The address of the session, if it is counted.
    pub address: Option<Address>,
}

/// All buckets that are not full, by a fingerprint of their owner.
#[derive(Debug)]
pub(super) struct Buckets {
    /// With a key nobody knows, so that it is useless to search for two users with one fingerprint.
    hasher: Keyed,
    /// Gives refused frames a time at random.
    strewing: Random,
    buckets: Table<u64, Bucket>,
    /// The table is swept when it has grown to this, besides every [`SWEEP_EVERY`].
    sweep_at: usize,
    /// The caller has been asked to call [`Buckets::sweep`].
    awaits_sweep: bool,
}

#[derive(Debug, Default)]
struct Bucket {
    /// When the bucket is full again, in nanoseconds on the clock of [`Tick`].
    full_at: u64,
    refusals: Option<Box<Refusals>>,
}

/// A payer who was never refused takes no memory for it.
#[derive(Debug)]
struct Refusals {
    /// The last second in which a frame was refused.
    second: u64,
    /// In how many seconds in a row it was the user's own fault.
    row: u32,
    /// When the last refusal without `id` was sent.
    told: Option<Tick>,
    /// The last time at which a refused frame may come back, in nanoseconds as `full_at`.
    promised: u64,
}

/// What a request costs, in frames, its own among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    /// The user, at that address.
    own: u64,
    /// All at the address.
    address: u64,
}

impl Price {
    /// As much as so many frames.
    pub fn frames(frames: u64) -> Self {
        Self { own: frames, address: frames }
    }

    /// What is looked up in so many conversations: where each stands, and what is unread.
    pub fn looking_at(conversations: usize) -> Self {
        Self::frames(conversations.div_ceil(LOOKED_AT_A_FRAME) as u64)
    }

    /// So many rooms are entered. The address pays for each as if it were asked for alone.
    pub fn entering(rooms: usize) -> Self {
        Self { address: rooms as u64, ..Self::looking_at(rooms) }
    }
}

/// What a request has paid beside its frame. What is not done for it is given back of this, and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(super) struct Paid {
    /// By the user, in nanoseconds of the bucket, and what one frame costs there.
    own: u64,
    own_price: u64,
    /// By the address.
    address: u64,
    address_price: u64,
}

impl Paid {
    /// Less than for so many frames is not asked for, because the bucket may owe no more.
    fn left_of(taken: u64, price: u64, frames: u64) -> u64 {
        taken.saturating_sub(price.saturating_mul(frames.saturating_sub(1)))
    }
}

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFast {
    /// When the next one passes.
    pub retry_after: Duration,
    /// Not the user alone but all at the address together.
    pub crowded: bool,
}

/// The answer to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Too fast; the next one passes after this time, if no other frame of the address takes its place.
    Refused(TooFast),
    /// Too fast for [`ABUSE_SECONDS`] in a row.
    Abuse,
}

impl Payer {
    /// A session without a user, which is not heard.
    pub fn nobody(address: Option<Address>) -> Self {
        Self { own: 0, address }
    }
}

impl Buckets {
    /// No frame has come. `strewing` spreads refused frames over the time in which they may come back.
    pub fn new(strewing: Random, keyed: &Keyed) -> Self {
        Self { hasher: keyed.clone(), strewing, buckets: keyed.table(), sweep_at: MIN_SWEEP, awaits_sweep: false }
    }

    /// The payer for a user at an address; `None` if the address is not counted.
    pub fn payer(&self, user: &str, address: Option<Address>) -> Payer {
        Payer { own: self.hasher.hash_one((user, address)), address }
    }

    /// Pays for one frame. A frame that only the address cannot pay for is paid by the user all the same, so that
    /// endless retries end like any flood.
    pub fn pay(&mut self, payer: Payer, rate: Option<Rate>, people: u32, now: Tick) -> Verdict {
        let Some(rate) = rate else { return Verdict::Pass };
        self.make_room(now);
        let own = self.buckets.entry(payer.own).or_default();
        if let Err(retry_after) = own.pay(rate, 1, now) {
            return match own.refuse(now) {
                true => Verdict::Abuse,
                false => Verdict::Refused(TooFast { retry_after, crowded: false }),
            };
        }
        let Some(address) = payer.address else { return Verdict::Pass };
        match self.crowd(address).pay(rate, people, now) {
            Ok(()) => Verdict::Pass,
            Err(retry_after) => Verdict::Refused(TooFast { retry_after, crowded: true }),
        }
    }

    /// Whether to send a refusal without `id`: at most one a second.
    pub fn tells(&mut self, payer: Payer, now: Tick) -> bool {
        let bucket = self.buckets.entry(payer.own).or_default();
        let refusals = bucket.refusals.get_or_insert_with(|| Refusals::none(now));
        let tells = refusals.told.is_none_or(|told| now.since(told) >= Duration::from_secs(1));
        if tells {
            refusals.told = Some(now);
        }
        tells
    }

    /// When a refused frame may come back: each at a time of its own, one price after the other, so that many frames
    /// that were refused at once do not all come back at once. Past [`LONGEST_WAIT`] they are spread over it at random:
    /// there are too many to be heard.
    pub fn promise(&mut self, payer: Payer, refused: TooFast, rate: Rate, people: u32, now: Tick) -> Duration {
        let TooFast { retry_after, crowded } = refused;
        let (key, people) = match payer.address.filter(|_| crowded) {
            Some(address) => (self.hasher.hash_one(address), people),
            None => (payer.own, 1),
        };
        let refusals = self.buckets.entry(key).or_default().refusals.get_or_insert_with(|| Refusals::none(now));
        let (now, price) = (nanos(now), price(rate, people));
        let first = now.saturating_add(nanos_of(retry_after));
        let longest = now.saturating_add(nanos_of(LONGEST_WAIT)).max(first);
        let next = refusals.promised.saturating_add(price).max(first);
        if next <= longest {
            refusals.promised = next;
            return Duration::from_nanos(next - now);
        }
        Duration::from_nanos(first - now + self.strewing.below(longest - first + 1))
    }

    /// Pays for a request that costs more than one frame the part that its frame has not paid for. What costs more than
    /// can be had at once is paid by a full bucket, which then owes the rest, [`LONGEST_DEBT`] at most. Nothing is paid
    /// by the user if the address cannot pay.
    pub fn pay_for_more(
        &mut self,
        payer: Payer,
        price: Price,
        rate: Option<Rate>,
        people: u32,
        now: Tick,
    ) -> Result<Paid, TooFast> {
        let Some(rate) = rate else { return Ok(Paid::default()) };
        let own = self.buckets.entry(payer.own).or_default().after_more(rate, 1, price.own, now);
        let (own_full_at, own) = own.map_err(|retry_after| TooFast { retry_after, crowded: false })?;
        let mut paid = Paid { own, own_price: self::price(rate, 1), ..Paid::default() };
        if let Some(address) = payer.address {
            let crowd = self.crowd(address);
            let all = crowd.after_more(rate, people, price.address, now);
            let (full_at, taken) = all.map_err(|retry_after| TooFast { retry_after, crowded: true })?;
            crowd.full_at = full_at;
            (paid.address, paid.address_price) = (taken, self::price(rate, people));
        }
        self.buckets.entry(payer.own).or_default().full_at = own_full_at;
        Ok(paid)
    }

    /// Gives back what was paid for a request that turned out to be less work.
    pub fn give_back(&mut self, payer: Payer, paid: Paid, done: Price) {
        let own = (Some(payer.own), Paid::left_of(paid.own, paid.own_price, done.own));
        let address = payer.address.map(|address| self.hasher.hash_one(address));
        let address = (address, Paid::left_of(paid.address, paid.address_price, done.address));
        for (key, left) in [own, address] {
            if let Some(bucket) = key.and_then(|key| self.buckets.get_mut(&key)) {
                bucket.full_at = bucket.full_at.saturating_sub(left);
            }
        }
    }

    /// Pays for speaking to everybody: of that there is a bucket of its own for the user, and one for all at the
    /// address.
    pub fn pay_to_announce(&mut self, payer: Payer, now: Tick) -> Result<(), Duration> {
        self.pay_for_place(payer, "*", ANNOUNCE_RATE, now)
    }

    /// Pays for being heard in a room with that rate: of that there are the same two for each room.
    pub fn pay_in_room(&mut self, payer: Payer, room: &str, rate: Rate, now: Tick) -> Result<(), Duration> {
        // Frames may be without a limit.
        self.make_room(now);
        self.pay_for_place(payer, room, rate, now)
    }

    fn pay_for_place(&mut self, payer: Payer, place: &str, rate: Rate, now: Tick) -> Result<(), Duration> {
        let own = self.hasher.hash_one((payer.own, place));
        self.buckets.entry(own).or_default().pay(rate, 1, now)?;
        match payer.address {
            None => Ok(()),
            Some(address) => {
                let all = self.hasher.hash_one((address, place));
                self.buckets.entry(all).or_default().pay(rate, SPEAKERS_PER_ADDRESS, now)
            }
        }
    }

    /// Sweeps the table if it has grown to its size.
    fn make_room(&mut self, now: Tick) {
        if self.buckets.len() >= self.sweep_at {
            let awaits_sweep = self.awaits_sweep;
            self.sweep(now);
            self.awaits_sweep = awaits_sweep;
        }
    }

    /// The bucket of all at an address.
    fn crowd(&mut self, address: Address) -> &mut Bucket {
        self.buckets.entry(self.hasher.hash_one(address)).or_default()
    }

    /// A guest who takes a name takes along the state of their buckets: of the one for all frames, and of those for
    /// these rooms and for speaking to everybody.
    pub fn hand_over<'a>(&mut self, from: Payer, to: Payer, rooms: impl Iterator<Item = &'a str>) {
        self.hand_over_one(from.own, to.own);
        for place in rooms.chain(["*"]) {
            let [from, to] = [from, to].map(|payer| self.hasher.hash_one((payer.own, place)));
            self.hand_over_one(from, to);
        }
    }

    fn hand_over_one(&mut self, from: u64, to: u64) {
        if let Some(full_at) = self.buckets.get(&from).map(|bucket| bucket.full_at) {
            let bucket = self.buckets.entry(to).or_default();
            bucket.full_at = bucket.full_at.max(full_at);
        }
    }

    /// Whether to call [`sweep`](Self::sweep) in [`SWEEP_EVERY`]. Returns `true` once.
    pub fn wants_sweep(&mut self) -> bool {
        !self.buckets.is_empty() && !std::mem::replace(&mut self.awaits_sweep, true)
    }

    pub fn held_bytes(&self) -> usize {
        table_bytes::<(u64, Bucket)>(self.buckets.capacity())
    }

    /// Forgets full buckets.
    pub fn sweep(&mut self, now: Tick) {
        self.awaits_sweep = false;
        self.buckets.retain(|_, bucket| bucket.is_worth_keeping(now));
        if self.buckets.len() > MAX_REMEMBERED {
            // So many within so short a time: some are forgotten before they are full.
            self.buckets.clear();
        }
        self.sweep_at = (2 * self.buckets.len()).max(MIN_SWEEP);
        self.buckets.shrink_to(2 * self.buckets.len());
    }
}

impl Bucket {
    /// Takes one frame out, or returns when there will be one. `people` have one bucket together.
    fn pay(&mut self, rate: Rate, people: u32, now: Tick) -> Result<(), Duration> {
        let price = price(rate, people);
        self.full_at = self.after(depth(rate, people), (price, price), now)?;
        Ok(())
    }

    /// When it is full if so many frames are paid for of which one is paid, and what is taken for them; or when they
    /// can be: then the frame that asks again has been paid for too.
    fn after_more(&self, rate: Rate, people: u32, frames: u64, now: Tick) -> Result<(u64, u64), Duration> {
        let (price, depth) = (price(rate, people), depth(rate, people));
        let more = price.saturating_mul(frames).saturating_sub(price);
        let (at_once, owed) = (depth.saturating_sub(price), nanos_of(LONGEST_DEBT));
        let taken = more.min(at_once.saturating_add(owed));
        let full_at = self.after(depth, (more.min(at_once), taken), now);
        full_at.map(|full_at| (full_at, taken)).map_err(|wait| wait + Duration::from_nanos(price))
    }

    /// When it is full if the second is taken, for which the first must be there; or when that will be.
    fn after(&self, depth: u64, (needed, taken): (u64, u64), now: Tick) -> Result<u64, Duration> {
        let now = nanos(now);
        let begins = self.full_at.max(now);
        match begins.saturating_add(needed).saturating_sub(now.saturating_add(depth)) {
            0 => Ok(begins.saturating_add(taken)),
            wait => Err(Duration::from_nanos(wait)),
        }
    }

    /// Notes a refusal, and returns whether it is one too many.
    fn refuse(&mut self, now: Tick) -> bool {
        let second = now.0 / 1000;
        let refusals = self.refusals.get_or_insert_with(|| Refusals::none(now));
        refusals.row = match second - refusals.second {
            0 => refusals.row.max(1),
            1 => refusals.row + 1,
            _ => 1,
        };
        refusals.second = second;
        refusals.row >= ABUSE_SECONDS
    }

    fn is_worth_keeping(&self, now: Tick) -> bool {
        let in_a_row = |refusals: &Refusals| refusals.second + 1 >= now.0 / 1000;
        self.full_at > nanos(now) || self.refusals.as_deref().is_some_and(in_a_row)
    }
}

impl Refusals {
    fn none(now: Tick) -> Box<Self> {
        Box::new(Self { second: now.0 / 1000, row: 0, told: None, promised: 0 })
    }
}

/// Buckets of users and addresses together. They are remembered until they are full again, two seconds by default.
const MAX_REMEMBERED: usize = 1 << 18;

/// Below this the table is not swept for its size.
const MIN_SWEEP: usize = 1024;

/// How long full buckets are kept: thousands of users who have sent one message each must not cost memory while they
/// are silent.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The price of a frame, of a bucket that so many people have together, in nanoseconds.
fn price(rate: Rate, people: u32) -> u64 {
    (1_000_000_000 / (u64::from(rate.per_second.max(1)).saturating_mul(people.max(1).into()))).max(1)
}

/// What a full bucket has, in nanoseconds.
fn depth(rate: Rate, people: u32) -> u64 {
    price(rate, people).saturating_mul(u64::from(rate.burst.max(1)).saturating_mul(people.max(1).into()))
}

/// Rooms or people that are looked up for the price of a frame.
const LOOKED_AT_A_FRAME: usize = 8;

/// How long a bucket may owe for a request that costs more than there is at once: half of the time after which endless
/// frames are abuse.
const LONGEST_DEBT: Duration = Duration::from_secs(ABUSE_SECONDS as u64 / 2);

fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How fast a user at one address may speak to everybody: an announcement costs as much as there are sessions, and
/// rooms of the plain dialect.
pub(super) const ANNOUNCE_RATE: Rate = Rate { per_second: 1, burst: 5 };

/// To how many users the people at one address are equal together where they speak to everybody, or in a room with a
/// rate of its own.
const SPEAKERS_PER_ADDRESS: u32 = 4;

/// How far into the future refused frames get times of their own.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A frame of many people together costs less than a microsecond.
fn nanos(now: Tick) -> u64 {
    now.0.saturating_mul(1_000_000)
}

/// Seconds in a row with refused frames, after which the connection is closed.
pub(super) const ABUSE_SECONDS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Option<Rate> = Some(Rate { per_second: 20, burst: 40 });
    const HERE: Option<Address> = Some(Address(NonZeroU64::new(1).unwrap()));
    const THERE: Option<Address> = Some(Address(NonZeroU64::new(2).unwrap()));

    fn refused(ms: u64) -> Verdict {
        Verdict::Refused(TooFast { retry_after: Duration::from_millis(ms), crowded: false })
    }

    #[test]
    fn burst_then_rate() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let ann = buckets.payer("ann", None);
        let mut pay = |tick| buckets.pay(ann, RATE, 64, Tick(tick));
        for _ in 0..40 {
            assert_eq!(pay(0), Verdict::Pass);
        }
        assert_eq!(pay(0), refused(50));
        assert_eq!(pay(50), Verdict::Pass);
        assert_eq!(pay(50), refused(50));
        for _ in 0..40 {
            assert_eq!(pay(2_050), Verdict::Pass);
        }
        assert_eq!(pay(2_050), refused(50));
    }

    /// A request that is refused because of its price passes when it is sent again after the time that it was told,
    /// although the frame that brings it is paid for once more.
    #[test]
    fn what_costs_much_passes_after_the_time_that_it_was_told() {
        for address in [None, HERE] {
            for (frames, used) in
                [2, 5, 25, 40, 41, 100].into_iter().flat_map(|frames| [0, 1, 16, 39].map(|n| (frames, n)))
            {
                let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
                let ann = buckets.payer("ann", address);
                for _ in 0..used {
                    assert_eq!(buckets.pay(ann, RATE, 3, Tick(0)), Verdict::Pass);
                }
                let mut ask = |at: Tick| {
                    assert_eq!(buckets.pay(ann, RATE, 3, at), Verdict::Pass, "{frames} {used}");
                    buckets.pay_for_more(ann, Price::frames(frames), RATE, 3, at)
                };
                if let Err(TooFast { retry_after, .. }) = ask(Tick(0)) {
                    let again = Tick(retry_after.as_nanos().div_ceil(1_000_000) as u64);
                    assert!(ask(again).is_ok(), "{frames} {used}");
                }
            }
        }
    }

    /// The same user elsewhere has another bucket: a client that takes somebody's name does not use up their rate.
    #[test]
    fn a_bucket_is_of_a_user_at_an_address() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let [ann, ann_there, ann_uncounted, bob] =
            [("ann", HERE), ("ann", THERE), ("ann", None), ("bob", HERE)].map(|(user, at)| buckets.payer(user, at));
        while buckets.pay(ann, RATE, 64, Tick(0)) == Verdict::Pass {}
        for other in [ann_there, ann_uncounted, bob] {
            assert_eq!(buckets.pay(other, RATE, 64, Tick(0)), Verdict::Pass);
        }
        // Coming back is the same user at the same address.
        let again = buckets.payer("ann", HERE);
        assert_eq!(buckets.pay(again, RATE, 64, Tick(0)), refused(50));
    }

    /// Another name does not help for ever.
    #[test]
    fn an_address_stands_for_so_many_people() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let (mut passed, mut crowded) = (0, 0);
        for n in 0..10 {
            let payer = buckets.payer(&format!("u{n}"), HERE);
            for _ in 0..40 {
                match buckets.pay(payer, RATE, 3, Tick(0)) {
                    Verdict::Pass => passed += 1,
                    Verdict::Refused(TooFast { crowded: true, .. }) => crowded += 1,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((passed, crowded), (120, 280));
        let [late, there] = [HERE, THERE].map(|address| buckets.payer("late", address));
        let wait = Duration::from_nanos(16_666_666);
        assert_eq!(buckets.pay(late, RATE, 3, Tick(0)), Verdict::Refused(TooFast { retry_after: wait, crowded: true }));
        assert_eq!(buckets.pay(late, RATE, 3, Tick(17)), Verdict::Pass);
        assert_eq!(buckets.pay(there, RATE, 3, Tick(0)), Verdict::Pass);
    }

    #[test]
    fn ten_seconds_in_a_row_are_abuse() {
        let rate = Some(Rate { per_second: 1, burst: 1 });
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let ann = buckets.payer("ann", HERE);
        let mut flood = |second: u64| {
            buckets.pay(ann, rate, 64, Tick(second * 1000));
            buckets.pay(ann, rate, 64, Tick(second * 1000 + 1))
        };
        for second in 0..9 {
            assert!(matches!(flood(second), Verdict::Refused(_)), "{second}");
        }
        // A second without refusals starts the count again.
        for second in 10..19 {
            assert!(matches!(flood(second), Verdict::Refused(_)), "{second}");
        }
        assert_eq!(flood(19), Verdict::Abuse);
    }

    /// A user who keeps to the rate is never closed for what others at the address do.
    #[test]
    fn a_crowded_address_is_nobodys_abuse() {
        let rate = Some(Rate { per_second: 2, burst: 2 });
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let [ann, bob] = ["ann", "bob"].map(|name| buckets.payer(name, HERE));
        for second in 0..30 {
            for _ in 0..2 {
                assert!(!matches!(buckets.pay(bob, rate, 1, Tick(second * 1000)), Verdict::Abuse));
            }
            let verdict = buckets.pay(ann, rate, 1, Tick(second * 1000));
            assert!(matches!(verdict, Verdict::Refused(TooFast { crowded: true, .. })), "{second}: {verdict:?}");
        }
    }

    /// Sixty who are refused at once come back one after the other, when each can be heard; past ten seconds, at some
    /// time.
    #[test]
    fn refused_frames_come_back_one_after_the_other() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let rate = Rate { per_second: 20, burst: 40 };
        let ann = buckets.payer("ann", HERE);
        while buckets.pay(ann, RATE, 64, Tick(0)) == Verdict::Pass {}
        let mut promise = |crowded, now| {
            let refused = TooFast { retry_after: Duration::from_millis(50), crowded };
            buckets.promise(ann, refused, rate, 64, Tick(now)).as_nanos()
        };
        for n in 1..=60 {
            assert_eq!(promise(false, 0), n * 50_000_000);
        }
        // The address has a time of its own, and old promises have expired.
        assert_eq!(promise(true, 0), 50_000_000);
        assert_eq!(promise(true, 0), 50_781_250);
        assert_eq!(promise(false, 1_000), 2_050_000_000);
        assert_eq!(promise(false, 60_000), 50_000_000);
        for n in 2..=200 {
            assert_eq!(promise(false, 60_000), n * 50_000_000);
        }
        let strewn: std::collections::BTreeSet<u128> = (0..100).map(|_| promise(false, 60_000)).collect();
        assert_eq!(strewn.len(), 100);
        assert!(strewn.iter().all(|wait| (50_000_000..=10_000_000_000).contains(wait)), "{strewn:?}");
    }

    /// A list of joins costs those at the address as many frames as it has rooms, and the user one for eight.
    #[test]
    fn a_list_of_joins_is_paid_for_by_the_address() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let [ann, uncounted] = [HERE, None].map(|address| buckets.payer("ann", address));
        for _ in 0..2 {
            assert_eq!(buckets.pay(ann, RATE, 3, Tick(0)), Verdict::Pass);
            assert!(buckets.pay_for_more(ann, Price::entering(60), RATE, 3, Tick(0)).is_ok());
        }
        // A user whose address cannot pay pays no more than the frame.
        for refused in [2, 60] {
            let paid = buckets.pay_for_more(ann, Price::entering(refused), RATE, 3, Tick(0));
            assert!(paid.is_err_and(|refused| refused.crowded));
        }
        assert_eq!(buckets.buckets[&ann.own].full_at, 2 * 8 * 50_000_000);
        assert_eq!(
            buckets.pay(ann, RATE, 3, Tick(0)),
            Verdict::Refused(TooFast { retry_after: Duration::from_nanos(16_666_666), crowded: true })
        );
        assert!(buckets.pay_for_more(ann, Price::entering(1), RATE, 3, Tick(0)).is_ok());
        assert!(buckets.pay_for_more(uncounted, Price::entering(60), RATE, 3, Tick(0)).is_ok());
        assert!(buckets.pay_for_more(ann, Price::entering(60), None, 3, Tick(0)).is_ok());
        // One that is larger than the bucket is paid for by a full one.
        assert_eq!(buckets.pay(ann, RATE, 3, Tick(10_000)), Verdict::Pass);
        assert!(buckets.pay_for_more(ann, Price::entering(1_000), RATE, 3, Tick(10_000)).is_ok());
    }

    /// What costs more than there is at once is paid by a full bucket, which then owes the rest: as much as is done for
    /// it in the long run, and nobody waits longer than five seconds.
    #[test]
    fn what_costs_more_than_there_is_at_once_is_owed() {
        for (rate, frames, full_after_ms) in [
            (Rate { per_second: 20, burst: 40 }, 1, 50),
            (Rate { per_second: 20, burst: 40 }, 40, 2_000),
            (Rate { per_second: 20, burst: 40 }, 41, 2_050),
            (Rate { per_second: 20, burst: 40 }, 140, 7_000),
            (Rate { per_second: 20, burst: 40 }, 141, 7_000),
            (Rate { per_second: 1, burst: 1 }, 6, 6_000),
            (Rate { per_second: 1, burst: 1 }, u64::MAX, 6_000),
        ] {
            let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
            let ann = buckets.payer("ann", None);
            let is_large = frames >= 40 && rate.burst == 40;
            let (rate, price) = (Some(rate), Price::frames(frames));
            assert_eq!(buckets.pay(ann, rate, 1, Tick(0)), Verdict::Pass);
            assert!(buckets.pay_for_more(ann, price, rate, 1, Tick(0)).is_ok(), "{frames}");
            assert_eq!(buckets.buckets[&ann.own].full_at, full_after_ms * 1_000_000, "{frames}");
            // One frame short, it is not paid for.
            if is_large {
                for _ in 0..2 {
                    assert_eq!(buckets.pay(ann, rate, 1, Tick(full_after_ms)), Verdict::Pass);
                }
                let paid = buckets.pay_for_more(ann, price, rate, 1, Tick(full_after_ms));
                assert!(paid.is_err_and(|refused| !refused.crowded), "{frames}");
            }
        }
    }

    /// Given back, it is as if less had been asked for: never more than was taken, though a bucket owes so much only.
    #[test]
    fn what_is_given_back_was_taken() {
        for (per_second, burst) in [(20, 40), (1, 5), (1, 1), (5, 24), (1000, 3)] {
            for found in [0, 1, 8, 9, 72, 200] {
                let rate = Some(Rate { per_second, burst });
                let full_at = |listed: usize, gives_back: Option<usize>| {
                    let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
                    let ann = buckets.payer("ann", HERE);
                    assert_eq!(buckets.pay(ann, rate, 3, Tick(0)), Verdict::Pass);
                    let paid = buckets.pay_for_more(ann, Price::looking_at(listed), rate, 3, Tick(0)).unwrap();
                    if let Some(found) = gives_back {
                        buckets.give_back(ann, paid, Price::looking_at(found));
                    }
                    [ann.own, buckets.hasher.hash_one(HERE.unwrap())].map(|key| buckets.buckets[&key].full_at)
                };
                assert_eq!(full_at(200, Some(found)), full_at(found, None), "{per_second}:{burst} found {found}");
            }
        }
    }

    #[test]
    fn refusals_are_told_once_a_second() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let ann = buckets.payer("ann", None);
        while buckets.pay(ann, RATE, 64, Tick(0)) == Verdict::Pass {}
        assert!(buckets.tells(ann, Tick(0)));
        assert!(!buckets.tells(ann, Tick(999)));
        assert!(buckets.tells(ann, Tick(1000)));
    }

    #[test]
    fn what_is_full_is_forgotten_and_what_is_not_is_bounded() {
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        for n in 0..10 * MIN_SWEEP {
            let payer = buckets.payer(&n.to_string(), None);
            buckets.pay(payer, RATE, 64, Tick(50 * n as u64));
            assert!(buckets.buckets.len() <= MIN_SWEEP, "{n}");
        }
        // Two frames at one a second: full in two seconds, and no time goes by.
        let slow = Some(Rate { per_second: 1, burst: 1_000_000 });
        for n in 0..2 * MAX_REMEMBERED + 10 {
            let payer = buckets.payer(&n.to_string(), None);
            for _ in 0..2 {
                buckets.pay(payer, slow, 64, Tick(10_000_000));
            }
            assert!(buckets.buckets.len() <= 2 * MAX_REMEMBERED + 1, "{n}");
        }
        // A row of refusals is remembered although the bucket is full.
        let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
        let ann = buckets.payer("ann", None);
        while buckets.pay(ann, RATE, 64, Tick(0)) == Verdict::Pass {}
        buckets.sweep(Tick(1_999));
        assert_eq!(buckets.buckets.len(), 1);
        buckets.sweep(Tick(2_000));
        assert_eq!(buckets.buckets.len(), 0);
    }

    /// No setting makes it divide by nothing or count past the end.
    #[test]
    fn any_rate() {
        for (per_second, burst, people) in
            [(0, 0, 0), (1, 1, 1), (1_000_000, 1_000_000, 1_000_000), (u32::MAX, u32::MAX, u32::MAX)]
        {
            let mut buckets = Buckets::new(Random::from(1), &Random::from(1).keyed());
            let ann = buckets.payer("ann", HERE);
            for tick in [0, 1, u64::MAX / 1_000_000, u64::MAX] {
                assert!(
                    buckets.pay(ann, Some(Rate { per_second, burst }), people, Tick(tick)) == Verdict::Pass
                        || per_second < 2
                );
            }
        }
    }
}
