//! What people do to messages: they edit, delete, and react.
//!
//! Each is an entry of the conversation and goes the road of a message (`speech`), with the next number. The store
//! decides whether the message is there and whose it is; here is what can be known without it.

use super::ask::Ask;
use super::emoji::check_emoji;
use super::hall::Hall;
use super::settings::Settings;
use super::turn::Ctx;
use super::wire::request::{Change, Place};
use super::wire::{Code, Refusal};
use crate::backend::{MAX_EMOJI, MAX_SET, NewBody, Right, Why};
use crate::id::ConnId;

impl Hall {
    pub(super) fn change(
        &mut self,
        ask: Ask<'_>,
        place: &Place<'_>,
        of: u64,
        change: &Change<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let within = ctx.settings.edit_within;
        let body = match change {
            Change::Edit { content } => NewBody::Edit { of, content, within, calls_room: false },
            Change::Delete => NewBody::Delete { of, right: self.right_to_delete(ask.conn, place, ctx.settings) },
            Change::React { emoji, on } => {
                check_emoji(emoji)?;
                NewBody::Reaction { of, emoji, on: *on }
            }
        };
        match place {
            Place::Room(name) => self.say_in_named(ask, name, body, ctx),
            Place::User(name) => self.say_to(ask, name, body, ctx),
        }
    }

    /// What two people write to each other is theirs; only an operator deletes there too.
    fn right_to_delete(&self, conn: ConnId, place: &Place<'_>, settings: &Settings) -> Right {
        let all = match place {
            Place::Room(_) => self.may_moderate(conn),
            Place::User(_) => self.operators.has(conn),
        };
        match all {
            true => Right::Moderator,
            false => Right::Sender { within: settings.edit_within },
        }
    }
}

/// That something is set for as many rooms as can be.
pub(super) fn too_many_set() -> String {
    format!("expected at most {MAX_SET} rooms for which something is set, found one more")
}

/// Why the store does not carry out a request.
pub(super) fn refusal_of(why: Why) -> Refusal {
    let (code, message) = match why {
        Why::NotFound => (Code::NotFound, "expected the number of a message that is kept, found another one".into()),
        Why::NotTheirs => (Code::Forbidden, "`of`: expected a message of one's own, found one of another user".into()),
        Why::TooLate => (Code::Forbidden, "`of`: expected a message that is young enough, found an older one".into()),
        Why::TooManyEmoji => {
            (Code::TooLarge, format!("expected at most {MAX_EMOJI} different emoji at a message, found one more"))
        }
        Why::TooManySet => (Code::TooManyRooms, too_many_set()),
        Why::BadCursor => (Code::BadRequest, "`cursor`: expected the last `next`, found another text".into()),
        Why::Unsupported => {
            (Code::Unsupported, "expected a message store that can do this, found one that cannot".into())
        }
    };
    Refusal::new(code, message)
}
