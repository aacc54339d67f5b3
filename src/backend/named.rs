//! A table by names, which knows how many bytes these have: the name of a pair is up to 260 of them, and the table may
//! have any number of such.

use std::collections::HashMap;

#[cfg(feature = "redis")]
use crate::slack;

/// Invariant: `bytes` is the sum of the lengths of all names.
#[derive(Debug)]
pub(super) struct Named<V> {
    of: HashMap<Box<str>, V>,
    bytes: usize,
    /// The most names there were since it shrank. The room that the table says it has depends on a secret as well, and
    /// a simulated run is the same each time.
    most: usize,
}

impl<V> Default for Named<V> {
    fn default() -> Self {
        Self { of: HashMap::new(), bytes: 0, most: 0 }
    }
}

impl<V> Named<V> {
    pub fn get(&self, name: &str) -> Option<&V> {
        self.of.get(name)
    }

    pub fn insert(&mut self, name: &str, value: V) {
        if self.of.insert(name.into(), value).is_none() {
            self.bytes += name.len();
            self.most = self.most.max(self.of.len());
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<V> {
        let value = self.of.remove(name)?;
        self.bytes -= name.len();
        Some(value)
    }

    /// In no order.
    #[cfg(feature = "sqlite")]
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.of.values()
    }

    pub fn clear(&mut self) {
        self.of.clear();
        self.bytes = 0;
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }

    #[cfg(feature = "redis")]
    pub fn shrink(&mut self) {
        if self.most > slack::MIN_KEPT && self.of.len() < self.most / 8 {
            self.most = 2 * self.of.len();
            self.of.shrink_to(self.most);
        }
    }

    /// Of all names together.
    #[cfg(any(test, feature = "redis"))]
    pub fn name_bytes(&self) -> usize {
        self.bytes
    }

    /// With the room for more: a byte of control for each place, of which an eighth is free.
    pub fn held_bytes(&self) -> usize {
        let places = if self.most == 0 { 0 } else { (self.most * 8 / 7).next_power_of_two() };
        places * (size_of::<(Box<str>, V)>() + 1) + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_bytes_of_its_names() {
        let mut table = Named::default();
        for (name, value, bytes) in [("den", 1, 3), ("bar", 2, 6), ("den", 3, 6), ("", 4, 6)] {
            table.insert(name, value);
            assert_eq!(table.name_bytes(), bytes, "{name}");
        }
        assert_eq!(table.get("den"), Some(&3));
        assert_eq!((table.remove("den"), table.remove("den")), (Some(3), None));
        assert_eq!((table.len(), table.name_bytes()), (2, 3));
        assert!(table.held_bytes() >= 2 * size_of::<(Box<str>, i32)>() + 3);
        table.clear();
        assert_eq!((table.len(), table.name_bytes()), (0, 0));
    }
    /// Whatever secrets the tables have: names that come and go leave traces in a table that depend on these.
    #[test]
    fn tables_with_the_same_history_hold_the_same() {
        let mut tables: Vec<Named<usize>> = (0..32).map(|_| Named::default()).collect();
        for n in 0..3000 {
            for table in &mut tables {
                table.insert(&n.to_string(), n);
                if n >= 390 {
                    table.remove(&(n - 390).to_string());
                }
            }
            let held = tables[0].held_bytes();
            assert!(tables.iter().all(|table| table.held_bytes() == held), "{n}");
        }
    }
}
