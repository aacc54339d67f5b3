//! The allowance: bytes that new things may take until the server says again how much memory is left.

use super::wire::{Code, Refusal};

/// What is left of it.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// `None`: no limit.
    left: Option<usize>,
}

impl Allowance {
    /// From now on so many bytes may be taken; `None`: as many as are wanted.
    pub fn set(&mut self, bytes: Option<usize>) {
        self.left = bytes;
    }

    /// Takes so many bytes for something new.
    ///
    /// # Errors
    /// There are not as many.
    pub fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Some(left) = &mut self.left else { return Ok(()) };
        *left = left.checked_sub(bytes).ok_or_else(|| {
            Refusal::new(Code::Overloaded, "expected memory for one thing more, found none; what there is goes on")
        })?;
        Ok(())
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.left.is_some()
    }

    /// Whether nothing new is taken on.
    pub fn is_spent(&self) -> bool {
        self.left == Some(0)
    }
}
