//! The [`System`] of a simulated server: its time, its network and its signals are those of the world.

use std::cell::{RefCell, RefMut};
use std::io::{self, IoSlice, Read, Write};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::server::system::{Peek, Process, Raw, RawMut, RawOf, Ready, System, Watched};
use crate::server::tls::Transport;

use super::network::Time;
use super::world::World;

/// The machine that a server runs on, in one of its lives.
#[derive(Debug)]
pub struct Machine {
    world: Rc<RefCell<World>>,
    host: usize,
    started: Time,
}

impl Machine {
    /// A host on which a server begins now.
    pub fn new(world: Rc<RefCell<World>>, host: usize) -> Self {
        let started = world.borrow().net.now;
        Self { world, host, started }
    }

    /// The world, in which the process may have been stopped just now.
    fn amid_a_turn(&self) -> RefMut<'_, World> {
        let mut world = self.world.borrow_mut();
        world.amid_a_turn(self.host);
        world
    }
}

/// The server's side of a link.
#[derive(Debug)]
pub struct Stream {
    world: Rc<RefCell<World>>,
    link: usize,
}

impl Stream {
    fn amid_a_turn(&self) -> RefMut<'_, World> {
        let mut world = self.world.borrow_mut();
        let host = world.net.links[self.link].host;
        world.amid_a_turn(host);
        world
    }
}

impl System for Machine {
    type Tcp = Stream;
    type Unix = Stream;

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.world.borrow_mut().wait(timeout.map(|timeout| timeout.as_micros() as Time))
    }

    fn report(&mut self, note: impl FnMut(Ready)) -> bool {
        self.amid_a_turn().net.report(self.host, note)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.amid_a_turn().net.now - self.started)
    }

    /// Work takes no time here: what passes in a turn is a standstill.
    fn worked(&self) -> Duration {
        Duration::ZERO
    }

    fn unix_ms(&self) -> u64 {
        self.world.borrow().net.unix_ms()
    }

    fn process() -> Process {
        Process::default()
    }

    fn accept(&mut self, listener: usize) -> io::Result<(RawOf<Self>, Option<IpAddr>)> {
        let (link, address) = self.amid_a_turn().net.accept(self.host, listener)?;
        Ok((Raw::Tcp(Stream { world: self.world.clone(), link }), Some(address)))
    }

    fn stop_listening(&mut self, _: usize) {}

    fn watch(&mut self, connection: RawMut<'_, Self>, of: Watched) -> io::Result<()> {
        let (Raw::Tcp(stream) | Raw::Unix(stream)) = connection;
        self.amid_a_turn().net.watch(stream.link, of);
        Ok(())
    }

    fn watch_as(&mut self, connection: RawMut<'_, Self>, of: Watched) -> io::Result<()> {
        self.watch(connection, of)
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.amid_a_turn().net.read(self.link, into)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.amid_a_turn().net.write(self.link, slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Peek for Stream {
    fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.world.borrow().net.peek(self.link, into)
    }
}

impl Transport for Stream {
    fn end(&mut self) -> io::Result<()> {
        self.amid_a_turn().net.shut_down(self.link)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.world.borrow_mut().net.let_go(self.link);
    }
}
