//! What a client makes of the messages it hears, and of what is done to them, as `docs/wire.md` says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::simplest::Conversation;
use crate::backend::{Body, Entry, Message, Reaction};

/// The messages of one conversation, as a client shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded(pub BTreeMap<u64, Shown>);

/// One of them; deleted, it has a sender, a time and what it answers alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    sender: String,
    ts: u64,
    content: Option<String>,
    reply_to: Option<u64>,
    edited: Option<u64>,
    /// By emoji. Without their order: who hears of a reaction again may show it elsewhere in the list.
    reactions: BTreeMap<String, BTreeSet<String>>,
}

impl Folded {
    /// An entry is heard, live or in a replay, as often as it may be; or an item of the history is read.
    pub fn hear(&mut self, entry: &Value, own: &str) {
        let number = |name: &str| entry[name].as_u64();
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        let deleted = entry.get("deleted").is_some();
        assert_eq!(deleted, entry.get("deleted") == Some(&Value::Bool(true)), "{entry}");
        let (sender, ts) = (text("sender").expect("all have one"), number("ts").expect("all have one"));
        let Some(of) = number("of") else {
            let seq = number("seq").expect("all have one");
            assert!(deleted != (entry.get("content").is_some()), "a deleted message has no text: {entry}");
            let mut reactions = BTreeMap::new();
            for reaction in entry["reactions"].as_array().into_iter().flatten() {
                let users = reaction["users"].as_array().unwrap().iter().map(|user| user.as_str().unwrap().to_owned());
                let users: BTreeSet<String> = users.collect();
                assert_eq!(
                    (reaction["count"].as_u64(), reaction["me"].as_bool()),
                    (Some(users.len() as u64), Some(users.contains(own))),
                    "{own}: {entry}"
                );
                assert!(!users.is_empty() && !deleted, "{entry}");
                reactions.insert(reaction["emoji"].as_str().unwrap().to_owned(), users);
            }
            let (content, reply_to, edited) = (text("content"), number("reply_to"), number("edited"));
            self.0.insert(seq, Shown { sender, ts, content, reply_to, edited, reactions });
            return;
        };
        // It may be a message from before the client came.
        let Some(shown) = self.0.get_mut(&of).filter(|shown| shown.content.is_some()) else { return };
        match entry["type"].as_str() {
            Some("edited") if !deleted => (shown.content, shown.edited) = (text("content"), Some(ts)),
            Some("edited" | "deleted") => shown.delete(),
            Some("reaction") => {
                let emoji = text("emoji").unwrap();
                match entry["on"].as_bool().unwrap() {
                    true => drop(shown.reactions.entry(emoji).or_default().insert(sender)),
                    false => {
                        shown.reactions.entry(emoji).or_default().remove(&sender);
                        shown.reactions.retain(|_, users| !users.is_empty());
                    }
                }
            }
            other => panic!("{other:?}: {entry}"),
        }
    }

    /// What each of these messages has to be, if it is kept.
    pub fn agrees(&self, conversation: &Conversation, who: &str) {
        for (seq, shown) in &self.0 {
            if let Some(expected) = Shown::of(conversation, *seq) {
                assert_eq!(*shown, expected, "{who} shows {seq}");
            }
        }
    }
}

impl Shown {
    fn delete(&mut self) {
        let Self { sender, ts, reply_to, .. } = std::mem::take(self);
        *self = Self { sender, ts, reply_to, ..Self::default() };
    }

    fn of(conversation: &Conversation, seq: u64) -> Option<Self> {
        let entry = conversation.entry(seq, "")?;
        let Body::Message(message) = entry.body else { panic!("{seq} is no message") };
        let users = |users: &[&str]| users.iter().map(|&user| user.to_owned()).collect();
        Some(Self {
            sender: entry.sender.to_owned(),
            ts: entry.ts,
            content: message.content.map(Into::into),
            reply_to: message.reply_to,
            edited: message.edited,
            reactions: message.reactions.iter().map(|it| (it.emoji.to_owned(), users(&it.users))).collect(),
        })
    }
}

/// An entry as somebody hears it, but for the `id`; of a room or, `with` a user, between two people.
pub(super) fn as_heard(entry: &Entry<'_>, place: (&str, &str)) -> Value {
    let Entry { seq, ts, sender, body } = entry;
    let (kind, fields) = match body {
        Body::Message(Message { content, reply_to, edited, reactions }) => {
            let kind = if place.0 == "room_id" { "broadcast" } else { "direct" };
            let reaction = |it: &Reaction<'_>| json!({"emoji":it.emoji,"count":it.count,"users":it.users,"me":it.me});
            let reactions: Vec<Value> = reactions.iter().map(reaction).collect();
            let deleted = content.is_none();
            let reactions = (!reactions.is_empty()).then_some(reactions);
            (
                kind,
                json!({"content":content,"reply_to":reply_to,"edited":edited,"reactions":reactions,"deleted":deleted}),
            )
        }
        Body::Edited { of, content } => ("edited", json!({"of":of,"content":content,"deleted":content.is_none()})),
        Body::Deleted { of } => ("deleted", json!({"of":of})),
        Body::Reaction { of, emoji, on } => ("reaction", json!({"of":of,"emoji":emoji,"on":on})),
    };
    let mut heard = json!({"type":kind,"seq":seq,"ts":ts,"sender":sender});
    let object = heard.as_object_mut().unwrap();
    object.insert(place.0.into(), place.1.into());
    let is_there = |(name, value): &(&String, &Value)| {
        !(value.is_null() || name.as_str() == "deleted" && **value == Value::Bool(false))
    };
    object
        .extend(fields.as_object().unwrap().iter().filter(is_there).map(|(name, value)| (name.clone(), value.clone())));
    heard
}

/// What an entry is for everybody, however it is folded.
pub(super) fn identity(entry: &Value) -> String {
    let part = |name: &str| entry[name].to_string();
    ["type", "sender", "ts", "of", "emoji", "on"].map(part).join(" ")
}
