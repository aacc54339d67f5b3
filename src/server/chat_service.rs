//! The chat as a [`Service`] of the loop: events of the engine go to the chat, deliveries of the chat go to the engine.
//!
//! [`super::responder`] decides the answer to a request; this module carries it out. [`super::calls`] knows the open
//! calls of the operator.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::backend::Backend;
use crate::chat::{self, Call, Chat, Deliveries};
use crate::engine::{Engine, Event, LeftBehind};
use crate::id::ConnId;
use crate::proto::CloseCode;
use crate::proto::chunked::ChunkError;
use crate::random::Random;
use crate::time::{Moment, Tick};

use super::access::{self, Heard, Line};
use super::admission::Verdict;
use super::api::{self, Body, MAX_BODY_BYTES, Named};
use super::asked::Asked;
use super::batch::{Batch, CALLS_A_TURN, Part};
use super::calls::{Calls, Reply};
use super::doors;
use super::entry_error::{CallError, EntryError};
use super::http::{self, NO_STORE, Response};
use super::operators::{Right, Rights};
use super::reports::{self, Ended};
use super::responder::{Answer, Responder};
use super::settings::{Reading, Settings, Starter, State};
use super::socket::Socket;
use super::sources::{LastReload, Sources, line};
use super::system::System;
use super::top::Top;
use super::trail::Step;
use super::{Port, Reloaded, Seen, Service, Turn};

/// The chat as a service of the loop.
pub(crate) struct ChatService {
    chat: Chat,
    deliveries: Deliveries,
    responder: Responder,
    calls: Calls,
    /// Calls of batches that were made in this turn.
    batched: usize,
    /// Panics that ended one request and nothing else.
    panics: u64,
    stopping: bool,
    /// It will stop soon.
    leaving: bool,
    last_reload: Option<LastReload>,
    /// When it was started, in milliseconds since the Unix epoch, as it was told first: clocks drift apart.
    started: OnceCell<u64>,
    /// Callers who have asked for the settings to be read again.
    reloads: Vec<Reloads>,
    /// What came of it, to be told to them: a status and a text.
    reloaded: Option<(u16, Vec<u8>)>,
    top: Top,
    starter: Box<dyn Starter>,
    /// The settings in force.
    settings: Settings,
    /// When the starter expects the next sign of life.
    alive_at: Option<Tick>,
    /// No client is late before then.
    patient_until: Option<Tick>,
}

/// Somebody who has asked for the settings to be read again: who it is, and what is told of the call when it is
/// answered.
struct Reloads {
    to: ConnId,
    asked: Asked,
    operator: Arc<str>,
    heard: Option<Box<Heard>>,
}

/// A call, as an operator has made it.
struct Made<'a> {
    operator: &'a Arc<str>,
    call: Call,
    body: &'a [u8],
}

/// What to do about an event, beside the chat's deliveries.
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// A WebSocket has ended; its session, if it was one.
    Ended(Option<Ended>),
    /// A request that needs an answer; and what the log has of it.
    Answer(Asked, Box<Answer>, Option<Box<Heard>>),
}

impl ChatService {
    /// A service without connections. `random` gives what nobody may foresee: ids of sessions, names of guests.
    pub fn new(settings: Settings, store: Box<dyn Backend>, starter: Box<dyn Starter>, random: Random) -> Self {
        let responder = Responder::new(&settings);
        let connections = chat::Connections {
            message_bytes: settings.engine.limits.message_bytes as usize,
            ping_after: settings.engine.ping_after.unwrap_or_default(),
        };
        let calls = Calls::new(&random.keyed());
        let chat = Chat::new(settings.chat.clone(), store, random).with_connections(connections);
        Self {
            chat: match responder.verifier() {
                Some(verifier) => chat.with_verifier(verifier),
                None => chat,
            },
            deliveries: Deliveries::new(),
            responder,
            calls,
            batched: 0,
            panics: 0,
            stopping: false,
            leaving: false,
            last_reload: None,
            started: OnceCell::new(),
            reloads: Vec::new(),
            reloaded: None,
            top: Top::default(),
            alive_at: starter.wants_to_hear_every().map(|_| Tick(0)),
            patient_until: None,
            starter,
            settings,
        }
    }

    /// Ends it, and with it the store; what is left are the settings in force and the starter.
    pub fn into_parts(self) -> (Settings, Box<dyn Starter>) {
        (self.settings, self.starter)
    }

    /// The chat, to be looked at.
    pub fn chat(&self) -> &Chat {
        &self.chat
    }

    /// Panics that ended one request and nothing else.
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// How many calls are owed an answer.
    pub fn owed(&self) -> usize {
        self.calls.owed()
    }

    /// Has the store keep what an operator has done.
    fn keep(&mut self, step: &Step, status: u16, now: Moment) {
        if let Err(error) = self.chat.note_step(step.kept(status, now.unix_ms)) {
            log::warn!("the trail lacks a step, which the log has: {error}");
        }
    }

    /// The sources of reports.
    fn sources<'a>(&'a self, seen: &'a Seen<'a>) -> Sources<'a> {
        let Self { chat, calls, panics, stopping, leaving, last_reload, started, .. } = self;
        let leaving = *stopping || *leaving;
        Sources {
            seen,
            chat,
            calls: calls.outcomes(),
            panics: *panics,
            stopping: *stopping,
            leaving,
            reload: *last_reload,
            started: *started.get_or_init(|| seen.now.unix_ms.saturating_sub(seen.now.tick.0)),
        }
    }

    /// Checks that the operator of a call that is whole may make it; one that is refused has its line in the trail.
    fn may(&self, made: &Made<'_>) -> Result<(), EntryError> {
        let right = api::right_of(made.call);
        self.has(made.operator, right).inspect_err(|_| {
            if let Some(step) = self.step_of(made.operator, made.call, made.body) {
                step.tell(LACKS);
            }
        })
    }

    /// Those of an operator, who may be none any more since the call began.
    fn rights_of(&self, operator: &str) -> Rights {
        self.responder.operators().rights_of(operator).unwrap_or(Rights::NONE)
    }

    fn has(&self, operator: &str, right: Right) -> Result<(), EntryError> {
        if self.rights_of(operator).have(right) { Ok(()) } else { Err(EntryError::Right(right)) }
    }

    /// A call is whole: the chat carries it out.
    fn call(&mut self, id: ConnId, asked: Asked, made: Made<'_>, heard: Option<Box<Heard>>, now: Moment) {
        let Made { operator, call, body } = made;
        let step = self.step_of(operator, call, body);
        self.calls.begin(id, asked, step, heard);
        self.chat.handle_call(id, call, body, now, &mut self.deliveries);
    }

    fn step_of(&self, operator: &Arc<str>, call: Call, body: &[u8]) -> Option<Step> {
        let user_of = |session: &str| {
            let id = u64::from_str_radix(session, 16).ok()?;
            let session = self.chat.sessions().find(|session| session.session_id == id)?;
            Some(session.user.as_str().to_owned())
        };
        Step::of(operator, call, body, user_of)
    }

    /// Makes the next call of a batch, or answers one whose calls are answered. Returns whether there was one, and the
    /// turn may still make it.
    fn go_on<S: System>(&mut self, turn: &mut Turn<'_, S>) -> bool {
        if self.batched == CALLS_A_TURN {
            return false;
        }
        let Some(mut going) = self.calls.next_batch() else { return false };
        self.batched += 1;
        match going.batch.take_next() {
            Some(Part::Make(call, body)) => {
                let step = self.step_of(&going.batch.operator, call, &body);
                let id = going.id;
                self.calls.begin_in_batch(going, step);
                self.chat.handle_call(id, call, &body, turn.now, &mut self.deliveries);
            }
            Some(Part::Refused(refused, body)) => {
                if let Some(reason) = refused.reason {
                    let client = turn.address(going.id, None);
                    let _ = turn.admission.refuse(reason, client, turn.now.tick);
                }
                if let Some(call) = refused.lacks
                    && let Some(step) = self.step_of(&going.batch.operator, call, &body)
                {
                    step.tell(refused.status);
                }
                self.calls.note_answered(refused.status);
                going.batch.note(refused.status, &refused.error(&body));
                self.calls.go_on(going);
            }
            None => {
                let Reply { to, said, worded, heard } = going.into_reply(turn.now);
                turn.answer(to, said, worded, None, heard.as_deref());
            }
        }
        true
    }

    /// Does what the chat wants done, and tells it who was left behind in that.
    fn carry_out_all<S: System>(&mut self, turn: &mut Turn<'_, S>) {
        turn.deliver(&mut self.deliveries, &mut self.calls);
        for (step, status) in self.calls.take_done() {
            self.keep(&step, status, turn.now);
        }
        // Before anything else happens in the chat, which must not take them for members of the topic.
        while let Some(first) = turn.engine.left_behind() {
            let others = std::iter::from_fn(|| turn.engine.left_behind());
            let behind =
                std::iter::once(first).chain(others).map(|LeftBehind { id, topic, heard, .. }| (id, topic, heard));
            self.chat.handle_left_behind(behind, turn.now, &mut self.deliveries);
            turn.deliver(&mut self.deliveries, &mut self.calls);
        }
    }

    /// Answers a request, or sees to it that it is answered later.
    fn give<S: System>(
        &mut self,
        id: ConnId,
        asked: Asked,
        answer: Answer,
        heard: Option<Box<Heard>>,
        turn: &mut Turn<'_, S>,
    ) {
        let line = heard.as_deref();
        if asked.let_in
            && let Some(socket) = turn.engine.stream_mut(id)
        {
            socket.let_in(!self.responder.operators().is_empty());
        }
        if asked.pays && asked.forwarded {
            turn.note_forwarded(id);
        }
        let pays = asked.pays && matches!(answer, Answer::Respond(_) | Answer::Refuse(_));
        if pays && !turn.may_ask(id, asked.said) {
            // It gets no other answer, whatever else was wrong with the request; and its connection ends, so that its
            // further requests cost nothing.
            return turn.refuse(id, asked.ending(), &EntryError::AskedTooFast, line, &mut self.calls);
        }
        match answer {
            Answer::Respond(worded) => turn.answer(id, asked.said, worded, None, line),
            Answer::Refuse(error) => turn.refuse(id, asked, &error, line, &mut self.calls),
            Answer::RefuseCall(error, body) => turn.refuse_with(id, asked, &error, &body, line, &mut self.calls),
            Answer::Upgrade { response, agreed, door } => match turn.count(id, asked.said) {
                Verdict::Welcome { .. } => {
                    turn.open(id, asked.said, &response, &agreed, line);
                    let from = turn.engine.stream_mut(id).and_then(|socket| socket.counted_address());
                    self.chat.handle_open(id, door, from, turn.now, &mut self.deliveries);
                }
                Verdict::TooMany(_) => {
                    turn.open(id, asked.said, &response, &agreed, line);
                    self.chat.turn_away(id, &door, turn.now, &mut self.deliveries);
                }
                Verdict::TooFast(_) => turn.refuse(id, asked.ending(), &EntryError::TooFast, line, &mut self.calls),
                Verdict::Dropped(_) => turn.engine.abort(id),
            },
            Answer::TurnAway { response, agreed, door } => {
                turn.open(id, asked.said, &response, &agreed, line);
                self.chat.turn_away(id, &door, turn.now, &mut self.deliveries);
            }
            Answer::Look(look) => {
                match look.word(&mut self.top, &mut self.chat, turn.engine, turn.now, self.stopping || self.leaving) {
                    Ok(body) => {
                        let response = Response { headers: &[NO_STORE], ..Response::new(200, http::JSON, &body) };
                        turn.answer(id, asked.said, asked.word(response, turn.now), None, line);
                    }
                    Err(error) => turn.refuse(id, asked, &error, line, &mut self.calls),
                }
            }
            Answer::Settings => {
                let text = self.starter.in_force();
                let response = Response { headers: &[NO_STORE], ..Response::new(200, http::TEXT, text.as_bytes()) };
                turn.answer(id, asked.said, asked.word(response, turn.now), None, line);
            }
            Answer::Reload(operator) => {
                if let Err(error) = self.has(&operator, Right::Reload) {
                    Step::reload(&operator).tell(LACKS);
                    return turn.refuse(id, asked.ending(), &error, line, &mut self.calls);
                }
                self.reloads.push(Reloads { to: id, asked, operator, heard });
            }
            Answer::Receive(head, operator) => {
                let note = self.calls.note(head.named, &operator, asked.keep);
                match head.body {
                    Body::Length(len) => turn.engine.receive_body(id, len, note, head.interim()),
                    Body::Chunks => turn.engine.receive_chunked_body(id, MAX_BODY_BYTES, note, head.interim()),
                }
            }
            Answer::Call(Named::Call(call), operator) => {
                let made = Made { operator: &operator, call, body: b"" };
                match self.may(&made) {
                    Ok(()) => self.call(id, asked, made, heard, turn.now),
                    Err(error) => turn.refuse(id, asked.ending(), &error, line, &mut self.calls),
                }
            }
            // Nothing is in it.
            Answer::Call(Named::Batch, _) => {
                turn.refuse(id, asked, &CallError::Batch.into(), line, &mut self.calls);
            }
            Answer::Call(Named::Refused(error, _), _) => turn.refuse(id, asked, &error.into(), line, &mut self.calls),
        }
    }
}

/// The status of a call that its operator may not make.
const LACKS: u16 = 403;

/// The code of a reload that changes nothing, because something is wrong.
pub(super) const SETTINGS_REFUSED: &str = "settings_refused";

impl<S: System> Service<S> for ChatService {
    type Then = Then;

    fn handle(&mut self, id: ConnId, port: Port, event: Event<'_>, seen: &Seen<'_>) -> Then {
        let now = seen.now;
        match event {
            // All connections will be closed, once earlier requests have their answers.
            Event::Text(_) | Event::Binary(_) | Event::Control | Event::Drained if self.stopping => {}
            Event::Text(text) => self.chat.handle_text(id, text, now, &mut self.deliveries),
            Event::Binary(_) => self.chat.handle_binary(id, now, &mut self.deliveries),
            Event::Control => self.chat.handle_ping(id, now, &mut self.deliveries),
            Event::Drained => self.chat.handle_drained(id, now, &mut self.deliveries),
            Event::Closed => {
                let ended = access::is_wanted().then(|| reports::ended(&self.chat, id, now)).flatten();
                self.chat.handle_closed(id, now, &mut self.deliveries);
                return Then::Ended(ended);
            }
            Event::Request(request) => {
                let (asked, answer) = self.responder.answer(request, port, &self.sources(seen));
                self.panics += u64::from(matches!(answer, Answer::Refuse(EntryError::Mistake)));
                return Then::Answer(asked, Box::new(answer), Heard::of(request, now.tick));
            }
            Event::Body { note, bytes } => {
                let (named, operator, keep) = self.calls.of_note(note);
                let asked = Asked { keep: keep && !self.stopping, operator: true, call: true, ..Asked::UNREAD };
                let heard = Heard::with_body(named.method(), &[doors::CALLS, named.as_str()].concat(), bytes, now.tick);
                match named {
                    Named::Call(call) => {
                        let made = Made { operator: &operator, call, body: bytes };
                        if let Err(error) = self.may(&made) {
                            let answer = Answer::RefuseCall(error, bytes.into());
                            return Then::Answer(asked.ending(), Box::new(answer), heard);
                        }
                        self.call(id, asked, made, heard, now);
                    }
                    Named::Batch => {
                        let rights = self.rights_of(&operator);
                        let Some(batch) = Batch::parse(operator, rights, bytes) else {
                            let answer = Answer::RefuseCall(CallError::Batch.into(), bytes.into());
                            return Then::Answer(asked, Box::new(answer), heard);
                        };
                        self.calls.begin_batch(id, asked, Box::new(batch), heard);
                    }
                    Named::Refused(error, _) => {
                        return Then::Answer(asked, Box::new(Answer::RefuseCall(error.into(), bytes.into())), heard);
                    }
                }
            }
            Event::BadBody { note, error } => {
                let (named, ..) = self.calls.of_note(note);
                let asked = Asked { operator: true, call: true, ..Asked::UNREAD };
                let heard = Heard::with_body(named.method(), &[doors::CALLS, named.as_str()].concat(), b"", now.tick);
                let error = match error {
                    ChunkError::TooLarge => CallError::TooLarge,
                    _ => CallError::Chunks,
                };
                return Then::Answer(asked, Box::new(Answer::Refuse(error.into())), heard);
            }
            Event::BadRequest(error) => {
                let asked = Asked { operator: port == Port::Admin, ..Asked::UNREAD };
                let answer = Box::new(Answer::Refuse(EntryError::Request(error)));
                return Then::Answer(asked, answer, Heard::unread(now.tick));
            }
            // There is no other kind in this version of the engine.
            _ => {}
        }
        Then::Nothing
    }

    fn carry_out(&mut self, id: ConnId, then: Then, turn: &mut Turn<'_, S>) {
        match then {
            Then::Nothing => {}
            Then::Answer(asked, answer, heard) => self.give(id, asked, *answer, heard, turn),
            Then::Ended(ended) => {
                if let (Some((_, socket, code)), Some(end)) = (turn.engine.last_closed(), turn.engine.end_of(id)) {
                    let line = Line {
                        address: socket.client(),
                        code: Some(code),
                        bytes_in: Some(end.bytes_in),
                        bytes_out: Some(end.bytes_out),
                        ..ended.as_ref().map(Ended::line).unwrap_or_default()
                    };
                    turn.admission.access_mut().session(line, end.cut);
                }
            }
        }
        self.deliver(turn);
    }

    fn deliver(&mut self, turn: &mut Turn<'_, S>) {
        if let Some((status, text)) = self.reloaded.take() {
            for Reloads { to: id, asked, operator, heard } in std::mem::take(&mut self.reloads) {
                let step = Step::reload(&operator);
                step.tell(status);
                self.keep(&step, status, turn.now);
                let response = Response { headers: &[NO_STORE], ..Response::new(status, http::JSON, &text) };
                self.calls.note_answered(status);
                turn.answer(id, asked.said, asked.word(response, turn.now), None, heard.as_deref());
            }
        }
        for (room, why) in self.chat.take_unread_settings() {
            log::warn!("the message store: {}", chat::unread_setting(room.as_str(), &why));
        }
        self.carry_out_all(turn);
        while self.go_on(turn) {
            self.carry_out_all(turn);
        }
    }

    fn handle_timeout(&mut self, now: Moment) {
        if let Some(every) = self.starter.wants_to_hear_every()
            && self.alive_at.is_some_and(|at| at <= now.tick)
        {
            self.starter.note(State::Alive);
            self.alive_at = Some(now.tick + every);
        }
        if self.patient_until.is_none_or(|until| until <= now.tick) {
            self.chat.handle_timeout(now, &mut self.deliveries);
        }
    }

    fn end_turn(&mut self) {
        self.batched = 0;
        self.chat.hand_over();
    }

    fn turn_took(&mut self, began: Tick, took: Duration) {
        self.chat.turn_took(began, took);
    }

    fn handle_wake(&mut self, now: Moment) {
        self.chat.handle_backend(now, &mut self.deliveries);
    }

    fn has_more_to_hear(&self) -> bool {
        self.chat.has_more_to_hear() || self.calls.has_batches()
    }

    fn next_deadline(&self) -> Option<Tick> {
        let of_clients = self.chat.next_deadline().map(|at| at.max(self.patient_until.unwrap_or(at)));
        [of_clients, self.alive_at].into_iter().flatten().min()
    }

    fn be_patient(&mut self, until: Option<Tick>) {
        self.patient_until = until;
    }

    fn wants_reload(&self) -> bool {
        !self.reloads.is_empty()
    }

    fn reload(&mut self, now: Moment) -> Option<Reloaded> {
        #[derive(Serialize)]
        struct Changed<'a> {
            r#type: &'static str,
            changed: &'a [String],
            at_the_next_start: &'a [String],
        }
        /// As an error of the chat, which has no such code.
        #[derive(Serialize)]
        struct Wrong<'a> {
            r#type: &'static str,
            code: &'static str,
            message: &'a str,
            retry: bool,
        }
        self.starter.note(State::Reloading);
        let reading = self.starter.reload();
        self.last_reload = Some(LastReload { unix_ms: now.unix_ms, successful: reading.is_ok() });
        self.starter.note(State::Reloaded { error: reading.as_ref().err().map(String::as_str) });
        let settings = match reading {
            Ok(Reading { settings, changed, at_the_next_start }) => {
                let text = Changed { r#type: "reloaded", changed: &changed, at_the_next_start: &at_the_next_start };
                self.reloaded = Some((200, line(&text).into_bytes()));
                settings
            }
            Err(error) => {
                log::error!("the settings stay as they were: {error}");
                let message = format!("the settings stay as they were: {error}");
                let text = Wrong { r#type: "error", code: SETTINGS_REFUSED, message: &message, retry: false };
                self.reloaded = Some((409, line(&text).into_bytes()));
                return None;
            }
        };
        self.responder.change(&settings);
        // Where it sends is known only since the start.
        self.settings = Settings { https_port: self.settings.https_port, ..settings.clone() };
        let certificates = settings.certificates();
        self.chat.change_settings(settings.chat, self.responder.verifier(), now);
        Some(Reloaded { bounds: settings.bounds, certificates })
    }

    fn held(&self) -> (chat::Held, usize) {
        (self.chat.held(), self.deliveries.held_bytes())
    }

    fn set_memory_left(&mut self, bytes: Option<usize>) {
        self.chat.set_memory_left(bytes);
    }

    fn drop_oldest(&mut self, bytes: usize, now: Moment) -> bool {
        self.chat.drop_oldest(bytes, now, &mut self.deliveries) > 0
    }

    fn leave(&mut self, within: Duration) {
        self.starter.note(State::Stopping { within });
        self.leaving = true;
    }

    fn shut_down(&mut self, turn: &mut Turn<'_, S>, within: Duration) {
        if !self.leaving {
            self.starter.note(State::Stopping { within });
        }
        self.stopping = true;
        self.chat.handle_shutdown(turn.now, &mut self.deliveries);
        self.deliver(turn);
    }

    fn is_idle(&self) -> bool {
        self.chat.is_idle() && !self.calls.has_batches()
    }

    fn close_all(&mut self, engine: &mut Engine<Socket<S>>) {
        for id in engine.ids() {
            engine.close(id, CloseCode::SERVICE_RESTART, "the server stops or starts again");
        }
    }

    fn let_go(&mut self) {
        self.chat.let_go_of_store();
    }
}
