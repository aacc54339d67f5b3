//! An index of words that were folded in another way is made anew, part by part: piece by piece, when nobody waits and
//! in proportion to what is said, and after a restart from where it was.
//!
//! All lists of a part go first, whatever is in them, because a text that is edited or deleted later is looked for in
//! them by its words as they are folded now, and what it was folded to before would stay. Then the texts of the part
//! are taken in again. Until that is done the part is read through by those who search.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use super::Sqlite;
use super::index::{GATHERED_TOGETHER, WRITTEN_TOGETHER, set};
use super::schema::{PART_LEN, part_of};
use super::tables::Tables;
use super::trouble::{Result, Trouble};
use crate::backend::words;

/// What is to be taken in again: keys behind the first, up to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refolds {
    from: i64,
    to: i64,
    /// The part of which no list is left but those of what was taken in since.
    cleared: i64,
}

impl Refolds {
    /// What is noted, within what there is: entries from the oldest one on, up to the last one that is in the index. A
    /// part that is not cleared begins with its first key.
    fn within(self, oldest: i64, indexed: i64) -> Self {
        let indexed = indexed.max(NOTHING);
        let to = self.to.clamp(NOTHING, indexed);
        let from = self.from.clamp(NOTHING, indexed).max(oldest.saturating_sub(1));
        let part = part_of(from.saturating_add(1));
        let from = if part == self.cleared || from >= to { from } else { part * PART_LEN - 1 };
        Self { from, to, ..self }
    }

    fn is_over(&self) -> bool {
        self.from >= self.to
    }

    /// The part that is made anew, and whether its old lists are gone.
    fn part(&self) -> (i64, bool) {
        let part = part_of(self.from.saturating_add(1));
        (part, part == self.cleared)
    }
}

impl Sqlite {
    /// Begins it, or goes on, if the index is of another folding.
    pub(super) fn begin_refolding(&mut self) {
        // What is damaged is said by those who search.
        let left = self.left_to_refold().unwrap_or_default();
        self.refolds = left.is_some();
        if let Some(Refolds { from, to, .. }) = left.filter(|left| !left.is_over()) {
            let path = self.claim.path.display();
            log::info!(
                "{path}: words are folded in another way than before, so that the texts of {} entries are indexed again",
                to - from.max(0)
            );
        }
    }

    /// As the file has it, so that a batch that fails takes nothing of it with it.
    fn left_to_refold(&self) -> Result<Option<Refolds>> {
        Ok(self.tables()?.refolds(self.indexed)?)
    }

    /// Takes in so many texts again, or fewer if these are long; or makes room for those of the next part.
    pub(super) fn refold(&mut self, most: i64) -> Result<()> {
        if !self.refolds || most == 0 {
            return Ok(());
        }
        let Some(left) = self.left_to_refold()? else {
            self.refolds = false;
            return Ok(());
        };
        let now = match left.part() {
            _ if left.is_over() => left,
            (part, false) => self.clear_part(left, part, most)?,
            (part, true) => self.take_in_again(left, part, most)?,
        };
        self.tables()?.note_refolds(Some(now).filter(|now| !now.is_over()))?;
        // It is looked at once more behind the commit.
        self.wrote = true;
        if now.is_over() && left.to > 0 {
            log::info!("{}: all texts are indexed as words are folded now", self.claim.path.display());
        }
        Ok(())
    }

    /// Takes away some of the lists of a part.
    fn clear_part(&mut self, left: Refolds, part: i64, most: i64) -> Result<Refolds> {
        if part == part_of(self.indexed + 1) {
            // Some of its lists may be written already, and go as well: it is taken in from its beginning.
            self.gathered = None;
        }
        let lists = usize::try_from(most).unwrap_or(0).saturating_mul(LISTS_FOR_A_TEXT).min(WRITTEN_TOGETHER);
        if !self.tables()?.delete_lists(part, lists)? {
            return Ok(left);
        }
        // What has come into it since this was begun is gone, too.
        let to = left.to.max(self.indexed.min(part * PART_LEN + PART_LEN - 1));
        Ok(Refolds { to, cleared: part, ..left })
    }

    fn take_in_again(&mut self, left: Refolds, part: i64, most: i64) -> Result<Refolds> {
        let end = part * PART_LEN + PART_LEN - 1;
        let last = left.from.saturating_add(most.min(GATHERED_TOGETHER)).min(left.to).min(end);
        let lines = match self.tables()?.lines_between(left.from + 1, last).map_err(Trouble::from) {
            Err(trouble) if trouble.is_of_what_is_read() => {
                self.note_damage(&trouble);
                Vec::new()
            }
            lines => lines?,
        };
        let tables = self.tables()?;
        let mut lists: BTreeMap<String, Vec<[u8; 2]>> = BTreeMap::new();
        let cut = tables.terms_of(&lines, LIST_COST, |word, place| lists.entry(word).or_default().push(place))?;
        tables.execute("INSERT INTO part (part) VALUES (?1) ON CONFLICT DO NOTHING", [part])?;
        for (word, places) in lists {
            let mut list = tables.list(part, &word)?.unwrap_or_default();
            let added = places.into_iter().filter(|&place| set(&mut list, place, true)).count();
            if added > 0 {
                tables.set_list(part, &word, &list)?;
            }
        }
        Ok(Refolds { from: cut.unwrap_or(last), ..left })
    }
}

impl Tables {
    /// What is to be taken in again of an index up to this key. It may be over, and that is not noted yet.
    fn refolds(&self, indexed: i64) -> rusqlite::Result<Option<Refolds>> {
        let sql = "SELECT entries FROM word WHERE part = ?1 AND word = ?2";
        let note: Option<Vec<u8>> =
            self.connection.prepare_cached(sql)?.query_row((NOTES, folding()), |row| row.get(0)).optional()?;
        let noted = match note.as_deref().map(|note| note.as_chunks().0) {
            // Nobody has noted how the index was folded.
            None => Refolds { from: NOTHING, to: indexed, cleared: NOTHING },
            Some([from, to, more @ ..]) => {
                let cleared = more.first().map_or(NOTHING, |part| i64::from_be_bytes(*part));
                Refolds { from: i64::from_be_bytes(*from), to: i64::from_be_bytes(*to), cleared }
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(noted.within(self.oldest_key()?.unwrap_or_default(), indexed)))
    }

    /// The part of an index up to this key of which the lists are not to be believed, if there is one.
    pub(super) fn refolded_part(&self, indexed: i64) -> rusqlite::Result<Option<i64>> {
        Ok(self.refolds(indexed)?.filter(|left| !left.is_over()).map(|left| left.part().0))
    }

    /// Notes it, and by what the index is folded.
    pub(super) fn note_refolds(&self, refolds: Option<Refolds>) -> rusqlite::Result<()> {
        let bytes = |it: Refolds| [it.from, it.to, it.cleared].map(i64::to_be_bytes).concat();
        let note = refolds.map_or(Vec::new(), bytes);
        self.execute("DELETE FROM word WHERE part = ?1 AND word <> ?2", (NOTES, folding()))?;
        let sql = "INSERT INTO word (part, word, entries) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET entries = excluded.entries";
        self.execute(sql, (NOTES, folding(), note)).map(drop)
    }
}

/// The name of the folding of this Salon.
fn folding() -> String {
    format!("folding {}", words::FOLDING)
}

/// The part in which nothing is but what is noted of the index.
const NOTES: i64 = -1;

/// Before the first key, and the first part.
const NOTHING: i64 = -1;

/// Lists that go for each text that may be taken in: about as many as it has words.
const LISTS_FOR_A_TEXT: usize = 16;

/// What a list costs that is read for a word, as [`words`](words::words) counts.
const LIST_COST: usize = 1 << 10;
