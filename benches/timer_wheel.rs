//! What do the timers of 10,000 to 1,000,000 peers cost: while nothing happens, and with each message that comes?
//!
//! The engine must look at each peer 25 s after its last message. *Tick*: the clock moves by one millisecond; each peer
//! that is due is set anew. *Message*: a message of any one peer arrives. Salon only stores its time; "moved" is the
//! same wheel if it moved the entry each time, and the `BTreeSet` is the way that needs no wheel. In *tick* it is a
//! `BinaryHeap`, which is quicker as long as nothing has to be moved. `cargo bench --bench timer_wheel`

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use salon::engine::timer_wheel::TimerWheel;
use salon::time::Tick;

const PEERS: [u32; 3] = [10_000, 100_000, 1_000_000];
const AFTER: u64 = 25_000;

/// Peers came at any time of the last 25 s.
fn first_due(peer: u32) -> Tick {
    Tick(1 + u64::from(peer.wrapping_mul(0x9e37_79b9)) % AFTER)
}

fn wheel_of(peers: u32) -> TimerWheel {
    let mut wheel = TimerWheel::new(Tick(0));
    (0..peers).for_each(|peer| wheel.schedule(peer, first_due(peer)));
    wheel
}

fn tick(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer_tick");
    for peers in PEERS {
        group.bench_function(BenchmarkId::new("salon", peers), |b| {
            let mut wheel = wheel_of(peers);
            let mut due: Vec<Tick> = (0..peers).map(first_due).collect();
            let (mut now, mut fired) = (0, Vec::new());
            b.iter(|| {
                now += 1;
                wheel.advance(Tick(now), &mut fired);
                for peer in fired.drain(..) {
                    // Entries may fire early: the truth is with the peer.
                    let due = &mut due[peer as usize];
                    if due.0 <= now {
                        due.0 = now + AFTER;
                    }
                    wheel.schedule(peer, *due);
                }
                wheel.next_due()
            });
        });
        group.bench_function(BenchmarkId::new("binary_heap", peers), |b| {
            let mut heap: BinaryHeap<_> = (0..peers).map(|peer| Reverse((first_due(peer), peer))).collect();
            let mut now = 0;
            b.iter(|| {
                now += 1;
                while let Some(mut first) = heap.peek_mut().filter(|first| first.0.0 <= Tick(now)) {
                    first.0.0 = Tick(now + AFTER);
                }
                heap.peek().map(|first| first.0.0)
            });
        });
    }
    group.finish();
}

fn message(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer_message");
    for peers in PEERS {
        let mut any = 1_u32;
        let mut speaker = move || {
            any ^= any << 13;
            any ^= any >> 17;
            any ^= any << 5;
            any % peers
        };
        group.bench_function(BenchmarkId::new("salon", peers), |b| {
            let mut last_received = vec![Tick(0); peers as usize];
            b.iter(|| black_box(&mut last_received)[speaker() as usize] = Tick(1));
        });
        // The clock stands: what a later tick costs is the other question.
        let mut ahead = 0;
        group.bench_function(BenchmarkId::new("moved", peers), |b| {
            let mut wheel = wheel_of(peers);
            b.iter(|| {
                ahead = (ahead + 1) % 1000;
                wheel.schedule(speaker(), Tick(AFTER + ahead));
            });
        });
        group.bench_function(BenchmarkId::new("btree_set", peers), |b| {
            let mut due: Vec<Tick> = (0..peers).map(first_due).collect();
            let mut set: BTreeSet<_> = (0..peers).map(|peer| (first_due(peer), peer)).collect();
            b.iter(|| {
                ahead = (ahead + 1) % 1000;
                let peer = speaker();
                let due = &mut due[peer as usize];
                set.remove(&(*due, peer));
                *due = Tick(AFTER + ahead);
                set.insert((*due, peer));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tick, message);
criterion_main!(benches);
