//! The answers to requests that are not served: each [`EntryError`] has its status, its sentence and its headers here.
//!
//! [`super::refusals`] has the reason by which each is counted.

use crate::chat::{self, Code};
use crate::id::ConnId;
use crate::time::Moment;

use super::Turn;
use super::access::Heard;
use super::answering::Worded;
use super::asked::Asked;
use super::calls::Calls;
use super::doors::ALLOWED;
use super::entry_error::{CallError, EntryError};
use super::http::{self, Response};
use super::system::System;

impl<S: System> Turn<'_, S> {
    /// Answers a request that is not served, and notes the refusal.
    pub(super) fn refuse(
        &mut self,
        id: ConnId,
        asked: Asked,
        error: &EntryError,
        heard: Option<&Heard>,
        calls: &mut Calls,
    ) {
        self.refuse_with(id, asked, error, b"", heard, calls);
    }

    /// The same of a call that is whole: the refusal has the `id` of its body.
    pub(super) fn refuse_with(
        &mut self,
        id: ConnId,
        asked: Asked,
        error: &EntryError,
        body: &[u8],
        heard: Option<&Heard>,
        calls: &mut Calls,
    ) {
        let worded = word(error, asked, body, self.now);
        if asked.call {
            calls.note_answered(worded.status());
        }
        self.answer(id, asked.said, worded, error.reason(), heard);
    }
}

/// The response of a refusal, to a request with this body.
fn word(error: &EntryError, asked: Asked, of: &[u8], now: Moment) -> Worded {
    /// `{"error":"..."}`, or an `error` of the chat, as the API has them and all that the operator's port refuses.
    enum Body<'a> {
        Plain(&'a str),
        Coded(Code, &'a str),
    }
    use Body::{Coded, Plain};
    let sentence;
    let (status, body, headers): (u16, Body<'_>, &[(&'static str, &str)]) = match error {
        EntryError::Request(error) if asked.operator => {
            sentence = error.to_string();
            (error.status(), Plain(&sentence), &[])
        }
        EntryError::Full | EntryError::Memory if asked.operator => {
            (http::FULL, Plain("there is no room for more clients now; try again later"), &[IN_A_MOMENT])
        }
        EntryError::Request(error) => {
            let mut bytes = Vec::new();
            http::encode_request_refusal(*error, asked.head_only, now, &mut bytes);
            return Worded::new(error.status(), bytes, asked.keep);
        }
        EntryError::Full | EntryError::Memory => {
            let mut bytes = Vec::new();
            http::encode_full(asked.head_only, now, &mut bytes);
            return Worded::new(http::FULL, bytes, asked.keep);
        }
        EntryError::NotFound if asked.operator => (404, Plain(NOT_ON_THE_ADMIN_PORT), &[]),
        EntryError::NotFound => (404, Plain("nothing is here; the chat page is at /"), &[]),
        EntryError::Method => (405, Plain("only GET, HEAD and OPTIONS are allowed here"), &[("Allow", ALLOWED)]),
        EntryError::Bad(sentence) => (400, Plain(sentence), &[]),
        EntryError::Unauthorized(None) => {
            (401, Plain("a token is required: ?token= or Authorization: Bearer"), &[SHOW_A_TOKEN])
        }
        EntryError::Unauthorized(Some(error)) => (401, Plain(error.as_str()), &[SHOW_ANOTHER]),
        EntryError::Room => (403, Plain("the token is not for this room"), &[]),
        EntryError::Origin => (403, Plain("this Origin may not connect; the operator can allow it with --origin"), &[]),
        EntryError::Host => (421, Plain(ANOTHER_NAME), &[]),
        EntryError::TooFast => {
            (429, Plain("too many new connections from this address; try again later"), &[IN_A_MOMENT])
        }
        EntryError::AskedTooFast => {
            (429, Plain("too many requests from this address; try again later"), &[IN_A_MOMENT])
        }
        EntryError::Stopping => (503, Plain("the server stops or starts again; try again in a moment"), &[IN_A_MOMENT]),
        EntryError::Mistake => (500, Plain("internal error"), &[]),
        EntryError::Key { shown: false } => (401, Coded(Code::Unauthorized, NO_KEY), &[SHOW_A_TOKEN]),
        EntryError::Key { shown: true } => (401, Coded(Code::Unauthorized, NO_KEY), &[SHOW_ANOTHER]),
        EntryError::Right(right) => (403, Coded(Code::Forbidden, right.lacking()), &[]),
        EntryError::Call(error) => {
            let (status, code, sentence) = error.words();
            (status, Coded(code, sentence), if status == 405 { &[("Allow", "POST")] } else { &[] })
        }
        EntryError::Page => (400, Coded(Code::BadRequest, BAD_PAGE), &[]),
        EntryError::NoSession => (404, Coded(Code::UserNotFound, NO_SESSION), &[]),
    };
    let coded = |code, sentence: &str| [&chat::error_answer(of, code, sentence.to_owned())[..], b"\n"].concat();
    let body = match body {
        Plain(sentence) if asked.operator => coded(code_of(status), sentence),
        Plain(sentence) => http::error_body(sentence),
        Coded(code, sentence) => coded(code, sentence),
    };
    asked.word(Response { headers, ..Response::new(status, http::JSON, &body) }, now)
}

/// The code of a refusal on the operator's port that is of no call: as calls have it for that status.
const fn code_of(status: u16) -> Code {
    match status {
        401 => Code::Unauthorized,
        403 | 421 => Code::Forbidden,
        404 => Code::NotFound,
        413 | 414 | 431 => Code::TooLarge,
        429 => Code::RateLimited,
        500 => Code::Internal,
        503 => Code::Overloaded,
        _ => Code::BadRequest,
    }
}

impl CallError {
    /// Its HTTP status, code and sentence.
    pub const fn words(self) -> (u16, Code, &'static str) {
        match self {
            Self::Unknown => (404, Code::UnknownType, "expected a call of docs/http-api.md, found another path"),
            Self::Method => (405, Code::BadRequest, "expected POST, found another method"),
            Self::MediaType => {
                (415, Code::BadRequest, "expected `Content-Type: application/json`, found none or another one")
            }
            Self::Coding => {
                (501, Code::Unsupported, "expected `Transfer-Encoding: chunked` alone or none, found something else")
            }
            Self::Chunks => (400, Code::BadRequest, "expected a body in chunks (RFC 9112 section 7.1), found another"),
            Self::Batch => (
                400,
                Code::BadRequest,
                "expected {\"calls\":[{\"call\":NAME,\"body\":OBJECT},...]} with 1 to 100 calls, found something else",
            ),
            Self::BadLength => (
                400,
                Code::BadRequest,
                "expected one Content-Length that is a number, found another value or more of them",
            ),
            Self::TooLarge => (413, Code::TooLarge, "expected a body of at most 65536 bytes, found a longer one"),
            Self::Origin => (
                403,
                Code::Forbidden,
                "expected a program on this machine that calls by address, found a browser or a host name; start Salon with --admin-key",
            ),
        }
    }
}

/// Without tokens and `open`, Salon is for this machine.
const ANOTHER_NAME: &str = "Salon is not known by this name: go to http://localhost with its port, or let the operator \
    allow the name with --origin, say --open, or let a proxy send X-Forwarded-For";

const NOT_ON_THE_ADMIN_PORT: &str = "nothing is here; the admin port has /health, /metrics, /livez, /readyz, \
    /connections and a session by its id below it, /top, /settings, and POST /api/CALL";

const SHOW_A_TOKEN: (&str, &str) = ("WWW-Authenticate", "Bearer");

const SHOW_ANOTHER: (&str, &str) = ("WWW-Authenticate", "Bearer error=\"invalid_token\"");

const IN_A_MOMENT: (&str, &str) = ("Retry-After", "1");

const NO_KEY: &str =
    "expected `Authorization: Bearer` with the key of --admin-key or of an operator, found none or another one";

const NO_SESSION: &str = "expected a session that is open, found another id";

const BAD_PAGE: &str =
    "`limit`: expected an integer from 1, `cursor`: the one of the last `Link`; found something else";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::server::api;
    use crate::server::chat_service::SETTINGS_REFUSED;

    /// Codes of sessions that no call is answered with: a token, and a rate.
    const OF_SESSIONS: [Code; 2] = [Code::TokenExpired, Code::RateLimited];

    /// The table of docs/http-api.md has each status with its codes, and no other.
    #[test]
    fn the_document_has_each_status() {
        let calls = [
            CallError::Unknown,
            CallError::Method,
            CallError::MediaType,
            CallError::Coding,
            CallError::Chunks,
            CallError::Batch,
            CallError::BadLength,
            CallError::TooLarge,
            CallError::Origin,
        ];
        let of_calls = calls.map(|error| (error.words().0, error.words().1.as_str()));
        let of_chat = Code::ALL.iter().copied().filter(|code| !OF_SESSIONS.contains(code));
        let of_chat = of_chat.map(|code| (api::status(code), code.as_str()));
        let expected: BTreeSet<(u16, &str)> = of_chat
            .chain(of_calls)
            .chain([(409, SETTINGS_REFUSED), (403, "forbidden"), (401, "unauthorized")])
            .collect();
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http-api.md")).unwrap();
        let table = page.split("| status | code |\n|---|---|\n").nth(1).unwrap();
        let codes: BTreeSet<&str> = expected.iter().map(|(_, code)| *code).collect();
        let mut found = BTreeSet::new();
        for row in table.lines().take_while(|line| line.starts_with('|')) {
            let [_, status, words, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let named: Vec<&str> = words.split('`').skip(1).step_by(2).filter(|word| codes.contains(word)).collect();
            for status in status.split(',') {
                found.extend(named.iter().map(|code| (status.trim().parse::<u16>().unwrap(), *code)));
            }
        }
        assert_eq!(found, expected);
    }
}
