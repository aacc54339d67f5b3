//! How long the answers may be that the store gives later, known when it is asked: the engine reads no more of a client
//! that is owed much (`Engine::owe`), so that a client which asks for a hundred pages in one breath gets them one after
//! another, whatever store there is.
//!
//! All of it is bytes on the wire, and at most: an answer is shorter as a rule. What a session hears beside it, because
//! others speak or because it catches up, is bounded elsewhere (`readers`, the engine's outbox).

use super::checks::MAX_SHOWN_BYTES;
use super::delivery::Deliveries;
use super::hall::Hall;
use super::name::MAX_NAME_BYTES;
use super::wire::MAX_ID_BYTES;
use super::wire::request::MAX_PAGE;
use crate::backend::{Bounds, NewBody, NewEntry, Query, Request};
use crate::slack;

impl Hall {
    /// Says to the engine how much answers may have that connections are owed now, as far as that has changed. What is
    /// asked and answered in one turn is not said.
    pub(super) fn tell_owing(&mut self, out: &mut Deliveries) {
        for conn in self.owing.drain(..) {
            if let Some(bytes) = self.roster.tell_owed(conn) {
                out.owe(conn, bytes);
            }
        }
        slack::shrink(&mut self.owing);
    }
}

/// The most bytes that the answer to a request may have.
pub(super) fn most_of(request: &Request<'_>) -> u32 {
    let beside = match request {
        Request::Append { entry, .. } => entry_bytes(entry),
        Request::Read { query, .. } => match query {
            Query::Head => NAMES,
            // What follows of a replay is sent as it is taken.
            Query::Resume { bounds, .. } => NAMES + bounds.bytes,
            Query::Newest(bounds) | Query::Before(_, bounds) | Query::After(_, bounds) => page_bytes(*bounds),
        },
        // They have no characters that take more than twice as much.
        Request::Topic { .. } => 4 * MAX_SHOWN_BYTES,
        Request::Readings { .. } => MAX_PAGE * LISTED,
        Request::Conversations { limit, .. } => limit * LISTED,
        Request::Trail { limit, .. } => limit * LISTED,
        Request::Search { search, .. } => ESCAPED * FOUND_BYTES + search.limit * LISTED,
        Request::Recall { .. }
        | Request::Mark { .. }
        | Request::Ban { .. }
        | Request::Unban { .. }
        | Request::Set { .. }
        | Request::Note { .. }
        | Request::Know { .. }
        | Request::Release { .. }
        | Request::Erase { .. }
        | Request::Unfollow { .. }
        | Request::Seats { .. }
        | Request::Tell { .. }
        | Request::Post { .. } => 0,
    };
    u32::try_from(ANSWER + beside).unwrap_or(u32::MAX)
}

/// The copy of an entry that its sender gets.
fn entry_bytes(entry: &NewEntry<'_>) -> usize {
    let content = match entry.body {
        NewBody::Message { content, .. } | NewBody::Edit { content, .. } => content,
        NewBody::Delete { .. } => "",
        NewBody::Reaction { emoji, .. } => emoji,
    };
    let grows = content.bytes().filter(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).count();
    content.len() + (ESCAPED - 1) * grows
}

fn page_bytes(bounds: Bounds) -> usize {
    ESCAPED * bounds.bytes + bounds.entries * ITEM
}

/// A byte of a text in JSON.
const ESCAPED: usize = "\\u0001".len();

/// An answer without what it is about: an acknowledgement, say, or a refusal, with names and an `id`.
const ANSWER: usize = 512 + ESCAPED * MAX_ID_BYTES + 6 * MAX_NAME_BYTES;

/// An item of a page of messages beside its texts and names: numbers, and the names of fields.
const ITEM: usize = 128;

/// An item of a list: two names, in which quotation marks take two bytes, and numbers.
const LISTED: usize = 4 * MAX_NAME_BYTES + ITEM;

/// Names of those who are in a room that is joined; of more rooms than a few, `readers` bounds them.
const NAMES: usize = 8 << 10;

/// Texts that one page of a search has, beside one that crosses this.
const FOUND_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Conversation, Ticket};
    use crate::time::{Moment, Tick};

    /// Texts that grow, and pages whose items have nothing but such a text, have room in what is said of them.
    #[test]
    fn answers_are_no_longer_than_is_said() {
        let (at, room, ticket) = (Moment { tick: Tick(0), unix_ms: 0 }, Conversation::Room("r"), Ticket(0));
        for content in ["", "hello", "\"\\\n", &"\u{1}".repeat(1000), "äöü\u{7f}"] {
            let body = NewBody::Message { content, reply_to: None, calls_room: false };
            let entry = NewEntry { sender: "ann", body, at };
            let request = Request::Append { conversation: room, entry, retry: None, about: None, ticket };
            let shown = serde_json::to_string(content).unwrap();
            assert!(most_of(&request) as usize >= shown.len() + 500, "{content:?}");
        }
        let bounds = Bounds { entries: 200, bytes: 128 << 10 };
        let page =
            |query| most_of(&Request::Read { conversation: room, query, reader: None, now: at, about: None, ticket });
        for query in [Query::Newest(bounds), Query::Before(9, bounds), Query::After(9, bounds)] {
            assert!(page(query) as usize > serde_json::to_string(&"\u{1}".repeat(bounds.bytes)).unwrap().len());
        }
        assert!(page(Query::Head) < page(Query::Resume { since: None, newest: 1, bounds }));
    }
}
