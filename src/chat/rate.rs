//! A rate, as an operator words it.

use std::fmt;

/// How fast a user may talk: every frame costs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Frames a second in the long run.
    pub per_second: u32,
    /// Frames at once after some silence.
    pub burst: u32,
}

impl Rate {
    /// Reads a rate; `None`: without a limit.
    ///
    /// # Errors
    /// The expected.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "off" {
            return Ok(None);
        }
        let number = |text: &str| text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
        text.split_once(':')
            .and_then(|(per_second, burst)| Some(Self { per_second: number(per_second)?, burst: number(burst)? }))
            .map(Some)
            .ok_or_else(|| "expected PER_SECOND:BURST, two numbers from 1 to 1000000, such as 20:40, or off".into())
    }
}

/// As it is read.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.per_second, self.burst)
    }
}
