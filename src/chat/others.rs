//! What is to be told to other nodes at the end of a turn. `elsewhere` has what is heard of them.

use std::collections::BTreeSet;

use super::name::{RoomName, UserName};
use super::wire::word::Word;
use crate::backend::carried::Requests;
use crate::backend::{Audience, MAX_WORD_BYTES, Request};

/// What is to be told to other nodes, and what was heard of them that takes the store.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// There may be others.
    shared: bool,
    pub words: Requests,
    /// Users who are put out of rooms.
    pub kicked: Vec<(UserName, RoomName)>,
    /// There was no place for a room in which somebody is on another node: of rooms that are listed from then on, those
    /// who are inside elsewhere may not be known here.
    pub had_no_place: bool,
    /// Rooms that were listed since, of which the store is to tell that.
    pub listed: BTreeSet<RoomName>,
}

impl Others {
    pub fn new(shared: bool) -> Self {
        Self { shared, ..Self::default() }
    }

    /// Says a word to the others at the end of this turn. Of too many or too long ones nothing is said.
    pub fn tell(&mut self, to: Audience<'_>, word: &Word<'_>) {
        if !self.shared || self.words.len() >= MAX_WORDS || self.words.bytes() >= MAX_WORD_BYTES {
            return;
        }
        let word = word.write();
        if word.len() <= MAX_WORD_BYTES {
            self.words.push(Request::Tell { to, word: &word });
        }
    }
}

/// Words that are to be said, or carried out, at the end of a turn.
pub(super) const MAX_WORDS: usize = 4096;
