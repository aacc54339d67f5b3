//! What does user space spend to hand messages of one turn to all members of a room?
//!
//! Input: N members over sockets that take everything and do nothing, 1 or 32 messages of 128 bytes a flush. Against
//! the usual way: a reference-counted frame pushed to a queue of each member, and each queue drained to its socket.
//! `cargo bench --bench fan_out`

mod null;

use std::collections::VecDeque;
use std::hint::black_box;
use std::io::Write;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use salon::engine::{Engine, Event, Settings};
use salon::id::{ConnId, TopicId};
use salon::proto::Kind;
use salon::proto::frame::{Opcode, encode_frame};
use salon::time::Tick;

use null::Null;

const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ROOM: TopicId = TopicId::new(0).expect("a small number");
const PAYLOAD: [u8; 128] = [b'x'; 128];

fn room_of(members: usize) -> Engine<Null> {
    let mut settings = Settings::default();
    settings.sends_per_flush = usize::MAX;
    let mut engine = Engine::new(settings, Tick(0));
    let ids: Vec<ConnId> = (0..members).map(|_| engine.insert(Null { handshake: HANDSHAKE }, 0)).collect();
    ids.iter().for_each(|id| engine.readable(id.index, false));
    engine.begin_turn(Tick(1));
    while let Some((id, response, agreed)) = engine.next_event(|id, _, event| {
        let Event::Request(request) = event else { panic!("only requests have come: {event:?}") };
        let mut out = Vec::new();
        let agreed = request.upgrade().unwrap().encode(&mut out).extensions();
        (id, out, agreed)
    }) {
        engine.upgrade(id, &response, &agreed);
        engine.subscribe(id, ROOM);
    }
    engine.flush();
    engine
}

fn fan_out(c: &mut Criterion) {
    for messages in [1, 32] {
        let mut group = c.benchmark_group(format!("fan_out_{messages}_per_flush"));
        for members in [10, 100, 1000, 10_000, 100_000] {
            group.throughput(Throughput::Elements((members * messages) as u64));
            let mut engine = room_of(members);
            group.bench_function(BenchmarkId::new("salon", members), |b| {
                b.iter(|| {
                    for _ in 0..messages {
                        engine.publish(ROOM, Kind::Text, black_box(&PAYLOAD), &[]);
                    }
                    engine.flush();
                });
            });
            assert!(!engine.has_work());
            let mut queues: Vec<(VecDeque<Bytes>, Null)> =
                (0..members).map(|_| (VecDeque::new(), Null { handshake: b"" })).collect();
            group.bench_function(BenchmarkId::new("queue_per_member", members), |b| {
                b.iter(|| {
                    for _ in 0..messages {
                        let mut frame = Vec::new();
                        encode_frame(Opcode::Text, black_box(&PAYLOAD), &mut frame);
                        let frame = Bytes::from(frame);
                        queues.iter_mut().for_each(|(queue, _)| queue.push_back(frame.clone()));
                    }
                    for (queue, socket) in &mut queues {
                        while let Some(frame) = queue.pop_front() {
                            socket.write_all(&frame).unwrap();
                        }
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
