//! The functions of the wire dialect that `benches/envelope.rs` measures. Not an interface: nothing else uses it, and
//! it may change at any time.

use super::wire::entries::Place;
use super::wire::{request, spliced};
use crate::backend::{Body, Entry, Message};

/// Whether a text is a request that can be read.
pub fn reads_request(text: &str) -> bool {
    request::parse(text).1.is_ok()
}

/// Appends a message that is written by its type, as all are but a broadcast.
pub fn write_direct(out: &mut Vec<u8>, to: &str, sender: &str, content: &str, seq: u64, ts: u64) {
    let entry = Entry { seq, ts, sender, body: Body::Message(Message::new(content)) };
    spliced::by_type(out, None, Place::user(to), &entry);
}

/// Appends the message that members of a room are sent.
pub fn write_broadcast(out: &mut Vec<u8>, room: &str, sender: &str, content: &str, seq: u64, ts: u64) {
    spliced::in_room(out, None, room, &Entry { seq, ts, sender, body: Body::Message(Message::new(content)) });
}
