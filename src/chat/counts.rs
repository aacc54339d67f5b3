//! How many sessions, users and rooms there are, and how often each thing has happened.

use super::rules::Key;

/// Numbers for `/health` and `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions now.
    pub sessions: usize,
    /// Users now who have a session, or had one a moment ago, and do not hide.
    pub users: usize,
    /// Users who are known, here or not.
    pub known_users: usize,
    /// Rooms now.
    pub rooms: usize,
    /// Messages accepted so far: in rooms, to users (each recipient of a multicast counts), to everybody.
    pub messages: u64,
    /// Frames refused so far for coming too fast.
    pub rate_limited: u64,
    /// Errors sent so far.
    pub errors: u64,
    /// Requests refused so far by what is set for a room, in the order of
    /// [`Key::OF_CHAT`](super::rules::Key::OF_CHAT).
    pub ruled_out: [u64; Key::OF_CHAT.len()],
    /// Users who are banned now.
    pub bans: usize,
    /// Messages that the history has dropped so far because memory was short.
    pub dropped: u64,
    /// Panics so far that ended one session and nothing else.
    pub panics: u64,
}
