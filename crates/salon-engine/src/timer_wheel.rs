//! When to look at a peer again: one entry a peer, constant cost to move it.
//!
//! Three rings of 256 slots. A slot of the first is one millisecond wide, of the second 256 ms, of the third
//! 65.5 s; a deadline goes into the finest ring that reaches it.
//!
//! ```text
//!   ring 0   | 1 ms | 1 ms | ...            255 ms ahead, exact
//!   ring 1   | 256 ms      | ...            65 s ahead, fires at the start of its slot
//!   ring 2   | 65.5 s             | ...     4.6 h ahead, likewise; further deadlines wait in its last slot
//! ```
//!
//! So an entry may fire early, never late: the engine then looks at the peer's true deadline and schedules again, which
//! lands in a finer ring. Nothing cascades, and traffic does not touch the wheel: it only stores the time in the peer,
//! where the engine reads it when the entry fires. The wheel does not know what a deadline means: `deadlines` does.

use crate::time::Tick;

/// The wheel. Keys are small and dense: indices of peers.
///
/// Invariant: an entry is linked into exactly the slot its `place` names, and that slot's bit is set.
#[derive(Debug)]
pub struct TimerWheel {
    now: u64,
    /// The first entry of each slot of each ring.
    heads: Box<[u32; RINGS * SLOTS]>,
    /// One bit a slot: not empty.
    occupied: [[u64; SLOTS / 64]; RINGS],
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    previous: u32,
    next: u32,
    place: u16,
}

impl TimerWheel {
    /// An empty wheel that stands at `now`.
    pub fn new(now: Tick) -> Self {
        Self {
            now: now.0,
            heads: Box::new([NONE; RINGS * SLOTS]),
            occupied: [[0; SLOTS / 64]; RINGS],
            entries: Vec::new(),
        }
    }

    /// Sets the one entry of `key`, moving it if there is one. A deadline in the past fires at the next tick.
    pub fn schedule(&mut self, key: u32, at: Tick) {
        self.cancel(key);
        if self.entries.len() <= key as usize {
            self.entries.resize(key as usize + 1, UNLINKED);
        }
        let at = at.0.max(self.now + 1);
        let place = (0..RINGS)
            .find_map(|ring| {
                let shift = ring * SLOT_BITS;
                let ahead = (at >> shift) - (self.now >> shift);
                (ahead < SLOTS as u64).then(|| ring * SLOTS + (at >> shift) as usize % SLOTS)
            })
            .unwrap_or_else(|| {
                let last = (self.now >> ((RINGS - 1) * SLOT_BITS)) as usize + SLOTS - 1;
                (RINGS - 1) * SLOTS + last % SLOTS
            });
        let next = self.heads[place];
        self.entries[key as usize] = Entry { previous: NONE, next, place: place as u16 };
        if next != NONE {
            self.entries[next as usize].previous = key;
        }
        self.heads[place] = key;
        self.occupied[place / SLOTS][place % SLOTS / 64] |= 1 << (place % 64);
    }

    /// How many entries there are. Looks at each place.
    pub fn scheduled(&self) -> usize {
        self.entries.iter().filter(|entry| entry.place != UNLINKED.place).count()
    }

    /// Bytes it takes.
    pub fn held_bytes(&self) -> usize {
        size_of_val(&*self.heads) + self.entries.capacity() * size_of::<Entry>()
    }

    /// Takes the entry of `key` out, if there is one.
    pub fn cancel(&mut self, key: u32) {
        let Some(&Entry { previous, next, place }) = self.entries.get(key as usize) else { return };
        if place == UNLINKED.place {
            return;
        }
        self.entries[key as usize] = UNLINKED;
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
            return;
        }
        let place = usize::from(place);
        self.heads[place] = next;
        if next == NONE {
            self.occupied[place / SLOTS][place % SLOTS / 64] &= !(1 << (place % 64));
        }
    }

    /// Moves the wheel to `now` and appends the keys whose slots have come, taking them out.
    pub fn advance(&mut self, now: Tick, fired: &mut Vec<u32>) {
        for ring in 0..RINGS {
            let shift = ring * SLOT_BITS;
            let (from, to) = (self.now >> shift, now.0 >> shift);
            for position in from + 1..=to.min(from + SLOTS as u64) {
                let slot = position as usize % SLOTS;
                if self.occupied[ring][slot / 64] & 1 << (slot % 64) == 0 {
                    continue;
                }
                self.occupied[ring][slot / 64] &= !(1 << (slot % 64));
                let mut key = std::mem::replace(&mut self.heads[ring * SLOTS + slot], NONE);
                while key != NONE {
                    fired.push(key);
                    key = std::mem::replace(&mut self.entries[key as usize], UNLINKED).next;
                }
            }
        }
        self.now = self.now.max(now.0);
    }

    /// When the next entry fires.
    pub fn next_due(&self) -> Option<Tick> {
        (0..RINGS).filter_map(|ring| self.next_in_ring(ring)).min().map(Tick)
    }

    fn next_in_ring(&self, ring: usize) -> Option<u64> {
        let shift = ring * SLOT_BITS;
        let position = self.now >> shift;
        let start = (position as usize + 1) % SLOTS;
        // The words of the bitmap from the one that holds `start`, once around and to it again.
        (0..=SLOTS / 64).find_map(|step| {
            let word = (start / 64 + step) % (SLOTS / 64);
            let mut bits = self.occupied[ring][word];
            match step {
                0 => bits &= u64::MAX << (start % 64),
                _ if step == SLOTS / 64 => bits &= !(u64::MAX << (start % 64)),
                _ => {}
            }
            if bits == 0 {
                return None;
            }
            let slot = word * 64 + bits.trailing_zeros() as usize;
            let ahead = (slot + SLOTS - start) % SLOTS + 1;
            Some((position + ahead as u64) << shift)
        })
    }
}

const SLOT_BITS: usize = 8;
const SLOTS: usize = 1 << SLOT_BITS;
const RINGS: usize = 3;
const NONE: u32 = u32::MAX;
const UNLINKED: Entry = Entry { previous: NONE, next: NONE, place: u16::MAX };

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the wheel as the engine does: jump to what is due, look, schedule again if it was early.
    fn run(deadlines: &[u64], step: impl Fn(u64, u64) -> u64) -> Vec<(u32, u64)> {
        let mut wheel = TimerWheel::new(Tick(0));
        for (key, &at) in deadlines.iter().enumerate() {
            wheel.schedule(key as u32, Tick(at));
        }
        let (mut done, mut fired, mut now) = (Vec::new(), Vec::new(), 0);
        while let Some(due) = wheel.next_due() {
            now = step(now, due.0);
            wheel.advance(Tick(now), &mut fired);
            for key in fired.drain(..) {
                match deadlines[key as usize] {
                    at if at > now => wheel.schedule(key, Tick(at)),
                    _ => done.push((key, now)),
                }
            }
        }
        done
    }

    #[test]
    fn every_deadline_fires_exactly_when_woken_in_time() {
        let deadlines: Vec<u64> = [1, 2, 255, 256, 257, 511, 512, 25_000, 65_535, 65_536, 65_537, 100_000, 16_777_215]
            .into_iter()
            .chain([16_777_216, 40_000_000, 100_000_000])
            .collect();
        let done = run(&deadlines, |_, due| due);
        let mut expected: Vec<(u32, u64)> = (0..).zip(deadlines.iter().copied()).collect();
        expected.sort_by_key(|&(_, at)| at);
        assert_eq!(done, expected);
    }

    #[test]
    fn a_late_loop_loses_nothing() {
        let deadlines: Vec<u64> = (0..2000).map(|n| 1 + n * 37).collect();
        let mut done = run(&deadlines, |now, due| due.max(now + 1000));
        done.sort_unstable();
        assert_eq!(done.len(), deadlines.len());
        assert!(done.iter().all(|&(key, at)| at >= deadlines[key as usize] && at < deadlines[key as usize] + 1001));
    }

    #[test]
    fn an_entry_can_be_moved_and_taken_out() {
        let mut wheel = TimerWheel::new(Tick(1000));
        for key in 0..3 {
            wheel.schedule(key, Tick(1010));
        }
        wheel.schedule(1, Tick(2000));
        wheel.cancel(2);
        wheel.cancel(77);
        let mut fired = Vec::new();
        wheel.advance(Tick(1009), &mut fired);
        assert!(fired.is_empty());
        assert_eq!(wheel.next_due(), Some(Tick(1010)));
        wheel.advance(Tick(1010), &mut fired);
        assert_eq!(fired, [0]);
        wheel.cancel(1);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn the_past_fires_at_the_next_tick() {
        let mut wheel = TimerWheel::new(Tick(500));
        wheel.schedule(9, Tick(3));
        assert_eq!(wheel.next_due(), Some(Tick(501)));
    }
}
