//! A batch: several calls of one request, carried out one after the other, each with a status and an answer of its own.
//!
//! It knows no chat and no connection: [`super::calls`] has a call of it made when the one before is answered. A call
//! that is not the operator's right or does not exist is refused in its place, and the others are carried out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{self, Call, Code};

use super::api;
use super::entry_error::CallError;
use super::operators::Rights;
use super::refusals::Reason;

/// The calls of a request that are still to be made, and the answers of the others.
#[derive(Debug)]
pub struct Batch {
    /// The operator whose calls they are.
    pub operator: Arc<str>,
    left: VecDeque<Part>,
    answers: Vec<u8>,
}

/// One call of a batch.
#[derive(Debug)]
pub enum Part {
    /// It is to be made, with this body.
    Make(Call, Box<[u8]>),
    /// It is refused.
    Refused(Refused),
}

/// A call of a batch that is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its HTTP status.
    pub status: u16,
    /// Why, for the counters; `None`: it is the batch that is too long.
    pub reason: Option<Reason>,
    code: Code,
    sentence: &'static str,
}

impl Refused {
    /// The `error` that stands in the place of its answer.
    pub fn error(&self) -> Vec<u8> {
        chat::error_message(self.code, self.sentence.to_owned())
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    calls: Vec<One<'a>>,
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    call: Cow<'a, str>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

impl Batch {
    /// The batch of this body, of an operator with these rights; `None`: it is none.
    pub fn parse(operator: Arc<str>, rights: Rights, body: &[u8]) -> Option<Self> {
        let Body { calls } = serde_json::from_slice(body).ok()?;
        if calls.is_empty() || calls.len() > MAX_CALLS {
            return None;
        }
        let part = |One { call, body }: One<'_>| {
            let refused = |(status, code, sentence), reason| {
                Part::Refused(Refused { status, reason: Some(reason), code, sentence })
            };
            let Some(call) = Call::ALL.iter().copied().find(|known| known.as_str() == call) else {
                return refused(CallError::Unknown.words(), Reason::NotFound);
            };
            let right = api::right_of(call);
            match rights.have(right) {
                true => Part::Make(call, body.map_or("", RawValue::get).as_bytes().into()),
                false => refused((403, Code::Forbidden, right.lacking()), Reason::NoRight),
            }
        };
        Some(Self { operator, left: calls.into_iter().map(part).collect(), answers: BEGIN.to_vec() })
    }

    /// The next call; `None`: all have their answers.
    pub fn take_next(&mut self) -> Option<Part> {
        let part = self.left.pop_front()?;
        let is_long = self.answers.len() > MAX_ANSWER_BYTES;
        Some(if is_long { Part::Refused(TOO_LONG) } else { part })
    }

    /// The call that was handed out last has this answer.
    pub fn note(&mut self, status: u16, answer: &[u8]) {
        let comma = if self.answers.len() > BEGIN.len() { "," } else { "" };
        self.answers.extend_from_slice(format!("{comma}{{\"status\":{status},\"answer\":").as_bytes());
        self.answers.extend_from_slice(answer);
        self.answers.push(b'}');
    }

    /// All answers, in the order of the calls.
    pub fn into_answer(mut self) -> Vec<u8> {
        self.answers.extend_from_slice(b"]}\n");
        self.answers
    }
}

const BEGIN: &[u8] = b"{\"type\":\"batch\",\"answers\":[";

const TOO_LONG: Refused = Refused {
    status: 413,
    reason: None,
    code: Code::TooLarge,
    sentence: "expected less than 1 MiB of answers before this call of a batch, found more; it was not made",
};

/// Calls of one batch.
pub const MAX_CALLS: usize = 100;

/// Bytes of answers behind which no further call of a batch is made.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Calls of batches that are made in one turn.
pub const CALLS_A_TURN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(body: &str) -> Option<Batch> {
        Batch::parse("ann".into(), "read+speak".parse().unwrap(), body.as_bytes())
    }

    #[test]
    fn each_call_has_its_place() {
        let mut batch = batch(
            r#"{"calls":[{"call":"room","body":{"room_id":"a", "room_id":"b"}},{"call":"kick"},{"call":"batch","x":1},
            {"call":"online"},{"call":"\u0072oom","body":null}]}"#,
        )
        .unwrap();
        let mut words = Vec::new();
        while let Some(part) = batch.take_next() {
            let (status, answer) = match part {
                Part::Make(call, body) => {
                    words.push(format!("{} {}", call.as_str(), std::str::from_utf8(&body).unwrap()));
                    (200, b"{}".to_vec())
                }
                Part::Refused(refused) => {
                    words.push(format!("{} {:?}", refused.status, refused.reason));
                    (refused.status, b"[]".to_vec())
                }
            };
            batch.note(status, &answer);
        }
        // The chat is handed the text as it came, and refuses a field twice.
        let room = r#"room {"room_id":"a", "room_id":"b"}"#;
        assert_eq!(words, [room, "403 Some(NoRight)", "404 Some(NotFound)", "online ", "room "]);
        let expected = r#"{"type":"batch","answers":[{"status":200,"answer":{}},{"status":403,"answer":[]},{"status":404,"answer":[]},{"status":200,"answer":{}},{"status":200,"answer":{}}]}"#;
        assert_eq!(String::from_utf8(batch.into_answer()).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn bounds_and_one_past_them() {
        let of = |count: usize| format!(r#"{{"calls":[{}]}}"#, vec![r#"{"call":"online"}"#; count].join(","));
        assert!(batch(&of(MAX_CALLS)).is_some());
        for wrong in
            [&*of(MAX_CALLS + 1), &of(0), "{}", "", "[]", r#"{"calls":[1]}"#, r#"{"calls":[{"body":{}}]}"#, "{"]
        {
            assert!(batch(wrong).is_none(), "{wrong}");
        }
        let mut batch = batch(&of(3)).unwrap();
        assert!(matches!(batch.take_next(), Some(Part::Make(..))));
        batch.note(200, &vec![b' '; MAX_ANSWER_BYTES - 100]);
        assert!(matches!(batch.take_next(), Some(Part::Make(..))));
        batch.note(200, &[b' '; 100]);
        let Some(Part::Refused(refused)) = batch.take_next() else { panic!("no more room for answers") };
        assert_eq!(refused, TOO_LONG);
        assert!(String::from_utf8(refused.error()).unwrap().contains(r#""code":"too_large""#));
        assert!(batch.take_next().is_none());
    }
}
