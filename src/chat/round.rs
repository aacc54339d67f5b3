//! A round of all slots, some at a time, which may be begun anew at any of them.
//!
//! It knows no sessions: what is done at a slot is up to the one who goes round.

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The next slot.
    next: u32,
    /// The slot at which it was begun: when it comes to there again, it is over.
    began: u32,
    /// It has come to the last slot, and went on at the first.
    is_past_the_last: bool,
}

impl Round {
    /// From the slot where it is, it is to go by all.
    pub fn begin(&mut self) {
        (self.began, self.is_past_the_last) = (self.next, false);
    }

    /// The next of so many slots, which may be more or fewer each time; `None`: it has gone by all that have been there
    /// since it was begun.
    pub fn next(&mut self, slots: usize) -> Option<u32> {
        if self.next as usize >= slots && !self.is_past_the_last {
            (self.next, self.is_past_the_last) = (0, true);
        }
        if self.next as usize >= slots || self.is_past_the_last && self.next >= self.began {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(round: &mut Round, slots: usize) -> Vec<u32> {
        std::iter::from_fn(|| round.next(slots)).collect()
    }

    /// Each row: how many slots it has gone by when it is begun anew, how many there are then, and by which it goes.
    #[test]
    fn it_goes_by_all_from_anywhere() {
        for (gone, slots, goes_by) in [
            (0, 3, vec![0, 1, 2]),
            (1, 3, vec![1, 2, 0]),
            (3, 3, vec![0, 1, 2]),
            (2, 5, vec![2, 3, 4, 0, 1]),
            // Fewer than it has gone by.
            (3, 2, vec![0, 1]),
            (3, 0, vec![]),
        ] {
            let mut round = Round::default();
            round.begin();
            (0..gone).for_each(|n| assert_eq!(round.next(3), Some(n)));
            round.begin();
            assert_eq!(rest(&mut round, slots), goes_by, "{gone} {slots}");
            assert_eq!(round.next(slots), None);
            round.begin();
            assert_eq!(rest(&mut round, slots).len(), slots, "{gone} {slots}");
        }
    }
}
