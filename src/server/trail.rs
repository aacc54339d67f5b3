//! The trail of the operators: a line of the log for each call that has changed something, with who made it; and a step
//! that the store keeps, of calls that put people out or delete, and of readings of the settings.
//!
//! Calls that put people out or delete are told at `info`, those that say something at `debug`, because programs make
//! many. What was said is not in it.

use std::sync::Arc;

use crate::backend;
use crate::chat::Call;

use super::api;
use super::operators::Right;

/// A call that is under way, as it will be told.
#[derive(Debug)]
pub struct Step {
    operator: Arc<str>,
    call: Option<Call>,
    room: Option<String>,
    user: Option<String>,
}

impl Step {
    /// The step of this call; `None`: it only reads.
    pub fn of(operator: &Arc<str>, call: Call, body: &[u8]) -> Option<Self> {
        let changes = matches!(api::right_of(call), Right::Speak | Right::Moderate);
        let step = Self { operator: operator.clone(), call: Some(call), room: None, user: None };
        if !changes || !step.is_kept() && !log::log_enabled!(target: TRAIL, step.level()) {
            return None;
        }
        let fields: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let text = |key| fields.as_ref().and_then(|fields| fields.get(key)?.as_str()).map(shortened);
        Some(Self { room: text("room_id"), user: text("user_id"), ..step })
    }

    /// That the settings were to be read again.
    pub fn reload(operator: &Arc<str>) -> Self {
        Self { operator: operator.clone(), call: None, room: None, user: None }
    }

    /// Tells it, with the status of its answer.
    pub fn tell(&self, status: u16) {
        let Self { operator, call, room, user } = self;
        let (operator, call, level) = (&**operator, call.map_or(RELOAD, Call::as_str), self.level());
        if self.call.is_none() {
            return log::log!(target: TRAIL, level, operator, call, status; "operator");
        }
        let (room, user) = (room.as_deref().unwrap_or("-"), user.as_deref().unwrap_or("-"));
        log::log!(target: TRAIL, level, operator, call, room, user, status; "operator");
    }

    /// Whether the store keeps it. Lists of what was done are none of what was done.
    pub fn is_kept(&self) -> bool {
        self.call.is_none_or(|call| api::right_of(call) == Right::Moderate && !matches!(call, Call::Bans | Call::Trail))
    }

    /// As the store keeps it, with the status of its answer, at that time.
    pub fn kept(&self, status: u16, ts: u64) -> backend::Step<'_> {
        let Self { operator, call, room, user } = self;
        let call = call.map_or(RELOAD, Call::as_str);
        backend::Step { ts, operator, call, room: room.as_deref(), user: user.as_deref(), status }
    }

    fn level(&self) -> log::Level {
        match self.call.map(api::right_of) {
            Some(Right::Speak) => log::Level::Debug,
            _ => log::Level::Info,
        }
    }
}

/// The name of the call that reads the settings again, which is none of the chat.
const RELOAD: &str = "reload";

/// Names are short; anything else of a caller is cut.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

/// The target of these lines.
pub const TRAIL: &str = super::logging::TRAIL;

/// The most of a name that a line has.
const MAX_CHARS: usize = 64;
