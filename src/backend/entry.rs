//! Entries: what people say and do in a conversation, each with the next number.
//!
//! What is read is *folded*: a message has the text of its last edit, and the reactions that stand. What was edited
//! away or deleted is nowhere any more. [`judge`] has the rules that every store goes by; it keeps nothing itself.

use std::time::Duration;

use crate::time::Moment;

/// What somebody says or does, without a number yet.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// Who.
    pub sender: &'a str,
    /// What.
    pub body: NewBody<'a>,
    /// The time: the wall clock is for people, the tick decides the age in memory.
    pub at: Moment,
}

impl<'a> NewEntry<'a> {
    /// A message that answers none.
    pub fn message(sender: &'a str, content: &'a str, at: Moment) -> Self {
        Self { sender, body: NewBody::Message { content, reply_to: None, calls_room: false }, at }
    }
}

/// The body of a [`NewEntry`]. `of` is the number of the message it is about.
#[derive(Clone, Copy, Debug)]
pub enum NewBody<'a> {
    /// Says something.
    Message {
        /// The text.
        content: &'a str,
        /// The message that it answers, which must be kept.
        reply_to: Option<u64>,
        /// Whether it calls everybody in the room.
        calls_room: bool,
    },
    /// Gives a message of one's own another text.
    Edit {
        /// The message.
        of: u64,
        /// The new text.
        content: &'a str,
        /// How old the message may be.
        within: Option<Duration>,
        /// Whether the message calls everybody in the room from now on.
        calls_room: bool,
    },
    /// Deletes a message.
    Delete {
        /// The message.
        of: u64,
        /// By what right.
        right: Right,
    },
    /// Adds a reaction to a message, or takes it back.
    Reaction {
        /// The message.
        of: u64,
        /// The emoji.
        emoji: &'a str,
        /// Whether it is added.
        on: bool,
    },
}

impl NewBody<'_> {
    /// The number of the message that must be kept for it.
    pub fn needs(&self) -> Option<u64> {
        match *self {
            Self::Message { reply_to, .. } => reply_to,
            Self::Edit { of, .. } | Self::Delete { of, .. } | Self::Reaction { of, .. } => Some(of),
        }
    }

    /// Whether it is done to a message that has gone itself, as long as an edit is kept which has its text. Where
    /// people edit for some time only, it is not edited: nobody knows any more when it was said, and each edit would
    /// be as young as the one before.
    pub fn reaches_text_left(&self) -> bool {
        match self {
            Self::Edit { within, .. } => within.is_none(),
            Self::Delete { .. } => true,
            Self::Message { .. } | Self::Reaction { .. } => false,
        }
    }
}

/// By what right a message is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// By its sender, while it is not older than that.
    Sender {
        /// How old the message may be.
        within: Option<Duration>,
    },
    /// By somebody who may delete all messages.
    Moderator,
}

/// A numbered entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the conversation, from 1.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub ts: u64,
    /// Who.
    pub sender: &'a str,
    /// What.
    pub body: Body<'a>,
}

impl<'a> Entry<'a> {
    /// The text of a message that is not deleted.
    pub fn said(&self) -> Option<&'a str> {
        match &self.body {
            Body::Message(message) => message.content,
            _ => None,
        }
    }
}

/// The body of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A message, folded.
    Message(Message<'a>),
    /// A message has another text.
    Edited {
        /// The message.
        of: u64,
        /// Its text as it stands; `None`: it has been deleted since.
        content: Option<&'a str>,
        /// Whether it calls everybody in the room, as it stands.
        calls_room: bool,
    },
    /// A message is deleted.
    Deleted {
        /// The message.
        of: u64,
    },
    /// A reaction was added or taken back.
    Reaction {
        /// The message.
        of: u64,
        /// The emoji.
        emoji: &'a str,
        /// Whether it was added.
        on: bool,
    },
}

impl Body<'_> {
    /// Bytes of its texts, by which pages are bounded.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.bytes(),
            Self::Edited { content, .. } => content.map_or(0, str::len),
            Self::Deleted { .. } => 0,
            Self::Reaction { emoji, .. } => emoji.len(),
        }
    }
}

/// A message, folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its text as it stands; `None`: it is deleted, and of the rest it has only what it answers.
    pub content: Option<&'a str>,
    /// The message that it answers.
    pub reply_to: Option<u64>,
    /// Whether it calls everybody in the room, as it stands.
    pub calls_room: bool,
    /// When it was last edited, in milliseconds since the Unix epoch.
    pub edited: Option<u64>,
    /// The reactions that stand, in the order in which each emoji came first.
    pub reactions: Vec<Reaction<'a>>,
}

impl<'a> Message<'a> {
    /// A message with nothing but its text.
    pub fn new(content: &'a str) -> Self {
        Self { content: Some(content), ..Self::default() }
    }

    fn bytes(&self) -> usize {
        let of = |reaction: &Reaction<'_>| {
            reaction.emoji.len() + reaction.users.iter().map(|user| user.len()).sum::<usize>()
        };
        self.content.map_or(0, str::len) + self.reactions.iter().map(of).sum::<usize>()
    }
}

/// One emoji under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction<'a> {
    /// The emoji.
    pub emoji: &'a str,
    /// How many users it is from.
    pub count: u64,
    /// The first [`MAX_REACTING_NAMED`] of them.
    pub users: Vec<&'a str>,
    /// Whether the reader is one of them.
    pub me: bool,
}

/// Why an entry was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The message that it is about is not kept, is no message, or is deleted.
    NotFound,
    /// The message is somebody else's.
    NotTheirs,
    /// The message is too old to be changed.
    TooLate,
    /// The message has as many different emoji as it may have.
    TooManyEmoji,
    /// Something is set for as many rooms as can be.
    TooManySet,
    /// The place where the next page begins is none that was given out.
    BadCursor,
    /// This store cannot do that.
    Unsupported,
}

/// A message that an entry is about, as a store finds it: kept, and not deleted.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its sender.
    pub sender: &'a str,
    /// When it was said, in milliseconds since the Unix epoch.
    pub ts: u64,
    /// Its text as it stands.
    pub content: &'a str,
    /// How many different emoji it has.
    pub emoji: usize,
    /// Whether the emoji of a new reaction is one of them, and whether it is from this sender too.
    pub reacted: Reacted,
}

/// The users who have reacted with the emoji of a new reaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reacted {
    /// Nobody.
    #[default]
    No,
    /// Somebody else.
    Others,
    /// The sender of the new one.
    Sender,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is numbered and kept.
    Publish,
    /// It changes nothing.
    Nothing,
    /// It is refused.
    Refuse(Why),
}

/// Whether an entry is taken. `target` is the message that it [needs](NewBody::needs), if that is kept.
pub fn judge(entry: &NewEntry<'_>, target: Option<&Target<'_>>) -> Verdict {
    if entry.body.needs().is_none() {
        return Verdict::Publish;
    }
    let Some(target) = target else { return Verdict::Refuse(Why::NotFound) };
    let age = Duration::from_millis(entry.at.unix_ms.saturating_sub(target.ts));
    let own = |within: Option<Duration>| match (target.sender == entry.sender, within) {
        (false, _) => Verdict::Refuse(Why::NotTheirs),
        (true, Some(within)) if age > within => Verdict::Refuse(Why::TooLate),
        (true, _) => Verdict::Publish,
    };
    match entry.body {
        NewBody::Message { .. } => Verdict::Publish,
        NewBody::Edit { content, within, .. } => match own(within) {
            Verdict::Publish if content == target.content => Verdict::Nothing,
            verdict => verdict,
        },
        NewBody::Delete { right: Right::Moderator, .. } => Verdict::Publish,
        NewBody::Delete { right: Right::Sender { within }, .. } => own(within),
        NewBody::Reaction { on, .. } => match (on, target.reacted) {
            (true, Reacted::Sender) | (false, Reacted::No | Reacted::Others) => Verdict::Nothing,
            (true, Reacted::No) if target.emoji >= MAX_EMOJI => Verdict::Refuse(Why::TooManyEmoji),
            _ => Verdict::Publish,
        },
    }
}

/// Different emoji that one message can have.
pub const MAX_EMOJI: usize = 20;

/// Users of one emoji who are named.
pub const MAX_REACTING_NAMED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    #[test]
    fn verdicts() {
        use Verdict::{Nothing, Publish, Refuse};
        let second = Some(Duration::from_secs(1));
        let ann = Target { sender: "ann", ts: 5_000, content: "hi", emoji: 0, reacted: Reacted::No };
        let full = Target { emoji: MAX_EMOJI, ..ann };
        let by = |reacted| Target { reacted, ..full };
        let edit = |content, within| NewBody::Edit { of: 1, content, within, calls_room: false };
        let delete = |right| NewBody::Delete { of: 1, right };
        let react = |on| NewBody::Reaction { of: 1, emoji: "+", on };
        let own = |within| Right::Sender { within };
        let say = |reply_to| NewBody::Message { content: "x", reply_to, calls_room: false };
        let rows = [
            ("ann", 5_000, say(None), None, Publish),
            ("ann", 5_000, say(Some(1)), None, Refuse(Why::NotFound)),
            ("bob", 5_000, say(Some(1)), Some(ann), Publish),
            ("ann", 5_000, edit("new", None), None, Refuse(Why::NotFound)),
            ("ann", u64::MAX, edit("new", None), Some(ann), Publish),
            ("ann", 6_000, edit("new", second), Some(ann), Publish),
            ("ann", 6_001, edit("new", second), Some(ann), Refuse(Why::TooLate)),
            ("ann", 0, edit("new", second), Some(ann), Publish),
            ("ann", 5_000, edit("hi", None), Some(ann), Nothing),
            ("ann", 6_001, edit("hi", second), Some(ann), Refuse(Why::TooLate)),
            ("bob", 5_000, edit("hi", None), Some(ann), Refuse(Why::NotTheirs)),
            ("bob", 5_000, delete(own(None)), Some(ann), Refuse(Why::NotTheirs)),
            ("ann", 6_001, delete(own(second)), Some(ann), Refuse(Why::TooLate)),
            ("ann", 6_000, delete(own(second)), Some(ann), Publish),
            ("bob", 9_000, delete(Right::Moderator), Some(ann), Publish),
            ("bob", 9_000, delete(Right::Moderator), None, Refuse(Why::NotFound)),
            ("bob", 5_000, react(true), None, Refuse(Why::NotFound)),
            ("bob", 5_000, react(true), Some(ann), Publish),
            ("bob", 5_000, react(false), Some(ann), Nothing),
            ("bob", 5_000, react(true), Some(full), Refuse(Why::TooManyEmoji)),
            ("bob", 5_000, react(true), Some(by(Reacted::Others)), Publish),
            ("bob", 5_000, react(true), Some(by(Reacted::Sender)), Nothing),
            ("bob", 5_000, react(false), Some(by(Reacted::Others)), Nothing),
            ("bob", 5_000, react(false), Some(by(Reacted::Sender)), Publish),
        ];
        for (sender, at, body, target, verdict) in rows {
            let entry = NewEntry { sender, body, at: Moment { tick: Tick(0), unix_ms: at } };
            assert_eq!(judge(&entry, target.as_ref()), verdict, "{entry:?} {target:?}");
        }
    }
}
