//! What every answer to a request depends on, and the form that it gives a response.

use std::net::IpAddr;

use crate::time::Moment;

use super::answering::Worded;
use super::http::Response;

/// The properties of a request that every answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The client that a proxy names.
    pub said: Option<IpAddr>,
    /// It has a header by which proxies name their clients.
    pub forwarded: bool,
    /// Its method is HEAD.
    pub head_only: bool,
    /// Its connection may be kept.
    pub keep: bool,
    /// Its address pays for it, if it opens no WebSocket.
    pub pays: bool,
    /// It came in by the operator's port, where every refusal has the shape of the API.
    pub operator: bool,
    /// Its caller was let in as an operator.
    pub let_in: bool,
    /// It asks for a call of the API, whether there is one of that name or not.
    pub call: bool,
    /// The answer says for so many seconds that browsers are to come by TLS alone.
    pub hsts: Option<u64>,
}

impl Asked {
    /// The properties of bytes that are no request.
    pub const UNREAD: Self = Self {
        said: None,
        forwarded: false,
        head_only: false,
        keep: false,
        pays: false,
        operator: false,
        let_in: false,
        call: false,
        hsts: None,
    };

    /// The properties of a request whose connection ends with the answer.
    pub fn ending(self) -> Self {
        Self { keep: false, ..self }
    }

    /// The form of a response that this request needs.
    pub fn word(self, response: Response<'_>, now: Moment) -> Worded {
        let response = Response { keep: self.keep, head_only: self.head_only, hsts: self.hsts, ..response };
        Worded::new(response.status, response.to_vec(now), self.keep)
    }
}
