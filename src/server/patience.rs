//! Patience with clients after the process stood still (SIGSTOP, a machine that slept): what they did in time is still
//! to be heard, so nobody is late before all of it can have been seen.
//!
//! A turn hears of so many streams, and of a new connection only that it is there. So the deadlines of the service and
//! of the lobby wait for a turn that has left nothing to be reported or accepted, and then for a moment in which those
//! who were accepted can say who they are. A crowd that goes on and on does not put them off for longer than
//! [`AT_MOST`].

use std::time::Duration;

use crate::engine::STALL;
use crate::time::Tick;

/// Whether anybody may be late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// As always.
    #[default]
    None,
    /// There is more to be seen; nobody is late before that.
    Catching(Tick),
    /// All has been seen.
    Until(Tick),
}

impl Patience {
    /// The process stood still. Once more before all has been seen puts nothing off for longer.
    pub fn begin(&mut self, now: Tick) {
        if !matches!(self, Self::Catching(until) if now < *until) {
            *self = Self::Catching(now + AT_MOST);
        }
    }

    /// A turn has heard of what there was, and perhaps not of `all`.
    pub fn note(&mut self, all: bool, now: Tick) {
        *self = match *self {
            Self::Catching(latest) if all => Self::Until(latest.min(now + STALL)),
            Self::Catching(until) | Self::Until(until) if until <= now => Self::None,
            other => other,
        };
    }

    /// Before when nobody is late; `None`: as always.
    pub fn until(self) -> Option<Tick> {
        match self {
            Self::None => None,
            Self::Catching(until) | Self::Until(until) => Some(until),
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
}
