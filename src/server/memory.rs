//! The memory budget: the memory that is held, by purpose, and the measures when it is nearly too much.
//!
//! ```text
//!   0                          80 %      85 %      90 %      95 %      100 %
//!   |--------------------------|---------|---------|---------|---------|
//!     history, where it is much, ends here
//!                                 new clients again <-  503  -> until
//!                                                            the largest are cut off with 1013
//! ```
//!
//! It looks at the sum of the counts of [`engine`](crate::engine::memory), [`chat`](crate::chat::Held) and
//! [`tls`](super::tls), and not at the kernel's figure: the allocator keeps freed memory, and cutting off a client does
//! not help if the memory does not come back. So the budget must be smaller than a limit on the process;
//! `salon_resident_bytes` shows by how much.
//!
//! It decides the measures; the [reactor](super::reactor) carries them out, a bounded piece each turn.

use crate::{chat, engine};

/// Bytes held, by what for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// By the engine.
    pub engine: engine::memory::Held,
    /// By the chat.
    pub chat: chat::Held,
    /// Addresses that are remembered.
    pub addresses: usize,
    /// For TLS: an [estimate](super::tls::TlsStream::held_bytes).
    pub tls: usize,
    /// Deliveries of the service that wait to be carried out.
    pub deliveries: usize,
}

impl Held {
    /// Words for `/metrics`, and bytes.
    pub fn by_purpose(&self) -> [(&'static str, usize); 12] {
        let Self { engine, chat, addresses, tls, deliveries } = self;
        [
            ("connections", engine.connections),
            ("receiving", engine.receiving),
            ("outboxes", engine.outboxes),
            ("topics", engine.topics),
            ("compression", engine.compression),
            ("tls", *tls),
            ("buffers", engine.buffers + deliveries),
            ("sessions", chat.sessions),
            ("users", chat.users),
            ("rooms", chat.rooms),
            ("limits", chat.limits + addresses),
            ("history", chat.history),
        ]
    }

    /// All of it.
    pub fn total(&self) -> usize {
        self.by_purpose().iter().map(|&(_, bytes)| bytes).sum()
    }
}

/// How near the budget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is room, or there is no budget.
    Calm,
    /// The oldest messages of the history go.
    Trim,
    /// New clients are refused with 503.
    Near,
    /// And the largest are cut off.
    Over,
}

/// The measures, in bytes that are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relief {
    /// Of history.
    pub history: usize,
    /// Of the memory for single connections.
    pub connections: usize,
}

/// The budget, and its state.
#[derive(Clone, Debug)]
pub struct Budget {
    bytes: Option<usize>,
    held: Held,
    state: State,
}

impl Budget {
    /// So many bytes; `None`: as many as there are.
    pub fn new(bytes: Option<usize>) -> Self {
        Self { bytes, held: Held::default(), state: State::Calm }
    }

    /// Sets the budget.
    pub fn change(&mut self, bytes: Option<usize>) {
        self.bytes = bytes;
    }

    /// Notes how much is held now. Returns the measures; logs when the state changes.
    pub fn note(&mut self, held: Held) -> Relief {
        self.held = held;
        let Some(budget) = self.bytes else {
            self.state = State::Calm;
            return Relief::default();
        };
        let total = held.total();
        let above = |percent: usize| total.saturating_sub(budget / 100 * percent);
        let history = held.chat.history.saturating_sub(budget / 100 * HISTORY_SHARE).min(above(TRIM_ABOVE));
        let state = match self.state {
            _ if above(CUT_ABOVE) > 0 => State::Over,
            State::Over if above(REFUSE_ABOVE) > 0 => State::Over,
            State::Near | State::Over if above(WELCOME_BELOW) > 0 => State::Near,
            _ if above(REFUSE_ABOVE) > 0 => State::Near,
            // As long as messages come it is at the mark, above and below: that is one state, and not many.
            State::Trim if above(CALM_BELOW) > 0 => State::Trim,
            _ if history > 0 => State::Trim,
            _ => State::Calm,
        };
        let before = std::mem::replace(&mut self.state, state);
        if state != before {
            self.log(before, total, budget);
        }
        let connections = if state == State::Over { above(REFUSE_ABOVE).saturating_sub(history) } else { 0 };
        Relief { history, connections }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether new clients are refused.
    pub fn is_short(&self) -> bool {
        matches!(self.state, State::Near | State::Over)
    }

    /// The memory for new things: up to the mark from which new clients are refused, and nothing as long as they are.
    /// `None`: there is no budget.
    pub fn left_for_new(&self) -> Option<usize> {
        let budget = self.bytes?;
        match self.is_short() {
            true => Some(0),
            false => Some((budget / 100 * REFUSE_ABOVE).saturating_sub(self.held.total())),
        }
    }

    /// The memory that was held when it was last noted.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// The budget; `None`: there is none.
    pub fn bytes(&self) -> Option<usize> {
        self.bytes
    }

    /// Tells the state, which was another one before.
    fn log(&self, before: State, total: usize, budget: usize) {
        let (total, budget) = (total >> 10, budget >> 10);
        let mut largest = self.held.by_purpose();
        largest.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        let [(first, _), (second, _), ..] = largest;
        let what = match (self.state, before) {
            (State::Calm, State::Trim) => {
                return log::info!("memory: {total} of {budget} KiB are held; no more messages are let go of");
            }
            (State::Calm, _) => {
                return log::info!("memory: {total} of {budget} KiB are held; clients are welcome again");
            }
            (State::Trim, State::Calm) => "the oldest messages of the history go",
            (State::Trim, _) => "clients are welcome again, and the oldest messages of the history go",
            (State::Near, _) => "new clients are told to come later",
            (State::Over, _) => "and those for whom most is held are cut off",
        };
        log::warn!("memory: {total} of {budget} KiB are held, most for {first} and {second}; {what}");
    }
}

/// The marks, in hundredths of the budget.
const CALM_BELOW: usize = 75;
const TRIM_ABOVE: usize = 80;
const WELCOME_BELOW: usize = 85;
const REFUSE_ABOVE: usize = 90;
const CUT_ABOVE: usize = 95;

/// The part that history keeps however short memory is.
const HISTORY_SHARE: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn waiting(mib: usize) -> engine::memory::Held {
        let mut held = engine::memory::Held::default();
        held.outboxes = mib * MIB;
        held
    }

    /// Each row: MiB of outboxes, MiB of history; the state, and what is to be freed, in MiB.
    #[test]
    fn states_and_relief() {
        use State::{Calm, Near, Over, Trim};
        let mut budget = Budget::new(Some(100 * MIB));
        for (outboxes, history, state, from_history, from_connections) in [
            (0, 0, Calm, 0, 0),
            (40, 40, Calm, 0, 0),
            (40, 45, Trim, 5, 0),
            (40, 38, Trim, 0, 0),
            (40, 35, Calm, 0, 0),
            (60, 30, Trim, 5, 0),
            (66, 25, Near, 0, 0),
            (61, 25, Near, 0, 0),
            (55, 30, Trim, 5, 0),
            (61, 30, Near, 5, 0),
            (50, 25, Calm, 0, 0),
            (80, 10, Calm, 0, 0),
            (86, 10, Over, 0, 6),
            (81, 10, Over, 0, 1),
            (80, 10, Near, 0, 0),
            (85, 10, Near, 0, 0),
            (10, 100, Over, 30, 0),
            (60, 50, Over, 25, 0),
            (90, 30, Over, 5, 25),
            (10, 25, Calm, 0, 0),
        ] {
            let engine = waiting(outboxes);
            let chat = chat::Held { history: history * MIB, ..Default::default() };
            let relief = budget.note(Held { engine, chat, ..Held::default() });
            let expected = Relief { history: from_history * MIB, connections: from_connections * MIB };
            assert_eq!((budget.state(), relief), (state, expected), "{outboxes} and {history} MiB");
        }
        // All purposes count, TLS among them.
        for (tls, state) in [(84, Calm), (91, Near), (96, Over)] {
            budget.note(Held { tls: tls * MIB, ..Held::default() });
            assert_eq!(budget.state(), state, "{tls} MiB for TLS");
        }
        // New things may take the rest below the mark, and nothing as long as new clients are refused.
        for (outboxes, left) in [(10, 80), (89, 1), (91, 0), (86, 0), (80, 10)] {
            let engine = waiting(outboxes);
            budget.note(Held { engine, ..Held::default() });
            let mib = budget.left_for_new().map(|bytes| bytes / MIB);
            assert_eq!(mib, Some(left), "{outboxes} MiB");
        }
        budget.change(None);
        assert_eq!(budget.left_for_new(), None);
        assert_eq!(budget.note(*budget.clone().held()), Relief::default());
    }
}
