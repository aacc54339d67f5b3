//! Writes the plain dialect: four fields, always the same.

use std::borrow::Cow;

use serde::Serialize;

use super::json;

words! {
    /// The types of messages in the plain dialect.
    pub enum Kind {
        /// A message.
        Chat "chat",
        /// A user has come.
        UserJoined "user_joined",
        /// A user has gone.
        UserLeft "user_left",
        /// The users in the room.
        OnlineUsers "online_users",
        /// A message was refused, or the session will end.
        Error "error",
    }
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: Kind,
    #[serde(serialize_with = "json::content")]
    content: &'a str,
    room: &'a str,
    username: &'a str,
}

pub(crate) fn chat(out: &mut Vec<u8>, content: &str, room: &str, user: &str) {
    json::write(out, &Message { r#type: Kind::Chat, content, room, username: user });
}

pub(crate) fn user_joined(out: &mut Vec<u8>, room: &str, user: &str) {
    let content = &format!("{user} joined the room");
    json::write(out, &Message { r#type: Kind::UserJoined, content, room, username: user });
}

pub(crate) fn user_left(out: &mut Vec<u8>, room: &str, user: &str) {
    let content = &format!("{user} left the room");
    json::write(out, &Message { r#type: Kind::UserLeft, content, room, username: user });
}

pub(crate) fn online_users(out: &mut Vec<u8>, room: &str, users: &[&str]) {
    let names: Vec<Cow<'_, str>> = users.iter().map(|user| without_comma(user)).collect();
    let content = &names.join(",");
    json::write(out, &Message { r#type: Kind::OnlineUsers, content, room, username: "" });
}

pub(crate) fn error(out: &mut Vec<u8>, message: &str, room: &str) {
    json::write(out, &Message { r#type: Kind::Error, content: message, room, username: "" });
}

/// A name as it stands in a list that is joined by commas: one of its own is a low quotation mark there, which looks
/// like one.
fn without_comma(name: &str) -> Cow<'_, str> {
    match name.contains(',') {
        true => name.replace(',', "\u{201a}").into(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_these_bytes() {
        type Write = fn(&mut Vec<u8>);
        let rows: [(Write, &str); Kind::ALL.len()] = [
            (
                |out| chat(out, "she said \"yes\"\n", "d\"en", "a\\b"),
                r#"{"type":"chat","content":"she said \"yes\"\n","room":"d\"en","username":"a\\b"}"#,
            ),
            (
                |out| user_joined(out, "den", "an\"n"),
                r#"{"type":"user_joined","content":"an\"n joined the room","room":"den","username":"an\"n"}"#,
            ),
            (
                |out| user_left(out, "den", "ann"),
                r#"{"type":"user_left","content":"ann left the room","room":"den","username":"ann"}"#,
            ),
            (
                |out| online_users(out, "den", &["ann", "b,ob"]),
                "{\"type\":\"online_users\",\"content\":\"ann,b\u{201a}ob\",\"room\":\"den\",\"username\":\"\"}",
            ),
            (|out| error(out, "too long", ""), r#"{"type":"error","content":"too long","room":"","username":""}"#),
        ];
        for (kind, (write, expected)) in Kind::ALL.iter().zip(rows) {
            let mut out = Vec::new();
            write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert!(expected.starts_with(&format!("{{\"type\":\"{}\"", kind.as_str())), "{expected}");
        }
    }
}
