//! Sessions: one for each connection that the chat knows.

use super::super::rate_limit::Payer;
use crate::id::ConnId;

/// The dialect of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// JSON objects.
    Json,
    /// Text in, four fields out, one room.
    Plain,
}

/// One device of a user.
///
/// There is one for each connection, most of them idle in one room; it is kept small.
#[derive(Debug)]
pub(in crate::chat) struct Session {
    /// Hard to meet twice; shown to the client.
    pub id: u64,
    /// Seconds since the Unix epoch.
    pub opened: u32,
    /// When it last sent a message.
    pub spoke: u32,
    pub user: u32,
    pub payer: Payer,
    /// The user's next device, a slot; [`NO_DEVICE`] after the last.
    pub next_device: u32,
    /// Frames received.
    pub frames: u32,
    pub dialect: Dialect,
    /// The chat asked for the connection to be closed and hears nothing of it any more.
    pub closing: bool,
    /// Bytes that the answers may have for which its requests wait; 0: none waits.
    pub owed: u32,
    /// Whether the engine knows of any.
    pub owed_told: bool,
    /// The engine is to hear how much it is, at the end of this turn.
    pub owed_noted: bool,
    /// An operator asked for it, so the user leaves now and not after a grace.
    pub expelled: bool,
    pub seats: Seats,
}

/// The place of a session in a room.
///
/// It is there while the session wants to be inside or is; the two differ while the backend has not answered.
#[derive(Clone, Copy, Debug)]
pub(in crate::chat) struct Seat {
    pub room: u32,
    /// The wish of the last request.
    pub wanted: bool,
    /// How many requests to be let in have no answer yet. The seat stays for each of them, whatever is asked for and
    /// answered meanwhile.
    pub entering: u16,
    /// So many of these, the first ones, are void: the session has been put out since.
    pub void: u16,
    /// The result of the last answer.
    pub inside: bool,
    /// The session is in the topic, and hears messages of the room. Not while it catches up.
    pub hears: bool,
}

/// The seats of a session. Most have one; only for more is there a list.
#[derive(Debug, Default)]
pub(in crate::chat) enum Seats {
    #[default]
    None,
    One(Seat),
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Seat>>),
}

impl Seats {
    pub fn iter(&self) -> std::slice::Iter<'_, Seat> {
        match self {
            Self::None => [].iter(),
            Self::One(seat) => std::slice::from_ref(seat).iter(),
            Self::Many(seats) => seats.iter(),
        }
    }

    pub fn first(&self) -> Option<&Seat> {
        self.iter().next()
    }

    fn iter_mut(&mut self) -> std::slice::IterMut<'_, Seat> {
        match self {
            Self::None => [].iter_mut(),
            Self::One(seat) => std::slice::from_mut(seat).iter_mut(),
            Self::Many(seats) => seats.iter_mut(),
        }
    }

    fn push(&mut self, seat: Seat) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(seat),
            Self::One(first) => Self::Many(Box::new(vec![first, seat])),
            Self::Many(mut seats) => {
                seats.push(seat);
                Self::Many(seats)
            }
        };
    }

    fn retain(&mut self, keep: impl Fn(&Seat) -> bool) {
        *self = match std::mem::take(self) {
            Self::None => Self::None,
            Self::One(seat) if keep(&seat) => Self::One(seat),
            Self::One(_) => Self::None,
            Self::Many(mut seats) => {
                seats.retain(keep);
                match seats[..] {
                    [] => Self::None,
                    [seat] => Self::One(seat),
                    _ => Self::Many(seats),
                }
            }
        };
    }
}

impl Session {
    pub fn seat(&mut self, room: u32) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.room == room)
    }

    pub fn is_inside(&self, room: u32) -> bool {
        self.seats.iter().any(|seat| seat.room == room && seat.inside)
    }

    /// Whether the session hears messages of the room.
    pub fn hears(&self, room: u32) -> bool {
        self.seats.iter().any(|seat| seat.room == room && seat.hears)
    }

    pub fn wants(&self, room: u32) -> bool {
        self.seats.iter().any(|seat| seat.room == room && seat.wanted)
    }

    /// Whether it is in a room or waits to be let in, and was not put out since: also if it has asked to leave.
    pub fn may_read(&self, room: u32) -> bool {
        self.seats.iter().any(|seat| seat.room == room && (seat.inside || seat.entering > seat.void))
    }

    /// Takes a seat, or keeps it, and waits to be let in.
    pub fn sit(&mut self, room: u32) {
        match self.seat(room) {
            Some(seat) => (seat.wanted, seat.entering) = (true, seat.entering + 1),
            None => self.seats.push(Seat { room, wanted: true, entering: 1, void: 0, inside: false, hears: false }),
        }
    }

    /// Frees a seat that is neither wanted nor taken, nor waits for an answer.
    pub fn clear(&mut self, room: u32) {
        self.seats.retain(|seat| seat.room != room || seat.wanted || seat.inside || seat.entering > 0);
    }
}

/// All sessions, by slot of the connection.
#[derive(Debug, Default)]
pub(in crate::chat) struct Sessions {
    slots: Vec<Slot>,
    len: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    session: Option<Session>,
}

impl Sessions {
    /// A slot is taken only after `handle_closed` of its previous session.
    pub fn insert(&mut self, conn: ConnId, session: Session) {
        let index = conn.index as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.slots[index];
        debug_assert!(slot.session.is_none(), "the connection in slot {index} was never closed");
        self.len += usize::from(slot.session.is_none());
        *slot = Slot { generation: conn.generation, session: Some(session) };
    }

    pub fn remove(&mut self, conn: ConnId) -> Option<Session> {
        let slot = self.slots.get_mut(conn.index as usize)?;
        if slot.generation != conn.generation {
            return None;
        }
        let session = slot.session.take()?;
        self.len -= 1;
        while self.slots.pop_if(|slot| slot.session.is_none()).is_some() {}
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(2 * self.slots.len());
        }
        Some(session)
    }

    pub fn find(&self, conn: ConnId) -> Option<&Session> {
        let slot = self.slots.get(conn.index as usize)?;
        slot.session.as_ref().filter(|_| slot.generation == conn.generation)
    }

    pub fn find_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        let slot = self.slots.get_mut(conn.index as usize)?;
        slot.session.as_mut().filter(|_| slot.generation == conn.generation)
    }

    pub fn at(&self, index: u32) -> Option<(ConnId, &Session)> {
        let slot = self.slots.get(index as usize)?;
        Some((ConnId { index, generation: slot.generation }, slot.session.as_ref()?))
    }

    pub fn at_mut(&mut self, index: u32) -> Option<&mut Session> {
        self.slots.get_mut(index as usize)?.session.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &Session)> {
        (0..self.slots.len() as u32).filter_map(|index| self.at(index))
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Slots, of which some may be empty.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn held_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

/// The user of a session that was refused at the door, or has shown no token yet.
pub(in crate::chat) const NOBODY: u32 = u32::MAX;

/// The end of a user's devices.
pub(in crate::chat) const NO_DEVICE: u32 = u32::MAX;
