//! What a chat without people keeps of them, which is nothing: for those who look for what is forgotten.

use super::hall::Hall;
use super::timers::Timer;

impl Hall {
    /// What is kept for sessions and graces, beside them: with none, each is 0; but for that which lasts for a while.
    pub(super) fn left_over(&self) -> [(&'static str, usize); 14] {
        let of_sessions = |timer: &Timer| {
            matches!(timer, Timer::Replay(_) | Timer::Unproven(_) | Timer::Expires(_) | Timer::Expired(_))
        };
        let of_people = |timer: &Timer| matches!(timer, Timer::Typing(_) | Timer::Crowd { .. } | Timer::Lives { .. });
        [
            ("sessions", self.roster.sessions().len()),
            ("graces", self.roster.graces()),
            ("statuses of sessions without a user", self.roster.showing()),
            ("timers of sessions", self.timers.count(of_sessions)),
            ("timers of people for a while", self.timers.count(of_people)),
            ("typists for a while", self.typists.len()),
            ("grants", self.rights.len()),
            ("watched names", self.watches.names()),
            ("sessions that watch", self.watches.sessions()),
            ("readers", self.readers.len()),
            ("calls", self.operators.len()),
            ("requests that wait for the store", self.waiting.len()),
            ("lists that wait", self.lists.len()),
            ("connections that are told what they are owed", self.owing.len()),
        ]
    }
}
