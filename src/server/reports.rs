//! The reports about the server: its health, its counters, its sessions.
//!
//! [`super::doors`] decides which report is for everybody and which for the operator. [`super::metrics`] words the
//! counters for a machine, [`super::top`] the busiest rooms and slowest connections.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::chat::Chat;
use crate::engine::Engine;
use crate::id::ConnId;
use crate::proto::handshake::Request;
use crate::time::Moment;

use super::access::Line;
use super::entry_error::EntryError;
use super::query::field;
use super::socket::Socket;
use super::sources::{SessionRow, Sources, VERSION, dialect, line, status};
use super::system::System;
use super::top::{self, Top};
use super::{http, metrics};

/// The reports about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// `/health` for everybody.
    Health,
    /// `/health` with all counters, for the operator.
    Counters,
    /// `/livez`: the loop turns.
    Live,
    /// `/readyz`: clients are welcome; else why not, for the operator.
    Ready,
    /// The same for everybody, without what is wrong with the store.
    PublicReady,
    /// `/metrics` in Prometheus' text format.
    Metrics,
    /// `/connections`: a page of the sessions.
    Connections,
}

/// The reports for which the engine must be asked, and so only when the request is not borrowed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// `/top`: the busiest rooms and the slowest connections.
    Top,
    /// `/connections/ID`: one of the sessions.
    Session(u64),
}

/// A report in words.
#[derive(Debug)]
pub struct Words {
    /// The status of the response.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
    /// A link to the next page, as a header.
    pub link: Option<String>,
}

impl Words {
    fn json(body: String) -> Self {
        Self { status: 200, content_type: http::JSON, body, link: None }
    }

    fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.to_owned(), link: None }
    }
}

impl Report {
    /// Words the report. The request says which page it wants.
    ///
    /// # Errors
    /// [`EntryError::Page`] if there is no such page.
    pub fn word(self, request: &Request<'_>, sources: &Sources<'_>) -> Result<Words, EntryError> {
        Ok(match self {
            Self::Health => Words::json(health(sources)),
            Self::Counters => Words::json(counters(sources)),
            Self::Live => Words::text(200, "ok\n"),
            Self::Ready | Self::PublicReady => match unready(sources) {
                None => Words::text(200, "ok\n"),
                Some((word, Some(why))) if self == Self::Ready => Words::text(503, &format!("{word}: {why}\n")),
                Some((word, _)) => Words::text(503, &format!("{word}\n")),
            },
            Self::Metrics => Words { content_type: metrics::CONTENT_TYPE, ..Words::json(metrics::prometheus(sources)) },
            Self::Connections => connections(request, sources.chat)?,
        })
    }
}

impl Look {
    /// Words it, as JSON.
    ///
    /// # Errors
    /// [`EntryError::NoSession`] if there is no such session.
    pub fn word<'a>(
        self,
        top: &'a mut Top,
        chat: &mut Chat,
        engine: &Engine<Socket<impl System>>,
        now: Moment,
        stopping: bool,
    ) -> Result<Cow<'a, [u8]>, EntryError> {
        match self {
            Self::Top => Ok(top.snapshot(chat, engine, now, stopping).into()),
            Self::Session(id) => {
                let text = top::session(chat, engine, id).ok_or(EntryError::NoSession)?;
                Ok(text.into_bytes().into())
            }
        }
    }
}

/// Why no client is welcome now, if that is so; and what is behind it.
fn unready(sources: &Sources<'_>) -> Option<(&'static str, Option<String>)> {
    if sources.leaving {
        return Some(("stopping", None));
    }
    if sources.seen.memory.is_short() {
        return Some(("near the memory budget", None));
    }
    let failing = sources.chat.store_health().filter(|store| !store.shared).and_then(|store| store.failing);
    failing.map(|why| ("messages cannot be kept", Some(why)))
}

/// The health for everybody.
fn health(Sources { seen, leaving, .. }: &Sources<'_>) -> String {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        version: &'static str,
        uptime_s: u64,
    }
    line(&Health { status: status(*leaving), version: VERSION, uptime_s: seen.uptime().as_secs() })
}

/// The health for the operator.
fn counters(Sources { seen, chat, leaving, .. }: &Sources<'_>) -> String {
    let counts = chat.counts();
    #[derive(Serialize)]
    struct Counters {
        status: &'static str,
        version: &'static str,
        active_connections: usize,
        total_connections: u64,
        messages_received: u64,
        messages_sent: u64,
        messages_per_second: f64,
        rooms: usize,
        users: usize,
        uptime_s: u64,
    }
    line(&Counters {
        status: status(*leaving),
        version: VERSION,
        active_connections: counts.sessions,
        total_connections: seen.counters.upgraded,
        messages_received: seen.counters.messages_in,
        messages_sent: seen.counters.messages_out,
        messages_per_second: (seen.turns.messages_per_second * 10.0).round() / 10.0,
        rooms: counts.rooms,
        users: counts.users,
        uptime_s: seen.uptime().as_secs(),
    })
}

/// A page of the sessions, in order of their slots, and a link to the next: a cursor is the last one's.
fn connections(request: &Request<'_>, chat: &Chat) -> Result<Words, EntryError> {
    let limit = field(request, "limit").map_or(Some(PAGE), |limit| limit.parse().ok().filter(|&limit| limit > 0));
    let from = field(request, "cursor").map_or(Some(0), |cursor| cursor.parse::<u32>().ok()?.checked_add(1));
    let (Some(limit), Some(from)) = (limit, from) else { return Err(EntryError::Page) };
    let limit = limit.min(MAX_PAGE);
    let mut sessions = chat.sessions().filter(|session| session.conn.index >= from);
    let page: Vec<_> = sessions.by_ref().take(limit).collect();
    let next = page.last().filter(|_| sessions.next().is_some()).map(|last| last.conn.index);
    let link = next.map(|next| format!("</connections?cursor={next}&limit={limit}>; rel=\"next\""));
    let body = line(&page.iter().map(SessionRow::of).collect::<Vec<_>>());
    Ok(Words { link, ..Words::json(body) })
}

/// The log line of a session that ends now, without its address.
pub(super) fn ended(chat: &Chat, id: ConnId, now: Moment) -> Option<Ended> {
    let session = chat.session(id)?;
    Some(Ended {
        user: session.user.as_str().to_owned(),
        dialect: dialect(session.dialect),
        time: Duration::from_millis(now.unix_ms.saturating_sub(session.connected_at)),
        messages: session.messages,
    })
}

/// A session that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The name of its user.
    pub user: String,
    /// Which dialect it spoke.
    pub dialect: &'static str,
    /// How long it lasted, to the second.
    pub time: Duration,
    /// How many messages it sent.
    pub messages: u32,
}

impl Ended {
    /// Its line, without its connection.
    pub fn line(&self) -> Line<'_> {
        let Self { user, dialect, time, messages } = self;
        let time = Duration::from_secs(time.as_secs());
        Line {
            user: Some(user),
            dialect: Some(dialect),
            messages: Some(*messages),
            time: Some(time),
            ..Line::default()
        }
    }
}

/// Sessions in a page of `/connections` unless the request says otherwise, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;
