//! The time by which a store tells how old something is: the wall clock, unless that has leapt ahead.
//!
//! One wrong answer of a time server would have all of a store be too old, and what is deleted does not come back. So
//! the wall clock is held against the time that the store knew last, which goes on as the process runs. If it is ahead
//! of that by more than [`LEAP`], because it was set or because nobody has used the store meanwhile, it is not believed
//! until processes have run for [`WAITS`] with it so, or it is back.
//!
//! Behind that it may be: then nothing is too old that was not. Where it stays behind by more than [`LEAP`] for as
//! long, it is believed as well, because the time that was known was the wrong one. It reads no clock.

use std::time::Duration;

use crate::time::{Moment, Tick};

/// What is known of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The latest that was believed, in milliseconds since 1970.
    pub time: u64,
    /// How long processes have run while the wall clock was too far from it, in milliseconds.
    pub waited: u64,
    /// To which side that was.
    pub side: Side,
}

/// Where the wall clock is when it is too far from the time that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    #[default]
    Ahead,
    Behind,
}

/// The clock of a store.
#[derive(Debug)]
pub struct Clock {
    /// `None`: whatever comes first.
    known: Option<Known>,
    /// The latest tick that was told: moments come in any order.
    told: Option<Tick>,
    /// Where the wall clock was when it was told last, if that is too far.
    off: Option<Side>,
}

/// What has become of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has leapt ahead so far, and is not believed for so long yet.
    Leapt(Duration, Duration),
    /// It is believed again.
    Believed,
}

impl Clock {
    /// `known` is what was known when the store was used last.
    pub fn new(known: Option<Known>) -> Self {
        Self { known, told: None, off: None }
    }

    /// What is known now.
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// The time by which age is told now, and what is to be said of it.
    pub fn tell(&mut self, now: Moment) -> (Moment, Option<Turn>) {
        let tick = self.told.map_or(now.tick, |told| told.max(now.tick));
        let passed = self.told.map_or(Duration::ZERO, |told| tick.since(told));
        self.told = Some(tick);
        let passed = millis(passed);
        let known = self.known.unwrap_or(Known { time: now.unix_ms, ..Known::default() });
        let time = known.time.saturating_add(passed);
        let ahead = Duration::from_millis(now.unix_ms.saturating_sub(time));
        let behind = Duration::from_millis(time.saturating_sub(now.unix_ms));
        let side = if behind > LEAP { Side::Behind } else { Side::Ahead };
        let off = Some(side).filter(|_| ahead.max(behind) > LEAP);
        let was = std::mem::replace(&mut self.off, off);
        // What passed before it leapt was not waited, nor what it was off to the other side.
        let waited = match was == off {
            _ if off.is_none() || known.side != side => 0,
            true => known.waited.saturating_add(passed),
            false => known.waited,
        };
        let is_believed = off.is_none() || was == off && Duration::from_millis(waited) >= WAITS;
        self.known = Some(match off {
            Some(_) if !is_believed => Known { time, waited, side },
            Some(_) => Known { time: now.unix_ms, ..Known::default() },
            None => Known { time: time.max(now.unix_ms), ..Known::default() },
        });
        if is_believed {
            self.off = None;
        }
        match off == Some(Side::Ahead) && !is_believed {
            true => {
                let left = WAITS.saturating_sub(Duration::from_millis(waited));
                (Moment { unix_ms: time, ..now }, (was != off).then_some(Turn::Leapt(ahead, left)))
            }
            false => (now, (was == Some(Side::Ahead)).then_some(Turn::Believed)),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How far the wall clock may be ahead of the time that a store knows.
pub const LEAP: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it is waited while it is.
pub const WAITS: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    /// The time that is told at a tick and a wall clock, in hours.
    fn tell(clock: &mut Clock, tick: u64, wall: u64) -> (u64, Option<Turn>) {
        let now = Moment { tick: Tick(tick * HOUR), unix_ms: wall * HOUR };
        let (told, turn) = clock.tell(now);
        assert_eq!(told.tick, now.tick);
        (told.unix_ms / HOUR, turn)
    }

    #[test]
    fn a_leap_ahead_is_believed_late() {
        let mut clock = Clock::new(None);
        assert_eq!(tell(&mut clock, 5, 1000), (1000, None));
        // A day is nothing, nor is as much back, and ahead again.
        assert_eq!(tell(&mut clock, 6, 1025), (1025, None));
        assert_eq!(tell(&mut clock, 7, 7), (7, None));
        assert_eq!(tell(&mut clock, 8, 1027), (1027, None));
        let day = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(tell(&mut clock, 9, 90_000), (1028, Some(Turn::Leapt(day(90_000 - 1028), day(24)))));
        assert_eq!(tell(&mut clock, 10, 90_001), (1029, None));
        // It is set right, and wrong once more.
        assert_eq!(tell(&mut clock, 11, 1030), (1030, Some(Turn::Believed)));
        assert!(matches!(tell(&mut clock, 12, 90_003), (1031, Some(Turn::Leapt(..)))));
        assert_eq!(tell(&mut clock, 35, 90_026), (1054, None));
        assert_eq!(tell(&mut clock, 36, 90_027), (90_027, Some(Turn::Believed)));
        assert_eq!(tell(&mut clock, 37, 90_028), (90_028, None));
    }

    /// A Salon that runs for some hours a day comes to it as well, and hours in which none ran do not count.
    #[test]
    fn it_is_waited_across_starts() {
        let mut known = Some(Known { time: 1000 * HOUR, ..Known::default() });
        let mut wall = 1100;
        for start in 0..4 {
            let mut clock = Clock::new(known);
            for hour in 0..8 {
                let (told, _) = tell(&mut clock, 500 + hour, wall + hour);
                let ran = 7 * start + hour;
                assert_eq!(told, if ran < 24 { 1000 + ran } else { wall + hour }, "{start}, {hour}");
            }
            known = clock.known();
            wall += 24;
        }
    }

    /// Time passes once, however many moments of before are told between.
    #[test]
    fn moments_out_of_order() {
        let mut clock = Clock::new(None);
        for hour in 0..20 {
            assert_eq!(tell(&mut clock, 100 + hour, 1000 + hour), (1000 + hour, None));
            assert_eq!(tell(&mut clock, 90 + hour, 990 + hour), (990 + hour, None));
        }
        assert_eq!(clock.known().unwrap().time, 1019 * HOUR);
        assert!(matches!(tell(&mut clock, 120, 1045), (1020, Some(Turn::Leapt(..)))));
    }

    /// A day that was believed and was wrong, or a lock that notes one: it goes when the clock was set right for as
    /// long, in several starts, and then what leaps ahead of the right one is seen again.
    #[test]
    fn a_clock_that_stays_behind_is_believed_late() {
        let mut known = Some(Known { time: 90_000 * HOUR, ..Known::default() });
        let mut tick = 0;
        for start in 0..4 {
            let mut clock = Clock::new(known);
            for _ in 0..8 {
                assert_eq!(tell(&mut clock, tick, 1000 + tick), (1000 + tick, None));
                tick += 1;
            }
            known = clock.known();
            assert_eq!(known.unwrap().time == (1000 + tick - 1) * HOUR, start == 3, "{start}");
        }
        let mut clock = Clock::new(known);
        assert!(matches!(tell(&mut clock, tick, 90_000), (_, Some(Turn::Leapt(..)))));
        // What it was ahead is not waited behind, and the other way round.
        tell(&mut clock, tick + 20, 90_020);
        tell(&mut clock, tick + 21, 7);
        tell(&mut clock, tick + 40, 26);
        assert!(clock.known().unwrap().time > 1000 * HOUR);
        assert!(matches!(tell(&mut clock, tick + 41, 90_041), (_, Some(Turn::Leapt(_, waits))) if waits == WAITS));
    }
}
