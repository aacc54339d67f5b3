//! What an engine counts, since its start.

use crate::proto::CloseCode;

/// Counters since the start. They only grow.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections taken in.
    pub accepted: u64,
    /// Connections upgraded to WebSocket.
    pub upgraded: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent or queued, one for each receiver.
    pub messages_out: u64,
    /// Messages compressed: once for all members of a topic.
    pub compressed: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Writes that a socket took only in part or not at all.
    pub blocked: u64,
    /// Members that have left a topic because they took its messages too slowly.
    pub left_behind: u64,
    /// Peers cut off because too much waited for them.
    pub cut_bytes: u64,
    /// Peers cut off because they took nothing for too long.
    pub cut_time: u64,
    /// Peers cut off because much was held for them when memory was short.
    pub cut_memory: u64,
    /// Panics that ended one connection and nothing else.
    pub panics: u64,
    /// Peers that did not answer a ping in time.
    pub no_pong: u64,
    /// Connections that brought no request in time.
    pub no_request: u64,
    /// Closes by code: our own codes first, then what the peer said. 1005 and 1006 as in RFC 6455 section 7.4.1.
    pub closes: Closes,
}

/// How often connections were closed with which code.
#[derive(Clone, Debug, Default)]
pub struct Closes {
    /// Of the [registered](REGISTERED) codes.
    registered: [u64; REGISTERED.len()],
    /// Of the application's, in the order of [`Settings::counted_codes`].
    own: Box<[(u16, u64)]>,
    /// Of all others.
    others: u64,
}

impl Closes {
    pub(crate) fn new(own: &[CloseCode]) -> Self {
        Self { own: own.iter().map(|code| (code.get(), 0)).collect(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, code: u16) {
        let registered = REGISTERED.iter().position(|&known| known == code);
        let own = self.own.iter().position(|(known, _)| *known == code);
        let count = match (registered, own) {
            (Some(place), _) => &mut self.registered[place],
            (None, Some(place)) => &mut self.own[place].1,
            (None, None) => &mut self.others,
        };
        *count += 1;
    }

    /// Codes and counts: the registered codes, the [application's](crate::Settings::counted_codes), and, without a code, all
    /// others.
    pub fn iter(&self) -> impl Iterator<Item = (Option<u16>, u64)> + '_ {
        let registered = REGISTERED.iter().copied().zip(self.registered.iter().copied());
        registered.chain(self.own.iter().copied()).map(|(code, count)| (Some(code), count)).chain([(None, self.others)])
    }
}

/// The codes of RFC 6455 section 7.4.1 and of IANA that may end a connection.
const REGISTERED: [u16; 13] = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 1014];
