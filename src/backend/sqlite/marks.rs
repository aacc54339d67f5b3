//! How many read marks there are of all users, and who gives some up: the numbers of it.

use std::collections::BTreeMap;

/// A walk over the marks of all users, by their names: it counts them, and if there are nearly as many as there may be,
/// the next one takes some from those who have the most, of the conversations that are the oldest: nobody who has few
/// loses one because others have many. It goes on as marks are made.
#[derive(Debug, Default)]
pub struct Marks {
    /// How many were made since its last piece, and how many it waits for.
    pub made: usize,
    pub waits: usize,
    /// The user that it was at.
    pub after: String,
    /// How many there are, those that it has seen twice counted twice; and how many users have as many each.
    pub all: usize,
    pub users: BTreeMap<usize, usize>,
    pub takes: Option<Takes>,
}

/// What a walk takes.
#[derive(Debug)]
pub struct Takes {
    /// What each user keeps in any case.
    pub level: usize,
    /// How many go still.
    pub left: usize,
}

impl Marks {
    /// A walk has come to its end, and the next one begins when it is needed.
    pub fn turn(&mut self) {
        let over = (self.all + FREE_MARKS).saturating_sub(MAX_MARKS_OF_ALL);
        self.after.clear();
        match self.takes.take() {
            None if over > FREE_MARKS / 2 => {
                self.takes = Some(Takes { level: self.level(over), left: over });
            }
            _ => {
                // It is counted anew when half of what was free has been made.
                self.waits = (MAX_MARKS_OF_ALL - FREE_MARKS / 2).saturating_sub(self.all).max(MARKS_TOGETHER);
                self.all = 0;
            }
        }
        self.users.clear();
    }

    /// How many each user keeps, so that so many less are kept of all, or a few less than that.
    fn level(&self, less: usize) -> usize {
        let (mut sum, mut users) = (0, 0);
        let mut numbers = self.users.iter().rev().peekable();
        while let Some((&number, &these)) = numbers.next() {
            (sum, users) = (sum + number * these, users + these);
            let next = numbers.peek().map_or(0, |(number, _)| **number);
            // Down to what the next ones have, these would give up as much as is wanted.
            if sum - next * users >= less {
                return sum.saturating_sub(less) / users;
            }
        }
        0
    }
}

/// Marks of one user.
pub const MAX_MARKS: usize = if cfg!(test) { 50 } else { 10_000 };

/// Marks of all users. Those that a process before has left are counted first: so many are made meanwhile at most as
/// are free behind a walk in which some were taken.
pub const MAX_MARKS_OF_ALL: usize = if cfg!(test) { 200 } else { 1 << 20 };
const FREE_MARKS: usize = if cfg!(test) { 40 } else { 1 << 16 };

/// For so many that are made, so many are looked at, beside those of one user: half of what is free is made while all
/// are counted and taken.
pub const MARKS_TOGETHER: usize = if cfg!(test) { 2 } else { 64 };
pub const MARKS_WALKED: usize = if cfg!(test) { 60 } else { 4096 };

#[cfg(test)]
mod tests {
    use super::Marks;

    /// Those who have the most give up what they have more than others.
    #[test]
    fn those_who_have_the_most_give_up() {
        for (numbers, less, level) in [
            (&[10, 1, 1][..], 4, 6),
            (&[10, 8, 1], 2, 8),
            (&[10, 8, 1], 3, 7),
            (&[10, 8, 1], 4, 7),
            (&[5, 5, 5], 3, 4),
            (&[5, 5, 5], 4, 3),
            (&[5, 5, 5], 100, 0),
            (&[1, 1, 1, 1], 2, 0),
            (&[], 2, 0),
            (&[7], 0, 7),
        ] {
            let mut marks = Marks::default();
            numbers.iter().for_each(|number| *marks.users.entry(*number).or_insert(0) += 1);
            let found = marks.level(less);
            assert_eq!(found, level, "{numbers:?} {less}");
            let gone: usize = numbers.iter().map(|number| number.saturating_sub(found)).sum();
            assert!(gone >= less.min(numbers.iter().sum()), "{numbers:?} {less}");
        }
    }
}
