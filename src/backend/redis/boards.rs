//! Boards: who is on which node. Each node has one in Redis, which goes when its lease ends, and a copy of those of the
//! others.
//!
//! A board has a version, and each change is told with the version that it makes. A node that hears the next version
//! changes its copy; a node that has missed one reads the board anew. With each beat it hears the versions of all. A
//! version that it has not heard may be on its way: it reads the board if it still has not at the next beat, so a word
//! that is lost is lost for two beats at most. A node whose lease has ended meanwhile, because it was frozen or cut
//! off, writes its board anew.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::carrying::{list, number, text};
use super::*;

/// A board: what is on it, by names. Users come before rooms.
type Lines = Texts;

#[derive(Debug, Default)]
pub(super) struct Boards {
    own: Lines,
    version: u64,
    /// Changes that are still to be told.
    changes: Vec<(Box<str>, Option<Box<str>>)>,
    /// Redis may not have all of it.
    stale: bool,
    others: BTreeMap<u64, Board>,
    /// On those of others, and the bytes of these.
    lines: usize,
    line_bytes: usize,
    /// Beats since this node was connected.
    beats: u32,
    /// Words may have been lost since the last beat: nothing that is missing is on its way.
    lost: bool,
}

#[derive(Debug, Default)]
struct Board {
    version: u64,
    /// The version that the last beat has told.
    told: u64,
    lines: Lines,
}

/// How a line is named: `u:` and a user, or `v:`, a room and a user with U+0000 between them.
fn write_line(Presence { room, user }: Presence<'_>) -> Box<str> {
    match room {
        None => format!("u:{user}").into(),
        Some(room) => format!("v:{room}\0{user}").into(),
    }
}

fn presence_of(line: &str) -> Option<Presence<'_>> {
    match line.split_at_checked(2)? {
        ("u:", user) => Some(Presence { room: None, user }),
        ("v:", names) => names.split_once('\0').map(|(room, user)| Presence { room: Some(room), user }),
        _ => None,
    }
}

impl Boards {
    /// Takes down what is posted here; what changes nothing is not told.
    pub fn post(&mut self, presence: Presence<'_>, how: Option<&str>) {
        let line = write_line(presence);
        let before = match how {
            Some(how) => self.own.insert(&line, how),
            None => self.own.remove(&line),
        };
        if before.as_deref() != how {
            self.changes.push((line, how.map(Into::into)));
        }
    }

    /// How many changes are still to be told.
    pub fn untold(&self) -> usize {
        self.changes.len()
    }

    /// Redis has not taken a change.
    pub fn grow_stale(&mut self) {
        self.stale = true;
    }

    /// There is another connection.
    pub fn connected(&mut self) {
        (self.beats, self.lost) = (0, true);
    }

    /// Words may have been lost.
    pub fn missed(&mut self) {
        self.lost = true;
    }

    pub fn held_bytes(&self) -> usize {
        let changes = self.changes.capacity() * size_of::<(Box<str>, Option<Box<str>>)>();
        self.own.held_bytes() + self.lines * texts::PLACE_BYTES + self.line_bytes + changes
    }
}

impl Redis {
    /// The command that tells what has changed here.
    pub(super) fn tell_changes(&mut self) -> Cmd {
        let changes = std::mem::take(&mut self.boards.changes);
        self.boards.version += 1;
        let mut command = self.script("post");
        command.arg(self.boards.version).arg(LEASE_MS);
        for (line, how) in &changes {
            command.arg(&**line).arg(how.as_ref().map_or_else(|| "-".to_owned(), |how| format!("+{how}")));
        }
        command
    }

    /// Writes this node's board anew, if it is not as it should be.
    pub(super) fn mend_board(&mut self) {
        if !self.boards.stale || self.link.is_none() {
            return;
        }
        self.boards.changes.clear();
        // Nobody takes it for the next one, so that everybody reads it.
        self.boards.version += 2;
        let own: Vec<(Box<str>, Box<str>)> =
            self.boards.own.iter().map(|(line, how)| (line.clone(), how.clone())).collect();
        let mut begins = true;
        let mut chunks = own.chunks(POSTED_AT_ONCE).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let is_last = chunks.peek().is_none();
            let version = if is_last { self.boards.version.to_string() } else { String::new() };
            let mut command = self.script("board");
            command.arg(i32::from(begins)).arg(version).arg(LEASE_MS);
            for (line, how) in chunk {
                command.arg(&**line).arg(&**how);
            }
            if let Err(why) = self.call(&command) {
                return log::debug!("{}: {why}", self.options.server);
            }
            if is_last {
                break;
            }
            begins = false;
        }
        self.boards.stale = false;
    }

    /// Says that this node lives, and looks what has become of the others.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn beat(&mut self) -> Result<(), String> {
        let mut beat = self.script("beat");
        let told = list(self.call(beat.arg(LEASE_MS))?);
        let mut told = told.iter();
        self.boards.stale |= told.next().and_then(number) != Some(self.boards.version);
        let mut alive = BTreeMap::new();
        while let (Some(node), Some(version)) = (told.next(), told.next()) {
            if let (Some(Epoch(node)), Some(version)) = (text(node).and_then(Epoch::parse), number(version)) {
                alive.insert(node, version);
            }
        }
        self.boards.beats = self.boards.beats.saturating_add(1);
        // When Redis was away, others may need a moment as well.
        if self.boards.beats > BEATS_OF_LEASE {
            let gone: Vec<u64> = self.boards.others.keys().filter(|node| !alive.contains_key(node)).copied().collect();
            for node in gone {
                log::info!("node {}: it is no more, and its people have left", Epoch(node));
                self.take_board(node, 0, &Lines::default());
                self.boards.others.remove(&node);
            }
        }
        let lost = std::mem::take(&mut self.boards.lost);
        for (node, version) in alive {
            let board = self.boards.others.get_mut(&node);
            let (known, told) =
                board.map_or((0, 0), |board| (board.version, std::mem::replace(&mut board.told, version)));
            // A board that is not known, or of which the word that the last beat has told has not come.
            if version > known && (lost || known == 0 || told > known) {
                self.read_board(node);
            }
        }
        Ok(())
    }

    /// Another node tells a change of its board.
    pub(super) fn hear_board<'a>(&mut self, node: &str, version: &str, mut changes: impl Iterator<Item = &'a str>) {
        let (Some(Epoch(node)), Ok(version)) = (Epoch::parse(node), version.parse::<u64>()) else { return };
        let known = self.boards.others.get(&node).map_or(0, |board| board.version);
        if version <= known {
            return;
        }
        if version > known + 1 {
            return self.read_board(node);
        }
        while let (Some(line), Some(how)) = (changes.next(), changes.next()) {
            self.change(node, line, how.strip_prefix('+'));
        }
        self.boards.others.entry(node).or_default().version = version;
    }

    /// Reads the board of another node, and tells what is new on it.
    fn read_board(&mut self, node: u64) {
        let key = format!("{}:w:{}", self.options.prefix, Epoch(node));
        let version = self.call(redis::cmd("HGET").arg(&key).arg(VERSION_LINE)).ok().as_ref().and_then(number);
        // It is away, or has not written it anew yet.
        let Some(version) = version else { return };
        let (mut lines, mut cursor) = (Lines::default(), "0".to_owned());
        loop {
            let mut scan = redis::cmd("HSCAN");
            let Ok(value) = self.call(scan.arg(&key).arg(&cursor).arg("COUNT").arg(READ_AT_ONCE)) else { return };
            let mut parts = list(value).into_iter();
            cursor = parts.next().as_ref().and_then(text).unwrap_or("0").to_owned();
            for pair in list(parts.next().unwrap_or(Value::Nil)).chunks_exact(2) {
                if let (Some(line), Some(how)) = (text(&pair[0]), text(&pair[1]))
                    && line != VERSION_LINE
                    && lines.len() < MAX_LINES
                {
                    lines.insert(line, how);
                }
            }
            if cursor == "0" {
                break;
            }
        }
        // What has changed while it was read is told by changes that are still to be heard, or by the next beat.
        self.take_board(node, version, &lines);
    }

    /// Tells once more who is inside a room on other nodes, as far as that is known here.
    pub(super) fn tell_seats(&mut self, room: &str) {
        let first = format!("v:{room}\0");
        for (&node, Board { lines, .. }) in &self.boards.others {
            let seats = lines.range::<str, _>((Bound::Included(&*first), Bound::Unbounded));
            for (line, how) in seats.take_while(|(line, _)| line.starts_with(&first)) {
                let Some(presence) = presence_of(line) else { continue };
                let user = Presence { room: None, ..presence };
                if let Some(stand) = lines.get(&write_line(user)) {
                    self.said.push(&News::Posted { node, presence: user, how: Some(stand) });
                }
                self.said.push(&News::Posted { node, presence, how: Some(how) });
            }
        }
    }

    /// Another node's board is this from now on.
    fn take_board(&mut self, node: u64, version: u64, lines: &Lines) {
        let before = self.boards.others.entry(node).or_default();
        before.version = version;
        let gone: Vec<Box<str>> =
            before.lines.keys().rev().filter(|line| !lines.contains_key(*line)).cloned().collect();
        gone.iter().for_each(|line| self.change(node, line, None));
        lines.iter().for_each(|(line, how)| self.change(node, line, Some(how)));
    }

    fn change(&mut self, node: u64, line: &str, how: Option<&str>) {
        let Some(presence) = presence_of(line) else { return };
        let Boards { others, lines, line_bytes, .. } = &mut self.boards;
        let board = &mut others.entry(node).or_default().lines;
        if board.get(line).map(|how| &**how) == how {
            return;
        }
        let before = board.bytes();
        match how {
            Some(_) if *lines >= MAX_LINES && !board.contains_key(line) => return,
            Some(how) => *lines += usize::from(board.insert(line, how).is_none()),
            None => *lines -= usize::from(board.remove(line).is_some()),
        }
        *line_bytes = *line_bytes + board.bytes() - before;
        self.said.push(&News::Posted { node, presence, how });
    }
}

#[cfg(test)]
impl Redis {
    /// It was connected long ago.
    pub(super) fn boards_are_old(&mut self) {
        self.boards.beats = BEATS_OF_LEASE;
    }
}

/// The line of a board with its version.
const VERSION_LINE: &str = "#";

/// Changes that are told in one go, and lines that are written or read in one.
pub(super) const POSTED_AT_ONCE: usize = 256;
const READ_AT_ONCE: usize = 1000;

/// How many beats a lease lasts.
const BEATS_OF_LEASE: u32 = 4;

/// Lines on the boards of all other nodes together: people, and people in rooms. Of more, nobody here knows.
const MAX_LINES: usize = 1 << 20;
