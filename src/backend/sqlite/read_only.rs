//! The same file, read by a connection of its own beside [`Sqlite`](super::Sqlite), which may be waiting for the disk.
//!
//! It sees what is committed, and changes nothing. What would change something (a conversation that is to begin, a
//! message that has become too old) it refuses, for the other one to do; see [`Paired`](crate::backend::Paired).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Limited;
use super::file;
use super::folding::Line;
use super::opening::Log;
use super::overwritten::Seen;
use super::reading::{Counted, Many};
use super::retention::is_too_old;
use super::stamp::Stamp;
use super::tables::{Place, Tables};
use super::trouble::Result;
use super::{
    Backend, Conversation, Head, MAX_PLACES, Moment, News, Options, Overloaded, Query, Reader, Reading, Reports,
    Request, RoomLimits, Why, names,
};

/// The file of a store, for reading.
#[derive(Debug)]
pub struct ReadOnly {
    path: PathBuf,
    messages: usize,
    age: Duration,
    rooms: RoomLimits,
    /// `None`: it is opened at the next read. With the file as it was when it was looked at.
    tables: Option<(Tables, Seen)>,
    /// Of conversations of which many have not read much: how much, when they had this number.
    many: HashMap<i64, (u64, Many)>,
    counted: Counted,
    said: Reports,
    told: usize,
}

/// What was read.
struct Page {
    place: Place,
    lines: Vec<Line>,
    reading: Option<Reading>,
}

impl ReadOnly {
    /// Of a store that somebody else has opened, with the same options.
    pub fn new(options: &Options) -> Self {
        let (path, messages, age) = (options.path.clone(), options.messages, options.age);
        let (many, counted, said) = Default::default();
        let rooms = options.rooms.clone();
        Self { path, messages, age, rooms, tables: None, many, counted, said, told: 0 }
    }

    /// What is to be told; `None`: the other one has to do it.
    fn look(&mut self, request: Request<'_>) -> Result<Option<()>> {
        if !matches!(request, Request::Read { about: None, .. } | Request::Search { .. }) {
            return Ok(None);
        }
        let (tables, mut seen) = match self.tables.take() {
            Some(open) => open,
            None => {
                let path = file::resolve(&self.path)?;
                // Where its log was taken away none is made, and no descriptor of the file is closed in this process.
                let tables = Log::beside(&path)?.to_read(&path)?;
                tables.limit_cache(CACHE_KIB)?;
                let last = tables.batch()?;
                (tables, Seen::in_use(&path, last)?)
            }
        };
        // One state of the file for all of it.
        tables.begin()?;
        let found = self.find(&tables, &mut seen, request);
        tables.roll_back()?;
        self.tables = Some((tables, seen));
        found
    }

    /// Looks whether what was read is of the file that was opened. Of one that was taken away it is.
    fn is_own(&self, tables: &Tables, seen: &mut Seen) -> Result<()> {
        let path = file::resolve(&self.path)?;
        match Stamp::of(&path) {
            Ok(stamp) if stamp.inode == seen.inode() => seen.goes_on_as(&path, stamp, tables.batch()?),
            _ => Ok(()),
        }
    }

    fn find(&mut self, tables: &Tables, seen: &mut Seen, request: Request<'_>) -> Result<Option<()>> {
        match request {
            Request::Read { conversation, query, reader, now, ticket, .. } => {
                let found = self.read(tables, conversation, query, reader, now)?;
                let Some(Page { place, lines, reading }) = found else { return Ok(None) };
                self.is_own(tables, seen)?;
                let head = Head { epoch: place.epoch, seq: place.seq, kept: place.kept() };
                self.said.push(&News::Page { ticket, head, entries: lines.iter().map(Line::entry).collect(), reading });
                Ok(Some(()))
            }
            Request::Search { search, ticket } => {
                let last = tables.last()?;
                let hits = tables.search(&search, last.entry, last.indexed)?;
                self.is_own(tables, seen)?;
                match hits {
                    Some(hits) => self.said.push(&hits.news(ticket)),
                    None => self.said.push(&News::Refused { ticket, why: Why::BadCursor }),
                }
                Ok(Some(()))
            }
            _ => Ok(None),
        }
    }

    fn read(
        &mut self,
        tables: &Tables,
        conversation: Conversation<'_>,
        query: Query,
        reader: Option<Reader<'_>>,
        now: Moment,
    ) -> Result<Option<Page>> {
        let (name, other) = names(conversation);
        let Some(place) = tables.find(name, other)? else { return Ok(None) };
        let limited = if other.is_empty() { self.rooms.of(name) } else { Limited::default() };
        let (messages, age) = (self.rooms.messages(limited, self.messages), self.rooms.age(limited, self.age));
        if place.kept() > u64::try_from(messages).unwrap_or(u64::MAX) {
            return Ok(None);
        }
        if place.kept() > 0 {
            let said_at = tables.said_at(place.id, place.first)?;
            if is_too_old(said_at, now, age) {
                return Ok(None);
            }
        }
        let lines = tables.read(&place, query, reader.map(|reader| reader.user))?;
        let Some(reader) = reader.filter(|reader| reader.reading) else {
            return Ok(Some(Page { place, lines, reading: None }));
        };
        // Nothing was deleted as long as there is no entry more.
        let known = self.many.remove(&place.id).filter(|(seq, _)| *seq == place.seq);
        let mut many = known.map(|(_, many)| many);
        let reading = tables.reading(&place, reader.user, &mut many, &mut self.counted)?;
        if let Some(many) = many {
            if self.many.len() >= MAX_PLACES {
                self.many.clear();
            }
            self.many.insert(place.id, (place.seq, many));
        }
        Ok(Some(Page { place, lines, reading: Some(reading) }))
    }
}

impl Backend for ReadOnly {
    fn ask(&mut self, request: Request<'_>) -> std::result::Result<(), Overloaded> {
        let Some(ticket) = request.ticket() else { return Ok(()) };
        match self.look(request) {
            Ok(Some(())) => {}
            Ok(None) => self.said.push(&News::Refused { ticket, why: Why::Unsupported }),
            Err(error) => {
                // The other one finds out what is wrong, and says so.
                log::debug!("{}: a page cannot be read beside: {error}", self.path.display());
                self.tables = None;
                self.said.push(&News::Failed { ticket });
            }
        }
        Ok(())
    }

    fn tell_catalogue(&mut self) {}

    fn poll(&mut self) -> Option<News<'_>> {
        if self.told == self.said.len() {
            self.said.clear();
            self.told = 0;
            self.counted = Counted::default();
        }
        let news = self.said.get(self.told)?;
        self.told += 1;
        Some(news)
    }

    fn is_idle(&self) -> bool {
        self.told == self.said.len()
    }

    fn expire(&mut self, _: Moment) -> bool {
        false
    }

    fn held_bytes(&self) -> usize {
        let pages = self.tables.as_ref().map_or(0, |_| usize::try_from(CACHE_KIB).unwrap_or(0) << 10);
        self.said.held_bytes() + pages
    }

    fn keeps(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> String {
        self.path.display().to_string()
    }
}

/// What SQLite keeps of the file in memory for it.
const CACHE_KIB: i64 = 2 << 10;
