//! What each timer means. The wheel only says when to look; the truth is in the peer.

use std::io::IoSlice;
use std::time::Duration;

use crate::id::ConnId;
use crate::proto::CloseCode;
use crate::proto::frame::{Opcode, encode_frame};
use crate::time::Tick;

use crate::input::{DRAINED_PER_TURN, contained};
use crate::outbox::PACE_WITHIN;
use crate::peer::Phase;
use crate::steps::CLOSES_PER_TURN;
use crate::{Cut, Engine, Stream};

/// A deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Request,
    Ping,
    Pong,
    Unblock,
    Pace,
    Message,
    CloseAnswer,
    Answers,
    End,
}

impl<S: Stream> Engine<S> {
    /// Notes that the process did not run for a while: the loop's wait took [much](STALL) longer than it was asked to, or
    /// a turn much longer than its work. In the next turn, no peer is ended that may have acted meanwhile. A turn that
    /// only has much to do is no reason for that, because peers can cause it.
    pub fn has_stood_still(&mut self) {
        self.stood_still = true;
    }

    /// What a peer is sent, as far as its socket takes it at once, when a part of its request has come and not all in
    /// time; then the connection ends. Nothing, if nothing was set.
    pub fn set_late_answer(&mut self, bytes: Vec<u8>) {
        self.late_answer = bytes;
    }

    /// Begins a turn at `now`: carries out due deadlines, and takes over the peers that became ready to be read.
    pub fn begin_turn(&mut self, now: Tick) {
        self.previous = self.now;
        self.now = self.now.max(now);
        self.cause = self.now;
        self.asked.clear();
        self.asked.shrink_to(ASKED_KEPT);
        if std::mem::take(&mut self.stood_still) {
            self.stalled = Some(self.now);
        }
        self.ready.append(&mut self.ready_next);
        self.budget.begin_turn(self.backlog.len());
        self.closes_left = CLOSES_PER_TURN;
        self.drained_left = DRAINED_PER_TURN;
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(self.now, &mut fired);
        for index in fired.drain(..) {
            if let Some(peer) = self.peers.get_mut(index as usize) {
                peer.scheduled = Tick(u64::MAX);
                self.look(index);
            }
        }
        self.fired = fired;
    }

    /// Ends a turn at `now`, behind its [flush](Engine::flush). The time for an answer to what was asked in it begins
    /// here, when that has left: a turn may be long, because the process was stopped amid it. So does, in a turn of
    /// more than [`STALL`], the time for whatever else a peer has to do. Without this it begins with the turn.
    pub fn end_turn(&mut self, now: Tick) {
        let (began, ended) = (self.now, self.now.max(now));
        for index in self.asked.drain(..) {
            if let Some(peer) = self.peers.get_mut(index as usize).filter(|peer| peer.pinged)
                && peer.last_received == began
            {
                peer.last_received = ended;
            }
        }
        if ended.since(began) <= STALL {
            return;
        }
        if self.stalled == Some(began) {
            self.stalled = Some(ended);
        }
        for (_, peer) in &mut self.peers {
            let outbox = peer.outbox.as_mut().map(|outbox| [&mut outbox.progress, &mut outbox.paced_since]);
            let since = outbox.into_iter().flatten().chain([&mut peer.since]);
            since.filter(|since| **since == began).for_each(|since| *since = ended);
        }
    }

    /// Asks a connection at once whether it is still there, as after
    /// [`Settings::ping_after`](crate::Settings::ping_after) of silence: if nothing comes within `pong_within`, the
    /// connection ends. A connection that is asked already is not asked again, nor is one that does not read or is
    /// closing.
    pub fn ping(&mut self, id: ConnId) {
        let Some(index) = self.find(id) else { return };
        let peer = &self.peers[index as usize];
        let can_be_asked = peer.phase == Phase::Open && peer.connection.is_open() && peer.outbox.is_none();
        if can_be_asked && !peer.pinged && self.settings.ping_after.is_some() {
            self.carry_out(index, Due::Ping);
            self.schedule(index);
        }
    }

    /// Sets the wheel to the peer's next deadline if it is not set to look earlier.
    pub(super) fn schedule(&mut self, index: u32) {
        let Some((at, _)) = self.next_due(index) else { return };
        let peer = &mut self.peers[index as usize];
        if at < peer.scheduled {
            peer.scheduled = at;
            self.wheel.schedule(index, at);
        }
    }

    /// The wheel says to look: carries out what is due, and schedules the next look.
    fn look(&mut self, index: u32) {
        if let Some((at, due)) = self.next_due(index)
            && at <= self.now
        {
            if let Some(patience) = self.patience(index, at, due) {
                let again = self.now + patience;
                self.peers[index as usize].scheduled = again;
                return self.wheel.schedule(index, again);
            }
            self.carry_out(index, due);
        }
        self.schedule(index);
    }

    /// How much longer to wait for a peer that may have acted in time already, unheard: its bytes are about to be read
    /// in this turn. However late a turn comes, the first one behind a deadline reads.
    fn patience(&self, index: u32, at: Tick, due: Due) -> Option<Duration> {
        let peer = &self.peers[index as usize];
        let writable = peer.outbox.as_ref().is_some_and(|outbox| outbox.writable);
        match due {
            Due::Ping => None,
            // It is asked once more, and has the time for that.
            Due::Pong if self.stalled == Some(self.now) => None,
            _ if (peer.readable || writable) && (self.now.since(at) < STALL || self.previous < at) => Some(MOMENT),
            _ => None,
        }
    }

    fn carry_out(&mut self, index: u32, due: Due) {
        match due {
            Due::Request => {
                self.note_cut(index, Cut::NoRequest);
                self.say_late(index);
                self.abort_peer(index);
            }
            // The loop itself was not running to hear the answer, so it asks once more.
            Due::Pong if self.stalled.is_some_and(|at| self.now.since(at) < self.settings.pong_within) => {
                self.carry_out(index, Due::Ping);
            }
            Due::Ping => {
                let peer = &mut self.peers[index as usize];
                peer.pinged = true;
                // From here `pong_within` counts, whenever the loop came to look, or from the end of the turn.
                peer.last_received = self.now;
                self.asked.push(index);
                self.append(index, |out| encode_frame(Opcode::Ping, b"", out));
            }
            Due::Pong => {
                self.note_cut(index, Cut::NoPong);
                self.fail(index, self.settings.no_pong_code, "no pong");
            }
            Due::Unblock => {
                // A poller may report room only when there is much of it. A socket that takes something is not blocked.
                if let Some(outbox) = &mut self.peers[index as usize].outbox {
                    outbox.writable = true;
                }
                self.flush_peer(index);
                if self.next_due(index).is_some_and(|(at, due)| due == Due::Unblock && at <= self.now) {
                    self.note_cut(index, Cut::BlockedTime);
                    self.cut_off(index);
                }
            }
            Due::Pace => {
                let pace_within = self.pace_within();
                let outbox = self.peers[index as usize].outbox.as_mut().expect("only blocked peers have a pace");
                // Time in which the process was stopped does not count against the peer.
                let stalled = self.stalled.is_some_and(|at| self.now.since(at) < pace_within);
                if outbox.is_too_slow(self.now) && !stalled {
                    self.note_cut(index, Cut::BlockedTime);
                    self.cut_off(index);
                }
            }
            Due::Message => self.fail(index, CloseCode::POLICY_VIOLATION, "message not finished in time"),
            Due::CloseAnswer => self.end(index),
            Due::Answers => self.part(index),
            Due::End => self.abort_peer(index),
        }
    }

    /// Sends what is sent to a peer of whose request a part has come and not all, as far as its socket takes it: the
    /// connection ends behind it in any case.
    fn say_late(&mut self, index: u32) {
        let peer = &mut self.peers[index as usize];
        let has_begun = peer.partial.as_ref().is_some_and(|part| part.body_len > 0 || !part.bytes.is_empty());
        if !self.late_answer.is_empty() && has_begun && matches!(peer.phase, Phase::Head | Phase::Body) {
            let late_answer = &self.late_answer;
            let sent = contained(|| peer.stream.send(&mut [IoSlice::new(late_answer)]));
            self.counters.panics += u64::from(sent.is_none());
        }
    }

    /// Over how long the pace of a blocked peer is measured: not less than it may take nothing at all.
    fn pace_within(&self) -> Duration {
        PACE_WITHIN.max(self.settings.blocked_within)
    }

    fn next_due(&self, index: u32) -> Option<(Tick, Due)> {
        let peer = &self.peers[index as usize];
        let settings = &self.settings;
        // What a peer did while the process was stopped may still be on its way. Each look at its deadlines finds this,
        // also one that something else has brought about.
        let unheard_until = self.stalled.map_or(Tick(0), |at| at + STALL);
        let after = |since: Tick, wait: Duration, due: Due| match due {
            Due::Ping | Due::Pong => Some((since + wait, due)),
            _ => Some(((since + wait).max(unheard_until), due)),
        };
        let blocked = peer.outbox.as_ref().filter(|_| !peer.is_ending());
        let unblock = blocked.and_then(|outbox| after(outbox.progress, settings.blocked_within, Due::Unblock));
        let slow = match (peer.phase, &peer.outbox) {
            (Phase::Gone | Phase::ShutDown, _) | (_, None) => None,
            (_, Some(outbox)) => after(outbox.paced_since, self.pace_within(), Due::Pace),
        };
        let due = match peer.phase {
            // A client that still takes an answer need not ask again yet.
            Phase::Head | Phase::Kept | Phase::Body if blocked.is_some() => None,
            Phase::Kept => after(peer.since, settings.idle_within, Due::Request),
            Phase::Head | Phase::Body | Phase::Answering => after(peer.since, settings.head_within, Due::Request),
            Phase::Open if !peer.connection.is_open() => after(peer.since, settings.close_within, Due::CloseAnswer),
            // It is not read, so that its silence says nothing.
            Phase::Open if peer.is_owed_much(settings.owed_above()) => None,
            Phase::Open => {
                // What is not read may be the rest of the message.
                let message = match peer.mid_message && !peer.paused {
                    true => after(peer.since, settings.message_within, Due::Message),
                    false => None,
                };
                let silence = match settings.ping_after {
                    // A peer that does not read cannot be asked; being blocked has a deadline of its own.
                    Some(_) if blocked.is_some() => None,
                    Some(_) if peer.pinged => after(peer.last_received, settings.pong_within, Due::Pong),
                    Some(ping_after) => after(peer.last_received, ping_after, Due::Ping),
                    None => None,
                };
                earlier(message, silence)
            }
            Phase::Parting => after(peer.since, settings.close_within, Due::Answers),
            // A slow link may take its time over the last answer, as long as it takes something.
            Phase::Ending => {
                let progress = peer.outbox.as_ref().map_or(peer.since, |outbox| outbox.progress.max(peer.since));
                after(progress, settings.close_within, Due::End)
            }
            Phase::ShutDown => after(peer.since, settings.close_within, Due::End),
            Phase::Gone => None,
        };
        earlier(earlier(due, unblock), slow)
    }
}

/// A wait that takes so much longer than it was asked to means that the whole process was stopped.
pub const STALL: Duration = Duration::from_secs(1);

/// For how many peers that are asked in a turn there is room beforehand.
const ASKED_KEPT: usize = 1024;

/// After how long the engine looks again at a peer that was about to be heard.
const MOMENT: Duration = Duration::from_millis(50);

fn earlier(one: Option<(Tick, Due)>, other: Option<(Tick, Due)>) -> Option<(Tick, Due)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
        (one, other) => one.or(other),
    }
}
