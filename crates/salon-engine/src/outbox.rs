//! Output that a peer could not be sent yet, because its socket is full.
//!
//! A peer has an outbox only while it is blocked. Room messages lie in it as slices of the log that all blocked members
//! share, so a thousand of them share one copy. It has a limit in bytes, and never drops a frame silently: past the
//! limit the peer is closed, and [`Outbox::cut`] leaves whole frames. It does not decide when a peer is too slow:
//! `deadlines` does.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::Bytes;

use crate::proto::frame;
use crate::time::Tick;

use crate::Blocked;
use crate::id::ConnId;
use crate::ledger::Ledger;
use crate::stream::{Stream, Wrote};

/// Chunks in the order they must be written.
///
/// Invariant: each chunk begins where a frame begins, or is a response; `sent` bytes of the first have been written,
/// less than its length; `bytes` is what remains of all, and `response_bytes` what of that is response, which comes
/// first.
#[derive(Debug)]
pub struct Outbox {
    chunks: VecDeque<Bytes>,
    sent: usize,
    bytes: usize,
    response_bytes: usize,
    /// From how many bytes on a frame, or what is pushed of responses at once, is long.
    long: usize,
    /// The longest of these that was queued since nothing waited; 0: none was long.
    longest: usize,
    /// The stream may take more; it is tried at the next flush.
    pub writable: bool,
    ledger: Ledger,
    /// The part of the ledger that is this queue itself.
    noted: usize,
    /// When something could last be written, or when the peer was first blocked.
    pub progress: Tick,
    /// Since when its pace is measured, and what it has taken since.
    pub paced_since: Tick,
    paced: usize,
    /// The application data of the last ping that came while blocked; older ones need no answer (section 5.5.3).
    pub pong: Option<Box<[u8]>>,
}

impl Outbox {
    /// An empty outbox of a peer that is blocked since `now`, to which a frame of more than `long` bytes is a long one.
    pub fn new(now: Tick, ledger: Ledger, long: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            sent: 0,
            bytes: 0,
            response_bytes: 0,
            long,
            longest: 0,
            writable: false,
            ledger,
            noted: 0,
            progress: now,
            paced_since: now,
            paced: 0,
            pong: None,
        }
    }

    /// Queues `chunk`, of which the first `sent` bytes have been written already (only if it is the first).
    pub fn push(&mut self, chunk: Bytes, sent: usize) {
        debug_assert!(sent == 0 || self.chunks.is_empty());
        if chunk.len() == sent {
            return;
        }
        self.note_longest(&chunk);
        self.queue(chunk, sent);
    }

    fn queue(&mut self, chunk: Bytes, sent: usize) {
        self.bytes += chunk.len() - sent;
        self.sent += sent;
        self.chunks.push_back(chunk);
        self.note();
    }

    /// Looks for the longest frame, where there can be a long one.
    fn note_longest(&mut self, chunk: &[u8]) {
        let mut at = 0;
        // Until no more is left than has been found.
        while chunk.len() - at > self.long.max(self.longest) {
            let len = frame::whole_len(&chunk[at..]).expect("chunks are made of whole frames of our own");
            if len > self.long {
                self.longest = self.longest.max(len);
            }
            at += len;
        }
    }

    /// Queues `chunk`, whose first `response_len` bytes are no frames.
    pub fn push_response(&mut self, mut chunk: Bytes, response_len: usize, sent: usize) {
        let response = chunk.split_to(response_len);
        let sent_of_response = sent.min(response_len);
        self.response_bytes += response_len - sent_of_response;
        if response_len > self.long {
            self.longest = self.longest.max(response_len);
        }
        if response_len > sent_of_response {
            self.queue(response, sent_of_response);
        }
        self.push(chunk, sent - sent_of_response);
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Bytes that wait beside the longest frame, if one is long: however slow a peer is, a frame of which the owner's
    /// limits allow the length is no reason to end its connection, and there is one such at least in all that waits.
    pub fn beside_longest(&self) -> usize {
        self.bytes.saturating_sub(self.longest)
    }

    /// What the engine tells of it.
    pub fn blocked(&self, id: ConnId, now: Tick, ends: bool) -> Blocked {
        Blocked { id, bytes: self.len(), counted: self.beside_longest(), since: now.since(self.progress), ends }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether the peer has taken too little since its pace was last measured, which begins anew.
    pub fn is_too_slow(&mut self, now: Tick) -> bool {
        self.paced_since = now;
        std::mem::take(&mut self.paced) < PACE_BYTES
    }

    /// Its pace is measured from now on.
    pub fn begin_pace(&mut self, now: Tick) {
        (self.paced_since, self.paced) = (now, 0);
    }

    /// Writes as much as the stream takes; returns how much that was. Less than all: the stream is full.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn write_to(&mut self, stream: &mut impl Stream, now: Tick) -> io::Result<usize> {
        let mut written = 0;
        while !self.chunks.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut offered = 0;
            let count = self.chunks.len().min(MAX_SLICES);
            for (at, (slice, chunk)) in slices.iter_mut().zip(&self.chunks).enumerate() {
                let unsent = if at == 0 { &chunk[self.sent..] } else { chunk };
                offered += unsent.len();
                *slice = IoSlice::new(unsent);
            }
            let wrote = stream.send(&mut slices[..count])?;
            written += wrote.len(offered);
            self.advance(wrote.len(offered));
            if wrote != Wrote::All {
                break;
            }
        }
        if written > 0 {
            self.progress = now;
            self.paced += written;
        }
        Ok(written)
    }

    /// Drops everything behind the frame that is being written, so that a Close can follow soon.
    ///
    /// Returns whether it can: a peer that has not got its response whole can take no frame.
    pub fn cut(&mut self) -> bool {
        if self.response_bytes > 0 {
            return false;
        }
        self.chunks.truncate(1);
        let Some(chunk) = self.chunks.front_mut() else { return true };
        let mut end = 0;
        while end < self.sent {
            end += frame::whole_len(&chunk[end..]).expect("chunks are made of whole frames of our own");
        }
        // A copy, because the shared log behind the slice may be large and is to be freed.
        *chunk = self.ledger.share(chunk[self.sent..end].to_vec());
        (self.sent, self.bytes) = (0, chunk.len());
        if chunk.is_empty() {
            self.chunks.clear();
        }
        // Many small chunks make a long queue.
        self.chunks.shrink_to_fit();
        self.note();
        true
    }

    /// Brings the ledger up to date with the queue itself; the chunks in it are counted apart.
    fn note(&mut self) {
        let held = size_of::<Self>() + self.chunks.capacity() * size_of::<Bytes>();
        if held != self.noted {
            self.ledger.change(self.noted, held);
            self.noted = held;
        }
    }

    fn advance(&mut self, mut len: usize) {
        self.bytes -= len;
        self.response_bytes = self.response_bytes.saturating_sub(len);
        while let Some(first) = self.chunks.front() {
            let unsent = first.len() - self.sent;
            if len < unsent {
                self.sent += len;
                return;
            }
            len -= unsent;
            self.sent = 0;
            self.chunks.pop_front();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.ledger.change(self.noted, 0);
    }
}

/// How long a peer for which something waits may be slow: a peer that takes a byte now and then would keep its slot for
/// ever.
pub const PACE_WITHIN: Duration = Duration::from_secs(60);

/// The least that such a peer must take in that time, in bytes: 1 KiB a second.
pub const PACE_BYTES: usize = 60 << 10;

/// The most chunks one write offers to the kernel.
pub const MAX_SLICES: usize = 16;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::proto::frame::{Opcode, encode_frame};

    /// A stream that takes `room` bytes at most.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let len = bytes.len().min(self.room);
            self.taken.extend_from_slice(&bytes[..len]);
            self.room -= len;
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Narrow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("it is only written to")
        }
    }

    impl Stream for Narrow {
        fn shut_down(&mut self) -> io::Result<()> {
            unreachable!("it is only written to")
        }
    }

    fn frames(texts: &[&str]) -> Bytes {
        let mut out = Vec::new();
        texts.iter().for_each(|text| encode_frame(Opcode::Text, text.as_bytes(), &mut out));
        out.into()
    }

    #[test]
    fn any_write_size_gives_the_same_bytes() {
        let chunks = [frames(&["one", "two"]), frames(&["three"]), frames(&[&"x".repeat(300)])];
        let expected = chunks.concat();
        for room in 1..40 {
            let mut outbox = Outbox::new(Tick(0), Ledger::default(), usize::MAX);
            chunks.iter().for_each(|chunk| outbox.push(chunk.clone(), 0));
            let mut stream = Narrow { room: 0, taken: Vec::new() };
            while !outbox.is_empty() {
                stream.room = room;
                assert!(outbox.write_to(&mut stream, Tick(0)).unwrap() > 0);
            }
            assert_eq!(stream.taken, expected);
        }
    }

    #[test]
    fn a_cut_leaves_the_frame_that_is_being_written() {
        let chunk = frames(&["one", "two", "three"]);
        for sent in 0..chunk.len() {
            let mut outbox = Outbox::new(Tick(0), Ledger::default(), usize::MAX);
            outbox.push(chunk.clone(), sent);
            outbox.push(frames(&["four"]), 0);
            assert!(outbox.cut());
            let mut stream = Narrow { room: usize::MAX, taken: chunk[..sent].to_vec() };
            outbox.write_to(&mut stream, Tick(0)).unwrap();
            let boundary = [0, 5, 10, 17].into_iter().find(|&end| end >= sent).unwrap();
            assert_eq!(stream.taken, chunk[..boundary], "{sent} bytes were sent");
        }
    }
}
