//! What stands in for `deflate` where that feature is off: no connection can have agreed to the extension, so frames
//! with RSV1 are refused, and nothing here is ever asked for anything.

use crate::error::ProtocolError;

#[derive(Debug)]
pub(crate) struct Inflater(());

#[derive(Debug)]
pub(crate) enum History {}

impl Inflater {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    pub(crate) const fn of_thread() -> Self {
        Self(())
    }

    pub(crate) fn inflate(
        &mut self,
        _payload: &[u8],
        _history: Option<&mut History>,
        _take: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        Err(ProtocolError::ReservedBits(0b100))
    }
}

impl History {
    pub(crate) fn held_bytes(&self) -> usize {
        match *self {}
    }
}
