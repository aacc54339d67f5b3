//! The connection that asks, and the `id` of its request: every answer goes to an [`Ask`].

use super::wire::Id;
use crate::id::ConnId;

/// The connection that asks for something, and the `id` of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub conn: ConnId,
    /// Stands in the answer, if the request had one.
    pub id: Option<&'a Id<'a>>,
}

impl<'a> Ask<'a> {
    pub fn new(conn: ConnId, id: Option<&'a Id<'a>>) -> Self {
        Self { conn, id }
    }

    /// For a connection that has not asked, or is answered without an `id`.
    pub fn unnamed(conn: ConnId) -> Self {
        Self { conn, id: None }
    }

    /// The same, to be kept until the backend has answered.
    pub fn keep(self) -> Asker {
        Asker { conn: self.conn, id: self.id.cloned().map(Id::into_owned) }
    }
}

/// An [`Ask`] that waits for the backend.
#[derive(Debug)]
pub(super) struct Asker {
    pub conn: ConnId,
    pub id: Option<Id<'static>>,
}

impl Asker {
    pub fn unnamed(conn: ConnId) -> Self {
        Self { conn, id: None }
    }

    pub fn ask(&self) -> Ask<'_> {
        Ask { conn: self.conn, id: self.id.as_ref() }
    }
}
