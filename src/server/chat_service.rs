//! The chat as a [`Service`] of the loop: events of the engine go to the chat, deliveries of the chat go to the engine.
//!
//! [`super::responder`] decides the answer to a request; this module carries it out. [`super::calls`] knows the open
//! calls of the operator.

use crate::backend::Backend;
use crate::chat::{self, Chat, Deliveries};
use crate::engine::{Engine, Event, LeftBehind};
use crate::id::ConnId;
use crate::proto::CloseCode;
use crate::random::Random;
use crate::time::{Moment, Tick};

use super::admission::Verdict;
use super::calls::Calls;
use super::entry_error::EntryError;
use super::http::{self, NO_STORE, Response};
use super::reports;
use super::responder::{Answer, Asked, Responder};
use super::settings::{Settings, Starter, State};
use super::socket::Socket;
use super::sources::Sources;
use super::system::System;
use super::top::Top;
use super::{Port, Reloaded, Seen, Service, Turn};

/// The chat as a service of the loop.
pub(crate) struct ChatService {
    chat: Chat,
    deliveries: Deliveries,
    responder: Responder,
    calls: Calls,
    /// Panics that ended one request and nothing else.
    panics: u64,
    stopping: bool,
    top: Top,
    starter: Box<dyn Starter>,
    /// When the starter expects the next sign of life.
    alive_at: Option<Tick>,
}

/// What to do about an event, beside the chat's deliveries.
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// A session has ended: its line for the log.
    Ended(String),
    /// A request that needs an answer.
    Answer(Asked, Box<Answer>),
}

impl ChatService {
    /// A service without connections. `random` gives what nobody may foresee: ids of sessions, names of guests.
    pub fn new(settings: Settings, store: Box<dyn Backend>, starter: Box<dyn Starter>, random: Random) -> Self {
        let responder = Responder::new(&settings);
        let connections = chat::Connections {
            message_bytes: settings.engine.limits.message_bytes as usize,
            ping_after: settings.engine.ping_after.unwrap_or_default(),
        };
        let chat = Chat::new(settings.chat, store, random).with_connections(connections);
        Self {
            chat: match responder.verifier() {
                Some(verifier) => chat.with_verifier(verifier),
                None => chat,
            },
            deliveries: Deliveries::new(),
            responder,
            calls: Calls::default(),
            panics: 0,
            stopping: false,
            top: Top::default(),
            alive_at: starter.wants_to_hear_every().map(|_| Tick(0)),
            starter,
        }
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

    /// The sources of reports.
    fn sources<'a>(&'a self, seen: &'a Seen<'a>) -> Sources<'a> {
        let Self { chat, calls, panics, stopping, .. } = self;
        Sources { seen, chat, calls: calls.outcomes(), panics: *panics, stopping: *stopping }
    }

    /// Answers a request.
    fn give<S: System>(&mut self, id: ConnId, asked: Asked, answer: Answer, turn: &mut Turn<'_, S>) {
        let pays = asked.pays && matches!(answer, Answer::Respond(_) | Answer::Refuse(_));
        if pays && !turn.may_ask(id, asked.said) {
            // It gets no other answer, whatever else was wrong with the request; and its connection ends, so that its
            // further requests cost nothing.
            return turn.refuse(id, asked.ending(), &EntryError::AskedTooFast, &mut self.calls);
        }
        match answer {
            Answer::Respond(response) => turn.engine.respond(id, &response, asked.keep),
            Answer::Refuse(error) => turn.refuse(id, asked, &error, &mut self.calls),
            Answer::Upgrade { response, deflate, door } => match turn.count(id, asked.said) {
                Verdict::Welcome { .. } => {
                    turn.engine.upgrade_with(id, &response, deflate.as_ref());
                    let from = turn.engine.stream_mut(id).and_then(|socket| socket.counted_address());
                    self.chat.handle_open(id, door, from, turn.now, &mut self.deliveries);
                }
                Verdict::TooMany => {
                    turn.engine.upgrade_with(id, &response, deflate.as_ref());
                    self.chat.turn_away(id, &door, turn.now, &mut self.deliveries);
                }
                Verdict::TooFast => turn.refuse(id, asked.ending(), &EntryError::TooFast, &mut self.calls),
                Verdict::Dropped => turn.engine.abort(id),
            },
            Answer::TurnAway { response, door } => {
                turn.engine.upgrade(id, &response);
                self.chat.turn_away(id, &door, turn.now, &mut self.deliveries);
            }
            Answer::Look(look) => {
                match look.word(&mut self.top, &mut self.chat, turn.engine, turn.now, self.stopping) {
                    Ok(body) => {
                        let response = Response { headers: &[NO_STORE], ..Response::new(200, http::JSON, &body) };
                        turn.engine.respond(id, &asked.word(response, turn.now), asked.keep);
                    }
                    Err(error) => turn.refuse(id, asked, &error, &mut self.calls),
                }
            }
            Answer::Receive(head) => {
                let note = Calls::note(head.call, asked.keep);
                turn.engine.receive_body(id, head.body_len, note, head.interim());
            }
            Answer::Call(call) => {
                self.calls.begin(id, asked.keep);
                self.chat.handle_call(id, call, b"", turn.now, &mut self.deliveries);
            }
        }
    }
}

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
                let story = log::log_enabled!(log::Level::Debug).then(|| reports::ended(&self.chat, id, now)).flatten();
                self.chat.handle_closed(id, now, &mut self.deliveries);
                return story.map_or(Then::Nothing, Then::Ended);
            }
            Event::Request(request) => {
                let (asked, answer) = self.responder.answer(request, port, &self.sources(seen));
                self.panics += u64::from(matches!(answer, Answer::Refuse(EntryError::Mistake)));
                return Then::Answer(asked, Box::new(answer));
            }
            Event::Body { note, bytes } => {
                let (call, keep) = Calls::of_note(note);
                self.calls.begin(id, keep && !self.stopping);
                self.chat.handle_call(id, call, bytes, now, &mut self.deliveries);
            }
            Event::BadRequest(error) => {
                return Then::Answer(Asked::UNREAD, Box::new(Answer::Refuse(EntryError::Request(error))));
            }
        }
        Then::Nothing
    }

    fn carry_out(&mut self, id: ConnId, then: Then, turn: &mut Turn<'_, S>) {
        match then {
            Then::Nothing => {}
            Then::Answer(asked, answer) => self.give(id, asked, *answer, turn),
            Then::Ended(story) => {
                if let Some((_, socket, code)) = turn.engine.last_closed() {
                    // A proxy's Unix socket has none.
                    let address = socket.client().map_or_else(|| "-".into(), |address| address.to_string());
                    log::debug!("ended: {story} at {address}, closed with {code}");
                }
            }
        }
        self.deliver(turn);
    }

    fn deliver(&mut self, turn: &mut Turn<'_, S>) {
        turn.deliver(&mut self.deliveries, &mut self.calls);
        // Before anything else happens in the chat, which must not take them for members of the topic.
        while let Some(first) = turn.engine.left_behind() {
            let others = std::iter::from_fn(|| turn.engine.left_behind());
            let behind = std::iter::once(first).chain(others).map(|LeftBehind { id, topic, heard }| (id, topic, heard));
            self.chat.handle_left_behind(behind, turn.now, &mut self.deliveries);
            turn.deliver(&mut self.deliveries, &mut self.calls);
        }
    }

    fn handle_timeout(&mut self, now: Moment) {
        if let Some(every) = self.starter.wants_to_hear_every()
            && self.alive_at.is_some_and(|at| at <= now.tick)
        {
            self.starter.note(State::Alive);
            self.alive_at = Some(now.tick + every);
        }
        self.chat.handle_timeout(now, &mut self.deliveries);
    }

    fn handle_wake(&mut self, now: Moment) {
        self.chat.handle_backend(now, &mut self.deliveries);
    }

    fn has_more_to_hear(&self) -> bool {
        self.chat.has_more_to_hear()
    }

    fn next_deadline(&self) -> Option<Tick> {
        [self.chat.next_deadline(), self.alive_at].into_iter().flatten().min()
    }

    fn reload(&mut self) -> Option<Reloaded> {
        let settings = match self.starter.reload() {
            Ok(settings) => settings,
            Err(error) => {
                log::error!("the settings stay as they were: {error}");
                return None;
            }
        };
        self.responder.change(&settings);
        self.chat.change_settings(settings.chat, self.responder.verifier());
        Some(Reloaded { bounds: settings.bounds, identity: settings.tls.map(|(_, identity)| identity) })
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

    fn shut_down(&mut self, turn: &mut Turn<'_, S>) {
        self.starter.note(State::Stopping);
        self.stopping = true;
        self.chat.handle_shutdown(turn.now, &mut self.deliveries);
        self.deliver(turn);
    }

    fn is_idle(&self) -> bool {
        self.chat.is_idle()
    }

    fn close_all(&mut self, engine: &mut Engine<Socket<S>>) {
        for id in engine.ids() {
            engine.close(id, CloseCode::SERVICE_RESTART, "the server stops or starts again");
        }
    }
}
