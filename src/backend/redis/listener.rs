//! The two threads beside the store's own, the real side of [`Outside`]: one hears what all nodes are told, the other
//! counts the seconds and connects anew where a connection was lost. So the store itself waits for nothing but answers.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use redis::{RedisError, Value};

use super::link::{self, Server, Socket};
use super::outside::{BEAT_EVERY, Inbox, Notes, Outside, Pause, SILENT_WITHIN};
use crate::backend::Waker;

/// What the threads and the store have in common.
#[derive(Debug, Default)]
struct Common {
    inbox: Inbox<Socket>,
    /// The channels are heard.
    hears: bool,
    wants_link: bool,
    over: bool,
}

#[derive(Debug)]
struct Shared {
    common: Mutex<Common>,
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
        let shared = Arc::new(Shared { common: Mutex::default(), changed: Condvar::new(), waker });
        let (of_thread, at, probed) = (shared.clone(), server.clone(), channels.clone());
        let mut connection = Some(link::connect(server)?);
        let refused = |error| format!("a thread for Redis cannot be started: {error}");
        let spawned = thread::Builder::new().name("redis-hear".into()).spawn(move || {
            let (mut pause, mut told) = (Pause::default(), String::new());
            while !of_thread.lock().over {
                let heard = match connection.take().map_or_else(|| link::connect(&at), Ok) {
                    Ok(connection) => of_thread.hear(connection, &channels, &mut pause, &at),
                    Err(why) => Err(why),
                };
                let Err(why) = heard else { return };
                let mut common = of_thread.lock();
                if mem::replace(&mut common.hears, false) {
                    told.clear();
                }
                // Once for each reason, however often it is tried.
                if told != why {
                    log::warn!("what other nodes say is not heard: {why}");
                    told = why;
                }
                drop(of_thread.wait(common, pause.next()));
            }
        });
        spawned.map_err(refused)?;
        let (of_thread, at) = (shared.clone(), server.clone());
        let spawned = thread::Builder::new().name("redis-keep".into()).spawn(move || of_thread.keep(&at));
        spawned.map_err(refused)?;
        let heard = shared.changed.wait_timeout_while(shared.lock(), link::WITHIN, |common| !common.hears);
        match heard.is_ok_and(|(common, _)| common.hears) {
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
}

impl Outside for Listener {
    fn look(&mut self) -> Notes {
        self.0.lock().inbox.look()
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        self.0.lock().inbox.next()
    }

    fn want_link(&mut self) {
        self.0.lock().wants_link = true;
        self.0.changed.notify_all();
    }

    #[cfg(test)]
    fn unheard(&self) -> Vec<Vec<u8>> {
        self.0.lock().inbox.unheard()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Common> {
        self.common.lock().expect("nothing panics while the lock is held")
    }

    fn wait<'a>(&self, common: MutexGuard<'a, Common>, time: Duration) -> MutexGuard<'a, Common> {
        let waited = self.changed.wait_timeout_while(common, time, |common| !common.over);
        waited.expect("nothing panics while the lock is held").0
    }

    /// Hears the channel until it is cut, or silent for longer than it can be: all nodes beat in it, this one too.
    fn hear(
        &self,
        mut connection: redis::Connection,
        channels: &[String; 2],
        pause: &mut Pause,
        server: &Server,
    ) -> Result<(), String> {
        let why = |error: RedisError| link::sentence(server, &error);
        connection.set_write_timeout(Some(link::WITHIN)).map_err(why)?;
        connection.set_read_timeout(Some(link::WITHIN)).map_err(why)?;
        link::subscribe(&mut connection, channels, server)?;
        connection.set_read_timeout(Some(SILENT_WITHIN)).map_err(why)?;
        let mut common = self.lock();
        common.hears = true;
        common.inbox.begin_to_hear();
        drop(common);
        self.changed.notify_all();
        self.waker.wake();
        *pause = Pause::default();
        loop {
            let Value::Array(mut message) = connection.recv_response().map_err(why)? else { continue };
            // `message`, the channel, and what is said.
            let Some(Value::BulkString(payload)) = message.pop().filter(|_| message.len() == 2) else { continue };
            let mut common = self.lock();
            if common.over {
                return Ok(());
            }
            common.inbox.hear(payload);
            drop(common);
            self.waker.wake();
        }
    }

    /// Says when it is time, and connects anew when that is wanted.
    fn keep(&self, server: &Server) {
        let (mut ticks_at, mut pause) = (Instant::now() + BEAT_EVERY, Pause::default());
        loop {
            let left = ticks_at.saturating_duration_since(Instant::now());
            let waits = |common: &mut Common| !common.over && !common.wants_link;
            let waited = self.changed.wait_timeout_while(self.lock(), left, waits);
            let mut common = waited.expect("nothing panics while the lock is held").0;
            if common.over {
                return;
            }
            if ticks_at <= Instant::now() {
                ticks_at = Instant::now() + BEAT_EVERY;
                common.inbox.notes.tick = true;
                self.waker.wake();
            }
            if !common.wants_link {
                continue;
            }
            drop(common);
            let opened = Socket::open(server);
            let mut common = self.lock();
            match opened {
                Ok(link) => {
                    common.inbox.connect(link);
                    (common.wants_link, pause) = (false, Pause::default());
                    ticks_at = Instant::now() + BEAT_EVERY;
                    self.waker.wake();
                }
                Err(why) => {
                    common.inbox.notes.trouble = Some(why);
                    drop(self.wait(common, pause.next()));
                }
            }
        }
    }
}
