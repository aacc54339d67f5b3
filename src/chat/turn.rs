//! What a request is carried out with: when it is, what may be used, and what is to be done about it.
//!
//! A [`Turn`] is all that a fact or an answer of the backend needs to be told; with a [`Ctx`] the backend may be asked as well.
//! So it is by type that nobody asks the backend while it is being listened to.

use std::ops::{Deref, DerefMut};

use super::delivery::Deliveries;
use super::settings::Settings;
use crate::backend::Backend;
use crate::time::Moment;

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
