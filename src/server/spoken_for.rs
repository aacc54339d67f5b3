//! For whom a connection counts when a proxy brings it: for the client that the request says it is for.
//!
//! The reactor has let the proxy in before any request has come, and counted it for nobody. What a request says is read by
//! [`super::forwarded`]; here it is believed or not, and the connection given to the client's address.

use std::net::IpAddr;

use crate::id::ConnId;

use super::Turn;
use super::admission::Verdict;
use super::refusals::Reason;
use super::socket::Socket;

impl Turn<'_> {
    /// Counts a connection that becomes a WebSocket for the client that a proxy has `said`, if that proxy is believed. (What else a
    /// proxy's connections are used for is not counted: one of them may serve many clients.)
    pub(super) fn count(&mut self, id: ConnId, said: Option<IpAddr>) -> Verdict {
        let not_counted = Verdict::Welcome { counted: false };
        let (Some(client), Some(socket)) = (said, self.engine.stream_mut(id)) else { return not_counted };
        let proxies = self.admission.proxies();
        if !proxies.trust(socket.client()) || proxies.trust(Some(client)) {
            return not_counted;
        }
        // A proxy that was not trusted when it came.
        if let Some(address) = socket.counted() {
            self.admission.release(address);
        }
        let verdict = self.admission.admit(client, self.now.tick);
        match verdict {
            Verdict::Welcome { counted: false } | Verdict::Dropped => socket.forget(),
            _ => socket.count_for(client),
        }
        verdict
    }

    /// Whether a request of the public port is to be answered; if not, its address asks too fast. A proxy that is believed does not
    /// count for itself, and one that names nobody for nobody.
    pub(super) fn may_ask(&mut self, id: ConnId, said: Option<IpAddr>) -> bool {
        let Some(socket) = self.engine.stream(id) else { return true };
        let proxies = self.admission.proxies();
        let asker = match proxies.trust(socket.client()) {
            true => said.filter(|said| !proxies.trust(Some(*said))),
            false => socket.client(),
        };
        asker.is_none_or(|address| self.admission.admit_request(address, self.now.tick))
    }

    /// Notes that a request is refused; of a proxy that is believed, for the client it speaks for.
    pub(super) fn note_refused(&mut self, id: ConnId, said: Option<IpAddr>, reason: Reason) {
        let from = self.engine.stream(id).and_then(Socket::client);
        let client = said.filter(|_| self.admission.proxies().trust(from));
        self.admission.note(reason, client.or(from));
    }
}
