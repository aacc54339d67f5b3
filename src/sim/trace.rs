//! What happened: a hash of everything that was sent, the first thing that was wrong, and, when somebody wants to read
//! it, the last lines of it.

use std::collections::VecDeque;

/// Microseconds since the simulation began.
pub type Time = u64;

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which invariant, by its number in `docs/simulation.md`.
    pub invariant: u8,
    /// What was found.
    pub text: String,
    /// In which step.
    pub step: u64,
    /// When, in microseconds.
    pub at: Time,
}

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    steps: u64,
    violation: Option<Violation>,
    lines: Option<VecDeque<String>>,
    kept: usize,
}

impl Trace {
    /// An empty trace, which keeps so many of the last lines; 0: it tells nothing.
    pub fn new(kept: usize) -> Self {
        let lines = (kept > 0).then(VecDeque::new);
        Self { hash: 0xcbf2_9ce4_8422_2325, steps: 0, violation: None, lines, kept }
    }

    /// A step.
    pub fn step(&mut self) {
        self.steps += 1;
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Something was sent on a link.
    pub fn note(&mut self, link: u64, bytes: &[u8]) {
        for byte in link.to_le_bytes().iter().chain(bytes) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of everything that was sent.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// A line for those who read.
    pub fn tell(&mut self, at: Time, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines
            && self.violation.is_none()
        {
            if lines.len() == self.kept {
                lines.pop_front();
            }
            lines.push_back(format!("{:>12.6}  {}", at as f64 / 1e6, line()));
        }
    }

    /// Something is wrong; the first such thing counts.
    pub fn fail(&mut self, invariant: u8, at: Time, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let text = text();
            self.tell(at, || format!("invariant {invariant}: {text}"));
            self.violation = Some(Violation { invariant, text, step: self.steps, at });
        }
    }

    /// Whether something is wrong.
    pub fn has_failed(&self) -> bool {
        self.violation.is_some()
    }

    /// The first thing that was wrong.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The last lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
