//! What an engine without connections has, which is nothing: for those who look for what is forgotten.

use crate::Engine;
use crate::peer::Phase;

impl<S> Engine<S> {
    /// What is kept for connections, beside them: with none, each is 0. Nobody is promised anything of it.
    #[doc(hidden)]
    pub fn left(&self) -> [(&'static str, usize); 13] {
        [
            ("bytes of output", self.ledger.total()),
            ("bytes of messages that come", self.receiving),
            ("reads of which a part was set aside", self.set_aside.len()),
            ("bytes of topics", self.topic_bytes),
            ("bytes of memberships", self.membership_bytes),
            ("bytes that are noted of slots", self.noted.iter().map(|bytes| *bytes as usize).sum()),
            ("deadlines", self.wheel.scheduled()),
            ("topics", self.topics.filled()),
            ("answers to Close", self.partings.len()),
            ("costly peers", self.budget.costly()),
            ("peers that were asked", self.asked.len()),
            ("peers that are to be flushed", self.dirty_peers.len()),
            ("peers that are to be read", self.ready.len() + self.ready_next.len() + self.backlog.len()),
        ]
    }

    /// How many upgraded connections have been sent no Close, and have not ended otherwise. Nobody is promised anything
    /// of it.
    #[doc(hidden)]
    pub fn not_parted(&self) -> usize {
        self.peers.iter().filter(|(_, peer)| peer.phase == Phase::Open && peer.connection.is_open()).count()
    }
}
