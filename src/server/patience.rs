//! Patience with clients after the process stood still (SIGSTOP, a machine that slept): what they did in time is still
//! to be heard, so nobody is late before all of it can have been seen.
//!
//! A turn hears of so many streams, and of a new connection only that it is there. So the deadlines of the service and
//! of the lobby wait for a turn that has left nothing to be reported or accepted, and then for a moment in which those
//! who were accepted can say who they are. A crowd that goes on and on does not put them off for longer than
//! [`AT_MOST`], nor does the turn in which it begins, or in which all has been seen, take of that.

use std::time::Duration;

use crate::engine::STALL;
use crate::time::{LONG_TURN, Tick};

/// Whether anybody may be late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// As always.
    #[default]
    None,
    /// There is more to be seen; nobody is late before that.
    Catching(Wait),
    /// All has been seen.
    Until(Wait),
}

/// A moment for which the deadlines wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The turn in which it was named.
    since: Tick,
    until: Tick,
}

impl Patience {
    /// The process stood still. Once more before all has been seen puts nothing off for longer.
    pub fn begin(&mut self, now: Tick) {
        if !matches!(self, Self::Catching(wait) if now < wait.until) {
            *self = Self::Catching(Wait { since: now, until: now + AT_MOST });
        }
    }

    /// A turn has heard of what there was, and perhaps not of `all`.
    pub fn note(&mut self, all: bool, now: Tick) {
        *self = match *self {
            Self::Catching(wait) if all => Self::Until(Wait { since: now, until: wait.until.min(now + STALL) }),
            Self::Catching(wait) | Self::Until(wait) if wait.until <= now => Self::None,
            other => other,
        };
    }

    /// The turn that began then took so long: if that is [long](LONG_TURN), what was named in it is as much later.
    pub fn turn_took(&mut self, began: Tick, took: Duration) {
        if took >= LONG_TURN
            && let Self::Catching(wait) | Self::Until(wait) = self
            && wait.since == began
            && wait.until > began
        {
            wait.until = wait.until + took;
        }
    }

    /// Before when nobody is late; `None`: as always.
    pub fn until(self) -> Option<Tick> {
        match self {
            Self::None => None,
            Self::Catching(wait) | Self::Until(wait) => Some(wait.until),
        }
    }
}

/// For how long the deadlines of the service wait at most.
pub const AT_MOST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: when a turn is, whether it has seen all, and until when nobody is late then.
    #[test]
    fn nobody_is_late_before_all_is_seen() {
        let mut patience = Patience::default();
        patience.note(true, Tick(0));
        assert_eq!(patience.until(), None);
        for (at, all, until) in [
            (10_000, false, Some(15_000)),
            (10_001, false, Some(15_000)),
            (10_400, true, Some(11_400)),
            (10_500, false, Some(11_400)),
            (11_399, true, Some(11_400)),
            (11_400, true, None),
            (11_401, false, None),
        ] {
            if at == 10_000 {
                patience.begin(Tick(at));
            }
            patience.note(all, Tick(at));
            assert_eq!(patience.until().map(|at| at.0), until, "{at}");
        }
        patience.begin(Tick(20_000));
        patience.note(false, Tick(20_001));
        patience.begin(Tick(24_000));
        patience.note(false, Tick(24_999));
        assert_eq!(patience.until(), Some(Tick(25_000)));
        patience.note(true, Tick(24_999));
        assert_eq!(patience.until(), Some(Tick(25_000)), "all of it together");
        patience.note(false, Tick(25_000));
        assert_eq!(patience.until(), None, "a crowd without end");
    }

    /// Turns of so many milliseconds: in the first the process is known to have stood still, and in the second all has
    /// been seen. In the third nobody is late before then.
    #[test]
    fn a_long_turn_takes_nothing_of_it() {
        for (first, second, until) in [
            (0, 0, 11_000),
            (99, 99, 11_099),
            (100, 0, 11_100),
            (0, 100, 11_100),
            (2_000, 900, 13_900),
            (20, 2_000, 13_020),
            // For so long at most, counted from the end of the first.
            (6_000, 6_000, 23_000),
        ] {
            let mut patience = Patience::default();
            let mut now = Tick(10_000);
            patience.begin(now);
            for (all, took) in [(false, first), (true, second)] {
                patience.note(all, now);
                patience.turn_took(now, Duration::from_millis(took));
                now = now + Duration::from_millis(took);
            }
            assert_eq!(patience.until(), Some(Tick(until)), "{first} {second}");
            // A turn in which nothing is named takes its time.
            now = now + Duration::from_millis(1);
            patience.note(false, now);
            patience.turn_took(now, Duration::from_secs(2));
            assert_eq!(patience.until(), Some(Tick(until)), "{first} {second}");
        }
    }
}
