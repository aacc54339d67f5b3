//! A connection that a proxy brings counts for the client that its request names.
//!
//! The reactor has let the proxy in before any request has come, and counted it for no address. [`super::forwarded`]
//! reads the request; this module believes it or not, and counts the connection for the client's address.

use std::net::IpAddr;

use crate::id::ConnId;

use super::Turn;
use super::admission::Verdict;
use super::socket::Socket;
use super::system::System;

impl<S: System> Turn<'_, S> {
    /// Counts a connection that becomes a WebSocket for the client that a trusted proxy has `said`. (Other requests of
    /// a proxy's connections are not counted so: one connection may serve many clients.)
    pub(super) fn count(&mut self, id: ConnId, said: Option<IpAddr>) -> Verdict {
        let not_counted = Verdict::Welcome { counted: false };
        let (Some(client), Some(socket)) = (said, self.engine.stream_mut(id)) else { return not_counted };
        let proxies = self.admission.proxies();
        if !proxies.trust(socket.client()) || proxies.trust(Some(client)) {
            return not_counted;
        }
        // The proxy was not trusted when it came.
        if let Some(address) = socket.counted() {
            self.admission.release(address);
        }
        let verdict = self.admission.admit(client, self.now.tick);
        match verdict {
            Verdict::Welcome { counted: false } | Verdict::Dropped(_) => socket.forget(),
            _ => socket.count_for(client),
        }
        verdict
    }

    /// Whether to answer a request of the public port; if not, its address asks too fast. A trusted proxy does not
    /// count itself, and a request that names no client counts for no address.
    pub(super) fn may_ask(&mut self, id: ConnId, said: Option<IpAddr>) -> bool {
        let Some(socket) = self.engine.stream(id) else { return true };
        let proxies = self.admission.proxies();
        let asker = match proxies.trust(socket.client()) {
            true => said.filter(|said| !proxies.trust(Some(*said))),
            false => socket.client(),
        };
        asker.is_none_or(|address| self.admission.admit_request(address, self.now.tick))
    }

    /// Notes that a request of the public port names a client as proxies do. If a program nearby that is not trusted
    /// has sent it, it is probably a proxy of which nobody has told Salon, and the log says so now and then.
    pub(super) fn note_forwarded(&mut self, id: ConnId) {
        let Some(from) = self.engine.stream(id).map(Socket::client) else { return };
        if self.admission.notes_stranger(from, self.now.tick) {
            let from = from.map_or_else(|| "unix".into(), |address| address.to_string());
            log::warn!(
                "{from} names other clients (X-Forwarded-For, Forwarded) and is not trusted, so that limits and the log \
                 know none of them; if it is a proxy of yours, say --trusted-proxy {from}"
            );
        }
    }

    /// Where the client of a request is; behind a trusted proxy, the one that it names.
    pub(super) fn address(&self, id: ConnId, said: Option<IpAddr>) -> Option<IpAddr> {
        let from = self.engine.stream(id).and_then(Socket::client);
        said.filter(|_| self.admission.proxies().trust(from)).or(from)
    }
}
