//! What a poller is to watch: for those that report a state again and again, or once, and not each change of it.
//!
//! An edge-triggered poller watches both directions always, and the engine keeps nothing here. Under another one, what
//! a connection is watched for changes with its state: writing while something waits for room, reading unless the
//! engine would not read. It knows no poller; the owner carries out what [`Engine::next_interest`] says.

use crate::id::ConnId;
use crate::peer::{Peer, Phase};
use crate::{Engine, Stream};

/// When the poller reports a stream, see [`Settings::poller`](crate::Settings::poller). There may be other kinds in a
/// later version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Poller {
    /// At each change to readable or writable, such as mio and epoll with `EPOLLET`. Both directions are watched as
    /// long as the connection lives, and [`Engine::next_interest`] has nothing to say.
    #[default]
    Edge,
    /// As long as it is readable or writable, such as `poll` and epoll by default.
    Level,
    /// Once, and then not before it is asked again, such as the crate `polling` by default.
    OneShot,
}

/// What a connection is to be watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest {
    /// Bytes, or the end of the stream. Not while the engine would not read: while the peer does not take its answers,
    /// has a request that is not answered yet, or has ended its stream.
    pub readable: bool,
    /// Room: something waits for it.
    pub writable: bool,
}

impl<S: Stream> Engine<S> {
    /// A connection that the poller is to watch for something else than before, or, if it reports
    /// [once](Poller::OneShot), for something again. Ask after each [`flush`](Self::flush), and before
    /// [`reap`](Self::reap) or behind it, until there is none; then wait.
    ///
    /// A connection that was [taken in](Self::insert) is watched for nothing until it is returned here. One that is
    /// over is not returned; its stream comes back by [`reap`](Self::reap).
    ///
    /// ```
    /// # use salon_engine::{Engine, Stream, Tick};
    /// # fn modify(_: &impl Stream, _: u32, _: bool, _: bool) {}
    /// # fn tell(engine: &mut Engine<impl Stream>) {
    /// while let Some((id, interest)) = engine.next_interest() {
    ///     let stream = engine.stream(id).expect("it is not over");
    ///     modify(stream, id.index, interest.readable, interest.writable); // the poller's call for that
    /// }
    /// # }
    /// ```
    pub fn next_interest(&mut self) -> Option<(ConnId, Interest)> {
        while let Some(index) = self.interests.listed.pop() {
            let watch = &mut self.interests.watches[index as usize];
            watch.is_listed = false;
            let Some(peer) = self.peers.get(index as usize).filter(|peer| peer.phase != Phase::Gone) else { continue };
            let interest = peer.interest();
            let again = watch.is_spent && interest != Interest::default();
            if interest != watch.told || again {
                (watch.told, watch.is_spent) = (interest, false);
                return Some((ConnId { index, generation: peer.generation }, interest));
            }
        }
        crate::slack::shrink(&mut self.interests.listed);
        None
    }

    /// Something was done with the peer's stream, or its state has changed: perhaps it is to be watched for something
    /// else.
    #[inline]
    pub(crate) fn touch(&mut self, index: u32) {
        if self.settings.poller != Poller::Edge {
            self.interests.list(index);
        }
    }

    /// The poller has reported the peer.
    #[inline]
    pub(crate) fn note_report(&mut self, index: u32) {
        if self.settings.poller != Poller::Edge {
            self.interests.list(index);
            self.interests.watches[index as usize].is_spent |= self.settings.poller == Poller::OneShot;
        }
    }

    /// A new peer, which is watched for nothing.
    pub(crate) fn begin_watch(&mut self, index: u32) {
        if self.settings.poller != Poller::Edge {
            self.interests.list(index);
            let watch = &mut self.interests.watches[index as usize];
            (watch.told, watch.is_spent) = (Interest::default(), false);
        }
    }
}

impl<S: Stream> Peer<S> {
    fn interest(&self) -> Interest {
        Interest {
            readable: !self.paused && !self.ended,
            writable: self.outbox.is_some() || self.stream.holds_output(),
        }
    }
}

/// What each slot is watched for, and which of them may have to be watched for something else. Empty under an
/// edge-triggered poller.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    /// By slot. They lie beside the peers, so that those are small.
    watches: Vec<Watch>,
    /// Each slot once at most: those with `is_listed`.
    listed: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    told: Interest,
    is_listed: bool,
    /// A poller that reports once has done so.
    is_spent: bool,
}

impl Interests {
    fn list(&mut self, index: u32) {
        if self.watches.len() <= index as usize {
            self.watches.resize(index as usize + 1, Watch::default());
        }
        if !std::mem::replace(&mut self.watches[index as usize].is_listed, true) {
            self.listed.push(index);
        }
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.watches.capacity() * size_of::<Watch>() + self.listed.capacity() * size_of::<u32>()
    }
}
