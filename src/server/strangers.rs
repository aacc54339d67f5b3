//! Connections of the admin port that have shown no key yet: few of one address, and the oldest makes room.
//!
//! Everybody who reaches the port can open connections, and only [`super::reactor::ADMIN_RESERVE`] have a place. So one
//! that has not shown who it is keeps its place only while nobody else needs it: no number of them keeps the operator
//! or a probe out. It knows no engine: the reactor says who has come, who has shown a key, and who is gone.
//!
//! Where no key is asked for, one that was let in has shown none either: it may have as many places of its address as
//! there are, and keeps them while the port is not full. Else a few that begin a body and stop would keep out a probe.

use std::net::IpAddr;
use std::num::NonZeroU64;

use crate::id::ConnId;

use super::admission::fold;

/// Connections that have shown no key, in the order in which they came.
#[derive(Debug, Default)]
pub struct Strangers(Vec<Stranger>);

#[derive(Debug)]
struct Stranger {
    id: ConnId,
    /// Its address; `None`: by a Unix socket, all of which count as one.
    from: Option<NonZeroU64>,
    /// It was let in without a key.
    let_in: bool,
}

/// What a connection of the admin port has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A request that was let in, where no key is asked for.
    Request,
    /// A key; or it is gone.
    Key,
}

impl Strangers {
    /// Forgets those who are strangers no more, or gone.
    pub fn keep(&mut self, mut shown: impl FnMut(ConnId) -> Shown) {
        self.0.retain_mut(|stranger| {
            let shown = shown(stranger.id);
            stranger.let_in = shown == Shown::Request;
            shown != Shown::Key
        });
    }

    /// One more has come, which may have taken the last place. Returns the one that makes room for it: the oldest of
    /// its own address if that has too many, else, where the place was the last, the oldest of the address that has the
    /// most.
    pub fn come(&mut self, id: ConnId, from: Option<IpAddr>, took_the_last: bool) -> Option<ConnId> {
        let from = from.map(fold);
        let of = |from| self.0.iter().filter(|stranger| stranger.from == from).count();
        let shows_nothing = |stranger: &Stranger| stranger.from == from && !stranger.let_in;
        let at = if self.0.iter().filter(|stranger| shows_nothing(stranger)).count() >= STRANGERS_OF_ADDRESS {
            self.0.iter().position(shows_nothing)
        } else if took_the_last {
            let most = self.0.iter().map(|stranger| stranger.from).rev().max_by_key(|&from| of(from));
            most.and_then(|from| self.0.iter().position(|stranger| stranger.from == from))
        } else {
            None
        };
        let left = at.map(|at| self.0.remove(at).id);
        self.0.push(Stranger { id, from, let_in: false });
        left
    }
}

/// Connections of one address that have shown no key, at most; loopback is an address too.
pub const STRANGERS_OF_ADDRESS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    #[test]
    fn the_oldest_of_an_address_makes_room() {
        let mut strangers = Strangers::default();
        let (here, there) = (Some(IpAddr::from([127, 0, 0, 1])), Some(IpAddr::from([192, 0, 2, 1])));
        for index in 0..STRANGERS_OF_ADDRESS as u32 {
            assert_eq!(strangers.come(id(index), here, false), None);
        }
        assert_eq!(strangers.come(id(50), there, false), None);
        assert_eq!(strangers.come(id(51), None, false), None);
        assert_eq!(strangers.come(id(52), here, false), Some(id(0)));
        // Three of them have shown a key.
        strangers.keep(|stranger| match [1, 3, 52].contains(&stranger.index) {
            true => Shown::Key,
            false => Shown::Nothing,
        });
        for index in 60..63 {
            assert_eq!(strangers.come(id(index), here, false), None);
        }
        assert_eq!(strangers.come(id(63), here, false), Some(id(2)));
        assert_eq!(strangers.come(id(64), here, false), Some(id(4)));
    }

    #[test]
    fn those_who_were_let_in_without_a_key_make_room_in_a_full_port_alone() {
        let mut strangers = Strangers::default();
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        for index in 0..2 * STRANGERS_OF_ADDRESS as u32 {
            assert_eq!(strangers.come(id(index), here, false), None);
            strangers.keep(|_| Shown::Request);
        }
        assert_eq!(strangers.come(id(90), here, true), Some(id(0)));
        assert_eq!(strangers.come(id(91), here, false), None);
    }

    #[test]
    fn where_all_places_are_taken_the_address_with_most_makes_room() {
        let mut strangers = Strangers::default();
        let address = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        assert_eq!(strangers.come(id(0), address(1), true), None, "operators have the others");
        assert_eq!(strangers.come(id(1), address(2), false), None);
        assert_eq!(strangers.come(id(2), address(2), false), None);
        assert_eq!(strangers.come(id(3), address(3), true), Some(id(1)));
        // Each has one: the oldest.
        assert_eq!(strangers.come(id(4), address(4), true), Some(id(0)));
        assert_eq!(strangers.come(id(5), address(4), true), Some(id(2)));
        assert_eq!(strangers.come(id(6), address(5), true), Some(id(4)), "two of that address");
    }
}
