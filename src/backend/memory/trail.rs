//! The operators' trail: the newest of their steps.

use std::collections::VecDeque;

use crate::backend::{News, Step, Ticket, Why};
use crate::slack;

/// The trail.
///
/// Steps are numbered from 1 on; `steps` has those up to `last` without a hole.
#[derive(Debug, Default)]
pub(super) struct Trail {
    steps: VecDeque<Kept>,
    last: u64,
}

#[derive(Debug)]
struct Kept {
    ts: u64,
    operator: Box<str>,
    call: Box<str>,
    room: Option<Box<str>>,
    user: Option<Box<str>>,
    status: u16,
}

impl Kept {
    fn step(&self) -> Step<'_> {
        let Self { ts, operator, call, room, user, status } = self;
        Step { ts: *ts, operator, call, room: room.as_deref(), user: user.as_deref(), status: *status }
    }

    fn bytes(&self) -> usize {
        let maybe = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        self.operator.len() + self.call.len() + maybe(&self.room) + maybe(&self.user)
    }
}

impl Trail {
    /// Notes a step; the oldest makes room.
    pub fn note(&mut self, step: Step<'_>) {
        let Step { ts, operator, call, room, user, status } = step;
        if self.steps.len() >= MAX_STEPS {
            self.steps.pop_front();
        }
        let (room, user) = (room.map(Into::into), user.map(Into::into));
        self.steps.push_back(Kept { ts, operator: operator.into(), call: call.into(), room, user, status });
        self.last += 1;
    }

    /// A page of it. A cursor is the number of the last step of the page before.
    pub fn page(&self, cursor: Option<&str>, limit: usize, ticket: Ticket) -> News<'_> {
        let before = cursor.map_or(Some(self.last + 1), |cursor| cursor.parse().ok());
        let Some(before) = before.filter(|&before| before <= self.last + 1) else {
            return News::Refused { ticket, why: Why::BadCursor };
        };
        let numbered = (1..=self.last).rev().zip(self.steps.iter().rev());
        let mut older = numbered.skip_while(|(number, _)| *number >= before).peekable();
        let mut steps = Vec::new();
        let mut end = None;
        while steps.len() < limit
            && let Some((number, kept)) = older.next()
        {
            steps.push(kept.step());
            end = Some(number);
        }
        let next = end.filter(|_| older.peek().is_some()).map(|number| number.to_string());
        News::Trail { ticket, steps, next }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Kept>() + self.steps.iter().map(Kept::bytes).sum::<usize>()
    }

    /// Gives capacity back.
    pub fn shrink(&mut self) {
        slack::shrink(&mut self.steps);
    }
}

/// Steps that are kept in memory.
const MAX_STEPS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_steps_make_room() {
        let mut trail = Trail::default();
        let step = |ts| Step { ts, operator: "mod", call: "kick", room: None, user: Some("ann"), status: 200 };
        (0..MAX_STEPS as u64 + 10).for_each(|ts| trail.note(step(ts)));
        let bytes = trail.bytes();
        trail.note(step(u64::MAX));
        assert_eq!((trail.steps.len(), trail.bytes()), (MAX_STEPS, bytes));
        assert_eq!((trail.steps[0].ts, trail.last), (11, MAX_STEPS as u64 + 11));
    }
}
