//! An answer leaves the server with its line in the log of access.
//!
//! The bytes of a response come out of a [`Worded`] here and nowhere else, so no request is answered without a line;
//! and where it is refused, [`super::refusing`] names the reason.

use std::net::IpAddr;

use crate::engine::Engine;
use crate::id::ConnId;
use crate::proto::Agreed;

use super::Turn;
use super::access::{Heard, Line, Told};
use super::refusals::Reason;
use super::socket::Socket;
use super::system::System;

/// A response in its bytes.
#[derive(Debug)]
pub(crate) struct Worded {
    status: u16,
    bytes: Vec<u8>,
    keep: bool,
}

impl Worded {
    /// A response of that status; whether its connection is kept behind it.
    pub fn new(status: u16, bytes: Vec<u8>, keep: bool) -> Self {
        Self { status, bytes, keep }
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    fn leave<S: System>(self, id: ConnId, engine: &mut Engine<Socket<S>>, _told: Told) {
        engine.respond(id, &self.bytes, self.keep);
    }
}

impl<S: System> Turn<'_, S> {
    /// Answers a request of that client, if a proxy has `said` one. A `reason`: it is refused for that.
    pub(super) fn answer(
        &mut self,
        id: ConnId,
        said: Option<IpAddr>,
        worded: Worded,
        reason: Option<Reason>,
        heard: Option<&Heard>,
    ) {
        let line = self.line(id, said, worded.status, worded.bytes.len(), heard);
        let log = self.admission.access_mut();
        let told = match reason {
            Some(reason) => log.refuse(reason, line, self.now.tick),
            None => log.request(line),
        };
        worded.leave(id, self.engine, told);
    }

    /// Answers a request by which a WebSocket begins.
    pub(super) fn open(
        &mut self,
        id: ConnId,
        said: Option<IpAddr>,
        response: &[u8],
        agreed: &Agreed<'_>,
        heard: Option<&Heard>,
    ) {
        let line = self.line(id, said, 101, response.len(), heard);
        let _ = self.admission.access_mut().request(line);
        self.engine.upgrade(id, response, agreed);
    }

    fn line<'a>(
        &self,
        id: ConnId,
        said: Option<IpAddr>,
        status: u16,
        len: usize,
        heard: Option<&'a Heard>,
    ) -> Line<'a> {
        Line {
            address: self.address(id, said),
            status: Some(status),
            bytes_out: Some(len as u64),
            ..Heard::line(heard, self.now.tick)
        }
    }
}
