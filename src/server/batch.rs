//! A batch: several calls of one request, carried out one after the other, each with a status and an answer of its own.
//!
//! It knows no chat and no connection: [`super::calls`] has a call of it made when the one before is answered. A call
//! that is not the operator's right or does not exist is refused in its place, and the others are carried out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
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
    /// What it is known by, in JSON, if it has something.
    id: Option<String>,
    left: VecDeque<Called>,
    /// What the call is known by that was handed out last.
    current: Option<String>,
    answers: Vec<u8>,
}

/// A call, and what it is known by in the batch, in JSON.
#[derive(Debug)]
struct Called {
    id: Option<String>,
    part: Part,
}

/// One call of a batch.
#[derive(Debug)]
pub enum Part {
    /// It is to be made, with this body.
    Make(Call, Box<[u8]>),
    /// It is refused, with this body.
    Refused(Refused, Box<[u8]>),
}

/// A call of a batch that is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its HTTP status.
    pub status: u16,
    /// Why, for the counters; `None`: it is the batch that is too long.
    pub reason: Option<Reason>,
    /// The call that it is, where that is one which the operator may not make.
    pub lacks: Option<Call>,
    code: Code,
    sentence: &'static str,
}

impl Refused {
    /// The `error` that stands in the place of its answer, with the `id` of its body.
    pub fn error(&self, body: &[u8]) -> Vec<u8> {
        chat::error_answer(body, self.code, self.sentence)
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    id: Option<IgnoredAny>,
    #[serde(borrow)]
    calls: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(default)]
    id: Option<IgnoredAny>,
    #[serde(borrow)]
    call: Cow<'a, str>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

impl Batch {
    /// The batch of this body, of an operator with these rights; `None`: it is none.
    pub fn parse(operator: Arc<str>, rights: Rights, body: &[u8]) -> Option<Self> {
        let body = std::str::from_utf8(body).ok()?;
        let Body { id, calls } = serde_json::from_str(body).ok()?;
        if calls.is_empty() || calls.len() > MAX_CALLS {
            return None;
        }
        let id = id_of(id, body)?;
        let part = |call: Cow<'_, str>, body: Box<[u8]>| {
            let refused = |(status, code, sentence), reason, lacks, body| {
                Part::Refused(Refused { status, reason: Some(reason), lacks, code, sentence }, body)
            };
            let Some(call) = Call::ALL.iter().copied().find(|known| known.as_str() == call) else {
                return refused(CallError::Unknown.words(), Reason::NotFound, None, body);
            };
            let right = api::right_of(call);
            match rights.have(right) {
                true => Part::Make(call, body),
                false => refused((403, Code::Forbidden, right.lacking()), Reason::NoRight, Some(call), body),
            }
        };
        let called = |raw: &RawValue| {
            let One { id, call, body } = serde_json::from_str(raw.get()).ok()?;
            let body = body.map_or("", RawValue::get).as_bytes().into();
            Some(Called { id: id_of(id, raw.get())?, part: part(call, body) })
        };
        let left = calls.into_iter().map(called).collect::<Option<_>>()?;
        Some(Self { operator, id, left, current: None, answers: Vec::new() })
    }

    /// The next call; `None`: all have their answers.
    pub fn take_next(&mut self) -> Option<Part> {
        let Called { id, part } = self.left.pop_front()?;
        self.current = id;
        Some(match part {
            Part::Make(_, body) if self.answers.len() > MAX_ANSWER_BYTES => Part::Refused(TOO_LONG, body),
            part => part,
        })
    }

    /// The call that was handed out last has this answer.
    pub fn note(&mut self, status: u16, answer: &[u8]) {
        let comma = if self.answers.is_empty() { "" } else { "," };
        let id = id_field(self.current.take().as_deref());
        self.answers.extend_from_slice(format!("{comma}{{{id}\"status\":{status},\"answer\":").as_bytes());
        self.answers.extend_from_slice(answer);
        self.answers.push(b'}');
    }

    /// All answers, in the order of the calls.
    pub fn into_answer(self) -> Vec<u8> {
        let begin = format!("{{\"type\":\"batch\",{}\"answers\":[", id_field(self.id.as_deref()));
        [begin.as_bytes(), &self.answers, b"]}\n"].concat()
    }
}

/// The `id` of an object, in JSON, if there is one; `None`: it is none that a request may have.
fn id_of(id: Option<IgnoredAny>, object: &str) -> Option<Option<String>> {
    match id {
        None => Some(None),
        Some(_) => chat::id_of(object).map(Some),
    }
}

/// The field in an answer.
fn id_field(id: Option<&str>) -> String {
    id.map_or_else(String::new, |id| format!("\"id\":{id},"))
}

const TOO_LONG: Refused = Refused {
    status: 413,
    reason: None,
    lacks: None,
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
            r#"{"id":-7,"calls":[{"id":1,"call":"room","body":{"room_id":"a", "room_id":"b"}},{"call":"kick"},{"id":"c","call":"batch","x":1},
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
                Part::Refused(refused, _) => {
                    words.push(format!("{} {:?}", refused.status, refused.reason));
                    (refused.status, b"[]".to_vec())
                }
            };
            batch.note(status, &answer);
        }
        // The chat is handed the text as it came, and refuses a field twice.
        let room = r#"room {"room_id":"a", "room_id":"b"}"#;
        assert_eq!(words, [room, "403 Some(NoRight)", "404 Some(NotFound)", "online ", "room "]);
        let expected = r#"{"type":"batch","id":-7,"answers":[{"id":1,"status":200,"answer":{}},{"status":403,"answer":[]},{"id":"c","status":404,"answer":[]},{"status":200,"answer":{}},{"status":200,"answer":{}}]}"#;
        assert_eq!(String::from_utf8(batch.into_answer()).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn bounds_and_one_past_them() {
        let of = |count: usize| format!(r#"{{"calls":[{}]}}"#, vec![r#"{"call":"online"}"#; count].join(","));
        assert!(batch(&of(MAX_CALLS)).is_some());
        let ids = [r#"{"id":{},"calls":[{"call":"online"}]}"#, r#"{"calls":[{"call":"online","id":1.5}]}"#];
        for wrong in ids.into_iter().chain([
            &*of(MAX_CALLS + 1),
            &of(0),
            "{}",
            "",
            "[]",
            r#"{"calls":[1]}"#,
            r#"{"calls":[{"body":{}}]}"#,
            "{",
        ]) {
            assert!(batch(wrong).is_none(), "{wrong}");
        }
        let mut batch = batch(&of(3)).unwrap();
        assert!(matches!(batch.take_next(), Some(Part::Make(..))));
        batch.note(200, &vec![b' '; MAX_ANSWER_BYTES - 100]);
        assert!(matches!(batch.take_next(), Some(Part::Make(..))));
        batch.note(200, &[b' '; 100]);
        let Some(Part::Refused(refused, _)) = batch.take_next() else { panic!("no more room for answers") };
        assert_eq!(refused, TOO_LONG);
        for (body, id) in [(&b"{\"id\":\"a\"}"[..], r#""id":"a","#), (b"", ""), (b"{\"id\":[]}", "")] {
            let error = String::from_utf8(refused.error(body)).unwrap();
            assert!(error.starts_with(&format!(r#"{{"type":"error",{id}"code":"too_large""#)), "{error}");
        }
        assert!(batch.take_next().is_none());
    }
}
