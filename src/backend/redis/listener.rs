//! The two threads beside the store's own: one hears what all nodes are told, the other counts the seconds and connects
//! anew where a connection was lost. So the store itself waits for nothing but answers.
//!
//! What was heard waits in an inbox, which is bounded: over that it is thrown away, and the store looks for itself what
//! it has missed, as after a cut.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use redis::{RedisError, Value};

use super::link::{self, Link, Server};
use crate::backend::Waker;

/// What the threads have for the store.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub messages: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Something may have been said that is not here: the channel was cut, or too much came.
    pub missed: bool,
    /// It is time to look after things.
    pub tick: bool,
    /// A new connection.
    pub link: Option<Link>,
    /// Why there is none.
    pub trouble: Option<String>,
    /// The channel is heard.
    pub hears: bool,
    /// How often it was connected to anew.
    pub reconnects: u64,
    wants_link: bool,
    over: bool,
}

#[derive(Debug)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    waker: Waker,
}

/// The store's side of both threads, which end when it is dropped.
#[derive(Debug)]
pub(super) struct Listener(Arc<Shared>);

impl Listener {
    /// Starts the threads. Waits until the channel is heard.
    ///
    /// # Errors
    /// Why it cannot be heard, in one sentence.
    pub fn start(server: &Server, channels: [String; 2], waker: Waker) -> Result<Self, String> {
        let shared = Arc::new(Shared { inbox: Mutex::default(), changed: Condvar::new(), waker });
        let (of_thread, at, probed) = (shared.clone(), server.clone(), channels.clone());
        let mut connection = Some(link::connect(server)?);
        let refused = |error| format!("a thread for Redis cannot be started: {error}");
        let spawned = thread::Builder::new().name("redis-hear".into()).spawn(move || {
            let (mut pause, mut told) = (FIRST_PAUSE, String::new());
            while !of_thread.lock().over {
                let heard = match connection.take().map_or_else(|| link::connect(&at), Ok) {
                    Ok(connection) => of_thread.hear(connection, &channels, &mut pause, &at),
                    Err(why) => Err(why),
                };
                let Err(why) = heard else { return };
                let mut inbox = of_thread.lock();
                if mem::replace(&mut inbox.hears, false) {
                    inbox.reconnects += 1;
                    told.clear();
                }
                // Once for each reason, however often it is tried.
                if told != why {
                    log::warn!("what other nodes say is not heard: {why}");
                    told = why;
                }
                drop(of_thread.wait(inbox, pause));
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        });
        spawned.map_err(refused)?;
        let (of_thread, at) = (shared.clone(), server.clone());
        let spawned = thread::Builder::new().name("redis-keep".into()).spawn(move || of_thread.keep(&at));
        spawned.map_err(refused)?;
        let heard = shared.changed.wait_timeout_while(shared.lock(), link::WITHIN, |inbox| !inbox.hears);
        match heard.is_ok_and(|(inbox, _)| inbox.hears) {
            true => Ok(Self(shared)),
            false => {
                shared.lock().over = true;
                shared.changed.notify_all();
                let probe =
                    link::connect(server).and_then(|mut connection| link::subscribe(&mut connection, &probed, server));
                Err(probe.err().unwrap_or_else(|| format!("{server}: its channels cannot be heard")))
            }
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.0.lock()
    }

    /// A connection is needed.
    pub fn want_link(&self) {
        self.lock().wants_link = true;
        self.0.changed.notify_all();
    }

    /// The next message.
    pub fn next(&self) -> Option<Vec<u8>> {
        let mut inbox = self.lock();
        let message = inbox.messages.pop_front()?;
        inbox.bytes -= message.len();
        Some(message)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.lock().over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("nothing panics while the lock is held")
    }

    fn wait<'a>(&self, inbox: MutexGuard<'a, Inbox>, time: Duration) -> MutexGuard<'a, Inbox> {
        let waited = self.changed.wait_timeout_while(inbox, time, |inbox| !inbox.over);
        waited.expect("nothing panics while the lock is held").0
    }

    /// Hears the channel until it is cut, or silent for longer than it can be: all nodes beat in it, this one too.
    fn hear(
        &self,
        mut connection: redis::Connection,
        channels: &[String; 2],
        pause: &mut Duration,
        server: &Server,
    ) -> Result<(), String> {
        let why = |error: RedisError| link::sentence(server, &error);
        connection.set_write_timeout(Some(link::WITHIN)).map_err(why)?;
        connection.set_read_timeout(Some(link::WITHIN)).map_err(why)?;
        link::subscribe(&mut connection, channels, server)?;
        connection.set_read_timeout(Some(SILENT_WITHIN)).map_err(why)?;
        let mut inbox = self.lock();
        (inbox.hears, inbox.missed) = (true, true);
        drop(inbox);
        self.changed.notify_all();
        self.waker.wake();
        *pause = FIRST_PAUSE;
        loop {
            let Value::Array(mut message) = connection.recv_response().map_err(why)? else { continue };
            // `message`, the channel, and what is said.
            let Some(Value::BulkString(payload)) = message.pop().filter(|_| message.len() == 2) else { continue };
            let mut inbox = self.lock();
            if inbox.over {
                return Ok(());
            }
            if inbox.messages.len() >= MAX_UNHEARD || inbox.bytes >= MAX_UNHEARD_BYTES {
                inbox.messages.clear();
                (inbox.bytes, inbox.missed) = (0, true);
            }
            inbox.bytes += payload.len();
            inbox.messages.push_back(payload);
            drop(inbox);
            self.waker.wake();
        }
    }

    /// Says when it is time, and connects anew when that is wanted.
    fn keep(&self, server: &Server) {
        let (mut ticks_at, mut pause) = (Instant::now() + BEAT_EVERY, FIRST_PAUSE);
        loop {
            let left = ticks_at.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout_while(self.lock(), left, |inbox| !inbox.over && !inbox.wants_link);
            let mut inbox = waited.expect("nothing panics while the lock is held").0;
            if inbox.over {
                return;
            }
            if ticks_at <= Instant::now() {
                ticks_at = Instant::now() + BEAT_EVERY;
                inbox.tick = true;
                self.waker.wake();
            }
            if !inbox.wants_link {
                continue;
            }
            drop(inbox);
            let opened = Link::open(server);
            let mut inbox = self.lock();
            match opened {
                Ok(link) => {
                    (inbox.link, inbox.wants_link, inbox.missed, pause) = (Some(link), false, true, FIRST_PAUSE);
                    inbox.reconnects += 1;
                    (inbox.tick, ticks_at) = (true, Instant::now() + BEAT_EVERY);
                    self.waker.wake();
                }
                Err(why) => {
                    inbox.trouble = Some(why);
                    drop(self.wait(inbox, pause));
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// How often a node says that it lives, and looks whether it has missed something.
const BEAT_EVERY: Duration = Duration::from_secs(3);

/// How long a channel may be silent in which all nodes beat.
const SILENT_WITHIN: Duration = Duration::from_secs(10);

/// How long it is waited before Redis is connected to once more, after the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Messages of the channel that the store has not heard, and bytes of them.
const MAX_UNHEARD: usize = 65_536;
const MAX_UNHEARD_BYTES: usize = 16 << 20;
