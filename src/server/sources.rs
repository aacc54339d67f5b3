//! The sources of reports, and the words that several reports share: a session, a state, the version.

use serde::Serialize;

use crate::chat::{Chat, Dialect, SessionInfo};

use super::Seen;
use super::calls::Outcomes;

/// The sources of reports.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The view of the loop.
    pub seen: &'a Seen<'a>,
    /// The chat.
    pub chat: &'a Chat,
    /// The outcomes of calls.
    pub calls: &'a Outcomes,
    /// Panics that ended one request and nothing else.
    pub panics: u64,
    /// The server is about to stop.
    pub stopping: bool,
    /// It is, or will be soon: balancers are to send nobody more.
    pub leaving: bool,
    /// The last time that the settings were read again.
    pub reload: Option<LastReload>,
    /// When the process was started, in milliseconds since the Unix epoch.
    pub started: u64,
}

/// When the settings were read again, and whether they could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Whether the new ones are in force.
    pub successful: bool,
}

/// A session in words.
#[derive(Serialize)]
pub(super) struct SessionRow<'a> {
    session_id: String,
    user_id: &'a str,
    dialect: &'static str,
    connected_at: u64,
    last_activity: u64,
    messages: u32,
    rooms: usize,
}

impl<'a> SessionRow<'a> {
    pub fn of(info: &SessionInfo<'a>) -> Self {
        Self {
            session_id: format!("{:016x}", info.session_id),
            user_id: info.user.as_str(),
            dialect: dialect(info.dialect),
            connected_at: info.connected_at,
            last_activity: info.last_activity,
            messages: info.messages,
            rooms: info.rooms,
        }
    }
}

/// A dialect in a word.
pub fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Json => "json",
        Dialect::Plain => "plain",
    }
}

/// JSON and a line end.
pub(super) fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields can be serialised") + "\n"
}

pub(super) fn status(stopping: bool) -> &'static str {
    if stopping { "stopping" } else { "ok" }
}

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
