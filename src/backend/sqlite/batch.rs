//! A batch: one transaction from its first request to its commit, or to the failing of all of it.

use std::time::Instant;

use super::reading::Counted;
use super::tables::Tables;
use super::trouble::{Overwritten, Result, Trouble};
use super::{Connected, MAX_DELETED_AT_ONCE, MAX_PLACES, News, Request, Requests, Sqlite, TRIMMED_TOGETHER};

impl Sqlite {
    /// Begins the transaction, if it has not begun.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.open {
            return Ok(());
        }
        if self.tables.is_none() {
            self.reopen()?;
        } else if self.ailing {
            self.look_at_files()?;
        }
        if self.places.len() > MAX_PLACES {
            self.forget_places();
        }
        self.shorten_log()?;
        self.tables()?.begin()?;
        self.open = true;
        Ok(())
    }

    /// Moves the log into the file when it has become long; says once if it is held up.
    fn shorten_log(&mut self) -> Result<()> {
        let (is_long, mut left) = self.tables()?.is_log_long();
        if is_long {
            self.look_at_files()?;
            (left, _) = self.move_log(Tables::shorten_log)?;
        }
        let is_held_up = left > HELD_UP_PAGES;
        if is_held_up && !self.held_up {
            log::warn!(
                "{}: somebody reads an old state of the file for long, so that its log grows: it has {} MiB",
                self.claim.path.display(),
                left >> 8
            );
        }
        // Said again only when it has been short meanwhile.
        self.held_up = is_held_up || self.held_up && left > HELD_UP_PAGES / 4;
        Ok(())
    }

    /// Opens the file anew, and tells what turns out to be in it.
    pub(super) fn reopen(&mut self) -> Result<()> {
        // What was said is in the file that was opened first, and in no other.
        self.look_before_opening()?;
        let Connected { tables, last, renewed, .. } =
            Self::connect(&self.options, &mut self.claim, &mut self.random, Some(self.batches))?;
        if renewed {
            self.said.push(&News::Renewed);
        }
        self.own.renew(&self.claim.path, self.claim.moved.is_some(), last.inode)?;
        self.tables = Some(tables);
        self.committed = (last.nothing, last.entry, last.indexed);
        (self.nothing, self.batches) = (last.nothing, last.batch);
        (self.entry, self.indexed) = (last.entry, last.indexed);
        if let Some((batch, said)) = self.doubt.take()
            && batch <= self.batches
        {
            for news in (0..).map_while(|at| said.get(at)) {
                match news {
                    News::Published { conversation, epoch, entry, .. } => {
                        self.said.push(&News::Published { conversation, epoch, entry, ticket: None });
                    }
                    News::Marked { user, conversation, seq, .. } => {
                        self.said.push(&News::Marked { ticket: None, user, conversation, seq });
                    }
                    News::Topic { room, anew, by, changes, .. } => {
                        self.said.push(&News::Topic { ticket: None, room, anew, by, changes });
                    }
                    News::Emptied { .. } | News::Room { .. } => self.said.push(&news),
                    // Each has a request that has failed.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn tables(&self) -> Result<&Tables> {
        self.tables.as_ref().ok_or_else(|| Trouble::Said("the file was given up".into()))
    }

    /// Writes what has changed of conversations, and deletes some of what is not kept.
    pub(super) fn write_heads(&mut self, all: bool) -> Result<()> {
        while let Some(at) = self.dirty.pop() {
            let known = &mut self.places[at];
            known.dirty = false;
            let trim = known.untrimmed >= TRIMMED_TOGETHER || all && known.untrimmed > 0;
            if trim {
                known.untrimmed = 0;
                self.has_old_text = true;
            }
            self.tables()?.set_head(&self.places[at].place)?;
            if trim {
                self.whole_or_not(|store| Ok(store.tables()?.trim(&store.places[at].place, MAX_DELETED_AT_ONCE)?))?;
            }
        }
        Ok(())
    }

    /// Commits the batch, and has what it has to say be told; or has all of it fail.
    pub(super) fn end_batch(&mut self) {
        let ended = match self.error.take() {
            Some(error) => Err((error, false)),
            None if self.open => self.commit(),
            None => Ok(()),
        };
        let ended = ended.map_err(|(trouble, in_commit)| (self.reason(trouble), in_commit));
        self.settle(ended);
    }

    /// Nobody waits: what can be done by and by is done, a piece of it at a time.
    pub(super) fn rest(&mut self) {
        if std::mem::take(&mut self.rests) {
            match std::mem::take(&mut self.clears_log) {
                true => self.work_beside(Self::clear_log),
                false => self.work_beside(Self::do_piece),
            }
        }
        // What the disk does not let it do now is done when it takes messages again.
        if (self.lacks_room || self.lags() || self.clears_log || self.sweeps_on.is_some()) && !self.ailing {
            self.rests = true;
            self.waker.wake();
        }
    }

    /// Does a piece of what is not asked for, in a transaction of its own.
    pub(super) fn work_beside(&mut self, piece: fn(&mut Self) -> Result<()>) {
        match piece(self).map_err(|trouble| self.reason(trouble)) {
            Err(trouble) if trouble.is_of_a_page() => self.give_up_piece(&trouble),
            done => {
                self.error = done.err();
                self.end_batch();
            }
        }
    }

    /// Moves all of the log into the file and empties it, because of texts in it that are gone; tried again with the
    /// next sweep if somebody reads.
    fn clear_log(&mut self) -> Result<()> {
        if self.tables.is_some() {
            self.look_at_files()?;
            let (_, all) = self.move_log(|tables| Ok(((), tables.clear_log()?)))?;
            self.has_old_text = !all;
        }
        Ok(())
    }

    pub(super) fn do_piece(&mut self) -> Result<()> {
        self.begin()?;
        match (self.lacks_room, self.sweeps_on) {
            (true, _) => self.lacks_room = self.make_room(MAX_DELETED_AT_ONCE)?,
            (false, Some(now)) => drop(self.sweep(now)?),
            (false, None) => self.index_piece()?,
        }
        Ok(())
    }

    /// Notes people who came while nothing could be written: nobody waits for an outcome of that.
    fn note_people(&mut self) -> Result<()> {
        for (name, here) in &self.unnoted {
            self.tables()?.know(name, *here, self.options.people)?;
        }
        Ok(())
    }

    /// Those are to be noted with the next batch who were to be noted in this one, as many as fit.
    pub(super) fn note_people_later(&mut self, asked: &Requests, from: usize) {
        for request in (from..).map_while(|at| asked.get(at)) {
            let Request::Know { user, here } = request else { continue };
            if self.unnoted.len() < MAX_UNNOTED || self.unnoted.contains_key(user) {
                self.unnoted.insert(user.into(), here);
            }
        }
    }

    /// An error says whether it came of the commit itself.
    pub(super) fn commit(&mut self) -> std::result::Result<(), (Trouble, bool)> {
        if self.wrote && self.damaged {
            // Apart from it: it may need what is damaged.
            self.lacks_room |= self.options.size != u64::MAX;
        } else if self.wrote {
            self.note_people().and_then(|()| self.do_beside()).map_err(|trouble| (trouble, false))?;
        }
        self.forget_retries(None).map_err(|trouble| (trouble, false))?;
        self.commit_asked()
    }

    /// Does what is to be done in proportion to a batch, also where somebody waits all the time.
    fn do_beside(&mut self) -> Result<()> {
        // Not beside itself.
        if let Some(now) = self.sweeps_on.filter(|_| !self.tickets.is_empty()) {
            self.sweep(now)?;
        }
        let came = i64::try_from(self.tickets.len()).unwrap_or(i64::MAX);
        self.index_if_late(came)?;
        self.refold(2 * came.min(i64::from(u16::MAX)))?;
        self.purge_in_turn()?;
        // Room for all of this, and behind what has given room back.
        self.lacks_room = self.make_room(MAX_DELETED_AT_ONCE)?;
        Ok(())
    }

    /// The same of what was asked alone, without what is done beside.
    pub(super) fn commit_asked(&mut self) -> std::result::Result<(), (Trouble, bool)> {
        let written = self.write_heads(false).and_then(|()| match self.wrote {
            true => self.look_at_files().and_then(|()| self.number_batch()),
            // What is read of files that were taken away is what was said.
            false => self.look_into_open_files(),
        });
        written.map_err(|trouble| (trouble, false))?;
        let began = Instant::now();
        self.tables().and_then(|tables| Ok(tables.commit()?)).map_err(|trouble| (trouble, true))?;
        if self.wrote {
            self.health.commits.note(began.elapsed());
        }
        Ok(())
    }

    fn number_batch(&mut self) -> Result<()> {
        match self.tables()?.number_batch(self.batches + 1, self.entry, self.indexed)? {
            true => Ok(()),
            false => Err(Trouble::Overwritten(Overwritten::File)),
        }
    }

    /// The batch is over.
    pub(super) fn settle(&mut self, ended: std::result::Result<(), (Trouble, bool)>) {
        match ended {
            Ok(()) => {
                if self.tables.as_ref().is_some_and(|tables| tables.is_worn.take()) {
                    self.purges = self.purges.max(1);
                }
                // Reading alone does not show that it can be written to.
                if self.wrote {
                    self.note_committed();
                    if !self.damaged {
                        self.unnoted.clear();
                    }
                }
                self.say_batch();
            }
            Err((trouble, _)) if trouble.is_of_a_page() && self.is_taken_back() => {
                self.note_damage(&trouble);
                self.do_one_by_one();
            }
            Err((trouble, in_commit)) => self.fail(&trouble, in_commit),
        }
        self.asked.clear();
        self.batch.clear();
        self.tickets.clear();
        (self.open, self.wrote, self.work) = (false, false, 0);
        if !std::mem::take(&mut self.is_cut) {
            self.counted = Counted::default();
        }
    }

    /// Something is committed, by whatever way: that is the last batch from here on, and what the next one begins with
    /// if what is in the file cannot be asked then.
    pub(super) fn note_committed(&mut self) {
        self.batches += 1;
        self.committed = (self.nothing, self.entry, self.indexed);
        // Behind a move of all of the log this is what it has now: one that is empty at the next start has lost it.
        if self.claim.noted <= self.claim.moved && self.claim.moved.is_some() {
            self.note_in_log();
        }
        self.note_well();
    }

    /// Notes beside the file that its log has the last batch.
    pub(super) fn note_in_log(&mut self) {
        if let Err(error) = self.claim.note_in_log(self.batches) {
            log::debug!("{}: it is not noted beside it how much is in its log: {error}", self.claim.path.display());
        }
    }

    /// What the batch has to say is told, behind what is to be told already.
    pub(super) fn say_batch(&mut self) {
        if self.told == self.said.len() {
            self.told = 0;
            std::mem::swap(&mut self.said, &mut self.batch);
        } else {
            let Self { said, batch, .. } = self;
            (0..).map_while(|at| batch.get(at)).for_each(|news| said.push(&news));
        }
    }

    /// Something could be written.
    fn note_well(&mut self) {
        if self.ailing {
            log::info!("{}: messages are kept again", self.claim.path.display());
            (self.ailing, self.health.failing) = (false, None);
        }
    }

    pub(super) fn note_failing(&mut self, trouble: &Trouble) {
        self.health.failures += 1;
        let path = &self.claim.path;
        self.health.failing = Some(trouble.in_short(path));
        if !self.ailing {
            let why = trouble.at(path);
            log::error!("{}: messages cannot be kept, so that none is taken: {why}", path.display());
            self.ailing = true;
        }
    }

    /// Nothing of the batch has come about, or nobody knows.
    pub(super) fn fail(&mut self, trouble: &Trouble, in_commit: bool) {
        self.note_failing(trouble);
        let rolled_back = self.tables.as_ref().is_none_or(|tables| tables.roll_back().is_ok());
        let last = self.tables.as_ref().and_then(|tables| tables.last().ok());
        self.forget_places();
        (self.retries, self.purge, self.gathered) = (None, None, None);
        // What was counted in it is counted anew.
        self.tables.iter().for_each(|tables| drop(tables.marks.take()));
        match last {
            // It has been seen before anything was written, or is only open still, so that it can be saved by hand.
            _ if rolled_back && matches!(trouble, Trouble::Overwritten(_)) => {
                (self.nothing, self.entry, self.indexed) = self.committed;
                self.note_overwritten();
            }
            Some(last) if rolled_back && trouble.leaves_file_whole() => {
                (self.nothing, self.entry, self.indexed) = (last.nothing, last.entry, last.indexed);
            }
            _ => {
                self.tables = None;
                if in_commit && self.wrote {
                    self.doubt = Some((self.batches + 1, std::mem::take(&mut self.batch)));
                }
            }
        }
        for &ticket in &self.tickets {
            self.said.push(&News::Failed { ticket });
        }
        let asked = std::mem::take(&mut self.asked);
        self.note_people_later(&asked, 0);
        self.asked = asked;
    }

    /// Notes that all is on the disk, and moves the log into the file.
    pub(super) fn end_well(&mut self) -> Result<()> {
        self.end_batch();
        // After an error it was given up, and the disk may work again.
        if self.tables.is_none() {
            self.reopen()?;
        }
        if !self.unnoted.is_empty() && !self.damaged {
            self.begin()?;
            self.wrote = true;
            self.end_batch();
        }
        self.look_into_open_files()?;
        let tables = self.tables()?;
        tables.synchronize(true)?;
        tables.note_clean_end()?;
        self.move_log(|tables| Ok(((), tables.checkpoint()?)))?;
        if let Err(error) = self.claim.note_batch(self.batches) {
            log::debug!("{}: it is not noted beside it how much is in it: {error}", self.claim.path.display());
        }
        Ok(())
    }
}

/// People who came while nothing could be written, and are noted when something can be.
const MAX_UNNOTED: usize = 4096;

/// Pages of the log from which on it is said that it grows: 64 MiB.
const HELD_UP_PAGES: i64 = if cfg!(test) { 2000 } else { 16 << 10 };
