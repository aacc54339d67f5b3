//! Watches: sessions that watch users by name; there need be no user of that name yet.
//!
//! A watched name is kept once, however many watch it. Each side knows its place on the other, as members and topics of
//! the engine do: a session that ends takes itself out of a list of a thousand watchers without looking through it.

use slab::Slab;

use super::name::UserName;
use super::tables::table_bytes;
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;

/// Invariant: `names` leads to every watched name, and each has a watcher; `places` of a session says where in the
/// watchers of a name the session stands, and says so for each list it stands in. `held` is what the lists in both
/// take.
#[derive(Debug)]
pub(super) struct Watches {
    names: Table<UserName, u32>,
    watched: Slab<Watched>,
    sessions: Table<ConnId, Places>,
    held: usize,
}

/// A name, and its watchers.
#[derive(Debug)]
struct Watched {
    name: UserName,
    watchers: Vec<ConnId>,
}

/// Which names a session watches, and its place among the watchers of each.
type Places = Table<u32, u32>;

impl Watches {
    /// Nobody watches.
    pub fn new(keyed: &Keyed) -> Self {
        Self { names: keyed.table(), watched: Slab::new(), sessions: keyed.table(), held: 0 }
    }

    /// How many names are watched.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// How many sessions watch.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether a session watches a name.
    pub fn is_watching(&self, conn: ConnId, name: &UserName) -> bool {
        let key = self.names.get(name);
        key.is_some_and(|key| self.sessions.get(&conn).is_some_and(|places| places.contains_key(key)))
    }

    /// How many names a session watches.
    pub fn count(&self, conn: ConnId) -> usize {
        self.sessions.get(&conn).map_or(0, Table::len)
    }

    /// The sessions that watch a name.
    pub fn watchers(&self, name: &UserName) -> &[ConnId] {
        self.names.get(name).map_or(&[], |&key| &self.watched[key as usize].watchers)
    }

    /// From now on the session watches the name.
    pub fn begin(&mut self, conn: ConnId, name: &UserName) {
        if self.is_watching(conn, name) {
            return;
        }
        let key = match self.names.get(name) {
            Some(&key) => key,
            None => {
                let key = self.watched.insert(Watched { name: name.clone(), watchers: Vec::new() }) as u32;
                self.names.insert(name.clone(), key);
                self.held += name_bytes(name);
                key
            }
        };
        let keyed = self.names.hasher();
        let (watchers, places) =
            (&mut self.watched[key as usize].watchers, self.sessions.entry(conn).or_insert_with(|| keyed.table()));
        let before = list_bytes(watchers) + places_bytes(places);
        places.insert(key, watchers.len() as u32);
        watchers.push(conn);
        self.held = self.held + list_bytes(watchers) + places_bytes(places) - before;
    }

    /// From now on no longer.
    pub fn end(&mut self, conn: ConnId, name: &UserName) {
        let Some(&key) = self.names.get(name) else { return };
        let Some(places) = self.sessions.get_mut(&conn) else { return };
        let before = places_bytes(places);
        let Some(place) = places.remove(&key) else { return };
        if places.len() < places.capacity() / 4 {
            places.shrink_to(2 * places.len());
        }
        self.held = self.held + places_bytes(places) - before;
        if places.is_empty() {
            self.held -= places_bytes(places);
            self.sessions.remove(&conn);
        }
        self.take_out(key, place);
        self.shrink_lists();
    }

    /// The session is gone.
    pub fn end_all(&mut self, conn: ConnId) {
        let Some(places) = self.sessions.remove(&conn) else { return };
        self.held -= places_bytes(&places);
        for (key, place) in places {
            self.take_out(key, place);
        }
        self.shrink_lists();
    }

    /// What is held: exact but for what the allocator adds.
    pub fn held_bytes(&self) -> usize {
        table_bytes::<(UserName, u32)>(self.names.capacity())
            + table_bytes::<(ConnId, Places)>(self.sessions.capacity())
            + self.watched.capacity() * size_of::<Watched>()
            + self.held
    }

    /// Takes the watcher at a place out of the list of a name; the last one moves there.
    fn take_out(&mut self, key: u32, place: u32) {
        let Watched { name, watchers } = &mut self.watched[key as usize];
        let before = list_bytes(watchers);
        watchers.swap_remove(place as usize);
        if let Some(moved) = watchers.get(place as usize) {
            let at = self.sessions.get_mut(moved).and_then(|places| places.get_mut(&key));
            *at.expect("a watcher knows its place") = place;
        }
        if watchers.len() < watchers.capacity() / 4 {
            watchers.shrink_to(2 * watchers.len());
        }
        self.held = self.held + list_bytes(watchers) - before;
        if watchers.is_empty() {
            self.held -= list_bytes(watchers) + name_bytes(name);
            let name = self.watched.remove(key as usize).name;
            self.names.remove(&name);
        }
    }

    /// A thousand watchers must not cost memory when they have gone.
    fn shrink_lists(&mut self) {
        slack::shrink(&mut self.names);
        slack::shrink(&mut self.sessions);
    }

    /// The same for the table that should shrink seldom.
    pub fn shrink(&mut self) {
        slack::shrink(&mut self.watched);
    }
}

#[cfg(test)]
impl Watches {
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.watched.is_empty() && self.sessions.is_empty() && self.held == 0
    }

    /// Both sides say the same.
    pub fn check(&self) {
        let mut links = 0;
        for (key, Watched { name, watchers }) in &self.watched {
            assert_eq!(self.names.get(name), Some(&(key as u32)));
            assert!(!watchers.is_empty(), "{name} is kept for nobody");
            for (place, conn) in watchers.iter().enumerate() {
                assert_eq!(self.sessions[conn][&(key as u32)], place as u32, "{conn} watches {name}");
            }
            links += watchers.len();
        }
        assert_eq!(self.names.len(), self.watched.len());
        assert_eq!(self.sessions.values().map(Table::len).sum::<usize>(), links);
        assert!(self.sessions.values().all(|places| !places.is_empty()));
        let lists: usize = self.watched.iter().map(|(_, one)| list_bytes(&one.watchers) + name_bytes(&one.name)).sum();
        assert_eq!(self.held, lists + self.sessions.values().map(places_bytes).sum::<usize>());
    }
}

fn list_bytes(watchers: &Vec<ConnId>) -> usize {
    watchers.capacity() * size_of::<ConnId>()
}

fn places_bytes(places: &Places) -> usize {
    table_bytes::<(u32, u32)>(places.capacity())
}

/// The text and its two counts.
fn name_bytes(name: &UserName) -> usize {
    name.as_str().len() + 2 * size_of::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    fn name(n: u32) -> UserName {
        UserName::parse(&format!("n{n}")).unwrap()
    }

    /// Whatever is begun and ended in whatever order, both sides say the same, and nothing is left.
    #[test]
    fn both_sides_agree() {
        for seed in 0..20 {
            let mut random = crate::random::Random::from(seed);
            let mut watches = Watches::new(&crate::random::Random::from(1).keyed());
            for _ in 0..500 {
                let (who, whom) = (conn(random.below(6) as u32), name(random.below(6) as u32));
                match random.below(8) {
                    0 => watches.end_all(who),
                    1 | 2 => watches.end(who, &whom),
                    _ => {
                        watches.begin(who, &whom);
                        assert!(watches.is_watching(who, &whom) && watches.watchers(&whom).contains(&who));
                    }
                }
                watches.check();
            }
            (0..6).for_each(|who| watches.end_all(conn(who)));
            assert!(watches.is_empty());
        }
    }

    /// A name is kept once, and what all of it takes is known: 300 that watch the same 1,000 names.
    #[test]
    fn a_crowd_that_watches_a_crowd() {
        let mut watches = Watches::new(&crate::random::Random::from(1).keyed());
        let names: Vec<UserName> = (0..1000).map(name).collect();
        for who in 0..300 {
            names.iter().for_each(|name| watches.begin(conn(who), name));
        }
        assert_eq!((watches.names.len(), watches.watched.len()), (1000, 1000));
        assert!(watches.held_bytes() > 300_000 * 16 && watches.held_bytes() < 300_000 * 48, "{}", watches.held_bytes());
        watches.check();
        (0..300).rev().for_each(|who| watches.end_all(conn(who)));
        watches.shrink();
        assert!(watches.is_empty());
        assert!(watches.held_bytes() < 32 << 10, "{}", watches.held_bytes());
    }
}
