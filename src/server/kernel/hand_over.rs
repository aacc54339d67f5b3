//! The old one's side of a hand-over: a Unix socket at which another Salon of the same user gets the listening sockets.
//! [`super::passing`] has the words.

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use super::super::system::Raw;
use super::bound::Bound;
use super::passing::{self, ASK, BUSY, DONE, END, FREE, LATE, OFFER, SERVES, TAKE, Words};

/// The socket at which others ask, and the one of them that has asked.
#[derive(Debug)]
pub(super) struct HandOver {
    door: Bound,
    /// How long it may take until the store is free, as it is told.
    within: Duration,
    newcomer: Option<Newcomer>,
    /// Somebody has said that they take over.
    pub begun: bool,
    /// What came of it.
    pub outcome: Option<Outcome>,
}

/// What came of a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The newcomer serves.
    Served,
    /// It is gone, or speaks otherwise.
    Lost,
}

#[derive(Debug)]
struct Newcomer {
    stream: UnixStream,
    words: Words,
    /// When it came, by the time of the loop.
    came: Duration,
    stage: Stage,
}

/// What a newcomer has said or been told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Come,
    Offered,
    Taking,
    Free,
}

impl HandOver {
    /// At this socket; it is told that the store is free within so long.
    pub fn new(door: Bound, within: Duration) -> Self {
        Self { door, within, newcomer: None, begun: false, outcome: None }
    }

    /// The socket at which others ask.
    pub fn door(&mut self) -> &mut Bound {
        &mut self.door
    }

    /// Others may have come: one of them is heard, under this token.
    pub fn come(&mut self, registry: &Registry, token: Token, now: Duration) {
        for _ in 0..COME_AT_ONCE {
            let mut stream = match self.door.accept() {
                Ok((Raw::Unix(stream), _)) => stream,
                Ok((Raw::Tcp(_), _)) => unreachable!("bound in the file system"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return log::warn!("who asks to take over cannot be heard: {error}"),
            };
            if !passing::is_of_same_user(&stream).unwrap_or(false) {
                log::warn!("somebody of another user asks to take over, and is not heard");
                continue;
            }
            let another = self.newcomer.as_ref().is_some_and(|other| now.saturating_sub(other.came) < DECIDE_WITHIN);
            if another || self.begun {
                passing::say(&mut stream, BUSY);
                continue;
            }
            if let Err(error) = registry.register(&mut stream, token, Interest::READABLE) {
                log::warn!("who asks to take over cannot be heard: {error}");
                continue;
            }
            // One that has asked long ago and takes nothing over.
            self.dismiss();
            self.newcomer = Some(Newcomer { stream, words: Words::default(), came: now, stage: Stage::Come });
        }
    }

    /// The newcomer may have said something. Returns whether it begins to take over.
    pub fn hear(&mut self, listeners: &mut [Option<Bound>]) -> bool {
        let mut takes = false;
        while let Some(newcomer) = &mut self.newcomer {
            let word = match newcomer.words.next(&mut newcomer.stream) {
                Ok(word) => word,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => None,
            };
            let goes_on = match (word.as_deref(), newcomer.stage) {
                (Some(ASK), Stage::Come) => {
                    newcomer.stage = Stage::Offered;
                    offer(&newcomer.stream, &self.door, listeners, self.within)
                        .inspect_err(|error| log::warn!("the sockets cannot be offered: {error}"))
                        .is_ok()
                }
                (Some(TAKE), Stage::Offered) => {
                    newcomer.stage = Stage::Taking;
                    (self.begun, takes) = (true, true);
                    true
                }
                (Some(SERVES), Stage::Free) => {
                    // Before it is told so: from then on the files are its own.
                    listeners.iter_mut().flatten().chain([&mut self.door]).for_each(Bound::disown);
                    self.outcome = Some(Outcome::Served);
                    passing::say(&mut newcomer.stream, DONE);
                    false
                }
                _ => false,
            };
            if !goes_on {
                self.newcomer = None;
            }
        }
        if self.newcomer.is_none() && self.begun && self.outcome.is_none() {
            self.outcome = Some(Outcome::Lost);
            log::warn!("the Salon that takes over is gone");
        }
        takes && self.outcome.is_none()
    }

    /// This Salon ends before the newcomer has said that it takes over: where that one has the sockets, it will serve,
    /// and the files are its own. Those of a newcomer that does not are in nobody's way, as those of a Salon that was
    /// killed.
    pub fn leave(&mut self, listeners: &mut [Option<Bound>]) {
        if self.newcomer.as_ref().is_some_and(|newcomer| newcomer.stage != Stage::Come) {
            listeners.iter_mut().flatten().chain([&mut self.door]).for_each(Bound::disown);
        }
    }

    /// The newcomer can open the store.
    pub fn let_go(&mut self) {
        if let Some(newcomer) = self.newcomer.as_mut().filter(|newcomer| newcomer.stage == Stage::Taking) {
            newcomer.stage = Stage::Free;
            passing::say(&mut newcomer.stream, FREE);
        }
    }

    /// The newcomer takes too long: this Salon goes on itself.
    pub fn refuse(&mut self) {
        self.dismiss();
        self.outcome = Some(Outcome::Lost);
    }

    fn dismiss(&mut self) {
        if let Some(mut newcomer) = self.newcomer.take() {
            passing::say(&mut newcomer.stream, LATE);
        }
    }
}

/// Sends the sockets, and what each is for.
fn offer(stream: &UnixStream, door: &Bound, listeners: &[Option<Bound>], within: Duration) -> io::Result<()> {
    let bounds: Vec<&Bound> = listeners.iter().flatten().chain([door]).collect();
    let mut text = format!("{OFFER} {} {} {}\n", std::process::id(), within.as_millis(), bounds.len());
    for bound in &bounds {
        let _ = writeln!(text, "{} {}", bound.option(), bound.asked());
    }
    let _ = writeln!(text, "{END}");
    let sockets: Vec<_> = bounds.iter().map(|bound| bound.as_fd()).collect();
    passing::send(stream.as_fd(), &text, &sockets)
}

/// How many are looked at in one turn: as many as the kernel holds, for no event reminds of those that are left.
const COME_AT_ONCE: usize = 4096;

/// How long one that has asked keeps others from being heard: the rest of its start.
const DECIDE_WITHIN: Duration = Duration::from_secs(60);
