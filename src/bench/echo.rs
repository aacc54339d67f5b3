//! The scenario `echo`: all speak, and hear themselves. Each connection keeps some messages on their way.

use std::time::Instant;

use crate::proto::frame::Opcode;

use super::body::{Bodies, Found, renumber};
use super::client::{Client, Random};
use super::latency::Latencies;
use super::meter::Meter;
use super::progress::Progress;
use super::report::{Faults, Load};
use super::swarm::Swarm;
use super::tally::Tally;
use super::target::fill;
use super::{Error, Length, Plan};

/// Sends and receives for as long as the plan says, then waits for the messages on their way.
pub fn run(plan: &Plan, swarm: &mut Swarm, depth: u32, progress: &mut Progress) -> Result<Load, Error> {
    let mut run = Echo::new(plan, swarm, depth);
    let start = swarm.now();
    let (measure_from, end) = match plan.length {
        Length::Messages(_) => (start, u64::MAX),
        Length::Time(time) => {
            let from = start + plan.warm_up.as_nanos() as u64;
            (from, from + time.as_nanos() as u64)
        }
    };
    run.last_echo = start;
    for speaker in 0..plan.connections {
        run.speak(speaker, &mut swarm.clients, &mut swarm.random);
    }
    let (mut meter, mut measured) = (None, None);
    let mut speaking = true;
    loop {
        let now = swarm.now();
        if !run.measuring && speaking && now >= measure_from {
            run.measuring = true;
            meter = Some((Meter::start(swarm, plan.pid), run.sent, run.tally.delivered));
        }
        let quiet = now - run.last_echo;
        let all_there = run.tally.delivered == run.sent;
        if speaking && (now >= end || run.has_said_all() || quiet > STALL) {
            speaking = false;
            if end != u64::MAX {
                run.stop(swarm, &mut meter, &mut measured);
            }
        }
        if !speaking && all_there {
            run.stop(swarm, &mut meter, &mut measured);
        }
        if !speaking && quiet > if all_there { LINGER } else { QUIET } {
            break;
        }
        swarm.wait(if speaking { end } else { now + LINGER })?;
        for at in 0..swarm.ready.len() {
            let ready = swarm.ready[at];
            swarm.serve(ready, &plan.target, |payload, now| run.take(ready.client, payload, now));
            if speaking {
                run.speak(ready.client, &mut swarm.clients, &mut swarm.random);
            }
        }
        progress.tell(|| {
            let seconds = (now - start) as f64 / 1e9;
            format!("{seconds:.1} s: {} messages said, {} heard again", run.sent, run.tally.delivered)
        });
    }
    run.stop(swarm, &mut meter, &mut measured);
    let (usage, messages, deliveries) = measured.expect("it has been measured");
    let ended = || swarm.clients.iter().filter_map(Client::ended);
    Ok(Load {
        sent: run.sent,
        expected: run.sent,
        delivered: run.tally.delivered,
        faults: Faults {
            lost: run.sent - run.tally.delivered,
            doubles: run.tally.doubles,
            out_of_order: run.tally.out_of_order,
            damaged: run.tally.damaged,
            closed: ended().count() as u64,
        },
        first_end: ended().next().map(ToString::to_string),
        overdue: 0,
        other_messages: run.tally.others,
        other_message: run.tally.other,
        measured_messages: messages,
        measured_deliveries: deliveries,
        usage,
        latency: run.latencies.summary(),
        untimed: 0,
    })
}

struct Echo<'a> {
    plan: &'a Plan,
    bodies: Bodies,
    /// By connection.
    lines: Vec<Line>,
    depth: u32,
    tally: Tally,
    latencies: Latencies,
    measuring: bool,
    began: Instant,
    sent: u64,
    last_echo: u64,
}

type Measured = (super::meter::Usage, u64, u64);

struct Line {
    payload: Vec<u8>,
    body_at: usize,
    sent: u32,
    heard: u32,
    /// When the messages on their way were sent, by number.
    sent_at: Vec<u64>,
}

impl<'a> Echo<'a> {
    fn new(plan: &'a Plan, swarm: &mut Swarm, depth: u32) -> Self {
        let bodies = Bodies::new(swarm.random.next(), plan.size);
        let lines = (0..plan.connections)
            .map(|id| {
                let mut payload = fill(&plan.target.around.0, id, id % plan.rooms).into_bytes();
                let body_at = payload.len();
                payload.extend(bodies.first(id));
                payload.extend(fill(&plan.target.around.1, id, id % plan.rooms).bytes());
                Line { payload, body_at, sent: 0, heard: 0, sent_at: vec![0; depth as usize] }
            })
            .collect();
        Self {
            plan,
            bodies,
            lines,
            depth,
            tally: Tally::new(plan.connections),
            latencies: Latencies::new(),
            measuring: false,
            began: swarm.began,
            sent: 0,
            last_echo: 0,
        }
    }

    fn speak(&mut self, id: usize, clients: &mut [Client], random: &mut Random) {
        let client = &mut clients[id];
        let opcode = if self.plan.target.binary { Opcode::Binary } else { Opcode::Text };
        let mut said = false;
        while client.is_open() && !self.has_said_all() {
            let line = &mut self.lines[id];
            if line.sent - line.heard >= self.depth || line.sent == u32::MAX {
                break;
            }
            renumber(&mut line.payload[line.body_at..], line.sent);
            line.sent_at[(line.sent % self.depth) as usize] = self.began.elapsed().as_nanos() as u64;
            client.say(opcode, &line.payload, random);
            line.sent += 1;
            self.sent += 1;
            said = true;
        }
        if said {
            client.flush();
        }
    }

    fn take(&mut self, id: usize, payload: &[u8], now: u64) {
        let Self { bodies, lines, tally, latencies, measuring, depth, last_echo, .. } = self;
        let any = bodies.find(payload, |found| {
            let line = &mut lines[id];
            let number = match found {
                Found::Body { speaker, number } if speaker == id => number,
                _ => return tally.damaged += 1,
            };
            if tally.note(id, number, line.sent) {
                line.heard += 1;
                *last_echo = now;
                if *measuring {
                    latencies.record(now.saturating_sub(line.sent_at[(number % *depth) as usize]));
                }
            }
        });
        if !any {
            tally.note_other(payload);
        }
    }

    fn has_said_all(&self) -> bool {
        matches!(self.plan.length, Length::Messages(messages) if self.sent >= messages)
    }

    fn stop(&mut self, swarm: &Swarm, meter: &mut Option<(Meter, u64, u64)>, measured: &mut Option<Measured>) {
        self.measuring = false;
        if let Some((meter, sent, delivered)) = meter.take() {
            let (messages, deliveries) = (self.sent - sent, self.tally.delivered - delivered);
            *measured = Some((meter.stop(swarm, deliveries), messages, deliveries));
        }
    }
}

/// After how long without a message that must come the bench sends no more, in nanoseconds.
const STALL: u64 = 3_000_000_000;

/// After how long without a message at the end the rest counts as lost, in nanoseconds.
const QUIET: u64 = 1_000_000_000;

/// How long the bench listens on when all messages are there, in nanoseconds.
const LINGER: u64 = 100_000_000;
