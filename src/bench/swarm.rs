//! All connections in one loop over one poller: opening them, waiting, and measuring how long it only waited.
//!
//! Before it sleeps it asks the poller again for a while ([`SPIN`]). A sleeping receiver would have to be woken, and
//! the server would pay for that in its `send`: the figures would depend on how fast this program is.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::client::{Client, Ended, Phase, Random};
use super::latency::Latencies;
use super::progress::Progress;
use super::target::Target;
use super::{Error, Plan};

/// The connections of one bench.
#[derive(Debug)]
pub struct Swarm {
    poll: Poll,
    events: Events,
    /// By their number.
    pub clients: Vec<Client>,
    /// The connections that the last wait found ready.
    pub ready: Vec<Ready>,
    /// The buffer for reads; its content has no meaning between them.
    pub buffer: Vec<u8>,
    /// Source of masking keys.
    pub random: Random,
    pub began: Instant,
    busy_until: u64,
    /// Nanoseconds in which there was nothing to do.
    pub waited: u64,
}

/// A connection that something has happened to.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Its number.
    pub client: usize,
    /// There may be bytes, or the end.
    pub readable: bool,
    /// The socket takes bytes again.
    pub writable: bool,
    /// The server has ended its side.
    pub ended: bool,
}

/// The result of opening connections.
#[derive(Debug)]
pub struct Opened {
    /// How long it took, in nanoseconds.
    pub nanos: u64,
    /// How long each took from connecting until it was in.
    pub latencies: Latencies,
    /// Those that were not let in, where that is allowed.
    pub refused: u64,
    /// Why the first of them was not.
    pub first_refusal: Option<String>,
}

impl Swarm {
    /// No connection yet.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            poll: Poll::new().map_err(Error::Loop)?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            ready: Vec::with_capacity(1024),
            buffer: vec![0; 1 << 20],
            random: Random::default(),
            began: Instant::now(),
            busy_until: 0,
            waited: 0,
        })
    }

    /// Nanoseconds since the bench began.
    pub fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Waits until something is ready, but not past `until` and not for long; fills `ready`.
    pub fn wait(&mut self, until: u64) -> Result<(), Error> {
        let before = self.now();
        self.poll(Duration::ZERO)?;
        if self.ready.is_empty() {
            let now = self.now();
            let longest = until.saturating_sub(now).min(MAX_SLEEP);
            // The poller counts in milliseconds: for shorter waits the loop stays awake.
            let millis = longest / 1_000_000;
            if now.saturating_sub(self.busy_until) > SPIN && millis > 0 {
                self.poll(Duration::from_millis(millis))?;
            }
            self.waited += self.now() - before;
        }
        if !self.ready.is_empty() {
            self.busy_until = self.now();
        }
        Ok(())
    }

    fn poll(&mut self, timeout: Duration) -> Result<(), Error> {
        self.ready.clear();
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Error::Loop(error)),
        }
        self.ready.extend(self.events.iter().map(|event| Ready {
            client: event.token().0,
            readable: event.is_readable() || event.is_error(),
            writable: event.is_writable(),
            ended: event.is_read_closed() || event.is_error(),
        }));
        Ok(())
    }

    /// Opens all connections of the plan, some at a time, until each is in. `slow` of them, the last, get small
    /// buffers.
    ///
    /// `lenient`: refused connections are counted; otherwise the first one ends the bench.
    pub fn open(&mut self, plan: &Plan, slow: usize, lenient: bool, progress: &mut Progress) -> Result<Opened, Error> {
        let start = self.now();
        let (mut done, mut refused, mut first_refusal) = (0, 0, None);
        let mut began: Vec<u64> = Vec::with_capacity(plan.connections);
        let mut settled = vec![false; plan.connections];
        let mut latencies = Latencies::new();
        let mut last = start;
        while done < plan.connections {
            while self.clients.len() < plan.connections && self.clients.len() - done < plan.in_flight {
                let id = self.clients.len();
                began.push(self.now());
                self.connect(plan, id, id >= plan.connections - slow)?;
            }
            self.wait(u64::MAX)?;
            let now = self.now();
            if !self.ready.is_empty() {
                last = now;
            } else if now - last > PATIENCE {
                return Err(self.stuck(done, plan));
            }
            for at in 0..self.ready.len() {
                let ready = self.ready[at];
                let client = &mut self.clients[ready.client];
                if client.ended().is_some() {
                    // One that was refused before: the rest of its stream.
                    continue;
                }
                if client.phase == Phase::Opening
                    && let Some(error) = client.connect_error()
                {
                    client.end(Ended::Cut(format!("it cannot be connected: {error}")));
                    if done == 0 && !lenient {
                        return Err(Error::Connect { address: plan.target.address, error });
                    }
                }
                if ready.writable {
                    client.flush();
                }
                if ready.readable {
                    client.read(&mut self.buffer, ready.ended, &plan.target, &mut self.random, self.began, |_, _| {});
                }
                match &client.phase {
                    Phase::Opening | Phase::Joining => continue,
                    Phase::Open if settled[ready.client] => continue,
                    Phase::Open => latencies.record(now - began[ready.client]),
                    // A connection that was in and has ended is a fault in any scenario.
                    Phase::Ended(ended) if !lenient || settled[ready.client] => {
                        return Err(Error::Ended {
                            connection: ready.client,
                            why: ended.to_string(),
                            heard: client.heard_last().to_owned(),
                        });
                    }
                    Phase::Ended(ended) => {
                        refused += 1;
                        first_refusal.get_or_insert_with(|| ended.to_string());
                    }
                }
                settled[ready.client] = true;
                done += 1;
            }
            progress.tell(|| format!("opening: {done} of {} connections", plan.connections));
        }
        Ok(Opened { nanos: self.now() - start, latencies, refused, first_refusal })
    }

    fn connect(&mut self, plan: &Plan, id: usize, slow: bool) -> Result<(), Error> {
        let address = plan.target.address;
        let from = (!plan.from.is_empty()).then(|| plan.from[id % plan.from.len()]);
        let stream = connect(address, from, slow).map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => Error::NoPorts { connection: id },
            _ => Error::Connect { address, error },
        })?;
        let mut client = Client::new(stream, &plan.target, id, id % plan.rooms, &mut self.random)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut client.stream, Token(id), interest).map_err(Error::Loop)?;
        if client.stream.peer_addr().is_ok() {
            // A near server is reached at once, and then sees the request with the connection.
            client.flush();
        }
        self.clients.push(client);
        Ok(())
    }

    fn stuck(&self, done: usize, plan: &Plan) -> Error {
        let joining = self.clients.iter().find(|client| client.phase == Phase::Joining);
        Error::Stuck {
            done,
            of: plan.connections,
            awaited: joining.and(plan.target.joined.clone()),
            heard: joining.map(|client| client.heard_last().to_owned()).unwrap_or_default(),
        }
    }

    /// Reads and forgets messages for a while: notices of joining.
    pub fn settle(&mut self, target: &Target, nanos: u64) -> Result<(), Error> {
        let end = self.now() + nanos;
        while self.now() < end {
            self.wait(end)?;
            for at in 0..self.ready.len() {
                let ready = self.ready[at];
                self.serve(ready, target, |_, _| {});
            }
        }
        Ok(())
    }

    /// Writes and reads one that is ready.
    pub fn serve(&mut self, ready: Ready, target: &Target, hear: impl FnMut(&[u8], u64)) {
        let client = &mut self.clients[ready.client];
        if ready.writable {
            client.flush();
        }
        if ready.readable {
            client.read(&mut self.buffer, ready.ended, target, &mut self.random, self.began, hear);
        }
    }

    /// Reads one that was not read for a while: the poller does not report again what happened to it meanwhile.
    pub fn read(&mut self, id: usize, target: &Target) {
        self.serve(Ready { client: id, readable: true, writable: false, ended: true }, target, |_, _| {});
    }

    /// Closes all connections that are left, and waits until the server has ended them, but not for long.
    pub fn close(&mut self, target: &Target) -> Result<(), Error> {
        for client in &mut self.clients {
            if client.is_open() {
                client.close();
            }
        }
        let end = self.now() + CLOSING;
        while self.now() < end && self.clients.iter().any(|client| client.ended().is_none()) {
            self.wait(end)?;
            for at in 0..self.ready.len() {
                let ready = self.ready[at];
                self.serve(ready, target, |_, _| {});
            }
        }
        self.clients.clear();
        Ok(())
    }
}

fn connect(address: SocketAddr, from: Option<IpAddr>, slow: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    if slow {
        // The messages that it does not read must pile up at the server and not in the kernel.
        socket.set_recv_buffer_size(4096)?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    socket.set_tcp_nodelay(true)?;
    Ok(TcpStream::from_std(socket.into()))
}

/// How long the poller is asked again before the loop sleeps, in nanoseconds.
const SPIN: u64 = 50_000;

/// The longest sleep in nanoseconds.
const MAX_SLEEP: u64 = 20_000_000;

/// How long opening may stand still, in nanoseconds.
const PATIENCE: u64 = 10_000_000_000;

/// How long the server has to end all connections, in nanoseconds.
const CLOSING: u64 = 5_000_000_000;
