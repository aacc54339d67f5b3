//! The scenario `fan-out`: few speak, all of their room hear it.
//!
//! Speakers are the first connections; each speaks in its own room, and each member of a room counts the messages of
//! all its speakers. The connections that do not read (in the scenario `slow`) are the last, and count nothing.

use std::time::Instant;

use crate::proto::frame::Opcode;

use super::body::{Bodies, Found, renumber};
use super::client::Client;
use super::latency::Latencies;
use super::meter::Meter;
use super::progress::Progress;
use super::report::{Faults, Load};
use super::swarm::Swarm;
use super::tally::Tally;
use super::target::fill;
use super::{Error, Length, Pace, Plan};

/// Speaks for as long as the plan says, then waits for the messages on their way. `deaf` connections, the last, do not
/// count.
pub fn run(plan: &Plan, swarm: &mut Swarm, pace: Pace, deaf: usize, progress: &mut Progress) -> Result<Load, Error> {
    let mut run = FanOut::new(plan, swarm, pace, deaf);
    run.speak(swarm, progress)?;
    Ok(run.load(swarm))
}

struct FanOut<'a> {
    plan: &'a Plan,
    pace: Pace,
    hearing: usize,
    bodies: Bodies,
    speakers: Vec<Speaker>,
    tally: Tally,
    latencies: Latencies,
    /// Whether messages are measured now.
    measuring: bool,
    untimed: u64,
    began: Instant,
    start: u64,
    /// Nanoseconds between two messages of one speaker, in an open loop.
    interval: f64,
    sent: u64,
    /// When the last new message came.
    last_delivery: u64,
    measured: Option<Measured>,
    meter: Option<(Meter, u64, u64)>,
    overdue: u64,
}

struct Speaker {
    payload: Vec<u8>,
    /// Where the body begins.
    body_at: usize,
    sent: u32,
    /// Messages of its own that it has heard.
    echoes: u32,
    /// Its receivers.
    receivers: u64,
    /// Deliveries that are still to come.
    outstanding: u64,
    /// When messages were sent, by their number; in an open loop it follows from the number.
    sent_at: Vec<(u32, u64)>,
    due_first: u64,
}

struct Measured {
    usage: super::meter::Usage,
    messages: u64,
    deliveries: u64,
}

impl<'a> FanOut<'a> {
    fn new(plan: &'a Plan, swarm: &mut Swarm, pace: Pace, deaf: usize) -> Self {
        let bodies = Bodies::new(swarm.random.next(), plan.size);
        let hearing = plan.connections - deaf;
        let start = swarm.now();
        let per_second = if let Pace::Rate(per_second) = pace { per_second } else { 1.0 };
        let interval = plan.speakers as f64 * 1e9 / per_second;
        let remembered = if matches!(pace, Pace::Rate(_)) { 0 } else { REMEMBERED };
        let speakers = (0..plan.speakers)
            .map(|speaker| {
                let room = speaker % plan.rooms;
                let members = (hearing + plan.rooms - 1 - room) / plan.rooms;
                let mut payload = fill(&plan.target.around.0, speaker, room).into_bytes();
                let body_at = payload.len();
                payload.extend(bodies.first(speaker));
                payload.extend(fill(&plan.target.around.1, speaker, room).bytes());
                Speaker {
                    payload,
                    body_at,
                    sent: 0,
                    echoes: 0,
                    receivers: (members - usize::from(plan.others_only)) as u64,
                    outstanding: 0,
                    sent_at: vec![(u32::MAX, 0); remembered],
                    due_first: start + (interval * speaker as f64 / plan.speakers as f64) as u64,
                }
            })
            .collect();
        Self {
            plan,
            pace,
            hearing,
            bodies,
            speakers,
            tally: Tally::new(hearing * plan.speakers),
            latencies: Latencies::new(),
            measuring: false,
            untimed: 0,
            began: swarm.began,
            start,
            interval,
            sent: 0,
            last_delivery: start,
            measured: None,
            meter: None,
            overdue: 0,
        }
    }

    /// Sends and receives until the length of the plan is over, and receives on until every message has come.
    fn speak(&mut self, swarm: &mut Swarm, progress: &mut Progress) -> Result<(), Error> {
        let (measure_from, end) = match self.plan.length {
            Length::Messages(_) => (self.start, u64::MAX),
            Length::Time(time) => {
                let from = self.start + self.plan.warm_up.as_nanos() as u64;
                (from, from + time.as_nanos() as u64)
            }
        };
        loop {
            let now = swarm.now();
            if !self.measuring && now >= measure_from {
                self.measuring = true;
                self.meter = Some((Meter::start(swarm, self.plan.pid), self.sent, self.tally.delivered));
            }
            let silent = now.saturating_sub(self.last_delivery);
            let mute = !swarm.clients[..self.speakers.len()].iter().any(Client::is_open);
            if now >= end || mute || self.has_said_all() || self.is_outstanding() && silent > STALL {
                break;
            }
            for speaker in 0..self.speakers.len() {
                self.speak_of(speaker, &mut swarm.clients, &mut swarm.random, now);
            }
            swarm.wait(self.next_due(end))?;
            self.hear(swarm, now < end);
            progress.tell(|| self.progress(now));
        }
        let counted = matches!(self.plan.length, Length::Messages(_));
        if !counted {
            self.stop_measuring(swarm);
        }
        if self.meter.is_none() && self.measured.is_none() {
            // All speakers ended before anything was measured: the report says so.
            self.meter = Some((Meter::start(swarm, self.plan.pid), self.sent, self.tally.delivered));
        }
        self.overdue = self.count_overdue(end);
        self.drain(swarm, progress)?;
        self.stop_measuring(swarm);
        Ok(())
    }

    fn drain(&mut self, swarm: &mut Swarm, progress: &mut Progress) -> Result<(), Error> {
        let start = swarm.now();
        loop {
            let now = swarm.now();
            let quiet = now - self.last_delivery.max(start);
            // All is there: wait a moment more, for messages that may come twice.
            if quiet > if self.is_outstanding() { QUIET } else { LINGER } || now - start > LONGEST_DRAIN {
                return Ok(());
            }
            if !self.is_outstanding() {
                // Waiting for doubles is not measured.
                self.stop_measuring(swarm);
            }
            swarm.wait(now + LINGER)?;
            self.hear(swarm, false);
            progress.tell(|| self.progress(now));
        }
    }

    fn stop_measuring(&mut self, swarm: &Swarm) {
        self.measuring = false;
        if let Some((meter, sent, delivered)) = self.meter.take() {
            let (messages, deliveries) = (self.sent - sent, self.tally.delivered - delivered);
            self.measured = Some(Measured { usage: meter.stop(swarm, deliveries), messages, deliveries });
        }
    }

    /// Sends the messages that this speaker may send now.
    fn speak_of(&mut self, speaker: usize, clients: &mut [Client], random: &mut super::client::Random, now: u64) {
        let client = &mut clients[speaker];
        if !client.is_open() {
            return;
        }
        let opcode = if self.plan.target.binary { Opcode::Binary } else { Opcode::Text };
        let mut said = 0;
        while said < BURST && !self.has_said_all() && client.unwritten() < MAX_UNWRITTEN {
            let (interval, due_first) = (self.interval, self.speakers[speaker].due_first);
            let who = &mut self.speakers[speaker];
            let may = match self.pace {
                Pace::Rate(_) => due(due_first, interval, who.sent) <= now,
                Pace::Lockstep => who.outstanding == 0,
                Pace::Saturated { window } if self.plan.others_only => {
                    who.outstanding <= u64::from(window - 1) * who.receivers
                }
                Pace::Saturated { window } => who.sent - who.echoes < window,
            };
            if !may || who.sent == u32::MAX {
                break;
            }
            renumber(&mut who.payload[who.body_at..], who.sent);
            client.say(opcode, &who.payload, random);
            if !who.sent_at.is_empty() {
                let place = who.sent as usize % who.sent_at.len();
                who.sent_at[place] = (who.sent, self.began.elapsed().as_nanos() as u64);
            }
            if who.outstanding == 0 {
                // Silence counts from when there was something to receive.
                self.last_delivery = self.last_delivery.max(now);
            }
            who.sent += 1;
            who.outstanding += who.receivers;
            self.sent += 1;
            said += 1;
        }
        if said > 0 {
            client.flush();
        }
    }

    /// Reads the connections that are ready. A speaker that heard itself goes on at once.
    fn hear(&mut self, swarm: &mut Swarm, speaking: bool) {
        for at in 0..swarm.ready.len() {
            let ready = swarm.ready[at];
            let plan = self.plan;
            swarm.serve(ready, &plan.target, |payload, now| self.take(ready.client, payload, now));
            if speaking && ready.client < self.speakers.len() && matches!(self.pace, Pace::Saturated { .. }) {
                let now = swarm.now();
                self.speak_of(ready.client, &mut swarm.clients, &mut swarm.random, now);
            }
        }
    }

    fn take(&mut self, client: usize, payload: &[u8], now: u64) {
        if client >= self.hearing {
            return;
        }
        let Self { plan, bodies, speakers, tally, latencies, measuring, untimed, interval, last_delivery, .. } = self;
        let any = bodies.find(payload, |found| {
            let (speaker, number) = match found {
                Found::Body { speaker, number } if speaker < speakers.len() => (speaker, number),
                _ => return tally.damaged += 1,
            };
            let who = &mut speakers[speaker];
            let strays = client % plan.rooms != speaker % plan.rooms || plan.others_only && client == speaker;
            if strays {
                tally.damaged += 1;
                return;
            }
            if !tally.note(client * plan.speakers + speaker, number, who.sent) {
                return;
            }
            who.outstanding -= 1;
            who.echoes += u32::from(client == speaker);
            *last_delivery = now;
            if !*measuring {
                return;
            }
            let sent_at = match who.sent_at.len() {
                0 => Some(due(who.due_first, *interval, number)),
                len => Some(who.sent_at[number as usize % len]).filter(|&(said, _)| said == number).map(|(_, at)| at),
            };
            match sent_at {
                Some(sent_at) => latencies.record(now.saturating_sub(sent_at)),
                None => *untimed += 1,
            }
        });
        if !any {
            tally.note_other(payload);
        }
    }

    fn has_said_all(&self) -> bool {
        matches!(self.plan.length, Length::Messages(messages) if self.sent >= messages)
    }

    fn is_outstanding(&self) -> bool {
        self.speakers.iter().any(|speaker| speaker.outstanding > 0)
    }

    fn next_due(&self, end: u64) -> u64 {
        match self.pace {
            Pace::Rate(_) => {
                let next = self.speakers.iter().map(|who| due(who.due_first, self.interval, who.sent)).min();
                next.map_or(end, |next| next.min(end))
            }
            _ => end,
        }
    }

    /// Messages that were due before the end and could not be sent.
    fn count_overdue(&self, end: u64) -> u64 {
        let Pace::Rate(_) = self.pace else { return 0 };
        if end == u64::MAX {
            return 0;
        }
        let of = |who: &Speaker| {
            let due = (end.saturating_sub(who.due_first) as f64 / self.interval).ceil() as u64;
            due.saturating_sub(u64::from(who.sent))
        };
        // One message of each speaker may have been about to be sent.
        self.speakers.iter().map(of).map(|overdue| if overdue > 1 { overdue } else { 0 }).sum()
    }

    fn progress(&self, now: u64) -> String {
        let seconds = (now - self.start) as f64 / 1e9;
        let per_second = self.tally.delivered as f64 / seconds.max(1e-9);
        format!(
            "{seconds:.1} s: {} messages sent, {} delivered, {per_second:.0} a second, {} doubles",
            self.sent, self.tally.delivered, self.tally.doubles
        )
    }

    fn load(self, swarm: &Swarm) -> Load {
        let ended = || swarm.clients[..self.hearing].iter().filter_map(Client::ended);
        let expected: u64 = self.speakers.iter().map(|who| u64::from(who.sent) * who.receivers).sum();
        let measured = self.measured.expect("it has been measured");
        Load {
            sent: self.sent,
            expected,
            delivered: self.tally.delivered,
            faults: Faults {
                lost: expected - self.tally.delivered,
                doubles: self.tally.doubles,
                out_of_order: self.tally.out_of_order,
                damaged: self.tally.damaged,
                closed: ended().count() as u64,
            },
            first_end: ended().next().map(ToString::to_string),
            overdue: self.overdue,
            other_messages: self.tally.others,
            other_message: self.tally.other,
            measured_messages: measured.messages,
            measured_deliveries: measured.deliveries,
            usage: measured.usage,
            latency: self.latencies.summary(),
            untimed: self.untimed,
        }
    }
}

/// When a message is due in an open loop.
fn due(first: u64, interval: f64, number: u32) -> u64 {
    first + (f64::from(number) * interval) as u64
}

/// Messages of one speaker that are sent before others have their turn.
const BURST: usize = 64;

/// Bytes of one speaker that may wait for its socket; more is sent later, and counts as late.
const MAX_UNWRITTEN: usize = 1 << 20;

/// Messages of one speaker whose time is remembered.
const REMEMBERED: usize = 4096;

/// After how long without a message that must come the bench sends no more, in nanoseconds.
const STALL: u64 = 3_000_000_000;

/// After how long without a message at the end the rest counts as lost, in nanoseconds.
const QUIET: u64 = 1_000_000_000;

/// How long the bench listens on when all messages are there, in nanoseconds.
const LINGER: u64 = 100_000_000;

/// The longest wait for the rest, in nanoseconds.
const LONGEST_DRAIN: u64 = 10_000_000_000;
