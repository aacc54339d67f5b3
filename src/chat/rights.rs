//! Rights: who checks tokens, and what the token of each session grants.
//!
//! What follows from a grant, and when it ends, is in `access` and `tokens`.

use std::rc::Rc;

use super::auth::{Grant, TokenError, Verifier};
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::slack;

/// Grants are not in the sessions, which are small and mostly have none.
#[derive(Debug)]
pub(super) struct Rights {
    /// Checks tokens; `None`: anybody is let in.
    verifier: Option<Rc<dyn Verifier>>,
    grants: Table<ConnId, Grant>,
}

impl Rights {
    /// Anybody is let in.
    pub fn new(keyed: &Keyed) -> Self {
        Self { verifier: None, grants: keyed.table() }
    }

    /// How many grants there are.
    pub fn len(&self) -> usize {
        self.grants.len()
    }

    /// From now on this one checks tokens.
    pub fn set_verifier(&mut self, verifier: Option<Rc<dyn Verifier>>) {
        self.verifier = verifier;
    }

    /// The sessions whose grant is of a key that is accepted no more.
    pub fn without_a_key(&self) -> Vec<ConnId> {
        let Some(verifier) = &self.verifier else { return Vec::new() };
        let gone = self.grants.iter().filter(|(_, grant)| !verifier.accepts(grant.key));
        gone.map(|(conn, _)| *conn).collect()
    }

    /// Whether anybody is let in, without a token.
    pub fn are_everybodys(&self) -> bool {
        self.verifier.is_none()
    }

    /// What a token grants.
    pub fn verify(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError> {
        self.verifier.as_ref().ok_or(TokenError::Malformed)?.verify(token, unix_ms)
    }

    /// The session holds this grant from now on.
    pub fn begin(&mut self, conn: ConnId, grant: Grant) {
        self.grants.insert(conn, grant);
    }

    pub fn end(&mut self, conn: ConnId) {
        self.grants.remove(&conn);
    }

    /// The grant of the session's token, if it has one.
    pub fn grant(&self, conn: ConnId) -> Option<&Grant> {
        self.grants.get(&conn)
    }

    pub fn shrink(&mut self) {
        slack::shrink(&mut self.grants);
    }

    pub fn held_bytes(&self) -> usize {
        self.grants.len() * BYTES_PER_GRANT
    }
}

#[cfg(test)]
impl Rights {
    /// The sessions that hold a grant.
    pub fn holders(&self) -> impl Iterator<Item = ConnId> {
        self.grants.keys().copied()
    }
}

/// A token's grant: a few patterns and roles.
const BYTES_PER_GRANT: usize = 256;
