//! What clients hear, and show, of the entries of a conversation that a model knows.

use serde_json::{Value, json};

use crate::backend::tests::said::Conversation;
use crate::backend::{Body, Entry, Message, Reaction};
pub(super) use crate::shown::Folded;
use crate::shown::{Reacted, Shown};

/// What each of these messages has to be, if it is kept.
pub(super) fn agrees(folded: &Folded, conversation: &Conversation, who: &str) {
    for (seq, shown) in &folded.0 {
        if let Some(expected) = to_be_shown(conversation, *seq) {
            assert_eq!(*shown, expected, "{who} shows {seq}");
        }
    }
}

fn to_be_shown(conversation: &Conversation, seq: u64) -> Option<Shown> {
    let entry = conversation.entry(seq, "")?;
    let Body::Message(message) = entry.body else { panic!("{seq} is no message") };
    let users = |users: &[&str]| Reacted::Users(users.iter().map(|&user| user.to_owned()).collect());
    Some(Shown {
        sender: entry.sender.to_owned(),
        ts: entry.ts,
        content: message.content.map(Into::into),
        reply_to: message.reply_to,
        calls_room: message.calls_room,
        edited: message.edited,
        reactions: message.reactions.iter().map(|it| (it.emoji.to_owned(), users(&it.users))).collect(),
    })
}

/// An entry as somebody hears it, but for the `id`; of a room or, `with` a user, between two people.
pub(super) fn as_heard(entry: &Entry<'_>, place: (&str, &str)) -> Value {
    let Entry { seq, ts, sender, body } = entry;
    let (kind, fields) = match body {
        Body::Message(Message { content, reply_to, calls_room, edited, reactions }) => {
            let kind = if place.0 == "room_id" { "broadcast" } else { "direct" };
            let reaction = |it: &Reaction<'_>| json!({"emoji":it.emoji,"count":it.count,"users":it.users,"me":it.me});
            let reactions: Vec<Value> = reactions.iter().map(reaction).collect();
            let deleted = content.is_none();
            let reactions = (!reactions.is_empty()).then_some(reactions);
            let mentions = calls_room.then_some("room");
            (
                kind,
                json!({"content":content,"reply_to":reply_to,"mentions":mentions,"edited":edited,
                    "reactions":reactions,"deleted":deleted}),
            )
        }
        Body::Edited { of, content, calls_room } => {
            let mentions = calls_room.then_some("room");
            ("edited", json!({"of":of,"content":content,"deleted":content.is_none(),"mentions":mentions}))
        }
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
