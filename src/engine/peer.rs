//! One connection as the engine keeps it: stream, protocol state, timers, and its side of memberships.

use crate::proto::Connection;
use crate::proto::handshake::HeadScanner;
use crate::time::Tick;

use super::outbox::Outbox;
use super::topic::GroupId;

/// A slot of the slab.
#[derive(Debug)]
pub struct Peer<S> {
    pub stream: S,
    pub generation: u32,
    /// A word of the owner's, such as which listener it came from.
    pub tag: u8,
    pub phase: Phase,
    /// An upgraded connection whose end has not been told yet.
    pub opened: bool,
    /// The stream may have more to read; it is on the ready list.
    pub readable: bool,
    /// The peer ended its stream, or the end is known to be near: read on until it comes.
    pub read_to_end: bool,
    /// The end of its stream has been read.
    pub ended: bool,
    /// The stream may take more; the outbox is tried.
    pub writable: bool,
    /// It is listed for the next flush.
    pub dirty: bool,
    /// It has something to read, and will be read when it has taken some of what waits for it.
    pub paused: bool,
    /// A part of a message has arrived, at `since`.
    pub mid_message: bool,
    /// A ping was sent and nothing has come since.
    pub pinged: bool,
    /// The window that compressed messages to this peer may have is 2 to this power; 0: they are sent as they are.
    pub window_bits: u8,
    pub connection: Connection,
    pub head: Option<Box<PartialHead>>,
    /// When the peer was last heard of.
    pub last_received: Tick,
    /// When the present phase began; while open, when the incomplete message began.
    pub since: Tick,
    /// When the wheel will look at it.
    pub scheduled: Tick,
    /// Frames for this peer alone, of this turn.
    pub pending: Vec<u8>,
    /// Octets at the front of `pending` that are no frames, but responses.
    pub response_len: u32,
    pub outbox: Option<Box<Outbox>>,
    pub memberships: Vec<Membership>,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A request head is awaited.
    Head,
    /// A request has been passed on and is being answered.
    Answering,
    /// Frames go both ways, or the closing handshake is under way.
    Open,
    /// Nothing more is sent once what is queued has left: then our side is shut down. What comes is discarded.
    Ending,
    /// Our side is shut down; the end of the peer's stream is awaited.
    ShutDown,
    /// To be reaped.
    Gone,
}

/// A request head of which a part has arrived.
#[derive(Debug, Default)]
pub struct PartialHead {
    pub octets: Vec<u8>,
    pub scanner: HeadScanner,
}

/// One membership, seen from the peer.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub group: GroupId,
    /// Its index among the group's members.
    pub member: u32,
}
