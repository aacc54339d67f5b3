//! Many connections in one thread: an echo server over `polling`, which reports a stream once and then waits to be
//! asked again.
//!
//! ```sh
//! cargo run -p salon-engine --example engine_polling 127.0.0.1:9001
//! ```
//!
//! So the engine says after each turn what each stream that was reported, or whose state has changed, is to be watched
//! for. The same holds of a level-triggered poller, with [`Poller::Level`].

mod echo;

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use echo::Socket;
use polling::Event;
use salon_engine::{DeflateSettings, Engine, Poller, Settings, Tick};

/// The greatest key of all is one of the poller's own.
const LISTENER: usize = usize::MAX - 1;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let (poller, mut reports) = (polling::Poller::new()?, polling::Events::new());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    // SAFETY: it is not closed before the process ends.
    unsafe { poller.add(&listener, Event::readable(LISTENER))? };
    // The listener is to be watched again.
    let mut accepting = false;
    let began = Instant::now();
    let now = || Tick(began.elapsed().as_millis() as u64);
    let mut settings = Settings::default();
    (settings.poller, settings.deflate) = (Poller::OneShot, Some(DeflateSettings::default()));
    let (mut engine, mut reply) = (Engine::new(settings, now()), Vec::new());
    loop {
        let within = match engine.has_work() {
            true => Some(Duration::ZERO),
            false => engine.next_deadline().map(|due| due.since(now())),
        };
        reports.clear();
        poller.wait(&mut reports, within)?;
        for report in reports.iter() {
            if report.key == LISTENER {
                accepting = accept_all(&listener, &mut engine, &poller)?;
                continue;
            }
            // It does not say whether the stream has ended; the next report will.
            if report.readable {
                engine.readable(report.key as u32, false);
            }
            if report.writable {
                engine.writable(report.key as u32);
            }
        }
        engine.begin_turn(now());
        echo::hear(&mut engine, &mut reply);
        engine.flush();
        while let Some((id, interest)) = engine.next_interest() {
            let Some(Socket { stream, .. }) = engine.stream(id) else { continue };
            poller.modify(stream, Event::new(id.index as usize, interest.readable, interest.writable))?;
        }
        engine.reap(|Socket { stream, .. }| {
            drop(poller.delete(&stream));
            // There is a descriptor for another one.
            accepting = true;
        });
        if std::mem::take(&mut accepting) {
            poller.modify(&listener, Event::readable(LISTENER))?;
        }
    }
}

/// Until there is nothing left; returns whether another one could be taken in.
fn accept_all(
    listener: &TcpListener,
    engine: &mut Engine<Socket<TcpStream>>,
    poller: &polling::Poller,
) -> io::Result<bool> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                let id = engine.insert(Socket { stream, shut_down: |stream| stream.shutdown(Shutdown::Write) }, 0);
                if let Some(Socket { stream, .. }) = engine.stream(id) {
                    // SAFETY: it is closed where it was reaped, behind `delete`.
                    unsafe { poller.add(stream, Event::none(id.index as usize))? };
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            // One that has gone away again.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            // No descriptor left: those that wait are let in when another one has gone.
            Err(error) => {
                eprintln!("accept: {error}");
                return Ok(false);
            }
        }
    }
}
