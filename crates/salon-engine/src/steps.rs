//! How much work a turn may do, in steps.
//!
//! A step is the cost of an empty ping: some hundred nanoseconds. Each thing that a peer asks for costs steps, and so
//! does each call to the engine that the owner makes for it; when a peer has spent its share of the turn, the rest of
//! its read is set aside ([`SetAside`]) and the peer goes to the end of the backlog (`Engine::backlog`), which is
//! served last:
//!
//! ```text
//!   ready     those that the poller has reported: each may spend FRESH_STEPS
//!   backlog   those that have more than that to do, in order: each may spend PEER_STEPS, all together TURN_STEPS,
//!             of which the others have taken what they spent; one of them is served in any case
//! ```
//!
//! So a peer that asks for little is heard at the beginning of the next turn, however many others ask for much. It
//! measures no time: a step is an estimate.

use std::collections::{HashMap, HashSet};

use crate::Stream;
use crate::peer::{Peer, Phase};
use crate::receive_buffer::Behind;

/// The steps that are left in this turn.
#[derive(Debug, Default)]
pub struct Budget {
    /// By the peer that is being read.
    peer: u32,
    /// By those of the backlog together.
    turn: u32,
    /// How many of the backlog may still be served in this turn: those that were there when it began.
    backlog: usize,
    /// None of them has been served yet.
    none_served: bool,
    /// Peers that spent their share when they were last served. It lies beside the peers, so that those are small.
    costly: HashSet<u32>,
    /// What has been spent in this turn.
    spent: u64,
}

impl Budget {
    /// A turn begins, with so many peers in the backlog.
    pub fn begin_turn(&mut self, backlog: usize) {
        (self.peer, self.turn, self.backlog, self.none_served, self.spent) = (0, TURN_STEPS, backlog, true, 0);
    }

    /// Begins to serve a peer that the poller has just reported.
    pub fn begin_fresh(&mut self) {
        self.peer = FRESH_STEPS;
    }

    /// Whether a peer of the backlog may be served. The first always may, whatever the others have spent: so many peers
    /// may ask for little that no step is left, turn after turn.
    pub fn begin_backlog(&mut self) -> bool {
        if self.backlog == 0 || (self.turn == 0 && !self.none_served) {
            return false;
        }
        self.backlog -= 1;
        self.none_served = false;
        // Steps that the others have spent do not lessen the share of the first.
        self.peer = PEER_STEPS;
        true
    }

    /// Notes so many steps as spent.
    pub fn spend(&mut self, steps: usize) {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.peer = self.peer.saturating_sub(steps);
        self.turn = self.turn.saturating_sub(steps);
        self.spent += u64::from(steps);
    }

    /// Whether the peer that is being read has spent its share.
    pub fn is_spent(&self) -> bool {
        self.peer == 0
    }

    /// The peer is not read any more in this turn, or the turn goes on with another.
    pub fn end(&mut self, index: u32) {
        match self.is_spent() {
            true => {
                self.costly.insert(index);
            }
            false if self.costly.is_empty() => {}
            false => {
                self.costly.remove(&index);
            }
        }
    }

    /// The peer is no more: whoever has its slot next has spent nothing.
    pub fn forget(&mut self, index: u32) {
        self.costly.remove(&index);
    }

    /// Whether the peer spent its share when it was last served: it is served behind those that did not.
    pub fn is_costly(&self, index: u32) -> bool {
        !self.costly.is_empty() && self.costly.contains(&index)
    }

    /// How many peers are costly.
    pub fn costly(&self) -> usize {
        self.costly.len()
    }

    /// The steps spent since the turn began.
    #[cfg(test)]
    pub fn spent(&self) -> u64 {
        self.spent
    }
}

/// Bytes that were read from peers and are not parsed yet: a read at most of each. They lie beside the peers, so that
/// those are small.
///
/// Invariant: `bytes` is the sum of what is kept.
#[derive(Debug, Default)]
pub struct SetAside {
    of: HashMap<u32, Rest>,
    bytes: usize,
}

#[derive(Debug)]
struct Rest {
    bytes: Box<[u8]>,
    /// So many of them have been parsed.
    told: usize,
    /// What follows it in the stream.
    behind: Behind,
}

impl SetAside {
    /// Of how many peers there is something.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Keeps the rest of a read of the peer, and what follows it.
    pub fn keep(&mut self, index: u32, rest: &[u8], behind: Behind) {
        match self.of.get_mut(&index) {
            Some(before) => {
                before.told = before.bytes.len() - rest.len();
                before.behind = if before.behind == Behind::Maybe { behind.or_more() } else { behind };
                debug_assert_eq!(&before.bytes[before.told..], rest, "what is not told is not touched");
            }
            None => {
                self.bytes += rest.len();
                self.of.insert(index, Rest { bytes: rest.into(), told: 0, behind });
            }
        }
    }

    /// The bytes that are kept for a peer, and what follows them in its stream.
    pub fn of(&self, index: u32) -> Option<(&[u8], Behind)> {
        self.of.get(&index).map(|rest| (&rest.bytes[rest.told..], rest.behind))
    }

    /// Notes that the poller reports the peer as readable. Returns whether bytes of an earlier read are still kept for
    /// it.
    pub fn may_have_more(&mut self, index: u32) -> bool {
        self.of.get_mut(&index).is_some_and(|rest| {
            rest.behind = rest.behind.or_more();
            true
        })
    }

    /// Releases the bytes that are kept for the peer. Returns whether there were any.
    pub fn release(&mut self, index: u32) -> bool {
        let Some(rest) = self.of.remove(&index) else { return false };
        self.bytes -= rest.bytes.len();
        if self.of.is_empty() {
            self.of = HashMap::new();
        }
        true
    }

    /// Bytes kept for a peer.
    pub fn held_for(&self, index: u32) -> usize {
        self.of.get(&index).map_or(0, |rest| rest.bytes.len())
    }

    /// Bytes kept for all.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }
}

impl<S: Stream> Peer<S> {
    /// Whether bytes of it are still to be parsed.
    pub fn is_heard(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Kept | Phase::Body | Phase::Open)
    }

    /// Whether it does not take its answers, or is owed so many, that it is not asked for more work.
    pub fn is_sated(&self, owed_above: usize) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.len() > PAUSE_ABOVE) || self.is_owed_much(owed_above)
    }
}

/// The cost of so many bytes, beside that of the message or response they are in: they are looked at, and copied.
pub fn of_bytes(len: usize) -> usize {
    len / BYTES_A_STEP
}

/// Steps of a peer that the poller has just reported: enough for people and their programs, 8 requests or 25 messages.
pub const FRESH_STEPS: u32 = 128;

/// Steps of a peer of the backlog in one turn: 16 requests, 50 messages or 256 empty frames.
pub const PEER_STEPS: u32 = 256;

/// Steps of all peers of the backlog in one turn: about half a millisecond.
pub const TURN_STEPS: u32 = 2048;

/// The cost of a request that is answered with a few hundred bytes.
pub const REQUEST: usize = 16;

/// The cost of a message: the owner parses it and answers.
pub const MESSAGE: usize = 4;

/// The cost of a frame, beside that of the message it ends; a control frame costs no more.
pub const FRAME: usize = 1;

/// So many frames cost a step if they make no event: pieces of a message, and frames after our Close.
pub const FRAGMENTS_A_STEP: usize = 4;

/// The cost of a message to one peer.
pub const SEND: usize = 1;

/// The cost of a message to a topic, whatever its members.
pub const PUBLISH: usize = 2;

/// The cost of entering or leaving a topic.
pub const MEMBERSHIP: usize = 1;

/// Bytes that cost a step more.
pub const BYTES_A_STEP: usize = 512;

/// So many bytes of a read cost a step, beside the cost of what they contain.
pub const READ_BYTES_A_STEP: usize = 4 << 10;

/// So many bytes of a text cost a step more, because they are validated. The owner charges its own work, such as
/// parsing, with [`Engine::spend`](crate::Engine::spend).
pub const TEXT_BYTES_A_STEP: usize = 1 << 10;

/// The same where they are compressed.
pub const COMPRESSED_BYTES_A_STEP: usize = 16;

/// Bytes that are set aside for all peers together, before the others are read in [short reads](SHORT_READ).
pub const MUCH_SET_ASIDE: usize = 4 << 20;

/// Bytes of a read while much is set aside: about as many as one share of a turn can pay for.
pub const SHORT_READ: usize = 4 << 10;

/// The most connections whose end is reported in one turn. The owner says what an end costs; no peer waits for it.
pub const CLOSES_PER_TURN: usize = 8;

/// A peer for which more than this waits is not read until it has taken some, in bytes.
pub const PAUSE_ABOVE: usize = 256 << 10;

/// Likewise one that is [owed](super::Engine::owe) answers of more than this, in bytes, or any while more than this
/// waits for it; or than this part of [`Settings::outbox_bytes`](super::Settings::outbox_bytes), if that is less. So
/// there is room for the answer to one request more, as long as it may be.
pub const OWED_ABOVE: usize = 96 << 10;
pub const OWED_PART: usize = 8;
