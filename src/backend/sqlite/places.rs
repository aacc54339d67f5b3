//! Conversations that have been looked at lately, by their names.

use super::tables::Place;
use super::trouble::Result;
use super::{Conversation, Epoch, Known, Limited, Sqlite, names};

impl Sqlite {
    /// Where the conversation stands in `places`, if there is one.
    pub(super) fn find(&mut self, conversation: Conversation<'_>) -> Result<Option<usize>> {
        if let Some(at) = self.known(conversation) {
            return Ok(Some(at));
        }
        let (name, other) = names(conversation);
        let found = self.tables()?.find(name, other)?;
        Ok(found.map(|place| self.note(place)))
    }

    /// The same without a look into the file.
    pub(super) fn known(&mut self, conversation: Conversation<'_>) -> Option<usize> {
        let (name, other) = names(conversation);
        // Names have no control characters, so that U+0000 keeps pairs and rooms apart.
        self.key.clear();
        self.key.extend([name, "\0", other]);
        self.index.get(self.key.as_str()).copied()
    }

    pub(super) fn find_or_begin(&mut self, conversation: Conversation<'_>) -> Result<usize> {
        if let Some(at) = self.find(conversation)? {
            return Ok(at);
        }
        let (name, other) = names(conversation);
        let room = other.is_empty();
        let epoch = if room { Epoch(self.random.draw()) } else { self.nothing };
        let place = self.tables()?.add(name, other, epoch)?;
        self.wrote = true;
        if !room {
            // One can write to them.
            self.tables()?.meet(name, self.options.people)?;
            self.tables()?.meet(other, self.options.people)?;
        }
        Ok(self.note(place))
    }

    /// Remembers the place that `key` names.
    pub(super) fn note(&mut self, place: Place) -> usize {
        self.index.insert(&self.key, self.places.len());
        let room = self.key.strip_suffix('\0');
        let limited = room.map_or_else(Limited::default, |room| self.options.rooms.of(room));
        self.places.push(Known { place, dirty: false, untrimmed: 0, many: None, limited });
        self.places.len() - 1
    }

    /// What is known of the conversation is not so any more.
    pub(super) fn forget_place(&mut self, conversation: Conversation<'_>) {
        self.known(conversation);
        self.forget_key();
    }

    /// The same of the one that `key` names.
    pub(super) fn forget_key(&mut self) {
        if let Some(at) = self.index.remove(self.key.as_str()) {
            self.places[at].dirty = false;
            self.dirty.retain(|&other| other != at);
        }
    }

    pub(super) fn forget_places(&mut self) {
        self.places.clear();
        self.index.clear();
        self.dirty.clear();
    }

    /// The head of this one is to be written.
    pub(super) fn spoil(&mut self, at: usize) {
        self.wrote = true;
        if !self.places[at].dirty {
            self.places[at].dirty = true;
            self.dirty.push(at);
        }
    }
}
