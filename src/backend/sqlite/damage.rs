//! Damaged pages: what needs one fails, or is left as it is, and everything else goes on.
//!
//! After a damaged page SQLite writes nothing more in a transaction. So a batch that meets one is rolled back and done
//! again, each request in a transaction of its own. What is done beside (sweeps, making room, the index) is done apart
//! from requests once something is known to be damaged, and goes around the rows that cannot be read.

use super::retention::At;
use super::tables::Tables;
use super::trouble::{Result, Trouble};
use super::{Catalogue, MAX_SWEPT_AT_ONCE, News, Reports, Request, Sqlite, TOLD_AT_ONCE};

/// Where it can be read on when so many rows behind `from` cannot be read, and how many of them: first those before a
/// damaged page, then the next ones behind it.
pub(super) fn around<T>(from: i64, most: usize, read: impl Fn(i64, usize) -> rusqlite::Result<T>) -> (i64, usize) {
    let fewer = std::iter::successors(Some(most / 2), |fewer| Some(fewer / 2)).take_while(|fewer| *fewer > 0);
    if let Some(fewer) = fewer.into_iter().find(|fewer| read(from, *fewer).is_ok()) {
        return (from, fewer);
    }
    let behind = |step: &i64| read(from.saturating_add(*step), 1).is_ok();
    let Some(mut near) = (0..FARTHEST_BITS).map(|bits| 1 << bits).find(behind) else { return (i64::MAX, 1) };
    // The nearest such place, so that no row behind the page is passed over.
    let mut unread = near / 2;
    while near - unread > 1 {
        let middle = unread + (near - unread) / 2;
        match behind(&middle) {
            true => near = middle,
            false => unread = middle,
        }
    }
    (from.saturating_add(near), 1)
}

impl Sqlite {
    /// Does something within the batch, all of it or, where a value that it needs means nothing, none of it. (After a
    /// damaged page SQLite writes nothing more in a transaction: see `Sqlite::do_one_by_one`.)
    pub(super) fn whole_or_not<T>(&mut self, does: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        self.tables()?.begin_part()?;
        match does(self) {
            Ok(done) => {
                self.tables()?.end_part()?;
                Ok(Some(done))
            }
            Err(trouble) if trouble.is_of_a_value() => {
                self.tables()?.take_back_part()?;
                self.note_damage(&trouble);
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Says once that some of the file cannot be read.
    pub(super) fn note_damage(&mut self, trouble: &Trouble) {
        if !std::mem::replace(&mut self.damaged, true) {
            log::error!(
                "{}: some of it cannot be read ({trouble}), and what is asked about that fails; `salon store check` says \
                 more",
                self.claim.path.display()
            );
        }
    }

    /// What is done when nobody waits needs a damaged page: it goes on around that.
    pub(super) fn give_up_piece(&mut self, trouble: &Trouble) {
        self.note_damage(trouble);
        let (lacks_room, sweeping) = (self.lacks_room, self.sweeping.take());
        self.take_back();
        self.batch.clear();
        let went_around = match sweeping {
            _ if lacks_room => self.go_around_oldest(),
            Some(At::List { from, now }) => {
                let read =
                    |tables: &Tables| around(from, MAX_SWEPT_AT_ONCE, |id, most| tables.conversations_after(id, most));
                let rows = self.tables().map(read);
                rows.map(|rows| ((self.swept, self.walks), self.sweeps_on) = (rows, Some(now)))
            }
            // Those before it have a transaction of their own; it is passed over when it is the first of one.
            Some(At::One { from, before, id, now }) => {
                (self.swept, self.walks) = if before > 0 { (from, before) } else { (id, MAX_SWEPT_AT_ONCE) };
                self.sweeps_on = Some(now);
                Ok(())
            }
            Some(At::Rest) => {
                self.sweeps_on = None;
                Ok(())
            }
            None => {
                self.skip_indexing();
                Ok(())
            }
        };
        if went_around.is_err() {
            // The file is to be opened anew first.
            (self.lacks_room, self.sweeps_on) = (false, None);
        }
    }

    /// The catalogue goes on behind rooms, people or bans that cannot be read. `false`: it does not. What is set for
    /// rooms may keep people out of them, so that no room is told of as long as that cannot be read.
    pub(super) fn go_around_in_catalogue(&mut self) -> bool {
        let Some(mut catalogue) = self.catalogue.take() else { return true };
        let Ok(tables) = self.tables() else {
            self.catalogue = Some(catalogue);
            return true;
        };
        let most = TOLD_AT_ONCE;
        if !catalogue.bans_told {
            // Bans have no numbers: those before the page are told, and that is all. A chat that begins with the store
            // has been told those that were read when the file was opened.
            let (from, fewer) = around(0, most, |from, fewer| match from {
                0 => tables.bans_after(&catalogue.banned, fewer),
                _ => Ok(Vec::new()),
            });
            (catalogue.bans_told, catalogue.most) = (from > 0, if from > 0 { most } else { fewer });
        } else if !catalogue.set_told {
            self.catalogue = Some(catalogue);
            return false;
        } else if !catalogue.rooms_told {
            let rows = around(catalogue.room, most, |from, most| tables.rooms_after(from, most));
            (catalogue.room, catalogue.most) = rows;
        } else {
            let rows = around(catalogue.person, most, |from, most| tables.people_after(from, most));
            (catalogue.person, catalogue.most) = rows;
        }
        self.catalogue = Some(catalogue);
        true
    }

    /// Rolls the batch back, and forgets what was known in it.
    fn take_back(&mut self) {
        let rolled_back = self.tables.as_ref().is_none_or(|tables| tables.roll_back().is_ok());
        let last = self.tables.as_ref().and_then(|tables| tables.last().ok());
        self.forget_places();
        (self.retries, self.purge, self.gathered, self.sweeping) = (None, None, None, None);
        // What was counted in it is counted anew.
        self.tables.iter().for_each(|tables| drop(tables.marks.take()));
        match last.filter(|_| rolled_back) {
            Some(last) => (self.nothing, self.entry, self.indexed) = (last.nothing, last.entry, last.indexed),
            None => self.tables = None,
        }
        (self.open, self.wrote, self.work) = (false, false, 0);
    }

    /// The same; whether it is known that nothing of it is in the file.
    pub(super) fn is_taken_back(&mut self) -> bool {
        let batches = self.batches;
        self.take_back();
        self.tables.as_ref().and_then(|tables| tables.last().ok()).is_some_and(|last| last.batch == batches)
    }

    /// Does what was asked in a batch, each request in a transaction of its own: those that need a damaged page fail
    /// alone. Anything else ends it, as it ends a batch: a disk with damaged pages may fail to sync, too.
    pub(super) fn do_one_by_one(&mut self) {
        let (asked, mut said) = (std::mem::take(&mut self.asked), Reports::default());
        let mut failed = None;
        let mut at = 0;
        while let Some(request) = asked.get(at) {
            let mut done = self.do_alone(request);
            if matches!(&done, Err((trouble, _)) if trouble.is_of_a_page()) {
                // The index is made of what is said: where that is damaged, it stays as it is.
                self.leaves_index = true;
                done = self.do_alone(request);
                self.leaves_index = false;
            }
            match done {
                Ok(()) => (0..).map_while(|at| self.batch.get(at)).for_each(|news| said.push(&news)),
                Err((trouble, false)) if trouble.is_of_a_page() => {
                    if let Some(ticket) = request.ticket() {
                        said.push(&News::Failed { ticket });
                    }
                }
                Err(ended) => {
                    failed = Some(ended);
                    break;
                }
            }
            at += 1;
        }
        let in_doubt = std::mem::replace(&mut self.batch, said);
        self.say_batch();
        if let Some((trouble, in_commit)) = failed {
            self.batch = in_doubt;
            self.tickets = (at..).map_while(|at| asked.get(at)).filter_map(|request| request.ticket()).collect();
            self.note_people_later(&asked, at);
            self.fail(&trouble, in_commit);
        }
    }

    /// An error says whether it came of the commit itself. That of a damaged page has been taken back.
    fn do_alone(&mut self, request: Request<'_>) -> std::result::Result<(), (Trouble, bool)> {
        self.batch.clear();
        let done = self.carry_out(request).map_err(|trouble| (trouble, false)).and_then(|()| self.commit_asked());
        match &done {
            Ok(()) => {
                if self.wrote {
                    self.note_committed();
                }
                (self.open, self.wrote, self.work) = (false, false, 0);
            }
            Err((trouble, false)) if trouble.is_of_a_page() => self.take_back(),
            Err(_) => {}
        }
        done
    }
}

impl Catalogue {
    /// How many are to be told at once; the next time it is as many as ever.
    pub(super) fn take_most(&mut self) -> usize {
        std::mem::replace(&mut self.most, TOLD_AT_ONCE)
    }
}

/// How far behind a damaged page it is looked for a row: keys up to two to that.
const FARTHEST_BITS: u32 = 40;
