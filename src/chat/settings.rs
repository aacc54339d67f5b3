//! The settings of the chat. Every list and queue that a peer can fill has its maximum here or in a constant.

use std::time::Duration;

pub use super::rate::Rate;
use super::rules::Rules;

/// The settings, with the defaults of `docs/wire.md`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The value of `welcome.server`.
    pub server: String,
    /// Longest content of a chat message, in bytes of UTF-8.
    pub content_bytes: usize,
    /// How many rooms a session may be in.
    pub rooms_per_session: usize,
    /// How many sessions a user may have at a time.
    pub sessions_per_user: usize,
    /// How fast a user at one address may talk, on all devices there; `None`: as fast as they can.
    pub rate: Option<Rate>,
    /// How many users at full speed all those at one address may be together.
    pub full_speed_per_address: u32,
    /// How long an empty room is kept that somebody created and in which nothing is kept. The backend knows how long
    /// messages are kept; eight times in this time it is asked to drop those that are too old.
    pub empty_room_age: Duration,
    /// Bytes of missed messages that may be on the way to one connection; a message that begins within them is sent
    /// whole.
    pub replay_bytes: usize,
    /// Senders and contents in one page of history, in bytes; its first message stands in it in any case.
    /// Escaped, a byte can become six: a page is to fit into what may wait for one connection.
    pub page_bytes: usize,
    /// How long a user whose connection ended is still counted as there.
    pub leave_grace: Duration,
    /// With more users than this, a room hears of comings and goings in summary only.
    pub big_room: usize,
    /// How often the summary is sent at most.
    pub big_room_every: Duration,
    /// How many users a room can hold.
    pub room_members: usize,
    /// How many rooms there can be; those that are empty and were left longest ago make room.
    pub max_rooms: usize,
    /// How many users are known, here or not; those who left longest ago are forgotten first.
    pub max_users: usize,
    /// The budget of memory of the whole server, in bytes; what is remembered for comfort takes a
    /// [share](remembered_bytes) of it. `None`: there is none.
    pub memory: Option<usize>,
    /// Whether joining a room that does not exist makes it.
    pub create_on_join: bool,
    /// Whether anybody may speak to everybody (`"room_id":"*"`).
    pub anybody_may_announce: bool,
    /// Whether anybody may make rooms, by joining or by `create_room`.
    pub anybody_may_create: bool,
    /// The sessions that may change the title and the topic of a room.
    pub topics: Who,
    /// How old a message may be that its sender edits or deletes; `None`: as old as it is.
    pub edit_within: Option<Duration>,
    /// With tokens: how long a session without one may take to show it.
    pub auth_within: Duration,
    /// How long a session goes on when its token has expired, to be given another one.
    pub token_grace: Duration,
    /// Over how long clients are asked to spread their return when the server stops.
    pub return_within: Duration,
    /// What holds in some rooms, by their names.
    pub rooms: Rules,
}

/// Those who may do what everybody in a room sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// All who are in the room, but for guests.
    Members,
    /// Those in the room whose token has the role `moderate` or `admin`.
    Moderators,
    /// The operator alone.
    Operator,
}

/// Values of connections. The chat only sends them to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Longest message on the wire, in bytes.
    pub message_bytes: usize,
    /// After how much silence the server pings.
    pub ping_after: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self { message_bytes: 65_536, ping_after: Duration::from_secs(25) }
    }
}

/// What people who have gone may take of such a budget of memory, in bytes, and ids of messages as much.
pub fn remembered_bytes(budget: Option<usize>) -> usize {
    budget.map_or(usize::MAX, |bytes| bytes / REMEMBERED_SHARE)
}

/// One part of so many.
const REMEMBERED_SHARE: usize = 8;

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: concat!("salon/", env!("CARGO_PKG_VERSION")).to_owned(),
            content_bytes: 16_384,
            rooms_per_session: 128,
            sessions_per_user: 16,
            rate: Some(Rate { per_second: 20, burst: 40 }),
            full_speed_per_address: 64,
            empty_room_age: Duration::from_secs(7 * 24 * 60 * 60),
            replay_bytes: 64 << 10,
            page_bytes: 128 << 10,
            leave_grace: Duration::from_secs(5),
            big_room: 100,
            big_room_every: Duration::from_secs(5),
            room_members: 100_000,
            max_rooms: 100_000,
            max_users: 200_000,
            memory: None,
            create_on_join: true,
            anybody_may_announce: true,
            anybody_may_create: true,
            topics: Who::Members,
            edit_within: None,
            auth_within: Duration::from_secs(10),
            token_grace: Duration::from_secs(30),
            return_within: Duration::from_secs(5),
            rooms: Rules::default(),
        }
    }
}

impl Settings {
    /// How many rooms one `join` may ask for.
    pub fn rooms_per_join(&self) -> usize {
        self.rooms_per_session.min(MAX_ROOMS_PER_JOIN)
    }
}

/// Rooms in the list of one `join`, however many a session may be in. With names and epochs they fit into a message of
/// 64 KiB.
const MAX_ROOMS_PER_JOIN: usize = 128;
