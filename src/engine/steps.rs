//! What the work of a turn may cost, in steps.
//!
//! A step is what an empty ping costs: some hundred nanoseconds. Whatever a peer asks for is weighed in steps, and so
//! is what the owner does to the engine for it; when a peer has spent its share of the turn, the rest of its read is
//! set aside ([`SetAside`]) and it goes to the back of those that are served last (`Engine::backlog`):
//!
//! ```text
//!   ready     those of whom the poller has told: each may spend FRESH_STEPS
//!   backlog   those that have more than that to do, in order: each may spend PEER_STEPS, all together TURN_STEPS,
//!             of which the others have taken what they spent; one of them is served in any case
//! ```
//!
//! So whoever asks for little is heard at the beginning of the next turn, however many others ask for much.

use std::collections::{HashMap, HashSet};

use super::Stream;
use super::input::PAUSE_ABOVE;
use super::peer::{Peer, Phase};
use super::receive_buffer::Behind;

/// What may still be spent.
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
    /// Peers that spent their share when they were last served. Beside the peers, which are to be small.
    costly: HashSet<u32>,
    /// What has been spent in this turn.
    spent: u64,
}

impl Budget {
    /// A turn begins, with so many peers in the backlog.
    pub fn begin_turn(&mut self, backlog: usize) {
        (self.peer, self.turn, self.backlog, self.none_served, self.spent) = (0, TURN_STEPS, backlog, true, 0);
    }

    /// A peer is served of which the poller has just told.
    pub fn begin_fresh(&mut self) {
        self.peer = FRESH_STEPS;
    }

    /// Whether one of the backlog may be served. The first always is, whatever the others have spent: those that ask
    /// for little may be so many that nothing is left, turn for turn.
    pub fn begin_backlog(&mut self) -> bool {
        if self.backlog == 0 || (self.turn == 0 && !self.none_served) {
            return false;
        }
        self.backlog -= 1;
        self.none_served = false;
        // What the others have spent is not taken from a first one's share.
        self.peer = PEER_STEPS;
        true
    }

    /// So many have been spent.
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

    /// Whether the peer spent its share when it was last served: it is served behind those that did not.
    pub fn is_costly(&self, index: u32) -> bool {
        !self.costly.is_empty() && self.costly.contains(&index)
    }

    /// What has been spent since the turn began.
    #[cfg(test)]
    pub fn spent(&self) -> u64 {
        self.spent
    }
}

/// What peers were read and have not been told yet: a read at most of each. It is kept beside the peers, which are to
/// be small.
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
    /// So many of them have been told.
    told: usize,
    /// What is behind it in the stream.
    behind: Behind,
}

impl SetAside {
    /// Keeps what is left of what the peer was read, and what is behind it.
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

    /// What is kept for a peer, and what is behind it in its stream.
    pub fn of(&self, index: u32) -> Option<(&[u8], Behind)> {
        self.of.get(&index).map(|rest| (&rest.bytes[rest.told..], rest.behind))
    }

    /// The poller says that the peer can be read. Tells whether it waits to be told what it was read before.
    pub fn may_have_more(&mut self, index: u32) -> bool {
        self.of.get_mut(&index).is_some_and(|rest| {
            rest.behind = rest.behind.or_more();
            true
        })
    }

    /// Nothing is kept for the peer any more. Tells whether something was.
    pub fn let_go(&mut self, index: u32) -> bool {
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
    /// Whether what it was read is still to be told.
    pub fn is_heard(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Kept | Phase::Body | Phase::Open)
    }

    /// Whether it does not take its answers, and so is not asked for more work.
    pub fn is_sated(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.len() > PAUSE_ABOVE)
    }
}

/// What so many bytes cost beside the message or response they are in: they are looked at, and copied.
pub fn of_bytes(len: usize) -> usize {
    len / BYTES_A_STEP
}

/// Steps of a peer of which the poller has just told. It is what people and their programs need: 8 requests, 25
/// messages.
pub const FRESH_STEPS: u32 = 128;

/// Steps of a peer of the backlog in one turn: 16 requests, 50 messages or 256 empty frames.
pub const PEER_STEPS: u32 = 256;

/// Steps of all peers of the backlog in one turn: about half a millisecond.
pub const TURN_STEPS: u32 = 2048;

/// What a request costs, that is answered with a few hundred bytes.
pub const REQUEST: usize = 16;

/// What a message costs: the owner parses it and answers.
pub const MESSAGE: usize = 4;

/// What a frame costs beside the message it ends; a control frame costs no more.
pub const FRAME: usize = 1;

/// Frames that cost a step where no event comes of them: pieces of a message, and what is not heard any more.
pub const FRAGMENTS_A_STEP: usize = 4;

/// What a message to one peer costs.
pub const SEND: usize = 1;

/// What a message to a topic costs, whatever its members.
pub const PUBLISH: usize = 2;

/// What entering or leaving a topic costs.
pub const MEMBERSHIP: usize = 1;

/// Bytes that cost a step more.
pub const BYTES_A_STEP: usize = 512;

/// Bytes of a read that cost a step beside what they are found to be.
pub const READ_BYTES_A_STEP: usize = 4 << 10;

/// Bytes of a text that cost a step more, because it is validated. What the owner makes of it, such as parsing it, the
/// owner says with [`Engine::spend`](super::Engine::spend).
pub const TEXT_BYTES_A_STEP: usize = 1 << 10;

/// The same where they are compressed.
pub const COMPRESSED_BYTES_A_STEP: usize = 16;

/// Bytes that are set aside for all peers together, before the others are read in [short reads](SHORT_READ).
pub const MUCH_SET_ASIDE: usize = 4 << 20;

/// Bytes of a read while much is set aside: what one share of a turn is enough for.
pub const SHORT_READ: usize = 4 << 10;

/// The most connections whose end is told in one turn. What an end costs is the owner's to say; nobody waits for it.
pub const CLOSES_PER_TURN: usize = 8;
