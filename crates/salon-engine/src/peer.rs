//! One connection as the engine keeps it: stream, protocol state, timers, and its side of memberships.

use std::ops::{Deref, DerefMut};

use crate::proto::chunked::Chunks;
use crate::proto::handshake::HeadScanner;
use crate::proto::receiver::Receiver;
use crate::time::Tick;

use crate::outbox::Outbox;
use crate::topic::GroupId;
use crate::{Cut, End};

/// A slot of the slab.
#[derive(Debug)]
pub struct Peer<S> {
    pub stream: S,
    pub generation: u32,
    /// A number of the owner's, such as which listener the connection came from.
    pub tag: u8,
    pub phase: Phase,
    /// Whether the floors above know it as an upgraded connection.
    pub session: Session,
    /// The stream may have more to read; it is on the ready list.
    pub readable: bool,
    /// The peer ended its stream, or the poller has reported the end: read on until it comes.
    pub read_to_end: bool,
    /// The end of its stream has been read.
    pub ended: bool,
    /// It is listed for the next flush.
    pub dirty: bool,
    /// It has something to read, and will be read when it has taken some of what waits for it, is answered, or is
    /// owed less.
    pub paused: bool,
    /// A part of a message has arrived, at `since`.
    pub mid_message: bool,
    /// A ping was sent and nothing has come since.
    pub pinged: bool,
    /// Whether the owner wants an event when nothing waits for it any more.
    pub drain: Drain,
    /// The limit by which it is ended.
    pub cut: Option<Cut>,
    /// The window that compressed messages to this peer may have is 2 to this power; 0: messages are sent uncompressed.
    pub window_bits: u8,
    pub connection: Receiver,
    pub partial: Option<Box<PartialRequest>>,
    /// When the last byte of the peer came.
    pub last_received: Tick,
    /// When the present phase began; while open, when the incomplete message began.
    pub since: Tick,
    /// When the wheel will look at it.
    pub scheduled: Tick,
    /// The output of this turn for this peer alone. It exists only from the first byte to the flush.
    pub pending: Option<Box<Pending>>,
    pub outbox: Option<Box<Outbox>>,
    /// Bytes read from its stream, and written to it.
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub memberships: Memberships,
}

impl<S> Peer<S> {
    /// Whether it is an upgraded connection that has not ended.
    pub fn is_opened(&self) -> bool {
        matches!(self.session, Session::Open | Session::Owed | Session::OwedMuch)
    }

    /// Whether the owner has answers for it that come later.
    pub fn is_owed(&self) -> bool {
        matches!(self.session, Session::Owed | Session::OwedMuch)
    }

    /// Whether it is owed much, or anything while more than `owed_above` waits for it: it is not read until some has
    /// come and been taken.
    pub fn is_owed_much(&self, owed_above: usize) -> bool {
        let is_owed_much = match self.session {
            Session::OwedMuch => true,
            Session::Owed => self.outbox.as_ref().is_some_and(|outbox| outbox.len() > owed_above),
            _ => false,
        };
        is_owed_much && self.phase == Phase::Open
    }

    /// Whether what waits for it is bounded by time alone: an answer, or what is left when the connection ends.
    pub fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Head | Phase::Kept | Phase::Body | Phase::Open | Phase::Parting)
    }

    /// What there is to say of it when it ends.
    pub fn end(&self) -> End {
        End { cut: self.cut, bytes_in: self.bytes_in, bytes_out: self.bytes_out }
    }

    /// Bytes held of a request or message that is not complete, and of compressed ones that the next may refer to.
    pub fn received_bytes(&self) -> usize {
        let request = self.partial.as_ref().map_or(0, |part| size_of::<PartialRequest>() + part.bytes.capacity());
        request + self.connection.held_bytes()
    }
}

/// What the floors above know of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// At most its requests.
    None,
    /// That it is upgraded, and open.
    Open,
    /// The same, and they have answers for it that come later.
    Owed,
    /// The same, and these may be so long that it is not read until some have come.
    OwedMuch,
    /// That it is upgraded; but it has ended. The end is to be reported, and the slot is not freed before.
    OverUntold,
}

/// Bytes for one peer.
#[derive(Debug, Default)]
pub struct Pending {
    pub bytes: Vec<u8>,
    /// Bytes at the front that are no frames, but responses.
    pub response_len: u32,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A request head is awaited.
    Head,
    /// It has been answered, and nothing of another request has come.
    Kept,
    /// A request head has been passed on, and the owner wants the body that follows it.
    Body,
    /// A request has been passed on and is being answered.
    Answering,
    /// Frames go both ways, or the closing handshake is under way.
    Open,
    /// The peer has sent Close or ended its stream, and is owed answers: they come first. Input is discarded.
    Parting,
    /// Nothing more will be queued: when all output has left, our side is shut down. Input is discarded.
    Ending,
    /// Our side is shut down; the end of the peer's stream is awaited.
    ShutDown,
    /// To be reaped.
    Gone,
}

/// How far the owner's request for [`Event::Drained`](crate::Event::Drained) of a peer is.
///
/// Invariant: a peer is in `Engine::drained` at most once, and is there while this is `Listed` or `ListedAndAsked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// The owner has not asked.
    Unasked,
    /// The peer is to be listed when it has taken everything queued.
    Asked,
    /// The peer has taken everything, and is listed for its event.
    Listed,
    /// The peer is listed, but the owner has asked again, for output that was queued since.
    ListedAndAsked,
}

impl Drain {
    /// The owner asks.
    pub fn ask(&mut self) {
        *self = match self {
            Self::Unasked | Self::Asked => Self::Asked,
            Self::Listed | Self::ListedAndAsked => Self::ListedAndAsked,
        };
    }

    /// The peer has taken everything. Returns whether it must be put on the list for that.
    pub fn taken(&mut self) -> bool {
        let before = *self;
        *self = if before == Self::Unasked { Self::Unasked } else { Self::Listed };
        before == Self::Asked
    }

    /// The peer was taken off the list. Returns whether its event is due: not if the owner waits for more.
    pub fn unlisted(&mut self) -> bool {
        let told = *self == Self::Listed;
        *self = if told { Self::Unasked } else { Self::Asked };
        told
    }
}

/// A request of which a part has arrived: of its head, or behind that of its body.
#[derive(Debug, Default)]
pub struct PartialRequest {
    pub bytes: Vec<u8>,
    /// Of a head.
    pub scanner: HeadScanner,
    /// How long the body will be, or may be if it comes in chunks; and the owner's note.
    pub body_len: u32,
    pub chunks: Option<Chunks>,
    pub note: u32,
}

/// The memberships of a peer. Most have one or two; only for more is there a list.
#[derive(Debug)]
pub enum Memberships {
    Few {
        len: u8,
        places: [Membership; 2],
    },
    #[allow(clippy::box_collection, reason = "a bare list would make each peer eight bytes larger")]
    Many(Box<Vec<Membership>>),
}

/// One membership, seen from the peer.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub group: GroupId,
    /// Its index among the group's members.
    pub member: u32,
}

impl Memberships {
    pub const NONE: Self = Self::Few { len: 0, places: [Membership::NONE; 2] };

    pub fn push(&mut self, membership: Membership) {
        match self {
            Self::Few { len, places } => match places.get_mut(usize::from(*len)) {
                Some(place) => {
                    *place = membership;
                    *len += 1;
                }
                None => *self = Self::Many(Box::new(places.iter().copied().chain([membership]).collect())),
            },
            Self::Many(list) => list.push(membership),
        }
    }

    /// Bytes of the list, if there is one.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            Self::Many(list) => size_of_val(&**list) + list.capacity() * size_of::<Membership>(),
        }
    }

    /// Takes one out; the last moves into its place.
    pub fn swap_remove(&mut self, place: usize) -> Membership {
        match self {
            Self::Few { len, places } => {
                let last = usize::from(*len) - 1;
                places[..=last].swap(place, last);
                *len -= 1;
                places[last]
            }
            Self::Many(list) => {
                let removed = list.swap_remove(place);
                if let [first, second] = list[..] {
                    *self = Self::Few { len: 2, places: [first, second] };
                }
                removed
            }
        }
    }
}

impl Deref for Memberships {
    type Target = [Membership];

    fn deref(&self) -> &[Membership] {
        match self {
            Self::Few { len, places } => &places[..usize::from(*len)],
            Self::Many(list) => list,
        }
    }
}

impl DerefMut for Memberships {
    fn deref_mut(&mut self) -> &mut [Membership] {
        match self {
            Self::Few { len, places } => &mut places[..usize::from(*len)],
            Self::Many(list) => list,
        }
    }
}

impl Membership {
    const NONE: Self = Self { group: GroupId(0), member: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_peer_is_small() {
        assert!(size_of::<Peer<[u32; 6]>>() <= 168, "{}", size_of::<Peer<[u32; 6]>>());
    }

    #[test]
    fn memberships_are_as_a_list_of_them_is() {
        let membership = |member| Membership { group: GroupId(0), member };
        let members = |memberships: &[Membership]| memberships.iter().map(|m| m.member).collect::<Vec<_>>();
        // Each row: how many go in, and which places then come out, one after the other.
        for (count, out) in [(1, &[0][..]), (2, &[0, 0]), (2, &[1, 0]), (3, &[0, 1, 0]), (5, &[4, 1, 0, 1, 0])] {
            let (mut ours, mut list) = (Memberships::NONE, Vec::new());
            for member in 0..count {
                ours.push(membership(member));
                list.push(membership(member));
                assert_eq!(members(&ours), members(&list));
            }
            for &place in out {
                assert_eq!(ours.swap_remove(place).member, list.swap_remove(place).member);
                assert_eq!(members(&ours), members(&list));
            }
            assert!(ours.is_empty());
        }
    }
}
