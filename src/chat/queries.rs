//! Questions about rooms, people and what was said, answered a page at a time.

use super::auth::Grant;
use super::hall::{Hall, Turn};
use super::name::UserName;
use super::presence::check_line;
use super::room::Room;
use super::waiting::{Waiting, What};
use super::wire::json::Object;
use super::wire::request::{Bound, Page, Place};
use super::wire::{Code, Id, Refusal};
use crate::backend::{Backend, Bounds, Conversation, Epoch, Head, Message, Query};
use crate::id::ConnId;

impl Hall {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn create_room(
        &mut self,
        conn: ConnId,
        name: &str,
        title: Option<&str>,
        topic: Option<&str>,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        check_line("name", title, MAX_TITLE_BYTES)?;
        check_line("topic", topic, MAX_TITLE_BYTES)?;
        self.may_visit(conn, name)?;
        let created = self.rooms.find(name).is_none();
        if created && !self.may_create(conn) {
            let message = "expected a session that may make rooms, found one that may not";
            return Err(Refusal::new(Code::Forbidden, message));
        }
        let key = self.find_or_make(name, store, turn)?;
        if created {
            let room = self.rooms.at_mut(key);
            room.created = true;
            room.title = title.map(Into::into);
            room.topic = topic.map(Into::into);
            self.sweep_later(turn);
        }
        self.ask_head(conn, key, Some(created), id, store, turn)
    }

    pub(super) fn room_info(
        &mut self,
        conn: ConnId,
        name: &str,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.may_visit(conn, name)?;
        let key = self.known_room(name)?;
        self.ask_head(conn, key, None, id, store, turn)
    }

    /// The room of a name, if there is one.
    pub(super) fn known_room(&self, name: &str) -> Result<u32, Refusal> {
        match self.rooms.find(name) {
            Some(room) => Ok(room),
            None => {
                super::hall::room_name(name)?;
                Err(Refusal::new(Code::RoomNotFound, "expected the name of a room, found an unknown name"))
            }
        }
    }

    fn ask_head(
        &mut self,
        conn: ConnId,
        room: u32,
        created: Option<bool>,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let name = self.rooms.at(room).name.clone();
        let what = What::RoomInfo { created };
        let waiting = Waiting { conn, id: id.cloned().map(Id::into_owned), room: Some(room), what };
        self.read(waiting, Conversation::Room(name.as_str()), Query::Head, store, turn)
    }

    pub(super) fn answer_room(
        &mut self,
        conn: ConnId,
        id: Option<&Id<'_>>,
        room: u32,
        created: Option<bool>,
        head: Head,
        turn: &mut Turn<'_>,
    ) {
        let room = self.rooms.at(room);
        turn.out.send(conn, |out| {
            let answer = Object::message(out, "room")
                .id(id)
                .text("room_id", room.name.as_str())
                .text("name", room.title.as_deref().unwrap_or(room.name.as_str()))
                .maybe_text("topic", room.topic.as_deref())
                .number("created_at", room.created_at)
                .number("members", room.members.len() as u64)
                .number("messages", head.kept)
                .number("seq", head.seq)
                .text("epoch", &head.epoch.to_string());
            match created {
                Some(created) => answer.flag("created", created).end(),
                None => answer.end(),
            }
        });
    }

    /// Rooms in order of names: all, or those that the token is for.
    pub(super) fn list_rooms(
        &mut self,
        conn: ConnId,
        page: Page<'_>,
        id: Option<&Id<'_>>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let session = self.sessions.find(conn);
        let confined = self.grant(conn).filter(|grant| grant.is_confined());
        let most = confined
            .map_or(MAX_SCANNED, |grant| (MAX_MATCHED_BYTES / grant.pattern_bytes().max(1)).clamp(1, MAX_SCANNED));
        let mut rooms: Vec<_> = Vec::new();
        let mut next = None;
        let mut looked_at = 0;
        for (key, room) in self.rooms.after(page.cursor.as_deref()) {
            looked_at += 1;
            let name = room.name.as_str();
            if confined.is_none_or(|grant| grant.may_enter(name)) {
                if rooms.len() == page.limit {
                    next = rooms.last().map(|(_, room): &(u32, &Room)| room.name.as_str());
                    break;
                }
                rooms.push((key, room));
            }
            if looked_at == most {
                next = Some(name);
                break;
            }
        }
        let matched = looked_at * confined.map_or(0, Grant::pattern_bytes);
        turn.out.note_work(looked_at / LOOKS_A_STEP + matched / MATCHED_BYTES_A_STEP);
        turn.out.send(conn, |out| {
            Object::message(out, "rooms")
                .id(id)
                .list("rooms", &rooms, |out, (key, room)| {
                    Object::new(out)
                        .text("room_id", room.name.as_str())
                        .text("name", room.title.as_deref().unwrap_or(room.name.as_str()))
                        .number("members", room.members.len() as u64)
                        .flag("joined", session.is_some_and(|session| session.wants(*key)))
                        .end();
                })
                .maybe_text("next", next)
                .end();
        });
        Ok(())
    }

    /// Members in the order in which they became known; a cursor is the number of the last one.
    pub(super) fn list_members(
        &mut self,
        conn: ConnId,
        room: &str,
        page: Page<'_>,
        id: Option<&Id<'_>>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let key = self.wanted_room(conn, room)?;
        let from = match page.cursor.as_deref().map(str::parse::<u32>) {
            None => 0,
            Some(Ok(last)) => last.saturating_add(1),
            Some(Err(_)) => {
                return Err(Refusal::new(Code::BadRequest, "`cursor`: expected the last `next`, found another text"));
            }
        };
        let members = &self.rooms.at(key).members;
        let (users, more) = page.fill(members.users_from(from));
        let next = users.last().filter(|_| more).map(u32::to_string);
        turn.out.send(conn, |out| {
            Object::message(out, "members")
                .id(id)
                .text("room_id", room)
                .list("members", &users, |out, &user| {
                    let name = self.users.at(user).name.as_str();
                    self.view_for(conn, user).write(Object::new(out).text("user_id", name));
                })
                .number("count", members.len() as u64)
                .maybe_text("next", next.as_deref())
                .end();
        });
        Ok(())
    }

    /// Users who can be seen, in order of names; oneself in any case.
    pub(super) fn list_online(
        &mut self,
        conn: ConnId,
        page: Page<'_>,
        id: Option<&Id<'_>>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let mut names: Vec<&str> = Vec::new();
        let mut next = None;
        let hidden = self.user_of(conn).map(|user| self.users.at(user)).filter(|user| !user.visible());
        let hidden = hidden.map(|user| &user.name);
        let mut looked_at = 0;
        for user in self.users.after(page.cursor.as_deref()) {
            looked_at += 1;
            let seen = user.visible() || hidden == Some(&user.name);
            if names.len() == page.limit && seen {
                next = names.last().copied();
                break;
            }
            if seen {
                names.push(user.name.as_str());
            }
            if looked_at == MAX_SCANNED {
                next = Some(user.name.as_str());
                break;
            }
        }
        turn.out.note_work(looked_at / LOOKS_A_STEP);
        turn.out.send(conn, |out| {
            Object::message(out, "online")
                .id(id)
                .texts("users", names.iter().copied())
                .number("count", (self.users.visible() + usize::from(hidden.is_some())) as u64)
                .maybe_text("next", next)
                .end();
        });
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn history(
        &mut self,
        conn: ConnId,
        place: Place<'_>,
        bound: Bound,
        limit: usize,
        epoch: Option<&str>,
        id: Option<&Id<'_>>,
        store: &mut dyn Backend,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let bounds = Bounds { messages: limit, bytes: MAX_PAGE_BYTES };
        let query = match bound {
            Bound::Newest => Query::Newest(bounds),
            Bound::Before(seq) => Query::Before(seq, bounds),
            Bound::After(seq) => Query::After(seq, bounds),
        };
        let id = id.cloned().map(Id::into_owned);
        let epoch = epoch.map(Into::into);
        match place {
            Place::Room(name) => {
                let room = self.wanted_room(conn, &name)?;
                let what = What::History { with: None, bound, epoch };
                let waiting = Waiting { conn, id, room: Some(room), what };
                self.read(waiting, Conversation::Room(&name), query, store, turn)
            }
            Place::User(name) => {
                let with = self.users.at(self.known_user(&name)?).name.clone();
                let Some(own) = self.user_of(conn) else { return Ok(()) };
                let own = self.users.at(own).name.clone();
                let what = What::History { with: Some(with), bound, epoch };
                let waiting = Waiting { conn, id, room: None, what };
                self.read(waiting, Conversation::Direct(own.as_str(), &name), query, store, turn)
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn answer_history(
        &mut self,
        conn: ConnId,
        id: Option<&Id<'_>>,
        room: Option<u32>,
        with: Option<UserName>,
        bound: Bound,
        epoch: Option<&str>,
        head: Head,
        messages: &[Message<'_>],
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        if epoch.is_some_and(|epoch| Epoch::parse(epoch) != Some(head.epoch)) {
            let message = format!("`epoch`: expected {}, found another one: seq has begun anew", head.epoch);
            return Err(Refusal::new(Code::EpochChanged, message));
        }
        let oldest = head.oldest();
        let first = messages.first().map(|message| message.seq);
        let last = messages.last().map(|message| message.seq);
        let (next, gap) = match bound {
            Bound::Before(seq) if seq > 1 && oldest > 1 && seq <= oldest => {
                let message = format!("`before`: expected more than {oldest}, the oldest that is kept, found {seq}");
                return Err(Refusal::new(Code::HistoryGone, message));
            }
            Bound::Before(0 | 1) => (None, None),
            Bound::Newest | Bound::Before(_) => match first.filter(|&first| first > oldest) {
                Some(first) => (Some(first), None),
                // The page ends where the kept ends; if there was more before, the reader is told.
                None => (None, (oldest > 1).then_some((1, oldest - 1))),
            },
            Bound::After(seq) => {
                let missed = seq < head.seq && seq + 1 < oldest;
                (last.filter(|&last| last < head.seq), missed.then(|| (seq + 1, oldest - 1)))
            }
        };
        turn.out.send(conn, |out| {
            let mut answer = Object::message(out, "history")
                .id(id)
                .maybe_text("room_id", room.map(|room| self.rooms.at(room).name.as_str()))
                .maybe_text("user_id", with.as_ref().map(UserName::as_str))
                .text("epoch", &head.epoch.to_string())
                .list("items", messages, |out, message| {
                    Object::new(out)
                        .text("sender", message.sender)
                        .text("content", message.content)
                        .number("seq", message.seq)
                        .number("ts", message.ts)
                        .end();
                });
            if let Some(next) = next {
                answer = answer.number("next", next);
            }
            if let Some((from, to)) = gap {
                answer = answer.value("gap", |out| {
                    Object::new(out).number("from", from).number("to", to).text("why", "expired").end();
                });
            }
            answer.end();
        });
        Ok(())
    }
}

/// The longest name or topic of a room, in bytes. (Its `room_id` has limits of its own.)
const MAX_TITLE_BYTES: usize = 256;

/// Senders and contents in one page of history. Escaped, a byte can become six, and still fits into an outbox.
const MAX_PAGE_BYTES: usize = 128 << 10;

/// Bytes of a token's patterns that names are held against for one page of rooms. What is not looked at is for the next
/// page.
const MAX_MATCHED_BYTES: usize = 256 << 10;

/// Known users looked at for one page of those online, and rooms for one of rooms; past it the page is shorter, and there is a next one.
const MAX_SCANNED: usize = 10_000;

/// Users or rooms that are looked at in one step (see [`Deliveries::note_work`](super::delivery::Deliveries::note_work)), and bytes of patterns.
const LOOKS_A_STEP: usize = 8;
const MATCHED_BYTES_A_STEP: usize = 256;
