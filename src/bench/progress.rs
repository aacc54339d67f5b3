//! How far it is, on standard error: one line that changes on a terminal, elsewhere a line a second.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Prints now and then how far the bench is.
#[derive(Debug)]
pub struct Progress {
    wanted: bool,
    terminal: bool,
    next: Instant,
    /// Something stands on the terminal's line.
    dirty: bool,
}

impl Progress {
    /// Prints nothing unless it is wanted.
    pub fn new(wanted: bool) -> Self {
        let terminal = stderr().is_terminal();
        Self { wanted, terminal, next: Instant::now() + Self::pause(terminal), dirty: false }
    }

    /// Prints it if it is time to.
    pub fn tell(&mut self, sentence: impl FnOnce() -> String) {
        if !self.wanted {
            return;
        }
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + Self::pause(self.terminal);
        let sentence = sentence();
        // Nobody may read it; that is no reason to stop.
        let _ = match self.terminal {
            true => write!(stderr(), "\r\x1b[K{sentence}"),
            false => writeln!(stderr(), "{sentence}"),
        };
        self.dirty = self.terminal;
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.dirty) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    fn pause(terminal: bool) -> Duration {
        if terminal { Duration::from_millis(200) } else { Duration::from_secs(1) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
