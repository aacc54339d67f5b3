//! `salon say | kick | ban | unban | rooms | who | trail | health | reload`: what an operator does now and then, by
//! command line.
//!
//! Each is one call of the HTTP API, or a few, to the admin port of a server that runs (docs/http-api.md).

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use crate::chat::rules::Key;
use crate::random::Random;
use crate::top::http::{Client, Error, Place};

use super::asked::Server;
use super::rooms;
use super::values::parse_time;

/// Options of `say`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").required(true))]
pub struct SayArgs {
    /// The room in which to say it
    #[arg(long, value_name = "ROOM", group = "whom")]
    pub room: Option<String>,
    /// The user to say it to
    #[arg(long, value_name = "NAME", group = "whom")]
    pub user: Option<String>,
    /// Say it to everybody who is here
    #[arg(long, group = "whom")]
    pub everybody: bool,
    /// The name of the sender; `server` if nothing is said
    #[arg(long = "as", value_name = "NAME")]
    pub sender: Option<String>,
    /// A name for this message: with the same one, text and place, it is said once, however often it is asked for
    /// within five minutes
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// What to say
    pub text: String,
    /// The server to ask.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `kick`.
#[derive(Debug, Args)]
pub struct KickArgs {
    /// The user to put out
    pub user: String,
    /// Only out of this room
    #[arg(long, value_name = "ROOM")]
    pub room: Option<String>,
    /// The server to ask.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `ban`.
#[derive(Debug, Args)]
pub struct BanArgs {
    /// The user to keep out
    pub user: String,
    /// For how long; until `salon unban`, if nothing is said
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub time: Option<Duration>,
    /// Why, for the list of bans
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// The server to ask.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `unban`.
#[derive(Debug, Args)]
pub struct UnbanArgs {
    /// The user to let in again
    pub user: String,
    /// The server to ask.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Ask only whether the server answers, not whether clients may come: for a supervisor that restarts it otherwise
    #[arg(long)]
    pub live: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `who`.
#[derive(Debug, Args)]
pub struct WhoArgs {
    /// The room; without it the whole server
    pub room: Option<String>,
    /// The server to ask.
    #[command(flatten)]
    pub server: Server,
}

/// Why it was not done.
#[derive(Debug)]
pub enum Failure {
    /// It could not be asked for.
    Asked(String),
    /// The server does not do it, in one sentence.
    Refused(String),
}

/// `salon say`.
pub fn say(args: &SayArgs) -> Result<(), Failure> {
    let (call, mut body) = match (&args.room, &args.user) {
        (Some(room), _) => ("publish", json!({"room_id": room})),
        (None, Some(user)) => ("direct", json!({"user_id": user})),
        (None, None) => ("broadcast", json!({})),
    };
    body["content"] = args.text.clone().into();
    if let Some(sender) = &args.sender {
        body["sender"] = sender.clone().into();
    }
    let id = args.id.clone().unwrap_or_else(|| format!("{:016x}", Random::secret().draw()));
    body["id"] = id.clone().into();
    let mut port = Port::of(&args.server)?;
    let answer = port.client.post(&format!("/api/{call}"), &body.to_string());
    let lost = matches!(answer, Err(Error::Away(_)));
    match port.read(answer) {
        Err(Failure::Refused(sentence)) if lost => Err(Failure::Refused(format!(
            "{sentence}; it may have been said all the same: say it again with --id {id}, and it is said once"
        ))),
        answer => show(&answer?.to_string()),
    }
}

/// `salon kick`.
pub fn kick(args: &KickArgs) -> Result<(), Failure> {
    let mut body = json!({"user_id": args.user});
    if let Some(room) = &args.room {
        body["room_id"] = room.clone().into();
    }
    show(&Port::of(&args.server)?.call("kick", &body)?.to_string())
}

/// `salon ban`.
pub fn ban(args: &BanArgs) -> Result<(), Failure> {
    let mut body = json!({"user_id": args.user});
    if let Some(time) = args.time {
        body["seconds"] = time.as_secs().into();
    }
    if let Some(note) = &args.note {
        body["note"] = note.clone().into();
    }
    show(&Port::of(&args.server)?.call("ban", &body)?.to_string())
}

/// `salon unban`.
pub fn unban(args: &UnbanArgs) -> Result<(), Failure> {
    show(&Port::of(&args.server)?.call("unban", &json!({"user_id": args.user}))?.to_string())
}

/// `salon rooms`: a line each, with how many are in it.
pub fn rooms(server: &Server) -> Result<(), Failure> {
    Port::of(server)?.list("rooms", json!({}), "rooms", |room| {
        format!("{:>7}  {}", words(&room["members"]), words(&room["room_id"]))
    })
}

/// `salon trail`: a line for each step.
pub fn trail(server: &Server) -> Result<(), Failure> {
    Port::of(server)?.list("trail", json!({}), "steps", |step| {
        let time = UNIX_EPOCH + Duration::from_millis(step["ts"].as_u64().unwrap_or_default());
        let named = ["room_id", "user_id"].iter().filter_map(|name| Some(format!(" {name}={}", step.get(name)?)));
        let [operator, call] = ["operator", "call"].map(|field| words(&step[field]));
        let named: String = named.collect();
        let line = format!("{}  {operator}  {call}  {}{named}", httpdate::fmt_http_date(time), step["status"]);
        // Others choose names: what they are is for the terminal to show and not to obey.
        line.replace(char::is_control, "?")
    })
}

/// `salon who`: a name a line; of a room with the status.
pub fn who(args: &WhoArgs) -> Result<(), Failure> {
    let mut port = Port::of(&args.server)?;
    match &args.room {
        Some(room) => port.list("members", json!({"room_id": room}), "members", |member| {
            format!("{:8}  {}", words(&member["status"]), words(&member["user_id"]))
        }),
        None => port.list("online", json!({}), "users", words),
    }
}

/// `salon health`: whether clients may come, or whether it lives.
pub fn health(args: &HealthArgs) -> Result<(), Failure> {
    let mut port = Port::at(&args.server, None)?;
    let word = port.client.get(if args.live { "/livez" } else { "/readyz" });
    port.answer(word).and_then(|word| show(word.trim_end()))
}

/// `salon reload`: reads the settings of the server again.
pub fn reload(server: &Server) -> Result<(), Failure> {
    let mut port = Port::of(server)?;
    let answer = port.client.post("/api/reload", "");
    let answer = port.answer(answer)?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let list = |field: &str| {
        let words: Vec<String> = answer[field].as_array().into_iter().flatten().map(words).collect();
        if words.is_empty() { "nothing".into() } else { words.join(", ") }
    };
    show(&format!("changed: {}\nonly at the next start: {}", list("changed"), list("at_the_next_start")))
}

/// The settings that a running server has in force, as a file of settings; these say where it is.
pub fn settings_in_force(server: &Server) -> Result<String, Failure> {
    let mut port = Port::of(server)?;
    let answer = port.client.get("/settings");
    port.answer(answer)
}

/// What a running server says of a room: what holds there, and why.
pub fn room_settings(server: &Server, room: &str) -> Result<String, Failure> {
    let answer = Port::of(server)?.call("room_settings", &json!({"room_id": room}))?;
    let settings = answer["settings"].as_array().cloned().unwrap_or_default();
    let lines = Key::ALL.map(|key| {
        let Some(setting) = settings.iter().find(|setting| setting["key"] == key.as_str()) else {
            return rooms::Line::unsaid(key);
        };
        let patterns = setting["match"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let from = match (setting["rule"].as_u64(), setting["line"].as_u64()) {
            (Some(number), Some(line)) => {
                rooms::from_rule(number as usize, patterns, line as usize, "the file of settings,")
            }
            _ => "set for this room by a call of the API".into(),
        };
        // JSON and TOML write texts, and lists of them, alike.
        let value = match &setting["value"] {
            Value::Array(names) => {
                format!("[{}]", names.iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
            }
            value => value.to_string(),
        };
        rooms::Line { key: key.as_str().into(), value: Some(value), from }
    });
    Ok(rooms::text_of_room(answer["room_id"].as_str().unwrap_or(room), &lines))
}

/// The admin port of a server.
struct Port {
    client: Client,
    shown: String,
}

impl Port {
    fn of(server: &Server) -> Result<Self, Failure> {
        let key = server.key().map_err(Failure::Asked)?;
        Self::at(server, key)
    }

    /// With that key, if any.
    fn at(server: &Server, key: Option<String>) -> Result<Self, Failure> {
        Ok(Self::new(server.place().map_err(Failure::Asked)?, key))
    }

    fn new(place: Place, key: Option<String>) -> Self {
        let shown = place.to_string();
        Self { client: Client::new(place, key), shown }
    }

    fn call(&mut self, call: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.client.post(&format!("/api/{call}"), &body.to_string());
        self.read(answer)
    }

    fn read(&self, answer: Result<String, Error>) -> Result<Value, Failure> {
        let text = self.answer(answer)?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::Refused(format!("the server at {} answers with something else than JSON", self.shown))
        })
    }

    /// Prints a list, page after page, a line for each of its items.
    fn list(
        &mut self,
        call: &str,
        mut body: Value,
        field: &str,
        line: impl Fn(&Value) -> String,
    ) -> Result<(), Failure> {
        body["limit"] = PAGE.into();
        loop {
            let page = self.call(call, &body)?;
            let lines: Vec<String> = page[field].as_array().into_iter().flatten().map(&line).collect();
            show(&lines.join("\n"))?;
            let Some(next) = page.get("next").filter(|next| !next.is_null()) else { return Ok(()) };
            if body["cursor"] == *next {
                return Err(Failure::Refused(format!("the server at {} shows the same page again", self.shown)));
            }
            body["cursor"] = next.clone();
        }
    }

    fn answer(&self, answer: Result<String, Error>) -> Result<String, Failure> {
        answer.map_err(|error| Failure::Refused(format!("the server at {} {error}", self.shown)))
    }
}

/// A text as it is, anything else as JSON.
fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Prints it, if anybody reads it.
fn show(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Asked(format!("it is done, but the answer cannot be printed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Items of a page; the most that the server gives.
const PAGE: usize = 200;
