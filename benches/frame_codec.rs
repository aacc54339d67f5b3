//! How long does one masked text frame take to be decoded, unmasked and validated, and a server's to be encoded and
//! written?
//!
//! Input: whole frames from memory, ASCII and with 20 % other characters; encoded frames go to a socket that takes
//! everything. Against tungstenite, fastwebsockets, tokio-websockets, soketto and web-socket, each in its fastest way:
//! large reads, no runtime, text lent or given as it is received. soketto and web-socket do not validate text, so
//! simdutf8 does it for them. And against "ideal": a loop that only unmasks and validates, or only copies.
//! `cargo bench --bench frame_codec`

use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastwebsockets::{FragmentCollector, Frame, Payload};
use futures::{SinkExt, StreamExt};
use salon::proto::frame::{Opcode, encode_frame, encode_masked_frame};
use salon::proto::mask::apply_mask;
use salon::proto::receiver::Receiver;
use salon::proto::{Event, Limits};
use tokio::io::{BufReader, ReadBuf};
use tungstenite::Utf8Bytes;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const SIZES: [usize; 5] = [16, 125, 1 << 10, 64 << 10, 1 << 20];

/// The largest message of this bench.
const LIMIT: usize = 2 << 20;

/// Bytes that a buffered reader asks for at once: as many as Salon does.
const READ: usize = 64 << 10;

fn text(size: usize, mixed: bool) -> String {
    let pattern = if mixed { "abcdefgh\u{e9}\u{20ac}" } else { "abcdefghij" };
    let text = pattern.repeat(size / pattern.len() + 1);
    text[..text.floor_char_boundary(size)].to_owned()
}

/// A stream that gives the same frame for ever, and takes everything.
struct Endless {
    frame: Vec<u8>,
    at: usize,
}

impl Endless {
    fn of(frame: &[u8]) -> Self {
        Self { frame: frame.to_vec(), at: 0 }
    }
}

impl Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // As full as a busy socket would fill it, so that a large read buffer is an advantage and not a cost.
        let mut filled = 0;
        while filled < bytes.len() {
            let len = (bytes.len() - filled).min(self.frame.len() - self.at);
            bytes[filled..filled + len].copy_from_slice(&self.frame[self.at..self.at + len]);
            self.at = (self.at + len) % self.frame.len();
            filled += len;
        }
        Ok(filled)
    }
}

impl Write for Endless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(black_box(slices).iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tokio::io::AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // No more than a socket would give, however large the buffer is; and nothing is cleared that is overwritten.
        let until = bytes.filled().len() + bytes.remaining().min(READ);
        while bytes.filled().len() < until {
            let len = (until - bytes.filled().len()).min(self.frame.len() - self.at);
            bytes.put_slice(&self.frame[self.at..self.at + len]);
            self.at = (self.at + len) % self.frame.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Endless {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write_vectored(&mut *self, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.read(bytes))
    }
}

impl futures::AsyncWrite for Endless {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The result of a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the stream is always ready"),
    }
}

fn tungstenite_of(frame: &[u8]) -> WebSocket<Endless> {
    let config = WebSocketConfig::default().read_buffer_size(READ);
    WebSocket::from_raw_socket(Endless::of(frame), Role::Server, Some(config))
}

fn fastwebsockets_of(frame: &[u8]) -> FragmentCollector<Endless> {
    let socket = fastwebsockets::WebSocket::after_handshake(Endless::of(frame), fastwebsockets::Role::Server);
    FragmentCollector::new(socket)
}

fn tokio_websockets_of(frame: &[u8]) -> tokio_websockets::WebSocketStream<Endless> {
    let limits = tokio_websockets::Limits::default().max_payload_len(Some(LIMIT));
    // A message is one frame, as with all others.
    let config = tokio_websockets::Config::default().frame_size(LIMIT);
    tokio_websockets::ServerBuilder::new().limits(limits).config(config).serve(Endless::of(frame))
}

fn soketto_of(frame: &[u8]) -> (soketto::Sender<Endless>, soketto::Receiver<Endless>) {
    soketto::connection::Builder::new(Endless::of(frame), soketto::Mode::Server).finish()
}

fn decode(c: &mut Criterion) {
    for (kind, mixed) in [("ascii", false), ("mixed", true)] {
        let mut group = c.benchmark_group(format!("decode_{kind}"));
        for size in SIZES {
            let text = text(size, mixed);
            let mut frame = Vec::new();
            encode_masked_frame(Opcode::Text, text.as_bytes(), KEY, &mut frame);
            group.throughput(Throughput::Bytes(size as u64));

            let mut buffer = vec![0; frame.len()];
            group.bench_function(BenchmarkId::new("salon", size), |b| {
                let mut connection = Receiver::server(Limits::new().message_bytes(LIMIT as u32).fragments(1));
                let mut reply = Vec::new();
                b.iter(|| {
                    // Every contestant copies the frame in, in reads of the same length; after a full one
                    // it asks what is missing, as the engine does.
                    let mut filled = 0;
                    while filled == 0 || filled % READ == 0 && connection.missing(&buffer[..filled]).is_some() {
                        let until = frame.len().min(filled + READ);
                        buffer[filled..until].copy_from_slice(&frame[filled..until]);
                        filled = until;
                    }
                    match connection.decode(black_box(&mut buffer), &mut reply) {
                        (_, Some(Event::Text(whole))) => assert_eq!(whole.len(), text.len()),
                        other => unreachable!("{other:?}"),
                    }
                });
            });
            let mut buffer = frame.clone();
            let head = frame.len() - text.len();
            group.bench_function(BenchmarkId::new("ideal", size), |b| {
                b.iter(|| {
                    buffer.copy_from_slice(&frame);
                    apply_mask(black_box(&mut buffer[head..]), KEY, 0);
                    simdutf8::basic::from_utf8(&buffer[head..]).unwrap().len()
                });
            });
            group.bench_function(BenchmarkId::new("tungstenite", size), |b| {
                let mut socket = tungstenite_of(&frame);
                b.iter(|| socket.read().unwrap().len());
            });
            group.bench_function(BenchmarkId::new("fastwebsockets", size), |b| {
                let mut socket = fastwebsockets_of(&frame);
                b.iter(|| now(socket.read_frame()).unwrap().payload.len());
            });
            group.bench_function(BenchmarkId::new("tokio-websockets", size), |b| {
                let mut socket = tokio_websockets_of(&frame);
                b.iter(|| now(socket.next()).unwrap().unwrap().as_text().unwrap().len());
            });
            group.bench_function(BenchmarkId::new("soketto", size), |b| {
                let (_sender, mut receiver) = soketto_of(&frame);
                let mut message = Vec::new();
                b.iter(|| {
                    message.clear();
                    assert!(now(receiver.receive_data(&mut message)).unwrap().is_text());
                    simdutf8::basic::from_utf8(&message).unwrap().len()
                });
            });
            group.bench_function(BenchmarkId::new("web-socket", size), |b| {
                let reader = BufReader::with_capacity(READ, Endless::of(&frame));
                let mut socket = web_socket::WebSocket::server(reader);
                b.iter(|| match now(socket.recv()).unwrap() {
                    web_socket::Event::Data { data, .. } => simdutf8::basic::from_utf8(&data).unwrap().len(),
                    other => unreachable!("{other:?}"),
                });
            });
        }
        group.finish();
    }
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for size in SIZES {
        let text = text(size, false);
        group.throughput(Throughput::Bytes(size as u64));
        let mut out = Vec::with_capacity(size + 16);
        let mut null = Endless::of(b"-");
        group.bench_function(BenchmarkId::new("salon", size), |b| {
            b.iter(|| {
                out.clear();
                encode_frame(Opcode::Text, black_box(text.as_bytes()), &mut out);
                null.write(&out).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("ideal", size), |b| {
            b.iter(|| {
                out.clear();
                out.extend_from_slice(black_box(text.as_bytes()));
                null.write(&out).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("tungstenite", size), |b| {
            let mut socket = tungstenite_of(b"-");
            let text = Utf8Bytes::from(&*text);
            b.iter(|| socket.send(tungstenite::Message::Text(black_box(&text).clone())).unwrap());
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", size), |b| {
            let mut socket = fastwebsockets_of(b"-");
            b.iter(|| {
                let payload = Payload::Borrowed(black_box(text.as_bytes()));
                now(socket.write_frame(Frame::text(payload))).unwrap();
            });
        });
        group.bench_function(BenchmarkId::new("tokio-websockets", size), |b| {
            let mut socket = tokio_websockets_of(b"-");
            let message = tokio_websockets::Message::text(text.clone());
            b.iter(|| now(socket.send(black_box(&message).clone())).unwrap());
        });
        group.bench_function(BenchmarkId::new("soketto", size), |b| {
            let (mut sender, _receiver) = soketto_of(b"-");
            b.iter(|| {
                now(sender.send_text(black_box(&text))).unwrap();
                now(sender.flush()).unwrap();
            });
        });
        group.bench_function(BenchmarkId::new("web-socket", size), |b| {
            let mut socket = web_socket::WebSocket::server(Endless::of(b"-"));
            b.iter(|| now(socket.send(black_box(&*text))).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
