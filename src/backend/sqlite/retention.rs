//! What is kept: of each conversation so many entries, so old at most. The rest goes piece by piece.

use std::time::Duration;

use super::clock::Turn;
use super::tables::Place;
use super::trouble::Result;
use super::{
    Conversation, Epoch, Limited, MAX_DELETED_AT_ONCE, MAX_DROPPED_AT_ONCE, MAX_SWEPT_AT_ONCE, Moment, News, Sqlite,
    file,
};

/// What a sweep is at: the list of conversations from one on, one of them with so many before it in the same
/// transaction, or what is done beside.
#[derive(Clone, Copy, Debug)]
pub enum At {
    List { from: i64, now: Moment },
    One { from: i64, before: usize, id: i64, now: Moment },
    Rest,
}

/// Whether what was said then, by the wall clock, is not kept any more; nor is what is not there.
pub fn is_too_old(said_at: Option<u64>, now: Moment, age: Duration) -> bool {
    said_at.is_none_or(|said_at| Duration::from_millis(now.unix_ms.saturating_sub(said_at)) > age)
}

impl Sqlite {
    /// Lets go of what is too old in one conversation, so many entries at most. Returns how many there were.
    pub(super) fn expire_one(
        &mut self,
        at: usize,
        conversation: Conversation<'_>,
        now: Moment,
        most: u64,
    ) -> Result<u64> {
        let mut place = self.places[at].place.clone();
        let now = self.tell_time(now);
        let gone = self.age(&mut place, self.places[at].limited, now, most)?;
        if gone > 0 {
            self.places[at].place = place;
            self.places[at].untrimmed += gone;
            self.health.dropped += gone;
            self.spoil(at);
            self.note_emptied(at, conversation);
        }
        Ok(gone)
    }

    /// The time by which age is told: the wall clock, unless that has leapt ahead.
    fn tell_time(&mut self, now: Moment) -> Moment {
        let (told, turn) = self.clock.tell(now);
        let noted = self.claim.note_time(self.clock.known());
        let path = self.claim.path.display();
        if let Err(error) = noted {
            log::debug!("{path}: it is not noted beside it what time it is: {error}");
        }
        let hours = |time: Duration| time.as_secs().div_ceil(3600);
        match turn.filter(|_| self.options.age < Duration::MAX || self.options.rooms.have_age()) {
            Some(Turn::Leapt(ahead, waits)) => log::warn!(
                "{path}: the wall clock is {} hours ahead of the time that was known when it was used last, so that as \
                 much more would be too old; nothing goes for that for {} hours. If the clock is wrong, set it right \
                 until then; if it is right, there is nothing to do",
                hours(ahead),
                hours(waits)
            ),
            Some(Turn::Believed) => log::info!("{path}: what is too old is told by the wall clock again"),
            None => {}
        }
        told
    }

    /// Leaves out what is too old or too much; returns how many messages that were.
    pub(super) fn age(&self, place: &mut Place, limited: Limited, now: Moment, most: u64) -> Result<u64> {
        let before = place.first;
        let messages = self.options.rooms.messages(limited, self.options.messages);
        let (messages, age) =
            (u64::try_from(messages).unwrap_or(u64::MAX), self.options.rooms.age(limited, self.options.age));
        place.first += place.kept().saturating_sub(messages).min(most);
        // Where nothing becomes too old, nothing is read: there may be many conversations.
        while age < Duration::MAX && place.kept() > 0 && place.first - before < most {
            let said_at = self.tables()?.said_at(place.id, place.first)?;
            if !is_too_old(said_at, now, age) {
                break;
            }
            place.first += 1;
        }
        Ok(place.first - before)
    }

    pub(super) fn note_emptied(&mut self, at: usize, conversation: Conversation<'_>) {
        if let Conversation::Room(room) = conversation
            && self.places[at].place.kept() == 0
        {
            self.batch.push(&News::Emptied { room });
        }
    }

    /// One step of a walk over all conversations: lets go of what is too old. It goes on by itself, until it has come
    /// round. Returns whether anything is kept still.
    pub(super) fn sweep(&mut self, now: Moment) -> Result<bool> {
        self.begin()?;
        self.file_bytes = file::bytes(&self.claim.path);
        // While it fails, this tries whether it can be written to: perhaps nobody speaks, because of that.
        self.wrote |= self.ailing;
        // What of the file cannot be read stays as it is; the walk goes on behind it.
        let (from, walks) = (self.swept, std::mem::replace(&mut self.walks, MAX_SWEPT_AT_ONCE));
        self.sweeping = Some(At::List { from, now });
        let told = self.tell_time(now);
        self.write_heads(true)?;
        let next = self.whole_or_not(|store| Ok(store.tables()?.conversations_after(from, walks)?))?;
        let (next, mut most) = (next.unwrap_or_default(), MAX_DROPPED_AT_ONCE);
        self.swept = if next.len() < walks { 0 } else { next.last().map_or(0, |(place, ..)| place.id) };
        for (before, (place, name, other)) in next.into_iter().enumerate() {
            let id = place.id;
            self.sweeping = Some(At::One { from, before, id, now });
            let done = self.whole_or_not(|store| store.sweep_one(place, &name, &other, told, most))?;
            most -= done.unwrap_or(0);
            if most == 0 {
                self.swept = id - 1;
                break;
            }
        }
        self.sweeps_on = Some(now).filter(|_| most == 0 || self.swept != 0);
        self.sweeping = Some(At::Rest);
        self.allow_purges()?;
        self.forget_retries(Some(now.tick))?;
        self.whole_or_not(|store| store.delete_left_over(told))?;
        self.sweeping = None;
        self.has_old_text |= self.wrote;
        self.clears_log = self.has_old_text && self.sweeps_on.is_none();
        // It looks at the whole list of conversations, if need be.
        Ok(self.damaged || self.ailing || self.tables()?.holds()?)
    }

    /// Bans that have ended, and what belongs to messages and conversations that are no more.
    fn delete_left_over(&mut self, now: Moment) -> Result<()> {
        self.wrote |= self.tables()?.delete_bans(now.unix_ms, MAX_DELETED_AT_ONCE)? > 0;
        self.wrote |= self.tables()?.delete_reactions(MAX_DELETED_AT_ONCE)? > 0;
        let mut deleted = MAX_DELETED_AT_ONCE;
        while deleted > 0 {
            match self.tables()?.delete_ended(deleted)? {
                0 => break,
                some => (deleted, self.wrote) = (deleted.saturating_sub(some), true),
            }
        }
        Ok(())
    }

    /// Returns how much of the work that may be done it was.
    pub(super) fn sweep_one(&mut self, place: Place, name: &str, other: &str, now: Moment, most: u64) -> Result<u64> {
        let mut place = place;
        let room = other.is_empty();
        let limited = if room { self.options.rooms.of(name) } else { Limited::default() };
        let gone = self.age(&mut place, limited, now, most)?;
        self.health.dropped += gone;
        if !room && place.kept() == 0 {
            self.tables()?.end(place.id)?;
            self.nothing = Epoch(self.random.draw());
            self.tables()?.set_nothing(self.nothing)?;
            self.key.clear();
            self.key.extend([name, "\0", other]);
            self.index.remove(self.key.as_str());
            self.wrote = true;
            return Ok((gone + 1).min(most));
        }
        let deleted = match place.first {
            // Nothing has ever gone.
            1 => 0,
            _ => self.tables()?.trim(&place, usize::try_from(most).unwrap_or(usize::MAX))?,
        };
        self.wrote |= deleted > 0;
        if gone > 0 {
            self.tables()?.set_head(&place)?;
            self.wrote = true;
            self.key.clear();
            self.key.extend([name, "\0", other]);
            if let Some(&at) = self.index.get(self.key.as_str()) {
                self.places[at].place.first = place.first;
            }
            if room && place.kept() == 0 {
                self.batch.push(&News::Emptied { room: name });
            }
        }
        Ok((gone + deleted as u64).min(most))
    }
}
