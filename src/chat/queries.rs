//! Questions about rooms, people and history, answered a page at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::ask::Ask;
use super::auth::Grant;
use super::checks::{check_line, unknown_user};
use super::hall::Hall;
use super::name::{RoomName, UserName};
use super::rate_limit::{Paid, Price};
use super::turn::{Ctx, Turn};
use super::waiting::{Described, Excerpt, Found, Info, RoomsAsked, Waiting, What};
use super::wire::answer;
use super::wire::entries::Item;
use super::wire::request::{Bound, Page, Part, Place};
use super::wire::{Code, Refusal};
use super::work::MATCHED_BYTES;
use crate::backend::{Bounds, Conversation, Epoch, Head, Names, Query, Reading, Request};
use crate::id::ConnId;

impl Hall {
    pub(super) fn create_room(
        &mut self,
        ask: Ask<'_>,
        name: &str,
        title: Option<&str>,
        topic: Option<&str>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        check_line("name", title, MAX_TITLE_BYTES)?;
        check_line("topic", topic, MAX_TITLE_BYTES)?;
        // What has no letter is no title: such a room is called by its name.
        let title = title.filter(|title| !title.is_empty());
        self.may_visit(ask.conn, name)?;
        // Also one that somebody else is making, because that may fail.
        let created = self.roster.rooms().find(name).is_none_or(|room| self.roster.is_being_made(room));
        if created && let Err(ruled) = self.may_create(ask.conn, name, false, ctx.settings) {
            let message = "expected a session that may make rooms, found one that may not";
            return Err(Refusal { ruled, ..Refusal::new(Code::Forbidden, message) });
        }
        // Those who come in read them.
        if created && (title.is_some() || topic.is_some()) {
            self.may_speak_in_named(ask.conn, name)?;
        }
        let key = self.find_or_make(name, ctx)?;
        let info = match created {
            true => {
                self.sweep_later(ctx);
                Info::Made(Box::new(Described { title: title.map(Into::into), topic: topic.map(Into::into) }))
            }
            false => Info::There,
        };
        self.ask_head(ask, key, info, ctx)
    }

    pub(super) fn room_info(&mut self, ask: Ask<'_>, name: &str, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        self.may_visit(ask.conn, name)?;
        let key = self.known_room(name)?;
        self.ask_head(ask, key, Info::Wanted, ctx)
    }

    fn ask_head(&mut self, ask: Ask<'_>, room: u32, info: Info, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let name = self.roster.room(room).name.clone();
        let waiting = Waiting { asker: ask.keep(), room: Some(room), what: What::RoomInfo(info) };
        self.read(waiting, Conversation::Room(name.as_str()), Query::Head, ctx)
    }

    pub(super) fn answer_room(
        &mut self,
        ask: Ask<'_>,
        room: u32,
        created: Option<bool>,
        head: Head,
        turn: &mut Turn<'_>,
    ) {
        let room = self.roster.room(room);
        let answer = answer::Room {
            room_id: room.name.as_str(),
            name: room.title.as_deref().unwrap_or(room.name.as_str()),
            topic: room.topic.as_deref(),
            created_at: room.created_at,
            members: room.members.len(),
            messages: head.kept,
            seq: head.seq,
            epoch: head.epoch,
            created,
        };
        turn.out.answer(ask, &answer);
    }

    /// Rooms in order of names: all, or those that the token is for. What the user has read of those that the session
    /// is in, the store knows; it is asked about the others too by a client that wants to know where the user has been.
    pub(super) fn list_rooms(
        &mut self,
        ask: Ask<'_>,
        page: &Page<'_>,
        read: bool,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let cursor = self.opened(page)?.map(Into::into);
        let mut asked = RoomsAsked { cursor, limit: page.limit, marked: Vec::new(), paid: Paid::default() };
        if let Some(user) = self.marking_user(ask.conn).cloned() {
            let (listed, _, work) = self.rooms_on(ask.conn, &asked);
            ctx.out.note_work(work);
            let marked = listed.iter().filter(|(_, listed)| listed.joined || read);
            asked.marked = marked.map(|(name, _)| (*name).clone()).collect();
            if !asked.marked.is_empty() {
                asked.paid = self.pay_for_more(ask.conn, Price::looking_at(asked.marked.len()), ctx)?;
                let mut names = String::new();
                let rooms = Names::join(asked.marked.iter().map(RoomName::as_str), &mut names);
                let waiting = Waiting { asker: ask.keep(), room: None, what: What::Rooms(Box::new(asked)) };
                let (user, now) = (user.as_str(), ctx.now);
                return self.ask_store(waiting, |ticket| Request::Readings { user, rooms, now, ticket }, ctx);
            }
        }
        self.answer_rooms(ask, &asked, &[], ctx);
        Ok(())
    }

    /// The store has answered, with as many readings as were asked for, or with none.
    pub(super) fn answer_rooms(&self, ask: Ask<'_>, asked: &RoomsAsked, readings: &[Reading], turn: &mut Turn<'_>) {
        let (listed, next, work) = self.rooms_on(ask.conn, asked);
        let read: BTreeMap<&RoomName, Reading> = asked.marked.iter().zip(readings.iter().copied()).collect();
        let rooms = listed.into_iter().map(|(name, listed)| {
            let reading = read.get(name).filter(|reading| listed.joined || reading.read > 0).copied().map(Into::into);
            answer::ListedRoom { reading, ..listed }
        });
        let rooms: Vec<_> = rooms.collect();
        turn.out.note_work(work);
        turn.out.answer(ask, &answer::Rooms { rooms: &rooms, next: next.as_deref() });
    }

    /// The rooms on a page, the `next` of it, and the work in steps.
    fn rooms_on(&self, conn: ConnId, asked: &RoomsAsked) -> (Vec<Listed<'_>>, Option<Cow<'_, str>>, usize) {
        let session = self.roster.session(conn);
        let confined = self.rights.grant(conn).filter(|grant| grant.is_confined());
        let most = confined
            .map_or(MAX_SCANNED, |grant| (MAX_MATCHED_BYTES / grant.pattern_bytes().max(1)).clamp(1, MAX_SCANNED));
        let mut rooms: Vec<Listed<'_>> = Vec::new();
        let mut next = None;
        let mut looked_at = 0;
        // By rooms that do not remember what wins, which the end of the turn pays for.
        let before = self.ruled.compared();
        for (key, room) in self.roster.rooms().after(asked.cursor.as_deref()) {
            looked_at += 1;
            let name = room.name.as_str();
            let is_shown = confined.is_none_or(|grant| grant.may_enter(name)) && self.may_be_in(conn, key);
            if is_shown {
                if rooms.len() == asked.limit {
                    next = rooms.last().map(|(name, _)| name.as_str().into());
                    break;
                }
                let listed = answer::ListedRoom {
                    room_id: name,
                    name: room.title.as_deref().unwrap_or(name),
                    members: room.members.len(),
                    joined: session.is_some_and(|session| session.wants(key)),
                    reading: None,
                };
                rooms.push((&room.name, listed));
            }
            if looked_at == most || self.ruled.compared() - before >= MAX_MATCHED_BYTES {
                next = Some(if is_shown { name.into() } else { self.cursors.seal(name).into() });
                break;
            }
        }
        let matched = looked_at * confined.map_or(0, Grant::pattern_bytes);
        (rooms, next, looked_at / LOOKS_A_STEP + matched / MATCHED_BYTES)
    }

    /// Members in the order in which they became known; a cursor is the number of the last one.
    pub(super) fn list_members(
        &mut self,
        ask: Ask<'_>,
        room: &str,
        page: Page<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let key = self.room_to_use(ask.conn, room)?;
        let from = match page.cursor.as_deref().map(str::parse::<u32>) {
            None => 0,
            Some(Ok(last)) => last.saturating_add(1),
            Some(Err(_)) => {
                return Err(Refusal::new(Code::BadRequest, "`cursor`: expected the last `next`, found another text"));
            }
        };
        let members = &self.roster.room(key).members;
        let (users, more) = page.fill(members.users_from(from));
        let next = users.last().filter(|_| more).map(u32::to_string);
        let seen =
            |&user: &u32| answer::Member::new(self.roster.user(user).name.as_str(), self.view_for(ask.conn, user));
        let listed: Vec<_> = users.iter().map(seen).collect();
        let answer = answer::Members { room_id: room, members: &listed, count: members.len(), next: next.as_deref() };
        turn.out.answer(ask, &answer);
        Ok(())
    }

    /// Users who can be seen, in order of names; oneself in any case.
    pub(super) fn list_online(&mut self, ask: Ask<'_>, page: Page<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let cursor = self.opened(&page)?;
        let mut names: Vec<&str> = Vec::new();
        let mut next: Option<Cow<'_, str>> = None;
        let hidden = self.user_of(ask.conn).map(|user| self.roster.user(user)).filter(|user| !user.visible());
        let hidden = hidden.map(|user| &user.name);
        let mut looked_at = 0;
        for user in self.roster.users().after(cursor.as_deref()) {
            looked_at += 1;
            let seen = user.visible() || hidden == Some(&user.name);
            if names.len() == page.limit && seen {
                next = names.last().map(|&name| name.into());
                break;
            }
            if seen {
                names.push(user.name.as_str());
            }
            if looked_at == MAX_SCANNED {
                let name = user.name.as_str();
                next = Some(if seen { name.into() } else { self.cursors.seal(name).into() });
                break;
            }
        }
        turn.out.note_work(looked_at / LOOKS_A_STEP);
        let count = self.roster.users().visible() + usize::from(hidden.is_some());
        turn.out.answer(ask, &answer::Online { users: &names, count, next: next.as_deref() });
        Ok(())
    }

    /// Where a page of names begins, which may be sealed.
    fn opened<'p>(&self, page: &'p Page<'_>) -> Result<Option<Cow<'p, str>>, Refusal> {
        page.short_cursor()?.map(|cursor| self.cursors.open(cursor)).transpose()
    }

    pub(super) fn history(
        &mut self,
        ask: Ask<'_>,
        place: Place<'_>,
        part: &Part<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refusal> {
        let bound = part.bound;
        let bounds = Bounds { entries: part.limit, bytes: ctx.settings.page_bytes };
        let query = match bound {
            Bound::Newest => Query::Newest(bounds),
            Bound::Before(seq) => Query::Before(seq, bounds),
            Bound::After(seq) => Query::After(seq, bounds),
        };
        let epoch = part.epoch.as_deref().map(Into::into);
        match place {
            Place::Room(name) => {
                let room = self.room_to_use(ask.conn, &name)?;
                let what = What::History(Excerpt { with: None, bound, epoch });
                let waiting = Waiting { asker: ask.keep(), room: Some(room), what };
                self.read(waiting, Conversation::Room(&name), query, ctx)
            }
            Place::User(name) => {
                let with = self.partner(&name)?;
                let Some(own) = self.user_of(ask.conn) else { return Ok(()) };
                let own = self.roster.user(own).name.clone();
                let what = What::History(Excerpt { with: Some(with), bound, epoch });
                let waiting = Waiting { asker: ask.keep(), room: None, what };
                self.read(waiting, Conversation::Direct(own.as_str(), &name), query, ctx)
            }
        }
    }

    pub(super) fn answer_history(
        &mut self,
        ask: Ask<'_>,
        room: Option<u32>,
        wanted: &Excerpt,
        found: Found<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let Found { head, entries, .. } = found;
        if let Some(with) = &wanted.with
            && head.kept == 0
            && self.roster.users().find(with.as_str()).is_none()
        {
            return Err(unknown_user());
        }
        if wanted.epoch.as_deref().is_some_and(|epoch| Epoch::parse(epoch) != Some(head.epoch)) {
            let message = format!("`epoch`: expected {}, found another one: seq has begun anew", head.epoch);
            return Err(Refusal::new(Code::EpochChanged, message));
        }
        let oldest = head.oldest();
        let first = entries.first().map(|entry| entry.seq);
        let last = entries.last().map(|entry| entry.seq);
        let (next, gap) = match wanted.bound {
            Bound::Before(seq) if seq > 1 && oldest > 1 && seq <= oldest => {
                let message = format!("`before`: expected more than {oldest}, the oldest that is kept, found {seq}");
                return Err(Refusal::new(Code::HistoryGone, message));
            }
            Bound::Before(0 | 1) => (None, None),
            Bound::Newest | Bound::Before(_) => match first.filter(|&first| first > oldest) {
                Some(first) => (Some(first), None),
                // The page ends where the history ends; if there was more before, its `gap` says so.
                None => (None, (oldest > 1).then_some((1, oldest - 1))),
            },
            Bound::After(seq) => {
                let missed = seq < head.seq && seq + 1 < oldest;
                (last.filter(|&last| last < head.seq), missed.then(|| (seq + 1, oldest - 1)))
            }
        };
        let answer = answer::History {
            room_id: room.map(|room| self.roster.room(room).name.as_str()),
            user_id: wanted.with.as_ref().map(UserName::as_str),
            epoch: head.epoch,
            items: &Item::messages(entries),
            next,
            gap: gap.map(|(from, to)| answer::Hole { from, to, why: answer::Missing::Expired }),
        };
        turn.out.answer(ask, &answer);
        Ok(())
    }
}

/// A room on a page.
type Listed<'a> = (&'a RoomName, answer::ListedRoom<'a>);

/// The longest name or topic of a room, in bytes. (Its `room_id` has limits of its own.)
pub(super) const MAX_TITLE_BYTES: usize = 256;

/// Bytes of patterns that names are compared with for one page of rooms: of a token, and of the rules for rooms. The
/// other rooms are for the next page.
const MAX_MATCHED_BYTES: usize = 256 << 10;

/// Known users looked at for one page of those online, and rooms for one of rooms; past it the page is shorter, and
/// there is a next one.
const MAX_SCANNED: usize = 10_000;

/// Users or rooms that are looked at in one step (see
/// [`Deliveries::note_work`](super::delivery::Deliveries::note_work)).
const LOOKS_A_STEP: usize = 8;
