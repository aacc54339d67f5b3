//! Asks the server again and again, on a thread of its own, so that keys work while an answer is on its way.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::figures::Snapshot;
use super::http::{Client, Error};
use super::metrics::Metrics;

/// A room or session that can be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A room by its name.
    Room(String),
    /// A session by its id.
    Session(String),
}

/// A look at the server, or why there is none.
#[derive(Debug)]
pub struct Update {
    /// The whole server.
    pub snapshot: Result<Snapshot, Error>,
    /// The subject that is looked into.
    pub detail: Option<(Subject, Result<Detail, Error>)>,
}

/// A subject more closely: names and values, then a list.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Facts, in order.
    pub facts: Vec<(String, String)>,
    /// What the list contains.
    pub list_of: &'static str,
    /// The list, or the beginning of it.
    pub list: Vec<String>,
}

/// Asks for all that is shown.
///
/// # Errors
/// When the server does not answer, or not as expected.
pub fn look(client: &mut Client) -> Result<Snapshot, Error> {
    let metrics = Metrics::read(&client.get("/metrics")?);
    let top = serde_json::from_str(&client.get("/top")?).map_err(|_| Error::Strange("/top is another one"))?;
    Ok(Snapshot { metrics, top })
}

/// Asks at once, every `every`, and whenever another subject is chosen, until the view has gone.
pub fn run(mut client: Client, every: Duration, subjects: &Receiver<Option<Subject>>, updates: &Sender<Update>) {
    let mut subject = None;
    loop {
        let asked = Instant::now();
        let snapshot = look(&mut client);
        let detail = match (&snapshot, &subject) {
            (Ok(_), Some(subject)) => Some((Subject::clone(subject), look_into(&mut client, subject))),
            _ => None,
        };
        if updates.send(Update { snapshot, detail }).is_err() {
            return;
        }
        match subjects.recv_timeout(every.saturating_sub(asked.elapsed())) {
            Ok(other) => subject = other,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn look_into(client: &mut Client, subject: &Subject) -> Result<Detail, Error> {
    match subject {
        Subject::Room(name) => {
            let body = |limit| serde_json::json!({ "room_id": name, "limit": limit }).to_string();
            let room = client.post("/api/room", &body(1))?;
            let members = client.post("/api/members", &body(MAX_LISTED))?;
            room_detail(&room, &members).ok_or(Error::Strange("the room is told otherwise"))
        }
        Subject::Session(id) => {
            let session = client.get(&format!("/connections/{id}"))?;
            session_detail(&session).ok_or(Error::Strange("the session is told otherwise"))
        }
    }
}

fn room_detail(room: &str, members: &str) -> Option<Detail> {
    #[derive(Deserialize)]
    struct Members {
        members: Vec<Member>,
    }
    #[derive(Deserialize)]
    struct Member {
        user_id: String,
        status: String,
        devices: u32,
    }
    let members: Members = serde_json::from_str(members).ok()?;
    let list = members.members.into_iter().map(|Member { user_id, status, devices }| match devices {
        1 => format!("{user_id}  {status}"),
        _ => format!("{user_id}  {status}, {devices} devices"),
    });
    Some(Detail { facts: facts(room, &["type"])?, list_of: "members", list: list.collect() })
}

fn session_detail(session: &str) -> Option<Detail> {
    #[derive(Deserialize)]
    struct Rooms {
        room_ids: Vec<String>,
    }
    let rooms: Rooms = serde_json::from_str(session).ok()?;
    Some(Detail { facts: facts(session, &["room_ids"])?, list_of: "rooms", list: rooms.room_ids })
}

/// The fields of an object as texts, but for some. Times are made readable.
fn facts(object: &str, but: &[&str]) -> Option<Vec<(String, String)>> {
    let fields: Fields = serde_json::from_str(object).ok()?;
    let fields = fields.0.into_iter().filter(|(name, _)| !but.contains(&name.as_str()));
    let facts = fields.map(|(name, value)| {
        let value = match &value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) if TIMES.contains(&&*name) => {
                let ms = number.as_u64().unwrap_or_default();
                httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_millis(ms))
            }
            other => other.to_string(),
        };
        (name.replace('_', " "), value)
    });
    Some(facts.collect())
}

/// The fields of an object in the order in which they came.
struct Fields(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Fields that are milliseconds since the Unix epoch.
const TIMES: [&str; 3] = ["created_at", "connected_at", "last_activity"];

/// Members of a room that are listed: as many as the server lists at once.
const MAX_LISTED: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_in_words() {
        let room = r#"{"type":"room","room_id":"den","name":"den","created_at":1763776800000,"members":2,"seq":2}"#;
        let members = r#"{"members":[{"user_id":"ann","status":"online","devices":1},
            {"user_id":"bob","status":"away","devices":2}],"count":2}"#;
        let detail = room_detail(room, members).unwrap();
        let facts: Vec<_> = detail.facts.iter().map(|(name, value)| (&**name, &**value)).collect();
        let created = ("created at", "Sat, 22 Nov 2025 02:00:00 GMT");
        assert_eq!(facts, [("room id", "den"), ("name", "den"), created, ("members", "2"), ("seq", "2")]);
        assert_eq!(detail.list, ["ann  online", "bob  away, 2 devices"]);

        let session = r#"{"session_id":"910a2dec89025cc1","user_id":"ann","waiting_bytes":0,"room_ids":["den","tea"]}"#;
        let detail = session_detail(session).unwrap();
        assert_eq!((detail.facts.len(), detail.list), (3, vec!["den".to_owned(), "tea".into()]));
        assert!(session_detail("[]").is_none() && room_detail("{}", "{}").is_none());
    }
}
