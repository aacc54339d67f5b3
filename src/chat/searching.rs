//! Search: messages with certain words, in all that a session may read or in one conversation of it.
//!
//! The store looks; here it is decided where it may.

use super::ask::Ask;
use super::checks::not_joined;
use super::hall::Hall;
use super::name::UserName;
use super::rate_limit::Price;
use super::turn::{Ctx, Turn};
use super::waiting::{Waiting, What};
use super::wire::answer;
use super::wire::entries::Place as Shown;
use super::wire::request::{Place, Sought};
use super::wire::{Code, Refusal};
use crate::backend::words::{MAX_WANTED, Wanted};
use crate::backend::{Conversation, Hit, Names, Request, Scope, Search, other_of};

impl Hall {
    pub(super) fn search(&mut self, ask: Ask<'_>, sought: &Sought<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refusal> {
        let Sought { text, place, sender, before, page } = sought;
        if text.len() > MAX_TEXT_BYTES {
            let message = format!("`text`: expected at most {MAX_TEXT_BYTES} bytes, found {}", text.len());
            return Err(Refusal::new(Code::TooLarge, message));
        }
        if text.is_empty() {
            let message = format!("`text`: expected 1 to {MAX_TEXT_BYTES} bytes, found 0");
            return Err(Refusal::new(Code::BadRequest, message));
        }
        // Not fewer than are asked for: what is found has all of them.
        let words = Wanted::count(text);
        if words > MAX_WANTED {
            let message = format!("`text`: expected at most {MAX_WANTED} words, found {words}");
            return Err(Refusal::new(Code::BadRequest, message));
        }
        let Some(user) = self.user_of(ask.conn) else { return Ok(()) };
        let user = self.roster.user(user);
        let (guest, user) = (user.guest, user.name.clone());
        let mut names = String::new();
        let mut room = None;
        let scope = match place {
            Some(Place::Room(name)) => {
                room = Some(self.room_to_use(ask.conn, name)?);
                Scope::One(Conversation::Room(name))
            }
            Some(Place::User(name)) => {
                self.partner(name)?;
                Scope::One(Conversation::Direct(user.as_str(), name))
            }
            None if guest => {
                let message = "expected `room_id` or `user_id`, because a guest has no conversations, found neither";
                return Err(Refusal::new(Code::Forbidden, message));
            }
            None => {
                let seats = self.roster.session(ask.conn).into_iter().flat_map(|session| session.seats.iter());
                let rooms = seats.filter(|seat| seat.wanted && self.may_be_in(ask.conn, seat.room));
                let rooms = rooms.map(|seat| self.roster.room(seat.room).name.as_str());
                Scope::All { rooms: Names::join(rooms, &mut names), user: user.as_str() }
            }
        };
        let sender = sender.as_deref().map(named).transpose()?;
        let (sender, cursor) = (sender.as_ref().map(UserName::as_str), page.short_cursor()?);
        let search = Search { scope, text, sender, before: *before, cursor, limit: page.limit };
        let paid = self.pay_for_more(ask.conn, Price::frames(FRAMES), ctx)?;
        ctx.out.note_work(SEARCH);
        let waiting = Waiting { asker: ask.keep(), room, what: What::Search { paid } };
        self.ask_store(waiting, |ticket| Request::Search { search, ticket }, ctx)
    }

    /// What was found, without what was said in rooms that the session was kept out of since.
    pub(super) fn answer_search(
        &mut self,
        waiting: &Waiting,
        hits: &[Hit<'_>],
        next: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        let ask = waiting.asker.ask();
        let Some(user) = self.user_of(ask.conn) else { return };
        if waiting.room.is_some_and(|room| !self.may_still_read(ask.conn, room)) {
            return self.refuse(ask, &not_joined(), turn);
        }
        let is_shown = |hit: &&Hit<'_>| match hit.conversation {
            Conversation::Room(name) => {
                self.roster.rooms().find(name).is_some_and(|room| self.may_still_read(ask.conn, room))
            }
            Conversation::Direct(..) => true,
        };
        let user = self.roster.user(user).name.as_str();
        let items: Vec<_> = hits
            .iter()
            .filter(is_shown)
            .map(|&Hit { conversation, seq, ts, sender, content }| {
                let place = match conversation {
                    Conversation::Room(name) => Shown::room(name),
                    Conversation::Direct(one, other) => Shown::user(other_of(one, other, user)),
                };
                answer::Hit { place, seq, sender, content, ts }
            })
            .collect();
        turn.out.answer(ask, &answer::Found { items: &items, next });
    }
}

/// The sender that is meant, in the form in which names are kept.
fn named(sender: &str) -> Result<UserName, Refusal> {
    UserName::parse(sender).map_err(|error| Refusal::new(Code::BadRequest, format!("`sender`: {error}")))
}

/// The longest text that is looked for, in bytes.
const MAX_TEXT_BYTES: usize = 512;

/// The price of a search, in frames: it takes the store some milliseconds, which others who search wait for.
const FRAMES: u64 = 5;

/// The cost of a search, in steps (see [`Deliveries::note_work`](super::delivery::Deliveries::note_work)): more than
/// all peers that need more than one request's time have in one turn, so that a turn has one of them.
const SEARCH: usize = 4096;
