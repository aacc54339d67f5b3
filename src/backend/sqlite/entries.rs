//! The statements about entries: writing one, and what it does to the message that it is about.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Result, Row, params};

use super::schema;
use super::tables::{Place, Tables, count, number, signed};
use crate::backend::{NewBody, NewEntry, Reacted, Target};

/// A message that an entry is about: kept, and not deleted.
#[derive(Debug)]
pub struct Found {
    /// The key of its row; `None`: it has gone, and its text is in an edit.
    pub id: Option<i64>,
    pub seq: u64,
    pub ts: u64,
    pub sender: String,
    /// Its text as it stands.
    pub content: String,
    /// The edit that has its text, if it is not its own.
    pub latest: Option<u64>,
    pub emoji: usize,
    pub reacted: Reacted,
}

/// The text of an edit.
#[derive(Debug, Default)]
pub struct Text {
    pub content: String,
    /// When it was made.
    pub ts: u64,
    /// Whether it calls everybody in the room.
    pub calls_room: bool,
}

impl Found {
    /// What the rules are told of it.
    pub fn target(&self) -> Target<'_> {
        Target { sender: &self.sender, ts: self.ts, content: &self.content, emoji: self.emoji, reacted: self.reacted }
    }
}

impl Tables {
    /// The message of that number, if it is kept and not deleted.
    pub fn target(&self, place: &Place, seq: u64, entry: &NewEntry<'_>) -> Result<Option<Found>> {
        if seq < place.first {
            return if entry.body.reaches_text_left() { self.text_left(place, seq) } else { Ok(None) };
        }
        if seq > place.seq {
            return Ok(None);
        }
        let sql = "SELECT ts, sender, content, latest, id FROM entry \
                   WHERE conversation = ?1 AND seq = ?2 AND kind = 0";
        let row = |row: &Row<'_>| {
            Ok(Found {
                seq,
                ts: number(row, 0)?,
                sender: row.get(1)?,
                content: row.get(2)?,
                latest: maybe(row, 3)?,
                id: Some(row.get(4)?),
                emoji: 0,
                reacted: Reacted::No,
            })
        };
        let found = self.connection.prepare_cached(sql)?.query_row(params![place.id, signed(seq)], row).optional()?;
        let Some(mut found) = found else { return Ok(None) };
        if let Some(latest) = found.latest {
            found.content = self.text_of(place.id, latest)?.unwrap_or_default().content;
        }
        if let NewBody::Reaction { emoji, .. } = entry.body {
            (found.emoji, found.reacted) = self.reacted(place.id, seq, emoji, entry.sender)?;
        }
        Ok(Some(found))
    }

    /// What is left of a message that has gone itself: its text, if that is in an edit which is kept.
    fn text_left(&self, place: &Place, seq: u64) -> Result<Option<Found>> {
        let sql = "SELECT seq, ts, sender, content, kind FROM entry \
                   WHERE conversation = ?1 AND about = ?2 AND kind IN (1, 2) ORDER BY seq DESC LIMIT 1";
        let row = |row: &Row<'_>| {
            let latest = number(row, 0)?;
            let stands = row.get::<_, i64>(4)? == schema::EDIT && latest >= place.first;
            let (ts, sender, content) = (number(row, 1)?, row.get(2)?, row.get(3)?);
            let (latest, reacted) = (Some(latest), Reacted::No);
            Ok(stands.then_some(Found { id: None, seq, ts, sender, content, latest, emoji: 0, reacted }))
        };
        let found = self.connection.prepare_cached(sql)?.query_row(params![place.id, signed(seq)], row).optional()?;
        Ok(found.flatten())
    }

    /// The text of an edit.
    pub fn text_of(&self, conversation: i64, edit: u64) -> Result<Option<Text>> {
        let sql = "SELECT content, ts, calls_room FROM entry WHERE conversation = ?1 AND seq = ?2 AND kind = 1";
        let row = |row: &Row<'_>| Ok(Text { content: row.get(0)?, ts: number(row, 1)?, calls_room: is_set(row, 2)? });
        self.connection.prepare_cached(sql)?.query_row(params![conversation, signed(edit)], row).optional()
    }

    /// Writes an entry.
    pub fn append(&self, id: i64, place: &Place, entry: &NewEntry<'_>) -> Result<()> {
        let sql = "INSERT INTO entry \
                   (id, conversation, seq, kind, ts, sender, content, about, latest, reacted, calls_room) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let before = Some(place.message).filter(|&seq| seq > 0);
        let (kind, content, about, latest, reacted) = match entry.body {
            NewBody::Message { content, reply_to, .. } => (schema::MESSAGE, content, reply_to, None, None),
            NewBody::Edit { of, content, .. } => (schema::EDIT, content, Some(of), before, None),
            NewBody::Delete { of, .. } => (schema::DELETION, "", Some(of), before, None),
            NewBody::Reaction { of, emoji, on } => (schema::REACTION, emoji, Some(of), before, Some(on)),
        };
        let calls_room = match entry.body {
            NewBody::Message { calls_room, .. } | NewBody::Edit { calls_room, .. } => calls_room.then_some(1),
            NewBody::Delete { .. } | NewBody::Reaction { .. } => None,
        };
        let (seq, ts) = (signed(place.seq), signed(entry.at.unix_ms));
        let (about, latest) = (about.map(signed), latest.map(signed));
        let row = params![id, place.id, seq, kind, ts, entry.sender, content, about, latest, reacted, calls_room];
        self.execute(sql, row).map(drop)
    }

    /// Does to the message what the entry with the newest number says. Returns whether all of it is done: a deleted
    /// message may have more reactions than are deleted at once.
    pub fn change(&self, place: &Place, found: &Found, entry: &NewEntry<'_>, most: usize) -> Result<bool> {
        let (id, of) = (place.id, signed(found.seq));
        match entry.body {
            NewBody::Message { .. } => Ok(true),
            NewBody::Edit { .. } => {
                self.blank(id, found)?;
                self.move_text(id, found.seq, place.seq)?;
                Ok(true)
            }
            NewBody::Delete { .. } => {
                self.blank(id, found)?;
                let sql = "UPDATE entry SET kind = 4, content = '', latest = NULL, reacted = NULL, calls_room = NULL \
                           WHERE conversation = ?1 AND seq = ?2";
                self.execute(sql, params![id, of])?;
                self.execute("DELETE FROM emoji WHERE conversation = ?1 AND message = ?2", params![id, of])?;
                let all = self.delete_reactions_of(id, found.seq, most)?;
                if !all {
                    self.execute("INSERT INTO deleted (conversation, message) VALUES (?1, ?2)", params![id, of])?;
                }
                Ok(all)
            }
            NewBody::Reaction { emoji, on: true, .. } => {
                self.add_reaction(id, found.seq, emoji, place.seq, entry.sender)?;
                Ok(true)
            }
            NewBody::Reaction { emoji, on: false, .. } => {
                self.take_reaction(id, found.seq, emoji, entry.sender)?;
                Ok(true)
            }
        }
    }

    /// The text of a message is in this edit from here on.
    pub fn move_text(&self, conversation: i64, message: u64, edit: u64) -> Result<()> {
        let sql = "UPDATE entry SET content = '', latest = ?3, calls_room = NULL WHERE conversation = ?1 AND seq = ?2";
        self.execute(sql, params![conversation, signed(message), signed(edit)]).map(drop)
    }

    /// The user reacts to a message, if they have not yet.
    pub fn add_reaction(&self, conversation: i64, message: u64, emoji: &str, seq: u64, user: &str) -> Result<()> {
        let (of, seq) = (signed(message), signed(seq));
        let sql = "INSERT INTO reaction (conversation, message, emoji, seq, user) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO NOTHING";
        if self.execute(sql, params![conversation, of, emoji, seq, user])? > 0 {
            let sql = "INSERT INTO emoji (conversation, message, emoji, first, count) VALUES (?1, ?2, ?3, ?4, 1) \
                       ON CONFLICT DO UPDATE SET count = count + 1";
            self.execute(sql, params![conversation, of, emoji, seq])?;
        }
        let sql = "UPDATE entry SET reacted = 1 WHERE conversation = ?1 AND seq = ?2 AND reacted IS NULL";
        self.execute(sql, params![conversation, of]).map(drop)
    }

    /// The user takes a reaction back, if there is one.
    pub fn take_reaction(&self, conversation: i64, message: u64, emoji: &str, user: &str) -> Result<()> {
        let of = signed(message);
        let sql = "DELETE FROM reaction WHERE conversation = ?1 AND message = ?2 AND emoji = ?3 AND user = ?4";
        if self.execute(sql, params![conversation, of, emoji, user])? > 0 {
            let sql = "UPDATE emoji SET count = count - 1 WHERE conversation = ?1 AND message = ?2 AND emoji = ?3";
            self.execute(sql, params![conversation, of, emoji])?;
            let sql = "DELETE FROM emoji WHERE conversation = ?1 AND message = ?2 AND emoji = ?3 AND count <= 0";
            self.execute(sql, params![conversation, of, emoji])?;
        }
        Ok(())
    }

    /// The text of the edit that has it is no more.
    fn blank(&self, conversation: i64, found: &Found) -> Result<()> {
        let Some(latest) = found.latest else { return Ok(()) };
        let sql = "UPDATE entry SET content = '', calls_room = NULL WHERE conversation = ?1 AND seq = ?2";
        self.execute(sql, params![conversation, signed(latest)]).map(drop)
    }

    /// How many different emoji a message has, and who has reacted with this one.
    pub fn reacted(&self, conversation: i64, message: u64, emoji: &str, user: &str) -> Result<(usize, Reacted)> {
        let message = signed(message);
        let sql = "SELECT count(*), count(*) FILTER (WHERE emoji = ?3) FROM emoji \
                   WHERE conversation = ?1 AND message = ?2";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (different, this): (i64, i64) =
            self.connection.prepare_cached(sql)?.query_row(params![conversation, message, emoji], row)?;
        let different = usize::try_from(different).unwrap_or(0);
        if this == 0 {
            return Ok((different, Reacted::No));
        }
        Ok(match self.reacts(conversation, message, emoji, user)? {
            true => (different, Reacted::Sender),
            false => (different, Reacted::Others),
        })
    }

    /// Whether a user has reacted so.
    pub fn reacts(&self, conversation: i64, message: i64, emoji: &str, user: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM reaction \
                   WHERE conversation = ?1 AND message = ?2 AND emoji = ?3 AND user = ?4)";
        self.connection.prepare_cached(sql)?.query_row(params![conversation, message, emoji, user], |row| row.get(0))
    }

    /// Deletes so many reactions to a message at most; returns whether none is left.
    fn delete_reactions_of(&self, conversation: i64, message: u64, most: usize) -> Result<bool> {
        let sql = "DELETE FROM reaction WHERE (conversation, message, emoji, seq) IN \
                   (SELECT conversation, message, emoji, seq FROM reaction \
                    WHERE conversation = ?1 AND message = ?2 LIMIT ?3)";
        Ok(self.execute(sql, params![conversation, signed(message), count(most)])? < most)
    }

    /// Deletes so many reactions to deleted messages at most; returns how many there were, and one for each message.
    pub fn delete_reactions(&self, most: usize) -> Result<usize> {
        let sql = "SELECT conversation, message FROM deleted LIMIT 1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, number(row, 1)?));
        let found: Option<(i64, u64)> = self.connection.prepare_cached(sql)?.query_row([], row).optional()?;
        let Some((conversation, message)) = found else { return Ok(0) };
        if !self.delete_reactions_of(conversation, message, most)? {
            return Ok(most);
        }
        let sql = "DELETE FROM deleted WHERE conversation = ?1 AND message = ?2";
        self.execute(sql, params![conversation, signed(message)])?;
        Ok(1)
    }

    /// Deletes what is not kept any more, so many entries and so many reactions at most; returns how many there were,
    /// and no less than `most` if their texts were all that one call may delete.
    pub fn trim(&self, place: &Place, most: usize) -> Result<usize> {
        self.delete_before(place.id, place.first, most)
    }

    /// Deletes as many entries of conversations that have ended; returns how many there were.
    pub fn delete_ended(&self, most: usize) -> Result<usize> {
        let sql = "SELECT conversation FROM ended LIMIT 1";
        let ended: Option<i64> = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
        let Some(ended) = ended else { return Ok(0) };
        let mut deleted = self.delete_before(ended, u64::MAX, most)?;
        let sql = "DELETE FROM mark WHERE (user, conversation) IN \
                   (SELECT user, conversation FROM mark WHERE conversation = ?1 LIMIT ?2)";
        deleted += self.execute(sql, params![ended, count(most)])?;
        if deleted == 0 {
            self.execute("DELETE FROM ended WHERE conversation = ?1", [ended])?;
        }
        Ok(deleted.max(1))
    }

    /// Deletes entries of a conversation, and the reactions to them, from the oldest on: so many at most, and no more
    /// when their texts have [`MAX_DELETED_BYTES`], because SQLite holds in memory what a part of a transaction has
    /// overwritten.
    fn delete_before(&self, conversation: i64, seq: u64, most: usize) -> Result<usize> {
        let mut deleted = self.delete_reactions_before(conversation, seq, most)?;
        let sql = "SELECT id, octet_length(content) FROM entry WHERE conversation = ?1 AND seq < ?2 \
                   ORDER BY seq LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![conversation, signed(seq), count(most)])?;
        let (mut keys, mut bytes) = (Vec::new(), 0);
        while bytes < MAX_DELETED_BYTES
            && let Some(row) = rows.next()?
        {
            keys.push(row.get(0)?);
            bytes += number(row, 1)?;
        }
        drop(rows);
        for &key in &keys {
            self.execute("DELETE FROM entry WHERE id = ?1", [key])?;
        }
        deleted += if bytes < MAX_DELETED_BYTES { keys.len() } else { most };
        self.note_dead(keys)?;
        Ok(deleted)
    }

    /// Entries with these keys are no more: the index has them still.
    pub fn note_dead(&self, keys: impl IntoIterator<Item = i64>) -> Result<()> {
        let mut dead = BTreeMap::new();
        keys.into_iter().for_each(|id| *dead.entry(schema::part_of(id)).or_insert(0) += 1);
        for (part, dead) in dead {
            self.gone.set(self.gone.get() + usize::try_from(dead).unwrap_or(0));
            let sql = "UPDATE part SET dead = dead + ?2 WHERE part = ?1 RETURNING dead";
            let all: Option<i64> =
                self.connection.prepare_cached(sql)?.query_row([part, dead], |row| row.get(0)).optional()?;
            if all.is_some_and(|all| all >= WORN) {
                self.is_worn.set(true);
            }
        }
        Ok(())
    }

    /// Deletes reactions to messages that are not kept any more.
    pub fn delete_reactions_before(&self, conversation: i64, seq: u64, most: usize) -> Result<usize> {
        let before = params![conversation, signed(seq), count(most)];
        let sql = "DELETE FROM reaction WHERE (conversation, message, emoji, seq) IN \
                   (SELECT conversation, message, emoji, seq FROM reaction \
                    WHERE conversation = ?1 AND message < ?2 LIMIT ?3)";
        let mut deleted = self.execute(sql, before)?;
        let sql = "DELETE FROM emoji WHERE (conversation, message, emoji) IN \
                   (SELECT conversation, message, emoji FROM emoji WHERE conversation = ?1 AND message < ?2 LIMIT ?3)";
        deleted += self.execute(sql, before)?;
        Ok(deleted)
    }
}

/// A number, or null.
pub fn maybe(row: &Row<'_>, at: usize) -> Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(|number| u64::try_from(number).unwrap_or(0)))
}

/// A mark that is 1, or not there.
pub fn is_set(row: &Row<'_>, at: usize) -> Result<bool> {
    Ok(row.get::<_, Option<i64>>(at)?.is_some_and(|mark| mark != 0))
}

/// Bytes of texts that are deleted in one part of a transaction, beside those of the entry that crosses this.
const MAX_DELETED_BYTES: u64 = 4 << 20;

/// Entries of a part of the index that are gone before it is looked through of its own accord.
const WORN: i64 = if cfg!(test) { 20 } else { 1024 };
