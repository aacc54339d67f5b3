//! The context of a request: the time, the settings, and the list of deliveries.
//!
//! A [`Turn`] is enough to send a fact or an answer of the backend; with a [`Ctx`] the backend may be asked as well. So
//! it is by type that no code asks the backend while its news is read.

use std::ops::{Deref, DerefMut};

use super::delivery::Deliveries;
use super::settings::Settings;
use crate::backend::Backend;
use crate::time::Moment;

/// One call into the chat.
pub(super) struct Turn<'a> {
    pub now: Moment,
    pub settings: &'a Settings,
    /// The deliveries of the call.
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
