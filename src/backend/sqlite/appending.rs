//! An entry that is asked for: whether it is taken, its number, and what comes of it.

use super::trouble::Result;
use super::{
    Body, Conversation, Description, Entry, MAX_DELETED_AT_ONCE, MAX_DROPPED_AT_ONCE, Message, NewBody, NewEntry, News,
    RetryKey, Sqlite, Ticket, Verdict, Why, in_order, judge,
};

impl Sqlite {
    pub(super) fn append(
        &mut self,
        conversation: Conversation<'_>,
        entry: &NewEntry<'_>,
        retry: Option<RetryKey>,
        about: Option<Description<'_>>,
        ticket: Ticket,
    ) -> Result<()> {
        if let Some(key) = retry
            && let Some((seq, ts)) = self.repeated(conversation, key)?
        {
            self.batch.push(&News::Repeated { ticket, seq, ts });
            return Ok(());
        }
        let (at, found) = match entry.body.needs() {
            None => (self.find_or_begin(conversation)?, None),
            Some(of) => {
                // What is about a message does not make a conversation: there is none in it.
                let Some(at) = self.find(conversation)? else {
                    self.batch.push(&News::Refused { ticket, why: Why::NotFound });
                    return Ok(());
                };
                self.expire_one(at, conversation, entry.at, MAX_DROPPED_AT_ONCE)?;
                (at, self.tables()?.target(&self.places[at].place, of, entry)?)
            }
        };
        match judge(entry, found.as_ref().map(|found| found.target()).as_ref()) {
            Verdict::Publish => {}
            Verdict::Nothing => {
                self.batch.push(&News::Noted { ticket });
                return Ok(());
            }
            Verdict::Refuse(why) => {
                self.batch.push(&News::Refused { ticket, why });
                return Ok(());
            }
        }
        self.describe(at, about)?;
        let most = self.options.rooms.messages(self.places[at].limited, self.options.messages);
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let id = self.entry + 1;
        let known = &mut self.places[at];
        let place = &mut known.place;
        place.seq += 1;
        // One more than comes, so that a limit that was lowered is reached, piece by piece.
        let over = place.kept().saturating_sub(most).min(2);
        place.first += over;
        known.untrimmed += over;
        self.health.dropped += over;
        if most > 0 {
            let place = &self.places[at].place;
            self.tables()?.append(id, place, entry)?;
            if let Some(found) = &found {
                let conversation_id = place.id;
                match entry.body {
                    NewBody::Edit { content, .. } => {
                        self.reindex(conversation, conversation_id, found, Some(content))?
                    }
                    NewBody::Delete { .. } => self.reindex(conversation, conversation_id, found, None)?,
                    _ => {}
                }
                let place = &self.places[at].place;
                self.tables()?.change(place, found, entry, MAX_DELETED_AT_ONCE)?;
                self.has_old_text = true;
            }
            self.entry = id;
        }
        let place = &mut self.places[at].place;
        let (seq, ts, sender) = (place.seq, entry.at.unix_ms, entry.sender);
        if let NewBody::Message { .. } = entry.body {
            (place.message, place.last, place.said) = (seq, id, ts);
        }
        if let NewBody::Delete { .. } = entry.body {
            self.places[at].many = None;
        }
        if let Some(key) = retry {
            self.remember(key, self.places[at].place.id, seq, entry.at)?;
        }
        self.spoil(at);
        let body = match entry.body {
            NewBody::Message { content, reply_to, calls_room } => {
                Body::Message(Message { reply_to, calls_room, ..Message::new(content) })
            }
            NewBody::Edit { of, content, calls_room, .. } => Body::Edited { of, content: Some(content), calls_room },
            NewBody::Delete { of, .. } => Body::Deleted { of },
            NewBody::Reaction { of, emoji, on } => Body::Reaction { of, emoji, on },
        };
        let (entry, epoch) = (Entry { seq, ts, sender, body }, self.places[at].place.epoch);
        let conversation = in_order(conversation);
        self.batch.push(&News::Published { conversation, epoch, entry, ticket: Some(ticket) });
        Ok(())
    }
}
