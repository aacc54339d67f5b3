//! What does an echo cost through the adapters of `salon-proto`, beside tungstenite, tokio-websockets, fastwebsockets?
//!
//! One connection over loopback, and a client that keeps `depth` messages under way. Every server is a thread of its
//! own that reads the next message as text, checks it and sends it back, in the way its documentation shows; those with
//! tokio are a task on a runtime of one thread. The opening handshake is left out. "CPU" is what the server's thread
//! used, by the kernel's count (`/proc/thread-self/schedstat`), kernel time for its sockets included; "rate" is
//! messages a second. Contestants take turns, and each shows its best of several rounds.
//!
//! `cargo bench --bench adapters` (Linux); `cargo bench --bench adapters -- 3` runs three rounds.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use futures::{SinkExt, StreamExt};
use salon::proto::frame::{Opcode, encode_masked_frame};
use salon::proto::{Agreed, Connection, blocking};
use tungstenite::protocol::{Role, WebSocket};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const SIZES: [usize; 4] = [16, 125, 1 << 10, 16 << 10];
const DEPTHS: [usize; 2] = [1, 16];

/// A server's connection to its end. The stream's end is no error here.
type Serve = fn(TcpStream) -> io::Result<()>;

const CONTESTANTS: [(&str, Serve); 6] = [
    ("salon-proto, blocking", salon_blocking),
    ("tungstenite", tungstenite_blocking),
    ("salon-proto, tokio, lent", salon_tokio_lent),
    ("salon-proto, tokio, Stream", salon_tokio_stream),
    ("tokio-websockets", tokio_websockets),
    ("fastwebsockets", fastwebsockets),
];

fn salon_blocking(stream: TcpStream) -> io::Result<()> {
    let mut socket = blocking::WebSocket::over(stream, Connection::server(&Agreed::NOTHING), &[]);
    while let Some((event, mut sender)) = socket.read()? {
        event.message().map_or(Ok(()), |message| sender.send(message))?;
    }
    Ok(())
}

fn tungstenite_blocking(stream: TcpStream) -> io::Result<()> {
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    loop {
        let message = socket.read().map_err(io::Error::other)?;
        if message.is_text() || message.is_binary() {
            socket.send(message).map_err(io::Error::other)?;
        }
    }
}

fn run(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(work)
}

fn asynchronous(stream: TcpStream) -> io::Result<tokio::net::TcpStream> {
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

fn salon_tokio_lent(stream: TcpStream) -> io::Result<()> {
    run(async {
        let connection = Connection::server(&Agreed::NOTHING);
        let mut socket = salon::proto::tokio::WebSocket::over(asynchronous(stream)?, connection, &[]);
        while let Some((event, mut sender)) = socket.read().await? {
            event.message().map_or(Ok(()), |message| sender.send(message)).map_err(io::Error::other)?;
        }
        Ok(())
    })
}

fn salon_tokio_stream(stream: TcpStream) -> io::Result<()> {
    run(async {
        let connection = Connection::server(&Agreed::NOTHING);
        let socket = salon::proto::tokio::WebSocket::over(asynchronous(stream)?, connection, &[]);
        let (sink, messages) = socket.split();
        messages.forward(sink).await
    })
}

fn tokio_websockets(stream: TcpStream) -> io::Result<()> {
    run(async {
        let mut socket = tokio_websockets::ServerBuilder::new().serve(asynchronous(stream)?);
        while let Some(message) = socket.next().await {
            let message = message.map_err(io::Error::other)?;
            if message.is_text() || message.is_binary() {
                socket.send(message).await.map_err(io::Error::other)?;
            }
        }
        Ok(())
    })
}

fn fastwebsockets(stream: TcpStream) -> io::Result<()> {
    run(async {
        let socket = fastwebsockets::WebSocket::after_handshake(asynchronous(stream)?, fastwebsockets::Role::Server);
        let mut socket = FragmentCollector::new(socket);
        loop {
            let frame = socket.read_frame().await.map_err(io::Error::other)?;
            if matches!(frame.opcode, OpCode::Text | OpCode::Binary) {
                let reply = Frame::new(true, frame.opcode, None, Payload::Owned(frame.payload.to_vec()));
                socket.write_frame(reply).await.map_err(io::Error::other)?;
            }
        }
    })
}

/// Nanoseconds that this thread has run.
fn used() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that counts");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number first")
}

/// Nanoseconds of CPU a message at the server, and messages a second.
fn measure(serve: Serve, size: usize, depth: usize, count: usize) -> io::Result<(f64, f64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    client.set_nodelay(true)?;
    stream.set_nodelay(true)?;
    let server = thread::spawn(move || {
        let before = used();
        // The client's stream ends without a Close.
        let _ = serve(stream);
        used() - before
    });
    let payload: Vec<u8> = b"abcdefghij".iter().copied().cycle().take(size).collect();
    let mut batch = Vec::new();
    (0..depth).for_each(|_| encode_masked_frame(Opcode::Text, &payload, KEY, &mut batch));
    let head = if size < 126 { 2 } else { 4 };
    let mut answer = vec![0; (head + size) * depth];
    let began = Instant::now();
    for _ in 0..count / depth {
        client.write_all(&batch)?;
        client.read_exact(&mut answer)?;
    }
    let took = began.elapsed();
    assert!(answer.ends_with(&payload));
    drop(client);
    let cpu = server.join().expect("it does not panic");
    let messages = (count / depth * depth) as f64;
    Ok((cpu as f64 / messages, messages / took.as_secs_f64()))
}

fn main() -> io::Result<()> {
    // `cargo test --benches` and `cargo bench` pass options of their own.
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    println!("| | {} |", SIZES.map(|size| format!("{size} B")).join(" | "));
    for depth in DEPTHS {
        let mut best = [[(f64::INFINITY, 0_f64); SIZES.len()]; CONTESTANTS.len()];
        for _ in 0..rounds {
            for (at, size) in SIZES.into_iter().enumerate() {
                for (row, (_, serve)) in best.iter_mut().zip(CONTESTANTS) {
                    let (cpu, rate) = measure(serve, size, depth, 10_000 * depth.min(4))?;
                    row[at] = (row[at].0.min(cpu), row[at].1.max(rate));
                }
            }
        }
        println!("depth {depth}: CPU, ns a message / messages a second");
        for ((name, _), row) in CONTESTANTS.iter().zip(best) {
            let cells = row.map(|(cpu, rate)| format!("{cpu:.0} / {rate:.0}"));
            println!("| {name} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}
