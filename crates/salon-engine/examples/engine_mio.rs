//! Many connections in one thread: an echo server over mio, which is edge-triggered.
//!
//! ```sh
//! cargo run -p salon-engine --example engine_mio 127.0.0.1:9001
//! ```
//!
//! Under another poller the engine says what is to be watched: `engine_polling`.

mod echo;

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use echo::Socket;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use salon_engine::{ConnId, DeflateSettings, Engine, Settings, Tick};

const LISTENER: Token = Token(usize::MAX);

fn main() -> io::Result<()> {
    let address: SocketAddr = std::env::args()
        .nth(1)
        .map_or(Ok(([127, 0, 0, 1], 9001).into()), |text| text.parse())
        .map_err(io::Error::other)?;
    let (mut poll, mut ready, mut listener) = (Poll::new()?, Events::with_capacity(1024), TcpListener::bind(address)?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let began = Instant::now();
    let now = || Tick(began.elapsed().as_millis() as u64);
    let mut settings = Settings::default();
    settings.deflate = Some(DeflateSettings::default());
    let (mut engine, mut reply) = (Engine::new(settings, now()), Vec::new());
    loop {
        let within = match engine.has_work() {
            true => Some(Duration::ZERO),
            false => engine.next_deadline().map(|due| due.since(now())),
        };
        match poll.poll(&mut ready, within) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &ready {
            match event.token() {
                LISTENER => accept_all(&listener, &mut engine, poll.registry())?,
                Token(index) => {
                    if event.is_readable() {
                        engine.readable(index as u32, event.is_read_closed() || event.is_error());
                    }
                    if event.is_writable() {
                        engine.writable(index as u32);
                    }
                }
            }
        }
        engine.begin_turn(now());
        echo::hear(&mut engine, &mut reply);
        engine.flush();
        engine.reap(|mut socket| drop(poll.registry().deregister(&mut socket.stream)));
    }
}

/// Edge-triggered: until there is nothing left.
fn accept_all(listener: &TcpListener, engine: &mut Engine<Socket<TcpStream>>, registry: &Registry) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let id: ConnId =
                    engine.insert(Socket { stream, shut_down: |stream| stream.shutdown(Shutdown::Write) }, 0);
                if let Some(Socket { stream, .. }) = engine.stream_mut(id) {
                    registry.register(stream, Token(id.index as usize), Interest::READABLE | Interest::WRITABLE)?;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // One that has gone away again.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            // No descriptor left: those that wait are let in when the next one comes.
            Err(error) => {
                eprintln!("accept: {error}");
                return Ok(());
            }
        }
    }
}
