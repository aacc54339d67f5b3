//! The busiest rooms and the slowest connections, for `GET /top`, and one session for `GET /connections/ID`.
//!
//! It looks at every room and connection only when a caller asks, and at most once a second: a caller that asks again
//! sooner gets the same answer. An answer has a bound: [`MAX_ROWS`] by each order.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::chat::{Chat, RoomInfo, SessionInfo};
use crate::engine::{Blocked, Engine};
use crate::time::{Moment, Tick};

use super::socket::Socket;
use super::sources::{SessionRow, VERSION, line, status};
use super::system::System;

/// The last look, which is answered for [`LOOK_EVERY`].
#[derive(Debug, Default)]
pub struct Top {
    looked: Option<Tick>,
    body: Vec<u8>,
}

impl Top {
    /// The busiest rooms and slowest connections, as JSON.
    pub fn snapshot(
        &mut self,
        chat: &mut Chat,
        engine: &Engine<Socket<impl System>>,
        now: Moment,
        stopping: bool,
    ) -> &[u8] {
        if self.looked.is_none_or(|looked| now.tick.since(looked) >= LOOK_EVERY) {
            let over = now.tick.since(self.looked.unwrap_or(Tick(0)));
            self.body = look(chat, engine, now, over, stopping).into_bytes();
            self.looked = Some(now.tick);
            chat.begin_interval();
        }
        &self.body
    }
}

fn look(chat: &Chat, engine: &Engine<Socket<impl System>>, now: Moment, over: Duration, stopping: bool) -> String {
    let mut by_deliveries = Best::default();
    let mut by_messages = Best::default();
    let mut by_members = Best::default();
    for room in chat.rooms() {
        by_deliveries.offer(room.deliveries, room);
        by_messages.offer(u64::from(room.messages), room);
        by_members.offer(room.members as u64, room);
    }
    let mut rooms = [by_deliveries.rows(), by_messages.rows(), by_members.rows()].concat();
    let busiest_first = |room: &RoomInfo<'_>| std::cmp::Reverse((room.deliveries, room.messages, room.members));
    rooms.sort_by(|a, b| busiest_first(a).cmp(&busiest_first(b)).then_with(|| a.name.cmp(b.name)));
    rooms.dedup_by_key(|room| room.name);

    let mut by_bytes = Best::default();
    let mut by_time = Best::default();
    let mut waiting = Waiting::default();
    for blocked in engine.blocked() {
        waiting.connections += 1;
        waiting.bytes += blocked.bytes;
        by_bytes.offer(blocked.bytes as u64, blocked);
        by_time.offer(blocked.since.as_millis() as u64, blocked);
    }
    let mut slowest = [by_bytes.rows(), by_time.rows()].concat();
    slowest.sort_by_key(|blocked| (std::cmp::Reverse((blocked.bytes, blocked.since)), blocked.id));
    slowest.dedup();

    line(&Snapshot {
        version: VERSION,
        status: status(stopping),
        ts: now.unix_ms,
        over_ms: over.as_millis() as u64,
        rooms: rooms.iter().map(RoomRow::of).collect(),
        waiting,
        connections: slowest.iter().map(|blocked| ConnectionRow::of(blocked, chat, engine)).collect(),
    })
}

/// One session, as JSON; `None` if there is none by that id. Looks at every session.
pub fn session(chat: &Chat, engine: &Engine<Socket<impl System>>, id: u64) -> Option<String> {
    #[derive(Serialize)]
    struct Session<'a> {
        #[serde(flatten)]
        session: SessionRow<'a>,
        address: Option<IpAddr>,
        waiting_bytes: usize,
        blocked_ms: u64,
        room_ids: Vec<&'a str>,
    }
    let info: SessionInfo<'_> = chat.sessions().find(|session| session.session_id == id)?;
    let blocked = engine.blocked_of(info.conn);
    Some(line(&Session {
        session: SessionRow::of(&info),
        address: engine.stream(info.conn).and_then(Socket::client),
        waiting_bytes: blocked.map_or(0, |blocked| blocked.bytes),
        blocked_ms: blocked.map_or(0, |blocked| blocked.since.as_millis() as u64),
        room_ids: chat.rooms_of(info.conn).map(|name| name.as_str()).collect(),
    }))
}

#[derive(Serialize)]
struct Snapshot<'a> {
    version: &'static str,
    status: &'static str,
    ts: u64,
    over_ms: u64,
    rooms: Vec<RoomRow<'a>>,
    waiting: Waiting,
    connections: Vec<ConnectionRow<'a>>,
}

#[derive(Serialize)]
struct RoomRow<'a> {
    room_id: &'a str,
    members: usize,
    sessions: u32,
    messages: u32,
    deliveries: u64,
}

impl<'a> RoomRow<'a> {
    fn of(room: &RoomInfo<'a>) -> Self {
        let &RoomInfo { name, members, sessions, messages, deliveries } = room;
        Self { room_id: name.as_str(), members, sessions, messages, deliveries }
    }
}

/// All connections whose sockets are full.
#[derive(Default, Serialize)]
struct Waiting {
    connections: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct ConnectionRow<'a> {
    address: Option<IpAddr>,
    waiting_bytes: usize,
    blocked_ms: u64,
    /// Of a connection that is a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

impl<'a> ConnectionRow<'a> {
    fn of(blocked: &Blocked, chat: &'a Chat, engine: &Engine<Socket<impl System>>) -> Self {
        let session = chat.session(blocked.id);
        Self {
            address: engine.stream(blocked.id).and_then(Socket::client),
            waiting_bytes: blocked.bytes,
            blocked_ms: blocked.since.as_millis() as u64,
            session_id: session.map(|session| format!("{:016x}", session.session_id)),
            user_id: session.map(|session| session.user.as_str()),
        }
    }
}

/// The [`MAX_ROWS`] with the highest ranks of all that are offered; 0 is no rank.
#[derive(Debug)]
struct Best<T> {
    /// Twice as many at most: then the lower half is dropped.
    rows: Vec<(u64, T)>,
    /// Ranks below it are not among the best.
    least: u64,
}

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), least: 1 }
    }
}

impl<T> Best<T> {
    fn offer(&mut self, rank: u64, row: T) {
        if rank < self.least {
            return;
        }
        self.rows.push((rank, row));
        if self.rows.len() == 2 * MAX_ROWS {
            self.cut();
            self.least = self.rows.last().map_or(1, |(rank, _)| *rank);
        }
    }

    fn rows(mut self) -> Vec<T> {
        self.cut();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }

    fn cut(&mut self) {
        self.rows.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        self.rows.truncate(MAX_ROWS);
    }
}

/// How often all rooms and connections are looked at, at most.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Rooms, and connections, that are listed by each order.
pub const MAX_ROWS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_the_first_of_all_in_order() {
        for count in [0, 1, 49, 50, 51, 99, 100, 101, 1000] {
            // Each rank from 0 on once, in an order that is neither up nor down.
            let ranks: Vec<u64> = (0..count).map(|n| n * 7919 % count).collect();
            let mut best = Best::default();
            ranks.iter().for_each(|&rank| best.offer(rank, rank));
            let mut expected: Vec<u64> = ranks.into_iter().filter(|&rank| rank > 0).collect();
            expected.sort_by_key(|&rank| std::cmp::Reverse(rank));
            expected.truncate(MAX_ROWS);
            assert_eq!(best.rows(), expected, "of {count}");
        }
    }
}
