//! Compressing and decompressing messages (RFC 7692 section 7.2): DEFLATE without header, cut behind a sync flush.
//!
//! ```text
//!   sender    message -> DEFLATE, sync flush -> ... 00 00 ff ff -> without these four bytes -> frames, RSV1 on one
//!   receiver  frames -> payload with 00 00 ff ff again -> inflate -> message
//! ```
//!
//! All connections share both machines: a [`Deflater`] or [`Inflater`] begins each message anew, is lent for the time
//! of one call, and keeps nothing of a connection. The earlier bytes that a client with context may refer to are a
//! [`History`], which belongs to its connection and is loaded into the inflater as a dictionary.
//!
//! An owner of one connection has none of its own: the machines of its thread are taken for the time of a message and
//! put back. A thread makes them when they are first asked for, and keeps them until it ends: an inflater, and a
//! compressor of each level.
//!
//! Inflated bytes are handed on in pieces as they come, so that the receiver can stop at its limit: nothing here grows
//! with what compressed data claims to become. [`crate::extension`] negotiates the extension.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::ProtocolError;
use crate::extension::MAX_WINDOW_BITS;
use crate::frame::{FrameHeader, Kind};

/// Inflates messages, one at a time. It takes its memory (143 KiB) with the first of them, and keeps it.
#[derive(Debug)]
pub struct Inflater(Machine);

#[derive(Debug)]
enum Machine {
    Own(Option<Box<Inflating>>),
    /// That of the thread it is used in.
    OfThread,
}

/// Invariant: `recent[..filled]` ends what has been inflated of this message, behind the history it began with; as much
/// of it is there as DEFLATE can refer to.
pub(crate) struct Inflating {
    stream: Decompress,
    recent: Box<[u8]>,
    filled: usize,
}

/// Without the bytes, which are the peers'.
impl fmt::Debug for Inflating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflating").finish_non_exhaustive()
    }
}

impl Inflater {
    /// One that has no memory yet.
    pub const fn new() -> Self {
        Self(Machine::Own(None))
    }

    /// One that never has any: it borrows the machine of the thread that it is used in.
    pub(crate) const fn of_thread() -> Self {
        Self(Machine::OfThread)
    }

    /// Bytes it takes, at most.
    pub fn held_bytes(&self) -> usize {
        match self.0 {
            Machine::Own(Some(_)) => INFLATER_BYTES,
            Machine::Own(None) | Machine::OfThread => 0,
        }
    }

    /// Inflates the payload of a whole message and hands it on in pieces; stops where `take` refuses one, by an
    /// error of its own kind.
    ///
    /// `history` is what the message may refer to beyond itself; afterwards it ends with this message.
    ///
    /// # Errors
    /// That of `take`; [`ProtocolError::CorruptDeflate`] for what is not DEFLATE, refers to what was never sent, or
    /// does not end with a block; [`ProtocolError::TooManyFinalBlocks`].
    pub fn inflate<E: From<ProtocolError>>(
        &mut self,
        payload: &[u8],
        history: Option<&mut History>,
        take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // Section 7.2.3.6 encodes an empty message as one byte, but some senders' zlib produces an empty payload.
        if payload.is_empty() {
            return Ok(());
        }
        match &mut self.0 {
            Machine::Own(inflating) => inflating.get_or_insert_default().inflate(payload, history, take),
            Machine::OfThread => with_inflating(|inflating| inflating.inflate(payload, history, take)),
        }
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Inflating {
    fn default() -> Self {
        Self { stream: Decompress::new(false), recent: vec![0; WINDOW + PIECE].into_boxed_slice(), filled: 0 }
    }
}

impl Inflating {
    fn inflate<E: From<ProtocolError>>(
        &mut self,
        payload: &[u8],
        history: Option<&mut History>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.begin(history.as_deref().map_or(&[], |history| &history.bytes));
        self.message(payload, &mut take)?;
        if let Some(history) = history {
            history.replace(&self.recent[..self.filled]);
        }
        Ok(())
    }

    fn begin(&mut self, history: &[u8]) {
        self.recent[..history.len()].copy_from_slice(history);
        self.filled = history.len();
        self.restart();
    }

    /// Readies the stream for another first block, which may refer to what is in `recent`.
    fn restart(&mut self) {
        self.stream.reset(false);
        let history = &self.recent[self.filled.saturating_sub(WINDOW)..self.filled];
        if !history.is_empty() {
            self.stream.set_dictionary(history).expect("a raw stream takes a dictionary at any time");
        }
    }

    fn message<E: From<ProtocolError>>(
        &mut self,
        payload: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = payload;
        // §7.2.3.4: a block may be marked as final. What follows begins with the next byte, as if nothing had ended.
        for _ in 0..=MAX_FINAL_BLOCKS {
            let ended = self.run(&mut rest, take)?;
            if !ended {
                return Ok(self.finish()?);
            }
            if rest.is_empty() {
                // The empty block of section 7.2.1 step 3 is missing, but nothing is in doubt.
                return Ok(());
            }
            self.restart();
        }
        Err(ProtocolError::TooManyFinalBlocks { limit: MAX_FINAL_BLOCKS }.into())
    }

    /// Takes back the bytes that the sender cut off, and makes sure that the payload ended where it could be cut.
    fn finish(&mut self) -> Result<(), ProtocolError> {
        let mut silent = |piece: &[u8]| if piece.is_empty() { Ok(()) } else { Err(ProtocolError::CorruptDeflate) };
        // Behind a whole block the four bytes are the rest of an empty one, and a final one is accepted. Elsewhere they
        // would be taken for data or leave a block open.
        match self.run(&mut &SYNC_TAIL[..], &mut silent)? || !self.run(&mut &FINAL_BLOCK[..], &mut silent)? {
            true => Err(ProtocolError::CorruptDeflate),
            false => Ok(()),
        }
    }

    /// Inflates from the front of `input` until it is used up or a final block ends; returns whether one did.
    fn run<E: From<ProtocolError>>(
        &mut self,
        input: &mut &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        loop {
            if self.filled == self.recent.len() {
                self.recent.copy_within(PIECE.., 0);
                self.filled = WINDOW;
            }
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let room = &mut self.recent[self.filled..];
            let status = self.stream.decompress(input, room, FlushDecompress::Sync);
            let status = status.map_err(|_| ProtocolError::CorruptDeflate)?;
            *input = &input[(self.stream.total_in() - read) as usize..];
            let piece = self.filled..self.filled + (self.stream.total_out() - written) as usize;
            self.filled = piece.end;
            if !piece.is_empty() {
                take(&self.recent[piece])?;
            }
            if status == Status::StreamEnd {
                return Ok(true);
            }
            // With room left, more output would need more input.
            if self.filled < self.recent.len() {
                debug_assert!(input.is_empty());
                return Ok(false);
            }
        }
    }
}

/// The end of what the peer has sent compressed, as far as its next message may refer to it: its window.
///
/// Only for connections whose peer keeps its context (`client_no_context_takeover` or
/// `server_no_context_takeover` was not agreed to); it takes memory with their first message.
pub struct History {
    bytes: Vec<u8>,
    window: usize,
}

/// Without the bytes, which are the peers'.
impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("window", &self.window).finish_non_exhaustive()
    }
}

impl History {
    /// An empty one for a window of 2 to this power, 8 to 15.
    pub fn new(window_bits: u8) -> Self {
        Self { bytes: Vec::new(), window: 1 << window_bits.min(MAX_WINDOW_BITS) }
    }

    /// Bytes that are kept: at most the window.
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn replace(&mut self, recent: &[u8]) {
        let end = &recent[recent.len().saturating_sub(self.window)..];
        self.bytes.clear();
        self.bytes.reserve_exact(end.len());
        self.bytes.extend_from_slice(end);
    }
}

/// Compresses messages, each for itself (`server_no_context_takeover`), so that all receivers can share the bytes.
///
/// It takes 245 KiB for a window of 2^9 up to 372 KiB for one of 2^15 when that window is first asked for, and keeps
/// it: 2 MiB if all seven are, with what it keeps of the output (64 KiB).
pub struct Deflater {
    level: Compression,
    /// One for each size of window, made when first asked for.
    streams: [Option<Compress>; (MAX_WINDOW_BITS - MIN_WINDOW_BITS) as usize + 1],
    output: Vec<u8>,
}

/// Without the bytes, which are the peers'.
impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Deflater {
    /// A compressor of that level, 1 (fast) to 9 (small).
    pub fn new(level: u32) -> Self {
        Self { level: Compression::new(level.clamp(1, LEVELS as u32)), streams: Default::default(), output: Vec::new() }
    }

    /// Bytes it takes, at most.
    pub fn held_bytes(&self) -> usize {
        self.streams.iter().flatten().count() * COMPRESSOR_BYTES + self.output.capacity()
    }

    /// The payload of a compressed message, without the four bytes that end a sync flush (section 7.2.1); `None` if
    /// it would not be smaller.
    ///
    /// It refers back no further than a window of 2 to `window_bits`, 8 to 15. With 8 it is `None`: zlib needs 9 at
    /// least, and an uncompressed message suits every window.
    #[must_use = "`None`: the message is to be sent as it is"]
    pub fn compress(&mut self, payload: &[u8], window_bits: u8) -> Option<&[u8]> {
        if window_bits < MIN_WINDOW_BITS {
            return None;
        }
        let window_bits = window_bits.min(MAX_WINDOW_BITS);
        let stream = &mut self.streams[usize::from(window_bits - MIN_WINDOW_BITS)];
        let stream = match stream {
            Some(stream) => {
                stream.reset();
                stream
            }
            None => stream.insert(Compress::new_with_window_bits(self.level, false, window_bits)),
        };
        self.output.clear();
        self.output.shrink_to(MAX_KEPT_OUTPUT);
        self.output.reserve(payload.len() + SYNC_TAIL.len());
        let result = stream.compress_vec(payload, &mut self.output, FlushCompress::Sync);
        debug_assert!(result.is_ok(), "a stream that was reset takes anything");
        // Output that fills its room may not be all, but then it is not smaller either.
        let compressed = self.output.strip_suffix(&SYNC_TAIL)?;
        (compressed.len() < payload.len()).then_some(compressed)
    }
}

/// Appends a whole unmasked frame with a payload that [`Deflater::compress`] gave. Only messages are compressed, never
/// control frames.
pub fn encode_deflated_frame(kind: Kind, compressed: &[u8], out: &mut Vec<u8>) {
    FrameHeader { rsv1: true, ..FrameHeader::of_message(kind.into(), compressed.len()) }.encode(out);
    out.extend_from_slice(compressed);
}

/// What a sync flush ends with: the lengths of an empty stored block (RFC 7692 section 7.2.1).
const SYNC_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

std::thread_local! {
    static INFLATING: Cell<Option<Box<Inflating>>> = const { Cell::new(None) };
    static DEFLATERS: [Cell<Option<Box<Deflater>>>; LEVELS] = const { [const { Cell::new(None) }; LEVELS] };
}

/// Has the thread's inflater do it, which is not there meanwhile.
fn with_inflating<T>(work: impl FnOnce(&mut Inflating) -> T) -> T {
    // A thread that is ending keeps none any more.
    let mut machine = INFLATING.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let done = work(&mut machine);
    let _ = INFLATING.try_with(|kept| kept.set(Some(machine)));
    done
}

/// Has the thread's compressor of that level, 1 to 9, do it. It is not there meanwhile: a source of masking keys may
/// send by another connection.
pub(crate) fn with_deflater<T>(level: u32, work: impl FnOnce(&mut Deflater) -> T) -> T {
    let at = level as usize - 1;
    let kept = DEFLATERS.try_with(|kept| kept[at].take()).ok().flatten();
    let mut machine = kept.unwrap_or_else(|| Box::new(Deflater::new(level)));
    let done = work(&mut machine);
    let _ = DEFLATERS.try_with(|kept| kept[at].set(Some(machine)));
    done
}

/// An empty stored block that is the last.
const FINAL_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

/// Final blocks of one message beyond its first: each costs a window's copy, and a sender needs none at all.
pub const MAX_FINAL_BLOCKS: u32 = 64;

/// How far back DEFLATE can refer, in bytes.
const WINDOW: usize = 1 << MAX_WINDOW_BITS;

/// What is inflated at once, in bytes; no less than a window.
const PIECE: usize = 64 << 10;

/// The levels of compression are 1 to this.
pub(crate) const LEVELS: usize = 9;

/// The smallest window that zlib compresses raw data with is 2 to this power.
const MIN_WINDOW_BITS: u8 = 9;

/// What the inflater takes, and what each compressor does at most, in bytes. `tests/allocations.rs` counts it.
const INFLATER_BYTES: usize = 143 << 10;
const COMPRESSOR_BYTES: usize = 372 << 10;

/// What is kept of the output between messages, in bytes.
const MAX_KEPT_OUTPUT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_makes_its_machines_once_and_lends_them_amid_their_use() {
        let text = [b'x'; 1000];
        let held = |level| with_deflater(level, |deflater| deflater.held_bytes());
        assert_eq!(held(3), 0);
        with_deflater(3, |outer| {
            assert!(outer.compress(&text, 15).is_some());
            with_deflater(3, |inner| assert!(inner.compress(&text, 15).is_some()));
        });
        let one = held(3);
        assert!(one > 0 && held(4) == 0);
        for _ in 0..3 {
            with_deflater(3, |deflater| assert!(deflater.compress(&text, 15).is_some()));
        }
        assert_eq!(held(3), one);
    }
}
