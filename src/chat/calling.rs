//! Calling everybody in a room: `@room` in a text, of somebody who may.
//!
//! The server decides, once, when the text is said or edited, and the store keeps with it what was decided: so all who
//! read it, now or later, on any node, are told the same. Whether a text names somebody, their own client finds out.

use unicode_normalization::char::is_combining_mark;

use super::auth::Grant;
use super::hall::Hall;
use super::settings::Settings;
use super::turn::Turn;
use super::wire::Refusal;
use crate::backend::NewBody;
use crate::id::ConnId;

impl Hall {
    /// What is said or done in a room, with the mark that it calls everybody there, if it does and may. That is paid
    /// for like speaking to everybody.
    pub(super) fn with_call<'a>(
        &mut self,
        conn: ConnId,
        room: u32,
        mut body: NewBody<'a>,
        turn: &Turn<'_>,
    ) -> Result<NewBody<'a>, Refusal> {
        let (content, calls_room) = match &mut body {
            NewBody::Message { content, calls_room, .. } | NewBody::Edit { content, calls_room, .. } => {
                (*content, calls_room)
            }
            NewBody::Delete { .. } | NewBody::Reaction { .. } => return Ok(body),
        };
        if calls_everybody(content) && self.roster.room(room).members.len() <= self.may_call_up_to(conn, turn.settings)
        {
            self.pay_to_announce(conn, "@room", turn)?;
            *calls_room = true;
        }
        Ok(body)
    }

    /// How many members a room may have that the session calls together; 0: it calls none. Where anybody may speak to
    /// everybody, anybody with a name may call a room that is not big.
    pub(super) fn may_call_up_to(&self, conn: ConnId, settings: &Settings) -> usize {
        let is_guest = || self.user_of(conn).is_none_or(|user| self.roster.user(user).guest);
        if self.operators.has(conn) || self.rights.grant(conn).is_some_and(Grant::may_call_rooms) {
            settings.room_members
        } else if settings.anybody_may_announce && !is_guest() {
            settings.big_room
        } else {
            0
        }
    }
}

/// Whether there is an `@room` in a text, in capital or small letters, that is a word of its own: no part of another
/// word, of an address of mail or of the web, and not between backticks.
fn calls_everybody(text: &str) -> bool {
    // Most texts have none, and a search for one byte is fast.
    text.match_indices(['@', WIDE_AT]).any(|(at, sign)| {
        let (before, behind) = (&text[..at], &text[at + sign.len()..]);
        let is_room = behind.get(..ROOM.len()).is_some_and(|word| word.eq_ignore_ascii_case(ROOM));
        is_room && !goes_on_before(before) && !goes_on_behind(&behind[ROOM.len()..])
    })
}

/// Whether what stands before an `@` makes it a part of something longer. A letter may be written in two characters.
fn goes_on_before(before: &str) -> bool {
    let in_word = |last: char| last.is_alphanumeric() || is_combining_mark(last) || "_.+-/@=%&#~`".contains(last);
    before.chars().next_back().is_some_and(in_word)
}

/// Whether what stands behind the word makes it longer.
fn goes_on_behind(behind: &str) -> bool {
    let in_word = |next: char| next.is_alphanumeric() || is_combining_mark(next) || "_-@`".contains(next);
    behind.chars().next().is_some_and(in_word)
}

/// The word behind the `@`.
const ROOM: &str = "room";

/// The `@` of a Japanese keyboard.
const WIDE_AT: char = '\u{ff20}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_call() {
        for (text, calls) in [
            ("@room", true),
            ("@Room, tea!", true),
            ("(@ROOM)", true),
            ("tea, @room.", true),
            ("\u{ff20}room", true),
            ("@rooms @room", true),
            ("one\n@room\ntwo", true),
            ("room", false),
            ("@", false),
            ("@roo", false),
            ("@rooms", false),
            ("@room_", false),
            ("@room-mates", false),
            ("@room@example.org", false),
            ("ann@room", false),
            ("@@room", false),
            ("https://example.org/@room", false),
            ("`@room`", false),
            ("@room\u{e9}", false),
            ("\u{e9}@room", false),
            ("e\u{301}@room", false),
            ("@roome\u{301}", false),
            ("@room\u{301}", false),
            ("e\u{301} @room \u{e9}", true),
            ("@ro\u{f6}m", false),
            ("@r\u{1f600}", false),
        ] {
            assert_eq!(calls_everybody(text), calls, "{text}");
        }
    }
}
