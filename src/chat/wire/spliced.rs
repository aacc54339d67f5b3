//! Entries written, and by hand the message that is most of the server's output.

use super::entries::{Broadcast, Deleted, Direct, Edited, Item, Mentions, Place, Reacted};
use super::{Id, answer, json};
use crate::backend::{Body, Entry, Message};

/// Appends an entry of a room: a [`Broadcast`] by hand, if it is a message with nothing but its text, because
/// that is most of the server's output.
pub(crate) fn in_room(out: &mut Vec<u8>, id: Option<&Id<'_>>, room: &str, entry: &Entry<'_>) {
    let content = match &entry.body {
        Body::Message(Message {
            content: Some(content),
            reply_to: None,
            calls_room: false,
            edited: None,
            reactions,
        }) if reactions.is_empty() => content,
        _ => return by_type(out, id, Place::room(room), entry),
    };
    out.extend_from_slice(br#"{"type":"broadcast""#);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        json::write(out, id);
    }
    out.extend_from_slice(br#","room_id":"#);
    json::write_text(out, room);
    out.extend_from_slice(br#","sender":"#);
    json::write_text(out, entry.sender);
    out.extend_from_slice(br#","content":"#);
    json::write_text(out, content);
    out.extend_from_slice(br#","seq":"#);
    json::write(out, &entry.seq);
    out.extend_from_slice(br#","ts":"#);
    json::write(out, &entry.ts);
    out.push(b'}');
}

/// Appends an entry as everybody hears it who is in its conversation.
pub(crate) fn by_type(out: &mut Vec<u8>, id: Option<&Id<'_>>, place: Place<'_>, entry: &Entry<'_>) {
    let Entry { seq, ts, sender, ref body } = *entry;
    match (body, place) {
        (Body::Message(message), Place::Room { room_id }) => {
            answer::write(out, id, &Broadcast { room_id, item: Item::of(entry, message) });
        }
        (Body::Message(message), Place::User { user_id }) => {
            answer::write(out, id, &Direct(Item { user_id: Some(user_id), ..Item::of(entry, message) }));
        }
        (&Body::Edited { of, content, calls_room }, place) => {
            let (deleted, mentions) = (content.is_none(), Mentions::of(calls_room));
            answer::write(out, id, &Edited { place, of, sender, content, deleted, seq, ts, mentions });
        }
        (&Body::Deleted { of }, place) => answer::write(out, id, &Deleted { place, of, sender, seq, ts }),
        (&Body::Reaction { of, emoji, on }, place) => {
            answer::write(out, id, &Reacted { place, of, sender, emoji, on, seq, ts });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message that is written by hand has the bytes of its type.
    #[test]
    fn the_spliced_broadcast_is_the_same() {
        for id in [None, Some(Id::Text("a\"b".into())), Some(Id::Unsigned(0)), Some(Id::Negative(-1))] {
            for (seq, ts) in [(0, 0), (7, 1_790_000_000_123), (u64::MAX, u64::MAX)] {
                for word in ["", "den", "d\"e\\n", "\u{0}\t\u{1f}", "caf\u{e9} \u{7f}\u{2028}", &"long ".repeat(500)] {
                    let message = Entry { seq, ts, sender: word, body: Body::Message(Message::new(word)) };
                    let mut spliced = Vec::new();
                    in_room(&mut spliced, id.as_ref(), word, &message);
                    let mut typed = Vec::new();
                    by_type(&mut typed, id.as_ref(), Place::room(word), &message);
                    assert_eq!(String::from_utf8(spliced), String::from_utf8(typed));
                }
            }
        }
    }
}
