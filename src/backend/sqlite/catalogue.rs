//! What is told when the chat begins: the bans, what is set for rooms, and the rooms and people that there are.

use super::trouble::Result;
use super::{Catalogue, MAX_SET, News, Sqlite, TOLD_AT_ONCE, room_settings};

impl Sqlite {
    /// Has the next bans, rooms and people be told of all there are.
    pub(super) fn tell_more(&mut self) -> Result<()> {
        let Some(mut catalogue) = self.catalogue.take() else { return Ok(()) };
        let told = self.tell_piece(&mut catalogue);
        // What could not be read is tried again with the next one.
        if self.said.len() > 0 || told.is_err() {
            self.catalogue = Some(catalogue);
        }
        told
    }

    pub(super) fn tell_piece(&mut self, catalogue: &mut Catalogue) -> Result<()> {
        if self.tables.is_none() {
            self.reopen()?;
        }
        if let Some(read) = self.bans.as_mut().filter(|_| !catalogue.bans_told) {
            for kept in read.drain(..read.len().min(TOLD_AT_ONCE)) {
                self.said.push(&News::Banned(kept.ban()));
            }
            catalogue.bans_told = read.is_empty();
            self.bans = self.bans.take().filter(|read| !read.is_empty());
        } else if !catalogue.bans_told {
            let kept = self.tables()?.bans_after(&catalogue.banned, catalogue.most)?;
            catalogue.bans_told = kept.len() < catalogue.take_most();
            for kept in kept {
                self.said.push(&News::Banned(kept.ban()));
                catalogue.banned = kept.user;
            }
        }
        if catalogue.bans_told && !catalogue.set_told {
            let set = match self.set.take() {
                Some(read) => read,
                None => room_settings::are_all(&self.claim.path, self.tables()?.set_rooms(MAX_SET + 1)?)?,
            };
            catalogue.set_told = true;
            for (room, words) in &set {
                self.said.push(&News::Set { room, words });
            }
        }
        if catalogue.bans_told && !catalogue.rooms_told {
            let cards = self.tables()?.rooms_after(catalogue.room, catalogue.most)?;
            catalogue.rooms_told = cards.len() < catalogue.take_most();
            for card in &cards {
                catalogue.room = card.id;
                self.said.push(&News::Room { description: card.description(), keeps: card.keeps, changes: 0 });
            }
        }
        if catalogue.rooms_told {
            let people = self.tables()?.people_after(catalogue.person, catalogue.most)?;
            catalogue.take_most();
            for (id, name) in people {
                catalogue.person = id;
                self.said.push(&News::User { name: &name });
            }
        }
        Ok(())
    }
}
