//! Queues and flush: from messages to writes.
//!
//! Nothing is written while events are handled; frames gather in logs of topics and in `pending` of peers, and the
//! flush gives each peer all it has in one write. A message that members share compressed is compressed once, into the
//! log of their half of the topic ([`GroupId`]). A direct frame behind a room message must stay behind it: before one
//! is queued, the part of its topics that the peer has not been sent is copied in front ([`Engine::settle`]).
//!
//! Room messages for a socket that is full wait in its outbox, but of numbered ones no more than
//! [`behind_bytes`](crate::Settings::behind_bytes): then the member leaves the topic, and its owner hears so
//! ([`Engine::left_behind`]). That happens in a flush that the owner has asked for, never amid its other calls: a list
//! of these was made for the members as they were.

use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::id::{ConnId, TopicId};
use crate::proto::deflate::encode_deflated_frame;
use crate::proto::extension::MAX_WINDOW_BITS;
use crate::proto::frame::{Opcode, encode_frame};
use crate::proto::{CloseCode, Kind};
use crate::time::Tick;

use crate::ledger::Ledger;
use crate::outbox::{MAX_SLICES, Outbox};
use crate::peer::{Pending, Phase};
use crate::topic::{FULL_LOG, GroupId, MAX_LOG, MAX_LOGS, Member, Topic};
use crate::{Cut, Engine, LeftBehind, Stream, steps};

impl<S: Stream> Engine<S> {
    /// Queues a message for one connection, behind everything published to its topics so far. Nothing for one that is
    /// not [open](Self::is_open).
    ///
    /// `payload` of a [`Kind::Text`] must be UTF-8; it is not looked at.
    pub fn send(&mut self, id: ConnId, kind: Kind, payload: &[u8]) {
        let Some(index) = self.find(id) else { return };
        let peer = &self.peers[index as usize];
        if peer.is_opened() {
            let window_bits = peer.window_bits;
            self.budget.spend(steps::SEND + steps::of_bytes(payload.len()));
            let before = self.pending_len(index);
            self.settle(index);
            match window_bits {
                0 => self.append(index, |out| encode_frame(kind.into(), payload, out)),
                _ => {
                    let frame = self.deflated_frame(kind, payload, window_bits);
                    self.append(index, |out| out.extend_from_slice(&frame.bytes));
                    self.spares.keep(frame);
                }
            }
            self.counters.messages_out += 1;
            self.note_served(1, self.cause);
            let pending = self.pending_len(index);
            self.queued += pending - before;
            if self.queued > WRITE_ALL_ABOVE {
                self.flush_peers();
            } else if pending > WRITE_ABOVE {
                self.flush_peer(index);
            }
        }
    }

    /// Queues a message for every member of a topic but those in `except`. It is encoded once, and once more
    /// for the members that share it compressed.
    ///
    /// A member gets each topic in order, and direct messages between the messages published before and after them.
    /// Between topics no order is kept.
    pub fn publish(&mut self, topic: TopicId, kind: Kind, payload: &[u8], except: &[ConnId]) {
        self.publish_as(topic, None, kind, payload, except);
    }

    /// The same for a message whose `number` is one more than that of the last such message of the topic. A member that
    /// takes them too slowly leaves the topic, see [`left_behind`](Self::left_behind): somebody keeps them, and can
    /// send it those that it misses.
    pub fn publish_numbered(&mut self, topic: TopicId, number: u64, kind: Kind, payload: &[u8], except: &[ConnId]) {
        self.publish_as(topic, Some(number), kind, payload, except);
    }

    fn publish_as(&mut self, topic: TopicId, number: Option<u64>, kind: Kind, payload: &[u8], except: &[ConnId]) {
        self.budget.spend(steps::PUBLISH + steps::of_bytes(payload.len()));
        let plain = self.group_of(topic, 0);
        if self.has_members(plain) {
            self.publish_to(plain, number, except, |log| encode_frame(kind.into(), payload, log));
        }
        let deflated = self.group_of(topic, MAX_WINDOW_BITS);
        if deflated != plain && self.has_members(deflated) {
            let frame = self.deflated_frame(kind, payload, MAX_WINDOW_BITS);
            self.publish_to(deflated, number, except, |log| log.extend_from_slice(&frame.bytes));
            self.spares.keep(frame);
        }
    }

    fn has_members(&self, group: GroupId) -> bool {
        self.topics.get(group.place()).is_some_and(|topic| !topic.members.is_empty())
    }

    fn publish_to(
        &mut self,
        group: GroupId,
        number: Option<u64>,
        except: &[ConnId],
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let place = group.place();
        let mut left_out = 0;
        for id in except {
            if self.member_of(*id, group).is_some() {
                self.settle(id.index);
                left_out += 1;
            }
        }
        let topic = &mut self.topics[place];
        if topic.log.capacity() == 0 {
            topic.log = self.spares.take_log();
        }
        let before = topic.log.len();
        if let Some(number) = number {
            topic.number_next(number);
        }
        encode(&mut topic.log);
        self.any_full |= topic.log.len() >= FULL_LOG;
        self.logged += topic.log.len() - before;
        let deliveries = (topic.members.len() - left_out) as u64;
        self.counters.messages_out += deliveries;
        topic.note_caused(deliveries, self.cause);
        if !std::mem::replace(&mut topic.dirty, true) {
            topic.flush_at = self.now + self.settings.flush_delay;
            self.dirty_topics.push(group);
        }
        for id in except {
            if let Some(member) = self.member_of(*id, group) {
                let topic = &mut self.topics[place];
                topic.members[member].sent = topic.end();
            }
        }
        if self.topics[place].log.len() >= MAX_LOG {
            while !self.flush_topic(group, usize::MAX) {}
        }
        if self.logged >= MAX_LOGS {
            self.flush_logs();
        }
    }

    /// Writes the logs that have grown large, so that the next calls find room in them. Call it behind each list of
    /// calls that may publish much.
    pub fn flush_full(&mut self) {
        if !std::mem::take(&mut self.any_full) {
            return;
        }
        self.leaving = true;
        self.flush_topics(usize::MAX, |topic| topic.log.len() >= FULL_LOG);
        self.leaving = false;
    }

    /// Writes the logs of all topics, whatever they wait for.
    #[cold]
    fn flush_logs(&mut self) {
        // A topic stays listed while it is served: `settle` looks only into listed topics for what a member has not
        // been sent.
        while let Some(&group) = self.dirty_topics.last() {
            while !self.flush_topic(group, usize::MAX) {}
            self.topics[group.place()].dirty = false;
            self.dirty_topics.pop();
        }
        self.logged = 0;
    }

    /// A message for connections that agreed to permessage-deflate: compressed if it is long enough and becomes
    /// smaller.
    fn deflated_frame(&mut self, kind: Kind, payload: &[u8], window_bits: u8) -> Box<Pending> {
        let mut frame = self.spares.take();
        let threshold = self.settings.deflate.as_ref().map_or(usize::MAX, |deflate| deflate.threshold);
        let deflater = self.deflater.as_mut().filter(|_| payload.len() >= threshold);
        if deflater.is_some() {
            self.budget.spend(payload.len() / steps::COMPRESSED_BYTES_A_STEP);
        }
        match deflater.and_then(|deflater| deflater.compress(payload, window_bits)) {
            Some(compressed) => {
                self.counters.compressed += 1;
                encode_deflated_frame(kind, compressed, &mut frame.bytes);
            }
            None => encode_frame(kind.into(), payload, &mut frame.bytes),
        }
        frame
    }

    /// Writes every dirty topic and peer once. A later flush writes the rest: of a very large topic, of a topic that is
    /// [delayed](crate::Settings::flush_delay), and of a socket that is full.
    pub fn flush(&mut self) {
        (self.leaving, self.any_full) = (true, false);
        self.flush_peers();
        // Topics that are served in one go come first: a small room does not wait for a slice of a large one.
        let (slice, now) = (self.settings.sends_per_flush, self.now);
        let delayed_from = self.settings.flush_delay_members;
        self.flush_topics(slice, |topic| topic.members.len() <= slice && topic.held_back(delayed_from, now).is_none());
        self.flush_topics(slice, |topic| topic.members.len() > slice && topic.held_back(delayed_from, now).is_none());
        self.leaving = false;
        self.logged = self.dirty_topics.iter().map(|group| self.topics[group.place()].log.len()).sum();
        let topics = &mut self.topics;
        self.left_topics.retain(|group| {
            let heard = topics.get(group.place()).is_some_and(|topic| !topic.members.is_empty());
            !heard && !topics.end_unused(group.place())
        });
        crate::slack::shrink(&mut self.left_topics);
    }

    /// Serves the dirty topics that are meant, with so many sends for each.
    fn flush_topics(&mut self, sends: usize, meant: impl Fn(&Topic) -> bool) {
        let mut listed = 0;
        while let Some(&topic) = self.dirty_topics.get(listed) {
            let served = meant(&self.topics[topic.place()]) && self.flush_topic(topic, sends);
            match served {
                true => {
                    self.topics[topic.place()].dirty = false;
                    self.dirty_topics.swap_remove(listed);
                }
                false => listed += 1,
            }
        }
    }

    /// What is published and sent from now on in this turn was caused at `at`, by something that the owner has had to
    /// wait for; else it is caused by this turn.
    pub fn caused_at(&mut self, at: Tick) {
        self.cause = at.min(self.now);
    }

    /// The deliveries that have been written to their streams since this was asked last, or wait for streams that do
    /// not take them: how many, and when the first of them was caused. Ask behind each [`flush`](Self::flush).
    ///
    /// Those of a topic that is large or [delayed](crate::Settings::flush_delay) are told when all members have had
    /// their turn.
    pub fn served(&mut self) -> impl Iterator<Item = (u64, Tick)> + '_ {
        self.served.drain(..)
    }

    fn note_served(&mut self, deliveries: u64, caused: Tick) {
        let is_full = self.served.len() == MAX_SERVED;
        match self.served.last_mut() {
            _ if deliveries == 0 => {}
            Some((count, at)) if *at == caused => *count += deliveries,
            // Nobody asks: they are told with the others.
            Some((count, at)) if is_full => (*count, *at) = (*count + deliveries, caused.min(*at)),
            _ => self.served.push((deliveries, caused)),
        }
    }

    /// Until when a dirty topic waits for more messages to send together.
    pub(super) fn held_back(&self, group: GroupId) -> Option<Tick> {
        self.topics[group.place()].held_back(self.settings.flush_delay_members, self.now)
    }

    fn flush_peers(&mut self) {
        self.queued = 0;
        let mut peers = std::mem::take(&mut self.dirty_peers);
        for index in peers.drain(..) {
            self.flush_peer(index);
        }
        // Flushing may have listed others: peers that fail.
        peers.append(&mut self.dirty_peers);
        self.dirty_peers = peers;
    }

    /// Serves up to `sends` members; returns whether all have been sent everything.
    fn flush_topic(&mut self, id: GroupId, mut sends: usize) -> bool {
        let place = id.place();
        self.topics[place].begin_pass();
        while let Some(member) = self.topics[place].members.get(self.topics[place].cursor) {
            if sends == 0 {
                self.note_topic(place);
                return false;
            }
            // The cursor moves first: if the member is removed meanwhile, the topic moves it back.
            let unsent = member.sent < self.topics[place].end();
            self.topics[place].cursor += 1;
            if unsent {
                sends -= 1;
                self.flush_member(id, self.topics[place].cursor - 1);
            }
        }
        let done = !self.topics[place].end_pass();
        let (passed, caused) = self.topics[place].passed();
        self.note_served(passed, caused);
        if let Some(log) = self.topics[place].spare_log() {
            self.spares.keep_log(log);
        }
        self.topics[place].flush_at = self.now + self.settings.flush_delay;
        self.note_topic(place);
        done
    }

    fn flush_member(&mut self, id: GroupId, member: usize) {
        let topic = &mut self.topics[id.place()];
        let (index, sent) = (topic.members[member].peer, topic.members[member].sent);
        let peer = &mut self.peers[index as usize];
        let only = peer.memberships.len() == 1 || self.dirty_topics.len() == 1;
        if !only || peer.outbox.is_some() || peer.pending.is_some() {
            return self.flush_peer(index);
        }
        let unsent = topic.unsent(sent);
        match peer.stream.send(&mut [IoSlice::new(unsent)]) {
            Ok(wrote) => {
                let len = wrote.len(unsent.len());
                self.counters.bytes_out += len as u64;
                peer.bytes_out += len as u64;
                if len < unsent.len() {
                    return self.block_member(id, member, len);
                }
                topic.members[member].sent = topic.end();
                self.touch(index);
            }
            Err(_) => self.abort_peer(index),
        }
    }

    /// The socket took only so much of what the member had not been sent of the topic.
    #[cold]
    #[inline(never)]
    fn block_member(&mut self, id: GroupId, member: usize, len: usize) {
        let index = self.topics[id.place()].members[member].peer;
        let chunk = self.take_unsent(id, member, len, self.settings.behind_bytes);
        self.block(index, 0, [chunk]);
    }

    /// The part of a topic that has to wait for a member whose socket is full, and how much of it has been written: all
    /// it was still to be sent, of which the socket has just taken `written` bytes. If that leaves more than `room`,
    /// and the messages are numbered, it is the one that has been begun, and the member leaves the topic.
    fn take_unsent(&mut self, group: GroupId, member: usize, written: usize, room: usize) -> (Bytes, usize) {
        let topic = &mut self.topics[group.place()];
        let sent = topic.members[member].sent;
        let reached = sent + written as u64;
        if self.leaving && (topic.end() - reached) as usize > room {
            let (from, to) = if written == 0 { (sent, sent) } else { topic.begun_at(sent, reached) };
            if let Some(heard) = topic.number_before(to).filter(|_| to < topic.end()) {
                // A copy, because the log is much longer.
                let begun = self.ledger.share(topic.bytes_between(from, to).to_vec());
                self.leave_behind(group, member, heard);
                return (begun, (reached - from) as usize);
            }
        }
        topic.members[member].sent = topic.end();
        (topic.share_unsent(sent, &self.ledger), written)
    }

    #[cold]
    fn leave_behind(&mut self, group: GroupId, member: usize, heard: u64) {
        let Member { peer, place, .. } = self.topics[group.place()].members[member];
        self.counters.left_behind += 1;
        self.left_behind.push(LeftBehind { id: self.id_of(peer), topic: self.topic_of(group), heard });
        self.leave(peer, place as usize);
    }

    /// Writes all that waits for a peer, if its socket may take some.
    pub(super) fn flush_peer(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(index as usize) else { return };
        peer.dirty = false;
        if peer.phase == Phase::Gone {
            return;
        }
        let was_owed_much = peer.is_owed_much(self.settings.owed_above());
        self.touch(index);
        let result = match self.peers[index as usize].outbox.is_some() {
            true => self.flush_blocked(index),
            false => self.flush_free(index),
        };
        if result.is_err() {
            return self.abort_peer(index);
        }
        self.read_on(index, was_owed_much);
        let peer = &mut self.peers[index as usize];
        if peer.outbox.is_none() && peer.drain.taken() {
            self.drained.push_back(ConnId { index, generation: peer.generation });
        }
        let peer = &self.peers[index as usize];
        if peer.phase == Phase::Ending && peer.outbox.is_none() {
            self.finish_end(index);
        }
    }

    /// The socket is not known to be full: everything goes out in one write.
    fn flush_free(&mut self, index: u32) -> io::Result<()> {
        // One slice is for what is queued for the peer alone.
        let mut topics = [(GroupId(0), 0, 0); MAX_SLICES];
        let mut count = 0;
        for (place, topic) in topics.iter_mut().zip(self.unsent_topics(index)) {
            *place = topic;
            count += 1;
        }
        if count == MAX_SLICES {
            self.settle(index);
            count = 0;
        }
        let topics = &topics[..count];
        let peer = &mut self.peers[index as usize];
        let bytes = peer.pending.as_ref().map_or(&[][..], |pending| &pending.bytes);
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let of_topics = topics.iter().map(|&(topic, _, sent)| self.topics[topic.place()].unsent(sent));
        let (mut count, mut offered) = (0, 0);
        for unsent in std::iter::once(bytes).chain(of_topics).filter(|unsent| !unsent.is_empty()) {
            slices[count] = IoSlice::new(unsent);
            (count, offered) = (count + 1, offered + unsent.len());
        }
        if count == 0 {
            return Ok(());
        }
        let len = peer.stream.send(&mut slices[..count])?.len(offered);
        self.counters.bytes_out += len as u64;
        peer.bytes_out += len as u64;
        // What the write did not reach becomes the outbox, chunk by chunk.
        let mut written = len;
        let mut reached = |len: usize| {
            let sent = written.min(len);
            written -= sent;
            sent
        };
        let mut chunks: Vec<(Bytes, usize)> = Vec::new();
        let mut response_len = 0;
        if let Some(mut pending) = peer.pending.take() {
            let sent = reached(pending.bytes.len());
            if sent < pending.bytes.len() {
                response_len = pending.response_len as usize;
                chunks.push((into_chunk(&mut pending.bytes, &self.ledger), sent));
            }
            self.spares.keep(pending);
        }
        for &(group, member, sent) in topics {
            let topic = &mut self.topics[group.place()];
            let unsent = topic.unsent(sent).len();
            match reached(unsent) {
                all if all == unsent => topic.members[member].sent = topic.end(),
                part => {
                    let waiting: usize = chunks.iter().map(|(chunk, sent)| chunk.len() - sent).sum();
                    let room = self.settings.behind_bytes.saturating_sub(waiting);
                    chunks.push(self.take_unsent(group, member, part, room));
                }
            }
        }
        if !chunks.is_empty() {
            self.block(index, response_len, chunks);
        }
        Ok(())
    }

    /// The socket was full: new output goes behind the waiting output.
    fn flush_blocked(&mut self, index: u32) -> io::Result<()> {
        let peer = &mut self.peers[index as usize];
        let outbox = peer.outbox.as_mut().expect("asked for a blocked peer");
        if let Some(mut pending) = peer.pending.take() {
            outbox.push_response(into_chunk(&mut pending.bytes, &self.ledger), pending.response_len as usize, 0);
            self.spares.keep(pending);
        }
        let waiting = outbox.len();
        let topics: Vec<(GroupId, usize, u64)> = self.unsent_topics(index).collect();
        let unsent: usize = topics.iter().map(|&(topic, _, sent)| self.topics[topic.place()].unsent(sent).len()).sum();
        // A socket that takes something again may take so much that nobody is behind.
        if unsent > 0 && waiting + unsent > self.settings.behind_bytes && self.write_outbox(index)? {
            return self.flush_free(index);
        }
        for (topic, member, _) in topics {
            let waiting = self.peers[index as usize].outbox.as_ref().map_or(0, |outbox| outbox.len());
            let room = self.settings.behind_bytes.saturating_sub(waiting);
            let (chunk, _) = self.take_unsent(topic, member, 0, room);
            if let Some(outbox) = &mut self.peers[index as usize].outbox {
                outbox.push(chunk, 0);
            }
        }
        if self.write_outbox(index)? {
            return self.flush_free(index);
        }
        self.limit_outbox(index);
        Ok(())
    }

    /// Writes what waits for a peer, if its socket may take something; returns whether it has taken all. Then only a
    /// pong may be queued that was owed.
    fn write_outbox(&mut self, index: u32) -> io::Result<bool> {
        let peer = &mut self.peers[index as usize];
        let Some(outbox) = peer.outbox.as_mut().filter(|outbox| outbox.writable) else { return Ok(false) };
        outbox.writable = false;
        let written = outbox.write_to(&mut peer.stream, self.now)?;
        self.counters.bytes_out += written as u64;
        peer.bytes_out += written as u64;
        if !outbox.is_empty() {
            return Ok(false);
        }
        let taken = peer.outbox.take();
        if matches!(peer.phase, Phase::Head | Phase::Kept | Phase::Body) {
            // The time for the next request begins when the last answer has left.
            peer.since = self.now;
        }
        if peer.pinged {
            // The time for its answer begins here: the ping may have waited, here or in the buffers below, and a peer
            // that has just taken what waited is there.
            peer.last_received = self.now;
            self.asked.push(index);
        }
        if let Some(data) = taken.and_then(|mut outbox| outbox.pong.take()).filter(|_| peer.is_opened()) {
            self.append(index, |out| encode_frame(Opcode::Pong, &data, out));
        }
        self.schedule(index);
        Ok(true)
    }

    /// The socket took less than it was offered, of which the first `response_len` bytes are no frames.
    fn block(&mut self, index: u32, mut response_len: usize, chunks: impl IntoIterator<Item = (Bytes, usize)>) {
        self.counters.blocked += 1;
        let peer = &mut self.peers[index as usize];
        let long = self.settings.long_frame();
        let outbox = peer.outbox.get_or_insert_with(|| Box::new(Outbox::new(self.now, self.ledger.clone(), long)));
        for (chunk, sent) in chunks {
            outbox.push_response(chunk, std::mem::take(&mut response_len), sent);
        }
        self.touch(index);
        self.limit_outbox(index);
        self.schedule(index);
    }

    fn limit_outbox(&mut self, index: u32) {
        let peer = &self.peers[index as usize];
        let counted = peer.outbox.as_ref().map_or(0, |outbox| outbox.beside_longest());
        if counted > self.settings.outbox_bytes && !peer.is_ending() {
            self.note_cut(index, Cut::OutboxBytes);
            self.cut_off(index);
        }
    }

    /// Too much waits, or for too long: drops the frames that are not begun, and fails the connection with 1013.
    pub(super) fn cut_off(&mut self, index: u32) {
        let parting = self.take_parting(index);
        let peer = &mut self.peers[index as usize];
        if !matches!(peer.phase, Phase::Open | Phase::Parting) {
            return self.abort_peer(index);
        }
        peer.pending = None;
        let outbox = peer.outbox.as_mut().expect("only blocked peers are cut off");
        if !outbox.cut() {
            return self.abort_peer(index);
        }
        let mut close = Vec::new();
        match parting {
            None => peer.connection.fail(CloseCode::TRY_AGAIN_LATER, TOO_SLOW, &mut close),
            // Its own Close is not answered yet.
            Some(_) => {
                let body = [&CloseCode::TRY_AGAIN_LATER.get().to_be_bytes(), TOO_SLOW.as_bytes()].concat();
                encode_frame(Opcode::Close, &body, &mut close);
            }
        }
        outbox.push(self.ledger.share(close), 0);
        outbox.begin_pace(self.now);
        self.closed_with(index, CloseCode::TRY_AGAIN_LATER.get());
        self.end(index);
    }

    /// Queues Close behind the queued output, and passes on nothing more of this peer (RFC 6455 section 7.1.7).
    pub(super) fn fail(&mut self, index: u32, code: CloseCode, reason: &str) {
        self.settle(index);
        let mut close = Vec::new();
        self.peers[index as usize].connection.fail(code, reason, &mut close);
        self.append(index, |out| out.extend_from_slice(&close));
        self.note_held(index);
        self.closed_with(index, code.get());
        self.end(index);
    }

    /// All output has left: our side is shut down (section 7.1.1: the server closes TCP first).
    fn finish_end(&mut self, index: u32) {
        let peer = &mut self.peers[index as usize];
        // Also when the peer has ended: its stream may have something to say at its own end, as TLS has.
        match peer.stream.shut_down() {
            Ok(()) if !peer.ended => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return self.abort_peer(index),
        }
        self.enter(index, Phase::ShutDown);
        self.read_again(index);
    }

    /// Copies the part of its topics that a peer has not been sent in front of what is queued for it next.
    pub(super) fn settle(&mut self, index: u32) {
        if self.dirty_topics.is_empty() {
            return;
        }
        for (topic, member, sent) in self.unsent_topics(index).collect::<Vec<_>>() {
            let spares = &mut self.spares;
            let pending = self.peers[index as usize].pending.get_or_insert_with(|| spares.take());
            let topic = &mut self.topics[topic.place()];
            pending.bytes.extend_from_slice(topic.unsent(sent));
            topic.members[member].sent = topic.end();
            self.mark_dirty(index);
        }
    }

    /// Appends bytes to what is queued for a peer.
    pub(super) fn append(&mut self, index: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let pending = &mut self.peers[index as usize].pending;
        write(&mut pending.get_or_insert_with(|| self.spares.take()).bytes);
        self.mark_dirty(index);
    }

    /// Appends a response, before which no frame was queued.
    pub(super) fn append_response(&mut self, index: u32, response: &[u8]) {
        self.append(index, |out| out.extend_from_slice(response));
        if let Some(pending) = &mut self.peers[index as usize].pending {
            pending.response_len = pending.bytes.len() as u32;
        }
    }

    /// Bytes queued for a peer alone, in this turn.
    pub(super) fn pending_len(&self, index: u32) -> usize {
        self.peers[index as usize].pending.as_ref().map_or(0, |pending| pending.bytes.len())
    }

    pub(super) fn mark_dirty(&mut self, index: u32) {
        let peer = &mut self.peers[index as usize];
        if !std::mem::replace(&mut peer.dirty, true) {
            self.dirty_peers.push(index);
        }
    }

    /// The topics of a peer that have something it has not been sent: topic, index of the member, position.
    fn unsent_topics(&self, index: u32) -> impl Iterator<Item = (GroupId, usize, u64)> + '_ {
        let memberships = match self.dirty_topics.is_empty() {
            true => &[][..],
            false => &self.peers[index as usize].memberships[..],
        };
        memberships.iter().filter_map(|membership| {
            let (group, member) = (membership.group, membership.member as usize);
            let topic = &self.topics[group.place()];
            let sent = topic.members[member].sent;
            (sent < topic.end()).then_some((group, member, sent))
        })
    }

    fn member_of(&self, id: ConnId, group: GroupId) -> Option<usize> {
        let peer = &self.peers[self.find(id)? as usize];
        peer.memberships
            .iter()
            .find(|membership| membership.group == group)
            .map(|membership| membership.member as usize)
    }
}

/// Queued output as a chunk of the outbox. A buffer with much more capacity than content is copied and used again: the
/// limit of an outbox counts its content, so it must not hold much more.
fn into_chunk(pending: &mut Vec<u8>, ledger: &Ledger) -> Bytes {
    ledger.share(match pending.capacity() <= 2 * pending.len() {
        true => std::mem::take(pending),
        false => pending.clone(),
    })
}

/// The reason of the Close to a peer that is cut off.
const TOO_SLOW: &str = "too slow: messages waited too long or too many";

/// Causes of deliveries that are told apart, between two questions for them.
pub(super) const MAX_SERVED: usize = 64;

/// Direct messages of one turn to one peer beyond this are written before its end, in bytes.
const WRITE_ABOVE: usize = 256 << 10;

/// Direct messages of one turn to all peers together beyond this are likewise, in bytes.
const WRITE_ALL_ABOVE: usize = 8 << 20;
