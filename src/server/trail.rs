//! The trail of the operators: a line of the log for each call that has changed something, with who made it; and a step
//! that the store keeps, of calls that put people out or delete, and of readings of the settings.
//!
//! Calls that put people out or delete are told at `info`, those that say something at `debug`, because programs make
//! many. What was said is not in it.

use std::sync::Arc;

use log::{Record, kv};

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
    /// The users that it is about: one by name, the user of a session, or as many of several as have room.
    user: Option<String>,
    /// What else was named, in the words of the call.
    more: Vec<(&'static str, String)>,
}

impl Step {
    /// The step of this call, where `user_of` knows whose an open session is; `None`: it only reads.
    pub fn of(
        operator: &Arc<str>,
        call: Call,
        body: &[u8],
        user_of: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Self> {
        let changes = matches!(api::right_of(call), Right::Speak | Right::Moderate);
        let step = Self { operator: operator.clone(), call: Some(call), room: None, user: None, more: Vec::new() };
        if !changes || !step.is_kept() && !log::log_enabled!(target: TRAIL, step.level()) {
            return None;
        }
        let fields: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let text = |key| fields.as_ref().and_then(|fields| fields.get(key)?.as_str()).map(shortened);
        let number =
            |key| fields.as_ref().and_then(|fields| fields.get(key)?.as_u64()).map(|number| number.to_string());
        let many = fields.as_ref().and_then(|fields| fields.get("user_ids")?.as_array());
        let session = text("session_id");
        let of_session = session.as_deref().and_then(user_of).map(|user| shortened(&user));
        let user = text("user_id").or(of_session).or_else(|| many.map(|users| listed(users)));
        let more = [
            ("session", session),
            ("users", many.map(|users| users.len().to_string())),
            ("sender", text("sender")),
            ("of", number("of")),
            ("seconds", number("seconds")),
            ("code", number("code")),
        ];
        let more = more.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Some(Self { room: text("room_id"), user, more, ..step })
    }

    /// That the settings were to be read again.
    pub fn reload(operator: &Arc<str>) -> Self {
        Self { operator: operator.clone(), call: None, room: None, user: None, more: Vec::new() }
    }

    /// Tells it, with the status of its answer.
    pub fn tell(&self, status: u16) {
        let level = self.level();
        if log::log_enabled!(target: TRAIL, level) {
            let fields = self.fields(status);
            let mut record = Record::builder();
            record.level(level).target(TRAIL).key_values(&fields);
            log::logger().log(&record.args(format_args!("operator")).build());
        }
    }

    fn fields(&self, status: u16) -> Vec<(&'static str, kv::Value<'_>)> {
        let Self { operator, call, room, user, more } = self;
        let mut fields = vec![("operator", (&**operator).into()), ("call", call.map_or(RELOAD, Call::as_str).into())];
        if call.is_some() {
            fields.extend([
                ("room", room.as_deref().unwrap_or("-").into()),
                ("user", user.as_deref().unwrap_or("-").into()),
            ]);
        }
        fields.extend(more.iter().map(|(name, value)| (*name, (&**value).into())));
        fields.push(("status", status.into()));
        fields
    }

    /// Whether the store keeps it. Lists of what was done are none of what was done.
    pub fn is_kept(&self) -> bool {
        self.call.is_none_or(|call| api::right_of(call) == Right::Moderate && !matches!(call, Call::Bans | Call::Trail))
    }

    /// As the store keeps it, with the status of its answer, at that time.
    pub fn kept(&self, status: u16, ts: u64) -> backend::Step<'_> {
        let Self { operator, call, room, user, .. } = self;
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

/// As many of several names as have room, whole, with commas between them; `users` has how many there are.
fn listed(users: &[serde_json::Value]) -> String {
    let mut listed = String::new();
    for user in users.iter().filter_map(|user| user.as_str()) {
        let comma = if listed.is_empty() { "" } else { "," };
        if listed.chars().count() + comma.len() + user.chars().count() > MAX_CHARS {
            break;
        }
        listed.extend([comma, user]);
    }
    listed
}

/// The target of these lines.
pub const TRAIL: &str = super::logging::TRAIL;

/// The most of a name that a line has.
const MAX_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a call, its body, and what is told of it.
    #[test]
    fn a_step_says_whom() {
        let session = |id: &str| (id == "910a2dec89025cc1").then(|| "alice".to_owned());
        let many = format!(r#"{{"user_ids":["alice","{}","bob","{}"]}}"#, "b".repeat(50), "c".repeat(60));
        let shown = format!("room=- user=alice,{},bob users=4 status=200", "b".repeat(50));
        for (call, body, expected) in [
            (Call::Kick, r#"{"user_id":"bob"}"#, "room=- user=bob status=200"),
            (
                Call::Kick,
                r#"{"session_id":"910a2dec89025cc1","room_id":"den"}"#,
                "room=den user=alice session=910a2dec89025cc1 status=200",
            ),
            (Call::Disconnect, r#"{"session_id":"00","code":4200}"#, "room=- user=- session=00 code=4200 status=200"),
            (Call::Ban, r#"{"user_id":"bob","seconds":60,"note":"n"}"#, "room=- user=bob seconds=60 status=200"),
            (Call::Delete, r#"{"room_id":"den","of":7,"sender":"ann"}"#, "room=den user=- sender=ann of=7 status=200"),
            (Call::Delete, "no JSON", "room=- user=- status=200"),
        ] {
            let step = Step::of(&"op".into(), call, body.as_bytes(), session).expect("it changes something");
            let fields = step.fields(200);
            let words: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(words.join(" "), format!("operator=op call={} {expected}", call.as_str()));
        }
        // At the level of the tests nobody wants a line of who speaks, and the store keeps none.
        assert!(Step::of(&"op".into(), Call::Multicast, many.as_bytes(), session).is_none());
        let users: serde_json::Value = serde_json::from_str(&many).unwrap();
        assert_eq!(format!("room=- user={} users=4 status=200", listed(users["user_ids"].as_array().unwrap())), shown);
    }
}
