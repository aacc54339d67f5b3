//! The memory that the engine holds, by purpose, and how it shrinks.
//!
//! Everything is counted where it changes, so that asking costs the same however many connections there are. Capacities
//! are counted, not lengths; the allocator's own overhead is not. It decides nothing: the owner, which has the budget,
//! says when to [shrink](Engine::shrink) and when to [cut off](Engine::cut_largest).

use crate::proto::CloseCode;

use crate::peer::{Peer, Phase};
use crate::{Cut, Engine, LeftBehind, Stream};

/// Bytes held, by what for. There may be more of it in a later version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// Slots of connections, their timers and their memberships.
    pub connections: usize,
    /// Unfinished requests and messages, and the windows that compressed messages may refer to.
    pub receiving: usize,
    /// Output for sockets that are full. Bytes that several wait for are counted once.
    pub outboxes: usize,
    /// Members and logs of topics.
    pub topics: usize,
    /// Compressors and the inflater, as large as they can be.
    pub compression: usize,
    /// The receive buffer, and buffers and lists that are kept to be used again.
    pub buffers: usize,
}

impl<S: Stream> Engine<S> {
    /// The memory that is held now. Between turns it is exact, except [`Held::compression`]; amid a turn, the output
    /// that the turn has queued is missing.
    pub fn held(&self) -> Held {
        let indices = self.ready.capacity()
            + self.ready_next.capacity()
            + self.backlog.capacity()
            + self.fired.capacity()
            + self.dirty_topics.capacity()
            + self.left_topics.capacity()
            + self.dirty_peers.capacity()
            + self.asked.capacity()
            + self.gone.capacity();
        let indices = indices * size_of::<u32>() + self.left_behind.capacity() * size_of::<LeftBehind>();
        let slots = self.peers.capacity() * size_of::<Peer<S>>() + self.noted.capacity() * size_of::<u32>();
        Held {
            connections: slots + self.wheel.held_bytes() + self.membership_bytes,
            receiving: self.receiving,
            outboxes: self.ledger.total(),
            topics: self.topics.held_bytes() + self.topic_bytes,
            compression: self.inflater.held_bytes()
                + self.deflater.as_ref().map_or(0, |deflater| deflater.held_bytes()),
            buffers: self.receive.len() + self.spares.held_bytes() + self.interests.held_bytes() + indices,
        }
    }

    /// Gives capacity back that is only kept to be used again: spare buffers, and the empty logs of some topics at each
    /// call.
    pub fn shrink(&mut self) {
        self.spares.clear();
        for _ in 0..TOPICS_AT_ONCE.min(self.topics.len()) {
            self.shrink_next = if self.shrink_next >= self.topics.len() { 0 } else { self.shrink_next };
            if self.topics.get(self.shrink_next).is_some() {
                self.topics[self.shrink_next].release_unused();
                self.note_topic(self.shrink_next);
            }
            self.shrink_next += 1;
        }
    }

    /// Cuts off with 1013 the connections for which most is held (waiting output, and unfinished messages), until so
    /// many bytes are freed: [`CUTS_AT_ONCE`] at most, of those in the next [`LOOKS_AT_ONCE`] slots. Returns how many.
    pub fn cut_largest(&mut self, excess: usize) -> usize {
        let end = self.peers.capacity();
        self.look_next = if self.look_next >= end { 0 } else { self.look_next };
        let looked_at = self.look_next..end.min(self.look_next + LOOKS_AT_ONCE);
        self.look_next = looked_at.end;
        let mut largest: Vec<(usize, u32)> = looked_at
            .filter_map(|index| {
                let peer = self.peers.get(index)?;
                let held = self.noted[index] as usize + peer.outbox.as_ref().map_or(0, |outbox| outbox.len());
                (!peer.is_ending() && held >= WORTH_CUTTING).then_some((held, index as u32))
            })
            .collect();
        if largest.len() > CUTS_AT_ONCE {
            largest.select_nth_unstable_by_key(CUTS_AT_ONCE, |&(held, _)| std::cmp::Reverse(held));
            largest.truncate(CUTS_AT_ONCE);
        }
        largest.sort_unstable_by_key(|&(held, _)| std::cmp::Reverse(held));
        let before = self.receiving + self.ledger.total();
        let mut cut = 0;
        for (_, index) in largest {
            if before.saturating_sub(self.receiving + self.ledger.total()) >= excess {
                break;
            }
            self.note_cut(index, Cut::Memory);
            cut += 1;
            let peer = &self.peers[index as usize];
            match peer.phase {
                Phase::Open if peer.outbox.is_some() => self.cut_off(index),
                Phase::Open => self.fail(index, CloseCode::TRY_AGAIN_LATER, "the server is short of memory"),
                _ => self.abort_peer(index),
            }
        }
        cut
    }

    /// Brings the sum up to date with a peer's unfinished request or message.
    pub(super) fn note_held(&mut self, index: u32) {
        let held = self.peers[index as usize].received_bytes() + self.set_aside.held_for(index);
        let before = std::mem::replace(&mut self.noted[index as usize], held as u32);
        self.receiving = self.receiving - before as usize + held;
    }

    /// Brings the sum up to date with a topic.
    pub(super) fn note_topic(&mut self, place: usize) {
        let topic = &mut self.topics[place];
        let held = topic.held_bytes();
        self.topic_bytes = self.topic_bytes - topic.noted + held;
        topic.noted = held;
    }
}

/// Topics whose logs are freed in one call.
const TOPICS_AT_ONCE: usize = 4096;

/// Slots looked at in one call of [`Engine::cut_largest`].
pub const LOOKS_AT_ONCE: usize = 16_384;

/// Connections cut off in one call of [`Engine::cut_largest`].
pub const CUTS_AT_ONCE: usize = 16;

/// A connection for which less is held is not cut off, in bytes.
const WORTH_CUTTING: usize = 1 << 10;
