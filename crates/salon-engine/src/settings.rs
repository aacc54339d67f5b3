//! The settings of an engine: bounds and deadlines of its peers, and how it sends.

use std::time::Duration;

use crate::input::MAX_ROOM;
use crate::interest::Poller;
use crate::proto::{CloseCode, Limits};
use crate::steps;

/// Bounds and deadlines, nearly all of them of each peer. There may be more in a later version: the usual ones are
/// taken, and changed.
///
/// ```
/// use std::time::Duration;
///
/// use salon_engine::proto::Limits;
/// use salon_engine::{DeflateSettings, Settings};
///
/// let mut settings = Settings::default();
/// settings.limits = Limits::new().message_bytes(1 << 20);
/// settings.ping_after = Some(Duration::from_secs(60));
/// settings.deflate = Some(DeflateSettings::default());
/// ```
///
/// Written out they do not compile:
///
/// ```compile_fail,E0639
/// let settings = salon_engine::Settings { ping_after: None, ..salon_engine::Settings::default() };
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The largest message, and the most fragments of one.
    pub limits: Limits,
    /// Bytes of one read; there is one buffer for all, and room behind them for the rest of a message that a read ends
    /// in.
    pub receive_buffer: usize,
    /// Bytes that may wait for a peer whose socket is full; past them it is closed with 1013. If the longest frame (or
    /// response) among them is longer than a quarter of this, it is not counted: a message that may be sent at all
    /// reaches a peer that takes it.
    pub outbox_bytes: usize,
    /// Bytes that may wait for a member of a topic with [numbered](crate::Engine::publish_numbered) publications; past them it
    /// is sent no more of these, and leaves the topic.
    pub behind_bytes: usize,
    /// How long such a peer may take nothing at all; past that it is closed likewise.
    pub blocked_within: Duration,
    /// From the accept (or the last answer) to the end of the next request head, in all; and again from there to the
    /// end of its body.
    pub head_within: Duration,
    /// From the end of an answer to the first byte of another request on the same connection.
    pub idle_within: Duration,
    /// From our Close to the peer's, and again from there to the end of its stream.
    pub close_within: Duration,
    /// From the first byte of a message to its last.
    pub message_within: Duration,
    /// After so much silence a ping is sent; `None`: never.
    pub ping_after: Option<Duration>,
    /// After so much further silence the peer is closed.
    pub pong_within: Duration,
    /// The code of that Close; by default 1011.
    pub no_pong_code: CloseCode,
    /// The application's own close codes, each of which [`Closes`](crate::Closes) counts by itself, as it does the registered ones. A
    /// peer may send a thousand others, which it counts together.
    pub counted_codes: &'static [CloseCode],
    /// The most sends to members of one topic in one flush; the rest follows in the next turns. A send takes some
    /// microseconds, and all other peers wait for so many.
    pub sends_per_flush: usize,
    /// How long messages to a large topic may wait for others that leave in the same writes; zero: they leave with
    /// their turn.
    ///
    /// It trades latency for sends. A member that is sent something else meanwhile gets them with that, in order.
    pub flush_delay: Duration,
    /// From how many members on a topic is large. Members that share compressed messages are counted apart from the
    /// others.
    pub flush_delay_members: usize,
    /// When the poller reports a stream.
    pub poller: Poller,
    /// How messages are compressed for connections that agreed to permessage-deflate; `None`: none may.
    pub deflate: Option<DeflateSettings>,
}

/// What is compressed, and how well. There may be more of it in a later version, as of [`Settings`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeflateSettings {
    /// Messages below this are sent as they are, in bytes: compressing a short line costs as much as sending it.
    pub threshold: usize,
    /// 1 (fast) to 9 (small).
    pub level: u32,
}

impl Default for DeflateSettings {
    fn default() -> Self {
        Self { threshold: 512, level: 6 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            receive_buffer: 64 << 10,
            outbox_bytes: 1 << 20,
            behind_bytes: 64 << 10,
            blocked_within: Duration::from_secs(10),
            head_within: Duration::from_secs(10),
            idle_within: Duration::from_secs(75),
            close_within: Duration::from_secs(5),
            message_within: Duration::from_secs(60),
            ping_after: Some(Duration::from_secs(25)),
            pong_within: Duration::from_secs(10),
            no_pong_code: CloseCode::INTERNAL_ERROR,
            counted_codes: &[],
            sends_per_flush: 128,
            flush_delay: Duration::ZERO,
            flush_delay_members: 1000,
            poller: Poller::Edge,
            deflate: None,
        }
    }
}

impl Settings {
    /// Bytes of answers that a peer may be owed and be read all the same; and that may wait for it while it is owed
    /// any.
    pub(crate) fn owed_above(&self) -> usize {
        steps::OWED_ABOVE.min(self.outbox_bytes / steps::OWED_PART)
    }

    /// From how many bytes on a frame is long, so that the longest is not counted as [output that
    /// waits](Self::outbox_bytes). Shorter ones leave room for others beside them.
    pub(crate) fn long_frame(&self) -> usize {
        self.outbox_bytes / 4
    }

    /// Room behind a read, in bytes: for the rest of the longest message, or of the longest that is worth it.
    pub(crate) fn room_behind_a_read(&self) -> usize {
        MAX_ROOM.min(self.limits.message_bytes as usize)
    }
}
