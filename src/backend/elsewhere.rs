//! What nodes tell each other beside entries: words, which are neither numbered nor kept, and who is where.

/// Those whom a word is for: people on other nodes than the one that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// All of them.
    Everybody,
    /// Those inside a room.
    Room(&'a str),
    /// The devices of a user.
    User(&'a str),
}

/// That a user is on a node, or inside a room there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presence<'a> {
    /// `None`: on the node, whatever room they are in.
    pub room: Option<&'a str>,
    /// Who.
    pub user: &'a str,
}

/// The longest [`Request::Tell`](super::Request::Tell), in bytes: an announcement of the longest content that is
/// allowed, escaped.
pub const MAX_WORD_BYTES: usize = 1 << 20;
