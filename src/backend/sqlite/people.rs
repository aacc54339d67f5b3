//! People who are known, in the order in which they are forgotten: by their ids in the file.
//!
//! Those who are here have ids of their own behind all others, so that none of them is forgotten, and when a process
//! begins they have left last. Those who have never been here have theirs before all others.

use rusqlite::{OptionalExtension, Result, Row, params};

use super::tables::{Tables, count};

impl Tables {
    /// The next people by id, so many at most.
    pub fn people_after(&self, id: i64, most: usize) -> Result<Vec<(i64, String)>> {
        let sql = "SELECT id, name FROM person WHERE id > ?1 ORDER BY id LIMIT ?2";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.connection.prepare_cached(sql)?.query_map(params![id, count(most)], row)?.collect()
    }

    /// Notes that a person has come, or is not here any more; of more than so many, those who have never been here are
    /// forgotten first, and then those who left longest ago. Returns whether anything has changed.
    pub fn know(&self, name: &str, here: bool, most: usize) -> Result<bool> {
        let sql = "SELECT id FROM person WHERE name = ?1";
        let known: Option<i64> = self.connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
        match (known, here) {
            (None, true) => self.add_person(name, self.last_person(HERE)? + 1, most)?,
            (None, false) => self.add_person(name, self.last_person(NEVER)? + 1, most)?,
            (Some(id), true) if id <= HERE => self.move_person(id, self.last_person(HERE)? + 1)?,
            (Some(id), false) if id > HERE => self.move_person(id, self.last_person(GONE)? + 1)?,
            (Some(_), _) => return Ok(false),
        }
        Ok(true)
    }

    /// Notes a person of whom it is not said whether they have ever been here, if they are not known.
    pub fn meet(&self, name: &str, most: usize) -> Result<()> {
        let sql = "SELECT EXISTS (SELECT 1 FROM person WHERE name = ?1)";
        match self.connection.prepare_cached(sql)?.query_row([name], |row| row.get(0))? {
            true => Ok(()),
            false => self.add_person(name, self.last_person(GONE)? + 1, most),
        }
    }

    /// Nobody is here any more: those who were have left last.
    pub fn all_have_left(&self) -> Result<()> {
        let last = self.last_person(GONE)?;
        let sql = "UPDATE person SET id = id - ?1 WHERE id IN \
                   (SELECT id FROM person WHERE id > ?2 ORDER BY id LIMIT ?3)";
        while self.execute(sql, params![HERE - last, HERE, count(MOVED_TOGETHER)])? > 0 {}
        Ok(())
    }

    fn move_person(&self, from: i64, to: i64) -> Result<()> {
        self.execute("UPDATE person SET id = ?2 WHERE id = ?1", [from, to]).map(drop)
    }

    fn add_person(&self, name: &str, id: i64, most: usize) -> Result<()> {
        let people = match self.people.take() {
            Some(people) => people,
            None => {
                let all: i64 = self.connection.query_row("SELECT count(*) FROM person", [], |row| row.get(0))?;
                usize::try_from(all).unwrap_or(0)
            }
        };
        self.execute("INSERT INTO person (id, name) VALUES (?1, ?2)", params![id, name])?;
        let over = (people + 1).saturating_sub(most).min(MAX_FORGOTTEN_AT_ONCE);
        let mut forgotten = Vec::<String>::new();
        if over > 0 {
            let sql = "DELETE FROM person WHERE id IN \
                       (SELECT id FROM person WHERE id <= ?1 AND id <> ?2 ORDER BY id LIMIT ?3) RETURNING name";
            let mut statement = self.connection.prepare_cached(sql)?;
            forgotten =
                statement.query_map(params![HERE, id, count(over)], |row| row.get(0))?.collect::<Result<_>>()?;
        }
        for name in &forgotten {
            self.execute("DELETE FROM mark WHERE user = ?1", [name])?;
        }
        self.people.set(Some(people + 1 - forgotten.len()));
        Ok(())
    }

    /// The last id of those behind this one, and before the next of such; itself if there is none.
    fn last_person(&self, behind: i64) -> Result<i64> {
        let sql = "SELECT coalesce(max(id), ?1) FROM person WHERE id > ?1 AND id <= ?2";
        let end = if behind == NEVER { GONE } else { behind.saturating_add(HERE) };
        self.connection.prepare_cached(sql)?.query_row([behind, end], |row| row.get(0))
    }
}

/// Behind these ids are those who have never been here, as far as is known (somebody has spoken in their name), those
/// who have left, and those who are here.
pub const NEVER: i64 = -HERE;
const GONE: i64 = 0;
const HERE: i64 = 1 << 62;

/// People who are forgotten for one who is new, with their marks: fewer than were noted only if the limit was lowered.
const MAX_FORGOTTEN_AT_ONCE: usize = 2;

/// People who are moved by one statement.
const MOVED_TOGETHER: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, ask, hear};
    use super::super::{Options, Request, Sqlite};
    use crate::backend::Backend;

    fn known(store: &mut Sqlite) -> Vec<String> {
        store.tell_catalogue();
        let told = hear(store).into_iter();
        told.filter_map(|news| Some(news.strip_prefix("User { name: \"")?.strip_suffix("\" }")?.to_owned())).collect()
    }

    /// Each row: who comes (`+`), goes (`-`), or is only spoken for (`.`) where three are remembered; and who is known
    /// behind that, and behind a start.
    #[test]
    fn those_who_left_longest_ago_are_forgotten() {
        for (steps, expected) in [
            ("+a-a +b-b +c-c +d-d", "bcd"),
            // Coming back is no less than coming for the first time.
            ("+a-a +b-b +a-a +c-c +d-d", "acd"),
            // Somebody who is here stays, however many come and go.
            ("+a +b-b +c-c +d-d +e-e", "dea"),
            ("+a +b +c +d -a +e", "bcde"),
            // A name that nobody has had makes place first.
            ("+a-a +b-b .x .y .z", "zab"),
            (".x +a-a .y +b-b +c-c", "abc"),
            // Of two who are gone the one who left first goes, though they came last.
            ("+a +b -b -a +c -c +d -d", "acd"),
        ] {
            let folder = Folder::new();
            let mut store = folder.open(Options { people: 3, ..folder.options() });
            for step in steps.split(' ').flat_map(|steps| steps.as_bytes().chunks(2)) {
                let user = str::from_utf8(&step[1..]).unwrap();
                ask(&mut store, Request::Know { user, here: step[0] == b'+' });
            }
            let told = known(&mut store).concat();
            assert_eq!(told, expected, "{steps}");
            drop(store);
            let mut store = folder.open(Options { people: 3, ..folder.options() });
            assert_eq!(known(&mut store).concat(), expected, "{steps}");
            // Nobody is here now: all of them make place, one behind the other.
            for n in 0..6 {
                ask(&mut store, Request::Know { user: ["1", "2", "3"][n / 2], here: n % 2 == 0 });
            }
            assert_eq!(known(&mut store).concat(), "123", "{steps}");
        }
    }
}
