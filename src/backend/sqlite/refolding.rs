//! Texts that were taken into the index when words were folded in another way are taken in again, as they are folded
//! now: piece by piece, when nobody waits and in proportion to what is said, and after a restart from where it was.
//!
//! What a word was folded to before stays in the index as well: a message is found only if its text has what is looked
//! for. Texts of ASCII are folded as they always were, and passed over.

use rusqlite::OptionalExtension;

use super::Sqlite;
use super::index::{GATHERED_TOGETHER, MAX_GATHERED_COST, place_of, set, terms};
use super::schema::part_of;
use super::tables::Tables;
use super::trouble::{Result, Trouble};
use crate::backend::words;

/// What is to be taken in again: keys behind the first, up to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refolds {
    from: i64,
    to: i64,
}

impl Sqlite {
    /// Begins it, or goes on, if the index is of another folding.
    pub(super) fn begin_refolding(&mut self) {
        // What is damaged is said by those who search.
        let left = self.left_to_refold().unwrap_or_default();
        self.refolds = left.is_some();
        if let Some(Refolds { from, to }) = left.filter(|left| left.from < left.to) {
            let path = self.claim.path.display();
            log::info!(
                "{path}: words are folded in another way than before, so that the texts of {} entries are indexed again",
                to - from
            );
        }
    }

    /// As the file has it, so that a batch that fails takes nothing of it with it.
    fn left_to_refold(&self) -> Result<Option<Refolds>> {
        Ok(self.tables()?.refolds()?.unwrap_or(Some(Refolds { from: 0, to: self.indexed })))
    }

    /// Takes in so many texts again, or fewer if these are long.
    pub(super) fn refold(&mut self, most: i64) -> Result<()> {
        if !self.refolds {
            return Ok(());
        }
        let Some(Refolds { from, to }) = self.left_to_refold()? else {
            self.refolds = false;
            return Ok(());
        };
        let last = to.min(from + most.min(GATHERED_TOGETHER));
        let lines = match self.tables()?.lines_between(from + 1, last).map_err(Trouble::from) {
            Err(trouble) if trouble.is_of_what_is_read() => {
                self.note_damage(&trouble);
                Vec::new()
            }
            lines => lines?,
        };
        let (tables, mut last, mut cost) = (self.tables()?, last, 0);
        for line in lines.iter().filter(|line| !line.content.is_ascii()) {
            let (terms, read) = terms(&line.content);
            let part = part_of(line.id);
            tables.execute("INSERT INTO part (part) VALUES (?1) ON CONFLICT DO NOTHING", [part])?;
            for word in &terms {
                let mut list = tables.list(part, word)?.unwrap_or_default();
                if set(&mut list, place_of(line.id), true) {
                    tables.set_list(part, word, &list)?;
                }
            }
            // A list is read for each word, and may be long.
            cost += read + LIST_COST * terms.len();
            if cost >= MAX_GATHERED_COST {
                last = line.id;
                break;
            }
        }
        let left = Some(Refolds { from: last, to }).filter(|left| left.from < left.to);
        tables.note_refolds(left)?;
        // It is looked at once more behind the commit.
        self.wrote = true;
        if left.is_none() && to > 0 {
            log::info!("{}: all texts are indexed as words are folded now", self.claim.path.display());
        }
        Ok(())
    }
}

impl Tables {
    /// What is to be taken in again, if anything is; `None`: nobody has noted how the index was folded.
    fn refolds(&self) -> rusqlite::Result<Option<Option<Refolds>>> {
        let sql = "SELECT entries FROM word WHERE part = ?1 AND word = ?2";
        let note: Option<Vec<u8>> =
            self.connection.prepare_cached(sql)?.query_row((NOTES, folding()), |row| row.get(0)).optional()?;
        let Some(note) = note else { return Ok(None) };
        Ok(Some(
            note.as_chunks()
                .0
                .first()
                .zip(note.as_chunks().0.get(1))
                .map(|(from, to)| Refolds { from: i64::from_be_bytes(*from), to: i64::from_be_bytes(*to) }),
        ))
    }

    /// Notes it, and by what the index is folded.
    pub(super) fn note_refolds(&self, refolds: Option<Refolds>) -> rusqlite::Result<()> {
        let note = refolds.map_or(Vec::new(), |it| [it.from.to_be_bytes(), it.to.to_be_bytes()].concat());
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

/// What a list costs that is read for a word, as [`words`](words::words) counts.
const LIST_COST: usize = 1 << 10;
