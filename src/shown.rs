//! What a client shows of a conversation: the messages that it hears, with what is done to them, folded as
//! `docs/wire.md` says.
//!
//! The server never reads this. The simulated clients of [`crate::sim`] do, and the tests of the chat: so there is one
//! reader of what the server sends, in Rust, that is no part of it. It does not know where entries come from, nor
//! whether one is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The messages of one conversation, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded(pub BTreeMap<u64, Shown>);

/// One of them; deleted, it has a sender, a time and what it answers alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Who.
    pub sender: String,
    /// When, by the server's wall clock.
    pub ts: u64,
    /// Its text, as it stands; `None`: deleted.
    pub content: Option<String>,
    /// What it answers.
    pub reply_to: Option<u64>,
    /// Whether it calls everybody in the room, as it stands.
    pub calls_room: bool,
    /// When it was edited last.
    pub edited: Option<u64>,
    /// The people who have reacted, by emoji. Without their order: a client that hears of a reaction again may show it
    /// elsewhere in the list.
    pub reactions: BTreeMap<String, Reacted>,
}

/// The people who have reacted with an emoji.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reacted {
    /// These.
    Users(BTreeSet<String>),
    /// More than are named: who the others are is not known.
    Many,
}

impl Folded {
    /// An entry is heard, live or in a replay, as often as it may be; or an item of the history is read.
    ///
    /// # Errors
    /// What is wrong with it, by `docs/wire.md`.
    pub fn hear(&mut self, entry: &Value, own: &str) -> Result<(), String> {
        let number = |name: &str| entry[name].as_u64();
        let Some(of) = number("of") else {
            let seq = number("seq").ok_or("a message without seq")?;
            self.0.insert(seq, Shown::of(entry, own)?);
            return Ok(());
        };
        let ts = number("ts").ok_or("an entry without ts")?;
        let sender = entry["sender"].as_str().ok_or("an entry without sender")?;
        let deleted = is_deleted(entry)?;
        // It may be a message from before the client came.
        let Some(shown) = self.0.get_mut(&of).filter(|shown| shown.content.is_some()) else { return Ok(()) };
        match entry["type"].as_str() {
            Some("edited") if !deleted => {
                let content = entry["content"].as_str().ok_or("an edit without content")?;
                (shown.content, shown.edited) = (Some(content.to_owned()), Some(ts));
                shown.calls_room = calls_room(entry)?;
            }
            Some("edited" | "deleted") => shown.delete(),
            Some("reaction") => {
                let emoji = entry["emoji"].as_str().ok_or("a reaction without emoji")?;
                let on = entry["on"].as_bool().ok_or("a reaction without on")?;
                let none = || Reacted::Users(BTreeSet::new());
                let Reacted::Users(users) = shown.reactions.entry(emoji.to_owned()).or_insert_with(none) else {
                    return Ok(());
                };
                match on {
                    true => users.insert(sender.to_owned()),
                    false => users.remove(sender),
                };
                shown.reactions.retain(|_, reacted| *reacted != none());
            }
            _ => return Err("something is done to a message that docs/wire.md does not have".into()),
        }
        Ok(())
    }

    /// Nothing up to there is kept: it is shown no more.
    pub fn forget(&mut self, to: u64) {
        self.0.retain(|seq, _| *seq > to);
    }
}

impl Shown {
    /// A message as somebody hears it, or reads it in the history.
    ///
    /// # Errors
    /// What is wrong with it, by `docs/wire.md`.
    pub fn of(message: &Value, own: &str) -> Result<Self, String> {
        let number = |name: &str| message[name].as_u64();
        let text = |name: &str| message[name].as_str().map(str::to_owned);
        let sender = text("sender").ok_or("a message without sender")?;
        let ts = number("ts").ok_or("a message without ts")?;
        if is_deleted(message)? == message.get("content").is_some() {
            return Err("a message has a text, or is deleted".into());
        }
        let mut reactions = BTreeMap::new();
        for reaction in message["reactions"].as_array().into_iter().flatten() {
            let names = reaction["users"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let users: BTreeSet<String> = names.map(str::to_owned).collect();
            let emoji = reaction["emoji"].as_str().ok_or("a reaction without emoji")?.to_owned();
            let count = reaction["count"].as_u64().ok_or("a reaction without count")? as usize;
            let me = reaction["me"].as_bool().ok_or("a reaction without me")?;
            let all = count == users.len();
            if users.is_empty() || !all && (users.len() != NAMED || count < NAMED) {
                return Err(format!("{count} have reacted with {emoji}, and {users:?} are named"));
            }
            if users.contains(own) && !me || all && me && !users.contains(own) {
                return Err(format!("{own} has reacted with {emoji}, or not: {users:?}"));
            }
            reactions.insert(emoji, if all { Reacted::Users(users) } else { Reacted::Many });
        }
        let (content, reply_to, edited) = (text("content"), number("reply_to"), number("edited"));
        if content.is_none() && !reactions.is_empty() {
            return Err("there are reactions to a deleted message".into());
        }
        let calls_room = calls_room(message)?;
        if calls_room && content.is_none() {
            return Err("a deleted message calls the room".into());
        }
        Ok(Self { sender, ts, content, reply_to, calls_room, edited, reactions })
    }

    /// Whether two who show the same message show the same, as far as both know.
    pub fn agrees(&self, other: &Self) -> bool {
        let emoji: BTreeSet<&String> = self.reactions.keys().chain(other.reactions.keys()).collect();
        let same = |emoji: &&String| {
            let (one, two) = (self.reactions.get(*emoji), other.reactions.get(*emoji));
            one == two || [one, two].contains(&Some(&Reacted::Many))
        };
        let texts = |shown: &Self| (shown.content.clone(), shown.reply_to, shown.calls_room, shown.edited);
        (&self.sender, self.ts) == (&other.sender, other.ts) && texts(self) == texts(other) && emoji.iter().all(same)
    }

    /// Whether somebody is known to have reacted with an emoji.
    pub fn has(&self, emoji: &str, user: &str) -> bool {
        matches!(self.reactions.get(emoji), Some(Reacted::Users(users)) if users.contains(user))
    }

    fn delete(&mut self) {
        let Self { sender, ts, reply_to, .. } = std::mem::take(self);
        *self = Self { sender, ts, reply_to, ..Self::default() };
    }
}

fn is_deleted(entry: &Value) -> Result<bool, String> {
    match entry.get("deleted") {
        None => Ok(false),
        Some(Value::Bool(true)) => Ok(true),
        Some(other) => Err(format!("deleted is {other}")),
    }
}

fn calls_room(entry: &Value) -> Result<bool, String> {
    match entry.get("mentions") {
        None => Ok(false),
        Some(Value::String(whom)) if whom == "room" => Ok(true),
        Some(other) => Err(format!("mentions is {other}")),
    }
}

/// So many of those who have reacted are named at most.
const NAMED: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(reactions: &Value) -> Result<Shown, String> {
        Shown::of(&json!({"sender":"ann","ts":1,"content":"hi","reactions":reactions}), "bob")
    }

    /// Each row: who has reacted, as a message says it, and whether docs/wire.md lets it say so.
    #[test]
    fn reactions_that_may_be() {
        let many: Vec<String> = (0..20).map(|n| format!("u{n:02}")).collect();
        for (count, users, me, may_be) in [
            (1, json!(["bob"]), true, true),
            (1, json!(["bob"]), false, false),
            (1, json!(["cat"]), true, false),
            (2, json!(["cat"]), false, false),
            (0, json!([]), false, false),
            (20, json!(many), false, true),
            (21, json!(many), true, true),
            (19, json!(many), false, false),
        ] {
            let reactions = json!([{"emoji":":x:","count":count,"users":users,"me":me}]);
            assert_eq!(of(&reactions).is_ok(), may_be, "{reactions}");
        }
    }

    /// Those who are not named are not known: such reactions are like any others.
    #[test]
    fn as_far_as_both_know() {
        let many: Vec<String> = (0..20).map(|n| format!("u{n:02}")).collect();
        let crowd = of(&json!([{"emoji":":x:","count":21,"users":many,"me":false}])).unwrap();
        let few = of(&json!([{"emoji":":x:","count":1,"users":["cat"],"me":false}])).unwrap();
        let none = of(&json!([])).unwrap();
        for (one, two, same) in [(&crowd, &few, true), (&none, &crowd, true), (&few, &none, false), (&few, &few, true)]
        {
            assert_eq!(one.agrees(two), same, "{one:?} {two:?}");
        }
        let other = Shown { content: None, ..few.clone() };
        assert!(!few.agrees(&other), "one is deleted");
    }
}
