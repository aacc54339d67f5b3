//! The answer to a request: from its door to a response, or to an action of the service.
//!
//! It carries out nothing and remembers nothing: a [`Responder`] knows settings only. [`super::refusing`] words
//! refusals.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::chat::{Door, Verifier};
use crate::proto::handshake::Request;
use crate::proto::{Agreed, ClientContext};
use crate::time::Moment;

use super::acme::Thumbprint;
use super::answering::Worded;
use super::api::{Body, CallHead, Named};
use super::asked::Asked;
use super::doors::{self, ALLOWED, Entry, Guard};
use super::entry_error::EntryError;
use super::http::{self, NO_STORE, Response};
use super::jwt::Keys;
use super::operators::Operators;
use super::pages::Pages;
use super::reports::{Look, Words};
use super::settings::Settings;
use super::sources::Sources;
use super::{Port, redirect};

/// Decides the answers to requests.
pub(super) struct Responder {
    pages: Pages,
    keys: Option<Rc<Keys>>,
    operators: Operators,
    deflate: bool,
    /// Where [`Port::Redirect`] leads.
    https_port: u16,
    /// For how long browsers are to come by TLS alone, in seconds.
    hsts: Option<u64>,
    /// What a certificate authority is told that looks whose name this is.
    acme: Option<Thumbprint>,
}

/// The answer to a request.
pub(crate) enum Answer {
    /// With this response.
    Respond(Worded),
    /// With a refusal.
    Refuse(EntryError),
    /// With that of a call with this body.
    RefuseCall(EntryError, Box<[u8]>),
    /// It is let in, by what the response agrees to.
    Upgrade { response: Vec<u8>, agreed: Agreed<'static>, door: Door },
    /// It is let in only to hear `goodbye`: there are too many connections of its address.
    TurnAway { response: Vec<u8>, agreed: Agreed<'static>, door: Door },
    /// With a report for which the engine must be asked.
    Look(Look),
    /// With the settings in force.
    Settings,
    /// With what comes of reading the settings again, for that operator.
    Reload(Arc<str>),
    /// It is asked for the body of a call of that operator.
    Receive(CallHead, Arc<str>),
    /// It is a call of that operator without a body, which the chat answers.
    Call(Named, Arc<str>),
}

impl Responder {
    /// A responder with these settings. Whether messages may be compressed holds until the next start, as it does for
    /// the engine; and so does the port with TLS.
    pub fn new(settings: &Settings) -> Self {
        let deflate = settings.engine.deflate.is_some();
        let (pages, operators) = (Pages::default(), Operators::default());
        let https_port = settings.https_port.unwrap_or(HTTPS);
        let mut responder = Self { pages, keys: None, operators, deflate, https_port, hsts: None, acme: None };
        responder.change(settings);
        responder
    }

    /// From now on these settings decide.
    pub fn change(&mut self, settings: &Settings) {
        self.pages = settings.pages.clone();
        self.keys = settings.keys.clone().map(Rc::new);
        self.operators = settings.operators.clone();
        self.hsts = settings.hsts.map(|time| time.as_secs());
        self.acme = settings.acme.clone();
    }

    /// The operators.
    pub fn operators(&self) -> &Operators {
        &self.operators
    }

    /// The verifier of tokens; `None`: anybody may come in under any name.
    pub fn verifier(&self) -> Option<Rc<dyn Verifier>> {
        self.keys.clone().map(|keys| keys as Rc<dyn Verifier>)
    }

    /// The answer to a request that came in by `port`.
    pub fn answer(&self, request: &Request<'_>, port: Port, sources: &Sources<'_>) -> (Asked, Answer) {
        let (seen, stopping) = (sources.seen, sources.stopping);
        let asked = Asked {
            said: seen.admission.proxies().client(request),
            forwarded: request.has_header("x-forwarded-for") || request.has_header("forwarded"),
            head_only: request.method() == "HEAD",
            // A proxy that keeps a connection would lose a request on it when the stop comes.
            keep: request.keeps_alive()
                && !stopping
                && port != Port::Crowded
                && (!sources.leaving || port == Port::Admin),
            pays: matches!(port, Port::Public | Port::Secure | Port::Redirect),
            operator: port == Port::Admin,
            let_in: false,
            call: port == Port::Admin && request.path().starts_with(doors::CALLS),
            hsts: self.hsts.filter(|_| port == Port::Secure),
        };
        // Also where there is no place for a client: a certificate is needed all the same.
        if port != Port::Admin
            && let Some(body) = self.acme.as_ref().and_then(|thumbprint| thumbprint.answer(request))
        {
            let response = Response { headers: &[NO_STORE], ..Response::new(200, http::TEXT, body.as_bytes()) };
            return (asked.ending(), Answer::Respond(asked.ending().word(response, seen.now)));
        }
        if port == Port::Redirect {
            return (asked.ending(), self.redirect(request, asked.ending(), seen.now));
        }
        let guard = self.keys.as_deref().map(|keys| Guard { verifier: keys, unix_ms: seen.now.unix_ms });
        // Deciding changes nothing; so a mistake of ours in it costs this connection alone.
        let decide = || doors::enter(request, port, &self.pages, guard, &self.operators);
        let Ok(entry) = catch_unwind(AssertUnwindSafe(decide)) else {
            return (asked.ending(), Answer::Refuse(EntryError::Mistake));
        };
        let asked = Asked { let_in: entry.is_an_operators(), ..asked };
        let closed = match (stopping, seen.memory.is_short()) {
            (true, _) => Some(EntryError::Stopping),
            (_, true) => Some(EntryError::Memory),
            _ => None,
        };
        match (entry, closed) {
            (Entry::Chat { .. }, Some(error)) => (asked.ending(), Answer::Refuse(error)),
            (Entry::Chat { upgrade, door }, None) => {
                // No context is kept between a client's messages: there may be ten thousand clients.
                let upgrade = match self.deflate && port != Port::Crowded {
                    true => upgrade.deflate(ClientContext::Reset),
                    false => upgrade,
                };
                let mut response = Vec::with_capacity(UPGRADE_BYTES);
                let agreed = upgrade.encode(&mut response).extensions();
                match port {
                    Port::Crowded => (asked, Answer::TurnAway { response, agreed, door }),
                    _ => (asked, Answer::Upgrade { response, agreed, door }),
                }
            }
            // As `/readyz`: a balancer must send no client to a server that takes none.
            (Entry::Options, Some(error)) if request.path() != doors::LIVE => (asked.ending(), Answer::Refuse(error)),
            (Entry::Options, None) if sources.leaving && request.path() != doors::LIVE => {
                (asked.ending(), Answer::Refuse(EntryError::Stopping))
            }
            (Entry::Options, _) => {
                let response = Response { headers: &[("Allow", ALLOWED)], ..Response::new(200, http::JSON, b"") };
                (asked, Answer::Respond(asked.word(response, seen.now)))
            }
            (Entry::Asset(asset), _) => {
                let served = asset.serve(
                    request.header("if-none-match"),
                    request.header("accept-encoding"),
                    request.header("accept-language"),
                );
                let response = Response {
                    headers: &served.headers,
                    ..Response::new(served.status, asset.content_type, served.body)
                };
                (asked, Answer::Respond(asked.word(response, seen.now)))
            }
            (Entry::Look(look), _) => (asked, Answer::Look(look)),
            (Entry::Settings, _) => (asked, Answer::Settings),
            (Entry::Reload(operator), _) => (asked, Answer::Reload(operator)),
            (Entry::Call(CallHead { named, body: Body::Length(0), .. }, operator), _) => {
                (asked, Answer::Call(named, operator))
            }
            (Entry::Call(head, operator), _) => (asked, Answer::Receive(head, operator)),
            (Entry::Report(report), _) => match report.word(request, sources) {
                Ok(Words { status, content_type, body, link }) => {
                    let link = link.as_deref().map(|link| ("Link", link));
                    let headers: Vec<_> = [NO_STORE].into_iter().chain(link).collect();
                    let response =
                        Response { headers: &headers, ..Response::new(status, content_type, body.as_bytes()) };
                    (asked, Answer::Respond(asked.word(response, seen.now)))
                }
                Err(error) => (asked, Answer::Refuse(error)),
            },
            (Entry::Refused(error), _) => {
                // Bytes behind a refused upgrade may be frames, or bytes that a proxy would take for frames.
                let keep = asked.keep
                    && !matches!(error, EntryError::Request(_) | EntryError::Full | EntryError::TooFast)
                    // Places on the admin port are few: they are for those who may call.
                    && !error.is_about_a_key()
                    // Whether nothing follows the head, so that the next request can be found.
                    && request.content_length() == Ok(0)
                    && !request.wants_upgrade();
                (Asked { keep, ..asked }, Answer::Refuse(error))
            }
        }
    }

    /// Whatever it asks for is at the port with TLS; nothing else is said here.
    fn redirect(&self, request: &Request<'_>, asked: Asked, now: Moment) -> Answer {
        match redirect::location(request, self.https_port) {
            Some(location) => {
                let headers = &[("Location", &*location)];
                Answer::Respond(asked.word(Response { headers, ..Response::new(308, http::TEXT, b"") }, now))
            }
            None => Answer::Refuse(EntryError::Bad("expected a Host that is a name or an address".into())),
        }
    }
}

/// The port of `https` where none is said.
pub const HTTPS: u16 = 443;

/// Room for the response to an upgrade.
const UPGRADE_BYTES: usize = 256;
