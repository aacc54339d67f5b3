//! Calls of the operator that are under way, and the outcomes of the others.
//!
//! [`super::api`] decides which request is a call; the chat carries it out and answers it. An answer may come in a
//! later turn.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::chat::{Call, Deliveries, Delivery};
use crate::id::ConnId;
use crate::random::{Keyed, Table};
use crate::time::Moment;

use super::access::Heard;
use super::answering::Worded;
use super::api::{self, Named};
use super::asked::Asked;
use super::batch::Batch;
use super::entry_error::CallError;
use super::http::{self, NO_STORE, Response};
use super::trail::Step;

/// The calls that the chat has still to answer, and the outcomes of those that it has answered.
#[derive(Debug)]
pub struct Calls {
    /// The names of operators who have made a call whose body came behind it.
    operators: Vec<Arc<str>>,
    /// The connections of open calls.
    owed: Table<ConnId, Owed>,
    outcomes: Outcomes,
    /// Batches that wait for the next call to be made, each of another connection.
    going: VecDeque<Going>,
    /// What the store is to keep of calls that have been answered, with the status.
    done: Vec<(Step, u16)>,
}

/// A call that is to be answered.
#[derive(Debug)]
struct Owed {
    /// Whether the connection is kept.
    keep: bool,
    /// What the trail is told of it.
    step: Option<Step>,
    /// Its client, as a trusted proxy says, and what the log has of the request.
    said: Option<IpAddr>,
    heard: Option<Box<Heard>>,
    /// The batch that it is a call of.
    batch: Option<Box<Batch>>,
}

/// A batch whose next call is to be made.
#[derive(Debug)]
pub(crate) struct Going {
    /// The caller's connection.
    pub id: ConnId,
    /// The rest of it.
    pub batch: Box<Batch>,
    asked: Asked,
    heard: Option<Box<Heard>>,
}

impl Going {
    /// All its calls are answered: the reply.
    pub fn into_reply(self, now: Moment) -> Reply {
        let Self { id, batch, asked, heard } = self;
        let body = batch.into_answer();
        let response = Response { headers: &[NO_STORE], ..Response::new(200, http::JSON, &body) };
        Reply { to: id, said: asked.said, worded: asked.word(response, now), heard }
    }
}

/// What a delivery is to a call.
#[derive(Debug)]
pub(crate) enum Answered {
    /// Nothing: it is for somebody else.
    None,
    /// The answer to one of a batch, which goes on.
    InBatch,
    /// The answer.
    Reply(Reply),
}

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The caller's connection.
    pub to: ConnId,
    /// Its client, as a trusted proxy says.
    pub said: Option<IpAddr>,
    /// The response.
    pub worded: Worded,
    /// What the log has of the request.
    pub heard: Option<Box<Heard>>,
}

impl Calls {
    /// None has come.
    pub fn new(keyed: &Keyed) -> Self {
        Self {
            operators: Vec::new(),
            owed: keyed.table(),
            outcomes: Outcomes::default(),
            going: VecDeque::new(),
            done: Vec::new(),
        }
    }

    /// The note for the engine about a call of that operator while its body comes. The engine forgets it with the
    /// connection, so nothing is kept for a body that never comes.
    pub fn note(&mut self, named: Named, operator: &Arc<str>, keep: bool) -> u32 {
        let at = self.operators.iter().position(|known| known == operator).unwrap_or(self.operators.len());
        // Over all readings of the settings; a further name is `-` in the trail.
        if at == self.operators.len() && at < MAX_NAMES {
            self.operators.push(operator.clone());
        }
        let of_name = |name| Call::ALL.iter().position(|call| call.as_str() == name).map(|at| at as u32);
        let (which, refused) = match named {
            Named::Call(call) => (call as u32, 0),
            Named::Batch => (BATCH, 0),
            Named::Refused(error, name) => {
                let unnamed = if name == Named::Batch.as_str() { BATCH } else { BATCH + 1 };
                let refused = REFUSED.iter().position(|&other| other == error).unwrap_or_default() as u32 + 1;
                (of_name(name).unwrap_or(unnamed), refused)
            }
        };
        which | (at as u32) << CALL_BITS | refused << REFUSED_AT | if keep { KEEP } else { 0 }
    }

    /// Reads that note: which call it is, whose, and whether its connection is kept.
    pub fn of_note(&self, note: u32) -> (Named, Arc<str>, bool) {
        let which = note & ((1 << CALL_BITS) - 1);
        let named = match Call::ALL.get(which as usize) {
            Some(call) => Named::Call(*call),
            None => Named::Batch,
        };
        let refused = ((note & !KEEP) >> REFUSED_AT).checked_sub(1).and_then(|at| REFUSED.get(at as usize));
        let named = refused
            .map_or(named, |&error| Named::Refused(error, if which > BATCH { api::NO_CALL } else { named.as_str() }));
        let operator = self.operators.get(((note & ((1 << REFUSED_AT) - 1)) >> CALL_BITS) as usize);
        (named, operator.cloned().unwrap_or_else(|| "-".into()), note & KEEP != 0)
    }

    /// A call goes to the chat: its connection waits for an answer.
    pub(crate) fn begin(&mut self, id: ConnId, asked: Asked, step: Option<Step>, heard: Option<Box<Heard>>) {
        let Asked { keep, said, .. } = asked;
        self.owed.insert(id, Owed { keep, step, said, heard, batch: None });
    }

    /// A batch goes on, or begins: its next call is to be made.
    pub(crate) fn begin_batch(&mut self, id: ConnId, asked: Asked, batch: Box<Batch>, heard: Option<Box<Heard>>) {
        self.going.push_back(Going { id, batch, asked, heard });
    }

    /// The batch that goes on next.
    pub(crate) fn next_batch(&mut self) -> Option<Going> {
        self.going.pop_front()
    }

    /// A batch is to go on.
    pub(crate) fn go_on(&mut self, going: Going) {
        self.going.push_back(going);
    }

    /// A call of a batch goes to the chat.
    pub(crate) fn begin_in_batch(&mut self, going: Going, step: Option<Step>) {
        let Going { id, batch, asked: Asked { keep, said, .. }, heard } = going;
        self.owed.insert(id, Owed { keep, step, said, heard, batch: Some(batch) });
    }

    /// Whether a batch is to go on.
    pub fn has_batches(&self) -> bool {
        !self.going.is_empty()
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
        self.owed.len() + self.going.len()
    }

    /// What a delivery is to a call.
    pub(crate) fn reply(&mut self, delivery: &Delivery, deliveries: &Deliveries, now: Moment) -> Answered {
        let Some((to, status, text)) = answer_of(delivery) else { return Answered::None };
        let Some(Owed { keep, step, said, heard, batch }) = self.owed.remove(&to) else { return Answered::None };
        self.outcomes.note(status);
        if let Some(step) = step {
            step.tell(status);
            self.done.extend(step.is_kept().then_some((step, status)));
        }
        if let Some(mut batch) = batch {
            batch.note(status, deliveries.text(text));
            self.begin_batch(to, Asked { keep, said, ..Asked::UNREAD }, batch, heard);
            return Answered::InBatch;
        }
        let body = [deliveries.text(text), b"\n"].concat();
        let headers: &[(&str, &str)] = match status {
            503 => &[NO_STORE, ("Retry-After", "1")],
            _ => &[NO_STORE],
        };
        let response = Response { headers, keep, ..Response::new(status, http::JSON, &body) };
        Answered::Reply(Reply { to, said, worded: Worded::new(status, response.to_vec(now), keep), heard })
    }

    /// What the store is to keep of calls that have been answered since it was asked last, with the status.
    pub fn take_done(&mut self) -> Vec<(Step, u16)> {
        std::mem::take(&mut self.done)
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

/// In the note of a request with a body: its connection is kept. The rest of the note is which call it is, and above
/// that the place of its operator in the list of names.
const KEEP: u32 = 1 << 31;
const CALL_BITS: u32 = 8;
const REFUSED_AT: u32 = 29;

/// Where the number of a call would stand: it is a batch. The next number is that of no call.
const BATCH: u32 = Call::ALL.len() as u32;

/// For what a call may be refused whose body comes all the same.
const REFUSED: [CallError; 3] = [CallError::Unknown, CallError::Method, CallError::MediaType];

/// Names of operators that are remembered for calls whose body comes.
const MAX_NAMES: usize = if cfg!(test) { 2 } else { 4096 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_call_operator_and_whether_to_keep() {
        let mut calls = Calls::new(&crate::random::Random::from(1).keyed());
        let names: [Arc<str>; 3] = ["ann".into(), "bot".into(), "one too many".into()];
        for round in 0..2 {
            for (at, name) in names.iter().enumerate() {
                let last = Named::Call(*Call::ALL.last().unwrap());
                let refused = |error, name| (Named::Refused(error, name), true);
                for (call, keep) in [
                    (Named::Call(Call::ALL[0]), true),
                    (last, false),
                    (Named::Batch, true),
                    refused(CallError::Unknown, api::NO_CALL),
                    refused(CallError::Method, last.as_str()),
                    refused(CallError::MediaType, "batch"),
                ] {
                    let note = calls.note(call, name, keep);
                    let shown = if at < MAX_NAMES { &**name } else { "-" };
                    assert_eq!(calls.of_note(note), (call, shown.into(), keep), "{round} {name}");
                }
            }
        }
        assert_eq!(calls.operators.len(), MAX_NAMES);
    }
}
