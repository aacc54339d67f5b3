//! The messages that each receiver has got from each speaker: order, loss and doubles.
//!
//! A pair of receiver and speaker is a *line*. Of a line only the next number is kept, and the holes before it, which
//! are rare.

use std::collections::HashMap;

use super::client::printable;

/// The messages of all lines.
#[derive(Clone, Debug)]
pub struct Tally {
    next: Vec<u32>,
    holes: HashMap<usize, Vec<(u32, u32)>>,
    hole_count: usize,
    /// Messages heard for the first time.
    pub delivered: u64,
    /// Messages heard again.
    pub doubles: u64,
    /// Messages heard after a later one.
    pub out_of_order: u64,
    /// Messages that are not what was sent, or that nobody sent.
    pub damaged: u64,
    /// Messages of the server's own.
    pub others: u64,
    /// One of them: the last that speaks of an error, or the first.
    pub other: Option<String>,
}

impl Tally {
    /// No messages yet.
    pub fn new(lines: usize) -> Self {
        Self {
            next: vec![0; lines],
            holes: HashMap::new(),
            hole_count: 0,
            delivered: 0,
            doubles: 0,
            out_of_order: 0,
            damaged: 0,
            others: 0,
            other: None,
        }
    }

    /// Notes that `number` came on `line`; returns whether it is new. `sent` is how many were sent there.
    pub fn note(&mut self, line: usize, number: u32, sent: u32) -> bool {
        let next = self.next[line];
        if number >= sent {
            self.damaged += 1;
            return false;
        }
        if number == next {
            self.next[line] = next + 1;
        } else if number > next {
            self.next[line] = number + 1;
            // Past the bound a hole counts as loss at once, and a message that would fill it as a double.
            if self.hole_count < MAX_HOLES {
                self.hole_count += 1;
                self.holes.entry(line).or_default().push((next, number));
            }
        } else if !self.fill(line, number) {
            self.doubles += 1;
            return false;
        } else {
            self.out_of_order += 1;
        }
        self.delivered += 1;
        true
    }

    /// Notes a message that no speaker of the bench sent.
    pub fn note_other(&mut self, payload: &[u8]) {
        self.others += 1;
        let error = payload.windows(5).any(|word| word == b"error");
        if error || self.other.is_none() {
            self.other = Some(printable(&String::from_utf8_lossy(payload)));
        }
    }

    /// Takes `number` out of the hole it lies in, if it does.
    fn fill(&mut self, line: usize, number: u32) -> bool {
        let Some(holes) = self.holes.get_mut(&line) else { return false };
        let Some(place) = holes.iter().position(|&(start, end)| (start..end).contains(&number)) else { return false };
        let (start, end) = holes.swap_remove(place);
        holes.extend([(start, number), (number + 1, end)].into_iter().filter(|(start, end)| start < end));
        true
    }
}

/// Holes that are kept to see whether they are filled after all.
const MAX_HOLES: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_apart() {
        for (heard, delivered, doubles, out_of_order, damaged) in [
            (&[0, 1, 2, 3][..], 4, 0, 0, 0),
            (&[0, 1, 3], 3, 0, 0, 0), // 2 is lost: sent less delivered
            (&[0, 1, 1, 2], 3, 1, 0, 0),
            (&[0, 2, 1, 3], 4, 0, 1, 0),
            (&[3, 2, 1, 0], 4, 0, 3, 0),
            (&[3, 1, 1, 0, 2, 2], 4, 2, 3, 0),
            (&[0, 9], 1, 0, 0, 1),
        ] {
            let mut tally = Tally::new(2);
            for &number in heard {
                tally.note(1, number, 4);
            }
            let found = (tally.delivered, tally.doubles, tally.out_of_order, tally.damaged);
            assert_eq!(found, (delivered, doubles, out_of_order, damaged), "{heard:?}");
        }
    }
}
