//! People who hide: no message shows others that they are here.

use serde_json::Value;

use super::super::network::Network;
use super::{Client, message};

impl Client {
    /// Looks whether a message shows somebody who hides.
    pub(super) fn shows_nobody_who_hides(
        &self,
        net: &Network,
        kind: &str,
        message: &Value,
    ) -> Result<(), (u8, String)> {
        let hides = |user: &str| user != self.user && net.plan.hides(user);
        let shown = match kind {
            "presence" => {
                let user = message::field(message, "user_id")?;
                hides(user) && is_shown(message)
            }
            "presence_state" => {
                message["users"].as_object().into_iter().flatten().any(|(user, state)| hides(user) && is_shown(state))
            }
            "members" => {
                list(message, "members").any(|member| member["user_id"].as_str().is_some_and(hides) && is_shown(member))
            }
            "online" => list(message, "users").filter_map(Value::as_str).any(hides),
            "ack" => list(message, "delivered").filter_map(Value::as_str).any(hides),
            _ => false,
        };
        if shown { Err((9, "it learns of somebody who hides".into())) } else { Ok(()) }
    }
}

/// Whether a state is another one than that of somebody who is not here.
fn is_shown(state: &Value) -> bool {
    state["status"] != "offline" || state["devices"].as_u64().unwrap_or(0) > 0 || state.get("note").is_some()
}

fn list<'a>(message: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    message[name].as_array().into_iter().flatten()
}
