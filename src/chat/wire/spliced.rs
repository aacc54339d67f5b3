//! The message that is most of the server's output, written by hand.

use super::{Id, answer, json};
use crate::backend::{Body, Entry, Message};

/// A message in a room: [`Broadcast`](answer::Broadcast), by hand, if it has nothing but its text, because that
/// is most of the server's output.
pub(crate) fn broadcast(out: &mut Vec<u8>, id: Option<&Id<'_>>, room: &str, entry: &Entry<'_>) {
    let content = match &entry.body {
        Body::Message(Message { content: Some(content), reply_to: None, edited: None, reactions })
            if reactions.is_empty() =>
        {
            content
        }
        _ => return answer::write(out, id, &answer::Broadcast { room_id: room, item: answer::Item::from(entry) }),
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
                    broadcast(&mut spliced, id.as_ref(), word, &message);
                    let mut typed = Vec::new();
                    answer::write(
                        &mut typed,
                        id.as_ref(),
                        &answer::Broadcast { room_id: word, item: (&message).into() },
                    );
                    assert_eq!(String::from_utf8(spliced), String::from_utf8(typed));
                }
            }
        }
    }
}
