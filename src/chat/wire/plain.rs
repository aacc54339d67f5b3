//! Writes the plain dialect: four fields, always the same.

use std::borrow::Cow;

use super::json::Object;

pub(crate) fn write(out: &mut Vec<u8>, kind: &str, content: &str, room: &str, user: &str) {
    Object::message(out, kind).text("content", content).text("room", room).text("username", user).end();
}

pub(crate) fn chat(out: &mut Vec<u8>, content: &str, room: &str, user: &str) {
    write(out, "chat", content, room, user);
}

pub(crate) fn user_joined(out: &mut Vec<u8>, room: &str, user: &str) {
    write(out, "user_joined", &format!("{user} joined the room"), room, user);
}

pub(crate) fn user_left(out: &mut Vec<u8>, room: &str, user: &str) {
    write(out, "user_left", &format!("{user} left the room"), room, user);
}

pub(crate) fn online_users(out: &mut Vec<u8>, room: &str, users: &[&str]) {
    let names: Vec<Cow<'_, str>> = users.iter().map(|user| without_comma(user)).collect();
    write(out, "online_users", &names.join(","), room, "");
}

/// A name as it stands in a list that is joined by commas: one of its own is a low quotation mark there, which looks like one.
fn without_comma(name: &str) -> Cow<'_, str> {
    match name.contains(',') {
        true => name.replace(',', "\u{201a}").into(),
        false => name.into(),
    }
}
