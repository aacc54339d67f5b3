//! The chat, its page and its reports as a [`Service`] of the loop.
//!
//! What the engine hears goes to the chat; what the chat wants delivered goes to the engine; requests go to their doors.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::backend::Memory;
use crate::chat::{self, Call, Chat, Code, Deliveries, Delivery, Door, Verifier};
use crate::engine::{Engine, Event};
use crate::id::ConnId;
use crate::proto::handshake::{Request, encode_switching_protocols_with};
use crate::proto::{ClientContext, CloseCode, Kind, PermessageDeflate};
use crate::random::Random;
use crate::time::{Moment, Tick};

use super::admin_key::AdminKey;
use super::admission::{Admission, Verdict};
use super::api::{self, CallHead, Outcomes};
use super::doors::{self, Asset, Entry, Guard, Refusal, Report};
use super::forwarded::Proxies;
use super::http::{self, Response};
use super::jwt::Keys;
use super::origin::Origin;
use super::reactor::Bounds;
use super::refusals::Reason;
use super::serve::{Settings, Starter, State};
use super::socket::Socket;
use super::top::{self, Top};
use super::{Port, Seen, Service, metrics};

/// The chat as a service of the loop.
pub(super) struct ChatService {
    chat: Chat,
    origins: Vec<Origin>,
    proxies: Proxies,
    keys: Option<Rc<Keys>>,
    admin_key: Option<AdminKey>,
    deflate: bool,
    deliveries: Deliveries,
    /// Calls whose answer the chat owes, and whether their connections are kept.
    calls: HashMap<ConnId, bool>,
    outcomes: Outcomes,
    /// Panics that ended one request and nothing else.
    panics: u64,
    /// Who has asked last, whom a proxy says that is for, and why it was refused, if it was.
    asked: Option<ConnId>,
    spoken_for: Option<IpAddr>,
    turned_away: Option<Reason>,
    /// Of a session that has ended: what is to be logged of it, if anything is.
    ended: Option<String>,
    /// A request that was read, and its answer in `response`.
    todo: Option<(ConnId, Todo)>,
    /// It came in by the public port and opens no WebSocket.
    asks: Option<Asks>,
    /// Validators of the files that have been asked for.
    tags: HashMap<&'static str, String>,
    response: Vec<u8>,
    now: Moment,
    stopping: bool,
    top: Top,
    starter: Box<dyn Starter>,
    /// When the starter is to hear of us next.
    alive_at: Option<Tick>,
}

/// A request that its address pays for.
struct Asks {
    /// Whom a proxy says that it is for.
    said: Option<IpAddr>,
    head_only: bool,
}

enum Todo {
    /// To be let in; the address is that of the client, if a proxy that is believed has said it.
    Upgrade(Door, Option<PermessageDeflate>, Option<IpAddr>),
    /// To be let in only to hear that there are too many of its address.
    TurnAway(Door),
    Respond {
        keep: bool,
    },
    /// To be told what the engine knows.
    Look {
        at: Look,
        head_only: bool,
        keep: bool,
    },
    /// To be asked for the body of a call.
    Receive {
        head: CallHead,
        keep: bool,
    },
}

/// What the engine has to be asked about.
#[derive(Clone, Copy)]
enum Look {
    Top,
    /// By its id.
    Session(u64),
}

impl ChatService {
    /// With nobody there yet.
    pub fn new(settings: Settings, starter: Box<dyn Starter>) -> Self {
        let memory = Memory::new(settings.chat.history(), Random::secret());
        let chat = Chat::new(settings.chat, Box::new(memory), Random::secret());
        let keys = settings.keys.map(Rc::new);
        Self {
            chat: match &keys {
                Some(keys) => chat.with_verifier(keys.clone()),
                None => chat,
            },
            origins: settings.origins,
            proxies: settings.proxies,
            keys,
            admin_key: settings.admin_key,
            deflate: settings.deflate,
            deliveries: Deliveries::new(),
            calls: HashMap::new(),
            outcomes: Outcomes::default(),
            panics: 0,
            asked: None,
            spoken_for: None,
            turned_away: None,
            ended: None,
            todo: None,
            asks: None,
            tags: HashMap::new(),
            response: Vec::new(),
            now: Moment::default(),
            stopping: false,
            top: Top::default(),
            alive_at: starter.wants_to_hear_every().map(|_| Tick(0)),
            starter,
        }
    }

    /// Words the answer to a request; it is sent when the engine can be reached.
    /// `None`: a call without a body, which the chat answers.
    fn answer(&mut self, id: ConnId, request: &Request<'_>, port: Port, seen: &Seen<'_>) -> Option<Todo> {
        self.spoken_for = self.proxies.client(request);
        let keep = request.keeps_alive() && !self.stopping && port != Port::Crowded;
        let head_only = request.method() == "HEAD";
        let guard = self.keys.as_deref().map(|keys| Guard { verifier: keys, unix_ms: self.now.unix_ms });
        // Deciding changes nothing; so a mistake of ours in it costs this connection alone.
        let decide = || doors::enter(request, port, &self.origins, guard, self.admin_key.as_ref());
        let Ok(entry) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decide)) else {
            self.panics += 1;
            let body = http::error_body("internal error");
            Response { keep: false, head_only, ..Response::new(500, http::JSON, &body) }
                .encode(self.now, &mut self.response);
            return Some(Todo::Respond { keep: false });
        };
        Some(match entry {
            Entry::Chat { .. } if self.stopping => {
                self.refuse(Refusal::Stopping, head_only, false);
                Todo::Respond { keep: false }
            }
            Entry::Chat { .. } if seen.memory.is_short() => {
                self.refuse(Refusal::Memory, head_only, false);
                Todo::Respond { keep: false }
            }
            Entry::Chat { accept, protocol, door } => {
                // Nothing is kept of a client's messages between them: there may be ten thousand clients.
                let agreed = self.deflate && port != Port::Crowded;
                let deflate = agreed.then(|| request.negotiate_deflate(ClientContext::Reset)).flatten();
                encode_switching_protocols_with(&accept, protocol, deflate.as_ref(), &mut self.response);
                match port {
                    Port::Crowded => Todo::TurnAway(door),
                    _ => Todo::Upgrade(door, deflate, self.spoken_for),
                }
            }
            // As `/readyz`: a balancer that asks so is to send nobody to a server that takes nobody.
            Entry::Options if (self.stopping || seen.memory.is_short()) && request.path() != doors::LIVE => {
                let refusal = if self.stopping { Refusal::Stopping } else { Refusal::Memory };
                self.refuse(refusal, head_only, false);
                Todo::Respond { keep: false }
            }
            Entry::Options => {
                let headers = &[("Allow", ALLOWED)];
                Response { headers, keep, ..Response::new(200, http::JSON, b"") }.encode(self.now, &mut self.response);
                Todo::Respond { keep }
            }
            Entry::Asset(asset) => {
                let known = request.header("if-none-match");
                self.answer_asset(asset, known, head_only, keep);
                Todo::Respond { keep }
            }
            Entry::Report(Report::Connections) => {
                self.answer_connections(request, head_only, keep);
                Todo::Respond { keep }
            }
            Entry::Report(Report::Top) => Todo::Look { at: Look::Top, head_only, keep },
            Entry::Report(Report::Session(session)) => Todo::Look { at: Look::Session(session), head_only, keep },
            Entry::Call(CallHead { call, body_len: 0, .. }) => {
                self.call(id, call, b"", keep);
                return None;
            }
            Entry::Call(head) => Todo::Receive { head, keep },
            Entry::Report(report) => {
                let (status, content_type, body) = self.report(report, seen);
                let headers = &[("Cache-Control", "no-store")];
                Response { headers, keep, head_only, ..Response::new(status, content_type, body.as_bytes()) }
                    .encode(self.now, &mut self.response);
                Todo::Respond { keep }
            }
            Entry::Refused(refusal) => {
                // What follows a refused upgrade may be frames, or what somebody makes a proxy take for them.
                let keep = keep
                    && !matches!(refusal, Refusal::Request(_) | Refusal::Full | Refusal::TooFast)
                    && no_body(request)
                    && !request.wants_upgrade();
                self.refuse(refusal, head_only, keep);
                Todo::Respond { keep }
            }
        })
    }

    /// What the log says of a session that has ended.
    fn story_of(&self, id: ConnId) -> Option<String> {
        let session = self.chat.session(id)?;
        let seconds = self.now.unix_ms.saturating_sub(session.connected_at) / 1000;
        let dialect = metrics::dialect(session.dialect);
        Some(format!("{:?}, {dialect}, {seconds} s, {} messages", session.user.as_str(), session.messages))
    }

    /// Has the chat carry out a call, and answer it.
    fn call(&mut self, id: ConnId, call: Call, body: &[u8], keep: bool) {
        self.calls.insert(id, keep);
        self.chat.handle_call(id, call, body, self.now, &mut self.deliveries);
    }

    /// A page of the sessions, in order of their slots: a cursor is the last one's.
    fn answer_connections(&mut self, request: &Request<'_>, head_only: bool, keep: bool) {
        let field = |name: &str| doors::pairs(request).find(|&(key, _)| key == name).map(|(_, value)| value);
        let limit = field("limit").map_or(Some(PAGE), |limit| limit.parse().ok().filter(|&limit| limit > 0));
        let from = field("cursor").map_or(Some(0), |cursor| cursor.parse::<u32>().ok()?.checked_add(1));
        let (Some(limit), Some(from)) = (limit, from) else {
            self.turned_away = Some(Reason::BadRequest);
            return self.refuse_call(400, Code::BadRequest, BAD_PAGE, &[], head_only, keep);
        };
        let limit = limit.min(MAX_PAGE);
        let mut sessions = self.chat.sessions().filter(|session| session.conn.index >= from);
        let page: Vec<_> = sessions.by_ref().take(limit).collect();
        let next = page.last().filter(|_| sessions.next().is_some()).map(|last| last.conn.index);
        let body = metrics::connections(&page);
        let link = next.map(|next| format!("</connections?cursor={next}&limit={limit}>; rel=\"next\""));
        let no_store = ("Cache-Control", "no-store");
        let headers: &[(&str, &str)] = match &link {
            Some(link) => &[no_store, ("Link", link)],
            None => &[no_store],
        };
        Response { headers, keep, head_only, ..Response::new(200, http::JSON, body.as_bytes()) }
            .encode(self.now, &mut self.response);
    }

    /// Words what the engine has to be asked about.
    fn answer_look(&mut self, at: Look, engine: &Engine<Socket>, head_only: bool, keep: bool) {
        let session;
        let body = match at {
            Look::Top => self.top.snapshot(&mut self.chat, engine, self.now, self.stopping),
            Look::Session(id) => match top::session(&self.chat, engine, id) {
                Some(text) => {
                    session = text;
                    session.as_bytes()
                }
                None => {
                    self.turned_away = Some(Reason::NotFound);
                    return self.refuse_call(404, Code::UserNotFound, NO_SESSION, &[], head_only, keep);
                }
            },
        };
        let headers = &[("Cache-Control", "no-store")];
        Response { headers, keep, head_only, ..Response::new(200, http::JSON, body) }
            .encode(self.now, &mut self.response);
    }

    /// Words the refusal of a call before the chat hears of it.
    fn refuse_call(
        &mut self,
        status: u16,
        code: Code,
        sentence: &'static str,
        headers: &[(&'static str, &str)],
        head_only: bool,
        keep: bool,
    ) {
        self.outcomes.note(status);
        let mut body = chat::error_message(code, sentence);
        body.push(b'\n');
        Response { headers, keep, head_only, ..Response::new(status, http::JSON, &body) }
            .encode(self.now, &mut self.response);
    }

    /// Counts a connection for the client that a proxy has named, if that proxy is believed. (What else a proxy's connections are
    /// used for is not counted: one of them may serve many clients.)
    fn count(
        &self,
        id: ConnId,
        client: Option<IpAddr>,
        engine: &mut Engine<Socket>,
        admission: &mut Admission,
    ) -> Verdict {
        let not_counted = Verdict::Welcome { counted: false };
        let (Some(client), Some(socket)) = (client, engine.stream_mut(id)) else { return not_counted };
        if !self.proxies.trust(socket.client()) || self.proxies.trust(Some(client)) {
            return not_counted;
        }
        // A proxy that was not trusted when it came.
        if let Some(address) = socket.counted() {
            admission.release(address);
        }
        let verdict = admission.admit(client, self.now.tick);
        match verdict {
            Verdict::Welcome { counted: false } | Verdict::Dropped => socket.forget(),
            _ => socket.count_for(client),
        }
        verdict
    }

    /// Whether a request of the public port is to be answered; if not, its address asks too fast. A proxy that is believed does not
    /// count for itself, and one that names nobody for nobody.
    fn may_ask(&self, id: ConnId, said: Option<IpAddr>, engine: &Engine<Socket>, admission: &mut Admission) -> bool {
        let Some(socket) = engine.stream(id) else { return true };
        let asker = match self.proxies.trust(socket.client()) {
            true => said.filter(|said| !self.proxies.trust(Some(*said))),
            false => socket.client(),
        };
        asker.is_none_or(|address| admission.admit_request(address, self.now.tick))
    }

    fn answer_asset(&mut self, asset: &'static Asset, known: Option<&str>, head_only: bool, keep: bool) {
        let tag = &**self.tags.entry(asset.path).or_insert_with(|| etag(asset.body));
        let status = if known.is_some_and(|known| known.contains(tag)) { 304 } else { 200 };
        let headers: &[(&str, &str)] = &[
            ("Cache-Control", "no-cache"),
            ("ETag", tag),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ];
        Response { headers, keep, head_only, ..Response::new(status, asset.content_type, asset.body) }
            .encode(self.now, &mut self.response);
    }

    fn report(&self, report: Report, seen: &Seen<'_>) -> (u16, &'static str, String) {
        let counts = self.chat.counts();
        match report {
            Report::Health => (200, http::JSON, metrics::health(seen, self.stopping)),
            Report::Counters => (200, http::JSON, metrics::counters(seen, &counts, self.stopping)),
            Report::Live => (200, "text/plain; charset=utf-8", "ok\n".into()),
            Report::Ready if self.stopping => (503, "text/plain; charset=utf-8", "stopping\n".into()),
            Report::Ready if seen.memory.is_short() => {
                (503, "text/plain; charset=utf-8", "near the memory budget\n".into())
            }
            Report::Ready => (200, "text/plain; charset=utf-8", "ok\n".into()),
            Report::Metrics => {
                let service = metrics::OfService { counts: &counts, calls: &self.outcomes, panics: self.panics };
                (200, metrics::CONTENT_TYPE, metrics::prometheus(seen, &service))
            }
            Report::Connections | Report::Session(_) | Report::Top => unreachable!("answered where they are led to"),
        }
    }

    /// Words the answer to an address that asks too fast. Its connection ends, and so what else it has asked on it costs nothing.
    fn refuse_request(&mut self, head_only: bool) {
        // It hears nothing else, whatever else was wrong with what it asked; `admission` has noted it.
        self.turned_away = None;
        let body = http::error_body("too many requests from this address; try again later");
        let headers = &[("Retry-After", "1")];
        Response { headers, keep: false, head_only, ..Response::new(429, http::JSON, &body) }
            .encode(self.now, &mut self.response);
    }

    /// Words a refusal, of whatever kind, and has it noted.
    fn refuse(&mut self, refusal: Refusal, head_only: bool, keep: bool) {
        self.turned_away = refusal.reason();
        let (status, sentence, headers): (u16, _, &[(&str, &str)]) = match refusal {
            Refusal::Request(error) => {
                return http::encode_request_refusal(error, head_only, self.now, &mut self.response);
            }
            Refusal::NotFound => (404, "nothing is here; the chat page is at /".into(), &[]),
            Refusal::Method => (405, "only GET, HEAD and OPTIONS are allowed here".into(), &[("Allow", ALLOWED)]),
            Refusal::Bad(sentence) => (400, sentence, &[]),
            Refusal::Unauthorized(None) => {
                (401, "a token is required: ?token= or Authorization: Bearer".into(), &[("WWW-Authenticate", "Bearer")])
            }
            Refusal::Unauthorized(Some(error)) => {
                (401, error.as_str().into(), &[("WWW-Authenticate", "Bearer error=\"invalid_token\"")])
            }
            Refusal::Room => (403, "the token is not for this room".into(), &[]),
            Refusal::Origin => {
                (403, "this Origin may not connect; the operator can allow it with --origin".into(), &[])
            }
            Refusal::TooFast => {
                (429, "too many new connections from this address; try again later".into(), &[("Retry-After", "1")])
            }
            Refusal::Stopping => {
                (503, "the server stops or starts again; try again in a moment".into(), &[("Retry-After", "1")])
            }
            Refusal::Key { shown } => {
                let challenge = if shown { "Bearer error=\"invalid_token\"" } else { "Bearer" };
                let headers = &[("WWW-Authenticate", challenge)];
                let sentence =
                    "expected `Authorization: Bearer` with the key of --admin-key, found none or another one";
                return self.refuse_call(401, Code::Unauthorized, sentence, headers, head_only, keep);
            }
            Refusal::Call(error) => {
                let (status, code, sentence) = error.words();
                let headers: &[(&str, &str)] = if status == 405 { &[("Allow", "POST")] } else { &[] };
                return self.refuse_call(status, code, sentence, headers, head_only, keep);
            }
            Refusal::Full | Refusal::Memory => return http::encode_full(head_only, self.now, &mut self.response),
        };
        let body = http::error_body(&sentence);
        Response { headers, keep, head_only, ..Response::new(status, http::JSON, &body) }
            .encode(self.now, &mut self.response);
    }
}

impl Service for ChatService {
    fn handle(&mut self, id: ConnId, port: Port, event: Event<'_>, now: Moment, seen: &Seen<'_>) {
        self.now = now;
        match event {
            // Everybody is about to be closed, when those who asked before have their answers.
            Event::Text(_) | Event::Binary(_) | Event::Control | Event::Drained if self.stopping => {}
            Event::Text(text) => self.chat.handle_text(id, text, now, &mut self.deliveries),
            Event::Binary(_) => self.chat.handle_binary(id, now, &mut self.deliveries),
            Event::Control => self.chat.handle_ping(id, now, &mut self.deliveries),
            Event::Drained => self.chat.handle_drained(id, now, &mut self.deliveries),
            Event::Closed => {
                self.ended = log::log_enabled!(log::Level::Debug).then(|| self.story_of(id)).flatten();
                self.chat.handle_closed(id, now, &mut self.deliveries);
            }
            Event::Request(request) => {
                self.asked = Some(id);
                self.todo = self.answer(id, request, port, seen).map(|todo| (id, todo));
                let answered = matches!(self.todo, Some((_, Todo::Respond { .. })));
                self.asks = (answered && port == Port::Public)
                    .then(|| Asks { said: self.spoken_for, head_only: request.method() == "HEAD" });
            }
            Event::Body { note, bytes } => {
                let keep = note & KEEP != 0 && !self.stopping;
                let call = Call::ALL[(note & !KEEP) as usize];
                self.call(id, call, bytes, keep);
            }
            Event::BadRequest(error) => {
                (self.asked, self.spoken_for) = (Some(id), None);
                self.refuse(Refusal::Request(error), false, false);
                self.todo = Some((id, Todo::Respond { keep: false }));
            }
        }
    }

    fn carry_out(&mut self, engine: &mut Engine<Socket>, admission: &mut Admission) {
        let todo = self.todo.take();
        match todo {
            Some((id, Todo::Upgrade(door, deflate, client))) => match self.count(id, client, engine, admission) {
                Verdict::Welcome { .. } => {
                    engine.upgrade_with(id, &self.response, deflate.as_ref());
                    let from = engine.stream_mut(id).and_then(|socket| socket.counted_address());
                    self.chat.handle_open(id, door, from, self.now, &mut self.deliveries);
                }
                Verdict::TooMany => {
                    engine.upgrade_with(id, &self.response, deflate.as_ref());
                    self.chat.turn_away(id, &door, self.now, &mut self.deliveries);
                }
                Verdict::TooFast => {
                    self.response.clear();
                    // Noted by `admission`.
                    self.refuse(Refusal::TooFast, false, false);
                    engine.respond(id, &self.response, false);
                }
                Verdict::Dropped => engine.abort(id),
            },
            Some((id, Todo::TurnAway(door))) => {
                engine.upgrade(id, &self.response);
                self.chat.turn_away(id, &door, self.now, &mut self.deliveries);
            }
            Some((id, Todo::Look { at, head_only, keep })) => {
                self.answer_look(at, engine, head_only, keep);
                engine.respond(id, &self.response, keep);
            }
            Some((id, Todo::Respond { keep })) => {
                let too_fast = self.asks.take().filter(|asks| !self.may_ask(id, asks.said, engine, admission));
                if let Some(Asks { head_only, .. }) = too_fast {
                    self.response.clear();
                    self.refuse_request(head_only);
                }
                engine.respond(id, &self.response, keep && too_fast.is_none());
            }
            Some((id, Todo::Receive { head, keep })) => {
                let interim: &[u8] = if head.expects_continue { b"HTTP/1.1 100 Continue\r\n\r\n" } else { b"" };
                let note = head.call as u32 | if keep { KEEP } else { 0 };
                engine.receive_body(id, head.body_len, note, interim);
            }
            None => {}
        }
        if let (Some(id), Some(reason)) = (self.asked.take(), self.turned_away.take()) {
            let from = engine.stream_mut(id).and_then(|socket| socket.client());
            // Of a proxy that is believed, the one it speaks for.
            let client = self.spoken_for.filter(|_| self.proxies.trust(from));
            admission.note(reason, client.or(from));
        }
        if let Some(story) = self.ended.take()
            && let Some((_, socket, code)) = engine.last_closed()
        {
            // Of a proxy's Unix socket there is none.
            let address = socket.client().map_or_else(|| "-".into(), |address| address.to_string());
            log::debug!("ended: {story} at {address}, closed with {code}");
        }
        self.response.clear();
        engine.spend(self.deliveries.work());
        for delivery in self.deliveries.items() {
            if !self.calls.is_empty()
                && let Some((to, status, text)) = answer_of(delivery)
                && let Some(keep) = self.calls.remove(&to)
            {
                self.outcomes.note(status);
                let body = [self.deliveries.text(text), b"\n"].concat();
                let headers: &[(&str, &str)] = match status {
                    503 => &[("Cache-Control", "no-store"), ("Retry-After", "1")],
                    _ => &[("Cache-Control", "no-store")],
                };
                Response { headers, keep, ..Response::new(status, http::JSON, &body) }
                    .encode(self.now, &mut self.response);
                engine.respond(to, &self.response, keep);
                self.response.clear();
                continue;
            }
            match delivery {
                // The caller has gone.
                Delivery::Refuse { .. } => {}
                Delivery::Send { to, text } => {
                    engine.spend(text.len() / WORDED_OCTETS_A_STEP);
                    engine.send(*to, Kind::Text, self.deliveries.text(text));
                }
                Delivery::Publish { topic, text, except } => {
                    let (text, except) = (self.deliveries.text(text), self.deliveries.except(except));
                    engine.publish(*topic, Kind::Text, text, except);
                }
                Delivery::Subscribe { conn, topic } => engine.subscribe(*conn, *topic),
                Delivery::TellWhenDrained { conn } => engine.tell_when_drained(*conn),
                Delivery::Ask { conn } => engine.ping(*conn),
                Delivery::Unsubscribe { conn, topic } => engine.unsubscribe(*conn, *topic),
                Delivery::TurnedAway { conn, why } => {
                    let from = engine.stream_mut(*conn).and_then(|socket| socket.client());
                    admission.note((*why).into(), from);
                }
                Delivery::Close { conn, code, reason } => engine.close(*conn, *code, reason),
            }
        }
        self.deliveries.clear();
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.now = now;
        if let Some(every) = self.starter.wants_to_hear_every()
            && self.alive_at.is_some_and(|at| at <= now.tick)
        {
            self.starter.note(State::Alive);
            self.alive_at = Some(now.tick + every);
        }
        self.chat.handle_timeout(now, &mut self.deliveries);
    }

    fn handle_wake(&mut self, now: Moment) {
        self.now = now;
        self.chat.handle_backend(now, &mut self.deliveries);
    }

    fn has_more_to_hear(&self) -> bool {
        self.chat.has_more_to_hear()
    }

    fn next_deadline(&self) -> Option<Tick> {
        [self.chat.next_deadline(), self.alive_at].into_iter().flatten().min()
    }

    fn reload(&mut self) -> Option<Bounds> {
        let settings = match self.starter.reload() {
            Ok(settings) => settings,
            Err(error) => {
                log::error!("the settings stay as they were: {error}");
                return None;
            }
        };
        let bounds = settings.bounds();
        self.origins = settings.origins;
        self.proxies = settings.proxies;
        self.keys = settings.keys.map(Rc::new);
        self.admin_key = settings.admin_key;
        self.chat.change_settings(settings.chat, self.keys.clone().map(|keys| keys as Rc<dyn Verifier>));
        Some(bounds)
    }

    fn held(&self) -> (chat::Held, usize) {
        (self.chat.held(), self.deliveries.held_bytes() + self.response.capacity())
    }

    fn set_memory_left(&mut self, octets: Option<usize>) {
        self.chat.set_memory_left(octets);
    }

    fn let_go(&mut self, octets: usize, now: Moment) -> bool {
        self.now = now;
        self.chat.let_go(octets, now, &mut self.deliveries) > 0
    }

    fn shut_down(&mut self, engine: &mut Engine<Socket>, admission: &mut Admission, now: Moment) {
        self.starter.note(State::Stopping);
        self.stopping = true;
        self.now = now;
        self.chat.handle_shutdown(now, &mut self.deliveries);
        self.carry_out(engine, admission);
    }

    fn is_idle(&self) -> bool {
        self.chat.is_idle()
    }

    fn close_all(&mut self, engine: &mut Engine<Socket>) {
        for id in engine.ids() {
            engine.close(id, CloseCode::SERVICE_RESTART, "the server stops or starts again");
        }
    }
}

/// Whom a delivery answers if it was a call, with which status and text.
fn answer_of(delivery: &Delivery) -> Option<(ConnId, u16, &std::ops::Range<usize>)> {
    match delivery {
        Delivery::Send { to, text } => Some((*to, 200, text)),
        Delivery::Refuse { to, code, text } => Some((*to, api::status(*code), text)),
        _ => None,
    }
}

/// Whether nothing follows the head, so that the next request can be found.
fn no_body(request: &Request<'_>) -> bool {
    request.content_length() == Ok(0)
}

/// In the note of a request with a body: its connection is kept. The rest of the note is which call it is.
const KEEP: u32 = 1 << 31;

/// What can be done with whatever is looked at.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// Sessions in a page of `/connections` unless the request says otherwise, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;

const NO_SESSION: &str = "expected a session that is open, found another id";

const BAD_PAGE: &str =
    "`limit`: expected an integer from 1, `cursor`: the one of the last `Link`; found something else";

/// Bytes of an answer that cost a step, beside sending them: to find and word them. Presence of 1,000 names, 81 KB, takes 0.6 ms.
const WORDED_OCTETS_A_STEP: usize = 64;

/// A strong validator: the same octets, the same tag.
fn etag(body: &[u8]) -> String {
    use sha1::{Digest, Sha1};
    let hash = Sha1::digest(body);
    let digits: String = hash.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    format!("\"{digits}\"")
}

/// Only what this server serves runs, and text is never made into HTML.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";
