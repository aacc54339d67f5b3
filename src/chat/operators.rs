//! Operators: connections of calls that have not been answered, and in whose name each speaks.
//!
//! `operator` has what a call may do, and its answers.

use super::delivery::{Deliveries, Delivery};
use super::name::UserName;
use super::tables::table_bytes;
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;

/// By name and not by key: a user who is forgotten before the answer comes is simply not found.
#[derive(Debug)]
pub(super) struct Operators(Table<ConnId, Option<UserName>>);

impl Operators {
    /// No call has come.
    pub fn new(keyed: &Keyed) -> Self {
        Self(keyed.table())
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A call begins, without a name.
    pub fn begin(&mut self, conn: ConnId) {
        self.0.insert(conn, None);
    }

    /// The call speaks in this name.
    pub fn speak_as(&mut self, conn: ConnId, name: UserName) {
        self.0.insert(conn, Some(name));
    }

    /// Whether it is the connection of a call that has not been answered.
    pub fn has(&self, conn: ConnId) -> bool {
        self.0.contains_key(&conn)
    }

    /// In whose name the call speaks.
    pub fn name(&self, conn: ConnId) -> Option<&UserName> {
        self.0.get(&conn)?.as_ref()
    }

    /// Forgets calls that have their answer.
    pub fn end_answered(&mut self, out: &Deliveries) {
        if self.0.is_empty() {
            return;
        }
        for delivery in out.items() {
            if let Delivery::Send { to, .. } | Delivery::Refuse { to, .. } = delivery {
                self.0.remove(to);
            }
        }
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.0);
    }

    pub fn held_bytes(&self) -> usize {
        table_bytes::<(ConnId, Option<UserName>)>(self.0.capacity())
    }
}

#[cfg(test)]
impl Operators {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
