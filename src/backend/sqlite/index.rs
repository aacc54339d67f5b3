//! The index by which messages are searched.
//!
//! ```text
//!   part    keys                word            entries
//!   0       0 ..= 16383         "hello"         3, 17, 16001        two bytes each, rising
//!                               U+E000 "2"      3, 16001            those of conversation 2
//!   1       16384 ..= 32767     "hello"         0, 5
//! ```
//!
//! Keys of entries are cut into parts, and all of a part lies together in the file: so a new message is written to few
//! pages, and what is looked for is found with one look for each word and part. It does not know where in a text a
//! word stands; whoever looks reads the text itself. Beside its words a message has marks, which are no words of any
//! text: its conversation, its sender, and the two people of a direct conversation. A text with more than
//! [`MAX_WORDS`] different words has another mark instead of its words, and is read by whoever looks for anything: so
//! an edit or a deletion changes a bounded number of lists.
//!
//! It follows behind: what is newer than `store.indexed` is not in it yet. It takes in many messages together, because
//! their words have many lists in common, but in short pieces, so that nobody waits long who asks meanwhile: first
//! their lists are [`Gathered`] in memory, then some of those are written at a time, and with the last ones `indexed`
//! moves. A gathering that ends half written (a crash, a failed commit) leaves places behind `indexed` in some lists.
//! Nobody is told of those, and the next gathering writes over them.
//!
//! A text that is edited away or deleted leaves it at once; entries that are not kept any more leave it when enough of
//! a part is gone, in pieces (`purging`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{OptionalExtension, Row, params};

use super::entries::{Found, maybe};
use super::schema::{self, PART_LEN, part_of};
use super::tables::{Tables, count};
use super::trouble::{Overwritten, Result, Trouble};
use super::{Sqlite, names};
use crate::backend::{Conversation, words::words};

/// Messages of one part that are taken in together.
///
/// Invariant: all of them are newer than `store.indexed`, and `lists` has what they add to the index, but for what is
/// written already.
#[derive(Debug)]
pub struct Gathered {
    /// The first of them, and the last so far.
    from: i64,
    to: i64,
    /// The word whose list was written last.
    written: Option<String>,
    /// No more are added.
    full: bool,
    /// By word, the places that are to be added to its list.
    lists: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Gathered {
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of this part is among them. Those before the first are in the index.
    fn has(&self, id: i64) -> bool {
        id >= self.from && id <= self.to
    }

    /// Whether the list of this word is not written yet.
    fn waits(&self, word: &str) -> bool {
        self.written.as_deref().is_none_or(|written| written < word)
    }

    /// Takes a place in, or out.
    fn change(&mut self, word: &str, place: [u8; 2], comes: bool) {
        let Some(list) = self.lists.get_mut(word) else {
            if comes {
                self.add(word.to_owned(), place);
            }
            return;
        };
        if set(list, place, comes) {
            self.bytes = if comes { self.bytes + place.len() } else { self.bytes - place.len() };
        }
    }

    fn add(&mut self, word: String, place: [u8; 2]) {
        let len = word.len();
        let list = self.lists.entry(word).or_insert_with(|| {
            self.bytes += len + LIST_BYTES;
            Vec::new()
        });
        if !list.ends_with(&place) {
            list.extend(place);
            self.bytes += place.len();
        }
    }
}

/// Takes a place into a list, or out of it; whether that changes it.
pub(super) fn set(list: &mut Vec<u8>, place: [u8; 2], is_in: bool) -> bool {
    let at = 2 * list.as_chunks::<2>().0.partition_point(|other| *other < place);
    let is_there = list[at..].starts_with(&place);
    match is_in {
        true if !is_there => drop(list.splice(at..at, place)),
        false if is_there => drop(list.drain(at..at + 2)),
        _ => return false,
    }
    true
}

impl Sqlite {
    /// Whether there is something to be done about the index when nobody waits.
    pub(super) fn lags(&self) -> bool {
        let behind = self.gathered.is_some() || self.entry - self.indexed >= INDEXED_TOGETHER;
        behind || self.refolds || self.purge.is_some() || self.purges > 0
    }

    /// Takes in some of the newest messages, or takes away some of what is gone.
    pub(super) fn index_piece(&mut self) -> Result<()> {
        match self.gathered.is_some() || self.entry - self.indexed >= INDEXED_TOGETHER {
            true => self.take_in_piece().map(drop),
            false if self.refolds => self.refold(GATHERED_TOGETHER),
            false => self.purge_piece(),
        }
    }

    /// Where the index cannot be read or written: the next messages are found by nobody, or a part stays as it is.
    pub(super) fn skip_indexing(&mut self) {
        if self.entry - self.indexed < INDEXED_TOGETHER {
            if std::mem::take(&mut self.refolds) {
                // It is tried again at the next start.
                return;
            }
            self.purges = self.purges.saturating_sub(1);
            return;
        }
        let (batch, entry, indexed) = (self.batches + 1, self.entry, self.indexed + INDEXED_TOGETHER);
        let written = self.tables().and_then(|tables| Ok(tables.number_batch(batch, entry, indexed)?));
        match written {
            Ok(true) => {
                self.indexed = indexed;
                self.note_committed();
            }
            Ok(false) => self.fail(&Trouble::Overwritten(Overwritten::File), false),
            // It is tried again when something can be written: what waits is not lost to the index by that.
            Err(trouble) => self.fail(&trouble, false),
        }
    }

    /// Takes in twice as many messages as a batch has brought, of those that have waited for too long because there was
    /// no time: so it catches up, also with an import.
    pub(super) fn index_if_late(&mut self, came: i64) -> Result<()> {
        let mut taken = 0;
        while taken < 2 * came && self.entry - self.indexed > MAX_UNINDEXED {
            taken += self.take_in_piece()?;
        }
        Ok(())
    }

    /// Gathers some messages, or writes some of their lists. Returns how many messages were gathered.
    fn take_in_piece(&mut self) -> Result<i64> {
        if self.gathered.is_none() {
            self.pass_over_gone()?;
        }
        let mut gathered = self.gathered.take().unwrap_or_else(|| Gathered {
            from: self.indexed + 1,
            to: self.indexed,
            written: None,
            full: false,
            lists: BTreeMap::new(),
            bytes: 0,
        });
        let before = gathered.to;
        if !gathered.full {
            self.gather(&mut gathered)?;
        } else {
            self.write_lists(&mut gathered)?;
            if gathered.lists.is_empty() {
                self.indexed = gathered.to;
                return Ok(0);
            }
        }
        let taken = gathered.to - before;
        self.gathered = Some(gathered);
        Ok(taken)
    }

    /// What is gone before it was taken in is not waited for.
    fn pass_over_gone(&mut self) -> Result<()> {
        let oldest = self.tables()?.oldest_key()?.unwrap_or(self.entry + 1);
        if oldest > self.indexed + 1 {
            self.indexed = oldest - 1;
            self.wrote = true;
        }
        Ok(())
    }

    fn gather(&mut self, gathered: &mut Gathered) -> Result<()> {
        let from = gathered.to + 1;
        let end = part_of(self.indexed + 1) * PART_LEN + PART_LEN - 1;
        let to = self.entry.min(from + GATHERED_TOGETHER - 1).min(end);
        let tables = self.tables()?;
        let lines = match tables.lines_between(from, to).map_err(Trouble::from) {
            // These are found by nobody; all others are.
            Err(trouble) if trouble.is_of_what_is_read() => {
                self.note_damage(&trouble);
                Vec::new()
            }
            lines => lines?,
        };
        let to = self.tables()?.terms_of(&lines, 0, |word, place| gathered.add(word, place))?.unwrap_or(to);
        gathered.to = to;
        gathered.full = to == self.entry || to == end || gathered.bytes >= MAX_GATHERED_BYTES;
        Ok(())
    }

    fn write_lists(&mut self, gathered: &mut Gathered) -> Result<()> {
        let part = part_of(self.indexed + 1);
        // Where places begin that nobody is told of.
        let end = place_of(self.indexed + 1);
        self.note_lists(gathered.lists.len().min(WRITTEN_TOGETHER));
        let tables = self.tables()?;
        tables.execute("INSERT INTO part (part) VALUES (?1) ON CONFLICT DO NOTHING", [part])?;
        for _ in 0..WRITTEN_TOGETHER {
            let Some((word, new)) = gathered.lists.pop_first() else { break };
            let mut list = tables.list(part, &word)?.unwrap_or_default();
            list.truncate(2 * list.as_chunks::<2>().0.partition_point(|place| *place < end));
            list.extend(new);
            tables.set_list(part, &word, &list)?;
            gathered.written = Some(word);
        }
        self.wrote = true;
        Ok(())
    }

    /// A message has another text, or none.
    pub(super) fn reindex(
        &mut self,
        conversation: Conversation<'_>,
        id: i64,
        found: &Found,
        new: Option<&str>,
    ) -> Result<()> {
        let Some(key) = found.id.filter(|_| !self.leaves_index) else { return Ok(()) };
        let (mut gone, _) = terms(&found.content);
        let is_gathered = |gathered: &Gathered| gathered.has(key);
        let is_in = key <= self.indexed || self.gathered.as_ref().is_some_and(is_gathered);
        // One that is not in the index comes in with its new text. It may be in some lists all the same.
        let mut come = new.filter(|_| is_in).map(terms).unwrap_or_default().0;
        match new {
            Some(_) => {
                let stay: Vec<String> = gone.intersection(&come).cloned().collect();
                for word in &stay {
                    gone.remove(word);
                    come.remove(word);
                }
            }
            None => {
                let (name, other) = names(conversation);
                gone.extend(marks(id, name, other, &found.sender));
            }
        }
        self.work += gone.len() + come.len();
        let (part, place) = (part_of(key), place_of(key));
        let mut gathered = self.gathered.take();
        let tables = self.tables()?;
        for (word, comes) in gone.iter().map(|word| (word, false)).chain(come.iter().map(|word| (word, true))) {
            // Lists of what is being taken in are written in the order of their words: this one is to be still.
            if let Some(gathered) = gathered.as_mut().filter(|gathered| gathered.has(key) && gathered.waits(word)) {
                gathered.change(word, place, comes);
            }
            // Where only its end is written anew it has the place from an earlier gathering that came to no end.
            let mut list = tables.list(part, word)?.unwrap_or_default();
            let in_file = comes && gathered.as_ref().is_none_or(|it| !(it.has(key) && it.waits(word)));
            if set(&mut list, place, in_file) {
                tables.set_list(part, word, &list)?;
            }
        }
        self.gathered = gathered;
        Ok(())
    }
}

/// A message that is to be taken in.
pub(super) struct Line {
    id: i64,
    conversation: i64,
    sender: String,
    content: String,
}

impl Tables {
    /// Where a word stands in a part.
    pub fn list(&self, part: i64, word: &str) -> rusqlite::Result<Option<Vec<u8>>> {
        let sql = "SELECT entries FROM word WHERE part = ?1 AND word = ?2";
        self.connection.prepare_cached(sql)?.query_row(params![part, word], |row| row.get(0)).optional()
    }

    pub(super) fn set_list(&self, part: i64, word: &str, list: &[u8]) -> rusqlite::Result<()> {
        if list.is_empty() {
            return self.execute("DELETE FROM word WHERE part = ?1 AND word = ?2", params![part, word]).map(drop);
        }
        let sql = "INSERT INTO word (part, word, entries) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET entries = excluded.entries";
        self.execute(sql, params![part, word, list]).map(drop)
    }

    /// Parts up to one, the newest first, so many at most.
    pub fn parts_to(&self, part: i64, most: usize) -> rusqlite::Result<Vec<i64>> {
        let sql = "SELECT part FROM part WHERE part <= ?1 ORDER BY part DESC LIMIT ?2";
        self.connection.prepare_cached(sql)?.query_map(params![part, count(most)], |row| row.get(0))?.collect()
    }

    fn names_of(&self, conversation: i64) -> rusqlite::Result<Option<(String, String)>> {
        let sql = "SELECT name, other FROM conversation WHERE id = ?1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.connection.prepare_cached(sql)?.query_row([conversation], row).optional()
    }

    /// Has it be told by what each of these messages is found, its words and its marks, and where it is. Returns the
    /// last one that was told, if more would have cost too much; `term` is what a word costs beside its text.
    pub(super) fn terms_of(
        &self,
        lines: &[Line],
        term: usize,
        mut tell: impl FnMut(String, [u8; 2]),
    ) -> rusqlite::Result<Option<i64>> {
        let (mut places, mut cost) = (HashMap::new(), 0);
        for line in lines {
            let of = match places.get(&line.conversation) {
                Some(of) => of,
                None => places.entry(line.conversation).or_insert(self.names_of(line.conversation)?),
            };
            let Some((name, other)) = of else { continue };
            let (terms, read) = terms(&line.content);
            cost += read + term * terms.len();
            for word in marks(line.conversation, name, other, &line.sender).into_iter().chain(terms) {
                tell(word, place_of(line.id));
            }
            if cost >= MAX_GATHERED_COST {
                return Ok(Some(line.id));
            }
        }
        Ok(None)
    }

    /// Messages with keys from one to another, with their texts as they stand.
    pub(super) fn lines_between(&self, from: i64, to: i64) -> rusqlite::Result<Vec<Line>> {
        let sql = "SELECT id, conversation, sender, content, latest, kind FROM entry WHERE id >= ?1 AND id <= ?2 \
                   ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([from, to])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(5)? != schema::MESSAGE {
                continue;
            }
            let conversation = row.get(1)?;
            let content = match maybe(row, 4)? {
                None => row.get(3)?,
                Some(edit) => self.text_of(conversation, edit)?.unwrap_or_default().content,
            };
            lines.push(Line { id: row.get(0)?, conversation, sender: row.get(2)?, content });
        }
        Ok(lines)
    }
}

/// The mark of a conversation.
pub fn mark_of_place(conversation: i64) -> String {
    format!("\u{e000}{conversation}")
}

/// The mark of a user in their direct conversations.
pub fn mark_of_user(user: &str) -> String {
    format!("\u{e001}{user}")
}

/// The mark of a sender.
pub fn mark_of_sender(user: &str) -> String {
    format!("\u{e002}{user}")
}

/// The mark of texts with so many words that none of them is in the index.
pub const MARK_OF_LONG: &str = "\u{e003}";

/// By what a text is found: its different words, or the mark of one that has too many.
/// And what it has cost to read it, as [`words`] counts.
fn terms(text: &str) -> (BTreeSet<String>, usize) {
    let mut terms = BTreeSet::new();
    let cost = words(text, |word| {
        if terms.len() <= MAX_WORDS && !terms.contains(word) {
            terms.insert(word.to_owned());
        }
    });
    match terms.len() > MAX_WORDS {
        true => (BTreeSet::from([MARK_OF_LONG.to_owned()]), cost),
        false => (terms, cost),
    }
}

/// What a message has beside its words.
fn marks(conversation: i64, name: &str, other: &str, sender: &str) -> Vec<String> {
    let mut marks = vec![mark_of_place(conversation), mark_of_sender(sender)];
    if !other.is_empty() {
        marks.extend([mark_of_user(name), mark_of_user(other)]);
    }
    marks
}

/// The place of a key in its part.
fn place_of(id: i64) -> [u8; 2] {
    u16::try_from(id & (PART_LEN - 1)).expect("a part has no more keys").to_be_bytes()
}

/// Different words of a text that is in the index by its words.
pub const MAX_WORDS: usize = 256;

/// Entries that are taken in together, or more: as many wait until then, and are looked through one by one.
const INDEXED_TOGETHER: i64 = if cfg!(test) { 16 } else { 1024 };

/// Entries that are gathered, and lists that are written, in one piece: some milliseconds.
pub(super) const GATHERED_TOGETHER: i64 = if cfg!(test) { 4 } else { 256 };
pub(super) const WRITTEN_TOGETHER: usize = if cfg!(test) { 3 } else { 1024 };

/// What it may cost to read the texts of such a piece, beside the text that crosses this, as [`words`] counts.
const MAX_GATHERED_COST: usize = if cfg!(test) { 1 << 12 } else { 1 << 20 };

/// Bytes of what is gathered, beside the piece that crosses this, and what a list takes beside its word and its places.
const MAX_GATHERED_BYTES: usize = 4 << 20;
const LIST_BYTES: usize = 64;

/// Entries that wait to be taken in before that is done also while there is something else to do.
const MAX_UNINDEXED: i64 = if cfg!(test) { 100 } else { 1 << 18 };
