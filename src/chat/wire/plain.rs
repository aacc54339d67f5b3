//! Writes the plain dialect: four fields, always the same.

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
    write(out, "online_users", &users.join(","), room, "");
}
