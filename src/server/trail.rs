//! The trail of the operators: a line of the log for each call that has changed something, with who made it.
//!
//! Calls that put people out or delete are told at `info`, those that say something at `debug`, because programs make
//! many. What was said is not in it.

use std::sync::Arc;

use crate::chat::Call;

use super::api;
use super::operators::Right;

/// A call that is under way, as it will be told.
#[derive(Debug)]
pub struct Step {
    operator: Arc<str>,
    call: Call,
    room: String,
    user: String,
}

impl Step {
    /// The step of this call; `None`: it only reads.
    pub fn of(operator: &Arc<str>, call: Call, body: &[u8]) -> Option<Self> {
        if !matches!(api::right_of(call), Right::Speak | Right::Moderate)
            || !log::log_enabled!(target: TRAIL, level(call))
        {
            return None;
        }
        let fields: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let text = |key| fields.as_ref().and_then(|fields| fields.get(key)?.as_str());
        let of = |key| shortened(text(key).unwrap_or("-"));
        Some(Self { operator: operator.clone(), call, room: of("room_id"), user: of("user_id") })
    }

    /// Tells it, with the status of its answer.
    pub fn tell(&self, status: u16) {
        let Self { operator, call, room, user } = self;
        let (operator, room, user) = (&**operator, room.as_str(), user.as_str());
        log::log!(target: TRAIL, level(*call), operator, call = call.as_str(), room, user, status; "operator");
    }
}

/// Tells that the settings were to be read again.
pub fn tell_reload(operator: &str, status: u16) {
    log::info!(target: TRAIL, operator, call = "reload", status; "operator");
}

fn level(call: Call) -> log::Level {
    match api::right_of(call) {
        Right::Speak => log::Level::Debug,
        _ => log::Level::Info,
    }
}

/// Names are short; anything else of a caller is cut.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

/// The target of these lines.
pub const TRAIL: &str = super::logging::TRAIL;

/// The most of a name that a line has.
const MAX_CHARS: usize = 64;
