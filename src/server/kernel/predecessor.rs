//! The newcomer's side of a hand-over: it asks the Salon that runs for its listening sockets. It waits for each answer,
//! for a bounded time. [`super::passing`] has the words.
//!
//! Where it is told to stop before it has said that it serves, it is a newcomer that is lost: it says no more, and the
//! other one goes on. Behind that word it is a server that is told to stop.
//!
//! Where the other one ends before the newcomer has its sockets, there is nobody to take over from, and the newcomer
//! binds what it needs; behind that it has them, and the end of the other one is its word.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use socket2::SockRef;

use super::super::listener::Address;
use super::bound::Handed;
use super::passing::{self, ASK, BUSY, DONE, END, FREE, LATE, OFFER, SERVES, TAKE, Words};

/// The Salon whose sockets are taken over. When this is dropped before [`serves`](Self::serves), it goes on.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    words: Words,
    pid: u32,
    /// How long it may take to let go of the store.
    within: Duration,
    /// It is gone, and will not go on.
    has_ended: bool,
    offered: Vec<Offered>,
}

/// What is found where a Salon is to hand over.
#[derive(Debug)]
pub enum Found {
    /// It runs.
    Running(Predecessor),
    /// It was heard to end in this moment: what was its own may be so for a while still.
    Ended,
    /// Its file, at which nobody listens: it was killed, in this moment or long ago. It let go of all that it had
    /// together.
    Left,
    /// Nothing.
    Nobody,
}

/// A socket, and what it is for.
#[derive(Debug)]
struct Offered {
    /// The option that named its address, and that address as it was said.
    named: String,
    /// Where it is.
    at: Option<Address>,
    socket: Handed,
}

impl Predecessor {
    /// The one that hands over at this path, if one does. A signal has it ask whether it is to stop.
    ///
    /// # Errors
    /// One sentence: it is another's, does not answer in time, is busy, or says something else; or this one is to stop.
    pub fn find(path: &Path, is_to_stop: &mut dyn FnMut() -> bool) -> Result<Found, String> {
        let shown = path.display();
        let cannot = |error: &dyn std::fmt::Display| format!("--takeover: {shown}: {error}");
        let mut stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nobody),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Found::Left),
            Err(error) => return Err(cannot(&error)),
        };
        if !passing::is_of_same_user(&stream).map_err(|error| cannot(&error))? {
            return Err(cannot(&"expected a Salon of the same user there, found one of another"));
        }
        let silent = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => cannot(&format!(
                "the Salon there has not answered within {} s, and all is as it was; stop it, and start without \
                 --takeover",
                ANSWER_WITHIN.as_secs()
            )),
            io::ErrorKind::Interrupted => cannot(&"stopped before it served; the Salon there goes on"),
            _ => cannot(&error),
        };
        stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(|error| cannot(&error))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN)).map_err(|error| cannot(&error))?;
        passing::say(&mut stream, ASK);
        let (text, sockets) = match passing::receive(&stream, || !is_to_stop()) {
            // It has ended before it has heard this one, or before it has answered. An answer is sent in one piece.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Found::Ended),
            Ok((text, _)) if text.is_empty() => return Ok(Found::Ended),
            received => received.map_err(silent)?,
        };
        if text.trim_end() == BUSY {
            return Err(cannot(&"another Salon is taking over there; wait until it has"));
        }
        let (pid, within, offered) = read(&text, sockets)
            .ok_or_else(|| cannot(&"expected the sockets of a Salon of this version, found something else"))?;
        Ok(Found::Running(Self { stream, words: Words::default(), pid, within, has_ended: false, offered }))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended, and will not go on.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Its socket for that address of that option, if it has one: that which it was asked for there, else one that is
    /// there, whatever for.
    pub fn take(&mut self, option: &str, address: &Address) -> Option<Handed> {
        let named = format!("{option} {address}");
        let at = self.offered.iter().position(|offered| offered.named == named);
        let at = at.or_else(|| self.offered.iter().position(|offered| offered.at.as_ref() == Some(address)))?;
        Some(self.offered.swap_remove(at).socket)
    }

    /// All but the store is ready: it is to accept no more connections, and to let go of the store. Returns when it
    /// has.
    ///
    /// # Errors
    /// One sentence: it has not in time; or this one is to stop.
    pub fn free_the_store(&mut self, is_to_stop: &mut dyn FnMut() -> bool) -> Result<(), String> {
        let pid = self.pid;
        self.go_on(is_to_stop)?;
        passing::say(&mut self.stream, TAKE);
        // Its sockets that are of no use here.
        self.offered.clear();
        let within = self.within.saturating_add(ANSWER_WITHIN);
        match self.hear(within, is_to_stop)? {
            Some(word) if word == FREE => Ok(()),
            Some(word) if word == LATE => {
                Err(format!("--takeover: process {pid} has waited for too long, and goes on"))
            }
            Some(word) => Err(format!("--takeover: expected {FREE} of process {pid}, found {word}")),
            // It has ended: the kernel has let go of all that it held.
            None => {
                self.has_ended = true;
                Ok(())
            }
        }
    }

    /// The store is open: from now on it is no more needed. Returns whether it knows that.
    ///
    /// # Errors
    /// One sentence: it has waited for too long, and goes on itself; or this one is to stop, and the other goes on. The
    /// store is to be closed before this is dropped: then the other one opens it.
    pub fn serves(&mut self, is_to_stop: &mut dyn FnMut() -> bool) -> Result<bool, String> {
        // Nobody else is left to serve: then it is a stop as any other, of which the loop hears.
        if !self.has_ended {
            self.go_on(is_to_stop)?;
        }
        passing::say(&mut self.stream, SERVES);
        match self.hear(ANSWER_WITHIN, &mut || false).ok().flatten() {
            Some(word) if word == LATE => Err(format!(
                "--takeover: the store was opened too late: process {} goes on, and this one ends",
                self.pid
            )),
            word => Ok(word.as_deref() == Some(DONE)),
        }
    }

    /// Whether this one is to go on taking over.
    fn go_on(&self, is_to_stop: &mut dyn FnMut() -> bool) -> Result<(), String> {
        match is_to_stop() {
            true => Err(format!("--takeover: stopped before it served; process {} goes on", self.pid)),
            false => Ok(()),
        }
    }

    /// The next word; `None`: it has ended.
    fn hear(&mut self, within: Duration, is_to_stop: &mut dyn FnMut() -> bool) -> Result<Option<String>, String> {
        let pid = self.pid;
        let cannot = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!(
                    "--takeover: process {pid} has not let go within {} s, and this one ends; if the other does not \
                     serve, end it and start without --takeover",
                    within.as_secs()
                )
            }
            _ => format!("--takeover: process {pid}: {error}"),
        };
        self.stream.set_read_timeout(Some(within)).map_err(cannot)?;
        loop {
            return match self.words.next(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.go_on(is_to_stop)?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
                other => other.map_err(cannot),
            };
        }
    }
}

/// What an offer says: the process, the time that it takes, the sockets. `None`: it is none.
fn read(text: &str, sockets: Vec<OwnedFd>) -> Option<(u32, Duration, Vec<Offered>)> {
    let mut lines = text.lines();
    let mut numbers = lines.next()?.strip_prefix(OFFER)?.split_whitespace().map(str::parse::<u64>);
    let (pid, within, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let lines: Vec<&str> = lines.collect();
    let (end, lines) = lines.split_last()?;
    if *end != END || lines.len() as u64 != count || sockets.len() != lines.len() {
        return None;
    }
    let offered = lines.iter().zip(sockets).map(|(named, socket)| {
        let (socket, at) = of(socket)?;
        Some(Offered { named: (*named).to_owned(), at, socket })
    });
    Some((pid.try_into().ok()?, Duration::from_millis(within), offered.collect::<Option<_>>()?))
}

/// A descriptor as a listening socket, and where it is; `None`: it is none.
fn of(socket: OwnedFd) -> Option<(Handed, Option<Address>)> {
    let raw = SockRef::from(&socket);
    if !raw.is_listener().ok()? {
        return None;
    }
    let address = raw.local_addr().ok()?;
    if let Some(address) = address.as_socket() {
        return Some((Handed::Tcp(socket.into()), Some(Address::Tcp(address))));
    }
    // Its permissions are no part of where it is: a path is found by what it was named.
    address.is_unix().then(|| (Handed::Unix(UnixListener::from(socket)), None))
}

/// How long an answer may take that needs no work.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
