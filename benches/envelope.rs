//! What does the JSON of a room message cost, coming in and going out?
//!
//! Input: a `broadcast` with 32 B, 128 B and 1 KiB of content, plain, and with quotes and line ends that are escaped.
//! In: against an owned enum by serde's tag, and against `serde_json::Value`. Out: a broadcast, and a direct message by
//! its type, against `serde_json::to_string` and `to_writer` of a struct that derives `Serialize`.
//! `cargo bench --bench envelope`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use salon::chat::measured;
use serde::{Deserialize, Serialize};

const SIZES: [usize; 3] = [32, 128, 1 << 10];

fn content(size: usize, escaped: bool) -> String {
    let pattern = if escaped { "she said \"yes\", caf\u{e9},\n" } else { "the quick brown fox jumps over it" };
    let text = pattern.repeat(size / pattern.len() + 1);
    text[..text.floor_char_boundary(size)].to_owned()
}

/// What a server reads that begins with a derive.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Owned {
    Join { room_id: String, user_id: Option<String> },
    Leave { room_id: String },
    Broadcast { id: Option<u64>, room_id: String, content: String },
    Direct { user_id: String, content: String },
    Ping,
}

impl Owned {
    /// Bytes of what was read.
    fn len(&self) -> usize {
        match self {
            Self::Join { room_id, user_id } => room_id.len() + user_id.as_ref().map_or(0, String::len),
            Self::Leave { room_id } => room_id.len(),
            Self::Broadcast { id, room_id, content } => id.map_or(0, |_| 1) + room_id.len() + content.len(),
            Self::Direct { user_id, content } => user_id.len() + content.len(),
            Self::Ping => 0,
        }
    }
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename = "broadcast")]
struct Broadcast<'a> {
    room_id: &'a str,
    sender: &'a str,
    content: &'a str,
    seq: u64,
    ts: u64,
}

fn read(c: &mut Criterion) {
    for (kind, escaped) in [("plain", false), ("escaped", true)] {
        let mut group = c.benchmark_group(format!("envelope_in_{kind}"));
        for size in SIZES {
            let content = serde_json::to_string(&content(size, escaped)).unwrap();
            let text = format!(r#"{{"type":"broadcast","id":17,"room_id":"lobby","content":{content}}}"#);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new("salon", size), |b| {
                b.iter(|| assert!(measured::reads_request(black_box(&text))));
            });
            group.bench_function(BenchmarkId::new("owned_enum", size), |b| {
                b.iter(|| serde_json::from_str::<Owned>(black_box(&text)).unwrap().len());
            });
            group.bench_function(BenchmarkId::new("value", size), |b| {
                b.iter(|| {
                    let value: serde_json::Value = serde_json::from_str(black_box(&text)).unwrap();
                    value["content"].as_str().unwrap().len()
                });
            });
        }
        group.finish();
    }
}

fn write(c: &mut Criterion) {
    for (kind, escaped) in [("plain", false), ("escaped", true)] {
        let mut group = c.benchmark_group(format!("envelope_out_{kind}"));
        for size in SIZES {
            let content = content(size, escaped);
            let message =
                Broadcast { room_id: "lobby", sender: "ann", content: &content, seq: 4711, ts: 1_790_000_000_123 };
            let mut out = Vec::with_capacity(2 * size + 256);
            let Broadcast { room_id, sender, content, seq, ts } = message;
            measured::write_broadcast(&mut out, room_id, sender, content, seq, ts);
            assert_eq!(serde_json::to_string(&message).unwrap().as_bytes(), out, "the same bytes");
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("salon", size), |b| {
                b.iter(|| {
                    out.clear();
                    let Broadcast { room_id, sender, content, seq, ts } = *black_box(&message);
                    measured::write_broadcast(&mut out, room_id, sender, content, seq, ts);
                    black_box(out.len())
                });
            });
            group.bench_function(BenchmarkId::new("salon_by_type", size), |b| {
                b.iter(|| {
                    out.clear();
                    let Broadcast { room_id, sender, content, seq, ts } = *black_box(&message);
                    measured::write_direct(&mut out, room_id, sender, content, seq, ts);
                    black_box(out.len())
                });
            });
            group.bench_function(BenchmarkId::new("to_writer", size), |b| {
                b.iter(|| {
                    out.clear();
                    serde_json::to_writer(&mut out, black_box(&message)).unwrap();
                    black_box(out.len())
                });
            });
            group.bench_function(BenchmarkId::new("to_string", size), |b| {
                b.iter(|| serde_json::to_string(black_box(&message)).unwrap().len());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, read, write);
criterion_main!(benches);
