//! The scenario `neighbour`: pings beside connections that pipeline the requests that cost a server most, one kind
//! after the other, and while very many sessions end that watch very many people.
//!
//! A thread of its own pushes those connections: it sends as fast as the server takes it and forgets the answers, so
//! that the time of a ping is the server's and not this program's. They speak Salon's JSON dialect.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::proto::frame::{Opcode, encode_masked_frame};

use super::client::Ended;
use super::latency::Latencies;
use super::progress::Progress;
use super::report::Beside;
use super::swarm::Swarm;
use super::target::{Target, fill};
use super::{Error, Length, Plan};

/// Pings beside each kind of flood, for as long as the plan says; and then beside the end of the watchers.
pub fn run(plan: &Plan, swarm: &mut Swarm, watchers: usize, progress: &mut Progress) -> Result<Vec<Beside>, Error> {
    let mut found = Vec::new();
    found.push(beside(plan, swarm, "nobody", progress, || 0)?);
    for (kind, (what, upgraded, one)) in floods().into_iter().enumerate() {
        // Each flood has people of its own, none of them a neighbour: the server must not charge one for another.
        let ids = (kind + 1) * OTHERS..;
        let crowd =
            ids.take(plan.connections).map(|id| connect(&plan.target, id, upgraded)).collect::<Result<Vec<_>, _>>()?;
        let (over, block) = (AtomicBool::new(false), one.repeat((BLOCK / one.len()).max(1)));
        let row = thread::scope(|scope| {
            let flood = scope.spawn(|| push(crowd, &block, &over));
            let row = beside(plan, swarm, what, progress, || 0);
            over.store(true, Ordering::Relaxed);
            // A flood that panics has printed it on standard error.
            let ended = flood.join().unwrap_or(plan.connections as u64);
            row.map(|row| Beside { ended, ..row })
        })?;
        found.push(row);
        swarm.settle(&plan.target, SETTLING)?;
    }
    let watch = text(&format!(r#"{{"type":"presence","user_ids":[{}],"subscribe":true}}"#, names()));
    let mut crowd = Vec::new();
    for id in 0..watchers {
        let mut stream = connect(&plan.target, 100 * OTHERS + id, true)?;
        let failed = |error| Error::Connect { address: plan.target.address, error };
        stream.set_nonblocking(false).and_then(|()| stream.write_all(&watch)).map_err(failed)?;
        crowd.push(stream);
        progress.tell(|| format!("{id} of {watchers} watch"));
    }
    swarm.settle(&plan.target, SETTLING)?;
    found.push(beside(plan, swarm, "sessions that end", progress, || crowd.drain(..).count() as u64)?);
    Ok(found)
}

/// Pings of one neighbour after the other, each when the last was answered and the next is due. `begin` is done after
/// the first.
fn beside(
    plan: &Plan,
    swarm: &mut Swarm,
    what: &'static str,
    progress: &mut Progress,
    begin: impl FnOnce() -> u64,
) -> Result<Beside, Error> {
    let Length::Time(time) = plan.length else { return Ok(Beside::default()) };
    let mut latencies = Latencies::new();
    let (mut begin, mut ended) = (Some(begin), 0);
    let end = swarm.now() + time.as_nanos() as u64;
    for who in (0..NEIGHBOURS).cycle() {
        if swarm.now() >= end || !swarm.clients[who].is_open() {
            break;
        }
        let (said, before) = (swarm.now(), swarm.clients[who].pongs);
        let Swarm { clients, random, .. } = swarm;
        clients[who].say(Opcode::Ping, b"", random);
        clients[who].flush();
        while swarm.clients[who].pongs == before && swarm.clients[who].is_open() {
            if swarm.now() - said > PATIENCE {
                swarm.clients[who].end(Ended::Cut("no pong came for ten seconds".into()));
                break;
            }
            swarm.wait(said + PATIENCE)?;
            for at in 0..swarm.ready.len() {
                let ready = swarm.ready[at];
                swarm.serve(ready, &plan.target, |_, _| {});
            }
        }
        latencies.record(swarm.now() - said);
        if let Some(begin) = begin.take() {
            ended = begin();
        }
        progress.tell(|| format!("beside {what}"));
        while swarm.now() < said + EVERY {
            swarm.settle(&plan.target, EVERY / 4)?;
        }
    }
    let why = swarm.clients.iter().find_map(|client| client.ended()).map(ToString::to_string);
    Ok(Beside { what, latency: latencies.summary(), ended, neighbour_ended: why })
}

/// Sends the block again and again on each connection, and forgets the answers; returns how many connections have
/// ended.
fn push(mut crowd: Vec<TcpStream>, block: &[u8], over: &AtomicBool) -> u64 {
    let (mut sent, mut ended) = (vec![0; crowd.len()], 0);
    let mut buffer = vec![0; BLOCK];
    while !over.load(Ordering::Relaxed) && !crowd.is_empty() {
        let mut quiet = true;
        for at in (0..crowd.len()).rev() {
            let stream = &mut crowd[at];
            let wrote = stream.write(&block[sent[at]..]);
            let read = stream.read(&mut buffer);
            match (&wrote, &read) {
                (Ok(len), _) => {
                    sent[at] = (sent[at] + len) % block.len();
                    quiet = false;
                }
                (_, Ok(1..)) => quiet = false,
                _ => {}
            }
            let is_over = |result: &io::Result<usize>| match result {
                Ok(len) => *len == 0,
                Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
            };
            if is_over(&wrote) || is_over(&read) {
                crowd.swap_remove(at);
                sent.swap_remove(at);
                ended += 1;
            }
        }
        if quiet {
            thread::sleep(PAUSE);
        }
    }
    ended
}

/// A connection, upgraded or not yet.
fn connect(target: &Target, id: usize, upgraded: bool) -> Result<TcpStream, Error> {
    let failed = |error| Error::Connect { address: target.address, error };
    let stream = open(target.address).map_err(failed)?;
    if upgraded {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            fill(&target.path, id, 0),
            target.host
        );
        let answer = exchange(&stream, request.as_bytes()).map_err(failed)?;
        if !answer.starts_with(b"HTTP/1.1 101 ") {
            let why = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
            return Err(Error::Ended { connection: id, why, heard: String::new() });
        }
    }
    stream.set_nonblocking(true).map_err(failed)?;
    Ok(stream)
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_nanos(PATIENCE)))?;
    Ok(stream)
}

fn exchange(mut stream: &TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    // A byte at a time, so that no frame behind it is taken.
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < MAX_HEAD {
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    Ok(answer)
}

/// What is pipelined: its name, whether over a WebSocket, and one of it.
fn floods() -> [(&'static str, bool, Vec<u8>); 8] {
    let get = |line: &str| format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes();
    [
        ("HEAD of a file", false, get("HEAD /client.js")),
        ("GET of nothing", false, get("GET /nothing")),
        ("pings", true, frame(Opcode::Ping, b"")),
        ("empty texts", true, text("")),
        ("joins", true, text(r#"{"type":"join","room_id":"den"}"#)),
        ("joins of many rooms", true, text(&format!(r#"{{"type":"join","rooms":[{}]}}"#, rooms()))),
        ("broadcasts to all", true, text(r#"{"type":"broadcast","room_id":"*","content":"hello"}"#)),
        ("presence of many", true, text(&format!(r#"{{"type":"presence","user_ids":[{}]}}"#, names()))),
    ]
}

/// Names that nobody has, in JSON.
fn names() -> String {
    let names: Vec<String> =
        (0..NAMES).map(|n| format!("\"somebody-with-a-name-that-is-rather-long-{n:04}\"")).collect();
    names.join(",")
}

/// Rooms to be joined, in JSON.
fn rooms() -> String {
    let rooms: Vec<String> = (0..ROOMS).map(|n| format!(r#"{{"room_id":"room-{n}"}}"#)).collect();
    rooms.join(",")
}

fn text(text: &str) -> Vec<u8> {
    frame(Opcode::Text, text.as_bytes())
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_masked_frame(opcode, payload, [0x5A; 4], &mut out);
    out
}

/// Names in one request.
const NAMES: usize = 1000;

/// Rooms in one list of joins: as many as `welcome.limits.join_rooms` says by default.
const ROOMS: usize = 128;

/// Bytes that are sent at a time, and read.
const BLOCK: usize = 256 << 10;

/// How long the thread rests when no connection can be written to or read.
const PAUSE: Duration = Duration::from_micros(50);

/// Connections that ping in turn, so that each stays within Salon's rate for one person.
pub const NEIGHBOURS: usize = 8;

/// From one ping to the next, in nanoseconds.
const EVERY: u64 = 8_000_000;

/// From the number of the first connection of one flood to that of the first of the next.
const OTHERS: usize = 100_000;

/// How long the bench waits for a pong, or for anything, in nanoseconds.
const PATIENCE: u64 = 10_000_000_000;

/// How long the server has to recover from the last flood, in nanoseconds.
const SETTLING: u64 = 500_000_000;

/// Bytes of a response head.
const MAX_HEAD: usize = 16 << 10;
