//! What does compressing a room message cost: once for all members, against once for each?
//!
//! Input: a message of 512 B to 16 KiB of chat history to 10 to 1,000 members who agreed to permessage-deflate, over
//! sockets that take everything. *shared* is `Engine::publish`; *each* sends every member its own, as servers do that
//! keep a context per connection (with the same one compressor: theirs would cost 270 KiB of memory a member besides).
//! *plain* is the floor: `publish` to members who agreed to nothing. `cargo bench --bench broadcast_deflate`

mod null;

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use salon::engine::{DeflateSettings, Engine, Event, Settings};
use salon::id::{ConnId, TopicId};
use salon::proto::{ClientContext, Kind};
use salon::time::Tick;

use null::Null;

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const DEFLATE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
const ROOM: TopicId = TopicId::new(0).expect("a small number");

/// A room of members who sent that request.
fn room_of(members: usize, handshake: &'static [u8]) -> (Engine<Null>, Vec<ConnId>) {
    let mut settings = Settings::default();
    (settings.sends_per_flush, settings.deflate) = (usize::MAX, Some(DeflateSettings::default()));
    let mut engine = Engine::new(settings, Tick(0));
    let ids: Vec<ConnId> = (0..members).map(|_| engine.insert(Null { handshake }, 0)).collect();
    ids.iter().for_each(|id| engine.readable(id.index, false));
    engine.begin_turn(Tick(1));
    while let Some((id, agreed, response)) = engine.next_event(|id, _, event| {
        let Event::Request(request) = event else { panic!("only requests have come: {event:?}") };
        let mut out = Vec::new();
        let agreed = request.upgrade().unwrap().deflate(ClientContext::Reset).encode(&mut out);
        (id, agreed.extensions(), out)
    }) {
        engine.upgrade(id, &response, &agreed);
        engine.subscribe(id, ROOM);
    }
    engine.flush();
    (engine, ids)
}

/// Text like a page of history: names and rooms repeat, words less so.
fn history(size: usize) -> String {
    let words = ["lunch", "the", "build", "is", "green", "again", "who", "has", "seen", "my", "keys", "tomorrow", "at"];
    let mut text = String::from("[");
    let mut any = 1_u32;
    while text.len() < size {
        let seq = text.len();
        let _ = write!(text, r#"{{"room_id":"lobby","sender":"user{}","seq":{seq},"content":""#, any % 50);
        for _ in 0..8 {
            any = any.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let _ = write!(text, "{} ", words[(any >> 16) as usize % words.len()]);
        }
        text.push_str("\"},");
    }
    text.truncate(size);
    text
}

fn broadcast(c: &mut Criterion) {
    for size in [512, 4 << 10, 16 << 10] {
        let text = history(size);
        let mut group = c.benchmark_group(format!("broadcast_deflate_{size}"));
        group.sample_size(10);
        for members in [10, 100, 1000] {
            group.throughput(Throughput::Elements(members as u64));
            let (mut engine, ids) = room_of(members, DEFLATE);
            group.bench_function(BenchmarkId::new("shared", members), |b| {
                b.iter(|| {
                    engine.publish(ROOM, Kind::Text, black_box(text.as_bytes()), &[]);
                    engine.flush();
                });
            });
            group.bench_function(BenchmarkId::new("each", members), |b| {
                b.iter(|| {
                    ids.iter().for_each(|&id| engine.send(id, Kind::Text, black_box(text.as_bytes())));
                    engine.flush();
                });
            });
            let (mut engine, _) = room_of(members, PLAIN);
            group.bench_function(BenchmarkId::new("plain", members), |b| {
                b.iter(|| {
                    engine.publish(ROOM, Kind::Text, black_box(text.as_bytes()), &[]);
                    engine.flush();
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, broadcast);
criterion_main!(benches);
