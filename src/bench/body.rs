//! The body of a message: its speaker, its number, and a filler that shows any damage.
//!
//! ```text
//!   @ R R R S S S S N N N N N N N N filler
//!   |  run  speaker     number
//! ```
//!
//! The run (the same in all bodies of one) keeps messages of an earlier or another bench apart. All of it is letters,
//! digits and `@`, so it stands unescaped in JSON. It is found again whatever a server puts around it, also when
//! several messages come in one frame.

/// How bodies are made and found again.
#[derive(Clone, Debug)]
pub struct Bodies {
    mark: [u8; 4],
    filler: Vec<u8>,
    /// Where a body was last found in a payload; servers seldom change the text in front of it.
    usually_at: usize,
}

/// A body as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole one.
    Body {
        /// Its speaker.
        speaker: usize,
        /// Its number among the messages of that speaker.
        number: u32,
    },
    /// One that was changed on the way.
    Damaged,
}

impl Bodies {
    /// Bodies of `size` bytes, [`MIN_SIZE`] at least.
    pub fn new(run: u64, size: usize) -> Self {
        let mut mark = [b'@'; 4];
        mark[1..].copy_from_slice(&hex::<3>(run % 4096));
        let filler = (HEAD_LEN..size.max(MIN_SIZE)).map(|at| b'a' + (at * 7 % 26) as u8).collect();
        Self { mark, filler, usually_at: 0 }
    }

    /// Bytes of one body.
    pub fn size(&self) -> usize {
        HEAD_LEN + self.filler.len()
    }

    /// The first body of a speaker; [`renumber`] makes the next of it.
    pub fn first(&self, speaker: usize) -> Vec<u8> {
        let mut body = self.mark.to_vec();
        body.extend_from_slice(&hex::<4>(speaker as u64));
        body.extend_from_slice(&hex::<8>(0));
        body.extend_from_slice(&self.filler);
        body
    }

    /// Finds all bodies in a payload and hands them on in order; returns whether there was any.
    pub fn find(&mut self, payload: &[u8], mut take: impl FnMut(Found)) -> bool {
        let mut from = 0;
        loop {
            let rest = &payload[from..];
            let usual = rest.get(self.usually_at..).is_some_and(|rest| rest.starts_with(&self.mark));
            let at = if usual { Some(self.usually_at) } else { position(rest, &self.mark) };
            let Some(at) = at else { return from > 0 };
            if from == 0 {
                self.usually_at = at;
            }
            let body = &rest[at..];
            if body.len() < self.size() {
                take(Found::Damaged);
                return true;
            }
            let body = &body[..self.size()];
            let numbers = number(&body[4..8]).zip(number(&body[8..HEAD_LEN]));
            take(match numbers {
                Some((speaker, number)) if body[HEAD_LEN..] == self.filler => {
                    Found::Body { speaker: speaker as usize, number }
                }
                _ => Found::Damaged,
            });
            from += at + self.size();
        }
    }
}

/// Gives a body that begins at `body[0]` another number.
pub fn renumber(body: &mut [u8], number: u32) {
    body[8..HEAD_LEN].copy_from_slice(&hex::<8>(u64::from(number)));
}

fn position(bytes: &[u8], mark: &[u8; 4]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == mark[0]) {
        from += at;
        if bytes[from..].starts_with(mark) {
            return Some(from);
        }
        from += 1;
    }
    None
}

fn hex<const N: usize>(number: u64) -> [u8; N] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (4 * (N - 1 - at))) as usize & 15])
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u32::from(value))
    })
}

const HEAD_LEN: usize = 16;

/// The smallest body: no filler at all.
pub const MIN_SIZE: usize = HEAD_LEN;

/// The most speakers that bodies can name.
pub const MAX_SPEAKERS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bodies: &mut Bodies, payload: &[u8]) -> Vec<Found> {
        let mut all = Vec::new();
        assert_eq!(bodies.find(payload, |found| all.push(found)), !all.is_empty());
        all
    }

    #[test]
    fn bodies_are_found_whatever_is_around_them() {
        let mut bodies = Bodies::new(0xabc, 40);
        let body = |speaker, number| {
            let mut body = Bodies::new(0xabc, 40).first(speaker);
            renumber(&mut body, number);
            body
        };
        let told = |speaker, number| Found::Body { speaker, number };
        assert_eq!(&body(0x12, 0xdead_beef)[..18], b"@abc0012deadbeefip");
        assert_eq!(found(&mut bodies, &body(1, 2)), [told(1, 2)]);
        let json = [b"{\"content\":\"", &body(65535, u32::MAX)[..], b"\"}"].concat();
        assert_eq!(found(&mut bodies, &json), [told(65535, u32::MAX)]);
        assert_eq!(found(&mut bodies, &json), [told(65535, u32::MAX)], "and where it usually is");
        let several = [&json[..], b"\n", &body(3, 4), b"\n", &json].concat();
        assert_eq!(found(&mut bodies, &several), [told(65535, u32::MAX), told(3, 4), told(65535, u32::MAX)]);
        assert_eq!(found(&mut bodies, b"{\"type\":\"user_joined\",\"user\":\"@ab@\"}"), []);
        assert_eq!(found(&mut bodies, &Bodies::new(0xabd, 40).first(1)), [], "of another run");
        assert_eq!(found(&mut bodies, b""), []);
    }

    #[test]
    fn damage_is_seen() {
        let mut bodies = Bodies::new(1, 40);
        let whole = bodies.first(5);
        for at in 4..whole.len() {
            let mut body = whole.clone();
            body[at] ^= 0x40;
            assert_eq!(found(&mut bodies, &body), [Found::Damaged], "at {at}");
        }
        assert_eq!(found(&mut bodies, &whole[..39]), [Found::Damaged]);
        assert_eq!(
            found(&mut Bodies::new(1, 0), &Bodies::new(1, 16).first(5)),
            [Found::Body { speaker: 5, number: 0 }]
        );
    }
}
