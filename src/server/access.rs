//! The log of access: one type for a line about a request, a session, a refusal, or a connection that a limit ended.
//!
//! Every line has the same fields in the same order, in text and in JSON; those that it has no value for are left out.
//! A refusal is counted whole, and [`LINES_A_REASON`] of each reason have a line in a second of the clock; how many
//! more there were is told when the second is over. What answers or refuses needs a [`Told`], and only this module
//! makes one: so an answer or a refusal without its line and its count cannot be written.
//!
//! Programs that read the log to ban addresses find the address first and the reason behind it. A client chooses no
//! word before these; its path and its name stand behind them, in quotes where their end could not be seen.

use std::net::IpAddr;
use std::time::Duration;

use log::kv::{self, Source, VisitSource};
use log::{Level, Record};

use crate::engine::Cut;
use crate::proto::handshake::Request;
use crate::time::Tick;

use super::logging::{ACCESS, REFUSED};
use super::refusals::Reason;

/// What a line has. A field without a value is left out of it, but for the address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line<'a> {
    /// Where the client is; `None`: behind a Unix socket, and `-` in the line.
    pub address: Option<IpAddr>,
    /// The method of a request; `-` where it could not be read.
    pub method: Option<&'a str>,
    /// Its path, without the query.
    pub path: Option<&'a str>,
    /// The status that it was answered with.
    pub status: Option<u16>,
    /// The code with which a WebSocket was closed.
    pub code: Option<u16>,
    /// The name of a session's user.
    pub user: Option<&'a str>,
    /// The dialect of a session.
    pub dialect: Option<&'static str>,
    /// How many messages it sent.
    pub messages: Option<u32>,
    /// How long a request waited for its answer, or a session lasted.
    pub time: Option<Duration>,
    /// Bytes that came: of a session all, of a request those of its body.
    pub bytes_in: Option<u64>,
    /// Bytes that went.
    pub bytes_out: Option<u64>,
}

/// A sign that something has its line, and its count if it is a refusal.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an answer or a refusal takes it"]
pub struct Told(());

#[cfg(test)]
impl Told {
    /// What tests compare with.
    pub const HERE: Self = Self(());
}

/// What a line has of a request that is not answered yet. Nothing is copied while nobody wants lines.
#[derive(Clone, Debug)]
pub struct Heard {
    method: Box<str>,
    path: Box<str>,
    at: Tick,
    bytes_in: u64,
}

impl Heard {
    /// Of this request; `None`: no line is wanted.
    pub fn of(request: &Request<'_>, at: Tick) -> Option<Box<Self>> {
        Self::new(request.method(), request.path(), 0, at)
    }

    /// Of bytes that are no request.
    pub fn unread(at: Tick) -> Option<Box<Self>> {
        Self::new("-", "-", 0, at)
    }

    /// Of a call whose body has come: that is when it is whole.
    pub fn with_body(method: &str, path: &str, body: &[u8], at: Tick) -> Option<Box<Self>> {
        Self::new(method, path, body.len() as u64, at)
    }

    fn new(method: &str, path: &str, bytes_in: u64, at: Tick) -> Option<Box<Self>> {
        is_wanted().then(|| Box::new(Self { method: method.into(), path: path.into(), at, bytes_in }))
    }

    /// A line that has this of its request, which is answered now.
    pub fn line<'a>(heard: Option<&'a Self>, now: Tick) -> Line<'a> {
        let Some(Self { method, path, at, bytes_in }) = heard else { return Line::default() };
        Line {
            method: Some(method),
            path: Some(path),
            time: Some(now.since(*at)),
            bytes_in: Some(*bytes_in),
            ..Line::default()
        }
    }
}

/// Whether the log takes any of these lines.
pub fn is_wanted() -> bool {
    [ACCESS, REFUSED].into_iter().any(|target| log::log_enabled!(target: target, Level::Debug))
}

/// How many have been refused since the start, by reason; and what of them was not told in this second.
#[derive(Clone, Debug)]
pub struct AccessLog {
    refused: [u64; Reason::ALL.len()],
    second: u64,
    /// Lines of this second that were written, and that were left out, by what is said in them.
    sampled: [(u32, u64); Reason::ALL.len() + CUTS.len()],
    any_left_out: bool,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            refused: [0; Reason::ALL.len()],
            second: 0,
            sampled: [(0, 0); Reason::ALL.len() + CUTS.len()],
            any_left_out: false,
        }
    }
}

impl AccessLog {
    /// A client is refused: counts it, and has a line of it.
    pub fn refuse(&mut self, reason: Reason, line: Line<'_>, now: Tick) -> Told {
        self.refused[reason as usize] += 1;
        if self.may_tell(reason as usize, now) {
            write(REFUSED, "refused", Some(reason.as_str()), &line);
        }
        Told(())
    }

    /// A request is answered that is not refused, or whose connection was refused when it came.
    pub fn request(&mut self, line: Line<'_>) -> Told {
        write(ACCESS, "request", None, &line);
        Told(())
    }

    /// A WebSocket has ended: by a limit of the engine, or as its code says.
    pub fn session(&mut self, line: Line<'_>, cut: Option<Cut>) {
        let reason = cut.map_or_else(|| line.code.map_or("other", reason_of), name_of);
        write(ACCESS, "session", Some(reason), &line);
    }

    /// A connection that is no WebSocket was ended by a limit of the engine, which counts them.
    pub fn cut(&mut self, cut: Cut, line: Line<'_>, now: Tick) {
        let place = CUTS.iter().position(|known| *known == cut).unwrap_or_default();
        if self.may_tell(Reason::ALL.len() + place, now) {
            write(ACCESS, "cut", Some(name_of(cut)), &line);
        }
    }

    /// How many were refused for that reason.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize]
    }

    /// Time has gone on: tells how many lines were left out of a second that is over.
    pub fn note_time(&mut self, now: Tick) {
        if self.any_left_out && now.0 / 1000 != self.second {
            self.begin_second(now);
        }
    }

    /// No more lines will come in this second: tells how many of it were left out.
    pub fn finish(&mut self, now: Tick) {
        self.begin_second(now);
    }

    fn may_tell(&mut self, place: usize, now: Tick) -> bool {
        if now.0 / 1000 != self.second {
            self.begin_second(now);
        }
        let (told, left_out) = &mut self.sampled[place];
        let may = *told < LINES_A_REASON;
        match may {
            true => *told += 1,
            false => (*left_out, self.any_left_out) = (*left_out + 1, true),
        }
        may
    }

    fn begin_second(&mut self, now: Tick) {
        self.second = now.0 / 1000;
        let names = Reason::ALL.iter().map(|reason| (REFUSED, reason.as_str()));
        let names = names.chain(CUTS.iter().map(|cut| (ACCESS, name_of(*cut))));
        for ((target, reason), (told, left_out)) in names.zip(&mut self.sampled) {
            if *left_out > 0 {
                log::debug!(target: target, reason, lines = *left_out; "left out");
            }
            (*told, *left_out) = (0, 0);
        }
        self.any_left_out = false;
    }
}

fn write(target: &str, what: &str, reason: Option<&'static str>, line: &Line<'_>) {
    if log::log_enabled!(target: target, Level::Debug) {
        let address = line.address.map_or_else(|| "-".into(), |address| address.to_canonical().to_string());
        let fields = Fields { line, reason, address };
        let mut record = Record::builder();
        record.level(Level::Debug).target(target).key_values(&fields);
        log::logger().log(&record.args(format_args!("{what}")).build());
    }
}

/// The fields of a line in their order.
struct Fields<'a> {
    line: &'a Line<'a>,
    reason: Option<&'static str>,
    address: String,
}

impl Source for Fields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let Line { address: _, method, path, status, code, user, dialect, messages, time, bytes_in, bytes_out } =
            self.line;
        visitor.visit_pair("address".into(), (&*self.address).into())?;
        let mut tell = |name: &'static str, value: Option<kv::Value<'kvs>>| match value {
            Some(value) => visitor.visit_pair(name.into(), value),
            None => Ok(()),
        };
        tell("reason", self.reason.map(Into::into))?;
        tell("method", method.map(Into::into))?;
        tell("path", path.map(Into::into))?;
        tell("status", status.map(Into::into))?;
        tell("code", code.map(Into::into))?;
        tell("user", user.map(Into::into))?;
        tell("dialect", dialect.map(Into::into))?;
        tell("messages", messages.map(Into::into))?;
        tell("seconds", time.map(|time| time.as_secs_f64().into()))?;
        tell("bytes_in", bytes_in.map(Into::into))?;
        tell("bytes_out", bytes_out.map(Into::into))
    }
}

/// The limits of the engine, in the order of their counters.
const CUTS: [Cut; 5] = [Cut::OutboxBytes, Cut::BlockedTime, Cut::Memory, Cut::NoPong, Cut::NoRequest];

/// The name of a limit of the engine, in the log and in `/metrics`.
pub fn name_of(cut: Cut) -> &'static str {
    match cut {
        Cut::OutboxBytes => "outbox_bytes",
        Cut::BlockedTime => "blocked_time",
        Cut::Memory => "memory",
        Cut::NoPong => "no_pong",
        Cut::NoRequest => "no_request",
        // There is no other kind in this version of the engine.
        _ => "other",
    }
}

/// Why a WebSocket was closed, by its code, in a word.
fn reason_of(code: u16) -> &'static str {
    match code {
        1000 => "normal",
        1001 => "going_away",
        1002 => "protocol",
        1003 => "not_text",
        1005 => "no_code",
        1006 => "lost",
        1007 => "not_utf8",
        1008 => "policy",
        1009 => "too_long",
        1011 => "mistake",
        1012 => "stopping",
        1013 => "overloaded",
        4001 => "token",
        4003 => "banned",
        4010 => "kicked",
        4100 => "too_many",
        4101 => "rate",
        4200 => "disconnected",
        4201 => "no_pong",
        _ => "other",
    }
}

/// Lines about one reason in a second of the clock; the others are counted.
pub const LINES_A_REASON: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each reason so many lines in a second, and the count of all.
    #[test]
    fn a_reason_has_so_many_lines_in_a_second() {
        let mut log = AccessLog::default();
        let told = |log: &mut AccessLog, place, times: usize, now| {
            (0..times).filter(|_| log.may_tell(place, Tick(now))).count() as u32
        };
        let (full, cut) = (Reason::Full as usize, Reason::ALL.len());
        assert_eq!(told(&mut log, full, 15, 7000), 15);
        assert_eq!(told(&mut log, full, 15, 7999), LINES_A_REASON - 15);
        assert_eq!(told(&mut log, cut, 30, 7999), LINES_A_REASON, "another reason");
        assert_eq!((log.sampled[full], log.sampled[cut]), ((20, 10), (20, 10)));
        log.note_time(Tick(7999));
        assert!(log.any_left_out, "the second is not over");
        log.note_time(Tick(8000));
        assert_eq!((log.sampled[full], log.any_left_out), ((0, 0), false));
        assert_eq!(told(&mut log, full, 30, 8000), LINES_A_REASON);
        (0..30).for_each(|_| drop(log.refuse(Reason::Full, Line::default(), Tick(8000))));
        assert_eq!(log.refused(Reason::Full), 30, "whole, whatever is told");
    }

    /// Each code that is the chat's or the engine's own has a word.
    #[test]
    fn each_code_of_ours_has_a_word() {
        let ours = crate::chat::CLOSE_CODES.iter().map(|code| code.get());
        for code in ours.chain([1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4201]) {
            assert_ne!(reason_of(code), "other", "{code}");
        }
    }
}
