//! Calls of the operator that are under way, and the outcomes of the others.
//!
//! [`super::api`] decides which request is a call; the chat carries it out and answers it. An answer may come in a
//! later turn.

use std::collections::HashMap;
use std::ops::Range;

use crate::chat::{Call, Deliveries, Delivery};
use crate::id::ConnId;
use crate::time::Moment;

use super::api;
use super::http::{self, NO_STORE, Response};

/// The calls that the chat has still to answer, and the outcomes of those that it has answered.
#[derive(Debug, Default)]
pub struct Calls {
    /// The connections of open calls, and whether they are kept.
    owed: HashMap<ConnId, bool>,
    outcomes: Outcomes,
}

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// The caller's connection.
    pub to: ConnId,
    /// The response.
    pub response: Vec<u8>,
    /// Whether the connection is kept.
    pub keep: bool,
}

impl Calls {
    /// The note for the engine about a call while its body comes.
    pub fn note(call: Call, keep: bool) -> u32 {
        call as u32 | if keep { KEEP } else { 0 }
    }

    /// Reads that note: which call it is, and whether its connection is kept.
    pub fn of_note(note: u32) -> (Call, bool) {
        (Call::ALL[(note & !KEEP) as usize], note & KEEP != 0)
    }

    /// A call goes to the chat: its connection waits for an answer.
    pub fn begin(&mut self, id: ConnId, keep: bool) {
        self.owed.insert(id, keep);
    }

    /// A call is answered without the chat, or refused before it reaches it.
    pub fn note_answered(&mut self, status: u16) {
        self.outcomes.note(status);
    }

    /// Whether no call is open, so that no delivery can answer one.
    pub fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// How many they are.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// The reply to a call, if a delivery is its answer.
    pub fn reply(&mut self, delivery: &Delivery, deliveries: &Deliveries, now: Moment) -> Option<Reply> {
        let (to, status, text) = answer_of(delivery)?;
        let keep = self.owed.remove(&to)?;
        self.outcomes.note(status);
        let body = [deliveries.text(text), b"\n"].concat();
        let headers: &[(&str, &str)] = match status {
            503 => &[NO_STORE, ("Retry-After", "1")],
            _ => &[NO_STORE],
        };
        let response = Response { headers, keep, ..Response::new(status, http::JSON, &body) };
        Some(Reply { to, response: response.to_vec(now), keep })
    }

    /// What became of calls.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }
}

/// Calls by outcome. Numbers only grow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcomes {
    /// Carried out.
    pub ok: u64,
    /// Without the key.
    pub unauthorized: u64,
    /// Refused for another mistake of the caller.
    pub refused: u64,
    /// Not possible now.
    pub failed: u64,
}

impl Outcomes {
    /// Counts an answer.
    pub fn note(&mut self, status: u16) {
        match status {
            ..400 => self.ok += 1,
            401 => self.unauthorized += 1,
            402..500 => self.refused += 1,
            400 => self.refused += 1,
            _ => self.failed += 1,
        }
    }
}

/// The connection, status and text of a delivery that may answer a call.
fn answer_of(delivery: &Delivery) -> Option<(ConnId, u16, &Range<usize>)> {
    match delivery {
        Delivery::Send { to, text } => Some((*to, 200, text)),
        Delivery::Refuse { to, code, text } => Some((*to, api::status(*code), text)),
        _ => None,
    }
}

/// In the note of a request with a body: its connection is kept. The rest of the note is which call it is.
const KEEP: u32 = 1 << 31;
