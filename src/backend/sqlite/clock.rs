//! The time by which a store tells how old something is: the wall clock, unless that has leapt ahead.
//!
//! One wrong answer of a time server would have all of a store be too old, and what is deleted does not come back. So
//! the wall clock is held against the time that the store knew last, which goes on as the process runs. If it is ahead
//! of that by more than [`LEAP`], because it was set or because nobody has used the store meanwhile, it is not believed
//! until processes have run for [`WAITS`] with it so, or it is back.
//!
//! Behind that it may be: then nothing is too old that was not. It reads no clock.

use std::time::Duration;

use crate::time::{Moment, Tick};

/// What is known of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The latest that was believed, in milliseconds since 1970.
    pub time: u64,
    /// How long processes have run while the wall clock was ahead of it, in milliseconds.
    pub waited: u64,
}

/// The clock of a store.
#[derive(Debug)]
pub struct Clock {
    /// `None`: whatever comes first.
    known: Option<Known>,
    told: Option<Tick>,
    /// How far the wall clock was ahead when it was told last, if that is too far.
    ahead: Option<Duration>,
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
        Self { known, told: None, ahead: None }
    }

    /// What is known now.
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// The time by which age is told now, and what is to be said of it.
    pub fn tell(&mut self, now: Moment) -> (Moment, Option<Turn>) {
        let passed = self.told.map_or(Duration::ZERO, |told| now.tick.since(told));
        self.told = Some(now.tick);
        let passed = millis(passed);
        let Known { time, waited } = self.known.unwrap_or(Known { time: now.unix_ms, waited: 0 });
        let time = time.saturating_add(passed);
        let ahead = Duration::from_millis(now.unix_ms.saturating_sub(time));
        let waited = waited.saturating_add(passed);
        if ahead <= LEAP || Duration::from_millis(waited) >= WAITS && self.ahead.is_some() {
            self.known = Some(Known { time: time.max(now.unix_ms), waited: 0 });
            return (now, self.ahead.take().map(|_| Turn::Believed));
        }
        // What passed before it leapt was not waited.
        let waited = if self.ahead.is_some() { waited } else { waited - passed };
        self.known = Some(Known { time, waited });
        let turn = match self.ahead.replace(ahead) {
            None => Some(Turn::Leapt(ahead, WAITS.saturating_sub(Duration::from_millis(waited)))),
            Some(_) => None,
        };
        (Moment { unix_ms: time, ..now }, turn)
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
        let mut known = Some(Known { time: 1000 * HOUR, waited: 0 });
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
}
