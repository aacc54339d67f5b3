//! How long does one masked text frame take to be decoded, unmasked and validated, and a server's to be encoded?
//!
//! Input: one whole frame in the buffer, ASCII and with 20 % other characters. Against tungstenite, and against "ideal":
//! a loop that only unmasks and validates. `cargo bench --bench frame_codec`

use std::hint::black_box;
use std::io::{self, Read, Write};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use salon::proto::mask::apply_mask;
use salon::proto::{Connection, Event, Limits, Opcode, encode_frame, encode_masked_frame};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const SIZES: [usize; 5] = [16, 125, 1 << 10, 64 << 10, 1 << 20];

fn text(size: usize, mixed: bool) -> String {
    let pattern = if mixed { "abcdefgh\u{e9}\u{20ac}" } else { "abcdefghij" };
    let text = pattern.repeat(size / pattern.len() + 1);
    text[..text.floor_char_boundary(size)].to_owned()
}

/// A stream that gives the same frame for ever.
struct Endless {
    frame: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        // As full as a busy socket would fill it, so that a large read buffer is an advantage and not a cost.
        let mut filled = 0;
        while filled < octets.len() {
            let len = (octets.len() - filled).min(self.frame.len() - self.at);
            octets[filled..filled + len].copy_from_slice(&self.frame[self.at..self.at + len]);
            self.at = (self.at + len) % self.frame.len();
            filled += len;
        }
        Ok(filled)
    }
}

impl Write for Endless {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn decode(c: &mut Criterion) {
    for (kind, mixed) in [("ascii", false), ("mixed", true)] {
        let mut group = c.benchmark_group(format!("decode_{kind}"));
        for size in SIZES {
            let text = text(size, mixed);
            let mut frame = Vec::new();
            encode_masked_frame(Opcode::Text, text.as_bytes(), KEY, &mut frame);
            group.throughput(Throughput::Bytes(size as u64));

            let mut buffer = frame.clone();
            group.bench_function(BenchmarkId::new("salon", size), |b| {
                let mut connection = Connection::new(Limits { message_bytes: 2 << 20, fragments: 1 });
                let mut reply = Vec::new();
                b.iter(|| {
                    // Every contestant copies the frame in, as a read would.
                    buffer.copy_from_slice(&frame);
                    let (taken, event) = connection.decode(black_box(&mut buffer), &mut reply);
                    assert!(matches!(event, Some(Event::Text(_))));
                    taken
                });
            });
            let head = frame.len() - text.len();
            group.bench_function(BenchmarkId::new("ideal", size), |b| {
                b.iter(|| {
                    buffer.copy_from_slice(&frame);
                    apply_mask(black_box(&mut buffer[head..]), KEY, 0);
                    simdutf8::basic::from_utf8(&buffer[head..]).unwrap().len()
                });
            });
            group.bench_function(BenchmarkId::new("tungstenite", size), |b| {
                let endless = Endless { frame: frame.clone(), at: 0 };
                let config = WebSocketConfig::default();
                let mut socket = WebSocket::from_raw_socket(endless, Role::Server, Some(config));
                b.iter(|| socket.read().unwrap().len());
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
        group.bench_function(BenchmarkId::new("salon", size), |b| {
            b.iter(|| {
                out.clear();
                encode_frame(Opcode::Text, black_box(text.as_bytes()), &mut out);
                out.len()
            });
        });
        group.bench_function(BenchmarkId::new("ideal", size), |b| {
            b.iter(|| {
                out.clear();
                out.extend_from_slice(black_box(text.as_bytes()));
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
