//! What a request is carried out with: who asks, when it is, what may be used, and what is to be done about it.
//!
//! A [`Turn`] is all that a fact or an answer of the backend needs to be told; with a [`Ctx`] the backend may be asked as well.
//! So it is by type that nobody asks the backend while it is being listened to.

use std::ops::{Deref, DerefMut};

use super::delivery::Deliveries;
use super::settings::Settings;
use super::wire::Id;
use crate::backend::Backend;
use crate::id::ConnId;
use crate::time::Moment;

/// The connection that asks for something, and what it calls that.
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

    /// What happens to a connection without being asked for, or is answered without an `id`.
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

/// One call into the chat.
pub(super) struct Turn<'a> {
    pub now: Moment,
    pub settings: &'a Settings,
    /// What is to be done about it.
    pub out: &'a mut Deliveries,
}

/// A turn in which the backend may be asked.
pub(super) struct Ctx<'a> {
    pub turn: Turn<'a>,
    pub store: &'a mut dyn Backend,
}

impl<'a> Deref for Ctx<'a> {
    type Target = Turn<'a>;

    fn deref(&self) -> &Turn<'a> {
        &self.turn
    }
}

impl DerefMut for Ctx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.turn
    }
}
