//! How many connections one address may have, and how fast it may open them.
//!
//! An address is an IPv4 address, or the first 64 bits of an IPv6 address: as much as one customer has. Loopback is not
//! counted unless a setting says so. A connection over a limit gets an answer, and counts until then; past [`TOLD`] of
//! them, connections of that address are dropped without an answer.
//!
//! It knows no engine: the reactor asks at each accept, and calls [`Admission::release`] when a counted connection is
//! gone. It knows the trusted proxies, which do not count themselves; `spoken_for` finds the client that one names. It
//! keeps the log of access, in which all refusals are counted, for whatever reason.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::random::{Keyed, Table};
use crate::time::Tick;

use super::access::{AccessLog, Line, Told};
use super::forwarded::Proxies;
use super::refusals::Reason;

/// The limits of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub open: u32,
    /// New connections a second; as many at once after a second of silence.
    pub per_second: u32,
    /// HTTP requests a second that open no WebSocket; [`REQUESTS_AT_ONCE`] times as many at once after a silence.
    pub requests_per_second: u32,
    /// Whether loopback counts like any other address.
    pub count_loopback: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open: 1024, per_second: 100, requests_per_second: 100, count_loopback: false }
    }
}

/// The verdict on a new connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is let in. If it is `counted`, the caller calls [`Admission::release`] when it is gone.
    Welcome {
        /// Whether it counts for its address.
        counted: bool,
    },
    /// Its address has as many as it may: counted, answered and closed.
    TooMany(Told),
    /// Its address opens them too fast: counted, answered and closed.
    TooFast(Told),
    /// Too many of its address are waiting for such an answer already: dropped and not counted.
    Dropped(Told),
}

impl Verdict {
    /// Whether it is let in.
    pub const fn is_welcome(&self) -> bool {
        matches!(self, Self::Welcome { .. })
    }
}

/// A verdict that nobody has been told.
enum Judged {
    Welcome { counted: bool },
    TooMany,
    TooFast,
    Dropped,
}

/// The addresses that have connections, or had some a moment ago.
///
/// Invariant: an address with open connections is in the table, which has at most twice [`MAX_IDLE`] entries, or twice
/// as many as addresses with open connections.
#[derive(Debug)]
pub struct Admission {
    limits: Option<Limits>,
    proxies: Proxies,
    table: Table<Address, Entry>,
    /// The table is swept when it has grown to this.
    sweep_at: usize,
    access: AccessLog,
    /// When [`notes_stranger`](Self::notes_stranger) may say it again.
    stranger_after: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Address {
    V4([u8; 4]),
    V6([u8; 8]),
}

#[derive(Debug, Default)]
struct Entry {
    open: u32,
    /// When the bucket of new connections is full again, in microseconds on the clock of [`Tick`].
    full_at: u64,
    /// The same of the bucket of requests.
    asks_full_at: u64,
}

impl Admission {
    /// An empty table. `None`: no limits for any address.
    pub fn new(limits: Option<Limits>, proxies: Proxies, keyed: &Keyed) -> Self {
        let (access, stranger_after) = (AccessLog::default(), Tick(0));
        Self { limits, proxies, table: keyed.table(), sweep_at: MIN_SWEEP, access, stranger_after }
    }

    /// From now on these limits hold. Open connections stay.
    pub fn change(&mut self, limits: Option<Limits>, proxies: Proxies) {
        (self.limits, self.proxies) = (limits, proxies);
    }

    /// The trusted proxies.
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// A program there (`None`: behind a Unix socket) speaks for others. Whether that is to be said: it is nearby, as
    /// proxies are, nobody has said that it is trusted, and nothing was said of one for an hour.
    pub fn notes_stranger(&mut self, from: Option<IpAddr>, now: Tick) -> bool {
        let to_be_said = now >= self.stranger_after && from.is_none_or(is_nearby) && !self.proxies.trust(from);
        if to_be_said {
            self.stranger_after = now + STRANGER_EVERY;
        }
        to_be_said
    }

    /// The limits of an address; `None`: it has none.
    pub fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    /// Bytes that the table takes.
    pub fn held_bytes(&self) -> usize {
        (self.table.capacity() * 8 / 7) * (size_of::<(Address, Entry)>() + 1)
    }

    /// A connection has come from `address`. If it is refused, that is noted.
    pub fn admit(&mut self, address: IpAddr, now: Tick) -> Verdict {
        let (reason, verdict): (_, fn(Told) -> Verdict) = match self.judge(address, now) {
            Judged::Welcome { counted } => return Verdict::Welcome { counted },
            Judged::TooMany => (Reason::TooMany, Verdict::TooMany),
            Judged::TooFast => (Reason::TooFast, Verdict::TooFast),
            Judged::Dropped => (Reason::Dropped, Verdict::Dropped),
        };
        verdict(self.refuse(reason, Some(address), now))
    }

    fn judge(&mut self, address: IpAddr, now: Tick) -> Judged {
        let Some((limits, entry)) = self.entry(address, now) else {
            return Judged::Welcome { counted: false };
        };
        if entry.open >= limits.open.saturating_add(TOLD) {
            return Judged::Dropped;
        }
        let open = entry.open;
        entry.open += 1;
        if !pay(&mut entry.full_at, limits.per_second, BUCKET, now) {
            return Judged::TooFast;
        }
        if open >= limits.open {
            return Judged::TooMany;
        }
        Judged::Welcome { counted: true }
    }

    /// A request has come from `address` that opens no WebSocket. Returns whether to answer it; if not, it asks too
    /// fast.
    pub fn admit_request(&mut self, address: IpAddr, now: Tick) -> bool {
        let Some((limits, entry)) = self.entry(address, now) else { return true };
        pay(&mut entry.asks_full_at, limits.requests_per_second, REQUESTS_AT_ONCE * BUCKET, now)
    }

    /// The state of an address that counts, and its limits.
    fn entry(&mut self, address: IpAddr, now: Tick) -> Option<(Limits, &mut Entry)> {
        let limits = self.limits.filter(|limits| limits.count_loopback || !is_loopback(address))?;
        if self.table.len() >= self.sweep_at {
            self.sweep(now);
        }
        Some((limits, self.table.entry(Address::of(address)).or_default()))
    }

    /// A client `from` there is refused that has sent no request; `None`: from a Unix socket.
    pub fn refuse(&mut self, reason: Reason, from: Option<IpAddr>, now: Tick) -> Told {
        self.access.refuse(reason, Line { address: from, ..Line::default() }, now)
    }

    /// The log of access, which has the book of refusals.
    pub fn access_mut(&mut self) -> &mut AccessLog {
        &mut self.access
    }

    /// Ends the claim of a counted connection from `address`, which is gone.
    pub fn release(&mut self, address: IpAddr) {
        let entry = self.table.get_mut(&Address::of(address)).expect("a counted connection is in the table");
        entry.open -= 1;
    }

    /// How many connections are counted.
    pub fn open(&self) -> u64 {
        self.table.values().map(|entry| u64::from(entry.open)).sum()
    }

    /// The same, to be looked at.
    pub fn access(&self) -> &AccessLog {
        &self.access
    }

    fn sweep(&mut self, now: Tick) {
        let now = now.0.saturating_mul(1000);
        self.table.retain(|_, entry| entry.open > 0 || entry.full_at.max(entry.asks_full_at) > now);
        if self.table.len() > MAX_IDLE {
            // So many addresses without connections: their buckets are forgotten.
            self.table.retain(|_, entry| entry.open > 0);
        }
        self.sweep_at = (2 * self.table.len()).max(MIN_SWEEP);
        self.table.shrink_to(self.sweep_at);
    }
}

impl Address {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(*address.octets().first_chunk().expect("16 bytes begin with 8")),
        }
    }
}

/// The address as a number, the same for all that count as one. (IPv4 addresses look like a part of `::/16`, which is
/// not in use.)
pub fn fold(address: IpAddr) -> NonZeroU64 {
    let number = match Address::of(address) {
        Address::V4(bytes) => 1 << 32 | u64::from(u32::from_be_bytes(bytes)),
        Address::V6(bytes) => u64::from_be_bytes(bytes),
    };
    NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN)
}

/// Takes one out of a bucket that is filled at a rate, and is full again at `full_at`, `capacity` after it was empty.
/// Returns whether there was one.
fn pay(full_at: &mut u64, per_second: u32, capacity: u64, now: Tick) -> bool {
    let now = now.0.saturating_mul(1000);
    let after = (*full_at).max(now) + BUCKET / u64::from(per_second.max(1));
    let paid = after <= now + capacity;
    if paid {
        *full_at = after;
    }
    paid
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Connections over a limit that wait for their answer at a time, for each address.
pub const TOLD: u32 = 64;

/// How many seconds' requests may come at once: a browser that opens the page asks for some 30 files, and many may sit
/// behind one address.
pub const REQUESTS_AT_ONCE: u64 = 10;

/// With more addresses than this, those without connections are not remembered.
pub const MAX_IDLE: usize = 64 << 10;

/// Below this the table is not swept.
const MIN_SWEEP: usize = 1024;

/// How long an empty bucket takes to be full, in microseconds.
const BUCKET: u64 = 1_000_000;

/// Whether it is on this machine or in a private network.
fn is_nearby(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// How often the log says that somebody nearby speaks for others and is not trusted, at most.
const STRANGER_EVERY: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { open: 3, per_second: 10, requests_per_second: 5, count_loopback: false };
    const WELCOME: Verdict = Verdict::Welcome { counted: true };

    fn table_of(limits: Option<Limits>, proxies: Proxies) -> Admission {
        Admission::new(limits, proxies, &crate::random::Random::from(1).keyed())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn open_connections_at_the_limit_and_one_past_it() {
        let mut admission = table_of(Some(LIMITS), Proxies::default());
        let here = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(admission.admit(here, Tick(0)), WELCOME);
        }
        assert_eq!(admission.admit(here, Tick(0)), Verdict::TooMany(Told::HERE));
        assert_eq!(admission.admit(address("192.0.2.2"), Tick(0)), WELCOME);
        // The one that was answered is gone, and one of the others.
        admission.release(here);
        assert_eq!(admission.admit(here, Tick(0)), Verdict::TooMany(Told::HERE));
        admission.release(here);
        admission.release(here);
        assert_eq!(admission.admit(here, Tick(0)), WELCOME);
        assert_eq!(admission.access().refused(Reason::TooMany), 2);
    }

    #[test]
    fn new_connections_at_the_limit_and_one_past_it() {
        let mut admission = table_of(Some(LIMITS), Proxies::default());
        let here = address("192.0.2.1");
        let mut comes_and_goes = |tick: u64| {
            let verdict = admission.admit(here, Tick(tick));
            admission.release(here);
            verdict
        };
        for _ in 0..10 {
            assert_eq!(comes_and_goes(5), WELCOME);
        }
        assert_eq!(comes_and_goes(5), Verdict::TooFast(Told::HERE));
        assert_eq!(comes_and_goes(104), Verdict::TooFast(Told::HERE));
        assert_eq!(comes_and_goes(105), WELCOME);
        assert_eq!(comes_and_goes(105), Verdict::TooFast(Told::HERE));
        for _ in 0..10 {
            assert_eq!(comes_and_goes(2000), WELCOME);
        }
        assert_eq!(comes_and_goes(2000), Verdict::TooFast(Told::HERE));
    }

    #[test]
    fn requests_at_the_limit_and_one_past_it() {
        let mut admission = table_of(Some(LIMITS), Proxies::default());
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        for (tick, answered) in [(0, 50), (199, 0), (200, 1), (1200, 5), (100_000, 50)] {
            for _ in 0..answered {
                assert!(admission.admit_request(here, Tick(tick)), "{tick}");
            }
            assert!(!admission.admit_request(here, Tick(tick)), "{tick}");
        }
        assert!(admission.admit_request(there, Tick(0)), "the others have buckets of their own");
        assert_eq!(admission.admit(here, Tick(100_000)), WELCOME, "and so have connections");
        admission.release(here);
        // An address without a connection, whose bucket is not full yet, is remembered until it is.
        admission.sweep(Tick(100_001));
        assert!(!admission.admit_request(here, Tick(100_001)));
        admission.sweep(Tick(110_001));
        assert!(admission.table.is_empty());
        for _ in 0..100 {
            assert!(admission.admit_request(address("127.0.0.1"), Tick(0)), "loopback is not counted");
        }
    }

    #[test]
    fn those_who_are_told_are_not_without_number() {
        let mut admission = table_of(Some(LIMITS), Proxies::default());
        let here = address("192.0.2.1");
        let verdicts: Vec<Verdict> = (0..3 + TOLD + 2).map(|_| admission.admit(here, Tick(0))).collect();
        assert_eq!(verdicts[2], WELCOME);
        assert_eq!(verdicts[3], Verdict::TooMany(Told::HERE));
        assert_eq!(verdicts[3 + TOLD as usize - 1], Verdict::TooFast(Told::HERE));
        assert_eq!(verdicts[3 + TOLD as usize..], [Verdict::Dropped(Told::HERE), Verdict::Dropped(Told::HERE)]);
        assert_eq!(admission.access().refused(Reason::Dropped), 2);
    }

    #[test]
    fn a_proxy_that_nobody_has_told_of_is_noticed() {
        let mut admission = table_of(None, Proxies::default());
        for (from, tick, said) in [
            // A client far away may write what it likes.
            (Some("192.0.2.1"), 0, false),
            (Some("2001:db8::1"), 0, false),
            (Some("10.0.0.7"), 5, true),
            (Some("10.0.0.8"), 6, false),
            (None, 3_600_004, false),
            (None, 3_600_005, true),
            (Some("::ffff:127.0.0.1"), 7_200_004, false),
            (Some("::ffff:127.0.0.1"), 7_200_005, true),
            (Some("fd00::1"), 10_800_005, true),
        ] {
            assert_eq!(admission.notes_stranger(from.map(address), Tick(tick)), said, "{from:?} {tick}");
        }
        let trusted = ["10.0.0.0/8", "unix"].map(|text| text.parse().unwrap()).to_vec();
        let mut admission = table_of(None, Proxies { trusted, ..Proxies::default() });
        assert!(
            !admission.notes_stranger(Some(address("10.0.0.7")), Tick(0)) && !admission.notes_stranger(None, Tick(0))
        );
        assert!(admission.notes_stranger(Some(address("192.168.0.1")), Tick(0)));
    }

    #[test]
    fn what_an_address_is() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(fold(address(one)) == fold(address(other)), same, "{one} {other}");
            let mut admission = table_of(Some(Limits { open: 1, ..LIMITS }), Proxies::default());
            assert_eq!(admission.admit(address(one), Tick(0)), WELCOME);
            let expected = if same { Verdict::TooMany(Told::HERE) } else { WELCOME };
            assert_eq!(admission.admit(address(other), Tick(0)), expected, "{one} {other}");
        }
        for loopback in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            let mut admission = table_of(Some(Limits { open: 0, ..LIMITS }), Proxies::default());
            assert_eq!(admission.admit(address(loopback), Tick(0)), Verdict::Welcome { counted: false });
            let mut admission = table_of(Some(Limits { open: 0, count_loopback: true, ..LIMITS }), Proxies::default());
            assert_eq!(admission.admit(address(loopback), Tick(0)), Verdict::TooMany(Told::HERE));
        }
        let mut free = table_of(None, Proxies::default());
        assert_eq!(free.admit(address("192.0.2.1"), Tick(0)), Verdict::Welcome { counted: false });
    }

    /// A customer with a /48 has 65,536 addresses, and one with a /32 as many of those.
    #[test]
    fn the_table_is_bounded() {
        let mut admission = table_of(Some(Limits { per_second: 1, ..LIMITS }), Proxies::default());
        let nth = |n: u32| IpAddr::from(((0x2001_0db8_u128 << 96) | (u128::from(n) << 64)).to_be_bytes());
        for n in 0..4 * MAX_IDLE as u32 {
            assert_eq!(admission.admit(nth(n), Tick(0)), WELCOME);
            if n % 1000 != 0 {
                admission.release(nth(n));
            }
            assert!(admission.table.len() <= 2 * MAX_IDLE + 1, "{n}");
        }
        // Open connections are remembered through all of it.
        assert_eq!(admission.admit(nth(0), Tick(2000)), WELCOME);
        assert_eq!(admission.table[&Address::of(nth(0))].open, 2);
        admission.sweep(Tick(2000));
        assert_eq!(admission.table.len(), (4 * MAX_IDLE).div_ceil(1000));
    }
}
