//! Reading and decoding: from ready streams to events.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::id::ConnId;
use crate::proto::close::{NO_CLOSE, NO_CODE};
use crate::proto::deflate::Inflater;
use crate::proto::frame::{Opcode, encode_frame};
use crate::proto::handshake::{MAX_HEAD_LEN, Request};
use crate::proto::receiver::Receiver;
use crate::proto::{self, CloseCode};

use crate::peer::{PartialRequest, Phase, Session};
use crate::receive_buffer::Behind;
use crate::steps::{MUCH_SET_ASIDE, SHORT_READ};
use crate::{Engine, Event, Got, Stream, steps};

/// What became of the bytes that lay in the receive buffer.
enum Step {
    /// An event was returned.
    Told,
    /// Something happened that makes no event.
    Quiet,
    /// All of them are parsed.
    Used,
}

impl<S: Stream> Engine<S> {
    /// Hands the next event, with the connection's tag, to `handle`, and returns what that makes of it; `None`: there
    /// is no further event in this turn. The event is lent to `handle`, which cannot reach the engine; the owner acts
    /// between the calls.
    pub fn next_event<T>(&mut self, handle: impl FnOnce(ConnId, u8, Event<'_>) -> T) -> Option<T> {
        let (mut handle, mut made) = (Some(handle), None);
        let told = self.tell_next(|id, tag, event| {
            if let Some(handle) = handle.take() {
                made = Some(handle(id, tag, event));
            }
        });
        debug_assert_eq!(told, made.is_some(), "an event is handed on once");
        made
    }

    /// Calls `handle` once and returns true, if there is an event in this turn.
    fn tell_next(&mut self, mut handle: impl FnMut(ConnId, u8, Event<'_>)) -> bool {
        loop {
            // Ends are reported first: a slot is freed only after that, so the next user of a slot is never heard
            // before its previous user's end.
            if self.closes_left > 0
                && let Some((id, tag, code)) = self.closed.pop_front()
            {
                self.closes_left -= 1;
                self.peers[id.index as usize].session = Session::None;
                self.last_closed = Some((id, code));
                handle(id, tag, Event::Closed);
                return true;
            }
            if let Some((id, tag)) = self.next_drained() {
                handle(id, tag, Event::Drained);
                return true;
            }
            let Some((index, behind)) = self.reading else {
                match self.next_to_read() {
                    Some(index) => self.read(index),
                    None => return false,
                }
                continue;
            };
            if self.must_wait(index) {
                self.set_aside(index, behind);
                continue;
            }
            let behind = if behind == Behind::Maybe { self.fill_up(index) } else { behind };
            let before = self.progress_of(index);
            let step = self.step(index, &mut handle);
            if !matches!(step, Step::Used) && self.progress_of(index) == before {
                self.stuck(index);
            }
            match step {
                Step::Told => return true,
                Step::Quiet => {}
                Step::Used => {
                    self.reading = None;
                    self.receive.discard();
                    self.budget.end(index);
                    self.release(index);
                    self.note_partial_message(index);
                    self.note_held(index);
                    match behind {
                        Behind::Maybe => self.read_again(index),
                        Behind::Nothing => {}
                        Behind::End => self.ended(index),
                        Behind::Failure => self.abort_peer(index),
                    }
                }
            }
        }
    }

    /// The next peer to read: first those that the poller has reported, then those of the backlog.
    fn next_to_read(&mut self) -> Option<u32> {
        if let Some(index) = self.ready.pop_front() {
            self.budget.begin_fresh();
            return Some(index);
        }
        if self.budget.begin_backlog() { self.backlog.pop_front() } else { None }
    }

    /// Whether what is left of a read is for later: the peer has spent its share of the turn, does not take its
    /// answers, or is to be answered first.
    fn must_wait(&mut self, index: u32) -> bool {
        let (peer, owed_above) = (&self.peers[index as usize], self.settings.owed_above());
        let is_full = peer.is_heard() && (self.budget.is_spent() || peer.is_sated(owed_above));
        !self.receive.is_empty() && (is_full || peer.phase == Phase::Answering)
    }

    /// Keeps the rest of a read for the next turn, or until the peer has taken some of what waits for it.
    fn set_aside(&mut self, index: u32, behind: Behind) {
        self.reading = None;
        self.budget.end(index);
        let (peer, owed_above) = (&mut self.peers[index as usize], self.settings.owed_above());
        // What the last event borrowed is not needed any more.
        peer.connection.release();
        self.set_aside.keep(index, self.receive.unparsed(), behind);
        self.receive.discard();
        match peer.is_sated(owed_above) || peer.phase == Phase::Answering {
            true => {
                peer.paused = true;
                self.touch(index);
            }
            false => self.read_again(index),
        }
        self.note_partial_message(index);
        self.note_held(index);
    }

    /// Releases the rest of a read that was set aside for the peer.
    pub(super) fn release(&mut self, index: u32) {
        if self.set_aside.release(index) {
            self.note_held(index);
        }
    }

    /// The next connection whose owner gets [`Event::Drained`]; not one whose owner has asked again since, nor one that
    /// has ended.
    fn next_drained(&mut self) -> Option<(ConnId, u8)> {
        while self.drained_left > 0 {
            let id = self.drained.pop_front()?;
            let Some(index) = self.find(id) else { continue };
            let peer = &mut self.peers[index as usize];
            if peer.drain.unlisted() && peer.is_opened() {
                self.drained_left -= 1;
                return Some((id, peer.tag));
            }
        }
        None
    }

    fn read(&mut self, index: u32) {
        if !self.peers.contains(index as usize) {
            return;
        }
        self.touch(index);
        let owed_above = self.settings.owed_above();
        let peer = &mut self.peers[index as usize];
        peer.readable = false;
        if peer.phase == Phase::Gone || peer.ended {
            return;
        }
        // A peer that does not take its answers is not asked for more work: it is read again when it does. The next
        // request of one that is being answered is read when the answer is written.
        let waits = peer.phase == Phase::Answering && self.set_aside.of(index).is_some();
        if peer.is_sated(owed_above) && peer.phase != Phase::ShutDown || waits {
            peer.paused = true;
            return;
        }
        if let Some((bytes, behind)) = self.set_aside.of(index) {
            self.receive.resume(bytes);
            self.reading = Some((index, behind));
            return;
        }
        let len = if self.set_aside.held_bytes() > MUCH_SET_ASIDE { SHORT_READ } else { self.settings.receive_buffer };
        self.budget.spend(peer.stream.receive_steps());
        let to_end = peer.read_to_end;
        let Some(got) = contained(|| self.receive.fill(&mut peer.stream, len, to_end)) else {
            self.counters.panics += 1;
            return self.abort_peer(index);
        };
        let (len, behind) = match got {
            Ok(Got::More(0)) => return self.read_again(index),
            Ok(Got::Drained(0)) => return,
            Ok(Got::Ended) => return self.ended(index),
            Ok(Got::More(len)) => (len, Behind::Maybe),
            Ok(Got::Drained(len)) => (len, Behind::Nothing),
            Err(_) => return self.abort_peer(index),
        };
        peer.last_received = self.now;
        peer.pinged = false;
        self.counters.bytes_in += len as u64;
        peer.bytes_in += len as u64;
        self.budget.spend(len / steps::READ_BYTES_A_STEP);
        self.reading = Some((index, behind));
    }

    /// If a read that was full ends amid a long message, its rest is read behind it: then it is lent in place and need
    /// not be copied. A short message is copied sooner than read to its end. Returns what is behind it.
    fn fill_up(&mut self, index: u32) -> Behind {
        let peer = &mut self.peers[index as usize];
        if peer.phase != Phase::Open {
            return Behind::Maybe;
        }
        // What the last event borrowed is not needed any more.
        peer.connection.release();
        let unparsed = self.receive.unparsed();
        let is_long = |missing: &u64| unparsed.len() as u64 + missing > (self.settings.receive_buffer / LONG) as u64;
        let Some(missing) = peer.connection.missing(unparsed).filter(is_long) else {
            return Behind::Maybe;
        };
        let to_end = peer.read_to_end;
        let Some((len, behind)) = contained(|| self.receive.fill_up(&mut peer.stream, missing, to_end)) else {
            self.counters.panics += 1;
            self.abort_peer(index);
            return Behind::Nothing;
        };
        self.counters.bytes_in += len as u64;
        peer.bytes_in += len as u64;
        self.budget.spend(len / steps::READ_BYTES_A_STEP);
        self.reading = Some((index, behind));
        behind
    }

    /// Puts the peer on the list for the next turn, whatever the poller reports, behind the peers that ask for less.
    pub(super) fn read_again(&mut self, index: u32) {
        let peer = &mut self.peers[index as usize];
        if !peer.readable && peer.phase != Phase::Gone {
            peer.readable = true;
            self.backlog.push_back(index);
        }
    }

    /// Reads what was put off, unless the peer must still take some of what waits for it, or is owed much: whether it
    /// was before. Time in which it was not read for that does not count against it.
    pub(super) fn read_on(&mut self, index: u32, was_owed_much: bool) {
        let (now, owed_above) = (self.now, self.settings.owed_above());
        let peer = &mut self.peers[index as usize];
        let was_owed_much = was_owed_much && !peer.is_owed_much(owed_above);
        let was_paused = !peer.is_sated(owed_above) && std::mem::take(&mut peer.paused);
        if was_owed_much {
            peer.last_received = now;
        }
        if (was_owed_much || was_paused) && peer.mid_message {
            peer.since = now;
        }
        if was_owed_much || was_paused {
            self.schedule(index);
        }
        if was_paused {
            self.touch(index);
            self.read_again(index);
        }
    }

    /// The peer has ended its stream. Queued output is still sent: the peer may have shut down one side only.
    pub(super) fn ended(&mut self, index: u32) {
        self.touch(index);
        let peer = &mut self.peers[index as usize];
        peer.ended = true;
        match peer.phase {
            Phase::ShutDown => self.abort_peer(index),
            // The answers come later. Until then the time for a request goes on, or that for the last answers.
            Phase::Answering | Phase::Parting => {}
            Phase::Open if peer.is_owed() => self.begin_parting(index, Parting::default()),
            _ => {
                self.settle(index);
                self.closed_with(index, NO_CLOSE);
                self.end(index);
            }
        }
    }

    fn step(&mut self, index: u32, handle: &mut impl FnMut(ConnId, u8, Event<'_>)) -> Step {
        if self.receive.is_empty() {
            // What the last event borrowed is not needed any more.
            self.peers[index as usize].connection.release();
            return Step::Used;
        }
        if self.pending_len(index) > FLUSH_ABOVE {
            self.flush_peer(index);
        }
        match self.peers[index as usize].phase {
            Phase::Head | Phase::Kept => self.step_head(index, handle),
            Phase::Body => self.step_body(index, handle),
            Phase::Open => self.step_open(index, handle),
            Phase::Answering => unreachable!("what is behind a request waits for its answer"),
            Phase::Parting | Phase::Ending | Phase::ShutDown | Phase::Gone => Step::Used,
        }
    }

    /// Each step must change one of these: the number of unparsed bytes, or the phase.
    fn progress_of(&mut self, index: u32) -> (usize, Phase) {
        (self.receive.unparsed().len(), self.peers[index as usize].phase)
    }

    /// A step took nothing and changed nothing, so it would be repeated for ever. That is a mistake of ours; it costs
    /// this peer its connection, and no other peer anything.
    #[cold]
    fn stuck(&mut self, index: u32) {
        debug_assert!(false, "a step took nothing and told nothing");
        self.counters.panics += 1;
        self.receive.discard();
        self.abort_peer(index);
    }

    fn step_head(&mut self, index: u32, handle: &mut impl FnMut(ConnId, u8, Event<'_>)) -> Step {
        if self.peers[index as usize].phase == Phase::Kept {
            // The next request begins, and has the time of any other.
            self.enter(index, Phase::Head);
        }
        let id = self.id_of(index);
        let peer = &mut self.peers[index as usize];
        let tag = peer.tag;
        let unparsed = self.receive.unparsed();
        // An empty line before a request is no mistake (RFC 9112 section 2.2): some clients end a body with one.
        let skipped = match &mut peer.partial {
            None if unparsed[0] == b'\r' && unparsed.get(1).is_none_or(|&byte| byte == b'\n') => {
                let mut head = PartialRequest::default();
                // Half a line is kept until the other half has come.
                head.bytes.extend_from_slice(if unparsed.len() == 1 { unparsed } else { b"" });
                peer.partial = Some(Box::new(head));
                unparsed.len().min(2)
            }
            Some(head) if head.bytes == b"\r" && unparsed[0] == b'\n' => {
                head.bytes.clear();
                1
            }
            _ => 0,
        };
        if skipped > 0 {
            self.receive.advance(skipped);
            return Step::Quiet;
        }
        // The head of one read is parsed where it lies; only a head in pieces is put together.
        let mut partial = peer.partial.take();
        let (found, used) = match &mut partial {
            None => {
                let mut head = PartialRequest::default();
                let found = head.scanner.scan(unparsed);
                if found == Ok(None) {
                    head.bytes.extend_from_slice(unparsed);
                    peer.partial = Some(Box::new(head));
                }
                (found, found.ok().flatten().unwrap_or(unparsed.len()))
            }
            Some(head) => {
                let before = head.bytes.len();
                head.bytes.extend_from_slice(&unparsed[..unparsed.len().min(MAX_HEAD_LEN - before)]);
                let found = head.scanner.scan(&head.bytes);
                (found, found.ok().flatten().unwrap_or(head.bytes.len()) - before)
            }
        };
        let result = match found {
            Ok(None) => {
                if partial.is_some() {
                    peer.partial = partial;
                }
                self.receive.advance(used);
                return Step::Quiet;
            }
            Ok(Some(len)) => {
                let bytes = partial.as_ref().map_or(&unparsed[..], |head| &head.bytes[..]);
                match contained(|| Request::parse(&bytes[..len])) {
                    Some(parsed) => parsed.map(|request| handle(id, tag, Event::Request(&request))),
                    None => {
                        self.counters.panics += 1;
                        self.abort_peer(index);
                        return Step::Quiet;
                    }
                }
            }
            Err(error) => Err(error),
        };
        peer.phase = Phase::Answering;
        self.budget.spend(steps::REQUEST);
        if let Err(error) = result {
            // What follows a bad head is no request either.
            self.receive.discard();
            handle(id, tag, Event::BadRequest(error));
        } else {
            self.receive.advance(used);
        }
        Step::Told
    }

    fn step_body(&mut self, index: u32, handle: &mut impl FnMut(ConnId, u8, Event<'_>)) -> Step {
        let id = self.id_of(index);
        let peer = &mut self.peers[index as usize];
        let unparsed = self.receive.unparsed();
        let partial = peer.partial.as_mut().expect("who waits for a body has a note of it");
        if let Some(chunks) = &mut partial.chunks {
            let decoded = chunks.decode(unparsed, partial.body_len as usize, &mut partial.bytes);
            if let Ok((used, false)) = decoded {
                self.receive.advance(used);
                return Step::Quiet;
            }
            let partial = peer.partial.take().expect("as before");
            peer.phase = Phase::Answering;
            self.budget.spend(steps::MESSAGE);
            let note = partial.note;
            match decoded {
                Ok((used, _)) => {
                    handle(id, peer.tag, Event::Body { note, bytes: &partial.bytes });
                    self.receive.advance(used);
                }
                Err(error) => {
                    // What follows is no request either.
                    self.receive.discard();
                    handle(id, peer.tag, Event::BadBody { note, error });
                }
            }
            return Step::Told;
        }
        let used = unparsed.len().min(partial.body_len as usize - partial.bytes.len());
        // The body of one read is lent where it lies; only a body in pieces is put together.
        let in_pieces = used < partial.body_len as usize;
        if in_pieces {
            partial.bytes.extend_from_slice(&unparsed[..used]);
            if partial.bytes.len() < partial.body_len as usize {
                self.receive.advance(used);
                return Step::Quiet;
            }
        }
        let partial = peer.partial.take().expect("as before");
        peer.phase = Phase::Answering;
        self.budget.spend(steps::MESSAGE);
        let body = if in_pieces { &partial.bytes[..] } else { &unparsed[..used] };
        handle(id, peer.tag, Event::Body { note: partial.note, bytes: body });
        self.receive.advance(used);
        Step::Told
    }

    fn step_open(&mut self, index: u32, handle: &mut impl FnMut(ConnId, u8, Event<'_>)) -> Step {
        let id = self.id_of(index);
        let peer = &mut self.peers[index as usize];
        let tag = peer.tag;
        let mut reply = Vec::new();
        let (connection, unparsed) = (&mut peer.connection, self.receive.unparsed());
        let (out, inflater) = (&mut reply, &mut self.inflater);
        let mut pieces = 0;
        let count = &mut pieces;
        let Some((used, event)) = contained(move || connection.decode_counting(unparsed, out, inflater, count)) else {
            return self.broken(index);
        };
        let mut closed = None;
        self.budget.spend(steps::FRAME + pieces / steps::FRAGMENTS_A_STEP);
        let step = match event {
            None => Step::Quiet,
            Some(proto::Event::Text(text)) => {
                peer.mid_message = false;
                self.counters.messages_in += 1;
                self.budget.spend(steps::MESSAGE + text.len() / steps::TEXT_BYTES_A_STEP);
                handle(id, tag, Event::Text(text));
                Step::Told
            }
            Some(proto::Event::Binary(data)) => {
                peer.mid_message = false;
                self.counters.messages_in += 1;
                self.budget.spend(steps::MESSAGE + steps::of_bytes(data.len()));
                handle(id, tag, Event::Binary(data));
                Step::Told
            }
            Some(proto::Event::Ping(data)) => {
                match &mut peer.outbox {
                    // §5.5.3: only the most recent ping need be answered. A peer that does not read gets one pong.
                    Some(outbox) => outbox.pong = Some(data.into()),
                    None => encode_frame(Opcode::Pong, data, &mut reply),
                }
                handle(id, tag, Event::Control);
                Step::Told
            }
            Some(proto::Event::Close(body)) => {
                let code = body.map_or(NO_CODE, |(code, _)| code.get());
                if peer.is_owed() {
                    self.receive.advance(used);
                    self.begin_parting(index, Parting { reply: reply.into(), code });
                    return Step::Quiet;
                }
                closed = Some(code);
                Step::Quiet
            }
            Some(proto::Event::Failed(error)) => {
                closed = Some(CloseCode::from(error).get());
                Step::Quiet
            }
            // A pong: a sign of life, as anything else would be.
            Some(_) => {
                handle(id, tag, Event::Control);
                Step::Told
            }
        };
        self.receive.advance(used);
        if closed.is_some() {
            // The peer still gets what was published to its topics before its end, also if its Close came in the same
            // read.
            self.settle(index);
        }
        if !reply.is_empty() {
            self.append(index, |out| out.extend_from_slice(&reply));
        }
        if let Some(code) = closed {
            self.closed_with(index, code);
            self.end(index);
        }
        step
    }

    /// The peer says nothing more, and is owed answers: they come first, if they come in time.
    fn begin_parting(&mut self, index: u32, parting: Parting) {
        self.partings.insert(index, parting);
        self.release(index);
        self.enter(index, Phase::Parting);
    }

    /// A peer that says nothing more is owed nothing more: it gets the answer to its Close, behind all else.
    pub(super) fn part(&mut self, index: u32) {
        let Some(Parting { reply, code }) = self.take_parting(index) else { return };
        self.settle(index);
        if !reply.is_empty() {
            self.append(index, |out| out.extend_from_slice(&reply));
        }
        self.closed_with(index, code);
        self.end(index);
    }

    /// What was left to do for a peer that parts, if it does: it is done, or is not to be done any more.
    pub(super) fn take_parting(&mut self, index: u32) -> Option<Parting> {
        let parting = self.partings.remove(&index)?;
        crate::slack::shrink(&mut self.partings);
        Some(parting)
    }

    /// Decoding panicked. The state it may have broken is this connection's and the inflater's: the inflater begins
    /// anew, and the connection ends.
    #[cold]
    fn broken(&mut self, index: u32) -> Step {
        self.counters.panics += 1;
        self.inflater = Inflater::new();
        self.receive.discard();
        self.peers[index as usize].connection = Receiver::server(self.settings.limits);
        self.fail(index, CloseCode::INTERNAL_ERROR, "internal error");
        Step::Quiet
    }

    /// The clock of an incomplete message starts at its first bytes.
    fn note_partial_message(&mut self, index: u32) {
        let peer = &mut self.peers[index as usize];
        if peer.phase != Phase::Open || !peer.connection.is_open() {
            return;
        }
        match (peer.connection.is_mid_message(), peer.mid_message) {
            (true, false) => {
                peer.mid_message = true;
                peer.since = self.now;
                self.schedule(index);
            }
            (false, true) => peer.mid_message = false,
            _ => {}
        }
    }
}

/// What is left to do for a peer in [`Phase::Parting`].
#[derive(Debug)]
pub(super) struct Parting {
    /// The answer to its Close; empty if its stream has ended without one.
    reply: Box<[u8]>,
    /// The code it is closed with.
    code: u16,
}

impl Default for Parting {
    /// Of a peer that has sent no Close.
    fn default() -> Self {
        Self { reply: Box::default(), code: NO_CLOSE }
    }
}

/// Runs work that concerns one connection alone, so that half of it can be thrown away with the connection; `None` if
/// it panicked.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// A message is long if it takes more than this part of a read.
const LONG: usize = 4;

/// The most room behind a read for the rest of a message, in bytes. A message that needs more is copied as it comes.
pub(super) const MAX_ROOM: usize = 1 << 20;

/// The most [`Event::Drained`] in a turn. The owner sends more to each of these connections, and others must not wait
/// for all of that.
pub(super) const DRAINED_PER_TURN: usize = 16;

/// Answers to one read that exceed this are written before the rest of the read is decoded, in bytes.
pub(super) const FLUSH_ABOVE: usize = 256 << 10;
