//! One echo server over real sockets, under each way of waiting that there is: edges, levels, reports that come once, and
//! completions, as io_uring and IOCP have them. What comes back is the same, to the byte and to the end.

#[path = "../examples/echo/mod.rs"]
mod echo;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use echo::Socket;
use polling::{Event, PollMode};
use salon_engine::proto::Limits;
use salon_engine::proto::frame::{Opcode, encode_frame, encode_masked_frame};
use salon_engine::{ConnId, Engine, Poller, Settings, Stream, Tick};

const CLIENTS: usize = 3;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// How a client ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    /// Without a word, behind its last message and perhaps in one segment with it.
    HalfClose,
}

/// A socket of which nothing is known but that it does not wait.
struct Plain(TcpStream);

impl Read for Plain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Plain {
    fn shut_down(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

/// What has been read and what is to be written, for operations that are under way while nobody waits for them.
#[derive(Default)]
struct Buffers {
    come: VecDeque<u8>,
    ended: bool,
    reading: bool,
    going: Vec<u8>,
    writing: bool,
    shut_down: bool,
}

impl Read for Buffers {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.come.read(into)? {
            0 if !self.ended => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.writing {
            true => Err(ErrorKind::WouldBlock.into()),
            false => self.going.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Buffers {
    fn shut_down(&mut self) -> io::Result<()> {
        self.shut_down = true;
        Ok(())
    }
}

fn engine<S: Stream>(poller: Poller) -> Engine<S> {
    let mut settings = Settings::default();
    settings.poller = poller;
    settings.limits = Limits::new().message_bytes(2 << 20);
    settings.outbox_bytes = 16 << 20;
    // A machine that stands still for long is no fault of anybody here.
    settings.blocked_within = Duration::from_secs(600);
    settings.close_within = Duration::from_secs(600);
    Engine::new(settings, Tick(0))
}

/// How long a loop may wait.
fn within<S: Stream>(engine: &Engine<S>, began: Instant) -> Option<Duration> {
    match engine.has_work() {
        true => Some(Duration::ZERO),
        false => engine.next_deadline().map(|due| due.since(tick(began))),
    }
}

fn tick(began: Instant) -> Tick {
    Tick(began.elapsed().as_millis() as u64)
}

/// A server under `polling`, until all its clients have gone.
fn serve<S: Stream>(
    listener: &TcpListener,
    mode: PollMode,
    poller: Poller,
    wrap: fn(TcpStream) -> S,
    tcp: fn(&S) -> &TcpStream,
) -> io::Result<()> {
    let (poll, mut reports) = (polling::Poller::new()?, polling::Events::new());
    let (mut engine, mut reply, began) = (engine(poller), Vec::new(), Instant::now());
    for _ in 0..CLIENTS {
        let stream = listener.accept()?.0;
        stream.set_nonblocking(true)?;
        let id = engine.insert(wrap(stream), 0);
        let watched = poller == Poller::Edge;
        let interest = Event::new(id.index as usize, watched, watched);
        // SAFETY: it is closed where it was reaped, behind `delete`.
        unsafe { poll.add_with_mode(tcp(engine.stream(id).expect("it is new")), interest, mode)? };
    }
    let mut first = true;
    while !engine.is_empty() {
        // What the poller is to watch is asked before the first wait too.
        if !std::mem::take(&mut first) {
            reports.clear();
            poll.wait(&mut reports, within(&engine, began))?;
        }
        for report in reports.iter() {
            if report.readable {
                engine.readable(report.key as u32, false);
            }
            if report.writable {
                engine.writable(report.key as u32);
            }
        }
        engine.begin_turn(tick(began));
        echo::hear(&mut engine, &mut reply);
        engine.flush();
        while let Some((id, interest)) = engine.next_interest() {
            let Some(stream) = engine.stream(id) else { continue };
            let event = Event::new(id.index as usize, interest.readable, interest.writable);
            poll.modify_with_mode(tcp(stream), event, mode)?;
        }
        engine.reap(|stream| drop(poll.delete(tcp(&stream))));
    }
    Ok(())
}

/// An operation that is over.
enum Done {
    /// No bytes: the end.
    Read(ConnId, Vec<u8>),
    Wrote(ConnId),
}

/// The operations of one connection: a thread for reads and one for writes, each of which has one under way at most.
struct Operations {
    id: ConnId,
    read: Sender<()>,
    write: Sender<Vec<u8>>,
    stream: TcpStream,
}

impl Operations {
    fn of(stream: TcpStream, id: ConnId, done: &Sender<Done>) -> io::Result<Self> {
        let (read, reads) = mpsc::channel::<()>();
        let (write, writes) = mpsc::channel::<Vec<u8>>();
        let (mut from, told) = (stream.try_clone()?, done.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 4096];
            while reads.recv().is_ok() {
                let len = from.read(&mut buffer).unwrap_or(0);
                if told.send(Done::Read(id, buffer[..len].to_vec())).is_err() || len == 0 {
                    break;
                }
            }
        });
        let (mut into, told) = (stream.try_clone()?, done.clone());
        thread::spawn(move || {
            while let Ok(bytes) = writes.recv() {
                if into.write_all(&bytes).is_err() || told.send(Done::Wrote(id)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { id, read, write, stream })
    }
}

/// The same server where reads and writes are begun, and told of when they are over.
fn serve_completions(listener: &TcpListener) -> io::Result<()> {
    let (told, done): (Sender<Done>, Receiver<Done>) = mpsc::channel();
    let (mut engine, mut reply, began) = (engine::<Buffers>(Poller::Edge), Vec::new(), Instant::now());
    let mut operations = Vec::new();
    for _ in 0..CLIENTS {
        let stream = listener.accept()?.0;
        let id = engine.insert(Buffers { reading: true, ..Buffers::default() }, 0);
        let one = Operations::of(stream, id, &told)?;
        one.read.send(()).map_err(io::Error::other)?;
        operations.push(one);
    }
    while !engine.is_empty() {
        let first = match done.recv_timeout(within(&engine, began).unwrap_or(Duration::MAX)) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
        };
        for one in first.into_iter().chain(done.try_iter()) {
            match one {
                Done::Read(id, bytes) => {
                    if let Some(stream) = engine.stream_mut(id) {
                        (stream.reading, stream.ended) = (false, bytes.is_empty());
                        stream.come.extend(bytes);
                        engine.readable(id.index, false);
                    }
                }
                Done::Wrote(id) => {
                    if let Some(stream) = engine.stream_mut(id) {
                        stream.writing = false;
                        engine.writable(id.index);
                    }
                }
            }
        }
        engine.begin_turn(tick(began));
        echo::hear(&mut engine, &mut reply);
        engine.flush();
        for one in &operations {
            let Some(stream) = engine.stream_mut(one.id) else { continue };
            if !stream.going.is_empty() && !stream.writing {
                stream.writing = true;
                one.write.send(std::mem::take(&mut stream.going)).map_err(io::Error::other)?;
            }
            if stream.shut_down && !stream.writing {
                // It may have gone by itself.
                drop(one.stream.shutdown(Shutdown::Write));
            }
            // The next read is begun when what the last one brought has been taken.
            if stream.come.is_empty() && !stream.reading && !stream.ended {
                stream.reading = one.read.send(()).is_ok();
            }
        }
        engine.reap(drop);
    }
    Ok(())
}

/// A client: says much without listening, in another thread, and returns all it hears.
fn talk(address: SocketAddr, end: End) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    let mut writing = stream.try_clone()?;
    let writer = thread::spawn(move || {
        let mut said = REQUEST.to_vec();
        for (opcode, payload) in messages() {
            encode_masked_frame(opcode, &payload, KEY, &mut said);
        }
        if let End::Close = end {
            encode_masked_frame(Opcode::Close, &1000_u16.to_be_bytes(), KEY, &mut said);
        }
        writing.write_all(&said)?;
        match end {
            End::Close => Ok(()),
            End::HalfClose => writing.shutdown(Shutdown::Write),
        }
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    writer.join().expect("it does not panic")?;
    Ok(heard)
}

/// Many small ones, and one that no socket's buffer holds.
fn messages() -> Vec<(Opcode, Vec<u8>)> {
    let small = (0..300).map(|n| (Opcode::Text, format!("{n}").repeat(n + 1).into_bytes()));
    small.chain([(Opcode::Binary, vec![0xff; 1 << 20]), (Opcode::Text, b"last".to_vec())]).collect()
}

fn check(name: &str, server: impl Fn(&TcpListener) -> io::Result<()> + Copy + Send + 'static) {
    for end in [End::Close, End::HalfClose] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let serving = thread::spawn(move || server(&listener));
        let clients: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(move || talk(address, end))).collect();
        let mut expected = Vec::new();
        for (opcode, payload) in messages() {
            encode_frame(opcode, &payload, &mut expected);
        }
        if let End::Close = end {
            encode_frame(Opcode::Close, &1000_u16.to_be_bytes(), &mut expected);
        }
        for client in clients {
            let heard = client.join().expect("it does not panic").expect("a whole stream");
            let head = heard.windows(4).position(|four| four == b"\r\n\r\n").expect("a response") + 4;
            assert!(heard.starts_with(b"HTTP/1.1 101 "), "{name}, {end:?}");
            assert!(heard[head..] == expected, "{name}, {end:?}: {} of {}", heard.len() - head, expected.len());
        }
        serving.join().expect("it does not panic").expect("a server without an error");
    }
}

fn plain(mode: PollMode, poller: Poller) -> impl Fn(&TcpListener) -> io::Result<()> + Copy + Send + 'static {
    move |listener| serve(listener, mode, poller, Plain, |stream| &stream.0)
}

/// A socket that knows what a short count means.
fn knowing(mode: PollMode, poller: Poller) -> impl Fn(&TcpListener) -> io::Result<()> + Copy + Send + 'static {
    let wrap = |stream| Socket { stream, shut_down: |stream: &TcpStream| stream.shutdown(Shutdown::Write) };
    move |listener| serve(listener, mode, poller, wrap, |socket| &socket.stream)
}

#[test]
fn reports_that_come_once() {
    check("once, plain", plain(PollMode::Oneshot, Poller::OneShot));
    check("once", knowing(PollMode::Oneshot, Poller::OneShot));
}

#[test]
fn levels() {
    if !polling::Poller::new().expect("a poller").supports_level() {
        return;
    }
    check("level, plain", plain(PollMode::Level, Poller::Level));
    check("level", knowing(PollMode::Level, Poller::Level));
}

/// `polling` does not say that a stream has ended, so a socket that takes a short read for all would miss an end in the
/// same edge: a plain one reads on. `engine_mio` has a poller that says it.
#[test]
fn edges() {
    if !polling::Poller::new().expect("a poller").supports_edge() {
        return;
    }
    check("edge, plain", plain(PollMode::Edge, Poller::Edge));
}

#[test]
fn completions() {
    check("completions", serve_completions);
}
